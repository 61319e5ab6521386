// The inputs of one case.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/units.h"
#include "plan/predictors.h"

static char *trimmed(char *text) {
  text += strspn(text, " \t");
  size_t length = strlen(text);
  while (length && strchr(" \t", text[length - 1])) text[--length] = 0;
  return text;
}

weft_status weft_inputs_read(weft_inputs *in, weft_arena *arena, const char *text) {
  *in = (weft_inputs){.arena = arena};
  char *rest = weft_arena_copy_text(arena, text);
  while (*rest) {
    char *pair = rest, *end = strchr(rest, ';');
    rest = end ? end + 1 : rest + strlen(rest);
    if (end) *end = 0;
    pair = trimmed(pair);
    if (!*pair) continue;
    char *equals = strchr(pair, '=');
    if (equals) *equals = 0;
    char *key = equals ? trimmed(pair) : "";
    if (!*key) return weft_error(WEFT_INVALID, "inputs: \"%s%s\" is not key=value", pair, equals ? "=" : "");
    if (in->count == WEFT_MOST_INPUTS) return weft_error(WEFT_INVALID, "more than %u inputs", in->count);
    for (uint32_t i = 0; i < in->count; ++i)
      if (strcasecmp(in->pairs[i].key, key) == 0) return weft_error(WEFT_INVALID, "the input \"%s\" stands twice", key);
    in->pairs[in->count].key = key;
    in->pairs[in->count++].value = trimmed(equals + 1);
  }
  return NULL;
}

static void remember(weft_inputs *in, const char *name, size_t length) {
  if (in->key_count == WEFT_MOST_KEYS) return;
  in->keys[in->key_count++] = weft_arena_format(in->arena, "%.*s", (int)length, name);
}

// The pair of one of the spellings in `key`, or NULL.
static struct weft_input *find(weft_inputs *in, const char *key) {
  struct weft_input *found = NULL;
  for (const char *at = key; *at; at += strcspn(at, "|"), at += *at == '|') {
    size_t length = strcspn(at, "|");
    remember(in, at, length);
    for (uint32_t i = 0; !found && i < in->count; ++i)
      if (strlen(in->pairs[i].key) == length && strncasecmp(in->pairs[i].key, at, length) == 0) found = &in->pairs[i];
  }
  if (found) found->asked = true;
  return found;
}

weft_status weft_inputs_check(const weft_inputs *in) {
  for (uint32_t i = 0; i < in->count; ++i) {
    if (in->pairs[i].asked) continue;
    const char *nearest = weft_nearest(in->pairs[i].key, in->keys, in->key_count);
    return weft_error(WEFT_INVALID, "unknown input \"%s\"; the nearest known one is \"%s\"", in->pairs[i].key,
                      nearest ? nearest : "none");
  }
  return NULL;
}

static void fail(weft_inputs *in, weft_status status) {
  if (in->error)
    weft_status_free(status);
  else
    in->error = status;
}

// Of the keys that nobody has asked for yet, the nearest is probably a slip of the pen.
static void fail_absent(weft_inputs *in, const char *key) {
  const char *others[WEFT_MOST_INPUTS];
  uint32_t count = 0;
  for (uint32_t i = 0; i < in->count; ++i)
    if (!in->pairs[i].asked) others[count++] = in->pairs[i].key;
  int length = (int)strcspn(key, "|");
  const char *nearest = weft_nearest(weft_arena_format(in->arena, "%.*s", length, key), others, count);
  if (nearest)
    fail(in, weft_error(WEFT_INVALID, "the input \"%.*s\" is missing; the nearest of those that stand there is \"%s\"",
                        length, key, nearest));
  else
    fail(in, weft_error(WEFT_INVALID, "the input \"%.*s\" is missing", length, key));
}

const char *weft_input_text(weft_inputs *in, const char *key) {
  struct weft_input *pair = find(in, key);
  if (!pair) {
    fail_absent(in, key);
    return NULL;
  }
  if (*pair->value && strcmp(pair->value, "-") != 0) return pair->value;
  weft_input_uncovered(in, "%s was not published", pair->key);
  return NULL;
}

double weft_input_number(weft_inputs *in, const char *key, double low, double high) {
  const char *text = weft_input_text(in, key);
  if (!text) return low;
  double value = 0;
  bool words = strstr(text, "word") != NULL;
  weft_status status = weft_quantity_parse(text, words ? WEFT_WORDS : WEFT_COUNT_UNIT, &value);
  if (!status && !(value >= low && value <= high))
    status = weft_error(WEFT_INVALID, "%s is right from %g to %g", text, low, high);
  if (!status) return value;
  fail(in, weft_status_prefix(status, "input \"%.*s\": ", (int)strcspn(key, "|"), key));
  return low;
}

uint32_t weft_input_whole(weft_inputs *in, const char *key, uint32_t low, uint32_t high) {
  double value = weft_input_number(in, key, low, high);
  if (value > floor(value)) {
    fail(in, weft_error(WEFT_INVALID, "input \"%.*s\": %g is not whole", (int)strcspn(key, "|"), key, value));
    return low;
  }
  return (uint32_t)value;
}

uint32_t weft_input_whole_or(weft_inputs *in, const char *key, uint32_t low, uint32_t high, uint32_t otherwise) {
  return weft_input_has(in, key) ? weft_input_whole(in, key, low, high) : otherwise;
}

bool weft_input_has(weft_inputs *in, const char *key) {
  struct weft_input *pair = find(in, key);
  return pair && *pair->value && strcmp(pair->value, "-") != 0;
}

void weft_input_known(weft_inputs *in, const char *key) { (void)find(in, key); }

uint32_t weft_input_choice(weft_inputs *in, const char *key, const char *names, uint32_t otherwise) {
  const char *text = weft_input_has(in, key) ? weft_input_text(in, key) : NULL;
  if (!text) return otherwise;
  const char *known[32];
  uint32_t count = 0;
  for (const char *at = names; *at && count < 32; at += strcspn(at, "|"), at += *at == '|') {
    size_t length = strcspn(at, "|");
    if (strlen(text) == length && strncasecmp(text, at, length) == 0) return count;
    known[count++] = weft_arena_format(in->arena, "%.*s", (int)length, at);
  }
  fail(in, weft_error(WEFT_INVALID, "input \"%.*s\": unknown \"%s\"; the nearest known one is \"%s\"",
                      (int)strcspn(key, "|"), key, text, weft_nearest(text, known, count)));
  return otherwise;
}

void weft_input_mesh(weft_inputs *in, const char *key, uint32_t *out_columns, uint32_t *out_rows) {
  const char *text = weft_input_text(in, key);
  if (!text) return;
  char *end = NULL;
  unsigned long columns = strtoul(text, &end, 10), rows = 0;
  end += strspn(end, " ");
  if (*end == 'x' || *end == 'X' || *end == '*') rows = strtoul(end + 1, &end, 10);
  if (*end != 0 || columns == 0 || rows == 0 || columns > 4096 || rows > 4096) {
    fail(in, weft_error(WEFT_INVALID, "input \"mesh\": \"%s\"; columns x rows is right, such as 512x512", text));
    return;
  }
  *out_columns = (uint32_t)columns;
  *out_rows = (uint32_t)rows;
}

void weft_input_dtype(weft_inputs *in, const char *key, weft_dtype *out_dtype) {
  const char *text = weft_input_has(in, key) ? weft_input_text(in, key) : NULL;
  weft_status status = text ? weft_dtype_parse(text, out_dtype) : NULL;
  if (status) fail(in, weft_status_prefix(status, "input \"%.*s\": ", (int)strcspn(key, "|"), key));
}

double weft_input_give_up(weft_inputs *in, weft_status status) {
  if (!weft_input_usable(in)) {
    weft_status_free(status);
  } else if (weft_status_code(status) == WEFT_INVALID) {
    in->error = status;
  } else {
    in->missing = weft_arena_copy_text(in->arena, weft_status_message(status));
    weft_status_free(status);
  }
  return 0;
}

double weft_input_uncovered(weft_inputs *in, const char *format, ...) {
  if (in->missing) return 0;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  in->missing = weft_arena_copy_text(in->arena, text);
  return 0;
}

bool weft_input_network(weft_inputs *in, weft_network *out_network) {
  const char *name = weft_input_text(in, "network");
  if (!name) return false;
  weft_status status = weft_network_read(name, out_network);
  if (!status) return true;
  weft_input_uncovered(in, "network %s is not in the zoo", name);
  weft_status_free(status);
  return false;
}
