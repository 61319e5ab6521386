// Fits what ops cost on a mesh of cores to the wavelet level: `weft calibrate --machine NAME`.
//
// Every class of ops (plan/calibrate_classes.c: op, algorithm, precision, and the terms of its closed form with their
// causes) is executed on simulated meshes of the machine's cores with real data, over shapes that are drawn from a
// designed range: meshes of 2x2 to 32x8 and 16x16 cores, blocks of 1 to some tens of tokens and features per core,
// sizes that do not divide. The terms' cycles are those that make the sum of squared relative errors least; a term that
// would become negative is no cost and is left out. Every fourth shape is not fitted; a class's mean error
// is that of these, its worst that of all shapes. SRAM is raised to 1 MiB per core, which no cycle depends on, so that
// large blocks can be measured.
//
// Three algorithms:
//   lowered    what `weft sim --level wavelet` executes for the op (sim/wavelet.h, compiler/kernels/layers.h)
//   streamed   a product as weight streaming does it: one wavelet per weight starts one multiply-add over the tokens of
//              a core (WEFT_GEMM_STREAMED of compiler/kernels/products.h); 16-bit inputs are summed in f32
//   panels     a product as SUMMA does it (WEFT_GEMM_SUMMA, overlapped): panels of weights down the columns and of
//              activations along the rows, one panel per column of cores
//
// A pure function of machine, options and seed: the same bytes for every run. One at a time in a process.
#ifndef WEFT_PLAN_CALIBRATE_H
#define WEFT_PLAN_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "models/costs.h"
#include "models/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_calibration_options {
  bool quick;
  const char *op;           // only classes of this op; NULL: all
  weft_progress *progress;  // may be NULL; started and finished here
} weft_calibration_options;

// WEFT_INVALID: the machine is not a mesh, no class of that op.
weft_status weft_calibrate(const weft_machine *machine, const weft_calibration_options *options,
                           weft_costs **out_costs) WEFT_CHECKED;

// How one class of a table does on shapes that were drawn anew.
typedef struct weft_calibration_check {
  const weft_cost_class *form;  // of the table
  uint32_t shapes;
  double mean_error, worst_error;  // shares of the cycles that the mesh took
  bool within;                     // the mean error is not above the class's stated worst one
} weft_calibration_check;

// Executes `shapes` fresh shapes of every class of the table (of `options->op`), drawn with another seed than those of
// weft_calibrate. Caller frees *out_checks. WEFT_INVALID: a class that is not one of Weft's.
weft_status weft_calibration_try(const weft_machine *machine, const weft_costs *costs,
                                 const weft_calibration_options *options, uint32_t shapes,
                                 weft_calibration_check **out_checks, uint32_t *out_count) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
