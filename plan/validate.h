// Published results against predictions: reads a table of cases, predicts those whose subject Weft covers, and says how
// far off each prediction is. What is not covered is counted and listed with the reason; it is never taken for a
// success. A subject may be on trial: its predictions and errors are printed, and count neither way.
//
// The table is CSV with the columns id, area, subject, inputs, quantity, expected, unit, tolerance_pct, role, evidence,
// source. Inputs are key=value pairs joined by ";"; a value of "-" was not published, nor was an empty expected value.
// Role: "calibrate" (may have set a constant) or "predict" (may not).
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
  WEFT_ON_TRIAL,    // predicted and printed, but the subject is not covered yet: it counts neither way
  WEFT_NOT_COVERED
} weft_verdict;

typedef struct weft_case {
  const char *id, *area, *subject, *inputs, *quantity, *unit, *role, *evidence, *source;  // in the table's memory
  double expected;          // NaN where not published
  double tolerance_percent;
  uint32_t line;            // in the file
  weft_verdict verdict;
  double predicted;         // NaN where not covered
  double error_percent;     // (predicted - expected) / expected; NaN where not covered
  const char *reason;       // why not covered
} weft_case;

typedef struct weft_validation {
  weft_csv table;
  weft_case *cases;
  uint32_t count, within, beyond, on_trial, not_covered;
} weft_validation;

// Runs every case of the file that `areas` names ("plan,train/weight_streaming": areas, or an area and the first parts
// of a subject; NULL: all). WEFT_INVALID: a malformed table, number, role or input (file:line), an area or subject that
// the file does not have, or an input that a covered subject does not know.
weft_status weft_validation_run(const char *path, const char *areas, weft_validation *out_validation) WEFT_CHECKED;
void weft_validation_finish(weft_validation *validation);  // takes a zeroed one

// Text: a table of cases, one of subjects (mean and worst absolute error), one of what is not covered. JSON: one object
// with "cases", "subjects", "not_covered" and "summary".
void weft_validation_print(const weft_validation *validation, weft_table_form form, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
