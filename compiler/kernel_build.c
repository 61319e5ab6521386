// Building kernels: everything is appended; weft_kernel_check judges the whole.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/kernel.h"

static const weft_operand absent = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};

static void set_name(char *to, size_t size, const char *name) {
  size_t length = strlen(name);
  if (length > size - 1) length = size - 1;
  memcpy(to, name, length);
  to[length] = 0;
}

static weft_program *program_at(weft_kernel *kernel, uint32_t program) {
  assert(program < kernel->program_count);
  return &kernel->programs[program];
}

weft_kernel *weft_kernel_create(const char *name, uint32_t columns, uint32_t rows) {
  weft_kernel *kernel = weft_allocate(sizeof *kernel);
  set_name(kernel->name, sizeof kernel->name, name);
  kernel->columns = columns;
  kernel->rows = rows;
  return kernel;
}

void weft_kernel_destroy(weft_kernel *kernel) {
  if (!kernel) return;
  for (uint32_t p = 0; p < kernel->program_count; ++p) {
    weft_program *program = &kernel->programs[p];
    free(program->blocks);
    free(program->arrays);
    free(program->registers);
    free(program->tasks);
    free(program->code);
  }
  free(kernel->routes);
  free(kernel->programs);
  free(kernel->channels);
  free(kernel);
}

weft_block weft_block_all(const weft_kernel *kernel) { return weft_block_of(0, kernel->columns, 0, kernel->rows); }

weft_block weft_block_one(uint32_t x, uint32_t y) { return weft_block_of(x, x + 1, y, y + 1); }

weft_block weft_block_of(uint32_t x, uint32_t x_end, uint32_t y, uint32_t y_end) {
  return (weft_block){.x = x, .x_end = x_end, .step_x = 1, .y = y, .y_end = y_end, .step_y = 1};
}

// Grows `array` by one zeroed element and returns it.
#define APPEND(array, count)                                                                                  \
  ((array) = weft_grow((array), (count) + 1, sizeof *(array)), memset(&(array)[(count)], 0, sizeof *(array)), \
   &(array)[(count)++])

weft_route *weft_kernel_route(weft_kernel *kernel, weft_block block, uint32_t colour, weft_port from,
                              uint32_t to_mask) {
  weft_route *route = APPEND(kernel->routes, kernel->route_count);
  route->block = block;
  route->colour = colour;
  weft_route_then(route, from, to_mask);
  return route;
}

void weft_route_then(weft_route *route, weft_port from, uint32_t to_mask) {
  // One too many is kept out of the array and found by the check.
  if (route->position_count < WEFT_SWITCH_POSITIONS)
    route->positions[route->position_count] = (weft_position){.from = (uint8_t)from, .to = (uint8_t)to_mask};
  ++route->position_count;
}

uint32_t weft_kernel_program(weft_kernel *kernel, const char *name) {
  weft_program *program = APPEND(kernel->programs, kernel->program_count);
  set_name(program->name, sizeof program->name, name);
  return kernel->program_count - 1;
}

void weft_kernel_place(weft_kernel *kernel, uint32_t program, weft_block block) {
  weft_program *p = program_at(kernel, program);
  *APPEND(p->blocks, p->block_count) = block;
}

uint32_t weft_kernel_array(weft_kernel *kernel, uint32_t program, const char *name, weft_dtype dtype, uint32_t length) {
  weft_program *p = program_at(kernel, program);
  weft_array *array = APPEND(p->arrays, p->array_count);
  set_name(array->name, sizeof array->name, name);
  array->dtype = dtype;
  array->length = length;
  array->address = WEFT_NOTHING;
  return p->array_count - 1;
}

weft_array *weft_kernel_array_at(weft_kernel *kernel, uint32_t program, uint32_t array) {
  weft_program *p = program_at(kernel, program);
  assert(array < p->array_count);
  return &p->arrays[array];
}

static weft_register *add_register(weft_kernel *kernel, uint32_t program, const char *name, weft_dtype dtype) {
  weft_program *p = program_at(kernel, program);
  weft_register *reg = APPEND(p->registers, p->register_count);
  set_name(reg->name, sizeof reg->name, name);
  reg->dtype = dtype;
  return reg;
}

uint32_t weft_kernel_integer(weft_kernel *kernel, uint32_t program, const char *name, int32_t base, int32_t per_x,
                             int32_t per_y) {
  weft_register *reg = add_register(kernel, program, name, WEFT_I32);
  reg->base = base;
  reg->per_x = per_x;
  reg->per_y = per_y;
  return kernel->programs[program].register_count - 1;
}

uint32_t weft_kernel_real(weft_kernel *kernel, uint32_t program, const char *name, float value) {
  weft_register *reg = add_register(kernel, program, name, WEFT_F32);
  memcpy(&reg->bits, &value, sizeof value);
  return kernel->programs[program].register_count - 1;
}

uint32_t weft_kernel_task(weft_kernel *kernel, uint32_t program, const char *name, weft_trigger trigger) {
  weft_program *p = program_at(kernel, program);
  weft_task *task = APPEND(p->tasks, p->task_count);
  set_name(task->name, sizeof task->name, name);
  task->trigger = trigger;
  task->colour = task->data = WEFT_NOTHING;
  task->first = p->code_count;
  return p->task_count - 1;
}

weft_task *weft_kernel_task_at(weft_kernel *kernel, uint32_t program, uint32_t task) {
  weft_program *p = program_at(kernel, program);
  assert(task < p->task_count);
  return &p->tasks[task];
}

void weft_kernel_channel(weft_kernel *kernel, weft_channel channel) {
  *APPEND(kernel->channels, kernel->channel_count) = channel;
}

// ---- operands ----

weft_operand weft_all(const weft_kernel *kernel, uint32_t program, uint32_t array) {
  return weft_view_of(kernel, program, array, 0, 1);
}

weft_operand weft_view_of(const weft_kernel *kernel, uint32_t program, uint32_t array, int32_t offset, int32_t stride) {
  assert(program < kernel->program_count && array < kernel->programs[program].array_count);
  return (weft_operand){.kind = WEFT_MEMORY,
                        .dtype = kernel->programs[program].arrays[array].dtype,
                        .array = array,
                        .offset = offset,
                        .stride = stride,
                        .offset_register = WEFT_NOTHING};
}

weft_operand weft_moved(weft_operand view, uint32_t offset_register, int32_t scale) {
  view.offset_register = offset_register;
  view.offset_scale = scale;
  return view;
}

weft_operand weft_folded(weft_operand view, uint32_t inner, int32_t outer_stride) {
  view.inner = inner;
  view.outer_stride = outer_stride;
  return view;
}

weft_operand weft_value(const weft_kernel *kernel, uint32_t program, uint32_t reg) {
  assert(program < kernel->program_count && reg < kernel->programs[program].register_count);
  return (weft_operand){.kind = WEFT_REGISTER,
                        .dtype = kernel->programs[program].registers[reg].dtype,
                        .index = reg,
                        .offset_register = WEFT_NOTHING};
}

weft_operand weft_f32(float value) {
  weft_operand o = {.kind = WEFT_CONSTANT, .dtype = WEFT_F32, .offset_register = WEFT_NOTHING};
  memcpy(&o.bits, &value, sizeof value);
  return o;
}

weft_operand weft_i32(int32_t value) {
  weft_operand o = {.kind = WEFT_CONSTANT, .dtype = WEFT_I32, .offset_register = WEFT_NOTHING};
  memcpy(&o.bits, &value, sizeof value);
  return o;
}

weft_operand weft_receive(uint32_t colour, weft_dtype dtype) {
  return (weft_operand){.kind = WEFT_RECEIVE, .dtype = dtype, .index = colour, .offset_register = WEFT_NOTHING};
}

weft_operand weft_send(uint32_t colour, weft_dtype dtype) {
  return (weft_operand){.kind = WEFT_SEND, .dtype = dtype, .index = colour, .offset_register = WEFT_NOTHING};
}

weft_operand weft_packed(weft_operand wavelets) {
  wavelets.packed = true;
  return wavelets;
}

weft_operand weft_advancing(weft_operand send) {
  send.advance = true;
  return send;
}

// ---- instructions ----

weft_instruction *weft_emit(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind, uint32_t count,
                            weft_operand to, weft_operand a, weft_operand b, weft_operand c) {
  weft_program *p = program_at(kernel, program);
  assert(p->task_count > 0);
  weft_instruction *i = APPEND(p->code, p->code_count);
  *i = (weft_instruction){.kind = kind,
                          .to = to,
                          .a = a,
                          .b = b,
                          .c = c,
                          .count = count,
                          .count_register = WEFT_NOTHING,
                          .microthread = WEFT_NOTHING,
                          .task = WEFT_NOTHING,
                          .target = WEFT_NOTHING};
  ++p->tasks[p->task_count - 1].count;
  return i;
}

weft_instruction *weft_emit1(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind, uint32_t count,
                             weft_operand to, weft_operand a) {
  return weft_emit(kernel, program, kind, count, to, a, absent, absent);
}

weft_instruction *weft_emit2(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind, uint32_t count,
                             weft_operand to, weft_operand a, weft_operand b) {
  return weft_emit(kernel, program, kind, count, to, a, b, absent);
}

weft_instruction *weft_begin_loop(weft_kernel *kernel, uint32_t program, uint32_t counter, weft_operand first,
                                  weft_operand end, int32_t step) {
  return weft_emit(kernel, program, WEFT_DO_LOOP, 1, weft_value(kernel, program, counter), first, end, weft_i32(step));
}

weft_instruction *weft_begin_if(weft_kernel *kernel, uint32_t program, weft_operand a, weft_relation compare,
                                weft_operand b) {
  weft_instruction *i = weft_emit(kernel, program, WEFT_DO_IF, 1, absent, a, b, absent);
  i->compare = compare;
  return i;
}

void weft_begin_else(weft_kernel *kernel, uint32_t program) {
  (void)weft_emit(kernel, program, WEFT_DO_ELSE, 1, absent, absent, absent, absent);
}

void weft_end(weft_kernel *kernel, uint32_t program) {
  (void)weft_emit(kernel, program, WEFT_DO_END, 1, absent, absent, absent, absent);
}

void weft_activate(weft_kernel *kernel, uint32_t program, uint32_t task) {
  weft_emit(kernel, program, WEFT_DO_ACTIVATE, 1, absent, absent, absent, absent)->task = task;
}
