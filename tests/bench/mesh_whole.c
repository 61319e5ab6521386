// The whole wafer, wavelet by wavelet and with real data: prints cycles, hops, seconds and memory.
//
//   mesh_whole broadcast|allreduce|summa [--threads N] [--columns N] [--rows N] [--words N] [--tile N]
//
// broadcast, allreduce: 1,024 words on 750 x 994 cores, every core's result is checked. summa: 750 x 750 cores with
// tiles of 4 x 4, so 3000 x 3000 x 3000 in f32; 20,000 elements of the product are checked against dot products in f64.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "compiler/kernels/collectives.h"
#include "compiler/kernels/products.h"
#include "sim/mesh.h"

typedef struct question {
  const char *what;
  uint32_t threads, columns, rows, words, tile;
} question;

static void must(weft_status status) {
  if (!status) return;
  fprintf(stderr, "mesh_whole: %s\n", weft_status_message(status));
  exit((int)weft_status_code(status));
}

// Between -1 and 1, the same for every run.
static float value_of(uint64_t seed, uint64_t index) {
  uint64_t z = seed * 0x9e3779b97f4a7c15u + index * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 30) * 0x94d049bb133111ebu;
  return (float)((double)((z ^ z >> 31) >> 40) / (1 << 23) - 1);
}

static weft_mesh_sim *open_mesh(weft_kernel *kernel, const weft_machine *machine, uint32_t threads) {
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.count_links = false;
  weft_mesh_sim *mesh;
  must(weft_kernel_check(kernel, machine->mesh.sram_bytes_per_core));
  must(weft_mesh_open(kernel, machine, &options, &mesh));
  return mesh;
}

static void print_report(const question *q, const weft_mesh_report *r, double worst) {
  struct rusage use;
  (void)getrusage(RUSAGE_SELF, &use);
  double hops = (double)(r->link_hops + r->ramp_hops), gib = 1024.0 * 1024 * 1024;
  printf("%s on %ux%u, %u threads: %llu cycles, %.0f M hops (%.0f M on links), %.0f M instructions, worst error %.3g\n",
         q->what, q->columns, q->rows, q->threads, (unsigned long long)r->cycles, hops / 1e6,
         (double)r->link_hops / 1e6, (double)r->instructions / 1e6, worst);
  printf("  %.1f s, %.1f M hops/s; mesh %.2f GiB (%.0f bytes per core), process %.2f GiB at most; hash %016llx\n",
         r->wall_seconds, hops / r->wall_seconds / 1e6, (double)r->memory_bytes / gib,
         (double)r->memory_bytes / ((double)q->columns * q->rows), (double)use.ru_maxrss * 1024 / gib,
         (unsigned long long)r->hash);
}

// Every core holds a value of its own in all words; the sum of a mesh is known in f64.
static double run_collective(const question *q, const weft_machine *machine, weft_mesh_report *report) {
  bool sum = strcmp(q->what, "allreduce") == 0;
  weft_collective what = weft_collective_default(q->columns, q->rows, q->words);
  weft_kernel *kernel;
  must(sum ? weft_all_reduce_kernel(&what, &kernel) : weft_broadcast_kernel(&what, &kernel));
  weft_mesh_sim *mesh = open_mesh(kernel, machine, q->threads);
  float *data = weft_allocate_array(q->words, sizeof *data);
  double expected = 0, size = 0, worst = 0;
  for (uint32_t y = 0; y < q->rows; ++y)
    for (uint32_t x = 0; x < q->columns; ++x) {
      float own = value_of(3, (uint64_t)y * q->columns + x);
      if (sum || (x == 0 && y == 0)) expected += (double)own, size += fabs((double)own);
      for (uint32_t w = 0; w < q->words; ++w) data[w] = own;
      must(weft_mesh_write_f32(mesh, x, y, "data", data, q->words));
    }
  must(weft_mesh_run(mesh, report));
  for (uint32_t y = 0; y < q->rows; ++y)
    for (uint32_t x = 0; x < q->columns; ++x) {
      must(weft_mesh_read_f32(mesh, x, y, "data", data, q->words));
      for (uint32_t w = 0; w < q->words; ++w) worst = fmax(worst, fabs(data[w] - expected) / size);
    }
  free(data);
  weft_mesh_close(mesh);
  weft_kernel_destroy(kernel);
  return worst;
}

static double check_product(const weft_product *p, const weft_mesh_sim *mesh, const float *a, const float *b) {
  enum { CHECKED = 20000 };
  uint32_t length = p->lengths[WEFT_PRODUCT_C], n = p->options.n;
  float *tile = weft_allocate_array(length, sizeof *tile);
  double worst = 0;
  for (uint64_t i = 0; i < CHECKED; ++i) {
    uint32_t x = (uint32_t)((i * 7919) % p->options.columns), y = (uint32_t)((i * 104729 / 7) % p->options.rows);
    uint32_t e = (uint32_t)(i % length), row, column;
    must(weft_mesh_read_f32(mesh, x, y, "C", tile, length));
    if (!weft_product_element(p, WEFT_PRODUCT_C, x, y, e, &row, &column)) continue;
    double sum = 0, size = 0;
    for (uint32_t k = 0; k < p->options.k; ++k) {
      double product = (double)a[(size_t)row * p->options.k + k] * b[(size_t)k * n + column];
      sum += product;
      size += fabs(product);
    }
    worst = fmax(worst, fabs(tile[e] - sum) / size);
  }
  free(tile);
  return worst;
}

static double run_summa(const question *q, const weft_machine *machine, weft_mesh_report *report) {
  weft_product_options o = weft_product_options_default(WEFT_GEMM_SUMMA, q->columns, q->rows);
  o.m = q->rows * q->tile;
  o.k = o.n = q->columns * q->tile;
  weft_product p;
  weft_kernel *kernel;
  must(weft_product_plan(&o, &p));
  must(weft_product_kernel(&p, &kernel));
  weft_mesh_sim *mesh = open_mesh(kernel, machine, q->threads);
  float *matrices[2];
  static const char *const names[] = {"A", "B"};
  for (int which = 0; which < 2; ++which) {
    size_t count = (size_t)(which ? o.k : o.m) * (which ? o.n : o.k);
    matrices[which] = weft_allocate_array(count, sizeof **matrices);
    for (size_t i = 0; i < count; ++i) matrices[which][i] = value_of((uint64_t)which + 1, i);
    float *elements = weft_allocate_array(p.lengths[which], sizeof *elements);
    for (uint32_t y = 0; y < q->rows; ++y)
      for (uint32_t x = 0; x < q->columns; ++x) {
        weft_product_scatter(&p, (weft_product_matrix)which, matrices[which], x, y, elements);
        must(weft_mesh_write_f32(mesh, x, y, names[which], elements, p.lengths[which]));
      }
    free(elements);
  }
  must(weft_mesh_run(mesh, report));
  double worst = check_product(&p, mesh, matrices[0], matrices[1]);
  free(matrices[0]);
  free(matrices[1]);
  weft_mesh_close(mesh);
  weft_kernel_destroy(kernel);
  return worst;
}

static _Noreturn void usage(void) {
  fprintf(
      stderr,
      "usage: mesh_whole broadcast|allreduce|summa [--threads N] [--columns N] [--rows N] [--words N] [--tile N]\n");
  exit(WEFT_INVALID);
}

int main(int count, char **arguments) {
  if (count < 2 || count % 2 != 0) usage();
  bool summa = strcmp(arguments[1], "summa") == 0;
  if (!summa && strcmp(arguments[1], "broadcast") != 0 && strcmp(arguments[1], "allreduce") != 0) usage();
  question q = {
      .what = arguments[1], .threads = 2, .columns = 750, .rows = summa ? 750 : 994, .words = 1024, .tile = 4};
  const struct {
    const char *name;
    uint32_t *value;
  } numbers[] = {{"--threads", &q.threads},
                 {"--columns", &q.columns},
                 {"--rows", &q.rows},
                 {"--words", &q.words},
                 {"--tile", &q.tile}};
  for (int i = 2; i < count; i += 2) {
    size_t n = 0;
    while (n < sizeof numbers / sizeof *numbers && strcmp(arguments[i], numbers[n].name) != 0) ++n;
    char *end;
    unsigned long value = strtoul(arguments[i + 1], &end, 10);
    if (n == sizeof numbers / sizeof *numbers || *end || value == 0 || value > 4096) usage();
    *numbers[n].value = (uint32_t)value;
  }
  weft_machine *machine;
  must(weft_machine_read("wse2", &machine));
  weft_mesh_report report;
  double worst = summa ? run_summa(&q, machine, &report) : run_collective(&q, machine, &report);
  weft_machine_destroy(machine);
  print_report(&q, &report, worst);
  // Sums of P values round P times at most.
  double most = 0x1p-24 * (summa ? (double)q.columns * q.tile : (double)q.columns + q.rows);
  if (worst <= most) return 0;
  fprintf(stderr, "mesh_whole: worst error %g, at most %g is right\n", worst, most);
  return WEFT_OUTSIDE;
}
