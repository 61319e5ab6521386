// Writing safetensors: the header is small and built in memory, the data goes straight from the caller's to the file.
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/checkpoint_internal.h"

static const char *format_name(weft_dtype dtype) {
  switch (dtype) {
    case WEFT_F32: return "F32";
    case WEFT_F16: return "F16";
    case WEFT_BF16: return "BF16";
    case WEFT_F64: return "F64";
    case WEFT_I64: return "I64";
    case WEFT_I32: return "I32";
    case WEFT_I16: return "I16";
    case WEFT_I8: return "I8";
    case WEFT_U8: return "U8";
    case WEFT_BOOL: return "BOOL";
    default: return NULL;
  }
}

static weft_status tensor_bytes(const weft_saved_tensor *tensor, uint64_t *out_bytes) {
  if (!format_name(tensor->dtype))
    return weft_error(WEFT_INVALID, "safetensors has no name for %s; convert to f32, f16 or bf16",
                      weft_dtype_name(tensor->dtype));
  if (tensor->rank > 4) return weft_error(WEFT_INVALID, "%u dimensions; Weft writes up to 4", tensor->rank);
  uint64_t elements = 1;
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    if (tensor->shape[i] > INT64_MAX || __builtin_mul_overflow(elements, tensor->shape[i], &elements))
      return weft_error(WEFT_INVALID, "the shape is too large");
  }
  if (!weft_dtype_bytes(tensor->dtype, elements, out_bytes) || *out_bytes > INT64_MAX)
    return weft_error(WEFT_INVALID, "the shape is too large");
  return NULL;
}

static weft_status add_entry(json_t *root, const weft_saved_tensor *tensor, uint64_t *end) {
  if (!weft_checkpoint_name_is_printable(tensor->name, strlen(tensor->name)) ||
      strcmp(tensor->name, "__metadata__") == 0)
    return weft_error(WEFT_INVALID, "not a name for a tensor (empty, reserved, control characters or not UTF-8)");
  if (json_object_get(root, tensor->name)) return weft_error(WEFT_INVALID, "given twice");
  uint64_t bytes, begin = *end;
  WEFT_TRY(tensor_bytes(tensor, &bytes));
  if (__builtin_add_overflow(*end, bytes, end) || *end > INT64_MAX)
    return weft_error(WEFT_INVALID, "the file would be too large");
  json_t *shape = json_array();
  for (uint32_t i = 0; i < tensor->rank; ++i) json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
  json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", format_name(tensor->dtype), "shape", shape, "data_offsets",
                            (json_int_t)begin, (json_int_t)*end);
  if (json_object_set_new(root, tensor->name, entry) != 0) return weft_error(WEFT_FAILED, "no memory for the header");
  return NULL;
}

static weft_status add_metadata(json_t *root, const char *const *metadata, uint32_t pairs) {
  json_t *object = json_object();
  json_object_set_new(root, "__metadata__", object);
  for (uint32_t i = 0; i < pairs; ++i) {
    const char *key = metadata[2 * (size_t)i], *value = metadata[2 * (size_t)i + 1];
    if (json_object_get(object, key)) return weft_error(WEFT_INVALID, "metadata \"%s\" is given twice", key);
    if (json_object_set_new(object, key, json_string(value)) != 0)
      return weft_error(WEFT_INVALID, "metadata: not UTF-8");
  }
  return NULL;
}

static weft_status build_header(const weft_saved_tensor *tensors, uint32_t count, const char *const *metadata,
                                uint32_t pairs, char **out_text) {
  json_t *root = json_object();
  uint64_t end = 0;
  weft_status status = pairs ? add_metadata(root, metadata, pairs) : NULL;
  for (uint32_t i = 0; i < count && !status; ++i)
    status = weft_status_prefix(add_entry(root, &tensors[i], &end), "tensor \"%s\": ", tensors[i].name);
  if (!status && !(*out_text = json_dumps(root, JSON_COMPACT)))
    status = weft_error(WEFT_FAILED, "no memory for the header");
  json_decref(root);
  return status;
}

static bool write_all(FILE *file, const weft_saved_tensor *tensors, uint32_t count, const char *header) {
  size_t used = strlen(header), padded = (used + 7) / 8 * 8;
  uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = (uint8_t)((uint64_t)padded >> (8 * i));
  bool good = fwrite(length, 1, 8, file) == 8 && fwrite(header, 1, used, file) == used &&
              fwrite("        ", 1, padded - used, file) == padded - used;
  for (uint32_t i = 0; i < count && good; ++i) {
    uint64_t bytes = 0;
    weft_status checked = tensor_bytes(&tensors[i], &bytes);  // passed once in build_header
    weft_status_free(checked);
    good = bytes == 0 || fwrite(tensors[i].data, 1, (size_t)bytes, file) == (size_t)bytes;
  }
  return good && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

weft_status weft_safetensors_write(const char *path, const weft_saved_tensor *tensors, uint32_t count,
                                   const char *const *metadata, uint32_t metadata_pairs) {
  char *header = NULL;
  WEFT_TRY(weft_status_prefix(build_header(tensors, count, metadata, metadata_pairs, &header), "%s: ", path));
  char *part = weft_format("%s.part", path);
  FILE *file = fopen(part, "wb");
  bool good = file != NULL;
  int reason = good ? 0 : errno;
  if (file) {
    good = write_all(file, tensors, count, header);
    if (!good) reason = errno;
    if (fclose(file) != 0 && good) good = false, reason = errno;
    if (good && rename(part, path) != 0) good = false, reason = errno;
    if (!good) unlink(part);
  }
  free(part);
  free(header);
  return good ? NULL : weft_error(WEFT_FAILED, "%s: cannot write: %s", path, strerror(reason));
}
