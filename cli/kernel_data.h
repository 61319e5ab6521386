// Arrays, registers and channels of a kernel that is executed, by their names: over all cores at once.
#ifndef WEFT_CLI_KERNEL_DATA_H
#define WEFT_CLI_KERNEL_DATA_H

#include "compiler/kernel.h"
#include "models/machine.h"
#include "sim/mesh.h"

typedef struct weft_execution {
  const weft_kernel *kernel;
  const weft_machine *machine;
  weft_mesh_sim *mesh;
  uint32_t *programs;  // of each core, row by row; WEFT_NOTHING for none
  uint32_t cores;      // with a program
  uint32_t **words;    // buffers of the channels
} weft_execution;

// Of all cores that have it, one after the other, row by row.
typedef struct weft_execution_values {
  double *values;
  uint64_t count;
  bool whole;    // i32
  bool channel;  // of no core
} weft_execution_values;

void weft_execution_find_programs(weft_execution *execution);
// Elements of the array in core `core`, 1 of a register, 0 if its program has nothing of that name.
uint32_t weft_execution_length(const weft_execution *execution, size_t core, const char *name);

// Whether --print and --output can be answered: told before a long run. WEFT_INVALID names the nearest.
weft_status weft_execution_check(const weft_execution *execution, const char *option, const char *name) WEFT_CHECKED;
// "ARRAY=FILE" split and judged likewise.
weft_status weft_execution_check_output(const weft_execution *execution, const char *argument) WEFT_CHECKED;
// "ARRAY=WHAT" of --input, before the start.
weft_status weft_execution_input(weft_execution *execution, const char *argument) WEFT_CHECKED;
// "ARRAY=FILE" of --output, after the end.
weft_status weft_execution_output(const weft_execution *execution, const char *argument) WEFT_CHECKED;
// After the end; the caller frees the values.
weft_status weft_execution_fetch(const weft_execution *execution, const char *option, const char *name,
                                 weft_execution_values *out_values) WEFT_CHECKED;

#endif
