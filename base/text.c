#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"

static size_t edit_distance(const char *a, const char *b) {
  size_t length = strlen(b);
  size_t *row = weft_allocate_array(length + 1, sizeof *row);
  for (size_t j = 0; j <= length; ++j) row[j] = j;
  for (size_t i = 0; a[i]; ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < length; ++j) {
      size_t above = row[j + 1];
      size_t cost = diagonal + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
      if (above + 1 < cost) cost = above + 1;
      if (row[j] + 1 < cost) cost = row[j] + 1;
      diagonal = above;
      row[j + 1] = cost;
    }
  }
  size_t distance = row[length];
  free(row);
  return distance;
}

const char *weft_nearest(const char *word, const char *const *known, size_t count) {
  const char *best = NULL;
  size_t best_distance = SIZE_MAX;
  for (size_t i = 0; i < count; ++i) {
    size_t distance = edit_distance(word, known[i]);
    if (distance < best_distance) {
      best_distance = distance;
      best = known[i];
    }
  }
  return best;
}

uint64_t weft_hash_bytes(const void *bytes, size_t count) { return XXH3_64bits(bytes, count); }

char *weft_text_bytes(double bytes, char out[32]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (fabs(bytes) >= 1024 && unit + 1 < sizeof units / sizeof *units) {
    bytes /= 1024;
    ++unit;
  }
  snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.4g %s", bytes, units[unit]);
  return out;
}

char *weft_text_si(double value, const char *unit, char out[32]) {
  static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E", "Z"};
  size_t prefix = 0;
  while (fabs(value) >= 1000 && prefix + 1 < sizeof prefixes / sizeof *prefixes) {
    value /= 1000;
    ++prefix;
  }
  snprintf(out, 32, "%.4g %s%s", value, prefixes[prefix], unit);
  return out;
}

char *weft_text_seconds(double seconds, char out[32]) {
  double magnitude = fabs(seconds);
  if (magnitude < 1e-6) {
    snprintf(out, 32, "%.4g ns", seconds * 1e9);
  } else if (magnitude < 1e-3) {
    snprintf(out, 32, "%.4g us", seconds * 1e6);
  } else if (magnitude < 1) {
    snprintf(out, 32, "%.4g ms", seconds * 1e3);
  } else if (magnitude < 120) {
    snprintf(out, 32, "%.4g s", seconds);
  } else if (magnitude < 7200) {
    snprintf(out, 32, "%.4g min", seconds / 60);
  } else if (magnitude < 172800) {
    snprintf(out, 32, "%.4g h", seconds / 3600);
  } else {
    snprintf(out, 32, "%.4g days", seconds / 86400);
  }
  return out;
}
