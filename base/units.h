// Quantities: numbers with a unit, as people write them in machine files and on the command line.
//
//   "850 MHz"  "48 KiB"  "150 GB/s"  "1.2 Tb/s"  "2.5 us"  "5.78 PFLOP/s"  "7 cycles"  "4 /cycle"  "8 words"  "45 %"
//   "23 kW"
//
// A quantity is a decimal number, an optional space, and a unit of the dimension that the reader needs. Prefixes are
// case-sensitive: k M G T P E are powers of 1000 and Ki Mi Gi Ti Pi of 1024; m u n p are 1/1000 and so on, of seconds
// only. B is a byte, b a bit. Counts and fractions may stand without a unit; nothing else may.
//
// Reading scales by the decimal exponent before the one conversion to binary, so "2.5 us" is the double 2.5e-6.
// Printing chooses the shortest form that reads back as exactly the same double.
#ifndef WEFT_BASE_UNITS_H
#define WEFT_BASE_UNITS_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_dimension {
  WEFT_COUNT_UNIT,        // no unit
  WEFT_FRACTION,          // none, or %
  WEFT_FREQUENCY,         // Hz
  WEFT_BYTES,             // B
  WEFT_BYTES_PER_SECOND,  // B/s; also b/s (bits)
  WEFT_FLOPS_PER_SECOND,  // FLOP/s
  WEFT_SECONDS,           // s; also min, h
  WEFT_CYCLES,            // cycle, cycles
  WEFT_PER_CYCLE,         // /cycle
  WEFT_WORDS,             // word, words (of 32 bits)
  WEFT_WATTS,             // W
  WEFT_USD,               // USD
  WEFT_DIMENSION_COUNT
} weft_dimension;

// The value in base units (Hz, bytes, bytes/s, FLOP/s, s, cycles, words, W, USD). WEFT_INVALID: not a number,
// unknown unit (with the nearest known one), a unit of another dimension, no unit, or something after it; the message
// says what would be right.
weft_status weft_quantity_parse(const char *text, weft_dimension dimension, double *out_value) WEFT_CHECKED;

// Writes a text (at most 47 characters) that weft_quantity_parse reads back as the same double, and returns it. `value`
// is finite. `space` goes between number and unit: " " in files, "" in one-line spellings.
char *weft_quantity_print(double value, weft_dimension dimension, const char *space, char out[48]);

const char *weft_dimension_name(weft_dimension dimension);     // "a frequency"
const char *weft_dimension_example(weft_dimension dimension);  // "850 MHz"

#ifdef __cplusplus
}
#endif
#endif
