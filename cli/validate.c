// weft validate: published results against what Weft predicts.
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/cli.h"
#include "plan/validate.h"

static weft_status validate(const char *path, const char *areas, weft_table_form form) {
  weft_validation v;
  WEFT_TRY(weft_validation_run(path, areas, &v));
  weft_validation_print(&v, form, stdout);
  weft_status status = NULL;
  if (v.beyond)
    status = weft_error(WEFT_OUTSIDE, "%s: %u of %u covered cases lie outside their tolerance", path, v.beyond,
                        v.beyond + v.within);
  weft_validation_finish(&v);
  return status;
}

static weft_status run(int argc, const char **argv) {
  char *cases = NULL, *areas = NULL, *path = NULL;
  int json = 0, csv = 0;
  struct poptOption table[] = {
      {"cases", 0, POPT_ARG_STRING, &cases, 0, "table of cases (default: the one that Weft brings along)", "FILE"},
      {"area", 0, POPT_ARG_STRING, &areas, 0, "only these areas, or subjects of them, joined by commas", "A,B/S"},
      {"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
      {"csv", 0, POPT_ARG_NONE, &csv, 0, "the cases as CSV", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft validate [--cases FILE] [--area A,B] [--json | --csv]",
      .about =
          "Predicts published results and prints how far off each prediction is. Subjects that Weft does not "
          "predict yet are listed as not covered. Exit code 4: a covered case is outside its tolerance.",
      .examples =
          "  weft validate\n  weft validate --area plan/params\n"
          "  weft validate --cases mine.csv --json | jq .summary\n",
      .table = table,
      .positional_min = 0,
      .positional_max = 0};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (!options.helped) {
    if (!cases) status = weft_data_path("plan/cases.csv", &path);
    if (!status)
      status = validate(cases ? cases : path, areas, json ? WEFT_TABLE_JSON : csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT);
  }
  free(path);
  free(cases);
  free(areas);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_validate = {"validate", "compare predictions with published results", run};
