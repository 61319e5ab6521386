// Kernels of a network's layers: every op of models/ops.h that computes, for a whole mesh.
//
// Layout. A matrix (N, C) lies in blocks: core (x, y) holds rows [y * Bn, ...) and columns [x * Bc, ...), where
// Bn = weft_layer_block(N, rows) and Bc = weft_layer_block(C, columns). Blocks at the far edges may be partly or wholly
// outside the matrix: that part is zero before a kernel and stays zero ("padding"), so sizes need not divide. What
// there is one of per token (ids, positions, targets, statistics, log sum exp, loss) lies in every core of the mesh row
// that has the token: (Bn, k) for k values. A block is row-major and contiguous: element (r, i) of the core at r * Bc +
// i.
//
// A step's scalars (weft_layer_scalar) and the number of rows in the KV cache are in every core, the same in all.
//
// Weights are never resident. They enter at the north edge, through one channel per column of cores, go down the
// column by multicast, and start products with the activations that the cores hold; partial sums move along the rows.
// Gradients of weights are summed down the columns and leave at the south edge, through one channel per column.
// Channels of a kernel: those in, by column (by row for weft_layer_make_tokens), then those out, by column.
//
// Data flows used (layers_build.c), each on a line of n cores, with v words:
//   reduce   a chain of receive-add-send to the far end, then a broadcast back: every core has the sum
//            2 v + about 7 n cycles
//   gather   a core sends its block away in both directions and then, by one control wavelet, opens its router
//            for the blocks from behind it: every core has all blocks, 2 n v cycles
//   stream   from the edge to every core of the line: v + n
//   sums     from the first core's partial sum to the last one's edge: v + about 6 n
//
// Arithmetic is f32 with f32 sums; `dtype` is that of activations and of arriving weights in SRAM (f32, f16, bf16:
// rounded when stored). Words on channels are f32, or i32 for tokens. Nothing that a kernel needs is computed for it
// elsewhere: places in other cores' blocks, partners, frequencies and counts are found by the cores. Every function
// returns a kernel that has not been checked; the caller checks it against the SRAM there is. Arrays named below are
// inputs and outputs; the others are scratch. Definitions are those of models/ops.h; sources are named there and in
// runtime/ref.
#ifndef WEFT_COMPILER_KERNELS_LAYERS_H
#define WEFT_COMPILER_KERNELS_LAYERS_H

#include "compiler/kernel.h"
#include "models/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_layer_mesh {
  uint32_t columns, rows;  // cores
  weft_dtype dtype;        // of activations
} weft_layer_mesh;

static inline uint32_t weft_layer_block(uint32_t total, uint32_t parts) { return (total + parts - 1) / parts; }

// ---- products (layers_product.c)

// y (N, M) = scale * (x B + bias), or y + that with `accumulate`; B (K, M) is whichever way the weight is stored.
// Serves linear (K = inputs) and linear_backward_input (K = outputs). Arrays x, y.
// Channel x: with `bias` the Bm words of the bias's block x; then for every xd in 0 .. columns - 1 Bm * Bk words, word
// (m, k) being B[x * Bk + k][xd * Bm + m], 0 outside.
// For every xd the cores of a row multiply their block of x by the streamed block, while the next one arrives; the
// partial sums move towards column xd from both sides.
typedef struct weft_layer_product {
  uint32_t tokens, in, out;  // N, K, M
  float scale;
  bool bias, accumulate;
} weft_layer_product;
weft_kernel *weft_layer_make_product(const weft_layer_mesh *mesh, const weft_layer_product *product);

// dW (M, K) = scale * dy^T x, and db (M) with `bias`. Arrays dy (N, M), x (N, K). Channel out x: for m in
// 0 .. columns * Bm - 1 the Bk words dW[m][x * Bk ...]; then Bm words db[x * Bm ...].
// dy is gathered along the rows; each core multiplies it with its block of x; sums go down.
weft_kernel *weft_layer_make_weight_gradient(const weft_layer_mesh *mesh, const weft_layer_product *product);

// ---- norms (layers_norm.c)

// layer_norm (`centred`) and rms_norm. Arrays x, y (N, C), stats (N, 2 or 1). Channel x: Bc words of w, and Bc of b
// with `bias`. Statistics of a row are reduced along the mesh row.
typedef struct weft_layer_norm {
  uint32_t tokens, columns;
  float epsilon;
  bool centred, bias;
} weft_layer_norm;
weft_kernel *weft_layer_make_norm(const weft_layer_mesh *mesh, const weft_layer_norm *norm);
// Arrays dy, x, stats -> dx. Channel in x: w; out x: Bc words dw, with `bias` Bc of db.
weft_kernel *weft_layer_make_norm_backward(const weft_layer_mesh *mesh, const weft_layer_norm *norm);

// ---- element by element (layers_pointwise.c); no fabric

// activation x -> y; activation_backward dy, x -> dx; gated gate, up -> y; gated_backward dy, gate, up -> dgate, dup;
// add a, b -> y; arrays have these names. gelu_erf takes erf from Abramowitz and Stegun 7.1.26 (error below 1.5e-7).
weft_kernel *weft_layer_make_pointwise(const weft_layer_mesh *mesh, weft_op op, weft_activation activation,
                                       uint32_t tokens, uint32_t columns);
// Rotary positions (layers_rope.c). Arrays x, y (N, C), positions (N) i32, and of every core's columns (Bc) partners
// i32, where the other dimension of each pair lies in the gathered rows, xb * Bn * Bc + i for column i of block xb, and
// frequencies f32, the pair's, negative where the other's part is subtracted, 0 where nothing is rotated.
weft_kernel *weft_layer_make_rope(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns);
// Makes those two, from `rope_theta` and what stretches it (models/ops.h): once for a network and number of tokens. The
// gradient turns back, so its frequencies have the other sign. `attributes` are read now.
weft_kernel *weft_layer_make_rope_table(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t columns,
                                        const weft_attributes *attributes, bool backward);

// ---- attention (layers_attention.c)

// Keys and values stay where they are, sharded over the whole mesh; queries visit them. Serves attention (room =
// sequence, position 0), attention_cached and attention_backward.
// k, v: (batch * room, Hk * D) in blocks (Br, Bk). A core's query columns are those that meet its key columns: with
// `lanes` = H / Hk, block (Bn, lanes * Bk), element j * Bk + i of a row being dimension f % D of query head
// (f / D) * lanes + j for f = x * Bk + i ("lane order"; weft_layer_make_take_columns goes there and back).
// Arrays q, k, v -> o (lane order), lse (N, H) unless `cached`. Query t of a sequence sees rows up to position + t, or
// all if not causal; position is 0, with `cached` what array position (1) i32 of every core says. 1. q is gathered down
// the columns; 2. scores over a core's dimensions; reduce along the row;
// 3. greatest and sum of exponentials: reduce down the column; 4. p v, reduce down the column, divide.
typedef struct weft_layer_attention {
  uint32_t batch, tokens, room;  // tokens: queries of one sequence; room: key rows of one
  uint32_t kv_heads, lanes, head_dim;
  float scale;
  bool causal, cached;
} weft_layer_attention;
weft_kernel *weft_layer_make_attention(const weft_layer_mesh *mesh, const weft_layer_attention *attention);
// Arrays do, q (lane order), k, v, lse -> dq (lane order), dk, dv. dk and dv need no reduction: all queries come by.
weft_kernel *weft_layer_make_attention_backward(const weft_layer_mesh *mesh, const weft_layer_attention *attention);

// ---- loss (layers_loss.c)

// Arrays logits (N, V), targets (N) i32 -> loss (N), lse (N).
weft_kernel *weft_layer_make_cross_entropy(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t vocabulary);
// Arrays logits, targets, lse, scalars -> dlogits = (softmax - onehot) * loss scale.
weft_kernel *weft_layer_make_cross_entropy_backward(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t vocabulary);

// ---- moving (layers_move.c)

// to (N, any) from `from` (N, C): columns; what is not named stays as it is. Lane order is that of attention.
typedef enum weft_layer_order {
  WEFT_LAYER_SHIFTED,    // to's columns first ... first + count - 1 are from's columns source, source + 1, ...
  WEFT_LAYER_TO_LANES,   // queries in heads' order to lane order
  WEFT_LAYER_FROM_LANES  // and back
} weft_layer_order;
typedef struct weft_layer_columns {
  weft_layer_order order;
  uint32_t tokens, from, width;        // from: columns; width: columns of to's block
  uint32_t first, source, count;       // SHIFTED
  uint32_t kv_heads, lanes, head_dim;  // lanes
} weft_layer_columns;
weft_kernel *weft_layer_make_take_columns(const weft_layer_mesh *mesh, const weft_layer_columns *columns);
// to (batch * room, C) from `from` (batch * tokens, C): whole rows. `cached`: row t of a sequence goes to its row
// position + t, others stay (array position as for attention). Otherwise room is 1: the last row of every sequence.
typedef struct weft_layer_rows {
  uint32_t batch, tokens, room, columns;
  bool cached;
} weft_layer_rows;
weft_kernel *weft_layer_make_take_rows(const weft_layer_mesh *mesh, const weft_layer_rows *rows);
// Arrays x (N, C) -> y (C, N) = its transpose, on a mesh of any proportions. A core sees all blocks of its row, keeps
// the rows that become columns of its column of cores, and shows those to its column: about N C / Q + N C / max(P, Q)
// elements pass each core of P columns and Q rows.
weft_kernel *weft_layer_make_transpose(const weft_layer_mesh *mesh, uint32_t rows, uint32_t columns);
// Arrays ids (N) i32 -> y (N, C) = scale * the table's rows that they name. Channel x: the Bc words of each row of the
// table, in chunks of `chunk` rows until all `vocabulary` have passed, the last one filled up with zeros. All rows go
// to all cores of the column, and each keeps what its tokens name: nobody outside has to know the ids.
typedef struct weft_layer_embed {
  uint32_t tokens, columns, vocabulary, chunk;
  float scale;
} weft_layer_embed;
weft_kernel *weft_layer_make_embed(const weft_layer_mesh *mesh, const weft_layer_embed *embed);
// Arrays ids (N) i32, dy (N, C). Channel out x: as that of embed. What the tokens of a core add to a row is added in
// their order, cores from north to south.
weft_kernel *weft_layer_make_embed_backward(const weft_layer_mesh *mesh, const weft_layer_embed *embed);

// ---- tokens (layers_tokens.c)

// Channel y at the west edge: i32 words, the number of rows in the KV cache, then for each list the Bn values of mesh
// row y. Arrays position (1), list_0, list_1 ... (N) and positions (N), which is position + n % each for token n:
// sequences of `each` tokens.
weft_kernel *weft_layer_make_tokens(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t each, uint32_t lists);
// Arrays logits (N, V) -> ids (N) i32: the column of each row's greatest value, of equal ones the first. V below 2^24.
weft_kernel *weft_layer_make_greatest(const weft_layer_mesh *mesh, uint32_t tokens, uint32_t vocabulary);

// ---- scalars of a training step (layers_scalars.c), f32, in array `scalars` of every core

typedef enum weft_layer_scalar {
  // These enter.
  WEFT_LAYER_RATE,
  WEFT_LAYER_BETA1,
  WEFT_LAYER_BETA2,
  WEFT_LAYER_EPSILON,
  WEFT_LAYER_DECAY,
  WEFT_LAYER_CLIP,      // greatest norm of all gradients; 0: no clipping
  WEFT_LAYER_ENTERING,  // how many
  // These are made.
  WEFT_LAYER_STEP_SIZE = WEFT_LAYER_ENTERING,  // opening: -rate / (1 - beta1^step)
  WEFT_LAYER_CORRECT2,                         // opening: 1 / (1 - beta2^step)
  WEFT_LAYER_TARGETS,                          // target_count: targets that count, so far
  WEFT_LAYER_LOSS_SCALE,                       // target_count: 1 / targets, 0 without any
  WEFT_LAYER_LOSS_SUM,                         // loss_sum: of all tokens so far
  WEFT_LAYER_LOSS,                             // loss_sum: times loss scale
  WEFT_LAYER_SQUARES,                          // square_sum: of all gradients so far
  WEFT_LAYER_NORM,                             // clipping: sqrt(squares)
  WEFT_LAYER_GRADIENT_SCALE,                   // clipping: min(1, clip / (norm + 1e-6)); opening: 1
  WEFT_LAYER_SCALARS
} weft_layer_scalar;

// Channel x: the entering words, then the step (i32, 1 for the first). All others begin at 0 (gradient scale: 1).
weft_kernel *weft_layer_make_opening(const weft_layer_mesh *mesh);
// Arrays targets (N) i32, scalars; a target counts if it is not negative.
weft_kernel *weft_layer_make_target_count(const weft_layer_mesh *mesh, uint32_t tokens);
weft_kernel *weft_layer_make_loss_sum(const weft_layer_mesh *mesh, uint32_t tokens);  // arrays loss (N), scalars
weft_kernel *weft_layer_make_clipping(const weft_layer_mesh *mesh);                   // array scalars

// ---- updates (layers_update.c)

// One element after the other, `each` of every operand per core. Channel in x: for y = 0, 1, ... `each` words of every
// operand in turn (adamw: parameter, gradient, m, v; sgd: parameter, gradient; add: a, b; square_sum: gradient); out
// likewise (adamw: parameter, m, v; sgd: parameter; add: sum). square_sum has no channels out: it adds to the step's
// scalars, which adamw and sgd read. op is WEFT_OP_ADAMW, SGD, ADD or SQUARE_SUM.
typedef struct weft_layer_update {
  weft_op op;
  uint32_t each;
  double decay;  // the tensor's own factor on the step's decay
} weft_layer_update;
weft_kernel *weft_layer_make_update(const weft_layer_mesh *mesh, const weft_layer_update *update);

#ifdef __cplusplus
}
#endif
#endif
