// Graph to steps. Activations stay on the device; weights come in when they are needed, forward and again backward;
// gradients leave as soon as they are made; the update runs at the store.
#include <stdlib.h>
#include <string.h>

#include "compiler/passes.h"

// Weights on their way or in use at once: enough that small ones (norms) do not keep the next large one waiting.
enum { LOADS_AHEAD = 4 };

typedef struct draft {
  const weft_graph *graph;
  weft_schedule *schedule;
  weft_tensor *tensors;
  uint32_t tensor_count, tensor_room;
  weft_step *steps;
  uint32_t step_count, step_room;
  uint32_t *tensor_of;    // of each graph value, or WEFT_NONE
  uint32_t *gradient_of;  // store's gradient tensor of each parameter, or WEFT_NONE
  uint32_t *loaded;       // of each node: first of its weight tensors (bias follows), or WEFT_NONE
} draft;

static uint32_t add_tensor(draft *d, weft_tensor tensor) {
  if (d->tensor_count == d->tensor_room) {
    d->tensor_room = d->tensor_room ? 2 * d->tensor_room : 1024;
    d->tensors = weft_grow(d->tensors, d->tensor_room, sizeof *d->tensors);
  }
  tensor.name = weft_arena_copy_text(&d->schedule->arena, tensor.name);
  d->tensors[d->tensor_count] = tensor;
  return d->tensor_count++;
}

static weft_step *add_step(draft *d, weft_step_kind kind, weft_queue queue, weft_op op) {
  if (d->step_count == d->step_room) {
    d->step_room = d->step_room ? 2 * d->step_room : 1024;
    d->steps = weft_grow(d->steps, d->step_room, sizeof *d->steps);
  }
  weft_step *step = &d->steps[d->step_count++];
  *step = (weft_step){.kind = kind,
                      .queue = queue,
                      .op = op,
                      .layer = -1,
                      .partner = WEFT_NONE,
                      .chunks = 1,
                      .ring = 1,
                      .attributes = {.scale = 1}};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) step->inputs[i] = WEFT_NONE;
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) step->outputs[i] = WEFT_NONE;
  return step;
}

static weft_step *add_step_for(draft *d, weft_step_kind kind, weft_queue queue, weft_op op, const weft_node *node) {
  weft_step *step = add_step(d, kind, queue, op);
  step->layer = node->layer;
  step->phase = node->backward ? WEFT_BACKWARD : WEFT_FORWARD;
  step->recomputed = node->recomputed;
  step->attributes = node->attributes;
  return step;
}

static weft_residency residency_of(const weft_value *value) {
  if (value->keep) return WEFT_OUTPUT;
  switch (value->role) {
    case WEFT_VALUE_INPUT: return WEFT_INPUT;
    case WEFT_VALUE_OUTPUT: return WEFT_OUTPUT;
    case WEFT_VALUE_CACHE: return WEFT_CACHE;
    case WEFT_VALUE_PARAMETER: return WEFT_STORE_PARAMETER;
    case WEFT_VALUE_PARAMETER_GRADIENT: return WEFT_GRADIENT;
    default: return WEFT_ACTIVATION;
  }
}

static uint32_t tensor_of(draft *d, uint32_t value) {
  if (value == WEFT_NONE) return WEFT_NONE;
  if (d->tensor_of[value] != WEFT_NONE) return d->tensor_of[value];
  const weft_value *v = &d->graph->values[value];
  weft_tensor tensor = {.name = v->name,
                        .residency = residency_of(v),
                        .dtype = v->dtype,
                        .rank = v->rank,
                        .parent = WEFT_NONE,
                        .column = v->column,
                        .slot = WEFT_NONE,
                        .parameter = v->parameter};
  memcpy(tensor.shape, v->shape, sizeof tensor.shape);
  if (v->parent != WEFT_NONE) {
    tensor.parent = tensor_of(d, v->parent);
    tensor.residency = d->tensors[tensor.parent].residency;
  }
  if (tensor.residency == WEFT_GRADIENT) tensor.dtype = d->schedule->run.dtype;
  if (tensor.residency == WEFT_STORE_PARAMETER && d->schedule->run.mode != WEFT_TRAIN)
    tensor.dtype = d->schedule->run.dtype;
  return d->tensor_of[value] = add_tensor(d, tensor);
}

static uint32_t store_tensor(draft *d, uint32_t parameter_tensor, weft_residency residency, const char *prefix) {
  weft_tensor tensor = d->tensors[parameter_tensor];
  char *name = weft_format("%s%s", prefix, tensor.name);
  tensor.name = name;
  tensor.residency = residency;
  tensor.dtype = WEFT_F32;
  if (residency == WEFT_STORE_SCALAR) {
    tensor.dtype = WEFT_F64;
    tensor.rank = 1;
    tensor.shape[0] = 1;
    tensor.shape[1] = 0;
  }
  uint32_t added = add_tensor(d, tensor);
  free(name);
  return added;
}

static bool is_parameter(const draft *d, uint32_t value) {
  return value != WEFT_NONE && d->graph->values[value].role == WEFT_VALUE_PARAMETER;
}

// Weights that a node reads from the device, as opposed to embeddings, whose rows are gathered at the store.
static bool reads_weights(const draft *d, const weft_node *node) {
  if (node->op == WEFT_OP_EMBED) return false;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
    if (is_parameter(d, node->inputs[i])) return true;
  return false;
}

static void emit_load(draft *d, uint32_t n) {
  const weft_node *node = &d->graph->nodes[n];
  weft_step step = {0};
  uint32_t count = 0, sources[2], copies[2];
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    if (!is_parameter(d, node->inputs[i])) continue;
    sources[count] = tensor_of(d, node->inputs[i]);
    weft_tensor copy = d->tensors[sources[count]];
    copy.residency = WEFT_WEIGHT;
    copy.dtype = d->schedule->run.dtype;
    copies[count++] = add_tensor(d, copy);
  }
  d->loaded[n] = copies[0];
  step = *add_step_for(d, WEFT_STREAM_IN, WEFT_QUEUE_STREAM_IN, WEFT_OP_LOAD, node);
  memcpy(step.inputs, sources, count * sizeof *sources);
  memcpy(step.outputs, copies, count * sizeof *copies);
  step.attributes = (weft_attributes){.transposed = node->attributes.transposed, .scale = 1};
  d->steps[d->step_count - 1] = step;
}

// A gradient that has just been made leaves for the store, where it is summed over contributions and systems.
static uint32_t store_gradient_of(draft *d, uint32_t parameter_tensor, bool *out_first) {
  uint32_t parameter = d->tensors[parameter_tensor].parameter;
  *out_first = d->gradient_of[parameter] == WEFT_NONE;
  if (*out_first) d->gradient_of[parameter] = store_tensor(d, parameter_tensor, WEFT_STORE_GRADIENT, "gradient.");
  return d->gradient_of[parameter];
}

static void emit_reduce(draft *d, const weft_node *node, uint32_t gradient) {
  if (d->schedule->run.systems == 1) return;
  weft_step *step = add_step_for(d, WEFT_COLLECTIVE, WEFT_QUEUE_REDUCE, WEFT_OP_ALL_REDUCE, node);
  step->inputs[0] = step->outputs[0] = gradient;
}

static void emit_store_gradient(draft *d, const weft_node *node, uint32_t first_output) {
  uint32_t gradients[2] = {WEFT_NONE, WEFT_NONE}, made[2] = {WEFT_NONE, WEFT_NONE}, count = 0;
  bool first = false;
  for (uint32_t i = first_output; i < WEFT_OP_MAX_OUTPUTS && count < 2; ++i) {
    if (node->outputs[i] == WEFT_NONE) continue;
    made[count] = tensor_of(d, node->outputs[i]);
    gradients[count] = store_gradient_of(d, made[count], &first);
    ++count;
  }
  weft_step *step = add_step_for(d, WEFT_STREAM_OUT, WEFT_QUEUE_STREAM_OUT, WEFT_OP_STORE_GRADIENT, node);
  step->attributes = (weft_attributes){.transposed = node->attributes.transposed, .accumulate = !first, .scale = 1};
  memcpy(step->inputs, made, sizeof made);
  memcpy(step->outputs, gradients, sizeof gradients);
  for (uint32_t i = 0; i < count; ++i) emit_reduce(d, node, gradients[i]);
}

static void emit_embed_backward(draft *d, const weft_node *node) {
  bool first;
  uint32_t dy = tensor_of(d, node->inputs[1]), ids = tensor_of(d, node->inputs[0]);
  uint32_t gradient = store_gradient_of(d, tensor_of(d, node->outputs[0]), &first);
  weft_step *step = add_step_for(d, WEFT_STREAM_OUT, WEFT_QUEUE_STREAM_OUT, WEFT_OP_EMBED_BACKWARD, node);
  step->attributes.accumulate = !first;
  step->inputs[0] = ids;
  step->inputs[1] = dy;
  step->outputs[0] = gradient;
  emit_reduce(d, node, gradient);
}

static void emit_node(draft *d, uint32_t n) {
  const weft_node *node = &d->graph->nodes[n];
  if (node->op == WEFT_OP_EMBED_BACKWARD) {
    emit_embed_backward(d, node);
    return;
  }
  uint32_t inputs[WEFT_OP_MAX_INPUTS], outputs[WEFT_OP_MAX_OUTPUTS], weight = d->loaded[n];
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
    inputs[i] =
        is_parameter(d, node->inputs[i]) && node->op != WEFT_OP_EMBED ? weight++ : tensor_of(d, node->inputs[i]);
  uint32_t first_gradient = WEFT_NONE;
  for (uint32_t i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    outputs[i] = tensor_of(d, node->outputs[i]);
    if (outputs[i] != WEFT_NONE && d->tensors[outputs[i]].residency == WEFT_GRADIENT && first_gradient == WEFT_NONE)
      first_gradient = i;
  }
  bool stream = node->op == WEFT_OP_EMBED, move = node->op == WEFT_OP_CACHE_WRITE || node->op == WEFT_OP_LAST_ROW;
  weft_step *step = add_step_for(d,
                                 stream ? WEFT_STREAM_IN
                                 : move ? WEFT_MOVE
                                        : WEFT_COMPUTE,
                                 stream ? WEFT_QUEUE_STREAM_IN : WEFT_QUEUE_COMPUTE, node->op, node);
  memcpy(step->inputs, inputs, sizeof inputs);
  memcpy(step->outputs, outputs, sizeof outputs);
  if (first_gradient != WEFT_NONE) emit_store_gradient(d, node, first_gradient);
}

static void emit_square_sum(draft *d, uint32_t gradient) {
  weft_step *step = add_step(d, WEFT_UPDATE, WEFT_QUEUE_UPDATE, WEFT_OP_SQUARE_SUM);
  step->phase = WEFT_OPTIMIZE;
  uint32_t index = d->step_count - 1;
  uint32_t sum = store_tensor(d, gradient, WEFT_STORE_SCALAR, "square_sum.");
  d->steps[index].inputs[0] = gradient;
  d->steps[index].outputs[0] = sum;
}

static uint32_t parameter_tensor(const draft *d, uint32_t parameter) {
  for (uint32_t v = 0; v < d->graph->value_count; ++v) {  // parameters come first
    const weft_value *value = &d->graph->values[v];
    if (value->role == WEFT_VALUE_PARAMETER && value->parameter == parameter) return d->tensor_of[v];
  }
  return WEFT_NONE;
}

static void emit_update(draft *d, uint32_t p) {
  uint32_t gradient = d->gradient_of[p], weight = parameter_tensor(d, p);
  bool adam = d->schedule->run.optimizer == WEFT_ADAMW;
  uint32_t m = adam ? store_tensor(d, weight, WEFT_STORE_MOMENT1, "m.") : WEFT_NONE;
  uint32_t v = adam ? store_tensor(d, weight, WEFT_STORE_MOMENT2, "v.") : WEFT_NONE;
  weft_step *step = add_step(d, WEFT_UPDATE, WEFT_QUEUE_UPDATE, adam ? WEFT_OP_ADAMW : WEFT_OP_SGD);
  step->phase = WEFT_OPTIMIZE;
  step->layer = weft_network_parameter(&d->graph->network, p).layer;
  step->attributes.decay = d->tensors[weight].rank > 1 ? 1 : 0;
  memcpy(step->inputs, (uint32_t[]){weight, gradient, m, v}, 4 * sizeof m);
  memcpy(step->outputs, (uint32_t[]){weight, m, v}, 3 * sizeof m);
}

// Parameters in the order in which their gradients are complete in the store: the update queue runs in order, and must
// not wait for the last gradient (a tied embedding's) before it touches the first.
static uint32_t order_of_gradients(const draft *d, uint32_t *order) {
  uint32_t parameters = weft_network_parameter_tensors(&d->graph->network), count = parameters;
  bool *placed = weft_allocate_array(parameters, sizeof *placed);
  for (uint32_t s = d->step_count; s-- > 0;) {
    const weft_step *step = &d->steps[s];
    if (step->kind != WEFT_STREAM_OUT) continue;
    for (uint32_t i = WEFT_OP_MAX_OUTPUTS; i-- > 0;) {
      uint32_t p = step->outputs[i] == WEFT_NONE ? WEFT_NONE : d->tensors[step->outputs[i]].parameter;
      if (p == WEFT_NONE || placed[p]) continue;
      placed[p] = true;
      order[--count] = p;
    }
  }
  free(placed);
  memmove(order, order + count, (parameters - count) * sizeof *order);
  return parameters - count;
}

static void emit_updates(draft *d) {
  uint32_t *order = weft_allocate_array(weft_network_parameter_tensors(&d->graph->network), sizeof *order);
  uint32_t count = order_of_gradients(d, order);
  for (uint32_t i = 0; d->schedule->run.clip && i < count; ++i) emit_square_sum(d, d->gradient_of[order[i]]);
  for (uint32_t i = 0; i < count; ++i) emit_update(d, order[i]);
  free(order);
}

static void *keep(weft_arena *arena, void *array, size_t bytes) {
  void *kept = memcpy(weft_arena_take(arena, bytes), array, bytes);
  free(array);
  return kept;
}

void weft_stream(const weft_graph *graph, weft_schedule *schedule) {
  uint32_t parameters = weft_network_parameter_tensors(&graph->network);
  draft d = {.graph = graph, .schedule = schedule};
  d.tensor_of = weft_allocate_array(graph->value_count, sizeof *d.tensor_of);
  d.gradient_of = weft_allocate_array(parameters, sizeof *d.gradient_of);
  d.loaded = weft_allocate_array(graph->node_count, sizeof *d.loaded);
  memset(d.tensor_of, 0xff, graph->value_count * sizeof *d.tensor_of);
  memset(d.gradient_of, 0xff, parameters * sizeof *d.gradient_of);
  uint32_t next = 0, ahead = 0;  // next node to load for; loads emitted and not yet consumed
  for (uint32_t n = 0; n < graph->node_count; ++n) {
    for (; next < graph->node_count && (ahead < LOADS_AHEAD || next <= n); ++next) {
      // Rows of an embedding come through the same queue: a weight ahead of them would wait for its reader, who waits
      // for them.
      if (next > n && (graph->nodes[n].op == WEFT_OP_EMBED || graph->nodes[next].op == WEFT_OP_EMBED)) break;
      if (!reads_weights(&d, &graph->nodes[next])) continue;
      emit_load(&d, next);
      ++ahead;
    }
    if (reads_weights(&d, &graph->nodes[n])) --ahead;
    emit_node(&d, n);
  }
  schedule->body = d.step_count;
  if (schedule->run.mode == WEFT_TRAIN) emit_updates(&d);
  schedule->tensor_count = d.tensor_count;
  schedule->step_count = d.step_count;
  schedule->tensors = keep(&schedule->arena, d.tensors, d.tensor_count * sizeof *d.tensors);
  schedule->steps = keep(&schedule->arena, d.steps, d.step_count * sizeof *d.steps);
  free(d.tensor_of);
  free(d.gradient_of);
  free(d.loaded);
}
