// weft_run: what is to be done with a network on a machine.
#ifndef WEFT_MODELS_RUN_H
#define WEFT_MODELS_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "models/dtype.h"
#include "models/network.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_mode { WEFT_TRAIN, WEFT_PREFILL, WEFT_DECODE, WEFT_MODE_COUNT } weft_mode;
typedef enum weft_optimizer { WEFT_ADAMW, WEFT_SGD, WEFT_OPTIMIZER_COUNT } weft_optimizer;
// Which activations training keeps for the backward pass.
typedef enum weft_recompute {
  WEFT_RECOMPUTE_AUTO,   // the compiler estimates and chooses
  WEFT_RECOMPUTE_NONE,   // all are kept
  WEFT_RECOMPUTE_BLOCK,  // only each block's input; the block runs forward again
  WEFT_RECOMPUTE_COUNT
} weft_recompute;

typedef struct weft_run {
  weft_mode mode;
  uint32_t batch;        // sequences per step over all systems (train); sequences at once (prefill, decode)
  uint32_t sequence;     // train, prefill: tokens per sequence; decode: room in the KV cache (context is the same)
  uint32_t context;      // prefill: room in the KV cache in tokens; 0: sequence
  uint32_t systems;      // data-parallel copies
  uint32_t micro_batch;  // sequences per system and pass over the weights; 0: the compiler chooses
  weft_dtype dtype;      // of streamed weights, activations and gradients
  weft_optimizer optimizer;
  weft_recompute recompute;
  bool clip;        // train: no update before the norm of all gradients is known, so that they can be clipped; without,
                    // updates follow their gradients at once
  bool all_logits;  // prefill: logits of every position (scoring), not only of the last
  bool keep_hidden;  // tests: hidden.0 .. hidden.L (after the embedding, after each block, the last after the final
                     // norm) stay readable
  uint64_t seed;
} weft_run;

// train, batch 1, sequence 0 (= the network's), 1 system, bf16, adamw, clip, seed 1.
weft_run weft_run_default(void);
weft_status weft_run_check(const weft_run *run, const weft_network *network) WEFT_CHECKED;
void weft_run_print(const weft_run *run, FILE *out);

const char *weft_mode_name(weft_mode mode);
weft_status weft_mode_parse(const char *name, weft_mode *out_mode) WEFT_CHECKED;  // error names the nearest
const char *weft_optimizer_name(weft_optimizer optimizer);
weft_status weft_optimizer_parse(const char *name, weft_optimizer *out_optimizer) WEFT_CHECKED;
const char *weft_recompute_name(weft_recompute recompute);
weft_status weft_recompute_parse(const char *name, weft_recompute *out_recompute) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
