// Which ops are measured on which sizes.
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/measure_internal.h"

typedef struct grid {
  measure_point *points;
  uint32_t count;
} grid;

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void put(grid *g, measure_point point) {
  g->points = weft_grow(g->points, g->count + 1, sizeof *g->points);
  g->points[g->count++] = point;
}

// Matrices as networks from a million to some billion parameters have them, and as chunks of 16 MiB,
// the most that a step works on at once. Widths are no large powers of two, where they can be: rows that lie 64 KiB
// apart share one set of the caches, and a vocabulary is not so wide by chance.
static void products(grid *g, weft_dtype dtype) {
  static const uint64_t rows[] = {1, 4, 16, 64, 256, 1024};
  static const uint64_t sizes[][2] = {{64, 64}, {192, 192}, {576, 576}, {768, 2304}, {2048, 2048}, {768, 5376}};
  static const weft_op ops[] = {WEFT_OP_LINEAR, WEFT_OP_LINEAR_BACKWARD_INPUT, WEFT_OP_LINEAR_BACKWARD_WEIGHT};
  for (size_t o = 0; o < COUNT(ops); ++o)
    for (size_t r = 0; r < COUNT(rows); ++r)
      for (size_t s = 0; s < COUNT(sizes); ++s) {
        if (rows[r] < 16 && ops[o] != WEFT_OP_LINEAR) continue;           // gradients of so few tokens are not taken
        if (rows[r] * sizes[s][0] * sizes[s][1] > 4500000000u) continue;  // takes long and is like the ones before
        put(g, (measure_point){.op = ops[o],
                               .dtype = dtype,
                               .rows = rows[r],
                               .in = sizes[s][0],
                               .out = sizes[s][1],
                               .a = {.scale = 1}});
      }
}

static void row_ops(grid *g, weft_dtype dtype) {
  static const uint64_t rows[] = {1, 16, 256, 1024}, widths[] = {64, 768, 4096};
  static const weft_op ops[] = {WEFT_OP_LAYER_NORM,    WEFT_OP_LAYER_NORM_BACKWARD,
                                WEFT_OP_RMS_NORM,      WEFT_OP_RMS_NORM_BACKWARD,
                                WEFT_OP_ROPE,          WEFT_OP_ROPE_BACKWARD,
                                WEFT_OP_ACTIVATION,    WEFT_OP_ACTIVATION_BACKWARD,
                                WEFT_OP_GATED,         WEFT_OP_GATED_BACKWARD,
                                WEFT_OP_ADD,           WEFT_OP_CACHE_WRITE,
                                WEFT_OP_LAST_ROW,      WEFT_OP_EMBED,
                                WEFT_OP_EMBED_BACKWARD};
  for (size_t o = 0; o < COUNT(ops); ++o)
    for (size_t r = 0; r < COUNT(rows); ++r)
      for (size_t w = 0; w < COUNT(widths); ++w) {
        weft_attributes a = {
            .batch = 1,
            .heads = (uint32_t)(widths[w] / 64),
            .kv_heads = (uint32_t)(widths[w] / 64),
            .head_dim = 64,
            .rotary_dim = 64,
            .rope_kind = WEFT_ROPE_HALF,
            .rope_theta = 10000,
            .epsilon = 1e-5f,
            .scale = 1,
            .accumulate = ops[o] == WEFT_OP_EMBED_BACKWARD,
            .activation = ops[o] == WEFT_OP_GATED || ops[o] == WEFT_OP_GATED_BACKWARD ? WEFT_SILU : WEFT_GELU_TANH};
        put(g, (measure_point){.op = ops[o], .dtype = dtype, .rows = rows[r], .in = widths[w], .out = 4096, .a = a});
      }
}

static void loss_ops(grid *g, weft_dtype dtype) {
  static const uint64_t rows[] = {16, 256, 1024}, widths[] = {256, 4096, 50257};
  for (size_t r = 0; r < COUNT(rows); ++r)
    for (size_t w = 0; w < COUNT(widths); ++w)
      for (int backward = 0; backward < 2; ++backward)
        put(g, (measure_point){.op = backward ? WEFT_OP_CROSS_ENTROPY_BACKWARD : WEFT_OP_CROSS_ENTROPY,
                               .dtype = dtype,
                               .rows = rows[r],
                               .in = widths[w],
                               .out = widths[w]});
}

// Scores per row grow with the sequence, so sequences are what varies; small networks have narrow heads.
static void attention_ops(grid *g, weft_dtype dtype) {
  static const uint32_t shapes[][4] = {{1, 64, 4, 64},   {4, 64, 12, 64},   {1, 256, 12, 64},
                                       {4, 256, 12, 64}, {1, 1024, 12, 64}, {4, 64, 4, 32},
                                       {4, 256, 4, 32},  {16, 64, 4, 32}};  // batch, tokens, heads, their width
  static const uint32_t depths[] = {64, 512, 2048};
  for (size_t s = 0; s < COUNT(shapes); ++s)
    for (int backward = 0; backward < 2; ++backward) {
      weft_attributes a = {.batch = shapes[s][0],
                           .heads = shapes[s][2],
                           .kv_heads = shapes[s][2],
                           .head_dim = shapes[s][3],
                           .causal = true,
                           .scale = 0.125f};
      put(g, (measure_point){.op = backward ? WEFT_OP_ATTENTION_BACKWARD : WEFT_OP_ATTENTION,
                             .dtype = dtype,
                             .rows = (uint64_t)shapes[s][0] * shapes[s][1],
                             .in = shapes[s][2] * shapes[s][3],
                             .a = a});
    }
  for (size_t d = 0; d < COUNT(depths); ++d)
    for (uint64_t rows = 1; rows <= 64; rows *= 64) {
      weft_attributes a = {.batch = 1,
                           .heads = 12,
                           .kv_heads = 12,
                           .head_dim = 64,
                           .causal = true,
                           .scale = 0.125f,
                           .context = depths[d]};
      put(g, (measure_point){.op = WEFT_OP_ATTENTION_CACHED,
                             .dtype = dtype,
                             .rows = rows,
                             .in = 768,
                             .a = a,
                             .position = depths[d] - rows});
    }
}

static void store_ops(grid *g, weft_dtype dtype) {
  static const uint64_t sizes[][2] = {{64, 16}, {256, 256}, {768, 2304}, {2048, 4096}};
  static const weft_op ops[] = {WEFT_OP_LOAD, WEFT_OP_STORE_GRADIENT, WEFT_OP_SQUARE_SUM, WEFT_OP_ADAMW, WEFT_OP_SGD};
  for (size_t o = 0; o < COUNT(ops); ++o)
    for (size_t s = 0; s < COUNT(sizes); ++s) {
      if (o >= 2 && dtype != WEFT_F32) continue;  // always f32
      put(g, (measure_point){.op = ops[o],
                             .dtype = dtype,
                             .rows = sizes[s][1],
                             .in = sizes[s][0],
                             .out = sizes[s][1],
                             .a = {.decay = 1}});
    }
}

measure_point *weft_measure_grid(uint32_t *out_count) {
  static const weft_dtype dtypes[] = {WEFT_F32, WEFT_BF16};
  grid g = {0};
  for (size_t d = 0; d < COUNT(dtypes); ++d) {
    products(&g, dtypes[d]);
    row_ops(&g, dtypes[d]);
    loss_ops(&g, dtypes[d]);
    attention_ops(&g, dtypes[d]);
    store_ops(&g, dtypes[d]);
  }
  *out_count = g.count;
  return g.points;
}
