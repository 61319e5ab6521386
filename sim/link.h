// The link between a system and the weight store (wafer I/O), and the store itself (MemoryX).
//
// A stream runs at the lowest of the link's rate in its direction, the tree's port (with several systems) and, on a
// processor, the rate at which one thread copies; it also takes that rate from the store's bandwidth, which streams in,
// streams out and updates share (sharing.h). The two directions of the link do not disturb each other. Latency is
// paid once per step: later chunks are asked for while earlier ones are on the way.
//
// Updates run at the store: its bandwidth divided into the bytes that the optimizer reads and writes (step.bytes: AdamW
// reads parameter, gradient and both moments and writes all but the gradient). On a processor whose queues
// share its cores, streams take one core each and updates all of them, and both follow measured rates where
// the machine has some (processor.h).
#ifndef WEFT_SIM_LINK_H
#define WEFT_SIM_LINK_H

#include "sim/cost.h"

namespace weft {

// Bytes per second that link, store and tree allow a stream in one direction; 0 where nothing limits it. No stream is
// quicker, measured or not.
double stream_bound(const weft_schedule &schedule, bool in);
// The same with the copying thread's rate: what a stream gets that has everything for itself.
double stream_rate(const weft_schedule &schedule, bool in);
// Of an update or sum at the store; no update is quicker. 0: unlimited.
double update_rate(const weft_schedule &schedule);

work stream_work(const weft_schedule &schedule, const weft_step &step, portion part);
work update_work(const weft_schedule &schedule, const weft_step &step);

// Which of link, tree port, store and copying thread limits a stream: "wafer I/O", ... For sentences.
const char *stream_limit_name(const weft_schedule &schedule, bool in);

}  // namespace weft
#endif
