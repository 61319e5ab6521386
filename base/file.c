#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/data_paths.h"
#include "base/memory.h"

weft_status weft_mapping_open(const char *path, weft_mapping *out_mapping) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return weft_error(WEFT_INVALID, "%s: %s", path, strerror(errno));
  struct stat facts;
  if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    close(file);
    return weft_error(WEFT_INVALID, "%s: not a regular file", path);
  }
  weft_mapping mapping = {.size = (size_t)facts.st_size, .bytes = (const uint8_t *)""};
  if (mapping.size > 0) {
    void *bytes = mmap(NULL, mapping.size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED) {
      weft_status status = weft_error(WEFT_FAILED, "%s: cannot map %zu bytes: %s", path, mapping.size, strerror(errno));
      close(file);
      return status;
    }
    mapping.bytes = bytes;
    mapping.mapped = true;
  }
  close(file);
  mapping.path = weft_copy_text(path);
  *out_mapping = mapping;
  return NULL;
}

void weft_mapping_close(weft_mapping *mapping) {
  if (mapping->mapped) munmap((void *)(uintptr_t)mapping->bytes, mapping->size);
  free(mapping->path);
  *mapping = (weft_mapping){0};
}

weft_status weft_file_write(const char *path, const void *bytes, size_t size) {
  char *part = weft_format("%s.part", path);
  FILE *file = fopen(part, "wb");
  weft_status status = NULL;
  if (!file) {
    status = weft_error(WEFT_FAILED, "%s: cannot write: %s", path, strerror(errno));
  } else {
    bool written = fwrite(bytes, 1, size, file) == size && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int reason = errno;
    written = fclose(file) == 0 && written;
    if (!written || rename(part, path) != 0) {
      status = weft_error(WEFT_FAILED, "%s: cannot write: %s", path, strerror(reason ? reason : errno));
      unlink(part);
    }
  }
  free(part);
  return status;
}

weft_status weft_directory_make(const char *path) {
  char *copy = weft_copy_text(path);
  weft_status status = NULL;
  for (char *slash = copy + 1; !status; ++slash) {
    if (*slash != '/' && *slash != 0) continue;
    char kept = *slash;
    *slash = 0;
    if (mkdir(copy, 0777) != 0 && errno != EEXIST) status = weft_error(WEFT_FAILED, "%s: cannot make folder: %s", copy, strerror(errno));
    *slash = kept;
    if (kept == 0) break;
  }
  if (!status && !weft_directory_exists(path)) status = weft_error(WEFT_FAILED, "%s: exists and is not a folder", path);
  free(copy);
  return status;
}

bool weft_file_exists(const char *path) {
  struct stat facts;
  return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

bool weft_directory_exists(const char *path) {
  struct stat facts;
  return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

weft_status weft_data_path(const char *relative, char **out_path) {
  const char *chosen = getenv("WEFT_DATA");
  const char *folders[] = {chosen, WEFT_SOURCE_DATA, WEFT_INSTALLED_DATA};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) {
    if (!folders[i] || !weft_directory_exists(folders[i])) continue;
    char *path = weft_format("%s/%s", folders[i], relative);
    if (access(path, R_OK) == 0) {
      *out_path = path;
      return NULL;
    }
    free(path);
  }
  return weft_error(WEFT_INVALID, "%s: not found in Weft's data (%s%s%s or %s); WEFT_DATA names another folder", relative,
                    chosen ? chosen : "", chosen ? ", " : "", WEFT_SOURCE_DATA, WEFT_INSTALLED_DATA);
}
