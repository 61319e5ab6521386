// weft sim: what a schedule would take on its machine.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/sim_wavelet.h"
#include "sim/sim.h"
#include "traces/trace.h"

static weft_trace_header header_of(const weft_schedule *schedule) {
  const weft_machine *machine = schedule->machine;
  weft_trace_header header = {.kind = WEFT_TRACE_SIMULATED,
                              .schedule_hash = weft_schedule_hash(schedule),
                              .step_count = schedule->step_count,
                              .body = schedule->body,
                              .iterations = schedule->iterations};
  snprintf(header.network, sizeof header.network, "%s", schedule->network.name);
  snprintf(header.machine, sizeof header.machine, "%s", machine->name);
  snprintf(header.timed_on, sizeof header.timed_on, "%s", machine->measured ? machine->host : machine->name);
  snprintf(header.maker, sizeof header.maker, "sim region");
  return header;
}

static weft_status simulate(const weft_schedule *schedule, const char *trace, weft_sim_report *out_report) {
  if (!trace) return weft_sim_run(schedule, NULL, out_report);
  weft_trace_header header = header_of(schedule);
  weft_trace_writer *writer = NULL;
  WEFT_TRY(weft_trace_writer_open(trace, schedule, &header, &writer));
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  weft_status status = weft_sim_run(schedule, &sink, out_report);
  weft_status closed = weft_trace_writer_close(writer);
  if (!status) return closed;
  weft_status_free(closed);
  return status;
}

static weft_status sim(const char *path, const char *trace, double tokens, bool costs, weft_table_form form) {
  weft_schedule *schedule = NULL;
  WEFT_TRY(weft_schedule_read(path, &schedule));
  weft_sim_report report;
  weft_status status = simulate(schedule, trace, &report);
  if (!status && costs) weft_sim_costs_print(schedule, form, stdout);
  if (!status && !costs) weft_sim_report_print(schedule, &report, tokens, form, stdout);
  weft_schedule_destroy(schedule);
  return status;
}

static weft_status sim_wavelet(const char *path, weft_cli_observe *observe,
                               const weft_cli_sim_wavelet_options *options) {
  weft_schedule *schedule = NULL;
  WEFT_TRY(weft_schedule_read(path, &schedule));
  weft_status status = weft_cli_sim_wavelet(schedule, observe, options);
  weft_schedule_destroy(schedule);
  return status;
}

static weft_status choose(const char *path, const char *level, weft_cli_observe *observe, double tokens, bool costs,
                          const weft_cli_sim_wavelet_options *wavelet) {
  if (level && strcmp(level, "region") != 0 && strcmp(level, "wavelet") != 0)
    return weft_error(WEFT_INVALID, "--level %s: expected region or wavelet", level);
  if (!(tokens >= 0)) return weft_error(WEFT_INVALID, "--tokens %g: a number of tokens is not negative", tokens);
  if (level && strcmp(level, "wavelet") == 0) {
    if (tokens > 0 || costs)
      return weft_error(WEFT_INVALID, "%s is for --level region", costs ? "--costs" : "--tokens");
    return sim_wavelet(path, observe, wavelet);
  }
  if (weft_cli_observe_wanted(observe))
    return weft_error(WEFT_INVALID,
                      "heat maps, links, cores, waves and rectangles are of single cores: they need --level wavelet");
  if (wavelet->decode >= 0 || wavelet->prompt >= 0)
    return weft_error(WEFT_INVALID, "--decode and --prompt need --level wavelet");
  return sim(path, observe->trace, tokens, costs, wavelet->json ? WEFT_TABLE_JSON : WEFT_TABLE_TEXT);
}

static weft_status run(int argc, const char **argv) {
  weft_cli_observe observe = {0};
  char *level = NULL;
  double tokens = 0;
  int json = 0, costs = 0;
  int threads = 1;
  weft_cli_sim_wavelet_options wavelet = {.decode = -1, .prompt = -1};
  struct poptOption table[] = {
      {"trace", 't', POPT_ARG_STRING, &observe.trace, 0,
       "write the predicted trace for Perfetto (gzip if it ends in .gz)", "T.pftrace"},
      {"level", 'l', POPT_ARG_STRING, &level, 0,
       "region (default) or wavelet: every core and wavelet of a small mesh, with data", "LEVEL"},
      {"tokens", 'n', POPT_ARG_DOUBLE, &tokens, 0, "also print the days for this many tokens (257e9)", "N"},
      {"decode", 0, POPT_ARG_LONGLONG, &wavelet.decode, 0,
       "wavelet level, schedule of mode decode: tokens to decode one after the other (default 1)", "N"},
      {"prompt", 0, POPT_ARG_LONGLONG, &wavelet.prompt, 0,
       "likewise: tokens in the KV cache before (default: so many that the last one fills it)", "N"},
      {"threads", 0, POPT_ARG_INT, &threads, 0, "wavelet level: 1 or 2, with the same result (default 1)", "N"},
      {"costs", 0, POPT_ARG_NONE, &costs, 0,
       "instead: what each op's cost rests on, with its stated error and how far it is extrapolated", NULL},
      {"json", 'j', POPT_ARG_NONE, &json, 0, "for programs", NULL},
      WEFT_CLI_OBSERVE_OPTIONS(observe),
      POPT_TABLEEND};
  weft_cli_options options = {.usage = "weft sim S.weft [OPTION...]",
                              .about =
                                  "Predicts the time of a schedule on its machine: what each queue does, what is not "
                                  "overlapped and why, and the bound that may not be beaten.",
                              .examples =
                                  "  weft sim step.weft --trace step.pftrace --tokens 257e9\n"
                                  "  weft sim step.weft --costs\n",
                              .table = table,
                              .positional_min = 1,
                              .positional_max = 1};
  weft_status status = weft_cli_parse(&options, argc, argv);
  wavelet.json = json != 0;
  wavelet.threads = (uint32_t)threads;
  if (!status && (threads < 1 || threads > 2))
    status = weft_error(WEFT_INVALID, "--threads %d: expected 1 or 2", threads);
  if (!status && !options.helped) status = choose(options.positional[0], level, &observe, tokens, costs != 0, &wavelet);
  weft_cli_finish(&options);
  weft_cli_observe_finish(&observe);
  free(level);
  return status;
}

const weft_command weft_command_sim = {"sim", "predict the time of a schedule on its machine", run};
