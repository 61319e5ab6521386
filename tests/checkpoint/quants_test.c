// Every format of GGUF against what an independent implementation (gguf-py) says that the same bytes mean, bit by bit.
#include "tests/checkpoint/test.h"

static void every_format_is_exact(void **state) {
  (void)state;
  weft_checkpoint *gguf, *meaning;
  assert_ok(weft_checkpoint_open(WEFT_TESTS "/golden/gguf/quants.gguf", &gguf));
  assert_ok(weft_checkpoint_open(WEFT_TESTS "/golden/gguf/quants.safetensors", &meaning));
  assert_string_equal(weft_checkpoint_format(gguf), "gguf v3");
  assert_int_equal(weft_checkpoint_count(gguf), 11);
  bool seen[WEFT_DTYPE_COUNT] = {false};
  for (uint32_t i = 0; i < weft_checkpoint_count(gguf); ++i) {
    weft_stored_tensor stored = weft_checkpoint_tensor(gguf, i), expected;
    assert_ok(weft_checkpoint_find(meaning, stored.name, &expected));
    assert_int_equal(expected.dtype, WEFT_F32);
    assert_int_equal(stored.rank, expected.rank);
    uint64_t count = 1;
    for (uint32_t d = 0; d < stored.rank; ++d) {
      assert_int_equal(stored.shape[d], expected.shape[d]);
      count *= stored.shape[d];
    }
    float *values = weft_allocate_array(count, sizeof *values);
    weft_checkpoint_convert(&stored, 0, WEFT_F32, values);
    const uint8_t *truth = expected.data;
    for (uint64_t k = 0; k < count; ++k)
      if (memcmp(&values[k], truth + 4 * k, 4) != 0)
        fail_msg("%s (%s): element %lu is %a", stored.name, weft_dtype_name(stored.dtype), (unsigned long)k,
                 (double)values[k]);
    free(values);
    seen[stored.dtype] = true;
  }
  static const weft_dtype all[] = {WEFT_F32,  WEFT_F16,  WEFT_BF16, WEFT_Q8_0, WEFT_Q4_0, WEFT_Q4_1,
                                   WEFT_Q5_0, WEFT_Q5_1, WEFT_Q4_K, WEFT_Q5_K, WEFT_Q6_K};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) assert_true(seen[all[i]]);
  weft_checkpoint_close(gguf);
  weft_checkpoint_close(meaning);
}

// Conversion to 16 bits goes through f32 by pieces; the pieces must not show.
static void conversion_to_16_bits(void **state) {
  (void)state;
  weft_checkpoint *gguf;
  assert_ok(weft_checkpoint_open(WEFT_TESTS "/golden/gguf/quants.gguf", &gguf));
  for (uint32_t i = 0; i < weft_checkpoint_count(gguf); ++i) {
    weft_stored_tensor stored = weft_checkpoint_tensor(gguf, i);
    uint64_t count = stored.shape[0] * stored.shape[1];
    float *wide = weft_allocate_array(count, sizeof *wide);
    uint16_t *narrow = weft_allocate_array(count + 1, 2), *expected = weft_allocate_array(count, 2);
    weft_checkpoint_convert(&stored, 0, WEFT_F32, wide);
    for (int d = WEFT_F16; d <= WEFT_BF16; ++d) {
      weft_dtype_from_f32((weft_dtype)d, wide, expected, count);
      narrow[count] = 0xabcd;
      weft_checkpoint_convert(&stored, 0, (weft_dtype)d, narrow);
      assert_memory_equal(narrow, expected, 2 * count);
      assert_int_equal(narrow[count], 0xabcd);
    }
    free(wide);
    free(narrow);
    free(expected);
  }
  weft_checkpoint_close(gguf);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_format_is_exact), cmocka_unit_test(conversion_to_16_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
