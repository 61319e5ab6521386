// Published results against predictions: reads a table of cases, predicts those whose subject Weft covers, and says how
// far off each prediction is. What is not covered is counted and listed with the reason; it is never taken for a
// success. A subject may be on trial: its predictions and errors are printed, and count neither way.
//
// The table is CSV with the columns id, area, subject, inputs, quantity, expected, unit, tolerance_pct, role, evidence,
// source. Inputs are key=value pairs joined by ";"; a value of "-" was not published, nor was an empty expected value.
// Role: "calibrate" (may have set a constant) or "predict" (may not). Columns may stand in any order, others beside
// them.
//
// A row that cannot be understood (a number that is none, an unknown input, too few fields) is a case of its own
// verdict, with file:line and what would be right; the other rows are run all the same. Every prediction says how it
// was obtained.
#ifndef WEFT_PLAN_VALIDATE_H
#define WEFT_PLAN_VALIDATE_H

#include <stdint.h>
#include <stdio.h>

#include "base/csv.h"
#include "base/status.h"
#include "base/table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_verdict {
  WEFT_WITHIN,
  WEFT_BEYOND,
  WEFT_ON_TRIAL,  // predicted and printed, but the subject is not covered yet: it counts neither way
  WEFT_NOT_COVERED,
  WEFT_NOT_UNDERSTOOD
} weft_verdict;

typedef enum weft_method {
  WEFT_BY_FORMULA,       // a published law in closed form (area plan)
  WEFT_BY_SIMULATION,    // of a schedule, region by region (area train)
  WEFT_BY_EXECUTION,     // the whole kernel, wavelet by wavelet
  WEFT_BY_CONTINUATION,  // the same kernel with less of something executed three times, and continued from there
  WEFT_METHODS
} weft_method;
const char *weft_method_name(weft_method method);  // "formula", "simulated", "executed", "continued"

// How much of this computer one case may take. What a case would take is estimated before it is executed, in hops: a
// wavelet leaving a router, or the eighth part of a vector operation. The same limits give the same predictions on
// every computer.
typedef struct weft_validation_limits {
  double most_hops;     // to be executed as it is; a larger one is continued from smaller ones where that is possible
  uint64_t most_bytes;  // of the simulated mesh, likewise
  uint32_t threads;     // 1 or 2; the predictions are the same
} weft_validation_limits;
weft_validation_limits weft_validation_limits_default(void);

typedef struct weft_case {
  const char *id, *area, *subject, *inputs, *quantity, *unit, *role, *evidence, *source;  // in the table's memory
  double expected;                                                                        // NaN where not published
  double tolerance_percent;
  uint32_t line;  // in the file
  weft_verdict verdict;
  double predicted;           // NaN where not covered
  double error_percent;       // (predicted - expected) / expected; NaN where not covered
  weft_method method;         // of the prediction
  const char *method_detail;  // what was executed instead, or NULL
  const char *reason;         // why not covered or not understood
} weft_case;

typedef struct weft_validation {
  weft_csv table;
  weft_case *cases;
  uint32_t count, within, beyond, on_trial, not_covered, not_understood;
} weft_validation;

// Runs every case of the file that `areas` names ("plan,train/weight_streaming": areas, or an area and the first parts
// of a subject; NULL: all). WEFT_INVALID: not CSV, a missing column, no rows, or an area or subject that neither the
// file nor Weft has.
weft_status weft_validation_run(const char *path, const char *areas, weft_validation *out_validation) WEFT_CHECKED;
weft_status weft_validation_run_within(const char *path, const char *areas, const weft_validation_limits *limits,
                                       weft_validation *out_validation) WEFT_CHECKED;
void weft_validation_finish(weft_validation *validation);  // takes a zeroed one

// Text: a table of cases, one of subjects (mean and worst absolute error), one of what is not covered, one of what is
// not understood. JSON: one object with "cases", "subjects", "not_covered", "not_understood" and "summary".
void weft_validation_print(const weft_validation *validation, weft_table_form form, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
