#include "base/random.h"

#include <math.h>

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t weft_random_bits(uint64_t seed, uint64_t stream, uint64_t index) {
  uint64_t key = mix(seed + 0x9e3779b97f4a7c15u) ^ mix(stream * 0xd1342543de82ef95u + 1);
  return mix(key + index * 0x9e3779b97f4a7c15u);
}

double weft_random_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return (double)(weft_random_bits(seed, stream, index) >> 11) * 0x1p-53;
}

double weft_random_normal(uint64_t seed, uint64_t stream, uint64_t index) {
  double u = weft_random_uniform(seed, stream, 2 * index), v = weft_random_uniform(seed, stream, 2 * index + 1);
  return sqrt(-2 * log(1 - u)) * cos(6.283185307179586476925286766559 * v);
}
