// Does the compiler do what its headers say: every network in every mode, plans that fit, the same bytes every time,
// and a checker that sees what is wrong?
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compile.h"
#include "models/graph.h"

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

static weft_schedule *compile(const char *network_name, const char *machine_name, weft_run run) {
  weft_network network;
  must(weft_network_read(network_name, &network));
  weft_machine *machine;
  must(weft_machine_read(machine_name, &machine));
  weft_schedule *schedule = NULL;
  must(weft_compile(&network, machine, &run, &schedule));
  weft_machine_destroy(machine);
  return schedule;
}

static weft_run run_of(weft_mode mode, uint32_t batch, uint32_t sequence) {
  weft_run run = weft_run_default();
  run.mode = mode;
  run.batch = batch;
  run.sequence = sequence;
  return run;
}

static void every_network_compiles_in_every_mode(void **state) {
  (void)state;
  char **names;
  uint32_t count;
  must(weft_network_names(&names, &count));
  assert_true(count >= 20);
  for (uint32_t i = 0; i < count; ++i) {
    for (int mode = 0; mode < WEFT_MODE_COUNT; ++mode) {
      if (strncmp(names[i], "bert", 4) == 0 && mode == WEFT_DECODE) continue;  // bidirectional: refused, see below
      weft_schedule *schedule = compile(names[i], "cs3", run_of((weft_mode)mode, 1, 128));
      assert_true(schedule->step_count > schedule->network.layers);
      assert_true(schedule->memory_bytes <= schedule->memory_limit);
      weft_schedule_destroy(schedule);
    }
    free(names[i]);
  }
  free(names);
}

static void training_reads_every_weight_twice_and_updates_each_once(void **state) {
  (void)state;
  weft_schedule *s = compile("gpt2", "cs2", run_of(WEFT_TRAIN, 2, 128));
  uint32_t parameters = weft_network_parameter_tensors(&s->network);
  uint32_t *loads = calloc(parameters, sizeof *loads), *updates = calloc(parameters, sizeof *updates);
  for (uint32_t i = 0; i < s->step_count; ++i) {
    const weft_step *step = &s->steps[i];
    for (int k = 0; k < 2 && step->op == WEFT_OP_LOAD; ++k)
      if (step->inputs[k] != WEFT_NONE) ++loads[s->tensors[step->inputs[k]].parameter];
    if (step->op == WEFT_OP_ADAMW) ++updates[s->tensors[step->inputs[0]].parameter];
  }
  for (uint32_t p = 0; p < parameters; ++p) {
    weft_parameter facts = weft_network_parameter(&s->network, p);
    assert_int_equal(updates[p], 1);
    bool looked_up = facts.role == WEFT_POSITION_EMBEDDING;
    bool bias = facts.rank == 1 && strstr(facts.name, "bias");
    if (!looked_up && !bias) assert_int_equal(loads[p], 2);
  }
  free(loads);
  free(updates);
  weft_schedule_destroy(s);
}

// FLOPs of a training step against the closed form 6 * weights * tokens + attention, for the matrices alone.
static void work_agrees_with_the_closed_form(void **state) {
  (void)state;
  weft_run run = run_of(WEFT_TRAIN, 4, 512);
  run.recompute = WEFT_RECOMPUTE_NONE;
  weft_schedule *s = compile("cerebras-gpt-111m", "cs3", run);
  double d = 768, layers = 10, tokens = 4 * 512, pairs = 512 * 513 / 2.0 * 4;
  double matrices = 6 * tokens * (layers * 12 * d * d + 50257 * d), attention = layers * pairs * d * 4 * 3.5;
  double flops = weft_schedule_flops(s, true);
  assert_true(flops > matrices + attention);
  assert_true(flops < 1.02 * (matrices + attention));
  weft_schedule_destroy(s);
}

static void micro_batches_and_recomputation_follow_memory(void **state) {
  (void)state;
  weft_run run = run_of(WEFT_TRAIN, 720, 2048);
  run.systems = 16;
  weft_schedule *s = compile("cerebras-gpt-13b", "cs2", run);
  assert_true(s->iterations > 1);
  assert_int_equal(s->iterations * s->micro_batch * 16, 720);
  assert_true(weft_schedule_flops(s, true) >= weft_schedule_flops(s, false));
  bool reduces = false;
  for (uint32_t i = 0; i < s->step_count; ++i) reduces = reduces || s->steps[i].op == WEFT_OP_ALL_REDUCE;
  assert_true(reduces);
  weft_schedule_destroy(s);
}

static void what_does_not_fit_is_infeasible_with_numbers(void **state) {
  (void)state;
  weft_network network;
  must(weft_network_read("llama-7b", &network));
  weft_machine *machine;
  must(weft_machine_read("mesh:4x4 sram:48KiB", &machine));
  weft_run run = run_of(WEFT_TRAIN, 1, 512);
  weft_schedule *schedule = NULL;
  weft_status status = weft_compile(&network, machine, &run, &schedule);
  assert_int_equal(weft_status_code(status), WEFT_INFEASIBLE);
  assert_non_null(strstr(weft_status_message(status), "llama-7b"));
  assert_non_null(strstr(weft_status_message(status), "per core"));
  assert_null(schedule);
  weft_status_free(status);
  weft_machine_destroy(machine);
}

static void same_input_same_bytes_and_back(void **state) {
  (void)state;
  for (int mode = 0; mode < WEFT_MODE_COUNT; ++mode) {
    uint8_t *bytes[3];
    size_t sizes[3];
    weft_schedule *first = compile("smollm2-135m", "h100", run_of((weft_mode)mode, 2, 64));
    weft_schedule *second = compile("smollm2-135m", "h100", run_of((weft_mode)mode, 2, 64)), *third;
    must(weft_schedule_pack(first, &bytes[0], &sizes[0]));
    must(weft_schedule_pack(second, &bytes[1], &sizes[1]));
    must(weft_schedule_unpack(bytes[0], sizes[0], &third));
    must(weft_schedule_pack(third, &bytes[2], &sizes[2]));
    for (int i = 1; i < 3; ++i) {
      assert_int_equal(sizes[0], sizes[i]);
      assert_memory_equal(bytes[0], bytes[i], sizes[0]);
    }
    assert_int_equal(weft_schedule_hash(first), weft_schedule_hash(third));
    for (int i = 0; i < 3; ++i) free(bytes[i]);
    weft_schedule_destroy(first);
    weft_schedule_destroy(second);
    weft_schedule_destroy(third);
  }
}

// Every dependency that the compiler wrote is needed: without it the checker complains.
static void the_checker_misses_no_dependency(void **state) {
  (void)state;
  weft_schedule *s = compile("gpt2", "h100", run_of(WEFT_TRAIN, 1, 16));
  assert_true(s->dependency_count > 100);
  for (uint32_t i = 0; i < s->step_count; ++i) {
    weft_step *step = &s->steps[i];
    if (step->dependency_count != 1) continue;
    step->dependency_count = 0;
    weft_status status = weft_schedule_check(s);
    if (!status) fail_msg("step %u can do without waiting for %u", i, s->dependencies[step->first_dependency]);
    weft_status_free(status);
    step->dependency_count = 1;
    if (i > 150) break;
  }
  must(weft_schedule_check(s));
  weft_schedule_destroy(s);
}

// Two operands of one step in one slot: one of them has been overwritten, wherever it is.
static void the_checker_sees_shared_slots(void **state) {
  (void)state;
  weft_schedule *s = compile("gpt2", "h100", run_of(WEFT_PREFILL, 1, 16));
  uint32_t tried = 0;
  for (uint32_t i = 0; i < s->step_count; ++i) {
    if (s->steps[i].op != WEFT_OP_ADD) continue;
    weft_tensor *a = &s->tensors[s->steps[i].inputs[0]], *b = &s->tensors[s->steps[i].inputs[1]];
    uint32_t kept = a->slot;
    a->slot = b->slot;
    weft_status status = weft_schedule_check(s);
    if (!status) fail_msg("step %u: %s and %s share slot %u", i, a->name, b->name, b->slot);
    weft_status_free(status);
    a->slot = kept;
    ++tried;
  }
  assert_true(tried >= 24);
  weft_schedule_destroy(s);
}

static void recomputation_repeats_the_forward_pass_only(void **state) {
  (void)state;
  weft_run run = run_of(WEFT_TRAIN, 2, 64);
  run.recompute = WEFT_RECOMPUTE_NONE;
  weft_schedule *keep = compile("gpt2", "cs2", run);
  run.recompute = WEFT_RECOMPUTE_BLOCK;
  weft_schedule *again = compile("gpt2", "cs2", run);
  double extra = weft_schedule_flops(again, true) - weft_schedule_flops(keep, true);
  assert_true(weft_schedule_flops(again, false) == weft_schedule_flops(keep, false));
  assert_true(extra > 0.1 * weft_schedule_flops(keep, true) && extra < 0.34 * weft_schedule_flops(keep, true));
  assert_true(again->memory_bytes < keep->memory_bytes);
  weft_schedule_destroy(keep);
  weft_schedule_destroy(again);
}

static void runs_that_make_no_sense_are_refused(void **state) {
  (void)state;
  weft_network network;
  must(weft_network_read("gpt2", &network));
  weft_machine *machine;
  must(weft_machine_read("cs2", &machine));
  weft_run runs[] = {run_of(WEFT_TRAIN, 3, 64), run_of(WEFT_TRAIN, 0, 64), run_of(WEFT_PREFILL, 1, 4096),
                     run_of(WEFT_TRAIN, 1000, 64)};
  runs[0].systems = 2;
  runs[3].systems = 1000;
  for (size_t i = 0; i < sizeof runs / sizeof *runs; ++i) {
    weft_schedule *schedule = NULL;
    weft_status status = weft_compile(&network, machine, &runs[i], &schedule);
    assert_int_equal(weft_status_code(status), WEFT_INVALID);
    weft_status_free(status);
  }
  weft_machine_destroy(machine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_network_compiles_in_every_mode),
      cmocka_unit_test(training_reads_every_weight_twice_and_updates_each_once),
      cmocka_unit_test(work_agrees_with_the_closed_form),
      cmocka_unit_test(micro_batches_and_recomputation_follow_memory),
      cmocka_unit_test(what_does_not_fit_is_infeasible_with_numbers),
      cmocka_unit_test(same_input_same_bytes_and_back),
      cmocka_unit_test(the_checker_misses_no_dependency),
      cmocka_unit_test(the_checker_sees_shared_slots),
      cmocka_unit_test(recomputation_repeats_the_forward_pass_only),
      cmocka_unit_test(runs_that_make_no_sense_are_refused),
  };
  return cmocka_run_group_tests_name("compiler/compile", tests, NULL, NULL);
}
