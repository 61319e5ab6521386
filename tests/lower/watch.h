// A watch that counts: every kernel is shown once, with its step.
#ifndef WEFT_TESTS_LOWER_WATCH_H
#define WEFT_TESTS_LOWER_WATCH_H

#include "sim/wavelet.h"

typedef struct seen {
  uint32_t steps;  // of the schedule
  uint32_t last_step;
  uint64_t kernels, cycles;
} seen;

// For weft_wavelet_watch; context: a seen.
weft_status see(void *context, uint32_t step, const weft_kernel *kernel, const weft_mesh_sim *mesh,
                const weft_mesh_report *report);

#endif
