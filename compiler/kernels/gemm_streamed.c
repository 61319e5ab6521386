// Y = W X with X resident and W streamed: one wavelet per weight that is not zero, one AXPY per wavelet and core.
//
//   channel y -> (0,y) -> (1,y) -> (2,y) ...   row y holds features y tile_k ..., column x holds tokens x tile_n ...
//                  |         |        |         at the end partial rows of Y are added along the columns
#include <stdio.h>
#include <stdlib.h>

#include "compiler/kernels/products_internal.h"

// Colours: indices (16-bit types: with the weight), values, and chains along the columns (+ parity of the sender).
enum { INDEX, VALUE, SOUTHWARD, NORTHWARD = 4 };

typedef struct streamed {
  weft_product_program base;
  uint32_t data, row, y;  // registers
  uint32_t weight;        // array of one element, for 16-bit types
  bool top, bottom;
  uint32_t parity;
} streamed;

static void route_all(weft_kernel *kernel, bool values) {
  uint32_t last = kernel->columns - 1, core = 1u << WEFT_RAMP;
  for (uint32_t colour = INDEX; colour <= (values ? VALUE : INDEX); ++colour) {
    if (last > 0)
      weft_kernel_route(kernel, weft_block_of(0, last, 0, kernel->rows), colour, WEFT_WEST, core | 1u << WEFT_EAST);
    weft_kernel_route(kernel, weft_block_of(last, last + 1, 0, kernel->rows), colour, WEFT_WEST, core);
  }
  for (uint32_t y = 0; y < kernel->rows; ++y) {
    weft_block block = weft_block_of(0, kernel->columns, y, y + 1);
    uint32_t mine = y % 2, other = (y + 1) % 2;
    if (y + 1 < kernel->rows) {
      weft_kernel_route(kernel, block, SOUTHWARD + mine, WEFT_RAMP, 1u << WEFT_SOUTH);
      weft_kernel_route(kernel, block, NORTHWARD + other, WEFT_SOUTH, core);
    }
    if (y > 0) {
      weft_kernel_route(kernel, block, SOUTHWARD + other, WEFT_NORTH, core);
      weft_kernel_route(kernel, block, NORTHWARD + mine, WEFT_RAMP, 1u << WEFT_NORTH);
    }
  }
}

static weft_operand registered(const streamed *s, uint32_t reg) {
  return weft_value(s->base.kernel, s->base.program, reg);
}

// Row `reg` of an array of rows of `lead` elements.
static weft_operand row_of(const streamed *s, uint32_t array, uint32_t reg) {
  return weft_moved(weft_all(s->base.kernel, s->base.program, array), reg, (int32_t)s->base.product->lead);
}

// One weight: y[row] += weight * x[feature].
static void emit_weight(const streamed *s, uint32_t reduce) {
  const weft_product *q = s->base.product;
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, features = (1u << q->index_bits) - 1;
  bool narrow = weft_is_16_bit(q->options.dtype);
  weft_operand data = registered(s, s->data), feature = registered(s, s->base.at), row = registered(s, s->row);
  weft_begin_if(kernel, program, data, WEFT_EQUAL, weft_i32(-1));
  weft_activate(kernel, program, reduce);
  weft_begin_else(kernel, program);
  weft_operand weight = registered(s, s->base.value);
  if (narrow) {
    weight = weft_view_of(kernel, program, s->weight, 0, 0);
    weft_emit1(kernel, program, WEFT_DO_BITS, 1, weight, data);
  } else {
    weft_emit1(kernel, program, WEFT_DO_MOVE, 1, weight, weft_receive(VALUE, WEFT_F32));
  }
  weft_emit2(kernel, program, WEFT_DO_SHIFT_RIGHT, 1, row, data,
             weft_i32((int32_t)(q->index_bits + (narrow ? 16 : 0))));
  if (narrow) weft_emit2(kernel, program, WEFT_DO_SHIFT_RIGHT, 1, feature, data, weft_i32(16));
  weft_emit2(kernel, program, WEFT_DO_AND, 1, feature, narrow ? feature : data, weft_i32((int32_t)features));
  weft_operand y = row_of(s, s->base.c, s->row);
  weft_emit(kernel, program, WEFT_DO_FMA, q->lead, y, row_of(s, s->base.b, s->base.at), weight, y);
  weft_end(kernel, program);
}

// A core's part when the slice of row `counter` of cores is added up: from one side, on to the other.
static void emit_pass(const streamed *s, bool southward) {
  const weft_product *q = s->base.product;
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, count = q->tile_m * q->lead, base = southward ? SOUTHWARD : NORTHWARD;
  weft_operand slice = weft_moved(weft_all(kernel, program, s->base.c), s->base.counter, (int32_t)count);
  weft_operand out = weft_wavelets_out(base + s->parity, q->options.result);
  if (southward ? s->top : s->bottom)
    weft_emit1(kernel, program, WEFT_DO_MOVE, count, out, slice);
  else
    weft_emit2(kernel, program, WEFT_DO_ADD, count, out, slice,
               weft_wavelets_in(base + 1 - s->parity, q->options.result));
}

static void emit_reduce(const streamed *s) {
  const weft_product *q = s->base.product;
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, count = q->tile_m * q->lead;
  if (s->top && s->bottom) return;
  weft_operand owner = registered(s, s->base.counter), y = registered(s, s->y);
  weft_operand slice = weft_moved(weft_all(kernel, program, s->base.c), s->base.counter, (int32_t)count);
  weft_begin_loop(kernel, program, s->base.counter, weft_i32(0), weft_i32((int32_t)q->options.rows), 1);
  weft_begin_if(kernel, program, y, WEFT_EQUAL, owner);
  for (uint32_t base = SOUTHWARD; base <= NORTHWARD; base += NORTHWARD - SOUTHWARD)
    if (!(base == SOUTHWARD ? s->top : s->bottom))
      weft_emit2(kernel, program, WEFT_DO_ADD, count, slice, slice,
                 weft_wavelets_in(base + 1 - s->parity, q->options.result));
  weft_begin_else(kernel, program);
  weft_begin_if(kernel, program, y, WEFT_LESS, owner);
  if (!s->bottom) emit_pass(s, true);
  weft_begin_else(kernel, program);
  if (!s->top) emit_pass(s, false);
  weft_end(kernel, program);
  weft_end(kernel, program);
  weft_end(kernel, program);
}

static void emit_program(const weft_product *product, weft_kernel *kernel, const uint32_t *rows, uint32_t which) {
  uint32_t y = 0;
  while (rows[y] != which) ++y;
  streamed s = {.base = weft_product_program_begin(product, kernel, "streamed"),
                .top = y == 0,
                .bottom = y + 1 == kernel->rows,
                .parity = y % 2,
                .weight = WEFT_NOTHING};
  uint32_t program = s.base.program;
  uint32_t *columns = weft_allocate_array(kernel->columns, sizeof *columns);  // all of class 0
  weft_place_classes(kernel, program, columns, 0, rows, which);
  free(columns);
  s.data = weft_kernel_integer(kernel, program, "data", 0, 0, 0);
  s.row = weft_kernel_integer(kernel, program, "row", 0, 0, 0);
  s.y = weft_kernel_integer(kernel, program, "y", 0, 0, 1);
  if (weft_is_16_bit(product->options.dtype))
    s.weight = weft_kernel_array(kernel, program, "weight", product->options.dtype, 1);
  enum { WEIGHT, REDUCE };
  uint32_t task = weft_kernel_task(kernel, program, "weight", WEFT_BY_WAVELET);
  weft_kernel_task_at(kernel, program, task)->colour = INDEX;
  weft_kernel_task_at(kernel, program, task)->data = s.data;
  emit_weight(&s, REDUCE);
  weft_kernel_task(kernel, program, "reduce", WEFT_BY_ACTIVATION);
  emit_reduce(&s);
}

static void add_channels(weft_kernel *kernel, const weft_product *product) {
  const weft_product_options *o = &product->options;
  bool values = o->dtype == WEFT_F32;
  for (uint32_t colour = INDEX; colour <= (values ? VALUE : INDEX); ++colour)
    for (uint32_t y = 0; y < o->rows; ++y) {
      uint64_t words = o->stream_words ? o->stream_words[y] : weft_product_stream(product, NULL, y, NULL, NULL);
      // Index and value share the wire.
      double cycles = values && o->in_cycles_per_word < 2 ? 2 : o->in_cycles_per_word;
      weft_channel channel = {.into_mesh = true,
                              .y = y,
                              .port = WEFT_WEST,
                              .colour = colour,
                              .words = words - colour,  // no value belongs to the last index
                              .cycles_per_word = cycles};
      snprintf(channel.name, sizeof channel.name, "%s_%u", colour == INDEX ? "indices" : "values", y);
      weft_kernel_channel(kernel, channel);
    }
}

weft_kernel *weft_build_streamed(const weft_product *product) {
  const weft_product_options *o = &product->options;
  weft_kernel *kernel = weft_kernel_create("weights streamed", o->columns, o->rows);
  route_all(kernel, o->dtype == WEFT_F32);
  enum { TOP, BOTTOM, EVEN, ODD, CLASSES };
  uint32_t *rows = weft_allocate_array(o->rows, sizeof *rows);
  bool used[CLASSES] = {false};
  for (uint32_t y = 0; y < o->rows; ++y) {
    rows[y] = y == 0 ? TOP : y + 1 == o->rows ? BOTTOM : y % 2 ? ODD : EVEN;
    used[rows[y]] = true;
  }
  for (uint32_t which = 0; which < CLASSES; ++which)
    if (used[which]) emit_program(product, kernel, rows, which);
  add_channels(kernel, product);
  free(rows);
  return kernel;
}
