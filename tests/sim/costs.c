// What single steps cost, worked out on paper from the formulas in sim/region.h and sim/processor.h. The mesh has 4
// columns and 2 rows and a cycle of 1 ns; filling and draining it costs (4 + 2) hops + 2 ramps of 2 = 10 cycles.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/rig.h"

#include <cmocka.h>

static rig r;

static void mesh(void) {
  rig_init(&r, WEFT_MESH);
  r.machine.mesh.vector_startup_cycles = 3;
  r.machine.mesh.hop_cycles = 1;
  r.machine.mesh.ramp_cycles = 2;
}

// One compute step with N tokens, `in` and `out` features, and the FLOPs of the op table.
static weft_step *step_on_mesh(weft_op op, uint64_t rows, uint64_t in, uint64_t out, weft_attributes attributes) {
  uint32_t index = rig_compute(&r, 0, WEFT_NONE);
  weft_step *step = &r.steps[index];
  step->op = op;
  step->rows = rows;
  step->in = in;
  step->out = out;
  step->attributes = attributes;
  step->outputs[0] = rig_tensor(&r, rows, out, WEFT_ACTIVATION, WEFT_NONE);
  step->flops =
      weft_op_flops(op, &attributes, (weft_op_size){.rows = rows, .in = in, .out = out, .elements = rows * out});
  return step;
}

static void expect_cycles(double useful, double fill) {
  rig_run(&r);
  rig_expect_total(&r, useful + fill);
  rig_expect_exposed(&r, WEFT_CAUSE_COMPUTE, useful);
  rig_expect_exposed(&r, WEFT_CAUSE_OVERHEAD, fill);
}

static void expect_op(weft_op op, uint64_t rows, uint64_t in, uint64_t out, weft_attributes attributes, double cycles) {
  mesh();
  step_on_mesh(op, rows, in, out, attributes);
  expect_cycles(cycles, 10);
}

static void products_on_a_mesh(void **state) {
  (void)state;
  weft_attributes none = {0};
  // 6 tokens: n = 3. 3 x 5 weights per column x (3 + 3) cycles + 5 x 3 sums at 2 per cycle
  expect_op(WEFT_OP_LINEAR, 6, 10, 5, none, 90 + 7.5);
  // dy's 5 features over 4 columns, 10 sums of dx
  expect_op(WEFT_OP_LINEAR_BACKWARD_INPUT, 6, 10, 5, none, 2 * 10 * 6 + 15);
  // x stays (3 features a column), dy's 5 go round: 15 dot products and their sums over rows
  expect_op(WEFT_OP_LINEAR_BACKWARD_WEIGHT, 6, 10, 5, none, 15 * 6.5);
  // one token: both rows hold it and share out the 5 outputs
  expect_op(WEFT_OP_LINEAR, 1, 10, 5, none, 3 * 3 * 4 + 1.5);
}

static void sixteen_bits_are_quicker(void **state) {
  (void)state;
  mesh();
  r.schedule.run.dtype = WEFT_BF16;
  step_on_mesh(WEFT_OP_LINEAR, 6, 10, 5, (weft_attributes){0});
  expect_cycles(15 * (3 + 1.5) + 7.5, 10);
}

static void slow_links_count_instead_of_cores(void **state) {
  (void)state;
  mesh();
  r.machine.mesh.link_words_per_cycle = 0.1;
  step_on_mesh(WEFT_OP_LINEAR, 6, 10, 5, (weft_attributes){0});
  expect_cycles(150, 10);
}

static void rectangle_of_the_step_counts(void **state) {
  (void)state;
  mesh();
  step_on_mesh(WEFT_OP_LINEAR, 6, 10, 5, (weft_attributes){0})->rectangle = (weft_rectangle){0, 0, 2, 1};
  expect_cycles(5 * 5 * (3 + 6) + 15, 3 + 4);  // n = 6 tokens, 5 features a core
}

static void attention_on_a_mesh(void **state) {
  (void)state;
  // 2 heads of 4: 2 features a core; 6 keys; causal: 3 x 7/12 queries on average. Scores: 42, softmax 4 each on 16
  // lanes
  weft_attributes a = {.batch = 1, .heads = 2, .kv_heads = 2, .head_dim = 4, .causal = true};
  expect_op(WEFT_OP_ATTENTION, 6, 8, 8, a, 2 * 6 * 2 * (3 + 1.75) + 6 * 1.75 / 2 + 42 * 4 / 16.0);
  expect_op(WEFT_OP_ATTENTION_BACKWARD, 6, 8, 8, a, 5 * 6 * 2 * (3 + 1.75) + 2 * 6 * 1.75 / 2 + 42 * 8 / 16.0);
  // a cache of 9 keys: 5 on a row. 2 products x 2 tokens x 2 features, sums along columns and over the 2 rows
  weft_attributes c = {.batch = 2, .heads = 2, .kv_heads = 2, .head_dim = 4, .context = 9};
  expect_op(WEFT_OP_ATTENTION_CACHED, 2, 8, 8, c, 8 * (3 + 5) + 2 * 5 / 2.0 + 36 * 4 / 16.0 + (2 * 4 + 1 + 5));
}

static void norms_and_elementwise_on_a_mesh(void **state) {
  (void)state;
  weft_attributes none = {0};
  expect_op(WEFT_OP_ADD, 6, 10, 10, none, 3 + 9 / 2.0);
  // four operations an element; then 3 words summed over 4 columns in 2 + 2 stages and sent back
  expect_op(WEFT_OP_RMS_NORM, 6, 10, 10, none, 4 * (3 + 9 / 2.0) + (6 + 3 + 5 * 2) + (3 + 4 + 4));
}

// Two rows in one group: both gather all 6 tokens, and each makes 3 of the 5 outputs. Needs room for 3 x 3 more
// elements.
static void rows_gather_tokens_where_there_is_room(void **state) {
  (void)state;
  for (int room = 35; room <= 36; ++room) {
    mesh();
    r.schedule.memory_limit = (uint64_t)room;
    step_on_mesh(WEFT_OP_LINEAR, 6, 10, 5, (weft_attributes){0});
    expect_cycles(room == 36 ? 3 * 3 * (3 + 6) + 3 * 6 / 2.0 : 97.5, 10);
  }
}

static void layers_cost_a_switch_per_pass(void **state) {
  (void)state;
  mesh();
  r.machine.layer_seconds = 1e-6;
  for (int i = 0; i < 3; ++i) step_on_mesh(WEFT_OP_ADD, 6, 10, 10, (weft_attributes){0})->layer = i / 2;
  step_on_mesh(WEFT_OP_ADD, 6, 10, 10, (weft_attributes){0});  // outside the blocks: none
  weft_step *backward = step_on_mesh(WEFT_OP_ADD, 6, 10, 10, (weft_attributes){0});
  backward->layer = 1;
  backward->phase = WEFT_BACKWARD;
  rig_repeat(&r, 2);
  expect_cycles(2 * 5 * 7.5, 2 * 5 * 10 + 3 * 1000);  // in the first iteration only
}

// 50 x 10 values of f32 at 4 GB/s, in the first iteration, and not where another step has begun the sum.
static void gradients_of_tables_begin_as_zeros(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t table = rig_tensor(&r, 50, 10, WEFT_STORE_GRADIENT, WEFT_NONE);
  for (int adds = 0; adds < 2; ++adds) {
    uint32_t step = rig_step(&r, WEFT_QUEUE_STREAM_OUT, WEFT_OP_EMBED_BACKWARD, 1000, WEFT_NONE);
    r.steps[step].outputs[0] = table;
    r.steps[step].attributes.accumulate = adds != 0;
  }
  rig_repeat(&r, 2);
  rig_run(&r);
  rig_expect(&r, 0, 0, 0, 1500, 1500);
  rig_expect(&r, 1, 0, 1500, 2500, 1000);
  rig_expect(&r, 0, 1, 2500, 3500, 1000);
}

static void add_rate(weft_rate *rates, weft_op op, double rows, double flops, double bytes, double ns) {
  rates[r.machine.roofline.rate_count++] = (weft_rate){op, WEFT_F32, rows, flops, bytes, ns * 1e-9};
  r.machine.roofline.rates = rates;
}

static void expect_linear(uint64_t rows, uint64_t flops, double ns) {
  r.schedule.step_count = 0;
  uint32_t step = rig_compute(&r, flops, WEFT_NONE);
  r.steps[step].rows = rows;
  rig_run(&r);
  rig_expect_total(&r, ns);
}

static void measured_rates_are_interpolated(void **state) {
  (void)state;
  weft_rate rates[8];
  rig_init(&r, WEFT_ROOFLINE);
  add_rate(rates, WEFT_OP_LINEAR, 16, 6400, 1, 51200);  // 1/8 FLOP/ns at 400 per row; order does not matter
  add_rate(rates, WEFT_OP_LINEAR, 16, 1600, 1, 3200);   // 1/2 at 100
  add_rate(rates, WEFT_OP_LINEAR, 64, 6400, 1, 51200);  // 1/8 at 100 and 64 rows
  expect_linear(16, 1600, 3200);
  expect_linear(16, 6400, 51200);
  expect_linear(64, 6400, 51200);
  expect_linear(16, 3200, 12800);  // half way in logarithms: 1/4
  expect_linear(32, 3200, 12800);
  expect_linear(16, 25600, 204800);  // beyond: the last rate
  expect_linear(4, 400, 800);        // fewer rows: those of the smallest
  r.schedule.run.dtype = WEFT_BF16;  // not measured: the roofline
  expect_linear(16, 1600, 1600);
}

static void no_rate_beats_the_peak(void **state) {
  (void)state;
  weft_rate rates[1];
  rig_init(&r, WEFT_ROOFLINE);
  add_rate(rates, WEFT_OP_LINEAR, 16, 1600, 1, 800);
  expect_linear(16, 1600, 1600);
  assert_true(r.report.step_seconds >= r.report.bound_seconds);
}

static void measured_streams_and_updates(void **state) {
  (void)state;
  weft_rate rates[2];
  rig_init(&r, WEFT_ROOFLINE);
  r.schedule.run.dtype = WEFT_BF16;
  add_rate(rates, WEFT_OP_LOAD, 1, 0, 1000, 4000);
  add_rate(rates, WEFT_OP_ADAMW, 7, 500, 1000, 2000);
  uint32_t in = rig_in(&r, 2000, WEFT_NONE), update = rig_update(&r, 2000, in);
  r.steps[update].flops = 1000;
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 8000, 8000);
  rig_expect(&r, update, 0, 8000, 12000, 4000);
}

static void roofline_has_two_roofs(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.machine.roofline.memory_bytes_per_second = 1e9;
  r.machine.roofline.memory_efficiency = 0.5;
  r.machine.roofline.compute_efficiency = 0.25;
  r.machine.roofline.step_seconds = 100e-9;
  uint32_t narrow = rig_compute(&r, 10, WEFT_NONE), wide = rig_compute(&r, 5000, WEFT_NONE);
  r.steps[narrow].bytes = r.steps[wide].bytes = 5000;
  rig_run(&r);
  rig_expect(&r, narrow, 0, 0, 10100, 10100);
  rig_expect(&r, wide, 0, 10100, 30200, 20100);
  rig_expect_exposed(&r, WEFT_CAUSE_OVERHEAD, 200);
}

static void every_chunk_is_a_launch_on_a_processor(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.machine.roofline.step_seconds = 100e-9;
  uint32_t in = rig_in(&r, 4, WEFT_NONE), compute = rig_compute(&r, 4000, WEFT_NONE);
  rig_pair(&r, in, compute, 4, 2);
  rig_run(&r);
  rig_expect(&r, compute, 0, 101, 4501, 4400);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_on_a_mesh),
      cmocka_unit_test(sixteen_bits_are_quicker),
      cmocka_unit_test(slow_links_count_instead_of_cores),
      cmocka_unit_test(rectangle_of_the_step_counts),
      cmocka_unit_test(attention_on_a_mesh),
      cmocka_unit_test(norms_and_elementwise_on_a_mesh),
      cmocka_unit_test(rows_gather_tokens_where_there_is_room),
      cmocka_unit_test(layers_cost_a_switch_per_pass),
      cmocka_unit_test(gradients_of_tables_begin_as_zeros),
      cmocka_unit_test(measured_rates_are_interpolated),
      cmocka_unit_test(no_rate_beats_the_peak),
      cmocka_unit_test(measured_streams_and_updates),
      cmocka_unit_test(roofline_has_two_roofs),
      cmocka_unit_test(every_chunk_is_a_launch_on_a_processor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
