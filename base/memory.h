// Host memory. Small things (names, tables, descriptions) come from weft_allocate, which ends the program
// when the computer has no memory left: a program that cannot hold a name cannot report it either. Large things
// (tensors, slots, files) come from weft_allocate_large, which fails with a status.
//
// An arena hands out memory that is released all at once; artefacts (network, machine, schedule, trace)
// keep what they own in one. Threads: an arena belongs to one thread at a time.
#ifndef WEFT_BASE_MEMORY_H
#define WEFT_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Zeroed memory, never NULL; release with free(). Zero bytes give a valid pointer.
void *weft_allocate(size_t bytes);
void *weft_allocate_array(size_t count, size_t bytes_each);  // checks the product for overflow
// Grows an array; what is added is not zeroed. Never NULL.
void *weft_grow(void *memory, size_t count, size_t bytes_each);
char *weft_copy_text(const char *text);  // NULL stays NULL
char *weft_format(const char *format, ...) WEFT_PRINTF(1, 2);
char *weft_format_list(const char *format, va_list arguments) WEFT_PRINTF(1, 0);

// Zeroed, 64-byte aligned memory for tensors; WEFT_FAILED with the size and `purpose` when there is none.
weft_status weft_allocate_large(size_t bytes, const char *purpose, void **out_memory) WEFT_CHECKED;
void weft_free_large(void *memory);

typedef struct weft_arena {
  struct weft_arena_block *last;
} weft_arena;

void weft_arena_init(weft_arena *arena);
void weft_arena_finish(weft_arena *arena);               // everything handed out ends here
void *weft_arena_take(weft_arena *arena, size_t bytes);  // zeroed, aligned to 16, never NULL
char *weft_arena_copy_text(weft_arena *arena, const char *text);
char *weft_arena_format(weft_arena *arena, const char *format, ...) WEFT_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
