// Reverse-mode differentiation. One table says for every operation how gradients pass through it; the walk goes
// over the forward nodes from the loss back and lets each node's rule append what it needs.
//
// With recomputation by blocks, the walk first appends the block's forward nodes again when it enters the block from
// behind; rules then read the repeated values, and what nobody reads is dropped at the end.
#include <stdlib.h>
#include <string.h>

#include "models/graph.h"

typedef struct differentiator {
  weft_graph *graph;
  uint32_t forward_values;  // values that existed before the walk; only they have gradients
  uint32_t *gradient;       // of each forward value so far, or WEFT_NONE
  bool *summable;           // that gradient came from a linear node alone, so another may add into it
  uint32_t *again;          // the recomputed copy of each forward value, or WEFT_NONE
} differentiator;

static const weft_value *value_of(const differentiator *d, uint32_t value) { return &d->graph->values[value]; }

static uint32_t saved(const differentiator *d, uint32_t value) {
  return value != WEFT_NONE && d->again[value] != WEFT_NONE ? d->again[value] : value;
}

// A value shaped like `like`, in memory of its own.
static uint32_t fresh_like(differentiator *d, uint32_t like, const char *format) {
  weft_value value = *value_of(d, like);
  value.name = weft_arena_format(&d->graph->arena, format, value.name);
  value.role = WEFT_VALUE_ACTIVATION;
  value.parent = WEFT_NONE;
  value.column = 0;
  value.keep = false;
  return weft_graph_add_value(d->graph, value);
}

static uint32_t columns_like(differentiator *d, uint32_t view, uint32_t parent, const char *format) {
  weft_value value = *value_of(d, view);
  value.name = weft_arena_format(&d->graph->arena, format, value.name);
  value.parent = parent;
  value.keep = false;
  return weft_graph_add_value(d->graph, value);
}

// Where to write a gradient of `value`. The gradients of columns of one value are columns of that value's gradient.
static uint32_t gradient_room(differentiator *d, uint32_t value) {
  uint32_t parent = value_of(d, value)->parent;
  if (parent == WEFT_NONE) return fresh_like(d, value, "d.%s");
  if (d->gradient[parent] == WEFT_NONE) d->gradient[parent] = fresh_like(d, parent, "d.%s");
  return columns_like(d, value, d->gradient[parent], "d.%s");
}

static void contribute(differentiator *d, uint32_t value, uint32_t gradient, bool summable) {
  if (value_of(d, value)->role != WEFT_VALUE_ACTIVATION) return;
  if (d->gradient[value] == WEFT_NONE) {
    d->gradient[value] = gradient;
    d->summable[value] = summable;
    return;
  }
  uint32_t sum = fresh_like(d, value, "d.%s.sum");
  int32_t layer = d->graph->nodes[d->graph->node_count - 1].layer;
  weft_node *node = weft_graph_add_node(d->graph, WEFT_OP_ADD, layer);
  node->backward = true;
  node->inputs[0] = d->gradient[value];
  node->inputs[1] = gradient;
  node->outputs[0] = sum;
  d->gradient[value] = sum;
  d->summable[value] = false;
}

static weft_node *append(differentiator *d, weft_op op, const weft_node *forward) {
  weft_node *node = weft_graph_add_node(d->graph, op, forward->layer);
  node->attributes = forward->attributes;
  node->backward = true;
  return node;
}

static uint32_t parameter_gradient(differentiator *d, uint32_t parameter) {
  if (parameter == WEFT_NONE) return WEFT_NONE;
  weft_value value = *value_of(d, parameter);
  value.name = weft_arena_format(&d->graph->arena, "d.%s", value.name);
  value.role = WEFT_VALUE_PARAMETER_GRADIENT;
  return weft_graph_add_value(d->graph, value);
}

static void linear_gradient(differentiator *d, const weft_node *f) {
  uint32_t dy = d->gradient[f->outputs[0]], x = f->inputs[0];
  uint32_t dw = parameter_gradient(d, f->inputs[1]), db = parameter_gradient(d, f->inputs[2]);
  weft_node *node = append(d, WEFT_OP_LINEAR_BACKWARD_WEIGHT, f);
  memcpy(node->inputs, (uint32_t[]){dy, saved(d, x)}, 2 * sizeof x);
  memcpy(node->outputs, (uint32_t[]){dw, db}, 2 * sizeof x);
  bool sum = d->gradient[x] != WEFT_NONE && d->summable[x];
  uint32_t dx = sum ? d->gradient[x] : gradient_room(d, x);
  node = append(d, WEFT_OP_LINEAR_BACKWARD_INPUT, f);
  node->attributes.accumulate = sum;
  memcpy(node->inputs, (uint32_t[]){dy, f->inputs[1]}, 2 * sizeof x);
  node->outputs[0] = dx;
  if (!sum) contribute(d, x, dx, true);
}

static void norm_gradient(differentiator *d, const weft_node *f) {
  bool rms = f->op == WEFT_OP_RMS_NORM;
  uint32_t dy = d->gradient[f->outputs[0]], x = f->inputs[0], dx = gradient_room(d, x);
  uint32_t dw = parameter_gradient(d, f->inputs[1]), db = rms ? WEFT_NONE : parameter_gradient(d, f->inputs[2]);
  weft_node *node = append(d, rms ? WEFT_OP_RMS_NORM_BACKWARD : WEFT_OP_LAYER_NORM_BACKWARD, f);
  memcpy(node->inputs, (uint32_t[]){dy, saved(d, x), f->inputs[1], saved(d, f->outputs[1])}, 4 * sizeof x);
  memcpy(node->outputs, (uint32_t[]){dx, dw, db}, 3 * sizeof x);
  contribute(d, x, dx, false);
}

static void rope_gradient(differentiator *d, const weft_node *f) {
  uint32_t dy = d->gradient[f->outputs[0]], dx = gradient_room(d, f->inputs[0]);
  weft_node *node = append(d, WEFT_OP_ROPE_BACKWARD, f);
  memcpy(node->inputs, (uint32_t[]){dy, f->inputs[1]}, 2 * sizeof dx);
  node->outputs[0] = dx;
  contribute(d, f->inputs[0], dx, false);
}

static void attention_gradient(differentiator *d, const weft_node *f) {
  uint32_t outputs[3];
  for (int i = 0; i < 3; ++i) outputs[i] = gradient_room(d, f->inputs[i]);
  weft_node *node = append(d, WEFT_OP_ATTENTION_BACKWARD, f);
  uint32_t inputs[6] = {d->gradient[f->outputs[0]], saved(d, f->inputs[0]),  saved(d, f->inputs[1]),
                        saved(d, f->inputs[2]),     saved(d, f->outputs[0]), saved(d, f->outputs[1])};
  memcpy(node->inputs, inputs, sizeof inputs);
  memcpy(node->outputs, outputs, sizeof outputs);
  for (int i = 0; i < 3; ++i) contribute(d, f->inputs[i], outputs[i], false);
}

static void activation_gradient(differentiator *d, const weft_node *f) {
  uint32_t dy = d->gradient[f->outputs[0]], dx = gradient_room(d, f->inputs[0]);
  weft_node *node = append(d, WEFT_OP_ACTIVATION_BACKWARD, f);
  memcpy(node->inputs, (uint32_t[]){dy, saved(d, f->inputs[0])}, 2 * sizeof dx);
  node->outputs[0] = dx;
  contribute(d, f->inputs[0], dx, false);
}

static void gated_gradient(differentiator *d, const weft_node *f) {
  uint32_t dy = d->gradient[f->outputs[0]];
  uint32_t dgate = gradient_room(d, f->inputs[0]), dup = gradient_room(d, f->inputs[1]);
  weft_node *node = append(d, WEFT_OP_GATED_BACKWARD, f);
  memcpy(node->inputs, (uint32_t[]){dy, saved(d, f->inputs[0]), saved(d, f->inputs[1])}, 3 * sizeof dy);
  memcpy(node->outputs, (uint32_t[]){dgate, dup}, 2 * sizeof dy);
  contribute(d, f->inputs[0], dgate, false);
  contribute(d, f->inputs[1], dup, false);
}

static void add_gradient(differentiator *d, const weft_node *f) {
  uint32_t dy = d->gradient[f->outputs[0]];
  contribute(d, f->inputs[0], dy, false);
  contribute(d, f->inputs[1], dy, false);
}

static void embed_gradient(differentiator *d, const weft_node *f) {
  uint32_t dy = d->gradient[f->outputs[0]], table = parameter_gradient(d, f->inputs[1]);
  weft_node *node = append(d, WEFT_OP_EMBED_BACKWARD, f);
  memcpy(node->inputs, (uint32_t[]){f->inputs[0], dy}, 2 * sizeof dy);
  node->outputs[0] = table;
}

static void cross_entropy_gradient(differentiator *d, const weft_node *f) {
  uint32_t dlogits = gradient_room(d, f->inputs[0]);
  weft_node *node = append(d, WEFT_OP_CROSS_ENTROPY_BACKWARD, f);
  memcpy(node->inputs, (uint32_t[]){saved(d, f->inputs[0]), f->inputs[1], saved(d, f->outputs[1])}, 3 * sizeof dlogits);
  node->outputs[0] = dlogits;
  contribute(d, f->inputs[0], dlogits, false);
}

// The table of operations with their gradients. The rest occurs only in inference or is itself a gradient.
typedef void (*gradient_rule)(differentiator *d, const weft_node *forward);
static const gradient_rule rules[WEFT_OP_COUNT] = {
    [WEFT_OP_EMBED] = embed_gradient,
    [WEFT_OP_LINEAR] = linear_gradient,
    [WEFT_OP_LAYER_NORM] = norm_gradient,
    [WEFT_OP_RMS_NORM] = norm_gradient,
    [WEFT_OP_ROPE] = rope_gradient,
    [WEFT_OP_ATTENTION] = attention_gradient,
    [WEFT_OP_ACTIVATION] = activation_gradient,
    [WEFT_OP_GATED] = gated_gradient,
    [WEFT_OP_ADD] = add_gradient,
    [WEFT_OP_CROSS_ENTROPY] = cross_entropy_gradient,
};

// The copy of an operand for a recomputed node: columns of a recomputed value are columns of its copy.
static uint32_t operand_again(differentiator *d, uint32_t value) {
  if (value == WEFT_NONE || d->again[value] != WEFT_NONE) return saved(d, value);
  uint32_t parent = value_of(d, value)->parent;
  if (parent == WEFT_NONE || d->again[parent] == WEFT_NONE) return value;
  return d->again[value] = columns_like(d, value, d->again[parent], "%s again");
}

static void recompute_block(differentiator *d, uint32_t last) {
  weft_graph *graph = d->graph;
  int32_t layer = graph->nodes[last].layer;
  uint32_t first = last;
  while (first > 0 && graph->nodes[first - 1].layer == layer) --first;
  for (uint32_t n = first; n <= last; ++n) {
    weft_node copy = graph->nodes[n];
    copy.backward = copy.recomputed = true;
    for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) copy.inputs[i] = operand_again(d, copy.inputs[i]);
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
      if (copy.outputs[i] == WEFT_NONE) continue;
      weft_value_role role = value_of(d, copy.outputs[i])->role;
      uint32_t value = fresh_like(d, copy.outputs[i], "%s again");
      graph->values[value].role = role;
      d->again[copy.outputs[i]] = value;
      copy.outputs[i] = value;
    }
    *weft_graph_add_node(graph, copy.op, copy.layer) = copy;
  }
  for (uint32_t v = 0; v < d->forward_values; ++v) operand_again(d, v);
}

// Drops nodes from `first` on whose outputs nobody reads.
static void drop_unread(weft_graph *graph, uint32_t first) {
  bool *read = weft_allocate_array(graph->value_count, sizeof *read);
  bool *live = weft_allocate_array(graph->node_count, sizeof *live);
  for (uint32_t n = graph->node_count; n-- > 0;) {
    const weft_node *node = &graph->nodes[n];
    live[n] = n < first;
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
      if (node->outputs[i] == WEFT_NONE) continue;
      const weft_value *value = &graph->values[node->outputs[i]];
      uint32_t root = value->parent == WEFT_NONE ? node->outputs[i] : value->parent;
      live[n] = live[n] || read[root] || value->role == WEFT_VALUE_PARAMETER_GRADIENT;
    }
    for (int i = 0; live[n] && i < WEFT_OP_MAX_INPUTS; ++i) {
      if (node->inputs[i] == WEFT_NONE) continue;
      uint32_t parent = graph->values[node->inputs[i]].parent;
      read[parent == WEFT_NONE ? node->inputs[i] : parent] = true;
    }
  }
  uint32_t kept = 0;
  for (uint32_t n = 0; n < graph->node_count; ++n)
    if (live[n]) graph->nodes[kept++] = graph->nodes[n];
  graph->node_count = kept;
  free(read);
  free(live);
}

weft_status weft_graph_differentiate(weft_graph *graph, uint32_t loss_node, weft_recompute recompute) {
  differentiator d = {.graph = graph, .forward_values = graph->value_count};
  d.gradient = weft_allocate_array(d.forward_values, sizeof *d.gradient);
  d.again = weft_allocate_array(d.forward_values, sizeof *d.again);
  d.summable = weft_allocate_array(d.forward_values, sizeof *d.summable);
  for (uint32_t v = 0; v < d.forward_values; ++v) d.gradient[v] = d.again[v] = WEFT_NONE;
  int32_t entered = -1;
  weft_status status = NULL;
  for (uint32_t n = loss_node + 1; n-- > 0 && !status;) {
    weft_node forward = graph->nodes[n];  // a copy: the array moves as nodes are added
    if (recompute == WEFT_RECOMPUTE_BLOCK && forward.layer >= 0 && forward.layer != entered) {
      entered = forward.layer;
      recompute_block(&d, n);
    }
    if (n != loss_node && d.gradient[forward.outputs[0]] == WEFT_NONE) continue;  // does not reach the loss
    if (rules[forward.op]) {
      rules[forward.op](&d, &forward);
    } else {
      status = weft_error(WEFT_FAILED, "no gradient is known for %s", weft_op_name(forward.op));
    }
  }
  if (!status) drop_unread(graph, loss_node + 1);
  free(d.gradient);
  free(d.again);
  free(d.summable);
  return status;
}
