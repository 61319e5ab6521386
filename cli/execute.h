// What the commands that execute share (run, generate, train, score): a model opened from a checkpoint, schedules for
// this computer, and a measured trace's header.
#ifndef WEFT_CLI_EXECUTE_H
#define WEFT_CLI_EXECUTE_H

#include "models/checkpoint.h"
#include "models/tokenizer.h"
#include "runtime/session.h"
#include "runtime/store.h"
#include "traces/takes.h"

// --backend, --threads, --dtype and --machine as given; strings may be NULL.
typedef struct weft_cli_device {
  char *backend, *dtype, *machine;
  int threads;
} weft_cli_device;

// The rows of a command's popt table for them.
#define WEFT_CLI_BACKEND_OPTIONS(device)                                                                     \
  {"backend", 'b', POPT_ARG_STRING, &(device).backend, 0, "cpu (default) or ref (weft backends)", "NAME"}, { \
    "threads", 't', POPT_ARG_INT, &(device).threads, 0, "of the backend (default: all cores)", "N"           \
  }
#define WEFT_CLI_COMPILE_OPTIONS(device)                                                                               \
  {"dtype", 0, POPT_ARG_STRING, &(device).dtype, 0, "of streamed weights and activations: f32 (default), bf16 or f16", \
   "DTYPE"},                                                                                                           \
  {                                                                                                                    \
    "machine", 'm', POPT_ARG_STRING, &(device).machine, 0, "compile for this machine (default: this computer)",        \
        "MACHINE"                                                                                                      \
  }
void weft_cli_device_finish(weft_cli_device *device);

weft_status weft_cli_backend(const weft_cli_device *device, const weft_backend **out_backend,
                             weft_backend_options *out_options) WEFT_CHECKED;
weft_status weft_cli_dtype(const weft_cli_device *device, weft_dtype *out_dtype) WEFT_CHECKED;

// Compiles for --machine, or for this computer with its memory and unmeasured speeds.
weft_status weft_cli_compile(const weft_cli_device *device, const weft_network *network, const weft_run *run,
                             weft_schedule **out_schedule) WEFT_CHECKED;

// Reads a whole number option that must lie in [low, high].
weft_status weft_cli_count(const char *option, long long value, long long low, long long high,
                           uint32_t *out_count) WEFT_CHECKED;

// A checkpoint with its network, and a tokenizer where one is asked for (`tokenizer` NULL: the checkpoint's own).
typedef struct weft_cli_model {
  weft_checkpoint *checkpoint;
  weft_network network;
  weft_tokenizer *tokenizer;
} weft_cli_model;
weft_status weft_cli_model_open(const char *path, const char *tokenizer, weft_cli_model *out_model) WEFT_CHECKED;
void weft_cli_model_close(weft_cli_model *model);  // takes a zeroed one

// Ids of a text; bos in front where the tokenizer's file asks for it. Caller frees *out_ids.
weft_status weft_cli_encode(const weft_tokenizer *tokenizer, const char *text, size_t bytes, int32_t **out_ids,
                            uint64_t *out_count) WEFT_CHECKED;

// A trace of what `backend` measures of `schedule`. `device` (may be NULL) is the backend's line about itself.
weft_status weft_cli_trace_open(const char *path, const weft_schedule *schedule, const weft_backend *backend,
                                const char *device, weft_trace_writer **out_writer) WEFT_CHECKED;
// Writes the typical one of `takes` and ends the file; abandons it and returns `status` if that is a failure.
weft_status weft_cli_trace_close(weft_trace_writer *writer, const weft_trace_takes *takes,
                                 weft_status status) WEFT_CHECKED;

#endif
