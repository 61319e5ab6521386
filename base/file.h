// Files: whole files mapped read-only, and files that appear complete or not at all.
#ifndef WEFT_BASE_FILE_H
#define WEFT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// A file's bytes, mapped read-only. An empty file has bytes != NULL and size 0.
typedef struct weft_mapping {
  const uint8_t *bytes;
  size_t size;
  char *path;  // owned
  bool mapped;
} weft_mapping;

weft_status weft_mapping_open(const char *path, weft_mapping *out_mapping) WEFT_CHECKED;
void weft_mapping_close(weft_mapping *mapping);  // takes a zeroed mapping

// Writes bytes to path.part, flushes, renames: a reader never sees half a file.
weft_status weft_file_write(const char *path, const void *bytes, size_t size) WEFT_CHECKED;
weft_status weft_directory_make(const char *path) WEFT_CHECKED;  // with parents; existing is fine
bool weft_file_exists(const char *path);
bool weft_directory_exists(const char *path);

// A file or folder of Weft's own data (models/networks, models/machines, plan/cases.csv): `relative` below $WEFT_DATA
// where that is set; else below the source tree when the program runs from its build folder; else below share/weft
// beside the program's bin/; else below the share/weft that Weft was configured for (programs that only link the
// libraries). WEFT_INVALID with the folders looked into. Caller frees.
weft_status weft_data_path(const char *relative, char **out_path) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
