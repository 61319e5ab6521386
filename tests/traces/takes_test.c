// Takes: is it the median that is replayed, whole and in order?
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traces/takes.h"

typedef struct heard {
  uint64_t events, samples, first_start;
} heard;

static weft_status hear_event(void *context, const weft_trace_event *event) {
  heard *h = context;
  if (h->events++ == 0) h->first_start = event->start_ns;
  assert_int_equal(event->step, h->events - 1);
  return NULL;
}

static weft_status hear_sample(void *context, weft_counter counter, uint64_t time_ns, double value) {
  heard *h = context;
  assert_int_equal(counter, WEFT_COUNTER_MEMORY);
  assert_int_equal(time_ns, h->samples);
  assert_true(value == 2.5);
  ++h->samples;
  return NULL;
}

static void record(weft_trace_takes *takes, uint64_t mark, uint32_t events, double seconds) {
  weft_trace_sink sink = weft_trace_takes_sink(takes);
  for (uint32_t i = 0; i < events; ++i)
    assert_null(sink.event(sink.context, &(weft_trace_event){.step = i, .start_ns = mark, .end_ns = mark + 1}));
  for (uint32_t i = 0; i < events / 2; ++i) assert_null(sink.counter(sink.context, WEFT_COUNTER_MEMORY, i, 2.5));
  weft_trace_takes_end(takes, seconds);
}

static void expect(const weft_trace_takes *takes, uint64_t take, double seconds, uint64_t mark, uint64_t events) {
  heard h = {0};
  weft_trace_sink sink = {&h, hear_event, hear_sample};
  uint64_t number;
  double took;
  assert_null(weft_trace_takes_replay(takes, &sink, &number, &took));
  assert_int_equal(number, take);
  assert_true(took == seconds);
  assert_int_equal(h.first_start, mark);
  assert_int_equal(h.events, events);
  assert_int_equal(h.samples, events / 2);
}

static void the_median_is_replayed(void **state) {
  (void)state;
  weft_trace_takes *takes = weft_trace_takes_create(3);
  heard h = {0};
  weft_trace_sink sink = {&h, hear_event, hear_sample};
  weft_status status = weft_trace_takes_replay(takes, &sink, NULL, NULL);
  assert_int_equal(weft_status_code(status), WEFT_FAILED);
  weft_status_free(status);
  record(takes, 100, 10, 5.0);
  expect(takes, 0, 5.0, 100, 10);
  record(takes, 200, 400, 1.0);
  expect(takes, 1, 1.0, 200, 400);  // of two, the lower
  record(takes, 300, 7, 2.0);
  expect(takes, 2, 2.0, 300, 7);
  record(takes, 400, 20, 9.0);  // the first is forgotten: 1, 2, 9
  expect(takes, 2, 2.0, 300, 7);
  record(takes, 500, 30, 9.0);  // 2, 9, 9: the earlier of the equal ones
  expect(takes, 3, 9.0, 400, 20);
  weft_trace_takes_destroy(takes);
}

static void an_error_of_the_sink_comes_back(void **state) {
  (void)state;
  weft_trace *trace = weft_trace_create(&(weft_trace_header){.step_count = 1, .body = 1, .iterations = 1});
  weft_trace_takes *takes = weft_trace_takes_create(1);
  record(takes, 0, 2, 1.0);  // step 1 does not exist
  weft_trace_sink sink = weft_trace_sink_of(trace);
  weft_status status = weft_trace_takes_replay(takes, &sink, NULL, NULL);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  weft_status_free(status);
  weft_trace_takes_destroy(takes);
  weft_trace_destroy(trace);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_median_is_replayed),
                                     cmocka_unit_test(an_error_of_the_sink_comes_back)};
  return cmocka_run_group_tests_name("traces/takes", tests, NULL, NULL);
}
