// Forward ops by their definitions in f64, written apart from every backend.
#include <math.h>
#include <stdlib.h>

#include "suite.h"

static double activation_of(weft_activation kind, double x) {
  switch (kind) {
    case WEFT_GELU_TANH: return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * pow(x, 3))));
    case WEFT_GELU_ERF: return x / 2 * erfc(-x / sqrt(2));
    case WEFT_SILU: return x / (1 + exp(-x));
    case WEFT_RELU: return fmax(x, 0);
    case WEFT_ACTIVATION_COUNT: break;
  }
  return NAN;
}

static void linear(const suite_case *t, double *const *in, double *y) {
  const double *x = in[0], *w = in[1], *b = in[2];
  for (uint64_t n = 0; n < t->rows; ++n)
    for (uint64_t o = 0; o < t->out; ++o) {
      double sum = b ? b[o] : 0;
      for (uint64_t i = 0; i < t->in; ++i)
        sum += x[n * t->in + i] * (t->a.transposed ? w[i * t->out + o] : w[o * t->in + i]);
      y[n * t->out + o] = (double)t->a.scale * sum;
    }
}

static void norm(const suite_case *t, double *const *in, double *y, bool centred) {
  for (uint64_t n = 0; n < t->rows; ++n) {
    const double *x = in[0] + n * t->in;
    double mean = 0, square = 0;
    for (uint64_t i = 0; i < t->in; ++i) mean += centred ? x[i] / (double)t->in : 0;
    for (uint64_t i = 0; i < t->in; ++i) square += pow(x[i] - mean, 2) / (double)t->in;
    for (uint64_t i = 0; i < t->in; ++i)
      y[n * t->in + i] = (x[i] - mean) / sqrt(square + (double)t->a.epsilon) * in[1][i] + (centred ? in[2][i] : 0);
  }
}

// The wave lengths of Llama 3.1 below original/high stay, those above original/low grow by the factor, the ones between
// are blended: Hugging Face transformers, modeling_rope_utils.py, read and written again.
static double frequency(const weft_attributes *a, uint32_t pair) {
  double f = 1 / pow(a->rope_theta, 2.0 * pair / a->rotary_dim), wave = 2 * M_PI / f;
  if (a->rope_scaling == WEFT_ROPE_LINEAR) return f / a->rope_factor;
  if (a->rope_scaling != WEFT_ROPE_LLAMA3) return f;
  double smooth = (a->rope_original_positions / wave - a->rope_low_frequency_factor) /
                  (a->rope_high_frequency_factor - a->rope_low_frequency_factor);
  if (smooth >= 1) return f;
  if (smooth <= 0) return f / a->rope_factor;
  return smooth * f + (1 - smooth) * f / a->rope_factor;
}

static void rope(const suite_case *t, const suite_data *d, const double *x, double *y) {
  uint64_t dim = t->a.head_dim, half = t->a.rotary_dim / 2, width = t->a.heads * dim;
  for (uint64_t n = 0; n < t->rows; ++n)
    for (uint64_t c = 0; c < width; ++c) {
      uint64_t i = c % dim, head = n * width + c - i;
      bool interleaved = t->a.rope_kind == WEFT_ROPE_INTERLEAVED;
      y[n * width + c] = x[n * width + c];
      if (i >= 2 * half) continue;
      uint64_t pair = interleaved ? i / 2 : i % half;
      bool second = interleaved ? i % 2 : i >= half;
      uint64_t other = interleaved ? i ^ 1 : second ? i - half : i + half;
      double angle = ((const int32_t *)d->inputs[1].view.data)[n] * frequency(&t->a, (uint32_t)pair);
      y[n * width + c] = x[head + i] * cos(angle) + (second ? 1 : -1) * x[head + other] * sin(angle);
    }
}

// Keys [0, seen) of the sequence whose first key is at row `first`.
static void attend(const suite_case *t, const double *q, const double *k, const double *v, uint64_t n, uint32_t h,
                   uint64_t first, uint64_t seen, double *o) {
  uint64_t dim = t->a.head_dim, width = t->a.heads * dim, kv_width = t->a.kv_heads * dim;
  uint64_t shared = (uint64_t)h * t->a.kv_heads / t->a.heads * dim;
  double total = 0, largest = -INFINITY, *p = calloc(seen, sizeof *p);
  for (uint64_t s = 0; s < seen; ++s) {
    for (uint64_t i = 0; i < dim; ++i)
      p[s] += (double)t->a.scale * q[n * width + h * dim + i] * k[(first + s) * kv_width + shared + i];
    largest = fmax(largest, p[s]);
  }
  for (uint64_t s = 0; s < seen; ++s) total += exp(p[s] - largest);
  for (uint64_t i = 0; i < dim; ++i) {
    double sum = 0;
    for (uint64_t s = 0; s < seen; ++s) sum += exp(p[s] - largest) / total * v[(first + s) * kv_width + shared + i];
    o[n * width + h * dim + i] = sum;
  }
  free(p);
}

static void attention(const suite_case *t, double *const *in, double *o, bool cached) {
  uint64_t tokens = t->rows / t->a.batch, room = cached ? t->room : tokens, past = cached ? t->position : 0;
  for (uint64_t n = 0; n < t->rows; ++n)
    for (uint32_t h = 0; h < t->a.heads; ++h)
      attend(t, in[0], in[1], in[2], n, h, n / tokens * room, cached || t->a.causal ? past + n % tokens + 1 : tokens,
             o);
}

static void cross_entropy(const suite_case *t, const suite_data *d, const double *logits, double *loss, double *lse) {
  for (uint64_t n = 0; n < t->rows; ++n) {
    const double *row = logits + n * t->out;
    int32_t target = ((const int32_t *)d->inputs[1].view.data)[n];
    double sum = 0;
    for (uint64_t v = 0; v < t->out; ++v) sum += exp(row[v]);
    loss[n] = target < 0 ? 0 : -log(exp(row[target]) / sum);
    if (lse) lse[n] = log(sum);
  }
}

static void embed(const suite_case *t, const suite_data *d, const double *table, double *y) {
  const int32_t *ids = d->inputs[0].view.data;
  for (uint64_t n = 0; n < t->rows; ++n)
    for (uint64_t i = 0; i < t->in; ++i) y[n * t->in + i] = (double)t->a.scale * table[(uint64_t)ids[n] * t->in + i];
}

bool suite_define(const suite_case *t, const suite_data *d, double *const *in, double *const *out) {
  switch (t->op) {
    case WEFT_OP_EMBED: embed(t, d, in[1], out[0]); return true;
    case WEFT_OP_LINEAR: linear(t, in, out[0]); return true;
    case WEFT_OP_LAYER_NORM: norm(t, in, out[0], true); return true;
    case WEFT_OP_RMS_NORM: norm(t, in, out[0], false); return true;
    case WEFT_OP_ROPE: rope(t, d, in[0], out[0]); return true;
    case WEFT_OP_ATTENTION: attention(t, in, out[0], false); return true;
    case WEFT_OP_ATTENTION_CACHED: attention(t, in, out[0], true); return true;
    case WEFT_OP_ACTIVATION:
      for (uint64_t i = 0; i < t->rows * t->in; ++i) out[0][i] = activation_of(t->a.activation, in[0][i]);
      return true;
    case WEFT_OP_GATED:
      for (uint64_t i = 0; i < t->rows * t->in; ++i) out[0][i] = activation_of(t->a.activation, in[0][i]) * in[1][i];
      return true;
    case WEFT_OP_ADD:
      for (uint64_t i = 0; i < t->rows * t->in; ++i) out[0][i] = in[0][i] + in[1][i];
      return true;
    case WEFT_OP_CROSS_ENTROPY: cross_entropy(t, d, in[0], out[0], out[1]); return true;
    default: return false;
  }
}
