// What no schedule with this work can beat on this machine, however it is ordered: the work of each resource at its
// rate. Every prediction is printed beside it.
#ifndef WEFT_SIM_BOUND_H
#define WEFT_SIM_BOUND_H

#include "sim/cost.h"
#include "sim/sim.h"

namespace weft {

struct bound {
  double seconds;
  weft_cause cause;
};

// The greatest of: FLOPs of compute / peak, bytes in / rate of the way in, bytes out / rate of the way out, bytes of
// reduces / tree port, bytes of updates and streams together / store bandwidth.
bound bound_of(const weft_schedule &schedule);

}  // namespace weft
#endif
