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
  const char *area, *subject, *reason;
  uint32_t covered, beyond, not_covered;
  bool trial;
  double sum, worst;  // of absolute errors, percent
} group;

static group *find_group(group *groups, uint32_t *count, const weft_case *c) {
  for (uint32_t i = 0; i < *count; ++i)
    if (strcmp(groups[i].area, c->area) == 0 && strcmp(groups[i].subject, c->subject) == 0) return &groups[i];
  groups[*count] = (group){.area = c->area, .subject = c->subject};
  return &groups[(*count)++];
}

static group *make_groups(const weft_validation *v, uint32_t *out_count) {
  group *groups = weft_allocate_array(v->count, sizeof *groups);
  *out_count = 0;
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    group *g = find_group(groups, out_count, c);
    if (c->verdict == WEFT_NOT_COVERED) {
      ++g->not_covered;
      if (!g->reason) g->reason = c->reason;
      continue;
    }
    ++g->covered;
    g->beyond += fabs(c->error_percent) > c->tolerance_percent;
    g->trial = c->verdict == WEFT_ON_TRIAL;
    g->sum += fabs(c->error_percent);
    g->worst = fmax(g->worst, fabs(c->error_percent));
  }
  return groups;
}

static void add_columns(weft_table *table, const char *const (*columns)[2], size_t count) {
  for (size_t i = 0; i < count; ++i) weft_table_column(table, columns[i][0], columns[i][1]);
}

static const char *verdict_name(weft_verdict verdict) {
  static const char *const names[] = {"within", "OUTSIDE", "on trial", "not covered"};
  return names[verdict];
}

static void print_cases(const weft_validation *v, weft_table_form form, FILE *out) {
  static const char *const columns[][2] = {{"id", NULL},        {"area", NULL},   {"subject", NULL}, {"expected", NULL},
                                           {"predicted", NULL}, {"unit", NULL},   {"error", "%"},    {"tolerance", "%"},
                                           {"role", NULL},      {"verdict", NULL}};
  weft_table *table = weft_table_create();
  add_columns(table, columns, sizeof columns / sizeof *columns);
  for (uint32_t i = 0; i < v->count; ++i) {
    const weft_case *c = &v->cases[i];
    if (c->verdict == WEFT_NOT_COVERED && form == WEFT_TABLE_TEXT) continue;
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
    weft_table_text(table, verdict_name(c->verdict));
  }
  weft_table_print(table, form, out);
  weft_table_destroy(table);
}

static void print_groups(const group *groups, uint32_t count, FILE *out) {
  static const char *const covered[][2] = {{"area", NULL}, {"subject", NULL}, {"cases", NULL}, {"outside", NULL},
                                           {"mean error", "%"}, {"worst error", "%"}, {"counts", NULL}};
  static const char *const others[][2] = {
      {"not covered: area", NULL}, {"subject", NULL}, {"cases", NULL}, {"reason", NULL}};
  weft_table *good = weft_table_create(), *bad = weft_table_create();
  add_columns(good, covered, sizeof covered / sizeof *covered);
  add_columns(bad, others, sizeof others / sizeof *others);
  uint32_t rows = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const group *g = &groups[i];
    if (g->covered) {
      weft_table_row(good);
      weft_table_text(good, g->area);
      weft_table_text(good, g->subject);
      weft_table_integer(good, g->covered);
      weft_table_integer(good, g->beyond);
      weft_table_number(good, g->sum / g->covered, 3);
      weft_table_number(good, g->worst, 3);
      weft_table_text(good, g->trial ? "no: on trial" : "yes");
    }
    if (!g->not_covered) continue;
    ++rows;
    weft_table_row(bad);
    weft_table_text(bad, g->area);
    weft_table_text(bad, g->subject);
    weft_table_integer(bad, g->not_covered);
    weft_table_text(bad, g->reason);
  }
  fputc('\n', out);
  weft_table_print(good, WEFT_TABLE_TEXT, out);
  if (rows) fputc('\n', out), weft_table_print(bad, WEFT_TABLE_TEXT, out);
  weft_table_destroy(good);
  weft_table_destroy(bad);
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *case_json(const weft_case *c) {
  static const char *const verdicts[] = {"within", "outside", "on_trial", "not_covered"};
  json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:s}", "id", c->id, "area", c->area,
                        "subject", c->subject, "inputs", c->inputs, "quantity", c->quantity, "unit", c->unit, "role",
                        c->role, "evidence", c->evidence, "source", c->source, "line", (int)c->line,
                        "tolerance_percent", c->tolerance_percent, "verdict", verdicts[c->verdict]);
  json_object_set_new(o, "expected", number(c->expected));
  json_object_set_new(o, "predicted", number(c->predicted));
  json_object_set_new(o, "error_percent", number(c->error_percent));
  if (c->reason) json_object_set_new(o, "reason", json_string(c->reason));
  return o;
}

static void print_json(const weft_validation *v, const group *groups, uint32_t count, FILE *out) {
  json_t *cases = json_array(), *subjects = json_array(), *others = json_array();
  for (uint32_t i = 0; i < v->count; ++i) json_array_append_new(cases, case_json(&v->cases[i]));
  for (uint32_t i = 0; i < count; ++i) {
    const group *g = &groups[i];
    if (g->covered)
      json_array_append_new(
          subjects, json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:b}", "area", g->area, "subject", g->subject, "cases",
                              (int)g->covered, "outside", (int)g->beyond, "mean_error_percent", g->sum / g->covered,
                              "worst_error_percent", g->worst, "on_trial", (int)g->trial));
    if (g->not_covered)
      json_array_append_new(others, json_pack("{s:s, s:s, s:i, s:s}", "area", g->area, "subject", g->subject, "cases",
                                              (int)g->not_covered, "reason", g->reason));
  }
  json_t *summary = json_pack("{s:i, s:i, s:i, s:i, s:i}", "cases", (int)v->count, "within", (int)v->within,
                              "outside", (int)v->beyond, "on_trial", (int)v->on_trial, "not_covered",
                              (int)v->not_covered);
  json_t *root = json_pack("{s:o, s:o, s:o, s:o}", "cases", cases, "subjects", subjects, "not_covered", others,
                           "summary", summary);
  json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  fputc('\n', out);
  json_decref(root);
}

void weft_validation_print(const weft_validation *v, weft_table_form form, FILE *out) {
  uint32_t count;
  group *groups = make_groups(v, &count);
  if (form == WEFT_TABLE_JSON) {
    print_json(v, groups, count, out);
  } else {
    print_cases(v, form, out);
    if (form == WEFT_TABLE_TEXT) {
      print_groups(groups, count, out);
      fprintf(out, "\n%u cases: %u within tolerance, %u outside, %u on trial, %u not covered\n", v->count, v->within,
              v->beyond, v->on_trial, v->not_covered);
    }
  }
  free(groups);
}
