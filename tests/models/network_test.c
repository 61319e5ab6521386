// Networks that are right: the zoo's published parameter counts, both generations of keys, round trips, parameter
// lists.
#include "models/network.h"

#include <math.h>

#include "tests/models/test.h"

// Published counts: the networks' papers and cards, by their own counting (a tied table once, biases and norms
// included).
static const struct {
  const char *name;
  uint64_t parameters;
} counts[] = {
    {"gpt2", 124439808},           {"gpt2-medium", 354823168},           {"gpt2-large", 774030080},
    {"gpt2-xl", 1557611200},       {"cerebras-gpt-111m", 111050496},     {"cerebras-gpt-256m", 255977024},
    {"cerebras-gpt-590m", 590310912}, {"cerebras-gpt-1.3b", 1315723264}, {"cerebras-gpt-2.7b", 2651553280},
    {"cerebras-gpt-6.7b", 6658404352}, {"cerebras-gpt-13b", 12853386240}, {"cerebras-gpt-111m-mup", 111050496},
    {"cerebras-gpt-256m-mup", 255977024}, {"cerebras-gpt-590m-mup", 590310912}, {"cerebras-gpt-1.3b-mup", 1315723264},
    {"cerebras-gpt-2.7b-mup", 2651553280}, {"gpt3-175b", 174604259328}, {"llama-7b", 6738415616},
    {"llama-13b", 13015864320},    {"llama-33b", 32528943616},           {"llama-65b", 65285660672},
    {"llama2-7b", 6738415616},     {"llama2-13b", 13015864320},          {"llama2-70b", 68976648192},
    {"llama3-8b", 8030261248},     {"llama3-70b", 70553706496},          {"codellama-34b", 33743970304},
    {"qwen2-72b", 72706203648},    {"gpt-j-6b", 6050882784},             {"bert-large", 335141888},
    {"smollm2-135m", 134515008},   {"smollm2-360m", 361821120},          {"smollm2-1.7b", 1711376384},
};
enum { COUNTS = sizeof counts / sizeof *counts };

static weft_network read_zoo(const char *name) {
  weft_network n;
  assert_ok(weft_network_read(name, &n));
  return n;
}

static void zoo_counts(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNTS; ++i) {
    weft_network n = read_zoo(counts[i].name);
    assert_string_equal(n.name, counts[i].name);
    assert_int_equal(weft_network_parameters(&n), counts[i].parameters);
  }
  char **names;
  uint32_t count;
  assert_ok(weft_network_names(&names, &count));
  assert_int_equal(count, COUNTS);  // a new network needs its count here
  for (uint32_t i = 1; i < count; ++i) assert_true(strcmp(names[i - 1], names[i]) < 0);
  for (uint32_t i = 0; i < count; ++i) free(names[i]);
  free(names);
}

static void other_spellings(void **state) {
  (void)state;
  static const char *const spellings[][2] = {{"gpt-2-small", "gpt2"},
                                             {"GPT-3-111M", "cerebras-gpt-111m"},
                                             {"Llama-2-7B", "llama2-7b"},
                                             {"LLaMA-7B", "llama-7b"}};
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; ++i)
    assert_string_equal(read_zoo(spellings[i][0]).name, spellings[i][1]);
}

// The list and the closed sums agree, names differ, and every network is the same after packing.
static void lists_and_round_trips(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNTS; ++i) {
    weft_network n = read_zoo(counts[i].name), again;
    uint64_t sum = 0;
    for (uint32_t p = 0; p < weft_network_parameter_tensors(&n); ++p) {
      weft_parameter parameter = weft_network_parameter(&n, p);
      assert_true(parameter.rank == 1 ? parameter.shape[1] == 1 : parameter.rank == 2);
      assert_in_range(parameter.layer + 1, 0, n.layers);
      if (p > 0) assert_string_not_equal(parameter.name, weft_network_parameter(&n, p - 1).name);
      sum += parameter.shape[0] * parameter.shape[1];
    }
    assert_int_equal(sum, weft_network_parameters(&n));
    json_t *packed = weft_network_pack(&n);
    assert_ok(weft_network_unpack(packed, "packed", NULL, &again));
    json_decref(packed);
    assert_memory_equal(&n, &again, sizeof n);
    assert_true(weft_network_hash(&n) == weft_network_hash(&again));
  }
}

static void hash_is_of_what_it_is(void **state) {
  (void)state;
  weft_network a = read_zoo("llama-13b"), b = read_zoo("llama2-13b"), c = a;
  assert_true(weft_network_hash(&a) != weft_network_hash(&b));
  snprintf(c.name, sizeof c.name, "other");
  assert_true(weft_network_hash(&a) == weft_network_hash(&c));
  c.rope_theta *= 2;
  assert_true(weft_network_hash(&a) != weft_network_hash(&c));
}

static void mup(void **state) {
  (void)state;
  weft_network n = read_zoo("cerebras-gpt-1.3b-mup"), plain = read_zoo("cerebras-gpt-1.3b");
  assert_true(n.embedding_scale == 10.0f && n.logit_scale == 0.125f && n.attention_scale == 1.0f / 128);
  assert_true(plain.embedding_scale == 1 && plain.logit_scale == 1 &&
              fabs((double)plain.attention_scale * sqrt(128) - 1) < 1e-6);
}

static weft_network parse(const char *text) {
  weft_network n;
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(root);
  assert_ok(weft_network_unpack(root, "models/some/config.json", text, &n));
  json_decref(root);
  return n;
}

#define LLAMA                                                                                       \
  "\"model_type\": \"llama\", \"vocab_size\": 100, \"hidden_size\": 48, \"num_hidden_layers\": 2, " \
  "\"num_attention_heads\": 6, "                                                                    \
  "\"num_key_value_heads\": 2, \"intermediate_size\": 100, \"max_position_embeddings\": 128"

static void both_generations(void **state) {
  (void)state;
  weft_network older = parse("{" LLAMA
                             ", \"head_dim\": 16, \"torch_dtype\": \"bfloat16\", \"rope_theta\": 500000.0, "
                             "\"rope_scaling\": {\"type\": \"llama3\", "
                             "\"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
                             "\"original_max_position_embeddings\": 16}, \"eos_token_id\": [7, 8]}");
  weft_network newer = parse("{" LLAMA
                             ", \"head_dim\": 16, \"dtype\": \"bfloat16\", \"rope_parameters\": {\"rope_theta\": "
                             "500000.0, \"rope_type\": \"llama3\", "
                             "\"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
                             "\"original_max_position_embeddings\": 16}, \"eos_token_id\": 7}");
  assert_memory_equal(&older, &newer, sizeof older);
  assert_string_equal(older.name, "some");
  assert_int_equal(older.rope_scaling, WEFT_ROPE_LLAMA3);
  assert_int_equal(older.head_dim, 16);
  assert_int_equal(older.dtype, WEFT_BF16);
  assert_int_equal(older.eos, 7);
  assert_true(older.attention_scale == 0.25f);
  weft_network linear = parse("{" LLAMA ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}}");
  assert_int_equal(linear.rope_scaling, WEFT_ROPE_LINEAR);
  assert_true(linear.rope_factor == 2 && linear.rope_theta == 10000 && linear.head_dim == 8);
}

// Keys without meaning for Weft, as files in the wild have them.
static void harmless_keys(void **state) {
  (void)state;
  weft_network n = parse(
      "{" LLAMA
      ", \"pretraining_tp\": 1, \"use_cache\": true, \"transformers_version\": \"4.31.0\", \"attention_dropout\": 0.0, "
      "\"_name_or_path\": \"/somewhere/tiny-thing\", \"auto_map\": {}, \"rope_scaling\": null, \"attention_bias\": "
      "false, "
      "\"id2label\": {\"0\": \"a\"}, \"tie_word_embeddings\": true, \"quantization_config\": null}");
  assert_string_equal(n.name, "tiny-thing");
  assert_true(n.tied);
}

static const struct {
  const char *folder;
  uint64_t parameters;
  const char *first, *last;
} folders[] = {{"tiny-gpt2", 71472, "transformer.wte.weight", "transformer.ln_f.bias"},
               {"tiny-gpt2-untied", 38224, "transformer.wte.weight", "lm_head.weight"},
               {"tiny-llama", 126400, "model.embed_tokens.weight", "lm_head.weight"},
               {"tiny-llama-tied-rope3", 87552, "model.embed_tokens.weight", "model.norm.weight"},
               {"tiny-qwen2", 43112, "model.embed_tokens.weight", "lm_head.weight"},
               {"tiny-gptj", 34123, "transformer.wte.weight", "lm_head.bias"}};

static void golden_folders(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", WEFT_TESTS, folders[i].folder);
    weft_network n;
    assert_ok(weft_network_read(path, &n));
    assert_string_equal(n.name, folders[i].folder);
    assert_int_equal(weft_network_parameters(&n), folders[i].parameters);
    assert_string_equal(weft_network_parameter(&n, 0).name, folders[i].first);
    assert_string_equal(weft_network_parameter(&n, weft_network_parameter_tensors(&n) - 1).name, folders[i].last);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zoo_counts), cmocka_unit_test(other_spellings), cmocka_unit_test(lists_and_round_trips),
      cmocka_unit_test(hash_is_of_what_it_is), cmocka_unit_test(mup), cmocka_unit_test(both_generations),
      cmocka_unit_test(harmless_keys), cmocka_unit_test(golden_folders)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
