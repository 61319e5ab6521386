// What the tests of lowering share: numbers, and how far two sets of them are apart.
#ifndef WEFT_TESTS_LOWER_LOWER_H
#define WEFT_TESTS_LOWER_LOWER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"

// Fails the test with the status's text.
void require(weft_status status);
// The same numbers for the same seed, between -1 and 1.
void fill(float *values, uint64_t count, uint32_t seed);
// Largest difference over the largest value of `right`, but no less than 0.01 (of operands near 1, so that rounding of
// what should be 0 counts as little); what is not a number is infinitely far away.
double distance(const float *left, const float *right, uint64_t count);

#endif
