#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

weft_status weft_json_read_file(const char *path, json_t **out_root, char **out_text) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  json_error_t error;
  json_t *root = json_loadb((const char *)file.bytes, file.size, JSON_REJECT_DUPLICATES, &error);
  weft_status status = NULL;
  if (!root) {
    status = weft_error(WEFT_INVALID, "%s:%d:%d: %s", path, error.line, error.column, error.text);
  } else {
    if (out_text) {
      *out_text = weft_allocate(file.size + 1);
      memcpy(*out_text, file.bytes, file.size);
    }
    *out_root = root;
  }
  weft_mapping_close(&file);
  return status;
}

void weft_json_begin(weft_json_object *r, json_t *object, const char *where, const char *text) {
  *r = (weft_json_object){.object = object, .where = where, .text = text};
  if (!json_is_object(object)) r->error = weft_error(WEFT_INVALID, "%s: expected an object {...}", where);
}

static int line_of(const weft_json_object *r, const char *key) {
  if (!r->text || !key) return 0;
  char *quoted = weft_format("\"%s\"", key);
  const char *found = strstr(r->text, quoted);
  free(quoted);
  if (!found) return 0;
  int line = 1;
  for (const char *c = r->text; c < found; ++c) line += *c == '\n';
  return line;
}

void weft_json_fail(weft_json_object *r, const char *key, const char *format, ...) {
  if (r->error) return;
  va_list arguments;
  va_start(arguments, format);
  char *reason = weft_format_list(format, arguments);
  va_end(arguments);
  int line = line_of(r, key);
  r->error = line ? weft_error(WEFT_INVALID, "%s:%d: %s: %s", r->where, line, key, reason)
                  : weft_error(WEFT_INVALID, "%s: %s: %s", r->where, key, reason);
  free(reason);
}

static json_t *ask(weft_json_object *r, const char *key) {
  if (r->asked_count < sizeof r->asked / sizeof *r->asked) r->asked[r->asked_count++] = key;
  json_t *value = json_is_object(r->object) ? json_object_get(r->object, key) : NULL;
  return json_is_null(value) ? NULL : value;
}

static void fail_value(weft_json_object *r, const char *key, const json_t *value, const char *expected) {
  char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  if (found && strlen(found) > 60) strcpy(found + 57, "...");
  weft_json_fail(r, key, "expected %s, found %s", expected, found ? found : "?");
  free(found);
}

bool weft_json_optional_integer(weft_json_object *r, const char *key, int64_t low, int64_t high, int64_t *out_value) {
  json_t *value = ask(r, key);
  if (!value) return false;
  double real = json_number_value(value);
  bool whole = json_is_integer(value) || (json_is_real(value) && fabs(real) < 0x1p62 && real == trunc(real));
  int64_t number = json_is_integer(value) ? json_integer_value(value) : whole ? (int64_t)real : 0;
  if (!whole || number < low || number > high) {
    char expected[96];
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)low, (long long)high);
    fail_value(r, key, value, expected);
    return false;
  }
  *out_value = number;
  return true;
}

void weft_json_integer(weft_json_object *r, const char *key, int64_t low, int64_t high, int64_t *out_value) {
  if (!weft_json_optional_integer(r, key, low, high, out_value) && !ask(r, key))
    weft_json_fail(r, key, "missing: a whole number from %lld to %lld is needed", (long long)low, (long long)high);
}

bool weft_json_optional_number(weft_json_object *r, const char *key, double low, double high, double *out_value) {
  json_t *value = ask(r, key);
  if (!value) return false;
  double number = json_number_value(value);
  if (!json_is_number(value) || !(number >= low && number <= high)) {
    char expected[96];
    snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
    fail_value(r, key, value, expected);
    return false;
  }
  *out_value = number;
  return true;
}

void weft_json_number(weft_json_object *r, const char *key, double low, double high, double *out_value) {
  if (!weft_json_optional_number(r, key, low, high, out_value) && !ask(r, key))
    weft_json_fail(r, key, "missing: a number from %g to %g is needed", low, high);
}

bool weft_json_optional_bool(weft_json_object *r, const char *key, bool *out_value) {
  json_t *value = ask(r, key);
  if (!value) return false;
  if (!json_is_boolean(value)) {
    fail_value(r, key, value, "true or false");
    return false;
  }
  *out_value = json_is_true(value);
  return true;
}

const char *weft_json_optional_text(weft_json_object *r, const char *key) {
  json_t *value = ask(r, key);
  if (!value) return NULL;
  if (!json_is_string(value)) {
    fail_value(r, key, value, "a text");
    return NULL;
  }
  return json_string_value(value);
}

const char *weft_json_text(weft_json_object *r, const char *key) {
  const char *text = weft_json_optional_text(r, key);
  if (!text) weft_json_fail(r, key, "missing: a text is needed");
  return text;
}

json_t *weft_json_optional_any(weft_json_object *r, const char *key) { return ask(r, key); }

void weft_json_ignore(weft_json_object *r, const char *key) { (void)ask(r, key); }

weft_status weft_json_finish(weft_json_object *r) {
  if (!r->error) {
    const char *key;
    json_t *value;
    json_object_foreach(r->object, key, value) {
      bool known = false;
      for (uint32_t i = 0; i < r->asked_count && !known; ++i) known = strcmp(key, r->asked[i]) == 0;
      if (known) continue;
      weft_json_fail(r, key, "unknown key; the nearest known one is \"%s\"",
                     weft_nearest(key, r->asked, r->asked_count));
      break;
    }
  }
  weft_status error = r->error;
  r->error = NULL;
  return error;
}
