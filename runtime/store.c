#include "runtime/store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "runtime/store_internal.h"

static uint64_t elements_of(const weft_parameter *parameter) {
  return parameter->rank == 2 ? parameter->shape[0] * parameter->shape[1] : parameter->shape[0];
}

static weft_view view_of(const weft_parameter *parameter, weft_dtype dtype, void *data) {
  bool matrix = parameter->rank == 2;
  uint64_t columns = matrix ? parameter->shape[1] : parameter->shape[0];
  return (weft_view){
      .data = data, .dtype = dtype, .rows = matrix ? parameter->shape[0] : 1, .columns = columns, .stride = columns};
}

static weft_store *store_create(const weft_network *network, bool training) {
  weft_store *store = weft_allocate(sizeof *store);
  store->network = *network;
  store->training = training;
  store->count = weft_network_parameter_tensors(network);
  store->entries = weft_allocate_array(store->count, sizeof *store->entries);
  for (uint32_t i = 0; i < store->count; ++i) {
    weft_store_entry *entry = &store->entries[i];
    entry->parameter = weft_network_parameter(network, i);
    entry->elements = elements_of(&entry->parameter);
  }
  return store;
}

void weft_store_destroy(weft_store *store) {
  if (!store) return;
  for (uint32_t i = 0; i < store->count; ++i) {
    weft_store_entry *entry = &store->entries[i];
    weft_free_large(entry->owned);
    weft_free_large(entry->gradient);
    weft_free_large(entry->moments[0]);
    weft_free_large(entry->moments[1]);
  }
  free(store->entries);
  free(store);
}

// Memory of the store's own for a parameter in `dtype`.
static weft_status make_room(weft_store_entry *entry, weft_dtype dtype) {
  uint64_t bytes = 0;
  if (!weft_dtype_bytes(dtype, entry->elements, &bytes) || bytes > SIZE_MAX) {
    return weft_error(WEFT_FAILED, "%s: %llu elements are more than memory can address", entry->parameter.name,
                      (unsigned long long)entry->elements);
  }
  WEFT_TRY(weft_allocate_large((size_t)bytes, entry->parameter.name, &entry->owned));
  entry->view = view_of(&entry->parameter, dtype, entry->owned);
  return NULL;
}

// Only what a stream thread can copy or round as it lies in the file stays mapped.
static bool can_stay_mapped(const weft_stored_tensor *tensor, uint32_t heads) {
  if (heads != 0 || !weft_dtype_computes(tensor->dtype)) return false;
  return (uintptr_t)tensor->data % weft_dtype_block_bytes(tensor->dtype) == 0;
}

static weft_status fill_from_checkpoint(weft_store *store, const weft_checkpoint *checkpoint, weft_dtype dtype) {
  for (uint32_t i = 0; i < store->count; ++i) {
    weft_store_entry *entry = &store->entries[i];
    weft_stored_tensor tensor = {0};
    uint32_t heads = 0;
    WEFT_TRY(weft_checkpoint_parameter(checkpoint, &entry->parameter, &tensor, &heads));
    if (!store->training && can_stay_mapped(&tensor, heads)) {
      entry->view = view_of(&entry->parameter, tensor.dtype, (void *)(uintptr_t)tensor.data);
      continue;
    }
    bool plain = weft_dtype_computes(tensor.dtype);
    weft_dtype kept = store->training ? WEFT_F32 : plain ? tensor.dtype : dtype;
    WEFT_TRY(make_room(entry, kept));
    weft_checkpoint_convert(&tensor, heads, kept, entry->owned);
  }
  return NULL;
}

weft_status weft_store_open(const weft_network *network, const weft_checkpoint *checkpoint, bool training,
                            weft_dtype dtype, weft_store **out_store) {
  assert(weft_dtype_computes(dtype));
  weft_store *store = store_create(network, training);
  weft_status status = fill_from_checkpoint(store, checkpoint, dtype);
  if (status) {
    weft_store_destroy(store);
    return status;
  }
  *out_store = store;
  return NULL;
}

static bool is_norm_weight(weft_parameter_role role) {
  switch (role) {
    case WEFT_EMBEDDING_NORM_WEIGHT:
    case WEFT_NORM1_WEIGHT:
    case WEFT_NORM2_WEIGHT:
    case WEFT_FINAL_NORM_WEIGHT:
    case WEFT_TRANSFORM_NORM_WEIGHT: return true;
    default: return false;
  }
}

static void fill_at_random(weft_store_entry *entry, const weft_network *network, uint64_t seed, uint32_t stream) {
  float *values = entry->owned;
  weft_parameter_role role = entry->parameter.role;
  if (entry->parameter.rank == 1) {
    float value = is_norm_weight(role) ? 1.0f : 0.0f;
    for (uint64_t i = 0; i < entry->elements; ++i) values[i] = value;
    return;
  }
  double deviation = (double)network->initializer_range;
  if (role == WEFT_O_WEIGHT || role == WEFT_DOWN_WEIGHT) deviation /= sqrt(2.0 * network->layers);
  for (uint64_t i = 0; i < entry->elements; ++i) values[i] = (float)(deviation * weft_random_normal(seed, stream, i));
}

weft_status weft_store_random(const weft_network *network, uint64_t seed, weft_store **out_store) {
  weft_store *store = store_create(network, true);
  for (uint32_t i = 0; i < store->count; ++i) {
    weft_status status = make_room(&store->entries[i], WEFT_F32);
    if (status) {
      weft_store_destroy(store);
      return status;
    }
    fill_at_random(&store->entries[i], network, seed, i);
  }
  *out_store = store;
  return NULL;
}

const weft_network *weft_store_network(const weft_store *store) { return &store->network; }

weft_view weft_store_parameter(const weft_store *store, uint32_t index) {
  assert(index < store->count);
  return store->entries[index].view;
}

static weft_status asked_for(weft_store *store, uint32_t index, const char *what, void **memory, weft_view *out_view) {
  assert(index < store->count);
  weft_store_entry *entry = &store->entries[index];
  if (!store->training) {
    return weft_error(WEFT_INVALID, "%s: a store opened for inference has no %s", entry->parameter.name, what);
  }
  if (!*memory) {
    char *purpose = weft_format("the %s of %s", what, entry->parameter.name);
    weft_status status = weft_allocate_large((size_t)entry->elements * sizeof(float), purpose, memory);
    free(purpose);
    WEFT_TRY(status);
  }
  *out_view = view_of(&entry->parameter, WEFT_F32, *memory);
  return NULL;
}

weft_status weft_store_gradient(weft_store *store, uint32_t index, weft_view *out_view) {
  return asked_for(store, index, "gradient", &store->entries[index].gradient, out_view);
}

weft_status weft_store_moment(weft_store *store, uint32_t index, int which, weft_view *out_view) {
  assert(which == 1 || which == 2);
  return asked_for(store, index, which == 1 ? "first moment" : "second moment",
                   &store->entries[index].moments[which - 1], out_view);
}

uint64_t weft_store_steps(const weft_store *store) { return store->steps; }
void weft_store_set_steps(weft_store *store, uint64_t steps) { store->steps = steps; }
