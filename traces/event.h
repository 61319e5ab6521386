// What every sink and the reader ask of an event before they keep it. Private to traces/.
#ifndef WEFT_TRACES_EVENT_H
#define WEFT_TRACES_EVENT_H

#include "traces/trace.h"

// Times from 2^62 ns (146 years) on are refused, so that sums and differences fit int64 everywhere, in Perfetto too.
#define WEFT_TRACE_TIME_LIMIT (UINT64_C(1) << 62)

// Lanes that the writer may need to draw events that overlap on the lane they claim; a maker has lanes 0 and 1.
enum { WEFT_TRACE_LANES = 8, WEFT_TRACE_MAKER_LANES = 2 };

// WEFT_INVALID as weft_trace_sink documents. Puts the iteration of a step that runs once right.
weft_status weft_trace_event_admit(const weft_trace_header *header, weft_trace_event *event) WEFT_CHECKED;
weft_status weft_trace_counter_admit(weft_counter counter, uint64_t time_ns, double value) WEFT_CHECKED;

// Order of (iteration, step, start), steps that run once after all iterations.
int weft_trace_event_order(const weft_trace_header *header, const weft_trace_event *a, const weft_trace_event *b);

static inline uint32_t weft_trace_runs(const weft_trace_header *header, uint32_t step) {
  return step < header->body ? header->iterations : 1;
}

#endif
