// The longer kernels that Weft brings along, held against plain loops in double (or whole numbers): stencils from
// papers, a solver that stops when data say so, transforms, factorisations, and work that data decide.
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "sim/mesh.h"
#include "tests/kernel/shipped.h"

static double noise(uint64_t stream, uint64_t i) { return (double)(float)(2 * weft_random_uniform(11, stream, i) - 1); }

// "name=value name=value ..."
static weft_kernel *read_kernel(const char *name, const char *settings) {
  char copy[256], *list[8], *rest = copy;
  uint32_t count = 0;
  snprintf(copy, sizeof copy, "%s", settings);
  while ((list[count] = strtok_r(count ? NULL : copy, " ", &rest))) ++count;
  return shipped_kernel(name, (const char *const *)list, count);
}

// `each` numbers per core, row by row, in or out.
static void move_all(weft_mesh_sim *mesh, const weft_kernel *k, const char *array, uint32_t each, double *values,
                     bool in) {
  float *core = malloc(each * sizeof *core);
  for (uint32_t c = 0; c < k->columns * k->rows; ++c, values += each) {
    for (uint32_t i = 0; in && i < each; ++i) core[i] = (float)values[i];
    succeeds(in ? weft_mesh_write_f32(mesh, c % k->columns, c / k->columns, array, core, each)
                : weft_mesh_read_f32(mesh, c % k->columns, c / k->columns, array, core, each));
    for (uint32_t i = 0; !in && i < each; ++i) values[i] = (double)core[i];
  }
  free(core);
}

static uint64_t run_mesh(weft_mesh_sim *mesh) {
  weft_mesh_report report;
  succeeds(weft_mesh_run(mesh, &report));
  return report.hash;
}

static void close_mesh(weft_mesh_sim *mesh, weft_kernel *k) {
  weft_mesh_close(mesh);
  weft_kernel_destroy(k);
}

// Greatest difference, relative to the greatest of `right`.
static double error_of(const double *found, const double *right, size_t count) {
  double most = 0, scale = 0;
  for (size_t i = 0; i < count; ++i) {
    if (isnan(found[i])) return HUGE_VAL;
    most = fmax(most, fabs(found[i] - right[i]));
    scale = fmax(scale, fabs(right[i]));
  }
  return most / scale;
}

// ---- a box of cells: (x, y, z) with z fastest, as the cores have them ----

typedef struct box {
  int columns, rows, depth;
} box;

static size_t cells(box b) { return (size_t)b.columns * (size_t)b.rows * (size_t)b.depth; }

static size_t place(box b, int x, int y, int z) {
  return ((size_t)y * (size_t)b.columns + (size_t)x) * (size_t)b.depth + (size_t)z;
}

// 0 outside.
static double cell(box b, const double *u, int x, int y, int z) {
  bool inside = x >= 0 && x < b.columns && y >= 0 && y < b.rows && z >= 0 && z < b.depth;
  return inside ? u[place(b, x, y, z)] : 0;
}

// ---- bicgstab ----

static const char *const neighbours[] = {"west", "east", "north", "south", "below", "above"};
static const int steps[6][3] = {{-1, 0, 0}, {1, 0, 0}, {0, -1, 0}, {0, 1, 0}, {0, 0, -1}, {0, 0, 1}};

// |b - A u| / |b|
static double residual(box s, double *const *factors, const double *b, const double *u) {
  double found = 0, scale = 0;
  for (int y = 0; y < s.rows; ++y)
    for (int x = 0; x < s.columns; ++x)
      for (int z = 0; z < s.depth; ++z) {
        size_t i = place(s, x, y, z);
        double left = b[i] - u[i];
        for (int n = 0; n < 6; ++n)
          left -= factors[n][i] * cell(s, u, x + steps[n][0], y + steps[n][1], z + steps[n][2]);
        found += left * left;
        scale += b[i] * b[i];
      }
  return sqrt(found / scale);
}

static uint64_t solve(box s, const char *type, double wanted, uint32_t threads) {
  char settings[128];
  snprintf(settings, sizeof settings, "columns=%d rows=%d depth=%d real=%s most=%d tolerance=1e-5", s.columns, s.rows,
           s.depth, type, strcmp(type, "f32") == 0 ? 60 : 8);
  weft_kernel *k = read_kernel("bicgstab", settings);
  weft_mesh_sim *mesh = shipped_mesh(k, threads);
  double *factors[6], *b = malloc(cells(s) * sizeof *b), *u = malloc(cells(s) * sizeof *u);
  for (int n = 0; n < 6; ++n) {
    factors[n] = malloc(cells(s) * sizeof *b);
    for (size_t i = 0; i < cells(s); ++i) factors[n][i] = -0.125 + 0.03125 * round(noise((uint64_t)n, i));
    move_all(mesh, k, neighbours[n], (uint32_t)s.depth, factors[n], true);
  }
  for (size_t i = 0; i < cells(s); ++i) b[i] = noise(7, i);
  move_all(mesh, k, "b", (uint32_t)s.depth, b, true);
  uint64_t hash = run_mesh(mesh);
  move_all(mesh, k, "u", (uint32_t)s.depth, u, false);
  double found = residual(s, factors, b, u);
  if (!(found < wanted)) fail_msg("%s: residual %g", settings, found);
  uint32_t turn = 0, first = 0;
  for (uint32_t c = 0; c < k->columns * k->rows; ++c) {  // all have left in the same turn
    succeeds(weft_mesh_register(mesh, c % k->columns, c / k->columns, "turn", &turn));
    if (c == 0) first = turn;
    assert_int_equal(turn, first);
  }
  if (strcmp(type, "f32") == 0) assert_true(turn > 2 && turn < 60);  // because the residual was small, not at the end
  for (int n = 0; n < 6; ++n) free(factors[n]);
  free(b);
  free(u);
  close_mesh(mesh, k);
  return hash;
}

static void bicgstab_solves(void **state) {
  (void)state;
  const box sizes[] = {{3, 3, 2}, {6, 5, 16}, {4, 9, 10}, {11, 3, 4}, {8, 8, 6}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) solve(sizes[s], "f32", 2e-5, 1);
  solve((box){6, 7, 20}, "f16", 5e-3, 1);
  assert_int_equal(solve((box){7, 6, 8}, "f32", 2e-5, 1), solve((box){7, 6, 8}, "f32", 2e-5, 2));
}

// ---- seismic ----

static void wave_step(box b, const double *now, double *before, const double *speed) {
  static const double c[] = {-205.0 / 72, 8.0 / 5, -1.0 / 5, 8.0 / 315, -1.0 / 560};
  for (int y = 0; y < b.rows; ++y)
    for (int x = 0; x < b.columns; ++x)
      for (int z = 0; z < b.depth; ++z) {
        size_t i = place(b, x, y, z);
        double sum = 3 * c[0] * now[i];
        for (int n = 0; n < 6; ++n)
          for (int d = 1; d <= 4; ++d)
            sum += c[d] * cell(b, now, x + d * steps[n][0], y + d * steps[n][1], z + d * steps[n][2]);
        before[i] = 2 * now[i] - before[i] + speed[i] * sum;
      }
}

// With four cells more at both ends of a column, as the kernel has them.
static void move_columns(weft_mesh_sim *mesh, const weft_kernel *k, const char *array, int depth, double *values,
                         bool in) {
  size_t columns = (size_t)k->columns * k->rows, length = (size_t)depth + 8;
  double *padded = calloc(columns * length, sizeof *padded);
  for (size_t c = 0; in && c < columns; ++c)
    memcpy(&padded[c * length + 4], &values[c * (size_t)depth], (size_t)depth * sizeof *values);
  move_all(mesh, k, array, (uint32_t)length, padded, in);
  for (size_t c = 0; !in && c < columns; ++c)
    memcpy(&values[c * (size_t)depth], &padded[c * length + 4], (size_t)depth * sizeof *values);
  free(padded);
}

static void shake(box b, int turns) {
  char settings[96];
  snprintf(settings, sizeof settings, "columns=%d rows=%d depth=%d steps=%d", b.columns, b.rows, b.depth, turns);
  weft_kernel *k = read_kernel("seismic", settings);
  weft_mesh_sim *mesh = shipped_mesh(k, 1);
  double *now = malloc(cells(b) * sizeof *now), *before = malloc(cells(b) * sizeof *now),
         *speed = malloc(cells(b) * sizeof *now), *found = malloc(cells(b) * sizeof *now);
  for (size_t i = 0; i < cells(b); ++i) {
    now[i] = noise(1, i);
    before[i] = now[i] + 0.125 * noise(2, i);
    before[i] = (double)(float)before[i];
    speed[i] = 0.0625 + 0.03125 * noise(3, i);
  }
  move_columns(mesh, k, "now", b.depth, now, true);
  move_columns(mesh, k, "before", b.depth, before, true);
  move_all(mesh, k, "speed", (uint32_t)b.depth, speed, true);
  run_mesh(mesh);
  for (int t = 0; t < turns; ++t) {
    wave_step(b, now, before, speed);
    double *swap = now;
    now = before;
    before = swap;
  }
  move_columns(mesh, k, "now", b.depth, found, false);
  double now_error = error_of(found, now, cells(b));
  move_columns(mesh, k, "before", b.depth, found, false);
  double before_error = error_of(found, before, cells(b));
  if (!(now_error < 2e-6 && before_error < 2e-6)) fail_msg("%s: %g, %g", settings, now_error, before_error);
  free(now);
  free(before);
  free(speed);
  free(found);
  close_mesh(mesh, k);
}

static void seismic_waves_travel(void **state) {
  (void)state;
  shake((box){2, 3, 5}, 2);
  shake((box){6, 6, 20}, 4);
  shake((box){11, 7, 9}, 6);
  shake((box){5, 12, 1}, 8);
}

// ---- fft ----

static uint64_t transform(int size, int sign, uint32_t threads) {
  char settings[64];
  size_t n = (size_t)size, all = n * n * n;
  snprintf(settings, sizeof settings, "size=%d sign=%d", size, sign);
  weft_kernel *k = read_kernel("fft", settings);
  weft_mesh_sim *mesh = shipped_mesh(k, threads);
  double *in = malloc(2 * all * sizeof *in), *found = malloc(2 * all * sizeof *in),
         *right = calloc(2 * all, sizeof *in);
  for (size_t i = 0; i < 2 * all; ++i) in[i] = noise(4, i);
  move_all(mesh, k, "u", (uint32_t)(2 * n), in, true);
  uint64_t hash = run_mesh(mesh);
  move_all(mesh, k, "u", (uint32_t)(2 * n), found, false);
  // Frequencies (fx, fy, fz) by the definition, one axis after the other; then where the kernel has them.
  double complex *a = malloc(all * sizeof *a), *b = malloc(all * sizeof *b);
  for (size_t i = 0; i < all; ++i) a[i] = in[2 * i] + in[2 * i + 1] * (double complex)I;
  for (size_t axis = 0, stride = 1; axis < 3; ++axis, stride *= n) {
    for (size_t i = 0; i < all; ++i) {
      size_t f = i / stride % n, base = i - f * stride;
      b[i] = 0;
      for (size_t j = 0; j < n; ++j)
        b[i] += a[base + j * stride] *
                cexp(sign * 2 * 3.14159265358979323846 * (double)(f * j % n) / (double)n * (double complex)I);
    }
    double complex *swap = a;
    a = b;
    b = swap;
  }
  // a[(fy n + fx) n + fz]; core (x, y) has fz = x, fx = y, all fy.
  for (size_t fy = 0; fy < n; ++fy)
    for (size_t fx = 0; fx < n; ++fx)
      for (size_t fz = 0; fz < n; ++fz) {
        right[2 * ((fx * n + fz) * n + fy)] = creal(a[(fy * n + fx) * n + fz]);
        right[2 * ((fx * n + fz) * n + fy) + 1] = cimag(a[(fy * n + fx) * n + fz]);
      }
  double error = error_of(found, right, 2 * all);
  if (!(error < 1e-6)) fail_msg("%s: %g", settings, error);
  free(in);
  free(found);
  free(right);
  free(a);
  free(b);
  close_mesh(mesh, k);
  return hash;
}

static void fourier_transforms(void **state) {
  (void)state;
  transform(4, -1, 1);
  transform(8, 1, 1);
  assert_int_equal(transform(16, -1, 1), transform(16, -1, 2));
}

// ---- cholesky ----

static void factorise(size_t cores, size_t size) {
  char settings[64];
  size_t n = cores * size;
  snprintf(settings, sizeof settings, "cores=%zu size=%zu", cores, size);
  weft_kernel *k = read_kernel("cholesky", settings);
  weft_mesh_sim *mesh = shipped_mesh(k, 1);
  double *matrix = malloc(n * n * sizeof *matrix), *lower = calloc(n * n, sizeof *lower);
  float *block = malloc(size * size * sizeof *block);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j)
      matrix[i * n + j] = matrix[j * n + i] = (double)(float)(noise(5, i * n + j) + (i == j ? (double)n : 0));
  for (size_t c = 0; c < cores * cores; ++c) {
    size_t x = c % cores, y = c / cores;
    for (size_t i = 0; i < size * size; ++i) block[i] = (float)matrix[(y * size + i / size) * n + x * size + i % size];
    if (x <= y) succeeds(weft_mesh_write_f32(mesh, (uint32_t)x, (uint32_t)y, "a", block, size * size));
  }
  run_mesh(mesh);
  for (size_t c = 0; c < cores * cores; ++c) {
    size_t x = c % cores, y = c / cores;
    if (x > y) continue;
    succeeds(weft_mesh_read_f32(mesh, (uint32_t)x, (uint32_t)y, "a", block, size * size));
    for (size_t i = 0; i < size * size; ++i)
      if (x < y || i % size <= i / size) lower[(y * size + i / size) * n + x * size + i % size] = (double)block[i];
  }
  double most = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t p = 0; p < n; ++p) sum += lower[i * n + p] * lower[j * n + p];
      most = fmax(most, fabs(sum - matrix[i * n + j]));
    }
  if (!(most / (double)n < 1e-6)) fail_msg("%s: %g", settings, most / (double)n);
  free(matrix);
  free(lower);
  free(block);
  close_mesh(mesh, k);
}

static void cholesky_factorises(void **state) {
  (void)state;
  const size_t sizes[][2] = {{3, 2}, {4, 6}, {5, 5}, {7, 3}, {3, 20}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) factorise(sizes[s][0], sizes[s][1]);
}

// ---- what data decide ----

static int32_t *whole_array(weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name, uint32_t length) {
  int32_t *values = malloc(length * sizeof *values);
  succeeds(weft_mesh_read(mesh, x, y, name, values, length * sizeof *values));
  return values;
}

static void histogram_counts(void **state) {
  (void)state;
  enum { COLUMNS = 5, ROWS = 3, WORDS = 300, WIDE = 7 };
  weft_kernel *k = read_kernel("histogram", "columns=5 rows=3 words=300 wide=7");
  weft_mesh_sim *mesh = shipped_mesh(k, 1);
  float words[ROWS][WORDS];
  int32_t right[ROWS][COLUMNS * WIDE] = {{0}};
  for (uint32_t r = 0; r < ROWS; ++r) {
    for (uint32_t i = 0; i < WORDS; ++i) {
      uint32_t number = (uint32_t)(weft_random_bits(12, r, i) % (COLUMNS * WIDE + 4));  // some are counted by nobody
      words[r][i] = (float)number;
      if (number < COLUMNS * WIDE) ++right[r][number];
    }
    succeeds(weft_mesh_feed(mesh, r, (const uint32_t *)(const void *)words[r], WORDS));
  }
  run_mesh(mesh);
  for (uint32_t c = 0; c < COLUMNS * ROWS; ++c) {
    int32_t *counts = whole_array(mesh, c % COLUMNS, c / COLUMNS, "counts", WIDE);
    assert_memory_equal(counts, &right[c / COLUMNS][c % COLUMNS * WIDE], WIDE * sizeof *counts);
    free(counts);
  }
  close_mesh(mesh, k);
}

static int ascending(const void *left, const void *right) {
  int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
  return (a > b) - (a < b);
}

static void lines_are_sorted(void **state) {
  (void)state;
  for (uint32_t cores = 2; cores < 40; cores += 7) {
    char settings[32];
    int32_t keys[40];
    snprintf(settings, sizeof settings, "cores=%u", cores);
    weft_kernel *k = read_kernel("sort", settings);
    weft_mesh_sim *mesh = shipped_mesh(k, 1);
    for (uint32_t i = 0; i < cores; ++i) {
      keys[i] = (int32_t)(uint32_t)weft_random_bits(13, cores, i);
      succeeds(weft_mesh_write(mesh, i, 0, "key", &keys[i], sizeof *keys));
    }
    run_mesh(mesh);
    qsort(keys, cores, sizeof *keys, ascending);
    for (uint32_t i = 0; i < cores; ++i) {
      int32_t *key = whole_array(mesh, i, 0, "key", 1);
      assert_int_equal(*key, keys[i]);
      free(key);
    }
    close_mesh(mesh, k);
  }
}

static void life_goes_on(void **state) {
  (void)state;
  enum { COLUMNS = 9, ROWS = 11, TURNS = 12 };
  weft_kernel *k = read_kernel("life", "columns=9 rows=11 steps=12");
  weft_mesh_sim *mesh = shipped_mesh(k, 2);
  int32_t board[ROWS + 2][COLUMNS + 2] = {{0}}, next[ROWS + 2][COLUMNS + 2] = {{0}};
  for (uint32_t y = 1; y <= ROWS; ++y)
    for (uint32_t x = 1; x <= COLUMNS; ++x) {
      board[y][x] = (int32_t)(weft_random_bits(14, y, x) % 2);
      succeeds(weft_mesh_write(mesh, x - 1, y - 1, "alive", &board[y][x], sizeof board[y][x]));
    }
  run_mesh(mesh);
  for (int t = 0; t < TURNS; ++t) {
    for (uint32_t y = 1; y <= ROWS; ++y)
      for (uint32_t x = 1; x <= COLUMNS; ++x) {
        int32_t around = board[y - 1][x - 1] + board[y - 1][x] + board[y - 1][x + 1] + board[y][x - 1] +
                         board[y][x + 1] + board[y + 1][x - 1] + board[y + 1][x] + board[y + 1][x + 1];
        next[y][x] = around == 3 || (around == 2 && board[y][x]);
      }
    memcpy(board, next, sizeof board);
  }
  int32_t alive = 0;
  for (uint32_t y = 1; y <= ROWS; ++y)
    for (uint32_t x = 1; x <= COLUMNS; ++x) {
      int32_t *found = whole_array(mesh, x - 1, y - 1, "alive", 1);
      assert_int_equal(*found, board[y][x]);
      alive += *found;
      free(found);
    }
  assert_true(alive > 0);
  close_mesh(mesh, k);
}

static void sparse_products_are_right(void **state) {
  (void)state;
  enum { CORES = 4, SIZE = 6, MOST = 3, N = CORES * SIZE };
  weft_kernel *k = read_kernel("spmv", "cores=4 size=6 most=3");
  weft_mesh_sim *mesh = shipped_mesh(k, 1);
  double vector[N], right[N] = {0}, found[N];
  for (uint32_t i = 0; i < N; ++i) vector[i] = noise(20, i);
  for (uint32_t c = 0; c < CORES * CORES; ++c) {
    uint32_t bx = c % CORES, by = c / CORES;
    float value[SIZE * MOST] = {0}, part[SIZE];
    int32_t column[SIZE * MOST] = {0}, count[SIZE];
    for (uint32_t r = 0; r < SIZE; ++r) {
      count[r] = (int32_t)(weft_random_bits(21, c, r) % (MOST + 1));
      for (int32_t i = 0; i < count[r]; ++i) {
        uint32_t at = r * MOST + (uint32_t)i;
        column[at] = (int32_t)(weft_random_bits(22, c, at) % SIZE);
        value[at] = (float)noise(23 + c, at);
        right[by * SIZE + r] += (double)value[at] * vector[bx * SIZE + (uint32_t)column[at]];
      }
    }
    for (uint32_t i = 0; i < SIZE; ++i) part[i] = (float)vector[bx * SIZE + i];
    succeeds(weft_mesh_write(mesh, bx, by, "column", column, sizeof column));
    succeeds(weft_mesh_write(mesh, bx, by, "count", count, sizeof count));
    succeeds(weft_mesh_write(mesh, bx, by, "value", value, sizeof value));
    if (by == 0) succeeds(weft_mesh_write(mesh, bx, by, "vector", part, sizeof part));
  }
  run_mesh(mesh);
  for (uint32_t y = 0; y < CORES; ++y) {
    float part[SIZE];
    succeeds(weft_mesh_read_f32(mesh, 0, y, "result", part, SIZE));
    for (uint32_t i = 0; i < SIZE; ++i) found[y * SIZE + i] = (double)part[i];
  }
  double error = error_of(found, right, N);
  if (!(error < 1e-6)) fail_msg("%g", error);
  close_mesh(mesh, k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bicgstab_solves),    cmocka_unit_test(seismic_waves_travel),
      cmocka_unit_test(fourier_transforms), cmocka_unit_test(cholesky_factorises),
      cmocka_unit_test(histogram_counts),   cmocka_unit_test(lines_are_sorted),
      cmocka_unit_test(life_goes_on),       cmocka_unit_test(sparse_products_are_right),
  };
  return cmocka_run_group_tests(tests, shipped_machine_read, shipped_machine_free);
}
