// Chosen by CMake where the compiler's own target is all there is.
#include "runtime/cpu/kernels.h"

extern const cpu_kernels weft_cpu_kernels_generic;

const cpu_kernels *const *weft_cpu_kernels_all(uint32_t *out_count) {
  static const cpu_kernels *const all[] = {&weft_cpu_kernels_generic};
  *out_count = 1;
  return all;
}
