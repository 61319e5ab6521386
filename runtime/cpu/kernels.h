// Inner loops of backend cpu: over one row, or one run of elements, of f32 in memory. kernels/kernels.c is compiled
// once per instruction set that the processor family has (kernels/kernels.cmake); the device takes the best one that
// this processor executes. Every loop adds in an order that depends on the count alone.
//
// NaN and infinity behave as in the definitions of models/ops.h. exp is a polynomial within 2 units in the last place.
#ifndef WEFT_RUNTIME_CPU_KERNELS_H
#define WEFT_RUNTIME_CPU_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/backend.h"

typedef struct cpu_adamw {
  float keep;                          // 1 - rate * decay
  float beta1, beta2, rest1, rest2;    // rest: 1 - beta
  float step, inverse_root2, epsilon;  // rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  float gradient_scale;
} cpu_adamw;

typedef struct cpu_kernels {
  const char *name;  // "x86-64-v4", "generic"
  // bf16 and f32; other dtypes go through models/dtype.h.
  void (*from_bf16)(const uint16_t *from, float *to, uint64_t count);
  void (*to_bf16)(const float *from, uint16_t *to, uint64_t count);
  // Products with a weight's row.
  float (*dot)(const float *a, const float *b, uint64_t count);
  float (*dot_bf16)(const uint16_t *a, const float *b, uint64_t count);
  void (*axpy)(float factor, const float *x, float *y, uint64_t count);  // y += factor * x
  void (*axpy_bf16)(float factor, const uint16_t *x, float *y, uint64_t count);
  // to = (adds ? to : 0) + scale * (from + bias); bias may be NULL, from may be to.
  void (*finish)(float *to, const float *from, const float *bias, float scale, bool adds, uint64_t count);
  void (*add)(const float *a, const float *b, float *y, uint64_t count);
  void (*add_to_f64)(const float *x, double *sums, uint64_t count);  // sums += x
  double (*square_sum)(const float *x, uint64_t count);
  // Norms of one row. b NULL: no bias. `centred` tells layer_norm from rms_norm.
  void (*norm)(const float *x, const float *w, const float *b, bool centred, float epsilon, uint64_t count, float *y,
               float *out_mean, float *out_inverse);
  // dx of one row (dx NULL: not wanted), and dw_sums += dy * h, db_sums += dy.
  void (*norm_backward)(const float *dy, const float *x, const float *w, bool centred, float mean, float inverse,
                        uint64_t count, float *dx, float *dw_sums, float *db_sums);
  // y = f(x) * factor (factor NULL: 1); dx = dy * f'(x) * factor. dx may be dy.
  void (*activate)(weft_activation kind, const float *x, const float *factor, float *y, uint64_t count);
  void (*activate_backward)(weft_activation kind, const float *dy, const float *x, const float *factor, float *dx,
                            uint64_t count);
  // Rotation of one head: pairs (i, i + half), or (2i, 2i + 1); sign -1 rotates back.
  void (*rotate)(const float *x, const float *cosines, const float *sines, float sign, bool interleaved, uint64_t half,
                 uint64_t dim, float *y);
  float (*largest)(const float *x, uint64_t count);  // NaN are passed over; -inf for none
  // y = exp(x - shift), and their sum.
  double (*exp_sum)(const float *x, float shift, float *y, uint64_t count);
  double (*exp_sum_only)(const float *x, float shift, uint64_t count);
  void (*exp_scale)(const float *x, float shift, float scale, float *y, uint64_t count);  // scale * exp(x - shift)
  void (*scale)(float factor, float *x, uint64_t count);
  void (*score_gradient)(const float *p, float delta, float scale, float *dp,
                         uint64_t count);  // dp = scale p (dp - delta)
  void (*adamw)(const cpu_adamw *a, const float *g, const float *p, const float *m, const float *v, float *new_p,
                float *new_m, float *new_v, uint64_t count);
} cpu_kernels;

// Those that this processor executes, the best last.
const cpu_kernels *const *weft_cpu_kernels_all(uint32_t *out_count);

#endif
