#include <math.h>
#include <string.h>

#include "base/text.h"
#include "runtime/train.h"

static const char *const names[WEFT_DECAY_KIND_COUNT] = {"cosine", "linear", "constant"};

const char *weft_decay_kind_name(weft_decay_kind kind) { return names[kind]; }

weft_status weft_decay_kind_parse(const char *name, weft_decay_kind *out_kind) {
  for (int k = 0; k < WEFT_DECAY_KIND_COUNT; ++k) {
    if (strcmp(name, names[k]) != 0) continue;
    *out_kind = (weft_decay_kind)k;
    return NULL;
  }
  return weft_error(WEFT_INVALID, "unknown learning-rate schedule \"%s\"; the nearest known one is \"%s\"", name,
                    weft_nearest(name, names, WEFT_DECAY_KIND_COUNT));
}

weft_status weft_learning_rate_check(const weft_learning_rate *rate) {
  if (!(rate->peak > 0 && rate->peak <= 10))
    return weft_error(WEFT_INVALID, "learning rate %g must be greater than 0 and at most 10", rate->peak);
  if (!(rate->floor >= 0 && rate->floor <= rate->peak)) {
    return weft_error(WEFT_INVALID, "the least learning rate %g must be from 0 to the greatest, %g", rate->floor,
                      rate->peak);
  }
  if (rate->steps == 0) return weft_error(WEFT_INVALID, "training needs at least one step");
  if (rate->warmup > rate->steps) {
    return weft_error(WEFT_INVALID, "a warm-up of %llu steps is longer than the %llu steps of training",
                      (unsigned long long)rate->warmup, (unsigned long long)rate->steps);
  }
  return NULL;
}

double weft_learning_rate_at(const weft_learning_rate *rate, uint64_t step) {
  if (step < rate->warmup) return rate->peak * (double)(step + 1) / (double)rate->warmup;
  if (rate->kind == WEFT_DECAY_CONSTANT) return rate->peak;
  uint64_t left = rate->steps - rate->warmup;
  double progress = left > 1 ? (double)(step - rate->warmup) / (double)(left - 1) : 0;
  if (progress > 1) progress = 1;
  double share = rate->kind == WEFT_DECAY_COSINE ? 0.5 * (1 + cos(3.14159265358979323846 * progress)) : 1 - progress;
  return rate->floor + (rate->peak - rate->floor) * share;
}
