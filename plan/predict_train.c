// Training throughput with weights streamed: compile the network for the machine and simulate one step.
#include <stdlib.h>

#include "compiler/compile.h"
#include "models/machine.h"
#include "plan/predictors.h"
#include "sim/sim.h"

static weft_status simulate(const weft_network *network, const weft_machine *machine, const weft_run *run,
                            double *out_seconds) {
  weft_schedule *schedule;
  WEFT_TRY(weft_compile(network, machine, run, &schedule));
  weft_sim_report report;
  weft_status status = weft_sim_run(schedule, NULL, &report);
  if (!status) *out_seconds = report.step_seconds;
  weft_schedule_destroy(schedule);
  return status;
}

// Sequences per second. Not published and assumed: f16, and positions as many as the sequence needs.
double weft_predict_weight_streaming(weft_inputs *in) {
  weft_network network;
  weft_input_known(in, "release");
  const char *machine_name = weft_input_text(in, "machine");
  bool known = weft_input_network(in, &network);
  weft_run run = weft_run_default();
  run.dtype = WEFT_F16;
  run.systems = (uint32_t)weft_input_number(in, "systems", 1, 65536);
  run.batch = (uint32_t)weft_input_number(in, "batch", 1, 1 << 24);
  run.sequence = (uint32_t)weft_input_number(in, "sequence", 1, 1 << 24);
  if (!known || in->missing || in->error) return 0;
  if (network.positions < run.sequence) network.positions = run.sequence;
  weft_machine *machine;
  weft_status status = weft_machine_read(machine_name, &machine);
  double seconds = 0;
  if (!status) {
    status = simulate(&network, machine, &run, &seconds);
    weft_machine_destroy(machine);
  }
  if (status) {
    weft_input_uncovered(in, "%s", weft_status_message(status));
    weft_status_free(status);
    return 0;
  }
  in->method = WEFT_BY_SIMULATION;
  return run.batch / seconds;
}
