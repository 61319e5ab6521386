// Writes traces of schedules in Perfetto's native format.
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "traces/flows.h"
#include "traces/perfetto_file.h"
#include "traces/perfetto_names.h"

enum { HELD_EVENTS = 65536 };

struct weft_trace_writer {
  weft_perfetto_file *file;
  char *path;
  const weft_schedule *schedule;
  weft_trace_header header;
  weft_flows flows;
  bool *named;             // step_count: this step's name is interned
  bool failed;             // an error was returned; the file is not complete
  weft_trace_event *held;  // waiting to be sorted
  uint32_t held_count;
  uint64_t *flow_ids;  // room for the step with most arrows
  bool track_open[WEFT_QUEUE_COUNT][WEFT_TRACE_LANES], counter_open[WEFT_COUNTER_COUNT];
  uint64_t track_end[WEFT_QUEUE_COUNT][WEFT_TRACE_LANES];  // of the last slice drawn there
};

// First packet: the names that are known beforehand.
static weft_status write_first(weft_trace_writer *writer) {
  const char *categories[WEFT_QUEUE_COUNT + 1];
  for (uint32_t c = 0; c < WEFT_QUEUE_COUNT; ++c) categories[c] = weft_queue_name((weft_queue)c);
  categories[WEFT_QUEUE_COUNT] = HEADER_CATEGORY_NAME;
  const weft_perfetto_names_list names = {.categories = {categories, WEFT_QUEUE_COUNT + 1},
                                          .annotations = {slice_annotation_names, SLICE_ANNOTATION_COUNT}};
  return weft_perfetto_names(writer->file, &names);
}

static weft_status write_process(weft_trace_writer *writer) {
  const weft_trace_header *header = &writer->header;
  char *name = weft_format("%s: %s on %s", weft_trace_kind_name(header->kind), header->network, header->machine);
  weft_status status = weft_perfetto_process(writer->file, track_base(header->kind), (int32_t)header->kind + 1, name);
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
  const uint64_t numbers[HEADER_ANNOTATION_COUNT] = {[HEADER_FORMAT] = HEADER_FORMAT_VERSION,
                                                     [HEADER_STEPS] = header->step_count,
                                                     [HEADER_BODY] = header->body,
                                                     [HEADER_ITERATIONS] = header->iterations};
  weft_perfetto_annotation annotations[HEADER_ANNOTATION_COUNT];
  for (uint32_t a = 0; a < HEADER_ANNOTATION_COUNT; ++a) {
    annotations[a] = (weft_perfetto_annotation){.name = header_annotation_names[a]};
    annotations[a].kind = texts[a] ? WEFT_PERFETTO_TEXT : WEFT_PERFETTO_NUMBER;
    if (texts[a])
      annotations[a].value.text = texts[a];
    else
      annotations[a].value.number = numbers[a];
  }
  const weft_perfetto_event_definition event = {.type = PERFETTO_INSTANT,
                                                .track = track_base(header->kind),
                                                .category = CATEGORY_HEADER,
                                                .name = HEADER_SLICE_NAME,
                                                .annotations = annotations,
                                                .annotation_count = HEADER_ANNOTATION_COUNT};
  return weft_perfetto_event(writer->file, &event);
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
  const weft_perfetto_track_definition track = {.uuid = slice_track(writer->header.kind, queue, lane),
                                                .parent = track_base(writer->header.kind),
                                                .rank = (int32_t)(queue * WEFT_TRACE_LANES + lane),
                                                .name = text};
  writer->track_open[queue][lane] = true;
  return weft_perfetto_track(writer->file, &track);
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

static void annotate(weft_perfetto_annotation annotations[SLICE_ANNOTATION_COUNT], const weft_step *step,
                     const weft_trace_event *event) {
  const uint64_t numbers[SLICE_ANNOTATION_COUNT] = {[SLICE_STEP] = event->step,
                                                    [SLICE_ITERATION] = event->iteration,
                                                    [SLICE_BYTES] = event->bytes,
                                                    [SLICE_BUSY] = event->busy_ns,
                                                    [SLICE_LANE] = event->lane};
  for (uint32_t a = 0; a < SLICE_ANNOTATION_COUNT; ++a)
    annotations[a] = (weft_perfetto_annotation){.place = a, .value.number = numbers[a]};
  annotations[SLICE_OP].kind = annotations[SLICE_PHASE].kind = WEFT_PERFETTO_TEXT;
  annotations[SLICE_OP].value.text = weft_op_name(step->op);
  annotations[SLICE_PHASE].value.text = weft_phase_name(step->phase);
  annotations[SLICE_LAYER].kind = WEFT_PERFETTO_SIGNED;
  annotations[SLICE_LAYER].value.whole = step->layer;
  annotations[SLICE_FLOPS].kind = WEFT_PERFETTO_REAL;
  annotations[SLICE_FLOPS].value.real = event->flops;
}

static size_t find_flow_ids(weft_trace_writer *writer, const weft_trace_event *event) {
  const weft_flows *flows = &writer->flows;
  size_t count = 0;
  for (uint32_t f = flows->first[event->step]; f < flows->first[event->step + 1]; ++f)
    writer->flow_ids[count++] =
        (uint64_t)writer->header.kind << 62 | ((uint64_t)event->iteration * flows->count + flows->numbers[f] + 1);
  return count;
}

static weft_status write_slice(weft_trace_writer *writer, const weft_trace_event *event) {
  uint32_t lane = 0;
  WEFT_TRY(choose_lane(writer, event, &lane));
  weft_perfetto_annotation annotations[SLICE_ANNOTATION_COUNT];
  annotate(annotations, &writer->schedule->steps[event->step], event);
  char *name = writer->named[event->step] ? NULL : weft_step_describe(writer->schedule, event->step);
  const weft_perfetto_event_definition begin = {.type = PERFETTO_SLICE_BEGIN,
                                                .track = slice_track(writer->header.kind, (uint32_t)event->queue, lane),
                                                .time_ns = event->start_ns,
                                                .category = (uint64_t)event->queue + 1,
                                                .name_number = (uint64_t)event->step + 1,
                                                .new_name = name,
                                                .annotations = annotations,
                                                .annotation_count = SLICE_ANNOTATION_COUNT,
                                                .flows = writer->flow_ids,
                                                .flow_count = find_flow_ids(writer, event)};
  writer->named[event->step] = true;
  weft_status status = weft_perfetto_event(writer->file, &begin);
  free(name);
  WEFT_TRY(status);
  const weft_perfetto_event_definition end = {
      .type = PERFETTO_SLICE_END, .track = begin.track, .time_ns = event->end_ns};
  return weft_perfetto_event(writer->file, &end);
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
  const weft_perfetto_track_definition track = {.uuid = counter_track(writer->header.kind, (uint32_t)counter),
                                                .parent = track_base(writer->header.kind),
                                                .rank = WEFT_QUEUE_COUNT * WEFT_TRACE_LANES + (int32_t)counter,
                                                .name = name,
                                                .counter = true,
                                                .bytes = counter == WEFT_COUNTER_MEMORY,
                                                .unit = counter == WEFT_COUNTER_MEMORY ? NULL : "GB/s"};
  writer->counter_open[counter] = true;
  weft_status status = weft_perfetto_track(writer->file, &track);
  free(name);
  return status;
}

static weft_status take_counter(void *context, weft_counter counter, uint64_t time_ns, double value) {
  weft_trace_writer *writer = context;
  WEFT_TRY(weft_trace_counter_admit(counter, time_ns, value));
  if (!writer->counter_open[counter]) WEFT_TRY(open_counter_track(writer, counter));
  const weft_perfetto_event_definition event = {.type = PERFETTO_COUNTER,
                                                .track = counter_track(writer->header.kind, (uint32_t)counter),
                                                .time_ns = time_ns,
                                                .value = value};
  return weft_perfetto_event(writer->file, &event);
}

static void writer_free(weft_trace_writer *writer) {
  weft_flows_finish(&writer->flows);
  free(writer->path);
  free(writer->named);
  free(writer->held);
  free(writer->flow_ids);
  free(writer);
}

void weft_trace_writer_abandon(weft_trace_writer *writer) {
  if (!writer) return;
  weft_perfetto_abandon(writer->file);
  writer_free(writer);
}

static weft_trace_writer *writer_create(const char *path, const weft_schedule *schedule,
                                        const weft_trace_header *header) {
  weft_trace_writer *writer = weft_allocate(sizeof *writer);
  writer->path = weft_copy_text(path);
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
  weft_status status = weft_perfetto_open(path, (uint32_t)header->kind + 1, &writer->file);
  if (!status) status = write_first(writer);
  if (!status) status = write_process(writer);
  if (!status) status = write_header(writer);
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
  if (status)
    weft_perfetto_abandon(writer->file);
  else
    status = weft_perfetto_close(writer->file);
  writer_free(writer);
  return status;
}
