#include "cli/sim_wavelet.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "cli/execute.h"
#include "compiler/compile.h"
#include "sim/wavelet.h"

// One schedule's part of a run.
typedef struct execution {
  const weft_schedule *schedule;
  weft_cli_observe *observe;
  uint32_t threads;
  const char *phase;  // "prefill, " or ""
  float **values;     // by tensor
  int32_t *ids, *targets;
  weft_wavelet *wavelet;
  weft_wavelet_work work;  // of the last run
} execution;

// What decoding took, a row per run.
typedef struct request {
  const weft_cli_sim_wavelet_options *options;
  uint32_t prompt, decode;
  weft_table *tokens;  // NULL: nothing is decoded
} request;

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
  char *what = step == WEFT_NONE ? NULL : weft_step_describe(e->schedule, step);
  char *phase =
      what ? weft_format("%sstep %" PRIu32 " %s", e->phase, step, what) : weft_format("%sbetween steps", e->phase);
  weft_cli_observe_take(e->observe, phase, kernel, mesh, report);
  free(what);
  free(phase);
  return NULL;
}

// Percent of all cycles of all cores of the mesh.
static double share(const weft_schedule *schedule, const weft_wavelet_work *work, uint64_t cycles) {
  double all = (double)work->cycles * schedule->machine->mesh.columns * schedule->machine->mesh.rows;
  return all > 0 ? 100 * (double)cycles / all : 0;
}

static void add_columns(weft_table *table) {
  const char *const names[] = {"kernels",  "cycles",      "time_us",  "link_hops",       "flops",
                               "busy_pct", "receive_pct", "send_pct", "microthread_pct", "idle_pct"};
  for (size_t n = 0; n < sizeof names / sizeof *names; ++n) weft_table_column(table, names[n], NULL);
}

static void add_work(weft_table *table, const weft_schedule *schedule, const weft_wavelet_work *work) {
  weft_table_integer(table, (int64_t)work->kernels);
  weft_table_integer(table, (int64_t)work->cycles);
  weft_table_number(table, 1e6 * (double)work->cycles / schedule->machine->mesh.clock_hz, 5);
  weft_table_integer(table, (int64_t)work->link_hops);
  weft_table_number(table, work->flops, 5);
  weft_table_number(table, share(schedule, work, work->busy_cycles), 4);
  for (int s = 0; s < WEFT_STALLS; ++s) weft_table_number(table, share(schedule, work, work->stall_cycles[s]), 4);
}

static void add_row(weft_table *table, const weft_schedule *schedule, const char *step, const char *what,
                    const weft_wavelet_work *work) {
  weft_table_row(table);
  weft_table_text(table, step);
  weft_table_text(table, what);
  add_work(table, schedule, work);
}

static weft_table *steps_table(const execution *e) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "step", NULL);
  weft_table_column(table, "what", NULL);
  add_columns(table);
  for (uint32_t s = 0; s < e->schedule->step_count; ++s) {
    weft_wavelet_work work = weft_wavelet_step_work(e->wavelet, s);
    if (work.kernels == 0) continue;
    char number[16], *what = weft_step_describe(e->schedule, s);
    snprintf(number, sizeof number, "%" PRIu32, s);
    add_row(table, e->schedule, number, what, &work);
    free(what);
  }
  weft_wavelet_work between = weft_wavelet_step_work(e->wavelet, WEFT_NONE);
  add_row(table, e->schedule, NULL, "between steps", &between);
  add_row(table, e->schedule, NULL, "all", &e->work);
  return table;
}

static json_t *json_of(const weft_table *table) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  if (memory) {
    weft_table_print(table, WEFT_TABLE_JSON, memory);
    fclose(memory);
  }
  json_t *rows = text ? json_loadb(text, bytes, 0, NULL) : NULL;
  free(text);
  return rows ? rows : json_null();
}

static weft_status print(const request *r, const execution *e) {
  if (e->observe->csv) return weft_cli_observe_end(e->observe, stdout);
  weft_table *table = steps_table(e);
  weft_status status = NULL;
  if (r->options->json) {
    json_t *root = json_object();
    if (r->tokens) json_object_set_new(root, "tokens", json_of(r->tokens));
    json_object_set_new(root, "steps", json_of(table));
    status = weft_cli_observe_end_json(e->observe, root);
    if (!status) {
      json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
      printf("\n");
    }
    json_decref(root);
  } else {
    if (r->tokens) {
      weft_table_print(r->tokens, WEFT_TABLE_TEXT, stdout);
      printf("\nThe last token:\n");
    }
    weft_table_print(table, WEFT_TABLE_TEXT, stdout);
    status = weft_cli_observe_end(e->observe, stdout);
  }
  weft_table_destroy(table);
  return status;
}

// ---- executions

// Random ids and targets for all of the schedule's tokens.
static void begin(execution *e) {
  const weft_schedule *schedule = e->schedule;
  uint64_t tokens = (uint64_t)schedule->iterations * schedule->micro_batch;
  if (schedule->run.mode != WEFT_DECODE) tokens *= schedule->run.sequence;
  e->values = weft_allocate_array(schedule->tensor_count, sizeof(float *));
  e->ids = weft_allocate_array(tokens, sizeof *e->ids);
  e->targets = weft_allocate_array(tokens, sizeof *e->targets);
  for (uint64_t i = 0; i < tokens; ++i) {
    e->ids[i] = (int32_t)(weft_random_bits(2, 0, i) % schedule->network.vocabulary);
    e->targets[i] = (int32_t)(weft_random_bits(2, 1, i) % schedule->network.vocabulary);
  }
}

static void finish(execution *e) {
  weft_wavelet_destroy(e->wavelet);
  for (uint32_t t = 0; e->values && t < e->schedule->tensor_count; ++t) free(e->values[t]);
  free(e->values);
  free(e->ids);
  free(e->targets);
}

static weft_status execute(execution *e, uint64_t position, bool entered, bool choose) {
  const weft_mesh *mesh = &e->schedule->machine->mesh;
  weft_mesh_options options = weft_mesh_options_default();
  WEFT_TRY(weft_cli_observe_open(e->observe, mesh->columns, mesh->rows, &options));
  options.threads = e->threads;
  options.count_links = true;  // for busy_pct, too
  weft_wavelet_watch watch = {.options = &options, .context = e, .ended = kernel_ended};
  weft_wavelet_set_watch(e->wavelet, &watch);
  weft_wavelet_feed feed = {.ids = entered ? e->ids : NULL,
                            .targets = e->targets,
                            .scalars = {.position = position,
                                        .learning_rate = 1e-4f,
                                        .beta1 = 0.9f,
                                        .beta2 = 0.95f,
                                        .epsilon = 1e-8f,
                                        .decay = 0.1f,
                                        .step = 1},
                            .clip_norm = 1,
                            .choose = choose};
  weft_wavelet_outcome outcome = {0};
  WEFT_TRY(weft_wavelet_run(e->wavelet, &feed, &outcome));
  e->work = outcome.work;
  return NULL;
}

// ---- decoding

// A row: which positions went in, and the first sequence's next token.
static weft_status add_tokens(const request *r, const execution *e, uint32_t first, uint32_t count) {
  uint32_t sequences = e->schedule->micro_batch;
  int32_t *next = weft_allocate_array(sequences, sizeof *next);
  weft_status status = weft_wavelet_next(e->wavelet, next, sequences);
  char *where =
      count == 1 ? weft_format("%" PRIu32, first) : weft_format("%" PRIu32 "..%" PRIu32, first, first + count - 1);
  weft_table_row(r->tokens);
  weft_table_text(r->tokens, where);
  weft_table_integer(r->tokens, status ? -1 : next[0]);
  add_work(r->tokens, e->schedule, &e->work);
  free(where);
  free(next);
  return status;
}

static weft_status decode(const request *r, execution *e, bool first_entered) {
  for (uint32_t i = 0; i < r->decode; ++i) {
    WEFT_TRY(execute(e, r->prompt + i, first_entered && i == 0, true));
    WEFT_TRY(add_tokens(r, e, r->prompt + i, 1));
  }
  return NULL;
}

static weft_status compile_prefill(const weft_schedule *decode, uint32_t prompt, weft_schedule **out_prefill) {
  weft_run run = decode->run;
  run.mode = WEFT_PREFILL;
  run.context = run.sequence;
  run.sequence = prompt;
  return weft_status_prefix(weft_compile(&decode->network, decode->machine, &run, out_prefill),
                            "prefill of %" PRIu32 " tokens before decoding (--prompt N for another number): ", prompt);
}

// Prefill, if any, then decoding in the same caches.
static weft_status prefill_and_decode(const request *r, execution *e, const weft_wavelet_store *store) {
  if (r->prompt == 0) {
    WEFT_TRY(weft_wavelet_create(e->schedule, store, NULL, &e->wavelet));
    return decode(r, e, true);
  }
  weft_schedule *schedule = NULL;
  WEFT_TRY(compile_prefill(e->schedule, r->prompt, &schedule));
  execution first = {.schedule = schedule, .observe = e->observe, .threads = e->threads, .phase = "prefill, "};
  weft_wavelet_store first_store = {&first, values_of};
  begin(&first);
  weft_status status = weft_wavelet_create(schedule, &first_store, NULL, &first.wavelet);
  if (!status) status = execute(&first, 0, true, true);
  if (!status) status = add_tokens(r, &first, 0, r->prompt);
  if (!status) status = weft_wavelet_create(e->schedule, store, first.wavelet, &e->wavelet);
  finish(&first);
  if (!status) status = decode(r, e, false);
  weft_schedule_destroy(schedule);
  return status;
}

static weft_status count_tokens(request *r, const weft_schedule *schedule) {
  const weft_cli_sim_wavelet_options *o = r->options;
  if (schedule->run.mode != WEFT_DECODE) {
    if (o->decode < 0 && o->prompt < 0) return NULL;
    return weft_error(WEFT_INVALID, "--decode and --prompt are for schedules of mode decode, not %s",
                      weft_mode_name(schedule->run.mode));
  }
  uint32_t room = schedule->run.sequence;
  if (schedule->iterations > 1)
    return weft_error(WEFT_INVALID, "decoding at wavelet level is for one iteration; the schedule has %" PRIu32,
                      schedule->iterations);
  WEFT_TRY(weft_cli_count("decode", o->decode < 0 ? 1 : o->decode, 1, room, &r->decode));
  uint32_t before = room - r->decode;
  WEFT_TRY(weft_cli_count("prompt", o->prompt < 0 ? before : o->prompt, 0, before, &r->prompt));
  r->tokens = weft_table_create();
  weft_table_column(r->tokens, "positions", NULL);
  weft_table_column(r->tokens, "next", NULL);
  add_columns(r->tokens);
  return NULL;
}

static weft_status run_all(const request *r, execution *e) {
  weft_wavelet_store store = {e, values_of};
  WEFT_TRY(weft_cli_observe_begin(e->observe, e->schedule->network.name, e->schedule->machine));
  if (r->tokens) {
    WEFT_TRY(prefill_and_decode(r, e, &store));
  } else {
    WEFT_TRY(weft_wavelet_create(e->schedule, &store, NULL, &e->wavelet));
    WEFT_TRY(execute(e, 0, true, false));
  }
  return print(r, e);
}

weft_status weft_cli_sim_wavelet(const weft_schedule *schedule, weft_cli_observe *observe,
                                 const weft_cli_sim_wavelet_options *options) {
  request r = {.options = options};
  WEFT_TRY(count_tokens(&r, schedule));
  execution e = {.schedule = schedule, .observe = observe, .threads = options->threads, .phase = ""};
  begin(&e);
  weft_status status = run_all(&r, &e);
  finish(&e);
  weft_table_destroy(r.tokens);
  return status;
}
