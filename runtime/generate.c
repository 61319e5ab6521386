#include "runtime/generate.h"

#include <stdlib.h>

#include "base/memory.h"
#include "runtime/session.h"

typedef struct generator {
  const weft_generate_options *options;
  weft_session *prefill, *decode;
  weft_sampler *sampler;
  weft_text_stream stream;
  float *logits;
  uint32_t vocabulary;
  weft_generation generation;
} generator;

static weft_status open_sessions(generator *g, weft_store *store) {
  const weft_generate_options *o = g->options;
  WEFT_TRY(weft_session_create(o->prefill, store, o->backend, &o->device, NULL, &g->prefill));
  if (!o->decode) return NULL;
  return weft_session_create(o->decode, store, o->backend, &o->device, g->prefill, &g->decode);
}

static weft_status draw_from(generator *g, const weft_session *session, int32_t *out_token) {
  WEFT_TRY(weft_session_read(session, "logits", g->logits, g->vocabulary));
  return weft_sampler_draw(g->sampler, g->logits, g->generation.count, out_token);
}

static weft_status accept(generator *g, int32_t token) {
  g->generation.ids[g->generation.count++] = token;
  if (!g->options->text || !g->options->tokenizer) return NULL;
  // A vocabulary padded beyond its tokenizer has ids without text.
  if ((uint32_t)token >= weft_tokenizer_vocabulary(g->options->tokenizer)) return NULL;
  size_t bytes = 0;
  const char *piece = weft_tokenizer_piece(g->options->tokenizer, token, &bytes);
  return weft_text_stream_add(&g->stream, piece, bytes);
}

static weft_status read_prompt(generator *g, const int32_t *prompt) {
  weft_outcome outcome = {0};
  WEFT_TRY(weft_session_run(g->prefill, &(weft_feed){.ids = prompt}, NULL, &outcome));
  g->generation.prefill_s = outcome.seconds;
  return NULL;
}

static weft_status write_text(generator *g, uint32_t prompt_count) {
  const weft_session *last = g->prefill;
  while (g->generation.count < g->options->tokens) {
    int32_t token = 0;
    WEFT_TRY(draw_from(g, last, &token));
    g->generation.ended = token == g->options->eos;
    if (g->generation.ended) break;
    WEFT_TRY(accept(g, token));
    if (g->generation.count == g->options->tokens) break;
    weft_feed feed = {.ids = &token, .position = prompt_count + g->generation.count - 1};
    weft_outcome outcome = {0};
    WEFT_TRY(weft_session_run(g->decode, &feed, NULL, &outcome));
    g->generation.decode_s += outcome.seconds;
    ++g->generation.decodes;
    last = g->decode;
  }
  return g->stream.emit ? weft_text_stream_end(&g->stream) : NULL;
}

static weft_status check_schedules(const weft_generate_options *o, uint32_t prompt_count) {
  if (prompt_count == 0) return weft_error(WEFT_INVALID, "generation needs a prompt of at least one token");
  const weft_run *prefill = &o->prefill->run, *decode = o->decode ? &o->decode->run : NULL;
  if (prefill->mode != WEFT_PREFILL || prefill->batch != 1 || prefill->sequence != prompt_count ||
      prefill->all_logits) {
    return weft_error(WEFT_INVALID,
                      "generation from %u tokens needs a prefill schedule of batch 1, sequence %u and the last logits",
                      prompt_count, prompt_count);
  }
  if (o->tokens > 1 && (!decode || decode->mode != WEFT_DECODE || decode->batch != 1)) {
    return weft_error(WEFT_INVALID, "generation of %u tokens needs a decode schedule of batch 1", o->tokens);
  }
  if (decode && o->tokens > 1 && (uint64_t)prompt_count + o->tokens - 1 > decode->sequence) {
    return weft_error(WEFT_INVALID, "a prompt of %u tokens and %u new ones do not fit a KV cache with room for %u",
                      prompt_count, o->tokens, decode->sequence);
  }
  return weft_sampling_check(&o->sampling);
}

weft_status weft_generate(weft_store *store, const weft_generate_options *options, const int32_t *prompt,
                          uint32_t prompt_count, weft_generation *out_generation) {
  WEFT_TRY(check_schedules(options, prompt_count));
  generator g = {.options = options,
                 .vocabulary = weft_store_network(store)->vocabulary,
                 .stream = {.emit = options->text, .context = options->context}};
  g.logits = weft_allocate_array(g.vocabulary, sizeof *g.logits);
  g.generation.ids = weft_allocate_array(options->tokens, sizeof *g.generation.ids);
  g.sampler = weft_sampler_create(&options->sampling, g.vocabulary);
  weft_status status = open_sessions(&g, store);
  if (!status) status = read_prompt(&g, prompt);
  if (!status) status = write_text(&g, prompt_count);
  weft_session_destroy(g.decode);
  weft_session_destroy(g.prefill);
  weft_sampler_destroy(g.sampler);
  free(g.logits);
  if (status) {
    weft_generation_finish(&g.generation);
    return status;
  }
  *out_generation = g.generation;
  return NULL;
}

void weft_generation_finish(weft_generation *generation) {
  free(generation->ids);
  *generation = (weft_generation){0};
}
