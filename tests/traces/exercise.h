// All that one can do with a file that may be a trace; shared by the mutation test and the fuzzer.
#ifndef WEFT_TESTS_TRACES_EXERCISE_H
#define WEFT_TESTS_TRACES_EXERCISE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "traces/trace.h"

// Reads the file; if it is a trace, checks, sums up and compares it. False when it was refused.
static inline bool exercise_trace(const char *path) {
  weft_trace *trace = NULL;
  weft_status status = weft_trace_read(path, &trace);
  if (status) {
    if (weft_status_message(status)[0] == 0 || trace) abort();  // a refusal says why and leaves nothing
    weft_status_free(status);
    return false;
  }
  FILE *nowhere = fopen("/dev/null", "w");
  if (!nowhere) abort();
  weft_trace_print_summary(trace, WEFT_TABLE_JSON, nowhere);
  weft_trace_print_summary(trace, WEFT_TABLE_TEXT, nowhere);
  weft_comparison *comparison = NULL;
  status = weft_compare(trace, trace, &comparison);
  if (status || comparison->joined != trace->event_count) abort();  // any trace is its own equal
  weft_comparison_print(comparison, WEFT_TABLE_CSV, nowhere);
  fclose(nowhere);
  weft_comparison_destroy(comparison);
  weft_trace_destroy(trace);
  return true;
}

#endif
