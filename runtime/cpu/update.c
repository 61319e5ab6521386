// Optimizers and the norm for clipping: one pass over f32 memory, in blocks of fixed size.
#include <math.h>
#include <sched.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

enum { BLOCK = 16384 };

// Contiguous matrices are one long row.
static void flatten(const cpu_call *c, uint64_t *out_rows, uint64_t *out_columns) {
  const weft_view *first = &c->call->inputs[0];
  bool contiguous = true;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
    if (c->call->inputs[i].data && c->call->inputs[i].stride != first->columns) contiguous = false;
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    if (c->call->outputs[i].data && c->call->op != WEFT_OP_SQUARE_SUM && c->call->outputs[i].stride != first->columns)
      contiguous = false;
  *out_rows = contiguous ? 1 : first->rows;
  *out_columns = contiguous ? first->rows * first->columns : first->columns;
}

weft_status weft_cpu_square_sum(const cpu_call *c) {
  uint64_t rows, columns;
  flatten(c, &rows, &columns);
  uint64_t blocks = (columns + BLOCK - 1) / BLOCK;
  void *memory;
  WEFT_TRY(weft_cpu_reserve(&c->lane->buffers[0], rows * blocks * sizeof(double), &memory));
  double *sums = memory, total = 0;
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t i = 0; i < rows * blocks; ++i) {
    uint64_t first = i % blocks * BLOCK, count = columns - first < BLOCK ? columns - first : BLOCK;
    sums[i] = c->k->square_sum(cpu_at(&c->call->inputs[0], i / blocks, first), count);
  }
  for (uint64_t i = 0; i < rows * blocks; ++i) total += sums[i];
  memcpy(c->call->outputs[0].data, &total, sizeof total);
  return NULL;
}

weft_status weft_cpu_adamw_op(const cpu_call *c) {
  const weft_scalars *s = c->s;
  const weft_view *in = c->call->inputs, *out = c->call->outputs;
  double rate = (double)s->learning_rate;
  cpu_adamw a = {.keep = (float)(1 - rate * (double)s->decay * (double)c->a->decay),
                 .beta1 = s->beta1,
                 .beta2 = s->beta2,
                 .rest1 = (float)(1 - (double)s->beta1),
                 .rest2 = (float)(1 - (double)s->beta2),
                 .step = (float)(rate / (1 - pow((double)s->beta1, (double)s->step))),
                 .inverse_root2 = (float)(1 / sqrt(1 - pow((double)s->beta2, (double)s->step))),
                 .epsilon = s->epsilon,
                 .gradient_scale = s->gradient_scale};
  uint64_t rows, columns;
  flatten(c, &rows, &columns);
  uint64_t blocks = (columns + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t i = 0; i < rows * blocks; ++i) {
    uint64_t row = i / blocks, first = i % blocks * BLOCK, count = columns - first < BLOCK ? columns - first : BLOCK;
    c->k->adamw(&a, cpu_at(&in[1], row, first), cpu_at(&in[0], row, first), cpu_at(&in[2], row, first),
                cpu_at(&in[3], row, first), cpu_at(&out[0], row, first), cpu_at(&out[1], row, first),
                cpu_at(&out[2], row, first), count);
    sched_yield();  // as in store.c: products go first
  }
  return NULL;
}

weft_status weft_cpu_sgd(const cpu_call *c) {
  const weft_view *in = c->call->inputs, *out = c->call->outputs;
  float factor = -(float)((double)c->s->learning_rate * (double)c->s->gradient_scale);
  uint64_t rows, columns;
  flatten(c, &rows, &columns);
  uint64_t blocks = (columns + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t i = 0; i < rows * blocks; ++i) {
    uint64_t row = i / blocks, first = i % blocks * BLOCK, count = columns - first < BLOCK ? columns - first : BLOCK;
    if (out[0].data != in[0].data)
      memcpy(cpu_at(&out[0], row, first), cpu_at(&in[0], row, first), count * sizeof(float));
    c->k->axpy(factor, cpu_at(&in[1], row, first), cpu_at(&out[0], row, first), count);
  }
  return NULL;
}
