// Finds what every step must wait for in other queues: who made its operands, who still reads what it overwrites, and
// who used its outputs' slots before. A queue's own order, and what follows from dependencies already there, is left
// out.
#include <stdlib.h>
#include <string.h>

#include "compiler/passes.h"

static void later(uint32_t need[WEFT_QUEUE_COUNT], const uint32_t steps[WEFT_QUEUE_COUNT]) {
  for (int q = 0; q < WEFT_QUEUE_COUNT; ++q)
    if (steps[q] > need[q]) need[q] = steps[q];
}

void weft_users_need(const weft_schedule *schedule, const weft_users *tensors, const weft_users *slots, uint32_t step,
                     uint32_t need[WEFT_QUEUE_COUNT]) {
  const weft_step *s = &schedule->steps[step];
  memset(need, 0, WEFT_QUEUE_COUNT * sizeof *need);
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
    if (s->inputs[i] != WEFT_NONE) later(need, tensors[weft_tensor_root(schedule, s->inputs[i])].wrote);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    if (s->outputs[i] == WEFT_NONE) continue;
    uint32_t root = weft_tensor_root(schedule, s->outputs[i]), slot = schedule->tensors[root].slot;
    later(need, tensors[root].used);
    if (slot != WEFT_NONE) later(need, slots[slot].used);
  }
}

static void note(const weft_schedule *schedule, weft_users *tensors, weft_users *slots, uint32_t tensor, uint32_t step,
                 bool wrote) {
  if (tensor == WEFT_NONE) return;
  uint32_t root = weft_tensor_root(schedule, tensor), slot = schedule->tensors[root].slot;
  weft_queue queue = schedule->steps[step].queue;
  if (wrote) tensors[root].wrote[queue] = step + 1;
  tensors[root].used[queue] = step + 1;
  if (slot != WEFT_NONE) slots[slot].used[queue] = step + 1;
}

void weft_users_note(const weft_schedule *schedule, weft_users *tensors, weft_users *slots, uint32_t step) {
  const weft_step *s = &schedule->steps[step];
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) note(schedule, tensors, slots, s->inputs[i], step, false);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) note(schedule, tensors, slots, s->outputs[i], step, true);
}

// In descending order of step, skipping what an earlier pick implies.
static void depend(weft_schedule *schedule, uint32_t step, const uint32_t need[], const weft_clock *clocks,
                   const uint32_t last[], uint32_t *list, uint32_t *count) {
  const weft_step *s = &schedule->steps[step];
  uint32_t known[WEFT_QUEUE_COUNT] = {0};
  if (last[s->queue] != WEFT_NONE) later(known, clocks[last[s->queue]].after);
  uint32_t taken = 0, picked[WEFT_QUEUE_COUNT];
  for (;;) {
    uint32_t best = 0;
    for (uint32_t q = 0; q < WEFT_QUEUE_COUNT; ++q) {
      bool partner = s->partner != WEFT_NONE && need[q] == s->partner + 1;
      if (q == (uint32_t)s->queue || partner || need[q] <= known[q] || need[q] <= best) continue;
      best = need[q];
    }
    if (best == 0) break;
    picked[taken++] = best - 1;
    later(known, clocks[best - 1].after);
  }
  for (uint32_t i = taken; i-- > 0;) list[(*count)++] = picked[i];
}

void weft_clock_step(const weft_schedule *schedule, uint32_t step, uint32_t last[WEFT_QUEUE_COUNT],
                     weft_clock *clocks) {
  const weft_step *s = &schedule->steps[step];
  weft_clock *clock = &clocks[step];
  memset(clock, 0, sizeof *clock);
  if (last[s->queue] != WEFT_NONE) later(clock->before, clocks[last[s->queue]].after);
  for (uint32_t i = 0; i < s->dependency_count; ++i)
    later(clock->before, clocks[schedule->dependencies[s->first_dependency + i]].after);
  if (s->partner < step) later(clock->before, clocks[s->partner].before);  // its first chunk comes first
  memcpy(clock->after, clock->before, sizeof clock->after);
  if (s->partner < step) later(clock->after, clocks[s->partner].after);
  clock->after[s->queue] = step + 1;
  last[s->queue] = step;
}

void weft_order(weft_schedule *schedule) {
  weft_users *tensors = weft_allocate_array(schedule->tensor_count, sizeof *tensors);
  weft_users *slots = weft_allocate_array(schedule->slot_count, sizeof *slots);
  weft_clock *clocks = weft_allocate_array(schedule->step_count, sizeof *clocks);
  uint32_t *list = weft_allocate_array((size_t)schedule->step_count * WEFT_QUEUE_COUNT, sizeof *list);
  uint32_t count = 0, last[WEFT_QUEUE_COUNT];
  memset(last, 0xff, sizeof last);
  schedule->dependencies = list;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    weft_step *step = &schedule->steps[s];
    uint32_t need[WEFT_QUEUE_COUNT];
    weft_users_need(schedule, tensors, slots, s, need);
    step->first_dependency = count;
    depend(schedule, s, need, clocks, last, list, &count);
    step->dependency_count = count - step->first_dependency;
    weft_clock_step(schedule, s, last, clocks);
    weft_users_note(schedule, tensors, slots, s);
  }
  schedule->dependency_count = count;
  schedule->dependencies = memcpy(weft_arena_take(&schedule->arena, count * sizeof *list), list, count * sizeof *list);
  free(list);
  free(tensors);
  free(slots);
  free(clocks);
}
