// The C door: builds a system of five queues in a SystemC context of its own, runs it dry, and reports.
#include <memory>
#include <string>
#include <systemc>

#include "sim/bound.h"
#include "sim/counters.h"
#include "sim/kernel_context.h"
#include "sim/queue.h"
#include "sim/report.h"
#include "sim/sim.h"

// libsystemc refers to the main function of programs that it starts; Weft starts SystemC, so this one never runs.
int sc_main(int, char *[]) { return 0; }

namespace weft {

// Modules are destroyed before the kernel that they live in.
struct simulation {
  explicit simulation(const weft_schedule &schedule) : state(schedule) {
    for (int which = 0; which < WEFT_QUEUE_COUNT; ++which) {
      std::string name = std::string("queue_") + std::to_string(which);
      modules.push_back(std::make_unique<queue>(name.c_str(), static_cast<weft_queue>(which), state));
      state.queues.push_back(modules.back().get());
    }
  }

  kernel_context context;
  system_state state;
  std::vector<std::unique_ptr<queue>> modules;
};

static weft_status describe_deadlock(const weft_schedule &schedule, const system_state &state) {
  std::string text;
  for (const queue *each : state.queues) {
    if (each->step() == WEFT_NONE || each->waits_for() == WEFT_NONE) continue;
    char *step = weft_step_describe(&schedule, each->step()), *other = weft_step_describe(&schedule, each->waits_for());
    if (!text.empty()) text += "; ";
    text += "step " + std::to_string(each->step()) + " (" + step + ") waits for step " +
            std::to_string(each->waits_for()) + " (" + other + ")";
    free(step);
    free(other);
  }
  return weft_error(WEFT_INVALID, "the schedule deadlocks in iteration %u: %s", state.done.iteration(), text.c_str());
}

static weft_status send(const weft_trace_sink &sink, weft_counter counter, const std::vector<sample> &samples) {
  for (const sample &s : samples) WEFT_TRY(sink.counter(sink.context, counter, s.time_ns, s.value));
  return nullptr;
}

static weft_status send_all(const weft_schedule &schedule, const weft_trace_sink &sink,
                            const std::vector<weft_trace_event> &events, std::uint64_t end_ns) {
  if (sink.event)
    for (const weft_trace_event &event : events) WEFT_TRY(sink.event(sink.context, &event));
  if (!sink.counter) return nullptr;
  WEFT_TRY(send(sink, WEFT_COUNTER_MEMORY, memory_samples(schedule, events, end_ns)));
  WEFT_TRY(send(sink, WEFT_COUNTER_STREAM_IN, rate_samples(WEFT_QUEUE_STREAM_IN, events, end_ns)));
  return send(sink, WEFT_COUNTER_STREAM_OUT, rate_samples(WEFT_QUEUE_STREAM_OUT, events, end_ns));
}

static weft_status simulate(const weft_schedule &schedule, const weft_trace_sink *sink, weft_sim_report *out_report) {
  simulation run(schedule);
  sc_core::sc_start();
  if (!run.state.pass_ended()) return describe_deadlock(schedule, run.state);
  if (sink) WEFT_TRY(send_all(schedule, *sink, run.state.events, now() / 1000));
  *out_report = make_report(schedule, run.state.times, now(), run.state.activations);
  return nullptr;
}

}  // namespace weft

extern "C" weft_status weft_sim_run(const weft_schedule *schedule, const weft_trace_sink *sink,
                                    weft_sim_report *out_report) {
  // Exceptions end here: SystemC reports its errors by throwing, and C cannot catch them.
  try {
    return weft::simulate(*schedule, sink, out_report);
  } catch (const std::exception &error) {
    return weft_error(WEFT_FAILED, "the simulator failed: %s", error.what());
  }
}
