// Where things are, in the text form of kernels: blocks of cores, routes, channels.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compiler/kernel_text.h"

// ---- blocks ----

// "3", "1..6", "0..7 step 2", "all". *out_end equals *out_first where the range is empty.
static weft_status read_range(weft_parser *parser, uint32_t side, const char *what, uint32_t *out_first,
                              uint32_t *out_end, uint32_t *out_step) {
  int64_t first, last, step = 1;
  *out_step = 1;
  if (weft_accept_word(parser, "all")) {
    *out_first = 0;
    *out_end = side;
    return NULL;
  }
  const weft_token *token = weft_peek(parser);
  WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, what, &first));
  last = first;
  bool ranged = weft_accept_sign(parser, WEFT_SIGN2('.', '.'));
  if (ranged) WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, what, &last));
  if (ranged && weft_accept_word(parser, "step")) WEFT_TRY(weft_text_whole(parser, 1, INT32_MAX, "a step", &step));
  // 1..0 is nothing, as 1..cores - 2 is where there are two; 3..0 is a mistake.
  bool empty = last < first && last >= first - step;
  if (!empty && (first < 0 || last < first || last >= side))
    return ranged ? weft_text_error(parser, token, "%ss %" PRId64 " to %" PRId64 "; the mesh has 0 to %u", what, first,
                                    last, side - 1)
                  : weft_text_error(parser, token, "%s %" PRId64 "; the mesh has 0 to %u", what, first, side - 1);
  *out_first = empty ? 0 : (uint32_t)first;
  *out_end = empty ? 0 : (uint32_t)last + 1;
  *out_step = (uint32_t)step;
  return NULL;
}

static weft_status read_block(weft_parser *parser, weft_block *out) {
  const weft_kernel *k = parser->kernel;
  if (k->columns == 0) return weft_text_error(parser, weft_peek(parser), "the mesh comes first: mesh COLUMNS by ROWS");
  bool all = weft_token_is(weft_peek(parser), "all");
  WEFT_TRY(read_range(parser, k->columns, "column", &out->x, &out->x_end, &out->step_x));
  if (all && !(weft_peek(parser)->kind == WEFT_TOKEN_SIGN && weft_peek(parser)->sign == ',')) {
    *out = weft_block_all(k);
    return NULL;
  }
  WEFT_TRY(weft_expect_sign(parser, ','));
  return read_range(parser, k->rows, "row", &out->y, &out->y_end, &out->step_y);
}

static bool is_empty(const weft_block *b) { return b->x >= b->x_end || b->y >= b->y_end; }

// ---- where ----

// Numbers first, first + step, ... , last.
typedef struct run {
  uint32_t first, last, step;
} run;

// The members of a set as runs, greedily. `runs` has room for one per member.
static uint32_t find_runs(bool *members, uint32_t side, run *runs) {
  uint32_t count = 0;
  for (uint32_t at = 0; at < side; ++at) {
    if (!members[at]) continue;
    uint32_t next = at + 1;
    while (next < side && !members[next]) ++next;
    run r = {at, at, next < side ? next - at : 1};
    for (; r.last < side && members[r.last]; r.last += r.step) members[r.last] = false;
    r.last -= r.step;
    runs[count++] = r;
  }
  return count;
}

enum { MOST_ASKED = 1 << 22 };  // cores; a wafer has less than a quarter of it

// Rows for which the condition says the same are of one kind.
typedef struct row_kind {
  uint32_t first, count;  // its runs in `kept`
} row_kind;

typedef struct choice {
  weft_parser *parser;
  const weft_node *condition;
  bool of_x, of_y;  // what the condition asks for
  bool *members;    // of a row, then rows of a kind
  run *runs;        // likewise
  run *kept;        // of all kinds, one after the other
  row_kind *kinds;
  uint32_t *kind_of;  // each row's
  uint32_t kept_count, kind_count;
  uint32_t whole_row[2];  // kind of a row without and with all cores, where x is not asked for
  weft_block *blocks;
  uint32_t block_count;
} choice;

static uint32_t find_kind(choice *c, uint32_t side) {
  uint32_t count = find_runs(c->members, side, c->runs);
  for (uint32_t k = 0; k < c->kind_count; ++k)
    if (c->kinds[k].count == count && memcmp(&c->kept[c->kinds[k].first], c->runs, count * sizeof *c->runs) == 0)
      return k;
  c->kept = weft_grow(c->kept, c->kept_count + count + 1, sizeof *c->kept);
  memcpy(&c->kept[c->kept_count], c->runs, count * sizeof *c->runs);
  c->kinds = weft_grow(c->kinds, c->kind_count + 1, sizeof *c->kinds);
  c->kinds[c->kind_count] = (row_kind){c->kept_count, count};
  c->kept_count += count;
  return c->kind_count++;
}

static weft_status choose_in_row(choice *c, const weft_block *b, uint32_t y) {
  bool holds = false;
  WEFT_TRY(weft_text_holds(c->parser, c->condition, b->x, y, &holds));
  if (!c->of_x && c->whole_row[holds] != WEFT_NOTHING) {
    c->kind_of[y] = c->whole_row[holds];
    return NULL;
  }
  memset(c->members, 0, b->x_end);
  for (uint64_t x = b->x; x < b->x_end; x += b->step_x) {
    if (c->of_x) WEFT_TRY(weft_text_holds(c->parser, c->condition, (uint32_t)x, y, &holds));
    c->members[x] = holds;
  }
  c->kind_of[y] = find_kind(c, b->x_end);
  c->whole_row[holds] = c->kind_of[y];
  return NULL;
}

static void add_kind(choice *c, const weft_block *b, uint32_t kind) {
  memset(c->members, 0, b->y_end);
  for (uint64_t y = b->y; y < b->y_end; y += b->step_y) c->members[y] = c->kind_of[y] == kind;
  uint32_t rows = find_runs(c->members, b->y_end, c->runs);
  for (uint32_t r = 0; r < rows; ++r)
    for (uint32_t k = 0; k < c->kinds[kind].count; ++k) {
      const run *in_x = &c->kept[c->kinds[kind].first + k], *in_y = &c->runs[r];
      c->blocks = weft_grow(c->blocks, c->block_count + 1, sizeof *c->blocks);
      c->blocks[c->block_count++] =
          (weft_block){in_x->first, in_x->last + 1, in_x->step, in_y->first, in_y->last + 1, in_y->step};
    }
}

static weft_status choose_in_block(choice *c, const weft_block *b) {
  uint64_t columns = (b->x_end - b->x - 1) / b->step_x + 1, rows = (b->y_end - b->y - 1) / b->step_y + 1;
  if (c->of_x && c->of_y && columns * rows > MOST_ASKED)
    return weft_text_error(c->parser, c->condition->token, "%" PRIu64 " cores are too many for a condition; at most %d",
                           columns * rows, MOST_ASKED);
  c->kept_count = c->kind_count = 0;
  c->whole_row[0] = c->whole_row[1] = WEFT_NOTHING;
  for (uint64_t y = b->y; y < b->y_end; y += b->step_y) {
    if (c->of_y || y == b->y)
      WEFT_TRY(choose_in_row(c, b, (uint32_t)y));
    else
      c->kind_of[y] = c->kind_of[b->y];
  }
  for (uint32_t k = 0; k < c->kind_count; ++k) add_kind(c, b, k);
  return NULL;
}

// "where CONDITION" of x and y: the blocks become those of the cores for which it holds.
static weft_status choose(weft_parser *parser, weft_block **blocks, uint32_t *count) {
  const weft_kernel *kernel = parser->kernel;
  uint32_t side = kernel->columns > kernel->rows ? kernel->columns : kernel->rows;
  weft_node *condition = NULL;
  WEFT_TRY(weft_text_condition(parser, &condition));
  choice c = {.parser = parser, .condition = condition};
  c.of_x = weft_text_uses(condition, WEFT_NODE_X);
  c.of_y = weft_text_uses(condition, WEFT_NODE_Y);
  c.members = weft_allocate_array(side, sizeof *c.members);
  c.runs = weft_allocate_array(side, sizeof *c.runs);
  c.kind_of = weft_allocate_array(kernel->rows, sizeof *c.kind_of);
  weft_status status = NULL;
  for (uint32_t b = 0; b < *count && !status; ++b) status = choose_in_block(&c, &(*blocks)[b]);
  free(c.members);
  free(c.runs);
  free(c.kept);
  free(c.kinds);
  free(c.kind_of);
  free(*blocks);
  *blocks = c.blocks;
  *count = c.block_count;
  return status;
}

// "at A and B", "at A where C": those with cores in them. Caller frees.
weft_status weft_text_blocks(weft_parser *parser, weft_block **out_blocks, uint32_t *out_count) {
  weft_block *blocks = NULL;
  uint32_t count = 0;
  weft_status status = weft_expect_word(parser, "at");
  while (!status) {
    weft_block block;
    status = read_block(parser, &block);
    if (!status && !is_empty(&block)) {
      blocks = weft_grow(blocks, count + 1, sizeof *blocks);
      blocks[count++] = block;
    }
    if (!status && !weft_accept_word(parser, "and")) break;
  }
  if (!status && weft_accept_word(parser, "where")) status = choose(parser, &blocks, &count);
  *out_blocks = blocks;
  *out_count = count;
  return status;
}

// ---- routes ----

static bool accept_port(weft_parser *parser, weft_port *out_port) {
  for (int p = 0; p < WEFT_PORTS; ++p)
    if (weft_accept_word(parser, weft_port_name((weft_port)p))) {
      *out_port = (weft_port)p;
      return true;
    }
  return false;
}

static weft_status expect_port(weft_parser *parser, weft_port *out_port) {
  if (accept_port(parser, out_port)) return NULL;
  const weft_token *token = weft_peek(parser);
  const char *names[WEFT_PORTS];
  for (int p = 0; p < WEFT_PORTS; ++p) names[p] = weft_port_name((weft_port)p);
  const char *word =
      weft_arena_format(&parser->arena, "%.*s", token->length < 60 ? (int)token->length : 60, token->begin);
  return weft_text_error(parser, token,
                         "expected a port (north, east, south, west, ramp), found %s; the nearest is \"%s\"",
                         weft_token_text(parser, token), weft_nearest(word, names, WEFT_PORTS));
}

static weft_status read_position(weft_parser *parser, weft_route *route) {
  const weft_token *token = weft_peek(parser);
  weft_port from, to;
  uint32_t mask = 0;
  WEFT_TRY(expect_port(parser, &from));
  WEFT_TRY(weft_expect_sign(parser, WEFT_SIGN2('-', '>')));
  WEFT_TRY(expect_port(parser, &to));
  for (bool more = true; more;) {
    mask |= 1u << to;
    if (weft_accept_sign(parser, ','))
      WEFT_TRY(expect_port(parser, &to));
    else
      more = accept_port(parser, &to);
  }
  if (route->position_count == WEFT_SWITCH_POSITIONS)
    return weft_text_error(parser, token, "a route has at most %d positions", WEFT_SWITCH_POSITIONS);
  weft_route_then(route, from, mask);
  return NULL;
}

static bool is_off(const weft_kernel *k, uint32_t x, uint32_t y, uint32_t port) {
  return (port == WEFT_NORTH && y == 0) || (port == WEFT_SOUTH && y == k->rows - 1) || (port == WEFT_WEST && x == 0) ||
         (port == WEFT_EAST && x == k->columns - 1);
}

// What is left of the route in a block all of whose routers are at the same edges as router (b.x, b.y).
static weft_status add_inside(weft_parser *parser, const weft_token *token, const weft_route *route, weft_block b) {
  const weft_kernel *k = parser->kernel;
  weft_route left = *route;
  for (uint32_t p = 0; p < route->position_count; ++p) {
    for (uint32_t port = 0; port < WEFT_RAMP; ++port)
      if (is_off(k, b.x, b.y, port)) left.positions[p].to &= (uint8_t) ~(1u << port);
    if (left.positions[p].to != 0 && !is_off(k, b.x, b.y, left.positions[p].from)) continue;
    if (route->position_count == 1) return NULL;
    return weft_text_error(
        parser, token,
        "at router (%u, %u) nothing of position %u is inside the mesh; give these routers a route of "
        "their own",
        b.x, b.y, p + 1);
  }
  weft_route *added = weft_kernel_route(parser->kernel, b, route->colour, WEFT_RAMP, 1);
  *added = left;
  added->block = b;
  return NULL;
}

// The first of a range, its last, and those in between, as far as they are at an edge or not. Returns how many parts.
static uint32_t split(uint32_t first, uint32_t end, uint32_t step, uint32_t side, run *out_parts) {
  uint32_t last = first + (end - 1 - first) / step * step, parts = 0;
  if (first == 0) out_parts[parts++] = (run){0, 0, 1};
  bool ends = last == side - 1 && last > 0;
  uint64_t from = first == 0 ? (uint64_t)step : first, to = ends ? (uint64_t)last - step : last;
  if (from <= to && !(ends && last < step)) out_parts[parts++] = (run){(uint32_t)from, (uint32_t)to, step};
  if (ends) out_parts[parts++] = (run){last, last, 1};
  return parts;
}

// "inside": ports that would lead off the mesh are left out where they would.
static weft_status clip(weft_parser *parser, const weft_token *token, const weft_route *route, const weft_block *b) {
  run in_x[3], in_y[3];
  uint32_t columns = split(b->x, b->x_end, b->step_x, parser->kernel->columns, in_x);
  uint32_t rows = split(b->y, b->y_end, b->step_y, parser->kernel->rows, in_y);
  for (uint32_t y = 0; y < rows; ++y)
    for (uint32_t x = 0; x < columns; ++x) {
      weft_block part = {in_x[x].first, in_x[x].last + 1, in_x[x].step, in_y[y].first, in_y[y].last + 1, in_y[y].step};
      WEFT_TRY(add_inside(parser, token, route, part));
    }
  return NULL;
}

static weft_status read_positions(weft_parser *parser, weft_route *route) {
  WEFT_TRY(weft_expect_sign(parser, ':'));
  WEFT_TRY(read_position(parser, route));
  while (!route->ring) {
    bool more = weft_accept_sign(parser, ';');
    if (!weft_accept_word(parser, "then")) {
      if (more) return weft_expect_word(parser, "then");
      return NULL;
    }
    if (weft_accept_word(parser, "again"))
      route->ring = true;
    else
      WEFT_TRY(read_position(parser, route));
  }
  return NULL;
}

weft_status weft_text_route(weft_parser *parser) {
  weft_route route = {0};
  weft_block *blocks;
  uint32_t count;
  WEFT_TRY(weft_text_colour(parser, &route.colour));
  weft_status status = weft_text_blocks(parser, &blocks, &count);
  if (!status) status = read_positions(parser, &route);
  const weft_token *token = weft_peek(parser);
  bool inside = !status && weft_accept_word(parser, "inside");
  for (uint32_t b = 0; b < count && !status; ++b) {
    if (inside) {
      status = clip(parser, token, &route, &blocks[b]);
      continue;
    }
    weft_route *added = weft_kernel_route(parser->kernel, blocks[b], route.colour, WEFT_RAMP, 1);
    *added = route;
    added->block = blocks[b];
  }
  free(blocks);
  return status;
}

// ---- channels ----

weft_status weft_text_channel(weft_parser *parser) {
  weft_channel c = {.cycles_per_word = 1};
  int64_t x, y, words;
  weft_port port;
  if (parser->kernel->columns == 0)
    return weft_text_error(parser, weft_peek(parser), "the mesh comes first: mesh COLUMNS by ROWS");
  WEFT_TRY(weft_expect_name(parser, "the channel's name", c.name, sizeof c.name));
  c.into_mesh = weft_accept_word(parser, "in");
  if (!c.into_mesh) WEFT_TRY(weft_expect_word(parser, "out"));
  WEFT_TRY(weft_expect_word(parser, "at"));
  WEFT_TRY(weft_text_whole(parser, 0, parser->kernel->columns - 1, "column", &x));
  WEFT_TRY(weft_expect_sign(parser, ','));
  WEFT_TRY(weft_text_whole(parser, 0, parser->kernel->rows - 1, "row", &y));
  WEFT_TRY(expect_port(parser, &port));
  WEFT_TRY(weft_expect_word(parser, "on"));
  WEFT_TRY(weft_text_colour(parser, &c.colour));
  WEFT_TRY(weft_expect_word(parser, "words"));
  WEFT_TRY(weft_text_whole(parser, 0, INT64_MAX, "words", &words));
  if (weft_accept_word(parser, "every")) WEFT_TRY(weft_text_number(parser, "cycles per word", &c.cycles_per_word));
  c.x = (uint32_t)x;
  c.y = (uint32_t)y;
  c.port = (uint8_t)port;
  c.words = (uint64_t)words;
  weft_kernel_channel(parser->kernel, c);
  return NULL;
}
