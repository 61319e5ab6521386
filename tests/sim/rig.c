#include "tests/sim/rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void rig_init(rig *r, weft_device_kind kind) {
  memset(r, 0, sizeof *r);
  weft_machine *m = &r->machine;
  strcpy(m->name, "rig");
  m->kind = kind;
  m->max_systems = 1024;
  m->swarm_fan_out = 4;
  m->io_in_bytes_per_second = m->io_out_bytes_per_second = 1e9;
  m->store_bytes_per_second = 4e9;
  m->swarm_bytes_per_second = 1e9;
  m->roofline = (weft_roofline){.f32_flops_per_second = 1e9,
                                .f16_flops_per_second = 1e9,
                                .bf16_flops_per_second = 1e9,
                                .memory_bytes = 1e12,
                                .memory_bytes_per_second = 1e15,
                                .cores = 1,
                                .copy_bytes_per_second = 1e9,
                                .sharing_efficiency = 1,
                                .compute_efficiency = 1,
                                .memory_efficiency = 1};
  m->mesh = (weft_mesh){.columns = 4,
                        .rows = 2,
                        .clock_hz = 1e9,
                        .sram_bytes_per_core = 49152,
                        .banks = 8,
                        .f32_per_cycle = 1,
                        .f16_per_cycle = 4,
                        .mixed_per_cycle = 2,
                        .elementwise_f32_per_cycle = 2,
                        .elementwise_f16_per_cycle = 4,
                        .router_ports = 5,
                        .colours = 24,
                        .link_words_per_cycle = 1};
  weft_schedule *s = &r->schedule;
  s->machine = m;
  strcpy(s->network.name, "rig");
  s->run = (weft_run){.mode = WEFT_TRAIN, .batch = 1, .sequence = 1, .systems = 1, .dtype = WEFT_F32};
  s->micro_batch = s->iterations = 1;
  s->steps = r->steps;
  s->dependencies = r->dependencies;
  s->tensors = r->tensors;
}

static weft_step_kind kind_of(weft_queue queue) {
  static const weft_step_kind kinds[] = {WEFT_STREAM_IN, WEFT_COMPUTE, WEFT_COLLECTIVE, WEFT_STREAM_OUT, WEFT_UPDATE};
  return kinds[queue];
}

uint32_t rig_step(rig *r, weft_queue queue, weft_op op, uint64_t amount, uint32_t after) {
  weft_schedule *s = &r->schedule;
  assert_true(s->step_count < RIG_STEPS);
  weft_step *step = &r->steps[s->step_count];
  *step = (weft_step){.kind = kind_of(queue),
                      .op = op,
                      .queue = queue,
                      .layer = -1,
                      .partner = WEFT_NONE,
                      .chunks = 1,
                      .ring = 1,
                      .rows = 1,
                      .in = 1,
                      .out = 1,
                      .first_dependency = s->dependency_count};
  memset(step->inputs, 0xff, sizeof step->inputs);
  memset(step->outputs, 0xff, sizeof step->outputs);
  if (queue == WEFT_QUEUE_COMPUTE)
    step->flops = (double)amount;
  else
    step->bytes = amount;
  if (after != WEFT_NONE) {
    r->dependencies[s->dependency_count++] = after;
    step->dependency_count = 1;
  }
  s->body = s->step_count + 1;
  return s->step_count++;
}

uint32_t rig_in(rig *r, uint64_t bytes, uint32_t after) {
  return rig_step(r, WEFT_QUEUE_STREAM_IN, WEFT_OP_LOAD, bytes, after);
}
uint32_t rig_compute(rig *r, uint64_t flops, uint32_t after) {
  return rig_step(r, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR, flops, after);
}
uint32_t rig_out(rig *r, uint64_t bytes, uint32_t after) {
  return rig_step(r, WEFT_QUEUE_STREAM_OUT, WEFT_OP_STORE_GRADIENT, bytes, after);
}
uint32_t rig_reduce(rig *r, uint64_t bytes, uint32_t after) {
  return rig_step(r, WEFT_QUEUE_REDUCE, WEFT_OP_ALL_REDUCE, bytes, after);
}
uint32_t rig_update(rig *r, uint64_t bytes, uint32_t after) {
  return rig_step(r, WEFT_QUEUE_UPDATE, WEFT_OP_ADAMW, bytes, after);
}

void rig_pair(rig *r, uint32_t a, uint32_t b, uint32_t chunks, uint32_t ring) {
  for (int i = 0; i < 2; ++i) {
    weft_step *step = &r->steps[i ? b : a];
    step->partner = i ? a : b;
    step->chunks = chunks;
    step->ring = ring;
  }
}

uint32_t rig_tensor(rig *r, uint64_t rows, uint64_t columns, weft_residency residency, uint32_t slot) {
  assert_true(r->schedule.tensor_count < RIG_STEPS);
  r->tensors[r->schedule.tensor_count] = (weft_tensor){.name = "x",
                                                       .residency = residency,
                                                       .dtype = WEFT_F32,
                                                       .rank = 2,
                                                       .shape = {rows, columns},
                                                       .parent = WEFT_NONE,
                                                       .slot = slot,
                                                       .parameter = WEFT_NONE};
  return r->schedule.tensor_count++;
}

void rig_repeat(rig *r, uint32_t iterations) {
  r->schedule.body = r->schedule.step_count;
  r->schedule.iterations = iterations;
}

static weft_status collect_event(void *context, const weft_trace_event *event) {
  rig *r = context;
  assert_true(r->event_count < RIG_EVENTS);
  r->events[r->event_count++] = *event;
  return NULL;
}

static weft_status collect_counter(void *context, weft_counter counter, uint64_t time_ns, double value) {
  rig *r = context;
  (void)time_ns;
  ++r->sample_count;
  r->highest[counter] = fmax(r->highest[counter], value);
  return NULL;
}

weft_status rig_try(rig *r) {
  weft_trace_sink sink = {r, collect_event, collect_counter};
  r->event_count = r->sample_count = 0;
  memset(r->highest, 0, sizeof r->highest);
  memset(&r->report, 0, sizeof r->report);
  return weft_sim_run(&r->schedule, &sink, &r->report);
}

void rig_run(rig *r) {
  weft_status status = rig_try(r);
  if (status) fail_msg("%s", weft_status_message(status));
  rig_expect_sum(r);
}

const weft_trace_event *rig_event(const rig *r, uint32_t step, uint32_t iteration) {
  for (uint32_t i = 0; i < r->event_count; ++i)
    if (r->events[i].step == step && r->events[i].iteration == iteration) return &r->events[i];
  fail_msg("step %u has no event in iteration %u", step, iteration);
  return NULL;
}

void rig_expect(const rig *r, uint32_t step, uint32_t iteration, uint64_t start_ns, uint64_t end_ns, uint64_t busy_ns) {
  const weft_trace_event *event = rig_event(r, step, iteration);
  if (event->start_ns != start_ns || event->end_ns != end_ns || event->busy_ns != busy_ns)
    fail_msg("step %u, iteration %u: %lu to %lu ns, busy %lu; expected %lu to %lu, busy %lu", step, iteration,
             (unsigned long)event->start_ns, (unsigned long)event->end_ns, (unsigned long)event->busy_ns,
             (unsigned long)start_ns, (unsigned long)end_ns, (unsigned long)busy_ns);
}

static void expect_near(const char *what, double got, double wanted) {
  if (!(fabs(got - wanted) <= 1e-12 + 1e-9 * fabs(wanted)))
    fail_msg("%s: %.15g s; expected %.15g s", what, got, wanted);
}

void rig_expect_total(const rig *r, double ns) { expect_near("whole", r->report.step_seconds, ns * 1e-9); }

void rig_expect_exposed(const rig *r, weft_cause cause, double ns) {
  expect_near(weft_cause_name(cause), r->report.exposed_seconds[cause], ns * 1e-9);
}

void rig_expect_sum(const rig *r) {
  double sum = 0;
  for (int i = 0; i < WEFT_CAUSE_COUNT; ++i) {
    assert_true(r->report.exposed_seconds[i] >= 0);
    sum += r->report.exposed_seconds[i];
  }
  expect_near("sum of exposed times", sum, r->report.step_seconds);
}
