// For those who write a backend; those who run schedules want runtime/session.h.
//
// A backend is one const struct. `ref` (runtime/ref) is plain scalar C: the truth and the template. CMake makes the
// table of backends (runtime/backends.c.in) from the folders that are built. What a backend computes is defined in
// models/ops.h; the conformance suite (tests/conformance) runs every op on every backend against ref.
#ifndef WEFT_RUNTIME_BACKEND_H
#define WEFT_RUNTIME_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "models/dtype.h"
#include "models/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// A matrix (or vector, rows = 1) in memory that the backend computes on. Higher ranks are folded: rows is the
// product of all but the last dimension. data NULL: operand absent.
typedef struct weft_view {
  void *data;
  weft_dtype dtype;
  uint64_t rows, columns;
  uint64_t stride;  // elements from row to row, >= columns
} weft_view;

// What a step needs beside its operands and attributes, set per run or iteration.
typedef struct weft_scalars {
  uint64_t position;  // rows already in the KV cache
  float loss_scale;   // cross_entropy_backward: 1 / number of targets that count, over the whole training step
  float learning_rate, beta1, beta2, epsilon, decay;
  uint64_t step;         // adamw: 1 for the first update (bias correction)
  float gradient_scale;  // adamw, sgd: clipping factor that gradients are multiplied by
} weft_scalars;

// Chunks: row_begin, row_end and weight_rows say which rows of the stored weight this call is about (all three 0, or 0
// and all rows, when it is not chunked). The chunks of one step come in order with no other call on their lane in
// between. Views of biases and of their gradients are always whole. LOAD and STORE_GRADIENT take either side as the
// chunk alone or as the whole matrix; LOAD copies the bias with the first chunk, STORE_GRADIENT with the last (when it
// is complete). Outputs that nobody wants (stats, lse, dx, dw, ...) may be absent.
typedef struct weft_call {
  weft_op op;
  const weft_attributes *attributes;
  const weft_scalars *scalars;
  weft_view inputs[WEFT_OP_MAX_INPUTS];
  weft_view outputs[WEFT_OP_MAX_OUTPUTS];
  bool accumulate;  // effective: the attribute, or, for outputs at the store, not the first micro-batch
  // Chunk of the stored weight: the weight's view (LINEAR: inputs[1], LINEAR_BACKWARD_INPUT: inputs[1],
  // LINEAR_BACKWARD_WEIGHT: outputs[0]) holds just these rows.
  uint64_t row_begin, row_end;
  uint64_t weight_rows;  // rows of the whole stored weight; row_end - row_begin when not chunked
} weft_call;

typedef struct weft_backend_options {
  uint32_t threads;  // 0: all cores this process may use
} weft_backend_options;

// A device is opened per session. compute is called from one thread at a time for the same `lane`; lanes (0 compute,
// 1 stream-in, 2 reduce and stream-out, 3 update) run concurrently and share nothing but the memory that the schedule's
// dependencies order. LOAD, STORE_GRADIENT, EMBED, EMBED_BACKWARD, SQUARE_SUM, ADAMW, SGD come on lanes 1 to 3.
enum { WEFT_LANES = 4 };

typedef struct weft_backend {
  const char *name;   // "ref", "cpu"
  const char *about;  // one line for `weft backends`
  // WEFT_UNAVAILABLE with the reason where this computer lacks what is needed.
  weft_status (*open)(const weft_backend_options *options, void **out_device);
  void (*close)(void *device);
  // One line: threads, instruction set, path per dtype: "2 threads, avx512_core_amx, f32 jit, bf16 amx". Caller frees.
  char *(*describe)(void *device);
  weft_status (*compute)(void *device, uint32_t lane, const weft_call *call);
} weft_backend;

const weft_backend *const *weft_backends(uint32_t *out_count);
weft_status weft_backend_find(const char *name,
                              const weft_backend **out_backend) WEFT_CHECKED;  // nearest name in the error
extern const weft_backend weft_backend_ref, weft_backend_cpu;

#ifdef __cplusplus
}
#endif
#endif
