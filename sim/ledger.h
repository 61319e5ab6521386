// Whose fault is the time? Every picosecond of a run is booked on exactly one cause, so causes sum to the whole.
//
// While compute works, time is its own (its fixed part is booked as overhead when the chunk ends). While it waits, the
// chain of waiting queues is followed to the one that works, and time is booked on that. Once compute has
// ended its pass, the chain begins at the last queue that has not: update, reduce, stream-out, stream-in.
#ifndef WEFT_SIM_LEDGER_H
#define WEFT_SIM_LEDGER_H

#include <array>

#include "sim/cost.h"
#include "sim/sim.h"

namespace weft {

// What a queue is doing, as the ledger needs to know it.
struct queue_state {
  bool working = false;
  bool ended = false;                        // its pass
  weft_queue blocked_on = WEFT_QUEUE_COUNT;  // the queue of the step that it waits for
};

class ledger {
 public:
  std::array<queue_state, WEFT_QUEUE_COUNT> queues;
  std::array<picoseconds, WEFT_CAUSE_COUNT> exposed{};
  std::array<picoseconds, WEFT_QUEUE_COUNT> busy{};

  // Books the time since the last call; call after every change of `queues`.
  void settle(picoseconds now);
  // A chunk of `queue` has ended after `elapsed`, of which `overhead` was fixed cost.
  void chunk_ended(weft_queue queue, picoseconds elapsed, picoseconds overhead);

 private:
  weft_cause blame() const;

  picoseconds last = 0;
  weft_cause current = WEFT_CAUSE_OVERHEAD;
};

}  // namespace weft
#endif
