// The golden program's parts. A check compares what Weft computes with what an independent implementation wrote down,
// and becomes one row of the table: folder, check, worst error, tolerance, verdict.
//
// Errors, by the unit in the row:
//   abs    largest |ours - golden|
//   norm   ||ours - golden|| / ||golden|| of a tensor (Euclidean); of several, the worst one. A tensor whose golden
//   norm is
//          below 1e-4 of all tensors' together is held against that instead, so that rounding of what is almost 0 does
//          not count.
//   count  how many differ; the tolerance is 0
#ifndef WEFT_TESTS_GOLDEN_PROGRAM_GOLDEN_H
#define WEFT_TESTS_GOLDEN_PROGRAM_GOLDEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/table.h"
#include "compiler/schedule.h"
#include "models/checkpoint.h"
#include "runtime/backend.h"
#include "runtime/session.h"
#include "runtime/store.h"

typedef struct golden {
  const char *directory;  // as given
  const char *folder;     // the one being checked, relative to `directory`
  const weft_backend *backend;
  weft_backend_options device;
  weft_dtype dtype;
  const weft_machine *machine;  // schedules are compiled for it
  const char *smollm2;          // a GGUF file, or NULL
  weft_table *table;
  uint32_t passed, failed, skipped;
} golden;

// Adds a row; not a number never passes. `unit` is one of the three above.
void golden_check(golden *g, const char *check, const char *unit, double worst, double tolerance, const char *note);
void golden_skip(golden *g, const char *check, const char *why);

weft_status golden_network(golden *g, const char *path) WEFT_CHECKED;  // config.json, model*, golden.safetensors
weft_status golden_sharded(golden *g, const char *path) WEFT_CHECKED;  // config.json, model.safetensors.index.json
weft_status golden_gguf(golden *g, const char *gguf, const char *safetensors) WEFT_CHECKED;
weft_status golden_tokenizer(golden *g, const char *path) WEFT_CHECKED;  // cases.jsonl, tokenizer.*
weft_status golden_cases(golden *g, const char *path) WEFT_CHECKED;      // cases.jsonl of a pre-trained network

// ---- helpers ----

// A schedule for `run` on g->machine, its dtype set to g's.
weft_status golden_compile(const golden *g, const weft_network *network, weft_run run,
                           weft_schedule **out_schedule) WEFT_CHECKED;
// Tensor `prefix``name` of a golden file as f32 (f64 and i32 are converted too); allocated, caller frees.
weft_status golden_read(const weft_checkpoint *file, const char *prefix, const char *name, float **out_values,
                        weft_stored_tensor *out_tensor) WEFT_CHECKED;
bool golden_has(const weft_checkpoint *file, const char *name);
weft_status golden_ids(const weft_checkpoint *file, const char *name, int32_t **out_ids,
                       weft_stored_tensor *out_tensor) WEFT_CHECKED;
double golden_largest(const float *ours, const float *theirs, uint64_t count);  // abs
double golden_norm(const float *values, uint64_t count);
double golden_distance(const float *ours, const float *theirs, uint64_t count);  // norm of the difference

// One object per line of a cases.jsonl. The visitor's error gets the line in front.
weft_status golden_lines(const char *path, weft_status (*visit)(void *context, json_t *line),
                         void *context) WEFT_CHECKED;

#endif
