#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/cli.h"
#include "compiler/compile.h"

typedef struct compile_request {
  char *network, *machine, *mode, *dtype, *optimizer, *recompute, *output;
  int batch, sequence, context, systems, micro_batch, seed, all_logits, no_clip;
} compile_request;

static weft_status count_of(const char *option, int value, uint32_t *out_count) {
  if (value < 0) return weft_error(WEFT_INVALID, "--%s %d: expected a whole number of at least 0", option, value);
  *out_count = (uint32_t)value;
  return NULL;
}

static weft_status read_run(const compile_request *request, weft_run *run) {
  if (request->mode) WEFT_TRY(weft_mode_parse(request->mode, &run->mode));
  if (request->dtype) WEFT_TRY(weft_dtype_parse(request->dtype, &run->dtype));
  if (request->optimizer) WEFT_TRY(weft_optimizer_parse(request->optimizer, &run->optimizer));
  if (request->recompute) WEFT_TRY(weft_recompute_parse(request->recompute, &run->recompute));
  WEFT_TRY(count_of("batch", request->batch, &run->batch));
  WEFT_TRY(count_of("sequence", request->sequence, &run->sequence));
  WEFT_TRY(count_of("context", request->context, &run->context));
  WEFT_TRY(count_of("systems", request->systems, &run->systems));
  WEFT_TRY(count_of("micro-batch", request->micro_batch, &run->micro_batch));
  run->all_logits = request->all_logits;
  run->clip = !request->no_clip;
  run->seed = (uint64_t)request->seed;
  return NULL;
}

static weft_status compile(const compile_request *request) {
  if (!request->network)
    return weft_error(WEFT_INVALID, "--network is missing: a name (weft networks), a folder or a config.json");
  if (!request->machine)
    return weft_error(WEFT_INVALID,
                      "--machine is missing: a name (weft machines), a file or a spelling like \"mesh:8x8\"");
  weft_run run = weft_run_default();
  WEFT_TRY(read_run(request, &run));
  weft_network network;
  WEFT_TRY(weft_network_read(request->network, &network));
  weft_machine *machine;
  WEFT_TRY(weft_machine_read(request->machine, &machine));
  weft_schedule *schedule;
  weft_status status = weft_compile(&network, machine, &run, &schedule);
  weft_machine_destroy(machine);
  if (status) return status;
  status = weft_schedule_write(schedule, request->output);
  if (!status) {
    weft_schedule_print(schedule, stdout);
    weft_log(WEFT_LOG_INFO, "wrote %s", request->output);
  }
  weft_schedule_destroy(schedule);
  return status;
}

static weft_status run(int argc, const char **argv) {
  weft_run defaults = weft_run_default();
  compile_request request = {
      .batch = (int)defaults.batch, .systems = (int)defaults.systems, .seed = (int)defaults.seed};
  struct poptOption table[] = {
      {"network", 'n', POPT_ARG_STRING, &request.network, 0, "name in the zoo, folder, config.json or .gguf",
       "NETWORK"},
      {"machine", 'm', POPT_ARG_STRING, &request.machine, 0, "name, YAML file or one-line spelling", "MACHINE"},
      {"systems", 0, POPT_ARG_INT, &request.systems, 0, "data-parallel systems (default 1)", "N"},
      {"mode", 0, POPT_ARG_STRING, &request.mode, 0, "train (default), prefill or decode", "MODE"},
      {"batch", 0, POPT_ARG_INT, &request.batch, 0, "sequences per step over all systems (default 1)", "N"},
      {"sequence", 0, POPT_ARG_INT, &request.sequence, 0,
       "tokens per sequence; decode: room in the KV cache (default: the network's longest)", "N"},
      {"context", 0, POPT_ARG_INT, &request.context, 0, "prefill: room in the KV cache (default: sequence)", "N"},
      {"micro-batch", 0, POPT_ARG_INT, &request.micro_batch, 0,
       "sequences per system and pass over the weights (default: chosen)", "N"},
      {"dtype", 0, POPT_ARG_STRING, &request.dtype, 0,
       "of streamed weights and activations: f32, bf16 (default) or f16", "DTYPE"},
      {"optimizer", 0, POPT_ARG_STRING, &request.optimizer, 0, "adamw (default) or sgd", "NAME"},
      {"recompute", 0, POPT_ARG_STRING, &request.recompute, 0, "auto (default), none or block", "POLICY"},
      {"no-clip", 0, POPT_ARG_NONE, &request.no_clip, 0,
       "updates follow their gradients at once, without the norm of all of them", NULL},
      {"all-logits", 0, POPT_ARG_NONE, &request.all_logits, 0, "prefill: logits of every position", NULL},
      {"seed", 0, POPT_ARG_INT, &request.seed, 0, "kept in the schedule (default 1)", "N"},
      {"output", 'o', POPT_ARG_STRING, &request.output, 0, "the schedule to write", "S.weft"},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft compile --network NETWORK --machine MACHINE [--systems N] --mode MODE [...] -o S.weft",
      .about =
          "Compiles a network for a machine into a schedule: what every queue does, step by step, and where "
          "everything\n"
          "lies in memory. What does not fit ends with exit code 3 and the numbers.",
      .examples =
          "  weft compile --network cerebras-gpt-13b --machine cs2 --systems 16 --mode train --batch 720 -o 13b.weft\n"
          "  weft compile --network smollm2-135m --machine \"mesh:8x8 sram:48KiB\" --mode decode --sequence 128 -o "
          "tiny.weft\n",
      .table = table};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (!options.helped) {
    status = request.output ? compile(&request)
                            : weft_error(WEFT_INVALID, "-o is missing: the schedule's file, e.g. -o s.weft");
  }
  weft_cli_finish(&options);
  char *texts[] = {request.network,   request.machine,   request.mode,  request.dtype,
                   request.optimizer, request.recompute, request.output};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) free(texts[i]);
  return status;
}

const weft_command weft_command_compile = {"compile", "compile a network for a machine into a schedule", run};
