// weft run: executes a schedule on this computer.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/execute.h"
#include "runtime/dataset.h"

typedef struct request {
  weft_cli_device device;
  char *checkpoint, *tokenizer, *data, *trace;
  long long seed;
  int repeat, random, json, csv;
} request;

typedef struct execution {
  const request *request;
  const weft_backend *backend;
  weft_backend_options options;
  weft_schedule *schedule;
  weft_checkpoint *checkpoint;
  weft_store *store;
  weft_session *session;
  uint64_t sequences, tokens;  // of one run: ids are (sequences, tokens)
  int32_t *ids, *targets;
  weft_outcome *outcomes;
  uint32_t repeat;
} execution;

static weft_status open_store(execution *e) {
  const request *r = e->request;
  const weft_run *run = &e->schedule->run;
  if (r->random && r->checkpoint) return weft_error(WEFT_INVALID, "--random and --checkpoint exclude each other");
  if (r->random) return weft_store_random(&e->schedule->network, (uint64_t)r->seed, &e->store);
  if (!r->checkpoint)
    return weft_error(WEFT_INVALID, "--checkpoint is missing: a folder, a .safetensors or a .gguf file (or --random)");
  WEFT_TRY(weft_checkpoint_open(r->checkpoint, &e->checkpoint));
  // A bare file of weights has no network of its own; the schedule's says what must be in it.
  weft_network network = e->schedule->network;
  weft_status none = weft_checkpoint_network(e->checkpoint, &network);
  if (none) weft_log(WEFT_LOG_WARNING, "%s; going by the schedule's network", weft_status_message(none));
  weft_status_free(none);
  return weft_store_open(&network, e->checkpoint, run->mode == WEFT_TRAIN, run->dtype, &e->store);
}

// ---- input ----

static weft_status open_tokenizer(execution *e, weft_tokenizer **out_tokenizer) {
  const request *r = e->request;
  if (r->tokenizer) return weft_tokenizer_open(r->tokenizer, out_tokenizer);
  if (e->checkpoint) return weft_tokenizer_of(e->checkpoint, r->checkpoint, out_tokenizer);
  return weft_error(WEFT_INVALID, "--data needs a tokenizer: --tokenizer tokenizer.json (or \"bytes\")");
}

static weft_status read_windows(execution *e, const weft_tokenizer *tokenizer) {
  weft_dataset dataset = {0};
  WEFT_TRY(weft_dataset_read(e->request->data, tokenizer, e->schedule->network.vocabulary, 0, &dataset));
  weft_status status = weft_dataset_check(&dataset, (uint32_t)e->tokens);
  for (uint64_t s = 0; s < e->sequences && !status; ++s)
    weft_dataset_train(&dataset, (uint64_t)e->request->seed, s, (uint32_t)e->tokens, e->ids + s * e->tokens,
                       e->targets + s * e->tokens);
  weft_dataset_finish(&dataset);
  return status;
}

static weft_status make_input(execution *e) {
  const weft_run *run = &e->schedule->run;
  e->sequences = (uint64_t)e->schedule->micro_batch * e->schedule->iterations;
  e->tokens = run->mode == WEFT_DECODE ? 1 : run->sequence;
  uint64_t count = e->sequences * e->tokens;
  e->ids = weft_allocate_array(count, sizeof *e->ids);
  e->targets = weft_allocate_array(count, sizeof *e->targets);
  if (e->request->data) {
    weft_tokenizer *tokenizer = NULL;
    WEFT_TRY(open_tokenizer(e, &tokenizer));
    weft_status status = read_windows(e, tokenizer);
    weft_tokenizer_close(tokenizer);
    return status;
  }
  uint32_t vocabulary = e->schedule->network.vocabulary;
  for (uint64_t i = 0; i < count; ++i) {
    e->ids[i] = (int32_t)(weft_random_bits((uint64_t)e->request->seed, 0, i) % vocabulary);
    e->targets[i] = (int32_t)(weft_random_bits((uint64_t)e->request->seed, 1, i) % vocabulary);
  }
  return NULL;
}

// ---- runs ----

static weft_status run_repeats(execution *e, const weft_feed *feed, weft_trace_takes *takes) {
  weft_trace_sink sink = weft_trace_takes_sink(takes);
  weft_progress progress;
  weft_progress_start(&progress, "running", "runs", e->repeat);
  weft_status status = NULL;
  for (uint32_t i = 0; i < e->repeat && !status; ++i) {
    status = weft_session_run(e->session, feed, e->request->trace ? &sink : NULL, &e->outcomes[i]);
    weft_trace_takes_end(takes, e->outcomes[i].seconds);
    weft_progress_update(&progress, i + 1, NULL);
  }
  weft_progress_finish(&progress);
  return status;
}

static weft_status run_all(execution *e) {
  weft_feed feed = {.ids = e->ids, .targets = e->targets, .update = weft_update_default()};
  if (!e->schedule->run.clip) feed.update.clip_norm = 0;
  // The work of a decode step grows with its position; the schedule counts that of the last one.
  if (e->schedule->run.mode == WEFT_DECODE) feed.position = e->schedule->run.sequence - 1;
  weft_trace_writer *writer = NULL;
  if (e->request->trace) {
    char *device = weft_session_describe(e->session);
    weft_status status = weft_cli_trace_open(e->request->trace, e->schedule, e->backend, device, &writer);
    free(device);
    WEFT_TRY(status);
  }
  weft_trace_takes *takes = weft_trace_takes_create(e->repeat);
  weft_status status = run_repeats(e, &feed, takes);
  if (writer) status = weft_cli_trace_close(writer, takes, status);
  weft_trace_takes_destroy(takes);
  return status;
}

// ---- result ----

static void print_result(const execution *e) {
  weft_table_form form = e->request->json ? WEFT_TABLE_JSON : e->request->csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT;
  weft_table *table = weft_table_create();
  bool training = e->schedule->run.mode == WEFT_TRAIN;
  double tokens = (double)weft_schedule_tokens(e->schedule), flops = weft_schedule_flops(e->schedule, false);
  weft_table_column(table, "run", NULL);
  weft_table_column(table, "seconds", NULL);
  weft_table_column(table, "tokens_per_second", NULL);
  weft_table_column(table, "gflops_per_second", NULL);
  if (training) weft_table_column(table, "loss", NULL);
  if (training) weft_table_column(table, "gradient_norm", NULL);
  for (uint32_t i = 0; i < e->repeat; ++i) {
    const weft_outcome *o = &e->outcomes[i];
    weft_table_row(table);
    weft_table_integer(table, i + 1);
    weft_table_number(table, o->seconds, 4);
    weft_table_number(table, tokens / o->seconds, 4);
    weft_table_number(table, flops / o->seconds * 1e-9, 4);
    if (training) weft_table_number(table, o->loss, 6);
    if (training) weft_table_number(table, o->gradient_norm, 6);
  }
  weft_table_print(table, form, stdout);
  weft_table_destroy(table);
}

static void log_device(const execution *e) {
  char *device = weft_session_describe(e->session);
  weft_log(WEFT_LOG_INFO, "%s: %s; %u steps, %u micro-batch%s", e->backend->name, device, e->schedule->step_count,
           e->schedule->iterations, e->schedule->iterations == 1 ? "" : "es");
  free(device);
}

static weft_status execute(const request *r, const char *path) {
  execution e = {.request = r};
  WEFT_TRY(weft_cli_count("repeat", r->repeat, 1, 1000000, &e.repeat));
  WEFT_TRY(weft_cli_backend(&r->device, &e.backend, &e.options));
  weft_status status = weft_schedule_read(path, &e.schedule);
  if (!status) status = open_store(&e);
  if (!status) status = make_input(&e);
  if (!status) status = weft_session_create(e.schedule, e.store, e.backend, &e.options, NULL, &e.session);
  e.outcomes = weft_allocate_array(e.repeat, sizeof *e.outcomes);
  if (!status) log_device(&e);
  if (!status) status = run_all(&e);
  if (!status) print_result(&e);
  if (!status && r->trace) weft_log(WEFT_LOG_INFO, "wrote %s; open it at https://ui.perfetto.dev", r->trace);
  weft_session_destroy(e.session);
  weft_store_destroy(e.store);
  weft_checkpoint_close(e.checkpoint);
  weft_schedule_destroy(e.schedule);
  free(e.outcomes);
  free(e.ids);
  free(e.targets);
  return status;
}

static weft_status run(int argc, const char **argv) {
  request r = {.repeat = 1, .seed = 1};
  struct poptOption table[] = {
      {"checkpoint", 'c', POPT_ARG_STRING, &r.checkpoint, 0, "weights: a folder, .safetensors or .gguf file",
       "DIR|FILE"},
      {"random", 0, POPT_ARG_NONE, &r.random, 0, "fresh random weights instead of a checkpoint", NULL},
      WEFT_CLI_BACKEND_OPTIONS(r.device),
      {"data", 'd', POPT_ARG_STRING, &r.data, 0, "text to read (default: random tokens)", "FILE"},
      {"tokenizer", 0, POPT_ARG_STRING, &r.tokenizer, 0,
       "tokenizer.json, .gguf or \"bytes\" (default: the checkpoint's)", "FILE"},
      {"repeat", 0, POPT_ARG_INT, &r.repeat, 0, "runs, one row each (default 1)", "N"},
      {"seed", 0, POPT_ARG_LONGLONG, &r.seed, 0, "of random weights and of what is read (default 1)", "N"},
      {"trace", 0, POPT_ARG_STRING, &r.trace, 0,
       "write a Perfetto trace of the run with the median time (.pftrace, .pftrace.gz)", "T.pftrace"},
      {"json", 0, POPT_ARG_NONE, &r.json, 0, "the result as JSON", NULL},
      {"csv", 0, POPT_ARG_NONE, &r.csv, 0, "the result as CSV", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft run S.weft --checkpoint DIR|FILE [--backend ref|cpu] [--threads N] [--trace T.pftrace] [...]",
      .about =
          "Executes a schedule on this computer and measures every step. A decode schedule runs at its last position.",
      .examples =
          "  weft run s.weft --checkpoint models/tiny --data book.txt --repeat 5\n"
          "  weft run s.weft --random --backend ref --trace out/measured.pftrace\n",
      .table = table,
      .positional_min = 1,
      .positional_max = 1};
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = execute(&r, options.positional[0]);
  weft_cli_finish(&options);
  weft_cli_device_finish(&r.device);
  char *texts[] = {r.checkpoint, r.tokenizer, r.data, r.trace};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) free(texts[i]);
  return status;
}

const weft_command weft_command_run = {"run", "execute a schedule on this computer and measure every step", run};
