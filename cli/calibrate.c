// weft calibrate: measures this computer and writes its machine file, or fits costs of ops to a mesh.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/calibrate_mesh.h"
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

typedef struct request {
  char *path, *backend, *machine, *op;
  double seconds;
  int threads, quick, check, json, csv;
} request;

static weft_status carry_out(const request *r) {
  bool host = r->seconds > 0 || r->threads != 0 || r->backend;
  if (r->machine && host)
    return weft_error(WEFT_INVALID, "--seconds, --threads and --backend are of this computer, not of --machine %s",
                      r->machine);
  if (r->machine) {
    weft_calibrate_mesh mesh = {
        .machine = r->machine, .op = r->op, .path = r->path, .quick = r->quick != 0, .check = r->check != 0};
    mesh.form = r->json ? WEFT_TABLE_JSON : r->csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT;
    return weft_calibrate_mesh_run(&mesh);
  }
  if (r->op || r->quick || r->check || r->json || r->csv)
    return weft_error(WEFT_INVALID, "--op, --quick, --check, --json and --csv go with --machine NAME");
  if (!r->path)
    return weft_error(
        WEFT_INVALID,
        "calibrate: -o FILE is needed: where to write the machine, such as -o host.yaml; or --machine NAME");
  double seconds = r->seconds > 0 ? r->seconds : weft_measure_options_default().seconds;
  return calibrate(r->path, r->backend ? r->backend : "cpu", seconds, r->threads);
}

static weft_status run(int argc, const char **argv) {
  request r = {0};
  struct poptOption table[] = {
      {"output", 'o', POPT_ARG_STRING, &r.path, 0, "the file to write: a machine, or a table of costs", "FILE"},
      {"out", 0, POPT_ARG_STRING, &r.path, 0, "the same", "FILE"},
      {"seconds", 0, POPT_ARG_DOUBLE, &r.seconds, 0, "time for the measurements, about (20)", "S"},
      {"threads", 0, POPT_ARG_INT, &r.threads, 0, "threads of the backend; 0: one per core (0)", "N"},
      {"backend", 0, POPT_ARG_STRING, &r.backend, 0, "ref or cpu (cpu)", "NAME"},
      {"machine", 'm', POPT_ARG_STRING, &r.machine, 0, "a mesh of cores, executed wavelet by wavelet", "NAME"},
      {"op", 0, POPT_ARG_STRING, &r.op, 0, "of it only this op", "OP"},
      {"quick", 0, POPT_ARG_NONE, &r.quick, 0, "fewer shapes, on meshes of at most 64 cores", NULL},
      {"check", 0, POPT_ARG_NONE, &r.check, 0, "hold the machine's table against fresh shapes", NULL},
      {"json", 0, POPT_ARG_NONE, &r.json, 0, "as JSON", NULL},
      {"csv", 0, POPT_ARG_NONE, &r.csv, 0, "as CSV", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft calibrate -o host.yaml [OPTION...] | weft calibrate --machine NAME [-o costs.yaml] [OPTION...]",
      .about =
          "Measures this computer: every op by size and dtype, memory, copies, hand-overs between threads, disk. "
          "Schedules compiled for the machine file that it writes can be simulated and compared with runs on "
          "this computer. Other programs make the measurements, and so the predictions, slower.\n\n"
          "With --machine: executes every class of ops on small meshes of that machine's cores, wavelet by wavelet, "
          "and "
          "fits closed forms of their cycles, which the region level takes its costs from. Printed with the error on "
          "shapes that were not fitted. A machine's file names its table as \"costs: NAME\". --check exits with 4 when "
          "a "
          "class is off by more than it states.",
      .examples =
          "  weft calibrate -o host.yaml\n  weft calibrate -o quick.yaml --seconds 5 --threads 2\n"
          "  weft calibrate --machine wse2 -o models/costs/wse2.yaml\n"
          "  weft calibrate --machine wse3 --op linear --quick\n"
          "  weft calibrate --machine wse2 --check --quick\n",
      .table = table};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = options.helped ? NULL : carry_out(&r);
  free(r.path);
  free(r.backend);
  free(r.machine);
  free(r.op);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_calibrate = {"calibrate", "measure this computer, or fit costs to a mesh", run};
