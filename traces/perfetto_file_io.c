#include "traces/perfetto_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "traces/perfetto.pb-c.h"
#include "traces/perfetto_names.h"

struct weft_perfetto_file {
  gzFile file;
  char *path, *part;
  uint32_t sequence;
  bool failed;  // an error was returned; the file is not complete
  uint8_t *buffer;
  size_t buffer_bytes;
};

static void release(weft_perfetto_file *file) {
  free(file->path);
  free(file->part);
  free(file->buffer);
  free(file);
}

weft_status weft_perfetto_open(const char *path, uint32_t sequence, weft_perfetto_file **out_file) {
  weft_perfetto_file *file = weft_allocate(sizeof *file);
  file->path = weft_copy_text(path);
  file->part = weft_format("%s.part", path);
  file->sequence = sequence;
  size_t length = strlen(path);
  bool compress = length > 3 && strcmp(path + length - 3, ".gz") == 0;
  errno = 0;
  file->file = gzopen(file->part, compress ? "wb6" : "wbT");
  if (!file->file) {
    weft_status status = weft_error(WEFT_FAILED, "%s: cannot write: %s", path, errno ? strerror(errno) : "no memory");
    release(file);
    return status;
  }
  gzbuffer(file->file, 256u << 10);
  *out_file = file;
  return NULL;
}

void weft_perfetto_abandon(weft_perfetto_file *file) {
  if (!file) return;
  gzclose_w(file->file);
  unlink(file->part);
  release(file);
}

weft_status weft_perfetto_close(weft_perfetto_file *file) {
  weft_status status = NULL;
  if (file->failed) status = weft_error(WEFT_FAILED, "%s: not written, after an earlier error", file->path);
  errno = 0;
  int closed = gzclose_w(file->file);
  if (!status && (closed != Z_OK || rename(file->part, file->path) != 0))
    status = weft_error(WEFT_FAILED, "%s: cannot write: %s", file->path,
                        errno ? strerror(errno) : "the file could not be closed");
  if (status) unlink(file->part);
  release(file);
  return status;
}

static weft_status put(weft_perfetto_file *file, Perfetto__Protos__TracePacket *packet) {
  packet->has_trusted_packet_sequence_id = true;
  packet->trusted_packet_sequence_id = file->sequence;
  if (!packet->has_sequence_flags) {
    packet->has_sequence_flags = true;
    packet->sequence_flags = PERFETTO_STATE_NEEDED;
  }
  Perfetto__Protos__Trace trace = PERFETTO__PROTOS__TRACE__INIT;
  trace.n_packet = 1;
  trace.packet = &packet;
  size_t bytes = perfetto__protos__trace__get_packed_size(&trace);
  if (bytes > file->buffer_bytes) {
    file->buffer_bytes = bytes * 2;
    file->buffer = weft_grow(file->buffer, file->buffer_bytes, 1);
  }
  perfetto__protos__trace__pack(&trace, file->buffer);
  errno = 0;
  if (gzwrite(file->file, file->buffer, (unsigned)bytes) == (int)bytes) return NULL;
  int zlib_code = Z_OK;
  const char *reason = gzerror(file->file, &zlib_code);
  weft_status status = weft_error(WEFT_FAILED, "%s: cannot write: %s", file->path, errno ? strerror(errno) : reason);
  file->failed = true;
  return status;
}

static Perfetto__Protos__InternedString **intern(const weft_perfetto_list *list,
                                                 Perfetto__Protos__InternedString *strings,
                                                 Perfetto__Protos__InternedString **pointers) {
  for (size_t s = 0; s < list->count; ++s) {
    perfetto__protos__interned_string__init(pointers[s] = &strings[s]);
    strings[s].has_iid = true;
    strings[s].iid = s + 1;
    strings[s].name = (char *)(uintptr_t)list->texts[s];
  }
  return pointers;
}

// Interned strings begin anew with these.
weft_status weft_perfetto_names(weft_perfetto_file *file, const weft_perfetto_names_list *names) {
  const size_t categories = names->categories.count, annotations = names->annotations.count;
  size_t count = categories + annotations + names->events.count;
  Perfetto__Protos__InternedString *strings = weft_allocate_array(count, sizeof *strings);
  Perfetto__Protos__InternedString **pointers = weft_allocate_array(count, sizeof *pointers);
  Perfetto__Protos__InternedData interned = PERFETTO__PROTOS__INTERNED_DATA__INIT;
  interned.n_event_categories = categories;
  interned.event_categories = intern(&names->categories, strings, pointers);
  interned.n_debug_annotation_names = annotations;
  interned.debug_annotation_names = intern(&names->annotations, strings + categories, pointers + categories);
  interned.n_event_names = names->events.count;
  interned.event_names =
      intern(&names->events, strings + categories + annotations, pointers + categories + annotations);
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_sequence_flags = packet.has_first_packet_on_sequence = packet.first_packet_on_sequence = true;
  packet.sequence_flags = PERFETTO_STATE_CLEARED;
  packet.interned_data = &interned;
  weft_status status = put(file, &packet);
  free(strings);
  free(pointers);
  return status;
}

static weft_status put_track(weft_perfetto_file *file, Perfetto__Protos__TrackDescriptor *track) {
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.track_descriptor = track;
  return put(file, &packet);
}

weft_status weft_perfetto_process(weft_perfetto_file *file, uint64_t uuid, int32_t pid, const char *name) {
  Perfetto__Protos__ProcessDescriptor process = PERFETTO__PROTOS__PROCESS_DESCRIPTOR__INIT;
  process.has_pid = true;
  process.pid = pid;
  process.process_name = (char *)(uintptr_t)name;
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_child_ordering = true;
  track.uuid = uuid;
  track.child_ordering = PERFETTO_ORDER_BY_RANK;
  track.name = process.process_name;
  track.process = &process;
  return put_track(file, &track);
}

weft_status weft_perfetto_track(weft_perfetto_file *file, const weft_perfetto_track_definition *definition) {
  Perfetto__Protos__CounterDescriptor about = PERFETTO__PROTOS__COUNTER_DESCRIPTOR__INIT;
  about.has_unit = definition->bytes;
  about.unit = PERFETTO_UNIT_BYTES;
  about.unit_name = (char *)(uintptr_t)definition->unit;
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_parent_uuid = track.has_sibling_order_rank = true;
  track.uuid = definition->uuid;
  track.parent_uuid = definition->parent;
  track.sibling_order_rank = definition->rank;
  track.name = (char *)(uintptr_t)definition->name;
  if (definition->counter) track.counter = &about;
  return put_track(file, &track);
}

static void annotate(Perfetto__Protos__DebugAnnotation *to, const weft_perfetto_annotation *from) {
  perfetto__protos__debug_annotation__init(to);
  to->name = (char *)(uintptr_t)from->name;
  to->has_name_iid = !from->name;
  to->name_iid = from->place + 1u;
  switch (from->kind) {
    case WEFT_PERFETTO_NUMBER:
      to->has_uint_value = true;
      to->uint_value = from->value.number;
      break;
    case WEFT_PERFETTO_SIGNED:
      to->has_int_value = true;
      to->int_value = from->value.whole;
      break;
    case WEFT_PERFETTO_REAL:
      to->has_double_value = true;
      to->double_value = from->value.real;
      break;
    case WEFT_PERFETTO_TEXT: to->string_value = (char *)(uintptr_t)from->value.text; break;
  }
}

weft_status weft_perfetto_event(weft_perfetto_file *file, const weft_perfetto_event_definition *definition) {
  Perfetto__Protos__DebugAnnotation annotations[WEFT_PERFETTO_ANNOTATIONS], *list[WEFT_PERFETTO_ANNOTATIONS];
  assert(definition->annotation_count <= WEFT_PERFETTO_ANNOTATIONS);
  for (size_t a = 0; a < definition->annotation_count; ++a)
    annotate(list[a] = &annotations[a], &definition->annotations[a]);
  uint64_t category = definition->category;
  Perfetto__Protos__TrackEvent event = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  event.has_type = event.has_track_uuid = true;
  event.type = definition->type;
  event.track_uuid = definition->track;
  event.has_name_iid = definition->name_number > 0;
  event.name_iid = definition->name_number;
  event.name = (char *)(uintptr_t)definition->name;
  event.n_category_iids = category > 0;
  event.category_iids = &category;
  event.n_debug_annotations = definition->annotation_count;
  event.debug_annotations = list;
  event.n_flow_ids = definition->flow_count;
  event.flow_ids = definition->flows;
  event.has_double_counter_value = definition->type == PERFETTO_COUNTER;
  event.double_counter_value = definition->value;
  Perfetto__Protos__InternedString name = PERFETTO__PROTOS__INTERNED_STRING__INIT, *names = &name;
  Perfetto__Protos__InternedData interned = PERFETTO__PROTOS__INTERNED_DATA__INIT;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  if (definition->new_name) {
    name.has_iid = true;
    name.iid = definition->name_number;
    name.name = (char *)(uintptr_t)definition->new_name;
    interned.n_event_names = 1;
    interned.event_names = &names;
    packet.interned_data = &interned;
  }
  packet.has_timestamp = true;
  packet.timestamp = definition->time_ns;
  packet.track_event = &event;
  return put(file, &packet);
}
