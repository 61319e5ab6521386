// Memory of a session, and from it the operands of every call: slots, views of tensors, rows of chunks.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/session_internal.h"

uint32_t weft_session_root(const weft_schedule *schedule, uint32_t tensor) {
  while (schedule->tensors[tensor].parent != WEFT_NONE) tensor = schedule->tensors[tensor].parent;
  return tensor;
}

static uint64_t columns_of(const weft_tensor *tensor) { return tensor->rank ? tensor->shape[tensor->rank - 1] : 1; }

static uint64_t rows_of(const weft_tensor *tensor) {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < tensor->rank; ++d) rows *= tensor->shape[d];
  return rows;
}

// Which operand is the streamed weight (or its gradient) whose rows a chunk covers.
static void weight_operand(weft_op op, int *out_input, int *out_output) {
  *out_input = *out_output = WEFT_NO_OPERAND;
  switch (op) {
    case WEFT_OP_LOAD:
    case WEFT_OP_STORE_GRADIENT: *out_input = *out_output = 0; break;
    case WEFT_OP_LINEAR:
    case WEFT_OP_LINEAR_BACKWARD_INPUT: *out_input = 1; break;
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: *out_output = 0; break;
    default: break;
  }
}

// ---- slots ----

// Chunks that the slot of a ring holds: those of the steps that use it.
static uint32_t ring_of(const weft_schedule *schedule, uint32_t tensor) {
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
      if (step->inputs[i] == tensor) return step->ring;
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
      if (step->outputs[i] == tensor) return step->ring;
  }
  return 1;
}

static weft_status check_room(const weft_schedule *schedule, uint32_t index) {
  const weft_tensor *tensor = &schedule->tensors[index];
  uint64_t needed = weft_tensor_bytes(tensor), room = schedule->slots[tensor->slot].host_bytes;
  if (tensor->chunk_rows != 0) {
    needed = (uint64_t)ring_of(schedule, index) * tensor->chunk_rows * columns_of(tensor) *
             weft_dtype_block_bytes(tensor->dtype);
  }
  if (needed <= room) return NULL;
  return weft_error(WEFT_INVALID, "schedule: tensor %u (%s) needs %llu bytes of slot %u, which has %llu", index,
                    tensor->name, (unsigned long long)needed, tensor->slot, (unsigned long long)room);
}

static const weft_tensor *cache_named(const weft_schedule *schedule, const char *name) {
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    const weft_tensor *tensor = &schedule->tensors[t];
    if (tensor->residency == WEFT_CACHE && tensor->parent == WEFT_NONE && strcmp(tensor->name, name) == 0)
      return tensor;
  }
  return NULL;
}

// Lets the caches of this session live in the slots of another one.
static weft_status borrow_caches(weft_session *session, weft_session *caches) {
  const weft_schedule *mine = session->schedule;
  for (uint32_t t = 0; t < mine->tensor_count; ++t) {
    const weft_tensor *tensor = &mine->tensors[t];
    if (tensor->residency != WEFT_CACHE || tensor->parent != WEFT_NONE) continue;
    const weft_tensor *other = cache_named(caches->schedule, tensor->name);
    bool same = other && other->dtype == tensor->dtype && other->rank == tensor->rank;
    for (uint32_t d = 0; same && d < tensor->rank; ++d) same = other->shape[d] == tensor->shape[d];
    if (!same) {
      return weft_error(WEFT_INVALID,
                        "the KV cache \"%s\" cannot be shared: the other schedule has %s; compile both with the same "
                        "batch, dtype and "
                        "room (context)",
                        tensor->name, other ? "one of another shape" : "none of that name");
    }
    session->slots[tensor->slot] = caches->slots[other->slot];
    session->borrowed[tensor->slot] = true;
  }
  return NULL;
}

static weft_status make_slots(weft_session *session, weft_session *caches) {
  const weft_schedule *schedule = session->schedule;
  session->slots = weft_allocate_array(schedule->slot_count, sizeof *session->slots);
  session->borrowed = weft_allocate_array(schedule->slot_count, sizeof *session->borrowed);
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    if (schedule->tensors[t].slot != WEFT_NONE && schedule->tensors[t].parent == WEFT_NONE)
      WEFT_TRY(check_room(schedule, t));
  }
  if (caches) WEFT_TRY(borrow_caches(session, caches));
  for (uint32_t s = 0; s < schedule->slot_count; ++s) {
    if (session->borrowed[s]) continue;
    if (schedule->slots[s].host_bytes > SIZE_MAX)
      return weft_error(WEFT_FAILED, "slot %u is larger than memory can address", s);
    WEFT_TRY(weft_allocate_large((size_t)schedule->slots[s].host_bytes, "a slot of the schedule", &session->slots[s]));
  }
  return NULL;
}

// ---- views ----

static weft_status view_at_store(weft_session *session, const weft_tensor *tensor, weft_view *out_view) {
  switch (tensor->residency) {
    case WEFT_STORE_PARAMETER: *out_view = weft_store_parameter(session->store, tensor->parameter); return NULL;
    case WEFT_STORE_GRADIENT: return weft_store_gradient(session->store, tensor->parameter, out_view);
    case WEFT_STORE_MOMENT1: return weft_store_moment(session->store, tensor->parameter, 1, out_view);
    case WEFT_STORE_MOMENT2: return weft_store_moment(session->store, tensor->parameter, 2, out_view);
    default:
      *out_view = (weft_view){0};  // scalars belong to their step
      return NULL;
  }
}

static weft_status make_views(weft_session *session) {
  const weft_schedule *schedule = session->schedule;
  session->views = weft_allocate_array(schedule->tensor_count, sizeof *session->views);
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    const weft_tensor *tensor = &schedule->tensors[t];
    if (tensor->slot == WEFT_NONE) {
      WEFT_TRY(view_at_store(session, tensor, &session->views[t]));
      continue;
    }
    uint64_t column = 0;
    for (uint32_t v = t; schedule->tensors[v].parent != WEFT_NONE; v = schedule->tensors[v].parent)
      column += schedule->tensors[v].column;
    const weft_tensor *root = &schedule->tensors[weft_session_root(schedule, t)];
    uint8_t *base = session->slots[root->slot];
    session->views[t] = (weft_view){.data = base + column * weft_dtype_block_bytes(root->dtype),
                                    .dtype = tensor->dtype,
                                    .rows = rows_of(tensor),
                                    .columns = columns_of(tensor),
                                    .stride = columns_of(root)};
  }
  return NULL;
}

// ---- what is known before anything runs ----

static void find_ends(weft_session *session) {
  const weft_schedule *schedule = session->schedule;
  const struct {
    const char *name;
    uint32_t *tensor;
  } inputs[] = {{"ids", &session->ids},
                {"positions", &session->positions},
                {"targets", &session->targets},
                {"types", &session->types}};
  session->ids = session->positions = session->targets = session->types = session->loss = WEFT_NONE;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    const weft_tensor *tensor = &schedule->tensors[t];
    if (tensor->residency == WEFT_CACHE && tensor->rank == 3) session->cache_rows = tensor->shape[1];
    if (tensor->residency != WEFT_INPUT || tensor->slot == WEFT_NONE) continue;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; ++i)
      if (strcmp(tensor->name, inputs[i].name) == 0) *inputs[i].tensor = t;
  }
  for (uint32_t s = 0; s < schedule->step_count; ++s)
    if (schedule->steps[s].op == WEFT_OP_CROSS_ENTROPY) session->loss = schedule->steps[s].outputs[0];
}

// Who holds each slot at the end, and the half of the double buffer that every stream step takes.
static void find_owners_and_lanes(weft_session *session) {
  const weft_schedule *schedule = session->schedule;
  session->owners = weft_allocate_array(schedule->slot_count, sizeof *session->owners);
  session->lanes = weft_allocate_array(schedule->step_count, sizeof *session->lanes);
  for (uint32_t s = 0; s < schedule->slot_count; ++s) session->owners[s] = WEFT_NONE;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t) {
    const weft_tensor *tensor = &schedule->tensors[t];
    if (tensor->residency == WEFT_INPUT && tensor->slot != WEFT_NONE) session->owners[tensor->slot] = t;
  }
  uint32_t streams[WEFT_QUEUE_COUNT] = {0};
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    const weft_step *step = &schedule->steps[s];
    bool stream = step->queue == WEFT_QUEUE_STREAM_IN || step->queue == WEFT_QUEUE_STREAM_OUT;
    session->lanes[s] = stream ? streams[step->queue]++ & 1 : 0;
    for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
      if (step->outputs[i] == WEFT_NONE || schedule->tensors[step->outputs[i]].slot == WEFT_NONE) continue;
      uint32_t root = weft_session_root(schedule, step->outputs[i]);
      session->owners[schedule->tensors[root].slot] = root;
    }
  }
}

weft_status weft_session_bind(weft_session *session, weft_session *caches) {
  WEFT_TRY(make_slots(session, caches));
  WEFT_TRY(make_views(session));
  find_ends(session);
  find_owners_and_lanes(session);
  session->square_sums = weft_allocate_array(session->schedule->step_count, sizeof *session->square_sums);
  session->done = weft_allocate_array(session->schedule->step_count, sizeof *session->done);
  return NULL;
}

// ---- calls ----

// Rows [begin, end) of a weight, which lie in the ring's part for this chunk where the slot is a ring.
static weft_view chunk_rows(const weft_session *session, const weft_step *step, uint32_t tensor, uint32_t chunk,
                            uint64_t begin, uint64_t end) {
  weft_view view = session->views[tensor];
  uint64_t ring_rows = session->schedule->tensors[tensor].chunk_rows;
  uint64_t first = ring_rows ? (chunk % step->ring) * ring_rows : begin;
  view.data = (uint8_t *)view.data + first * view.stride * weft_dtype_block_bytes(view.dtype);
  view.rows = end - begin;
  return view;
}

static uint64_t view_bytes(const weft_view *view) {
  return view->data ? view->rows * view->columns * weft_dtype_block_bytes(view->dtype) : 0;
}

// The last chunk of a cached attention reports the whole step: only the rows that are there are read.
static uint64_t compute_bytes(const weft_session *session, const weft_step *step, const weft_call *call) {
  if (step->op != WEFT_OP_ATTENTION_CACHED || step->attributes.batch == 0) return step->bytes;
  uint64_t room = call->inputs[1].rows / step->attributes.batch, unread = 0;
  uint64_t seen = session->feed->position + step->rows / step->attributes.batch;
  if (seen < step->attributes.context && seen < room)
    unread = (step->attributes.context < room ? step->attributes.context : room) - seen;
  uint64_t bytes =
      2 * unread * step->attributes.batch * call->inputs[1].columns * weft_dtype_block_bytes(call->inputs[1].dtype);
  return bytes < step->bytes ? step->bytes - bytes : step->bytes;
}

static uint64_t moved_bytes(const weft_session *session, const weft_step *step, uint32_t chunk, const weft_call *call) {
  uint64_t bytes = 0;
  switch (step->op) {
    case WEFT_OP_LOAD:
    case WEFT_OP_EMBED:
      for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) bytes += view_bytes(&call->outputs[i]);
      return bytes;
    case WEFT_OP_STORE_GRADIENT:
      for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) bytes += view_bytes(&call->inputs[i]);
      return bytes;
    case WEFT_OP_EMBED_BACKWARD: return view_bytes(&call->inputs[1]);
    default: return chunk + 1 == step->chunks ? compute_bytes(session, step, call) : 0;
  }
}

uint64_t weft_session_call(weft_session *session, uint32_t number, uint32_t chunk, weft_call *out_call) {
  const weft_schedule *schedule = session->schedule;
  const weft_step *step = &schedule->steps[number];
  *out_call = (weft_call){.op = step->op, .attributes = &step->attributes};
  int weight_input, weight_output;
  weight_operand(step->op, &weight_input, &weight_output);
  uint32_t weight = weight_output != WEFT_NO_OPERAND  ? step->outputs[weight_output]
                    : weight_input != WEFT_NO_OPERAND ? step->inputs[weight_input]
                                                      : WEFT_NONE;
  if (weight != WEFT_NONE) {
    out_call->weight_rows = session->views[weight].rows;
    out_call->row_begin = (uint64_t)chunk * step->chunk_rows;
    uint64_t end = out_call->row_begin + step->chunk_rows;
    out_call->row_end = step->chunks > 1 && end < out_call->weight_rows ? end : out_call->weight_rows;
  }
  // A bias comes with a weight's first chunk; its gradient is complete with the last.
  uint32_t bias_chunk = step->op == WEFT_OP_STORE_GRADIENT ? step->chunks - 1 : 0;
  bool stream = step->op == WEFT_OP_LOAD || step->op == WEFT_OP_STORE_GRADIENT;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    if (step->inputs[i] == WEFT_NONE || (stream && i > 0 && chunk != bias_chunk)) continue;
    out_call->inputs[i] =
        i != weight_input ? session->views[step->inputs[i]]
                          : chunk_rows(session, step, step->inputs[i], chunk, out_call->row_begin, out_call->row_end);
  }
  bool at_store = false;
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    if (step->outputs[i] == WEFT_NONE) continue;
    at_store = at_store || schedule->tensors[step->outputs[i]].residency == WEFT_STORE_GRADIENT;
    if (stream && i > 0 && chunk != bias_chunk) continue;
    out_call->outputs[i] =
        i != weight_output ? session->views[step->outputs[i]]
                           : chunk_rows(session, step, step->outputs[i], chunk, out_call->row_begin, out_call->row_end);
  }
  if (step->op == WEFT_OP_SQUARE_SUM) {
    out_call->outputs[0] =
        (weft_view){.data = &session->square_sums[number], .dtype = WEFT_F64, .rows = 1, .columns = 1, .stride = 1};
  }
  // Gradients at the store gather over micro-batches; what is on the device begins anew with each.
  out_call->accumulate = step->attributes.accumulate || (at_store && session->iteration > 0);
  return moved_bytes(session, step, chunk, out_call);
}
