// Routers: words move from lane to lane, one per port and cycle.
#include "sim/mesh_state.h"

namespace weft {

void schedule(mesh_state &m, row &b, cycle when, event e) {
  (void)m;
  // The wheel turns once per cycle of the row's own time; what is further away waits in order.
  if (when - b.now < wheel_size) {
    b.wheel[when % wheel_size].push_back(e);
    ++b.pending;
  } else {
    b.later.push({when, e});
  }
  if (when < b.next) b.next = when;
}

// From the core's side the switch counts at the cycle at which the word sets out.
bool may_enter(mesh_state &m, ring &lane, std::uint8_t from, cycle when) {
  gate g = unpacked(lane.gate);
  if (lane.route == 0 || g.from != from || g.closed != closing::open) return false;
  if (from != WEFT_RAMP && when < g.since) return false;
  return has_room(m, lane, from == WEFT_RAMP ? m.send_room : m.lane_room, when, false);
}

// A control wavelet that will move this router's switch closes the lane behind it.
static void close_behind(ring &lane, std::uint32_t bits) {
  if ((bits & 0xffff) != 0 || (bits >> 16) == 0) return;
  gate g = unpacked(lane.gate);
  g.closed = closing::by_control;
  lane.gate = packed(g);
}

void enter(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane, std::uint32_t bits, cycle ready,
           bool control) {
  put(m, lane, bits, ready, control);
  if (control) close_behind(lane, bits);
  m.occupied[router] |= 1u << slot;
  activate_router(b, router);
}

std::uint32_t neighbour(const mesh_state &m, std::uint32_t router, int port) {
  switch (port) {
    case WEFT_NORTH: return router - m.columns;
    case WEFT_EAST: return router + 1;
    case WEFT_SOUTH: return router + m.columns;
    default: return router - 1;
  }
}

static bool off_mesh(const mesh_state &m, std::uint32_t router, int port) {
  switch (port) {
    case WEFT_NORTH: return router < m.columns;
    case WEFT_EAST: return router % m.columns == m.columns - 1;
    case WEFT_SOUTH: return router >= m.routers - m.columns;
    default: return router % m.columns == 0;
  }
}

// Why a word could not leave, and so what will wake the router.
// A link tells in time; a core's queue may have room in the very cycle of the telling, so who is awake asks again.
enum class obstacle { none, busy_port, link_will_tell, core_will_tell, poll };

row &row_at(row &b, int port) { return port == WEFT_NORTH ? (&b)[-1] : port == WEFT_SOUTH ? (&b)[1] : b; }

channel_state *channel_out(mesh_state &m, std::uint32_t router, std::uint32_t slot, int port) {
  if (m.channel_at.empty()) return nullptr;
  std::int32_t channel = m.channel_at[m.index(router, slot)];
  return channel >= 0 && off_mesh(m, router, port) ? &m.channels[static_cast<std::size_t>(channel)] : nullptr;
}

static obstacle ask_link(mesh_state &m, std::uint32_t router, std::uint32_t slot, int port, cycle t, ring **out_lane) {
  *out_lane = nullptr;
  if (channel_state *out = channel_out(m, router, slot, port)) {
    if (out->done == out->count) return obstacle::link_will_tell;  // never: more words than the channel carries
    return out->free_at <= static_cast<double>(t) ? obstacle::none : obstacle::poll;
  }
  ring &lane = m.lane(m.index(neighbour(m, router, port), slot));
  *out_lane = &lane;
  gate g = gate_at(lane, t);
  bool open = lane.route != 0 && g.from == opposite[port] && g.closed == closing::open;
  if (open && has_room(m, lane, m.lane_room, t, true)) return obstacle::none;
  // What has changed in this very cycle counts from a later one on, and nobody will tell again.
  if (t < g.since || g.train || (open && lane.tail - m.lane_room < lane.head)) return obstacle::poll;
  lane.upstream_waits = true;
  return obstacle::link_will_tell;
}

static obstacle ask_ramp(mesh_state &m, row &b, std::uint32_t router, cycle t, ring &sink) {
  if (has_room(m, sink, m.sink_room, t, false)) return obstacle::none;
  std::uint32_t before = sink.tail - m.sink_room;
  if (before < sink.head) {  // taken, at a cycle to come: that is when there is room
    schedule(m, b, m.at(sink, before).time, {router, what::wake_router, 0});
    return obstacle::core_will_tell;
  }
  sink.upstream_waits = true;
  return obstacle::core_will_tell;
}

// Where a word goes: the ring behind every port of its position, nullptr for a channel.
struct ways {
  ring *at[WEFT_PORTS];
};

static obstacle ask(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, std::uint32_t to, cycle t,
                    ways &out_ways) {
  for (std::uint32_t left = to; left != 0; left &= left - 1) {
    int port = __builtin_ctz(left);
    obstacle o;
    if (port == WEFT_RAMP) {
      ring &sink = m.sink(m.index(router, slot));
      out_ways.at[port] = &sink;
      o = ask_ramp(m, b, router, t, sink);
    } else {
      if (m.link_step > 256 && m.link_free[router * 4ull + static_cast<unsigned>(port)] >= (t + 1) * 256ull)
        return obstacle::busy_port;
      o = ask_link(m, router, slot, port, t, &out_ways.at[port]);
    }
    if (o != obstacle::none) return o;
  }
  return obstacle::none;
}

static void wake_feeder(mesh_state &m, row &b, std::uint32_t router, std::uint8_t from) {
  if (from < WEFT_RAMP && !off_mesh(m, router, from)) row_at(b, from).wake_next.push_back(neighbour(m, router, from));
}

// Room has come about, or the switch has moved: whoever waits for this lane may try again in the next cycle.
void tell_feeders(mesh_state &m, row &b, ring &lane, std::uint32_t router, std::uint32_t slot, cycle t, bool all) {
  if (lane.upstream_waits) {
    lane.upstream_waits = false;
    bool any = all || m.kernel->routes[lane.route - 1].position_count > 1;
    for (std::uint8_t port = 0; port < WEFT_RAMP; ++port)
      if (any || port == unpacked(lane.gate).from) wake_feeder(m, b, router, port);
  }
  if (lane.core_waits) {
    lane.core_waits = false;
    schedule(m, b, t + 1, {router, what::retry, static_cast<std::uint8_t>(slot)});
  }
}

static std::uint8_t position_after(const weft_route &route, std::uint8_t position) {
  if (position + 1u < route.position_count) return static_cast<std::uint8_t>(position + 1);
  return route.ring ? 0 : position;
}

// The next position counts from cycle `since` on.
static void move_switch(mesh_state &m, row &b, ring &lane, std::uint32_t router, std::uint32_t slot, cycle t,
                        cycle since) {
  const weft_route &route = m.kernel->routes[lane.route - 1];
  gate g = unpacked(lane.gate);
  std::uint8_t next = position_after(route, g.position);
  gate moved = {route.positions[next].from, g.from, closing::open, g.train, next, since};
  set_ports(m, m.index(router, slot), route.positions[next].to);
  lane.gate = packed(moved);
  tell_feeders(m, b, lane, router, slot, t, true);
}

void advance_switch(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane, cycle ready) {
  gate g = unpacked(lane.gate);
  const weft_route &route = m.kernel->routes[lane.route - 1];
  const weft_position &next = route.positions[position_after(route, g.position)];
  bool slower = false;
  for (std::uint32_t left = next.to & 15u; left != 0; left &= left - 1)
    slower = slower || (m.turn > 0 && turns(next.from, __builtin_ctz(left)));
  // One queue, one way out: where it stays, words from the next port may queue up behind the last one of the core.
  if (next.to == lane.to && !slower) {
    move_switch(m, b, lane, router, slot, b.now, ready > b.now ? ready : b.now + 1);
    return;
  }
  g.closed = closing::by_core;
  lane.gate = packed(g);
}

// Payload of a control wavelet: routers to skip in the low half, routers to move in the high half.
static std::uint32_t after_router(std::uint32_t bits, bool *out_moves) {
  std::uint32_t skip = bits & 0xffff, moves = bits >> 16;
  *out_moves = skip == 0 && moves > 0;
  if (skip > 0) return bits - 1;
  return moves > 0 ? (moves - 1) << 16 : 0;
}

static void send_link(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, int port, ring *lane,
                      std::uint8_t from, std::uint32_t bits, bool control, cycle t) {
  if (m.options.count_links) ++m.link_counts[router * 5ull + static_cast<unsigned>(port)];
  ++b.sum.link_hops;
  if (m.link_step > 256) {
    std::uint64_t &free_at = m.link_free[router * 4ull + static_cast<unsigned>(port)];
    free_at = (free_at > t * 256ull ? free_at : t * 256ull) + m.link_step;
  }
  if (!lane) {
    channel_state *out = channel_out(m, router, slot, port);
    if (!control) out->room[out->done++] = bits;
    out->free_at = channel_free(out->free_at, t, out->channel->cycles_per_word);
    return;
  }
  cycle ready = t + m.hop;
  if (turns(from, port)) ready += m.turn;
  enter(m, row_at(b, port), neighbour(m, router, port), slot, *lane, bits, ready, control);
}

static void send_ramp(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &sink, std::uint32_t bits,
                      bool control, cycle t) {
  if (m.options.count_links) ++m.link_counts[router * 5ull + WEFT_RAMP];
  ++b.sum.ramp_hops;
  if (control) {
    control_arrived(m, b, router, slot, t + m.ramp);
    return;
  }
  put(m, sink, bits, t + m.ramp, false);
  word_arrived(m, b, router, slot, sink);
}

// The word at the head of a lane leaves through all ports of the position.
static void pass_on(mesh_state &m, row &b, ring &lane, std::uint32_t router, std::uint32_t slot, cycle t,
                    const ways &by) {
  std::uint32_t to = lane.to;
  word &w = m.at(lane, lane.head);
  std::uint32_t bits = w.bits;
  bool control = lane.control != 0 && (lane.control & 1ull << (lane.head & (m.ring_size - 1))) != 0, moves = false;
  gate g = gate_at(lane, t);
  cycle since = w.time;
  w.time = t;
  ++lane.head;
  if (watched(m, router)) tell_hops(m, router, slot, to, bits, control, since, t);
  if (control) {
    lane.control &= ~(1ull << ((lane.head - 1) & (m.ring_size - 1)));
    bits = after_router(bits, &moves);
    ++b.sum.control_hops;
  }
  if (lane.head == lane.tail && g.closed == closing::by_core) moves = true;
  if (lane.upstream_waits || lane.core_waits) tell_feeders(m, b, lane, router, slot, t, false);
  for (std::uint32_t left = to; left != 0; left &= left - 1) {
    int port = __builtin_ctz(left);
    if (port == WEFT_RAMP)
      send_ramp(m, b, router, slot, *by.at[port], bits, control, t);
    else
      send_link(m, b, router, slot, port, by.at[port], g.from, bits, control, t);
  }
  if (moves) move_switch(m, b, lane, router, slot, t, t + 1);
}

// ---- the common case: data, no channels, links of one word per cycle ----

// What does not change during a sweep, where the compiler can see that it does not.
struct fixed {
  char *lanes, *sinks;
  std::size_t stride;
  std::uint32_t mask, slots, lane_room, sink_room;
  cycle hop, ramp;
  std::uint32_t *occupied, *counts;  // counts: nullptr where nobody wants them
  std::uint32_t *told;
  const std::uint8_t *ports;
  const train_marks *marks;  // nullptr: no trains
  std::int64_t next_router[WEFT_RAMP];
  bool simple;
};

static fixed fixed_of(mesh_state &m) {
  std::int64_t columns = m.columns;
  return {m.lanes.data(),
          m.sinks.data(),
          m.ring_stride,
          m.ring_size - 1,
          m.slots,
          m.lane_room,
          m.sink_room,
          m.hop,
          m.ramp,
          m.occupied.data(),
          m.options.count_links ? m.link_counts.data() : nullptr,
          m.told.data(),
          m.ports.data(),
          m.trains.empty() ? nullptr : m.marks.data(),
          {-columns, 1, columns, -1},
          m.link_step == 256 && m.turn == 0 && m.channels.empty() && !m.options.observer};
}

static ring *ring_at(char *rings, const fixed &f, std::size_t index) {
  return reinterpret_cast<ring *>(rings + index * f.stride);
}
static word *words_of(ring *r) { return reinterpret_cast<word *>(r + 1); }

// Has the place for one more word been left before cycle t?
static bool left_before(const fixed &f, ring *r, std::uint32_t room, cycle t) {
  if (r->tail < room) return true;
  std::uint32_t before = r->tail - room;
  return before < r->head && words_of(r)[before & f.mask].time < t;
}

static void append(const fixed &f, ring *r, std::uint32_t bits, cycle ready) {
  std::uint32_t place = r->tail++ & f.mask;
  words_of(r)[place] = {bits, ready};
  if (r->control) r->control &= ~(1ull << place);
}

// A word for an operation that only stores what it receives, and has nothing else to wait for: the same as putting it
// into the sink and having the operation take it.
static bool kept_at_once(mesh_state &m, const fixed &f, ring *sink, std::uint32_t bits, cycle ready) {
  if (sink->reader == nobody || sink->head != sink->tail) return false;
  operation &o = m.operations[sink->route];
  if (o.how != operation::quick::move || o.lane || o.from || o.count - o.element < 2) return false;
  std::uint64_t when = ready * 256ull;
  if (when < o.free_at)
    when = o.free_at;
  else if (when > o.free_at)
    o.waited_receive += when - o.free_at;
  *o.to = bits;
  next_elements(o, 1);
  o.free_at = when + o.step;
  words_of(sink)[sink->tail & f.mask].time = static_cast<cycle>((when + 255) / 256);
  sink->head = ++sink->tail;
  return true;
}

// As ask and pass_on. False: not the common case, or something is in the way; nothing has been done then.
static bool pass_quickly(mesh_state &m, const fixed &f, row &b, ring *lane, std::uint32_t router, std::uint32_t slot,
                         cycle t) {
  // A control wavelet, a lane that is closed by a core's last word, a train.
  if ((lane->control & 1ull << (lane->head & f.mask)) != 0 || (lane->gate & 0x00060000u) != 0) return false;
  std::uint32_t to = lane->to;
  std::size_t here = static_cast<std::size_t>(router) * f.slots + slot;
  ring *sink = ring_at(f.sinks, f, here);
  if ((to & 1u << WEFT_RAMP) && !left_before(f, sink, f.sink_room, t + 1)) return false;
  for (std::uint32_t left = to & 15u; left != 0; left &= left - 1) {
    int port = __builtin_ctz(left);
    std::int64_t way = f.next_router[port] * static_cast<std::int64_t>(f.slots * f.stride);
    ring *next = reinterpret_cast<ring *>(reinterpret_cast<char *>(lane) + way);
    bool open = (next->gate & 0x00ff00ffu) == opposite[port] && static_cast<cycle>(next->gate >> 32) <= t;
    if (!open || !left_before(f, next, f.lane_room, t)) return false;
  }
  word &w = words_of(lane)[lane->head & f.mask];
  std::uint32_t bits = w.bits;
  w.time = t;
  ++lane->head;
  if (lane->upstream_waits || lane->core_waits) tell_feeders(m, b, *lane, router, slot, t, false);
  for (std::uint32_t left = to & 15u; left != 0; left &= left - 1) {
    int port = __builtin_ctz(left);
    std::int64_t way = f.next_router[port] * static_cast<std::int64_t>(f.slots * f.stride);
    append(f, reinterpret_cast<ring *>(reinterpret_cast<char *>(lane) + way), bits, t + f.hop);
    auto next = static_cast<std::uint32_t>(router + f.next_router[port]);
    f.occupied[next] |= 1u << slot;
    activate_router(row_at(b, port), next);
    if (f.counts) ++f.counts[router * 5ull + static_cast<unsigned>(port)];
    ++b.sum.link_hops;
  }
  if (to & 1u << WEFT_RAMP) {
    if (f.counts) ++f.counts[router * 5ull + WEFT_RAMP];
    ++b.sum.ramp_hops;
    if (kept_at_once(m, f, sink, bits, t + f.ramp)) return true;
    append(f, sink, bits, t + f.ramp);
    word_arrived(m, b, router, slot, *sink);
  }
  return true;
}

// Colours take turns: the slot with which a router begins moves on with every cycle.
static std::uint32_t first_slot(const fixed &f, cycle t) { return f.slots > 1 ? t % f.slots : 0; }

// False: the router may sleep until somebody tells it.
static bool move_router(mesh_state &m, const fixed &f, row &b, std::uint32_t router, cycle t) {
  std::uint32_t rotated = f.occupied[router], used = 0, begin = first_slot(f, t);
  bool awake = false;
  if (f.marks && (f.marks[router].announced | f.marks[router].flowing)) {
    settle_trains(m, b, router, t);
    rotated = f.occupied[router] & ~(f.marks[router].announced | f.marks[router].flowing);
    awake = expects_trains(m, router);
  }
  rotated &= ~f.told[router];
  if (begin > 0) rotated = (rotated >> begin) | (rotated << (f.slots - begin));
  if (f.slots > 1) rotated &= (1u << f.slots) - 1;
  for (; rotated != 0; rotated &= rotated - 1) {
    std::uint32_t slot = static_cast<std::uint32_t>(__builtin_ctz(rotated)) + begin;
    if (slot >= f.slots) slot -= f.slots;
    std::size_t here = static_cast<std::size_t>(router) * f.slots + slot;
    ring *lane = ring_at(f.lanes, f, here);
    if ((f.ports[here] & used) != 0 || words_of(lane)[lane->head & f.mask].time > t) {
      awake = true;
      continue;
    }
    bool passed = f.simple && pass_quickly(m, f, b, lane, router, slot, t);
    if (!passed) {
      ways by;
      obstacle o = ask(m, b, router, slot, lane->to, t, by);
      if (o != obstacle::none) {
        if (o == obstacle::link_will_tell) f.told[router] |= 1u << slot;
        awake = awake || (o != obstacle::link_will_tell && o != obstacle::core_will_tell);
        continue;
      }
      used |= lane->to;
      pass_on(m, b, *lane, router, slot, t, by);
    } else {
      used |= lane->to;
    }
    awake = true;
    if (lane->head == lane->tail) f.occupied[router] &= ~(1u << slot);
    if (t > b.sum.last) b.sum.last = t;  // cores that run ahead may have ended later
  }
  return awake && (f.occupied[router] != 0 || (f.marks && f.marks[router].announced != 0));
}

void move_words(mesh_state &m, row &b, cycle t) {
  const fixed f = fixed_of(m);
  b.any_active = false;
  for (std::size_t w = 0; w < b.active.size(); ++w) {
    for (std::uint64_t left = b.active[w]; left != 0; left &= left - 1) {
      unsigned bit = static_cast<unsigned>(__builtin_ctzll(left));
      if (!move_router(m, f, b, b.first + static_cast<std::uint32_t>(w * 64 + bit), t)) b.active[w] &= ~(1ull << bit);
    }
    if (b.active[w] != 0) b.any_active = true;
  }
}

}  // namespace weft
