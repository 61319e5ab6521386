// Strict reading of CSV (RFC 4180): a header of distinct names, then rows with as many fields as the header. Fields may
// be quoted,
// "" inside quotes is a quote, quoted fields may hold commas and line ends. Lines end in LF or CRLF; empty lines and a
// byte order mark are passed over. What the RFC does not allow (a quote inside a plain field, text after a closing
// quote, an open quote) is an error with file:line.
#ifndef WEFT_BASE_CSV_H
#define WEFT_BASE_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_csv {
  weft_arena arena;       // owns the fields
  char *where;            // file name, for messages
  const char **fields;    // (rows + 1) x columns; row 0 is the header
  uint32_t *lines;        // where each row begins; [0] is the header's
  const char **mistakes;  // of each row, file:line and what is wrong, or NULL; weft_csv_read_rows only
  size_t columns, rows;   // rows without the header
} weft_csv;

weft_status weft_csv_read(const char *path, weft_csv *out_csv) WEFT_CHECKED;
weft_status weft_csv_parse(const char *text, size_t bytes, const char *where, weft_csv *out_csv) WEFT_CHECKED;
// Likewise, but a row with a mistake is kept as far as it can be read, with as many fields as the header, of which the
// last ones may be empty: weft_csv_mistake says what is wrong. The next row begins in the next line.
weft_status weft_csv_read_rows(const char *path, weft_csv *out_csv) WEFT_CHECKED;
void weft_csv_finish(weft_csv *csv);  // takes a zeroed one

// The column called `name`; WEFT_INVALID with the nearest name.
weft_status weft_csv_column(const weft_csv *csv, const char *name, size_t *out_column) WEFT_CHECKED;

static inline const char *weft_csv_field(const weft_csv *csv, size_t row, size_t column) {
  return csv->fields[(row + 1) * csv->columns + column];
}
static inline uint32_t weft_csv_line(const weft_csv *csv, size_t row) { return csv->lines[row + 1]; }

// NULL, or what is wrong with the row.
static inline const char *weft_csv_mistake(const weft_csv *csv, size_t row) { return csv->mistakes[row + 1]; }

#ifdef __cplusplus
}
#endif
#endif
