#include "plan/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "plan/calibrate_internal.h"

enum { SHAPES = 48, QUICK_SHAPES = 32, FITTED_SEED = 1, FRESH_SEED = 2 };

static bool asked_for(const weft_calibration_class *what, const weft_calibration_options *options) {
  return !options->op || strcmp(options->op, weft_op_name(what->op)) == 0;
}

static uint32_t precisions(const weft_calibration_class *what) { return what->narrow_too ? 2 : 1; }

static weft_status check_request(const weft_machine *machine, const weft_calibration_options *options,
                                 uint32_t *out_classes) {
  if (machine->kind != WEFT_MESH)
    return weft_error(WEFT_INVALID, "machine %s is no mesh of cores: there is no wavelet level to fit costs to",
                      machine->name);
  const char *names[WEFT_OP_COUNT];
  uint32_t named = 0, classes = 0;
  for (uint32_t c = 0; c < weft_calibration_class_count; ++c) {
    const weft_calibration_class *what = &weft_calibration_classes[c];
    if (asked_for(what, options)) classes += precisions(what);
    if (c == 0 || what->op != weft_calibration_classes[c - 1].op) names[named++] = weft_op_name(what->op);
  }
  if (classes == 0)
    return weft_error(WEFT_INVALID, "op \"%s\" is not measured; the nearest that is: %s", options->op,
                      weft_nearest(options->op, names, named));
  *out_classes = classes;
  return NULL;
}

static weft_status in_class(weft_status status, const weft_calibration_class *what, weft_dtype dtype,
                            const weft_calibration_call *call) {
  return weft_status_prefix(status, "%s, %s, %s, on %ux%u cores, %u tokens, %u in, %u out: ", weft_op_name(what->op),
                            what->algorithm, weft_dtype_name(dtype), call->columns, call->rows, call->tokens, call->in,
                            call->out);
}

static void name_class(const weft_calibration_class *what, weft_dtype dtype, weft_cost_class *form) {
  *form = (weft_cost_class){.op = what->op, .dtype = dtype};
  snprintf(form->algorithm, sizeof form->algorithm, "%s", what->algorithm);
  snprintf(form->kind, sizeof form->kind, "%s", what->kind);
}

static weft_status fit_class(const weft_machine *machine, const weft_calibration_class *what, weft_dtype dtype,
                             const weft_calibration_options *options, uint64_t *done, weft_cost_class *form) {
  weft_cost_shape shapes[SHAPES];
  double cycles[SHAPES];
  uint32_t count = options->quick ? QUICK_SHAPES : SHAPES;
  name_class(what, dtype, form);
  for (; form->term_count < WEFT_COST_TERMS && what->terms[form->term_count].of; ++form->term_count) {
    weft_cost_term *term = &form->terms[form->term_count];
    WEFT_TRY(weft_cost_term_parse(what->terms[form->term_count].of, term));
    snprintf(term->cause, sizeof term->cause, "%s", what->terms[form->term_count].cause);
  }
  for (uint32_t s = 0; s < count; ++s) {
    weft_calibration_call call = weft_calibration_draw(what, dtype, FITTED_SEED, s, options->quick);
    weft_status status = weft_calibration_measure(machine, what, dtype, &call, &cycles[s]);
    if (status) return in_class(status, what, dtype, &call);
    shapes[s] = weft_calibration_shape(what, dtype, &call);
    if (options->progress) weft_progress_update(options->progress, ++*done, weft_op_name(what->op));
  }
  return weft_calibration_fit(shapes, cycles, count, form);
}

static weft_status fit_all(const weft_machine *machine, const weft_calibration_options *options, weft_costs *costs) {
  uint64_t done = 0;
  for (uint32_t c = 0; c < weft_calibration_class_count; ++c) {
    const weft_calibration_class *what = &weft_calibration_classes[c];
    if (!asked_for(what, options)) continue;
    for (uint32_t p = 0; p < precisions(what); ++p) {
      weft_dtype dtype = p ? WEFT_F16 : WEFT_F32;
      WEFT_TRY(fit_class(machine, what, dtype, options, &done, &costs->classes[costs->class_count]));
      ++costs->class_count;
    }
  }
  return NULL;
}

weft_status weft_calibrate(const weft_machine *machine, const weft_calibration_options *options,
                           weft_costs **out_costs) {
  uint32_t classes = 0;
  WEFT_TRY(check_request(machine, options, &classes));
  weft_costs *costs = weft_allocate(sizeof *costs);
  *costs = (weft_costs){.classes = weft_allocate_array(classes, sizeof *costs->classes)};
  snprintf(costs->name, sizeof costs->name, "%.60s", machine->name);
  snprintf(costs->source, sizeof costs->source, "fitted to the wavelet level of %.60s by weft calibrate%s",
           machine->name, options->quick ? " --quick" : "");
  weft_costs_constants(machine, &costs->constants, &costs->constant_count);
  uint64_t shapes = (uint64_t)classes * (options->quick ? QUICK_SHAPES : SHAPES);
  if (options->progress) weft_progress_start(options->progress, "calibrating", "shapes", shapes);
  weft_status status = fit_all(machine, options, costs);
  if (options->progress) weft_progress_finish(options->progress);
  if (!status) status = weft_costs_check(costs);
  if (status) {
    weft_costs_destroy(costs);
    return status;
  }
  *out_costs = costs;
  return NULL;
}

// ---- fresh shapes

static const weft_calibration_class *class_of(const weft_cost_class *form) {
  for (uint32_t c = 0; c < weft_calibration_class_count; ++c) {
    const weft_calibration_class *what = &weft_calibration_classes[c];
    if (what->op == form->op && strcmp(what->algorithm, form->algorithm) == 0 && strcmp(what->kind, form->kind) == 0)
      return what;
  }
  return NULL;
}

static weft_status try_class(const weft_machine *machine, const weft_cost_class *form,
                             const weft_calibration_options *options, uint32_t shapes, uint64_t *done,
                             weft_calibration_check *check) {
  const weft_calibration_class *what = class_of(form);
  if (!what)
    return weft_error(WEFT_INVALID, "class %s, %s, kind \"%s\" is not one that is measured", weft_op_name(form->op),
                      form->algorithm, form->kind);
  double sum = 0;
  *check = (weft_calibration_check){.form = form, .shapes = shapes};
  for (uint32_t s = 0; s < shapes; ++s) {
    weft_calibration_call call = weft_calibration_draw(what, form->dtype, FRESH_SEED, s, options->quick);
    double cycles;
    weft_status status = weft_calibration_measure(machine, what, form->dtype, &call, &cycles);
    if (status) return in_class(status, what, form->dtype, &call);
    weft_cost_shape shape = weft_calibration_shape(what, form->dtype, &call);
    double error = fabs(weft_cost_cycles(form, &shape) / cycles - 1);
    sum += error;
    check->worst_error = fmax(check->worst_error, error);
    if (options->progress) weft_progress_update(options->progress, ++*done, weft_op_name(form->op));
  }
  check->mean_error = shapes ? sum / shapes : 0;
  check->within = check->mean_error <= form->worst_error;
  return NULL;
}

weft_status weft_calibration_try(const weft_machine *machine, const weft_costs *costs,
                                 const weft_calibration_options *options, uint32_t shapes,
                                 weft_calibration_check **out_checks, uint32_t *out_count) {
  WEFT_TRY(weft_costs_check_machine(costs, machine));
  weft_calibration_check *checks = weft_allocate_array(costs->class_count, sizeof *checks);
  uint32_t count = 0;
  uint64_t done = 0;
  weft_status status = NULL;
  if (options->progress)
    weft_progress_start(options->progress, "executing fresh shapes", "shapes", (uint64_t)costs->class_count * shapes);
  for (uint32_t c = 0; c < costs->class_count && !status; ++c) {
    const weft_cost_class *form = &costs->classes[c];
    if (options->op && strcmp(options->op, weft_op_name(form->op)) != 0) continue;
    status = try_class(machine, form, options, shapes, &done, &checks[count++]);
  }
  if (options->progress) weft_progress_finish(options->progress);
  if (status) {
    free(checks);
    return status;
  }
  *out_checks = checks;
  *out_count = count;
  return NULL;
}
