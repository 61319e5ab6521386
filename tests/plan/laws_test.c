// The closed forms: published values, and what must hold of each whatever its constants.
#include "plan/laws.h"

#include <math.h>

#include "base/random.h"
#include "tests/models/test.h"

static void near(double value, double expected, double relative) {
  if (!(fabs(value - expected) <= relative * fabs(expected)))
    fail_msg("%.10g is not %.10g within %g", value, expected, relative);
}

static const weft_parametric_law hoffmann = {
    .E = 1.6934, .A = 406.4, .B = 410.72, .alpha = 0.33917084, .beta = 0.2849083};

// arXiv 2203.15556 names 40 B parameters for 5.76e23 FLOP, which is Gopher's compute.
static void published(void **state) {
  (void)state;
  near(weft_parametric_optimum(&hoffmann, 5.76e23), 40e9, 0.02);
  near(weft_parametric_loss(&hoffmann, 70e9, 1.4e12), 1.9209, 1e-4);
  near(weft_cerebras_gpt_loss(2.6e18), 2.608, 0.012);
  near(weft_cerebras_gpt_loss(2.3e22), 1.572, 0.012);
  near(weft_energy_mwh(1022362, 400, 1.1), 449, 0.005);
  near(weft_carbon_tonnes(weft_energy_mwh(1022362, 400, 1.1), 0.385), 173, 0.005);
}

// Table 1 of arXiv 2304.03208 prints FLOPs to two digits.
static void algorithmic_flops(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double tokens, flops;
  } rows[] = {{"cerebras-gpt-111m", 2220933120., 2.6e18},
              {"cerebras-gpt-256m", 5119082496., 1.3e19},
              {"cerebras-gpt-1.3b", 26313424896., 2.8e20},
              {"cerebras-gpt-2.7b", 53030191104., 1.1e21},
              {"cerebras-gpt-13b", 257067417600., 2.3e22}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    weft_network n;
    assert_ok(weft_network_read(rows[i].name, &n));
    char text[32], expected[32];
    snprintf(text, sizeof text, "%.1e", weft_algorithmic_train_flops(&n, rows[i].tokens));
    snprintf(expected, sizeof expected, "%.1e", rows[i].flops);
    assert_string_equal(text, expected);
  }
}

// No other split of the same compute has a smaller loss, for laws of many shapes.
static void optimum_is_the_least(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 500; ++i) {
    weft_parametric_law law = {.E = 1 + weft_random_uniform(5, 0, i),
                               .A = 100 + 900 * weft_random_uniform(5, 1, i),
                               .B = 100 + 3000 * weft_random_uniform(5, 2, i),
                               .alpha = 0.2 + 0.3 * weft_random_uniform(5, 3, i),
                               .beta = 0.2 + 0.3 * weft_random_uniform(5, 4, i)};
    double flops = pow(10, 18 + 8 * weft_random_uniform(5, 5, i)), n = weft_parametric_optimum(&law, flops);
    double least = weft_parametric_loss(&law, n, flops / (6 * n));
    for (double factor = 0.5; factor < 2.1; factor *= 1.1) {
      double other = n * factor;
      assert_true(weft_parametric_loss(&law, other, flops / (6 * other)) >= least * (1 - 1e-12));
    }
  }
}

static void loss_falls_with_compute(void **state) {
  (void)state;
  double last = 100;
  for (double flops = 1e17; flops < 1e26; flops *= 3) {
    double loss = weft_cerebras_gpt_loss(flops);
    assert_true(loss < last && loss > 0.5066);
    last = loss;
  }
}

static void optimizer_state(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double bytes;
  } known[] = {{"bf16", 8}, {"collage_light", 10}, {"collage_plus", 12}, {"fp32_moments", 12}, {"fp32_master", 16}};
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
    double bytes = 0;
    assert_ok(weft_optimizer_bytes(known[i].name, &bytes));
    assert_true(bytes == known[i].bytes);
  }
  double bytes = 0;
  assert_refused(weft_optimizer_bytes("collage_lite", &bytes), "\"collage_lite\"", "\"collage_light\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(published), cmocka_unit_test(algorithmic_flops),
                                     cmocka_unit_test(optimum_is_the_least), cmocka_unit_test(loss_falls_with_compute),
                                     cmocka_unit_test(optimizer_state)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
