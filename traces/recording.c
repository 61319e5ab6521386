#include "traces/recording.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "traces/recording_internal.h"

const char *weft_core_state_name(weft_core_state state) {
  static const char *const names[WEFT_CORE_STATES] = {"idle", "busy", "waits to receive", "waits to send",
                                                      "waits for a microthread"};
  return names[state];
}

const char *weft_recording_port_name(uint32_t port) {
  static const char *const names[WEFT_RECORDING_PORTS] = {"north", "east", "south", "west", "ramp"};
  return names[port];
}

weft_recording *weft_recording_create(const char *name, double clock_hz) {
  weft_recording *recording = weft_allocate(sizeof *recording);
  snprintf(recording->name, sizeof recording->name, "%s", name);
  recording->clock_hz = clock_hz;
  recording->window_end = UINT64_MAX;
  return recording;
}

void weft_recording_destroy(weft_recording *recording) {
  if (!recording) return;
  for (uint32_t l = 0; l < recording->label_count; ++l) free(recording->labels[l]);
  free(recording->labels);
  free(recording->spans);
  free(recording->hops);
  free(recording);
}

uint32_t weft_recording_label(weft_recording *recording, const char *text) {
  recording->labels = weft_grow(recording->labels, recording->label_count + 1, sizeof *recording->labels);
  recording->labels[recording->label_count] = weft_copy_text(text);
  return recording->label_count++;
}

uint64_t weft_span_begin(const weft_recording *recording, const weft_span *span) {
  return span->begin > recording->window_begin ? span->begin : recording->window_begin;
}
uint64_t weft_span_end(const weft_recording *recording, const weft_span *span) {
  return span->end < recording->window_end ? span->end : recording->window_end;
}

static bool has_place(weft_recording *recording) {
  if (recording->span_count + recording->hop_count < WEFT_RECORDING_MOST) return true;
  ++recording->lost;
  return false;
}

void weft_recording_span(weft_recording *recording, const weft_span *span) {
  if (weft_span_end(recording, span) <= weft_span_begin(recording, span) || !has_place(recording)) return;
  if (recording->span_count == recording->span_room) {
    recording->span_room = recording->span_room * 2 + 1024;
    recording->spans = weft_grow(recording->spans, recording->span_room, sizeof *recording->spans);
  }
  recording->spans[recording->span_count++] = *span;
}

void weft_recording_hop(weft_recording *recording, const weft_hop *hop) {
  if (hop->cycle < recording->window_begin || hop->cycle >= recording->window_end || !has_place(recording)) return;
  if (recording->hop_count == recording->hop_room) {
    recording->hop_room = recording->hop_room * 2 + 1024;
    recording->hops = weft_grow(recording->hops, recording->hop_room, sizeof *recording->hops);
  }
  recording->hops[recording->hop_count++] = *hop;
}

static int order(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int span_order(const void *a, const void *b) {
  const weft_span *p = a, *q = b;
  int by = order(p->y, q->y);
  if (by == 0) by = order(p->x, q->x);
  if (by == 0) by = order(p->lane, q->lane);
  if (by == 0) by = order(p->begin, q->begin);
  if (by == 0) by = order(q->end, p->end);
  return by != 0 ? by : order(p->kind, q->kind);
}

static int hop_order(const void *a, const void *b) {
  const weft_hop *p = a, *q = b;
  int by = order(p->y, q->y);
  if (by == 0) by = order(p->x, q->x);
  if (by == 0) by = order(p->colour, q->colour);
  if (by == 0) by = order(p->cycle, q->cycle);
  return by != 0 ? by : order(p->port, q->port);
}

uint64_t weft_recording_core_end(const weft_recording *recording, uint64_t first) {
  const weft_span *spans = recording->spans;
  uint64_t end = first + 1;
  while (end < recording->span_count && spans[end].x == spans[first].x && spans[end].y == spans[first].y) ++end;
  return end;
}

uint64_t weft_recording_router_end(const weft_recording *recording, uint64_t first) {
  const weft_hop *hops = recording->hops;
  uint64_t end = first + 1;
  while (end < recording->hop_count && hops[end].x == hops[first].x && hops[end].y == hops[first].y) ++end;
  return end;
}

weft_status weft_recording_sort(weft_recording *recording, const char *path) {
  if (recording->lost > 0)
    return weft_error(WEFT_FAILED, "%s: %llu events are more than %d; choose a smaller rectangle or a shorter window",
                      path, (unsigned long long)(recording->lost + WEFT_RECORDING_MOST), WEFT_RECORDING_MOST);
  if (recording->span_count > 1) qsort(recording->spans, recording->span_count, sizeof *recording->spans, span_order);
  if (recording->hop_count > 1) qsort(recording->hops, recording->hop_count, sizeof *recording->hops, hop_order);
  return NULL;
}
