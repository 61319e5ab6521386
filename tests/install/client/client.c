// A user of the installed library: what would this network do on that machine?
//   client NETWORK MACHINE
#include <stdio.h>

#include "compiler/compile.h"
#include "sim/sim.h"

static weft_status ask(const char *network_name, const char *machine_name, weft_sim_report *out_report) {
  weft_network network;
  weft_machine *machine = NULL;
  weft_schedule *schedule = NULL;
  WEFT_TRY(weft_network_read(network_name, &network));
  WEFT_TRY(weft_machine_read(machine_name, &machine));
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.batch = 1;
  run.sequence = 128;
  weft_status status = weft_compile(&network, machine, &run, &schedule);
  if (!status) status = weft_sim_run(schedule, NULL, out_report);
  weft_schedule_destroy(schedule);
  weft_machine_destroy(machine);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  weft_sim_report report;
  weft_status status = ask(argv[1], argv[2], &report);
  if (status) {
    fprintf(stderr, "client: %s\n", weft_status_message(status));
    int code = (int)weft_status_code(status);
    weft_status_free(status);
    return code;
  }
  printf("%.17g tokens/s\n", report.tokens_per_second);
  return 0;
}
