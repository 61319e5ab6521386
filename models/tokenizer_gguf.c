// The tokenizer within GGUF metadata: keys "tokenizer.ggml.*" (ggml's docs/gguf.md; token types and the meaning of
// "pre" as in llama.cpp's vocabulary reader).
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/tokenizer_internal.h"

typedef struct gguf_reading {
  const weft_checkpoint *checkpoint;
  weft_meta tokens, merges, scores, types;
  weft_tokenizer *tokenizer;
} gguf_reading;

static weft_meta find(const gguf_reading *reading, const char *key) {
  return weft_checkpoint_meta_find(reading->checkpoint, key);
}

static weft_meta element(const gguf_reading *reading, const weft_meta *array, uint64_t index) {
  return weft_checkpoint_meta_element(reading->checkpoint, array, index);
}

static weft_status read_array(const gguf_reading *reading, const char *key, weft_meta_type type, bool needed,
                              weft_meta *out_array) {
  static const char *const names[] = {"nothing", "whole numbers", "numbers", "truth values", "texts", "arrays"};
  weft_meta found = find(reading, key);
  if (found.type == WEFT_META_NONE && !needed) {
    *out_array = found;
    return NULL;
  }
  if (found.type == WEFT_META_NONE)
    return weft_error(WEFT_INVALID, "%s: missing: an array of %s is needed", key, names[type]);
  if (found.type != WEFT_META_ARRAY || (found.element != type && found.count > 0))
    return weft_error(WEFT_INVALID, "%s: expected an array of %s", key, names[type]);
  *out_array = found;
  return NULL;
}

static weft_status read_id(const gguf_reading *reading, const char *key, int64_t *out_id) {
  weft_meta found = find(reading, key);
  if (found.type == WEFT_META_NONE) return NULL;
  if (found.type != WEFT_META_INTEGER || found.integer < 0 || found.integer >= reading->tokenizer->count)
    return weft_error(WEFT_INVALID, "%s: expected an id of the vocabulary of %u, found %" PRId64, key,
                      reading->tokenizer->count, found.integer);
  *out_id = found.integer;
  return NULL;
}

static weft_status read_bool(const gguf_reading *reading, const char *key, bool *out_value) {
  weft_meta found = find(reading, key);
  if (found.type == WEFT_META_NONE) return NULL;
  if (found.type != WEFT_META_BOOL) return weft_error(WEFT_INVALID, "%s: expected true or false", key);
  *out_value = found.integer != 0;
  return NULL;
}

static int64_t type_of(const gguf_reading *reading, uint64_t id) {
  return reading->types.type == WEFT_META_NONE ? WEFT_GGUF_NORMAL : element(reading, &reading->types, id).integer;
}

// ---- byte-level BPE ----

typedef struct named_pre {
  const char *name;
  bool digits_first;  // each digit by itself before the pattern sees the text
  bool llama;         // ignore_merges, and bos before a prompt unless the file says no
  const char *pattern;
} named_pre;

#define PATTERN_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define PATTERN_HEAD "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
static const named_pre named_pres[] = {
    {"gpt-2", false, false, WEFT_PATTERN_GPT2},
    {"gpt2", false, false, WEFT_PATTERN_GPT2},
    {"default", false, false, WEFT_PATTERN_GPT2},
    {"llama-bpe", false, true, PATTERN_HEAD "\\p{N}{1,3}" PATTERN_TAIL},
    {"llama3", false, true, PATTERN_HEAD "\\p{N}{1,3}" PATTERN_TAIL},
    {"llama-v3", false, true, PATTERN_HEAD "\\p{N}{1,3}" PATTERN_TAIL},
    {"smollm", true, false, WEFT_PATTERN_GPT2},
    {"starcoder", true, false, WEFT_PATTERN_GPT2},
    {"qwen2", false, false, PATTERN_HEAD "\\p{N}" PATTERN_TAIL},
};
enum { NAMED_PRES = sizeof named_pres / sizeof *named_pres };

static weft_status read_pre(gguf_reading *reading) {
  static const char key[] = "tokenizer.ggml.pre";
  weft_meta found = find(reading, key);
  const named_pre *pre = NULL;
  char *name = found.type == WEFT_META_TEXT
                   ? weft_format("%.*s", (int)(found.text_bytes > 80 ? 80 : found.text_bytes), found.text)
                   : weft_copy_text("default");
  const char *names[NAMED_PRES];
  for (int i = 0; i < NAMED_PRES; ++i) {
    names[i] = named_pres[i].name;
    if (strcmp(name, names[i]) == 0) pre = &named_pres[i];
  }
  weft_status status = NULL;
  if (!pre)
    status = weft_error(WEFT_INVALID, "%s: \"%s\" is not known; the nearest that is: %s", key, name,
                        weft_nearest(name, names, NAMED_PRES));
  free(name);
  if (status) return status;
  weft_tokenizer *tokenizer = reading->tokenizer;
  bool prefix = false;
  WEFT_TRY(read_bool(reading, "tokenizer.ggml.add_space_prefix", &prefix));
  if (pre->digits_first) WEFT_TRY(weft_bpe_add_pattern(tokenizer, "\\p{N}", false, true, true, key));
  if (prefix) WEFT_TRY(weft_bpe_add_space_step(tokenizer, key));
  WEFT_TRY(weft_bpe_add_pattern(tokenizer, pre->pattern, false, true, true, key));
  tokenizer->ignore_merges = tokenizer->adds_bos = pre->llama;
  return NULL;
}

static weft_status read_bpe_token(gguf_reading *reading, uint64_t id) {
  weft_tokenizer *tokenizer = reading->tokenizer;
  weft_meta token = element(reading, &reading->tokens, id);
  int64_t type = type_of(reading, id);
  if (type == WEFT_GGUF_NORMAL || type == WEFT_GGUF_UNUSED || type == WEFT_GGUF_BYTE)
    return weft_bpe_add_token(tokenizer, (int64_t)id, token.text, token.text_bytes);
  if (type != WEFT_GGUF_CONTROL && type != WEFT_GGUF_USER_DEFINED && type != WEFT_GGUF_UNKNOWN)
    return weft_error(WEFT_INVALID, "type %" PRId64 " is not known (1 to 6 are)", type);
  tokenizer->pieces[id] = weft_tokenizer_keep(tokenizer, token.text, token.text_bytes);
  weft_literals_add(&tokenizer->literals[0], (weft_literal){.piece = tokenizer->pieces[id], .id = (int32_t)id});
  return NULL;
}

// A merge may arrive at a token that is also a literal, but an ordinary token of the same bytes goes first.
static void make_literals_reachable(weft_tokenizer *tokenizer) {
  for (size_t i = 0; i < tokenizer->literals[0].count; ++i) {
    const weft_literal *literal = &tokenizer->literals[0].items[i];
    (void)weft_token_table_put(&tokenizer->table, literal->piece, literal->id);
  }
}

static weft_status read_bpe(gguf_reading *reading) {
  WEFT_TRY(read_pre(reading));
  WEFT_TRY(read_array(reading, "tokenizer.ggml.merges", WEFT_META_TEXT, true, &reading->merges));
  if (reading->merges.count > WEFT_TOKENS_MAX)
    return weft_error(WEFT_INVALID, "tokenizer.ggml.merges: more than %d", WEFT_TOKENS_MAX);
  for (uint64_t id = 0; id < reading->tokens.count; ++id)
    WEFT_TRY(weft_status_prefix(read_bpe_token(reading, id), "tokenizer.ggml.tokens[%" PRIu64 "]: ", id));
  make_literals_reachable(reading->tokenizer);
  for (uint64_t rank = 0; rank < reading->merges.count; ++rank) {
    weft_meta merge = element(reading, &reading->merges, rank);
    weft_status status = weft_bpe_add_written_merge(reading->tokenizer, merge.text, merge.text_bytes, (uint32_t)rank);
    WEFT_TRY(weft_status_prefix(status, "tokenizer.ggml.merges[%" PRIu64 "]: ", rank));
  }
  weft_bpe_finish_building(reading->tokenizer);
  return NULL;
}

// ---- SentencePiece ----

static int hexadecimal(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                : -1;
}

// "<0x0A>"; -1 when it is not written so.
static int byte_of(weft_meta token) {
  if (token.text_bytes != 6 || memcmp(token.text, "<0x", 3) != 0 || token.text[5] != '>') return -1;
  int high = hexadecimal(token.text[3]), low = hexadecimal(token.text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static weft_piece with_spaces(weft_tokenizer *tokenizer, weft_meta token) {
  char *spaced = weft_allocate(token.text_bytes + 1);
  size_t count = 0;
  for (uint64_t i = 0; i < token.text_bytes; ++i) {
    bool space = token.text_bytes - i >= 3 && memcmp(token.text + i, "\xe2\x96\x81", 3) == 0;
    spaced[count++] = space ? ' ' : token.text[i];
    if (space) i += 2;
  }
  weft_piece piece = weft_tokenizer_keep(tokenizer, spaced, count);
  free(spaced);
  return piece;
}

static weft_status read_ordinary_piece(weft_tokenizer *tokenizer, weft_meta token, int32_t id, bool user_defined) {
  weft_piece written = weft_tokenizer_keep(tokenizer, token.text, token.text_bytes);
  tokenizer->pieces[id] = with_spaces(tokenizer, token);
  if (written.length == 0) return NULL;
  int32_t there = weft_token_table_put(&tokenizer->table, written, id);
  if (there >= 0) return weft_error(WEFT_INVALID, "tokens %d and %d are both \"%.60s\"", there, id, written.bytes);
  if (written.length > tokenizer->longest) tokenizer->longest = written.length;
  if (user_defined) weft_literals_add(&tokenizer->literals[0], (weft_literal){.piece = written, .id = id});
  return NULL;
}

static weft_status read_spm_token(gguf_reading *reading, uint64_t at) {
  weft_tokenizer *tokenizer = reading->tokenizer;
  weft_meta token = element(reading, &reading->tokens, at);
  int64_t type = type_of(reading, at);
  int32_t id = (int32_t)at;
  double score = element(reading, &reading->scores, at).number;
  if (!isfinite(score)) return weft_error(WEFT_INVALID, "the score must be finite, found %g", score);
  tokenizer->scores[id] = (float)score;
  if (type < WEFT_GGUF_NORMAL || type > WEFT_GGUF_BYTE)
    return weft_error(WEFT_INVALID, "type %" PRId64 " is not known (1 to 6 are)", type);
  tokenizer->token_types[id] = (uint8_t)type;
  if (type == WEFT_GGUF_CONTROL) {
    tokenizer->pieces[id] = weft_tokenizer_keep(tokenizer, "", 0);
  } else if (type == WEFT_GGUF_UNKNOWN) {
    tokenizer->pieces[id] = weft_tokenizer_keep(tokenizer, " \xe2\x81\x87 ", 5);  // SentencePiece's default unk_surface
    if (tokenizer->unknown < 0) tokenizer->unknown = id;
  } else if (type == WEFT_GGUF_BYTE) {
    int byte = byte_of(token);
    if (byte < 0)
      return weft_error(WEFT_INVALID, "a byte token is written \"<0x0A>\", found \"%.*s\"",
                        (int)(token.text_bytes > 60 ? 60 : token.text_bytes), token.text);
    char c = (char)byte;
    tokenizer->pieces[id] = weft_tokenizer_keep(tokenizer, &c, 1);
    tokenizer->byte_ids[byte] = id;
  } else {
    return read_ordinary_piece(tokenizer, token, id, type == WEFT_GGUF_USER_DEFINED);
  }
  return NULL;
}

static weft_status refuse_normalization(const gguf_reading *reading) {
  bool remove = false;
  WEFT_TRY(read_bool(reading, "tokenizer.ggml.remove_extra_whitespaces", &remove));
  if (remove) return weft_error(WEFT_INVALID, "tokenizer.ggml.remove_extra_whitespaces: true is not supported");
  weft_meta map = find(reading, "tokenizer.ggml.precompiled_charsmap");
  if (map.type == WEFT_META_ARRAY && map.count > 0)
    return weft_error(WEFT_INVALID, "tokenizer.ggml.precompiled_charsmap: normalization is not supported");
  return NULL;
}

static weft_status read_spm(gguf_reading *reading) {
  weft_tokenizer *tokenizer = reading->tokenizer;
  WEFT_TRY(refuse_normalization(reading));
  WEFT_TRY(read_array(reading, "tokenizer.ggml.scores", WEFT_META_NUMBER, true, &reading->scores));
  if (reading->scores.count != reading->tokens.count || reading->types.type == WEFT_META_NONE)
    return weft_error(WEFT_INVALID,
                      "tokenizer.ggml.scores and tokenizer.ggml.token_type: expected as many as tokens (%" PRIu64
                      "), found %" PRIu64 " and %" PRIu64,
                      reading->tokens.count, reading->scores.count, reading->types.count);
  tokenizer->scores = weft_allocate_array(tokenizer->count, sizeof *tokenizer->scores);
  tokenizer->token_types = weft_allocate_array(tokenizer->count, sizeof *tokenizer->token_types);
  tokenizer->space_prefix = tokenizer->adds_bos = true;  // what SentencePiece does where the file is silent
  WEFT_TRY(read_bool(reading, "tokenizer.ggml.add_space_prefix", &tokenizer->space_prefix));
  for (uint64_t id = 0; id < reading->tokens.count; ++id)
    WEFT_TRY(weft_status_prefix(read_spm_token(reading, id), "tokenizer.ggml.tokens[%" PRIu64 "]: ", id));
  bool all_bytes = true;
  for (int byte = 0; byte < 256; ++byte) all_bytes = all_bytes && tokenizer->byte_ids[byte] >= 0;
  if (tokenizer->unknown < 0 && !all_bytes)
    return weft_error(WEFT_INVALID,
                      "tokenizer.ggml.token_type: neither an unknown token (2) nor all 256 byte tokens (6)");
  weft_literals_sort(&tokenizer->literals[0]);
  return NULL;
}

// ---- the file ----

static weft_status read_specials(gguf_reading *reading) {
  weft_tokenizer *tokenizer = reading->tokenizer;
  int64_t unknown = tokenizer->unknown;
  WEFT_TRY(read_id(reading, "tokenizer.ggml.bos_token_id", &tokenizer->bos));
  WEFT_TRY(read_id(reading, "tokenizer.ggml.eos_token_id", &tokenizer->eos));
  WEFT_TRY(read_id(reading, "tokenizer.ggml.unknown_token_id", &unknown));
  WEFT_TRY(read_bool(reading, "tokenizer.ggml.add_bos_token", &tokenizer->adds_bos));
  tokenizer->unknown = (int32_t)unknown;
  tokenizer->adds_bos = tokenizer->adds_bos && tokenizer->bos >= 0;
  return NULL;
}

static weft_status read_type(const gguf_reading *reading, weft_tokenizer_type *out_type) {
  static const char *const known[] = {"gpt2", "llama"};
  weft_meta model = find(reading, "tokenizer.ggml.model");
  if (model.type != WEFT_META_TEXT)
    return weft_error(WEFT_INVALID, "tokenizer.ggml.model: missing: this GGUF file has no tokenizer");
  char *name = weft_format("%.*s", (int)(model.text_bytes > 80 ? 80 : model.text_bytes), model.text);
  weft_status status = NULL;
  if (strcmp(name, "gpt2") == 0)
    *out_type = WEFT_TOKENIZER_BPE;
  else if (strcmp(name, "llama") == 0)
    *out_type = WEFT_TOKENIZER_SPM;
  else
    status = weft_error(WEFT_INVALID, "tokenizer.ggml.model: \"%s\" is not supported; the nearest that is: %s", name,
                        weft_nearest(name, known, 2));
  free(name);
  return status;
}

static weft_status read_all(gguf_reading *reading) {
  weft_tokenizer_type type = WEFT_TOKENIZER_BPE;
  WEFT_TRY(read_type(reading, &type));
  WEFT_TRY(read_array(reading, "tokenizer.ggml.tokens", WEFT_META_TEXT, true, &reading->tokens));
  WEFT_TRY(read_array(reading, "tokenizer.ggml.token_type", WEFT_META_INTEGER, false, &reading->types));
  uint64_t count = reading->tokens.count;
  if (count == 0 || count > WEFT_TOKENS_MAX)
    return weft_error(WEFT_INVALID, "tokenizer.ggml.tokens: expected 1 to %d, found %" PRIu64, WEFT_TOKENS_MAX, count);
  if (reading->types.type != WEFT_META_NONE && reading->types.count != count)
    return weft_error(WEFT_INVALID,
                      "tokenizer.ggml.token_type: expected %" PRIu64 ", as many as tokens, found %" PRIu64, count,
                      reading->types.count);
  reading->tokenizer = weft_tokenizer_create(type, (uint32_t)count);
  WEFT_TRY(type == WEFT_TOKENIZER_BPE ? read_bpe(reading) : read_spm(reading));
  return read_specials(reading);
}

weft_status weft_tokenizer_from_gguf(const weft_checkpoint *checkpoint, const char *where,
                                     weft_tokenizer **out_tokenizer) {
  gguf_reading reading = {.checkpoint = checkpoint};
  weft_status status = read_all(&reading);
  if (status) {
    weft_tokenizer_close(reading.tokenizer);
    return weft_status_prefix(status, "%s: ", where);
  }
  *out_tokenizer = reading.tokenizer;
  return NULL;
}
