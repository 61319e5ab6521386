#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "traces/event.h"
#include "traces/report.h"

// What two events say of one step and iteration, added up in the rows that they belong to.
typedef struct tally {
  uint64_t events, bytes[2], busy_ns[2];
  double flops[2];
} tally;

typedef struct joiner {
  const weft_trace *traces[2];  // predicted, measured
  weft_comparison *out;
  tally ops[WEFT_OP_COUNT], queues[WEFT_QUEUE_COUNT];
  tally *steps;  // step_count
} joiner;

static void add(tally *row, const weft_trace_event *predicted, const weft_trace_event *measured) {
  ++row->events;
  row->bytes[0] += predicted->bytes;
  row->bytes[1] += measured->bytes;
  row->flops[0] += predicted->flops;
  row->flops[1] += measured->flops;
  row->busy_ns[0] += predicted->busy_ns;
  row->busy_ns[1] += measured->busy_ns;
}

// FLOPs are sums of doubles that the two makers may have added in another order.
static bool same_work(const weft_trace_event *a, const weft_trace_event *b) {
  return a->bytes == b->bytes && fabs(a->flops - b->flops) <= 1e-9 * fmax(a->flops, b->flops) && a->queue == b->queue;
}

static void join(joiner *j, const weft_trace_event *predicted, const weft_trace_event *measured) {
  ++j->out->joined;
  if (!same_work(predicted, measured)) ++j->out->work_differs;
  weft_op op = weft_report_op(j->traces[0], predicted->step);
  if (op == WEFT_OP_COUNT) op = weft_report_op(j->traces[1], measured->step);
  if (op < WEFT_OP_COUNT) add(&j->ops[op], predicted, measured);
  add(&j->queues[predicted->queue], predicted, measured);
  add(&j->steps[predicted->step], predicted, measured);
}

static int order_of_runs(const weft_trace_header *header, const weft_trace_event *a, const weft_trace_event *b) {
  weft_trace_event x = {.step = a->step, .iteration = a->iteration}, y = {.step = b->step, .iteration = b->iteration};
  return weft_trace_event_order(header, &x, &y);
}

static void join_all(joiner *j) {
  const weft_trace *p = j->traces[0], *m = j->traces[1];
  uint64_t a = 0, b = 0;
  while (a < p->event_count || b < m->event_count) {
    int order = a == p->event_count   ? 1
                : b == m->event_count ? -1
                                      : order_of_runs(&p->header, &p->events[a], &m->events[b]);
    if (order == 0) {
      join(j, &p->events[a++], &m->events[b++]);
    } else if (order < 0) {
      ++j->out->only_predicted, ++a;
    } else {
      ++j->out->only_measured, ++b;
    }
  }
}

static double error_pct(double predicted, double measured) {
  return measured > 0 ? 100 * (predicted - measured) / measured : NAN;
}

static weft_comparison_row make_row(const char *name, const tally *from, bool times) {
  weft_comparison_row row = {.steps = from->events,
                             .predicted_bytes = from->bytes[0],
                             .measured_bytes = from->bytes[1],
                             .predicted_flops = from->flops[0],
                             .measured_flops = from->flops[1],
                             .predicted_s = NAN,
                             .measured_s = NAN,
                             .error_pct = NAN};
  snprintf(row.name, sizeof row.name, "%s", name);
  if (times) {
    row.predicted_s = (double)from->busy_ns[0] * 1e-9;
    row.measured_s = (double)from->busy_ns[1] * 1e-9;
    row.error_pct = error_pct(row.predicted_s, row.measured_s);
  }
  return row;
}

static int by_measured_time(const void *a, const void *b) {
  const weft_comparison_row *x = a, *y = b;
  if (x->measured_s != y->measured_s && !isnan(x->measured_s)) return x->measured_s < y->measured_s ? 1 : -1;
  return strcmp(x->name, y->name);
}

static void make_rows(joiner *j) {
  weft_comparison *out = j->out;
  out->ops = weft_allocate_array(WEFT_OP_COUNT, sizeof *out->ops);
  out->queues = weft_allocate_array(WEFT_QUEUE_COUNT, sizeof *out->queues);
  for (int op = 0; op < WEFT_OP_COUNT; ++op)
    if (j->ops[op].events)
      out->ops[out->op_count++] = make_row(weft_op_name((weft_op)op), &j->ops[op], out->times_comparable);
  for (int q = 0; q < WEFT_QUEUE_COUNT; ++q)
    if (j->queues[q].events)
      out->queues[out->queue_count++] = make_row(weft_queue_name((weft_queue)q), &j->queues[q], out->times_comparable);
  qsort(out->ops, out->op_count, sizeof *out->ops, by_measured_time);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median_error(const joiner *j, uint32_t step_count) {
  double *errors = weft_allocate_array(step_count, sizeof *errors), median = NAN;
  uint32_t count = 0;
  for (uint32_t s = 0; s < step_count; ++s)
    if (j->steps[s].busy_ns[1] > 0)
      errors[count++] = fabs(error_pct((double)j->steps[s].busy_ns[0], (double)j->steps[s].busy_ns[1]));
  if (count > 0) {
    qsort(errors, count, sizeof *errors, by_value);
    median = (errors[(count - 1) / 2] + errors[count / 2]) / 2;
  }
  free(errors);
  return median;
}

static weft_status same_schedule(const weft_trace_header *p, const weft_trace_header *m) {
  if (p->schedule_hash == m->schedule_hash && p->step_count == m->step_count && p->body == m->body &&
      p->iterations == m->iterations)
    return NULL;
  return weft_error(
      WEFT_INVALID,
      "the traces are of different schedules: 0x%016" PRIx64 " (%s on %s, %" PRIu32 " steps) and 0x%016" PRIx64
      " (%s on %s, %" PRIu32 " steps); compare the trace of `weft sim` with that of `weft run` of one schedule file",
      p->schedule_hash, p->network, p->machine, p->step_count, m->schedule_hash, m->network, m->machine, m->step_count);
}

weft_status weft_compare(const weft_trace *predicted, const weft_trace *measured, weft_comparison **out_comparison) {
  const weft_trace_header *p = &predicted->header, *m = &measured->header;
  WEFT_TRY(same_schedule(p, m));
  if (predicted->event_count == 0 || measured->event_count == 0)
    return weft_error(WEFT_INVALID, "the %s trace has no events: nothing can be compared",
                      predicted->event_count == 0 ? "first" : "second");
  weft_comparison *out = weft_allocate(sizeof *out);
  joiner j = {
      .traces = {predicted, measured}, .out = out, .steps = weft_allocate_array(p->step_count, sizeof *j.steps)};
  memcpy(out->predicted_on, p->timed_on, sizeof out->predicted_on);
  memcpy(out->measured_on, m->timed_on, sizeof out->measured_on);
  out->times_comparable = p->timed_on[0] && strcmp(p->timed_on, m->timed_on) == 0;
  join_all(&j);
  uint32_t covered = 0;
  for (uint32_t s = 0; s < p->step_count; ++s) covered += j.steps[s].events >= weft_trace_runs(p, s);
  out->coverage_pct = p->step_count > 0 ? 100.0 * covered / p->step_count : 100;
  out->same_work = out->work_differs == 0;
  out->predicted_s = out->times_comparable ? weft_trace_span_s(predicted) : NAN;
  out->measured_s = out->times_comparable ? weft_trace_span_s(measured) : NAN;
  out->error_pct = out->times_comparable ? error_pct(out->predicted_s, out->measured_s) : NAN;
  out->median_step_error_pct = out->times_comparable ? median_error(&j, p->step_count) : NAN;
  make_rows(&j);
  free(j.steps);
  *out_comparison = out;
  return NULL;
}

void weft_comparison_destroy(weft_comparison *comparison) {
  if (!comparison) return;
  free(comparison->ops);
  free(comparison->queues);
  free(comparison);
}

static void put_row(weft_table *table, const char *by, const weft_comparison_row *row) {
  weft_table_row(table);
  weft_table_text(table, by);
  weft_table_text(table, row->name);
  weft_table_integer(table, (int64_t)row->steps);
  weft_table_number(table, row->predicted_s, 5);
  weft_table_number(table, row->measured_s, 5);
  weft_table_number(table, row->error_pct, 3);
  weft_table_integer(table, (int64_t)row->predicted_bytes);
  weft_table_integer(table, (int64_t)row->measured_bytes);
  weft_table_number(table, row->predicted_flops, 6);
  weft_table_number(table, row->measured_flops, 6);
}

static weft_table *make_table(const weft_comparison *c, weft_table_form form) {
  weft_table *table = weft_table_create();
  weft_report_column(table, form, "by", NULL, "by");
  weft_report_column(table, form, "name", NULL, "name");
  weft_report_column(table, form, "events", NULL, "events");
  weft_report_column(table, form, "predicted", "s busy", "predicted_s");
  weft_report_column(table, form, "measured", "s busy", "measured_s");
  weft_report_column(table, form, "error", "%", "error_pct");
  weft_report_column(table, form, "predicted", "bytes", "predicted_bytes");
  weft_report_column(table, form, "measured", "bytes", "measured_bytes");
  weft_report_column(table, form, "predicted", "FLOP", "predicted_flops");
  weft_report_column(table, form, "measured", "FLOP", "measured_flops");
  for (uint32_t q = 0; q < c->queue_count; ++q) put_row(table, "queue", &c->queues[q]);
  for (uint32_t o = 0; o < c->op_count; ++o) put_row(table, "op", &c->ops[o]);
  return table;
}

static void print_text(const weft_comparison *c, FILE *out) {
  char predicted[32], measured[32];
  fprintf(out,
          "%" PRIu64 " events joined, %" PRIu64 " only predicted, %" PRIu64
          " only measured: %.4g %% of the steps covered\n",
          c->joined, c->only_predicted, c->only_measured, c->coverage_pct);
  if (c->same_work) {
    fprintf(out, "work: the same bytes and FLOPs on every joined event\n");
  } else {
    fprintf(out, "work: bytes or FLOPs differ on %" PRIu64 " of %" PRIu64 " joined events\n", c->work_differs,
            c->joined);
  }
  if (c->times_comparable) {
    fprintf(out, "time: predicted %s, measured %s, error %+.3g %%; median |error| of a step %.3g %%\n\n",
            weft_text_seconds(c->predicted_s, predicted), weft_text_seconds(c->measured_s, measured), c->error_pct,
            c->median_step_error_pct);
  } else {
    fprintf(out, "time: not compared: the prediction is of %s, the measurement of %s\n\n", c->predicted_on,
            c->measured_on);
  }
}

static json_t *real_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *make_json(const weft_comparison *c) {
  return json_pack("{s:I, s:I, s:I, s:f, s:b, s:I, s:b, s:s, s:s, s:o, s:o, s:o, s:o}", "joined", (json_int_t)c->joined,
                   "only_predicted", (json_int_t)c->only_predicted, "only_measured", (json_int_t)c->only_measured,
                   "coverage_pct", c->coverage_pct, "same_work", (int)c->same_work, "work_differs",
                   (json_int_t)c->work_differs, "times_comparable", (int)c->times_comparable, "predicted_on",
                   c->predicted_on, "measured_on", c->measured_on, "predicted_s", real_or_null(c->predicted_s),
                   "measured_s", real_or_null(c->measured_s), "error_pct", real_or_null(c->error_pct),
                   "median_step_error_pct", real_or_null(c->median_step_error_pct));
}

void weft_comparison_print(const weft_comparison *comparison, weft_table_form form, FILE *out) {
  weft_table *table = make_table(comparison, form);
  if (form == WEFT_TABLE_JSON) {
    weft_report_print_json("comparison", make_json(comparison), table, out);
  } else {
    if (form == WEFT_TABLE_TEXT) print_text(comparison, out);
    weft_table_print(table, form, out);
  }
  weft_table_destroy(table);
}
