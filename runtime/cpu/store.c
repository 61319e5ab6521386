// Between device and weight store. Loads and gradients out run on the stream's own thread; the embedding's gradient,
// which is as large as the table, on all.
#include <assert.h>
#include <omp.h>
#include <sched.h>
#include <string.h>

#include "runtime/cpu/cpu.h"

// to[to_row] = from[from_row], converted.
static void copy_row(const cpu_call *c, const weft_view *from, uint64_t from_row, const weft_view *to, uint64_t to_row,
                     float *room) {
  if (from->dtype == to->dtype)
    memcpy(cpu_at(to, to_row, 0), cpu_at(from, from_row, 0), to->columns * cpu_element_bytes(to->dtype));
  else if (to->dtype == WEFT_F32)
    (void)weft_cpu_get(c->k, from, from_row, 0, to->columns, cpu_at(to, to_row, 0));
  else
    weft_cpu_put(c->k, to, to_row, 0, to->columns, weft_cpu_get(c->k, from, from_row, 0, to->columns, room));
}

weft_status weft_cpu_embed(const cpu_call *c) {
  const weft_view *ids = &c->call->inputs[0], *table = &c->call->inputs[1], *y = &c->call->outputs[0];
  uint64_t stride, width = table->columns;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, 2 * width, &room, &stride));
  for (uint64_t n = 0; n < y->rows; ++n) {
    int32_t id = cpu_integer(ids, n);
    assert(id >= 0 && (uint64_t)id < table->rows);
    if (c->a->scale == 1) {
      copy_row(c, table, (uint64_t)id, y, n, room);
      continue;
    }
    float *to = cpu_room(y, n, 0, room + width);
    c->k->finish(to, weft_cpu_get(c->k, table, (uint64_t)id, 0, width, room), NULL, c->a->scale, false, width);
    weft_cpu_put(c->k, y, n, 0, width, to);
  }
  return NULL;
}

// Columns in slices: each row of dy is added by one thread per slice, in order of n.
weft_status weft_cpu_embed_backward(const cpu_call *c) {
  enum { SLICE = 128 };
  const weft_view *ids = &c->call->inputs[0], *dy = &c->call->inputs[1], *table = &c->call->outputs[0];
  uint64_t width = table->columns;
  if (!c->call->accumulate) {
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (uint64_t r = 0; r < table->rows; ++r) memset(cpu_at(table, r, 0), 0, width * sizeof(float));
  }
#pragma omp parallel for num_threads(c->threads) schedule(static)
  for (uint64_t slice = 0; slice < (width + SLICE - 1) / SLICE; ++slice) {
    uint64_t first = slice * SLICE, count = width - first < SLICE ? width - first : SLICE;
    float row[SLICE];
    for (uint64_t n = 0; n < dy->rows; ++n)
      c->k->axpy(c->a->scale, weft_cpu_get(c->k, dy, n, first, count, row),
                 cpu_at(table, (uint64_t)cpu_integer(ids, n), first), count);
  }
  return NULL;
}

// Who copies shares cores with who multiplies, and the system lets a thread that has just woken run to its end: a whole
// chunk, with the team waiting at its barrier. So it asks after every piece whether somebody else wants the core.
static void copy_in_pieces(char *to, const char *from, size_t bytes) {
  const size_t piece = 128u << 10;
  for (size_t at = 0; at < bytes; at += piece) {
    memcpy(to + at, from + at, bytes - at < piece ? bytes - at : piece);
    sched_yield();
  }
}

// Either side may be the chunk alone or the whole matrix.
static weft_status move(const cpu_call *c, const weft_view *from, const weft_view *to, bool adds) {
  uint64_t rows = from->rows < to->rows ? from->rows : to->rows, stride;
  uint64_t from_first = from->rows > rows ? c->call->row_begin : 0, to_first = to->rows > rows ? c->call->row_begin : 0;
  float *room;
  bool whole = from->stride == from->columns && to->stride == from->columns && from->dtype == to->dtype;
  if (!adds && whole) {  // one long copy, which the library knows how to make without reading what it overwrites
    copy_in_pieces(cpu_at(to, to_first, 0), cpu_at(from, from_first, 0),
                   rows * from->columns * cpu_element_bytes(from->dtype));
    return NULL;
  }
  WEFT_TRY(weft_cpu_scratch(c, 2 * from->columns, &room, &stride));
  for (uint64_t r = 0; r < rows; ++r) {
    if (!adds) {
      copy_row(c, from, from_first + r, to, to_first + r, room);
      continue;
    }
    assert(to->dtype == WEFT_F32);
    float *sum = cpu_at(to, to_first + r, 0);
    c->k->add(sum, weft_cpu_get(c->k, from, from_first + r, 0, to->columns, room), sum, to->columns);
  }
  return NULL;
}

weft_status weft_cpu_load(const cpu_call *c) {
  WEFT_TRY(move(c, &c->call->inputs[0], &c->call->outputs[0], false));
  return c->first && c->call->inputs[1].data ? move(c, &c->call->inputs[1], &c->call->outputs[1], false) : NULL;
}

weft_status weft_cpu_store_gradient(const cpu_call *c) {
  WEFT_TRY(move(c, &c->call->inputs[0], &c->call->outputs[0], c->call->accumulate));
  return c->last && c->call->inputs[1].data ? move(c, &c->call->inputs[1], &c->call->outputs[1], c->call->accumulate)
                                            : NULL;
}

// One system: its own gradients are the sum.
weft_status weft_cpu_all_reduce(const cpu_call *c) {
  const weft_view *from = &c->call->inputs[0], *to = &c->call->outputs[0];
  return to->data && from->data != to->data ? move(c, from, to, false) : NULL;
}
