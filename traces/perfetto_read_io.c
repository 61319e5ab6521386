// Reads back what perfetto_write.c wrote, and nothing else: a file of another program, or one that was cut or
// changed, is refused with the byte offset (of the unpacked stream) at which it stopped making sense. Packets are
// framed here and unpacked by protobuf-c one at a time into a block of fixed size, so a hostile packet can ask for no
// more than that.
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/memory.h"
#include "traces/perfetto.pb-c.h"
#include "traces/perfetto_names.h"

enum {
  PACKET_BYTES = 64 << 10,  // ours are below 1 KiB but for long names
  UNPACK_BYTES = 512 << 10,
  INFLATE_RATIO = 256,  // ours are around 10
  SPARE_STEPS = 4096,   // a step takes more than a byte; small files may lack the events of some
  IIDS = 32
};

typedef struct open_slice {
  bool open;
  weft_trace_event event;
} open_slice;

typedef struct trace_reader {
  const char *path;
  gzFile file;
  uint64_t file_bytes, read_bytes, packet_offset;
  uint8_t packet[PACKET_BYTES];
  _Alignas(16) uint8_t memory[UNPACK_BYTES];
  size_t memory_used;
  uint64_t packets;
  weft_trace *trace;                           // NULL before the header
  int8_t queue_of[IIDS], annotation_of[IIDS];  // interned number -> meaning, -1 unknown
  open_slice open[WEFT_QUEUE_COUNT * WEFT_TRACE_LANES];
  uint64_t *flow_ids;
  uint64_t flow_count, flow_room;
} trace_reader;

static weft_status malformed(const trace_reader *reader, const char *format, ...) WEFT_PRINTF(2, 3) WEFT_CHECKED;
static weft_status malformed(const trace_reader *reader, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = weft_format_list(format, arguments);
  va_end(arguments);
  weft_status status = weft_error(WEFT_INVALID, "%s: packet %" PRIu64 " at byte %" PRIu64 ": %s", reader->path,
                                  reader->packets, reader->packet_offset, text);
  free(text);
  return status;
}

// protobuf-c's allocator: a block that starts anew with every packet.
static void *take_memory(void *context, size_t bytes) {
  trace_reader *reader = context;
  if (bytes > UNPACK_BYTES - 16) return NULL;
  size_t rounded = (bytes + 15) & ~(size_t)15;
  if (rounded > UNPACK_BYTES - reader->memory_used) return NULL;
  void *memory = reader->memory + reader->memory_used;
  reader->memory_used += rounded;
  return memory;
}
static void release_memory(void *context, void *memory) { (void)context, (void)memory; }

static weft_status read_bytes(trace_reader *reader, void *out, uint32_t count, bool *out_end) {
  int got = gzread(reader->file, out, count);
  reader->read_bytes += got > 0 ? (uint64_t)got : 0;
  int code = Z_OK;
  const char *reason = gzerror(reader->file, &code);
  if (got < 0 || code != Z_OK)
    return malformed(reader, "cannot be read: %s", code == Z_ERRNO ? strerror(errno) : reason);
  if (reader->read_bytes / INFLATE_RATIO > reader->file_bytes + 16)
    return malformed(reader, "unpacks to more than %d times its %" PRIu64 " bytes", INFLATE_RATIO, reader->file_bytes);
  if (out_end && got == 0) {
    *out_end = true;
    return NULL;
  }
  if ((uint32_t)got < count)
    return malformed(reader, "cut short: %" PRIu32 " more bytes should follow", count - (uint32_t)got);
  return NULL;
}

// One packet's frame: tag 0x0a (field 1, with length), length, bytes.
static weft_status read_packet(trace_reader *reader, uint32_t *out_bytes, bool *out_end) {
  reader->packet_offset = reader->read_bytes;
  uint8_t byte = 0;
  WEFT_TRY(read_bytes(reader, &byte, 1, out_end));
  if (*out_end) return NULL;
  if (byte != 0x0a)
    return malformed(reader, "byte 0x%02x where a packet's tag 0x0a should be; not a Perfetto trace?", byte);
  uint64_t length = 0;
  int shift = 0;
  do {
    WEFT_TRY(read_bytes(reader, &byte, 1, NULL));
    length |= (uint64_t)(byte & 0x7f) << shift;
    shift += 7;
  } while ((byte & 0x80) && shift < 28);
  if ((byte & 0x80) || length > PACKET_BYTES)
    return malformed(reader, "a packet of more than %d bytes; Weft writes none", PACKET_BYTES);
  WEFT_TRY(read_bytes(reader, reader->packet, (uint32_t)length, NULL));
  *out_bytes = (uint32_t)length;
  return NULL;
}

static bool is_text(const char *text) {  // valid UTF-8, by jansson's reckoning
  json_t *value = text ? json_string(text) : NULL;
  json_decref(value);
  return value != NULL;
}

static weft_status read_categories(trace_reader *reader, const Perfetto__Protos__InternedData *interned) {
  for (size_t c = 0; c < interned->n_event_categories; ++c) {
    const Perfetto__Protos__InternedString *entry = interned->event_categories[c];
    if (!entry->has_iid || entry->iid == 0 || entry->iid >= IIDS || !entry->name)
      return malformed(reader, "category %" PRIu64 " has no name or a number above %d", entry->iid, IIDS - 1);
    int meaning = strcmp(entry->name, HEADER_CATEGORY_NAME) == 0 ? WEFT_QUEUE_COUNT : -1;
    for (int q = 0; q < WEFT_QUEUE_COUNT; ++q)
      if (strcmp(entry->name, weft_queue_name((weft_queue)q)) == 0) meaning = q;
    if (meaning < 0) return malformed(reader, "category %" PRIu64 " is no queue of Weft's", entry->iid);
    reader->queue_of[entry->iid] = (int8_t)meaning;
  }
  for (size_t n = 0; n < interned->n_debug_annotation_names; ++n) {
    const Perfetto__Protos__InternedString *entry = interned->debug_annotation_names[n];
    if (!entry->has_iid || entry->iid == 0 || entry->iid >= IIDS || !entry->name)
      return malformed(reader, "annotation %" PRIu64 " has no name or a number above %d", entry->iid, IIDS - 1);
    int meaning = -1;
    for (int a = 0; a < SLICE_ANNOTATION_COUNT; ++a)
      if (strcmp(entry->name, slice_annotation_names[a]) == 0) meaning = a;
    if (meaning < 0) return malformed(reader, "annotation %" PRIu64 " is none of Weft's", entry->iid);
    reader->annotation_of[entry->iid] = (int8_t)meaning;
  }
  return NULL;
}

static weft_status read_names(trace_reader *reader, const Perfetto__Protos__InternedData *interned) {
  for (size_t n = 0; n < interned->n_event_names; ++n) {
    const Perfetto__Protos__InternedString *entry = interned->event_names[n];
    uint64_t steps = reader->trace ? reader->trace->header.step_count : 0;
    if (!entry->has_iid || entry->iid == 0 || entry->iid > steps)
      return malformed(reader, "slice name %" PRIu64 " of a schedule with %" PRIu64 " steps", entry->iid, steps);
    if (!is_text(entry->name) || !entry->name[0])
      return malformed(reader, "slice name %" PRIu64 " is not UTF-8 text", entry->iid);
    char **name = &reader->trace->step_names[entry->iid - 1];
    if (*name) return malformed(reader, "slice name %" PRIu64 " is given twice", entry->iid);
    *name = weft_copy_text(entry->name);
  }
  return NULL;
}

static weft_status copy_field(const trace_reader *reader, const char *what, const char *text, char *out, size_t room) {
  if (!is_text(text) || strlen(text) >= room)
    return malformed(reader, "header: \"%s\" is missing, not UTF-8, or longer than %zu bytes", what, room - 1);
  memcpy(out, text, strlen(text) + 1);
  return NULL;
}

static weft_status read_number(const trace_reader *reader, const Perfetto__Protos__DebugAnnotation *annotation,
                               const char *what, uint64_t low, uint64_t high, uint64_t *out_value) {
  if (!annotation || !annotation->has_uint_value || annotation->uint_value < low || annotation->uint_value > high)
    return malformed(reader, "\"%s\" is missing or not a whole number from %" PRIu64 " to %" PRIu64, what, low, high);
  *out_value = annotation->uint_value;
  return NULL;
}

static weft_status fill_header(const trace_reader *reader, Perfetto__Protos__DebugAnnotation *const *found,
                               weft_trace_header *header) {
  uint64_t format = 0, steps = 0, body = 0, iterations = 0;
  WEFT_TRY(read_number(reader, found[HEADER_FORMAT], "format", HEADER_FORMAT_VERSION, HEADER_FORMAT_VERSION, &format));
  WEFT_TRY(read_number(reader, found[HEADER_STEPS], "steps", 0, reader->file_bytes + SPARE_STEPS, &steps));
  WEFT_TRY(read_number(reader, found[HEADER_STEPS], "steps", 0, UINT32_MAX - 1, &steps));
  WEFT_TRY(read_number(reader, found[HEADER_BODY], "body", 0, steps, &body));
  WEFT_TRY(read_number(reader, found[HEADER_ITERATIONS], "iterations", 1, INT32_MAX, &iterations));
  header->step_count = (uint32_t)steps;
  header->body = (uint32_t)body;
  header->iterations = (uint32_t)iterations;
  const char *texts[HEADER_ANNOTATION_COUNT];
  for (int a = 0; a < HEADER_ANNOTATION_COUNT; ++a) texts[a] = found[a] ? found[a]->string_value : NULL;
  WEFT_TRY(copy_field(reader, "network", texts[HEADER_NETWORK], header->network, sizeof header->network));
  WEFT_TRY(copy_field(reader, "machine", texts[HEADER_MACHINE], header->machine, sizeof header->machine));
  WEFT_TRY(copy_field(reader, "timed_on", texts[HEADER_TIMED_ON], header->timed_on, sizeof header->timed_on));
  WEFT_TRY(copy_field(reader, "maker", texts[HEADER_MAKER], header->maker, sizeof header->maker));
  int kind = -1;
  for (int k = 0; k < WEFT_TRACE_KIND_COUNT; ++k)
    if (texts[HEADER_KIND] && strcmp(texts[HEADER_KIND], weft_trace_kind_name((weft_trace_kind)k)) == 0) kind = k;
  if (kind < 0) return malformed(reader, "header: \"kind\" is neither \"simulated\" nor \"measured\"");
  header->kind = (weft_trace_kind)kind;
  const char *hash = texts[HEADER_SCHEDULE];
  if (!hash || strlen(hash) != 18 || strncmp(hash, "0x", 2) != 0 || strspn(hash + 2, "0123456789abcdef") != 16)
    return malformed(reader, "header: \"schedule_hash\" is not 0x and 16 hexadecimal digits");
  header->schedule_hash = strtoull(hash + 2, NULL, 16);
  return NULL;
}

static weft_status read_header(trace_reader *reader, const Perfetto__Protos__TrackEvent *event) {
  if (reader->trace) return malformed(reader, "a second header: two traces in one file; read them one by one");
  Perfetto__Protos__DebugAnnotation *found[HEADER_ANNOTATION_COUNT] = {NULL};
  for (size_t i = 0; i < event->n_debug_annotations; ++i) {
    Perfetto__Protos__DebugAnnotation *annotation = event->debug_annotations[i];
    for (int a = 0; a < HEADER_ANNOTATION_COUNT; ++a)
      if (annotation->name && strcmp(annotation->name, header_annotation_names[a]) == 0) found[a] = annotation;
  }
  weft_trace_header header = {0};
  WEFT_TRY(fill_header(reader, found, &header));
  if (!event->has_track_uuid || event->track_uuid != track_base(header.kind))
    return malformed(reader, "the header is not on the process's track");
  reader->trace = weft_trace_create(&header);
  return NULL;
}

// Index into reader->open for a slice's track.
static weft_status find_track(const trace_reader *reader, const Perfetto__Protos__TrackEvent *event,
                              uint32_t *out_track) {
  uint64_t first = slice_track(reader->trace->header.kind, 0, 0);
  if (!event->has_track_uuid || event->track_uuid < first ||
      event->track_uuid - first >= WEFT_QUEUE_COUNT * WEFT_TRACE_LANES)
    return malformed(reader, "a slice on track %" PRIu64 ", which is no queue's", event->track_uuid);
  *out_track = (uint32_t)(event->track_uuid - first);
  return NULL;
}

static weft_status read_op(trace_reader *reader, uint32_t step, const Perfetto__Protos__DebugAnnotation *annotation) {
  const char *name = annotation ? annotation->string_value : NULL;
  if (!is_text(name)) return malformed(reader, "a slice without the annotation \"op\"");
  char **known = &reader->trace->step_ops[step];
  if (*known && strcmp(*known, name) == 0) return NULL;
  if (*known) return malformed(reader, "step %" PRIu32 " is both %s and %s", step, *known, name);
  weft_op op = WEFT_OP_COUNT;
  weft_status status = weft_op_parse(name, &op);
  if (status)
    return weft_status_prefix(status, "%s: packet %" PRIu64 " at byte %" PRIu64 ": ", reader->path, reader->packets,
                              reader->packet_offset);
  *known = weft_copy_text(name);
  return NULL;
}

static weft_status fill_event(trace_reader *reader, Perfetto__Protos__DebugAnnotation *const *found,
                              weft_trace_event *event) {
  const weft_trace_header *header = &reader->trace->header;
  uint64_t step = 0, iteration = 0, lane = 0;
  if (header->step_count == 0) return malformed(reader, "a slice of a schedule without steps");
  WEFT_TRY(read_number(reader, found[SLICE_STEP], "step", 0, header->step_count - 1, &step));
  WEFT_TRY(read_number(reader, found[SLICE_ITERATION], "iteration", 0, weft_trace_runs(header, (uint32_t)step) - 1,
                       &iteration));
  WEFT_TRY(read_number(reader, found[SLICE_LANE], "lane", 0, WEFT_TRACE_MAKER_LANES - 1, &lane));
  WEFT_TRY(read_number(reader, found[SLICE_BYTES], "bytes", 0, UINT64_MAX, &event->bytes));
  WEFT_TRY(read_number(reader, found[SLICE_BUSY], "busy_ns", 0, WEFT_TRACE_TIME_LIMIT, &event->busy_ns));
  if (!found[SLICE_FLOPS] || !found[SLICE_FLOPS]->has_double_value)
    return malformed(reader, "a slice without the annotation \"flops\"");
  event->flops = found[SLICE_FLOPS]->double_value;
  event->step = (uint32_t)step;
  event->iteration = (uint32_t)iteration;
  event->lane = (uint8_t)lane;
  return read_op(reader, event->step, found[SLICE_OP]);
}

static weft_status keep_flows(trace_reader *reader, const Perfetto__Protos__TrackEvent *event) {
  for (size_t f = 0; f < event->n_flow_ids; ++f) {
    if (reader->flow_count == reader->flow_room) {
      reader->flow_room = reader->flow_room ? reader->flow_room * 2 : 64;
      reader->flow_ids = weft_grow(reader->flow_ids, reader->flow_room, sizeof *reader->flow_ids);
    }
    reader->flow_ids[reader->flow_count++] = event->flow_ids[f];
  }
  return NULL;
}

static weft_status begin_slice(trace_reader *reader, uint64_t time_ns, const Perfetto__Protos__TrackEvent *event) {
  uint32_t track = 0;
  WEFT_TRY(find_track(reader, event, &track));
  if (reader->open[track].open) return malformed(reader, "a slice begins before the one on its track has ended");
  uint64_t category = event->n_category_iids == 1 ? event->category_iids[0] : 0;
  if (category >= IIDS || reader->queue_of[category] != (int)(track / WEFT_TRACE_LANES))
    return malformed(reader, "a slice whose category is not the queue of its track");
  Perfetto__Protos__DebugAnnotation *found[SLICE_ANNOTATION_COUNT] = {NULL};
  for (size_t i = 0; i < event->n_debug_annotations; ++i) {
    Perfetto__Protos__DebugAnnotation *annotation = event->debug_annotations[i];
    if (!annotation->has_name_iid || annotation->name_iid >= IIDS || reader->annotation_of[annotation->name_iid] < 0)
      return malformed(reader, "a slice's annotation has no known name");
    found[reader->annotation_of[annotation->name_iid]] = annotation;
  }
  weft_trace_event *kept = &reader->open[track].event;
  *kept = (weft_trace_event){.queue = (weft_queue)(track / WEFT_TRACE_LANES), .start_ns = time_ns};
  WEFT_TRY(fill_event(reader, found, kept));
  if (!event->has_name_iid || event->name_iid != (uint64_t)kept->step + 1 || !reader->trace->step_names[kept->step])
    return malformed(reader, "the slice of step %" PRIu32 " has no name, or another step's", kept->step);
  reader->open[track].open = true;
  return keep_flows(reader, event);
}

static weft_status end_slice(trace_reader *reader, uint64_t time_ns, const Perfetto__Protos__TrackEvent *event) {
  uint32_t track = 0;
  WEFT_TRY(find_track(reader, event, &track));
  if (!reader->open[track].open) return malformed(reader, "a slice ends that did not begin");
  reader->open[track].open = false;
  weft_trace_event *kept = &reader->open[track].event;
  kept->end_ns = time_ns;
  weft_trace_sink sink = weft_trace_sink_of(reader->trace);
  weft_status status = sink.event(sink.context, kept);
  return weft_status_prefix(status, "%s: packet %" PRIu64 " at byte %" PRIu64 ": ", reader->path, reader->packets,
                            reader->packet_offset);
}

static weft_status read_counter(trace_reader *reader, uint64_t time_ns, const Perfetto__Protos__TrackEvent *event) {
  uint64_t first = counter_track(reader->trace->header.kind, 0);
  if (!event->has_track_uuid || event->track_uuid < first || event->track_uuid - first >= WEFT_COUNTER_COUNT ||
      !event->has_double_counter_value)
    return malformed(reader, "a counter on track %" PRIu64 ", which is none of Weft's, or without a value",
                     event->track_uuid);
  weft_trace_sink sink = weft_trace_sink_of(reader->trace);
  weft_status status =
      sink.counter(sink.context, (weft_counter)(event->track_uuid - first), time_ns, event->double_counter_value);
  return weft_status_prefix(status, "%s: packet %" PRIu64 " at byte %" PRIu64 ": ", reader->path, reader->packets,
                            reader->packet_offset);
}

static weft_status take_event(trace_reader *reader, const Perfetto__Protos__TracePacket *packet) {
  const Perfetto__Protos__TrackEvent *event = packet->track_event;
  if (!packet->has_timestamp || !event->has_type) return malformed(reader, "an event without time or type");
  if (event->type == PERFETTO_INSTANT) return read_header(reader, event);
  if (!reader->trace) return malformed(reader, "an event before Weft's header; a trace of another program?");
  if (event->type == PERFETTO_SLICE_BEGIN) return begin_slice(reader, packet->timestamp, event);
  if (event->type == PERFETTO_SLICE_END) return end_slice(reader, packet->timestamp, event);
  if (event->type == PERFETTO_COUNTER) return read_counter(reader, packet->timestamp, event);
  return malformed(reader, "an event of type %" PRId32, event->type);
}

static weft_status take_packet(trace_reader *reader, const Perfetto__Protos__TracePacket *packet) {
  bool first = packet->has_first_packet_on_sequence && packet->first_packet_on_sequence;
  if (first != (reader->packets == 0))
    return malformed(reader, first ? "a second first packet: two traces in one file; read them one by one"
                                   : "not the first packet of a trace by Weft");
  if (packet->interned_data) {
    WEFT_TRY(read_categories(reader, packet->interned_data));
    WEFT_TRY(read_names(reader, packet->interned_data));
  }
  if (packet->track_event) return take_event(reader, packet);
  if (!packet->interned_data && !packet->track_descriptor) return malformed(reader, "holds nothing that Weft writes");
  return NULL;
}

static weft_status read_packets(trace_reader *reader) {
  ProtobufCAllocator allocator = {.alloc = take_memory, .free = release_memory, .allocator_data = reader};
  for (;; ++reader->packets) {
    bool end = false;
    uint32_t bytes = 0;
    WEFT_TRY(read_packet(reader, &bytes, &end));
    if (end) break;
    reader->memory_used = 0;
    Perfetto__Protos__TracePacket *packet = perfetto__protos__trace_packet__unpack(&allocator, bytes, reader->packet);
    if (!packet) return malformed(reader, "not valid Protobuf, or of more parts than Weft writes");
    WEFT_TRY(take_packet(reader, packet));
  }
  if (!reader->trace) return malformed(reader, "the file ends before Weft's header");
  for (uint32_t t = 0; t < WEFT_QUEUE_COUNT * WEFT_TRACE_LANES; ++t)
    if (reader->open[t].open)
      return malformed(reader, "the file ends inside the slice of step %" PRIu32, reader->open[t].event.step);
  return NULL;
}

static int by_number(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

// Slices with one id form a chain; a chain of n slices is n - 1 arrows.
static uint64_t count_arrows(trace_reader *reader) {
  if (reader->flow_count == 0) return 0;
  qsort(reader->flow_ids, reader->flow_count, sizeof *reader->flow_ids, by_number);
  uint64_t arrows = 0;
  for (uint64_t f = 1; f < reader->flow_count; ++f) arrows += reader->flow_ids[f] == reader->flow_ids[f - 1];
  return arrows;
}

weft_status weft_trace_read(const char *path, weft_trace **out_trace) {
  struct stat facts;
  if (stat(path, &facts) != 0) return weft_error(WEFT_INVALID, "%s: %s", path, strerror(errno));
  if (!S_ISREG(facts.st_mode)) return weft_error(WEFT_INVALID, "%s: not a regular file", path);
  errno = 0;
  gzFile file = gzopen(path, "rb");
  if (!file) return weft_error(WEFT_INVALID, "%s: %s", path, errno ? strerror(errno) : "cannot be opened");
  trace_reader *reader = weft_allocate(sizeof *reader);
  reader->path = path;
  reader->file = file;
  reader->file_bytes = (uint64_t)facts.st_size;
  memset(reader->queue_of, -1, sizeof reader->queue_of);
  memset(reader->annotation_of, -1, sizeof reader->annotation_of);
  weft_status status = read_packets(reader);
  if (gzclose_r(file) != Z_OK && !status) status = malformed(reader, "the compressed stream is cut short");
  if (status) {
    weft_trace_destroy(reader->trace);
  } else {
    reader->trace->flows = count_arrows(reader);
    weft_trace_sort(reader->trace);
    *out_trace = reader->trace;
  }
  free(reader->flow_ids);
  free(reader);
  return status;
}
