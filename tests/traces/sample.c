#include "tests/traces/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WEIGHT0,
  WEIGHT1,
  STORED0,
  STORED1,
  GRADIENT0,
  GRADIENT1,
  HIDDEN0,
  HIDDEN1,
  HIDDEN2,
  ERROR0,
  ERROR1,
  ERROR2,
  SUM0,
  SUM1,
  TENSORS
};

static weft_tensor tensors[TENSORS] = {[WEIGHT0] = {.name = "layers.0.weight", .residency = WEFT_WEIGHT},
                                       [WEIGHT1] = {.name = "layers.1.weight", .residency = WEFT_WEIGHT},
                                       [STORED0] = {.name = "layers.0.weight", .residency = WEFT_STORE_PARAMETER},
                                       [STORED1] = {.name = "layers.1.weight", .residency = WEFT_STORE_PARAMETER},
                                       [GRADIENT0] = {.name = "layers.0.weight.gradient", .residency = WEFT_GRADIENT},
                                       [GRADIENT1] = {.name = "layers.1.weight.gradient", .residency = WEFT_GRADIENT},
                                       [HIDDEN0] = {.name = "hidden.0", .residency = WEFT_ACTIVATION},
                                       [HIDDEN1] = {.name = "hidden.1", .residency = WEFT_ACTIVATION},
                                       [HIDDEN2] = {.name = "hidden.2", .residency = WEFT_ACTIVATION},
                                       [ERROR0] = {.name = "error.0", .residency = WEFT_ACTIVATION},
                                       [ERROR1] = {.name = "error.1", .residency = WEFT_ACTIVATION},
                                       [ERROR2] = {.name = "error.2", .residency = WEFT_ACTIVATION},
                                       [SUM0] = {.name = "layers.0.weight.sum", .residency = WEFT_STORE_GRADIENT},
                                       [SUM1] = {.name = "layers.1.weight.sum", .residency = WEFT_STORE_GRADIENT}};

static weft_step steps[SAMPLE_STEPS];
static weft_machine machine;
static weft_schedule schedule;

static void set(uint32_t index, weft_step_kind kind, weft_queue queue, weft_op op, weft_phase phase, int32_t layer,
                uint32_t a, uint32_t b, uint32_t to) {
  weft_step *step = &steps[index];
  *step = (weft_step){.kind = kind,
                      .op = op,
                      .queue = queue,
                      .phase = phase,
                      .layer = layer,
                      .partner = WEFT_NONE,
                      .chunks = 1,
                      .ring = 1,
                      .bytes = 1000 + index};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) step->inputs[i] = WEFT_NONE;
  for (int o = 0; o < WEFT_OP_MAX_OUTPUTS; ++o) step->outputs[o] = WEFT_NONE;
  step->inputs[0] = a;
  step->inputs[1] = b;
  step->outputs[0] = to;
  if (kind == WEFT_COMPUTE) step->flops = 1e9 + index;
}

static void pair(uint32_t a, uint32_t b) {
  steps[a].partner = b;
  steps[b].partner = a;
  steps[a].chunks = steps[b].chunks = 4;
  steps[a].ring = steps[b].ring = 2;
}

static void fill(void) {
  set(0, WEFT_STREAM_IN, WEFT_QUEUE_STREAM_IN, WEFT_OP_LOAD, WEFT_FORWARD, 0, STORED0, WEFT_NONE, WEIGHT0);
  set(1, WEFT_COMPUTE, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR, WEFT_FORWARD, 0, HIDDEN0, WEIGHT0, HIDDEN1);
  set(2, WEFT_STREAM_IN, WEFT_QUEUE_STREAM_IN, WEFT_OP_LOAD, WEFT_FORWARD, 1, STORED1, WEFT_NONE, WEIGHT1);
  set(3, WEFT_COMPUTE, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR, WEFT_FORWARD, 1, HIDDEN1, WEIGHT1, HIDDEN2);
  set(4, WEFT_STREAM_IN, WEFT_QUEUE_STREAM_IN, WEFT_OP_LOAD, WEFT_BACKWARD, 1, STORED1, WEFT_NONE, WEIGHT1);
  set(5, WEFT_COMPUTE, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR_BACKWARD_INPUT, WEFT_BACKWARD, 1, ERROR2, WEIGHT1, ERROR1);
  set(6, WEFT_COMPUTE, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR_BACKWARD_WEIGHT, WEFT_BACKWARD, 1, ERROR2, HIDDEN1,
      GRADIENT1);
  set(7, WEFT_STREAM_OUT, WEFT_QUEUE_STREAM_OUT, WEFT_OP_STORE_GRADIENT, WEFT_BACKWARD, 1, GRADIENT1, WEFT_NONE, SUM1);
  set(8, WEFT_STREAM_IN, WEFT_QUEUE_STREAM_IN, WEFT_OP_LOAD, WEFT_BACKWARD, 0, STORED0, WEFT_NONE, WEIGHT0);
  set(9, WEFT_COMPUTE, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR_BACKWARD_INPUT, WEFT_BACKWARD, 0, ERROR1, WEIGHT0, ERROR0);
  set(10, WEFT_COMPUTE, WEFT_QUEUE_COMPUTE, WEFT_OP_LINEAR_BACKWARD_WEIGHT, WEFT_BACKWARD, 0, ERROR1, HIDDEN0,
      GRADIENT0);
  set(11, WEFT_STREAM_OUT, WEFT_QUEUE_STREAM_OUT, WEFT_OP_STORE_GRADIENT, WEFT_BACKWARD, 0, GRADIENT0, WEFT_NONE, SUM0);
  set(12, WEFT_UPDATE, WEFT_QUEUE_UPDATE, WEFT_OP_ADAMW, WEFT_OPTIMIZE, 0, STORED0, SUM0, STORED0);
  set(13, WEFT_UPDATE, WEFT_QUEUE_UPDATE, WEFT_OP_ADAMW, WEFT_OPTIMIZE, 1, STORED1, SUM1, STORED1);
  pair(0, 1);
  pair(6, 7);
}

const weft_schedule *sample_schedule(void) {
  if (schedule.steps) return &schedule;
  for (int t = 0; t < TENSORS; ++t) tensors[t].parent = tensors[t].slot = tensors[t].parameter = WEFT_NONE;
  fill();
  machine.kind = WEFT_MESH;
  snprintf(machine.name, sizeof machine.name, "sample-mesh");
  snprintf(schedule.network.name, sizeof schedule.network.name, "sample-network");
  schedule.machine = &machine;
  schedule.iterations = SAMPLE_ITERATIONS;
  schedule.body = SAMPLE_BODY;
  schedule.tensors = tensors;
  schedule.tensor_count = TENSORS;
  schedule.steps = steps;
  schedule.step_count = SAMPLE_STEPS;
  return &schedule;
}

weft_trace_header sample_header(weft_trace_kind kind, const char *computer) {
  const weft_schedule *s = sample_schedule();
  weft_trace_header header = {.kind = kind,
                              .schedule_hash = UINT64_C(0xfedcba9876543210),
                              .step_count = s->step_count,
                              .body = s->body,
                              .iterations = s->iterations};
  snprintf(header.network, sizeof header.network, "%.95s", s->network.name);
  snprintf(header.machine, sizeof header.machine, "%.63s", s->machine->name);
  snprintf(header.timed_on, sizeof header.timed_on, "%s", computer);
  snprintf(header.maker, sizeof header.maker, "tests/traces");
  return header;
}

static void must(weft_status status) {
  if (!status) return;
  fprintf(stderr, "sample: %s\n", weft_status_message(status));
  abort();
}

// Steps start 100 ns apart (times slowness) and last 100, streams 150 on two lanes in turn, so neighbours share
// boundaries and streams overlap each other and their consumers.
void sample_run(double slowness, const weft_trace_sink *sink) {
  uint32_t streams[WEFT_QUEUE_COUNT] = {0}, slot = 0;
  for (uint32_t turn = 0; turn <= SAMPLE_ITERATIONS; ++turn) {
    uint32_t first = turn < SAMPLE_ITERATIONS ? 0 : SAMPLE_BODY,
             past = turn < SAMPLE_ITERATIONS ? SAMPLE_BODY : SAMPLE_STEPS;
    for (uint32_t s = first; s < past; ++s, ++slot) {
      const weft_step *step = &steps[s];
      bool stream = step->queue == WEFT_QUEUE_STREAM_IN || step->queue == WEFT_QUEUE_STREAM_OUT;
      weft_trace_event event = {.step = s,
                                .iteration = turn < SAMPLE_ITERATIONS ? turn : 0,
                                .queue = step->queue,
                                .bytes = step->bytes,
                                .flops = step->flops};
      if (stream) event.lane = (uint8_t)(streams[step->queue]++ % 2);
      event.start_ns = (uint64_t)(100 * slot * slowness);
      event.end_ns = event.start_ns + (uint64_t)((stream ? 150 : 100) * slowness);
      event.busy_ns = (event.end_ns - event.start_ns) / 2;
      must(sink->event(sink->context, &event));
    }
    if (turn == SAMPLE_ITERATIONS) break;
    for (int c = 0; c < WEFT_COUNTER_COUNT; ++c)
      must(sink->counter(sink->context, (weft_counter)c, (uint64_t)(100 * slot * slowness), 10.5 * c + turn));
  }
}
