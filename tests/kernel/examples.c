// The kernels that Weft brings along compute what they say, for several sizes, on a simulated mesh.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "sim/mesh.h"
#include "tests/kernel/shipped.h"

static float noise(uint64_t stream, uint64_t i) { return (float)(2 * weft_random_uniform(7, stream, i) - 1); }

// ---- line_sum ----

static void sum_line(uint32_t cores, uint32_t words) {
  char settings[2][32];
  snprintf(settings[0], sizeof settings[0], "cores=%u", cores);
  snprintf(settings[1], sizeof settings[1], "words=%u", words);
  const char *const list[] = {settings[0], settings[1]};
  weft_kernel *k = shipped_kernel("line_sum", list, 2);
  weft_mesh_sim *mesh = shipped_mesh(k, 1);
  float *part = malloc(words * sizeof *part), *total = malloc(words * sizeof *total),
        *truth = calloc(words, sizeof *truth);
  for (uint32_t x = cores; x-- > 0;) {
    for (uint32_t i = 0; i < words; ++i) part[i] = noise(x, i);
    for (uint32_t i = 0; i < words; ++i) truth[i] = part[i] + truth[i];
    succeeds(weft_mesh_write_f32(mesh, x, 0, "part", part, words));
  }
  weft_mesh_report report;
  succeeds(weft_mesh_run(mesh, &report));
  for (uint32_t x = 0; x < cores; ++x) {
    succeeds(weft_mesh_read_f32(mesh, x, 0, "total", total, words));
    assert_memory_equal(total, truth, words * sizeof *truth);
  }
  // Both ways are streams: two words a cycle at least, and what the head says beyond.
  assert_true(report.cycles >= 2 * words);
  assert_true(report.cycles <= 2 * words + 8 * cores + 60);
  free(part);
  free(total);
  free(truth);
  weft_mesh_close(mesh);
  weft_kernel_destroy(k);
}

static void line_sum_adds(void **state) {
  (void)state;
  const uint32_t sizes[][2] = {{2, 1}, {2, 16}, {3, 5}, {4, 64}, {7, 33}, {32, 128}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) sum_line(sizes[s][0], sizes[s][1]);
}

// ---- heat ----

// One step on the whole plate, in the order of operations of the kernel. `width` and `height` with the border.
static void heat_step(const float *u, float *next, uint32_t width, uint32_t height, float rate) {
  memcpy(next, u, (size_t)width * height * sizeof *u);
  for (uint32_t y = 1; y + 1 < height; ++y)
    for (uint32_t x = 1; x + 1 < width; ++x) {
      const float *c = &u[y * width + x];
      float flow = c[-1] + c[1];
      flow = flow + c[-(ptrdiff_t)width];
      flow = flow + c[width];
      flow = fmaf(c[0], -4.0f, flow);
      next[y * width + x] = fmaf(flow, rate, c[0]);
    }
}

// Moves a core's tile with its halo between the plate and the mesh; only the inner cells out of the mesh.
static void move_tile(weft_mesh_sim *mesh, uint32_t x, uint32_t y, uint32_t size, float *plate, uint32_t width,
                      bool in) {
  float tile[34 * 34];
  uint32_t side = size + 2;
  if (!in) succeeds(weft_mesh_read_f32(mesh, x, y, "u", tile, side * side));
  for (uint32_t r = in ? 0 : 1; r < side - (in ? 0 : 1); ++r)
    for (uint32_t c = in ? 0 : 1; c < side - (in ? 0 : 1); ++c) {
      float *at = &plate[(y * size + r) * width + x * size + c];
      if (in)
        tile[r * side + c] = *at;
      else
        *at = tile[r * side + c];
    }
  if (in) succeeds(weft_mesh_write_f32(mesh, x, y, "u", tile, side * side));
}

static uint64_t heat_plate(uint32_t columns, uint32_t rows, uint32_t size, uint32_t steps, uint32_t threads) {
  char settings[4][32];
  const char *const names[] = {"columns", "rows", "size", "steps"}, *list[4];
  const uint32_t values[] = {columns, rows, size, steps};
  for (int s = 0; s < 4; ++s) {
    snprintf(settings[s], sizeof settings[s], "%s=%u", names[s], values[s]);
    list[s] = settings[s];
  }
  weft_kernel *k = shipped_kernel("heat", list, 4);
  weft_mesh_sim *mesh = shipped_mesh(k, threads);
  uint32_t width = columns * size + 2, height = rows * size + 2;
  size_t cells = (size_t)width * height;
  float *u = malloc(cells * sizeof *u), *next = malloc(cells * sizeof *next), *found = malloc(cells * sizeof *found);
  for (size_t i = 0; i < cells; ++i) u[i] = noise(1, i);
  memcpy(found, u, cells * sizeof *u);
  for (uint32_t c = 0; c < columns * rows; ++c) move_tile(mesh, c % columns, c / columns, size, u, width, true);
  weft_mesh_report report;
  succeeds(weft_mesh_run(mesh, &report));
  for (uint32_t c = 0; c < columns * rows; ++c) move_tile(mesh, c % columns, c / columns, size, found, width, false);
  for (uint32_t s = 0; s < steps; ++s) {
    heat_step(u, next, width, height, 0.2f);
    float *swap = u;
    u = next;
    next = swap;
  }
  assert_memory_equal(found, u, cells * sizeof *u);
  free(u);
  free(next);
  free(found);
  weft_mesh_close(mesh);
  weft_kernel_destroy(k);
  return report.hash;
}

static void heat_flows(void **state) {
  (void)state;
  const uint32_t sizes[][4] = {{2, 2, 1, 3}, {2, 3, 4, 1}, {3, 2, 5, 0}, {4, 4, 8, 10}, {5, 3, 7, 25}, {12, 9, 3, 12}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
    uint64_t one = heat_plate(sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], 1);
    assert_int_equal(one, heat_plate(sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], 2));
  }
}

// ---- lu ----

// Greatest difference of L U from the matrix, relative to its greatest element.
static double residual(const double *matrix, const float *factors, uint32_t n) {
  double most = 0, scale = 0;
  for (uint32_t r = 0; r < n; ++r)
    for (uint32_t c = 0; c < n; ++c) {
      double sum = 0;
      for (uint32_t k = 0; k <= r && k <= c; ++k)
        sum += (k == r ? 1.0 : (double)factors[r * n + k]) * (double)factors[k * n + c];
      most = fmax(most, fabs(sum - matrix[r * n + c]));
      scale = fmax(scale, fabs(matrix[r * n + c]));
    }
  return most / scale;
}

static void factorise(uint32_t cores, uint32_t size) {
  char settings[2][32];
  snprintf(settings[0], sizeof settings[0], "cores=%u", cores);
  snprintf(settings[1], sizeof settings[1], "size=%u", size);
  const char *const list[] = {settings[0], settings[1]};
  weft_kernel *k = shipped_kernel("lu", list, 2);
  weft_mesh_sim *mesh = shipped_mesh(k, 1);
  uint32_t n = cores * size;
  double *matrix = malloc((size_t)n * n * sizeof *matrix);
  float *factors = malloc((size_t)n * n * sizeof *factors), block[32 * 32];
  // Without exchange of rows the diagonal must dominate.
  for (uint32_t i = 0; i < n * n; ++i) matrix[i] = (double)(noise(2, i) + (i % (n + 1) == 0 ? (float)n : 0));
  for (uint32_t c = 0; c < cores * cores; ++c) {
    for (uint32_t i = 0; i < size * size; ++i)
      block[i] = (float)matrix[(c / cores * size + i / size) * n + c % cores * size + i % size];
    succeeds(weft_mesh_write_f32(mesh, c % cores, c / cores, "a", block, size * size));
  }
  weft_mesh_report report;
  succeeds(weft_mesh_run(mesh, &report));
  for (uint32_t c = 0; c < cores * cores; ++c) {
    succeeds(weft_mesh_read_f32(mesh, c % cores, c / cores, "a", block, size * size));
    for (uint32_t i = 0; i < size * size; ++i)
      factors[(c / cores * size + i / size) * n + c % cores * size + i % size] = block[i];
  }
  double error = residual(matrix, factors, n);
  if (!(error < 1e-6)) fail_msg("%u x %u cores, blocks of %u: residual %g", cores, cores, size, error);
  assert_true(error > 0);  // computed, not copied
  free(matrix);
  free(factors);
  weft_mesh_close(mesh);
  weft_kernel_destroy(k);
}

static void lu_factorises(void **state) {
  (void)state;
  const uint32_t sizes[][2] = {{2, 2}, {2, 7}, {3, 4}, {4, 8}, {5, 3}, {8, 6}, {3, 32}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) factorise(sizes[s][0], sizes[s][1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(line_sum_adds), cmocka_unit_test(heat_flows),
                                     cmocka_unit_test(lu_factorises)};
  return cmocka_run_group_tests(tests, shipped_machine_read, shipped_machine_free);
}
