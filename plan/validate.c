#include "plan/validate.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/predictors.h"

const char *weft_method_name(weft_method method) {
  static const char *const names[WEFT_METHODS] = {"formula", "simulated", "executed", "continued"};
  return names[method];
}

weft_validation_limits weft_validation_limits_default(void) {
  return (weft_validation_limits){.most_hops = 1e9, .most_bytes = (uint64_t)8 << 30, .threads = 1};
}

static void judge(weft_case *c, double predicted, bool trial) {
  c->predicted = predicted;
  double off = predicted - c->expected;
  c->error_percent = c->expected != 0 ? 100 * off / fabs(c->expected) : off == 0 ? 0 : INFINITY;
  bool within = fabs(c->error_percent) <= c->tolerance_percent;
  c->verdict = trial ? WEFT_ON_TRIAL : within ? WEFT_WITHIN : WEFT_BEYOND;
}

static weft_status predict(weft_case *c, weft_arena *arena, const weft_validation_limits *limits) {
  weft_inputs in;
  WEFT_TRY(weft_inputs_read(&in, arena, c->inputs));
  const weft_predictor *predictor = weft_predictor_find(c->area, c->subject, c->quantity);
  if (!predictor || isnan(c->expected)) {
    c->reason = predictor ? "no value was published" : weft_predictor_absent(arena, c->area, c->subject, c->quantity);
    return NULL;
  }
  in.subject = c->subject;
  in.quantity = c->quantity;
  in.unit = c->unit;
  in.evidence = c->evidence;
  in.limits = limits;
  double predicted = predictor->predict(&in);
  if (in.error) return in.error;
  c->reason = in.missing;
  if (in.missing) return NULL;
  WEFT_TRY(weft_inputs_check(&in));
  c->method = in.method;
  c->method_detail = in.method_detail;
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

// A field without spaces around it.
static const char *field_of(weft_csv *table, size_t row, size_t column) {
  const char *text = weft_csv_field(table, row, column);
  size_t length = strlen(text += strspn(text, " \t"));
  while (length && strchr(" \t", text[length - 1])) --length;
  return weft_arena_format(&table->arena, "%.*s", (int)length, text);
}

// All fields first, so that a row that is not understood can be told by what can be read of it.
static weft_status read_case(weft_csv *table, size_t row, const size_t *columns, weft_case *out_case) {
  const char *f[COLUMN_COUNT];
  int broken = -1;
  for (int i = 0; i < COLUMN_COUNT; ++i) {
    f[i] = field_of(table, row, columns[i]);
    if (is_utf8(f[i])) continue;
    broken = i;
    f[i] = "";
  }
  *out_case = (weft_case){.id = f[ID],
                          .area = f[AREA],
                          .subject = f[SUBJECT],
                          .inputs = f[INPUTS],
                          .quantity = f[QUANTITY],
                          .unit = f[UNIT],
                          .role = f[ROLE],
                          .evidence = f[EVIDENCE],
                          .source = f[SOURCE],
                          .line = weft_csv_line(table, row),
                          .expected = NAN,
                          .predicted = NAN,
                          .error_percent = NAN,
                          .verdict = WEFT_NOT_COVERED};
  weft_case *c = out_case;
  if (broken >= 0) return weft_error(WEFT_INVALID, "column %s is not UTF-8", column_names[broken]);
  bool published = *f[EXPECTED] && strcmp(f[EXPECTED], "-") != 0;
  weft_status status = published ? weft_quantity_parse(f[EXPECTED], WEFT_COUNT_UNIT, &c->expected) : NULL;
  if (status) return weft_status_prefix(status, "expected: ");
  status = weft_quantity_parse(f[TOLERANCE], WEFT_COUNT_UNIT, &c->tolerance_percent);
  if (!status && c->tolerance_percent < 0) status = weft_error(WEFT_INVALID, "%s is negative", f[TOLERANCE]);
  if (status) return weft_status_prefix(status, "tolerance_pct: ");
  if (strcmp(c->role, "calibrate") != 0 && strcmp(c->role, "predict") != 0)
    return weft_error(WEFT_INVALID, "role \"%s\": calibrate or predict is right", c->role);
  if (!*c->id || !*c->area || !*c->subject || !*c->quantity)
    return weft_error(WEFT_INVALID, "id, area, subject and quantity may not be empty");
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

static weft_status refuse_area(weft_csv *table, const size_t *columns, const char *at, size_t length) {
  bool with_subject = memchr(at, '/', length) != NULL;
  char **known = weft_allocate_array(table->rows, sizeof *known), *wanted = weft_format("%.*s", (int)length, at);
  for (size_t row = 0; row < table->rows; ++row)
    known[row] = weft_format("%s%s%s", field_of(table, row, columns[AREA]), with_subject ? "/" : "",
                             with_subject ? field_of(table, row, columns[SUBJECT]) : "");
  const char *nearest = weft_nearest(wanted, (const char *const *)known, table->rows);
  weft_status status = weft_error(WEFT_INVALID, "%s: there is no area \"%s\"; the nearest is \"%s\"", table->where,
                                  wanted, nearest ? nearest : "none");
  for (size_t row = 0; row < table->rows; ++row) free(known[row]);
  free(known);
  free(wanted);
  return status;
}

// All that is asked for must be in the table. An area that Weft predicts and this table does not have is passed over
// with a warning, as long as something is left.
static weft_status check_areas(weft_csv *table, const size_t *columns, const char *areas) {
  bool any = !areas;
  const char *absent = NULL;
  for (const char *at = areas; at && *at; at += strcspn(at, ","), at += *at == ',') {
    size_t length = strcspn(at, ",");
    bool found = false;
    for (size_t row = 0; row < table->rows && !found; ++row)
      found = is_named(field_of(table, row, columns[AREA]), field_of(table, row, columns[SUBJECT]), at, length);
    any = any || found;
    if (found) continue;
    if (!weft_predictor_has_area(at, length)) return refuse_area(table, columns, at, length);
    weft_log(WEFT_LOG_WARNING, "%s has no case of area %.*s", table->where, (int)length, at);
    absent = at;
  }
  return any || !absent ? NULL : refuse_area(table, columns, absent, strcspn(absent, ","));
}

static void count_verdict(weft_validation *v, weft_verdict verdict) {
  v->within += verdict == WEFT_WITHIN;
  v->beyond += verdict == WEFT_BEYOND;
  v->on_trial += verdict == WEFT_ON_TRIAL;
  v->not_covered += verdict == WEFT_NOT_COVERED;
  v->not_understood += verdict == WEFT_NOT_UNDERSTOOD;
}

// A row that is wrong does not keep the others from being run.
static void run_case(weft_validation *v, size_t row, const size_t *columns, const char *areas,
                     const weft_validation_limits *limits) {
  weft_case *c = &v->cases[v->count];
  weft_status status = read_case(&v->table, row, columns, c);
  const char *mistake = weft_csv_mistake(&v->table, row);
  if (*c->area && !is_listed(c->area, c->subject, areas)) {
    weft_status_free(status);
    return;
  }
  if (!status && !mistake) status = predict(c, &v->table.arena, limits);
  if (mistake) {
    c->verdict = WEFT_NOT_UNDERSTOOD;
    c->reason = mistake;
    weft_status_free(status);
  } else if (status) {
    c->verdict = WEFT_NOT_UNDERSTOOD;
    c->reason = weft_arena_format(&v->table.arena, "%s:%u: %s", v->table.where, c->line, weft_status_message(status));
    weft_status_free(status);
  }
  ++v->count;
  count_verdict(v, c->verdict);
}

static weft_status run_cases(weft_validation *v, const char *areas, const weft_validation_limits *limits) {
  size_t columns[COLUMN_COUNT];
  for (int i = 0; i < COLUMN_COUNT; ++i) WEFT_TRY(weft_csv_column(&v->table, column_names[i], &columns[i]));
  if (!v->table.rows) return weft_error(WEFT_INVALID, "%s: a header and no cases", v->table.where);
  WEFT_TRY(check_areas(&v->table, columns, areas));
  v->cases = weft_allocate_array(v->table.rows, sizeof *v->cases);
  for (size_t row = 0; row < v->table.rows; ++row) run_case(v, row, columns, areas, limits);
  return NULL;
}

weft_status weft_validation_run_within(const char *path, const char *areas, const weft_validation_limits *limits,
                                       weft_validation *out_validation) {
  weft_validation v = {0};
  WEFT_TRY(weft_csv_read_rows(path, &v.table));
  weft_status status = run_cases(&v, areas, limits);
  if (status) {
    weft_validation_finish(&v);
    return status;
  }
  *out_validation = v;
  return NULL;
}

weft_status weft_validation_run(const char *path, const char *areas, weft_validation *out_validation) {
  weft_validation_limits limits = weft_validation_limits_default();
  return weft_validation_run_within(path, areas, &limits, out_validation);
}

void weft_validation_finish(weft_validation *validation) {
  weft_csv_finish(&validation->table);
  free(validation->cases);
  *validation = (weft_validation){0};
}
