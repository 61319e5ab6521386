#include "sim/sharing.h"

#include <algorithm>
#include <cmath>

namespace weft {

// The kernel's default resolution is one picosecond, and nothing here changes it.
picoseconds now() { return sc_core::sc_time_stamp().value(); }

// Demands that fill a resource exactly may exceed it by rounding; that slows nobody down.
static constexpr double slack = 1 + 1e-9;

static void notify_after(sc_core::sc_event &event, double remaining_ps, double speed) {
  auto delay = static_cast<picoseconds>(std::ceil(std::max(remaining_ps, 0.0) / speed));
  event.cancel();
  event.notify(sc_core::sc_time::from_value(delay));
}

void sharing::settle() {
  auto passed = static_cast<double>(now() - last);
  last = now();
  for (flow &f : flows) f.remaining_ps -= passed * f.speed;
}

double sharing::speed_of(const flow &f, double core_demand, double store_demand) const {
  double speed = 1;
  if (f.cores > 0 && cores > 0 && core_demand > cores * slack)
    speed = std::min(speed, cores * efficiency / core_demand);
  if (f.store > 0 && store > 0 && store_demand > store * slack) speed = std::min(speed, store / store_demand);
  return speed;
}

void sharing::balance() {
  double core_demand = 0, store_demand = 0;
  for (const flow &f : flows) {
    core_demand += f.cores;
    store_demand += f.store;
  }
  for (flow &f : flows) {
    double speed = speed_of(f, core_demand, store_demand);
    if (speed == f.speed) continue;
    f.speed = speed;
    notify_after(*f.done, f.remaining_ps, speed);
  }
}

void sharing::start(const work &what, sc_core::sc_event &done) {
  if (what.cores <= 0 && what.store_bytes_per_second <= 0) {
    done.notify(sc_core::sc_time::from_value(what.duration()));
    return;
  }
  settle();
  flows.push_back({&done, static_cast<double>(what.duration()), what.cores, what.store_bytes_per_second, 0});
  balance();
}

void sharing::end(sc_core::sc_event &done) {
  auto mine = std::find_if(flows.begin(), flows.end(), [&done](const flow &f) { return f.done == &done; });
  if (mine == flows.end()) return;
  settle();
  flows.erase(flows.begin() + (mine - flows.begin()));
  balance();
}

}  // namespace weft
