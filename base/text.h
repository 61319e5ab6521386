// Text helpers for people: the nearest known word for an error message, and hashes that name artefacts.
#ifndef WEFT_BASE_TEXT_H
#define WEFT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The word of `known` with the smallest edit distance (Levenshtein, letters compared without case) to
// `word`, or NULL when count is 0. Ties go to the earlier word.
const char *weft_nearest(const char *word, const char *const *known, size_t count);

// 64-bit XXH3 of bytes, seed 0: the identity of artefacts. Not cryptographic.
uint64_t weft_hash_bytes(const void *bytes, size_t count);

// "1.5 GiB", "820 KiB", "12 B" (binary); "1.23 GB/s", "450 M" (decimal, unit appended after the SI prefix).
// Both write into `out` (at least 32 bytes) and return it.
char *weft_text_bytes(double bytes, char out[32]);
char *weft_text_si(double value, const char *unit, char out[32]);
// "1.234 ms", "56.7 us", "3 min 20 s", "4.2 days".
char *weft_text_seconds(double seconds, char out[32]);

#ifdef __cplusplus
}
#endif
#endif
