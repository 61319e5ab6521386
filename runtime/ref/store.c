// Between device and weight store: embedding tables, loads, gradients out, and the optimizers.
#include "runtime/ref/ref.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static char *element(const weft_view *v, uint64_t row) {
  return (char *)v->data + row * v->stride * weft_dtype_block_bytes(v->dtype);
}

// to[to_row] = (adds ? to[to_row] : 0) + scale * from[from_row], `row` and `old` being scratch.
static void move_row(const weft_view *from, uint64_t from_row, const weft_view *to, uint64_t to_row, float scale,
                     bool adds, float *row) {
  float *old = row + from->columns;
  weft_dtype_to_f32(from->dtype, element(from, from_row), row, from->columns);
  if (adds) weft_dtype_to_f32(to->dtype, element(to, to_row), old, to->columns);
  for (uint64_t i = 0; i < to->columns; ++i) row[i] = adds ? old[i] + scale * row[i] : scale * row[i];
  weft_dtype_from_f32(to->dtype, row, element(to, to_row), to->columns);
}

void weft_ref_embed(ref_call *c) {
  const weft_view *ids = &c->call->inputs[0], *table = &c->call->inputs[1], *y = &c->call->outputs[0];
  float *row = weft_allocate_array(2 * table->columns, sizeof *row);
  for (uint64_t n = 0; n < y->rows; ++n) {
    int32_t id = ref_integer(ids, n);
    assert(id >= 0 && (uint64_t)id < table->rows);
    move_row(table, (uint64_t)id, y, n, c->a->scale, false, row);
  }
  free(row);
}

void weft_ref_embed_backward(ref_call *c) {
  const weft_view *ids = &c->call->inputs[0];
  const ref_matrix *dy = &c->in[1], *table = &c->out[0];
  for (uint64_t r = 0; !c->call->accumulate && r < table->rows; ++r)
    memset(ref_row(table, r), 0, table->columns * sizeof(float));
  for (uint64_t n = 0; n < dy->rows; ++n) {
    float *to = ref_row(table, (uint64_t)ref_integer(ids, n));
    for (uint64_t i = 0; i < table->columns; ++i) to[i] += c->a->scale * ref_row(dy, n)[i];
  }
}

// Either side may be the chunk alone or the whole matrix.
static void move_matrix(ref_call *c, const weft_view *from, const weft_view *to, bool adds) {
  uint64_t rows = from->rows < to->rows ? from->rows : to->rows;
  uint64_t from_first = from->rows > rows ? c->call->row_begin : 0, to_first = to->rows > rows ? c->call->row_begin : 0;
  float *row = weft_allocate_array(2 * from->columns, sizeof *row);
  for (uint64_t r = 0; r < rows; ++r) move_row(from, from_first + r, to, to_first + r, 1, adds, row);
  free(row);
}

void weft_ref_load(ref_call *c) {
  move_matrix(c, &c->call->inputs[0], &c->call->outputs[0], false);
  if (c->first && c->call->inputs[1].data) move_matrix(c, &c->call->inputs[1], &c->call->outputs[1], false);
}

void weft_ref_store_gradient(ref_call *c) {
  move_matrix(c, &c->call->inputs[0], &c->call->outputs[0], c->call->accumulate);
  if (c->last && c->call->inputs[1].data)
    move_matrix(c, &c->call->inputs[1], &c->call->outputs[1], c->call->accumulate);
}

// One system: its own gradients are the sum.
void weft_ref_all_reduce(ref_call *c) {
  const weft_view *from = &c->call->inputs[0], *to = &c->call->outputs[0];
  if (to->data && from->data != to->data) move_matrix(c, from, to, false);
}

void weft_ref_square_sum(ref_call *c) {
  const ref_matrix *g = &c->in[0];
  double sum = 0;
  for (uint64_t r = 0; r < g->rows; ++r) sum += weft_ref_dot(ref_row(g, r), ref_row(g, r), g->columns);
  memcpy(c->call->outputs[0].data, &sum, sizeof sum);
}

// Decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), bias correction as in Adam (arXiv:1412.6980),
// epsilon added after the correction.
void weft_ref_adamw(ref_call *c) {
  const weft_scalars *s = c->s;
  double correct1 = 1 - pow((double)s->beta1, (double)s->step), correct2 = 1 - pow((double)s->beta2, (double)s->step);
  double beta1 = (double)s->beta1, beta2 = (double)s->beta2, rate = (double)s->learning_rate;
  double keep = 1 - rate * (double)s->decay * (double)c->a->decay;
  for (uint64_t r = 0; r < c->out[0].rows; ++r) {
    float *p = ref_row(&c->out[0], r), *m = ref_row(&c->out[1], r), *v = ref_row(&c->out[2], r);
    const float *g = ref_row(&c->in[1], r), *p_old = ref_row(&c->in[0], r);
    const float *m_old = ref_row(&c->in[2], r), *v_old = ref_row(&c->in[3], r);
    for (uint64_t i = 0; i < c->out[0].columns; ++i) {
      double gradient = (double)g[i] * (double)s->gradient_scale;
      double first = beta1 * (double)m_old[i] + (1 - beta1) * gradient;
      double second = beta2 * (double)v_old[i] + (1 - beta2) * gradient * gradient;
      double change = first / correct1 / (sqrt(second / correct2) + (double)s->epsilon);
      p[i] = (float)(keep * (double)p_old[i] - rate * change);
      m[i] = (float)first;
      v[i] = (float)second;
    }
  }
}

void weft_ref_sgd(ref_call *c) {
  double rate = (double)c->s->learning_rate * (double)c->s->gradient_scale;
  for (uint64_t r = 0; r < c->out[0].rows; ++r)
    for (uint64_t i = 0; i < c->out[0].columns; ++i)
      ref_row(&c->out[0], r)[i] = (float)((double)ref_row(&c->in[0], r)[i] - rate * (double)ref_row(&c->in[1], r)[i]);
}
