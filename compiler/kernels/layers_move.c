// Moving without arithmetic: columns and rows taken from elsewhere, embeddings in, their gradients out. Every core
// finds by itself where its elements come from.
#include "compiler/kernels/layers_internal.h"

// ---- columns

typedef struct column_move {
  const weft_layer_columns *shape;
  uint32_t token_block, block, keys;  // columns of from's block; keys: columns of one lane in a core
  gather across;
} column_move;

typedef struct body {
  uint32_t i, column, source, t, lane;  // registers
} body;

// Opens an if: to's column `column` is a query dimension; source = its place in heads' order.
static void find_in_heads(const core *c, const column_move *p, const body *b) {
  const weft_layer_columns *s = p->shape;
  weft_operand dims = constant((int32_t)s->head_dim), lanes = constant((int32_t)s->lanes);
  weft_operand keys = constant((int32_t)p->keys);
  scalar(c, WEFT_DO_MULTIPLY, b->source, reg(c, c->me[ALONG_ROW]), keys);
  scalar(c, WEFT_DO_DIVIDE, b->lane, reg(c, b->i), keys);
  scalar(c, WEFT_DO_MODULO, b->t, reg(c, b->i), keys);
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->source), reg(c, b->t));
  when(c, reg(c, b->source), WEFT_LESS, constant((int32_t)(s->kv_heads * s->head_dim)));
  scalar(c, WEFT_DO_MODULO, b->t, reg(c, b->source), dims);
  scalar(c, WEFT_DO_DIVIDE, b->source, reg(c, b->source), dims);
  scalar(c, WEFT_DO_MULTIPLY, b->source, reg(c, b->source), lanes);
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->source), reg(c, b->lane));
  scalar(c, WEFT_DO_MULTIPLY, b->source, reg(c, b->source), dims);
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->source), reg(c, b->t));
}

// Likewise, the other way: source = the column's place in lane order.
static void find_in_lanes(const core *c, const column_move *p, const body *b) {
  const weft_layer_columns *s = p->shape;
  weft_operand dims = constant((int32_t)s->head_dim), lanes = constant((int32_t)s->lanes);
  weft_operand keys = constant((int32_t)p->keys);
  when(c, reg(c, b->column), WEFT_LESS, constant((int32_t)(s->kv_heads * s->lanes * s->head_dim)));
  scalar(c, WEFT_DO_DIVIDE, b->source, reg(c, b->column), dims);
  scalar(c, WEFT_DO_MODULO, b->t, reg(c, b->column), dims);
  scalar(c, WEFT_DO_MODULO, b->lane, reg(c, b->source), lanes);
  scalar(c, WEFT_DO_DIVIDE, b->source, reg(c, b->source), lanes);
  scalar(c, WEFT_DO_MULTIPLY, b->source, reg(c, b->source), dims);
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->source), reg(c, b->t));
  scalar(c, WEFT_DO_MODULO, b->t, reg(c, b->source), keys);
  scalar(c, WEFT_DO_DIVIDE, b->source, reg(c, b->source), keys);
  scalar(c, WEFT_DO_MULTIPLY, b->source, reg(c, b->source), lanes);
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->source), reg(c, b->lane));
  scalar(c, WEFT_DO_MULTIPLY, b->source, reg(c, b->source), keys);
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->source), reg(c, b->t));
}

static void find_shifted(const core *c, const column_move *p, const body *b) {
  scalar(c, WEFT_DO_SUBTRACT, b->t, reg(c, b->column), constant((int32_t)p->shape->first));
  scalar(c, WEFT_DO_MAXIMUM, b->t, reg(c, b->t), constant(-1));
  scalar(c, WEFT_DO_ADD, b->source, reg(c, b->t), constant((int32_t)p->shape->source));
  when(c, reg(c, b->t), WEFT_AT_LEAST, constant(0));
  when(c, reg(c, b->t), WEFT_LESS, constant((int32_t)p->shape->count));
}

static void emit_columns(core *c, const void *what) {
  const column_move *p = what;
  int32_t width = (int32_t)p->shape->width;
  uint32_t size = p->token_block * p->block;
  uint32_t from = operand_of(c, "from", c->dtype, size, true, false);
  uint32_t to = operand_of(c, "to", c->dtype, p->token_block * p->shape->width, true, true);
  uint32_t all = array_of(c, "all", c->dtype, size * p->across.length);
  body b = {integer(c, "i"), integer(c, "column"), integer(c, "source"), integer(c, "t"), integer(c, "lane")};
  gather_all(c, &p->across, size, from, all);
  loop(c, b.i, constant(width));
  scalar(c, WEFT_DO_MULTIPLY, b.column, reg(c, c->me[ALONG_ROW]), constant(width));
  scalar(c, WEFT_DO_ADD, b.column, reg(c, b.column), reg(c, b.i));
  switch (p->shape->order) {
    case WEFT_LAYER_TO_LANES: find_in_heads(c, p, &b); break;
    case WEFT_LAYER_FROM_LANES: find_in_lanes(c, p, &b); break;
    default: find_shifted(c, p, &b); break;
  }
  scalar(c, WEFT_DO_MODULO, b.t, reg(c, b.source), constant((int32_t)p->block));
  scalar(c, WEFT_DO_DIVIDE, b.source, reg(c, b.source), constant((int32_t)p->block));
  scalar(c, WEFT_DO_MULTIPLY, b.source, reg(c, b.source), constant((int32_t)size));
  scalar(c, WEFT_DO_ADD, b.source, reg(c, b.source), reg(c, b.t));
  vector1(c, WEFT_DO_MOVE, fixed(p->token_block), weft_moved(view(c, to, 0, width), b.i, 1),
          weft_moved(view(c, all, 0, (int32_t)p->block), b.source, 1));
  end(c);
  if (p->shape->order == WEFT_LAYER_SHIFTED) end(c);
  end(c);
}

weft_kernel *weft_layer_make_take_columns(const weft_layer_mesh *mesh, const weft_layer_columns *shape) {
  weft_kernel *kernel = weft_kernel_create("take_columns", mesh->columns, mesh->rows);
  column_move p = {.shape = shape,
                   .token_block = weft_layer_block(shape->tokens, mesh->rows),
                   .block = weft_layer_block(shape->from, mesh->columns),
                   .keys = weft_layer_block(shape->kv_heads * shape->head_dim, mesh->columns)};
  colours taken = {0};
  p.across = gather_open(kernel, &taken, ALONG_ROW);
  layers_emit(kernel, mesh->dtype, emit_columns, &p);
  return kernel;
}

// ---- rows

typedef struct row_move {
  const weft_layer_rows *shape;
  uint32_t from_block, to_block, block;  // rows, rows, columns
  gather down;
} row_move;

static void emit_rows(core *c, const void *what) {
  const row_move *p = what;
  const weft_layer_rows *s = p->shape;
  uint32_t size = p->from_block * p->block;
  uint32_t from = operand_of(c, "from", c->dtype, size, true, false);
  uint32_t to = operand_of(c, "to", c->dtype, p->to_block * p->block, true, true);
  uint32_t all = array_of(c, "all", c->dtype, size * p->down.length);
  uint32_t count = share(c, "rows", ALONG_COLUMN, s->batch * s->room, p->to_block), row = integer(c, "row");
  uint32_t sequence = integer(c, "sequence"), t = integer(c, "t"), position = integer(c, "first_position");
  gather_all(c, &p->down, size, from, all);
  if (s->cached) {
    set(c, position, whole(c, operand_of(c, "position", WEFT_I32, 1, true, false)));
  } else {
    set(c, position, constant(1 - (int32_t)s->tokens));
  }
  loop(c, row, reg(c, count));
  scalar(c, WEFT_DO_MULTIPLY, t, reg(c, c->me[ALONG_COLUMN]), constant((int32_t)p->to_block));
  scalar(c, WEFT_DO_ADD, t, reg(c, t), reg(c, row));
  scalar(c, WEFT_DO_DIVIDE, sequence, reg(c, t), constant((int32_t)s->room));
  scalar(c, WEFT_DO_MODULO, t, reg(c, t), constant((int32_t)s->room));
  scalar(c, WEFT_DO_SUBTRACT, t, reg(c, t), reg(c, position));
  when(c, reg(c, t), WEFT_AT_LEAST, constant(0));
  when(c, reg(c, t), WEFT_LESS, constant((int32_t)s->tokens));
  scalar(c, WEFT_DO_MULTIPLY, sequence, reg(c, sequence), constant((int32_t)s->tokens));
  scalar(c, WEFT_DO_ADD, t, reg(c, t), reg(c, sequence));
  vector1(c, WEFT_DO_MOVE, fixed(p->block), row_of(c, to, row, p->block), row_of(c, all, t, p->block));
  end(c);
  end(c);
  end(c);
}

weft_kernel *weft_layer_make_take_rows(const weft_layer_mesh *mesh, const weft_layer_rows *shape) {
  weft_kernel *kernel = weft_kernel_create(shape->cached ? "cache_write" : "last_row", mesh->columns, mesh->rows);
  row_move p = {.shape = shape,
                .from_block = weft_layer_block(shape->batch * shape->tokens, mesh->rows),
                .to_block = weft_layer_block(shape->batch * shape->room, mesh->rows),
                .block = weft_layer_block(shape->columns, mesh->columns)};
  colours taken = {0};
  p.down = gather_open(kernel, &taken, ALONG_COLUMN);
  layers_emit(kernel, mesh->dtype, emit_rows, &p);
  return kernel;
}

// ---- embeddings

typedef struct embed {
  uint32_t tokens, token_block, block;
  uint32_t vocabulary, chunk;
  float scale;
  uint32_t table;  // colour
  chain south;
} embed;

static embed measure(const weft_layer_mesh *mesh, const weft_layer_embed *shape) {
  return (embed){.tokens = shape->tokens,
                 .token_block = weft_layer_block(shape->tokens, mesh->rows),
                 .block = weft_layer_block(shape->columns, mesh->columns),
                 .vocabulary = shape->vocabulary,
                 .chunk = shape->chunk,
                 .scale = shape->scale};
}

static uint64_t table_words(const embed *p) {
  return (uint64_t)weft_layer_block(p->vocabulary, p->chunk) * p->chunk * p->block;
}

// Opens a loop over the core's tokens and two ifs: the token's row is in the chunk that begins with `first`, at `id`.
// Close with three ends.
static void each_token(const core *c, const embed *p, uint32_t ids, uint32_t row, uint32_t rows, uint32_t id,
                       uint32_t first) {
  loop(c, row, reg(c, rows));
  scalar(c, WEFT_DO_SUBTRACT, id, one_of(c, ids, row), reg(c, first));
  when(c, reg(c, id), WEFT_AT_LEAST, constant(0));
  when(c, reg(c, id), WEFT_LESS, constant((int32_t)p->chunk));
}

static void end_tokens(const core *c) {
  end(c);
  end(c);
  end(c);
}

// The whole table comes by, chunk after chunk; a core keeps the rows that its tokens name.
static void emit_embed(core *c, const void *what) {
  const embed *p = what;
  uint32_t ids = operand_of(c, "ids", WEFT_I32, p->token_block, true, false);
  uint32_t y = operand_of(c, "y", c->dtype, p->token_block * p->block, false, true);
  extent n = fixed(p->chunk * p->block);
  uint32_t part = array_of(c, "part", WEFT_F32, n.count);
  uint32_t rows = share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block), row = integer(c, "row");
  uint32_t turn = integer(c, "turn"), first = integer(c, "first"), id = integer(c, "id");
  loop(c, turn, constant((int32_t)weft_layer_block(p->vocabulary, p->chunk)));
  vector1(c, WEFT_DO_MOVE, n, whole(c, part), weft_receive(p->table, WEFT_F32));
  each_token(c, p, ids, row, rows, id, first);
  vector2(c, WEFT_DO_MULTIPLY, fixed(p->block), row_of(c, y, row, p->block), row_of(c, part, id, p->block),
          weft_f32(p->scale));
  end_tokens(c);
  scalar(c, WEFT_DO_ADD, first, reg(c, first), constant((int32_t)p->chunk));
  end(c);
}

weft_kernel *weft_layer_make_embed(const weft_layer_mesh *mesh, const weft_layer_embed *shape) {
  weft_kernel *kernel = weft_kernel_create("embed", mesh->columns, mesh->rows);
  embed p = measure(mesh, shape);
  colours taken = {0};
  p.table = stream_open(kernel, &taken, ALONG_COLUMN, table_words(&p));
  layers_emit(kernel, mesh->dtype, emit_embed, &p);
  return kernel;
}

// For every chunk of the table: what this core's tokens add to its rows, then the sum down the column.
static void emit_embed_backward(core *c, const void *what) {
  const embed *p = what;
  uint32_t ids = operand_of(c, "ids", WEFT_I32, p->token_block, true, false);
  uint32_t dy = operand_of(c, "dy", c->dtype, p->token_block * p->block, true, false);
  extent n = fixed(p->chunk * p->block);
  uint32_t part = array_of(c, "part", WEFT_F32, n.count);
  uint32_t rows = share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block), row = integer(c, "row");
  uint32_t turn = integer(c, "turn"), first = integer(c, "first"), id = integer(c, "id");
  loop(c, turn, constant((int32_t)weft_layer_block(p->vocabulary, p->chunk)));
  clear(c, part, n.count);
  each_token(c, p, ids, row, rows, id, first);
  vector2(c, WEFT_DO_ADD, fixed(p->block), row_of(c, part, id, p->block), row_of(c, dy, row, p->block),
          row_of(c, part, id, p->block));
  end_tokens(c);
  if (p->scale != 1) vector2(c, WEFT_DO_MULTIPLY, n, whole(c, part), whole(c, part), weft_f32(p->scale));
  chain_add(c, &p->south, n, part);
  scalar(c, WEFT_DO_ADD, first, reg(c, first), constant((int32_t)p->chunk));
  end(c);
}

weft_kernel *weft_layer_make_embed_backward(const weft_layer_mesh *mesh, const weft_layer_embed *shape) {
  weft_kernel *kernel = weft_kernel_create("embed_backward", mesh->columns, mesh->rows);
  embed p = measure(mesh, shape);
  colours taken = {0};
  p.south = chain_open(kernel, &taken, ALONG_COLUMN, false);
  chain_leaves(kernel, &p.south, table_words(&p));
  layers_emit(kernel, mesh->dtype, emit_embed_backward, &p);
  return kernel;
}
