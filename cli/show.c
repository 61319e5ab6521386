#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cli.h"
#include "compiler/schedule.h"

static json_t *operands_json(const weft_schedule *schedule, const uint32_t *operands, int count) {
  json_t *list = json_array();
  for (int i = 0; i < count; ++i)
    if (operands[i] != WEFT_NONE) json_array_append_new(list, json_string(schedule->tensors[operands[i]].name));
  return list;
}

static json_t *step_json(const weft_schedule *schedule, uint32_t index) {
  const weft_step *step = &schedule->steps[index];
  json_t *waits = json_array();
  for (uint32_t i = 0; i < step->dependency_count; ++i)
    json_array_append_new(waits, json_integer(schedule->dependencies[step->first_dependency + i]));
  char *name = weft_step_describe(schedule, index);
  json_t *out =
      json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:i, s:I, s:f, s:o, s:o, s:o}", "step", (int)index, "name",
                name, "kind", weft_step_kind_name(step->kind), "op", weft_op_name(step->op), "queue",
                weft_queue_name(step->queue), "phase", weft_phase_name(step->phase), "layer", (int)step->layer,
                "recomputed", (int)step->recomputed, "chunks", (int)step->chunks, "bytes", (json_int_t)step->bytes,
                "flops", step->flops, "inputs", operands_json(schedule, step->inputs, WEFT_OP_MAX_INPUTS), "outputs",
                operands_json(schedule, step->outputs, WEFT_OP_MAX_OUTPUTS), "waits_for", waits);
  if (step->partner != WEFT_NONE) json_object_set_new(out, "partner", json_integer(step->partner));
  free(name);
  return out;
}

static json_t *tensor_json(const weft_tensor *t) {
  json_t *shape = json_array();
  for (uint32_t d = 0; d < t->rank; ++d) json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
  json_t *out = json_pack("{s:s, s:s, s:s, s:o}", "name", t->name, "residency", weft_residency_name(t->residency),
                          "dtype", weft_dtype_name(t->dtype), "shape", shape);
  if (t->slot != WEFT_NONE) json_object_set_new(out, "slot", json_integer(t->slot));
  return out;
}

static void print_json(const weft_schedule *schedule) {
  const weft_run *run = &schedule->run;
  char hash[24];
  snprintf(hash, sizeof hash, "%016" PRIx64, weft_schedule_hash(schedule));
  json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:i, s:i, s:s, s:I, s:I, s:f}", "hash", hash,
                           "network", schedule->network.name, "machine", schedule->machine->name, "mode",
                           weft_mode_name(run->mode), "batch", (int)run->batch, "sequence", (int)run->sequence,
                           "systems", (int)run->systems, "dtype", weft_dtype_name(run->dtype), "micro_batch",
                           (int)schedule->micro_batch, "iterations", (int)schedule->iterations, "body",
                           (int)schedule->body, "recompute", weft_recompute_name(schedule->recompute), "memory_bytes",
                           (json_int_t)schedule->memory_bytes, "memory_limit_bytes", (json_int_t)schedule->memory_limit,
                           "flops_per_system", weft_schedule_flops(schedule, false));
  json_t *tensors = json_array(), *slots = json_array(), *steps = json_array();
  for (uint32_t t = 0; t < schedule->tensor_count; ++t)
    json_array_append_new(tensors, tensor_json(&schedule->tensors[t]));
  for (uint32_t s = 0; s < schedule->slot_count; ++s)
    json_array_append_new(slots, json_pack("{s:I, s:I}", "offset", (json_int_t)schedule->slots[s].offset, "bytes",
                                           (json_int_t)schedule->slots[s].bytes));
  for (uint32_t s = 0; s < schedule->step_count; ++s) json_array_append_new(steps, step_json(schedule, s));
  json_object_set_new(root, "tensors", tensors);
  json_object_set_new(root, "slots", slots);
  json_object_set_new(root, "steps", steps);
  json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  putchar('\n');
  json_decref(root);
}

static void print_steps(const weft_schedule *schedule, weft_table_form form) {
  weft_table *table = weft_table_create();
  static const char *const columns[][2] = {{"step", NULL}, {"queue", NULL},   {"what", NULL}, {"chunks", NULL},
                                           {"bytes", "B"}, {"flops", "FLOP"}, {"slot", NULL}, {"waits for", NULL}};
  for (size_t c = 0; c < sizeof columns / sizeof *columns; ++c) weft_table_column(table, columns[c][0], columns[c][1]);
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    char *name = weft_step_describe(schedule, s), waits[64] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < step->dependency_count && used < sizeof waits; ++i)
      used += (size_t)snprintf(waits + used, sizeof waits - used, "%s%u", i ? " " : "",
                               schedule->dependencies[step->first_dependency + i]);
    if (step->partner != WEFT_NONE && used < sizeof waits)
      snprintf(waits + used, sizeof waits - used, "%s%u by chunks", used ? " " : "", step->partner);
    weft_table_row(table);
    weft_table_integer(table, s);
    weft_table_text(table, weft_queue_name(step->queue));
    weft_table_text(table, name);
    weft_table_integer(table, step->chunks);
    weft_table_integer(table, (int64_t)step->bytes);
    weft_table_number(table, step->flops, 4);
    uint32_t slot = schedule->tensors[step->outputs[0]].slot;
    if (slot == WEFT_NONE)
      weft_table_text(table, NULL);
    else
      weft_table_integer(table, slot);
    weft_table_text(table, waits);
    free(name);
  }
  weft_table_print(table, form, stdout);
  weft_table_destroy(table);
}

static weft_status run(int argc, const char **argv) {
  int json = 0, csv = 0, steps = 0;
  struct poptOption table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "everything, as JSON", NULL},
                               {"steps", 0, POPT_ARG_NONE, &steps, 0, "also list every step", NULL},
                               {"csv", 0, POPT_ARG_NONE, &csv, 0, "the steps, as CSV", NULL},
                               POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft show S.weft [--steps] [--json | --csv]",
      .about = "Shows a schedule: run, memory plan, queues, and with --steps every step.",
      .examples =
          "  weft show 13b.weft\n  weft show 13b.weft --steps | less\n  weft show 13b.weft --json | jq .steps[0]\n",
      .table = table,
      .positional_min = 1,
      .positional_max = 1};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  weft_schedule *schedule = NULL;
  if (!options.helped) status = weft_schedule_read(options.positional[0], &schedule);
  if (schedule && json) {
    print_json(schedule);
  } else if (schedule && csv) {
    print_steps(schedule, WEFT_TABLE_CSV);
  } else if (schedule) {
    weft_schedule_print(schedule, stdout);
    if (steps) print_steps(schedule, WEFT_TABLE_TEXT);
  }
  weft_schedule_destroy(schedule);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_show = {"show", "show a schedule", run};
