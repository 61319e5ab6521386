#include "tests/checkpoint/exercise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "models/checkpoint_internal.h"

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s\n", what);
  abort();
}

void exercise_failure(weft_status status) {
  must(status != NULL, "a failure is a status");
  must(weft_status_code(status) == WEFT_INVALID, "broken input is WEFT_INVALID");
  must(strlen(weft_status_message(status)) > 4, "a failure has a message");
  weft_status_free(status);
}

static bool inside(const void *data, uint64_t length, const uint8_t *bytes, size_t size) {
  const uint8_t *begin = data;
  return !bytes || (begin >= bytes && begin <= bytes + size && length <= (uint64_t)(bytes + size - begin));
}

// Reading the first and last byte of everything lets a sanitizer see what a comparison of addresses would miss.
static unsigned touch(const void *data, uint64_t length) {
  const volatile uint8_t *bytes = data;
  return length ? (unsigned)bytes[0] + bytes[length - 1] : 0;
}

static unsigned walk_tensor(const weft_checkpoint *checkpoint, uint32_t index, const uint8_t *bytes, size_t size) {
  weft_stored_tensor tensor = weft_checkpoint_tensor(checkpoint, index), found;
  must(inside(tensor.data, tensor.bytes, bytes, size), "a tensor lies inside the file");
  must(tensor.rank <= 4, "at most 4 dimensions");
  uint64_t elements = 1, expected;
  for (uint32_t d = 0; d < tensor.rank; ++d)
    must(!__builtin_mul_overflow(elements, tensor.shape[d], &elements), "elements fit 64 bits");
  must(weft_dtype_bytes(tensor.dtype, elements, &expected) && expected == tensor.bytes, "bytes are shape times format");
  weft_status status = weft_checkpoint_find(checkpoint, tensor.name, &found);
  must(status == NULL && found.data == tensor.data, "a tensor is found by its name");
  if (elements <= 1 << 14) {
    float *values = weft_allocate_array(elements, sizeof *values);
    weft_checkpoint_convert(&tensor, 0, WEFT_F32, values);
    free(values);
  }
  return touch(tensor.data, tensor.bytes);
}

static unsigned walk_meta(const weft_checkpoint *checkpoint, uint32_t index, const uint8_t *bytes, size_t size) {
  weft_meta meta = weft_checkpoint_meta(checkpoint, index);
  unsigned sum = 0;
  must(meta.key[0] != 0, "a key is not empty");
  if (meta.type == WEFT_META_TEXT) {
    must(inside(meta.text, meta.text_bytes, bytes, size), "a text lies inside the file");
    sum += touch(meta.text, meta.text_bytes);
  }
  for (uint64_t i = 0; meta.type == WEFT_META_ARRAY && i < meta.count; i += 1 + i / 64) {
    weft_meta element = weft_checkpoint_meta_element(checkpoint, &meta, i);
    must(element.type == meta.element, "an element has the array's type");
    if (element.type == WEFT_META_TEXT) {
      must(inside(element.text, element.text_bytes, bytes, size), "a text of an array lies inside the file");
      sum += touch(element.text, element.text_bytes);
    }
  }
  return sum;
}

static void walk_network(const weft_checkpoint *checkpoint) {
  weft_network network;
  weft_status status = weft_checkpoint_network(checkpoint, &network);
  if (status) {
    exercise_failure(status);
    return;
  }
  uint32_t count = weft_network_parameter_tensors(&network);
  for (uint32_t i = 0; i < count && i < 64; ++i) {
    weft_parameter parameter = weft_network_parameter(&network, i);
    weft_stored_tensor tensor;
    uint32_t heads;
    status = weft_checkpoint_parameter(checkpoint, &parameter, &tensor, &heads);
    if (status) {
      exercise_failure(status);
      continue;
    }
    uint64_t elements = parameter.shape[0] * (parameter.rank == 2 ? parameter.shape[1] : 1);
    if (elements > 1 << 16) continue;
    uint16_t *values = weft_allocate_array(elements, sizeof *values);
    weft_checkpoint_convert(&tensor, heads, WEFT_BF16, values);
    free(values);
  }
}

void exercise_checkpoint(const weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size) {
  volatile unsigned sum = 0;
  for (uint32_t i = 0; i < weft_checkpoint_count(checkpoint); ++i) sum = sum + walk_tensor(checkpoint, i, bytes, size);
  for (uint32_t i = 0; i < weft_checkpoint_meta_count(checkpoint); ++i)
    sum = sum + walk_meta(checkpoint, i, bytes, size);
  walk_network(checkpoint);
}

bool exercise_bytes(const uint8_t *bytes, size_t size) {
  weft_checkpoint *checkpoint = NULL;
  weft_status status = weft_checkpoint_open_bytes(bytes, size, "mutated", &checkpoint);
  if (status) {
    must(checkpoint == NULL, "nothing is handed out on failure");
    exercise_failure(status);
    return false;
  }
  exercise_checkpoint(checkpoint, bytes, size);
  weft_checkpoint_close(checkpoint);
  return true;
}
