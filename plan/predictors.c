// What Weft predicts, subject by subject.
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plan/laws.h"
#include "plan/predictors.h"

static double parameters(weft_inputs *in) {
  weft_network n;
  return weft_input_network(in, &n) ? (double)weft_network_parameters(&n) : 0;
}

static double train_flops(weft_inputs *in) {
  weft_network n;
  double tokens = weft_input_number(in, "tokens", 1, 1e18);
  return weft_input_network(in, &n) ? weft_algorithmic_train_flops(&n, tokens) : 0;
}

static double cerebras_loss(weft_inputs *in) { return weft_cerebras_gpt_loss(weft_input_number(in, "flops", 1, 1e40)); }

static double energy(weft_inputs *in) {
  return weft_energy_mwh(weft_input_number(in, "gpu_hours", 0, 1e15), weft_input_number(in, "gpu_watts", 0, 1e9),
                         weft_input_number(in, "pue", 1, 100));
}

static double carbon(weft_inputs *in) {
  double mwh = energy(in);
  return weft_carbon_tonnes(mwh, weft_input_number(in, "kgco2_per_kwh", 0, 100));
}

static double optimizer_bytes(weft_inputs *in) {
  const char *name = weft_input_text(in, "optimizer");
  double bytes = 0;
  weft_status status = name ? weft_optimizer_bytes(name, &bytes) : NULL;
  if (!in->error)
    in->error = status;
  else
    weft_status_free(status);
  return bytes;
}

static weft_parametric_law law_of(weft_inputs *in) {
  return (weft_parametric_law){.E = weft_input_number(in, "E", 0, 100),
                               .A = weft_input_number(in, "A", 1e-9, 1e12),
                               .B = weft_input_number(in, "B", 1e-9, 1e12),
                               .alpha = weft_input_number(in, "alpha", 1e-6, 10),
                               .beta = weft_input_number(in, "beta", 1e-6, 10)};
}

static double parametric_loss(weft_inputs *in) {
  weft_parametric_law law = law_of(in);
  double n = weft_input_number(in, "params", 1, 1e20), d = weft_input_number(in, "tokens", 1, 1e24);
  return weft_parametric_loss(&law, n, d);
}

static double parametric_optimum(weft_inputs *in) {
  weft_parametric_law law = law_of(in);
  return weft_parametric_optimum(&law, weft_input_number(in, "flops", 1, 1e40));
}

static const weft_predictor predictors[] = {
    {"plan", "params", "parameters", parameters, false},
    {"plan", "train_flops/algorithmic", "flops", train_flops, false},
    {"plan", "loss/cerebras_gpt", "loss", cerebras_loss, false},
    {"plan", "energy", "energy", energy, false},
    {"plan", "carbon", "carbon", carbon, false},
    {"plan", "optimizer_bytes", "bytes_per_parameter", optimizer_bytes, false},
    {"plan", "loss/parametric", "loss", parametric_loss, false},
    {"plan", "optimum/parametric", "parameters", parametric_optimum, false},
    {"train", "weight_streaming", "throughput", weft_predict_weight_streaming, true},
    {"fabric", "broadcast", NULL, weft_predict_broadcast, false},
    {"fabric", "reduce", NULL, weft_predict_reduce, false},
    {"fabric", "allreduce", NULL, weft_predict_all_reduce, false},
    {"fabric", "path", NULL, weft_predict_path, false},
    {"fabric", "relay", NULL, weft_predict_relay, false},
    {"core", "gemv", NULL, weft_predict_gemv, false},
    {"core", "vector", NULL, weft_predict_vector, false},
    {"gemm", "summa", NULL, weft_predict_gemm, false},
    {"gemm", "cannon", NULL, weft_predict_gemm, false},
    {"gemm", "shift", NULL, weft_predict_gemm, false},
    {"gemm", "meshgemm", NULL, weft_predict_gemm, false},
    {"gemm", "gemm", NULL, weft_predict_gemm, false},
    {"gemm", "streamed", NULL, weft_predict_gemm, false},
    {"gemm", "transpose", NULL, weft_predict_gemm, false},
    {"gemm", "gemv", NULL, weft_predict_gemv, false},
    {"gemm", "meshgemv", NULL, weft_predict_gemv, false},
};
enum { PREDICTORS = sizeof predictors / sizeof *predictors };

size_t weft_family_length(const char *subject, const char *family) {
  static const char *const all_reduce[] = {"all_reduce", "all-reduce", "AllReduce"};
  const char *names[4] = {family};
  size_t count = 1;
  for (size_t i = 0; strcmp(family, "allreduce") == 0 && i < 3; ++i) names[count++] = all_reduce[i];
  for (size_t i = 0; i < count; ++i) {
    size_t length = strlen(names[i]);
    if (strncmp(subject, names[i], length) == 0 && strchr("/_-", subject[length])) return length;
  }
  return 0;
}

const weft_predictor *weft_predictor_find(const char *area, const char *subject, const char *quantity) {
  for (size_t i = 0; i < PREDICTORS; ++i) {
    const weft_predictor *p = &predictors[i];
    if (strcmp(area, p->area) != 0) continue;
    bool same = p->quantity ? strcmp(subject, p->subject) == 0 && strcmp(quantity, p->quantity) == 0
                            : weft_family_length(subject, p->subject) > 0;
    if (same) return p;
  }
  return NULL;
}

bool weft_predictor_has_area(const char *area, size_t length) {
  for (size_t i = 0; i < PREDICTORS; ++i)
    if (strlen(predictors[i].area) == length && strncmp(predictors[i].area, area, length) == 0) return true;
  return false;
}

const char *weft_predictor_absent(weft_arena *arena, const char *area, const char *subject, const char *quantity) {
  const char *names[PREDICTORS];
  size_t count = 0;
  for (size_t i = 0; i < PREDICTORS; ++i) {
    if (strcmp(predictors[i].area, area) != 0) continue;
    names[count++] = predictors[i].subject;
    if (strcmp(predictors[i].subject, subject) == 0)
      return weft_arena_format(arena, "no prediction of %s as \"%s\"; as \"%s\" it is predicted", subject, quantity,
                               predictors[i].quantity);
  }
  if (!count) return "no prediction of this area yet";
  char *family = weft_arena_copy_text(arena, subject);
  family[strcspn(family, "/")] = 0;
  const char *nearest = weft_nearest(subject, names, count), *nearest_family = weft_nearest(family, names, count);
  return weft_arena_format(arena, "no prediction of this subject yet; the nearest that is predicted is \"%s\"",
                           strcmp(area, "plan") == 0 ? nearest : nearest_family);
}
