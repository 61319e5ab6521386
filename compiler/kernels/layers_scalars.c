// Scalars of a step: what enters with it, what all cores count together, what follows from that. Every core has its
// copy, and all copies are alike.
#include "compiler/kernels/layers_internal.h"

static weft_operand at(const core *c, uint32_t scalars, uint32_t which) { return view(c, scalars, (int32_t)which, 0); }

// ---- the beginning of a step

typedef struct opening {
  uint32_t colour;
} opening;

// correct = 1 - beta^step without the cancellation that the difference has for betas near 1: from the step's highest
// bit on, 1 - b^2n = (1 - b^n) (2 - (1 - b^n)) and 1 - b^(n + 1) = (1 - b^n) b + (1 - b).
static void raise(const core *c, uint32_t step, weft_operand beta, uint32_t correct, uint32_t t, uint32_t bit,
                  uint32_t turn) {
  set(c, correct, weft_f32(0));
  loop(c, turn, constant(32));
  scalar(c, WEFT_DO_SUBTRACT, t, weft_f32(2), reg(c, correct));
  scalar(c, WEFT_DO_MULTIPLY, correct, reg(c, correct), reg(c, t));
  scalar(c, WEFT_DO_SUBTRACT, bit, constant(31), reg(c, turn));
  scalar(c, WEFT_DO_SHIFT_RIGHT, bit, reg(c, step), reg(c, bit));
  scalar(c, WEFT_DO_AND, bit, reg(c, bit), constant(1));
  when(c, reg(c, bit), WEFT_EQUAL, constant(1));
  scalar(c, WEFT_DO_SUBTRACT, t, weft_f32(1), beta);
  vector3(c, WEFT_DO_FMA, fixed(1), reg(c, correct), reg(c, correct), beta, reg(c, t));
  end(c);
  end(c);
}

static void emit_opening(core *c, const void *what) {
  const opening *p = what;
  uint32_t scalars = scalars_operand(c, false, true), step = integer(c, "step"), bit = integer(c, "bit");
  uint32_t turn = integer(c, "turn"), correct = weft_kernel_real(c->kernel, c->program, "correct", 0);
  uint32_t t = weft_kernel_real(c->kernel, c->program, "t", 0);
  clear(c, scalars, WEFT_LAYER_SCALARS);
  vector1(c, WEFT_DO_MOVE, fixed(WEFT_LAYER_ENTERING), whole(c, scalars), weft_receive(p->colour, WEFT_F32));
  set(c, step, weft_receive(p->colour, WEFT_I32));
  raise(c, step, at(c, scalars, WEFT_LAYER_BETA1), correct, t, bit, turn);
  weft_operand size = at(c, scalars, WEFT_LAYER_STEP_SIZE);
  vector2(c, WEFT_DO_DIVIDE, fixed(1), size, at(c, scalars, WEFT_LAYER_RATE), reg(c, correct));
  vector1(c, WEFT_DO_NEGATE, fixed(1), size, size);
  raise(c, step, at(c, scalars, WEFT_LAYER_BETA2), correct, t, bit, turn);
  vector2(c, WEFT_DO_DIVIDE, fixed(1), at(c, scalars, WEFT_LAYER_CORRECT2), weft_f32(1), reg(c, correct));
  vector1(c, WEFT_DO_MOVE, fixed(1), at(c, scalars, WEFT_LAYER_GRADIENT_SCALE), weft_f32(1));
}

weft_kernel *weft_layer_make_opening(const weft_layer_mesh *mesh) {
  weft_kernel *kernel = weft_kernel_create("opening", mesh->columns, mesh->rows);
  colours taken = {0};
  opening p = {stream_open(kernel, &taken, ALONG_COLUMN, WEFT_LAYER_ENTERING + 1)};
  layers_emit(kernel, WEFT_F32, emit_opening, &p);
  return kernel;
}

// ---- counting

typedef struct count {
  uint32_t tokens, token_block;
  reduce down;
} count;

// scale = 1 / targets, 0 without any.
static void emit_targets(core *c, const void *what) {
  const count *p = what;
  uint32_t targets = operand_of(c, "targets", WEFT_I32, p->token_block, true, false),
           scalars = scalars_operand(c, true, true);
  uint32_t here = array_of(c, "here", WEFT_F32, 1), row = integer(c, "row"), target = integer(c, "target");
  uint32_t rows = share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block);
  clear(c, here, 1);
  loop(c, row, reg(c, rows));
  set(c, target, one_of(c, targets, row));
  when(c, reg(c, target), WEFT_AT_LEAST, constant(0));
  vector2(c, WEFT_DO_ADD, fixed(1), whole(c, here), whole(c, here), weft_f32(1));
  end(c);
  end(c);
  reduce_all(c, &p->down, WEFT_DO_ADD, fixed(1), whole(c, here));
  weft_operand all = at(c, scalars, WEFT_LAYER_TARGETS), scale = at(c, scalars, WEFT_LAYER_LOSS_SCALE);
  vector2(c, WEFT_DO_ADD, fixed(1), all, all, whole(c, here));
  vector2(c, WEFT_DO_MAXIMUM, fixed(1), whole(c, here), all, weft_f32(1));
  vector2(c, WEFT_DO_GREATER, fixed(1), scale, all, weft_f32(0));
  vector2(c, WEFT_DO_DIVIDE, fixed(1), scale, scale, whole(c, here));
}

static void emit_losses(core *c, const void *what) {
  const count *p = what;
  uint32_t losses = operand_of(c, "loss", WEFT_F32, p->token_block, true, false),
           scalars = scalars_operand(c, true, true);
  uint32_t here = array_of(c, "here", WEFT_F32, 1);
  clear(c, here, 1);
  vector1(c, WEFT_DO_SUM, by(share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block)), whole(c, here),
          whole(c, losses));
  reduce_all(c, &p->down, WEFT_DO_ADD, fixed(1), whole(c, here));
  weft_operand sum = at(c, scalars, WEFT_LAYER_LOSS_SUM);
  vector2(c, WEFT_DO_ADD, fixed(1), sum, sum, whole(c, here));
  vector2(c, WEFT_DO_MULTIPLY, fixed(1), at(c, scalars, WEFT_LAYER_LOSS), sum, at(c, scalars, WEFT_LAYER_LOSS_SCALE));
}

static weft_kernel *make_count(const weft_layer_mesh *mesh, uint32_t tokens, const char *name, emit_function *emit) {
  weft_kernel *kernel = weft_kernel_create(name, mesh->columns, mesh->rows);
  colours taken = {0};
  count p = {.tokens = tokens, .token_block = weft_layer_block(tokens, mesh->rows)};
  p.down = reduce_open(kernel, &taken, ALONG_COLUMN);
  layers_emit(kernel, WEFT_F32, emit, &p);
  return kernel;
}

weft_kernel *weft_layer_make_target_count(const weft_layer_mesh *mesh, uint32_t tokens) {
  return make_count(mesh, tokens, "target_count", emit_targets);
}

weft_kernel *weft_layer_make_loss_sum(const weft_layer_mesh *mesh, uint32_t tokens) {
  return make_count(mesh, tokens, "loss_sum", emit_losses);
}

// ---- clipping

// PyTorch's clip_grad_norm_: the small number keeps a norm of zero from dividing. scale = min(1, clip / (norm + 1e-6)),
// or 1 where clip is 0.
static void emit_clipping(core *c, const void *what) {
  (void)what;
  uint32_t scalars = scalars_operand(c, true, true), t = array_of(c, "t", WEFT_F32, 1);
  weft_operand norm = at(c, scalars, WEFT_LAYER_NORM), clip = at(c, scalars, WEFT_LAYER_CLIP);
  weft_operand scale = at(c, scalars, WEFT_LAYER_GRADIENT_SCALE);
  vector1(c, WEFT_DO_SQRT, fixed(1), norm, at(c, scalars, WEFT_LAYER_SQUARES));
  vector2(c, WEFT_DO_ADD, fixed(1), whole(c, t), norm, weft_f32(1e-6f));
  vector2(c, WEFT_DO_DIVIDE, fixed(1), whole(c, t), clip, whole(c, t));
  vector2(c, WEFT_DO_MINIMUM, fixed(1), whole(c, t), whole(c, t), weft_f32(1));
  vector2(c, WEFT_DO_SUBTRACT, fixed(1), whole(c, t), whole(c, t), weft_f32(1));
  vector2(c, WEFT_DO_GREATER, fixed(1), scale, clip, weft_f32(0));
  vector3(c, WEFT_DO_FMA, fixed(1), scale, scale, whole(c, t), weft_f32(1));
}

weft_kernel *weft_layer_make_clipping(const weft_layer_mesh *mesh) {
  weft_kernel *kernel = weft_kernel_create("clipping", mesh->columns, mesh->rows);
  layers_emit(kernel, WEFT_F32, emit_clipping, NULL);
  return kernel;
}
