// Schedules made by hand, step by step, on machines with round numbers, so that tests can say to the nanosecond when
// everything happens.
//
// The processor computes 1 FLOP/ns, the mesh is whatever a test makes of it, links and store carry 1 byte/ns where a
// test does not say otherwise: a step of N FLOPs or bytes takes N ns.
#ifndef WEFT_TESTS_SIM_RIG_H
#define WEFT_TESTS_SIM_RIG_H

#include <stddef.h>

#include "compiler/schedule.h"
#include "sim/sim.h"

enum { RIG_STEPS = 64, RIG_EVENTS = 4096 };

typedef struct rig {
  weft_schedule schedule;
  weft_machine machine;
  weft_step steps[RIG_STEPS];
  uint32_t dependencies[4 * RIG_STEPS];
  weft_tensor tensors[RIG_STEPS];
  // of the last rig_run
  weft_sim_report report;
  weft_trace_event events[RIG_EVENTS];
  uint32_t event_count, sample_count;
  double highest[WEFT_COUNTER_COUNT];
} rig;

void rig_init(rig *r, weft_device_kind kind);

// Steps are added in order; `after` is a step that must end first, or WEFT_NONE.
uint32_t rig_step(rig *r, weft_queue queue, weft_op op, uint64_t amount,
                  uint32_t after);  // amount: FLOPs on compute, else bytes
uint32_t rig_in(rig *r, uint64_t bytes, uint32_t after);
uint32_t rig_compute(rig *r, uint64_t flops, uint32_t after);
uint32_t rig_out(rig *r, uint64_t bytes, uint32_t after);
uint32_t rig_reduce(rig *r, uint64_t bytes, uint32_t after);
uint32_t rig_update(rig *r, uint64_t bytes, uint32_t after);
// Two steps hand chunks over.
void rig_pair(rig *r, uint32_t a, uint32_t b, uint32_t chunks, uint32_t ring);
// An operand of a step: a tensor of its own in slot `slot` (WEFT_NONE: at the store).
uint32_t rig_tensor(rig *r, uint64_t rows, uint64_t columns, weft_residency residency, uint32_t slot);
// All steps so far are the body, and it runs so often.
void rig_repeat(rig *r, uint32_t iterations);

// Runs with a sink that collects; the test fails if the simulation does.
void rig_run(rig *r);
weft_status rig_try(rig *r);
const weft_trace_event *rig_event(const rig *r, uint32_t step, uint32_t iteration);
void rig_expect(const rig *r, uint32_t step, uint32_t iteration, uint64_t start_ns, uint64_t end_ns, uint64_t busy_ns);
void rig_expect_total(const rig *r, double ns);
void rig_expect_exposed(const rig *r, weft_cause cause, double ns);
void rig_expect_sum(const rig *r);  // exposed time sums to the whole

#endif
