// Schedules as protobuf. Packing builds protobuf-c's messages over the schedule's own arrays; unpacking copies out of
// them and leaves judgement to weft_schedule_check.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "compiler/schedule.h"
#include "compiler/schedule.pb-c.h"

enum { VERSION = 1 };

static uint32_t plus_one(uint32_t index) { return index == WEFT_NONE ? 0 : index + 1; }
static uint32_t minus_one(uint32_t stored) { return stored == 0 ? WEFT_NONE : stored - 1; }

static void pack_attributes(const weft_attributes *a, Weft__Attributes *m) {
  weft__attributes__init(m);
  m->batch = a->batch;
  m->heads = a->heads;
  m->kv_heads = a->kv_heads;
  m->head_dim = a->head_dim;
  m->rotary_dim = a->rotary_dim;
  m->context = a->context;
  m->transposed = a->transposed;
  m->causal = a->causal;
  m->accumulate = a->accumulate;
  m->activation = a->activation;
  m->rope_kind = a->rope_kind;
  m->rope_scaling = a->rope_scaling;
  m->rope_original_positions = a->rope_original_positions;
  m->rope_theta = a->rope_theta;
  m->rope_factor = a->rope_factor;
  m->rope_low_frequency_factor = a->rope_low_frequency_factor;
  m->rope_high_frequency_factor = a->rope_high_frequency_factor;
  m->epsilon = a->epsilon;
  m->scale = a->scale;
  m->decay = a->decay;
}

static weft_attributes unpack_attributes(const Weft__Attributes *m) {
  return (weft_attributes){.batch = m->batch,
                           .heads = m->heads,
                           .kv_heads = m->kv_heads,
                           .head_dim = m->head_dim,
                           .rotary_dim = m->rotary_dim,
                           .context = m->context,
                           .transposed = m->transposed,
                           .causal = m->causal,
                           .accumulate = m->accumulate,
                           .activation = m->activation,
                           .rope_kind = m->rope_kind,
                           .rope_scaling = m->rope_scaling,
                           .rope_original_positions = m->rope_original_positions,
                           .rope_theta = m->rope_theta,
                           .rope_factor = m->rope_factor,
                           .rope_low_frequency_factor = m->rope_low_frequency_factor,
                           .rope_high_frequency_factor = m->rope_high_frequency_factor,
                           .epsilon = m->epsilon,
                           .scale = m->scale,
                           .decay = m->decay};
}

// Scratch that lives as long as one packing.
typedef struct packer {
  weft_arena arena;
} packer;

static Weft__Tensor *pack_tensor(packer *p, const weft_tensor *t) {
  Weft__Tensor *m = weft_arena_take(&p->arena, sizeof *m);
  weft__tensor__init(m);
  m->name = (char *)(uintptr_t)t->name;
  m->residency = t->residency;
  m->dtype = t->dtype;
  m->n_shape = t->rank;
  m->shape = (uint64_t *)(uintptr_t)t->shape;
  m->parent = plus_one(t->parent);
  m->column = t->column;
  m->slot = plus_one(t->slot);
  m->parameter = plus_one(t->parameter);
  m->chunk_rows = t->chunk_rows;
  return m;
}

static uint32_t *pack_operands(packer *p, const uint32_t *operands, size_t room, size_t *out_count) {
  size_t count = room;
  while (count > 0 && operands[count - 1] == WEFT_NONE) --count;
  uint32_t *list = weft_arena_take(&p->arena, count * sizeof *list);
  for (size_t i = 0; i < count; ++i) list[i] = plus_one(operands[i]);
  *out_count = count;
  return list;
}

static Weft__Step *pack_step(packer *p, const weft_schedule *schedule, const weft_step *s) {
  Weft__Step *m = weft_arena_take(&p->arena, sizeof *m);
  weft__step__init(m);
  m->kind = s->kind;
  m->op = s->op;
  m->queue = s->queue;
  m->phase = s->phase;
  m->layer = s->layer;
  m->recomputed = s->recomputed;
  m->x = s->rectangle.x;
  m->y = s->rectangle.y;
  m->columns = s->rectangle.columns;
  m->rows = s->rectangle.rows;
  m->inputs = pack_operands(p, s->inputs, WEFT_OP_MAX_INPUTS, &m->n_inputs);
  m->outputs = pack_operands(p, s->outputs, WEFT_OP_MAX_OUTPUTS, &m->n_outputs);
  m->attributes = weft_arena_take(&p->arena, sizeof *m->attributes);
  pack_attributes(&s->attributes, m->attributes);
  m->n_dependencies = s->dependency_count;
  m->dependencies = schedule->dependencies + s->first_dependency;
  m->partner = plus_one(s->partner);
  m->chunks = s->chunks;
  m->chunk_rows = s->chunk_rows;
  m->ring = s->ring;
  m->bytes = s->bytes;
  m->flops = s->flops;
  m->work_rows = s->rows;
  m->work_in = s->in;
  m->work_out = s->out;
  return m;
}

static Weft__Run *pack_run(packer *p, const weft_run *run) {
  Weft__Run *m = weft_arena_take(&p->arena, sizeof *m);
  weft__run__init(m);
  m->mode = run->mode;
  m->batch = run->batch;
  m->sequence = run->sequence;
  m->context = run->context;
  m->systems = run->systems;
  m->micro_batch = run->micro_batch;
  m->dtype = run->dtype;
  m->optimizer = run->optimizer;
  m->recompute = run->recompute;
  m->all_logits = run->all_logits;
  m->keep_hidden = run->keep_hidden;
  m->clip = run->clip;
  m->seed = run->seed;
  return m;
}

weft_status weft_schedule_pack(const weft_schedule *schedule, uint8_t **out_bytes, size_t *out_size) {
  packer p;
  weft_arena_init(&p.arena);
  Weft__Schedule m = WEFT__SCHEDULE__INIT;
  json_t *network = weft_network_pack(&schedule->network);
  json_object_set_new(network, "_name_or_path", json_string(schedule->network.name));
  m.version = VERSION;
  m.network = json_dumps(network, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
  m.machine = weft_machine_pack(schedule->machine);
  m.run = pack_run(&p, &schedule->run);
  m.micro_batch = schedule->micro_batch;
  m.iterations = schedule->iterations;
  m.body = schedule->body;
  m.recompute = schedule->recompute;
  m.memory_bytes = schedule->memory_bytes;
  m.memory_limit = schedule->memory_limit;
  m.n_tensors = schedule->tensor_count;
  m.tensors = weft_arena_take(&p.arena, m.n_tensors * sizeof *m.tensors);
  for (size_t t = 0; t < m.n_tensors; ++t) m.tensors[t] = pack_tensor(&p, &schedule->tensors[t]);
  m.n_slots = schedule->slot_count;
  m.slots = weft_arena_take(&p.arena, m.n_slots * sizeof *m.slots);
  for (size_t s = 0; s < m.n_slots; ++s) {
    m.slots[s] = weft_arena_take(&p.arena, sizeof **m.slots);
    weft__slot__init(m.slots[s]);
    m.slots[s]->offset = schedule->slots[s].offset;
    m.slots[s]->bytes = schedule->slots[s].bytes;
    m.slots[s]->host_bytes = schedule->slots[s].host_bytes;
  }
  m.n_steps = schedule->step_count;
  m.steps = weft_arena_take(&p.arena, m.n_steps * sizeof *m.steps);
  for (size_t s = 0; s < m.n_steps; ++s) m.steps[s] = pack_step(&p, schedule, &schedule->steps[s]);
  *out_size = weft__schedule__get_packed_size(&m);
  *out_bytes = weft_allocate(*out_size);
  weft__schedule__pack(&m, *out_bytes);
  json_decref(network);
  free(m.network);
  free(m.machine);
  weft_arena_finish(&p.arena);
  return NULL;
}

static weft_status unpack_tensor(weft_schedule *schedule, const Weft__Tensor *m, weft_tensor *out) {
  if (m->n_shape > 4)
    return weft_error(WEFT_INVALID, "schedule: tensor %s has rank %zu; 1 to 4 are possible", m->name, m->n_shape);
  *out = (weft_tensor){.name = weft_arena_copy_text(&schedule->arena, m->name),
                       .residency = (weft_residency)m->residency,
                       .dtype = (weft_dtype)m->dtype,
                       .rank = (uint32_t)m->n_shape,
                       .parent = minus_one(m->parent),
                       .column = m->column,
                       .slot = minus_one(m->slot),
                       .parameter = minus_one(m->parameter),
                       .chunk_rows = m->chunk_rows};
  for (size_t d = 0; d < m->n_shape; ++d) out->shape[d] = m->shape[d];
  return NULL;
}

static weft_status unpack_step(weft_schedule *schedule, const Weft__Step *m, weft_step *out, uint32_t *dependency) {
  if (m->n_inputs > WEFT_OP_MAX_INPUTS || m->n_outputs > WEFT_OP_MAX_OUTPUTS || !m->attributes)
    return weft_error(WEFT_INVALID, "schedule: a step has %zu inputs and %zu outputs; %d and %d are possible",
                      m->n_inputs, m->n_outputs, WEFT_OP_MAX_INPUTS, WEFT_OP_MAX_OUTPUTS);
  *out = (weft_step){.kind = (weft_step_kind)m->kind,
                     .op = (weft_op)m->op,
                     .queue = (weft_queue)m->queue,
                     .phase = (weft_phase)m->phase,
                     .layer = m->layer,
                     .recomputed = m->recomputed,
                     .rectangle = {m->x, m->y, m->columns, m->rows},
                     .attributes = unpack_attributes(m->attributes),
                     .first_dependency = *dependency,
                     .dependency_count = (uint32_t)m->n_dependencies,
                     .partner = minus_one(m->partner),
                     .chunks = m->chunks,
                     .chunk_rows = m->chunk_rows,
                     .ring = m->ring,
                     .bytes = m->bytes,
                     .flops = m->flops,
                     .rows = m->work_rows,
                     .in = m->work_in,
                     .out = m->work_out};
  for (size_t i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
    out->inputs[i] = i < m->n_inputs ? minus_one(m->inputs[i]) : WEFT_NONE;
  for (size_t i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    out->outputs[i] = i < m->n_outputs ? minus_one(m->outputs[i]) : WEFT_NONE;
  for (size_t i = 0; i < m->n_dependencies; ++i) schedule->dependencies[(*dependency)++] = m->dependencies[i];
  return NULL;
}

static weft_status unpack_arrays(weft_schedule *schedule, const Weft__Schedule *m) {
  schedule->tensor_count = (uint32_t)m->n_tensors;
  schedule->tensors = weft_arena_take(&schedule->arena, m->n_tensors * sizeof *schedule->tensors);
  for (size_t t = 0; t < m->n_tensors; ++t) WEFT_TRY(unpack_tensor(schedule, m->tensors[t], &schedule->tensors[t]));
  schedule->slot_count = (uint32_t)m->n_slots;
  schedule->slots = weft_arena_take(&schedule->arena, m->n_slots * sizeof *schedule->slots);
  for (size_t s = 0; s < m->n_slots; ++s)
    schedule->slots[s] = (weft_slot){m->slots[s]->offset, m->slots[s]->bytes, m->slots[s]->host_bytes};
  size_t dependencies = 0;
  for (size_t s = 0; s < m->n_steps; ++s) dependencies += m->steps[s]->n_dependencies;
  schedule->dependency_count = (uint32_t)dependencies;
  schedule->dependencies = weft_arena_take(&schedule->arena, dependencies * sizeof *schedule->dependencies);
  schedule->step_count = (uint32_t)m->n_steps;
  schedule->steps = weft_arena_take(&schedule->arena, m->n_steps * sizeof *schedule->steps);
  uint32_t next = 0;
  for (size_t s = 0; s < m->n_steps; ++s) WEFT_TRY(unpack_step(schedule, m->steps[s], &schedule->steps[s], &next));
  return NULL;
}

static weft_status unpack_network(const char *text, weft_network *out_network) {
  json_error_t error;
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!root) return weft_error(WEFT_INVALID, "schedule: network:%d:%d: %s", error.line, error.column, error.text);
  weft_status status = weft_network_unpack(root, "schedule: network", text, out_network);
  const char *name = json_string_value(json_object_get(root, "_name_or_path"));
  if (!status && name) snprintf(out_network->name, sizeof out_network->name, "%s", name);
  json_decref(root);
  return status;
}

static weft_status unpack_run(const Weft__Run *m, weft_run *out) {
  if (!m || m->mode >= WEFT_MODE_COUNT || m->dtype >= WEFT_DTYPE_COUNT || m->optimizer >= WEFT_OPTIMIZER_COUNT ||
      m->recompute >= WEFT_RECOMPUTE_COUNT)
    return weft_error(WEFT_INVALID, "schedule: the run has a mode, dtype, optimizer or recompute out of range");
  *out = (weft_run){.mode = (weft_mode)m->mode,
                    .batch = m->batch,
                    .sequence = m->sequence,
                    .context = m->context,
                    .systems = m->systems,
                    .micro_batch = m->micro_batch,
                    .dtype = (weft_dtype)m->dtype,
                    .optimizer = (weft_optimizer)m->optimizer,
                    .recompute = (weft_recompute)m->recompute,
                    .all_logits = m->all_logits,
                    .keep_hidden = m->keep_hidden,
                    .clip = m->clip,
                    .seed = m->seed};
  return NULL;
}

static weft_status unpack_message(weft_schedule *schedule, const Weft__Schedule *m) {
  if (m->version != VERSION)
    return weft_error(WEFT_INVALID, "schedule: version %u; this program reads version %d", m->version, VERSION);
  if (m->recompute >= WEFT_RECOMPUTE_COUNT)
    return weft_error(WEFT_INVALID, "schedule: recompute %u is out of range", m->recompute);
  WEFT_TRY(unpack_network(m->network, &schedule->network));
  WEFT_TRY(weft_machine_unpack(m->machine, "schedule: machine", &schedule->machine));
  WEFT_TRY(unpack_run(m->run, &schedule->run));
  schedule->micro_batch = m->micro_batch;
  schedule->iterations = m->iterations;
  schedule->body = m->body;
  schedule->recompute = (weft_recompute)m->recompute;
  schedule->memory_bytes = m->memory_bytes;
  schedule->memory_limit = m->memory_limit;
  return unpack_arrays(schedule, m);
}

weft_status weft_schedule_unpack(const uint8_t *bytes, size_t size, weft_schedule **out_schedule) {
  Weft__Schedule *m = weft__schedule__unpack(NULL, size, bytes);
  if (!m) return weft_error(WEFT_INVALID, "not a schedule: %zu bytes that are no weft.Schedule message", size);
  weft_schedule *schedule = weft_schedule_create();
  weft_status status = unpack_message(schedule, m);
  weft__schedule__free_unpacked(m, NULL);
  if (!status) status = weft_schedule_check(schedule);
  if (status) {
    weft_schedule_destroy(schedule);
    return status;
  }
  *out_schedule = schedule;
  return NULL;
}

weft_status weft_schedule_read(const char *path, weft_schedule **out_schedule) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status = weft_schedule_unpack(file.bytes, file.size, out_schedule);
  weft_mapping_close(&file);
  return weft_status_prefix(status, "%s: ", path);
}

weft_status weft_schedule_write(const weft_schedule *schedule, const char *path) {
  uint8_t *bytes;
  size_t size;
  WEFT_TRY(weft_schedule_pack(schedule, &bytes, &size));
  weft_status status = weft_file_write(path, bytes, size);
  free(bytes);
  return status;
}

uint64_t weft_schedule_hash(const weft_schedule *schedule) {
  uint8_t *bytes;
  size_t size;
  weft_status status = weft_schedule_pack(schedule, &bytes, &size);
  if (status) {
    weft_status_free(status);
    return 0;
  }
  uint64_t hash = weft_hash_bytes(bytes, size);
  free(bytes);
  return hash;
}
