#include "runtime/score.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

double weft_nll(const float *logits, uint32_t vocabulary, int32_t target) {
  double largest = -INFINITY, sum = 0;
  for (uint32_t i = 0; i < vocabulary; ++i)
    if (!((double)logits[i] <= largest)) largest = (double)logits[i];
  for (uint32_t i = 0; i < vocabulary; ++i) sum += exp((double)logits[i] - largest);
  return largest + log(sum) - (double)logits[target];
}

static weft_status check(const weft_schedule *schedule, uint64_t count, uint32_t *stride) {
  const weft_run *run = &schedule->run;
  if (run->mode != WEFT_PREFILL || !run->all_logits || run->batch != 1 || run->sequence < 2) {
    return weft_error(WEFT_INVALID,
                      "scoring needs a prefill schedule of batch 1 with the logits of two positions or more");
  }
  if (count < run->sequence) {
    return weft_error(WEFT_INVALID, "the text has %llu tokens, fewer than one window of %u", (unsigned long long)count,
                      run->sequence);
  }
  if (*stride == 0) *stride = run->sequence / 2;
  if (*stride < run->sequence) return NULL;
  return weft_error(WEFT_INVALID, "stride %u must be smaller than the window of %u tokens", *stride, run->sequence);
}

static weft_status score_windows(weft_session *session, const weft_schedule *schedule, const int32_t *ids,
                                 uint64_t count, uint32_t stride, void (*progress)(void *, uint64_t), void *context,
                                 float *logits, weft_score *score) {
  uint32_t vocabulary = schedule->network.vocabulary, window = schedule->run.sequence;
  uint64_t begin = 0, scored = 1;  // ids[0] has nothing before it
  while (scored < count) {
    if (begin + window > count) begin = count - window;
    weft_outcome outcome = {0};
    WEFT_TRY(weft_session_run(session, &(weft_feed){.ids = ids + begin}, NULL, &outcome));
    WEFT_TRY(weft_session_read(session, "logits", logits, (uint64_t)window * vocabulary));
    score->seconds += outcome.seconds;
    ++score->windows;
    for (; scored < begin + window; ++scored) {
      double nll = weft_nll(logits + (scored - 1 - begin) * vocabulary, vocabulary, ids[scored]);
      if (isnan(nll))
        return weft_error(WEFT_FAILED, "the logits at token %llu are not numbers", (unsigned long long)scored - 1);
      score->nll[score->count++] = nll;
    }
    if (progress) progress(context, scored);
    begin += stride;
  }
  return NULL;
}

weft_status weft_score_ids(weft_session *session, const weft_schedule *schedule, const int32_t *ids, uint64_t count,
                           uint32_t stride, void (*progress)(void *context, uint64_t done), void *context,
                           weft_score *out_score) {
  WEFT_TRY(check(schedule, count, &stride));
  void *logits = NULL;
  WEFT_TRY(weft_allocate_large((size_t)schedule->run.sequence * schedule->network.vocabulary * sizeof(float),
                               "the logits of a window", &logits));
  weft_score score = {.nll = weft_allocate_array((size_t)count, sizeof *score.nll)};
  weft_status status = score_windows(session, schedule, ids, count, stride, progress, context, logits, &score);
  weft_free_large(logits);
  if (status) {
    weft_score_finish(&score);
    return status;
  }
  double sum = 0;
  for (uint64_t i = 0; i < score.count; ++i) sum += score.nll[i];
  score.mean = sum / (double)score.count;
  score.perplexity = exp(score.mean);
  *out_score = score;
  return NULL;
}

void weft_score_finish(weft_score *score) {
  free(score->nll);
  *score = (weft_score){0};
}
