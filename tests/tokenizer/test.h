// What the tokenizer's tests share: opening or failing, and comparing ids with a list.
#ifndef WEFT_TESTS_TOKENIZER_TEST_H
#define WEFT_TESTS_TOKENIZER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "models/tokenizer.h"

#define TOKENIZER_SMALL WEFT_TESTS "/tokenizer/small.json"
#define GOLDEN(file) WEFT_TESTS "/golden/tokenizers/" file

static inline weft_tokenizer *open_tokenizer(const char *path) {
  weft_tokenizer *tokenizer = NULL;
  weft_status status = weft_tokenizer_open(path, &tokenizer);
  if (status) fail_msg("%s", weft_status_message(status));
  return tokenizer;
}

static inline void expect_failure(weft_status status, weft_code code, const char *part) {
  assert_non_null(status);
  assert_int_equal(weft_status_code(status), code);
  if (!strstr(weft_status_message(status), part))
    fail_msg("\"%s\" does not say \"%s\"", weft_status_message(status), part);
  weft_status_free(status);
}

// The pieces of a text, each followed by '|': what was cut where, readable in a failure.
static inline void expect_pieces(const weft_tokenizer *tokenizer, const char *text, size_t bytes,
                                 const char *expected) {
  int32_t *ids;
  size_t count, used = 0;
  weft_status status = weft_tokenizer_encode(tokenizer, text, bytes, &ids, &count);
  if (status) fail_msg("%s", weft_status_message(status));
  char *pieces = weft_allocate(16 * bytes + 64);
  for (size_t i = 0; i < count; ++i) {
    size_t length;
    const char *piece = weft_tokenizer_piece(tokenizer, ids[i], &length);
    memcpy(pieces + used, piece, length);
    used += length;
    pieces[used++] = '|';
  }
  assert_string_equal(pieces, expected);
  free(pieces);
  free(ids);
}
#define EXPECT(tokenizer, text, expected) expect_pieces(tokenizer, text, sizeof(text) - 1, expected)

#endif
