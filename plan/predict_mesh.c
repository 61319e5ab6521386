#include "plan/predict_mesh.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/units.h"
#include "sim/mesh.h"

static weft_status set_clock(weft_machine *machine, const char *text) {
  double hertz = 0;
  WEFT_TRY(weft_quantity_parse(text, WEFT_FREQUENCY, &hertz));
  machine->mesh.clock_hz = hertz;
  return weft_machine_check(machine);
}

// A machine that Weft does not have leaves the case uncovered; a clock that is none is a mistake in it.
static weft_status take_machine(weft_inputs *in, const char *name, const char *suffix, const char *clock,
                                weft_machine *machine) {
  if (machine->kind != WEFT_MESH) {
    weft_input_uncovered(in, "machine %s is no mesh of cores", name);
    return NULL;
  }
  weft_status status = suffix ? set_clock(machine, suffix) : NULL;
  if (status) return weft_status_prefix(status, "input \"machine\": @%s: ", suffix);
  status = clock ? set_clock(machine, clock) : NULL;
  return status ? weft_status_prefix(status, "input \"clock\": ") : NULL;
}

weft_machine *weft_mesh_machine(weft_inputs *in) {
  const char *text = weft_input_text(in, "machine");
  const char *clock = weft_input_has(in, "clock") ? weft_input_text(in, "clock") : NULL;
  if (!text || !weft_input_usable(in)) return NULL;
  char *name = weft_arena_copy_text(in->arena, text), *at = strrchr(name, '@');
  if (at) *at = 0;
  weft_machine *machine = NULL;
  weft_status status = weft_machine_read(name, &machine);
  if (status) {
    weft_input_uncovered(in, "%s", weft_status_message(status));
    weft_status_free(status);
    return NULL;
  }
  status = take_machine(in, name, at ? at + 1 : NULL, clock, machine);
  if (status) weft_input_give_up(in, status);
  if (weft_input_usable(in)) return machine;
  weft_machine_destroy(machine);
  return NULL;
}

// ---- quantities

typedef struct unit {
  const char *name;
  double factor;  // to the base unit
} unit;

static double in_unit(weft_inputs *in, const unit *units, size_t count, double value) {
  const char *names[8];
  for (size_t i = 0; i < count; ++i) {
    names[i] = units[i].name;
    if (strcmp(in->unit, units[i].name) == 0) return value / units[i].factor;
  }
  if (!weft_input_usable(in)) return 0;
  in->error = weft_error(WEFT_INVALID, "%s in \"%s\": unknown unit; the nearest known one is \"%s\"", in->quantity,
                         in->unit, weft_nearest(in->unit, names, count));
  return 0;
}

static bool is_one_of(const char *word, const char *names) {
  for (const char *at = names; *at; at += strcspn(at, "|"), at += *at == '|')
    if (strlen(word) == strcspn(at, "|") && strncasecmp(word, at, strlen(word)) == 0) return true;
  return false;
}

double weft_mesh_result(weft_inputs *in, const weft_machine *machine, double cycles, weft_work work) {
  static const unit counts[] = {{"cycle", 1}, {"cycles", 1}, {"kcycle", 1e3}, {"Mcycle", 1e6}};
  static const unit times[] = {{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};
  static const unit rates[] = {{"FLOP/s", 1},     {"MFLOP/s", 1e6},  {"GFLOP/s", 1e9},
                               {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}, {"FLOP/cycle", 0}};
  static const unit densities[] = {{"element/cycle", 1}, {"elements/cycle", 1}, {"1/cycle", 1}};
  if (!weft_input_usable(in)) return 0;
  double seconds = cycles / machine->mesh.clock_hz;
  if (is_one_of(in->quantity, "cycles|cycle")) return in_unit(in, counts, 4, cycles);
  if (is_one_of(in->quantity, "time|latency|runtime|seconds")) return in_unit(in, times, 4, seconds);
  if (work.flops > 0 && is_one_of(in->quantity, "rate|throughput|flops|performance")) {
    if (strcmp(in->unit, "FLOP/cycle") == 0) return work.flops / cycles;
    return in_unit(in, rates, 6, work.flops / seconds);
  }
  if (work.elements > 0 && is_one_of(in->quantity, "elements_per_cycle|rate"))
    return in_unit(in, densities, 3, work.elements / cycles);
  return weft_input_uncovered(in, "no prediction of quantity \"%s\" for this subject; cycles and time are predicted",
                              in->quantity);
}

// ---- execution

double weft_mesh_bytes(const weft_kernel *kernel) {
  enum { PER_CORE = 1600 };  // beside the SRAM: core, router, queues and channels' buffers
  double most = 0, words = 0;
  for (uint32_t p = 0; p < kernel->program_count; ++p) {
    double bytes = 0;
    for (uint32_t a = 0; a < kernel->programs[p].array_count; ++a) {
      const weft_array *array = &kernel->programs[p].arrays[a];
      bytes += 16 + array->length * (array->dtype == WEFT_F32 || array->dtype == WEFT_I32 ? 4.0 : 2.0);
    }
    most = fmax(most, bytes);
  }
  for (uint32_t c = 0; c < kernel->channel_count; ++c) words += (double)kernel->channels[c].words;
  return (PER_CORE + most) * kernel->columns * kernel->rows + 4 * words;
}

static weft_status connect(weft_mesh_sim *mesh, const weft_kernel *kernel, weft_channel_filler filler,
                           const void *context, uint32_t **buffers) {
  for (uint32_t c = 0; c < kernel->channel_count; ++c) {
    uint64_t words = kernel->channels[c].words;
    buffers[c] = weft_allocate_array(words, sizeof **buffers);
    if (kernel->channels[c].into_mesh) {
      if (filler) filler(context, kernel, c, buffers[c]);
      WEFT_TRY(weft_mesh_feed(mesh, c, buffers[c], words));
    } else {
      WEFT_TRY(weft_mesh_drain(mesh, c, buffers[c], words));
    }
  }
  return NULL;
}

weft_status weft_mesh_fits(const weft_machine *machine, uint32_t columns, uint32_t rows) {
  if (columns <= machine->mesh.columns && rows <= machine->mesh.rows) return NULL;
  return weft_error(WEFT_INFEASIBLE, "%ux%u cores; %s has %ux%u", columns, rows, machine->name, machine->mesh.columns,
                    machine->mesh.rows);
}

weft_status weft_mesh_check(weft_kernel *kernel, const weft_machine *machine) {
  weft_status status = weft_kernel_check(kernel, machine->mesh.sram_bytes_per_core);
  if (weft_status_code(status) != WEFT_INVALID) return status;
  weft_status why = weft_error(WEFT_INFEASIBLE, "%s", weft_status_message(status));
  weft_status_free(status);
  return why;
}

weft_status weft_mesh_execute(weft_inputs *in, weft_kernel *kernel, const weft_machine *machine,
                              weft_channel_filler filler, const void *context, double *out_cycles) {
  weft_mesh_options options = weft_mesh_options_default();
  options.count_links = false;
  options.threads = in->limits->threads;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
  WEFT_TRY(weft_mesh_fits(machine, kernel->columns, kernel->rows));
  WEFT_TRY(weft_mesh_check(kernel, machine));
  WEFT_TRY(weft_mesh_open(kernel, machine, &options, &mesh));
  uint32_t **buffers = weft_allocate_array(kernel->channel_count, sizeof *buffers);
  weft_status status = connect(mesh, kernel, filler, context, buffers);
  if (!status) status = weft_mesh_run(mesh, &report);
  weft_mesh_close(mesh);
  for (uint32_t c = 0; c < kernel->channel_count; ++c) free(buffers[c]);
  free(buffers);
  if (!status) *out_cycles = (double)report.cycles;
  return status;
}

weft_status weft_mesh_continue(weft_continuation form, const double sizes[3], const double cycles[3], double size,
                               double *out_cycles) {
  static const double alike = 0.002;
  double before = (cycles[1] - cycles[0]) / (sizes[1] - sizes[0]);
  double last = (cycles[2] - cycles[1]) / (sizes[2] - sizes[1]), beyond = size - sizes[2];
  *out_cycles = cycles[2] + beyond * last;
  if (form == WEFT_PARABOLIC)
    *out_cycles += beyond * (size - sizes[1]) * (last - before) / (sizes[2] - sizes[0]);
  else if (fabs(last - before) > alike * last)
    return weft_error(WEFT_FAILED,
                      "too large to execute, and %g, %g and %g cycles at sizes %g, %g and %g do not grow alike",
                      cycles[0], cycles[1], cycles[2], sizes[0], sizes[1], sizes[2]);
  return NULL;
}
