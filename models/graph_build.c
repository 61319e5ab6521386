// The forward graph of every family, one function per part of a transformer.
#include <stdlib.h>
#include <string.h>

#include "models/graph.h"

typedef struct builder {
  weft_graph *graph;
  const weft_network *network;
  const weft_run *run;
  uint64_t rows;  // tokens in a pass: batch * tokens per sequence
  uint32_t batch;
  bool training;
  uint32_t ids, positions;
  uint32_t *parameters;  // value of parameter (role, layer): [role * (layers + 1) + layer + 1]
} builder;

static uint32_t matrix(builder *b, const char *name, weft_value_role role, weft_dtype dtype, uint64_t rows,
                       uint64_t columns) {
  return weft_graph_add_value(b->graph, (weft_value){.name = name,
                                                     .role = role,
                                                     .dtype = dtype,
                                                     .rank = 2,
                                                     .shape = {rows, columns},
                                                     .parent = WEFT_NONE,
                                                     .parameter = WEFT_NONE});
}

static uint32_t activation(builder *b, const char *name, uint64_t columns) {
  return matrix(b, name, WEFT_VALUE_ACTIVATION, b->run->dtype, b->rows, columns);
}

static uint32_t columns_of(builder *b, uint32_t parent, const char *name, uint64_t column, uint64_t columns) {
  weft_value value = b->graph->values[parent];
  value.name = name;
  value.parent = parent;
  value.column = column;
  value.shape[value.rank - 1] = columns;
  return weft_graph_add_value(b->graph, value);
}

static uint32_t input(builder *b, const char *name, uint64_t count) {
  return weft_graph_add_value(b->graph, (weft_value){.name = name,
                                                     .role = WEFT_VALUE_INPUT,
                                                     .dtype = WEFT_I32,
                                                     .rank = 1,
                                                     .shape = {count},
                                                     .parent = WEFT_NONE,
                                                     .parameter = WEFT_NONE});
}

// The value of a parameter, or WEFT_NONE where the network has none.
static uint32_t parameter(builder *b, weft_parameter_role role, int32_t layer) {
  return b->parameters[(uint32_t)role * (b->network->layers + 1) + (uint32_t)(layer + 1)];
}

static uint64_t width(builder *b, uint32_t value) {
  const weft_value *v = &b->graph->values[value];
  return v->shape[v->rank - 1];
}

static const char *label(builder *b, int32_t layer, const char *part) {
  if (layer < 0) return part;
  return weft_arena_format(&b->graph->arena, "layers.%d.%s", layer, part);
}

static uint32_t linear(builder *b, uint32_t x, weft_parameter_role weight, weft_parameter_role bias, int32_t layer,
                       const char *name) {
  uint32_t w = parameter(b, weight, layer);
  weft_parameter facts = weft_network_parameter(b->network, b->graph->values[w].parameter);
  uint32_t y = activation(b, label(b, layer, name), facts.transposed ? facts.shape[1] : facts.shape[0]);
  b->graph->values[y].shape[0] = b->graph->values[x].shape[0];
  weft_node *node = weft_graph_add_node(b->graph, WEFT_OP_LINEAR, layer);
  node->attributes.transposed = facts.transposed;
  node->inputs[0] = x;
  node->inputs[1] = w;
  node->inputs[2] = bias == WEFT_PARAMETER_ROLE_COUNT ? WEFT_NONE : parameter(b, bias, layer);
  node->outputs[0] = y;
  return y;
}

static uint32_t norm(builder *b, uint32_t x, weft_parameter_role weight, weft_parameter_role bias, int32_t layer,
                     const char *name) {
  bool rms = b->network->family == WEFT_LLAMA;
  const char *stats_name = weft_arena_format(&b->graph->arena, "%s.stats", label(b, layer, name));
  uint32_t y = activation(b, label(b, layer, name), b->network->hidden);
  b->graph->values[y].shape[0] = b->graph->values[x].shape[0];
  uint32_t stats = matrix(b, stats_name, WEFT_VALUE_STATISTIC, WEFT_F32, b->graph->values[x].shape[0], rms ? 1 : 2);
  weft_node *node = weft_graph_add_node(b->graph, rms ? WEFT_OP_RMS_NORM : WEFT_OP_LAYER_NORM, layer);
  node->attributes.epsilon = b->network->norm_epsilon;
  node->inputs[0] = x;
  node->inputs[1] = parameter(b, weight, layer);
  if (!rms) node->inputs[2] = parameter(b, bias, layer);
  node->outputs[0] = y;
  node->outputs[1] = stats;
  return y;
}

static uint32_t unary(builder *b, weft_op op, uint32_t x, uint32_t other, int32_t layer, const char *name) {
  uint32_t y = activation(b, label(b, layer, name), width(b, x));
  b->graph->values[y].shape[0] = b->graph->values[x].shape[0];
  weft_node *node = weft_graph_add_node(b->graph, op, layer);
  node->attributes.activation = b->network->activation;
  node->inputs[0] = x;
  node->inputs[1] = other;
  node->outputs[0] = y;
  return y;
}

static uint32_t rotate(builder *b, uint32_t x, uint32_t heads, int32_t layer, const char *name) {
  const weft_network *n = b->network;
  if (n->rope_kind == WEFT_ROPE_NONE) return x;
  uint32_t y = unary(b, WEFT_OP_ROPE, x, b->positions, layer, name);
  weft_attributes *a = &b->graph->nodes[b->graph->node_count - 1].attributes;
  *a = (weft_attributes){.heads = heads,
                         .head_dim = n->head_dim,
                         .rotary_dim = n->rotary_dim,
                         .rope_kind = n->rope_kind,
                         .rope_scaling = n->rope_scaling,
                         .rope_original_positions = n->rope_original_positions,
                         .rope_theta = n->rope_theta,
                         .rope_factor = n->rope_factor,
                         .rope_low_frequency_factor = n->rope_low_frequency_factor,
                         .rope_high_frequency_factor = n->rope_high_frequency_factor,
                         .scale = 1};
  return y;
}

static uint32_t embed(builder *b, uint32_t indices, weft_parameter_role table, const char *name) {
  uint32_t y = activation(b, name, b->network->hidden);
  weft_node *node = weft_graph_add_node(b->graph, WEFT_OP_EMBED, -1);
  node->attributes.scale = b->network->embedding_scale;
  node->inputs[0] = indices;
  node->inputs[1] = parameter(b, table, -1);
  node->outputs[0] = y;
  return y;
}

static uint32_t cache(builder *b, int32_t layer, const char *name) {
  uint64_t room = b->run->mode == WEFT_PREFILL && b->run->context ? b->run->context : b->run->sequence;
  return weft_graph_add_value(
      b->graph, (weft_value){.name = label(b, layer, name),
                             .role = WEFT_VALUE_CACHE,
                             .dtype = b->run->dtype,
                             .rank = 3,
                             .shape = {b->batch, room, (uint64_t)b->network->kv_heads * b->network->head_dim},
                             .parent = WEFT_NONE,
                             .parameter = WEFT_NONE});
}

static uint32_t attend(builder *b, uint32_t q, uint32_t k, uint32_t v, int32_t layer) {
  const weft_network *n = b->network;
  weft_attributes attributes = {.batch = b->batch,
                                .heads = n->heads,
                                .kv_heads = n->kv_heads,
                                .head_dim = n->head_dim,
                                .causal = n->family != WEFT_BERT,
                                .scale = n->attention_scale};
  uint32_t o = activation(b, label(b, layer, "attention.out"), (uint64_t)n->heads * n->head_dim);
  if (b->training || n->family == WEFT_BERT) {
    uint32_t lse = matrix(b, label(b, layer, "attention.lse"), WEFT_VALUE_STATISTIC, WEFT_F32, b->rows, n->heads);
    weft_node *node = weft_graph_add_node(b->graph, WEFT_OP_ATTENTION, layer);
    node->attributes = attributes;
    memcpy(node->inputs, (uint32_t[]){q, k, v}, 3 * sizeof q);
    memcpy(node->outputs, (uint32_t[]){o, lse}, 2 * sizeof q);
    return o;
  }
  uint32_t keys = cache(b, layer, "cache.k"), values = cache(b, layer, "cache.v");
  weft_node *write = weft_graph_add_node(b->graph, WEFT_OP_CACHE_WRITE, layer);
  write->attributes = attributes;
  memcpy(write->inputs, (uint32_t[]){k, v}, 2 * sizeof q);
  memcpy(write->outputs, (uint32_t[]){keys, values}, 2 * sizeof q);
  weft_node *node = weft_graph_add_node(b->graph, WEFT_OP_ATTENTION_CACHED, layer);
  attributes.context = (uint32_t)(b->run->mode == WEFT_DECODE ? b->run->sequence : b->rows / b->batch);
  node->attributes = attributes;
  memcpy(node->inputs, (uint32_t[]){q, keys, values}, 3 * sizeof q);
  node->outputs[0] = o;
  return o;
}

static uint32_t attention(builder *b, uint32_t x, int32_t layer) {
  const weft_network *n = b->network;
  uint64_t wide = (uint64_t)n->heads * n->head_dim, narrow = (uint64_t)n->kv_heads * n->head_dim;
  uint32_t q, k, v;
  if (parameter(b, WEFT_QKV_WEIGHT, layer) != WEFT_NONE) {
    uint32_t qkv = linear(b, x, WEFT_QKV_WEIGHT, WEFT_QKV_BIAS, layer, "attention.qkv");
    q = columns_of(b, qkv, label(b, layer, "attention.q"), 0, wide);
    k = columns_of(b, qkv, label(b, layer, "attention.k"), wide, narrow);
    v = columns_of(b, qkv, label(b, layer, "attention.v"), wide + narrow, narrow);
  } else {
    q = linear(b, x, WEFT_Q_WEIGHT, WEFT_Q_BIAS, layer, "attention.q");
    k = linear(b, x, WEFT_K_WEIGHT, WEFT_K_BIAS, layer, "attention.k");
    v = linear(b, x, WEFT_V_WEIGHT, WEFT_V_BIAS, layer, "attention.v");
  }
  q = rotate(b, q, n->heads, layer, "attention.q.rotated");
  k = rotate(b, k, n->kv_heads, layer, "attention.k.rotated");
  uint32_t o = attend(b, q, k, v, layer);
  return linear(b, o, WEFT_O_WEIGHT, WEFT_O_BIAS, layer, "attention.projected");
}

static uint32_t mlp(builder *b, uint32_t x, int32_t layer) {
  uint32_t inner;
  if (parameter(b, WEFT_GATE_WEIGHT, layer) != WEFT_NONE) {
    uint32_t gate = linear(b, x, WEFT_GATE_WEIGHT, WEFT_PARAMETER_ROLE_COUNT, layer, "mlp.gate");
    uint32_t up = linear(b, x, WEFT_UP_WEIGHT, WEFT_UP_BIAS, layer, "mlp.up");
    inner = unary(b, WEFT_OP_GATED, gate, up, layer, "mlp.gated");
  } else {
    uint32_t up = linear(b, x, WEFT_UP_WEIGHT, WEFT_UP_BIAS, layer, "mlp.up");
    inner = unary(b, WEFT_OP_ACTIVATION, up, WEFT_NONE, layer, "mlp.activated");
  }
  return linear(b, inner, WEFT_DOWN_WEIGHT, WEFT_DOWN_BIAS, layer, "mlp.down");
}

static uint32_t block(builder *b, uint32_t x, int32_t layer) {
  switch (b->network->family) {
    case WEFT_GPTJ: {
      uint32_t normed = norm(b, x, WEFT_NORM1_WEIGHT, WEFT_NORM1_BIAS, layer, "norm");
      uint32_t attended = attention(b, normed, layer);
      uint32_t fed = mlp(b, normed, layer);
      uint32_t both = unary(b, WEFT_OP_ADD, attended, fed, layer, "branches");
      return unary(b, WEFT_OP_ADD, x, both, layer, "out");
    }
    case WEFT_BERT: {
      uint32_t attended = unary(b, WEFT_OP_ADD, x, attention(b, x, layer), layer, "attention.residual");
      uint32_t middle = norm(b, attended, WEFT_NORM1_WEIGHT, WEFT_NORM1_BIAS, layer, "attention.norm");
      uint32_t fed = unary(b, WEFT_OP_ADD, middle, mlp(b, middle, layer), layer, "mlp.residual");
      return norm(b, fed, WEFT_NORM2_WEIGHT, WEFT_NORM2_BIAS, layer, "out");
    }
    default: {
      uint32_t normed = norm(b, x, WEFT_NORM1_WEIGHT, WEFT_NORM1_BIAS, layer, "attention.norm");
      uint32_t middle = unary(b, WEFT_OP_ADD, x, attention(b, normed, layer), layer, "middle");
      uint32_t again = norm(b, middle, WEFT_NORM2_WEIGHT, WEFT_NORM2_BIAS, layer, "mlp.norm");
      return unary(b, WEFT_OP_ADD, middle, mlp(b, again, layer), layer, "out");
    }
  }
}

static uint32_t embeddings(builder *b) {
  uint32_t x = embed(b, b->ids, WEFT_TOKEN_EMBEDDING, "embedding.token");
  if (parameter(b, WEFT_POSITION_EMBEDDING, -1) != WEFT_NONE)
    x = unary(b, WEFT_OP_ADD, x, embed(b, b->positions, WEFT_POSITION_EMBEDDING, "embedding.position"), -1,
              "embedding.sum");
  if (parameter(b, WEFT_TYPE_EMBEDDING, -1) != WEFT_NONE) {
    uint32_t types = input(b, "types", b->rows);
    x = unary(b, WEFT_OP_ADD, x, embed(b, types, WEFT_TYPE_EMBEDDING, "embedding.type"), -1, "embedding.total");
  }
  if (parameter(b, WEFT_EMBEDDING_NORM_WEIGHT, -1) != WEFT_NONE)
    x = norm(b, x, WEFT_EMBEDDING_NORM_WEIGHT, WEFT_EMBEDDING_NORM_BIAS, -1, "embedding.norm");
  return x;
}

// From the last block's output to logits.
static uint32_t head(builder *b, uint32_t x) {
  bool tied = parameter(b, WEFT_HEAD_WEIGHT, -1) == WEFT_NONE;
  uint32_t logits = linear(b, x, tied ? WEFT_TOKEN_EMBEDDING : WEFT_HEAD_WEIGHT, WEFT_HEAD_BIAS, -1, "logits");
  b->graph->nodes[b->graph->node_count - 1].attributes.scale = b->network->logit_scale;
  return logits;
}

static void mark_hidden(builder *b, uint32_t value, uint32_t index) {
  if (!b->run->keep_hidden) return;
  b->graph->values[value].name = weft_arena_format(&b->graph->arena, "hidden.%u", index);
  b->graph->values[value].keep = true;
}

static void list_parameters(builder *b) {
  const weft_network *n = b->network;
  uint32_t places = WEFT_PARAMETER_ROLE_COUNT * (n->layers + 1);
  b->parameters = weft_allocate_array(places, sizeof *b->parameters);
  for (uint32_t i = 0; i < places; ++i) b->parameters[i] = WEFT_NONE;
  for (uint32_t i = 0; i < weft_network_parameter_tensors(n); ++i) {
    weft_parameter p = weft_network_parameter(n, i);
    weft_value value = {.name = weft_arena_copy_text(&b->graph->arena, p.name),
                        .role = WEFT_VALUE_PARAMETER,
                        .dtype = WEFT_F32,
                        .rank = p.rank,
                        .shape = {p.shape[0], p.shape[1]},
                        .parent = WEFT_NONE,
                        .parameter = i};
    b->parameters[(uint32_t)p.role * (n->layers + 1) + (uint32_t)(p.layer + 1)] = weft_graph_add_value(b->graph, value);
  }
}

static uint32_t build_blocks(builder *b) {
  const weft_network *n = b->network;
  uint32_t x = embeddings(b);
  mark_hidden(b, x, 0);
  for (uint32_t layer = 0; layer < n->layers; ++layer) {
    x = block(b, x, (int32_t)layer);
    if (layer + 1 < n->layers || n->family == WEFT_BERT) mark_hidden(b, x, layer + 1);
  }
  if (!b->training && !b->run->all_logits && n->family != WEFT_BERT && b->rows > b->batch) {
    uint32_t last = matrix(b, "last", WEFT_VALUE_ACTIVATION, b->run->dtype, b->batch, n->hidden);
    weft_node *node = weft_graph_add_node(b->graph, WEFT_OP_LAST_ROW, -1);
    node->attributes.batch = b->batch;
    node->inputs[0] = x;
    node->outputs[0] = last;
    x = last;
  }
  if (n->family != WEFT_BERT) {
    x = norm(b, x, WEFT_FINAL_NORM_WEIGHT, WEFT_FINAL_NORM_BIAS, -1, "final.norm");
    mark_hidden(b, x, n->layers);
  } else if (parameter(b, WEFT_TRANSFORM_WEIGHT, -1) != WEFT_NONE) {
    x = linear(b, x, WEFT_TRANSFORM_WEIGHT, WEFT_TRANSFORM_BIAS, -1, "transform");
    x = unary(b, WEFT_OP_ACTIVATION, x, WEFT_NONE, -1, "transform.activated");
    x = norm(b, x, WEFT_TRANSFORM_NORM_WEIGHT, WEFT_TRANSFORM_NORM_BIAS, -1, "transform.norm");
  }
  return x;
}

static weft_status build_loss(builder *b, uint32_t logits, weft_recompute recompute) {
  uint32_t targets = input(b, "targets", b->rows);
  uint32_t loss = matrix(b, "loss", WEFT_VALUE_OUTPUT, WEFT_F32, b->rows, 1);
  uint32_t lse = matrix(b, "loss.lse", WEFT_VALUE_STATISTIC, WEFT_F32, b->rows, 1);
  weft_node *node = weft_graph_add_node(b->graph, WEFT_OP_CROSS_ENTROPY, -1);
  memcpy(node->inputs, (uint32_t[]){logits, targets}, 2 * sizeof loss);
  memcpy(node->outputs, (uint32_t[]){loss, lse}, 2 * sizeof loss);
  return weft_graph_differentiate(b->graph, b->graph->node_count - 1, recompute);
}

weft_status weft_graph_build(const weft_network *network, const weft_run *run, uint32_t micro_batch,
                             weft_recompute recompute, weft_graph **out_graph) {
  weft_graph *graph = weft_allocate(sizeof *graph);
  weft_arena_init(&graph->arena);
  graph->network = *network;
  uint64_t tokens = run->mode == WEFT_DECODE ? 1 : run->sequence;
  builder b = {.graph = graph,
               .network = network,
               .run = run,
               .rows = micro_batch * tokens,
               .batch = micro_batch,
               .training = run->mode == WEFT_TRAIN};
  list_parameters(&b);
  b.ids = input(&b, "ids", b.rows);
  b.positions = input(&b, "positions", b.rows);
  uint32_t x = build_blocks(&b), logits = head(&b, x);
  weft_status status = NULL;
  if (b.training) {
    graph->values[logits].keep = run->keep_hidden;
    status = build_loss(&b, logits, recompute);
  } else {
    graph->values[logits].role = WEFT_VALUE_OUTPUT;
    graph->values[logits].dtype = WEFT_F32;
  }
  free(b.parameters);
  if (!status) status = weft_graph_check(graph);
  if (status) {
    weft_graph_destroy(graph);
    return status;
  }
  *out_graph = graph;
  return NULL;
}
