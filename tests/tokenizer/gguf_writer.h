// Writes GGUF v3 files that hold metadata and no tensors (ggml, docs/gguf.md), so that tests can say one tokenizer in
// both forms.
#ifndef WEFT_TESTS_TOKENIZER_GGUF_WRITER_H
#define WEFT_TESTS_TOKENIZER_GGUF_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct gguf_writer {
  uint8_t *bytes;
  size_t size;
  uint64_t keys;
} gguf_writer;

void gguf_begin(gguf_writer *writer);
void gguf_text(gguf_writer *writer, const char *key, const char *value);
void gguf_bool(gguf_writer *writer, const char *key, bool value);
void gguf_id(gguf_writer *writer, const char *key, uint32_t value);
void gguf_texts(gguf_writer *writer, const char *key, const char *const *values, uint64_t count);
void gguf_types(gguf_writer *writer, const char *key, const int32_t *values, uint64_t count);
void gguf_scores(gguf_writer *writer, const char *key, const float *values, uint64_t count);
void gguf_end(gguf_writer *writer, const char *path);

// The metadata that llama.cpp's converter would make of a tokenizer.json; `pre` names the pattern, which it cannot see.
void gguf_from_tokenizer_json(const char *json_path, const char *pre, const char *path);

// A path of our own in the folder for temporary files; caller frees.
char *test_path(const char *name);

#endif
