#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "traces/trace.h"

static weft_status summarise(const char *path, weft_table_form form) {
  weft_trace *trace = NULL;
  WEFT_TRY(weft_trace_read(path, &trace));
  weft_trace_print_summary(trace, form, stdout);
  weft_trace_destroy(trace);
  return NULL;
}

static weft_status run(int argc, const char **argv) {
  int json = 0, csv = 0;
  struct poptOption table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "print JSON", NULL},
                               {"csv", 0, POPT_ARG_NONE, &csv, 0, "print CSV", NULL},
                               POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft trace summary T.pftrace [--json|--csv]",
      .about =
          "What a trace holds: span, and per queue and per op the events, busy time, share of the span, bytes and "
          "FLOPs\n"
          "with their rates; whether every step of the schedule ran as often as it should. Share may exceed 100 %\n"
          "where both lanes of a stream work at once. Traces open in ui.perfetto.dev too (docs/traces.md).",
      .examples = "  weft trace summary predicted.pftrace\n  weft trace summary measured.pftrace.gz --json\n",
      .table = table,
      .positional_min = 2,
      .positional_max = 2};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (options.helped) {
    status = NULL;
  } else if (strcmp(options.positional[0], "summary") != 0) {
    status = weft_error(WEFT_INVALID, "weft trace %s: unknown; there is `weft trace summary T.pftrace`",
                        options.positional[0]);
  } else if (json && csv) {
    status = weft_error(WEFT_INVALID, "--json and --csv: choose one");
  } else {
    status = summarise(options.positional[1], json ? WEFT_TABLE_JSON : csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT);
  }
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_trace = {"trace", "sum a trace up by queue and op", run};
