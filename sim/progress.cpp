#include "sim/progress.h"

#include <algorithm>

namespace weft {

// Of two partners, the one that makes the chunks: the stream from the store, or the cores that make a gradient.
static bool makes_chunks(const weft_schedule &schedule, const weft_step &step) {
  if (step.queue == WEFT_QUEUE_STREAM_IN) return true;
  return step.queue == WEFT_QUEUE_COMPUTE && schedule.steps[step.partner].queue == WEFT_QUEUE_STREAM_OUT;
}

std::uint32_t progress::dependency_missing(std::uint32_t number) const {
  const weft_step &step = schedule.steps[number];
  for (std::uint32_t i = 0; i < step.dependency_count; ++i) {
    std::uint32_t before = schedule.dependencies[step.first_dependency + i];
    // Partners meet chunk by chunk, which says more than "whole step to whole step".
    if (before != step.partner && !step_ended(before)) return before;
  }
  return WEFT_NONE;
}

bool progress::partner_ready(std::uint32_t number, std::uint32_t chunk) const {
  const weft_step &step = schedule.steps[number];
  std::uint64_t ended = chunks_done[step.partner], wanted = chunks_before(number) + chunk + 1;
  if (!makes_chunks(schedule, step)) return ended >= wanted;
  return ended + std::max(step.ring, 1u) >= wanted;
}

std::uint32_t progress::waits_for(std::uint32_t number, std::uint32_t chunk) const {
  std::uint32_t missing = chunk == 0 ? dependency_missing(number) : WEFT_NONE;
  if (missing != WEFT_NONE) return missing;
  std::uint32_t partner = schedule.steps[number].partner;
  return partner == WEFT_NONE || partner_ready(number, chunk) ? WEFT_NONE : partner;
}

}  // namespace weft
