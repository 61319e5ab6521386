// Words from the host through one channel: each core keeps its tile and passes the rest on, row after row.
//
//   channel -> (0,0) -> (1,0) -> (2,0) ...      The first column passes whole rows to the south, every core the rest of
//                |                              its row to the east; results come back the same way.
//              (0,1) -> (1,1) ...                  A last word from the host is broadcast: only then the product
//              begins.
#include "compiler/kernels/products_internal.h"

// Neighbours send on different colours: + the parity of the sender's (out) or receiver's (in) coordinate.
enum { IN_ROW = 8, IN_COLUMN = 10, OUT_ROW = 12, OUT_COLUMN = 14, LAUNCH = 16 };

static void route_chain(weft_kernel *kernel, uint32_t colour, bool along_x, bool into_mesh) {
  uint32_t count = along_x ? kernel->columns : kernel->rows, across = along_x ? kernel->rows : 1;
  weft_port low = along_x ? WEFT_WEST : WEFT_NORTH, high = along_x ? WEFT_EAST : WEFT_SOUTH;
  for (uint32_t at = 0; at < count; ++at) {
    weft_block block = along_x ? weft_block_of(at, at + 1, 0, across) : weft_block_of(0, 1, at, at + 1);
    uint32_t mine = colour + at % 2, next = colour + (at + 1) % 2;
    bool edge = at == 0 && along_x;  // the first column is fed by the other chain
    if (!edge) weft_kernel_route(kernel, block, mine, into_mesh ? low : WEFT_RAMP, 1u << (into_mesh ? WEFT_RAMP : low));
    if (at + 1 < count)
      weft_kernel_route(kernel, block, next, into_mesh ? WEFT_RAMP : high, 1u << (into_mesh ? high : WEFT_RAMP));
  }
}

// From the first core down the first column, and from there along the rows.
static void route_launch(weft_kernel *kernel) {
  for (uint32_t y = 0; y < kernel->rows; ++y)
    for (uint32_t column = 0; column < 3; ++column) {
      uint32_t x = column < 2 ? column : kernel->columns - 1, end = column == 1 ? kernel->columns - 1 : x + 1;
      if ((column > 0 && x == 0) || x >= end) continue;
      uint32_t to =
          (x + 1 < kernel->columns ? 1u << WEFT_EAST : 0) | (x == 0 && y + 1 < kernel->rows ? 1u << WEFT_SOUTH : 0);
      bool first = x == 0 && y == 0;
      if (kernel->columns > 1)
        weft_kernel_route(kernel, weft_block_of(x, end, y, y + 1), LAUNCH,
                          first    ? WEFT_RAMP
                          : x == 0 ? WEFT_NORTH
                                   : WEFT_WEST,
                          to | (first ? 0 : 1u << WEFT_RAMP));
    }
}

void weft_host_routes(const weft_product *product, weft_kernel *kernel) {
  route_chain(kernel, IN_ROW, true, true);
  route_chain(kernel, IN_COLUMN, false, true);
  route_chain(kernel, OUT_ROW, true, false);
  route_chain(kernel, OUT_COLUMN, false, false);
  route_launch(kernel);
  const weft_product_options *o = &product->options;
  weft_kernel_channel(kernel, (weft_channel){.name = "in",
                                             .into_mesh = true,
                                             .port = WEFT_NORTH,
                                             .colour = IN_COLUMN,
                                             .words = weft_product_host_words(product, WEFT_PRODUCT_A) +
                                                      weft_product_host_words(product, WEFT_PRODUCT_B) + 1,
                                             .cycles_per_word = o->in_cycles_per_word});
  weft_kernel_channel(kernel, (weft_channel){.name = "out",
                                             .port = WEFT_NORTH,
                                             .colour = OUT_COLUMN,
                                             .words = weft_product_host_words(product, WEFT_PRODUCT_C),
                                             .cycles_per_word = o->out_cycles_per_word});
}

// As many words as the cores behind this one in its row, or the rows behind this one, need.
static void emit_pass_on(const weft_product_program *p, uint32_t from, uint32_t to, uint32_t count) {
  weft_dtype dtype = p->product->options.dtype;
  weft_emit1(p->kernel, p->program, WEFT_DO_MOVE, 1, weft_send(to, dtype), weft_receive(from, dtype))->count_register =
      count;
}

// Registers: words for the cores behind in the row; for the rows behind.
static uint32_t behind_in_row(const weft_product_program *p, char matrix, uint32_t words) {
  char name[] = "?_in_row";
  name[0] = matrix;
  int32_t cores = (int32_t)p->product->options.columns, each = (int32_t)words;
  return weft_kernel_integer(p->kernel, p->program, name, (cores - 1) * each, -each, 0);
}

static uint32_t behind_in_column(const weft_product_program *p, char matrix, uint32_t words) {
  char name[] = "?_in_rows";
  name[0] = matrix;
  int32_t cores = (int32_t)p->product->options.columns, each = cores * (int32_t)words;
  return weft_kernel_integer(p->kernel, p->program, name, (cores - 1) * each, 0, -each);
}

static weft_instruction *whole(const weft_product_program *p, uint32_t array, uint32_t colour, uint32_t words,
                               bool out) {
  weft_operand tile = weft_all(p->kernel, p->program, array);
  return out ? weft_emit_send(p, colour, tile, words) : weft_emit_receive(p, tile, colour, words);
}

static void emit_in_one(const weft_product_program *p, uint32_t array, char name, uint32_t words, uint32_t x,
                        uint32_t y) {
  uint32_t last = p->product->options.columns - 1, from = x == 0 ? IN_COLUMN + y % 2 : IN_ROW + x % 2;
  whole(p, array, from, words, false);
  if (x < last) emit_pass_on(p, from, IN_ROW + 1 - x % 2, behind_in_row(p, name, words));
  if (x == 0 && y < last) emit_pass_on(p, from, IN_COLUMN + 1 - y % 2, behind_in_column(p, name, words));
}

void weft_emit_host_in(const weft_product_program *p, uint32_t x, uint32_t y) {
  emit_in_one(p, p->a, 'a', weft_product_panel_a(p->product), x, y);
  emit_in_one(p, p->b, 'b', weft_product_panel_b(p->product), x, y);
  weft_operand launch = weft_view_of(p->kernel, p->program, p->scratch, 0, 1);
  weft_emit_receive(p, launch, x == 0 && y == 0 ? IN_COLUMN : LAUNCH, 1);
  if (x == 0 && y == 0 && p->product->options.columns > 1) weft_emit_send(p, LAUNCH, launch, 1);
}

void weft_emit_host_out(const weft_product_program *p, uint32_t x, uint32_t y) {
  uint32_t last = p->product->options.columns - 1, words = p->product->lengths[WEFT_PRODUCT_C];
  uint32_t to = x == 0 ? OUT_COLUMN + y % 2 : OUT_ROW + x % 2;
  whole(p, p->c, to, words, true);
  if (x < last) emit_pass_on(p, OUT_ROW + 1 - x % 2, to, behind_in_row(p, 'c', words));
  if (x == 0 && y < last) emit_pass_on(p, OUT_COLUMN + 1 - y % 2, to, behind_in_column(p, 'c', words));
}
