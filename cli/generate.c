// weft generate: text from a checkpoint.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/execute.h"
#include "runtime/generate.h"

typedef struct request {
  weft_cli_device device;
  char *prompt, *tokenizer;
  double temperature, top_p;
  long long seed;
  int tokens, top_k, ignore_eos, json;
} request;

typedef struct output {
  bool json;
  char *text;  // collected for JSON
  size_t bytes;
} output;

static weft_status write_text(void *context, const char *text, size_t bytes) {
  output *o = context;
  if (o->json) {
    o->text = weft_grow(o->text, o->bytes + bytes + 1, 1);
    memcpy(o->text + o->bytes, text, bytes);
    o->bytes += bytes;
    return NULL;
  }
  // Each character as soon as it is there: people watch.
  if (fwrite(text, 1, bytes, stdout) == bytes && fflush(stdout) == 0) return NULL;
  return weft_error(WEFT_FAILED, "cannot write to the standard output");
}

static weft_status read_sampling(const request *r, weft_sampling *out_sampling) {
  *out_sampling = (weft_sampling){.temperature = r->temperature, .top_p = r->top_p, .seed = (uint64_t)r->seed};
  WEFT_TRY(weft_cli_count("top-k", r->top_k, 0, 1 << 30, &out_sampling->top_k));
  return weft_sampling_check(out_sampling);
}

// As many as were asked for, or else as the network's positions allow, up to 128.
static weft_status count_tokens(const request *r, const weft_network *network, uint64_t prompt, uint32_t *out_tokens) {
  enum { DEFAULT_TOKENS = 128 };
  if (prompt == 0) return weft_error(WEFT_INVALID, "--prompt: at least one token is needed");
  uint64_t room = prompt < network->positions ? network->positions - prompt : 0;
  if (room == 0) {
    return weft_error(WEFT_INVALID, "--prompt: %llu tokens; %s has %u positions", (unsigned long long)prompt,
                      network->name, network->positions);
  }
  if (r->tokens < 0) {
    *out_tokens = room < DEFAULT_TOKENS ? (uint32_t)room : DEFAULT_TOKENS;
    return NULL;
  }
  return weft_cli_count("tokens", r->tokens, 1, (long long)room, out_tokens);
}

static weft_status compile_both(const request *r, const weft_network *network, uint32_t prompt, uint32_t tokens,
                                weft_schedule **out_prefill, weft_schedule **out_decode) {
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.sequence = prompt;
  run.context = prompt + tokens;
  WEFT_TRY(weft_cli_dtype(&r->device, &run.dtype));
  WEFT_TRY(weft_cli_compile(&r->device, network, &run, out_prefill));
  run.mode = WEFT_DECODE;
  run.sequence = prompt + tokens;
  run.context = 0;
  return weft_cli_compile(&r->device, network, &run, out_decode);
}

static void print_json(const request *r, const output *o, const weft_generation *g, uint64_t prompt_tokens) {
  json_t *ids = json_array();
  for (uint32_t i = 0; i < g->count; ++i) json_array_append_new(ids, json_integer(g->ids[i]));
  json_t *prompt = json_string(r->prompt);  // NULL where the argument is not UTF-8
  json_t *root =
      json_pack("{s:o, s:s#, s:o, s:I, s:i, s:b, s:f, s:f, s:f}", "prompt", prompt ? prompt : json_null(), "text",
                o->text ? o->text : "", (int)o->bytes, "ids", ids, "prompt_tokens", (json_int_t)prompt_tokens, "tokens",
                (int)g->count, "ended", (int)g->ended, "prefill_seconds", g->prefill_s, "decode_seconds", g->decode_s,
                "decode_tokens_per_second", g->decodes ? g->decodes / g->decode_s : 0.0);
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
}

static void report(const request *r, const output *o, const weft_generation *g, uint64_t prompt_tokens) {
  if (r->json)
    print_json(r, o, g, prompt_tokens);
  else
    putchar('\n');
  weft_log(WEFT_LOG_INFO, "%llu prompt tokens in %.3g s (%.4g tokens/s), %u new ones in %.3g s (%.4g tokens/s)%s",
           (unsigned long long)prompt_tokens, g->prefill_s, (double)prompt_tokens / g->prefill_s, g->count, g->decode_s,
           g->decodes ? g->decodes / g->decode_s : 0.0, g->ended ? "; the text has ended" : "");
}

static weft_status generate_from(const request *r, const weft_cli_model *model, const int32_t *ids, uint64_t count) {
  weft_schedule *prefill = NULL, *decode = NULL;
  weft_store *store = NULL;
  weft_generate_options o = {
      .eos = r->ignore_eos ? -1 : model->network.eos, .tokenizer = model->tokenizer, .text = write_text};
  if (o.eos < 0 && !r->ignore_eos) o.eos = weft_tokenizer_eos(model->tokenizer);
  WEFT_TRY(read_sampling(r, &o.sampling));
  WEFT_TRY(weft_cli_backend(&r->device, &o.backend, &o.device));
  WEFT_TRY(count_tokens(r, &model->network, count, &o.tokens));
  output out = {.json = r->json};
  o.context = &out;
  weft_generation generation = {0};
  weft_status status = compile_both(r, &model->network, (uint32_t)count, o.tokens, &prefill, &decode);
  o.prefill = prefill;
  o.decode = decode;
  if (!status) status = weft_store_open(&model->network, model->checkpoint, false, prefill->run.dtype, &store);
  if (!status && !r->json) fputs(r->prompt, stdout);
  if (!status) status = weft_generate(store, &o, ids, (uint32_t)count, &generation);
  if (!status) report(r, &out, &generation, count);
  weft_generation_finish(&generation);
  weft_store_destroy(store);
  weft_schedule_destroy(decode);
  weft_schedule_destroy(prefill);
  free(out.text);
  return status;
}

static weft_status generate(const request *r, const char *path) {
  if (!r->prompt) return weft_error(WEFT_INVALID, "--prompt is missing: the text to go on from");
  weft_cli_model model = {0};
  WEFT_TRY(weft_cli_model_open(path, r->tokenizer, &model));
  int32_t *ids = NULL;
  uint64_t count = 0;
  weft_status status = weft_cli_encode(model.tokenizer, r->prompt, strlen(r->prompt), &ids, &count);
  if (!status) status = generate_from(r, &model, ids, count);
  free(ids);
  weft_cli_model_close(&model);
  return status;
}

static weft_status run(int argc, const char **argv) {
  weft_sampling sampling = weft_sampling_default();
  request r = {
      .temperature = sampling.temperature, .top_p = sampling.top_p, .seed = (long long)sampling.seed, .tokens = -1};
  struct poptOption table[] = {
      {"prompt", 'p', POPT_ARG_STRING, &r.prompt, 0, "the text to go on from", "TEXT"},
      {"tokens", 'n', POPT_ARG_INT, &r.tokens, 0, "new tokens at most (default 128, or as many as there are positions)",
       "N"},
      {"temperature", 0, POPT_ARG_DOUBLE, &r.temperature, 0, "divides the logits; 0 is greedy (default 0)", "X"},
      {"top-k", 0, POPT_ARG_INT, &r.top_k, 0, "draw from the K most probable tokens (default 0: all)", "K"},
      {"top-p", 0, POPT_ARG_DOUBLE, &r.top_p, 0, "draw from the smallest set that has probability P (default 1: all)",
       "P"},
      {"seed", 0, POPT_ARG_LONGLONG, &r.seed, 0, "same seed, same text (default 1)", "N"},
      {"ignore-eos", 0, POPT_ARG_NONE, &r.ignore_eos, 0, "go on after the end-of-text token", NULL},
      {"tokenizer", 0, POPT_ARG_STRING, &r.tokenizer, 0,
       "tokenizer.json, .gguf or \"bytes\" (default: the checkpoint's)", "FILE"},
      WEFT_CLI_BACKEND_OPTIONS(r.device),
      WEFT_CLI_COMPILE_OPTIONS(r.device),
      {"json", 0, POPT_ARG_NONE, &r.json, 0, "text, ids and times as JSON", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage =
          "weft generate CHECKPOINT --prompt TEXT [--tokens N] [--temperature X] [--top-k K] [--top-p P] [--seed N] "
          "[...]",
      .about = "Writes text: the prompt, then what the network goes on with, token by token.",
      .examples =
          "  weft generate models/tiny --prompt \"In the beginning\" --tokens 200 --temperature 0.7\n"
          "  weft generate smollm2.gguf --prompt \"The capital of France is\" --tokens 20 --json\n",
      .table = table,
      .positional_min = 1,
      .positional_max = 1};
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = generate(&r, options.positional[0]);
  weft_cli_finish(&options);
  weft_cli_device_finish(&r.device);
  free(r.prompt);
  free(r.tokenizer);
  return status;
}

const weft_command weft_command_generate = {"generate", "write text with a checkpoint", run};
