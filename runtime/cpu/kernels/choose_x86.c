// Chosen by CMake on x86-64: three compilations of kernels.c, those that the processor and system allow.
#include "runtime/cpu/kernels.h"

extern const cpu_kernels weft_cpu_kernels_generic, weft_cpu_kernels_v3, weft_cpu_kernels_v4;

const cpu_kernels *const *weft_cpu_kernels_all(uint32_t *out_count) {
  static const cpu_kernels *const all[] = {&weft_cpu_kernels_generic, &weft_cpu_kernels_v3, &weft_cpu_kernels_v4};
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
            __builtin_cpu_supports("bmi2");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  *out_count = v4 ? 3 : v3 ? 2 : 1;
  return all;
}
