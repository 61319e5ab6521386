// The training loop: steps of a schedule over a dataset, with a learning-rate schedule, validation, checkpoints that
// can be resumed, and a log.
//
// A run that is stopped after any checkpoint and resumed ends with the same bytes as one that was never stopped: what
// a step reads depends only on (seed, step), and the state that is saved is f32 (runtime/store.h).
// Threads: one loop belongs to one thread.
#ifndef WEFT_RUNTIME_TRAIN_H
#define WEFT_RUNTIME_TRAIN_H

#include "base/status.h"
#include "compiler/schedule.h"
#include "runtime/dataset.h"
#include "runtime/session.h"
#include "runtime/store.h"

#ifdef __cplusplus
extern "C" {
#endif

// Linear warm-up to `peak`, then a decay that reaches `floor` with the last step.
typedef enum weft_decay_kind {
  WEFT_DECAY_COSINE,
  WEFT_DECAY_LINEAR,
  WEFT_DECAY_CONSTANT,
  WEFT_DECAY_KIND_COUNT
} weft_decay_kind;
typedef struct weft_learning_rate {
  weft_decay_kind kind;
  double peak, floor;
  uint64_t warmup, steps;
} weft_learning_rate;

const char *weft_decay_kind_name(weft_decay_kind kind);
weft_status weft_decay_kind_parse(const char *name, weft_decay_kind *out_kind) WEFT_CHECKED;  // error names the nearest
weft_status weft_learning_rate_check(const weft_learning_rate *rate) WEFT_CHECKED;
// Of step 0, 1, ...; step 0 of a warm-up over w steps has peak / w, step w - 1 has peak.
double weft_learning_rate_at(const weft_learning_rate *rate, uint64_t step);

typedef struct weft_train_record {
  uint64_t step;  // 1 after the first
  double loss, learning_rate;
  double gradient_norm;    // before clipping; NaN without clipping
  double validation_loss;  // NaN where it was not measured
  double seconds;          // of this step
  uint64_t tokens;         // of this step
} weft_train_record;

typedef struct weft_train_options {
  const weft_schedule *schedule;    // mode train
  const weft_schedule *validation;  // prefill with all_logits and the same sequence; NULL: no validation
  const weft_backend *backend;
  weft_backend_options device;
  const weft_dataset *dataset;  // has been checked against the sequence
  weft_learning_rate rate;
  weft_update update;  // its learning_rate is overwritten
  uint64_t seed;
  uint64_t save_every, validate_every;  // steps; 0: at the end only
  uint32_t validation_windows;          // runs of the validation schedule per measurement
  const char *directory;                // gets config.json, model.safetensors, optimizer.safetensors, loss.csv
  weft_dtype saved_dtype;               // of model.safetensors
  const weft_trace_sink *sink;      // of the last `traced_steps` steps, each before its record; may be NULL
  uint64_t traced_steps;
  weft_status (*record)(void *context,
                        const weft_train_record *record);  // after every step; may be NULL; an error ends the run
  void *context;
} weft_train_options;

// Trains `store` from step weft_store_steps(store) to rate.steps. loss.csv is begun anew at step 0; else rows after the
// store's step are dropped and new ones follow. A loss that is not finite is WEFT_FAILED and nothing is saved after it.
weft_status weft_train(weft_store *store, const weft_train_options *options) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
