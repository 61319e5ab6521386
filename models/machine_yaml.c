// Machines as YAML, through libcyaml. The schema is made from the table of fields; libcyaml's log is caught and told
// again with file:line:column, what was found and what would be right.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "models/machine_fields.h"
#include "models/machine_internal.h"
#include "models/yaml_internal.h"

enum { MOST_COST_BYTES = 1 << 20 };

typedef struct quantity {
  char *value, *source;
} quantity;

typedef struct rate_entry {
  char *op, *dtype, *rows, *flops, *bytes, *seconds;
} rate_entry;

// What libcyaml fills. A section's quantities lie at their place in the table of fields.
typedef struct document {
  char *name, *about, *device, *measured_on, *costs, *fitted_costs;
  quantity *fields[WEFT_MACHINE_FIELDS];
  rate_entry *rates;
  uint32_t rate_count;
} document;

static const cyaml_schema_field_t quantity_fields[] = {
    CYAML_FIELD_STRING_PTR("value", CYAML_FLAG_POINTER, quantity, value, 1, 80),
    CYAML_FIELD_STRING_PTR("source", CYAML_FLAG_POINTER, quantity, source, 1, 400), CYAML_FIELD_END};

static const cyaml_schema_field_t rate_fields[] = {
    CYAML_FIELD_STRING_PTR("op", CYAML_FLAG_POINTER, rate_entry, op, 1, 40),
    CYAML_FIELD_STRING_PTR("dtype", CYAML_FLAG_POINTER, rate_entry, dtype, 1, 20),
    CYAML_FIELD_STRING_PTR("rows", CYAML_FLAG_POINTER, rate_entry, rows, 1, 40),
    CYAML_FIELD_STRING_PTR("flops", CYAML_FLAG_POINTER, rate_entry, flops, 1, 40),
    CYAML_FIELD_STRING_PTR("bytes", CYAML_FLAG_POINTER, rate_entry, bytes, 1, 40),
    CYAML_FIELD_STRING_PTR("seconds", CYAML_FLAG_POINTER, rate_entry, seconds, 1, 40),
    CYAML_FIELD_END};
static const cyaml_schema_value_t rate_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, rate_entry, rate_fields)};

// The whole schema, for one reading.
typedef struct schema {
  cyaml_schema_field_t sections[WEFT_SECTION_COUNT][WEFT_MACHINE_FIELDS + 1];
  cyaml_schema_field_t top[WEFT_SECTION_COUNT + 8];
  cyaml_schema_value_t root;
} schema;

static void make_schema(schema *s) {
  memset(s, 0, sizeof *s);
  size_t counts[WEFT_SECTION_COUNT] = {0}, top = 0;
  for (uint32_t i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    weft_machine_section section = weft_machine_fields[i].section;
    cyaml_schema_field_t *field = &s->sections[section][counts[section]++];
    field->key = weft_machine_fields[i].key;
    field->data_offset = (uint32_t)(offsetof(document, fields) + i * sizeof(quantity *));
    field->value = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                          .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                                          .data_size = sizeof(quantity),
                                          .mapping.fields = quantity_fields};
  }
  const cyaml_schema_field_t fixed[] = {
      CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, document, name, 1, 63),
      CYAML_FIELD_STRING_PTR("about", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, document, about, 0, 191),
      CYAML_FIELD_STRING_PTR("device", CYAML_FLAG_POINTER, document, device, 1, 40),
      CYAML_FIELD_STRING_PTR("measured_on", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, document, measured_on, 1, 63),
      CYAML_FIELD_STRING_PTR("costs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, document, costs, 1, 400),
      CYAML_FIELD_STRING_PTR("fitted_costs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, document, fitted_costs, 1,
                             MOST_COST_BYTES),
      CYAML_FIELD_SEQUENCE_COUNT("rates", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, document, rates, rate_count,
                                 &rate_schema, 0, WEFT_MACHINE_MAX_RATES)};
  for (; top < sizeof fixed / sizeof *fixed; ++top) s->top[top] = fixed[top];
  for (int section = 0; section < WEFT_SECTION_COUNT; ++section) {
    cyaml_schema_field_t *field = &s->top[top++];
    field->key = weft_machine_section_name((weft_machine_section)section);
    field->value = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                          .flags = CYAML_FLAG_OPTIONAL,
                                          .data_size = sizeof(document),
                                          .mapping.fields = s->sections[section]};
  }
  s->root = (cyaml_schema_value_t){
      .type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER, .data_size = sizeof(document), .mapping.fields = s->top};
}

static void known_keys(const char *known[WEFT_MACHINE_FIELDS + 32], size_t *out_count, const char *section) {
  size_t count = 0;
  int only = -1;
  for (int i = 0; i < WEFT_SECTION_COUNT; ++i)
    if (strcmp(section, weft_machine_section_name((weft_machine_section)i)) == 0) only = i;
  for (size_t i = 0; i < WEFT_MACHINE_FIELDS; ++i)
    if (only < 0 || weft_machine_fields[i].section == (weft_machine_section)only)
      known[count++] = weft_machine_fields[i].key;
  if (only < 0) {
    static const char *const others[] = {"name",  "about",        "device", "measured_on", "rates",
                                         "costs", "fitted_costs", "value",  "source",      "op",
                                         "dtype", "rows",         "flops",  "bytes",       "seconds"};
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i) known[count++] = others[i];
    for (int i = 0; i < WEFT_SECTION_COUNT; ++i) known[count++] = weft_machine_section_name((weft_machine_section)i);
  }
  *out_count = count;
}

// "file:line:column: section.key: " in front of what is wrong with a value.
static weft_status at_value(weft_status status, const char *yaml, const char *where, const char *section,
                            const char *key) {
  int line = 1, column = 1;
  const char *found = weft_yaml_find_key(yaml, section);
  if (found && key) found = weft_yaml_find_key(found, key);
  if (found && key && weft_yaml_find_key(found, "value")) found = weft_yaml_find_key(found, "value");
  if (found) weft_yaml_place(yaml, found, &line, &column);
  return weft_status_prefix(status, "%s:%d:%d: %s%s%s: ", where, line, column, section, key ? "." : "", key ? key : "");
}

static weft_status take_fields(const document *d, weft_machine *m, const char *yaml, const char *where) {
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    const char *section = weft_machine_section_name(field->section);
    bool device = field->section == WEFT_SECTION_MESH || field->section == WEFT_SECTION_ROOFLINE;
    bool has = weft_machine_has_section(m->kind, field->section);
    weft_status status = NULL;
    if (d->fields[i] && !has)
      status = weft_error(WEFT_INVALID, "the device is a %s, which has no such section", d->device);
    else if (d->fields[i])
      status = weft_machine_field_set(m, field, d->fields[i]->value);
    else if (device && has) {
      status = weft_error(WEFT_INVALID, "missing: %s, as in \"%s\"", weft_dimension_name(field->dimension),
                          weft_dimension_example(field->dimension));
      return at_value(weft_status_prefix(status, "%s: ", field->key), yaml, where, section, NULL);
    }
    if (status) return at_value(status, yaml, where, section, field->key);
  }
  return NULL;
}

static weft_status take_rates(const document *d, weft_machine *m, const char *yaml, const char *where) {
  if (d->rate_count == 0) return NULL;
  if (m->kind != WEFT_ROOFLINE)
    return at_value(weft_error(WEFT_INVALID, "only a roofline has rates"), yaml, where, "rates", NULL);
  m->roofline.rates = weft_allocate_array(d->rate_count, sizeof *m->roofline.rates);
  for (uint32_t i = 0; i < d->rate_count; ++i) {
    const rate_entry *r = &d->rates[i];
    weft_status status =
        weft_rate_parse(r->op, r->dtype, r->rows, r->flops, r->bytes, r->seconds, &m->roofline.rates[i]);
    if (status) return at_value(weft_status_prefix(status, "entry %u: ", i), yaml, where, "rates", NULL);
    m->roofline.rate_count = i + 1;
  }
  return NULL;
}

static weft_status take_costs(const document *d, weft_machine *m, const char *yaml, const char *where) {
  if (d->costs && d->fitted_costs)
    return at_value(weft_error(WEFT_INVALID, "fitted_costs has a table already: one of the two is right"), yaml, where,
                    "costs", NULL);
  if (d->costs) {
    weft_status status = weft_costs_read(d->costs, &m->costs);
    if (!status) status = weft_costs_check_machine(m->costs, m);
    return status ? at_value(status, yaml, where, "costs", NULL) : NULL;
  }
  if (!d->fitted_costs) return NULL;
  weft_status status = weft_costs_unpack(d->fitted_costs, "table", &m->costs);
  return status ? at_value(status, yaml, where, "fitted_costs", NULL) : NULL;
}

static weft_status take(const document *d, const char *yaml, const char *where, weft_machine *m) {
  *m = weft_machine_default();
  snprintf(m->name, sizeof m->name, "%s", d->name);
  snprintf(m->about, sizeof m->about, "%s", d->about ? d->about : "");
  snprintf(m->host, sizeof m->host, "%s", d->measured_on ? d->measured_on : "");
  m->measured = d->measured_on != NULL;
  if (strcmp(d->device, "mesh") == 0)
    m->kind = WEFT_MESH;
  else if (strcmp(d->device, "roofline") == 0)
    m->kind = WEFT_ROOFLINE;
  else
    return at_value(weft_error(WEFT_INVALID, "\"%s\" is no kind of device: mesh or roofline is right", d->device), yaml,
                    where, "device", NULL);
  WEFT_TRY(take_fields(d, m, yaml, where));
  WEFT_TRY(take_rates(d, m, yaml, where));
  WEFT_TRY(take_costs(d, m, yaml, where));
  weft_status status = weft_machine_check(m);
  return status ? weft_status_prefix(status, "%s: ", where) : NULL;
}

weft_status weft_machine_unpack(const char *yaml, const char *where, weft_machine **out_machine) {
  schema *s = weft_allocate(sizeof *s);
  make_schema(s);
  weft_yaml_complaint c = {.line = 1};
  cyaml_config_t config = weft_yaml_config(&c);
  document *d = NULL;
  cyaml_err_t error =
      cyaml_load_data((const uint8_t *)yaml, strlen(yaml), &config, &s->root, (cyaml_data_t **)&d, NULL);
  weft_status status = NULL;
  weft_machine *m = NULL;
  if (error != CYAML_OK) {
    const char *known[WEFT_MACHINE_FIELDS + 32];
    size_t count;
    known_keys(known, &count, c.inside);
    status = weft_yaml_retell(&c, yaml, where, error, known, count);
  } else if (!d) {
    status = weft_error(WEFT_INVALID, "%s:1:1: empty: a machine begins with \"name:\"", where);
  } else {
    m = weft_allocate(sizeof *m);
    status = take(d, yaml, where, m);
  }
  cyaml_free(&config, &s->root, d, 0);
  free(s);
  if (status) {
    weft_machine_destroy(m);
    return status;
  }
  *out_machine = m;
  return NULL;
}

static void print_costs(const weft_machine *m, FILE *out) {
  if (!m->costs) return;
  char *table = weft_costs_pack(m->costs);
  fputs("fitted_costs: |\n", out);
  for (const char *line = table; *line;) {
    size_t length = strcspn(line, "\n");
    fprintf(out, "  %.*s\n", (int)length, line);
    line += length + (line[length] == '\n');
  }
  free(table);
}

char *weft_machine_pack(const weft_machine *m) {
  char *text = NULL, value[48], parts[4][48];
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  if (!out) return weft_copy_text("");
  fprintf(out, "name: \"%s\"\nabout: ", m->name);
  weft_yaml_print_text(out, m->about);
  fprintf(out, "\ndevice: %s\n", m->kind == WEFT_MESH ? "mesh" : "roofline");
  if (m->measured) fprintf(out, "measured_on: \"%s\"\n", m->host);
  weft_machine_section last = WEFT_SECTION_COUNT;
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    if (!weft_machine_has_section(m->kind, field->section)) continue;
    if (field->section != last) fprintf(out, "%s:\n", weft_machine_section_name(field->section));
    last = field->section;
    fprintf(out, "  %s: {value: %s, source: ", field->key, weft_machine_field_print(m, field, " ", value));
    if (m->measured)
      fputs("weft calibrate}\n", out);
    else
      fprintf(out, "\"see %s.yaml\"}\n", m->name);
  }
  if (m->kind == WEFT_ROOFLINE && m->roofline.rate_count) fputs("rates:\n", out);
  for (uint32_t i = 0; m->kind == WEFT_ROOFLINE && i < m->roofline.rate_count; ++i) {
    const weft_rate *r = &m->roofline.rates[i];
    fprintf(out, "  - {op: %s, dtype: %s, rows: %s, flops: %s, bytes: %s, seconds: %s}\n", weft_op_name(r->op),
            weft_dtype_name(r->dtype), weft_quantity_print(r->rows, WEFT_COUNT_UNIT, " ", parts[0]),
            weft_quantity_print(r->flops, WEFT_COUNT_UNIT, " ", parts[1]),
            weft_quantity_print(r->bytes, WEFT_BYTES, " ", parts[2]),
            weft_quantity_print(r->seconds, WEFT_SECONDS, " ", parts[3]));
  }
  print_costs(m, out);
  fclose(out);
  return text;
}
