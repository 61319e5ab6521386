// The checker: every promise of compiler/schedule.h, for schedules from the compiler and from files alike.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/passes.h"

#define REQUIRE(condition, ...)                                                  \
  do {                                                                           \
    if (!(condition)) return weft_error(WEFT_INVALID, "schedule: " __VA_ARGS__); \
  } while (0)

static bool at_store(const weft_tensor *t) { return t->residency >= WEFT_STORE_PARAMETER; }

static weft_status check_tensor(const weft_schedule *schedule, uint32_t index) {
  const weft_tensor *t = &schedule->tensors[index];
  REQUIRE(t->name && t->residency < WEFT_RESIDENCY_COUNT, "tensor %u has no name or residency", index);
  REQUIRE(t->rank >= 1 && t->rank <= 4, "tensor %u (%s) has rank %u; 1 to 4 are possible", index, t->name, t->rank);
  uint64_t elements = 1, bytes;
  for (uint32_t d = 0; d < t->rank; ++d) {
    REQUIRE(t->shape[d] > 0 && t->shape[d] <= (1ull << 40) && elements <= (1ull << 48) / t->shape[d],
            "tensor %u (%s) has an impossible shape", index, t->name);
    elements *= t->shape[d];
  }
  bool plain = weft_dtype_computes(t->dtype) || t->dtype == WEFT_I32 || t->dtype == WEFT_F64;
  REQUIRE(plain && weft_dtype_bytes(t->dtype, elements, &bytes), "tensor %u (%s) has dtype %d, which no step can use",
          index, t->name, (int)t->dtype);
  REQUIRE(t->chunk_rows <= t->shape[0], "tensor %u (%s): chunks of %u rows of %" PRIu64, index, t->name, t->chunk_rows,
          t->shape[0]);
  REQUIRE(t->parameter == WEFT_NONE || t->parameter < weft_network_parameter_tensors(&schedule->network),
          "tensor %u (%s) names parameter %u, which the network does not have", index, t->name, t->parameter);
  if (t->parent != WEFT_NONE) {
    REQUIRE(t->parent < index, "tensor %u (%s) has a wrong parent", index, t->name);
    const weft_tensor *p = &schedule->tensors[t->parent];
    REQUIRE(p->parent == WEFT_NONE && p->rank == t->rank && p->dtype == t->dtype && p->slot == t->slot,
            "tensor %u (%s) does not agree with its parent", index, t->name);
    uint64_t width = p->shape[p->rank - 1], own = t->shape[t->rank - 1];
    REQUIRE(t->column <= width && own <= width - t->column, "tensor %u (%s) reaches beyond its parent", index, t->name);
    for (uint32_t d = 0; d + 1 < t->rank; ++d)
      REQUIRE(t->shape[d] == p->shape[d], "tensor %u (%s) differs in rows from its parent", index, t->name);
  }
  if (at_store(t)) {
    REQUIRE(t->slot == WEFT_NONE, "tensor %u (%s) is at the store and has a slot", index, t->name);
  } else if (t->slot != WEFT_NONE) {
    REQUIRE(t->slot < schedule->slot_count, "tensor %u (%s) has slot %u of %u", index, t->name, t->slot,
            schedule->slot_count);
  }
  return NULL;
}

static weft_status check_operand(const weft_schedule *schedule, uint32_t step, uint32_t tensor, uint32_t ring) {
  if (tensor == WEFT_NONE) return NULL;
  REQUIRE(tensor < schedule->tensor_count, "step %u names tensor %u of %u", step, tensor, schedule->tensor_count);
  const weft_tensor *t = &schedule->tensors[weft_tensor_root(schedule, tensor)];
  if (at_store(t)) return NULL;
  REQUIRE(t->slot != WEFT_NONE, "step %u uses %s, which has no slot", step, t->name);
  const weft_slot *slot = &schedule->slots[t->slot];
  uint64_t need = weft_tensor_bytes(t);
  if (t->chunk_rows) need = need / t->shape[0] * t->chunk_rows * ring;
  REQUIRE(slot->host_bytes >= need && slot->bytes >= weft_plan_bytes(schedule, t, ring), "slot %u is too small for %s",
          t->slot, t->name);
  return NULL;
}

static uint32_t stream_tensor(const weft_step *step) {  // of a chunked step: the tensor that is handed over
  switch (step->op) {
    case WEFT_OP_LOAD:
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: return step->outputs[0];
    case WEFT_OP_STORE_GRADIENT: return step->inputs[0];
    case WEFT_OP_LINEAR:
    case WEFT_OP_LINEAR_BACKWARD_INPUT: return step->inputs[1];
    default: return WEFT_NONE;
  }
}

static weft_status check_partner(const weft_schedule *schedule, uint32_t index) {
  const weft_step *step = &schedule->steps[index];
  REQUIRE(step->chunks >= 1 && step->ring >= 1 && step->ring <= 64, "step %u has %u chunks in a ring of %u", index,
          step->chunks, step->ring);
  if (step->partner == WEFT_NONE) {
    REQUIRE(step->chunks == 1, "step %u has %u chunks and no partner", index, step->chunks);
    return NULL;
  }
  REQUIRE(step->partner < schedule->step_count, "step %u has partner %u of %u", index, step->partner,
          schedule->step_count);
  const weft_step *other = &schedule->steps[step->partner];
  REQUIRE(other->partner == index && other->chunks == step->chunks && other->chunk_rows == step->chunk_rows &&
              other->ring == step->ring && other->queue != step->queue &&
              (step->partner < schedule->body) == (index < schedule->body),
          "steps %u and %u do not agree on their chunks", index, step->partner);
  uint32_t tensor = stream_tensor(step);
  REQUIRE(tensor != WEFT_NONE && tensor == stream_tensor(other), "steps %u and %u share no chunked tensor", index,
          step->partner);
  const weft_tensor *t = &schedule->tensors[tensor];
  REQUIRE(t->chunk_rows == step->chunk_rows && step->chunk_rows > 0 &&
              (t->shape[0] + step->chunk_rows - 1) / step->chunk_rows == step->chunks,
          "step %u: %u chunks of %u rows are not %s", index, step->chunks, step->chunk_rows, t->name);
  return NULL;
}

static weft_status check_step(const weft_schedule *schedule, uint32_t index) {
  const weft_step *step = &schedule->steps[index];
  REQUIRE(step->kind < WEFT_STEP_KIND_COUNT && step->op < WEFT_OP_COUNT && step->queue < WEFT_QUEUE_COUNT &&
              step->phase < WEFT_PHASE_COUNT,
          "step %u has a kind, op, queue or phase out of range", index);
  weft_op_facts facts = weft_op_get(step->op);
  for (uint32_t i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    REQUIRE(i < facts.inputs || step->inputs[i] == WEFT_NONE, "step %u (%s) has too many inputs", index, facts.name);
    WEFT_TRY(check_operand(schedule, index, step->inputs[i], step->ring));
  }
  for (uint32_t i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    REQUIRE(i < facts.outputs || step->outputs[i] == WEFT_NONE, "step %u (%s) has too many outputs", index, facts.name);
    WEFT_TRY(check_operand(schedule, index, step->outputs[i], step->ring));
  }
  REQUIRE(step->inputs[0] != WEFT_NONE && step->outputs[0] != WEFT_NONE, "step %u (%s) has no operands", index,
          facts.name);
  REQUIRE(step->first_dependency <= schedule->dependency_count &&
              step->dependency_count <= schedule->dependency_count - step->first_dependency,
          "step %u has dependencies outside the list", index);
  for (uint32_t i = 0; i < step->dependency_count; ++i)
    REQUIRE(schedule->dependencies[step->first_dependency + i] < index,
            "step %u depends on step %u, which is not before it", index,
            schedule->dependencies[step->first_dependency + i]);
  return check_partner(schedule, index);
}

// Walks the steps and asks of every operand: has its writer ended, have the readers of what it overwrites ended, and
// does its slot still hold it?
typedef struct walk {
  weft_users *tensors, *slots;
  weft_clock *clocks;
  uint32_t *tenant;  // of each slot
} walk;

static weft_status check_reads(const weft_schedule *schedule, const walk *w, uint32_t step) {
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    uint32_t tensor = schedule->steps[step].inputs[i];
    if (tensor == WEFT_NONE) continue;
    uint32_t root = weft_tensor_root(schedule, tensor);
    const weft_tensor *t = &schedule->tensors[root];
    if (t->slot == WEFT_NONE || t->residency == WEFT_INPUT || t->residency == WEFT_CACHE) continue;
    REQUIRE(w->tenant[t->slot] == root, "step %u reads %s, but its slot %u holds %s", step, t->name, t->slot,
            w->tenant[t->slot] == WEFT_NONE ? "nothing" : schedule->tensors[w->tenant[t->slot]].name);
  }
  return NULL;
}

static weft_status check_order(const weft_schedule *schedule, walk *w) {
  uint32_t last[WEFT_QUEUE_COUNT];
  memset(last, 0xff, sizeof last);
  for (uint32_t s = 0; s < schedule->slot_count; ++s) w->tenant[s] = WEFT_NONE;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    uint32_t need[WEFT_QUEUE_COUNT];
    weft_users_need(schedule, w->tensors, w->slots, s, need);
    weft_clock_step(schedule, s, last, w->clocks);
    WEFT_TRY(check_reads(schedule, w, s));
    for (uint32_t q = 0; q < WEFT_QUEUE_COUNT; ++q) {
      bool partner = step->partner != WEFT_NONE && need[q] == step->partner + 1;
      REQUIRE(partner || need[q] <= w->clocks[s].before[q],
              "step %u (%s) does not wait for step %u, whose operands it shares", s, weft_op_name(step->op),
              need[q] - 1);
    }
    if (step->partner < s && step->chunks > step->ring)
      REQUIRE(w->clocks[s].before[schedule->steps[step->partner].queue] <= step->partner,
              "step %u takes chunks from step %u and waits for step %u behind it: a deadlock", s, step->partner,
              w->clocks[s].before[schedule->steps[step->partner].queue] - 1);
    weft_users_note(schedule, w->tensors, w->slots, s);
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
      if (step->outputs[i] == WEFT_NONE) continue;
      uint32_t root = weft_tensor_root(schedule, step->outputs[i]), slot = schedule->tensors[root].slot;
      if (slot != WEFT_NONE) w->tenant[slot] = root;
    }
  }
  return NULL;
}

static weft_status check_slots(const weft_schedule *schedule) {
  uint64_t end = 0;
  for (uint32_t s = 0; s < schedule->slot_count; ++s) {
    const weft_slot *slot = &schedule->slots[s];
    REQUIRE(slot->offset >= end && slot->bytes <= UINT64_MAX / 4 && slot->offset <= UINT64_MAX / 4 &&
                slot->host_bytes <= 1ull << 48,
            "slot %u overlaps the one before it or is impossibly large", s);
    end = slot->offset + slot->bytes;
  }
  REQUIRE(end == schedule->memory_bytes && end <= schedule->memory_limit,
          "the plan takes %" PRIu64 " bytes; it says %" PRIu64 " of %" PRIu64, end, schedule->memory_bytes,
          schedule->memory_limit);
  return NULL;
}

weft_status weft_schedule_check(const weft_schedule *schedule) {
  REQUIRE(schedule->machine, "has no machine");
  WEFT_TRY(weft_network_check(&schedule->network));
  WEFT_TRY(weft_machine_check(schedule->machine));
  WEFT_TRY(weft_run_check(&schedule->run, &schedule->network));
  REQUIRE(schedule->body <= schedule->step_count && schedule->iterations >= 1 && schedule->micro_batch >= 1,
          "%u of %u steps repeat %u times with %u sequences", schedule->body, schedule->step_count,
          schedule->iterations, schedule->micro_batch);
  if (schedule->run.mode == WEFT_TRAIN)
    REQUIRE((uint64_t)schedule->iterations * schedule->micro_batch * schedule->run.systems == schedule->run.batch,
            "%u iterations of %u sequences on %u systems are not a batch of %u", schedule->iterations,
            schedule->micro_batch, schedule->run.systems, schedule->run.batch);
  WEFT_TRY(check_slots(schedule));
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) WEFT_TRY(check_tensor(schedule, t));
  for (uint32_t s = 0; s < schedule->step_count; ++s) WEFT_TRY(check_step(schedule, s));
  walk w = {.tensors = weft_allocate_array(schedule->tensor_count, sizeof *w.tensors),
            .slots = weft_allocate_array(schedule->slot_count, sizeof *w.slots),
            .clocks = weft_allocate_array(schedule->step_count, sizeof *w.clocks),
            .tenant = weft_allocate_array(schedule->slot_count, sizeof *w.tenant)};
  weft_status status = check_order(schedule, &w);
  free(w.tensors);
  free(w.slots);
  free(w.clocks);
  free(w.tenant);
  return status;
}

uint32_t weft_tensor_root(const weft_schedule *schedule, uint32_t tensor) {
  return schedule->tensors[tensor].parent == WEFT_NONE ? tensor : schedule->tensors[tensor].parent;
}
