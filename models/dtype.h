// Number formats: those that Weft computes in, and the block formats of GGUF files that it reads.
#ifndef WEFT_MODELS_DTYPE_H
#define WEFT_MODELS_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Values are stored in schedule files: append only.
typedef enum weft_dtype {
  WEFT_F32 = 0,
  WEFT_F16 = 1,
  WEFT_BF16 = 2,
  WEFT_F64 = 3,
  WEFT_I32 = 4,
  // storage only: converted to one of the above when read
  WEFT_Q8_0 = 8,
  WEFT_Q4_0,
  WEFT_Q4_1,
  WEFT_Q5_0,
  WEFT_Q5_1,
  WEFT_Q4_K,
  WEFT_Q5_K,
  WEFT_Q6_K,
  WEFT_I64,
  WEFT_I16,
  WEFT_I8,
  WEFT_U8,
  WEFT_BOOL,
  WEFT_DTYPE_COUNT
} weft_dtype;

const char *weft_dtype_name(weft_dtype dtype);  // "f32", "bf16", "q4_k"
// Accepts the names above and those of safetensors and transformers ("F32", "float32", "bfloat16", "half").
weft_status weft_dtype_parse(const char *name, weft_dtype *out_dtype) WEFT_CHECKED;
uint32_t weft_dtype_block_elements(weft_dtype dtype);  // 1 for plain formats, 32 or 256 for blocks
uint32_t weft_dtype_block_bytes(weft_dtype dtype);
bool weft_dtype_computes(weft_dtype dtype);  // f32, f16, bf16: what a run's dtype can be
// Bytes of `elements`, which must be a multiple of block_elements. False when it overflows or does not divide.
bool weft_dtype_bytes(weft_dtype dtype, uint64_t elements, uint64_t *out_bytes);

// Converts `count` elements (a multiple of the block) of any dtype to f32, exact where f32 holds the value.
void weft_dtype_to_f32(weft_dtype dtype, const void *from, float *to, size_t count);
// To f32, f16, bf16 or f64: round to nearest, ties to even; overflow to infinity; NaN stays NaN.
void weft_dtype_from_f32(weft_dtype dtype, const float *from, void *to, size_t count);

static inline float weft_bf16_to_f32(uint16_t bits) {
  union { uint32_t u; float f; } v = {(uint32_t)bits << 16};
  return v.f;
}
static inline uint16_t weft_f32_to_bf16(float value) {
  union { float f; uint32_t u; } v = {value};
  if ((v.u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((v.u >> 16) | 0x40u);
  return (uint16_t)((v.u + 0x7fffu + ((v.u >> 16) & 1u)) >> 16);
}

#ifdef __cplusplus
}
#endif
#endif
