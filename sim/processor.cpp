#include "sim/processor.h"

#include <algorithm>
#include <cmath>

namespace weft {

// log(rate) measured at log(work per row).
struct curve_point {
  double position, rate;
};

// One curve per number of rows.
struct curve {
  double rows;
  std::vector<curve_point> points;
};

// Linear between neighbours, constant outside. `points` is sorted and not empty.
static double interpolate(const std::vector<curve_point> &points, double position) {
  auto right = std::lower_bound(points.begin(), points.end(), position,
                                [](const curve_point &point, double at) { return point.position < at; });
  if (right == points.end()) return points.back().rate;
  if (right == points.begin() || right->position == position) return right->rate;
  auto left = right - 1;
  double along = (position - left->position) / (right->position - left->position);
  return left->rate + along * (right->rate - left->rate);
}

static double amount(double flops, double bytes) { return flops > 0 ? flops : bytes; }

static void add_point(std::vector<curve> &curves, const weft_rate &rate, bool by_rows) {
  double rows = by_rows ? std::max(rate.rows, 1.0) : 1, size = amount(rate.flops, rate.bytes);
  if (!(size > 0) || !(rate.seconds > 0)) return;
  auto at = std::find_if(curves.begin(), curves.end(), [rows](const curve &c) { return c.rows == rows; });
  if (at == curves.end()) at = curves.insert(curves.end(), curve{rows, {}});
  at->points.push_back({std::log(size / rows), std::log(size / rate.seconds)});
}

double measured_seconds(const weft_roofline &roofline, weft_op op, weft_dtype dtype, double rows, double flops,
                        double bytes) {
  std::vector<curve> curves;
  for (std::uint32_t i = 0; i < roofline.rate_count; ++i) {
    const weft_rate &rate = roofline.rates[i];
    if (rate.op == op && (dtype == WEFT_DTYPE_COUNT || rate.dtype == dtype)) add_point(curves, rate, rows > 0);
  }
  double size = amount(flops, bytes);
  if (curves.empty() || !(size > 0)) return -1;
  if (rows <= 0) rows = 1;
  std::vector<curve_point> over_rows;
  for (curve &c : curves) {
    std::stable_sort(c.points.begin(), c.points.end(),
                     [](const curve_point &a, const curve_point &b) { return a.position < b.position; });
    over_rows.push_back({std::log(c.rows), interpolate(c.points, std::log(size / rows))});
  }
  std::sort(over_rows.begin(), over_rows.end(),
            [](const curve_point &a, const curve_point &b) { return a.position < b.position; });
  return size / std::exp(interpolate(over_rows, std::log(rows)));
}

static double roof(const weft_schedule &schedule, double flops, double bytes) {
  const weft_roofline &roofline = schedule.machine->roofline;
  double compute = flops / (peak_flops(schedule) * (roofline.compute_efficiency > 0 ? roofline.compute_efficiency : 1));
  double bandwidth =
      roofline.memory_bytes_per_second * (roofline.memory_efficiency > 0 ? roofline.memory_efficiency : 1);
  return std::max(compute, bandwidth > 0 ? bytes / bandwidth : 0);
}

work processor_work(const weft_schedule &schedule, const weft_step &step, portion part) {
  const weft_roofline &roofline = schedule.machine->roofline;
  double flops = step.flops * part.share, bytes = static_cast<double>(step.bytes) * part.share;
  work cost;
  double rows = std::max(static_cast<double>(step.rows), 1.0);
  cost.useful_seconds = measured_seconds(roofline, step.op, schedule.run.dtype, rows, flops, bytes);
  if (cost.useful_seconds < 0) cost.useful_seconds = roof(schedule, flops, bytes);
  cost.overhead_seconds = roofline.step_seconds;
  if (roofline.shared_cores) cost.cores = std::max(roofline.cores, 1u);
  return cost;
}

// Points of the run's dtype first: the store keeps f32, so calibrations may know only that.
static double measured_at_store(const weft_schedule &schedule, const weft_step &step, double share) {
  const weft_roofline &roofline = schedule.machine->roofline;
  double flops = step.flops * share, bytes = static_cast<double>(step.bytes) * share;
  double seconds = measured_seconds(roofline, step.op, schedule.run.dtype, 0, flops, bytes);
  return seconds < 0 ? measured_seconds(roofline, step.op, WEFT_DTYPE_COUNT, 0, flops, bytes) : seconds;
}

void processor_adjust_stream(const weft_schedule &schedule, const weft_step &step, portion part, work &cost) {
  const weft_roofline &roofline = schedule.machine->roofline;
  double seconds = measured_at_store(schedule, step, part.share);
  if (seconds >= 0) cost.useful_seconds = seconds;
  cost.overhead_seconds += roofline.step_seconds;
  if (roofline.shared_cores) cost.cores = 1;
}

void processor_adjust_update(const weft_schedule &schedule, const weft_step &step, work &cost) {
  const weft_roofline &roofline = schedule.machine->roofline;
  double seconds = measured_at_store(schedule, step, 1);
  if (seconds >= 0) cost.useful_seconds = seconds;
  cost.overhead_seconds += roofline.step_seconds;
  if (roofline.shared_cores) cost.cores = std::max(roofline.cores, 1u);
}

}  // namespace weft
