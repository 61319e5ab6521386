// Opens operands as f32, calls the kernel, rounds the outputs.
#include "runtime/ref/ref.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { BUFFERS = WEFT_OP_MAX_INPUTS + WEFT_OP_MAX_OUTPUTS + 1 };

typedef struct ref_buffer {
  void *memory;
  size_t bytes;
} ref_buffer;

typedef struct ref_lane {
  ref_buffer buffers[BUFFERS];  // of the inputs, the outputs, and the sums
} ref_lane;

typedef struct ref_device {
  ref_lane lanes[WEFT_LANES];
} ref_device;

// How device.c treats the operands of an op.
enum {
  RAW = 1,          // the kernel converts by itself: the operand is far larger than what the op touches
  READS_OUTPUT = 2  // with `accumulate`, the output is read too
};

static const struct {
  ref_kernel *kernel;
  int flags;
} kernels[WEFT_OP_COUNT] = {
    [WEFT_OP_EMBED] = {weft_ref_embed, RAW},
    [WEFT_OP_EMBED_BACKWARD] = {weft_ref_embed_backward, READS_OUTPUT},
    [WEFT_OP_LINEAR] = {weft_ref_linear, 0},
    [WEFT_OP_LINEAR_BACKWARD_INPUT] = {weft_ref_linear_backward_input, READS_OUTPUT},
    [WEFT_OP_LINEAR_BACKWARD_WEIGHT] = {weft_ref_linear_backward_weight, 0},
    [WEFT_OP_LAYER_NORM] = {weft_ref_layer_norm, 0},
    [WEFT_OP_LAYER_NORM_BACKWARD] = {weft_ref_layer_norm_backward, 0},
    [WEFT_OP_RMS_NORM] = {weft_ref_rms_norm, 0},
    [WEFT_OP_RMS_NORM_BACKWARD] = {weft_ref_rms_norm_backward, 0},
    [WEFT_OP_ROPE] = {weft_ref_rope, 0},
    [WEFT_OP_ROPE_BACKWARD] = {weft_ref_rope_backward, 0},
    [WEFT_OP_ATTENTION] = {weft_ref_attention, 0},
    [WEFT_OP_ATTENTION_BACKWARD] = {weft_ref_attention_backward, 0},
    [WEFT_OP_CACHE_WRITE] = {weft_ref_cache_write, RAW},
    [WEFT_OP_ATTENTION_CACHED] = {weft_ref_attention_cached, 0},
    [WEFT_OP_ACTIVATION] = {weft_ref_activation, 0},
    [WEFT_OP_ACTIVATION_BACKWARD] = {weft_ref_activation_backward, 0},
    [WEFT_OP_GATED] = {weft_ref_gated, 0},
    [WEFT_OP_GATED_BACKWARD] = {weft_ref_gated_backward, 0},
    [WEFT_OP_ADD] = {weft_ref_add, 0},
    [WEFT_OP_LAST_ROW] = {weft_ref_last_row, 0},
    [WEFT_OP_CROSS_ENTROPY] = {weft_ref_cross_entropy, 0},
    [WEFT_OP_CROSS_ENTROPY_BACKWARD] = {weft_ref_cross_entropy_backward, 0},
    [WEFT_OP_LOAD] = {weft_ref_load, RAW},
    [WEFT_OP_STORE_GRADIENT] = {weft_ref_store_gradient, RAW},
    [WEFT_OP_ALL_REDUCE] = {weft_ref_all_reduce, RAW},
    [WEFT_OP_SQUARE_SUM] = {weft_ref_square_sum, 0},
    [WEFT_OP_ADAMW] = {weft_ref_adamw, 0},
    [WEFT_OP_SGD] = {weft_ref_sgd, 0},
};

double weft_ref_dot(const float *a, const float *b, uint64_t count) {
  double sums[8] = {0}, rest = 0;
  uint64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (uint64_t j = 0; j < 8; ++j) sums[j] += (double)a[i + j] * (double)b[i + j];
  for (; i < count; ++i) rest += (double)a[i] * (double)b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])) + rest;
}

static weft_status ref_open(const weft_backend_options *options, void **out_device) {
  (void)options;  // one thread, whatever is asked for
  *out_device = weft_allocate(sizeof(ref_device));
  return NULL;
}

static void ref_close(void *device) {
  ref_device *d = device;
  if (!d) return;
  for (int lane = 0; lane < WEFT_LANES; ++lane)
    for (int i = 0; i < BUFFERS; ++i) weft_free_large(d->lanes[lane].buffers[i].memory);
  free(d);
}

static char *ref_describe(void *device) {
  (void)device;
  return weft_copy_text("1 thread, scalar C, f32, f16 and bf16 operands, sums in f64");
}

// A buffer keeps its content between calls as long as it need not grow: chunks of one step rely on that.
static weft_status reserve(ref_buffer *buffer, size_t bytes, void **out_memory) {
  if (bytes > buffer->bytes) {
    weft_free_large(buffer->memory);
    *buffer = (ref_buffer){0};
    WEFT_TRY(weft_allocate_large(bytes, "an operand of backend ref", &buffer->memory));
    buffer->bytes = bytes;
  }
  *out_memory = buffer->memory;
  return NULL;
}

static bool is_half(weft_dtype dtype) { return dtype == WEFT_F16 || dtype == WEFT_BF16; }

static void *row_of(const weft_view *v, uint64_t row) { return (uint16_t *)v->data + row * v->stride; }

// `load`: the values are wanted, not just the room for them.
static weft_status open_operand(const weft_view *v, ref_buffer *buffer, bool load, ref_matrix *out_matrix) {
  *out_matrix = (ref_matrix){v->data, v->rows, v->columns, v->stride};
  if (!v->data || !is_half(v->dtype)) return NULL;
  void *memory;
  WEFT_TRY(reserve(buffer, v->rows * v->columns * sizeof(float), &memory));
  out_matrix->data = memory;
  out_matrix->stride = v->columns;
  for (uint64_t r = 0; load && r < v->rows; ++r)
    weft_dtype_to_f32(v->dtype, row_of(v, r), ref_row(out_matrix, r), v->columns);
  return NULL;
}

static void round_output(const weft_view *v, const ref_matrix *m) {
  if (!v->data || !is_half(v->dtype)) return;
  for (uint64_t r = 0; r < v->rows; ++r) weft_dtype_from_f32(v->dtype, ref_row(m, r), row_of(v, r), v->columns);
}

// Ops whose chunk fills only some columns of the output see only those.
static weft_view part_of_output(const weft_call *call, int index) {
  weft_view v = call->outputs[index];
  bool columns = (call->op == WEFT_OP_LINEAR && !call->attributes->transposed) ||
                 (call->op == WEFT_OP_LINEAR_BACKWARD_INPUT && call->attributes->transposed);
  if (!columns || !v.data) return v;
  uint64_t each = v.dtype == WEFT_F32 ? 4 : 2;
  v.data = (char *)v.data + call->row_begin * each;
  v.columns = call->inputs[1].rows;
  return v;
}

static weft_status ref_compute(void *device, uint32_t lane, const weft_call *call) {
  assert(lane < WEFT_LANES && call->op < WEFT_OP_COUNT);
  ref_lane *l = &((ref_device *)device)->lanes[lane];
  int flags = kernels[call->op].flags;
  ref_call c = {.call = call,
                .a = call->attributes,
                .s = call->scalars,
                .first = call->row_begin == 0,
                .last = call->row_end >= call->weight_rows};
  // Columns that are added to over chunks must stay f32 until the last one.
  bool sums_over_chunks = (call->op == WEFT_OP_LINEAR && call->attributes->transposed) ||
                          (call->op == WEFT_OP_LINEAR_BACKWARD_INPUT && !call->attributes->transposed);
  uint64_t widest = 1;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    const weft_view *v = &call->inputs[i];
    if (v->columns > widest) widest = v->columns;
    if (!(flags & RAW)) WEFT_TRY(open_operand(v, &l->buffers[i], true, &c.in[i]));
  }
  weft_view outputs[WEFT_OP_MAX_OUTPUTS];
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    outputs[i] = part_of_output(call, i);
    if (outputs[i].columns > widest) widest = outputs[i].columns;
    bool load = (flags & READS_OUTPUT) && call->accumulate && (!sums_over_chunks || c.first);
    if (!(flags & RAW)) WEFT_TRY(open_operand(&outputs[i], &l->buffers[WEFT_OP_MAX_INPUTS + i], load, &c.out[i]));
  }
  void *sums;
  WEFT_TRY(reserve(&l->buffers[BUFFERS - 1], widest * 2 * sizeof(double), &sums));
  c.sums = sums;
  kernels[call->op].kernel(&c);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS && !(flags & RAW) && (c.last || !sums_over_chunks); ++i)
    round_output(&outputs[i], &c.out[i]);
  return NULL;
}

const weft_backend weft_backend_ref = {
    .name = "ref",
    .about = "plain scalar C: the truth that other backends are compared with",
    .open = ref_open,
    .close = ref_close,
    .describe = ref_describe,
    .compute = ref_compute,
};
