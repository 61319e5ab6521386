// Kernels as protobuf, and as files of either form. Only what an operand or instruction of its kind means is packed, so
// that equal kernels have equal bytes. Unpacking copies and leaves judgement to weft_kernel_check, but for what it
// needs itself.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "compiler/kernel_internal.h"
#include "compiler/kernel.pb-c.h"

enum { VERSION = 1, FIRST_BYTE = 0x08 };

static uint32_t plus_one(uint32_t index) { return index == WEFT_NOTHING ? 0 : index + 1; }
static uint32_t minus_one(uint32_t stored) { return stored == 0 ? WEFT_NOTHING : stored - 1; }

// ---- packing: messages point into the kernel and into an arena ----

static Weft__KernelBlock *pack_block(weft_arena *arena, const weft_block *b) {
  Weft__KernelBlock *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_block__init(m);
  m->x = b->x;
  m->x_end = b->x_end;
  m->step_x = b->step_x;
  m->y = b->y;
  m->y_end = b->y_end;
  m->step_y = b->step_y;
  return m;
}

static Weft__KernelRoute *pack_route(weft_arena *arena, const weft_route *r) {
  Weft__KernelRoute *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_route__init(m);
  m->block = pack_block(arena, &r->block);
  m->colour = r->colour;
  m->n_positions = r->position_count < WEFT_SWITCH_POSITIONS ? r->position_count : WEFT_SWITCH_POSITIONS;
  m->positions = weft_arena_take(arena, m->n_positions * sizeof *m->positions);
  for (size_t p = 0; p < m->n_positions; ++p) m->positions[p] = r->positions[p].from + 8u * r->positions[p].to;
  m->ring = r->ring;
  return m;
}

static Weft__KernelArray *pack_array(weft_arena *arena, const weft_array *a) {
  Weft__KernelArray *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_array__init(m);
  m->name = (char *)(uintptr_t)a->name;
  m->dtype = a->dtype;
  m->length = a->length;
  m->address = plus_one(a->address);
  m->skew = a->skew;
  m->input = a->input;
  m->output = a->output;
  memcpy(&m->fill, &a->fill, sizeof m->fill);
  return m;
}

static Weft__KernelRegister *pack_register(weft_arena *arena, const weft_register *r) {
  Weft__KernelRegister *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_register__init(m);
  m->name = (char *)(uintptr_t)r->name;
  m->dtype = r->dtype;
  if (r->dtype == WEFT_F32) {
    m->bits = r->bits;
  } else {
    m->start = r->base;
    m->per_x = r->per_x;
    m->per_y = r->per_y;
  }
  return m;
}

static void pack_view(const weft_operand *o, Weft__KernelOperand *m) {
  m->index = o->array;
  m->offset = o->offset;
  m->stride = o->stride;
  m->inner = o->inner;
  if (o->inner > 0) m->outer_stride = o->outer_stride;
  m->offset_register = plus_one(o->offset_register);
  if (o->offset_register != WEFT_NOTHING) m->offset_scale = o->offset_scale;
}

static Weft__KernelOperand *pack_operand(weft_arena *arena, const weft_operand *o) {
  Weft__KernelOperand *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_operand__init(m);
  m->kind = o->kind;
  if (o->kind == WEFT_ABSENT) return m;
  m->dtype = o->dtype;
  if (o->kind == WEFT_MEMORY) {
    pack_view(o, m);
  } else if (o->kind == WEFT_CONSTANT) {
    m->bits = o->bits;
  } else {
    m->index = o->index;
    m->packed = o->packed && o->kind != WEFT_REGISTER;
    m->advance = o->advance && o->kind == WEFT_SEND;
  }
  return m;
}

// How many of to, a, b, c an instruction of this kind has.
static uint32_t operand_count(weft_instruction_kind kind) {
  if (weft_instruction_is_vector(kind)) return 1u + weft_instruction_fact_of(kind)->sources;
  if (kind == WEFT_DO_LOOP) return 4;
  if (kind == WEFT_DO_IF || kind == WEFT_DO_WHILE || kind == WEFT_DO_SWITCH) return 3;
  return kind == WEFT_DO_CLOCK ? 1 : 0;
}

static bool has_task(weft_instruction_kind kind) {
  return weft_instruction_is_vector(kind) || kind == WEFT_DO_ACTIVATE || kind == WEFT_DO_BLOCK ||
         kind == WEFT_DO_UNBLOCK;
}

static Weft__KernelInstruction *pack_instruction(weft_arena *arena, const weft_instruction *i) {
  Weft__KernelInstruction *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_instruction__init(m);
  const weft_operand *operands[] = {&i->to, &i->a, &i->b, &i->c};
  bool vector = weft_instruction_is_vector(i->kind);
  m->kind = i->kind;
  m->n_operands = i->kind < WEFT_INSTRUCTION_KINDS ? operand_count(i->kind) : 0;
  m->operands = weft_arena_take(arena, m->n_operands * sizeof *m->operands);
  for (size_t o = 0; o < m->n_operands; ++o) m->operands[o] = pack_operand(arena, operands[o]);
  // A switch's wavelet has no type.
  if (i->kind == WEFT_DO_SWITCH) m->operands[0]->dtype = 0;
  if (vector) m->count_register = plus_one(i->count_register);
  if (vector && i->count_register == WEFT_NOTHING) m->count = i->count;
  if (vector || i->kind == WEFT_DO_WAIT) m->microthread = plus_one(i->microthread);
  if (has_task(i->kind)) m->task = plus_one(i->task);
  if (i->kind == WEFT_DO_IF || i->kind == WEFT_DO_WHILE) m->compare = i->compare;
  if (i->kind == WEFT_DO_LOOP) m->form = i->form;
  return m;
}

static Weft__KernelTask *pack_task(weft_arena *arena, const weft_program *p, const weft_task *t) {
  Weft__KernelTask *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_task__init(m);
  m->name = (char *)(uintptr_t)t->name;
  m->trigger = t->trigger;
  if (t->trigger == WEFT_BY_WAVELET || t->trigger == WEFT_BY_CONTROL) m->colour = t->colour;
  if (t->trigger == WEFT_BY_WAVELET) m->data = t->data;
  m->blocked = t->blocked;
  m->n_code = t->first <= p->code_count && t->count <= p->code_count - t->first ? t->count : 0;
  m->code = weft_arena_take(arena, m->n_code * sizeof *m->code);
  for (size_t i = 0; i < m->n_code; ++i) m->code[i] = pack_instruction(arena, &p->code[t->first + i]);
  return m;
}

static Weft__KernelProgram *pack_program(weft_arena *arena, const weft_program *p) {
  Weft__KernelProgram *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_program__init(m);
  m->name = (char *)(uintptr_t)p->name;
  m->n_blocks = p->block_count;
  m->blocks = weft_arena_take(arena, m->n_blocks * sizeof *m->blocks);
  for (size_t b = 0; b < m->n_blocks; ++b) m->blocks[b] = pack_block(arena, &p->blocks[b]);
  m->n_arrays = p->array_count;
  m->arrays = weft_arena_take(arena, m->n_arrays * sizeof *m->arrays);
  for (size_t a = 0; a < m->n_arrays; ++a) m->arrays[a] = pack_array(arena, &p->arrays[a]);
  m->n_registers = p->register_count;
  m->registers = weft_arena_take(arena, m->n_registers * sizeof *m->registers);
  for (size_t r = 0; r < m->n_registers; ++r) m->registers[r] = pack_register(arena, &p->registers[r]);
  m->n_tasks = p->task_count;
  m->tasks = weft_arena_take(arena, m->n_tasks * sizeof *m->tasks);
  for (size_t t = 0; t < m->n_tasks; ++t) m->tasks[t] = pack_task(arena, p, &p->tasks[t]);
  return m;
}

static Weft__KernelChannel *pack_channel(weft_arena *arena, const weft_channel *c) {
  Weft__KernelChannel *m = weft_arena_take(arena, sizeof *m);
  weft__kernel_channel__init(m);
  m->name = (char *)(uintptr_t)c->name;
  m->into_mesh = c->into_mesh;
  m->x = c->x;
  m->y = c->y;
  m->port = c->port;
  m->colour = c->colour;
  m->words = c->words;
  m->cycles_per_word = c->cycles_per_word;
  return m;
}

void weft_kernel_pack(const weft_kernel *kernel, void **out_bytes, size_t *out_size) {
  weft_arena arena;
  weft_arena_init(&arena);
  Weft__Kernel m = WEFT__KERNEL__INIT;
  m.version = VERSION;
  m.name = (char *)(uintptr_t)kernel->name;
  m.columns = kernel->columns;
  m.rows = kernel->rows;
  m.n_routes = kernel->route_count;
  m.routes = weft_arena_take(&arena, m.n_routes * sizeof *m.routes);
  for (size_t r = 0; r < m.n_routes; ++r) m.routes[r] = pack_route(&arena, &kernel->routes[r]);
  m.n_programs = kernel->program_count;
  m.programs = weft_arena_take(&arena, m.n_programs * sizeof *m.programs);
  for (size_t p = 0; p < m.n_programs; ++p) m.programs[p] = pack_program(&arena, &kernel->programs[p]);
  m.n_channels = kernel->channel_count;
  m.channels = weft_arena_take(&arena, m.n_channels * sizeof *m.channels);
  for (size_t c = 0; c < m.n_channels; ++c) m.channels[c] = pack_channel(&arena, &kernel->channels[c]);
  *out_size = weft__kernel__get_packed_size(&m);
  *out_bytes = weft_allocate(*out_size);
  weft__kernel__pack(&m, *out_bytes);
  weft_arena_finish(&arena);
}

// ---- unpacking ----

static weft_status unpack_name(const char *name, size_t size, char *out) {
  size_t length = strlen(name);
  if (length >= size)
    return weft_error(WEFT_INVALID, "kernel: the name \"%.40s\" has %zu bytes; %zu at most", name, length, size - 1);
  memcpy(out, name, length + 1);
  return NULL;
}

static weft_block unpack_block(const Weft__KernelBlock *m) {
  if (!m) return (weft_block){0};
  return (weft_block){m->x, m->x_end, m->step_x, m->y, m->y_end, m->step_y};
}

static weft_status unpack_route(weft_kernel *kernel, const Weft__KernelRoute *m) {
  if (m->n_positions < 1 || m->n_positions > WEFT_SWITCH_POSITIONS)
    return weft_error(WEFT_INVALID, "kernel: a route of %zu positions; 1 to %d are possible", m->n_positions,
                      WEFT_SWITCH_POSITIONS);
  weft_route *route = weft_kernel_route(kernel, unpack_block(m->block), m->colour, WEFT_RAMP, 0);
  route->position_count = 0;
  for (size_t p = 0; p < m->n_positions; ++p) {
    if (m->positions[p] >= 8u << WEFT_PORTS)
      return weft_error(WEFT_INVALID, "kernel: a route's position is %u; expected less than %u", m->positions[p],
                        8u << WEFT_PORTS);
    weft_route_then(route, (weft_port)(m->positions[p] % 8), m->positions[p] / 8);
  }
  route->ring = m->ring;
  return NULL;
}

static weft_status unpack_array(weft_kernel *kernel, uint32_t program, const Weft__KernelArray *m) {
  char name[WEFT_KERNEL_NAME];
  WEFT_TRY(unpack_name(m->name, sizeof name, name));
  uint32_t index = weft_kernel_array(kernel, program, name, (weft_dtype)m->dtype, m->length);
  weft_array *a = weft_kernel_array_at(kernel, program, index);
  a->address = minus_one(m->address);
  a->skew = m->skew;
  a->input = m->input;
  a->output = m->output;
  memcpy(&a->fill, &m->fill, sizeof a->fill);
  return NULL;
}

static weft_status unpack_register(weft_kernel *kernel, uint32_t program, const Weft__KernelRegister *m) {
  char name[WEFT_KERNEL_NAME];
  WEFT_TRY(unpack_name(m->name, sizeof name, name));
  uint32_t index = weft_kernel_integer(kernel, program, name, m->start, m->per_x, m->per_y);
  weft_register *r = &kernel->programs[program].registers[index];
  r->dtype = (weft_dtype)m->dtype;
  r->bits = m->bits;
  return NULL;
}

static weft_operand unpack_operand(const Weft__KernelOperand *m) {
  weft_operand o = {.kind = (weft_operand_kind)m->kind, .dtype = (weft_dtype)m->dtype, .offset_register = WEFT_NOTHING};
  if (o.kind == WEFT_MEMORY) {
    o.array = m->index;
    o.offset = m->offset;
    o.stride = m->stride;
    o.outer_stride = m->outer_stride;
    o.inner = m->inner;
    o.offset_register = minus_one(m->offset_register);
    o.offset_scale = m->offset_scale;
  } else if (o.kind == WEFT_CONSTANT) {
    o.bits = m->bits;
  } else {
    o.index = m->index;
    o.packed = m->packed;
    o.advance = m->advance;
  }
  return o;
}

static weft_status unpack_instruction(weft_kernel *kernel, uint32_t program, const Weft__KernelInstruction *m) {
  if (m->kind >= WEFT_INSTRUCTION_KINDS)
    return weft_error(WEFT_INVALID, "kernel: kind of instruction %u; %d are known", m->kind, WEFT_INSTRUCTION_KINDS);
  weft_instruction_kind kind = (weft_instruction_kind)m->kind;
  if (m->n_operands != operand_count(kind))
    return weft_error(WEFT_INVALID, "kernel: %s with %zu operands; it has %u", weft_instruction_name(kind),
                      m->n_operands, operand_count(kind));
  weft_operand o[4] = {{.offset_register = WEFT_NOTHING},
                       {.offset_register = WEFT_NOTHING},
                       {.offset_register = WEFT_NOTHING},
                       {.offset_register = WEFT_NOTHING}};
  for (size_t n = 0; n < m->n_operands; ++n) o[n] = unpack_operand(m->operands[n]);
  weft_instruction *i = weft_emit(kernel, program, kind, m->count, o[0], o[1], o[2], o[3]);
  if (!weft_instruction_is_vector(kind) || m->count_register > 0) i->count = 1;
  i->count_register = minus_one(m->count_register);
  i->microthread = minus_one(m->microthread);
  i->task = minus_one(m->task);
  i->compare = (weft_relation)m->compare;
  i->form = (weft_loop_form)m->form;
  return NULL;
}

static weft_status unpack_task(weft_kernel *kernel, uint32_t program, const Weft__KernelTask *m) {
  char name[WEFT_KERNEL_NAME];
  WEFT_TRY(unpack_name(m->name, sizeof name, name));
  uint32_t index = weft_kernel_task(kernel, program, name, (weft_trigger)m->trigger);
  weft_task *t = weft_kernel_task_at(kernel, program, index);
  if (t->trigger == WEFT_BY_WAVELET || t->trigger == WEFT_BY_CONTROL) t->colour = m->colour;
  if (t->trigger == WEFT_BY_WAVELET) t->data = m->data;
  t->blocked = m->blocked;
  for (size_t i = 0; i < m->n_code; ++i) WEFT_TRY(unpack_instruction(kernel, program, m->code[i]));
  return NULL;
}

static weft_status unpack_program(weft_kernel *kernel, const Weft__KernelProgram *m) {
  char name[WEFT_KERNEL_NAME];
  WEFT_TRY(unpack_name(m->name, sizeof name, name));
  uint32_t program = weft_kernel_program(kernel, name);
  for (size_t b = 0; b < m->n_blocks; ++b) weft_kernel_place(kernel, program, unpack_block(m->blocks[b]));
  for (size_t a = 0; a < m->n_arrays; ++a) WEFT_TRY(unpack_array(kernel, program, m->arrays[a]));
  for (size_t r = 0; r < m->n_registers; ++r) WEFT_TRY(unpack_register(kernel, program, m->registers[r]));
  for (size_t t = 0; t < m->n_tasks; ++t) WEFT_TRY(unpack_task(kernel, program, m->tasks[t]));
  return NULL;
}

static weft_status unpack_channel(weft_kernel *kernel, const Weft__KernelChannel *m) {
  weft_channel c = {.into_mesh = m->into_mesh,
                    .x = m->x,
                    .y = m->y,
                    .port = m->port < WEFT_PORTS ? (uint8_t)m->port : WEFT_PORTS,
                    .colour = m->colour,
                    .words = m->words,
                    .cycles_per_word = m->cycles_per_word};
  WEFT_TRY(unpack_name(m->name, sizeof c.name, c.name));
  weft_kernel_channel(kernel, c);
  return NULL;
}

static weft_status unpack_message(weft_kernel *kernel, const Weft__Kernel *m) {
  if (m->version != VERSION)
    return weft_error(WEFT_INVALID, "kernel: version %u; this program reads version %d", m->version, VERSION);
  WEFT_TRY(unpack_name(m->name, sizeof kernel->name, kernel->name));
  kernel->columns = m->columns;
  kernel->rows = m->rows;
  for (size_t r = 0; r < m->n_routes; ++r) WEFT_TRY(unpack_route(kernel, m->routes[r]));
  for (size_t p = 0; p < m->n_programs; ++p) WEFT_TRY(unpack_program(kernel, m->programs[p]));
  for (size_t c = 0; c < m->n_channels; ++c) WEFT_TRY(unpack_channel(kernel, m->channels[c]));
  return NULL;
}

weft_status weft_kernel_unpack(const void *bytes, size_t size, weft_kernel **out_kernel) {
  Weft__Kernel *m = weft__kernel__unpack(NULL, size, bytes);
  if (!m) return weft_error(WEFT_INVALID, "not a kernel: %zu bytes that are no weft.Kernel message", size);
  weft_kernel *kernel = weft_kernel_create("", 0, 0);
  weft_status status = unpack_message(kernel, m);
  weft__kernel__free_unpacked(m, NULL);
  if (status) {
    weft_kernel_destroy(kernel);
    return status;
  }
  *out_kernel = kernel;
  return NULL;
}

// ---- files ----

weft_status weft_kernel_read(const char *path, const char *const *settings, uint32_t setting_count,
                             weft_kernel **out_kernel) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status;
  if (file.size > 0 && file.bytes[0] == FIRST_BYTE) {
    status = setting_count == 0
                 ? weft_kernel_unpack(file.bytes, file.size, out_kernel)
                 : weft_error(WEFT_INVALID, "setting %s: a packed kernel has no parameters", settings[0]);
    status = weft_status_prefix(status, "%s: ", path);
  } else if (file.size > 0 && memchr(file.bytes, 0, file.size)) {
    status = weft_error(WEFT_INVALID, "%s: neither a kernel's text (it has a zero byte) nor a packed kernel", path);
  } else {
    char *text = weft_allocate(file.size + 1);
    memcpy(text, file.bytes, file.size);
    status = weft_kernel_parse(text, path, settings, setting_count, out_kernel);
    free(text);
  }
  weft_mapping_close(&file);
  return status;
}

weft_status weft_kernel_write(const weft_kernel *kernel, const char *path) {
  void *bytes;
  size_t size;
  weft_kernel_pack(kernel, &bytes, &size);
  weft_status status = weft_file_write(path, bytes, size);
  free(bytes);
  return status;
}

uint64_t weft_kernel_hash(const weft_kernel *kernel) {
  void *bytes;
  size_t size;
  weft_kernel_pack(kernel, &bytes, &size);
  uint64_t hash = weft_hash_bytes(bytes, size);
  free(bytes);
  return hash;
}
