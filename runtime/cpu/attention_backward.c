// Gradient of attention. A piece of work is one key/value head of one sequence, with all query heads that share it, so
// that dk and dv are summed by one thread in a fixed order.
//
// With p = exp(scale q.k - lse) and D = sum_i do_i o_i (as in Dao et al., FlashAttention, arXiv:2205.14135):
// dv = p^T do, ds = scale p (do v^T - D), dq = ds k, dk = ds^T q.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

enum { QUERIES = 64 };
enum { OF_DO, OF_Q, OF_K, OF_V, OF_O };  // buffers of the lane

typedef struct gradient {
  weft_view d_o, q, k, v, o;  // as f32
  const weft_view *lse, *dq, *dk, *dv;
  uint64_t tokens;
  uint32_t group, dim;
  bool causal;
  float scale;
} gradient;

// This thread's memory for one piece.
typedef struct piece {
  float *p, *dp, *dq;  // (QUERIES, tokens) twice, (QUERIES, dim)
  float *dk, *dv;      // (tokens, dim)
  uint64_t first_row;  // of the sequence
  uint64_t shared;     // column of the key/value head
} piece;

static weft_view window(const weft_view *v, uint64_t row, uint64_t column, uint64_t rows, uint64_t columns) {
  return (weft_view){cpu_at(v, row, column), WEFT_F32, rows, columns, v->stride};
}

static weft_view dense(float *data, uint64_t rows, uint64_t columns, uint64_t stride) {
  return (weft_view){data, WEFT_F32, rows, columns, stride};
}

static bool multiply(const weft_view *a, bool a_across, const weft_view *b, bool b_across, float scale, bool adds,
                     weft_view c) {
  cpu_product p = {.dtype = WEFT_F32,
                   .a = a->data,
                   .a_stride = a->stride,
                   .a_across = a_across,
                   .b = b->data,
                   .b_stride = b->stride,
                   .b_across = b_across,
                   .adds = adds,
                   .m = c.rows,
                   .n = c.columns,
                   .k = a_across ? a->rows : a->columns,
                   .scale = scale,
                   .c = c};
  return weft_cpu_multiply_here(&p);
}

static void put(const cpu_call *c, const weft_view *to, uint64_t row, uint64_t column, uint64_t rows, uint64_t dim,
                const float *from) {
  for (uint64_t r = 0; to->data && r < rows; ++r) {
    if (to->dtype == WEFT_F32)
      memcpy(cpu_at(to, row + r, column), from + r * dim, dim * sizeof *from);
    else
      weft_cpu_put(c->k, to, row + r, column, dim, from + r * dim);
  }
}

static bool block_of_queries(const cpu_call *c, const gradient *t, const piece *w, uint64_t h, uint64_t first) {
  uint64_t rows = t->tokens - first < QUERIES ? t->tokens - first : QUERIES, dim = t->dim, own = h * dim;
  uint64_t keys = t->causal ? first + rows : t->tokens, row = w->first_row + first;
  weft_view q = window(&t->q, row, own, rows, dim), d_o = window(&t->d_o, row, own, rows, dim);
  weft_view k = window(&t->k, w->first_row, w->shared, keys, dim),
            v = window(&t->v, w->first_row, w->shared, keys, dim);
  weft_view p = dense(w->p, rows, keys, keys), dp = dense(w->dp, rows, keys, keys);
  if (!multiply(&q, false, &k, true, t->scale, false, p) || !multiply(&d_o, false, &v, true, 1, false, dp))
    return false;
  for (uint64_t r = 0; r < rows; ++r) {
    uint64_t limit = t->causal ? first + r + 1 : keys;
    float *weights = cpu_at(&p, r, 0), *gradients = cpu_at(&dp, r, 0);
    float delta = c->k->dot(cpu_at(&d_o, r, 0), cpu_at(&t->o, row + r, own), dim);
    c->k->exp_scale(weights, *(const float *)cpu_at(t->lse, row + r, h), 1, weights, limit);
    c->k->score_gradient(weights, delta, t->scale, gradients, limit);
    memset(weights + limit, 0, (keys - limit) * sizeof *weights);
    memset(gradients + limit, 0, (keys - limit) * sizeof *gradients);
  }
  if (!multiply(&p, true, &d_o, false, 1, true, dense(w->dv, keys, dim, dim))) return false;
  if (!multiply(&dp, true, &q, false, 1, true, dense(w->dk, keys, dim, dim))) return false;
  if (!multiply(&dp, false, &k, false, 1, false, dense(w->dq, rows, dim, dim))) return false;
  put(c, t->dq, row, own, rows, dim, w->dq);
  return true;
}

static bool key_head(const cpu_call *c, const gradient *t, uint64_t sequence, uint64_t shared, float *room) {
  uint64_t dim = t->dim, tokens = t->tokens;
  piece w = {.p = room, .first_row = sequence * tokens, .shared = shared * dim};
  w.dp = w.p + QUERIES * tokens;
  w.dq = w.dp + QUERIES * tokens;
  w.dk = w.dq + QUERIES * dim;
  w.dv = w.dk + tokens * dim;
  memset(w.dk, 0, 2 * tokens * dim * sizeof *w.dk);
  for (uint64_t h = shared * t->group; h < (shared + 1) * t->group; ++h)
    for (uint64_t first = 0; first < tokens; first += QUERIES)
      if (!block_of_queries(c, t, &w, h, first)) return false;
  put(c, t->dk, w.first_row, w.shared, tokens, dim, w.dk);
  put(c, t->dv, w.first_row, w.shared, tokens, dim, w.dv);
  return true;
}

weft_status weft_cpu_attention_backward(const cpu_call *c) {
  const weft_call *call = c->call;
  gradient t = {.lse = &call->inputs[5],
                .dq = &call->outputs[0],
                .dk = &call->outputs[1],
                .dv = &call->outputs[2],
                .tokens = call->inputs[1].rows / c->a->batch,
                .group = c->a->heads / c->a->kv_heads,
                .dim = c->a->head_dim,
                .causal = c->a->causal,
                .scale = c->a->scale};
  uint64_t pieces = (uint64_t)c->a->batch * c->a->kv_heads, stride;
  float *room;
  bool good = true;
  WEFT_TRY(weft_cpu_as_f32(c, &call->inputs[0], OF_DO, &t.d_o));
  WEFT_TRY(weft_cpu_as_f32(c, &call->inputs[1], OF_Q, &t.q));
  WEFT_TRY(weft_cpu_as_f32(c, &call->inputs[2], OF_K, &t.k));
  WEFT_TRY(weft_cpu_as_f32(c, &call->inputs[3], OF_V, &t.v));
  WEFT_TRY(weft_cpu_as_f32(c, &call->inputs[4], OF_O, &t.o));
  WEFT_TRY(weft_cpu_scratch(c, 2 * QUERIES * t.tokens + QUERIES * t.dim + 2 * t.tokens * t.dim, &room, &stride));
#pragma omp parallel num_threads(c->threads) reduction(&& : good)
  {
    omp_set_num_threads(1);
#pragma omp for schedule(dynamic, 1)
    for (uint64_t i = 0; i < pieces; ++i) {
      float *own = room + (uint64_t)omp_get_thread_num() * stride;
      good = key_head(c, &t, i / c->a->kv_heads, i % c->a->kv_heads, own) && good;
    }
  }
  return good ? NULL : weft_error(WEFT_FAILED, "oneDNN's sgemm failed in attention; there may be no memory left");
}
