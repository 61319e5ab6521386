// Runs a collective on a simulated wafer with data made here.
#ifndef WEFT_TESTS_COLLECTIVES_RIG_H
#define WEFT_TESTS_COLLECTIVES_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/kernels/collectives.h"
#include "sim/mesh.h"

void must(weft_status status);
void must_fail(weft_status status, const char *text);  // WEFT_INVALID, and the message contains `text`

// Data of core `core` (row by row), element i: whole numbers so small that every sum in these tests is exact.
float given(const weft_collective *what, uint32_t core, uint32_t i);
float sum_of(const weft_collective *what, uint32_t first_core, uint32_t cores, uint32_t i);

typedef struct rig {
  weft_collective what;
  uint32_t elements;  // of "data"
  weft_kernel *kernel;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
} rig;

// Takes the kernel; fills every core's data, runs it on machine wse2.
rig run_kernel(const weft_collective *what, uint32_t elements, weft_kernel *kernel, uint32_t threads);
rig run_reduce(const weft_collective *what, uint32_t threads);
rig run_all_reduce(const weft_collective *what, uint32_t threads);
rig run_broadcast(const weft_collective *what, uint32_t threads);
rig run_ring(const weft_collective *what, uint32_t threads);
const float *data_at(rig *r, uint32_t x, uint32_t y);  // until the next call
void end_rig(rig *r);

uint64_t cycles_of(rig r);  // ends it
uint32_t colours_of(const weft_kernel *kernel);

#endif
