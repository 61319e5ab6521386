// Published laws in closed form: loss, compute, energy, bytes. Every function names its source; none has a constant of
// ours.
//
// Units: N parameters, D tokens, C floating-point operations (a multiply-accumulate counts 2), losses in nats per
// token. Losses of different sources are on different data and tokenizers: never compare absolute values across laws.
#ifndef WEFT_PLAN_LAWS_H
#define WEFT_PLAN_LAWS_H

#include "base/status.h"
#include "models/network.h"

#ifdef __cplusplus
extern "C" {
#endif

// Loss as a function of size and data: L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, arXiv 2203.15556,
// Eq. 2).
typedef struct weft_parametric_law {
  double E, A, B, alpha, beta;
} weft_parametric_law;

double weft_parametric_loss(const weft_parametric_law *law, double parameters, double tokens);
// The size with the least loss for C = 6 N D (there, Eq. 4): N = G (C/6)^(beta/(alpha+beta)),
// where G = (alpha A / (beta B))^(1/(alpha+beta)).
double weft_parametric_optimum(const weft_parametric_law *law, double flops);

// Cerebras-GPT: Pile test loss for training FLOPs f at 20 tokens per parameter, L(f) = (f / 5.984e22)^-0.0737 + 0.5066
// (Dey et al. 2023, arXiv 2304.03208, Eq. 1).
double weft_cerebras_gpt_loss(double flops);

// "Algorithmic" training FLOPs as that paper counts them: attention with all scores of the full sequence, no delta
// gradient for the embedding, nothing computed twice. Per token 3 (24 L d^2 + 8 s d L) + 10 V d, with the sequence s =
// positions: fitted to the seven printed values of Table 1, all of which it gives to two digits; App. F describes the
// rule in words.
double weft_algorithmic_train_flops(const weft_network *network, double tokens);

// Energy of a GPU run, MWh: hours x watts of the device x power usage effectiveness; and its carbon, tCO2eq, where a kg
// per kWh is a t per MWh (Touvron et al. 2023, arXiv 2302.13971, section 6).
double weft_energy_mwh(double gpu_hours, double gpu_watts, double pue);
double weft_carbon_tonnes(double energy_mwh, double kg_per_kwh);

// Bytes per parameter of training state: parameter, gradient and what the optimizer keeps (Yu et al. 2024, arXiv
// 2405.03637, and the authors' code). bf16: all four in bf16; collage_light: parameter as a sum of two; collage_plus:
// second moment too; fp32_moments: m and v in f32; fp32_master: and a copy of the parameter. WEFT_INVALID: unknown,
// with the nearest.
weft_status weft_optimizer_bytes(const char *optimizer, double *out_bytes) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
