// Reduce and all-reduce. Lines become arms, arms get trees, trees give every router its positions and every core its
// role; cores with the same role share a program.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/kernels/collectives_internal.h"

enum { NO_COLOUR = 0xff, BROADCAST_ON_LINE = 2, BROADCAST_ON_MESH = 4 };

// A core's part in the reduce of one line.
typedef struct role {
  uint8_t takes[2];       // colour of the children in each arm, or NO_COLOUR; only a root has two arms
  uint8_t gives;          // colour towards the parent, or NO_COLOUR
  uint8_t frees_own;      // then its own router lets words of others pass
  uint32_t children[2];   // to add
  uint32_t frees_parent;  // hops to the parent whose switch it moves, 0: not
} role;

// A core's whole program.
typedef struct part {
  role line[2];  // rows, then the column; a snake is the first alone
  uint32_t sends_result, takes_result;
} part;

static const weft_operand absent = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};
static const role no_role = {{NO_COLOUR, NO_COLOUR}, NO_COLOUR, 0, {0, 0}, 0};

// Cores of one arm, from the root (number 0) outwards: where they are, and their ports to both neighbours.
typedef struct arm {
  uint32_t count;
  weft_block *blocks;
  uint8_t *inwards, *outwards;
  uint32_t first_colour;  // of the root's children
} arm;

typedef struct place {
  uint32_t x, y;
} place;

static uint8_t port_from(place a, place b) {
  if (a.y == b.y) return b.x > a.x ? WEFT_EAST : WEFT_WEST;
  return b.y > a.y ? WEFT_SOUTH : WEFT_NORTH;
}

static void arm_destroy(arm *a) {
  free(a->blocks);
  free(a->inwards);
  free(a->outwards);
}

// Of the line's cores root, root + step, ... to its end; `where` maps the line's positions, `spread` makes a block of
// one.
static arm arm_create(const weft_collective *what, uint32_t root, int step, uint32_t length,
                      place (*where)(const weft_collective *, uint32_t),
                      weft_block (*spread)(const weft_collective *, place)) {
  arm a = {.count = step > 0 ? length - root : root + 1};
  a.blocks = weft_allocate_array(a.count, sizeof *a.blocks);
  a.inwards = weft_allocate_array(a.count, sizeof *a.inwards);
  a.outwards = weft_allocate_array(a.count, sizeof *a.outwards);
  for (uint32_t i = 0; i < a.count; ++i) {
    uint32_t at = step > 0 ? root + i : root - i;
    place here = where(what, at);
    a.blocks[i] = spread(what, here);
    if (i > 0) a.inwards[i] = port_from(here, where(what, step > 0 ? at - 1 : at + 1));
    if (i + 1 < a.count) a.outwards[i] = port_from(here, where(what, step > 0 ? at + 1 : at - 1));
  }
  return a;
}

static place on_row(const weft_collective *what, uint32_t i) {
  (void)what;
  return (place){i, 0};
}
static place on_root_column(const weft_collective *what, uint32_t i) { return (place){what->root_x, i}; }
static place on_snake(const weft_collective *what, uint32_t i) {
  uint32_t y = i / what->columns, x = i % what->columns;
  return (place){y % 2 ? what->columns - 1 - x : x, y};
}
static weft_block in_all_rows(const weft_collective *what, place p) {
  return weft_block_of(p.x, p.x + 1, 0, what->rows);
}
static weft_block alone(const weft_collective *what, place p) {
  (void)what;
  return weft_block_one(p.x, p.y);
}

// A core of an arm in its tree.
typedef struct node {
  uint32_t parent, children, last_child;
  uint8_t colour;   // that it gives
  uint8_t passing;  // mask of colours that words for farther parents pass it on
} node;

static node *grow_tree(const weft_collective *what, const arm *a) {
  uint32_t *parents = weft_allocate_array(a->count, sizeof *parents);
  weft_reduce_parents(what, a->count, parents);
  node *nodes = weft_allocate_array(a->count, sizeof *nodes);
  // Per core and colour: how many edges more pass it than its neighbour nearer to the root.
  int32_t(*more)[2] = weft_allocate_array(a->count, sizeof *more);
  nodes[0].colour = (uint8_t)(a->first_colour ^ 1);
  for (uint32_t i = 1; i < a->count; ++i) {
    node *parent = &nodes[parents[i]];
    nodes[i].parent = parents[i];
    nodes[i].colour = parent->colour ^ 1;
    parent->last_child = i;
    ++parent->children;
    ++more[parents[i] + 1][nodes[i].colour & 1];
    --more[i][nodes[i].colour & 1];
  }
  int32_t edges[2] = {0, 0};
  for (uint32_t i = 1; i < a->count; ++i)
    for (uint32_t side = 0; side < 2; ++side) {
      edges[side] += more[i][side];
      if (edges[side] > 0) nodes[i].passing = (uint8_t)(nodes[i].passing | 1u << side);
    }
  free(more);
  free(parents);
  return nodes;
}

static bool passes(const node *n, uint32_t colour) { return (n->passing >> (colour & 1)) & 1; }

static void route_core(weft_kernel *kernel, const arm *a, const node *nodes, uint32_t i) {
  const node *n = &nodes[i];
  for (uint32_t side = 0; side < 2; ++side) {
    uint32_t colour = (a->first_colour & ~1u) + side;
    bool takes = n->children > 0 && (n->colour ^ 1u) == colour, gives = i > 0 && n->colour == colour;
    weft_route *route = NULL;
    if (takes) route = weft_kernel_route(kernel, a->blocks[i], colour, a->outwards[i], 1u << WEFT_RAMP);
    if (gives) route = weft_kernel_route(kernel, a->blocks[i], colour, WEFT_RAMP, 1u << a->inwards[i]);
    if (!passes(n, colour)) continue;
    if (route)
      weft_route_then(route, a->outwards[i], 1u << a->inwards[i]);
    else
      (void)weft_kernel_route(kernel, a->blocks[i], colour, a->outwards[i], 1u << a->inwards[i]);
  }
}

static void give_role(const node *nodes, uint32_t i, uint32_t side, role *r) {
  const node *n = &nodes[i];
  if (n->children > 0) {
    r->takes[side] = n->colour ^ 1;
    r->children[side] = n->children;
  }
  if (i == 0) return;
  r->gives = n->colour;
  r->frees_own = passes(n, n->colour);
  const node *parent = &nodes[n->parent];
  if (parent->last_child == i && passes(parent, n->colour)) r->frees_parent = i - n->parent;
}

// Routes of a line and the roles of its cores, by position. `colours`: the first of two.
static role *reduce_line(weft_kernel *kernel, const weft_collective *what, uint32_t root, uint32_t length,
                         uint32_t colours, place (*where)(const weft_collective *, uint32_t),
                         weft_block (*spread)(const weft_collective *, place)) {
  role *roles = weft_allocate_array(length, sizeof *roles);
  for (uint32_t i = 0; i < length; ++i) roles[i] = no_role;
  for (uint32_t side = 0; side < 2; ++side) {
    arm a = arm_create(what, root, side == 0 ? 1 : -1, length, where, spread);
    a.first_colour = colours + side;
    node *nodes = grow_tree(what, &a);
    for (uint32_t i = 0; i < a.count; ++i) {
      route_core(kernel, &a, nodes, i);
      // Only the root uses both arms; the others' single one comes first, so that equal roles are equal.
      give_role(nodes, i, i == 0 ? side : 0, &roles[side == 0 ? root + i : root - i]);
    }
    free(nodes);
    arm_destroy(&a);
  }
  return roles;
}

// ---- programs ----

typedef struct builder {
  const weft_collective *what;
  weft_kernel *kernel;
  uint32_t result_colour;
  part *parts;  // of programs, by number
  uint32_t count;
} builder;

static void add_children(builder *b, uint32_t program, uint32_t data, uint8_t colour, uint32_t times) {
  uint32_t elements = weft_collective_elements(b->what);
  weft_operand sums = weft_folded(weft_all(b->kernel, program, data), elements, 0);
  (void)weft_emit2(b->kernel, program, WEFT_DO_ADD, times * elements, sums, weft_collective_receive(b->what, colour),
                   sums);
}

static void move_switches(builder *b, uint32_t program, uint8_t colour, uint32_t skip, uint32_t count) {
  (void)weft_emit(b->kernel, program, WEFT_DO_SWITCH, 1, weft_send(colour, WEFT_F32), weft_i32((int32_t)skip),
                  weft_i32((int32_t)count), absent);
}

static void emit_line(builder *b, uint32_t program, uint32_t data, const role *r) {
  uint32_t elements = weft_collective_elements(b->what);
  bool gives = r->gives != NO_COLOUR;
  for (uint32_t side = 0; side < 2; ++side) {
    uint32_t kept = r->children[side] - (gives && r->children[side] > 0);
    if (kept > 0) add_children(b, program, data, r->takes[side], kept);
  }
  if (!gives) return;
  weft_operand own = weft_all(b->kernel, program, data), out = weft_collective_send(b->what, r->gives);
  if (r->frees_own && r->frees_parent == 0) out = weft_advancing(out);
  if (r->children[0] > 0)
    (void)weft_emit2(b->kernel, program, WEFT_DO_ADD, elements, out, weft_collective_receive(b->what, r->takes[0]),
                     own);
  else
    (void)weft_emit1(b->kernel, program, WEFT_DO_MOVE, elements, out, own);
  if (r->frees_parent == 0) return;
  // Routers in between stand at their last position since the vector has passed them: moving them changes nothing.
  if (r->frees_own)
    move_switches(b, program, r->gives, 0, r->frees_parent + 1);
  else
    move_switches(b, program, r->gives, r->frees_parent, 1);
}

static void emit_part(builder *b, const part *p) {
  uint32_t elements = weft_collective_elements(b->what);
  char name[WEFT_KERNEL_NAME];
  (void)snprintf(name, sizeof name, "part_%u", b->count);
  uint32_t program = weft_kernel_program(b->kernel, name);
  uint32_t data = weft_collective_begin(b->kernel, program, b->what->dtype, elements);
  for (uint32_t line = 0; line < 2; ++line) emit_line(b, program, data, &p->line[line]);
  weft_operand all = weft_all(b->kernel, program, data);
  if (p->sends_result)
    (void)weft_emit1(b->kernel, program, WEFT_DO_MOVE, elements, weft_collective_send(b->what, b->result_colour), all);
  if (p->takes_result)
    (void)weft_emit1(b->kernel, program, WEFT_DO_MOVE, elements, all,
                     weft_collective_receive(b->what, b->result_colour));
  b->parts = weft_grow(b->parts, b->count + 1, sizeof *b->parts);
  b->parts[b->count++] = *p;
}

// Runs the block on the program of this part; blocks that continue one another become one.
static void place_part(builder *b, const part *p, weft_block block) {
  uint32_t program = 0;
  while (program < b->count && memcmp(&b->parts[program], p, sizeof *p) != 0) ++program;
  if (program == b->count) emit_part(b, p);
  weft_program *it = &b->kernel->programs[program];
  weft_block *last = it->block_count > 0 ? &it->blocks[it->block_count - 1] : NULL;
  if (last && last->x_end == block.x && last->y == block.y && last->y_end == block.y_end)
    last->x_end = block.x_end;
  else
    weft_kernel_place(b->kernel, program, block);
}

static part part_of(const builder *b, const role *first, const role *second, bool is_root, bool all) {
  part p;
  memset(&p, 0, sizeof p);  // parts are compared as bytes
  p.line[0] = first ? *first : no_role;
  p.line[1] = second ? *second : no_role;
  bool alone_on_mesh = b->what->columns == 1 && b->what->rows == 1;
  p.sends_result = all && is_root && !alone_on_mesh;
  p.takes_result = all && !is_root;
  return p;
}

static void reduce_snake(builder *b, bool all) {
  const weft_collective *what = b->what;
  uint32_t length = what->columns * what->rows,
           along = what->root_y % 2 ? what->columns - 1 - what->root_x : what->root_x;
  uint32_t root = what->root_y * what->columns + along;
  role *roles = reduce_line(b->kernel, what, root, length, 0, on_snake, alone);
  for (uint32_t i = 0; i < length; ++i) {
    part p = part_of(b, &roles[i], NULL, i == root, all);
    place at = on_snake(what, i);
    place_part(b, &p, weft_block_one(at.x, at.y));
  }
  free(roles);
}

static void reduce_mesh(builder *b, bool all) {
  const weft_collective *what = b->what;
  role *rows =
      what->columns > 1 ? reduce_line(b->kernel, what, what->root_x, what->columns, 0, on_row, in_all_rows) : NULL;
  uint32_t second = what->columns > 1 ? 2 : 0;
  role *column =
      what->rows > 1 ? reduce_line(b->kernel, what, what->root_y, what->rows, second, on_root_column, alone) : NULL;
  for (uint32_t x = 0; x < what->columns; ++x) {
    if (x == what->root_x) continue;
    part p = part_of(b, &rows[x], NULL, false, all);
    place_part(b, &p, weft_block_of(x, x + 1, 0, what->rows));
  }
  for (uint32_t y = 0; y < what->rows; ++y) {
    part p = part_of(b, rows ? &rows[what->root_x] : NULL, column ? &column[y] : NULL, y == what->root_y, all);
    place_part(b, &p, weft_block_one(what->root_x, y));
  }
  free(rows);
  free(column);
}

static weft_status reduce(const weft_collective *what, bool all, weft_kernel **out_kernel) {
  WEFT_TRY(weft_collective_check(what));
  uint64_t received = (uint64_t)weft_collective_elements(what) * (what->snake ? (uint64_t)what->columns * what->rows
                                                                  : what->columns > what->rows ? what->columns
                                                                                               : what->rows);
  if (received > INT32_MAX)
    return weft_error(WEFT_INVALID, "%u words of each core on %u x %u: the root would count more than 2^31 elements",
                      what->words, what->columns, what->rows);
  char name[64];
  (void)snprintf(name, sizeof name, "%s_%s%s", all ? "all_reduce" : "reduce", weft_reduce_pattern_name(what->pattern),
                 what->snake ? "_snake" : "");
  bool line = what->snake || what->columns == 1 || what->rows == 1;
  builder b = {.what = what,
               .kernel = weft_kernel_create(name, what->columns, what->rows),
               .result_colour = line ? BROADCAST_ON_LINE : BROADCAST_ON_MESH};
  if (what->snake)
    reduce_snake(&b, all);
  else
    reduce_mesh(&b, all);
  if (all) weft_broadcast_routes(b.kernel, what, b.result_colour);
  free(b.parts);
  *out_kernel = b.kernel;
  return NULL;
}

weft_status weft_reduce_kernel(const weft_collective *what, weft_kernel **out_kernel) {
  return reduce(what, false, out_kernel);
}

weft_status weft_all_reduce_kernel(const weft_collective *what, weft_kernel **out_kernel) {
  return reduce(what, true, out_kernel);
}
