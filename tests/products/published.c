// Published cycles of one core and of products: the bars; and subjects that the table does not have.
#include "plan/validate.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/models/test.h"

static void mean_errors(void **state) {
  (void)state;
  char *path;
  assert_ok(weft_data_path("plan/cases.csv", &path));
  weft_validation v;
  weft_validation_limits limits = weft_validation_limits_default();
  limits.most_hops = 5e7;  // the others are continued
  assert_ok(weft_validation_run_within(path, "core,gemm", &limits, &v));
  double core = 0, gemm = 0;
  uint32_t cores = 0, gemms = 0;
  for (uint32_t i = 0; i < v.count; ++i) {
    bool is_core = strcmp(v.cases[i].area, "core") == 0;
    *(is_core ? &core : &gemm) += fabs(v.cases[i].error_percent);
    ++*(is_core ? &cores : &gemms);
  }
  assert_int_equal(cores, 8);
  assert_int_equal(gemms, 46);
  assert_int_equal(v.within, 54);
  assert_true(core / cores <= 1.5);
  assert_true(gemm / gemms <= 8);
  weft_validation_finish(&v);
  free(path);
}

static void other_subjects(void **state) {
  (void)state;
  static const char table[] =
      "id,area,subject,inputs,quantity,expected,unit,tolerance_pct,role,evidence,source\n"
      "c1,gemm,shift,machine=wse2;mesh=40x40;tile=8;dtype=f16,cycles,1,cycle,1,predict,none,none\n"
      "c2,gemm,gemv/mesh,machine=wse2@1.1GHz;mesh=64x64;n=512;dtype=f16,cycles,1,cycle,1,predict,none,none\n"
      "c3,gemm,cannon,machine=wse2;mesh=9x9;n=27;dtype=f32;host_io=none,cycles,1,cycle,1,predict,none,none\n"
      "c4,gemm,summa,machine=wse2;mesh=3x5;tile=4;dtype=f32,cycles,1,cycle,1,predict,none,none\n"
      "c5,gemm,summa,machine=wse2;mesh=7x7;tile=200;dtype=f32,cycles,1,cycle,1,predict,none,none\n"
      "c6,gemm,summa,machine=wse2;mesh=99x66;tile=4;dtype=f32,cycles,1,cycle,1,predict,none,none\n"
      "c7,gemm,gemm/streamed,machine=wse2;mesh=4x6;m=12;k=12;n=8;dtype=f16,cycles,1,cycle,1,predict,none,none\n"
      "c8,gemm,transpose,machine=wse2;mesh=5x5;n=33;dtype=f16,cycles,1,cycle,1,predict,none,none\n"
      "c9,gemm,meshgemm,machine=wse2;mesh=6x6;tile=8;dtype=f16,rate,1,GFLOP/s,1,predict,none,none\n";
  char path[] = "/tmp/weft_products_XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(write(file, table, sizeof table - 1), sizeof table - 1);
  close(file);
  weft_validation v;
  weft_validation_limits limits = weft_validation_limits_default();
  limits.most_hops = 3e7;
  assert_ok(weft_validation_run_within(path, NULL, &limits, &v));
  assert_int_equal(v.count, 9);
  for (uint32_t i = 0; i < 8; ++i) {
    const weft_case *c = &v.cases[i];
    if (i == 4) continue;
    if (c->reason) fail_msg("%s", c->reason);
    assert_true(c->predicted > 100);
    assert_int_equal(c->method, i == 0 || i == 5 ? WEFT_BY_CONTINUATION : WEFT_BY_EXECUTION);
  }
  assert_int_equal(v.cases[4].verdict, WEFT_NOT_COVERED);  // does not fit a core
  // 48 cubed multiply-adds on 36 cores of 850 MHz, 4 per cycle at most.
  assert_true(v.cases[8].predicted > 36 && v.cases[8].predicted < 36 * 2 * 4 * 0.85);
  weft_validation_finish(&v);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(mean_errors), cmocka_unit_test(other_subjects)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
