// Schedules small enough to be worked out on paper; one unit is a microsecond (1000 bytes or FLOPs).
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/rig.h"

#include <cmocka.h>

static rig r;

// The stream is quicker: it runs two chunks ahead and then waits for the ring.
static void ring_holds_a_quick_stream_back(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 4000, WEFT_NONE), compute = rig_compute(&r, 8000, WEFT_NONE);
  rig_pair(&r, in, compute, 4, 2);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 6000, 4000);  // chunks at 0, 1, 3 and 5
  rig_expect(&r, compute, 0, 1000, 9000, 8000);
  rig_expect_total(&r, 9000);
  rig_expect_exposed(&r, WEFT_CAUSE_STREAM_IN, 1000);
  rig_expect_exposed(&r, WEFT_CAUSE_COMPUTE, 8000);
}

static void compute_waits_for_a_slow_stream(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 8000, WEFT_NONE),
           compute = rig_compute(&r, 4000, in);  // the dependency on its partner adds nothing
  rig_pair(&r, in, compute, 4, 2);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 8000, 8000);
  rig_expect(&r, compute, 0, 2000, 9000, 4000);
  rig_expect_exposed(&r, WEFT_CAUSE_STREAM_IN, 5000);
  rig_expect_exposed(&r, WEFT_CAUSE_COMPUTE, 4000);
}

static void ring_of_one_alternates(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 3000, WEFT_NONE), compute = rig_compute(&r, 3000, WEFT_NONE);
  rig_pair(&r, in, compute, 3, 1);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 5000, 3000);
  rig_expect(&r, compute, 0, 1000, 6000, 3000);
}

static void slow_way_out_holds_compute_back(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t compute = rig_compute(&r, 4000, WEFT_NONE), out = rig_out(&r, 8000, WEFT_NONE);
  rig_pair(&r, compute, out, 4, 2);
  rig_run(&r);
  rig_expect(&r, compute, 0, 0, 6000, 4000);  // chunks at 0, 1, 3 and 5
  rig_expect(&r, out, 0, 1000, 9000, 8000);
  rig_expect_exposed(&r, WEFT_CAUSE_COMPUTE, 4000);
  rig_expect_exposed(&r, WEFT_CAUSE_STREAM_OUT, 5000);
}

// A matrix of 10 rows in chunks of 4: the last one is half as long.
static void last_chunk_is_shorter(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t weight = rig_tensor(&r, 10, 100, WEFT_WEIGHT, WEFT_NONE);
  uint32_t in = rig_in(&r, 10000, WEFT_NONE), compute = rig_compute(&r, 10, WEFT_NONE);
  rig_pair(&r, in, compute, 3, 3);
  r.steps[in].outputs[0] = weight;
  r.steps[in].chunk_rows = r.steps[compute].chunk_rows = 4;
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 10000, 10000);
  rig_expect(&r, compute, 0, 4000, 10002, 10);
}

static void weights_come_ahead_of_their_step(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t a = rig_in(&r, 2000, WEFT_NONE), b = rig_in(&r, 2000, WEFT_NONE);
  uint32_t first = rig_compute(&r, 3000, a), second = rig_compute(&r, 1000, b);
  uint32_t c = rig_in(&r, 1000, first);  // takes over first's slot
  uint32_t third = rig_compute(&r, 1000, c);
  rig_run(&r);
  rig_expect(&r, b, 0, 2000, 4000, 2000);
  rig_expect(&r, first, 0, 2000, 5000, 3000);
  rig_expect(&r, second, 0, 5000, 6000, 1000);
  rig_expect(&r, c, 0, 5000, 6000, 1000);
  rig_expect(&r, third, 0, 6000, 7000, 1000);
}

// Three iterations through all five queues and the tree of four systems, then the update, once.
static void chain_through_all_queues(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.schedule.run.systems = 4;
  r.machine.swarm_latency_seconds = 500e-9;  // fan-out 4: one level
  uint32_t in = rig_in(&r, 1000, WEFT_NONE), compute = rig_compute(&r, 2000, in);
  uint32_t out = rig_out(&r, 3000, compute), reduce = rig_reduce(&r, 1000, out);
  rig_repeat(&r, 3);
  uint32_t update = rig_update(&r, 8000, reduce);  // the store's 4 bytes/ns
  r.schedule.body = update;
  rig_run(&r);
  for (uint32_t i = 0; i < 3; ++i) {
    uint64_t start = 8500 * i;
    rig_expect(&r, in, i, start, start + 1500, 1500);
    rig_expect(&r, compute, i, start + 1500, start + 3500, 2000);
    rig_expect(&r, out, i, start + 3500, start + 7000, 3500);
    rig_expect(&r, reduce, i, start + 7000, start + 8500, 1500);
  }
  rig_expect(&r, update, 2, 25500, 27500, 2000);
  rig_expect_total(&r, 27500);
  rig_expect_exposed(&r, WEFT_CAUSE_STREAM_IN, 4500);
  rig_expect_exposed(&r, WEFT_CAUSE_COMPUTE, 6000);
  rig_expect_exposed(&r, WEFT_CAUSE_STREAM_OUT, 10500);
  rig_expect_exposed(&r, WEFT_CAUSE_REDUCE, 4500);
  rig_expect_exposed(&r, WEFT_CAUSE_UPDATE, 2000);
}

// 17 systems need three levels of fan-out 4; the port is slower than the link.
static void tree_has_depth_and_ports(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.schedule.run.systems = 17;
  r.machine.swarm_latency_seconds = 100e-9;
  r.machine.swarm_bytes_per_second = 0.5e9;
  uint32_t in = rig_in(&r, 1000, WEFT_NONE), reduce = rig_reduce(&r, 1000, in);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 2300, 2300);
  rig_expect(&r, reduce, 0, 2300, 4600, 2300);
}

static void iterations_meet(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 3000, WEFT_NONE), compute = rig_compute(&r, 1000, WEFT_NONE);
  rig_repeat(&r, 2);
  rig_run(&r);
  rig_expect(&r, in, 1, 3000, 6000, 3000);
  rig_expect(&r, compute, 1, 3000, 4000, 1000);
  rig_expect_exposed(&r, WEFT_CAUSE_COMPUTE, 2000);
  rig_expect_exposed(&r, WEFT_CAUSE_STREAM_IN, 4000);
}

// Chunks of the second iteration are counted from its own beginning.
static void rings_work_in_every_iteration(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 4000, WEFT_NONE), compute = rig_compute(&r, 8000, WEFT_NONE);
  rig_pair(&r, in, compute, 4, 2);
  rig_repeat(&r, 3);
  rig_run(&r);
  rig_expect(&r, in, 2, 18000, 24000, 4000);
  rig_expect(&r, compute, 2, 19000, 27000, 8000);
}

// Two cores: compute wants both, a stream one; together they run at two thirds of their speeds.
static void queues_share_cores(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.machine.roofline.shared_cores = true;
  r.machine.roofline.cores = 2;
  uint32_t in = rig_in(&r, 3000, WEFT_NONE), compute = rig_compute(&r, 10000, WEFT_NONE);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 4500, 3000);  // busy: what it works, not how long it takes
  rig_expect(&r, compute, 0, 0, 11500, 11500);
}

// The same cores get less done while they are shared: both at a third of their speeds, then compute alone at all of it.
static void sharing_costs(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.machine.roofline.shared_cores = true;
  r.machine.roofline.cores = 2;
  r.machine.roofline.sharing_efficiency = 0.5;
  uint32_t in = rig_in(&r, 3000, WEFT_NONE), compute = rig_compute(&r, 10000, WEFT_NONE);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 9000, 3000);
  rig_expect(&r, compute, 0, 0, 16000, 16000);
}

static void streams_share_the_store(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.machine.store_bytes_per_second = 1e9;
  uint32_t in = rig_in(&r, 2000, WEFT_NONE), out = rig_out(&r, 3000, WEFT_NONE);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 4000, 4000);
  rig_expect(&r, out, 0, 0, 5000, 5000);
}

static void latency_is_paid_once_per_stream(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.machine.io_latency_seconds = 700e-9;
  uint32_t in = rig_in(&r, 4000, WEFT_NONE), compute = rig_compute(&r, 4, WEFT_NONE);
  rig_pair(&r, in, compute, 4, 2);
  rig_run(&r);
  rig_expect(&r, in, 0, 0, 4700, 4700);
}

static void streams_alternate_lanes(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t first = rig_in(&r, 10, WEFT_NONE), second = rig_in(&r, 10, WEFT_NONE), third = rig_in(&r, 10, WEFT_NONE);
  uint32_t compute = rig_compute(&r, 10, third);
  rig_run(&r);
  assert_int_equal(rig_event(&r, first, 0)->lane, 0);
  assert_int_equal(rig_event(&r, second, 0)->lane, 1);
  assert_int_equal(rig_event(&r, third, 0)->lane, 0);
  assert_int_equal(rig_event(&r, compute, 0)->lane, 0);
}

// Weights arrive in the other order than they are used in, and the ring of the first is too small to hold all of it.
static void deadlock_is_explained(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t late = rig_in(&r, 2000, WEFT_NONE), early = rig_in(&r, 1000, WEFT_NONE);
  uint32_t first = rig_compute(&r, 1000, early), second = rig_compute(&r, 1000, WEFT_NONE);
  rig_pair(&r, late, second, 2, 1);
  (void)first;
  weft_status status = rig_try(&r);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  const char *message = weft_status_message(status);
  assert_non_null(strstr(message, "deadlock"));
  assert_non_null(strstr(message, "step 0 (forward load ) waits for step 3"));
  assert_non_null(strstr(message, "step 2 (forward linear ) waits for step 1"));
  weft_status_free(status);
  rig_pair(&r, late, second, 2, 2);  // with room for both chunks it runs
  rig_run(&r);
  rig_expect_total(&r, 5000);
}

static void runs_are_repeatable(void **state) {
  (void)state;
  static rig first;
  chain_through_all_queues(NULL);
  first = r;
  for (int i = 0; i < 50; ++i) {
    chain_through_all_queues(NULL);
    assert_int_equal(r.event_count, first.event_count);
    assert_memory_equal(r.events, first.events, r.event_count * sizeof *r.events);
    assert_memory_equal(&r.report, &first.report, sizeof r.report);
  }
}

static void empty_schedule_takes_no_time(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  rig_run(&r);
  rig_expect_total(&r, 0);
  assert_int_equal(r.event_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_holds_a_quick_stream_back),
      cmocka_unit_test(compute_waits_for_a_slow_stream),
      cmocka_unit_test(ring_of_one_alternates),
      cmocka_unit_test(slow_way_out_holds_compute_back),
      cmocka_unit_test(last_chunk_is_shorter),
      cmocka_unit_test(weights_come_ahead_of_their_step),
      cmocka_unit_test(chain_through_all_queues),
      cmocka_unit_test(tree_has_depth_and_ports),
      cmocka_unit_test(iterations_meet),
      cmocka_unit_test(rings_work_in_every_iteration),
      cmocka_unit_test(queues_share_cores),
      cmocka_unit_test(sharing_costs),
      cmocka_unit_test(streams_share_the_store),
      cmocka_unit_test(latency_is_paid_once_per_stream),
      cmocka_unit_test(streams_alternate_lanes),
      cmocka_unit_test(deadlock_is_explained),
      cmocka_unit_test(runs_are_repeatable),
      cmocka_unit_test(empty_schedule_takes_no_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
