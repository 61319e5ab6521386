#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "traces/trace.h"

// After the table: what makes the answer less than it looks.
static weft_status verdict(const weft_comparison *c) {
  if (!c->times_comparable)
    return weft_error(
        WEFT_INVALID,
        "times were not compared: the first trace is of %s, the second of %s. The work above is. For times, "
        "describe this computer with `weft calibrate -o host.yaml`, compile with --machine host.yaml, then "
        "simulate and run that schedule",
        c->predicted_on, c->measured_on);
  return NULL;
}

static weft_status compare(const char *predicted_path, const char *measured_path, weft_table_form form) {
  weft_trace *predicted = NULL, *measured = NULL;
  weft_comparison *comparison = NULL;
  weft_status status = weft_trace_read(predicted_path, &predicted);
  if (!status) status = weft_trace_read(measured_path, &measured);
  if (!status) status = weft_compare(predicted, measured, &comparison);
  if (!status) {
    weft_comparison_print(comparison, form, stdout);
    status = verdict(comparison);
  }
  weft_comparison_destroy(comparison);
  weft_trace_destroy(predicted);
  weft_trace_destroy(measured);
  return status;
}

static weft_status run(int argc, const char **argv) {
  int json = 0, csv = 0;
  struct poptOption table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "print JSON", NULL},
                               {"csv", 0, POPT_ARG_NONE, &csv, 0, "print CSV", NULL},
                               POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft compare PREDICTED.pftrace MEASURED.pftrace [--json|--csv]",
      .about =
          "Joins two traces of one schedule by step and iteration: coverage, whether the work (bytes, FLOPs) is the "
          "same,\n"
          "and predicted against measured time per queue and per op. Times are compared only where both are of the "
          "same\n"
          "computer; otherwise the work is, and the exit code is 2. Error is 100 * (predicted - measured) / measured.",
      .examples = "  weft compare predicted.pftrace measured.pftrace\n",
      .table = table,
      .positional_min = 2,
      .positional_max = 2};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (!options.helped)
    status = json && csv ? weft_error(WEFT_INVALID, "--json and --csv: choose one")
                         : compare(options.positional[0], options.positional[1],
                                   json  ? WEFT_TABLE_JSON
                                   : csv ? WEFT_TABLE_CSV
                                         : WEFT_TABLE_TEXT);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_compare = {"compare", "compare a predicted with a measured trace, step by step", run};
