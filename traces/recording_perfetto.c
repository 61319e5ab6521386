// A recording in Perfetto's format: tracks of cores, counters of links. There is no schedule here, so weft_trace_read
// refuses these files and says so.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "traces/perfetto_file.h"
#include "traces/perfetto_names.h"
#include "traces/recording_internal.h"

// Tracks and processes lie beside those of schedules' traces (perfetto_names.h), so that files may be concatenated.
enum { SEQUENCE = 9, CORES = 9, LINKS = 10, MOST_BINS = 512, DEEPEST = 3 };
#define CORES_TRACK (UINT64_C(0x57454654) << 32 | UINT64_C(1) << 31)
#define LINKS_TRACK (CORES_TRACK | UINT64_C(1) << 30)

static const char *const categories[WEFT_SPAN_KINDS] = {"task", "instruction", "stall"};

typedef enum span_annotation {
  SPAN_BEGIN,
  SPAN_CYCLES,
  SPAN_X,
  SPAN_Y,
  SPAN_TASK,         // of tasks and instructions
  SPAN_INSTRUCTION,  // of instructions
  SPAN_COLOUR,       // of stalls
  SPAN_ANNOTATIONS
} span_annotation;
static const char *const annotation_names[SPAN_ANNOTATIONS] = {"cycle", "cycles",      "x",     "y",
                                                               "task",  "instruction", "colour"};

// Interned names of events: the states, then all labels.
static weft_status put_names(weft_perfetto_file *file, const weft_recording *recording) {
  size_t count = WEFT_CORE_STATES + (size_t)recording->label_count;
  const char **names = weft_allocate_array(count, sizeof *names);
  for (int s = 0; s < WEFT_CORE_STATES; ++s) names[s] = weft_core_state_name((weft_core_state)s);
  for (uint32_t l = 0; l < recording->label_count; ++l) names[WEFT_CORE_STATES + l] = recording->labels[l];
  const weft_perfetto_names_list all = {.categories = {categories, WEFT_SPAN_KINDS},
                                        .annotations = {annotation_names, SPAN_ANNOTATIONS},
                                        .events = {names, count}};
  weft_status status = weft_perfetto_names(file, &all);
  free(names);
  return status;
}

// ---- cores

static weft_status put_core_track(weft_perfetto_file *file, const weft_span *span, uint32_t rank) {
  char name[80];
  int length = snprintf(name, sizeof name, "core (%" PRIu32 ", %" PRIu32 ")", span->x, span->y);
  if (span->lane > 0) snprintf(name + length, sizeof name - (size_t)length, " microthread %" PRIu32, span->lane - 1);
  const weft_perfetto_track_definition track = {
      .uuid = CORES_TRACK + 1 + rank, .parent = CORES_TRACK, .rank = (int32_t)rank, .name = name};
  return weft_perfetto_track(file, &track);
}

static size_t annotate(const weft_span *span, weft_perfetto_annotation annotations[SPAN_ANNOTATIONS]) {
  const uint64_t values[SPAN_ANNOTATIONS] = {span->begin,       span->end - span->begin, span->x, span->y, span->task,
                                             span->instruction, (uint32_t)span->colour};
  const bool has[SPAN_ANNOTATIONS] = {true,
                                      true,
                                      true,
                                      true,
                                      span->kind != WEFT_SPAN_STALL,
                                      span->kind == WEFT_SPAN_INSTRUCTION,
                                      span->kind == WEFT_SPAN_STALL && span->colour != WEFT_NO_COLOUR};
  size_t count = 0;
  for (uint32_t a = 0; a < SPAN_ANNOTATIONS; ++a)
    if (has[a]) annotations[count++] = (weft_perfetto_annotation){.place = a, .value.number = values[a]};
  return count;
}

static weft_status put_begin(weft_perfetto_file *file, const weft_recording *recording, const weft_span *span,
                             uint64_t track) {
  weft_perfetto_annotation annotations[SPAN_ANNOTATIONS];
  uint64_t name = span->kind == WEFT_SPAN_STALL ? (uint64_t)span->state : (uint64_t)WEFT_CORE_STATES + span->label;
  const weft_perfetto_event_definition event = {.type = PERFETTO_SLICE_BEGIN,
                                                .track = track,
                                                .time_ns = weft_span_begin(recording, span),
                                                .category = (uint64_t)span->kind + 1,
                                                .name_number = name + 1,
                                                .annotations = annotations,
                                                .annotation_count = annotate(span, annotations)};
  return weft_perfetto_event(file, &event);
}

static weft_status put_end(weft_perfetto_file *file, uint64_t track, uint64_t time) {
  const weft_perfetto_event_definition event = {.type = PERFETTO_SLICE_END, .track = track, .time_ns = time};
  return weft_perfetto_event(file, &event);
}

// The spans of one track, in order: what has ended is closed before the next one begins.
static weft_status put_track(weft_perfetto_file *file, const weft_recording *recording, uint64_t first, uint64_t end,
                             uint32_t rank) {
  uint64_t track = CORES_TRACK + 1 + rank, open[DEEPEST + 1];
  int depth = 0;
  WEFT_TRY(put_core_track(file, &recording->spans[first], rank));
  for (uint64_t s = first; s < end; ++s) {
    const weft_span *span = &recording->spans[s];
    while (depth > 0 && open[depth - 1] <= weft_span_begin(recording, span))
      WEFT_TRY(put_end(file, track, open[--depth]));
    if (depth == DEEPEST)
      return weft_error(WEFT_INVALID, "core (%" PRIu32 ", %" PRIu32 "): spans overlap at cycle %" PRIu64, span->x,
                        span->y, span->begin);
    WEFT_TRY(put_begin(file, recording, span, track));
    open[depth++] = weft_span_end(recording, span);
  }
  while (depth > 0) WEFT_TRY(put_end(file, track, open[--depth]));
  return NULL;
}

static weft_status put_cores(weft_perfetto_file *file, const weft_recording *recording) {
  const weft_span *spans = recording->spans;
  char *name = weft_format("cores: %s (1 ns is 1 cycle of %.6g MHz)", recording->name, recording->clock_hz / 1e6);
  weft_status status = weft_perfetto_process(file, CORES_TRACK, CORES, name);
  free(name);
  WEFT_TRY(status);
  uint32_t tracks = 0;
  for (uint64_t s = 0, end; s < recording->span_count; s = end) {
    uint64_t core_end = weft_recording_core_end(recording, s);
    for (end = s + 1; end < core_end && spans[end].lane == spans[s].lane;) ++end;
    WEFT_TRY(put_track(file, recording, s, end, tracks++));
  }
  return NULL;
}

// ---- links

typedef struct link_bins {
  uint64_t begin, width;  // cycles
  uint32_t count;
  uint32_t *wavelets;  // by port and bin
} link_bins;

static link_bins bins_of(const weft_recording *recording) {
  uint64_t first = UINT64_MAX, last = 0;
  for (uint64_t h = 0; h < recording->hop_count; ++h) {
    uint64_t cycle = recording->hops[h].cycle;
    if (cycle < first) first = cycle;
    if (cycle > last) last = cycle;
  }
  link_bins bins = {.begin = first, .width = 1};
  while ((last - first) / bins.width >= MOST_BINS) bins.width *= 2;
  bins.count = (uint32_t)((last - first) / bins.width) + 1;
  bins.wavelets = weft_allocate_array((size_t)WEFT_RECORDING_PORTS * bins.count, sizeof *bins.wavelets);
  return bins;
}

static weft_status put_link(weft_perfetto_file *file, const link_bins *bins, const weft_hop *hop, uint32_t port,
                            uint32_t rank) {
  const uint32_t *wavelets = bins->wavelets + (size_t)port * bins->count;
  char name[80];
  snprintf(name, sizeof name, "router (%" PRIu32 ", %" PRIu32 ") %s", hop->x, hop->y, weft_recording_port_name(port));
  const weft_perfetto_track_definition track = {.uuid = LINKS_TRACK + 1 + rank,
                                                .parent = LINKS_TRACK,
                                                .rank = (int32_t)rank,
                                                .name = name,
                                                .counter = true,
                                                .unit = "wavelets per cycle"};
  WEFT_TRY(weft_perfetto_track(file, &track));
  weft_perfetto_event_definition event = {.type = PERFETTO_COUNTER, .track = track.uuid};
  for (uint32_t b = 0; b <= bins->count; ++b) {
    uint32_t here = b < bins->count ? wavelets[b] : 0;
    if (b > 0 && b < bins->count && here == wavelets[b - 1]) continue;
    event.time_ns = bins->begin + b * bins->width;
    event.value = (double)here / (double)bins->width;
    WEFT_TRY(weft_perfetto_event(file, &event));
  }
  return NULL;
}

static weft_status put_router(weft_perfetto_file *file, const weft_recording *recording, link_bins *bins,
                              uint64_t first, uint64_t end, uint32_t *rank) {
  uint32_t used = 0;
  memset(bins->wavelets, 0, (size_t)WEFT_RECORDING_PORTS * bins->count * sizeof *bins->wavelets);
  for (uint64_t h = first; h < end; ++h) {
    const weft_hop *hop = &recording->hops[h];
    used |= 1u << hop->port;
    ++bins->wavelets[(size_t)hop->port * bins->count + (hop->cycle - bins->begin) / bins->width];
  }
  for (uint32_t port = 0; port < WEFT_RECORDING_PORTS; ++port)
    if (used >> port & 1) WEFT_TRY(put_link(file, bins, &recording->hops[first], port, (*rank)++));
  return NULL;
}

static weft_status put_links(weft_perfetto_file *file, const weft_recording *recording) {
  if (recording->hop_count == 0) return NULL;
  link_bins bins = bins_of(recording);
  char *name = weft_format("links: %s (wavelets per cycle, over %" PRIu64 " cycles each)", recording->name, bins.width);
  weft_status status = weft_perfetto_process(file, LINKS_TRACK, LINKS, name);
  free(name);
  uint32_t rank = 0;
  for (uint64_t h = 0, end; h < recording->hop_count && !status; h = end) {
    end = weft_recording_router_end(recording, h);
    status = put_router(file, recording, &bins, h, end, &rank);
  }
  free(bins.wavelets);
  return status;
}

weft_status weft_recording_write_trace(weft_recording *recording, const char *path) {
  WEFT_TRY(weft_recording_sort(recording, path));
  weft_perfetto_file *file = NULL;
  WEFT_TRY(weft_perfetto_open(path, SEQUENCE, &file));
  weft_status status = put_names(file, recording);
  if (!status) status = put_cores(file, recording);
  if (!status) status = put_links(file, recording);
  if (!status) return weft_perfetto_close(file);
  weft_perfetto_abandon(file);
  return status;
}
