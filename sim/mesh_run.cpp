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

// ---- one row, one cycle ----

static void feed_channels(mesh_state &m, row &b, cycle t) {
  for (channel_state &c : m.channels) {
    std::uint32_t router = c.channel->y * m.columns + c.channel->x;
    if (!c.channel->into_mesh || c.done == c.count || router < b.first || router >= b.end) continue;
    if (c.free_at > t || !may_enter(m, m.lane(c.lane), c.channel->port, t)) continue;
    enter(m, b, router, m.slot_of[c.channel->colour], m.lane(c.lane), c.words[c.done++], t + m.hop, false);
    c.free_at = channel_free(c.free_at, t, c.channel->cycles_per_word);
    b.sum.last = std::max(b.sum.last, t);
  }
}

static cycle next_event(const mesh_state &m, const row &b) {
  cycle next = b.later.empty() ? never : b.later.top().when;
  if (b.pending > 0)
    for (cycle t = b.now + 1; t < b.now + wheel_size; ++t)
      if (!b.wheel[t % wheel_size].empty()) {
        next = std::min(next, t);
        break;
      }
  if (!b.has_channels) return next;
  for (const channel_state &c : m.channels) {
    std::uint32_t router = c.channel->y * m.columns + c.channel->x;
    if (!c.channel->into_mesh || c.done == c.count || router < b.first || router >= b.end) continue;
    next = std::min(next, std::max(b.now + 1, static_cast<cycle>(std::ceil(c.free_at))));
  }
  return next;
}

static bool awake(const row &b) { return b.any_active || !b.wake_next.empty() || !b.part_next.empty(); }

static void step_row(mesh_state &m, row &b, cycle t) {
  if (!awake(b) && b.next > t) return;
  b.now = t;
  b.at = stage::begin;
  if (!b.part_next.empty()) part_listed(m, b, b.part_next, t - 1);
  for (std::uint32_t router : b.wake_next) wake_router(m, b, router);
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
  if (b.has_channels) feed_channels(m, b, t);
  b.at = stage::move;
  if (b.any_active) move_words(m, b, t);
  b.at = stage::end;
  if (!b.part_after.empty()) part_listed(m, b, b.part_after, t);
  b.next = awake(b) ? t + 1 : next_event(m, b);
}

// ---- all rows, some cycles ----
//
// Cycles are done in blocks: row y at cycle t, then row y - 1 at t + 1, y - 2 at t + 2 and so on, before row y + 1 at
// t. Each row is then ahead of its southern neighbour by one cycle at most, which is the order that a sweep over whole
// cycles would have; and a row that is in the cache does several cycles before it leaves. With two threads, the second
// does the next block some rows behind the first; they never touch the same rows at a time.

constexpr cycle block_cycles = 8;

// Row `step` begins the block, the rows before it are in the middle of it.
static void sweep_step(mesh_state &m, cycle first, std::uint32_t step) {
  for (cycle k = 0; k < block_cycles && k <= step; ++k)
    if (step - k < m.rows) step_row(m, m.all_rows[step - k], first + k);
}

class crew {
 public:
  explicit crew(mesh_state &state) : m(state), steps(state.rows + block_cycles - 1) {
    bool two = m.options.threads > 1 && m.rows >= 4 * block_cycles && !m.options.observer;
    if (two) helper = std::thread([this] { help(); });
  }
  ~crew() {
    if (!helper.joinable()) return;
    over = true;
    asked.fetch_add(1, std::memory_order_release);
    helper.join();
  }
  crew(const crew &) = delete;
  crew &operator=(const crew &) = delete;

  // Returns the cycles done.
  cycle work(cycle first) {
    if (!helper.joinable()) {
      for (std::uint32_t s = 0; s < steps; ++s) sweep_step(m, first, s);
      return block_cycles;
    }
    begin = first;
    done.store(0, std::memory_order_relaxed);
    ended.store(false, std::memory_order_relaxed);
    asked.fetch_add(1, std::memory_order_release);
    for (std::uint32_t s = 0; s < steps; ++s) {
      sweep_step(m, first, s);
      done.store(s + 1, std::memory_order_release);
    }
    wait([this] { return ended.load(std::memory_order_acquire); });
    return 2 * block_cycles;
  }

 private:
  template <class Ready>
  static void wait(Ready ready) {
    for (unsigned spins = 0; !ready(); ++spins)
      if (spins > 2000) std::this_thread::yield();
  }
  void help() {
    for (unsigned seen = 0;;) {
      wait([this, seen] { return asked.load(std::memory_order_acquire) != seen; });
      ++seen;
      if (over) return;
      for (std::uint32_t s = 0; s < steps; ++s) {
        std::uint32_t needed = std::min(steps, s + block_cycles + 2);
        wait([this, needed] { return done.load(std::memory_order_acquire) >= needed; });
        sweep_step(m, begin + block_cycles, s);
      }
      ended.store(true, std::memory_order_release);
    }
  }

  mesh_state &m;
  std::uint32_t steps;
  cycle begin = 0;
  bool over = false;
  std::atomic<unsigned> asked{0};
  std::atomic<std::uint32_t> done{0};
  std::atomic<bool> ended{false};
  std::thread helper;
};

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
    cycle end = t + team.work(t), next = never;
    if (++ticks % 64 == 0) weft_progress_update(&progress, t, nullptr);
    for (const row &b : m.all_rows) {
      if (!b.failure.empty()) return;
      next = std::min(next, awake(b) ? end : b.next);
    }
    if (next == never) return;
    next = std::max(next, end);
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
  cycle t = 0;
  std::uint64_t ticks = 0;
  bool exceeded = false;
};

// ---- the end ----

static std::uint64_t memory_of(const mesh_state &m) {
  auto bytes = [](const auto &v) { return v.capacity() * sizeof v[0]; };
  std::uint64_t sum = bytes(m.lanes) + bytes(m.sinks) + bytes(m.trains) + bytes(m.marks) + bytes(m.occupied) +
                      bytes(m.told) + bytes(m.ports) + bytes(m.link_counts) + bytes(m.cores) + bytes(m.operations) +
                      bytes(m.registers) + bytes(m.sram) + bytes(m.accounts) + bytes(m.link_free);
  for (const row &b : m.all_rows) {
    sum += bytes(b.active) + bytes(b.wheel) + bytes(b.wake_next);
    for (const auto &bucket : b.wheel) sum += bytes(bucket);
  }
  return sum;
}

static void add_up(const mesh_state &m, weft_mesh_report *r) {
  *r = weft_mesh_report{};
  cycle last = 0;
  for (const row &b : m.all_rows) {
    r->link_hops += b.sum.link_hops;
    r->ramp_hops += b.sum.ramp_hops;
    r->control_hops += b.sum.control_hops;
    r->train_hops += b.sum.train_hops;
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
    if (c.program == WEFT_NOTHING || c.state != doing::nothing || cycles <= c.since) continue;
    m.accounts[where].stalls[WEFT_STALL_IDLE] += cycles - c.since;
  }
}

static weft_status channels_given(const mesh_state &m) {
  for (const channel_state &c : m.channels)
    if (c.count != c.channel->words) return weft_error(WEFT_INVALID, "channel %s has no buffer", c.channel->name);
  return nullptr;
}

constexpr cycle rest_cycles = 16;  // for which a deadlock, which lasts for ever, is shown to an observer

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
    for (row &b : m.all_rows) start_cores(m, b);
    clockwork clock("mesh", m, period);
    sc_core::sc_start();
    exceeded = clock.out_of_time();
    now = clock.now();
    part_all(m);
  }
  const row *failed = nullptr;
  for (const row &b : m.all_rows)
    if (!b.failure.empty() && (!failed || b.failed_at < failed->failed_at)) failed = &b;
  if (m.options.observer) tell_unended(m, failed ? failed->failed_at : exceeded ? now : now + rest_cycles);
  if (failed) return weft_error(WEFT_FAILED, "cycle %u: %s", failed->failed_at, failed->failure.c_str());
  if (exceeded)
    return weft_error(WEFT_FAILED, "the kernel has not ended after %llu cycles",
                      static_cast<unsigned long long>(m.options.most_cycles));
  cycle last = 0;
  for (const row &b : m.all_rows) last = std::max(last, b.sum.last);
  WEFT_TRY(explain_deadlock(m, last));
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
