// Ring all-reduce of rows.
#include <stdlib.h>

#include "compiler/kernels/collectives_internal.h"

// A chunk is short if the core may send it by itself, without a microthread, which costs a cycle, and is ready in time
// to take the other.
enum { COLOURS = 3, ROUNDS_PER_TURN = 64, BESIDE = 0, SHORT_CHUNK_WORDS = 4 };

static uint32_t chunk_elements(const weft_collective *what) {
  uint32_t words = (what->words + what->columns - 1) / what->columns;
  return what->dtype == WEFT_F32 ? words : 2 * words;
}

uint32_t weft_ring_elements(const weft_collective *what) { return what->columns * chunk_elements(what); }

// The edge "over" column i joins columns i - 1 and i + 1, and so crosses router i; the two turns of the ring, between
// columns 0 and 1 and between the last two, are called 0 and columns - 1. Edges that meet at a router have numbers that
// differ by at most 2, so three colours suffice: number modulo 3.
static uint32_t edge_at(const weft_collective *what, uint32_t x, bool eastern) {
  uint32_t last = what->columns - 1;
  if (what->columns == 2) return x % 2 == eastern;  // both turns join the same two
  if (eastern) return x == last ? last : x + 1;
  return x == 0 ? 0 : x - 1;
}

// Even columns send to the east and take from the west, odd ones the other way; at the ends the neighbour is on one
// side.
static uint32_t gives_edge(const weft_collective *what, uint32_t x) {
  return what->columns == 2 ? x : edge_at(what, x, x % 2 == 0);
}
static uint32_t takes_edge(const weft_collective *what, uint32_t x) {
  return what->columns == 2 ? 1 - x : edge_at(what, x, x % 2 != 0);
}

static weft_port side_of(const weft_collective *what, uint32_t x, bool eastern) {
  if (x == 0) return WEFT_EAST;
  if (x == what->columns - 1) return WEFT_WEST;
  return eastern ? WEFT_EAST : WEFT_WEST;
}

static void route_column(weft_kernel *kernel, const weft_collective *what, uint32_t x) {
  weft_block block = weft_block_of(x, x + 1, 0, what->rows);
  (void)weft_kernel_route(kernel, block, gives_edge(what, x) % COLOURS, WEFT_RAMP, 1u << side_of(what, x, x % 2 == 0));
  (void)weft_kernel_route(kernel, block, takes_edge(what, x) % COLOURS, side_of(what, x, x % 2 != 0), 1u << WEFT_RAMP);
  if (x == 0 || x == what->columns - 1) return;
  bool eastwards = x % 2 != 0;  // over an odd column the even ones talk
  (void)weft_kernel_route(kernel, block, x % COLOURS, eastwards ? WEFT_WEST : WEFT_EAST,
                          1u << (eastwards ? WEFT_EAST : WEFT_WEST));
}

typedef struct ring {
  const weft_collective *what;
  weft_kernel *kernel;
  uint32_t program, data, chunk;
  uint32_t offsets[2];  // of the chunk that is sent, of the one that comes; they change places every round
  uint32_t scratch, turn;
  uint32_t gives, takes;
} ring;

static void scalar(ring *r, weft_instruction_kind kind, uint32_t to, uint32_t a, weft_operand b) {
  (void)weft_emit2(r->kernel, r->program, kind, 1, weft_value(r->kernel, r->program, to),
                   weft_value(r->kernel, r->program, a), b);
}

// offset of the chunk before: to = from - chunk, and from the other end below 0.
static void step_back(ring *r, uint32_t to, uint32_t from) {
  scalar(r, WEFT_DO_SUBTRACT, to, from, weft_i32((int32_t)r->chunk));
  scalar(r, WEFT_DO_SHIFT_RIGHT, r->scratch, to, weft_i32(31));
  scalar(r, WEFT_DO_MULTIPLY, r->scratch, r->scratch, weft_i32((int32_t)weft_ring_elements(r->what)));
  scalar(r, WEFT_DO_ADD, to, to, weft_value(r->kernel, r->program, r->scratch));
}

static bool is_short(const ring *r) { return r->chunk <= (r->what->dtype == WEFT_F32 ? 1 : 2) * SHORT_CHUNK_WORDS; }

static void wait_for(ring *r, uint32_t microthread) {
  static const weft_operand absent = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};
  weft_emit(r->kernel, r->program, WEFT_DO_WAIT, 1, absent, absent, absent, absent)->microthread = microthread;
}

// Sends one chunk and takes the one before it. The core works out an offset while words are under way: of a long chunk,
// sent by a microthread, that of the one to come; of a short one, away at once, that of the round after, while it
// waits.
static void emit_round(ring *r, bool adds) {
  weft_operand data = weft_all(r->kernel, r->program, r->data);
  weft_operand sent = weft_moved(data, r->offsets[0], 1), taken = weft_moved(data, r->offsets[1], 1);
  weft_operand in = weft_collective_receive(r->what, r->takes), out = weft_collective_send(r->what, r->gives);
  bool brief = is_short(r);
  weft_emit1(r->kernel, r->program, WEFT_DO_MOVE, r->chunk, out, sent)->microthread = brief ? WEFT_NOTHING : BESIDE;
  if (!brief) step_back(r, r->offsets[1], r->offsets[0]);
  weft_instruction *take = adds ? weft_emit2(r->kernel, r->program, WEFT_DO_ADD, r->chunk, taken, in, taken)
                                : weft_emit1(r->kernel, r->program, WEFT_DO_MOVE, r->chunk, taken, in);
  if (brief) {
    take->microthread = BESIDE;
    step_back(r, r->offsets[0], r->offsets[1]);
  }
  // Also because the next round overwrites the register that says what is being sent.
  wait_for(r, BESIDE);
  uint32_t swap = r->offsets[0];
  r->offsets[0] = r->offsets[1];
  r->offsets[1] = swap;
}

// A turn of the loop has many rounds (an even number, so that the offsets are back in place), for loops cost cycles.
static void emit_rounds(ring *r, uint32_t rounds, bool adds) {
  uint32_t turns = rounds / ROUNDS_PER_TURN;
  if (turns > 1) {
    (void)weft_begin_loop(r->kernel, r->program, r->turn, weft_i32(0), weft_i32((int32_t)turns), 1);
    for (uint32_t i = 0; i < ROUNDS_PER_TURN; ++i) emit_round(r, adds);
    weft_end(r->kernel, r->program);
    rounds -= turns * ROUNDS_PER_TURN;
  }
  for (uint32_t i = 0; i < rounds; ++i) emit_round(r, adds);
}

// Ring position: x / 2 of an even column, columns - (x + 1) / 2 of an odd one. A core first sends the chunk of its
// position.
static void emit_first_offset(ring *r, uint32_t column, bool even) {
  uint32_t offset = r->offsets[0];
  scalar(r, WEFT_DO_SHIFT_RIGHT, offset, column, weft_i32(1));
  if (!even) {
    scalar(r, WEFT_DO_MULTIPLY, offset, offset, weft_i32(-1));
    scalar(r, WEFT_DO_ADD, offset, offset, weft_i32((int32_t)r->what->columns));
  }
  scalar(r, WEFT_DO_MULTIPLY, offset, offset, weft_i32((int32_t)r->chunk));
}

static uint32_t emit_program(weft_kernel *kernel, const weft_collective *what, uint32_t x) {
  char name[WEFT_KERNEL_NAME];
  (void)snprintf(name, sizeof name, "column_%u", x);
  ring r = {.what = what,
            .kernel = kernel,
            .program = weft_kernel_program(kernel, name),
            .chunk = chunk_elements(what),
            .gives = gives_edge(what, x) % COLOURS,
            .takes = takes_edge(what, x) % COLOURS};
  bool even = x % 2 == 0;
  uint32_t column = weft_kernel_integer(kernel, r.program, "column", even ? 0 : 1, 1, 0);  // odd: x + 1
  r.offsets[0] = weft_kernel_integer(kernel, r.program, "offset_a", 0, 0, 0);
  r.offsets[1] = weft_kernel_integer(kernel, r.program, "offset_b", 0, 0, 0);
  r.scratch = weft_kernel_integer(kernel, r.program, "scratch", 0, 0, 0);
  r.turn = weft_kernel_integer(kernel, r.program, "turn", 0, 0, 0);
  r.data = weft_collective_begin(kernel, r.program, what->dtype, weft_ring_elements(what));
  emit_first_offset(&r, column, even);
  if (is_short(&r)) step_back(&r, r.offsets[1], r.offsets[0]);
  emit_rounds(&r, what->columns - 1, true);
  emit_rounds(&r, what->columns - 1, false);
  return r.program;
}

weft_status weft_ring_kernel(const weft_collective *what, weft_kernel **out_kernel) {
  weft_collective rootless = *what;
  rootless.root_x = rootless.root_y = 0;
  rootless.pattern = WEFT_REDUCE_CHAIN;
  WEFT_TRY(weft_collective_check(&rootless));
  if (((uint64_t)what->words + what->columns) * 2 > INT32_MAX)
    return weft_error(WEFT_INVALID, "%u words in a ring of %u cores: offsets would pass 2^31", what->words,
                      what->columns);
  weft_kernel *kernel = weft_kernel_create("all_reduce_ring", what->columns, what->rows);
  if (what->columns == 1) {
    uint32_t program = weft_kernel_program(kernel, "alone");
    weft_kernel_place(kernel, program, weft_block_all(kernel));
    (void)weft_collective_begin(kernel, program, what->dtype, weft_ring_elements(what));
    *out_kernel = kernel;
    return NULL;
  }
  // Programs differ by parity and by the two colours: columns repeat after 6, the ends aside.
  uint32_t programs[2][COLOURS][COLOURS];
  for (uint32_t i = 0; i < 2 * COLOURS * COLOURS; ++i) programs[i / 9][i / 3 % 3][i % 3] = WEFT_NOTHING;
  for (uint32_t x = 0; x < what->columns; ++x) {
    route_column(kernel, what, x);
    uint32_t *program = &programs[x % 2][gives_edge(what, x) % COLOURS][takes_edge(what, x) % COLOURS];
    if (*program == WEFT_NOTHING) *program = emit_program(kernel, what, x);
    weft_kernel_place(kernel, *program, weft_block_of(x, x + 1, 0, what->rows));
  }
  *out_kernel = kernel;
  return NULL;
}
