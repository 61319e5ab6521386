// Rotary positions, activations, sums of two, and rows picked out.
#include "runtime/ref/ref.h"

#include <math.h>
#include <string.h>

// direction 1 rotates by the angle, -1 back (the gradient: a rotation's transpose is its inverse).
static void rotate(ref_call *c, double direction) {
  const ref_matrix *x = &c->in[0], *y = &c->out[0];
  uint32_t dim = c->a->head_dim, half = c->a->rotary_dim / 2;
  bool interleaved = c->a->rope_kind == WEFT_ROPE_INTERLEAVED;
  for (uint64_t n = 0; n < x->rows; ++n) {
    double position = (double)ref_integer(&c->call->inputs[1], n);
    for (uint64_t head = 0; head < x->columns; head += dim) {
      const float *from = ref_row(x, n) + head;
      float *to = ref_row(y, n) + head;
      for (uint32_t pair = 0; pair < half; ++pair) {
        uint32_t i = interleaved ? 2 * pair : pair, j = interleaved ? 2 * pair + 1 : pair + half;
        double angle = direction * position * weft_rope_frequency(c->a, pair), a = (double)from[i], b = (double)from[j];
        to[i] = (float)(a * cos(angle) - b * sin(angle));
        to[j] = (float)(b * cos(angle) + a * sin(angle));
      }
      for (uint32_t i = 2 * half; i < dim; ++i) to[i] = from[i];
    }
  }
}

void weft_ref_rope(ref_call *c) { rotate(c, 1); }
void weft_ref_rope_backward(ref_call *c) { rotate(c, -1); }

// f(x); gelu_tanh and gelu_erf are the two forms of Hendrycks and Gimpel's GELU (arXiv:1606.08415).
static double activate(weft_activation kind, double x) {
  switch (kind) {
    case WEFT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case WEFT_GELU_ERF: return 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case WEFT_SILU: return x / (1 + exp(-x));
    case WEFT_RELU: return x < 0 ? 0 : x;
    case WEFT_ACTIVATION_COUNT: break;
  }
  return NAN;
}

static double slope(weft_activation kind, double x) {
  double inner, t, s;
  switch (kind) {
    case WEFT_GELU_TANH:
      inner = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
      t = tanh(inner);
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    case WEFT_GELU_ERF: return 0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
    case WEFT_SILU: s = 1 / (1 + exp(-x)); return s * (1 + x * (1 - s));
    case WEFT_RELU: return x <= 0 ? 0 : x > 0 ? 1 : x;  // NaN stays
    case WEFT_ACTIVATION_COUNT: break;
  }
  return NAN;
}

void weft_ref_activation(ref_call *c) {
  const ref_matrix *x = &c->in[0], *y = &c->out[0];
  for (uint64_t n = 0; n < x->rows; ++n)
    for (uint64_t i = 0; i < x->columns; ++i)
      ref_row(y, n)[i] = (float)activate(c->a->activation, (double)ref_row(x, n)[i]);
}

void weft_ref_activation_backward(ref_call *c) {
  const ref_matrix *dy = &c->in[0], *x = &c->in[1], *dx = &c->out[0];
  for (uint64_t n = 0; n < x->rows; ++n)
    for (uint64_t i = 0; i < x->columns; ++i)
      ref_row(dx, n)[i] = (float)((double)ref_row(dy, n)[i] * slope(c->a->activation, (double)ref_row(x, n)[i]));
}

void weft_ref_gated(ref_call *c) {
  const ref_matrix *gate = &c->in[0], *up = &c->in[1], *y = &c->out[0];
  for (uint64_t n = 0; n < gate->rows; ++n)
    for (uint64_t i = 0; i < gate->columns; ++i)
      ref_row(y, n)[i] = (float)(activate(c->a->activation, (double)ref_row(gate, n)[i]) * (double)ref_row(up, n)[i]);
}

void weft_ref_gated_backward(ref_call *c) {
  const ref_matrix *dy = &c->in[0], *gate = &c->in[1], *up = &c->in[2], *dgate = &c->out[0], *dup = &c->out[1];
  for (uint64_t n = 0; n < gate->rows; ++n)
    for (uint64_t i = 0; i < gate->columns; ++i) {
      double g = (double)ref_row(gate, n)[i], u = (double)ref_row(up, n)[i], d = (double)ref_row(dy, n)[i];
      if (dgate->data) ref_row(dgate, n)[i] = (float)(d * u * slope(c->a->activation, g));
      if (dup->data) ref_row(dup, n)[i] = (float)(d * activate(c->a->activation, g));
    }
}

void weft_ref_add(ref_call *c) {
  const ref_matrix *a = &c->in[0], *b = &c->in[1], *y = &c->out[0];
  for (uint64_t n = 0; n < y->rows; ++n)
    for (uint64_t i = 0; i < y->columns; ++i) ref_row(y, n)[i] = ref_row(a, n)[i] + ref_row(b, n)[i];
}

void weft_ref_last_row(ref_call *c) {
  const ref_matrix *x = &c->in[0], *y = &c->out[0];
  uint64_t tokens = x->rows / c->a->batch;
  for (uint64_t b = 0; b < c->a->batch; ++b)
    memcpy(ref_row(y, b), ref_row(x, (b + 1) * tokens - 1), y->columns * sizeof(float));
}
