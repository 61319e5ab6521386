// weft_trace: what happened, step by step; written as Perfetto's native protobuf, read back, summed up, compared.
//
// An event is one run of one step: which step of the schedule (whose hash is in the header), in which iteration,
// from when to when. Both makers, sim (predicted) and runtime (measured), speak through a sink and do not know what
// becomes of it. Times are integer nanoseconds from the start of the run. Steps that run once (numbers from `body` on)
// are always iteration 0 in a trace: sinks put that right whatever the maker says, so that two makers' events join.
//
// The file format is Perfetto's (perfetto.dev/docs/reference/trace-packet-proto); docs/traces.md says what we put where
// and how to look at it. Two of our files, one simulated and one measured, may be concatenated (`cat`): Perfetto then
// shows both, one above the other. weft_trace_read wants one trace per file.
#ifndef WEFT_TRACES_TRACE_H
#define WEFT_TRACES_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "base/table.h"
#include "compiler/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_trace_kind { WEFT_TRACE_SIMULATED, WEFT_TRACE_MEASURED, WEFT_TRACE_KIND_COUNT } weft_trace_kind;
const char *weft_trace_kind_name(weft_trace_kind kind);  // "simulated", "measured"

typedef struct weft_trace_header {
  weft_trace_kind kind;
  uint64_t schedule_hash;
  uint32_t step_count, body, iterations;  // of the schedule
  char network[96], machine[64];          // machine: the schedule's
  char timed_on[64];  // the computer whose time this is: simulated: the machine file's `host` if measured, else its
                      // name; measured: weft_machine_host_identity
  char maker[64];     // "sim region", "runtime cpu 2 threads"
} weft_trace_header;

// All fields of a header from the schedule. `maker` is cut to fit; timed_on is filled as documented above for `kind`.
weft_trace_header weft_trace_header_make(const weft_schedule *schedule, weft_trace_kind kind, const char *maker);

typedef struct weft_trace_event {
  uint32_t step, iteration;
  weft_queue queue;
  uint8_t lane;               // 0 or 1: which half of a double-buffered stream; 0 elsewhere
  uint64_t start_ns, end_ns;  // first chunk's start to last chunk's end
  uint64_t busy_ns;           // of that, working rather than waiting; see below
  uint64_t bytes;             // moved or touched, as done
  double flops;               // as done
} weft_trace_event;

// busy_ns counts no waiting for a partner's chunk. A stream that runs on cores it shares with products also steps aside
// for them in the middle of a chunk: there it is the time that the stream's own thread worked (its processor time;
// simulated: the time that it takes alone). Everywhere else it is the time that passed, slowed down or not.

typedef enum weft_counter {
  WEFT_COUNTER_MEMORY,      // bytes of device memory in use (on a mesh: per core)
  WEFT_COUNTER_STREAM_IN,   // GB/s over the last stretch
  WEFT_COUNTER_STREAM_OUT,  // GB/s
  WEFT_COUNTER_COUNT
} weft_counter;

// Where events go. Calls come from one thread at a time, in any order of time. `context` is the sink's own.
// A sink refuses (WEFT_INVALID) what no step of the schedule can have done: a step, queue, lane or iteration that does
// not exist, an end before the start, a time that is not a number of this universe (2^62 ns and more).
typedef struct weft_trace_sink {
  void *context;
  weft_status (*event)(void *context, const weft_trace_event *event);
  weft_status (*counter)(void *context, weft_counter counter, uint64_t time_ns, double value);
} weft_trace_sink;

// The Perfetto file. One track per queue and lane, slices named after the step, category = queue,
// annotations (step, op, iteration, layer, phase, bytes, flops, busy_ns, lane), a flow from every stream-in slice to
// the slices that use its weight and from every compute slice to the stream-out slice of its gradient, counter tracks.
// The names of process and tracks say simulated or measured.
//
// Streamed to disk, gzip when the path ends in ".gz"; PATH.part becomes PATH when all of it is written. Up to 65536
// events are held back to be sorted by start, so a maker may be that far out of order. Slices that overlap on their
// lane (a maker's fault, which weft_trace_check names) are drawn on further tracks of the queue, so that Perfetto
// shows the truth instead of nesting them. The schedule must outlive the writer.
typedef struct weft_trace_writer weft_trace_writer;
weft_status weft_trace_writer_open(const char *path, const weft_schedule *schedule, const weft_trace_header *header,
                                   weft_trace_writer **out_writer) WEFT_CHECKED;
weft_trace_sink weft_trace_writer_sink(weft_trace_writer *writer);
weft_status weft_trace_writer_close(weft_trace_writer *writer) WEFT_CHECKED;  // also frees; takes NULL
void weft_trace_writer_abandon(weft_trace_writer *writer);  // frees and leaves no file behind; takes NULL

// In memory.
typedef struct weft_trace {
  weft_trace_header header;
  weft_trace_event *events;  // sorted by (iteration, step, start)
  uint64_t event_count;
  char **step_names;  // step_count of them: slice names; NULL where a step has no event
  char **step_ops;    // op names, likewise
  uint64_t counter_samples, flows;
  uint64_t event_room;  // of the events array; for trace.c
} weft_trace;

weft_trace *weft_trace_create(const weft_trace_header *header);
weft_trace_sink weft_trace_sink_of(weft_trace *trace);  // collects events; needs weft_trace_sort before use
void weft_trace_sort(weft_trace *trace);
void weft_trace_name_steps(weft_trace *trace,
                           const weft_schedule *schedule);  // fills names and ops of a collected trace
// WEFT_INVALID with offset for anything malformed: never trusts a length. Memory is a small multiple of the file
// (of what gzip holds, which may not be more than 256 times the file).
weft_status weft_trace_read(const char *path, weft_trace **out_trace) WEFT_CHECKED;
// Every event's step exists, start <= end, busy <= end - start, slices of one lane do not overlap, every queue ran its
// steps in order of number, every step of the schedule ran as often as it should. Needs a sorted trace.
weft_status weft_trace_check(const weft_trace *trace) WEFT_CHECKED;
double weft_trace_span_s(const weft_trace *trace);  // first start to last end; 0 without events
void weft_trace_destroy(weft_trace *trace);         // takes NULL

// Summary: span, and per queue and per op: count, busy time, share of the span, bytes, GB/s, FLOP/s. Lanes of a queue
// work at once, so shares may exceed 100 %. JSON: one object {"trace": {...}, "rows": [...]}.
void weft_trace_print_summary(const weft_trace *trace, weft_table_form form, FILE *out);

typedef struct weft_comparison_row {
  char name[48];   // op or queue
  uint64_t steps;  // joined events
  uint64_t predicted_bytes, measured_bytes;
  double predicted_flops, measured_flops;
  double predicted_s, measured_s;  // busy time
  double error_pct;                // 100 * (predicted - measured) / measured; NaN where nothing was measured
} weft_comparison_row;

typedef struct weft_comparison {
  uint64_t joined, only_predicted, only_measured;  // events
  double coverage_pct;                        // steps of the schedule all of whose runs are joined, of all its steps
  bool same_work;                             // bytes and FLOPs equal on every joined event
  uint64_t work_differs;                      // joined events where they are not
  bool times_comparable;                      // both are times of the same computer
  char predicted_on[64], measured_on[64];     // whose times they are
  double predicted_s, measured_s, error_pct;  // span of the whole step
  double median_step_error_pct;               // median over steps of |error| of busy time, of steps that took time
  weft_comparison_row *ops;
  uint32_t op_count;
  weft_comparison_row *queues;
  uint32_t queue_count;
} weft_comparison;

// Events are joined by (step, iteration). WEFT_INVALID when the traces are of different schedules, and for nothing
// else: two simulated traces compare as well (`predicted` is the first). Times of different computers: the work is
// compared, times_comparable is false and the time fields are NaN. Both traces must be sorted.
weft_status weft_compare(const weft_trace *predicted, const weft_trace *measured,
                         weft_comparison **out_comparison) WEFT_CHECKED;
// JSON: one object {"comparison": {...}, "rows": [...]}.
void weft_comparison_print(const weft_comparison *comparison, weft_table_form form, FILE *out);
void weft_comparison_destroy(weft_comparison *comparison);  // takes NULL

#ifdef __cplusplus
}
#endif
#endif
