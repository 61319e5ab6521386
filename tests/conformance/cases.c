#include "suite.h"

#define LINEAR(label, n, i, o, ...) \
  { .name = label, .op = WEFT_OP_LINEAR, .rows = n, .in = i, .out = o, __VA_ARGS__ }
#define INPUT(label, n, i, o, ...) \
  { .name = label, .op = WEFT_OP_LINEAR_BACKWARD_INPUT, .rows = n, .in = i, .out = o, __VA_ARGS__ }
#define WEIGHT(label, n, i, o, ...) \
  { .name = label, .op = WEFT_OP_LINEAR_BACKWARD_WEIGHT, .rows = n, .in = i, .out = o, __VA_ARGS__ }
#define HEADS(b, h, k, d, is_causal) \
  { .batch = b, .heads = h, .kv_heads = k, .head_dim = d, .causal = is_causal, .scale = 0.3f }
#define ROPE(label, which, kind, rotary, ...)     \
  {                                               \
    .name = label, .op = which, .rows = 7, .a = { \
      .heads = 3,                                 \
      .head_dim = 16,                             \
      .rotary_dim = rotary,                       \
      .rope_kind = kind,                          \
      .rope_theta = 10000,                        \
      __VA_ARGS__                                 \
    }                                             \
  }

static const suite_case cases[] = {
    {.name = "embed", .op = WEFT_OP_EMBED, .rows = 9, .in = 33, .out = 20, .a = {.scale = 1}},
    {.name = "embed scaled", .op = WEFT_OP_EMBED, .rows = 9, .in = 33, .out = 20, .a = {.scale = 12.5f}},
    {.name = "embed_backward", .op = WEFT_OP_EMBED_BACKWARD, .rows = 40, .in = 300, .out = 11, .a = {.scale = 0.5f}},
    {.name = "embed_backward adds",
     .op = WEFT_OP_EMBED_BACKWARD,
     .rows = 40,
     .in = 33,
     .out = 11,
     .a = {.scale = 1},
     .accumulate = true},

    LINEAR("linear 1 row", 1, 65, 70, .a = {.scale = 1}, .bias = true),
    LINEAR("linear 3 rows", 3, 64, 600, .a = {.scale = 0.5f}),
    LINEAR("linear", 37, 65, 130, .a = {.scale = 1}, .bias = true),
    LINEAR("linear tiles", 270, 48, 800, .a = {.scale = 2}),
    LINEAR("linear chunks", 37, 65, 130, .a = {.scale = 0.5f}, .bias = true, .chunk_rows = 48),
    LINEAR("linear 1 row chunks", 1, 65, 130, .a = {.scale = 0.5f}, .bias = true, .chunk_rows = 48),
    LINEAR("linear transposed", 37, 65, 130, .a = {.scale = 1, .transposed = true}, .bias = true),
    LINEAR("linear transposed 2 rows", 2, 65, 1030, .a = {.scale = 0.5f, .transposed = true}, .bias = true),
    LINEAR("linear transposed chunks", 37, 65, 130, .a = {.scale = 0.5f, .transposed = true}, .bias = true,
           .chunk_rows = 24),
    LINEAR("linear transposed 1 row chunks", 1, 65, 130, .a = {.scale = 0.5f, .transposed = true}, .bias = true,
           .chunk_rows = 24),
    INPUT("linear_backward_input", 37, 65, 130, .a = {.scale = 1}),
    INPUT("linear_backward_input adds", 37, 65, 130, .a = {.scale = 0.5f}, .accumulate = true),
    INPUT("linear_backward_input chunks", 37, 65, 130, .a = {.scale = 0.5f}, .chunk_rows = 48),
    INPUT("linear_backward_input chunks adds", 37, 65, 130, .a = {.scale = 1}, .chunk_rows = 48, .accumulate = true),
    INPUT("linear_backward_input transposed", 37, 65, 130, .a = {.scale = 0.5f, .transposed = true}),
    INPUT("linear_backward_input transposed chunks adds", 37, 65, 130, .a = {.scale = 0.5f, .transposed = true},
          .chunk_rows = 24, .accumulate = true),
    INPUT("linear_backward_input 1 row", 1, 65, 130, .a = {.scale = 1}),
    WEIGHT("linear_backward_weight", 37, 65, 130, .a = {.scale = 1}, .bias = true),
    WEIGHT("linear_backward_weight wide", 20, 1100, 400, .a = {.scale = 1}),
    WEIGHT("linear_backward_weight chunks", 37, 65, 130, .a = {.scale = 0.5f}, .bias = true, .chunk_rows = 48),
    WEIGHT("linear_backward_weight transposed", 37, 65, 130, .a = {.scale = 0.5f, .transposed = true}, .bias = true),
    WEIGHT("linear_backward_weight transposed chunks", 37, 65, 130, .a = {.scale = 1, .transposed = true}, .bias = true,
           .chunk_rows = 24),

    {.name = "layer_norm", .op = WEFT_OP_LAYER_NORM, .rows = 35, .in = 67, .a = {.epsilon = 1e-5f}},
    {.name = "layer_norm_backward", .op = WEFT_OP_LAYER_NORM_BACKWARD, .rows = 70, .in = 67, .a = {.epsilon = 1e-5f}},
    {.name = "layer_norm_backward wide",
     .op = WEFT_OP_LAYER_NORM_BACKWARD,
     .rows = 3,
     .in = 600,
     .a = {.epsilon = 1e-5f}},
    {.name = "rms_norm", .op = WEFT_OP_RMS_NORM, .rows = 35, .in = 67, .a = {.epsilon = 1e-6f}},
    {.name = "rms_norm_backward", .op = WEFT_OP_RMS_NORM_BACKWARD, .rows = 70, .in = 67, .a = {.epsilon = 1e-6f}},

    ROPE("rope halves", WEFT_OP_ROPE, WEFT_ROPE_HALF, 16, .rope_scaling = WEFT_ROPE_UNSCALED),
    ROPE("rope partial", WEFT_OP_ROPE, WEFT_ROPE_HALF, 10, .rope_scaling = WEFT_ROPE_UNSCALED),
    ROPE("rope interleaved partial", WEFT_OP_ROPE, WEFT_ROPE_INTERLEAVED, 12, .rope_scaling = WEFT_ROPE_UNSCALED),
    ROPE("rope linear", WEFT_OP_ROPE, WEFT_ROPE_HALF, 16, .rope_scaling = WEFT_ROPE_LINEAR, .rope_factor = 4),
    ROPE("rope llama3", WEFT_OP_ROPE, WEFT_ROPE_HALF, 16, .rope_scaling = WEFT_ROPE_LLAMA3, .rope_factor = 8,
         .rope_low_frequency_factor = 1, .rope_high_frequency_factor = 4, .rope_original_positions = 256),
    ROPE("rope_backward halves", WEFT_OP_ROPE_BACKWARD, WEFT_ROPE_HALF, 16, .rope_scaling = WEFT_ROPE_UNSCALED),
    ROPE("rope_backward interleaved partial", WEFT_OP_ROPE_BACKWARD, WEFT_ROPE_INTERLEAVED, 12,
         .rope_scaling = WEFT_ROPE_UNSCALED),
    ROPE("rope_backward llama3", WEFT_OP_ROPE_BACKWARD, WEFT_ROPE_HALF, 16, .rope_scaling = WEFT_ROPE_LLAMA3,
         .rope_factor = 8, .rope_low_frequency_factor = 1, .rope_high_frequency_factor = 4,
         .rope_original_positions = 256),

    {.name = "attention", .op = WEFT_OP_ATTENTION, .rows = 2 * 13, .a = HEADS(2, 3, 3, 10, true)},
    {.name = "attention grouped, long", .op = WEFT_OP_ATTENTION, .rows = 2 * 131, .a = HEADS(2, 6, 2, 8, true)},
    {.name = "attention not causal", .op = WEFT_OP_ATTENTION, .rows = 70, .a = HEADS(1, 2, 1, 9, false)},
    {.name = "attention of one token", .op = WEFT_OP_ATTENTION, .rows = 3, .a = HEADS(3, 2, 2, 8, true)},
    {.name = "attention_backward", .op = WEFT_OP_ATTENTION_BACKWARD, .rows = 2 * 7, .a = HEADS(2, 2, 2, 5, true)},
    {.name = "attention_backward grouped, long",
     .op = WEFT_OP_ATTENTION_BACKWARD,
     .rows = 2 * 70,
     .a = HEADS(2, 4, 2, 8, true)},
    {.name = "attention_backward not causal",
     .op = WEFT_OP_ATTENTION_BACKWARD,
     .rows = 9,
     .a = HEADS(1, 4, 1, 6, false)},
    {.name = "cache_write",
     .op = WEFT_OP_CACHE_WRITE,
     .rows = 2 * 3,
     .a = HEADS(2, 4, 2, 8, true),
     .position = 5,
     .room = 12},
    {.name = "attention_cached 1 row",
     .op = WEFT_OP_ATTENTION_CACHED,
     .rows = 2,
     .a = HEADS(2, 6, 2, 8, true),
     .position = 40,
     .room = 64},
    {.name = "attention_cached prefill",
     .op = WEFT_OP_ATTENTION_CACHED,
     .rows = 2 * 70,
     .a = HEADS(2, 4, 2, 8, true),
     .position = 3,
     .room = 80},
    {.name = "attention_cached empty",
     .op = WEFT_OP_ATTENTION_CACHED,
     .rows = 5,
     .a = HEADS(1, 4, 2, 8, true),
     .position = 0,
     .room = 5},

#define EACH_ACTIVATION(X) \
  X(WEFT_GELU_TANH, "gelu_tanh") X(WEFT_GELU_ERF, "gelu_erf") X(WEFT_SILU, "silu") X(WEFT_RELU, "relu")
#define X(f, label)                                                                                     \
  {.name = "activation " label, .op = WEFT_OP_ACTIVATION, .rows = 5, .in = 77, .a = {.activation = f}}, \
      {.name = "activation_backward " label,                                                            \
       .op = WEFT_OP_ACTIVATION_BACKWARD,                                                               \
       .rows = 5,                                                                                       \
       .in = 77,                                                                                        \
       .a = {.activation = f}},                                                                         \
      {.name = "gated " label, .op = WEFT_OP_GATED, .rows = 5, .in = 77, .a = {.activation = f}},       \
      {.name = "gated_backward " label, .op = WEFT_OP_GATED_BACKWARD, .rows = 5, .in = 77, .a = {.activation = f}},
    EACH_ACTIVATION(X)
#undef X
        {.name = "add", .op = WEFT_OP_ADD, .rows = 5, .in = 77},
    {.name = "last_row", .op = WEFT_OP_LAST_ROW, .rows = 15, .in = 77, .a = {.batch = 3}},

    {.name = "cross_entropy", .op = WEFT_OP_CROSS_ENTROPY, .rows = 9, .out = 1500, .ignored = 0.3f},
    {.name = "cross_entropy_backward", .op = WEFT_OP_CROSS_ENTROPY_BACKWARD, .rows = 9, .out = 37, .ignored = 0.3f},

    {.name = "load", .op = WEFT_OP_LOAD, .in = 33, .out = 21, .bias = true},
    {.name = "load chunks", .op = WEFT_OP_LOAD, .in = 33, .out = 21, .bias = true, .chunk_rows = 8},
    {.name = "store_gradient", .op = WEFT_OP_STORE_GRADIENT, .in = 33, .out = 21, .bias = true},
    {.name = "store_gradient chunks adds",
     .op = WEFT_OP_STORE_GRADIENT,
     .in = 33,
     .out = 21,
     .bias = true,
     .chunk_rows = 8,
     .accumulate = true},
    {.name = "all_reduce", .op = WEFT_OP_ALL_REDUCE, .in = 33, .out = 21},
    {.name = "square_sum", .op = WEFT_OP_SQUARE_SUM, .in = 333, .out = 121},
    {.name = "adamw", .op = WEFT_OP_ADAMW, .in = 333, .out = 121, .a = {.decay = 1}},
    {.name = "adamw of a vector", .op = WEFT_OP_ADAMW, .in = 333, .out = 1, .a = {.decay = 0}},
    {.name = "sgd", .op = WEFT_OP_SGD, .in = 333, .out = 121},
};

const suite_case *suite_cases(size_t *out_count) {
  *out_count = sizeof cases / sizeof *cases;
  return cases;
}
