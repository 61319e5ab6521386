// A pre-trained network: what it says and scores, case by case. {prompt, ids, nll of ids[1:], last_top10, greedy,
// greedy_margin}: where the margin between the two largest logits is small, another order of summation may take the
// other branch; the continuation is compared up to there, and the rest by feeding the given tokens.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/golden_program/golden.h"
#include "models/tokenizer.h"
#include "runtime/generate.h"
#include "runtime/score.h"

static const double nll_abs = 2e-3, top_abs = 2e-3, small_margin = 0.05;

typedef struct suite {
  golden *g;
  weft_checkpoint *checkpoint;
  weft_network network;
  weft_store *store;
  weft_tokenizer *tokenizer;
  uint64_t cases, wrong_prompts, wrong_greedy, wrong_fed, greedy_tokens, fed_tokens;
  double worst_nll, worst_top;
} suite;

typedef struct one_case {
  const char *prompt;
  size_t prompt_bytes;
  int32_t *ids;  // the prompt's, then the greedy continuation's
  uint32_t ids_count, greedy_count;
  json_t *nll, *top, *margin;
} one_case;

static weft_status read_case(json_t *line, one_case *out_case) {
  json_t *prompt = json_object_get(line, "prompt"), *ids = json_object_get(line, "ids"),
         *greedy = json_object_get(line, "greedy");
  one_case c = {.nll = json_object_get(line, "nll"),
                .top = json_object_get(line, "last_top10"),
                .margin = json_object_get(line, "greedy_margin")};
  if (!json_is_string(prompt) || json_array_size(ids) < 1 || json_array_size(greedy) != json_array_size(c.margin) ||
      json_array_size(c.nll) + 1 != json_array_size(ids) || json_array_size(c.top) == 0) {
    return weft_error(WEFT_INVALID, "expected an object with prompt, ids, nll, last_top10, greedy and greedy_margin");
  }
  c.prompt = json_string_value(prompt);
  c.prompt_bytes = json_string_length(prompt);
  c.ids_count = (uint32_t)json_array_size(ids);
  c.greedy_count = (uint32_t)json_array_size(greedy);
  c.ids = weft_allocate_array(c.ids_count + c.greedy_count, sizeof *c.ids);
  for (uint32_t i = 0; i < c.ids_count; ++i) c.ids[i] = (int32_t)json_integer_value(json_array_get(ids, i));
  for (uint32_t i = 0; i < c.greedy_count; ++i)
    c.ids[c.ids_count + i] = (int32_t)json_integer_value(json_array_get(greedy, i));
  *out_case = c;
  return NULL;
}

static weft_status check_prompt(suite *s, const one_case *c) {
  int32_t *ids = NULL;
  size_t count = 0;
  WEFT_TRY(weft_tokenizer_encode(s->tokenizer, c->prompt, c->prompt_bytes, &ids, &count));
  s->wrong_prompts += count != c->ids_count || memcmp(ids, c->ids, count * sizeof *ids) != 0;
  free(ids);
  return NULL;
}

static uint32_t largest_of(const float *logits, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < count; ++i)
    if (logits[i] > logits[best]) best = i;
  return best;
}

// The ten best: the same values, and no other token above the tenth.
static void compare_top(suite *s, const one_case *c, const float *logits) {
  double least = INFINITY;
  for (size_t i = 0; i < json_array_size(c->top); ++i) {
    json_t *pair = json_array_get(c->top, i);
    double value = json_number_value(json_array_get(pair, 1)),
           ours = (double)logits[json_integer_value(json_array_get(pair, 0))];
    s->worst_top = fmax(s->worst_top, fabs(value - ours));
    least = fmin(least, value);
  }
  size_t above = 0;
  for (uint32_t v = 0; v < s->network.vocabulary; ++v) above += (double)logits[v] > least + top_abs;
  if (above > json_array_size(c->top)) s->worst_top = INFINITY;
}

// One pass over prompt and given continuation: nll of the prompt, its last logits, and the best token at each step.
static void compare_fed(suite *s, const one_case *c, const float *logits) {
  uint32_t vocabulary = s->network.vocabulary;
  for (uint32_t i = 0; i + 1 < c->ids_count; ++i) {
    double nll = weft_nll(logits + (size_t)i * vocabulary, vocabulary, c->ids[i + 1]);
    double error = fabs(nll - json_number_value(json_array_get(c->nll, i)));
    if (!(error <= s->worst_nll)) s->worst_nll = error;
  }
  compare_top(s, c, logits + (size_t)(c->ids_count - 1) * vocabulary);
  for (uint32_t i = 0; i < c->greedy_count; ++i) {
    if (json_number_value(json_array_get(c->margin, i)) < small_margin) continue;
    uint32_t best = largest_of(logits + (size_t)(c->ids_count - 1 + i) * vocabulary, vocabulary);
    s->wrong_fed += (int32_t)best != c->ids[c->ids_count + i];
    ++s->fed_tokens;
  }
}

static weft_status check_fed(suite *s, const one_case *c) {
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.sequence = c->ids_count + c->greedy_count;
  run.all_logits = true;
  weft_schedule *schedule = NULL;
  weft_session *session = NULL;
  weft_outcome outcome = {0};
  uint64_t count = (uint64_t)run.sequence * s->network.vocabulary;
  float *logits = weft_allocate_array(count, sizeof *logits);
  weft_status status = golden_compile(s->g, &s->network, run, &schedule);
  if (!status) status = weft_session_create(schedule, s->store, s->g->backend, &s->g->device, NULL, &session);
  if (!status) status = weft_session_run(session, &(weft_feed){.ids = c->ids}, NULL, &outcome);
  if (!status) status = weft_session_read(session, "logits", logits, count);
  if (!status) compare_fed(s, c, logits);
  weft_session_destroy(session);
  weft_schedule_destroy(schedule);
  free(logits);
  return status;
}

static uint32_t certain_tokens(const one_case *c) {
  uint32_t count = 0;
  while (count < c->greedy_count && json_number_value(json_array_get(c->margin, count)) >= small_margin) ++count;
  return count;
}

static weft_status check_greedy(suite *s, const one_case *c) {
  uint32_t certain = certain_tokens(c);
  if (certain == 0) return NULL;
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.sequence = c->ids_count;
  run.context = c->ids_count + certain;
  weft_schedule *prefill = NULL, *decode = NULL;
  weft_status status = golden_compile(s->g, &s->network, run, &prefill);
  run.mode = WEFT_DECODE;
  run.sequence = run.context;
  run.context = 0;
  if (!status) status = golden_compile(s->g, &s->network, run, &decode);
  weft_generate_options options = {.prefill = prefill,
                                   .decode = decode,
                                   .backend = s->g->backend,
                                   .device = s->g->device,
                                   .sampling = weft_sampling_default(),
                                   .tokens = certain,
                                   .eos = -1};
  weft_generation generation = {0};
  if (!status) status = weft_generate(s->store, &options, c->ids, c->ids_count, &generation);
  for (uint32_t i = 0; i < generation.count; ++i) s->wrong_greedy += generation.ids[i] != c->ids[c->ids_count + i];
  s->greedy_tokens += generation.count;
  weft_generation_finish(&generation);
  weft_schedule_destroy(decode);
  weft_schedule_destroy(prefill);
  return status;
}

static weft_status visit_case(void *context, json_t *line) {
  suite *s = context;
  one_case c = {0};
  WEFT_TRY(read_case(line, &c));
  weft_status status = check_prompt(s, &c);
  if (!status) status = check_fed(s, &c);
  if (!status) status = check_greedy(s, &c);
  free(c.ids);
  ++s->cases;
  return status;
}

static void report(suite *s) {
  char *cases = weft_format("%llu prompts", (unsigned long long)s->cases);
  char *greedy = weft_format("of %llu tokens, up to the first margin below %g", (unsigned long long)s->greedy_tokens,
                             small_margin);
  char *fed = weft_format("of %llu tokens with given ones fed, margins from %g", (unsigned long long)s->fed_tokens,
                          small_margin);
  golden_check(s->g, "prompts' token ids", "count", (double)s->wrong_prompts, 0, cases);
  golden_check(s->g, "nll", "abs", s->worst_nll, nll_abs, cases);
  golden_check(s->g, "ten best logits", "abs", s->worst_top, top_abs, cases);
  golden_check(s->g, "greedy continuation", "count", (double)s->wrong_greedy, 0, greedy);
  golden_check(s->g, "greedy, given tokens fed", "count", (double)s->wrong_fed, 0, fed);
  free(fed);
  free(greedy);
  free(cases);
}

weft_status golden_cases(golden *g, const char *path) {
  if (!g->smollm2) {
    golden_skip(g, "cases", "needs --smollm2 FILE.gguf (scripts/fetch-smollm2)");
    return NULL;
  }
  if (g->dtype != WEFT_F32) {
    golden_skip(g, "cases", "promised for f32");
    return NULL;
  }
  suite s = {.g = g};
  char *cases = weft_format("%s/cases.jsonl", path);
  weft_status status = weft_checkpoint_open(g->smollm2, &s.checkpoint);
  if (!status) status = weft_checkpoint_network(s.checkpoint, &s.network);
  if (!status) status = weft_store_open(&s.network, s.checkpoint, false, g->dtype, &s.store);
  if (!status) status = weft_tokenizer_open(g->smollm2, &s.tokenizer);
  if (!status) status = golden_lines(cases, visit_case, &s);
  if (!status) report(&s);
  free(cases);
  weft_tokenizer_close(s.tokenizer);
  weft_store_destroy(s.store);
  weft_checkpoint_close(s.checkpoint);
  return status;
}
