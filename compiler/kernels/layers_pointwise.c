// Element by element: activations, gates, sums of two, and their gradients.
#include <math.h>

#include "compiler/kernels/layers_internal.h"

typedef struct pointwise {
  weft_op op;
  weft_activation activation;
  uint32_t tokens, token_block, block;
} pointwise;

// Scratch of one block each, f32.
typedef struct scratch {
  uint32_t x, t, u, v;
} scratch;

static const float gelu_inner = 0.7978845608028654f, gelu_cube = 0.044715f;  // sqrt(2 / pi)
static const weft_operand absent = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};

// ---- small expressions on whole blocks: to = a op b

typedef struct block {
  const core *c;
  extent n;
} block;

static weft_operand at(const block *b, uint32_t array) { return whole(b->c, array); }
static void add(const block *b, uint32_t to, uint32_t a, float value) {
  vector2(b->c, WEFT_DO_ADD, b->n, at(b, to), at(b, a), weft_f32(value));
}
static void scale(const block *b, uint32_t to, uint32_t a, float factor) {
  vector2(b->c, WEFT_DO_MULTIPLY, b->n, at(b, to), at(b, a), weft_f32(factor));
}
static void multiply(const block *b, uint32_t to, uint32_t a, uint32_t other) {
  vector2(b->c, WEFT_DO_MULTIPLY, b->n, at(b, to), at(b, a), at(b, other));
}
static void function(const block *b, weft_instruction_kind kind, uint32_t to, uint32_t a) {
  vector1(b->c, kind, b->n, at(b, to), at(b, a));
}
// to = a * factor + value
static void line(const block *b, uint32_t to, uint32_t a, float factor, float value) {
  vector3(b->c, WEFT_DO_FMA, b->n, at(b, to), at(b, a), weft_f32(factor), weft_f32(value));
}

// t = 1 / (1 + exp(-x))
static void sigmoid(const block *b, const scratch *s) {
  scale(b, s->t, s->x, -1);
  function(b, WEFT_DO_EXP, s->t, s->t);
  add(b, s->t, s->t, 1);
  vector2(b->c, WEFT_DO_DIVIDE, b->n, at(b, s->t), weft_f32(1), at(b, s->t));
}

// t = tanh(sqrt(2 / pi) (x + 0.044715 x^3)), u = x^2
static void gelu_tanh(const block *b, const scratch *s) {
  multiply(b, s->u, s->x, s->x);
  line(b, s->t, s->u, gelu_inner * gelu_cube, gelu_inner);
  multiply(b, s->t, s->t, s->x);
  function(b, WEFT_DO_TANH, s->t, s->t);
}

// t = 1 + erf(x / sqrt 2), u = exp(-x^2 / 2): Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, for
// |x|; erf is odd.
static void gelu_erf(const block *b, const scratch *s) {
  static const float terms[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f};
  function(b, WEFT_DO_ABSOLUTE, s->v, s->x);
  line(b, s->v, s->v, 0.3275911f * (float)M_SQRT1_2, 1);
  vector2(b->c, WEFT_DO_DIVIDE, b->n, at(b, s->v), weft_f32(1), at(b, s->v));
  scale(b, s->t, s->v, terms[0]);
  for (int i = 1; i < 5; ++i) {
    add(b, s->t, s->t, terms[i]);
    multiply(b, s->t, s->t, s->v);
  }
  multiply(b, s->u, s->x, s->x);
  scale(b, s->u, s->u, -0.5f);
  function(b, WEFT_DO_EXP, s->u, s->u);
  multiply(b, s->t, s->t, s->u);  // erfc(|x| / sqrt 2)
  line(b, s->t, s->t, -1, 1);
  // The sign of x: 2 (x > 0) - 1; at 0 erf is 0.
  vector2(b->c, WEFT_DO_GREATER, b->n, at(b, s->v), at(b, s->x), weft_f32(0));
  line(b, s->v, s->v, 2, -1);
  multiply(b, s->t, s->t, s->v);
  add(b, s->t, s->t, 1);
}

// v = f(x)
static void activate(const block *b, weft_activation kind, const scratch *s) {
  switch (kind) {
    case WEFT_GELU_TANH:
      gelu_tanh(b, s);
      add(b, s->t, s->t, 1);
      scale(b, s->t, s->t, 0.5f);
      break;
    case WEFT_GELU_ERF:
      gelu_erf(b, s);
      scale(b, s->t, s->t, 0.5f);
      break;
    case WEFT_SILU: sigmoid(b, s); break;
    default: vector2(b->c, WEFT_DO_GREATER, b->n, at(b, s->t), at(b, s->x), weft_f32(0)); break;
  }
  multiply(b, s->v, s->x, s->t);
}

// v = f'(x), see runtime/ref/pointwise.c
static void slope(const block *b, weft_activation kind, const scratch *s) {
  switch (kind) {
    case WEFT_GELU_TANH:  // 0.5 (1 + t) + 0.5 x (1 - t^2) sqrt(2 / pi) (1 + 3 * 0.044715 x^2)
      gelu_tanh(b, s);
      line(b, s->u, s->u, 1.5f * gelu_inner * gelu_cube, 0.5f * gelu_inner);
      multiply(b, s->u, s->u, s->x);
      multiply(b, s->v, s->t, s->t);
      line(b, s->v, s->v, -1, 1);
      multiply(b, s->v, s->v, s->u);
      line(b, s->t, s->t, 0.5f, 0.5f);
      vector2(b->c, WEFT_DO_ADD, b->n, at(b, s->v), at(b, s->v), at(b, s->t));
      break;
    case WEFT_GELU_ERF:  // 0.5 (1 + erf) + x exp(-x^2 / 2) / sqrt(2 pi)
      gelu_erf(b, s);
      scale(b, s->v, s->t, 0.5f);
      multiply(b, s->u, s->u, s->x);
      vector3(b->c, WEFT_DO_FMA, b->n, at(b, s->v), at(b, s->u), weft_f32(0.3989422804014327f), at(b, s->v));
      break;
    case WEFT_SILU:  // s (1 + x (1 - s))
      sigmoid(b, s);
      line(b, s->u, s->t, -1, 1);
      multiply(b, s->u, s->u, s->x);
      add(b, s->u, s->u, 1);
      multiply(b, s->v, s->t, s->u);
      break;
    default: vector2(b->c, WEFT_DO_GREATER, b->n, at(b, s->v), at(b, s->x), weft_f32(0)); break;
  }
}

// ---- ops. Padding is zero, f(0) = 0 for every activation and gradients there are 0, so it stays zero.

static scratch make_scratch(const core *c, uint32_t size) {
  return (scratch){array_of(c, "f_x", WEFT_F32, size), array_of(c, "f_t", WEFT_F32, size),
                   array_of(c, "f_u", WEFT_F32, size), array_of(c, "f_v", WEFT_F32, size)};
}

static void emit_one_input(const core *c, const pointwise *p, const block *b, uint32_t size) {
  bool backward = p->op == WEFT_OP_ACTIVATION_BACKWARD;
  uint32_t x = operand_of(c, "x", c->dtype, size, true, false);
  uint32_t dy = backward ? operand_of(c, "dy", c->dtype, size, true, false) : WEFT_NOTHING;
  uint32_t y = operand_of(c, backward ? "dx" : "y", c->dtype, size, false, true);
  scratch s = make_scratch(c, size);
  function(b, WEFT_DO_MOVE, s.x, x);
  if (backward) {
    slope(b, p->activation, &s);
    multiply(b, y, s.v, dy);
  } else {
    activate(b, p->activation, &s);
    function(b, WEFT_DO_MOVE, y, s.v);
  }
}

static void emit_gated(const core *c, const pointwise *p, const block *b, uint32_t size) {
  bool backward = p->op == WEFT_OP_GATED_BACKWARD;
  uint32_t gate = operand_of(c, "gate", c->dtype, size, true, false);
  uint32_t up = operand_of(c, "up", c->dtype, size, true, false);
  scratch s = make_scratch(c, size);
  function(b, WEFT_DO_MOVE, s.x, gate);
  if (!backward) {
    uint32_t y = operand_of(c, "y", c->dtype, size, false, true);
    activate(b, p->activation, &s);
    multiply(b, y, s.v, up);
    return;
  }
  uint32_t dy = operand_of(c, "dy", c->dtype, size, true, false);
  uint32_t dgate = operand_of(c, "dgate", c->dtype, size, false, true);
  uint32_t dup = operand_of(c, "dup", c->dtype, size, false, true);
  activate(b, p->activation, &s);
  multiply(b, dup, s.v, dy);
  slope(b, p->activation, &s);
  multiply(b, s.v, s.v, up);
  multiply(b, dgate, s.v, dy);
}

static void emit_pointwise(core *c, const void *what) {
  const pointwise *p = what;
  uint32_t size = p->token_block * p->block;
  block b = {c, by(times(c, "values", share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block), p->block))};
  if (p->op == WEFT_OP_GATED || p->op == WEFT_OP_GATED_BACKWARD) {
    emit_gated(c, p, &b, size);
  } else if (p->op == WEFT_OP_ADD) {
    uint32_t left = operand_of(c, "a", c->dtype, size, true, false);
    uint32_t right = operand_of(c, "b", c->dtype, size, true, false);
    uint32_t y = operand_of(c, "y", c->dtype, size, false, true);
    vector3(c, WEFT_DO_ADD, b.n, whole(c, y), whole(c, left), whole(c, right), absent);
  } else {
    emit_one_input(c, p, &b, size);
  }
}

weft_kernel *weft_layer_make_pointwise(const weft_layer_mesh *mesh, weft_op op, weft_activation activation,
                                       uint32_t tokens, uint32_t columns) {
  weft_kernel *kernel = weft_kernel_create(weft_op_name(op), mesh->columns, mesh->rows);
  pointwise p = {.op = op,
                 .activation = activation,
                 .tokens = tokens,
                 .token_block = weft_layer_block(tokens, mesh->rows),
                 .block = weft_layer_block(columns, mesh->columns)};
  layers_emit(kernel, mesh->dtype, emit_pointwise, &p);
  return kernel;
}
