// Shared by the files that make up machines; not for others.
#ifndef WEFT_MODELS_MACHINE_INTERNAL_H
#define WEFT_MODELS_MACHINE_INTERNAL_H

#include "models/machine.h"

enum { WEFT_MACHINE_MAX_RATES = 100000 };

// From a one-line spelling (see models/machine.h); checked.
weft_status weft_machine_unspell(const char *spelling, weft_machine **out_machine) WEFT_CHECKED;

// One measured rate, from texts. Numbers are decimal, seconds may carry a unit.
weft_status weft_rate_parse(const char *op, const char *dtype, const char *rows, const char *flops, const char *bytes,
                            const char *seconds, weft_rate *out_rate) WEFT_CHECKED;

#endif
