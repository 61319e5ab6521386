// Whole networks on simulated meshes against backend ref and the golden files: prefill, a training step, decoding.
#include "tests/lower/lower.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "compiler/compile.h"
#include "models/checkpoint.h"
#include "runtime/session.h"
#include "runtime/store.h"
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
  for (uint32_t i = 0; i < g.batch * g.sequence; ++i)
    g.targets[i] = (i + 1) % g.sequence == 0 ? -1 : g.ids[i + 1];
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
  print_message("%s %s on %ux%u cores: %llu kernels, %llu cycles, %.1f MFLOP, %llu bytes of SRAM, error %.1e\n", network,
                what, g->machine->mesh.columns, g->machine->mesh.rows, (unsigned long long)work->kernels,
                (unsigned long long)work->cycles, work->flops * 1e-6, (unsigned long long)work->sram_bytes, error);
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
  require(weft_wavelet_run(wavelet, &(weft_wavelet_feed){.ids = g.ids}, &ours));
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

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_llama_prefill), cmocka_unit_test(test_gpt2_prefill)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
