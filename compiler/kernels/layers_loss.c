// Cross entropy of the next token and its gradient, the vocabulary sharded over the columns.
#include "compiler/kernels/layers_internal.h"

typedef struct loss {
  uint32_t tokens, vocabulary, token_block, block;
  reduce across;
} loss;

typedef struct body {
  uint32_t rows, width, row, logits, targets, lse, target, first;
} body;

static body begin(const core *c, const loss *p, bool forward) {
  body b = {.rows = share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block),
            .width = share(c, "width", ALONG_ROW, p->vocabulary, p->block),
            .row = integer(c, "row"),
            .target = integer(c, "target")};
  b.first = times(c, "first", c->me[ALONG_ROW], p->block);
  b.logits = operand_of(c, "logits", c->dtype, p->token_block * p->block, true, false);
  b.targets = operand_of(c, "targets", WEFT_I32, p->token_block, true, false);
  b.lse = operand_of(c, "lse", WEFT_F32, p->token_block, !forward, forward);
  return b;
}

// Opens two ifs: the row's target is a column of this core's, counted from its first.
static void when_here(const core *c, const body *b) {
  scalar(c, WEFT_DO_SUBTRACT, b->target, one_of(c, b->targets, b->row), reg(c, b->first));
  when(c, reg(c, b->target), WEFT_AT_LEAST, constant(0));
  when(c, reg(c, b->target), WEFT_LESS, reg(c, b->width));
}

// sums: exponentials of a core's share, then the target's logit where this core has it.
static void emit_forward(core *c, const void *what) {
  const loss *p = what;
  body b = begin(c, p, true);
  int32_t rows = (int32_t)p->token_block;
  uint32_t losses = operand_of(c, "loss", WEFT_F32, p->token_block, false, true);
  uint32_t top = array_of(c, "top", WEFT_F32, p->token_block), sums = array_of(c, "sums", WEFT_F32, 2 * p->token_block);
  uint32_t t = array_of(c, "t", WEFT_F32, p->block), place = integer(c, "place");
  vector1(c, WEFT_DO_MOVE, fixed(p->token_block), whole(c, top), weft_f32(-3.4e38f));
  loop(c, b.row, reg(c, b.rows));
  vector1(c, WEFT_DO_GREATEST, by(b.width), one_of(c, top, b.row), row_of(c, b.logits, b.row, p->block));
  end(c);
  reduce_all(c, &p->across, WEFT_DO_MAXIMUM, fixed(p->token_block), whole(c, top));
  clear(c, sums, 2 * p->token_block);
  loop(c, b.row, reg(c, b.rows));
  vector2(c, WEFT_DO_SUBTRACT, by(b.width), whole(c, t), row_of(c, b.logits, b.row, p->block), one_of(c, top, b.row));
  vector1(c, WEFT_DO_EXP, by(b.width), whole(c, t), whole(c, t));
  vector1(c, WEFT_DO_SUM, by(b.width), one_of(c, sums, b.row), whole(c, t));
  when_here(c, &b);
  scalar(c, WEFT_DO_MULTIPLY, place, reg(c, b.row), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, place, reg(c, place), reg(c, b.target));
  vector1(c, WEFT_DO_MOVE, fixed(1), weft_moved(view(c, sums, rows, 0), b.row, 1), one_of(c, b.logits, place));
  end(c);
  end(c);
  end(c);
  reduce_all(c, &p->across, WEFT_DO_ADD, fixed(2 * p->token_block), whole(c, sums));
  vector1(c, WEFT_DO_LOG, by(b.rows), whole(c, b.lse), whole(c, sums));
  vector2(c, WEFT_DO_ADD, by(b.rows), whole(c, b.lse), whole(c, b.lse), whole(c, top));
  loop(c, b.row, reg(c, b.rows));
  set(c, b.target, one_of(c, b.targets, b.row));
  vector1(c, WEFT_DO_MOVE, fixed(1), one_of(c, losses, b.row), weft_f32(0));
  when(c, reg(c, b.target), WEFT_AT_LEAST, constant(0));
  vector2(c, WEFT_DO_SUBTRACT, fixed(1), one_of(c, losses, b.row), one_of(c, b.lse, b.row),
          weft_moved(view(c, sums, rows, 0), b.row, 1));
  end(c);
  end(c);
}

static void emit_backward(core *c, const void *what) {
  const loss *p = what;
  body b = begin(c, p, false);
  uint32_t d = operand_of(c, "dlogits", c->dtype, p->token_block * p->block, false, true);
  uint32_t t = array_of(c, "t", WEFT_F32, p->block);
  weft_operand scale = step_scalar(c, "scale", WEFT_LAYER_LOSS_SCALE);
  loop(c, b.row, reg(c, b.rows));
  weft_operand all = whole(c, t), hit = one_of(c, t, b.target);
  vector2(c, WEFT_DO_SUBTRACT, by(b.width), all, row_of(c, b.logits, b.row, p->block), one_of(c, b.lse, b.row));
  vector1(c, WEFT_DO_EXP, by(b.width), all, all);
  when_here(c, &b);
  vector2(c, WEFT_DO_SUBTRACT, fixed(1), hit, hit, weft_f32(1));
  end(c);
  end(c);
  set(c, b.target, one_of(c, b.targets, b.row));
  when(c, reg(c, b.target), WEFT_LESS, constant(0));
  vector1(c, WEFT_DO_MOVE, by(b.width), all, weft_f32(0));
  end(c);
  vector2(c, WEFT_DO_MULTIPLY, by(b.width), row_of(c, d, b.row, p->block), all, scale);
  end(c);
}

static loss measure(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t vocabulary) {
  return (loss){.tokens = tokens,
                .vocabulary = vocabulary,
                .token_block = weft_layer_block(tokens, mesh->rows),
                .block = weft_layer_block(vocabulary, mesh->columns)};
}

weft_kernel *weft_layer_make_cross_entropy(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t vocabulary) {
  weft_kernel *kernel = weft_kernel_create("cross_entropy", mesh->columns, mesh->rows);
  loss p = measure(mesh, tokens, vocabulary);
  colours taken = {0};
  p.across = reduce_open(kernel, &taken, ALONG_ROW);
  layers_emit(kernel, mesh->dtype, emit_forward, &p);
  return kernel;
}

weft_kernel *weft_layer_make_cross_entropy_backward(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t vocabulary) {
  weft_kernel *kernel = weft_kernel_create("cross_entropy_backward", mesh->columns, mesh->rows);
  loss p = measure(mesh, tokens, vocabulary);
  layers_emit(kernel, mesh->dtype, emit_backward, &p);
  return kernel;
}
