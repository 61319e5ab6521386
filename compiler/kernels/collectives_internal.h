// Shared by the files of the collectives.
#ifndef WEFT_COMPILER_KERNELS_COLLECTIVES_INTERNAL_H
#define WEFT_COMPILER_KERNELS_COLLECTIVES_INTERNAL_H

#include "compiler/kernels/collectives.h"

weft_status weft_collective_check(const weft_collective *what) WEFT_CHECKED;
weft_operand weft_collective_receive(const weft_collective *what, uint32_t colour);
weft_operand weft_collective_send(const weft_collective *what, uint32_t colour);

// Routes of a broadcast from the root over the whole mesh.
void weft_broadcast_routes(weft_kernel *kernel, const weft_collective *what, uint32_t colour);

// Array "data" of all `elements`, input and output; task "main" at the start. Returns the array.
uint32_t weft_collective_begin(weft_kernel *kernel, uint32_t program, weft_dtype dtype, uint32_t elements);

#endif
