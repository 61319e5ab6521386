// Writes Perfetto's native format. A file is a row of packets; every packet is made by protobuf-c in one buffer and
// goes through zlib, which also writes plain files ("transparently"), so there is one path for both.
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "traces/flows.h"
#include "traces/perfetto.pb-c.h"
#include "traces/perfetto_names.h"

enum { HELD_EVENTS = 65536 };

struct weft_trace_writer {
  gzFile file;
  char *path, *part;
  const weft_schedule *schedule;
  weft_trace_header header;
  weft_flows flows;
  bool *named;             // step_count: this step's name is interned
  bool failed;             // an error was returned; the file is not complete
  weft_trace_event *held;  // waiting to be sorted
  uint32_t held_count;
  uint8_t *buffer;
  size_t buffer_bytes;
  uint64_t *flow_ids;  // room for the step with most arrows
  bool track_open[WEFT_QUEUE_COUNT][WEFT_TRACE_LANES], counter_open[WEFT_COUNTER_COUNT];
  uint64_t track_end[WEFT_QUEUE_COUNT][WEFT_TRACE_LANES];  // of the last slice drawn there
};

static weft_status write_packet(weft_trace_writer *writer, Perfetto__Protos__TracePacket *packet) {
  packet->has_trusted_packet_sequence_id = true;
  packet->trusted_packet_sequence_id = (uint32_t)writer->header.kind + 1;
  if (!packet->has_sequence_flags) {
    packet->has_sequence_flags = true;
    packet->sequence_flags = PERFETTO_STATE_NEEDED;
  }
  Perfetto__Protos__Trace trace = PERFETTO__PROTOS__TRACE__INIT;
  trace.n_packet = 1;
  trace.packet = &packet;
  size_t bytes = perfetto__protos__trace__get_packed_size(&trace);
  if (bytes > writer->buffer_bytes) {
    writer->buffer_bytes = bytes * 2;
    writer->buffer = weft_grow(writer->buffer, writer->buffer_bytes, 1);
  }
  perfetto__protos__trace__pack(&trace, writer->buffer);
  errno = 0;
  if (gzwrite(writer->file, writer->buffer, (unsigned)bytes) == (int)bytes) return NULL;
  int zlib_code = Z_OK;
  const char *reason = gzerror(writer->file, &zlib_code);
  weft_status status = weft_error(WEFT_FAILED, "%s: cannot write: %s", writer->path, errno ? strerror(errno) : reason);
  writer->failed = true;
  return status;
}

static weft_status write_track(weft_trace_writer *writer, Perfetto__Protos__TrackDescriptor *track) {
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.track_descriptor = track;
  return write_packet(writer, &packet);
}

// First packet: interned strings begin anew with the names that are known beforehand.
static weft_status write_first(weft_trace_writer *writer) {
  Perfetto__Protos__InternedString categories[WEFT_QUEUE_COUNT + 1], names[SLICE_ANNOTATION_COUNT];
  Perfetto__Protos__InternedString *category_list[WEFT_QUEUE_COUNT + 1], *name_list[SLICE_ANNOTATION_COUNT];
  for (uint32_t c = 0; c < WEFT_QUEUE_COUNT + 1; ++c) {
    perfetto__protos__interned_string__init(category_list[c] = &categories[c]);
    categories[c].has_iid = true;
    categories[c].iid = c + 1;
    const char *name = c < WEFT_QUEUE_COUNT ? weft_queue_name((weft_queue)c) : HEADER_CATEGORY_NAME;
    categories[c].name = (char *)(uintptr_t)name;
  }
  for (uint32_t n = 0; n < SLICE_ANNOTATION_COUNT; ++n) {
    perfetto__protos__interned_string__init(name_list[n] = &names[n]);
    names[n].has_iid = true;
    names[n].iid = n + 1;
    names[n].name = (char *)(uintptr_t)slice_annotation_names[n];
  }
  Perfetto__Protos__InternedData interned = PERFETTO__PROTOS__INTERNED_DATA__INIT;
  interned.n_event_categories = WEFT_QUEUE_COUNT + 1;
  interned.event_categories = category_list;
  interned.n_debug_annotation_names = SLICE_ANNOTATION_COUNT;
  interned.debug_annotation_names = name_list;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_sequence_flags = packet.has_first_packet_on_sequence = packet.first_packet_on_sequence = true;
  packet.sequence_flags = PERFETTO_STATE_CLEARED;
  packet.interned_data = &interned;
  return write_packet(writer, &packet);
}

static weft_status write_process(weft_trace_writer *writer) {
  const weft_trace_header *header = &writer->header;
  char *name = weft_format("%s: %s on %s", weft_trace_kind_name(header->kind), header->network, header->machine);
  Perfetto__Protos__ProcessDescriptor process = PERFETTO__PROTOS__PROCESS_DESCRIPTOR__INIT;
  process.has_pid = true;
  process.pid = (int32_t)header->kind + 1;
  process.process_name = name;
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_child_ordering = true;
  track.uuid = track_base(header->kind);
  track.child_ordering = PERFETTO_ORDER_BY_RANK;
  track.name = name;
  track.process = &process;
  weft_status status = write_track(writer, &track);
  free(name);
  return status;
}

// The header travels as annotations of one instant on the process's track: any Perfetto tool shows it, and keeps it.
static weft_status write_header(weft_trace_writer *writer) {
  const weft_trace_header *header = &writer->header;
  char hash[24];
  snprintf(hash, sizeof hash, "0x%016" PRIx64, header->schedule_hash);
  const char *texts[HEADER_ANNOTATION_COUNT] = {[HEADER_KIND] = weft_trace_kind_name(header->kind),
                                                [HEADER_SCHEDULE] = hash,
                                                [HEADER_NETWORK] = header->network,
                                                [HEADER_MACHINE] = header->machine,
                                                [HEADER_TIMED_ON] = header->timed_on,
                                                [HEADER_MAKER] = header->maker};
  uint64_t numbers[HEADER_ANNOTATION_COUNT] = {[HEADER_FORMAT] = HEADER_FORMAT_VERSION,
                                               [HEADER_STEPS] = header->step_count,
                                               [HEADER_BODY] = header->body,
                                               [HEADER_ITERATIONS] = header->iterations};
  Perfetto__Protos__DebugAnnotation annotations[HEADER_ANNOTATION_COUNT], *list[HEADER_ANNOTATION_COUNT];
  for (uint32_t a = 0; a < HEADER_ANNOTATION_COUNT; ++a) {
    perfetto__protos__debug_annotation__init(list[a] = &annotations[a]);
    annotations[a].name = (char *)(uintptr_t)header_annotation_names[a];
    annotations[a].string_value = (char *)(uintptr_t)texts[a];
    annotations[a].has_uint_value = texts[a] == NULL;
    annotations[a].uint_value = numbers[a];
  }
  uint64_t category = CATEGORY_HEADER;
  Perfetto__Protos__TrackEvent event = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  event.has_type = event.has_track_uuid = true;
  event.type = PERFETTO_INSTANT;
  event.track_uuid = track_base(header->kind);
  event.name = (char *)(uintptr_t)HEADER_SLICE_NAME;
  event.n_category_iids = 1;
  event.category_iids = &category;
  event.n_debug_annotations = HEADER_ANNOTATION_COUNT;
  event.debug_annotations = list;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_timestamp = true;
  packet.track_event = &event;
  return write_packet(writer, &packet);
}

static weft_status open_slice_track(weft_trace_writer *writer, uint32_t queue, uint32_t lane) {
  const char *kind = weft_trace_kind_name(writer->header.kind), *name = weft_queue_name((weft_queue)queue);
  bool stream = queue == WEFT_QUEUE_STREAM_IN || queue == WEFT_QUEUE_STREAM_OUT;
  char text[96];
  if (lane >= WEFT_TRACE_MAKER_LANES) {
    snprintf(text, sizeof text, "%s overlap %u (%s)", name, lane - WEFT_TRACE_MAKER_LANES + 1, kind);
  } else if (stream || lane > 0) {
    snprintf(text, sizeof text, "%s lane %u (%s)", name, lane, kind);
  } else {
    snprintf(text, sizeof text, "%s (%s)", name, kind);
  }
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_parent_uuid = track.has_sibling_order_rank = true;
  track.uuid = slice_track(writer->header.kind, queue, lane);
  track.parent_uuid = track_base(writer->header.kind);
  track.sibling_order_rank = (int32_t)(queue * WEFT_TRACE_LANES + lane);
  track.name = text;
  writer->track_open[queue][lane] = true;
  return write_track(writer, &track);
}

// The lane that the event claims, or the first further one that is free at its start.
static weft_status choose_lane(weft_trace_writer *writer, const weft_trace_event *event, uint32_t *out_lane) {
  const uint64_t *ends = writer->track_end[event->queue];
  uint32_t lane = event->lane;
  if (ends[lane] > event->start_ns)
    for (lane = WEFT_TRACE_MAKER_LANES; lane < WEFT_TRACE_LANES && ends[lane] > event->start_ns; ++lane) continue;
  if (lane == WEFT_TRACE_LANES)
    return weft_error(WEFT_INVALID, "%s: more than %d slices overlap on queue %s at %" PRIu64 " ns (step %" PRIu32 ")",
                      writer->path, WEFT_TRACE_LANES - WEFT_TRACE_MAKER_LANES + 1, weft_queue_name(event->queue),
                      event->start_ns, event->step);
  if (!writer->track_open[event->queue][lane]) WEFT_TRY(open_slice_track(writer, (uint32_t)event->queue, lane));
  writer->track_end[event->queue][lane] = event->end_ns;
  *out_lane = lane;
  return NULL;
}

static void annotate(Perfetto__Protos__DebugAnnotation annotations[SLICE_ANNOTATION_COUNT],
                     Perfetto__Protos__DebugAnnotation *list[SLICE_ANNOTATION_COUNT], const weft_step *step,
                     const weft_trace_event *event) {
  const char *texts[SLICE_ANNOTATION_COUNT] = {
      [SLICE_OP] = weft_op_name(step->op), [SLICE_PHASE] = weft_phase_name(step->phase)};
  uint64_t numbers[SLICE_ANNOTATION_COUNT] = {[SLICE_STEP] = event->step,
                                              [SLICE_ITERATION] = event->iteration,
                                              [SLICE_BYTES] = event->bytes,
                                              [SLICE_BUSY] = event->busy_ns,
                                              [SLICE_LANE] = event->lane};
  for (uint32_t a = 0; a < SLICE_ANNOTATION_COUNT; ++a) {
    Perfetto__Protos__DebugAnnotation *annotation = list[a] = &annotations[a];
    perfetto__protos__debug_annotation__init(annotation);
    annotation->has_name_iid = true;
    annotation->name_iid = a + 1;
    annotation->string_value = (char *)(uintptr_t)texts[a];
    annotation->has_int_value = a == SLICE_LAYER;
    annotation->int_value = step->layer;
    annotation->has_double_value = a == SLICE_FLOPS;
    annotation->double_value = event->flops;
    annotation->has_uint_value = !texts[a] && !annotation->has_int_value && !annotation->has_double_value;
    annotation->uint_value = numbers[a];
  }
}

static size_t find_flow_ids(weft_trace_writer *writer, const weft_trace_event *event) {
  const weft_flows *flows = &writer->flows;
  size_t count = 0;
  for (uint32_t f = flows->first[event->step]; f < flows->first[event->step + 1]; ++f)
    writer->flow_ids[count++] =
        (uint64_t)writer->header.kind << 62 | ((uint64_t)event->iteration * flows->count + flows->numbers[f] + 1);
  return count;
}

static weft_status write_slice_end(weft_trace_writer *writer, uint64_t track, uint64_t end_ns) {
  Perfetto__Protos__TrackEvent end = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  end.has_type = end.has_track_uuid = true;
  end.type = PERFETTO_SLICE_END;
  end.track_uuid = track;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_timestamp = true;
  packet.timestamp = end_ns;
  packet.track_event = &end;
  return write_packet(writer, &packet);
}

static weft_status write_slice(weft_trace_writer *writer, const weft_trace_event *event) {
  uint32_t lane = 0;
  WEFT_TRY(choose_lane(writer, event, &lane));
  Perfetto__Protos__DebugAnnotation annotations[SLICE_ANNOTATION_COUNT], *list[SLICE_ANNOTATION_COUNT];
  annotate(annotations, list, &writer->schedule->steps[event->step], event);
  uint64_t category = (uint64_t)event->queue + 1;
  Perfetto__Protos__TrackEvent begin = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  begin.has_type = begin.has_track_uuid = begin.has_name_iid = true;
  begin.type = PERFETTO_SLICE_BEGIN;
  begin.track_uuid = slice_track(writer->header.kind, (uint32_t)event->queue, lane);
  begin.name_iid = (uint64_t)event->step + 1;
  begin.n_category_iids = 1;
  begin.category_iids = &category;
  begin.n_debug_annotations = SLICE_ANNOTATION_COUNT;
  begin.debug_annotations = list;
  begin.n_flow_ids = find_flow_ids(writer, event);
  begin.flow_ids = writer->flow_ids;
  Perfetto__Protos__InternedString name = PERFETTO__PROTOS__INTERNED_STRING__INIT, *names = &name;
  Perfetto__Protos__InternedData interned = PERFETTO__PROTOS__INTERNED_DATA__INIT;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  if (!writer->named[event->step]) {
    name.has_iid = true;
    name.iid = (uint64_t)event->step + 1;
    name.name = weft_step_describe(writer->schedule, event->step);
    interned.n_event_names = 1;
    interned.event_names = &names;
    packet.interned_data = &interned;
    writer->named[event->step] = true;
  }
  packet.has_timestamp = true;
  packet.timestamp = event->start_ns;
  packet.track_event = &begin;
  weft_status status = write_packet(writer, &packet);
  if (packet.interned_data) free(name.name);
  WEFT_TRY(status);
  return write_slice_end(writer, begin.track_uuid, event->end_ns);
}

// At equal starts the smaller step goes first: a stream before its consumer, so that arrows point the right way.
static int by_start(const void *a, const void *b, void *header) {
  const weft_trace_event *x = a, *y = b;
  if (x->start_ns != y->start_ns) return x->start_ns < y->start_ns ? -1 : 1;
  return weft_trace_event_order(header, x, y);
}

static weft_status write_held(weft_trace_writer *writer, uint32_t count) {
  if (writer->held_count > 1)
    qsort_r(writer->held, writer->held_count, sizeof *writer->held, by_start, &writer->header);
  weft_status status = NULL;
  for (uint32_t e = 0; e < count && !status; ++e) status = write_slice(writer, &writer->held[e]);
  writer->held_count -= count;
  memmove(writer->held, writer->held + count, writer->held_count * sizeof *writer->held);
  if (status) writer->failed = true;
  return status;
}

static weft_status take_event(void *context, const weft_trace_event *event) {
  weft_trace_writer *writer = context;
  weft_trace_event admitted = *event;
  WEFT_TRY(weft_trace_event_admit(&writer->header, &admitted));
  if (writer->held_count == HELD_EVENTS) WEFT_TRY(write_held(writer, HELD_EVENTS / 2));
  writer->held[writer->held_count++] = admitted;
  return NULL;
}

static weft_status open_counter_track(weft_trace_writer *writer, weft_counter counter) {
  bool mesh = writer->schedule->machine->kind == WEFT_MESH;
  const char *names[WEFT_COUNTER_COUNT] = {mesh ? "memory in use per core" : "memory in use", "stream-in rate",
                                           "stream-out rate"};
  char *name = weft_format("%s (%s)", names[counter], weft_trace_kind_name(writer->header.kind));
  Perfetto__Protos__CounterDescriptor about = PERFETTO__PROTOS__COUNTER_DESCRIPTOR__INIT;
  about.has_unit = counter == WEFT_COUNTER_MEMORY;
  about.unit = PERFETTO_UNIT_BYTES;
  about.unit_name = (char *)(uintptr_t)(counter == WEFT_COUNTER_MEMORY ? NULL : "GB/s");
  Perfetto__Protos__TrackDescriptor track = PERFETTO__PROTOS__TRACK_DESCRIPTOR__INIT;
  track.has_uuid = track.has_parent_uuid = track.has_sibling_order_rank = true;
  track.uuid = counter_track(writer->header.kind, (uint32_t)counter);
  track.parent_uuid = track_base(writer->header.kind);
  track.sibling_order_rank = WEFT_QUEUE_COUNT * WEFT_TRACE_LANES + (int32_t)counter;
  track.name = name;
  track.counter = &about;
  writer->counter_open[counter] = true;
  weft_status status = write_track(writer, &track);
  free(name);
  return status;
}

static weft_status take_counter(void *context, weft_counter counter, uint64_t time_ns, double value) {
  weft_trace_writer *writer = context;
  WEFT_TRY(weft_trace_counter_admit(counter, time_ns, value));
  if (!writer->counter_open[counter]) WEFT_TRY(open_counter_track(writer, counter));
  Perfetto__Protos__TrackEvent event = PERFETTO__PROTOS__TRACK_EVENT__INIT;
  event.has_type = event.has_track_uuid = event.has_double_counter_value = true;
  event.type = PERFETTO_COUNTER;
  event.track_uuid = counter_track(writer->header.kind, (uint32_t)counter);
  event.double_counter_value = value;
  Perfetto__Protos__TracePacket packet = PERFETTO__PROTOS__TRACE_PACKET__INIT;
  packet.has_timestamp = true;
  packet.timestamp = time_ns;
  packet.track_event = &event;
  return write_packet(writer, &packet);
}

static void writer_free(weft_trace_writer *writer) {
  weft_flows_finish(&writer->flows);
  free(writer->path);
  free(writer->part);
  free(writer->named);
  free(writer->held);
  free(writer->buffer);
  free(writer->flow_ids);
  free(writer);
}

void weft_trace_writer_abandon(weft_trace_writer *writer) {
  if (!writer) return;
  if (writer->file) {
    gzclose_w(writer->file);
    unlink(writer->part);
  }
  writer_free(writer);
}

static weft_trace_writer *writer_create(const char *path, const weft_schedule *schedule,
                                        const weft_trace_header *header) {
  weft_trace_writer *writer = weft_allocate(sizeof *writer);
  writer->path = weft_copy_text(path);
  writer->part = weft_format("%s.part", path);
  writer->schedule = schedule;
  writer->header = *header;
  weft_flows_init(&writer->flows, schedule);
  writer->named = weft_allocate_array(schedule->step_count, sizeof *writer->named);
  writer->held = weft_allocate_array(HELD_EVENTS, sizeof *writer->held);
  uint32_t most = 0;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    uint32_t arrows = writer->flows.first[s + 1] - writer->flows.first[s];
    if (arrows > most) most = arrows;
  }
  writer->flow_ids = weft_allocate_array(most, sizeof *writer->flow_ids);
  return writer;
}

weft_status weft_trace_writer_open(const char *path, const weft_schedule *schedule, const weft_trace_header *header,
                                   weft_trace_writer **out_writer) {
  assert(header->step_count == schedule->step_count && header->body == schedule->body &&
         header->iterations == schedule->iterations);
  weft_trace_writer *writer = writer_create(path, schedule, header);
  size_t length = strlen(path);
  bool compress = length > 3 && strcmp(path + length - 3, ".gz") == 0;
  errno = 0;
  writer->file = gzopen(writer->part, compress ? "wb6" : "wbT");
  weft_status status = NULL;
  if (!writer->file) {
    status = weft_error(WEFT_FAILED, "%s: cannot write: %s", path, errno ? strerror(errno) : "no memory");
  } else {
    gzbuffer(writer->file, 256u << 10);
    status = write_first(writer);
    if (!status) status = write_process(writer);
    if (!status) status = write_header(writer);
  }
  if (status) {
    weft_trace_writer_abandon(writer);
    return status;
  }
  *out_writer = writer;
  return NULL;
}

weft_trace_sink weft_trace_writer_sink(weft_trace_writer *writer) {
  return (weft_trace_sink){.context = writer, .event = take_event, .counter = take_counter};
}

weft_status weft_trace_writer_close(weft_trace_writer *writer) {
  if (!writer) return NULL;
  weft_status status = writer->failed ? weft_error(WEFT_FAILED, "%s: not written, after an earlier error", writer->path)
                                      : write_held(writer, writer->held_count);
  errno = 0;
  int closed = gzclose_w(writer->file);
  if (!status && (closed != Z_OK || rename(writer->part, writer->path) != 0))
    status = weft_error(WEFT_FAILED, "%s: cannot write: %s", writer->path,
                        errno ? strerror(errno) : "the file could not be closed");
  if (status) unlink(writer->part);
  writer_free(writer);
  return status;
}
