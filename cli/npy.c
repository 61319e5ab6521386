#include "cli/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "models/dtype.h"

bool weft_npy_named(const char *path) {
  size_t length = strlen(path);
  return length > 4 && strcmp(path + length - 4, ".npy") == 0;
}

// ---- header: magic, version, length, and a literal like {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }

static const char *behind(const char *header, const char *key) {
  const char *found = strstr(header, key);
  if (!found) return NULL;
  found += strlen(key);
  return found + strspn(found, " :");
}

static weft_status read_shape(const char *path, const char *header, weft_npy *out) {
  const char *at = behind(header, "'shape'");
  if (!at || *at != '(') return weft_error(WEFT_INVALID, "%s: its header has no shape", path);
  out->dimensions = 0;
  out->count = 1;
  for (++at; *(at += strspn(at, " ,")) != ')';) {
    char *end;
    uint64_t side = strtoull(at, &end, 10);
    if (end == at || *at == '-' || out->dimensions == WEFT_NPY_DIMENSIONS ||
        __builtin_mul_overflow(out->count, side, &out->count) || out->count > UINT64_MAX / 16)
      return weft_error(WEFT_INVALID, "%s: expected a shape of at most %d sides, found \"%.40s\"", path,
                        WEFT_NPY_DIMENSIONS, at);
    out->shape[out->dimensions++] = side;
    at = end;
  }
  return NULL;
}

// One number of type `code` (f, i, u, b) and so many bytes. False: none that we know.
static bool number_at(const uint8_t *bytes, char code, size_t size, double *out) {
  uint64_t bits = 0;
  memcpy(&bits, bytes, size);
  float single;
  switch (code << 8 | (int)size) {
    case 'f' << 8 | 2: {
      uint16_t half = (uint16_t)bits;
      weft_dtype_to_f32(WEFT_F16, &half, &single, 1);
      *out = (double)single;
      return true;
    }
    case 'f' << 8 | 4:
      memcpy(&single, bytes, sizeof single);
      *out = (double)single;
      return true;
    case 'f' << 8 | 8: memcpy(out, bytes, sizeof *out); return true;
    case 'i' << 8 | 1: *out = (int8_t)bits; return true;
    case 'i' << 8 | 2: *out = (int16_t)bits; return true;
    case 'i' << 8 | 4: *out = (int32_t)bits; return true;
    case 'i' << 8 | 8: *out = (double)(int64_t)bits; return true;
    case 'b' << 8 | 1:
    case 'u' << 8 | 1:
    case 'u' << 8 | 2:
    case 'u' << 8 | 4: *out = (double)bits; return true;
    default: return false;
  }
}

static weft_status read_numbers(const char *path, const char *header, const uint8_t *data, size_t size, weft_npy *out) {
  const char *type = behind(header, "'descr'"), *order = behind(header, "'fortran_order'");
  if (!type || !order) return weft_error(WEFT_INVALID, "%s: its header lacks descr or fortran_order", path);
  WEFT_TRY(read_shape(path, header, out));
  if (strncmp(order, "True", 4) == 0 && out->dimensions > 1)
    return weft_error(WEFT_INVALID, "%s: columns first; numpy.ascontiguousarray puts rows first", path);
  char code = type[0] == '\'' && (type[1] == '<' || type[1] == '|') ? type[2] : '?';
  size_t bytes = code == '?' ? 0 : strtoul(type + 3, NULL, 10);
  double ignored;
  const uint8_t none[8] = {0};
  if (bytes < 1 || bytes > 8 || !number_at(none, code, bytes, &ignored))
    return weft_error(WEFT_INVALID, "%s: holds numbers of type %.6s; expected '<f4', '<f2', '<f8', '<i4' or the like",
                      path, type);
  if (size != out->count * bytes)
    return weft_error(WEFT_INVALID, "%s: %zu bytes of numbers; its shape asks for %" PRIu64, path, size,
                      out->count * bytes);
  out->values = weft_allocate_array(out->count, sizeof *out->values);
  for (uint64_t i = 0; i < out->count; ++i) number_at(data + i * bytes, code, bytes, &out->values[i]);
  return NULL;
}

static weft_status read_file(const char *path, const weft_mapping *file, weft_npy *out) {
  static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (file->size < 12 || memcmp(file->bytes, magic, sizeof magic) != 0)
    return weft_error(WEFT_INVALID, "%s: does not begin like a file of numpy", path);
  size_t begin = file->bytes[6] == 1 ? 10 : 12;
  size_t length = (size_t)file->bytes[8] | (size_t)file->bytes[9] << 8;
  if (begin == 12) length |= (size_t)file->bytes[10] << 16 | (size_t)file->bytes[11] << 24;
  if (length > file->size - begin) return weft_error(WEFT_INVALID, "%s: ends inside its header", path);
  char *header = weft_format("%.*s", (int)(length < 65536 ? length : 65536), (const char *)file->bytes + begin);
  weft_status status = read_numbers(path, header, file->bytes + begin + length, file->size - begin - length, out);
  free(header);
  return status;
}

weft_status weft_npy_read(const char *path, weft_npy *out_npy) {
  weft_mapping file;
  weft_npy npy = {0};
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status = read_file(path, &file, &npy);
  weft_mapping_close(&file);
  if (!status) *out_npy = npy;
  return status;
}

void weft_npy_finish(weft_npy *npy) {
  free(npy->values);
  *npy = (weft_npy){0};
}

weft_status weft_npy_write(const char *path, const weft_npy *npy, bool whole) {
  char shape[WEFT_NPY_DIMENSIONS * 24] = "", header[512];
  size_t length = 0;
  for (uint32_t d = 0; d < npy->dimensions; ++d)
    length += (size_t)snprintf(shape + length, sizeof shape - length, "%" PRIu64 ",%s", npy->shape[d],
                               d + 1 < npy->dimensions ? " " : "");
  snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", whole ? "<i4" : "<f4",
           shape);
  // Numbers begin at a multiple of 64 bytes; the header ends its line.
  size_t used = strlen(header) + 1, begin = (10 + used + 63) / 64 * 64, size = begin + npy->count * 4;
  uint8_t *bytes = weft_allocate_array(size, 1);
  memset(bytes, ' ', begin);
  memcpy(bytes, "\x93NUMPY\x01", 8);
  bytes[7] = 0;
  bytes[8] = (uint8_t)((begin - 10) & 255);
  bytes[9] = (uint8_t)((begin - 10) >> 8);
  memcpy(bytes + 10, header, used - 1);
  bytes[begin - 1] = '\n';
  for (uint64_t i = 0; i < npy->count; ++i) {
    float real = (float)npy->values[i];
    int32_t integer = whole ? (int32_t)npy->values[i] : 0;
    memcpy(bytes + begin + 4 * i, whole ? (const void *)&integer : (const void *)&real, 4);
  }
  weft_status status = weft_file_write(path, bytes, size);
  free(bytes);
  return status;
}
