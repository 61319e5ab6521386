// Matrix products as kernels: C (m x n) = A (m x k) B (k x n) on a mesh of columns x rows cores, and the transpose.
// docs/kernels.md ("Generators") has a picture of each data flow, its cycles and their source.
//
//   weft_product_options options = weft_product_options_default(WEFT_GEMM_SUMMA, 4, 4);
//   options.m = 10, options.k = 7, options.n = 5;
//   weft_product product;
//   weft_product_plan(&options, &product);              tiles, lengths of arrays; what cannot be is said here
//   weft_kernel *kernel;
//   weft_product_kernel(&product, &kernel);              unchecked; weft_kernel_check(kernel, sram) is the caller's
//   weft_product_scatter(&product, WEFT_PRODUCT_A, a, x, y, elements);   what core (x, y) holds in its array "A"
//   weft_product_gather(&product, elements, x, y, c);    from a core's array "C" into the host's matrix
//
// Sizes that do not divide. Matrices are cut into equal tiles and padded with zeros at the end: a tile is tile_m x
// tile_k of A, tile_k x tile_n of B, tile_m x tile_n of C. What lies outside the matrices is zero, is computed with and
// is never gathered. So every core does the same work, and the cycles are those of the next size that divides.
//
// Types. A and B are f32, f16 or bf16 (`dtype`); C is `result`: the same, or f32 for 16-bit A and B ("mixed": products
// are accumulated in f32 at the machine's mixed rate). With 16-bit C every multiply-add rounds to 16 bits. 16-bit
// elements travel two per wavelet. Matrices of the host are f32, row by row.
//
// Everything is a pure function of its arguments. Statuses: WEFT_INVALID with the value and what would be right.
#ifndef WEFT_COMPILER_KERNELS_PRODUCTS_H
#define WEFT_COMPILER_KERNELS_PRODUCTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "compiler/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

// P is the side of a square mesh, t = tile_m = tile_k = tile_n, s the machine's start-up plus loop of one operation.
typedef enum weft_product_kind {
  // y = A x on core (0, 0): one multiply-add of a column of A per element of x, in a map loop; columns are padded to 16
  // bytes and lie one word off y, so that no banks meet. About k (m_padded / rate + 1) + map start-up cycles. Source:
  // csl-examples, single-tile-matvec.
  WEFT_GEMV_CORE,
  // y = A x on the mesh: A in tiles, x cut by columns and repeated in every row. Each core forms its partial y; along
  // every row they are added by a tree of two levels: chains within groups of `group` cores to the group's middle one,
  // then a chain across those to the middle of the row, then a broadcast: y is in every core of its row. Source:
  // MeshGEMV with a K-tree, K = 2, arXiv 2502.04563. About local + 2 tile_m + hops P + 6 (group / 2 + P / group / 2).
  WEFT_GEMV_MESH,
  // K is cut into lcm(columns, rows) panels. In each step the column of cores that holds the panel of A broadcasts it
  // along the rows, the row that holds the panel of B along the columns, and every core adds their product to its tile
  // of C. One colour per direction: a control wavelet behind each root's last panel turns the routers from "from the
  // west" to "from my core" to "from the east". About P (2 t^2 + t (s + t (s + t / rate))). Source: csl-examples
  // gemm-collectives_2d; van de Geijn and Watts, 1997.
  WEFT_GEMM_SUMMA,
  // Tiles skewed at the start; in each of P steps every core multiplies and passes its tile of A to the west and of B
  // to
  // the north, the first to the last through all others. Square meshes. Source: github.com/apdelsm/Matrix-algorithms-
  // in-cerebras; Cannon, 1969.
  WEFT_GEMM_CANNON,
  // The same ring laid out so that neighbours in the ring are at most two hops apart (0, P-1, 1, P-2, ...): no long way
  // back, and the next tiles travel during the product. Source: MeshGEMM, arXiv 2502.04563.
  WEFT_GEMM_SHIFT,
  // Y (m x n) = W (m x k) X (k x n), n being tokens: X stays, W is streamed. Row y of cores holds the features
  // y tile_k ... of X, column x the tokens x tile_n ...; weights enter at the west edge of their row, each with its
  // index, and are broadcast to the row; each triggers a data task that adds weight x X[feature][tokens] to a partial
  // row of Y. At the end of a stream the partial sums are added along the columns to the row of cores that holds those
  // features of Y. Zero weights are not sent. Source: Cerebras weight streaming, docs/machine.md.
  WEFT_GEMM_STREAMED,
  // C (n x m) = transpose of A (m x n). On a square mesh tiles go along their row to the diagonal, relayed from core to
  // core, and from there along the column; each core transposes its tile as it arrives. About P t^2 cycles. On others
  // all tiles go by along rows and then columns (weft_layer_make_transpose).
  WEFT_TRANSPOSE,
  WEFT_PRODUCT_KINDS
} weft_product_kind;
const char *weft_product_kind_name(weft_product_kind kind);  // "gemv/core", "gemm/summa" ...

typedef enum weft_product_matrix { WEFT_PRODUCT_A, WEFT_PRODUCT_B, WEFT_PRODUCT_C } weft_product_matrix;

typedef struct weft_product_options {
  weft_product_kind kind;
  uint32_t columns, rows;  // of cores; GEMV_CORE: 1 x 1
  uint32_t m, k, n;        // GEMV: n = 1; TRANSPOSE: A is m x n, k unused
  weft_dtype dtype, result;
  // SUMMA, CANNON: as the source's program is written: plain loops around each multiply-add, tiles without padding,
  // communication and product one after the other. Otherwise: map loops, columns padded and skewed against bank
  // conflicts, the next tiles travel during the product.
  bool published;
  // Of published programs, what their source does beside the product, in scalar instructions: per multiply-add (index
  // arithmetic and descriptors kept in memory) and per step (a library that sets up its broadcast).
  uint32_t upkeep, setup;
  bool host;  // CANNON: A and B come, C goes through one channel at core (0, 0), word by word
  double in_cycles_per_word, out_cycles_per_word;  // of those channels
  uint32_t group;                                  // GEMV_MESH: cores per group; 0: the nearest to the root of columns
  // STREAMED: words in the channel of each row of cores, from weft_product_stream; NULL: no weight is zero.
  const uint64_t *stream_words;
} weft_product_options;
// 1 x 1 x 1, f32, not published, no host; channels as quick as a link, a word per cycle. What those of a machine
// take is the machine's to say (weft_core_times: host_in_cycles and so on).
weft_product_options weft_product_options_default(weft_product_kind kind, uint32_t columns, uint32_t rows);

typedef struct weft_product {
  weft_product_options options;
  uint32_t tile_m, tile_k, tile_n;
  uint32_t panels;      // of K; a core holds panels / columns of A and panels / rows of B
  uint32_t lead;        // elements from one vector of a tile to the next, tile_m or tile_n and padding
  uint32_t index_bits;  // STREAMED: low bits of an index that are the feature within the tile
  uint32_t lengths[3];  // elements of the arrays "A", "B", "C" in every core; 0: there is none
} weft_product;

weft_status weft_product_plan(const weft_product_options *options, weft_product *out_product) WEFT_CHECKED;
weft_status weft_product_kernel(const weft_product *product, weft_kernel **out_kernel) WEFT_CHECKED;

// ---- placement. Arrays are named "A", "B", "C"; `lengths` says how long they are.

// Which element of the matrix core (x, y) holds in element e of its array, before the start (A, B) or after the end
// (C). False: none, padding or buffer.
bool weft_product_element(const weft_product *product, weft_product_matrix which, uint32_t x, uint32_t y, uint32_t e,
                          uint32_t *out_row, uint32_t *out_column);
// `elements`: lengths[which] of them. The host's matrix is m x k, k x n (TRANSPOSE: A m x n), row by row.
void weft_product_scatter(const weft_product *product, weft_product_matrix which, const float *matrix, uint32_t x,
                          uint32_t y, float *elements);
// Into C (m x n; TRANSPOSE: n x m). Elements that several cores hold are written by each.
void weft_product_gather(const weft_product *product, const float *elements, uint32_t x, uint32_t y, float *matrix);

// CANNON with `host`: the words of channel 0 in (all of A, all of B, and one that launches the product), and from those
// of channel 1 the matrix C. As many words as weft_product_host_words says, and the one. f32 only.
uint64_t weft_product_host_words(const weft_product *product, weft_product_matrix which);
void weft_product_host_in(const weft_product *product, const float *a, const float *b, uint32_t *words);
void weft_product_host_out(const weft_product *product, const uint32_t *words, float *c);

// STREAMED: the words of the channel of row `y` of cores for weights W (m x k); NULL `words` only counts. A 16-bit
// weight and its index fill one word; f32 weights take an index word and, in a channel of their own (number rows + y),
// the value. The last index says that the stream has ended. Returns the number of words of the index channel; that of
// values has one less.
uint64_t weft_product_stream(const weft_product *product, const float *weights, uint32_t y, uint32_t *words,
                             uint32_t *values);

#ifdef __cplusplus
}
#endif
#endif
