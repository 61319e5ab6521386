// Cannon's algorithm and the interleaved shift: tiles travel around rings along rows and columns.
#include <stdlib.h>

#include "compiler/kernels/products_internal.h"

enum { COLOURS_PER_LINE = 4 };

// What a core does along one line of cores (a row for A, a column for B).
typedef struct ring_role {
  uint32_t to;    // the core that gets its tile
  uint32_t send;  // colours
  uint32_t receive;
  bool receives_first;  // as published, odd ones do, so that neither waits for the other
} ring_role;

// Neighbours on a line send on different colours; so do those whose way leads past each other's.
static ring_role *line_roles(const weft_product *product) {
  uint32_t count = product->options.columns;
  ring_role *roles = weft_allocate_array(count, sizeof *roles);
  bool interleaved = product->options.kind == WEFT_GEMM_SHIFT;
  for (uint32_t x = 0; x < count; ++x) {
    ring_role *r = &roles[x];
    r->receives_first = x % 2 == 1;
    if (!interleaved) {
      r->to = x == 0 ? count - 1 : x - 1;
      r->send = x == 0 ? 0 : 1 + x % 2;
    } else if (x % 2 == 0) {
      r->to = x == 0 ? (count > 1 ? 1 : 0) : x - 2;
      r->send = x / 2 % 2;
    } else {
      r->to = x + 2 < count ? x + 2 : count % 2 == 0 ? x - 1 : x + 1;
      r->send = 2 + (x - 1) / 2 % 2;
    }
  }
  for (uint32_t x = 0; x < count; ++x) roles[roles[x].to].receive = roles[x].send;
  return roles;
}

static void route_line(weft_kernel *kernel, const ring_role *roles, bool along_x) {
  uint32_t count = along_x ? kernel->columns : kernel->rows, first = along_x ? 0 : COLOURS_PER_LINE;
  weft_port low = along_x ? WEFT_WEST : WEFT_NORTH, high = along_x ? WEFT_EAST : WEFT_SOUTH;
  for (uint32_t x = 0; x < count && count > 1; ++x) {
    bool up = roles[x].to > x;
    weft_port out = up ? high : low, in = up ? low : high;
    for (uint32_t at = x;; at = up ? at + 1 : at - 1) {
      bool ends = at == roles[x].to;
      weft_block block =
          along_x ? weft_block_of(at, at + 1, 0, kernel->rows) : weft_block_of(0, kernel->columns, at, at + 1);
      weft_kernel_route(kernel, block, first + roles[x].send, at == x ? WEFT_RAMP : in,
                        ends ? 1u << WEFT_RAMP : 1u << out);
      if (ends) break;
    }
  }
}

// Cores with equal roles run one program.
static uint32_t *classes_of(const weft_product *product, const ring_role *roles, uint32_t *out_count) {
  uint32_t count = product->options.columns, found = 0;
  uint32_t *classes = weft_allocate_array(count, sizeof *classes);
  for (uint32_t x = 0; x < count; ++x) {
    uint32_t same = 0;
    bool host = product->options.host;
    for (; same < x; ++same) {
      const ring_role *a = &roles[same], *b = &roles[x];
      if (a->send == b->send && a->receive == b->receive && a->receives_first == b->receives_first &&
          (!host || (same > 0 && x > 0)))
        break;
    }
    classes[x] = same < x ? classes[same] : found++;
  }
  *out_count = found;
  return classes;
}

typedef struct ring {
  weft_product_program base;
  ring_role line[2];  // of A, of B
} ring;

static uint32_t panel_of(const ring *r, int d) {
  return d == 0 ? weft_product_panel_a(r->base.product) : weft_product_panel_b(r->base.product);
}

static weft_operand tile(const ring *r, int d, uint32_t buffer) {
  return weft_view_of(r->base.kernel, r->base.program, d == 0 ? r->base.a : r->base.b,
                      (int32_t)(buffer * panel_of(r, d)), 1);
}

static weft_instruction *emit_out(const ring *r, int d, uint32_t buffer) {
  return weft_emit_send(&r->base, (uint32_t)d * COLOURS_PER_LINE + r->line[d].send, tile(r, d, buffer), panel_of(r, d));
}

static weft_instruction *emit_in(const ring *r, int d, uint32_t buffer) {
  return weft_emit_receive(&r->base, tile(r, d, buffer), (uint32_t)d * COLOURS_PER_LINE + r->line[d].receive,
                           panel_of(r, d));
}

// As published: multiply, then A in and out, then B, one operation after the other.
static void emit_published_step(const ring *r, uint32_t step, uint32_t buffer) {
  weft_kernel *kernel = r->base.kernel;
  uint32_t program = r->base.program, steps = r->base.product->options.columns;
  for (int d = 0; d < 2; ++d)
    weft_emit1(kernel, program, WEFT_DO_MOVE, 1, weft_value(kernel, program, d == 0 ? r->base.a_at : r->base.b_at),
               weft_i32((int32_t)(buffer * panel_of(r, d))));
  weft_emit_plain_product(&r->base);
  if (steps == 1) return;
  weft_begin_if(kernel, program, weft_value(kernel, program, step), WEFT_LESS, weft_i32((int32_t)steps - 1));
  for (int d = 0; d < 2; ++d) {
    if (r->line[d].receives_first) emit_in(r, d, 1 - buffer);
    emit_out(r, d, buffer);
    if (!r->line[d].receives_first) emit_in(r, d, 1 - buffer);
  }
  weft_end(kernel, program);
}

static void emit_overlapped_step(const ring *r, uint32_t step, uint32_t buffer) {
  enum { TRANSFERS = 4 };
  weft_kernel *kernel = r->base.kernel;
  uint32_t program = r->base.program, steps = r->base.product->options.columns;
  weft_operand now = weft_value(kernel, program, step), last = weft_i32((int32_t)steps - 1);
  if (steps > 1) {
    weft_begin_if(kernel, program, now, WEFT_LESS, last);
    for (uint32_t d = 0; d < 2; ++d) {
      emit_in(r, (int)d, 1 - buffer)->microthread = 2 * d;
      emit_out(r, (int)d, buffer)->microthread = 2 * d + 1;
    }
    weft_end(kernel, program);
  }
  weft_emit_product(&r->base, buffer * panel_of(r, 0), buffer * panel_of(r, 1));
  for (uint32_t thread = 0; thread < TRANSFERS && steps > 1; ++thread)
    weft_emit_control(kernel, program, WEFT_DO_WAIT)->microthread = thread;
}

static void emit_program(const weft_product *product, weft_kernel *kernel, const ring_role *roles,
                         const uint32_t *classes, uint32_t class_x, uint32_t class_y) {
  uint32_t x = 0, y = 0;
  while (classes[x] != class_x) ++x;
  while (classes[y] != class_y) ++y;
  ring r = {.base = weft_product_program_begin(product, kernel, "ring"), .line = {roles[x], roles[y]}};
  uint32_t program = r.base.program, steps = product->options.columns;
  weft_place_classes(kernel, program, classes, class_x, classes, class_y);
  uint32_t step = weft_kernel_integer(kernel, program, "step", 0, 0, 0);
  uint32_t odd = weft_kernel_integer(kernel, program, "odd", 0, 0, 0);
  weft_kernel_task(kernel, program, "start", WEFT_AT_START);
  if (product->options.host) weft_emit_host_in(&r.base, x, y);
  weft_begin_loop(kernel, program, step, weft_i32(0), weft_i32((int32_t)steps), 1);
  weft_begin_if(kernel, program, weft_value(kernel, program, odd), WEFT_EQUAL, weft_i32(0));
  for (uint32_t buffer = 0; buffer < 2; ++buffer) {
    if (buffer == 1) weft_begin_else(kernel, program);
    if (product->options.published)
      emit_published_step(&r, step, buffer);
    else
      emit_overlapped_step(&r, step, buffer);
  }
  weft_end(kernel, program);
  weft_operand parity = weft_value(kernel, program, odd);
  weft_emit2(kernel, program, WEFT_DO_XOR, 1, parity, parity, weft_i32(1));
  weft_end(kernel, program);
  if (product->options.host) weft_emit_host_out(&r.base, x, y);
}

weft_kernel *weft_build_ring(const weft_product *product) {
  const weft_product_options *o = &product->options;
  const char *name = o->kind == WEFT_GEMM_SHIFT ? "shift" : o->published ? "cannon, as published" : "cannon";
  weft_kernel *kernel = weft_kernel_create(name, o->columns, o->rows);
  ring_role *roles = line_roles(product);
  route_line(kernel, roles, true);
  route_line(kernel, roles, false);
  if (o->host) weft_host_routes(product, kernel);
  uint32_t count;
  uint32_t *classes = classes_of(product, roles, &count);
  for (uint32_t class_y = 0; class_y < count; ++class_y)
    for (uint32_t class_x = 0; class_x < count; ++class_x)
      emit_program(product, kernel, roles, classes, class_x, class_y);
  free(classes);
  free(roles);
  return kernel;
}
