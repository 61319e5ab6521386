// Shared by the files that make up networks; not for others.
#ifndef WEFT_MODELS_NETWORK_INTERNAL_H
#define WEFT_MODELS_NETWORK_INTERNAL_H

#include "models/network.h"

// Bounds that keep every product of sizes inside 64 bits and every size inside 32.
enum {
  WEFT_NETWORK_MAX_LAYERS = 10000,
  WEFT_NETWORK_MAX_WIDTH = 1 << 20,
  WEFT_NETWORK_MAX_HEADS = 1 << 16,
  WEFT_NETWORK_MAX_VOCABULARY = 1 << 24,
  WEFT_NETWORK_MAX_POSITIONS = 1 << 28
};

const char *weft_family_name(weft_family family);
const char *weft_activation_key(weft_activation activation);  // transformers' spelling: "gelu_new", "silu"

#endif
