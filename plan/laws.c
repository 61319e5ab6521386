#include "plan/laws.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

double weft_parametric_loss(const weft_parametric_law *law, double parameters, double tokens) {
  return law->E + law->A / pow(parameters, law->alpha) + law->B / pow(tokens, law->beta);
}

double weft_parametric_optimum(const weft_parametric_law *law, double flops) {
  double sum = law->alpha + law->beta;
  double g = pow(law->alpha * law->A / (law->beta * law->B), 1 / sum);
  return g * pow(flops / 6, law->beta / sum);
}

double weft_cerebras_gpt_loss(double flops) { return pow(flops / 5.984e22, -0.0737) + 0.5066; }

double weft_algorithmic_train_flops(const weft_network *n, double tokens) {
  double layers = n->layers, d = n->hidden, s = n->positions, v = n->vocabulary;
  return tokens * (3 * (24 * layers * d * d + 8 * s * d * layers) + 10 * v * d);
}

double weft_energy_mwh(double gpu_hours, double gpu_watts, double pue) { return gpu_hours * gpu_watts * pue / 1e6; }

double weft_carbon_tonnes(double energy_mwh, double kg_per_kwh) { return energy_mwh * kg_per_kwh; }

weft_status weft_optimizer_bytes(const char *optimizer, double *out_bytes) {
  static const struct {
    const char *name;
    int parameter, gradient, moment1, moment2, extra;
  } known[] = {{"bf16", 2, 2, 2, 2, 0},
               {"collage_light", 2, 2, 2, 2, 2},
               {"collage_plus", 2, 2, 2, 4, 2},
               {"fp32_moments", 2, 2, 4, 4, 0},
               {"fp32_master", 2, 2, 4, 4, 4}};
  enum { KNOWN = sizeof known / sizeof *known };
  const char *names[KNOWN];
  for (size_t i = 0; i < KNOWN; ++i) {
    names[i] = known[i].name;
    if (strcmp(optimizer, names[i]) != 0) continue;
    *out_bytes = known[i].parameter + known[i].gradient + known[i].moment1 + known[i].moment2 + known[i].extra;
    return NULL;
  }
  return weft_error(WEFT_INVALID, "unknown optimizer \"%s\"; the nearest known one is \"%s\"", optimizer,
                    weft_nearest(optimizer, names, KNOWN));
}
