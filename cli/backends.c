// weft backends: what this computer can compute with.
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "runtime/backend.h"

// An unavailable backend is a row, not a failure.
static weft_status row(weft_table *table, const weft_backend *backend) {
  void *device = NULL;
  weft_backend_options options = {0};
  weft_status status = backend->open(&options, &device);
  if (status && weft_status_code(status) != WEFT_UNAVAILABLE)
    return weft_status_prefix(status, "backend %s: ", backend->name);
  weft_table_row(table);
  weft_table_text(table, backend->name);
  weft_table_text(table, status ? "no" : "yes");
  weft_table_text(table, backend->about);
  char *text = status ? NULL : backend->describe(device);
  weft_table_text(table, status ? weft_status_message(status) : text);
  free(text);
  if (!status) backend->close(device);
  weft_status_free(status);
  return NULL;
}

static weft_status run(int argc, const char **argv) {
  int json = 0, csv = 0;
  struct poptOption options_table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
                                       {"csv", 0, POPT_ARG_NONE, &csv, 0, "as CSV", NULL},
                                       POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft backends [OPTION...]",
      .about =
          "Lists the backends that schedules run on, whether each is available on this computer, and how it "
          "would compute (or why it cannot).",
      .examples = "  weft backends\n  weft backends --json\n",
      .table = options_table};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  if (options.helped) return NULL;
  static const char *const columns[] = {"name", "available", "about", "device"};
  weft_table *table = weft_table_create();
  for (size_t i = 0; i < sizeof columns / sizeof *columns; ++i) weft_table_column(table, columns[i], NULL);
  uint32_t count;
  weft_status status = NULL;
  const weft_backend *const *all = weft_backends(&count);
  for (uint32_t i = 0; i < count && !status; ++i) status = row(table, all[i]);
  if (!status) weft_table_print(table, json ? WEFT_TABLE_JSON : csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_backends = {"backends", "list what this computer can compute with", run};
