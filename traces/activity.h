// What a mesh did in one phase (a kernel, a step), as plain numbers per core and link, and what people ask of them: a
// value per core for a heat map (traces/heatmap.h), the busiest links, the busiest cores.
//
// Cycles are those of the phase. In each of them a core with a program is busy, waits (to receive, to send, for a
// microthread) or is idle, so that the five add up to the phase; one without a program has none. A link is one
// direction: what leaves router (x, y) through a port, at most one wavelet per cycle where the machine's links take a
// word per cycle.
#ifndef WEFT_TRACES_ACTIVITY_H
#define WEFT_TRACES_ACTIVITY_H

#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "base/table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_core_activity {
  uint64_t busy, receive, send, microthread, idle, end;  // cycles; end: of the core's last instruction
} weft_core_activity;

// Ports in the order of compiler/kernel.h: north, east, south, west.
enum { WEFT_ACTIVITY_LINKS = 4 };

typedef struct weft_activity {
  char name[96];  // of the phase
  uint32_t columns, rows;
  uint64_t cycles;
  weft_core_activity *cores;               // rows x columns, row by row
  uint64_t (*links)[WEFT_ACTIVITY_LINKS];  // wavelets, likewise
} weft_activity;

weft_activity *weft_activity_create(const char *name, uint32_t columns, uint32_t rows, uint64_t cycles);
void weft_activity_destroy(weft_activity *activity);  // takes NULL

typedef enum weft_activity_metric {
  WEFT_METRIC_BUSY,         // % of cycles
  WEFT_METRIC_RECEIVE,      // likewise, waiting for wavelets
  WEFT_METRIC_SEND,         // waiting for room towards the router
  WEFT_METRIC_MICROTHREAD,  // waiting for one of the core's microthreads
  WEFT_METRIC_IDLE,         // no task is runnable
  WEFT_METRIC_LINKS,        // wavelets per cycle that leave for other routers, all four directions together
  WEFT_METRIC_NORTH,        // wavelets per cycle through one port
  WEFT_METRIC_EAST,
  WEFT_METRIC_SOUTH,
  WEFT_METRIC_WEST,
  WEFT_METRICS
} weft_activity_metric;
const char *weft_metric_name(weft_activity_metric metric);   // "busy" ...
const char *weft_metric_unit(weft_activity_metric metric);   // "% of cycles", "wavelets per cycle"
const char *weft_metric_title(weft_activity_metric metric);  // "cores busy", "links to the north" ...
// WEFT_INVALID names the nearest known metric.
weft_status weft_metric_parse(const char *text, weft_activity_metric *out_metric) WEFT_CHECKED;

// One value per core. Links that would leave the mesh, where nothing went, are not-a-number. Phases of 0 cycles are 0.
void weft_activity_values(const weft_activity *activity, weft_activity_metric metric, float *out_values);

// Draws the phases, and all of them together where there are several, all of one size, with one scale (0 to the next
// round number; percentages to 100) into PATH; `high`: of the scale, 0 chooses. WEFT_INVALID as weft_heatmap_write, or
// sizes differ.
weft_status weft_activity_draw(const weft_activity *const *phases, uint32_t phase_count, const char *title,
                               weft_activity_metric metric, double high, const char *path) WEFT_CHECKED;

// The `count` links with most wavelets over all phases together (those with none are left out), ties in reading order;
// columns x, y, port, wavelets, share of all phases' cycles. Phases must be of one size.
void weft_activity_print_links(const weft_activity *const *phases, uint32_t phase_count, uint32_t count,
                               weft_table_form form, FILE *out);
// Likewise the busiest cores: x, y, busy cycles, share, waiting for wavelets, for room, for microthreads, idle.
void weft_activity_print_cores(const weft_activity *const *phases, uint32_t phase_count, uint32_t count,
                               weft_table_form form, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
