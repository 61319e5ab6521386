#include "models/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "models/tokenizer_internal.h"

// ---- making and ending ----

weft_tokenizer *weft_tokenizer_create(weft_tokenizer_type type, uint32_t count) {
  weft_tokenizer *tokenizer = weft_allocate(sizeof *tokenizer);
  tokenizer->type = type;
  tokenizer->count = count;
  tokenizer->bos = tokenizer->eos = tokenizer->unknown = -1;
  for (int byte = 0; byte < 256; ++byte) tokenizer->byte_ids[byte] = -1;
  weft_arena_init(&tokenizer->arena);
  tokenizer->pieces = weft_allocate_array(count, sizeof *tokenizer->pieces);
  return tokenizer;
}

weft_piece weft_tokenizer_keep(weft_tokenizer *tokenizer, const char *bytes, size_t length) {
  char *copy = weft_arena_take(&tokenizer->arena, length + 1);
  if (length > 0) memcpy(copy, bytes, length);
  return (weft_piece){copy, (uint32_t)length};
}

void weft_tokenizer_close(weft_tokenizer *tokenizer) {
  if (!tokenizer) return;
  for (uint32_t i = 0; i < tokenizer->pre_count; ++i) weft_pattern_destroy(tokenizer->pre[i].pattern);
  weft_literals_finish(&tokenizer->literals[0]);
  weft_literals_finish(&tokenizer->literals[1]);
  weft_token_table_finish(&tokenizer->table);
  weft_merge_table_finish(&tokenizer->merges);
  weft_arena_finish(&tokenizer->arena);
  free(tokenizer->pieces);
  free(tokenizer->scores);
  free(tokenizer->token_types);
  free(tokenizer);
}

static weft_tokenizer *create_bytes(uint32_t count) {
  weft_tokenizer *tokenizer = weft_tokenizer_create(WEFT_TOKENIZER_BYTES, count);
  for (uint32_t id = 0; id < count; ++id) {
    char byte = (char)id;
    tokenizer->pieces[id] = weft_tokenizer_keep(tokenizer, &byte, id < 256 ? 1 : 0);
  }
  return tokenizer;
}

// ---- opening ----

static bool ends_in(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

static weft_status open_json(const char *path, weft_tokenizer **out_tokenizer) {
  json_t *root;
  char *text;
  WEFT_TRY(weft_json_read_file(path, &root, &text));
  weft_status status = weft_tokenizer_from_json(root, path, text, out_tokenizer);
  free(text);
  json_decref(root);
  return status;
}

static weft_status open_gguf(const char *path, weft_tokenizer **out_tokenizer) {
  weft_checkpoint *checkpoint;
  WEFT_TRY(weft_checkpoint_open(path, &checkpoint));
  weft_status status = weft_tokenizer_from_gguf(checkpoint, path, out_tokenizer);
  weft_checkpoint_close(checkpoint);
  return status;
}

weft_status weft_tokenizer_open(const char *path, weft_tokenizer **out_tokenizer) {
  if (weft_directory_exists(path)) {
    char *inside = weft_format("%s/tokenizer.json", path);
    weft_status status = weft_file_exists(inside) ? open_json(inside, out_tokenizer) : open_gguf(path, out_tokenizer);
    free(inside);
    return status;
  }
  if (ends_in(path, ".gguf")) return open_gguf(path, out_tokenizer);
  if (ends_in(path, ".json")) return open_json(path, out_tokenizer);
  if (strcmp(path, "bytes") == 0) {
    *out_tokenizer = create_bytes(256);
    return NULL;
  }
  return weft_error(
      WEFT_INVALID,
      "%s: %s; a tokenizer is a tokenizer.json, a .gguf file, a folder with one of them, or the word \"bytes\"", path,
      weft_file_exists(path) ? "neither .json nor .gguf" : "no such file or folder");
}

static char *tokenizer_beside(const char *path) {
  if (weft_directory_exists(path)) return weft_format("%s/tokenizer.json", path);
  const char *slash = strrchr(path, '/');
  return weft_format("%.*stokenizer.json", slash ? (int)(slash - path + 1) : 0, path);
}

static weft_status bytes_for(const char *path, const weft_network *network, weft_tokenizer **out_tokenizer) {
  enum { BYTES_AND_A_FEW = 260 };
  if (!network || network->vocabulary < 256 || network->vocabulary > BYTES_AND_A_FEW)
    return weft_error(WEFT_INVALID,
                      "%s: no tokenizer: no tokenizer.json beside it, no GGUF metadata, and a vocabulary of %u is "
                      "not that of bytes (256 to %d)",
                      path, network ? network->vocabulary : 0, BYTES_AND_A_FEW);
  *out_tokenizer = create_bytes(network->vocabulary);
  return NULL;
}

// The network's ids where the tokenizer's own file has none, and never an id that the network has no row for.
static weft_status agree(weft_tokenizer *tokenizer, const weft_network *network, const char *path) {
  if (tokenizer->count > network->vocabulary)
    return weft_error(WEFT_INVALID, "%s: the tokenizer has %u tokens, the network's vocabulary only %u", path,
                      tokenizer->count, network->vocabulary);
  if (tokenizer->bos < 0 && network->bos < tokenizer->count) tokenizer->bos = network->bos;
  if (tokenizer->eos < 0 && network->eos < tokenizer->count) tokenizer->eos = network->eos;
  return NULL;
}

weft_status weft_tokenizer_of(const weft_checkpoint *checkpoint, const char *path, weft_tokenizer **out_tokenizer) {
  weft_network network;
  weft_status unread = weft_checkpoint_network(checkpoint, &network);
  bool known = unread == NULL;
  weft_status_free(unread);
  weft_tokenizer *tokenizer = NULL;
  weft_status status;
  char *beside = tokenizer_beside(path);
  if (weft_checkpoint_meta_find(checkpoint, "tokenizer.ggml.model").type != WEFT_META_NONE)
    status = weft_tokenizer_from_gguf(checkpoint, path, &tokenizer);
  else if (weft_file_exists(beside))
    status = open_json(beside, &tokenizer);
  else
    status = bytes_for(path, known ? &network : NULL, &tokenizer);
  free(beside);
  if (!status && known) status = agree(tokenizer, &network, path);
  if (status) {
    weft_tokenizer_close(tokenizer);
    return status;
  }
  *out_tokenizer = tokenizer;
  return NULL;
}

// ---- facts ----

const char *weft_tokenizer_kind(const weft_tokenizer *tokenizer) {
  static const char *const names[] = {"bytes", "byte-level bpe", "sentencepiece bpe"};
  return names[tokenizer->type];
}

uint32_t weft_tokenizer_vocabulary(const weft_tokenizer *tokenizer) { return tokenizer->count; }
int64_t weft_tokenizer_bos(const weft_tokenizer *tokenizer) { return tokenizer->bos; }
int64_t weft_tokenizer_eos(const weft_tokenizer *tokenizer) { return tokenizer->eos; }
bool weft_tokenizer_adds_bos(const weft_tokenizer *tokenizer) { return tokenizer->adds_bos; }

const char *weft_tokenizer_piece(const weft_tokenizer *tokenizer, int32_t id, size_t *out_bytes) {
  const weft_piece *piece = &tokenizer->pieces[id];
  *out_bytes = piece->length;
  return piece->bytes ? piece->bytes : "";
}

// ---- encoding ----

void weft_encoder_put(weft_encoder *encoder, int32_t id) {
  if (encoder->count == encoder->capacity) {
    encoder->capacity *= 2;
    encoder->ids = weft_grow(encoder->ids, encoder->capacity, sizeof *encoder->ids);
  }
  encoder->ids[encoder->count++] = id;
}

static size_t white_space_before(const char *text, size_t end, size_t floor) {
  while (end > floor) {
    size_t start = end - 1;
    while (start > floor && ((unsigned char)text[start] & 0xc0) == 0x80) --start;
    uint32_t character;
    if (weft_utf8_read(text + start, end - start, &character) != end - start || !weft_is_white_space(character)) break;
    end = start;
  }
  return end;
}

static size_t white_space_after(const char *text, size_t at, size_t bytes) {
  uint32_t character;
  size_t length;
  while ((length = weft_utf8_read(text + at, bytes - at, &character)) > 0 && weft_is_white_space(character))
    at += length;
  return at;
}

// Cuts out the literals of pass `pass`, then those of the next pass from what is between them.
static weft_status encode_from(weft_encoder *encoder, int pass, const char *text, size_t bytes) {
  if (pass == 2) return weft_bpe_encode(encoder, text, bytes);
  const weft_literals *literals = &encoder->tokenizer->literals[pass];
  size_t taken = 0;
  for (size_t at = 0; literals->count > 0 && at < bytes;) {
    const weft_literal *literal = weft_literals_match(literals, text + at, bytes - at);
    if (!literal) {
      ++at;
      continue;
    }
    size_t start = literal->strip_left ? white_space_before(text, at, taken) : at;
    WEFT_TRY(encode_from(encoder, pass + 1, text + taken, start - taken));
    weft_encoder_put(encoder, literal->id);
    at += literal->piece.length;
    if (literal->strip_right) at = white_space_after(text, at, bytes);
    taken = at;
  }
  return encode_from(encoder, pass + 1, text + taken, bytes - taken);
}

weft_status weft_tokenizer_encode(const weft_tokenizer *tokenizer, const char *text, size_t bytes, int32_t **out_ids,
                                  size_t *out_count) {
  // Places are 32-bit, and SentencePiece writes three bytes for a space.
  enum { LONGEST = INT32_MAX / 4 };
  if (bytes > LONGEST)
    return weft_error(WEFT_INVALID, "a text of %zu bytes; the longest that is tokenized at once has %d", bytes,
                      LONGEST);
  weft_encoder encoder = {.tokenizer = tokenizer, .capacity = bytes / 4 + 16};
  encoder.ids = weft_allocate_array(encoder.capacity, sizeof *encoder.ids);
  weft_status status = NULL;
  if (tokenizer->type == WEFT_TOKENIZER_BYTES) {
    for (size_t i = 0; i < bytes; ++i) weft_encoder_put(&encoder, (unsigned char)text[i]);
  } else if (tokenizer->type == WEFT_TOKENIZER_SPM) {
    weft_spm_encode(&encoder, text, bytes);
  } else {
    encoder.scratch = weft_pattern_scratch();
    status = encode_from(&encoder, 0, text, bytes);
    weft_pattern_scratch_free(encoder.scratch);
  }
  weft_merger_finish(&encoder.merger);
  free(encoder.splits);
  if (status) {
    free(encoder.ids);
    return status;
  }
  *out_ids = encoder.ids;
  *out_count = encoder.count;
  return NULL;
}

// ---- decoding ----

// SentencePiece's dummy prefix was not in the text. Bytes and the unknown token's sign are taken as they are.
static bool begins_with_dummy(const weft_tokenizer *tokenizer, int32_t id) {
  uint8_t type = tokenizer->token_types[id];
  return tokenizer->pieces[id].bytes[0] == ' ' && type != WEFT_GGUF_BYTE && type != WEFT_GGUF_UNKNOWN;
}

weft_status weft_tokenizer_decode(const weft_tokenizer *tokenizer, const int32_t *ids, size_t count, char **out_text,
                                  size_t *out_bytes) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || (uint32_t)ids[i] >= tokenizer->count)
      return weft_error(WEFT_INVALID, "id %d (number %zu) is outside the vocabulary of %u", ids[i], i,
                        tokenizer->count);
    bytes += tokenizer->pieces[ids[i]].length;
  }
  char *text = weft_allocate(bytes + 1), *to = text;
  bool prefix_due = tokenizer->space_prefix;
  for (size_t i = 0; i < count; ++i) {
    weft_piece piece = tokenizer->pieces[ids[i]];
    if (piece.length == 0) continue;
    if (prefix_due && begins_with_dummy(tokenizer, ids[i])) {
      ++piece.bytes;
      --piece.length;
    }
    prefix_due = false;
    memcpy(to, piece.bytes, piece.length);
    to += piece.length;
  }
  *out_text = text;
  *out_bytes = (size_t)(to - text);
  return NULL;
}
