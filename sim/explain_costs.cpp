// What the costs of compute steps rest on, op by op.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/region.h"
#include "sim/sim.h"

namespace weft {

struct account {
  std::string op, basis;
  const weft_cost_class *form = nullptr;
  std::uint64_t steps = 0;
  double seconds = 0, beyond = 1;
  weft_cost_variable beyond_in = WEFT_COST_COLUMNS;
};

static std::string basis_of(const weft_schedule &schedule, const region_cycles &cycles) {
  if (schedule.machine->kind != WEFT_MESH) return "roofline";
  return cycles.form ? cycles.form->algorithm : "closed form";
}

static void add(account &to, const weft_schedule &schedule, std::uint32_t number, const region_cycles &cycles) {
  double runs = weft_step_runs(&schedule, number);
  work cost = cost_portion(schedule, schedule.steps[number], {1.0, true});
  to.steps += static_cast<std::uint64_t>(runs);
  to.seconds += runs * (cost.useful_seconds + cost.overhead_seconds);
  to.form = cycles.form;
  if (cycles.beyond > to.beyond) {
    to.beyond = cycles.beyond;
    to.beyond_in = cycles.beyond_in;
  }
}

static std::vector<account> accounts_of(const weft_schedule &schedule) {
  std::map<std::pair<std::string, std::string>, account> by_op;
  for (std::uint32_t number = 0; number < schedule.step_count; ++number) {
    const weft_step &step = schedule.steps[number];
    if (step.queue != WEFT_QUEUE_COMPUTE) continue;
    region_cycles cycles;
    if (schedule.machine->kind == WEFT_MESH) cycles = region_step_cycles(schedule, step);
    std::string op = weft_op_name(step.op), basis = basis_of(schedule, cycles);
    account &to = by_op[{op, basis}];
    to.op = op;
    to.basis = basis;
    add(to, schedule, number, cycles);
  }
  std::vector<account> accounts;
  for (const auto &entry : by_op) accounts.push_back(entry.second);
  std::stable_sort(accounts.begin(), accounts.end(),
                   [](const account &a, const account &b) { return a.seconds > b.seconds; });
  return accounts;
}

static void print(const weft_schedule &schedule, weft_table_form form, FILE *out) {
  weft_table *table = weft_table_create();
  for (const char *name : {"op", "basis"}) weft_table_column(table, name, nullptr);
  weft_table_column(table, "steps", nullptr);
  weft_table_column(table, "time", "s");
  weft_table_column(table, "mean_error", "%");
  weft_table_column(table, "worst_error", "%");
  weft_table_column(table, "beyond", "x");
  weft_table_column(table, "in", nullptr);
  for (const account &a : accounts_of(schedule)) {
    weft_table_row(table);
    weft_table_text(table, a.op.c_str());
    weft_table_text(table, a.basis.c_str());
    weft_table_integer(table, static_cast<std::int64_t>(a.steps));
    weft_table_number(table, a.seconds, 4);
    if (!a.form) {
      for (int i = 0; i < 4; ++i) weft_table_text(table, nullptr);
      continue;
    }
    weft_table_number(table, 100 * a.form->mean_error, 2);
    weft_table_number(table, 100 * a.form->worst_error, 2);
    weft_table_number(table, a.beyond, 3);
    weft_table_text(table, a.beyond > 1 ? weft_cost_about(a.beyond_in) : nullptr);
  }
  weft_table_print(table, form, out);
  weft_table_destroy(table);
}

}  // namespace weft

extern "C" void weft_sim_costs_print(const weft_schedule *schedule, weft_table_form form, FILE *out) {
  weft::print(*schedule, form, out);
}
