// Judging a kernel as a whole: blocks, routes, channels, programs with their arrays, registers and tasks. Places arrays
// in SRAM, and freezes. What concerns single instructions is in kernel_check_code.c.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/kernel_internal.h"

enum { LARGEST_SIDE = 1 << 16, PLACED_BYTES = 16 };

// ---- names and blocks ----

// Names appear in quotes in messages and in the text form.
static weft_status check_name(const char *name, size_t size, const char *what) {
  size_t length = strnlen(name, size);
  if (length == 0) return weft_error(WEFT_INVALID, "%s has no name", what);
  if (length == size) return weft_error(WEFT_INVALID, "the name of %s has no end within %zu bytes", what, size);
  for (size_t i = 0; i < length; ++i)
    if ((unsigned char)name[i] < 0x20 || name[i] == '"' || name[i] == 0x7f)
      return weft_error(WEFT_INVALID, "the name of %s has byte 0x%02x; expected printable ones and no quote", what,
                        (unsigned char)name[i]);
  return NULL;
}

static weft_status check_range(uint32_t first, uint32_t end, uint32_t step, uint32_t side, const char *what) {
  if (first >= end || end > side)
    return weft_error(WEFT_INVALID, "covers %s %u to %u (not included); expected some of 0 to %u", what, first, end,
                      side);
  return step > 0 ? NULL : weft_error(WEFT_INVALID, "covers %s in steps of 0; expected 1 or more", what);
}

static weft_status check_block(const weft_kernel *kernel, const weft_block *b) {
  WEFT_TRY(check_range(b->x, b->x_end, b->step_x, kernel->columns, "columns"));
  return check_range(b->y, b->y_end, b->step_y, kernel->rows, "rows");
}

// The same members, said in one way: the end right behind the last one, no step for one alone.
static void tidy_range(uint32_t first, uint32_t *end, uint32_t *step) {
  *end -= (*end - first - 1) % *step;
  if (*end == first + 1) *step = 1;
}

static void tidy_block(weft_block *b) {
  tidy_range(b->x, &b->x_end, &b->step_x);
  tidy_range(b->y, &b->y_end, &b->step_y);
}

static bool covers_one(uint32_t at, uint32_t first, uint32_t end, uint32_t step) {
  return at >= first && at < end && (at - first) % step == 0;
}

static bool covers(const weft_block *b, uint32_t x, uint32_t y) {
  return covers_one(x, b->x, b->x_end, b->step_x) && covers_one(y, b->y, b->y_end, b->step_y);
}

// Whether two progressions have a member in common: solved by looking along the one with fewer members.
static bool meet_one(uint32_t a, uint32_t a_end, uint32_t a_step, uint32_t b, uint32_t b_end, uint32_t b_step) {
  if (a_end <= b || b_end <= a) return false;
  if ((a_end - a - 1) / a_step > (b_end - b - 1) / b_step) return meet_one(b, b_end, b_step, a, a_end, a_step);
  for (uint64_t at = a; at < a_end; at += a_step)
    if (covers_one((uint32_t)at, b, b_end, b_step)) return true;
  return false;
}

static bool meet(const weft_block *a, const weft_block *b) {
  return meet_one(a->x, a->x_end, a->step_x, b->x, b->x_end, b->step_x) &&
         meet_one(a->y, a->y_end, a->step_y, b->y, b->y_end, b->step_y);
}

// ---- routes and channels ----

// Channels in order of place, colour and port, so that one can be looked for.
typedef struct wires {
  const weft_channel **sorted;
  uint32_t count;
} wires;

static int compare_channels(const void *left, const void *right) {
  const weft_channel *a = *(const weft_channel *const *)left, *b = *(const weft_channel *const *)right;
  const uint32_t keys[][2] = {
      {a->y, b->y}, {a->x, b->x}, {a->port, b->port}, {a->colour, b->colour}, {a->into_mesh, b->into_mesh}};
  for (size_t k = 0; k < sizeof keys / sizeof *keys; ++k)
    if (keys[k][0] != keys[k][1]) return keys[k][0] < keys[k][1] ? -1 : 1;
  return 0;
}

static bool has_wire(const wires *w, uint32_t x, uint32_t y, weft_port port, uint32_t colour, bool into_mesh) {
  const weft_channel key = {.x = x, .y = y, .port = (uint8_t)port, .colour = colour, .into_mesh = into_mesh};
  const weft_channel *pointer = &key;
  return w->count > 0 && bsearch(&pointer, w->sorted, w->count, sizeof *w->sorted, compare_channels);
}

static bool leads_off(const weft_kernel *kernel, uint32_t x, uint32_t y, weft_port port) {
  switch (port) {
    case WEFT_NORTH: return y == 0;
    case WEFT_SOUTH: return y == kernel->rows - 1;
    case WEFT_WEST: return x == 0;
    case WEFT_EAST: return x == kernel->columns - 1;
    default: return false;
  }
}

// The route that holds at a router: the last of its colour that covers it.
static const weft_route *holding(const weft_kernel *kernel, uint32_t x, uint32_t y, uint32_t colour) {
  for (uint32_t r = kernel->route_count; r-- > 0;)
    if (kernel->routes[r].colour == colour && covers(&kernel->routes[r].block, x, y)) return &kernel->routes[r];
  return NULL;
}

static weft_status check_edge_router(const weft_kernel *kernel, const wires *w, const weft_route *route, uint32_t x,
                                     uint32_t y, weft_port port, bool inwards) {
  if (has_wire(w, x, y, port, route->colour, inwards) || holding(kernel, x, y, route->colour) != route) return NULL;
  return weft_error(WEFT_INVALID, "%s %s at router (%u, %u) is off the mesh of %u x %u, and no channel is there",
                    inwards ? "from" : "to", weft_port_name(port), x, y, kernel->columns, kernel->rows);
}

// Ports of a route that lead off the mesh need a channel at each router of the edge for which the route holds.
static weft_status check_edge(const weft_kernel *kernel, const wires *w, const weft_route *route, weft_port port,
                              bool inwards) {
  const weft_block *b = &route->block;
  if (port == WEFT_NORTH || port == WEFT_SOUTH) {
    uint32_t y = port == WEFT_NORTH ? 0 : kernel->rows - 1;
    if (!covers_one(y, b->y, b->y_end, b->step_y)) return NULL;
    for (uint64_t x = b->x; x < b->x_end; x += b->step_x)
      WEFT_TRY(check_edge_router(kernel, w, route, (uint32_t)x, y, port, inwards));
  } else if (port != WEFT_RAMP) {
    uint32_t x = port == WEFT_WEST ? 0 : kernel->columns - 1;
    if (!covers_one(x, b->x, b->x_end, b->step_x)) return NULL;
    for (uint64_t y = b->y; y < b->y_end; y += b->step_y)
      WEFT_TRY(check_edge_router(kernel, w, route, x, (uint32_t)y, port, inwards));
  }
  return NULL;
}

static weft_status check_route(const weft_kernel *kernel, const wires *w, const weft_route *route) {
  if (route->colour >= WEFT_COLOURS)
    return weft_error(WEFT_INVALID, "colour %u; there are %d (0 to %d)", route->colour, WEFT_COLOURS, WEFT_COLOURS - 1);
  WEFT_TRY(check_block(kernel, &route->block));
  if (route->position_count < 1 || route->position_count > WEFT_SWITCH_POSITIONS)
    return weft_error(WEFT_INVALID, "%u switch positions; 1 to %d are possible", route->position_count,
                      WEFT_SWITCH_POSITIONS);
  for (uint32_t p = 0; p < route->position_count; ++p) {
    const weft_position *position = &route->positions[p];
    if (position->from >= WEFT_PORTS || position->to == 0 || position->to >= 1u << WEFT_PORTS)
      return weft_error(WEFT_INVALID,
                        "position %u: from port %u to the ports of mask %u; expected a port and a mask of ports", p,
                        position->from, position->to);
    if (position->to & 1u << position->from)
      return weft_error(WEFT_INVALID, "position %u sends wavelets back to where they come from, %s", p,
                        weft_port_name((weft_port)position->from));
    WEFT_TRY(check_edge(kernel, w, route, (weft_port)position->from, true));
    for (uint32_t port = 0; port < WEFT_RAMP; ++port)
      if (position->to & 1u << port) WEFT_TRY(check_edge(kernel, w, route, (weft_port)port, false));
  }
  return NULL;
}

static weft_status check_channel(const weft_kernel *kernel, const weft_channel *c) {
  WEFT_TRY(check_name(c->name, sizeof c->name, "a channel"));
  if (c->x >= kernel->columns || c->y >= kernel->rows)
    return weft_error(WEFT_INVALID, "router (%u, %u) is not one of %u x %u", c->x, c->y, kernel->columns, kernel->rows);
  if (c->port >= WEFT_RAMP || !leads_off(kernel, c->x, c->y, (weft_port)c->port))
    return weft_error(WEFT_INVALID, "port %s of router (%u, %u) does not lead off the mesh",
                      weft_port_name((weft_port)c->port), c->x, c->y);
  if (c->colour >= WEFT_COLOURS)
    return weft_error(WEFT_INVALID, "colour %u; there are %d (0 to %d)", c->colour, WEFT_COLOURS, WEFT_COLOURS - 1);
  if (!(c->cycles_per_word >= 1) || !isfinite(c->cycles_per_word))
    return weft_error(WEFT_INVALID, "%g cycles per word; expected 1 or more", c->cycles_per_word);
  const weft_route *route = holding(kernel, c->x, c->y, c->colour);
  for (uint32_t p = 0; route && p < route->position_count && p < WEFT_SWITCH_POSITIONS; ++p)
    if (c->into_mesh ? route->positions[p].from == c->port : (route->positions[p].to & 1u << c->port) != 0) return NULL;
  return weft_error(WEFT_INVALID, "no route of colour %u at router (%u, %u) %s %s", c->colour, c->x, c->y,
                    c->into_mesh ? "takes wavelets from" : "sends wavelets to", weft_port_name((weft_port)c->port));
}

static weft_status check_channels(const weft_kernel *kernel, const wires *w) {
  for (uint32_t c = 0; c < kernel->channel_count; ++c) {
    const weft_channel *channel = &kernel->channels[c];
    weft_status status = check_channel(kernel, channel);
    for (uint32_t d = 0; d < c && !status; ++d)
      if (strcmp(kernel->channels[d].name, channel->name) == 0)
        status = weft_error(WEFT_INVALID, "another channel has the same name");
    WEFT_TRY(weft_status_prefix(status, "channel %u, \"%.31s\": ", c, channel->name));
  }
  for (uint32_t c = 1; c < w->count; ++c)
    if (compare_channels(&w->sorted[c - 1], &w->sorted[c]) == 0)
      return weft_error(WEFT_INVALID, "channels \"%s\" and \"%s\" are the same wire", w->sorted[c - 1]->name,
                        w->sorted[c]->name);
  return NULL;
}

static weft_status check_fabric(const weft_kernel *kernel) {
  wires w = {weft_allocate_array(kernel->channel_count, sizeof *w.sorted), kernel->channel_count};
  for (uint32_t c = 0; c < w.count; ++c) w.sorted[c] = &kernel->channels[c];
  if (w.count > 1) qsort(w.sorted, w.count, sizeof *w.sorted, compare_channels);
  weft_status status = NULL;
  // Blocks first: who looks for the route that holds at a router divides by their steps.
  for (uint32_t r = 0; r < kernel->route_count && !status; ++r)
    status = weft_status_prefix(check_block(kernel, &kernel->routes[r].block), "route %u, of colour %u: ", r,
                                kernel->routes[r].colour);
  for (uint32_t r = 0; r < kernel->route_count && !status; ++r)
    status = weft_status_prefix(check_route(kernel, &w, &kernel->routes[r]), "route %u, of colour %u: ", r,
                                kernel->routes[r].colour);
  if (!status) status = check_channels(kernel, &w);
  free(w.sorted);
  return status;
}

// ---- programs ----

static weft_status check_arrays(const weft_program *p) {
  for (uint32_t a = 0; a < p->array_count; ++a) {
    const weft_array *array = &p->arrays[a];
    WEFT_TRY(check_name(array->name, sizeof array->name, "an array"));
    if (!weft_kernel_holds(array->dtype))
      return weft_error(WEFT_INVALID, "array \"%s\" is of type %s; cores hold f32, f16, bf16 and i32", array->name,
                        array->dtype < WEFT_DTYPE_COUNT ? weft_dtype_name(array->dtype) : "?");
    if (array->length == 0) return weft_error(WEFT_INVALID, "array \"%s\" has no elements", array->name);
    if (array->dtype == WEFT_I32 && !(fabsf(array->fill) < 2147483648.0f))
      return weft_error(WEFT_INVALID, "array \"%s\" is filled with %g, which no i32 holds", array->name,
                        (double)array->fill);
    uint32_t bytes = weft_dtype_block_bytes(array->dtype);
    if (array->skew % bytes != 0 || (array->address != WEFT_NOTHING && array->address % bytes != 0))
      return weft_error(WEFT_INVALID, "array \"%s\": address or skew is not a multiple of its elements' %u bytes",
                        array->name, bytes);
    for (uint32_t b = 0; b < a; ++b)
      if (strcmp(p->arrays[b].name, array->name) == 0)
        return weft_error(WEFT_INVALID, "two arrays are called \"%s\"", array->name);
  }
  return NULL;
}

static weft_status check_registers(const weft_program *p) {
  if (p->register_count > WEFT_KERNEL_REGISTERS)
    return weft_error(WEFT_INVALID, "%u registers; a core has %d", p->register_count, WEFT_KERNEL_REGISTERS);
  for (uint32_t r = 0; r < p->register_count; ++r) {
    const weft_register *reg = &p->registers[r];
    WEFT_TRY(check_name(reg->name, sizeof reg->name, "a register"));
    if (reg->dtype != WEFT_I32 && reg->dtype != WEFT_F32)
      return weft_error(WEFT_INVALID, "register \"%s\" is neither i32 nor f32", reg->name);
    for (uint32_t q = 0; q < r; ++q)
      if (strcmp(p->registers[q].name, reg->name) == 0)
        return weft_error(WEFT_INVALID, "two registers are called \"%s\"", reg->name);
    for (uint32_t a = 0; a < p->array_count; ++a)
      if (strcmp(p->arrays[a].name, reg->name) == 0)
        return weft_error(WEFT_INVALID, "an array and a register are called \"%s\"", reg->name);
  }
  return NULL;
}

static weft_status check_task(const weft_program *p, uint32_t t) {
  const weft_task *task = &p->tasks[t];
  WEFT_TRY(check_name(task->name, sizeof task->name, "a task"));
  if (task->trigger > WEFT_BY_CONTROL)
    return weft_error(WEFT_INVALID, "task \"%s\": trigger %u is unknown", task->name, (unsigned)task->trigger);
  bool coloured = task->trigger == WEFT_BY_WAVELET || task->trigger == WEFT_BY_CONTROL;
  if (coloured && task->colour >= WEFT_COLOURS)
    return weft_error(WEFT_INVALID, "task \"%s\": colour %u; there are %d (0 to %d)", task->name, task->colour,
                      WEFT_COLOURS, WEFT_COLOURS - 1);
  if (task->trigger == WEFT_BY_WAVELET && task->data >= p->register_count)
    return weft_error(WEFT_INVALID, "task \"%s\": a wavelet's bits go into a register; %u is none of %u", task->name,
                      task->data, p->register_count);
  for (uint32_t s = 0; s < t; ++s) {
    if (strcmp(p->tasks[s].name, task->name) == 0)
      return weft_error(WEFT_INVALID, "two tasks are called \"%s\"", task->name);
    if (coloured && p->tasks[s].trigger == task->trigger && p->tasks[s].colour == task->colour)
      return weft_error(WEFT_INVALID, "tasks \"%s\" and \"%s\" both run on colour %u", p->tasks[s].name, task->name,
                        task->colour);
  }
  return NULL;
}

static weft_status check_tasks(const weft_program *p) {
  if (p->task_count > WEFT_KERNEL_TASKS)
    return weft_error(WEFT_INVALID, "%u tasks; a core has %d", p->task_count, WEFT_KERNEL_TASKS);
  bool begins = p->task_count == 0;
  uint64_t next = 0;
  for (uint32_t t = 0; t < p->task_count; ++t) {
    WEFT_TRY(check_task(p, t));
    if (p->tasks[t].trigger != WEFT_BY_ACTIVATION) begins = true;
    if (p->tasks[t].first != next)
      return weft_error(WEFT_INVALID, "task \"%s\" begins at instruction %u; the one before ends at %" PRIu64,
                        p->tasks[t].name, p->tasks[t].first, next);
    next += p->tasks[t].count;
  }
  if (next != p->code_count)
    return weft_error(WEFT_INVALID, "%u instructions, of which the tasks have %" PRIu64, p->code_count, next);
  return begins ? NULL
                : weft_error(WEFT_INVALID,
                             "no task begins at the start, on a wavelet or on a control wavelet: none "
                             "would ever run");
}

// A colour that no core of the program can send (or receive), outside of ifs.
static weft_status check_reach(const weft_kernel *kernel, const weft_program *p) {
  uint32_t sends, receives;
  weft_program_colours(p, &sends, &receives);
  for (uint32_t r = 0; r < kernel->route_count && (sends | receives) != 0; ++r) {
    const weft_route *route = &kernel->routes[r];
    uint32_t bit = 1u << route->colour;
    if (!((sends | receives) & bit)) continue;
    bool here = false;
    for (uint32_t b = 0; b < p->block_count && !here; ++b) here = meet(&p->blocks[b], &route->block);
    for (uint32_t n = 0; n < route->position_count && here; ++n) {
      if (route->positions[n].from == WEFT_RAMP) sends &= ~bit;
      if (route->positions[n].to & 1u << WEFT_RAMP) receives &= ~bit;
    }
  }
  uint32_t lost = sends ? sends : receives, colour = 0;
  if (lost == 0) return NULL;
  while (!(lost & 1u << colour)) ++colour;
  return weft_error(WEFT_INVALID, "%s colour %u, but at none of its cores does a route of that colour %s the ramp",
                    sends ? "sends" : "receives", colour, sends ? "come from" : "lead to");
}

// ---- places in SRAM ----

// First place from `from` on where the array meets none that has its address already. Explicit addresses may meet each
// other: that is how two arrays share memory.
static uint64_t free_place(const weft_program *p, const bool *given, uint64_t from, uint64_t bytes, uint32_t skew) {
  uint64_t at = (from + PLACED_BYTES - 1) / PLACED_BYTES * PLACED_BYTES + skew;
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t a = 0; a < p->array_count; ++a) {
      const weft_array *other = &p->arrays[a];
      uint64_t end = other->address + (uint64_t)other->length * weft_dtype_block_bytes(other->dtype);
      if (!given[a] || at >= end || at + bytes <= other->address) continue;
      at = (end + PLACED_BYTES - 1) / PLACED_BYTES * PLACED_BYTES + skew;
      moved = true;
    }
  }
  return at;
}

static weft_status place_arrays(weft_program *p, uint64_t sram_bytes) {
  bool *given = weft_allocate_array(p->array_count, sizeof *given);
  for (uint32_t a = 0; a < p->array_count; ++a) given[a] = p->arrays[a].address != WEFT_NOTHING;
  uint64_t next = 0, end = 0;
  const weft_array *largest = NULL;
  for (uint32_t a = 0; a < p->array_count; ++a) {
    weft_array *array = &p->arrays[a];
    uint64_t bytes = (uint64_t)array->length * weft_dtype_block_bytes(array->dtype);
    uint64_t at = given[a] ? array->address : free_place(p, given, next, bytes, array->skew);
    if (!given[a]) next = at + bytes;
    if (at + bytes > end) end = at + bytes;
    if (!largest || bytes > (uint64_t)largest->length * weft_dtype_block_bytes(largest->dtype)) largest = array;
    array->address = at < WEFT_NOTHING ? (uint32_t)at : 0;
  }
  free(given);
  uint64_t most = sram_bytes > 0 && sram_bytes < INT32_MAX ? sram_bytes : INT32_MAX;
  if (end > most)
    return weft_error(WEFT_INFEASIBLE,
                      "arrays end at byte %" PRIu64 " of SRAM, and a core has %" PRIu64
                      "; the largest is \"%s\" with %u elements of %s",
                      end, most, largest->name, largest->length, weft_dtype_name(largest->dtype));
  p->sram_bytes = (uint32_t)end;
  return NULL;
}

static weft_status check_program(weft_kernel *kernel, uint32_t program, uint64_t sram_bytes) {
  weft_program *p = &kernel->programs[program];
  if (p->block_count == 0) return weft_error(WEFT_INVALID, "is placed on no core");
  for (uint32_t b = 0; b < p->block_count; ++b) WEFT_TRY(check_block(kernel, &p->blocks[b]));
  WEFT_TRY(check_arrays(p));
  WEFT_TRY(check_registers(p));
  WEFT_TRY(check_tasks(p));
  return place_arrays(p, sram_bytes);
}

weft_status weft_kernel_check(weft_kernel *kernel, uint64_t sram_bytes) {
  kernel->checked = false;
  WEFT_TRY(check_name(kernel->name, sizeof kernel->name, "the kernel"));
  if (kernel->columns < 1 || kernel->rows < 1 || kernel->columns > LARGEST_SIDE || kernel->rows > LARGEST_SIDE)
    return weft_error(WEFT_INVALID, "kernel \"%s\": a mesh of %u x %u; expected sides of 1 to %d", kernel->name,
                      kernel->columns, kernel->rows, LARGEST_SIDE);
  WEFT_TRY(weft_status_prefix(check_fabric(kernel), "kernel \"%s\": ", kernel->name));
  for (uint32_t n = 0; n < kernel->program_count; ++n) {
    const weft_program *p = &kernel->programs[n];
    weft_status status = check_name(p->name, sizeof p->name, "a program");
    if (!status) status = weft_status_prefix(check_program(kernel, n, sram_bytes), "program \"%s\": ", p->name);
    if (!status) status = weft_kernel_check_code(kernel, n);
    if (!status) status = weft_status_prefix(check_reach(kernel, p), "program \"%s\": ", p->name);
    WEFT_TRY(weft_status_prefix(status, "kernel \"%s\": ", kernel->name));
  }
  for (uint32_t r = 0; r < kernel->route_count; ++r) tidy_block(&kernel->routes[r].block);
  for (uint32_t p = 0; p < kernel->program_count; ++p)
    for (uint32_t b = 0; b < kernel->programs[p].block_count; ++b) tidy_block(&kernel->programs[p].blocks[b]);
  kernel->checked = true;
  return NULL;
}
