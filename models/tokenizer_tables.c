#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/tokenizer_internal.h"

// Tables are never more than half full, so a run of taken slots stays short.

typedef struct weft_token_slot {
  weft_piece piece;  // bytes NULL: free
  int32_t id;
} weft_token_slot;

static weft_token_slot *token_slot(const weft_token_table *table, const char *bytes, size_t length) {
  size_t mask = table->capacity - 1;
  size_t at = (size_t)weft_hash_bytes(bytes, length) & mask;
  for (;; at = (at + 1) & mask) {
    weft_token_slot *slot = &table->slots[at];
    if (!slot->piece.bytes) return slot;
    if (slot->piece.length == length && memcmp(slot->piece.bytes, bytes, length) == 0) return slot;
  }
}

int32_t weft_token_table_find(const weft_token_table *table, const char *bytes, size_t length) {
  if (table->capacity == 0) return -1;
  const weft_token_slot *slot = token_slot(table, bytes, length);
  return slot->piece.bytes ? slot->id : -1;
}

static void grow_tokens(weft_token_table *table) {
  weft_token_table larger = {.capacity = table->capacity ? table->capacity * 2 : 1024, .used = table->used};
  larger.slots = weft_allocate_array(larger.capacity, sizeof *larger.slots);
  for (size_t i = 0; i < table->capacity; ++i) {
    const weft_token_slot *old = &table->slots[i];
    if (old->piece.bytes) *token_slot(&larger, old->piece.bytes, old->piece.length) = *old;
  }
  free(table->slots);
  *table = larger;
}

int32_t weft_token_table_put(weft_token_table *table, weft_piece piece, int32_t id) {
  if (table->used * 2 >= table->capacity) grow_tokens(table);
  weft_token_slot *slot = token_slot(table, piece.bytes, piece.length);
  if (slot->piece.bytes) return slot->id;
  *slot = (weft_token_slot){piece, id};
  ++table->used;
  return -1;
}

void weft_token_table_finish(weft_token_table *table) {
  free(table->slots);
  *table = (weft_token_table){0};
}

// Ids are not negative, so no pair is all ones.
static const uint64_t NO_PAIR = UINT64_MAX;

static uint64_t pair_of(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

static weft_merge_rule *merge_slot(const weft_merge_table *table, uint64_t pair) {
  uint64_t hash = pair * 0x9e3779b97f4a7c15u;  // Fibonacci hashing: Knuth, TAOCP 3, 6.4
  size_t mask = table->capacity - 1;
  size_t at = (size_t)(hash ^ hash >> 32) & mask;
  while (table->slots[at].pair != pair && table->slots[at].pair != NO_PAIR) at = (at + 1) & mask;
  return &table->slots[at];
}

const weft_merge_rule *weft_merge_table_find(const weft_merge_table *table, int32_t left, int32_t right) {
  if (table->capacity == 0) return NULL;
  const weft_merge_rule *rule = merge_slot(table, pair_of(left, right));
  return rule->pair == NO_PAIR ? NULL : rule;
}

static void grow_merges(weft_merge_table *table) {
  weft_merge_table larger = {.capacity = table->capacity ? table->capacity * 2 : 1024, .used = table->used};
  larger.slots = weft_allocate_array(larger.capacity, sizeof *larger.slots);
  for (size_t i = 0; i < larger.capacity; ++i) larger.slots[i].pair = NO_PAIR;
  for (size_t i = 0; i < table->capacity; ++i)
    if (table->slots[i].pair != NO_PAIR) *merge_slot(&larger, table->slots[i].pair) = table->slots[i];
  free(table->slots);
  *table = larger;
}

void weft_merge_table_put(weft_merge_table *table, int32_t left, int32_t right, uint32_t rank, int32_t id) {
  if (table->used * 2 >= table->capacity) grow_merges(table);
  weft_merge_rule *rule = merge_slot(table, pair_of(left, right));
  if (rule->pair == NO_PAIR) ++table->used;
  *rule = (weft_merge_rule){pair_of(left, right), rank, id};
}

void weft_merge_table_finish(weft_merge_table *table) {
  free(table->slots);
  *table = (weft_merge_table){0};
}

void weft_literals_add(weft_literals *literals, weft_literal literal) {
  if (literal.piece.length == 0) return;  // the empty text is everywhere and means nothing
  literals->items = weft_grow(literals->items, literals->count + 1, sizeof *literals->items);
  literals->items[literals->count++] = literal;
  literals->first[(unsigned char)literal.piece.bytes[0]] = true;
}

static int compare_literals(const void *a, const void *b) {
  weft_piece left = ((const weft_literal *)a)->piece, right = ((const weft_literal *)b)->piece;
  size_t common = left.length < right.length ? left.length : right.length;
  int order = memcmp(left.bytes, right.bytes, common);
  return order ? order : (left.length > right.length) - (left.length < right.length);
}

void weft_literals_sort(weft_literals *literals) {
  if (literals->count > 1) qsort(literals->items, literals->count, sizeof *literals->items, compare_literals);
}

// The first of items[low, high), which share their first `depth` bytes, whose next byte is at least `byte` (a literal
// that ends there counts as -1).
static size_t lower_bound(const weft_literals *literals, size_t low, size_t high, size_t depth, int byte) {
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    weft_piece piece = literals->items[middle].piece;
    int here = piece.length > depth ? (unsigned char)piece.bytes[depth] : -1;
    if (here < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const weft_literal *weft_literals_match(const weft_literals *literals, const char *text, size_t bytes) {
  if (literals->count == 0 || bytes == 0 || !literals->first[(unsigned char)text[0]]) return NULL;
  const weft_literal *best = NULL;
  size_t low = 0, high = literals->count;
  for (size_t depth = 0; depth < bytes; ++depth) {
    int byte = (unsigned char)text[depth];
    low = lower_bound(literals, low, high, depth, byte);
    high = lower_bound(literals, low, high, depth, byte + 1);
    if (low == high) break;
    if (literals->items[low].piece.length == depth + 1) best = &literals->items[low];
  }
  return best;
}

void weft_literals_finish(weft_literals *literals) {
  free(literals->items);
  *literals = (weft_literals){0};
}

size_t weft_utf8_read(const char *text, size_t bytes, uint32_t *out_character) {
  const unsigned char *c = (const unsigned char *)text;
  if (bytes == 0) return 0;
  if (c[0] < 0x80) {
    *out_character = c[0];
    return 1;
  }
  size_t length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
  if (c[0] < 0xc2 || c[0] > 0xf4 || bytes < length) return 0;
  uint32_t character = c[0] & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((c[i] & 0xc0) != 0x80) return 0;
    character = character << 6 | (c[i] & 0x3fu);
  }
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (character < smallest[length] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) return 0;
  *out_character = character;
  return length;
}

bool weft_is_white_space(uint32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}
