// Reading safetensors, after the format's description (github.com/huggingface/safetensors, README and its Rust reader's
// checks): 8 bytes of header length, little-endian; a JSON object; the tensors' data, without holes or overlaps.
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/checkpoint_internal.h"

enum { MAX_HEADER_BYTES = 100000000, MAX_RANK = 4 };

static const struct {
  const char *name;
  weft_dtype dtype;
} dtypes[] = {
    {"F32", WEFT_F32}, {"F16", WEFT_F16}, {"BF16", WEFT_BF16}, {"F64", WEFT_F64}, {"I64", WEFT_I64},
    {"I32", WEFT_I32}, {"I16", WEFT_I16}, {"I8", WEFT_I8},     {"U8", WEFT_U8},   {"BOOL", WEFT_BOOL},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static weft_status read_dtype(const json_t *entry, weft_dtype *out_dtype) {
  const char *name = json_string_value(json_object_get(entry, "dtype"));
  if (!name) return weft_error(WEFT_INVALID, "dtype: expected a text such as \"F32\"");
  const char *names[DTYPES];
  for (size_t i = 0; i < DTYPES; ++i) {
    names[i] = dtypes[i].name;
    if (strcmp(name, dtypes[i].name) != 0) continue;
    *out_dtype = dtypes[i].dtype;
    return NULL;
  }
  return weft_error(WEFT_INVALID, "dtype \"%.40s\" is not one that Weft reads; the nearest is \"%s\"", name,
                    weft_nearest(name, names, DTYPES));
}

// A whole number of at least 0; offsets and extents are at most the file's size in any file that passes.
static bool read_whole(const json_t *value, uint64_t *out_value) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  *out_value = (uint64_t)json_integer_value(value);
  return true;
}

static weft_status read_shape(const json_t *entry, weft_stored_tensor *tensor) {
  json_t *shape = json_object_get(entry, "shape");
  if (!json_is_array(shape)) return weft_error(WEFT_INVALID, "shape: expected a list of whole numbers");
  if (json_array_size(shape) > MAX_RANK)
    return weft_error(WEFT_INVALID, "shape: %zu dimensions; Weft reads up to %d", json_array_size(shape), MAX_RANK);
  tensor->rank = (uint32_t)json_array_size(shape);
  uint64_t elements = 1;
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    if (!read_whole(json_array_get(shape, i), &tensor->shape[i]))
      return weft_error(WEFT_INVALID, "shape: dimension %u is not a whole number of at least 0", i);
    if (__builtin_mul_overflow(elements, tensor->shape[i], &elements))
      return weft_error(WEFT_INVALID, "shape: more than 2^64 elements");
  }
  if (!weft_dtype_bytes(tensor->dtype, elements, &tensor->bytes))
    return weft_error(WEFT_INVALID, "shape: more than 2^64 bytes");
  return NULL;
}

// `tensor->data` is set once the offsets are known to lie inside the file.
static weft_status read_entry(json_t *entry, const uint8_t *data, uint64_t data_bytes, weft_stored_tensor *tensor) {
  if (!json_is_object(entry)) return weft_error(WEFT_INVALID, "expected {\"dtype\", \"shape\", \"data_offsets\"}");
  static const char *const keys[] = {"dtype", "shape", "data_offsets"};
  const char *key;
  json_t *value;
  json_object_foreach(entry, key, value) {
    if (strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0 && strcmp(key, keys[2]) != 0)
      return weft_error(WEFT_INVALID, "unknown key; the nearest known one is \"%s\"", weft_nearest(key, keys, 3));
  }
  WEFT_TRY(read_dtype(entry, &tensor->dtype));
  WEFT_TRY(read_shape(entry, tensor));
  json_t *offsets = json_object_get(entry, "data_offsets");
  uint64_t begin, end;
  if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !read_whole(json_array_get(offsets, 0), &begin) ||
      !read_whole(json_array_get(offsets, 1), &end))
    return weft_error(WEFT_INVALID, "data_offsets: expected [begin, end]");
  if (begin > end || end > data_bytes)
    return weft_error(WEFT_INVALID,
                      "data_offsets: [%" PRIu64 ", %" PRIu64 "] is outside the file's %" PRIu64 " bytes of data", begin,
                      end, data_bytes);
  if (end - begin != tensor->bytes) {
    char shape[96];
    return weft_error(WEFT_INVALID, "data_offsets: %" PRIu64 " bytes, but shape %s of %s needs %" PRIu64, end - begin,
                      weft_checkpoint_shape_text(tensor->rank, tensor->shape, shape), weft_dtype_name(tensor->dtype),
                      tensor->bytes);
  }
  tensor->data = data + begin;
  return NULL;
}

static int by_place(const void *a, const void *b) {
  const weft_stored_tensor *first = a, *second = b;
  uintptr_t p = (uintptr_t)first->data, q = (uintptr_t)second->data;
  if (p != q) return p < q ? -1 : 1;
  return first->bytes < second->bytes ? -1 : first->bytes > second->bytes;  // empty tensors come before their neighbour
}

// Every byte of data belongs to exactly one tensor: anything else could hide content, and the format refuses it.
static weft_status check_cover(weft_stored_tensor *added, uint32_t count, const uint8_t *data, uint64_t data_bytes,
                               const char *file) {
  if (count > 1) qsort(added, count, sizeof *added, by_place);
  uint64_t end = 0;
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t begin = (uint64_t)((const uint8_t *)added[i].data - data);
    if (begin < end)
      return weft_error(WEFT_INVALID, "%s: tensors \"%s\" and \"%s\" overlap at data byte %" PRIu64, file,
                        added[i - 1].name, added[i].name, begin);
    if (begin > end)
      return weft_error(WEFT_INVALID, "%s: data bytes %" PRIu64 " to %" PRIu64 " before \"%s\" belong to no tensor",
                        file, end, begin, added[i].name);
    end = begin + added[i].bytes;
  }
  if (end != data_bytes)
    return weft_error(WEFT_INVALID, "%s: the tensors end at data byte %" PRIu64 ", the file at %" PRIu64, file, end,
                      data_bytes);
  return NULL;
}

static weft_status check_metadata(json_t *metadata) {
  if (!json_is_object(metadata)) return weft_error(WEFT_INVALID, "__metadata__: expected an object of texts");
  const char *key;
  json_t *value;
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value)) return weft_error(WEFT_INVALID, "__metadata__: \"%.60s\" is not a text", key);
  }
  return NULL;
}

static weft_status read_entries(weft_checkpoint *checkpoint, json_t *root, const uint8_t *data, uint64_t data_bytes,
                                const char *file) {
  uint32_t first = checkpoint->count;
  const char *key;
  json_t *value;
  json_object_foreach(root, key, value) {
    if (strcmp(key, "__metadata__") == 0) {
      WEFT_TRY(weft_status_prefix(check_metadata(value), "%s: ", file));
      continue;
    }
    if (!weft_checkpoint_name_is_printable(key, strlen(key)))
      return weft_error(WEFT_INVALID, "%s: the tensor name \"%s\" is empty or holds control characters", file,
                        weft_checkpoint_quote(checkpoint, key, strlen(key)));
    weft_stored_tensor tensor = {.file = file};
    WEFT_TRY(weft_status_prefix(read_entry(value, data, data_bytes, &tensor), "%s: tensor \"%s\": ", file, key));
    tensor.name = weft_arena_copy_text(&checkpoint->arena, key);
    weft_checkpoint_add(checkpoint, &tensor);
  }
  uint32_t added = checkpoint->count - first;
  return check_cover(added ? &checkpoint->tensors[first] : NULL, added, data, data_bytes, file);
}

static weft_status refuse(const uint8_t *bytes, size_t size, const char *file, uint64_t header) {
  if (size >= 4 && memcmp(bytes, "PK\003\004", 4) == 0)
    return weft_error(WEFT_INVALID, "%s: a zip archive, probably PyTorch's own format; convert it to safetensors",
                      file);
  if (header > MAX_HEADER_BYTES)
    return weft_error(WEFT_INVALID,
                      "%s: not safetensors: the first 8 bytes, the header's length, say %" PRIu64
                      ", and a header has at most %d bytes",
                      file, header, MAX_HEADER_BYTES);
  return weft_error(WEFT_INVALID,
                    "%s: truncated: the header needs %" PRIu64 " bytes after the first 8, the file has %zu", file,
                    header, size - 8);
}

weft_status weft_safetensors_read(weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size, const char *file) {
  if (size < 8)
    return weft_error(WEFT_INVALID, "%s: %zu bytes is too short for safetensors (8 bytes of header length)", file,
                      size);
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i) header = header << 8 | bytes[i];
  if (header > MAX_HEADER_BYTES || header > size - 8) return refuse(bytes, size, file, header);
  if (header == 0 || bytes[8] != '{')
    return weft_error(WEFT_INVALID, "%s: not safetensors: the header must begin with '{' at byte 8", file);
  json_error_t error;
  json_t *root = json_loadb((const char *)bytes + 8, (size_t)header, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return weft_error(WEFT_INVALID, "%s: header, line %d, column %d: %s", file, error.line, error.column, error.text);
  weft_status status = read_entries(checkpoint, root, bytes + 8 + header, size - 8 - header, file);
  json_decref(root);
  return status;
}
