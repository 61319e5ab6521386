// Streams advanced as a whole against the same run word by word: everything that can be seen of a run has to be equal.
// Random kernels make streams meet in routers and at cores, come too early, stop half-way, be passed on, be followed by
// switches; the generators give what kernels really do.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "compiler/kernels/collectives.h"
#include "compiler/kernels/products.h"
#include "sim/mesh.h"

#include <cmocka.h>

enum { MOST_CORES = 400, MOST_PATH = 64, SCRATCH = 96, MOVERS = 24 };

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

// ---- what can be seen of a run

typedef struct seen {
  weft_mesh_report report;
  char error[2048];
  uint64_t links[MOST_CORES * WEFT_PORTS];
  weft_core_account cores[MOST_CORES];
} seen;

// Something different in every element that a core's program has.
static void fill(weft_mesh_sim *mesh, const weft_kernel *kernel) {
  static float values[12288];
  for (uint32_t c = 0; c < kernel->columns * kernel->rows; ++c) {
    uint32_t x = c % kernel->columns, y = c / kernel->columns;
    for (uint32_t p = 0; p < kernel->program_count; ++p)
      for (uint32_t a = 0; a < kernel->programs[p].array_count; ++a) {
        const weft_array *array = &kernel->programs[p].arrays[a];
        if (array->dtype == WEFT_I32 || array->length > 12288) continue;
        for (uint32_t i = 0; i < array->length; ++i)
          values[i] = (float)((c * 131 + a * 17 + i * 7) % 257) / 16.0f - 8.0f;
        weft_status status = weft_mesh_write_f32(mesh, x, y, array->name, values, array->length);
        if (status) weft_status_free(status);  // another program's array
      }
  }
}

static void watch(const weft_kernel *kernel, const weft_machine *machine, bool plain, uint32_t threads, seen *out) {
  memset(out, 0, sizeof *out);
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.plain = plain;
  options.most_cycles = 2000000;
  weft_mesh_sim *mesh = NULL;
  must(weft_mesh_open(kernel, machine, &options, &mesh));
  fill(mesh, kernel);
  weft_status status = weft_mesh_run(mesh, &out->report);
  if (status) snprintf(out->error, sizeof out->error, "%s", weft_status_message(status));
  if (status) weft_status_free(status);
  for (uint32_t c = 0; c < kernel->columns * kernel->rows && c < MOST_CORES; ++c) {
    uint32_t x = c % kernel->columns, y = c / kernel->columns;
    for (uint32_t p = 0; p < WEFT_PORTS; ++p) out->links[c * WEFT_PORTS + p] = weft_mesh_link(mesh, x, y, (weft_port)p);
    out->cores[c] = weft_mesh_core(mesh, x, y);
  }
  weft_mesh_close(mesh);
}

static void compare(const weft_kernel *kernel, const seen *words, const seen *trains, const char *what) {
  if (strcmp(words->error, trains->error) != 0)
    fail_msg("%s: word by word \"%s\", with trains \"%s\"", what, words->error, trains->error);
  const weft_mesh_report *a = &words->report, *b = &trains->report;
  if (a->cycles != b->cycles)
    fail_msg("%s: %llu cycles word by word, %llu with trains", what, (unsigned long long)a->cycles,
             (unsigned long long)b->cycles);
  assert_int_equal(a->link_hops, b->link_hops);
  assert_int_equal(a->ramp_hops, b->ramp_hops);
  assert_int_equal(a->control_hops, b->control_hops);
  assert_int_equal(a->core_busy_cycles, b->core_busy_cycles);
  for (int s = 0; s < WEFT_STALLS; ++s) assert_int_equal(a->stall_cycles[s], b->stall_cycles[s]);
  for (uint32_t c = 0; c < kernel->columns * kernel->rows && c < MOST_CORES; ++c) {
    uint32_t x = c % kernel->columns, y = c / kernel->columns;
    for (uint32_t p = 0; p < WEFT_PORTS; ++p)
      if (words->links[c * WEFT_PORTS + p] != trains->links[c * WEFT_PORTS + p])
        fail_msg("%s: router (%u, %u), port %s", what, x, y, weft_port_name((weft_port)p));
    if (memcmp(&words->cores[c], &trains->cores[c], sizeof words->cores[c]) != 0)
      fail_msg("%s: core (%u, %u): ends in cycle %llu, %llu", what, x, y, (unsigned long long)words->cores[c].end_cycle,
               (unsigned long long)trains->cores[c].end_cycle);
  }
  if (a->hash != b->hash) fail_msg("%s: the same cycles, other data", what);
}

// Returns the share of hops that trains made.
static double both(const weft_kernel *kernel, const weft_machine *machine, const char *what, bool *out_ended) {
  static seen words, trains, two;
  watch(kernel, machine, true, 1, &words);
  watch(kernel, machine, false, 1, &trains);
  compare(kernel, &words, &trains, what);
  if (words.report.train_hops != 0) fail_msg("%s: trains, word by word", what);
  if (kernel->rows >= 32) {
    watch(kernel, machine, false, 2, &two);
    compare(kernel, &words, &two, what);
  }
  *out_ended = words.error[0] == '\0';
  uint64_t hops = trains.report.link_hops + trains.report.ramp_hops;
  return hops ? (double)trains.report.train_hops / (double)hops : 0;
}

// ---- random kernels

typedef struct dice {
  uint64_t seed, rolled;
} dice;

static uint32_t roll(dice *d, uint32_t sides) { return (uint32_t)(weft_random_bits(d->seed, 0, d->rolled++) % sides); }

// A colour's way: from core to core without crossing itself; words may leave it to any core that it passes.
typedef struct way {
  uint32_t x[MOST_PATH], y[MOST_PATH], length;
  bool tap[MOST_PATH], later[MOST_PATH];  // before the switch, and after it
  uint32_t words, words_later, skip, moves;
  bool switches;
} way;

static const int step_x[4] = {0, 1, 0, -1}, step_y[4] = {-1, 0, 1, 0};

static void draw_way(dice *d, uint32_t columns, uint32_t rows, way *w) {
  memset(w, 0, sizeof *w);
  w->x[0] = roll(d, columns);
  w->y[0] = roll(d, rows);
  uint32_t wanted = 2 + roll(d, columns + rows), ahead = roll(d, 4);
  if (wanted > MOST_PATH) wanted = MOST_PATH;
  for (w->length = 1; w->length < wanted; ++w->length) {
    bool found = false;
    for (int tries = 0; tries < 8 && !found; ++tries) {
      if (roll(d, 4) == 0 || tries > 0) ahead = roll(d, 4);
      uint32_t x = w->x[w->length - 1] + (uint32_t)step_x[ahead], y = w->y[w->length - 1] + (uint32_t)step_y[ahead];
      found = x < columns && y < rows;
      for (uint32_t i = 0; i < w->length && found; ++i) found = w->x[i] != x || w->y[i] != y;
      if (!found) continue;
      w->x[w->length] = x;
      w->y[w->length] = y;
    }
    if (!found) break;
  }
  uint32_t density = roll(d, 4);
  for (uint32_t i = 1; i < w->length; ++i) w->tap[i] = w->later[i] = i + 1 == w->length || roll(d, 4) < density;
  w->words = 1 + roll(d, roll(d, 3) ? 70 : 12);
  w->switches = w->length > 2 && roll(d, 4) == 0;
  if (!w->switches) return;
  w->words_later = 1 + roll(d, 40);
  w->skip = 1 + roll(d, w->length - 1);
  w->moves = 1 + roll(d, 3);
  for (uint32_t i = w->skip; i + 1 < w->length && i < w->skip + w->moves; ++i) w->later[i] = !w->tap[i];
}

static weft_port port_towards(const way *w, uint32_t from, uint32_t to) {
  if (w->y[to] < w->y[from]) return WEFT_NORTH;
  if (w->x[to] > w->x[from]) return WEFT_EAST;
  return w->y[to] > w->y[from] ? WEFT_SOUTH : WEFT_WEST;
}

static void lay(weft_kernel *k, const way *w, uint32_t colour) {
  for (uint32_t i = 0; i < w->length; ++i) {
    weft_port from = i == 0 ? WEFT_RAMP : port_towards(w, i, i - 1);
    uint32_t on = i + 1 < w->length ? 1u << port_towards(w, i, i + 1) : 0, ramp = 1u << WEFT_RAMP;
    weft_route *r = weft_kernel_route(k, weft_block_one(w->x[i], w->y[i]), colour, from, on | (w->tap[i] ? ramp : 0));
    if (w->tap[i] != w->later[i]) weft_route_then(r, from, on | (w->later[i] ? ramp : 0));
  }
}

// Ops of one core, in several threads of operations (0: its own).
typedef struct plan {
  uint32_t program, own, got, task, movers, microthreads;
  bool used;
} plan;

static plan *core_of(weft_kernel *k, plan *plans, uint32_t x, uint32_t y) {
  plan *p = &plans[y * k->columns + x];
  if (p->used) return p;
  p->used = true;
  p->program = weft_kernel_program(k, "core");
  weft_kernel_place(k, p->program, weft_block_one(x, y));
  p->own = weft_kernel_array(k, p->program, "own", WEFT_F32, SCRATCH);
  p->got = weft_kernel_array(k, p->program, "got", WEFT_F32, (MOVERS + 1) * SCRATCH);
  weft_kernel_array_at(k, p->program, p->own)->input = true;
  weft_kernel_array_at(k, p->program, p->got)->output = true;
  p->task = weft_kernel_task(k, p->program, "all", WEFT_AT_START);
  return p;
}

static void dawdle(dice *d, weft_kernel *k, plan *p) {
  uint32_t kind = roll(d, 4);
  if (kind < 2) return;
  uint32_t n = 1 + roll(d, kind == 2 ? 12 : SCRATCH - 1);
  weft_operand busy = weft_view_of(k, p->program, p->got, MOVERS * SCRATCH, 1);
  weft_emit1(k, p->program, WEFT_DO_MOVE, n, busy, weft_all(k, p->program, p->own));
}

// `words` in pieces; each as what `send` and `receive` say. A microthread works beside what follows.
static void move_pieces(dice *d, weft_kernel *k, plan *p, uint32_t words, const weft_operand *send,
                        const weft_operand *receive) {
  uint32_t thread = roll(d, 2) && p->microthreads < 6 ? p->microthreads++ : WEFT_NOTHING;
  uint32_t at = p->movers++ % MOVERS * SCRATCH, done = 0;  // operations under way together must not write the same
  while (done < words) {
    uint32_t n = roll(d, 2) ? words - done : 1 + roll(d, words - done);
    weft_operand memory = weft_view_of(k, p->program, p->got, (int32_t)(at + done % SCRATCH), 1);
    weft_operand own = weft_view_of(k, p->program, p->own, (int32_t)(n <= SCRATCH / 2 ? roll(d, 2) : 0), 1);
    if (n > SCRATCH - done % SCRATCH) n = SCRATCH - done % SCRATCH;
    weft_instruction *i;
    if (send && receive)
      i = roll(d, 2) ? weft_emit2(k, p->program, WEFT_DO_ADD, n, *send, *receive, own)
                     : weft_emit1(k, p->program, WEFT_DO_MOVE, n, *send, *receive);
    else if (send)
      i = weft_emit1(k, p->program, WEFT_DO_MOVE, n, *send, own);
    else if (roll(d, 3) == 0)
      i = weft_emit2(k, p->program, WEFT_DO_SUBTRACT, n, memory, own, *receive);
    else
      i = weft_emit1(k, p->program, WEFT_DO_MOVE, n, memory, *receive);
    i->microthread = thread;
    done += n;
    if (thread == WEFT_NOTHING && done < words) dawdle(d, k, p);
  }
  if (thread != WEFT_NOTHING && send && roll(d, 2)) {  // what follows on the colour waits for it
    weft_instruction *wait = weft_emit(k, p->program, WEFT_DO_WAIT, 0, (weft_operand){0}, (weft_operand){0},
                                       (weft_operand){0}, (weft_operand){0});
    wait->microthread = thread;
  }
}

static void send_switch(weft_kernel *k, plan *p, uint32_t colour, const way *w) {
  weft_emit2(k, p->program, WEFT_DO_SWITCH, 1, weft_send(colour, WEFT_F32), weft_i32((int32_t)w->skip),
             weft_i32((int32_t)w->moves));
}

static weft_kernel *draw_kernel(uint64_t seed) {
  dice d = {seed, 0};
  uint32_t columns = 2 + roll(&d, 7), rows = roll(&d, 8) == 0 ? 32 + roll(&d, 6) : 1 + roll(&d, 6);
  weft_kernel *k = weft_kernel_create("random", columns, rows);
  static way ways[12];
  plan *plans = calloc((size_t)columns * rows, sizeof *plans);
  uint32_t count = 1 + roll(&d, 10);
  uint32_t passes[12];
  for (uint32_t c = 0; c < count; ++c) {
    draw_way(&d, columns, rows, &ways[c]);
    // Sometimes it begins where another ends, and passes on what comes.
    passes[c] = WEFT_NOTHING;
    if (ways[c].length < 2) continue;
    lay(k, &ways[c], c);
  }
  for (uint32_t c = 0; c + 1 < count; ++c) {
    way *from = &ways[c], *to = &ways[c + 1];
    if (from->length < 2 || to->length < 2) continue;
    for (uint32_t i = 1; i < from->length; ++i)
      if (from->x[i] == to->x[0] && from->y[i] == to->y[0] && from->tap[i] && from->later[i] && roll(&d, 4)) {
        passes[c + 1] = c;
        to->words = from->words + from->words_later;
      }
  }
  for (uint32_t c = 0; c < count; ++c) {
    way *w = &ways[c];
    if (w->length < 2) continue;
    plan *p = core_of(k, plans, w->x[0], w->y[0]);
    dawdle(&d, k, p);
    weft_operand send = weft_send(c, WEFT_F32), receive = {0};
    if (passes[c] != WEFT_NOTHING) receive = weft_receive(passes[c], WEFT_F32);
    move_pieces(&d, k, p, w->words, &send, passes[c] != WEFT_NOTHING ? &receive : NULL);
    if (w->switches) {
      send_switch(k, p, c, w);
      move_pieces(&d, k, p, w->words_later, &send, NULL);
    }
    receive = weft_receive(c, WEFT_F32);
    for (uint32_t i = 1; i < w->length; ++i) {
      uint32_t words = (w->tap[i] ? w->words : 0) + (w->later[i] ? w->words_later : 0);
      bool passed = c + 1 < count && passes[c + 1] == c && ways[c + 1].x[0] == w->x[i] && ways[c + 1].y[0] == w->y[i];
      if (words == 0 || passed) continue;
      plan *taker = core_of(k, plans, w->x[i], w->y[i]);
      dawdle(&d, k, taker);
      move_pieces(&d, k, taker, words, NULL, &receive);
    }
  }
  for (uint32_t c = 0; c < columns * rows; ++c)
    if (plans[c].used && plans[c].microthreads > 0 && roll(&d, 2))
      for (uint32_t t = 0; t < plans[c].microthreads; ++t)
        weft_emit(k, plans[c].program, WEFT_DO_WAIT, 0, (weft_operand){0}, (weft_operand){0}, (weft_operand){0},
                  (weft_operand){0})
            ->microthread = t;
  free(plans);
  return k;
}

static void random_kernels_are_the_same(void **state) {
  (void)state;
  const char *chosen = getenv("WEFT_TEST_SEED"), *many = getenv("WEFT_TEST_COUNT");
  uint64_t first = chosen ? strtoull(chosen, NULL, 10) : 0, count = many ? strtoull(many, NULL, 10) : 600;
  if (chosen && !many) count = 1;
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  uint32_t with_trains = 0, with_both = 0, ended = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    weft_kernel *kernel = draw_kernel(seed);
    if (getenv("WEFT_TEST_PRINT")) weft_kernel_print(kernel, stdout);
    weft_status status = weft_kernel_check(kernel, 0);
    if (status) {
      fail_msg("seed %llu: %s", (unsigned long long)seed, weft_status_message(status));
    } else {
      char what[32];
      snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
      bool has_ended = false;
      double share = both(kernel, machine, what, &has_ended);
      with_trains += share > 0;
      with_both += share > 0 && share < 0.9;
      ended += has_ended;
    }
    weft_kernel_destroy(kernel);
  }
  weft_machine_destroy(machine);
  print_message("%llu kernels: %u end, %u have trains, %u of these also words by themselves\n",
                (unsigned long long)count, ended, with_trains, with_both);
  if (chosen) return;
  assert_true(ended > count / 3);
  assert_true(with_both > count / 4);
}

// ---- what the generators make

static double of_collective(const weft_machine *machine, const weft_collective *what, int kind) {
  weft_kernel *kernel = NULL;
  must(kind == 0   ? weft_broadcast_kernel(what, &kernel)
       : kind == 1 ? weft_reduce_kernel(what, &kernel)
       : kind == 2 ? weft_all_reduce_kernel(what, &kernel)
                   : weft_ring_kernel(what, &kernel));
  must(weft_kernel_check(kernel, 0));
  char name[128];
  bool ended = false;
  snprintf(name, sizeof name, "%s, %s, %u x %u, %u words, root (%u, %u)%s", kernel->name,
           weft_reduce_pattern_name(what->pattern), what->columns, what->rows, what->words, what->root_x, what->root_y,
           what->snake ? ", snake" : "");
  double share = both(kernel, machine, name, &ended);
  if (!ended) fail_msg("%s does not end", name);
  weft_kernel_destroy(kernel);
  return share;
}

static void collectives_are_the_same(void **state) {
  (void)state;
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  static const uint32_t shapes[][2] = {{16, 1}, {1, 13}, {9, 7}, {4, 33}};
  static const uint32_t words[] = {3, 40, 300};
  for (int s = 0; s < 4; ++s)
    for (int w = 0; w < 3; ++w)
      for (int pattern = 0; pattern < WEFT_REDUCE_PATTERNS; ++pattern)
        for (int kind = 0; kind < 4; ++kind) {
          if (pattern > 0 && (kind == 0 || kind == 3)) continue;
          weft_collective what = weft_collective_default(shapes[s][0], shapes[s][1], words[w]);
          what.pattern = (weft_reduce_pattern)pattern;
          bool corner = pattern == 0 && kind != 1;
          what.root_x = corner ? 0 : shapes[s][0] / 3;
          what.root_y = corner ? 0 : shapes[s][1] / 2;
          what.snake = pattern == 0 && w == 1;
          what.dtype = w == 2 && s == 1 ? WEFT_F16 : WEFT_F32;
          double share = of_collective(machine, &what, kind);
          // Streams of a broadcast and of a chain to a corner have nothing in their way.
          if (corner && kind < 3 && words[w] == 300 && what.dtype == WEFT_F32 && share < 0.98)
            fail_msg("%u x %u: trains make %.3f of the hops of kind %d", what.columns, what.rows, share, kind);
        }
  weft_machine_destroy(machine);
}

static void products_are_the_same(void **state) {
  (void)state;
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  static const weft_product_kind kinds[] = {WEFT_GEMV_MESH, WEFT_GEMM_SUMMA, WEFT_GEMM_CANNON, WEFT_GEMM_SHIFT,
                                            WEFT_TRANSPOSE};
  for (int k = 0; k < 5; ++k)
    for (uint32_t size = 12; size <= 36; size += 12) {
      weft_product_options options = weft_product_options_default(kinds[k], 6, 6);
      options.m = options.k = size;
      options.n = kinds[k] == WEFT_GEMV_MESH ? 1 : size;
      weft_product product;
      weft_kernel *kernel = NULL;
      must(weft_product_plan(&options, &product));
      must(weft_product_kernel(&product, &kernel));
      must(weft_kernel_check(kernel, 0));
      bool ended = false;
      (void)both(kernel, machine, kernel->name, &ended);
      assert_true(ended);
      weft_kernel_destroy(kernel);
    }
  weft_machine_destroy(machine);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_kernels_are_the_same),
                                     cmocka_unit_test(collectives_are_the_same),
                                     cmocka_unit_test(products_are_the_same)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
