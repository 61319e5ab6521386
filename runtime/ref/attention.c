// Attention over whole sequences and over the KV cache, and its gradient.
#include "runtime/ref/ref.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

// One query against keys [0, count) of one head: o = softmax(scale q.k) v, and the log sum exp of the scaled scores.
static double attend(const float *q, const float *k, const float *v, uint64_t stride_k, uint64_t stride_v,
                     uint64_t count, uint32_t dim, double scale, double *scores, float *o) {
  double largest = -INFINITY, sum = 0;
  for (uint64_t s = 0; s < count; ++s) {
    scores[s] = scale * weft_ref_dot(q, k + s * stride_k, dim);
    if (scores[s] > largest) largest = scores[s];  // a NaN reaches the sum below
  }
  for (uint64_t s = 0; s < count; ++s) sum += scores[s] = exp(scores[s] - largest);
  for (uint32_t i = 0; i < dim; ++i) {
    double value = 0;
    for (uint64_t s = 0; s < count; ++s) value += scores[s] * (double)v[s * stride_v + i];
    o[i] = (float)(value / sum);
  }
  return largest + log(sum);
}

void weft_ref_attention(ref_call *c) {
  const ref_matrix *q = &c->in[0], *k = &c->in[1], *v = &c->in[2], *o = &c->out[0], *lse = &c->out[1];
  uint32_t dim = c->a->head_dim, heads = c->a->heads, group = heads / c->a->kv_heads;
  uint64_t tokens = q->rows / c->a->batch;
  double *scores = weft_allocate_array(tokens, sizeof *scores);
  for (uint64_t n = 0; n < q->rows; ++n)
    for (uint32_t h = 0; h < heads; ++h) {
      uint64_t first = n / tokens * tokens, shared = (uint64_t)(h / group) * dim;
      uint64_t count = c->a->causal ? n - first + 1 : tokens;
      double sum =
          attend(ref_row(q, n) + (uint64_t)h * dim, ref_row(k, first) + shared, ref_row(v, first) + shared, k->stride,
                 v->stride, count, dim, (double)c->a->scale, scores, ref_row(o, n) + (uint64_t)h * dim);
      if (lse->data) ref_row(lse, n)[h] = (float)sum;
    }
  free(scores);
}

void weft_ref_attention_cached(ref_call *c) {
  const ref_matrix *q = &c->in[0], *k = &c->in[1], *v = &c->in[2], *o = &c->out[0];
  uint32_t dim = c->a->head_dim, heads = c->a->heads, group = heads / c->a->kv_heads;
  uint64_t tokens = q->rows / c->a->batch, room = k->rows / c->a->batch;
  double *scores = weft_allocate_array(room, sizeof *scores);
  for (uint64_t n = 0; n < q->rows; ++n)
    for (uint32_t h = 0; h < heads; ++h) {
      uint64_t first = n / tokens * room, shared = (uint64_t)(h / group) * dim, count = c->s->position + n % tokens + 1;
      assert(count <= room);
      attend(ref_row(q, n) + (uint64_t)h * dim, ref_row(k, first) + shared, ref_row(v, first) + shared, k->stride,
             v->stride, count, dim, (double)c->a->scale, scores, ref_row(o, n) + (uint64_t)h * dim);
    }
  free(scores);
}

// With p = exp(score - lse) and D = sum_i do_i o_i: dv += p do, ds = p (do.v - D), dq += scale ds k, dk += scale ds q.
typedef struct head_sums {
  double *dq, *dk, *dv;  // (tokens, dim) of one head; dk and dv are summed over the query heads that share them
} head_sums;

static void backward_of_head(ref_call *c, uint64_t first, uint64_t tokens, uint32_t h, head_sums *sums) {
  const ref_matrix *d_o = &c->in[0], *q = &c->in[1], *k = &c->in[2], *v = &c->in[3], *o = &c->in[4], *lse = &c->in[5];
  uint32_t dim = c->a->head_dim;
  uint64_t own = (uint64_t)h * dim, shared = (uint64_t)(h / (c->a->heads / c->a->kv_heads)) * dim;
  double scale = (double)c->a->scale;
  for (uint64_t t = 0; t < tokens; ++t) {
    const float *qt = ref_row(q, first + t) + own, *dt = ref_row(d_o, first + t) + own;
    double delta = weft_ref_dot(dt, ref_row(o, first + t) + own, dim);
    for (uint64_t s = 0; s < (c->a->causal ? t + 1 : tokens); ++s) {
      const float *ks = ref_row(k, first + s) + shared, *vs = ref_row(v, first + s) + shared;
      double p = exp(scale * weft_ref_dot(qt, ks, dim) - (double)ref_row(lse, first + t)[h]);
      double ds = scale * p * (weft_ref_dot(dt, vs, dim) - delta);
      for (uint32_t i = 0; i < dim; ++i) {
        sums->dq[t * dim + i] += ds * (double)ks[i];
        sums->dk[s * dim + i] += ds * (double)qt[i];
        sums->dv[s * dim + i] += p * (double)dt[i];
      }
    }
  }
}

static void put_head(const ref_matrix *to, uint64_t first, uint64_t column, const double *sums, uint64_t tokens,
                     uint32_t dim) {
  for (uint64_t t = 0; to->data && t < tokens; ++t)
    for (uint32_t i = 0; i < dim; ++i) ref_row(to, first + t)[column + i] = (float)sums[t * dim + i];
}

void weft_ref_attention_backward(ref_call *c) {
  uint32_t dim = c->a->head_dim, group = c->a->heads / c->a->kv_heads;
  uint64_t tokens = c->in[1].rows / c->a->batch, size = tokens * dim;
  double *memory = weft_allocate_array(3 * size, sizeof *memory);
  head_sums sums = {memory, memory + size, memory + 2 * size};
  for (uint64_t first = 0; first < c->in[1].rows; first += tokens)
    for (uint32_t shared = 0; shared < c->a->kv_heads; ++shared) {
      memset(sums.dk, 0, 2 * size * sizeof *memory);
      for (uint32_t h = shared * group; h < (shared + 1) * group; ++h) {
        memset(sums.dq, 0, size * sizeof *memory);
        backward_of_head(c, first, tokens, h, &sums);
        put_head(&c->out[0], first, (uint64_t)h * dim, sums.dq, tokens, dim);
      }
      put_head(&c->out[1], first, (uint64_t)shared * dim, sums.dk, tokens, dim);
      put_head(&c->out[2], first, (uint64_t)shared * dim, sums.dv, tokens, dim);
    }
  free(memory);
}

// Raw operands: the cache is much larger than the rows written.
void weft_ref_cache_write(ref_call *c) {
  float *row = weft_allocate_array(c->call->inputs[0].columns, sizeof *row);
  for (int which = 0; which < 2; ++which) {
    const weft_view *from = &c->call->inputs[which], *to = &c->call->outputs[which];
    uint64_t tokens = from->rows / c->a->batch, room = to->rows / c->a->batch;
    uint64_t from_bytes = weft_dtype_block_bytes(from->dtype), to_bytes = weft_dtype_block_bytes(to->dtype);
    for (uint64_t n = 0; n < from->rows; ++n) {
      uint64_t place = n / tokens * room + c->s->position + n % tokens;
      assert(place < to->rows);
      weft_dtype_to_f32(from->dtype, (const char *)from->data + n * from->stride * from_bytes, row, from->columns);
      weft_dtype_from_f32(to->dtype, row, (char *)to->data + place * to->stride * to_bytes, to->columns);
    }
  }
  free(row);
}
