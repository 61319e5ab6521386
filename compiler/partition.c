// Cuts a training batch into micro-batches and decides what the backward pass recomputes.
//
// A larger micro-batch streams the weights less often; keeping all activations saves a third of the forward work; both
// cost memory. Memory grows with the micro-batch, so for each policy the largest micro-batch that fits is found by
// bisection over the divisors of the batch, and the policy with the smaller estimate of the step's time is taken.
#include <math.h>
#include <stdlib.h>

#include "compiler/passes.h"

// For choosing between cuts alone, where only proportions matter; both are estimates. Training reaches 0.26 (wafers) to
// 0.5 (GPUs) of the peak in published runs; streams overlap with arithmetic, but not at the start of an iteration nor
// where a layer's weights take longer than its arithmetic, so half of their time is taken to show.
static const double COMPUTE_EFFICIENCY = 0.35, STREAM_SHOWS = 0.5;

static double estimate_seconds(const weft_schedule *schedule) {
  double flops = 0, in = 0, out = 0;
  for (uint32_t s = 0; s < schedule->body; ++s) {
    const weft_step *step = &schedule->steps[s];
    if (step->kind == WEFT_COMPUTE) flops += step->flops;
    if (step->kind == WEFT_STREAM_IN) in += (double)step->bytes;
    if (step->kind == WEFT_STREAM_OUT) out += (double)step->bytes;
  }
  const weft_machine *machine = schedule->machine;
  double stream = 0, compute = flops / (weft_machine_peak_flops(machine, schedule->run.dtype) * COMPUTE_EFFICIENCY);
  if (machine->io_in_bytes_per_second > 0) stream = in / machine->io_in_bytes_per_second;
  if (machine->io_out_bytes_per_second > 0) stream = fmax(stream, out / machine->io_out_bytes_per_second);
  return fmax(compute + STREAM_SHOWS * stream, stream) * schedule->iterations;
}

static uint32_t list_divisors(uint32_t number, uint32_t *out) {
  uint32_t count = 0;
  for (uint32_t d = 1; d <= number; ++d)
    if (number % d == 0) out[count++] = d;
  return count;
}

// The schedule with the largest micro-batch that fits under `recompute`; the status of the smallest if none does.
static weft_status largest_fitting(const weft_network *network, const weft_machine *machine, const weft_run *run,
                                   weft_recompute recompute, weft_schedule **out_schedule) {
  uint32_t share = run->batch / run->systems;
  uint32_t *divisors = weft_allocate_array(share, sizeof *divisors);
  uint32_t count = list_divisors(share, divisors);
  if (run->micro_batch) {
    divisors[0] = run->micro_batch;
    count = 1;
  }
  weft_schedule *best = NULL;
  weft_status reason = NULL;
  uint32_t low = 0, high = count;  // divisors[..low) fit, divisors[high..) do not
  for (uint32_t at = count - 1; low < high; at = (low + high) / 2) {
    weft_schedule *schedule = NULL;
    weft_status status = weft_compile_cut(network, machine, run, (weft_cut){divisors[at], recompute}, &schedule);
    if (status && weft_status_code(status) != WEFT_INFEASIBLE) {
      weft_status_free(reason);
      reason = status;
      weft_schedule_destroy(best);
      best = NULL;
      break;
    }
    weft_status_free(reason);
    reason = status;
    if (status) {
      high = at;
      continue;
    }
    weft_schedule_destroy(best);
    best = schedule;
    low = at + 1;
  }
  free(divisors);
  if (best) {
    weft_status_free(reason);
    *out_schedule = best;
    return NULL;
  }
  return reason;
}

weft_status weft_partition(const weft_network *network, const weft_machine *machine, const weft_run *run,
                           weft_schedule **out_schedule) {
  if (run->mode != WEFT_TRAIN) {
    weft_cut cut = {run->batch / run->systems, WEFT_RECOMPUTE_NONE};
    return weft_compile_cut(network, machine, run, cut, out_schedule);
  }
  if (run->recompute != WEFT_RECOMPUTE_AUTO)
    return largest_fitting(network, machine, run, run->recompute, out_schedule);
  weft_schedule *keep = NULL, *again = NULL;
  weft_status keep_status = largest_fitting(network, machine, run, WEFT_RECOMPUTE_NONE, &keep);
  if (keep_status && weft_status_code(keep_status) != WEFT_INFEASIBLE) return keep_status;
  if (keep && keep->iterations == 1) {
    *out_schedule = keep;
    return NULL;
  }
  weft_status again_status = largest_fitting(network, machine, run, WEFT_RECOMPUTE_BLOCK, &again);
  weft_status_free(keep_status);
  if (again_status && (!keep || weft_status_code(again_status) != WEFT_INFEASIBLE)) {
    weft_schedule_destroy(keep);
    return again_status;
  }
  weft_status_free(again_status);
  bool choose_again = again && (!keep || estimate_seconds(again) < estimate_seconds(keep));
  *out_schedule = choose_again ? again : keep;
  weft_schedule_destroy(choose_again ? keep : again);
  return NULL;
}
