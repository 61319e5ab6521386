#include "models/directory.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

weft_status weft_directory_names(const char *relative, const char *ending, char ***out_names, uint32_t *out_count) {
  char *path;
  WEFT_TRY(weft_data_path(relative, &path));
  DIR *folder = opendir(path);
  if (!folder) {
    weft_status status = weft_error(WEFT_INVALID, "%s: %s", path, strerror(errno));
    free(path);
    return status;
  }
  char **names = weft_allocate_array(1, sizeof *names);
  uint32_t count = 0;
  size_t tail = strlen(ending);
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    size_t length = strlen(entry->d_name);
    if (length <= tail || strcmp(entry->d_name + length - tail, ending) != 0) continue;
    names = weft_grow(names, count + 1, sizeof *names);
    names[count] = weft_copy_text(entry->d_name);
    names[count++][length - tail] = 0;
  }
  closedir(folder);
  free(path);
  qsort(names, count, sizeof *names, by_name);
  *out_names = names;
  *out_count = count;
  return NULL;
}

void weft_directory_names_free(char **names, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) free(names[i]);
  free(names);
}
