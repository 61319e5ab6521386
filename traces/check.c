// weft_trace_check: does a trace say something that the schedule allows?
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "traces/event.h"

static const char *name_of(const weft_trace *trace, uint32_t step) {
  return trace->step_names[step] ? trace->step_names[step] : "not named";
}

// Sorted events meet every run of every step in turn: walk both.
static weft_status check_runs(const weft_trace *trace) {
  const weft_trace_header *header = &trace->header;
  uint64_t next = 0;
  for (uint64_t turn = header->body > 0 ? 0 : header->iterations; turn <= header->iterations; ++turn) {
    uint32_t first = turn < header->iterations ? 0 : header->body;
    uint32_t past = turn < header->iterations ? header->body : header->step_count;
    for (uint32_t step = first; step < past; ++step) {
      const weft_trace_event *event = next < trace->event_count ? &trace->events[next] : NULL;
      uint32_t iteration = turn < header->iterations ? (uint32_t)turn : 0;
      if (event && event->step == step && event->iteration == iteration) {
        ++next;
      } else if (event && next > 0 && event->step == event[-1].step && event->iteration == event[-1].iteration) {
        return weft_error(WEFT_INVALID, "step %" PRIu32 " (%s) ran more than once in iteration %" PRIu32, event->step,
                          name_of(trace, event->step), event->iteration);
      } else {
        return weft_error(WEFT_INVALID,
                          "step %" PRIu32 " did not run in iteration %" PRIu32 " of %" PRIu32 "; the trace has %" PRIu64
                          " events",
                          step, iteration, weft_trace_runs(header, step), trace->event_count);
      }
    }
  }
  if (next < trace->event_count)
    return weft_error(WEFT_INVALID, "step %" PRIu32 " (%s) ran more than once in iteration %" PRIu32,
                      trace->events[next].step, name_of(trace, trace->events[next].step),
                      trace->events[next].iteration);
  return NULL;
}

// Events are in order of iteration and number: on every lane each must begin after the one before has ended, and on
// every queue after the one before has begun.
static weft_status check_lanes(const weft_trace *trace) {
  const weft_trace_event *on_lane[WEFT_QUEUE_COUNT][WEFT_TRACE_MAKER_LANES] = {{NULL}};
  const weft_trace_event *on_queue[WEFT_QUEUE_COUNT] = {NULL};
  for (uint64_t e = 0; e < trace->event_count; ++e) {
    const weft_trace_event *event = &trace->events[e], *before = on_lane[event->queue][event->lane];
    if (before && event->start_ns < before->end_ns)
      return weft_error(WEFT_INVALID,
                        "step %" PRIu32 " (%s) starts at %" PRIu64 " ns on %s lane %d, where step %" PRIu32
                        " (%s) ends at %" PRIu64 " ns",
                        event->step, name_of(trace, event->step), event->start_ns, weft_queue_name(event->queue),
                        event->lane, before->step, name_of(trace, before->step), before->end_ns);
    const weft_trace_event *earlier = on_queue[event->queue];
    if (earlier && event->start_ns < earlier->start_ns)
      return weft_error(WEFT_INVALID,
                        "queue %s runs step %" PRIu32 " (%s) before step %" PRIu32 " (%s): from %" PRIu64
                        " ns and from %" PRIu64 " ns",
                        weft_queue_name(event->queue), event->step, name_of(trace, event->step), earlier->step,
                        name_of(trace, earlier->step), event->start_ns, earlier->start_ns);
    on_lane[event->queue][event->lane] = on_queue[event->queue] = event;
  }
  return NULL;
}

weft_status weft_trace_check(const weft_trace *trace) {
  for (uint64_t e = 0; e < trace->event_count; ++e) {
    weft_trace_event event = trace->events[e];
    WEFT_TRY(weft_trace_event_admit(&trace->header, &event));
    if (event.iteration != trace->events[e].iteration)
      return weft_error(WEFT_INVALID, "step %" PRIu32 " runs once, but has an event of iteration %" PRIu32, event.step,
                        trace->events[e].iteration);
    if (event.busy_ns > event.end_ns - event.start_ns)
      return weft_error(WEFT_INVALID, "step %" PRIu32 " (%s) was busy for %" PRIu64 " ns of %" PRIu64, event.step,
                        name_of(trace, event.step), event.busy_ns, event.end_ns - event.start_ns);
    assert(e == 0 || weft_trace_event_order(&trace->header, &trace->events[e - 1], &trace->events[e]) <= 0);
  }
  WEFT_TRY(check_runs(trace));
  return check_lanes(trace);
}
