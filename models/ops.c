#include "models/ops.h"

#include <math.h>

#include <string.h>

#include "base/text.h"

static const weft_op_facts facts[] = {
#define X(enumerator, name, inputs, outputs, flops) {name, inputs, outputs},
#include "models/ops.def"
#undef X
};

weft_op_facts weft_op_get(weft_op op) { return facts[op]; }

const char *weft_op_name(weft_op op) { return op < WEFT_OP_COUNT ? facts[op].name : "?"; }

weft_status weft_op_parse(const char *name, weft_op *out_op) {
  const char *names[WEFT_OP_COUNT];
  for (int op = 0; op < WEFT_OP_COUNT; ++op) {
    names[op] = facts[op].name;
    if (strcmp(name, names[op]) != 0) continue;
    *out_op = (weft_op)op;
    return NULL;
  }
  return weft_error(WEFT_INVALID, "unknown op \"%s\"; the nearest known one is \"%s\"", name,
                    weft_nearest(name, names, WEFT_OP_COUNT));
}

// Scores per head: how many (query, key) pairs the op multiplies, over all sequences.
static double score_count(weft_op op, const weft_attributes *a, uint64_t rows) {
  double batch = a->batch ? a->batch : 1, tokens = (double)rows / batch;
  if (op == WEFT_OP_ATTENTION_CACHED) {
    double first = (double)a->context - tokens + 1;  // keys that the first new row sees
    return batch * tokens * (first + (double)a->context) / 2;
  }
  return batch * (a->causal ? tokens * (tokens + 1) / 2 : tokens * tokens);
}

double weft_op_flops(weft_op op, const weft_attributes *a, weft_op_size size) {
  double n = (double)size.rows, i = (double)size.in, o = (double)size.out, e = (double)size.elements;
  double h = a->heads, d = a->head_dim, s = score_count(op, a, size.rows);
  switch (op) {
#define X(enumerator, name, inputs, outputs, flops) \
  case WEFT_OP_##enumerator:                        \
    return flops;
#include "models/ops.def"
#undef X
    case WEFT_OP_COUNT:
      break;
  }
  (void)n, (void)i, (void)o, (void)e, (void)h, (void)d, (void)s;
  return 0;
}

double weft_rope_frequency(const weft_attributes *a, uint32_t pair) {
  double frequency = pow(a->rope_theta, -2.0 * pair / a->rotary_dim);
  if (a->rope_scaling == WEFT_ROPE_LINEAR) return frequency / a->rope_factor;
  if (a->rope_scaling != WEFT_ROPE_LLAMA3) return frequency;
  double wave = 6.283185307179586476925286766559 / frequency, original = a->rope_original_positions;
  double low = a->rope_low_frequency_factor, high = a->rope_high_frequency_factor;
  if (wave < original / high) return frequency;
  if (wave > original / low) return frequency / a->rope_factor;
  double blend = (original / wave - low) / (high - low);
  return (1 - blend) * frequency / a->rope_factor + blend * frequency;
}
