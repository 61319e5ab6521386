// One result table, printed through one helper: aligned text for people, JSON for programs, CSV for sheets.
// A column has a name and a unit; a cell is text, a number with a given number of significant digits, or empty.
// One thread at a time.
#ifndef WEFT_BASE_TABLE_H
#define WEFT_BASE_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_table_form { WEFT_TABLE_TEXT, WEFT_TABLE_JSON, WEFT_TABLE_CSV } weft_table_form;

typedef struct weft_table weft_table;

weft_table *weft_table_create(void);
void weft_table_destroy(weft_table *table);  // takes NULL

// Columns first, then rows cell by cell from the left. `unit` may be NULL. In JSON the key is name (and _unit in
// the field's usual spelling if the caller puts it into the name); a row is an object, the table an array.
void weft_table_column(weft_table *table, const char *name, const char *unit);
void weft_table_row(weft_table *table);                                   // begins a new row
void weft_table_text(weft_table *table, const char *text);                // NULL: empty (null in JSON)
void weft_table_integer(weft_table *table, int64_t value);                // text form groups digits: 13,015,864,320
// JSON and CSV have all 17 digits. NaN and infinity mean "not known": "-" for people, null in JSON, empty in CSV.
void weft_table_number(weft_table *table, double value, int significant);
void weft_table_print(const weft_table *table, weft_table_form form, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
