// SentencePiece BPE (Kudo and Richardson 2018) on pieces and scores: the pair whose concatenation has the highest score
// is merged first, spaces are written as U+2581, and what has no piece falls back to pieces for single bytes.
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer_internal.h"

static const char SPACE[] = "\xe2\x96\x81";
enum { SPACE_BYTES = 3 };

// Greater scores become smaller numbers; IEEE 754 orders floats of one sign like integers.
static uint32_t priority_of(float score) {
  float canonical = score + 0.0f;  // -0 is 0
  uint32_t bits;
  memcpy(&bits, &canonical, sizeof bits);
  uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

static bool join(void *context, const weft_symbol *left, const weft_symbol *right, uint32_t *out_priority,
                 int32_t *out_id) {
  weft_encoder *encoder = context;
  const weft_tokenizer *tokenizer = encoder->tokenizer;
  uint32_t length = left->length + right->length;
  if (length > tokenizer->longest) return false;
  int32_t id = weft_token_table_find(&tokenizer->table, encoder->text + left->start, length);
  if (id < 0) return false;
  if (tokenizer->token_types[id] == WEFT_GGUF_UNUSED) {
    if (!encoder->splits) encoder->splits = weft_allocate_array(tokenizer->count, sizeof *encoder->splits);
    encoder->splits[id] = left->length;
  }
  *out_priority = priority_of(tokenizer->scores[id]);
  *out_id = id;
  return true;
}

static void put_unknown(weft_encoder *encoder, const char *text, size_t bytes, bool *was_unknown) {
  const weft_tokenizer *tokenizer = encoder->tokenizer;
  bool bytes_known = true;
  for (size_t i = 0; i < bytes; ++i) bytes_known = bytes_known && tokenizer->byte_ids[(unsigned char)text[i]] >= 0;
  if (bytes_known) {
    for (size_t i = 0; i < bytes; ++i) weft_encoder_put(encoder, tokenizer->byte_ids[(unsigned char)text[i]]);
    *was_unknown = false;
  } else {
    if (!*was_unknown) weft_encoder_put(encoder, tokenizer->unknown);
    *was_unknown = true;
  }
}

// An unused piece helps merging along but is not said: it is taken apart again where it came together.
static void put_piece(weft_encoder *encoder, const char *text, size_t bytes, bool *was_unknown) {
  const weft_tokenizer *tokenizer = encoder->tokenizer;
  int32_t id = weft_token_table_find(&tokenizer->table, text, bytes);
  if (id < 0) {
    put_unknown(encoder, text, bytes, was_unknown);
    return;
  }
  if (tokenizer->token_types[id] == WEFT_GGUF_UNUSED && encoder->splits && encoder->splits[id]) {
    size_t left = encoder->splits[id];
    put_piece(encoder, text, left, was_unknown);
    put_piece(encoder, text + left, bytes - left, was_unknown);
    return;
  }
  weft_encoder_put(encoder, id);
  *was_unknown = false;
}

static char *with_written_spaces(const weft_tokenizer *tokenizer, const char *text, size_t bytes, size_t *out_bytes) {
  size_t spaces = tokenizer->space_prefix;
  for (size_t i = 0; i < bytes; ++i) spaces += text[i] == ' ';
  char *written = weft_allocate(bytes + SPACE_BYTES * spaces + 1), *to = written;
  if (tokenizer->space_prefix) to = (char *)memcpy(to, SPACE, SPACE_BYTES) + SPACE_BYTES;
  for (size_t i = 0; i < bytes; ++i) {
    if (text[i] == ' ')
      to = (char *)memcpy(to, SPACE, SPACE_BYTES) + SPACE_BYTES;
    else
      *to++ = text[i];
  }
  *out_bytes = (size_t)(to - written);
  return written;
}

void weft_spm_encode(weft_encoder *encoder, const char *text, size_t bytes) {
  const weft_tokenizer *tokenizer = encoder->tokenizer;
  if (bytes == 0) return;
  size_t count;
  char *written = with_written_spaces(tokenizer, text, bytes, &count);
  weft_merger *merger = &encoder->merger;
  weft_merger_start(merger, count);
  for (size_t at = 0; at < count;) {
    const weft_literal *own = weft_literals_match(&tokenizer->literals[0], written + at, count - at);
    uint32_t character;
    size_t length = own ? own->piece.length : weft_utf8_read(written + at, count - at, &character);
    if (length == 0) length = 1;
    weft_merger_add(merger, (uint32_t)at, (uint32_t)length, own ? own->id : -1, own != NULL);
    at += length;
  }
  encoder->text = written;
  weft_merger_run(merger, join, encoder);
  bool was_unknown = false;
  for (int32_t at = 0; at >= 0; at = merger->symbols[at].next) {
    const weft_symbol *symbol = &merger->symbols[at];
    put_piece(encoder, written + symbol->start, symbol->length, &was_unknown);
  }
  encoder->text = NULL;
  free(written);
}
