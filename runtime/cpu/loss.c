// Cross entropy of the next token over the whole vocabulary, row by row.
#include <math.h>
#include <omp.h>

#include "runtime/cpu/cpu.h"

weft_status weft_cpu_cross_entropy(const cpu_call *c) {
  const weft_view *logits = &c->call->inputs[0], *targets = &c->call->inputs[1];
  const weft_view *loss = &c->call->outputs[0], *lse = &c->call->outputs[1];
  uint64_t stride, width = logits->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < logits->rows; ++n) {
    const float *row = weft_cpu_get(c->k, logits, n, 0, width, room + (uint64_t)omp_get_thread_num() * stride);
    int32_t target = cpu_integer(targets, n);
    float shift = c->k->largest(row, width);
    double total = (double)shift + log(c->k->exp_sum_only(row, shift, width));
    *cpu_float(loss, n) = target < 0 ? 0 : (float)(total - (double)row[target]);
    if (lse->data) *cpu_float(lse, n) = (float)total;
  }
  return NULL;
}

weft_status weft_cpu_cross_entropy_backward(const cpu_call *c) {
  const weft_view *logits = &c->call->inputs[0], *targets = &c->call->inputs[1], *lse = &c->call->inputs[2];
  const weft_view *d = &c->call->outputs[0];
  uint64_t stride, width = logits->columns;
  float *room, scale = c->s->loss_scale;
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < logits->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(d, n, 0, own + width);
    int32_t target = cpu_integer(targets, n);
    if (target < 0) {
      for (uint64_t i = 0; i < width; ++i) to[i] = 0;
    } else {
      c->k->exp_scale(weft_cpu_get(c->k, logits, n, 0, width, own), *cpu_float(lse, n), scale, to, width);
      to[target] -= scale;
    }
    weft_cpu_put(c->k, d, n, 0, width, to);
  }
  return NULL;
}
