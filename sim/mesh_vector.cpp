// Arithmetic of vector operations, and what they cost.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "sim/mesh_state.h"

namespace weft {

static bool is_16bit(weft_dtype d) { return d == WEFT_F16 || d == WEFT_BF16; }
static std::uint32_t element_bytes(weft_dtype d) { return is_16bit(d) ? 2 : 4; }

static float real_of(std::uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, sizeof f);
  return f;
}

static std::uint32_t bits_of(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, sizeof bits);
  return bits;
}

static float widened(weft_dtype d, std::uint32_t bits) {
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

static std::uint32_t rounded(weft_dtype d, float value) {
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

static void keep(const source &to, std::uint32_t e, std::uint32_t bits) {
  if (is_16bit(to.dtype)) {
    auto half = static_cast<std::uint16_t>(bits);
    std::memcpy(to.place(e), &half, sizeof half);
  } else {
    std::memcpy(to.place(e), &bits, sizeof bits);
  }
}

std::uint32_t register_value(const mesh_state &m, const core &c, const weft_operand &o) {
  return o.kind == WEFT_CONSTANT ? o.bits : m.registers[c.registers + o.index];
}

static std::int64_t start_of(const mesh_state &m, const core &c, const weft_operand &o) {
  std::int64_t offset = o.offset;
  if (o.offset_register != WEFT_NOTHING)
    offset += static_cast<std::int64_t>(static_cast<std::int32_t>(m.registers[c.registers + o.offset_register])) *
              o.offset_scale;
  return offset;
}

// False, with the reason: elements [first, first + count) of the view are not all inside the array.
static bool inside(const source &s, const weft_array &array, std::uint32_t first, std::uint32_t count,
                   std::string &failure) {
  if (count == 0) return true;
  std::int64_t ends[4];
  std::uint32_t last = first + count - 1;
  if (s.inner == 0 || (first == last)) {
    auto at = [&s](std::uint32_t e) {
      return s.inner ? s.offset + e % s.inner * s.stride + e / s.inner * s.outer : s.offset + e * s.stride;
    };
    ends[0] = ends[2] = at(first);
    ends[1] = ends[3] = at(last);
  } else {
    std::int64_t columns = std::min<std::uint32_t>(s.inner, last + 1) - 1, low = first / s.inner, high = last / s.inner;
    ends[0] = s.offset + low * s.outer;
    ends[1] = s.offset + high * s.outer;
    ends[2] = ends[0] + columns * s.stride;
    ends[3] = s.offset + (high > low ? high - 1 : high) * s.outer + (high > low ? columns : last % s.inner) * s.stride;
    if (high > low) ends[1] = std::max(ends[1], s.offset + high * s.outer + (last % s.inner) * s.stride);
  }
  for (std::int64_t end : ends)
    if (end < 0 || end >= array.length) {
      failure =
          "element " + std::to_string(end) + " of array " + array.name + ", which has " + std::to_string(array.length);
      return false;
    }
  return true;
}

static bool open(mesh_state &m, const core &c, const weft_operand &o, std::uint32_t received, std::uint32_t first,
                 std::uint32_t count, source &out, std::string &failure) {
  out.kind = o.kind;
  out.dtype = o.dtype;
  switch (o.kind) {
    case WEFT_MEMORY: {
      const weft_array &array = m.kernel->programs[c.program].arrays[o.array];
      out.base = m.sram.data() + c.sram + array.address;
      out.offset = start_of(m, c, o);
      out.stride = o.stride;
      out.outer = o.outer_stride;
      out.inner = o.inner;
      return inside(out, array, first, count, failure);
    }
    case WEFT_REGISTER: out.value = m.registers[c.registers + o.index]; return true;
    case WEFT_CONSTANT: out.value = o.bits; return true;
    case WEFT_RECEIVE:
      out.value = received;
      out.packed = o.packed;
      return true;
    default: return true;
  }
}

static float function_of(weft_instruction_kind kind, float a, float b, float c) {
  switch (kind) {
    case WEFT_DO_ADD: return a + b;
    case WEFT_DO_SUBTRACT: return a - b;
    case WEFT_DO_MULTIPLY: return a * b;
    case WEFT_DO_FMA: return std::fma(a, b, c);
    case WEFT_DO_DIVIDE: return a / b;
    case WEFT_DO_MAXIMUM: return a > b || std::isnan(a) ? a : b;
    case WEFT_DO_MINIMUM: return a < b || std::isnan(a) ? a : b;
    case WEFT_DO_NEGATE: return -a;
    case WEFT_DO_ABSOLUTE: return std::fabs(a);
    case WEFT_DO_SQRT: return std::sqrt(a);
    case WEFT_DO_RSQRT: return 1.0f / std::sqrt(a);
    case WEFT_DO_EXP: return std::exp(a);
    case WEFT_DO_LOG: return std::log(a);
    case WEFT_DO_TANH: return std::tanh(a);
    case WEFT_DO_SINE: return std::sin(a);
    case WEFT_DO_COSINE: return std::cos(a);
    case WEFT_DO_GREATER: return a > b ? 1.0f : 0.0f;
    default: return a;
  }
}

static std::int32_t whole_of(weft_instruction_kind kind, std::int32_t a, std::int32_t b, std::int32_t c) {
  auto u = [](std::int32_t v) { return static_cast<std::uint32_t>(v); };  // arithmetic wraps
  auto s = [](std::uint32_t v) { return static_cast<std::int32_t>(v); };
  bool no_quotient = b == 0 || (a == INT32_MIN && b == -1);
  switch (kind) {
    case WEFT_DO_ADD: return s(u(a) + u(b));
    case WEFT_DO_SUBTRACT: return s(u(a) - u(b));
    case WEFT_DO_MULTIPLY: return s(u(a) * u(b));
    case WEFT_DO_FMA: return s(u(a) * u(b) + u(c));
    case WEFT_DO_DIVIDE: return b == 0 ? 0 : no_quotient ? a : a / b;
    case WEFT_DO_MODULO: return no_quotient ? 0 : (a % b + (b > 0 && a % b < 0 ? b : 0));
    case WEFT_DO_MAXIMUM: return a > b ? a : b;
    case WEFT_DO_MINIMUM: return a < b ? a : b;
    case WEFT_DO_AND: return a & b;
    case WEFT_DO_OR: return a | b;
    case WEFT_DO_XOR: return a ^ b;
    case WEFT_DO_SHIFT_LEFT: return s(u(a) << (u(b) & 31));
    case WEFT_DO_SHIFT_RIGHT: return s(u(a) >> (u(b) & 31));
    case WEFT_DO_NEGATE: return s(0u - u(a));
    case WEFT_DO_ABSOLUTE: return a < 0 ? s(0u - u(a)) : a;
    case WEFT_DO_GREATER: return a > b;
    default: return a;
  }
}

static bool reduces(weft_instruction_kind kind) {
  return kind == WEFT_DO_SUM || kind == WEFT_DO_DOT || kind == WEFT_DO_GREATEST;
}

static std::uint32_t element(const weft_instruction &i, const source *s, weft_dtype to, std::uint32_t e,
                             std::uint32_t first) {
  std::uint32_t a = s[0].bits(e, first), b = s[1].bits(e, first), c = s[2].bits(e, first);
  if (i.kind == WEFT_DO_BITS) return a;
  if (to == WEFT_I32 && (i.kind != WEFT_DO_MOVE || s[0].dtype == WEFT_I32))
    return static_cast<std::uint32_t>(
        whole_of(i.kind, static_cast<std::int32_t>(a), static_cast<std::int32_t>(b), static_cast<std::int32_t>(c)));
  return rounded(to, function_of(i.kind, widened(s[0].dtype, a), widened(s[1].dtype, b), widened(s[2].dtype, c)));
}

// The common cases in f32 without indirection; false: not one of them.
static bool quick(const weft_instruction &i, const source *s, const source &to, std::uint32_t count) {
  if (to.kind != WEFT_MEMORY || to.dtype != WEFT_F32 || to.inner) return false;
  for (int k = 0; k < 3; ++k)
    if (s[k].kind != WEFT_ABSENT && (s[k].dtype != WEFT_F32 || s[k].inner)) return false;
  auto read = [](const source &x, std::uint32_t e) {
    return x.kind == WEFT_MEMORY ? reinterpret_cast<const float *>(x.base)[x.offset + e * x.stride] : real_of(x.value);
  };
  float *y = reinterpret_cast<float *>(to.base) + to.offset;
  switch (i.kind) {
    case WEFT_DO_MOVE:
      for (std::uint32_t e = 0; e < count; ++e) y[e * to.stride] = read(s[0], e);
      return true;
    case WEFT_DO_ADD:
      for (std::uint32_t e = 0; e < count; ++e) y[e * to.stride] = read(s[0], e) + read(s[1], e);
      return true;
    case WEFT_DO_MULTIPLY:
      for (std::uint32_t e = 0; e < count; ++e) y[e * to.stride] = read(s[0], e) * read(s[1], e);
      return true;
    case WEFT_DO_FMA:
      for (std::uint32_t e = 0; e < count; ++e)
        y[e * to.stride] = std::fma(read(s[0], e), read(s[1], e), read(s[2], e));
      return true;
    default: return false;
  }
}

static std::uint32_t reduced(const weft_instruction &i, const source *s, const source &to, std::uint32_t start,
                             std::uint32_t first, std::uint32_t count) {
  if (to.dtype == WEFT_I32) {
    auto sum = static_cast<std::int32_t>(start);
    for (std::uint32_t e = first; e < first + count; ++e) {
      auto a = static_cast<std::int32_t>(s[0].bits(e, first)), b = static_cast<std::int32_t>(s[1].bits(e, first));
      sum = i.kind == WEFT_DO_GREATEST
                ? std::max(sum, a)
                : whole_of(WEFT_DO_ADD, sum, i.kind == WEFT_DO_DOT ? whole_of(WEFT_DO_MULTIPLY, a, b, 0) : a, 0);
    }
    return static_cast<std::uint32_t>(sum);
  }
  float sum = widened(to.dtype, start);
  for (std::uint32_t e = first; e < first + count; ++e) {
    float a = widened(s[0].dtype, s[0].bits(e, first));
    if (i.kind == WEFT_DO_GREATEST)
      sum = function_of(WEFT_DO_MAXIMUM, sum, a, 0);
    else if (i.kind == WEFT_DO_DOT)
      sum = std::fma(a, widened(s[1].dtype, s[1].bits(e, first)), sum);
    else
      sum += a;
  }
  return rounded(to.dtype, sum);
}

bool compute(mesh_state &m, const core &c, const weft_instruction &i, std::uint32_t first, std::uint32_t count,
             const std::uint32_t *received, std::uint32_t *sent, std::string &failure) {
  source s[3], to;
  bool one = reduces(i.kind);
  if (!open(m, c, i.a, received[0], first, count, s[0], failure) ||
      !open(m, c, i.b, received[1], first, count, s[1], failure) ||
      !open(m, c, i.c, received[2], first, count, s[2], failure) ||
      !open(m, c, i.to, 0, one ? 0 : first, one && count ? 1 : count, to, failure))
    return false;
  if (one) {
    std::uint32_t *reg = i.to.kind == WEFT_REGISTER ? &m.registers[c.registers + i.to.index] : nullptr;
    std::uint32_t sum = reduced(i, s, to, reg ? *reg : to.bits(0, 0), first, count);
    if (reg)
      *reg = sum;
    else
      keep(to, 0, sum);
    return true;
  }
  if (first == 0 && count > 0 && quick(i, s, to, count)) return true;
  for (std::uint32_t e = first; e < first + count; ++e) {
    std::uint32_t bits = element(i, s, to.dtype, e, first);
    if (to.kind == WEFT_MEMORY)
      keep(to, e, bits);
    else if (to.kind == WEFT_REGISTER)
      m.registers[c.registers + i.to.index] = bits;
    else if (is_16bit(to.dtype))
      *sent |= (bits & 0xffff) << (i.to.packed ? 16 * (e - first) : 0);
    else
      *sent = bits;
  }
  return true;
}

// 32 bits, one word per element, no folds; every element inside its array. Else compute() does it, and finds the fault.
static bool plain(const source &s) {
  return s.kind == WEFT_ABSENT || (!is_16bit(s.dtype) && s.inner == 0 && s.kind != WEFT_REGISTER);
}

void prepare_quick(mesh_state &m, const core &c, operation &o) {
  const weft_instruction &i = *o.instruction;
  using quick = operation::quick;
  bool moves = i.kind == WEFT_DO_MOVE && i.to.dtype == i.a.dtype;
  bool sums = i.kind == WEFT_DO_ADD || i.kind == WEFT_DO_SUBTRACT || i.kind == WEFT_DO_MULTIPLY;
  if (!moves && !(sums && i.to.dtype == WEFT_F32 && i.a.dtype == WEFT_F32 && i.b.dtype == WEFT_F32)) return;
  if (i.to.kind != WEFT_MEMORY && i.to.kind != WEFT_SEND) return;
  const weft_operand *wavelet = i.a.kind == WEFT_RECEIVE ? &i.a : i.b.kind == WEFT_RECEIVE ? &i.b : nullptr;
  const weft_operand *other = wavelet == &i.a ? &i.b : &i.a;
  if (other->kind == WEFT_RECEIVE || (sums && !wavelet)) return;
  source s, to;
  std::string failure;
  if (!open(m, c, *other, 0, 0, o.count, s, failure) || !open(m, c, i.to, 0, 0, o.count, to, failure)) return;
  if (!plain(s) || !plain(to)) return;
  std::uint32_t where = static_cast<std::uint32_t>(&c - m.cores.data());
  if (wavelet) o.sink = &m.sink(m.index(where, m.slot_of[wavelet->index]));
  o.has_sink = wavelet != nullptr;
  o.sink_is_b = wavelet == &i.b;
  if (to.kind == WEFT_MEMORY) {
    o.to = reinterpret_cast<std::uint32_t *>(to.base) + to.offset;
    o.to_stride = static_cast<std::int32_t>(to.stride);
  } else {
    o.out_slot = m.slot_of[i.to.index];
    o.lane = &m.lane(m.index(where, o.out_slot));
  }
  if (s.kind == WEFT_MEMORY) {
    o.from = reinterpret_cast<const std::uint32_t *>(s.base) + s.offset;
    o.from_stride = static_cast<std::int32_t>(s.stride);
  } else if (s.kind == WEFT_CONSTANT) {
    o.from = &other->bits;
  }
  o.how = moves                        ? quick::move
          : i.kind == WEFT_DO_ADD      ? quick::add
          : i.kind == WEFT_DO_SUBTRACT ? quick::subtract
                                       : quick::multiply;
}

// ---- costs ----

static bool is_view(const weft_operand &o) { return o.kind == WEFT_MEMORY; }
static bool is_wavelets(const weft_operand &o) { return o.kind == WEFT_RECEIVE || o.kind == WEFT_SEND; }

double flops_of(const weft_instruction &i) {
  if (i.to.dtype == WEFT_I32) return 0;
  switch (i.kind) {
    case WEFT_DO_FMA:
    case WEFT_DO_DOT: return 2;
    case WEFT_DO_MOVE:
    case WEFT_DO_BITS: return 0;
    default: return i.kind < WEFT_DO_LOOP ? 1 : 0;
  }
}

static double positive(double rate) { return rate > 0 ? rate : 1; }

static double cycles_per_element(const weft_mesh &mesh, const weft_instruction &i) {
  const weft_core_times &t = mesh.times;
  bool narrow = is_16bit(i.to.dtype),
       sources_narrow = is_16bit(i.a.dtype) && (i.b.kind == WEFT_ABSENT || is_16bit(i.b.dtype));
  if (i.to.dtype == WEFT_I32 && i.kind != WEFT_DO_MOVE && i.kind != WEFT_DO_BITS && i.kind != WEFT_DO_ADD)
    return 1 / positive(t.other_per_cycle);
  switch (i.kind) {
    case WEFT_DO_MOVE:
      if (i.to.dtype != i.a.dtype) return 1 / positive(t.other_per_cycle);
      return 1 / positive(narrow ? t.f16_move : t.f32_move);
    case WEFT_DO_BITS: return 1 / positive(narrow ? t.f16_move : t.f32_move);
    case WEFT_DO_ADD:
    case WEFT_DO_SUBTRACT:
      return 1 / positive(narrow ? mesh.elementwise_f16_per_cycle : mesh.elementwise_f32_per_cycle);
    case WEFT_DO_MULTIPLY: return 1 / positive(narrow ? t.f16_multiply : t.f32_multiply);
    case WEFT_DO_FMA: {
      double rate = narrow ? mesh.f16_per_cycle : sources_narrow ? mesh.mixed_per_cycle : mesh.f32_per_cycle;
      return 1 / positive(rate);
    }
    case WEFT_DO_DIVIDE: return t.divide_cycles;
    case WEFT_DO_SQRT:
    case WEFT_DO_RSQRT:
    case WEFT_DO_EXP:
    case WEFT_DO_LOG:
    case WEFT_DO_TANH:
    case WEFT_DO_SINE:
    case WEFT_DO_COSINE: return t.function_cycles;
    case WEFT_DO_DOT:
      if (sources_narrow) return 1 / positive(mesh.mixed_per_cycle);
      return t.sum_cycles;
    case WEFT_DO_SUM:
    case WEFT_DO_GREATEST: return t.sum_cycles;
    default: return 1 / positive(t.other_per_cycle);
  }
}

cost cost_of(const weft_mesh &mesh, const weft_instruction &i) {
  cost k = {};
  k.fabric = is_wavelets(i.to) || is_wavelets(i.a) || is_wavelets(i.b) || is_wavelets(i.c);
  k.scalar = !k.fabric && !is_view(i.to) && !is_view(i.a) && !is_view(i.b) && !is_view(i.c);
  bool single = !k.fabric && i.count == 1 && i.count_register == WEFT_NOTHING && i.microthread == WEFT_NOTHING;
  k.width = (i.to.packed || i.a.packed || i.b.packed || i.c.packed) ? 2 : 1;
  k.per_element = cycles_per_element(mesh, i);
  k.startup = k.fabric ? mesh.times.fabric_startup_cycles : mesh.vector_startup_cycles;
  if (k.scalar || (single && i.kind < WEFT_DO_SUM)) {
    // One value: an instruction of the scalar unit; slow functions keep their time.
    k.scalar = true;
    bool slow = k.per_element > mesh.times.scalar_cycles;
    k.startup = slow ? 0 : mesh.times.scalar_cycles;
    if (!slow) k.per_element = 0;
  }
  return k;
}

// Two source streams hold each other up when they begin in the same bank, or half of the banks apart: a cycle reads two
// words, of different banks (SDK documentation; what each costs is measured, docs/machine.md).
double conflict_of(const mesh_state &m, const core &c, const weft_instruction &i) {
  const weft_core_times &times = m.description.times;
  const weft_operand *views[3];
  int count = 0;
  for (const weft_operand *o : {&i.a, &i.b, &i.c})
    if (is_view(*o) && (o->stride != 0 || o->inner != 0)) views[count++] = o;  // one value is read once, no stream
  if (count < 2 || m.description.banks < 2) return 1;
  if (count > 2) return times.conflict_factor;
  std::uint64_t places[2];
  for (int k = 0; k < 2; ++k) {
    const weft_array &array = m.kernel->programs[c.program].arrays[views[k]->array];
    places[k] = array.address + static_cast<std::uint64_t>(start_of(m, c, *views[k])) * element_bytes(views[k]->dtype);
  }
  if (element_bytes(views[0]->dtype) != element_bytes(views[1]->dtype)) return 1;
  // Banks are of 16-bit words; an f32 begins in an even one.
  std::uint64_t apart =
      (places[0] / 2 + m.description.banks - places[1] / 2 % m.description.banks) % m.description.banks;
  if (apart == 0) return times.conflict_factor;
  return apart * 2 == m.description.banks ? times.half_conflict_factor : 1;
}

}  // namespace weft
