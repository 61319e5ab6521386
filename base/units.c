#include "base/units.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

// One spelling of a unit: value = number * 10^exponent * factor.
typedef struct unit {
  weft_dimension dimension;
  const char *name;
  int exponent;
  double factor;
} unit;

// clang-format off
#define LARGE(dimension, name)                                                              \
  {dimension, "E" name, 18, 1}, {dimension, "P" name, 15, 1}, {dimension, "T" name, 12, 1}, \
  {dimension, "G" name, 9, 1}, {dimension, "M" name, 6, 1}, {dimension, "k" name, 3, 1}, {dimension, name, 0, 1}
#define BINARY(dimension, name)                                                                            \
  {dimension, "Pi" name, 0, 0x1p50}, {dimension, "Ti" name, 0, 0x1p40}, {dimension, "Gi" name, 0, 0x1p30}, \
  {dimension, "Mi" name, 0, 0x1p20}, {dimension, "Ki" name, 0, 0x1p10}
// clang-format on

// Of one dimension, printing prefers the first that is not larger than the value.
static const unit units[] = {
    {WEFT_COUNT_UNIT, "", 0, 1},
    {WEFT_FRACTION, "", 0, 1},
    {WEFT_FRACTION, "%", -2, 1},
    LARGE(WEFT_FREQUENCY, "Hz"),
    BINARY(WEFT_BYTES, "B"),
    LARGE(WEFT_BYTES, "B"),
    LARGE(WEFT_BYTES_PER_SECOND, "B/s"),
    BINARY(WEFT_BYTES_PER_SECOND, "B/s"),
    {WEFT_BYTES_PER_SECOND, "Pb/s", 15, 0.125},
    {WEFT_BYTES_PER_SECOND, "Tb/s", 12, 0.125},
    {WEFT_BYTES_PER_SECOND, "Gb/s", 9, 0.125},
    {WEFT_BYTES_PER_SECOND, "Mb/s", 6, 0.125},
    {WEFT_BYTES_PER_SECOND, "kb/s", 3, 0.125},
    {WEFT_BYTES_PER_SECOND, "b/s", 0, 0.125},
    LARGE(WEFT_FLOPS_PER_SECOND, "FLOP/s"),
    {WEFT_SECONDS, "s", 0, 1},
    {WEFT_SECONDS, "ms", -3, 1},
    {WEFT_SECONDS, "us", -6, 1},
    {WEFT_SECONDS, "ns", -9, 1},
    {WEFT_SECONDS, "ps", -12, 1},
    {WEFT_SECONDS, "min", 0, 60},
    {WEFT_SECONDS, "h", 0, 3600},
    {WEFT_CYCLES, "cycles", 0, 1},
    {WEFT_CYCLES, "cycle", 0, 1},
    {WEFT_PER_CYCLE, "/cycle", 0, 1},
    {WEFT_WORDS, "words", 0, 1},
    {WEFT_WORDS, "word", 0, 1},
    {WEFT_WATTS, "GW", 9, 1},
    {WEFT_WATTS, "MW", 6, 1},
    {WEFT_WATTS, "kW", 3, 1},
    {WEFT_WATTS, "W", 0, 1},
    {WEFT_USD, "MUSD", 6, 1},
    {WEFT_USD, "kUSD", 3, 1},
    {WEFT_USD, "USD", 0, 1},
};
enum { UNIT_COUNT = sizeof units / sizeof *units, MAX_NUMBER = 40 };

static const struct {
  const char *name, *example;
} dimensions[WEFT_DIMENSION_COUNT] = {
    [WEFT_COUNT_UNIT] = {"a number without a unit", "4"},
    [WEFT_FRACTION] = {"a fraction", "45 %"},
    [WEFT_FREQUENCY] = {"a frequency", "850 MHz"},
    [WEFT_BYTES] = {"a size in bytes", "48 KiB"},
    [WEFT_BYTES_PER_SECOND] = {"a data rate", "150 GB/s"},
    [WEFT_FLOPS_PER_SECOND] = {"a compute rate", "5.78 PFLOP/s"},
    [WEFT_SECONDS] = {"a time", "2.5 us"},
    [WEFT_CYCLES] = {"a number of cycles", "7 cycles"},
    [WEFT_PER_CYCLE] = {"a rate per cycle", "4 /cycle"},
    [WEFT_WORDS] = {"a number of 32-bit words", "8 words"},
    [WEFT_WATTS] = {"a power", "23 kW"},
    [WEFT_USD] = {"a price", "2.5 MUSD"},
};

const char *weft_dimension_name(weft_dimension dimension) { return dimensions[dimension].name; }
const char *weft_dimension_example(weft_dimension dimension) { return dimensions[dimension].example; }

// Length of [-]digits[.digits][e[+-]digits], or 0. `out_exponent` is where the exponent begins, or the end of the
// number. An e that no digit follows belongs to the unit.
static size_t number_length(const char *text, size_t *out_exponent) {
  size_t at = *text == '-';
  size_t whole = strspn(text + at, "0123456789");
  at += whole;
  size_t part = 0;
  if (text[at] == '.') {
    part = strspn(text + at + 1, "0123456789");
    at += 1 + part;
  }
  if (whole + part == 0) return 0;
  *out_exponent = at;
  if (text[at] != 'e' && text[at] != 'E') return at;
  size_t sign = text[at + 1] == '+' || text[at + 1] == '-';
  size_t digits = strspn(text + at + 1 + sign, "0123456789");
  return digits == 0 ? at : at + 1 + sign + digits;
}

static const unit *find_unit(const char *name, weft_dimension dimension) {
  for (size_t i = 0; i < UNIT_COUNT; ++i)
    if (units[i].dimension == dimension && strcmp(units[i].name, name) == 0) return &units[i];
  return NULL;
}

static weft_status wrong_unit(const char *text, const char *name, weft_dimension dimension) {
  const char *example = dimensions[dimension].example, *wanted = dimensions[dimension].name;
  if (*name == 0)
    return weft_error(WEFT_INVALID, "\"%s\" has no unit: %s is needed, as in \"%s\"", text, wanted, example);
  for (size_t i = 0; i < UNIT_COUNT; ++i)
    if (strcmp(units[i].name, name) == 0)
      return weft_error(WEFT_INVALID, "\"%s\" is %s: %s is needed, as in \"%s\"", text,
                        dimensions[units[i].dimension].name, wanted, example);
  const char *known[UNIT_COUNT];
  size_t count = 0;
  for (size_t i = 0; i < UNIT_COUNT; ++i)
    if (units[i].dimension == dimension && units[i].name[0]) known[count++] = units[i].name;
  if (count == 0)
    return weft_error(WEFT_INVALID, "\"%s\" has something after the number: %s is needed, as in \"%s\"", text, wanted,
                      example);
  return weft_error(WEFT_INVALID,
                    "\"%s\" has the unknown unit \"%s\"; the nearest known one is \"%s\" (%s is needed, as in \"%s\")",
                    text, name, weft_nearest(name, known, count), wanted, example);
}

weft_status weft_quantity_parse(const char *text, weft_dimension dimension, double *out_value) {
  assert((unsigned)dimension < WEFT_DIMENSION_COUNT);
  size_t exponent_at = 0, length = number_length(text, &exponent_at);
  if (length == 0 || length > MAX_NUMBER)
    return weft_error(WEFT_INVALID, "\"%.60s\" does not begin with a number: %s is needed, as in \"%s\"", text,
                      dimensions[dimension].name, dimensions[dimension].example);
  const char *name = text + length;
  if (*name == ' ' && name[1] != 0) ++name;
  const unit *found = find_unit(name, dimension);
  if (!found) return wrong_unit(text, name, dimension);
  char scaled[MAX_NUMBER + 16];
  long exponent = exponent_at < length ? strtol(text + exponent_at + 1, NULL, 10) : 0;
  if (exponent > 9999 || exponent < -9999) exponent = exponent > 0 ? 9999 : -9999;
  snprintf(scaled, sizeof scaled, "%.*se%ld", (int)exponent_at, text, exponent + found->exponent);
  double value = strtod(scaled, NULL) * found->factor;
  if (!isfinite(value)) return weft_error(WEFT_INVALID, "\"%s\" is too large", text);
  *out_value = value;
  return NULL;
}

// The shortest number that, with this unit, reads back as `value`.
static bool print_as(double value, const unit *u, const char *space, char out[48]) {
  double number = value / u->factor;
  for (int digits = 6; digits <= 17; ++digits) {
    char plain[32], text[48];
    snprintf(plain, sizeof plain, "%.*g", digits, u->exponent == 0 ? number : number / pow(10, u->exponent));
    snprintf(text, sizeof text, "%s%s%s", plain, u->name[0] ? space : "", u->name);
    double back;
    weft_status status = weft_quantity_parse(text, u->dimension, &back);
    bool same = !status && back == value;
    weft_status_free(status);
    if (!same) continue;
    memcpy(out, text, sizeof text);
    return true;
  }
  return false;
}

char *weft_quantity_print(double value, weft_dimension dimension, const char *space, char out[48]) {
  assert(isfinite(value));
  const unit *base = NULL;
  char best[48] = "";
  for (size_t i = 0; i < UNIT_COUNT; ++i) {
    const unit *u = &units[i];
    if (u->dimension != dimension) continue;
    if ((dimension == WEFT_CYCLES || dimension == WEFT_WORDS) && (strchr(u->name, 's') == NULL) != (value == 1))
      continue;
    double size = u->factor * pow(10, u->exponent);
    if (size == 1 && !base) base = u;
    bool fits = fabs(value) >= size && fabs(value) < 1e5 * size;
    char text[48];
    if (fits && print_as(value, u, space, text) && (!best[0] || strlen(text) < strlen(best)))
      memcpy(best, text, sizeof best);
  }
  assert(base);
  if (best[0]) return memcpy(out, best, sizeof best);
  bool printed = print_as(value, base, space, out);  // 17 digits of the base unit always read back
  assert(printed);
  (void)printed;
  return out;
}
