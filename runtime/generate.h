// Text generation: a prefill session reads the prompt and fills the KV cache, a decode session adds one token per run.
//
// The caller brings both schedules: prefill with the prompt's length as its sequence, decode, both batch 1 with the
// same room in the cache (run.context of the prefill, run.sequence of the decode), which must hold prompt and tokens.
// Threads: one generation belongs to one thread.
#ifndef WEFT_RUNTIME_GENERATE_H
#define WEFT_RUNTIME_GENERATE_H

#include "base/status.h"
#include "compiler/schedule.h"
#include "models/tokenizer.h"
#include "runtime/backend.h"
#include "runtime/sample.h"
#include "runtime/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_generate_options {
  const weft_schedule *prefill, *decode;  // decode may be NULL where tokens <= 1
  const weft_backend *backend;
  weft_backend_options device;
  weft_sampling sampling;
  uint32_t tokens;                  // at most so many
  int64_t eos;                      // generation ends when this is drawn; -1: never
  const weft_tokenizer *tokenizer;  // for `text`; may be NULL
  // Called with every piece of text as soon as it is known, whole UTF-8 characters only; may be NULL. An error ends it.
  weft_status (*text)(void *context, const char *text, size_t bytes);
  void *context;
} weft_generate_options;

typedef struct weft_generation {
  int32_t *ids;  // drawn ones, without eos; release with weft_generation_finish
  uint32_t count;
  bool ended;                  // eos was drawn
  double prefill_s, decode_s;  // of the sessions' runs, without start-up and sampling
  uint32_t decodes;            // runs of the decode schedule
} weft_generation;

weft_status weft_generate(weft_store *store, const weft_generate_options *options, const int32_t *prompt,
                          uint32_t prompt_count, weft_generation *out_generation) WEFT_CHECKED;
void weft_generation_finish(weft_generation *generation);  // takes a zeroed one

// Turns pieces of bytes into whole UTF-8 characters: what has no end yet is kept back, what can never become a
// character comes out as U+FFFD. `emit` may be called any number of times per piece.
typedef struct weft_text_stream {
  char kept[4];
  uint32_t kept_count;
  weft_status (*emit)(void *context, const char *text, size_t bytes);
  void *context;
} weft_text_stream;

weft_status weft_text_stream_add(weft_text_stream *stream, const char *bytes, size_t count) WEFT_CHECKED;
weft_status weft_text_stream_end(weft_text_stream *stream) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
