#include "traces/flows.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct flow_edge {
  uint32_t from, to;
} flow_edge;

typedef struct edge_list {
  flow_edge *edges;
  uint32_t count, room;
} edge_list;

static uint32_t root_of(const weft_schedule *schedule, uint32_t tensor) {
  while (schedule->tensors[tensor].parent != WEFT_NONE) tensor = schedule->tensors[tensor].parent;
  return tensor;
}

// Edges of one target come together, so a repeated one is among the last few.
static void add_edge(edge_list *list, const weft_schedule *schedule, uint32_t from, uint32_t to) {
  if (from == WEFT_NONE || from >= to || (from < schedule->body) != (to < schedule->body)) return;
  weft_step_kind source = schedule->steps[from].kind, target = schedule->steps[to].kind;
  if (!(source == WEFT_STREAM_IN && target == WEFT_COMPUTE) && !(source == WEFT_COMPUTE && target == WEFT_STREAM_OUT))
    return;
  for (uint32_t i = list->count; i > 0 && list->edges[i - 1].to == to; --i)
    if (list->edges[i - 1].from == from) return;
  if (list->count == list->room) {
    list->room = list->room ? list->room * 2 : 256;
    list->edges = weft_grow(list->edges, list->room, sizeof *list->edges);
  }
  list->edges[list->count++] = (flow_edge){from, to};
}

static void find_edges(edge_list *list, const weft_schedule *schedule) {
  uint32_t *writer = weft_allocate_array(schedule->tensor_count, sizeof *writer);
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) writer[t] = WEFT_NONE;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    add_edge(list, schedule, step->partner, s);
    for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
      if (step->inputs[i] != WEFT_NONE) add_edge(list, schedule, writer[root_of(schedule, step->inputs[i])], s);
    for (int o = 0; o < WEFT_OP_MAX_OUTPUTS; ++o)
      if (step->outputs[o] != WEFT_NONE) writer[root_of(schedule, step->outputs[o])] = s;
  }
  free(writer);
}

void weft_flows_init(weft_flows *flows, const weft_schedule *schedule) {
  edge_list list = {0};
  find_edges(&list, schedule);
  flows->count = list.count;
  flows->first = weft_allocate_array((size_t)schedule->step_count + 1, sizeof *flows->first);
  flows->numbers = weft_allocate_array((size_t)list.count * 2, sizeof *flows->numbers);
  for (uint32_t e = 0; e < list.count; ++e) {
    ++flows->first[list.edges[e].from + 1];
    ++flows->first[list.edges[e].to + 1];
  }
  for (uint32_t s = 0; s < schedule->step_count; ++s) flows->first[s + 1] += flows->first[s];
  uint32_t *next = weft_allocate_array((size_t)schedule->step_count + 1, sizeof *next);
  memcpy(next, flows->first, ((size_t)schedule->step_count + 1) * sizeof *next);
  for (uint32_t e = 0; e < list.count; ++e) {
    flows->numbers[next[list.edges[e].from]++] = e;
    flows->numbers[next[list.edges[e].to]++] = e;
  }
  free(next);
  free(list.edges);
}

void weft_flows_finish(weft_flows *flows) {
  free(flows->first);
  free(flows->numbers);
  *flows = (weft_flows){0};
}
