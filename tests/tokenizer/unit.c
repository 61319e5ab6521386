// The parts below the door: patterns, tables, UTF-8, the priority queue; and the tokenizer of bytes.
#include "tests/tokenizer/test.h"

#include "models/tokenizer_internal.h"

static weft_status collect(void *context, const char *span, size_t bytes, bool matched) {
  char *out = context;
  size_t used = strlen(out);
  snprintf(out + used, 400 - used, matched ? "[%.*s]" : "%.*s/", (int)bytes, span);
  return NULL;
}

static void expect_split(const char *pattern, bool literal, const char *text, const char *expected) {
  weft_pattern *compiled;
  weft_status status = weft_pattern_compile(pattern, literal, "test", &compiled);
  if (status) fail_msg("%s", weft_status_message(status));
  void *scratch = weft_pattern_scratch();
  char out[400] = "";
  assert_null(weft_pattern_split(compiled, scratch, text, strlen(text), collect, out));
  assert_string_equal(out, expected);
  weft_pattern_scratch_free(scratch);
  weft_pattern_destroy(compiled);
}

static void patterns_cut(void **state) {
  (void)state;
  expect_split("\\s+(?!\\S)|\\s+", false, "a  b ", "a/[ ][ ]b/[ ]");
  expect_split("[^\\s\\p{L}]+", false, "a12 b", "a/[12] b/");
  expect_split("b*", false, "abbc", "a/[bb]c/");
  expect_split("^x|y$", false, "xy\nxy", "[x][y]\n/[x][y]");
  expect_split("a.", true, "aba.b", "ab/[a.]b/");
  expect_split("a", false, "", "");
  expect_split("[]a]", false, "b]a", "b/[]][a]");
}

// Hugging Face's \s is Unicode's White_Space: U+0085 and U+3000 are, U+180E (since Unicode 6.3), U+200B and U+001F are
// not.
static void white_space_is_unicode(void **state) {
  (void)state;
  expect_split("\\s", false, "\xc2\x85x\xe1\xa0\x8ey\xe3\x80\x80", "[\xc2\x85]x\xe1\xa0\x8ey/[\xe3\x80\x80]");
  expect_split("\\S+", false, "\xe1\xa0\x8e\xe2\x80\x8b\x1f \x0b", "[\xe1\xa0\x8e\xe2\x80\x8b\x1f] \x0b/");
  assert_true(weft_is_white_space(0x85) && weft_is_white_space(0x2028) && weft_is_white_space(' '));
  assert_false(weft_is_white_space(0x180e) || weft_is_white_space(0x1f) || weft_is_white_space(0x200b));
}

// U+017F folds to s, U+212A to k.
static void case_folds_as_unicode(void **state) {
  (void)state;
  expect_split("(?i:'s|'ll)", false, "'S'\xc5\xbf'Ll", "['S]['\xc5\xbf]['Ll]");
  expect_split("(?i:k)", false, "\xe2\x84\xaak", "[\xe2\x84\xaa][k]");
}

static void invalid_utf8_is_cut_out(void **state) {
  (void)state;
  expect_split("[a-z]+", false,
               "ab\xff\xfe"
               "cd\xe2\x82",
               "[ab]\xff\xfe/[cd]\xe2\x82/");
  expect_split("\\s+(?!\\S)|\\s+", false, "  \xff", "[  ]\xff/");
}

static void patterns_refused(void **state) {
  (void)state;
  weft_pattern *pattern;
  expect_failure(weft_pattern_compile("\\w+", false, "here", &pattern), WEFT_INVALID, "here: \\w at character 0");
  expect_failure(weft_pattern_compile("a\\h", false, "here", &pattern), WEFT_INVALID, "\\h at character 1");
  expect_failure(weft_pattern_compile("[a[b]]", false, "here", &pattern), WEFT_INVALID, "within a character class");
  expect_failure(weft_pattern_compile("[a&&b]", false, "here", &pattern), WEFT_INVALID, "\"&&\" within");
  expect_failure(weft_pattern_compile("(a", false, "here", &pattern), WEFT_INVALID,
                 "character 2: missing closing parenthesis");
  expect_failure(weft_pattern_compile("a\\", false, "here", &pattern), WEFT_INVALID, "lone backslash");
  expect_failure(weft_pattern_compile("", false, "here", &pattern), WEFT_INVALID, "empty");
}

static void utf8_is_strict(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t length;
    uint32_t character;
  } cases[] = {{"a", 1, 'a'},
               {"\xc3\xa9", 2, 0xe9},
               {"\xe2\x82\xac", 3, 0x20ac},
               {"\xf0\x9f\x99\x82", 4, 0x1f642},
               {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
               {"\xc0\x80", 0, 0},
               {"\xe0\x80\x80", 0, 0},
               {"\xed\xa0\x80", 0, 0},
               {"\xf4\x90\x80\x80", 0, 0},
               {"\xf0\x80\x80\x80", 0, 0},
               {"\x80", 0, 0},
               {"\xe2\x82", 0, 0},
               {"\xff", 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    uint32_t character = 0;
    assert_int_equal(weft_utf8_read(cases[i].text, strlen(cases[i].text), &character), cases[i].length);
    assert_int_equal(character, cases[i].character);
  }
}

static void tables_hold_many(void **state) {
  (void)state;
  enum { MANY = 5000 };
  weft_token_table tokens = {0};
  weft_merge_table merges = {0};
  static char texts[MANY][12];
  assert_int_equal(weft_token_table_find(&tokens, "0", 1), -1);
  assert_null(weft_merge_table_find(&merges, 0, 0));
  for (int i = 0; i < MANY; ++i) {
    snprintf(texts[i], sizeof texts[i], "%d", i);
    assert_int_equal(weft_token_table_put(&tokens, (weft_piece){texts[i], (uint32_t)strlen(texts[i])}, i), -1);
    weft_merge_table_put(&merges, i, MANY - i, (uint32_t)i, 2 * i);
  }
  assert_int_equal(weft_token_table_put(&tokens, (weft_piece){"17", 2}, 9), 17);
  weft_merge_table_put(&merges, 7, MANY - 7, 1, 3);
  for (int i = 0; i < MANY; ++i) {
    assert_int_equal(weft_token_table_find(&tokens, texts[i], strlen(texts[i])), i);
    const weft_merge_rule *rule = weft_merge_table_find(&merges, i, MANY - i);
    assert_non_null(rule);
    assert_int_equal(rule->id, i == 7 ? 3 : 2 * i);
  }
  assert_int_equal(weft_token_table_find(&tokens, "5000", 4), -1);
  assert_null(weft_merge_table_find(&merges, MANY, 0));
  weft_token_table_finish(&tokens);
  weft_merge_table_finish(&merges);
}

static void longest_literal_wins(void **state) {
  (void)state;
  weft_literals literals = {0};
  static const char *const texts[] = {"<a>", "<a><b>", "<", "x", ""};
  for (int i = 0; i < 5; ++i)
    weft_literals_add(&literals, (weft_literal){.piece = {texts[i], (uint32_t)strlen(texts[i])}, .id = i});
  weft_literals_sort(&literals);
  assert_int_equal(literals.count, 4);
  assert_int_equal(weft_literals_match(&literals, "<a><b>", 6)->id, 1);
  assert_int_equal(weft_literals_match(&literals, "<a><b", 5)->id, 0);
  assert_int_equal(weft_literals_match(&literals, "<b", 2)->id, 2);
  assert_null(weft_literals_match(&literals, "a", 1));
  assert_null(weft_literals_match(&literals, "", 0));
  weft_literals_finish(&literals);
}

// Two become one while they fit into 4; shorter first.
static bool join_to_four(void *context, const weft_symbol *left, const weft_symbol *right, uint32_t *out_priority,
                         int32_t *out_id) {
  (void)context;
  *out_priority = left->length + right->length;
  *out_id = (int32_t)*out_priority;
  return *out_priority <= 4;
}

static void merging_takes_smallest_then_leftmost(void **state) {
  (void)state;
  weft_merger merger = {0};
  weft_merger_start(&merger, 8);
  for (uint32_t i = 0; i < 8; ++i) weft_merger_add(&merger, i, 1, 1, i == 6);
  weft_merger_run(&merger, join_to_four, NULL);
  char lengths[32] = "";
  for (int32_t at = 0; at >= 0; at = merger.symbols[at].next)
    snprintf(lengths + strlen(lengths), 8, "%u ", merger.symbols[at].length);
  assert_string_equal(lengths, "4 2 1 1 ");
  weft_merger_finish(&merger);
}

static void bytes_are_ids(void **state) {
  (void)state;
  weft_tokenizer *tokenizer = open_tokenizer("bytes");
  assert_string_equal(weft_tokenizer_kind(tokenizer), "bytes");
  assert_int_equal(weft_tokenizer_vocabulary(tokenizer), 256);
  assert_int_equal(weft_tokenizer_bos(tokenizer), -1);
  assert_false(weft_tokenizer_adds_bos(tokenizer));
  int32_t *ids;
  size_t count, bytes;
  char *text;
  assert_null(weft_tokenizer_encode(tokenizer, "a\0\xff", 3, &ids, &count));
  assert_int_equal(count, 3);
  assert_true(ids[0] == 97 && ids[1] == 0 && ids[2] == 255);
  assert_null(weft_tokenizer_decode(tokenizer, ids, count, &text, &bytes));
  assert_int_equal(bytes, 3);
  assert_memory_equal(text, "a\0\xff", 4);
  free(text);
  ids[1] = 256;
  expect_failure(weft_tokenizer_decode(tokenizer, ids, count, &text, &bytes), WEFT_INVALID, "id 256 (number 1)");
  ids[1] = -1;
  expect_failure(weft_tokenizer_decode(tokenizer, ids, count, &text, &bytes), WEFT_INVALID, "id -1 (number 1)");
  free(ids);
  assert_null(weft_tokenizer_encode(tokenizer, "", 0, &ids, &count));
  assert_int_equal(count, 0);
  assert_non_null(ids);
  free(ids);
  weft_tokenizer_close(tokenizer);
  weft_tokenizer_close(NULL);
}

static void missing_files_are_explained(void **state) {
  (void)state;
  weft_tokenizer *tokenizer = NULL;
  expect_failure(weft_tokenizer_open("byte", &tokenizer), WEFT_INVALID, "no such file or folder");
  expect_failure(weft_tokenizer_open("/nowhere/tokenizer.json", &tokenizer), WEFT_INVALID, "/nowhere/tokenizer.json");
  expect_failure(weft_tokenizer_open(WEFT_TESTS "/tokenizer/unit.c", &tokenizer), WEFT_INVALID,
                 "neither .json nor .gguf");
  assert_null(tokenizer);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(patterns_cut),
                                     cmocka_unit_test(white_space_is_unicode),
                                     cmocka_unit_test(case_folds_as_unicode),
                                     cmocka_unit_test(invalid_utf8_is_cut_out),
                                     cmocka_unit_test(patterns_refused),
                                     cmocka_unit_test(utf8_is_strict),
                                     cmocka_unit_test(tables_hold_many),
                                     cmocka_unit_test(longest_literal_wins),
                                     cmocka_unit_test(merging_takes_smallest_then_leftmost),
                                     cmocka_unit_test(bytes_are_ids),
                                     cmocka_unit_test(missing_files_are_explained)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
