// Tokenizers: text to ids and back. Three kinds: bytes (id = byte), byte-level BPE (GPT-2, Llama 3, SmolLM2; from
// tokenizer.json or GGUF metadata; pre-tokenizer patterns through PCRE2), SentencePiece BPE (GGUF metadata: pieces,
// scores, byte fallback, dummy prefix).
//
// Texts are UTF-8 with a length; invalid UTF-8 is passed through as bytes where the kind can. Threads: after opening,
// an open tokenizer is read-only and may be used from many threads.
#ifndef WEFT_MODELS_TOKENIZER_H
#define WEFT_MODELS_TOKENIZER_H

#include "base/status.h"
#include "models/checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_tokenizer weft_tokenizer;

// A tokenizer.json, a .gguf file, a folder with either, or the word "bytes".
weft_status weft_tokenizer_open(const char *path, weft_tokenizer **out_tokenizer) WEFT_CHECKED;
// The one that belongs to a checkpoint: tokenizer.json beside it, its GGUF metadata, or bytes where the vocabulary is
// at most 256 + a few and there is neither.
weft_status weft_tokenizer_of(const weft_checkpoint *checkpoint, const char *path,
                              weft_tokenizer **out_tokenizer) WEFT_CHECKED;
void weft_tokenizer_close(weft_tokenizer *tokenizer);  // takes NULL

const char *weft_tokenizer_kind(const weft_tokenizer *tokenizer);  // "bytes", "byte-level bpe", "sentencepiece bpe"
uint32_t weft_tokenizer_vocabulary(const weft_tokenizer *tokenizer);
int64_t weft_tokenizer_bos(const weft_tokenizer *tokenizer);  // -1: none
int64_t weft_tokenizer_eos(const weft_tokenizer *tokenizer);
bool weft_tokenizer_adds_bos(const weft_tokenizer *tokenizer);  // the file asks for bos before a prompt

// No special tokens are added; special tokens written out in the text are recognised where the file says so.
// Caller frees *out_ids (never NULL).
weft_status weft_tokenizer_encode(const weft_tokenizer *tokenizer, const char *text, size_t bytes, int32_t **out_ids,
                                  size_t *out_count) WEFT_CHECKED;
// Ids outside the vocabulary: WEFT_INVALID. Caller frees *out_text, which ends in 0 beyond *out_bytes.
weft_status weft_tokenizer_decode(const weft_tokenizer *tokenizer, const int32_t *ids, size_t count, char **out_text,
                                  size_t *out_bytes) WEFT_CHECKED;
// The bytes of one token in the middle of a text; parts of a character may come alone. Borrowed; id must be valid.
const char *weft_tokenizer_piece(const weft_tokenizer *tokenizer, int32_t id, size_t *out_bytes);

#ifdef __cplusplus
}
#endif
#endif
