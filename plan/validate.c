#include "plan/validate.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "plan/predictors.h"

const char *weft_input_text(weft_inputs *in, const char *key) {
  for (uint32_t i = 0; i < in->count; ++i) {
    if (strcmp(in->pairs[i].key, key) != 0) continue;
    in->pairs[i].asked = true;
    const char *value = in->pairs[i].value;
    if (*value && strcmp(value, "-") != 0) return value;
    if (!in->missing) in->missing = weft_arena_format(in->arena, "%s was not published", key);
    return NULL;
  }
  if (!in->error) in->error = weft_error(WEFT_INVALID, "the input \"%s\" is missing", key);
  return NULL;
}

double weft_input_number(weft_inputs *in, const char *key, double low, double high) {
  const char *text = weft_input_text(in, key);
  if (!text) return low;
  double value = 0;
  weft_status status = weft_quantity_parse(text, WEFT_COUNT_UNIT, &value);
  if (!status && !(value >= low && value <= high))
    status = weft_error(WEFT_INVALID, "%s is right from %g to %g", text, low, high);
  if (!status) return value;
  if (in->error)
    weft_status_free(status);
  else
    in->error = weft_status_prefix(status, "input \"%s\": ", key);
  return low;
}

bool weft_input_has(const weft_inputs *in, const char *key) {
  for (uint32_t i = 0; i < in->count; ++i)
    if (strcmp(in->pairs[i].key, key) == 0) return true;
  return false;
}

void weft_input_known(weft_inputs *in, const char *key) {
  for (uint32_t i = 0; i < in->count; ++i)
    if (strcmp(in->pairs[i].key, key) == 0) in->pairs[i].asked = true;
}

static weft_status read_inputs(weft_inputs *in, weft_arena *arena, const char *text) {
  *in = (weft_inputs){.arena = arena};
  char *rest = weft_arena_copy_text(arena, text);
  while (*rest) {
    char *pair = rest, *end = strchr(rest, ';');
    rest = end ? end + 1 : rest + strlen(rest);
    if (end) *end = 0;
    char *equals = strchr(pair, '=');
    if (!equals || equals == pair) return weft_error(WEFT_INVALID, "inputs: \"%s\" is not key=value", pair);
    if (in->count == sizeof in->pairs / sizeof *in->pairs)
      return weft_error(WEFT_INVALID, "more than %u inputs", in->count);
    *equals = 0;
    for (uint32_t i = 0; i < in->count; ++i)
      if (strcmp(in->pairs[i].key, pair) == 0) return weft_error(WEFT_INVALID, "the input \"%s\" stands twice", pair);
    in->pairs[in->count].key = pair;
    in->pairs[in->count++].value = equals + 1;
  }
  return NULL;
}

static weft_status check_asked(const weft_inputs *in) {
  const char *known[32];
  uint32_t count = 0;
  for (uint32_t i = 0; i < in->count; ++i)
    if (in->pairs[i].asked) known[count++] = in->pairs[i].key;
  for (uint32_t i = 0; i < in->count; ++i) {
    if (in->pairs[i].asked) continue;
    const char *nearest = weft_nearest(in->pairs[i].key, known, count);
    return weft_error(WEFT_INVALID, "unknown input \"%s\"; the nearest known one is \"%s\"", in->pairs[i].key,
                      nearest ? nearest : "none");
  }
  return NULL;
}

static void judge(weft_case *c, double predicted, bool trial) {
  c->predicted = predicted;
  double off = predicted - c->expected;
  c->error_percent = c->expected != 0 ? 100 * off / fabs(c->expected) : off == 0 ? 0 : INFINITY;
  bool within = fabs(c->error_percent) <= c->tolerance_percent;
  c->verdict = trial ? WEFT_ON_TRIAL : within ? WEFT_WITHIN : WEFT_BEYOND;
}

static weft_status predict(weft_case *c, weft_arena *arena) {
  c->verdict = WEFT_NOT_COVERED;
  c->predicted = c->error_percent = NAN;
  weft_inputs in;
  WEFT_TRY(read_inputs(&in, arena, c->inputs));
  const weft_predictor *predictor = weft_predictor_find(c->area, c->subject, c->quantity);
  if (!predictor || isnan(c->expected)) {
    c->reason = predictor ? "no value was published" : "no prediction of this subject yet";
    return NULL;
  }
  in.subject = c->subject;
  in.evidence = c->evidence;
  double predicted = predictor->predict(&in);
  if (in.error) return in.error;
  if (in.missing) {
    c->reason = in.missing;
    return NULL;
  }
  WEFT_TRY(check_asked(&in));
  judge(c, predicted, predictor->trial);
  return NULL;
}

enum { ID, AREA, SUBJECT, INPUTS, QUANTITY, EXPECTED, UNIT, TOLERANCE, ROLE, EVIDENCE, SOURCE, COLUMN_COUNT };
static const char *const column_names[COLUMN_COUNT] = {
    "id", "area", "subject", "inputs", "quantity", "expected", "unit", "tolerance_pct", "role", "evidence", "source"};

static bool is_utf8(const char *text) {
  json_t *checked = json_string(text);
  json_decref(checked);
  return checked != NULL;
}

static weft_status read_case(const weft_csv *table, size_t row, const size_t *columns, weft_case *out_case) {
  const char *f[COLUMN_COUNT];
  for (int i = 0; i < COLUMN_COUNT; ++i) {
    f[i] = weft_csv_field(table, row, columns[i]);
    if (!is_utf8(f[i])) return weft_error(WEFT_INVALID, "column %s is not UTF-8", column_names[i]);
  }
  weft_case c = {.id = f[ID],
                 .area = f[AREA],
                 .subject = f[SUBJECT],
                 .inputs = f[INPUTS],
                 .quantity = f[QUANTITY],
                 .unit = f[UNIT],
                 .role = f[ROLE],
                 .evidence = f[EVIDENCE],
                 .source = f[SOURCE],
                 .line = weft_csv_line(table, row)};
  bool published = *f[EXPECTED] && strcmp(f[EXPECTED], "-") != 0;
  c.expected = NAN;
  weft_status status = published ? weft_quantity_parse(f[EXPECTED], WEFT_COUNT_UNIT, &c.expected) : NULL;
  if (status) return weft_status_prefix(status, "expected: ");
  status = weft_quantity_parse(f[TOLERANCE], WEFT_COUNT_UNIT, &c.tolerance_percent);
  if (!status && c.tolerance_percent < 0) status = weft_error(WEFT_INVALID, "%s is negative", f[TOLERANCE]);
  if (status) return weft_status_prefix(status, "tolerance_pct: ");
  if (strcmp(c.role, "calibrate") != 0 && strcmp(c.role, "predict") != 0)
    return weft_error(WEFT_INVALID, "role \"%s\": calibrate or predict is right", c.role);
  if (!*c.id || !*c.area || !*c.subject || !*c.quantity)
    return weft_error(WEFT_INVALID, "id, area, subject and quantity may not be empty");
  *out_case = c;
  return NULL;
}

// Whether "AREA/SUBJECT" is what `wanted` names: an area, or an area and the first parts of a subject.
static bool is_named(const char *area, const char *subject, const char *wanted, size_t length) {
  char *name = weft_format("%s/%s", area, subject);
  bool same = strncmp(name, wanted, length) == 0 && (name[length] == '/' || name[length] == 0);
  free(name);
  return same;
}

static bool is_listed(const char *area, const char *subject, const char *areas) {
  if (!areas) return true;
  for (const char *at = areas; *at; at += strcspn(at, ","), at += *at == ',')
    if (is_named(area, subject, at, strcspn(at, ","))) return true;
  return false;
}

static weft_status refuse_area(const weft_csv *table, const size_t *columns, const char *at, size_t length) {
  bool with_subject = memchr(at, '/', length) != NULL;
  char **known = weft_allocate_array(table->rows, sizeof *known), *wanted = weft_format("%.*s", (int)length, at);
  for (size_t row = 0; row < table->rows; ++row)
    known[row] = weft_format("%s%s%s", weft_csv_field(table, row, columns[AREA]), with_subject ? "/" : "",
                             with_subject ? weft_csv_field(table, row, columns[SUBJECT]) : "");
  const char *nearest = weft_nearest(wanted, (const char *const *)known, table->rows);
  weft_status status = weft_error(WEFT_INVALID, "%s: there is no area \"%s\"; the nearest is \"%s\"", table->where,
                                  wanted, nearest ? nearest : "none");
  for (size_t row = 0; row < table->rows; ++row) free(known[row]);
  free(known);
  free(wanted);
  return status;
}

// All that is asked for must be in the table.
static weft_status check_areas(const weft_csv *table, const size_t *columns, const char *areas) {
  for (const char *at = areas; at && *at; at += strcspn(at, ","), at += *at == ',') {
    size_t length = strcspn(at, ",");
    bool found = false;
    for (size_t row = 0; row < table->rows && !found; ++row)
      found =
          is_named(weft_csv_field(table, row, columns[AREA]), weft_csv_field(table, row, columns[SUBJECT]), at, length);
    if (!found) return refuse_area(table, columns, at, length);
  }
  return NULL;
}

static weft_status run_cases(weft_validation *v, const char *areas) {
  size_t columns[COLUMN_COUNT];
  for (int i = 0; i < COLUMN_COUNT; ++i) WEFT_TRY(weft_csv_column(&v->table, column_names[i], &columns[i]));
  WEFT_TRY(check_areas(&v->table, columns, areas));
  v->cases = weft_allocate_array(v->table.rows, sizeof *v->cases);
  for (size_t row = 0; row < v->table.rows; ++row) {
    weft_case *c = &v->cases[v->count];
    weft_status status = read_case(&v->table, row, columns, c);
    if (!status && !is_listed(c->area, c->subject, areas)) continue;
    if (!status) status = predict(c, &v->table.arena);
    if (status) return weft_status_prefix(status, "%s:%u: ", v->table.where, weft_csv_line(&v->table, row));
    ++v->count;
    v->within += c->verdict == WEFT_WITHIN;
    v->beyond += c->verdict == WEFT_BEYOND;
    v->on_trial += c->verdict == WEFT_ON_TRIAL;
    v->not_covered += c->verdict == WEFT_NOT_COVERED;
  }
  return NULL;
}

weft_status weft_validation_run(const char *path, const char *areas, weft_validation *out_validation) {
  weft_validation v = {0};
  WEFT_TRY(weft_csv_read(path, &v.table));
  weft_status status = run_cases(&v, areas);
  if (status) {
    weft_validation_finish(&v);
    return status;
  }
  *out_validation = v;
  return NULL;
}

void weft_validation_finish(weft_validation *validation) {
  weft_csv_finish(&validation->table);
  free(validation->cases);
  *validation = (weft_validation){0};
}
