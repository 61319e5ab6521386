// Tiny networks: logits, hidden states, loss, gradients, an AdamW trajectory, a greedy continuation.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/golden_program/golden.h"
#include "runtime/generate.h"

// The project's promises.
static const double logits_abs = 2e-4, logits_norm_half = 2e-2, gradients_norm = 1e-3, losses_abs = 1e-3;

typedef struct net {
  golden *g;
  weft_network network;
  weft_checkpoint *weights, *golden;
  uint32_t batch, sequence;
  int32_t *ids;  // (batch, sequence)
} net;

// Runs one schedule of `run` on a store of the weights.
typedef struct running {
  weft_schedule *schedule;
  weft_store *store;
  weft_session *session;
} running;

static weft_status start(net *n, weft_run run, bool training, running *r) {
  WEFT_TRY(golden_compile(n->g, &n->network, run, &r->schedule));
  WEFT_TRY(weft_store_open(&n->network, n->weights, training, n->g->dtype, &r->store));
  return weft_session_create(r->schedule, r->store, n->g->backend, &n->g->device, NULL, &r->session);
}

static void stop(running *r) {
  weft_session_destroy(r->session);
  weft_store_destroy(r->store);
  weft_schedule_destroy(r->schedule);
}

// ---- logits and hidden states ----

// In f32 the largest difference counts, in the 16-bit formats the norm of the difference.
static weft_status compare_output(net *n, const running *r, const char *tensor, double *worst, uint64_t *values) {
  float *theirs = NULL;
  weft_stored_tensor facts = {0};
  WEFT_TRY(golden_read(n->golden, "", tensor, &theirs, &facts));
  uint64_t count = (uint64_t)n->batch * n->sequence * facts.shape[facts.rank - 1];
  float *ours = weft_allocate_array(count, sizeof *ours);
  weft_status status = weft_session_read(r->session, tensor, ours, count);
  double error = n->g->dtype == WEFT_F32 ? golden_largest(ours, theirs, count)
                                         : golden_distance(ours, theirs, count) / golden_norm(theirs, count);
  if (!(error <= *worst)) *worst = error;
  *values += count;
  free(ours);
  free(theirs);
  return status;
}

static weft_status check_outputs(net *n) {
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.batch = n->batch;
  run.sequence = n->sequence;
  run.all_logits = run.keep_hidden = true;
  running r = {0};
  weft_outcome outcome = {0};
  weft_status status = start(n, run, false, &r);
  if (!status) status = weft_session_run(r.session, &(weft_feed){.ids = n->ids}, NULL, &outcome);
  double logits = 0, hidden = 0;
  uint64_t logit_values = 0, hidden_values = 0;
  if (!status) status = compare_output(n, &r, "logits", &logits, &logit_values);
  for (uint32_t l = 0; l <= n->network.layers && !status; ++l) {
    char name[32];
    snprintf(name, sizeof name, "hidden.%u", l);
    if (golden_has(n->golden, name)) status = compare_output(n, &r, name, &hidden, &hidden_values);
  }
  stop(&r);
  WEFT_TRY(status);
  bool exact = n->g->dtype == WEFT_F32;
  golden_check(n->g, "logits", exact ? "abs" : "norm", logits, exact ? logits_abs : logits_norm_half, NULL);
  if (hidden_values)
    golden_check(n->g, "hidden states", exact ? "abs" : "norm", hidden, exact ? logits_abs : logits_norm_half, NULL);
  return NULL;
}

// ---- loss and gradients ----

// Next-token targets: the last position of a sequence has none.
static int32_t *targets_of(const net *n, const int32_t *ids) {
  int32_t *targets = weft_allocate_array((size_t)n->batch * n->sequence, sizeof *targets);
  for (uint32_t b = 0; b < n->batch; ++b)
    for (uint32_t t = 0; t < n->sequence; ++t) {
      size_t at = (size_t)b * n->sequence + t;
      targets[at] = t + 1 < n->sequence ? ids[at + 1] : -1;
    }
  return targets;
}

static weft_run training_run(const net *n, uint32_t micro_batch, weft_recompute recompute) {
  weft_run run = weft_run_default();
  run.mode = WEFT_TRAIN;
  run.batch = n->batch;
  run.sequence = n->sequence;
  run.micro_batch = micro_batch;
  run.recompute = recompute;
  return run;
}

// Golden values are named by the parameter's name with or without the model's prefix.
static weft_status golden_parameter(const net *n, const char *prefix, const char *parameter, float **out_values) {
  static const char *const prefixes[] = {"", "transformer.", "model."};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; ++i) {
    char *name = weft_format("%s%s%s", prefix, prefixes[i], parameter);
    bool found = golden_has(n->golden, name);
    free(name);
    if (!found) continue;
    char *with = weft_format("%s%s", prefix, prefixes[i]);
    weft_status status = golden_read(n->golden, with, parameter, out_values, NULL);
    free(with);
    return status;
  }
  return golden_read(n->golden, prefix, parameter, out_values, NULL);  // says what is missing
}

typedef enum which { GRADIENTS, WEIGHTS } which;

// A bias of the keys shifts all scores of a query alike, so its gradient is 0 but for rounding, and Adam divides that
// by its own size: where such a weight goes is an accident. They are told by gradients a millionth of the tensor's
// largest.
static void leave_out_accidents(float *ours, float *theirs, const float *gradient, uint64_t count) {
  float largest = 0;
  for (uint64_t i = 0; i < count; ++i) largest = fmaxf(largest, fabsf(gradient[i]));
  for (uint64_t i = 0; i < count; ++i)
    if (gradient[i] != 0 && fabsf(gradient[i]) < 1e-6f * largest) ours[i] = theirs[i] = 0;
}

static weft_status compare_parameters(net *n, running *r, which what, double *out_worst, char **out_note) {
  uint32_t count = weft_network_parameter_tensors(&n->network);
  double *distances = weft_allocate_array(count, sizeof *distances), *norms = weft_allocate_array(count, sizeof *norms),
         all = 0;
  weft_status status = NULL;
  for (uint32_t p = 0; p < count && !status; ++p) {
    weft_parameter parameter = weft_network_parameter(&n->network, p);
    weft_view view = weft_store_parameter(r->store, p);
    float *theirs = NULL, *gradient = NULL;
    if (what == GRADIENTS) status = weft_store_gradient(r->store, p, &view);
    if (!status) status = golden_parameter(n, what == GRADIENTS ? "grad." : "adamw.param.", parameter.name, &theirs);
    if (!status && what == WEIGHTS) status = golden_parameter(n, "grad.", parameter.name, &gradient);
    if (!status && gradient) leave_out_accidents(view.data, theirs, gradient, view.rows * view.columns);
    free(gradient);
    if (status) {
      free(theirs);
      break;
    }
    distances[p] = golden_distance(view.data, theirs, view.rows * view.columns);
    norms[p] = golden_norm(theirs, view.rows * view.columns);
    all += norms[p] * norms[p];
    free(theirs);
  }
  *out_worst = 0;
  for (uint32_t p = 0; p < count && !status; ++p) {
    double error = distances[p] / fmax(norms[p], 1e-4 * sqrt(all));
    if (error <= *out_worst) continue;
    *out_worst = error;
    free(*out_note);
    *out_note = weft_format("worst: %s", weft_network_parameter(&n->network, p).name);
  }
  free(norms);
  free(distances);
  return status;
}

// One pass without an update; the weights' gradients must not depend on how the batch and memory are cut.
static weft_status check_gradients(net *n, const char *check, uint32_t micro_batch, weft_recompute recompute) {
  running r = {0};
  int32_t *targets = targets_of(n, n->ids);
  weft_feed feed = {.ids = n->ids, .targets = targets, .update = weft_update_default(), .skip_update = true};
  weft_outcome outcome = {0};
  float *loss = NULL;
  double worst = 0;
  char *note = NULL;
  weft_status status = start(n, training_run(n, micro_batch, recompute), true, &r);
  if (!status) status = weft_session_run(r.session, &feed, NULL, &outcome);
  if (!status) status = golden_read(n->golden, "", "loss", &loss, NULL);
  if (!status) status = compare_parameters(n, &r, GRADIENTS, &worst, &note);
  if (!status) {
    char *loss_check = weft_format("loss%s", check);
    golden_check(n->g, loss_check, "abs", fabs(outcome.loss - (double)*loss), logits_abs, NULL);
    free(loss_check);
    char *gradient_check = weft_format("gradients%s", check);
    golden_check(n->g, gradient_check, "norm", worst, gradients_norm, note);
    free(gradient_check);
  }
  free(note);
  free(loss);
  free(targets);
  stop(&r);
  return status;
}

// ---- AdamW ----

typedef struct trajectory {
  weft_stored_tensor facts, losses, norms;
  int32_t *ids;  // (batches, batch, sequence)
  uint64_t batches, steps;
  double worst_loss, worst_norm;
} trajectory;

static double f64_at(const weft_stored_tensor *tensor, uint64_t index) {
  double value;
  memcpy(&value, (const uint8_t *)tensor->data + index * sizeof value, sizeof value);
  return value;
}

static weft_status train_steps(net *n, running *r, trajectory *t) {
  size_t rows = (size_t)n->batch * n->sequence;
  for (uint64_t s = 0; s < t->steps; ++s) {
    const int32_t *ids = t->ids + (s % t->batches) * rows;
    int32_t *targets = targets_of(n, ids);
    weft_feed feed = {
        .ids = ids, .targets = targets, .update = weft_update_default()};  // the defaults are the golden run's
    weft_outcome outcome = {0};
    weft_status status = weft_session_run(r->session, &feed, NULL, &outcome);
    free(targets);
    WEFT_TRY(status);
    t->worst_loss = fmax(t->worst_loss, fabs(outcome.loss - f64_at(&t->losses, s)));
    t->worst_norm = fmax(t->worst_norm, fabs(outcome.gradient_norm / f64_at(&t->norms, s) - 1));
    if (isnan(outcome.loss)) t->worst_loss = NAN;
  }
  return NULL;
}

static weft_status check_trajectory(net *n) {
  if (!golden_has(n->golden, "adamw.input_ids")) return NULL;
  trajectory t = {0};
  running r = {0};
  double worst = 0;
  char *note = NULL;
  WEFT_TRY(weft_checkpoint_find(n->golden, "adamw.losses", &t.losses));
  WEFT_TRY(weft_checkpoint_find(n->golden, "adamw.grad_norms", &t.norms));
  if (t.losses.dtype != WEFT_F64 || t.norms.dtype != WEFT_F64)
    return weft_error(WEFT_INVALID, "%s: losses and norms must be f64", t.losses.file);
  t.steps = t.losses.shape[0];
  weft_status status = golden_ids(n->golden, "adamw.input_ids", &t.ids, &t.facts);
  t.batches = t.facts.shape[0];
  if (!status) status = start(n, training_run(n, 0, WEFT_RECOMPUTE_AUTO), true, &r);
  if (!status) status = train_steps(n, &r, &t);
  if (!status) status = compare_parameters(n, &r, WEIGHTS, &worst, &note);
  if (!status) {
    char *steps = weft_format("%llu steps", (unsigned long long)t.steps);
    golden_check(n->g, "adamw losses", "abs", t.worst_loss, losses_abs, steps);
    golden_check(n->g, "adamw gradient norms", "norm", t.worst_norm, gradients_norm, steps);
    golden_check(n->g, "adamw weights", "norm", worst, gradients_norm, note);
    free(steps);
  }
  free(note);
  free(t.ids);
  stop(&r);
  return status;
}

// ---- greedy ----

static weft_status continue_greedily(net *n, const weft_schedule *prefill, const weft_schedule *decode, uint32_t prompt,
                                     const int32_t *expected, uint32_t count) {
  weft_store *store = NULL;
  WEFT_TRY(weft_store_open(&n->network, n->weights, false, n->g->dtype, &store));
  weft_generate_options options = {.prefill = prefill,
                                   .decode = decode,
                                   .backend = n->g->backend,
                                   .device = n->g->device,
                                   .sampling = weft_sampling_default(),
                                   .tokens = count,
                                   .eos = -1};
  weft_generation generation = {0};
  weft_status status = weft_generate(store, &options, n->ids, prompt, &generation);
  uint32_t wrong = count > generation.count ? count - generation.count : 0;
  for (uint32_t i = 0; i < count && i < generation.count; ++i) wrong += generation.ids[i] != expected[i];
  weft_generation_finish(&generation);
  weft_store_destroy(store);
  WEFT_TRY(status);
  char *note = weft_format("of %u tokens, with KV cache", count);
  golden_check(n->g, "greedy continuation", "count", wrong, 0, note);
  free(note);
  return NULL;
}

static weft_status check_greedy(net *n) {
  enum { PROMPT = 5 };  // as the golden continuation
  if (!golden_has(n->golden, "greedy")) return NULL;
  int32_t *expected = NULL;
  weft_stored_tensor facts = {0};
  WEFT_TRY(golden_ids(n->golden, "greedy", &expected, &facts));
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.sequence = PROMPT;
  run.context = PROMPT + (uint32_t)facts.shape[0];
  weft_schedule *prefill = NULL, *decode = NULL;
  weft_status status = golden_compile(n->g, &n->network, run, &prefill);
  run.mode = WEFT_DECODE;
  run.sequence = run.context;
  run.context = 0;
  if (!status) status = golden_compile(n->g, &n->network, run, &decode);
  if (!status) status = continue_greedily(n, prefill, decode, PROMPT, expected, (uint32_t)facts.shape[0]);
  weft_schedule_destroy(decode);
  weft_schedule_destroy(prefill);
  free(expected);
  return status;
}

// ---- all of it ----

static weft_status check_network(net *n) {
  weft_stored_tensor facts = {0};
  WEFT_TRY(weft_checkpoint_network(n->weights, &n->network));
  WEFT_TRY(golden_ids(n->golden, "input_ids", &n->ids, &facts));
  if (facts.rank != 2) return weft_error(WEFT_INVALID, "%s: input_ids must have two dimensions", facts.file);
  n->batch = (uint32_t)facts.shape[0];
  n->sequence = (uint32_t)facts.shape[1];
  WEFT_TRY(check_outputs(n));
  if (n->g->dtype != WEFT_F32) return NULL;  // the rest is promised for f32
  WEFT_TRY(check_gradients(n, "", 0, WEFT_RECOMPUTE_NONE));
  WEFT_TRY(check_gradients(n, ", recomputed", 0, WEFT_RECOMPUTE_BLOCK));
  if (n->batch > 1) WEFT_TRY(check_gradients(n, ", micro-batch 1", 1, WEFT_RECOMPUTE_NONE));
  WEFT_TRY(check_trajectory(n));
  return check_greedy(n);
}

weft_status golden_network(golden *g, const char *path) {
  net n = {.g = g};
  char *file = weft_format("%s/golden.safetensors", path), *weights = weft_format("%s/model.safetensors", path);
  // A folder may hold shards instead of one file.
  weft_status status = weft_checkpoint_open(weft_file_exists(weights) ? weights : path, &n.weights);
  if (!status) status = weft_checkpoint_open(file, &n.golden);
  if (!status) status = check_network(&n);
  weft_checkpoint_close(n.golden);
  weft_checkpoint_close(n.weights);
  free(weights);
  free(file);
  free(n.ids);
  return status;
}
