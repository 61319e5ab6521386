// Arithmetic of vector operations, and what they cost.
#include <algorithm>
#include <cmath>

#include "sim/mesh_operand.h"

namespace weft {

bool inside(const source &s, const weft_array &array, std::uint32_t first, std::uint32_t count, std::string &failure) {
  if (count == 0) return true;
  std::uint32_t last = first + count - 1;
  std::int64_t wrong = -1;
  bool good = true;
  auto look = [&](std::uint32_t e) {
    std::int64_t at = s.inner ? s.offset + e % s.inner * s.stride + e / s.inner * s.outer : s.offset + e * s.stride;
    if (!good || (at >= 0 && at < array.length)) return;
    good = false;
    wrong = at;
  };
  look(first);
  look(last);
  if (s.inner != 0 && first / s.inner != last / s.inner) {  // the ends of its rows: the first, those between, the last
    std::uint32_t low = first / s.inner, high = last / s.inner;
    look((low + 1) * s.inner - 1);
    look((low + 1) * s.inner);
    look(high * s.inner - 1);
    look(high * s.inner);
  }
  if (!good)
    failure =
        "element " + std::to_string(wrong) + " of array " + array.name + ", which has " + std::to_string(array.length);
  return good;
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

float function_of(weft_instruction_kind kind, float a, float b, float c) {
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

std::int32_t whole_of(weft_instruction_kind kind, std::int32_t a, std::int32_t b, std::int32_t c) {
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
      !open(m, c, i.to, 0, one ? 0 : first, one ? 1 : count, to, failure))
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
  for (std::uint32_t e = first; e < first + count; ++e) {
    std::uint32_t bits = element_of(i, s[0].bits(e, first), s[1].bits(e, first), s[2].bits(e, first));
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

// 32 bits, one word per element; every element inside its array. Else compute() does it, and finds the fault.
static bool plain(const source &s) { return s.kind == WEFT_ABSENT || (!is_16bit(s.dtype) && s.kind != WEFT_REGISTER); }

// Elements after which the view goes on elsewhere; 0: never, of `count`.
static std::uint32_t fold_of(const source &s, std::uint32_t count) {
  return s.kind == WEFT_MEMORY && s.inner < count ? s.inner : 0;
}

static std::int32_t jump_of(const source &s, std::uint32_t count) {
  return fold_of(s, count) ? static_cast<std::int32_t>(s.outer - s.inner * s.stride) : 0;
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
  std::uint32_t folds = fold_of(s, o.count), folds_to = fold_of(to, o.count);
  if (folds && folds_to && folds != folds_to) return;
  o.fold = o.fold_left = folds ? folds : folds_to;
  o.from_jump = jump_of(s, o.count);
  o.to_jump = jump_of(to, o.count);
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
double conflict_at(const mesh_state &m, std::int64_t first, std::int64_t second) {
  // Banks are of 16-bit words; an f32 begins in an even one.
  std::uint32_t banks = m.description.banks;
  auto rest = [banks](std::int64_t place) {
    auto words = static_cast<std::uint32_t>(place / 2);
    return (banks & (banks - 1)) == 0 ? words & (banks - 1) : words % banks;  // a division takes as long as a product
  };
  std::uint32_t ahead = rest(first), behind = rest(second),
                apart = ahead < behind ? ahead + banks - behind : ahead - behind;
  if (apart == 0) return m.description.times.conflict_factor;
  return apart * 2 == banks ? m.description.times.half_conflict_factor : 1;
}

double conflict_of(const mesh_state &m, const core &c, const weft_instruction &i) {
  const weft_core_times &times = m.description.times;
  const weft_operand *views[3];
  int count = 0;
  for (const weft_operand *o : {&i.a, &i.b, &i.c})
    if (is_view(*o) && (o->stride != 0 || o->inner != 0)) views[count++] = o;  // one value is read once, no stream
  if (count < 2 || m.description.banks < 2) return 1;
  if (count > 2) return times.conflict_factor;
  std::int64_t places[2];
  for (int k = 0; k < 2; ++k) {
    const weft_array &array = m.kernel->programs[c.program].arrays[views[k]->array];
    places[k] = array.address + start_of(m, c, *views[k]) * element_bytes(views[k]->dtype);
  }
  if (element_bytes(views[0]->dtype) != element_bytes(views[1]->dtype)) return 1;
  return conflict_at(m, places[0], places[1]);
}

}  // namespace weft
