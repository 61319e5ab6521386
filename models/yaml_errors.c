// What libcyaml says is wrong, told again with the place.
#include "models/yaml_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

__attribute__((format(printf, 3, 0))) static void hear(cyaml_log_t level, void *context, const char *format,
                                                       va_list arguments) {
  weft_yaml_complaint *c = context;
  char text[400];
  if (level < CYAML_LOG_ERROR) return;
  vsnprintf(text, sizeof text, format, arguments);
  text[strcspn(text, "\n")] = 0;
  const char *said = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
  if (!c->reason[0]) snprintf(c->reason, sizeof c->reason, "%.200s", said);
  const char *place = strstr(text, "(line: "), *field = strstr(text, "field '");
  if (place && !c->placed) c->placed = sscanf(place, "(line: %d, column: %d)", &c->line, &c->column) == 2;
  if (field && !c->inside[0]) snprintf(c->inside, sizeof c->inside, "%.*s", (int)strcspn(field + 7, "'"), field + 7);
}

cyaml_config_t weft_yaml_config(weft_yaml_complaint *out_complaint) {
  return (cyaml_config_t){.log_fn = hear,
                          .log_ctx = out_complaint,
                          .mem_fn = cyaml_mem,
                          .log_level = CYAML_LOG_ERROR,
                          .flags = CYAML_CFG_NO_ALIAS};
}

const char *weft_yaml_skip_lines(const char *text, int lines) {
  for (; lines > 0 && *text; ++text) lines -= *text == '\n';
  return text;
}

static bool is_key_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Where `key:` stands at or after `from`, or NULL. Comments are not looked into.
const char *weft_yaml_find_key(const char *from, const char *key) {
  size_t length = strlen(key);
  if (length == 0) return NULL;
  for (const char *at = from; *at; ++at) {
    if (*at == '#' && at > from && (at[-1] == ' ' || at[-1] == '\n')) {
      at += strcspn(at, "\n");
      if (!*at) return NULL;
      continue;
    }
    if ((at == from || !is_key_letter(at[-1])) && strncmp(at, key, length) == 0 &&
        at[length + strspn(at + length, " \"'")] == ':')
      return at;
  }
  return NULL;
}

void weft_yaml_place(const char *text, const char *at, int *out_line, int *out_column) {
  *out_line = *out_column = 1;
  for (; text < at; ++text) {
    ++*out_column;
    if (*text == '\n') ++*out_line, *out_column = 1;
  }
}

weft_status weft_yaml_retell(const weft_yaml_complaint *c, const char *yaml, const char *where, cyaml_err_t error,
                             const char *const *known, size_t count) {
  int line = c->placed ? c->line : 1, column = c->placed ? c->column : 1;
  const char *key = strncmp(c->reason, "Unexpected key: ", 16) == 0 ? c->reason + 16 : NULL;
  if (key) {
    // libcyaml's place is that of the value before; the key stands on that line or below.
    const char *found = weft_yaml_find_key(weft_yaml_skip_lines(yaml, line - 1), key);
    if (found) weft_yaml_place(yaml, found, &line, &column);
    return weft_error(WEFT_INVALID, "%s:%d:%d: unknown key \"%s\"; the nearest known one is \"%s\"", where, line,
                      column, key, weft_nearest(key, known, count));
  }
  if (strncmp(c->reason, "Missing required mapping field: ", 32) == 0)
    return weft_error(WEFT_INVALID, "%s:%d:%d: the key \"%s\" is missing%s", where, line, column, c->reason + 32,
                      strcmp(c->reason + 32, "source") == 0 ? ": every number names its source, or says estimate" : "");
  return weft_error(WEFT_INVALID, "%s:%d:%d: %s%s%s", where, line, column,
                    c->reason[0] ? c->reason : cyaml_strerror(error), c->inside[0] ? ", in " : "", c->inside);
}

void weft_yaml_print_text(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text; ++text) {
    if (*text == '"' || *text == '\\')
      fprintf(out, "\\%c", *text);
    else if ((unsigned char)*text < 0x20 || *text == 127)
      fprintf(out, "\\x%02x", (unsigned)(unsigned char)*text);
    else
      fputc(*text, out);
  }
  fputc('"', out);
}
