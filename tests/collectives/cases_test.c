// Cases of area fabric as `weft validate` runs them: published rows that take little time, and subjects and inputs that
// the installed table does not have.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "plan/validate.h"

static const char header[] = "id,area,subject,inputs,quantity,expected,unit,tolerance_pct,role,evidence,source\n";

static weft_status run_rows(const char *rows, weft_validation *out) {
  char path[] = "/tmp/weft-cases-XXXXXX", text[8000];
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  int length = snprintf(text, sizeof text, "%s%s", header, rows);
  assert_true(length > 0 && (size_t)length < sizeof text);
  weft_status status = weft_file_write(path, text, (size_t)length);
  if (!status) status = weft_validation_run(path, "fabric", out);
  unlink(path);
  return status;
}

static void all_within(const char *rows, uint32_t count) {
  weft_validation v;
  weft_status status = run_rows(rows, &v);
  if (status) fail_msg("%s", weft_status_message(status));
  assert_int_equal(v.count, count);
  for (uint32_t i = 0; i < v.count; ++i)
    if (v.cases[i].verdict != WEFT_WITHIN)
      fail_msg("%s %s: %g, expected %g %s", v.cases[i].subject, v.cases[i].inputs, v.cases[i].predicted,
               v.cases[i].expected, v.cases[i].reason ? v.cases[i].reason : "");
  weft_validation_finish(&v);
}

static void published(void **state) {
  (void)state;
  all_within(
      "a,fabric,reduce/two_phase,machine=wse2;pes=512;words=64;group=28,cycles,925,cycle,1,predict,vendor-simulator,x\n"
      "b,fabric,broadcast/line,machine=wse2;pes=4;words=196,cycles,201,cycle,2,predict,vendor-simulator,x\n"
      "c,fabric,relay/store_and_forward,machine=wse3-vendor-sim;relays=2;words=64,cycles,176.8,cycle,1,predict,fit,x\n"
      "d,fabric,path/straight,machine=wse3;hops=8,cycles,56,cycle,0,predict,hardware,x\n"
      "e,fabric,reduce/star,machine=wse2;pes=512;words=1,cycles,516,cycle,0.2,predict,published-model,x\n"
      "f,fabric,reduce/chain,machine=wse2;pes=512;words=1,cycles,3067,cycle,0,predict,published-model,x\n"
      "g,fabric,reduce/tree,machine=wse2;pes=512;words=16,cycles,628.1,cycle,6,predict,published-model,x\n"
      "h,fabric,broadcast/line,machine=wse2;pes=512;words=128,cycles,644,cycle,0,predict,published-model,x\n"
      // The same kernel, timed by its authors.
      "i,fabric,reduce/chain,machine=wse2;pes=512;words=1,cycles,3123,cycle,0,predict,vendor-simulator,x\n",
      9);
}

static void others(void **state) {
  (void)state;
  all_within(
      "a,fabric,broadcast/2d,machine=wse2;mesh=30x20;words=50,cycles,103,cycle,0,predict,published-model,x\n"
      "b,fabric,reduce/2d,machine=wse2;mesh=30x20;words=50,cycles,388,cycle,1,predict,published-model,x\n"
      // 328 by formula, which has every leader wait for its whole group; the last leaders of both axes do not.
      "c,fabric,reduce/2d,machine=wse2;mesh=30x20;words=50;pattern=two_phase,cycles,309,cycle,1,predict,tree,x\n"
      "d,fabric,reduce/snake,machine=wse2;mesh=10x10;words=256,cycles,850,cycle,0,predict,published-model,x\n"
      "e,fabric,reduce/autogen,machine=wse2;pes=512;words=256,cycles,1163,cycle,3,predict,published-model,x\n"
      "f,fabric,allreduce/ring,machine=wse2;pes=4;words=256,cycles,424,cycle,3,predict,published-model,x\n"
      "g,fabric,allreduce/reduce_broadcast,machine=wse2;pes=64;words=256,cycles,958,cycle,1,predict,published-model,x\n"
      "h,fabric,allreduce/two_phase,machine=wse2;pes=64;words=256,cycles,969,cycle,2,predict,published-model,x\n"
      "i,fabric,path/turn,machine=wse3;hops=8,cycles,76,cycle,0,predict,hardware,x\n"
      "j,fabric,reduce/chain,machine=wse2;pes=16;words=256;dtype=f16,cycles,346,cycle,0,predict,published-model,x\n"
      "k,fabric,reduce_2d/xy-chain,machine=wse2;mesh=30x20;words=50,cycles,388,cycle,1,predict,published-model,x\n"
      "l,fabric,all-reduce_ring,machine=wse2;pes=4;words=256,cycles,424,cycle,3,predict,published-model,x\n",
      12);
}

static void must_fail(const char *row, const char *text) {
  weft_validation v;
  weft_status status = run_rows(row, &v);
  if (status) fail_msg("%s", weft_status_message(status));
  assert_int_equal(v.not_understood, 1);
  if (!strstr(v.cases[0].reason, text)) fail_msg("\"%s\" lacks \"%s\"", v.cases[0].reason, text);
  weft_validation_finish(&v);
}

static void wrong(void **state) {
  (void)state;
  must_fail("a,fabric,broadcast/2d,machine=wse2;mesh=30;words=5,cycles,1,cycle,1,predict,x,x\n", "columns x rows");
  must_fail("a,fabric,reduce/chain,machine=wse2;pes=3,cycles,1,cycle,1,predict,x,x\n", "words");
  must_fail("a,fabric,reduce/2d,machine=wse2;pes=3;words=5,cycles,1,cycle,1,predict,x,x\n", "mesh");
  // Too large for the memory of a core: no prediction, and it says why.
  weft_validation v;
  weft_status status =
      run_rows("a,fabric,reduce/chain,machine=wse2;pes=3;words=20000,cycles,1,cycle,1,predict,x,x\n", &v);
  if (status) fail_msg("%s", weft_status_message(status));
  assert_int_equal(v.not_covered, 1);
  assert_non_null(v.cases[0].reason);
  weft_validation_finish(&v);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(published), cmocka_unit_test(others), cmocka_unit_test(wrong)};
  return cmocka_run_group_tests_name("collectives cases", tests, NULL, NULL);
}
