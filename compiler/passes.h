// The compiler's passes; for compiler/ alone. Each takes the schedule as the one before left it.
#ifndef WEFT_COMPILER_PASSES_H
#define WEFT_COMPILER_PASSES_H

#include "compiler/schedule.h"
#include "models/graph.h"

// One way to cut the work: what partition tries.
typedef struct weft_cut {
  uint32_t micro_batch;      // sequences per system and iteration
  weft_recompute recompute;  // NONE or BLOCK
} weft_cut;

// Chooses micro-batch and recomputation: the quickest cut that fits, by an estimate of compute and streaming time.
weft_status weft_partition(const weft_network *network, const weft_machine *machine, const weft_run *run,
                           weft_schedule **out_schedule) WEFT_CHECKED;
// All passes for one cut, the checker between them.
weft_status weft_compile_cut(const weft_network *network, const weft_machine *machine, const weft_run *run,
                             weft_cut cut, weft_schedule **out_schedule) WEFT_CHECKED;

// Graph to tensors and steps: weights in ahead of their consumers, gradients out behind their producers, updates last.
void weft_stream(const weft_graph *graph, weft_schedule *schedule);
// Rectangle, chunks and work of every step.
void weft_place(weft_schedule *schedule);
// Slots with lifetimes. WEFT_INFEASIBLE with the numbers when the plan does not fit device or store.
weft_status weft_plan(weft_schedule *schedule) WEFT_CHECKED;
// Dependencies: data, and reuse of slots, between queues.
void weft_order(weft_schedule *schedule);

// Bytes that a tensor takes of the device plan: of one core's SRAM on a mesh (rows of the tensor over rows of cores,
// columns over columns, each rounded up; a stream's ring of chunks spread over all cores), else of device memory.
uint64_t weft_plan_bytes(const weft_schedule *schedule, const weft_tensor *tensor, uint32_t ring);
uint32_t weft_tensor_root(const weft_schedule *schedule, uint32_t tensor);  // itself, or its parent

// Who wrote and who used a tensor or slot last, by queue: step + 1; 0: none. Walking the steps in order, `need` says
// which steps must have ended before a step starts (partners hand over chunk by chunk instead), `note` takes the step
// into account.
typedef struct weft_users {
  uint32_t wrote[WEFT_QUEUE_COUNT], used[WEFT_QUEUE_COUNT];
} weft_users;
void weft_users_need(const weft_schedule *schedule, const weft_users *tensors, const weft_users *slots, uint32_t step,
                     uint32_t need[WEFT_QUEUE_COUNT]);
void weft_users_note(const weft_schedule *schedule, weft_users *tensors, weft_users *slots, uint32_t step);

// When a step may start and what has ended by then: for every queue, the highest step known to have ended (plus one; 0:
// none) before the step starts, and by the time it ends. In-order queues make this exact.
typedef struct weft_clock {
  uint32_t before[WEFT_QUEUE_COUNT], after[WEFT_QUEUE_COUNT];
} weft_clock;
// `last` is the clock of each queue's last step so far (WEFT_NONE none), updated. Dependencies of the step are read
// from the schedule.
void weft_clock_step(const weft_schedule *schedule, uint32_t step, uint32_t last[WEFT_QUEUE_COUNT], weft_clock *clocks);

#endif
