// layer_norm, rms_norm and their gradients.
#include "runtime/ref/ref.h"

#include <math.h>
#include <string.h>

void weft_ref_layer_norm(ref_call *c) {
  const ref_matrix *x = &c->in[0], *w = &c->in[1], *b = &c->in[2], *y = &c->out[0], *stats = &c->out[1];
  for (uint64_t n = 0; n < x->rows; ++n) {
    const float *row = ref_row(x, n);
    double mean = 0, variance = 0, count = (double)x->columns;
    for (uint64_t i = 0; i < x->columns; ++i) mean += (double)row[i];
    mean /= count;
    for (uint64_t i = 0; i < x->columns; ++i) variance += ((double)row[i] - mean) * ((double)row[i] - mean);
    double inverse = 1 / sqrt(variance / count + (double)c->a->epsilon);
    for (uint64_t i = 0; i < x->columns; ++i) {
      double bias = b->data ? (double)*ref_at(b, i) : 0;
      ref_row(y, n)[i] = (float)(((double)row[i] - mean) * inverse * (double)*ref_at(w, i) + bias);
    }
    if (!stats->data) continue;
    ref_row(stats, n)[0] = (float)mean;
    ref_row(stats, n)[1] = (float)inverse;
  }
}

void weft_ref_rms_norm(ref_call *c) {
  const ref_matrix *x = &c->in[0], *w = &c->in[1], *y = &c->out[0], *stats = &c->out[1];
  for (uint64_t n = 0; n < x->rows; ++n) {
    const float *row = ref_row(x, n);
    double inverse = 1 / sqrt(weft_ref_dot(row, row, x->columns) / (double)x->columns + (double)c->a->epsilon);
    for (uint64_t i = 0; i < x->columns; ++i)
      ref_row(y, n)[i] = (float)((double)row[i] * inverse * (double)*ref_at(w, i));
    if (stats->data) *ref_at(stats, n) = (float)inverse;
  }
}

// With h = (x - mean) * inverse and g = dy * w: dx = inverse * (g - average(g) - h * average(g * h)), where rms_norm
// has mean 0 and no average(g); dw = sum over rows of dy * h, db = sum of dy.
static void backward(ref_call *c, bool centred) {
  const ref_matrix *dy = &c->in[0], *x = &c->in[1], *w = &c->in[2], *stats = &c->in[3];
  const ref_matrix *dx = &c->out[0], *dw = &c->out[1], *db = &c->out[2];
  uint64_t width = x->columns;
  double *dw_sums = c->sums, *db_sums = c->sums + width;
  memset(c->sums, 0, 2 * width * sizeof *c->sums);
  for (uint64_t n = 0; n < x->rows; ++n) {
    const float *g = ref_row(dy, n), *from = ref_row(x, n);
    double mean = centred ? (double)ref_row(stats, n)[0] : 0;
    double inverse = centred ? (double)ref_row(stats, n)[1] : (double)*ref_at(stats, n);
    double average = 0, projection = 0;
    for (uint64_t i = 0; i < width; ++i) {
      double h = ((double)from[i] - mean) * inverse, scaled = (double)g[i] * (double)*ref_at(w, i);
      average += scaled;
      projection += scaled * h;
      dw_sums[i] += (double)g[i] * h;
      db_sums[i] += (double)g[i];
    }
    average = centred ? average / (double)width : 0;
    projection /= (double)width;
    for (uint64_t i = 0; dx->data && i < width; ++i) {
      double h = ((double)from[i] - mean) * inverse, scaled = (double)g[i] * (double)*ref_at(w, i);
      ref_row(dx, n)[i] = (float)(inverse * (scaled - average - h * projection));
    }
  }
  for (uint64_t i = 0; dw->data && i < width; ++i) *ref_at(dw, i) = (float)dw_sums[i];
  for (uint64_t i = 0; centred && db->data && i < width; ++i) *ref_at(db, i) = (float)db_sums[i];
}

void weft_ref_layer_norm_backward(ref_call *c) { backward(c, true); }
void weft_ref_rms_norm_backward(ref_call *c) { backward(c, false); }
