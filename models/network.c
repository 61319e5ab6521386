// What holds for every network: defaults, the checker, packing, printing, hashing.
#include "models/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/network_internal.h"

weft_network weft_network_default(void) {
  return (weft_network){.family = WEFT_LLAMA, .model_type = "llama", .activation = WEFT_SILU, .norm_epsilon = 1e-5f,
                        .rope_theta = 10000, .rope_factor = 1, .rope_low_frequency_factor = 1,
                        .rope_high_frequency_factor = 1, .embedding_scale = 1, .logit_scale = 1, .attention_scale = 1,
                        .initializer_range = 0.02f, .dtype = WEFT_F32, .bos = -1, .eos = -1};
}

static weft_status check_sizes(const weft_network *n) {
  const struct {
    const char *what;
    uint64_t value, high;
  } sizes[] = {{"layers", n->layers, WEFT_NETWORK_MAX_LAYERS}, {"hidden size", n->hidden, WEFT_NETWORK_MAX_WIDTH},
               {"attention heads", n->heads, WEFT_NETWORK_MAX_HEADS}, {"key/value heads", n->kv_heads, n->heads},
               {"head dimension", n->head_dim, WEFT_NETWORK_MAX_WIDTH},
               {"intermediate size", n->intermediate, WEFT_NETWORK_MAX_WIDTH},
               {"vocabulary", n->vocabulary, WEFT_NETWORK_MAX_VOCABULARY},
               {"positions", n->positions, WEFT_NETWORK_MAX_POSITIONS}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    if (sizes[i].value >= 1 && sizes[i].value <= sizes[i].high) continue;
    return weft_error(WEFT_INVALID, "network %s: %s is %llu; a number from 1 to %llu is right", n->name, sizes[i].what,
                      (unsigned long long)sizes[i].value, (unsigned long long)sizes[i].high);
  }
  if ((uint64_t)n->heads * n->head_dim > WEFT_NETWORK_MAX_WIDTH)
    return weft_error(WEFT_INVALID, "network %s: %u heads of %u dimensions are more than %u columns", n->name, n->heads,
                      n->head_dim, WEFT_NETWORK_MAX_WIDTH);
  if (n->heads % n->kv_heads != 0)
    return weft_error(WEFT_INVALID, "network %s: %u attention heads do not divide into %u key/value heads", n->name,
                      n->heads, n->kv_heads);
  return NULL;
}

static weft_status check_rope(const weft_network *n) {
  if (n->rope_kind == WEFT_ROPE_NONE) return NULL;
  if (n->rotary_dim == 0 || n->rotary_dim > n->head_dim || n->rotary_dim % 2 != 0)
    return weft_error(WEFT_INVALID,
                      "network %s: rotary dimensions %u: an even number from 2 to the head dimension %u is right",
                      n->name, n->rotary_dim, n->head_dim);
  if (!(n->rope_theta > 1 && n->rope_theta <= 1e12))
    return weft_error(WEFT_INVALID, "network %s: rope_theta %g: a number above 1 and at most 1e12 is right", n->name,
                      n->rope_theta);
  if (n->rope_scaling == WEFT_ROPE_UNSCALED) return NULL;
  if (!(n->rope_factor >= 1 && n->rope_factor <= 1e6))
    return weft_error(WEFT_INVALID, "network %s: RoPE scaling factor %g: a number from 1 to 1e6 is right", n->name,
                      n->rope_factor);
  if (n->rope_scaling == WEFT_ROPE_LLAMA3 &&
      (!(n->rope_low_frequency_factor > 0) || !(n->rope_high_frequency_factor > n->rope_low_frequency_factor) ||
       !(n->rope_high_frequency_factor <= 1e6) || n->rope_original_positions == 0))
    return weft_error(WEFT_INVALID,
                      "network %s: llama3 RoPE scaling needs 0 < low_freq_factor (%g) < high_freq_factor (%g) and "
                      "original positions (%u) above 0",
                      n->name, n->rope_low_frequency_factor, n->rope_high_frequency_factor, n->rope_original_positions);
  return NULL;
}

static weft_status check_numbers(const weft_network *n) {
  if (!(n->norm_epsilon > 0 && n->norm_epsilon < 1))
    return weft_error(WEFT_INVALID, "network %s: norm epsilon %g: a number between 0 and 1 is right", n->name,
                      (double)n->norm_epsilon);
  if (!(n->embedding_scale > 0 && isfinite(n->embedding_scale)) || !(n->logit_scale > 0 && isfinite(n->logit_scale)) ||
      !(n->attention_scale > 0 && isfinite(n->attention_scale)))
    return weft_error(WEFT_INVALID,
                      "network %s: scales of embedding (%g), logits (%g) and attention (%g) must be above 0", n->name,
                      (double)n->embedding_scale, (double)n->logit_scale, (double)n->attention_scale);
  if (!(n->initializer_range >= 0 && n->initializer_range <= 10))
    return weft_error(WEFT_INVALID, "network %s: initializer_range %g: a number from 0 to 10 is right", n->name,
                      (double)n->initializer_range);
  if (!weft_dtype_computes(n->dtype))
    return weft_error(WEFT_INVALID, "network %s: dtype %s: f32, f16 or bf16 is right", n->name,
                      weft_dtype_name(n->dtype));
  if (n->bos < -1 || n->bos >= n->vocabulary || n->eos < -1 || n->eos >= n->vocabulary)
    return weft_error(WEFT_INVALID, "network %s: bos %lld and eos %lld must be -1 (none) or below the vocabulary of %u",
                      n->name, (long long)n->bos, (long long)n->eos, n->vocabulary);
  return NULL;
}

// What the parameter tables and the graph builder of each family take for granted.
static weft_status check_family(const weft_network *n) {
  const char *wrong = NULL;
  bool full_heads = n->heads * n->head_dim == n->hidden && n->kv_heads == n->heads;
  bool biased = n->qkv_bias && n->output_bias && n->mlp_bias;
  switch (n->family) {
    case WEFT_GPT2:
      if (!full_heads) wrong = "gpt2 has hidden = heads x head_dim and one key/value head per head";
      else if (!biased || n->head_bias) wrong = "gpt2 has biases in every block and none on the head";
      else if (n->rope_kind != WEFT_ROPE_NONE) wrong = "gpt2 has learned positions, not RoPE";
      break;
    case WEFT_LLAMA:
      if (n->mlp_bias || n->head_bias) wrong = "biases in the MLP or on the head are not supported in the llama family";
      else if (n->rope_kind != WEFT_ROPE_HALF || n->rotary_dim != n->head_dim)
        wrong = "llama rotates whole heads, in halves";
      break;
    case WEFT_GPTJ:
      if (!full_heads) wrong = "gptj has hidden = heads x head_dim and one key/value head per head";
      else if (n->qkv_bias || n->output_bias || !n->mlp_bias || !n->head_bias)
        wrong = "gptj has biases in the MLP and on the head only";
      else if (n->rope_kind != WEFT_ROPE_INTERLEAVED) wrong = "gptj rotates interleaved pairs";
      break;
    case WEFT_BERT:
      if (!full_heads) wrong = "bert has hidden = heads x head_dim and one key/value head per head";
      else if (!biased || !n->tied) wrong = "bert has biases in every block and a tied head";
      else if (n->type_vocabulary == 0 || n->type_vocabulary > 65536) wrong = "bert has 1 to 65536 token types";
      else if (n->rope_kind != WEFT_ROPE_NONE) wrong = "bert has learned positions, not RoPE";
      break;
    default: wrong = "unknown family";
  }
  if (!wrong && n->family != WEFT_BERT && n->type_vocabulary != 0) wrong = "only bert has token types";
  return wrong ? weft_error(WEFT_INVALID, "network %s: %s", n->name, wrong) : NULL;
}

weft_status weft_network_check(const weft_network *n) {
  if ((unsigned)n->activation >= WEFT_ACTIVATION_COUNT)
    return weft_error(WEFT_INVALID, "network %s: unknown activation", n->name);
  WEFT_TRY(check_sizes(n));
  WEFT_TRY(check_rope(n));
  WEFT_TRY(check_numbers(n));
  return check_family(n);
}

// The shortest decimal that is this float again, so that a packed file reads 1e-05 and not 9.9999997e-06.
static json_t *real(float value) {
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    snprintf(text, sizeof text, "%.*g", digits, (double)value);
    if (strtof(text, NULL) == value) break;
  }
  return json_real(strtod(text, NULL));
}

static json_t *token(int64_t id) { return id < 0 ? json_null() : json_integer(id); }

static const char *architecture_of(const weft_network *n) {
  switch (n->family) {
    case WEFT_GPT2: return "GPT2LMHeadModel";
    case WEFT_GPTJ: return "GPTJForCausalLM";
    case WEFT_BERT: return n->head_bias ? "BertForPreTraining" : "BertModel";
    default: break;
  }
  if (strcmp(n->model_type, "qwen2") == 0) return "Qwen2ForCausalLM";
  return strcmp(n->model_type, "mistral") == 0 ? "MistralForCausalLM" : "LlamaForCausalLM";
}

static void pack_gpt(const weft_network *n, json_t *o) {
  json_object_set_new(o, "n_layer", json_integer(n->layers));
  json_object_set_new(o, "n_embd", json_integer(n->hidden));
  json_object_set_new(o, "n_head", json_integer(n->heads));
  json_object_set_new(o, "n_inner", json_integer(n->intermediate));
  json_object_set_new(o, "n_positions", json_integer(n->positions));
  json_object_set_new(o, "activation_function", json_string(weft_activation_key(n->activation)));
  json_object_set_new(o, "layer_norm_epsilon", real(n->norm_epsilon));
  for (int i = 0; i < 3; ++i)
    json_object_set_new(o, (const char *const[]){"attn_pdrop", "embd_pdrop", "resid_pdrop"}[i], json_real(0));
  if (n->family == WEFT_GPTJ) {
    json_object_set_new(o, "rotary_dim", json_integer(n->rotary_dim));
    return;
  }
  float by_dimension = 1.0f / (float)n->head_dim;
  if (n->attention_scale == 1.0f) json_object_set_new(o, "scale_attn_weights", json_false());
  if (n->embedding_scale == 1.0f && n->logit_scale == 1.0f && n->attention_scale != by_dimension) return;
  json_object_set_new(o, "mup_embeddings_scale", real(n->embedding_scale));
  json_object_set_new(o, "mup_output_alpha", json_real(1));
  json_object_set_new(o, "mup_width_scale", real(n->logit_scale));
  json_object_set_new(o, "mup_scale_qk_dot_by_d", json_boolean(n->attention_scale == by_dimension));
}

static json_t *pack_rope(const weft_network *n) {
  static const char *const types[] = {"default", "linear", "llama3"};
  json_t *rope = json_pack("{s:f, s:s}", "rope_theta", n->rope_theta, "rope_type", types[n->rope_scaling]);
  if (n->rope_scaling != WEFT_ROPE_UNSCALED) json_object_set_new(rope, "factor", json_real(n->rope_factor));
  if (n->rope_scaling == WEFT_ROPE_LLAMA3) {
    json_object_set_new(rope, "low_freq_factor", json_real(n->rope_low_frequency_factor));
    json_object_set_new(rope, "high_freq_factor", json_real(n->rope_high_frequency_factor));
    json_object_set_new(rope, "original_max_position_embeddings", json_integer(n->rope_original_positions));
  }
  return rope;
}

static void pack_modern(const weft_network *n, json_t *o) {
  json_object_set_new(o, "num_hidden_layers", json_integer(n->layers));
  json_object_set_new(o, "hidden_size", json_integer(n->hidden));
  json_object_set_new(o, "num_attention_heads", json_integer(n->heads));
  json_object_set_new(o, "intermediate_size", json_integer(n->intermediate));
  json_object_set_new(o, "max_position_embeddings", json_integer(n->positions));
  json_object_set_new(o, "hidden_act", json_string(weft_activation_key(n->activation)));
  if (n->family == WEFT_BERT) {
    json_object_set_new(o, "layer_norm_eps", real(n->norm_epsilon));
    json_object_set_new(o, "type_vocab_size", json_integer(n->type_vocabulary));
    json_object_set_new(o, "attention_probs_dropout_prob", json_real(0));
    json_object_set_new(o, "hidden_dropout_prob", json_real(0));
    return;
  }
  json_object_set_new(o, "num_key_value_heads", json_integer(n->kv_heads));
  json_object_set_new(o, "head_dim", json_integer(n->head_dim));
  json_object_set_new(o, "rms_norm_eps", real(n->norm_epsilon));
  if (strcmp(n->model_type, "llama") == 0) json_object_set_new(o, "attention_bias", json_boolean(n->qkv_bias));
  if (strcmp(n->model_type, "mistral") == 0) json_object_set_new(o, "sliding_window", json_null());
  // Both generations of keys: transformers 5 reads the first, older releases the others.
  json_object_set_new(o, "rope_parameters", pack_rope(n));
  json_object_set_new(o, "rope_theta", json_real(n->rope_theta));
  json_t *scaling = n->rope_scaling == WEFT_ROPE_UNSCALED ? json_null() : pack_rope(n);
  if (json_is_object(scaling)) json_object_del(scaling, "rope_theta");
  json_object_set_new(o, "rope_scaling", scaling);
}

json_t *weft_network_pack(const weft_network *n) {
  const char *dtype = n->dtype == WEFT_BF16 ? "bfloat16" : n->dtype == WEFT_F16 ? "float16" : "float32";
  json_t *o = json_pack("{s:[s], s:s, s:s, s:s, s:s, s:i, s:b}", "architectures", architecture_of(n), "model_type",
                        n->model_type, "_name_or_path", n->name, "dtype", dtype, "torch_dtype", dtype, "vocab_size",
                        (int)n->vocabulary, "tie_word_embeddings", n->tied);
  json_object_set_new(o, "initializer_range", real(n->initializer_range));
  if (n->family != WEFT_BERT) {
    json_object_set_new(o, "bos_token_id", token(n->bos));
    json_object_set_new(o, "eos_token_id", token(n->eos));
  }
  if (n->family == WEFT_GPT2 || n->family == WEFT_GPTJ) pack_gpt(n, o);
  else pack_modern(n, o);
  return o;
}

uint64_t weft_network_hash(const weft_network *network) {
  json_t *packed = weft_network_pack(network);
  json_object_del(packed, "_name_or_path");  // what it is, not what it is called
  char *text = json_dumps(packed, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));
  uint64_t hash = weft_hash_bytes(text, strlen(text));
  free(text);
  json_decref(packed);
  return hash;
}

static void line(FILE *out, const char *what, double value, const char *unit) {
  fprintf(out, "  %-24s %16.10g  %s\n", what, value, unit);
}

static void line_float(FILE *out, const char *what, float value, const char *unit) {
  fprintf(out, "  %-24s %16.6g  %s\n", what, (double)value, unit);
}

static void print_rope(const weft_network *n, FILE *out) {
  if (n->rope_kind == WEFT_ROPE_NONE) {
    fprintf(out, "  %-24s %16s\n", "positions encoded", "learned");
    return;
  }
  fprintf(out, "  %-24s %16s\n", "positions encoded", n->rope_kind == WEFT_ROPE_HALF ? "RoPE halves" : "RoPE pairs");
  line(out, "rotary dimensions", n->rotary_dim, "of a head");
  line(out, "RoPE theta", n->rope_theta, "");
  if (n->rope_scaling == WEFT_ROPE_UNSCALED) return;
  fprintf(out, "  %-24s %16s\n", "RoPE scaling", n->rope_scaling == WEFT_ROPE_LINEAR ? "linear" : "llama3");
  line(out, "RoPE factor", n->rope_factor, "");
  if (n->rope_scaling != WEFT_ROPE_LLAMA3) return;
  line(out, "RoPE low frequency", n->rope_low_frequency_factor, "x original positions per wave");
  line(out, "RoPE high frequency", n->rope_high_frequency_factor, "x original positions per wave");
  line(out, "RoPE original positions", n->rope_original_positions, "tokens");
}

void weft_network_print(const weft_network *n, FILE *out) {
  char text[32];
  uint64_t all = weft_network_parameters(n);
  fprintf(out, "%s: %s (%s family), hash %016llx\n", n->name, n->model_type, weft_family_name(n->family),
          (unsigned long long)weft_network_hash(n));
  fprintf(out, "  %-24s %16llu  (%s)\n", "parameters", (unsigned long long)all, weft_text_si((double)all, "", text));
  fprintf(out, "  %-24s %16llu  in embeddings and an untied head\n", "  of these",
          (unsigned long long)weft_network_embedding_parameters(n));
  line(out, "parameter tensors", weft_network_parameter_tensors(n), "");
  line(out, "layers", n->layers, "blocks");
  line(out, "hidden size", n->hidden, "features");
  line(out, "attention heads", n->heads, "heads");
  line(out, "key/value heads", n->kv_heads, "heads");
  line(out, "head dimension", n->head_dim, "features");
  line(out, "intermediate size", n->intermediate, "features");
  line(out, "vocabulary", n->vocabulary, "tokens");
  if (n->type_vocabulary) line(out, "token types", n->type_vocabulary, "types");
  line(out, "positions", n->positions, "tokens");
  fprintf(out, "  %-24s %16s\n", "activation", weft_activation_key(n->activation));
  line_float(out, "norm epsilon", n->norm_epsilon, "");
  print_rope(n, out);
  fprintf(out, "  %-24s %16s\n", "output head", n->tied ? "tied" : "own matrix");
  fprintf(out, "  %-24s %16s%s%s%s%s\n", "biases",
          n->qkv_bias || n->output_bias || n->mlp_bias || n->head_bias ? "" : "none", n->qkv_bias ? "qkv " : "",
          n->output_bias ? "attention-output " : "", n->mlp_bias ? "mlp " : "", n->head_bias ? "head" : "");
  line_float(out, "embedding scale", n->embedding_scale, "");
  line_float(out, "logit scale", n->logit_scale, "");
  line_float(out, "attention scale", n->attention_scale, "of q.k");
  line_float(out, "initializer range", n->initializer_range, "standard deviation");
  fprintf(out, "  %-24s %16s  of the published checkpoint\n", "dtype", weft_dtype_name(n->dtype));
  if (n->bos >= 0) line(out, "bos", (double)n->bos, "token id");
  if (n->eos >= 0) line(out, "eos", (double)n->eos, "token id");
}
