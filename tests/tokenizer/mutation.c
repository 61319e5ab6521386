// Damaged files: whatever is done to a tokenizer.json or to GGUF metadata, opening it ends in an error that names the
// file, or in a tokenizer that works. Deterministic; meant to be run under ASan and UBSan.
#include "tests/tokenizer/test.h"

#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "models/tokenizer_internal.h"

static uint64_t bits(uint64_t round, uint64_t index) { return weft_random_bits(11, round, index); }

static void exercise(const weft_tokenizer *tokenizer) {
  static const char text[] = "hello wo 12 <s> <|a|><left>\n caf\xc3\xa9\xff the LORD's";
  int32_t *ids;
  size_t count, bytes;
  char *back;
  weft_status status = weft_tokenizer_encode(tokenizer, text, sizeof text - 1, &ids, &count);
  if (status) {
    assert_true(strlen(weft_status_message(status)) > 0);
    weft_status_free(status);
    return;
  }
  status = weft_tokenizer_decode(tokenizer, ids, count, &back, &bytes);
  if (status) fail_msg("what was encoded cannot be decoded: %s", weft_status_message(status));
  free(back);
  free(ids);
}

// Overwrites, cuts, repeats or swaps a few spans.
static size_t damage(uint64_t round, uint8_t *bytes, size_t size, size_t room) {
  static const char *const texts[] = {"-1",        "null", "\"", "{}",   "[]", "99999999", "true",
                                      "\"Split\"", "\\",   "e9", "\xff", ",",  ""};
  size_t edits = 1 + bits(round, 0) % 3;
  for (size_t i = 0; i < edits && size > 16; ++i) {
    uint64_t random = bits(round, 1 + i);
    size_t place = (size_t)(bits(round, 100 + i) % size), length = 1 + (size_t)(random >> 40) % 12;
    if (place + length > size) length = size - place;
    const char *text = texts[(random >> 16) % (sizeof texts / sizeof *texts)];
    switch (random % 5) {
      case 0: bytes[place] = (uint8_t)(random >> 8); break;
      case 1: bytes[place] ^= (uint8_t)(1u << (random >> 8 & 7)); break;
      case 2:
        memmove(bytes + place, bytes + place + length, size - place - length);
        size -= length;
        break;
      case 3:
        if (size + length > room) break;
        memmove(bytes + place + length, bytes + place, size - place);
        size += length;
        break;
      default:
        if (place + strlen(text) <= size) memcpy(bytes + place, text, strlen(text));
        break;
    }
  }
  return bits(round, 200) % 16 == 0 ? (size_t)(bits(round, 201) % size) : size;
}

// Some value below `value`, chosen by the way down; the depth varies.
static json_t *descend(json_t *value, uint64_t round, json_t **out_parent, const char **out_key, size_t *out_index) {
  for (uint64_t depth = 0; depth < 1 + bits(round, 300) % 6; ++depth) {
    size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    if (count == 0) break;
    size_t chosen = (size_t)(bits(round, 301 + depth) % count);
    *out_parent = value;
    *out_index = chosen;
    if (json_is_array(value)) {
      value = json_array_get(value, chosen);
      continue;
    }
    void *member = json_object_iter(value);
    while (chosen-- > 0) member = json_object_iter_next(value, member);
    *out_key = json_object_iter_key(member);
    value = json_object_iter_value(member);
  }
  return value;
}

// Well-formed JSON with a wrong value somewhere: replaced, copied from elsewhere, or gone.
static void replace_value(json_t *root, uint64_t round) {
  static const char *const texts[] = {"null",
                                      "-1",
                                      "0",
                                      "7",
                                      "16777215",
                                      "1e300",
                                      "true",
                                      "\"\"",
                                      "\"a\"",
                                      "\"\\\\p{L}*+\"",
                                      "\"Sequence\"",
                                      "\"ByteLevel\"",
                                      "[]",
                                      "{}",
                                      "[[]]",
                                      "[null]",
                                      "{\"type\":7}"};
  json_t *parent = NULL, *from = NULL, *replacement;
  const char *key = NULL, *from_key = NULL;
  size_t index = 0, from_index = 0;
  (void)descend(root, round, &parent, &key, &index);
  if (bits(round, 320) % 3 == 0)
    replacement = json_deep_copy(descend(root, round + 1000000, &from, &from_key, &from_index));
  else
    replacement = json_loads(texts[bits(round, 321) % (sizeof texts / sizeof *texts)], JSON_DECODE_ANY, NULL);
  if (json_is_array(parent))
    json_array_set_new(parent, index, replacement);
  else if (bits(round, 322) % 8 != 0)
    json_object_set_new(parent, key, replacement);
  else
    json_decref(replacement);
}

static void check_json(json_t *root, size_t *opened, size_t *refused) {
  weft_tokenizer *tokenizer = NULL;
  weft_status status = weft_tokenizer_from_json(root, "damaged.json", NULL, &tokenizer);
  if (!status) {
    exercise(tokenizer);
    weft_tokenizer_close(tokenizer);
    ++*opened;
    return;
  }
  assert_null(tokenizer);
  assert_memory_equal(weft_status_message(status), "damaged.json", 12);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  weft_status_free(status);
  ++*refused;
}

static void wrong_values_survive(void **state) {
  (void)state;
  json_t *small = json_load_file(TOKENIZER_SMALL, 0, NULL);
  size_t opened = 0, refused = 0;
  for (uint64_t round = 0; round < 3000; ++round) {
    json_t *root = json_deep_copy(small);
    for (uint64_t edit = 0; edit <= bits(round, 0) % 3; ++edit) replace_value(root, 10 * round + edit);
    check_json(root, &opened, &refused);
    json_decref(root);
  }
  print_message("wrong values: %zu opened, %zu refused\n", opened, refused);
  assert_true(opened > 100 && refused > 1000);
  json_decref(small);
}

static void json_survives(void **state) {
  (void)state;
  weft_mapping file;
  assert_null(weft_mapping_open(TOKENIZER_SMALL, &file));
  size_t room = file.size + 64, opened = 0, refused = 0;
  uint8_t *bytes = weft_allocate(room);
  for (uint64_t round = 0; round < 3000; ++round) {
    memcpy(bytes, file.bytes, file.size);
    size_t size = damage(round, bytes, file.size, room);
    json_t *root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    if (!root) continue;
    check_json(root, &opened, &refused);
    json_decref(root);
  }
  print_message("tokenizer.json: %zu opened, %zu refused\n", opened, refused);
  assert_true(opened > 50 && refused > 50);
  free(bytes);
  weft_mapping_close(&file);
}

static void gguf_survives(void **state) {
  (void)state;
  weft_mapping file;
  assert_null(weft_mapping_open(GOLDEN("spm-llama/tokenizer.gguf"), &file));
  size_t room = file.size + 64, opened = 0, refused = 0;
  uint8_t *bytes = weft_allocate(room);
  const char *folder = getenv("TMPDIR");
  char *path = weft_format("%s/weft-%ld-damaged.gguf", folder ? folder : P_tmpdir, (long)getpid());
  for (uint64_t round = 0; round < 800; ++round) {
    memcpy(bytes, file.bytes, file.size);
    size_t size = damage(round, bytes, file.size, room);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(out);
    weft_tokenizer *tokenizer = NULL;
    weft_status status = weft_tokenizer_open(path, &tokenizer);
    if (status) {
      assert_non_null(strstr(weft_status_message(status), "damaged.gguf"));
      weft_status_free(status);
      ++refused;
    } else {
      exercise(tokenizer);
      weft_tokenizer_close(tokenizer);
      ++opened;
    }
  }
  unlink(path);
  print_message("GGUF: %zu opened, %zu refused\n", opened, refused);
  assert_true(opened > 50 && refused > 50);
  free(path);
  free(bytes);
  weft_mapping_close(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(json_survives), cmocka_unit_test(wrong_values_survive),
                                     cmocka_unit_test(gguf_survives)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
