// Kernels that go round: printed and read, packed and unpacked, they are the same. For the tests of every generator:
// link tests/kernel/round.c and say assert_goes_round(kernel).
#ifndef WEFT_TESTS_KERNEL_ROUND_H
#define WEFT_TESTS_KERNEL_ROUND_H

#include "compiler/kernel.h"

// Ends the program with what differs.
void assert_goes_round(const weft_kernel *kernel);
char *printed_kernel(const weft_kernel *kernel);  // caller frees

#endif
