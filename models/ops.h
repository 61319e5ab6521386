// The operations that graphs, schedules and backends speak of, and what each operand is.
//
// Activations are row-major matrices (N, C): N = batch x tokens rows, sequence by sequence. "x (N,I)" below means
// N rows of I columns; a matrix may be a range of another's columns, so rows have a stride. Statistics (stats,
// lse, loss) are always f32, token ids and positions i32. All arithmetic is f32 or wider; results are rounded to the
// dtype of the output once. [b] marks an optional operand (index WEFT_NONE in a graph, data NULL in a view).
//
//   embed            ids (N), table (V,C)                    -> y (N,C) = scale * table[ids]
//   embed_backward   ids (N), dy (N,C)                       -> dtable (V,C); see `accumulate`
//   linear           x (N,I), W, [b (O)]                     -> y (N,O) = scale * (x W^T + b)
//                    W is (O,I), or (I,O) where `transposed` (then y = scale * (x W + b))
//   linear_backward_input   dy (N,O), W                      -> dx (N,I) = scale * dy W; see `accumulate`
//   linear_backward_weight  dy (N,O), x (N,I)                -> dW as stored, [db (O)], both times scale
//   layer_norm       x (N,C), w (C), b (C)                   -> y (N,C), stats (N,2) = mean, 1/sqrt(variance + epsilon)
//   layer_norm_backward  dy, x, w, stats                     -> dx, dw (C), db (C)
//   rms_norm         x (N,C), w (C)                          -> y, stats (N,1) = 1/sqrt(mean square + epsilon)
//   rms_norm_backward    dy, x, w, stats                     -> dx, dw (C)
//   rope             x (N,H*D), positions (N)                -> y: each head's first rotary_dim dimensions rotated
//   rope_backward    dy, positions                           -> dx: rotated back
//   attention        q (N,H*D), k (N,Hk*D), v (N,Hk*D)       -> o (N,H*D), lse (N,H) = log sum exp of scaled scores
//                    query head j reads key/value head j / (H/Hk); `batch` sequences of N/batch rows
//   attention_backward   do, q, k, v, o, lse                 -> dq, dk, dv
//   cache_write      k (N,Hk*D), v (N,Hk*D)                  -> kcache (B,S,Hk*D), vcache: rows position.. written
//   attention_cached q (N,H*D), kcache, vcache               -> o (N,H*D): row t of a sequence sees cache rows
//                    0 .. position+t; every sequence has N/batch rows starting at the same position
//   activation       x                                       -> y = f(x)
//   activation_backward  dy, x                               -> dx
//   gated            gate (N,I), up (N,I)                    -> y = f(gate) * up
//   gated_backward   dy, gate, up                            -> dgate, dup
//   add              a (N,C), b (N,C)                        -> y
//   last_row         x (B*T,C)                               -> y (B,C): the last row of each of `batch` sequences
//   cross_entropy    logits (N,V), targets (N)               -> loss (N) in nats, lse (N); target -1: loss 0, ignored
//   cross_entropy_backward  logits, targets, lse             -> dlogits = (softmax - onehot) * loss_scale (0 if
//   ignored) load             W at the store, [b at the store]        -> W, [b] in slots, converted to the slot's dtype
//   store_gradient   dW, [db] in slots                       -> gradients at the store (f32); see `accumulate`
//   all_reduce       gradient at the store                   -> the same, summed over systems
//   square_sum       gradient at the store                   -> one f64: sum of squares (for clipping)
//   adamw            parameter, gradient, m, v at the store  -> parameter, m, v (all f32)
//   sgd              parameter, gradient                     -> parameter
//
// Chunks. Steps whose weight is streamed run in `chunks` calls, each with rows [row_begin, row_end) of the *stored*
// matrix W (or dW): linear fills columns of y (transposed: adds over I), linear_backward_input adds over O
// (transposed: fills columns of dx), linear_backward_weight makes rows of dW. Partial sums stay f32 until the
// last chunk. db is made with the rows that belong to it (transposed: with the first chunk).
//
// accumulate: false overwrites the output (embed_backward: zeroes the table first), true adds to it.
#ifndef WEFT_MODELS_OPS_H
#define WEFT_MODELS_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "models/network.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_op {
#define X(enumerator, name, inputs, outputs, flops) WEFT_OP_##enumerator,
#include "models/ops.def"
#undef X
  WEFT_OP_COUNT
} weft_op;

enum { WEFT_OP_MAX_INPUTS = 6, WEFT_OP_MAX_OUTPUTS = 3 };
#define WEFT_NONE UINT32_MAX  // "no tensor", "no step"

typedef struct weft_attributes {
  uint32_t batch;  // sequences in the rows
  uint32_t heads, kv_heads, head_dim, rotary_dim;
  uint32_t context;  // attention_cached: cache rows that the op table counts (the most there can be)
  bool transposed, causal, accumulate;
  weft_activation activation;
  weft_rope_kind rope_kind;
  weft_rope_scaling rope_scaling;
  uint32_t rope_original_positions;
  double rope_theta, rope_factor, rope_low_frequency_factor, rope_high_frequency_factor;
  float epsilon;
  float scale;  // linear, embed: of the output; attention: of q.k
  float decay;  // adamw: 1 where weight decay applies, 0 on vectors
} weft_attributes;

typedef struct weft_op_facts {
  const char *name;
  uint32_t inputs, outputs;
} weft_op_facts;

weft_op_facts weft_op_get(weft_op op);
const char *weft_op_name(weft_op op);
weft_status weft_op_parse(const char *name, weft_op *out_op) WEFT_CHECKED;

// What the FLOPs column needs of a call.
typedef struct weft_op_size {
  uint64_t rows, in, out, elements;
} weft_op_size;
double weft_op_flops(weft_op op, const weft_attributes *attributes, weft_op_size size);

// Angle of one rotation: position * frequency of pair `pair` (0 .. rotary_dim/2 - 1), in radians. Frequencies are
// theta^(-2 pair / rotary_dim); `linear` divides them by the factor; `llama3` (Llama 3.1) divides the ones whose wave
// length exceeds original/low by the factor, keeps those below original/high, and blends in between.
double weft_rope_frequency(const weft_attributes *attributes, uint32_t pair);

#ifdef __cplusplus
}
#endif
#endif
