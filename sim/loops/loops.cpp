#include "sim/loops/loops.h"

#include <cmath>

namespace weft {

#define WEFT_EACH(expression)                                     \
  for (std::uint32_t e = 0; e < count; ++e) to[e] = (expression); \
  break

static void elements(weft_instruction_kind kind, float *__restrict to, const float *a, const float *b, const float *c,
                     std::uint32_t count) {
  switch (kind) {
    case WEFT_DO_MOVE: WEFT_EACH(a[e]);
    case WEFT_DO_ADD: WEFT_EACH(a[e] + b[e]);
    case WEFT_DO_SUBTRACT: WEFT_EACH(a[e] - b[e]);
    case WEFT_DO_MULTIPLY: WEFT_EACH(a[e] * b[e]);
    case WEFT_DO_FMA: WEFT_EACH(std::fma(a[e], b[e], c[e]));
    case WEFT_DO_DIVIDE: WEFT_EACH(a[e] / b[e]);
    case WEFT_DO_MAXIMUM: WEFT_EACH(a[e] > b[e] || std::isnan(a[e]) ? a[e] : b[e]);
    case WEFT_DO_MINIMUM: WEFT_EACH(a[e] < b[e] || std::isnan(a[e]) ? a[e] : b[e]);
    case WEFT_DO_NEGATE: WEFT_EACH(-a[e]);
    case WEFT_DO_ABSOLUTE: WEFT_EACH(std::fabs(a[e]));
    case WEFT_DO_SQRT: WEFT_EACH(std::sqrt(a[e]));
    case WEFT_DO_RSQRT: WEFT_EACH(1.0f / std::sqrt(a[e]));
    case WEFT_DO_EXP: WEFT_EACH(std::exp(a[e]));
    case WEFT_DO_LOG: WEFT_EACH(std::log(a[e]));
    case WEFT_DO_TANH: WEFT_EACH(std::tanh(a[e]));
    case WEFT_DO_SINE: WEFT_EACH(std::sin(a[e]));
    case WEFT_DO_COSINE: WEFT_EACH(std::cos(a[e]));
    case WEFT_DO_GREATER: WEFT_EACH(a[e] > b[e] ? 1.0f : 0.0f);
    default: break;
  }
}

static float reduce(weft_instruction_kind kind, float start, const float *a, const float *b, std::uint32_t count) {
  float sum = start;
  switch (kind) {
    case WEFT_DO_DOT:
      for (std::uint32_t e = 0; e < count; ++e) sum = std::fma(a[e], b[e], sum);
      break;
    case WEFT_DO_GREATEST:
      for (std::uint32_t e = 0; e < count; ++e) sum = sum > a[e] || std::isnan(sum) ? sum : a[e];
      break;
    default:
      for (std::uint32_t e = 0; e < count; ++e) sum += a[e];
      break;
  }
  return sum;
}

// Sums of `width` elements stay in registers over all turns.
template <std::uint32_t width>
static void accumulate_some(float *__restrict to, const float *__restrict a, std::ptrdiff_t a_step,
                            const float *__restrict b, std::ptrdiff_t b_step, std::uint32_t turns) {
  float sums[width];
  for (std::uint32_t e = 0; e < width; ++e) sums[e] = to[e];
  for (std::uint32_t t = 0; t < turns; ++t, a += a_step, b += b_step)
    for (std::uint32_t e = 0; e < width; ++e) sums[e] = std::fma(a[e], *b, sums[e]);
  for (std::uint32_t e = 0; e < width; ++e) to[e] = sums[e];
}

static void accumulate(float *to, const float *a, std::ptrdiff_t a_step, const float *b, std::ptrdiff_t b_step,
                       std::uint32_t turns, std::uint32_t count) {
  std::uint32_t e = 0;
  for (; e + 32 <= count; e += 32) accumulate_some<32>(to + e, a + e, a_step, b, b_step, turns);
  for (; e + 8 <= count; e += 8) accumulate_some<8>(to + e, a + e, a_step, b, b_step, turns);
  for (; e + 4 <= count; e += 4) accumulate_some<4>(to + e, a + e, a_step, b, b_step, turns);
  for (; e < count; ++e) accumulate_some<1>(to + e, a + e, a_step, b, b_step, turns);
}

extern const vector_loops WEFT_LOOPS;
const vector_loops WEFT_LOOPS = {WEFT_LOOPS_NAME, elements, reduce, accumulate};

}  // namespace weft
