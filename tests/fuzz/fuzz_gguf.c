// libFuzzer's entry for GGUF: only bytes that begin with its magic, so that the fuzzer's effort stays in one reader.
#include <stdlib.h>
#include <string.h>

#include "tests/checkpoint/exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size < 4 || memcmp(bytes, "GGUF", 4) != 0) return 0;
  exercise_bytes(bytes, size);
  return 0;
}
