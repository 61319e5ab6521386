// Costs fitted to the wavelet level: a small calibration, the committed tables against freshly executed kernels, wrong
// tables, and what reading refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/text.h"
#include "models/machine.h"
#include "plan/calibrate.h"

static void require(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

static weft_machine *machine_named(const char *name) {
  weft_machine *machine = NULL;
  require(weft_machine_read(name, &machine));
  return machine;
}

static weft_costs *calibrated(const weft_machine *machine, const char *op) {
  weft_calibration_options options = {.quick = true, .op = op};
  weft_costs *costs = NULL;
  require(weft_calibrate(machine, &options, &costs));
  return costs;
}

// The forms are sums of causes, predict what was held out, and come out the same twice, from the file too.
static void test_small_calibration(void **state) {
  (void)state;
  weft_machine *machine = machine_named("wse2");
  weft_costs *costs = calibrated(machine, "rms_norm"), *again = calibrated(machine, "rms_norm"), *read = NULL;
  assert_int_equal(costs->class_count, 2);
  for (uint32_t c = 0; c < 2; ++c) {
    const weft_cost_class *form = &costs->classes[c];
    assert_int_equal(form->fitted, 24);
    assert_int_equal(form->held_out, 8);
    if (!(form->mean_error < 0.05)) fail_msg("mean error %g", form->mean_error);
    for (uint32_t t = 0; t < form->term_count; ++t) assert_true(form->terms[t].cycles >= 0 && form->terms[t].cause[0]);
  }
  char *text = weft_costs_pack(costs), *other = weft_costs_pack(again);
  assert_string_equal(text, other);
  require(weft_costs_unpack(text, "table", &read));
  assert_true(weft_costs_hash(read) == weft_costs_hash(costs));
  free(text);
  free(other);
  weft_costs_destroy(read);
  weft_costs_destroy(again);
  weft_costs_destroy(costs);
  weft_machine_destroy(machine);
}

static uint32_t beyond(const weft_machine *machine, const weft_costs *costs, const char *op) {
  weft_calibration_options options = {.quick = true, .op = op};
  weft_calibration_check *checks;
  uint32_t count, wrong = 0;
  require(weft_calibration_try(machine, costs, &options, 4, &checks, &count));
  assert_true(count > 0);
  for (uint32_t c = 0; c < count; ++c) wrong += !checks[c].within;
  free(checks);
  return wrong;
}

// What the region level charges most for, executed on shapes that the committed table has not seen.
static void test_committed_tables(void **state) {
  (void)state;
  static const char *const ops[] = {"linear", "linear_backward_weight", "attention", "rms_norm", "activation", "embed"};
  static const char *const machines[] = {"wse2", "wse3"};
  for (size_t m = 0; m < sizeof machines / sizeof *machines; ++m) {
    weft_machine *machine = machine_named(machines[m]);
    assert_non_null(machine->costs);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; ++i)
      if (beyond(machine, machine->costs, ops[i]))
        fail_msg("%s, %s: fresh shapes are further off than the table states", machines[m], ops[i]);
    weft_machine_destroy(machine);
  }
}

// Systems are what their vendor's compiler makes of the wafer, which our kernels say nothing about.
static void test_systems_have_none(void **state) {
  (void)state;
  static const char *const systems[] = {"cs1", "cs2", "cs3"};
  for (size_t i = 0; i < sizeof systems / sizeof *systems; ++i) {
    weft_machine *machine = machine_named(systems[i]);
    assert_null(machine->costs);
    weft_machine_destroy(machine);
  }
}

static void test_wrong_tables_fail(void **state) {
  (void)state;
  weft_machine *machine = machine_named("wse2");
  for (uint32_t c = 0; c < machine->costs->class_count; ++c)
    for (uint32_t t = 0; t < machine->costs->classes[c].term_count; ++t)
      machine->costs->classes[c].terms[t].cycles *= 1.5;
  assert_int_equal(beyond(machine, machine->costs, "rms_norm"), 2);
  assert_int_equal(beyond(machine, machine->costs, "linear_backward_weight"), 2);
  weft_machine_destroy(machine);
}

static void refuse(weft_status status, const char *what) {
  assert_non_null(status);
  if (!strstr(weft_status_message(status), what)) fail_msg("%s\ndoes not say: %s", weft_status_message(status), what);
  weft_status_free(status);
}

// Cores with other constants cannot have the table, and are told which constant it is.
static void test_other_cores(void **state) {
  (void)state;
  weft_machine *machine = machine_named("wse2"), *spelled = NULL;
  machine->mesh.columns = 5, machine->mesh.clock_hz = 1e9;  // change no cycle
  require(weft_machine_check(machine));
  machine->mesh.times.loop_cycles = 4;
  refuse(weft_machine_check(machine), "was fitted to cores with loop 14 cycles, and this machine has 4 cycles");
  refuse(weft_machine_read("mesh:8x8 loop:4cycles costs:wse2", &spelled), "loop 14 cycles");
  refuse(weft_machine_read("mesh:8x8 costs:wse", &spelled), "the nearest name is");
  require(weft_machine_read("mesh:8x8 costs:wse2", &spelled));
  assert_non_null(spelled->costs);
  weft_machine_destroy(spelled);
  weft_machine_destroy(machine);
}

// A machine carries its table: packed and read back it needs no other file, and is the same machine.
static void test_machines_carry_tables(void **state) {
  (void)state;
  weft_machine *machine = machine_named("wse2"), *read = NULL, *without = machine_named("wse2");
  char *yaml = weft_machine_pack(machine);
  assert_non_null(strstr(yaml, "fitted_costs: |"));
  require(weft_machine_unpack(yaml, "packed", &read));
  assert_non_null(read->costs);
  assert_true(weft_machine_hash(read) == weft_machine_hash(machine));
  weft_costs_destroy(without->costs);
  without->costs = NULL;
  assert_true(weft_machine_hash(without) != weft_machine_hash(machine));
  free(yaml);
  weft_machine_destroy(without);
  weft_machine_destroy(read);
  weft_machine_destroy(machine);
}

static void test_refusals(void **state) {
  (void)state;
  static const char *const head =
      "name: t\nsource: test\nconstants:\n  - {constant: loop, value: 14 cycles}\nclasses:\n";
  static const struct {
    const char *classes, *says;
  } cases[] = {
      {"  - {op: add, algorithm: lowered, dtype: f32, fitted: 1, held_out: 1, mean_error: 1 %, worst_error: 2 %,\n"
       "     terms: [{cycles: 1 cycle, of: n z, cause: c}], ranges: []}\n",
       "t.yaml:6:6: \"n z\": a term is \"1\" or letters"},
      {"  - {op: add, algorithm: lowered, dtype: f32, fitted: 1, held_out: 1, mean_error: 1 %, worst_error: 2 %,\n"
       "     terms: [{cycles: 1, of: n, cause: c}], ranges: []}\n",
       "t.yaml:6:6: cycles: \"1\" has no unit"},
      {"  - {op: ad, algorithm: lowered, dtype: f32, fitted: 1, held_out: 1, mean_error: 1 %, worst_error: 2 %,\n"
       "     terms: [{cycles: 1 cycle, of: n, cause: c}], ranges: []}\n",
       "add"},
      {"  - {op: add, algorithm: lowered, dtype: f32, fitted: 1, held_out: 1, mean_error: 3 %, worst_error: 2 %,\n"
       "     terms: [{cycles: 1 cycle, of: n, cause: c}], ranges: []}\n",
       "0 <= mean <= worst is right"},
      {"  - {op: add, algorithm: lowered, dtype: f32, fitted: 1, held_out: 1, mean_error: 1 %, worst_error: 2 %,\n"
       "     terms: [{cycle: 1 cycle, of: n, cause: c}], ranges: []}\n",
       "unknown key \"cycle\"; the nearest known one is \"cycles\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    weft_costs *costs;
    char *yaml = weft_format("%s%s", head, cases[i].classes);
    refuse(weft_costs_unpack(yaml, "t.yaml", &costs), cases[i].says);
    free(yaml);
  }
}

static void test_requests(void **state) {
  (void)state;
  weft_machine *mesh = machine_named("wse2"), *roofline = machine_named("h100");
  weft_costs *costs;
  weft_calibration_options options = {.quick = true, .op = "rms_nom"};
  refuse(weft_calibrate(mesh, &options, &costs), "the nearest that is: rms_norm");
  options.op = NULL;
  refuse(weft_calibrate(roofline, &options, &costs), "no mesh of cores");
  weft_machine_destroy(mesh);
  weft_machine_destroy(roofline);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_small_calibration), cmocka_unit_test(test_committed_tables),
      cmocka_unit_test(test_systems_have_none), cmocka_unit_test(test_wrong_tables_fail),
      cmocka_unit_test(test_other_cores),       cmocka_unit_test(test_machines_carry_tables),
      cmocka_unit_test(test_refusals),          cmocka_unit_test(test_requests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
