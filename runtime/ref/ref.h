// Backend ref: every op of models/ops.h in plain scalar C. It is the truth that other backends are compared with and
// the template for writing one: device.c turns operands of any dtype into f32 matrices, a kernel per op computes on
// those, device.c rounds the outputs.
//
// Accumulation: sums over a row, a column or a product are made in f64 and rounded to f32 once, which costs little
// next to the loads; sums over chunks stay f32 between calls, as models/ops.h says. Not meant to be quick.
//
// Threads: none of its own. Lanes share nothing.
#ifndef WEFT_RUNTIME_REF_REF_H
#define WEFT_RUNTIME_REF_REF_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/backend.h"

// An operand as kernels see it: f32 (rows, columns), or raw i32 / f64 where models/ops.h says so.
typedef struct ref_matrix {
  float *data;  // NULL: absent
  uint64_t rows, columns, stride;
} ref_matrix;

typedef struct ref_call {
  const weft_call *call;
  const weft_attributes *a;
  const weft_scalars *s;
  ref_matrix in[WEFT_OP_MAX_INPUTS], out[WEFT_OP_MAX_OUTPUTS];
  double *sums;      // scratch: as many as the widest operand has columns, or rows if those are more
  bool first, last;  // chunk of the stored weight
} ref_call;

static inline float *ref_row(const ref_matrix *m, uint64_t row) { return m->data + row * m->stride; }

// Elements of a vector operand, whatever its shape is folded to ((1, N), (N, 1), (B, T)).
static inline uint64_t ref_place(const weft_view *v, uint64_t i) { return i / v->columns * v->stride + i % v->columns; }
static inline int32_t ref_integer(const weft_view *v, uint64_t i) {
  return ((const int32_t *)v->data)[ref_place(v, i)];
}
static inline float *ref_at(const ref_matrix *m, uint64_t i) {
  return m->data + i / m->columns * m->stride + i % m->columns;
}

// Sum of products in f64, in eight interleaved partial sums.
double weft_ref_dot(const float *a, const float *b, uint64_t count);

typedef void ref_kernel(ref_call *c);
ref_kernel weft_ref_linear, weft_ref_linear_backward_input, weft_ref_linear_backward_weight;  // linear.c
ref_kernel weft_ref_layer_norm, weft_ref_layer_norm_backward, weft_ref_rms_norm, weft_ref_rms_norm_backward;  // norm.c
ref_kernel weft_ref_attention, weft_ref_attention_backward, weft_ref_attention_cached,
    weft_ref_cache_write;  // attention.c
ref_kernel weft_ref_rope, weft_ref_rope_backward, weft_ref_activation, weft_ref_activation_backward,
    weft_ref_gated;  // pointwise.c
ref_kernel weft_ref_gated_backward, weft_ref_add, weft_ref_last_row;
ref_kernel weft_ref_cross_entropy, weft_ref_cross_entropy_backward;  // loss.c
ref_kernel weft_ref_embed, weft_ref_embed_backward, weft_ref_load, weft_ref_store_gradient,
    weft_ref_all_reduce;  // store.c
ref_kernel weft_ref_square_sum, weft_ref_adamw, weft_ref_sgd;

#endif
