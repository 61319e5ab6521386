// What must hold for any bytes whatever: opening gives a status with a message, or a checkpoint of which every tensor
// and every value of metadata lies inside the bytes and can be read. Used by the mutation test and by the fuzzers in
// tests/fuzz/.
#ifndef WEFT_TESTS_CHECKPOINT_EXERCISE_H
#define WEFT_TESTS_CHECKPOINT_EXERCISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/checkpoint.h"

// True when the bytes are a checkpoint. Aborts when something does not hold.
bool exercise_bytes(const uint8_t *bytes, size_t size);
// Walks an open checkpoint; [bytes, bytes + size) is where its data must be, or bytes is NULL where that is not known.
void exercise_checkpoint(const weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size);
// A failure must say something and have a code that a person can act on; frees it.
void exercise_failure(weft_status status);

#endif
