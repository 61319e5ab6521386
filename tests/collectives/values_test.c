// Every generator computes what it says: many shapes, roots, sizes and types, and the same for 1 and 2 threads.
#include <math.h>

#include "tests/collectives/rig.h"

typedef struct shape {
  uint32_t columns, rows;
} shape;

static const shape shapes[] = {{1, 1}, {2, 1}, {1, 2}, {3, 1}, {1, 5},  {7, 1},  {16, 1}, {1, 16}, {17, 1},
                               {2, 2}, {5, 4}, {4, 5}, {8, 8}, {13, 3}, {3, 11}, {33, 1}, {64, 1}};
static const uint32_t sizes[] = {1, 2, 3, 16, 61};
static const weft_dtype types[] = {WEFT_F32, WEFT_F16, WEFT_BF16};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect_sum(rig *r, uint32_t x, uint32_t y) {
  const float *data = data_at(r, x, y);
  for (uint32_t i = 0; i < r->elements; ++i) {
    float sum = sum_of(&r->what, 0, r->what.columns * r->what.rows, i);
    if (data[i] != sum)
      fail_msg("%s %u x %u, root (%u, %u), %u words, core (%u, %u), element %u: %g, not %g", r->kernel->name,
               r->what.columns, r->what.rows, r->what.root_x, r->what.root_y, r->what.words, x, y, i, (double)data[i],
               (double)sum);
  }
}

static void try_reduce(const weft_collective *what, bool all) {
  rig r = all ? run_all_reduce(what, 1) : run_reduce(what, 1);
  bool line = what->snake || what->columns == 1 || what->rows == 1;
  assert_true(colours_of(r.kernel) <= (line ? 3 : 5));
  if (!all)
    expect_sum(&r, what->root_x, what->root_y);
  else
    for (uint32_t core = 0; core < what->columns * what->rows; ++core)
      expect_sum(&r, core % what->columns, core / what->columns);
  end_rig(&r);
}

static void try_roots(weft_collective what, bool all) {
  try_reduce(&what, all);
  what.root_x = what.columns / 2;
  what.root_y = what.rows / 2;
  try_reduce(&what, all);
  what.root_x = what.columns - 1;
  what.root_y = what.rows - 1;
  try_reduce(&what, all);
}

static void try_shapes(weft_reduce_pattern pattern, bool all) {
  uint32_t turn = 0;
  for (size_t s = 0; s < COUNT(shapes); ++s)
    for (size_t w = 0; w < COUNT(sizes); ++w)
      for (int snake = 0; snake < 2; ++snake) {
        weft_collective what = weft_collective_default(shapes[s].columns, shapes[s].rows, sizes[w]);
        what.pattern = pattern;
        what.dtype = types[turn++ % COUNT(types)];
        what.snake = snake;
        try_roots(what, all);
      }
}

static void chains(void **state) {
  (void)state;
  try_shapes(WEFT_REDUCE_CHAIN, false);
}
static void stars(void **state) {
  (void)state;
  try_shapes(WEFT_REDUCE_STAR, false);
}
static void trees(void **state) {
  (void)state;
  try_shapes(WEFT_REDUCE_TREE, false);
}
static void autos(void **state) {
  (void)state;
  try_shapes(WEFT_REDUCE_AUTO, false);
  try_shapes(WEFT_REDUCE_BEST, false);
}
static void two_phases(void **state) {
  (void)state;
  try_shapes(WEFT_REDUCE_TWO_PHASE, false);
  static const uint32_t groups[] = {1, 2, 3, 5, 8, 40};
  for (size_t g = 0; g < COUNT(groups); ++g) {
    weft_collective what = weft_collective_default(29, 1, 10);
    what.pattern = WEFT_REDUCE_TWO_PHASE;
    what.group = groups[g];
    try_roots(what, false);
  }
}
static void k_trees(void **state) {
  (void)state;
  for (uint32_t levels = 1; levels < 6; ++levels) {
    weft_collective what = weft_collective_default(45, 1, 7);
    what.pattern = WEFT_REDUCE_K_TREE;
    what.levels = levels;
    try_roots(what, false);
    try_roots(what, true);
    what.columns = 9;
    what.rows = 7;
    try_roots(what, true);
  }
}
static void all_reduces(void **state) {
  (void)state;
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p) try_shapes((weft_reduce_pattern)p, true);
}

static void broadcasts(void **state) {
  (void)state;
  uint32_t turn = 0;
  for (size_t s = 0; s < COUNT(shapes); ++s)
    for (size_t w = 0; w < COUNT(sizes); ++w)
      for (uint32_t at = 0; at < 3; ++at) {
        weft_collective what = weft_collective_default(shapes[s].columns, shapes[s].rows, sizes[w]);
        what.dtype = types[turn++ % COUNT(types)];
        what.root_x = at * (what.columns - 1) / 2;
        what.root_y = at * (what.rows - 1) / 2;
        rig r = run_broadcast(&what, 1);
        assert_true(colours_of(r.kernel) <= 1);
        for (uint32_t core = 0; core < what.columns * what.rows; ++core) {
          const float *data = data_at(&r, core % what.columns, core / what.columns);
          for (uint32_t i = 0; i < r.elements; ++i)
            assert_true(data[i] == given(&what, what.root_y * what.columns + what.root_x, i));
        }
        end_rig(&r);
      }
}

static void rings(void **state) {
  (void)state;
  for (uint32_t columns = 1; columns <= 163; columns += columns < 10 ? 1 : 17)
    for (size_t w = 0; w < COUNT(sizes); ++w)
      for (uint32_t rows = 1; rows <= 2; ++rows) {
        weft_collective what = weft_collective_default(columns, rows, sizes[w]);
        what.dtype = types[(columns + w) % COUNT(types)];
        rig r = run_ring(&what, 1);
        assert_true(colours_of(r.kernel) <= 3);
        for (uint32_t core = 0; core < columns * rows; ++core) {
          const float *data = data_at(&r, core % columns, core / columns);
          for (uint32_t i = 0; i < r.elements; ++i)
            assert_true(data[i] == sum_of(&what, core / columns * columns, columns, i));
        }
        end_rig(&r);
      }
}

static void paths(void **state) {
  (void)state;
  for (uint32_t hops = 1; hops < 20; hops += 3)
    for (uint32_t turns = 0; turns < hops; ++turns)
      for (size_t w = 0; w < COUNT(sizes); ++w) {
        weft_kernel *kernel;
        must(weft_path_kernel(hops, turns, sizes[w], &kernel));
        assert_int_equal(kernel->columns + kernel->rows - 2, hops);
        must(weft_kernel_check(kernel, 48 * 1024));
        weft_machine *machine;
        must(weft_machine_read("wse3", &machine));
        weft_mesh_sim *mesh;
        weft_mesh_report report;
        must(weft_mesh_open(kernel, machine, NULL, &mesh));
        float data[64], seen[64] = {0};
        for (uint32_t i = 0; i < sizes[w]; ++i) data[i] = (float)(i + hops) / 3;
        must(weft_mesh_write_f32(mesh, 0, 0, "data", data, sizes[w]));
        must(weft_mesh_run(mesh, &report));
        must(weft_mesh_read_f32(mesh, kernel->columns - 1, kernel->rows - 1, "data", seen, sizes[w]));
        assert_memory_equal(data, seen, sizes[w] * sizeof *data);
        assert_int_equal(report.link_hops, (uint64_t)hops * sizes[w]);
        weft_mesh_close(mesh);
        weft_kernel_destroy(kernel);
        weft_machine_destroy(machine);
      }
}

static void relays(void **state) {
  (void)state;
  for (uint32_t stages = 1; stages < 9; ++stages)
    for (size_t w = 0; w < COUNT(sizes); ++w) {
      weft_kernel *kernel;
      must(weft_relay_kernel(stages, sizes[w], &kernel));
      weft_collective what = weft_collective_default(stages + 1, 1, sizes[w]);
      rig r = run_kernel(&what, sizes[w], kernel, 1);
      const float *data = data_at(&r, stages, 0);
      for (uint32_t i = 0; i < sizes[w]; ++i) assert_true(data[i] == given(&what, 0, i));
      end_rig(&r);
    }
}

// Cycles, counts and all memory are equal for 1 and 2 threads.
static void threads(void **state) {
  (void)state;
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p)
    for (int snake = 0; snake < 2; ++snake) {
      weft_collective what = weft_collective_default(11, 10, 37);
      what.pattern = (weft_reduce_pattern)p;
      what.root_x = 3;
      what.root_y = 6;
      what.snake = snake;
      rig one = run_all_reduce(&what, 1), two = run_all_reduce(&what, 2);
      assert_int_equal(one.report.cycles, two.report.cycles);
      assert_int_equal(one.report.hash, two.report.hash);
      end_rig(&one);
      end_rig(&two);
    }
  weft_collective what = weft_collective_default(12, 6, 40);
  rig one = run_ring(&what, 1), two = run_ring(&what, 2);
  assert_int_equal(one.report.hash, two.report.hash);
  end_rig(&one);
  end_rig(&two);
  one = run_broadcast(&what, 1), two = run_broadcast(&what, 2);
  assert_int_equal(one.report.hash, two.report.hash);
  end_rig(&one);
  end_rig(&two);
}

// Fractions: the order of additions differs from a plain loop's, so the sum agrees within f32's rounding only.
static void fractions(void **state) {
  (void)state;
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p) {
    weft_collective what = weft_collective_default(23, 1, 9);
    what.pattern = (weft_reduce_pattern)p;
    weft_kernel *kernel;
    must(weft_reduce_kernel(&what, &kernel));
    must(weft_kernel_check(kernel, 48 * 1024));
    weft_machine *machine;
    must(weft_machine_read("wse2", &machine));
    weft_mesh_sim *mesh;
    must(weft_mesh_open(kernel, machine, NULL, &mesh));
    double sums[9] = {0};
    float data[9];
    for (uint32_t x = 0; x < what.columns; ++x) {
      for (uint32_t i = 0; i < 9; ++i) {
        data[i] = 1 / (float)(x * 9 + i + 1);
        sums[i] += (double)data[i];
      }
      must(weft_mesh_write_f32(mesh, x, 0, "data", data, 9));
    }
    weft_mesh_report report;
    must(weft_mesh_run(mesh, &report));
    must(weft_mesh_read_f32(mesh, 0, 0, "data", data, 9));
    for (uint32_t i = 0; i < 9; ++i) assert_true(fabs((double)data[i] - sums[i]) <= 5e-6 * sums[i]);
    weft_mesh_close(mesh);
    weft_kernel_destroy(kernel);
    weft_machine_destroy(machine);
  }
}

static void errors(void **state) {
  (void)state;
  weft_kernel *kernel = NULL;
  weft_collective what = weft_collective_default(0, 3, 4);
  must_fail(weft_reduce_kernel(&what, &kernel), "0 x 3");
  what = weft_collective_default(4, 3, 0);
  must_fail(weft_broadcast_kernel(&what, &kernel), "0 words");
  what = weft_collective_default(4, 3, 2);
  what.root_y = 3;
  must_fail(weft_all_reduce_kernel(&what, &kernel), "(0, 3)");
  what.root_y = 0;
  what.dtype = WEFT_I32;
  must_fail(weft_ring_kernel(&what, &kernel), "i32");
  what.dtype = WEFT_F32;
  what.pattern = WEFT_REDUCE_K_TREE;
  what.levels = 0;
  must_fail(weft_reduce_kernel(&what, &kernel), "K-tree");
  must_fail(weft_path_kernel(3, 3, 1, &kernel), "3 hops");
  must_fail(weft_relay_kernel(0, 5, &kernel), "0 stages");
  weft_reduce_pattern pattern;
  must_fail(weft_reduce_pattern_parse("tow_phase", &pattern), "two_phase");
  must(weft_reduce_pattern_parse("k_tree", &pattern));
  assert_int_equal(pattern, WEFT_REDUCE_K_TREE);
  assert_null(kernel);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chains),      cmocka_unit_test(stars),      cmocka_unit_test(trees),
      cmocka_unit_test(autos),       cmocka_unit_test(two_phases), cmocka_unit_test(k_trees),
      cmocka_unit_test(all_reduces), cmocka_unit_test(broadcasts), cmocka_unit_test(rings),
      cmocka_unit_test(paths),       cmocka_unit_test(relays),     cmocka_unit_test(threads),
      cmocka_unit_test(fractions),   cmocka_unit_test(errors),
  };
  return cmocka_run_group_tests_name("collectives values", tests, NULL, NULL);
}
