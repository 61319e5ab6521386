#include "base/csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

typedef struct reader {
  const char *at, *end;
  uint32_t line;
  weft_csv *csv;
  size_t count;  // fields so far
  size_t in_row;
  bool keeps_mistakes;
} reader;

static void keep(reader *r, const char *text, size_t length) {
  char *copy = weft_arena_take(&r->csv->arena, length + 1);
  memcpy(copy, text, length);
  r->csv->fields = weft_grow(r->csv->fields, r->count + 1, sizeof *r->csv->fields);
  r->csv->fields[r->count++] = copy;
  ++r->in_row;
}

static bool at_break(const reader *r) {
  return r->at == r->end || *r->at == '\n' || (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n');
}

static weft_status quoted_field(reader *r) {
  uint32_t begin = r->line;
  char *text = weft_allocate((size_t)(r->end - r->at));
  size_t length = 0;
  weft_status status = NULL;
  for (++r->at;; ++r->at) {
    if (r->at == r->end) {
      status = weft_error(WEFT_INVALID, "%s:%u: this quoted field has no closing quote", r->csv->where, begin);
      break;
    }
    if (*r->at == '"') {
      if (r->at + 1 < r->end && r->at[1] == '"')
        ++r->at;
      else
        break;
    }
    r->line += *r->at == '\n';
    text[length++] = *r->at;
  }
  if (!status) {
    ++r->at;
    if (memchr(text, 0, length))
      status = weft_error(WEFT_INVALID, "%s:%u: a zero byte in a field", r->csv->where, begin);
    else if (!at_break(r) && *r->at != ',')
      status = weft_error(WEFT_INVALID, "%s:%u: after a closing quote a comma or a line end is right, found '%c'",
                          r->csv->where, r->line, *r->at);
    else
      keep(r, text, length);
  }
  free(text);
  return status;
}

static weft_status field(reader *r) {
  if (r->at < r->end && *r->at == '"') return quoted_field(r);
  const char *begin = r->at;
  while (!at_break(r) && *r->at != ',') {
    if (*r->at == '"' || *r->at == 0)
      return weft_error(WEFT_INVALID, "%s:%u: %s inside a field that is not quoted", r->csv->where, r->line,
                        *r->at ? "a quote" : "a zero byte");
    ++r->at;
  }
  keep(r, begin, (size_t)(r->at - begin));
  return NULL;
}

static void end_line(reader *r) {
  if (r->at < r->end && *r->at == '\r') ++r->at;
  if (r->at < r->end) ++r->at, ++r->line;
}

static weft_status fields_of_row(reader *r) {
  for (;;) {
    WEFT_TRY(field(r));
    if (r->at == r->end || *r->at != ',') return NULL;
    ++r->at;
  }
}

// Keeps a row with a mistake: as many fields as the header, and what is wrong. A field that cannot be read ends the row
// with its line.
static void keep_mistake(reader *r, size_t index, const char *begin, bool readable, weft_status mistake) {
  weft_csv *csv = r->csv;
  csv->mistakes[index] = weft_arena_copy_text(&csv->arena, weft_status_message(mistake));
  weft_status_free(mistake);
  while (r->in_row < csv->columns) keep(r, "", 0);
  for (; r->in_row > csv->columns; --r->in_row) --r->count;
  if (readable) return;
  r->line = csv->lines[index];
  for (r->at = begin; !at_break(r);) ++r->at;
}

static weft_status row(reader *r, size_t index) {
  weft_csv *csv = r->csv;
  csv->lines = weft_grow(csv->lines, index + 1, sizeof *csv->lines);
  csv->mistakes = weft_grow(csv->mistakes, index + 1, sizeof *csv->mistakes);
  csv->lines[index] = r->line;
  csv->mistakes[index] = NULL;
  r->in_row = 0;
  const char *begin = r->at;
  weft_status status = fields_of_row(r);
  bool readable = !status;
  if (index == 0) csv->columns = r->in_row;
  if (!status && r->in_row != csv->columns)
    status = weft_error(WEFT_INVALID, "%s:%u: %zu fields where the header has %zu", csv->where, csv->lines[index],
                        r->in_row, csv->columns);
  if (status && (!r->keeps_mistakes || index == 0)) return status;
  if (status) keep_mistake(r, index, begin, readable, status);
  end_line(r);
  return NULL;
}

static weft_status check_header(const weft_csv *csv) {
  for (size_t i = 0; i < csv->columns; ++i)
    for (size_t j = 0; j <= i; ++j) {
      if (!*csv->fields[i])
        return weft_error(WEFT_INVALID, "%s:%u: column %zu has no name", csv->where, csv->lines[0], i + 1);
      if (j < i && strcmp(csv->fields[i], csv->fields[j]) == 0)
        return weft_error(WEFT_INVALID, "%s:%u: two columns are called \"%s\"", csv->where, csv->lines[0],
                          csv->fields[i]);
    }
  return NULL;
}

static weft_status parse(const char *text, size_t bytes, const char *where, bool keeps_mistakes, weft_csv *out_csv) {
  weft_csv csv = {.where = weft_copy_text(where)};
  reader r = {.at = text, .end = text + bytes, .line = 1, .csv = &csv, .keeps_mistakes = keeps_mistakes};
  if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) r.at += 3;
  weft_status status = NULL;
  size_t rows = 0;
  while (!status && r.at < r.end) {
    if (at_break(&r)) {
      end_line(&r);
      continue;
    }
    status = row(&r, rows++);
    if (!status && rows == 1) status = check_header(&csv);
  }
  if (!status && rows == 0) status = weft_error(WEFT_INVALID, "%s: empty: a header line is needed", where);
  if (status) {
    weft_csv_finish(&csv);
    return status;
  }
  csv.rows = rows - 1;
  *out_csv = csv;
  return NULL;
}

weft_status weft_csv_parse(const char *text, size_t bytes, const char *where, weft_csv *out_csv) {
  return parse(text, bytes, where, false, out_csv);
}

static weft_status read_file(const char *path, bool keeps_mistakes, weft_csv *out_csv) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status = parse((const char *)file.bytes, file.size, path, keeps_mistakes, out_csv);
  weft_mapping_close(&file);
  return status;
}

weft_status weft_csv_read(const char *path, weft_csv *out_csv) { return read_file(path, false, out_csv); }
weft_status weft_csv_read_rows(const char *path, weft_csv *out_csv) { return read_file(path, true, out_csv); }

void weft_csv_finish(weft_csv *csv) {
  weft_arena_finish(&csv->arena);
  free(csv->where);
  free(csv->fields);
  free(csv->lines);
  free(csv->mistakes);
  *csv = (weft_csv){0};
}

weft_status weft_csv_column(const weft_csv *csv, const char *name, size_t *out_column) {
  for (size_t i = 0; i < csv->columns; ++i) {
    if (strcmp(csv->fields[i], name) != 0) continue;
    *out_column = i;
    return NULL;
  }
  return weft_error(WEFT_INVALID, "%s:%u: there is no column \"%s\"; the nearest is \"%s\"", csv->where, csv->lines[0],
                    name, weft_nearest(name, csv->fields, csv->columns));
}
