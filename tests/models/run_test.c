// Runs: names, defaults and what contradicts.
#include "models/run.h"

#include "tests/models/test.h"

static weft_network network(void) {
  weft_network n;
  assert_ok(weft_network_read("cerebras-gpt-111m", &n));
  return n;
}

static void defaults(void **state) {
  (void)state;
  weft_run run = weft_run_default();
  weft_network n = network();
  assert_int_equal(run.mode, WEFT_TRAIN);
  assert_int_equal(run.dtype, WEFT_BF16);
  assert_int_equal(run.seed, 1);
  assert_ok(weft_run_check(&run, &n));
}

static void names(void **state) {
  (void)state;
  for (int i = 0; i < WEFT_MODE_COUNT; ++i) {
    weft_mode mode = WEFT_MODE_COUNT;
    assert_ok(weft_mode_parse(weft_mode_name((weft_mode)i), &mode));
    assert_int_equal(mode, i);
  }
  for (int i = 0; i < WEFT_OPTIMIZER_COUNT; ++i) {
    weft_optimizer optimizer = WEFT_OPTIMIZER_COUNT;
    assert_ok(weft_optimizer_parse(weft_optimizer_name((weft_optimizer)i), &optimizer));
    assert_int_equal(optimizer, i);
  }
  for (int i = 0; i < WEFT_RECOMPUTE_COUNT; ++i) {
    weft_recompute recompute = WEFT_RECOMPUTE_COUNT;
    assert_ok(weft_recompute_parse(weft_recompute_name((weft_recompute)i), &recompute));
    assert_int_equal(recompute, i);
  }
  weft_mode mode;
  weft_optimizer optimizer;
  assert_refused(weft_mode_parse("trian", &mode), "\"trian\"", "\"train\"");
  assert_refused(weft_optimizer_parse("adam", &optimizer), "\"adam\"", "\"adamw\"");
}

static void refuse(weft_run run, const char *first, const char *second) {
  weft_network n = network();
  assert_refused(weft_run_check(&run, &n), first, second);
}

static void contradictions(void **state) {
  (void)state;
  weft_run run = weft_run_default();
  run.batch = 0;
  refuse(run, "batch 0", "1 to");
  run = weft_run_default(), run.batch = 10, run.systems = 4;
  refuse(run, "batch 10", "12 would");
  run = weft_run_default(), run.batch = 8, run.systems = 2, run.micro_batch = 3;
  refuse(run, "micro-batch 3", "4 sequences");
  run = weft_run_default(), run.sequence = 2049;
  refuse(run, "2049", "2048 positions");
  run = weft_run_default(), run.context = 10;
  refuse(run, "context 10", "KV cache");
  run = weft_run_default(), run.mode = WEFT_PREFILL, run.sequence = 20, run.context = 10;
  refuse(run, "context 10", "20 tokens");
  run = weft_run_default(), run.mode = WEFT_DECODE, run.sequence = 20, run.context = 10;
  refuse(run, "context 10", "must agree");
  run = weft_run_default(), run.dtype = WEFT_Q8_0;
  refuse(run, "q8_0", "f32, f16 or bf16");
  run = weft_run_default(), run.mode = WEFT_PREFILL, run.systems = 2, run.batch = 2;
  refuse(run, "2 systems", "only training");
  run = weft_run_default(), run.all_logits = true;
  refuse(run, "every position", "prefill");
  run = weft_run_default(), run.mode = (weft_mode)7;
  refuse(run, "mode 7", "none that Weft knows");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(defaults), cmocka_unit_test(names),
                                     cmocka_unit_test(contradictions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
