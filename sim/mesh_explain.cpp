// Why a mesh came to rest before its programs had ended.
#include <string>

#include "sim/mesh_state.h"

namespace weft {

static constexpr int most_shown = 6;

static std::string place(const mesh_state &m, std::uint32_t where) {
  return "(" + std::to_string(where % m.columns) + ", " + std::to_string(where / m.columns) + ")";
}

static std::string at_line(const weft_instruction &i) {
  return i.line ? " in line " + std::to_string(i.line) : std::string();
}

static std::string port_name(std::uint8_t port) {
  return port < WEFT_PORTS ? weft_port_name(static_cast<weft_port>(port)) : "nowhere";
}

// What keeps a core from sending: no room, or a switch that does not take from the ramp.
static std::string why_not_sent(mesh_state &m, std::uint32_t where, std::uint32_t colour) {
  gate g = unpacked(m.lane(m.index(where, m.slot_of[colour])).gate);
  if (g.from == WEFT_RAMP || g.from >= WEFT_PORTS) return " for room to send colour " + std::to_string(colour);
  return " to send colour " + std::to_string(colour) + ", which its router takes from the " + port_name(g.from) +
         " at switch position " + std::to_string(g.position);
}

static std::string why_waits(mesh_state &m, std::uint32_t where, const operation &o) {
  const weft_instruction &i = *o.instruction;
  std::string text = std::string(weft_instruction_name(i.kind)) + at_line(i) + " has done " +
                     std::to_string(o.element) + " of " + std::to_string(o.count) + " elements and waits";
  for (const weft_operand *r : {&i.a, &i.b, &i.c}) {
    if (r->kind != WEFT_RECEIVE) continue;
    ring &sink = m.sink(m.index(where, m.slot_of[r->index]));
    if (sink.head == sink.tail) return text + " for a wavelet of colour " + std::to_string(r->index);
  }
  if (i.to.kind == WEFT_SEND) return text + why_not_sent(m, where, i.to.index);
  return text;
}

static std::string ports(std::uint8_t mask) {
  std::string text;
  for (int port = 0; port < WEFT_PORTS; ++port)
    if (mask & 1u << port)
      text += (text.empty() ? "" : "+") + std::string(weft_port_name(static_cast<weft_port>(port)));
  return text.empty() ? "nowhere" : text;
}

static std::string stuck_lane(mesh_state &m, std::uint32_t router, std::uint32_t slot) {
  ring &lane = m.lane(m.index(router, slot));
  gate g = unpacked(lane.gate);
  std::string text = "router " + place(m, router) + " holds " + std::to_string(lane.tail - lane.head) +
                     " wavelets of colour " + std::to_string(m.colour_of[slot]);
  if (lane.route == 0) return text + ", which it has no route for";
  return text + " (switch position " + std::to_string(g.position) + ": from " + port_name(g.from) + " to " +
         ports(lane.to) + ")";
}

weft_status explain_deadlock(mesh_state &m, cycle t) {
  std::string text;
  int found = 0, more = 0;
  auto say = [&](const std::string &what) {
    if (found++ < most_shown)
      text += (text.empty() ? "" : "; ") + what;
    else
      ++more;
  };
  for (std::uint32_t where = 0; where < m.routers; ++where) {
    const core &c = m.cores[where];
    if (c.program == WEFT_NOTHING) continue;
    const weft_program &p = m.kernel->programs[c.program];
    for (std::uint32_t left = c.threads; left != 0; left &= left - 1) {
      int number = __builtin_ctz(left);
      const operation &o = m.operations[c.first_operation + static_cast<unsigned>(number)];
      std::string who = "core " + place(m, where) + ", program " + p.name;
      who +=
          number == 0 ? std::string(", task ") + p.tasks[c.task].name : ", microthread " + std::to_string(number - 1);
      if (o.instruction) say(who + ": " + why_waits(m, where, o));
    }
    if (c.threads == 0 && c.state == doing::operating && c.pc < c.end)
      say("core " + place(m, where) + ", program " + p.name + ": " + weft_instruction_name(p.code[c.pc].kind) +
          at_line(p.code[c.pc]) + " waits with a control wavelet" + why_not_sent(m, where, p.code[c.pc].to.index));
  }
  for (std::uint32_t router = 0; router < m.routers; ++router)
    for (std::uint32_t left = m.occupied[router]; left != 0; left &= left - 1)
      say(stuck_lane(m, router, static_cast<std::uint32_t>(__builtin_ctz(left))));
  for (std::uint32_t where = 0; where < m.routers; ++where) {
    const core &c = m.cores[where];
    if (c.state == doing::stopped) continue;
    for (std::uint32_t slot = 0; slot < m.slots; ++slot) {
      const ring &sink = m.sink(m.index(where, slot));
      if (sink.head != sink.tail && sink.reader == nobody)
        say("core " + place(m, where) + " has never taken " + std::to_string(sink.tail - sink.head) +
            " wavelets of colour " + std::to_string(m.colour_of[slot]));
    }
  }
  for (const channel_state &c : m.channels)
    if (c.done != c.count)
      say(std::string("channel ") + c.channel->name + " has carried " + std::to_string(c.done) + " of " +
          std::to_string(c.count) + " words");
  if (found == 0) return nullptr;
  if (more > 0) text += "; and " + std::to_string(more) + " more";
  return weft_error(WEFT_FAILED, "deadlock: after cycle %u nothing moves: %s", t, text.c_str());
}

}  // namespace weft
