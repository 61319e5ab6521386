#include "tests/tokenizer/gguf_writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { TYPE_UINT32 = 4, TYPE_INT32 = 5, TYPE_FLOAT32 = 6, TYPE_BOOL = 7, TYPE_STRING = 8, TYPE_ARRAY = 9 };

static void put(gguf_writer *writer, const void *bytes, size_t count) {
  writer->bytes = weft_grow(writer->bytes, writer->size + count + 1, 1);
  if (count > 0) memcpy(writer->bytes + writer->size, bytes, count);
  writer->size += count;
}

static void put_u32(gguf_writer *writer, uint32_t value) { put(writer, &value, sizeof value); }
static void put_u64(gguf_writer *writer, uint64_t value) { put(writer, &value, sizeof value); }

static void put_string(gguf_writer *writer, const char *text) {
  put_u64(writer, strlen(text));
  put(writer, text, strlen(text));
}

static void put_key(gguf_writer *writer, const char *key, uint32_t type) {
  put_string(writer, key);
  put_u32(writer, type);
  ++writer->keys;
}

static void put_array(gguf_writer *writer, const char *key, uint32_t type, uint64_t count) {
  put_key(writer, key, TYPE_ARRAY);
  put_u32(writer, type);
  put_u64(writer, count);
}

void gguf_begin(gguf_writer *writer) {
  *writer = (gguf_writer){0};
  put(writer, "GGUF", 4);
  put_u32(writer, 3);
  put_u64(writer, 0);
  put_u64(writer, 0);  // the number of keys, set at the end
  gguf_text(writer, "general.architecture", "llama");
}

void gguf_text(gguf_writer *writer, const char *key, const char *value) {
  put_key(writer, key, TYPE_STRING);
  put_string(writer, value);
}

void gguf_bool(gguf_writer *writer, const char *key, bool value) {
  put_key(writer, key, TYPE_BOOL);
  put(writer, &(uint8_t){value}, 1);
}

void gguf_id(gguf_writer *writer, const char *key, uint32_t value) {
  put_key(writer, key, TYPE_UINT32);
  put_u32(writer, value);
}

void gguf_texts(gguf_writer *writer, const char *key, const char *const *values, uint64_t count) {
  put_array(writer, key, TYPE_STRING, count);
  for (uint64_t i = 0; i < count; ++i) put_string(writer, values[i]);
}

void gguf_types(gguf_writer *writer, const char *key, const int32_t *values, uint64_t count) {
  put_array(writer, key, TYPE_INT32, count);
  put(writer, values, count * sizeof *values);
}

void gguf_scores(gguf_writer *writer, const char *key, const float *values, uint64_t count) {
  put_array(writer, key, TYPE_FLOAT32, count);
  put(writer, values, count * sizeof *values);
}

void gguf_end(gguf_writer *writer, const char *path) {
  memcpy(writer->bytes + 16, &writer->keys, sizeof writer->keys);
  while (writer->size % 32 != 0) put(writer, "", 1);
  weft_status status = weft_file_write(path, writer->bytes, writer->size);
  if (status) {
    fprintf(stderr, "%s\n", weft_status_message(status));
    abort();
  }
  free(writer->bytes);
}

static const char **tokens_by_id(json_t *vocabulary, size_t *out_count) {
  size_t count = json_object_size(vocabulary);
  const char **tokens = weft_allocate_array(count, sizeof *tokens);
  const char *token;
  json_t *id;
  json_object_foreach(vocabulary, token, id) {
    assert((size_t)json_integer_value(id) < count);
    tokens[json_integer_value(id)] = token;
  }
  *out_count = count;
  return tokens;
}

void gguf_from_tokenizer_json(const char *json_path, const char *pre, const char *path) {
  json_t *root = json_load_file(json_path, 0, NULL);
  json_t *model = json_object_get(root, "model"), *merges = json_object_get(model, "merges");
  size_t count;
  const char **tokens = tokens_by_id(json_object_get(model, "vocab"), &count);
  int32_t *types = weft_allocate_array(count, sizeof *types);
  for (size_t i = 0; i < count; ++i) types[i] = 1;
  size_t index;
  json_t *added;
  json_array_foreach(json_object_get(root, "added_tokens"), index, added)
      types[json_integer_value(json_object_get(added, "id"))] = 3;
  char **written = weft_allocate_array(json_array_size(merges), sizeof *written);
  json_t *merge;
  json_array_foreach(merges, index, merge) written[index] =
      weft_format("%s %s", json_string_value(json_array_get(merge, 0)), json_string_value(json_array_get(merge, 1)));
  gguf_writer writer;
  gguf_begin(&writer);
  gguf_text(&writer, "tokenizer.ggml.model", "gpt2");
  gguf_text(&writer, "tokenizer.ggml.pre", pre);
  gguf_texts(&writer, "tokenizer.ggml.tokens", tokens, count);
  gguf_types(&writer, "tokenizer.ggml.token_type", types, count);
  gguf_texts(&writer, "tokenizer.ggml.merges", (const char *const *)written, json_array_size(merges));
  gguf_id(&writer, "tokenizer.ggml.bos_token_id", 0);
  gguf_end(&writer, path);
  for (size_t i = 0; i < json_array_size(merges); ++i) free(written[i]);
  free(written);
  free(types);
  free(tokens);
  json_decref(root);
}

char *test_path(const char *name) {
  const char *folder = getenv("TMPDIR");
  return weft_format("%s/weft-%ld-%s", folder ? folder : P_tmpdir, (long)getpid(), name);
}
