// Files of numpy (.npy, NEP 1): numbers with a shape.
#ifndef WEFT_CLI_NPY_H
#define WEFT_CLI_NPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { WEFT_NPY_DIMENSIONS = 8 };

typedef struct weft_npy {
  uint64_t shape[WEFT_NPY_DIMENSIONS];
  uint32_t dimensions;
  uint64_t count;  // product of the shape
  double *values;  // row by row
} weft_npy;

bool weft_npy_named(const char *path);  // ends in .npy
// Little-endian f2, f4, f8, i1 to i8, u1 to u4 and b1, in C order; of at most 8 dimensions. i8 beyond 2^53 is rounded.
// WEFT_INVALID says what the file holds otherwise.
weft_status weft_npy_read(const char *path, weft_npy *out_npy) WEFT_CHECKED;
void weft_npy_finish(weft_npy *npy);
// As f4, or where `whole` as i4.
weft_status weft_npy_write(const char *path, const weft_npy *npy, bool whole) WEFT_CHECKED;

#endif
