// What products and streams lose to each other when they work on the same cores.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/measure_internal.h"

// Products of the size of a small network's layer; loads from many places, as weights are. Which thread is put on which
// core is a lottery that the system draws anew in every turn, so the result is of all turns together.
enum { TOKENS = 256, WIDTH = 768, TURNS = 8, COPIED_ROWS = 1024 };
static const double TURN_SECONDS = 0.06;

typedef struct stream {
  const weft_backend *backend;
  void *device;
  char *to, *from;
  uint64_t places, copies;  // room for so many matrices at `from`; copied so far
  double seconds;
  atomic_bool stop;
  weft_status failure;
} stream;

static weft_view matrix(void *data, uint64_t rows) { return (weft_view){data, WEFT_F32, rows, WIDTH, WIDTH}; }

static uint64_t bytes_of(uint64_t rows) { return rows * WIDTH * sizeof(float); }

static void *load_without_pause(void *argument) {
  stream *s = argument;
  weft_attributes attributes = {.scale = 1};
  weft_scalars scalars = {0};
  weft_call call = {.op = WEFT_OP_LOAD, .attributes = &attributes, .scalars = &scalars};
  double start = weft_clock_s();
  for (s->copies = 0; !atomic_load(&s->stop) && !s->failure; ++s->copies) {
    call.inputs[0] = matrix(s->from + s->copies % s->places * bytes_of(COPIED_ROWS), COPIED_ROWS);
    call.outputs[0] = matrix(s->to, COPIED_ROWS);
    s->failure = s->backend->compute(s->device, 1, &call);
  }
  s->seconds = weft_clock_s() - start;
  return NULL;
}

// y (TOKENS, WIDTH) = x W^T, again and again; products per second.
static weft_status multiply(const stream *s, char *memory, double *out_rate) {
  weft_attributes attributes = {.scale = 1};
  weft_scalars scalars = {0};
  char *w = memory + bytes_of(TOKENS), *y = w + bytes_of(WIDTH);
  weft_call call = {.op = WEFT_OP_LINEAR,
                    .attributes = &attributes,
                    .scalars = &scalars,
                    .inputs = {matrix(memory, TOKENS), matrix(w, WIDTH)},
                    .outputs = {matrix(y, TOKENS)}};
  double start = weft_clock_s(), now = start;
  uint64_t count = 0;
  for (; now - start < TURN_SECONDS; now = weft_clock_s(), ++count) WEFT_TRY(s->backend->compute(s->device, 0, &call));
  *out_rate = (double)count / (now - start);
  return NULL;
}

// Loads per second; products per second beside them unless out_products is NULL.
static weft_status load(stream *s, char *memory, double *out_loads, double *out_products) {
  pthread_t thread;
  atomic_store(&s->stop, false);
  int reason = pthread_create(&thread, NULL, load_without_pause, s);
  if (reason != 0) return weft_error(WEFT_FAILED, "cannot start a thread: %s", strerror(reason));
  weft_status status = NULL;
  double start = weft_clock_s();
  if (out_products) status = multiply(s, memory, out_products);
  while (!out_products && weft_clock_s() - start < TURN_SECONDS) {
    struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
  }
  atomic_store(&s->stop, true);
  pthread_join(thread, NULL);
  weft_status failure = s->failure;
  s->failure = NULL;
  if (status) weft_status_free(failure);
  if (status || failure) return status ? status : failure;
  *out_loads = (double)s->copies / s->seconds;
  return NULL;
}

weft_status weft_measure_sharing(const weft_backend *backend, void *device, measure_pool *pool, uint32_t cores,
                                 double *out_efficiency) {
  uint64_t near = 2 * bytes_of(TOKENS) + bytes_of(WIDTH) + bytes_of(COPIED_ROWS);
  stream s = {.backend = backend,
              .device = device,
              .to = pool->memory + near - bytes_of(COPIED_ROWS),
              .from = pool->memory + near,
              .places = pool->bytes > near ? (pool->bytes - near) / bytes_of(COPIED_ROWS) : 0};
  *out_efficiency = 1;
  if (s.places == 0) return NULL;  // a pool for tests; nothing to say
  double products = 0, loads = 0, products_beside = 0, loads_beside = 0;
  for (int turn = 0; turn < TURNS; ++turn) {
    double alone = 0, beside = 0, alone_loads = 0, beside_loads = 0;
    WEFT_TRY(multiply(&s, pool->memory, &alone));
    WEFT_TRY(load(&s, pool->memory, &alone_loads, NULL));
    WEFT_TRY(load(&s, pool->memory, &beside_loads, &beside));
    products += alone;
    loads += alone_loads;
    products_beside += beside;
    loads_beside += beside_loads;
  }
  double efficiency = products_beside / products + loads_beside / loads / cores;
  if (efficiency < 1) *out_efficiency = efficiency < 0.01 ? 0.01 : efficiency;
  pool->dirty = near;
  return NULL;
}
