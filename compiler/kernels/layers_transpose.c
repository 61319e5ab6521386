// The transpose on a mesh of any proportions. Blocks go by along the row first: a core keeps the rows that will be
// columns of its own column of cores. What it has kept goes by along the column, and every core takes its part.
#include "compiler/kernels/layers_internal.h"
#include "compiler/kernels/products_internal.h"

typedef struct transpose {
  uint32_t rows, columns;        // of the matrix
  uint32_t high, wide;           // of a block of the matrix
  uint32_t new_high, new_wide;   // of a block of the transpose
  uint32_t most, padded;         // rows that a core keeps, and their length
  uint32_t mine, line, to;       // arrays
  uint32_t first, last, row, r;  // registers; rows to keep: [first, last)
  uint32_t place, count, t;      // registers
  gather across, down;
} transpose;

// first, last: rows of the matrix that cores (x, `y`) have after the first half.
static void find_rows(const core *c, const transpose *p, uint32_t y) {
  weft_operand x = reg(c, c->me[ALONG_ROW]);
  scalar(c, WEFT_DO_MULTIPLY, p->first, reg(c, y), constant((int32_t)p->high));
  scalar(c, WEFT_DO_ADD, p->last, reg(c, p->first), constant((int32_t)p->high));
  scalar(c, WEFT_DO_MULTIPLY, p->t, x, constant((int32_t)p->new_wide));
  scalar(c, WEFT_DO_MAXIMUM, p->first, reg(c, p->first), reg(c, p->t));
  scalar(c, WEFT_DO_ADD, p->t, reg(c, p->t), constant((int32_t)p->new_wide));
  scalar(c, WEFT_DO_MINIMUM, p->last, reg(c, p->last), reg(c, p->t));
}

// line = `length` elements of row r, from the array or as they come.
static void next_line(const core *c, const transpose *p, uint32_t own, uint32_t length, weft_operand incoming) {
  vector1(c, WEFT_DO_MOVE, fixed(length), whole(c, p->line),
          own == WEFT_NOTHING ? incoming : row_of(c, own, p->r, length));
}

static void take_across(const core *c, const void *what, uint32_t source, uint32_t own, weft_operand incoming) {
  const transpose *p = what;
  loop(c, p->r, constant((int32_t)p->high));
  next_line(c, p, own, p->wide, incoming);
  scalar(c, WEFT_DO_MULTIPLY, p->row, reg(c, c->me[ALONG_COLUMN]), constant((int32_t)p->high));
  scalar(c, WEFT_DO_ADD, p->row, reg(c, p->row), reg(c, p->r));
  when(c, reg(c, p->row), WEFT_AT_LEAST, reg(c, p->first));
  when(c, reg(c, p->row), WEFT_LESS, reg(c, p->last));
  scalar(c, WEFT_DO_SUBTRACT, p->row, reg(c, p->row), reg(c, p->first));
  scalar(c, WEFT_DO_MULTIPLY, p->row, reg(c, p->row), constant((int32_t)p->padded));
  scalar(c, WEFT_DO_MULTIPLY, p->place, reg(c, source), constant((int32_t)p->wide));
  scalar(c, WEFT_DO_ADD, p->place, reg(c, p->place), reg(c, p->row));
  vector1(c, WEFT_DO_MOVE, fixed(p->wide), row_of(c, p->mine, p->place, 1), whole(c, p->line));
  end(c);
  end(c);
  end(c);
}

static void take_down(const core *c, const void *what, uint32_t source, uint32_t own, weft_operand incoming) {
  const transpose *p = what;
  find_rows(c, p, source);
  loop(c, p->r, constant((int32_t)p->most));
  next_line(c, p, own, p->padded, incoming);
  scalar(c, WEFT_DO_ADD, p->row, reg(c, p->first), reg(c, p->r));
  when(c, reg(c, p->row), WEFT_LESS, reg(c, p->last));
  scalar(c, WEFT_DO_MULTIPLY, p->t, reg(c, c->me[ALONG_ROW]), constant((int32_t)p->new_wide));
  scalar(c, WEFT_DO_SUBTRACT, p->row, reg(c, p->row), reg(c, p->t));
  vector1(c, WEFT_DO_MOVE, by(p->count), weft_moved(view(c, p->to, 0, (int32_t)p->new_wide), p->row, 1),
          row_of(c, p->line, p->place, 1));
  end(c);
  end(c);
}

typedef struct named {
  transpose plan;
  const char *from, *to;
} named;

static void emit_transpose(core *c, const void *what) {
  const named *n = what;
  transpose p = n->plan;
  uint32_t from = operand_of(c, n->from, c->dtype, p.high * p.wide, true, false);
  p.to = operand_of(c, n->to, c->dtype, p.new_high * p.new_wide, false, true);
  p.mine = array_of(c, "mine", c->dtype, p.most * p.padded);
  p.line = array_of(c, "line", c->dtype, p.padded);
  p.first = integer(c, "first");
  p.last = integer(c, "last");
  p.row = integer(c, "row");
  p.r = integer(c, "r");
  p.place = integer(c, "place");
  p.t = integer(c, "t");
  p.count = share(c, "count", ALONG_COLUMN, p.columns, p.new_high);
  find_rows(c, &p, c->me[ALONG_COLUMN]);
  gather_each(c, &p.across, p.high * p.wide, from, take_across, &p);
  scalar(c, WEFT_DO_MULTIPLY, p.place, reg(c, c->me[ALONG_COLUMN]), constant((int32_t)p.new_high));
  gather_each(c, &p.down, p.most * p.padded, p.mine, take_down, &p);
}

static weft_kernel *make(const weft_layer_mesh *mesh, uint32_t rows, uint32_t columns, const char *from,
                         const char *to) {
  weft_kernel *kernel = weft_kernel_create("transpose", mesh->columns, mesh->rows);
  named n = {.from = from, .to = to};
  transpose *p = &n.plan;
  *p = (transpose){.rows = rows,
                   .columns = columns,
                   .high = weft_layer_block(rows, mesh->rows),
                   .wide = weft_layer_block(columns, mesh->columns),
                   .new_high = weft_layer_block(columns, mesh->rows),
                   .new_wide = weft_layer_block(rows, mesh->columns)};
  p->most = p->high < p->new_wide ? p->high : p->new_wide;
  p->padded = p->wide * mesh->columns;
  colours taken = {0};
  p->across = gather_open(kernel, &taken, ALONG_ROW);
  p->down = gather_open(kernel, &taken, ALONG_COLUMN);
  layers_emit(kernel, mesh->dtype, emit_transpose, &n);
  return kernel;
}

weft_kernel *weft_layer_make_transpose(const weft_layer_mesh *mesh, uint32_t rows, uint32_t columns) {
  return make(mesh, rows, columns, "x", "y");
}

weft_kernel *weft_build_transpose_oblong(const weft_product *product) {
  const weft_product_options *o = &product->options;
  weft_layer_mesh mesh = {o->columns, o->rows, o->dtype};
  return make(&mesh, o->m, o->n, "A", "C");
}
