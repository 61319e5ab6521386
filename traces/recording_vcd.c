// A recording as VCD. The sorted spans and hops give the signals in order and their changes, which are then sorted by
// cycle. Of the changes of a signal at one cycle the last holds, and what begins counts as later than what ends.
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
  uint32_t signal, number;  // number: order in which they were made, what begins after what ends
} vcd_change;

enum { VCD_BEGINS = 1u << 30 };  // of a change's number

typedef struct vcd_file {
  FILE *out;
  const weft_recording *recording;
  uint8_t *bits;        // by signal
  bool *none_at_first;  // z rather than 0
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

static uint32_t declare(vcd_file *vcd, uint32_t bits, const char *name, uint64_t at_first) {
  if (vcd->signals == vcd->signal_room) {
    vcd->signal_room = vcd->signal_room * 2 + 256;
    vcd->bits = weft_grow(vcd->bits, vcd->signal_room, 1);
    vcd->none_at_first = weft_grow(vcd->none_at_first, vcd->signal_room, sizeof *vcd->none_at_first);
  }
  vcd->bits[vcd->signals] = (uint8_t)bits;
  vcd->none_at_first[vcd->signals] = at_first == NO_VALUE;
  char text[8];
  fprintf(vcd->out, "$var wire %" PRIu32 " %s %s", bits, identifier(vcd->signals, text), name);
  fprintf(vcd->out, bits > 1 ? " [%" PRIu32 ":0] $end\n" : " $end\n", bits - 1);
  return vcd->signals++;
}

static void change(vcd_file *vcd, uint64_t cycle, uint32_t signal, uint64_t value, uint32_t begins) {
  if (vcd->count == vcd->room) {
    vcd->room = vcd->room * 2 + 1024;
    vcd->changes = weft_grow(vcd->changes, vcd->room, sizeof *vcd->changes);
  }
  vcd->changes[vcd->count] = (vcd_change){cycle, value, signal, (uint32_t)vcd->count | begins};
  ++vcd->count;
}
static void set(vcd_file *vcd, uint64_t cycle, uint32_t signal, uint64_t value) {
  change(vcd, cycle, signal, value, VCD_BEGINS);
}
static void reset(vcd_file *vcd, uint64_t cycle, uint32_t signal, uint64_t value) {
  change(vcd, cycle, signal, value, 0);
}

static void scope(vcd_file *vcd, const char *kind, uint32_t x, uint32_t y) {
  fprintf(vcd->out, "$scope module %s_%" PRIu32 "_%" PRIu32, kind, x, y);
}

// One core, or one microthread of it. What is around a stall goes on after it, unless it ends with it.
static void put_lane(vcd_file *vcd, const weft_span *spans, uint64_t count) {
  const weft_recording *recording = vcd->recording;
  bool thread = spans->lane > 0;
  char name[32] = "instruction", state_name[40] = "state";
  if (thread) {
    snprintf(name, sizeof name, "microthread_%" PRIu32, spans->lane - 1);
    snprintf(state_name, sizeof state_name, "%s_state", name);
  }
  uint32_t task = thread ? 0 : declare(vcd, 8, "task", NO_VALUE), instruction = declare(vcd, 16, name, NO_VALUE),
           state = declare(vcd, 4, state_name, 0);
  uint64_t outer_end = 0;
  for (uint64_t s = 0; s < count; ++s) {
    const weft_span *span = &spans[s];
    uint64_t begin = weft_span_begin(recording, span), end = weft_span_end(recording, span);
    if (span->kind == WEFT_SPAN_STALL) {
      set(vcd, begin, state, (uint64_t)span->state);
      if (end < outer_end) reset(vcd, end, state, WEFT_CORE_BUSY);
      continue;
    }
    if (span->kind == WEFT_SPAN_INSTRUCTION) {
      set(vcd, begin, instruction, span->instruction);
      reset(vcd, end, instruction, NO_VALUE);
    } else {
      set(vcd, begin, task, span->task);
      reset(vcd, end, task, NO_VALUE);
    }
    if (!thread && span->kind == WEFT_SPAN_INSTRUCTION) continue;
    set(vcd, begin, state, WEFT_CORE_BUSY);
    reset(vcd, end, state, WEFT_CORE_IDLE);
    outer_end = end;
  }
}

static void put_core(vcd_file *vcd, const weft_span *spans, uint64_t count) {
  scope(vcd, "core", spans->x, spans->y);
  fputs(" $end\n", vcd->out);
  for (uint64_t s = 0, end; s < count; s = end) {
    for (end = s + 1; end < count && spans[end].lane == spans[s].lane;) ++end;
    put_lane(vcd, spans + s, end - s);
  }
  fputs("$upscope $end\n", vcd->out);
}

// Which colour passes through each port of one router.
static void put_links(vcd_file *vcd, const weft_hop *hops, uint64_t count) {
  uint32_t signals[WEFT_RECORDING_PORTS], used = 0;
  scope(vcd, "router", hops->x, hops->y);
  fputs(" $end\n", vcd->out);
  for (uint64_t h = 0; h < count; ++h) used |= 1u << hops[h].port;
  for (uint32_t port = 0; port < WEFT_RECORDING_PORTS; ++port)
    if (used >> port & 1) signals[port] = declare(vcd, 6, weft_recording_port_name(port), NO_VALUE);
  for (uint64_t h = 0; h < count; ++h) {
    set(vcd, hops[h].cycle, signals[hops[h].port], hops[h].colour);
    reset(vcd, hops[h].cycle + 1, signals[hops[h].port], NO_VALUE);
  }
  fputs("$upscope $end\n", vcd->out);
}

// Wavelets leave in the order in which they came, so the two may be gone through side by side. Hops of one wavelet
// through several ports follow each other.
static void put_held(vcd_file *vcd, const weft_hop *hops, uint64_t count) {
  bool any = false;
  for (uint64_t h = 0; h < count; ++h) any = any || hops[h].since < hops[h].cycle;
  if (!any) return;
  uint32_t held = declare(vcd, 8, "held", 0);
  uint64_t come = 0, gone = 0, waiting = 0;
  while (gone < count) {
    if (come < count && hops[come].since <= hops[gone].cycle) {
      uint64_t since = hops[come].since, from = vcd->recording->window_begin, cycle = hops[come].cycle;
      set(vcd, since > from ? since : from, held, ++waiting);
      while (come < count && hops[come].cycle == cycle) ++come;
    } else {
      uint64_t cycle = hops[gone].cycle;
      set(vcd, cycle, held, --waiting);
      while (gone < count && hops[gone].cycle == cycle) ++gone;
    }
  }
}

// All wavelets of one colour that left one router.
static void put_colour(vcd_file *vcd, const weft_hop *hops, uint64_t count) {
  scope(vcd, "router", hops->x, hops->y);
  fprintf(vcd->out, "_colour_%" PRIu32 " $end\n", hops->colour);
  uint32_t valid = declare(vcd, 1, "valid", 0), ports = declare(vcd, 5, "ports", 0),
           data = declare(vcd, 32, "data", NO_VALUE), control = declare(vcd, 1, "control", 0);
  put_held(vcd, hops, count);
  for (uint64_t h = 0; h < count;) {
    const weft_hop *hop = &hops[h];
    uint64_t mask = 0;
    for (; h < count && hops[h].cycle == hop->cycle; ++h) mask |= 1u << hops[h].port;
    set(vcd, hop->cycle, valid, 1);
    set(vcd, hop->cycle, ports, mask);
    set(vcd, hop->cycle, data, hop->bits);
    set(vcd, hop->cycle, control, hop->control);
    if (h < count && hops[h].cycle == hop->cycle + 1) continue;
    reset(vcd, hop->cycle + 1, valid, 0);
    reset(vcd, hop->cycle + 1, ports, 0);
    reset(vcd, hop->cycle + 1, control, 0);
  }
  fputs("$upscope $end\n", vcd->out);
}

static void put_router(vcd_file *vcd, const weft_hop *hops, uint64_t count) {
  put_links(vcd, hops, count);
  for (uint64_t h = 0, end; h < count; h = end) {
    for (end = h + 1; end < count && hops[end].colour == hops[h].colour;) ++end;
    put_colour(vcd, hops + h, end - h);
  }
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

static void write_time(const vcd_file *vcd, uint64_t cycle) {
  fprintf(vcd->out, "#%.0f\n", round((double)cycle * 1e12 / vcd->recording->clock_hz));
}

// Is this change overtaken by another of its signal at the same cycle?
static bool overtaken(const vcd_file *vcd, uint64_t c) {
  const vcd_change *change = &vcd->changes[c];
  return c + 1 < vcd->count && change[1].cycle == change->cycle && change[1].signal == change->signal;
}

static void write_changes(vcd_file *vcd, uint32_t cycle_signal) {
  if (vcd->count > 1) qsort(vcd->changes, vcd->count, sizeof *vcd->changes, by_cycle);
  uint64_t *last = weft_allocate_array(vcd->signals, sizeof *last), c = 0;
  for (uint32_t s = 0; s < vcd->signals; ++s) last[s] = vcd->none_at_first[s] ? NO_VALUE : 0;
  // The values of the first cycle are those that are dumped.
  uint64_t now = vcd->count > 0 ? vcd->changes[0].cycle : vcd->recording->window_begin;
  last[cycle_signal] = now;
  for (; c < vcd->count && vcd->changes[c].cycle == now; ++c) last[vcd->changes[c].signal] = vcd->changes[c].value;
  fputs("$enddefinitions $end\n", vcd->out);
  write_time(vcd, now);
  fputs("$dumpvars\n", vcd->out);
  for (uint32_t s = 0; s < vcd->signals; ++s) write_value(vcd, s, last[s]);
  fputs("$end\n", vcd->out);
  for (; c < vcd->count; ++c) {
    const vcd_change *change = &vcd->changes[c];
    if (overtaken(vcd, c) || change->value == last[change->signal]) continue;
    if (change->cycle != now) {
      now = change->cycle;
      write_time(vcd, now);
      write_value(vcd, cycle_signal, now);
    }
    write_value(vcd, change->signal, change->value);
    last[change->signal] = change->value;
  }
  free(last);
}

static void write_file(FILE *out, const weft_recording *recording) {
  vcd_file vcd = {.out = out, .recording = recording};
  fprintf(out, "$comment %s: times are cycles of a clock of %.0f Hz $end\n$version Weft $end\n$timescale 1 ps $end\n",
          recording->name, recording->clock_hz);
  fputs("$scope module mesh $end\n", out);
  uint32_t cycle_signal = declare(&vcd, 64, "cycle", NO_VALUE);
  for (uint64_t s = 0, end; s < recording->span_count; s = end) {
    end = weft_recording_core_end(recording, s);
    put_core(&vcd, recording->spans + s, end - s);
  }
  for (uint64_t h = 0, end; h < recording->hop_count; h = end) {
    end = weft_recording_router_end(recording, h);
    put_router(&vcd, recording->hops + h, end - h);
  }
  fputs("$upscope $end\n", out);
  write_changes(&vcd, cycle_signal);
  free(vcd.bits);
  free(vcd.none_at_first);
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
