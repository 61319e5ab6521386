// weft validate: published results against what Weft predicts.
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/cli.h"
#include "plan/validate.h"

static weft_status validate(const char *path, const char *areas, const weft_validation_limits *limits,
                            weft_table_form form) {
  weft_validation v;
  WEFT_TRY(weft_validation_run_within(path, areas, limits, &v));
  weft_validation_print(&v, form, stdout);
  weft_status status = NULL;
  if (v.beyond)
    status = weft_error(WEFT_OUTSIDE, "%s: %u of %u covered cases lie outside their tolerance", path, v.beyond,
                        v.beyond + v.within);
  else if (v.not_understood)
    status = weft_error(WEFT_INVALID, "%s: %u of %u cases are not understood", path, v.not_understood, v.count);
  weft_validation_finish(&v);
  return status;
}

static weft_status read_limits(double hops, int threads, weft_validation_limits *out_limits) {
  if (!(hops >= 1)) return weft_error(WEFT_INVALID, "--hops %g: at least 1 is right", hops);
  if (threads < 1 || threads > 2) return weft_error(WEFT_INVALID, "--threads %d: 1 or 2 is right", threads);
  out_limits->most_hops = hops;
  out_limits->threads = (uint32_t)threads;
  return NULL;
}

static weft_status run(int argc, const char **argv) {
  char *cases = NULL, *areas = NULL, *path = NULL;
  weft_validation_limits limits = weft_validation_limits_default();
  double hops = limits.most_hops;
  int json = 0, csv = 0, threads = (int)limits.threads;
  struct poptOption table[] = {
      {"cases", 0, POPT_ARG_STRING, &cases, 0, "table of cases (default: the one that Weft brings along)", "FILE"},
      {"area", 0, POPT_ARG_STRING, &areas, 0, "only these areas, or subjects of them, joined by commas", "A,B/S"},
      {"hops", 0, POPT_ARG_DOUBLE, &hops, 0,
       "execute whole what takes at most so many wavelet-hops; larger kernels are continued from smaller ones (1e9)",
       "N"},
      {"threads", 0, POPT_ARG_INT, &threads, 0, "1 or 2: for the simulated mesh; same results (1)", "N"},
      {"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
      {"csv", 0, POPT_ARG_NONE, &csv, 0, "the cases as CSV", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft validate [--cases FILE] [--area A,B] [--hops N] [--json | --csv]",
      .about =
          "Predicts published results and prints how far off each prediction is and how it was obtained: from a "
          "formula, simulated, executed wavelet by wavelet, or continued from smaller executions. Subjects that Weft "
          "does not predict are listed as not covered, rows that cannot be understood with their line; the others "
          "are run all the same. Exit code 4: a covered case is outside its tolerance; else 2: a row was not "
          "understood; else 0.",
      .examples =
          "  weft validate\n  weft validate --area plan/params\n"
          "  weft validate --cases mine.csv --json | jq .summary\n"
          "  weft validate --area gemm --hops 1e11 --threads 2\n",
      .table = table,
      .positional_min = 0,
      .positional_max = 0};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (!options.helped) {
    status = read_limits(hops, threads, &limits);
    if (!status && !cases) status = weft_data_path("plan/cases.csv", &path);
    if (!status)
      status = validate(cases ? cases : path, areas, &limits,
                        json  ? WEFT_TABLE_JSON
                        : csv ? WEFT_TABLE_CSV
                              : WEFT_TABLE_TEXT);
  }
  free(path);
  free(cases);
  free(areas);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_validate = {"validate", "compare predictions with published results", run};
