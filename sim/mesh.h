// The mesh at wavelet level: executes a kernel (compiler/kernel.h) on every core of a rectangle of a machine, cycle by
// cycle and with real data. One SystemC process over flat arrays; idle cores and routers cost nothing.
//
//   weft_mesh *mesh;
//   weft_mesh_open(kernel, machine, &options, &mesh);      the kernel stays the caller's and must outlive the mesh
//   weft_mesh_write(mesh, x, y, "weights", bytes, size);   SRAM before the start
//   weft_mesh_run(mesh, &report);                          once
//   weft_mesh_read(mesh, x, y, "sums", bytes, size);       SRAM after the end
//   weft_mesh_close(mesh);
//
// The result is a pure function of kernel, machine and data: the same cycles and bytes for 1 and 2 threads. One mesh at
// a time runs in a process (SystemC's kernel is global); any number may be open.
//
// A hop is one wavelet leaving a router through one port. Links and ramps are counted apart.
#ifndef WEFT_SIM_MESH_H
#define WEFT_SIM_MESH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "compiler/kernel.h"
#include "models/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_mesh_sim weft_mesh_sim;

typedef enum weft_stall {  // why a core did nothing in a cycle although its program has not ended
  WEFT_STALL_RECEIVE,      // an operation waits for wavelets
  WEFT_STALL_SEND,         // an operation, or a control wavelet, waits for room in the queue towards the router
  WEFT_STALL_MICROTHREAD,  // the task waits for one of its microthreads, which may itself wait
  WEFT_STALL_IDLE,         // no task is runnable
  WEFT_STALLS
} weft_stall;
const char *weft_stall_name(weft_stall stall);

// What cores did, seen by an observer, in cycles from `begin` up to `end`. A task lasts from its start to its last
// instruction. Vector instructions lie inside their task, except those of microthreads, which may outlast it. Stalls
// lie inside of what waits: an instruction, or between two of the task. A core is idle while it has no task, and busy
// in the cycles of a task that are no stall of the core itself.
typedef struct weft_task_event {
  uint32_t x, y, task;
  uint64_t begin, end;
} weft_task_event;
typedef struct weft_core_event {
  uint32_t x, y, task, instruction;  // instruction: index in the program's code
  uint64_t begin, end;
  bool microthread;
} weft_core_event;
typedef struct weft_stall_event {
  uint32_t x, y;
  uint32_t microthread;  // that waits; WEFT_NOTHING: the core itself
  uint32_t colour;       // what it waits for; WEFT_NOTHING: a microthread
  weft_stall why;        // never WEFT_STALL_IDLE
  uint64_t begin, end;   // follow each other without overlap per core and microthread
} weft_stall_event;
// One wavelet leaving a router. It could have left from cycle `since` on, and was held up until `cycle`: by a full
// queue, a switch, another colour on the same port.
typedef struct weft_hop_event {
  uint32_t x, y, colour;
  uint8_t port;  // weft_port
  bool control;
  uint64_t since, cycle;
  uint32_t bits;
} weft_hop_event;

// Called for cores and routers inside `where` and what touches cycles in [begin, end) only, from the simulating thread,
// when it ends: in order of cycles for one core, microthread or router. What is under way when a run fails ends there;
// in a deadlock 16 cycles later, so that it is seen what waits. Any function may be NULL.
typedef struct weft_mesh_observer {
  void *context;
  weft_block where;
  uint64_t begin, end;
  void (*task)(void *context, const weft_task_event *event);
  void (*core)(void *context, const weft_core_event *event);
  void (*stall)(void *context, const weft_stall_event *event);
  void (*hop)(void *context, const weft_hop_event *event);
} weft_mesh_observer;

typedef struct weft_mesh_options {
  uint32_t threads;      // 1 or 2: bands of rows
  uint64_t most_cycles;  // stop with WEFT_FAILED after so many; 0: never
  bool count_links;      // keep wavelets and blocked cycles per link and core (weft_mesh_link, weft_mesh_core)
  const weft_mesh_observer *observer;  // NULL: nobody looks. With an observer one thread runs, word by word
  // The reference: every word and every element by itself; slower. The result is the same, but for kernels in which
  // operations under way together write the same elements, or one writes what another has yet to read: what they leave
  // there may differ, though it is the same in every run and for any number of threads.
  bool plain;
} weft_mesh_options;
weft_mesh_options weft_mesh_options_default(void);  // 1 thread, no limit, counts links

typedef struct weft_mesh_report {
  uint64_t cycles;  // from the start to the last thing that any core or router did
  uint64_t link_hops, ramp_hops, control_hops;
  uint64_t train_hops;                 // of these, links and ramps: advanced many at a time; not part of the result
  uint64_t core_busy_cycles;           // over all cores
  uint64_t stall_cycles[WEFT_STALLS];  // over all cores
  uint64_t instructions, elements;     // carried out; elements of vector operations
  double flops;                        // multiply and add count 1 each
  uint64_t hash;                       // XXH3 over cycles, counts and the SRAM of all cores
  double wall_seconds;                 // of the simulation; not part of the result
  uint64_t memory_bytes;               // of this process for the mesh
} weft_mesh_report;

// WEFT_INVALID: the kernel has not been checked, or is larger than the machine's mesh. WEFT_INFEASIBLE: SRAM too small.
weft_status weft_mesh_open(const weft_kernel *kernel, const weft_machine *machine, const weft_mesh_options *options,
                           weft_mesh_sim **out_mesh) WEFT_CHECKED;
void weft_mesh_close(weft_mesh_sim *mesh);

// Whole arrays of the core's program, in its dtype; `size` must be exactly the array's. WEFT_INVALID names the nearest
// array.
weft_status weft_mesh_write(weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *array, const void *bytes,
                            size_t size) WEFT_CHECKED;
weft_status weft_mesh_read(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *array, void *bytes,
                           size_t size) WEFT_CHECKED;
// The same in f32, converted (i32 arrays as numbers).
weft_status weft_mesh_write_f32(weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *array, const float *values,
                                size_t count) WEFT_CHECKED;
weft_status weft_mesh_read_f32(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *array, float *values,
                               size_t count) WEFT_CHECKED;
// The 32 bits of a register of the core's program.
weft_status weft_mesh_register(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name,
                               uint32_t *out_bits) WEFT_CHECKED;
// Words of a channel, by its index in the kernel; the buffer belongs to the caller until the mesh is closed.
weft_status weft_mesh_feed(weft_mesh_sim *mesh, uint32_t channel, const uint32_t *words, uint64_t count) WEFT_CHECKED;
weft_status weft_mesh_drain(weft_mesh_sim *mesh, uint32_t channel, uint32_t *words, uint64_t count) WEFT_CHECKED;

// WEFT_FAILED: a deadlock, explained (which cores wait in which task and line for which colour, which queues are full
// and at which routers), a view outside its array, or most_cycles. What has been done until then can still be read.
weft_status weft_mesh_run(weft_mesh_sim *mesh, weft_mesh_report *out_report) WEFT_CHECKED;

// After a run with count_links: wavelets that left router (x, y) through `port`; what its core did. Busy and stalled
// cycles of a core with a program add up to those of the run; of one that stopped itself, to its end_cycle.
// Microthreads work beside the core and are in neither.
uint64_t weft_mesh_link(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, weft_port port);
typedef struct weft_core_account {
  uint64_t busy_cycles, stall_cycles[WEFT_STALLS], end_cycle;  // end: the core's last instruction
} weft_core_account;
weft_core_account weft_mesh_core(const weft_mesh_sim *mesh, uint32_t x, uint32_t y);

#ifdef __cplusplus
}
#endif
#endif
