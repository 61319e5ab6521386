#include "tests/base/test.h"

static weft_status pass_on(weft_status status, int *reached) {
  WEFT_TRY(status);
  *reached = 1;
  return NULL;
}

static void success_is_null(void **state) {
  (void)state;
  assert_int_equal(weft_status_code(NULL), WEFT_OK);
  assert_string_equal(weft_status_message(NULL), "");
  assert_null(weft_status_prefix(NULL, "file: "));
  weft_status_free(NULL);
  int reached = 0;
  assert_ok(pass_on(NULL, &reached));
  assert_int_equal(reached, 1);
}

static void failure_has_code_and_message(void **state) {
  (void)state;
  weft_status status = weft_error(WEFT_INFEASIBLE, "%d bytes of %s", 48, "SRAM");
  status = weft_status_prefix(status, "line %d: ", 3);
  status = weft_status_prefix(status, "%s:", "a.yaml");
  int reached = 0;
  status = pass_on(status, &reached);
  assert_int_equal(reached, 0);
  assert_failure(status, WEFT_INFEASIBLE, "a.yaml:line 3: 48 bytes of SRAM");
}

static void codes_are_exit_codes(void **state) {
  (void)state;
  const int codes[] = {WEFT_OK, WEFT_FAILED, WEFT_INVALID, WEFT_INFEASIBLE, WEFT_OUTSIDE, WEFT_UNAVAILABLE};
  const int expected[] = {0, 1, 2, 3, 4, 77};
  assert_memory_equal(codes, expected, sizeof codes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(success_is_null),
      cmocka_unit_test(failure_has_code_and_message),
      cmocka_unit_test(codes_are_exit_codes),
  };
  return cmocka_run_group_tests_name("base/status", tests, NULL, NULL);
}
