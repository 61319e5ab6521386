#include "sim/report.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "base/text.h"
#include "sim/bound.h"
#include "sim/link.h"
#include "sim/tree.h"

static const char *const cause_names[] = {"compute", "stream-in", "stream-out", "reduce", "update", "overhead"};
static_assert(std::size(cause_names) == WEFT_CAUSE_COUNT, "one name per cause");

extern "C" const char *weft_cause_name(weft_cause cause) { return cause < WEFT_CAUSE_COUNT ? cause_names[cause] : "?"; }

namespace weft {

static double seconds(picoseconds time) { return static_cast<double>(time) * 1e-12; }

static const char *larger(const weft_schedule &schedule) {
  return schedule.run.mode == WEFT_TRAIN ? "a larger micro-batch" : "a larger batch";
}

static void say_compute(const weft_schedule &schedule, double share, double utilisation, char *out, std::size_t size) {
  const weft_machine &machine = *schedule.machine;
  char device[64];
  if (machine.kind == WEFT_MESH)
    std::snprintf(device, sizeof device, "%ux%u cores", machine.mesh.columns, machine.mesh.rows);
  else
    std::snprintf(device, sizeof device, "processor");
  std::snprintf(
      out, size,
      "Compute takes %.0f %% of the time (the %s, at %.0f %% of peak overall): %s, which %s, or %s would help.", share,
      device, utilisation * 100, larger(schedule),
      machine.kind == WEFT_MESH ? "makes vectors longer" : "makes matrices larger",
      schedule.run.mode == WEFT_TRAIN ? "more systems" : "a faster device");
}

static void say_stream(const weft_schedule &schedule, double share, bool in, char *out, std::size_t size) {
  char rate[32];
  weft_text_si(stream_rate(schedule, in), "B/s", rate);
  std::snprintf(
      out, size, "Waiting for %s takes %.0f %% of the time (%s, at %s): %s or more bandwidth there would help.",
      in ? "weights to come in" : "gradients to leave", share, stream_limit_name(schedule, in), rate, larger(schedule));
}

static void say_rest(const weft_schedule &schedule, double share, weft_cause cause, char *out, std::size_t size) {
  char rate[32];
  if (cause == WEFT_CAUSE_REDUCE) {
    weft_text_si(schedule.machine->swarm_bytes_per_second, "B/s", rate);
    std::snprintf(out, size,
                  "Summing gradients over %u systems takes %.0f %% of the time (the tree's port, at %s): a larger "
                  "batch or a wider tree would help.",
                  schedule.run.systems, share, rate);
  } else if (cause == WEFT_CAUSE_UPDATE) {
    weft_text_si(update_rate(schedule), "B/s", rate);
    std::snprintf(out, size,
                  "The optimizer takes %.0f %% of the time (the store's bandwidth, %s): a larger batch or a faster "
                  "store would help.",
                  share, rate);
  } else {
    std::snprintf(out, size,
                  "Fixed costs (layer switches, step launches, fill and drain) take %.0f %% of the time: %s would "
                  "spread them over more tokens.",
                  share, larger(schedule));
  }
}

static void say_bottleneck(const weft_schedule &schedule, weft_sim_report &report) {
  const double *greatest = std::max_element(std::begin(report.exposed_seconds), std::end(report.exposed_seconds));
  auto cause = static_cast<weft_cause>(greatest - report.exposed_seconds);
  double share = report.step_seconds > 0 ? 100 * *greatest / report.step_seconds : 0;
  char *out = report.bottleneck;
  std::size_t size = sizeof report.bottleneck;
  if (cause == WEFT_CAUSE_COMPUTE)
    say_compute(schedule, share, report.utilisation, out, size);
  else if (cause == WEFT_CAUSE_STREAM_IN || cause == WEFT_CAUSE_STREAM_OUT)
    say_stream(schedule, share, cause == WEFT_CAUSE_STREAM_IN, out, size);
  else
    say_rest(schedule, share, cause, out, size);
}

weft_sim_report make_report(const weft_schedule &schedule, const ledger &times, picoseconds end,
                            std::uint64_t activations) {
  weft_sim_report report = {};
  double systems = std::max(schedule.run.systems, 1u);
  report.step_seconds = seconds(end);
  for (std::size_t i = 0; i < times.busy.size(); ++i) report.busy_seconds[i] = seconds(times.busy[i]);
  for (std::size_t i = 0; i < times.exposed.size(); ++i) report.exposed_seconds[i] = seconds(times.exposed[i]);
  if (end > 0) {
    report.tokens_per_second = static_cast<double>(weft_schedule_tokens(&schedule)) / report.step_seconds;
    report.flops_per_second = weft_schedule_flops(&schedule, false) * systems / report.step_seconds;
    report.utilisation = report.flops_per_second / (peak_flops(schedule) * systems);
  }
  bound least = bound_of(schedule);
  report.bound_seconds = least.seconds;
  report.bound_cause = least.cause;
  report.events = activations;
  say_bottleneck(schedule, report);
  return report;
}

// One row for programs: every number a column of its own.
static void print_flat(const weft_sim_report &report, double tokens, weft_table_form form, FILE *out) {
  weft_table *table = weft_table_create();
  const char *const numbers[] = {"step_seconds", "tokens_per_second", "flops_per_second", "utilisation",
                                 "bound_seconds"};
  const double values[] = {report.step_seconds, report.tokens_per_second, report.flops_per_second, report.utilisation,
                           report.bound_seconds};
  for (const char *name : numbers) weft_table_column(table, name, nullptr);
  weft_table_column(table, "bound_cause", nullptr);
  char name[64];
  for (int i = 0; i < WEFT_QUEUE_COUNT; ++i) {
    std::snprintf(name, sizeof name, "busy_%s_seconds", weft_queue_name(static_cast<weft_queue>(i)));
    std::replace(name, name + std::strlen(name), '-', '_');
    weft_table_column(table, name, nullptr);
  }
  for (int i = 0; i < WEFT_CAUSE_COUNT; ++i) {
    std::snprintf(name, sizeof name, "exposed_%s_seconds", cause_names[i]);
    std::replace(name, name + std::strlen(name), '-', '_');
    weft_table_column(table, name, nullptr);
  }
  weft_table_column(table, "events", nullptr);
  weft_table_column(table, "bottleneck", nullptr);
  if (tokens > 0) {
    weft_table_column(table, "tokens", nullptr);
    weft_table_column(table, "days", nullptr);
  }
  weft_table_row(table);
  for (double value : values) weft_table_number(table, value, 6);
  weft_table_text(table, weft_cause_name(report.bound_cause));
  for (double value : report.busy_seconds) weft_table_number(table, value, 6);
  for (double value : report.exposed_seconds) weft_table_number(table, value, 6);
  weft_table_integer(table, static_cast<std::int64_t>(report.events));
  weft_table_text(table, report.bottleneck);
  if (tokens > 0) {
    weft_table_number(table, tokens, 6);
    weft_table_number(table, tokens / report.tokens_per_second / 86400, 6);
  }
  weft_table_print(table, form, out);
  weft_table_destroy(table);
}

static void line(weft_table *table, const char *what, const char *value, const char *note) {
  weft_table_row(table);
  weft_table_text(table, what);
  weft_table_text(table, value);
  weft_table_text(table, note);
}

static void print_headline(const weft_schedule &schedule, const weft_sim_report &report, double tokens, FILE *out) {
  weft_table *table = weft_table_create();
  char value[96], note[160], text[32];
  weft_table_column(table, "predicted", nullptr);
  weft_table_column(table, "value", nullptr);
  weft_table_column(table, "", nullptr);
  std::snprintf(note, sizeof note, "bound %s (%s), which it may not beat",
                weft_text_seconds(report.bound_seconds, text), weft_cause_name(report.bound_cause));
  line(table,
       schedule.run.mode == WEFT_DECODE  ? "decoded token"
       : schedule.run.mode == WEFT_TRAIN ? "training step"
                                         : "prefill",
       weft_text_seconds(report.step_seconds, value), note);
  std::snprintf(value, sizeof value, "%.4g /s", report.tokens_per_second);
  std::snprintf(note, sizeof note, "over %u system%s", schedule.run.systems, schedule.run.systems == 1 ? "" : "s");
  line(table, "tokens", value, note);
  std::snprintf(value, sizeof value, "%.1f %%", report.utilisation * 100);
  std::snprintf(note, sizeof note, "%s of peak", weft_text_si(report.flops_per_second, "FLOP/s", text));
  line(table, "utilisation", value, note);
  if (tokens > 0) {
    std::snprintf(value, sizeof value, "%.4g", tokens / report.tokens_per_second / 86400);
    std::snprintf(note, sizeof note, "for %.4g billion tokens", tokens / 1e9);
    line(table, "days", value, note);
  }
  weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_destroy(table);
}

static void print_shares(const char *title, const char *const *names, const double *values, int count, double whole,
                         FILE *out) {
  weft_table *table = weft_table_create();
  weft_table_column(table, title, nullptr);
  weft_table_column(table, "time", nullptr);
  weft_table_column(table, "share", "%");
  for (int i = 0; i < count; ++i) {
    char text[32];
    weft_table_row(table);
    weft_table_text(table, names[i]);
    weft_table_text(table, weft_text_seconds(values[i], text));
    weft_table_number(table, whole > 0 ? 100 * values[i] / whole : 0, 3);
  }
  std::fputc('\n', out);
  weft_table_print(table, WEFT_TABLE_TEXT, out);
  weft_table_destroy(table);
}

}  // namespace weft

extern "C" void weft_sim_report_print(const weft_schedule *schedule, const weft_sim_report *report, double tokens,
                                      weft_table_form form, FILE *out) {
  if (form != WEFT_TABLE_TEXT) {
    weft::print_flat(*report, tokens, form, out);
    return;
  }
  const char *queues[WEFT_QUEUE_COUNT];
  for (int i = 0; i < WEFT_QUEUE_COUNT; ++i) queues[i] = weft_queue_name(static_cast<weft_queue>(i));
  weft::print_headline(*schedule, *report, tokens, out);
  weft::print_shares("busy queue", queues, report->busy_seconds, WEFT_QUEUE_COUNT, report->step_seconds, out);
  weft::print_shares("exposed", cause_names, report->exposed_seconds, WEFT_CAUSE_COUNT, report->step_seconds, out);
  std::fprintf(out, "\n%s\n", report->bottleneck);
}
