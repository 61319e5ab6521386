// Random numbers that are a pure function of (seed, stream, index): the same for any number of threads and in
// any order. SplitMix64's finaliser (Steele, Lea, Flood 2014) over a counter.
#ifndef WEFT_BASE_RANDOM_H
#define WEFT_BASE_RANDOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint64_t weft_random_bits(uint64_t seed, uint64_t stream, uint64_t index);
double weft_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);  // [0, 1), 53 bits
double weft_random_normal(uint64_t seed, uint64_t stream, uint64_t index);   // mean 0, deviation 1 (Box-Muller)

#ifdef __cplusplus
}
#endif
#endif
