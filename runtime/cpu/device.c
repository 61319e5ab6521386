// Opening, buffers, conversion of operands, and the table of ops.
#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/cpu/cpu.h"

static cpu_op *const ops[WEFT_OP_COUNT] = {
    [WEFT_OP_EMBED] = weft_cpu_embed,
    [WEFT_OP_EMBED_BACKWARD] = weft_cpu_embed_backward,
    [WEFT_OP_LINEAR] = weft_cpu_linear,
    [WEFT_OP_LINEAR_BACKWARD_INPUT] = weft_cpu_linear_backward_input,
    [WEFT_OP_LINEAR_BACKWARD_WEIGHT] = weft_cpu_linear_backward_weight,
    [WEFT_OP_LAYER_NORM] = weft_cpu_layer_norm,
    [WEFT_OP_LAYER_NORM_BACKWARD] = weft_cpu_layer_norm_backward,
    [WEFT_OP_RMS_NORM] = weft_cpu_rms_norm,
    [WEFT_OP_RMS_NORM_BACKWARD] = weft_cpu_rms_norm_backward,
    [WEFT_OP_ROPE] = weft_cpu_rope,
    [WEFT_OP_ROPE_BACKWARD] = weft_cpu_rope_backward,
    [WEFT_OP_ATTENTION] = weft_cpu_attention,
    [WEFT_OP_ATTENTION_BACKWARD] = weft_cpu_attention_backward,
    [WEFT_OP_CACHE_WRITE] = weft_cpu_cache_write,
    [WEFT_OP_ATTENTION_CACHED] = weft_cpu_attention_cached,
    [WEFT_OP_ACTIVATION] = weft_cpu_activation,
    [WEFT_OP_ACTIVATION_BACKWARD] = weft_cpu_activation_backward,
    [WEFT_OP_GATED] = weft_cpu_gated,
    [WEFT_OP_GATED_BACKWARD] = weft_cpu_gated_backward,
    [WEFT_OP_ADD] = weft_cpu_add,
    [WEFT_OP_LAST_ROW] = weft_cpu_last_row,
    [WEFT_OP_CROSS_ENTROPY] = weft_cpu_cross_entropy,
    [WEFT_OP_CROSS_ENTROPY_BACKWARD] = weft_cpu_cross_entropy_backward,
    [WEFT_OP_LOAD] = weft_cpu_load,
    [WEFT_OP_STORE_GRADIENT] = weft_cpu_store_gradient,
    [WEFT_OP_ALL_REDUCE] = weft_cpu_all_reduce,
    [WEFT_OP_SQUARE_SUM] = weft_cpu_square_sum,
    [WEFT_OP_ADAMW] = weft_cpu_adamw_op,
    [WEFT_OP_SGD] = weft_cpu_sgd,
};

weft_status weft_cpu_reserve(cpu_buffer *buffer, size_t bytes, void **out_memory) {
  if (bytes > buffer->bytes) {
    weft_free_large(buffer->memory);
    *buffer = (cpu_buffer){0};
    WEFT_TRY(weft_allocate_large(bytes, "an operand of backend cpu", &buffer->memory));
    buffer->bytes = bytes;
  }
  *out_memory = buffer->memory;
  return NULL;
}

weft_status weft_cpu_scratch(const cpu_call *c, uint64_t floats_each, float **out_memory, uint64_t *out_stride) {
  uint64_t stride = (floats_each + 31) / 16 * 16;  // a line between the parts, so that threads do not share one
  void *memory;
  WEFT_TRY(weft_cpu_reserve(&c->lane->scratch, (size_t)c->threads * stride * sizeof(float), &memory));
  *out_memory = memory;
  *out_stride = stride;
  return NULL;
}

const float *weft_cpu_get(const cpu_kernels *k, const weft_view *v, uint64_t row, uint64_t column, uint64_t count,
                          float *room) {
  const void *at = cpu_at(v, row, column);
  if (v->dtype == WEFT_F32) return at;
  if (v->dtype == WEFT_BF16)
    k->from_bf16(at, room, count);
  else
    weft_dtype_to_f32(v->dtype, at, room, count);
  return room;
}

void weft_cpu_put(const cpu_kernels *k, const weft_view *v, uint64_t row, uint64_t column, uint64_t count,
                  const float *room) {
  if (v->dtype == WEFT_F32) return;
  if (v->dtype == WEFT_BF16)
    k->to_bf16(room, cpu_at(v, row, column), count);
  else
    weft_dtype_from_f32(v->dtype, room, cpu_at(v, row, column), count);
}

// One of the two is f32.
void weft_cpu_convert(const cpu_call *c, const weft_view *from, const weft_view *to) {
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t r = 0; r < from->rows; ++r) {
    if (to->dtype == WEFT_F32)
      weft_cpu_get(c->k, from, r, 0, from->columns, cpu_at(to, r, 0));
    else
      weft_cpu_put(c->k, to, r, 0, to->columns, cpu_at(from, r, 0));
  }
}

weft_status weft_cpu_as_f32(const cpu_call *c, const weft_view *v, int index, weft_view *out_view) {
  weft_view from = *v;  // out_view may be v
  *out_view = from;
  if (!from.data || from.dtype == WEFT_F32) return NULL;
  void *memory;
  WEFT_TRY(weft_cpu_reserve(&c->lane->buffers[index], from.rows * from.columns * sizeof(float), &memory));
  *out_view = (weft_view){memory, WEFT_F32, from.rows, from.columns, from.columns};
  weft_cpu_convert(c, &from, out_view);
  return NULL;
}

static void cpu_close(void *device) {
  cpu_device *d = device;
  if (!d) return;
  for (int lane = 0; lane < WEFT_LANES; ++lane) {
    cpu_lane *l = &d->lanes[lane];
    for (int i = 0; i < CPU_BUFFERS; ++i) weft_free_large(l->buffers[i].memory);
    weft_free_large(l->scratch.memory);
    weft_cpu_products_destroy(l->products);
    free(l->angles.table);
  }
  weft_cpu_place_close(d->place);
  free(d);
}

static weft_status cpu_open(const weft_backend_options *options, void **out_device) {
  cpu_device *d = weft_allocate(sizeof *d);
  weft_status status = weft_cpu_place_open(options ? options->threads : 0, &d->place);
  if (status) {
    cpu_close(d);
    return status;
  }
  d->threads = weft_cpu_place_threads(d->place);
  d->units = weft_cpu_place_units(d->place);
  uint32_t levels;
  const cpu_kernels *const *all = weft_cpu_kernels_all(&levels);
  d->k = all[levels - 1];
#pragma omp parallel num_threads(d->threads)
  if (omp_get_thread_num() > 0) weft_cpu_place_bind_worker(d->place, omp_get_thread_num());
  *out_device = d;
  return NULL;
}

static char *cpu_describe(void *device) {
  const cpu_device *d = device;
  char *place = weft_cpu_place_describe(d->place);
  char *text = weft_format("%d thread%s on %s; oneDNN %s: f32 gemm, bf16 %s, f16 converted to f32; vector loops %s",
                           d->threads, d->threads == 1 ? "" : "s", place, weft_cpu_product_isa(),
                           weft_cpu_multiplies_bf16() ? "AMX tiles (granted)" : "converted to f32 (AMX not granted)",
                           d->k->name);
  free(place);
  return text;
}

// Waking another thread costs some ten microseconds: work that one thread does in less stays on it. Which threads work
// never changes a result.
static bool is_small(const weft_call *call) {
  const uint64_t few_bytes = 128u << 10;
  uint64_t bytes = 0;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS + WEFT_OP_MAX_OUTPUTS; ++i) {
    const weft_view *v = i < WEFT_OP_MAX_INPUTS ? &call->inputs[i] : &call->outputs[i - WEFT_OP_MAX_INPUTS];
    if (v->data) bytes += v->rows * v->columns * cpu_element_bytes(v->dtype);
  }
  if (call->op == WEFT_OP_ATTENTION_CACHED)  // the caches' views are of all their room
    bytes = call->inputs[0].rows * (call->scalars->position + call->inputs[0].rows) * call->inputs[0].columns *
            sizeof(float);
  bool multiplies = call->op == WEFT_OP_LINEAR || call->op == WEFT_OP_LINEAR_BACKWARD_INPUT ||
                    call->op == WEFT_OP_LINEAR_BACKWARD_WEIGHT || call->op == WEFT_OP_ATTENTION ||
                    call->op == WEFT_OP_ATTENTION_BACKWARD;
  return bytes < (multiplies && call->inputs[0].rows > 1 ? few_bytes / 8 : few_bytes);
}

static weft_status cpu_compute(void *device, uint32_t lane, const weft_call *call) {
  cpu_device *d = device;
  assert(lane < WEFT_LANES && call->op < WEFT_OP_COUNT);
  cpu_call c = {.device = d,
                .k = d->k,
                .lane = &d->lanes[lane],
                .call = call,
                .a = call->attributes,
                .s = call->scalars,
                .threads = is_small(call) ? 1 : d->threads,
                .first = call->row_begin == 0,
                .last = call->row_end >= call->weight_rows};
  return ops[call->op](&c);
}

const weft_backend weft_backend_cpu = {
    .name = "cpu",
    .about = "this computer's processor: OpenMP, oneDNN, hwloc",
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .compute = cpu_compute,
};
