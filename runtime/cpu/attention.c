// Attention over whole sequences and over the KV cache. A piece of work is a block of queries of one head; its scores
// against all keys that it may see are made by one product, then turned into weights row by row.
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

enum { QUERIES = 64 };

// What the two forward ops have in common.
typedef struct attention {
  const weft_view *q, *k, *v, *o, *lse;
  uint64_t tokens, room, past;  // queries per sequence; rows of k per sequence; keys before the first query
  uint32_t heads, group, dim;
  bool causal;
  float scale;
} attention;

// A (rows, dim) panel of one head as f32: in place, or converted.
static weft_view panel(const cpu_call *c, const weft_view *v, uint64_t row, uint64_t column, uint64_t rows,
                       uint64_t dim, float *room) {
  if (v->dtype == WEFT_F32) return (weft_view){cpu_at(v, row, column), WEFT_F32, rows, dim, v->stride};
  for (uint64_t r = 0; r < rows; ++r) weft_cpu_get(c->k, v, row + r, column, dim, room + r * dim);
  return (weft_view){room, WEFT_F32, rows, dim, dim};
}

// Scores of a block become weights that are not yet divided by their sums; columns that a row may not see become 0.
static void weigh(const cpu_call *c, const attention *t, float *scores, uint64_t rows, uint64_t keys,
                  uint64_t first_limit, double *sums, float *shifts) {
  for (uint64_t r = 0; r < rows; ++r) {
    float *row = scores + r * keys;
    uint64_t limit = t->causal ? first_limit + r : keys;
    shifts[r] = c->k->largest(row, limit);
    sums[r] = c->k->exp_sum(row, shifts[r], row, limit);
    memset(row + limit, 0, (keys - limit) * sizeof *row);
  }
}

static bool attend_block(const cpu_call *c, const attention *t, uint64_t sequence, uint32_t h, uint64_t first,
                         float *room) {
  uint64_t rows = t->tokens - first < QUERIES ? t->tokens - first : QUERIES, dim = t->dim;
  uint64_t keys = t->causal ? t->past + first + rows : t->past + t->tokens;
  uint64_t own = (uint64_t)h * dim, shared = (uint64_t)(h / t->group) * dim, row = sequence * t->tokens + first;
  float *scores = room, *results = scores + QUERIES * (t->past + t->tokens), *panels = results + QUERIES * dim;
  double sums[QUERIES];
  float shifts[QUERIES];
  weft_view q = panel(c, t->q, row, own, rows, dim, panels);
  weft_view k = panel(c, t->k, sequence * t->room, shared, keys, dim, panels + QUERIES * dim);
  if (rows == 1) {
    for (uint64_t s = 0; s < keys; ++s) scores[s] = t->scale * c->k->dot(q.data, cpu_at(&k, s, 0), dim);
  } else {
    cpu_product p = {.dtype = WEFT_F32,
                     .a = q.data,
                     .a_stride = q.stride,
                     .b = k.data,
                     .b_stride = k.stride,
                     .b_across = true,
                     .m = rows,
                     .n = keys,
                     .k = dim,
                     .scale = t->scale,
                     .c = {scores, WEFT_F32, rows, keys, keys}};
    if (!weft_cpu_multiply_here(&p)) return false;
  }
  weigh(c, t, scores, rows, keys, t->past + first + 1, sums, shifts);
  weft_view v = panel(c, t->v, sequence * t->room, shared, keys, dim, panels + QUERIES * dim);
  if (rows == 1) {
    memset(results, 0, dim * sizeof *results);
    for (uint64_t s = 0; s < keys; ++s) c->k->axpy(scores[s], cpu_at(&v, s, 0), results, dim);
  } else {
    cpu_product p = {.dtype = WEFT_F32,
                     .a = scores,
                     .a_stride = keys,
                     .b = v.data,
                     .b_stride = v.stride,
                     .m = rows,
                     .n = dim,
                     .k = keys,
                     .scale = 1,
                     .c = {results, WEFT_F32, rows, dim, dim}};
    if (!weft_cpu_multiply_here(&p)) return false;
  }
  for (uint64_t r = 0; r < rows; ++r) {
    float *from = results + r * dim, *to = cpu_room(t->o, row + r, own, from);
    c->k->finish(to, from, NULL, (float)(1 / sums[r]), false, dim);
    weft_cpu_put(c->k, t->o, row + r, own, dim, to);
    if (t->lse && t->lse->data) *(float *)cpu_at(t->lse, row + r, h) = (float)((double)shifts[r] + log(sums[r]));
  }
  return true;
}

static weft_status attend(const cpu_call *c, const attention *t) {
  uint64_t blocks = (t->tokens + QUERIES - 1) / QUERIES, keys = t->past + t->tokens, stride;
  uint64_t pieces = c->a->batch * t->heads * blocks;
  bool good = true;
  float *room;
  assert(keys <= t->room);
  WEFT_TRY(weft_cpu_scratch(c, QUERIES * keys + 2 * QUERIES * t->dim + keys * t->dim, &room, &stride));
#pragma omp parallel num_threads(c->threads) reduction(&& : good)
  {
    omp_set_num_threads(1);
#pragma omp for schedule(dynamic, 1)
    for (uint64_t i = 0; i < pieces; ++i) {
      uint64_t block = i % blocks, head = i / blocks % t->heads, sequence = i / blocks / t->heads;
      float *own = room + (uint64_t)omp_get_thread_num() * stride;
      good = attend_block(c, t, sequence, (uint32_t)head, block * QUERIES, own) && good;
    }
  }
  return good ? NULL : weft_error(WEFT_FAILED, "oneDNN's sgemm failed in attention; there may be no memory left");
}

static attention attention_of(const cpu_call *c) {
  const weft_call *call = c->call;
  return (attention){.q = &call->inputs[0],
                     .k = &call->inputs[1],
                     .v = &call->inputs[2],
                     .o = &call->outputs[0],
                     .tokens = call->inputs[0].rows / c->a->batch,
                     .room = call->inputs[1].rows / c->a->batch,
                     .heads = c->a->heads,
                     .group = c->a->heads / c->a->kv_heads,
                     .dim = c->a->head_dim,
                     .causal = c->a->causal,
                     .scale = c->a->scale};
}

weft_status weft_cpu_attention(const cpu_call *c) {
  attention t = attention_of(c);
  t.lse = &c->call->outputs[1];
  return attend(c, &t);
}

weft_status weft_cpu_attention_cached(const cpu_call *c) {
  attention t = attention_of(c);
  t.past = c->s->position;
  t.causal = true;
  return attend(c, &t);
}

weft_status weft_cpu_cache_write(const cpu_call *c) {
  for (int which = 0; which < 2; ++which) {
    const weft_view *from = &c->call->inputs[which], *to = &c->call->outputs[which];
    uint64_t tokens = from->rows / c->a->batch, room = to->rows / c->a->batch, stride;
    float *row;
    WEFT_TRY(weft_cpu_scratch(c, from->columns, &row, &stride));
    for (uint64_t n = 0; n < from->rows; ++n) {
      uint64_t place = n / tokens * room + c->s->position + n % tokens;
      assert(place < to->rows);
      if (from->dtype == to->dtype) {
        memcpy(cpu_at(to, place, 0), cpu_at(from, n, 0), from->columns * cpu_element_bytes(from->dtype));
      } else if (to->dtype == WEFT_F32) {
        (void)weft_cpu_get(c->k, from, n, 0, from->columns, cpu_at(to, place, 0));
      } else {
        weft_cpu_put(c->k, to, place, 0, to->columns, weft_cpu_get(c->k, from, n, 0, from->columns, row));
      }
    }
  }
  return NULL;
}
