// A kernel that is sound and has one of everything; tests spoil it, print it, pack it.
#ifndef WEFT_TESTS_KERNEL_SAMPLE_H
#define WEFT_TESTS_KERNEL_SAMPLE_H

#include "compiler/kernel.h"

enum { RED = 0, BLUE = 3 };
// Indices in its first program.
enum { SUMS, HALVES, WHOLE };
enum { RANK, TURN, SCALE, WORD };
enum { MAIN, DONE, GOT, FLIP };

weft_kernel *sample_kernel(void);

#endif
