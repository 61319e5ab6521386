// weft_schedule: how a network will run on a machine, step by step; the one thing that the simulator predicts and
// the runtime executes. It is self-sufficient: whoever has it needs neither the graph nor the compiler.
//
// Steps. A step's number is its index and the name of that piece of work everywhere. Steps depend only on smaller
// numbers. Each belongs to one queue; a queue runs its steps in order of number, queues meet through dependencies.
// Steps [0, body) run `iterations` times (micro-batches of one training step; 1 otherwise), the rest once after.
// An iteration begins when the one before has ended in all queues.
//
// Chunks. A STREAM_IN step with chunks > 1 and the COMPUTE step that consumes its weight (`partner`) have the same
// chunk count and overlap: chunk c of the compute step waits for chunk c of the stream, and the stream may be at
// most `ring` chunks ahead (double buffering: the slot holds `ring` chunks). A linear_backward_weight step and its
// STREAM_OUT partner overlap the same way in the other direction. All other dependencies are from whole step to whole
// step. Chunk c of a weight with R rows covers rows [c*chunk_rows, min(R, (c+1)*chunk_rows)).
//
// Memory. Every tensor on the device has a slot; tensors of disjoint lifetimes share one. A slot's offset and bytes
// are what the plan takes of the device's memory (on a mesh: of every core's SRAM; else: of device memory). Tensors at
// the store (parameters, gradients, optimizer state) have no slot. A tensor with a parent is a range of its columns.
//
// Frozen once made; all indices refer into the arrays here; WEFT_NONE marks none. Threads: reading is free.
#ifndef WEFT_COMPILER_SCHEDULE_H
#define WEFT_COMPILER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "models/machine.h"
#include "models/network.h"
#include "models/ops.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_residency {
  WEFT_ACTIVATION,  // on the device
  WEFT_WEIGHT,      // a streamed copy of a parameter, on the device while needed
  WEFT_GRADIENT,    // a weight's gradient on its way out, on the device until stored
  WEFT_CACHE,       // K or V of all positions; stays on the device between runs
  WEFT_INPUT,       // ids, positions, targets: written by the host before each iteration, on the device
  WEFT_OUTPUT,      // logits, loss: read by the host after each iteration, on the device
  WEFT_STORE_PARAMETER,
  WEFT_STORE_GRADIENT,
  WEFT_STORE_MOMENT1,
  WEFT_STORE_MOMENT2,  // at the store
  WEFT_STORE_SCALAR,   // sums for clipping
  WEFT_RESIDENCY_COUNT
} weft_residency;

typedef struct weft_tensor {
  const char *name;  // "layers.3.attention.q"; parameters: the Hugging Face name
  weft_residency residency;
  weft_dtype dtype;
  uint32_t rank;
  uint64_t shape[4];  // a view has its own shape
  uint32_t parent;    // WEFT_NONE, or the tensor of which this is columns [column, column + shape[last])
  uint64_t column;
  uint32_t slot;        // WEFT_NONE at the store; a view has its parent's
  uint32_t parameter;   // index for weft_network_parameter, or WEFT_NONE
  uint32_t chunk_rows;  // rows that the slot holds per chunk; 0: all of them
} weft_tensor;

typedef struct weft_slot {
  uint64_t offset, bytes;  // of the device plan: per core on a mesh, else of device memory
  uint64_t host_bytes;     // what an executor on a host needs: the largest tensor (or ring of chunks) that lives here
} weft_slot;

typedef enum weft_step_kind {
  WEFT_STREAM_IN,
  WEFT_COMPUTE,
  WEFT_COLLECTIVE,
  WEFT_STREAM_OUT,
  WEFT_UPDATE,
  WEFT_MOVE,
  WEFT_STEP_KIND_COUNT
} weft_step_kind;

typedef enum weft_queue {
  WEFT_QUEUE_STREAM_IN,
  WEFT_QUEUE_COMPUTE,
  WEFT_QUEUE_REDUCE,
  WEFT_QUEUE_STREAM_OUT,
  WEFT_QUEUE_UPDATE,
  WEFT_QUEUE_COUNT
} weft_queue;

typedef enum weft_phase { WEFT_FORWARD, WEFT_BACKWARD, WEFT_OPTIMIZE, WEFT_PHASE_COUNT } weft_phase;

typedef struct weft_rectangle {
  uint32_t x, y, columns, rows;
} weft_rectangle;  // of cores; zero on a roofline

typedef struct weft_step {
  weft_step_kind kind;
  weft_op op;
  weft_queue queue;
  weft_phase phase;
  int32_t layer;    // block number; -1 outside the blocks
  bool recomputed;  // a forward op run again for the backward pass
  weft_rectangle rectangle;
  uint32_t inputs[WEFT_OP_MAX_INPUTS];  // tensors; WEFT_NONE where absent
  uint32_t outputs[WEFT_OP_MAX_OUTPUTS];
  weft_attributes attributes;
  uint32_t first_dependency, dependency_count;  // into schedule->dependencies
  uint32_t partner;                             // the step at the other end of a chunked stream, or WEFT_NONE
  uint32_t chunks, chunk_rows, ring;            // 1, 0, 1 when not chunked
  uint64_t bytes;                               // streams: over the link; compute: operands read and written once
  double flops;                                 // of the whole step
  uint64_t rows, in, out;  // tokens, columns in and out: what the op table's FLOPs were counted from
} weft_step;

typedef struct weft_schedule {
  weft_arena arena;  // owns everything below but the machine
  weft_network network;
  weft_machine *machine;  // owned
  weft_run run;
  uint32_t micro_batch;      // sequences per system and iteration
  uint32_t iterations;       // micro-batches per step
  uint32_t body;             // steps [0, body) are repeated
  weft_recompute recompute;  // what was chosen
  weft_tensor *tensors;
  uint32_t tensor_count;
  weft_slot *slots;
  uint32_t slot_count;
  weft_step *steps;
  uint32_t step_count;
  uint32_t *dependencies;
  uint32_t dependency_count;
  uint64_t memory_bytes;  // highest offset + bytes in the plan (per core on a mesh)
  uint64_t memory_limit;  // what there is
} weft_schedule;

weft_schedule *weft_schedule_create(void);
// Every invariant above: indices, numbering, chunk partners, that tensors sharing a slot are ordered by dependencies,
// that reads come after writes, that the plan fits. The compiler calls it after its passes; readers of files call it
// too.
weft_status weft_schedule_check(const weft_schedule *schedule) WEFT_CHECKED;
void weft_schedule_print(const weft_schedule *schedule, FILE *out);
// Protobuf (compiler/schedule.proto): same schedule, same bytes. Caller frees *out_bytes.
weft_status weft_schedule_pack(const weft_schedule *schedule, uint8_t **out_bytes, size_t *out_size) WEFT_CHECKED;
weft_status weft_schedule_unpack(const uint8_t *bytes, size_t size, weft_schedule **out_schedule) WEFT_CHECKED;
weft_status weft_schedule_read(const char *path, weft_schedule **out_schedule) WEFT_CHECKED;  // checked
weft_status weft_schedule_write(const weft_schedule *schedule, const char *path) WEFT_CHECKED;
uint64_t weft_schedule_hash(const weft_schedule *schedule);  // of the packed bytes
void weft_schedule_destroy(weft_schedule *schedule);         // takes NULL

const char *weft_residency_name(weft_residency residency);
const char *weft_step_kind_name(weft_step_kind kind);
const char *weft_queue_name(weft_queue queue);  // "stream-in", "compute", "reduce", "stream-out", "update"
const char *weft_phase_name(weft_phase phase);  // "forward", "backward", "optimize"

static inline uint32_t weft_step_runs(const weft_schedule *schedule, uint32_t step) {
  return step < schedule->body ? schedule->iterations : 1;
}
uint64_t weft_tensor_elements(const weft_tensor *tensor);
uint64_t weft_tensor_bytes(const weft_tensor *tensor);
// The step as people read it: "forward layer 3 linear layers.3.attention.q_proj". Caller frees.
char *weft_step_describe(const weft_schedule *schedule, uint32_t step);
// Tokens that one run of the schedule processes over all systems (batch * sequence; decode: batch).
uint64_t weft_schedule_tokens(const weft_schedule *schedule);
// Sum of flops over all steps and iterations, of one system. `recomputed` false leaves out repeated forward work.
double weft_schedule_flops(const weft_schedule *schedule, bool recomputed);

#ifdef __cplusplus
}
#endif
#endif
