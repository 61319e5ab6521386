// Cores: tasks, instructions, and operations that take and give wavelets.
//
// A core runs ahead: it carries out instructions at its own clock until one of them has to wait for the fabric. That is
// sound because nobody but the core itself touches its memory and registers; operations of microthreads that write what
// later instructions read are joined by tasks or WAIT.
#include <algorithm>
#include <cmath>

#include "sim/mesh_state.h"

namespace weft {

static constexpr cycle run_ahead_limit = 1u << 20;  // so that a loop without end meets most_cycles
static constexpr std::uint8_t sync_operation = 0;

static const weft_program &program_of(const mesh_state &m, const core &c) { return m.kernel->programs[c.program]; }

static cycle whole(double cycles) { return static_cast<cycle>(std::ceil(cycles)); }
static cycle ceil_256(std::uint64_t t) { return static_cast<cycle>((t + 255) / 256); }

static void fail(mesh_state &m, row &b, std::uint32_t where, const weft_instruction *i, const std::string &why) {
  if (!b.failure.empty()) return;
  b.failed_at = b.now;
  const core &c = m.cores[where];
  std::string text = "core (" + std::to_string(where % m.columns) + ", " + std::to_string(where / m.columns) + ")";
  if (c.program != WEFT_NOTHING) {
    const weft_program &p = program_of(m, c);
    text += std::string(", program ") + p.name;
    if (c.task < p.task_count) text += std::string(", task ") + p.tasks[c.task].name;
    if (i && i->line) text += ", line " + std::to_string(i->line);
    if (i) text += std::string(", ") + weft_instruction_name(i->kind);
  }
  b.failure = text + ": " + why;
}

static void note(row &b, cycle t) {
  if (t > b.sum.last) b.sum.last = t;
}

// ---- operations ----

static const weft_operand *receives(const weft_instruction &i, int index) {
  const weft_operand *o = index == 0 ? &i.a : index == 1 ? &i.b : &i.c;
  return o->kind == WEFT_RECEIVE ? o : nullptr;
}

// A router that sleeps until there is room in the sink wakes when the word has been taken.
static void room_in_sink(mesh_state &m, row &b, std::uint32_t where, ring &sink, cycle when) {
  sink.upstream_waits = false;
  if (when <= b.now)
    b.wake_next.push_back(where);
  else
    schedule(m, b, when, {where, what::wake_router, 0});
}

// Takes the word at the head of a sink at cycle `when`.
static std::uint32_t take(mesh_state &m, row &b, std::uint32_t where, ring &sink, cycle when) {
  word &w = m.at(sink, sink.head);
  std::uint32_t bits = w.bits;
  w.time = when;
  ++sink.head;
  if (sink.upstream_waits) room_in_sink(m, b, where, sink, when);
  return bits;
}

void operation_done(mesh_state &m, row &b, std::uint32_t where, std::uint8_t number, operation &o) {
  for (int k = 0; k < 3; ++k)
    if (const weft_operand *r = receives(*o.instruction, k))
      m.sink(m.index(where, m.slot_of[r->index])).reader = nobody;
  cycle end = ceil_256(o.free_at);
  if (end <= b.now) end = b.now + 1;
  schedule(m, b, end, {where, what::operation_ends, number});
}

std::uint32_t quick_result(const operation &o, std::uint32_t wavelet, std::uint32_t other) {
  if (o.how == operation::quick::move) return o.from ? other : wavelet;
  float a, b;
  __builtin_memcpy(&a, o.sink_is_b || !o.has_sink ? &other : &wavelet, sizeof a);
  __builtin_memcpy(&b, o.sink_is_b || !o.has_sink ? &wavelet : &other, sizeof b);
  float result = o.how == operation::quick::add ? a + b : o.how == operation::quick::subtract ? a - b : a * b;
  std::uint32_t bits;
  __builtin_memcpy(&bits, &result, sizeof bits);
  return bits;
}

// The same as advance, for what prepare_quick has found to be common.
static void advance_quick(mesh_state &m, row &b, std::uint32_t where, std::uint8_t number, operation &o, ring *sink) {
  ring *lane = o.lane;
  while (o.element < o.count) {
    std::uint64_t when = o.free_at;
    word *w = nullptr;
    if (sink) {
      if (sink->head == sink->tail) return;
      w = &m.at(*sink, sink->head);
      std::uint64_t ready = w->time * 256ull;
      if (ready > when) when = ready;
    }
    cycle at = ceil_256(when);
    o.waited_receive += when - o.free_at;
    o.free_at = when;
    if (lane && !may_enter(m, *lane, WEFT_RAMP, at)) {
      wait_for_lane(m, b, where, o.out_slot, *lane);
      return;
    }
    std::uint32_t wavelet = w ? w->bits : 0, other = o.from ? *o.from : 0;
    if (w) {
      w->time = at;
      ++sink->head;
      if (sink->upstream_waits) room_in_sink(m, b, where, *sink, at);
    }
    std::uint32_t result = quick_result(o, wavelet, other);
    if (lane)
      enter(m, b, where, o.out_slot, *lane, result, at + (sink ? m.latency : 0) + m.ramp, false);
    else
      *o.to = result;
    next_elements(o, 1);
    o.free_at = when + o.step;
    if (o.element == o.count && o.instruction->to.advance)
      advance_switch(m, b, where, o.out_slot, *lane, at + (sink ? m.latency : 0) + m.ramp);
  }
  operation_done(m, b, where, number, o);
}

// As many elements as there are words and room for.
static void advance(mesh_state &m, row &b, std::uint32_t where, std::uint8_t number) {
  core &c = m.cores[where];
  operation &o = m.operations[c.first_operation + number];
  if (o.how != operation::quick::none) {
    advance_quick(m, b, where, number, o, o.sink);
    return;
  }
  const weft_instruction &i = *o.instruction;
  const cost &k = m.programs[c.program].costs[static_cast<std::size_t>(&i - program_of(m, c).code)];
  ring *sinks[3] = {nullptr, nullptr, nullptr};
  bool any_receive = false;
  for (int s = 0; s < 3; ++s)
    if (const weft_operand *r = receives(i, s)) {
      sinks[s] = &m.sink(m.index(where, m.slot_of[r->index]));
      any_receive = true;
    }
  bool sends = i.to.kind == WEFT_SEND;
  std::uint32_t out_slot = sends ? m.slot_of[i.to.index] : 0;
  std::uint64_t out = sends ? m.index(where, out_slot) : 0;
  while (o.element < o.count) {
    std::uint64_t when = o.free_at;
    int last = -1;
    for (int s = 0; s < 3; ++s) {
      if (!sinks[s]) continue;
      if (sinks[s]->head == sinks[s]->tail) return;
      std::uint64_t ready = m.at(*sinks[s], sinks[s]->head).time * 256ull;
      if (ready <= when) continue;
      when = ready;
      last = s;
    }
    cycle at = ceil_256(when);
    if (last >= 0) {
      if (watched(m, where)) tell_stall(m, where, number, WEFT_STALL_RECEIVE, receives(i, last)->index, at);
      o.waited_receive += when - o.free_at;
      o.free_at = when;
    }
    if (sends && !may_enter(m, m.lane(out), WEFT_RAMP, at)) {
      wait_for_lane(m, b, where, out_slot, m.lane(out));
      return;
    }
    std::uint32_t received[3] = {0, 0, 0}, sent = 0, width = k.width;
    for (int s = 0; s < 3; ++s)
      if (sinks[s]) received[s] = take(m, b, where, *sinks[s], at);
    if (width > o.count - o.element) width = o.count - o.element;
    if (!compute(m, c, i, o.element, width, received, &sent, b.failure)) {
      std::string why;
      why.swap(b.failure);
      fail(m, b, where, &i, why);
      return;
    }
    cycle ready = at + (any_receive ? m.latency : 0) + m.ramp;
    if (sends) enter(m, b, where, out_slot, m.lane(out), sent, ready, false);
    o.element += width;
    if (o.element == o.count && i.to.advance) advance_switch(m, b, where, out_slot, m.lane(out), ready);
    o.free_at = when + o.step;
  }
  operation_done(m, b, where, number, o);
}

static void start_operation(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &i, std::uint8_t number,
                            std::uint32_t count, cycle start) {
  core &c = m.cores[where];
  const cost &k = m.programs[c.program].costs[static_cast<std::size_t>(&i - program_of(m, c).code)];
  operation &o = m.operations[c.first_operation + number];
  const prepared &q = m.programs[c.program].ready[static_cast<std::size_t>(&i - program_of(m, c).code)];
  double per_element = k.per_element * factor_of(m, c, i, q);
  double per_word = per_element * k.width;
  o = operation{};
  o.instruction = &i;
  o.count = count;
  o.free_at = static_cast<std::uint64_t>((start + k.startup) * 256 + 0.5);
  o.step = static_cast<std::uint32_t>(per_word * 256 + 0.5);
  o.began = start;
  if (o.step < 256) o.step = 256;
  c.threads = static_cast<std::uint16_t>(c.threads | 1u << number);
  ++b.sum.instructions;
  b.sum.elements += count;
  b.sum.flops += q.flops * count;
  for (int s = 0; s < 3; ++s) {
    const weft_operand *r = receives(i, s);
    if (!r) continue;
    ring &sink = m.sink(m.index(where, m.slot_of[r->index]));
    if (sink.reader != nobody) {
      fail(m, b, where, &i, "two operations receive colour " + std::to_string(r->index) + " at the same time");
      return;
    }
    sink.reader = number;
    sink.route = c.first_operation + number;
  }
  if (k.width == 1 && !watched(m, where)) prepare_quick(m, c, o);
  if (begin_train(m, b, where, number, o)) return;
  if (i.to.kind == WEFT_SEND) make_way(m, b, where, m.slot_of[i.to.index]);
  advance(m, b, where, number);
}

// ---- tasks ----

static void dispatch(mesh_state &m, row &b, std::uint32_t where, cycle t);

static void dispatch_later(mesh_state &m, row &b, std::uint32_t where, cycle when) {
  core &c = m.cores[where];
  if (c.state == doing::dispatching && c.dispatch_at <= when) return;
  c.state = doing::dispatching;
  c.dispatch_at = when;
  schedule(m, b, when > b.now ? when : b.now + 1, {where, what::resume, 0});
}

// An idle core looks again at cycle `when`.
static void wake_core(mesh_state &m, row &b, std::uint32_t where, cycle when) {
  core &c = m.cores[where];
  if (c.state == doing::nothing || c.state == doing::dispatching)
    dispatch_later(m, b, where, when < c.clock ? c.clock : when);
}

static void begin_task(mesh_state &m, std::uint32_t where, std::uint32_t task, cycle t, bool first) {
  core &c = m.cores[where];
  const weft_task &it = program_of(m, c).tasks[task];
  if (m.options.count_links && t > c.since) m.accounts[where].stalls[WEFT_STALL_IDLE] += t - c.since;
  c.task = task;
  c.pc = it.first;
  c.end = it.first + it.count;
  c.clock = t + (first ? m.times.start : m.times.task);
  c.since = t;
  if (m.options.count_links) m.accounts[where].busy += c.clock - t;
  c.state = doing::running;
}

static void end_task(mesh_state &m, row &b, std::uint32_t where) {
  core &c = m.cores[where];
  note(b, c.clock);
  if (watched(m, where)) tell_task(m, where, c.clock);
  if (m.options.count_links) m.accounts[where].end = c.clock;
  c.since = c.clock;
}

// Until cycle t the core could not go on.
static void stall(mesh_state &m, std::uint32_t where, weft_stall why, std::uint32_t colour, cycle t) {
  core &c = m.cores[where];
  if (t <= c.clock) return;
  if (watched(m, where)) tell_stall(m, where, nobody, why, colour, t);
  if (m.options.count_links) m.accounts[where].stalls[why] += t - c.clock;
  c.clock = t;
}

enum class outcome { goes_on, waits };

// Elements; a register that is negative means none.
static std::uint32_t count_of(const mesh_state &m, const core &c, const weft_instruction &i) {
  std::uint32_t count = i.count_register == WEFT_NOTHING ? i.count : m.registers[c.registers + i.count_register];
  return static_cast<std::int32_t>(count) < 0 ? 0 : count;
}

static bool calculate(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &i, const prepared &q,
                      std::uint32_t count) {
  const core &c = m.cores[where];
  if (carry_out(m, c, i, q, count)) return true;
  std::uint32_t unused[3] = {0, 0, 0}, sent = 0;
  std::string why;
  if (compute(m, c, i, 0, count, unused, &sent, why)) return true;
  fail(m, b, where, &i, why);
  return false;
}

static outcome run_vector(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &i) {
  core &c = m.cores[where];
  const program_facts &facts = m.programs[c.program];
  const cost &k = facts.costs[c.pc];
  const prepared &q = facts.ready[c.pc];
  std::uint32_t count = count_of(m, c, i);
  bool thread = i.microthread != WEFT_NOTHING;
  std::uint8_t number = thread ? static_cast<std::uint8_t>(1 + i.microthread) : sync_operation;
  if (c.threads & 1u << number) {  // its microthread is still at the one before
    c.state = doing::waiting;
    c.wanted = number;
    return outcome::waits;
  }
  if (k.fabric || thread) {
    if (thread) {
      c.clock += m.times.microthread;
      if (m.options.count_links) m.accounts[where].busy += m.times.microthread;
    }
    ++c.pc;
    if (!thread) c.state = doing::operating;
    cycle start = c.clock;
    if (k.fabric) {
      start_operation(m, b, where, i, number, count, start);
    } else {
      double cycles = k.startup + k.per_element * count * factor_of(m, c, i, q);
      if (!calculate(m, b, where, i, q, count)) return outcome::waits;
      operation &o = m.operations[c.first_operation + number];
      o = operation{};
      o.instruction = &i;
      o.element = o.count = count;
      o.free_at = static_cast<std::uint64_t>((start + cycles) * 256);
      o.began = start;
      c.threads = static_cast<std::uint16_t>(c.threads | 1u << number);
      ++b.sum.instructions;
      b.sum.elements += count;
      b.sum.flops += q.flops * count;
      operation_done(m, b, where, number, o);
    }
    return thread ? outcome::goes_on : outcome::waits;
  }
  if (!calculate(m, b, where, i, q, count)) return outcome::waits;
  cycle begin = c.clock;
  c.clock += q.timed ? q.time : whole(k.startup + k.per_element * count * (k.scalar ? 1 : factor_of(m, c, i, q)));
  if (m.options.count_links) m.accounts[where].busy += c.clock - begin;
  if (watched(m, where)) tell_instruction(m, where, i, begin, c.clock, false);
  ++b.sum.instructions;
  b.sum.elements += count;
  b.sum.flops += q.flops * count;
  ++c.pc;
  return outcome::goes_on;
}

// The turns of a map one by one; false: the run has failed.
static bool turn_by_turn(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &loop,
                         const weft_instruction &body, const cost &k, const prepared &q, std::int32_t end,
                         double &cycles) {
  core &c = m.cores[where];
  std::uint32_t *counter = &m.registers[c.registers + loop.to.index];
  std::int32_t at = static_cast<std::int32_t>(*counter), step = static_cast<std::int32_t>(loop.c.bits);
  for (; step > 0 ? at < end : at > end; at += step) {
    *counter = static_cast<std::uint32_t>(at);
    std::uint32_t count = count_of(m, c, body);
    if (!calculate(m, b, where, body, q, count)) return false;
    cycles += m.description.times.map_cycles + k.per_element * count * factor_of(m, c, body, q);
    ++b.sum.instructions;
    b.sum.elements += count;
    b.sum.flops += q.flops * count;
  }
  *counter = static_cast<std::uint32_t>(at);
  return true;
}

// All turns at once, where nothing speaks against it.
static bool all_turns(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &loop,
                      const weft_instruction &body, const cost &k, const prepared &q, std::int32_t end,
                      double &cycles) {
  core &c = m.cores[where];
  std::uint32_t *counter = &m.registers[c.registers + loop.to.index];
  std::int64_t at = static_cast<std::int32_t>(*counter), step = static_cast<std::int32_t>(loop.c.bits);
  std::int64_t way = end - at;
  std::int64_t turns = step > 0 ? (way + step - 1) / step : (way + step + 1) / step;
  std::uint32_t count = count_of(m, c, body);
  if (turns <= 0 || turns > INT32_MAX || at + turns * step > INT32_MAX || at + turns * step < INT32_MIN) return false;
  auto whole_turns = static_cast<std::uint32_t>(turns);
  if (!carry_out_map(m, c, loop, body, k, q, whole_turns, count, cycles)) return false;
  *counter = static_cast<std::uint32_t>(static_cast<std::int32_t>(at + turns * step));
  b.sum.instructions += whole_turns;
  b.sum.elements += static_cast<std::uint64_t>(whole_turns) * count;
  b.sum.flops += q.flops * whole_turns * count;
  return true;
}

// A map loop as a whole: its operation once per turn, without start-up.
static bool run_map(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &loop) {
  core &c = m.cores[where];
  const weft_instruction &body = program_of(m, c).code[c.pc + 1];
  const cost &k = m.programs[c.program].costs[c.pc + 1];
  const prepared &q = m.programs[c.program].ready[c.pc + 1];
  double cycles = m.description.times.map_startup_cycles;
  std::uint32_t first = register_value(m, c, loop.a);
  auto end = static_cast<std::int32_t>(register_value(m, c, loop.b));
  m.registers[c.registers + loop.to.index] = first;
  bool once = q.maps && all_turns(m, b, where, loop, body, k, q, end, cycles);
  if (!once && !turn_by_turn(m, b, where, loop, body, k, q, end, cycles)) return false;
  cycle begin = c.clock;
  c.clock += whole(cycles);
  if (m.options.count_links) m.accounts[where].busy += c.clock - begin;
  if (watched(m, where)) tell_instruction(m, where, body, begin, c.clock, false);
  c.pc = loop.target + 1;
  return true;
}

static bool holds(weft_relation compare, std::int64_t difference, bool unordered) {
  if (unordered) return compare == WEFT_UNEQUAL;
  switch (compare) {
    case WEFT_EQUAL: return difference == 0;
    case WEFT_UNEQUAL: return difference != 0;
    case WEFT_LESS: return difference < 0;
    case WEFT_AT_MOST: return difference <= 0;
    case WEFT_MORE: return difference > 0;
    case WEFT_AT_LEAST: return difference >= 0;
  }
  return false;
}

static bool compare(const mesh_state &m, const core &c, const weft_instruction &i) {
  std::uint32_t a = register_value(m, c, i.a), b = register_value(m, c, i.b);
  if (i.a.dtype != WEFT_F32 && i.b.dtype != WEFT_F32)
    return holds(i.compare, static_cast<std::int64_t>(static_cast<std::int32_t>(a)) - static_cast<std::int32_t>(b),
                 false);
  auto real = [](const weft_operand &o, std::uint32_t bits) {
    float f;
    __builtin_memcpy(&f, &bits, sizeof f);
    return o.dtype == WEFT_F32 ? f : static_cast<float>(static_cast<std::int32_t>(bits));
  };
  float x = real(i.a, a), y = real(i.b, b);
  return holds(i.compare, x < y ? -1 : x > y ? 1 : 0, std::isnan(x) || std::isnan(y));
}

// False: a control wavelet finds no room yet.
static bool send_control(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &i) {
  core &c = m.cores[where];
  std::uint32_t slot = m.slot_of[i.to.index];
  std::uint64_t lane = m.index(where, slot);
  make_way(m, b, where, slot);
  if (!may_enter(m, m.lane(lane), WEFT_RAMP, c.clock)) {
    wait_for_lane(m, b, where, slot, m.lane(lane));
    return false;
  }
  std::uint32_t skip = register_value(m, c, i.a), moves = register_value(m, c, i.b);
  if (skip > 0xffff) skip = 0xffff;
  if (moves > 0xffff) moves = 0xffff;
  enter(m, b, where, slot, m.lane(lane), skip | moves << 16, c.clock + m.ramp, true);
  c.clock += 1;
  return true;
}

static void set_task(core &c, const weft_instruction &i) {
  std::uint32_t bit = 1u << i.task;
  if (i.kind == WEFT_DO_ACTIVATE) c.activated |= bit;
  if (i.kind == WEFT_DO_BLOCK) c.blocked |= bit;
  if (i.kind == WEFT_DO_UNBLOCK) c.blocked &= ~bit;
}

// LOOP and END; false: the run has failed.
static bool run_loop(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &i) {
  core &c = m.cores[where];
  if (i.kind == WEFT_DO_LOOP && i.form == WEFT_MAP_LOOP) return run_map(m, b, where, i);
  if (i.kind == WEFT_DO_END && i.target == WEFT_NOTHING) {  // of an IF
    ++c.pc;
    return true;
  }
  const weft_instruction &loop = i.kind == WEFT_DO_LOOP ? i : program_of(m, c).code[i.target];
  if (loop.kind == WEFT_DO_WHILE) {
    c.clock += std::max<cycle>(1, m.times.loop);  // a loop without end must meet most_cycles
    c.pc = compare(m, c, loop) ? i.target + 1 : c.pc + 1;
    return true;
  }
  std::uint32_t *counter = &m.registers[c.registers + loop.to.index];
  std::int32_t step = static_cast<std::int32_t>(loop.c.bits);
  if (i.kind == WEFT_DO_LOOP)
    *counter = register_value(m, c, loop.a);
  else
    *counter += static_cast<std::uint32_t>(step);
  c.clock += i.kind == WEFT_DO_LOOP ? m.times.scalar : m.times.loop;
  std::int32_t at = static_cast<std::int32_t>(*counter), end = static_cast<std::int32_t>(register_value(m, c, loop.b));
  bool again = step > 0 ? at < end : at > end;
  std::uint32_t begin = static_cast<std::uint32_t>(&loop - program_of(m, c).code);
  c.pc = again ? begin + 1 : loop.target + 1;
  return true;
}

static outcome run_control(mesh_state &m, row &b, std::uint32_t where, const weft_instruction &i) {
  core &c = m.cores[where];
  cycle begin = c.clock;
  switch (i.kind) {
    case WEFT_DO_LOOP:
    case WEFT_DO_END:
      if (!run_loop(m, b, where, i)) return outcome::waits;
      break;
    case WEFT_DO_IF:
      c.clock += m.times.branch;
      c.pc = compare(m, c, i) ? c.pc + 1 : i.target + 1;
      break;
    case WEFT_DO_ELSE: c.pc = i.target + 1; break;
    case WEFT_DO_WHILE:
      c.clock += m.times.branch;
      c.pc = compare(m, c, i) ? c.pc + 1 : i.target + 1;
      break;
    case WEFT_DO_BREAK:
      c.clock += m.times.scalar;
      c.pc = program_of(m, c).code[i.target].target + 1;
      break;
    case WEFT_DO_WAIT:
      if (c.threads & 1u << (1 + i.microthread)) {
        c.state = doing::waiting;
        c.wanted = static_cast<std::uint8_t>(1 + i.microthread);
        return outcome::waits;
      }
      ++c.pc;
      break;
    case WEFT_DO_SWITCH:
      if (!send_control(m, b, where, i)) {
        c.state = doing::operating;
        return outcome::waits;
      }
      ++c.pc;
      break;
    case WEFT_DO_CLOCK:
      m.registers[c.registers + i.to.index] = c.clock;
      c.clock += m.times.scalar;
      ++c.pc;
      break;
    case WEFT_DO_STOP:
      c.state = doing::stopped;
      end_task(m, b, where);
      return outcome::waits;
    default:
      set_task(c, i);
      c.clock += m.times.scalar;
      ++c.pc;
      break;
  }
  if (m.options.count_links && !(i.kind == WEFT_DO_LOOP && i.form == WEFT_MAP_LOOP))
    m.accounts[where].busy += c.clock - begin;
  ++b.sum.instructions;
  return outcome::goes_on;
}

static void run(mesh_state &m, row &b, std::uint32_t where) {
  core &c = m.cores[where];
  const weft_program &p = program_of(m, c);
  while (b.failure.empty()) {
    if (c.clock > b.now + run_ahead_limit) {
      schedule(m, b, c.clock, {where, what::resume, 0});
      return;
    }
    if (c.pc == c.end) {
      end_task(m, b, where);
      c.state = doing::nothing;
      if (c.clock <= b.now)
        dispatch(m, b, where, b.now);
      else
        dispatch_later(m, b, where, c.clock);
      return;
    }
    const weft_instruction &i = p.code[c.pc];
    outcome next = i.kind < WEFT_DO_LOOP ? run_vector(m, b, where, i) : run_control(m, b, where, i);
    if (next == outcome::waits) return;
  }
}

// The runnable task with the lowest number; wavelets that are on their way have the core look again when they are
// there.
static void dispatch(mesh_state &m, row &b, std::uint32_t where, cycle t) {
  core &c = m.cores[where];
  const weft_program &p = program_of(m, c);
  const program_facts &facts = m.programs[c.program];
  cycle soon = never;
  for (std::uint32_t left = (c.activated | facts.wavelet_tasks) & ~c.blocked; left != 0; left &= left - 1) {
    auto task = static_cast<std::uint32_t>(__builtin_ctz(left));
    std::uint32_t bit = 1u << task;
    if (c.activated & bit) {
      c.activated &= ~bit;
      begin_task(m, where, task, t, t == 0);
      run(m, b, where);
      return;
    }
    ring &sink = m.sink(m.index(where, m.slot_of[p.tasks[task].colour]));
    if (sink.head == sink.tail || sink.reader != nobody) continue;
    cycle ready = m.at(sink, sink.head).time;
    if (ready > t) {
      if (ready < soon) soon = ready;
      continue;
    }
    m.registers[c.registers + p.tasks[task].data] = take(m, b, where, sink, t);
    begin_task(m, where, task, t, false);
    run(m, b, where);
    return;
  }
  c.state = doing::nothing;
  if (soon != never) dispatch_later(m, b, where, soon);
}

// ---- what the fabric and the wheel tell ----

void word_arrived(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &sink) {
  if (sink.reader != nobody) {
    operation &o = m.operations[sink.route];
    if (o.how != operation::quick::none)
      advance_quick(m, b, router, sink.reader, o, &sink);
    else
      advance(m, b, router, sink.reader);
    return;
  }
  core &c = m.cores[router];
  if (c.program == WEFT_NOTHING || c.state == doing::stopped) return;
  if (m.programs[c.program].task_of[slot] != nobody) wake_core(m, b, router, m.at(sink, sink.tail - 1).time);
}

void control_arrived(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, cycle ready) {
  if (!m.control_starts_tasks) return;
  core &c = m.cores[router];
  if (c.program == WEFT_NOTHING || c.state == doing::stopped) return;
  std::uint8_t task = m.programs[c.program].control_of[slot];
  if (task == nobody) return;
  c.activated |= 1u << task;
  wake_core(m, b, router, ready);
}

static void end_operation(mesh_state &m, row &b, std::uint32_t where, std::uint8_t number, cycle t) {
  core &c = m.cores[where];
  operation &o = m.operations[c.first_operation + number];
  const weft_instruction &i = *o.instruction;
  o.instruction = nullptr;
  c.threads = static_cast<std::uint16_t>(c.threads & ~(1u << number));
  note(b, t);
  if (watched(m, where)) tell_instruction(m, where, i, o.began, t, number != sync_operation);
  if (number == sync_operation) {
    if (m.options.count_links) {
      account &a = m.accounts[where];
      std::uint64_t receive = o.waited_receive / 256, send = o.waited_send / 256, all = t - o.began;
      if (receive + send > all) send = all > receive ? all - receive : 0;
      a.stalls[WEFT_STALL_RECEIVE] += receive;
      a.stalls[WEFT_STALL_SEND] += send;
      a.busy += all - receive - send;
      a.end = t;
    }
    c.clock = t;
    c.state = doing::running;
    run(m, b, where);
    return;
  }
  if (i.task != WEFT_NOTHING) {
    c.activated |= 1u << i.task;
    wake_core(m, b, where, t + m.times.end);
  }
  if (c.state == doing::waiting && c.wanted == number) {
    stall(m, where, WEFT_STALL_MICROTHREAD, WEFT_NOTHING, t);
    c.state = doing::running;
    run(m, b, where);
  }
}

// Of an operation whose words went as a train, unless they have become words in the meantime.
static void end_source(mesh_state &m, row &b, std::uint32_t where, std::uint8_t number, cycle t) {
  operation &o = m.operations[m.cores[where].first_operation + number];
  if (source_done(m, b, where, o, t)) end_operation(m, b, where, number, t);
}

// The lane of a colour has room again.
static void retry(mesh_state &m, row &b, std::uint32_t where, std::uint32_t slot, cycle t) {
  core &c = m.cores[where];
  if (c.program == WEFT_NOTHING) return;
  for (std::uint32_t left = c.threads; left != 0; left &= left - 1) {
    std::uint8_t number = static_cast<std::uint8_t>(__builtin_ctz(left));
    operation &o = m.operations[c.first_operation + number];
    if (o.driven || o.element == o.count || o.instruction->to.kind != WEFT_SEND ||
        m.slot_of[o.instruction->to.index] != slot)
      continue;
    if (o.free_at < t * 256ull) {
      if (watched(m, where)) tell_stall(m, where, number, WEFT_STALL_SEND, o.instruction->to.index, t);
      o.waited_send += t * 256ull - o.free_at;
      o.free_at = t * 256ull;
    }
    if (!begin_train(m, b, where, number, o)) advance(m, b, where, number);
  }
  if (c.state != doing::operating || (c.threads & 1) || c.pc >= c.end) return;
  const weft_instruction &i = program_of(m, c).code[c.pc];
  if (i.kind != WEFT_DO_SWITCH || m.slot_of[i.to.index] != slot) return;
  stall(m, where, WEFT_STALL_SEND, i.to.index, t);
  c.state = doing::running;
  run(m, b, where);
}

void handle(mesh_state &m, row &b, const event &e, cycle t) {
  switch (e.kind) {
    case what::resume: {
      core &c = m.cores[e.where];
      if (c.state == doing::dispatching && c.dispatch_at <= t)
        dispatch(m, b, e.where, t);
      else if (c.state == doing::running)
        run(m, b, e.where);
      break;
    }
    case what::operation_ends: end_operation(m, b, e.where, e.operation, t); break;
    case what::source_ends: end_source(m, b, e.where, e.operation, t); break;
    case what::train_ends: end_train(m, b, e.where, e.operation, t); break;
    case what::retry: retry(m, b, e.where, e.operation, t); break;
    case what::wake_router: wake_router(m, b, e.where); break;
  }
}

void start_cores(mesh_state &m, row &b) {
  for (std::uint32_t where = b.first; where < b.end; ++where) {
    core &c = m.cores[where];
    if (c.program == WEFT_NOTHING) continue;
    const weft_program &p = program_of(m, c);
    for (std::uint32_t task = 0; task < p.task_count; ++task) {
      if (p.tasks[task].trigger == WEFT_AT_START) c.activated |= 1u << task;
      if (p.tasks[task].blocked) c.blocked |= 1u << task;
    }
    if (c.activated) dispatch(m, b, where, 0);
  }
}

}  // namespace weft
