// What the tests of base/ share: cmocka with the headers that it wants before it, and checks of statuses.
#ifndef WEFT_TESTS_BASE_TEST_H
#define WEFT_TESTS_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static inline void assert_ok(weft_status status) {
  if (status) fail_msg("unexpected failure: %s", weft_status_message(status));
}

// The status is a failure with this code and exactly this message; frees it.
static inline void assert_failure(weft_status status, weft_code code, const char *message) {
  assert_non_null(status);
  assert_string_equal(weft_status_message(status), message);
  assert_int_equal(weft_status_code(status), code);
  weft_status_free(status);
}

// All that was written to `file` so far; caller frees.
static inline char *read_back(FILE *file) {
  long size = ftell(file);
  assert_true(size >= 0);
  rewind(file);
  char *text = calloc((size_t)size + 1, 1);
  assert_non_null(text);
  assert_int_equal(fread(text, 1, (size_t)size, file), size);
  return text;
}

#endif
