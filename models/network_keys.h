// Every key that a config.json of each family may have, and what Weft does with it. A key that is not in the table is
// an error: it might change what the network computes.
#ifndef WEFT_MODELS_NETWORK_KEYS_H
#define WEFT_MODELS_NETWORK_KEYS_H

#include "models/network.h"

typedef enum weft_network_key_rule {
  WEFT_KEY_USED,      // read by network_unpack.c
  WEFT_KEY_IGNORED,   // no effect on what is computed
  WEFT_KEY_DROPOUT,   // a probability; said in the log when it is not 0, because Weft trains without dropout
  WEFT_KEY_FALSE,     // must be false, absent or null
  WEFT_KEY_TRUE,      // must be true, absent or null
  WEFT_KEY_ONE,       // must be 1, absent or null
  WEFT_KEY_NULL,      // must be absent or null
  WEFT_KEY_EMPTY,     // must be an empty list or object, absent or null
  WEFT_KEY_ABSOLUTE   // must be "absolute", absent or null
} weft_network_key_rule;

typedef struct weft_network_key {
  const char *name;
  unsigned families;  // bit 1 << weft_family
  weft_network_key_rule rule;
} weft_network_key;

const weft_network_key *weft_network_key_find(weft_family family, const char *name);  // NULL: unknown
const char *weft_network_key_nearest(weft_family family, const char *name);

#endif
