#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "traces/report.h"
#include "traces/trace.h"

typedef struct summary_row {
  uint64_t events, busy_ns, bytes;
  double flops;
} summary_row;

static void add(summary_row *row, const weft_trace_event *event) {
  ++row->events;
  row->busy_ns += event->busy_ns;
  row->bytes += event->bytes;
  row->flops += event->flops;
}

static void put_row(weft_table *table, const char *by, const char *name, const summary_row *row, double span_s) {
  double busy_s = (double)row->busy_ns * 1e-9;
  weft_table_row(table);
  weft_table_text(table, by);
  weft_table_text(table, name);
  weft_table_integer(table, (int64_t)row->events);
  weft_table_number(table, busy_s, 6);
  weft_table_number(table, span_s > 0 ? 100 * busy_s / span_s : NAN, 4);
  weft_table_integer(table, (int64_t)row->bytes);
  weft_table_number(table, busy_s > 0 ? (double)row->bytes / busy_s * 1e-9 : NAN, 4);
  weft_table_number(table, row->flops, 6);
  weft_table_number(table, busy_s > 0 ? row->flops / busy_s * 1e-9 : NAN, 4);
}

static weft_table *make_table(const weft_trace *trace, weft_table_form form) {
  summary_row queues[WEFT_QUEUE_COUNT] = {{0}}, ops[WEFT_OP_COUNT] = {{0}}, all = {0};
  for (uint64_t e = 0; e < trace->event_count; ++e) {
    const weft_trace_event *event = &trace->events[e];
    add(&all, event);
    add(&queues[event->queue], event);
    weft_op op = weft_report_op(trace, event->step);
    if (op < WEFT_OP_COUNT) add(&ops[op], event);
  }
  weft_table *table = weft_table_create();
  weft_report_column(table, form, "by", NULL, "by");
  weft_report_column(table, form, "name", NULL, "name");
  weft_report_column(table, form, "events", NULL, "events");
  weft_report_column(table, form, "busy", "s", "busy_s");
  weft_report_column(table, form, "share", "% of span", "share_pct");
  weft_report_column(table, form, "bytes", NULL, "bytes");
  weft_report_column(table, form, "rate", "GB/s", "gbytes_per_second");
  weft_report_column(table, form, "work", "FLOP", "flops");
  weft_report_column(table, form, "speed", "GFLOP/s", "gflops_per_second");
  double span_s = weft_trace_span_s(trace);
  for (int q = 0; q < WEFT_QUEUE_COUNT; ++q)
    if (queues[q].events > 0) put_row(table, "queue", weft_queue_name((weft_queue)q), &queues[q], span_s);
  for (int op = 0; op < WEFT_OP_COUNT; ++op)
    if (ops[op].events > 0) put_row(table, "op", weft_op_name((weft_op)op), &ops[op], span_s);
  put_row(table, "all", "all", &all, span_s);
  return table;
}

static void print_text(const weft_trace *trace, const char *problem, FILE *out) {
  const weft_trace_header *header = &trace->header;
  char span[32];
  fprintf(out, "%s trace of %s on %s, schedule 0x%016" PRIx64 "\n", weft_trace_kind_name(header->kind), header->network,
          header->machine, header->schedule_hash);
  fprintf(out, "times of %s, by %s\n", header->timed_on, header->maker);
  fprintf(out,
          "%" PRIu64 " events of %" PRIu32 " steps (iterations of the first %" PRIu32 ": %" PRIu32 "), %" PRIu64
          " arrows, %" PRIu64 " counter samples; %s from first start to last end\n",
          trace->event_count, header->step_count, header->body, header->iterations, trace->flows,
          trace->counter_samples, weft_text_seconds(weft_trace_span_s(trace), span));
  fprintf(out, "%s%s\n\n", problem ? "not as the schedule has it: " : "complete: every step ran as often as it should",
          problem ? problem : "");
}

static json_t *make_json(const weft_trace *trace, const char *problem) {
  const weft_trace_header *header = &trace->header;
  char hash[24];
  snprintf(hash, sizeof hash, "0x%016" PRIx64, header->schedule_hash);
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:s?}", "kind",
                   weft_trace_kind_name(header->kind), "network", header->network, "machine", header->machine,
                   "timed_on", header->timed_on, "maker", header->maker, "schedule_hash", hash, "steps",
                   (json_int_t)header->step_count, "body", (json_int_t)header->body, "iterations",
                   (json_int_t)header->iterations, "events", (json_int_t)trace->event_count, "flows",
                   (json_int_t)trace->flows, "counter_samples", (json_int_t)trace->counter_samples, "span_s",
                   weft_trace_span_s(trace), "complete", problem == NULL, "problem", problem);
}

void weft_trace_print_summary(const weft_trace *trace, weft_table_form form, FILE *out) {
  weft_table *table = make_table(trace, form);
  weft_status problem = weft_trace_check(trace);
  const char *message = problem ? weft_status_message(problem) : NULL;
  if (form == WEFT_TABLE_JSON) {
    weft_report_print_json("trace", make_json(trace, message), table, out);
  } else {
    if (form == WEFT_TABLE_TEXT) print_text(trace, message, out);
    weft_table_print(table, form, out);
  }
  weft_status_free(problem);
  weft_table_destroy(table);
}
