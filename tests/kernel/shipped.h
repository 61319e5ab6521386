// What the tests of shipped kernels share: models/kernels on a simulated WSE-2.
#ifndef WEFT_TESTS_KERNEL_SHIPPED_H
#define WEFT_TESTS_KERNEL_SHIPPED_H

#include "sim/mesh.h"

extern weft_machine *shipped_machine;    // wse2, between the two functions below
int shipped_machine_read(void **state);  // group set-up and teardown of cmocka
int shipped_machine_free(void **state);

void succeeds(weft_status status);  // else the test fails with its message
// models/kernels/NAME.kernel with `settings` such as "n=4", checked and gone round; weft_kernel_destroy it.
weft_kernel *shipped_kernel(const char *name, const char *const *settings, uint32_t count);
weft_mesh_sim *shipped_mesh(const weft_kernel *kernel, uint32_t threads);  // gives up after 20 million cycles

#endif
