// Counter tracks made from the events of a run: memory in use, and the rates of both streams. At most a few thousand
// samples whatever the length of the run: time is cut into equal bins.
#ifndef WEFT_SIM_COUNTERS_H
#define WEFT_SIM_COUNTERS_H

#include <vector>

#include "sim/cost.h"
#include "traces/trace.h"

namespace weft {

struct sample {
  std::uint64_t time_ns;
  double value;
};

constexpr std::size_t counter_bins = 1000;

// Bytes of the device plan (per core on a mesh) in slots that hold a tensor: from the start of the tensor's first step
// in an iteration to the end of its last; caches, inputs and outputs always. The highest value of every bin is kept.
std::vector<sample> memory_samples(const weft_schedule &schedule, const std::vector<weft_trace_event> &events,
                                   std::uint64_t end_ns);
// GB/s of a stream in every bin; an event's bytes are spread evenly over its time.
std::vector<sample> rate_samples(weft_queue queue, const std::vector<weft_trace_event> &events, std::uint64_t end_ns);

}  // namespace weft
#endif
