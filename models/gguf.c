// Reading GGUF v2 and v3, little-endian, after the format's description (github.com/ggml-org/ggml, docs/gguf.md):
// magic, version, counts; metadata; descriptions of tensors; then, from the next multiple of the alignment, the
// tensors' data.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/checkpoint_internal.h"

enum { MAX_RANK = 4, DEFAULT_ALIGNMENT = 32, MAX_NAME_BYTES = 65535 };

// clang-format off
enum raw_type {
  RAW_U8, RAW_I8, RAW_U16, RAW_I16, RAW_U32, RAW_I32, RAW_F32, RAW_BOOL, RAW_TEXT, RAW_ARRAY, RAW_U64, RAW_I64, RAW_F64,
  RAW_TYPES
};
// clang-format on
static const uint8_t raw_bytes[RAW_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
static const weft_meta_type raw_kind[RAW_TYPES] = {
    WEFT_META_INTEGER, WEFT_META_INTEGER, WEFT_META_INTEGER, WEFT_META_INTEGER, WEFT_META_INTEGER,
    WEFT_META_INTEGER, WEFT_META_NUMBER,  WEFT_META_BOOL,    WEFT_META_TEXT,    WEFT_META_ARRAY,
    WEFT_META_INTEGER, WEFT_META_INTEGER, WEFT_META_NUMBER};

// ggml's numbers of number formats (enum ggml_type in ggml.h); those without a dtype have a name for errors.
static const struct {
  uint32_t raw;
  weft_dtype dtype;
} dtypes[] = {
    {0, WEFT_F32},  {1, WEFT_F16},   {2, WEFT_Q4_0},  {3, WEFT_Q4_1},  {6, WEFT_Q5_0}, {7, WEFT_Q5_1},
    {8, WEFT_Q8_0}, {12, WEFT_Q4_K}, {13, WEFT_Q5_K}, {14, WEFT_Q6_K}, {24, WEFT_I8},  {25, WEFT_I16},
    {26, WEFT_I32}, {27, WEFT_I64},  {28, WEFT_F64},  {30, WEFT_BF16},
};
static const struct {
  uint32_t raw;
  const char *name;
} foreign[] = {
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {29, "IQ1_M"},   {34, "TQ1_0"}, {35, "TQ2_0"},  {39, "MXFP4"},
};

// Position in the file. Every read goes through `take`, which is the one place that compares with the end.
typedef struct gguf_cursor {
  const uint8_t *bytes;
  uint64_t size, at;
  const char *file;
} gguf_cursor;

static weft_status take(gguf_cursor *c, uint64_t bytes, const char *what, const uint8_t **out_bytes) {
  if (bytes > c->size - c->at)
    return weft_error(WEFT_INVALID,
                      "%s: truncated at byte %" PRIu64 ": %s needs %" PRIu64 " bytes, the file has %" PRIu64 " more",
                      c->file, c->at, what, bytes, c->size - c->at);
  *out_bytes = c->bytes + c->at;
  c->at += bytes;
  return NULL;
}

static uint64_t little_endian(const uint8_t *bytes, uint32_t count) {
  uint64_t value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

static weft_status take_u32(gguf_cursor *c, const char *what, uint32_t *out_value) {
  const uint8_t *bytes = NULL;
  WEFT_TRY(take(c, 4, what, &bytes));
  *out_value = (uint32_t)little_endian(bytes, 4);
  return NULL;
}

static weft_status take_u64(gguf_cursor *c, const char *what, uint64_t *out_value) {
  const uint8_t *bytes = NULL;
  WEFT_TRY(take(c, 8, what, &bytes));
  *out_value = little_endian(bytes, 8);
  return NULL;
}

static weft_status take_text(gguf_cursor *c, const char *what, const char **out_text, uint64_t *out_bytes) {
  const uint8_t *bytes = NULL;
  WEFT_TRY(take_u64(c, what, out_bytes));
  WEFT_TRY(take(c, *out_bytes, what, &bytes));
  *out_text = (const char *)bytes;
  return NULL;
}

static weft_status take_name(weft_checkpoint *checkpoint, gguf_cursor *c, const char *what, const char **out_name) {
  const char *text = NULL;
  uint64_t bytes = 0, at = c->at;
  WEFT_TRY(take_text(c, what, &text, &bytes));
  if (bytes > MAX_NAME_BYTES || !weft_checkpoint_name_is_printable(text, bytes))
    return weft_error(WEFT_INVALID,
                      "%s: byte %" PRIu64 ": %s \"%s\" is empty, longer than %d bytes, or not printable UTF-8", c->file,
                      at, what, weft_checkpoint_quote(checkpoint, text, bytes), MAX_NAME_BYTES);
  char *name = weft_arena_take(&checkpoint->arena, bytes + 1);
  memcpy(name, text, bytes);
  *out_name = name;
  return NULL;
}

// A value of fixed size at `bytes` into `meta`, whose `type` says which field.
static weft_status decode(const uint8_t *bytes, uint32_t raw, const gguf_cursor *c, weft_meta *meta) {
  uint64_t bits = little_endian(bytes, raw_bytes[raw]);
  switch ((enum raw_type)raw) {
    case RAW_I8: meta->integer = (int8_t)bits; break;
    case RAW_I16: meta->integer = (int16_t)bits; break;
    case RAW_I32: meta->integer = (int32_t)bits; break;
    case RAW_F32: {
      uint32_t low = (uint32_t)bits;
      float value;
      memcpy(&value, &low, sizeof value);
      meta->number = (double)value;
      break;
    }
    case RAW_F64: memcpy(&meta->number, &bits, sizeof bits); break;
    case RAW_BOOL:
      if (bits > 1)
        return weft_error(WEFT_INVALID, "%s: byte %zu: %s: %u is not 0 or 1", c->file, (size_t)(bytes - c->bytes),
                          meta->key, (unsigned)bits);
      meta->integer = (int64_t)bits;
      break;
    case RAW_U64:
      if (bits > INT64_MAX)
        return weft_error(WEFT_INVALID, "%s: %s: %" PRIu64 " is larger than 2^63 - 1", c->file, meta->key, bits);
      meta->integer = (int64_t)bits;
      break;
    default: meta->integer = (int64_t)bits; break;
  }
  return NULL;
}

static weft_status take_array(weft_checkpoint *checkpoint, gguf_cursor *c, weft_meta *meta, checkpoint_array *array) {
  WEFT_TRY(take_u32(c, "the type of an array", &array->raw_type));
  WEFT_TRY(take_u64(c, "the length of an array", &array->count));
  if (array->raw_type >= RAW_TYPES)
    return weft_error(WEFT_INVALID, "%s: %s: %" PRIu32 " is not a type of value (0 to %d)", c->file, meta->key,
                      array->raw_type, RAW_TYPES - 1);
  if (array->raw_type == RAW_ARRAY)
    return weft_error(WEFT_INVALID, "%s: %s: an array of arrays, which Weft does not read", c->file, meta->key);
  uint64_t least = array->raw_type == RAW_TEXT ? 8 : raw_bytes[array->raw_type];
  if (array->count > (c->size - c->at) / least)
    return weft_error(WEFT_INVALID,
                      "%s: truncated: %s has %" PRIu64 " elements of at least %" PRIu64 " bytes, the file has %" PRIu64
                      " bytes more",
                      c->file, meta->key, array->count, least, c->size - c->at);
  array->values = c->bytes + c->at;
  meta->element = raw_kind[array->raw_type];
  meta->count = array->count;
  const uint8_t *bytes = NULL;
  if (array->raw_type != RAW_TEXT) {
    WEFT_TRY(take(c, array->count * least, meta->key, &bytes));
    for (uint64_t i = 0; i < array->count && (array->raw_type == RAW_BOOL || array->raw_type == RAW_U64); ++i) {
      weft_meta value = {.key = meta->key};
      WEFT_TRY(decode(bytes + i * least, array->raw_type, c, &value));
    }
    return NULL;
  }
  uint64_t *offsets = weft_arena_take(&checkpoint->arena, array->count * sizeof *offsets);
  for (uint64_t i = 0; i < array->count; ++i) {
    const char *text = NULL;
    uint64_t length = 0;
    offsets[i] = (uint64_t)(c->bytes + c->at - array->values);
    WEFT_TRY(take_text(c, meta->key, &text, &length));
  }
  array->offsets = offsets;
  return NULL;
}

static weft_status take_meta(weft_checkpoint *checkpoint, gguf_cursor *c, uint32_t number) {
  weft_meta meta = {.number_in_file = number};
  checkpoint_array array = {0};
  uint32_t raw = 0;
  WEFT_TRY(take_name(checkpoint, c, "the key of metadata", &meta.key));
  if (weft_checkpoint_meta_find(checkpoint, meta.key).type != WEFT_META_NONE)
    return weft_error(WEFT_INVALID, "%s: metadata \"%s\" is there twice", c->file, meta.key);
  WEFT_TRY(take_u32(c, meta.key, &raw));
  if (raw >= RAW_TYPES)
    return weft_error(WEFT_INVALID, "%s: %s: %" PRIu32 " is not a type of value (0 to %d)", c->file, meta.key, raw,
                      RAW_TYPES - 1);
  meta.type = raw_kind[raw];
  if (raw == RAW_ARRAY) {
    WEFT_TRY(take_array(checkpoint, c, &meta, &array));
  } else if (raw == RAW_TEXT) {
    WEFT_TRY(take_text(c, meta.key, &meta.text, &meta.text_bytes));
  } else {
    const uint8_t *bytes = NULL;
    WEFT_TRY(take(c, raw_bytes[raw], meta.key, &bytes));
    WEFT_TRY(decode(bytes, raw, c, &meta));
  }
  checkpoint->meta[number] = meta;
  checkpoint->arrays[number] = array;
  checkpoint->meta_count = number + 1;
  return NULL;
}

static weft_status find_dtype(const gguf_cursor *c, const char *name, uint32_t raw, weft_dtype *out_dtype) {
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; ++i) {
    if (dtypes[i].raw != raw) continue;
    *out_dtype = dtypes[i].dtype;
    return NULL;
  }
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; ++i)
    if (foreign[i].raw == raw)
      return weft_error(WEFT_INVALID,
                        "%s: tensor \"%s\" is in %s; Weft reads F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, "
                        "Q5_K and Q6_K",
                        c->file, name, foreign[i].name);
  return weft_error(WEFT_INVALID, "%s: tensor \"%s\": %" PRIu32 " is not a number format of GGUF", c->file, name, raw);
}

// The data's place is set by place_tensors, once the start of the data is known.
static weft_status take_tensor(weft_checkpoint *checkpoint, gguf_cursor *c, uint64_t *out_offset) {
  weft_stored_tensor tensor = {.file = c->file};
  uint32_t raw = 0;
  WEFT_TRY(take_name(checkpoint, c, "the name of a tensor", &tensor.name));
  WEFT_TRY(take_u32(c, "a number of dimensions", &tensor.rank));
  if (tensor.rank > MAX_RANK)
    return weft_error(WEFT_INVALID, "%s: tensor \"%s\" has %" PRIu32 " dimensions; GGUF has up to %d", c->file,
                      tensor.name, tensor.rank, MAX_RANK);
  uint64_t elements = 1;
  for (uint32_t i = tensor.rank; i-- > 0;) {
    WEFT_TRY(take_u64(c, "a dimension", &tensor.shape[i]));
    if (tensor.shape[i] > INT64_MAX || __builtin_mul_overflow(elements, tensor.shape[i], &elements))
      return weft_error(WEFT_INVALID, "%s: tensor \"%s\": more than 2^64 elements", c->file, tensor.name);
  }
  WEFT_TRY(take_u32(c, "a number format", &raw));
  WEFT_TRY(take_u64(c, "an offset", out_offset));
  WEFT_TRY(find_dtype(c, tensor.name, raw, &tensor.dtype));
  uint32_t block = weft_dtype_block_elements(tensor.dtype);
  uint64_t row = tensor.rank ? tensor.shape[tensor.rank - 1] : 1;
  if (row % block != 0)
    return weft_error(WEFT_INVALID,
                      "%s: tensor \"%s\": rows of %" PRIu64 " elements are not whole blocks of %s (%" PRIu32 ")",
                      c->file, tensor.name, row, weft_dtype_name(tensor.dtype), block);
  if (!weft_dtype_bytes(tensor.dtype, elements, &tensor.bytes))
    return weft_error(WEFT_INVALID, "%s: tensor \"%s\": more than 2^64 bytes", c->file, tensor.name);
  weft_checkpoint_add(checkpoint, &tensor);
  return NULL;
}

static int by_place(const void *a, const void *b) {
  const weft_stored_tensor *first = a, *second = b;
  uintptr_t p = (uintptr_t)first->data, q = (uintptr_t)second->data;
  if (p != q) return p < q ? -1 : 1;
  return first->bytes < second->bytes ? -1 : first->bytes > second->bytes;
}

static weft_status place_tensors(weft_checkpoint *checkpoint, const gguf_cursor *c, const uint64_t *offsets,
                                 uint64_t alignment) {
  uint64_t begin = c->at + (alignment - c->at % alignment) % alignment;
  for (uint32_t i = 0; i < checkpoint->count; ++i) {
    weft_stored_tensor *tensor = &checkpoint->tensors[i];
    if (offsets[i] % alignment != 0)
      return weft_error(WEFT_INVALID,
                        "%s: tensor \"%s\": offset %" PRIu64 " is not a multiple of the alignment %" PRIu64, c->file,
                        tensor->name, offsets[i], alignment);
    if (begin > c->size || offsets[i] > c->size - begin || tensor->bytes > c->size - begin - offsets[i])
      return weft_error(WEFT_INVALID,
                        "%s: tensor \"%s\" (offset %" PRIu64 ", %" PRIu64 " bytes) ends after the file (%" PRIu64
                        " bytes, data from %" PRIu64 "); is the file complete?",
                        c->file, tensor->name, offsets[i], tensor->bytes, c->size, begin);
    tensor->data = c->bytes + begin + offsets[i];
  }
  if (checkpoint->count) qsort(checkpoint->tensors, checkpoint->count, sizeof *checkpoint->tensors, by_place);
  for (uint32_t i = 1; i < checkpoint->count; ++i) {
    const weft_stored_tensor *before = &checkpoint->tensors[i - 1], *tensor = &checkpoint->tensors[i];
    if ((const uint8_t *)before->data + before->bytes > (const uint8_t *)tensor->data)
      return weft_error(WEFT_INVALID, "%s: tensors \"%s\" and \"%s\" overlap", c->file, before->name, tensor->name);
  }
  return NULL;
}

static weft_status read_alignment(const weft_checkpoint *checkpoint, const char *file, uint64_t *out_alignment) {
  weft_meta meta = weft_checkpoint_meta_find(checkpoint, "general.alignment");
  *out_alignment = DEFAULT_ALIGNMENT;
  if (meta.type == WEFT_META_NONE) return NULL;
  if (meta.type != WEFT_META_INTEGER || meta.integer < 8 || meta.integer > 1 << 30 ||
      (meta.integer & (meta.integer - 1)) != 0)
    return weft_error(WEFT_INVALID, "%s: general.alignment must be a power of two from 8 to 2^30", file);
  *out_alignment = (uint64_t)meta.integer;
  return NULL;
}

static weft_status take_counts(gguf_cursor *c, uint32_t *out_version, uint64_t *out_tensors, uint64_t *out_meta) {
  c->at = 4;
  WEFT_TRY(take_u32(c, "the version", out_version));
  if (*out_version == 0x02000000 || *out_version == 0x03000000)
    return weft_error(WEFT_INVALID, "%s: a big-endian GGUF file; Weft reads little-endian ones", c->file);
  if (*out_version != 2 && *out_version != 3)
    return weft_error(WEFT_INVALID, "%s: GGUF version %" PRIu32 "; Weft reads 2 and 3", c->file, *out_version);
  WEFT_TRY(take_u64(c, "the number of tensors", out_tensors));
  WEFT_TRY(take_u64(c, "the number of metadata entries", out_meta));
  // The least that an entry takes: key of one letter, type, one byte; name of one letter, rank, format, offset.
  uint64_t left = c->size - c->at;
  if (*out_meta > left / 14 || *out_tensors > left / 25)
    return weft_error(WEFT_INVALID,
                      "%s: %" PRIu64 " tensors and %" PRIu64 " metadata entries do not fit into %" PRIu64 " bytes",
                      c->file, *out_tensors, *out_meta, left);
  if (*out_meta > 4096 || *out_tensors > 1 << 20)
    return weft_error(WEFT_INVALID, "%s: more than 4096 metadata entries or 2^20 tensors", c->file);
  return NULL;
}

weft_status weft_gguf_read(weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size, const char *file) {
  gguf_cursor cursor = {.bytes = bytes, .size = size, .file = file};
  uint32_t version = 0;
  uint64_t tensors = 0, meta = 0, alignment = 0;
  WEFT_TRY(take_counts(&cursor, &version, &tensors, &meta));
  checkpoint->gguf = true;
  snprintf(checkpoint->format, sizeof checkpoint->format, "gguf v%u", version);
  checkpoint->meta = weft_arena_take(&checkpoint->arena, meta * sizeof *checkpoint->meta);
  checkpoint->arrays = weft_arena_take(&checkpoint->arena, meta * sizeof *checkpoint->arrays);
  for (uint32_t i = 0; i < meta; ++i) WEFT_TRY(take_meta(checkpoint, &cursor, i));
  WEFT_TRY(read_alignment(checkpoint, file, &alignment));
  weft_meta split = weft_checkpoint_meta_find(checkpoint, "split.count");
  if (split.type != WEFT_META_NONE && split.integer > 1)
    return weft_error(WEFT_INVALID, "%s: one of %" PRId64 " parts of a split GGUF file; merge the parts first", file,
                      split.integer);
  uint64_t *offsets = weft_arena_take(&checkpoint->arena, tensors * sizeof *offsets);
  for (uint64_t i = 0; i < tensors; ++i) WEFT_TRY(take_tensor(checkpoint, &cursor, &offsets[i]));
  return place_tensors(checkpoint, &cursor, offsets, alignment);
}

weft_meta weft_checkpoint_meta_element(const weft_checkpoint *checkpoint, const weft_meta *array, uint64_t index) {
  assert(array->type == WEFT_META_ARRAY && array->number_in_file < checkpoint->meta_count && index < array->count);
  const checkpoint_array *values = &checkpoint->arrays[array->number_in_file];
  weft_meta element = {.key = array->key, .type = array->element, .number_in_file = array->number_in_file};
  if (values->offsets) {
    const uint8_t *text = values->values + values->offsets[index];
    element.text_bytes = little_endian(text, 8);
    element.text = (const char *)text + 8;
  } else {
    gguf_cursor nowhere = {.file = ""};
    weft_status checked =
        decode(values->values + index * raw_bytes[values->raw_type], values->raw_type, &nowhere, &element);
    assert(!checked);  // take_array has decoded every element that can be wrong
    weft_status_free(checked);
  }
  return element;
}
