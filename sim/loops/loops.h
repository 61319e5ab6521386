// The inner loops of vector operations on f32, compiled once per instruction set (loops.cmake); one of them is chosen
// when the first mesh is opened. All give the same bits: products and sums are fused only where the operation says so,
// sums are made in the order of the elements, and nothing is reassociated.
#ifndef WEFT_SIM_LOOPS_LOOPS_H
#define WEFT_SIM_LOOPS_LOOPS_H

#include <cstddef>
#include <cstdint>

#include "compiler/kernel.h"

namespace weft {

struct vector_loops {
  const char *name;
  // to[e] = f(a[e], b[e], c[e]) for the kinds of operation that have a real result per element. Operands that the
  // operation does not have may point anywhere; `to` overlaps none of the others.
  void (*elements)(weft_instruction_kind kind, float *to, const float *a, const float *b, const float *c,
                   std::uint32_t count);
  // SUM, DOT and GREATEST of a (and b), beginning with `start`.
  float (*reduce)(weft_instruction_kind kind, float start, const float *a, const float *b, std::uint32_t count);
  // `turns` FMAs one after the other: to[e] = a[t * a_step + e] * b[t * b_step] + to[e]; `to` overlaps none of the
  // others.
  void (*accumulate)(float *to, const float *a, std::ptrdiff_t a_step, const float *b, std::ptrdiff_t b_step,
                     std::uint32_t turns, std::uint32_t count);
};

// The best that this processor has.
const vector_loops &chosen_loops();

}  // namespace weft
#endif
