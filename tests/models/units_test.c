// Quantities: exact values, refusals, and that everything printed reads back as the same double.
#include "base/units.h"

#include <math.h>

#include "base/random.h"
#include "tests/models/test.h"

static void check(const char *text, weft_dimension dimension, double expected) {
  double value = -1;
  assert_ok(weft_quantity_parse(text, dimension, &value));
  if (value != expected) fail_msg("%s is %.17g, not %.17g", text, value, expected);
}

static void exact_values(void **state) {
  (void)state;
  check("850 MHz", WEFT_FREQUENCY, 850e6);
  check("850MHz", WEFT_FREQUENCY, 850e6);
  check("0.85 GHz", WEFT_FREQUENCY, 850e6);
  check("48 KiB", WEFT_BYTES, 49152);
  check("48 kB", WEFT_BYTES, 48000);
  check("1.5 MiB", WEFT_BYTES, 1572864);
  check("150 GB/s", WEFT_BYTES_PER_SECOND, 150e9);
  check("1.2 Tb/s", WEFT_BYTES_PER_SECOND, 150e9);
  check("100 Gb/s", WEFT_BYTES_PER_SECOND, 12.5e9);
  check("2.5 us", WEFT_SECONDS, 2.5e-6);
  check("2.7 ms", WEFT_SECONDS, 2.7e-3);
  check("3 min", WEFT_SECONDS, 180);
  check("5.78 PFLOP/s", WEFT_FLOPS_PER_SECOND, 5.78e15);
  check("7 cycles", WEFT_CYCLES, 7);
  check("1 cycle", WEFT_CYCLES, 1);
  check("4 /cycle", WEFT_PER_CYCLE, 4);
  check("8 words", WEFT_WORDS, 8);
  check("1word", WEFT_WORDS, 1);
  check("45 %", WEFT_FRACTION, 0.45);
  check("0.45", WEFT_FRACTION, 0.45);
  check("22.9 kW", WEFT_WATTS, 22900);
  check("2.19 MUSD", WEFT_USD, 2190000);
  check("1e12", WEFT_COUNT_UNIT, 1e12);
  check("-3", WEFT_COUNT_UNIT, -3);
  check("1.2e-3 s", WEFT_SECONDS, 1.2e-3);
  check("2EB", WEFT_BYTES, 2e18);  // the E is a prefix: no digit follows it
}

static void refuse(const char *text, weft_dimension dimension, const char *first, const char *second) {
  double value = 42;
  assert_refused(weft_quantity_parse(text, dimension, &value), first, second);
  assert_true(value == 42);
}

static void refusals(void **state) {
  (void)state;
  refuse("850", WEFT_FREQUENCY, "no unit", "850 MHz");
  refuse("850 MB", WEFT_FREQUENCY, "a size in bytes", "a frequency is needed");
  refuse("48 Kib", WEFT_BYTES, "unknown unit \"Kib\"", "\"KiB\"");
  refuse("48 KIB", WEFT_BYTES, "unknown unit", "KiB");
  refuse("150 GB", WEFT_BYTES_PER_SECOND, "a size in bytes", "150 GB/s");
  refuse("five s", WEFT_SECONDS, "does not begin with a number", "2.5 us");
  refuse("0x10 B", WEFT_BYTES, "unknown unit", "\"x10 B\"");
  refuse("inf s", WEFT_SECONDS, "does not begin with a number", "a time");
  refuse("nan", WEFT_COUNT_UNIT, "does not begin with a number", "4");
  refuse("1  s", WEFT_SECONDS, "unknown unit", "");
  refuse("1 s ", WEFT_SECONDS, "unknown unit", "\"s \"");
  refuse(" 1 s", WEFT_SECONDS, "does not begin with a number", "");
  refuse("+1 s", WEFT_SECONDS, "does not begin with a number", "");
  refuse("1 ", WEFT_COUNT_UNIT, "something after the number", "");
  refuse("4 /cycle", WEFT_CYCLES, "a rate per cycle", "7 cycles");
  refuse("8 words", WEFT_BYTES, "a number of 32-bit words", "48 KiB");
  refuse("8 wrds", WEFT_WORDS, "unknown unit \"wrds\"", "\"words\"");
  refuse("1e999 B", WEFT_BYTES, "too large", "");
  refuse("1e300 EB", WEFT_BYTES, "too large", "");
  refuse("", WEFT_BYTES, "does not begin with a number", "");
  refuse(".", WEFT_COUNT_UNIT, "does not begin with a number", "");
  refuse("1.2.3", WEFT_COUNT_UNIT, "something after the number", "");
}

static void printed(double value, weft_dimension dimension, const char *space, const char *expected) {
  char text[48];
  assert_string_equal(weft_quantity_print(value, dimension, space, text), expected);
}

static void printing(void **state) {
  (void)state;
  printed(850e6, WEFT_FREQUENCY, " ", "850 MHz");
  printed(49152, WEFT_BYTES, "", "48KiB");
  printed(80e9, WEFT_BYTES, " ", "80 GB");
  printed(2.7e-3, WEFT_SECONDS, " ", "2.7 ms");
  printed(0, WEFT_SECONDS, " ", "0 s");
  printed(1, WEFT_CYCLES, " ", "1 cycle");
  printed(2, WEFT_CYCLES, " ", "2 cycles");
  printed(1, WEFT_WORDS, "", "1word");
  printed(6, WEFT_WORDS, " ", "6 words");
  printed(0.75, WEFT_FRACTION, "", "75%");
  printed(12, WEFT_COUNT_UNIT, " ", "12");
}

// Doubles of all sizes, in all dimensions, with and without a space.
static void round_trip(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 40000; ++i) {
    weft_dimension dimension = (weft_dimension)(weft_random_bits(3, 0, i) % WEFT_DIMENSION_COUNT);
    double size = pow(10, 40 * weft_random_uniform(3, 1, i) - 15), value = weft_random_uniform(3, 2, i) * size, back;
    if (i % 3 == 0) value = floor(value);
    if (i % 7 == 0) value = -value;
    char text[48];
    weft_quantity_print(value, dimension, i % 2 ? " " : "", text);
    assert_ok(weft_quantity_parse(text, dimension, &back));
    if (back != value) fail_msg("%.17g printed as %s reads back as %.17g", value, text, back);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(exact_values), cmocka_unit_test(refusals),
                                     cmocka_unit_test(printing), cmocka_unit_test(round_trip)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
