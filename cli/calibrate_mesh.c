#include "cli/calibrate_mesh.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "models/machine.h"
#include "plan/calibrate.h"

enum { FRESH_SHAPES = 8, QUICK_FRESH_SHAPES = 3 };

static void name_columns(weft_table *table) {
  weft_table_column(table, "op", NULL);
  weft_table_column(table, "algorithm", NULL);
  weft_table_column(table, "kind", NULL);
  weft_table_column(table, "dtype", NULL);
}

static void name_class(weft_table *table, const weft_cost_class *form) {
  weft_table_row(table);
  weft_table_text(table, weft_op_name(form->op));
  weft_table_text(table, form->algorithm);
  weft_table_text(table, form->kind[0] ? form->kind : NULL);
  weft_table_text(table, weft_dtype_name(form->dtype));
}

// To a hundredth of a thousandth: what programs read has no digits that only rounding made.
static double percent(double share) { return round(share * 1e7) * 1e-5; }

// "2.03 C n i o + 108 C"
static void describe(const weft_cost_class *form, char *out, size_t room) {
  size_t used = 0;
  out[0] = 0;
  for (uint32_t t = 0; t < form->term_count && used < room; ++t) {
    char of[32];
    const weft_cost_term *term = &form->terms[t];
    int length = snprintf(out + used, room - used, "%s%.4g%s%s", t ? " + " : "", term->cycles,
                          term->factor_count ? " " : "", term->factor_count ? weft_cost_term_print(term, of) : "");
    used += (size_t)length;
  }
}

static void print_costs(const weft_costs *costs, weft_table_form form) {
  weft_table *table = weft_table_create();
  name_columns(table);
  weft_table_column(table, "fitted", NULL);
  weft_table_column(table, "held_out", NULL);
  weft_table_column(table, "mean_error", "%");
  weft_table_column(table, "worst_error", "%");
  weft_table_column(table, "cycles", NULL);
  for (uint32_t c = 0; c < costs->class_count; ++c) {
    const weft_cost_class *each = &costs->classes[c];
    char cycles[400];
    describe(each, cycles, sizeof cycles);
    name_class(table, each);
    weft_table_integer(table, each->fitted);
    weft_table_integer(table, each->held_out);
    weft_table_number(table, percent(each->mean_error), 2);
    weft_table_number(table, percent(each->worst_error), 2);
    weft_table_text(table, cycles);
  }
  weft_table_print(table, form, stdout);
  weft_table_destroy(table);
}

static weft_status fit(const weft_machine *machine, const weft_calibrate_mesh *request,
                       const weft_calibration_options *options) {
  weft_costs *costs;
  WEFT_TRY(weft_calibrate(machine, options, &costs));
  weft_status status = NULL;
  if (request->path) {
    char *yaml = weft_costs_pack(costs);
    status = weft_file_write(request->path, yaml, strlen(yaml));
    free(yaml);
  }
  if (!status) print_costs(costs, request->form);
  if (!status && request->form == WEFT_TABLE_TEXT) {
    printf("\n%u classes, %s", costs->class_count, costs->source);
    if (request->path) printf(", written to %s", request->path);
    putchar('\n');
    for (int v = 0; v < WEFT_COST_VARIABLES; ++v)
      printf("  %c  %s\n", weft_cost_letter((weft_cost_variable)v), weft_cost_about((weft_cost_variable)v));
  }
  weft_costs_destroy(costs);
  return status;
}

static weft_status check(const weft_machine *machine, const weft_calibrate_mesh *request,
                         const weft_calibration_options *options) {
  if (!machine->costs)
    return weft_error(WEFT_INVALID,
                      "machine %s has no table of costs to check; its file would name one as \"costs: %s\"",
                      machine->name, machine->name);
  weft_calibration_check *checks;
  uint32_t count, beyond = 0;
  WEFT_TRY(weft_calibration_try(machine, machine->costs, options, request->quick ? QUICK_FRESH_SHAPES : FRESH_SHAPES,
                                &checks, &count));
  weft_table *table = weft_table_create();
  name_columns(table);
  weft_table_column(table, "shapes", NULL);
  weft_table_column(table, "mean_error", "%");
  weft_table_column(table, "worst_error", "%");
  weft_table_column(table, "stated_worst", "%");
  weft_table_column(table, "verdict", NULL);
  for (uint32_t c = 0; c < count; ++c) {
    name_class(table, checks[c].form);
    weft_table_integer(table, checks[c].shapes);
    weft_table_number(table, percent(checks[c].mean_error), 2);
    weft_table_number(table, percent(checks[c].worst_error), 2);
    weft_table_number(table, percent(checks[c].form->worst_error), 2);
    weft_table_text(table, checks[c].within ? "within" : "beyond");
    beyond += !checks[c].within;
  }
  weft_table_print(table, request->form, stdout);
  weft_table_destroy(table);
  free(checks);
  if (beyond)
    return weft_error(WEFT_OUTSIDE,
                      "table %s: %u of %u classes miss fresh shapes by more, on average, than their worst "
                      "stated error; weft calibrate --machine %s fits anew",
                      machine->costs->name, beyond, count, machine->name);
  return NULL;
}

weft_status weft_calibrate_mesh_run(const weft_calibrate_mesh *request) {
  weft_machine *machine;
  WEFT_TRY(weft_machine_read(request->machine, &machine));
  weft_progress progress;
  weft_calibration_options options = {.quick = request->quick, .op = request->op, .progress = &progress};
  weft_status status = request->check ? check(machine, request, &options) : fit(machine, request, &options);
  weft_machine_destroy(machine);
  return status;
}
