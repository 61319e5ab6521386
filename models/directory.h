// Names of the files in one of Weft's own folders (the zoo of networks, the machines).
#ifndef WEFT_MODELS_DIRECTORY_H
#define WEFT_MODELS_DIRECTORY_H

#include <stdint.h>

#include "base/status.h"

// Sorted names, without `ending`, of the files of the data folder `relative` (weft_data_path) that end so.
weft_status weft_directory_names(const char *relative, const char *ending, char ***out_names,
                                 uint32_t *out_count) WEFT_CHECKED;
void weft_directory_names_free(char **names, uint32_t count);

#endif
