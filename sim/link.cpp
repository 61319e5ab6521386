#include "sim/link.h"

#include <algorithm>

#include "sim/processor.h"
#include "sim/tree.h"

namespace weft {

static double link_rate(const weft_machine &machine, bool in) {
  return in ? machine.io_in_bytes_per_second : machine.io_out_bytes_per_second;
}

// Takes the lower of two rates, where 0 says that the machine has no such limit.
static double lower(double rate, double limit) {
  if (limit <= 0) return rate;
  return rate <= 0 ? limit : std::min(rate, limit);
}

double stream_bound(const weft_schedule &schedule, bool in) {
  const weft_machine &machine = *schedule.machine;
  double rate = lower(link_rate(machine, in), machine.store_bytes_per_second);
  return tree_limit(machine, schedule.run.systems, rate);
}

double stream_rate(const weft_schedule &schedule, bool in) {
  const weft_machine &machine = *schedule.machine;
  double rate = stream_bound(schedule, in);
  return machine.kind == WEFT_ROOFLINE ? lower(rate, machine.roofline.copy_bytes_per_second) : rate;
}

double update_rate(const weft_schedule &schedule) { return schedule.machine->store_bytes_per_second; }

static double seconds_at(double bytes, double rate) { return rate > 0 ? bytes / rate : 0; }

// Bytes per second that work takes of the store while it runs alone, its fixed costs included.
static double store_demand(const weft_machine &machine, double bytes, const work &cost) {
  double seconds = cost.overhead_seconds + cost.useful_seconds;
  return machine.store_bytes_per_second > 0 && seconds > 0 ? bytes / seconds : 0;
}

work stream_work(const weft_schedule &schedule, const weft_step &step, portion part) {
  const weft_machine &machine = *schedule.machine;
  bool in = step.queue == WEFT_QUEUE_STREAM_IN;
  double bytes = static_cast<double>(step.bytes) * part.share;
  work cost;
  cost.useful_seconds = seconds_at(bytes, stream_rate(schedule, in));
  if (part.first) cost.overhead_seconds = machine.io_latency_seconds + tree_latency(machine, schedule.run.systems);
  if (machine.kind == WEFT_ROOFLINE) processor_adjust_stream(schedule, step, part, cost);
  cost.useful_seconds = std::max(cost.useful_seconds, seconds_at(bytes, stream_bound(schedule, in)));
  cost.store_bytes_per_second = store_demand(machine, bytes, cost);
  return cost;
}

work update_work(const weft_schedule &schedule, const weft_step &step) {
  const weft_machine &machine = *schedule.machine;
  double bytes = static_cast<double>(step.bytes), least = seconds_at(bytes, update_rate(schedule));
  work cost;
  cost.useful_seconds = least;
  if (machine.kind == WEFT_ROOFLINE) processor_adjust_update(schedule, step, cost);
  cost.useful_seconds = std::max(cost.useful_seconds, least);
  cost.store_bytes_per_second = store_demand(machine, bytes, cost);
  return cost;
}

const char *stream_limit_name(const weft_schedule &schedule, bool in) {
  const weft_machine &machine = *schedule.machine;
  double rate = stream_rate(schedule, in);
  if (schedule.run.systems > 1 && machine.swarm_bytes_per_second == rate) return "the tree's port";
  if (machine.kind == WEFT_ROOFLINE && machine.roofline.copy_bytes_per_second == rate) return "the copying thread";
  if (link_rate(machine, in) == rate) return machine.kind == WEFT_MESH ? "wafer I/O" : "the link";
  return "the store's bandwidth";
}

}  // namespace weft
