// Speed of the mesh simulation: hops of wavelets per second, for four kinds of traffic on meshes of several sizes, with
// one thread and two. Run from the folder of the sources or with WEFT_DATA:
//   fabric [--quick] [--repeats N] [--traffic KIND] [--plain] [COLUMNSxROWS ...]
// KIND: broadcast, all-reduce, permutation or summa; without it all four. --plain: every word and every element by
// itself, the reference of the faster ways.
// A hop is one wavelet leaving one router through one port, with its data; links and ramps are counted apart. Every
// repeat opens the mesh anew; opening is not counted. Kinds and threads alternate, so that all see the same moods of
// the computer. The hash of the result is compared between repeats and threads.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compiler/kernels/collectives.h"
#include "compiler/kernels/products.h"
#include "sim/mesh.h"
#include "tests/observe/permutation.h"

enum { KINDS = 4, MOST_REPEATS = 25 };
static const char *const kind_names[KINDS] = {"broadcast", "all-reduce", "permutation", "summa"};

static void must(weft_status status) {
  if (!status) return;
  fprintf(stderr, "fabric: %s\n", weft_status_message(status));
  exit(1);
}

static weft_kernel *make(int kind, uint32_t columns, uint32_t rows, uint32_t words) {
  weft_kernel *kernel = NULL;
  if (kind == 3) {  // square, tiles of 4 x 4
    uint32_t side = columns < rows ? columns : rows;
    weft_product_options options = weft_product_options_default(WEFT_GEMM_SUMMA, side, side);
    options.m = options.k = options.n = 4 * side;
    weft_product product;
    must(weft_product_plan(&options, &product));
    must(weft_product_kernel(&product, &kernel));
  } else if (kind == 2) {
    kernel = weft_permutation_kernel(columns, rows, words / 16, 1);  // 11 hops each
  } else {
    weft_collective what = weft_collective_default(columns, rows, words);
    must(kind == 0 ? weft_broadcast_kernel(&what, &kernel) : weft_all_reduce_kernel(&what, &kernel));
  }
  must(weft_kernel_check(kernel, 0));
  return kernel;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// Bytes per second that memcpy reads and writes, the best of some.
static double memory_bandwidth(void) {
  size_t bytes = (size_t)192 << 20;
  char *from = malloc(bytes), *to = malloc(bytes);
  if (!from || !to) return NAN;
  memset(from, 1, bytes);
  memset(to, 2, bytes);
  double best = 0;
  for (int i = 0; i < 7; ++i) {
    from[i] = (char)i;
    double begin = now();
    memcpy(to, from, bytes);
    double rate = 2 * (double)bytes / (now() - begin);
    if (rate > best && to[i] == i) best = rate;
  }
  free(from);
  free(to);
  return best;
}

typedef struct figures {
  double rates[MOST_REPEATS];  // hops per second
  weft_mesh_report report;
} figures;

static void play(const weft_kernel *kernel, const weft_machine *machine, uint32_t threads, bool plain, int repeat,
                 figures *out) {
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.count_links = false;
  options.plain = plain;
  weft_mesh_sim *mesh = NULL;
  must(weft_mesh_open(kernel, machine, &options, &mesh));
  weft_mesh_report report;
  must(weft_mesh_run(mesh, &report));
  weft_mesh_close(mesh);
  if (repeat > 0 && report.hash != out->report.hash) {
    fprintf(stderr, "fabric: %s: another result in repeat %d\n", kernel->name, repeat);
    exit(1);
  }
  out->report = report;
  out->rates[repeat] = (double)(report.link_hops + report.ramp_hops) / report.wall_seconds;
}

static void print_figures(const char *traffic, const weft_kernel *kernel, uint32_t threads, int repeats, figures *f) {
  qsort(f->rates, (size_t)repeats, sizeof *f->rates, ascending);
  double middle = f->rates[repeats / 2], hops = (double)(f->report.link_hops + f->report.ramp_hops);
  printf("%-12s %4ux%-4u %u %10.1f %10.1f %5.0f%% %6.1f%% %12.1f %12.1f %10llu %8.2f %7.2f\n", traffic, kernel->columns,
         kernel->rows, threads, middle / 1e6, middle / 1e6 * (double)f->report.link_hops / hops,
         100 * (f->rates[repeats - 1] - f->rates[0]) / middle, 100 * (double)f->report.train_hops / hops,
         (double)f->report.link_hops / 1e6, (double)f->report.ramp_hops / 1e6, (unsigned long long)f->report.cycles,
         hops / middle, (double)f->report.memory_bytes / 1073741824);
  fflush(stdout);
}

typedef struct choice {
  int only;  // a kind, -1: all
  bool plain;
  int repeats;
} choice;

static void measure(const weft_machine *machine, uint32_t columns, uint32_t rows, uint32_t words,
                    const choice *chosen) {
  static figures all[KINDS][2];
  weft_kernel *kernels[KINDS] = {NULL};
  for (int k = 0; k < KINDS; ++k)
    if (chosen->only < 0 || chosen->only == k) kernels[k] = make(k, columns, rows, words);
  for (int r = 0; r < chosen->repeats; ++r)
    for (int k = 0; k < KINDS; ++k)
      for (uint32_t threads = 1; threads <= 2 && kernels[k]; ++threads)
        play(kernels[k], machine, threads, chosen->plain, r, &all[k][threads - 1]);
  for (int k = 0; k < KINDS; ++k) {
    for (uint32_t threads = 1; threads <= 2 && kernels[k]; ++threads) {
      figures *f = &all[k][threads - 1];
      if (f->report.hash != all[k][0].report.hash) fprintf(stderr, "fabric: %s: threads differ\n", kind_names[k]);
      print_figures(kind_names[k], kernels[k], threads, chosen->repeats, f);
    }
    weft_kernel_destroy(kernels[k]);
  }
}

static int kind_of(const char *name) {
  for (int k = 0; k < KINDS; ++k)
    if (strcmp(name, kind_names[k]) == 0) return k;
  fprintf(stderr, "fabric: no traffic \"%s\": broadcast, all-reduce, permutation or summa\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  static const char *const usual[] = {"32x32", "64x64", "128x128", "256x256", "512x512", "750x994"};
  const char *sizes[16];
  int count = 0;
  choice chosen = {.only = -1, .repeats = 5};
  for (int a = 1; a < argc; ++a) {
    if (strcmp(argv[a], "--quick") == 0) {
      chosen.repeats = 1;
    } else if (strcmp(argv[a], "--plain") == 0) {
      chosen.plain = true;
    } else if (strcmp(argv[a], "--traffic") == 0 && a + 1 < argc) {
      chosen.only = kind_of(argv[++a]);
    } else if (strcmp(argv[a], "--repeats") == 0 && a + 1 < argc) {
      chosen.repeats = atoi(argv[++a]);
    } else if (count < 16) {
      sizes[count++] = argv[a];
    }
  }
  if (chosen.repeats < 1 || chosen.repeats > MOST_REPEATS) chosen.repeats = 5;
  if (count == 0)
    for (; count < (int)(sizeof usual / sizeof *usual); ++count) sizes[count] = usual[count];
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  double bandwidth = memory_bandwidth();
  printf(
      "copying memory: %.1f GB/s on one thread. A hop of a word by itself that misses all caches moves 16 bytes of "
      "word\n"
      "and time (written, read) and two queue heads of 32: at most %.0f M hops/s from memory. Of a stream advanced as "
      "a\n"
      "whole (column trains: the share of hops) only what cores keep is moved, 8 bytes per word: a broadcast makes "
      "two\n"
      "hops for that, at most %.0f M hops/s from memory. From caches more.\n",
      bandwidth / 1e9, bandwidth / 80 / 1e6, bandwidth / 4 / 1e6);
  printf(
      "Published and measured elsewhere on machines of this size, M flit-hops/s: BookSim2 0.07-0.39, Noxim 0.06-0.16,\n"
      "MuchiSim (functional too, 2 threads) 1.2-5.3.\n\n");
  printf("%-12s %-9s %s %10s %10s %6s %7s %12s %12s %10s %8s %7s\n", "traffic", "mesh", "t", "M hops/s", "M links/s",
         "spread", "trains", "M link hops", "M ramp hops", "cycles", "s", "GiB");
  for (int s = 0; s < count; ++s) {
    unsigned columns = 0, rows = 0;
    if (sscanf(sizes[s], "%ux%u", &columns, &rows) != 2 || columns < 32 || rows < 32) {
      fprintf(stderr, "fabric: %s: expected a mesh such as 256x256, at least 32x32\n", sizes[s]);
      return 2;
    }
    // Small meshes run longer, so that a run takes tenths of a second; the wafer has the 1024 words of its published
    // uses.
    uint32_t words = columns * rows < 65536 ? 2048 : 1024;
    measure(machine, columns, rows, words, &chosen);
  }
  weft_machine_destroy(machine);
  return 0;
}
