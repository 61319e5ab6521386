#include "traces/report.h"

#include <stdlib.h>
#include <string.h>

void weft_report_column(weft_table *table, weft_table_form form, const char *name, const char *unit, const char *key) {
  bool people = form == WEFT_TABLE_TEXT;
  weft_table_column(table, people ? name : key, people ? unit : NULL);
}

// The table prints itself and is read back, so that JSON has one spelling of rows wherever they stand.
void weft_report_print_json(const char *name, json_t *head, const weft_table *table, FILE *out) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  json_t *rows = NULL;
  if (memory) {
    weft_table_print(table, WEFT_TABLE_JSON, memory);
    fclose(memory);
    rows = json_loadb(text, bytes, 0, NULL);
    free(text);
  }
  json_t *root = json_object();
  json_object_set_new(root, name, head);
  json_object_set_new(root, "rows", rows ? rows : json_null());
  json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  fputc('\n', out);
  json_decref(root);
}

weft_op weft_report_op(const weft_trace *trace, uint32_t step) {
  const char *name = trace->step_ops[step];
  for (int op = 0; name && op < WEFT_OP_COUNT; ++op)
    if (strcmp(name, weft_op_name((weft_op)op)) == 0) return (weft_op)op;
  return WEFT_OP_COUNT;
}
