// What the queues recorded during an iteration, handed to the sink when it has ended.
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/session_internal.h"

static weft_status report_events(const weft_session *session, const weft_trace_sink *sink) {
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w)
    for (uint32_t e = 0; e < session->workers[w].event_count; ++e)
      WEFT_TRY(sink->event(sink->context, &session->workers[w].events[e]));
  return NULL;
}

// ---- rates of the streams ----

static weft_status report_rate(const weft_trace_sink *sink, weft_counter counter, const weft_trace_event *event) {
  if (event->end_ns <= event->start_ns) return NULL;
  WEFT_TRY(sink->counter(sink->context, counter, event->start_ns,
                         (double)event->bytes / (double)(event->end_ns - event->start_ns)));
  return sink->counter(sink->context, counter, event->end_ns, 0);
}

static weft_status report_rates(const weft_session *session, const weft_trace_sink *sink) {
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    for (uint32_t e = 0; e < session->workers[w].event_count; ++e) {
      const weft_trace_event *event = &session->workers[w].events[e];
      if (event->queue == WEFT_QUEUE_STREAM_IN) WEFT_TRY(report_rate(sink, WEFT_COUNTER_STREAM_IN, event));
      if (event->queue == WEFT_QUEUE_STREAM_OUT) WEFT_TRY(report_rate(sink, WEFT_COUNTER_STREAM_OUT, event));
    }
  }
  return NULL;
}

// ---- memory in use ----

typedef struct life {
  uint64_t from_ns, to_ns;
  bool used;
} life;

typedef struct change {
  uint64_t time_ns;
  int64_t bytes;
} change;

static int by_time(const void *a, const void *b) {
  const change *x = a, *y = b;
  if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
  return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;  // what ends makes room for what begins
}

static void use(const weft_session *session, life *lives, uint32_t tensor, const weft_trace_event *event) {
  if (tensor == WEFT_NONE || session->schedule->tensors[tensor].slot == WEFT_NONE) return;
  life *l = &lives[weft_session_root(session->schedule, tensor)];
  if (!l->used || event->start_ns < l->from_ns) l->from_ns = event->start_ns;
  if (!l->used || event->end_ns > l->to_ns) l->to_ns = event->end_ns;
  l->used = true;
}

static void collect_lives(const weft_session *session, life *lives) {
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    for (uint32_t e = 0; e < session->workers[w].event_count; ++e) {
      const weft_trace_event *event = &session->workers[w].events[e];
      const weft_step *step = &session->schedule->steps[event->step];
      for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) use(session, lives, step->inputs[i], event);
      for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) use(session, lives, step->outputs[i], event);
    }
  }
}

// A tensor takes its slot's part of the device plan from its first step's start to its last step's end.
static weft_status report_memory(const weft_session *session, const weft_trace_sink *sink) {
  const weft_schedule *schedule = session->schedule;
  life *lives = weft_allocate_array(schedule->tensor_count, sizeof *lives);
  change *changes = weft_allocate_array(2 * (size_t)schedule->tensor_count, sizeof *changes);
  size_t count = 0;
  collect_lives(session, lives);
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    if (!lives[t].used) continue;
    int64_t bytes = (int64_t)schedule->slots[schedule->tensors[t].slot].bytes;
    changes[count++] = (change){lives[t].from_ns, bytes};
    changes[count++] = (change){lives[t].to_ns, -bytes};
  }
  qsort(changes, count, sizeof *changes, by_time);
  int64_t bytes = 0;
  weft_status status = NULL;
  for (size_t i = 0; i < count && !status; ++i) {
    bytes += changes[i].bytes;
    bool last_of_instant = i + 1 == count || changes[i + 1].time_ns != changes[i].time_ns;
    if (last_of_instant) status = sink->counter(sink->context, WEFT_COUNTER_MEMORY, changes[i].time_ns, (double)bytes);
  }
  free(changes);
  free(lives);
  return status;
}

weft_status weft_session_report(weft_session *session, const weft_trace_sink *sink) {
  if (sink->event) WEFT_TRY(report_events(session, sink));
  if (!sink->counter) return NULL;
  WEFT_TRY(report_rates(session, sink));
  return report_memory(session, sink);
}
