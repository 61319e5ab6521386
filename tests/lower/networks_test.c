// Whole networks on simulated meshes against backend ref and the golden files: prefill, a training step, decoding.
#include "tests/lower/lower.h"
#include "tests/lower/watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "compiler/compile.h"
#include "models/checkpoint.h"
#include "runtime/session.h"
#include "runtime/store.h"
#include "sim/mesh.h"
#include "sim/wavelet.h"

// The promise: outputs as ref's within this of each tensor's largest value, in f32.
static const double rounding = 1e-5;

typedef struct golden {
  weft_network network;
  weft_checkpoint *weights;
  weft_machine *machine;
  uint32_t batch, sequence;
  int32_t *ids, *targets;
} golden;

static golden open_golden(const char *name, const char *machine) {
  golden g = {0};
  char *weights = weft_format("%s/golden/%s/model.safetensors", WEFT_TESTS, name);
  char *file = weft_format("%s/golden/%s/golden.safetensors", WEFT_TESTS, name);
  weft_checkpoint *values = NULL;
  weft_stored_tensor ids = {0};
  require(weft_checkpoint_open(weights, &g.weights));
  require(weft_checkpoint_network(g.weights, &g.network));
  require(weft_checkpoint_open(file, &values));
  require(weft_checkpoint_find(values, "input_ids", &ids));
  require(weft_machine_read(machine, &g.machine));
  g.batch = (uint32_t)ids.shape[0];
  g.sequence = (uint32_t)ids.shape[1];
  g.ids = weft_allocate(ids.bytes);
  g.targets = weft_allocate(ids.bytes);
  memcpy(g.ids, ids.data, ids.bytes);
  for (uint32_t i = 0; i < g.batch * g.sequence; ++i) g.targets[i] = (i + 1) % g.sequence == 0 ? -1 : g.ids[i + 1];
  weft_checkpoint_close(values);
  free(file);
  free(weights);
  return g;
}

static void close_golden(golden *g) {
  free(g->ids);
  free(g->targets);
  weft_machine_destroy(g->machine);
  weft_checkpoint_close(g->weights);
}

static weft_run run_of(const golden *g, weft_mode mode) {
  weft_run run = weft_run_default();
  run.mode = mode;
  run.batch = g->batch;
  run.sequence = g->sequence;
  run.dtype = WEFT_F32;
  return run;
}

static weft_schedule *compile(const golden *g, weft_run run) {
  weft_schedule *schedule = NULL;
  require(weft_compile(&g->network, g->machine, &run, &schedule));
  return schedule;
}

// ---- a store that both use in turn, or one for each

static float *values_of(void *context, uint32_t parameter, weft_residency which) {
  weft_store *store = context;
  weft_view view = {0};
  weft_status status = NULL;
  switch (which) {
    case WEFT_STORE_PARAMETER: view = weft_store_parameter(store, parameter); break;
    case WEFT_STORE_GRADIENT: status = weft_store_gradient(store, parameter, &view); break;
    case WEFT_STORE_MOMENT1: status = weft_store_moment(store, parameter, 1, &view); break;
    case WEFT_STORE_MOMENT2: status = weft_store_moment(store, parameter, 2, &view); break;
    default: break;
  }
  weft_status_free(status);
  return view.data;
}

static weft_store *open_store(const golden *g) {
  weft_store *store = NULL;
  require(weft_store_open(&g->network, g->weights, true, WEFT_F32, &store));
  return store;
}

static void say(const char *network, const char *what, const golden *g, const weft_wavelet_work *work, double error) {
  print_message(
      "%s %s on %ux%u cores: %llu kernels, %llu cycles, %.1f MFLOP, %llu bytes of SRAM in a core, error %.1e\n",
      network, what, g->machine->mesh.columns, g->machine->mesh.rows, (unsigned long long)work->kernels,
      (unsigned long long)work->cycles, work->flops * 1e-6, (unsigned long long)work->core_bytes, error);
}

static void expect(const char *what, double error) {
  if (!(error <= rounding)) fail_msg("%s: error %g, tolerance %g", what, error, rounding);
}

// ---- prefill

static double compare_tensor(const weft_session *session, const weft_wavelet *wavelet, const char *name,
                             uint64_t count) {
  float *ours = weft_allocate_array(count, sizeof *ours), *theirs = weft_allocate_array(count, sizeof *theirs);
  require(weft_session_read(session, name, theirs, count));
  require(weft_wavelet_read(wavelet, name, ours, count));
  double error = distance(ours, theirs, count);
  free(ours);
  free(theirs);
  return error;
}

static void check_prefill(const char *name, const char *machine) {
  golden g = open_golden(name, machine);
  weft_run run = run_of(&g, WEFT_PREFILL);
  run.all_logits = run.keep_hidden = true;
  weft_schedule *schedule = compile(&g, run);
  weft_store *store = open_store(&g);
  weft_session *session = NULL;
  weft_wavelet *wavelet = NULL;
  weft_outcome outcome = {0};
  weft_wavelet_outcome ours = {0};
  require(weft_session_create(schedule, store, &weft_backend_ref, &(weft_backend_options){0}, NULL, &session));
  require(weft_session_run(session, &(weft_feed){.ids = g.ids}, NULL, &outcome));
  require(weft_wavelet_create(schedule, &(weft_wavelet_store){store, values_of}, NULL, &wavelet));
  seen s = {.steps = schedule->step_count};
  weft_wavelet_set_watch(wavelet, &(weft_wavelet_watch){.context = &s, .ended = see});
  require(weft_wavelet_run(wavelet, &(weft_wavelet_feed){.ids = g.ids}, &ours));
  assert_true(s.kernels == ours.work.kernels && s.cycles == ours.work.cycles);
  uint64_t tokens = (uint64_t)g.batch * g.sequence;
  double error = compare_tensor(session, wavelet, "logits", tokens * g.network.vocabulary);
  say(name, "prefill", &g, &ours.work, error);
  expect("logits", error);
  for (uint32_t l = 0; l <= g.network.layers; ++l) {
    char hidden[32];
    snprintf(hidden, sizeof hidden, "hidden.%u", l);
    expect(hidden, compare_tensor(session, wavelet, hidden, tokens * g.network.hidden));
  }
  weft_wavelet_destroy(wavelet);
  weft_session_destroy(session);
  weft_store_destroy(store);
  weft_schedule_destroy(schedule);
  close_golden(&g);
}

static void test_llama_prefill(void **state) {
  (void)state;
  check_prefill("tiny-llama", "mesh:8x8 sram:48KiB clock:850MHz");
  check_prefill("tiny-llama", "mesh:16x12 sram:48KiB clock:850MHz");
}

static void test_gpt2_prefill(void **state) {
  (void)state;
  check_prefill("tiny-gpt2", "mesh:8x8 sram:48KiB clock:850MHz");
  check_prefill("tiny-gpt2", "mesh:16x12 sram:48KiB clock:850MHz");
}

// Other architectures: interleaved and stretched RoPE, untied and tied heads, biases; meshes of all proportions.
static void test_other_prefills(void **state) {
  (void)state;
  check_prefill("tiny-llama-tied-rope3", "mesh:3x7 sram:128KiB clock:850MHz");
  check_prefill("tiny-gpt2-untied", "mesh:7x3 sram:128KiB clock:850MHz");
  check_prefill("tiny-qwen2", "mesh:1x5 sram:256KiB clock:850MHz");
  check_prefill("tiny-gptj", "mesh:1x1 sram:256KiB clock:850MHz");
}

// The same bytes and cycles for one and two threads.
static void test_threads(void **state) {
  (void)state;
  golden g = open_golden("tiny-gptj", "mesh:6x7 sram:48KiB clock:850MHz");
  weft_run run = run_of(&g, WEFT_TRAIN);
  weft_schedule *schedule = compile(&g, run);
  weft_store *stores[2] = {open_store(&g), open_store(&g)};
  weft_wavelet_outcome outcomes[2];
  memset(outcomes, 0, sizeof outcomes);
  for (uint32_t i = 0; i < 2; ++i) {
    weft_mesh_options options = weft_mesh_options_default();
    options.threads = i + 1;
    weft_wavelet *wavelet = NULL;
    require(weft_wavelet_create(schedule, &(weft_wavelet_store){stores[i], values_of}, NULL, &wavelet));
    weft_wavelet_set_watch(wavelet, &(weft_wavelet_watch){.options = &options});
    weft_wavelet_feed feed = {.ids = g.ids, .targets = g.targets, .clip_norm = 1};
    feed.scalars = (weft_wavelet_scalars){.learning_rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .step = 2};
    require(weft_wavelet_run(wavelet, &feed, &outcomes[i]));
    weft_wavelet_destroy(wavelet);
  }
  assert_memory_equal(&outcomes[0], &outcomes[1], sizeof outcomes[0]);
  for (uint32_t p = 0; p < weft_network_parameter_tensors(&g.network); ++p) {
    weft_view view = weft_store_parameter(stores[0], p);
    assert_memory_equal(view.data, weft_store_parameter(stores[1], p).data, view.rows * view.columns * sizeof(float));
  }
  for (int i = 0; i < 2; ++i) weft_store_destroy(stores[i]);
  weft_schedule_destroy(schedule);
  close_golden(&g);
}

// ---- activations and weights of 16 bits, against ref in f32: the norm of the difference over ref's, as in
// tests/golden

// Every value is rounded a few times on its way through two blocks, by up to 2^-11 (f16) or 2^-8 (bf16) of its size
// each, and independently: 4 of them.
static double narrow(weft_dtype dtype) { return 4 * (dtype == WEFT_F16 ? 0x1p-11 : 0x1p-8); }

static double norm_of_difference(const float *left, const float *right, uint64_t count) {
  double sum = 0, norm = 0;
  for (uint64_t i = 0; i < count; ++i) {
    sum += ((double)left[i] - (double)right[i]) * ((double)left[i] - (double)right[i]);
    norm += (double)right[i] * (double)right[i];
  }
  return sqrt(sum / norm);
}

static void narrow_logits(const golden *g, weft_dtype dtype, float *ours, float *theirs, weft_wavelet_work *work) {
  weft_run run = run_of(g, WEFT_PREFILL);
  run.all_logits = true;
  weft_schedule *exact = compile(g, run);
  run.dtype = dtype;
  weft_schedule *narrow = compile(g, run);
  weft_store *store = open_store(g);
  weft_session *session = NULL;
  weft_wavelet *wavelet = NULL;
  weft_outcome outcome = {0};
  weft_wavelet_outcome made = {0};
  uint64_t count = (uint64_t)g->batch * g->sequence * g->network.vocabulary;
  require(weft_session_create(exact, store, &weft_backend_ref, &(weft_backend_options){0}, NULL, &session));
  require(weft_session_run(session, &(weft_feed){.ids = g->ids}, NULL, &outcome));
  require(weft_session_read(session, "logits", theirs, count));
  require(weft_wavelet_create(narrow, &(weft_wavelet_store){store, values_of}, NULL, &wavelet));
  require(weft_wavelet_run(wavelet, &(weft_wavelet_feed){.ids = g->ids}, &made));
  require(weft_wavelet_read(wavelet, "logits", ours, count));
  *work = made.work;
  weft_wavelet_destroy(wavelet);
  weft_session_destroy(session);
  weft_store_destroy(store);
  weft_schedule_destroy(narrow);
  weft_schedule_destroy(exact);
}

static void check_narrow(const char *name, const char *machine, weft_dtype dtype) {
  golden g = open_golden(name, machine);
  uint64_t count = (uint64_t)g.batch * g.sequence * g.network.vocabulary;
  float *ours = weft_allocate_array(count, sizeof *ours), *theirs = weft_allocate_array(count, sizeof *theirs);
  weft_wavelet_work work = {0};
  narrow_logits(&g, dtype, ours, theirs, &work);
  double error = norm_of_difference(ours, theirs, count);
  say(name, weft_dtype_name(dtype), &g, &work, error);
  if (!(error <= narrow(dtype) && error > 0)) fail_msg("logits: error %g, tolerance %g", error, narrow(dtype));
  free(ours);
  free(theirs);
  close_golden(&g);
}

static void test_narrow_formats(void **state) {
  (void)state;
  static const char *const names[] = {"tiny-llama", "tiny-gpt2"};
  for (int n = 0; n < 2; ++n)
    for (int format = 0; format < 2; ++format) {
      check_narrow(names[n], "mesh:8x8 sram:48KiB clock:850MHz", format ? WEFT_F16 : WEFT_BF16);
      check_narrow(names[n], "mesh:16x12 sram:48KiB clock:850MHz", format ? WEFT_F16 : WEFT_BF16);
    }
}

// ---- a training step

// Adam divides a gradient by its own size, so that what is left of a small one after rounding decides where its weight
// goes. Whether the promised error of a gradient moves the first step by more than the promised error of the weight.
// Gradients that are exactly 0 (of words that did not occur) are no accidents.
static bool accident(double gradient, double error_of_gradient, double error_of_weight) {
  const weft_update update = weft_update_default();
  double epsilon = (double)update.epsilon, most = gradient + error_of_gradient, least = gradient - error_of_gradient;
  double moves = most / (fabs(most) + epsilon) - least / (fabs(least) + epsilon);
  return (double)update.learning_rate * moves > error_of_weight;
}

typedef struct pair_of_stores {
  weft_store *ours, *theirs;
  uint32_t parameters;
  double clipping;  // factor on gradients
  uint64_t elements, left_out;
} pair_of_stores;

// Of one parameter's gradient, weight or moment: largest difference over the largest value, which counts as no less
// than `floor`.
static double compare_stored(pair_of_stores *s, uint32_t parameter, weft_residency which, double floor) {
  weft_view view = weft_store_parameter(s->theirs, parameter);
  uint64_t count = view.rows * view.columns;
  const float *left = values_of(s->ours, parameter, which), *right = values_of(s->theirs, parameter, which);
  const float *gradient = values_of(s->theirs, parameter, WEFT_STORE_GRADIENT);
  double worst = 0, largest = floor, steepest = 0;
  for (uint64_t i = 0; i < count; ++i) {
    steepest = fmax(steepest, s->clipping * fabs((double)gradient[i]));
    largest = fmax(largest, fabs((double)right[i]));
  }
  for (uint64_t i = 0; i < count; ++i) {
    double error = fabs((double)left[i] - (double)right[i]);
    ++s->elements;
    if (which == WEFT_STORE_PARAMETER && gradient[i] != 0 &&
        accident(s->clipping * (double)gradient[i], rounding * steepest, rounding * largest)) {
      ++s->left_out;
    } else if (!(error <= worst)) {
      worst = error;
    }
  }
  return worst / largest;
}

static double steepest_gradient(weft_store *store, uint32_t parameters) {
  double steepest = 0;
  for (uint32_t p = 0; p < parameters; ++p) {
    weft_view view = weft_store_parameter(store, p);
    const float *gradient = values_of(store, p, WEFT_STORE_GRADIENT);
    for (uint64_t i = 0; i < view.rows * view.columns; ++i) steepest = fmax(steepest, fabs((double)gradient[i]));
  }
  return steepest;
}

static double compare_all(pair_of_stores *s, weft_residency which) {
  double worst = 0, steepest = steepest_gradient(s->theirs, s->parameters);
  double floor = which == WEFT_STORE_GRADIENT ? 1e-3 * steepest : which == WEFT_STORE_PARAMETER ? 1e-2 : 0;
  if (which == WEFT_STORE_MOMENT1) floor = 1e-4 * s->clipping * steepest;
  if (which == WEFT_STORE_MOMENT2) floor = 1e-6 * s->clipping * steepest * s->clipping * steepest;
  for (uint32_t p = 0; p < s->parameters; ++p) {
    double error = compare_stored(s, p, which, floor);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

// Few weights may be left to accident.
static void compare_weights(pair_of_stores *s) {
  s->elements = s->left_out = 0;
  expect("weights", compare_all(s, WEFT_STORE_PARAMETER));
  print_message("  of %llu weights %llu left out\n", (unsigned long long)s->elements, (unsigned long long)s->left_out);
  assert_true(s->left_out * 50 < s->elements);
}

static void check_training(const char *name, const char *machine, weft_run changes) {
  golden g = open_golden(name, machine);
  weft_run run = run_of(&g, WEFT_TRAIN);
  run.micro_batch = changes.micro_batch;
  run.recompute = changes.recompute;
  run.optimizer = changes.optimizer;
  weft_schedule *schedule = compile(&g, run);
  weft_store *store = open_store(&g), *ref_store = open_store(&g);
  weft_session *session = NULL;
  weft_wavelet *wavelet = NULL;
  weft_update update = weft_update_default();
  weft_feed feed = {.ids = g.ids, .targets = g.targets, .update = update};
  weft_wavelet_scalars scalars = {.learning_rate = update.learning_rate,
                                  .beta1 = update.beta1,
                                  .beta2 = update.beta2,
                                  .epsilon = update.epsilon,
                                  .decay = update.decay,
                                  .step = 1};
  weft_wavelet_feed ours_feed = {.ids = g.ids, .targets = g.targets, .scalars = scalars, .clip_norm = update.clip_norm};
  weft_outcome outcome = {0};
  weft_wavelet_outcome ours = {0};
  require(weft_session_create(schedule, ref_store, &weft_backend_ref, &(weft_backend_options){0}, NULL, &session));
  require(weft_session_run(session, &feed, NULL, &outcome));
  require(weft_wavelet_create(schedule, &(weft_wavelet_store){store, values_of}, NULL, &wavelet));
  require(weft_wavelet_run(wavelet, &ours_feed, &ours));
  pair_of_stores both = {store,
                         ref_store,
                         weft_network_parameter_tensors(&g.network),
                         fmin(1, (double)update.clip_norm / outcome.gradient_norm),
                         0,
                         0};
  double gradients = compare_all(&both, WEFT_STORE_GRADIENT);
  say(name, "training step", &g, &ours.work, gradients);
  expect("loss", fabs(ours.loss / outcome.loss - 1));
  expect("gradient norm", fabs(ours.gradient_norm / outcome.gradient_norm - 1));
  expect("gradients", gradients);
  compare_weights(&both);
  if (run.optimizer == WEFT_ADAMW) {
    expect("first moments", compare_all(&both, WEFT_STORE_MOMENT1));
    expect("second moments", compare_all(&both, WEFT_STORE_MOMENT2));
  }
  weft_wavelet_destroy(wavelet);
  weft_session_destroy(session);
  weft_store_destroy(store);
  weft_store_destroy(ref_store);
  weft_schedule_destroy(schedule);
  close_golden(&g);
}

// A step with activations and weights of 16 bits against one in f32. Gradients pass twice as many roundings, and are
// not scaled: what underflows in f16 is lost.
static void check_narrow_training(const char *name, const char *machine, weft_dtype dtype) {
  golden g = open_golden(name, machine);
  weft_run run = run_of(&g, WEFT_TRAIN);
  weft_schedule *exact = compile(&g, run);
  run.dtype = dtype;
  weft_schedule *schedule = compile(&g, run);
  weft_store *store = open_store(&g), *ref_store = open_store(&g);
  weft_session *session = NULL;
  weft_wavelet *wavelet = NULL;
  weft_outcome outcome = {0};
  weft_wavelet_outcome ours = {0};
  weft_feed feed = {.ids = g.ids, .targets = g.targets, .update = weft_update_default(), .skip_update = true};
  weft_wavelet_feed ours_feed = {.ids = g.ids, .targets = g.targets, .scalars = {.step = 1}, .skip_update = true};
  require(weft_session_create(exact, ref_store, &weft_backend_ref, &(weft_backend_options){0}, NULL, &session));
  require(weft_session_run(session, &feed, NULL, &outcome));
  require(weft_wavelet_create(schedule, &(weft_wavelet_store){store, values_of}, NULL, &wavelet));
  require(weft_wavelet_run(wavelet, &ours_feed, &ours));
  double difference = 0, norm = 0;
  for (uint32_t p = 0; p < weft_network_parameter_tensors(&g.network); ++p) {
    weft_view view = weft_store_parameter(ref_store, p);
    const float *left = values_of(store, p, WEFT_STORE_GRADIENT), *right = values_of(ref_store, p, WEFT_STORE_GRADIENT);
    for (uint64_t i = 0; i < view.rows * view.columns; ++i) {
      difference += ((double)left[i] - (double)right[i]) * ((double)left[i] - (double)right[i]);
      norm += (double)right[i] * (double)right[i];
    }
  }
  double gradients = sqrt(difference / norm), loss = fabs(ours.loss / outcome.loss - 1);
  double length = fabs(ours.gradient_norm / outcome.gradient_norm - 1), most = 2 * narrow(dtype);
  say(name, weft_dtype_name(dtype), &g, &ours.work, gradients);
  print_message("  training step: loss %.1e, gradients' norm %.1e\n", loss, length);
  if (!(gradients <= most && loss <= most && length <= most && gradients > 0))
    fail_msg("gradients %g, loss %g, norm %g, tolerance %g", gradients, loss, length, most);
  weft_wavelet_destroy(wavelet);
  weft_session_destroy(session);
  weft_store_destroy(store);
  weft_store_destroy(ref_store);
  weft_schedule_destroy(schedule);
  weft_schedule_destroy(exact);
  close_golden(&g);
}

static void test_narrow_training(void **state) {
  (void)state;
  check_narrow_training("tiny-llama", "mesh:16x12 sram:48KiB clock:850MHz", WEFT_BF16);
  check_narrow_training("tiny-gpt2", "mesh:8x8 sram:48KiB clock:850MHz", WEFT_BF16);
  check_narrow_training("tiny-llama", "mesh:8x8 sram:48KiB clock:850MHz", WEFT_F16);
  check_narrow_training("tiny-gpt2", "mesh:16x12 sram:48KiB clock:850MHz", WEFT_F16);
}

static void test_llama_training(void **state) {
  (void)state;
  weft_run plain = {.recompute = WEFT_RECOMPUTE_NONE, .optimizer = WEFT_ADAMW};
  check_training("tiny-llama", "mesh:8x8 sram:48KiB clock:850MHz", plain);
  check_training("tiny-llama", "mesh:16x12 sram:48KiB clock:850MHz", plain);
}

static void test_gpt2_training(void **state) {
  (void)state;
  weft_run plain = {.recompute = WEFT_RECOMPUTE_NONE, .optimizer = WEFT_ADAMW};
  check_training("tiny-gpt2", "mesh:8x8 sram:48KiB clock:850MHz", plain);
  check_training("tiny-gpt2", "mesh:16x12 sram:48KiB clock:850MHz", plain);
}

// Gradients gathered over micro-batches, blocks computed again, another optimizer, other architectures.
static void test_other_ways(void **state) {
  (void)state;
  weft_run cut = {.micro_batch = 1, .recompute = WEFT_RECOMPUTE_BLOCK, .optimizer = WEFT_SGD};
  check_training("tiny-gpt2", "mesh:5x3 sram:256KiB clock:850MHz", cut);
  check_training("tiny-gptj", "mesh:8x8 sram:48KiB clock:850MHz", cut);
  cut.optimizer = WEFT_ADAMW;
  check_training("tiny-qwen2", "mesh:8x8 sram:48KiB clock:850MHz", cut);
}

// ---- decoding: prefill of a prompt, then token by token over the KV cache, each chosen by the mesh

enum { PROMPT = 5 };  // as the golden continuation

static int32_t *golden_continuation(const char *name, uint32_t *out_count) {
  char *file = weft_format("%s/golden/%s/golden.safetensors", WEFT_TESTS, name);
  weft_checkpoint *values = NULL;
  weft_stored_tensor greedy = {0};
  require(weft_checkpoint_open(file, &values));
  require(weft_checkpoint_find(values, "greedy", &greedy));
  int32_t *ids = weft_allocate(greedy.bytes);
  memcpy(ids, greedy.data, greedy.bytes);
  *out_count = (uint32_t)greedy.shape[0];
  weft_checkpoint_close(values);
  free(file);
  return ids;
}

static int32_t greatest(const float *logits, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < count; ++i)
    if (logits[i] > logits[best]) best = i;
  return (int32_t)best;
}

// Ref reads the token that the mesh has chosen; the mesh has it already (ids NULL).
typedef struct pair {
  weft_session *session;
  weft_wavelet *wavelet;
} pair;

static double step_both(const pair *p, const golden *g, const int32_t *ids, bool entered, uint32_t position,
                        weft_wavelet_work *work, int32_t *out_next) {
  uint32_t vocabulary = g->network.vocabulary;
  float *ours = weft_allocate_array(vocabulary, sizeof *ours), *theirs = weft_allocate_array(vocabulary, sizeof *ours);
  weft_outcome outcome = {0};
  weft_wavelet_outcome made = {0};
  weft_wavelet_feed feed = {.ids = entered ? ids : NULL, .scalars = {.position = position}, .choose = true};
  require(weft_session_run(p->session, &(weft_feed){.ids = ids, .position = position}, NULL, &outcome));
  require(weft_wavelet_run(p->wavelet, &feed, &made));
  require(weft_session_read(p->session, "logits", theirs, vocabulary));
  require(weft_wavelet_read(p->wavelet, "logits", ours, vocabulary));
  require(weft_wavelet_next(p->wavelet, out_next, 1));
  double error = distance(ours, theirs, vocabulary);
  assert_int_equal(*out_next, greatest(ours, vocabulary));
  expect("logits", error);
  *work = made.work;
  free(ours);
  free(theirs);
  return error;
}

static pair open_pair(const weft_schedule *schedule, weft_store *store, const pair *caches) {
  pair p = {0};
  require(weft_session_create(schedule, store, &weft_backend_ref, &(weft_backend_options){0},
                              caches ? caches->session : NULL, &p.session));
  require(weft_wavelet_create(schedule, &(weft_wavelet_store){store, values_of}, caches ? caches->wavelet : NULL,
                              &p.wavelet));
  return p;
}

static void close_pair(pair *p) {
  weft_wavelet_destroy(p->wavelet);
  weft_session_destroy(p->session);
}

static void check_decoding(const char *name, const char *machine) {
  golden g = open_golden(name, machine);
  uint32_t count;
  int32_t *expected = golden_continuation(name, &count), next = 0;
  g.batch = 1;
  weft_run run = run_of(&g, WEFT_PREFILL);
  run.sequence = PROMPT;
  run.context = PROMPT + count;
  weft_schedule *prefill = compile(&g, run);
  run.mode = WEFT_DECODE;
  run.sequence = run.context;
  run.context = 0;
  weft_schedule *decode = compile(&g, run);
  weft_store *store = open_store(&g);
  pair first = open_pair(prefill, store, NULL);
  weft_wavelet_work work = {0};
  double worst = step_both(&first, &g, g.ids, true, 0, &work, &next);
  pair others = open_pair(decode, store, &first);
  for (uint32_t i = 0; i + 1 < count; ++i) {
    assert_int_equal(next, expected[i]);
    int32_t id = next;
    worst = fmax(worst, step_both(&others, &g, &id, false, PROMPT + i, &work, &next));
  }
  assert_int_equal(next, expected[count - 1]);
  say(name, "last decoded token", &g, &work, worst);
  close_pair(&others);
  close_pair(&first);
  weft_store_destroy(store);
  weft_schedule_destroy(decode);
  weft_schedule_destroy(prefill);
  free(expected);
  close_golden(&g);
}

// A prompt in three pieces: every piece sees the keys and values of those before, whichever core has them.
static void check_pieces(const char *name, const char *machine) {
  enum { PIECE = 4, PIECES = 3 };
  golden g = open_golden(name, machine);
  g.batch = 1;
  weft_run run = run_of(&g, WEFT_PREFILL);
  run.sequence = PIECE;
  run.context = PIECE * PIECES + 1;
  weft_schedule *schedule = compile(&g, run);
  weft_store *store = open_store(&g);
  pair both = open_pair(schedule, store, NULL);
  weft_wavelet_work work = {0};
  int32_t next = 0;
  double worst = 0;
  for (uint32_t i = 0; i < PIECES; ++i)
    worst = fmax(worst, step_both(&both, &g, g.ids + i * PIECE, true, i * PIECE, &work, &next));
  say(name, "last of three pieces", &g, &work, worst);
  close_pair(&both);
  weft_store_destroy(store);
  weft_schedule_destroy(schedule);
  close_golden(&g);
}

static void test_pieces(void **state) {
  (void)state;
  check_pieces("tiny-llama", "mesh:8x8 sram:48KiB clock:850MHz");
  check_pieces("tiny-gpt2", "mesh:3x7 sram:128KiB clock:850MHz");
}

static void test_decoding(void **state) {
  (void)state;
  check_decoding("tiny-llama", "mesh:8x8 sram:48KiB clock:850MHz");
  check_decoding("tiny-gpt2", "mesh:8x8 sram:48KiB clock:850MHz");
  check_decoding("tiny-llama", "mesh:16x12 sram:48KiB clock:850MHz");
  check_decoding("tiny-gpt2", "mesh:16x12 sram:48KiB clock:850MHz");
}

// Every kernel would fit, but not beside what the forward pass has left for the backward one; and what a run cannot be
// asked is said before anything runs.
static void test_refusals(void **state) {
  (void)state;
  golden g = open_golden("tiny-llama", "mesh:8x8 sram:40KiB clock:850MHz");
  weft_schedule *schedule = compile(&g, run_of(&g, WEFT_TRAIN));
  weft_store *store = open_store(&g);
  weft_wavelet *wavelet = NULL;
  weft_wavelet_outcome outcome = {0};
  weft_wavelet_feed feed = {.ids = g.ids, .targets = g.targets, .scalars = {.step = 1}, .skip_update = true};
  require(weft_wavelet_create(schedule, &(weft_wavelet_store){store, values_of}, NULL, &wavelet));
  weft_status status = weft_wavelet_run(wavelet, &feed, &outcome);
  assert_int_equal(weft_status_code(status), WEFT_INFEASIBLE);
  assert_non_null(strstr(weft_status_message(status), "what other kernels have left"));
  weft_status_free(status);
  static const int32_t wrong[] = {-1, 100000};
  int32_t right = g.ids[3];
  for (int i = 0; i < 2; ++i) {
    g.ids[3] = wrong[i];
    status = weft_wavelet_run(wavelet, &feed, &outcome);
    assert_int_equal(weft_status_code(status), WEFT_INVALID);
    assert_non_null(strstr(weft_status_message(status), "token id"));
    weft_status_free(status);
  }
  g.ids[3] = right;
  static const char *const words[] = {"no token ids", "there is room for tokens", "training needs targets"};
  for (int i = 0; i < 3; ++i) {
    weft_wavelet_feed other = feed;
    if (i == 0) other.ids = NULL;
    if (i == 1) other.scalars.position = g.network.positions;
    if (i == 2) other.targets = NULL;
    status = weft_wavelet_run(wavelet, &other, &outcome);
    assert_int_equal(weft_status_code(status), WEFT_INVALID);
    if (!strstr(weft_status_message(status), words[i])) fail_msg("%s", weft_status_message(status));
    weft_status_free(status);
  }
  weft_wavelet_destroy(wavelet);
  weft_store_destroy(store);
  weft_schedule_destroy(schedule);
  close_golden(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_llama_prefill),  cmocka_unit_test(test_gpt2_prefill),
                                     cmocka_unit_test(test_narrow_formats), cmocka_unit_test(test_llama_training),
                                     cmocka_unit_test(test_gpt2_training),  cmocka_unit_test(test_narrow_training),
                                     cmocka_unit_test(test_decoding),       cmocka_unit_test(test_pieces),
                                     cmocka_unit_test(test_threads),        cmocka_unit_test(test_other_prefills),
                                     cmocka_unit_test(test_refusals),       cmocka_unit_test(test_other_ways)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
