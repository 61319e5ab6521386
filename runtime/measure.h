// Measures this computer for `weft calibrate`: how long every op takes by dtype and size, and the bandwidths around it.
// The result is a machine that sim can predict times for and that `weft compare` accepts, for it names this host.
//
// What is measured. Each op runs on the backend's own threads with the operands that a step would give it, for f32 and
// bf16, over a grid of rows (tokens) and widths, in three rounds over the whole grid; a round takes the median of some
// runs after one that is not counted, and the point is the median of its rounds. What a step finds cold is cold:
// parameters, gradients and moments at the store, and activations that a backward step reads long after a forward step
// wrote them, lie at a new place of a pool larger than most caches in every run. Weights and gradients in slots
// alternate between two places, as the ring of a stream does, so they are as warm as a slot that is used again. Other
// activations stay where they are, since the step before has just written them. Points whose operands do not fit the
// pool are left out. FLOPs and bytes of a point are those that the compiler counts for such a step.
//
// clang-format off
//   memory bandwidth   the quickest single run of a sum of matrices of an eighth of the pool, or of a load, a gradient
//                      out or an update
//   copy bandwidth     LOAD of a large f32 matrix on one stream thread; bytes of one side
//   step overhead      half of the time that a word needs to another thread and back, through a mutex and condition
//                      variables
//   sharing            products repeated while a stream loads without pause: speeds relative to each alone, as cores
//                      (cores x product + stream) / cores, where products want all cores and the stream one
//   disk               reading a fresh file in $TMPDIR (or /tmp) past the system's cache where that can be asked for
//   peak               the quickest single run of any matrix product, per dtype
// clang-format on
//
// Threads: one measurement at a time; other programs on this computer make it slower, so run it on a quiet one.
#ifndef WEFT_RUNTIME_MEASURE_H
#define WEFT_RUNTIME_MEASURE_H

#include "base/log.h"
#include "base/status.h"
#include "models/machine.h"
#include "runtime/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_measure_options {
  weft_backend_options backend;
  double seconds;       // for all points together, about; more on a computer where three runs of each take longer
  uint64_t pool_bytes;  // 0: 256 MiB, or an eighth of memory where that is less
} weft_measure_options;
weft_measure_options weft_measure_options_default(void);  // all cores, 20 s

typedef struct weft_measure_report {
  uint32_t threads;  // of the backend, as it describes itself
  char *device;      // its description; owned, free with weft_measure_report_finish
  double memory_bytes_per_second, copy_bytes_per_second, step_seconds;
  double sharing_efficiency;      // (0, 1]
  double disk_bytes_per_second;   // 0: could not be measured
  char disk_note[160];            // how, or why not
  double peak[WEFT_DTYPE_COUNT];  // FLOP/s; 0 where not measured
} weft_measure_report;
void weft_measure_report_finish(weft_measure_report *report);

// WEFT_INVALID: impossible options; WEFT_UNAVAILABLE: no such backend here. `progress` may be NULL; it is started and
// finished here. The caller destroys *out_machine and finishes *out_report.
weft_status weft_measure_host(const weft_backend *backend, const weft_measure_options *options, weft_progress *progress,
                              weft_machine **out_machine, weft_measure_report *out_report) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
