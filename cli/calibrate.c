// weft calibrate: measures this computer and writes its machine file.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"
#include "runtime/measure.h"

static void fact(weft_table *table, const char *name, double value, const char *unit, const char *note) {
  char text[32];
  weft_table_row(table);
  weft_table_text(table, name);
  weft_table_text(table, value > 0
                             ? strcmp(unit, "s") == 0 ? weft_text_seconds(value, text) : weft_text_si(value, unit, text)
                             : "unknown");
  weft_table_text(table, note);
}

static void print_report(const weft_machine *m, const weft_measure_report *r, const char *path) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "measured", NULL);
  weft_table_column(table, "value", NULL);
  weft_table_column(table, "how", NULL);
  fact(table, "f32 peak", r->peak[WEFT_F32], "FLOP/s", "quickest matrix product");
  fact(table, "bf16 peak", r->peak[WEFT_BF16], "FLOP/s", "quickest matrix product");
  fact(table, "memory bandwidth", r->memory_bytes_per_second, "B/s", "quickest large sum, load or update");
  fact(table, "copy bandwidth", r->copy_bytes_per_second, "B/s", "one stream thread, bytes of one side");
  fact(table, "step overhead", r->step_seconds, "s", "a word to another thread");
  char share[16];
  snprintf(share, sizeof share, "%.0f %%", 100 * r->sharing_efficiency);
  weft_table_row(table);
  weft_table_text(table, "sharing cores");
  weft_table_text(table, share);
  weft_table_text(table, "of their work apart, a product and a stream at once");
  fact(table, "disk reads", r->disk_bytes_per_second, "B/s", r->disk_note);
  weft_table_print(table, WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
  printf("%s\n%u rates on %s, written to %s\n", r->device, m->roofline.rate_count, m->host, path);
}

static weft_status calibrate(const char *path, const char *name, double seconds, int threads) {
  const weft_backend *backend;
  WEFT_TRY(weft_backend_find(name, &backend));
  if (threads < 0) return weft_error(WEFT_INVALID, "--threads %d: 0 (all cores) or more is right", threads);
  weft_measure_options options = weft_measure_options_default();
  options.seconds = seconds;
  options.backend.threads = (uint32_t)threads;
  weft_progress progress;
  weft_machine *machine;
  weft_measure_report report;
  WEFT_TRY(weft_measure_host(backend, &options, &progress, &machine, &report));
  char *yaml = weft_machine_pack(machine);
  weft_status status = weft_file_write(path, yaml, strlen(yaml));
  if (!status) print_report(machine, &report, path);
  free(yaml);
  weft_machine_destroy(machine);
  weft_measure_report_finish(&report);
  return status;
}

static weft_status run(int argc, const char **argv) {
  char *path = NULL, *backend = NULL;
  double seconds = weft_measure_options_default().seconds;
  int threads = 0;
  struct poptOption table[] = {
      {"output", 'o', POPT_ARG_STRING, &path, 0, "the machine file to write", "FILE"},
      {"seconds", 0, POPT_ARG_DOUBLE, &seconds, 0, "time for the measurements, about (20)", "S"},
      {"threads", 0, POPT_ARG_INT, &threads, 0, "threads of the backend; 0: one per core (0)", "N"},
      {"backend", 0, POPT_ARG_STRING, &backend, 0, "ref or cpu (cpu)", "NAME"},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft calibrate -o host.yaml [OPTION...]",
      .about =
          "Measures this computer: every op by size and dtype, memory, copies, hand-overs between threads, disk. "
          "Schedules compiled for the machine file that it writes can be simulated and compared with runs on "
          "this computer. Other programs make the measurements, and so the predictions, slower.",
      .examples = "  weft calibrate -o host.yaml\n  weft calibrate -o quick.yaml --seconds 5 --threads 2\n",
      .table = table};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  if (options.helped) return NULL;
  weft_status status =
      path ? calibrate(path, backend ? backend : "cpu", seconds, threads)
           : weft_error(WEFT_INVALID, "calibrate: -o FILE is needed: where to write the machine, such as -o host.yaml");
  free(path);
  free(backend);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_calibrate = {"calibrate", "measure this computer as a machine", run};
