#include "tests/kernel/shipped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/kernel/round.h"

weft_machine *shipped_machine;

int shipped_machine_read(void **state) {
  (void)state;
  weft_status status = weft_machine_read("wse2", &shipped_machine);
  if (!status) return 0;
  fprintf(stderr, "%s\n", weft_status_message(status));
  weft_status_free(status);
  return -1;
}

int shipped_machine_free(void **state) {
  (void)state;
  weft_machine_destroy(shipped_machine);
  return 0;
}

void succeeds(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

weft_kernel *shipped_kernel(const char *name, const char *const *settings, uint32_t count) {
  char path[512];
  snprintf(path, sizeof path, "%s/../models/kernels/%s.kernel", WEFT_TESTS, name);
  weft_kernel *k = NULL;
  succeeds(weft_kernel_read(path, settings, count, &k));
  assert_goes_round(k);
  succeeds(weft_kernel_check(k, shipped_machine->mesh.sram_bytes_per_core));
  assert_goes_round(k);
  return k;
}

weft_mesh_sim *shipped_mesh(const weft_kernel *kernel, uint32_t threads) {
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.most_cycles = 20000000;
  weft_mesh_sim *mesh = NULL;
  succeeds(weft_mesh_open(kernel, shipped_machine, &options, &mesh));
  return mesh;
}
