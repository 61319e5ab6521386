// linear and its gradients over weft_cpu_multiply; with few rows (decoding), own loops at memory speed.
#include <omp.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

// Buffers of the lane that this file uses.
enum { OF_INPUT, OF_WEIGHT, OF_BIAS, OF_OUTPUT };

// Up to so many rows the weight is read once by dot products; beyond, tiles win (measured: tests/bench/ops.c).
enum { FEW_ROWS = 4, WEIGHT_ROWS = 32, WEIGHT_COLUMNS = 512 };

// Where both operands can go to oneDNN as they are, they do; else both become f32.
static weft_status open_pair(const cpu_call *c, const weft_view *one, int index, const weft_view *other,
                             int other_index, weft_view *out_one, weft_view *out_other) {
  *out_one = *one;
  *out_other = *other;
  if (one->dtype == WEFT_BF16 && other->dtype == WEFT_BF16 && weft_cpu_multiplies_bf16()) return NULL;
  WEFT_TRY(weft_cpu_as_f32(c, one, index, out_one));
  return weft_cpu_as_f32(c, other, other_index, out_other);
}

// Where sums over chunks are kept: the output itself if it is f32, else a buffer of this lane that starts from the
// output's content when `accumulate` asks for it.
static weft_status open_sums(const cpu_call *c, const weft_view *output, bool adds, weft_view *out_sums) {
  *out_sums = *output;
  if (output->dtype == WEFT_F32) return NULL;
  void *memory;
  WEFT_TRY(weft_cpu_reserve(&c->lane->buffers[OF_OUTPUT], output->rows * output->columns * sizeof(float), &memory));
  *out_sums = (weft_view){memory, WEFT_F32, output->rows, output->columns, output->columns};
  if (c->first && adds) weft_cpu_convert(c, output, out_sums);
  return NULL;
}

static void close_sums(const cpu_call *c, const weft_view *sums, const weft_view *output) {
  if (c->last && output->dtype != WEFT_F32) weft_cpu_convert(c, sums, output);
}

static weft_view columns_of(weft_view v, uint64_t first, uint64_t count) {
  v.data = cpu_at(&v, 0, first);
  v.columns = count;
  return v;
}

static float product_with(const cpu_kernels *k, const weft_view *w, uint64_t row, const float *x, float *room) {
  if (w->dtype == WEFT_BF16) return k->dot_bf16(cpu_at(w, row, 0), x, w->columns);
  return k->dot(weft_cpu_get(k, w, row, 0, w->columns, room), x, w->columns);
}

// Few rows, W (O, I): every row of W is read once and multiplied with each x.
static weft_status few_by_rows(const cpu_call *c, const weft_view *x, const weft_view *w, const float *bias,
                               const weft_view *y) {
  float *room;
  uint64_t stride, blocks = (w->rows + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
  WEFT_TRY(weft_cpu_scratch(c, w->columns, &room, &stride));
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t block = 0; block < blocks; ++block) {
    float *row = room + (uint64_t)omp_get_thread_num() * stride, results[FEW_ROWS][WEIGHT_ROWS];
    uint64_t first = block * WEIGHT_ROWS, count = w->rows - first < WEIGHT_ROWS ? w->rows - first : WEIGHT_ROWS;
    for (uint64_t o = 0; o < count; ++o) {
      if (w->dtype == WEFT_F16) weft_cpu_get(c->k, w, first + o, 0, w->columns, row);
      weft_view one = {row, WEFT_F32, 1, w->columns, w->columns};
      for (uint64_t n = 0; n < x->rows; ++n)
        results[n][o] = w->dtype == WEFT_F16 ? product_with(c->k, &one, 0, cpu_at(x, n, 0), row)
                                             : product_with(c->k, w, first + o, cpu_at(x, n, 0), row);
    }
    for (uint64_t n = 0; n < x->rows; ++n) {
      float *to = cpu_room(y, n, first, results[n]);
      c->k->finish(to, results[n], bias ? bias + first : NULL, c->a->scale, false, count);
      weft_cpu_put(c->k, y, n, first, count, to);
    }
  }
  return NULL;
}

// Few rows, W (I, O): columns of W in blocks, their sums in cache.
static weft_status few_by_columns(const cpu_call *c, const weft_view *x, const weft_view *w, const float *bias,
                                  const weft_view *y, bool adds) {
  uint64_t blocks = (w->columns + WEIGHT_COLUMNS - 1) / WEIGHT_COLUMNS;
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t block = 0; block < blocks; ++block) {
    float sums[FEW_ROWS][WEIGHT_COLUMNS], row[WEIGHT_COLUMNS];
    uint64_t first = block * WEIGHT_COLUMNS;
    uint64_t count = w->columns - first < WEIGHT_COLUMNS ? w->columns - first : WEIGHT_COLUMNS;
    memset(sums, 0, sizeof sums);
    for (uint64_t i = 0; i < w->rows; ++i) {
      const float *plain = w->dtype == WEFT_BF16 ? NULL : weft_cpu_get(c->k, w, i, first, count, row);
      for (uint64_t n = 0; n < x->rows; ++n) {
        float value = *(const float *)cpu_at(x, n, i);
        if (plain)
          c->k->axpy(value, plain, sums[n], count);
        else
          c->k->axpy_bf16(value, cpu_at(w, i, first), sums[n], count);
      }
    }
    for (uint64_t n = 0; n < x->rows; ++n)
      c->k->finish(cpu_at(y, n, first), sums[n], bias ? bias + first : NULL, c->a->scale, adds, count);
  }
  return NULL;
}

static weft_status few_rows(const cpu_call *c, const weft_view *x, const float *bias, const weft_view *y, bool adds) {
  weft_view plain;
  WEFT_TRY(weft_cpu_as_f32(c, x, OF_INPUT, &plain));
  if (!c->a->transposed) return few_by_rows(c, &plain, &c->call->inputs[1], bias, y);
  return few_by_columns(c, &plain, &c->call->inputs[1], bias, y, adds);
}

weft_status weft_cpu_linear(const cpu_call *c) {
  bool across = !c->a->transposed;  // W as stored is (O, I), the product wants (I, O)
  weft_view x = c->call->inputs[0], w = c->call->inputs[1], b, y = c->call->outputs[0], sums;
  WEFT_TRY(weft_cpu_as_f32(c, &c->call->inputs[2], OF_BIAS, &b));
  const float *bias = b.data;  // vectors are contiguous
  if (across) {
    if (bias) bias += c->call->row_begin;
    y = columns_of(y, c->call->row_begin, w.rows);
    sums = y;
  } else {
    if (!c->first) bias = NULL;
    x = columns_of(x, c->call->row_begin, w.rows);
    WEFT_TRY(open_sums(c, &y, false, &sums));
  }
  bool adds = !across && !c->first;
  if (x.rows <= FEW_ROWS) {
    WEFT_TRY(few_rows(c, &x, bias, &sums, adds));
  } else {
    WEFT_TRY(open_pair(c, &x, OF_INPUT, &w, OF_WEIGHT, &x, &w));
    cpu_product p = {.dtype = x.dtype,
                     .a = x.data,
                     .a_stride = x.stride,
                     .b = w.data,
                     .b_stride = w.stride,
                     .b_across = across,
                     .adds = adds,
                     .m = x.rows,
                     .n = across ? w.rows : w.columns,
                     .k = x.columns,
                     .scale = c->a->scale,
                     .bias = bias,
                     .c = sums};
    if (c->first && c->last) p.c = y;  // not chunked: rounded as it is made
    WEFT_TRY(weft_cpu_multiply(c, &p));
    if (c->first && c->last) return NULL;
  }
  if (!across) close_sums(c, &sums, &y);
  return NULL;
}

weft_status weft_cpu_linear_backward_input(const cpu_call *c) {
  bool across = c->a->transposed;  // W (O, I) is the right operand as it lies; (I, O) is not
  weft_view dy = c->call->inputs[0], w = c->call->inputs[1], dx = c->call->outputs[0], sums;
  if (across)
    dx = columns_of(dx, c->call->row_begin, w.rows);
  else
    dy = columns_of(dy, c->call->row_begin, w.rows);
  WEFT_TRY(open_pair(c, &dy, OF_INPUT, &w, OF_WEIGHT, &dy, &w));
  cpu_call whole = *c;  // a transposed chunk is complete in itself
  if (across) whole.first = whole.last = true;
  WEFT_TRY(open_sums(&whole, &dx, c->call->accumulate, &sums));
  cpu_product p = {.dtype = dy.dtype,
                   .a = dy.data,
                   .a_stride = dy.stride,
                   .b = w.data,
                   .b_stride = w.stride,
                   .b_across = across,
                   .adds = c->call->accumulate || (!across && !c->first),
                   .m = dy.rows,
                   .n = across ? w.rows : w.columns,
                   .k = dy.columns,
                   .scale = c->a->scale,
                   .c = sums};
  if (p.adds || across) {
    WEFT_TRY(weft_cpu_multiply(c, &p));
    close_sums(&whole, &sums, &dx);
    return NULL;
  }
  if (c->last) p.c = dx;  // not chunked: rounded as it is made
  WEFT_TRY(weft_cpu_multiply(c, &p));
  return NULL;
}

// db = scale * column sums of dy, columns in blocks, in f64.
static weft_status bias_gradient(const cpu_call *c, uint64_t first, uint64_t count) {
  const weft_view *dy = &c->call->inputs[0], *db = &c->call->outputs[1];
  enum { BLOCK = 256 };
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t block = 0; block < (count + BLOCK - 1) / BLOCK; ++block) {
    uint64_t begin = first + block * BLOCK, size = first + count - begin < BLOCK ? first + count - begin : BLOCK;
    double sums[BLOCK] = {0};
    float row[BLOCK];
    for (uint64_t n = 0; n < dy->rows; ++n) c->k->add_to_f64(weft_cpu_get(c->k, dy, n, begin, size, row), sums, size);
    for (uint64_t i = 0; i < size; ++i) row[i] = (float)((double)c->a->scale * sums[i]);
    if (db->dtype == WEFT_F32)
      memcpy(cpu_at(db, 0, begin), row, size * sizeof(float));
    else
      weft_cpu_put(c->k, db, 0, begin, size, row);
  }
  return NULL;
}

weft_status weft_cpu_linear_backward_weight(const cpu_call *c) {
  bool transposed = c->a->transposed;
  const weft_view *dw = &c->call->outputs[0];
  weft_view left = c->call->inputs[transposed], right = c->call->inputs[!transposed];
  if (c->call->outputs[1].data && (!transposed || c->first))
    WEFT_TRY(bias_gradient(c, transposed ? 0 : c->call->row_begin, transposed ? right.columns : dw->rows));
  if (!dw->data) return NULL;
  left = columns_of(left, c->call->row_begin, dw->rows);
  WEFT_TRY(open_pair(c, &left, OF_INPUT, &right, OF_WEIGHT, &left, &right));
  cpu_product p = {.dtype = left.dtype,
                   .a = left.data,
                   .a_stride = left.stride,
                   .a_across = true,
                   .b = right.data,
                   .b_stride = right.stride,
                   .m = dw->rows,
                   .n = dw->columns,
                   .k = left.rows,
                   .scale = c->a->scale,
                   .c = *dw};
  return weft_cpu_multiply(c, &p);
}
