// A schedule executed at wavelet level: every step that computes becomes kernels (compiler/kernels/layers.h) which a
// simulated mesh (sim/mesh.h) carries out with real data, so that its results can be held against a backend's.
//
// What is where. Activations, caches, statistics, token ids and the step's scalars lie in the cores' SRAM, and stay
// there from one kernel to the next. Parameters, gradients and optimizer state are at the store, outside the mesh: they
// enter and leave through channels at its edge, as words in the order that each kernel documents. All arithmetic is
// done by the mesh: rounding of weights, selection of an embedding's rows, positions, rope's frequencies, the sum of
// losses and the number of targets, the norm of gradients and clipping, bias corrections, the choice of the next token.
// Outside it: the words' order on their way, which kernel is next, and what enters (token ids and targets, the position
// of the first, learning rate and the optimizer's other constants, the number of the step).
//
// A chunked stream is one kernel here: chunks belong to the region level (sim/sim.h). A tensor keeps its SRAM from the
// step that makes it to the last that needs it; every kernel's arrays have to fit beside those.
//
// Threads: an object belongs to one thread at a time, and one runs at a time in a process (SystemC's kernel is global).
#ifndef WEFT_SIM_WAVELET_H
#define WEFT_SIM_WAVELET_H

#include "compiler/schedule.h"
#include "sim/mesh.h"

#ifdef __cplusplus
extern "C" {
#endif

// The weight store: values (f32, row-major, the parameter's shape) of a parameter, its gradient or a moment; `which`
// is WEFT_STORE_PARAMETER, _GRADIENT, _MOMENT1 or _MOMENT2. NULL: there is none. They are changed by training.
typedef struct weft_wavelet_store {
  void *context;
  float *(*values)(void *context, uint32_t parameter, weft_residency which);
} weft_wavelet_store;

// What a step needs beside its operands.
typedef struct weft_wavelet_scalars {
  uint64_t position;  // rows already in the KV cache
  float loss_scale;   // 1 / number of targets that count
  float learning_rate, beta1, beta2, epsilon, decay;
  uint64_t step;         // adamw: 1 for the first update
  float gradient_scale;  // clipping factor
} weft_wavelet_scalars;

// What kernels did.
typedef struct weft_wavelet_work {
  uint64_t kernels, cycles;  // one kernel begins when the one before has ended
  uint64_t link_hops, elements;
  uint64_t busy_cycles, stall_cycles[WEFT_STALLS];  // over all cores; 0 without count_links
  double flops;         // as done: with padding, without what the op table counts for functions
  uint64_t sram_bytes;  // the most that a kernel's arrays take in a core
  uint64_t core_bytes;  // the most that a core holds: the kernel's arrays and what stays beside them for other kernels
} weft_wavelet_work;

// ---- whole schedules

typedef struct weft_wavelet weft_wavelet;

// Schedule and store must outlive it. `caches` (may be NULL) is one of another schedule of the same network whose KV
// caches are continued (prefill, then decode), by name and shape. WEFT_INVALID: the machine is not a mesh, more than
// one system, an op that has no kernel.
weft_status weft_wavelet_create(const weft_schedule *schedule, const weft_wavelet_store *store,
                                const weft_wavelet *caches, weft_wavelet **out_wavelet) WEFT_CHECKED;
void weft_wavelet_destroy(weft_wavelet *wavelet);  // takes NULL

// As weft_feed of runtime/session.h: ids and targets (training) of all iterations, targets -1 where there is none.
typedef struct weft_wavelet_feed {
  const int32_t *ids;  // NULL: those that the last run chose (of this object, or of `caches` at its creation)
  const int32_t *targets, *types;
  weft_wavelet_scalars scalars;  // loss_scale and gradient_scale are made by the run
  float clip_norm;               // 0: no clipping
  bool skip_update;              // gradients only
  bool choose;                   // the most likely next token of every sequence is kept on the mesh
} weft_wavelet_feed;

typedef struct weft_wavelet_outcome {
  double loss;           // mean over targets that count, nats
  double gradient_norm;  // before clipping; 0 without
  weft_wavelet_work work;
} weft_wavelet_outcome;

// WEFT_INVALID, before anything runs: ids outside the vocabulary, positions beyond the network's or the cache's room,
// no targets to train with, nothing chosen before. WEFT_FAILED, WEFT_INFEASIBLE: of the step's kernel, with the step's
// number and name; gradients whose norm is not a number, before any update.
weft_status weft_wavelet_run(weft_wavelet *wavelet, const weft_wavelet_feed *feed,
                             weft_wavelet_outcome *out_outcome) WEFT_CHECKED;
// f32 copy of a tensor on the mesh as the last run left it: "logits", "hidden.0". WEFT_INVALID: no such tensor, or
// `count` is not its size.
weft_status weft_wavelet_read(const weft_wavelet *wavelet, const char *tensor, float *out, uint64_t count) WEFT_CHECKED;
// The tokens that the last run with `choose` chose, one per sequence. WEFT_INVALID: not `count`.
weft_status weft_wavelet_next(const weft_wavelet *wavelet, int32_t *out, uint64_t count) WEFT_CHECKED;
// What step `step` did in the last run, all iterations together; zero for steps that only bring words to the edge.
// WEFT_NONE: what belongs to no step (tokens, counts, rope's tables, the choice).
weft_wavelet_work weft_wavelet_step_work(const weft_wavelet *wavelet, uint32_t step);

// Of compiler/kernel.h and sim/mesh.h, for those who include them.
typedef struct weft_kernel weft_kernel;
typedef struct weft_mesh_sim weft_mesh_sim;
typedef struct weft_mesh_options weft_mesh_options;
typedef struct weft_mesh_report weft_mesh_report;

// To look at kernels as they run: `options` (observer, threads) are those of every mesh; `ended` is called after each
// kernel, while its mesh can still be asked (weft_mesh_core, weft_mesh_link, weft_mesh_read), step being WEFT_NONE for
// those of no step; its error ends the run.
// Either may be NULL. What is pointed to must outlive the runs.
typedef struct weft_wavelet_watch {
  const weft_mesh_options *options;
  void *context;
  weft_status (*ended)(void *context, uint32_t step, const weft_kernel *kernel, const weft_mesh_sim *mesh,
                       const weft_mesh_report *report);
} weft_wavelet_watch;
void weft_wavelet_set_watch(weft_wavelet *wavelet, const weft_wavelet_watch *watch);

// ---- one op

// f32 (or i32 where models/ops.h says so), row-major and contiguous; data NULL: absent.
typedef struct weft_wavelet_matrix {
  void *data;
  uint32_t rows, columns;
} weft_wavelet_matrix;

// Lays the operands of one call on a mesh of the machine's size, carries it out, and reads the outputs: for tests and
// measurements. Operands as in models/ops.h; dtype: of activations.
weft_status weft_wavelet_op(const weft_machine *machine, weft_dtype dtype, weft_op op,
                            const weft_attributes *attributes, const weft_wavelet_scalars *scalars, bool accumulate,
                            const weft_wavelet_matrix inputs[WEFT_OP_MAX_INPUTS],
                            const weft_wavelet_matrix outputs[WEFT_OP_MAX_OUTPUTS],
                            weft_wavelet_work *out_work) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
