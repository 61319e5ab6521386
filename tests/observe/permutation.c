#include "tests/observe/permutation.h"

#include <stdbool.h>
#include <string.h>

#include "base/random.h"

enum { TILE = 32, PAIRS = WEFT_COLOURS * WEFT_COLOURS };

typedef struct line {
  uint8_t to[TILE], from[TILE];  // partner of each place
  uint8_t colour[TILE];          // of the stream that begins at a place
} line;

// Greedy from left to right: a stream takes the first colour that no stream over its places has.
static bool colour_line(line *l) {
  uint32_t used[TILE] = {0};  // by place: mask of colours
  for (int low = 0; low < TILE; ++low) {
    for (int s = 0; s < TILE; ++s) {
      int first = s < l->to[s] ? s : l->to[s], last = s < l->to[s] ? l->to[s] : s;
      if (first != low) continue;
      uint32_t taken = 0;
      for (int p = first; p <= last; ++p) taken |= used[p];
      int colour = 0;
      while (colour < WEFT_COLOURS && (taken >> colour & 1)) ++colour;
      if (colour == WEFT_COLOURS) return false;
      for (int p = first; p <= last; ++p) used[p] |= 1u << colour;
      l->colour[s] = (uint8_t)colour;
    }
  }
  return true;
}

static void draw_line(uint64_t seed, uint32_t number, line *out) {
  for (uint64_t stream = number;; stream += TILE) {
    bool fixed = false;
    for (int s = 0; s < TILE; ++s) out->to[s] = (uint8_t)s;
    for (uint32_t s = TILE - 1; s > 0; --s) {
      uint32_t other = (uint32_t)(weft_random_bits(seed, stream, s) % (s + 1));
      uint8_t kept = out->to[s];
      out->to[s] = out->to[other];
      out->to[other] = kept;
    }
    for (int s = 0; s < TILE; ++s) {
      out->from[out->to[s]] = (uint8_t)s;
      fixed = fixed || out->to[s] == s;
    }
    if (!fixed && colour_line(out)) return;
  }
}

static bool along_row(uint32_t tile_x, uint32_t tile_y) { return (tile_x + tile_y) % 2 == 0; }

void weft_permutation_sender(uint64_t seed, uint32_t x, uint32_t y, uint32_t *out_x, uint32_t *out_y) {
  line l;
  bool row = along_row(x / TILE, y / TILE);
  draw_line(seed, (row ? y : x) % TILE, &l);
  *out_x = row ? x / TILE * TILE + l.from[x % TILE] : x;
  *out_y = row ? y : y / TILE * TILE + l.from[y % TILE];
}

// Place `place` of line `number` in every second tile of every second row of tiles, from tile (tx, ty) on.
static weft_block places(uint32_t columns, uint32_t rows, uint32_t tx, uint32_t ty, uint32_t number, uint32_t place) {
  bool row = along_row(tx, ty);
  return (weft_block){.x = tx * TILE + (row ? place : number),
                      .x_end = columns / TILE * TILE,
                      .step_x = 2 * TILE,
                      .y = ty * TILE + (row ? number : place),
                      .y_end = rows / TILE * TILE,
                      .step_y = 2 * TILE};
}

static uint32_t add_program(weft_kernel *kernel, uint32_t send, uint32_t receive, uint32_t words) {
  uint32_t p = weft_kernel_program(kernel, "exchange");
  uint32_t out = weft_kernel_array(kernel, p, "out", WEFT_F32, words);
  uint32_t in = weft_kernel_array(kernel, p, "in", WEFT_F32, words);
  weft_kernel_array_at(kernel, p, out)->input = true;
  weft_kernel_array_at(kernel, p, in)->output = true;
  weft_kernel_task(kernel, p, "exchange", WEFT_AT_START);
  weft_emit1(kernel, p, WEFT_DO_MOVE, words, weft_send(send, WEFT_F32), weft_all(kernel, p, out))->microthread = 0;
  weft_emit1(kernel, p, WEFT_DO_MOVE, words, weft_all(kernel, p, in), weft_receive(receive, WEFT_F32));
  return p;
}

static void add_stream(weft_kernel *kernel, const line *l, uint32_t tx, uint32_t ty, uint32_t number, uint32_t s) {
  weft_port up = along_row(tx, ty) ? WEFT_EAST : WEFT_SOUTH, down = along_row(tx, ty) ? WEFT_WEST : WEFT_NORTH;
  uint32_t to = l->to[s];
  weft_port ahead = to > s ? up : down, behind = to > s ? down : up;
  for (uint32_t p = s;; p = to > s ? p + 1 : p - 1) {
    weft_block block = places(kernel->columns, kernel->rows, tx, ty, number, p);
    weft_kernel_route(kernel, block, l->colour[s], p == s ? WEFT_RAMP : behind, 1u << (p == to ? WEFT_RAMP : ahead));
    if (p == to) return;
  }
}

weft_kernel *weft_permutation_kernel(uint32_t columns, uint32_t rows, uint32_t words, uint64_t seed) {
  weft_kernel *kernel = weft_kernel_create("permutation", columns, rows);
  uint32_t programs[PAIRS];
  memset(programs, 0xff, sizeof programs);
  for (uint32_t number = 0; number < TILE; ++number) {
    line l;
    draw_line(seed, number, &l);
    for (uint32_t corner = 0; corner < 4; ++corner) {
      uint32_t tx = corner % 2, ty = corner / 2;
      if ((tx + 1) * TILE > columns || (ty + 1) * TILE > rows) continue;
      for (uint32_t s = 0; s < TILE; ++s) {
        uint32_t send = l.colour[s], receive = l.colour[l.from[s]];
        uint32_t *program = &programs[send * WEFT_COLOURS + receive];
        if (*program == WEFT_NOTHING) *program = add_program(kernel, send, receive, words);
        weft_kernel_place(kernel, *program, places(columns, rows, tx, ty, number, s));
        add_stream(kernel, &l, tx, ty, number, s);
      }
    }
  }
  return kernel;
}
