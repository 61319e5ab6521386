#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "runtime/store_internal.h"

static weft_saved_tensor saved(const char *name, const weft_parameter *parameter, weft_dtype dtype, const void *data) {
  weft_saved_tensor tensor = {.name = name, .dtype = dtype, .rank = parameter->rank, .data = data};
  for (uint32_t d = 0; d < parameter->rank; ++d) tensor.shape[d] = parameter->shape[d];
  return tensor;
}

// Converts by way of f32 in small pieces, so that no second copy of a table is needed.
static void convert(weft_dtype from_dtype, const uint8_t *from, weft_dtype to_dtype, uint8_t *to, uint64_t count) {
  enum { PIECE = 4096 };
  float values[PIECE];
  size_t from_bytes = weft_dtype_block_bytes(from_dtype), to_bytes = weft_dtype_block_bytes(to_dtype);
  for (uint64_t done = 0; done < count; done += PIECE) {
    size_t piece = (size_t)(count - done < PIECE ? count - done : PIECE);
    weft_dtype_to_f32(from_dtype, from + done * from_bytes, values, piece);
    weft_dtype_from_f32(to_dtype, values, to + done * to_bytes, piece);
  }
}

static weft_status save_config(const weft_store *store, const char *directory, weft_dtype dtype) {
  weft_network network = store->network;
  network.dtype = dtype;
  json_t *config = weft_network_pack(&network);
  char *text = json_dumps(config, JSON_INDENT(2));
  json_decref(config);
  if (!text) return weft_error(WEFT_FAILED, "%s/config.json: no memory for its text", directory);
  char *line = weft_format("%s\n", text), *path = weft_format("%s/config.json", directory);
  weft_status status = weft_file_write(path, line, strlen(line));
  free(path);
  free(line);
  free(text);
  return status;
}

static weft_status save_weights(const weft_store *store, const char *directory, weft_dtype dtype) {
  uint64_t elements = 0;
  for (uint32_t i = 0; i < store->count; ++i) {
    if (store->entries[i].view.dtype != dtype) elements += store->entries[i].elements;
  }
  void *memory = NULL;
  size_t each = weft_dtype_block_bytes(dtype);
  WEFT_TRY(weft_allocate_large((size_t)elements * each, "the weights to save", &memory));
  weft_saved_tensor *tensors = weft_allocate_array(store->count, sizeof *tensors);
  uint8_t *next = memory;
  for (uint32_t i = 0; i < store->count; ++i) {
    const weft_store_entry *entry = &store->entries[i];
    const void *data = entry->view.data;
    if (entry->view.dtype != dtype) {
      convert(entry->view.dtype, data, dtype, next, entry->elements);
      data = next;
      next += entry->elements * each;
    }
    tensors[i] = saved(entry->parameter.name, &entry->parameter, dtype, data);
  }
  char *path = weft_format("%s/model.safetensors", directory);
  // transformers refuses a file that does not say what it was made for.
  const char *metadata[] = {"format", "pt"};
  weft_status status = weft_safetensors_write(path, tensors, store->count, metadata, 1);
  free(path);
  free(tensors);
  weft_free_large(memory);
  return status;
}

static weft_status save_state(const weft_store *store, const char *directory) {
  weft_saved_tensor *tensors = weft_allocate_array(3 * (size_t)store->count + 1, sizeof *tensors);
  weft_arena names;
  weft_arena_init(&names);
  weft_status status = NULL;
  uint32_t count = 0;
  double steps = (double)store->steps;
  for (uint32_t i = 0; i < store->count && !status; ++i) {
    const weft_store_entry *entry = &store->entries[i];
    const weft_parameter *parameter = &entry->parameter;
    if (!store->training)
      status = weft_error(WEFT_INVALID, "%s: a store opened for inference has no state to save", directory);
    tensors[count++] = saved(weft_arena_format(&names, "w.%s", parameter->name), parameter, WEFT_F32, entry->view.data);
    if (!entry->moments[0] || !entry->moments[1]) continue;
    tensors[count++] =
        saved(weft_arena_format(&names, "m.%s", parameter->name), parameter, WEFT_F32, entry->moments[0]);
    tensors[count++] =
        saved(weft_arena_format(&names, "v.%s", parameter->name), parameter, WEFT_F32, entry->moments[1]);
  }
  if (!status) {
    tensors[count++] = (weft_saved_tensor){.name = "step", .dtype = WEFT_F64, .rank = 1, .shape = {1}, .data = &steps};
    char *path = weft_format("%s/optimizer.safetensors", directory);
    const char *metadata[] = {"step", weft_arena_format(&names, "%llu", (unsigned long long)store->steps)};
    status = weft_safetensors_write(path, tensors, count, metadata, 1);
    free(path);
  }
  weft_arena_finish(&names);
  free(tensors);
  return status;
}

weft_status weft_store_save(const weft_store *store, const char *directory, weft_dtype dtype, bool state) {
  assert(weft_dtype_computes(dtype));
  WEFT_TRY(weft_directory_make(directory));
  WEFT_TRY(save_config(store, directory, dtype));
  WEFT_TRY(save_weights(store, directory, dtype));
  return state ? save_state(store, directory) : NULL;
}

// Copies one f32 tensor of the file over `out`, if it is what the parameter needs.
static weft_status restore(const weft_checkpoint *file, const char *prefix, const weft_parameter *parameter,
                           void *out) {
  char *name = weft_format("%s%s", prefix, parameter->name);
  weft_stored_tensor tensor = {0};
  weft_status status = weft_checkpoint_find(file, name, &tensor);
  bool same = !status && tensor.dtype == WEFT_F32 && tensor.rank == parameter->rank;
  for (uint32_t d = 0; same && d < tensor.rank; ++d) same = tensor.shape[d] == parameter->shape[d];
  if (!status && !same) {
    status = weft_error(WEFT_INVALID, "%s: %s is %s of rank %u; an f32 tensor with the shape of %s is needed",
                        tensor.file, name, weft_dtype_name(tensor.dtype), tensor.rank, parameter->name);
  }
  if (!status) memcpy(out, tensor.data, (size_t)tensor.bytes);
  free(name);
  return status;
}

static weft_status read_steps(const weft_checkpoint *file, uint64_t *out_steps) {
  weft_stored_tensor tensor = {0};
  WEFT_TRY(weft_checkpoint_find(file, "step", &tensor));
  double steps = -1;
  if (tensor.dtype == WEFT_F64 && tensor.bytes == sizeof steps) memcpy(&steps, tensor.data, sizeof steps);
  if (!(steps >= 0 && steps < 0x1p53 && steps == floor(steps))) {
    return weft_error(WEFT_INVALID, "%s: the tensor \"step\" must be one f64 that counts updates", tensor.file);
  }
  *out_steps = (uint64_t)steps;
  return NULL;
}

static weft_status resume_from(weft_store *store, const weft_checkpoint *file) {
  uint64_t steps = 0;
  WEFT_TRY(read_steps(file, &steps));
  bool moments = weft_checkpoint_count(file) > store->count + 1;  // SGD has none
  for (uint32_t i = 0; i < store->count; ++i) {
    weft_store_entry *entry = &store->entries[i];
    weft_view moment = {0};
    WEFT_TRY(restore(file, "w.", &entry->parameter, entry->view.data));
    if (!moments) continue;
    WEFT_TRY(weft_store_moment(store, i, 1, &moment));
    WEFT_TRY(restore(file, "m.", &entry->parameter, moment.data));
    WEFT_TRY(weft_store_moment(store, i, 2, &moment));
    WEFT_TRY(restore(file, "v.", &entry->parameter, moment.data));
  }
  store->steps = steps;
  return NULL;
}

weft_status weft_store_resume(weft_store *store, const char *directory) {
  if (!store->training)
    return weft_error(WEFT_INVALID, "%s: a store opened for inference cannot resume training", directory);
  char *path = weft_format("%s/optimizer.safetensors", directory);
  weft_checkpoint *file = NULL;
  weft_status status = weft_checkpoint_open(path, &file);
  if (!status) status = resume_from(store, file);
  weft_checkpoint_close(file);
  free(path);
  return weft_status_prefix(status, "cannot resume: ");
}
