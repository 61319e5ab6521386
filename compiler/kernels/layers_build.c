// Programs by place, and the data flows on lines of cores that kernels of layers are made of.
#include <stdio.h>
#include <string.h>

#include "compiler/kernels/layers_internal.h"

static const weft_operand absent = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};

// ---- programs

static uint32_t places(uint32_t length, core_place out_places[4]) {
  uint32_t count = 0;
  if (length == 1) {
    out_places[count++] = (core_place){0, 1, 1, 0, true, true};
    return count;
  }
  out_places[count++] = (core_place){0, 1, 1, 0, true, false};
  if (length > 2) out_places[count++] = (core_place){1, length - 1, 2, 1, false, false};
  if (length > 3) out_places[count++] = (core_place){2, length - 1, 2, 0, false, false};
  out_places[count++] = (core_place){length - 1, length, 1, (length - 1) % 2, false, true};
  return count;
}

void layers_emit(weft_kernel *kernel, weft_dtype dtype, emit_function *emit, const void *what) {
  core_place across[4], down[4];
  uint32_t columns = places(kernel->columns, across), rows = places(kernel->rows, down);
  for (uint32_t i = 0; i < columns; ++i)
    for (uint32_t j = 0; j < rows; ++j) {
      char name[WEFT_KERNEL_NAME];
      snprintf(name, sizeof name, "from_%u_%u", across[i].begin, down[j].begin);
      core c = {
          .kernel = kernel, .program = weft_kernel_program(kernel, name), .at = {across[i], down[j]}, .dtype = dtype};
      weft_kernel_place(kernel, c.program,
                        (weft_block){.x = across[i].begin,
                                     .x_end = across[i].end,
                                     .step_x = across[i].step,
                                     .y = down[j].begin,
                                     .y_end = down[j].end,
                                     .step_y = down[j].step});
      c.me[ALONG_ROW] = weft_kernel_integer(kernel, c.program, "at_x", 0, 1, 0);
      c.me[ALONG_COLUMN] = weft_kernel_integer(kernel, c.program, "at_y", 0, 0, 1);
      c.count = integer(&c, "line_words");
      (void)weft_kernel_task(kernel, c.program, "main", WEFT_AT_START);
      emit(&c, what);
    }
}

uint32_t operand_of(const core *c, const char *name, weft_dtype dtype, uint32_t length, bool input, bool output) {
  uint32_t array = array_of(c, name, dtype, length);
  weft_kernel_array_at(c->kernel, c->program, array)->input = input;
  weft_kernel_array_at(c->kernel, c->program, array)->output = output;
  return array;
}

uint32_t scalars_operand(const core *c, bool input, bool output) {
  return operand_of(c, "scalars", WEFT_F32, WEFT_LAYER_SCALARS, input, output);
}

// The array is declared once, by whoever asks first.
weft_operand step_scalar(const core *c, const char *name, weft_layer_scalar which) {
  const weft_program *program = &c->kernel->programs[c->program];
  uint32_t scalars = 0, r = weft_kernel_real(c->kernel, c->program, name, 0);
  while (scalars < program->array_count && strcmp(program->arrays[scalars].name, "scalars") != 0) ++scalars;
  if (scalars == program->array_count) scalars = scalars_operand(c, true, false);
  set(c, r, view(c, scalars, (int32_t)which, 0));
  return reg(c, r);
}

void vector3(const core *c, weft_instruction_kind kind, extent n, weft_operand to, weft_operand a, weft_operand b,
             weft_operand add) {
  weft_emit(c->kernel, c->program, kind, n.count, to, a, b, add)->count_register = n.by;
}

void vector2(const core *c, weft_instruction_kind kind, extent n, weft_operand to, weft_operand a, weft_operand b) {
  vector3(c, kind, n, to, a, b, absent);
}

void vector1(const core *c, weft_instruction_kind kind, extent n, weft_operand to, weft_operand a) {
  vector3(c, kind, n, to, a, absent, absent);
}

void scalar(const core *c, weft_instruction_kind kind, uint32_t to, weft_operand a, weft_operand b) {
  vector2(c, kind, fixed(1), reg(c, to), a, b);
}

void set(const core *c, uint32_t to, weft_operand from) { vector1(c, WEFT_DO_MOVE, fixed(1), reg(c, to), from); }

void loop(const core *c, uint32_t counter, weft_operand last) {
  (void)weft_begin_loop(c->kernel, c->program, counter, constant(0), last, 1);
}

void map(const core *c, uint32_t counter, int32_t first, weft_operand last) {
  weft_begin_loop(c->kernel, c->program, counter, constant(first), last, 1)->form = WEFT_MAP_LOOP;
}

void when(const core *c, weft_operand a, weft_relation compare, weft_operand b) {
  (void)weft_begin_if(c->kernel, c->program, a, compare, b);
}

uint32_t share(const core *c, const char *name, axis along, uint32_t total, uint32_t block) {
  int32_t step = -(int32_t)block;
  uint32_t r = weft_kernel_integer(c->kernel, c->program, name, (int32_t)total, along == ALONG_ROW ? step : 0,
                                   along == ALONG_COLUMN ? step : 0);
  scalar(c, WEFT_DO_MAXIMUM, r, reg(c, r), constant(0));
  scalar(c, WEFT_DO_MINIMUM, r, reg(c, r), constant((int32_t)block));
  return r;
}

uint32_t times(const core *c, const char *name, uint32_t number, uint32_t factor) {
  uint32_t r = integer(c, name);
  scalar(c, WEFT_DO_MULTIPLY, r, reg(c, number), constant((int32_t)factor));
  return r;
}

// ---- lines

static weft_port ahead(axis along, bool back) {
  return along == ALONG_ROW ? (back ? WEFT_WEST : WEFT_EAST) : (back ? WEFT_NORTH : WEFT_SOUTH);
}

static uint32_t mask(weft_port port) { return 1u << port; }

static uint32_t length_of(const weft_kernel *kernel, axis along) {
  return along == ALONG_ROW ? kernel->columns : kernel->rows;
}

// Every `step`-th core of [begin, end) of all lines.
static weft_block part(const weft_kernel *kernel, axis along, uint32_t begin, uint32_t stop, uint32_t step) {
  weft_block block = weft_block_all(kernel);
  if (along == ALONG_ROW) {
    block.x = begin;
    block.x_end = stop;
    block.step_x = step;
  } else {
    block.y = begin;
    block.y_end = stop;
    block.step_y = step;
  }
  return block;
}

chain chain_open(weft_kernel *kernel, colours *taken, axis along, bool back) {
  chain link = {along, back, {taken->next, taken->next + 1}};
  taken->next += 2;
  uint32_t length = length_of(kernel, along), first = back ? 1 : 0, stop = back ? length : length - 1;
  for (uint32_t parity = 0; parity < 2; ++parity) {
    uint32_t from = first + (parity + first) % 2;  // the first sender of this parity
    if (from >= stop) continue;
    uint32_t receiver = back ? from - 1 : from + 1;
    weft_kernel_route(kernel, part(kernel, along, from, stop, 2), link.colour[parity], WEFT_RAMP,
                      mask(ahead(along, back)));
    weft_kernel_route(kernel, part(kernel, along, receiver, back ? stop - 1 : stop + 1, 2), link.colour[parity],
                      ahead(along, !back), mask(WEFT_RAMP));
  }
  return link;
}

weft_operand chain_in(const core *c, const chain *link) {
  return weft_receive(link->colour[1 - c->at[link->along].parity], WEFT_F32);
}

weft_operand chain_out(const core *c, const chain *link) {
  return weft_send(link->colour[c->at[link->along].parity], WEFT_F32);
}

bool chain_has_in(const core *c, const chain *link) {
  return link->back ? !c->at[link->along].last : !c->at[link->along].first;
}

bool chain_has_out(const core *c, const chain *link) {
  return link->back ? !c->at[link->along].first : !c->at[link->along].last;
}

void chain_add(const core *c, const chain *link, extent n, uint32_t part) {
  if (chain_has_in(c, link)) {
    vector2(c, WEFT_DO_ADD, n, chain_out(c, link), chain_in(c, link), whole(c, part));
  } else {
    vector1(c, WEFT_DO_MOVE, n, chain_out(c, link), whole(c, part));
  }
}

// One channel per line; names are told apart by its number.
static void add_channel(weft_kernel *kernel, weft_channel channel, uint32_t number) {
  snprintf(channel.name, sizeof channel.name, "%s_%u", channel.into_mesh ? "in" : "out", number);
  channel.cycles_per_word = 1;
  weft_kernel_channel(kernel, channel);
}

void chain_enters(weft_kernel *kernel, const chain *link, uint64_t words) {
  weft_kernel_route(kernel, part(kernel, ALONG_COLUMN, 0, 1, 1), link->colour[1], WEFT_NORTH, mask(WEFT_RAMP));
  for (uint32_t x = 0; x < kernel->columns; ++x)
    add_channel(kernel,
                (weft_channel){
                    .into_mesh = true, .x = x, .y = 0, .port = WEFT_NORTH, .colour = link->colour[1], .words = words},
                x);
}

void chain_leaves(weft_kernel *kernel, const chain *link, uint64_t words) {
  uint32_t last = kernel->rows - 1, colour = link->colour[last % 2];
  weft_kernel_route(kernel, part(kernel, ALONG_COLUMN, last, last + 1, 1), colour, WEFT_RAMP, mask(WEFT_SOUTH));
  for (uint32_t x = 0; x < kernel->columns; ++x)
    add_channel(
        kernel,
        (weft_channel){.into_mesh = false, .x = x, .y = last, .port = WEFT_SOUTH, .colour = colour, .words = words}, x);
}

reduce reduce_open(weft_kernel *kernel, colours *taken, axis along) {
  reduce line = {chain_open(kernel, taken, along, false), taken->next++};
  uint32_t length = length_of(kernel, along);
  weft_port west = ahead(along, true), east = ahead(along, false);
  if (length == 1) return line;
  weft_kernel_route(kernel, part(kernel, along, length - 1, length, 1), line.back, WEFT_RAMP, mask(west));
  weft_kernel_route(kernel, part(kernel, along, 0, 1, 1), line.back, east, mask(WEFT_RAMP));
  if (length > 2)
    weft_kernel_route(kernel, part(kernel, along, 1, length - 1, 1), line.back, east, mask(west) | mask(WEFT_RAMP));
  return line;
}

void reduce_all(const core *c, const reduce *line, weft_instruction_kind kind, extent n, weft_operand values) {
  const chain *link = &line->forward;
  bool first = c->at[link->along].first, last = c->at[link->along].last;
  if (first && last) return;
  if (first) {
    vector1(c, WEFT_DO_MOVE, n, chain_out(c, link), values);
  } else {
    vector2(c, kind, n, last ? values : chain_out(c, link), chain_in(c, link), values);
  }
  if (last) {
    vector1(c, WEFT_DO_MOVE, n, weft_send(line->back, WEFT_F32), values);
  } else {
    vector1(c, WEFT_DO_MOVE, n, values, weft_receive(line->back, WEFT_F32));
  }
}

static void open_direction(weft_kernel *kernel, axis along, bool back, uint32_t colour) {
  uint32_t length = length_of(kernel, along), first = back ? length - 1 : 0, last = length - 1 - first;
  weft_port on = ahead(along, back), behind = ahead(along, !back);
  weft_kernel_route(kernel, part(kernel, along, first, first + 1, 1), colour, WEFT_RAMP, mask(on));
  weft_kernel_route(kernel, part(kernel, along, last, last + 1, 1), colour, behind, mask(WEFT_RAMP));
  if (length > 2) {
    weft_route *route = weft_kernel_route(kernel, part(kernel, along, 1, length - 1, 1), colour, WEFT_RAMP, mask(on));
    weft_route_then(route, behind, mask(on) | mask(WEFT_RAMP));
  }
}

gather gather_open(weft_kernel *kernel, colours *taken, axis along) {
  gather line = {along, taken->next, taken->next + 1, length_of(kernel, along)};
  taken->next += 2;
  if (line.length == 1) return line;
  open_direction(kernel, along, false, line.forward);
  open_direction(kernel, along, true, line.back);
  return line;
}

// One direction: own block out, the router opened for those behind. The last core only receives, so everybody's
// sending ends. True: blocks come in, the nearest core's first.
static bool send_own(const core *c, const gather *line, bool back, uint32_t block, uint32_t own) {
  core_place at = c->at[line->along];
  bool first = back ? at.last : at.first, last = back ? at.first : at.last;
  uint32_t colour = back ? line->back : line->forward;
  weft_dtype dtype = c->kernel->programs[c->program].arrays[own].dtype;
  if (!last) vector1(c, WEFT_DO_MOVE, fixed(block), weft_send(colour, dtype), whole(c, own));
  if (!last && !first)
    weft_emit2(c->kernel, c->program, WEFT_DO_SWITCH, 1, weft_send(colour, dtype), constant(0), constant(1));
  return !first;
}

// count = cores behind, in direction `back` or forward
static void count_behind(const core *c, const gather *line, bool back, uint32_t count) {
  weft_operand me = reg(c, c->me[line->along]);
  if (back) scalar(c, WEFT_DO_SUBTRACT, count, constant((int32_t)line->length - 1), me);
  if (!back) set(c, count, me);
}

static weft_operand incoming(const core *c, const gather *line, bool back, uint32_t own) {
  return weft_receive(back ? line->back : line->forward, c->kernel->programs[c->program].arrays[own].dtype);
}

static void pass(const core *c, const gather *line, bool back, uint32_t block, uint32_t own, uint32_t all) {
  if (!send_own(c, line, back, block, own)) return;
  uint32_t count = c->count, me = c->me[line->along];
  int32_t size = (int32_t)block;
  weft_operand to = back ? weft_moved(view(c, all, size, 1), me, size)
                         : weft_folded(weft_moved(view(c, all, -size, 1), me, size), block, -size);
  count_behind(c, line, back, count);
  scalar(c, WEFT_DO_MULTIPLY, count, reg(c, count), constant(size));
  vector1(c, WEFT_DO_MOVE, by(count), to, incoming(c, line, back, own));
}

void gather_all(const core *c, const gather *line, uint32_t block, uint32_t own, uint32_t all) {
  vector1(c, WEFT_DO_MOVE, fixed(block), row_of(c, all, c->me[line->along], block), whole(c, own));
  if (line->length == 1) return;
  pass(c, line, false, block, own, all);
  pass(c, line, true, block, own, all);
}

void gather_each(const core *c, const gather *line, uint32_t block, uint32_t own, take_function *take,
                 const void *what) {
  uint32_t source = integer(c, line->along == ALONG_ROW ? "source_x" : "source_y");
  uint32_t turn = integer(c, line->along == ALONG_ROW ? "turn_x" : "turn_y");
  set(c, source, reg(c, c->me[line->along]));
  take(c, what, source, own, incoming(c, line, false, own));
  for (int back = 0; back < 2 && line->length > 1; ++back) {
    if (!send_own(c, line, back == 1, block, own)) continue;
    count_behind(c, line, back == 1, c->count);
    set(c, source, reg(c, c->me[line->along]));
    loop(c, turn, reg(c, c->count));
    scalar(c, WEFT_DO_ADD, source, reg(c, source), constant(back ? 1 : -1));
    take(c, what, source, WEFT_NOTHING, incoming(c, line, back == 1, own));
    end(c);
  }
}

uint32_t stream_open(weft_kernel *kernel, colours *taken, axis along, uint64_t words) {
  uint32_t colour = taken->next++, length = length_of(kernel, along);
  weft_port behind = ahead(along, true);
  weft_kernel_route(kernel, part(kernel, along, length - 1, length, 1), colour, behind, mask(WEFT_RAMP));
  if (length > 1)
    weft_kernel_route(kernel, part(kernel, along, 0, length - 1, 1), colour, behind,
                      mask(WEFT_RAMP) | mask(ahead(along, false)));
  uint32_t lines = length_of(kernel, along == ALONG_ROW ? ALONG_COLUMN : ALONG_ROW);
  for (uint32_t i = 0; i < lines; ++i)
    add_channel(kernel,
                (weft_channel){.into_mesh = true,
                               .x = along == ALONG_ROW ? 0 : i,
                               .y = along == ALONG_ROW ? i : 0,
                               .port = (uint8_t)behind,
                               .colour = colour,
                               .words = words},
                i);
  return colour;
}
