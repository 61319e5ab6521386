// Inside of the mesh: its flat arrays. What happens to them is in mesh_fabric.cpp (routers), mesh_core.cpp (cores),
// mesh_vector.cpp (arithmetic); mesh_run.cpp drives them and mesh_open.cpp builds them. Nobody else includes this.
//
// Names: a lane is the queue of one router for one colour; a sink is the queue between router and core for one colour.
// Both are rings of words. Colours are numbered by slots: only those that the kernel routes take memory.
//
// Time is in cycles and 32 bits. A word carries the cycle from which it may be taken; once it has been taken its place
// carries the cycle of that, so that whoever wants to send knows since when the place is free. Because of this a result
// never depends on the order in which routers and cores are visited within a cycle. Rows may even be at different
// cycles, if no row is ahead of the one to its south by more than one.
#ifndef WEFT_SIM_MESH_STATE_H
#define WEFT_SIM_MESH_STATE_H

#include <atomic>
#include <cstdint>
#include <new>
#include <queue>
#include <string>
#include <vector>

#include "base/memory.h"
#include "sim/mesh.h"

namespace weft {

using cycle = std::uint32_t;
constexpr cycle never = UINT32_MAX;
constexpr std::uint8_t nobody = 0xff;

// Zeroed memory of fixed size, in large pages where the system has them: the mesh strides through it.
template <class T>
class large {
 public:
  large() = default;
  ~large() { weft_free_large(memory); }
  large(const large &) = delete;
  large &operator=(const large &) = delete;
  void resize(std::size_t count) {
    weft_free_large(memory);
    memory = nullptr;
    length = 0;
    void *got = nullptr;
    weft_status status = weft_allocate_large(count * sizeof(T), "the mesh", &got);
    if (status) {
      weft_status_free(status);
      throw std::bad_alloc();
    }
    memory = static_cast<T *>(got);
    length = count;
  }
  T *data() { return memory; }
  const T *data() const { return memory; }
  T &operator[](std::size_t i) { return memory[i]; }
  const T &operator[](std::size_t i) const { return memory[i]; }
  std::size_t size() const { return length; }
  std::size_t capacity() const { return length; }
  bool empty() const { return length == 0; }
  T *begin() { return memory; }
  T *end() { return memory + length; }
  const T *begin() const { return memory; }
  const T *end() const { return memory + length; }

 private:
  T *memory = nullptr;
  std::size_t length = 0;
};

struct word {
  std::uint32_t bits;
  cycle time;
};

// Followed by its words; a ring's size is a power of two, the same for all.
struct ring {
  std::uint32_t head, tail;  // words taken and put so far
  std::uint64_t gate;        // lanes: see gate_of
  std::uint64_t control;     // which places hold control wavelets
  std::uint32_t route;       // lanes: index + 1 in the kernel's routes, 0: none; sinks: index of the reader's operation
  std::uint8_t to;           // lanes: ports of the current position
  bool upstream_waits;       // the router that feeds this lane sleeps until there is room
  bool core_waits;           // lanes: an operation of the router's own core sleeps until there is room
  std::uint8_t reader;       // sinks: the operation that takes the words, or nobody
};
static_assert(sizeof(ring) == 32);

// What others ask about a lane, in one piece.
enum class closing : std::uint8_t {
  open,
  by_control,  // a control wavelet that will switch this router is inside: nothing enters behind it
  by_core  // the last wavelet of a send that advances the switch is inside, the last in the lane: nor behind that one
};
struct gate {
  std::uint8_t from, from_before;  // ports; before: in cycles before `since`
  closing closed;
  bool train;  // words pass as a train (below)
  std::uint8_t position;
  cycle since;  // may be a cycle to come: the switch has been advanced by a wavelet that is still on the ramp
};
inline std::uint64_t packed(const gate &g) {
  return static_cast<std::uint64_t>(g.from) | static_cast<std::uint64_t>(g.from_before) << 8 |
         static_cast<std::uint64_t>(g.closed) << 16 | static_cast<std::uint64_t>(g.train) << 18 |
         static_cast<std::uint64_t>(g.position) << 24 | static_cast<std::uint64_t>(g.since) << 32;
}
inline gate unpacked(std::uint64_t bits) {
  return {static_cast<std::uint8_t>(bits),        static_cast<std::uint8_t>(bits >> 8),
          static_cast<closing>((bits >> 16) & 3), ((bits >> 18) & 1) != 0,
          static_cast<std::uint8_t>(bits >> 24),  static_cast<cycle>(bits >> 32)};
}

// What a lane lets in in cycle t.
inline gate gate_at(const ring &lane, cycle t) {
  gate g = unpacked(lane.gate);
  if (t < g.since) {
    g.from = g.from_before;
    g.closed = closing::by_control;
  }
  return g;
}

// An operation under way that takes or gives wavelets. Number 0 of a core is its own, 1 + m that of microthread m. What
// every word touches comes first and fills one cache line.
struct alignas(64) operation {
  // The common operations on 32-bit values, one word per element, by pointers; quick::none: by compute().
  enum class quick : std::uint8_t { none, move, add, subtract, multiply } how;
  bool has_sink, sink_is_b;  // of the two sources the wavelet is the second
  std::uint8_t out_slot;
  std::uint32_t step;  // between elements, in 1/256 cycles
  std::uint32_t element, count;
  std::uint64_t free_at;                // when the next element may begin, in 1/256 cycles
  std::uint32_t *to;                    // nullptr: into the lane
  const std::uint32_t *from;            // nullptr: no source but the sink
  std::int32_t to_stride, from_stride;  // words
  std::uint32_t fold_left;              // elements until the views go on elsewhere; 0: never
  ring *lane;                           // nullptr: none

  std::uint64_t waited_receive;         // in 1/256 cycles
  const weft_instruction *instruction;  // nullptr: free
  ring *sink;
  std::uint64_t waited_send;
  cycle began;
  std::uint32_t fold;               // elements between such places
  std::int32_t to_jump, from_jump;  // words from behind the last of these to the next
  bool driven;   // a train does its work: element and what goes with it are brought up to date when the train ends
  bool feeding;  // it is the source of the train in its lane
};
static_assert(sizeof(operation) == 128);

// The quick operation has dealt with `count` elements, which lie within one fold of its views.
inline void next_elements(operation &o, std::uint32_t count) {
  o.element += count;
  if (o.from) o.from += static_cast<std::int64_t>(o.from_stride) * count;
  if (o.to) o.to += static_cast<std::int64_t>(o.to_stride) * count;
  if (o.fold_left == 0 || (o.fold_left -= count) != 0) return;
  o.fold_left = o.fold;
  if (o.from) o.from += o.from_jump;
  if (o.to) o.to += o.to_jump;
}

enum class doing : std::uint8_t { nothing, dispatching, running, operating, waiting, stopped };

struct alignas(64) core {
  std::uint32_t program;  // WEFT_NOTHING: none
  std::uint32_t pc, end;
  std::uint32_t first_operation;
  std::uint64_t sram;  // offset
  std::uint32_t registers;
  std::uint32_t activated, blocked;  // tasks
  std::uint32_t task;
  cycle clock;  // local: everything before it has been carried out
  cycle since;  // when its task began; when nothing runs: when the one before ended
  cycle dispatch_at;
  doing state;
  std::uint8_t wanted;    // waiting: for this operation
  std::uint16_t threads;  // operations under way, mask
};

struct account {
  std::uint64_t busy;
  std::uint64_t stalls[WEFT_STALLS];
  std::uint64_t end;
};

// Facts of one instruction that do not change during a run.
struct cost {
  double startup, per_element;  // cycles
  std::uint32_t step;           // per_element in 1/256 cycles, at least 256 where wavelets pass
  bool fabric, scalar;
  std::uint8_t width;  // elements per wavelet
};

// What of one vector instruction is the same for all cores of its program (mesh_prepared.cpp). Of sources, bit 0 is a,
// 1 is b, 2 is c.
struct prepared {
  // By compute() alone; one value; a vector of real results; a sum over one.
  enum class form : std::uint8_t { plain, single, elements, sum } how = form::plain;
  bool maps = false;    // a map loop over it may be done in one piece
  bool steady = false;  // `factor` holds wherever its operands are; else sources `streams` may meet in the banks
  bool timed = false;   // it takes `time`
  std::uint8_t streams[2] = {0, 0};
  std::uint8_t apart = 0, in_place = 0;  // sources that cannot overlap the result; that are the result's own elements
  cycle time = 0;
  double factor = 1, flops = 0;
};

struct program_facts {
  std::vector<cost> costs;
  std::vector<prepared> ready;           // by instruction
  std::uint32_t operations;              // per core
  std::uint32_t wavelet_tasks;           // mask of tasks that wavelets start
  std::vector<std::uint8_t> task_of;     // slot -> task by wavelet, or nobody
  std::vector<std::uint8_t> control_of;  // slot -> task by control wavelet, or nobody
};

// What happens at a cycle to come.
enum class what : std::uint8_t { resume, operation_ends, source_ends, retry, wake_router, train_ends };
struct event {
  std::uint32_t where;  // core or router
  what kind;
  std::uint8_t operation;  // or slot
};

struct far_event {
  cycle when;
  event e;
  bool operator>(const far_event &other) const { return when > other.when; }
};

struct totals {
  std::uint64_t link_hops = 0, ramp_hops = 0, control_hops = 0, train_hops = 0, instructions = 0, elements = 0;
  double flops = 0;
  cycle last = 0;  // of anything
};

// Words that pass without hindrance, one in every cycle, are advanced together: a train. What a train does to the
// routers it passes and to the operations that take its words is known beforehand, and is made up for when it has
// passed; whatever comes in its way makes words of it again. See mesh_train.cpp.
struct payload {  // followed by its words
  std::atomic<std::uint32_t> users;
  std::uint32_t *words() { return reinterpret_cast<std::uint32_t *>(this + 1); }
};

enum class train_state : std::uint8_t {
  none,
  announced,  // the first word is on its way
  flowing,    // word k leaves in cycle ready + k
  loose       // words again; the feeder has yet to hand over those that left it as a train
};

// The train in a lane.
struct train {
  payload *data;
  cycle ready;          // of word 0 in this lane
  cycle delay;          // since it left the feeder
  std::uint32_t count;  // words, as far as the feeder knows
  std::uint32_t base;   // the number of word 0 in the ring's counting
  std::uint8_t feeder;  // the port it comes by
  std::uint8_t
      through;  // from the core: the slot whose words an operation passes on; nobody: `source` sends from memory
  std::uint8_t source;  // number of the core's operation
  bool fed;             // the feeder has done: count is final and the ring's tail counts all words
  train_state state;
};

// Of a router: slots with announced and with flowing trains, ports that the latter use.
struct train_marks {
  std::uint32_t announced, flowing, ports;
};

enum class stage : std::uint8_t { begin, move, end };  // of a row's cycle

struct train_place {
  std::uint32_t router, slot;
};

// One row of routers and cores, with a clock of its own: rows may be some cycles apart (mesh_run.cpp says how far).
struct row {
  std::uint32_t first = 0, end = 0;   // routers
  std::vector<std::uint64_t> active;  // bit per router: has words that may move
  std::vector<std::vector<event>> wheel;
  std::priority_queue<far_event, std::vector<far_event>, std::greater<far_event>> later;
  std::uint64_t pending = 0;  // events in the wheel
  std::vector<std::uint32_t> wake_next;
  std::vector<train_place> part_next,
      part_after;  // trains to be made words of: before the next cycle, and after this one
  stage at = stage::begin;
  totals sum;
  cycle now = 0;
  cycle next = 0;  // nothing happens before, as far as the row itself knows
  bool any_active = false;
  std::string failure;
  cycle failed_at = 0;
  bool has_channels = false;
};

struct channel_state {
  const weft_channel *channel;
  const std::uint32_t *words = nullptr;
  std::uint32_t *room = nullptr;
  std::uint64_t count = 0, done = 0;
  double free_at = 0;
  std::uint64_t lane = 0;
};
// When the channel is free again after a word in cycle t. What is left of a cycle is kept, so that a rate which is no
// whole number of cycles per word is met on average.
inline double channel_free(double free_at, std::uint64_t t, double cycles_per_word) {
  double now = static_cast<double>(t);
  return (free_at > now - 1 ? free_at : now) + cycles_per_word;
}

constexpr std::uint32_t wheel_size = 64;

// Times of the core in whole cycles.
struct whole_times {
  cycle start, task, end, scalar, loop, branch, microthread;
};

struct mesh_state {
  const weft_kernel *kernel;
  weft_mesh description;  // of the machine
  weft_mesh_options options;
  std::uint32_t columns, rows, routers, slots;
  std::uint8_t slot_of[WEFT_COLOURS];
  std::uint8_t colour_of[WEFT_COLOURS];

  whole_times times;
  cycle hop, ramp, latency;
  std::uint32_t turn;
  std::uint32_t lane_room, sink_room, send_room;  // words, in flight included
  std::uint32_t ring_size, ring_stride;           // words; bytes
  std::uint32_t link_step;                        // 1/256 cycles between words of a link

  large<char> lanes, sinks;       // ring_stride each, by router and slot
  large<std::uint32_t> occupied;  // per router: slots with words
  large<std::uint32_t> told;      // per router: slots for whose next lane its router will be woken
  large<std::uint8_t> ports;      // per router and slot: the lane's `to`, for who looks at many lanes
  large<train> trains;            // by lane; empty: every word by itself
  large<train_marks> marks;       // by router, as trains
  large<std::uint32_t> link_counts;
  std::vector<std::uint64_t>
      link_free;  // 1/256 cycles, per router and port, where links are slower than one word per cycle
  large<core> cores;
  large<operation> operations;
  large<std::uint32_t> registers;
  large<std::uint8_t> sram;
  large<account> accounts;
  std::vector<program_facts> programs;
  bool control_starts_tasks = false;  // in any program
  std::vector<channel_state> channels;
  std::vector<std::int32_t> channel_at;  // lane -> channel out of the mesh, empty: none
  std::vector<row> all_rows;
  bool ran = false;

  ring &lane(std::uint64_t index) { return *reinterpret_cast<ring *>(lanes.data() + index * ring_stride); }
  ring &sink(std::uint64_t index) { return *reinterpret_cast<ring *>(sinks.data() + index * ring_stride); }
  word &at(ring &r, std::uint32_t number) { return reinterpret_cast<word *>(&r + 1)[number & (ring_size - 1)]; }
  std::uint64_t index(std::uint32_t router, std::uint32_t slot) const {
    return static_cast<std::uint64_t>(router) * slots + slot;
  }
};

bool train_left(const mesh_state &m, const ring &lane, std::uint32_t number, cycle t, bool strictly);

// Room for one more word at cycle t: the place that it would take has been left by then (`strictly`: in an earlier
// cycle).
inline bool has_room(mesh_state &m, ring &r, std::uint32_t room, cycle t, bool strictly) {
  if (r.tail < room) return true;
  std::uint32_t before = r.tail - room;
  if (before >= r.head) return unpacked(r.gate).train && train_left(m, r, before, t, strictly);
  cycle left = m.at(r, before).time;
  return strictly ? left < t : left <= t;
}

inline void put(mesh_state &m, ring &r, std::uint32_t bits, cycle ready, bool control) {
  word &w = m.at(r, r.tail);
  w.bits = bits;
  w.time = ready;
  std::uint64_t place = 1ull << (r.tail & (m.ring_size - 1));
  if (control)
    r.control |= place;
  else if (r.control)
    r.control &= ~place;
  ++r.tail;
}

// Of a register or constant.
inline std::uint32_t register_value(const mesh_state &m, const core &c, const weft_operand &o) {
  return o.kind == WEFT_CONSTANT ? o.bits : m.registers[c.registers + o.index];
}

// mesh_fabric.cpp
void schedule(mesh_state &m, row &b, cycle when, event e);
inline void set_ports(mesh_state &m, std::uint64_t lane, std::uint8_t to) {
  m.lane(lane).to = to;
  m.ports[lane] = to;
}
inline void activate_router(row &b, std::uint32_t router) {
  std::uint32_t local = router - b.first;
  b.active[local / 64] |= 1ull << (local % 64);
  b.any_active = true;
}
// What one of its slots waits for has come about: all are asked again.
inline void wake_router(mesh_state &m, row &b, std::uint32_t router) {
  m.told[router] = 0;
  activate_router(b, router);
}
void move_words(mesh_state &m, row &b, cycle t);
// Between a row and a column: takes m.turn cycles more.
inline bool turns(std::uint8_t from, int port) { return from != WEFT_RAMP && from % 2 != port % 2; }
std::uint32_t neighbour(const mesh_state &m, std::uint32_t router, int port);
row &row_at(row &b, int port);  // of the neighbour; rows lie one behind the other
// The channel that takes what leaves by this port; nullptr: none.
channel_state *channel_out(mesh_state &m, std::uint32_t router, std::uint32_t slot, int port);
void tell_feeders(mesh_state &m, row &b, ring &lane, std::uint32_t router, std::uint32_t slot, cycle t, bool all);
constexpr std::uint8_t opposite[WEFT_PORTS] = {WEFT_SOUTH, WEFT_WEST, WEFT_NORTH, WEFT_EAST, WEFT_RAMP};
// A word from the core (or a channel) into a lane; the caller has asked for room.
void enter(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane, std::uint32_t bits, cycle ready,
           bool control);
bool may_enter(mesh_state &m, ring &lane, std::uint8_t from, cycle when);
// The word that entered last, from the core, ends a send that advances the router's switch; it may leave from `ready`
// on.
void advance_switch(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane, cycle ready);

// mesh_train.cpp
// The core's operation `number` sends from memory, and may do so now; true: its words go as a train from here on.
bool begin_train(mesh_state &m, row &b, std::uint32_t router, std::uint8_t number, operation &o);
// Has this source of a train sent its last word before cycle t? Then it is brought up to date.
bool source_done(mesh_state &m, row &b, std::uint32_t router, operation &o, cycle t);
// The core wants to put words of its own into a lane: a train from elsewhere that is still coming becomes words.
void make_way(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot);
// Before a router moves words in cycle t: announced trains flow if they can; those in the way of others become words.
void settle_trains(mesh_state &m, row &b, std::uint32_t router, cycle t);
// Does the router have to look out in the next cycle for a train from a neighbour? Of those from its core it is told.
bool expects_trains(const mesh_state &m, std::uint32_t router);
// Makes words of the trains in the list, which is emptied; what has left until cycle `last` has left as a train.
void part_listed(mesh_state &m, row &b, std::vector<train_place> &list, cycle last);
void end_train(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, cycle t);
// At the end of a run: what is still on its way becomes words.
void part_all(mesh_state &m);
// The lane has no room for the core's operation: when it asks again.
void wait_for_lane(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &lane);

// mesh_core.cpp
std::uint32_t quick_result(const operation &o, std::uint32_t wavelet, std::uint32_t other);
void operation_done(mesh_state &m, row &b, std::uint32_t where, std::uint8_t number, operation &o);
void word_arrived(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, ring &sink);
void control_arrived(mesh_state &m, row &b, std::uint32_t router, std::uint32_t slot, cycle ready);
void handle(mesh_state &m, row &b, const event &e, cycle t);
void start_cores(mesh_state &m, row &b);

// mesh_vector.cpp
bool compute(mesh_state &m, const core &c, const weft_instruction &i, std::uint32_t first, std::uint32_t count,
             const std::uint32_t *received, std::uint32_t *sent, std::string &failure);
void prepare_quick(mesh_state &m, const core &c, operation &o);  // sets `how` and what it needs
cost cost_of(const weft_mesh &mesh, const weft_instruction &i);
// How much longer the operation's elements take because its sources meet in the banks; 1: not at all.
double conflict_of(const mesh_state &m, const core &c, const weft_instruction &i);
// Of two places in bytes.
double conflict_at(const mesh_state &m, std::int64_t first, std::int64_t second);
double flops_of(const weft_instruction &i);

// mesh_prepared.cpp: the same as compute() and conflict_of, quicker. What returns false has done nothing.
std::vector<prepared> prepare(const mesh_state &m, const weft_program &program, const std::vector<cost> &costs);
bool carry_out(mesh_state &m, const core &c, const weft_instruction &i, const prepared &q, std::uint32_t count);
double factor_of(const mesh_state &m, const core &c, const weft_instruction &i, const prepared &q);
// A map loop whose counter holds its first value; `count` elements in each of at least one turn.
bool carry_out_map(mesh_state &m, const core &c, const weft_instruction &loop, const weft_instruction &body,
                   const cost &k, const prepared &q, std::uint32_t turns, std::uint32_t count, double &out_cycles);

// mesh_observe.cpp: what an observer is told.
inline bool watched(const mesh_state &m, std::uint32_t where) {
  if (!m.options.observer) return false;
  const weft_block &r = m.options.observer->where;
  std::uint32_t x = where % m.columns, y = where / m.columns;
  return x >= r.x && x < r.x_end && y >= r.y && y < r.y_end;
}
void tell_instruction(const mesh_state &m, std::uint32_t where, const weft_instruction &i, cycle begin, cycle end,
                      bool microthread);
void tell_task(const mesh_state &m, std::uint32_t where, cycle end);
// Waiting ends at cycle `end`: of an operation since it was free, of the core itself (nobody) since its clock.
void tell_stall(const mesh_state &m, std::uint32_t where, std::uint8_t number, weft_stall why, std::uint32_t colour,
                cycle end);
void tell_hops(const mesh_state &m, std::uint32_t router, std::uint32_t slot, std::uint32_t ports, std::uint32_t bits,
               bool control, cycle since, cycle t);
void tell_unended(mesh_state &m, cycle t);  // a run that comes to no end: what is under way

// mesh_explain.cpp
weft_status explain_deadlock(mesh_state &m, cycle t);

}  // namespace weft
#endif
