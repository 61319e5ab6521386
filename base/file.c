#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

static weft_status write_part(const char *part, const void *bytes, size_t size) {
  FILE *file = fopen(part, "wb");
  if (!file) return weft_error(WEFT_FAILED, "%s: cannot write: %s", part, strerror(errno));
  bool written = fwrite(bytes, 1, size, file) == size && fflush(file) == 0 && fsync(fileno(file)) == 0;
  int reason = errno;
  if (fclose(file) != 0 && written) {
    written = false;
    reason = errno;
  }
  if (written) return NULL;
  unlink(part);
  return weft_error(WEFT_FAILED, "%s: cannot write: %s", part, strerror(reason));
}

weft_status weft_file_write(const char *path, const void *bytes, size_t size) {
  char *part = weft_format("%s.part", path);
  weft_status status = write_part(part, bytes, size);
  if (!status && rename(part, path) != 0) {
    status = weft_error(WEFT_FAILED, "%s: cannot write: %s", path, strerror(errno));
    unlink(part);
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
    if (mkdir(copy, 0777) != 0 && errno != EEXIST)
      status = weft_error(WEFT_FAILED, "%s: cannot make folder: %s", copy, strerror(errno));
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

// The folder of the running program, or NULL; caller frees.
static char *program_folder(void) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  char *slash = strrchr(path, '/');
  if (slash) *slash = 0;
  return weft_copy_text(path);
}

static bool is_below(const char *path, const char *folder) {
  size_t length = strlen(folder);
  return path && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static bool try_data(const char *folder, const char *relative, char **out_path) {
  char *path = weft_format("%s/%s", folder, relative);
  if (access(path, R_OK) == 0) {
    *out_path = path;
    return true;
  }
  free(path);
  return false;
}

weft_status weft_data_path(const char *relative, char **out_path) {
  const char *chosen = getenv("WEFT_DATA");
  if (chosen) {
    if (try_data(chosen, relative, out_path)) return NULL;
    return weft_error(WEFT_INVALID, "%s: not found in %s, which WEFT_DATA names as the folder of Weft's data", relative,
                      chosen);
  }
  char *program = program_folder();
  // Beside an installed program, wherever its prefix was moved to.
  char *beside = weft_format("%s/../%s", program ? program : "", WEFT_RELATIVE_DATA);
  bool building = is_below(program, WEFT_BUILD_FOLDER);
  const char *folders[] = {building ? WEFT_SOURCE_DATA : beside, WEFT_INSTALLED_DATA, WEFT_SOURCE_DATA};
  bool found = false;
  for (size_t i = 0; i < sizeof folders / sizeof *folders && !found; ++i)
    found = try_data(folders[i], relative, out_path);
  weft_status status = NULL;
  if (!found)
    status = weft_error(WEFT_INVALID, "%s: not found in Weft's data (%s, %s); WEFT_DATA names another folder", relative,
                        folders[0], folders[1]);
  free(beside);
  free(program);
  return status;
}
