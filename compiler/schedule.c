#include "compiler/schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const residency_names[] = {"activation", "weight",   "gradient",  "cache",
                                              "input",      "output",   "parameter", "summed gradient",
                                              "moment 1",   "moment 2", "scalar"};
static const char *const kind_names[] = {"stream-in", "compute", "collective", "stream-out", "update", "move"};
static const char *const queue_names[] = {"stream-in", "compute", "reduce", "stream-out", "update"};
static const char *const phase_names[] = {"forward", "backward", "optimize"};

_Static_assert(sizeof residency_names / sizeof *residency_names == WEFT_RESIDENCY_COUNT, "one name per residency");
_Static_assert(sizeof kind_names / sizeof *kind_names == WEFT_STEP_KIND_COUNT, "one name per kind");
_Static_assert(sizeof queue_names / sizeof *queue_names == WEFT_QUEUE_COUNT, "one name per queue");

const char *weft_residency_name(weft_residency residency) {
  return residency < WEFT_RESIDENCY_COUNT ? residency_names[residency] : "?";
}
const char *weft_step_kind_name(weft_step_kind kind) { return kind < WEFT_STEP_KIND_COUNT ? kind_names[kind] : "?"; }
const char *weft_queue_name(weft_queue queue) { return queue < WEFT_QUEUE_COUNT ? queue_names[queue] : "?"; }
const char *weft_phase_name(weft_phase phase) { return phase < WEFT_PHASE_COUNT ? phase_names[phase] : "?"; }

weft_schedule *weft_schedule_create(void) {
  weft_schedule *schedule = weft_allocate(sizeof *schedule);
  weft_arena_init(&schedule->arena);
  return schedule;
}

void weft_schedule_destroy(weft_schedule *schedule) {
  if (!schedule) return;
  weft_machine_destroy(schedule->machine);
  weft_arena_finish(&schedule->arena);
  free(schedule);
}

uint64_t weft_tensor_elements(const weft_tensor *tensor) {
  uint64_t elements = 1;
  for (uint32_t d = 0; d < tensor->rank; ++d) elements *= tensor->shape[d];
  return elements;
}

uint64_t weft_tensor_bytes(const weft_tensor *tensor) {
  uint64_t bytes = 0;
  (void)weft_dtype_bytes(tensor->dtype, weft_tensor_elements(tensor), &bytes);
  return bytes;
}

// The tensor that a step is about, for people: its weight if it has one, else what it makes.
static uint32_t subject(const weft_schedule *schedule, const weft_step *step) {
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    if (step->inputs[i] == WEFT_NONE) continue;
    weft_residency r = schedule->tensors[step->inputs[i]].residency;
    if (r == WEFT_WEIGHT || r == WEFT_STORE_PARAMETER) return step->inputs[i];
  }
  return step->outputs[0] != WEFT_NONE ? step->outputs[0] : step->inputs[0];
}

char *weft_step_describe(const weft_schedule *schedule, uint32_t index) {
  const weft_step *step = &schedule->steps[index];
  uint32_t tensor = subject(schedule, step);
  return weft_format("%s%s %s %s", weft_phase_name(step->phase), step->recomputed ? " again" : "",
                     weft_op_name(step->op), tensor == WEFT_NONE ? "" : schedule->tensors[tensor].name);
}

uint64_t weft_schedule_tokens(const weft_schedule *schedule) {
  const weft_run *run = &schedule->run;
  return (uint64_t)run->batch * (run->mode == WEFT_DECODE ? 1 : run->sequence);
}

double weft_schedule_flops(const weft_schedule *schedule, bool recomputed) {
  double flops = 0;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    if (step->kind == WEFT_COMPUTE && (recomputed || !step->recomputed))
      flops += step->flops * weft_step_runs(schedule, s);
  }
  return flops;
}

static void print_run(const weft_schedule *schedule, FILE *out) {
  const weft_run *run = &schedule->run;
  fprintf(out, "network       %s\nmachine       %s, %u system%s\n", schedule->network.name, schedule->machine->name,
          run->systems, run->systems == 1 ? "" : "s");
  fprintf(out, "run           %s, batch %u x %u tokens, %s", weft_mode_name(run->mode), run->batch, run->sequence,
          weft_dtype_name(run->dtype));
  if (run->mode == WEFT_TRAIN)
    fprintf(out, ", %s, %u iteration%s of %u sequence%s per system, recompute %s", weft_optimizer_name(run->optimizer),
            schedule->iterations, schedule->iterations == 1 ? "" : "s", schedule->micro_batch,
            schedule->micro_batch == 1 ? "" : "s", weft_recompute_name(schedule->recompute));
  fputc('\n', out);
}

void weft_schedule_print(const weft_schedule *schedule, FILE *out) {
  print_run(schedule, out);
  uint64_t counts[WEFT_QUEUE_COUNT] = {0}, bytes[WEFT_QUEUE_COUNT] = {0}, chunks[WEFT_QUEUE_COUNT] = {0};
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    uint64_t runs = weft_step_runs(schedule, s);
    counts[step->queue] += runs;
    bytes[step->queue] += step->bytes * runs;
    chunks[step->queue] += step->chunks * runs;
  }
  char text[32], other[32];
  fprintf(out, "steps         %u (%u per iteration), %u tensors in %u slots, %u dependencies between queues\n",
          schedule->step_count, schedule->body, schedule->tensor_count, schedule->slot_count,
          schedule->dependency_count);
  fprintf(out, "memory        %s of %s%s\n", weft_text_bytes((double)schedule->memory_bytes, text),
          weft_text_bytes((double)schedule->memory_limit, other),
          schedule->machine->kind == WEFT_MESH ? " in every core" : "");
  fprintf(out, "work          %s per system", weft_text_si(weft_schedule_flops(schedule, false), "FLOP", text));
  if (schedule->recompute == WEFT_RECOMPUTE_BLOCK)
    fprintf(out, ", %s with recomputation", weft_text_si(weft_schedule_flops(schedule, true), "FLOP", other));
  fprintf(out, "\nhash          %016" PRIx64 "\n", weft_schedule_hash(schedule));
  for (int q = 0; q < WEFT_QUEUE_COUNT; ++q)
    if (counts[q])
      fprintf(out, "%-13s %" PRIu64 " steps in %" PRIu64 " chunks, %s\n", weft_queue_name((weft_queue)q), counts[q],
              chunks[q], weft_text_bytes((double)bytes[q], text));
}
