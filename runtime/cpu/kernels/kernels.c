// The loops of runtime/cpu/kernels.h for one instruction set. CMake names the table that this compilation makes
// (WEFT_KERNELS) and the instruction set (WEFT_KERNELS_NAME).
#include "runtime/cpu/kernels.h"

#include <math.h>

extern const cpu_kernels WEFT_KERNELS;

// Sums run in this many interleaved parts on every instruction set, so that only fused products tell them apart.
enum { PARTS = 32, BLOCK = 1024 };

static inline float from_bits(uint32_t bits) {
  union {
    uint32_t u;
    float f;
  } v = {bits};
  return v.f;
}

static inline uint32_t to_bits(float value) {
  union {
    float f;
    uint32_t u;
  } v = {value};
  return v.u;
}

static inline float widen(uint16_t value) { return from_bits((uint32_t)value << 16); }

// exp(x) = 2^n exp(r), |r| <= ln(2)/2; ln 2 in two parts and the minimax polynomial for exp(r) of the Cephes library
// (expf.c). Above 88.7 infinity, below -86.9 zero (no subnormals); a NaN stays one. No branches, so loops vectorise.
static inline float fast_exp(float x) {
  float limited = x < -86.9f ? -86.9f : x;
  limited = limited > 88.72f ? 88.72f : limited;
  float shifted = limited * 1.44269504088896341f + 0x1.8p23f;  // the integer ends up in the low mantissa bits
  float n = shifted - 0x1.8p23f;
  float r = (limited - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // 2^128 has no float, so the power is applied as 2^(n-1) * 2.
  float power = from_bits((uint32_t)(to_bits(shifted) - 0x4b400000u + 126u) << 23);
  float y = p * power * 2.0f;
  y = x > 88.722f ? INFINITY : y;
  y = x < -86.9f ? 0.0f : y;
  return x != x ? x : y;
}

static void from_bf16(const uint16_t *restrict from, float *restrict to, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) to[i] = widen(from[i]);
}

static void to_bf16(const float *restrict from, uint16_t *restrict to, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t bits = to_bits(from[i]);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, nan = (bits >> 16) | 0x40u;
    to[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

static inline float sum_parts(const float *parts) {
  float sums[PARTS];
  for (int i = 0; i < PARTS; ++i) sums[i] = parts[i];
  for (int width = PARTS / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) sums[i] += sums[i + width];
  return sums[0];
}

static float dot(const float *a, const float *b, uint64_t count) {
  float parts[PARTS] = {0};
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (int j = 0; j < PARTS; ++j) parts[j] += a[i + (uint64_t)j] * b[i + (uint64_t)j];
  for (int j = 0; i < count; ++i, ++j) parts[j] += a[i] * b[i];
  return sum_parts(parts);
}

static float dot_bf16(const uint16_t *a, const float *b, uint64_t count) {
  float parts[PARTS] = {0};
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (int j = 0; j < PARTS; ++j) parts[j] += widen(a[i + (uint64_t)j]) * b[i + (uint64_t)j];
  for (int j = 0; i < count; ++i, ++j) parts[j] += widen(a[i]) * b[i];
  return sum_parts(parts);
}

static void axpy(float factor, const float *restrict x, float *restrict y, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

static void axpy_bf16(float factor, const uint16_t *restrict x, float *restrict y, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) y[i] += factor * widen(x[i]);
}

static void finish(float *to, const float *from, const float *bias, float scale, bool adds, uint64_t count) {
  if (bias && adds) {
#pragma omp simd
    for (uint64_t i = 0; i < count; ++i) to[i] += scale * (from[i] + bias[i]);
  } else if (bias) {
#pragma omp simd
    for (uint64_t i = 0; i < count; ++i) to[i] = scale * (from[i] + bias[i]);
  } else if (adds) {
#pragma omp simd
    for (uint64_t i = 0; i < count; ++i) to[i] += scale * from[i];
  } else {
#pragma omp simd
    for (uint64_t i = 0; i < count; ++i) to[i] = scale * from[i];
  }
}

static void add(const float *a, const float *b, float *y, uint64_t count) {
#pragma omp simd
  for (uint64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

static void add_to_f64(const float *restrict x, double *restrict sums, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) sums[i] += (double)x[i];
}

static double square_sum(const float *x, uint64_t count) {
  double parts[PARTS] = {0}, sum = 0;
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (int j = 0; j < PARTS; ++j) parts[j] += (double)x[i + (uint64_t)j] * (double)x[i + (uint64_t)j];
  for (int j = 0; i < count; ++i, ++j) parts[j] += (double)x[i] * (double)x[i];
  for (int j = 0; j < PARTS; ++j) sum += parts[j];
  return sum;
}

// Sum of (x - mean)^power for power 1 or 2, in f64.
static double moment(const float *x, double mean, int power, uint64_t count) {
  double parts[PARTS] = {0}, sum = 0;
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (int j = 0; j < PARTS; ++j) {
      double away = (double)x[i + (uint64_t)j] - mean;
      parts[j] += power == 1 ? away : away * away;
    }
  for (int j = 0; i < count; ++i, ++j) {
    double away = (double)x[i] - mean;
    parts[j] += power == 1 ? away : away * away;
  }
  for (int j = 0; j < PARTS; ++j) sum += parts[j];
  return sum;
}

static void norm(const float *x, const float *w, const float *b, bool centred, float epsilon, uint64_t count, float *y,
                 float *out_mean, float *out_inverse) {
  double average = centred ? moment(x, 0, 1, count) / (double)count : 0;
  double variance = moment(x, average, 2, count) / (double)count;
  float inverse = (float)(1 / sqrt(variance + (double)epsilon)), mean = (float)average;
  if (b) {
#pragma omp simd
    for (uint64_t i = 0; i < count; ++i) y[i] = (x[i] - mean) * inverse * w[i] + b[i];
  } else {
#pragma omp simd
    for (uint64_t i = 0; i < count; ++i) y[i] = (x[i] - mean) * inverse * w[i];
  }
  *out_mean = mean;
  *out_inverse = inverse;
}

static void norm_backward(const float *dy, const float *x, const float *w, bool centred, float mean, float inverse,
                          uint64_t count, float *dx, float *restrict dw_sums, float *restrict db_sums) {
  float averages[PARTS] = {0}, projections[PARTS] = {0};
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (uint64_t j = 0; j < PARTS; ++j) {
      float h = (x[i + j] - mean) * inverse, scaled = dy[i + j] * w[i + j];
      averages[j] += scaled;
      projections[j] += scaled * h;
    }
  for (uint64_t j = 0; i + j < count; ++j) {
    float h = (x[i + j] - mean) * inverse, scaled = dy[i + j] * w[i + j];
    averages[j] += scaled;
    projections[j] += scaled * h;
  }
  for (i = 0; i < count; ++i) {
    dw_sums[i] += dy[i] * ((x[i] - mean) * inverse);
    db_sums[i] += dy[i];
  }
  if (!dx) return;
  float average = centred ? sum_parts(averages) / (float)count : 0, projection = sum_parts(projections) / (float)count;
#pragma omp simd
  for (i = 0; i < count; ++i) {
    float h = (x[i] - mean) * inverse;
    dx[i] = inverse * (dy[i] * w[i] - average - h * projection);
  }
}

// Activations and their slopes. gelu_tanh(x) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): the same function as
// with tanh, without its cancellation.
static inline float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }
static inline float gelu_twice_u(float x) { return 1.5957691216057308f * (x + 0.044715f * x * x * x); }
static inline float gelu_tanh(float x) { return x * sigmoid(gelu_twice_u(x)); }
static inline float gelu_tanh_slope(float x) {
  float s = sigmoid(gelu_twice_u(x));
  return s + x * s * (1.0f - s) * 1.5957691216057308f * (1.0f + 0.134145f * x * x);
}

// Complementary error function of z >= 0 within 1.2e-7 of its value: W. H. Press et al., Numerical Recipes, "erfcc".
static inline float erfc_positive(float z) {
  float t = 1.0f / (1.0f + 0.5f * z);
  float p = 0.17087277f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  return t * fast_exp(p - z * z);
}

// The standard normal distribution: 0.5 (1 + erf(x / sqrt 2)).
static inline float normal_below(float x) {
  float tail = 0.5f * erfc_positive(fabsf(x) * 0.70710678118654752f);
  return x < 0 ? tail : 1.0f - tail;
}

static inline float gelu_erf(float x) { return x * normal_below(x); }
static inline float gelu_erf_slope(float x) {
  return normal_below(x) + x * 0.39894228040143268f * fast_exp(-0.5f * x * x);
}
static inline float silu(float x) { return x / (1.0f + fast_exp(-x)); }
static inline float silu_slope(float x) {
  float s = sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}
static inline float relu(float x) { return x < 0 ? 0.0f : x; }
static inline float relu_slope(float x) {
  float slope = x > 0 ? 1.0f : x;
  return x <= 0 ? 0.0f : slope;
}

#define ACTIVATE(f)                                                                      \
  if (factor) {                                                                          \
    _Pragma("omp simd") for (uint64_t i = 0; i < count; ++i) y[i] = f(x[i]) * factor[i]; \
  } else {                                                                               \
    _Pragma("omp simd") for (uint64_t i = 0; i < count; ++i) y[i] = f(x[i]);             \
  }                                                                                      \
  return

static void activate(weft_activation kind, const float *x, const float *factor, float *y, uint64_t count) {
  switch (kind) {
    case WEFT_GELU_TANH: ACTIVATE(gelu_tanh);
    case WEFT_GELU_ERF: ACTIVATE(gelu_erf);
    case WEFT_SILU: ACTIVATE(silu);
    case WEFT_RELU: ACTIVATE(relu);
    case WEFT_ACTIVATION_COUNT: return;
  }
}

#define SLOPE(f)                                                                                  \
  if (factor) {                                                                                   \
    _Pragma("omp simd") for (uint64_t i = 0; i < count; ++i) dx[i] = dy[i] * f(x[i]) * factor[i]; \
  } else {                                                                                        \
    _Pragma("omp simd") for (uint64_t i = 0; i < count; ++i) dx[i] = dy[i] * f(x[i]);             \
  }                                                                                               \
  return

static void activate_backward(weft_activation kind, const float *dy, const float *x, const float *factor, float *dx,
                              uint64_t count) {
  switch (kind) {
    case WEFT_GELU_TANH: SLOPE(gelu_tanh_slope);
    case WEFT_GELU_ERF: SLOPE(gelu_erf_slope);
    case WEFT_SILU: SLOPE(silu_slope);
    case WEFT_RELU: SLOPE(relu_slope);
    case WEFT_ACTIVATION_COUNT: return;
  }
}

static void rotate(const float *x, const float *cosines, const float *sines, float sign, bool interleaved,
                   uint64_t half, uint64_t dim, float *y) {
  uint64_t step = interleaved ? 2 : 1, away = interleaved ? 1 : half;
  for (uint64_t i = 0; i < half; ++i) {
    float a = x[i * step], b = x[i * step + away], sine = sign * sines[i];
    y[i * step] = a * cosines[i] - b * sine;
    y[i * step + away] = b * cosines[i] + a * sine;
  }
  for (uint64_t i = 2 * half; i < dim; ++i) y[i] = x[i];
}

static float largest(const float *x, uint64_t count) {
  float parts[PARTS], best = -INFINITY;
  for (int j = 0; j < PARTS; ++j) parts[j] = -INFINITY;
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (int j = 0; j < PARTS; ++j) parts[j] = x[i + (uint64_t)j] > parts[j] ? x[i + (uint64_t)j] : parts[j];
  for (; i < count; ++i) best = x[i] > best ? x[i] : best;
  for (int j = 0; j < PARTS; ++j) best = parts[j] > best ? parts[j] : best;
  return best;
}

static inline float sum_of(const float *y, uint64_t count) {
  float parts[PARTS] = {0};
  uint64_t i = 0;
  for (; i + PARTS <= count; i += PARTS)
    for (int j = 0; j < PARTS; ++j) parts[j] += y[i + (uint64_t)j];
  for (int j = 0; i < count; ++i, ++j) parts[j] += y[i];
  return sum_parts(parts);
}

static double exp_sum(const float *x, float shift, float *y, uint64_t count) {
  double sum = 0;
  for (uint64_t first = 0; first < count; first += BLOCK) {
    uint64_t end = count - first < BLOCK ? count : first + BLOCK;
#pragma omp simd
    for (uint64_t i = first; i < end; ++i) y[i] = fast_exp(x[i] - shift);
    sum += (double)sum_of(y + first, end - first);
  }
  return sum;
}

static double exp_sum_only(const float *x, float shift, uint64_t count) {
  float block[BLOCK];
  double sum = 0;
  for (uint64_t first = 0; first < count; first += BLOCK) {
    uint64_t size = count - first < BLOCK ? count - first : BLOCK;
#pragma omp simd
    for (uint64_t i = 0; i < size; ++i) block[i] = fast_exp(x[first + i] - shift);
    sum += (double)sum_of(block, size);
  }
  return sum;
}

static void exp_scale(const float *x, float shift, float scale, float *y, uint64_t count) {
#pragma omp simd
  for (uint64_t i = 0; i < count; ++i) y[i] = scale * fast_exp(x[i] - shift);
}

static void scale_by(float factor, float *x, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) x[i] *= factor;
}

static void score_gradient(const float *restrict p, float delta, float scale, float *restrict dp, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) dp[i] = scale * p[i] * (dp[i] - delta);
}

static void adamw(const cpu_adamw *a, const float *g, const float *p, const float *m, const float *v, float *new_p,
                  float *new_m, float *new_v, uint64_t count) {
#pragma omp simd
  for (uint64_t i = 0; i < count; ++i) {
    float gradient = g[i] * a->gradient_scale;
    float first = a->beta1 * m[i] + a->rest1 * gradient;
    float second = a->beta2 * v[i] + a->rest2 * gradient * gradient;
    new_m[i] = first;
    new_v[i] = second;
    new_p[i] = a->keep * p[i] - a->step * first / (sqrtf(second) * a->inverse_root2 + a->epsilon);
  }
}

const cpu_kernels WEFT_KERNELS = {
    .name = WEFT_KERNELS_NAME,
    .from_bf16 = from_bf16,
    .to_bf16 = to_bf16,
    .dot = dot,
    .dot_bf16 = dot_bf16,
    .axpy = axpy,
    .axpy_bf16 = axpy_bf16,
    .finish = finish,
    .add = add,
    .add_to_f64 = add_to_f64,
    .square_sum = square_sum,
    .norm = norm,
    .norm_backward = norm_backward,
    .activate = activate,
    .activate_backward = activate_backward,
    .rotate = rotate,
    .largest = largest,
    .exp_sum = exp_sum,
    .exp_sum_only = exp_sum_only,
    .exp_scale = exp_scale,
    .scale = scale_by,
    .score_gradient = score_gradient,
    .adamw = adamw,
};
