// Plans memory: every tensor on the device gets a slot from the step that first writes it to the last that uses it, by
// step number; a slot that is free is used again. Weights, gradients and activations have slots of their own, so that
// a stream never waits for an activation it has nothing to do with.
//
// Weights and gradients in flight get slots as they come, and slots grow. Activations get theirs by size, the largest
// first, each in the smallest slot that is free for all of its life: what a block keeps for its backward pass then
// never sits in the slot of a much larger intermediate (Pisarchyk and Lee 2020, arXiv 2001.03288, "greedy by size").
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compiler/passes.h"

enum { WEIGHTS, GRADIENTS, ACTIVATIONS, POOLS };

typedef struct life {
  uint32_t first, last;  // steps; first == WEFT_NONE: never used
  uint32_t ring;
} life;

// The lives of a slot's tensors, in their order.
typedef struct tenancy {
  life *lives;
  uint32_t count, room;
} tenancy;

typedef struct planner {
  weft_schedule *schedule;
  life *lives;                          // per tensor
  uint32_t *expire_head, *expire_next;  // tensors by last step, as lists
  weft_slot *slots;
  uint32_t slot_count, slot_room;
  uint8_t *slot_pool;
  uint64_t *slot_freed;  // order of release, 0: occupied; of streams' slots
  tenancy *tenancies;    // of activations' slots
  uint64_t releases;
} planner;

static uint32_t pool_of(weft_residency residency) {
  return residency == WEFT_WEIGHT ? WEIGHTS : residency == WEFT_GRADIENT ? GRADIENTS : ACTIVATIONS;
}

static bool at_store(weft_residency residency) { return residency >= WEFT_STORE_PARAMETER; }

static bool lasts(weft_residency residency) {  // for the whole iteration, or between runs
  return residency == WEFT_INPUT || residency == WEFT_OUTPUT || residency == WEFT_CACHE;
}

uint64_t weft_plan_bytes(const weft_schedule *schedule, const weft_tensor *tensor, uint32_t ring) {
  uint64_t elements = weft_tensor_elements(tensor), columns = tensor->shape[tensor->rank - 1],
           rows = elements / columns;
  if (tensor->rank == 1) {
    rows = columns;
    columns = 1;
  }
  if (tensor->chunk_rows) rows = (uint64_t)tensor->chunk_rows * ring;
  uint64_t bytes = 0;
  if (schedule->machine->kind != WEFT_MESH) {
    (void)weft_dtype_bytes(tensor->dtype, rows * columns, &bytes);
    return (bytes + 63) & ~(uint64_t)63;
  }
  const weft_mesh *mesh = &schedule->machine->mesh;
  uint64_t per_core;
  if (tensor->residency == WEFT_WEIGHT || tensor->residency == WEFT_GRADIENT) {
    uint64_t cores = (uint64_t)mesh->rows * mesh->columns;
    per_core = (rows * columns + cores - 1) / cores;
  } else {
    per_core = ((rows + mesh->rows - 1) / mesh->rows) * ((columns + mesh->columns - 1) / mesh->columns);
  }
  (void)weft_dtype_bytes(tensor->dtype, per_core, &bytes);
  return (bytes + 3) & ~(uint64_t)3;
}

static uint64_t host_bytes(const weft_tensor *tensor, uint32_t ring) {
  uint64_t bytes = weft_tensor_bytes(tensor);
  if (tensor->chunk_rows) bytes = bytes / tensor->shape[0] * tensor->chunk_rows * ring;
  return (bytes + 63) & ~(uint64_t)63;
}

static void use(planner *p, uint32_t tensor, uint32_t step) {
  if (tensor == WEFT_NONE) return;
  life *l = &p->lives[weft_tensor_root(p->schedule, tensor)];
  if (l->first == WEFT_NONE) l->first = step;
  l->last = step;
  uint32_t ring = p->schedule->steps[step].ring;
  if (ring > l->ring) l->ring = ring;
}

static void find_lives(planner *p) {
  const weft_schedule *schedule = p->schedule;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) p->lives[t] = (life){.first = WEFT_NONE, .ring = 1};
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) use(p, schedule->steps[s].inputs[i], s);
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) use(p, schedule->steps[s].outputs[i], s);
  }
  for (uint32_t s = 0; s <= schedule->step_count; ++s) p->expire_head[s] = WEFT_NONE;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    life *l = &p->lives[t];
    const weft_tensor *tensor = &schedule->tensors[t];
    if (tensor->parent != WEFT_NONE || at_store(tensor->residency)) l->first = WEFT_NONE;
    if (lasts(tensor->residency)) {
      if (l->first != WEFT_NONE) l->first = 0;
      l->last = schedule->step_count;
    }
    if (l->first == WEFT_NONE) continue;
    p->expire_next[t] = p->expire_head[l->last];
    p->expire_head[l->last] = t;
  }
}

// The free slot of a streams' pool that wastes least: the smallest that is large enough, else the largest, which grows.
// Among similar ones the one that has been free longest, so that the next chunk does not wait for the last one's
// reader.
static uint32_t choose_slot(const planner *p, uint32_t pool, uint64_t bytes) {
  uint32_t best = WEFT_NONE;
  for (uint32_t s = 0; s < p->slot_count; ++s) {
    if (p->slot_pool[s] != pool || !p->slot_freed[s]) continue;
    if (best == WEFT_NONE) {
      best = s;
      continue;
    }
    uint64_t here = p->slots[s].bytes, there = p->slots[best].bytes;
    bool fits = here >= bytes, best_fits = there >= bytes;
    bool better = fits != best_fits ? fits : fits ? here < there : here > there;
    if (fits && best_fits && here <= 2 * bytes && there <= 2 * bytes) better = p->slot_freed[s] < p->slot_freed[best];
    if (better) best = s;
  }
  return best;
}

static uint32_t add_slot(planner *p, uint32_t pool) {
  if (p->slot_count == p->slot_room) {
    p->slot_room = p->slot_room ? 2 * p->slot_room : 64;
    p->slots = weft_grow(p->slots, p->slot_room, sizeof *p->slots);
    p->slot_pool = weft_grow(p->slot_pool, p->slot_room, sizeof *p->slot_pool);
    p->slot_freed = weft_grow(p->slot_freed, p->slot_room, sizeof *p->slot_freed);
    p->tenancies = weft_grow(p->tenancies, p->slot_room, sizeof *p->tenancies);
  }
  uint32_t slot = p->slot_count++;
  p->slots[slot] = (weft_slot){0};
  p->slot_pool[slot] = (uint8_t)pool;
  p->slot_freed[slot] = 0;
  p->tenancies[slot] = (tenancy){0};
  return slot;
}

static void move_in(planner *p, uint32_t tensor, uint32_t slot) {
  weft_tensor *t = &p->schedule->tensors[tensor];
  uint32_t ring = p->lives[tensor].ring;
  uint64_t bytes = weft_plan_bytes(p->schedule, t, ring), host = host_bytes(t, ring);
  if (p->slots[slot].bytes < bytes) p->slots[slot].bytes = bytes;
  if (p->slots[slot].host_bytes < host) p->slots[slot].host_bytes = host;
  p->slot_freed[slot] = 0;
  t->slot = slot;
}

static void settle(planner *p, uint32_t tensor) {
  const weft_tensor *t = &p->schedule->tensors[tensor];
  uint32_t pool = pool_of(t->residency);
  uint32_t slot = choose_slot(p, pool, weft_plan_bytes(p->schedule, t, p->lives[tensor].ring));
  move_in(p, tensor, slot == WEFT_NONE ? add_slot(p, pool) : slot);
}

// ---- activations ----

// Where `l` would stand in the order; WEFT_NONE when somebody lives there at that time.
static uint32_t find_place(const tenancy *t, const life *l) {
  uint32_t low = 0, high = t->count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (t->lives[middle].first <= l->last)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 && t->lives[low - 1].last >= l->first ? WEFT_NONE : low;
}

static void insert_life(tenancy *t, uint32_t place, const life *l) {
  if (t->count == t->room) {
    t->room = t->room ? 2 * t->room : 8;
    t->lives = weft_grow(t->lives, t->room, sizeof *t->lives);
  }
  memmove(t->lives + place + 1, t->lives + place, (t->count - place) * sizeof *t->lives);
  t->lives[place] = *l;
  ++t->count;
}

typedef struct resident {
  uint64_t bytes;
  uint32_t first, tensor;
} resident;

static int largest_first(const void *a, const void *b) {
  const resident *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static bool is_activation(const planner *p, uint32_t tensor) {
  return p->lives[tensor].first != WEFT_NONE && pool_of(p->schedule->tensors[tensor].residency) == ACTIVATIONS;
}

static void settle_activations(planner *p) {
  const weft_schedule *schedule = p->schedule;
  resident *residents = weft_allocate_array(schedule->tensor_count, sizeof *residents);
  uint32_t count = 0, first_slot = p->slot_count;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t)
    if (is_activation(p, t))
      residents[count++] =
          (resident){weft_plan_bytes(schedule, &schedule->tensors[t], p->lives[t].ring), p->lives[t].first, t};
  qsort(residents, count, sizeof *residents, largest_first);
  for (uint32_t r = 0; r < count; ++r) {
    const life *l = &p->lives[residents[r].tensor];
    uint32_t place = 0, slot = p->slot_count;  // the newest slot is the smallest
    while (slot-- > first_slot)
      if ((place = find_place(&p->tenancies[slot], l)) != WEFT_NONE) break;
    if (slot + 1 == first_slot) {
      slot = add_slot(p, ACTIVATIONS);
      place = 0;
    }
    insert_life(&p->tenancies[slot], place, l);
    move_in(p, residents[r].tensor, slot);
  }
  free(residents);
}

// ---- all ----

static void settle_new(planner *p, uint32_t tensor, uint32_t step) {
  if (tensor == WEFT_NONE) return;
  uint32_t root = weft_tensor_root(p->schedule, tensor);
  if (is_activation(p, root)) return;
  if (p->lives[root].first == step && p->schedule->tensors[root].slot == WEFT_NONE) settle(p, root);
}

static void assign_slots(planner *p) {
  weft_schedule *schedule = p->schedule;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) settle_new(p, schedule->steps[s].outputs[i], s);
    for (uint32_t t = p->expire_head[s]; t != WEFT_NONE; t = p->expire_next[t])
      if (!is_activation(p, t)) p->slot_freed[schedule->tensors[t].slot] = ++p->releases;
  }
  settle_activations(p);
  for (uint32_t t = 0; t < schedule->tensor_count; ++t)
    if (schedule->tensors[t].parent != WEFT_NONE)
      schedule->tensors[t].slot = schedule->tensors[schedule->tensors[t].parent].slot;
}

static weft_status check_store(const weft_schedule *schedule) {
  double needed = 0;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t)
    if (at_store(schedule->tensors[t].residency)) needed += (double)weft_tensor_bytes(&schedule->tensors[t]);
  double room = schedule->machine->store_bytes;
  if (room <= 0 || needed <= room) return NULL;
  char need_text[32], room_text[32];
  return weft_error(WEFT_INFEASIBLE, "%s does not fit the weight store of %s: needs %s, has %s", schedule->network.name,
                    schedule->machine->name, weft_text_bytes(needed, need_text), weft_text_bytes(room, room_text));
}

static weft_status refuse(const planner *p) {
  const weft_schedule *schedule = p->schedule;
  uint64_t pools[POOLS] = {0};
  for (uint32_t s = 0; s < p->slot_count; ++s) pools[p->slot_pool[s]] += p->slots[s].bytes;
  char need[32], room[32], weights[32], gradients[32], rest[32];
  bool mesh = schedule->machine->kind == WEFT_MESH;
  return weft_error(WEFT_INFEASIBLE,
                    "%s does not fit %s: needs %s%s, has %s (weights in flight %s, gradients in flight %s, activations "
                    "and caches %s; batch %u of %u tokens, recompute %s)",
                    schedule->network.name, schedule->machine->name,
                    weft_text_bytes((double)schedule->memory_bytes, need), mesh ? " per core" : "",
                    weft_text_bytes((double)schedule->memory_limit, room), weft_text_bytes((double)pools[0], weights),
                    weft_text_bytes((double)pools[1], gradients), weft_text_bytes((double)pools[2], rest),
                    schedule->micro_batch, schedule->run.sequence, weft_recompute_name(schedule->recompute));
}

weft_status weft_plan(weft_schedule *schedule) {
  planner p = {.schedule = schedule};
  p.lives = weft_allocate_array(schedule->tensor_count, sizeof *p.lives);
  p.expire_head = weft_allocate_array((size_t)schedule->step_count + 1, sizeof *p.expire_head);
  p.expire_next = weft_allocate_array(schedule->tensor_count, sizeof *p.expire_next);
  find_lives(&p);
  assign_slots(&p);
  schedule->slot_count = p.slot_count;
  schedule->slots = weft_arena_take(&schedule->arena, p.slot_count * sizeof *p.slots);
  uint64_t offset = 0;
  for (uint32_t s = 0; s < p.slot_count; ++s) {
    schedule->slots[s] = p.slots[s];
    schedule->slots[s].offset = offset;
    offset += p.slots[s].bytes;
  }
  const weft_machine *machine = schedule->machine;
  schedule->memory_bytes = offset;
  schedule->memory_limit = machine->kind == WEFT_MESH
                               ? machine->mesh.sram_bytes_per_core - machine->mesh.reserved_bytes_per_core
                               : (uint64_t)weft_machine_memory_bytes(machine);
  weft_status status = offset > schedule->memory_limit ? refuse(&p) : check_store(schedule);
  free(p.lives);
  free(p.expire_head);
  free(p.expire_next);
  free(p.slots);
  free(p.slot_pool);
  free(p.slot_freed);
  for (uint32_t s = 0; s < p.slot_count; ++s) free(p.tenancies[s].lives);
  free(p.tenancies);
  return status;
}
