// Driving a mesh: one SystemC process counts the cycles; a second thread may look after half of the rows.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <systemc>
#include <thread>

#include "base/text.h"
#include "base/log.h"
#include "sim/kernel_context.h"
#include "sim/mesh_handle.h"
#include "sim/mesh_state.h"

namespace weft {

// ---- one band, one cycle ----

static void feed_channels(mesh_state &m, band &b, cycle t) {
  for (channel_state &c : m.channels) {
    std::uint32_t router = c.channel->y * m.columns + c.channel->x;
    if (!c.channel->into_mesh || c.done == c.count || router < b.first || router >= b.end) continue;
    if (c.free_at > t || !may_enter(m, c.lane, c.channel->port, t)) continue;
    enter(m, b, router, m.slot_of[c.channel->colour], c.words[c.done++], t + m.hop, false);
    c.free_at = std::max(c.free_at, static_cast<double>(t)) + c.channel->cycles_per_word;
    b.sum.last = std::max(b.sum.last, t);
  }
}

static cycle next_event(const mesh_state &m, const band &b) {
  cycle next = b.later.empty() ? never : b.later.top().when;
  if (b.pending > 0)
    for (cycle t = b.now + 1; t < b.now + wheel_size; ++t)
      if (!b.wheel[t % wheel_size].empty()) {
        next = std::min(next, t);
        break;
      }
  for (const channel_state &c : m.channels) {
    std::uint32_t router = c.channel->y * m.columns + c.channel->x;
    if (!c.channel->into_mesh || c.done == c.count || router < b.first || router >= b.end) continue;
    next = std::min(next, std::max(b.now + 1, static_cast<cycle>(std::ceil(c.free_at))));
  }
  return next;
}

static void step_band(mesh_state &m, band &b, cycle t) {
  b.now = t;
  for (std::uint32_t router : b.wake_next) activate_router(m, b, router);
  b.wake_next.clear();
  while (!b.later.empty() && b.later.top().when <= t) {
    event e = b.later.top().e;
    b.later.pop();
    handle(m, b, e, t);
  }
  std::vector<event> &due = b.wheel[t % wheel_size];
  for (std::size_t i = 0; i < due.size(); ++i) {
    --b.pending;
    handle(m, b, due[i], t);
  }
  due.clear();
  feed_channels(m, b, t);
  move_words(m, b, t);
}

// What others sent into this band in the cycle that has ended.
static void take_crossings(mesh_state &m, band &b) {
  for (band &other : m.bands) {
    if (&other == &b) continue;
    for (const crossing &c : other.out) enter(m, b, c.router, c.slot, c.bits, c.ready, c.control);
    other.out.clear();
  }
}

static void publish(mesh_state &m, band &b) {
  bool soon = b.any_active || !b.wake_next.empty();
  b.next = soon ? b.now + 1 : next_event(m, b);
}

// ---- all bands ----

class barrier {
 public:
  explicit barrier(unsigned members) : count(members) {}
  void meet() {
    unsigned turn = round.load(std::memory_order_acquire);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
      arrived.store(0, std::memory_order_relaxed);
      round.store(turn + 1, std::memory_order_release);
      return;
    }
    for (unsigned spins = 0; round.load(std::memory_order_acquire) == turn; ++spins)
      if (spins > 20000) std::this_thread::yield();
  }

 private:
  unsigned count;
  std::atomic<unsigned> arrived{0}, round{0};
};

class crew {
 public:
  explicit crew(mesh_state &state) : m(state), meeting(static_cast<unsigned>(state.bands.size())) {
    for (std::size_t b = 1; b < m.bands.size(); ++b) helpers.emplace_back([this, b] { help(m.bands[b]); });
  }
  ~crew() {
    over = true;
    if (!helpers.empty()) meeting.meet();
    for (std::thread &t : helpers) t.join();
  }
  crew(const crew &) = delete;
  crew &operator=(const crew &) = delete;

  void step(cycle t) {
    now = t;
    if (!helpers.empty()) meeting.meet();
    work(m.bands[0]);
  }

 private:
  void work(band &b) {
    step_band(m, b, now);
    if (!helpers.empty()) {
      meeting.meet();
      take_crossings(m, b);
    }
    publish(m, b);
    if (!helpers.empty()) meeting.meet();
  }
  void help(band &b) {
    for (;;) {
      meeting.meet();
      if (over) return;
      work(b);
    }
  }

  mesh_state &m;
  barrier meeting;
  std::vector<std::thread> helpers;
  cycle now = 0;
  bool over = false;
};

// Cycles without any movement after which bands that only ask each other have nothing left to do.
static constexpr cycle patience = 256;

class clockwork : public sc_core::sc_module {
 public:
  SC_HAS_PROCESS(clockwork);
  clockwork(sc_core::sc_module_name name, mesh_state &state, sc_core::sc_time one_cycle)
      : sc_core::sc_module(name), m(state), team(state), period(one_cycle) {
    SC_METHOD(tick);
    weft_progress_start(&progress, "simulating", "cycles", 0);
  }
  ~clockwork() override { weft_progress_finish(&progress); }
  cycle now() const { return t; }
  bool out_of_time() const { return exceeded; }

 private:
  void tick() {
    team.step(t);
    if (++ticks % 1024 == 0) weft_progress_update(&progress, t, nullptr);
    cycle next = never;
    std::uint64_t moved = 0, pending = 0;
    for (const band &b : m.bands) {
      if (!b.failure.empty()) return;
      next = std::min(next, b.next);
      moved += b.sum.link_hops + b.sum.ramp_hops + b.sum.instructions;
      pending += b.pending + b.later.size();
    }
    if (moved != moved_before) last_movement = t;
    moved_before = moved;
    if (next == never || (pending == 0 && t - last_movement > patience)) return;
    if (m.options.most_cycles && next > m.options.most_cycles) {
      exceeded = true;
      return;
    }
    next_trigger(period * (next - t));
    t = next;
  }

  mesh_state &m;
  crew team;
  sc_core::sc_time period;
  weft_progress progress;
  cycle t = 0, last_movement = 0;
  std::uint64_t moved_before = 0, ticks = 0;
  bool exceeded = false;
};

// ---- the end ----

static std::uint64_t memory_of(const mesh_state &m) {
  auto bytes = [](const auto &v) { return v.capacity() * sizeof v[0]; };
  std::uint64_t sum = bytes(m.lanes) + bytes(m.sinks) + bytes(m.occupied) + bytes(m.link_counts) + bytes(m.cores) +
                      bytes(m.operations) + bytes(m.registers) + bytes(m.sram) + bytes(m.accounts) + bytes(m.link_free);
  for (const band &b : m.bands) {
    sum += bytes(b.active) + bytes(b.wheel) + bytes(b.out) + bytes(b.wake_next);
    for (const auto &bucket : b.wheel) sum += bytes(bucket);
  }
  return sum;
}

static void add_up(const mesh_state &m, weft_mesh_report *r) {
  *r = weft_mesh_report{};
  cycle last = 0;
  for (const band &b : m.bands) {
    r->link_hops += b.sum.link_hops;
    r->ramp_hops += b.sum.ramp_hops;
    r->control_hops += b.sum.control_hops;
    r->instructions += b.sum.instructions;
    r->elements += b.sum.elements;
    r->flops += b.sum.flops;
    last = std::max(last, b.sum.last);
  }
  r->cycles = last;
  for (const account &a : m.accounts) {
    r->core_busy_cycles += a.busy;
    for (int s = 0; s < WEFT_STALLS; ++s) r->stall_cycles[s] += a.stalls[s];
  }
  std::uint64_t parts[] = {r->cycles,
                           r->link_hops,
                           r->ramp_hops,
                           r->control_hops,
                           r->instructions,
                           r->elements,
                           weft_hash_bytes(m.sram.data(), m.sram.size())};
  r->hash = weft_hash_bytes(parts, sizeof parts);
  r->memory_bytes = memory_of(m);
}

// Idle time until the end of the kernel, for cores that ended before.
static void settle_idle(mesh_state &m, std::uint64_t cycles) {
  for (std::uint32_t where = 0; where < m.accounts.size(); ++where) {
    const core &c = m.cores[where];
    if (c.program == WEFT_NOTHING || c.state != doing::nothing || cycles <= c.idle_from) continue;
    m.accounts[where].stalls[WEFT_STALL_IDLE] += cycles - c.idle_from;
  }
}

static weft_status channels_given(const mesh_state &m) {
  for (const channel_state &c : m.channels)
    if (c.count != c.channel->words) return weft_error(WEFT_INVALID, "channel %s has no buffer", c.channel->name);
  return nullptr;
}

static weft_status play(mesh_state &m, weft_mesh_report *out_report) {
  if (m.ran) return weft_error(WEFT_INVALID, "this mesh has run already");
  WEFT_TRY(channels_given(m));
  m.ran = true;
  double start = weft_clock_s();
  double clock_hz = m.description.clock_hz > 0 ? m.description.clock_hz : 1e9;
  bool exceeded;
  cycle now;
  {
    kernel_context context;
    sc_core::sc_time period(std::max(1.0, std::round(1e12 / clock_hz)), sc_core::SC_PS);
    for (band &b : m.bands) start_cores(m, b);
    clockwork clock("mesh", m, period);
    sc_core::sc_start();
    exceeded = clock.out_of_time();
    now = clock.now();
  }
  for (const band &b : m.bands)
    if (!b.failure.empty()) return weft_error(WEFT_FAILED, "cycle %u: %s", b.now, b.failure.c_str());
  if (exceeded)
    return weft_error(WEFT_FAILED, "the kernel has not ended after %llu cycles",
                      static_cast<unsigned long long>(m.options.most_cycles));
  WEFT_TRY(explain_deadlock(m, now));
  std::uint64_t last = 0;
  for (const band &b : m.bands) last = std::max<std::uint64_t>(last, b.sum.last);
  settle_idle(m, last);
  add_up(m, out_report);
  out_report->wall_seconds = weft_clock_s() - start;
  return nullptr;
}

}  // namespace weft

extern "C" weft_status weft_mesh_run(weft_mesh_sim *mesh, weft_mesh_report *out_report) {
  try {
    return weft::play(mesh->state, out_report);
  } catch (const std::exception &error) {
    return weft_error(WEFT_FAILED, "the simulator failed: %s", error.what());
  }
}
