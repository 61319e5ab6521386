// weft_network: what a transformer is made of. It is read from a Hugging Face config.json, from GGUF metadata,
// or found by name in the zoo (models/networks/), and is small enough to read at a glance.
//
// Families and what each implies:
//   gpt2   learned positions, LayerNorm with bias, one fused q/k/v projection stored (in, out) ("Conv1D"),
//          biases everywhere, ungated MLP
//   llama  RoPE in halves, RMSNorm, gated MLP (SwiGLU), GQA, no biases; qwen2 is llama with biases on q, k, v
//   gptj   parallel attention and MLP from one LayerNorm, RoPE on the first rotary_dim dimensions in
//          interleaved pairs, biased output head
//   bert   bidirectional, LayerNorm after each residual, learned positions and token types (simulated only). Its
//          parameters are those of BertModel with the pooler and, where head_bias is set (BertForPreTraining,
//          BertForMaskedLM), of the masked-language head: transform and bias, the matrix being the embedding table.
//          The next-sentence classifier is left out.
//
// Reading is strict: network_keys.c lists every key of every family with what Weft does about it. Keys without effect
// on the result are passed over, keys that would change it must have their neutral value, unknown keys are errors.
// Dropout is read and said in the log: Weft trains without. rope_theta + rope_scaling and rope_parameters, torch_dtype
// and dtype are both understood, and must agree. muP (gpt2 family, keys of the published BTLM configs): logit_scale =
// mup_output_alpha * mup_width_scale, embedding_scale = mup_embeddings_scale, attention_scale = 1/head_dim where
// mup_scale_qk_dot_by_d. Where eos_token_id is a list, the first is taken.
#ifndef WEFT_MODELS_NETWORK_H
#define WEFT_MODELS_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "base/status.h"
#include "models/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_family { WEFT_GPT2, WEFT_LLAMA, WEFT_GPTJ, WEFT_BERT, WEFT_FAMILY_COUNT } weft_family;
typedef enum weft_activation {
  WEFT_GELU_TANH,
  WEFT_GELU_ERF,
  WEFT_SILU,
  WEFT_RELU,
  WEFT_ACTIVATION_COUNT
} weft_activation;
typedef enum weft_rope_kind { WEFT_ROPE_NONE, WEFT_ROPE_HALF, WEFT_ROPE_INTERLEAVED } weft_rope_kind;
typedef enum weft_rope_scaling { WEFT_ROPE_UNSCALED, WEFT_ROPE_LINEAR, WEFT_ROPE_LLAMA3 } weft_rope_scaling;

typedef struct weft_network {
  char name[96];         // zoo name, or the folder's
  char model_type[32];   // as in the file: gpt2, llama, qwen2, mistral, gptj, bert
  weft_family family;
  uint32_t layers, hidden, heads, kv_heads, head_dim, intermediate, vocabulary;
  uint32_t positions;    // longest sequence (max_position_embeddings, n_positions)
  uint32_t type_vocabulary;  // bert: token types; else 0
  weft_activation activation;
  float norm_epsilon;
  weft_rope_kind rope_kind;
  uint32_t rotary_dim;   // dimensions of a head that rotate
  double rope_theta;
  weft_rope_scaling rope_scaling;
  double rope_factor, rope_low_frequency_factor, rope_high_frequency_factor;
  uint32_t rope_original_positions;
  bool tied;             // the output head is the embedding table
  bool qkv_bias, output_bias, mlp_bias, head_bias;
  float embedding_scale;  // muP: multiplies token (and position) embeddings; 1 otherwise
  float logit_scale;      // muP: multiplies the logits; 1 otherwise
  float attention_scale;  // multiplies q.k; 1/sqrt(head_dim), or 1/head_dim with muP
  float initializer_range;
  weft_dtype dtype;      // of the published checkpoint; f32 when unknown
  int64_t bos, eos;      // token ids, -1 when none
} weft_network;

// What a parameter is for; with `layer` it names a parameter in any file format.
typedef enum weft_parameter_role {
  WEFT_TOKEN_EMBEDDING, WEFT_POSITION_EMBEDDING, WEFT_TYPE_EMBEDDING,
  WEFT_EMBEDDING_NORM_WEIGHT, WEFT_EMBEDDING_NORM_BIAS,            // bert
  WEFT_NORM1_WEIGHT, WEFT_NORM1_BIAS,                              // before attention (bert: after)
  WEFT_QKV_WEIGHT, WEFT_QKV_BIAS,                                  // gpt2: fused, columns q|k|v
  WEFT_Q_WEIGHT, WEFT_Q_BIAS, WEFT_K_WEIGHT, WEFT_K_BIAS, WEFT_V_WEIGHT, WEFT_V_BIAS,
  WEFT_O_WEIGHT, WEFT_O_BIAS,
  WEFT_NORM2_WEIGHT, WEFT_NORM2_BIAS,
  WEFT_GATE_WEIGHT, WEFT_UP_WEIGHT, WEFT_UP_BIAS, WEFT_DOWN_WEIGHT, WEFT_DOWN_BIAS,
  WEFT_FINAL_NORM_WEIGHT, WEFT_FINAL_NORM_BIAS,
  WEFT_POOLER_WEIGHT, WEFT_POOLER_BIAS,                            // bert
  WEFT_TRANSFORM_WEIGHT, WEFT_TRANSFORM_BIAS,                      // bert: head's dense and norm
  WEFT_TRANSFORM_NORM_WEIGHT, WEFT_TRANSFORM_NORM_BIAS,
  WEFT_HEAD_WEIGHT, WEFT_HEAD_BIAS,
  WEFT_PARAMETER_ROLE_COUNT
} weft_parameter_role;

typedef struct weft_parameter {
  char name[96];          // Hugging Face's, e.g. "model.layers.0.self_attn.q_proj.weight"
  weft_parameter_role role;
  int32_t layer;          // -1 outside the blocks
  uint32_t rank;          // 1 or 2
  uint64_t shape[2];      // (rows, columns) as stored: (out, in), or (in, out) where `transposed`
  bool transposed;        // gpt2's Conv1D
} weft_parameter;

weft_network weft_network_default(void);

// Reads a config.json, a folder with one, a GGUF file, or the name of a network in the zoo (letters' case does not
// matter; a few other spellings in use are understood: gpt-2-small, gpt-3-111m, llama-2-7b). The name comes from the
// folder, the zoo or the file. WEFT_INVALID: unknown architecture or key value, contradicting keys, with file:line and
// the nearest known name.
weft_status weft_network_read(const char *where, weft_network *out_network) WEFT_CHECKED;
// The config.json's content. `text` (may be NULL) serves line numbers in messages.
weft_status weft_network_unpack(json_t *config, const char *where, const char *text,
                                weft_network *out_network) WEFT_CHECKED;
// A config.json that weft_network_unpack and transformers read back to the same network; caller decrefs.
json_t *weft_network_pack(const weft_network *network);
weft_status weft_network_check(const weft_network *network) WEFT_CHECKED;
void weft_network_print(const weft_network *network, FILE *out);
uint64_t weft_network_hash(const weft_network *network);  // of what it is; the name does not count

// Parameters in the order of the forward pass. A tied head is not a parameter of its own. `index` is below _tensors;
// the network has been checked. Published checkpoints of LLaMA also hold rotary inv_freq buffers, which are not
// parameters.
uint32_t weft_network_parameter_tensors(const weft_network *network);
weft_parameter weft_network_parameter(const weft_network *network, uint32_t index);
uint64_t weft_network_parameters(const weft_network *network);            // sum of all elements
// Those of the token, position and type tables and of an untied head.
uint64_t weft_network_embedding_parameters(const weft_network *network);

// The zoo: names sorted; each is a file models/networks/NAME.json.
weft_status weft_network_names(char ***out_names, uint32_t *out_count) WEFT_CHECKED;  // caller frees each and the array

#ifdef __cplusplus
}
#endif
#endif
