// What products take: the published formulas, linear growth that predictions rely on, and that zeros are not sent.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <math.h>

#include "rig.h"

static const char machine[] = "wse2";

static weft_product_options square(weft_product_kind kind, uint32_t side, uint32_t tile) {
  uint32_t n = side * tile;
  return rig_gemm(kind, side, side, n, n, n, WEFT_F32, WEFT_F32);
}

static double cycles_of(const weft_product_options *o) { return (double)rig_run(o, machine, 1, 0).report.cycles; }

static double published(weft_product_kind kind, uint32_t side, uint32_t tile, uint32_t setup, bool host) {
  weft_product_options o = square(kind, side, tile);
  o.published = true;
  o.setup = setup;
  o.host = host;
  o.out_cycles_per_word = 2;
  return cycles_of(&o);
}

// csl-examples: N (N padded to 4, + 1) + 41.
static void gemv_formula(void **state) {
  (void)state;
  static const uint32_t sizes[] = {4, 10, 25, 60, 100};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    uint32_t n = sizes[i], padded = (n + 3) / 4 * 4;
    weft_product_options o = rig_gemm(WEFT_GEMV_CORE, 1, 1, n, n, 1, WEFT_F32, WEFT_F32);
    assert_true(fabs(cycles_of(&o) - (n * (padded + 1) + 41)) <= 1);
  }
}

// A step costs the same on every mesh, so a large product can be continued from small ones.
static void summa_is_linear(void **state) {
  (void)state;
  static const uint32_t tiles[] = {3, 4, 7, 8, 14};
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; ++i) {
    double eight = published(WEFT_GEMM_SUMMA, 8, tiles[i], 302, false),
           ten = published(WEFT_GEMM_SUMMA, 10, tiles[i], 302, false);
    double continued = ten + (ten - eight) * 3, whole = published(WEFT_GEMM_SUMMA, 16, tiles[i], 302, false);
    if (fabs(continued - whole) > 0.002 * whole)
      fail_msg("tile %u: continued %g, executed %g", tiles[i], continued, whole);
  }
  double six = published(WEFT_GEMM_SUMMA, 6, 4, 302, false), eight = published(WEFT_GEMM_SUMMA, 8, 4, 302, false);
  double continued = eight + (eight - six) * 12, whole = published(WEFT_GEMM_SUMMA, 32, 4, 302, false);
  assert_true(fabs(continued - whole) <= 0.002 * whole);
}

static void cannon_is_a_parabola(void **state) {
  (void)state;
  for (uint32_t tile = 2; tile <= 5; ++tile) {
    double c[3];
    for (uint32_t i = 0; i < 3; ++i) c[i] = published(WEFT_GEMM_CANNON, 4 + 2 * i, tile, 0, true);
    double last = c[2] - c[1], continued = c[2] + 4 * last + 10 * (last - (c[1] - c[0]));
    double whole = published(WEFT_GEMM_CANNON, 16, tile, 0, true);
    if (fabs(continued - whole) > 0.005 * whole) fail_msg("tile %u: continued %g, executed %g", tile, continued, whole);
  }
}

// The words of the host alone take 2 n^2 in and 2 n^2 out.
static void host_is_a_bound(void **state) {
  (void)state;
  double n = 8 * 5, words = 4 * n * n;
  double with = published(WEFT_GEMM_CANNON, 8, 5, 0, true), without = published(WEFT_GEMM_CANNON, 8, 5, 0, false);
  assert_true(with >= words + without - 200 && with <= words + without + 800);
}

static void overlap_pays(void **state) {
  (void)state;
  weft_product_options o = square(WEFT_GEMM_SUMMA, 6, 8);
  double overlapped = cycles_of(&o);
  assert_true(overlapped < published(WEFT_GEMM_SUMMA, 6, 8, 0, false));
  // The ring without a long way back; both hide their transfers behind the product.
  weft_product_options shift = square(WEFT_GEMM_SHIFT, 8, 2), cannon = square(WEFT_GEMM_CANNON, 8, 2);
  assert_true(cycles_of(&shift) <= cycles_of(&cannon));
}

static void mixed_is_half_of_f16(void **state) {
  (void)state;
  weft_product_options f16 = rig_gemm(WEFT_GEMV_CORE, 1, 1, 64, 64, 1, WEFT_F16, WEFT_F16), mixed = f16, f32 = f16;
  mixed.result = f32.dtype = f32.result = WEFT_F32;
  double narrow = cycles_of(&f16), between = cycles_of(&mixed), wide = cycles_of(&f32);
  assert_true(narrow < between && between < wide);
  assert_true(fabs((wide - between) - 64 * 32) <= 64 && fabs((between - narrow) - 64 * 16) <= 64);
}

static void zeros_are_not_sent(void **state) {
  (void)state;
  static const weft_dtype types[] = {WEFT_F32, WEFT_F16};
  for (size_t t = 0; t < 2; ++t) {
    weft_product_options o = rig_gemm(WEFT_GEMM_STREAMED, 4, 4, 16, 32, 24, types[t], WEFT_F32);
    rig_result dense = rig_run(&o, machine, 1, 0), half = rig_run(&o, machine, 1, 0.5),
               sparse = rig_run(&o, machine, 1, 0.9);
    rig_result none = rig_run(&o, machine, 1, 2);  // the sums along the columns alone
    double sums = (double)none.report.link_hops, all = (double)dense.report.link_hops - sums;
    assert_true(half.worst < 1e-5 && sparse.worst < 1e-5);
    assert_true(fabs(((double)half.report.link_hops - sums) / all - 0.5) < 0.1);
    assert_true(fabs(((double)sparse.report.link_hops - sums) / all - 0.1) < 0.05);
    assert_true((double)half.report.cycles < 0.75 * (double)dense.report.cycles);
    assert_true((double)sparse.report.cycles < 0.5 * (double)half.report.cycles);
  }
}

// Cycles follow the weights that are left: what the stream takes beyond an empty one is in proportion, on every mesh
// and in every format, and never grows when weights vanish.
static void cycles_follow_zeros(void **state) {
  (void)state;
  static const uint32_t shapes[][5] = {
      {1, 1, 16, 24, 8}, {1, 5, 20, 30, 6}, {3, 7, 30, 35, 12}, {8, 8, 40, 48, 24}, {16, 12, 48, 60, 33}};
  static const weft_dtype types[] = {WEFT_F32, WEFT_F16, WEFT_BF16};
  static const double zeros[] = {0, 0.25, 0.5, 0.75, 0.9, 2};
  enum { STEPS = sizeof zeros / sizeof *zeros };
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s)
    for (size_t t = 0; t < 3; ++t) {
      const uint32_t *d = shapes[s];
      weft_product_options o = rig_gemm(WEFT_GEMM_STREAMED, d[0], d[1], d[2], d[3], d[4], types[t], WEFT_F32);
      double cycles[STEPS];
      for (size_t z = 0; z < STEPS; ++z) {
        rig_result r = rig_run(&o, machine, 1, zeros[z]);
        cycles[z] = (double)r.report.cycles;
        if (!(r.worst < 1e-5)) fail_msg("%g zeros: off by %g", zeros[z], r.worst);
        if (z > 0 && cycles[z] >= cycles[z - 1]) fail_msg("%g zeros: %g cycles", zeros[z], cycles[z]);
      }
      for (size_t z = 1; z + 1 < STEPS; ++z) {
        double left = (cycles[z] - cycles[STEPS - 1]) / (cycles[0] - cycles[STEPS - 1]);
        if (fabs(left - (1 - zeros[z])) > 0.1)
          fail_msg("%ux%u cores, %s, %g zeros: %g of the dense cycles", d[0], d[1], weft_dtype_name(types[t]), zeros[z],
                   left);
      }
    }
}

static double block(uint32_t whole, uint32_t parts) { return (whole + parts - 1) / parts; }

// docs/kernels.md: what every core of an oblong mesh sees, and a line's upkeep.
static void oblong_transposes(void **state) {
  (void)state;
  static const uint32_t cases[][4] = {{16, 12, 96, 96}, {12, 16, 96, 96}, {3, 7, 42, 63}, {7, 3, 63, 42},
                                      {16, 12, 33, 50}, {5, 2, 40, 17},   {4, 9, 81, 64}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    const uint32_t *d = cases[i];
    weft_product_options o = rig_gemm(WEFT_TRANSPOSE, d[0], d[1], d[2], 1, d[3], WEFT_F32, WEFT_F32);
    double high = block(d[2], d[1]), wide = block(d[3], d[0]), across = d[0] * high;  // lines of `wide`
    double down = d[1] * fmin(high, block(d[2], d[0])), padded = d[0] * wide;         // lines of `padded`
    double formula = 2.22 * (across * wide + down * padded) + 50.6 * across + 29.3 * down, cycles = cycles_of(&o);
    if (fabs(formula / cycles - 1) > 0.03)
      fail_msg("%ux%u of %ux%u cores: %g cycles, the formula says %g", d[2], d[3], d[0], d[1], cycles, formula);
  }
}

static void only_zeros(void **state) {
  (void)state;
  weft_product_options o = rig_gemm(WEFT_GEMM_STREAMED, 2, 3, 6, 6, 4, WEFT_F16, WEFT_F16);
  rig_result r = rig_run(&o, machine, 1, 2);
  assert_true(r.worst == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gemv_formula),         cmocka_unit_test(summa_is_linear),
      cmocka_unit_test(cannon_is_a_parabola), cmocka_unit_test(host_is_a_bound),
      cmocka_unit_test(overlap_pays),         cmocka_unit_test(mixed_is_half_of_f16),
      cmocka_unit_test(zeros_are_not_sent),   cmocka_unit_test(cycles_follow_zeros),
      cmocka_unit_test(oblong_transposes),    cmocka_unit_test(only_zeros),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
