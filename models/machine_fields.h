// The one table of a machine's numbers: where each lies in weft_machine, its place and key in YAML files, its key in
// one-line spellings, its dimension and the values that are possible. Reading, packing, spelling, checking, printing
// and hashing all go through it.
#ifndef WEFT_MODELS_MACHINE_FIELDS_H
#define WEFT_MODELS_MACHINE_FIELDS_H

#include <stddef.h>

#include "base/units.h"
#include "models/machine.h"

typedef enum weft_machine_section {
  WEFT_SECTION_MESH,
  WEFT_SECTION_CORE,
  WEFT_SECTION_ROOFLINE,
  WEFT_SECTION_IO,
  WEFT_SECTION_STORE,
  WEFT_SECTION_SWARM,
  WEFT_SECTION_SYSTEM,
  WEFT_SECTION_COUNT
} weft_machine_section;

typedef enum weft_machine_storage {
  WEFT_STORED_U32,
  WEFT_STORED_U64,
  WEFT_STORED_DOUBLE,
  WEFT_STORED_BOOL
} weft_machine_storage;

typedef struct weft_machine_field {
  weft_machine_section section;
  const char *key;   // in the section, in YAML
  const char *word;  // in a one-line spelling; unique
  weft_dimension dimension;
  weft_machine_storage storage;
  size_t offset;      // in weft_machine
  double low, high;   // inclusive
  const char *about;  // for printing
} weft_machine_field;

enum { WEFT_MACHINE_FIELDS = 69 };
extern const weft_machine_field weft_machine_fields[WEFT_MACHINE_FIELDS];

const char *weft_machine_section_name(weft_machine_section section);
// Whether machines of this kind have the section (mesh and core, or roofline).
bool weft_machine_has_section(weft_device_kind kind, weft_machine_section section);

double weft_machine_field_get(const weft_machine *machine, const weft_machine_field *field);
// Reads "true"/"false" or a quantity. WEFT_INVALID: wrong unit, not whole, or outside [low, high].
weft_status weft_machine_field_set(weft_machine *machine, const weft_machine_field *field,
                                   const char *text) WEFT_CHECKED;
char *weft_machine_field_print(const weft_machine *machine, const weft_machine_field *field, const char *space,
                               char out[48]);

#endif
