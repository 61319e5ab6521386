#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "compiler/compile.h"
#include "tests/golden_program/golden.h"

weft_status golden_compile(const golden *g, const weft_network *network, weft_run run, weft_schedule **out_schedule) {
  run.dtype = g->dtype;
  return weft_compile(network, g->machine, &run, out_schedule);
}

bool golden_has(const weft_checkpoint *file, const char *name) {
  for (uint32_t i = 0; i < weft_checkpoint_count(file); ++i)
    if (strcmp(weft_checkpoint_tensor(file, i).name, name) == 0) return true;
  return false;
}

weft_status golden_read(const weft_checkpoint *file, const char *prefix, const char *name, float **out_values,
                        weft_stored_tensor *out_tensor) {
  char *full = weft_format("%s%s", prefix, name);
  weft_stored_tensor tensor = {0};
  weft_status status = weft_checkpoint_find(file, full, &tensor);
  free(full);
  WEFT_TRY(status);
  uint64_t count = 1;
  for (uint32_t d = 0; d < tensor.rank; ++d) count *= tensor.shape[d];
  float *values = weft_allocate_array(count, sizeof *values);
  weft_dtype_to_f32(tensor.dtype, tensor.data, values, count);
  *out_values = values;
  if (out_tensor) *out_tensor = tensor;
  return NULL;
}

weft_status golden_ids(const weft_checkpoint *file, const char *name, int32_t **out_ids,
                       weft_stored_tensor *out_tensor) {
  weft_stored_tensor tensor = {0};
  WEFT_TRY(weft_checkpoint_find(file, name, &tensor));
  if (tensor.dtype != WEFT_I32) return weft_error(WEFT_INVALID, "%s: %s must be i32", tensor.file, name);
  *out_ids = weft_allocate(tensor.bytes);
  memcpy(*out_ids, tensor.data, tensor.bytes);
  if (out_tensor) *out_tensor = tensor;
  return NULL;
}

double golden_largest(const float *ours, const float *theirs, uint64_t count) {
  double largest = 0;
  for (uint64_t i = 0; i < count; ++i) {
    double error = fabs((double)ours[i] - (double)theirs[i]);
    if (!(error <= largest)) largest = error;  // a NaN stays
    if (isnan(largest)) break;
  }
  return largest;
}

double golden_norm(const float *values, uint64_t count) {
  double sum = 0;
  for (uint64_t i = 0; i < count; ++i) sum += (double)values[i] * (double)values[i];
  return sqrt(sum);
}

double golden_distance(const float *ours, const float *theirs, uint64_t count) {
  double sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    double error = (double)ours[i] - (double)theirs[i];
    sum += error * error;
  }
  return sqrt(sum);
}

static weft_status visit_line(const char *path, uint64_t number, const char *text, size_t bytes,
                              weft_status (*visit)(void *context, json_t *line), void *context) {
  json_error_t error;
  json_t *line = json_loadb(text, bytes, JSON_ALLOW_NUL, &error);
  if (!line)
    return weft_error(WEFT_INVALID, "%s:%llu:%d: %s", path, (unsigned long long)number, error.column, error.text);
  weft_status status = visit(context, line);
  json_decref(line);
  return weft_status_prefix(status, "%s:%llu: ", path, (unsigned long long)number);
}

weft_status golden_lines(const char *path, weft_status (*visit)(void *context, json_t *line), void *context) {
  weft_mapping mapping = {0};
  WEFT_TRY(weft_mapping_open(path, &mapping));
  const char *text = (const char *)mapping.bytes;
  weft_status status = NULL;
  uint64_t number = 0;
  for (size_t at = 0; at < mapping.size && !status;) {
    const char *end = memchr(text + at, '\n', mapping.size - at);
    size_t bytes = end ? (size_t)(end - text) - at : mapping.size - at;
    ++number;
    if (bytes > 0) status = visit_line(path, number, text + at, bytes, visit, context);
    at += bytes + 1;
  }
  weft_mapping_close(&mapping);
  if (!status && number == 0) status = weft_error(WEFT_INVALID, "%s: the file is empty", path);
  return status;
}
