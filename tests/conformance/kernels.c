// The vector loops of backend cpu, in every compilation that this processor executes, against libm in f64. The suite
// runs only the best of them.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "runtime/cpu/kernels.h"

enum { COUNT = 1237 };  // several blocks and a rest

static float x[COUNT], y[COUNT], z[COUNT], w[COUNT];

static void fill(void) {
  for (uint64_t i = 0; i < COUNT; ++i) {
    x[i] = (float)(4 * weft_random_normal(1, 0, i));
    y[i] = (float)weft_random_normal(1, 1, i);
    w[i] = (float)weft_random_normal(1, 2, i);
    z[i] = 0;
  }
}

static void near(const char *level, const char *what, double got, double wanted, double tolerance) {
  if (!(fabs(got - wanted) <= tolerance)) fail_msg("%s %s: %.9g, should be %.9g", level, what, got, wanted);
}

static void exponentials(const cpu_kernels *k) {
  static const float special[] = {NAN, INFINITY, -INFINITY, 88.7f, 89.0f, -86.8f, -200.0f, 0.0f, -0.0f};
  float out[9];
  for (float value = -86.5f; value < 88.6f; value += 0.37f) {
    k->exp_scale(&value, 0, 1, out, 1);
    near(k->name, "exp", (double)out[0], exp((double)value), 2e-7 * exp((double)value));
  }
  k->exp_scale(special, 0, 1, out, 9);
  assert_true(isnan(out[0]) && isinf(out[1]) && out[2] == 0 && isfinite(out[3]) && isinf(out[4]) && out[5] > 0 &&
              out[6] == 0);
  assert_true(out[7] == 1 && out[8] == 1);
  double sum = 0, got = k->exp_sum(x, 3, z, COUNT);
  for (int i = 0; i < COUNT; ++i) sum += exp((double)x[i] - 3);
  near(k->name, "exp_sum", got, sum, 1e-6 * sum);
  assert_true(got == k->exp_sum_only(x, 3, COUNT));
}

static double activation(weft_activation kind, double v) {
  switch (kind) {
    case WEFT_GELU_TANH: return 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case WEFT_GELU_ERF: return 0.5 * v * erfc(-v / sqrt(2));
    case WEFT_SILU: return v / (1 + exp(-v));
    default: return fmax(v, 0);
  }
}

static void activations(const cpu_kernels *k) {
  for (int kind = 0; kind < WEFT_ACTIVATION_COUNT; ++kind) {
    k->activate((weft_activation)kind, x, y, z, COUNT);
    for (int i = 0; i < COUNT; ++i) {
      double wanted = activation((weft_activation)kind, (double)x[i]) * (double)y[i];
      near(k->name, "activate", (double)z[i], wanted, 2e-6 * (1 + fabs(wanted)));
    }
    k->activate_backward((weft_activation)kind, w, x, y, z, COUNT);
    for (int i = 0; i < COUNT; ++i) {
      double h = 1e-5, above = activation((weft_activation)kind, (double)x[i] + h),
             below = activation((weft_activation)kind, (double)x[i] - h);
      double wanted = (double)w[i] * (double)y[i] * (above - below) / (2 * h);
      if (kind == WEFT_RELU && fabsf(x[i]) < 1e-3f) continue;
      near(k->name, "activate_backward", (double)z[i], wanted, 3e-6 * (1 + fabs((double)(w[i] * y[i]))));
    }
  }
}

static void sums(const cpu_kernels *k) {
  uint16_t halves[COUNT];
  float widened[COUNT];
  double dot = 0, dot_bf16 = 0, squares = 0;
  k->to_bf16(x, halves, COUNT);
  k->from_bf16(halves, widened, COUNT);
  for (int i = 0; i < COUNT; ++i) {
    assert_int_equal(halves[i], weft_f32_to_bf16(x[i]));
    dot += (double)x[i] * (double)y[i];
    dot_bf16 += (double)widened[i] * (double)y[i];
    squares += (double)x[i] * (double)x[i];
  }
  near(k->name, "dot", (double)k->dot(x, y, COUNT), dot, 2e-3);
  near(k->name, "dot_bf16", (double)k->dot_bf16(halves, y, COUNT), dot_bf16, 2e-3);
  near(k->name, "square_sum", k->square_sum(x, COUNT), squares, 1e-9 * squares);
  float most = x[0];
  for (int i = 0; i < COUNT; ++i) most = fmaxf(most, x[i]);
  assert_true(k->largest(x, COUNT) == most && k->largest(x, 0) == -INFINITY);
  memcpy(z, y, sizeof z);
  k->axpy(0.5f, x, z, COUNT);
  k->axpy_bf16(-0.5f, halves, z, COUNT);
  for (int i = 0; i < COUNT; ++i)
    near(k->name, "axpy", (double)z[i], (double)y[i] + 0.5 * (double)(x[i] - widened[i]), 1e-5);
  k->finish(z, x, y, 2, false, COUNT);
  k->finish(z, x, NULL, 3, true, COUNT);
  for (int i = 0; i < COUNT; ++i) near(k->name, "finish", (double)z[i], 5 * (double)x[i] + 2 * (double)y[i], 1e-4);
}

static void steps(const cpu_kernels *k) {
  cpu_adamw a = {.keep = 0.999f,
                 .beta1 = 0.9f,
                 .beta2 = 0.95f,
                 .rest1 = 0.1f,
                 .rest2 = 0.05f,
                 .step = 0.02f,
                 .inverse_root2 = 2,
                 .epsilon = 1e-8f,
                 .gradient_scale = 0.5f};
  float m[COUNT], v[COUNT], p[COUNT];
  for (int i = 0; i < COUNT; ++i) z[i] = w[i] * w[i];
  k->adamw(&a, x, y, w, z, p, m, v, COUNT);
  for (int i = 0; i < COUNT; ++i) {
    double g = 0.5 * (double)x[i], first = 0.9 * (double)w[i] + 0.1 * g, second = 0.95 * (double)z[i] + 0.05 * g * g;
    near(k->name, "adamw m", (double)m[i], first, 1e-6);
    near(k->name, "adamw v", (double)v[i], second, 1e-5);
    near(k->name, "adamw p", (double)p[i], 0.999 * (double)y[i] - 0.02 * first / (sqrt(second) * 2 + 1e-8), 1e-5);
  }
}

static void every_level_computes_the_same(void **state) {
  (void)state;
  uint32_t count;
  const cpu_kernels *const *all = weft_cpu_kernels_all(&count);
  assert_true(count >= 1);
  for (uint32_t i = 0; i < count; ++i) {
    fill();
    exponentials(all[i]);
    activations(all[i]);
    sums(all[i]);
    steps(all[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_level_computes_the_same)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
