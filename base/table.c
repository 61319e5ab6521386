#include "base/table.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct table_cell {
  char *text;     // what people read; NULL when empty
  json_t *value;  // what programs read
  bool number;
} table_cell;

struct weft_table {
  char **names, **units;
  size_t columns, cells, rows;
  table_cell *cell;
};

weft_table *weft_table_create(void) { return weft_allocate(sizeof(weft_table)); }

void weft_table_destroy(weft_table *table) {
  if (!table) return;
  for (size_t i = 0; i < table->columns; ++i) {
    free(table->names[i]);
    free(table->units[i]);
  }
  for (size_t i = 0; i < table->cells; ++i) {
    free(table->cell[i].text);
    json_decref(table->cell[i].value);
  }
  free(table->names);
  free(table->units);
  free(table->cell);
  free(table);
}

void weft_table_column(weft_table *table, const char *name, const char *unit) {
  assert(table->rows == 0);
  table->names = weft_grow(table->names, table->columns + 1, sizeof *table->names);
  table->units = weft_grow(table->units, table->columns + 1, sizeof *table->units);
  table->names[table->columns] = weft_copy_text(name);
  table->units[table->columns++] = weft_copy_text(unit);
}

void weft_table_row(weft_table *table) {
  assert(table->cells == table->rows * table->columns);
  ++table->rows;
}

static void put(weft_table *table, char *text, json_t *value, bool number) {
  assert(table->cells < table->rows * table->columns);
  table->cell = weft_grow(table->cell, table->cells + 1, sizeof *table->cell);
  table->cell[table->cells++] = (table_cell){text, value, number};
}

void weft_table_text(weft_table *table, const char *text) {
  put(table, weft_copy_text(text), text ? json_string(text) : json_null(), false);
}

void weft_table_integer(weft_table *table, int64_t value) {
  char plain[32], grouped[48];
  snprintf(plain, sizeof plain, "%" PRId64, value);
  size_t length = strlen(plain), out = 0, first = plain[0] == '-';
  for (size_t i = 0; i < length; ++i) {
    if (i > first && (length - i) % 3 == 0) grouped[out++] = ',';
    grouped[out++] = plain[i];
  }
  grouped[out] = 0;
  put(table, weft_copy_text(grouped), json_integer(value), true);
}

void weft_table_number(weft_table *table, double value, int significant) {
  // JSON has no number for "not known"; jansson would refuse it.
  if (!isfinite(value)) put(table, weft_copy_text("-"), json_null(), true);
  else put(table, weft_format("%.*g", significant, value), json_real(value), true);
}

static size_t text_width(const char *text) {  // code points, near enough for alignment
  size_t width = 0;
  for (; text && *text; ++text) width += ((unsigned char)*text & 0xc0) != 0x80;
  return width;
}

static void print_text(const weft_table *table, FILE *out) {
  size_t *width = weft_allocate_array(table->columns, sizeof *width);
  for (size_t c = 0; c < table->columns; ++c) {
    width[c] = text_width(table->names[c]);
    if (table->units[c] && text_width(table->units[c]) > width[c]) width[c] = text_width(table->units[c]);
    for (size_t r = 0; r < table->rows; ++r) {
      size_t here = text_width(table->cell[r * table->columns + c].text);
      if (here > width[c]) width[c] = here;
    }
  }
  bool units = false;
  for (size_t c = 0; c < table->columns; ++c) units = units || table->units[c];
  for (int heading = 0; heading < (units ? 2 : 1); ++heading) {
    for (size_t c = 0; c < table->columns; ++c) {
      const char *text = heading == 0 ? table->names[c] : table->units[c] ? table->units[c] : "";
      bool right = table->rows > 0 && table->cell[c].number;
      int pad = (int)(width[c] - text_width(text));
      bool last = c + 1 == table->columns;
      fprintf(out, "%*s%s%*s", right ? pad : 0, "", text, right || last ? 0 : pad, "");
      fputs(last ? "\n" : "  ", out);
    }
  }
  for (size_t r = 0; r < table->rows; ++r) {
    for (size_t c = 0; c < table->columns; ++c) {
      const table_cell *cell = &table->cell[r * table->columns + c];
      const char *text = cell->text ? cell->text : "";
      int pad = (int)(width[c] - text_width(text));
      bool last = c + 1 == table->columns;
      fprintf(out, "%*s%s%*s", cell->number ? pad : 0, "", text, cell->number || last ? 0 : pad, "");
      fputs(last ? "\n" : "  ", out);
    }
  }
  free(width);
}

static void print_json(const weft_table *table, FILE *out) {
  json_t *rows = json_array();
  for (size_t r = 0; r < table->rows; ++r) {
    json_t *row = json_object();
    for (size_t c = 0; c < table->columns; ++c)
      json_object_set(row, table->names[c], table->cell[r * table->columns + c].value);
    json_array_append_new(rows, row);
  }
  json_dumpf(rows, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  fputc('\n', out);
  json_decref(rows);
}

static void print_csv_field(const char *text, FILE *out) {
  if (!strpbrk(text, ",\"\n")) {
    fputs(text, out);
    return;
  }
  fputc('"', out);
  for (; *text; ++text) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

static void print_csv(const weft_table *table, FILE *out) {
  for (size_t c = 0; c < table->columns; ++c) {
    if (c) fputc(',', out);
    print_csv_field(table->names[c], out);
  }
  fputc('\n', out);
  for (size_t r = 0; r < table->rows; ++r) {
    for (size_t c = 0; c < table->columns; ++c) {
      const table_cell *cell = &table->cell[r * table->columns + c];
      if (c) fputc(',', out);
      if (json_is_null(cell->value)) continue;
      if (cell->number) {
        char *plain = json_dumps(cell->value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        fputs(plain, out);
        free(plain);
      } else {
        print_csv_field(cell->text ? cell->text : "", out);
      }
    }
    fputc('\n', out);
  }
}

void weft_table_print(const weft_table *table, weft_table_form form, FILE *out) {
  assert(table->cells == table->rows * table->columns);
  if (form == WEFT_TABLE_JSON) {
    print_json(table, out);
  } else if (form == WEFT_TABLE_CSV) {
    print_csv(table, out);
  } else {
    print_text(table, out);
  }
}
