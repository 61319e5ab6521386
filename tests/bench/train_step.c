// One training step at a time, on demand: for tests/bench/train_step.py, which interleaves Weft with PyTorch.
//
//   train_step NETWORK BATCH SEQUENCE THREADS [BACKEND]
//
// First line out: JSON that says what runs. Then for every line in: one step, and "SECONDS LOSS" out. "peak" in: the
// best rate of this computer's GEMM in the same process (square, f32), FLOP/s, as the bound to hold against.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "runtime/session.h"

typedef struct bench {
  weft_network network;
  weft_machine *machine;
  weft_run run;
  weft_schedule *schedule;
  weft_store *store;
  const weft_backend *backend;
  weft_backend_options options;
  weft_session *session;
  int32_t *ids, *targets;
} bench;

static weft_status prepare(bench *b, char **argv) {
  WEFT_TRY(weft_network_read(argv[1], &b->network));
  b->run = weft_run_default();
  b->run.batch = (uint32_t)atoi(argv[2]);
  b->run.sequence = (uint32_t)atoi(argv[3]);
  b->run.dtype = WEFT_F32;
  b->run.recompute = WEFT_RECOMPUTE_NONE;
  b->run.clip = false;  // as PyTorch's side
  b->options.threads = (uint32_t)atoi(argv[4]);
  WEFT_TRY(weft_machine_read("roofline:200GFLOP/s memory:16GB", &b->machine));
  WEFT_TRY(weft_compile(&b->network, b->machine, &b->run, &b->schedule));
  WEFT_TRY(weft_store_random(&b->network, 1, &b->store));
  WEFT_TRY(weft_backend_find(argv[5] ? argv[5] : "cpu", &b->backend));
  WEFT_TRY(weft_session_create(b->schedule, b->store, b->backend, &b->options, NULL, &b->session));
  uint64_t tokens = (uint64_t)b->run.batch * b->run.sequence;
  b->ids = malloc(tokens * sizeof *b->ids);
  b->targets = malloc(tokens * sizeof *b->targets);
  for (uint64_t i = 0; i < tokens; ++i) {
    b->ids[i] = (int32_t)(weft_random_bits(1, 1, i) % b->network.vocabulary);
    b->targets[i] = (int32_t)(weft_random_bits(1, 2, i) % b->network.vocabulary);
  }
  return NULL;
}

static weft_status describe(const bench *b) {
  void *device;
  WEFT_TRY(b->backend->open(&b->options, &device));
  char *about = b->backend->describe(device);
  b->backend->close(device);
  printf("{\"network\": \"%s\", \"parameters\": %" PRIu64
         ", \"flops\": %.6e, \"backend\": \"%s: %s\", \"steps\": %u}\n",
         b->network.name, weft_network_parameters(&b->network), weft_schedule_flops(b->schedule, true),
         b->backend->name, about, b->schedule->step_count);
  free(about);
  return NULL;
}

// A plain linear op of 1024^3 through the backend: what its GEMM reaches without a network around it.
static weft_status peak(const bench *b) {
  enum { N = 1024 };
  void *device, *memory;
  WEFT_TRY(b->backend->open(&b->options, &device));
  WEFT_TRY(weft_allocate_large(3 * sizeof(float) * N * N, "peak", &memory));
  float *x = memory, *w = x + N * N, *y = w + N * N;
  for (int i = 0; i < 2 * N * N; ++i) x[i] = 1;
  weft_attributes attributes = {.scale = 1};
  weft_scalars scalars = {0};
  weft_call call = {
      .op = WEFT_OP_LINEAR, .attributes = &attributes, .scalars = &scalars, .row_end = N, .weight_rows = N};
  call.inputs[0] = (weft_view){x, WEFT_F32, N, N, N};
  call.inputs[1] = (weft_view){w, WEFT_F32, N, N, N};
  call.outputs[0] = (weft_view){y, WEFT_F32, N, N, N};
  double best = 1e9;
  weft_status status = NULL;
  for (int i = 0; i < 20 && !status; ++i) {
    double start = weft_clock_s();
    status = b->backend->compute(device, 0, &call);
    double seconds = weft_clock_s() - start;
    if (seconds < best) best = seconds;
  }
  printf("%.6e\n", 2.0 * N * N * N / best);
  weft_free_large(memory);
  b->backend->close(device);
  return status;
}

static weft_status step(bench *b) {
  weft_feed feed = {.ids = b->ids, .targets = b->targets, .update = weft_update_default()};
  feed.update.learning_rate = 1e-4f;
  feed.update.clip_norm = 0;
  weft_outcome outcome;
  WEFT_TRY(weft_session_run(b->session, &feed, NULL, &outcome));
  printf("%.6f %.6f\n", outcome.seconds, outcome.loss);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fputs("usage: train_step NETWORK BATCH SEQUENCE THREADS [BACKEND]\n", stderr);
    return 2;
  }
  bench b = {0};
  weft_status status = prepare(&b, argv);
  if (!status) status = describe(&b);
  char line[64];
  fflush(stdout);
  while (!status && fgets(line, sizeof line, stdin)) {
    status = strcmp(line, "peak\n") == 0 ? peak(&b) : step(&b);
    fflush(stdout);
  }
  if (status) fprintf(stderr, "train_step: %s\n", weft_status_message(status));
  int code = (int)weft_status_code(status);
  weft_status_free(status);
  weft_session_destroy(b.session);
  weft_store_destroy(b.store);
  weft_schedule_destroy(b.schedule);
  weft_machine_destroy(b.machine);
  free(b.ids);
  free(b.targets);
  return code;
}
