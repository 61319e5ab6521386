// What Weft predicts, subject by subject.
#include <stdlib.h>
#include <string.h>

#include "plan/laws.h"
#include "plan/predictors.h"

double weft_input_give_up(weft_inputs *in, weft_status status) {
  if (in->error || in->missing) {
    weft_status_free(status);
  } else if (weft_status_code(status) == WEFT_INVALID) {
    in->error = status;
  } else {
    in->missing = weft_arena_copy_text(in->arena, weft_status_message(status));
    weft_status_free(status);
  }
  return 0;
}

void weft_input_mesh(weft_inputs *in, uint32_t *out_columns, uint32_t *out_rows) {
  const char *text = weft_input_text(in, "mesh");
  if (!text) return;
  char *end = NULL;
  unsigned long columns = strtoul(text, &end, 10), rows = *end == 'x' ? strtoul(end + 1, &end, 10) : 0;
  if (*end != 0 || columns == 0 || rows == 0 || columns > 4096 || rows > 4096) {
    if (!in->error)
      in->error = weft_error(WEFT_INVALID, "input \"mesh\": \"%s\"; columns x rows is right, such as 512x512", text);
    return;
  }
  *out_columns = (uint32_t)columns;
  *out_rows = (uint32_t)rows;
}

bool weft_input_network(weft_inputs *in, weft_network *out_network) {
  const char *name = weft_input_text(in, "network");
  if (!name) return false;
  weft_status status = weft_network_read(name, out_network);
  if (!status) return true;
  if (!in->missing) in->missing = weft_arena_format(in->arena, "network %s is not in the zoo", name);
  weft_status_free(status);
  return false;
}

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
    {"fabric", "broadcast/line", "cycles", weft_predict_broadcast, false},
    {"fabric", "broadcast/2d", "cycles", weft_predict_broadcast, false},
    {"fabric", "reduce/chain", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/star", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/tree", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/two_phase", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/k_tree", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/autogen", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/snake", "cycles", weft_predict_reduce, false},
    {"fabric", "reduce/2d", "cycles", weft_predict_reduce, false},
    {"fabric", "allreduce/ring", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/reduce_broadcast", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/chain", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/star", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/tree", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/two_phase", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/k_tree", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/autogen", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/snake", "cycles", weft_predict_all_reduce, false},
    {"fabric", "allreduce/2d", "cycles", weft_predict_all_reduce, false},
    {"fabric", "path/straight", "cycles", weft_predict_path, false},
    {"fabric", "path/turn", "cycles", weft_predict_path, false},
    {"fabric", "relay/store_and_forward", "cycles", weft_predict_relay, false},
    {"core", "gemv/one_pe", "cycles", weft_predict_gemv_core, false},
    {"gemm", "summa", "cycles", weft_predict_summa, false},
    {"gemm", "cannon", "cycles", weft_predict_cannon, false},
    {"gemm", "shift", "cycles", weft_predict_shift, false},
    {"gemm", "gemm/shift", "cycles", weft_predict_shift, false},
    {"gemm", "gemv/mesh", "cycles", weft_predict_gemv_mesh, false},
    {"core", "gemv/mesh", "cycles", weft_predict_gemv_mesh, false},
};

const weft_predictor *weft_predictor_find(const char *area, const char *subject, const char *quantity) {
  for (size_t i = 0; i < sizeof predictors / sizeof *predictors; ++i)
    if (strcmp(area, predictors[i].area) == 0 && strcmp(subject, predictors[i].subject) == 0 &&
        strcmp(quantity, predictors[i].quantity) == 0)
      return &predictors[i];
  return NULL;
}
