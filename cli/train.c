// weft train: trains a network on a text.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/execute.h"
#include "runtime/train.h"

typedef struct request {
  weft_cli_device device;
  char *network, *checkpoint, *data, *output, *tokenizer, *decay_kind, *optimizer, *save_dtype, *trace, *write_schedule;
  double rate, least_rate, decay, beta1, beta2, epsilon, clip, validation;
  long long seed;
  int steps, batch, sequence, accumulate, warmup, save_every, validate_every, validation_runs, resume, json, csv;
} request;

enum { TAKES = 9 };  // steps of which the typical one is traced

typedef struct training {
  const request *request;
  weft_cli_model model;  // checkpoint NULL: fresh weights
  weft_dataset dataset;
  weft_schedule *schedule, *validation;
  weft_store *store;
  weft_train_options options;
  weft_progress progress;
  weft_trace_takes *takes;  // of the last steps
  weft_train_record first, last;
  double seconds, validation_loss;
  uint64_t tokens;
} training;

// ---- what to train ----

static weft_status open_model(training *t) {
  const request *r = t->request;
  if (r->resume) return weft_cli_model_open(r->output, r->tokenizer, &t->model);
  if (r->checkpoint) return weft_cli_model_open(r->checkpoint, r->tokenizer, &t->model);
  WEFT_TRY(weft_network_read(r->network, &t->model.network));
  enum { BYTES = 256, SPECIAL = 8 };
  if (!r->tokenizer && t->model.network.vocabulary > BYTES + SPECIAL) {
    return weft_error(WEFT_INVALID, "--tokenizer is missing: %s has a vocabulary of %u, not of bytes",
                      t->model.network.name, t->model.network.vocabulary);
  }
  return weft_tokenizer_open(r->tokenizer ? r->tokenizer : "bytes", &t->model.tokenizer);
}

static weft_status open_store(training *t) {
  const request *r = t->request;
  if (!t->model.checkpoint) return weft_store_random(&t->model.network, (uint64_t)r->seed, &t->store);
  WEFT_TRY(weft_store_open(&t->model.network, t->model.checkpoint, true, WEFT_F32, &t->store));
  return r->resume ? weft_store_resume(t->store, r->output) : NULL;
}

// The tokenizer goes with the weights, so that `weft generate DIR` finds it.
static weft_status copy_tokenizer(const training *t) {
  const request *r = t->request;
  const char *from = r->tokenizer ? r->tokenizer : r->checkpoint;
  if (!from || r->resume || strcmp(weft_tokenizer_kind(t->model.tokenizer), "bytes") == 0) return NULL;
  char *inside = weft_format("%s/tokenizer.json", from), *to = weft_format("%s/tokenizer.json", r->output);
  const char *file = weft_directory_exists(from) ? inside : from;
  weft_mapping mapping = {0};
  weft_status status = NULL;
  size_t length = strlen(file);
  if (length < 5 || strcmp(file + length - 5, ".json") != 0 || !weft_file_exists(file)) {
    weft_log(WEFT_LOG_WARNING, "the tokenizer is inside %s and is not copied; give it again with --tokenizer", from);
  } else {
    status = weft_mapping_open(file, &mapping);
    if (!status) status = weft_file_write(to, mapping.bytes, mapping.size);
    weft_mapping_close(&mapping);
  }
  free(to);
  free(inside);
  return status;
}

// ---- how ----

static weft_status compile_both(training *t) {
  const request *r = t->request;
  weft_run run = weft_run_default();
  uint32_t accumulate = 0;
  WEFT_TRY(weft_cli_count("batch", r->batch, 1, 1 << 20, &run.batch));
  WEFT_TRY(weft_cli_count("sequence", r->sequence, 1, t->model.network.positions, &run.sequence));
  WEFT_TRY(weft_cli_count("accumulate", r->accumulate, 0, run.batch, &accumulate));
  if (accumulate && run.batch % accumulate != 0)
    return weft_error(WEFT_INVALID, "--accumulate %u does not divide the batch of %u", accumulate, run.batch);
  run.micro_batch = accumulate ? run.batch / accumulate : 0;
  WEFT_TRY(weft_cli_dtype(&r->device, &run.dtype));
  if (r->optimizer) WEFT_TRY(weft_optimizer_parse(r->optimizer, &run.optimizer));
  run.clip = r->clip > 0;
  run.seed = (uint64_t)r->seed;
  WEFT_TRY(weft_cli_compile(&r->device, &t->model.network, &run, &t->schedule));
  if (r->write_schedule) WEFT_TRY(weft_schedule_write(t->schedule, r->write_schedule));
  if (r->validation <= 0) return NULL;
  run.mode = WEFT_PREFILL;
  run.all_logits = true;
  run.micro_batch = 0;
  if (run.batch > 4) run.batch = 4;
  return weft_cli_compile(&r->device, &t->model.network, &run, &t->validation);
}

static weft_status read_rate(const request *r, weft_learning_rate *out_rate) {
  uint32_t steps = 0, warmup = 0;
  WEFT_TRY(weft_cli_count("steps", r->steps, 1, 1 << 30, &steps));
  warmup = steps / 20 < 100 ? steps / 20 : 100;
  if (r->warmup >= 0) WEFT_TRY(weft_cli_count("warmup", r->warmup, 0, steps, &warmup));
  *out_rate = (weft_learning_rate){
      .peak = r->rate, .floor = r->least_rate >= 0 ? r->least_rate : r->rate / 10, .warmup = warmup, .steps = steps};
  if (r->decay_kind) WEFT_TRY(weft_decay_kind_parse(r->decay_kind, &out_rate->kind));
  return weft_learning_rate_check(out_rate);
}

static weft_status in_range(const char *option, double value, double low, double high) {
  if (value >= low && value <= high) return NULL;
  return weft_error(WEFT_INVALID, "--%s %g: expected a number from %g to %g", option, value, low, high);
}

static weft_status read_options(training *t) {
  const request *r = t->request;
  weft_train_options *o = &t->options;
  uint32_t save_every = 0, validate_every = 0;
  WEFT_TRY(weft_cli_backend(&r->device, &o->backend, &o->device));
  WEFT_TRY(read_rate(r, &o->rate));
  WEFT_TRY(in_range("decay", r->decay, 0, 10));
  WEFT_TRY(in_range("clip", r->clip, 0, 1e6));
  WEFT_TRY(in_range("beta1", r->beta1, 0, 0.999999));
  WEFT_TRY(in_range("beta2", r->beta2, 0, 0.999999999));
  WEFT_TRY(in_range("epsilon", r->epsilon, 1e-30, 1));
  o->update = (weft_update){.beta1 = (float)r->beta1,
                            .beta2 = (float)r->beta2,
                            .epsilon = (float)r->epsilon,
                            .decay = (float)r->decay,
                            .clip_norm = (float)r->clip};
  WEFT_TRY(weft_cli_count("save-every", r->save_every, 0, 1 << 30, &save_every));
  WEFT_TRY(weft_cli_count("val-every", r->validate_every, 0, 1 << 30, &validate_every));
  WEFT_TRY(weft_cli_count("val-runs", r->validation_runs, 1, 1 << 20, &o->validation_windows));
  o->save_every = save_every;
  o->validate_every = validate_every;
  o->seed = (uint64_t)r->seed;
  o->directory = r->output;
  o->saved_dtype = WEFT_F32;
  if (r->save_dtype) WEFT_TRY(weft_dtype_parse(r->save_dtype, &o->saved_dtype));
  if (weft_dtype_computes(o->saved_dtype)) return NULL;
  return weft_error(WEFT_INVALID, "--save-dtype %s: expected f32, bf16 or f16", r->save_dtype);
}

// ---- train.json: what a resumed run must share with the one before ----

static json_t *facts_of(const training *t) {
  const weft_run *run = &t->schedule->run;
  char hash[24];
  snprintf(hash, sizeof hash, "%016" PRIx64, t->dataset.hash);
  return json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:I, s:f}", "data_hash", hash, "batch", (int)run->batch, "sequence",
                   (int)run->sequence, "micro_batch", (int)t->schedule->micro_batch, "dtype",
                   weft_dtype_name(run->dtype), "optimizer", weft_optimizer_name(run->optimizer), "seed",
                   (json_int_t)run->seed, "validation", t->request->validation);
}

static weft_status compare_facts(const char *path, json_t *before, json_t *now) {
  const char *key;
  json_t *value;
  json_object_foreach(now, key, value) {
    json_t *old = json_object_get(before, key);
    if (json_equal(old, value)) continue;
    char *was = json_dumps(old ? old : json_null(), JSON_ENCODE_ANY), *is = json_dumps(value, JSON_ENCODE_ANY);
    weft_status status =
        weft_error(WEFT_INVALID, "%s: the run that is resumed had %s %s, this one has %s", path, key, was, is);
    free(is);
    free(was);
    return status;
  }
  return NULL;
}

static weft_status write_facts(const char *path, json_t *facts) {
  char *text = json_dumps(facts, JSON_INDENT(2));
  weft_status status = weft_file_write(path, text, strlen(text));
  free(text);
  return status;
}

static weft_status keep_facts(const training *t) {
  char *path = weft_format("%s/train.json", t->request->output);
  json_t *now = facts_of(t), *before = NULL;
  weft_status status = NULL;
  if (t->request->resume) {
    status = weft_json_read_file(path, &before, NULL);
    if (!status) status = compare_facts(path, before, now);
  } else {
    status = write_facts(path, now);
  }
  json_decref(before);
  json_decref(now);
  free(path);
  return status;
}

// ---- the run ----

static weft_status note_step(void *context, const weft_train_record *record) {
  training *t = context;
  if (t->tokens == 0) t->first = *record;
  t->last = *record;
  if (record->step + TAKES > t->options.rate.steps) weft_trace_takes_end(t->takes, record->seconds);
  t->seconds += record->seconds;
  t->tokens += record->tokens;
  if (!isnan(record->validation_loss)) t->validation_loss = record->validation_loss;
  char note[192], validation[48] = "", norm[48] = "";
  if (!isnan(t->validation_loss)) snprintf(validation, sizeof validation, ", validation %.4f", t->validation_loss);
  if (!isnan(record->gradient_norm)) snprintf(norm, sizeof norm, ", norm %.3f", record->gradient_norm);
  snprintf(note, sizeof note, "loss %.4f%s, rate %.2e%s, %.0f tokens/s", record->loss, validation,
           record->learning_rate, norm, (double)record->tokens / record->seconds);
  weft_progress_update(&t->progress, record->step, note);
  return NULL;
}

static void print_result(const training *t) {
  const request *r = t->request;
  weft_table *table = weft_table_create();
  const char *columns[] = {"steps",           "tokens",  "first_loss",       "last_loss",
                           "validation_loss", "seconds", "tokens_per_second"};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; ++i) weft_table_column(table, columns[i], NULL);
  weft_table_row(table);
  weft_table_integer(table, (int64_t)t->last.step);
  weft_table_integer(table, (int64_t)t->tokens);
  weft_table_number(table, t->first.loss, 6);
  weft_table_number(table, t->last.loss, 6);
  if (isnan(t->validation_loss))
    weft_table_text(table, NULL);
  else
    weft_table_number(table, t->validation_loss, 6);
  weft_table_number(table, t->seconds, 4);
  weft_table_number(table, (double)t->tokens / t->seconds, 4);
  weft_table_print(table, r->json ? WEFT_TABLE_JSON : r->csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
}

static weft_status run_training(training *t) {
  const request *r = t->request;
  weft_trace_writer *writer = NULL;
  if (r->trace) WEFT_TRY(weft_cli_trace_open(r->trace, t->schedule, t->options.backend, NULL, &writer));
  t->takes = weft_trace_takes_create(TAKES);
  weft_trace_sink sink = weft_trace_takes_sink(t->takes);
  t->options.sink = writer ? &sink : NULL;
  t->options.traced_steps = TAKES;
  weft_progress_start(&t->progress, "training", "steps", t->options.rate.steps);
  weft_status status = weft_train(t->store, &t->options);
  weft_progress_finish(&t->progress);
  if (writer) status = weft_cli_trace_close(writer, t->takes, status);
  weft_trace_takes_destroy(t->takes);
  return status;
}

static weft_status prepare(training *t) {
  const request *r = t->request;
  weft_train_options *o = &t->options;
  WEFT_TRY(read_options(t));
  WEFT_TRY(open_model(t));
  WEFT_TRY(compile_both(t));
  WEFT_TRY(weft_dataset_read(r->data, t->model.tokenizer, t->model.network.vocabulary, r->validation, &t->dataset));
  WEFT_TRY(weft_dataset_check(&t->dataset, t->schedule->run.sequence));
  WEFT_TRY(open_store(t));
  WEFT_TRY(weft_directory_make(r->output));
  WEFT_TRY(keep_facts(t));
  WEFT_TRY(copy_tokenizer(t));
  o->schedule = t->schedule;
  o->validation = t->validation;
  o->dataset = &t->dataset;
  o->record = note_step;
  o->context = t;
  weft_log(WEFT_LOG_INFO, "%s, %" PRIu64 " parameters; %" PRIu64 " tokens to train on, %" PRIu64 " to validate",
           t->model.network.name, weft_network_parameters(&t->model.network), t->dataset.train_count,
           t->dataset.count - t->dataset.train_count);
  return NULL;
}

static weft_status check_request(const request *r) {
  if (!r->output) return weft_error(WEFT_INVALID, "-o is missing: the folder for weights, state and loss.csv");
  if (!r->data) return weft_error(WEFT_INVALID, "--data is missing: the text to train on");
  int sources = (r->network != NULL) + (r->checkpoint != NULL);
  if (!r->resume && sources != 1)
    return weft_error(WEFT_INVALID, "give one of --network (fresh weights) and --checkpoint (go on with trained ones)");
  char *state = weft_format("%s/optimizer.safetensors", r->output);
  bool there = weft_file_exists(state);
  free(state);
  if (r->resume && !there)
    return weft_error(WEFT_INVALID, "--resume: %s has no optimizer.safetensors to go on from", r->output);
  if (!r->resume && there)
    return weft_error(WEFT_INVALID, "%s has a training run already: --resume it, or give another folder", r->output);
  return NULL;
}

static weft_status train(const request *r) {
  WEFT_TRY(check_request(r));
  training t = {.request = r, .validation_loss = NAN};
  weft_status status = prepare(&t);
  if (!status) status = run_training(&t);
  if (!status) print_result(&t);
  if (!status)
    weft_log(WEFT_LOG_INFO, "wrote %s: config.json, model.safetensors, optimizer.safetensors, loss.csv", r->output);
  weft_store_destroy(t.store);
  weft_dataset_finish(&t.dataset);
  weft_schedule_destroy(t.validation);
  weft_schedule_destroy(t.schedule);
  weft_cli_model_close(&t.model);
  return status;
}

static weft_status run(int argc, const char **argv) {
  weft_update update = weft_update_default();
  request r = {.rate = 1e-3,
               .least_rate = -1,
               .decay = 0.1,
               .beta1 = 0.9,
               .beta2 = 0.95,
               .epsilon = 1e-8,
               .clip = (double)update.clip_norm,
               .validation = 0.05,
               .seed = 1,
               .steps = 1000,
               .batch = 8,
               .sequence = 128,
               .warmup = -1,
               .validation_runs = 8};
  struct poptOption table[] = {
      {"network", 'n', POPT_ARG_STRING, &r.network, 0, "fresh weights for this network: a name, folder or config.json",
       "NETWORK"},
      {"checkpoint", 'c', POPT_ARG_STRING, &r.checkpoint, 0, "go on with these weights", "DIR|FILE"},
      {"data", 'd', POPT_ARG_STRING, &r.data, 0, "the text to train on", "FILE"},
      {"output", 'o', POPT_ARG_STRING, &r.output, 0, "folder for weights, state and loss.csv", "DIR"},
      {"resume", 0, POPT_ARG_NONE, &r.resume, 0, "go on with the run in -o; give the same options", NULL},
      {"steps", 's', POPT_ARG_INT, &r.steps, 0, "training steps in all (default 1000)", "N"},
      {"batch", 0, POPT_ARG_INT, &r.batch, 0, "sequences per step (default 8)", "N"},
      {"sequence", 0, POPT_ARG_INT, &r.sequence, 0, "tokens per sequence (default 128)", "N"},
      {"accumulate", 0, POPT_ARG_INT, &r.accumulate, 0, "micro-batches per step (default: as memory allows)", "N"},
      {"lr", 0, POPT_ARG_DOUBLE, &r.rate, 0, "greatest learning rate (default 1e-3)", "X"},
      {"min-lr", 0, POPT_ARG_DOUBLE, &r.least_rate, 0, "learning rate of the last step (default: a tenth)", "X"},
      {"warmup", 0, POPT_ARG_INT, &r.warmup, 0, "steps up to the greatest rate (default: 5 %, at most 100)", "N"},
      {"schedule", 0, POPT_ARG_STRING, &r.decay_kind, 0, "cosine (default), linear or constant", "NAME"},
      {"optimizer", 0, POPT_ARG_STRING, &r.optimizer, 0, "adamw (default) or sgd", "NAME"},
      {"decay", 0, POPT_ARG_DOUBLE, &r.decay, 0, "weight decay of matrices (default 0.1)", "X"},
      {"beta1", 0, POPT_ARG_DOUBLE, &r.beta1, 0, "of AdamW (default 0.9)", "X"},
      {"beta2", 0, POPT_ARG_DOUBLE, &r.beta2, 0, "of AdamW (default 0.95)", "X"},
      {"epsilon", 0, POPT_ARG_DOUBLE, &r.epsilon, 0, "of AdamW (default 1e-8)", "X"},
      {"clip", 0, POPT_ARG_DOUBLE, &r.clip, 0, "greatest gradient norm; 0: no clipping (default 1)", "X"},
      {"seed", 0, POPT_ARG_LONGLONG, &r.seed, 0, "of fresh weights and of what is read (default 1)", "N"},
      {"tokenizer", 0, POPT_ARG_STRING, &r.tokenizer, 0,
       "tokenizer.json, .gguf or \"bytes\" (default: the checkpoint's, or bytes)", "FILE"},
      {"val", 0, POPT_ARG_DOUBLE, &r.validation, 0, "part of the text kept for validation (default 0.05; 0: none)",
       "X"},
      {"val-every", 0, POPT_ARG_INT, &r.validate_every, 0, "steps between validations (default: at the end only)", "N"},
      {"val-runs", 0, POPT_ARG_INT, &r.validation_runs, 0, "batches per validation (default 8)", "N"},
      {"save-every", 0, POPT_ARG_INT, &r.save_every, 0, "steps between checkpoints (default: at the end only)", "N"},
      {"save-dtype", 0, POPT_ARG_STRING, &r.save_dtype, 0, "of model.safetensors: f32 (default), bf16 or f16", "DTYPE"},
      {"write-schedule", 0, POPT_ARG_STRING, &r.write_schedule, 0, "keep the compiled training step", "S.weft"},
      {"trace", 0, POPT_ARG_STRING, &r.trace, 0,
       "write a Perfetto trace: of the last 9 steps, the one with the median time", "T.pftrace"},
      WEFT_CLI_BACKEND_OPTIONS(r.device),
      WEFT_CLI_COMPILE_OPTIONS(r.device),
      {"json", 0, POPT_ARG_NONE, &r.json, 0, "the result as JSON", NULL},
      {"csv", 0, POPT_ARG_NONE, &r.csv, 0, "the result as CSV", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft train --network NETWORK|--checkpoint C --data FILE -o DIR [--steps N] [--resume] [...]",
      .about =
          "Trains a network on a text. A run that is stopped and resumed ends with the same bytes as one that was not.",
      .examples =
          "  weft train --network models/tiny/config.json --data book.txt -o out/tiny --steps 2000 --batch 16 "
          "--save-every 500\n"
          "  weft train --data book.txt -o out/tiny --steps 2000 --batch 16 --save-every 500 --resume\n"
          "  weft train --checkpoint models/tiny --data book.txt -o out/more --steps 50 --lr 1e-4\n",
      .table = table};
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = train(&r);
  weft_cli_finish(&options);
  weft_cli_device_finish(&r.device);
  char *texts[] = {r.network,    r.checkpoint, r.data,       r.output, r.tokenizer,
                   r.decay_kind, r.optimizer,  r.save_dtype, r.trace,  r.write_schedule};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) free(texts[i]);
  return status;
}

const weft_command weft_command_train = {"train", "train a network on a text", run};
