// The parameters of every family, as tables in the order of the forward pass.
#include <stdio.h>
#include <string.h>

#include "models/network.h"

typedef enum width {
  NONE, HIDDEN, FUSED, QUERY, KEY_VALUE, INTERMEDIATE, VOCABULARY, POSITIONS, TYPES
} width;

// When a network of the family has the parameter.
typedef enum condition { ALWAYS, IF_QKV_BIAS, IF_OUTPUT_BIAS, IF_UNTIED, IF_HEAD_BIAS } condition;

typedef struct entry {
  weft_parameter_role role;
  const char *name;      // after the block's prefix, inside blocks
  width rows, columns;   // as stored; columns NONE for vectors
  bool transposed;
  condition condition;
} entry;

typedef struct layout {
  const char *block_prefix;  // with %d
  const entry *before, *block, *after;  // each ends with an entry without a name
} layout;

static const entry gpt_before[] = {
    {WEFT_TOKEN_EMBEDDING, "transformer.wte.weight", VOCABULARY, HIDDEN, false, ALWAYS},
    {WEFT_POSITION_EMBEDDING, "transformer.wpe.weight", POSITIONS, HIDDEN, false, ALWAYS},
    {.name = NULL}};
static const entry gpt2_block[] = {{WEFT_NORM1_WEIGHT, "ln_1.weight", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_NORM1_BIAS, "ln_1.bias", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_QKV_WEIGHT, "attn.c_attn.weight", HIDDEN, FUSED, true, ALWAYS},
                                   {WEFT_QKV_BIAS, "attn.c_attn.bias", FUSED, NONE, false, ALWAYS},
                                   {WEFT_O_WEIGHT, "attn.c_proj.weight", QUERY, HIDDEN, true, ALWAYS},
                                   {WEFT_O_BIAS, "attn.c_proj.bias", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_NORM2_WEIGHT, "ln_2.weight", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_NORM2_BIAS, "ln_2.bias", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_UP_WEIGHT, "mlp.c_fc.weight", HIDDEN, INTERMEDIATE, true, ALWAYS},
                                   {WEFT_UP_BIAS, "mlp.c_fc.bias", INTERMEDIATE, NONE, false, ALWAYS},
                                   {WEFT_DOWN_WEIGHT, "mlp.c_proj.weight", INTERMEDIATE, HIDDEN, true, ALWAYS},
                                   {WEFT_DOWN_BIAS, "mlp.c_proj.bias", HIDDEN, NONE, false, ALWAYS},
                                   {.name = NULL}};
static const entry gpt_after[] = {{WEFT_FINAL_NORM_WEIGHT, "transformer.ln_f.weight", HIDDEN, NONE, false, ALWAYS},
                                  {WEFT_FINAL_NORM_BIAS, "transformer.ln_f.bias", HIDDEN, NONE, false, ALWAYS},
                                  {WEFT_HEAD_WEIGHT, "lm_head.weight", VOCABULARY, HIDDEN, false, IF_UNTIED},
                                  {WEFT_HEAD_BIAS, "lm_head.bias", VOCABULARY, NONE, false, IF_HEAD_BIAS},
                                  {.name = NULL}};

static const entry llama_before[] = {
    {WEFT_TOKEN_EMBEDDING, "model.embed_tokens.weight", VOCABULARY, HIDDEN, false, ALWAYS}, {.name = NULL}};
static const entry llama_block[] = {
    {WEFT_NORM1_WEIGHT, "input_layernorm.weight", HIDDEN, NONE, false, ALWAYS},
    {WEFT_Q_WEIGHT, "self_attn.q_proj.weight", QUERY, HIDDEN, false, ALWAYS},
    {WEFT_Q_BIAS, "self_attn.q_proj.bias", QUERY, NONE, false, IF_QKV_BIAS},
    {WEFT_K_WEIGHT, "self_attn.k_proj.weight", KEY_VALUE, HIDDEN, false, ALWAYS},
    {WEFT_K_BIAS, "self_attn.k_proj.bias", KEY_VALUE, NONE, false, IF_QKV_BIAS},
    {WEFT_V_WEIGHT, "self_attn.v_proj.weight", KEY_VALUE, HIDDEN, false, ALWAYS},
    {WEFT_V_BIAS, "self_attn.v_proj.bias", KEY_VALUE, NONE, false, IF_QKV_BIAS},
    {WEFT_O_WEIGHT, "self_attn.o_proj.weight", HIDDEN, QUERY, false, ALWAYS},
    {WEFT_O_BIAS, "self_attn.o_proj.bias", HIDDEN, NONE, false, IF_OUTPUT_BIAS},
    {WEFT_NORM2_WEIGHT, "post_attention_layernorm.weight", HIDDEN, NONE, false, ALWAYS},
    {WEFT_GATE_WEIGHT, "mlp.gate_proj.weight", INTERMEDIATE, HIDDEN, false, ALWAYS},
    {WEFT_UP_WEIGHT, "mlp.up_proj.weight", INTERMEDIATE, HIDDEN, false, ALWAYS},
    {WEFT_DOWN_WEIGHT, "mlp.down_proj.weight", HIDDEN, INTERMEDIATE, false, ALWAYS},
    {.name = NULL}};
static const entry llama_after[] = {{WEFT_FINAL_NORM_WEIGHT, "model.norm.weight", HIDDEN, NONE, false, ALWAYS},
                                    {WEFT_HEAD_WEIGHT, "lm_head.weight", VOCABULARY, HIDDEN, false, IF_UNTIED},
                                    {.name = NULL}};

static const entry gptj_before[] = {{WEFT_TOKEN_EMBEDDING, "transformer.wte.weight", VOCABULARY, HIDDEN, false, ALWAYS},
                                    {.name = NULL}};
static const entry gptj_block[] = {{WEFT_NORM1_WEIGHT, "ln_1.weight", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_NORM1_BIAS, "ln_1.bias", HIDDEN, NONE, false, ALWAYS},
                                   {WEFT_Q_WEIGHT, "attn.q_proj.weight", QUERY, HIDDEN, false, ALWAYS},
                                   {WEFT_K_WEIGHT, "attn.k_proj.weight", KEY_VALUE, HIDDEN, false, ALWAYS},
                                   {WEFT_V_WEIGHT, "attn.v_proj.weight", KEY_VALUE, HIDDEN, false, ALWAYS},
                                   {WEFT_O_WEIGHT, "attn.out_proj.weight", HIDDEN, QUERY, false, ALWAYS},
                                   {WEFT_UP_WEIGHT, "mlp.fc_in.weight", INTERMEDIATE, HIDDEN, false, ALWAYS},
                                   {WEFT_UP_BIAS, "mlp.fc_in.bias", INTERMEDIATE, NONE, false, ALWAYS},
                                   {WEFT_DOWN_WEIGHT, "mlp.fc_out.weight", HIDDEN, INTERMEDIATE, false, ALWAYS},
                                   {WEFT_DOWN_BIAS, "mlp.fc_out.bias", HIDDEN, NONE, false, ALWAYS},
                                   {.name = NULL}};

#define EMBEDDINGS "bert.embeddings."
static const entry bert_before[] = {
    {WEFT_TOKEN_EMBEDDING, EMBEDDINGS "word_embeddings.weight", VOCABULARY, HIDDEN, false, ALWAYS},
    {WEFT_POSITION_EMBEDDING, EMBEDDINGS "position_embeddings.weight", POSITIONS, HIDDEN, false, ALWAYS},
    {WEFT_TYPE_EMBEDDING, EMBEDDINGS "token_type_embeddings.weight", TYPES, HIDDEN, false, ALWAYS},
    {WEFT_EMBEDDING_NORM_WEIGHT, EMBEDDINGS "LayerNorm.weight", HIDDEN, NONE, false, ALWAYS},
    {WEFT_EMBEDDING_NORM_BIAS, EMBEDDINGS "LayerNorm.bias", HIDDEN, NONE, false, ALWAYS},
    {.name = NULL}};
static const entry bert_block[] = {
    {WEFT_Q_WEIGHT, "attention.self.query.weight", QUERY, HIDDEN, false, ALWAYS},
    {WEFT_Q_BIAS, "attention.self.query.bias", QUERY, NONE, false, ALWAYS},
    {WEFT_K_WEIGHT, "attention.self.key.weight", KEY_VALUE, HIDDEN, false, ALWAYS},
    {WEFT_K_BIAS, "attention.self.key.bias", KEY_VALUE, NONE, false, ALWAYS},
    {WEFT_V_WEIGHT, "attention.self.value.weight", KEY_VALUE, HIDDEN, false, ALWAYS},
    {WEFT_V_BIAS, "attention.self.value.bias", KEY_VALUE, NONE, false, ALWAYS},
    {WEFT_O_WEIGHT, "attention.output.dense.weight", HIDDEN, QUERY, false, ALWAYS},
    {WEFT_O_BIAS, "attention.output.dense.bias", HIDDEN, NONE, false, ALWAYS},
    {WEFT_NORM1_WEIGHT, "attention.output.LayerNorm.weight", HIDDEN, NONE, false, ALWAYS},
    {WEFT_NORM1_BIAS, "attention.output.LayerNorm.bias", HIDDEN, NONE, false, ALWAYS},
    {WEFT_UP_WEIGHT, "intermediate.dense.weight", INTERMEDIATE, HIDDEN, false, ALWAYS},
    {WEFT_UP_BIAS, "intermediate.dense.bias", INTERMEDIATE, NONE, false, ALWAYS},
    {WEFT_DOWN_WEIGHT, "output.dense.weight", HIDDEN, INTERMEDIATE, false, ALWAYS},
    {WEFT_DOWN_BIAS, "output.dense.bias", HIDDEN, NONE, false, ALWAYS},
    {WEFT_NORM2_WEIGHT, "output.LayerNorm.weight", HIDDEN, NONE, false, ALWAYS},
    {WEFT_NORM2_BIAS, "output.LayerNorm.bias", HIDDEN, NONE, false, ALWAYS},
    {.name = NULL}};
static const entry bert_after[] = {
    {WEFT_POOLER_WEIGHT, "bert.pooler.dense.weight", HIDDEN, HIDDEN, false, ALWAYS},
    {WEFT_POOLER_BIAS, "bert.pooler.dense.bias", HIDDEN, NONE, false, ALWAYS},
    {WEFT_TRANSFORM_WEIGHT, "cls.predictions.transform.dense.weight", HIDDEN, HIDDEN, false, IF_HEAD_BIAS},
    {WEFT_TRANSFORM_BIAS, "cls.predictions.transform.dense.bias", HIDDEN, NONE, false, IF_HEAD_BIAS},
    {WEFT_TRANSFORM_NORM_WEIGHT, "cls.predictions.transform.LayerNorm.weight", HIDDEN, NONE, false, IF_HEAD_BIAS},
    {WEFT_TRANSFORM_NORM_BIAS, "cls.predictions.transform.LayerNorm.bias", HIDDEN, NONE, false, IF_HEAD_BIAS},
    {WEFT_HEAD_BIAS, "cls.predictions.bias", VOCABULARY, NONE, false, IF_HEAD_BIAS},
    {.name = NULL}};

static const layout layouts[WEFT_FAMILY_COUNT] = {
    [WEFT_GPT2] = {"transformer.h.%d.", gpt_before, gpt2_block, gpt_after},
    [WEFT_LLAMA] = {"model.layers.%d.", llama_before, llama_block, llama_after},
    [WEFT_GPTJ] = {"transformer.h.%d.", gptj_before, gptj_block, gpt_after},
    [WEFT_BERT] = {"bert.encoder.layer.%d.", bert_before, bert_block, bert_after},
};

static bool present(const weft_network *n, const entry *e) {
  switch (e->condition) {
    case IF_QKV_BIAS: return n->qkv_bias;
    case IF_OUTPUT_BIAS: return n->output_bias;
    case IF_UNTIED: return !n->tied;
    case IF_HEAD_BIAS: return n->head_bias;
    default: return true;
  }
}

static uint64_t columns_of(const weft_network *n, width w) {
  uint64_t query = (uint64_t)n->heads * n->head_dim, key_value = (uint64_t)n->kv_heads * n->head_dim;
  switch (w) {
    case HIDDEN: return n->hidden;
    case FUSED: return query + 2 * key_value;
    case QUERY: return query;
    case KEY_VALUE: return key_value;
    case INTERMEDIATE: return n->intermediate;
    case VOCABULARY: return n->vocabulary;
    case POSITIONS: return n->positions;
    case TYPES: return n->type_vocabulary;
    default: return 1;
  }
}

static uint32_t count(const weft_network *n, const entry *list) {
  uint32_t found = 0;
  for (; list->name; ++list) found += present(n, list);
  return found;
}

static const entry *nth(const weft_network *n, const entry *list, uint32_t index) {
  for (;; ++list)
    if (present(n, list) && index-- == 0) return list;
}

static uint64_t elements(const weft_network *n, const entry *list) {
  uint64_t sum = 0;
  for (; list->name; ++list)
    if (present(n, list)) sum += columns_of(n, list->rows) * columns_of(n, list->columns);
  return sum;
}

uint32_t weft_network_parameter_tensors(const weft_network *n) {
  const layout *l = &layouts[n->family];
  return count(n, l->before) + n->layers * count(n, l->block) + count(n, l->after);
}

weft_parameter weft_network_parameter(const weft_network *n, uint32_t index) {
  const layout *l = &layouts[n->family];
  uint32_t before = count(n, l->before), each = count(n, l->block), blocks = each * n->layers;
  weft_parameter p = {.layer = -1};
  const entry *e;
  size_t used = 0;
  if (index < before) {
    e = nth(n, l->before, index);
  } else if (index < before + blocks) {
    p.layer = (int32_t)((index - before) / each);
    e = nth(n, l->block, (index - before) % each);
    used = (size_t)snprintf(p.name, sizeof p.name, l->block_prefix, p.layer);
  } else {
    e = nth(n, l->after, index - before - blocks);
  }
  snprintf(p.name + used, sizeof p.name - used, "%s", e->name);
  p.role = e->role;
  p.rank = e->columns == NONE ? 1 : 2;
  p.shape[0] = columns_of(n, e->rows);
  p.shape[1] = columns_of(n, e->columns);
  p.transposed = e->transposed;
  return p;
}

uint64_t weft_network_parameters(const weft_network *n) {
  const layout *l = &layouts[n->family];
  return elements(n, l->before) + n->layers * elements(n, l->block) + elements(n, l->after);
}

uint64_t weft_network_embedding_parameters(const weft_network *n) {
  uint64_t hidden = n->hidden, sum = n->vocabulary * hidden * (n->tied ? 1 : 2) + n->type_vocabulary * hidden;
  return n->rope_kind == WEFT_ROPE_NONE ? sum + n->positions * hidden : sum;
}
