// Schedules from hostile files: whatever the bytes, a status or a schedule that the checker accepts, never a crash.
// Mutations are a pure function of the seed (first argument; default 1).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "compiler/compile.h"
#include "tests/mutate_bytes.h"

static uint64_t seed = 1;

static void mutated_schedules_are_refused_or_sound(void **state) {
  (void)state;
  weft_network network;
  assert_null(weft_network_read("smollm2-135m", &network));
  network.layers = 2;
  weft_machine *machine;
  assert_null(weft_machine_read("h100", &machine));
  weft_run run = weft_run_default();
  run.sequence = 8;
  weft_schedule *schedule;
  assert_null(weft_compile(&network, machine, &run, &schedule));
  uint8_t *bytes, *copy;
  size_t size;
  assert_null(weft_schedule_pack(schedule, &bytes, &size));
  copy = malloc(size);
  uint32_t refused = 0, rounds = 4000;
  for (uint32_t round = 0; round < rounds; ++round) {
    size_t length = size;
    memcpy(copy, bytes, size);
    mutate_bytes(seed, round, copy, &length);
    weft_schedule *read = NULL;
    weft_status status = weft_schedule_unpack(copy, length, &read);
    assert_true((status == NULL) == (read != NULL));
    refused += status != NULL;
    weft_status_free(status);
    weft_schedule_destroy(read);
  }
  assert_true(refused > rounds / 4);
  free(copy);
  free(bytes);
  weft_schedule_destroy(schedule);
  weft_machine_destroy(machine);
}

int main(int argc, char **argv) {
  if (argc > 1) seed = strtoull(argv[1], NULL, 10);
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_schedules_are_refused_or_sound)};
  return cmocka_run_group_tests_name("compiler/fuzz_schedule", tests, NULL, NULL);
}
