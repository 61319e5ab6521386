// Rotary positions, whose pairs may lie in different columns of cores: y = x cos(position f) + partner sin(position f),
// f negative for a pair's first dimension. Partners and frequencies are found once and stay.
#include <math.h>

#include "compiler/kernels/layers_internal.h"

typedef struct table {
  uint32_t columns, token_block, block;
  bool backward;
  const weft_attributes *attributes;
} table;

typedef struct body {
  uint32_t column, d, first, pair, partner, i;  // registers; first: whether this is a pair's first dimension
  uint32_t f, blend;
} body;

static void find_partner(const core *c, const table *p, const body *b) {
  int32_t half = (int32_t)p->attributes->rotary_dim / 2;
  bool interleaved = p->attributes->rope_kind == WEFT_ROPE_INTERLEAVED;
  int32_t away = interleaved ? 1 : half;
  if (interleaved) {
    scalar(c, WEFT_DO_MODULO, b->first, reg(c, b->d), constant(2));
    scalar(c, WEFT_DO_DIVIDE, b->pair, reg(c, b->d), constant(2));
  } else {
    scalar(c, WEFT_DO_DIVIDE, b->first, reg(c, b->d), constant(half));
    scalar(c, WEFT_DO_MODULO, b->pair, reg(c, b->d), constant(half));
  }
  scalar(c, WEFT_DO_SUBTRACT, b->first, constant(1), reg(c, b->first));
  scalar(c, WEFT_DO_MULTIPLY, b->partner, reg(c, b->first), constant(2 * away));
  scalar(c, WEFT_DO_ADD, b->partner, reg(c, b->partner), reg(c, b->column));
  scalar(c, WEFT_DO_SUBTRACT, b->partner, reg(c, b->partner), constant(away));
}

// theta^(-2 pair / rotary_dim), stretched as weft_rope_frequency of models/ops.h says: 1 / factor of it where the wave
// is long, all of it where it is short, and between the two in between.
static void find_frequency(const core *c, const table *p, const body *b) {
  const weft_attributes *a = p->attributes;
  weft_operand f = reg(c, b->f), blend = reg(c, b->blend);
  set(c, b->f, reg(c, b->pair));
  scalar(c, WEFT_DO_MULTIPLY, b->f, f, weft_f32((float)(-2 * log(a->rope_theta) / a->rotary_dim)));
  vector1(c, WEFT_DO_EXP, fixed(1), f, f);
  if (a->rope_scaling == WEFT_ROPE_LINEAR) scalar(c, WEFT_DO_MULTIPLY, b->f, f, weft_f32((float)(1 / a->rope_factor)));
  if (a->rope_scaling == WEFT_ROPE_LLAMA3) {
    double low = a->rope_low_frequency_factor, span = a->rope_high_frequency_factor - low;
    double per = a->rope_original_positions / (6.283185307179586476925286766559 * span);
    vector3(c, WEFT_DO_FMA, fixed(1), blend, f, weft_f32((float)per), weft_f32((float)(-low / span)));
    scalar(c, WEFT_DO_MAXIMUM, b->blend, blend, weft_f32(0));
    scalar(c, WEFT_DO_MINIMUM, b->blend, blend, weft_f32(1));
    vector3(c, WEFT_DO_FMA, fixed(1), blend, blend, weft_f32((float)(1 - 1 / a->rope_factor)),
            weft_f32((float)(1 / a->rope_factor)));
    scalar(c, WEFT_DO_MULTIPLY, b->f, f, blend);
  }
  when(c, reg(c, b->first), WEFT_EQUAL, constant(p->backward ? 0 : 1));
  vector1(c, WEFT_DO_NEGATE, fixed(1), f, f);
  end(c);
}

static void emit_table(core *c, const void *what) {
  const table *p = what;
  uint32_t partners = operand_of(c, "partners", WEFT_I32, p->block, false, true);
  uint32_t frequencies = operand_of(c, "frequencies", WEFT_F32, p->block, false, true);
  uint32_t width = share(c, "width", ALONG_ROW, p->columns, p->block);
  body b = {.column = integer(c, "number"),
            .d = integer(c, "d"),
            .first = integer(c, "first"),
            .pair = integer(c, "pair"),
            .partner = integer(c, "partner"),
            .i = integer(c, "i"),
            .f = weft_kernel_real(c->kernel, c->program, "f", 0),
            .blend = weft_kernel_real(c->kernel, c->program, "blend", 0)};
  loop(c, b.i, reg(c, width));
  scalar(c, WEFT_DO_MULTIPLY, b.column, reg(c, c->me[ALONG_ROW]), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, b.column, reg(c, b.column), reg(c, b.i));
  scalar(c, WEFT_DO_MODULO, b.d, reg(c, b.column), constant((int32_t)p->attributes->head_dim));
  set(c, b.partner, reg(c, b.column));
  set(c, b.f, weft_f32(0));
  when(c, reg(c, b.d), WEFT_LESS, constant((int32_t)(p->attributes->rotary_dim / 2 * 2)));
  find_partner(c, p, &b);
  find_frequency(c, p, &b);
  end(c);
  scalar(c, WEFT_DO_MODULO, b.d, reg(c, b.partner), constant((int32_t)p->block));
  scalar(c, WEFT_DO_DIVIDE, b.partner, reg(c, b.partner), constant((int32_t)p->block));
  scalar(c, WEFT_DO_MULTIPLY, b.partner, reg(c, b.partner), constant((int32_t)(p->token_block * p->block)));
  scalar(c, WEFT_DO_ADD, b.partner, reg(c, b.partner), reg(c, b.d));
  vector1(c, WEFT_DO_MOVE, fixed(1), one_of(c, partners, b.i), reg(c, b.partner));
  vector1(c, WEFT_DO_MOVE, fixed(1), one_of(c, frequencies, b.i), reg(c, b.f));
  end(c);
}

weft_kernel *weft_layer_make_rope_table(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns,
                                        const weft_attributes *attributes, bool backward) {
  weft_kernel *kernel = weft_kernel_create("rope_table", mesh->columns, mesh->rows);
  table p = {.columns = columns,
             .token_block = weft_layer_block(tokens, mesh->rows),
             .block = weft_layer_block(columns, mesh->columns),
             .backward = backward,
             .attributes = attributes};
  layers_emit(kernel, mesh->dtype, emit_table, &p);
  return kernel;
}

// ---- turning

typedef struct rope {
  uint32_t tokens, columns, token_block, block, mesh_columns;
  gather across;
} rope;

static void emit_rope(core *c, const void *what) {
  const rope *p = what;
  uint32_t size = p->token_block * p->block;
  int32_t per = (int32_t)p->block;
  uint32_t x = operand_of(c, "x", c->dtype, size, true, false), y = operand_of(c, "y", c->dtype, size, false, true);
  uint32_t positions = operand_of(c, "positions", WEFT_I32, p->token_block, true, false);
  uint32_t partners = operand_of(c, "partners", WEFT_I32, p->block, true, false);
  uint32_t frequencies = operand_of(c, "frequencies", WEFT_F32, p->block, true, false);
  uint32_t all = array_of(c, "all", c->dtype, size * p->mesh_columns);
  uint32_t when_at = array_of(c, "position", WEFT_F32, p->token_block);
  uint32_t angle = array_of(c, "angle", WEFT_F32, p->token_block);
  uint32_t t = array_of(c, "t", WEFT_F32, p->token_block), sum = array_of(c, "sum", WEFT_F32, p->token_block);
  extent rows = by(share(c, "tokens", ALONG_COLUMN, p->tokens, p->token_block));
  uint32_t width = share(c, "width", ALONG_ROW, p->columns, p->block), i = integer(c, "i");
  uint32_t partner = integer(c, "partner");
  gather_all(c, &p->across, size, x, all);
  vector1(c, WEFT_DO_MOVE, rows, whole(c, when_at), whole(c, positions));
  loop(c, i, reg(c, width));
  set(c, partner, one_of(c, partners, i));
  vector2(c, WEFT_DO_MULTIPLY, rows, whole(c, angle), whole(c, when_at), one_of(c, frequencies, i));
  vector1(c, WEFT_DO_COSINE, rows, whole(c, t), whole(c, angle));
  vector2(c, WEFT_DO_MULTIPLY, rows, whole(c, sum), whole(c, t), weft_moved(view(c, x, 0, per), i, 1));
  vector1(c, WEFT_DO_SINE, rows, whole(c, t), whole(c, angle));
  vector3(c, WEFT_DO_FMA, rows, weft_moved(view(c, y, 0, per), i, 1), whole(c, t),
          weft_moved(view(c, all, 0, per), partner, 1), whole(c, sum));
  end(c);
}

weft_kernel *weft_layer_make_rope(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns) {
  weft_kernel *kernel = weft_kernel_create("rope", mesh->columns, mesh->rows);
  rope p = {.tokens = tokens,
            .columns = columns,
            .token_block = weft_layer_block(tokens, mesh->rows),
            .block = weft_layer_block(columns, mesh->columns),
            .mesh_columns = mesh->columns};
  colours taken = {0};
  p.across = gather_open(kernel, &taken, ALONG_ROW);
  layers_emit(kernel, mesh->dtype, emit_rope, &p);
  return kernel;
}
