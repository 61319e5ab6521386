// Scoring: how surprised a network is by a text. nll[i] = -log p(id[i+1] | ids before it), in nats, from the logits of
// a prefill over windows; perplexity = exp of their mean.
//
// A text longer than the schedule's sequence W is read in windows that begin `stride` tokens apart (the last one ends
// with the text); each token is scored once, in the first window that has it, so that all but the first W see at least
// W - stride tokens before them. Threads: one at a time.
#ifndef WEFT_RUNTIME_SCORE_H
#define WEFT_RUNTIME_SCORE_H

#include "base/status.h"
#include "compiler/schedule.h"
#include "runtime/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_score {
  double *nll;  // count of them; nll[i] belongs to ids[i + 1]; release with weft_score_finish
  uint64_t count;
  double mean, perplexity;
  uint64_t windows;
  double seconds;  // of the session's runs
} weft_score;

// `session` runs a prefill schedule with all_logits and batch 1. stride is in [1, W - 1]; 0: W / 2. count >= W, the
// schedule's sequence. `progress` (may be NULL) is told how many tokens are scored.
weft_status weft_score_ids(weft_session *session, const weft_schedule *schedule, const int32_t *ids, uint64_t count,
                           uint32_t stride, void (*progress)(void *context, uint64_t done), void *context,
                           weft_score *out_score) WEFT_CHECKED;
void weft_score_finish(weft_score *score);  // takes a zeroed one

// -log softmax(logits)[target], logits (vocabulary), summed in f64.
double weft_nll(const float *logits, uint32_t vocabulary, int32_t target);

#ifdef __cplusplus
}
#endif
#endif
