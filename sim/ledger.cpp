#include "sim/ledger.h"

namespace weft {

static weft_cause cause_of(unsigned queue) {
  switch (queue) {
    case WEFT_QUEUE_STREAM_IN: return WEFT_CAUSE_STREAM_IN;
    case WEFT_QUEUE_REDUCE: return WEFT_CAUSE_REDUCE;
    case WEFT_QUEUE_STREAM_OUT: return WEFT_CAUSE_STREAM_OUT;
    case WEFT_QUEUE_UPDATE: return WEFT_CAUSE_UPDATE;
    default: return WEFT_CAUSE_COMPUTE;
  }
}

weft_cause ledger::blame() const {
  static constexpr unsigned order[] = {WEFT_QUEUE_COMPUTE, WEFT_QUEUE_UPDATE, WEFT_QUEUE_REDUCE, WEFT_QUEUE_STREAM_OUT,
                                       WEFT_QUEUE_STREAM_IN};
  unsigned at = WEFT_QUEUE_COMPUTE;
  for (unsigned queue : order) {
    at = queue;
    if (!queues[queue].ended) break;
  }
  for (int hops = 0; hops < WEFT_QUEUE_COUNT; ++hops) {
    if (queues[at].working || queues[at].blocked_on == WEFT_QUEUE_COUNT) break;
    at = queues[at].blocked_on;
  }
  return cause_of(at);
}

void ledger::settle(picoseconds now) {
  exposed[current] += now - last;
  last = now;
  current = blame();
}

void ledger::chunk_ended(weft_queue queue, picoseconds elapsed, picoseconds overhead) {
  busy[queue] += elapsed;
  if (queue != WEFT_QUEUE_COMPUTE) return;
  exposed[WEFT_CAUSE_COMPUTE] -= overhead;
  exposed[WEFT_CAUSE_OVERHEAD] += overhead;
}

}  // namespace weft
