// Activations, sums of two, and rows picked out: one pass over each row.
#include <omp.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

weft_status weft_cpu_activation(const cpu_call *c) {
  const weft_view *x = &c->call->inputs[0], *y = &c->call->outputs[0];
  uint64_t stride, width = x->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < x->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(y, n, 0, own);
    c->k->activate(c->a->activation, weft_cpu_get(c->k, x, n, 0, width, own), NULL, to, width);
    weft_cpu_put(c->k, y, n, 0, width, to);
  }
  return NULL;
}

weft_status weft_cpu_activation_backward(const cpu_call *c) {
  const weft_view *dy = &c->call->inputs[0], *x = &c->call->inputs[1], *dx = &c->call->outputs[0];
  uint64_t stride, width = x->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < x->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(dx, n, 0, own);
    c->k->activate_backward(c->a->activation, weft_cpu_get(c->k, dy, n, 0, width, own),
                            weft_cpu_get(c->k, x, n, 0, width, own + width), NULL, to, width);
    weft_cpu_put(c->k, dx, n, 0, width, to);
  }
  return NULL;
}

weft_status weft_cpu_gated(const cpu_call *c) {
  const weft_view *gate = &c->call->inputs[0], *up = &c->call->inputs[1], *y = &c->call->outputs[0];
  uint64_t stride, width = gate->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < gate->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(y, n, 0, own);
    c->k->activate(c->a->activation, weft_cpu_get(c->k, gate, n, 0, width, own),
                   weft_cpu_get(c->k, up, n, 0, width, own + width), to, width);
    weft_cpu_put(c->k, y, n, 0, width, to);
  }
  return NULL;
}

weft_status weft_cpu_gated_backward(const cpu_call *c) {
  const weft_view *dy = &c->call->inputs[0], *gate = &c->call->inputs[1], *up = &c->call->inputs[2];
  const weft_view *dgate = &c->call->outputs[0], *dup = &c->call->outputs[1];
  uint64_t stride, width = gate->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, 4 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < gate->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride;
    const float *d = weft_cpu_get(c->k, dy, n, 0, width, own), *g = weft_cpu_get(c->k, gate, n, 0, width, own + width);
    const float *u = weft_cpu_get(c->k, up, n, 0, width, own + 2 * width);
    if (dup->data) {
      float *to = cpu_room(dup, n, 0, own + 3 * width);
      c->k->activate(c->a->activation, g, d, to, width);
      weft_cpu_put(c->k, dup, n, 0, width, to);
    }
    if (!dgate->data) continue;
    float *to = cpu_room(dgate, n, 0, own + 3 * width);
    c->k->activate_backward(c->a->activation, d, g, u, to, width);
    weft_cpu_put(c->k, dgate, n, 0, width, to);
  }
  return NULL;
}

weft_status weft_cpu_add(const cpu_call *c) {
  const weft_view *a = &c->call->inputs[0], *b = &c->call->inputs[1], *y = &c->call->outputs[0];
  uint64_t stride, width = y->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t n = 0; n < y->rows; ++n) {
    float *own = room + (uint64_t)omp_get_thread_num() * stride, *to = cpu_room(y, n, 0, own);
    c->k->add(weft_cpu_get(c->k, a, n, 0, width, own), weft_cpu_get(c->k, b, n, 0, width, own + width), to, width);
    weft_cpu_put(c->k, y, n, 0, width, to);
  }
  return NULL;
}

weft_status weft_cpu_last_row(const cpu_call *c) {
  const weft_view *x = &c->call->inputs[0], *y = &c->call->outputs[0];
  uint64_t stride, width = y->columns, tokens = x->rows / c->a->batch;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, width, &room, &stride));
  for (uint64_t b = 0; b < c->a->batch; ++b) {
    const float *from = weft_cpu_get(c->k, x, (b + 1) * tokens - 1, 0, width, room);
    if (y->dtype == WEFT_F32)
      memcpy(cpu_at(y, b, 0), from, width * sizeof(float));
    else
      weft_cpu_put(c->k, y, b, 0, width, from);
  }
  return NULL;
}
