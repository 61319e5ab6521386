// clang-format off
// Generators of kernels that move and add vectors between cores: broadcast, reduce, all-reduce, paths and relays.
// docs/kernels.md ("Generators") has the pictures and the measured errors.
//
// The data. Every core has one array "data" of `words` 32-bit words: `words` elements of f32, or twice as many of f16
// or bf16, which travel two per wavelet. A reduce leaves the sum of all cores' data in the root's data, and uses the
// data of the others as scratch; an all-reduce leaves it in every core; a broadcast copies the root's to every core.
// Sums of 16-bit types are rounded to nearest even at every core that adds.
//
// The lines. With `snake` all cores form one line: along row 0 to the east, along row 1 to the west, and so on.
// Otherwise all rows reduce at once, each into its core of column root_x, and then that column into the root (X then
// Y); a mesh of one row or one column is a plain line. A root inside a line has two arms, which it adds one after the
// other.
//
// The trees. Within an arm of P cores, numbered from 0 (the root) outwards, every core except the root has one parent
// nearer to the root; the subtree of a core is the run of cores behind it, so no two edges cross. A core adds the
// vectors of its children, nearest first, into its own; while the last child's arrives, each sum is sent on at once,
// element by element (pipelined last child). Then, for B words:
//   chain       parent(i) = i - 1
//   star        parent(i) = 0
//   tree        parent(i) = i without its lowest bit that is set (binomial; P need not be a power of two)
//   two-phase   chains in groups of S from the leaders 0, S, 2S, ..., then a chain of the leaders
//   K-tree      `levels` levels with radix g = ceil(P^(1/levels)): parent(i) = i - g^l, where g^l is the greatest power
//               that divides i (l < levels); levels = 2 is two-phase with S = g. After WaferLLM (arXiv 2502.04563),
//               whose groups have their roots in the middle: put the root into the middle of the line
//   auto        of the trees of least energy e(P, d) for each depth d the one that ends first (see weft_reduce_bound):
//               the published auto-generated reduce
//   best        the tree that ends first of all, by dynamic programming over completion times:
//                 c(1) = 0; c(r) = min over k of max(c(r - k), s(k) + r - k + 5) + B, s(1) = 0, s(k) = c(k) - B;
//               the last child is a subtree of the last k cores
// In a star no core but the root adds, and the vectors enter it one behind the other without a gap.
//
// Colours: cores send on colour (depth in the tree) mod 2, and so take on the other: two colours per direction. Where
// words for farther parents have to pass a core on the same colour afterwards, the core's router changes from "ramp to
// parent" to "from behind to parent": the send of the vector advances it (weft_operand.advance). The router of a parent
// changes from "from behind to ramp" by a control wavelet that its last child sends behind the vector, and which moves
// the child's own on its way. The published programs do the same (spcl/spatial-collectives, modules/star.csl and
// tree.csl). Rows use colours 0 and 1, columns 2 and 3, broadcasts 4 (2 on a line): at most 3 in 1D and 5 in 2D. A ring
// uses 0, 1, 2.
//
// Cycles. The published model ("Near-Optimal Wafer-Scale Reduce", HPDC 2024, arXiv 2404.15888), with ramp T_R = 2 and
// one cycle per hop; a stage costs 2 T_R + 1 = 5 beside its hops:
//   broadcast   B + P + 2 T_R                                   on a mesh of M x N: B + M + N - 2 + 2 T_R + 1
//   star        B (P - 1) + 2 T_R + 1
//   chain       B + (2 T_R + 2)(P - 1)
//   tree        max(B log P, B P log P / (2 (P - 1)) + P - 1) + 5 log P, logarithms to base 2
//   two-phase   2 B + P - 1 + 5 ((S - 1) + (P / S - 1))
//   ring        2 (P - 1) B / P + 4 P - 6 + 10 (P - 1)
// weft_tree_cycles is ours: it follows the pipelined streams through any tree and is what the kernels really take,
// within one cycle, and six where words wait for control wavelets.
//
// All functions are pure and may be called from any thread. Kernels are the caller's (weft_kernel_destroy), not yet
// checked.
// clang-format on
#ifndef WEFT_COMPILER_KERNELS_COLLECTIVES_H
#define WEFT_COMPILER_KERNELS_COLLECTIVES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "compiler/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_reduce_pattern {
  WEFT_REDUCE_CHAIN,
  WEFT_REDUCE_STAR,
  WEFT_REDUCE_TREE,
  WEFT_REDUCE_TWO_PHASE,
  WEFT_REDUCE_K_TREE,
  WEFT_REDUCE_AUTO,
  WEFT_REDUCE_BEST,
  WEFT_REDUCE_PATTERNS
} weft_reduce_pattern;
const char *weft_reduce_pattern_name(weft_reduce_pattern pattern);  // "chain" ...
// WEFT_INVALID names the nearest known one.
weft_status weft_reduce_pattern_parse(const char *text, weft_reduce_pattern *out_pattern) WEFT_CHECKED;

typedef struct weft_collective {
  uint32_t columns, rows;  // cores, at least 1 each
  uint32_t root_x, root_y;
  uint32_t words;    // per core, at least 1
  weft_dtype dtype;  // f32, f16 or bf16
  weft_reduce_pattern pattern;
  uint32_t group;   // two-phase: cores per group S; 0: floor(sqrt(P)) of each line
  uint32_t levels;  // K-tree: K, at least 1
  bool snake;       // one line over all cores instead of rows, then the root's column
} weft_collective;
weft_collective weft_collective_default(uint32_t columns, uint32_t rows, uint32_t words);  // f32 chain to (0, 0), K = 2

uint32_t weft_collective_elements(const weft_collective *what);  // of every core's "data"

// All fail with WEFT_INVALID, which names the value and what would be right.

// The root's row multicasts east and west, every core of it north and south: one stream, no core forwards anything.
weft_status weft_broadcast_kernel(const weft_collective *what, weft_kernel **out_kernel) WEFT_CHECKED;
weft_status weft_reduce_kernel(const weft_collective *what, weft_kernel **out_kernel) WEFT_CHECKED;
// Reduce, then broadcast; the second begins when the first has ended at the root.
weft_status weft_all_reduce_kernel(const weft_collective *what, weft_kernel **out_kernel) WEFT_CHECKED;

// Ring all-reduce of every row by itself (rows do not meet). The ring visits the even columns eastwards and the odd
// ones westwards, so that neighbours are at most two hops apart. P - 1 rounds, in each of which a core sends one of P
// chunks to its successor and adds the one that comes; then P - 1 rounds that copy. "data" is padded to P equal chunks
// of ceil(words / P) words: weft_ring_elements. Root, pattern, group, levels and snake mean nothing.
weft_status weft_ring_kernel(const weft_collective *what, weft_kernel **out_kernel) WEFT_CHECKED;
uint32_t weft_ring_elements(const weft_collective *what);

// `words` f32 from core (0, 0) over `hops` hops that turn `turns` times between east and south, in legs as equal as
// possible; straight to the east without turns. The arrays "data" are at both ends: (0, 0) and (columns - 1, rows - 1)
// of the kernel. Needs hops > turns. Cycles: words + hops * hop + turns * turn + 2 T_R, and start-up.
weft_status weft_path_kernel(uint32_t hops, uint32_t turns, uint32_t words, weft_kernel **out_kernel) WEFT_CHECKED;

// Store and forward along a row of stages + 1 cores: a core takes all `words` f32 into memory, a task begins, and sends
// them on. "data" of the last core ends as that of the first. Cycles: stages * (words + a constant of the machine).
weft_status weft_relay_kernel(uint32_t stages, uint32_t words, weft_kernel **out_kernel) WEFT_CHECKED;

// ---- formulas, in cycles

// The published formula of the pattern on a line of `cores` with its root at the end; group as above. For auto it is
// the bound; K-tree and best have none: weft_tree_cycles of their tree.
double weft_reduce_formula(weft_reduce_pattern pattern, uint32_t cores, uint32_t words, uint32_t group);
double weft_broadcast_formula(uint32_t columns, uint32_t rows, uint32_t words);  // root in a corner
double weft_ring_formula(uint32_t cores, uint32_t words);

// Parents of a line of `cores`, root 0: out_parents[i] < i for i > 0, out_parents[0] = 0. The caller provides the
// array. Auto takes O(P^3) up to 1,024 cores and best O(P^2) up to 4,096; longer lines get the best K-tree.
void weft_reduce_parents(const weft_collective *what, uint32_t cores, uint32_t *out_parents);
// Completion of a tree: a core's stream begins when its last child's first word is there, a child's stream may not be
// taken before the one of the sibling before it has ended:
//   s(leaf) = 0; s(v) = max over children c, nearest first, of max(end of the child before, s(c) + (c - v) + 5);
//   end = s + B.
double weft_tree_cycles(const uint32_t *parents, uint32_t cores, uint32_t words);
// The lower bound of the paper's authors: e(r, d), the least energy (hops of one element) of a reduce of r cores with
// depth at most d, is min(e(r, d - 1), min over k of e(k, d - 1) + e(r - k, d) + r - k); the bound is the least over d
// of B e(P, d) / (P - 1) + P - 1 + 5 d. It counts no contention at the cores, and takes the energy for serial, so that
// a pipelined tree ("best") may lie below it. O(P^3): for P up to a thousand or so.
double weft_reduce_bound(uint32_t cores, uint32_t words);

#ifdef __cplusplus
}
#endif
#endif
