// Writing, reading back, checking, summing up and comparing traces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/traces/sample.h"

static void assert_ok(weft_status status) {
  if (status) fail_msg("unexpected failure: %s", weft_status_message(status));
}

// The status is a failure whose message holds `text`; frees it.
static void assert_failure(weft_status status, weft_code code, const char *text) {
  assert_non_null(status);
  if (!strstr(weft_status_message(status), text))
    fail_msg("\"%s\" does not hold \"%s\"", weft_status_message(status), text);
  assert_int_equal(weft_status_code(status), code);
  weft_status_free(status);
}

static void write_sample(const char *path, weft_trace_kind kind, const char *computer, double slowness) {
  weft_trace_header header = sample_header(kind, computer);
  weft_trace_writer *writer = NULL;
  assert_ok(weft_trace_writer_open(path, sample_schedule(), &header, &writer));
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  sample_run(slowness, &sink);
  assert_ok(weft_trace_writer_close(writer));
}

static weft_trace *collect_sample(weft_trace_kind kind, const char *computer, double slowness) {
  weft_trace_header header = sample_header(kind, computer);
  weft_trace *trace = weft_trace_create(&header);
  weft_trace_sink sink = weft_trace_sink_of(trace);
  sample_run(slowness, &sink);
  weft_trace_sort(trace);
  weft_trace_name_steps(trace, sample_schedule());
  return trace;
}

static void assert_same_event(const weft_trace_event *a, const weft_trace_event *b) {
  assert_int_equal(a->step, b->step);
  assert_int_equal(a->iteration, b->iteration);
  assert_int_equal(a->queue, b->queue);
  assert_int_equal(a->lane, b->lane);
  assert_int_equal(a->start_ns, b->start_ns);
  assert_int_equal(a->end_ns, b->end_ns);
  assert_int_equal(a->busy_ns, b->busy_ns);
  assert_int_equal(a->bytes, b->bytes);
  assert_true(a->flops == b->flops);
}

static void assert_same_trace(const weft_trace *a, const weft_trace *b) {
  assert_int_equal(a->header.kind, b->header.kind);
  assert_int_equal(a->header.schedule_hash, b->header.schedule_hash);
  assert_int_equal(a->header.step_count, b->header.step_count);
  assert_int_equal(a->header.body, b->header.body);
  assert_int_equal(a->header.iterations, b->header.iterations);
  assert_string_equal(a->header.network, b->header.network);
  assert_string_equal(a->header.machine, b->header.machine);
  assert_string_equal(a->header.timed_on, b->header.timed_on);
  assert_string_equal(a->header.maker, b->header.maker);
  assert_int_equal(a->event_count, b->event_count);
  for (uint64_t e = 0; e < a->event_count; ++e) assert_same_event(&a->events[e], &b->events[e]);
  for (uint32_t s = 0; s < a->header.step_count; ++s) {
    assert_string_equal(a->step_names[s], b->step_names[s]);
    assert_string_equal(a->step_ops[s], b->step_ops[s]);
  }
  assert_int_equal(a->counter_samples, b->counter_samples);
}

static void reads_back_what_was_written(void **state) {
  (void)state;
  const char *paths[] = {"round.pftrace", "round.pftrace.gz"};
  for (int p = 0; p < 2; ++p) {
    write_sample(paths[p], WEFT_TRACE_MEASURED, "a computer", 1);
    assert_false(weft_file_exists(p == 0 ? "round.pftrace.part" : "round.pftrace.gz.part"));
    weft_trace *read = NULL, *collected = collect_sample(WEFT_TRACE_MEASURED, "a computer", 1);
    assert_ok(weft_trace_read(paths[p], &read));
    assert_int_equal(read->event_count, SAMPLE_EVENTS);
    assert_int_equal(read->counter_samples, SAMPLE_COUNTERS);
    assert_int_equal(read->flows, SAMPLE_FLOWS);
    assert_same_trace(collected, read);
    assert_ok(weft_trace_check(read));
    weft_trace_destroy(read);
    weft_trace_destroy(collected);
  }
  weft_mapping plain, packed;
  assert_ok(weft_mapping_open(paths[0], &plain));
  assert_ok(weft_mapping_open(paths[1], &packed));
  assert_true(packed.size < plain.size / 2);
  assert_int_equal(packed.bytes[0], 0x1f);
  weft_mapping_close(&plain);
  weft_mapping_close(&packed);
}

// Golden: what the file is made of may not change unnoticed. Perfetto's own trace_processor has accepted these bytes
// (scripts/check-trace); whoever changes them runs that again and puts the new hash here.
static void writes_the_same_bytes_every_time(void **state) {
  (void)state;
  write_sample("golden.pftrace", WEFT_TRACE_SIMULATED, "sample-mesh", 1);
  weft_mapping mapping;
  assert_ok(weft_mapping_open("golden.pftrace", &mapping));
  uint64_t hash = weft_hash_bytes(mapping.bytes, mapping.size);
  if (hash != UINT64_C(0x48e803b7a231a229)) fail_msg("%zu bytes, hash 0x%016" PRIx64, mapping.size, hash);
  weft_mapping_close(&mapping);
}

// However a maker orders its calls, the file is the same.
static void sorts_what_comes_in_any_order(void **state) {
  (void)state;
  weft_trace *trace = collect_sample(WEFT_TRACE_SIMULATED, "sample-mesh", 1);
  weft_trace_writer *writer = NULL;
  assert_ok(weft_trace_writer_open("reverse.pftrace", sample_schedule(), &trace->header, &writer));
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  for (uint64_t e = trace->event_count; e-- > 0;) assert_ok(sink.event(sink.context, &trace->events[e]));
  assert_ok(weft_trace_writer_close(writer));
  weft_trace *read = NULL;
  assert_ok(weft_trace_read("reverse.pftrace", &read));
  trace->counter_samples = 0;
  assert_same_trace(trace, read);
  weft_trace_destroy(read);
  weft_trace_destroy(trace);
}

// More events than the writer holds back, with ties on every boundary: 100,000 runs of one step.
static void streams_more_than_it_holds(void **state) {
  (void)state;
  weft_schedule schedule = *sample_schedule();
  schedule.iterations = 100000;
  schedule.body = schedule.step_count = 2;
  weft_trace_header header = sample_header(WEFT_TRACE_SIMULATED, "sample-mesh");
  header.body = header.step_count = 2;
  header.iterations = schedule.iterations;
  weft_trace_writer *writer = NULL;
  assert_ok(weft_trace_writer_open("long.pftrace.gz", &schedule, &header, &writer));
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  for (uint32_t i = 0; i < schedule.iterations; ++i)
    for (uint32_t s = 0; s < 2; ++s) {
      weft_trace_event event = {
          .step = s, .iteration = i, .queue = schedule.steps[s].queue, .start_ns = 10 * i, .end_ns = 10 * i + 10};
      assert_ok(sink.event(sink.context, &event));
    }
  assert_ok(weft_trace_writer_close(writer));
  weft_trace *read = NULL;
  assert_ok(weft_trace_read("long.pftrace.gz", &read));
  assert_int_equal(read->event_count, 200000);
  assert_int_equal(read->flows, 100000);
  assert_ok(weft_trace_check(read));
  assert_true(fabs(weft_trace_span_s(read) - 1e-3) < 1e-12);
  weft_trace_destroy(read);
}

static void draws_overlaps_apart(void **state) {
  (void)state;
  weft_trace_header header = sample_header(WEFT_TRACE_SIMULATED, "sample-mesh");
  weft_trace_writer *writer = NULL;
  assert_ok(weft_trace_writer_open("overlap.pftrace", sample_schedule(), &header, &writer));
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  for (uint32_t i = 0; i < 3; ++i) {  // all at once on compute's lane 0
    weft_trace_event event = {.step = 1, .iteration = i, .queue = WEFT_QUEUE_COMPUTE, .start_ns = i, .end_ns = 100};
    assert_ok(sink.event(sink.context, &event));
  }
  assert_ok(weft_trace_writer_close(writer));
  weft_trace *read = NULL;
  assert_ok(weft_trace_read("overlap.pftrace", &read));
  assert_int_equal(read->event_count, 3);
  for (uint32_t i = 0; i < 3; ++i) {
    assert_int_equal(read->events[i].start_ns, i);
    assert_int_equal(read->events[i].end_ns, 100);
    assert_int_equal(read->events[i].lane, 0);
  }
  weft_trace_destroy(read);
}

static void sinks_refuse_what_cannot_be(void **state) {
  (void)state;
  weft_trace_header header = sample_header(WEFT_TRACE_SIMULATED, "sample-mesh");
  weft_trace *trace = weft_trace_create(&header);
  weft_trace_sink sink = weft_trace_sink_of(trace);
  weft_trace_event good = {.step = 1, .queue = WEFT_QUEUE_COMPUTE, .end_ns = 5}, bad = good;
  bad.step = SAMPLE_STEPS;
  assert_failure(sink.event(trace, &bad), WEFT_INVALID, "step 14: the schedule has steps 0 to 13");
  bad = good, bad.iteration = SAMPLE_ITERATIONS;
  assert_failure(sink.event(trace, &bad), WEFT_INVALID, "iteration 3, but it runs 3 times");
  bad = good, bad.queue = WEFT_QUEUE_COUNT;
  assert_failure(sink.event(trace, &bad), WEFT_INVALID, "queue 5");
  bad = good, bad.lane = 2;
  assert_failure(sink.event(trace, &bad), WEFT_INVALID, "lane 2");
  bad = good, bad.start_ns = 6;
  assert_failure(sink.event(trace, &bad), WEFT_INVALID, "from 6 to 5 ns");
  bad = good, bad.flops = NAN;
  assert_failure(sink.event(trace, &bad), WEFT_INVALID, "nan FLOPs");
  assert_failure(sink.counter(trace, WEFT_COUNTER_MEMORY, 0, INFINITY), WEFT_INVALID, "inf");
  assert_int_equal(trace->event_count + trace->counter_samples, 0);
  weft_trace_event once = {.step = 12, .iteration = SAMPLE_ITERATIONS - 1, .queue = WEFT_QUEUE_UPDATE};
  assert_ok(sink.event(trace, &once));
  assert_int_equal(trace->events[0].iteration, 0);
  weft_trace_destroy(trace);
}

static void check_finds_what_is_wrong(void **state) {
  (void)state;
  weft_trace *trace = collect_sample(WEFT_TRACE_MEASURED, "a computer", 1);
  assert_ok(weft_trace_check(trace));
  weft_trace_event last = trace->events[--trace->event_count];
  assert_failure(weft_trace_check(trace), WEFT_INVALID, "step 13 did not run");
  trace->events[trace->event_count++] = last;
  uint64_t end = trace->events[1].end_ns;
  trace->events[1].end_ns = trace->events[3].start_ns + 1;
  assert_failure(weft_trace_check(trace), WEFT_INVALID, "on compute lane 0, where step 1");
  trace->events[1].end_ns = end;
  trace->events[2].iteration = 1;
  weft_trace_sort(trace);
  assert_failure(weft_trace_check(trace), WEFT_INVALID, "step 2 did not run in iteration 0 of 3");
  weft_trace_destroy(trace);
  trace = collect_sample(WEFT_TRACE_MEASURED, "a computer", 1);
  trace->events[4].busy_ns = 151;
  assert_failure(weft_trace_check(trace), WEFT_INVALID, "busy for 151 ns of 150");
  trace->events[4].busy_ns = 0;
  trace->events[4].step = 3;
  weft_trace_sort(trace);
  assert_failure(weft_trace_check(trace), WEFT_INVALID, "ran more than once in iteration 0");
  weft_trace_destroy(trace);
}

static void reader_names_what_is_wrong(void **state) {
  (void)state;
  weft_trace *trace = NULL;
  assert_failure(weft_trace_read("no-such-file.pftrace", &trace), WEFT_INVALID, "no-such-file.pftrace: No such file");
  assert_failure(weft_trace_read(".", &trace), WEFT_INVALID, "not a regular file");
  assert_ok(weft_file_write("empty.pftrace", "", 0));
  assert_failure(weft_trace_read("empty.pftrace", &trace), WEFT_INVALID, "ends before Weft's header");
  assert_ok(weft_file_write("text.pftrace", "[{\"name\":1}]", 12));
  assert_failure(weft_trace_read("text.pftrace", &trace), WEFT_INVALID,
                 "byte 0: byte 0x5b where a packet's tag 0x0a should be");
  write_sample("whole.pftrace", WEFT_TRACE_SIMULATED, "sample-mesh", 1);
  weft_mapping whole;
  assert_ok(weft_mapping_open("whole.pftrace", &whole));
  assert_ok(weft_file_write("cut.pftrace", whole.bytes, whole.size - 3));
  assert_failure(weft_trace_read("cut.pftrace", &trace), WEFT_INVALID, "cut short: 3 more bytes should follow");
  uint8_t *twice = malloc(whole.size * 2);
  memcpy(twice, whole.bytes, whole.size);
  memcpy(twice + whole.size, whole.bytes, whole.size);
  assert_ok(weft_file_write("twice.pftrace", twice, whole.size * 2));
  assert_failure(weft_trace_read("twice.pftrace", &trace), WEFT_INVALID, "two traces in one file");
  free(twice);
  weft_mapping_close(&whole);
  write_sample("whole.pftrace.gz", WEFT_TRACE_SIMULATED, "sample-mesh", 1);
  assert_ok(weft_mapping_open("whole.pftrace.gz", &whole));
  assert_ok(weft_file_write("cut.pftrace.gz", whole.bytes, whole.size / 2));
  assert_failure(weft_trace_read("cut.pftrace.gz", &trace), WEFT_INVALID, "cut.pftrace.gz: packet");
  weft_mapping_close(&whole);
  assert_null(trace);
}

static void writer_reports_a_place_it_cannot_write(void **state) {
  (void)state;
  weft_trace_header header = sample_header(WEFT_TRACE_SIMULATED, "sample-mesh");
  weft_trace_writer *writer = NULL;
  assert_failure(weft_trace_writer_open("no/such/folder/t.pftrace", sample_schedule(), &header, &writer), WEFT_FAILED,
                 "No such file");
  assert_null(writer);
  assert_ok(weft_trace_writer_open("abandoned.pftrace", sample_schedule(), &header, &writer));
  weft_trace_writer_abandon(writer);
  assert_false(weft_file_exists("abandoned.pftrace"));
  assert_false(weft_file_exists("abandoned.pftrace.part"));
  assert_ok(weft_trace_writer_close(NULL));
}

static json_t *print_json(const weft_trace *trace, const weft_comparison *comparison) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  if (trace) weft_trace_print_summary(trace, WEFT_TABLE_JSON, out);
  if (comparison) weft_comparison_print(comparison, WEFT_TABLE_JSON, out);
  fclose(out);
  json_t *root = json_loads(text, 0, NULL);
  assert_non_null(root);
  free(text);
  return root;
}

static json_t *row_named(json_t *root, const char *by, const char *name) {
  size_t index;
  json_t *row;
  json_array_foreach(json_object_get(root, "rows"), index,
                     row) if (strcmp(json_string_value(json_object_get(row, "by")), by) == 0 &&
                              strcmp(json_string_value(json_object_get(row, "name")), name) == 0) return row;
  fail_msg("no row %s %s", by, name);
  return NULL;
}

static double number(json_t *object, const char *key) {
  json_t *value = json_object_get(object, key);
  assert_true(json_is_number(value));
  return json_number_value(value);
}

static void summary_adds_up(void **state) {
  (void)state;
  weft_trace *trace = collect_sample(WEFT_TRACE_MEASURED, "a computer", 1);
  json_t *root = print_json(trace, NULL), *head = json_object_get(root, "trace");
  assert_int_equal(number(head, "events"), SAMPLE_EVENTS);
  assert_int_equal(number(head, "counter_samples"), SAMPLE_COUNTERS);
  assert_true(json_is_true(json_object_get(head, "complete")));
  assert_true(fabs(number(head, "span_s") - 3800e-9) < 1e-15);
  json_t *queue = row_named(root, "queue", "stream-in");
  assert_int_equal(number(queue, "events"), 12);
  assert_true(fabs(number(queue, "busy_s") - 12 * 75e-9) < 1e-15);
  assert_int_equal(number(queue, "bytes"), 3 * (1000 + 1002 + 1004 + 1008));
  assert_true(fabs(number(queue, "share_pct") - 100 * 900.0 / 3800) < 1e-9);
  assert_true(fabs(number(row_named(root, "op", "linear"), "flops") - 3 * (2e9 + 4)) < 1);
  assert_int_equal(number(row_named(root, "op", "adamw"), "events"), 2);
  assert_int_equal(number(row_named(root, "all", "all"), "events"), SAMPLE_EVENTS);
  json_decref(root);
  weft_trace_destroy(trace);
}

static void compares_times_of_one_computer(void **state) {
  (void)state;
  weft_trace *predicted = collect_sample(WEFT_TRACE_SIMULATED, "a computer", 1);
  weft_trace *measured = collect_sample(WEFT_TRACE_MEASURED, "a computer", 2);
  weft_comparison *c = NULL;
  assert_ok(weft_compare(predicted, measured, &c));
  assert_int_equal(c->joined, SAMPLE_EVENTS);
  assert_int_equal(c->only_predicted + c->only_measured, 0);
  assert_true(c->coverage_pct == 100 && c->same_work && c->times_comparable);
  assert_true(fabs(c->predicted_s - 3800e-9) < 1e-15 && fabs(c->measured_s - 7600e-9) < 1e-15);
  assert_true(fabs(c->error_pct + 50) < 1e-9 && fabs(c->median_step_error_pct - 50) < 1e-9);
  assert_int_equal(c->queue_count, 4);
  assert_int_equal(c->op_count, 6);
  assert_string_equal(c->queues[0].name, "stream-in");
  assert_true(fabs(c->queues[0].measured_s - 12 * 150e-9) < 1e-15 && fabs(c->queues[0].error_pct + 50) < 1e-9);
  assert_true(c->ops[0].measured_s >= c->ops[5].measured_s);
  weft_comparison_destroy(c);
  weft_trace_destroy(predicted);
  weft_trace_destroy(measured);
}

static void compares_only_work_of_two_computers(void **state) {
  (void)state;
  weft_trace *predicted = collect_sample(WEFT_TRACE_SIMULATED, "sample-mesh", 1);
  weft_trace *measured = collect_sample(WEFT_TRACE_MEASURED, "a computer", 2);
  measured->events[5].bytes += 1;
  weft_comparison *c = NULL;
  assert_ok(weft_compare(predicted, measured, &c));
  assert_false(c->times_comparable);
  assert_false(c->same_work);
  assert_int_equal(c->work_differs, 1);
  assert_true(isnan(c->predicted_s) && isnan(c->measured_s) && isnan(c->error_pct) && isnan(c->median_step_error_pct));
  assert_true(isnan(c->ops[0].predicted_s) && isnan(c->queues[0].error_pct));
  json_t *root = print_json(NULL, c);
  assert_true(json_is_null(json_object_get(json_object_get(root, "comparison"), "error_pct")));
  json_t *row = row_named(root, "op", "linear_backward_input");
  assert_true(json_is_null(json_object_get(row, "measured_s")));
  assert_int_equal(number(row, "measured_bytes") - number(row, "predicted_bytes"), 1);
  json_decref(root);
  weft_comparison_destroy(c);
  weft_trace_destroy(predicted);
  weft_trace_destroy(measured);
}

static void compares_what_both_have(void **state) {
  (void)state;
  weft_trace *predicted = collect_sample(WEFT_TRACE_SIMULATED, "a computer", 1);
  weft_trace *measured = collect_sample(WEFT_TRACE_MEASURED, "a computer", 1);
  measured->event_count -= 2;                                                    // the updates were skipped
  for (int e = 0; e < 36; ++e) predicted->events[e] = predicted->events[e + 1];  // step 0 lost one of its three runs
  predicted->events[36] = predicted->events[37];
  --predicted->event_count;
  weft_comparison *c = NULL;
  assert_ok(weft_compare(predicted, measured, &c));
  assert_int_equal(c->joined, 35);
  assert_int_equal(c->only_predicted, 2);
  assert_int_equal(c->only_measured, 1);
  assert_true(fabs(c->coverage_pct - 100.0 * 11 / 14) < 1e-9);
  weft_comparison_destroy(c);
  measured->header.schedule_hash ^= 1;
  assert_failure(weft_compare(predicted, measured, &c), WEFT_INVALID, "different schedules: 0xfedcba9876543210");
  weft_trace_destroy(predicted);
  weft_trace_destroy(measured);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reads_back_what_was_written),
                                     cmocka_unit_test(writes_the_same_bytes_every_time),
                                     cmocka_unit_test(sorts_what_comes_in_any_order),
                                     cmocka_unit_test(streams_more_than_it_holds),
                                     cmocka_unit_test(draws_overlaps_apart),
                                     cmocka_unit_test(sinks_refuse_what_cannot_be),
                                     cmocka_unit_test(check_finds_what_is_wrong),
                                     cmocka_unit_test(reader_names_what_is_wrong),
                                     cmocka_unit_test(writer_reports_a_place_it_cannot_write),
                                     cmocka_unit_test(summary_adds_up),
                                     cmocka_unit_test(compares_times_of_one_computer),
                                     cmocka_unit_test(compares_only_work_of_two_computers),
                                     cmocka_unit_test(compares_what_both_have)};
  return cmocka_run_group_tests_name("traces", tests, NULL, NULL);
}
