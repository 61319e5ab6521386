// A small training schedule made by hand, and runs of it whose times are chosen: what the tests of traces/ share.
//
// Two blocks of one linear each, three micro-batches, then two updates:
//   step 0, 2   load W0, W1 for the forward pass    (stream-in; 0 in four chunks, partner of 1)
//   step 1, 3   linear                              (compute)
//   step 4, 8   load W1, W0 for the backward pass   (stream-in)
//   step 5, 9   linear_backward_input               (compute)
//   step 6, 10  linear_backward_weight              (compute; 6 in four chunks, partner of 7)
//   step 7, 11  store_gradient                      (stream-out)
//   step 12, 13 adamw of W0, W1                     (update; once)
// Arrows per micro-batch: 0-1, 2-3, 4-5, 8-9, 6-7, 10-11: six.
#ifndef WEFT_TESTS_TRACES_SAMPLE_H
#define WEFT_TESTS_TRACES_SAMPLE_H

#include "traces/trace.h"

enum {
  SAMPLE_STEPS = 14,
  SAMPLE_BODY = 12,
  SAMPLE_ITERATIONS = 3,
  SAMPLE_EVENTS = 38,
  SAMPLE_FLOWS = 18,
  SAMPLE_COUNTERS = 9
};

// Lives as long as the program.
const weft_schedule *sample_schedule(void);

// The header of a trace of the sample; `computer` is whose time it is. Hash and identity are fixed, not asked for.
weft_trace_header sample_header(weft_trace_kind kind, const char *computer);

// Sends one run in order of time, every duration times `slowness`, and a few counter samples.
void sample_run(double slowness, const weft_trace_sink *sink);

#endif
