// The constants of the machines as the mesh engine adds them up: what docs/machine.md says by arithmetic, measured with
// the smallest kernels that show it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mesh.h"

#include <cmocka.h>

enum { RED = 1, EAST = 1u << WEFT_EAST, RAMP = 1u << WEFT_RAMP };

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

// Cycles of the kernel, which is destroyed.
static uint64_t cycles(const char *machine, weft_kernel *kernel) {
  weft_machine *m = NULL;
  weft_mesh_sim *mesh = NULL;
  weft_mesh_report report;
  weft_mesh_options options = weft_mesh_options_default();
  options.most_cycles = 10000000;
  must(weft_machine_read(machine, &m));
  must(weft_kernel_check(kernel, m->mesh.sram_bytes_per_core));
  must(weft_mesh_open(kernel, m, &options, &mesh));
  must(weft_mesh_run(mesh, &report));
  weft_mesh_close(mesh);
  weft_kernel_destroy(kernel);
  weft_machine_destroy(m);
  return report.cycles;
}

// One task, at start, that moves `count` words from a to b; the array's own side is memory.
static void mover(weft_kernel *k, weft_block block, uint32_t count, uint32_t colour, bool sends) {
  uint32_t p = weft_kernel_program(k, sends ? "send" : "receive");
  weft_kernel_place(k, p, block);
  weft_operand data = weft_all(k, p, weft_kernel_array(k, p, "data", WEFT_F32, count));
  (void)weft_kernel_task(k, p, "go", WEFT_AT_START);
  if (sends)
    (void)weft_emit1(k, p, WEFT_DO_MOVE, count, weft_send(colour, WEFT_F32), data);
  else
    (void)weft_emit1(k, p, WEFT_DO_MOVE, count, data, weft_receive(colour, WEFT_F32));
}

// From core 0 to the core `hops` further east, or (multicast) to every core until there.
static weft_kernel *path(uint32_t hops, uint32_t words, bool multicast) {
  weft_kernel *k = weft_kernel_create("path", hops + 1, 1);
  (void)weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_RAMP, EAST);
  if (hops > 1)
    (void)weft_kernel_route(k, weft_block_of(1, hops, 0, 1), RED, WEFT_WEST, multicast ? EAST | RAMP : EAST);
  (void)weft_kernel_route(k, weft_block_one(hops, 0), RED, WEFT_WEST, RAMP);
  mover(k, weft_block_one(0, 0), words, RED, true);
  mover(k, weft_block_of(multicast ? 1 : hops, hops + 1, 0, 1), words, RED, false);
  return k;
}

// Over one corner: east, then south.
static weft_kernel *corner(uint32_t words) {
  weft_kernel *k = weft_kernel_create("corner", 3, 3);
  (void)weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_RAMP, EAST);
  (void)weft_kernel_route(k, weft_block_one(1, 0), RED, WEFT_WEST, EAST);
  (void)weft_kernel_route(k, weft_block_one(2, 0), RED, WEFT_WEST, 1u << WEFT_SOUTH);
  (void)weft_kernel_route(k, weft_block_one(2, 1), RED, WEFT_NORTH, 1u << WEFT_SOUTH);
  (void)weft_kernel_route(k, weft_block_one(2, 2), RED, WEFT_NORTH, RAMP);
  mover(k, weft_block_one(0, 0), words, RED, true);
  mover(k, weft_block_one(2, 2), words, RED, false);
  return k;
}

// Core 0 sends; every core between takes all words and then sends them (store and forward), or adds its own to each as
// it passes (chain); the last one keeps them.
static weft_kernel *line(uint32_t stages, uint32_t words, bool store) {
  weft_kernel *k = weft_kernel_create("line", stages + 1, 1);
  for (uint32_t x = 0; x <= stages; ++x) {
    uint32_t in = RED + (x + 1) % 2, out = RED + x % 2, p = weft_kernel_program(k, "stage");
    if (x > 0) (void)weft_kernel_route(k, weft_block_one(x, 0), in, WEFT_WEST, RAMP);
    if (x < stages) (void)weft_kernel_route(k, weft_block_one(x, 0), out, WEFT_RAMP, EAST);
    weft_kernel_place(k, p, weft_block_one(x, 0));
    weft_operand data = weft_all(k, p, weft_kernel_array(k, p, "data", WEFT_F32, words));
    weft_operand from = weft_receive(in, WEFT_F32), to = x < stages ? weft_send(out, WEFT_F32) : data;
    (void)weft_kernel_task(k, p, "go", WEFT_AT_START);
    if (x == 0) {
      (void)weft_emit1(k, p, WEFT_DO_MOVE, words, to, data);
    } else if (!store) {
      (void)weft_emit2(k, p, WEFT_DO_ADD, words, to, from, data);
    } else {
      (void)weft_emit1(k, p, WEFT_DO_MOVE, words, data, from);
      if (x < stages) (void)weft_emit1(k, p, WEFT_DO_MOVE, words, to, data);
    }
  }
  return k;
}

// y += 2 x over `count` elements, once or in a loop; y is shifted by `skew` bytes.
static weft_kernel *accumulate(weft_dtype dtype, uint32_t count, uint32_t skew, int32_t turns, weft_loop_form form) {
  weft_kernel *k = weft_kernel_create("accumulate", 1, 1);
  uint32_t p = weft_kernel_program(k, "only");
  weft_kernel_place(k, p, weft_block_one(0, 0));
  uint32_t x = weft_kernel_array(k, p, "x", dtype, count), y = weft_kernel_array(k, p, "y", dtype, count);
  weft_kernel_array_at(k, p, y)->skew = skew;
  uint32_t two = weft_kernel_real(k, p, "two", 2), turn = weft_kernel_integer(k, p, "turn", 0, 0, 0);
  (void)weft_kernel_task(k, p, "go", WEFT_AT_START);
  if (turns > 0) weft_begin_loop(k, p, turn, weft_i32(0), weft_i32(turns), 1)->form = form;
  (void)weft_emit(k, p, WEFT_DO_FMA, count, weft_all(k, p, y), weft_all(k, p, x), weft_value(k, p, two),
                  weft_all(k, p, y));
  if (turns > 0) weft_end(k, p);
  return k;
}

static void near(uint64_t found, double expected, double tolerance) {
  if ((double)found < expected - tolerance || (double)found > expected + tolerance)
    fail_msg("%llu cycles; %g within %g is right", (unsigned long long)found, expected, tolerance);
}

static void wse2_fabric(void **state) {
  (void)state;
  static const uint32_t shapes[][2] = {{4, 196}, {4, 256}, {64, 256}, {512, 1}, {512, 256}, {512, 4096}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
    uint32_t cores = shapes[i][0], words = shapes[i][1];
    assert_int_equal(cycles("wse2", path(cores - 1, words, true)), words + cores + 4);         // B + P + 2 T_R
    assert_int_equal(cycles("wse2", line(cores - 1, words, false)), words + 6 * (cores - 1));  // B + (2 T_R + 2)(P - 1)
  }
  assert_int_equal(cycles("wse2", path(7, 1, false)), 6 + 7);
  assert_int_equal(cycles("wse2", line(8, 64, true)), 8 * (64 + 6));
  assert_int_equal(cycles("wse2", corner(1)), cycles("wse2", path(4, 1, false)));
}

static void wse3_fabric(void **state) {
  (void)state;
  static const uint32_t hops[] = {1, 2, 4, 8, 16, 32};
  for (size_t i = 0; i < 6; ++i) {
    assert_int_equal(cycles("wse3", path(hops[i], 1, false)), 40 + 2 * hops[i]);  // measured: 42, 44, 48, 56, 72, 104
    assert_int_equal(cycles("wse3-vendor-sim", path(hops[i], 1, false)), 31 + 2 * hops[i]);
  }
  assert_int_equal(cycles("wse3", corner(1)), 40 + 2 * 4 + 20);
  assert_int_equal(cycles("wse3-vendor-sim", corner(1)), 31 + 2 * 4 + 33);
  assert_int_equal(cycles("wse3-vendor-sim", corner(512)), 31 + 2 * 4 + 33 + 511);  // a turn delays, it does not slow
  near(cycles("wse3", path(3, 4001, false)), 46 + 1.125 * 4000, 1);
  near(cycles("wse3", path(511, 4096, true)), 40 + 2 * 511 + 1.125 * 4095, 2);
  static const uint32_t stages[] = {1, 2, 4, 8};
  for (size_t i = 0; i < 4; ++i)
    for (uint32_t words = 64; words <= 512; words *= 8) {
      double fit = stages[i] * (1.001 * words + 16.1) + 16.5;
      near(cycles("wse3-vendor-sim", line(stages[i], words, true)), fit, 0.01 * fit);
    }
}

static void arithmetic(void **state) {
  (void)state;
  assert_int_equal(cycles("wse2", accumulate(WEFT_F32, 1000, 4, 0, WEFT_PLAIN_LOOP)), 6 + 1000);
  assert_int_equal(cycles("wse2", accumulate(WEFT_F32, 1000, 0, 0, WEFT_PLAIN_LOOP)), 6 + 2000);
  assert_int_equal(cycles("wse2", accumulate(WEFT_F32, 1000, 8, 0, WEFT_PLAIN_LOOP)), 6 + 2860);
  assert_int_equal(cycles("wse2", accumulate(WEFT_F16, 1000, 2, 0, WEFT_PLAIN_LOOP)), 6 + 250);
  assert_int_equal(cycles("wse2", accumulate(WEFT_F32, 100, 4, 100, WEFT_MAP_LOOP)), 41 + 100 * 101);
  assert_int_equal(cycles("wse3", accumulate(WEFT_F32, 1000, 4, 0, WEFT_PLAIN_LOOP)), 25 + 6 + 2000);
  assert_int_equal(cycles("wse3", accumulate(WEFT_F32, 1000, 0, 0, WEFT_PLAIN_LOOP)), 25 + 6 + 3880);
  assert_int_equal(cycles("wse3", accumulate(WEFT_F32, 1000, 8, 0, WEFT_PLAIN_LOOP)), 25 + 6 + 2000);
  // 4096 f16 elements in the vendor's simulator: one operation, a loop and a map over tiles of 16.
  near(cycles("wse3-vendor-sim", accumulate(WEFT_F16, 4096, 0, 0, WEFT_PLAIN_LOOP)), 1040, 0.01 * 1040);
  near(cycles("wse3-vendor-sim", accumulate(WEFT_F16, 16, 0, 256, WEFT_PLAIN_LOOP)), 4617, 0.01 * 4617);
  near(cycles("wse3-vendor-sim", accumulate(WEFT_F16, 16, 0, 256, WEFT_MAP_LOOP)), 2840, 0.01 * 2840);
}

// A queue as deep as the files say never holds up a stream that its reader takes at once; the shallowest does not lose
// words.
static void queues_do_not_throttle(void **state) {
  (void)state;
  assert_int_equal(cycles("mesh:8x1 routerqueue:1word receivequeue:1word sendqueue:1word", path(7, 500, true)),
                   500 + 8 + 4);
  assert_int_equal(cycles("mesh:8x1 routerqueue:64words receivequeue:64words sendqueue:64words", path(7, 500, true)),
                   500 + 8 + 4);
}

// Two senders whose words share one link: they take turns, and the link carries one word per cycle.
static weft_kernel *shared_link(uint32_t words) {
  weft_kernel *k = weft_kernel_create("shared link", 4, 1);
  for (uint32_t i = 0; i < 2; ++i) {  // core i to core i + 2, both over the link between 1 and 2
    uint32_t colour = RED + i;
    (void)weft_kernel_route(k, weft_block_one(i, 0), colour, WEFT_RAMP, EAST);
    (void)weft_kernel_route(k, weft_block_one(i + 1, 0), colour, WEFT_WEST, EAST);
    (void)weft_kernel_route(k, weft_block_one(i + 2, 0), colour, WEFT_WEST, RAMP);
    mover(k, weft_block_one(i, 0), words, colour, true);
    mover(k, weft_block_one(i + 2, 0), words, colour, false);
  }
  return k;
}

// Measured on WSE-3 silicon: contention serialises fully, within 1.3 % for two sources.
static void contention(void **state) {
  (void)state;
  near(cycles("wse2", shared_link(1000)), 2 * 1000 + 6 + 2, 3);
  near(cycles("wse3", shared_link(1000)), 2 * 1000 * 1.125 + 40 + 2 * 2, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(wse2_fabric), cmocka_unit_test(wse3_fabric),
                                     cmocka_unit_test(arithmetic), cmocka_unit_test(queues_do_not_throttle),
                                     cmocka_unit_test(contention)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
