// layer_norm, rms_norm and their gradients: statistics of a row are sums over the mesh row.
#include "compiler/kernels/layers_internal.h"

typedef struct norm {
  const weft_layer_norm *shape;
  uint32_t token_block, block;
  uint32_t weights;  // colour
  reduce across;
  chain south;
} norm;

// What both directions know: rows and columns that are there, and a counter.
typedef struct body {
  uint32_t rows, width, row, stats, w;
} body;

static body begin(const core *c, const norm *p, bool made) {
  body b = {.rows = share(c, "tokens", ALONG_COLUMN, p->shape->tokens, p->token_block),
            .width = share(c, "width", ALONG_ROW, p->shape->columns, p->block),
            .row = integer(c, "row")};
  b.stats = operand_of(c, "stats", WEFT_F32, p->token_block * (p->shape->centred ? 2 : 1), !made, made);
  b.w = array_of(c, "w", c->dtype, p->block);
  vector1(c, WEFT_DO_MOVE, fixed(p->block), whole(c, b.w), weft_receive(p->weights, WEFT_F32));
  return b;
}

// sums (token_block) = over the whole row of a * b, or of a
static void sum_rows(const core *c, const norm *p, const body *b, uint32_t sums, uint32_t a, uint32_t other) {
  clear(c, sums, p->token_block);
  loop(c, b->row, reg(c, b->rows));
  weft_operand to = one_of(c, sums, b->row), first = row_of(c, a, b->row, p->block);
  if (other == WEFT_NOTHING) {
    vector1(c, WEFT_DO_SUM, by(b->width), to, first);
  } else {
    vector2(c, WEFT_DO_DOT, by(b->width), to, first, row_of(c, other, b->row, p->block));
  }
  end(c);
}

// stats[row * per + at] = sums[row] * factor
static void keep(const core *c, const norm *p, const body *b, uint32_t sums, uint32_t at) {
  vector1(c, WEFT_DO_MOVE, by(b->rows), view(c, b->stats, (int32_t)at, p->shape->centred ? 2 : 1), whole(c, sums));
}

static void emit_forward(core *c, const void *what) {
  const norm *p = what;
  uint32_t size = p->token_block * p->block;
  body b = begin(c, p, true);
  uint32_t x = operand_of(c, "x", c->dtype, size, true, false), y = operand_of(c, "y", c->dtype, size, false, true);
  uint32_t from = array_of(c, "difference", WEFT_F32, size), sums = array_of(c, "sums", WEFT_F32, p->token_block);
  uint32_t bias = p->shape->bias ? array_of(c, "b", c->dtype, p->block) : WEFT_NOTHING;
  if (p->shape->bias) vector1(c, WEFT_DO_MOVE, fixed(p->block), whole(c, bias), weft_receive(p->weights, WEFT_F32));
  extent tokens = fixed(p->token_block);
  weft_operand average = weft_f32(1 / (float)p->shape->columns);
  if (p->shape->centred) {
    sum_rows(c, p, &b, sums, x, WEFT_NOTHING);
    reduce_all(c, &p->across, WEFT_DO_ADD, tokens, whole(c, sums));
    vector2(c, WEFT_DO_MULTIPLY, tokens, whole(c, sums), whole(c, sums), average);
    keep(c, p, &b, sums, 0);
    loop(c, b.row, reg(c, b.rows));
    vector2(c, WEFT_DO_SUBTRACT, by(b.width), row_of(c, from, b.row, p->block), row_of(c, x, b.row, p->block),
            one_of(c, sums, b.row));
    end(c);
  } else {
    vector1(c, WEFT_DO_MOVE, fixed(size), whole(c, from), whole(c, x));
  }
  sum_rows(c, p, &b, sums, from, from);
  reduce_all(c, &p->across, WEFT_DO_ADD, tokens, whole(c, sums));
  vector3(c, WEFT_DO_FMA, tokens, whole(c, sums), whole(c, sums), average, weft_f32(p->shape->epsilon));
  vector1(c, WEFT_DO_RSQRT, tokens, whole(c, sums), whole(c, sums));
  keep(c, p, &b, sums, p->shape->centred ? 1 : 0);
  loop(c, b.row, reg(c, b.rows));
  weft_operand d = row_of(c, from, b.row, p->block), to = row_of(c, y, b.row, p->block);
  vector2(c, WEFT_DO_MULTIPLY, by(b.width), d, d, one_of(c, sums, b.row));
  if (p->shape->bias) {
    vector3(c, WEFT_DO_FMA, by(b.width), to, d, whole(c, b.w), whole(c, bias));
  } else {
    vector2(c, WEFT_DO_MULTIPLY, by(b.width), to, d, whole(c, b.w));
  }
  end(c);
}

// hat = (x - mean) * inverse, g = dy * w
static void normalise(const core *c, const norm *p, const body *b, uint32_t x, uint32_t dy, uint32_t hat, uint32_t g) {
  int32_t per = p->shape->centred ? 2 : 1;
  loop(c, b->row, reg(c, b->rows));
  weft_operand to = row_of(c, hat, b->row, p->block), from = row_of(c, x, b->row, p->block);
  if (p->shape->centred)
    vector2(c, WEFT_DO_SUBTRACT, by(b->width), to, from, weft_moved(view(c, b->stats, 0, 0), b->row, per));
  vector2(c, WEFT_DO_MULTIPLY, by(b->width), to, p->shape->centred ? to : from,
          weft_moved(view(c, b->stats, per - 1, 0), b->row, per));
  vector2(c, WEFT_DO_MULTIPLY, by(b->width), row_of(c, g, b->row, p->block), row_of(c, dy, b->row, p->block),
          whole(c, b->w));
  end(c);
}

// The gradients of w and b: sums over all tokens of dy * hat and of dy, out at the south edge.
static void emit_weights(const core *c, const norm *p, const body *b, uint32_t dy, uint32_t hat) {
  uint32_t part = array_of(c, "part", WEFT_F32, p->block);
  clear(c, part, p->block);
  loop(c, b->row, reg(c, b->rows));
  vector3(c, WEFT_DO_FMA, fixed(p->block), whole(c, part), row_of(c, dy, b->row, p->block),
          row_of(c, hat, b->row, p->block), whole(c, part));
  end(c);
  chain_add(c, &p->south, fixed(p->block), part);
  if (!p->shape->bias) return;
  clear(c, part, p->block);
  loop(c, b->row, reg(c, b->rows));
  vector2(c, WEFT_DO_ADD, fixed(p->block), whole(c, part), row_of(c, dy, b->row, p->block), whole(c, part));
  end(c);
  chain_add(c, &p->south, fixed(p->block), part);
}

// dx = inverse * (g - average(g) - hat * average(g hat)), see runtime/ref/norm.c
static void emit_backward(core *c, const void *what) {
  const norm *p = what;
  uint32_t size = p->token_block * p->block;
  body b = begin(c, p, false);
  uint32_t dy = operand_of(c, "dy", c->dtype, size, true, false), x = operand_of(c, "x", c->dtype, size, true, false);
  uint32_t dx = operand_of(c, "dx", c->dtype, size, false, true);
  uint32_t hat = array_of(c, "hat", WEFT_F32, size), g = array_of(c, "g", WEFT_F32, size);
  uint32_t sums = array_of(c, "sums", WEFT_F32, p->token_block), means = array_of(c, "means", WEFT_F32, p->token_block);
  extent tokens = fixed(p->token_block);
  weft_operand average = weft_f32(1 / (float)p->shape->columns);
  normalise(c, p, &b, x, dy, hat, g);
  sum_rows(c, p, &b, sums, g, hat);
  reduce_all(c, &p->across, WEFT_DO_ADD, tokens, whole(c, sums));
  vector2(c, WEFT_DO_MULTIPLY, tokens, whole(c, sums), whole(c, sums), average);
  if (p->shape->centred) {
    sum_rows(c, p, &b, means, g, WEFT_NOTHING);
    reduce_all(c, &p->across, WEFT_DO_ADD, tokens, whole(c, means));
    vector2(c, WEFT_DO_MULTIPLY, tokens, whole(c, means), whole(c, means), average);
  }
  int32_t per = p->shape->centred ? 2 : 1;
  uint32_t t = array_of(c, "t", WEFT_F32, p->block);
  loop(c, b.row, reg(c, b.rows));
  weft_operand g_row = row_of(c, g, b.row, p->block);
  if (p->shape->centred) vector2(c, WEFT_DO_SUBTRACT, by(b.width), g_row, g_row, one_of(c, means, b.row));
  vector2(c, WEFT_DO_MULTIPLY, by(b.width), whole(c, t), row_of(c, hat, b.row, p->block), one_of(c, sums, b.row));
  vector2(c, WEFT_DO_SUBTRACT, by(b.width), g_row, g_row, whole(c, t));
  vector2(c, WEFT_DO_MULTIPLY, by(b.width), row_of(c, dx, b.row, p->block), g_row,
          weft_moved(view(c, b.stats, per - 1, 0), b.row, per));
  end(c);
  emit_weights(c, p, &b, dy, hat);
}

static norm open(const weft_layer_mesh *mesh, const weft_layer_norm *shape, weft_kernel *kernel, bool backward) {
  norm p = {.shape = shape,
            .token_block = weft_layer_block(shape->tokens, mesh->rows),
            .block = weft_layer_block(shape->columns, mesh->columns)};
  colours taken = {0};
  uint64_t both = (shape->bias ? 2 : 1) * (uint64_t)p.block;
  p.weights = stream_open(kernel, &taken, ALONG_COLUMN, backward ? p.block : both);
  p.across = reduce_open(kernel, &taken, ALONG_ROW);
  if (!backward) return p;
  p.south = chain_open(kernel, &taken, ALONG_COLUMN, false);
  chain_leaves(kernel, &p.south, both);
  return p;
}

weft_kernel *weft_layer_make_norm(const weft_layer_mesh *mesh, const weft_layer_norm *shape) {
  weft_kernel *kernel = weft_kernel_create(shape->centred ? "layer_norm" : "rms_norm", mesh->columns, mesh->rows);
  norm p = open(mesh, shape, kernel, false);
  layers_emit(kernel, mesh->dtype, emit_forward, &p);
  return kernel;
}

weft_kernel *weft_layer_make_norm_backward(const weft_layer_mesh *mesh, const weft_layer_norm *shape) {
  weft_kernel *kernel =
      weft_kernel_create(shape->centred ? "layer_norm_backward" : "rms_norm_backward", mesh->columns, mesh->rows);
  norm p = open(mesh, shape, kernel, true);
  layers_emit(kernel, mesh->dtype, emit_backward, &p);
  return kernel;
}
