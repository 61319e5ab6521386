// Moving without arithmetic: columns and rows taken from elsewhere, embeddings in, their gradients out.
#include "compiler/kernels/layers_internal.h"

typedef struct take {
  uint32_t from_block, to_block, line;  // elements of a core's block; cores of the line
  uint32_t row;                         // elements of one row of the blocks
  uint32_t count;                       // columns or rows of to's block
  axis along;
  uint32_t table;  // colour
  gather gathered;
} take;

static void emit_take(core *c, const void *what) {
  const take *p = what;
  bool columns = p->along == ALONG_ROW;
  uint32_t from = operand_of(c, "from", c->dtype, p->from_block, true, false);
  uint32_t to = operand_of(c, "to", c->dtype, p->to_block, true, true);
  uint32_t all = array_of(c, "all", c->dtype, p->from_block * p->line);
  uint32_t table = array_of(c, "table", WEFT_I32, p->count);
  uint32_t i = integer(c, "i"), place = integer(c, "place");
  gather_all(c, &p->gathered, p->from_block, from, all);
  vector1(c, WEFT_DO_MOVE, fixed(p->count), whole(c, table), weft_receive(p->table, WEFT_I32));
  loop(c, i, constant((int32_t)p->count));
  set(c, place, one_of(c, table, i));
  when(c, reg(c, place), WEFT_AT_LEAST, constant(0));
  if (columns) {
    uint32_t rows = p->to_block / p->count;
    vector1(c, WEFT_DO_MOVE, fixed(rows), weft_moved(view(c, to, 0, (int32_t)p->count), i, 1),
            weft_moved(view(c, all, 0, (int32_t)p->row), place, 1));
  } else {
    vector1(c, WEFT_DO_MOVE, fixed(p->row), row_of(c, to, i, p->row), row_of(c, all, place, p->row));
  }
  end(c);
  end(c);
}

static weft_kernel *make_take(const weft_layer_mesh *mesh, const char *name, take *p) {
  weft_kernel *kernel = weft_kernel_create(name, mesh->columns, mesh->rows);
  colours taken = {0};
  p->line = p->along == ALONG_ROW ? mesh->columns : mesh->rows;
  p->table = stream_open(kernel, &taken, p->along == ALONG_ROW ? ALONG_COLUMN : ALONG_ROW, p->count);
  p->gathered = gather_open(kernel, &taken, p->along);
  layers_emit(kernel, mesh->dtype, emit_take, p);
  return kernel;
}

weft_kernel *weft_layer_make_take_columns(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns,
                                          uint32_t width) {
  uint32_t token_block = weft_layer_block(tokens, mesh->rows), block = weft_layer_block(columns, mesh->columns);
  take p = {.from_block = token_block * block,
            .to_block = token_block * width,
            .row = block,
            .count = width,
            .along = ALONG_ROW};
  return make_take(mesh, "take_columns", &p);
}

weft_kernel *weft_layer_make_take_rows(const weft_layer_mesh *mesh, uint32_t from_rows, uint32_t to_rows,
                                       uint32_t columns) {
  uint32_t block = weft_layer_block(columns, mesh->columns), count = weft_layer_block(to_rows, mesh->rows);
  take p = {.from_block = weft_layer_block(from_rows, mesh->rows) * block,
            .to_block = count * block,
            .row = block,
            .count = count,
            .along = ALONG_COLUMN};
  return make_take(mesh, "take_rows", &p);
}

// ---- embeddings

typedef struct embed {
  uint32_t tokens, token_block, block, mesh_rows;
  uint32_t vocabulary, chunk;
  float scale;
  chain south;
} embed;

// The first block that comes is the core's own; the others are for the rows behind.
static void emit_embed(core *c, const void *what) {
  const embed *p = what;
  uint32_t size = p->token_block * p->block;
  uint32_t y = operand_of(c, "y", c->dtype, size, false, true);
  uint32_t others = integer(c, "others");
  vector2(c, WEFT_DO_MULTIPLY, fixed(size), whole(c, y), chain_in(c, &p->south), weft_f32(p->scale));
  if (!chain_has_out(c, &p->south)) return;
  scalar(c, WEFT_DO_SUBTRACT, others, constant((int32_t)p->mesh_rows - 1), reg(c, c->me[ALONG_COLUMN]));
  scalar(c, WEFT_DO_MULTIPLY, others, reg(c, others), constant((int32_t)size));
  vector1(c, WEFT_DO_MOVE, by(others), chain_out(c, &p->south), chain_in(c, &p->south));
}

weft_kernel *weft_layer_make_embed(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns, float scale) {
  weft_kernel *kernel = weft_kernel_create("embed", mesh->columns, mesh->rows);
  embed p = {.tokens = tokens,
             .token_block = weft_layer_block(tokens, mesh->rows),
             .block = weft_layer_block(columns, mesh->columns),
             .mesh_rows = mesh->rows,
             .scale = scale};
  colours taken = {0};
  p.south = chain_open(kernel, &taken, ALONG_COLUMN, false);
  chain_enters(kernel, &p.south, (uint64_t)p.token_block * p.block * mesh->rows);
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
  loop(c, row, reg(c, rows));
  scalar(c, WEFT_DO_SUBTRACT, id, one_of(c, ids, row), reg(c, first));
  when(c, reg(c, id), WEFT_AT_LEAST, constant(0));
  when(c, reg(c, id), WEFT_LESS, constant((int32_t)p->chunk));
  vector2(c, WEFT_DO_ADD, fixed(p->block), row_of(c, part, id, p->block), row_of(c, dy, row, p->block),
          row_of(c, part, id, p->block));
  end(c);
  end(c);
  end(c);
  if (p->scale != 1) vector2(c, WEFT_DO_MULTIPLY, n, whole(c, part), whole(c, part), weft_f32(p->scale));
  chain_add(c, &p->south, n, part);
  scalar(c, WEFT_DO_ADD, first, reg(c, first), constant((int32_t)p->chunk));
  end(c);
}

weft_kernel *weft_layer_make_embed_backward(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns,
                                            uint32_t vocabulary, uint32_t chunk, float scale) {
  weft_kernel *kernel = weft_kernel_create("embed_backward", mesh->columns, mesh->rows);
  embed p = {.tokens = tokens,
             .token_block = weft_layer_block(tokens, mesh->rows),
             .block = weft_layer_block(columns, mesh->columns),
             .mesh_rows = mesh->rows,
             .vocabulary = vocabulary,
             .chunk = chunk,
             .scale = scale};
  colours taken = {0};
  p.south = chain_open(kernel, &taken, ALONG_COLUMN, false);
  chain_leaves(kernel, &p.south, (uint64_t)weft_layer_block(vocabulary, chunk) * chunk * p.block);
  layers_emit(kernel, mesh->dtype, emit_embed_backward, &p);
  return kernel;
}
