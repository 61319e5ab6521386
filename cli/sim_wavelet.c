#include "cli/sim_wavelet.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "sim/wavelet.h"

typedef struct execution {
  const weft_schedule *schedule;
  weft_cli_observe *observe;
  float **values;  // by tensor
  int32_t *ids, *targets;
} execution;

static float *values_of(void *context, uint32_t parameter, weft_residency which) {
  execution *e = context;
  for (uint32_t t = 0; t < e->schedule->tensor_count; ++t) {
    const weft_tensor *tensor = &e->schedule->tensors[t];
    if (tensor->parameter != parameter || tensor->residency != which || tensor->parent != WEFT_NONE) continue;
    if (!e->values[t]) {
      uint64_t count = weft_tensor_elements(tensor);
      e->values[t] = weft_allocate_array(count, sizeof(float));
      for (uint64_t i = 0; which == WEFT_STORE_PARAMETER && i < count; ++i)
        e->values[t][i] = (float)(0.02 * weft_random_normal(1, parameter, i));
    }
    return e->values[t];
  }
  return NULL;
}

static weft_status kernel_ended(void *context, uint32_t step, const weft_kernel *kernel, const weft_mesh_sim *mesh,
                                const weft_mesh_report *report) {
  execution *e = context;
  char *what = weft_step_describe(e->schedule, step);
  char *phase = weft_format("step %" PRIu32 " %s", step, what);
  weft_cli_observe_take(e->observe, phase, kernel, mesh, report);
  free(what);
  free(phase);
  return NULL;
}

static double share(const weft_schedule *schedule, const weft_wavelet_work *work) {
  double all = (double)work->cycles * schedule->machine->mesh.columns * schedule->machine->mesh.rows;
  return all > 0 ? 100 * (double)work->busy_cycles / all : 0;
}

static void add_row(weft_table *table, const weft_schedule *schedule, const char *step, const char *what,
                    const weft_wavelet_work *work) {
  weft_table_row(table);
  weft_table_text(table, step);
  weft_table_text(table, what);
  weft_table_integer(table, (int64_t)work->kernels);
  weft_table_integer(table, (int64_t)work->cycles);
  weft_table_number(table, 1e6 * (double)work->cycles / schedule->machine->mesh.clock_hz, 5);
  weft_table_integer(table, (int64_t)work->link_hops);
  weft_table_number(table, work->flops, 5);
  weft_table_number(table, share(schedule, work), 4);
}

static weft_table *steps_table(const weft_schedule *schedule, const weft_wavelet *wavelet,
                               const weft_wavelet_work *total) {
  weft_table *table = weft_table_create();
  const char *const names[] = {"step", "what", "kernels", "cycles", "time_us", "link_hops", "flops", "busy_pct"};
  for (size_t n = 0; n < sizeof names / sizeof *names; ++n) weft_table_column(table, names[n], NULL);
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    weft_wavelet_work work = weft_wavelet_step_work(wavelet, s);
    if (work.kernels == 0) continue;
    char number[16], *what = weft_step_describe(schedule, s);
    snprintf(number, sizeof number, "%" PRIu32, s);
    add_row(table, schedule, number, what, &work);
    free(what);
  }
  add_row(table, schedule, NULL, "all", total);
  return table;
}

static weft_status print(execution *e, const weft_wavelet *wavelet, const weft_wavelet_work *total, bool json) {
  if (e->observe->csv) return weft_cli_observe_end(e->observe, stdout);
  weft_table *table = steps_table(e->schedule, wavelet, total);
  weft_status status = NULL;
  if (json) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&text, &bytes);
    if (memory) {
      weft_table_print(table, WEFT_TABLE_JSON, memory);
      fclose(memory);
    }
    json_t *root = json_object(), *rows = text ? json_loadb(text, bytes, 0, NULL) : NULL;
    free(text);
    json_object_set_new(root, "steps", rows ? rows : json_null());
    status = weft_cli_observe_end_json(e->observe, root);
    if (!status) {
      json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
      printf("\n");
    }
    json_decref(root);
  } else {
    weft_table_print(table, WEFT_TABLE_TEXT, stdout);
    status = weft_cli_observe_end(e->observe, stdout);
  }
  weft_table_destroy(table);
  return status;
}

static weft_status execute(execution *e, weft_wavelet *wavelet, bool json) {
  const weft_mesh *mesh = &e->schedule->machine->mesh;
  weft_mesh_options options = weft_mesh_options_default();
  WEFT_TRY(weft_cli_observe_begin(e->observe, e->schedule->network.name, e->schedule->machine));
  WEFT_TRY(weft_cli_observe_open(e->observe, mesh->columns, mesh->rows, &options));
  weft_wavelet_watch watch = {.options = &options, .context = e, .ended = kernel_ended};
  weft_wavelet_set_watch(wavelet, &watch);
  weft_wavelet_feed feed = {
      .ids = e->ids,
      .targets = e->targets,
      .scalars = {.learning_rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .decay = 0.1f, .step = 1},
      .clip_norm = 1};
  weft_wavelet_outcome outcome = {0};
  WEFT_TRY(weft_wavelet_run(wavelet, &feed, &outcome));
  return print(e, wavelet, &outcome.work, json);
}

weft_status weft_cli_sim_wavelet(const weft_schedule *schedule, weft_cli_observe *observe, bool json) {
  execution e = {.schedule = schedule, .observe = observe};
  weft_wavelet *wavelet = NULL;
  weft_wavelet_store store = {&e, values_of};
  WEFT_TRY(weft_wavelet_create(schedule, &store, NULL, &wavelet));
  e.values = weft_allocate_array(schedule->tensor_count, sizeof(float *));
  uint64_t tokens = (uint64_t)schedule->iterations * schedule->micro_batch * schedule->run.sequence;
  e.ids = weft_allocate_array(tokens, sizeof *e.ids);
  e.targets = weft_allocate_array(tokens, sizeof *e.targets);
  for (uint64_t i = 0; i < tokens; ++i) {
    e.ids[i] = (int32_t)(weft_random_bits(2, 0, i) % schedule->network.vocabulary);
    e.targets[i] = (int32_t)(weft_random_bits(2, 1, i) % schedule->network.vocabulary);
  }
  weft_status status = execute(&e, wavelet, json);
  weft_wavelet_destroy(wavelet);
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) free(e.values[t]);
  free(e.values);
  free(e.ids);
  free(e.targets);
  return status;
}
