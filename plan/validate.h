// Published results against predictions: reads a table of cases, predicts those whose subject Weft covers, and says how
// far off each prediction is. What is not covered is counted and listed with the reason; it is never taken for a
// success.
//
// The table is CSV with the columns id, area, subject, inputs, quantity, expected, unit, tolerance_pct, role, evidence,
// source. Inputs are key=value pairs joined by ";"; a value of "-" was not published, nor was an empty expected value.
// Role: "calibrate" (may have set a constant) or "predict" (may not).
#ifndef WEFT_PLAN_VALIDATE_H
#define WEFT_PLAN_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/csv.h"
#include "base/status.h"
#include "base/table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_verdict { WEFT_WITHIN, WEFT_BEYOND, WEFT_NOT_COVERED } weft_verdict;

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
  uint32_t count, within, beyond, not_covered;
} weft_validation;

// Runs every case of the file whose area is in `areas` ("plan,train"; NULL: all). WEFT_INVALID: a malformed table,
// number, role or input (file:line), an area that the file does not have, or an input that a covered subject does not
// know.
weft_status weft_validation_run(const char *path, const char *areas, weft_validation *out_validation) WEFT_CHECKED;
void weft_validation_finish(weft_validation *validation);  // takes a zeroed one

// Text: a table of cases, one of subjects (mean and worst absolute error), one of what is not covered. JSON: one object
// with "cases", "subjects", "not_covered" and "summary".
void weft_validation_print(const weft_validation *validation, weft_table_form form, FILE *out);

// For the files that predict: the inputs of one case. The first failure is kept; asking for a key marks it as known.
typedef struct weft_inputs {
  weft_arena *arena;        // for reasons
  struct weft_input {
    const char *key, *value;
    bool asked;
  } pairs[32];
  uint32_t count;
  const char *missing;      // why there is no prediction: an input not published, a network not in the zoo
  weft_status error;
} weft_inputs;

const char *weft_input_text(weft_inputs *inputs, const char *key);  // NULL after a failure
double weft_input_number(weft_inputs *inputs, const char *key, double low, double high);

// The predictor of a subject, or NULL when there is none. It returns the value in the case's unit.
typedef double (*weft_predictor)(weft_inputs *inputs);
weft_predictor weft_predictor_find(const char *area, const char *subject, const char *quantity);

#ifdef __cplusplus
}
#endif
#endif
