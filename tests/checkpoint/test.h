// What the tests of checkpoints share: a builder of GGUF files in memory, and folders to write into.
#ifndef WEFT_TESTS_CHECKPOINT_TEST_H
#define WEFT_TESTS_CHECKPOINT_TEST_H

#include "models/checkpoint_internal.h"
#include "tests/base/test.h"

// Parts of a GGUF file; write_* append to one of them.
typedef struct gguf_bytes {
  uint8_t *bytes;
  size_t size;
} gguf_bytes;

typedef struct gguf_builder {
  uint32_t version, alignment;
  uint64_t meta_count, tensor_count;
  gguf_bytes meta, tensors, data;
} gguf_builder;

// ggml's and GGUF's numbers, written out here a second time on purpose: a test must not copy its subject's tables.
enum { GGML_F32 = 0, GGML_F16 = 1, GGML_Q2_K = 10, GGML_Q4_0 = 2, GGML_Q8_0 = 8, GGML_I32 = 26, GGML_BF16 = 30 };
enum {
  GGUF_U8,
  GGUF_I8,
  GGUF_U16,
  GGUF_I16,
  GGUF_U32,
  GGUF_I32,
  GGUF_F32,
  GGUF_BOOL,
  GGUF_TEXT,
  GGUF_ARRAY,
  GGUF_U64,
  GGUF_I64,
  GGUF_F64
};

void gguf_start(gguf_builder *builder);  // version 3, alignment 32
void gguf_append(gguf_bytes *to, const void *bytes, size_t size);
void gguf_append_text(gguf_bytes *to, const char *text);
void gguf_meta(gguf_builder *builder, const char *key, uint32_t type, const void *value, size_t size);
void gguf_u32(gguf_builder *builder, const char *key, uint32_t value);
void gguf_f32(gguf_builder *builder, const char *key, float value);
void gguf_text(gguf_builder *builder, const char *key, const char *value);
void gguf_texts(gguf_builder *builder, const char *key, const char *const *values, uint64_t count);
// `shape` outermost first, as in weft_stored_tensor.
void gguf_tensor(gguf_builder *builder, const char *name, uint32_t rank, const uint64_t *shape, uint32_t format,
                 const void *data, size_t bytes);
// The file; the builder's memory is released. Caller frees.
uint8_t *gguf_finish(gguf_builder *builder, size_t *out_size);

// A fresh folder under the current one, removed with its files by remove_folder. Caller frees the path.
char *make_folder(void);
void remove_folder(char *folder);
void write_text(const char *folder, const char *name, const char *text);

// The status is WEFT_INVALID and its message contains `part`; frees it.
void assert_refused(weft_status status, const char *part);

#endif
