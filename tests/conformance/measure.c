// Calibration in a hurry: what it writes is a machine of this host that can be read back and holds together.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/measure.h"

static void a_host_is_measured(void **state) {
  (void)state;
  weft_measure_options options = weft_measure_options_default();
  options.seconds = 0.01;  // the least number of runs of each point
  options.backend.threads = 2;
  options.pool_bytes = 24u << 20;  // leaves out the large points
  weft_machine *machine = NULL, *back = NULL;
  weft_measure_report report;
  assert_null(weft_measure_host(&weft_backend_cpu, &options, NULL, &machine, &report));
  assert_null(weft_machine_check(machine));
  assert_true(machine->measured && machine->roofline.shared_cores && machine->roofline.cores == 2);
  assert_true(machine->roofline.rate_count > 300);
  assert_true(report.peak[WEFT_F32] > 1e6 && report.peak[WEFT_BF16] > 1e6);
  assert_true(report.memory_bytes_per_second > 1e6 && report.copy_bytes_per_second > 1e6);
  bool seen[WEFT_OP_COUNT] = {false};
  for (uint32_t i = 0; i < machine->roofline.rate_count; ++i) {
    const weft_rate *rate = &machine->roofline.rates[i];
    seen[rate->op] = true;
    assert_true(rate->seconds > 0 && rate->bytes > 0);
    // A product's median cannot beat the peak, which is the quickest of all runs.
    if (rate->op == WEFT_OP_ADAMW)
      assert_true(rate->bytes / rate->seconds <= report.memory_bytes_per_second * 1.000001);
    if (rate->op == WEFT_OP_LINEAR) assert_true(rate->flops / rate->seconds <= report.peak[rate->dtype] * 1.000001);
  }
  for (int op = 0; op < WEFT_OP_COUNT; ++op)
    if (!seen[op] && op != WEFT_OP_ALL_REDUCE) fail_msg("%s was not measured", weft_op_name((weft_op)op));
  char *yaml = weft_machine_pack(machine), host[64];
  assert_null(weft_machine_unpack(yaml, "host.yaml", &back));
  assert_true(weft_machine_hash(back) == weft_machine_hash(machine));
  weft_machine_host_identity(host);
  assert_string_equal(back->host, host);
  free(yaml);
  weft_machine_destroy(machine);
  weft_machine_destroy(back);
  weft_measure_report_finish(&report);
}

static void impossible_times_are_refused(void **state) {
  (void)state;
  weft_measure_options options = weft_measure_options_default();
  weft_machine *machine = NULL;
  weft_measure_report report;
  options.seconds = -1;
  weft_status status = weft_measure_host(&weft_backend_cpu, &options, NULL, &machine, &report);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  assert_non_null(strstr(weft_status_message(status), "-1"));
  weft_status_free(status);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_host_is_measured),
                                     cmocka_unit_test(impossible_times_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
