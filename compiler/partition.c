// Cuts a training batch into micro-batches and decides what the backward pass recomputes.
//
// A larger micro-batch streams the weights less often; keeping all activations saves a third of the forward work; both
// cost memory. Memory grows with the micro-batch, so for each policy the largest micro-batch that fits is found by
// bisection over the divisors of the batch. It and the next smaller ones, which leave room to gather tokens in
// (sim/region.h), are judged by an estimate of the step's time, and the best of both policies is taken.
#include <math.h>
#include <stdlib.h>

#include "compiler/passes.h"

// For choosing between cuts alone, from the machine's own numbers.

// Tokens that a core holds, and those that its products run over: also those of neighbours in its column, in all a
// power of two times as many, as there is room for in the widest product.
typedef struct vector_lengths {
  double own, gathered;
} vector_lengths;

static vector_lengths find_lengths(const weft_schedule *schedule) {
  const weft_mesh *mesh = &schedule->machine->mesh;
  const weft_network *network = &schedule->network;
  double tokens = (double)schedule->micro_batch * schedule->run.sequence, own = ceil(tokens / mesh->rows);
  double features = ceil(fmax(network->hidden, network->intermediate) / mesh->columns), gathered = own;
  double room = (double)(schedule->memory_limit - schedule->memory_bytes) / (schedule->run.dtype == WEFT_F32 ? 4 : 2);
  for (double groups = 2; groups <= mesh->rows; groups *= 2) {
    double length = ceil(tokens * groups / mesh->rows);
    if (features * (length - own) > room) break;
    gathered = length;
  }
  return (vector_lengths){own, gathered};
}

// FLOP/s on a mesh. Each vector operation costs its start-up: over n tokens at r multiply-accumulates per cycle, n / (n
// + r startup) of the rate is reached.
static double vector_rate(const weft_schedule *schedule, double length) {
  const weft_mesh *mesh = &schedule->machine->mesh;
  double rate = schedule->run.dtype == WEFT_F32 ? mesh->f32_per_cycle : mesh->mixed_per_cycle;
  double cores = (double)mesh->rows * mesh->columns;
  return 2 * rate * mesh->clock_hz * cores * length / (length + rate * mesh->vector_startup_cycles);
}

// Attention works on its own tokens only. A processor's file says what share of the peak it reaches.
static double compute_seconds(const weft_schedule *schedule) {
  const weft_machine *machine = schedule->machine;
  double flops = 0, attention = 0;
  for (uint32_t s = 0; s < schedule->body; ++s) {
    const weft_step *step = &schedule->steps[s];
    bool attends = step->op == WEFT_OP_ATTENTION || step->op == WEFT_OP_ATTENTION_BACKWARD;
    if (step->kind == WEFT_COMPUTE) *(attends ? &attention : &flops) += step->flops;
  }
  if (machine->kind != WEFT_MESH)
    return (flops + attention) /
           (weft_machine_peak_flops(machine, schedule->run.dtype) * machine->roofline.compute_efficiency);
  vector_lengths lengths = find_lengths(schedule);
  return flops / vector_rate(schedule, lengths.gathered) + attention / vector_rate(schedule, lengths.own);
}

// Streams overlap with arithmetic, so the slower of the two counts.
static double estimate_seconds(const weft_schedule *schedule) {
  const weft_machine *machine = schedule->machine;
  double in = 0, out = 0, seconds = compute_seconds(schedule);
  for (uint32_t s = 0; s < schedule->body; ++s) {
    const weft_step *step = &schedule->steps[s];
    if (step->kind == WEFT_STREAM_IN) in += (double)step->bytes;
    if (step->kind == WEFT_STREAM_OUT) out += (double)step->bytes;
  }
  if (machine->io_in_bytes_per_second > 0) seconds = fmax(seconds, in / machine->io_in_bytes_per_second);
  if (machine->io_out_bytes_per_second > 0) seconds = fmax(seconds, out / machine->io_out_bytes_per_second);
  return seconds * schedule->iterations;
}

static uint32_t list_divisors(uint32_t number, uint32_t *out) {
  uint32_t count = 0;
  for (uint32_t d = 1; d <= number; ++d)
    if (number % d == 0) out[count++] = d;
  return count;
}

enum { SMALLER_CUTS = 4 };

// Replaces *best by a schedule with one of the next smaller micro-batches where that is estimated to be quicker.
static weft_status try_smaller(const weft_network *network, const weft_machine *machine, const weft_run *run,
                               weft_recompute recompute, const uint32_t *divisors, uint32_t largest,
                               weft_schedule **best) {
  double seconds = estimate_seconds(*best);
  for (uint32_t i = 1; i <= SMALLER_CUTS && i <= largest; ++i) {
    weft_schedule *schedule;
    WEFT_TRY(weft_compile_cut(network, machine, run, (weft_cut){divisors[largest - i], recompute}, &schedule));
    double here = estimate_seconds(schedule);
    bool better = here < seconds;
    if (better) seconds = here;
    weft_schedule_destroy(better ? *best : schedule);
    if (better) *best = schedule;
  }
  return NULL;
}

// The best schedule under `recompute` that fits; the status of the smallest micro-batch if none does.
static weft_status best_fitting(const weft_network *network, const weft_machine *machine, const weft_run *run,
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
  if (best) {
    weft_status_free(reason);
    reason = low > 0 && machine->kind == WEFT_MESH
                 ? try_smaller(network, machine, run, recompute, divisors, low - 1, &best)
                 : NULL;
    if (reason)
      weft_schedule_destroy(best);
    else
      *out_schedule = best;
  }
  free(divisors);
  return reason;
}

weft_status weft_partition(const weft_network *network, const weft_machine *machine, const weft_run *run,
                           weft_schedule **out_schedule) {
  if (run->mode != WEFT_TRAIN) {
    weft_cut cut = {run->batch / run->systems, WEFT_RECOMPUTE_NONE};
    return weft_compile_cut(network, machine, run, cut, out_schedule);
  }
  if (run->recompute != WEFT_RECOMPUTE_AUTO) return best_fitting(network, machine, run, run->recompute, out_schedule);
  weft_schedule *keep = NULL, *again = NULL;
  weft_status keep_status = best_fitting(network, machine, run, WEFT_RECOMPUTE_NONE, &keep);
  if (keep_status && weft_status_code(keep_status) != WEFT_INFEASIBLE) return keep_status;
  if (keep && keep->iterations == 1) {
    *out_schedule = keep;
    return NULL;
  }
  weft_status again_status = best_fitting(network, machine, run, WEFT_RECOMPUTE_BLOCK, &again);
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
