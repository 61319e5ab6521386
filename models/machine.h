// weft_machine: the computer that a schedule is for, as data. Read from YAML (models/machines/*.yaml) or from a
// one-line spelling ("mesh:8x8 sram:48KiB clock:850MHz"); every quantity in a file carries its unit and its
// source, or says "estimate". Inside, everything is in base units: Hz, bytes, bytes/s, FLOP/s, seconds, watts.
//
// Files. Top keys: name, about, device (mesh or roofline), measured_on (only from `weft calibrate`: the host's
// identity), rates, costs (of a mesh: a table in models/costs/ or a file; models/costs.h), fitted_costs (the same
// table, written out: by weft_machine_pack, so that schedules need no other file), and the sections mesh and core, or
// roofline; io, store, swarm, system. Their keys are those of the table in machine_fields.c, each {value: 850 MHz,
// source: "..."}. All keys of mesh or roofline are needed; in the other sections a missing key has the value of
// weft_machine_default: in `core` the WSE-2's, elsewhere the CS-2's (layer overhead, power and price 0).
//
// Spellings. Words key:value without blanks inside. The first is mesh:COLUMNSxROWS or roofline:FLOPS (peak of every
// dtype); then in any order, each at most once:
//   mesh      clock sram reserved banks f32fma f16fma mixedfma f32add f16add startup ports colours hop ramp link
//             scalar branch loop map mapstart task end microthread start fabricstart fabriclatency f32mul f16mul
//             f32move f16move other divide function sum conflict halfconflict routerqueue receivequeue
//             sendqueue turn hostin hostout hostword
//   roofline  f32 f16 bf16 memory membw step cores shared copy computeeff memoryeff
//             rate:op,dtype,rows,flops,bytes,seconds (may repeat)
//   mesh      costs (a table in models/costs/; without it no table is used)
//   both      io (in and out at once) in out iolatency store storebw maxsystems fanout swarmbw swarmlatency
//             layer power price name measured
// What is not said has the value of weft_machine_default: a core like the WSE-2's (850 MHz, 48 KiB of which 8 KiB are
// reserved), or a small computer's memory.
//
// A machine is `systems` equal systems. A system is one device (a wafer's mesh of cores, or a processor
// described by its roofline) fed by a weight store (MemoryX) over an I/O link; the broadcast/reduce tree
// (SwarmX) joins the systems.
#ifndef WEFT_MODELS_MACHINE_H
#define WEFT_MODELS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "models/costs.h"
#include "models/dtype.h"
#include "models/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_device_kind { WEFT_MESH, WEFT_ROOFLINE } weft_device_kind;

// What instructions of a kernel take on a core (compiler/kernel.h), and how deep its queues are. Rates are elements per
// cycle, costs cycles; f16 stands for both 16-bit formats. A vector operation takes start-up + elements / rate. Each
// constant's value, source and doubt: docs/machine.md.
typedef struct weft_core_times {
  double start_cycles;        // once: from the kernel's start to the first instruction of the cores' first tasks
  double scalar_cycles;       // one scalar instruction
  double branch_cycles;       // IF, either way
  double loop_cycles;         // one turn of a plain LOOP, beside its body
  double map_cycles;          // one turn of a map LOOP, which replaces the start-up of its operation
  double map_startup_cycles;  // a map LOOP as a whole
  double task_cycles;  // from the end of one task (or activation of an idle core) to the next one's first instruction
  double end_cycles;   // from the last element of a microthread's operation to the activation that it asks for
  double microthread_cycles;                              // the core's time to hand an operation over
  double fabric_startup_cycles;                           // of an operation with wavelets, instead of the start-up
  double fabric_latency_cycles;                           // from a wavelet's arrival to the result that depends on it
  double f32_multiply, f16_multiply, f32_move, f16_move;  // per cycle
  double other_per_cycle;                                 // maximum, minimum, comparison, conversion, integers
  double divide_cycles;                                   // per element
  double function_cycles;                                 // per element: square root, exp, log, tanh, sine, cosine
  double sum_cycles;                                      // per element: SUM, DOT, GREATEST into one value
  // On the cycles of an operation whose two source streams begin in the same bank, and whose banks differ by half of
  // the banks; other differences cost nothing.
  double conflict_factor, half_conflict_factor;
  double router_queue_words;   // per router and colour
  double receive_queue_words;  // between router and core, per colour
  double send_queue_words;     // between core and router, per colour
  double turn_cycles;          // extra latency of a hop that changes between rows and columns
  // Copies between host and memory through one channel: per 32-bit word, and what a core itself takes for each of its
  // words. With few rows of cores, which work at the same time, the latter is the slower.
  double host_in_cycles, host_out_cycles, host_word_cycles;
} weft_core_times;

// A rectangle of cores, each with SRAM, a vector unit and a router.
typedef struct weft_mesh {
  weft_core_times times;
  uint32_t columns, rows;  // the program's rectangle
  double clock_hz;
  uint64_t sram_bytes_per_core;
  uint64_t reserved_bytes_per_core;  // code, stack, queues: not for tensors
  uint32_t banks;
  // Multiply-accumulates per cycle and core: same-format, and 16-bit inputs with f32 accumulation.
  double f32_per_cycle, f16_per_cycle, mixed_per_cycle;
  double elementwise_f32_per_cycle, elementwise_f16_per_cycle;  // add and the like
  double vector_startup_cycles;                                 // of one vector operation
  uint32_t router_ports, colours;
  double hop_cycles, ramp_cycles;  // per router, and between core and router each way
  double link_words_per_cycle;     // 32-bit words per link and direction
} weft_mesh;

// One measured point of a processor's speed: this op on this much work took so long.
typedef struct weft_rate {
  weft_op op;
  weft_dtype dtype;
  double rows;          // tokens in the call (1 in decoding)
  double flops, bytes;  // of the call, as the op table counts them
  double seconds;
} weft_rate;

typedef struct weft_roofline {
  double f32_flops_per_second, f16_flops_per_second, bf16_flops_per_second;  // peak
  double memory_bytes, memory_bytes_per_second;
  double step_seconds;           // fixed cost of one step (launch, hand-over between queues)
  uint32_t cores;                // workers that one compute step uses
  bool shared_cores;             // streams and updates run on the same cores (a host), so they take time from compute
  double copy_bytes_per_second;  // one stream thread copying store to slot
  // With shared_cores: what the cores do together while more is wanted of them than there are, of what each would do
  // alone. Below 1 because users of a core take turns and displace each other's data in the caches.
  double sharing_efficiency;
  double compute_efficiency;  // of peak, where no rates are given: GEMM at large sizes
  double memory_efficiency;   // of memory bandwidth, likewise
  weft_rate *rates;           // measured curve; NULL: the efficiencies above
  uint32_t rate_count;
} weft_roofline;

struct weft_machine {
  char name[64];
  char about[192];
  weft_device_kind kind;
  weft_mesh mesh;          // kind WEFT_MESH
  weft_roofline roofline;  // kind WEFT_ROOFLINE
  // Link between system and weight store.
  double io_in_bytes_per_second, io_out_bytes_per_second, io_latency_seconds;
  // Weight store (MemoryX): holds weights, gradients, optimizer state; runs the update.
  double store_bytes, store_bytes_per_second;
  // Broadcast/reduce tree (SwarmX).
  uint32_t max_systems, swarm_fan_out;
  double swarm_bytes_per_second;  // between a system and its node of the tree, all ports together, each way
  double swarm_latency_seconds;   // per level
  double layer_seconds;           // host's fixed cost per layer and pass (kernel switch); see the file for its source
  double power_watts, price_usd;  // of one system; 0 when unknown
  weft_costs *costs;              // of ops on this mesh, fitted to the wavelet level; owned; NULL: none
  bool measured;                  // written by `weft calibrate`: times may be compared with measurements...
  char host[64];                  // ...of this computer (weft_machine_host_identity)
};

// A mesh of 8x8 cores and a CS-2's surroundings; see "Spellings" above. The name is "unnamed".
weft_machine weft_machine_default(void);

// Reads a YAML file, a name in models/machines/, or a one-line spelling (anything with a ':' in its first word).
// WEFT_INVALID with file:line:column, value, what is right, nearest known key.
weft_status weft_machine_read(const char *where, weft_machine **out_machine) WEFT_CHECKED;
// From YAML text; `where` is for messages.
weft_status weft_machine_unpack(const char *yaml, const char *where, weft_machine **out_machine) WEFT_CHECKED;
// YAML that unpack reads back to an equal machine (same hash); sources are not kept in memory and read "see NAME.yaml".
// Caller frees.
char *weft_machine_pack(const weft_machine *machine);
weft_status weft_machine_check(const weft_machine *machine) WEFT_CHECKED;
void weft_machine_print(const weft_machine *machine, FILE *out);
char *weft_machine_spell(
    const weft_machine *machine);  // one-line spelling that weft_machine_read reads back; caller frees
uint64_t weft_machine_hash(const weft_machine *machine);  // of all numbers and the host; not of name and description
void weft_machine_destroy(weft_machine *machine);         // takes NULL

weft_status weft_machine_names(char ***out_names, uint32_t *out_count) WEFT_CHECKED;

// Names this computer: processor model, cores, memory; equal on one computer, different on most others.
void weft_machine_host_identity(char out_identity[64]);

// Peak of the whole device for a dtype, FLOP/s (2 per multiply-accumulate).
double weft_machine_peak_flops(const weft_machine *machine, weft_dtype dtype);
// Memory for tensors on one device, bytes: mesh: cores x (SRAM - reserved); roofline: memory.
double weft_machine_memory_bytes(const weft_machine *machine);

// Cycles by arithmetic, as the mesh adds them up (docs/machine.md): from the start of a kernel to the first word at the
// core next to the sender, and for each further core of a chain that receives, adds its own and sends on.
double weft_machine_first_word_cycles(const weft_mesh *mesh);
double weft_machine_chain_stage_cycles(const weft_mesh *mesh);

#ifdef __cplusplus
}
#endif
#endif
