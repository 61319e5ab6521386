#include "traces/activity.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "traces/heatmap.h"
#include "traces/report.h"

static const char *const port_names[WEFT_ACTIVITY_LINKS] = {"north", "east", "south", "west"};

static const struct {
  const char *name, *title;
} metrics[WEFT_METRICS] = {
    [WEFT_METRIC_BUSY] = {"busy", "cores busy"},
    [WEFT_METRIC_RECEIVE] = {"receive", "cores waiting for wavelets"},
    [WEFT_METRIC_SEND] = {"send", "cores waiting for room to send"},
    [WEFT_METRIC_MICROTHREAD] = {"microthread", "cores waiting for a microthread"},
    [WEFT_METRIC_IDLE] = {"idle", "cores without a runnable task"},
    [WEFT_METRIC_LINKS] = {"links", "links in all directions"},
    [WEFT_METRIC_NORTH] = {"north", "links to the north"},
    [WEFT_METRIC_EAST] = {"east", "links to the east"},
    [WEFT_METRIC_SOUTH] = {"south", "links to the south"},
    [WEFT_METRIC_WEST] = {"west", "links to the west"},
};

const char *weft_metric_name(weft_activity_metric metric) { return metrics[metric].name; }
const char *weft_metric_title(weft_activity_metric metric) { return metrics[metric].title; }
const char *weft_metric_unit(weft_activity_metric metric) {
  return metric < WEFT_METRIC_LINKS ? "% of cycles" : "wavelets per cycle";
}

weft_status weft_metric_parse(const char *text, weft_activity_metric *out_metric) {
  const char *names[WEFT_METRICS];
  for (int m = 0; m < WEFT_METRICS; ++m) {
    names[m] = metrics[m].name;
    if (strcmp(text, names[m]) != 0) continue;
    *out_metric = (weft_activity_metric)m;
    return NULL;
  }
  return weft_error(WEFT_INVALID,
                    "\"%s\" is no metric; the nearest is %s (known: busy, receive, send, microthread, idle, links, "
                    "north, east, south, west)",
                    text, weft_nearest(text, names, WEFT_METRICS));
}

weft_activity *weft_activity_create(const char *name, uint32_t columns, uint32_t rows, uint64_t cycles) {
  weft_activity *activity = weft_allocate(sizeof *activity);
  snprintf(activity->name, sizeof activity->name, "%s", name);
  activity->columns = columns;
  activity->rows = rows;
  activity->cycles = cycles;
  activity->cores = weft_allocate_array((size_t)columns * rows, sizeof *activity->cores);
  activity->links = weft_allocate_array((size_t)columns * rows, sizeof *activity->links);
  return activity;
}

void weft_activity_destroy(weft_activity *activity) {
  if (!activity) return;
  free(activity->cores);
  free(activity->links);
  free(activity);
}

static uint64_t part_of(const weft_core_activity *core, weft_activity_metric metric) {
  switch (metric) {
    case WEFT_METRIC_BUSY: return core->busy;
    case WEFT_METRIC_RECEIVE: return core->receive;
    case WEFT_METRIC_SEND: return core->send;
    case WEFT_METRIC_MICROTHREAD: return core->microthread;
    default: return core->idle;
  }
}

static bool leaves_mesh(const weft_activity *activity, size_t core, int port) {
  uint32_t x = (uint32_t)(core % activity->columns), y = (uint32_t)(core / activity->columns);
  const bool at_edge[WEFT_ACTIVITY_LINKS] = {y == 0, x == activity->columns - 1, y == activity->rows - 1, x == 0};
  return at_edge[port];
}

static double value_of(const weft_activity *activity, size_t core, weft_activity_metric metric) {
  double cycles = activity->cycles ? (double)activity->cycles : 1;
  if (metric < WEFT_METRIC_LINKS) return 100 * (double)part_of(&activity->cores[core], metric) / cycles;
  const uint64_t *links = activity->links[core];
  if (metric == WEFT_METRIC_LINKS) return (double)(links[0] + links[1] + links[2] + links[3]) / cycles;
  int port = (int)metric - WEFT_METRIC_NORTH;
  return links[port] == 0 && leaves_mesh(activity, core, port) ? (double)NAN : (double)links[port] / cycles;
}

void weft_activity_values(const weft_activity *activity, weft_activity_metric metric, float *out_values) {
  size_t cores = (size_t)activity->columns * activity->rows;
  for (size_t c = 0; c < cores; ++c) out_values[c] = (float)value_of(activity, c, metric);
}

// What all phases together did.
static weft_activity *sum_of(const weft_activity *const *phases, uint32_t phase_count) {
  weft_activity *sum = weft_activity_create("all phases", phases[0]->columns, phases[0]->rows, 0);
  size_t cores = (size_t)sum->columns * sum->rows;
  for (uint32_t p = 0; p < phase_count; ++p) {
    sum->cycles += phases[p]->cycles;
    for (size_t c = 0; c < cores; ++c) {
      const weft_core_activity *from = &phases[p]->cores[c];
      weft_core_activity *to = &sum->cores[c];
      to->busy += from->busy, to->receive += from->receive, to->send += from->send;
      to->microthread += from->microthread, to->idle += from->idle;
      for (int port = 0; port < WEFT_ACTIVITY_LINKS; ++port) sum->links[c][port] += phases[p]->links[c][port];
    }
  }
  return sum;
}

weft_status weft_activity_draw(const weft_activity *const *phases, uint32_t phase_count, const char *title,
                               weft_activity_metric metric, double high, const char *path) {
  assert(phase_count > 0);
  const weft_activity *first = phases[0];
  for (uint32_t p = 1; p < phase_count; ++p)
    if (phases[p]->columns != first->columns || phases[p]->rows != first->rows)
      return weft_error(WEFT_INVALID,
                        "%s: %s is on %" PRIu32 " x %" PRIu32 " cores and %s on %" PRIu32 " x %" PRIu32
                        ", which one picture cannot show",
                        path, first->name, first->columns, first->rows, phases[p]->name, phases[p]->columns,
                        phases[p]->rows);
  size_t cores = (size_t)first->columns * first->rows;
  // More than one phase: all together come first.
  uint32_t extra = phase_count > 1, panel_count = phase_count + extra;
  void *memory = NULL;
  WEFT_TRY(weft_allocate_large(cores * panel_count * sizeof(float), "a heat map's values", &memory));
  float *values = memory;
  weft_heatmap_panel *panels = weft_allocate_array(panel_count, sizeof *panels);
  weft_activity *all = extra ? sum_of(phases, phase_count) : NULL;
  for (uint32_t p = 0; p < panel_count; ++p) {
    const weft_activity *phase = p < extra ? all : phases[p - extra];
    weft_activity_values(phase, metric, values + p * cores);
    panels[p] = (weft_heatmap_panel){phase->name, values + p * cores};
  }
  if (high <= 0) high = metric < WEFT_METRIC_LINKS ? 100 : weft_heatmap_nice_high(panels, panel_count, cores);
  char *text = weft_format("%s: %s", title, weft_metric_title(metric));
  weft_heatmap map = {.title = text,
                      .unit = weft_metric_unit(metric),
                      .columns = first->columns,
                      .rows = first->rows,
                      .high = high,
                      .panels = panels,
                      .panel_count = panel_count};
  weft_status status = weft_heatmap_write(&map, path);
  free(text);
  free(panels);
  weft_activity_destroy(all);
  weft_free_large(memory);
  return status;
}

// ---- the most of something, over all phases

typedef struct rank {
  uint64_t amount, place;
} rank;

static int by_amount(const void *a, const void *b) {
  const rank *x = a, *y = b;
  if (x->amount != y->amount) return x->amount > y->amount ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

// Sorted, `count` of them at most, all above 0.
static void sort_most(rank *all, uint64_t total, uint32_t count, uint32_t *out_count) {
  uint64_t kept = 0;
  for (uint64_t i = 0; i < total; ++i)
    if (all[i].amount > 0) all[kept++] = all[i];
  if (kept > 1) qsort(all, kept, sizeof *all, by_amount);
  *out_count = kept < count ? (uint32_t)kept : count;
}

static uint64_t all_cycles(const weft_activity *const *phases, uint32_t phase_count) {
  uint64_t cycles = 0;
  for (uint32_t p = 0; p < phase_count; ++p) cycles += phases[p]->cycles;
  return cycles;
}

static double percent(uint64_t part, uint64_t whole) {
  return whole ? 100 * (double)part / (double)whole : (double)NAN;
}

void weft_activity_print_links(const weft_activity *const *phases, uint32_t phase_count, uint32_t count,
                               weft_table_form form, FILE *out) {
  uint32_t columns = phases[0]->columns;
  uint64_t links = (uint64_t)columns * phases[0]->rows * WEFT_ACTIVITY_LINKS, cycles = all_cycles(phases, phase_count);
  rank *ranks = weft_allocate_array(links, sizeof *ranks);
  for (uint64_t l = 0; l < links; ++l) {
    ranks[l].place = l;
    for (uint32_t p = 0; p < phase_count; ++p)
      ranks[l].amount += phases[p]->links[l / WEFT_ACTIVITY_LINKS][l % WEFT_ACTIVITY_LINKS];
  }
  sort_most(ranks, links, count, &count);
  weft_table *table = weft_table_create();
  weft_report_column(table, form, "x", NULL, "x");
  weft_report_column(table, form, "y", NULL, "y");
  weft_report_column(table, form, "port", NULL, "port");
  weft_report_column(table, form, "wavelets", NULL, "wavelets");
  weft_report_column(table, form, "of cycles", "%", "share_pct");
  for (uint32_t r = 0; r < count; ++r) {
    uint64_t core = ranks[r].place / WEFT_ACTIVITY_LINKS;
    weft_table_row(table);
    weft_table_integer(table, (int64_t)(core % columns));
    weft_table_integer(table, (int64_t)(core / columns));
    weft_table_text(table, port_names[ranks[r].place % WEFT_ACTIVITY_LINKS]);
    weft_table_integer(table, (int64_t)ranks[r].amount);
    weft_table_number(table, percent(ranks[r].amount, cycles), 4);
  }
  weft_table_print(table, form, out);
  weft_table_destroy(table);
  free(ranks);
}

void weft_activity_print_cores(const weft_activity *const *phases, uint32_t phase_count, uint32_t count,
                               weft_table_form form, FILE *out) {
  uint32_t columns = phases[0]->columns;
  uint64_t cores = (uint64_t)columns * phases[0]->rows, cycles = all_cycles(phases, phase_count);
  rank *ranks = weft_allocate_array(cores, sizeof *ranks);
  for (uint64_t c = 0; c < cores; ++c) {
    ranks[c].place = c;
    for (uint32_t p = 0; p < phase_count; ++p) ranks[c].amount += phases[p]->cores[c].busy;
  }
  sort_most(ranks, cores, count, &count);
  weft_table *table = weft_table_create();
  weft_report_column(table, form, "x", NULL, "x");
  weft_report_column(table, form, "y", NULL, "y");
  weft_report_column(table, form, "busy", "cycles", "busy_cycles");
  weft_report_column(table, form, "of cycles", "%", "share_pct");
  weft_report_column(table, form, "receive", "cycles", "receive_cycles");
  weft_report_column(table, form, "send", "cycles", "send_cycles");
  weft_report_column(table, form, "microthread", "cycles", "microthread_cycles");
  weft_report_column(table, form, "idle", "cycles", "idle_cycles");
  for (uint32_t r = 0; r < count; ++r) {
    weft_core_activity sum = {0};
    for (uint32_t p = 0; p < phase_count; ++p) {
      const weft_core_activity *core = &phases[p]->cores[ranks[r].place];
      sum.receive += core->receive, sum.send += core->send, sum.idle += core->idle;
      sum.microthread += core->microthread;
    }
    weft_table_row(table);
    weft_table_integer(table, (int64_t)(ranks[r].place % columns));
    weft_table_integer(table, (int64_t)(ranks[r].place / columns));
    weft_table_integer(table, (int64_t)ranks[r].amount);
    weft_table_number(table, percent(ranks[r].amount, cycles), 4);
    weft_table_integer(table, (int64_t)sum.receive);
    weft_table_integer(table, (int64_t)sum.send);
    weft_table_integer(table, (int64_t)sum.microthread);
    weft_table_integer(table, (int64_t)sum.idle);
  }
  weft_table_print(table, form, out);
  weft_table_destroy(table);
  free(ranks);
}
