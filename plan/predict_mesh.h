// For predictors of wafers: the machine of a case, the execution of a kernel on it, and what the case's quantity makes
// of the cycles.
//
// Quantities and units: "cycles" in cycle, kcycle or Mcycle; "time" (also latency, runtime, seconds) in s, ms, us or ns
// at the machine's clock, or at another one: "wse2@1.1GHz", or the input "clock"; "rate" (also throughput, flops) in
// FLOP/s and its multiples, a multiply and an add counting two; "elements_per_cycle" in element/cycle.
#ifndef WEFT_PLAN_PREDICT_MESH_H
#define WEFT_PLAN_PREDICT_MESH_H

#include "compiler/kernel.h"
#include "models/machine.h"
#include "plan/predictors.h"

#ifdef __cplusplus
extern "C" {
#endif

// The inputs "machine" and "clock". NULL after a failure: not read, no mesh. The caller's (weft_machine_destroy).
weft_machine *weft_mesh_machine(weft_inputs *inputs);

// What a kernel computed, beside its cycles: for quantities other than those. 0: not meant for this subject.
typedef struct weft_work {
  double flops, elements;
} weft_work;
// The case's quantity, or uncovered where there is no such quantity or unit; see above.
double weft_mesh_result(weft_inputs *inputs, const weft_machine *machine, double cycles, weft_work work);

// Fills what the host sends through a channel; the buffer is zeroed. NULL: zeros are right.
typedef void (*weft_channel_filler)(const void *context, const weft_kernel *kernel, uint32_t channel, uint32_t *words);
// Checks and executes the kernel, which stays the caller's. WEFT_INFEASIBLE: larger than the machine's mesh, or than
// the SRAM of a core. Deadlocks and the like are WEFT_FAILED.
weft_status weft_mesh_execute(weft_inputs *inputs, weft_kernel *kernel, const weft_machine *machine,
                              weft_channel_filler filler, const void *context, double *out_cycles) WEFT_CHECKED;
// WEFT_INFEASIBLE: the machine has fewer columns or rows.
weft_status weft_mesh_fits(const weft_machine *machine, uint32_t columns, uint32_t rows) WEFT_CHECKED;
// weft_kernel_check for this machine. What a generator made of inputs that are right is WEFT_INFEASIBLE, never
// WEFT_INVALID.
weft_status weft_mesh_check(weft_kernel *kernel, const weft_machine *machine) WEFT_CHECKED;
// Bytes that simulating the kernel takes at most: SRAM in use, routers and queues.
double weft_mesh_bytes(const weft_kernel *kernel);

// Three executions at sizes[0] < sizes[1] < sizes[2], continued to `size`. Linearly, only where the cycles of the three
// grow alike within 0.2 %: else WEFT_FAILED, which says by how much they do not. Or by the parabola through the three.
typedef enum weft_continuation { WEFT_LINEAR, WEFT_PARABOLIC } weft_continuation;
weft_status weft_mesh_continue(weft_continuation form, const double sizes[3], const double cycles[3], double size,
                               double *out_cycles) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
