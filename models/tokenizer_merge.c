#include <stdlib.h>

#include "models/tokenizer_internal.h"

typedef struct weft_candidate {
  uint64_t order;   // priority, then place: smaller goes first
  uint32_t length;  // of both symbols when they met
  int32_t id;
} weft_candidate;

void weft_merger_start(weft_merger *merger, size_t symbols) {
  if (symbols > merger->capacity) {
    merger->capacity = symbols > 2 * merger->capacity ? symbols : 2 * merger->capacity;
    merger->symbols = weft_grow(merger->symbols, merger->capacity, sizeof *merger->symbols);
    // n - 1 pairs to begin with, and each of at most n - 1 merges brings at most two.
    merger->heap_capacity = 3 * merger->capacity;
    merger->heap = weft_grow(merger->heap, merger->heap_capacity, sizeof *merger->heap);
  }
  merger->count = merger->candidates = 0;
}

void weft_merger_add(weft_merger *merger, uint32_t start, uint32_t length, int32_t id, bool frozen) {
  int32_t at = (int32_t)merger->count++;
  merger->symbols[at] =
      (weft_symbol){.previous = at - 1, .next = at + 1, .start = start, .length = length, .id = id, .frozen = frozen};
}

static void push(weft_merger *merger, weft_candidate candidate) {
  size_t at = merger->candidates++;
  while (at > 0) {
    size_t parent = (at - 1) / 2;
    if (merger->heap[parent].order <= candidate.order) break;
    merger->heap[at] = merger->heap[parent];
    at = parent;
  }
  merger->heap[at] = candidate;
}

static weft_candidate pop(weft_merger *merger) {
  weft_candidate top = merger->heap[0], last = merger->heap[--merger->candidates];
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= merger->candidates) break;
    if (child + 1 < merger->candidates && merger->heap[child + 1].order < merger->heap[child].order) ++child;
    if (last.order <= merger->heap[child].order) break;
    merger->heap[at] = merger->heap[child];
    at = child;
  }
  merger->heap[at] = last;
  return top;
}

static void consider(weft_merger *merger, int32_t left, int32_t right, weft_joiner join, void *context) {
  if (left < 0 || right < 0) return;
  const weft_symbol *a = &merger->symbols[left], *b = &merger->symbols[right];
  uint32_t priority;
  int32_t id;
  if (a->frozen || b->frozen || !join(context, a, b, &priority, &id)) return;
  push(merger, (weft_candidate){(uint64_t)priority << 32 | (uint32_t)left, a->length + b->length, id});
}

void weft_merger_run(weft_merger *merger, weft_joiner join, void *context) {
  if (merger->count == 0) return;
  weft_symbol *symbols = merger->symbols;
  symbols[merger->count - 1].next = -1;
  for (size_t i = 0; i + 1 < merger->count; ++i) consider(merger, (int32_t)i, (int32_t)i + 1, join, context);
  while (merger->candidates > 0) {
    weft_candidate best = pop(merger);
    weft_symbol *left = &symbols[(uint32_t)best.order];
    if (left->length == 0 || left->next < 0) continue;
    weft_symbol *right = &symbols[left->next];
    // Whatever has happened to the pair since has made it longer.
    if (left->length + right->length != best.length) continue;
    left->length = best.length;
    left->id = best.id;
    left->next = right->next;
    right->length = 0;
    int32_t at = (int32_t)(left - symbols);
    if (left->next >= 0) symbols[left->next].previous = at;
    consider(merger, left->previous, at, join, context);
    consider(merger, at, left->next, join, context);
  }
}

void weft_merger_finish(weft_merger *merger) {
  free(merger->symbols);
  free(merger->heap);
  *merger = (weft_merger){0};
}
