// Operands of vector operations as they are read and written, for mesh_vector.cpp (the reference) and
// mesh_prepared.cpp.
#ifndef WEFT_SIM_MESH_OPERAND_H
#define WEFT_SIM_MESH_OPERAND_H

#include <cmath>
#include <cstring>

#include "sim/mesh_state.h"

namespace weft {

inline bool is_16bit(weft_dtype d) { return d == WEFT_F16 || d == WEFT_BF16; }
inline std::uint32_t element_bytes(weft_dtype d) { return is_16bit(d) ? 2 : 4; }

inline float real_of(std::uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, sizeof f);
  return f;
}

inline std::uint32_t bits_of(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, sizeof bits);
  return bits;
}

inline float widened(weft_dtype d, std::uint32_t bits) {
  switch (d) {
    case WEFT_F32: return real_of(bits);
    case WEFT_I32: return static_cast<float>(static_cast<std::int32_t>(bits));
    case WEFT_BF16: return real_of(bits << 16);
    default: {
      auto half = static_cast<std::uint16_t>(bits);
      float f;
      weft_dtype_to_f32(WEFT_F16, &half, &f, 1);
      return f;
    }
  }
}

inline std::uint32_t rounded(weft_dtype d, float value) {
  switch (d) {
    case WEFT_F32: return bits_of(value);
    case WEFT_BF16: return weft_f32_to_bf16(value);
    case WEFT_F16: {
      std::uint16_t half;
      weft_dtype_from_f32(WEFT_F16, &value, &half, 1);
      return half;
    }
    default:  // towards zero; what no i32 can hold becomes the nearest one
      if (std::isnan(value)) return 0;
      if (value >= 2147483648.0f) return INT32_MAX;
      if (value <= -2147483648.0f) return static_cast<std::uint32_t>(INT32_MIN);
      return static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
  }
}

// An operand as it is read: `base` for views, else one value.
struct source {
  weft_operand_kind kind = WEFT_ABSENT;
  weft_dtype dtype = WEFT_F32;
  std::uint8_t *base = nullptr;
  std::int64_t offset = 0, stride = 0, outer = 0;
  std::uint32_t inner = 0, value = 0;
  bool packed = false;

  std::uint8_t *place(std::uint32_t e) const {
    std::int64_t at = inner ? offset + e % inner * stride + e / inner * outer : offset + e * stride;
    return base + at * element_bytes(dtype);
  }
  std::uint32_t bits(std::uint32_t e, std::uint32_t first) const {
    if (kind == WEFT_MEMORY) {
      if (is_16bit(dtype)) {
        std::uint16_t half;
        std::memcpy(&half, place(e), sizeof half);
        return half;
      }
      std::uint32_t word;
      std::memcpy(&word, place(e), sizeof word);
      return word;
    }
    if (kind == WEFT_RECEIVE && is_16bit(dtype)) return value >> (16 * (packed ? e - first : 0)) & 0xffff;
    return value;
  }
};

inline void keep(const source &to, std::uint32_t e, std::uint32_t bits) {
  if (is_16bit(to.dtype)) {
    auto half = static_cast<std::uint16_t>(bits);
    std::memcpy(to.place(e), &half, sizeof half);
  } else {
    std::memcpy(to.place(e), &bits, sizeof bits);
  }
}

inline std::int64_t start_of(const mesh_state &m, const core &c, const weft_operand &o) {
  std::int64_t offset = o.offset;
  if (o.offset_register != WEFT_NOTHING)
    offset += static_cast<std::int64_t>(static_cast<std::int32_t>(m.registers[c.registers + o.offset_register])) *
              o.offset_scale;
  return offset;
}

// False, with the reason: elements [first, first + count) of the view are not all inside the array.
bool inside(const source &s, const weft_array &array, std::uint32_t first, std::uint32_t count, std::string &failure);

// Element by element; i32 arithmetic wraps.
std::int32_t whole_of(weft_instruction_kind kind, std::int32_t a, std::int32_t b, std::int32_t c);
float function_of(weft_instruction_kind kind, float a, float b, float c);

inline bool reduces(weft_instruction_kind kind) {
  return kind == WEFT_DO_SUM || kind == WEFT_DO_DOT || kind == WEFT_DO_GREATEST;
}

// The result of one element from the bits of its operands.
inline std::uint32_t element_of(const weft_instruction &i, std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  if (i.kind == WEFT_DO_BITS) return a;
  if (i.to.dtype == WEFT_I32 && (i.kind != WEFT_DO_MOVE || i.a.dtype == WEFT_I32))
    return static_cast<std::uint32_t>(
        whole_of(i.kind, static_cast<std::int32_t>(a), static_cast<std::int32_t>(b), static_cast<std::int32_t>(c)));
  return rounded(i.to.dtype, function_of(i.kind, widened(i.a.dtype, a), widened(i.b.dtype, b), widened(i.c.dtype, c)));
}

}  // namespace weft
#endif
