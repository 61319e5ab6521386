// Number formats: names, sizes, and rounding against definitions that share nothing with the code: a 16-bit value is
// taken apart with ldexp, and the rounding of a float is right when no other 16-bit value is nearer, nor as near and
// even.
#include "models/dtype.h"

#include <math.h>

#include "base/random.h"
#include "tests/checkpoint/test.h"

static double half_value(uint16_t bits, int exponent_bits) {
  int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  int exponent = (bits & 0x7fff) >> mantissa_bits, mantissa = bits & ((1 << mantissa_bits) - 1);
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa ? (double)NAN : sign * (double)INFINITY;
  if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

static void check_all_values(weft_dtype dtype, int exponent_bits) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    uint16_t half = (uint16_t)bits, again = 0;
    float value = 0;
    weft_dtype_to_f32(dtype, &half, &value, 1);
    double expected = half_value(half, exponent_bits);
    weft_dtype_from_f32(dtype, &value, &again, 1);
    if (isnan(expected)) {
      assert_true(isnan(value));
      assert_true(isnan(half_value(again, exponent_bits)));
      continue;
    }
    if (!((double)value == expected && !signbit(value) == !signbit(expected) && again == half))
      fail_msg("%s %04x: read as %g, expected %g, written as %04x", weft_dtype_name(dtype), bits, (double)value,
               expected, again);
  }
}

static void every_16_bit_value(void **state) {
  (void)state;
  check_all_values(WEFT_F16, 5);
  check_all_values(WEFT_BF16, 8);
}

// Infinity counts as the value that the next exponent would have, which is where rounding up to it begins.
static double finite_value(uint16_t bits, int exponent_bits) {
  double value = half_value(bits, exponent_bits);
  int bias = (1 << (exponent_bits - 1)) - 1;
  return isinf(value) ? copysign(ldexp(1, bias + 1), value) : value;
}

static void check_rounding(weft_dtype dtype, int exponent_bits, float value) {
  uint16_t bits = 0;
  weft_dtype_from_f32(dtype, &value, &bits, 1);
  double error = fabs(finite_value(bits, exponent_bits) - (double)value);
  if (isinf(half_value(bits, exponent_bits)) && fabs((double)value) > fabs(finite_value(bits, exponent_bits))) return;
  uint16_t magnitude = bits & 0x7fff, sign = bits & 0x8000;
  for (int step = -1; step <= 1; step += 2) {
    if (magnitude + step < 0 || isnan(half_value((uint16_t)(magnitude + step), exponent_bits))) continue;
    uint16_t other = (uint16_t)((magnitude + step) | sign);
    double distance = fabs(finite_value(other, exponent_bits) - (double)value);
    if (distance < error || (distance == error && (bits & 1)))
      fail_msg("%s of %a is %04x, but %04x is nearer or even", weft_dtype_name(dtype), (double)value, bits, other);
  }
}

static void rounds_to_nearest_even(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {  // half way between neighbours, and a little beside
    float low = (float)half_value((uint16_t)bits, 5), high = (float)finite_value((uint16_t)(bits + 1), 5),
          middle = (low + high) / 2;
    check_rounding(WEFT_F16, 5, middle);
    check_rounding(WEFT_F16, 5, -middle);
    check_rounding(WEFT_F16, 5, nextafterf(middle, 1e6f));
    check_rounding(WEFT_F16, 5, nextafterf(middle, -1e6f));
  }
  for (uint32_t bits = 0; bits < 0x7f80; bits += 7) {
    uint32_t middle_bits = bits << 16 | 0x8000;
    float middle;
    memcpy(&middle, &middle_bits, 4);
    check_rounding(WEFT_BF16, 8, middle);
    check_rounding(WEFT_BF16, 8, -middle);
    check_rounding(WEFT_BF16, 8, nextafterf(middle, INFINITY));
    check_rounding(WEFT_BF16, 8, nextafterf(middle, -INFINITY));
  }
  for (uint64_t i = 0; i < 200000; ++i) {
    uint32_t random = (uint32_t)weft_random_bits(1, 2, i);
    float value;
    memcpy(&value, &random, 4);
    if (isnan(value)) continue;
    check_rounding(WEFT_F16, 5, value);
    check_rounding(WEFT_BF16, 8, value);
  }
}

static void special_values(void **state) {
  (void)state;
  float values[] = {INFINITY, -INFINITY, 65519.0f, 65520.0f, 1e30f, -0.0f, 0x1p-25f, 0x1.8p-25f, NAN};
  uint16_t half[9];
  weft_dtype_from_f32(WEFT_F16, values, half, 9);
  const uint16_t expected[] = {0x7c00, 0xfc00, 0x7bff, 0x7c00, 0x7c00, 0x8000, 0x0000, 0x0001};
  for (size_t i = 0; i < 8; ++i) assert_int_equal(half[i], expected[i]);
  assert_true((half[8] & 0x7c00) == 0x7c00 && (half[8] & 0x3ff) != 0);
  uint32_t quiet_in_low_bits = 0x7f800001;
  float nan;
  memcpy(&nan, &quiet_in_low_bits, 4);
  uint16_t bits;
  weft_dtype_from_f32(WEFT_F16, &nan, &bits, 1);
  assert_true((bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0);
  weft_dtype_from_f32(WEFT_BF16, &nan, &bits, 1);
  assert_true((bits & 0x7f80) == 0x7f80 && (bits & 0x7f) != 0);
  double wide;
  weft_dtype_from_f32(WEFT_F64, &values[2], &wide, 1);
  assert_true(wide == 65519.0);
}

static void integers_and_f64(void **state) {
  (void)state;
  const int8_t small[] = {-128, 127};
  const uint8_t bytes[] = {255, 0};
  const int16_t shorts[] = {-32768, 12345};
  const int32_t ints[] = {-16777216, 5};
  const int64_t longs[] = {1ll << 40, -3};
  const double wides[] = {0.1, -1e300};
  float out[2];
  weft_dtype_to_f32(WEFT_I8, small, out, 2);
  assert_true(out[0] == -128 && out[1] == 127);
  weft_dtype_to_f32(WEFT_U8, bytes, out, 2);
  assert_true(out[0] == 255 && out[1] == 0);
  weft_dtype_to_f32(WEFT_BOOL, bytes, out, 2);
  assert_true(out[0] == 1 && out[1] == 0);
  weft_dtype_to_f32(WEFT_I16, shorts, out, 2);
  assert_true(out[0] == -32768 && out[1] == 12345);
  weft_dtype_to_f32(WEFT_I32, ints, out, 2);
  assert_true(out[0] == -16777216 && out[1] == 5);
  weft_dtype_to_f32(WEFT_I64, longs, out, 2);
  assert_true(out[0] == 0x1p40f && out[1] == -3);
  weft_dtype_to_f32(WEFT_F64, wides, out, 2);
  assert_true(out[0] == 0.1f && isinf(out[1]) && out[1] < 0);
}

static void names(void **state) {
  (void)state;
  const struct {
    const char *name;
    weft_dtype dtype;
  } good[] = {{"f32", WEFT_F32},     {"F32", WEFT_F32},       {"float32", WEFT_F32}, {"half", WEFT_F16},
              {"float16", WEFT_F16}, {"bfloat16", WEFT_BF16}, {"BF16", WEFT_BF16},   {"q4_k", WEFT_Q4_K},
              {"Q8_0", WEFT_Q8_0},   {"int64", WEFT_I64},     {"bool", WEFT_BOOL}};
  for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
    weft_dtype dtype = WEFT_DTYPE_COUNT;
    assert_ok(weft_dtype_parse(good[i].name, &dtype));
    assert_int_equal(dtype, good[i].dtype);
  }
  weft_dtype untouched = WEFT_Q6_K;
  assert_failure(weft_dtype_parse("bf61", &untouched), WEFT_INVALID,
                 "unknown number format \"bf61\"; the nearest known one is \"bf16\"");
  assert_int_equal(untouched, WEFT_Q6_K);
  assert_string_equal(weft_dtype_name((weft_dtype)6), "unknown");
  assert_true(weft_dtype_computes(WEFT_BF16) && !weft_dtype_computes(WEFT_F64) && !weft_dtype_computes(WEFT_Q8_0));
}

static void sizes(void **state) {
  (void)state;
  uint64_t bytes = 7;
  assert_true(weft_dtype_bytes(WEFT_Q4_K, 512, &bytes));
  assert_int_equal(bytes, 288);
  assert_true(weft_dtype_bytes(WEFT_F64, 3, &bytes));
  assert_int_equal(bytes, 24);
  assert_false(weft_dtype_bytes(WEFT_Q4_0, 33, &bytes));
  assert_false(weft_dtype_bytes(WEFT_F32, UINT64_MAX / 2, &bytes));
  assert_false(weft_dtype_bytes((weft_dtype)5, 1, &bytes));
  assert_int_equal(weft_dtype_block_elements(WEFT_Q5_1), 32);
  assert_int_equal(weft_dtype_block_bytes(WEFT_Q6_K), 210);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_16_bit_value),
      cmocka_unit_test(rounds_to_nearest_even),
      cmocka_unit_test(special_values),
      cmocka_unit_test(integers_and_f64),
      cmocka_unit_test(names),
      cmocka_unit_test(sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
