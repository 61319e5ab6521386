// linear and its two gradients, whole or by chunks of the stored weight's rows.
#include "runtime/ref/ref.h"

#include <string.h>

// y[n, o] for the O rows of this chunk; the output matrix is just those columns.
static void rows_are_outputs(ref_call *c) {
  const ref_matrix *x = &c->in[0], *w = &c->in[1], *b = &c->in[2], *y = &c->out[0];
  for (uint64_t n = 0; n < x->rows; ++n)
    for (uint64_t o = 0; o < w->rows; ++o) {
      double bias = b->data ? (double)*ref_at(b, c->call->row_begin + o) : 0;
      ref_row(y, n)[o] = (float)((double)c->a->scale * (weft_ref_dot(ref_row(x, n), ref_row(w, o), w->columns) + bias));
    }
}

// The chunk is rows [row_begin, row_begin + w->rows) of I; the first one starts y with the bias.
static void rows_are_inputs(ref_call *c) {
  const ref_matrix *x = &c->in[0], *w = &c->in[1], *b = &c->in[2], *y = &c->out[0];
  uint64_t out = w->columns;
  double scale = (double)c->a->scale;
  for (uint64_t n = 0; n < x->rows; ++n) {
    float *to = ref_row(y, n);
    for (uint64_t o = 0; o < out; ++o) c->sums[o] = c->first && b->data ? (double)*ref_at(b, o) : 0;
    for (uint64_t i = 0; i < w->rows; ++i) {
      double value = (double)ref_row(x, n)[c->call->row_begin + i];
      const float *row = ref_row(w, i);
      for (uint64_t o = 0; o < out; ++o) c->sums[o] += value * (double)row[o];
    }
    for (uint64_t o = 0; o < out; ++o) to[o] = (float)((c->first ? 0 : (double)to[o]) + scale * c->sums[o]);
  }
}

void weft_ref_linear(ref_call *c) {
  if (c->a->transposed)
    rows_are_inputs(c);
  else
    rows_are_outputs(c);
}

void weft_ref_linear_backward_input(ref_call *c) {
  const ref_matrix *dy = &c->in[0], *w = &c->in[1], *dx = &c->out[0];
  double scale = (double)c->a->scale;
  for (uint64_t n = 0; n < dy->rows; ++n) {
    float *to = ref_row(dx, n);
    if (c->a->transposed) {  // rows of W are columns of dx
      for (uint64_t i = 0; i < w->rows; ++i)
        to[i] = (float)((c->call->accumulate ? (double)to[i] : 0) +
                        scale * weft_ref_dot(ref_row(dy, n), ref_row(w, i), w->columns));
      continue;
    }
    memset(c->sums, 0, w->columns * sizeof *c->sums);
    for (uint64_t o = 0; o < w->rows; ++o) {
      double value = (double)ref_row(dy, n)[c->call->row_begin + o];
      const float *row = ref_row(w, o);
      for (uint64_t i = 0; i < w->columns; ++i) c->sums[i] += value * (double)row[i];
    }
    bool adds = c->call->accumulate || !c->first;
    for (uint64_t i = 0; i < w->columns; ++i) to[i] = (float)((adds ? (double)to[i] : 0) + scale * c->sums[i]);
  }
}

// dW rows are columns [row_begin, ...) of `left` summed with all columns of `right`.
void weft_ref_linear_backward_weight(ref_call *c) {
  const ref_matrix *left = &c->in[c->a->transposed], *right = &c->in[!c->a->transposed], *dw = &c->out[0];
  const ref_matrix *dy = &c->in[0], *db = &c->out[1];
  double scale = (double)c->a->scale;
  for (uint64_t r = 0; dw->data && r < dw->rows; ++r) {
    memset(c->sums, 0, dw->columns * sizeof *c->sums);
    for (uint64_t n = 0; n < left->rows; ++n) {
      double value = (double)ref_row(left, n)[c->call->row_begin + r];
      const float *row = ref_row(right, n);
      for (uint64_t j = 0; j < dw->columns; ++j) c->sums[j] += value * (double)row[j];
    }
    for (uint64_t j = 0; j < dw->columns; ++j) ref_row(dw, r)[j] = (float)(scale * c->sums[j]);
  }
  if (!db->data || (c->a->transposed && !c->first)) return;
  uint64_t begin = c->a->transposed ? 0 : c->call->row_begin, end = c->a->transposed ? dy->columns : begin + dw->rows;
  for (uint64_t o = begin; o < end; ++o) {
    double sum = 0;
    for (uint64_t n = 0; n < dy->rows; ++n) sum += (double)ref_row(dy, n)[o];
    *ref_at(db, o) = (float)(scale * sum);
  }
}
