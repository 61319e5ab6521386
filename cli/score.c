// weft score: how surprised a checkpoint is by a text.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/execute.h"
#include "runtime/score.h"

typedef struct request {
  weft_cli_device device;
  char *data, *tokenizer;
  int window, stride, per_token, json, csv;
} request;

static void show_progress(void *context, uint64_t done) { weft_progress_update(context, done, NULL); }

static void print_tokens(const request *r, const weft_cli_model *model, const int32_t *ids, const weft_score *score,
                         weft_table *table) {
  weft_table_column(table, "token", NULL);
  weft_table_column(table, "id", NULL);
  weft_table_column(table, "text", NULL);
  weft_table_column(table, "nll", NULL);
  for (uint64_t i = 0; i < score->count; ++i) {
    char *text = NULL;
    size_t bytes = 0;
    weft_status_free(weft_tokenizer_decode(model->tokenizer, ids + i + 1, 1, &text, &bytes));
    weft_table_row(table);
    weft_table_integer(table, (int64_t)i + 1);
    weft_table_integer(table, ids[i + 1]);
    weft_table_text(table, r->json ? NULL : text);
    weft_table_number(table, score->nll[i], 6);
    free(text);
  }
}

static void print_summary(const weft_cli_model *model, const weft_score *score, uint64_t text_bytes, uint32_t window,
                          weft_table *table) {
  const char *columns[] = {"network",    "tokens",        "bytes",   "window",           "nll_per_token",
                           "perplexity", "bits_per_byte", "seconds", "tokens_per_second"};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; ++i) weft_table_column(table, columns[i], NULL);
  weft_table_row(table);
  weft_table_text(table, model->network.name);
  weft_table_integer(table, (int64_t)score->count);
  weft_table_integer(table, (int64_t)text_bytes);
  weft_table_integer(table, window);
  weft_table_number(table, score->mean, 6);
  weft_table_number(table, score->perplexity, 6);
  weft_table_number(table, score->mean * (double)score->count / log(2) / (double)text_bytes, 5);
  weft_table_number(table, score->seconds, 4);
  weft_table_number(table, (double)score->windows * window / score->seconds, 4);
}

static weft_status choose_window(const request *r, const weft_network *network, uint64_t count, uint32_t *out_window) {
  enum { DEFAULT_WINDOW = 512 };
  if (count < 2)
    return weft_error(WEFT_INVALID, "%s: %llu tokens; scoring needs two or more", r->data, (unsigned long long)count);
  uint32_t window = network->positions < DEFAULT_WINDOW ? network->positions : DEFAULT_WINDOW;
  if (r->window >= 0) WEFT_TRY(weft_cli_count("window", r->window, 2, network->positions, &window));
  *out_window = count < window ? (uint32_t)count : window;
  return NULL;
}

static weft_status score_text(const request *r, const weft_cli_model *model, const int32_t *ids, uint64_t count,
                              uint64_t text_bytes) {
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.all_logits = true;
  uint32_t stride = 0;
  const weft_backend *backend = NULL;
  weft_backend_options device = {0};
  WEFT_TRY(choose_window(r, &model->network, count, &run.sequence));
  if (r->stride >= 0) WEFT_TRY(weft_cli_count("stride", r->stride, 1, run.sequence - 1, &stride));
  WEFT_TRY(weft_cli_dtype(&r->device, &run.dtype));
  WEFT_TRY(weft_cli_backend(&r->device, &backend, &device));
  weft_schedule *schedule = NULL;
  weft_store *store = NULL;
  weft_session *session = NULL;
  weft_score score = {0};
  weft_progress progress;
  weft_progress_start(&progress, "scoring", "tokens", count);
  weft_status status = weft_cli_compile(&r->device, &model->network, &run, &schedule);
  if (!status) status = weft_store_open(&model->network, model->checkpoint, false, run.dtype, &store);
  if (!status) status = weft_session_create(schedule, store, backend, &device, NULL, &session);
  if (!status) status = weft_score_ids(session, schedule, ids, count, stride, show_progress, &progress, &score);
  weft_progress_finish(&progress);
  if (!status) {
    weft_table *table = weft_table_create();
    if (r->per_token)
      print_tokens(r, model, ids, &score, table);
    else
      print_summary(model, &score, text_bytes, run.sequence, table);
    weft_table_print(table, r->json ? WEFT_TABLE_JSON : r->csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT, stdout);
    weft_table_destroy(table);
  }
  weft_score_finish(&score);
  weft_session_destroy(session);
  weft_store_destroy(store);
  weft_schedule_destroy(schedule);
  return status;
}

static weft_status score(const request *r, const char *path) {
  if (!r->data) return weft_error(WEFT_INVALID, "--data is missing: the text to score");
  weft_cli_model model = {0};
  weft_mapping text = {0};
  int32_t *ids = NULL;
  uint64_t count = 0;
  weft_status status = weft_cli_model_open(path, r->tokenizer, &model);
  if (!status) status = weft_mapping_open(r->data, &text);
  if (!status) status = weft_cli_encode(model.tokenizer, (const char *)text.bytes, text.size, &ids, &count);
  if (!status) status = score_text(r, &model, ids, count, text.size);
  free(ids);
  weft_mapping_close(&text);
  weft_cli_model_close(&model);
  return status;
}

static weft_status run(int argc, const char **argv) {
  request r = {.window = -1, .stride = -1};
  struct poptOption table[] = {
      {"data", 'd', POPT_ARG_STRING, &r.data, 0, "the text to score", "FILE"},
      {"window", 0, POPT_ARG_INT, &r.window, 0,
       "tokens that are read at once (default 512, or the network's positions)", "N"},
      {"stride", 0, POPT_ARG_INT, &r.stride, 0, "tokens from window to window (default half a window)", "N"},
      {"per-token", 0, POPT_ARG_NONE, &r.per_token, 0, "a row for every token instead of the sum", NULL},
      {"tokenizer", 0, POPT_ARG_STRING, &r.tokenizer, 0,
       "tokenizer.json, .gguf or \"bytes\" (default: the checkpoint's)", "FILE"},
      WEFT_CLI_BACKEND_OPTIONS(r.device),
      WEFT_CLI_COMPILE_OPTIONS(r.device),
      {"json", 0, POPT_ARG_NONE, &r.json, 0, "the result as JSON", NULL},
      {"csv", 0, POPT_ARG_NONE, &r.csv, 0, "the result as CSV", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft score CHECKPOINT --data FILE [--window N] [--stride N] [...]",
      .about = "Scores a text: the mean negative log-likelihood per token in nats, and perplexity, its exponential.",
      .examples =
          "  weft score models/tiny --data book.txt\n  weft score smollm2.gguf --data page.txt --window 1024 "
          "--per-token --csv\n",
      .table = table,
      .positional_min = 1,
      .positional_max = 1};
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = score(&r, options.positional[0]);
  weft_cli_finish(&options);
  weft_cli_device_finish(&r.device);
  free(r.data);
  free(r.tokenizer);
  return status;
}

const weft_command weft_command_score = {"score", "score a text: nll per token and perplexity", run};
