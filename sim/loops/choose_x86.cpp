// Chosen by CMake on x86-64: two compilations of loops.cpp, the one that the processor and system allow.
#include "sim/loops/loops.h"

namespace weft {

extern const vector_loops vector_loops_generic, vector_loops_v3;

const vector_loops &chosen_loops() {
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
            __builtin_cpu_supports("bmi2");
  return v3 ? vector_loops_v3 : vector_loops_generic;
}

}  // namespace weft
