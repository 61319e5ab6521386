#include "runtime/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

typedef struct candidate {
  float logit;
  int32_t token;
} candidate;

struct weft_sampler {
  weft_sampling sampling;
  uint32_t vocabulary;
  candidate *candidates;  // a heap
  candidate *kept;        // most probable first
  double *weights;        // of the kept ones; the largest is 1
};

weft_sampling weft_sampling_default(void) {
  return (weft_sampling){.temperature = 0, .top_k = 0, .top_p = 1, .seed = 1};
}

weft_status weft_sampling_check(const weft_sampling *sampling) {
  if (!(sampling->temperature >= 0 && sampling->temperature <= 100)) {
    return weft_error(WEFT_INVALID, "temperature %g must be from 0 (greedy) to 100", sampling->temperature);
  }
  if (!(sampling->top_p > 0 && sampling->top_p <= 1)) {
    return weft_error(WEFT_INVALID, "top-p %g must be greater than 0 and at most 1", sampling->top_p);
  }
  return NULL;
}

weft_sampler *weft_sampler_create(const weft_sampling *sampling, uint32_t vocabulary) {
  weft_sampler *sampler = weft_allocate(sizeof *sampler);
  sampler->sampling = *sampling;
  sampler->vocabulary = vocabulary;
  sampler->candidates = weft_allocate_array(vocabulary, sizeof *sampler->candidates);
  sampler->kept = weft_allocate_array(vocabulary, sizeof *sampler->kept);
  sampler->weights = weft_allocate_array(vocabulary, sizeof *sampler->weights);
  return sampler;
}

void weft_sampler_destroy(weft_sampler *sampler) {
  if (!sampler) return;
  free(sampler->candidates);
  free(sampler->kept);
  free(sampler->weights);
  free(sampler);
}

static bool before(candidate a, candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.token < b.token); }

static void swap(candidate *a, candidate *b) {
  candidate kept = *a;
  *a = *b;
  *b = kept;
}

// A heap at the end of the array, best at heap[0]: sorting stops where the nucleus ends.
static void sink_down(candidate *heap, size_t count, size_t at) {
  for (;;) {
    size_t best = at, left = 2 * at + 1, right = left + 1;
    if (left < count && before(heap[left], heap[best])) best = left;
    if (right < count && before(heap[right], heap[best])) best = right;
    if (best == at) return;
    swap(&heap[at], &heap[best]);
    at = best;
  }
}

static candidate pop(candidate *heap, size_t *count) {
  candidate best = heap[0];
  heap[0] = heap[--*count];
  sink_down(heap, *count, 0);
  return best;
}

static weft_status best_of(const float *logits, uint32_t count, uint32_t *out_best) {
  uint32_t best = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (isnan(logits[i])) return weft_error(WEFT_FAILED, "the logit of token %u is not a number", i);
    if (logits[i] > logits[best]) best = i;
  }
  if (isinf(logits[best]))
    return weft_error(WEFT_FAILED, "the largest logit, of token %u, is %g", best, (double)logits[best]);
  *out_best = best;
  return NULL;
}

// Fills weights[] in the order in which candidates leave the heap, until top_k or top_p is reached.
static size_t keep_best(weft_sampler *s, double total_of_all, double largest) {
  size_t left = s->vocabulary, count = 0, limit = s->sampling.top_k ? s->sampling.top_k : s->vocabulary;
  double sum = 0;
  for (size_t i = left / 2; i-- > 0;) sink_down(s->candidates, left, i);
  if (limit > left) limit = left;
  for (; count < limit && !(s->sampling.top_k == 0 && sum >= s->sampling.top_p * total_of_all); ++count) {
    s->kept[count] = pop(s->candidates, &left);
    s->weights[count] = exp(((double)s->kept[count].logit - largest) / s->sampling.temperature);
    sum += s->weights[count];
  }
  if (s->sampling.top_k == 0) return count;
  // top_p of what top_k left.
  double reached = 0, wanted = s->sampling.top_p * sum;
  size_t nucleus = 0;
  while (nucleus < count && (nucleus == 0 || reached < wanted)) reached += s->weights[nucleus++];
  return nucleus;
}

static int32_t draw(const weft_sampler *s, const candidate *kept, size_t count, uint64_t index) {
  double sum = 0, reached = 0;
  for (size_t i = 0; i < count; ++i) sum += s->weights[i];
  double point = weft_random_uniform(s->sampling.seed, 0x73616d706c65u, index) * sum;
  for (size_t i = 0; i + 1 < count; ++i) {
    reached += s->weights[i];
    if (point < reached) return kept[i].token;
  }
  return kept[count - 1].token;
}

weft_status weft_sampler_draw(weft_sampler *s, const float *logits, uint64_t index, int32_t *out_token) {
  uint32_t best = 0;
  WEFT_TRY(best_of(logits, s->vocabulary, &best));
  *out_token = (int32_t)best;
  if (s->sampling.temperature == 0 || s->sampling.top_k == 1) return NULL;
  bool all = s->sampling.top_k == 0 && s->sampling.top_p >= 1;
  double total = 0;
  for (uint32_t i = 0; i < s->vocabulary; ++i) {
    s->candidates[i] = (candidate){logits[i], (int32_t)i};
    double weight = exp(((double)logits[i] - (double)logits[best]) / s->sampling.temperature);
    if (all) s->weights[i] = weight;
    total += weight;
  }
  if (all) {
    *out_token = draw(s, s->candidates, s->vocabulary, index);
    return NULL;
  }
  size_t count = keep_best(s, total, (double)logits[best]);
  *out_token = draw(s, s->kept, count, index);
  return NULL;
}
