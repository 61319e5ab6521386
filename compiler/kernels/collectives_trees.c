// Reduce trees of a line, and what they take.
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "compiler/kernels/collectives_internal.h"

enum {
  STAGE_CYCLES = 5,              // ramp up, result, ramp down
  LONGEST_SEARCHED_LINE = 4096,  // quadratic search
  LONGEST_BOUNDED_LINE = 1024    // cubic
};

static const char *const pattern_names[WEFT_REDUCE_PATTERNS] = {"chain",  "star", "tree", "two_phase",
                                                                "k_tree", "auto", "best"};

const char *weft_reduce_pattern_name(weft_reduce_pattern pattern) {
  return pattern < WEFT_REDUCE_PATTERNS ? pattern_names[pattern] : "?";
}

weft_status weft_reduce_pattern_parse(const char *text, weft_reduce_pattern *out_pattern) {
  for (uint32_t i = 0; i < WEFT_REDUCE_PATTERNS; ++i) {
    if (strcmp(text, pattern_names[i]) != 0) continue;
    *out_pattern = (weft_reduce_pattern)i;
    return NULL;
  }
  const char *nearest = weft_nearest(text, pattern_names, WEFT_REDUCE_PATTERNS);
  return weft_error(WEFT_INVALID, "there is no pattern of reduce \"%s\"; the nearest is \"%s\"", text,
                    nearest ? nearest : "none");
}

// parent(i) = i - g^l for the greatest power that divides i, l < levels.
static void radix_parents(uint32_t cores, uint32_t radix, uint32_t levels, uint32_t *parents) {
  parents[0] = 0;
  for (uint32_t i = 1; i < cores; ++i) {
    uint64_t step = 1;
    for (uint32_t l = 1; l < levels && i % (step * radix) == 0; ++l) step *= radix;
    parents[i] = i - (uint32_t)step;
  }
}

static uint32_t radix_of(uint32_t cores, uint32_t levels) {
  uint32_t radix = (uint32_t)ceil(pow(cores, 1.0 / levels) - 1e-9);
  return radix > 2 ? radix : 2;
}

static uint32_t group_of(uint32_t cores, uint32_t group) {
  uint32_t size = group ? group : (uint32_t)sqrt(cores);
  return size > 1 ? size : cores > 1 ? cores : 2;
}

double weft_tree_cycles(const uint32_t *parents, uint32_t cores, uint32_t words) {
  // Children have greater numbers than parents, so a pass from the end meets them first; lists put nearer ones in
  // front.
  double *stream = weft_allocate_array(cores, sizeof *stream), end = 0;
  uint32_t *child = weft_allocate_array(cores, sizeof *child), *next = weft_allocate_array(cores, sizeof *next);
  for (uint32_t v = cores; v-- > 0;) {
    stream[v] = end = 0;
    for (uint32_t c = child[v]; c != 0; c = next[c]) {
      stream[v] = fmax(end, stream[c] + (c - v) + STAGE_CYCLES);
      end = stream[v] + words;
    }
    if (v == 0) break;
    next[v] = child[parents[v]];
    child[parents[v]] = v;
  }
  free(stream);
  free(child);
  free(next);
  return end;
}

// The last child's subtree, by number of cores; c(r) in out_cycles. See collectives.h, "best".
static void search(uint32_t cores, uint32_t words, double *cycles, uint32_t *last) {
  cycles[0] = cycles[1] = 0;
  last[0] = last[1] = 0;
  for (uint32_t r = 2; r <= cores; ++r) {
    cycles[r] = INFINITY;
    for (uint32_t k = 1; k < r; ++k) {
      double stream = (k == 1 ? 0 : cycles[k] - words) + (r - k) + STAGE_CYCLES;
      double own = r - k == 1 ? 0 : cycles[r - k];
      double end = fmax(own, stream) + words;
      if (end >= cycles[r]) continue;
      cycles[r] = end;
      last[r] = k;
    }
  }
}

static double best_radix(uint32_t cores, uint32_t words, uint32_t *parents) {
  double best = INFINITY;
  uint32_t best_levels = 1;
  for (uint32_t levels = 1; levels <= 32 && levels < cores; ++levels) {
    radix_parents(cores, radix_of(cores, levels), levels, parents);
    double cycles = weft_tree_cycles(parents, cores, words);
    if (cycles >= best) continue;
    best = cycles;
    best_levels = levels;
  }
  radix_parents(cores, radix_of(cores, best_levels), best_levels, parents);
  return best;
}

static void best_parents(uint32_t cores, uint32_t words, uint32_t *parents) {
  if (cores > LONGEST_SEARCHED_LINE) {
    (void)best_radix(cores, words, parents);
    return;
  }
  double *cycles = weft_allocate_array(cores + 2, sizeof *cycles);
  uint32_t *last = weft_allocate_array(cores + 2, sizeof *last);
  uint32_t *size = weft_allocate_array(cores + 2, sizeof *size);  // of the subtree of a core
  search(cores, words, cycles, last);
  parents[0] = 0;
  size[0] = cores;
  for (uint32_t v = 0; v < cores; ++v)
    for (uint32_t r = size[v]; r > 1; r -= last[r]) {
      parents[v + r - last[r]] = v;
      size[v + r - last[r]] = last[r];
    }
  free(cycles);
  free(last);
  free(size);
}

// e(r, d) of the paper, a row per depth, and the last child's subtree that gives it; 0: no better than with less depth.
typedef struct energies {
  uint32_t cores;
  double *energy;
  uint16_t *last;
} energies;

static energies energies_of(uint32_t cores) {
  energies e = {.cores = cores};
  size_t row = cores + 1;
  e.energy = weft_allocate_array(row * cores, sizeof *e.energy);
  e.last = weft_allocate_array(row * cores, sizeof *e.last);
  for (uint32_t r = 2; r <= cores; ++r) e.energy[r] = INFINITY;
  for (uint32_t d = 1; d < cores; ++d) {
    const double *before = e.energy + (d - 1) * row;
    double *energy = e.energy + d * row;
    for (uint32_t r = 2; r <= cores; ++r) {
      energy[r] = before[r];
      for (uint32_t k = 1; k < r; ++k) {
        double with = before[k] + energy[r - k] + r - k;
        if (with >= energy[r]) continue;
        energy[r] = with;
        e.last[d * row + r] = (uint16_t)k;
      }
    }
  }
  return e;
}

static void energies_free(energies *e) {
  free(e->energy);
  free(e->last);
}

// The tree of e(cores, depth). `room`: two numbers per core.
static void tree_of_depth(const energies *e, uint32_t depth, uint32_t *parents, uint32_t *room) {
  uint32_t *size = room, *left = room + e->cores;
  size_t row = e->cores + 1;
  size[0] = e->cores;
  left[0] = depth;
  parents[0] = 0;
  for (uint32_t v = 0; v < e->cores; ++v)
    for (uint32_t r = size[v], d = left[v]; r > 1;) {
      while (e->last[d * row + r] == 0) --d;
      uint32_t k = e->last[d * row + r], child = v + r - k;
      parents[child] = v;
      size[child] = k;
      left[child] = d - 1;
      r -= k;
    }
}

// Of the trees of least energy for each depth, the one that ends first.
static void auto_parents(uint32_t cores, uint32_t words, uint32_t *parents) {
  if (cores > LONGEST_BOUNDED_LINE || cores < 3) {
    (void)best_radix(cores, words, parents);
    return;
  }
  energies e = energies_of(cores);
  uint32_t *room = weft_allocate_array(2 * (size_t)cores, sizeof *room), best_depth = 1;
  double best = INFINITY;
  for (uint32_t depth = 1; depth < cores; ++depth) {
    if (e.energy[depth * (cores + 1ul) + cores] >= e.energy[(depth - 1) * (cores + 1ul) + cores]) continue;
    tree_of_depth(&e, depth, parents, room);
    double cycles = weft_tree_cycles(parents, cores, words);
    if (cycles >= best) continue;
    best = cycles;
    best_depth = depth;
  }
  tree_of_depth(&e, best_depth, parents, room);
  free(room);
  energies_free(&e);
}

void weft_reduce_parents(const weft_collective *what, uint32_t cores, uint32_t *parents) {
  switch (what->pattern) {
    case WEFT_REDUCE_STAR: memset(parents, 0, cores * sizeof *parents); break;
    case WEFT_REDUCE_TREE: radix_parents(cores, 2, 32, parents); break;
    case WEFT_REDUCE_TWO_PHASE: radix_parents(cores, group_of(cores, what->group), 2, parents); break;
    case WEFT_REDUCE_K_TREE: radix_parents(cores, radix_of(cores, what->levels), what->levels, parents); break;
    case WEFT_REDUCE_AUTO: auto_parents(cores, what->words, parents); break;
    case WEFT_REDUCE_BEST: best_parents(cores, what->words, parents); break;
    default: radix_parents(cores, 2, 1, parents); break;
  }
}

double weft_reduce_formula(weft_reduce_pattern pattern, uint32_t cores, uint32_t words, uint32_t group) {
  if (cores < 2) return 0;
  double p = cores, b = words, s = group_of(cores, group), levels = log2(p);
  switch (pattern) {
    case WEFT_REDUCE_CHAIN: return b + (STAGE_CYCLES + 1) * (p - 1);
    case WEFT_REDUCE_STAR: return b * (p - 1) + STAGE_CYCLES;
    case WEFT_REDUCE_TREE: return fmax(b * levels, b * p * levels / (2 * (p - 1)) + p - 1) + STAGE_CYCLES * levels;
    case WEFT_REDUCE_TWO_PHASE: return 2 * b + p - 1 + STAGE_CYCLES * (s - 1 + p / s - 1);
    case WEFT_REDUCE_AUTO: return weft_reduce_bound(cores, words);
    default: {
      weft_collective what = weft_collective_default(cores, 1, words);
      what.pattern = pattern;
      uint32_t *parents = weft_allocate_array(cores, sizeof *parents);
      weft_reduce_parents(&what, cores, parents);
      double cycles = weft_tree_cycles(parents, cores, words);
      free(parents);
      return cycles;
    }
  }
}

double weft_broadcast_formula(uint32_t columns, uint32_t rows, uint32_t words) {
  // On a line the published formula counts B + P + 4, on a mesh B + M + N - 2 + 5: the same for M = P, N = 1.
  return (double)words + columns + rows - 2 + STAGE_CYCLES;
}

double weft_ring_formula(uint32_t cores, uint32_t words) {
  double p = cores;
  return cores < 2 ? 0 : 2 * (p - 1) * words / p + 4 * p - 6 + 2 * (p - 1) * STAGE_CYCLES;
}

double weft_reduce_bound(uint32_t cores, uint32_t words) {
  if (cores < 2) return 0;
  energies e = energies_of(cores);
  double p = cores, best = INFINITY;
  for (uint32_t d = 1; d < cores; ++d)
    best = fmin(best, words * e.energy[d * (cores + 1ul) + cores] / (p - 1) + p - 1 + STAGE_CYCLES * (double)d);
  energies_free(&e);
  return best;
}
