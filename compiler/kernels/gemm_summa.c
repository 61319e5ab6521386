// SUMMA: panels of A along the rows, panels of B along the columns.
#include <assert.h>

#include "compiler/kernels/products_internal.h"

enum { COLOUR_A, COLOUR_B };  // also the microthreads that carry them
enum { DATA_A = COLOUR_A, DATA_B = COLOUR_B };

// Roots take their turns from west to east (north to south): a router first takes from before, then from its own core,
// then from behind.
static void route_line(weft_kernel *kernel, uint32_t colour, bool along_x) {
  uint32_t count = along_x ? kernel->columns : kernel->rows;
  weft_port before = along_x ? WEFT_WEST : WEFT_NORTH, behind = along_x ? WEFT_EAST : WEFT_SOUTH;
  uint32_t to_before = 1u << before, to_behind = 1u << behind, to_core = 1u << WEFT_RAMP;
  if (count == 1) return;
  for (uint32_t part = 0; part < 3; ++part) {
    uint32_t first = part == 0 ? 0 : part == 1 ? 1 : count - 1, end = part == 0 ? 1 : part == 1 ? count - 1 : count;
    if (first >= end) continue;
    weft_block block =
        along_x ? weft_block_of(first, end, 0, kernel->rows) : weft_block_of(0, kernel->columns, first, end);
    if (part == 0) {
      weft_route_then(weft_kernel_route(kernel, block, colour, WEFT_RAMP, to_behind), behind, to_core);
    } else {
      weft_route *route = weft_kernel_route(kernel, block, colour, before, to_core | (part == 1 ? to_behind : 0));
      weft_route_then(route, WEFT_RAMP, part == 1 ? to_before | to_behind : to_before);
      if (part == 1) weft_route_then(route, behind, to_core | to_before);
    }
  }
}

typedef struct summa {
  weft_product_program base;
  uint32_t x, y, step;           // registers
  uint32_t owner[2], within[2];  // registers: who holds the next panel of A, of B, and its place there
} summa;

static void begin(summa *s, const weft_product *product, weft_kernel *kernel) {
  s->base = weft_product_program_begin(product, kernel, "summa");
  uint32_t program = s->base.program;
  weft_kernel_place(kernel, program, weft_block_all(kernel));
  s->x = weft_kernel_integer(kernel, program, "x", 0, 1, 0);
  s->y = weft_kernel_integer(kernel, program, "y", 0, 0, 1);
  s->step = weft_kernel_integer(kernel, program, "step", 0, 0, 0);
  for (int d = 0; d < 2; ++d) {
    s->owner[d] = weft_kernel_integer(kernel, program, d == DATA_A ? "a_owner" : "b_owner", 0, 0, 0);
    s->within[d] = weft_kernel_integer(kernel, program, d == DATA_A ? "a_panel" : "b_panel", 0, 0, 0);
  }
}

static uint32_t length_of(const summa *s, int d) {
  return d == DATA_A ? weft_product_panel_a(s->base.product) : weft_product_panel_b(s->base.product);
}

static uint32_t own_panels(const summa *s, int d) {
  const weft_product *q = s->base.product;
  return q->panels / (d == DATA_A ? q->options.columns : q->options.rows);
}

static uint32_t line_of(const summa *s, int d) {
  return d == DATA_A ? s->base.product->options.columns : s->base.product->options.rows;
}

static weft_operand registered(const summa *s, uint32_t reg) {
  return weft_value(s->base.kernel, s->base.program, reg);
}

static weft_operand panels(const summa *s, int d, uint32_t offset) {
  return weft_view_of(s->base.kernel, s->base.program, d == DATA_A ? s->base.a : s->base.b, (int32_t)offset, 1);
}

static weft_operand own_panel(const summa *s, int d) {
  return weft_moved(panels(s, d, 0), s->within[d], (int32_t)length_of(s, d));
}

static void begin_if_owner(const summa *s, int d) {
  weft_begin_if(s->base.kernel, s->base.program, registered(s, s->owner[d]), WEFT_EQUAL,
                registered(s, d == DATA_A ? s->x : s->y));
}

// Behind a root's last panel: the root's own router turns to "from behind", the next one to "from my core".
static void emit_turn(const summa *s, int d) {
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, own = own_panels(s, d);
  if (line_of(s, d) == 1) return;
  begin_if_owner(s, d);
  if (own > 1) weft_begin_if(kernel, program, registered(s, s->within[d]), WEFT_EQUAL, weft_i32((int32_t)own - 1));
  weft_emit2(kernel, program, WEFT_DO_SWITCH, 1, weft_send((uint32_t)d, WEFT_I32), weft_i32(0), weft_i32(2));
  if (own > 1) weft_end(kernel, program);
  weft_end(kernel, program);
}

static void emit_next_owner(const summa *s, int d) {
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, own = own_panels(s, d);
  if (own == 1) {
    weft_add_integer(kernel, program, s->owner[d], weft_i32(1));
    return;
  }
  weft_add_integer(kernel, program, s->within[d], weft_i32(1));
  weft_begin_if(kernel, program, registered(s, s->within[d]), WEFT_EQUAL, weft_i32((int32_t)own));
  weft_emit1(kernel, program, WEFT_DO_MOVE, 1, registered(s, s->within[d]), weft_i32(0));
  weft_add_integer(kernel, program, s->owner[d], weft_i32(1));
  weft_end(kernel, program);
}

// ---- as published: both broadcasts, then the product

static void emit_broadcast(const summa *s, int d, uint32_t done) {
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, length = length_of(s, d), buffer = own_panels(s, d) * length;
  uint32_t start = d == DATA_A ? s->base.a_at : s->base.b_at;
  if (line_of(s, d) == 1) {
    weft_emit2(kernel, program, WEFT_DO_MULTIPLY, 1, registered(s, start), registered(s, s->within[d]),
               weft_i32((int32_t)length));
    weft_activate(kernel, program, done);
    return;
  }
  begin_if_owner(s, d);
  weft_emit2(kernel, program, WEFT_DO_MULTIPLY, 1, registered(s, start), registered(s, s->within[d]),
             weft_i32((int32_t)length));
  weft_instruction *carry = weft_emit_send(&s->base, (uint32_t)d, own_panel(s, d), length);
  carry->microthread = (uint32_t)d;
  carry->task = done;
  weft_begin_else(kernel, program);
  weft_emit1(kernel, program, WEFT_DO_MOVE, 1, registered(s, start), weft_i32((int32_t)buffer));
  carry = weft_emit_receive(&s->base, panels(s, d, buffer), (uint32_t)d, length);
  carry->microthread = (uint32_t)d;
  carry->task = done;
  weft_end(kernel, program);
}

static void emit_published(const summa *s) {
  enum { COMPUTE, A_DONE, B_DONE, MAIN };
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program;
  uint32_t compute = weft_kernel_task(kernel, program, "compute", WEFT_BY_ACTIVATION);
  assert(compute == COMPUTE);
  weft_kernel_task_at(kernel, program, compute)->blocked = true;
  weft_emit_plain_product(&s->base);
  weft_emit_control(kernel, program, WEFT_DO_BLOCK)->task = COMPUTE;
  emit_next_owner(s, DATA_A);
  emit_next_owner(s, DATA_B);
  weft_add_integer(kernel, program, s->step, weft_i32(1));
  weft_begin_if(kernel, program, registered(s, s->step), WEFT_UNEQUAL, weft_i32((int32_t)s->base.product->panels));
  weft_activate(kernel, program, MAIN);
  weft_end(kernel, program);

  weft_kernel_task(kernel, program, "a_done", WEFT_BY_ACTIVATION);
  emit_turn(s, DATA_A);
  weft_activate(kernel, program, COMPUTE);

  weft_kernel_task(kernel, program, "b_done", WEFT_BY_ACTIVATION);
  emit_turn(s, DATA_B);
  weft_emit_control(kernel, program, WEFT_DO_UNBLOCK)->task = COMPUTE;

  weft_kernel_task(kernel, program, "main", WEFT_AT_START);
  weft_emit_upkeep(&s->base, s->base.product->options.setup);
  emit_broadcast(s, DATA_A, A_DONE);
  emit_broadcast(s, DATA_B, B_DONE);
}

// ---- overlapped: the panels of the next step travel during this step's product, into the other of two buffers

// The root sends from its own place and copies into the buffer, so that the product finds every panel there.
static void emit_prefetch(const summa *s, int d, uint32_t buffer) {
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program, length = length_of(s, d), start = (own_panels(s, d) + buffer) * length;
  bool line = line_of(s, d) > 1;
  if (line) {
    begin_if_owner(s, d);
    weft_emit_send(&s->base, (uint32_t)d, own_panel(s, d), length)->microthread = (uint32_t)d;
  }
  weft_emit1(kernel, program, WEFT_DO_MOVE, length, panels(s, d, start), own_panel(s, d));
  if (line) {
    weft_begin_else(kernel, program);
    weft_emit_receive(&s->base, panels(s, d, start), (uint32_t)d, length)->microthread = (uint32_t)d;
    weft_end(kernel, program);
  }
}

// Ends what emit_prefetch began.
static void emit_arrived(const summa *s, int d) {
  if (line_of(s, d) > 1) {
    weft_emit_control(s->base.kernel, s->base.program, WEFT_DO_WAIT)->microthread = (uint32_t)d;
  }
  emit_turn(s, d);
  emit_next_owner(s, d);
}

static void emit_step(const summa *s, uint32_t buffer) {
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program;
  emit_arrived(s, DATA_A);
  emit_arrived(s, DATA_B);
  weft_begin_if(kernel, program, registered(s, s->step), WEFT_LESS, weft_i32((int32_t)s->base.product->panels - 1));
  emit_prefetch(s, DATA_A, 1 - buffer);
  emit_prefetch(s, DATA_B, 1 - buffer);
  weft_end(kernel, program);
  weft_emit_product(&s->base, (own_panels(s, DATA_A) + buffer) * length_of(s, DATA_A),
                    (own_panels(s, DATA_B) + buffer) * length_of(s, DATA_B));
}

static void emit_overlapped(const summa *s) {
  weft_kernel *kernel = s->base.kernel;
  uint32_t program = s->base.program;
  uint32_t odd = weft_kernel_integer(kernel, program, "odd", 0, 0, 0);
  weft_kernel_task(kernel, program, "start", WEFT_AT_START);
  emit_prefetch(s, DATA_A, 0);
  emit_prefetch(s, DATA_B, 0);
  weft_begin_loop(kernel, program, s->step, weft_i32(0), weft_i32((int32_t)s->base.product->panels), 1);
  weft_begin_if(kernel, program, registered(s, odd), WEFT_EQUAL, weft_i32(0));
  emit_step(s, 0);
  weft_begin_else(kernel, program);
  emit_step(s, 1);
  weft_end(kernel, program);
  weft_emit2(kernel, program, WEFT_DO_XOR, 1, registered(s, odd), registered(s, odd), weft_i32(1));
  weft_end(kernel, program);
}

weft_kernel *weft_build_summa(const weft_product *product) {
  const weft_product_options *o = &product->options;
  weft_kernel *kernel = weft_kernel_create(o->published ? "summa, as published" : "summa", o->columns, o->rows);
  route_line(kernel, COLOUR_A, true);
  route_line(kernel, COLOUR_B, false);
  summa s;
  begin(&s, product, kernel);
  if (o->published)
    emit_published(&s);
  else
    emit_overlapped(&s);
  return kernel;
}
