// Vector instructions on the core's own memory, as prepared when the mesh is opened: what does not depend on registers
// is decided once per program, whole vectors go through the loops in sim/loops, and a map loop is one piece of work.
// compute() in mesh_vector.cpp is the reference: it gives the same bits, and takes whatever is refused here.
#include <algorithm>

#include "sim/loops/loops.h"
#include "sim/mesh_operand.h"

namespace weft {

static const vector_loops &loops() {
  static const vector_loops &chosen = chosen_loops();
  return chosen;
}

// ---- preparing ----

static bool is_value(const weft_operand &o) { return o.kind == WEFT_REGISTER || o.kind == WEFT_CONSTANT; }
static bool is_own(const weft_operand &o) { return o.kind == WEFT_ABSENT || o.kind == WEFT_MEMORY || is_value(o); }

static bool real_or_absent(const weft_operand &o) { return o.kind == WEFT_ABSENT || o.dtype != WEFT_I32; }

static bool has_real_elements(weft_instruction_kind kind) {
  switch (kind) {
    case WEFT_DO_MODULO:
    case WEFT_DO_AND:
    case WEFT_DO_OR:
    case WEFT_DO_XOR:
    case WEFT_DO_SHIFT_LEFT:
    case WEFT_DO_SHIFT_RIGHT:
    case WEFT_DO_BITS: return false;
    default: return kind < WEFT_DO_LOOP && !reduces(kind);
  }
}

static prepared::form form_of(const weft_instruction &i) {
  using form = prepared::form;
  bool own = is_own(i.to) && is_own(i.a) && is_own(i.b) && is_own(i.c);
  if (!own || i.kind >= WEFT_DO_LOOP) return form::plain;
  if (i.count == 1 && i.count_register == WEFT_NOTHING && !reduces(i.kind)) return form::single;
  bool real = i.to.dtype != WEFT_I32 && real_or_absent(i.a) && real_or_absent(i.b) && real_or_absent(i.c);
  if (!real) return form::plain;
  if (reduces(i.kind)) return form::sum;
  return has_real_elements(i.kind) && i.to.kind == WEFT_MEMORY ? form::elements : form::plain;
}

static bool same_place(const weft_operand &a, const weft_operand &b) {
  return a.array == b.array && a.offset == b.offset && a.stride == b.stride && a.inner == b.inner &&
         (a.inner == 0 || a.outer_stride == b.outer_stride) && a.offset_register == b.offset_register &&
         (a.offset_register == WEFT_NOTHING || a.offset_scale == b.offset_scale);
}

static bool elements_differ(const weft_operand &o) {
  if (o.inner == 0) return o.stride != 0;
  return o.stride > 0 && o.outer_stride >= static_cast<std::int64_t>(o.inner) * o.stride;
}

static bool arrays_apart(const weft_array &a, const weft_array &b) {
  auto end = [](const weft_array &x) {
    return x.address + static_cast<std::uint64_t>(x.length) * element_bytes(x.dtype);
  };
  return end(a) <= b.address || end(b) <= a.address;
}

static void find_overlaps(const weft_program &program, const weft_instruction &i, prepared &q) {
  const weft_operand *sources[3] = {&i.a, &i.b, &i.c};
  for (int s = 0; s < 3; ++s) {
    const weft_operand &o = *sources[s];
    auto bit = static_cast<std::uint8_t>(1 << s);
    if (o.kind != WEFT_MEMORY || i.to.kind != WEFT_MEMORY ||
        arrays_apart(program.arrays[o.array], program.arrays[i.to.array]))
      q.apart = static_cast<std::uint8_t>(q.apart | bit);
    else if (same_place(o, i.to) && elements_differ(o))
      q.in_place = static_cast<std::uint8_t>(q.in_place | bit);
  }
}

// Whether sources meet in the banks is the same for every place if none moves, or both do alike.
static void find_conflict(const mesh_state &m, const weft_program &program, const weft_instruction &i, prepared &q) {
  const weft_operand *sources[3] = {&i.a, &i.b, &i.c}, *views[3];
  int count = 0;
  for (std::uint8_t s = 0; s < 3; ++s) {
    const weft_operand *o = sources[s];
    if (o->kind != WEFT_MEMORY || (o->stride == 0 && o->inner == 0)) continue;
    if (count < 2) q.streams[count] = s;
    views[count++] = o;
  }
  q.steady = true;
  if (count < 2 || m.description.banks < 2) return;
  if (count > 2) {
    q.factor = m.description.times.conflict_factor;
    return;
  }
  if (element_bytes(views[0]->dtype) != element_bytes(views[1]->dtype)) return;
  bool alike = views[0]->offset_register == views[1]->offset_register &&
               (views[0]->offset_register == WEFT_NOTHING || views[0]->offset_scale == views[1]->offset_scale);
  q.steady = alike;
  if (!alike) return;
  std::int64_t places[2];
  for (int k = 0; k < 2; ++k)
    places[k] = program.arrays[views[k]->array].address +
                static_cast<std::int64_t>(views[k]->offset) * element_bytes(views[k]->dtype);
  q.factor = conflict_at(m, places[0], places[1]);
}

static bool uses(const weft_operand &o, std::uint32_t reg) {
  return (o.kind == WEFT_REGISTER && o.index == reg) || (o.kind == WEFT_MEMORY && o.offset_register == reg);
}

// A map may be done in one piece if its counter only moves views, and its result changes nothing that its turns share.
static bool may_map(const weft_instruction &loop, const weft_instruction &body, const prepared &q) {
  if (q.how != prepared::form::elements && q.how != prepared::form::sum) return false;
  std::uint32_t counter = loop.to.index;
  const weft_operand *all[] = {&body.to, &body.a, &body.b, &body.c};
  if (body.count_register == counter) return false;
  for (const weft_operand *o : all)
    if (o->kind == WEFT_REGISTER && o->index == counter) return false;
  if (body.to.kind != WEFT_REGISTER) return (q.apart | q.in_place) == 7;
  for (const weft_operand *o : {&body.a, &body.b, &body.c})
    if (uses(*o, body.to.index)) return false;
  return body.count_register != body.to.index;
}

std::vector<prepared> prepare(const mesh_state &m, const weft_program &program, const std::vector<cost> &costs) {
  std::vector<prepared> all(program.code_count);
  for (std::uint32_t n = 0; n < program.code_count; ++n) {
    const weft_instruction &i = program.code[n];
    prepared &q = all[n];
    q.flops = flops_of(i);
    if (i.kind >= WEFT_DO_LOOP || m.options.plain) continue;
    q.how = form_of(i);
    find_overlaps(program, i, q);
    find_conflict(m, program, i, q);
    if (n > 0 && program.code[n - 1].kind == WEFT_DO_LOOP && program.code[n - 1].form == WEFT_MAP_LOOP)
      q.maps = may_map(program.code[n - 1], i, q);
    if (costs[n].fabric || i.count_register != WEFT_NOTHING || !(q.steady || costs[n].scalar)) continue;
    double cycles = costs[n].startup + costs[n].per_element * i.count * (costs[n].scalar ? 1 : q.factor);
    q.timed = cycles < 1e9;
    if (q.timed) q.time = static_cast<cycle>(std::ceil(cycles));
  }
  return all;
}

double factor_of(const mesh_state &m, const core &c, const weft_instruction &i, const prepared &q) {
  if (q.steady) return q.factor;
  if (m.options.plain) return conflict_of(m, c, i);
  const weft_operand *sources[3] = {&i.a, &i.b, &i.c};
  const weft_array *arrays = m.kernel->programs[c.program].arrays;
  std::int64_t places[2];
  for (int k = 0; k < 2; ++k) {
    const weft_operand &o = *sources[q.streams[k]];
    places[k] = arrays[o.array].address + start_of(m, c, o) * element_bytes(o.dtype);
  }
  return conflict_at(m, places[0], places[1]);
}

// ---- single values ----

static bool read_one(const mesh_state &m, const core &c, const weft_array *arrays, const weft_operand &o,
                     std::uint32_t &out_bits) {
  switch (o.kind) {
    case WEFT_MEMORY: {
      const weft_array &array = arrays[o.array];
      std::int64_t at = start_of(m, c, o);
      if (at < 0 || at >= array.length) return false;
      const std::uint8_t *place = m.sram.data() + c.sram + array.address + at * element_bytes(o.dtype);
      std::uint16_t half;
      if (is_16bit(o.dtype)) {
        std::memcpy(&half, place, sizeof half);
        out_bits = half;
      } else {
        std::memcpy(&out_bits, place, sizeof out_bits);
      }
      return true;
    }
    case WEFT_REGISTER: out_bits = m.registers[c.registers + o.index]; return true;
    case WEFT_CONSTANT: out_bits = o.bits; return true;
    default: out_bits = 0; return true;
  }
}

static bool carry_out_one(mesh_state &m, const core &c, const weft_instruction &i) {
  const weft_array *arrays = m.kernel->programs[c.program].arrays;
  std::uint32_t x, y, z;
  if (!read_one(m, c, arrays, i.a, x) || !read_one(m, c, arrays, i.b, y) || !read_one(m, c, arrays, i.c, z))
    return false;
  if (i.to.kind == WEFT_REGISTER) {
    bool sums = i.kind == WEFT_DO_ADD && i.to.dtype == WEFT_I32;  // what counters do
    m.registers[c.registers + i.to.index] = sums ? x + y : element_of(i, x, y, z);
    return true;
  }
  const weft_array &array = arrays[i.to.array];
  std::int64_t at = start_of(m, c, i.to);
  if (at < 0 || at >= array.length) return false;
  std::uint8_t *place = m.sram.data() + c.sram + array.address + at * element_bytes(i.to.dtype);
  std::uint32_t bits = element_of(i, x, y, z);
  auto half = static_cast<std::uint16_t>(bits);
  if (is_16bit(i.to.dtype))
    std::memcpy(place, &half, sizeof half);
  else
    std::memcpy(place, &bits, sizeof bits);
  return true;
}

// ---- vectors ----

static bool reach(const source &s, const weft_array &array, std::uint32_t count) {
  if (count == 0) return true;
  std::string ignored;
  if (s.inner != 0) return inside(s, array, 0, count, ignored);
  std::int64_t last = s.offset + (count - 1) * s.stride;
  return s.offset >= 0 && s.offset < array.length && last >= 0 && last < array.length;
}

struct operands {
  source to, from[3];
};

static bool open_own(const mesh_state &m, const core &c, const weft_array *arrays, const weft_operand &o,
                     std::uint32_t count, source &out) {
  out.kind = o.kind;
  out.dtype = o.dtype;
  if (o.kind == WEFT_MEMORY) {
    const weft_array &array = arrays[o.array];
    out.base = const_cast<std::uint8_t *>(m.sram.data()) + c.sram + array.address;
    out.offset = start_of(m, c, o);
    out.stride = o.stride;
    out.outer = o.outer_stride;
    out.inner = o.inner;
    return reach(out, array, count);
  }
  if (is_value(o)) out.value = register_value(m, c, o);
  return true;
}

static bool open_all(const mesh_state &m, const core &c, const weft_instruction &i, std::uint32_t count,
                     operands &out) {
  const weft_array *arrays = m.kernel->programs[c.program].arrays;
  return open_own(m, c, arrays, i.to, reduces(i.kind) ? 1 : count, out.to) &&
         open_own(m, c, arrays, i.a, count, out.from[0]) && open_own(m, c, arrays, i.b, count, out.from[1]) &&
         open_own(m, c, arrays, i.c, count, out.from[2]);
}

// Bytes that an unfolded view touches.
struct extent {
  const std::uint8_t *begin, *end;
};
static extent extent_of(const source &s, std::uint32_t count) {
  std::int64_t last = s.offset + (count - 1) * s.stride, bytes = element_bytes(s.dtype);
  return {s.base + std::min(s.offset, last) * bytes, s.base + (std::max(s.offset, last) + 1) * bytes};
}

// Elements may be worked on in any order: no source holds what the result has written before.
static bool order_free(const operands &o, const prepared &q, std::uint32_t count) {
  if ((q.apart | q.in_place) == 7 || count < 2) return true;
  for (int s = 0; s < 3; ++s) {
    const source &from = o.from[s];
    if ((q.apart | q.in_place) >> s & 1) continue;
    if (from.inner != 0 || o.to.inner != 0) return false;
    extent read = extent_of(from, count), written = extent_of(o.to, count);
    if (read.end <= written.begin || written.end <= read.begin) continue;
    bool same =
        from.base + from.offset * element_bytes(from.dtype) == o.to.base + o.to.offset * element_bytes(o.to.dtype) &&
        from.stride == o.to.stride && from.dtype == o.to.dtype && from.stride != 0;
    if (!same) return false;
  }
  return true;
}

constexpr std::uint32_t piece = 256;  // elements worked on at a time

static bool lies_as_f32(const source &s) { return s.dtype == WEFT_F32 && s.inner == 0 && s.stride == 1; }

// Elements [first, first + count) as f32: where they lie, or in `room`.
static const float *gathered(const source &s, std::uint32_t first, std::uint32_t count, float *room) {
  if (s.kind == WEFT_ABSENT) return room;
  if (s.kind != WEFT_MEMORY || (s.stride == 0 && s.inner == 0)) {
    std::fill_n(room, count, widened(s.dtype, s.bits(first, first)));
    return room;
  }
  if (lies_as_f32(s)) return reinterpret_cast<const float *>(s.base) + s.offset + first;
  if (!is_16bit(s.dtype)) {
    for (std::uint32_t e = 0; e < count; ++e) std::memcpy(room + e, s.place(first + e), sizeof *room);
    return room;
  }
  if (s.inner == 0 && s.stride == 1) {
    weft_dtype_to_f32(s.dtype, s.place(first), room, count);
    return room;
  }
  std::uint16_t halves[piece];
  for (std::uint32_t e = 0; e < count; ++e) std::memcpy(halves + e, s.place(first + e), sizeof *halves);
  weft_dtype_to_f32(s.dtype, halves, room, count);
  return room;
}

static void scatter(const source &to, std::uint32_t first, std::uint32_t count, const float *values) {
  if (to.inner == 0 && to.stride == 1) {
    weft_dtype_from_f32(to.dtype, values, to.place(first), count);
    return;
  }
  if (!is_16bit(to.dtype)) {
    for (std::uint32_t e = 0; e < count; ++e) std::memcpy(to.place(first + e), values + e, sizeof *values);
    return;
  }
  std::uint16_t halves[piece];
  weft_dtype_from_f32(to.dtype, values, halves, count);
  for (std::uint32_t e = 0; e < count; ++e) std::memcpy(to.place(first + e), halves + e, sizeof *halves);
}

static void work(weft_instruction_kind kind, const operands &o, std::uint32_t count) {
  float rooms[3][piece], results[piece];
  for (std::uint32_t first = 0; first < count; first += piece) {
    std::uint32_t some = std::min(piece, count - first);
    const float *in[3];
    for (int s = 0; s < 3; ++s) in[s] = gathered(o.from[s], first, some, rooms[s]);
    loops().elements(kind, results, in[0], in[1], in[2], some);
    scatter(o.to, first, some, results);
  }
}

static void add_up(weft_instruction_kind kind, const operands &o, std::uint32_t count, std::uint32_t *reg) {
  float rooms[2][piece], sum = widened(o.to.dtype, reg ? *reg : o.to.bits(0, 0));
  for (std::uint32_t first = 0; first < count; first += piece) {
    std::uint32_t some = std::min(piece, count - first);
    const float *a = gathered(o.from[0], first, some, rooms[0]), *b = gathered(o.from[1], first, some, rooms[1]);
    sum = loops().reduce(kind, sum, a, b, some);
  }
  std::uint32_t bits = rounded(o.to.dtype, sum);
  if (reg)
    *reg = bits;
  else
    keep(o.to, 0, bits);
}

static std::uint32_t *result_register(mesh_state &m, const core &c, const weft_instruction &i) {
  return i.to.kind == WEFT_REGISTER ? &m.registers[c.registers + i.to.index] : nullptr;
}

bool carry_out(mesh_state &m, const core &c, const weft_instruction &i, const prepared &q, std::uint32_t count) {
  if (q.how == prepared::form::plain) return false;
  if (q.how == prepared::form::single) return carry_out_one(m, c, i);
  operands o;
  if (!open_all(m, c, i, count, o)) return false;
  if (q.how == prepared::form::sum) {
    add_up(i.kind, o, count, result_register(m, c, i));
    return true;
  }
  if (!order_free(o, q, count)) return false;
  work(i.kind, o, count);
  return true;
}

// ---- map loops ----

// How far the views of a map move from turn to turn, in elements.
struct moves {
  std::int64_t to, from[3];
};

static std::int64_t move_of(const weft_instruction &loop, const weft_operand &o) {
  if (o.kind != WEFT_MEMORY || o.offset_register != loop.to.index) return 0;
  return static_cast<std::int64_t>(o.offset_scale) * static_cast<std::int32_t>(loop.c.bits);
}

static bool reach_after(const mesh_state &m, const core &c, const weft_operand &o, source s, std::int64_t moved,
                        std::uint32_t count) {
  if (o.kind != WEFT_MEMORY || moved == 0) return true;
  s.offset += moved;
  return reach(s, m.kernel->programs[c.program].arrays[o.array], count);
}

// A product of tiles: FMAs that add rows of one operand times single values of the other to sums that stay where they
// are. False: it is none.
static bool accumulates(const operands &o, const prepared &q, const moves &by, std::uint32_t turns,
                        std::uint32_t count) {
  if ((q.in_place & 4) == 0 || (q.apart & 3) != 3 || by.to != 0 || !lies_as_f32(o.to)) return false;
  for (int row = 0; row < 2; ++row) {
    const source &rows = o.from[row], &values = o.from[1 - row];
    bool view = values.kind == WEFT_MEMORY;
    if (rows.kind != WEFT_MEMORY || !lies_as_f32(rows) || values.dtype != WEFT_F32) continue;
    if (view && (values.stride != 0 || values.inner != 0)) continue;
    float value = real_of(values.value);
    loops().accumulate(reinterpret_cast<float *>(o.to.base) + o.to.offset,
                       reinterpret_cast<const float *>(rows.base) + rows.offset, by.from[row],
                       view ? reinterpret_cast<const float *>(values.base) + values.offset : &value, by.from[1 - row],
                       turns, count);
    return true;
  }
  return false;
}

static void take_turns(mesh_state &m, const core &c, const weft_instruction &body, const prepared &q, operands &o,
                       const moves &by, std::uint32_t turns, std::uint32_t count) {
  if (body.kind == WEFT_DO_FMA && accumulates(o, q, by, turns, count)) return;
  std::uint32_t *reg = result_register(m, c, body);
  for (std::uint32_t t = 0; t < turns; ++t) {
    if (q.how == prepared::form::sum)
      add_up(body.kind, o, count, reg);
    else
      work(body.kind, o, count);
    o.to.offset += by.to;
    for (int s = 0; s < 3; ++s) o.from[s].offset += by.from[s];
  }
}

// Summed turn by turn, as if each were done by itself: a sum of doubles depends on that.
static double cycles_of(const mesh_state &m, const weft_program &program, const weft_instruction &body, const cost &k,
                        const prepared &q, const operands &o, const moves &by, std::uint32_t turns,
                        std::uint32_t count) {
  const weft_core_times &times = m.description.times;
  double cycles = times.map_startup_cycles;
  if (q.steady) {
    double turn = times.map_cycles + k.per_element * count * q.factor;
    for (std::uint32_t t = 0; t < turns; ++t) cycles += turn;
    return cycles;
  }
  const weft_operand *sources[3] = {&body.a, &body.b, &body.c};
  std::int64_t places[2], steps[2];
  for (int n = 0; n < 2; ++n) {
    std::uint8_t s = q.streams[n];
    std::int64_t bytes = element_bytes(o.from[s].dtype);
    places[n] = program.arrays[sources[s]->array].address + o.from[s].offset * bytes;
    steps[n] = by.from[s] * bytes;
  }
  for (std::uint32_t t = 0; t < turns; ++t, places[0] += steps[0], places[1] += steps[1])
    cycles += times.map_cycles + k.per_element * count * conflict_at(m, places[0], places[1]);
  return cycles;
}

bool carry_out_map(mesh_state &m, const core &c, const weft_instruction &loop, const weft_instruction &body,
                   const cost &k, const prepared &q, std::uint32_t turns, std::uint32_t count, double &out_cycles) {
  operands o;
  if (!q.maps || !open_all(m, c, body, count, o)) return false;
  moves by = {move_of(loop, body.to), {move_of(loop, body.a), move_of(loop, body.b), move_of(loop, body.c)}};
  std::int64_t last = static_cast<std::int64_t>(turns) - 1;
  if (!reach_after(m, c, body.to, o.to, by.to * last, reduces(body.kind) ? 1 : count) ||
      !reach_after(m, c, body.a, o.from[0], by.from[0] * last, count) ||
      !reach_after(m, c, body.b, o.from[1], by.from[1] * last, count) ||
      !reach_after(m, c, body.c, o.from[2], by.from[2] * last, count))
    return false;
  out_cycles = cycles_of(m, m.kernel->programs[c.program], body, k, q, o, by, turns, count);
  take_turns(m, c, body, q, o, by, turns, count);
  return true;
}

}  // namespace weft
