// The strict reader of CSV.
#include "base/csv.h"

#include "base/random.h"
#include "tests/models/test.h"

static weft_csv parse(const char *text) {
  weft_csv csv;
  assert_ok(weft_csv_parse(text, strlen(text), "t.csv", &csv));
  return csv;
}

static void fields(void **state) {
  (void)state;
  weft_csv csv = parse("a,b,c\r\n1,\"x, \"\"y\"\"\nz\",\n\n,,last");
  assert_int_equal(csv.rows, 2);
  assert_int_equal(csv.columns, 3);
  assert_string_equal(weft_csv_field(&csv, 0, 1), "x, \"y\"\nz");
  assert_string_equal(weft_csv_field(&csv, 0, 2), "");
  assert_string_equal(weft_csv_field(&csv, 1, 2), "last");
  assert_int_equal(weft_csv_line(&csv, 0), 2);
  assert_int_equal(weft_csv_line(&csv, 1), 5);
  size_t column = 9;
  assert_ok(weft_csv_column(&csv, "b", &column));
  assert_int_equal(column, 1);
  assert_refused(weft_csv_column(&csv, "bb", &column), "t.csv:1", "nearest is \"b\"");
  weft_csv_finish(&csv);
}

static void refuse(const char *text, size_t bytes, const char *first, const char *second) {
  weft_csv csv;
  assert_refused(weft_csv_parse(text, bytes, "t.csv", &csv), first, second);
}

static void refusals(void **state) {
  (void)state;
#define REFUSE(text, first, second) refuse(text, sizeof text - 1, first, second)
  REFUSE("", "empty", "header");
  REFUSE("\n\n", "empty", "header");
  REFUSE("a,b\n1\n", "t.csv:2: 1 fields", "has 2");
  REFUSE("a,b\n1,2,3\n", "t.csv:2: 3 fields", "has 2");
  REFUSE("a,b\n1,\"2\n3", "t.csv:2", "no closing quote");
  REFUSE("a,b\n1,\"2\"3\n", "t.csv:2", "found '3'");
  REFUSE("a,b\n1,2\"3\n", "t.csv:2: a quote inside", "");
  REFUSE("a,b\n1,\0\n", "t.csv:2: a zero byte", "");
  REFUSE("a,b\n1,\"\0\"\n", "t.csv:2: a zero byte", "");
  REFUSE("a,a\n1,2\n", "two columns are called \"a\"", "");
  REFUSE("a,\n1,2\n", "column 2 has no name", "");
}

// Random bytes of the format's own letters: read or refused, never beyond the end.
static void random_texts(void **state) {
  (void)state;
  uint32_t accepted = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    size_t length = weft_random_bits(9, 0, i) % 40;
    char *text = malloc(length + 1);  // exactly as long as said, for the sanitizers
    assert_non_null(text);
    for (size_t k = 0; k < length; ++k) text[k] = "ab,\"\n\r,1"[weft_random_bits(9, i + 1, k) % 8];
    weft_csv csv = {0};
    weft_status status = weft_csv_parse(text, length, "t.csv", &csv);
    if (!status) {
      ++accepted;
      for (size_t row = 0; row < csv.rows; ++row)
        for (size_t column = 0; column < csv.columns; ++column)
          assert_true(strlen(weft_csv_field(&csv, row, column)) <= length);
    }
    weft_status_free(status);
    weft_csv_finish(&csv);
    free(text);
  }
  assert_in_range(accepted, 500, 19500);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(refusals),
                                     cmocka_unit_test(random_texts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
