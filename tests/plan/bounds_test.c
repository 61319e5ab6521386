// Laws of predictions that no table holds: more words, cores or elements never take less, and nothing is quicker than
// the links, the distance or the arithmetic of its machine allow. Every prediction is an execution.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "models/machine.h"
#include "plan/validate.h"
#include "tests/models/test.h"

// Rows are collected, run in one validation, and looked at in the order in which they were asked for.
typedef struct rows {
  FILE *out;
  char *text;
  size_t bytes;
  weft_validation v;
  uint32_t next;
} rows;

static void begin(rows *r) {
  *r = (rows){0};
  r->out = open_memstream(&r->text, &r->bytes);
  fputs("id,area,subject,inputs,quantity,expected,unit,tolerance_pct,role,evidence,source\n", r->out);
}

static void run(rows *r) {
  char path[] = "/tmp/weft-bounds-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  fclose(r->out);
  assert_ok(weft_file_write(path, r->text, r->bytes));
  assert_ok(weft_validation_run(path, NULL, &r->v));
  unlink(path);
  free(r->text);
}

static const weft_case *next(rows *r) {
  const weft_case *c = &r->v.cases[r->next++];
  if (c->reason) fail_msg("%s %s: %s", c->subject, c->inputs, c->reason);
  assert_int_equal(c->method, WEFT_BY_EXECUTION);
  return c;
}

static void end(rows *r) {
  assert_int_equal(r->next, r->v.count);
  weft_validation_finish(&r->v);
}

static void ask(rows *r, const char *area, const char *subject, const char *inputs) {
  fprintf(r->out, "x,%s,%s,%s,cycles,1,cycle,1,predict,law,law\n", area, subject, inputs);
}

static void at_least(const weft_case *c, double bound, const char *what) {
  if (c->predicted < bound)
    fail_msg("%s %s: %g cycles are below %g (%s)", c->subject, c->inputs, c->predicted, bound, what);
}

static const char *const machines[] = {"wse2", "wse3", "wse3-vendor-sim"};
static const char *const collectives[] = {
    "broadcast/line", "reduce/chain", "reduce/star",     "reduce/tree",    "reduce/two_phase",    "reduce/k_tree",
    "reduce/autogen", "reduce/best",  "allreduce/chain", "allreduce/tree", "allreduce/two_phase", "allreduce/ring"};
enum { MACHINES = 3, COLLECTIVES = sizeof collectives / sizeof *collectives };

static void link_and_distance(const weft_case *c, const weft_machine *m, double words, double cores) {
  const weft_mesh *mesh = &m->mesh;
  bool ring = strstr(c->subject, "ring") != NULL, all = strncmp(c->subject, "all", 3) == 0;
  double adds = strcmp(c->subject, "reduce/star") == 0 ? cores - 1 : 1;
  // A ring sends 2 (P - 1) chunks of a P-th of the words; every other root takes or gives them all.
  double passed = ring ? 2 * (cores - 1) * words / cores : (all ? 2 : 1) * adds * words;
  at_least(c, passed / mesh->link_words_per_cycle, "words of one link");
  at_least(c, (cores - 1) * mesh->hop_cycles + 2 * mesh->ramp_cycles, "distance");
}

static void more_words(void **state) {
  (void)state;
  static const uint32_t cores[] = {2, 9, 40}, words[] = {1, 2, 3, 8, 31, 128, 500};
  enum { CORES = 3, WORDS = 7 };
  rows r;
  begin(&r);
  for (int m = 0; m < MACHINES; ++m)
    for (int s = 0; s < COLLECTIVES; ++s)
      for (int p = 0; p < CORES; ++p)
        for (int b = 0; b < WORDS; ++b) {
          char inputs[100];
          (void)snprintf(inputs, sizeof inputs, "machine=%s;pes=%u;words=%u", machines[m], cores[p], words[b]);
          ask(&r, "fabric", collectives[s], inputs);
        }
  run(&r);
  for (int m = 0; m < MACHINES; ++m) {
    weft_machine *machine;
    assert_ok(weft_machine_read(machines[m], &machine));
    for (int s = 0; s < COLLECTIVES; ++s)
      for (int p = 0; p < CORES; ++p) {
        double before = 0;
        for (int b = 0; b < WORDS; ++b) {
          const weft_case *c = next(&r);
          at_least(c, before, "fewer words");
          link_and_distance(c, machine, words[b], cores[p]);
          before = c->predicted;
        }
      }
    weft_machine_destroy(machine);
  }
  end(&r);
}

// Not of two phases and K-trees, whose groups change their size with the number of cores.
static void more_cores(void **state) {
  (void)state;
  static const uint32_t cores[] = {2, 3, 4, 7, 8, 9, 33, 64}, words[] = {1, 16, 200};
  enum { CORES = 8, WORDS = 3 };
  rows r;
  begin(&r);
  for (int round = 0; round < 2; ++round) {
    for (int s = 0; s < COLLECTIVES; ++s) {
      if (strstr(collectives[s], "two_phase") || strstr(collectives[s], "k_tree")) continue;
      for (int b = 0; b < WORDS; ++b) {
        double before = 0;
        for (int p = 0; p < CORES; ++p) {
          char inputs[100];
          (void)snprintf(inputs, sizeof inputs, "machine=wse2;pes=%u;words=%u", cores[p], words[b]);
          if (round == 0) {
            ask(&r, "fabric", collectives[s], inputs);
            continue;
          }
          const weft_case *c = next(&r);
          at_least(c, before, "fewer cores");
          before = c->predicted;
        }
      }
    }
    if (round == 0) run(&r);
  }
  end(&r);
}

// 16-bit elements travel two by two; bf16 is f16 to the mesh. Elements and bytes say the same as words.
static void dtypes(void **state) {
  (void)state;
  static const char *const same[] = {"words=60;dtype=f32",     "elements=60;dtype=fp32", "bytes=240",
                                     "words=60;dtype=f16",     "elements=120;dtype=f16", "words=60;dtype=bfloat16",
                                     "elements=119;dtype=half"};
  enum { SAME = sizeof same / sizeof *same };
  rows r;
  begin(&r);
  for (int i = 0; i < SAME; ++i) {
    char inputs[100];
    (void)snprintf(inputs, sizeof inputs, "machine=wse2;pes=12;%s", same[i]);
    ask(&r, "fabric", "reduce/chain", inputs);
  }
  run(&r);
  double first = next(&r)->predicted;
  for (int i = 1; i < SAME; ++i) assert_true(next(&r)->predicted == first);
  end(&r);
}

// A mesh reduces its rows and then a column: no less than either, no more than both and what lies between them.
static void meshes(void **state) {
  (void)state;
  static const char *const patterns[] = {"chain", "tree", "two_phase", "autogen"};
  rows r;
  begin(&r);
  for (int p = 0; p < 4; ++p) {
    char inputs[100];
    for (int form = 0; form < 3; ++form) {
      (void)snprintf(inputs, sizeof inputs, "machine=wse2;mesh=%s;words=50;pattern=%s",
                     form == 0   ? "24x1"
                     : form == 1 ? "1x17"
                                 : "24x17",
                     patterns[p]);
      ask(&r, "fabric", "reduce/2d", inputs);
    }
    (void)snprintf(inputs, sizeof inputs, "machine=wse2;mesh=24x17;words=50");
    ask(&r, "fabric", "broadcast/2d", inputs);
    (void)snprintf(inputs, sizeof inputs, "machine=wse2;mesh=24x17;words=50;pattern=%s", patterns[p]);
    ask(&r, "fabric", "allreduce/2d", inputs);
  }
  run(&r);
  for (int p = 0; p < 4; ++p) {
    double row = next(&r)->predicted, column = next(&r)->predicted;
    const weft_case *mesh = next(&r);
    double whole = mesh->predicted;
    at_least(mesh, fmax(row, column), "one line");
    if (whole > row + column + 20) fail_msg("%s: %g, %g and %g", mesh->inputs, row, column, whole);
    double spread = next(&r)->predicted;
    const weft_case *all = next(&r);
    at_least(all, fmax(whole, spread), "one of its halves");
    if (all->predicted > whole + spread + 20) fail_msg("%s: %g, %g and %g", all->inputs, whole, spread, all->predicted);
  }
  end(&r);
}

static void products(void **state) {
  (void)state;
  static const char *const kinds[] = {"summa", "cannon", "shift", "streamed"};
  static const char *const types[] = {"f32", "f16", "bf16"};
  enum { KINDS = 4, TYPES = 3, SIDES = 3, TILES = 4 };
  static const uint32_t sides[] = {1, 3, 6}, tiles[] = {1, 3, 4, 9};
  rows r;
  begin(&r);
  for (int round = 0; round < 2; ++round) {
    for (int m = 0; m < MACHINES; ++m) {
      weft_machine *machine;
      assert_ok(weft_machine_read(machines[m], &machine));
      for (int k = 0; k < KINDS; ++k)
        for (int t = 0; t < TYPES; ++t)
          for (int s = 0; s < SIDES; ++s) {
            double before = 0;
            for (int i = 0; i < TILES; ++i) {
              uint32_t n = sides[s] * tiles[i];
              char inputs[100];
              (void)snprintf(inputs, sizeof inputs, "machine=%s;mesh=%ux%u;n=%u;dtype=%s", machines[m], sides[s],
                             sides[s], n, types[t]);
              if (round == 0) {
                ask(&r, "gemm", kinds[k], inputs);
                continue;
              }
              const weft_case *c = next(&r);
              double rate = t == 0 ? machine->mesh.f32_per_cycle : machine->mesh.f16_per_cycle;
              at_least(c, (double)n * n * n / sides[s] / sides[s] / rate, "multiply-adds");
              at_least(c, before, "smaller tiles");
              before = c->predicted;
            }
          }
      weft_machine_destroy(machine);
    }
    if (round == 0) run(&r);
  }
  end(&r);
}

static void vectors(void **state) {
  (void)state;
  static const char *const operations[] = {"move", "add", "multiply", "fma", "sum", "dot", "maximum", "exp"};
  static const char *const types[] = {"f32", "f16", "bf16"};
  static const uint32_t counts[] = {1, 2, 16, 17, 100, 1000};
  enum { OPERATIONS = 8, TYPES = 3, COUNTS = 6 };
  rows r;
  begin(&r);
  for (int round = 0; round < 2; ++round) {
    for (int m = 0; m < MACHINES; ++m)
      for (int o = 0; o < OPERATIONS; ++o) {
        double wide[COUNTS] = {0};
        for (int t = 0; t < TYPES; ++t) {
          double before = 0;
          for (int i = 0; i < COUNTS; ++i) {
            char subject[40], inputs[100];
            (void)snprintf(subject, sizeof subject, "vector/%s", operations[o]);
            (void)snprintf(inputs, sizeof inputs, "machine=%s;n=%u;dtype=%s", machines[m], counts[i], types[t]);
            if (round == 0) {
              ask(&r, "core", subject, inputs);
              continue;
            }
            const weft_case *c = next(&r);
            at_least(c, before, "fewer elements");
            at_least(c, counts[i] / 8.0, "the widest operation of any machine");
            if (t == 0) wide[i] = c->predicted;
            if (c->predicted > wide[i]) fail_msg("%s %s: slower than f32", subject, inputs);
            before = c->predicted;
          }
        }
      }
    if (round == 0) run(&r);
  }
  end(&r);
}

// Loops over tiles: never quicker than one wide operation; a core's hardware loop never slower than a plain one.
static void forms(void **state) {
  (void)state;
  static const char *const form[] = {"wide", "map", "loop"};
  rows r;
  begin(&r);
  for (int m = 0; m < MACHINES; ++m)
    for (int f = 0; f < 3; ++f) {
      char inputs[100];
      (void)snprintf(inputs, sizeof inputs, "machine=%s;n=4096;dtype=f16;form=%s;tile=16", machines[m], form[f]);
      ask(&r, "core", "vector/fma", inputs);
    }
  run(&r);
  for (int m = 0; m < MACHINES; ++m) {
    double wide = next(&r)->predicted, map = next(&r)->predicted, loop = next(&r)->predicted;
    assert_true(wide < map && map < loop);
  }
  end(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(more_words), cmocka_unit_test(more_cores), cmocka_unit_test(dtypes), cmocka_unit_test(meshes),
      cmocka_unit_test(products),   cmocka_unit_test(vectors),    cmocka_unit_test(forms)};
  return cmocka_run_group_tests_name("laws of predictions", tests, NULL, NULL);
}
