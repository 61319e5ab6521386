// Text to train on: a file, tokenised as a whole, cut into a training part and a validation part at its end.
//
// Windows of tokens are drawn as a pure function of (seed, index), so a run that is resumed reads what it would have
// read. Threads: reading is free.
#ifndef WEFT_RUNTIME_DATASET_H
#define WEFT_RUNTIME_DATASET_H

#include "base/status.h"
#include "models/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_dataset {
  int32_t *ids;  // release with weft_dataset_finish
  uint64_t count;
  uint64_t train_count;  // ids[0 .. train_count) are trained on, the rest is for validation
  uint64_t bytes;        // of the text
  uint64_t hash;         // of the text
} weft_dataset;

// `validation` in [0, 0.5] is the part of the tokens kept for it. WEFT_INVALID: an empty file, or a token beyond
// `vocabulary`.
weft_status weft_dataset_read(const char *path, const weft_tokenizer *tokenizer, uint32_t vocabulary, double validation,
                              weft_dataset *out_dataset) WEFT_CHECKED;
void weft_dataset_finish(weft_dataset *dataset);  // takes a zeroed one

// Both parts must be able to give a window of tokens + 1 (the validation part only where it is not empty).
weft_status weft_dataset_check(const weft_dataset *dataset, uint32_t tokens) WEFT_CHECKED;

// Window `index` of the training part: ids (tokens), and targets (tokens), each the id that comes next.
void weft_dataset_train(const weft_dataset *dataset, uint64_t seed, uint64_t index, uint32_t tokens, int32_t *ids,
                        int32_t *targets);
// Window `index` of `count` spread evenly over the validation part.
void weft_dataset_validate(const weft_dataset *dataset, uint64_t index, uint64_t count, uint32_t tokens, int32_t *ids,
                           int32_t *targets);

#ifdef __cplusplus
}
#endif
#endif
