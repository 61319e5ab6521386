// What an observer of the mesh is told. Nothing here changes the mesh.
#include <algorithm>

#include "sim/mesh_state.h"

namespace weft {

static cycle whole_cycle(std::uint64_t t) { return static_cast<cycle>((t + 255) / 256); }

static bool in_window(const mesh_state &m, cycle begin, cycle end) {
  return end > begin && end > m.options.observer->begin && begin < m.options.observer->end;
}

void tell_instruction(const mesh_state &m, std::uint32_t where, const weft_instruction &i, cycle begin, cycle end,
                      bool microthread) {
  const weft_mesh_observer &o = *m.options.observer;
  if (!o.core || !in_window(m, begin, end)) return;
  const core &c = m.cores[where];
  auto number = static_cast<std::uint32_t>(&i - m.kernel->programs[c.program].code);
  weft_core_event e = {where % m.columns, where / m.columns, c.task, number, begin, end, microthread};
  o.core(o.context, &e);
}

void tell_task(const mesh_state &m, std::uint32_t where, cycle end) {
  const weft_mesh_observer &o = *m.options.observer;
  const core &c = m.cores[where];
  if (!o.task || !in_window(m, c.since, end)) return;
  weft_task_event e = {where % m.columns, where / m.columns, c.task, c.since, end};
  o.task(o.context, &e);
}

void tell_stall(const mesh_state &m, std::uint32_t where, std::uint8_t number, weft_stall why, std::uint32_t colour,
                cycle end) {
  const weft_mesh_observer &o = *m.options.observer;
  const core &c = m.cores[where];
  weft_stall_event e = {where % m.columns, where / m.columns, WEFT_NOTHING, colour, why, c.clock, end};
  if (number != nobody) {
    e.begin = whole_cycle(m.operations[c.first_operation + number].free_at);
    if (number > 0) e.microthread = number - 1u;
  }
  if (o.stall && in_window(m, static_cast<cycle>(e.begin), end)) o.stall(o.context, &e);
}

void tell_hops(const mesh_state &m, std::uint32_t router, std::uint32_t slot, std::uint32_t ports, std::uint32_t bits,
               bool control, cycle since, cycle t) {
  const weft_mesh_observer &o = *m.options.observer;
  if (!o.hop || t < o.begin || t >= o.end) return;
  weft_hop_event e = {};
  e.x = router % m.columns;
  e.y = router / m.columns;
  e.colour = m.colour_of[slot];
  e.control = control;
  e.since = since;
  e.cycle = t;
  e.bits = bits;
  for (; ports != 0; ports &= ports - 1) {
    e.port = static_cast<std::uint8_t>(__builtin_ctz(ports));
    o.hop(o.context, &e);
  }
}

static void tell_operation(mesh_state &m, std::uint32_t where, std::uint8_t number, cycle end) {
  const operation &o = m.operations[m.cores[where].first_operation + number];
  if (!o.instruction) return;
  const weft_instruction &i = *o.instruction;
  const weft_operand *lacking = nullptr;
  for (const weft_operand *r : {&i.a, &i.b, &i.c}) {
    if (r->kind != WEFT_RECEIVE) continue;
    const ring &sink = m.sink(m.index(where, m.slot_of[r->index]));
    if (sink.head == sink.tail) lacking = r;
  }
  if (lacking)
    tell_stall(m, where, number, WEFT_STALL_RECEIVE, lacking->index, end);
  else if (i.to.kind == WEFT_SEND && o.element < o.count)
    tell_stall(m, where, number, WEFT_STALL_SEND, i.to.index, end);
  tell_instruction(m, where, i, o.began, end, number > 0);
}

static void tell_core(mesh_state &m, std::uint32_t where, cycle t) {
  const core &c = m.cores[where];
  cycle end = std::max(t, c.clock);
  for (std::uint32_t left = c.threads; left != 0; left &= left - 1)
    tell_operation(m, where, static_cast<std::uint8_t>(__builtin_ctz(left)), end);
  if (c.state == doing::nothing || c.state == doing::dispatching || c.state == doing::stopped) return;
  if (c.state == doing::waiting) tell_stall(m, where, nobody, WEFT_STALL_MICROTHREAD, WEFT_NOTHING, end);
  if (c.state == doing::operating && !(c.threads & 1) && c.pc < c.end)
    tell_stall(m, where, nobody, WEFT_STALL_SEND, m.kernel->programs[c.program].code[c.pc].to.index, end);
  tell_task(m, where, end);
}

void tell_unended(mesh_state &m, cycle t) {
  for (std::uint32_t where = 0; where < m.routers; ++where)
    if (watched(m, where) && m.cores[where].program != WEFT_NOTHING) tell_core(m, where, t);
}

}  // namespace weft
