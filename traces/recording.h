// What cores and routers of a rectangle did in a stretch of cycles, event by event, as plain arrays; and the two files
// made of it: VCD for GTKWave and other viewers of waves, Perfetto's native format for ui.perfetto.dev.
//
//   weft_recording *recording = weft_recording_create("stencil", 850e6);
//   ... weft_recording_span, weft_recording_hop as things happen, in any order ...
//   weft_recording_write_vcd(recording, "corner.vcd");
//   weft_recording_write_trace(recording, "corner.pftrace");
//
// VCD (IEEE 1364-2005, section 18). Timescale 1 ps; cycle c is at c / clock, rounded to the picosecond, and the signal
// `cycle` says which one it is. Scopes core_X_Y hold `task`, `instruction` (numbers in the kernel's program; z while
// there is none) and `state` (0 nothing, 1 busy without wavelets, 2 an operation that receives, 3 one that sends), and
// `microthread_M` the instruction that one carries out. Scopes router_X_Y_colour_C hold `valid` (a wavelet leaves in
// this cycle), `ports` (mask: 1 north, 2 east, 4 south, 8 west, 16 ramp), `data` (its 32 bits) and `control`. What
// never changes in the recording is not declared.
//
// Perfetto: a track for every core (and microthread in use), a slice for every instruction, named "TASK: INSTRUCTION".
// Its unit of time is the nanosecond, of which a cycle is rarely a whole number; so a cycle is drawn as one nanosecond,
// as the process's name says.
//
// Threads: one at a time. At most WEFT_RECORDING_MOST events are kept; the files are refused if there were more.
#ifndef WEFT_TRACES_RECORDING_H
#define WEFT_TRACES_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WEFT_RECORDING_MOST = 20000000 };

typedef enum weft_core_state { WEFT_CORE_NOTHING, WEFT_CORE_BUSY, WEFT_CORE_RECEIVES, WEFT_CORE_SENDS } weft_core_state;

typedef struct weft_span {
  uint32_t x, y;
  uint32_t lane;  // 0: the core itself, 1 + m: microthread m
  uint32_t task, instruction, label;
  weft_core_state state;
  uint64_t begin, end;  // cycles; not drawn where end is not after begin
} weft_span;

typedef struct weft_hop {
  uint32_t x, y, colour;
  uint8_t port;  // 0 to 4: north, east, south, west, ramp
  bool control;
  uint64_t cycle;
  uint32_t bits;
} weft_hop;

typedef struct weft_recording {
  char name[96];
  double clock_hz;
  weft_span *spans;
  weft_hop *hops;
  char **labels;
  uint64_t span_count, span_room, hop_count, hop_room, lost;
  uint32_t label_count;
} weft_recording;

weft_recording *weft_recording_create(const char *name, double clock_hz);
void weft_recording_destroy(weft_recording *recording);  // takes NULL

uint32_t weft_recording_label(weft_recording *recording, const char *text);  // to name spans by
void weft_recording_span(weft_recording *recording, const weft_span *span);
void weft_recording_hop(weft_recording *recording, const weft_hop *hop);

// Both sort the arrays. WEFT_FAILED: too many events (with how many, and what to do), or the file cannot be written.
weft_status weft_recording_write_vcd(weft_recording *recording, const char *path) WEFT_CHECKED;
weft_status weft_recording_write_trace(weft_recording *recording, const char *path) WEFT_CHECKED;  // gzip where .gz

#ifdef __cplusplus
}
#endif
#endif
