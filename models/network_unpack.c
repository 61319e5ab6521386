// From a Hugging Face config.json to a network.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "models/network_internal.h"
#include "models/network_keys.h"

static const struct {
  const char *type;
  weft_family family;
  const char *architectures[4];  // classes whose weights Weft knows
} types[] = {
    {"gpt2", WEFT_GPT2, {"GPT2LMHeadModel", "GPT2Model"}},
    {"llama", WEFT_LLAMA, {"LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"}},
    {"qwen2", WEFT_LLAMA, {"Qwen2ForCausalLM", "Qwen2Model"}},
    {"mistral", WEFT_LLAMA, {"MistralForCausalLM", "MistralModel"}},
    {"gptj", WEFT_GPTJ, {"GPTJForCausalLM"}},
    {"bert", WEFT_BERT, {"BertModel", "BertForPreTraining", "BertForMaskedLM"}},
};
enum { TYPE_COUNT = sizeof types / sizeof *types };

static const struct {
  const char *name;
  weft_activation activation;
} activations[] = {{"gelu_new", WEFT_GELU_TANH}, {"gelu_pytorch_tanh", WEFT_GELU_TANH}, {"gelu_fast", WEFT_GELU_TANH},
                   {"gelu", WEFT_GELU_ERF},      {"gelu_python", WEFT_GELU_ERF},        {"silu", WEFT_SILU},
                   {"swish", WEFT_SILU},         {"relu", WEFT_RELU}};
enum { ACTIVATION_SPELLINGS = sizeof activations / sizeof *activations };

const char *weft_family_name(weft_family family) {
  static const char *const names[WEFT_FAMILY_COUNT] = {"gpt2", "llama", "gptj", "bert"};
  return (unsigned)family < WEFT_FAMILY_COUNT ? names[family] : "?";
}

const char *weft_activation_key(weft_activation activation) {
  for (size_t i = 0; i < ACTIVATION_SPELLINGS; ++i)
    if (activations[i].activation == activation) return activations[i].name;
  return "?";
}

static void read_type(weft_json_object *r, weft_network *n, size_t *out_type) {
  const char *type = weft_json_text(r, "model_type"), *names[TYPE_COUNT];
  if (!type) return;
  for (size_t i = 0; i < TYPE_COUNT; ++i) {
    names[i] = types[i].type;
    if (strcmp(type, types[i].type) != 0) continue;
    n->family = types[i].family;
    snprintf(n->model_type, sizeof n->model_type, "%s", type);
    *out_type = i;
    return;
  }
  weft_json_fail(
      r, "model_type",
      "unknown architecture \"%s\"; Weft knows gpt2, llama, qwen2, mistral, gptj and bert; the nearest is \"%s\"", type,
      weft_nearest(type, names, TYPE_COUNT));
}

// Missing is fine; a class that Weft does not know may have other weights or another head.
static void read_architectures(weft_json_object *r, weft_network *n, size_t type) {
  json_t *list = weft_json_optional_any(r, "architectures");
  if (!list) return;
  const char *found = json_string_value(json_array_get(list, 0));
  if (!found || json_array_size(list) != 1) {
    weft_json_fail(r, "architectures", "expected a list of one class name");
    return;
  }
  const char *const *known = types[type].architectures;
  size_t count = 0;
  for (; count < 4 && known[count]; ++count) {
    if (strcmp(found, known[count]) != 0) continue;
    if (n->family == WEFT_BERT) n->head_bias = count > 0;
    return;
  }
  weft_json_fail(r, "architectures",
                 "\"%s\" is not a class that Weft knows for model_type \"%s\"; the nearest is \"%s\"", found,
                 n->model_type, weft_nearest(found, known, count));
}

static uint32_t size_of(weft_json_object *r, const char *key, int64_t high) {
  int64_t value = 1;
  weft_json_integer(r, key, 1, high, &value);
  return (uint32_t)value;
}

static uint32_t optional_size(weft_json_object *r, const char *key, int64_t high, uint32_t otherwise) {
  int64_t value = otherwise;
  weft_json_optional_integer(r, key, 1, high, &value);
  return (uint32_t)value;
}

static float optional_float(weft_json_object *r, const char *key, double low, double high, float otherwise) {
  double value = (double)otherwise;
  weft_json_optional_number(r, key, low, high, &value);
  return (float)value;
}

static bool optional_flag(weft_json_object *r, const char *key, bool otherwise) {
  weft_json_optional_bool(r, key, &otherwise);
  return otherwise;
}

static void read_activation(weft_json_object *r, const char *key, weft_activation otherwise, weft_network *n) {
  const char *found = weft_json_optional_text(r, key), *names[ACTIVATION_SPELLINGS];
  n->activation = otherwise;
  if (!found) return;
  for (size_t i = 0; i < ACTIVATION_SPELLINGS; ++i) {
    names[i] = activations[i].name;
    if (strcmp(found, names[i]) != 0) continue;
    n->activation = activations[i].activation;
    return;
  }
  weft_json_fail(r, key, "unknown activation \"%s\"; the nearest known one is \"%s\"", found,
                 weft_nearest(found, names, ACTIVATION_SPELLINGS));
}

// One id, or (as in Llama 3) a list of ids of which the first is taken.
static int64_t read_token(weft_json_object *r, const char *key, uint32_t vocabulary) {
  json_t *value = weft_json_optional_any(r, key);
  if (json_is_array(value) && json_array_size(value) > 0) value = json_array_get(value, 0);
  if (!value) return -1;
  json_int_t id = json_integer_value(value);
  if (json_is_integer(value) && id >= -1 && id < (json_int_t)vocabulary) return id;
  weft_json_fail(r, key, "expected a token id below the vocabulary's size of %u, or null", vocabulary);
  return -1;
}

static void read_dtype(weft_json_object *r, weft_network *n) {
  static const char *const keys[] = {"torch_dtype", "dtype"};
  int found = -1;
  for (int i = 0; i < 2; ++i) {
    const char *text = weft_json_optional_text(r, keys[i]);
    if (!text || strcmp(text, "auto") == 0) continue;
    weft_dtype dtype = WEFT_F32;
    const char *plain = strncmp(text, "torch.", 6) == 0 ? text + 6 : text;
    weft_status status = weft_dtype_parse(plain, &dtype);
    if (status) weft_json_fail(r, keys[i], "%s", weft_status_message(status));
    else if (!weft_dtype_computes(dtype))
      weft_json_fail(r, keys[i], "\"%s\": float32, float16 or bfloat16 is right", text);
    else if (found >= 0 && n->dtype != dtype) weft_json_fail(r, keys[i], "\"%s\" contradicts torch_dtype", text);
    weft_status_free(status);
    n->dtype = dtype;
    found = i;
  }
}

static void check_dropout(weft_json_object *r, const char *key, const char *where) {
  double p = 0;
  if (weft_json_optional_number(r, key, 0, 1, &p) && p > 0)
    weft_log(WEFT_LOG_INFO, "%s: %s is %g; Weft computes without dropout, also in training", where, key, p);
}

// Applies the rule of every key that is there; unknown keys and values that would change the result are errors.
static void check_keys(weft_json_object *r, weft_family family) {
  const char *key;
  json_t *value;
  json_object_foreach(r->object, key, value) {
    const weft_network_key *known = weft_network_key_find(family, key);
    if (!known) {
      weft_json_fail(r, key, "unknown key; the nearest known one of the %s family is \"%s\"", weft_family_name(family),
                     weft_network_key_nearest(family, key));
      return;
    }
    if (known->rule == WEFT_KEY_USED) continue;
    if (known->rule == WEFT_KEY_DROPOUT) {
      check_dropout(r, known->name, r->where);
      continue;
    }
    weft_json_ignore(r, known->name);
    bool right = true;
    const char *expected = "";
    switch (known->rule) {
      case WEFT_KEY_FALSE: right = json_is_false(value), expected = "false"; break;
      case WEFT_KEY_TRUE: right = json_is_true(value), expected = "true"; break;
      case WEFT_KEY_ONE: right = json_number_value(value) == 1.0, expected = "1"; break;
      case WEFT_KEY_NULL: right = false, expected = "null"; break;
      case WEFT_KEY_EMPTY:
        right = (json_is_array(value) && json_array_size(value) == 0) ||
                (json_is_object(value) && json_object_size(value) == 0);
        expected = "empty";
        break;
      case WEFT_KEY_ABSOLUTE:
        right = json_is_string(value) && strcmp(json_string_value(value), "absolute") == 0;
        expected = "\"absolute\"";
        break;
      default: break;
    }
    if (right || json_is_null(value)) continue;
    char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    weft_json_fail(r, key, "%.60s is not supported: only %s is", found, expected);
    free(found);
    return;
  }
}

static void read_gpt(weft_json_object *r, weft_network *n) {
  n->layers = size_of(r, "n_layer", WEFT_NETWORK_MAX_LAYERS);
  n->hidden = size_of(r, "n_embd", WEFT_NETWORK_MAX_WIDTH);
  n->heads = n->kv_heads = size_of(r, "n_head", WEFT_NETWORK_MAX_HEADS);
  n->intermediate = optional_size(r, "n_inner", WEFT_NETWORK_MAX_WIDTH, 4 * n->hidden);
  n->positions = size_of(r, "n_positions", WEFT_NETWORK_MAX_POSITIONS);
  if (optional_size(r, "n_ctx", WEFT_NETWORK_MAX_POSITIONS, n->positions) != n->positions)
    weft_json_fail(r, "n_ctx", "contradicts n_positions %u", n->positions);
  read_activation(r, "activation_function", WEFT_GELU_TANH, n);
  n->norm_epsilon = optional_float(r, "layer_norm_epsilon", 1e-12, 0.1, 1e-5f);
  if (n->hidden % n->heads != 0) weft_json_fail(r, "n_head", "%u heads do not divide n_embd %u", n->heads, n->hidden);
  n->head_dim = n->hidden / n->heads;
  n->attention_scale = (float)(1 / sqrt(n->head_dim));
  n->mlp_bias = true;
}

// Scaled logits: output_alpha x width_scale, as in maximal update parametrisation (Yang et al. 2022) and BTLM's code.
static void read_gpt2(weft_json_object *r, weft_network *n) {
  read_gpt(r, n);
  n->qkv_bias = n->output_bias = true;
  double alpha = 1, width = 1;
  weft_json_optional_number(r, "mup_output_alpha", 1e-9, 1e9, &alpha);
  weft_json_optional_number(r, "mup_width_scale", 1e-9, 1e9, &width);
  n->logit_scale = (float)(alpha * width);
  n->embedding_scale = optional_float(r, "mup_embeddings_scale", 1e-9, 1e9, 1);
  bool by_dimension = optional_flag(r, "mup_scale_qk_dot_by_d", false),
       scaled = optional_flag(r, "scale_attn_weights", true);
  if (by_dimension && !scaled) weft_json_fail(r, "mup_scale_qk_dot_by_d", "contradicts scale_attn_weights false");
  if (!scaled) n->attention_scale = 1;
  if (by_dimension) n->attention_scale = 1.0f / (float)n->head_dim;
}

static void read_gptj(weft_json_object *r, weft_network *n) {
  read_gpt(r, n);
  n->head_bias = true;
  n->rope_kind = WEFT_ROPE_INTERLEAVED;
  n->rotary_dim = optional_size(r, "rotary_dim", WEFT_NETWORK_MAX_WIDTH, n->head_dim);
  if (n->rotary_dim > n->head_dim || n->rotary_dim % 2 != 0)
    weft_json_fail(r, "rotary_dim", "%u: an even number of at most the head's %u dimensions is right", n->rotary_dim,
                   n->head_dim);
}

static void read_bert(weft_json_object *r, weft_network *n) {
  n->layers = size_of(r, "num_hidden_layers", WEFT_NETWORK_MAX_LAYERS);
  n->hidden = size_of(r, "hidden_size", WEFT_NETWORK_MAX_WIDTH);
  n->heads = n->kv_heads = size_of(r, "num_attention_heads", WEFT_NETWORK_MAX_HEADS);
  n->intermediate = size_of(r, "intermediate_size", WEFT_NETWORK_MAX_WIDTH);
  n->positions = size_of(r, "max_position_embeddings", WEFT_NETWORK_MAX_POSITIONS);
  n->type_vocabulary = size_of(r, "type_vocab_size", 65536);
  read_activation(r, "hidden_act", WEFT_GELU_ERF, n);
  n->norm_epsilon = optional_float(r, "layer_norm_eps", 1e-15, 0.1, 1e-12f);
  if (n->hidden % n->heads != 0)
    weft_json_fail(r, "num_attention_heads", "%u heads do not divide hidden_size %u", n->heads, n->hidden);
  n->head_dim = n->hidden / n->heads;
  n->attention_scale = (float)(1 / sqrt(n->head_dim));
  n->qkv_bias = n->output_bias = n->mlp_bias = true;
}

static weft_rope_scaling read_rope_type(weft_json_object *r) {
  const char *older = weft_json_optional_text(r, "type"), *newer = weft_json_optional_text(r, "rope_type");
  if (older && newer && strcmp(older, newer) != 0)
    weft_json_fail(r, "type", "\"%s\" contradicts rope_type \"%s\"", older, newer);
  const char *type = newer ? newer : older;
  if (!type || strcmp(type, "default") == 0) return WEFT_ROPE_UNSCALED;
  if (strcmp(type, "linear") == 0) return WEFT_ROPE_LINEAR;
  if (strcmp(type, "llama3") == 0) return WEFT_ROPE_LLAMA3;
  weft_json_fail(r, newer ? "rope_type" : "type",
                 "RoPE scaling \"%s\" is not supported: default, linear and llama3 are", type);
  return WEFT_ROPE_UNSCALED;
}

// rope_scaling (older) or rope_parameters (transformers 5, which holds theta too). False: there is no such object.
static bool read_rope_object(weft_json_object *parent, const char *key, weft_network *n) {
  json_t *object = weft_json_optional_any(parent, key);
  if (!object || parent->error) return false;
  weft_json_object r;
  char *where = weft_format("%s: %s", parent->where, key);
  weft_json_begin(&r, object, where, parent->text);
  n->rope_scaling = json_is_object(object) ? read_rope_type(&r) : WEFT_ROPE_UNSCALED;
  int64_t original = n->positions;
  bool needed = n->rope_scaling != WEFT_ROPE_UNSCALED, llama3 = n->rope_scaling == WEFT_ROPE_LLAMA3;
  if (needed) weft_json_number(&r, "factor", 1, 1e6, &n->rope_factor);
  else weft_json_ignore(&r, "factor");
  if (llama3) {
    weft_json_number(&r, "low_freq_factor", 1e-6, 1e6, &n->rope_low_frequency_factor);
    weft_json_number(&r, "high_freq_factor", 1e-6, 1e6, &n->rope_high_frequency_factor);
    weft_json_integer(&r, "original_max_position_embeddings", 1, WEFT_NETWORK_MAX_POSITIONS, &original);
    n->rope_original_positions = (uint32_t)original;
    if (n->rope_low_frequency_factor >= n->rope_high_frequency_factor)
      weft_json_fail(&r, "high_freq_factor", "%g must be above low_freq_factor %g", n->rope_high_frequency_factor,
                     n->rope_low_frequency_factor);
  }
  if (strcmp(key, "rope_parameters") == 0) {
    weft_json_optional_number(&r, "rope_theta", 1.000001, 1e12, &n->rope_theta);
    double partial = 1;
    if (weft_json_optional_number(&r, "partial_rotary_factor", 0, 1, &partial) && partial != 1)
      weft_json_fail(&r, "partial_rotary_factor", "%g is not supported: only 1 is", partial);
  }
  weft_status status = weft_json_finish(&r);
  if (status && !parent->error) parent->error = status;
  else weft_status_free(status);
  free(where);
  return true;
}

static void read_rope(weft_json_object *r, weft_network *n) {
  n->rope_kind = WEFT_ROPE_HALF;
  n->rotary_dim = n->head_dim;
  weft_network older = *n, newer = *n;
  bool has_theta = weft_json_optional_number(r, "rope_theta", 1.000001, 1e12, &older.rope_theta);
  bool has_older = read_rope_object(r, "rope_scaling", &older),
       has_newer = read_rope_object(r, "rope_parameters", &newer);
  if (has_newer && has_theta && older.rope_theta != newer.rope_theta)
    weft_json_fail(r, "rope_theta", "%g contradicts rope_parameters, where it is %g", older.rope_theta,
                   newer.rope_theta);
  if (has_newer && has_older &&
      (older.rope_scaling != newer.rope_scaling || older.rope_factor != newer.rope_factor ||
       older.rope_low_frequency_factor != newer.rope_low_frequency_factor ||
       older.rope_high_frequency_factor != newer.rope_high_frequency_factor ||
       older.rope_original_positions != newer.rope_original_positions))
    weft_json_fail(r, "rope_scaling", "contradicts rope_parameters");
  *n = has_newer ? newer : older;
}

// Weft computes full attention: a window is right only where it is as long as the longest sequence, or not used.
static void read_windows(weft_json_object *r, weft_network *n) {
  bool qwen = strcmp(n->model_type, "qwen2") == 0, used = optional_flag(r, "use_sliding_window", !qwen);
  int64_t window = n->positions;
  if (weft_json_optional_integer(r, "sliding_window", 1, INT32_MAX, &window) && used && window < n->positions)
    weft_json_fail(r, "sliding_window",
                   "%lld is shorter than max_position_embeddings %u: sliding windows are not supported",
                   (long long)window, n->positions);
  json_t *list = weft_json_optional_any(r, "layer_types"), *entry;
  size_t i;
  if (list && json_array_size(list) != n->layers)
    weft_json_fail(r, "layer_types", "expected a list of %u names, one for each of num_hidden_layers", n->layers);
  json_array_foreach(list, i, entry) {
    const char *name = json_string_value(entry);
    if (name && strcmp(name, "full_attention") == 0) continue;
    weft_json_fail(r, "layer_types", "entry %zu, \"%s\", is not supported: only \"full_attention\" is", i,
                   name ? name : "?");
    return;
  }
}

static void read_llama(weft_json_object *r, weft_network *n) {
  n->layers = size_of(r, "num_hidden_layers", WEFT_NETWORK_MAX_LAYERS);
  n->hidden = size_of(r, "hidden_size", WEFT_NETWORK_MAX_WIDTH);
  n->heads = size_of(r, "num_attention_heads", WEFT_NETWORK_MAX_HEADS);
  n->kv_heads = optional_size(r, "num_key_value_heads", WEFT_NETWORK_MAX_HEADS, n->heads);
  n->intermediate = size_of(r, "intermediate_size", WEFT_NETWORK_MAX_WIDTH);
  n->positions = size_of(r, "max_position_embeddings", WEFT_NETWORK_MAX_POSITIONS);
  read_activation(r, "hidden_act", WEFT_SILU, n);
  n->norm_epsilon = optional_float(r, "rms_norm_eps", 1e-12, 0.1, 1e-6f);
  int64_t head_dim = 0;
  if (weft_json_optional_integer(r, "head_dim", 1, WEFT_NETWORK_MAX_WIDTH, &head_dim)) {
    n->head_dim = (uint32_t)head_dim;
  } else {
    if (n->hidden % n->heads != 0)
      weft_json_fail(r, "num_attention_heads", "%u heads do not divide hidden_size %u, and there is no head_dim",
                     n->heads, n->hidden);
    n->head_dim = n->hidden / n->heads;
  }
  if (n->kv_heads > n->heads || n->heads % n->kv_heads != 0)
    weft_json_fail(r, "num_key_value_heads", "%u does not divide num_attention_heads %u", n->kv_heads, n->heads);
  if (n->head_dim % 2 != 0)
    weft_json_fail(r, "hidden_size", "a head has %u dimensions: RoPE needs an even number", n->head_dim);
  n->attention_scale = (float)(1 / sqrt(n->head_dim));
  bool llama = strcmp(n->model_type, "llama") == 0, qwen = strcmp(n->model_type, "qwen2") == 0;
  bool biased = optional_flag(r, "attention_bias", qwen);
  if (!llama && biased != qwen)
    weft_json_fail(r, "attention_bias", "%s contradicts model_type \"%s\"", biased ? "true" : "false", n->model_type);
  n->qkv_bias = biased;
  n->output_bias = biased && llama;
  read_windows(r, n);
  read_rope(r, n);
}

// The last part of a path, without ".json"; config.json gives its folder's name.
static void name_from(const char *path, weft_network *n) {
  size_t end = strlen(path);
  for (int part = 0; part < 2; ++part) {
    while (end > 0 && path[end - 1] == '/') --end;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') --begin;
    size_t length = end - begin;
    if (part == 0 && length == strlen("config.json") && strncmp(path + begin, "config.json", length) == 0 &&
        begin > 0) {
      end = begin;
      continue;
    }
    if (length > 5 && strncmp(path + end - 5, ".json", 5) == 0) length -= 5;
    if (length >= sizeof n->name) length = sizeof n->name - 1;
    memcpy(n->name, path + begin, length);
    n->name[length] = 0;
    return;
  }
}

weft_status weft_network_unpack(json_t *config, const char *where, const char *text, weft_network *out_network) {
  weft_json_object r;
  weft_network n = weft_network_default();
  size_t type = 0;
  weft_json_begin(&r, config, where, text);
  if (!r.error) read_type(&r, &n, &type);
  if (r.error) return weft_json_finish(&r);
  check_keys(&r, n.family);
  n.vocabulary = size_of(&r, "vocab_size", WEFT_NETWORK_MAX_VOCABULARY);
  n.tied = optional_flag(&r, "tie_word_embeddings", n.family == WEFT_GPT2 || n.family == WEFT_BERT);
  if (n.family == WEFT_BERT && !n.tied) weft_json_fail(&r, "tie_word_embeddings", "false is not supported for bert");
  n.initializer_range = optional_float(&r, "initializer_range", 0, 10, 0.02f);
  switch (n.family) {
    case WEFT_GPT2: read_gpt2(&r, &n); break;
    case WEFT_GPTJ: read_gptj(&r, &n); break;
    case WEFT_BERT: read_bert(&r, &n); break;
    default: read_llama(&r, &n); break;
  }
  n.bos = read_token(&r, "bos_token_id", n.vocabulary);
  n.eos = read_token(&r, "eos_token_id", n.vocabulary);
  read_dtype(&r, &n);
  read_architectures(&r, &n, type);
  const char *name = weft_json_optional_text(&r, "_name_or_path");
  name_from(name && *name ? name : where, &n);
  WEFT_TRY(weft_json_finish(&r));
  weft_status status = weft_network_check(&n);
  if (status) return weft_status_prefix(status, "%s: ", where);
  *out_network = n;
  return NULL;
}
