#include "sim/queue.h"

#include <algorithm>

namespace weft {

static double cores_of(const weft_machine &machine) {
  return machine.kind == WEFT_ROOFLINE && machine.roofline.shared_cores ? machine.roofline.cores : 0;
}

system_state::system_state(const weft_schedule &schedule)
    : done(schedule),
      hardware(cores_of(*schedule.machine), schedule.machine->roofline.sharing_efficiency,
               schedule.machine->store_bytes_per_second) {}

bool system_state::pass_ended() const {
  return std::all_of(times.queues.begin(), times.queues.end(), [](const queue_state &q) { return q.ended; });
}

queue::queue(const sc_core::sc_module_name &name, weft_queue which_queue, system_state &of_system)
    : sc_core::sc_module(name), which(which_queue), system(of_system) {
  const weft_schedule &schedule = system.done.schedule;
  for (std::uint32_t number = 0; number < schedule.step_count; ++number) {
    if (schedule.steps[number].queue != which) continue;
    steps.push_back(number);
    if (number < schedule.body) ++body;
  }
  SC_METHOD(advance);
  sensitive << wake;
  SC_METHOD(finish);
  sensitive << done;
  dont_initialize();
}

std::uint32_t queue::step() const {
  std::size_t end = system.done.in_body() ? body : steps.size();
  return position < end ? steps[position] : WEFT_NONE;
}

void queue::advance() {
  ++system.activations;
  if (state().working || state().ended) return;
  std::uint32_t number = step();
  if (number == WEFT_NONE) {
    end_pass();
    return;
  }
  missing = system.done.waits_for(number, chunk);
  state().blocked_on = missing == WEFT_NONE ? WEFT_QUEUE_COUNT : system.done.schedule.steps[missing].queue;
  if (missing == WEFT_NONE) start_chunk(number);
  system.times.settle(now());
}

void queue::start_chunk(std::uint32_t number) {
  chunk_start = now();
  if (chunk == 0) {
    step_start = chunk_start;
    step_busy = 0;
  }
  state().working = true;
  system.hardware.start(system.done.costs[number].chunk(chunk, system.done.pass == 0), done);
}

void queue::finish() {
  ++system.activations;
  std::uint32_t number = step();
  const step_costs &costs = system.done.costs[number];
  picoseconds elapsed = now() - chunk_start;
  system.hardware.end(done);
  state().working = false;
  system.times.settle(now());
  const work &done_work = costs.chunk(chunk, system.done.pass == 0);
  // What a stream's own thread works, however long it steps aside for others (traces/trace.h).
  step_busy += is_stream() && done_work.cores > 0 ? std::min(elapsed, done_work.duration()) : elapsed;
  system.times.chunk_ended(which, elapsed, done_work.overhead_part(elapsed));
  system.done.end_chunk(number);
  if (++chunk == costs.chunks) end_step(number);
  for (queue *other : system.queues)
    if (other->missing == number) other->wake.notify(sc_core::SC_ZERO_TIME);
  advance();
}

void queue::end_step(std::uint32_t number) {
  const weft_step &ended = system.done.schedule.steps[number];
  weft_trace_event event = {};
  event.step = number;
  event.iteration = system.done.iteration();
  event.queue = which;
  event.lane = static_cast<std::uint8_t>(is_stream() ? streams++ % 2 : 0);
  event.start_ns = step_start / 1000;
  event.end_ns = now() / 1000;
  event.busy_ns = std::min(step_busy / 1000, event.end_ns - event.start_ns);
  event.bytes = ended.bytes;
  event.flops = ended.flops;
  system.events.push_back(event);
  ++position;
  chunk = 0;
}

// Queues meet here; the last one to come opens the next pass.
void queue::end_pass() {
  state().ended = true;
  missing = WEFT_NONE;
  state().blocked_on = WEFT_QUEUE_COUNT;
  if (system.pass_ended() && system.done.pass + 1 < system.done.passes()) {
    ++system.done.pass;
    for (queue *each : system.queues) each->begin_pass();
  }
  system.times.settle(now());
}

void queue::begin_pass() {
  if (system.done.in_body()) position = 0;
  state().ended = false;
  wake.notify(sc_core::SC_ZERO_TIME);
}

}  // namespace weft
