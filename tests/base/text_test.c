#include "base/text.h"

#include "tests/base/test.h"

static void nearest_word(void **state) {
  (void)state;
  static const char *const known[] = {"n_layer", "n_head", "n_embd", "vocab_size"};
  assert_string_equal(weft_nearest("n_layers", known, 4), "n_layer");
  assert_string_equal(weft_nearest("N_EMBED", known, 4), "n_embd");
  assert_string_equal(weft_nearest("vocabsize", known, 4), "vocab_size");
  assert_string_equal(weft_nearest("", known, 4), "n_head");
  assert_null(weft_nearest("x", known, 0));
  static const char *const tied[] = {"abd", "abe"};
  assert_string_equal(weft_nearest("abc", tied, 2), "abd");
}

static void hash_is_xxh3(void **state) {
  (void)state;
  assert_true(weft_hash_bytes("", 0) == 0x2d06800538d394c2u);  // xxhsum -H3 of the same bytes
  assert_true(weft_hash_bytes("weft", 4) == 0x15d05235f1304082u);
}

static void check(char *text, const char *expected) { assert_string_equal(text, expected); }

static void quantities(void **state) {
  (void)state;
  char out[32];
  check(weft_text_bytes(0, out), "0 B");
  check(weft_text_bytes(12, out), "12 B");
  check(weft_text_bytes(820.0 * 1024, out), "820 KiB");
  check(weft_text_bytes(1.5 * 1024 * 1024 * 1024, out), "1.5 GiB");
  check(weft_text_si(1.23e9, "B/s", out), "1.23 GB/s");
  check(weft_text_si(450e6, "", out), "450 M");
  check(weft_text_si(999, "token/s", out), "999 token/s");
  check(weft_text_seconds(1.234e-3, out), "1.234 ms");
  check(weft_text_seconds(56.7e-6, out), "56.7 us");
  check(weft_text_seconds(5e-9, out), "5 ns");
  check(weft_text_seconds(2.5, out), "2.5 s");
  check(weft_text_seconds(200, out), "3.333 min");
  check(weft_text_seconds(4.2 * 86400, out), "4.2 days");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nearest_word),
      cmocka_unit_test(hash_is_xxh3),
      cmocka_unit_test(quantities),
  };
  return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
