// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include "rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void ok(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

weft_product_options rig_gemm(weft_product_kind kind, uint32_t columns, uint32_t rows, uint32_t m, uint32_t k,
                              uint32_t n, weft_dtype dtype, weft_dtype result) {
  weft_product_options o = weft_product_options_default(kind, columns, rows);
  o.m = m;
  o.k = k;
  o.n = n;
  o.dtype = dtype;
  o.result = result;
  return o;
}

static float next(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)((double)(*state >> 40) / (1 << 23) - 1);
}

// Values that the type holds exactly, so that only the arithmetic rounds.
static float *matrix(uint32_t rows, uint32_t columns, weft_dtype dtype, double zeros, uint64_t seed) {
  size_t count = (size_t)rows * columns;
  float *values = weft_allocate_array(count, sizeof *values);
  uint64_t state = seed;
  for (size_t i = 0; i < count; ++i) {
    float value = next(&state);
    if ((next(&state) + 1) / 2 < zeros) value = 0;
    uint32_t bits = 0;
    weft_dtype_from_f32(dtype, &value, &bits, 1);
    weft_dtype_to_f32(dtype, &bits, &values[i], 1);
  }
  return values;
}

typedef struct buffers {
  float *a, *b, *c;
  uint32_t *in, *out, **streams;
} buffers;

static void write_all(weft_mesh_sim *mesh, const weft_product *p, const buffers *m) {
  static const char *const names[] = {"A", "B"};
  for (int which = 0; which < 2; ++which) {
    uint32_t length = p->lengths[which];
    if (!length || (which == 1 && p->options.kind == WEFT_TRANSPOSE)) continue;
    float *elements = weft_allocate_array(length, sizeof *elements);
    for (uint32_t y = 0; y < p->options.rows; ++y)
      for (uint32_t x = 0; x < p->options.columns; ++x) {
        weft_product_scatter(p, (weft_product_matrix)which, which ? m->b : m->a, x, y, elements);
        ok(weft_mesh_write_f32(mesh, x, y, names[which], elements, length));
      }
    free(elements);
  }
}

static void feed_streams(weft_mesh_sim *mesh, const weft_product *p, buffers *m) {
  uint32_t rows = p->options.rows;
  m->streams = weft_allocate_array(2 * (size_t)rows, sizeof *m->streams);
  for (uint32_t y = 0; y < rows; ++y) {
    uint64_t words = weft_product_stream(p, m->a, y, NULL, NULL);
    m->streams[y] = weft_allocate_array(words, sizeof **m->streams);
    m->streams[rows + y] = weft_allocate_array(words, sizeof **m->streams);
    (void)weft_product_stream(p, m->a, y, m->streams[y], m->streams[rows + y]);
    ok(weft_mesh_feed(mesh, y, m->streams[y], words));
    if (p->options.dtype == WEFT_F32) ok(weft_mesh_feed(mesh, rows + y, m->streams[rows + y], words - 1));
  }
}

static void feed_host(weft_mesh_sim *mesh, const weft_product *p, buffers *m) {
  uint64_t in = weft_product_host_words(p, WEFT_PRODUCT_A) + weft_product_host_words(p, WEFT_PRODUCT_B) + 1;
  uint64_t out = weft_product_host_words(p, WEFT_PRODUCT_C);
  m->in = weft_allocate_array(in, sizeof *m->in);
  m->out = weft_allocate_array(out, sizeof *m->out);
  weft_product_host_in(p, m->a, m->b, m->in);
  ok(weft_mesh_feed(mesh, 0, m->in, in));
  ok(weft_mesh_drain(mesh, 1, m->out, out));
}

static void read_all(const weft_mesh_sim *mesh, const weft_product *p, buffers *m) {
  if (p->options.host) {
    weft_product_host_out(p, m->out, m->c);
    return;
  }
  uint32_t length = p->lengths[WEFT_PRODUCT_C];
  float *elements = weft_allocate_array(length, sizeof *elements);
  for (uint32_t y = 0; y < p->options.rows; ++y)
    for (uint32_t x = 0; x < p->options.columns; ++x) {
      ok(weft_mesh_read_f32(mesh, x, y, "C", elements, length));
      weft_product_gather(p, elements, x, y, m->c);
    }
  free(elements);
}

static double worst_of(const weft_product_options *o, const buffers *m) {
  double worst = 0;
  bool transpose = o->kind == WEFT_TRANSPOSE;
  for (uint32_t i = 0; i < o->m; ++i)
    for (uint32_t j = 0; j < o->n; ++j) {
      double sum = 0, size = 0;
      if (transpose) sum = size = m->a[(size_t)i * o->n + j];
      for (uint32_t k = 0; k < o->k && !transpose; ++k) {
        double product = (double)m->a[(size_t)i * o->k + k] * m->b[(size_t)k * o->n + j];
        sum += product;
        size += fabs(product);
      }
      double got = m->c[transpose ? (size_t)j * o->m + i : (size_t)i * o->n + j];
      double off = fabs(got - sum) / (fabs(size) > 0 ? fabs(size) : 1);
      if (!(off <= worst)) worst = off;
    }
  return worst;
}

rig_result rig_run(const weft_product_options *options, const char *machine_name, uint32_t threads, double zeros) {
  weft_product_options o = *options;
  weft_product p;
  ok(weft_product_plan(&o, &p));
  bool transpose = o.kind == WEFT_TRANSPOSE;
  buffers m = {.a = matrix(o.m, transpose ? o.n : o.k, o.dtype, zeros, 1), .b = matrix(o.k, o.n, o.dtype, 0, 2)};
  m.c = weft_allocate_array((size_t)o.m * o.n, sizeof *m.c);
  for (size_t i = 0; i < (size_t)o.m * o.n; ++i) m.c[i] = NAN;
  uint64_t *words = weft_allocate_array(o.rows, sizeof *words);
  if (o.kind == WEFT_GEMM_STREAMED) {
    for (uint32_t y = 0; y < o.rows; ++y) words[y] = weft_product_stream(&p, m.a, y, NULL, NULL);
    p.options.stream_words = words;
  }
  weft_kernel *kernel;
  weft_machine *machine;
  weft_mesh_sim *mesh;
  rig_result result;
  ok(weft_product_kernel(&p, &kernel));
  ok(weft_kernel_check(kernel, 0));
  ok(weft_machine_read(machine_name, &machine));
  weft_mesh_options run = weft_mesh_options_default();
  run.threads = threads;
  run.most_cycles = 100000000;
  ok(weft_mesh_open(kernel, machine, &run, &mesh));
  if (o.host)
    feed_host(mesh, &p, &m);
  else
    write_all(mesh, &p, &m);
  if (o.kind == WEFT_GEMM_STREAMED) feed_streams(mesh, &p, &m);
  ok(weft_mesh_run(mesh, &result.report));
  read_all(mesh, &p, &m);
  result.worst = worst_of(&o, &m);
  weft_mesh_close(mesh);
  weft_machine_destroy(machine);
  weft_kernel_destroy(kernel);
  for (uint32_t y = 0; m.streams && y < 2 * o.rows; ++y) free(m.streams[y]);
  free(m.streams);
  free(words);
  free(m.in);
  free(m.out);
  free(m.a);
  free(m.b);
  free(m.c);
  return result;
}
