// libFuzzer's entry for tokenizer.json: a text that is JSON goes through the reader, and what opens must encode and
// decode.
#include <jansson.h>
#include <stdlib.h>

#include "models/tokenizer_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void exercise(const weft_tokenizer *tokenizer, const char *text, size_t count) {
  int32_t *ids;
  size_t id_count, back_bytes;
  char *back;
  weft_status status = weft_tokenizer_encode(tokenizer, text, count, &ids, &id_count);
  if (status) {
    weft_status_free(status);
    return;
  }
  status = weft_tokenizer_decode(tokenizer, ids, id_count, &back, &back_bytes);
  if (status) abort();  // what was encoded can be decoded
  free(back);
  free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  json_t *root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
  if (!root) return 0;
  weft_tokenizer *tokenizer;
  weft_status status = weft_tokenizer_from_json(root, "fuzzed.json", NULL, &tokenizer);
  if (status) {
    weft_status_free(status);
  } else {
    exercise(tokenizer, (const char *)bytes, size < 4096 ? size : 4096);
    weft_tokenizer_close(tokenizer);
  }
  json_decref(root);
  return 0;
}
