// Cross entropy of the next token.
#include "runtime/ref/ref.h"

#include <assert.h>
#include <math.h>

void weft_ref_cross_entropy(ref_call *c) {
  const ref_matrix *logits = &c->in[0], *loss = &c->out[0], *lse = &c->out[1];
  for (uint64_t n = 0; n < logits->rows; ++n) {
    const float *row = ref_row(logits, n);
    int32_t target = ref_integer(&c->call->inputs[1], n);
    double largest = -INFINITY, sum = 0;
    for (uint64_t v = 0; v < logits->columns; ++v)
      if ((double)row[v] > largest) largest = (double)row[v];  // a NaN reaches the sum below
    for (uint64_t v = 0; v < logits->columns; ++v) sum += exp((double)row[v] - largest);
    double total = largest + log(sum);
    assert(target >= -1 && (target < 0 || (uint64_t)target < logits->columns));
    *ref_at(loss, n) = target < 0 ? 0 : (float)(total - (double)row[target]);
    if (lse->data) *ref_at(lse, n) = (float)total;
  }
}

void weft_ref_cross_entropy_backward(ref_call *c) {
  const ref_matrix *logits = &c->in[0], *lse = &c->in[2], *d = &c->out[0];
  double scale = (double)c->s->loss_scale;
  for (uint64_t n = 0; n < logits->rows; ++n) {
    int32_t target = ref_integer(&c->call->inputs[1], n);
    double total = (double)*ref_at(lse, n);
    for (uint64_t v = 0; v < logits->columns; ++v) {
      double p = exp((double)ref_row(logits, n)[v] - total) - (target >= 0 && (uint64_t)target == v);
      ref_row(d, n)[v] = target < 0 ? 0 : (float)(p * scale);
    }
  }
}
