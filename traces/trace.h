// weft_trace: what happened, step by step; written as Perfetto's native protobuf, read back, summed up, compared.
//
// An event is one run of one step: which step of the schedule (whose hash is in the header), in which iteration,
// from when to when. Both makers, sim (predicted) and runtime (measured), speak through a sink and do not know what
// becomes of it. Times are integer nanoseconds from the start of the run.
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

typedef enum weft_trace_kind { WEFT_TRACE_SIMULATED, WEFT_TRACE_MEASURED } weft_trace_kind;

typedef struct weft_trace_header {
  weft_trace_kind kind;
  uint64_t schedule_hash;
  uint32_t step_count, body, iterations;  // of the schedule
  char network[96], machine[64];          // machine: the schedule's
  char timed_on[64];   // the computer whose time this is: simulated: the machine file's `host` if measured, else its
                       // name; measured: weft_machine_host_identity
  char maker[64];      // "sim region", "runtime cpu 2 threads"
} weft_trace_header;

typedef struct weft_trace_event {
  uint32_t step, iteration;
  weft_queue queue;
  uint8_t lane;          // 0 or 1: which half of a double-buffered stream; 0 elsewhere
  uint64_t start_ns, end_ns;  // first chunk's start to last chunk's end
  uint64_t busy_ns;      // of that, working rather than waiting for a partner's chunk
  uint64_t bytes;        // moved or touched, as done
  double flops;          // as done
} weft_trace_event;

typedef enum weft_counter {
  WEFT_COUNTER_MEMORY,      // bytes of device memory in use (on a mesh: per core)
  WEFT_COUNTER_STREAM_IN,   // GB/s over the last stretch
  WEFT_COUNTER_STREAM_OUT,  // GB/s
  WEFT_COUNTER_COUNT
} weft_counter;

// Where events go. Calls come from one thread at a time, in any order of time. `context` is the sink's own.
typedef struct weft_trace_sink {
  void *context;
  weft_status (*event)(void *context, const weft_trace_event *event);
  weft_status (*counter)(void *context, weft_counter counter, uint64_t time_ns, double value);
} weft_trace_sink;

// The Perfetto file. One track per queue and lane, slices named after the step, category = queue,
// annotations (step, op, iteration, layer, phase, bytes, flops, busy), a flow from every stream-in slice to its
// compute slice and from every compute slice to its stream-out slice, counter tracks. The names of process and
// tracks say simulated or measured. Streamed to disk; gzip when the path ends in ".gz".
typedef struct weft_trace_writer weft_trace_writer;
weft_status weft_trace_writer_open(const char *path, const weft_schedule *schedule, const weft_trace_header *header,
                                   weft_trace_writer **out_writer) WEFT_CHECKED;
weft_trace_sink weft_trace_writer_sink(weft_trace_writer *writer);
weft_status weft_trace_writer_close(weft_trace_writer *writer) WEFT_CHECKED;  // also frees; takes NULL

// In memory.
typedef struct weft_trace {
  weft_trace_header header;
  weft_trace_event *events;   // sorted by (iteration, step, start)
  uint64_t event_count;
  char **step_names;          // step_count of them: slice names; NULL where a step has no event
  char **step_ops;            // op names, likewise
  uint64_t counter_samples, flows;
} weft_trace;

weft_trace *weft_trace_create(const weft_trace_header *header);
weft_trace_sink weft_trace_sink_of(weft_trace *trace);  // collects events; needs weft_trace_sort before use
void weft_trace_sort(weft_trace *trace);
// WEFT_INVALID with offset for anything malformed: never trusts a length.
weft_status weft_trace_read(const char *path, weft_trace **out_trace) WEFT_CHECKED;
// Every event's step exists, start <= end, lanes of one track do not overlap, every step of the schedule ran as often as it should.
weft_status weft_trace_check(const weft_trace *trace) WEFT_CHECKED;
void weft_trace_destroy(weft_trace *trace);  // takes NULL

// Summary: span, and per queue and per op: count, busy time, share, bytes, GB/s, FLOP/s.
void weft_trace_print_summary(const weft_trace *trace, weft_table_form form, FILE *out);

typedef struct weft_comparison_row {
  char name[48];               // op or queue
  uint64_t steps;              // joined events
  double predicted_s, measured_s;  // busy time
  double error_pct;            // 100 * (predicted - measured) / measured
} weft_comparison_row;

typedef struct weft_comparison {
  uint64_t joined, only_predicted, only_measured;  // events
  double coverage_pct;         // joined steps of all steps of the schedule
  bool same_work;              // bytes and FLOPs equal on every joined event
  bool times_comparable;       // both are times of the same computer
  double predicted_s, measured_s, error_pct;   // span of the whole step
  double median_step_error_pct;                // median over steps of |error| of busy time
  weft_comparison_row *ops;    uint32_t op_count;
  weft_comparison_row *queues; uint32_t queue_count;
} weft_comparison;

// WEFT_INVALID when the traces are of different schedules. Times of different computers: the work is compared,
// times_comparable is false and the time fields are NaN.
weft_status weft_compare(const weft_trace *predicted, const weft_trace *measured, weft_comparison **out_comparison) WEFT_CHECKED;
void weft_comparison_print(const weft_comparison *comparison, weft_table_form form, FILE *out);
void weft_comparison_destroy(weft_comparison *comparison);  // takes NULL

#ifdef __cplusplus
}
#endif
#endif
