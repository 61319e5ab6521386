// A recording as VCD. The sorted spans and hops give the signals in order and their changes, which are then sorted by
// cycle; at one cycle a later change of a signal replaces an earlier one.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "traces/recording_internal.h"

#define NO_VALUE UINT64_MAX

typedef struct vcd_change {
  uint64_t cycle, value;
  uint32_t signal, number;  // number: order in which they were made
} vcd_change;

typedef struct vcd_file {
  FILE *out;
  uint8_t *bits;  // by signal
  uint32_t signals, signal_room;
  vcd_change *changes;
  uint64_t count, room;
} vcd_file;

// Signals are named by numbers in base 94, as VCD's identifiers are made of the printable characters.
static const char *identifier(uint32_t signal, char out[8]) {
  char *end = out;
  do {
    *end++ = (char)('!' + signal % 94);
    signal /= 94;
  } while (signal > 0);
  *end = 0;
  return out;
}

static uint32_t declare(vcd_file *vcd, uint32_t bits, const char *name) {
  if (vcd->signals == vcd->signal_room) {
    vcd->signal_room = vcd->signal_room * 2 + 256;
    vcd->bits = weft_grow(vcd->bits, vcd->signal_room, 1);
  }
  vcd->bits[vcd->signals] = (uint8_t)bits;
  char text[8];
  fprintf(vcd->out, "$var wire %" PRIu32 " %s %s", bits, identifier(vcd->signals, text), name);
  fprintf(vcd->out, bits > 1 ? " [%" PRIu32 ":0] $end\n" : " $end\n", bits - 1);
  return vcd->signals++;
}

static void set(vcd_file *vcd, uint64_t cycle, uint32_t signal, uint64_t value) {
  if (vcd->count == vcd->room) {
    vcd->room = vcd->room * 2 + 1024;
    vcd->changes = weft_grow(vcd->changes, vcd->room, sizeof *vcd->changes);
  }
  vcd->changes[vcd->count] = (vcd_change){cycle, value, signal, (uint32_t)vcd->count};
  ++vcd->count;
}

// All spans of one core: its own first, then each microthread's.
static uint64_t put_core(vcd_file *vcd, const weft_recording *recording, uint64_t first) {
  const weft_span *spans = recording->spans;
  uint64_t s = first;
  fprintf(vcd->out, "$scope module core_%" PRIu32 "_%" PRIu32 " $end\n", spans[s].x, spans[s].y);
  while (s < recording->span_count && spans[s].x == spans[first].x && spans[s].y == spans[first].y) {
    uint32_t lane = spans[s].lane, task = 0, state = 0;
    char name[24] = "instruction";
    if (lane > 0) snprintf(name, sizeof name, "microthread_%" PRIu32, lane - 1);
    uint32_t instruction = declare(vcd, 16, name);
    if (lane == 0) {
      task = declare(vcd, 8, "task");
      state = declare(vcd, 2, "state");
    }
    for (; s < recording->span_count && spans[s].lane == lane && spans[s].x == spans[first].x &&
           spans[s].y == spans[first].y;
         ++s) {
      set(vcd, spans[s].begin, instruction, spans[s].instruction);
      set(vcd, spans[s].end, instruction, NO_VALUE);
      if (lane > 0) continue;
      set(vcd, spans[s].begin, task, spans[s].task);
      set(vcd, spans[s].end, task, NO_VALUE);
      set(vcd, spans[s].begin, state, spans[s].state);
      set(vcd, spans[s].end, state, WEFT_CORE_NOTHING);
    }
  }
  fputs("$upscope $end\n", vcd->out);
  return s;
}

// All wavelets of one colour that left one router.
static uint64_t put_colour(vcd_file *vcd, const weft_recording *recording, uint64_t first) {
  const weft_hop *hops = recording->hops;
  fprintf(vcd->out, "$scope module router_%" PRIu32 "_%" PRIu32 "_colour_%" PRIu32 " $end\n", hops[first].x,
          hops[first].y, hops[first].colour);
  uint32_t valid = declare(vcd, 1, "valid"), ports = declare(vcd, 5, "ports"), data = declare(vcd, 32, "data"),
           control = declare(vcd, 1, "control");
  uint64_t h = first;
  while (h < recording->hop_count && hops[h].x == hops[first].x && hops[h].y == hops[first].y &&
         hops[h].colour == hops[first].colour) {
    uint64_t mask = 0, cycle = hops[h].cycle;
    const weft_hop *hop = &hops[h];
    for (; h < recording->hop_count && hops[h].cycle == cycle && hops[h].x == hop->x && hops[h].y == hop->y &&
           hops[h].colour == hop->colour;
         ++h)
      mask |= 1u << hops[h].port;
    set(vcd, cycle, valid, 1);
    set(vcd, cycle, ports, mask);
    set(vcd, cycle, data, hop->bits);
    set(vcd, cycle, control, hop->control);
    set(vcd, cycle + 1, valid, 0);
    set(vcd, cycle + 1, ports, 0);
    set(vcd, cycle + 1, control, 0);
  }
  fputs("$upscope $end\n", vcd->out);
  return h;
}

static int by_cycle(const void *a, const void *b) {
  const vcd_change *p = a, *q = b;
  if (p->cycle != q->cycle) return p->cycle < q->cycle ? -1 : 1;
  if (p->signal != q->signal) return p->signal < q->signal ? -1 : 1;
  return p->number < q->number ? -1 : p->number > q->number;
}

static void write_value(const vcd_file *vcd, uint32_t signal, uint64_t value) {
  char name[8];
  identifier(signal, name);
  if (value == NO_VALUE) {
    fprintf(vcd->out, vcd->bits[signal] > 1 ? "bz %s\n" : "z%s\n", name);
  } else if (vcd->bits[signal] == 1) {
    fprintf(vcd->out, "%u%s\n", value != 0, name);
  } else {
    char digits[72];
    int place = 71;
    digits[place] = 0;
    do {
      digits[--place] = (char)('0' + (value & 1));
      value >>= 1;
    } while (value > 0);
    fprintf(vcd->out, "b%s %s\n", digits + place, name);
  }
}

static void write_changes(vcd_file *vcd, double clock_hz, uint32_t cycle_signal) {
  if (vcd->count > 1) qsort(vcd->changes, vcd->count, sizeof *vcd->changes, by_cycle);
  uint64_t *last = weft_allocate_array(vcd->signals, sizeof *last);
  for (uint32_t s = 0; s < vcd->signals; ++s) last[s] = vcd->bits[s] > 5 ? NO_VALUE : 0;
  fputs("$enddefinitions $end\n$dumpvars\n", vcd->out);
  for (uint32_t s = 0; s < vcd->signals; ++s) write_value(vcd, s, last[s]);
  fputs("$end\n", vcd->out);
  uint64_t now = NO_VALUE;
  for (uint64_t c = 0; c < vcd->count; ++c) {
    const vcd_change *change = &vcd->changes[c];
    if (c + 1 < vcd->count && change[1].cycle == change->cycle && change[1].signal == change->signal) continue;
    if (change->value == last[change->signal]) continue;
    if (change->cycle != now) {
      now = change->cycle;
      fprintf(vcd->out, "#%.0f\n", round((double)now * 1e12 / clock_hz));
      write_value(vcd, cycle_signal, now);
    }
    write_value(vcd, change->signal, change->value);
    last[change->signal] = change->value;
  }
  free(last);
}

static void write_file(FILE *out, const weft_recording *recording) {
  vcd_file vcd = {.out = out};
  fprintf(out, "$comment %s: times are cycles of a clock of %.0f Hz $end\n$timescale 1 ps $end\n", recording->name,
          recording->clock_hz);
  fputs("$scope module mesh $end\n", out);
  uint32_t cycle_signal = declare(&vcd, 64, "cycle");
  for (uint64_t s = 0; s < recording->span_count;) s = put_core(&vcd, recording, s);
  for (uint64_t h = 0; h < recording->hop_count;) h = put_colour(&vcd, recording, h);
  fputs("$upscope $end\n", out);
  write_changes(&vcd, recording->clock_hz, cycle_signal);
  free(vcd.bits);
  free(vcd.changes);
}

weft_status weft_recording_write_vcd(weft_recording *recording, const char *path) {
  WEFT_TRY(weft_recording_sort(recording, path));
  char *part = weft_format("%s.part", path);
  weft_status status = NULL;
  FILE *out = fopen(part, "w");
  if (out) {
    write_file(out, recording);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed || rename(part, path) != 0)
      status = weft_error(WEFT_FAILED, "%s: cannot write: %m", path);
  } else {
    status = weft_error(WEFT_FAILED, "%s: cannot write: %m", path);
  }
  if (status) unlink(part);
  free(part);
  return status;
}
