// What is measured: classes of ops, the terms of their closed forms, and how shapes are drawn. The causes are read off
// the kernels (compiler/kernels/layers_*.c, gemm_streamed.c; pictures in docs/kernels.md).
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "compiler/kernels/layers.h"
#include "plan/calibrate_internal.h"

#define START \
  { "1", "start, tasks" }
#define EACH_COLUMN \
  { "C", "per column of cores: turns, hops, chains" }
#define EACH_ROW \
  { "R", "per row of cores: hops, chains" }
#define ELEMENT \
  { "n i", "operations on an element" }
#define EACH_TOKEN \
  { "n", "vector operations started per token" }

#define PRODUCT                                                                                             \
  {                                                                                                         \
    {"C n i o", "a multiply-add"}, {"C n o", "a sum started, passed along the row"},                        \
        {"C i o", "a weight streaming in"}, {"C i", "a turn of the map loop"}, EACH_COLUMN, EACH_ROW, START \
  }
#define WEIGHT_GRADIENT                                                                                              \
  {                                                                                                                  \
    {"C n i o", "a multiply-add"}, {"C i o", "a sum down the column"}, {"C n o", "gathering dy"},                    \
        {"C n", "operations started per token"}, {"C o", "rows of a sum"}, {"C i", "columns of a sum"}, EACH_COLUMN, \
        EACH_ROW, START                                                                                              \
  }
#define STREAMED                                                                                     \
  {                                                                                                  \
    {"i O", "a weight's task, decoding and start-up"}, {"i O v", "a multiply-add"},                  \
        {"C o v", "a partial sum along the row"}, {"C o", "an output"}, EACH_COLUMN, EACH_ROW, START \
  }
#define PANELS                                                                                 \
  {                                                                                            \
    {"C i o v", "a multiply-add"}, {"C i o", "a turn of the map loop"}, {"C o", "a map loop"}, \
        {"C i v", "a panel along the row"}, EACH_COLUMN, EACH_ROW, START                       \
  }
#define POINTWISE \
  { ELEMENT, {"n", "a row"}, START }
#define NORM \
  { ELEMENT, EACH_TOKEN, {"i", "weights streaming in"}, EACH_COLUMN, EACH_ROW, START }
#define SCORES                                                                                          \
  {"b h t", "softmax of a score"}, {"b h", "operations started per key and head"},                      \
      {"b H Q", "a score summed along the row"}, {"b k t", "multiply-adds"},                            \
      {"b k", "operations started per key and feature"}, {"H Q", "greatest and sum down the column"}, { \
    "Q k", "queries gathered, outputs summed down the column"                                           \
  }
#define ATTENTION \
  { SCORES, EACH_COLUMN, EACH_ROW, START }
#define GROUPED \
  { SCORES, {"C n k", "queries to and from the cores of their keys"}, EACH_COLUMN, EACH_ROW, START }
#define CACHED \
  { SCORES, {"n k", "a query's own outputs"}, EACH_COLUMN, EACH_ROW, START }
#define CACHED_GROUPED                                                                                               \
  {                                                                                                                  \
    SCORES, {"n k", "a query's own outputs"}, {"C n k", "queries to and from the cores of their keys"}, EACH_COLUMN, \
        EACH_ROW, START                                                                                              \
  }
#define TAKE_ROWS \
  { {"R n i", "gathering down the column"}, {"b i", "rows copied"}, {"b", "a row looked up"}, EACH_ROW, START }
#define LAST_ROW \
  { {"R n i", "gathering down the column"}, {"i", "a row copied"}, EACH_ROW, START }
#define UPDATE \
  { {"e", "arithmetic on an element"}, {"R e", "operands passing by on the column"}, EACH_ROW, START }

#define OP(op, family, ...) \
  { WEFT_OP_##op, "lowered", "", WEFT_SILU, WEFT_CALIBRATE_##family, true, __VA_ARGS__ }
#define KIND(op, kind, activation, family, ...) \
  { WEFT_OP_##op, "lowered", kind, activation, WEFT_CALIBRATE_##family, true, __VA_ARGS__ }
#define ACTIVATIONS(op, ...)                                                                                          \
  KIND(op, "gelu_tanh", WEFT_GELU_TANH, WIDTH, __VA_ARGS__), KIND(op, "gelu_erf", WEFT_GELU_ERF, WIDTH, __VA_ARGS__), \
      KIND(op, "silu", WEFT_SILU, WIDTH, __VA_ARGS__), KIND(op, "relu", WEFT_RELU, WIDTH, __VA_ARGS__)

const weft_calibration_class weft_calibration_classes[] = {
    {WEFT_OP_LINEAR, "streamed", "", WEFT_SILU, WEFT_CALIBRATE_STREAMED, true, STREAMED},
    {WEFT_OP_LINEAR, "panels", "", WEFT_SILU, WEFT_CALIBRATE_PANELS, true, PANELS},
    OP(LINEAR, PRODUCT, PRODUCT),
    OP(LINEAR_BACKWARD_WEIGHT, PRODUCT, WEIGHT_GRADIENT),
    OP(LAYER_NORM, WIDTH, NORM),
    OP(LAYER_NORM_BACKWARD, WIDTH, NORM),
    OP(RMS_NORM, WIDTH, NORM),
    OP(RMS_NORM_BACKWARD, WIDTH, NORM),
    {WEFT_OP_ROPE,
     "lowered",
     "",
     WEFT_SILU,
     WEFT_CALIBRATE_HEADS,
     true,
     {ELEMENT,
      {"C n i", "gathering the row"},
      {"i", "the table of partners, per column"},
      EACH_COLUMN,
      EACH_ROW,
      START}},
    OP(ATTENTION, ATTENTION, ATTENTION),
    KIND(ATTENTION, "grouped", WEFT_SILU, ATTENTION, GROUPED),
    OP(ATTENTION_BACKWARD, ATTENTION, ATTENTION),
    KIND(ATTENTION_BACKWARD, "grouped", WEFT_SILU, ATTENTION, GROUPED),
    OP(ATTENTION_CACHED, CACHED, CACHED),
    KIND(ATTENTION_CACHED, "grouped", WEFT_SILU, CACHED, CACHED_GROUPED),
    OP(CACHE_WRITE, ROWS, TAKE_ROWS),
    OP(LAST_ROW, ROWS, LAST_ROW),
    ACTIVATIONS(ACTIVATION, POINTWISE),
    ACTIVATIONS(ACTIVATION_BACKWARD, POINTWISE),
    ACTIVATIONS(GATED, POINTWISE),
    ACTIVATIONS(GATED_BACKWARD, POINTWISE),
    OP(ADD, WIDTH, POINTWISE),
    OP(CROSS_ENTROPY, WIDTH, NORM),
    OP(CROSS_ENTROPY_BACKWARD, WIDTH, NORM),
    {WEFT_OP_EMBED,
     "lowered",
     "",
     WEFT_SILU,
     WEFT_CALIBRATE_TABLE,
     true,
     {{"V i", "an element of the table, which comes down the column"},
      {"p n", "a token looked at in a pass"},
      ELEMENT,
      EACH_TOKEN,
      {"p", "a pass"},
      EACH_ROW,
      START}},
    {WEFT_OP_EMBED_BACKWARD,
     "lowered",
     "",
     WEFT_SILU,
     WEFT_CALIBRATE_TABLE,
     true,
     {{"V i", "an element of the table: cleared, summed down the column"},
      {"p n", "a token looked at in a pass"},
      ELEMENT,
      EACH_TOKEN,
      {"p", "a pass"},
      {"p R", "a pass' way down the column"},
      EACH_ROW,
      START}},
    {WEFT_OP_ADAMW, "lowered", "", WEFT_SILU, WEFT_CALIBRATE_UPDATE, false, UPDATE},
    {WEFT_OP_SGD, "lowered", "", WEFT_SILU, WEFT_CALIBRATE_UPDATE, false, UPDATE},
    {WEFT_OP_SQUARE_SUM,
     "lowered",
     "",
     WEFT_SILU,
     WEFT_CALIBRATE_UPDATE,
     false,
     {{"e", "arithmetic on an element"}, {"R e", "operands passing by on the column"}, EACH_COLUMN, EACH_ROW, START}}};
const uint32_t weft_calibration_class_count = sizeof weft_calibration_classes / sizeof *weft_calibration_classes;

// ---- shapes

static const struct {
  uint32_t columns, rows;
} meshes[] = {{4, 4},   {2, 2},   {3, 5},  {8, 3},  {5, 8},   {8, 8},  {12, 5},
              {16, 12}, {10, 16}, {24, 6}, {6, 24}, {16, 16}, {32, 8}, {8, 32}};
enum { MESHES = sizeof meshes / sizeof *meshes, SMALL_MESHES = 6 };

typedef struct dice {
  uint64_t seed, stream, next;
} dice;

// 1 to `most`, small ones as often as large ones.
static uint32_t log_uniform(dice *d, uint32_t most) {
  double value = exp(weft_random_uniform(d->seed, d->stream, d->next++) * log((double)most + 1));
  uint32_t whole = (uint32_t)value;
  return whole < 1 ? 1 : whole > most ? most : whole;
}

// A size of which blocks of `block` lie in `parts` cores, the last one perhaps not full.
static uint32_t size_of(dice *d, uint32_t block, uint32_t parts) {
  uint32_t missing = (uint32_t)(weft_random_uniform(d->seed, d->stream, d->next++) * parts);
  uint32_t least = (block - 1) * parts + 1, size = block * parts - missing;
  return size < least ? least : size;
}

static void draw_heads(dice *d, weft_calibration_call *c, bool grouped) {
  static const uint32_t dims[] = {4, 8, 16, 32};
  c->head_dim = dims[log_uniform(d, 4) - 1];
  c->kv_heads = log_uniform(d, 6);
  c->lanes = grouped ? 1 + log_uniform(d, 3) : 1;
  while (c->kv_heads * c->head_dim < c->columns) ++c->kv_heads;  // every column has something
  if (c->lanes * c->kv_heads > 12 && c->lanes > 2) c->lanes = 2;
}

static void draw_attention(dice *d, weft_calibration_call *c, bool grouped, bool cached) {
  while (c->columns * c->rows > 200) c->columns = (c->columns + 1) / 2, c->rows = (c->rows + 1) / 2;
  draw_heads(d, c, grouped);
  uint32_t keys = size_of(d, log_uniform(d, 8), c->rows);
  c->tokens = cached ? log_uniform(d, 4) : keys;
  c->room = keys < c->tokens ? c->tokens : keys;
}

// Every column of cores has one panel, as weights that enter at the edge would have. Tiles are not the smallest: those
// wait for panels, and products of that size are quicker as they are lowered.
static void draw_panels(dice *d, weft_calibration_call *c) {
  static const uint32_t parts[] = {1, 1, 2, 4};
  if (c->columns < c->rows) c->columns = c->rows;
  c->columns = (c->columns + 3) / 4 * 4;
  c->rows = c->columns / parts[log_uniform(d, 4) - 1];
  while (c->columns * c->rows > 256) c->rows /= 2;
  uint32_t cores = c->columns * c->rows;
  c->tokens = size_of(d, 7 + log_uniform(d, cores > 100 ? 33 : 57), c->rows);
  c->in = size_of(d, 2 + log_uniform(d, cores > 100 ? 6 : 10), c->columns);
  c->out = size_of(d, 2 + log_uniform(d, cores > 100 ? 6 : 10), c->columns);
}

weft_calibration_call weft_calibration_draw(const weft_calibration_class *what, weft_dtype dtype, uint64_t seed,
                                            uint32_t index, bool quick) {
  dice d = {seed, (uint64_t)(what - weft_calibration_classes) * 2 + (dtype == WEFT_F32), (uint64_t)index * 16};
  uint32_t most = quick ? SMALL_MESHES : MESHES;
  uint32_t mesh = (uint32_t)(weft_random_uniform(seed, d.stream, 1u << 20) * most) + index;
  weft_calibration_call c = {.columns = meshes[mesh % most].columns, .rows = meshes[mesh % most].rows};
  uint32_t cores = c.columns * c.rows, tokens = cores > 150 ? 24 : 40, wide = cores > 150 ? 8 : 20;
  bool grouped = strcmp(what->kind, "grouped") == 0;
  c.tokens = size_of(&d, log_uniform(&d, tokens), c.rows);
  c.in = size_of(&d, log_uniform(&d, wide), c.columns);
  c.out = size_of(&d, log_uniform(&d, what->family == WEFT_CALIBRATE_STREAMED ? 8 : 12), c.columns);
  if (what->family == WEFT_CALIBRATE_STREAMED) c.in = size_of(&d, log_uniform(&d, 8), c.columns);
  switch (what->family) {
    case WEFT_CALIBRATE_PANELS: draw_panels(&d, &c); break;
    case WEFT_CALIBRATE_HEADS:
      draw_heads(&d, &c, false);
      c.in = c.kv_heads * c.head_dim;
      break;
    case WEFT_CALIBRATE_ATTENTION:
    case WEFT_CALIBRATE_CACHED: draw_attention(&d, &c, grouped, what->family == WEFT_CALIBRATE_CACHED); break;
    case WEFT_CALIBRATE_ROWS:
      c.tokens = size_of(&d, log_uniform(&d, 12), c.rows);
      c.room = what->op == WEFT_OP_LAST_ROW ? 1 : c.tokens + size_of(&d, log_uniform(&d, 12), c.rows);
      break;
    case WEFT_CALIBRATE_TABLE: c.table = 3 + log_uniform(&d, 3000); break;
    case WEFT_CALIBRATE_UPDATE: c.table = 3 + size_of(&d, log_uniform(&d, 40), c.rows); break;
    default: break;
  }
  return c;
}

static double block(uint32_t total, uint32_t parts) { return weft_layer_block(total, parts); }

weft_cost_shape weft_calibration_shape(const weft_calibration_class *what, weft_dtype dtype,
                                       const weft_calibration_call *call) {
  weft_cost_shape s = {.of = {[WEFT_COST_COLUMNS] = call->columns, [WEFT_COST_ROWS] = call->rows}};
  double n = block(call->tokens, call->rows), width = block(call->in, call->columns);
  s.of[WEFT_COST_TOKENS] = n;
  s.of[WEFT_COST_PADDED] = weft_cost_padded(what->algorithm, dtype, n);
  s.of[WEFT_COST_INNER] = width;
  s.of[WEFT_COST_MADE] = block(call->out, call->columns);
  s.of[WEFT_COST_MADE_IN_ALL] = call->out;
  if (what->family == WEFT_CALIBRATE_ATTENTION || what->family == WEFT_CALIBRATE_CACHED) {
    uint32_t keys = call->kv_heads * call->head_dim;
    s.of[WEFT_COST_KEYS] = block(call->room, call->rows);
    s.of[WEFT_COST_QUERIES] = n * call->rows;
    s.of[WEFT_COST_SEEN] = call->tokens;
    s.of[WEFT_COST_HEADS] = call->kv_heads * call->lanes;
    s.of[WEFT_COST_NEAR_HEADS] = weft_cost_near_heads(keys, call->head_dim, call->columns) * call->lanes;
    s.of[WEFT_COST_QUERY_FEATURES] = block(keys, call->columns) * call->lanes;
  }
  if (what->family == WEFT_CALIBRATE_ROWS) s.of[WEFT_COST_KEYS] = block(call->room, call->rows);
  if (what->family == WEFT_CALIBRATE_TABLE) {
    s.of[WEFT_COST_TABLE_ROWS] = call->table;
    s.of[WEFT_COST_PASSES] = weft_cost_table_passes(call->table, width);
  }
  if (what->family == WEFT_CALIBRATE_UPDATE)
    s.of[WEFT_COST_ELEMENTS] = ceil((double)call->table * call->in / ((double)call->columns * call->rows));
  return s;
}
