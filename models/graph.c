#include "models/graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint32_t weft_graph_add_value(weft_graph *graph, weft_value value) {
  if (graph->value_count == graph->value_room) {
    graph->value_room = graph->value_room ? 2 * graph->value_room : 256;
    graph->values = weft_grow(graph->values, graph->value_room, sizeof *graph->values);
  }
  graph->values[graph->value_count] = value;
  return graph->value_count++;
}

weft_node *weft_graph_add_node(weft_graph *graph, weft_op op, int32_t layer) {
  if (graph->node_count == graph->node_room) {
    graph->node_room = graph->node_room ? 2 * graph->node_room : 256;
    graph->nodes = weft_grow(graph->nodes, graph->node_room, sizeof *graph->nodes);
  }
  weft_node *node = &graph->nodes[graph->node_count++];
  *node = (weft_node){.op = op, .layer = layer, .attributes = {.scale = 1}};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) node->inputs[i] = WEFT_NONE;
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) node->outputs[i] = WEFT_NONE;
  return node;
}

static uint32_t root_of(const weft_graph *graph, uint32_t value) {
  return graph->values[value].parent == WEFT_NONE ? value : graph->values[value].parent;
}

static bool given(const weft_value *value) {
  return value->role == WEFT_VALUE_INPUT || value->role == WEFT_VALUE_PARAMETER || value->role == WEFT_VALUE_CACHE;
}

weft_status weft_graph_check(const weft_graph *graph) {
  bool *written = weft_allocate_array(graph->value_count, sizeof *written);
  weft_status status = NULL;
  for (uint32_t n = 0; n < graph->node_count && !status; ++n) {
    const weft_node *node = &graph->nodes[n];
    weft_op_facts facts = weft_op_get(node->op);
    for (uint32_t i = 0; i < WEFT_OP_MAX_INPUTS && !status; ++i) {
      uint32_t value = node->inputs[i];
      if (value == WEFT_NONE) continue;
      if (i >= facts.inputs || value >= graph->value_count)
        status = weft_error(WEFT_FAILED, "graph: node %u (%s) has a wrong input %u", n, facts.name, i);
      else if (!given(&graph->values[value]) && !written[root_of(graph, value)])
        status = weft_error(WEFT_FAILED, "graph: node %u (%s) reads %s before it is written", n, facts.name,
                            graph->values[value].name);
    }
    for (uint32_t i = 0; i < WEFT_OP_MAX_OUTPUTS && !status; ++i) {
      uint32_t value = node->outputs[i];
      if (value == WEFT_NONE) continue;
      if (i >= facts.outputs || value >= graph->value_count)
        status = weft_error(WEFT_FAILED, "graph: node %u (%s) has a wrong output %u", n, facts.name, i);
      else
        written[root_of(graph, value)] = true;
    }
  }
  free(written);
  return status;
}

void weft_graph_print(const weft_graph *graph, FILE *out) {
  for (uint32_t n = 0; n < graph->node_count; ++n) {
    const weft_node *node = &graph->nodes[n];
    fprintf(out, "%5u  %-22s", n, weft_op_name(node->op));
    for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
      if (node->inputs[i] != WEFT_NONE) fprintf(out, " %s", graph->values[node->inputs[i]].name);
    fputs("  ->", out);
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
      if (node->outputs[i] == WEFT_NONE) continue;
      const weft_value *value = &graph->values[node->outputs[i]];
      fprintf(out, " %s (", value->name);
      for (uint32_t d = 0; d < value->rank; ++d) fprintf(out, d ? ",%" PRIu64 : "%" PRIu64, value->shape[d]);
      fputs(")", out);
    }
    fputs("\n", out);
  }
}

void weft_graph_destroy(weft_graph *graph) {
  if (!graph) return;
  free(graph->values);
  free(graph->nodes);
  weft_arena_finish(&graph->arena);
  free(graph);
}
