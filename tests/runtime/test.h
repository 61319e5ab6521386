// What the tests of runtime/ share: cmocka, checks of statuses, folders of their own, compiled schedules.
#ifndef WEFT_TESTS_RUNTIME_TEST_H
#define WEFT_TESTS_RUNTIME_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "compiler/compile.h"
#include "runtime/session.h"

static inline void assert_ok(weft_status status) {
  if (status) fail_msg("unexpected failure: %s", weft_status_message(status));
}

// The status is a failure with this code whose message contains `part`; frees it.
static inline void assert_failure(weft_status status, weft_code code, const char *part) {
  assert_non_null(status);
  if (!strstr(weft_status_message(status), part))
    fail_msg("\"%s\" is not in \"%s\"", part, weft_status_message(status));
  assert_int_equal(weft_status_code(status), code);
  weft_status_free(status);
}

weft_network test_network(const char *name);  // tests/golden/NAME
// A plain processor with plenty of memory.
weft_schedule *test_compile(const weft_network *network, const weft_run *run);
weft_run test_run(weft_mode mode, uint32_t batch, uint32_t sequence);           // f32
int32_t *test_ids(const weft_network *network, uint64_t count, uint64_t seed);  // at random; caller frees
char *test_folder(void);               // fresh, under the system's folder for such; caller frees
void test_remove(const char *folder);  // with the files in it (no folders)
char *test_read(const char *folder, const char *file, size_t *out_bytes);  // caller frees

#endif
