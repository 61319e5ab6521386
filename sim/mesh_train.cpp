// Trains: words that pass without hindrance, one in every cycle, advanced together.
//
// A train begins where a core's operation sends a stream from memory. In every router its first word is met as any word
// would be; if nothing is in the way of all of them - the queues behind the ports are empty, no other colour wants the
// ports, the operation that takes the words is there and has time - the train flows: word k leaves k cycles after word
// 0, and the neighbours expect it one hop later. What its words do is made up for in one piece when the last has left.
//
// Whatever comes in the way of a flowing train makes words of it again, at that router and in that cycle: those that
// have left until then are accounted for, those that are in the queue are put there, and the feeder is asked to do the
// same. It is one cycle's distance away, and so is the next; the queues have room for what arrives until then, because
// a hop and a word are what they have beyond their depth. Making words of a train is always right, so doubt means
// words.
//
// Rows are at different cycles (mesh_run.cpp). While a row does cycle t, its northern neighbour has done t and its
// southern one t - 1, so of all feeders it is certain what has left until t - 1. A feeder in another row is asked
// before its next cycle, one in the same row at once, or, while words of the row are moving, when they have moved.
#include <algorithm>
#include <cstdlib>
#include <new>

#include "sim/mesh_state.h"

namespace weft {

static constexpr std::uint32_t shortest_train = 8;  // words; for fewer the bookkeeping takes longer than the words

static payload *new_payload(std::uint32_t count) {
  void *memory = std::malloc(sizeof(payload) + count * sizeof(std::uint32_t));
  if (!memory) throw std::bad_alloc();
  auto *p = new (memory) payload;
  p->users.store(1, std::memory_order_relaxed);
  return p;
}

static void drop(payload *p) {
  if (p->users.fetch_sub(1, std::memory_order_acq_rel) == 1) std::free(p);
}

static void set_flag(ring &lane, bool on) {
  gate g = unpacked(lane.gate);
  g.train = on;
  lane.gate = packed(g);
}

static void forget(mesh_state &m, train &n, ring &lane, std::uint32_t router, std::uint32_t slot) {
  train_marks &marks = m.marks[router];
  marks.announced &= ~(1u << slot);
  drop(n.data);
  n = train{};
  set_flag(lane, false);
}

// Has the word with this number of the ring's counting left the lane by cycle t (`strictly`: before) with a train?
bool train_left(const mesh_state &m, const ring &lane, std::uint32_t number, cycle t, bool strictly) {
  if (m.trains.empty()) return false;
  auto index = static_cast<std::size_t>(reinterpret_cast<const char *>(&lane) - m.lanes.data()) / m.ring_stride;
  if (index >= m.trains.size()) return false;  // a sink
  const train &n = m.trains[index];
  std::uint32_t k = number - n.base;
  if (n.state != train_state::flowing || k >= n.count) return false;
  cycle left = n.ready + k;
  if (strictly) return left < t;
  // A core asks ahead of time, and is not told what has yet to happen.
  return left <= t && left < m.all_rows[index / m.slots / m.columns].now;
}

// ---- operations ----

// What an operation that passes words on makes of a train's.
static payload *passed_on(const operation &o, payload *in, std::uint32_t count) {
  payload *out = new_payload(count);
  const std::uint32_t *words = in->words(), *from = o.from;
  std::uint32_t *to = out->words();
  bool plain_sum = o.how == operation::quick::add && from && o.from_stride == 1;
  for (std::uint32_t k = 0; plain_sum && k < count; ++k) {
    float a, b;
    __builtin_memcpy(&a, o.sink_is_b ? from + k : words + k, sizeof a);
    __builtin_memcpy(&b, o.sink_is_b ? words + k : from + k, sizeof b);
    a += b;
    __builtin_memcpy(to + k, &a, sizeof a);
  }
  for (std::uint32_t k = 0; !plain_sum && k < count; ++k, from += from ? o.from_stride : 0)
    to[k] = quick_result(o, words[k], from ? *from : 0);
  return out;
}

// The first `count` words of a train, the first of which left the router at cycle `first`, have been taken.
static void take_words(mesh_state &m, operation &o, ring &sink, payload *in, std::uint32_t count, cycle first) {
  const std::uint32_t *words = in->words();
  cycle arrival = first + m.ramp;
  if (!o.lane && o.how == operation::quick::move && !o.from && o.to_stride == 1) {
    std::copy(words, words + count, o.to);
  } else if (!o.lane) {
    const std::uint32_t *from = o.from;
    std::uint32_t *to = o.to;
    for (std::uint32_t k = 0; k < count; ++k, to += o.to_stride, from += from ? o.from_stride : 0)
      *to = quick_result(o, words[k], from ? *from : 0);
  }
  next_elements(o, count);
  o.waited_receive += arrival * 256ull - o.free_at;
  o.free_at = (arrival + count) * 256ull;
  std::uint32_t kept = std::min(count, m.ring_size);
  for (std::uint32_t k = count - kept; k < count; ++k) m.at(sink, sink.tail + k).time = arrival + k;
  sink.tail += count;
  sink.head = sink.tail;
}

// ---- announcing and ending ----

static void announce(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, const train &what) {
  std::uint64_t index = m.index(router, slot);
  ring &lane = m.lane(index);
  train &n = m.trains[index];
  n = what;
  n.base = lane.tail;
  n.fed = false;
  n.state = train_state::announced;
  n.data->users.fetch_add(1, std::memory_order_relaxed);
  set_flag(lane, true);
  m.marks[router].announced |= 1u << slot;
  if (n.feeder == WEFT_RAMP)
    schedule(m, b, n.ready, {router, what::wake_router, 0});
  else
    activate_router(b, router);
}

static void put_words(mesh_state &m, ring &lane, const train &n, std::uint32_t begin, std::uint32_t end) {
  for (std::uint32_t k = begin; k < end; ++k) put(m, lane, n.data->words()[k], n.ready + k, false);
}

// The feeder has handed over `count` words in all.
static void end_feed(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, std::uint32_t count) {
  std::uint64_t index = m.index(router, slot);
  ring &lane = m.lane(index);
  train &n = m.trains[index];
  if (n.state == train_state::none || n.fed) return;
  bool shorter = count < n.count;
  n.fed = true;
  n.count = count;
  if (n.state == train_state::loose) {
    std::uint32_t there = lane.tail - n.base;
    if (there < count) {
      put_words(m, lane, n, there, count);
      m.occupied[router] |= 1u << slot;
      activate_router(b, router);
    }
    forget(m, n, lane, router, slot);
    return;
  }
  lane.tail = n.base + count;
  if (count == 0) {
    forget(m, n, lane, router, slot);
  } else if (n.state == train_state::flowing && shorter) {
    schedule(m, b, n.ready + count, {router, what::train_ends, static_cast<std::uint8_t>(slot)});
  }
}

// ---- making words of a train ----

static void part(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, cycle last);

static void ask_feeder(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, const train &n) {
  train_place where = {router, slot};
  if (n.feeder == WEFT_RAMP)
    where.slot = n.through;
  else
    where.router = neighbour(m, router, n.feeder);
  row &its = n.feeder == WEFT_RAMP ? b : row_at(b, n.feeder);
  if (&its != &b)
    its.part_next.push_back(where);
  else if (b.at == stage::move)
    b.part_after.push_back(where);
  else
    part(m, b, where.router, where.slot, b.at == stage::begin ? b.now - 1 : b.now);
}

// The operation that sends from memory goes on by words; `put` of them are in the lane.
static void resume_source(mesh_state &m, std::uint32_t router, const train &n, std::uint32_t put, ring &lane) {
  operation &o = m.operations[m.cores[router].first_operation + n.source];
  o.feeding = false;
  if (put == n.count) return;  // its end comes as foreseen
  o.driven = false;
  o.free_at += put * 256ull;
  next_elements(o, put);
  lane.core_waits = true;
}

// What `left` words of a flowing train have done to the ports that they left through.
static void account_for(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, const train &n, ring &lane,
                        std::uint32_t left) {
  std::uint32_t to = lane.to;
  for (std::uint32_t ports = to; ports != 0; ports &= ports - 1) {
    int port = __builtin_ctz(ports);
    b.sum.train_hops += left;
    if (m.options.count_links) m.link_counts[router * 5ull + static_cast<unsigned>(port)] += left;
    if (port == WEFT_RAMP) {
      b.sum.ramp_hops += left;
      continue;
    }
    b.sum.link_hops += left;
    end_feed(m, row_at(b, port), neighbour(m, router, port), slot, left);
  }
  if (left > 0) b.sum.last = std::max(b.sum.last, n.ready + left - 1);
  if (!(to & 1u << WEFT_RAMP)) return;
  ring &sink = m.sink(m.index(router, slot));
  operation &o = m.operations[sink.route];
  o.driven = false;
  std::uint8_t number = sink.reader;
  if (left > 0) take_words(m, o, sink, n.data, left, n.ready);
  if (o.lane) end_feed(m, b, router, o.out_slot, left);
  if (o.element == o.count) operation_done(m, b, router, number, o);
}

static void unmark(mesh_state &m, std::uint32_t router, std::uint32_t slot) {
  train_marks &marks = m.marks[router];
  marks.announced &= ~(1u << slot);
  marks.flowing &= ~(1u << slot);
  marks.ports = 0;
  for (std::uint32_t left = marks.flowing; left != 0; left &= left - 1)
    marks.ports |= m.lane(m.index(router, static_cast<std::uint32_t>(__builtin_ctz(left)))).to;
}

// What has left the lane until cycle `last` has left as a train; the rest are words.
static void part(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, cycle last) {
  std::uint64_t index = m.index(router, slot);
  ring &lane = m.lane(index);
  train &n = m.trains[index];
  bool flowing = n.state == train_state::flowing;
  if (!flowing && n.state != train_state::announced) return;
  std::uint32_t left = flowing ? std::min(n.count, last + 1 - n.ready) : 0, there = n.count;
  bool from_memory = n.feeder == WEFT_RAMP && n.through == nobody;
  if (!n.fed && from_memory) there = std::min(n.count, left + m.send_room);
  if (!n.fed && !from_memory)
    there = std::max(left, std::min(n.count, b.now + n.delay > n.ready ? b.now + n.delay - n.ready : 0));
  std::uint32_t tail = n.fed ? lane.tail : n.base + there;
  // The words' places, as far as no later words are in them; when those that have left did so matters to room.
  for (std::uint32_t k = there > m.ring_size ? there - m.ring_size : 0; k < there; ++k) {
    std::uint32_t number = n.base + k;
    if (tail - number > m.ring_size) continue;
    word &w = m.at(lane, number);
    w = {n.data->words()[k], n.ready + k};
    lane.control &= ~(1ull << (number & (m.ring_size - 1)));
  }
  lane.head = n.base + left;
  lane.tail = tail;
  unmark(m, router, slot);
  set_flag(lane, false);
  if (flowing) account_for(m, b, router, slot, n, lane, left);
  if (!n.fed && from_memory) {
    resume_source(m, router, n, there, lane);
    n.fed = true;
  }
  if (lane.head != lane.tail) {
    m.occupied[router] |= 1u << slot;
    activate_router(b, router);
  }
  if (left > 0 && (lane.upstream_waits || lane.core_waits)) tell_feeders(m, b, lane, router, slot, b.now, false);
  if (n.fed) {
    forget(m, n, lane, router, slot);
    return;
  }
  n.state = train_state::loose;
  ask_feeder(m, b, router, slot, n);
}

void part_listed(mesh_state &m, row &b, std::vector<train_place> &list, cycle last) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    train_place p = list[i];
    part(m, b, p.router, p.slot, last);
  }
  list.clear();
}

void end_train(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, cycle t) {
  const train &n = m.trains[m.index(router, slot)];
  if (n.state == train_state::flowing && n.ready + n.count <= t) part(m, b, router, slot, t - 1);
}

void part_all(mesh_state &m) {
  for (std::size_t i = 0; i < m.trains.size(); ++i) {
    train &n = m.trains[i];
    if (n.state == train_state::none) continue;
    auto router = static_cast<std::uint32_t>(i / m.slots), slot = static_cast<std::uint32_t>(i % m.slots);
    row &b = m.all_rows[router / m.columns];
    b.at = stage::move;  // no feeder is asked: this is the end
    part(m, b, router, slot, b.now);
    if (n.state == train_state::loose) forget(m, n, m.lane(i), router, slot);
  }
}

// ---- flowing ----

// Does anything else in this router want the ports?
static bool has_rivals(mesh_state &m, std::uint32_t router, std::uint32_t slot, std::uint32_t to) {
  const train_marks &marks = m.marks[router];
  std::uint32_t others = (m.occupied[router] | marks.announced | marks.flowing) & ~(1u << slot);
  for (; others != 0; others &= others - 1)
    if (m.lane(m.index(router, static_cast<std::uint32_t>(__builtin_ctz(others)))).to & to) return true;
  return false;
}

// Empty, and open for what comes by port `from`.
static bool is_free(const ring &lane, std::uint8_t from, cycle t) {
  gate g = from == WEFT_RAMP ? unpacked(lane.gate) : gate_at(lane, t);  // as may_enter, and as a neighbour asks
  return lane.route != 0 && g.from == from && g.closed == closing::open && !g.train && lane.head == lane.tail;
}

static bool sends_besides(const mesh_state &m, const core &c, const operation &o, std::uint8_t slot) {
  for (std::uint32_t left = c.threads; left != 0; left &= left - 1) {
    const operation &other = m.operations[c.first_operation + static_cast<std::uint32_t>(__builtin_ctz(left))];
    if (&other == &o || !other.instruction || other.instruction->to.kind != WEFT_SEND) continue;
    if (m.slot_of[other.instruction->to.index] == slot && other.element < other.count) return true;
  }
  return false;
}

// Takes the core's operation all words of the train, each when it comes?
static bool is_taken(mesh_state &m, std::uint32_t router, std::uint32_t slot, std::uint32_t count, cycle t) {
  ring &sink = m.sink(m.index(router, slot));
  if (sink.reader == nobody || sink.head != sink.tail) return false;
  const operation &o = m.operations[sink.route];
  if (o.how == operation::quick::none || o.driven || o.step != 256 || o.count - o.element < count) return false;
  if ((o.lane && o.instruction->to.advance) || (o.fold_left && count > o.fold_left)) return false;
  if (o.free_at > (t + m.ramp) * 256ull) return false;
  return !o.lane ||
         (o.out_slot != slot && is_free(*o.lane, WEFT_RAMP, t) && !sends_besides(m, m.cores[router], o, o.out_slot));
}

static bool may_flow(mesh_state &m, std::uint32_t router, std::uint32_t slot, const ring &lane, const train &n,
                     cycle t) {
  if (has_rivals(m, router, slot, lane.to)) return false;
  for (std::uint32_t left = lane.to & 15u; left != 0; left &= left - 1) {
    int port = __builtin_ctz(left);
    if (channel_out(m, router, slot, port)) return false;
    if (!is_free(m.lane(m.index(neighbour(m, router, port), slot)), opposite[port], t)) return false;
  }
  return !(lane.to & 1u << WEFT_RAMP) || is_taken(m, router, slot, n.count, t);
}

static void flow(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane, train &n, cycle t) {
  train_marks &marks = m.marks[router];
  marks.announced &= ~(1u << slot);
  marks.flowing |= 1u << slot;
  marks.ports |= lane.to;
  n.state = train_state::flowing;
  std::uint8_t from = gate_at(lane, t).from;
  train next = n;
  for (std::uint32_t left = lane.to & 15u; left != 0; left &= left - 1) {
    int port = __builtin_ctz(left);
    next.feeder = opposite[port];
    next.delay = m.hop + (turns(from, port) ? m.turn : 0);
    next.ready = t + next.delay;
    announce(m, row_at(b, port), neighbour(m, router, port), slot, next);
  }
  schedule(m, b, t + n.count, {router, what::train_ends, static_cast<std::uint8_t>(slot)});
  if (!(lane.to & 1u << WEFT_RAMP)) return;
  ring &sink = m.sink(m.index(router, slot));
  operation &o = m.operations[sink.route];
  o.driven = true;
  if (!o.lane) return;
  next.feeder = WEFT_RAMP;
  next.through = static_cast<std::uint8_t>(slot);
  next.delay = 2 * m.ramp + m.latency;
  next.ready = t + next.delay;
  next.data = passed_on(o, n.data, n.count);
  announce(m, b, router, o.out_slot, next);
  drop(next.data);
}

// Words that may leave now and flowing trains do not share ports.
static void part_rivals(mesh_state &m, row &b, std::uint32_t router, cycle t) {
  const train_marks &marks = m.marks[router];
  for (std::uint32_t left = m.occupied[router] & ~(marks.announced | marks.flowing); left != 0; left &= left - 1) {
    ring &lane = m.lane(m.index(router, static_cast<std::uint32_t>(__builtin_ctz(left))));
    if (!(lane.to & marks.ports) || m.at(lane, lane.head).time > t) continue;
    for (std::uint32_t flowing = marks.flowing; flowing != 0; flowing &= flowing - 1) {
      auto slot = static_cast<std::uint32_t>(__builtin_ctz(flowing));
      if (m.lane(m.index(router, slot)).to & lane.to) part(m, b, router, slot, t - 1);
    }
  }
}

void settle_trains(mesh_state &m, row &b, std::uint32_t router, cycle t) {
  const train_marks &marks = m.marks[router];
  for (std::uint32_t left = marks.announced; left != 0; left &= left - 1) {
    auto slot = static_cast<std::uint32_t>(__builtin_ctz(left));
    std::uint64_t index = m.index(router, slot);
    train &n = m.trains[index];
    ring &lane = m.lane(index);
    if (n.ready > t) continue;
    if (n.ready == t && may_flow(m, router, slot, lane, n, t))
      flow(m, b, router, slot, lane, n, t);
    else
      part(m, b, router, slot, t - 1);
  }
  if (marks.ports) part_rivals(m, b, router, t);
}

bool expects_trains(const mesh_state &m, std::uint32_t router) {
  for (std::uint32_t left = m.marks[router].announced; left != 0; left &= left - 1)
    if (m.trains[m.index(router, static_cast<std::uint32_t>(__builtin_ctz(left)))].feeder != WEFT_RAMP) return true;
  return false;
}

// ---- the core's side ----

bool begin_train(mesh_state &m, row &b, std::uint32_t router, std::uint8_t number, operation &o) {
  std::uint32_t count = o.count - o.element;
  if (m.trains.empty() || o.how != operation::quick::move || o.sink || !o.lane || o.step != 256) return false;
  if (count < shortest_train || !is_free(*o.lane, WEFT_RAMP, b.now)) return false;
  if (o.fold_left && count > o.fold_left) return false;
  if (o.instruction->to.advance) return false;  // the switch moves in the cycle of the last word
  if (sends_besides(m, m.cores[router], o, o.out_slot)) return false;
  payload *data = new_payload(count);
  std::uint32_t *to = data->words();
  const std::uint32_t *from = o.from;
  if (from && o.from_stride == 1) {
    std::copy(from, from + count, to);
  } else {
    for (std::uint32_t k = 0; k < count; ++k, from += from ? o.from_stride : 0) to[k] = from ? *from : 0;
  }
  train n = {};
  n.data = data;
  n.delay = m.ramp;
  n.ready = static_cast<cycle>((o.free_at + 255) / 256) + m.ramp;
  n.count = count;
  n.feeder = WEFT_RAMP;
  n.through = nobody;
  n.source = number;
  announce(m, b, router, o.out_slot, n);
  drop(data);
  o.driven = o.feeding = true;
  schedule(m, b, n.ready - m.ramp + count, {router, what::source_ends, number});
  return true;
}

bool source_done(mesh_state &m, row &b, std::uint32_t router, operation &o, cycle t) {
  std::uint32_t count = o.count - o.element;
  if (!o.instruction || !o.driven || o.sink || (o.free_at + 255) / 256 + count != t) return false;
  if (o.feeding) end_feed(m, b, router, o.out_slot, count);
  next_elements(o, count);
  o.free_at += count * 256ull;
  o.driven = o.feeding = false;
  return true;
}

void make_way(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot) {
  if (m.trains.empty()) return;
  const train &n = m.trains[m.index(router, slot)];
  if (!n.fed) part(m, b, router, slot, b.now - 1);
}

void wait_for_lane(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane) {
  if (unpacked(lane.gate).train) {
    const train &n = m.trains[m.index(router, slot)];
    std::uint32_t k = lane.tail - m.send_room - n.base;
    if (n.state == train_state::flowing && k < n.count) {
      schedule(m, b, std::max(b.now + 1, n.ready + k + 1), {router, what::retry, static_cast<std::uint8_t>(slot)});
      return;
    }
  }
  lane.core_waits = true;
}

}  // namespace weft
