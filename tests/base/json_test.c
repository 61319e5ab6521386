#include "base/json.h"

#include <unistd.h>

#include "base/file.h"
#include "tests/base/test.h"

static const char text[] =
    "{\n"
    "  \"n_layer\": 12,\n"
    "  \"rate\": 0.5,\n"
    "  \"tied\": true,\n"
    "  \"name\": \"gpt2\",\n"
    "  \"n_inner\": null\n"
    "}\n";

static json_t *parse(const char *json) {
  json_error_t error;
  json_t *root = json_loads(json, 0, &error);
  assert_non_null(root);
  return root;
}

static void good_object(void **state) {
  (void)state;
  json_t *root = parse(text);
  weft_json_object o;
  weft_json_begin(&o, root, "c.json", text);
  int64_t layers = 0, inner = 7;
  double rate = 0;
  bool tied = false;
  weft_json_integer(&o, "n_layer", 1, 100, &layers);
  weft_json_number(&o, "rate", 0, 1, &rate);
  assert_true(weft_json_optional_bool(&o, "tied", &tied));
  assert_string_equal(weft_json_text(&o, "name"), "gpt2");
  assert_false(weft_json_optional_integer(&o, "n_inner", 1, 100, &inner));
  assert_null(weft_json_optional_any(&o, "absent"));
  assert_ok(weft_json_finish(&o));
  assert_int_equal(layers, 12);
  assert_int_equal(inner, 7);
  assert_true(rate == 0.5 && tied);
  json_decref(root);
}

static void unknown_key(void **state) {
  (void)state;
  json_t *root = parse(text);
  weft_json_object o;
  weft_json_begin(&o, root, "c.json", text);
  int64_t layers = 0;
  weft_json_integer(&o, "n_layer", 1, 100, &layers);
  weft_json_ignore(&o, "rate");
  weft_json_ignore(&o, "tied");
  weft_json_ignore(&o, "nam");
  weft_json_ignore(&o, "n_inner");
  assert_failure(weft_json_finish(&o), WEFT_INVALID, "c.json:5: name: unknown key; the nearest known one is \"nam\"");
  json_decref(root);
}

// Each reads one key of a wrong kind; the message is the whole of what a person sees.
static void wrong_values(void **state) {
  (void)state;
  static const struct {
    const char *json, *message;
  } cases[] = {
      {"{\"k\": 0}", "c.json: k: expected a whole number from 1 to 9, found 0"},
      {"{\"k\": 10}", "c.json: k: expected a whole number from 1 to 9, found 10"},
      {"{\"k\": 1.5}", "c.json: k: expected a whole number from 1 to 9, found 1.5"},
      {"{\"k\": 1e300}", "c.json: k: expected a whole number from 1 to 9, found 1.0000000000000001e300"},
      {"{\"k\": \"3\"}", "c.json: k: expected a whole number from 1 to 9, found \"3\""},
      {"{\"k\": [1]}", "c.json: k: expected a whole number from 1 to 9, found [1]"},
      {"{}", "c.json: k: missing: a whole number from 1 to 9 is needed"},
      {"{\"k\": null}", "c.json: k: missing: a whole number from 1 to 9 is needed"},
      {"[1]", "c.json: expected an object {...}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    json_t *root = parse(cases[i].json);
    weft_json_object o;
    weft_json_begin(&o, root, "c.json", NULL);
    int64_t value = 5;
    weft_json_integer(&o, "k", 1, 9, &value);
    assert_failure(weft_json_finish(&o), WEFT_INVALID, cases[i].message);
    assert_int_equal(value, 5);
    json_decref(root);
  }
}

static void first_error_wins(void **state) {
  (void)state;
  json_t *root = parse("{\"a\": true, \"b\": \"x\", \"c\": 7}");
  weft_json_object o;
  weft_json_begin(&o, root, "c.json", NULL);
  double number = 0;
  bool yes = false;
  assert_false(weft_json_optional_number(&o, "a", 0, 1, &number));
  assert_false(weft_json_optional_bool(&o, "b", &yes));
  assert_null(weft_json_optional_text(&o, "c"));
  weft_json_fail(&o, "c", "later");
  assert_failure(weft_json_finish(&o), WEFT_INVALID, "c.json: a: expected a number from 0 to 1, found true");
  json_decref(root);
}

static void whole_reals_are_integers(void **state) {
  (void)state;
  json_t *root = parse("{\"k\": 4.0}");
  weft_json_object o;
  weft_json_begin(&o, root, "c.json", NULL);
  int64_t value = 0;
  weft_json_integer(&o, "k", 1, 9, &value);
  assert_ok(weft_json_finish(&o));
  assert_int_equal(value, 4);
  json_decref(root);
}

static void file_errors_have_a_place(void **state) {
  (void)state;
  char path[] = "weft-json-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  json_t *root = NULL;
  char *kept = NULL, expected[200];
  static const struct {
    const char *json, *where;
  } bad[] = {
      {"{\n  \"a\": 1,\n  \"a\": 2\n}", ":3:5: duplicate object key near '\"a\"'"},
      {"{\n  \"a\": \n}", ":3:1: unexpected token near '}'"},
      {"", ":1:0: '[' or '{' expected near end of file"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    assert_ok(weft_file_write(path, bad[i].json, strlen(bad[i].json)));
    snprintf(expected, sizeof expected, "%s%s", path, bad[i].where);
    assert_failure(weft_json_read_file(path, &root, &kept), WEFT_INVALID, expected);
    assert_null(root);
  }
  assert_ok(weft_file_write(path, text, strlen(text)));
  assert_ok(weft_json_read_file(path, &root, &kept));
  assert_string_equal(kept, text);
  json_decref(root);
  free(kept);
  unlink(path);
  snprintf(expected, sizeof expected, "%s: No such file or directory", path);
  assert_failure(weft_json_read_file(path, &root, NULL), WEFT_INVALID, expected);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_object),
      cmocka_unit_test(unknown_key),
      cmocka_unit_test(wrong_values),
      cmocka_unit_test(first_error_wins),
      cmocka_unit_test(whole_reals_are_integers),
      cmocka_unit_test(file_errors_have_a_place),
  };
  return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
