// What the generators of products share: local products, transfers, classes of cores.
#include <stdlib.h>

#include "compiler/kernels/products_internal.h"

weft_product_program weft_product_program_begin(const weft_product *product, weft_kernel *kernel, const char *name) {
  const weft_product_options *o = &product->options;
  weft_product_program p = {.product = product, .kernel = kernel, .a = WEFT_NOTHING, .b = WEFT_NOTHING};
  p.program = weft_kernel_program(kernel, name);
  const uint32_t *lengths = product->lengths;
  if (lengths[WEFT_PRODUCT_A]) {
    p.a = weft_kernel_array(kernel, p.program, "A", o->dtype, lengths[WEFT_PRODUCT_A]);
    weft_array *a = weft_kernel_array_at(kernel, p.program, p.a);
    a->input = true;
    // One word off C: the two are read in the same cycles.
    if (!o->published) a->skew = 4;
  }
  if (lengths[WEFT_PRODUCT_B]) {
    p.b = weft_kernel_array(kernel, p.program, "B", o->dtype, lengths[WEFT_PRODUCT_B]);
    weft_array *b = weft_kernel_array_at(kernel, p.program, p.b);
    b->input = true;
    if (o->kind == WEFT_GEMM_STREAMED) b->skew = 4;
  }
  p.c = weft_kernel_array(kernel, p.program, "C", o->result, lengths[WEFT_PRODUCT_C]);
  weft_kernel_array_at(kernel, p.program, p.c)->output = true;
  p.scratch = weft_kernel_array(kernel, p.program, "scratch", WEFT_I32, 1);
  p.counter = weft_kernel_integer(kernel, p.program, "k", 0, 0, 0);
  p.inner = weft_kernel_integer(kernel, p.program, "j", 0, 0, 0);
  p.a_at = weft_kernel_integer(kernel, p.program, "a_at", 0, 0, 0);
  p.b_at = weft_kernel_integer(kernel, p.program, "b_at", 0, 0, 0);
  p.at = weft_kernel_integer(kernel, p.program, "at", 0, 0, 0);
  p.value = weft_kernel_real(kernel, p.program, "value", 0);
  return p;
}

static weft_operand view(const weft_product_program *p, uint32_t array, uint32_t offset, int32_t stride) {
  return weft_view_of(p->kernel, p->program, array, (int32_t)offset, stride);
}

weft_instruction *weft_emit_control(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind) {
  weft_operand none = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};
  return weft_emit(kernel, program, kind, 1, none, none, none, none);
}

void weft_add_integer(weft_kernel *kernel, uint32_t program, uint32_t reg, weft_operand by) {
  weft_operand value = weft_value(kernel, program, reg);
  weft_emit2(kernel, program, WEFT_DO_ADD, 1, value, value, by);
}

// The longer of the loops over columns of C and over K is a map, the other is unrolled.
void weft_emit_product(const weft_product_program *p, uint32_t a_start, uint32_t b_start) {
  const weft_product *q = p->product;
  bool over_k = q->tile_k >= q->tile_n;
  uint32_t turns = over_k ? q->tile_k : q->tile_n, unrolled = over_k ? q->tile_n : q->tile_k;
  for (uint32_t u = 0; u < unrolled; ++u) {
    uint32_t k = over_k ? 0 : u, j = over_k ? u : 0;
    weft_operand c = view(p, p->c, j * q->lead, 1), a = view(p, p->a, a_start + k * q->lead, 1);
    weft_operand b = view(p, p->b, b_start + j * q->tile_k + k, 0);
    if (over_k)
      a = weft_moved(a, p->counter, (int32_t)q->lead);
    else
      c = weft_moved(c, p->counter, (int32_t)q->lead);
    b = weft_moved(b, p->counter, over_k ? 1 : (int32_t)q->tile_k);
    weft_begin_loop(p->kernel, p->program, p->counter, weft_i32(0), weft_i32((int32_t)turns), 1)->form = WEFT_MAP_LOOP;
    weft_emit(p->kernel, p->program, WEFT_DO_FMA, q->lead, c, a, b, c);
    weft_end(p->kernel, p->program);
  }
}

void weft_emit_upkeep(const weft_product_program *p, uint32_t instructions) {
  enum { FEW = 16 };
  if (instructions <= FEW) {
    weft_operand at = weft_value(p->kernel, p->program, p->inner);
    for (uint32_t i = 0; i < instructions; ++i) weft_emit1(p->kernel, p->program, WEFT_DO_MOVE, 1, at, at);
    return;
  }
  weft_operand scratch = view(p, p->scratch, 0, 0);
  weft_emit2(p->kernel, p->program, WEFT_DO_MAXIMUM, instructions, scratch, scratch, weft_i32(0));
}

void weft_emit_plain_product(const weft_product_program *p) {
  const weft_product *q = p->product;
  weft_kernel *kernel = p->kernel;
  uint32_t program = p->program;
  bool narrow = weft_is_16_bit(q->options.dtype);
  weft_operand at = weft_value(kernel, program, p->at), value = weft_value(kernel, program, p->value);
  weft_operand c = weft_moved(view(p, p->c, 0, 1), p->inner, (int32_t)q->lead);
  weft_operand a = weft_moved(view(p, p->a, 0, 1), p->a_at, 1), b = weft_moved(view(p, p->b, 0, 0), p->at, 1);
  weft_begin_loop(kernel, program, p->counter, weft_i32(0), weft_i32((int32_t)q->tile_k), 1);
  weft_emit2(kernel, program, WEFT_DO_ADD, 1, at, weft_value(kernel, program, p->counter),
             weft_value(kernel, program, p->b_at));
  weft_begin_loop(kernel, program, p->inner, weft_i32(0), weft_i32((int32_t)q->tile_n), 1);
  if (!narrow) weft_emit1(kernel, program, WEFT_DO_MOVE, 1, value, b);
  weft_emit(kernel, program, WEFT_DO_FMA, q->lead, c, a, narrow ? b : value, c);
  weft_emit_upkeep(p, q->options.upkeep);
  weft_add_integer(kernel, program, p->at, weft_i32((int32_t)q->tile_k));
  weft_end(kernel, program);
  weft_add_integer(kernel, program, p->a_at, weft_i32((int32_t)q->lead));
  weft_end(kernel, program);
}

weft_operand weft_wavelets_in(uint32_t colour, weft_dtype dtype) {
  weft_operand in = weft_receive(colour, dtype);
  return weft_is_16_bit(dtype) ? weft_packed(in) : in;
}

weft_operand weft_wavelets_out(uint32_t colour, weft_dtype dtype) {
  weft_operand out = weft_send(colour, dtype);
  return weft_is_16_bit(dtype) ? weft_packed(out) : out;
}

weft_instruction *weft_emit_send(const weft_product_program *p, uint32_t colour, weft_operand from, uint32_t count) {
  return weft_emit1(p->kernel, p->program, WEFT_DO_MOVE, count, weft_wavelets_out(colour, from.dtype), from);
}

weft_instruction *weft_emit_receive(const weft_product_program *p, weft_operand to, uint32_t colour, uint32_t count) {
  return weft_emit1(p->kernel, p->program, WEFT_DO_MOVE, count, to, weft_wavelets_in(colour, to.dtype));
}

// ---- classes of cores ----

void weft_each_progression(const uint32_t *classes, uint32_t count, uint32_t which,
                           void (*place)(void *context, uint32_t first, uint32_t end, uint32_t step), void *context) {
  uint32_t at = 0;
  while (at < count) {
    while (at < count && classes[at] != which) ++at;
    if (at == count) return;
    uint32_t first = at, next = at + 1;
    while (next < count && classes[next] != which) ++next;
    uint32_t step = next < count ? next - first : 1, last = first;
    // Members beyond this progression follow in the next one.
    for (uint32_t n = first + step; n < count && classes[n] == which; n += step) {
      bool between = false;
      for (uint32_t i = last + 1; i < n; ++i) between |= classes[i] == which;
      if (between) break;
      last = n;
    }
    place(context, first, last + 1, step);
    at = last + 1;
  }
}

typedef struct placing {
  weft_kernel *kernel;
  uint32_t program;
  const uint32_t *classes_y;
  uint32_t class_y;
  weft_block block;
} placing;

static void place_y(void *context, uint32_t first, uint32_t end, uint32_t step) {
  placing *p = context;
  p->block.y = first;
  p->block.y_end = end;
  p->block.step_y = step;
  weft_kernel_place(p->kernel, p->program, p->block);
}

static void place_x(void *context, uint32_t first, uint32_t end, uint32_t step) {
  placing *p = context;
  p->block.x = first;
  p->block.x_end = end;
  p->block.step_x = step;
  weft_each_progression(p->classes_y, p->kernel->rows, p->class_y, place_y, p);
}

void weft_place_classes(weft_kernel *kernel, uint32_t program, const uint32_t *classes_x, uint32_t class_x,
                        const uint32_t *classes_y, uint32_t class_y) {
  placing p = {.kernel = kernel, .program = program, .classes_y = classes_y, .class_y = class_y};
  weft_each_progression(classes_x, kernel->columns, class_x, place_x, &p);
}
