// Printing of a validation: cases, subjects, what is not covered.
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "plan/validate.h"

// Cases of one area and subject.
typedef struct group {
  const char *area, *subject, *reason;  // subject NULL: of the area as a whole
  uint32_t covered, beyond, not_covered, methods[WEFT_METHODS];
  bool trial;
  double sum, worst;  // of absolute errors, percent
} group;

static group *find_group(group *groups, uint32_t *count, const char *area, const char *subject) {
  for (uint32_t i = 0; i < *count; ++i) {
    bool same = subject ? groups[i].subject && strcmp(groups[i].subject, subject) == 0 : !groups[i].subject;
    if (same && strcmp(groups[i].area, area) == 0) return &groups[i];
  }
  groups[*count] = (group){.area = area, .subject = subject};
  return &groups[(*count)++];
}

static void add_case(group *g, const weft_case *c) {
  if (c->verdict == WEFT_NOT_COVERED) {
    ++g->not_covered;
    if (!g->reason) g->reason = c->reason;
    return;
  }
  ++g->covered;
  ++g->methods[c->method];
  g->beyond += fabs(c->error_percent) > c->tolerance_percent;
  g->trial = c->verdict == WEFT_ON_TRIAL;
  g->sum += fabs(c->error_percent);
  g->worst = fmax(g->worst, fabs(c->error_percent));
}

// By subject, or by area: there without what is on trial.
static group *make_groups(const weft_validation *v, bool by_subject, uint32_t *out_count) {
  group *groups = weft_allocate_array(v->count, sizeof *groups);
  *out_count = 0;
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    if (c->verdict == WEFT_NOT_UNDERSTOOD || (!by_subject && c->verdict == WEFT_ON_TRIAL)) continue;
    add_case(find_group(groups, out_count, c->area, by_subject ? c->subject : NULL), c);
  }
  return groups;
}

static void add_columns(weft_table *table, const char *const (*columns)[2], size_t count) {
  for (size_t i = 0; i < count; ++i) weft_table_column(table, columns[i][0], columns[i][1]);
}

static const char *verdict_name(weft_verdict verdict) {
  static const char *const names[] = {"within", "OUTSIDE", "on trial", "not covered", "not understood"};
  return names[verdict];
}

static void print_cases(const weft_validation *v, weft_table_form form, FILE *out) {
  static const char *const columns[][2] = {{"id", NULL},        {"area", NULL}, {"subject", NULL}, {"expected", NULL},
                                           {"predicted", NULL}, {"unit", NULL}, {"error", "%"},    {"tolerance", "%"},
                                           {"role", NULL},      {"how", NULL},  {"verdict", NULL}, {"inputs", NULL}};
  weft_table *table = weft_table_create();
  add_columns(table, columns, sizeof columns / sizeof *columns);
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    bool covered = c->verdict != WEFT_NOT_COVERED && c->verdict != WEFT_NOT_UNDERSTOOD;
    if (!covered && form == WEFT_TABLE_TEXT) continue;
    weft_table_row(table);
    weft_table_text(table, c->id);
    weft_table_text(table, c->area);
    weft_table_text(table, c->subject);
    weft_table_number(table, c->expected, c->tolerance_percent == 0 ? 15 : 6);
    weft_table_number(table, c->predicted, c->tolerance_percent == 0 ? 15 : 6);
    weft_table_text(table, c->unit);
    weft_table_number(table, c->error_percent, 3);
    weft_table_number(table, c->tolerance_percent, 3);
    weft_table_text(table, c->role);
    weft_table_text(table, covered ? weft_method_name(c->method) : NULL);
    weft_table_text(table, verdict_name(c->verdict));
    weft_table_text(table, c->inputs);
  }
  weft_table_print(table, form, out);
  weft_table_destroy(table);
}

static void print_good(const group *groups, uint32_t count, FILE *out) {
  static const char *const covered[][2] = {{"area", NULL},     {"subject", NULL},   {"cases", NULL},
                                           {"outside", NULL},  {"mean error", "%"}, {"worst error", "%"},
                                           {"executed", NULL}, {"continued", NULL}, {"counts", NULL}};
  weft_table *table = weft_table_create();
  add_columns(table, covered, sizeof covered / sizeof *covered);
  for (uint32_t i = 0; i < count; ++i) {
    const group *g = &groups[i];
    if (!g->covered) continue;
    weft_table_row(table);
    weft_table_text(table, g->area);
    weft_table_text(table, g->subject ? g->subject : "(all)");
    weft_table_integer(table, g->covered);
    weft_table_integer(table, g->beyond);
    weft_table_number(table, g->sum / g->covered, 3);
    weft_table_number(table, g->worst, 3);
    weft_table_integer(table, g->methods[WEFT_BY_EXECUTION]);
    weft_table_integer(table, g->methods[WEFT_BY_CONTINUATION]);
    weft_table_text(table, g->trial ? "no: on trial" : "yes");
  }
  weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_destroy(table);
}

// Cases of one subject that are not covered for the same reason are one line.
static void print_not_covered(const weft_validation *v, FILE *out) {
  static const char *const others[][2] = {
      {"not covered: area", NULL}, {"subject", NULL}, {"cases", NULL}, {"first line", NULL}, {"reason", NULL}};
  weft_table *table = weft_table_create();
  add_columns(table, others, sizeof others / sizeof *others);
  bool *told = weft_allocate_array(v->count, sizeof *told);
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    if (c->verdict != WEFT_NOT_COVERED || told[i]) continue;
    uint32_t alike = 0;
    for (uint32_t j = i; j < v->count; ++j) {
      const weft_case *d = &v->cases[j];
      if (d->verdict != WEFT_NOT_COVERED || strcmp(c->area, d->area) != 0 || strcmp(c->subject, d->subject) != 0 ||
          strcmp(c->reason, d->reason) != 0)
        continue;
      told[j] = true;
      ++alike;
    }
    weft_table_row(table);
    weft_table_text(table, c->area);
    weft_table_text(table, c->subject);
    weft_table_integer(table, alike);
    weft_table_integer(table, c->line);
    weft_table_text(table, c->reason);
  }
  free(told);
  if (v->not_covered) fputc('\n', out), weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_destroy(table);
}

static void print_not_understood(const weft_validation *v, FILE *out) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "not understood: id", NULL);
  weft_table_column(table, "why", NULL);
  for (uint32_t i = 0; i < v->count; ++i) {
    if (v->cases[i].verdict != WEFT_NOT_UNDERSTOOD) continue;
    weft_table_row(table);
    weft_table_text(table, v->cases[i].id);
    weft_table_text(table, v->cases[i].reason);
  }
  if (v->not_understood) fputc('\n', out), weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_destroy(table);
}

// What was executed instead of a case, once for each.
static void print_continued(const weft_validation *v, FILE *out) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "id", NULL);
  weft_table_column(table, "inputs", NULL);
  weft_table_column(table, "how", NULL);
  uint32_t rows = 0;
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    if (!c->method_detail) continue;
    ++rows;
    weft_table_row(table);
    weft_table_text(table, c->id);
    weft_table_text(table, c->inputs);
    char *how = weft_format("%s %s", weft_method_name(c->method), c->method_detail);
    weft_table_text(table, how);
    free(how);
  }
  if (rows) fputc('\n', out), weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_destroy(table);
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *case_json(const weft_case *c) {
  static const char *const verdicts[] = {"within", "outside", "on_trial", "not_covered", "not_understood"};
  json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:s}", "id", c->id, "area", c->area,
                        "subject", c->subject, "inputs", c->inputs, "quantity", c->quantity, "unit", c->unit, "role",
                        c->role, "evidence", c->evidence, "source", c->source, "line", (int)c->line,
                        "tolerance_percent", c->tolerance_percent, "verdict", verdicts[c->verdict]);
  json_object_set_new(o, "expected", number(c->expected));
  json_object_set_new(o, "predicted", number(c->predicted));
  json_object_set_new(o, "error_percent", number(c->error_percent));
  if (c->reason) json_object_set_new(o, "reason", json_string(c->reason));
  if (c->verdict < WEFT_NOT_COVERED) json_object_set_new(o, "method", json_string(weft_method_name(c->method)));
  if (c->method_detail) json_object_set_new(o, "method_detail", json_string(c->method_detail));
  return o;
}

static json_t *group_json(const group *g) {
  json_t *o =
      json_pack("{s:s, s:i, s:i, s:f, s:f, s:i, s:i}", "area", g->area, "cases", (int)g->covered, "outside",
                (int)g->beyond, "mean_error_percent", g->sum / g->covered, "worst_error_percent", g->worst, "executed",
                (int)g->methods[WEFT_BY_EXECUTION], "continued", (int)g->methods[WEFT_BY_CONTINUATION]);
  if (g->subject) json_object_set_new(o, "subject", json_string(g->subject));
  if (g->subject) json_object_set_new(o, "on_trial", json_boolean(g->trial));
  return o;
}

static json_t *summary_json(const weft_validation *v) {
  return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "cases", (int)v->count, "within", (int)v->within, "outside",
                   (int)v->beyond, "on_trial", (int)v->on_trial, "not_covered", (int)v->not_covered, "not_understood",
                   (int)v->not_understood);
}

static void print_json(const weft_validation *v, const group *groups, uint32_t count, const group *areas,
                       uint32_t area_count, FILE *out) {
  json_t *cases = json_array(), *subjects = json_array(), *whole = json_array(), *others = json_array();
  json_t *wrong = json_array();
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    json_array_append_new(cases, case_json(c));
    if (c->verdict == WEFT_NOT_UNDERSTOOD)
      json_array_append_new(wrong,
                            json_pack("{s:s, s:i, s:s}", "id", c->id, "line", (int)c->line, "reason", c->reason));
  }
  for (uint32_t i = 0; i < area_count; ++i)
    if (areas[i].covered) json_array_append_new(whole, group_json(&areas[i]));
  for (uint32_t i = 0; i < count; ++i) {
    const group *g = &groups[i];
    if (g->covered) json_array_append_new(subjects, group_json(g));
    if (g->not_covered)
      json_array_append_new(others, json_pack("{s:s, s:s, s:i, s:s}", "area", g->area, "subject", g->subject, "cases",
                                              (int)g->not_covered, "reason", g->reason));
  }
  json_t *root = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "cases", cases, "subjects", subjects, "areas", whole,
                           "not_covered", others, "not_understood", wrong, "summary", summary_json(v));
  json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  fputc('\n', out);
  json_decref(root);
}

static void print_text(const weft_validation *v, const group *groups, uint32_t count, const group *areas,
                       uint32_t area_count, FILE *out) {
  print_cases(v, WEFT_TABLE_TEXT, out);
  print_continued(v, out);
  fputc('\n', out);
  print_good(groups, count, out);
  fputc('\n', out);
  print_good(areas, area_count, out);
  print_not_covered(v, out);
  print_not_understood(v, out);
  fprintf(out, "\n%u cases: %u within tolerance, %u outside, %u on trial, %u not covered, %u not understood\n",
          v->count, v->within, v->beyond, v->on_trial, v->not_covered, v->not_understood);
}

void weft_validation_print(const weft_validation *v, weft_table_form form, FILE *out) {
  uint32_t count, area_count;
  group *groups = make_groups(v, true, &count), *areas = make_groups(v, false, &area_count);
  if (form == WEFT_TABLE_JSON)
    print_json(v, groups, count, areas, area_count, out);
  else if (form == WEFT_TABLE_TEXT)
    print_text(v, groups, count, areas, area_count, out);
  else
    print_cases(v, form, out);
  free(groups);
  free(areas);
}
