// What the tokenizer's parts share; nobody else includes it.
//
//   tokenizer.c          the door: opening, encoding around special tokens, decoding
//   tokenizer_json.c     reads a tokenizer.json          tokenizer_gguf.c   reads GGUF metadata
//   tokenizer_bpe.c      byte-level BPE                  tokenizer_spm.c    SentencePiece BPE
//   tokenizer_merge.c    the priority queue of both      tokenizer_pattern.c  pre-tokenizer patterns, over PCRE2
//   tokenizer_tables.c   hash tables, literals, UTF-8
//
// Both readers end in the same struct weft_tokenizer, so a tokenizer.json and the GGUF metadata made from it give the
// same ids. Pieces are kept as the bytes they stand for: the byte-level alphabet of the files (Radford et al. 2019,
// where each byte is written as a printable character) ends at the gate.
#ifndef WEFT_MODELS_TOKENIZER_INTERNAL_H
#define WEFT_MODELS_TOKENIZER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"
#include "models/tokenizer.h"

enum { WEFT_TOKENS_MAX = 1 << 24, WEFT_PRE_STEPS_MAX = 16 };

// ---- tokenizer_tables.c ----

typedef struct weft_piece {
  const char *bytes;  // NULL: no token has this id
  uint32_t length;
} weft_piece;

// bytes -> id; the bytes are borrowed. Open addressing over XXH3.
typedef struct weft_token_table {
  struct weft_token_slot *slots;
  size_t capacity, used;
} weft_token_table;

int32_t weft_token_table_find(const weft_token_table *table, const char *bytes, size_t length);  // -1: absent
// Returns the id that is there already, or -1 when this one was put.
int32_t weft_token_table_put(weft_token_table *table, weft_piece piece, int32_t id);
void weft_token_table_finish(weft_token_table *table);

// (left id, right id) -> (rank, merged id). A pair given again replaces the earlier one.
typedef struct weft_merge_rule {
  uint64_t pair;
  uint32_t rank;
  int32_t id;
} weft_merge_rule;
typedef struct weft_merge_table {
  weft_merge_rule *slots;
  size_t capacity, used;
} weft_merge_table;

const weft_merge_rule *weft_merge_table_find(const weft_merge_table *table, int32_t left, int32_t right);  // or NULL
void weft_merge_table_put(weft_merge_table *table, int32_t left, int32_t right, uint32_t rank, int32_t id);
void weft_merge_table_finish(weft_merge_table *table);

// Tokens that are looked for in the text as they are written, before anything else.
typedef struct weft_literal {
  weft_piece piece;
  int32_t id;
  bool strip_left, strip_right;  // white space beside it belongs to it
} weft_literal;
typedef struct weft_literals {
  weft_literal *items;  // sorted by their bytes once weft_literals_sort was called
  size_t count;
  bool first[256];  // bytes that some literal begins with
} weft_literals;

void weft_literals_add(weft_literals *literals, weft_literal literal);
void weft_literals_sort(weft_literals *literals);
// The longest literal that `text` begins with, or NULL.
const weft_literal *weft_literals_match(const weft_literals *literals, const char *text, size_t bytes);
void weft_literals_finish(weft_literals *literals);

// The bytes of the character that `text` begins with (RFC 3629: no surrogates, no overlong forms), 0 when it is not
// UTF-8.
size_t weft_utf8_read(const char *text, size_t bytes, uint32_t *out_character);
bool weft_is_white_space(uint32_t character);  // Unicode's White_Space

// ---- tokenizer_pattern.c ----

// A pattern in the language of Hugging Face's tokenizers (Oniguruma), run by PCRE2.
typedef struct weft_pattern weft_pattern;
typedef weft_status (*weft_span_taker)(void *context, const char *span, size_t bytes, bool matched);

// `literal`: the text itself is meant. WEFT_INVALID where the two engines would read the pattern differently.
weft_status weft_pattern_compile(const char *text, bool literal, const char *where,
                                 weft_pattern **out_pattern) WEFT_CHECKED;
void weft_pattern_destroy(weft_pattern *pattern);  // takes NULL
// Cuts a text into matches and what lies between them, in order. Bytes that are not UTF-8 match nothing and end a
// match. `scratch` is the caller's, from weft_pattern_scratch; one per thread.
void *weft_pattern_scratch(void);
void weft_pattern_scratch_free(void *scratch);
weft_status weft_pattern_split(const weft_pattern *pattern, void *scratch, const char *text, size_t bytes,
                               weft_span_taker take, void *context) WEFT_CHECKED;

#define WEFT_PATTERN_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

// ---- tokenizer_merge.c ----

typedef struct weft_symbol {
  int32_t previous, next;  // symbols; -1 at the ends
  uint32_t start, length;  // bytes of the word; length 0: swallowed by its left neighbour
  int32_t id;
  bool frozen;  // never merged
} weft_symbol;

// May these two become one? A smaller priority goes first.
typedef bool (*weft_joiner)(void *context, const weft_symbol *left, const weft_symbol *right, uint32_t *out_priority,
                            int32_t *out_id);
typedef struct weft_merger {
  weft_symbol *symbols;
  size_t count, capacity;
  struct weft_candidate *heap;
  size_t candidates, heap_capacity;
} weft_merger;

void weft_merger_start(weft_merger *merger, size_t symbols);  // room for that many
void weft_merger_add(weft_merger *merger, uint32_t start, uint32_t length, int32_t id, bool frozen);
// Merges until no pair may be joined: always the smallest priority, and of equals the leftmost. O(n log n).
void weft_merger_run(weft_merger *merger, weft_joiner join, void *context);
void weft_merger_finish(weft_merger *merger);

// ---- the tokenizer ----

typedef enum weft_tokenizer_type { WEFT_TOKENIZER_BYTES, WEFT_TOKENIZER_BPE, WEFT_TOKENIZER_SPM } weft_tokenizer_type;

typedef struct weft_pre_step {
  weft_pattern *pattern;           // NULL: put a space in front of a text that does not begin with one
  bool keep_matches, keep_others;  // what goes on to the next step
} weft_pre_step;

struct weft_tokenizer {
  weft_tokenizer_type type;
  weft_arena arena;  // the pieces' bytes
  uint32_t count;
  weft_piece *pieces;      // (count), what each id stands for
  weft_token_table table;  // what merging may arrive at
  int64_t bos, eos;
  int32_t unknown;  // -1: none
  bool adds_bos;
  int32_t byte_ids[256];  // -1: none
  // Literals in two passes: those that HF marks as not normalized come first.
  weft_literals literals[2];
  // byte-level BPE
  weft_pre_step pre[WEFT_PRE_STEPS_MAX];
  uint32_t pre_count;
  weft_merge_table merges;
  bool ignore_merges, fuse_unknown;
  // SentencePiece
  bool space_prefix;
  float *scores;         // (count)
  uint8_t *token_types;  // (count), enum weft_gguf_token_type
  uint32_t longest;      // bytes of the longest entry of `table`
};

// llama.cpp's token types, which GGUF files carry in tokenizer.ggml.token_type.
enum weft_gguf_token_type {
  WEFT_GGUF_NORMAL = 1,
  WEFT_GGUF_UNKNOWN,
  WEFT_GGUF_CONTROL,
  WEFT_GGUF_USER_DEFINED,
  WEFT_GGUF_UNUSED,
  WEFT_GGUF_BYTE
};

weft_tokenizer *weft_tokenizer_create(weft_tokenizer_type type, uint32_t count);
weft_piece weft_tokenizer_keep(weft_tokenizer *tokenizer, const char *bytes, size_t length);  // a copy in the arena
// `root` as read from the file `where`; `text` (may be NULL) serves line numbers.
weft_status weft_tokenizer_from_json(json_t *root, const char *where, const char *text,
                                     weft_tokenizer **out_tokenizer) WEFT_CHECKED;
weft_status weft_tokenizer_from_gguf(const weft_checkpoint *checkpoint, const char *where,
                                     weft_tokenizer **out_tokenizer) WEFT_CHECKED;

// ---- one encoding ----

typedef struct weft_encoder {
  const weft_tokenizer *tokenizer;
  weft_merger merger;
  void *scratch;     // of the patterns
  uint32_t *splits;  // SentencePiece: where an unused piece came together, by id; NULL until one does
  const char *text;  // what the symbols of `merger` point into
  int32_t *ids;
  size_t count, capacity;
} weft_encoder;

void weft_encoder_put(weft_encoder *encoder, int32_t id);
weft_status weft_bpe_encode(weft_encoder *encoder, const char *text, size_t bytes) WEFT_CHECKED;
void weft_spm_encode(weft_encoder *encoder, const char *text, size_t bytes);

// ---- tokenizer_bpe.c: building ----

// Gives `id` to a token written in the byte-level alphabet; what is not written in it stands for itself and is never
// merged to. WEFT_INVALID when the id or the token is there already.
weft_status weft_bpe_add_token(weft_tokenizer *tokenizer, int64_t id, const char *text, size_t bytes) WEFT_CHECKED;
// Both sides and their concatenation must be tokens. WEFT_INVALID without a place in the file: the caller prefixes it.
weft_status weft_bpe_add_merge(weft_tokenizer *tokenizer, const char *left, size_t left_bytes, const char *right,
                               size_t right_bytes, uint32_t rank) WEFT_CHECKED;
// The older spelling of a merge: both sides in one text with a space between.
weft_status weft_bpe_add_written_merge(weft_tokenizer *tokenizer, const char *text, size_t bytes,
                                       uint32_t rank) WEFT_CHECKED;
weft_status weft_bpe_add_pattern(weft_tokenizer *tokenizer, const char *text, bool literal, bool keep_matches,
                                 bool keep_others, const char *where) WEFT_CHECKED;
weft_status weft_bpe_add_space_step(weft_tokenizer *tokenizer, const char *where) WEFT_CHECKED;
void weft_bpe_finish_building(weft_tokenizer *tokenizer);

#endif
