// Tables that somebody has typed wrong: small cases with a few bytes changed. Every row gets a verdict, the counts add
// up, nothing crashes and nothing takes long, since what a case may take is bounded.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "plan/validate.h"
#include "tests/models/test.h"

static const char header[] = "id,area,subject,inputs,quantity,expected,unit,tolerance_pct,role,evidence,source\n";
static const char *const good[] = {
    "fabric,reduce/chain,machine=wse2;pes=4;words=25,cycles,274,cycle,8,predict,published-model,x",
    "fabric,reduce/two_phase,machine=wse3;pes=12;words=9;group=4;dtype=f16,cycles,9,cycle,3,predict,vendor-simulator,x",
    "fabric,allreduce/ring,machine=wse2;pes=5;words=7,time,1,us,3,predict,hardware,x",
    "fabric,broadcast/2d,machine=wse2;mesh=4x3;words=8,cycles,1,kcycle,3,predict,hardware,x",
    "fabric,reduce/autogen,machine=wse2;pes=9;elements=8;root=2,cycles,1,cycle,3,predict,hardware,x",
    "fabric,path/turn,machine=wse3;hops=7;turns=2,cycles,1,cycle,3,predict,hardware,x",
    "fabric,relay/store_and_forward,machine=wse3-vendor-sim;relays=2;words=6,cycles,1,cycle,3,predict,hardware,x",
    "core,gemv/one_pe,machine=wse2;n=25;dtype=f32,cycles,772.0,cycle,1.5,calibrate,vendor-simulator,\"y, z\"",
    "core,vector/fma,machine=wse2@1.1GHz;n=32;dtype=bf16;form=map;tile=8,time,772.0,ns,1.5,predict,hardware,x",
    "gemm,summa,machine=wse2;mesh=2x3;tile=4;dtype=f16,rate,1,GFLOP/s,8,predict,hardware,x",
    "gemm,cannon,machine=wse2;mesh=2x2;n=8;host_io=h2d+d2h,cycles,1,cycle,8,predict,hardware,x",
    "gemm,gemv/mesh,machine=wse2;mesh=4x2;m=8;k=9;group=2,cycles,1,cycle,8,predict,hardware,x",
    "gemm,gemm/streamed,machine=wse2;mesh=2x2;m=4;k=5;n=6,cycles,1,cycle,8,predict,hardware,x"};
enum { GOOD = sizeof good / sizeof *good, ROUNDS = 40 };

static uint64_t below(uint64_t *index, uint64_t count) { return weft_random_bits(20, 0, (*index)++) % count; }

// One to three bytes of a row become others that such rows are made of.
static void spoil(uint64_t *index, char *row) {
  static const char bytes[] = "0123456789=;,.x/_- \"@abekmnw+%\t";
  for (uint64_t times = 1 + below(index, 3); times > 0; --times)
    row[below(index, strlen(row))] = bytes[below(index, sizeof bytes - 1)];
}

static void run_table(const char *table, weft_status *out_status, weft_validation *out_v) {
  char path[] = "/tmp/weft-mutation-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  assert_ok(weft_file_write(path, table, strlen(table)));
  weft_validation_limits limits = {.most_hops = 1e5, .most_bytes = 1 << 26, .threads = 1};
  *out_status = weft_validation_run_within(path, NULL, &limits, out_v);
  unlink(path);
}

static void mutations(void **state) {
  (void)state;
  uint64_t index = 0;
  uint32_t predicted_rows = 0, wrong_rows = 0;
  for (uint32_t round = 0; round < ROUNDS; ++round) {
    char table[8000], row[300];
    size_t length = (size_t)snprintf(table, sizeof table, "%s", header);
    for (uint32_t i = 0; i < GOOD; ++i) {
      (void)snprintf(row, sizeof row, "%s", good[i]);
      if (round) spoil(&index, row);
      length += (size_t)snprintf(table + length, sizeof table - length, "r%u,%s\n", i, row);
    }
    weft_status status;
    weft_validation v;
    run_table(table, &status, &v);
    assert_ok(status);
    assert_int_equal(v.count, GOOD);
    assert_int_equal(v.within + v.beyond + v.on_trial + v.not_covered + v.not_understood, v.count);
    for (uint32_t i = 0; i < v.count; ++i) {
      bool predicted = v.cases[i].verdict < WEFT_NOT_COVERED;
      assert_int_equal(predicted, v.cases[i].reason == NULL);
      if (predicted) assert_true(v.cases[i].predicted >= 0);
    }
    for (uint32_t i = 0; !round && i < v.count; ++i)
      if (v.cases[i].reason) fail_msg("%s", v.cases[i].reason);
    predicted_rows += v.within + v.beyond;
    wrong_rows += v.not_understood;
    weft_validation_finish(&v);
  }
  if (predicted_rows < 3 * GOOD || wrong_rows < 5 * GOOD)
    fail_msg("%u rows predicted, %u not understood", predicted_rows, wrong_rows);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutations)};
  return cmocka_run_group_tests_name("tables with mistakes", tests, NULL, NULL);
}
