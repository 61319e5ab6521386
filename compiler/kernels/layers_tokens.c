// Tokens: ids come in and get positions; the next one is chosen from logits.
#include <stdio.h>

#include "compiler/kernels/layers_internal.h"

typedef struct tokens {
  uint32_t count, token_block, each, lists;
  uint32_t colour;
} tokens;

static void emit_tokens(core *c, const void *what) {
  const tokens *p = what;
  uint32_t position = operand_of(c, "position", WEFT_I32, 1, false, true), row = integer(c, "row");
  uint32_t positions = operand_of(c, "positions", WEFT_I32, p->token_block, false, true);
  uint32_t rows = share(c, "tokens", ALONG_COLUMN, p->count, p->token_block), t = integer(c, "t");
  vector1(c, WEFT_DO_MOVE, fixed(1), whole(c, position), weft_receive(p->colour, WEFT_I32));
  for (uint32_t l = 0; l < p->lists; ++l) {
    char name[WEFT_KERNEL_NAME];
    snprintf(name, sizeof name, "list_%u", l);
    vector1(c, WEFT_DO_MOVE, fixed(p->token_block),
            whole(c, operand_of(c, name, WEFT_I32, p->token_block, false, true)), weft_receive(p->colour, WEFT_I32));
  }
  loop(c, row, reg(c, rows));
  scalar(c, WEFT_DO_MULTIPLY, t, reg(c, c->me[ALONG_COLUMN]), constant((int32_t)p->token_block));
  scalar(c, WEFT_DO_ADD, t, reg(c, t), reg(c, row));
  scalar(c, WEFT_DO_MODULO, t, reg(c, t), constant((int32_t)p->each));
  scalar(c, WEFT_DO_ADD, t, reg(c, t), whole(c, position));
  vector1(c, WEFT_DO_MOVE, fixed(1), one_of(c, positions, row), reg(c, t));
  end(c);
}

weft_kernel *weft_layer_make_tokens(const weft_layer_mesh *mesh, uint32_t count, uint32_t each, uint32_t lists) {
  weft_kernel *kernel = weft_kernel_create("tokens", mesh->columns, mesh->rows);
  tokens p = {.count = count, .token_block = weft_layer_block(count, mesh->rows), .each = each, .lists = lists};
  colours taken = {0};
  p.colour = stream_open(kernel, &taken, ALONG_ROW, 1 + (uint64_t)lists * p.token_block);
  layers_emit(kernel, WEFT_I32, emit_tokens, &p);
  return kernel;
}

// ---- the most likely token

typedef struct greatest {
  uint32_t tokens, vocabulary, token_block, block;
  reduce across;
} greatest;

// Of equal logits the first column's counts, as for who searches from the left: columns travel negated, in f32, which
// holds them exactly up to 2^24.
static void emit_greatest(core *c, const void *what) {
  const greatest *p = what;
  uint32_t logits = operand_of(c, "logits", c->dtype, p->token_block * p->block, true, false);
  uint32_t ids = operand_of(c, "ids", WEFT_I32, p->token_block, false, true);
  uint32_t top = array_of(c, "top", WEFT_F32, p->token_block), best = array_of(c, "best", WEFT_F32, p->token_block);
  uint32_t rows = share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block);
  uint32_t width = share(c, "width", ALONG_ROW, p->vocabulary, p->block), row = integer(c, "row");
  uint32_t column = integer(c, "column"), place = integer(c, "place"), negated = integer(c, "negated");
  uint32_t logit = weft_kernel_real(c->kernel, c->program, "logit", 0);
  uint32_t limit = weft_kernel_real(c->kernel, c->program, "limit", 0);
  vector1(c, WEFT_DO_MOVE, fixed(p->token_block), whole(c, top), weft_f32(-3.4e38f));
  vector1(c, WEFT_DO_MOVE, fixed(p->token_block), whole(c, best), weft_f32(-3.4e38f));
  loop(c, row, reg(c, rows));
  vector1(c, WEFT_DO_GREATEST, by(width), one_of(c, top, row), row_of(c, logits, row, p->block));
  end(c);
  reduce_all(c, &p->across, WEFT_DO_MAXIMUM, fixed(p->token_block), whole(c, top));
  loop(c, row, reg(c, rows));
  set(c, limit, one_of(c, top, row));
  loop(c, column, reg(c, width));
  scalar(c, WEFT_DO_MULTIPLY, place, reg(c, row), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, place, reg(c, place), reg(c, column));
  set(c, logit, one_of(c, logits, place));
  when(c, reg(c, logit), WEFT_AT_LEAST, reg(c, limit));
  scalar(c, WEFT_DO_MULTIPLY, negated, reg(c, c->me[ALONG_ROW]), constant(-(int32_t)p->block));
  scalar(c, WEFT_DO_SUBTRACT, negated, reg(c, negated), reg(c, column));
  set(c, logit, reg(c, negated));
  vector2(c, WEFT_DO_MAXIMUM, fixed(1), one_of(c, best, row), one_of(c, best, row), reg(c, logit));
  end(c);
  end(c);
  end(c);
  reduce_all(c, &p->across, WEFT_DO_MAXIMUM, fixed(p->token_block), whole(c, best));
  vector1(c, WEFT_DO_NEGATE, by(rows), whole(c, best), whole(c, best));
  vector1(c, WEFT_DO_MOVE, by(rows), whole(c, ids), whole(c, best));
}

weft_kernel *weft_layer_make_greatest(const weft_layer_mesh *mesh, uint32_t count, uint32_t vocabulary) {
  weft_kernel *kernel = weft_kernel_create("greatest", mesh->columns, mesh->rows);
  greatest p = {.tokens = count,
                .vocabulary = vocabulary,
                .token_block = weft_layer_block(count, mesh->rows),
                .block = weft_layer_block(vocabulary, mesh->columns)};
  colours taken = {0};
  p.across = reduce_open(kernel, &taken, ALONG_ROW);
  layers_emit(kernel, mesh->dtype, emit_greatest, &p);
  return kernel;
}
