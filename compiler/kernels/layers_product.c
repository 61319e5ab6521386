// Products with streamed weights, and the gradient of a weight.
#include "compiler/kernels/layers_internal.h"

static const weft_operand absent = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};

typedef struct product {
  const weft_layer_product *shape;
  uint32_t columns, token_block, in_block, out_block;
  uint32_t weights;  // colour of the stream
  chain east, west, south;
  gather across;
} product;

static product measure(const weft_layer_mesh *mesh, const weft_layer_product *shape) {
  return (product){.shape = shape,
                   .columns = mesh->columns,
                   .token_block = weft_layer_block(shape->tokens, mesh->rows),
                   .in_block = weft_layer_block(shape->in, mesh->columns),
                   .out_block = weft_layer_block(shape->out, mesh->columns)};
}

// ---- y = scale (x B + bias)

// part (tokens, out) = x's block times the streamed one, one inner dimension after the other.
static void multiply_block(const core *c, const product *p, extent n, uint32_t x, uint32_t weights, uint32_t part,
                           uint32_t k) {
  int32_t in = (int32_t)p->in_block;
  weft_operand column = weft_folded(view(c, x, 0, 0), p->out_block, in);
  weft_operand row = weft_folded(view(c, weights, 0, in), p->out_block, 0);
  vector2(c, WEFT_DO_MULTIPLY, n, whole(c, part), column, row);
  if (p->in_block == 1) return;
  map(c, k, 1, constant(in));
  vector3(c, WEFT_DO_FMA, n, whole(c, part), weft_moved(column, k, 1), weft_moved(row, k, 1), whole(c, part));
  end(c);
}

static void finish_block(const core *c, const product *p, extent n, uint32_t part, uint32_t bias, uint32_t y) {
  if (chain_has_in(c, &p->east)) vector2(c, WEFT_DO_ADD, n, whole(c, part), chain_in(c, &p->east), whole(c, part));
  if (chain_has_in(c, &p->west)) vector2(c, WEFT_DO_ADD, n, whole(c, part), chain_in(c, &p->west), whole(c, part));
  if (p->shape->bias)
    vector2(c, WEFT_DO_ADD, n, whole(c, part), weft_folded(whole(c, bias), p->out_block, 0), whole(c, part));
  if (p->shape->accumulate) {
    vector3(c, WEFT_DO_FMA, n, whole(c, y), whole(c, part), weft_f32(p->shape->scale), whole(c, y));
  } else {
    vector2(c, WEFT_DO_MULTIPLY, n, whole(c, y), whole(c, part), weft_f32(p->shape->scale));
  }
}

// Multiplies by the block in `weights` while the next one, if any, arrives in `next`.
static void take_turn(const core *c, const product *p, extent n, uint32_t x, uint32_t weights, uint32_t next,
                      uint32_t part, uint32_t turn, uint32_t k) {
  when(c, reg(c, turn), WEFT_LESS, constant((int32_t)p->columns - 1));
  weft_emit1(c->kernel, c->program, WEFT_DO_MOVE, p->in_block * p->out_block, whole(c, next),
             weft_receive(p->weights, WEFT_F32))
      ->microthread = 0;
  end(c);
  multiply_block(c, p, n, x, weights, part, k);
}

static void emit_product(core *c, const void *what) {
  const product *p = what;
  uint32_t x = operand_of(c, "x", c->dtype, p->token_block * p->in_block, true, false);
  uint32_t y = operand_of(c, "y", c->dtype, p->token_block * p->out_block, p->shape->accumulate, true);
  uint32_t even = array_of(c, "weights_even", c->dtype, p->in_block * p->out_block);
  uint32_t odd = array_of(c, "weights_odd", c->dtype, p->in_block * p->out_block);
  uint32_t part = array_of(c, "part", WEFT_F32, p->token_block * p->out_block);
  uint32_t bias = p->shape->bias ? array_of(c, "bias", c->dtype, p->out_block) : WEFT_NOTHING;
  uint32_t rows = share(c, "tokens", ALONG_COLUMN, p->shape->tokens, p->token_block);
  extent n = by(times(c, "values", rows, p->out_block));
  uint32_t turn = integer(c, "turn"), k = integer(c, "k"), me = c->me[ALONG_ROW];
  weft_operand stream = weft_receive(p->weights, WEFT_F32);
  if (p->shape->bias) vector1(c, WEFT_DO_MOVE, fixed(p->out_block), whole(c, bias), stream);
  vector1(c, WEFT_DO_MOVE, fixed(p->in_block * p->out_block), whole(c, even), stream);
  loop(c, turn, constant((int32_t)p->columns));
  scalar(c, WEFT_DO_AND, k, reg(c, turn), constant(1));
  when(c, reg(c, k), WEFT_EQUAL, constant(0));
  take_turn(c, p, n, x, even, odd, part, turn, k);
  weft_begin_else(c->kernel, c->program);
  take_turn(c, p, n, x, odd, even, part, turn, k);
  end(c);
  if (chain_has_out(c, &p->east)) {
    when(c, reg(c, turn), WEFT_MORE, reg(c, me));
    chain_add(c, &p->east, n, part);
    end(c);
  }
  if (chain_has_out(c, &p->west)) {
    when(c, reg(c, turn), WEFT_LESS, reg(c, me));
    chain_add(c, &p->west, n, part);
    end(c);
  }
  when(c, reg(c, turn), WEFT_EQUAL, reg(c, me));
  finish_block(c, p, n, part, bias, y);
  end(c);
  weft_emit1(c->kernel, c->program, WEFT_DO_WAIT, 1, absent, absent)->microthread = 0;
  end(c);
}

weft_kernel *weft_layer_make_product(const weft_layer_mesh *mesh, const weft_layer_product *shape) {
  weft_kernel *kernel = weft_kernel_create("product", mesh->columns, mesh->rows);
  product p = measure(mesh, shape);
  colours taken = {0};
  uint64_t words = (uint64_t)p.columns * p.in_block * p.out_block + (shape->bias ? p.out_block : 0);
  p.weights = stream_open(kernel, &taken, ALONG_COLUMN, words);
  p.east = chain_open(kernel, &taken, ALONG_ROW, false);
  p.west = chain_open(kernel, &taken, ALONG_ROW, true);
  layers_emit(kernel, mesh->dtype, emit_product, &p);
  return kernel;
}

// ---- dW = scale dy^T x

static void scale_by(const core *c, extent n, uint32_t part, float scale) {
  if (scale != 1) vector2(c, WEFT_DO_MULTIPLY, n, whole(c, part), whole(c, part), weft_f32(scale));
}

static void emit_bias_gradient(const core *c, const product *p, uint32_t dy, uint32_t row, uint32_t part) {
  clear(c, part, p->out_block);
  loop(c, row, constant((int32_t)p->token_block));
  vector2(c, WEFT_DO_ADD, fixed(p->out_block), whole(c, part), row_of(c, dy, row, p->out_block), whole(c, part));
  end(c);
  scale_by(c, fixed(p->out_block), part, p->shape->scale);
  chain_add(c, &p->south, fixed(p->out_block), part);
}

static void emit_weight_gradient(core *c, const void *what) {
  const product *p = what;
  uint32_t size = p->token_block * p->out_block;
  uint32_t dy = operand_of(c, "dy", c->dtype, size, true, false);
  uint32_t x = operand_of(c, "x", c->dtype, p->token_block * p->in_block, true, false);
  uint32_t all = array_of(c, "dy_all", c->dtype, size * p->columns);
  extent n = fixed(p->out_block * p->in_block);
  uint32_t part = array_of(c, "part", WEFT_F32, n.count);
  uint32_t turn = integer(c, "turn"), row = integer(c, "row"), from = integer(c, "from");
  gather_all(c, &p->across, size, dy, all);
  set(c, from, constant(0));
  loop(c, turn, constant((int32_t)p->columns));
  clear(c, part, n.count);
  loop(c, row, constant((int32_t)p->token_block));
  weft_operand dy_row = weft_moved(weft_folded(view(c, all, 0, 0), p->in_block, 1), from, 1);
  weft_operand x_row = weft_folded(row_of(c, x, row, p->in_block), p->in_block, 0);
  vector3(c, WEFT_DO_FMA, n, whole(c, part), dy_row, x_row, whole(c, part));
  scalar(c, WEFT_DO_ADD, from, reg(c, from), constant((int32_t)p->out_block));
  end(c);
  scale_by(c, n, part, p->shape->scale);
  chain_add(c, &p->south, n, part);
  end(c);
  if (p->shape->bias) emit_bias_gradient(c, p, dy, row, array_of(c, "bias_part", WEFT_F32, p->out_block));
}

weft_kernel *weft_layer_make_weight_gradient(const weft_layer_mesh *mesh, const weft_layer_product *shape) {
  weft_kernel *kernel = weft_kernel_create("weight_gradient", mesh->columns, mesh->rows);
  product p = measure(mesh, shape);
  colours taken = {0};
  p.across = gather_open(kernel, &taken, ALONG_ROW);
  p.south = chain_open(kernel, &taken, ALONG_COLUMN, false);
  chain_leaves(kernel, &p.south, (uint64_t)p.columns * p.out_block * p.in_block + (shape->bias ? p.out_block : 0));
  layers_emit(kernel, mesh->dtype, emit_weight_gradient, &p);
  return kernel;
}
