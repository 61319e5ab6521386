// Options that show what a simulated mesh did, shared by the commands that run one (kernel run, sim --level wavelet):
// heat maps, tables of links and cores, VCD and trace of a rectangle.
//
//   weft_cli_observe observe = {0};
//   struct poptOption table[] = {..., WEFT_CLI_OBSERVE_OPTIONS(observe), POPT_TABLEEND};
//   WEFT_TRY(weft_cli_observe_begin(&observe, name, machine));             after parsing
//   WEFT_TRY(weft_cli_observe_open(&observe, columns, rows, &mesh_options));
//   for every kernel:
//     ... weft_mesh_open, weft_mesh_run ...
//     weft_cli_observe_take(&observe, "phase", kernel, mesh, &report);     before weft_mesh_close
//   status = weft_cli_observe_end(&observe, stdout);                       writes and prints what was asked for
//   weft_cli_observe_finish(&observe);                                     always; takes a zeroed one
//
// Phases follow each other in time: cycles of the second one begin where those of the first one end, also for --window.
#ifndef WEFT_CLI_OBSERVE_H
#define WEFT_CLI_OBSERVE_H

#include <jansson.h>
#include <popt.h>

#include "sim/mesh.h"
#include "traces/activity.h"
#include "traces/recording.h"

typedef struct weft_cli_observe {
  // Options as given.
  char *heatmap, *metric_name, *vcd, *trace, *rectangle, *window, *links_text, *cores_text;
  double scale;
  int csv;
  // From here on: this module's own.
  char name[64];
  double clock_hz;
  uint32_t links, cores;  // rows; 0: no table
  weft_activity_metric metric;
  weft_block where;
  bool somewhere;  // --rectangle is given
  uint64_t begin, end, elapsed;
  uint64_t named;     // spans whose instructions have been looked up
  uint32_t **labels;  // by program, and instruction or task: label + 1
  weft_mesh_observer observer;
  weft_recording *recording;
  weft_activity **phases;
  uint32_t phase_count;
} weft_cli_observe;

// The table of links or cores alone, as CSV, is asked for by --csv: a command that has other results leaves them out
// then.
#define WEFT_CLI_OBSERVE_OPTIONS(o)                                                                                   \
  {"heatmap", 0, POPT_ARG_STRING, &(o).heatmap, 0, "draw the mesh, a pixel per core (.png or .svg)", "FILE"},         \
      {"metric",                                                                                                      \
       0,                                                                                                             \
       POPT_ARG_STRING,                                                                                               \
       &(o).metric_name,                                                                                              \
       0,                                                                                                             \
       "what --heatmap shows: busy (default), receive, send, microthread, idle, links, north, east, south, "          \
       "west",                                                                                                        \
       "WHAT"},                                                                                                       \
      {"scale", 0, POPT_ARG_DOUBLE, &(o).scale, 0, "upper end of the colours (default: chosen)", "VALUE"},            \
      {"links", 0, POPT_ARG_STRING, &(o).links_text, 0, "print the N links with most wavelets", "N"},                 \
      {"cores", 0, POPT_ARG_STRING, &(o).cores_text, 0, "print the N busiest cores", "N"},                            \
      {"csv", 0, POPT_ARG_NONE, &(o).csv, 0, "print the table of --links or --cores alone, as CSV", NULL},            \
      {"vcd", 0, POPT_ARG_STRING, &(o).vcd, 0, "waves of --rectangle and --window for GTKWave", "FILE"},              \
      {"rectangle", 0, POPT_ARG_STRING, &(o).rectangle, 0, "cores of --vcd and --trace (default: all)", "X..X,Y..Y"}, \
  {                                                                                                                   \
    "window", 0, POPT_ARG_STRING, &(o).window, 0, "cycles of --vcd and --trace (default: all)", "A..B"                \
  }
// The trace of cores; apart, because weft sim has an option of this name already.
#define WEFT_CLI_OBSERVE_TRACE(o) \
  { "trace", 0, POPT_ARG_STRING, &(o).trace, 0, "instructions of --rectangle and --window for Perfetto", "FILE" }

bool weft_cli_observe_wanted(const weft_cli_observe *observe);  // any of WEFT_CLI_OBSERVE_OPTIONS is given
// WEFT_INVALID: options that are wrong or do not go together; WEFT_FAILED: a file cannot be written. Nothing is
// simulated before this.
weft_status weft_cli_observe_begin(weft_cli_observe *observe, const char *name,
                                   const weft_machine *machine) WEFT_CHECKED;
// WEFT_INVALID: the rectangle is not on a mesh of this size. Sets count_links and observer of the options, which serve
// for all phases.
weft_status weft_cli_observe_open(weft_cli_observe *observe, uint32_t columns, uint32_t rows,
                                  weft_mesh_options *options) WEFT_CHECKED;
// Kernels of equal `phase` that follow each other are one panel of a heat map.
void weft_cli_observe_take(weft_cli_observe *observe, const char *phase, const weft_kernel *kernel,
                           const weft_mesh_sim *mesh, const weft_mesh_report *report);
// Where a run of `kernel` has failed with `status`, which is given back: writes what was recorded until then.
weft_status weft_cli_observe_give_up(weft_cli_observe *observe, const weft_kernel *kernel,
                                     weft_status status) WEFT_CHECKED;
// Prints the tables as text, or as CSV where asked for; writes the files. WEFT_INVALID: the
// window begins after the end of the run.
weft_status weft_cli_observe_end(weft_cli_observe *observe, FILE *out) WEFT_CHECKED;
// The same with the tables as members "links" and "cores" of a command's JSON.
weft_status weft_cli_observe_end_json(weft_cli_observe *observe, json_t *root) WEFT_CHECKED;
void weft_cli_observe_finish(weft_cli_observe *observe);

#endif
