// Every generator: shapes that divide and that do not, dtypes, one and two threads.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>

#include "rig.h"

static const char machine[] = "wse2";

// Rounding of one result: f32 sums of k products in any order; 16-bit accumulators round at every step.
static double tolerance(const weft_product_options *o) {
  double bits = o->result == WEFT_F32 ? 0x1p-24 : o->result == WEFT_F16 ? 0x1p-11 : 0x1p-8;
  double sums = o->k + 2.0 * o->columns;
  return o->kind == WEFT_TRANSPOSE ? 0 : bits * (sums < 8 ? 8 : sums);
}

static rig_result try_it(const weft_product_options *o) {
  rig_result one = rig_run(o, machine, 1, 0);
  double most = tolerance(o);
  if (!(one.worst <= most))
    fail_msg("%s%s on %ux%u of %ux%ux%u, %s into %s: off by %g, tolerance %g", weft_product_kind_name(o->kind),
             o->published ? ", as published" : "", o->columns, o->rows, o->m, o->k, o->n, weft_dtype_name(o->dtype),
             weft_dtype_name(o->result), one.worst, most);
  rig_result two = rig_run(o, machine, 2, 0);
  assert_int_equal(one.report.cycles, two.report.cycles);
  assert_true(one.report.hash == two.report.hash);
  return one;
}

typedef struct shape {
  uint32_t columns, rows, m, k, n;
} shape;

static const struct types {
  weft_dtype dtype, result;
} all_types[] = {
    {WEFT_F32, WEFT_F32}, {WEFT_F16, WEFT_F16}, {WEFT_BF16, WEFT_BF16}, {WEFT_F16, WEFT_F32}, {WEFT_BF16, WEFT_F32}};

static void try_shapes(weft_product_kind kind, const shape *shapes, size_t count, bool published) {
  for (size_t s = 0; s < count; ++s)
    for (size_t t = 0; t < sizeof all_types / sizeof *all_types; ++t) {
      if (kind == WEFT_TRANSPOSE && all_types[t].dtype != all_types[t].result) continue;
      weft_product_options o = rig_gemm(kind, shapes[s].columns, shapes[s].rows, shapes[s].m, shapes[s].k, shapes[s].n,
                                        all_types[t].dtype, all_types[t].result);
      o.published = published;
      (void)try_it(&o);
    }
}
#define TRY(kind, shapes, published) try_shapes(kind, shapes, sizeof(shapes) / sizeof *(shapes), published)

static void gemv_core(void **state) {
  (void)state;
  static const shape shapes[] = {
      {1, 1, 1, 1, 1}, {1, 1, 10, 10, 1}, {1, 1, 25, 25, 1}, {1, 1, 7, 30, 1}, {1, 1, 33, 5, 1}};
  TRY(WEFT_GEMV_CORE, shapes, false);
}

static void gemv_mesh(void **state) {
  (void)state;
  static const shape shapes[] = {{1, 1, 5, 5, 1},   {2, 1, 4, 4, 1},   {3, 2, 7, 11, 1},  {4, 4, 16, 16, 1},
                                 {7, 3, 10, 23, 1}, {9, 1, 3, 40, 1},  {16, 2, 9, 50, 1}, {13, 5, 31, 4, 1},
                                 {1, 5, 13, 9, 1},  {3, 7, 23, 17, 1}, {8, 8, 37, 61, 1}, {16, 12, 41, 53, 1}};
  TRY(WEFT_GEMV_MESH, shapes, false);
  for (uint32_t group = 1; group <= 8; ++group) {
    weft_product_options o = rig_gemm(WEFT_GEMV_MESH, 8, 2, 6, 16, 1, WEFT_F32, WEFT_F32);
    o.group = group;
    (void)try_it(&o);
  }
}

static const shape meshes[] = {{1, 1, 3, 4, 5},   {2, 2, 4, 4, 4},   {2, 2, 5, 3, 7},    {3, 3, 10, 7, 8},
                               {4, 4, 1, 1, 1},   {4, 4, 17, 30, 9}, {5, 5, 11, 10, 12}, {6, 6, 12, 24, 6},
                               {7, 7, 15, 8, 20}, {8, 8, 21, 19, 30}};

static void summa(void **state) {
  (void)state;
  static const shape oblong[] = {{3, 2, 7, 13, 9},   {4, 3, 12, 12, 12}, {1, 4, 9, 8, 7},   {5, 1, 4, 11, 10},
                                 {4, 6, 13, 25, 11}, {1, 5, 7, 12, 3},   {3, 7, 16, 22, 10}};
  static const shape large[] = {{16, 12, 29, 50, 37}};
  TRY(WEFT_GEMM_SUMMA, large, false);
  TRY(WEFT_GEMM_SUMMA, meshes, false);
  TRY(WEFT_GEMM_SUMMA, meshes, true);
  TRY(WEFT_GEMM_SUMMA, oblong, false);
  TRY(WEFT_GEMM_SUMMA, oblong, true);
}

static void cannon(void **state) {
  (void)state;
  TRY(WEFT_GEMM_CANNON, meshes, false);
  TRY(WEFT_GEMM_CANNON, meshes, true);
}

static void cannon_with_host(void **state) {
  (void)state;
  for (uint32_t side = 1; side <= 5; ++side) {
    weft_product_options o =
        rig_gemm(WEFT_GEMM_CANNON, side, side, 3 * side + 1, 2 * side, 4 * side, WEFT_F32, WEFT_F32);
    o.host = true;
    (void)try_it(&o);
    o.published = true;
    (void)try_it(&o);
  }
}

static void shift(void **state) {
  (void)state;
  TRY(WEFT_GEMM_SHIFT, meshes, false);
}

static void streamed(void **state) {
  (void)state;
  static const shape shapes[] = {{1, 1, 3, 4, 5},   {2, 2, 4, 4, 4},    {3, 1, 5, 6, 10},    {1, 4, 8, 9, 3},
                                 {3, 5, 9, 21, 7},  {4, 4, 17, 30, 9},  {6, 2, 10, 5, 25},   {1, 5, 11, 7, 4},
                                 {3, 7, 10, 16, 8}, {8, 8, 19, 26, 21}, {16, 12, 25, 40, 35}};
  TRY(WEFT_GEMM_STREAMED, shapes, false);
}

static void transpose(void **state) {
  (void)state;
  static const shape oblong[] = {{2, 1, 3, 1, 4},     {1, 5, 11, 1, 8},  {5, 1, 11, 1, 8}, {3, 2, 7, 1, 9},
                                 {3, 7, 20, 1, 31},   {7, 3, 20, 1, 31}, {6, 4, 1, 1, 1},  {16, 12, 33, 1, 50},
                                 {12, 16, 33, 1, 50}, {4, 9, 5, 1, 40}};
  TRY(WEFT_TRANSPOSE, meshes, false);
  TRY(WEFT_TRANSPOSE, oblong, false);
}

static void what_cannot_be(void **state) {
  (void)state;
  weft_product p;
  weft_product_options o[] = {
      rig_gemm(WEFT_GEMM_CANNON, 3, 2, 4, 4, 4, WEFT_F32, WEFT_F32),
      rig_gemm(WEFT_GEMM_SUMMA, 0, 2, 4, 4, 4, WEFT_F32, WEFT_F32),
      rig_gemm(WEFT_GEMM_SUMMA, 2, 2, 4, 0, 4, WEFT_F32, WEFT_F32),
      rig_gemm(WEFT_GEMM_SUMMA, 2, 2, 4, 4, 4, WEFT_F32, WEFT_F16),
      rig_gemm(WEFT_GEMM_SUMMA, 2, 2, 4, 4, 4, WEFT_I32, WEFT_I32),
      rig_gemm(WEFT_GEMV_CORE, 2, 1, 4, 4, 1, WEFT_F32, WEFT_F32),
      rig_gemm(WEFT_GEMV_MESH, 2, 1, 4, 4, 2, WEFT_F32, WEFT_F32),
      rig_gemm(WEFT_TRANSPOSE, 2, 2, 4, 4, 4, WEFT_F16, WEFT_F32),
      rig_gemm(WEFT_GEMM_STREAMED, 1, 1, 1024, 128, 1, WEFT_F16, WEFT_F16),
  };
  for (size_t i = 0; i < sizeof o / sizeof *o; ++i) {
    weft_status status = weft_product_plan(&o[i], &p);
    assert_int_equal(weft_status_code(status), WEFT_INVALID);
    weft_status_free(status);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gemv_core), cmocka_unit_test(gemv_mesh),        cmocka_unit_test(summa),
      cmocka_unit_test(cannon),    cmocka_unit_test(cannon_with_host), cmocka_unit_test(shift),
      cmocka_unit_test(streamed),  cmocka_unit_test(transpose),        cmocka_unit_test(what_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
