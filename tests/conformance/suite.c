#include "suite.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"

typedef struct shape {
  suite_kind kind;
  uint64_t rows, columns;
  int32_t limit;
} shape;

static shape act(uint64_t rows, uint64_t columns) { return (shape){SUITE_ACTIVATION, rows, columns, 0}; }
static shape weight(uint64_t rows, uint64_t columns) { return (shape){SUITE_WEIGHT, rows, columns, 0}; }
static shape f32(uint64_t rows, uint64_t columns) { return (shape){SUITE_F32, rows, columns, 0}; }
static shape ids(uint64_t count, uint64_t limit) { return (shape){SUITE_INDEX, 1, count, (int32_t)limit}; }

// Shapes of the operands, as models/ops.h has them.
static void shapes_of(const suite_case *t, shape in[WEFT_OP_MAX_INPUTS], shape out[WEFT_OP_MAX_OUTPUTS]) {
  const weft_attributes *a = &t->a;
  uint64_t n = t->rows, i = t->in, o = t->out, q = (uint64_t)a->heads * a->head_dim,
           kv = (uint64_t)a->kv_heads * a->head_dim;
  shape stored = a->transposed ? weight(i, o) : weight(o, i), bias = t->bias ? weight(1, o) : (shape){0};
#define IN(...) memcpy(in, ((shape[]){__VA_ARGS__}), sizeof((shape[]){__VA_ARGS__}))
#define OUT(...) memcpy(out, ((shape[]){__VA_ARGS__}), sizeof((shape[]){__VA_ARGS__}))
  // clang-format off
  switch (t->op) {
    case WEFT_OP_EMBED: IN(ids(n, o), weight(o, i)); OUT(act(n, i)); break;
    case WEFT_OP_EMBED_BACKWARD: IN(ids(n, o), act(n, i)); OUT(f32(o, i)); break;
    case WEFT_OP_LINEAR: IN(act(n, i), stored, bias); OUT(act(n, o)); break;
    case WEFT_OP_LINEAR_BACKWARD_INPUT: IN(act(n, o), stored); OUT(act(n, i)); break;
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: IN(act(n, o), act(n, i)); OUT(stored, bias); break;
    case WEFT_OP_LAYER_NORM: IN(act(n, i), weight(1, i), weight(1, i)); OUT(act(n, i), f32(n, 2)); break;
    case WEFT_OP_LAYER_NORM_BACKWARD:
      IN(act(n, i), act(n, i), weight(1, i), f32(n, 2));
      OUT(act(n, i), weight(1, i), weight(1, i));
      break;
    case WEFT_OP_RMS_NORM: IN(act(n, i), weight(1, i)); OUT(act(n, i), f32(n, 1)); break;
    case WEFT_OP_RMS_NORM_BACKWARD:
      IN(act(n, i), act(n, i), weight(1, i), f32(n, 1));
      OUT(act(n, i), weight(1, i));
      break;
    case WEFT_OP_ROPE:
    case WEFT_OP_ROPE_BACKWARD: IN(act(n, q), ids(n, 500)); OUT(act(n, q)); break;
    case WEFT_OP_ATTENTION: IN(act(n, q), act(n, kv), act(n, kv)); OUT(act(n, q), f32(n, a->heads)); break;
    case WEFT_OP_ATTENTION_BACKWARD:
      IN(act(n, q), act(n, q), act(n, kv), act(n, kv), act(n, q), f32(n, a->heads));
      OUT(act(n, q), act(n, kv), act(n, kv));
      break;
    case WEFT_OP_CACHE_WRITE:
      IN(act(n, kv), act(n, kv));
      OUT(weight(a->batch * t->room, kv), weight(a->batch * t->room, kv));
      break;
    case WEFT_OP_ATTENTION_CACHED:
      IN(act(n, q), weight(a->batch * t->room, kv), weight(a->batch * t->room, kv));
      OUT(act(n, q));
      break;
    case WEFT_OP_ACTIVATION: IN(act(n, i)); OUT(act(n, i)); break;
    case WEFT_OP_ACTIVATION_BACKWARD: IN(act(n, i), act(n, i)); OUT(act(n, i)); break;
    case WEFT_OP_GATED: IN(act(n, i), act(n, i)); OUT(act(n, i)); break;
    case WEFT_OP_GATED_BACKWARD: IN(act(n, i), act(n, i), act(n, i)); OUT(act(n, i), act(n, i)); break;
    case WEFT_OP_ADD: IN(act(n, i), act(n, i)); OUT(act(n, i)); break;
    case WEFT_OP_LAST_ROW: IN(act(n, i)); OUT(act(a->batch, i)); break;
    case WEFT_OP_CROSS_ENTROPY: IN(act(n, o), ids(n, o)); OUT(f32(1, n), f32(1, n)); break;
    case WEFT_OP_CROSS_ENTROPY_BACKWARD: IN(act(n, o), ids(n, o), f32(1, n)); OUT(act(n, o)); break;
    case WEFT_OP_LOAD:
      IN(act(o, i), t->bias ? act(1, o) : (shape){0});
      OUT(weight(o, i), bias);
      break;
    case WEFT_OP_STORE_GRADIENT: IN(weight(o, i), bias); OUT(f32(o, i), t->bias ? f32(1, o) : (shape){0}); break;
    case WEFT_OP_ALL_REDUCE: IN(f32(o, i)); OUT(f32(o, i)); break;
    case WEFT_OP_SQUARE_SUM: IN(f32(o, i)); OUT((shape){SUITE_F64, 1, 1, 0}); break;
    case WEFT_OP_ADAMW: IN(f32(o, i), f32(o, i), f32(o, i), f32(o, i)); OUT(f32(o, i), f32(o, i), f32(o, i)); break;
    case WEFT_OP_SGD: IN(f32(o, i), f32(o, i)); OUT(f32(o, i)); break;
    case WEFT_OP_COUNT: break;
  }
    // clang-format on
#undef IN
#undef OUT
}

static weft_dtype dtype_of(suite_kind kind, weft_dtype activation, weft_dtype weights) {
  switch (kind) {
    case SUITE_ACTIVATION: return activation;
    case SUITE_WEIGHT: return weights;
    case SUITE_F64: return WEFT_F64;
    case SUITE_INDEX: return WEFT_I32;
    default: return WEFT_F32;
  }
}

static char *element(const suite_operand *o, uint64_t row, uint64_t column) {
  return o->memory + (row * o->view.stride + column) * weft_dtype_block_bytes(o->view.dtype);
}

float suite_value(const suite_operand *o, uint64_t row, uint64_t column) {
  float value;
  weft_dtype_to_f32(o->view.dtype, element(o, row, column), &value, 1);
  return value;
}

void suite_set(suite_operand *o, uint64_t row, uint64_t column, float value) {
  weft_dtype_from_f32(o->view.dtype, &value, element(o, row, column), 1);
}

double suite_scalar(const suite_operand *o) {
  double value;
  memcpy(&value, o->memory, sizeof value);
  return value;
}

static void fill(suite_operand *o, uint64_t seed, uint64_t stream, float ignored) {
  for (uint64_t r = 0; r < o->rows; ++r)
    for (uint64_t c = 0; c < o->columns; ++c) {
      uint64_t index = r * o->columns + c;
      if (o->kind == SUITE_INDEX) {
        int32_t value = (int32_t)(weft_random_uniform(seed, stream, index) * o->limit);
        if (weft_random_uniform(seed, stream + 100, index) < (double)ignored) value = -1;
        memcpy(element(o, r, c), &value, sizeof value);
      } else if (o->kind != SUITE_F64) {
        suite_set(o, r, c, (float)weft_random_normal(seed, stream, index));
      }
    }
  memcpy(o->initial, o->memory, o->bytes);
}

static void create_operand(suite_operand *o, shape s, weft_dtype dtype, uint64_t pad) {
  *o = (suite_operand){.kind = s.kind, .rows = s.rows, .columns = s.columns, .limit = s.limit};
  if (s.kind == SUITE_ABSENT) return;
  uint64_t stride = s.rows > 1 ? s.columns + pad : s.columns;
  o->bytes = s.rows * stride * weft_dtype_block_bytes(dtype);
  o->memory = malloc(o->bytes);
  o->initial = malloc(o->bytes);
  assert_non_null(o->memory);
  assert_non_null(o->initial);
  memset(o->memory, 0x5a, o->bytes);
  o->view = (weft_view){o->memory, dtype, s.rows, s.columns, stride};
}

// Runs `op` on ref with these operands.
static void forward(const suite_data *d, weft_op op, const suite_operand *const *in, int ins, suite_operand *const *out,
                    int outs) {
  void *device = suite_open(&weft_backend_ref, 1);
  weft_call call = {.op = op, .attributes = &d->of->a, .scalars = &d->scalars};
  for (int i = 0; i < ins; ++i) call.inputs[i] = in[i]->view;
  for (int i = 0; i < outs; ++i)
    if (out[i]) call.outputs[i] = out[i]->view;
  weft_status status = weft_backend_ref.compute(device, 0, &call);
  assert_null(status);
  weft_backend_ref.close(device);
  for (int i = 0; i < outs; ++i)
    if (out[i]) memcpy(out[i]->initial, out[i]->memory, out[i]->bytes);
}

// What the backward op was given by its forward op.
static void complete(suite_data *d) {
  suite_operand *in = d->inputs;
  suite_operand y = {0};
  switch (d->of->op) {
    case WEFT_OP_LAYER_NORM_BACKWARD:
    case WEFT_OP_RMS_NORM_BACKWARD: {
      bool centred = d->of->op == WEFT_OP_LAYER_NORM_BACKWARD;
      create_operand(&y, act(d->of->rows, d->of->in), WEFT_F32, 0);
      forward(d, centred ? WEFT_OP_LAYER_NORM : WEFT_OP_RMS_NORM, (const suite_operand *[]){&in[1], &in[2]}, 2,
              (suite_operand *[]){&y, &in[3]}, 2);
      break;
    }
    case WEFT_OP_ATTENTION_BACKWARD:
      forward(d, WEFT_OP_ATTENTION, (const suite_operand *[]){&in[1], &in[2], &in[3]}, 3,
              (suite_operand *[]){&in[4], &in[5]}, 2);
      break;
    case WEFT_OP_CROSS_ENTROPY_BACKWARD:
      create_operand(&y, f32(1, d->of->rows), WEFT_F32, 0);
      forward(d, WEFT_OP_CROSS_ENTROPY, (const suite_operand *[]){&in[0], &in[1]}, 2, (suite_operand *[]){&y, &in[2]},
              2);
      break;
    case WEFT_OP_ADAMW:  // second moments are not negative
      for (uint64_t i = 0; i < d->of->out * d->of->in; ++i) {
        uint64_t r = i / d->of->in, c = i % d->of->in;
        suite_set(&in[3], r, c, fabsf(suite_value(&in[3], r, c)));
      }
      memcpy(in[3].initial, in[3].memory, in[3].bytes);
      break;
    default: break;
  }
  free(y.memory);
  free(y.initial);
}

void suite_data_create(const suite_case *of, weft_dtype activation, weft_dtype weights, uint64_t pad, uint64_t seed,
                       suite_data *d) {
  shape in[WEFT_OP_MAX_INPUTS] = {0}, out[WEFT_OP_MAX_OUTPUTS] = {0};
  *d = (suite_data){.of = of, .activation = activation, .weight = weights};
  d->scalars = (weft_scalars){.position = of->position,
                              .loss_scale = 0.125f,
                              .learning_rate = 0.01f,
                              .beta1 = 0.9f,
                              .beta2 = 0.95f,
                              .epsilon = 1e-8f,
                              .decay = 0.1f,
                              .step = 3,
                              .gradient_scale = 0.7f};
  shapes_of(of, in, out);
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    create_operand(&d->inputs[i], in[i], dtype_of(in[i].kind, activation, weights), pad);
    bool targets = of->op == WEFT_OP_CROSS_ENTROPY || of->op == WEFT_OP_CROSS_ENTROPY_BACKWARD;
    if (in[i].kind) fill(&d->inputs[i], seed, (uint64_t)i, targets ? of->ignored : 0);
  }
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    create_operand(&d->outputs[i], out[i], dtype_of(out[i].kind, activation, weights), pad);
    if (out[i].kind) fill(&d->outputs[i], seed, 10 + (uint64_t)i, 0);
  }
  complete(d);
}

void suite_data_destroy(suite_data *d) {
  for (int i = 0; i < WEFT_OP_MAX_INPUTS + WEFT_OP_MAX_OUTPUTS; ++i) {
    suite_operand *o = i < WEFT_OP_MAX_INPUTS ? &d->inputs[i] : &d->outputs[i - WEFT_OP_MAX_INPUTS];
    free(o->memory);
    free(o->initial);
  }
}

static weft_view rows_of(weft_view v, uint64_t begin, uint64_t end) {
  if (!v.data) return v;
  v.data = (char *)v.data + begin * v.stride * weft_dtype_block_bytes(v.dtype);
  v.rows = end - begin;
  return v;
}

// Optimizers write where they read, as schedules have it.
static void alias(suite_data *d, weft_call *call) {
  static const int adamw[] = {0, 2, 3};
  int count = d->of->op == WEFT_OP_ADAMW ? 3 : d->of->op == WEFT_OP_SGD ? 1 : 0;
  for (int i = 0; i < count; ++i) {
    memcpy(d->outputs[i].memory, d->inputs[adamw[i]].initial, d->outputs[i].bytes);
    call->inputs[adamw[i]] = d->outputs[i].view;
  }
}

static void check_padding(const suite_operand *o) {
  uint64_t each = o->kind ? weft_dtype_block_bytes(o->view.dtype) : 0;
  for (uint64_t r = 0; r < o->rows; ++r)
    for (uint64_t b = o->columns * each; b < o->view.stride * each; ++b)
      if (o->memory[r * o->view.stride * each + b] != 0x5a)
        fail_msg("padding after row %llu was written to", (unsigned long long)r);
}

void suite_run(const weft_backend *backend, void *device, suite_data *d) {
  weft_call call = {.op = d->of->op, .attributes = &d->of->a, .scalars = &d->scalars, .accumulate = d->of->accumulate};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) call.inputs[i] = d->inputs[i].view;
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    call.outputs[i] = d->outputs[i].view;
    if (d->outputs[i].kind) memcpy(d->outputs[i].memory, d->outputs[i].initial, d->outputs[i].bytes);
  }
  alias(d, &call);
  uint64_t step = d->of->chunk_rows ? d->of->chunk_rows : 1;
  uint64_t total = !d->of->chunk_rows ? 1 : d->of->a.transposed ? d->of->in : d->of->out;  // rows that come in chunks
  bool loads = d->of->op == WEFT_OP_LOAD || d->of->op == WEFT_OP_STORE_GRADIENT;
  weft_call whole = call;
  for (uint64_t begin = 0; begin < total; begin += step) {
    uint64_t end = total - begin < step ? total : begin + step;
    call = whole;
    if (d->of->chunk_rows) {
      call.row_begin = begin;
      call.row_end = end;
      call.weight_rows = total;
      bool made = d->of->op == WEFT_OP_LINEAR_BACKWARD_WEIGHT;
      // Of a load only the slot's side is the chunk, of a gradient on its way out likewise.
      if (made || d->of->op == WEFT_OP_LOAD)
        call.outputs[0] = rows_of(whole.outputs[0], begin, end);
      else if (loads)
        call.inputs[0] = rows_of(whole.inputs[0], begin, end);
      else
        call.inputs[1] = rows_of(whole.inputs[1], begin, end);
    }
    weft_status status = backend->compute(device, loads ? 1 : 0, &call);
    if (status) fail_msg("%s: %s", d->of->name, weft_status_message(status));
  }
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) check_padding(&d->outputs[i]);
}

bool suite_same_bytes(const suite_data *a, const suite_data *b) {
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    if (a->outputs[i].kind && memcmp(a->outputs[i].memory, b->outputs[i].memory, a->outputs[i].bytes) != 0)
      return false;
  return true;
}

double suite_distance(const suite_data *a, const suite_data *b, int index) {
  const suite_operand *x = &a->outputs[index], *y = &b->outputs[index];
  if (!y->kind) return 0;
  if (y->kind == SUITE_F64) return fabs(suite_scalar(x) - suite_scalar(y)) / (1e-6 * fabs(suite_scalar(y)));
  double rounding = y->view.dtype == WEFT_BF16  ? 0x1p-8
                    : y->view.dtype == WEFT_F16 ? 0x1p-11
                                                : 0,
         largest = 0, worst = 0;
  for (uint64_t r = 0; r < y->rows; ++r)
    for (uint64_t c = 0; c < y->columns; ++c) {
      double value = fabs((double)suite_value(y, r, c));
      if (isfinite(value) && value > largest) largest = value;
    }
  for (uint64_t r = 0; r < y->rows; ++r)
    for (uint64_t c = 0; c < y->columns; ++c) {
      double got = (double)suite_value(x, r, c), wanted = (double)suite_value(y, r, c);
      if (isnan(got) && isnan(wanted)) continue;
      if (isinf(wanted) && got == wanted) continue;
      double distance = fabs(got - wanted) / (2 * rounding * fabs(wanted) + 1e-5 * largest + 1e-30);
      if (!(distance <= worst)) worst = isnan(distance) ? INFINITY : distance;
    }
  return worst;
}

void *suite_open(const weft_backend *backend, uint32_t threads) {
  void *device = NULL;
  weft_status status = backend->open(&(weft_backend_options){.threads = threads}, &device);
  if (weft_status_code(status) == WEFT_UNAVAILABLE) {
    weft_status_free(status);
    return NULL;
  }
  if (status) fail_msg("%s: %s", backend->name, weft_status_message(status));
  return device;
}
