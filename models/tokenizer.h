// Tokenizers: text to ids and back. Three kinds:
//   bytes              id = byte; what is trained from nothing uses it
//   byte-level BPE     GPT-2, Llama 3, SmolLM2, Qwen2: from Hugging Face's tokenizer.json or from GGUF metadata
//   SentencePiece BPE  Llama 1 and 2: from GGUF metadata (pieces, scores, byte fallback, dummy prefix)
//
// Ids are those of Hugging Face's tokenizers and of SentencePiece, exactly. A text is cut by the pre-tokenizer's
// patterns (through PCRE2, with \s as Unicode's White_Space), and each part is merged by a priority queue, so that a
// megabyte without a space is no slower than one of words. What letters and digits are is decided by PCRE2's Unicode
// tables (14 in its release 10.42): about characters that Unicode took in later, other programs may think otherwise.
//
// tokenizer.json: model BPE; pre_tokenizer ByteLevel, Split (Regex or String; Isolated or Removed), Digits and
// Sequence, with ByteLevel last; decoder ByteLevel; added_tokens with lstrip and rstrip; no normalizer. Any other part
// is an error that names it. GGUF: tokenizer.ggml.model gpt2 (the pattern by the name in tokenizer.ggml.pre) and llama.
//
// Texts are bytes with a length. Invalid UTF-8 is not an error: its bytes match no pattern and are encoded as the bytes
// they are, and decoding gives them back. A vocabulary need not have a token for every byte (SmolLM2's has not for
// 0x04): such a byte becomes the file's unknown token, and is an error where the file names none.
//
// Sources: Radford et al. 2019 (byte-level BPE); Kudo and Richardson 2018 (SentencePiece); huggingface/tokenizers for
// the meaning of tokenizer.json; ggml's docs/gguf.md and llama.cpp for the metadata keys.
//
// Threads: an open tokenizer is read-only and may be used from many threads.
#ifndef WEFT_MODELS_TOKENIZER_H
#define WEFT_MODELS_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "models/checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_tokenizer weft_tokenizer;

// A tokenizer.json, a .gguf file, a folder with either (tokenizer.json goes first), or the word "bytes". A
// tokenizer_config.json beside a tokenizer.json says which tokens begin and end a text. WEFT_INVALID: no such file, or
// a part of it that is damaged or not supported; the message names the file, the part and the nearest that would be
// right.
weft_status weft_tokenizer_open(const char *path, weft_tokenizer **out_tokenizer) WEFT_CHECKED;
// The one that belongs to a checkpoint, which was opened from `path`: in its GGUF metadata; else tokenizer.json beside
// it; else bytes, where the network's vocabulary is 256 to 260 (ids from 256 on stand for no text). Where the
// tokenizer's file names no bos or eos the network's is taken. WEFT_INVALID when there is none, or when it has more
// tokens than the network's vocabulary.
weft_status weft_tokenizer_of(const weft_checkpoint *checkpoint, const char *path,
                              weft_tokenizer **out_tokenizer) WEFT_CHECKED;
void weft_tokenizer_close(weft_tokenizer *tokenizer);  // takes NULL

const char *weft_tokenizer_kind(const weft_tokenizer *tokenizer);  // "bytes", "byte-level bpe", "sentencepiece bpe"
// Ids are less than this; some of them may stand for nothing.
uint32_t weft_tokenizer_vocabulary(const weft_tokenizer *tokenizer);
int64_t weft_tokenizer_bos(const weft_tokenizer *tokenizer);  // -1: none
int64_t weft_tokenizer_eos(const weft_tokenizer *tokenizer);
bool weft_tokenizer_adds_bos(const weft_tokenizer *tokenizer);  // the file asks for bos before a prompt

// No special tokens are added. Special tokens written out in the text are recognised, the longest first, by byte-level
// BPE; by SentencePiece only those of type "user defined". Caller frees *out_ids (never NULL). WEFT_INVALID: more than
// half a gigabyte, or a byte that the vocabulary cannot say; WEFT_FAILED: a pattern of the file ran into PCRE2's
// limits.
weft_status weft_tokenizer_encode(const weft_tokenizer *tokenizer, const char *text, size_t bytes, int32_t **out_ids,
                                  size_t *out_count) WEFT_CHECKED;
// Special tokens appear as they are written, but for SentencePiece's control tokens, which are silent. Bytes are given
// as they are, also where they make no UTF-8. Caller frees *out_text, which ends in 0 beyond *out_bytes. Ids outside
// the vocabulary: WEFT_INVALID.
weft_status weft_tokenizer_decode(const weft_tokenizer *tokenizer, const int32_t *ids, size_t count, char **out_text,
                                  size_t *out_bytes) WEFT_CHECKED;
// The bytes of one token in the middle of a text; parts of a character may come alone. Borrowed; `id` must be less than
// the vocabulary.
const char *weft_tokenizer_piece(const weft_tokenizer *tokenizer, int32_t id, size_t *out_bytes);

#ifdef __cplusplus
}
#endif
#endif
