// Writes the sample traces that other programs' checks look at, and sums a trace up as `weft trace summary` does, so
// that those checks need traces/ only:
//   sample_files write FOLDER            simulated.pftrace, measured.pftrace, measured.pftrace.gz, long.pftrace
//   sample_files trace summary FILE --json
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/traces/sample.h"

static weft_status write_one(const char *folder, const char *name, weft_trace_kind kind, double slowness) {
  char *path = weft_format("%s/%s", folder, name);
  weft_trace_header header = sample_header(kind, "a computer");
  weft_trace_writer *writer = NULL;
  weft_status status = weft_trace_writer_open(path, sample_schedule(), &header, &writer);
  free(path);
  if (status) return status;
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  sample_run(slowness, &sink);
  return weft_trace_writer_close(writer);
}

// 200,000 slices that share every boundary: more than the writer holds back at once.
static weft_status write_long(const char *folder) {
  weft_schedule schedule = *sample_schedule();
  weft_trace_header header = sample_header(WEFT_TRACE_SIMULATED, "sample-mesh");
  schedule.iterations = header.iterations = 100000;
  schedule.body = schedule.step_count = header.body = header.step_count = 2;
  char *path = weft_format("%s/long.pftrace", folder);
  weft_trace_writer *writer = NULL;
  weft_status status = weft_trace_writer_open(path, &schedule, &header, &writer);
  free(path);
  if (status) return status;
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  for (uint32_t i = 0; i < 2 * schedule.iterations && !status; ++i) {
    weft_trace_event event = {
        .step = i % 2, .iteration = i / 2, .queue = schedule.steps[i % 2].queue, .start_ns = 10 * (i / 2)};
    event.end_ns = event.start_ns + (i % 7 ? 10 : 0);
    status = sink.event(sink.context, &event);
  }
  if (!status) return weft_trace_writer_close(writer);
  weft_trace_writer_abandon(writer);
  return status;
}

static weft_status write_all(const char *folder) {
  WEFT_TRY(write_one(folder, "simulated.pftrace", WEFT_TRACE_SIMULATED, 1));
  WEFT_TRY(write_one(folder, "measured.pftrace", WEFT_TRACE_MEASURED, 3));
  WEFT_TRY(write_one(folder, "measured.pftrace.gz", WEFT_TRACE_MEASURED, 3));
  return write_long(folder);
}

static weft_status summarise(const char *path) {
  weft_trace *trace = NULL;
  WEFT_TRY(weft_trace_read(path, &trace));
  weft_trace_print_summary(trace, WEFT_TABLE_JSON, stdout);
  weft_trace_destroy(trace);
  return NULL;
}

int main(int argc, char **argv) {
  weft_status status = NULL;
  if (argc == 3 && strcmp(argv[1], "write") == 0) {
    status = write_all(argv[2]);
  } else if (argc == 5 && strcmp(argv[1], "trace") == 0) {
    status = summarise(argv[3]);
  } else {
    status = weft_error(WEFT_INVALID, "usage: sample_files write FOLDER | trace summary FILE --json");
  }
  if (!status) return 0;
  fprintf(stderr, "sample_files: %s\n", weft_status_message(status));
  int code = (int)weft_status_code(status);
  weft_status_free(status);
  return code;
}
