// Tables of costs as YAML.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/units.h"
#include "models/costs.h"
#include "models/directory.h"
#include "models/yaml_internal.h"

enum { MOST_CONSTANTS = 200, MOST_CLASSES = 1000, MOST_BYTES = 1 << 20 };

typedef struct constant_entry {
  char *constant, *value;
} constant_entry;

typedef struct term_entry {
  char *cycles, *of, *cause;
} term_entry;

typedef struct range_entry {
  char *of, *least, *most;
} range_entry;

typedef struct class_entry {
  char *op, *algorithm, *kind, *dtype, *fitted, *held_out, *mean_error, *worst_error;
  term_entry *terms;
  range_entry *ranges;
  uint32_t term_count, range_count;
} class_entry;

typedef struct document {
  char *name, *source;
  constant_entry *constants;
  class_entry *classes;
  uint32_t constant_count, class_count;
} document;

#define TEXT(key, type, most) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER, type, key, 1, most)
static const cyaml_schema_field_t constant_fields[] = {TEXT(constant, constant_entry, 23),
                                                       TEXT(value, constant_entry, 47), CYAML_FIELD_END};
static const cyaml_schema_field_t term_fields[] = {TEXT(cycles, term_entry, 40), TEXT(of, term_entry, 20),
                                                   TEXT(cause, term_entry, 95), CYAML_FIELD_END};
static const cyaml_schema_field_t range_fields[] = {TEXT(of, range_entry, 1), TEXT(least, range_entry, 40),
                                                    TEXT(most, range_entry, 40), CYAML_FIELD_END};
static const cyaml_schema_value_t constant_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, constant_entry, constant_fields)};
static const cyaml_schema_value_t term_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, term_entry, term_fields)};
static const cyaml_schema_value_t range_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, range_entry, range_fields)};
static const cyaml_schema_field_t class_fields[] = {
    TEXT(op, class_entry, 40),
    TEXT(algorithm, class_entry, WEFT_COST_WORD - 1),
    CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, class_entry, kind, 1, WEFT_COST_WORD - 1),
    TEXT(dtype, class_entry, 20),
    TEXT(fitted, class_entry, 20),
    TEXT(held_out, class_entry, 20),
    TEXT(mean_error, class_entry, 40),
    TEXT(worst_error, class_entry, 40),
    CYAML_FIELD_SEQUENCE_COUNT("terms", CYAML_FLAG_POINTER, class_entry, terms, term_count, &term_schema, 1,
                               WEFT_COST_TERMS),
    CYAML_FIELD_SEQUENCE_COUNT("ranges", CYAML_FLAG_POINTER, class_entry, ranges, range_count, &range_schema, 0,
                               WEFT_COST_VARIABLES),
    CYAML_FIELD_END};
static const cyaml_schema_value_t class_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, class_entry, class_fields)};
static const cyaml_schema_field_t top_fields[] = {
    TEXT(name, document, 63), TEXT(source, document, 191),
    CYAML_FIELD_SEQUENCE_COUNT("constants", CYAML_FLAG_POINTER, document, constants, constant_count, &constant_schema,
                               1, MOST_CONSTANTS),
    CYAML_FIELD_SEQUENCE_COUNT("classes", CYAML_FLAG_POINTER, document, classes, class_count, &class_schema, 1,
                               MOST_CLASSES),
    CYAML_FIELD_END};
static const cyaml_schema_value_t root_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, document, top_fields)};

static const char *const known_keys[] = {"name",       "source",      "constants", "classes", "constant", "value",
                                         "op",         "algorithm",   "kind",      "dtype",   "fitted",   "held_out",
                                         "mean_error", "worst_error", "terms",     "ranges",  "cycles",   "of",
                                         "cause",      "least",       "most"};

// ---- reading

static weft_status number(const char *key, const char *text, weft_dimension dimension, double *out_value) {
  return weft_status_prefix(weft_quantity_parse(text, dimension, out_value), "%s: ", key);
}

static weft_status whole(const char *key, const char *text, uint32_t *out_value) {
  double value;
  WEFT_TRY(number(key, text, WEFT_COUNT_UNIT, &value));
  if (!(value >= 0 && value <= 1e9) || floor(value) < value)
    return weft_error(WEFT_INVALID, "%s: %s; a whole number is right", key, text);
  *out_value = (uint32_t)value;
  return NULL;
}

static weft_status take_range(const range_entry *entry, weft_cost_class *form) {
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v) {
    if (weft_cost_letter((weft_cost_variable)v) != entry->of[0]) continue;
    form->ranged[v] = true;
    WEFT_TRY(number("least", entry->least, WEFT_COUNT_UNIT, &form->least[v]));
    return number("most", entry->most, WEFT_COUNT_UNIT, &form->most[v]);
  }
  return weft_error(WEFT_INVALID, "of: \"%s\" is no variable of costs", entry->of);
}

static weft_status take_class(const class_entry *entry, weft_cost_class *out_form) {
  weft_cost_class form = {.term_count = entry->term_count};
  WEFT_TRY(weft_op_parse(entry->op, &form.op));
  WEFT_TRY(weft_dtype_parse(entry->dtype, &form.dtype));
  snprintf(form.algorithm, sizeof form.algorithm, "%s", entry->algorithm);
  snprintf(form.kind, sizeof form.kind, "%s", entry->kind ? entry->kind : "");
  WEFT_TRY(whole("fitted", entry->fitted, &form.fitted));
  WEFT_TRY(whole("held_out", entry->held_out, &form.held_out));
  WEFT_TRY(number("mean_error", entry->mean_error, WEFT_FRACTION, &form.mean_error));
  WEFT_TRY(number("worst_error", entry->worst_error, WEFT_FRACTION, &form.worst_error));
  for (uint32_t t = 0; t < entry->term_count; ++t) {
    WEFT_TRY(weft_cost_term_parse(entry->terms[t].of, &form.terms[t]));
    WEFT_TRY(number("cycles", entry->terms[t].cycles, WEFT_CYCLES, &form.terms[t].cycles));
    snprintf(form.terms[t].cause, sizeof form.terms[t].cause, "%s", entry->terms[t].cause);
  }
  for (uint32_t r = 0; r < entry->range_count; ++r) WEFT_TRY(take_range(&entry->ranges[r], &form));
  *out_form = form;
  return NULL;
}

// "file:line:column: " of class `index` in front of what is wrong in it.
static weft_status at_class(weft_status status, const char *yaml, const char *where, uint32_t index) {
  int line = 1, column = 1;
  const char *found = weft_yaml_find_key(yaml, "classes");
  for (uint32_t c = 0; found && c <= index; ++c) found = weft_yaml_find_key(found + 1, "op");
  if (found) weft_yaml_place(yaml, found, &line, &column);
  return weft_status_prefix(status, "%s:%d:%d: ", where, line, column);
}

static weft_status take(const document *d, const char *yaml, const char *where, weft_costs *costs) {
  snprintf(costs->name, sizeof costs->name, "%s", d->name);
  snprintf(costs->source, sizeof costs->source, "%s", d->source);
  costs->constants = weft_allocate_array(d->constant_count, sizeof *costs->constants);
  costs->classes = weft_allocate_array(d->class_count, sizeof *costs->classes);
  for (; costs->constant_count < d->constant_count; ++costs->constant_count) {
    weft_cost_constant *constant = &costs->constants[costs->constant_count];
    snprintf(constant->key, sizeof constant->key, "%s", d->constants[costs->constant_count].constant);
    snprintf(constant->value, sizeof constant->value, "%s", d->constants[costs->constant_count].value);
  }
  for (; costs->class_count < d->class_count; ++costs->class_count) {
    weft_status status = take_class(&d->classes[costs->class_count], &costs->classes[costs->class_count]);
    if (status) return at_class(status, yaml, where, costs->class_count);
  }
  weft_status status = weft_costs_check(costs);
  return status ? weft_status_prefix(status, "%s: ", where) : NULL;
}

weft_status weft_costs_unpack(const char *yaml, const char *where, weft_costs **out_costs) {
  weft_yaml_complaint c = {.line = 1};
  cyaml_config_t config = weft_yaml_config(&c);
  document *d = NULL;
  cyaml_err_t error =
      cyaml_load_data((const uint8_t *)yaml, strlen(yaml), &config, &root_schema, (cyaml_data_t **)&d, NULL);
  weft_status status = NULL;
  weft_costs *costs = NULL;
  if (error != CYAML_OK) {
    status = weft_yaml_retell(&c, yaml, where, error, known_keys, sizeof known_keys / sizeof *known_keys);
  } else if (!d) {
    status = weft_error(WEFT_INVALID, "%s:1:1: empty: a table of costs begins with \"name:\"", where);
  } else {
    costs = weft_allocate(sizeof *costs);
    *costs = (weft_costs){0};
    status = take(d, yaml, where, costs);
  }
  cyaml_free(&config, &root_schema, d, 0);
  if (status) {
    weft_costs_destroy(costs);
    return status;
  }
  *out_costs = costs;
  return NULL;
}

static weft_status read_file(const char *path, weft_costs **out_costs) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status = NULL;
  if (file.size > MOST_BYTES || memchr(file.bytes, 0, file.size)) {
    status = weft_error(WEFT_INVALID, "%s: no table of costs: not a text file, or above 1 MiB", path);
  } else {
    char *text = weft_allocate(file.size + 1);
    memcpy(text, file.bytes, file.size);
    text[file.size] = 0;
    status = weft_costs_unpack(text, path, out_costs);
    free(text);
  }
  weft_mapping_close(&file);
  return status;
}

weft_status weft_costs_read(const char *where, weft_costs **out_costs) {
  if (strchr(where, '/') || weft_file_exists(where)) return read_file(where, out_costs);
  char **names, *path = NULL;
  uint32_t count;
  WEFT_TRY(weft_directory_names("models/costs", ".yaml", &names, &count));
  bool found = false;
  for (uint32_t i = 0; i < count; ++i) found = found || strcmp(names[i], where) == 0;
  const char *nearest = weft_nearest(where, (const char *const *)names, count);
  weft_status status = NULL;
  if (found) {
    char *relative = weft_format("models/costs/%s.yaml", where);
    status = weft_data_path(relative, &path);
    free(relative);
    if (!status) status = read_file(path, out_costs);
  } else {
    status = weft_error(WEFT_INVALID, "%s: no such file and no table of costs of that name; the nearest name is \"%s\"",
                        where, nearest ? nearest : "none: there are no tables");
  }
  free(path);
  weft_directory_names_free(names, count);
  return status;
}

// ---- writing

static void print_class(FILE *out, const weft_cost_class *form) {
  char text[48], other[48];
  fprintf(out, "  - op: %s\n    algorithm: %s\n", weft_op_name(form->op), form->algorithm);
  if (form->kind[0]) fprintf(out, "    kind: %s\n", form->kind);
  fprintf(out, "    dtype: %s\n    fitted: %u\n    held_out: %u\n", weft_dtype_name(form->dtype), form->fitted,
          form->held_out);
  fprintf(out, "    mean_error: %s\n", weft_quantity_print(form->mean_error, WEFT_FRACTION, " ", text));
  fprintf(out, "    worst_error: %s\n    terms:\n", weft_quantity_print(form->worst_error, WEFT_FRACTION, " ", text));
  for (uint32_t t = 0; t < form->term_count; ++t) {
    const weft_cost_term *term = &form->terms[t];
    char of[32];
    fprintf(out, "      - {cycles: %s, of: \"%s\", cause: ", weft_quantity_print(term->cycles, WEFT_CYCLES, " ", text),
            weft_cost_term_print(term, of));
    weft_yaml_print_text(out, term->cause);
    fputs("}\n", out);
  }
  bool any = false;
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v) any = any || form->ranged[v];
  fputs(any ? "    ranges:\n" : "    ranges: []\n", out);
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v)
    if (form->ranged[v])
      fprintf(out, "      - {of: %c, least: %s, most: %s}\n", weft_cost_letter((weft_cost_variable)v),
              weft_quantity_print(form->least[v], WEFT_COUNT_UNIT, " ", text),
              weft_quantity_print(form->most[v], WEFT_COUNT_UNIT, " ", other));
}

char *weft_costs_pack(const weft_costs *costs) {
  char *text = NULL;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  if (!out) return weft_copy_text("");
  fputs("# Cycles of ops on a mesh of cores: terms in cycles times variables.\n", out);
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v)
    fprintf(out, "#   %c  %s\n", weft_cost_letter((weft_cost_variable)v), weft_cost_about((weft_cost_variable)v));
  fprintf(out, "name: %s\nsource: ", costs->name);
  weft_yaml_print_text(out, costs->source);
  fputs("\nconstants:\n", out);
  for (uint32_t c = 0; c < costs->constant_count; ++c)
    fprintf(out, "  - {constant: %s, value: %s}\n", costs->constants[c].key, costs->constants[c].value);
  fputs("classes:\n", out);
  for (uint32_t c = 0; c < costs->class_count; ++c) print_class(out, &costs->classes[c]);
  fclose(out);
  return text;
}
