// Terms' cycles by least squares of relative errors, none of them negative.
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "plan/calibrate_internal.h"

enum { HOLD_EVERY = 4, DIGITS = 4 };
static const double nothing = 1e-3;  // share of a point

static bool is_held(uint32_t point) { return point % HOLD_EVERY == HOLD_EVERY - 1; }

static double per_cycle(const weft_cost_term *term, const weft_cost_shape *shape) {
  weft_cost_term one = *term;
  one.cycles = 1;
  return weft_cost_term_cycles(&one, shape);
}

// Least squares of sum over terms / cycles = 1 over the points that are fitted. LAPACK's dgelsy finds the smallest
// solution where terms cannot be told apart.
static weft_status solve(const weft_cost_shape *shapes, const double *cycles, uint32_t count, weft_cost_class *form) {
  uint32_t rows = 0, terms = form->term_count;
  double *a = weft_allocate_array((uint64_t)count * terms, sizeof *a),
         *b = weft_allocate_array(count + terms, sizeof *b);
  double scale[WEFT_COST_TERMS] = {0};
  for (uint32_t p = 0; p < count; ++p) {
    if (is_held(p)) continue;
    for (uint32_t t = 0; t < terms; ++t) {
      a[rows * terms + t] = per_cycle(&form->terms[t], &shapes[p]) / cycles[p];
      scale[t] = fmax(scale[t], a[rows * terms + t]);
    }
    b[rows++] = 1;
  }
  for (uint32_t r = 0; r < rows; ++r)
    for (uint32_t t = 0; t < terms; ++t) a[r * terms + t] /= scale[t];
  lapack_int places[WEFT_COST_TERMS] = {0}, rank;
  lapack_int failed = LAPACKE_dgelsy(LAPACK_ROW_MAJOR, (lapack_int)rows, (lapack_int)terms, 1, a, (lapack_int)terms, b,
                                     1, places, 1e-9, &rank);
  for (uint32_t t = 0; t < terms; ++t) form->terms[t].cycles = b[t] / scale[t];
  free(a);
  free(b);
  if (failed) return weft_error(WEFT_FAILED, "least squares failed: LAPACK's dgelsy says %d", (int)failed);
  return NULL;
}

// What a term is worth: its greatest share of a point. The one whose share is the most negative is the first to go;
// then those that no point shows.
static double share(const weft_cost_term *term, const weft_cost_shape *shapes, const double *cycles, uint32_t count) {
  double greatest = 0;
  for (uint32_t p = 0; p < count; ++p) {
    double part = weft_cost_term_cycles(term, &shapes[p]) / cycles[p];
    if (fabs(part) > fabs(greatest)) greatest = part;
  }
  return greatest;
}

static bool drop_one(weft_cost_class *form, const weft_cost_shape *shapes, const double *cycles, uint32_t count) {
  double least = nothing;
  uint32_t which = form->term_count;
  for (uint32_t t = 0; t < form->term_count; ++t) {
    double worth = share(&form->terms[t], shapes, cycles, count);
    if (worth >= least) continue;
    least = worth;
    which = t;
  }
  if (which == form->term_count) return false;
  --form->term_count;
  memmove(&form->terms[which], &form->terms[which + 1], (form->term_count - which) * sizeof form->terms[which]);
  return form->term_count > 0;
}

static double rounded(double value) {
  if (!(value > 0)) return 0;
  char text[40];
  snprintf(text, sizeof text, "%.*e", DIGITS - 1, value);  // decimal, so that the file reads back the same
  return strtod(text, NULL);
}

static void note_range(weft_cost_class *form, const weft_cost_shape *shape) {
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v) {
    double value = shape->of[v];
    if (value <= 0) continue;
    if (!form->ranged[v]) form->least[v] = form->most[v] = value;
    form->ranged[v] = true;
    form->least[v] = fmin(form->least[v], value);
    form->most[v] = fmax(form->most[v], value);
  }
}

// Ranges of variables that occur in a term.
static void forget_others(weft_cost_class *form) {
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v) {
    bool used = false;
    for (uint32_t t = 0; t < form->term_count; ++t)
      for (uint32_t f = 0; f < form->terms[t].factor_count; ++f)
        used = used || form->terms[t].factors[f] == (weft_cost_variable)v;
    form->ranged[v] = form->ranged[v] && used;
  }
}

weft_status weft_calibration_fit(const weft_cost_shape *shapes, const double *cycles, uint32_t count,
                                 weft_cost_class *form) {
  do WEFT_TRY(solve(shapes, cycles, count, form));
  while (drop_one(form, shapes, cycles, count));
  for (uint32_t t = 0; t < form->term_count; ++t) form->terms[t].cycles = rounded(form->terms[t].cycles);
  double sum = 0;
  for (uint32_t p = 0; p < count; ++p) {
    note_range(form, &shapes[p]);
    double error = fabs(weft_cost_cycles(form, &shapes[p]) / cycles[p] - 1);
    form->worst_error = fmax(form->worst_error, error);
    if (is_held(p)) {
      ++form->held_out;
      sum += error;
    } else {
      ++form->fitted;
    }
  }
  form->mean_error = rounded(form->held_out ? sum / form->held_out : 0);
  form->worst_error = fmax(rounded(form->worst_error), form->mean_error);
  forget_others(form);
  return NULL;
}
