#include "models/dtype.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

// One row per format: how it is spelled and how it is packed. Block sizes are those of ggml's ggml-common.h.
typedef struct dtype_row {
  const char *name;
  uint32_t block_elements, block_bytes;
} dtype_row;

static const dtype_row rows[WEFT_DTYPE_COUNT] = {
    [WEFT_F32] = {"f32", 1, 4},       [WEFT_F16] = {"f16", 1, 2},       [WEFT_BF16] = {"bf16", 1, 2},
    [WEFT_F64] = {"f64", 1, 8},       [WEFT_I32] = {"i32", 1, 4},       [WEFT_Q8_0] = {"q8_0", 32, 34},
    [WEFT_Q4_0] = {"q4_0", 32, 18},   [WEFT_Q4_1] = {"q4_1", 32, 20},   [WEFT_Q5_0] = {"q5_0", 32, 22},
    [WEFT_Q5_1] = {"q5_1", 32, 24},   [WEFT_Q4_K] = {"q4_k", 256, 144}, [WEFT_Q5_K] = {"q5_k", 256, 176},
    [WEFT_Q6_K] = {"q6_k", 256, 210}, [WEFT_I64] = {"i64", 1, 8},       [WEFT_I16] = {"i16", 1, 2},
    [WEFT_I8] = {"i8", 1, 1},         [WEFT_U8] = {"u8", 1, 1},         [WEFT_BOOL] = {"bool", 1, 1},
};

// Values 5 to 7 are not formats; schedules may carry any number, so every door asks.
static bool known(weft_dtype dtype) { return (unsigned)dtype < WEFT_DTYPE_COUNT && rows[dtype].name; }

const char *weft_dtype_name(weft_dtype dtype) { return known(dtype) ? rows[dtype].name : "unknown"; }

weft_status weft_dtype_parse(const char *name, weft_dtype *out_dtype) {
  static const struct {
    const char *name;
    weft_dtype dtype;
  } also[] = {
      {"float32", WEFT_F32}, {"float", WEFT_F32},     {"float16", WEFT_F16}, {"half", WEFT_F16},   {"fp32", WEFT_F32},
      {"fp16", WEFT_F16},    {"bfloat16", WEFT_BF16}, {"float64", WEFT_F64}, {"double", WEFT_F64}, {"int64", WEFT_I64},
      {"int32", WEFT_I32},   {"int16", WEFT_I16},     {"int8", WEFT_I8},     {"uint8", WEFT_U8},
  };
  const char *names[WEFT_DTYPE_COUNT + sizeof also / sizeof *also];
  size_t count = 0;
  for (int d = 0; d < WEFT_DTYPE_COUNT; ++d) {
    if (!rows[d].name) continue;
    if (strcasecmp(name, rows[d].name) == 0) {
      *out_dtype = (weft_dtype)d;
      return NULL;
    }
    names[count++] = rows[d].name;
  }
  for (size_t i = 0; i < sizeof also / sizeof *also; ++i) {
    if (strcasecmp(name, also[i].name) == 0) {
      *out_dtype = also[i].dtype;
      return NULL;
    }
    names[count++] = also[i].name;
  }
  return weft_error(WEFT_INVALID, "unknown number format \"%s\"; the nearest known one is \"%s\"", name,
                    weft_nearest(name, names, count));
}

uint32_t weft_dtype_block_elements(weft_dtype dtype) { return known(dtype) ? rows[dtype].block_elements : 1; }

uint32_t weft_dtype_block_bytes(weft_dtype dtype) { return known(dtype) ? rows[dtype].block_bytes : 0; }

bool weft_dtype_computes(weft_dtype dtype) { return dtype == WEFT_F32 || dtype == WEFT_F16 || dtype == WEFT_BF16; }

bool weft_dtype_bytes(weft_dtype dtype, uint64_t elements, uint64_t *out_bytes) {
  if (!known(dtype) || elements % rows[dtype].block_elements != 0) return false;
  return !__builtin_mul_overflow(elements / rows[dtype].block_elements, (uint64_t)rows[dtype].block_bytes, out_bytes);
}

static float float_of(uint32_t bits) {
  union {
    uint32_t u;
    float f;
  } v = {bits};
  return v.f;
}

static uint32_t bits_of(float value) {
  union {
    float f;
    uint32_t u;
  } v = {value};
  return v.u;
}

// Without branches, so that loops over it vectorise. A subnormal half is its mantissa times 2^-24, which f32 holds
// exactly.
static inline float f16_to_f32(uint16_t half) {
  uint32_t magnitude = half & 0x7fffu;
  uint32_t normal = (magnitude << 13) + (112u << 23);
  uint32_t special = (magnitude << 13) | 0x7f800000u;
  uint32_t tiny = bits_of((float)(int32_t)magnitude * 0x1p-24f);
  uint32_t bits = magnitude < 0x0400u ? tiny : magnitude < 0x7c00u ? normal : special;
  return float_of(bits | ((uint32_t)(half & 0x8000u) << 16));
}

// The addition of 0.5 makes the floating-point unit round a value below 2^-14 to a multiple of 2^-24, ties to even; the
// normal case adds half a unit less one, plus the last kept bit. Method: F. Giesen, "Float->half variants" (2012).
static inline uint16_t f32_to_f16(float value) {
  uint32_t bits = bits_of(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  uint32_t special = magnitude > 0x7f800000u ? 0x7e00u | ((magnitude >> 13) & 0x3ffu) : 0x7c00u;
  uint32_t tiny = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  uint32_t half = magnitude >= 0x47800000u ? special : magnitude < 0x38800000u ? tiny : normal;
  return (uint16_t)(half | sign);
}

static float read_f16(const uint8_t *from) {
  uint16_t half;
  memcpy(&half, from, sizeof half);
  return f16_to_f32(half);
}

// Block formats, after ggml's ggml-common.h (layout) and ggml-quants.c (meaning). Every product below is exact in f32
// (an 11-bit scale times at most 11 further bits) but for the last one of Q6_K, which no addition follows, so the
// results do not depend on whether the compiler fuses multiplications with additions.

static void q8_0_block(const uint8_t *from, float *to) {
  float scale = read_f16(from);
  for (int i = 0; i < 32; ++i) to[i] = scale * (float)(int8_t)from[2 + i];
}

static void q4_0_block(const uint8_t *from, float *to) {
  float scale = read_f16(from);
  for (int i = 0; i < 16; ++i) {
    to[i] = scale * (float)((from[2 + i] & 15) - 8);
    to[i + 16] = scale * (float)((from[2 + i] >> 4) - 8);
  }
}

static void q4_1_block(const uint8_t *from, float *to) {
  float scale = read_f16(from), least = read_f16(from + 2);
  for (int i = 0; i < 16; ++i) {
    to[i] = scale * (float)(from[4 + i] & 15) + least;
    to[i + 16] = scale * (float)(from[4 + i] >> 4) + least;
  }
}

// The fifth bits of elements 0..31 are the bits of one little-endian word.
static void q5_block(const uint8_t *high_bytes, const uint8_t *low, int offset, float scale, float least, float *to) {
  uint32_t high;
  memcpy(&high, high_bytes, sizeof high);
  for (int i = 0; i < 16; ++i) {
    int first = (low[i] & 15) | (int)((high >> i) & 1u) << 4;
    int second = (low[i] >> 4) | (int)((high >> (i + 16)) & 1u) << 4;
    to[i] = scale * (float)(first - offset) + least;
    to[i + 16] = scale * (float)(second - offset) + least;
  }
}

// Adding -0 keeps every value, a negative zero too.
static void q5_0_block(const uint8_t *from, float *to) { q5_block(from + 2, from + 6, 16, read_f16(from), -0.0f, to); }

static void q5_1_block(const uint8_t *from, float *to) {
  q5_block(from + 4, from + 8, 0, read_f16(from), read_f16(from + 2), to);
}

// Eight pairs of 6-bit scale and minimum in 12 bytes: the first four plain, the upper two bits of the others in the
// upper bits of the first eight bytes.
static void k_scale(const uint8_t *packed, int index, float *out_scale, float *out_least) {
  int scale, least;
  if (index < 4) {
    scale = packed[index] & 63;
    least = packed[index + 4] & 63;
  } else {
    scale = (packed[index + 4] & 15) | (packed[index - 4] >> 6) << 4;
    least = (packed[index + 4] >> 4) | (packed[index] >> 6) << 4;
  }
  *out_scale = (float)scale;
  *out_least = (float)least;
}

static void q4_k_block(const uint8_t *from, float *to) {
  float scale_unit = read_f16(from), least_unit = read_f16(from + 2);
  for (int group = 0; group < 8; ++group) {
    float scale, least;
    k_scale(from + 4, group, &scale, &least);
    scale *= scale_unit;
    least *= least_unit;
    const uint8_t *low = from + 16 + 32 * (group / 2);
    int shift = 4 * (group % 2);
    for (int i = 0; i < 32; ++i) to[32 * group + i] = scale * (float)((low[i] >> shift) & 15) - least;
  }
}

static void q5_k_block(const uint8_t *from, float *to) {
  float scale_unit = read_f16(from), least_unit = read_f16(from + 2);
  const uint8_t *high = from + 16;
  for (int group = 0; group < 8; ++group) {
    float scale, least;
    k_scale(from + 4, group, &scale, &least);
    scale *= scale_unit;
    least *= least_unit;
    const uint8_t *low = from + 48 + 32 * (group / 2);
    int shift = 4 * (group % 2);
    for (int i = 0; i < 32; ++i) {
      int value = ((low[i] >> shift) & 15) | ((high[i] >> group) & 1) << 4;
      to[32 * group + i] = scale * (float)value - least;
    }
  }
}

static void q6_k_block(const uint8_t *from, float *to) {
  const uint8_t *low = from, *high = from + 128, *scales = from + 192;
  float unit = read_f16(from + 208);
  for (int group = 0; group < 8; ++group) {
    int half = group / 4, quarter = group % 4;
    const uint8_t *low_bits = low + 64 * half + 32 * (quarter % 2), *high_bits = high + 32 * half;
    for (int i = 0; i < 32; ++i) {
      int value = ((low_bits[i] >> (4 * (quarter / 2))) & 15) | ((high_bits[i] >> (2 * quarter)) & 3) << 4;
      float scale = unit * (float)(int8_t)scales[8 * half + 2 * quarter + i / 16];
      to[32 * group + i] = scale * (float)(value - 32);
    }
  }
}

typedef void block_reader(const uint8_t *from, float *to);

static void read_blocks(block_reader *reader, weft_dtype dtype, const uint8_t *from, float *to, size_t count) {
  for (size_t i = 0; i < count; i += rows[dtype].block_elements, from += rows[dtype].block_bytes) reader(from, to + i);
}

// Mapped tensors may lie at any address, hence memcpy, which costs nothing.
#define READ_PLAIN(type, expression)                        \
  for (size_t i = 0; i < count; ++i) {                      \
    type value;                                             \
    memcpy(&value, bytes + i * sizeof value, sizeof value); \
    to[i] = expression;                                     \
  }                                                         \
  break

void weft_dtype_to_f32(weft_dtype dtype, const void *from, float *to, size_t count) {
  assert(known(dtype) && count % rows[dtype].block_elements == 0);
  const uint8_t *bytes = from;
  if (count == 0) return;
  switch (dtype) {
    case WEFT_F32: memcpy(to, from, count * sizeof *to); break;
    case WEFT_F16: READ_PLAIN(uint16_t, f16_to_f32(value));
    case WEFT_BF16: READ_PLAIN(uint16_t, weft_bf16_to_f32(value));
    case WEFT_F64: READ_PLAIN(double, (float)value);
    case WEFT_I64: READ_PLAIN(int64_t, (float)value);
    case WEFT_I32: READ_PLAIN(int32_t, (float)value);
    case WEFT_I16: READ_PLAIN(int16_t, (float)value);
    case WEFT_I8: READ_PLAIN(int8_t, (float)value);
    case WEFT_U8: READ_PLAIN(uint8_t, (float)value);
    case WEFT_BOOL: READ_PLAIN(uint8_t, value ? 1.0f : 0.0f);
    case WEFT_Q8_0: read_blocks(q8_0_block, dtype, bytes, to, count); break;
    case WEFT_Q4_0: read_blocks(q4_0_block, dtype, bytes, to, count); break;
    case WEFT_Q4_1: read_blocks(q4_1_block, dtype, bytes, to, count); break;
    case WEFT_Q5_0: read_blocks(q5_0_block, dtype, bytes, to, count); break;
    case WEFT_Q5_1: read_blocks(q5_1_block, dtype, bytes, to, count); break;
    case WEFT_Q4_K: read_blocks(q4_k_block, dtype, bytes, to, count); break;
    case WEFT_Q5_K: read_blocks(q5_k_block, dtype, bytes, to, count); break;
    case WEFT_Q6_K: read_blocks(q6_k_block, dtype, bytes, to, count); break;
    case WEFT_DTYPE_COUNT: break;
  }
}

#define WRITE_PLAIN(type, expression)                       \
  for (size_t i = 0; i < count; ++i) {                      \
    type value = expression;                                \
    memcpy(bytes + i * sizeof value, &value, sizeof value); \
  }                                                         \
  break

void weft_dtype_from_f32(weft_dtype dtype, const float *from, void *to, size_t count) {
  assert(weft_dtype_computes(dtype) || dtype == WEFT_F64);
  uint8_t *bytes = to;
  if (count == 0) return;
  switch (dtype) {
    case WEFT_F32: memcpy(to, from, count * sizeof *from); break;
    case WEFT_F16: WRITE_PLAIN(uint16_t, f32_to_f16(from[i]));
    case WEFT_BF16: WRITE_PLAIN(uint16_t, weft_f32_to_bf16(from[i]));
    case WEFT_F64: WRITE_PLAIN(double, (double)from[i]);
    default: break;
  }
}
