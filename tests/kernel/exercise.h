// What is done with bytes or text that may be a kernel, by the mutation tests and by libFuzzer: read, check, and where
// that succeeds print, read again and compare. True where the kernel was accepted; a broken promise ends the program.
#ifndef WEFT_TESTS_KERNEL_EXERCISE_H
#define WEFT_TESTS_KERNEL_EXERCISE_H

#include <stdbool.h>
#include <stddef.h>

bool exercise_packed(const void *bytes, size_t size);
bool exercise_text(const char *text);

#endif
