// Slow: a product on 64x64 cores, executed whole and continued from small meshes as predictions are.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <math.h>

#include "rig.h"

static rig_result summa(uint32_t side, uint32_t tile) {
  uint32_t n = side * tile;
  weft_product_options o = rig_gemm(WEFT_GEMM_SUMMA, side, side, n, n, n, WEFT_F32, WEFT_F32);
  o.published = true;
  o.setup = 302;
  return rig_run(&o, "wse2", 2, 0);
}

static void whole_and_continued(void **state) {
  (void)state;
  double before = (double)summa(18, 4).report.cycles, last = (double)summa(20, 4).report.cycles;
  rig_result whole = summa(64, 4);
  double continued = last + (last - before) * 22;
  print_message("continued %.0f, executed %llu cycles\n", continued, (unsigned long long)whole.report.cycles);
  assert_true(whole.worst < 1e-6);
  assert_true(fabs(continued - (double)whole.report.cycles) <= 0.002 * continued);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whole_and_continued)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
