// The conformance suite's parts: cases (an op, its shapes and attributes), their data, and how a backend is run on
// them.
#ifndef WEFT_TESTS_CONFORMANCE_SUITE_H
#define WEFT_TESTS_CONFORMANCE_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/backend.h"

typedef struct suite_case {
  const char *name;
  weft_op op;
  uint64_t rows, in, out;  // N, I, O as in models/ops.h; vocabulary or table rows where there is one: `out`
  weft_attributes a;
  bool bias, accumulate;
  uint64_t chunk_rows;      // of the stored weight; 0: whole
  uint64_t position, room;  // of the KV cache
  float ignored;            // share of targets that are -1
} suite_case;

// The dtype of an operand: one of the two that vary, or fixed by models/ops.h.
typedef enum suite_kind { SUITE_ABSENT, SUITE_ACTIVATION, SUITE_WEIGHT, SUITE_F32, SUITE_F64, SUITE_INDEX } suite_kind;

typedef struct suite_operand {
  suite_kind kind;
  uint64_t rows, columns;
  int32_t limit;  // index: values are below it
  weft_view view;
  char *memory, *initial;  // with padding between rows; what it held before the run
  size_t bytes;
} suite_operand;

typedef struct suite_data {
  const suite_case *of;
  weft_dtype activation, weight;
  suite_operand inputs[WEFT_OP_MAX_INPUTS], outputs[WEFT_OP_MAX_OUTPUTS];
  weft_scalars scalars;
} suite_data;

const suite_case *suite_cases(size_t *out_count);

// Operands filled with numbers that depend on the seed alone; what a backward op takes from its forward op (stats, o,
// lse) is computed by backend ref. `pad` elements lie between rows.
void suite_data_create(const suite_case *of, weft_dtype activation, weft_dtype weight, uint64_t pad, uint64_t seed,
                       suite_data *out_data);
void suite_data_destroy(suite_data *data);

// Runs the case, in chunks if it has them, from the initial content of the outputs. Fails the test on a bad status or
// when padding was written to.
void suite_run(const weft_backend *backend, void *device, suite_data *data);

float suite_value(const suite_operand *operand, uint64_t row, uint64_t column);
void suite_set(suite_operand *operand, uint64_t row, uint64_t column, float value);
double suite_scalar(const suite_operand *operand);  // f64
// Rows that a backend writes of this output, in order; all but for caches.
bool suite_same_bytes(const suite_data *a, const suite_data *b);

// Largest of |a - b| / (rounding of the dtype * |b| + 1e-5 * largest |b| + tiny) over output `index`; NaN must meet NaN
// and infinities their like, otherwise it is infinite. At most 1 is agreement.
double suite_distance(const suite_data *a, const suite_data *b, int index);

void *suite_open(const weft_backend *backend, uint32_t threads);  // NULL where the backend is unavailable

// definitions.c: the case's forward op by its definition, in f64, from the inputs' values. `inputs` and `outputs` are
// dense; an input that is absent is NULL. Only ops that have a definition there return true.
bool suite_define(const suite_case *of, const suite_data *data, double *const *inputs, double *const *outputs);

#endif
