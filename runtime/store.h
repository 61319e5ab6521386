// The weight store: what MemoryX is to a wafer. It holds the parameters and, in training, gradients and
// optimizer state in host memory (f32), or, for inference, the parameters just as the checkpoint maps them.
//
// Threads: made and changed by one thread; sessions read it through their own stream threads. One session trains at a
// time.
#ifndef WEFT_RUNTIME_STORE_H
#define WEFT_RUNTIME_STORE_H

#include "base/status.h"
#include "models/checkpoint.h"
#include "models/network.h"
#include "runtime/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_store weft_store;

// From a checkpoint, which must outlive the store. training: everything becomes f32 in memory. Otherwise plain
// formats stay mapped and quantised ones are converted to `dtype` once. Checks every parameter's presence and shape.
weft_status weft_store_open(const weft_network *network, const weft_checkpoint *checkpoint, bool training,
                            weft_dtype dtype, weft_store **out_store) WEFT_CHECKED;
// Fresh weights: normal with the network's initializer_range (residual projections / sqrt(2 layers), as GPT-2's paper
// says), norms 1, biases 0; a pure function of the seed. A training store.
weft_status weft_store_random(const weft_network *network, uint64_t seed, weft_store **out_store) WEFT_CHECKED;
void weft_store_destroy(weft_store *store);  // takes NULL

const weft_network *weft_store_network(const weft_store *store);
// Views of parameter `index`; gradients and moments exist (zeroed) once asked for with a training store.
weft_view weft_store_parameter(const weft_store *store, uint32_t index);
weft_status weft_store_gradient(weft_store *store, uint32_t index, weft_view *out_view) WEFT_CHECKED;
weft_status weft_store_moment(weft_store *store, uint32_t index, int which /* 1 or 2 */,
                              weft_view *out_view) WEFT_CHECKED;
uint64_t weft_store_steps(const weft_store *store);  // updates done so far; saved and resumed
void weft_store_set_steps(weft_store *store, uint64_t steps);

// DIR/config.json, DIR/model.safetensors (dtype: f32, f16 or bf16) and, with `state`, DIR/optimizer.safetensors, which
// alone is enough to go on: the f32 weights ("w.<parameter>"), both moments ("m.", "v."; none after SGD) and the
// updates done (the tensor "step" (1), f64, and the metadata key "step"). Each file appears whole or not at all, the
// optimizer's last: whoever dies in between leaves the state before or the state after, never half of each.
weft_status weft_store_save(const weft_store *store, const char *directory, weft_dtype dtype, bool state) WEFT_CHECKED;
// Reads DIR/optimizer.safetensors (weights, moments, updates done) into a training store of the same network.
weft_status weft_store_resume(weft_store *store, const char *directory) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
