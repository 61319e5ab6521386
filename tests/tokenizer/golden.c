// Ids and texts against what Hugging Face's tokenizers and SentencePiece computed: exact, on every case.
// Usage: golden FOLDER, which has bpe-gpt2, bpe-llama3 and spm-llama, each with cases.jsonl of {text, ids, decoded};
// or golden TOKENIZER CASES for any other pair, with {prompt, ids} as well (not part of ctest).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/memory.h"
#include "tests/tokenizer/gguf_writer.h"
#include "models/tokenizer.h"

static const char *folder, *other_tokenizer, *other_cases;

static weft_tokenizer *open_or_fail(const char *path) {
  weft_tokenizer *tokenizer = NULL;
  weft_status status = weft_tokenizer_open(path, &tokenizer);
  if (status) fail_msg("%s", weft_status_message(status));
  return tokenizer;
}

static bool same_ids(json_t *expected, const int32_t *ids, size_t count) {
  if (json_array_size(expected) != count) return false;
  for (size_t i = 0; i < count; ++i)
    if (json_integer_value(json_array_get(expected, i)) != ids[i]) return false;
  return true;
}

static bool check_case(const weft_tokenizer *tokenizer, json_t *row, size_t line) {
  json_t *text = json_object_get(row, "text");
  if (!text) text = json_object_get(row, "prompt");
  json_t *decoded = json_object_get(row, "decoded");
  if (!decoded) decoded = text;
  int32_t *ids = NULL;
  size_t count = 0, bytes = 0;
  char *back = NULL;
  weft_status status =
      weft_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), &ids, &count);
  if (status) fail_msg("line %zu: %s", line, weft_status_message(status));
  bool right = same_ids(json_object_get(row, "ids"), ids, count);
  if (!right) {
    print_error("line %zu: ids differ for \"%s\":", line, json_string_value(text));
    for (size_t i = 0; i < count; ++i) print_error(" %d", ids[i]);
    print_error("\n");
  }
  status = weft_tokenizer_decode(tokenizer, ids, count, &back, &bytes);
  if (status) fail_msg("line %zu: %s", line, weft_status_message(status));
  if (bytes != json_string_length(decoded) || memcmp(back, json_string_value(decoded), bytes) != 0) {
    print_error("line %zu: decoded to \"%s\", expected \"%s\"\n", line, back, json_string_value(decoded));
    right = false;
  }
  free(ids);
  free(back);
  return right;
}

static void check_cases(const char *tokenizer_path, const char *cases_path, size_t least) {
  weft_tokenizer *tokenizer = open_or_fail(tokenizer_path);
  FILE *file = fopen(cases_path, "r");
  assert_non_null(file);
  size_t line = 0, wrong = 0;
  json_t *row;
  while ((row = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL)) != NULL) {
    wrong += !check_case(tokenizer, row, ++line);
    json_decref(row);
  }
  assert_true(feof(file));  // and not a line that is no JSON
  fclose(file);
  weft_tokenizer_close(tokenizer);
  print_message("%s: %zu of %zu cases exact\n", tokenizer_path, line - wrong, line);
  assert_true(line >= least);
  assert_int_equal(wrong, 0);
}

static void check_set(const char *set, const char *file) {
  char *tokenizer = weft_format("%s/%s/%s", folder, set, file), *cases = weft_format("%s/%s/cases.jsonl", folder, set);
  check_cases(tokenizer, cases, 100);
  free(tokenizer);
  free(cases);
}

static void check_as_gguf(const char *set, const char *pre) {
  char *json = weft_format("%s/%s/tokenizer.json", folder, set), *cases = weft_format("%s/%s/cases.jsonl", folder, set);
  char *gguf = test_path("golden.gguf");
  gguf_from_tokenizer_json(json, pre, gguf);
  check_cases(gguf, cases, 100);
  unlink(gguf);
  free(gguf);
  free(json);
  free(cases);
}

static void gpt2_json(void **state) {
  (void)state;
  check_set("bpe-gpt2", "tokenizer.json");
}
static void gpt2_gguf(void **state) {
  (void)state;
  check_as_gguf("bpe-gpt2", "gpt-2");
}
static void llama3_json(void **state) {
  (void)state;
  check_set("bpe-llama3", "tokenizer.json");
}
static void llama3_gguf(void **state) {
  (void)state;
  check_as_gguf("bpe-llama3", "llama-bpe");
}
static void spm_gguf(void **state) {
  (void)state;
  check_set("spm-llama", "tokenizer.gguf");
}
static void other(void **state) {
  (void)state;
  check_cases(other_tokenizer, other_cases, 1);
}

int main(int argc, char **argv) {
  const struct CMUnitTest sets[] = {cmocka_unit_test(gpt2_json), cmocka_unit_test(gpt2_gguf),
                                    cmocka_unit_test(llama3_json), cmocka_unit_test(llama3_gguf),
                                    cmocka_unit_test(spm_gguf)};
  const struct CMUnitTest one[] = {cmocka_unit_test(other)};
  if (argc == 2) {
    folder = argv[1];
    return cmocka_run_group_tests(sets, NULL, NULL);
  }
  if (argc == 3) {
    other_tokenizer = argv[1];
    other_cases = argv[2];
    return cmocka_run_group_tests(one, NULL, NULL);
  }
  fprintf(stderr, "usage: %s FOLDER | %s TOKENIZER CASES\n", argv[0], argv[0]);
  return 2;
}
