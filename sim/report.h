// From picoseconds to the report that people read.
#ifndef WEFT_SIM_REPORT_H
#define WEFT_SIM_REPORT_H

#include "sim/ledger.h"
#include "sim/sim.h"

namespace weft {

weft_sim_report make_report(const weft_schedule &schedule, const ledger &times, picoseconds end,
                            std::uint64_t activations);

}  // namespace weft
#endif
