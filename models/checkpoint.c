#include "models/checkpoint.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/checkpoint_internal.h"

weft_checkpoint *weft_checkpoint_create(const char *path) {
  weft_checkpoint *checkpoint = weft_allocate(sizeof *checkpoint);
  weft_arena_init(&checkpoint->arena);
  checkpoint->path = weft_arena_copy_text(&checkpoint->arena, path);
  for (size_t n = strlen(checkpoint->path); n > 1 && checkpoint->path[n - 1] == '/'; --n) checkpoint->path[n - 1] = 0;
  snprintf(checkpoint->format, sizeof checkpoint->format, "safetensors");
  return checkpoint;
}

void weft_checkpoint_close(weft_checkpoint *checkpoint) {
  if (!checkpoint) return;
  for (uint32_t i = 0; i < checkpoint->file_count; ++i) weft_mapping_close(&checkpoint->files[i]);
  free(checkpoint->files);
  free(checkpoint->tensors);
  weft_arena_finish(&checkpoint->arena);
  free(checkpoint);
}

void weft_checkpoint_add(weft_checkpoint *checkpoint, const weft_stored_tensor *tensor) {
  if (checkpoint->count == checkpoint->capacity) {
    checkpoint->capacity = checkpoint->capacity ? 2 * checkpoint->capacity : 256;
    checkpoint->tensors = weft_grow(checkpoint->tensors, checkpoint->capacity, sizeof *checkpoint->tensors);
  }
  checkpoint->tensors[checkpoint->count++] = *tensor;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const weft_stored_tensor *)a)->name, ((const weft_stored_tensor *)b)->name);
}

weft_status weft_checkpoint_seal(weft_checkpoint *checkpoint) {
  if (checkpoint->count) qsort(checkpoint->tensors, checkpoint->count, sizeof *checkpoint->tensors, by_name);
  for (uint32_t i = 1; i < checkpoint->count; ++i) {
    const weft_stored_tensor *a = &checkpoint->tensors[i - 1], *b = &checkpoint->tensors[i];
    if (strcmp(a->name, b->name) == 0)
      return weft_error(WEFT_INVALID, "%s: tensor \"%s\" is there twice (the other is in %s)", b->file, b->name,
                        a->file);
  }
  return NULL;
}

bool weft_checkpoint_name_is_printable(const char *text, size_t bytes) {
  if (bytes == 0) return false;
  for (size_t i = 0; i < bytes; ++i)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
  json_t *utf8 = json_stringn(text, bytes);
  json_decref(utf8);
  return utf8 != NULL;
}

const char *weft_checkpoint_quote(weft_checkpoint *checkpoint, const char *text, size_t bytes) {
  size_t shown = bytes < 64 ? bytes : 64;
  char *quoted = weft_arena_take(&checkpoint->arena, shown + 4);
  for (size_t i = 0; i < shown; ++i) quoted[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
  if (shown < bytes) memcpy(quoted + shown, "...", 3);
  return quoted;
}

const char *weft_checkpoint_shape_text(uint32_t rank, const uint64_t *shape, char out[96]) {
  size_t at = (size_t)snprintf(out, 96, "(");
  for (uint32_t i = 0; i < rank && i < 4; ++i)
    at += (size_t)snprintf(out + at, 96 - at, "%s%" PRIu64, i ? ", " : "", shape[i]);
  snprintf(out + at, 96 - at, ")");
  return out;
}

void weft_checkpoint_name_after_path(const weft_checkpoint *checkpoint, char out_name[96]) {
  const char *slash = strrchr(checkpoint->path, '/');
  snprintf(out_name, 96, "%s", slash ? slash + 1 : checkpoint->path);
  char *dot = strrchr(out_name, '.');
  if (dot && dot != out_name && (strcmp(dot, ".gguf") == 0 || strcmp(dot, ".safetensors") == 0)) *dot = 0;
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static weft_status read_bytes(weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size, const char *file) {
  if (size >= 4 && memcmp(bytes, "GGUF", 4) == 0) return weft_gguf_read(checkpoint, bytes, size, file);
  if (!ends_with(file, ".gguf")) return weft_safetensors_read(checkpoint, bytes, size, file);
  if (size < 4) return weft_error(WEFT_INVALID, "%s: %zu bytes is too short for GGUF", file, size);
  return weft_error(WEFT_INVALID, "%s: not GGUF: it begins with the bytes %02x %02x %02x %02x, GGUF with 47 47 55 46",
                    file, bytes[0], bytes[1], bytes[2], bytes[3]);
}

weft_status weft_checkpoint_open_bytes(const void *bytes, size_t size, const char *name,
                                       weft_checkpoint **out_checkpoint) {
  weft_checkpoint *checkpoint = weft_checkpoint_create(name);
  weft_status status = read_bytes(checkpoint, bytes, size, checkpoint->path);
  if (!status) status = weft_checkpoint_seal(checkpoint);
  if (status)
    weft_checkpoint_close(checkpoint);
  else
    *out_checkpoint = checkpoint;
  return status;
}

static weft_status add_file(weft_checkpoint *checkpoint, const char *path) {
  weft_mapping mapping = {0};
  WEFT_TRY(weft_mapping_open(path, &mapping));
  checkpoint->files = weft_grow(checkpoint->files, checkpoint->file_count + 1, sizeof *checkpoint->files);
  checkpoint->files[checkpoint->file_count++] = mapping;
  return read_bytes(checkpoint, mapping.bytes, mapping.size, mapping.path);
}

static bool has_shard(const weft_checkpoint *checkpoint, const char *path) {
  for (uint32_t i = 0; i < checkpoint->file_count; ++i)
    if (strcmp(checkpoint->files[i].path, path) == 0) return true;
  return false;
}

// Opens each shard of the map once. A shard is a file beside the index, never a path out of its folder.
static weft_status open_shards(weft_checkpoint *checkpoint, json_t *map, const char *index) {
  const char *tensor;
  json_t *value;
  json_object_foreach(map, tensor, value) {
    const char *shard = json_string_value(value);
    if (!shard || !*shard || strchr(shard, '/') || !ends_with(shard, ".safetensors"))
      return weft_error(
          WEFT_INVALID,
          "%s: weight_map: \"%s\": expected the name of a .safetensors file in the same folder, found %s%s", index,
          weft_checkpoint_quote(checkpoint, tensor, strlen(tensor)), json_is_string(value) ? "" : "no text",
          shard ? weft_checkpoint_quote(checkpoint, shard, strlen(shard)) : "");
    const char *path = weft_arena_format(&checkpoint->arena, "%s/%s", checkpoint->folder, shard);
    if (has_shard(checkpoint, path)) continue;
    WEFT_TRY(weft_status_prefix(add_file(checkpoint, path), "%s: ", index));
    if (checkpoint->gguf) return weft_error(WEFT_INVALID, "%s: %s is a GGUF file", index, path);
  }
  return NULL;
}

// Index and shards must agree in both directions: a difference means a file of another download.
static weft_status check_map(const weft_checkpoint *checkpoint, json_t *map, const char *index) {
  const char *tensor;
  json_t *value;
  json_object_foreach(map, tensor, value) {
    const weft_stored_tensor *found = weft_checkpoint_lookup(checkpoint, tensor);
    if (!found || !ends_with(found->file, json_string_value(value)))
      return weft_error(WEFT_INVALID, "%s: tensor \"%s\" should be in %s, but is %s%s", index, tensor,
                        json_string_value(value), found ? "in " : "in none of the files", found ? found->file : "");
  }
  for (uint32_t i = 0; i < checkpoint->count; ++i)
    if (!json_object_get(map, checkpoint->tensors[i].name))
      return weft_error(WEFT_INVALID, "%s: tensor \"%s\" of %s is not in weight_map", index,
                        checkpoint->tensors[i].name, checkpoint->tensors[i].file);
  return NULL;
}

static weft_status open_index(weft_checkpoint *checkpoint, const char *index) {
  json_t *root = NULL;
  WEFT_TRY(weft_json_read_file(index, &root, NULL));
  json_t *map = json_object_get(root, "weight_map");
  weft_status status = json_is_object(map) && json_object_size(map) > 0
                           ? open_shards(checkpoint, map, index)
                           : weft_error(WEFT_INVALID, "%s: expected \"weight_map\": {tensor: file, ...}", index);
  if (!status) status = weft_checkpoint_seal(checkpoint);
  if (!status) status = check_map(checkpoint, map, index);
  json_decref(root);
  return status;
}

static weft_status open_file(weft_checkpoint *checkpoint, const char *path) {
  if (ends_with(path, ".json")) return open_index(checkpoint, path);
  WEFT_TRY(add_file(checkpoint, path));
  return weft_checkpoint_seal(checkpoint);
}

// The only entry of the folder that ends so; WEFT_INVALID when there are several. NULL when there is none.
static weft_status only_entry(weft_checkpoint *checkpoint, const char *end, const char **out_path) {
  DIR *folder = opendir(checkpoint->folder);
  if (!folder) return weft_error(WEFT_INVALID, "%s: %s", checkpoint->folder, strerror(errno));
  const char *found = NULL;
  weft_status status = NULL;
  for (struct dirent *entry; !status && (entry = readdir(folder));) {
    if (!ends_with(entry->d_name, end)) continue;
    if (found)
      status = weft_error(WEFT_INVALID, "%s: several %s files (%s, %s); name the one you mean", checkpoint->folder, end,
                          found, entry->d_name);
    else
      found = weft_arena_copy_text(&checkpoint->arena, entry->d_name);
  }
  closedir(folder);
  if (!status) *out_path = found ? weft_arena_format(&checkpoint->arena, "%s/%s", checkpoint->folder, found) : NULL;
  return status;
}

static weft_status open_folder(weft_checkpoint *checkpoint) {
  static const char *const usual[] = {"model.safetensors.index.json", "model.safetensors"};
  static const char *const ends[] = {".safetensors.index.json", ".safetensors", ".gguf"};
  for (size_t i = 0; i < sizeof usual / sizeof *usual; ++i) {
    const char *path = weft_arena_format(&checkpoint->arena, "%s/%s", checkpoint->folder, usual[i]);
    if (weft_file_exists(path)) return open_file(checkpoint, path);
  }
  for (size_t i = 0; i < sizeof ends / sizeof *ends; ++i) {
    const char *path = NULL;
    WEFT_TRY(only_entry(checkpoint, ends[i], &path));
    if (path) return open_file(checkpoint, path);
  }
  return weft_error(
      WEFT_INVALID,
      "%s: no checkpoint in this folder (model.safetensors, model.safetensors.index.json or a .gguf file)",
      checkpoint->folder);
}

weft_status weft_checkpoint_open(const char *path, weft_checkpoint **out_checkpoint) {
  weft_checkpoint *checkpoint = weft_checkpoint_create(path);
  const char *slash = strrchr(checkpoint->path, '/');
  bool folder = weft_directory_exists(checkpoint->path);
  checkpoint->folder =
      folder   ? checkpoint->path
      : !slash ? weft_arena_copy_text(&checkpoint->arena, ".")
      : slash == checkpoint->path
          ? weft_arena_copy_text(&checkpoint->arena, "/")
          : weft_arena_format(&checkpoint->arena, "%.*s", (int)(slash - checkpoint->path), checkpoint->path);
  weft_status status = folder ? open_folder(checkpoint) : open_file(checkpoint, checkpoint->path);
  if (status)
    weft_checkpoint_close(checkpoint);
  else
    *out_checkpoint = checkpoint;
  return status;
}

const char *weft_checkpoint_format(const weft_checkpoint *checkpoint) { return checkpoint->format; }

uint32_t weft_checkpoint_count(const weft_checkpoint *checkpoint) { return checkpoint->count; }

weft_stored_tensor weft_checkpoint_tensor(const weft_checkpoint *checkpoint, uint32_t index) {
  assert(index < checkpoint->count);
  return checkpoint->tensors[index];
}

const weft_stored_tensor *weft_checkpoint_lookup(const weft_checkpoint *checkpoint, const char *name) {
  weft_stored_tensor key = {.name = name};
  return checkpoint->count ? bsearch(&key, checkpoint->tensors, checkpoint->count, sizeof key, by_name) : NULL;
}

static weft_status not_found(const weft_checkpoint *checkpoint, const char *name) {
  if (checkpoint->count == 0)
    return weft_error(WEFT_INVALID, "%s: no tensor \"%s\": it holds none", checkpoint->path, name);
  const char **names = weft_allocate_array(checkpoint->count, sizeof *names);
  for (uint32_t i = 0; i < checkpoint->count; ++i) names[i] = checkpoint->tensors[i].name;
  weft_status status =
      weft_error(WEFT_INVALID, "%s: no tensor \"%s\"; the nearest of its %" PRIu32 " is \"%s\"", checkpoint->path, name,
                 checkpoint->count, weft_nearest(name, names, checkpoint->count));
  free(names);
  return status;
}

weft_status weft_checkpoint_find(const weft_checkpoint *checkpoint, const char *name, weft_stored_tensor *out_tensor) {
  const weft_stored_tensor *tensor = weft_checkpoint_lookup(checkpoint, name);
  if (!tensor) return not_found(checkpoint, name);
  *out_tensor = *tensor;
  return NULL;
}

// Hugging Face saves a bare model without the prefix that the model with an output head puts before its names.
static const weft_stored_tensor *lookup_parameter(const weft_checkpoint *checkpoint, const weft_parameter *parameter,
                                                  const char **out_tried) {
  static const char *const prefixes[] = {"transformer.", "model.", "bert."};
  *out_tried = parameter->name;
  const weft_stored_tensor *tensor = weft_checkpoint_lookup(checkpoint, parameter->name);
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && !tensor; ++i) {
    size_t n = strlen(prefixes[i]);
    if (strncmp(parameter->name, prefixes[i], n) == 0) {
      tensor = weft_checkpoint_lookup(checkpoint, parameter->name + n);
    } else {
      char name[128];
      snprintf(name, sizeof name, "%s%s", prefixes[i], parameter->name);
      tensor = weft_checkpoint_lookup(checkpoint, name);
    }
  }
  return tensor;
}

static weft_status check_parameter(const weft_parameter *parameter, const weft_stored_tensor *tensor) {
  bool floating =
      tensor->dtype == WEFT_F64 || weft_dtype_computes(tensor->dtype) || weft_dtype_block_elements(tensor->dtype) > 1;
  if (!floating)
    return weft_error(WEFT_INVALID, "%s: \"%s\" holds %s, which is not a format of weights", tensor->file, tensor->name,
                      weft_dtype_name(tensor->dtype));
  uint64_t expected[2] = {parameter->shape[0], parameter->shape[1]};
  if (tensor->transpose) expected[0] = parameter->shape[1], expected[1] = parameter->shape[0];
  bool same = tensor->rank == parameter->rank;
  for (uint32_t i = 0; i < parameter->rank && same; ++i) same = tensor->shape[i] == expected[i];
  if (same) return NULL;
  char found[96], wanted[96];
  return weft_error(WEFT_INVALID, "%s: \"%s\" has shape %s, but the network's %s needs %s", tensor->file, tensor->name,
                    weft_checkpoint_shape_text(tensor->rank, tensor->shape, found), parameter->name,
                    weft_checkpoint_shape_text(parameter->rank, expected, wanted));
}

weft_status weft_checkpoint_parameter(const weft_checkpoint *checkpoint, const weft_parameter *parameter,
                                      weft_stored_tensor *out_tensor, uint32_t *out_heads) {
  assert(parameter->rank >= 1 && parameter->rank <= 2);
  const char *tried;
  char gguf_name[96];
  const weft_stored_tensor *found = lookup_parameter(checkpoint, parameter, &tried);
  bool gguf = checkpoint->gguf && !found && weft_gguf_parameter_name(parameter, gguf_name);
  if (gguf) {
    tried = gguf_name;
    found = weft_checkpoint_lookup(checkpoint, gguf_name);
  }
  if (!found) return weft_status_prefix(not_found(checkpoint, tried), "%s: ", parameter->name);
  weft_stored_tensor tensor = *found;
  tensor.transpose = gguf && parameter->transposed && parameter->rank == 2;
  WEFT_TRY(check_parameter(parameter, &tensor));
  uint32_t heads = gguf ? weft_gguf_permuted_heads(checkpoint, parameter) : 0;
  if (heads && tensor.shape[0] % (2 * (uint64_t)heads) != 0)
    return weft_error(WEFT_INVALID, "%s: \"%s\": %" PRIu64 " rows are not %" PRIu32 " heads of an even number of rows",
                      tensor.file, tensor.name, tensor.shape[0], heads);
  *out_tensor = tensor;
  *out_heads = heads;
  return NULL;
}

// Elements at a time through a buffer on the stack: a whole number of blocks of every format.
enum { PIECE = 1024, TILE_ROWS = 32, TILE_COLUMNS = 256 };

static void convert_row(weft_dtype from_dtype, const uint8_t *from, weft_dtype dtype, uint8_t *to, uint64_t count) {
  uint64_t size = weft_dtype_block_bytes(dtype);
  if (from_dtype == dtype) {
    memcpy(to, from, count * size);
  } else if (dtype == WEFT_F32 && (uintptr_t)to % sizeof(float) == 0) {
    weft_dtype_to_f32(from_dtype, from, (float *)(void *)to, count);
  } else {
    float piece[PIECE];
    uint64_t step = PIECE / weft_dtype_block_elements(from_dtype) * weft_dtype_block_bytes(from_dtype);
    for (uint64_t i = 0; i < count; i += PIECE, from += step) {
      uint64_t some = count - i < PIECE ? count - i : PIECE;
      weft_dtype_to_f32(from_dtype, from, piece, some);
      weft_dtype_from_f32(dtype, piece, to + i * size, some);
    }
  }
}

// (rows, columns) of the file to (columns, rows), by tiles that stay in the first-level cache.
static void convert_transposed(const weft_stored_tensor *tensor, weft_dtype dtype, uint8_t *to) {
  uint64_t rows = tensor->shape[0], columns = tensor->shape[1], size = weft_dtype_block_bytes(dtype);
  uint64_t block = weft_dtype_block_elements(tensor->dtype), block_bytes = weft_dtype_block_bytes(tensor->dtype);
  float tile[TILE_ROWS][TILE_COLUMNS], column[TILE_ROWS];
  for (uint64_t r = 0; r < rows; r += TILE_ROWS) {
    uint64_t height = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
    for (uint64_t c = 0; c < columns; c += TILE_COLUMNS) {
      uint64_t width = columns - c < TILE_COLUMNS ? columns - c : TILE_COLUMNS;
      for (uint64_t i = 0; i < height; ++i) {
        const uint8_t *from = (const uint8_t *)tensor->data + ((r + i) * columns + c) / block * block_bytes;
        weft_dtype_to_f32(tensor->dtype, from, tile[i], width);
      }
      for (uint64_t j = 0; j < width; ++j) {
        for (uint64_t i = 0; i < height; ++i) column[i] = tile[i][j];
        weft_dtype_from_f32(dtype, column, to + ((c + j) * rows + r) * size, height);
      }
    }
  }
}

void weft_checkpoint_convert(const weft_stored_tensor *tensor, uint32_t heads, weft_dtype dtype, void *out) {
  assert(weft_dtype_computes(dtype));
  uint64_t columns = tensor->rank > 1 ? tensor->shape[tensor->rank - 1] : 1, elements = 1;
  for (uint32_t i = 0; i < tensor->rank; ++i) elements *= tensor->shape[i];
  if (elements == 0) return;
  if (tensor->transpose) {
    assert(tensor->rank == 2 && heads == 0);
    convert_transposed(tensor, dtype, out);
    return;
  }
  if (heads == 0) {
    convert_row(tensor->dtype, tensor->data, dtype, out, elements);
    return;
  }
  uint64_t rows = elements / columns, head_rows = rows / heads, row_bytes = tensor->bytes / rows;
  assert(rows % heads == 0 && head_rows % 2 == 0);
  for (uint64_t row = 0; row < rows; ++row) {
    uint64_t within = row % head_rows, pair = within % (head_rows / 2), half = within / (head_rows / 2);
    uint64_t stored = row - within + 2 * pair + half;
    convert_row(tensor->dtype, (const uint8_t *)tensor->data + stored * row_bytes, dtype,
                (uint8_t *)out + row * columns * weft_dtype_block_bytes(dtype), columns);
  }
}

uint32_t weft_checkpoint_meta_count(const weft_checkpoint *checkpoint) { return checkpoint->meta_count; }

weft_meta weft_checkpoint_meta(const weft_checkpoint *checkpoint, uint32_t index) {
  assert(index < checkpoint->meta_count);
  return checkpoint->meta[index];
}

weft_meta weft_checkpoint_meta_find(const weft_checkpoint *checkpoint, const char *key) {
  for (uint32_t i = 0; i < checkpoint->meta_count; ++i)
    if (strcmp(checkpoint->meta[i].key, key) == 0) return checkpoint->meta[i];
  return (weft_meta){0};
}

weft_status weft_checkpoint_network(const weft_checkpoint *checkpoint, weft_network *out_network) {
  weft_network network;
  if (checkpoint->gguf) {
    WEFT_TRY(weft_gguf_network(checkpoint, &network));
  } else {
    if (!checkpoint->folder)
      return weft_error(WEFT_INVALID, "%s: no config.json beside it, so its network is not known", checkpoint->path);
    char *config = weft_format("%s/config.json", checkpoint->folder);
    json_t *root = NULL;
    char *text = NULL;
    weft_status status =
        weft_file_exists(config)
            ? weft_json_read_file(config, &root, &text)
            : weft_error(WEFT_INVALID, "%s: no config.json beside it, so its network is not known", checkpoint->path);
    if (!status) status = weft_network_unpack(root, config, text, &network);
    json_decref(root);
    free(text);
    free(config);
    if (status) return status;
  }
  if (!network.name[0]) weft_checkpoint_name_after_path(checkpoint, network.name);
  *out_network = network;
  return NULL;
}
