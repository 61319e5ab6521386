// What the tests of models/ share.
#ifndef WEFT_TESTS_MODELS_TEST_H
#define WEFT_TESTS_MODELS_TEST_H

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

// The status is a failure of bad input, and its message has all of the words; frees it.
static inline void assert_refused(weft_status status, const char *first, const char *second) {
  assert_non_null(status);
  const char *message = weft_status_message(status);
  if (!strstr(message, first) || !strstr(message, second))
    fail_msg("the message \"%s\" does not have \"%s\" and \"%s\"", message, first, second);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  weft_status_free(status);
}

#endif
