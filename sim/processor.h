// A processor described by its roofline: a GPU, or this computer.
//
// With measured rates (weft calibrate), the rate of an op, in FLOP/s or for ops without FLOPs in bytes/s, is
// interpolated between the measured points of the same op and dtype: log-log, first over the work per row among points
// of equal rows, then over rows. Outside the measured range the nearest rate holds. A measured point is met exactly.
// Otherwise, and for ops without points: max(FLOPs / (peak x compute_efficiency), bytes / (bandwidth x
// memory_efficiency)), the roofline of Williams, Waterman and Patterson (2009) with both roofs lowered to what is
// reached.
//
// Every portion of compute also pays step_seconds, since every chunk is handed from one queue to another.
//
// With shared_cores, compute and updates want all `cores` and a stream wants one; sharing.h makes them share.
#ifndef WEFT_SIM_PROCESSOR_H
#define WEFT_SIM_PROCESSOR_H

#include "sim/cost.h"

namespace weft {

work processor_work(const weft_schedule &schedule, const weft_step &step, portion part);
// Puts measured time and demand for cores into a stream's or update's cost.
void processor_adjust_stream(const weft_schedule &schedule, const weft_step &step, portion part, work &cost);
void processor_adjust_update(const weft_schedule &schedule, const weft_step &step, work &cost);

// Seconds of a call with `rows` rows by the measured points; negative when there is none for the op and dtype. rows 0
// leaves rows out of it (streams and updates: only the amount of work counts). A dtype of WEFT_DTYPE_COUNT accepts
// points of any dtype.
double measured_seconds(const weft_roofline &roofline, weft_op op, weft_dtype dtype, double rows, double flops,
                        double bytes);

}  // namespace weft
#endif
