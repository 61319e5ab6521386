// Optimizers, and sums at the store, on blocks that pass through the mesh: in at the north, out at the south.
#include "compiler/kernels/layers_internal.h"

typedef struct update {
  const weft_layer_update *shape;
  uint32_t ins, outs, mesh_rows;
  chain in, out;
  reduce across, down;
} update;

// Operands lie one after the other in array "in", results in "out".
typedef struct body {
  const core *c;
  extent n;
  uint32_t in, out, t, u, each;
} body;

static weft_operand operand(const body *b, uint32_t array, uint32_t number) {
  return view(b->c, array, (int32_t)(number * b->each), 1);
}
static void calculate(const body *b, weft_instruction_kind kind, weft_operand to, weft_operand a, weft_operand other) {
  vector2(b->c, kind, b->n, to, a, other);
}

// See runtime/ref/store.c: with g = scale * gradient, m' = beta1 m + (1 - beta1) g, v' = beta2 v + (1 - beta2) g^2,
// p' = (1 - rate * decay) p - rate * (m' / c1) / (sqrt(v' / c2) + epsilon); rate / c1 and 1 / c2 are the step's.
static void emit_adamw(const body *b, const weft_layer_update *s) {
  const core *c = b->c;
  weft_operand p = operand(b, b->in, 0), g = operand(b, b->in, 1), m = operand(b, b->in, 2), v = operand(b, b->in, 3);
  weft_operand new_p = operand(b, b->out, 0), new_m = operand(b, b->out, 1), new_v = operand(b, b->out, 2);
  weft_operand t = whole(c, b->t), u = whole(c, b->u), rate = step_scalar(c, "rate", WEFT_LAYER_RATE);
  weft_operand beta1 = step_scalar(c, "beta1", WEFT_LAYER_BETA1), beta2 = step_scalar(c, "beta2", WEFT_LAYER_BETA2);
  weft_operand rest1 = reg(c, weft_kernel_real(c->kernel, c->program, "rest1", 0));
  weft_operand rest2 = reg(c, weft_kernel_real(c->kernel, c->program, "rest2", 0));
  weft_operand kept = reg(c, weft_kernel_real(c->kernel, c->program, "kept", 0));
  vector2(c, WEFT_DO_SUBTRACT, fixed(1), rest1, weft_f32(1), beta1);
  vector2(c, WEFT_DO_SUBTRACT, fixed(1), rest2, weft_f32(1), beta2);
  vector2(c, WEFT_DO_MULTIPLY, fixed(1), kept, rate, step_scalar(c, "decay", WEFT_LAYER_DECAY));
  vector3(c, WEFT_DO_FMA, fixed(1), kept, kept, weft_f32(-(float)s->decay), weft_f32(1));
  calculate(b, WEFT_DO_MULTIPLY, g, g, step_scalar(c, "gradient_scale", WEFT_LAYER_GRADIENT_SCALE));
  calculate(b, WEFT_DO_MULTIPLY, t, g, rest1);
  vector3(c, WEFT_DO_FMA, b->n, new_m, m, beta1, t);
  calculate(b, WEFT_DO_MULTIPLY, t, g, g);
  calculate(b, WEFT_DO_MULTIPLY, t, t, rest2);
  vector3(c, WEFT_DO_FMA, b->n, new_v, v, beta2, t);
  calculate(b, WEFT_DO_MULTIPLY, t, new_v, step_scalar(c, "correct2", WEFT_LAYER_CORRECT2));
  vector1(c, WEFT_DO_SQRT, b->n, t, t);
  calculate(b, WEFT_DO_ADD, t, t, step_scalar(c, "epsilon", WEFT_LAYER_EPSILON));
  calculate(b, WEFT_DO_MULTIPLY, u, new_m, step_scalar(c, "step_size", WEFT_LAYER_STEP_SIZE));
  calculate(b, WEFT_DO_DIVIDE, t, u, t);
  vector3(c, WEFT_DO_FMA, b->n, new_p, p, kept, t);
}

static void emit_sgd(const body *b) {
  const core *c = b->c;
  weft_operand rate = step_scalar(c, "rate", WEFT_LAYER_RATE);
  vector2(c, WEFT_DO_MULTIPLY, fixed(1), rate, rate, step_scalar(c, "gradient_scale", WEFT_LAYER_GRADIENT_SCALE));
  vector1(c, WEFT_DO_NEGATE, fixed(1), rate, rate);
  vector3(c, WEFT_DO_FMA, b->n, operand(b, b->out, 0), operand(b, b->in, 1), rate, operand(b, b->in, 0));
}

static void emit_arithmetic(const body *b, const weft_layer_update *s) {
  weft_operand first = operand(b, b->in, 0), second = operand(b, b->in, 1), out = operand(b, b->out, 0);
  switch (s->op) {
    case WEFT_OP_ADAMW: emit_adamw(b, s); break;
    case WEFT_OP_SGD: emit_sgd(b); break;
    default: calculate(b, WEFT_DO_ADD, out, first, second); break;
  }
}

// count * factor words from one neighbour to the other
static void relay(const core *c, weft_operand to, weft_operand from, uint32_t words, uint32_t factor) {
  scalar(c, WEFT_DO_MULTIPLY, words, reg(c, words), constant((int32_t)factor));
  vector1(c, WEFT_DO_MOVE, by(words), to, from);
}

static void emit_update(core *c, const void *what) {
  const update *p = what;
  uint32_t each = p->shape->each;
  body b = {.c = c, .n = fixed(each), .each = each, .in = array_of(c, "in", WEFT_F32, p->ins * each)};
  uint32_t words = integer(c, "words"), y = c->me[ALONG_COLUMN];
  vector1(c, WEFT_DO_MOVE, fixed(p->ins * each), whole(c, b.in), chain_in(c, &p->in));
  if (chain_has_out(c, &p->in)) {
    scalar(c, WEFT_DO_SUBTRACT, words, constant((int32_t)p->mesh_rows - 1), reg(c, y));
    relay(c, chain_out(c, &p->in), chain_in(c, &p->in), words, p->ins * each);
  }
  if (p->shape->op == WEFT_OP_SQUARE_SUM) {
    uint32_t scalars = scalars_operand(c, true, true), total = array_of(c, "total", WEFT_F32, 1);
    weft_operand squares = view(c, scalars, WEFT_LAYER_SQUARES, 0);
    clear(c, total, 1);
    vector2(c, WEFT_DO_DOT, b.n, whole(c, total), whole(c, b.in), whole(c, b.in));
    reduce_all(c, &p->across, WEFT_DO_ADD, fixed(1), whole(c, total));
    reduce_all(c, &p->down, WEFT_DO_ADD, fixed(1), whole(c, total));
    vector2(c, WEFT_DO_ADD, fixed(1), squares, squares, whole(c, total));
    return;
  }
  b.out = array_of(c, "out", WEFT_F32, p->outs * each);
  b.t = array_of(c, "t", WEFT_F32, each);
  b.u = array_of(c, "u", WEFT_F32, each);
  emit_arithmetic(&b, p->shape);
  if (chain_has_in(c, &p->out)) {
    set(c, words, reg(c, y));
    relay(c, chain_out(c, &p->out), chain_in(c, &p->out), words, p->outs * each);
  }
  vector1(c, WEFT_DO_MOVE, fixed(p->outs * each), chain_out(c, &p->out), whole(c, b.out));
}

weft_kernel *weft_layer_make_update(const weft_layer_mesh *mesh, const weft_layer_update *shape) {
  weft_kernel *kernel = weft_kernel_create(weft_op_name(shape->op), mesh->columns, mesh->rows);
  bool adamw = shape->op == WEFT_OP_ADAMW, sums = shape->op == WEFT_OP_SQUARE_SUM;
  update p = {.shape = shape,
              .ins = adamw  ? 4
                     : sums ? 1
                            : 2,
              .outs = adamw  ? 3
                      : sums ? 0
                             : 1,
              .mesh_rows = mesh->rows};
  colours taken = {0};
  p.in = chain_open(kernel, &taken, ALONG_COLUMN, false);
  chain_enters(kernel, &p.in, (uint64_t)p.ins * shape->each * mesh->rows);
  if (sums) {
    p.across = reduce_open(kernel, &taken, ALONG_ROW);
    p.down = reduce_open(kernel, &taken, ALONG_COLUMN);
  } else {
    p.out = chain_open(kernel, &taken, ALONG_COLUMN, false);
    chain_leaves(kernel, &p.out, (uint64_t)p.outs * shape->each * mesh->rows);
  }
  layers_emit(kernel, WEFT_F32, emit_update, &p);
  return kernel;
}
