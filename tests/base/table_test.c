#include "base/table.h"

#include <math.h>

#include "tests/base/test.h"

static weft_table *example(void) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "network", NULL);
  weft_table_column(table, "parameters", NULL);
  weft_table_column(table, "time", "s");
  weft_table_row(table);
  weft_table_text(table, "gpt-2, small");
  weft_table_integer(table, 124439808);
  weft_table_number(table, 0.1, 3);
  weft_table_row(table);
  weft_table_text(table, NULL);
  weft_table_integer(table, -1234);
  weft_table_number(table, NAN, 3);
  weft_table_row(table);
  weft_table_text(table, "a \"b\" \xc3\xbc");
  weft_table_integer(table, 7);
  weft_table_number(table, 12345.678, 6);
  return table;
}

static void check(weft_table_form form, const char *expected) {
  weft_table *table = example();
  FILE *out = tmpfile();
  assert_non_null(out);
  weft_table_print(table, form, out);
  char *text = read_back(out);
  assert_string_equal(text, expected);
  free(text);
  fclose(out);
  weft_table_destroy(table);
}

static void text_form(void **state) {
  (void)state;
  check(WEFT_TABLE_TEXT,
        "network        parameters     time\n"
        "                                 s\n"
        "gpt-2, small  124,439,808      0.1\n"
        "                   -1,234        -\n"
        "a \"b\" \xc3\xbc                 7  12345.7\n");
}

static void json_form(void **state) {
  (void)state;
  check(WEFT_TABLE_JSON,
        "[\n"
        "  {\n"
        "    \"network\": \"gpt-2, small\",\n"
        "    \"parameters\": 124439808,\n"
        "    \"time\": 0.10000000000000001\n"
        "  },\n"
        "  {\n"
        "    \"network\": null,\n"
        "    \"parameters\": -1234,\n"
        "    \"time\": null\n"
        "  },\n"
        "  {\n"
        "    \"network\": \"a \\\"b\\\" \xc3\xbc\",\n"
        "    \"parameters\": 7,\n"
        "    \"time\": 12345.678\n"
        "  }\n"
        "]\n");
}

static void csv_form(void **state) {
  (void)state;
  check(WEFT_TABLE_CSV,
        "network,parameters,time\n"
        "\"gpt-2, small\",124439808,0.10000000000000001\n"
        ",-1234,\n"
        "\"a \"\"b\"\" \xc3\xbc\",7,12345.678\n");
}

static void empty_table(void **state) {
  (void)state;
  weft_table *table = weft_table_create();
  weft_table_column(table, "step", NULL);
  FILE *out = tmpfile();
  assert_non_null(out);
  weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_print(table, WEFT_TABLE_JSON, out);
  char *text = read_back(out);
  assert_string_equal(text, "step\n[]\n");
  free(text);
  fclose(out);
  weft_table_destroy(table);
  weft_table_destroy(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_form),
      cmocka_unit_test(json_form),
      cmocka_unit_test(csv_form),
      cmocka_unit_test(empty_table),
  };
  return cmocka_run_group_tests_name("base/table", tests, NULL, NULL);
}
