// Numbers and names that the writer and the reader of Perfetto files agree on. Private to traces/*_io.c.
#ifndef WEFT_TRACES_PERFETTO_NAMES_H
#define WEFT_TRACES_PERFETTO_NAMES_H

#include "traces/event.h"

// Perfetto's own numbers.
enum {
  PERFETTO_SLICE_BEGIN = 1,
  PERFETTO_SLICE_END = 2,
  PERFETTO_INSTANT = 3,
  PERFETTO_COUNTER = 4,
  PERFETTO_STATE_CLEARED = 1,
  PERFETTO_STATE_NEEDED = 2,
  PERFETTO_ORDER_BY_RANK = 3,
  PERFETTO_UNIT_BYTES = 3,
};

// Interned categories: queue + 1, and one for the header's instant.
enum { CATEGORY_HEADER = WEFT_QUEUE_COUNT + 1 };
#define HEADER_CATEGORY_NAME "weft"

// Annotations of slices, interned as number + 1.
typedef enum slice_annotation {
  SLICE_STEP,
  SLICE_OP,
  SLICE_ITERATION,
  SLICE_LAYER,
  SLICE_PHASE,
  SLICE_BYTES,
  SLICE_FLOPS,
  SLICE_BUSY,
  SLICE_LANE,
  SLICE_ANNOTATION_COUNT
} slice_annotation;
static const char *const slice_annotation_names[SLICE_ANNOTATION_COUNT] = {
    "step", "op", "iteration", "layer", "phase", "bytes", "flops", "busy_ns", "lane"};

// Annotations of the header, spelled out in place.
typedef enum header_annotation {
  HEADER_FORMAT,
  HEADER_KIND,
  HEADER_SCHEDULE,
  HEADER_STEPS,
  HEADER_BODY,
  HEADER_ITERATIONS,
  HEADER_NETWORK,
  HEADER_MACHINE,
  HEADER_TIMED_ON,
  HEADER_MAKER,
  HEADER_ANNOTATION_COUNT
} header_annotation;
static const char *const header_annotation_names[HEADER_ANNOTATION_COUNT] = {
    "format", "kind", "schedule_hash", "steps", "body", "iterations", "network", "machine", "timed_on", "maker"};
#define HEADER_FORMAT_VERSION 1u
#define HEADER_SLICE_NAME "weft trace"

// Track numbers: "WEFT" in the upper half, then the kind of trace, so that a simulated and a measured file may be
// concatenated; then 0 for the process, queues and lanes, counters.
static inline uint64_t track_base(weft_trace_kind kind) {
  return UINT64_C(0x57454654) << 32 | ((uint64_t)kind + 1) << 8;
}
static inline uint64_t slice_track(weft_trace_kind kind, uint32_t queue, uint32_t lane) {
  return track_base(kind) + 1 + queue * WEFT_TRACE_LANES + lane;
}
static inline uint64_t counter_track(weft_trace_kind kind, uint32_t counter) {
  return track_base(kind) + 128 + counter;
}

#endif
