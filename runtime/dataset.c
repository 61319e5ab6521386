#include "runtime/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"

static weft_status check_ids(const char *path, const weft_dataset *dataset, uint32_t vocabulary) {
  for (uint64_t i = 0; i < dataset->count; ++i) {
    if (dataset->ids[i] >= 0 && (uint32_t)dataset->ids[i] < vocabulary) continue;
    return weft_error(WEFT_INVALID,
                      "%s: token %llu is %d, but the network's vocabulary has only %u; is this its tokenizer?", path,
                      (unsigned long long)i, dataset->ids[i], vocabulary);
  }
  return NULL;
}

weft_status weft_dataset_read(const char *path, const weft_tokenizer *tokenizer, uint32_t vocabulary, double validation,
                              weft_dataset *out_dataset) {
  if (!(validation >= 0 && validation <= 0.5))
    return weft_error(WEFT_INVALID, "the validation part %g must be from 0 to 0.5", validation);
  weft_mapping text = {0};
  WEFT_TRY(weft_mapping_open(path, &text));
  weft_dataset dataset = {.bytes = text.size, .hash = weft_hash_bytes(text.bytes, text.size)};
  size_t count = 0;
  weft_status status = text.size == 0 ? weft_error(WEFT_INVALID, "%s: the file is empty", path) : NULL;
  if (!status) status = weft_tokenizer_encode(tokenizer, (const char *)text.bytes, text.size, &dataset.ids, &count);
  weft_mapping_close(&text);
  dataset.count = count;
  dataset.train_count = count - (uint64_t)((double)count * validation);
  if (!status) status = check_ids(path, &dataset, vocabulary);
  if (status) {
    weft_dataset_finish(&dataset);
    return status;
  }
  *out_dataset = dataset;
  return NULL;
}

void weft_dataset_finish(weft_dataset *dataset) {
  free(dataset->ids);
  *dataset = (weft_dataset){0};
}

static weft_status check_part(const char *what, uint64_t count, uint32_t tokens) {
  if (count > tokens) return NULL;
  return weft_error(WEFT_INVALID, "the %s part of the data has %llu tokens; a sequence of %u needs at least %u", what,
                    (unsigned long long)count, tokens, tokens + 1);
}

weft_status weft_dataset_check(const weft_dataset *dataset, uint32_t tokens) {
  WEFT_TRY(check_part("training", dataset->train_count, tokens));
  return dataset->train_count == dataset->count
             ? NULL
             : check_part("validation", dataset->count - dataset->train_count, tokens);
}

static void copy_window(const int32_t *from, uint32_t tokens, int32_t *ids, int32_t *targets) {
  memcpy(ids, from, tokens * sizeof *ids);
  memcpy(targets, from + 1, tokens * sizeof *targets);
}

void weft_dataset_train(const weft_dataset *dataset, uint64_t seed, uint64_t index, uint32_t tokens, int32_t *ids,
                        int32_t *targets) {
  uint64_t starts = dataset->train_count - tokens;
  uint64_t start = (uint64_t)(weft_random_uniform(seed, 0x64617461u, index) * (double)starts);
  copy_window(dataset->ids + start, tokens, ids, targets);
}

void weft_dataset_validate(const weft_dataset *dataset, uint64_t index, uint64_t count, uint32_t tokens, int32_t *ids,
                           int32_t *targets) {
  uint64_t last = dataset->count - dataset->train_count - tokens - 1;
  uint64_t start = count > 1 ? last * index / (count - 1) : 0;
  copy_window(dataset->ids + dataset->train_count + start, tokens, ids, targets);
}
