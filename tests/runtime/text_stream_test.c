// Bytes that arrive in any pieces come out as whole UTF-8 characters.
#include "runtime/generate.h"
#include "tests/runtime/test.h"

typedef struct sink {
  char text[512];
  size_t bytes, calls;
} sink;

static weft_status emit(void *context, const char *text, size_t bytes) {
  sink *s = context;
  memcpy(s->text + s->bytes, text, bytes);
  s->bytes += bytes;
  ++s->calls;
  return NULL;
}

static void check(const char *bytes, size_t count, size_t piece, const char *expected) {
  sink s = {0};
  weft_text_stream stream = {.emit = emit, .context = &s};
  for (size_t at = 0; at < count; at += piece)
    assert_ok(weft_text_stream_add(&stream, bytes + at, count - at < piece ? count - at : piece));
  assert_ok(weft_text_stream_end(&stream));
  assert_string_equal(s.text, expected);
}

#define CHECK(bytes, expected) \
  for (size_t piece = 1; piece < 8; ++piece) check(bytes, sizeof(bytes) - 1, piece, expected)

static void characters_stay_whole(void **state) {
  (void)state;
  CHECK("plain text", "plain text");
  CHECK("\xc3\xa9\xe6\x97\xa5\xf0\x9f\x99\x82!", "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x99\x82!");
  CHECK("", "");
}

#define BAD "\xef\xbf\xbd"

static void broken_bytes_are_replaced(void **state) {
  (void)state;
  CHECK("a\xc3", "a" BAD);  // ends in the middle
  CHECK(
      "\xc3"
      "b",
      BAD "b");
  CHECK(
      "\x80"
      "b",
      BAD "b");                // continues nothing
  CHECK("\xc0\xaf", BAD BAD);  // overlong
  CHECK("\xe0\x80\x80", BAD BAD BAD);
  CHECK("\xed\xa0\x80", BAD BAD BAD);          // a surrogate
  CHECK("\xf4\x90\x80\x80", BAD BAD BAD BAD);  // beyond U+10FFFF
  CHECK(
      "\xf0\x9f\x99"
      "x",
      BAD "x");
  CHECK("\xff\xfe", BAD BAD);
  CHECK("\xe6\x97\xe6\x97\xa5", BAD "\xe6\x97\xa5");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(characters_stay_whole),
                                     cmocka_unit_test(broken_bytes_are_replaced)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
