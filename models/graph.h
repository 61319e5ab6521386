// weft_graph: what has to be computed, before anything is said about where and when. Values (matrices of tokens by
// features, parameters, statistics) and nodes (operations of models/ops.h) in an order in which they can be executed.
//
// The forward graph is built from the network for the run's mode. Training appends the backward graph, node by node in
// reverse, by one table that says for every operation how gradients pass through it (graph_gradients.c). Updates
// are not nodes: every parameter with a gradient is updated.
//
// Shapes are those of one micro-batch on one system: rows = micro_batch * tokens. Frozen once built; indices refer into
// the arrays; WEFT_NONE marks none. Threads: reading is free.
#ifndef WEFT_MODELS_GRAPH_H
#define WEFT_MODELS_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "models/network.h"
#include "models/ops.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_value_role {
  WEFT_VALUE_INPUT,  // ids, positions, targets, types: i32
  WEFT_VALUE_PARAMETER,
  WEFT_VALUE_ACTIVATION,          // and gradients of activations
  WEFT_VALUE_STATISTIC,           // f32: mean, 1/deviation, log sum exp
  WEFT_VALUE_PARAMETER_GRADIENT,  // one contribution to a parameter's gradient
  WEFT_VALUE_CACHE,               // K or V of all positions
  WEFT_VALUE_OUTPUT               // logits of inference, loss
} weft_value_role;

typedef struct weft_value {
  const char *name;
  weft_value_role role;
  weft_dtype dtype;
  uint32_t rank;
  uint64_t shape[4];
  uint32_t parent;  // WEFT_NONE, or the value of which this is columns [column, column + last dimension)
  uint64_t column;
  uint32_t parameter;  // index for weft_network_parameter (also of a gradient), or WEFT_NONE
  bool keep;           // stays readable until the end of the iteration
} weft_value;

typedef struct weft_node {
  weft_op op;
  uint32_t inputs[WEFT_OP_MAX_INPUTS], outputs[WEFT_OP_MAX_OUTPUTS];
  weft_attributes attributes;
  int32_t layer;    // -1 outside the blocks
  bool backward;    // belongs to the backward pass
  bool recomputed;  // a forward node run again in the backward pass
} weft_node;

typedef struct weft_graph {
  weft_arena arena;
  weft_network network;
  weft_value *values;
  uint32_t value_count, value_room;
  weft_node *nodes;
  uint32_t node_count, node_room;
} weft_graph;

// `micro_batch` sequences per pass; `recompute` is WEFT_RECOMPUTE_NONE or _BLOCK (training only). The run has been
// checked.
weft_status weft_graph_build(const weft_network *network, const weft_run *run, uint32_t micro_batch,
                             weft_recompute recompute, weft_graph **out_graph) WEFT_CHECKED;
// Operand counts, shapes and order: every value is written before it is read.
weft_status weft_graph_check(const weft_graph *graph) WEFT_CHECKED;
void weft_graph_print(const weft_graph *graph, FILE *out);
void weft_graph_destroy(weft_graph *graph);  // takes NULL

// For the files that build graphs.
uint32_t weft_graph_add_value(weft_graph *graph, weft_value value);
weft_node *weft_graph_add_node(weft_graph *graph, weft_op op,
                               int32_t layer);  // valid until the next one; operands WEFT_NONE
// Appends the backward graph of the forward nodes; `loss_node` is the cross_entropy.
weft_status weft_graph_differentiate(weft_graph *graph, uint32_t loss_node, weft_recompute recompute) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
