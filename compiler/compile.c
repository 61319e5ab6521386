#include "compiler/compile.h"

#include <stdlib.h>

#include "compiler/passes.h"

// The pipeline on one screen; partition calls it for every cut that it tries.
weft_status weft_compile_cut(const weft_network *network, const weft_machine *machine, const weft_run *run,
                             weft_cut cut, weft_schedule **out_schedule) {
  weft_graph *graph;
  WEFT_TRY(weft_graph_build(network, run, cut.micro_batch, cut.recompute, &graph));
  weft_schedule *schedule = weft_schedule_create();
  schedule->network = *network;
  schedule->run = *run;
  schedule->micro_batch = cut.micro_batch;
  schedule->recompute = cut.recompute;
  schedule->iterations = run->mode == WEFT_TRAIN ? run->batch / run->systems / cut.micro_batch : 1;
  char *description = weft_machine_pack(machine);
  weft_status status = weft_machine_unpack(description, machine->name, &schedule->machine);
  free(description);

  if (!status) weft_stream(graph, schedule);
  if (!status) weft_place(schedule);
  if (!status) status = weft_plan(schedule);
  if (!status) weft_order(schedule);
  if (!status) status = weft_schedule_check(schedule);

  weft_graph_destroy(graph);
  if (status) {
    weft_schedule_destroy(schedule);
    return status;
  }
  *out_schedule = schedule;
  return NULL;
}

weft_status weft_compile(const weft_network *network, const weft_machine *machine, const weft_run *run,
                         weft_schedule **out_schedule) {
  weft_run complete = *run;
  if (complete.sequence == 0) complete.sequence = network->positions;
  if (complete.mode == WEFT_PREFILL && complete.context == 0) complete.context = complete.sequence;
  if (complete.mode == WEFT_DECODE) complete.context = complete.sequence;
  WEFT_TRY(weft_network_check(network));
  WEFT_TRY(weft_machine_check(machine));
  WEFT_TRY(weft_run_check(&complete, network));
  if (complete.systems > machine->max_systems)
    return weft_error(WEFT_INVALID, "systems: %u, but %s joins at most %u", complete.systems, machine->name,
                      machine->max_systems);
  return weft_partition(network, machine, &complete, out_schedule);
}
