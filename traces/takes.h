// Takes: several runs of one schedule, of which the typical one becomes the trace. A single run on a computer that does
// other things too is a matter of luck; the median of some runs is not.
//
//   weft_trace_takes *takes = weft_trace_takes_create(9);
//   weft_trace_sink sink = weft_trace_takes_sink(takes);
//   for (...) { run with &sink; weft_trace_takes_end(takes, seconds); }
//   weft_trace_takes_replay(takes, &writer_sink);
//
// Events and counter samples are kept in memory as they came. Threads: one at a time.
#ifndef WEFT_TRACES_TAKES_H
#define WEFT_TRACES_TAKES_H

#include "base/status.h"
#include "traces/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_trace_takes weft_trace_takes;

// Keeps the last `most` takes, at least 1.
weft_trace_takes *weft_trace_takes_create(uint32_t most);
void weft_trace_takes_destroy(weft_trace_takes *takes);  // takes NULL

weft_trace_sink weft_trace_takes_sink(weft_trace_takes *takes);      // of the take that is being recorded
void weft_trace_takes_end(weft_trace_takes *takes, double seconds);  // that take is complete and took so long

// Hands the take with the median of the seconds (the lower one of an even number) to `into`, in the order recorded.
// WEFT_FAILED when no take has ended; else the first error of `into`. `out_take` (may be NULL): which one, from 0,
// counting all that ended; `out_seconds` (may be NULL): its time.
weft_status weft_trace_takes_replay(const weft_trace_takes *takes, const weft_trace_sink *into, uint64_t *out_take,
                                    double *out_seconds) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
