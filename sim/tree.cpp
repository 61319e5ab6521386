#include "sim/tree.h"

#include <algorithm>

namespace weft {

std::uint32_t tree_depth(const weft_machine &machine, std::uint32_t systems) {
  std::uint64_t fan_out = std::max(machine.swarm_fan_out, 2u), reached = 1;
  std::uint32_t depth = 0;
  for (; reached < systems; reached *= fan_out) ++depth;
  return depth;
}

double tree_latency(const weft_machine &machine, std::uint32_t systems) {
  return tree_depth(machine, systems) * machine.swarm_latency_seconds;
}

double tree_limit(const weft_machine &machine, std::uint32_t systems, double rate) {
  if (systems < 2 || machine.swarm_bytes_per_second <= 0) return rate;
  return std::min(rate, machine.swarm_bytes_per_second);
}

work reduce_work(const weft_schedule &schedule, const weft_step &step) {
  const weft_machine &machine = *schedule.machine;
  work cost;
  if (schedule.run.systems < 2) return cost;
  cost.overhead_seconds = tree_latency(machine, schedule.run.systems);
  if (machine.swarm_bytes_per_second > 0)
    cost.useful_seconds = static_cast<double>(step.bytes) / machine.swarm_bytes_per_second;
  return cost;
}

}  // namespace weft
