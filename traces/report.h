// What summary.c and compare.c share in printing. Private to traces/.
#ifndef WEFT_TRACES_REPORT_H
#define WEFT_TRACES_REPORT_H

#include <jansson.h>

#include "traces/trace.h"

// A column: people see name and unit apart, programs the key, which ends in the unit.
void weft_report_column(weft_table *table, weft_table_form form, const char *name, const char *unit, const char *key);
// {"NAME": head, "rows": the table's array}. Takes `head`.
void weft_report_print_json(const char *name, json_t *head, const weft_table *table, FILE *out);
// Of a step that has events; WEFT_OP_COUNT when the trace has no name for it.
weft_op weft_report_op(const weft_trace *trace, uint32_t step);

#endif
