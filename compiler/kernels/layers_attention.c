// Attention over keys and values that are sharded over the whole mesh, and its gradient. Queries come by: every core
// gets all queries of its dimensions, and vector operations run over the queries that see one key.
//
// Matrices of scores are [key of the block][head][query], queries innermost; those that see key s of a sequence are
// [first, first + count) of all: causal ones begin with query s - position.
#include "compiler/kernels/layers_internal.h"

typedef struct attention {
  const weft_layer_attention *shape;
  uint32_t heads, queries, padded;  // queries of all sequences; with padding: token_block * rows of the mesh
  uint32_t token_block, key_block;  // rows
  uint32_t block, lanes;            // columns of k; of q in lane order
  uint32_t key_rows, key_columns;   // of k
  reduce across, down;
  gather queries_down, outputs_down, lse_down;
} attention;

// Registers and arrays that both directions have.
typedef struct body {
  uint32_t rows, keys, width;       // that are there
  uint32_t key, i, lane, head;      // counters
  uint32_t first_head, last_head;   // query heads that this core's dimensions belong to; last: not included
  uint32_t first, count;            // queries that see the key
  uint32_t score, query, place, t;  // places: of a row of scores, in gathered queries, in k and v
  uint32_t firsts, counts;          // arrays: by key
  uint32_t q, q_all, k, v;          // arrays
} body;

static uint32_t score_size(const attention *p) { return p->key_block * p->heads * p->padded; }

static body begin(const core *c, const attention *p) {
  body b = {.rows = share(c, "tokens", ALONG_COLUMN, p->queries, p->token_block),
            .keys = share(c, "keys", ALONG_COLUMN, p->key_rows, p->key_block),
            .width = share(c, "width", ALONG_ROW, p->key_columns, p->block),
            .key = integer(c, "key"),
            .i = integer(c, "i"),
            .lane = integer(c, "lane"),
            .head = integer(c, "head"),
            .first_head = integer(c, "first_head"),
            .last_head = integer(c, "last_head"),
            .first = integer(c, "first"),
            .count = integer(c, "count"),
            .score = integer(c, "score"),
            .query = integer(c, "query"),
            .place = integer(c, "place"),
            .t = integer(c, "t")};
  b.q = operand_of(c, "q", c->dtype, p->token_block * p->lanes, true, false);
  b.k = operand_of(c, "k", c->dtype, p->key_block * p->block, true, false);
  b.v = operand_of(c, "v", c->dtype, p->key_block * p->block, true, false);
  b.q_all = array_of(c, "q_all", c->dtype, p->padded * p->lanes);
  b.firsts = array_of(c, "firsts", WEFT_I32, p->key_block);
  b.counts = array_of(c, "counts", WEFT_I32, p->key_block);
  return b;
}

// Softmax is made by every core for the heads that it needs, which are the same all down a column.
static void find_heads(const core *c, const attention *p, const body *b) {
  const weft_layer_attention *s = p->shape;
  scalar(c, WEFT_DO_MULTIPLY, b->first_head, reg(c, c->me[ALONG_ROW]), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, b->last_head, reg(c, b->first_head), reg(c, b->width));
  scalar(c, WEFT_DO_DIVIDE, b->first_head, reg(c, b->first_head), constant((int32_t)s->head_dim));
  scalar(c, WEFT_DO_MULTIPLY, b->first_head, reg(c, b->first_head), constant((int32_t)s->lanes));
  scalar(c, WEFT_DO_ADD, b->last_head, reg(c, b->last_head), constant((int32_t)s->head_dim - 1));
  scalar(c, WEFT_DO_DIVIDE, b->last_head, reg(c, b->last_head), constant((int32_t)s->head_dim));
  scalar(c, WEFT_DO_MULTIPLY, b->last_head, reg(c, b->last_head), constant((int32_t)s->lanes));
  when(c, reg(c, b->width), WEFT_EQUAL, constant(0));
  set(c, b->last_head, reg(c, b->first_head));
  end(c);
}

static void each_head(const core *c, const body *b) {
  (void)weft_begin_loop(c->kernel, c->program, b->head, reg(c, b->first_head), reg(c, b->last_head), 1);
}

// Which queries see each key: of row y * Br + key, sequence s and place t in it, those of sequence s from t - position.
static void find_queries(const core *c, const attention *p, const body *b) {
  const weft_layer_attention *s = p->shape;
  weft_operand first = reg(c, b->first), count = reg(c, b->count), t = reg(c, b->t);
  uint32_t position = integer(c, "first_position");
  if (s->cached) set(c, position, whole(c, operand_of(c, "position", WEFT_I32, 1, true, false)));
  loop(c, b->key, reg(c, b->keys));
  scalar(c, WEFT_DO_MULTIPLY, b->t, reg(c, c->me[ALONG_COLUMN]), constant((int32_t)p->key_block));
  scalar(c, WEFT_DO_ADD, b->t, t, reg(c, b->key));
  scalar(c, WEFT_DO_DIVIDE, b->first, t, constant((int32_t)s->room));
  scalar(c, WEFT_DO_MODULO, b->t, t, constant((int32_t)s->room));
  scalar(c, WEFT_DO_MULTIPLY, b->first, first, constant((int32_t)s->tokens));
  if (s->causal) {
    if (s->cached) scalar(c, WEFT_DO_SUBTRACT, b->t, t, reg(c, position));
    scalar(c, WEFT_DO_MAXIMUM, b->t, t, constant(0));
    scalar(c, WEFT_DO_MINIMUM, b->t, t, constant((int32_t)s->tokens));
  } else {
    set(c, b->t, constant(0));
  }
  scalar(c, WEFT_DO_SUBTRACT, b->count, constant((int32_t)s->tokens), t);
  scalar(c, WEFT_DO_ADD, b->first, first, t);
  vector1(c, WEFT_DO_MOVE, fixed(1), one_of(c, b->firsts, b->key), first);
  vector1(c, WEFT_DO_MOVE, fixed(1), one_of(c, b->counts, b->key), count);
  end(c);
}

// Opens a loop over the keys that any query sees; close with end_keys.
static void each_key(const core *c, const body *b) {
  loop(c, b->key, reg(c, b->keys));
  set(c, b->first, one_of(c, b->firsts, b->key));
  set(c, b->count, one_of(c, b->counts, b->key));
  when(c, reg(c, b->count), WEFT_MORE, constant(0));
}

static void end_keys(const core *c) {
  end(c);
  end(c);
}

// b->score = place of (key, head, first) among the scores
static void find_score(const core *c, const attention *p, const body *b) {
  scalar(c, WEFT_DO_MULTIPLY, b->score, reg(c, b->key), constant((int32_t)p->heads));
  scalar(c, WEFT_DO_ADD, b->score, reg(c, b->score), reg(c, b->head));
  scalar(c, WEFT_DO_MULTIPLY, b->score, reg(c, b->score), constant((int32_t)p->padded));
  scalar(c, WEFT_DO_ADD, b->score, reg(c, b->score), reg(c, b->first));
}

// Opens loops over a core's dimensions and the query heads that share each; close with two ends.
// place: of (key, i) in k; query: of (first, lane, i) among gathered queries; score: of (key, head, first).
static void each_dimension(const core *c, const attention *p, const body *b) {
  const weft_layer_attention *s = p->shape;
  loop(c, b->i, reg(c, b->width));
  scalar(c, WEFT_DO_MULTIPLY, b->place, reg(c, b->key), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, b->place, reg(c, b->place), reg(c, b->i));
  scalar(c, WEFT_DO_MULTIPLY, b->head, reg(c, c->me[ALONG_ROW]), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, b->head, reg(c, b->head), reg(c, b->i));
  scalar(c, WEFT_DO_DIVIDE, b->head, reg(c, b->head), constant((int32_t)s->head_dim));
  scalar(c, WEFT_DO_MULTIPLY, b->head, reg(c, b->head), constant((int32_t)s->lanes));
  find_score(c, p, b);
  scalar(c, WEFT_DO_MULTIPLY, b->query, reg(c, b->first), constant((int32_t)p->lanes));
  scalar(c, WEFT_DO_ADD, b->query, reg(c, b->query), reg(c, b->i));
  loop(c, b->lane, constant((int32_t)s->lanes));
}

static void end_dimensions(const core *c, const attention *p, const body *b) {
  scalar(c, WEFT_DO_ADD, b->score, reg(c, b->score), constant((int32_t)p->padded));
  scalar(c, WEFT_DO_ADD, b->query, reg(c, b->query), constant((int32_t)p->block));
  end(c);
  end(c);
}

// Opens loops over keys and the core's heads; close with end and end_keys. lane: of (head, first) among vectors by
// head.
static void each_score(const core *c, const attention *p, const body *b) {
  each_key(c, b);
  each_head(c, b);
  find_score(c, p, b);
  scalar(c, WEFT_DO_MULTIPLY, b->lane, reg(c, b->head), constant((int32_t)p->padded));
  scalar(c, WEFT_DO_ADD, b->lane, reg(c, b->lane), reg(c, b->first));
}

static weft_operand scores_at(const core *c, const body *b, uint32_t scores) { return row_of(c, scores, b->score, 1); }
static weft_operand queries_at(const core *c, const attention *p, const body *b, uint32_t all) {
  return weft_moved(view(c, all, 0, (int32_t)p->lanes), b->query, 1);
}

// scores = q k over the dimensions that this core has
static void multiply(const core *c, const attention *p, const body *b, uint32_t q_all, uint32_t k, uint32_t scores) {
  clear(c, scores, score_size(p));
  each_key(c, b);
  each_dimension(c, p, b);
  vector3(c, WEFT_DO_FMA, by(b->count), scores_at(c, b, scores), queries_at(c, p, b, q_all), one_of(c, k, b->place),
          scores_at(c, b, scores));
  end_dimensions(c, p, b);
  end_keys(c);
}

// all (queries) += scores v over the keys that this core has
static void add_values(const core *c, const attention *p, const body *b, uint32_t scores, uint32_t v, uint32_t all) {
  clear(c, all, p->padded * p->lanes);
  each_key(c, b);
  each_dimension(c, p, b);
  vector3(c, WEFT_DO_FMA, by(b->count), queries_at(c, p, b, all), scores_at(c, b, scores), one_of(c, v, b->place),
          queries_at(c, p, b, all));
  end_dimensions(c, p, b);
  end_keys(c);
}

// ---- forward

typedef struct softmax {
  uint32_t scores, top, sums, all, o, lse;
} softmax;

static void soften(const core *c, const attention *p, const body *b, const softmax *f) {
  extent scores = fixed(score_size(p)), heads = fixed(p->heads * p->padded);
  weft_operand by_head = row_of(c, f->top, b->lane, 1), sum = row_of(c, f->sums, b->lane, 1);
  weft_operand score = scores_at(c, b, f->scores);
  extent n = by(b->count);
  reduce_all(c, &p->across, WEFT_DO_ADD, scores, whole(c, f->scores));
  vector2(c, WEFT_DO_MULTIPLY, scores, whole(c, f->scores), whole(c, f->scores), weft_f32(p->shape->scale));
  vector1(c, WEFT_DO_MOVE, heads, whole(c, f->top), weft_f32(-3.4e38f));
  each_score(c, p, b);
  vector2(c, WEFT_DO_MAXIMUM, n, by_head, by_head, score);
  end(c);
  end_keys(c);
  reduce_all(c, &p->down, WEFT_DO_MAXIMUM, heads, whole(c, f->top));
  clear(c, f->sums, heads.count);
  each_score(c, p, b);
  vector2(c, WEFT_DO_SUBTRACT, n, score, score, by_head);
  vector1(c, WEFT_DO_EXP, n, score, score);
  vector2(c, WEFT_DO_ADD, n, sum, sum, score);
  end(c);
  end_keys(c);
  reduce_all(c, &p->down, WEFT_DO_ADD, heads, whole(c, f->sums));
}

// lse = log(sums) + top of a core's own queries and heads; all heads come from the row, in which each has at least one
// core.
static void finish_lse(const core *c, const attention *p, const body *b, const softmax *f) {
  extent rows = by(b->rows);
  scalar(c, WEFT_DO_MULTIPLY, b->count, reg(c, b->rows), constant((int32_t)p->heads));
  vector1(c, WEFT_DO_MOVE, by(b->count), whole(c, f->lse), weft_f32(-3.4e38f));
  each_head(c, b);
  scalar(c, WEFT_DO_MULTIPLY, b->place, reg(c, b->head), constant((int32_t)p->padded));
  scalar(c, WEFT_DO_ADD, b->place, reg(c, b->place), reg(c, b->t));
  weft_operand to = weft_moved(view(c, f->lse, 0, (int32_t)p->heads), b->head, 1);
  vector1(c, WEFT_DO_LOG, rows, to, row_of(c, f->sums, b->place, 1));
  vector2(c, WEFT_DO_ADD, rows, to, to, row_of(c, f->top, b->place, 1));
  end(c);
  reduce_all(c, &p->across, WEFT_DO_MAXIMUM, by(b->count), whole(c, f->lse));
}

// A core's own queries: o = all / sums; b->t is the first of them.
static void finish(const core *c, const attention *p, const body *b, const softmax *f) {
  const weft_layer_attention *s = p->shape;
  extent rows = by(b->rows);
  weft_operand y = reg(c, c->me[ALONG_COLUMN]);
  scalar(c, WEFT_DO_MULTIPLY, b->t, y, constant((int32_t)p->token_block));
  loop(c, b->i, reg(c, b->width));
  scalar(c, WEFT_DO_MULTIPLY, b->head, reg(c, c->me[ALONG_ROW]), constant((int32_t)p->block));
  scalar(c, WEFT_DO_ADD, b->head, reg(c, b->head), reg(c, b->i));
  scalar(c, WEFT_DO_DIVIDE, b->head, reg(c, b->head), constant((int32_t)s->head_dim));
  scalar(c, WEFT_DO_MULTIPLY, b->head, reg(c, b->head), constant((int32_t)(s->lanes * p->padded)));
  scalar(c, WEFT_DO_ADD, b->head, reg(c, b->head), reg(c, b->t));
  set(c, b->place, reg(c, b->i));
  loop(c, b->lane, constant((int32_t)s->lanes));
  scalar(c, WEFT_DO_MULTIPLY, b->query, reg(c, b->t), constant((int32_t)p->lanes));
  scalar(c, WEFT_DO_ADD, b->query, reg(c, b->query), reg(c, b->place));
  vector2(c, WEFT_DO_DIVIDE, rows, weft_moved(view(c, f->o, 0, (int32_t)p->lanes), b->place, 1),
          queries_at(c, p, b, f->all), row_of(c, f->sums, b->head, 1));
  scalar(c, WEFT_DO_ADD, b->head, reg(c, b->head), constant((int32_t)p->padded));
  scalar(c, WEFT_DO_ADD, b->place, reg(c, b->place), constant((int32_t)p->block));
  end(c);
  end(c);
  if (!s->cached) finish_lse(c, p, b, f);
}

static void emit_forward(core *c, const void *what) {
  const attention *p = what;
  body b = begin(c, p);
  softmax f = {.scores = array_of(c, "scores", WEFT_F32, score_size(p)),
               .top = array_of(c, "top", WEFT_F32, p->heads * p->padded),
               .sums = array_of(c, "sums", WEFT_F32, p->heads * p->padded),
               .all = array_of(c, "o_all", WEFT_F32, p->padded * p->lanes),
               .o = operand_of(c, "o", c->dtype, p->token_block * p->lanes, false, true)};
  if (!p->shape->cached) f.lse = operand_of(c, "lse", WEFT_F32, p->token_block * p->heads, false, true);
  gather_all(c, &p->queries_down, p->token_block * p->lanes, b.q, b.q_all);
  find_heads(c, p, &b);
  find_queries(c, p, &b);
  multiply(c, p, &b, b.q_all, b.k, f.scores);
  soften(c, p, &b, &f);
  add_values(c, p, &b, f.scores, b.v, f.all);
  reduce_all(c, &p->down, WEFT_DO_ADD, fixed(p->padded * p->lanes), whole(c, f.all));
  finish(c, p, &b, &f);
}

// ---- backward: with p = exp(scale q k - lse) and delta = sum over keys of p (do v): ds = scale p (do v - delta),
// dq = sum over keys of ds k, dk = sum over queries of ds q, dv = sum over queries of p do.

typedef struct gradients {
  uint32_t scores, slopes, delta, lse_all, do_all, dq_all, dk, dv;
} gradients;

static void make_slopes(const core *c, const attention *p, const body *b, const gradients *g) {
  extent n = by(b->count), scores = fixed(score_size(p));
  weft_operand score = scores_at(c, b, g->scores), slope = scores_at(c, b, g->slopes);
  weft_operand delta = row_of(c, g->delta, b->lane, 1);
  weft_operand lse = weft_moved(view(c, g->lse_all, 0, (int32_t)p->heads), b->place, 1);
  reduce_all(c, &p->across, WEFT_DO_ADD, scores, whole(c, g->scores));
  reduce_all(c, &p->across, WEFT_DO_ADD, scores, whole(c, g->slopes));
  clear(c, g->delta, p->heads * p->padded);
  each_score(c, p, b);
  scalar(c, WEFT_DO_MULTIPLY, b->place, reg(c, b->first), constant((int32_t)p->heads));
  scalar(c, WEFT_DO_ADD, b->place, reg(c, b->place), reg(c, b->head));
  vector2(c, WEFT_DO_MULTIPLY, n, score, score, weft_f32(p->shape->scale));
  vector2(c, WEFT_DO_SUBTRACT, n, score, score, lse);
  vector1(c, WEFT_DO_EXP, n, score, score);
  vector3(c, WEFT_DO_FMA, n, delta, score, slope, delta);
  end(c);
  end_keys(c);
  reduce_all(c, &p->down, WEFT_DO_ADD, fixed(p->heads * p->padded), whole(c, g->delta));
  each_score(c, p, b);
  vector2(c, WEFT_DO_SUBTRACT, n, slope, slope, delta);
  vector2(c, WEFT_DO_MULTIPLY, n, slope, slope, score);
  vector2(c, WEFT_DO_MULTIPLY, n, slope, slope, weft_f32(p->shape->scale));
  end(c);
  end_keys(c);
}

// What keys and values get; sums stay f32 until all lanes have been added.
static void add_gradients(const core *c, const attention *p, const body *b, const gradients *g) {
  uint32_t dk = array_of(c, "dk_sum", WEFT_F32, p->key_block * p->block);
  uint32_t dv = array_of(c, "dv_sum", WEFT_F32, p->key_block * p->block);
  extent size = fixed(p->key_block * p->block);
  clear(c, dk, size.count);
  clear(c, dv, size.count);
  each_key(c, b);
  each_dimension(c, p, b);
  vector2(c, WEFT_DO_DOT, by(b->count), one_of(c, dv, b->place), scores_at(c, b, g->scores),
          queries_at(c, p, b, g->do_all));
  vector2(c, WEFT_DO_DOT, by(b->count), one_of(c, dk, b->place), scores_at(c, b, g->slopes),
          queries_at(c, p, b, b->q_all));
  end_dimensions(c, p, b);
  end_keys(c);
  vector1(c, WEFT_DO_MOVE, size, whole(c, g->dk), whole(c, dk));
  vector1(c, WEFT_DO_MOVE, size, whole(c, g->dv), whole(c, dv));
}

static void emit_backward(core *c, const void *what) {
  const attention *p = what;
  uint32_t size = p->token_block * p->lanes, padded = p->padded * p->lanes;
  body b = begin(c, p);
  uint32_t d_o = operand_of(c, "do", c->dtype, size, true, false);
  uint32_t lse = operand_of(c, "lse", WEFT_F32, p->token_block * p->heads, true, false);
  uint32_t dq = operand_of(c, "dq", c->dtype, size, false, true);
  gradients g = {.scores = array_of(c, "scores", WEFT_F32, score_size(p)),
                 .slopes = array_of(c, "slopes", WEFT_F32, score_size(p)),
                 .delta = array_of(c, "delta", WEFT_F32, p->heads * p->padded),
                 .lse_all = array_of(c, "lse_all", WEFT_F32, p->heads * p->padded),
                 .do_all = array_of(c, "do_all", c->dtype, padded),
                 .dq_all = array_of(c, "dq_all", WEFT_F32, padded),
                 .dk = operand_of(c, "dk", c->dtype, p->key_block * p->block, false, true),
                 .dv = operand_of(c, "dv", c->dtype, p->key_block * p->block, false, true)};
  gather_all(c, &p->queries_down, size, b.q, b.q_all);
  gather_all(c, &p->outputs_down, size, d_o, g.do_all);
  gather_all(c, &p->lse_down, p->token_block * p->heads, lse, g.lse_all);
  find_heads(c, p, &b);
  find_queries(c, p, &b);
  multiply(c, p, &b, b.q_all, b.k, g.scores);
  multiply(c, p, &b, g.do_all, b.v, g.slopes);
  make_slopes(c, p, &b, &g);
  add_gradients(c, p, &b, &g);
  add_values(c, p, &b, g.slopes, b.k, g.dq_all);
  reduce_all(c, &p->down, WEFT_DO_ADD, fixed(padded), whole(c, g.dq_all));
  vector1(c, WEFT_DO_MOVE, fixed(size), whole(c, dq), row_of(c, g.dq_all, c->me[ALONG_COLUMN], size));
}

static weft_kernel *make(const weft_layer_mesh *mesh, const weft_layer_attention *shape, const char *name,
                         emit_function *emit, bool backward) {
  weft_kernel *kernel = weft_kernel_create(name, mesh->columns, mesh->rows);
  attention p = {.shape = shape,
                 .heads = shape->kv_heads * shape->lanes,
                 .queries = shape->batch * shape->tokens,
                 .key_rows = shape->batch * shape->room,
                 .key_columns = shape->kv_heads * shape->head_dim};
  p.token_block = weft_layer_block(p.queries, mesh->rows);
  p.padded = p.token_block * mesh->rows;
  p.key_block = weft_layer_block(p.key_rows, mesh->rows);
  p.block = weft_layer_block(p.key_columns, mesh->columns);
  p.lanes = shape->lanes * p.block;
  colours taken = {0};
  p.across = reduce_open(kernel, &taken, ALONG_ROW);
  p.down = reduce_open(kernel, &taken, ALONG_COLUMN);
  p.queries_down = gather_open(kernel, &taken, ALONG_COLUMN);
  if (backward) {
    p.outputs_down = gather_open(kernel, &taken, ALONG_COLUMN);
    p.lse_down = gather_open(kernel, &taken, ALONG_COLUMN);
  }
  layers_emit(kernel, mesh->dtype, emit, &p);
  return kernel;
}

weft_kernel *weft_layer_make_attention(const weft_layer_mesh *mesh, const weft_layer_attention *shape) {
  return make(mesh, shape, shape->cached ? "attention_cached" : "attention", emit_forward, false);
}

weft_kernel *weft_layer_make_attention_backward(const weft_layer_mesh *mesh, const weft_layer_attention *shape) {
  return make(mesh, shape, "attention_backward", emit_backward, true);
}
