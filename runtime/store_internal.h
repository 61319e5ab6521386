// Inside of the weight store, shared by store.c (memory) and store_save.c (files).
#ifndef WEFT_RUNTIME_STORE_INTERNAL_H
#define WEFT_RUNTIME_STORE_INTERNAL_H

#include "runtime/store.h"

typedef struct weft_store_entry {
  weft_parameter parameter;
  uint64_t elements;
  weft_view view;    // into `owned`, or into the checkpoint's mapping
  void *owned;       // NULL where the checkpoint maps the parameter
  void *gradient;    // f32; NULL until asked for
  void *moments[2];  // f32; NULL until asked for
} weft_store_entry;

struct weft_store {
  weft_network network;
  weft_store_entry *entries;  // by the network's parameter index
  uint32_t count;
  bool training;
  uint64_t steps;
};

#endif
