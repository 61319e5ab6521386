// Backend cpu: OpenMP over tiles and rows, oneDNN for matrix products, own vector loops (kernels.h) for the rest.
//
// Same bytes for any number of threads: work is cut into pieces by the shapes and by the number of processing units of
// this computer, never by the number of threads; a piece is computed by one thread; sums over pieces are made in their
// order. No product is split along its inner dimension.
//
// Dtypes: f32 is computed where it lies. bf16 matrix products go to AMX where the system grants it; elsewhere, and for
// f16 and mixed operands, they are converted to f32 first. All other ops convert one row at a time, in cache.
#ifndef WEFT_RUNTIME_CPU_CPU_H
#define WEFT_RUNTIME_CPU_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/backend.h"
#include "runtime/cpu/kernels.h"

typedef struct cpu_place cpu_place;        // place.c
typedef struct cpu_products cpu_products;  // gemm.c

enum { CPU_BUFFERS = 10 };

typedef struct cpu_buffer {
  void *memory;
  size_t bytes;
} cpu_buffer;

// Angles of rotary positions, in lane 0: cosines and sines of positions [0, rows), `half` of each per row.
typedef struct cpu_angles {
  weft_attributes attributes;
  uint64_t rows;
  float *table;
} cpu_angles;

typedef struct cpu_lane {
  cpu_buffer buffers[CPU_BUFFERS];  // keep their content between calls while they need not grow
  cpu_buffer scratch;               // equal parts for the threads
  cpu_products *products;
  cpu_angles angles;
} cpu_lane;

typedef struct cpu_device {
  const cpu_kernels *k;
  cpu_place *place;
  int threads;
  uint32_t units;  // processing units of the computer
  cpu_lane lanes[WEFT_LANES];
} cpu_device;

typedef struct cpu_call {
  const cpu_device *device;
  const cpu_kernels *k;
  cpu_lane *lane;
  const weft_call *call;
  const weft_attributes *a;
  const weft_scalars *s;
  int threads;
  bool first, last;  // chunk of the stored weight
} cpu_call;

// device.c. reserve: room that stays as it was unless it grows. scratch: floats_each per thread, 64-byte aligned parts.
weft_status weft_cpu_reserve(cpu_buffer *buffer, size_t bytes, void **out_memory) WEFT_CHECKED;
weft_status weft_cpu_scratch(const cpu_call *c, uint64_t floats_each, float **out_memory,
                             uint64_t *out_stride) WEFT_CHECKED;
// The operand as f32: itself, or converted by all threads into buffer `index` of the lane.
weft_status weft_cpu_as_f32(const cpu_call *c, const weft_view *v, int index, weft_view *out_view) WEFT_CHECKED;
void weft_cpu_convert(const cpu_call *c, const weft_view *from, const weft_view *to);  // same shape, by all threads

static inline uint64_t cpu_element_bytes(weft_dtype dtype) {
  return dtype == WEFT_F32 || dtype == WEFT_I32 ? 4 : dtype == WEFT_F64 ? 8 : 2;
}
static inline void *cpu_at(const weft_view *v, uint64_t row, uint64_t column) {
  return (char *)v->data + (row * v->stride + column) * cpu_element_bytes(v->dtype);
}
// Element i of a vector, whatever its shape is folded to.
static inline uint64_t cpu_folded(const weft_view *v, uint64_t i) {
  return i / v->columns * v->stride + i % v->columns;
}
static inline int32_t cpu_integer(const weft_view *v, uint64_t i) {
  return ((const int32_t *)v->data)[cpu_folded(v, i)];
}
static inline float *cpu_float(const weft_view *v, uint64_t i) { return (float *)v->data + cpu_folded(v, i); }

// `count` elements from (row, column) as f32: in place, or converted into `room`.
const float *weft_cpu_get(const cpu_kernels *k, const weft_view *v, uint64_t row, uint64_t column, uint64_t count,
                          float *room);
// Where to write such elements, and, afterwards, their rounding.
static inline float *cpu_room(const weft_view *v, uint64_t row, uint64_t column, float *room) {
  return v->dtype == WEFT_F32 ? cpu_at(v, row, column) : room;
}
void weft_cpu_put(const cpu_kernels *k, const weft_view *v, uint64_t row, uint64_t column, uint64_t count,
                  const float *room);

// gemm.c: c (m, n) = (adds ? c : 0) + scale * (op(a) op(b) + bias). a and b have the same dtype, f32 or (with
// weft_cpu_multiplies_bf16) bf16; a is (m, k), or (k, m) if a_across; b is (k, n), or (n, k) if b_across. adds needs c
// in f32.
typedef struct cpu_product {
  weft_dtype dtype;
  const void *a, *b;
  uint64_t a_stride, b_stride;
  bool a_across, b_across, adds;
  uint64_t m, n, k;
  float scale;
  const float *bias;  // of n, or NULL
  weft_view c;        // data at the first element
} cpu_product;

weft_status weft_cpu_multiply(const cpu_call *c, const cpu_product *p) WEFT_CHECKED;
// One product by the calling thread alone, inside its tile; f32.
bool weft_cpu_multiply_here(const cpu_product *p);
bool weft_cpu_multiplies_bf16(void);
const char *weft_cpu_product_isa(void);
void weft_cpu_products_destroy(cpu_products *products);

// place.c
weft_status weft_cpu_place_open(uint32_t threads, cpu_place **out_place) WEFT_CHECKED;
void weft_cpu_place_close(cpu_place *place);
int weft_cpu_place_threads(const cpu_place *place);
uint32_t weft_cpu_place_units(const cpu_place *place);
char *weft_cpu_place_describe(const cpu_place *place);                // caller frees
void weft_cpu_place_bind_worker(const cpu_place *place, int worker);  // the calling thread, where that helps

typedef weft_status cpu_op(const cpu_call *c);
cpu_op weft_cpu_linear, weft_cpu_linear_backward_input, weft_cpu_linear_backward_weight;                  // linear.c
cpu_op weft_cpu_layer_norm, weft_cpu_layer_norm_backward, weft_cpu_rms_norm, weft_cpu_rms_norm_backward;  // norm.c
cpu_op weft_cpu_activation, weft_cpu_activation_backward, weft_cpu_gated, weft_cpu_gated_backward, weft_cpu_add,
    weft_cpu_last_row;  // rows.c
cpu_op weft_cpu_rope, weft_cpu_rope_backward, weft_cpu_cross_entropy,
    weft_cpu_cross_entropy_backward;  // rope.c, loss.c
cpu_op weft_cpu_attention, weft_cpu_attention_backward, weft_cpu_attention_cached,
    weft_cpu_cache_write;  // attention*.c
cpu_op weft_cpu_embed, weft_cpu_embed_backward, weft_cpu_load, weft_cpu_store_gradient, weft_cpu_all_reduce;  // store.c
cpu_op weft_cpu_square_sum, weft_cpu_adamw_op, weft_cpu_sgd;  // update.c

#endif
