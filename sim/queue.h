// One in-order queue of a system: stream-in, compute, reduce, stream-out or update, as one SystemC module. It runs its
// steps in order of number, chunk by chunk; before each it waits for what the schedule says (progress.h), and while it
// works it holds its share of the hardware (sharing.h).
//
// Two methods and no threads: `advance` starts the next chunk when it may start, `finish` runs when a chunk ends and
// wakes the queues that wait. A chunk costs two or three activations of the kernel.
#ifndef WEFT_SIM_QUEUE_H
#define WEFT_SIM_QUEUE_H

#include <systemc>
#include <vector>

#include "sim/ledger.h"
#include "sim/progress.h"
#include "sim/sharing.h"

namespace weft {

class queue;

// What the queues of one system have in common.
struct system_state {
  explicit system_state(const weft_schedule &schedule);

  progress done;
  sharing hardware;
  ledger times;
  std::vector<weft_trace_event> events;  // in order of their ends
  std::vector<queue *> queues;
  std::uint64_t activations = 0;

  bool pass_ended() const;
};

class queue : public sc_core::sc_module {
 public:
  SC_HAS_PROCESS(queue);
  queue(const sc_core::sc_module_name &name, weft_queue which, system_state &system);

  // The step that is running or waiting, WEFT_NONE when the pass has ended; and what it waits for.
  std::uint32_t step() const;
  std::uint32_t waits_for() const { return missing; }

 private:
  void advance();
  void finish();
  void start_chunk(std::uint32_t number);
  void end_step(std::uint32_t number);
  void end_pass();
  void begin_pass();
  bool is_stream() const { return which == WEFT_QUEUE_STREAM_IN || which == WEFT_QUEUE_STREAM_OUT; }
  queue_state &state() { return system.times.queues[which]; }

  const weft_queue which;
  system_state &system;
  std::vector<std::uint32_t> steps;  // of this queue, in order
  std::size_t body = 0;              // how many of them are in the body
  std::size_t position = 0;          // in steps
  std::uint32_t chunk = 0;           // of the step at `position`
  std::uint32_t missing = WEFT_NONE;
  picoseconds chunk_start = 0, step_start = 0, step_busy = 0;
  std::uint32_t streams = 0;  // steps run so far: alternates lanes
  sc_core::sc_event wake, done;
};

}  // namespace weft
#endif
