#include "runtime/train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "runtime/score.h"

typedef struct loop {
  const weft_train_options *options;
  weft_store *store;
  weft_session *train, *validation;
  uint32_t sequence, batch;  // of a step
  int32_t *ids, *targets;    // (batch, sequence)
  float *logits;             // of one validation run
  FILE *log;
  uint64_t saved_step;
} loop;

// ---- the log ----

static const char header[] = "step,loss,validation_loss,learning_rate,gradient_norm,tokens,seconds\n";

// What stays of an old log: its header and the rows up to `step`.
static size_t kept_bytes(const char *text, size_t bytes, uint64_t step) {
  size_t at = 0;
  for (bool first = true; at < bytes; first = false) {
    const char *end = memchr(text + at, '\n', bytes - at);
    if (!end) break;  // a row that was not finished
    if (!first && strtoull(text + at, NULL, 10) > step) break;
    at = (size_t)(end - text) + 1;
  }
  return at;
}

static weft_status write_log(const char *path, const char *old, size_t kept, FILE **out_log) {
  FILE *log = fopen(path, "w");
  if (!log) return weft_error(WEFT_FAILED, "%s: cannot write: %s", path, strerror(errno));
  if (kept > 0)
    fwrite(old, 1, kept, log);
  else
    fputs(header, log);
  *out_log = log;
  return NULL;
}

static weft_status open_log(loop *l) {
  char *path = weft_format("%s/loss.csv", l->options->directory), *old = NULL;
  uint64_t step = weft_store_steps(l->store);
  size_t kept = 0;
  weft_status status = NULL;
  if (step > 0 && weft_file_exists(path)) {
    weft_mapping mapping = {0};
    status = weft_mapping_open(path, &mapping);
    if (!status) {
      kept = kept_bytes((const char *)mapping.bytes, mapping.size, step);
      old = weft_allocate(kept);  // the file is about to be written over
      memcpy(old, mapping.bytes, kept);
    }
    weft_mapping_close(&mapping);
  }
  if (!status) status = write_log(path, old, kept, &l->log);
  free(old);
  free(path);
  return status;
}

static weft_status log_record(loop *l, const weft_train_record *record) {
  char validation[32] = "", norm[32] = "";
  if (!isnan(record->validation_loss)) snprintf(validation, sizeof validation, "%.9g", record->validation_loss);
  if (!isnan(record->gradient_norm)) snprintf(norm, sizeof norm, "%.9g", record->gradient_norm);
  fprintf(l->log, "%llu,%.9g,%s,%.9g,%s,%llu,%.6g\n", (unsigned long long)record->step, record->loss, validation,
          record->learning_rate, norm, (unsigned long long)record->tokens, record->seconds);
  if (fflush(l->log) != 0)
    return weft_error(WEFT_FAILED, "%s/loss.csv: cannot write: %s", l->options->directory, strerror(errno));
  return NULL;
}

// ---- steps ----

static weft_status validate(loop *l, double *out_loss) {
  const weft_train_options *o = l->options;
  const weft_schedule *schedule = o->validation;
  uint32_t vocabulary = schedule->network.vocabulary, batch = schedule->run.batch;
  uint64_t rows = (uint64_t)batch * l->sequence, windows = (uint64_t)o->validation_windows * batch;
  int32_t *ids = weft_allocate_array(rows, sizeof *ids), *targets = weft_allocate_array(rows, sizeof *targets);
  double sum = 0;
  weft_status status = NULL;
  for (uint64_t run = 0; run < o->validation_windows && !status; ++run) {
    for (uint32_t b = 0; b < batch; ++b) {
      uint64_t first = (uint64_t)b * l->sequence;
      weft_dataset_validate(o->dataset, run * batch + b, windows, l->sequence, ids + first, targets + first);
    }
    weft_outcome outcome = {0};
    status = weft_session_run(l->validation, &(weft_feed){.ids = ids}, NULL, &outcome);
    if (!status) status = weft_session_read(l->validation, "logits", l->logits, rows * vocabulary);
    for (uint64_t r = 0; r < rows && !status; ++r) sum += weft_nll(l->logits + r * vocabulary, vocabulary, targets[r]);
  }
  free(targets);
  free(ids);
  *out_loss = sum / (double)(windows * l->sequence);
  return status;
}

static weft_status train_step(loop *l, uint64_t step, weft_train_record *record) {
  const weft_train_options *o = l->options;
  for (uint32_t b = 0; b < l->batch; ++b) {
    uint64_t first = (uint64_t)b * l->sequence;
    weft_dataset_train(o->dataset, o->seed, step * l->batch + b, l->sequence, l->ids + first, l->targets + first);
  }
  weft_feed feed = {.ids = l->ids, .targets = l->targets, .update = o->update};
  record->learning_rate = weft_learning_rate_at(&o->rate, step);
  feed.update.learning_rate = (float)record->learning_rate;
  weft_outcome outcome = {0};
  WEFT_TRY(weft_session_run(l->train, &feed, step + o->traced_steps >= o->rate.steps ? o->sink : NULL, &outcome));
  record->step = step + 1;
  record->loss = outcome.loss;
  record->gradient_norm = outcome.gradient_norm;
  record->seconds = outcome.seconds;
  record->tokens = (uint64_t)l->batch * l->sequence;
  record->validation_loss = NAN;
  if (isfinite(outcome.loss)) return NULL;
  return weft_error(WEFT_FAILED, "the loss is %g", outcome.loss);
}

static weft_status after_step(loop *l, weft_train_record *record) {
  const weft_train_options *o = l->options;
  bool last = record->step == o->rate.steps;
  bool due = last || (o->validate_every > 0 && record->step % o->validate_every == 0);
  if (l->validation && due) WEFT_TRY(validate(l, &record->validation_loss));
  WEFT_TRY(log_record(l, record));
  if (o->record) WEFT_TRY(o->record(o->context, record));
  if (!last && (o->save_every == 0 || record->step % o->save_every != 0)) return NULL;
  WEFT_TRY(weft_store_save(l->store, o->directory, o->saved_dtype, true));
  l->saved_step = record->step;
  return NULL;
}

static weft_status run_steps(loop *l) {
  for (uint64_t step = weft_store_steps(l->store); step < l->options->rate.steps; ++step) {
    weft_train_record record = {0};
    weft_status status = train_step(l, step, &record);
    if (status) {
      char saved[64] = "nothing was saved before it";
      if (l->saved_step > 0)
        snprintf(saved, sizeof saved, "the last saved state is of step %llu", (unsigned long long)l->saved_step);
      return weft_status_prefix(status, "training step %llu (learning rate %.3g; %s): ", (unsigned long long)step + 1,
                                record.learning_rate, saved);
    }
    WEFT_TRY(after_step(l, &record));
  }
  return NULL;
}

// ---- the loop ----

static weft_status check_options(const weft_train_options *o, const weft_store *store) {
  WEFT_TRY(weft_learning_rate_check(&o->rate));
  if (o->schedule->run.mode != WEFT_TRAIN) return weft_error(WEFT_INVALID, "training needs a schedule of mode train");
  const weft_run *validation = o->validation ? &o->validation->run : NULL;
  if (validation && (validation->mode != WEFT_PREFILL || !validation->all_logits ||
                     validation->sequence != o->schedule->run.sequence)) {
    return weft_error(WEFT_INVALID, "validation needs a prefill schedule with all logits and sequence %u",
                      o->schedule->run.sequence);
  }
  WEFT_TRY(weft_dataset_check(o->dataset, o->schedule->run.sequence));
  if (validation && o->dataset->train_count == o->dataset->count)
    return weft_error(WEFT_INVALID, "validation needs a part of the data");
  if (weft_store_steps(store) < o->rate.steps) return NULL;
  return weft_error(WEFT_INVALID, "%llu steps were done already; more must be asked for than %llu",
                    (unsigned long long)weft_store_steps(store), (unsigned long long)o->rate.steps);
}

static weft_status open_loop(loop *l) {
  const weft_train_options *o = l->options;
  WEFT_TRY(weft_directory_make(o->directory));
  WEFT_TRY(weft_session_create(o->schedule, l->store, o->backend, &o->device, NULL, &l->train));
  if (o->validation) {
    uint64_t values = (uint64_t)o->validation->run.batch * l->sequence * o->validation->network.vocabulary;
    WEFT_TRY(weft_session_create(o->validation, l->store, o->backend, &o->device, NULL, &l->validation));
    void *logits = NULL;
    WEFT_TRY(weft_allocate_large((size_t)values * sizeof(float), "the logits of validation", &logits));
    l->logits = logits;
  }
  return open_log(l);
}

weft_status weft_train(weft_store *store, const weft_train_options *options) {
  WEFT_TRY(check_options(options, store));
  const weft_run *run = &options->schedule->run;
  loop l = {.options = options,
            .store = store,
            .sequence = run->sequence,
            .batch = run->batch,
            .saved_step = weft_store_steps(store)};
  l.ids = weft_allocate_array((size_t)l.batch * l.sequence, sizeof *l.ids);
  l.targets = weft_allocate_array((size_t)l.batch * l.sequence, sizeof *l.targets);
  weft_status status = open_loop(&l);
  if (!status) status = run_steps(&l);
  if (l.log && fclose(l.log) != 0 && !status)
    status = weft_error(WEFT_FAILED, "%s/loss.csv: %s", options->directory, strerror(errno));
  weft_session_destroy(l.validation);
  weft_session_destroy(l.train);
  weft_free_large(l.logits);
  free(l.ids);
  free(l.targets);
  return status;
}
