// A recording in Perfetto's format: a track per core and microthread, one slice per instruction. The packets are those
// of perfetto.proto; there is no schedule here, so weft_trace_read refuses these files and says so.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "traces/perfetto.pb-c.h"
#include "traces/perfetto_names.h"
#include "traces/recording_internal.h"

// Tracks and process lie beside those of schedules' traces (perfetto_names.h), so that files may be concatenated.
enum { SEQUENCE = 9, PROCESS = 9, CORE_CATEGORY = 1 };
#define CORES_TRACK (UINT64_C(0x57454654) << 32 | UINT64_C(1) << 31)

typedef enum span_annotation {
  SPAN_BEGIN,
  SPAN_CYCLES,
  SPAN_TASK,
  SPAN_INSTRUCTION,
  SPAN_X,
  SPAN_Y,
  SPAN_ANNOTATIONS
} span_annotation;
static const char *const annotation_names[SPAN_ANNOTATIONS] = {"cycle", "cycles", "task", "instruction", "x", "y"};

typedef struct packets {
  gzFile file;
  const char *path;
  uint8_t *buffer;
  size_t room;
} packets;

static weft_status put(packets *out, Perfetto__Protos__TracePacket *packet) {
  packet->has_trusted_packet_sequence_id = packet->has_sequence_flags = true;
  packet->trusted_packet_sequence_id = SEQUENCE;
  if (!packet->first_packet_on_sequence) packet->sequence_flags = PERFETTO_STATE_NEEDED;
  Perfetto__Protos__Trace trace = PERFETTO__PROTOS__TRACE__INIT;
  trace.n_packet = 1;
  trace.packet = &packet;
  size_t bytes = perfetto__protos__trace__get_packed_size(&trace);
  if (bytes > out->room) {
    out->room = bytes * 2;
    out->buffer = weft_grow(out->buffer, out->room, 1);
  }
  perfetto__protos__trace__pack(&trace, out->buffer);
  if (gzwrite(out->file, out->buffer, (unsigned)bytes) == (int)bytes) return NULL;
  return weft_error(WEFT_FAILED, "%s: cannot write: %m", out->path);
}

// Interned strings: the category, the annotations' names, all labels (number + 1).
static weft_status put_names(packets *out, const weft_recording *recording) {
  size_t count = 1 + SPAN_ANNOTATIONS + (size_t)recording->label_count;
  Perfetto__Protos__InternedString *strings = weft_allocate_array(count, sizeof *strings);
  Perfetto__Protos__InternedString **list = weft_allocate_array(count, sizeof(Perfetto__Protos__InternedString *));
  for (size_t s = 0; s < count; ++s) {
    perfetto__protos__interned_string__init(list[s] = &strings[s]);
    strings[s].has_iid = true;
    strings[s].iid = s == 0 ? CORE_CATEGORY : s <= SPAN_ANNOTATIONS ? s : s - SPAN_ANNOTATIONS;
    const char *text = s == 0                  ? "instruction"
                       : s <= SPAN_ANNOTATIONS ? annotation_names[s - 1]
                                               : recording->labels[s - 1 - SPAN_ANNOTATIONS];
    strings[s].name = (char *)(uintptr_t)text;
  }
  Perfetto__Protos__InternedData interned = PERFETTO__PROTOS__INTERNED_DATA__INIT;
  interned.n_event_categories = 1;
  interned.event_categories = list;
  interned.n_debug_annotation_names = SPAN_ANNOTATIONS;
  interned.debug_annotation_names = list + 1;
  interned.n_event_names = recording->label_count;
  interned.event_names = list + 1 + SPAN_ANNOTATIONS;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_first_packet_on_sequence = packet.first_packet_on_sequence = true;
  packet.sequence_flags = PERFETTO_STATE_CLEARED;
  packet.interned_data = &interned;
  weft_status status = put(out, &packet);
  free(strings);
  free(list);
  return status;
}

static weft_status put_process(packets *out, const weft_recording *recording) {
  char *name = weft_format("cores: %s (1 ns is 1 cycle of %.6g MHz)", recording->name, recording->clock_hz / 1e6);
  Perfetto__Protos__ProcessDescriptor process = PERFETTO__PROTOS__PROCESS_DESCRIPTOR__INIT;
  process.has_pid = true;
  process.pid = PROCESS;
  process.process_name = name;
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_child_ordering = true;
  track.uuid = CORES_TRACK;
  track.child_ordering = PERFETTO_ORDER_BY_RANK;
  track.name = name;
  track.process = &process;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.track_descriptor = &track;
  weft_status status = put(out, &packet);
  free(name);
  return status;
}

static weft_status put_track(packets *out, const weft_span *span, uint32_t rank) {
  char name[80];
  int length = snprintf(name, sizeof name, "core (%" PRIu32 ", %" PRIu32 ")", span->x, span->y);
  if (span->lane > 0) snprintf(name + length, sizeof name - (size_t)length, " microthread %" PRIu32, span->lane - 1);
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_parent_uuid = track.has_sibling_order_rank = true;
  track.uuid = CORES_TRACK + 1 + rank;
  track.parent_uuid = CORES_TRACK;
  track.sibling_order_rank = (int32_t)rank;
  track.name = name;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.track_descriptor = &track;
  return put(out, &packet);
}

static weft_status put_slice(packets *out, const weft_span *span, uint64_t track) {
  const uint64_t values[SPAN_ANNOTATIONS] = {
      span->begin, span->end - span->begin, span->task, span->instruction, span->x, span->y};
  Perfetto__Protos__DebugAnnotation annotations[SPAN_ANNOTATIONS], *list[SPAN_ANNOTATIONS];
  for (uint32_t a = 0; a < SPAN_ANNOTATIONS; ++a) {
    perfetto__protos__debug_annotation__init(list[a] = &annotations[a]);
    annotations[a].has_name_iid = annotations[a].has_uint_value = true;
    annotations[a].name_iid = a + 1;
    annotations[a].uint_value = values[a];
  }
  uint64_t category = CORE_CATEGORY;
  Perfetto__Protos__TrackEvent event = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  event.has_type = event.has_track_uuid = event.has_name_iid = true;
  event.type = PERFETTO_SLICE_BEGIN;
  event.track_uuid = track;
  event.name_iid = (uint64_t)span->label + 1;
  event.n_category_iids = 1;
  event.category_iids = &category;
  event.n_debug_annotations = SPAN_ANNOTATIONS;
  event.debug_annotations = list;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_timestamp = true;
  packet.timestamp = span->begin;
  packet.track_event = &event;
  WEFT_TRY(put(out, &packet));
  Perfetto__Protos__TrackEvent end = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  end.has_type = end.has_track_uuid = true;
  end.type = PERFETTO_SLICE_END;
  end.track_uuid = track;
  packet.timestamp = span->end;
  packet.track_event = &end;
  return put(out, &packet);
}

static weft_status put_all(packets *out, const weft_recording *recording) {
  WEFT_TRY(put_names(out, recording));
  WEFT_TRY(put_process(out, recording));
  uint32_t tracks = 0;
  for (uint64_t s = 0; s < recording->span_count; ++s) {
    const weft_span *span = &recording->spans[s];
    if (s == 0 || span->x != span[-1].x || span->y != span[-1].y || span->lane != span[-1].lane)
      WEFT_TRY(put_track(out, span, tracks++));
    WEFT_TRY(put_slice(out, span, CORES_TRACK + tracks));
  }
  return NULL;
}

weft_status weft_recording_write_trace(weft_recording *recording, const char *path) {
  WEFT_TRY(weft_recording_sort(recording, path));
  size_t length = strlen(path);
  char *part = weft_format("%s.part", path);
  bool compress = length > 3 && strcmp(path + length - 3, ".gz") == 0;
  errno = 0;
  packets out = {.path = path, .file = gzopen(part, compress ? "wb6" : "wbT")};
  weft_status status = NULL;
  if (out.file) {
    status = put_all(&out, recording);
    int closed = gzclose_w(out.file);
    if (!status && (closed != Z_OK || rename(part, path) != 0))
      status = weft_error(WEFT_FAILED, "%s: cannot write: %m", path);
    if (status) unlink(part);
  } else {
    status = weft_error(WEFT_FAILED, "%s: cannot write: %m", path);
  }
  free(out.buffer);
  free(part);
  return status;
}
