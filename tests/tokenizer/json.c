// tokenizer.json: what its parts do, on a vocabulary small enough to follow by hand, and what is refused with which
// words.
#include "tests/tokenizer/test.h"

#include "models/tokenizer_internal.h"

static json_t *load_small(void) {
  json_t *root = json_load_file(TOKENIZER_SMALL, 0, NULL);
  assert_non_null(root);
  return root;
}

// The value at "a.b.0.c"; a part that is all digits is an index.
static json_t *at(json_t *root, const char *path) {
  char *copy = weft_copy_text(path), *rest = copy, *part;
  while (root && (part = strsep(&rest, ".")) != NULL)
    root = json_is_array(root) ? json_array_get(root, (size_t)atoi(part)) : json_object_get(root, part);
  free(copy);
  return root;
}

static weft_tokenizer *from(json_t *root) {
  weft_tokenizer *tokenizer = NULL;
  weft_status status = weft_tokenizer_from_json(root, "t.json", NULL, &tokenizer);
  if (status) fail_msg("%s", weft_status_message(status));
  json_decref(root);
  return tokenizer;
}

// small.json with the object at `path` given `key` as `value`, which is JSON or NULL to delete it.
static json_t *changed(const char *path, const char *key, const char *value) {
  json_t *root = load_small(), *object = *path ? at(root, path) : root;
  assert_true(json_is_object(object));
  if (value) {
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(parsed);
    json_object_set_new(object, key, parsed);
  } else {
    json_object_del(object, key);
  }
  return root;
}

static void small_merges(void **state) {
  (void)state;
  weft_tokenizer *t = open_tokenizer(TOKENIZER_SMALL);
  assert_string_equal(weft_tokenizer_kind(t), "byte-level bpe");
  EXPECT(t, "", "");
  EXPECT(t, "hell", "hell|");
  EXPECT(t, "he wo", "he| wo|");
  EXPECT(t, "1212", "1|2|1|2|");
  EXPECT(t, "a\r\nb", "a|\r|\n|b|");
  EXPECT(t, "\xc3\xa9\xfe", "\xc3|\xa9|\xfe|");
  weft_tokenizer_close(t);
}

static void specials_are_recognised(void **state) {
  (void)state;
  weft_tokenizer *t = open_tokenizer(TOKENIZER_SMALL);
  EXPECT(t, "a<s>b", "a|<s>|b|");
  EXPECT(t, "<|a|><|b|><|a|>", "<|a|><|b|>|<|a|>|");
  EXPECT(t, "<|a|", "<|||a|||");
  // lstrip and rstrip swallow white space of any kind; "lo" is looked for after the others.
  EXPECT(t, "a \xe3\x80\x80<left> b", "a|<left>| |b|");
  EXPECT(t, "a <right>\n\t b", "a| |<right>|b|");
  EXPECT(t, "hello", "he|l|lo|");
  weft_tokenizer_close(t);
}

static void unknown_bytes(void **state) {
  (void)state;
  weft_tokenizer *t = open_tokenizer(TOKENIZER_SMALL);
  expect_pieces(t, "a\0\1b\xff", 5, "a|<unk>|<unk>|b|<unk>|");
  weft_tokenizer_close(t);
  t = from(changed("model", "fuse_unk", "true"));
  expect_pieces(t, "a\0\1b\xff", 5, "a|<unk>|b|<unk>|");
  weft_tokenizer_close(t);
  t = from(changed("model", "unk_token", NULL));
  int32_t *ids;
  size_t count;
  expect_failure(weft_tokenizer_encode(t, "a\1", 2, &ids, &count), WEFT_INVALID, "no token for byte 0x01");
  weft_tokenizer_close(t);
}

static void pre_tokenizers_differ(void **state) {
  (void)state;
  weft_tokenizer *t =
      from(changed("", "pre_tokenizer", "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}"));
  EXPECT(t, "wo<s>wo wo 12", " wo|<s>| wo| wo| |12|");
  weft_tokenizer_close(t);
  t = from(changed("", "pre_tokenizer", "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"));
  EXPECT(t, "h e12wo", "h| |e|12|w|o|");
  weft_tokenizer_close(t);
  t = from(changed("pre_tokenizer.pretokenizers.0", "behavior", "\"Removed\""));
  EXPECT(t, "a\n\nb", "a|b|");
  weft_tokenizer_close(t);
  t = from(changed("pre_tokenizer.pretokenizers.1", "individual_digits", "false"));
  EXPECT(t, "a12b", "a|12|b|");
  weft_tokenizer_close(t);
}

static void whole_words_go_first(void **state) {
  (void)state;
  json_t *root = changed("model", "ignore_merges", "true");
  json_object_set_new(at(root, "model.vocab"), "whole", json_integer(300));
  weft_tokenizer *t = from(root);
  assert_int_equal(weft_tokenizer_vocabulary(t), 301);
  EXPECT(t, "whole", "whole|");
  size_t bytes;
  (void)weft_tokenizer_piece(t, 299, &bytes);
  assert_int_equal(bytes, 0);
  weft_tokenizer_close(t);
}

static void bos_comes_from_the_template(void **state) {
  (void)state;
  weft_tokenizer *t = open_tokenizer(TOKENIZER_SMALL);
  assert_int_equal(weft_tokenizer_bos(t), 1);
  assert_true(weft_tokenizer_adds_bos(t));
  weft_tokenizer_close(t);
  t = from(changed("", "post_processor", NULL));
  assert_int_equal(weft_tokenizer_bos(t), -1);
  assert_false(weft_tokenizer_adds_bos(t));
  weft_tokenizer_close(t);
}

static void wrong_files_are_explained(void **state) {
  (void)state;
  static const struct {
    const char *path, *key, *value, *message;
  } cases[] = {
      {"", "normalizer", "{\"type\":\"NFC\"}", "normalizer: type \"NFC\" is not supported"},
      {"", "modell", "1", "modell: unknown key; the nearest known one is \"model\""},
      {"", "model", NULL, "model: missing"},
      {"", "decoder", NULL, "decoder: missing"},
      {"decoder", "type", "\"ByteLevl\"", "\"ByteLevl\" is not supported; the nearest that is: ByteLevel"},
      {"", "pre_tokenizer", "{\"type\":\"Digit\"}",
       "pre_tokenizer: type \"Digit\" is not supported; the nearest that is: Digits"},
      {"", "pre_tokenizer", "null", "no ByteLevel step"},
      {"pre_tokenizer.pretokenizers.0", "behavior", "\"Isolate\"",
       "pre_tokenizer[0]: behavior \"Isolate\" is not supported; the nearest"},
      {"pre_tokenizer.pretokenizers.0", "pattern", "{\"Regex\":\"\\\\b\"}", "pre_tokenizer[0]: \\b at character 0"},
      {"pre_tokenizer.pretokenizers.0", "pattern", "\"a\"", "pre_tokenizer[0]: pattern: expected {\"Regex\""},
      {"pre_tokenizer.pretokenizers.1", "type", "\"ByteLevel\"", "individual_digits: unknown key"},
      {"pre_tokenizer.pretokenizers.2", "use_regexp", "true", "unknown key; the nearest known one is \"use_regex\""},
      {"", "post_processor", "{\"type\":\"Template\"}", "post_processor: type \"Template\" is not supported"},
      {"post_processor.special_tokens.<s>", "ids", "[9999]", "has no id of the vocabulary"},
      {"model", "type", "\"WordPiece\"", "model: type \"WordPiece\" is not supported; the nearest that is: BPE"},
      {"model", "dropout", "0.1", "dropout: 0.1 is not supported"},
      {"model", "byte_fallback", "true", "byte_fallback: true is not supported"},
      {"model", "end_of_word_suffix", "\"</w>\"", "end_of_word_suffix: \"</w>\" is not supported"},
      {"model", "unk_token", "\"<nix>\"", "unk_token: \"<nix>\" is not in the vocabulary"},
      {"model", "merges", "[\"h e\",\"h z\"]",
       "model.merges[1]: \"h\" and \"z\" merge to what is not in the vocabulary"},
      {"model", "merges", "[[\"h\",\"hehe\"]]", "model.merges[0]: \"hehe\" is not in the vocabulary"},
      {"model", "merges", "[\"he\"]", "expected two tokens with a space between, found \"he\""},
      {"model", "merges", "[7]", "model.merges[0]: expected \"a b\" or [\"a\", \"b\"]"},
      {"model", "merges", "7", "merges: expected an array"},
      {"model.vocab", "he", "-1", "\"he\": expected an id from 0"},
      {"model.vocab", "he", "99999999", "\"he\": expected an id from 0"},
      {"model.vocab", "he", "7", "is given twice"},
      {"added_tokens.1", "id", "2", "\"<s>\" has id 2 here and 1 in model.vocab"},
      {"added_tokens.5", "id", "7", "\"<left>\": id 7 is another token's"},
      {"added_tokens.5", "single_word", "true", "added_tokens[5]: single_word: true is not supported"},
      {"added_tokens.5", "content", NULL, "content: missing"},
      {"added_tokens.5", "id", "\"x\"", "added_tokens[5]: id: expected a whole number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    json_t *root = changed(cases[i].path, cases[i].key, cases[i].value);
    weft_tokenizer *tokenizer = NULL;
    weft_status status = weft_tokenizer_from_json(root, "t.json", NULL, &tokenizer);
    if (!status) fail_msg("accepted: %s.%s = %s", cases[i].path, cases[i].key, cases[i].value);
    assert_memory_equal(weft_status_message(status), "t.json:", 7);
    expect_failure(status, WEFT_INVALID, cases[i].message);
    assert_null(tokenizer);
    json_decref(root);
  }
}

static void byte_level_is_last(void **state) {
  (void)state;
  json_t *root = load_small(), *steps = at(root, "pre_tokenizer.pretokenizers");
  json_array_append(steps, json_array_get(steps, 1));
  weft_tokenizer *tokenizer;
  expect_failure(weft_tokenizer_from_json(root, "t.json", NULL, &tokenizer), WEFT_INVALID,
                 "\"Digits\" after ByteLevel");
  json_decref(root);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(small_merges),
                                     cmocka_unit_test(specials_are_recognised),
                                     cmocka_unit_test(unknown_bytes),
                                     cmocka_unit_test(pre_tokenizers_differ),
                                     cmocka_unit_test(whole_words_go_first),
                                     cmocka_unit_test(bos_comes_from_the_template),
                                     cmocka_unit_test(wrong_files_are_explained),
                                     cmocka_unit_test(byte_level_is_last)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
