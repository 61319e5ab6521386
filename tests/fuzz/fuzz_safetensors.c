// libFuzzer's entry for safetensors. The length in front of the header is set to a plausible one half of the time: a
// fuzzer does not guess eight bytes that must agree with the rest.
#include <stdlib.h>
#include <string.h>

#include "tests/checkpoint/exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size >= 4 && memcmp(bytes, "GGUF", 4) == 0) return 0;  // fuzz_gguf's
  exercise_bytes(bytes, size);
  const uint8_t *end = size > 8 ? memchr(bytes + 8, '\n', size - 8) : NULL;
  if (!end) return 0;
  uint8_t *copy = malloc(size);
  if (!copy) return 0;
  memcpy(copy, bytes, size);
  uint64_t header = (uint64_t)(end - bytes - 8);
  for (int i = 0; i < 8; ++i) copy[i] = (uint8_t)(header >> (8 * i));
  exercise_bytes(copy, size);
  free(copy);
  return 0;
}
