// What cores and routers of a rectangle did in a stretch of cycles, event by event, as plain arrays; and the two files
// made of it: VCD for GTKWave and other viewers of waves, Perfetto's native format for ui.perfetto.dev.
//
//   weft_recording *recording = weft_recording_create("stencil", 850e6);
//   ... weft_recording_span, weft_recording_hop as things happen, in any order ...
//   weft_recording_write_vcd(recording, "corner.vcd");
//   weft_recording_write_trace(recording, "corner.pftrace");
//
// A core's spans lie inside each other: a task, in it instructions, in these stalls; stalls may also lie in a task
// between two instructions. Microthreads have lanes of their own, without tasks. What is drawn ends at the window.
//
// VCD (IEEE 1364-2005, section 18). Timescale 1 ps; cycle c is at c / clock, rounded to the picosecond, and the signal
// `cycle` says which one it is. Scopes core_X_Y hold `task`, `instruction` (numbers in the kernel's program; z while
// there is none) and `state` (weft_core_state); microthread_M and microthread_M_state are the same for one of those.
// Scopes router_X_Y hold `north`, `east`, `south`, `west` and `ramp`: the colour of the wavelet that leaves in this
// cycle, z where none does. Scopes router_X_Y_colour_C hold `valid` (a wavelet leaves in this cycle), `ports` (mask: 1
// north, 2 east, 4 south, 8 west, 16 ramp), `data` (its 32 bits), `control`, and `held` where any is: how many
// wavelets of the queue could have left before but are held up. What never happens in the recording is not declared.
//
// Perfetto: a track for every core (and microthread in use) with a slice for every span, categories task, instruction
// and stall; a counter for every link and ramp in use, wavelets per cycle over bins of a power of two of cycles, 512 at
// most. Its unit of time is the nanosecond, of which a cycle is rarely a whole number; so a cycle is drawn as one
// nanosecond, as the processes' names say.
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

enum { WEFT_RECORDING_MOST = 20000000, WEFT_RECORDING_PORTS = 5 };

typedef enum weft_core_state {  // the numbers are those of the VCD
  WEFT_CORE_IDLE,               // no task
  WEFT_CORE_BUSY,
  WEFT_CORE_RECEIVE,      // waits for wavelets
  WEFT_CORE_SEND,         // waits for room towards the router
  WEFT_CORE_MICROTHREAD,  // waits for one of its microthreads
  WEFT_CORE_STATES
} weft_core_state;
const char *weft_core_state_name(weft_core_state state);  // "idle", "busy", "waits to receive" ...

typedef enum weft_span_kind { WEFT_SPAN_TASK, WEFT_SPAN_INSTRUCTION, WEFT_SPAN_STALL, WEFT_SPAN_KINDS } weft_span_kind;

enum { WEFT_NO_COLOUR = -1 };
typedef struct weft_span {
  weft_span_kind kind;
  uint32_t x, y;
  uint32_t lane;               // 0: the core itself, 1 + m: microthread m
  uint32_t task, instruction;  // numbers in the program; instruction: of that kind only
  uint32_t label;              // of tasks and instructions
  weft_core_state state;       // stalls: why
  int32_t colour;              // stalls: what it waits for, or WEFT_NO_COLOUR
  uint64_t begin, end;         // cycles
} weft_span;

typedef struct weft_hop {
  uint32_t x, y, colour;
  uint8_t port;  // 0 to 4: north, east, south, west, ramp
  bool control;
  uint64_t since, cycle;  // could have left from `since` on, left in `cycle`
  uint32_t bits;
} weft_hop;

typedef struct weft_recording {
  char name[96];
  double clock_hz;
  uint64_t window_begin, window_end;  // cycles; 0 and UINT64_MAX at first
  weft_span *spans;
  weft_hop *hops;
  char **labels;
  uint64_t span_count, span_room, hop_count, hop_room, lost;
  uint32_t label_count;
} weft_recording;

weft_recording *weft_recording_create(const char *name, double clock_hz);
void weft_recording_destroy(weft_recording *recording);  // takes NULL

uint32_t weft_recording_label(weft_recording *recording, const char *text);  // to name spans by
// Not kept where no cycle of them is in the window.
void weft_recording_span(weft_recording *recording, const weft_span *span);
void weft_recording_hop(weft_recording *recording, const weft_hop *hop);

// Both sort the arrays. WEFT_FAILED: too many events (with how many, and what to do), or the file cannot be written.
weft_status weft_recording_write_vcd(weft_recording *recording, const char *path) WEFT_CHECKED;
weft_status weft_recording_write_trace(weft_recording *recording, const char *path) WEFT_CHECKED;  // gzip where .gz

#ifdef __cplusplus
}
#endif
#endif
