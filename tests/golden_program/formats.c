// Files: GGUF's quantisations, shards, tokenizers.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/golden_program/golden.h"
#include "models/tokenizer.h"

// ---- gguf ----

static uint64_t elements_of(const weft_stored_tensor *tensor) {
  uint64_t count = 1;
  for (uint32_t d = 0; d < tensor->rank; ++d) count *= tensor->shape[d];
  return count;
}

static weft_status compare_quantised(golden *g, const weft_checkpoint *gguf, const weft_stored_tensor *expected) {
  weft_stored_tensor tensor = {0};
  WEFT_TRY(weft_checkpoint_find(gguf, expected->name, &tensor));
  uint64_t count = elements_of(expected), wrong = 0;
  if (elements_of(&tensor) != count || expected->dtype != WEFT_F32) {
    return weft_error(WEFT_INVALID, "%s: %s differs in size from the expected values", tensor.file, tensor.name);
  }
  float *values = weft_allocate_array(count, sizeof *values);
  weft_checkpoint_convert(&tensor, 0, WEFT_F32, values);
  for (uint64_t i = 0; i < count; ++i)
    wrong += memcmp(&values[i], (const float *)expected->data + i, sizeof *values) != 0;
  free(values);
  char *check = weft_format("values of %s", weft_dtype_name(tensor.dtype));
  golden_check(g, check, "count", (double)wrong, 0, NULL);
  free(check);
  return NULL;
}

weft_status golden_gguf(golden *g, const char *gguf_path, const char *values_path) {
  weft_checkpoint *gguf = NULL, *values = NULL;
  weft_status status = weft_checkpoint_open(gguf_path, &gguf);
  if (!status) status = weft_checkpoint_open(values_path, &values);
  for (uint32_t i = 0; !status && i < weft_checkpoint_count(values); ++i) {
    weft_stored_tensor expected = weft_checkpoint_tensor(values, i);
    status = compare_quantised(g, gguf, &expected);
  }
  if (!status && weft_checkpoint_count(gguf) != weft_checkpoint_count(values)) {
    status = weft_error(WEFT_INVALID, "%s has %u tensors, %s has %u", gguf_path, weft_checkpoint_count(gguf),
                        values_path, weft_checkpoint_count(values));
  }
  weft_checkpoint_close(values);
  weft_checkpoint_close(gguf);
  return status;
}

// ---- shards ----

// The folder beside `path` whose name is the longest beginning of its name and which holds one whole file of weights.
static char *find_whole(const char *path) {
  char *base = weft_copy_text(path);
  for (size_t length = strlen(base); length > 1 && base[length - 1] != '/'; --length) {
    base[length - 1] = 0;
    char *weights = weft_format("%s/model.safetensors", base);
    bool found = weft_file_exists(weights);
    free(weights);
    if (found) return base;
  }
  free(base);
  return NULL;
}

// Every parameter of the shards must be the whole file's, rounded to the shards' dtype.
static weft_status compare_shards(golden *g, const weft_checkpoint *shards, const weft_checkpoint *whole) {
  weft_network network;
  WEFT_TRY(weft_checkpoint_network(shards, &network));
  uint64_t wrong = 0;
  for (uint32_t p = 0; p < weft_network_parameter_tensors(&network); ++p) {
    weft_parameter parameter = weft_network_parameter(&network, p);
    weft_stored_tensor part = {0}, full = {0};
    uint32_t heads = 0;
    WEFT_TRY(weft_checkpoint_parameter(shards, &parameter, &part, &heads));
    WEFT_TRY(weft_checkpoint_parameter(whole, &parameter, &full, &heads));
    if (!weft_dtype_computes(part.dtype))
      return weft_error(WEFT_INVALID, "%s: %s is %s", part.file, part.name, weft_dtype_name(part.dtype));
    void *rounded = weft_allocate(part.bytes);
    weft_checkpoint_convert(&full, 0, part.dtype, rounded);
    wrong += memcmp(rounded, part.data, part.bytes) != 0;
    free(rounded);
  }
  golden_check(g, "weights from shards", "count", (double)wrong, 0,
               "tensors that differ from the whole file's, rounded");
  return NULL;
}

weft_status golden_sharded(golden *g, const char *path) {
  char *base = find_whole(path);
  if (!base) {
    golden_skip(g, "weights from shards", "no folder beside it holds the same network in one file");
    return NULL;
  }
  weft_checkpoint *shards = NULL, *whole = NULL;
  weft_status status = weft_checkpoint_open(path, &shards);
  if (!status) status = weft_checkpoint_open(base, &whole);
  if (!status) status = compare_shards(g, shards, whole);
  weft_checkpoint_close(whole);
  weft_checkpoint_close(shards);
  free(base);
  return status;
}

// ---- tokenizers ----

typedef struct token_cases {
  weft_tokenizer *tokenizer;
  uint64_t cases, wrong_ids, wrong_texts;
} token_cases;

static weft_status visit_text(void *context, json_t *line) {
  token_cases *c = context;
  json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, "ids"),
         *decoded = json_object_get(line, "decoded");
  if (!json_is_string(text) || !json_is_array(ids) || !json_is_string(decoded)) {
    return weft_error(WEFT_INVALID, "expected an object with text, ids and decoded");
  }
  int32_t *ours = NULL;
  size_t count = 0, bytes = 0;
  WEFT_TRY(weft_tokenizer_encode(c->tokenizer, json_string_value(text), json_string_length(text), &ours, &count));
  bool same = count == json_array_size(ids);
  for (size_t i = 0; same && i < count; ++i) same = ours[i] == json_integer_value(json_array_get(ids, i));
  free(ours);
  int32_t *given = weft_allocate_array(json_array_size(ids), sizeof *given);
  for (size_t i = 0; i < json_array_size(ids); ++i) given[i] = (int32_t)json_integer_value(json_array_get(ids, i));
  char *back = NULL;
  weft_status status = weft_tokenizer_decode(c->tokenizer, given, json_array_size(ids), &back, &bytes);
  free(given);
  WEFT_TRY(status);
  ++c->cases;
  c->wrong_ids += !same;
  c->wrong_texts += bytes != json_string_length(decoded) || memcmp(back, json_string_value(decoded), bytes) != 0;
  free(back);
  return NULL;
}

weft_status golden_tokenizer(golden *g, const char *path) {
  token_cases c = {0};
  WEFT_TRY(weft_tokenizer_open(path, &c.tokenizer));
  char *cases = weft_format("%s/cases.jsonl", path);
  weft_status status = golden_lines(cases, visit_text, &c);
  free(cases);
  if (!status) {
    char *note = weft_format("of %llu texts, %s", (unsigned long long)c.cases, weft_tokenizer_kind(c.tokenizer));
    golden_check(g, "token ids", "count", (double)c.wrong_ids, 0, note);
    golden_check(g, "decoded text", "count", (double)c.wrong_texts, 0, note);
    free(note);
  }
  weft_tokenizer_close(c.tokenizer);
  return status;
}
