// libFuzzer's entry for kernels: what begins like a packed kernel is unpacked, the rest is read as text.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernel/exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size > 0 && bytes[0] == 8) {
    exercise_packed(bytes, size);
    return 0;
  }
  char *text = malloc(size + 1);
  if (!text) return 0;
  if (size > 0) memcpy(text, bytes, size);
  text[size] = 0;
  exercise_text(text);
  free(text);
  return 0;
}
