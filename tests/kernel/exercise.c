#include "tests/kernel/exercise.h"

#include <stdlib.h>
#include <string.h>

#include "tests/kernel/round.h"

static bool finish(weft_status status, weft_kernel *kernel) {
  if ((status == NULL) != (kernel != NULL)) abort();
  if (!status) status = weft_kernel_check(kernel, 49152);
  if (status && !*weft_status_message(status)) abort();
  bool accepted = status == NULL;
  if (accepted) assert_goes_round(kernel);
  weft_status_free(status);
  weft_kernel_destroy(kernel);
  return accepted;
}

bool exercise_packed(const void *bytes, size_t size) {
  weft_kernel *kernel = NULL;
  weft_status status = weft_kernel_unpack(bytes, size, &kernel);
  return finish(status, kernel);
}

bool exercise_text(const char *text) {
  weft_kernel *kernel = NULL;
  weft_status status = weft_kernel_parse(text, "fuzzed", NULL, 0, &kernel);
  if (status && strncmp(weft_status_message(status), "fuzzed:", 7) != 0) abort();
  return finish(status, kernel);
}
