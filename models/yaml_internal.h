// YAML files of this room, through libcyaml: where in the text something stands, and libcyaml's complaints told again
// with file:line:column, what was found and what would be right. Not for others.
#ifndef WEFT_MODELS_YAML_INTERNAL_H
#define WEFT_MODELS_YAML_INTERNAL_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

// libcyaml's complaint: the first line is the reason, then a backtrace from the inside out. Begins as {.line = 1}.
typedef struct weft_yaml_complaint {
  char reason[240], inside[64];
  int line, column;
  bool placed;
} weft_yaml_complaint;

// How files are read here: no aliases, and libcyaml complains to `out_complaint`, which has to outlive the reading.
cyaml_config_t weft_yaml_config(weft_yaml_complaint *out_complaint);
// `known`: the keys that may stand where the complaint is.
weft_status weft_yaml_retell(const weft_yaml_complaint *c, const char *yaml, const char *where, cyaml_err_t error,
                             const char *const *known, size_t count) WEFT_CHECKED;

const char *weft_yaml_skip_lines(const char *text, int lines);
// Where `key:` stands at or after `from`, or NULL. Comments are not looked into.
const char *weft_yaml_find_key(const char *from, const char *key);
void weft_yaml_place(const char *text, const char *at, int *out_line, int *out_column);
// A YAML scalar in double quotes.
void weft_yaml_print_text(FILE *out, const char *text);

#endif
