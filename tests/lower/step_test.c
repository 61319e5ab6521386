// Kernels that belong to a step and not to an op: tokens in, the next token, a step's scalars. Every core's copy is
// looked at.
#include "tests/lower/lower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "compiler/kernels/layers.h"
#include "models/machine.h"
#include "sim/mesh.h"

static const uint32_t meshes[][2] = {{1, 1}, {1, 5}, {5, 1}, {3, 7}, {8, 8}, {16, 12}};
enum { MESHES = sizeof meshes / sizeof *meshes };

// One kernel on its mesh.
typedef struct rig {
  weft_layer_mesh mesh;
  weft_machine *machine;
  weft_kernel *kernel;
  weft_mesh_sim *sim;
} rig;

static weft_layer_mesh mesh_of(int m, weft_dtype dtype) {
  return (weft_layer_mesh){.columns = meshes[m][0], .rows = meshes[m][1], .dtype = dtype};
}

static rig open_rig(weft_layer_mesh mesh, weft_kernel *kernel) {
  rig r = {.mesh = mesh, .kernel = kernel};
  weft_mesh_options options = weft_mesh_options_default();
  require(weft_machine_read("wse2", &r.machine));
  require(weft_kernel_check(kernel, 48 << 10));
  require(weft_mesh_open(kernel, r.machine, &options, &r.sim));
  return r;
}

static void run(rig *r) {
  weft_mesh_report report = {0};
  require(weft_mesh_run(r->sim, &report));
}

static void close_rig(rig *r) {
  weft_mesh_close(r->sim);
  weft_kernel_destroy(r->kernel);
  weft_machine_destroy(r->machine);
}

// Words of 32 bits of all cores, `each` per core, row by row; per mesh row: one core's words are for its whole row.
static void write_rows(rig *r, const char *name, const void *values, uint32_t each) {
  for (uint32_t y = 0; y < r->mesh.rows; ++y)
    for (uint32_t x = 0; x < r->mesh.columns; ++x)
      require(weft_mesh_write(r->sim, x, y, name, (const char *)values + (size_t)4 * y * each, (size_t)4 * each));
}

// Row by row, the same in all cores of a mesh row.
static void read_rows(const rig *r, const char *name, void *out, uint32_t each) {
  void *other = weft_allocate((size_t)4 * each);
  for (uint32_t y = 0; y < r->mesh.rows; ++y) {
    char *to = (char *)out + (size_t)4 * y * each;
    for (uint32_t x = 0; x < r->mesh.columns; ++x) {
      require(weft_mesh_read(r->sim, x, y, name, x ? other : to, (size_t)4 * each));
      if (x) assert_memory_equal(other, to, (size_t)4 * each);
    }
  }
  free(other);
}

// The same in all cores.
static void read_scalars(const rig *r, float out[WEFT_LAYER_SCALARS]) {
  float *all = weft_allocate_array((size_t)r->mesh.rows * WEFT_LAYER_SCALARS, sizeof *all);
  read_rows(r, "scalars", all, WEFT_LAYER_SCALARS);
  for (uint32_t y = 0; y < r->mesh.rows; ++y)
    assert_memory_equal(all + (size_t)y * WEFT_LAYER_SCALARS, all, sizeof(float) * WEFT_LAYER_SCALARS);
  memcpy(out, all, sizeof(float) * WEFT_LAYER_SCALARS);
  free(all);
}

static void write_scalars(rig *r, const float scalars[WEFT_LAYER_SCALARS]) {
  for (uint32_t y = 0; y < r->mesh.rows; ++y)
    for (uint32_t x = 0; x < r->mesh.columns; ++x)
      require(weft_mesh_write(r->sim, x, y, "scalars", scalars, sizeof(float) * WEFT_LAYER_SCALARS));
}

static void close_to(double got, double expected) {
  if (!(fabs(got - expected) <= 1e-6 * fabs(expected))) fail_msg("%.9g, expected %.9g", got, expected);
}

// ---- tokens

static void check_tokens(int m, uint32_t tokens, uint32_t each, int32_t position) {
  weft_layer_mesh mesh = mesh_of(m, WEFT_F32);
  rig r = open_rig(mesh, weft_layer_make_tokens(&mesh, tokens, each, 2));
  uint32_t block = weft_layer_block(tokens, mesh.rows), words = 1 + 2 * block, all = block * mesh.rows;
  uint32_t *lines = weft_allocate_array((size_t)words * mesh.rows, sizeof *lines);
  int32_t *got = weft_allocate_array(all, sizeof *got);
  for (uint32_t y = 0; y < mesh.rows; ++y) {
    uint32_t *line = lines + (size_t)y * words;
    line[0] = (uint32_t)position;
    for (uint32_t i = 0; i < block; ++i) {
      line[1 + i] = 1000 + y * block + i;
      line[1 + block + i] = 2000 + y * block + i;
    }
    require(weft_mesh_feed(r.sim, y, line, words));
  }
  run(&r);
  static const char *const names[] = {"list_0", "list_1", "positions"};
  for (int n = 0; n < 3; ++n) {
    read_rows(&r, names[n], got, block);
    for (uint32_t i = 0; i < (n < 2 ? all : tokens); ++i)
      assert_int_equal(got[i], n < 2 ? (int32_t)(1000 * (n + 1) + (int)i) : position + (int32_t)(i % each));
  }
  read_rows(&r, "position", got, 1);
  for (uint32_t y = 0; y < mesh.rows; ++y) assert_int_equal(got[y], position);
  free(got);
  free(lines);
  close_rig(&r);
}

static void test_tokens(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    check_tokens(m, 1, 1, 7);
    check_tokens(m, 13, 13, 0);
    check_tokens(m, 26, 13, 4);
  }
}

// ---- the next token: the first of the greatest

static void check_greatest(int m, weft_dtype dtype, uint32_t tokens, uint32_t vocabulary, int ties) {
  weft_layer_mesh mesh = mesh_of(m, dtype);
  rig r = open_rig(mesh, weft_layer_make_greatest(&mesh, tokens, vocabulary));
  uint32_t rows = weft_layer_block(tokens, mesh.rows), columns = weft_layer_block(vocabulary, mesh.columns);
  float *logits = weft_allocate_array((size_t)tokens * vocabulary, sizeof *logits);
  float *block = weft_allocate_array((size_t)rows * columns, sizeof *block);
  int32_t *got = weft_allocate_array((size_t)rows * mesh.rows, sizeof *got);
  fill(logits, (uint64_t)tokens * vocabulary, vocabulary);
  // Few different values, all below zero: many ties, and padding's zeros must not win.
  for (uint32_t i = 0; i < tokens * vocabulary; ++i) logits[i] = floorf(logits[i] * (float)ties) / 8 - 4;
  for (uint32_t y = 0; y < mesh.rows; ++y)
    for (uint32_t x = 0; x < mesh.columns; ++x) {
      for (uint32_t i = 0; i < rows * columns; ++i) {
        uint32_t row = y * rows + i / columns, column = x * columns + i % columns;
        block[i] = row < tokens && column < vocabulary ? logits[row * vocabulary + column] : 0;
      }
      require(weft_mesh_write_f32(r.sim, x, y, "logits", block, rows * columns));
    }
  run(&r);
  read_rows(&r, "ids", got, rows);
  for (uint32_t row = 0; row < tokens; ++row) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocabulary; ++i)
      if (logits[row * vocabulary + i] > logits[row * vocabulary + best]) best = i;
    assert_int_equal(got[row], best);
  }
  free(got);
  free(block);
  free(logits);
  close_rig(&r);
}

static void test_greatest(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    check_greatest(m, WEFT_F32, 1, 1, 4);
    check_greatest(m, WEFT_F32, 9, 50, 2);
    check_greatest(m, WEFT_F32, 3, 97, 16);
    check_greatest(m, WEFT_BF16, 9, 50, 2);
    check_greatest(m, WEFT_F16, 2, 53, 3);
  }
}

// ---- a step's scalars

static void test_opening(void **state) {
  (void)state;
  static const uint32_t steps[] = {1, 2, 7, 100, 65536, 123456789};
  const float entering[WEFT_LAYER_ENTERING] = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.5f};
  for (int m = 0; m < MESHES; ++m)
    for (size_t s = 0; s < sizeof steps / sizeof *steps; ++s) {
      weft_layer_mesh mesh = mesh_of(m, WEFT_BF16);
      rig r = open_rig(mesh, weft_layer_make_opening(&mesh));
      uint32_t words[WEFT_LAYER_ENTERING + 1];
      memcpy(words, entering, sizeof entering);
      words[WEFT_LAYER_ENTERING] = steps[s];
      for (uint32_t x = 0; x < mesh.columns; ++x) require(weft_mesh_feed(r.sim, x, words, WEFT_LAYER_ENTERING + 1));
      run(&r);
      float got[WEFT_LAYER_SCALARS];
      read_scalars(&r, got);
      assert_memory_equal(got, entering, sizeof entering);
      close_to((double)got[WEFT_LAYER_STEP_SIZE], (double)-entering[0] / (1 - pow((double)0.9f, steps[s])));
      close_to((double)got[WEFT_LAYER_CORRECT2], 1 / (1 - pow((double)0.999f, steps[s])));
      close_to((double)got[WEFT_LAYER_GRADIENT_SCALE], 1);
      close_rig(&r);
    }
}

// Targets and losses of `tokens` tokens are added to what is there.
static void check_counts(int m, uint32_t tokens, bool any) {
  weft_layer_mesh mesh = mesh_of(m, WEFT_F16);
  uint32_t block = weft_layer_block(tokens, mesh.rows), count = 0;
  int32_t *targets = weft_allocate_array((size_t)block * mesh.rows, sizeof *targets);
  float *losses = weft_allocate_array((size_t)block * mesh.rows, sizeof *losses), scalars[WEFT_LAYER_SCALARS] = {0};
  double sum = any ? 2.5 : 0, all = any ? 3 : 0;
  for (uint32_t i = 0; i < tokens; ++i) {
    targets[i] = any && i % 3 ? (int32_t)i : -1;
    count += targets[i] >= 0;
    losses[i] = 0.25f * (float)i;
    sum += 0.25 * i;
  }
  scalars[WEFT_LAYER_TARGETS] = (float)all;
  scalars[WEFT_LAYER_LOSS_SUM] = any ? 2.5f : 0;
  rig r = open_rig(mesh, weft_layer_make_target_count(&mesh, tokens));
  write_rows(&r, "targets", targets, block);
  write_scalars(&r, scalars);
  run(&r);
  read_scalars(&r, scalars);
  close_rig(&r);
  close_to((double)scalars[WEFT_LAYER_TARGETS], all + count);
  close_to((double)scalars[WEFT_LAYER_LOSS_SCALE], all + count > 0 ? 1 / (all + count) : 0);
  r = open_rig(mesh, weft_layer_make_loss_sum(&mesh, tokens));
  write_rows(&r, "loss", losses, block);
  write_scalars(&r, scalars);
  run(&r);
  read_scalars(&r, scalars);
  close_rig(&r);
  close_to((double)scalars[WEFT_LAYER_LOSS_SUM], sum);
  close_to((double)scalars[WEFT_LAYER_LOSS], all + count > 0 ? sum / (all + count) : 0);
  free(losses);
  free(targets);
}

static void test_counts(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    check_counts(m, 1, true);
    check_counts(m, 17, true);
    check_counts(m, 40, false);
  }
}

static void test_clipping(void **state) {
  (void)state;
  static const float cases[][3] = {{4, 1, 0.5f}, {0.25f, 1, 1}, {0, 1, 1}, {4, 0, 1}, {100, 0.1f, 0.01f}};
  for (int m = 0; m < MESHES; ++m)
    for (size_t k = 0; k < sizeof cases / sizeof *cases; ++k) {
      weft_layer_mesh mesh = mesh_of(m, WEFT_F32);
      float scalars[WEFT_LAYER_SCALARS] = {0};
      scalars[WEFT_LAYER_SQUARES] = cases[k][0];
      scalars[WEFT_LAYER_CLIP] = cases[k][1];
      rig r = open_rig(mesh, weft_layer_make_clipping(&mesh));
      write_scalars(&r, scalars);
      run(&r);
      read_scalars(&r, scalars);
      close_rig(&r);
      close_to((double)scalars[WEFT_LAYER_NORM], sqrt((double)cases[k][0]));
      double scale = (double)scalars[WEFT_LAYER_GRADIENT_SCALE];
      if (!(fabs(scale - (double)cases[k][2]) <= 1e-6)) fail_msg("scale %g, expected %g", scale, (double)cases[k][2]);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_greatest),
                                     cmocka_unit_test(test_opening), cmocka_unit_test(test_counts),
                                     cmocka_unit_test(test_clipping)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
