#include "sim/bound.h"

#include "sim/link.h"

namespace weft {

struct totals {
  double flops = 0, in = 0, out = 0, reduce = 0, update = 0;
};

static totals sum(const weft_schedule &schedule) {
  totals sums;
  for (std::uint32_t number = 0; number < schedule.step_count; ++number) {
    const weft_step &step = schedule.steps[number];
    double runs = weft_step_runs(&schedule, number), bytes = static_cast<double>(step.bytes) * runs;
    if (step.queue == WEFT_QUEUE_COMPUTE)
      sums.flops += step.flops * runs;
    else if (step.queue == WEFT_QUEUE_STREAM_IN)
      sums.in += bytes;
    else if (step.queue == WEFT_QUEUE_STREAM_OUT)
      sums.out += bytes;
    else if (step.queue == WEFT_QUEUE_REDUCE && step.kind == WEFT_COLLECTIVE)
      sums.reduce += bytes;
    else
      sums.update += bytes;
  }
  return sums;
}

static void consider(bound &greatest, double amount, double rate, weft_cause cause) {
  if (rate > 0 && amount / rate > greatest.seconds) greatest = {amount / rate, cause};
}

bound bound_of(const weft_schedule &schedule) {
  const weft_machine &machine = *schedule.machine;
  totals sums = sum(schedule);
  bound greatest = {0, WEFT_CAUSE_COMPUTE};
  consider(greatest, sums.flops, peak_flops(schedule), WEFT_CAUSE_COMPUTE);
  consider(greatest, sums.in, stream_bound(schedule, true), WEFT_CAUSE_STREAM_IN);
  consider(greatest, sums.out, stream_bound(schedule, false), WEFT_CAUSE_STREAM_OUT);
  if (schedule.run.systems > 1) consider(greatest, sums.reduce, machine.swarm_bytes_per_second, WEFT_CAUSE_REDUCE);
  weft_cause at_store = sums.update > sums.in ? WEFT_CAUSE_UPDATE : WEFT_CAUSE_STREAM_IN;
  consider(greatest, sums.in + sums.out + sums.update, machine.store_bytes_per_second, at_store);
  return greatest;
}

}  // namespace weft
