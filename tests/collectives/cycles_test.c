// Cycles: against the published formulas, against what no kernel can beat, and against what must hold between them.
#include <math.h>

#include "tests/collectives/rig.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { STAGE = 5 };

static weft_collective line_of(weft_reduce_pattern pattern, uint32_t cores, uint32_t words) {
  weft_collective what = weft_collective_default(cores, 1, words);
  what.pattern = pattern;
  return what;
}

static uint64_t reduce_cycles(weft_reduce_pattern pattern, uint32_t cores, uint32_t words, uint32_t group) {
  weft_collective what = line_of(pattern, cores, words);
  what.group = group;
  return cycles_of(run_reduce(&what, 1));
}

static void near(const char *name, uint32_t cores, uint32_t words, double seen, double formula, double percent,
                 double slack) {
  if (fabs(seen - formula) > formula * percent / 100 + slack)
    fail_msg("%s of %u words on %u cores: %g cycles, %g by formula", name, words, cores, seen, formula);
}

static void broadcasts_are_exact(void **state) {
  (void)state;
  static const uint32_t sizes[][3] = {{2, 1, 1},  {4, 1, 196}, {64, 1, 256}, {512, 1, 64},
                                      {1, 40, 7}, {9, 5, 1},   {32, 16, 100}};
  for (size_t i = 0; i < COUNT(sizes); ++i) {
    weft_collective what = weft_collective_default(sizes[i][0], sizes[i][1], sizes[i][2]);
    near("broadcast", what.columns, what.words, (double)cycles_of(run_broadcast(&what, 1)),
         weft_broadcast_formula(what.columns, what.rows, what.words), 0, 1);
  }
}

static void chains_are_exact(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = {{2, 1}, {4, 256}, {16, 1}, {100, 33}, {512, 64}};
  for (size_t i = 0; i < COUNT(sizes); ++i)
    near("chain", sizes[i][0], sizes[i][1], (double)reduce_cycles(WEFT_REDUCE_CHAIN, sizes[i][0], sizes[i][1], 0),
         weft_reduce_formula(WEFT_REDUCE_CHAIN, sizes[i][0], sizes[i][1], 0), 0, 1);
}

static void patterns_are_near_their_formulas(void **state) {
  (void)state;
  static const struct {
    weft_reduce_pattern pattern;
    uint32_t cores, words, group;
    double percent, slack;
  } cases[] = {
      {WEFT_REDUCE_STAR, 4, 256, 0, 0, 1},        {WEFT_REDUCE_STAR, 64, 256, 0, 0, 1},
      {WEFT_REDUCE_STAR, 128, 8, 0, 0, 1},        {WEFT_REDUCE_STAR, 512, 2, 0, 0, 1},
      {WEFT_REDUCE_STAR, 512, 1, 0, 0, 1},        {WEFT_REDUCE_STAR, 2, 1, 0, 0, 1},
      {WEFT_REDUCE_STAR, 77, 13, 0, 0, 1},        {WEFT_REDUCE_TREE, 4, 256, 0, 1, 0},
      {WEFT_REDUCE_TREE, 64, 256, 0, 2, 0},  // the formula counts 5 cycles for every level, of which most are hidden
      {WEFT_REDUCE_TREE, 512, 1, 0, 1, 0},        {WEFT_REDUCE_TREE, 512, 64, 0, 2, 0},
      {WEFT_REDUCE_TREE, 512, 128, 0, 9, 0},  // which no such tree can reach: docs/validation.md
      {WEFT_REDUCE_TWO_PHASE, 512, 64, 28, 1, 0}, {WEFT_REDUCE_TWO_PHASE, 512, 512, 16, 2, 0},
      {WEFT_REDUCE_TWO_PHASE, 100, 64, 0, 5, 0},  {WEFT_REDUCE_AUTO, 128, 64, 0, 5, 0},
      {WEFT_REDUCE_AUTO, 128, 256, 0, 5, 0},      {WEFT_REDUCE_AUTO, 128, 1024, 0, 1, 0},
      {WEFT_REDUCE_BEST, 128, 64, 0, 3, 0},       {WEFT_REDUCE_K_TREE, 125, 100, 0, 3, 0},
  };
  for (size_t i = 0; i < COUNT(cases); ++i)
    near(weft_reduce_pattern_name(cases[i].pattern), cases[i].cores, cases[i].words,
         (double)reduce_cycles(cases[i].pattern, cases[i].cores, cases[i].words, cases[i].group),
         weft_reduce_formula(cases[i].pattern, cases[i].cores, cases[i].words, cases[i].group), cases[i].percent,
         cases[i].slack);
}

// Simulated, all patterns: what weft_tree_cycles says of their tree.
static void trees_take_what_they_should(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = {{2, 1}, {3, 10}, {17, 1}, {40, 64}, {100, 5}, {200, 300}};
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p) {
    for (size_t i = 0; i < COUNT(sizes); ++i) {
      weft_collective what = line_of((weft_reduce_pattern)p, sizes[i][0], sizes[i][1]);
      uint32_t parents[200];
      weft_reduce_parents(&what, what.columns, parents);
      double cycles = weft_tree_cycles(parents, what.columns, what.words);
      near(weft_reduce_pattern_name(what.pattern), what.columns, what.words,
           (double)reduce_cycles(what.pattern, what.columns, what.words, 0), cycles, 0, 6);
    }
  }
}

// In a tree of 2^n cores the core with k children takes their vectors over its ramp one after the other, and the last
// of them begins no earlier than that child's own last but one has ended and its words have come 2^(k - 1) hops: no
// program for this tree is quicker, and the kernel takes one cycle more at most.
static void trees_are_as_quick_as_their_busiest_path(void **state) {
  (void)state;
  static const uint32_t words[] = {1, 9, 64, 128, 500};
  for (uint32_t levels = 2; levels <= 9; ++levels)
    for (size_t w = 0; w < COUNT(words); ++w) {
      uint64_t begins = 1 + STAGE;
      for (uint32_t k = 2; k <= levels; ++k) {
        uint32_t farthest = (1u << (k - 1)) + STAGE;
        begins += words[w] > farthest ? words[w] : farthest;
      }
      uint64_t bound = begins + words[w], seen = reduce_cycles(WEFT_REDUCE_TREE, 1u << levels, words[w], 0);
      if (levels == 9 && words[w] == 128) assert_int_equal(bound, 1296);
      assert_in_range(seen, bound, bound + 1);
    }
}

static void rings(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = {{2, 64}, {4, 256}, {8, 256}, {16, 256}, {64, 64}, {64, 256}};
  for (size_t i = 0; i < COUNT(sizes); ++i) {
    weft_collective what = weft_collective_default(sizes[i][0], 1, sizes[i][1]);
    near("ring", what.columns, what.words, (double)cycles_of(run_ring(&what, 1)),
         weft_ring_formula(what.columns, what.words), 8, 6);
  }
}

// max(B, E / N) + L: every word of some core enters the root one per cycle, and the farthest core's last word comes
// from P - 1 hops away, over two ramps.
static void nothing_beats_the_bound(void **state) {
  (void)state;
  static const uint32_t cores[] = {2, 3, 16, 33, 90}, words[] = {1, 4, 64, 200};
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p)
    for (size_t c = 0; c < COUNT(cores); ++c) {
      uint64_t before = 0;
      for (size_t w = 0; w < COUNT(words); ++w) {
        uint64_t seen = reduce_cycles((weft_reduce_pattern)p, cores[c], words[w], 0);
        assert_true(seen >= words[w] + cores[c] - 1 + STAGE - 1);
        if (p == WEFT_REDUCE_STAR) assert_true(seen >= (uint64_t)words[w] * (cores[c] - 1) + STAGE - 1);
        if (p == WEFT_REDUCE_CHAIN) assert_true(seen >= words[w] + 6ull * (cores[c] - 1) - 1);
        assert_true(seen > before);  // more words never take less
        before = seen;
      }
    }
}

static void all_reduce_is_reduce_and_broadcast(void **state) {
  (void)state;
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p)
    for (uint32_t rows = 1; rows <= 12; rows += 11) {
      weft_collective what = weft_collective_default(24, rows, 40);
      what.pattern = (weft_reduce_pattern)p;
      double parts = (double)cycles_of(run_reduce(&what, 1)) + (double)cycles_of(run_broadcast(&what, 1));
      near("all-reduce", 24 * rows, 40, (double)cycles_of(run_all_reduce(&what, 1)), parts, 0, 3);
    }
}

static void rows_then_column(void **state) {
  (void)state;
  weft_collective what = weft_collective_default(20, 15, 64);
  double x = weft_reduce_formula(WEFT_REDUCE_CHAIN, 20, 64, 0), y = weft_reduce_formula(WEFT_REDUCE_CHAIN, 15, 64, 0);
  near("chain, X then Y", 300, 64, (double)cycles_of(run_reduce(&what, 1)), x + y, 0, 3);
  what.snake = true;
  near("snake", 300, 64, (double)cycles_of(run_reduce(&what, 1)), weft_reduce_formula(WEFT_REDUCE_CHAIN, 300, 64, 0), 0,
       2);
}

static void sixteen_bits_travel_in_pairs(void **state) {
  (void)state;
  weft_collective what = weft_collective_default(30, 1, 100);
  uint64_t f32 = cycles_of(run_reduce(&what, 1));
  what.dtype = WEFT_F16;
  assert_int_equal(cycles_of(run_reduce(&what, 1)), f32);
}

// The published values of the bound (512 cores), and the order of what is planned.
static void plans(void **state) {
  (void)state;
  static const double published[][2] = {{1, 536}, {64, 753}, {256, 1163}, {1024, 2652}, {4096, 7162}};
  for (size_t i = 0; i < COUNT(published); ++i)
    assert_true(fabs(weft_reduce_bound(512, (uint32_t)published[i][0]) - published[i][1]) < 1);
  for (uint32_t words = 1; words < 10000; words *= 7)
    for (uint32_t cores = 2; cores <= 82; cores += 10) {
      weft_collective what = line_of(WEFT_REDUCE_BEST, cores, words);
      uint32_t parents[100];
      weft_reduce_parents(&what, cores, parents);
      double best = weft_tree_cycles(parents, cores, words);
      for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p) {
        what.pattern = (weft_reduce_pattern)p;
        weft_reduce_parents(&what, cores, parents);
        assert_int_equal(parents[0], 0);
        for (uint32_t i = 1; i < cores; ++i) {
          assert_true(parents[i] < i);
          // No edges cross: whatever lies between a core and its parent belongs to that parent's subtree.
          for (uint32_t between = parents[i] + 1; between < i; ++between) assert_true(parents[between] >= parents[i]);
        }
        assert_true(weft_tree_cycles(parents, cores, words) >= best - 1e-9);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcasts_are_exact),
      cmocka_unit_test(chains_are_exact),
      cmocka_unit_test(patterns_are_near_their_formulas),
      cmocka_unit_test(trees_take_what_they_should),
      cmocka_unit_test(trees_are_as_quick_as_their_busiest_path),
      cmocka_unit_test(rings),
      cmocka_unit_test(nothing_beats_the_bound),
      cmocka_unit_test(all_reduce_is_reduce_and_broadcast),
      cmocka_unit_test(rows_then_column),
      cmocka_unit_test(sixteen_bits_travel_in_pairs),
      cmocka_unit_test(plans),
  };
  return cmocka_run_group_tests_name("collectives cycles", tests, NULL, NULL);
}
