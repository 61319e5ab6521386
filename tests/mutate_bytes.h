// Damage for the tests of decoders: up to four edits, each a bit, a byte, a run of bytes, or, now and then, the end cut
// off.
#ifndef WEFT_TESTS_MUTATE_BYTES_H
#define WEFT_TESTS_MUTATE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/random.h"

// The same damage for the same seed and round. `*size` > 0, and stays so.
static inline void mutate_bytes(uint64_t seed, uint64_t round, uint8_t *bytes, size_t *size) {
  uint64_t edits = 1 + weft_random_bits(seed, round, 0) % 4;
  for (uint64_t e = 0; e < edits; ++e) {
    uint64_t kind = weft_random_bits(seed, round, 3 * e + 1) % 4, at = weft_random_bits(seed, round, 3 * e + 2) % *size;
    uint64_t value = weft_random_bits(seed, round, 3 * e + 3);
    if (kind == 0) bytes[at] ^= (uint8_t)(1u << (value % 8));
    if (kind == 1) bytes[at] = (uint8_t)value;
    if (kind == 2) memset(bytes + at, (int)(value % 256), value % 9 < *size - at ? value % 9 : *size - at);
    if (kind == 3 && e == 0 && at > 0 && value % 4 == 0) *size = at;
  }
}

#endif
