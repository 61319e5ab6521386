// Laws of sampling: temperature's limit is greedy, top-k and top-p keep what they should, shares follow the softmax.
#include <math.h>

#include "runtime/sample.h"
#include "tests/runtime/test.h"

enum { WORDS = 12, DRAWS = 60000 };
static const float logits[WORDS] = {0.3f, -1, 2.5f, 1.5f, 2.4f, -4, 0, 1.1f, 2.5f, -0.5f, 0.9f, -2};

static void shares(weft_sampling sampling, double out_shares[WORDS]) {
  weft_sampler *sampler = weft_sampler_create(&sampling, WORDS);
  memset(out_shares, 0, WORDS * sizeof *out_shares);
  for (uint64_t i = 0; i < DRAWS; ++i) {
    int32_t token = -1;
    assert_ok(weft_sampler_draw(sampler, logits, i, &token));
    assert_true(token >= 0 && token < WORDS);
    out_shares[token] += 1.0 / DRAWS;
  }
  weft_sampler_destroy(sampler);
}

// Probabilities by the definition, with a plain sort.
static void expect(weft_sampling s, double out[WORDS]) {
  int order[WORDS];
  for (int i = 0; i < WORDS; ++i) order[i] = i;
  for (int i = 0; i < WORDS; ++i)
    for (int j = i + 1; j < WORDS; ++j)
      if (logits[order[j]] > logits[order[i]] || (logits[order[j]] == logits[order[i]] && order[j] < order[i])) {
        int kept = order[i];
        order[i] = order[j];
        order[j] = kept;
      }
  int count = s.top_k && s.top_k < WORDS ? (int)s.top_k : WORDS;
  double sum = 0, reached = 0, nucleus_sum = 0;
  for (int i = 0; i < count; ++i) sum += exp((double)logits[order[i]] / s.temperature);
  int nucleus = 0;
  while (nucleus < count && (nucleus == 0 || reached < s.top_p))
    reached += exp((double)logits[order[nucleus++]] / s.temperature) / sum;
  for (int i = 0; i < nucleus; ++i) nucleus_sum += exp((double)logits[order[i]] / s.temperature);
  memset(out, 0, WORDS * sizeof *out);
  for (int i = 0; i < nucleus; ++i) out[order[i]] = exp((double)logits[order[i]] / s.temperature) / nucleus_sum;
}

// Within five deviations of each share; what is not kept never comes.
static void shares_follow_the_softmax(void **state) {
  (void)state;
  const weft_sampling cases[] = {{1, 0, 1, 1},      {0.5, 0, 1, 2}, {2, 3, 1, 3},    {1, 1, 1, 4},
                                 {1, 0, 0.6, 5},    {1, 0, 0.9, 6}, {1, 4, 0.7, 7},  {3, 0, 0.5, 8},
                                 {0.7, 6, 0.95, 9}, {1, 99, 1, 10}, {1, 0, 1e-9, 11}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; ++c) {
    double found[WORDS], right[WORDS];
    shares(cases[c], found);
    expect(cases[c], right);
    for (int i = 0; i < WORDS; ++i) {
      if (right[i] == 0) assert_true(found[i] == 0);
      assert_true(fabs(found[i] - right[i]) <= 5 * sqrt(right[i] * (1 - right[i]) / DRAWS) + 1e-12);
    }
  }
}

static void cold_is_greedy(void **state) {
  (void)state;
  double found[WORDS];
  shares((weft_sampling){0, 0, 1, 1}, found);
  assert_true(fabs(found[2] - 1) < 1e-9);  // the smaller id of two equal ones
  float apart[WORDS];
  memcpy(apart, logits, sizeof apart);
  apart[8] = 2.499f;
  weft_sampling cold = {1e-5, 0, 1, 1};
  weft_sampler *sampler = weft_sampler_create(&cold, WORDS);
  for (uint64_t i = 0; i < 1000; ++i) {
    int32_t token = -1;
    assert_ok(weft_sampler_draw(sampler, apart, i, &token));
    assert_int_equal(token, 2);
  }
  weft_sampler_destroy(sampler);
}

static void seeds_repeat(void **state) {
  (void)state;
  int32_t first[200];
  int differ = 0;
  for (int round = 0; round < 3; ++round) {
    weft_sampling sampling = {1, 0, 0.95, round == 2 ? 8u : 7u};
    weft_sampler *sampler = weft_sampler_create(&sampling, WORDS);
    for (uint64_t i = 200; i-- > 0;) {  // in any order
      int32_t token = -1;
      assert_ok(weft_sampler_draw(sampler, logits, i, &token));
      if (round == 0) first[i] = token;
      if (round == 1) assert_int_equal(token, first[i]);
      if (round == 2) differ += token != first[i];
    }
    weft_sampler_destroy(sampler);
  }
  assert_true(differ > 50);
}

static void nonsense_is_refused(void **state) {
  (void)state;
  assert_failure(weft_sampling_check(&(weft_sampling){-0.1, 0, 1, 1}), WEFT_INVALID, "temperature -0.1");
  assert_failure(weft_sampling_check(&(weft_sampling){NAN, 0, 1, 1}), WEFT_INVALID, "temperature nan");
  assert_failure(weft_sampling_check(&(weft_sampling){1, 0, 0, 1}), WEFT_INVALID, "top-p 0");
  assert_failure(weft_sampling_check(&(weft_sampling){1, 0, 1.01, 1}), WEFT_INVALID, "top-p 1.01");
  weft_sampling sampling = {1, 0, 1, 1};
  weft_sampler *sampler = weft_sampler_create(&sampling, 3);
  int32_t token = -1;
  assert_failure(weft_sampler_draw(sampler, (float[]){0, NAN, 1}, 0, &token), WEFT_FAILED, "token 1 is not a number");
  assert_failure(weft_sampler_draw(sampler, (float[]){-INFINITY, -INFINITY, -INFINITY}, 0, &token), WEFT_FAILED,
                 "is -inf");
  assert_int_equal(token, -1);
  assert_ok(weft_sampler_draw(sampler, (float[]){-INFINITY, 3, -INFINITY}, 0, &token));
  assert_int_equal(token, 1);
  weft_sampler_destroy(sampler);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shares_follow_the_softmax), cmocka_unit_test(cold_is_greedy),
                                     cmocka_unit_test(seeds_repeat), cmocka_unit_test(nonsense_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
