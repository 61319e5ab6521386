// What must hold of every prediction, tried on compiled schedules: no bound is beaten, causes sum to the whole, better
// hardware is never slower, more work never quicker, and the same schedule always gives the same answer.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/compile.h"
#include "sim/sim.h"

#include <cmocka.h>

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

// NULL where the run does not fit the machine.
static weft_schedule *compile(const char *network_name, const char *machine_name, weft_run run) {
  weft_network network;
  weft_machine *machine = NULL;
  weft_schedule *schedule = NULL;
  must(weft_network_read(network_name, &network));
  must(weft_machine_read(machine_name, &machine));
  weft_status status = weft_compile(&network, machine, &run, &schedule);
  weft_machine_destroy(machine);
  if (weft_status_code(status) != WEFT_INFEASIBLE) must(status);
  weft_status_free(status);
  return schedule;
}

static weft_run training(uint32_t batch, uint32_t sequence, uint32_t systems) {
  weft_run run = weft_run_default();
  run.batch = batch;
  run.sequence = sequence;
  run.systems = systems;
  return run;
}

static weft_sim_report simulate(const weft_schedule *schedule) {
  weft_sim_report report;
  must(weft_sim_run(schedule, NULL, &report));
  double sum = 0;
  for (int i = 0; i < WEFT_CAUSE_COUNT; ++i) sum += report.exposed_seconds[i];
  if (fabs(sum - report.step_seconds) > 1e-9 * report.step_seconds)
    fail_msg("%s on %s: causes sum to %.15g s of %.15g s", schedule->network.name, schedule->machine->name, sum,
             report.step_seconds);
  if (report.step_seconds < report.bound_seconds * (1 - 1e-9))
    fail_msg("%s on %s, %s: %g s beats the bound of %g s (%s)", schedule->network.name, schedule->machine->name,
             weft_mode_name(schedule->run.mode), report.step_seconds, report.bound_seconds,
             weft_cause_name(report.bound_cause));
  for (int q = 0; q < WEFT_QUEUE_COUNT; ++q) assert_true(report.busy_seconds[q] <= report.step_seconds * (1 + 1e-9));
  assert_true(report.utilisation > 0 && report.utilisation <= 1);
  assert_true(report.exposed_seconds[WEFT_CAUSE_COMPUTE] > 0);
  return report;
}

static void no_machine_beats_its_bound(void **state) {
  (void)state;
  static const char *const networks[] = {"cerebras-gpt-111m", "gpt2", "smollm2-135m", "llama2-7b"};
  char **machines = NULL;
  uint32_t count = 0, ran = 0;
  must(weft_machine_names(&machines, &count));
  for (uint32_t m = 0; m < count; ++m) {
    for (size_t n = 0; n < sizeof networks / sizeof *networks; ++n) {
      for (int mode = 0; mode < WEFT_MODE_COUNT; ++mode) {
        weft_run run = training(2, 256, 1);
        run.mode = (weft_mode)mode;
        weft_schedule *schedule = compile(networks[n], machines[m], run);
        if (!schedule) continue;
        simulate(schedule);
        weft_schedule_destroy(schedule);
        ++ran;
      }
    }
    free(machines[m]);
  }
  free(machines);
  assert_true(ran > 50);
}

// The quantity that a law changes: doubles it and returns its name, NULL after the last.
static const char *double_one(weft_machine *machine, int which) {
  switch (which) {
    case 0: machine->io_in_bytes_per_second *= 2; return "link in";
    case 1: machine->io_out_bytes_per_second *= 2; return "link out";
    case 2: machine->store_bytes_per_second *= 2; return "store";
    case 3: machine->swarm_bytes_per_second *= 2; return "tree's port";
    case 4: machine->mesh.clock_hz *= 2; return "clock";
    case 5: machine->mesh.link_words_per_cycle *= 2; return "words per link";
    case 6: machine->mesh.mixed_per_cycle *= 2; return "rate";
    case 7: machine->roofline.memory_bytes_per_second *= 2; return "memory";
    case 8: machine->layer_seconds /= 2; return "layer switch";
    case 9: machine->io_latency_seconds /= 2; return "latency";
    default: return NULL;
  }
}

static void better_hardware_is_never_slower(void **state) {
  (void)state;
  static const char *const machines[] = {"cs2", "cs3", "a100-80gb"};
  for (size_t m = 0; m < sizeof machines / sizeof *machines; ++m) {
    weft_schedule *schedule = compile("cerebras-gpt-111m", machines[m], training(64, 512, 4));
    assert_non_null(schedule);
    weft_sim_report before = simulate(schedule);
    weft_machine kept = *schedule->machine;
    const char *what;
    for (int which = 0; (what = double_one(schedule->machine, which)) != NULL; ++which) {
      weft_sim_report after = simulate(schedule);
      if (after.step_seconds > before.step_seconds * (1 + 1e-9))
        fail_msg("%s with a better %s: %g s, before %g s", machines[m], what, after.step_seconds, before.step_seconds);
      *schedule->machine = kept;
    }
    weft_schedule_destroy(schedule);
  }
}

static double seconds_of(const char *network, const char *machine, weft_run run) {
  weft_schedule *schedule = compile(network, machine, run);
  if (!schedule) fail_msg("%s does not fit %s", network, machine);
  double seconds = simulate(schedule).step_seconds;
  weft_schedule_destroy(schedule);
  return seconds;
}

static void more_work_takes_more_time(void **state) {
  (void)state;
  weft_run run = training(16, 512, 1), twice = training(32, 512, 1);
  run.micro_batch = twice.micro_batch = 8;
  double one = seconds_of("cerebras-gpt-256m", "cs2", run), two = seconds_of("cerebras-gpt-256m", "cs2", twice);
  assert_true(two > one && two <= 2 * one * (1 + 1e-9));
  assert_true(seconds_of("cerebras-gpt-590m", "cs2", run) > one);
}

static void systems_scale_at_most_linearly(void **state) {
  (void)state;
  for (uint32_t systems = 1; systems <= 64; systems *= 2) {
    weft_run run = training(16 * systems, 512, systems), twice = training(32 * systems, 512, 2 * systems);
    run.micro_batch = twice.micro_batch = 8;
    double one = seconds_of("cerebras-gpt-111m", "cs2", run), two = seconds_of("cerebras-gpt-111m", "cs2", twice);
    if (two < one * (1 - 1e-9)) fail_msg("%u systems: %g s; %u: %g s", systems, one, 2 * systems, two);
  }
}

typedef struct digest {
  uint64_t hash, events;
} digest;

static weft_status fold(void *context, const weft_trace_event *event) {
  digest *d = context;
  const uint64_t values[] = {event->step,   event->iteration, event->start_ns,
                             event->end_ns, event->busy_ns,   event->lane};
  for (size_t i = 0; i < sizeof values / sizeof *values; ++i) d->hash = (d->hash ^ values[i]) * 0x100000001b3u;
  ++d->events;
  return NULL;
}

static void same_schedule_same_trace(void **state) {
  (void)state;
  weft_schedule *schedule = compile("cerebras-gpt-111m", "cs2", training(64, 512, 4));
  assert_non_null(schedule);
  digest first = {0, 0};
  uint64_t expected = 0;
  for (uint32_t s = 0; s < schedule->step_count; ++s) expected += weft_step_runs(schedule, s);
  for (int i = 0; i < 3; ++i) {
    digest d = {0, 0};
    weft_trace_sink sink = {&d, fold, NULL};
    weft_sim_report report;
    must(weft_sim_run(schedule, &sink, &report));
    assert_int_equal(d.events, expected);
    if (i == 0) first = d;
    assert_int_equal(d.hash, first.hash);
  }
  weft_schedule_destroy(schedule);
}

static void thirteen_billion_on_sixteen_systems(void **state) {
  (void)state;
  weft_schedule *schedule = compile("cerebras-gpt-13b", "cs2", training(720, 2048, 16));
  assert_non_null(schedule);
  double start = weft_clock_s();
  weft_sim_report report = simulate(schedule);
  double took = weft_clock_s() - start;
  print_message(
      "13B on 16 CS-2: %.3f s a step, %.0f tokens/s, utilisation %.1f %%, bound %.3f s; %s (simulated in %.2f s)\n",
      report.step_seconds, report.tokens_per_second, report.utilisation * 100, report.bound_seconds, report.bottleneck,
      took);
  assert_true(took < 5);
  weft_schedule_destroy(schedule);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_machine_beats_its_bound), cmocka_unit_test(better_hardware_is_never_slower),
      cmocka_unit_test(more_work_takes_more_time),  cmocka_unit_test(systems_scale_at_most_linearly),
      cmocka_unit_test(same_schedule_same_trace),   cmocka_unit_test(thirteen_billion_on_sixteen_systems),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
