// Rotary positions from a table of angles that grows with the largest position seen.
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/cpu/cpu.h"

static bool same_angles(const weft_attributes *a, const weft_attributes *b) {
  return a->rotary_dim == b->rotary_dim && a->rope_scaling == b->rope_scaling && a->rope_theta == b->rope_theta &&
         a->rope_factor == b->rope_factor && a->rope_low_frequency_factor == b->rope_low_frequency_factor &&
         a->rope_high_frequency_factor == b->rope_high_frequency_factor &&
         a->rope_original_positions == b->rope_original_positions;
}

// Angles are computed in f64 and their cosines and sines rounded once.
static void extend(cpu_angles *t, const weft_attributes *a, uint64_t rows) {
  uint64_t half = a->rotary_dim / 2;
  if (!same_angles(&t->attributes, a)) t->rows = 0;
  if (rows <= t->rows) return;
  rows = (rows + 255) / 256 * 256;
  t->table = weft_grow(t->table, rows, 2 * half * sizeof(float));
  t->attributes = *a;
  for (uint64_t position = t->rows; position < rows; ++position)
    for (uint64_t pair = 0; pair < half; ++pair) {
      double angle = (double)position * weft_rope_frequency(a, (uint32_t)pair);
      t->table[position * 2 * half + pair] = (float)cos(angle);
      t->table[position * 2 * half + half + pair] = (float)sin(angle);
    }
  t->rows = rows;
}

static weft_status rotate(const cpu_call *c, float sign) {
  const weft_view *x = &c->call->inputs[0], *positions = &c->call->inputs[1], *y = &c->call->outputs[0];
  uint64_t stride, width = x->columns, dim = c->a->head_dim, half = c->a->rotary_dim / 2, most = 0;
  bool interleaved = c->a->rope_kind == WEFT_ROPE_INTERLEAVED;
  float *room;
  for (uint64_t n = 0; n < x->rows; ++n) {
    uint64_t position = (uint64_t)cpu_integer(positions, n);
    if (position > most) most = position;
  }
  extend(&c->lane->angles, c->a, most + 1);
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < x->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(y, n, 0, own + width);
    const float *from = weft_cpu_get(c->k, x, n, 0, width, own);
    const float *angles = c->lane->angles.table + (uint64_t)cpu_integer(positions, n) * 2 * half;
    for (uint64_t head = 0; head < width; head += dim)
      c->k->rotate(from + head, angles, angles + half, sign, interleaved, half, dim, to + head);
    weft_cpu_put(c->k, y, n, 0, width, to);
  }
  return NULL;
}

weft_status weft_cpu_rope(const cpu_call *c) { return rotate(c, 1); }
weft_status weft_cpu_rope_backward(const cpu_call *c) { return rotate(c, -1); }
