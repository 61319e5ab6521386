// The mesh engine alone, with kernels written here: cycles against published formulas, data against sums made here,
// back-pressure, switches, tasks by wavelets, channels, errors; the same for one and two threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mesh.h"

#include <cmocka.h>

enum { RED = 3, BLUE = 7 };

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

static weft_machine *wse2(void) {
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  return machine;
}

typedef struct rig {
  weft_machine *machine;
  weft_kernel *kernel;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
} rig;

static void open_rig(rig *r, weft_kernel *kernel, uint32_t threads) {
  r->machine = wse2();
  r->kernel = kernel;
  must(weft_kernel_check(kernel, 0));
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.most_cycles = 10000000;
  must(weft_mesh_open(kernel, r->machine, &options, &r->mesh));
}

static void close_rig(rig *r) {
  weft_mesh_close(r->mesh);
  weft_kernel_destroy(r->kernel);
  weft_machine_destroy(r->machine);
}

static void fill(rig *r, uint32_t x, uint32_t y, const char *array, uint32_t count, float first) {
  float *values = malloc(count * sizeof *values);
  for (uint32_t i = 0; i < count; ++i) values[i] = first + (float)i;
  must(weft_mesh_write_f32(r->mesh, x, y, array, values, count));
  free(values);
}

// Row y = 0..rows-1, all words of core (0, y) to every other core of the row, or of all rows.
static weft_kernel *broadcast(uint32_t columns, uint32_t rows, uint32_t words) {
  weft_kernel *k = weft_kernel_create("broadcast", columns, rows);
  uint32_t root = weft_kernel_program(k, "root"), other = weft_kernel_program(k, "other");
  for (uint32_t p = root; p <= other; ++p) (void)weft_kernel_array(k, p, "data", WEFT_F32, words);
  weft_kernel_place(k, root, weft_block_one(0, 0));
  if (columns > 1) weft_kernel_place(k, other, weft_block_of(1, columns, 0, 1));
  if (rows > 1) weft_kernel_place(k, other, weft_block_of(0, columns, 1, rows));
  uint32_t east = 1u << WEFT_EAST, south = rows > 1 ? 1u << WEFT_SOUTH : 0, ramp = 1u << WEFT_RAMP;
  weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_RAMP, (columns > 1 ? east : 0) | south);
  if (columns > 2) weft_kernel_route(k, weft_block_of(1, columns - 1, 0, rows), RED, WEFT_WEST, east | ramp);
  if (columns > 1) weft_kernel_route(k, weft_block_of(columns - 1, columns, 0, rows), RED, WEFT_WEST, ramp);
  if (rows > 1) {
    uint32_t on = columns > 1 ? east : 0;
    weft_kernel_route(k, weft_block_of(0, 1, 1, rows - 1), RED, WEFT_NORTH, on | south | ramp);
    weft_kernel_route(k, weft_block_of(0, 1, rows - 1, rows), RED, WEFT_NORTH, on | ramp);
  }
  (void)weft_kernel_task(k, root, "send", WEFT_AT_START);
  weft_emit1(k, root, WEFT_DO_MOVE, words, weft_send(RED, WEFT_F32), weft_all(k, root, 0));
  (void)weft_kernel_task(k, other, "take", WEFT_AT_START);
  weft_emit1(k, other, WEFT_DO_MOVE, words, weft_all(k, other, 0), weft_receive(RED, WEFT_F32));
  return k;
}

// Two colours by turns: a core receives one and sends the other.
static weft_kernel *chain(uint32_t columns, uint32_t words) {
  weft_kernel *k = weft_kernel_create("chain", columns, 1);
  for (uint32_t x = 0; x < columns; ++x) {
    uint32_t out = x % 2 ? RED : BLUE, in = x % 2 ? BLUE : RED;
    if (x > 0) weft_kernel_route(k, weft_block_one(x, 0), out, WEFT_RAMP, 1u << WEFT_WEST);
    if (x < columns - 1) weft_kernel_route(k, weft_block_one(x, 0), in, WEFT_EAST, 1u << WEFT_RAMP);
    uint32_t p = x < 3 || x == columns - 1 ? weft_kernel_program(k, "link") : 2 - x % 2;
    weft_kernel_place(k, p, weft_block_one(x, 0));
    if (p + 1 < k->program_count || k->programs[p].array_count) continue;
    (void)weft_kernel_array(k, p, "data", WEFT_F32, words);
    (void)weft_kernel_task(k, p, "sum", WEFT_AT_START);
    weft_operand own = weft_all(k, p, 0), to = x == 0 ? own : weft_send(out, WEFT_F32);
    if (x == columns - 1)
      weft_emit1(k, p, WEFT_DO_MOVE, words, to, own);
    else
      weft_emit2(k, p, WEFT_DO_ADD, words, to, own, weft_receive(in, WEFT_F32));
  }
  return k;
}

static void broadcasts_take_what_is_published(void **state) {
  (void)state;
  const uint32_t shapes[][3] = {{4, 1, 196},   {4, 1, 256}, {64, 1, 256}, {512, 1, 1},
                                {512, 1, 128}, {9, 7, 33},  {1, 5, 8}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
    uint32_t columns = shapes[s][0], rows = shapes[s][1], words = shapes[s][2];
    uint64_t hash = 0;
    for (uint32_t threads = 1; threads <= 2; ++threads) {
      rig r;
      open_rig(&r, broadcast(columns, rows, words), threads);
      fill(&r, 0, 0, "data", words, 5);
      must(weft_mesh_run(r.mesh, &r.report));
      double published = words + (columns - 1) + (rows - 1) + 1 + 2 * 2;  // B + P + 2 T_R (arXiv 2404.15888)
      assert_true(fabs((double)r.report.cycles - published) <= 4);
      assert_int_equal(r.report.link_hops, (uint64_t)words * (columns * rows - 1));
      assert_int_equal(r.report.ramp_hops, (uint64_t)words * (columns * rows - 1));
      float *got = calloc(words, sizeof *got);
      for (uint32_t x = 0; x < columns; ++x)
        for (uint32_t y = 0; y < rows; ++y) {
          must(weft_mesh_read_f32(r.mesh, x, y, "data", got, words));
          for (uint32_t i = 0; i < words; ++i) assert_true(got[i] == (float)(5 + i));
        }
      free(got);
      if (threads == 1) hash = r.report.hash;
      assert_int_equal(r.report.hash, hash);
      close_rig(&r);
    }
  }
}

static void chains_take_what_is_published(void **state) {
  (void)state;
  const uint32_t shapes[][2] = {{4, 256}, {64, 256}, {512, 1}, {512, 64}, {2, 3}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
    uint32_t columns = shapes[s][0], words = shapes[s][1];
    rig r;
    open_rig(&r, chain(columns, words), 1);
    for (uint32_t x = 0; x < columns; ++x) fill(&r, x, 0, "data", words, (float)x);
    must(weft_mesh_run(r.mesh, &r.report));
    double published = words + 6.0 * (columns - 1);  // B + (2 T_R + 2)(P - 1)
    assert_true(fabs((double)r.report.cycles - published) <= 4);
    float *got = calloc(words, sizeof *got);
    must(weft_mesh_read_f32(r.mesh, 0, 0, "data", got, words));
    for (uint32_t i = 0; i < words; ++i) assert_true(got[i] == (float)(columns * i + columns * (columns - 1) / 2));
    free(got);
    close_rig(&r);
  }
}

// Two cores send over one colour to a third, one after the other: a control wavelet of the first moves the switch.
static void switches_let_the_next_one_in(void **state) {
  (void)state;
  for (uint32_t words = 1; words < 40; words += 13) {
    weft_kernel *k = weft_kernel_create("star", 3, 1);
    uint32_t root = weft_kernel_program(k, "root"), near = weft_kernel_program(k, "near"),
             far = weft_kernel_program(k, "far");
    (void)weft_kernel_array(k, root, "data", WEFT_F32, 2 * words);
    (void)weft_kernel_array(k, near, "data", WEFT_F32, words);
    (void)weft_kernel_array(k, far, "data", WEFT_F32, words);
    for (uint32_t p = 0; p < 3; ++p) weft_kernel_place(k, p, weft_block_one(p, 0));
    weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_EAST, 1u << WEFT_RAMP);
    weft_route *route = weft_kernel_route(k, weft_block_one(1, 0), RED, WEFT_RAMP, 1u << WEFT_WEST);
    weft_route_then(route, WEFT_EAST, 1u << WEFT_WEST);
    weft_kernel_route(k, weft_block_one(2, 0), RED, WEFT_RAMP, 1u << WEFT_WEST);
    (void)weft_kernel_task(k, root, "take", WEFT_AT_START);
    weft_emit1(k, root, WEFT_DO_MOVE, 2 * words, weft_all(k, root, 0), weft_receive(RED, WEFT_F32));
    for (uint32_t p = near; p <= far; ++p) {
      (void)weft_kernel_task(k, p, "send", WEFT_AT_START);
      weft_emit1(k, p, WEFT_DO_MOVE, words, weft_send(RED, WEFT_F32), weft_all(k, p, 0));
      if (p == near) weft_emit2(k, p, WEFT_DO_SWITCH, 1, weft_send(RED, WEFT_F32), weft_i32(0), weft_i32(1));
    }
    rig r;
    open_rig(&r, k, 1);
    fill(&r, 1, 0, "data", words, 100);
    fill(&r, 2, 0, "data", words, 200);
    must(weft_mesh_run(r.mesh, &r.report));
    float *got = calloc(2 * words, sizeof *got);
    must(weft_mesh_read_f32(r.mesh, 0, 0, "data", got, 2 * words));
    for (uint32_t i = 0; i < words; ++i) {
      assert_true(got[i] == (float)(100 + i));
      assert_true(got[words + i] == (float)(200 + i));
    }
    free(got);
    close_rig(&r);
  }
}

// All cores of a row or column send to the first one on one colour. Each works for some time before, core i for
// busy[i % 4] turns; every router is advanced by its own core.
static weft_kernel *star(bool column, uint32_t cores, uint32_t words, const int32_t *busy) {
  weft_kernel *k = weft_kernel_create("star", column ? 1 : cores, column ? cores : 1);
  weft_port inwards = column ? WEFT_NORTH : WEFT_WEST, outwards = column ? WEFT_SOUTH : WEFT_EAST;
  uint32_t root = weft_kernel_program(k, "root");
  (void)weft_kernel_array(k, root, "data", WEFT_F32, (cores - 1) * words);
  weft_kernel_place(k, root, weft_block_one(0, 0));
  weft_kernel_route(k, weft_block_one(0, 0), RED, outwards, 1u << WEFT_RAMP);
  (void)weft_kernel_task(k, root, "take", WEFT_AT_START);
  weft_emit1(k, root, WEFT_DO_MOVE, (cores - 1) * words, weft_all(k, root, 0), weft_receive(RED, WEFT_F32));
  for (uint32_t i = 1; i < cores; ++i) {
    weft_block at = column ? weft_block_one(0, i) : weft_block_one(i, 0);
    weft_route *route = weft_kernel_route(k, at, RED, WEFT_RAMP, 1u << inwards);
    if (i + 1 < cores) weft_route_then(route, outwards, 1u << inwards);
    uint32_t p = weft_kernel_program(k, "leaf");
    weft_kernel_place(k, p, at);
    (void)weft_kernel_array(k, p, "data", WEFT_F32, words);
    (void)weft_kernel_integer(k, p, "turn", 0, 0, 0);
    (void)weft_kernel_task(k, p, "send", WEFT_AT_START);
    if (busy) {
      weft_begin_loop(k, p, 0, weft_i32(0), weft_i32(busy[i % 4]), 1);
      weft_emit1(k, p, WEFT_DO_MOVE, words, weft_all(k, p, 0), weft_all(k, p, 0));
      weft_end(k, p);
    }
    weft_emit1(k, p, WEFT_DO_MOVE, words, weft_advancing(weft_send(RED, WEFT_F32)), weft_all(k, p, 0));
  }
  return k;
}

static uint64_t run_star(bool column, uint32_t cores, uint32_t words, const int32_t *busy, uint32_t threads) {
  rig r;
  open_rig(&r, star(column, cores, words, busy), threads);
  for (uint32_t i = 1; i < cores; ++i) fill(&r, column ? 0 : i, column ? i : 0, "data", words, (float)(1000 * i));
  must(weft_mesh_run(r.mesh, &r.report));
  float *got = calloc((cores - 1) * words, sizeof *got);
  must(weft_mesh_read_f32(r.mesh, 0, 0, "data", got, (cores - 1) * words));
  for (uint32_t i = 0; i < (cores - 1) * words; ++i) assert_true(got[i] == (float)(1000 * (1 + i / words) + i % words));
  free(got);
  uint64_t cycles = r.report.cycles;
  assert_int_equal(r.report.control_hops, 0);
  close_rig(&r);
  return cycles;
}

// The plain star: words of all cores without a gap at the root, in their order, B (P - 1) + 2 T_R + 1 cycles.
static void a_send_advances_its_own_switch(void **state) {
  (void)state;
  static const uint32_t lines[] = {2, 3, 17, 64}, lengths[] = {1, 2, 5, 40};
  for (size_t l = 0; l < 4; ++l)
    for (size_t w = 0; w < 4; ++w)
      for (uint32_t threads = 1; threads <= 2; ++threads) {
        uint64_t published = (uint64_t)lengths[w] * (lines[l] - 1) + 5;
        assert_in_range(run_star(false, lines[l], lengths[w], NULL, threads), published, published + 1);
        assert_in_range(run_star(true, lines[l], lengths[w], NULL, threads), published, published + 1);
      }
}

// Who is late holds those behind, nothing is lost or overtaken, and two threads count the same cycles.
static void late_cores_hold_those_behind(void **state) {
  (void)state;
  static const int32_t busy[][4] = {{0, 40, 0, 0}, {9, 0, 3, 30}, {200, 1, 0, 2}};
  for (size_t b = 0; b < 3; ++b)
    for (uint32_t words = 1; words < 40; words += 11) {
      uint64_t one = run_star(true, 23, words, busy[b], 1);
      assert_int_equal(one, run_star(true, 23, words, busy[b], 2));
      assert_int_equal(one, run_star(false, 23, words, busy[b], 2));
      assert_true(one > 22ull * words + 6);
    }
}

// First to the one side, then to the other: where the ways differ, the switch waits until the last word has left, even
// if it is held up; with `ring` the first position comes again.
static void an_advance_turns_round_words_to_come(void **state) {
  (void)state;
  const uint32_t words = 30, rounds = 3;
  for (uint32_t slow = 0; slow < 2; ++slow) {
    weft_kernel *k = weft_kernel_create("turns", 3, 1);
    uint32_t left = weft_kernel_program(k, "left"), middle = weft_kernel_program(k, "middle");
    uint32_t right = weft_kernel_program(k, "right");
    for (uint32_t p = left; p <= right; ++p) {
      (void)weft_kernel_array(k, p, "data", WEFT_F32, (p == middle ? 2 : 1) * rounds * words);
      weft_kernel_place(k, p, weft_block_one(p == left ? 0 : p == middle ? 1 : 2, 0));
      (void)weft_kernel_task(k, p, "main", WEFT_AT_START);
      if (p == middle) continue;
      weft_instruction *i =
          weft_emit1(k, p, WEFT_DO_MOVE, rounds * words, weft_all(k, p, 0), weft_receive(RED, WEFT_F32));
      if (!slow) continue;
      i->kind = WEFT_DO_DIVIDE;
      i->b = weft_f32(1);
    }
    for (uint32_t n = 0; n < 2 * rounds; ++n)
      weft_emit1(k, middle, WEFT_DO_MOVE, words, weft_advancing(weft_send(RED, WEFT_F32)),
                 weft_view_of(k, middle, 0, (int32_t)(n * words), 1));
    weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_EAST, 1u << WEFT_RAMP);
    weft_kernel_route(k, weft_block_one(2, 0), RED, WEFT_WEST, 1u << WEFT_RAMP);
    weft_route *route = weft_kernel_route(k, weft_block_one(1, 0), RED, WEFT_RAMP, 1u << WEFT_WEST);
    weft_route_then(route, WEFT_RAMP, 1u << WEFT_EAST);
    route->ring = true;
    rig r;
    open_rig(&r, k, 1);
    fill(&r, 1, 0, "data", 2 * rounds * words, 1);
    must(weft_mesh_run(r.mesh, &r.report));
    float got[90];
    for (uint32_t side = 0; side < 2; ++side) {
      must(weft_mesh_read_f32(r.mesh, 2 * side, 0, "data", got, rounds * words));
      for (uint32_t i = 0; i < rounds * words; ++i)
        assert_true(got[i] == (float)(1 + (2 * (i / words) + side) * words + i % words));
    }
    close_rig(&r);
  }
}

// Each wavelet starts a task that adds its square; the sender is quicker than the tasks, so the fabric backs up.
static void wavelets_start_tasks(void **state) {
  (void)state;
  const uint32_t words = 50;
  weft_kernel *k = weft_kernel_create("squares", 5, 1);
  uint32_t from = weft_kernel_program(k, "from"), to = weft_kernel_program(k, "to");
  (void)weft_kernel_array(k, from, "data", WEFT_F32, words);
  (void)weft_kernel_array(k, to, "sum", WEFT_F32, 1);
  uint32_t value = weft_kernel_real(k, to, "value", 0);
  weft_kernel_place(k, from, weft_block_one(0, 0));
  weft_kernel_place(k, to, weft_block_one(4, 0));
  weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_RAMP, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_of(1, 4, 0, 1), RED, WEFT_WEST, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_one(4, 0), RED, WEFT_WEST, 1u << WEFT_RAMP);
  (void)weft_kernel_task(k, from, "send", WEFT_AT_START);
  weft_emit1(k, from, WEFT_DO_MOVE, words, weft_send(RED, WEFT_F32), weft_all(k, from, 0));
  uint32_t task = weft_kernel_task(k, to, "add", WEFT_BY_WAVELET);
  weft_kernel_task_at(k, to, task)->colour = RED;
  weft_kernel_task_at(k, to, task)->data = value;
  weft_emit(k, to, WEFT_DO_FMA, 1, weft_all(k, to, 0), weft_value(k, to, value), weft_value(k, to, value),
            weft_all(k, to, 0));
  rig r;
  open_rig(&r, k, 1);
  fill(&r, 0, 0, "data", words, 1);
  must(weft_mesh_run(r.mesh, &r.report));
  float sum;
  must(weft_mesh_read_f32(r.mesh, 4, 0, "sum", &sum, 1));
  assert_true(sum == 50.0f * 51 * 101 / 6);
  assert_true(r.report.cycles > words);
  close_rig(&r);
}

static void channels_carry_words_through(void **state) {
  (void)state;
  const uint32_t words = 20;
  weft_kernel *k = weft_kernel_create("through", 3, 1);
  uint32_t p = weft_kernel_program(k, "double");
  weft_kernel_place(k, p, weft_block_one(1, 0));
  weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_WEST, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_one(1, 0), RED, WEFT_WEST, 1u << WEFT_RAMP);
  weft_kernel_route(k, weft_block_one(1, 0), BLUE, WEFT_RAMP, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_one(2, 0), BLUE, WEFT_WEST, 1u << WEFT_EAST);
  weft_kernel_channel(k, (weft_channel){"in", true, 0, 0, WEFT_WEST, RED, words, 3});
  weft_kernel_channel(k, (weft_channel){"out", false, 2, 0, WEFT_EAST, BLUE, words, 1});
  (void)weft_kernel_task(k, p, "main", WEFT_AT_START);
  weft_emit2(k, p, WEFT_DO_MULTIPLY, words, weft_send(BLUE, WEFT_F32), weft_receive(RED, WEFT_F32), weft_f32(2));
  rig r;
  open_rig(&r, k, 1);
  uint32_t in[20], out[20] = {0};
  for (uint32_t i = 0; i < words; ++i) memcpy(&in[i], &(float){(float)i}, 4);
  must(weft_mesh_feed(r.mesh, 0, in, words));
  must(weft_mesh_drain(r.mesh, 1, out, words));
  must(weft_mesh_run(r.mesh, &r.report));
  for (uint32_t i = 0; i < words; ++i) assert_memory_equal(&out[i], &(float){2 * (float)i}, 4);
  assert_true(r.report.cycles >= 3 * (words - 1));
  close_rig(&r);
}

static void a_deadlock_is_explained(void **state) {
  (void)state;
  weft_kernel *k = broadcast(4, 1, 64);
  k->programs[1].code[0].count = 65;  // one more than is sent
  k->programs[1].arrays[0].length = 65;
  rig r;
  open_rig(&r, k, 1);
  weft_status status = weft_mesh_run(r.mesh, &r.report);
  assert_int_equal(weft_status_code(status), WEFT_FAILED);
  const char *message = weft_status_message(status);
  assert_non_null(strstr(message, "deadlock"));
  assert_non_null(strstr(message, "(1, 0)"));
  assert_non_null(strstr(message, "64 of 65"));
  assert_non_null(strstr(message, "colour 3"));
  weft_status_free(status);
  close_rig(&r);
}

// Behind a send that advances the switch the core can send no more; the explanation says where the switch stands.
static void a_send_behind_an_advance_is_explained(void **state) {
  (void)state;
  weft_kernel *k = star(false, 3, 4, NULL);
  uint32_t near = 1;
  weft_emit1(k, near, WEFT_DO_MOVE, 4, weft_send(RED, WEFT_F32), weft_all(k, near, 0));
  rig r;
  open_rig(&r, k, 1);
  weft_status status = weft_mesh_run(r.mesh, &r.report);
  assert_int_equal(weft_status_code(status), WEFT_FAILED);
  if (!strstr(weft_status_message(status),
              "to send colour 3, which its router takes from the east at switch position 1"))
    fail_msg("%s", weft_status_message(status));
  weft_status_free(status);
  close_rig(&r);
}

// A receiver that is twice as slow: cycles follow it, nothing is lost, links wait.
static void a_slow_reader_holds_the_sender(void **state) {
  (void)state;
  const uint32_t words = 100;
  weft_kernel *k = broadcast(6, 1, words);
  k->programs[1].code[0].kind = WEFT_DO_DIVIDE;
  k->programs[1].code[0].b = weft_f32(1);
  rig r;
  open_rig(&r, k, 1);
  fill(&r, 0, 0, "data", words, 1);
  must(weft_mesh_run(r.mesh, &r.report));
  double each = r.machine->mesh.times.divide_cycles;
  assert_true(fabs((double)r.report.cycles - each * words) < 30);
  assert_true(r.report.stall_cycles[WEFT_STALL_SEND] > (uint64_t)(each * words * 0.7));
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcasts_take_what_is_published),     cmocka_unit_test(chains_take_what_is_published),
      cmocka_unit_test(switches_let_the_next_one_in),          cmocka_unit_test(wavelets_start_tasks),
      cmocka_unit_test(channels_carry_words_through),          cmocka_unit_test(a_deadlock_is_explained),
      cmocka_unit_test(a_slow_reader_holds_the_sender),        cmocka_unit_test(a_send_advances_its_own_switch),
      cmocka_unit_test(a_send_behind_an_advance_is_explained), cmocka_unit_test(late_cores_hold_those_behind),
      cmocka_unit_test(an_advance_turns_round_words_to_come),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
