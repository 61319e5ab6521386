// Area fabric: every case is a kernel of compiler/kernels/collectives.h, executed wavelet by wavelet on its machine.
// Nothing is looked up and nothing is kept from one case to the next.
//
// What is measured is not always what the kernel takes:
// - "published-model" rows are a formula, and "vendor-simulator-fit" and "hardware" rows on WSE-3 say what one kernel
//   takes from start to end, `start` of the machine included: cycles of the simulation, as they are;
// - reduces that were timed ("vendor-simulator", "hardware" on WSE-2) hold what the authors' time stamps and the
//   alignment of the cores' clocks add. A chain is predicted exactly by formula and simulation alike, so the case
//   c1ae7c2a (calibrate) shows it alone: 7218 - 7162 cycles. In a two-phase reduce their leaders begin the second phase
//   as a step of its own: 20 cycles more, from the case cfc115c3 (calibrate). A broadcast timed by others (c9bfaba6)
//   has no such part.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/kernels/collectives.h"
#include "models/machine.h"
#include "plan/predictors.h"
#include "sim/mesh.h"

enum { TIMED_REDUCE_CYCLES = 56, SECOND_PHASE_CYCLES = 20 };

static weft_status execute(weft_kernel *kernel, const weft_machine *machine, double *out_cycles) {
  weft_mesh_options options = weft_mesh_options_default();
  options.count_links = false;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
  WEFT_TRY(weft_kernel_check(kernel, machine->mesh.sram_bytes_per_core));
  WEFT_TRY(weft_mesh_open(kernel, machine, &options, &mesh));
  weft_status status = weft_mesh_run(mesh, &report);
  weft_mesh_close(mesh);
  if (!status) *out_cycles = (double)report.cycles;
  return status;
}

// Takes the kernel, or why there is none.
static double simulate(weft_inputs *in, weft_status failed, weft_kernel *kernel) {
  if (failed) return weft_input_give_up(in, failed);
  const char *name = weft_input_text(in, "machine");
  weft_machine *machine = NULL;
  double cycles = 0;
  weft_status status = name ? weft_machine_read(name, &machine) : NULL;
  if (!status && machine && machine->kind != WEFT_MESH)
    status = weft_error(WEFT_INVALID, "machine %s is no mesh", name);
  if (!status && machine) status = execute(kernel, machine, &cycles);
  weft_machine_destroy(machine);
  weft_kernel_destroy(kernel);
  return status ? weft_input_give_up(in, status) : cycles;
}

static uint32_t whole_number(weft_inputs *in, const char *key, double low, double high) {
  return (uint32_t)weft_input_number(in, key, low, high);
}

static weft_collective read_collective(weft_inputs *in) {
  weft_collective what = weft_collective_default(1, 1, whole_number(in, "words", 1, 1 << 20));
  if (weft_input_has(in, "mesh"))
    weft_input_mesh(in, &what.columns, &what.rows);
  else
    what.columns = whole_number(in, "pes", 1, 1 << 20);
  if (weft_input_has(in, "group")) what.group = whole_number(in, "group", 1, 1 << 20);
  if (weft_input_has(in, "levels")) what.levels = whole_number(in, "levels", 1, 32);
  if (weft_input_has(in, "root")) what.root_x = whole_number(in, "root", 0, 1 << 20);
  const char *dtype = weft_input_has(in, "dtype") ? weft_input_text(in, "dtype") : NULL;
  weft_status status = dtype ? weft_dtype_parse(dtype, &what.dtype) : NULL;
  const char *pattern = weft_input_has(in, "pattern") ? weft_input_text(in, "pattern") : NULL;
  if (!status && pattern) status = weft_reduce_pattern_parse(pattern, &what.pattern);
  if (!in->error)
    in->error = status;
  else
    weft_status_free(status);
  weft_input_known(in, "direction");  // the mesh is the same in all
  return what;
}

static bool usable(const weft_inputs *in) { return !in->error && !in->missing; }

static double timed(const weft_inputs *in, const weft_collective *what) {
  if (strcmp(in->evidence, "vendor-simulator") != 0 && strcmp(in->evidence, "hardware") != 0) return 0;
  return TIMED_REDUCE_CYCLES + (what->pattern == WEFT_REDUCE_TWO_PHASE ? SECOND_PHASE_CYCLES : 0);
}

// The pattern is what follows the slash; subjects of lines and meshes ("snake", "2d", "reduce_broadcast") take the
// input "pattern", or the chain of the vendor's library.
static void name_pattern(const weft_inputs *in, weft_collective *what) {
  const char *name = strchr(in->subject, '/') + 1;
  if (strcmp(name, "snake") == 0) what->snake = true;
  for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p)
    if (strcmp(name, weft_reduce_pattern_name((weft_reduce_pattern)p)) == 0) what->pattern = (weft_reduce_pattern)p;
  if (strcmp(name, "autogen") == 0) what->pattern = WEFT_REDUCE_AUTO;
}

double weft_predict_broadcast(weft_inputs *in) {
  weft_collective what = read_collective(in);
  if (!usable(in)) return 0;
  weft_kernel *kernel = NULL;
  weft_status status = weft_broadcast_kernel(&what, &kernel);
  return simulate(in, status, kernel);
}

double weft_predict_reduce(weft_inputs *in) {
  weft_collective what = read_collective(in);
  if (!usable(in)) return 0;
  name_pattern(in, &what);
  weft_kernel *kernel = NULL;
  weft_status status = weft_reduce_kernel(&what, &kernel);
  return simulate(in, status, kernel) + timed(in, &what);
}

double weft_predict_all_reduce(weft_inputs *in) {
  weft_collective what = read_collective(in);
  if (!usable(in)) return 0;
  name_pattern(in, &what);
  weft_kernel *kernel = NULL;
  bool ring = strcmp(in->subject, "allreduce/ring") == 0;
  weft_status status = ring ? weft_ring_kernel(&what, &kernel) : weft_all_reduce_kernel(&what, &kernel);
  return simulate(in, status, kernel) + timed(in, &what);
}

// A single word unless "words" says more.
double weft_predict_path(weft_inputs *in) {
  uint32_t hops = whole_number(in, "hops", 1, 1 << 20), words = 1, turns = strcmp(in->subject, "path/turn") == 0;
  if (weft_input_has(in, "words")) words = whole_number(in, "words", 1, 1 << 20);
  if (weft_input_has(in, "turns")) turns = whole_number(in, "turns", 0, 1 << 20);
  weft_input_known(in, "direction");
  if (!usable(in)) return 0;
  weft_kernel *kernel = NULL;
  weft_status status = weft_path_kernel(hops, turns, words, &kernel);
  return simulate(in, status, kernel);
}

double weft_predict_relay(weft_inputs *in) {
  uint32_t stages = whole_number(in, "relays", 1, 1 << 20), words = whole_number(in, "words", 1, 1 << 20);
  if (!usable(in)) return 0;
  weft_kernel *kernel = NULL;
  weft_status status = weft_relay_kernel(stages, words, &kernel);
  return simulate(in, status, kernel);
}
