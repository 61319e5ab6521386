#include <dirent.h>
#include <unistd.h>

#include "tests/checkpoint/test.h"

void gguf_start(gguf_builder *builder) { *builder = (gguf_builder){.version = 3, .alignment = 32}; }

void gguf_append(gguf_bytes *to, const void *bytes, size_t size) {
  if (size == 0) return;
  to->bytes = weft_grow(to->bytes, to->size + size, 1);
  memcpy(to->bytes + to->size, bytes, size);
  to->size += size;
}

void gguf_append_text(gguf_bytes *to, const char *text) {
  uint64_t length = strlen(text);
  gguf_append(to, &length, 8);
  gguf_append(to, text, length);
}

void gguf_meta(gguf_builder *b, const char *key, uint32_t type, const void *value, size_t size) {
  gguf_append_text(&b->meta, key);
  gguf_append(&b->meta, &type, 4);
  gguf_append(&b->meta, value, size);
  ++b->meta_count;
}

void gguf_u32(gguf_builder *b, const char *key, uint32_t value) { gguf_meta(b, key, GGUF_U32, &value, 4); }

void gguf_f32(gguf_builder *b, const char *key, float value) { gguf_meta(b, key, GGUF_F32, &value, 4); }

void gguf_text(gguf_builder *b, const char *key, const char *value) {
  gguf_meta(b, key, GGUF_TEXT, NULL, 0);
  gguf_append_text(&b->meta, value);
}

void gguf_texts(gguf_builder *b, const char *key, const char *const *values, uint64_t count) {
  uint32_t type = GGUF_TEXT;
  gguf_meta(b, key, GGUF_ARRAY, &type, 4);
  gguf_append(&b->meta, &count, 8);
  for (uint64_t i = 0; i < count; ++i) gguf_append_text(&b->meta, values[i]);
}

static void pad(gguf_bytes *to, size_t alignment) {
  static const uint8_t zeros[4096];
  gguf_append(to, zeros, (alignment - to->size % alignment) % alignment);
}

void gguf_tensor(gguf_builder *b, const char *name, uint32_t rank, const uint64_t *shape, uint32_t format,
                 const void *data, size_t bytes) {
  pad(&b->data, b->alignment);
  uint64_t offset = b->data.size;
  gguf_append_text(&b->tensors, name);
  gguf_append(&b->tensors, &rank, 4);
  for (uint32_t i = rank; i-- > 0;) gguf_append(&b->tensors, &shape[i], 8);
  gguf_append(&b->tensors, &format, 4);
  gguf_append(&b->tensors, &offset, 8);
  gguf_append(&b->data, data, bytes);
  ++b->tensor_count;
}

uint8_t *gguf_finish(gguf_builder *b, size_t *out_size) {
  gguf_bytes file = {0};
  gguf_append(&file, "GGUF", 4);
  gguf_append(&file, &b->version, 4);
  gguf_append(&file, &b->tensor_count, 8);
  gguf_append(&file, &b->meta_count, 8);
  gguf_append(&file, b->meta.bytes, b->meta.size);
  gguf_append(&file, b->tensors.bytes, b->tensors.size);
  pad(&file, b->alignment);
  gguf_append(&file, b->data.bytes, b->data.size);
  free(b->meta.bytes);
  free(b->tensors.bytes);
  free(b->data.bytes);
  *out_size = file.size;
  return file.bytes;
}

char *make_folder(void) {
  char *folder = weft_copy_text("checkpoint-test-XXXXXX");
  assert_non_null(mkdtemp(folder));
  return folder;
}

void remove_folder(char *folder) {
  DIR *entries = opendir(folder);
  assert_non_null(entries);
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (entry->d_name[0] == '.') continue;
    char *path = weft_format("%s/%s", folder, entry->d_name);
    assert_int_equal(unlink(path), 0);
    free(path);
  }
  closedir(entries);
  assert_int_equal(rmdir(folder), 0);
  free(folder);
}

void write_text(const char *folder, const char *name, const char *text) {
  char *path = weft_format("%s/%s", folder, name);
  assert_ok(weft_file_write(path, text, strlen(text)));
  free(path);
}

void assert_refused(weft_status status, const char *part) {
  assert_non_null(status);
  if (!strstr(weft_status_message(status), part))
    fail_msg("\"%s\" does not say \"%s\"", weft_status_message(status), part);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  weft_status_free(status);
}
