// Building a mesh from a kernel and a machine, and reaching into its memory from outside.
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "base/text.h"
#include "sim/mesh_handle.h"
#include "sim/mesh_state.h"

namespace weft {

template <class Visit>
static void visit(const mesh_state &m, const weft_block &b, Visit each) {
  std::uint32_t step_x = b.step_x ? b.step_x : 1, step_y = b.step_y ? b.step_y : 1;
  for (std::uint32_t y = b.y; y < b.y_end && y < m.rows; y += step_y)
    for (std::uint32_t x = b.x; x < b.x_end && x < m.columns; x += step_x) each(y * m.columns + x);
}

static void number_colours(mesh_state &m) {
  std::memset(m.slot_of, nobody, sizeof m.slot_of);
  auto use = [&m](std::uint32_t colour) {
    if (m.slot_of[colour] != nobody) return;
    m.colour_of[m.slots] = static_cast<std::uint8_t>(colour);
    m.slot_of[colour] = static_cast<std::uint8_t>(m.slots++);
  };
  for (std::uint32_t r = 0; r < m.kernel->route_count; ++r) use(m.kernel->routes[r].colour);
  for (std::uint32_t p = 0; p < m.kernel->program_count; ++p) {
    const weft_program &program = m.kernel->programs[p];
    for (std::uint32_t i = 0; i < program.code_count; ++i)
      for (const weft_operand *o : {&program.code[i].to, &program.code[i].a, &program.code[i].b, &program.code[i].c})
        if (o->kind == WEFT_RECEIVE || o->kind == WEFT_SEND) use(o->index);
    for (std::uint32_t t = 0; t < program.task_count; ++t)
      if (program.tasks[t].trigger >= WEFT_BY_WAVELET) use(program.tasks[t].colour);
  }
  for (std::uint32_t c = 0; c < m.kernel->channel_count; ++c) use(m.kernel->channels[c].colour);
  if (m.slots == 0) m.slots = 1;
}

static cycle rounded_up(double cycles) { return cycles > 0 ? static_cast<cycle>(std::ceil(cycles)) : 0; }

static void take_times(mesh_state &m) {
  const weft_mesh &d = m.description;
  const weft_core_times &t = d.times;
  m.hop = rounded_up(d.hop_cycles);
  if (m.hop < 1) m.hop = 1;
  m.ramp = rounded_up(d.ramp_cycles);
  if (m.ramp < 1) m.ramp = 1;
  m.latency = rounded_up(t.fabric_latency_cycles);
  m.times = {rounded_up(t.start_cycles),      rounded_up(t.task_cycles), rounded_up(t.end_cycles),
             rounded_up(t.scalar_cycles),     rounded_up(t.loop_cycles), rounded_up(t.branch_cycles),
             rounded_up(t.microthread_cycles)};
  m.turn = rounded_up(t.turn_cycles);
  double words = d.link_words_per_cycle > 0 ? d.link_words_per_cycle : 1;
  m.link_step = words >= 1 ? 256 : static_cast<std::uint32_t>(std::lround(256 / words));
  // A place is needed for every word between its departure and the cycle after it has been passed on, else links could
  // not carry a word in every cycle; what waits beyond that is the queue's depth.
  auto room = [](double queue, cycle on_the_way) { return rounded_up(queue < 1 ? 1 : queue) + on_the_way; };
  m.lane_room = room(t.router_queue_words, m.hop + m.turn);
  m.sink_room = room(t.receive_queue_words, m.ramp);
  m.send_room = room(t.send_queue_words, 2 * m.ramp + m.latency);
  std::uint32_t most = std::max(std::max(m.lane_room, m.sink_room), m.send_room);
  m.ring_size = 4;
  while (m.ring_size < most) m.ring_size *= 2;
  if (m.ring_size > 64) {  // control marks are 64 bits
    m.ring_size = 64;
    m.lane_room = std::min(m.lane_room, 64u);
    m.sink_room = std::min(m.sink_room, 64u);
    m.send_room = std::min(m.send_room, 64u);
  }
  m.ring_stride = static_cast<std::uint32_t>(sizeof(ring) + m.ring_size * sizeof(word));
}

static void lay_routes(mesh_state &m) {
  std::size_t count = static_cast<std::size_t>(m.routers) * m.slots;
  m.lanes.resize(count * m.ring_stride);
  m.sinks.resize(count * m.ring_stride);
  m.ports.resize(count);
  m.told.resize(m.routers);
  for (std::size_t i = 0; i < count; ++i) {
    m.lane(i).reader = m.sink(i).reader = nobody;
    m.lane(i).gate = packed({nobody, nobody, closing::open, false, 0, 0});
  }
  for (std::uint32_t r = 0; r < m.kernel->route_count; ++r) {
    const weft_route &route = m.kernel->routes[r];
    visit(m, route.block, [&](std::uint32_t router) {
      ring &lane = m.lane(m.index(router, m.slot_of[route.colour]));
      lane.route = r + 1;
      set_ports(m, m.index(router, m.slot_of[route.colour]), route.positions[0].to);
      lane.gate = packed({route.positions[0].from, route.positions[0].from, closing::open, false, 0, 0});
    });
  }
}

static program_facts facts_of(const mesh_state &m, const weft_program &program) {
  program_facts f;
  f.operations = 1;
  f.wavelet_tasks = 0;
  f.task_of.assign(m.slots, nobody);
  f.control_of.assign(m.slots, nobody);
  for (std::uint32_t i = 0; i < program.code_count; ++i) {
    const weft_instruction &it = program.code[i];
    f.costs.push_back(cost_of(m.description, it));
    if (it.kind < WEFT_DO_LOOP && it.microthread != WEFT_NOTHING)
      f.operations = std::max(f.operations, it.microthread + 2);
    if (it.kind == WEFT_DO_WAIT) f.operations = std::max(f.operations, it.microthread + 2);
  }
  f.ready = prepare(m, program, f.costs);
  for (std::uint32_t t = 0; t < program.task_count; ++t) {
    const weft_task &task = program.tasks[t];
    if (task.trigger == WEFT_BY_WAVELET) {
      f.wavelet_tasks |= 1u << t;
      f.task_of[m.slot_of[task.colour]] = static_cast<std::uint8_t>(t);
    }
    if (task.trigger == WEFT_BY_CONTROL) f.control_of[m.slot_of[task.colour]] = static_cast<std::uint8_t>(t);
  }
  return f;
}

static void set_registers(mesh_state &m, const weft_program &program, std::uint32_t where) {
  std::int32_t x = static_cast<std::int32_t>(where % m.columns), y = static_cast<std::int32_t>(where / m.columns);
  for (std::uint32_t r = 0; r < program.register_count; ++r) {
    const weft_register &reg = program.registers[r];
    std::uint32_t value = reg.bits;
    if (reg.dtype == WEFT_I32) value = static_cast<std::uint32_t>(reg.base + x * reg.per_x + y * reg.per_y);
    m.registers[m.cores[where].registers + r] = value;
  }
}

// What arrays hold before the host writes: zeros, or one value each.
static void fill_arrays(mesh_state &m, const core &c) {
  const weft_program &program = m.kernel->programs[c.program];
  for (std::uint32_t a = 0; a < program.array_count; ++a) {
    const weft_array &array = program.arrays[a];
    if (array.fill == 0) continue;
    std::vector<float> values(array.length, array.fill);
    std::uint8_t *to = m.sram.data() + c.sram + array.address;
    if (array.dtype != WEFT_I32) {
      weft_dtype_from_f32(array.dtype, values.data(), to, values.size());
      continue;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      auto whole = static_cast<std::int32_t>(array.fill);
      std::memcpy(to + 4 * i, &whole, sizeof whole);
    }
  }
}

static void place_cores(mesh_state &m) {
  m.cores.resize(m.routers);
  for (core &c : m.cores) c.program = WEFT_NOTHING;
  for (std::uint32_t p = 0; p < m.kernel->program_count; ++p) {
    const weft_program &program = m.kernel->programs[p];
    m.programs.push_back(facts_of(m, program));
    for (std::uint32_t t = 0; t < program.task_count; ++t)
      if (program.tasks[t].trigger == WEFT_BY_CONTROL) m.control_starts_tasks = true;
    for (std::uint32_t b = 0; b < program.block_count; ++b)
      visit(m, program.blocks[b], [&](std::uint32_t where) { m.cores[where].program = p; });
  }
  std::uint64_t sram = 0;
  std::uint32_t operations = 0, registers = 0;
  for (core &c : m.cores) {
    if (c.program == WEFT_NOTHING) continue;
    const weft_program &program = m.kernel->programs[c.program];
    c.sram = sram;
    c.first_operation = operations;
    c.registers = registers;
    // An odd number of cache lines: cores that work in step would else meet in the same sets.
    sram += ((program.sram_bytes + 63ull) / 64 | 1) * 64;
    operations += m.programs[c.program].operations;
    registers += program.register_count;
  }
  m.sram.resize(sram);
  m.operations.resize(operations);
  m.registers.resize(registers);
  for (std::uint32_t where = 0; where < m.routers; ++where) {
    if (m.cores[where].program == WEFT_NOTHING) continue;
    set_registers(m, m.kernel->programs[m.cores[where].program], where);
    fill_arrays(m, m.cores[where]);
  }
}

static void open_channels(mesh_state &m) {
  for (std::uint32_t i = 0; i < m.kernel->channel_count; ++i) {
    const weft_channel &channel = m.kernel->channels[i];
    channel_state s;
    s.channel = &channel;
    s.lane = m.index(channel.y * m.columns + channel.x, m.slot_of[channel.colour]);
    m.channels.push_back(s);
    if (channel.into_mesh) continue;
    if (m.channel_at.empty()) m.channel_at.assign(static_cast<std::size_t>(m.routers) * m.slots, -1);
    m.channel_at[s.lane] = static_cast<std::int32_t>(i);
  }
}

static void lay_rows(mesh_state &m) {
  m.all_rows.resize(m.rows);
  for (std::uint32_t y = 0; y < m.rows; ++y) {
    row &it = m.all_rows[y];
    it.first = y * m.columns;
    it.end = it.first + m.columns;
    it.active.assign((m.columns + 63) / 64, 0);
    it.wheel.resize(wheel_size);
  }
  for (const channel_state &c : m.channels) m.all_rows[c.channel->y].has_channels = true;
}

static weft_status build(mesh_state &m) {
  const weft_kernel &k = *m.kernel;
  m.columns = k.columns;
  m.rows = k.rows;
  m.routers = k.columns * k.rows;
  number_colours(m);
  take_times(m);
  lay_routes(m);
  m.occupied.resize(m.routers);
  if (!m.options.plain && !m.options.observer && m.link_step == 256) {
    m.trains.resize(static_cast<std::size_t>(m.routers) * m.slots);
    m.marks.resize(m.routers);
  }
  if (m.options.count_links) {
    m.link_counts.resize(m.routers * 5ull);
    m.accounts.resize(m.routers);
  }
  if (m.link_step > 256) m.link_free.resize(m.routers * 4ull);
  place_cores(m);
  open_channels(m);
  lay_rows(m);
  return nullptr;
}

static weft_status judge(const weft_kernel &k, const weft_machine &machine) {
  if (!k.checked) return weft_error(WEFT_INVALID, "kernel %s has not been checked", k.name);
  if (machine.kind != WEFT_MESH)
    return weft_error(WEFT_INVALID, "machine %s is no mesh: kernels run on cores, e.g. of wse2", machine.name);
  if (k.columns > machine.mesh.columns || k.rows > machine.mesh.rows)
    return weft_error(WEFT_INFEASIBLE, "kernel %s needs %u x %u cores; %s has %u x %u", k.name, k.columns, k.rows,
                      machine.name, machine.mesh.columns, machine.mesh.rows);
  for (std::uint32_t p = 0; p < k.program_count; ++p)
    if (k.programs[p].sram_bytes > machine.mesh.sram_bytes_per_core)
      return weft_error(WEFT_INFEASIBLE, "program %s of kernel %s needs %u bytes of SRAM in every core; %s has %llu",
                        k.programs[p].name, k.name, k.programs[p].sram_bytes, machine.name,
                        static_cast<unsigned long long>(machine.mesh.sram_bytes_per_core));
  return nullptr;
}

static weft_status find_array(const mesh_state &m, std::uint32_t x, std::uint32_t y, const char *name,
                              const weft_array **out_array, std::uint64_t *out_offset) {
  if (x >= m.columns || y >= m.rows)
    return weft_error(WEFT_INVALID, "core (%u, %u) is outside the mesh of %u x %u", x, y, m.columns, m.rows);
  const core &c = m.cores[y * m.columns + x];
  if (c.program == WEFT_NOTHING) return weft_error(WEFT_INVALID, "core (%u, %u) runs no program", x, y);
  const weft_program &p = m.kernel->programs[c.program];
  std::vector<const char *> names;
  for (std::uint32_t a = 0; a < p.array_count; ++a) {
    names.push_back(p.arrays[a].name);
    if (std::strcmp(p.arrays[a].name, name) != 0) continue;
    *out_array = &p.arrays[a];
    *out_offset = c.sram + p.arrays[a].address;
    return nullptr;
  }
  const char *nearest = weft_nearest(name, names.data(), names.size());
  return weft_error(WEFT_INVALID, "program %s has no array \"%s\"; the nearest is \"%s\"", p.name, name,
                    nearest ? nearest : "");
}

static std::size_t bytes_of(const weft_array &a) {
  return static_cast<std::size_t>(a.length) * (a.dtype == WEFT_F16 || a.dtype == WEFT_BF16 ? 2 : 4);
}

static weft_status right_size(const weft_array &a, std::size_t size, std::size_t right, const char *unit) {
  if (size == right) return nullptr;
  return weft_error(WEFT_INVALID, "array %s has %zu %s, not %zu", a.name, right, unit, size);
}

}  // namespace weft

using weft::mesh_state;

extern "C" {

weft_mesh_options weft_mesh_options_default(void) {
  weft_mesh_options o = {};
  o.threads = 1;
  o.count_links = true;
  return o;
}

const char *weft_stall_name(weft_stall stall) {
  static const char *const names[] = {"receive", "send", "microthread", "idle"};
  return stall < WEFT_STALLS ? names[stall] : "unknown";
}

weft_status weft_mesh_open(const weft_kernel *kernel, const weft_machine *machine, const weft_mesh_options *options,
                           weft_mesh_sim **out_mesh) {
  WEFT_TRY(weft::judge(*kernel, *machine));
  try {
    auto mesh = std::make_unique<weft_mesh_sim>();
    mesh->state.kernel = kernel;
    mesh->state.description = machine->mesh;
    mesh->state.options = options ? *options : weft_mesh_options_default();
    mesh->state.slots = 0;
    WEFT_TRY(weft::build(mesh->state));
    *out_mesh = mesh.release();
    return nullptr;
  } catch (const std::bad_alloc &) {
    return weft_error(WEFT_INFEASIBLE, "this computer has too little memory for a mesh of %u x %u cores",
                      kernel->columns, kernel->rows);
  }
}

void weft_mesh_close(weft_mesh_sim *mesh) { delete mesh; }

weft_status weft_mesh_write(weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name, const void *bytes,
                            size_t size) {
  const weft_array *array = nullptr;
  std::uint64_t offset = 0;
  WEFT_TRY(weft::find_array(mesh->state, x, y, name, &array, &offset));
  WEFT_TRY(weft::right_size(*array, size, weft::bytes_of(*array), "bytes"));
  std::memcpy(mesh->state.sram.data() + offset, bytes, size);
  return nullptr;
}

weft_status weft_mesh_read(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name, void *bytes,
                           size_t size) {
  const weft_array *array = nullptr;
  std::uint64_t offset = 0;
  WEFT_TRY(weft::find_array(mesh->state, x, y, name, &array, &offset));
  WEFT_TRY(weft::right_size(*array, size, weft::bytes_of(*array), "bytes"));
  std::memcpy(bytes, mesh->state.sram.data() + offset, size);
  return nullptr;
}

weft_status weft_mesh_write_f32(weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name, const float *values,
                                size_t count) {
  const weft_array *array = nullptr;
  std::uint64_t offset = 0;
  WEFT_TRY(weft::find_array(mesh->state, x, y, name, &array, &offset));
  WEFT_TRY(weft::right_size(*array, count, array->length, "elements"));
  std::uint8_t *to = mesh->state.sram.data() + offset;
  if (array->dtype != WEFT_I32) {
    weft_dtype_from_f32(array->dtype, values, to, count);
    return nullptr;
  }
  for (std::size_t i = 0; i < count; ++i) {
    auto whole = static_cast<std::int32_t>(values[i]);
    std::memcpy(to + 4 * i, &whole, sizeof whole);
  }
  return nullptr;
}

weft_status weft_mesh_read_f32(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name, float *values,
                               size_t count) {
  const weft_array *array = nullptr;
  std::uint64_t offset = 0;
  WEFT_TRY(weft::find_array(mesh->state, x, y, name, &array, &offset));
  WEFT_TRY(weft::right_size(*array, count, array->length, "elements"));
  const std::uint8_t *from = mesh->state.sram.data() + offset;
  if (array->dtype != WEFT_I32) {
    weft_dtype_to_f32(array->dtype, from, values, count);
    return nullptr;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t whole;
    std::memcpy(&whole, from + 4 * i, sizeof whole);
    values[i] = static_cast<float>(whole);
  }
  return nullptr;
}

weft_status weft_mesh_register(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, const char *name,
                               uint32_t *out_bits) {
  const mesh_state &m = mesh->state;
  if (x >= m.columns || y >= m.rows || m.cores[y * m.columns + x].program == WEFT_NOTHING)
    return weft_error(WEFT_INVALID, "core (%u, %u) of %u x %u runs no program", x, y, m.columns, m.rows);
  const weft::core &c = m.cores[y * m.columns + x];
  const weft_program &p = m.kernel->programs[c.program];
  std::vector<const char *> names;
  for (std::uint32_t r = 0; r < p.register_count; ++r) {
    names.push_back(p.registers[r].name);
    if (std::strcmp(p.registers[r].name, name) != 0) continue;
    *out_bits = m.registers[c.registers + r];
    return nullptr;
  }
  const char *nearest = weft_nearest(name, names.data(), names.size());
  return weft_error(WEFT_INVALID, "program %s has no register \"%s\"; the nearest is \"%s\"", p.name, name,
                    nearest ? nearest : "");
}

static weft_status find_channel(weft_mesh_sim *mesh, uint32_t channel, bool into, uint64_t count,
                                weft::channel_state **out_state) {
  mesh_state &m = mesh->state;
  if (channel >= m.channels.size()) return weft_error(WEFT_INVALID, "channel %u of %zu", channel, m.channels.size());
  const weft_channel &c = *m.channels[channel].channel;
  if (c.into_mesh != into)
    return weft_error(WEFT_INVALID, "channel %s leads %s the mesh", c.name, c.into_mesh ? "into" : "out of");
  if (count != c.words)
    return weft_error(WEFT_INVALID, "channel %s carries %llu words, not %llu", c.name,
                      static_cast<unsigned long long>(c.words), static_cast<unsigned long long>(count));
  *out_state = &m.channels[channel];
  (*out_state)->count = count;
  return nullptr;
}

weft_status weft_mesh_feed(weft_mesh_sim *mesh, uint32_t channel, const uint32_t *words, uint64_t count) {
  weft::channel_state *state = nullptr;
  WEFT_TRY(find_channel(mesh, channel, true, count, &state));
  state->words = words;
  return nullptr;
}

weft_status weft_mesh_drain(weft_mesh_sim *mesh, uint32_t channel, uint32_t *words, uint64_t count) {
  weft::channel_state *state = nullptr;
  WEFT_TRY(find_channel(mesh, channel, false, count, &state));
  state->room = words;
  return nullptr;
}

uint64_t weft_mesh_link(const weft_mesh_sim *mesh, uint32_t x, uint32_t y, weft_port port) {
  const mesh_state &m = mesh->state;
  if (m.link_counts.empty() || x >= m.columns || y >= m.rows || port >= WEFT_PORTS) return 0;
  return m.link_counts[(y * m.columns + x) * 5ull + port];
}

weft_core_account weft_mesh_core(const weft_mesh_sim *mesh, uint32_t x, uint32_t y) {
  const mesh_state &m = mesh->state;
  weft_core_account out = {};
  if (m.accounts.empty() || x >= m.columns || y >= m.rows) return out;
  const weft::account &a = m.accounts[y * m.columns + x];
  out.busy_cycles = a.busy;
  for (int s = 0; s < WEFT_STALLS; ++s) out.stall_cycles[s] = a.stalls[s];
  out.end_cycle = a.end;
  return out;
}

}  // extern "C"
