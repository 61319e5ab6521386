#include "base/memory.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

// The one place of the libraries that ends the program; docs/decisions/memory.md says why.
static void *or_end(void *memory, size_t bytes) {
  if (memory) return memory;
  fprintf(stderr, "weft: this computer has no memory left (asked for %zu bytes)\n", bytes);
  abort();
}

void *weft_allocate(size_t bytes) {
  if (bytes == 0) bytes = 1;
  return or_end(calloc(1, bytes), bytes);
}

void *weft_allocate_array(size_t count, size_t bytes_each) {
  if (count == 0 || bytes_each == 0) return weft_allocate(1);
  return or_end(calloc(count, bytes_each), bytes_each);
}

void *weft_grow(void *memory, size_t count, size_t bytes_each) {
  if (count == 0 || bytes_each == 0) count = bytes_each = 1;
  return or_end(reallocarray(memory, count, bytes_each), bytes_each);
}

char *weft_copy_text(const char *text) {
  if (!text) return NULL;
  size_t bytes = strlen(text) + 1;
  return memcpy(weft_allocate(bytes), text, bytes);
}

char *weft_format_list(const char *format, va_list arguments) {
  char *text = NULL;
  if (vasprintf(&text, format, arguments) < 0) text = NULL;
  return or_end(text, strlen(format));
}

char *weft_format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = weft_format_list(format, arguments);
  va_end(arguments);
  return text;
}

weft_status weft_allocate_large(size_t bytes, const char *purpose, void **out_memory) {
  // Large pages where the system has them: streams touch gigabytes, and a page of 4 KiB lasts them a microsecond.
  size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
  if (bytes > SIZE_MAX - alignment) return weft_error(WEFT_FAILED, "no memory for %s: %zu bytes", purpose, bytes);
  size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded == 0) rounded = alignment;
  void *memory = aligned_alloc(alignment, rounded);
  if (!memory) return weft_error(WEFT_FAILED, "no memory for %s: %zu bytes", purpose, bytes);
  if (alignment == HUGE_PAGE) (void)madvise(memory, rounded, MADV_HUGEPAGE);  // a wish: refused, it is only slower
  memset(memory, 0, rounded);
  *out_memory = memory;
  return NULL;
}

void weft_free_large(void *memory) { free(memory); }

struct weft_arena_block {
  struct weft_arena_block *previous;
  size_t used, size;
  alignas(16) char bytes[];
};

void weft_arena_init(weft_arena *arena) { arena->last = NULL; }

void weft_arena_finish(weft_arena *arena) {
  struct weft_arena_block *block = arena->last;
  while (block) {
    struct weft_arena_block *previous = block->previous;
    free(block);
    block = previous;
  }
  arena->last = NULL;
}

void *weft_arena_take(weft_arena *arena, size_t bytes) {
  size_t rounded = (bytes + 15) & ~(size_t)15;
  struct weft_arena_block *block = arena->last;
  if (!block || block->size - block->used < rounded) {
    size_t size = rounded > 4096 ? rounded : 4096;
    block = weft_allocate(sizeof *block + size);
    block->previous = arena->last;
    block->size = size;
    arena->last = block;
  }
  void *memory = block->bytes + block->used;
  block->used += rounded;
  return memory;
}

char *weft_arena_copy_text(weft_arena *arena, const char *text) {
  if (!text) return NULL;
  size_t bytes = strlen(text) + 1;
  return memcpy(weft_arena_take(arena, bytes), text, bytes);
}

char *weft_arena_format(weft_arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = weft_format_list(format, arguments);
  va_end(arguments);
  char *kept = weft_arena_copy_text(arena, text);
  free(text);
  return kept;
}
