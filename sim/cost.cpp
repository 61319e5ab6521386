#include "sim/cost.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "sim/link.h"
#include "sim/processor.h"
#include "sim/region.h"
#include "sim/tree.h"

namespace weft {

picoseconds work::duration() const {
  double total = std::round((overhead_seconds + useful_seconds) * 1e12);
  return total < 1 ? 1 : static_cast<picoseconds>(total);
}

picoseconds work::overhead_part(picoseconds elapsed) const {
  double total = overhead_seconds + useful_seconds;
  if (total <= 0) return 0;
  auto part = static_cast<picoseconds>(std::round(static_cast<double>(elapsed) * (overhead_seconds / total)));
  return std::min(part, elapsed);
}

double peak_flops(const weft_schedule &schedule) {
  return weft_machine_peak_flops(schedule.machine, schedule.run.dtype);
}

// Rows of the matrix that a stream carries, as stored; 0 when it names none.
static std::uint64_t streamed_rows(const weft_schedule &schedule, const weft_step &step) {
  const weft_step *stream = &step;
  if (step.queue == WEFT_QUEUE_COMPUTE && step.partner != WEFT_NONE) stream = &schedule.steps[step.partner];
  std::uint32_t tensor = stream->queue == WEFT_QUEUE_STREAM_IN ? stream->outputs[0] : stream->inputs[0];
  if (tensor == WEFT_NONE || tensor >= schedule.tensor_count) return 0;
  return schedule.tensors[tensor].rank ? schedule.tensors[tensor].shape[0] : 0;
}

double chunk_share(const weft_schedule &schedule, const weft_step &step, std::uint32_t index) {
  std::uint64_t rows = streamed_rows(schedule, step), each = step.chunk_rows, before = step.chunks - 1;
  if (rows <= before * each || rows > step.chunks * each) return 1.0 / step.chunks;
  std::uint64_t begin = index * each;
  return static_cast<double>(std::min(rows - begin, each)) / static_cast<double>(rows);
}

static work cost_compute(const weft_schedule &schedule, const weft_step &step, portion part) {
  work cost =
      schedule.machine->kind == WEFT_MESH ? region_work(schedule, step, part) : processor_work(schedule, step, part);
  double least = step.flops * part.share / peak_flops(schedule);
  cost.useful_seconds = std::max(cost.useful_seconds, least);
  return cost;
}

work cost_portion(const weft_schedule &schedule, const weft_step &step, portion part) {
  switch (step.queue) {
    case WEFT_QUEUE_STREAM_IN:
    case WEFT_QUEUE_STREAM_OUT: return stream_work(schedule, step, part);
    case WEFT_QUEUE_REDUCE:
      return step.kind == WEFT_COLLECTIVE ? reduce_work(schedule, step) : update_work(schedule, step);
    case WEFT_QUEUE_UPDATE: return update_work(schedule, step);
    case WEFT_QUEUE_COMPUTE:
    case WEFT_QUEUE_COUNT: break;
  }
  return cost_compute(schedule, step, part);
}

static step_costs cost_step(const weft_schedule &schedule, const weft_step &step) {
  step_costs costs;
  costs.chunks = step.partner == WEFT_NONE ? 1 : std::max(step.chunks, 1u);
  if (costs.chunks == 1) {
    costs.first = cost_portion(schedule, step, {1.0, true});
    return costs;
  }
  costs.first = cost_portion(schedule, step, {chunk_share(schedule, step, 0), true});
  costs.last = cost_portion(schedule, step, {chunk_share(schedule, step, costs.chunks - 1), false});
  costs.middle = costs.chunks > 2 ? cost_portion(schedule, step, {chunk_share(schedule, step, 1), false}) : costs.last;
  return costs;
}

// A gathered table's gradient begins as zeros at the store, written in the first iteration before anything is added.
static double zeroing_seconds(const weft_schedule &schedule, const weft_step &step) {
  if (step.op != WEFT_OP_EMBED_BACKWARD || step.attributes.accumulate) return 0;
  std::uint32_t table = step.outputs[0];
  double bandwidth = schedule.machine->store_bytes_per_second;
  if (table == WEFT_NONE || table >= schedule.tensor_count || bandwidth <= 0) return 0;
  return static_cast<double>(weft_tensor_bytes(&schedule.tensors[table])) / bandwidth;
}

std::vector<step_costs> cost_schedule(const weft_schedule &schedule) {
  std::vector<step_costs> costs;
  costs.reserve(schedule.step_count);
  std::set<std::tuple<std::int32_t, int, bool>> passes;
  for (std::uint32_t number = 0; number < schedule.step_count; ++number) {
    const weft_step &step = schedule.steps[number];
    costs.push_back(cost_step(schedule, step));
    costs.back().once = costs.back().first;
    costs.back().once.useful_seconds += zeroing_seconds(schedule, step);
    if (step.queue != WEFT_QUEUE_COMPUTE || step.layer < 0) continue;
    if (passes.emplace(step.layer, step.phase, step.recomputed).second)
      costs.back().once.overhead_seconds += schedule.machine->layer_seconds;
  }
  return costs;
}

}  // namespace weft
