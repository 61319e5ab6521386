// Shared hardware: the cores of a processor whose queues compete for them, and the bandwidth of the weight store. A
// fluid model: all users of a resource run at once, at full speed while their demands fit, otherwise every one at
// capacity / demand of its full speed (processor sharing). Work that uses both runs at the lower of the two speeds.
// While more cores are wanted than there are, they do only the machine's sharing_efficiency of their work: `weft
// calibrate` measures what a product and a stream lose to each other.
//
// Whenever work starts or ends, speeds are found anew and only the completions that move are notified again.
// Work without demands (a mesh's rectangle, which belongs to one queue) passes through at full speed.
#ifndef WEFT_SIM_SHARING_H
#define WEFT_SIM_SHARING_H

#include <systemc>
#include <vector>

#include "sim/cost.h"

namespace weft {

class sharing {
 public:
  // Capacities; 0 means unlimited. `core_efficiency`: of the cores, while they are shared.
  sharing(double core_count, double core_efficiency, double store_bytes_per_second)
      : cores(core_count), efficiency(core_efficiency), store(store_bytes_per_second) {}

  // Starts work; `done` is notified when it has been done, and stays notified by nobody else. The caller then ends it.
  void start(const work &what, sc_core::sc_event &done);
  void end(sc_core::sc_event &done);

 private:
  struct flow {
    sc_core::sc_event *done;
    double remaining_ps;  // at full speed; whole picoseconds while nobody has been slowed down
    double cores, store;
    double speed;  // of full speed, (0, 1]
  };

  void settle();   // accounts for the time since the last change
  void balance();  // new speeds
  double speed_of(const flow &f, double core_demand, double store_demand) const;

  double cores, efficiency, store;
  picoseconds last = 0;
  std::vector<flow> flows;  // at most one per queue
};

picoseconds now();

}  // namespace weft
#endif
