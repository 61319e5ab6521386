// What GGUF metadata says about the network, and GGUF's names of parameters. Keys and names after llama.cpp's gguf-py
// (constants.py, tensor_mapping.py); the meaning of each after its convert_hf_to_gguf.py.
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "models/checkpoint_internal.h"

static const char *const architectures[] = {"llama", "gpt2", "qwen2"};
enum { ARCHITECTURES = sizeof architectures / sizeof *architectures };

// Reads "<architecture>.<key>"; the first failure is kept, as in base/json.h.
typedef struct gguf_keys {
  const weft_checkpoint *checkpoint;
  const char *architecture;
  weft_status error;
} gguf_keys;

static weft_meta find_key(const gguf_keys *keys, const char *key, char out_full[128]) {
  snprintf(out_full, 128, "%s.%s", keys->architecture, key);
  return weft_checkpoint_meta_find(keys->checkpoint, out_full);
}

// Untouched when absent.
static bool read_integer(gguf_keys *keys, const char *key, bool needed, int64_t low, int64_t high,
                         uint32_t *out_value) {
  char full[128];
  weft_meta meta = find_key(keys, key, full);
  if (keys->error) return false;
  if (meta.type == WEFT_META_NONE) {
    if (needed) keys->error = weft_error(WEFT_INVALID, "%s: metadata \"%s\" is missing", keys->checkpoint->path, full);
    return false;
  }
  if (meta.type != WEFT_META_INTEGER || meta.integer < low || meta.integer > high) {
    char found[32] = "another type";
    if (meta.type == WEFT_META_INTEGER) snprintf(found, sizeof found, "%" PRId64, meta.integer);
    keys->error = weft_error(WEFT_INVALID, "%s: %s: expected a whole number from %" PRId64 " to %" PRId64 ", found %s",
                             keys->checkpoint->path, full, low, high, found);
    return false;
  }
  *out_value = (uint32_t)meta.integer;
  return true;
}

static bool read_number(gguf_keys *keys, const char *key, double low, double high, double *out_value) {
  char full[128];
  weft_meta meta = find_key(keys, key, full);
  if (keys->error || meta.type == WEFT_META_NONE) return false;
  if (meta.type != WEFT_META_NUMBER || !(meta.number >= low && meta.number <= high)) {
    keys->error =
        weft_error(WEFT_INVALID, "%s: %s: expected a number from %g to %g", keys->checkpoint->path, full, low, high);
    return false;
  }
  *out_value = meta.number;
  return true;
}

static bool text_is(const weft_meta *meta, const char *text) {
  return meta->type == WEFT_META_TEXT && meta->text_bytes == strlen(text) &&
         memcmp(meta->text, text, strlen(text)) == 0;
}

static const char *architecture_of(const weft_checkpoint *checkpoint) {
  weft_meta meta = weft_checkpoint_meta_find(checkpoint, "general.architecture");
  for (size_t i = 0; i < ARCHITECTURES; ++i)
    if (text_is(&meta, architectures[i])) return architectures[i];
  return NULL;
}

static weft_status unknown_architecture(const weft_checkpoint *checkpoint) {
  weft_meta meta = weft_checkpoint_meta_find(checkpoint, "general.architecture");
  if (meta.type != WEFT_META_TEXT)
    return weft_error(WEFT_INVALID, "%s: metadata \"general.architecture\" is missing or not a text", checkpoint->path);
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)(meta.text_bytes < 63 ? meta.text_bytes : 63), meta.text);
  for (char *c = name; *c; ++c)
    if (*c < 0x20 || *c == 0x7f) *c = '?';
  return weft_error(WEFT_INVALID,
                    "%s: general.architecture \"%s\" is not one that Weft reads from GGUF (llama, gpt2, qwen2); the "
                    "nearest is \"%s\"",
                    checkpoint->path, name, weft_nearest(name, architectures, ARCHITECTURES));
}

static void read_sizes(gguf_keys *keys, weft_network *network) {
  enum { MAX_HIDDEN = 1 << 24 };
  read_integer(keys, "block_count", true, 1, 100000, &network->layers);
  read_integer(keys, "embedding_length", true, 1, MAX_HIDDEN, &network->hidden);
  read_integer(keys, "feed_forward_length", true, 1, MAX_HIDDEN, &network->intermediate);
  read_integer(keys, "attention.head_count", true, 1, 1 << 20, &network->heads);
  read_integer(keys, "context_length", true, 1, 1 << 30, &network->positions);
  if (keys->error) return;
  network->kv_heads = network->heads;
  read_integer(keys, "attention.head_count_kv", false, 1, network->heads, &network->kv_heads);
  network->head_dim = network->hidden / network->heads;
  bool own = read_integer(keys, "attention.key_length", false, 1, 1 << 16, &network->head_dim);
  uint32_t value_length = network->head_dim;
  read_integer(keys, "attention.value_length", false, 1, 1 << 16, &value_length);
  if (keys->error) return;
  if (!own && network->hidden % network->heads != 0)
    keys->error = weft_error(WEFT_INVALID,
                             "%s: %s.embedding_length %" PRIu32 " is not a multiple of attention.head_count %" PRIu32,
                             keys->checkpoint->path, keys->architecture, network->hidden, network->heads);
  else if (value_length != network->head_dim)
    keys->error = weft_error(WEFT_INVALID,
                             "%s: %s.attention.value_length %" PRIu32 " differs from the key's %" PRIu32
                             ", which Weft does not run",
                             keys->checkpoint->path, keys->architecture, value_length, network->head_dim);
}

static void read_vocabulary(gguf_keys *keys, weft_network *network) {
  const weft_stored_tensor *table = weft_checkpoint_lookup(keys->checkpoint, "token_embd.weight");
  weft_meta tokens = weft_checkpoint_meta_find(keys->checkpoint, "tokenizer.ggml.tokens");
  bool given = read_integer(keys, "vocab_size", false, 1, 1 << 28, &network->vocabulary);
  if (keys->error || given) return;
  if (tokens.type == WEFT_META_ARRAY && tokens.count >= 1 && tokens.count <= 1 << 28)
    network->vocabulary = (uint32_t)tokens.count;
  else if (table && table->rank == 2 && table->shape[0] >= 1 && table->shape[0] <= 1 << 28)
    network->vocabulary = (uint32_t)table->shape[0];
  else
    keys->error =
        weft_error(WEFT_INVALID, "%s: neither %s.vocab_size nor tokenizer.ggml.tokens says how large the vocabulary is",
                   keys->checkpoint->path, keys->architecture);
}

static int64_t token_id(const weft_checkpoint *checkpoint, const char *key) {
  weft_meta meta = weft_checkpoint_meta_find(checkpoint, key);
  return meta.type == WEFT_META_INTEGER && meta.integer >= 0 && meta.integer <= 1 << 28 ? meta.integer : -1;
}

// What the wavelengths' stretching of Llama 3.1 gives for pair `index` (the formula of transformers' "llama3" RoPE).
static double llama3_stretch(const weft_network *network, uint32_t index, double factor, double low, double high,
                             double original) {
  double wavelength = 2 * M_PI * pow(network->rope_theta, 2.0 * index / network->rotary_dim);
  if (wavelength < original / high) return 1;
  if (wavelength > original / low) return factor;
  double smooth = (original / wavelength - low) / (high - low);
  return 1 / ((1 - smooth) / factor + smooth);
}

static bool stretches_agree(const weft_network *network, const float *found, uint32_t count, double factor,
                            double original) {
  for (uint32_t i = 0; i < count; ++i) {
    double expected = llama3_stretch(network, i, factor, 1, 4, original);
    if (!(fabs((double)found[i] - expected) <= 1e-4 * expected)) return false;
  }
  return true;
}

// Llama 3.1 and later come without scaling metadata, but with the stretch of every pair as a tensor. All published
// networks have low and high factors 1 and 4, so factor and original length follow from it; anything else is refused.
static void read_rope_tensor(gguf_keys *keys, weft_network *network) {
  const weft_stored_tensor *tensor = weft_checkpoint_lookup(keys->checkpoint, "rope_freqs.weight");
  if (keys->error || !tensor) return;
  enum { MAX_PAIRS = 1024 };
  float found[MAX_PAIRS];
  uint32_t count = network->rotary_dim / 2;
  if (tensor->rank != 1 || tensor->shape[0] != count || count == 0 || count > MAX_PAIRS ||
      !weft_dtype_computes(tensor->dtype)) {
    char shape[96];
    keys->error = weft_error(WEFT_INVALID, "%s: rope_freqs.weight: expected (%" PRIu32 ") of f32, found %s of %s",
                             tensor->file, count, weft_checkpoint_shape_text(tensor->rank, tensor->shape, shape),
                             weft_dtype_name(tensor->dtype));
    return;
  }
  weft_checkpoint_convert(tensor, 0, WEFT_F32, found);
  double factor = (double)found[0];
  for (uint32_t i = 1; i < count; ++i) factor = fmax(factor, (double)found[i]);
  uint32_t said = 0;
  read_integer(keys, "rope.scaling.original_context_length", false, 1, 1 << 30, &said);
  if (keys->error || (factor <= 1.0 && stretches_agree(network, found, count, 1, 8192))) return;
  for (uint32_t i = 0; i <= 26 && factor > 1 && isfinite(factor); ++i) {
    uint32_t original = i == 0 ? said ? said : 8192 : 1u << (i - 1);
    if (!stretches_agree(network, found, count, factor, original)) continue;
    network->rope_scaling = WEFT_ROPE_LLAMA3;
    network->rope_factor = factor;
    network->rope_low_frequency_factor = 1;
    network->rope_high_frequency_factor = 4;
    network->rope_original_positions = original;
    return;
  }
  keys->error =
      weft_error(WEFT_INVALID,
                 "%s: rope_freqs.weight (largest %g) is not Llama 3's scaling with low and high factors 1 and "
                 "4, the only one of this form that Weft runs",
                 tensor->file, factor);
}

static void read_rope(gguf_keys *keys, weft_network *network) {
  network->rope_kind = WEFT_ROPE_HALF;
  network->rope_theta = 10000;
  network->rotary_dim = network->head_dim;
  read_number(keys, "rope.freq_base", 1, 1e12, &network->rope_theta);
  read_integer(keys, "rope.dimension_count", false, 2, 1 << 16, &network->rotary_dim);
  if (keys->error) return;
  if (network->rotary_dim != network->head_dim) {
    keys->error = weft_error(WEFT_INVALID,
                             "%s: %s.rope.dimension_count %" PRIu32 " differs from the head's %" PRIu32
                             " dimensions, which this "
                             "architecture does not allow",
                             keys->checkpoint->path, keys->architecture, network->rotary_dim, network->head_dim);
    return;
  }
  char full[128];
  weft_meta type = find_key(keys, "rope.scaling.type", full);
  bool linear = text_is(&type, "linear");
  if (type.type != WEFT_META_NONE && !linear && !text_is(&type, "none")) {
    keys->error =
        weft_error(WEFT_INVALID, "%s: %s: Weft runs \"none\" and \"linear\" (and Llama 3's through rope_freqs.weight)",
                   keys->checkpoint->path, full);
    return;
  }
  double factor = 1;
  // Files from before rope.scaling.type say only how much.
  bool given = read_number(keys, "rope.scaling.factor", 1e-3, 1e6, &factor) ||
               read_number(keys, "rope.scale_linear", 1e-3, 1e6, &factor);
  if (given && factor != 1 && (linear || type.type == WEFT_META_NONE)) {
    network->rope_scaling = WEFT_ROPE_LINEAR;
    network->rope_factor = factor;
  }
  read_rope_tensor(keys, network);
}

static void read_name(const weft_checkpoint *checkpoint, weft_network *network) {
  weft_meta name = weft_checkpoint_meta_find(checkpoint, "general.name");
  weft_checkpoint_name_after_path(checkpoint, network->name);
  if (name.type == WEFT_META_TEXT && name.text_bytes < sizeof network->name &&
      weft_checkpoint_name_is_printable(name.text, name.text_bytes)) {
    memcpy(network->name, name.text, name.text_bytes);
    network->name[name.text_bytes] = 0;
  }
}

static void read_family(gguf_keys *keys, weft_network *network) {
  const weft_checkpoint *checkpoint = keys->checkpoint;
  bool gpt2 = strcmp(keys->architecture, "gpt2") == 0;
  double epsilon = 1e-5;
  network->family = gpt2 ? WEFT_GPT2 : WEFT_LLAMA;
  network->activation = gpt2 ? WEFT_GELU_TANH : WEFT_SILU;
  read_number(keys, gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 0, 1, &epsilon);
  network->norm_epsilon = (float)epsilon;
  network->tied = !weft_checkpoint_lookup(checkpoint, "output.weight");
  network->qkv_bias = gpt2 || weft_checkpoint_lookup(checkpoint, "blk.0.attn_q.bias");
  network->output_bias = gpt2 || weft_checkpoint_lookup(checkpoint, "blk.0.attn_output.bias");
  network->mlp_bias = gpt2 || weft_checkpoint_lookup(checkpoint, "blk.0.ffn_up.bias");
  network->head_bias = false;
  if (gpt2) {
    network->rope_kind = WEFT_ROPE_NONE;
    network->rotary_dim = 0;
  } else {
    read_rope(keys, network);
  }
  const weft_stored_tensor *table = weft_checkpoint_lookup(checkpoint, "token_embd.weight");
  network->dtype = table && weft_dtype_computes(table->dtype) ? table->dtype : WEFT_F32;
}

weft_status weft_gguf_network(const weft_checkpoint *checkpoint, weft_network *out_network) {
  gguf_keys keys = {.checkpoint = checkpoint, .architecture = architecture_of(checkpoint)};
  if (!keys.architecture) return unknown_architecture(checkpoint);
  weft_network network = weft_network_default();
  snprintf(network.model_type, sizeof network.model_type, "%s", keys.architecture);
  read_name(checkpoint, &network);
  read_sizes(&keys, &network);
  if (!keys.error) read_vocabulary(&keys, &network);
  if (!keys.error) read_family(&keys, &network);
  uint32_t experts = 0;
  read_integer(&keys, "expert_count", false, 0, 1 << 20, &experts);
  if (!keys.error && experts > 0)
    keys.error = weft_error(WEFT_INVALID, "%s: %s.expert_count %" PRIu32 ": Weft does not run mixtures of experts",
                            checkpoint->path, keys.architecture, experts);
  if (keys.error) return keys.error;
  network.attention_scale = 1.0f / sqrtf((float)network.head_dim);
  network.bos = token_id(checkpoint, "tokenizer.ggml.bos_token_id");
  network.eos = token_id(checkpoint, "tokenizer.ggml.eos_token_id");
  WEFT_TRY(weft_status_prefix(weft_network_check(&network), "%s: ", checkpoint->path));
  *out_network = network;
  return NULL;
}

bool weft_gguf_parameter_name(const weft_parameter *parameter, char out_name[96]) {
  static const char *const names[WEFT_PARAMETER_ROLE_COUNT] = {
      [WEFT_TOKEN_EMBEDDING] = "token_embd.weight",
      [WEFT_POSITION_EMBEDDING] = "position_embd.weight",
      [WEFT_NORM1_WEIGHT] = "attn_norm.weight",
      [WEFT_NORM1_BIAS] = "attn_norm.bias",
      [WEFT_QKV_WEIGHT] = "attn_qkv.weight",
      [WEFT_QKV_BIAS] = "attn_qkv.bias",
      [WEFT_Q_WEIGHT] = "attn_q.weight",
      [WEFT_Q_BIAS] = "attn_q.bias",
      [WEFT_K_WEIGHT] = "attn_k.weight",
      [WEFT_K_BIAS] = "attn_k.bias",
      [WEFT_V_WEIGHT] = "attn_v.weight",
      [WEFT_V_BIAS] = "attn_v.bias",
      [WEFT_O_WEIGHT] = "attn_output.weight",
      [WEFT_O_BIAS] = "attn_output.bias",
      [WEFT_NORM2_WEIGHT] = "ffn_norm.weight",
      [WEFT_NORM2_BIAS] = "ffn_norm.bias",
      [WEFT_GATE_WEIGHT] = "ffn_gate.weight",
      [WEFT_UP_WEIGHT] = "ffn_up.weight",
      [WEFT_UP_BIAS] = "ffn_up.bias",
      [WEFT_DOWN_WEIGHT] = "ffn_down.weight",
      [WEFT_DOWN_BIAS] = "ffn_down.bias",
      [WEFT_FINAL_NORM_WEIGHT] = "output_norm.weight",
      [WEFT_FINAL_NORM_BIAS] = "output_norm.bias",
      [WEFT_HEAD_WEIGHT] = "output.weight",
      [WEFT_HEAD_BIAS] = "output.bias",
  };
  const char *name = names[parameter->role];
  if (!name) return false;
  if (parameter->layer < 0)
    snprintf(out_name, 96, "%s", name);
  else
    snprintf(out_name, 96, "blk.%" PRId32 ".%s", parameter->layer, name);
  return true;
}

uint32_t weft_gguf_permuted_heads(const weft_checkpoint *checkpoint, const weft_parameter *parameter) {
  const char *architecture = architecture_of(checkpoint);
  bool q = parameter->role == WEFT_Q_WEIGHT || parameter->role == WEFT_Q_BIAS;
  bool k = parameter->role == WEFT_K_WEIGHT || parameter->role == WEFT_K_BIAS;
  if (!architecture || strcmp(architecture, "llama") != 0 || (!q && !k)) return 0;
  gguf_keys keys = {.checkpoint = checkpoint, .architecture = architecture};
  uint32_t heads = 0;
  read_integer(&keys, "attention.head_count", false, 1, 1 << 20, &heads);
  if (k) read_integer(&keys, "attention.head_count_kv", false, 1, heads, &heads);
  weft_status_free(keys.error);  // weft_gguf_network reports it; the shape check catches what it changes
  return heads;
}
