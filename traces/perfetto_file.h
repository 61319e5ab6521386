// A file in Perfetto's native format in the making: a row of packets, each made by protobuf-c in one buffer and passed
// to zlib, which also writes plain files ("transparently"), so that there is one path for both. Private to traces/.
//
//   weft_perfetto_open(path, sequence, &file);     ".part" behind the name until it is complete; gzip where .gz
//   weft_perfetto_names(file, &names);             first: what later packets name by number
//   weft_perfetto_process, _track, _event ...
//   weft_perfetto_close(file);                     or _abandon, which removes it
//
// Times are nanoseconds. Interned strings are numbered from 1 in the order of their list. WEFT_FAILED: it cannot be
// written; the file is then fit for weft_perfetto_close and _abandon only.
#ifndef WEFT_TRACES_PERFETTO_FILE_H
#define WEFT_TRACES_PERFETTO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct weft_perfetto_file weft_perfetto_file;

weft_status weft_perfetto_open(const char *path, uint32_t sequence, weft_perfetto_file **out_file) WEFT_CHECKED;
// WEFT_FAILED where an earlier packet or the end could not be written; then there is no file.
weft_status weft_perfetto_close(weft_perfetto_file *file) WEFT_CHECKED;
void weft_perfetto_abandon(weft_perfetto_file *file);  // takes NULL

typedef struct weft_perfetto_list {
  const char *const *texts;
  size_t count;
} weft_perfetto_list;
typedef struct weft_perfetto_names_list {
  weft_perfetto_list categories, annotations, events;
} weft_perfetto_names_list;
weft_status weft_perfetto_names(weft_perfetto_file *file, const weft_perfetto_names_list *names) WEFT_CHECKED;

// Its tracks are shown by rank.
weft_status weft_perfetto_process(weft_perfetto_file *file, uint64_t uuid, int32_t pid, const char *name) WEFT_CHECKED;

typedef struct weft_perfetto_track_definition {
  uint64_t uuid, parent;
  int32_t rank;
  const char *name;
  bool counter, bytes;  // bytes: of a counter, its unit; otherwise `unit`
  const char *unit;
} weft_perfetto_track_definition;
weft_status weft_perfetto_track(weft_perfetto_file *file, const weft_perfetto_track_definition *track) WEFT_CHECKED;

typedef enum weft_perfetto_kind {  // of an annotation's value
  WEFT_PERFETTO_NUMBER,
  WEFT_PERFETTO_SIGNED,
  WEFT_PERFETTO_REAL,
  WEFT_PERFETTO_TEXT
} weft_perfetto_kind;
typedef struct weft_perfetto_annotation {
  const char *name;  // NULL: the interned one at `place`, counted from 0
  uint32_t place;
  weft_perfetto_kind kind;
  union {
    uint64_t number;
    int64_t whole;
    double real;
    const char *text;
  } value;
} weft_perfetto_annotation;

enum { WEFT_PERFETTO_ANNOTATIONS = 16 };  // at most
typedef struct weft_perfetto_event_definition {
  int type;  // PERFETTO_SLICE_BEGIN ... of perfetto_names.h
  uint64_t track, time_ns;
  uint64_t category;     // interned number; 0: none
  const char *name;      // spelled out, or
  uint64_t name_number;  // interned; 0: none
  const char *new_name;  // what that number stands for from now on; NULL: it is known
  const weft_perfetto_annotation *annotations;
  size_t annotation_count;
  uint64_t *flows;
  size_t flow_count;
  double value;  // of a counter
} weft_perfetto_event_definition;
weft_status weft_perfetto_event(weft_perfetto_file *file, const weft_perfetto_event_definition *event) WEFT_CHECKED;

#endif
