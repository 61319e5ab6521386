#include "tests/lower/lower.h"

#include <math.h>

void require(weft_status status) {
  if (!status) return;
  fail_msg("%s", weft_status_message(status));
}

void fill(float *values, uint64_t count, uint32_t seed) {
  uint64_t state = seed * 2654435761u + 12345;
  for (uint64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    values[i] = (float)(int32_t)(state >> 32) * (1.0f / 2147483648.0f);
  }
}

double distance(const float *left, const float *right, uint64_t count) {
  double worst = 0, largest = 0;
  for (uint64_t i = 0; i < count; ++i) {
    double error = fabs((double)left[i] - (double)right[i]);
    if (!isfinite(left[i]) || !isfinite(right[i])) return INFINITY;
    worst = fmax(worst, error);
    largest = fmax(largest, fabs((double)right[i]));
  }
  return worst == 0 ? 0 : worst / fmax(largest, 1e-2);
}
