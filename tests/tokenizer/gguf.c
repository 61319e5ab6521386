// Tokenizers in GGUF metadata: what the named patterns cut, SentencePiece's finer rules, and what is refused.
#include "tests/tokenizer/test.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/tokenizer/gguf_writer.h"

static char *path;

static weft_tokenizer *reopen(gguf_writer *writer) {
  gguf_end(writer, path);
  return open_tokenizer(path);
}

static void expect_refused(gguf_writer *writer, const char *message) {
  gguf_end(writer, path);
  weft_tokenizer *tokenizer = NULL;
  weft_status status = weft_tokenizer_open(path, &tokenizer);
  if (!status) fail_msg("accepted, instead of saying \"%s\"", message);
  assert_non_null(strstr(weft_status_message(status), path));
  expect_failure(status, WEFT_INVALID, message);
  assert_null(tokenizer);
}

static void pre_named(const char *pre) { gguf_from_tokenizer_json(GOLDEN("bpe-gpt2/tokenizer.json"), pre, path); }

static void named_patterns(void **state) {
  (void)state;
  static const struct {
    const char *pre;
    bool adds_bos;
  } cases[] = {{"gpt-2", false}, {"default", false}, {"llama-bpe", true}, {"smollm", false}, {"qwen2", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    pre_named(cases[i].pre);
    weft_tokenizer *t = open_tokenizer(path);
    assert_string_equal(weft_tokenizer_kind(t), "byte-level bpe");
    assert_int_equal(weft_tokenizer_adds_bos(t), cases[i].adds_bos);
    assert_int_equal(weft_tokenizer_bos(t), 0);
    EXPECT(t, "<|endoftext|>", "<|endoftext|>|");
    weft_tokenizer_close(t);
  }
  pre_named("llama-bep");
  weft_tokenizer *tokenizer;
  expect_failure(weft_tokenizer_open(path, &tokenizer), WEFT_INVALID,
                 "tokenizer.ggml.pre: \"llama-bep\" is not known; the nearest that is: llama-bpe");
}

static const char *const bpe_tokens[] = {"<s>",        "1", "2", "12", "Ġ",   "a", "Ġa",
                                         "\xc3\xa9 x", "'", "s", "'s", "<z>", "!", "!a"};
static const int32_t bpe_types[] = {3, 1, 1, 1, 1, 1, 1, 4, 1, 1, 1, 4, 1, 1};
static const char *const bpe_merges[] = {"1 2", "Ġ a", "' s", "! a"};
enum { BPE_TOKENS = sizeof bpe_types / sizeof *bpe_types };

static void begin_bpe(gguf_writer *writer, const char *pre, const char *const *merges, uint64_t merge_count) {
  gguf_begin(writer);
  gguf_text(writer, "tokenizer.ggml.model", "gpt2");
  gguf_text(writer, "tokenizer.ggml.pre", pre);
  gguf_texts(writer, "tokenizer.ggml.tokens", bpe_tokens, BPE_TOKENS);
  gguf_texts(writer, "tokenizer.ggml.merges", merges, merge_count);
}

static void patterns_decide_what_merges(void **state) {
  (void)state;
  static const struct {
    const char *pre, *pieces;
  } cases[] = {{"gpt-2", "12| a|'s|!|a|"},
               {"smollm", "1|2| a|'s|!|a|"},
               {"qwen2", "1|2| a|'s|!a|"},
               {"llama-bpe", "12| a|'s|!a|"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    gguf_writer writer;
    begin_bpe(&writer, cases[i].pre, bpe_merges, 4);
    gguf_types(&writer, "tokenizer.ggml.token_type", bpe_types, BPE_TOKENS);
    weft_tokenizer *t = reopen(&writer);
    EXPECT(t, "12 a's!a", cases[i].pieces);
    EXPECT(t, "a\xc3\xa9 x<z>1", "a|\xc3\xa9 x|<z>|1|");
    weft_tokenizer_close(t);
  }
}

static void bpe_refused(void **state) {
  (void)state;
  static const char *const strange[] = {"1 a"}, *const lone[] = {"12"};
  static const int32_t ninth[BPE_TOKENS] = {9};
  gguf_writer writer;
  begin_bpe(&writer, "gpt-2", strange, 1);
  expect_refused(&writer, "tokenizer.ggml.merges[0]: \"1\" and \"a\" merge to what is not in the vocabulary");
  begin_bpe(&writer, "gpt-2", lone, 1);
  expect_refused(&writer, "tokenizer.ggml.merges[0]: expected two tokens");
  begin_bpe(&writer, "gpt-2", bpe_merges, 4);
  gguf_types(&writer, "tokenizer.ggml.token_type", bpe_types, 3);
  expect_refused(&writer, "tokenizer.ggml.token_type: expected 14, as many as tokens, found 3");
  begin_bpe(&writer, "gpt-2", bpe_merges, 4);
  gguf_types(&writer, "tokenizer.ggml.token_type", ninth, BPE_TOKENS);
  expect_refused(&writer, "tokenizer.ggml.tokens[0]: type 9 is not known");
  begin_bpe(&writer, "gpt-2", bpe_merges, 4);
  gguf_id(&writer, "tokenizer.ggml.eos_token_id", 14);
  expect_refused(&writer, "tokenizer.ggml.eos_token_id: expected an id of the vocabulary of 14, found 14");
  gguf_begin(&writer);
  expect_refused(&writer, "tokenizer.ggml.model: missing");
  gguf_begin(&writer);
  gguf_text(&writer, "tokenizer.ggml.model", "gpt");
  expect_refused(&writer, "tokenizer.ggml.model: \"gpt\" is not supported; the nearest that is: gpt2");
  gguf_begin(&writer);
  gguf_text(&writer, "tokenizer.ggml.model", "llama");
  expect_refused(&writer, "tokenizer.ggml.tokens: missing: an array of texts");
}

// "ab" is unused: it leads to "abc", and alone is taken apart again. "bc|" is the user's and never merged.
static const char *const spm_tokens[] = {"<unk>", "<s>", "a", "b", "c", "ab", "abc", "\xe2\x96\x81", "\xe2\x96\x81\x61",
                                         "bc|",   "|"};
static const int32_t spm_types[] = {2, 3, 1, 1, 1, 5, 1, 1, 1, 4, 1};
enum { SPM_TOKENS = sizeof spm_types / sizeof *spm_types };

static void begin_spm(gguf_writer *writer, const float *scores, const int32_t *types) {
  gguf_begin(writer);
  gguf_text(writer, "tokenizer.ggml.model", "llama");
  gguf_texts(writer, "tokenizer.ggml.tokens", spm_tokens, SPM_TOKENS);
  gguf_scores(writer, "tokenizer.ggml.scores", scores, SPM_TOKENS);
  gguf_types(writer, "tokenizer.ggml.token_type", types, SPM_TOKENS);
}

static const float spm_scores[SPM_TOKENS] = {0, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9};

static void sentencepiece_rules(void **state) {
  (void)state;
  gguf_writer writer;
  begin_spm(&writer, spm_scores, spm_types);
  gguf_bool(&writer, "tokenizer.ggml.add_space_prefix", false);
  gguf_id(&writer, "tokenizer.ggml.bos_token_id", 1);
  weft_tokenizer *t = reopen(&writer);
  assert_string_equal(weft_tokenizer_kind(t), "sentencepiece bpe");
  assert_true(weft_tokenizer_adds_bos(t));
  EXPECT(t, "abc", "abc|");
  EXPECT(t, "ab", "a|b|");
  EXPECT(t, "abab", "a|b|a|b|");
  EXPECT(t, "abc|", "a|bc||");
  EXPECT(t, "<s>", " \xe2\x81\x87 |");
  EXPECT(t, "xy\xffza b", " \xe2\x81\x87 |a| |b|");
  EXPECT(t, "", "");
  weft_tokenizer_close(t);
}

static void dummy_prefix_comes_and_goes(void **state) {
  (void)state;
  gguf_writer writer;
  begin_spm(&writer, spm_scores, spm_types);
  gguf_bool(&writer, "tokenizer.ggml.add_bos_token", false);
  weft_tokenizer *t = reopen(&writer);
  assert_false(weft_tokenizer_adds_bos(t));
  EXPECT(t, "a b", " a| |b|");
  static const struct {
    int32_t ids[4];
    size_t count;
    const char *text;
  } cases[] = {
      {{8, 8}, 2, "a a"}, {{1, 8}, 2, "a"}, {{7, 7, 2}, 3, " a"}, {{0, 8}, 2, " \xe2\x81\x87  a"}, {{2, 8}, 2, "a a"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char *text;
    size_t bytes;
    assert_null(weft_tokenizer_decode(t, cases[i].ids, cases[i].count, &text, &bytes));
    assert_string_equal(text, cases[i].text);
    assert_int_equal(bytes, strlen(cases[i].text));
    free(text);
  }
  weft_tokenizer_close(t);
}

static void sentencepiece_refused(void **state) {
  (void)state;
  gguf_writer writer;
  float scores[SPM_TOKENS] = {0};
  int32_t types[SPM_TOKENS];
  memcpy(types, spm_types, sizeof types);
  scores[3] = NAN;
  begin_spm(&writer, scores, types);
  expect_refused(&writer, "tokenizer.ggml.tokens[3]: the score must be finite");
  scores[3] = 0;
  types[4] = 6;
  begin_spm(&writer, scores, types);
  expect_refused(&writer, "tokenizer.ggml.tokens[4]: a byte token is written \"<0x0A>\", found \"c\"");
  types[4] = 1;
  types[0] = 1;
  begin_spm(&writer, scores, types);
  expect_refused(&writer, "neither an unknown token (2) nor all 256 byte tokens (6)");
  types[0] = 2;
  begin_spm(&writer, scores, types);
  gguf_bool(&writer, "tokenizer.ggml.remove_extra_whitespaces", true);
  expect_refused(&writer, "remove_extra_whitespaces: true is not supported");
}

static void gguf_checkpoint_brings_its_own(void **state) {
  (void)state;
  weft_checkpoint *checkpoint;
  weft_tokenizer *t;
  weft_status status = weft_checkpoint_open(GOLDEN("spm-llama/tokenizer.gguf"), &checkpoint);
  if (status) fail_msg("%s", weft_status_message(status));
  assert_null(weft_tokenizer_of(checkpoint, GOLDEN("spm-llama/tokenizer.gguf"), &t));
  assert_string_equal(weft_tokenizer_kind(t), "sentencepiece bpe");
  assert_int_equal(weft_tokenizer_eos(t), 2);
  weft_tokenizer_close(t);
  weft_checkpoint_close(checkpoint);
}

static void put_file(const char *folder, const char *name, const char *content) {
  char *file = weft_format("%s/%s", folder, name);
  assert_null(weft_file_write(file, content, strlen(content)));
  free(file);
}

static void drop_file(const char *folder, const char *name) {
  char *file = weft_format("%s/%s", folder, name);
  unlink(file);
  free(file);
}

static weft_status of_folder(const char *folder, int vocabulary, weft_tokenizer **out_tokenizer) {
  char *config = weft_format(
      "{\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":1,"
      "\"intermediate_size\":8,\"max_position_embeddings\":16,\"rms_norm_eps\":1e-5,\"hidden_act\":\"silu\","
      "\"bos_token_id\":3,\"eos_token_id\":4,\"vocab_size\":%d}",
      vocabulary);
  put_file(folder, "config.json", config);
  free(config);
  weft_checkpoint *checkpoint;
  weft_status status = weft_checkpoint_open(folder, &checkpoint);
  if (status) fail_msg("%s", weft_status_message(status));
  status = weft_tokenizer_of(checkpoint, folder, out_tokenizer);
  weft_checkpoint_close(checkpoint);
  return status;
}

// Bytes where the vocabulary is that of bytes, tokenizer.json where there is one, and never more tokens than rows.
static void folder_of_safetensors(void **state) {
  (void)state;
  char *folder = test_path("checkpoint"), *weights = weft_format("%s/model.safetensors", folder);
  assert_null(weft_directory_make(folder));
  static const float zeros[4];
  const weft_saved_tensor tensor = {.name = "x", .dtype = WEFT_F32, .rank = 1, .shape = {4}, .data = zeros};
  assert_null(weft_safetensors_write(weights, &tensor, 1, NULL, 0));
  weft_tokenizer *t = NULL;
  assert_null(of_folder(folder, 258, &t));
  assert_string_equal(weft_tokenizer_kind(t), "bytes");
  assert_int_equal(weft_tokenizer_vocabulary(t), 258);
  assert_int_equal(weft_tokenizer_eos(t), 4);
  weft_tokenizer_close(t);
  expect_failure(of_folder(folder, 300, &t), WEFT_INVALID, "a vocabulary of 300 is not that of bytes (256 to 260)");
  weft_mapping small;
  assert_null(weft_mapping_open(TOKENIZER_SMALL, &small));
  char *content = weft_format("%.*s", (int)small.size, (const char *)small.bytes);
  put_file(folder, "tokenizer.json", content);
  put_file(folder, "tokenizer_config.json",
           "{\"eos_token\":{\"content\":\"</s>\"},\"bos_token\":\"<s>\",\"add_bos_token\":false}");
  free(content);
  weft_mapping_close(&small);
  assert_null(of_folder(folder, 300, &t));
  assert_string_equal(weft_tokenizer_kind(t), "byte-level bpe");
  assert_int_equal(weft_tokenizer_bos(t), 1);
  assert_int_equal(weft_tokenizer_eos(t), 2);
  assert_false(weft_tokenizer_adds_bos(t));
  weft_tokenizer_close(t);
  expect_failure(of_folder(folder, 260, &t), WEFT_INVALID,
                 "the tokenizer has 268 tokens, the network's vocabulary only 260");
  static const char *const files[] = {"tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"};
  for (int i = 0; i < 4; ++i) drop_file(folder, files[i]);
  rmdir(folder);
  free(weights);
  free(folder);
}

int main(void) {
  path = test_path("tokenizer.gguf");
  const struct CMUnitTest tests[] = {cmocka_unit_test(named_patterns),
                                     cmocka_unit_test(patterns_decide_what_merges),
                                     cmocka_unit_test(bpe_refused),
                                     cmocka_unit_test(sentencepiece_rules),
                                     cmocka_unit_test(dummy_prefix_comes_and_goes),
                                     cmocka_unit_test(sentencepiece_refused),
                                     cmocka_unit_test(gguf_checkpoint_brings_its_own),
                                     cmocka_unit_test(folder_of_safetensors)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(path);
  free(path);
  return failed;
}
