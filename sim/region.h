// A rectangle of cores that acts as one: closed forms for the cycles of a step under weight streaming.
//
// Layout. Tokens lie over the rows of cores, features over the columns: with N tokens on R rows every core holds
// n = ceil(N / R) tokens of ceil(features / C) features. A weight that streams in is broadcast along its column of
// cores and triggers one AXPY there (scalar weight x the core's vector of n tokens), and partial sums travel along the
// row of cores to the column that owns the output feature. (Vendor's documents on weight streaming; the direction of
// the reduction is reconstructed.)
//
// Short vectors waste start-up: with 6 cycles of it and 2 multiply-accumulates a cycle, 12 tokens a core halve the
// rate. A weight's broadcast reaches any subset of its column for the same link words, so rows may work in G groups of
// R / G rows: a row gathers the tokens of its neighbours, n = ceil(N G / R) of them, and makes one G-th of the outputs
// for all of them. The gathered features need room that the memory plan leaves free; G is the power of two with the
// fewest cycles among those that fit. With fewer tokens than rows nothing is gathered, every row has one token, and
// G = floor(R / N) (attention: groups share out the keys).
//
// A vector operation of length n costs startup + n / rate cycles: rate f32_per_cycle for f32, mixed_per_cycle for
// 16-bit inputs with f32 accumulation. Adds of arriving partial sums are f32 and take the same vector unit, at
// elementwise_f32_per_cycle, so they add to the AXPYs; the links carry them at the same time, so links count only
// where they are the slower of the two:
//
// clang-format off
//   linear                   with O' = ceil(O/G):
//                            max( ceil(I/C) O' (startup + n/rate) + O' n/add,  O' n / words,
//                                 ceil(I/C) n / words if G > 1 )
//   linear_backward_input    the same with I and O exchanged (dy's features are spread, dx is summed)
//   linear_backward_weight   a core makes dot products over its n tokens: one operand stays (S features spread over
//                            columns), the other (M features) goes round the row of cores; then column sums over rows.
//                            With M' = ceil(M/G):
//                            max( ceil(S/C) M' (startup + n/rate + 1/add),  M' n / words,  ceil(S/C) (M' + n) / words )
//                            for the better of (S, M) = (O, I) and (I, O)
//   attention                keys and values go round the rows that hold their sequence, one AXPY or dot product over
//                            the core's queries for each element. With T tokens per sequence, q = min(n, T) queries of
//                            each of ceil(n/T) sequences on a core, f = ceil(HD/C) features:
//                            m ceil(n/T) T f (startup + l/rate) + r ceil(n/T) T l/add + softmax
//                            m = 2 products forward, 5 backward; r = 1 or 2 sums of scores along the columns of a head;
//                            l = q, or q (T+1)/2T when causal: tokens are dealt to rows round robin, so the masked half
//                            is balanced and skipped (Brandon et al. 2023, Striped Attention)
//   attention_cached         the cache lies over the rows: k = ceil(context/R) keys on a core;
//                            2 N f (startup + k/rate) + N k/add + softmax + sum of N f outputs over rows
//   norms                    elementwise + an all-reduce of n x statistics words along the row; backward also sums the
//                            weights' gradients over rows
//   cross_entropy            elementwise + two all-reduces (maximum and sum) along the row
//   everything else          (FLOPs per element, at least 1) vector operations over the core's elements
// clang-format on
//
// Sums of B words over P cores: two-phase reduce 2B + (P-1) hop + (2 ramp + 1)(S-1 + P/S-1), S = floor(sqrt P), and a
// broadcast B + P hop + 2 ramp (Luczynski et al., Near-Optimal Wafer-Scale Reduce, arXiv 2404.15888). A new step fills
// and drains the rectangle once: (R + C) hop + 2 ramp cycles, which count as overhead.
//
// These are the published scheme's arithmetic, not measurements; what a machine file calls vector_startup_cycles
// carries the machine's own loop and descriptor costs.
//
// Fitted costs. A machine that names a table (models/costs.h) takes every op that the table has from there instead:
// what such a block takes on the cores of the wavelet level. The layout above decides which block a core has:
//   products        the quickest of weights streamed one by one ("streamed") and block by block ("lowered"), over all
//                   groupings; gathering the tokens of G rows costs what last_row's kernel takes for it on G rows
//   weight gradient the better of both orientations, over all groupings
//   attention       sequences have rows of their own and heads, as many together as is quickest, columns of their own,
//                   so a kernel runs on each such rectangle; queries come in as many parts as the free SRAM asks for
//   rope            heads likewise
// What a form's terms of C and R alone say counts as fill. Forms are extrapolated from lines of up to 32 cores to the
// rectangle; the report says how far.
#ifndef WEFT_SIM_REGION_H
#define WEFT_SIM_REGION_H

#include "sim/cost.h"

namespace weft {

struct region_cycles {
  double useful = 0;  // vector units or links work
  double fill = 0;    // once per step
  // Where a table gave them: the class, how far beyond its measured shapes this one lies (models/costs.h) and in which
  // variable. No class: the closed forms above.
  const weft_cost_class *form = nullptr;
  double beyond = 1;
  weft_cost_variable beyond_in = WEFT_COST_COLUMNS;
};

region_cycles region_step_cycles(const weft_schedule &schedule, const weft_step &step);
work region_work(const weft_schedule &schedule, const weft_step &step, portion part);

// Cycles for a sum of `words` f32 words over a line of `cores` cores, and for sending the result back to all of them.
double reduce_cycles(const weft_mesh &mesh, double words, double cores);
double all_reduce_cycles(const weft_mesh &mesh, double words, double cores);

}  // namespace weft
#endif
