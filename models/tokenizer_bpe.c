// Byte-level BPE (Radford et al. 2019, after Sennrich et al. 2016).
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer_internal.h"

// The files write byte b as the character b where Latin-1 has a printable one, and else as the n-th character from
// U+0100, n counting the bytes that have none.
static bool is_written_plainly(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}

static int byte_written_as(uint32_t character) {
  if (character < 256) return is_written_plainly(character) ? (int)character : -1;
  uint32_t n = 256;
  for (uint32_t byte = 0; byte < 256; ++byte)
    if (!is_written_plainly(byte) && n++ == character) return (int)byte;
  return -1;
}

// Turns the files' alphabet into bytes at `out` (as much room as `text`); false when some character is not of it.
static bool read_alphabet(const char *text, size_t bytes, char *out, size_t *out_bytes) {
  size_t count = 0;
  for (size_t at = 0; at < bytes;) {
    uint32_t character;
    size_t length = weft_utf8_read(text + at, bytes - at, &character);
    int byte = length ? byte_written_as(character) : -1;
    if (byte < 0) return false;
    out[count++] = (char)byte;
    at += length;
  }
  *out_bytes = count;
  return true;
}

weft_status weft_bpe_add_token(weft_tokenizer *tokenizer, int64_t id, const char *text, size_t bytes) {
  int shown = bytes > 60 ? 60 : (int)bytes;
  if (id < 0 || id >= tokenizer->count)
    return weft_error(WEFT_INVALID, "id %lld of \"%.*s\" is outside the vocabulary of %u", (long long)id, shown, text,
                      tokenizer->count);
  weft_piece *piece = &tokenizer->pieces[id];
  if (piece->bytes)
    return weft_error(WEFT_INVALID, "id %lld is given twice, the second time to \"%.*s\"", (long long)id, shown, text);
  char *meant = weft_allocate(bytes + 1);
  size_t count;
  bool written = read_alphabet(text, bytes, meant, &count);
  *piece = written ? weft_tokenizer_keep(tokenizer, meant, count) : weft_tokenizer_keep(tokenizer, text, bytes);
  free(meant);
  if (!written || count == 0) return NULL;
  int32_t there = weft_token_table_put(&tokenizer->table, *piece, (int32_t)id);
  if (there >= 0)
    return weft_error(WEFT_INVALID, "ids %d and %lld are both \"%.*s\"", there, (long long)id, shown, text);
  return NULL;
}

weft_status weft_bpe_add_merge(weft_tokenizer *tokenizer, const char *left, size_t left_bytes, const char *right,
                               size_t right_bytes, uint32_t rank) {
  char *meant = weft_allocate(left_bytes + right_bytes + 1);
  size_t a = 0, b = 0;
  weft_status status = NULL;
  const char *missing = left;
  size_t missing_bytes = left_bytes;
  int32_t left_id = -1, right_id = -1, merged = -1;
  if (read_alphabet(left, left_bytes, meant, &a)) left_id = weft_token_table_find(&tokenizer->table, meant, a);
  if (left_id >= 0) {
    missing = right;
    missing_bytes = right_bytes;
    if (read_alphabet(right, right_bytes, meant + a, &b))
      right_id = weft_token_table_find(&tokenizer->table, meant + a, b);
  }
  if (right_id >= 0) merged = weft_token_table_find(&tokenizer->table, meant, a + b);
  if (merged >= 0)
    weft_merge_table_put(&tokenizer->merges, left_id, right_id, rank, merged);
  else if (right_id >= 0)
    status = weft_error(WEFT_INVALID, "\"%.*s\" and \"%.*s\" merge to what is not in the vocabulary", (int)left_bytes,
                        left, (int)right_bytes, right);
  else
    status = weft_error(WEFT_INVALID, "\"%.*s\" is not in the vocabulary", (int)missing_bytes, missing);
  free(meant);
  return status;
}

weft_status weft_bpe_add_written_merge(weft_tokenizer *tokenizer, const char *text, size_t bytes, uint32_t rank) {
  const char *space = bytes > 0 ? memchr(text, ' ', bytes) : NULL;
  size_t left = space ? (size_t)(space - text) : 0, right = space ? bytes - left - 1 : 0;
  if (left == 0 || right == 0 || memchr(space + 1, ' ', right))
    return weft_error(WEFT_INVALID, "expected two tokens with a space between, found \"%.*s\"", (int)bytes, text);
  return weft_bpe_add_merge(tokenizer, text, left, space + 1, right, rank);
}

static weft_status room_for_step(const weft_tokenizer *tokenizer, const char *where) {
  if (tokenizer->pre_count < WEFT_PRE_STEPS_MAX) return NULL;
  return weft_error(WEFT_INVALID, "%s: more than %d steps", where, WEFT_PRE_STEPS_MAX);
}

weft_status weft_bpe_add_pattern(weft_tokenizer *tokenizer, const char *text, bool literal, bool keep_matches,
                                 bool keep_others, const char *where) {
  WEFT_TRY(room_for_step(tokenizer, where));
  weft_pre_step step = {.keep_matches = keep_matches, .keep_others = keep_others};
  WEFT_TRY(weft_pattern_compile(text, literal, where, &step.pattern));
  tokenizer->pre[tokenizer->pre_count++] = step;
  return NULL;
}

weft_status weft_bpe_add_space_step(weft_tokenizer *tokenizer, const char *where) {
  WEFT_TRY(room_for_step(tokenizer, where));
  tokenizer->pre[tokenizer->pre_count++] = (weft_pre_step){0};
  return NULL;
}

void weft_bpe_finish_building(weft_tokenizer *tokenizer) {
  for (int byte = 0; byte < 256; ++byte) {
    char c = (char)byte;
    tokenizer->byte_ids[byte] = weft_token_table_find(&tokenizer->table, &c, 1);
  }
  weft_literals_sort(&tokenizer->literals[0]);
  weft_literals_sort(&tokenizer->literals[1]);
}

// ---- encoding ----

static bool join(void *context, const weft_symbol *left, const weft_symbol *right, uint32_t *out_priority,
                 int32_t *out_id) {
  const weft_encoder *encoder = context;
  const weft_merge_rule *rule = weft_merge_table_find(&encoder->tokenizer->merges, left->id, right->id);
  if (!rule) return false;
  *out_priority = rule->rank;
  *out_id = rule->id;
  return true;
}

static weft_status encode_word(weft_encoder *encoder, const char *word, size_t bytes) {
  const weft_tokenizer *tokenizer = encoder->tokenizer;
  if (tokenizer->ignore_merges || bytes == 1) {
    int32_t id = weft_token_table_find(&tokenizer->table, word, bytes);
    if (id >= 0) {
      weft_encoder_put(encoder, id);
      return NULL;
    }
  }
  weft_merger *merger = &encoder->merger;
  weft_merger_start(merger, bytes);
  bool was_unknown = false;
  for (size_t i = 0; i < bytes; ++i) {
    int32_t id = tokenizer->byte_ids[(unsigned char)word[i]];
    bool unknown = id < 0;
    if (unknown && tokenizer->unknown < 0)
      return weft_error(WEFT_INVALID,
                        "the vocabulary has no token for byte 0x%02x, and the tokenizer's file names no unknown token",
                        (unsigned char)word[i]);
    if (!(unknown && was_unknown && tokenizer->fuse_unknown))
      weft_merger_add(merger, (uint32_t)i, 1, unknown ? tokenizer->unknown : id, unknown);
    was_unknown = unknown;
  }
  weft_merger_run(merger, join, encoder);
  for (int32_t at = 0; at >= 0; at = merger->symbols[at].next) weft_encoder_put(encoder, merger->symbols[at].id);
  return NULL;
}

typedef struct pre_walk {
  weft_encoder *encoder;
  uint32_t step;  // the next one
  bool keep_matches, keep_others;
} pre_walk;

static weft_status walk(weft_encoder *encoder, uint32_t step, const char *text, size_t bytes);

static weft_status take_span(void *context, const char *span, size_t bytes, bool matched) {
  const pre_walk *here = context;
  if (!(matched ? here->keep_matches : here->keep_others)) return NULL;
  return walk(here->encoder, here->step, span, bytes);
}

// Each step cuts what the one before it left, and a span goes through all of them before the next span is cut.
static weft_status walk(weft_encoder *encoder, uint32_t step, const char *text, size_t bytes) {
  const weft_tokenizer *tokenizer = encoder->tokenizer;
  if (bytes == 0) return NULL;
  if (step == tokenizer->pre_count) return encode_word(encoder, text, bytes);
  const weft_pre_step *pre = &tokenizer->pre[step];
  if (pre->pattern) {
    pre_walk context = {encoder, step + 1, pre->keep_matches, pre->keep_others};
    return weft_pattern_split(pre->pattern, encoder->scratch, text, bytes, take_span, &context);
  }
  if (text[0] == ' ') return walk(encoder, step + 1, text, bytes);
  char *longer = weft_allocate(bytes + 1);
  longer[0] = ' ';
  memcpy(longer + 1, text, bytes);
  weft_status status = walk(encoder, step + 1, longer, bytes + 1);
  free(longer);
  return status;
}

weft_status weft_bpe_encode(weft_encoder *encoder, const char *text, size_t bytes) {
  return walk(encoder, 0, text, bytes);
}
