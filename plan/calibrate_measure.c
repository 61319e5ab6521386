// One shape of one class executed on a simulated mesh. Values are small pseudo-random numbers: cycles depend on them
// only through tokens' ids, which are spread over the table.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "compiler/kernels/products.h"
#include "plan/calibrate_internal.h"
#include "sim/mesh.h"
#include "sim/wavelet.h"

enum { CALIBRATION_SRAM = 1 << 20, VALUES = 7 };

static weft_machine resized(const weft_machine *machine, uint32_t columns, uint32_t rows) {
  weft_machine m = *machine;
  m.costs = NULL;
  m.mesh.columns = columns;
  m.mesh.rows = rows;
  m.mesh.sram_bytes_per_core = CALIBRATION_SRAM;
  m.mesh.reserved_bytes_per_core = 0;
  return m;
}

// ---- weight streaming

static void fill(float *values, uint64_t count, uint64_t stream) {
  for (uint64_t i = 0; i < count; ++i) values[i] = (float)weft_random_uniform(VALUES, stream, i) + 0.25f;
}

static weft_status feed(weft_mesh_sim *mesh, const weft_kernel *kernel, const weft_product *product,
                        const float *weights, uint32_t **buffers) {
  uint32_t rows = product->options.rows;
  for (uint32_t c = 0; c < kernel->channel_count; ++c)
    buffers[c] = weft_allocate_array(kernel->channels[c].words + 1, sizeof **buffers);
  for (uint32_t y = 0; y < rows; ++y)
    weft_product_stream(product, weights, y, buffers[y], kernel->channel_count > rows ? buffers[rows + y] : NULL);
  for (uint32_t c = 0; c < kernel->channel_count; ++c)
    WEFT_TRY(weft_mesh_feed(mesh, c, buffers[c], kernel->channels[c].words));
  return NULL;
}

static weft_status stream_through(const weft_machine *machine, const weft_product *product, const weft_kernel *kernel,
                                  const float *weights, double *out_cycles) {
  weft_mesh_options options = weft_mesh_options_default();
  options.count_links = false;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
  WEFT_TRY(weft_mesh_open(kernel, machine, &options, &mesh));
  uint32_t **buffers = weft_allocate_array(kernel->channel_count, sizeof *buffers);
  weft_status status = feed(mesh, kernel, product, weights, buffers);
  if (!status) status = weft_mesh_run(mesh, &report);
  if (!status) *out_cycles = (double)report.cycles;
  weft_mesh_close(mesh);
  for (uint32_t c = 0; c < kernel->channel_count; ++c) free(buffers[c]);
  free(buffers);
  return status;
}

// The kernel of a product on `m`, checked; the caller destroys it.
static weft_status product_kernel(const weft_machine *m, weft_dtype dtype, weft_product_kind kind, uint32_t rows,
                                  uint32_t inner, uint32_t columns, weft_product *out_product,
                                  weft_kernel **out_kernel) {
  weft_product_options options = weft_product_options_default(kind, m->mesh.columns, m->mesh.rows);
  options.m = rows;
  options.k = inner;
  options.n = columns;
  options.dtype = dtype;
  options.result = WEFT_F32;
  WEFT_TRY(weft_product_plan(&options, out_product));
  WEFT_TRY(weft_product_kernel(out_product, out_kernel));
  weft_status status = weft_kernel_check(*out_kernel, m->mesh.sram_bytes_per_core);
  if (status) weft_kernel_destroy(*out_kernel);
  return status;
}

// The kernel has features over rows of cores and tokens over columns: the mesh is turned.
static weft_status measure_streamed(const weft_machine *machine, weft_dtype dtype, const weft_calibration_call *c,
                                    double *out_cycles) {
  weft_machine m = resized(machine, c->rows, c->columns);
  weft_product product;
  weft_kernel *kernel;
  WEFT_TRY(product_kernel(&m, dtype, WEFT_GEMM_STREAMED, c->out, c->in, c->tokens, &product, &kernel));
  float *weights = weft_allocate_array((uint64_t)c->out * c->in, sizeof *weights);
  fill(weights, (uint64_t)c->out * c->in, 0);
  weft_status status = stream_through(&m, &product, kernel, weights, out_cycles);
  free(weights);
  weft_kernel_destroy(kernel);
  return status;
}

// Products by panels, SUMMA's overlapped form: activations and weights in panels along rows and down columns. Neither
// values nor a channel: nothing depends on them.
static weft_status measure_panels(const weft_machine *machine, weft_dtype dtype, const weft_calibration_call *c,
                                  double *out_cycles) {
  weft_machine m = resized(machine, c->columns, c->rows);
  weft_product product;
  weft_kernel *kernel;
  weft_mesh_sim *mesh = NULL;
  weft_mesh_options quiet = weft_mesh_options_default();
  weft_mesh_report report;
  quiet.count_links = false;
  WEFT_TRY(product_kernel(&m, dtype, WEFT_GEMM_SUMMA, c->tokens, c->in, c->out, &product, &kernel));
  weft_status status = weft_mesh_open(kernel, &m, &quiet, &mesh);
  if (!status) status = weft_mesh_run(mesh, &report);
  if (!status) *out_cycles = (double)report.cycles;
  weft_mesh_close(mesh);
  weft_kernel_destroy(kernel);
  return status;
}

// ---- ops as they are lowered

typedef struct operands {
  weft_wavelet_matrix in[WEFT_OP_MAX_INPUTS], out[WEFT_OP_MAX_OUTPUTS];
  uint32_t made;
} operands;

static weft_wavelet_matrix values(operands *o, uint32_t rows, uint32_t columns) {
  float *data = weft_allocate_array((uint64_t)rows * columns, sizeof *data);
  fill(data, (uint64_t)rows * columns, ++o->made);
  return (weft_wavelet_matrix){data, rows, columns};
}

// Ids, positions and targets: from 0 to `most` - 1.
static weft_wavelet_matrix integers(uint32_t rows, uint32_t most) {
  int32_t *data = weft_allocate_array(rows, sizeof *data);
  for (uint32_t i = 0; i < rows; ++i) data[i] = (int32_t)(i * 7 % most);
  return (weft_wavelet_matrix){data, rows, 1};
}

static void place_layer(operands *o, weft_op op, const weft_calibration_call *c) {
  uint32_t n = c->tokens, in = c->in, stats = op == WEFT_OP_LAYER_NORM_BACKWARD ? 2 : 1;
  switch (op) {
    case WEFT_OP_LINEAR:
      o->in[0] = values(o, n, in), o->in[1] = values(o, c->out, in), o->out[0] = values(o, n, c->out);
      break;
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT:
      o->in[0] = values(o, n, c->out), o->in[1] = values(o, n, in), o->out[0] = values(o, c->out, in);
      break;
    case WEFT_OP_LAYER_NORM:
      o->in[0] = values(o, n, in), o->in[1] = values(o, 1, in), o->in[2] = values(o, 1, in);
      o->out[0] = values(o, n, in), o->out[1] = values(o, n, 2);
      break;
    case WEFT_OP_RMS_NORM:
      o->in[0] = values(o, n, in), o->in[1] = values(o, 1, in);
      o->out[0] = values(o, n, in), o->out[1] = values(o, n, 1);
      break;
    case WEFT_OP_LAYER_NORM_BACKWARD:
    case WEFT_OP_RMS_NORM_BACKWARD:
      o->in[0] = values(o, n, in), o->in[1] = values(o, n, in), o->in[2] = values(o, 1, in);
      o->in[3] = values(o, n, stats), o->out[0] = values(o, n, in), o->out[1] = values(o, 1, in);
      if (stats == 2) o->out[2] = values(o, 1, in);
      break;
    case WEFT_OP_ROPE: o->in[0] = values(o, n, in), o->in[1] = integers(n, n), o->out[0] = values(o, n, in); break;
    case WEFT_OP_CROSS_ENTROPY:
      o->in[0] = values(o, n, in), o->in[1] = integers(n, in);
      o->out[0] = values(o, n, 1), o->out[1] = values(o, n, 1);
      break;
    case WEFT_OP_CROSS_ENTROPY_BACKWARD:
      o->in[0] = values(o, n, in), o->in[1] = integers(n, in), o->in[2] = values(o, n, 1);
      o->out[0] = values(o, n, in);
      break;
    default:  // element by element
      for (uint32_t i = 0; i < weft_op_get(op).inputs; ++i) o->in[i] = values(o, n, in);
      for (uint32_t i = 0; i < weft_op_get(op).outputs; ++i) o->out[i] = values(o, n, in);
  }
}

static void place_attention(operands *o, weft_op op, const weft_calibration_call *c) {
  uint32_t keys = c->kv_heads * c->head_dim, queries = keys * c->lanes, heads = c->kv_heads * c->lanes;
  bool backward = op == WEFT_OP_ATTENTION_BACKWARD;
  uint32_t at = 0;
  if (backward) o->in[at++] = values(o, c->tokens, queries);
  o->in[at++] = values(o, c->tokens, queries);
  o->in[at++] = values(o, c->room, keys);
  o->in[at++] = values(o, c->room, keys);
  if (backward) {
    o->in[at++] = values(o, c->tokens, queries);
    o->in[at++] = values(o, c->tokens, heads);
  }
  o->out[0] = values(o, c->tokens, queries);
  if (op == WEFT_OP_ATTENTION) o->out[1] = values(o, c->tokens, heads);
  if (backward) o->out[1] = values(o, c->room, keys), o->out[2] = values(o, c->room, keys);
}

static void place_rest(operands *o, weft_op op, const weft_calibration_call *c) {
  switch (op) {
    case WEFT_OP_EMBED:
      o->in[0] = integers(c->tokens, c->table), o->in[1] = values(o, c->table, c->in);
      o->out[0] = values(o, c->tokens, c->in);
      break;
    case WEFT_OP_EMBED_BACKWARD:
      o->in[0] = integers(c->tokens, c->table), o->in[1] = values(o, c->tokens, c->in);
      o->out[0] = values(o, c->table, c->in);
      break;
    case WEFT_OP_CACHE_WRITE:
      for (int i = 0; i < 2; ++i) o->in[i] = values(o, c->tokens, c->in), o->out[i] = values(o, c->room, c->in);
      break;
    case WEFT_OP_LAST_ROW: o->in[0] = values(o, c->tokens, c->in), o->out[0] = values(o, c->room, c->in); break;
    default:  // updates
      for (uint32_t i = 0; i < weft_op_get(op).inputs; ++i) o->in[i] = values(o, c->table, c->in);
      for (uint32_t i = 0; i < weft_op_get(op).outputs; ++i)
        o->out[i] = op == WEFT_OP_SQUARE_SUM ? values(o, 1, 1) : values(o, c->table, c->in);
  }
}

weft_status weft_calibration_measure(const weft_machine *machine, const weft_calibration_class *what, weft_dtype dtype,
                                     const weft_calibration_call *c, double *out_cycles) {
  if (what->family == WEFT_CALIBRATE_STREAMED) return measure_streamed(machine, dtype, c, out_cycles);
  if (what->family == WEFT_CALIBRATE_PANELS) return measure_panels(machine, dtype, c, out_cycles);
  weft_machine m = resized(machine, c->columns, c->rows);
  uint32_t heads = c->kv_heads * c->lanes;
  weft_attributes a = {.batch = 1,
                       .scale = 1,
                       .epsilon = 1e-5f,
                       .causal = true,
                       .heads = heads,
                       .kv_heads = c->kv_heads,
                       .head_dim = c->head_dim,
                       .rotary_dim = c->head_dim,
                       .context = c->room,
                       .rope_kind = WEFT_ROPE_HALF,
                       .rope_theta = 10000,
                       .decay = 1,
                       .activation = what->activation};
  weft_wavelet_scalars s = {.learning_rate = 1e-3f,
                            .beta1 = 0.9f,
                            .beta2 = 0.95f,
                            .epsilon = 1e-8f,
                            .step = 1,
                            .gradient_scale = 0.5f,
                            .loss_scale = 1,
                            .position = what->family == WEFT_CALIBRATE_CACHED ? c->room - c->tokens : 0};
  operands o = {0};
  if (what->family == WEFT_CALIBRATE_ATTENTION || what->family == WEFT_CALIBRATE_CACHED)
    place_attention(&o, what->op, c);
  else if (what->family >= WEFT_CALIBRATE_ROWS)
    place_rest(&o, what->op, c);
  else
    place_layer(&o, what->op, c);
  weft_wavelet_work work = {0};
  weft_status status = weft_wavelet_op(&m, dtype, what->op, &a, &s, false, o.in, o.out, &work);
  if (!status) *out_cycles = (double)work.cycles;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) free(o.in[i].data);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) free(o.out[i].data);
  return status;
}
