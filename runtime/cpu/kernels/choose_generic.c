// Chosen by CMake where the compiler's own target is all there is.
#include "runtime/cpu/kernels.h"

extern const cpu_kernels cpu_kernels_generic;

const cpu_kernels *cpu_kernels_choose(void) { return &cpu_kernels_generic; }
