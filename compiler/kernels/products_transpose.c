// The transpose: along the row to the diagonal, along the column to the place.
//
//   (x,y), x < y:  sends its tile east, then passes on those from the west; the diagonal core (y,y) turns them north.
//   (x,y), x > y:  likewise west, and the diagonal core turns them south.
//   On the way from the diagonal every core keeps the first tile that comes and passes on the others.
// Where the mesh is not square there is no diagonal: layers_transpose.c.
#include "compiler/kernels/products_internal.h"

// Colours (+ parity of the sender), and microthreads.
enum { EASTWARD, WESTWARD = 2, NORTHWARD = 4, SOUTHWARD = 6 };
enum { ALONG_ROW, ALONG_COLUMN, OTHER_WAY };

static void route_all(weft_kernel *kernel) {
  uint32_t count = kernel->columns, core = 1u << WEFT_RAMP;
  for (uint32_t at = 0; at < count; ++at) {
    uint32_t mine = at % 2, other = (at + 1) % 2;
    weft_block column = weft_block_of(at, at + 1, 0, count), row = weft_block_of(0, count, at, at + 1);
    if (at + 1 < count) {
      weft_kernel_route(kernel, column, EASTWARD + mine, WEFT_RAMP, 1u << WEFT_EAST);
      weft_kernel_route(kernel, column, WESTWARD + other, WEFT_EAST, core);
      weft_kernel_route(kernel, row, SOUTHWARD + mine, WEFT_RAMP, 1u << WEFT_SOUTH);
      weft_kernel_route(kernel, row, NORTHWARD + other, WEFT_SOUTH, core);
    }
    if (at > 0) {
      weft_kernel_route(kernel, column, WESTWARD + mine, WEFT_RAMP, 1u << WEFT_WEST);
      weft_kernel_route(kernel, column, EASTWARD + other, WEFT_WEST, core);
      weft_kernel_route(kernel, row, NORTHWARD + mine, WEFT_RAMP, 1u << WEFT_NORTH);
      weft_kernel_route(kernel, row, SOUTHWARD + other, WEFT_NORTH, core);
    }
  }
}

typedef struct transposer {
  weft_kernel *kernel;
  uint32_t program, parity[2], tile;  // parity of x, of y; elements of a tile
  weft_operand own, transposed;       // the tile as it is sent, its place as it arrives
  weft_dtype dtype;
  uint32_t west, east, north, south;  // registers: words that come from, or go to, the cores on that side
  bool has[4];                        // whether any core of the program has neighbours on that side (weft_port)
} transposer;

// One operation of a microthread; `words`: a register, or WEFT_NOTHING for one tile.
static void emit(const transposer *t, weft_operand to, weft_operand from, uint32_t words, uint32_t thread,
                 uint32_t then) {
  weft_instruction *i = weft_emit1(t->kernel, t->program, WEFT_DO_MOVE, t->tile, to, from);
  i->count_register = words;
  i->microthread = thread;
  i->task = then;
}

static weft_operand out(const transposer *t, uint32_t flow, int axis) {
  return weft_send(flow + t->parity[axis], t->dtype);
}
static weft_operand in(const transposer *t, uint32_t flow, int axis) {
  return weft_receive(flow + 1 - t->parity[axis], t->dtype);
}

enum { X, Y };
enum { ROW_EAST, COLUMN_SOUTH, ROW_WEST, COLUMN_NORTH };  // tasks

// Tasks that follow a core's first operations: pass on what is not its own.
static void emit_pass_on(const transposer *t) {
  bool between_columns = t->has[WEFT_WEST] && t->has[WEFT_EAST],
       between_rows = t->has[WEFT_NORTH] && t->has[WEFT_SOUTH];
  weft_kernel_task(t->kernel, t->program, "row_east", WEFT_BY_ACTIVATION);
  if (between_columns) emit(t, out(t, EASTWARD, X), in(t, EASTWARD, X), t->west, ALONG_ROW, WEFT_NOTHING);
  weft_kernel_task(t->kernel, t->program, "column_south", WEFT_BY_ACTIVATION);
  if (between_rows) emit(t, out(t, SOUTHWARD, Y), in(t, SOUTHWARD, Y), t->south, ALONG_COLUMN, WEFT_NOTHING);
  weft_kernel_task(t->kernel, t->program, "row_west", WEFT_BY_ACTIVATION);
  if (between_columns) emit(t, out(t, WESTWARD, X), in(t, WESTWARD, X), t->east, ALONG_ROW, WEFT_NOTHING);
  weft_kernel_task(t->kernel, t->program, "column_north", WEFT_BY_ACTIVATION);
  if (between_rows) emit(t, out(t, NORTHWARD, Y), in(t, NORTHWARD, Y), t->north, ALONG_COLUMN, WEFT_NOTHING);
}

// What a core on the diagonal turns: `words` of them.
static void emit_corner(const transposer *t, weft_operand to, weft_operand from, uint32_t words, uint32_t thread) {
  weft_begin_if(t->kernel, t->program, weft_value(t->kernel, t->program, words), WEFT_MORE, weft_i32(0));
  emit(t, to, from, words, thread, WEFT_NOTHING);
  weft_end(t->kernel, t->program);
}

static void emit_start(const transposer *t, uint32_t x, uint32_t y) {
  weft_operand at_x = weft_value(t->kernel, t->program, x), at_y = weft_value(t->kernel, t->program, y);
  weft_kernel_task(t->kernel, t->program, "start", WEFT_AT_START);
  if (t->parity[X] == t->parity[Y]) {
    weft_begin_if(t->kernel, t->program, at_x, WEFT_EQUAL, at_y);
    if (t->has[WEFT_WEST]) emit_corner(t, out(t, NORTHWARD, Y), in(t, EASTWARD, X), t->west, ALONG_ROW);
    if (t->has[WEFT_EAST]) emit_corner(t, out(t, SOUTHWARD, Y), in(t, WESTWARD, X), t->east, OTHER_WAY);
    emit(t, t->transposed, t->own, WEFT_NOTHING, WEFT_NOTHING, WEFT_NOTHING);
    weft_end(t->kernel, t->program);
  }
  if (t->has[WEFT_EAST] && t->has[WEFT_NORTH]) {
    weft_begin_if(t->kernel, t->program, at_x, WEFT_LESS, at_y);
    emit(t, out(t, EASTWARD, X), t->own, WEFT_NOTHING, ALONG_ROW, ROW_EAST);
    emit(t, t->transposed, in(t, SOUTHWARD, Y), WEFT_NOTHING, ALONG_COLUMN, COLUMN_SOUTH);
    weft_end(t->kernel, t->program);
  }
  if (t->has[WEFT_WEST] && t->has[WEFT_SOUTH]) {
    weft_begin_if(t->kernel, t->program, at_x, WEFT_MORE, at_y);
    emit(t, out(t, WESTWARD, X), t->own, WEFT_NOTHING, ALONG_ROW, ROW_WEST);
    emit(t, t->transposed, in(t, NORTHWARD, Y), WEFT_NOTHING, ALONG_COLUMN, COLUMN_NORTH);
    weft_end(t->kernel, t->program);
  }
}

static void emit_program(const weft_product *product, weft_kernel *kernel, uint32_t x_parity, uint32_t y_parity) {
  int32_t tile = (int32_t)product->lengths[WEFT_PRODUCT_A], beyond = (int32_t)kernel->columns - 1;
  transposer t = {.kernel = kernel,
                  .program = weft_kernel_program(kernel, "transpose"),
                  .parity = {x_parity, y_parity},
                  .tile = (uint32_t)tile,
                  .dtype = product->options.dtype};
  t.has[WEFT_WEST] = x_parity == 1 || kernel->columns > 2;
  t.has[WEFT_EAST] = x_parity + 1 < kernel->columns;
  t.has[WEFT_NORTH] = y_parity == 1 || kernel->rows > 2;
  t.has[WEFT_SOUTH] = y_parity + 1 < kernel->rows;
  weft_block block = weft_block_of(x_parity, kernel->columns, y_parity, kernel->rows);
  block.step_x = block.step_y = 2;
  weft_kernel_place(kernel, t.program, block);
  uint32_t a = weft_kernel_array(kernel, t.program, "A", t.dtype, t.tile);
  uint32_t c = weft_kernel_array(kernel, t.program, "C", t.dtype, t.tile);
  weft_kernel_array_at(kernel, t.program, a)->input = weft_kernel_array_at(kernel, t.program, c)->output = true;
  t.own = weft_all(kernel, t.program, a);
  t.transposed = weft_folded(weft_view_of(kernel, t.program, c, 0, (int32_t)product->tile_m), product->tile_n, 1);
  uint32_t x = weft_kernel_integer(kernel, t.program, "x", 0, 1, 0),
           y = weft_kernel_integer(kernel, t.program, "y", 0, 0, 1);
  t.west = weft_kernel_integer(kernel, t.program, "west", 0, tile, 0);
  t.east = weft_kernel_integer(kernel, t.program, "east", beyond * tile, -tile, 0);
  t.north = weft_kernel_integer(kernel, t.program, "north", 0, 0, tile);
  t.south = weft_kernel_integer(kernel, t.program, "south", beyond * tile, 0, -tile);
  emit_pass_on(&t);
  emit_start(&t, x, y);
}

weft_kernel *weft_build_transpose(const weft_product *product) {
  if (product->options.columns != product->options.rows) return weft_build_transpose_oblong(product);
  weft_kernel *kernel = weft_kernel_create("transpose", product->options.columns, product->options.rows);
  route_all(kernel);
  for (uint32_t y = 0; y < 2 && y < kernel->rows; ++y)
    for (uint32_t x = 0; x < 2 && x < kernel->columns; ++x) emit_program(product, kernel, x, y);
  return kernel;
}
