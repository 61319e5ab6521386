#include "cli/execute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "compiler/compile.h"

void weft_cli_device_finish(weft_cli_device *device) {
  free(device->backend);
  free(device->dtype);
  free(device->machine);
  *device = (weft_cli_device){0};
}

weft_status weft_cli_count(const char *option, long long value, long long low, long long high, uint32_t *out_count) {
  if (value < low || value > high) {
    return weft_error(WEFT_INVALID, "--%s %lld: expected a whole number from %lld to %lld", option, value, low, high);
  }
  *out_count = (uint32_t)value;
  return NULL;
}

weft_status weft_cli_backend(const weft_cli_device *device, const weft_backend **out_backend,
                             weft_backend_options *out_options) {
  WEFT_TRY(weft_cli_count("threads", device->threads, 0, 4096, &out_options->threads));
  return weft_backend_find(device->backend ? device->backend : "cpu", out_backend);
}

weft_status weft_cli_dtype(const weft_cli_device *device, weft_dtype *out_dtype) {
  weft_dtype dtype = WEFT_F32;
  if (device->dtype) WEFT_TRY(weft_dtype_parse(device->dtype, &dtype));
  if (!weft_dtype_computes(dtype))
    return weft_error(WEFT_INVALID, "--dtype %s: expected f32, bf16 or f16", device->dtype);
  *out_dtype = dtype;
  return NULL;
}

// This computer as far as compiling needs it: its memory. The speeds are estimates of a core with wide vectors; they
// only weigh keeping activations against computing them again. `weft calibrate` measures.
static weft_machine this_computer(void) {
  weft_machine machine = weft_machine_default();
  long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  double memory = (double)(pages > 0 ? pages : 1 << 20) * (double)(page > 0 ? page : 4096),
         n = cores > 0 ? (double)cores : 1;
  snprintf(machine.name, sizeof machine.name, "this-computer");
  snprintf(machine.about, sizeof machine.about, "the computer that executes, not measured");
  machine.kind = WEFT_ROOFLINE;
  machine.roofline = (weft_roofline){.f32_flops_per_second = 5e10 * n,
                                     .f16_flops_per_second = 5e10 * n,
                                     .bf16_flops_per_second = 5e10 * n,
                                     .memory_bytes = memory,
                                     .memory_bytes_per_second = 2e10,
                                     .cores = (uint32_t)n,
                                     .shared_cores = true,
                                     .copy_bytes_per_second = 5e9,
                                     .sharing_efficiency = 1,
                                     .compute_efficiency = 0.7,
                                     .memory_efficiency = 0.7};
  machine.io_in_bytes_per_second = machine.io_out_bytes_per_second = 5e9;
  machine.store_bytes = memory;
  machine.store_bytes_per_second = 1e10;
  machine.max_systems = 1;
  return machine;
}

weft_status weft_cli_compile(const weft_cli_device *device, const weft_network *network, const weft_run *run,
                             weft_schedule **out_schedule) {
  if (!device->machine) {
    weft_machine machine = this_computer();
    return weft_compile(network, &machine, run, out_schedule);
  }
  weft_machine *machine = NULL;
  WEFT_TRY(weft_machine_read(device->machine, &machine));
  weft_status status = weft_compile(network, machine, run, out_schedule);
  weft_machine_destroy(machine);
  return status;
}

weft_status weft_cli_model_open(const char *path, const char *tokenizer, weft_cli_model *out_model) {
  weft_cli_model model = {0};
  weft_status status = weft_checkpoint_open(path, &model.checkpoint);
  if (!status) status = weft_checkpoint_network(model.checkpoint, &model.network);
  if (!status)
    status = tokenizer ? weft_tokenizer_open(tokenizer, &model.tokenizer)
                       : weft_tokenizer_of(model.checkpoint, path, &model.tokenizer);
  if (status) {
    weft_cli_model_close(&model);
    return status;
  }
  *out_model = model;
  return NULL;
}

void weft_cli_model_close(weft_cli_model *model) {
  weft_tokenizer_close(model->tokenizer);
  weft_checkpoint_close(model->checkpoint);
  *model = (weft_cli_model){0};
}

weft_status weft_cli_encode(const weft_tokenizer *tokenizer, const char *text, size_t bytes, int32_t **out_ids,
                            uint64_t *out_count) {
  int32_t *ids = NULL;
  size_t count = 0;
  WEFT_TRY(weft_tokenizer_encode(tokenizer, text, bytes, &ids, &count));
  int64_t bos = weft_tokenizer_bos(tokenizer);
  if (weft_tokenizer_adds_bos(tokenizer) && bos >= 0) {
    ids = weft_grow(ids, count + 1, sizeof *ids);
    memmove(ids + 1, ids, count * sizeof *ids);
    ids[0] = (int32_t)bos;
    ++count;
  }
  *out_ids = ids;
  *out_count = count;
  return NULL;
}

weft_status weft_cli_trace_open(const char *path, const weft_schedule *schedule, const weft_backend *backend,
                                const char *device, weft_trace_writer **out_writer) {
  weft_trace_header header = {.kind = WEFT_TRACE_MEASURED,
                              .schedule_hash = weft_schedule_hash(schedule),
                              .step_count = schedule->step_count,
                              .body = schedule->body,
                              .iterations = schedule->iterations};
  snprintf(header.network, sizeof header.network, "%s", schedule->network.name);
  snprintf(header.machine, sizeof header.machine, "%s", schedule->machine->name);
  snprintf(header.maker, sizeof header.maker, "runtime %s%s%s", backend->name, device ? ", " : "",
           device ? device : "");
  weft_machine_host_identity(header.timed_on);
  return weft_trace_writer_open(path, schedule, &header, out_writer);
}

weft_status weft_cli_trace_close(weft_trace_writer *writer, const weft_trace_takes *takes, weft_status status) {
  if (!status) {
    weft_trace_sink sink = weft_trace_writer_sink(writer);
    status = weft_trace_takes_replay(takes, &sink, NULL, NULL);
  }
  if (status) {
    weft_trace_writer_abandon(writer);
    return status;
  }
  return weft_trace_writer_close(writer);
}
