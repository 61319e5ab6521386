// Strict reading of JSON over jansson: every getter checks the type, every object is closed by
// weft_json_finish, which refuses keys that nobody asked for and names the nearest known one.
//
//   weft_json_object o;
//   weft_json_begin(&o, root, "config.json");
//   weft_json_integer(&o, "n_layer", 1, 10000, &layers);          // required
//   weft_json_optional_integer(&o, "n_inner", 1, 1 << 24, &inner) // untouched when absent or null
//   WEFT_TRY(weft_json_finish(&o));                               // the first error, or an unknown key
//
// Errors are collected in the reader: only the first is kept, and finish returns it. jansson keeps no line of a
// value, so finish finds the line of a key by looking for it in the text when the file was read by
// weft_json_read_file. One thread at a time.
#ifndef WEFT_BASE_JSON_H
#define WEFT_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_json_object {
  json_t *object;         // borrowed
  const char *where;      // file name, borrowed
  const char *text;       // whole text for line numbers, or NULL; borrowed
  weft_status error;      // the first one
  const char *asked[128]; // keys asked for, for finish
  uint32_t asked_count;
} weft_json_object;

// Parses a file; duplicates of keys are refused. WEFT_INVALID with file:line:column. `out_text` (may be NULL)
// receives the text, which the caller frees.
weft_status weft_json_read_file(const char *path, json_t **out_root, char **out_text) WEFT_CHECKED;

void weft_json_begin(weft_json_object *reader, json_t *object, const char *where, const char *text);
void weft_json_integer(weft_json_object *r, const char *key, int64_t low, int64_t high, int64_t *out_value);
bool weft_json_optional_integer(weft_json_object *r, const char *key, int64_t low, int64_t high, int64_t *out_value);
void weft_json_number(weft_json_object *r, const char *key, double low, double high, double *out_value);
bool weft_json_optional_number(weft_json_object *r, const char *key, double low, double high, double *out_value);
bool weft_json_optional_bool(weft_json_object *r, const char *key, bool *out_value);
const char *weft_json_text(weft_json_object *r, const char *key);           // NULL after an error; borrowed
const char *weft_json_optional_text(weft_json_object *r, const char *key);  // NULL when absent or null; borrowed
json_t *weft_json_optional_any(weft_json_object *r, const char *key);       // borrowed; NULL when absent or null
void weft_json_ignore(weft_json_object *r, const char *key);                // known, and of no meaning to Weft
void weft_json_fail(weft_json_object *r, const char *key, const char *format, ...) WEFT_PRINTF(3, 4);
// Returns the first error, with file:line: in front, or complains about a key not asked for. Ends the reader.
weft_status weft_json_finish(weft_json_object *r) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
