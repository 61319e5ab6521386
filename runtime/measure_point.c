// One point: operands, the call, the clock.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/measure_internal.h"

enum { LEAST_RUNS = 1, LEAST_SHORT_RUNS = 5, MOST_RUNS = 101 };

typedef enum home { FIXED, SLOT, FAR } home;

typedef struct operand {
  weft_dtype dtype;
  uint64_t rows, columns;  // 0 rows: absent
  home home;        // where it lies: always there; in two places by turns; at a new place of the pool in every run
  uint64_t offset;  // in the pool, but for FAR
} operand;

typedef struct operands {
  operand in[WEFT_OP_MAX_INPUTS], out[WEFT_OP_MAX_OUTPUTS];
  double bytes;  // as compiler counts them for a step
} operands;

static uint64_t bytes_of(const operand *o) {
  uint64_t bytes = 0;
  (void)weft_dtype_bytes(o->dtype, o->rows * o->columns, &bytes);
  return bytes;
}

static void describe(const measure_point *p, operands *o) {
  uint64_t n = p->rows, i = p->in, v = p->out;
  weft_dtype d = p->dtype;
// clang-format off
#define ACT(r, c) (operand){.dtype = d, .rows = r, .columns = c}
#define SLOT(r, c) (operand){.dtype = d, .rows = r, .columns = c, .home = SLOT}
#define STORE(r, c) (operand){.dtype = WEFT_F32, .rows = r, .columns = c, .home = FAR}
#define SAVED(r, c) (operand){.dtype = d, .rows = r, .columns = c, .home = FAR}
#define SAVED_F32(r, c) STORE(r, c)
#define F32(r, c) (operand){.dtype = WEFT_F32, .rows = r, .columns = c}
#define IDS(r) (operand){.dtype = WEFT_I32, .rows = 1, .columns = r}
#define SET(...) *o = (operands){__VA_ARGS__}
  switch (p->op) {
    case WEFT_OP_LINEAR: SET(.in = {ACT(n, i), SLOT(v, i), ACT(1, v)}, .out = {ACT(n, v)}); break;
    case WEFT_OP_LINEAR_BACKWARD_INPUT: SET(.in = {ACT(n, v), SLOT(v, i)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: SET(.in = {ACT(n, v), SAVED(n, i)}, .out = {SLOT(v, i), ACT(1, v)}); break;
    case WEFT_OP_LAYER_NORM: SET(.in = {ACT(n, i), ACT(1, i), ACT(1, i)}, .out = {ACT(n, i), F32(n, 2)}); break;
    case WEFT_OP_LAYER_NORM_BACKWARD:
      SET(.in = {ACT(n, i), SAVED(n, i), ACT(1, i), SAVED_F32(n, 2)}, .out = {ACT(n, i), ACT(1, i), ACT(1, i)});
      break;
    case WEFT_OP_RMS_NORM: SET(.in = {ACT(n, i), ACT(1, i)}, .out = {ACT(n, i), F32(n, 1)}); break;
    case WEFT_OP_RMS_NORM_BACKWARD:
      SET(.in = {ACT(n, i), SAVED(n, i), ACT(1, i), SAVED_F32(n, 1)}, .out = {ACT(n, i), ACT(1, i)});
      break;
    case WEFT_OP_ROPE:
    case WEFT_OP_ROPE_BACKWARD: SET(.in = {ACT(n, i), IDS(n)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_ATTENTION: SET(.in = {ACT(n, i), ACT(n, i), ACT(n, i)}, .out = {ACT(n, i), F32(n, p->a.heads)}); break;
    case WEFT_OP_ATTENTION_BACKWARD:
      SET(.in = {ACT(n, i), SAVED(n, i), SAVED(n, i), SAVED(n, i), SAVED(n, i), SAVED_F32(n, p->a.heads)},
          .out = {ACT(n, i), ACT(n, i), ACT(n, i)});
      break;
    case WEFT_OP_CACHE_WRITE: SET(.in = {ACT(n, i), ACT(n, i)}, .out = {ACT(n, i), ACT(n, i)}); break;
    case WEFT_OP_ATTENTION_CACHED:
      SET(.in = {ACT(n, i), ACT(p->a.context, i), ACT(p->a.context, i)}, .out = {ACT(n, i)});
      break;
    case WEFT_OP_ACTIVATION: SET(.in = {ACT(n, i)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_GATED: SET(.in = {ACT(n, i), ACT(n, i)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_ACTIVATION_BACKWARD:
    case WEFT_OP_ADD: SET(.in = {ACT(n, i), SAVED(n, i)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_GATED_BACKWARD: SET(.in = {ACT(n, i), SAVED(n, i), SAVED(n, i)}, .out = {ACT(n, i), ACT(n, i)}); break;
    case WEFT_OP_LAST_ROW: SET(.in = {ACT(n, i)}, .out = {ACT(1, i)}); break;
    case WEFT_OP_CROSS_ENTROPY: SET(.in = {ACT(n, i), IDS(n)}, .out = {F32(1, n), F32(1, n)}); break;
    case WEFT_OP_CROSS_ENTROPY_BACKWARD: SET(.in = {ACT(n, i), IDS(n), F32(1, n)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_EMBED: SET(.in = {IDS(n), STORE(v, i)}, .out = {ACT(n, i)}); break;
    case WEFT_OP_EMBED_BACKWARD: SET(.in = {IDS(n), ACT(n, i)}, .out = {STORE(v, i)}); break;
    case WEFT_OP_LOAD: SET(.in = {STORE(v, i)}, .out = {SLOT(v, i)}); break;
    case WEFT_OP_STORE_GRADIENT: SET(.in = {SLOT(v, i)}, .out = {STORE(v, i)}); break;
    case WEFT_OP_ALL_REDUCE:
    case WEFT_OP_SQUARE_SUM:
      SET(.in = {STORE(v, i)}, .out = {(operand){.dtype = WEFT_F64, .rows = 1, .columns = 1}});
      break;
    case WEFT_OP_ADAMW: SET(.in = {STORE(v, i), STORE(v, i), STORE(v, i), STORE(v, i)}); break;
    case WEFT_OP_SGD: SET(.in = {STORE(v, i), STORE(v, i)}); break;
    case WEFT_OP_COUNT: break;
  }
#undef ACT
#undef SLOT
#undef STORE
#undef SAVED
#undef SAVED_F32
#undef F32
#undef IDS
#undef SET
  // clang-format on
}

// The same sums as the compiler's: streams count one side, updates what passes through memory, tables only the rows.
static double count_bytes(const measure_point *p, const operands *o) {
  double elements = (double)p->out * (double)p->in, bytes = 0;
  switch (p->op) {
    case WEFT_OP_ADAMW: return 28 * elements;
    case WEFT_OP_SGD: return 12 * elements;
    case WEFT_OP_SQUARE_SUM: return 4 * elements;
    case WEFT_OP_LOAD: return (double)bytes_of(&o->out[0]);
    case WEFT_OP_STORE_GRADIENT: return (double)bytes_of(&o->in[0]);
    case WEFT_OP_EMBED: return (double)bytes_of(&o->out[0]);
    case WEFT_OP_EMBED_BACKWARD: return (double)bytes_of(&o->in[1]);
    default: break;
  }
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) bytes += (double)bytes_of(&o->in[i]);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) bytes += (double)bytes_of(&o->out[i]);
  return bytes;
}

static double count_flops(const measure_point *p, const operands *o) {
  const operand *first = o->out[0].rows ? &o->out[0] : &o->in[0];
  weft_op_size size = {.rows = p->rows,
                       .in = p->in,
                       .out = p->op == WEFT_OP_EMBED_BACKWARD ? p->in : p->out,
                       .elements = first->rows * first->columns};
  return weft_op_flops(p->op, &p->a, size);
}

static uint64_t rounded(uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

// Fixed operands and slots lie at the start of the pool; those at the store wander through the rest.
static weft_status lay_out(const measure_pool *pool, operands *o, uint64_t *out_near) {
  uint64_t near = 0, far = 0;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS + WEFT_OP_MAX_OUTPUTS; ++i) {
    operand *x = i < WEFT_OP_MAX_INPUTS ? &o->in[i] : &o->out[i - WEFT_OP_MAX_INPUTS];
    if (x->home == FAR) {
      far += rounded(bytes_of(x));
      continue;
    }
    x->offset = near;
    near += rounded(bytes_of(x)) * (x->home == SLOT ? 2 : 1);
  }
  *out_near = near;
  if (near + 2 * far <= pool->bytes) return NULL;
  return weft_error(WEFT_INFEASIBLE, "the operands need %llu bytes of the %llu in the pool",
                    (unsigned long long)(near + 2 * far), (unsigned long long)pool->bytes);
}

static weft_view view_of(measure_pool *pool, const operand *o, uint64_t near, int run) {
  if (!o->rows) return (weft_view){0};
  uint64_t at = o->offset, bytes = rounded(bytes_of(o));
  if (o->home == SLOT && run % 2 != 0) at += bytes;
  if (o->home == FAR) {
    if (pool->next < near || pool->next + bytes > pool->bytes) pool->next = near;
    at = pool->next;
    pool->next += bytes;
  }
  return (weft_view){pool->memory + at, o->dtype, o->rows, o->columns, o->columns};
}

// Any bytes in [begin, end) of the pool become numbers near 1/64 as f32 and as bf16: neither NaN nor subnormals, which
// may be slow.
static void freshen(measure_pool *pool, uint64_t begin, uint64_t end) {
  float *values = (float *)(void *)pool->memory;
  for (uint64_t i = begin / sizeof *values; i < end / sizeof *values; ++i) values[i] = 0x1.0079p-6f;
}

static void fill(measure_pool *pool, const operands *o, uint64_t near) {
  if (pool->dirty > near) freshen(pool, near, pool->dirty);
  freshen(pool, 0, near);
  pool->dirty = near;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    const operand *x = &o->in[i];
    int32_t *ids = (int32_t *)(void *)(pool->memory + x->offset);
    for (uint64_t e = 0; x->rows && x->dtype == WEFT_I32 && e < x->rows * x->columns; ++e)
      ids[e] = (int32_t)(e * 7 % 64);
  }
}

void weft_measure_pool_open(measure_pool *pool, void *memory, uint64_t bytes) {
  *pool = (measure_pool){.memory = memory, .bytes = bytes};
  freshen(pool, 0, bytes);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool changes_the_store(const operands *o, weft_op op) {
  return o->out[0].home == FAR || op == WEFT_OP_ADAMW || op == WEFT_OP_SGD;
}

weft_status weft_measure_run(const weft_backend *backend, void *device, measure_pool *pool, const measure_point *p,
                             double seconds, measured *out) {
  operands o = {0};
  uint64_t near;
  describe(p, &o);
  WEFT_TRY(lay_out(pool, &o, &near));
  fill(pool, &o, near);
  weft_scalars scalars = {.position = p->position,
                          .loss_scale = 0.01f,
                          .learning_rate = 1e-6f,
                          .beta1 = 0.9f,
                          .beta2 = 0.95f,
                          .epsilon = 1e-8f,
                          .decay = 0.1f,
                          .step = 10,
                          .gradient_scale = 1};
  uint32_t lane = p->op == WEFT_OP_LOAD || p->op == WEFT_OP_EMBED ? 1 : p->op >= WEFT_OP_STORE_GRADIENT ? 2 : 0;
  double times[MOST_RUNS], spent = 0;
  int runs = 0, least = LEAST_RUNS;
  for (int run = -1; run < MOST_RUNS && (run < least || spent < seconds); ++run) {
    weft_call call = {.op = p->op, .attributes = &p->a, .scalars = &scalars, .accumulate = p->a.accumulate};
    for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) call.inputs[i] = view_of(pool, &o.in[i], near, run);
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) call.outputs[i] = view_of(pool, &o.out[i], near, run);
    if (p->op == WEFT_OP_ADAMW) {
      call.outputs[0] = call.inputs[0];
      call.outputs[1] = call.inputs[2];
      call.outputs[2] = call.inputs[3];
    } else if (p->op == WEFT_OP_SGD) {
      call.outputs[0] = call.inputs[0];
    }
    double start = weft_clock_s();
    WEFT_TRY(backend->compute(device, lane, &call));
    double taken = weft_clock_s() - start;
    spent += taken;
    if (taken < seconds / 10) least = LEAST_SHORT_RUNS;
    if (run >= 0) times[runs++] = taken;  // the first one fills caches, tables and oneDNN's own
  }
  if (changes_the_store(&o, p->op)) pool->dirty = pool->bytes;
  qsort(times, (size_t)runs, sizeof *times, by_size);
  double median = times[runs / 2];
  *out = (measured){.rate = {p->op, p->dtype, (double)p->rows, count_flops(p, &o), count_bytes(p, &o), median},
                    .quickest = times[0]};
  return NULL;
}
