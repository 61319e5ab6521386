// The arrows of a trace: which slices hand a weight or a gradient to which. Private to traces/.
//
// An arrow leads from the stream-in step that brought a tensor to every compute step that reads it, and from the
// compute step that made a tensor to the stream-out step that takes it away; partners of a chunked stream always have
// one. Both steps must run equally often. Numbers only depend on the schedule.
#ifndef WEFT_TRACES_FLOWS_H
#define WEFT_TRACES_FLOWS_H

#include <stdint.h>

#include "compiler/schedule.h"

// The arrows that touch step s are numbers[first[s]] .. numbers[first[s + 1] - 1], each in [0, count).
typedef struct weft_flows {
  uint32_t *first;  // step_count + 1
  uint32_t *numbers;
  uint32_t count;
} weft_flows;

void weft_flows_init(weft_flows *flows, const weft_schedule *schedule);
void weft_flows_finish(weft_flows *flows);  // takes a zeroed one

#endif
