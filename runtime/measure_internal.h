// Shared by the files that measure; not for others.
#ifndef WEFT_RUNTIME_MEASURE_INTERNAL_H
#define WEFT_RUNTIME_MEASURE_INTERNAL_H

#include "runtime/measure.h"

// One point of the grid: an op on operands of these sizes.
typedef struct measure_point {
  weft_op op;
  weft_dtype dtype;
  uint64_t rows, in, out;  // as in models/ops.h; `out` is the vocabulary, or a table's rows
  weft_attributes a;
  uint64_t position;  // attention_cached: rows in the cache before
} measure_point;

// The grid, in the order of measuring. Caller frees.
measure_point *weft_measure_grid(uint32_t *out_count);

// Memory that operands are taken from.
typedef struct measure_pool {
  char *memory;
  uint64_t bytes, next;
  uint64_t dirty;  // so many bytes at the start hold other numbers than they were filled with
} measure_pool;

void weft_measure_pool_open(measure_pool *pool, void *memory, uint64_t bytes);

typedef struct measured {
  weft_rate rate;   // median
  double quickest;  // seconds
} measured;

// At least one run and at most what `seconds` allow. WEFT_INFEASIBLE: the operands do not fit the pool.
weft_status weft_measure_run(const weft_backend *backend, void *device, measure_pool *pool, const measure_point *point,
                             double seconds, measured *out) WEFT_CHECKED;

// measure_sharing.c: what the cores do together while a stream and products share them, of what they would do apart;
// (0, 1]. See sharing_efficiency in models/machine.h.
weft_status weft_measure_sharing(const weft_backend *backend, void *device, measure_pool *pool, uint32_t cores,
                                 double *out_efficiency) WEFT_CHECKED;

// measure_host.c
double weft_measure_hand_over_seconds(void);
double weft_measure_disk(char *note, size_t note_size);
double weft_measure_memory_bytes(void);

#endif
