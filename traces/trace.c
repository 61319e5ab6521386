#include "traces/trace.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "traces/event.h"

const char *weft_trace_kind_name(weft_trace_kind kind) {
  static const char *const names[WEFT_TRACE_KIND_COUNT] = {"simulated", "measured"};
  return kind < WEFT_TRACE_KIND_COUNT ? names[kind] : "?";
}

weft_trace_header weft_trace_header_make(const weft_schedule *schedule, weft_trace_kind kind, const char *maker) {
  weft_trace_header header = {.kind = kind,
                              .schedule_hash = weft_schedule_hash(schedule),
                              .step_count = schedule->step_count,
                              .body = schedule->body,
                              .iterations = schedule->iterations};
  const weft_machine *machine = schedule->machine;
  snprintf(header.network, sizeof header.network, "%s", schedule->network.name);
  snprintf(header.machine, sizeof header.machine, "%s", machine->name);
  snprintf(header.maker, sizeof header.maker, "%s", maker);
  if (kind == WEFT_TRACE_MEASURED) {
    weft_machine_host_identity(header.timed_on);
  } else {
    snprintf(header.timed_on, sizeof header.timed_on, "%s", machine->measured ? machine->host : machine->name);
  }
  return header;
}

weft_status weft_trace_event_admit(const weft_trace_header *header, weft_trace_event *event) {
  if (event->step >= header->step_count)
    return weft_error(WEFT_INVALID, "trace event of step %" PRIu32 ": the schedule has steps 0 to %" PRId64,
                      event->step, (int64_t)header->step_count - 1);
  if (event->step >= header->body) event->iteration = 0;
  if (event->iteration >= weft_trace_runs(header, event->step))
    return weft_error(WEFT_INVALID,
                      "trace event of step %" PRIu32 ": iteration %" PRIu32 ", but it runs %" PRIu32 " times",
                      event->step, event->iteration, weft_trace_runs(header, event->step));
  if ((uint32_t)event->queue >= WEFT_QUEUE_COUNT || event->lane >= WEFT_TRACE_MAKER_LANES)
    return weft_error(WEFT_INVALID,
                      "trace event of step %" PRIu32 ": queue %d, lane %d; there are %d queues with lanes 0 and 1",
                      event->step, (int)event->queue, event->lane, WEFT_QUEUE_COUNT);
  if (event->start_ns > event->end_ns || event->end_ns >= WEFT_TRACE_TIME_LIMIT)
    return weft_error(WEFT_INVALID,
                      "trace event of step %" PRIu32 ": from %" PRIu64 " to %" PRIu64
                      " ns; the end may not be before the start nor beyond 2^62",
                      event->step, event->start_ns, event->end_ns);
  if (!isfinite(event->flops) || event->flops < 0)
    return weft_error(WEFT_INVALID, "trace event of step %" PRIu32 ": %g FLOPs", event->step, event->flops);
  return NULL;
}

weft_status weft_trace_counter_admit(weft_counter counter, uint64_t time_ns, double value) {
  if ((uint32_t)counter >= WEFT_COUNTER_COUNT)
    return weft_error(WEFT_INVALID, "trace counter %d: there are counters 0 to %d", (int)counter,
                      WEFT_COUNTER_COUNT - 1);
  if (!isfinite(value) || time_ns >= WEFT_TRACE_TIME_LIMIT)
    return weft_error(WEFT_INVALID,
                      "trace counter %d: value %g at %" PRIu64 " ns; finite values before 2^62 ns are kept",
                      (int)counter, value, time_ns);
  return NULL;
}

weft_trace *weft_trace_create(const weft_trace_header *header) {
  weft_trace *trace = weft_allocate(sizeof *trace);
  trace->header = *header;
  trace->step_names = weft_allocate_array(header->step_count, sizeof *trace->step_names);
  trace->step_ops = weft_allocate_array(header->step_count, sizeof *trace->step_ops);
  return trace;
}

void weft_trace_destroy(weft_trace *trace) {
  if (!trace) return;
  for (uint32_t s = 0; s < trace->header.step_count; ++s) {
    free(trace->step_names[s]);
    free(trace->step_ops[s]);
  }
  free(trace->step_names);
  free(trace->step_ops);
  free(trace->events);
  free(trace);
}

static weft_status collect_event(void *context, const weft_trace_event *event) {
  weft_trace *trace = context;
  weft_trace_event admitted = *event;
  WEFT_TRY(weft_trace_event_admit(&trace->header, &admitted));
  if (trace->event_count == trace->event_room) {
    trace->event_room = trace->event_room ? trace->event_room * 2 : 64;
    trace->events = weft_grow(trace->events, trace->event_room, sizeof *trace->events);
  }
  trace->events[trace->event_count++] = admitted;
  return NULL;
}

static weft_status collect_counter(void *context, weft_counter counter, uint64_t time_ns, double value) {
  weft_trace *trace = context;
  WEFT_TRY(weft_trace_counter_admit(counter, time_ns, value));
  ++trace->counter_samples;
  return NULL;
}

weft_trace_sink weft_trace_sink_of(weft_trace *trace) {
  return (weft_trace_sink){.context = trace, .event = collect_event, .counter = collect_counter};
}

void weft_trace_name_steps(weft_trace *trace, const weft_schedule *schedule) {
  assert(schedule->step_count == trace->header.step_count);
  for (uint64_t e = 0; e < trace->event_count; ++e) {
    uint32_t step = trace->events[e].step;
    if (trace->step_names[step]) continue;
    trace->step_names[step] = weft_step_describe(schedule, step);
    trace->step_ops[step] = weft_copy_text(weft_op_name(schedule->steps[step].op));
  }
}

int weft_trace_event_order(const weft_trace_header *header, const weft_trace_event *a, const weft_trace_event *b) {
  uint32_t turn_a = a->step < header->body ? a->iteration : header->iterations;
  uint32_t turn_b = b->step < header->body ? b->iteration : header->iterations;
  if (turn_a != turn_b) return turn_a < turn_b ? -1 : 1;
  if (a->step != b->step) return a->step < b->step ? -1 : 1;
  if (a->start_ns != b->start_ns) return a->start_ns < b->start_ns ? -1 : 1;
  return a->end_ns < b->end_ns ? -1 : a->end_ns > b->end_ns;
}

static int by_turn_and_step(const void *a, const void *b, void *header) { return weft_trace_event_order(header, a, b); }

void weft_trace_sort(weft_trace *trace) {
  if (trace->event_count > 1)
    qsort_r(trace->events, trace->event_count, sizeof *trace->events, by_turn_and_step, &trace->header);
}

double weft_trace_span_s(const weft_trace *trace) {
  if (trace->event_count == 0) return 0;
  uint64_t first = UINT64_MAX, last = 0;
  for (uint64_t e = 0; e < trace->event_count; ++e) {
    if (trace->events[e].start_ns < first) first = trace->events[e].start_ns;
    if (trace->events[e].end_ns > last) last = trace->events[e].end_ns;
  }
  return (double)(last - first) * 1e-9;
}
