// Choosing the next token from logits.
//
// In this order: logits are divided by the temperature; the top_k largest are kept; of their softmax the smallest set
// of most probable tokens whose probabilities reach top_p is kept (nucleus sampling, Holtzman et al.,
// arXiv:1904.09751); one token is drawn. Temperature 0 is greedy: the largest logit, the smaller id where two are
// equal. A draw is a pure function of (seed, index), so the same seed gives the same text.
//
// Threads: a sampler belongs to one thread at a time.
#ifndef WEFT_RUNTIME_SAMPLE_H
#define WEFT_RUNTIME_SAMPLE_H

#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_sampling {
  double temperature;  // >= 0; 0: greedy
  uint32_t top_k;      // 0: all
  double top_p;        // in (0, 1]; 1: all
  uint64_t seed;
} weft_sampling;

weft_sampling weft_sampling_default(void);  // temperature 0, all, 1, seed 1
weft_status weft_sampling_check(const weft_sampling *sampling) WEFT_CHECKED;

typedef struct weft_sampler weft_sampler;  // scratch for one vocabulary

weft_sampler *weft_sampler_create(const weft_sampling *sampling, uint32_t vocabulary);  // sampling has been checked
void weft_sampler_destroy(weft_sampler *sampler);                                       // takes NULL

// The token drawn from logits (vocabulary of them). `index` counts draws, from 0. WEFT_FAILED when a logit is NaN or
// all are minus infinity.
weft_status weft_sampler_draw(weft_sampler *sampler, const float *logits, uint64_t index,
                              int32_t *out_token) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
