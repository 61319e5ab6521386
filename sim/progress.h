// How far a run of the schedule is: which pass over the body or the tail, which step has run how often, how many chunks
// of it. Queues read it to see whether they may go on, and write it as they end chunks; counts only grow, so nothing is
// reset between iterations.
//
// Passes 0 .. iterations-1 are the body, pass `iterations` is the tail. All queues meet between passes.
#ifndef WEFT_SIM_PROGRESS_H
#define WEFT_SIM_PROGRESS_H

#include <vector>

#include "sim/cost.h"

namespace weft {

class progress {
 public:
  explicit progress(const weft_schedule &of) : schedule(of), costs(cost_schedule(of)), chunks_done(of.step_count, 0) {}

  const weft_schedule &schedule;
  const std::vector<step_costs> costs;

  std::uint32_t pass = 0;
  std::uint32_t passes() const { return schedule.iterations + 1; }
  bool in_body() const { return pass < schedule.iterations; }
  // Where the iteration of a trace event is counted: the tail belongs to the last one.
  std::uint32_t iteration() const { return in_body() ? pass : schedule.iterations ? schedule.iterations - 1 : 0; }

  // Chunks of a step that ended in earlier passes.
  std::uint64_t chunks_before(std::uint32_t step) const {
    return step < schedule.body ? std::uint64_t{pass} * costs[step].chunks : 0;
  }
  std::uint64_t chunks_ended(std::uint32_t step) const { return chunks_done[step]; }
  void end_chunk(std::uint32_t step) { ++chunks_done[step]; }
  // Whether a step that this pass depends on has ended: in this pass, or for the tail in the last of the body.
  bool step_ended(std::uint32_t step) const {
    std::uint64_t runs = step < schedule.body ? std::uint64_t{iteration()} + 1 : 1;
    return chunks_done[step] >= runs * costs[step].chunks;
  }

  // The step that chunk `chunk` of `step` has to wait for, or WEFT_NONE when it can start: a dependency (before the
  // first chunk), the maker of the chunk, or, with the ring full, its taker.
  std::uint32_t waits_for(std::uint32_t step, std::uint32_t chunk) const;

 private:
  std::uint32_t dependency_missing(std::uint32_t step) const;
  bool partner_ready(std::uint32_t step, std::uint32_t chunk) const;

  std::vector<std::uint64_t> chunks_done;
};

}  // namespace weft
#endif
