// layer_norm, rms_norm and their gradients, row by row.
#include <omp.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

enum { OF_WEIGHT, OF_BIAS, OF_SUMS };  // buffers of the lane
enum { BLOCK_ROWS = 32 };              // rows whose dw and db are summed in f32 before the blocks are summed in f64

static weft_status forward(const cpu_call *c, bool centred) {
  const weft_view *x = &c->call->inputs[0], *y = &c->call->outputs[0], *stats = &c->call->outputs[1];
  weft_view w, b = {0};
  float *room;
  uint64_t stride, width = x->columns;
  WEFT_TRY(weft_cpu_as_f32(c, &c->call->inputs[1], OF_WEIGHT, &w));
  if (centred) WEFT_TRY(weft_cpu_as_f32(c, &c->call->inputs[2], OF_BIAS, &b));
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < x->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(y, n, 0, own + width), mean, inverse;
    c->k->norm(weft_cpu_get(c->k, x, n, 0, width, own), w.data, b.data, centred, c->a->epsilon, width, to, &mean,
               &inverse);
    weft_cpu_put(c->k, y, n, 0, width, to);
    if (!stats->data) continue;
    if (centred) {
      *(float *)cpu_at(stats, n, 0) = mean;
      *(float *)cpu_at(stats, n, 1) = inverse;
    } else {
      *cpu_float(stats, n) = inverse;
    }
  }
  return NULL;
}

weft_status weft_cpu_layer_norm(const cpu_call *c) { return forward(c, true); }
weft_status weft_cpu_rms_norm(const cpu_call *c) { return forward(c, false); }

// Sums over the blocks, in f64 and in order.
static void gather(const cpu_call *c, const float *sums, uint64_t blocks, uint64_t width, int which,
                   const weft_view *to) {
  enum { SLICE = 256 };
  if (!to->data) return;
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t slice = 0; slice < (width + SLICE - 1) / SLICE; ++slice) {
    uint64_t first = slice * SLICE, count = width - first < SLICE ? width - first : SLICE;
    double totals[SLICE] = {0};
    float row[SLICE];
    for (uint64_t block = 0; block < blocks; ++block)
      c->k->add_to_f64(sums + (block * 2 + (uint64_t)which) * width + first, totals, count);
    float *out = cpu_room(to, 0, first, row);
    for (uint64_t i = 0; i < count; ++i) out[i] = (float)totals[i];
    weft_cpu_put(c->k, to, 0, first, count, out);
  }
}

static weft_status backward(const cpu_call *c, bool centred) {
  const weft_view *dy = &c->call->inputs[0], *x = &c->call->inputs[1], *stats = &c->call->inputs[3];
  const weft_view *dx = &c->call->outputs[0];
  uint64_t width = x->columns, blocks = (x->rows + BLOCK_ROWS - 1) / BLOCK_ROWS, stride;
  weft_view w;
  float *room, *sums;
  void *memory;
  WEFT_TRY(weft_cpu_as_f32(c, &c->call->inputs[2], OF_WEIGHT, &w));
  WEFT_TRY(weft_cpu_scratch(c, 3 * width, &room, &stride));
  WEFT_TRY(weft_cpu_reserve(&c->lane->buffers[OF_SUMS], blocks * 2 * width * sizeof(float), &memory));
  sums = memory;
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t block = 0; block < blocks; ++block) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *dw_sums = sums + block * 2 * width;
    uint64_t end = block * BLOCK_ROWS + BLOCK_ROWS < x->rows ? block * BLOCK_ROWS + BLOCK_ROWS : x->rows;
    memset(dw_sums, 0, 2 * width * sizeof *dw_sums);
    for (uint64_t n = block * BLOCK_ROWS; n < end; ++n) {
      float mean = centred ? *(const float *)cpu_at(stats, n, 0) : 0;
      float inverse = centred ? *(const float *)cpu_at(stats, n, 1) : *cpu_float(stats, n);
      float *to = dx->data ? cpu_room(dx, n, 0, own + 2 * width) : NULL;
      c->k->norm_backward(weft_cpu_get(c->k, dy, n, 0, width, own), weft_cpu_get(c->k, x, n, 0, width, own + width),
                          w.data, centred, mean, inverse, width, to, dw_sums, dw_sums + width);
      if (to) weft_cpu_put(c->k, dx, n, 0, width, to);
    }
  }
  gather(c, sums, blocks, width, 0, &c->call->outputs[1]);
  if (centred) gather(c, sums, blocks, width, 1, &c->call->outputs[2]);
  return NULL;
}

weft_status weft_cpu_layer_norm_backward(const cpu_call *c) { return backward(c, true); }
weft_status weft_cpu_rms_norm_backward(const cpu_call *c) { return backward(c, false); }
