// What the report says: bounds, bottlenecks, counters, and its two printed forms.
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/rig.h"

#include <cmocka.h>

static rig r;

static void expect_bound(weft_cause cause, double ns) {
  rig_run(&r);
  assert_int_equal(r.report.bound_cause, cause);
  assert_float_equal((float)(r.report.bound_seconds * 1e9), (float)ns, 1e-3f);
  assert_true(r.report.step_seconds >= r.report.bound_seconds * (1 - 1e-9));
}

static void bound_is_the_busiest_resource(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 1000, WEFT_NONE), compute = rig_compute(&r, 5000, in), out = rig_out(&r, 900, compute);
  rig_repeat(&r, 2);
  expect_bound(WEFT_CAUSE_COMPUTE, 10000);
  r.steps[in].bytes = 6000;
  expect_bound(WEFT_CAUSE_STREAM_IN, 12000);
  r.steps[out].bytes = 7000;
  expect_bound(WEFT_CAUSE_STREAM_OUT, 14000);
  uint32_t update = rig_update(&r, 100000, out);
  r.schedule.body = update;
  expect_bound(WEFT_CAUSE_UPDATE, (2 * 13000 + 100000) / 4.0);
  r.schedule.run.systems = 4;
  r.machine.swarm_bytes_per_second = 0.1e9;  // limits streams as well
  expect_bound(WEFT_CAUSE_STREAM_OUT, 140000);
}

static void figures_follow_from_the_work(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  r.schedule.run.batch = 8;
  r.schedule.run.sequence = 100;
  r.schedule.run.systems = 2;
  uint32_t kept = rig_compute(&r, 3000, WEFT_NONE), again = rig_compute(&r, 1000, kept);
  r.steps[again].recomputed = true;
  rig_run(&r);
  rig_expect_total(&r, 4000);
  assert_float_equal((float)r.report.tokens_per_second, 800 / 4e-6f, 1);
  assert_float_equal((float)r.report.flops_per_second, 1.5e9f, 1);
  assert_float_equal((float)r.report.utilisation, 0.75f, 1e-6f);
  assert_float_equal((float)r.report.busy_seconds[WEFT_QUEUE_COMPUTE], 4e-6f, 1e-12f);
}

static void expect_words(const char *word, const char *other) {
  rig_run(&r);
  if (!strstr(r.report.bottleneck, word) || !strstr(r.report.bottleneck, other))
    fail_msg("\"%s\" does not speak of %s and %s", r.report.bottleneck, word, other);
  assert_true(strlen(r.report.bottleneck) < sizeof r.report.bottleneck - 1);
}

static void bottleneck_names_its_resource(void **state) {
  (void)state;
  rig_init(&r, WEFT_MESH);
  strcpy(r.machine.name, "mesh");
  uint32_t compute = rig_compute(&r, 1000, WEFT_NONE);
  expect_words("Compute takes", "4x2 cores");
  uint32_t in = rig_in(&r, 100000, compute);
  expect_words("weights to come in", "wafer I/O, at 1 GB/s");
  r.schedule.run.systems = 2;
  r.machine.swarm_bytes_per_second = 0.5e9;
  expect_words("weights to come in", "the tree's port, at 500 MB/s");
  uint32_t out = rig_out(&r, 1000000, in);
  expect_words("gradients to leave", "the tree's port");
  uint32_t reduce = rig_reduce(&r, 2000000, out);
  expect_words("over 2 systems", "tree");
  rig_update(&r, 100000000, reduce);
  expect_words("optimizer", "4 GB/s");
  r.machine.layer_seconds = 1;
  r.steps[compute].layer = 0;
  expect_words("Fixed costs", "a larger micro-batch");
}

// Slot 0 holds one tensor after the other, slot 1 another beside them.
static void memory_is_counted_by_lifetimes(void **state) {
  (void)state;
  static const weft_slot slots[] = {{0, 1000, 1000}, {1000, 500, 500}, {1500, 70, 70}};
  rig_init(&r, WEFT_ROOFLINE);
  r.schedule.slots = (weft_slot *)(uintptr_t)slots;
  r.schedule.slot_count = 3;
  uint32_t first = rig_tensor(&r, 1, 1, WEFT_ACTIVATION, 0), second = rig_tensor(&r, 1, 1, WEFT_ACTIVATION, 0);
  uint32_t beside = rig_tensor(&r, 1, 1, WEFT_ACTIVATION, 1), cache = rig_tensor(&r, 1, 1, WEFT_CACHE, 2);
  uint32_t a = rig_compute(&r, 100000, WEFT_NONE), b = rig_compute(&r, 100000, a);
  r.steps[a].outputs[0] = first;
  r.steps[b].outputs[0] = second;
  rig_run(&r);
  assert_float_equal((float)r.highest[WEFT_COUNTER_MEMORY], 1070, 0);
  r.steps[b].inputs[0] = beside;
  r.steps[b].inputs[1] = cache;
  rig_run(&r);
  assert_float_equal((float)r.highest[WEFT_COUNTER_MEMORY], 1570, 0);
  assert_int_equal(r.sample_count, 3000);
}

static void stream_rates_are_counted(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 500000, WEFT_NONE), compute = rig_compute(&r, 300000, in);
  rig_out(&r, 200000, compute);
  rig_run(&r);
  assert_float_equal((float)r.highest[WEFT_COUNTER_STREAM_IN], 1.0f, 1e-3f);  // GB/s
  assert_float_equal((float)r.highest[WEFT_COUNTER_STREAM_OUT], 1.0f, 1e-3f);
}

static char *printed(weft_table_form form, double tokens) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  weft_sim_report_print(&r.schedule, &r.report, tokens, form, out);
  fclose(out);
  return text;
}

static void printed_for_people_and_programs(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  uint32_t in = rig_in(&r, 1000, WEFT_NONE);
  rig_compute(&r, 3000, in);
  rig_run(&r);
  char *text = printed(WEFT_TABLE_TEXT, 257e9);
  assert_non_null(strstr(text, "4 us"));
  assert_non_null(strstr(text, "for 257 billion tokens"));
  assert_non_null(strstr(text, r.report.bottleneck));
  free(text);
  text = printed(WEFT_TABLE_JSON, 86400 * 250000.0 * 2);
  json_t *root = json_loads(text, 0, NULL), *row = json_array_get(root, 0);
  assert_int_equal(json_array_size(root), 1);
  assert_float_equal((float)json_real_value(json_object_get(row, "step_seconds")), 4e-6f, 1e-12f);
  assert_float_equal((float)json_real_value(json_object_get(row, "busy_stream_in_seconds")), 1e-6f, 1e-12f);
  assert_float_equal((float)json_real_value(json_object_get(row, "exposed_compute_seconds")), 3e-6f, 1e-12f);
  assert_float_equal((float)json_real_value(json_object_get(row, "days")), 2, 1e-6f);
  assert_string_equal(json_string_value(json_object_get(row, "bound_cause")), "compute");
  json_decref(root);
  free(text);
  text = printed(WEFT_TABLE_JSON, 0);
  assert_null(strstr(text, "days"));
  free(text);
}

static weft_status refuse(void *context, const weft_trace_event *event) {
  (void)context;
  return weft_error(WEFT_FAILED, "no room for step %u", event->step);
}

static void a_sink_that_fails_ends_the_run(void **state) {
  (void)state;
  rig_init(&r, WEFT_ROOFLINE);
  rig_compute(&r, 3000, WEFT_NONE);
  weft_trace_sink sink = {NULL, refuse, NULL};
  weft_status status = weft_sim_run(&r.schedule, &sink, &r.report);
  assert_int_equal(weft_status_code(status), WEFT_FAILED);
  assert_string_equal(weft_status_message(status), "no room for step 0");
  weft_status_free(status);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bound_is_the_busiest_resource),  cmocka_unit_test(figures_follow_from_the_work),
      cmocka_unit_test(bottleneck_names_its_resource),  cmocka_unit_test(memory_is_counted_by_lifetimes),
      cmocka_unit_test(stream_rates_are_counted),       cmocka_unit_test(printed_for_people_and_programs),
      cmocka_unit_test(a_sink_that_fails_ends_the_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
