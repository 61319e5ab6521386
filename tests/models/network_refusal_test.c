// Networks that are wrong: each is refused with the key, its line, and what would be right.
#include "models/network.h"

#include "tests/models/test.h"

static const char llama[] =
    "{\n\"model_type\": \"llama\",\n\"vocab_size\": 100,\n\"hidden_size\": 48,\n\"num_hidden_layers\": "
    "2,\n\"num_attention_heads\": 6,\n"
    "\"num_key_value_heads\": 2,\n\"intermediate_size\": 100,\n\"max_position_embeddings\": 128";
static const char gpt2[] =
    "{\n\"model_type\": \"gpt2\",\n\"vocab_size\": 100,\n\"n_embd\": 48,\n\"n_layer\": 2,\n\"n_head\": "
    "4,\n\"n_positions\": 64";
static const char gptj[] =
    "{\n\"model_type\": \"gptj\",\n\"vocab_size\": 100,\n\"n_embd\": 48,\n\"n_layer\": 2,\n\"n_head\": "
    "4,\n\"n_positions\": 64";
static const char bert[] =
    "{\n\"model_type\": \"bert\",\n\"vocab_size\": 100,\n\"hidden_size\": 48,\n\"num_hidden_layers\": "
    "2,\n\"num_attention_heads\": 6,\n"
    "\"intermediate_size\": 100,\n\"max_position_embeddings\": 128,\n\"type_vocab_size\": 2";

// `rest` follows the base's keys, on the next line. Both words are in the message.
static void refuse(const char *base, const char *rest, const char *first, const char *second) {
  char text[2000];
  snprintf(text, sizeof text, "%s%s%s}", base, *rest ? ",\n" : "\n", rest);
  json_t *root = json_loads(text, 0, NULL);
  if (!root) fail_msg("the test's own text is no JSON: %s", text);
  weft_network n = weft_network_default();
  assert_refused(weft_network_unpack(root, "config.json", text, &n), first, second);
  json_decref(root);
}

static void right_bases(void **state) {
  (void)state;
  const char *const bases[] = {llama, gpt2, gptj, bert};
  for (int i = 0; i < 4; ++i) {
    char text[2000];
    snprintf(text, sizeof text, "%s}", bases[i]);
    json_t *root = json_loads(text, 0, NULL);
    weft_network n;
    assert_ok(weft_network_unpack(root, "config.json", text, &n));
    json_decref(root);
  }
}

static void unknown_keys(void **state) {
  (void)state;
  refuse(llama, "\"num_atention_heads\": 6", "config.json:10: num_atention_heads: unknown key",
         "\"num_attention_heads\"");
  refuse(gpt2, "\"hidden_act\": \"silu\"", "config.json:8: hidden_act: unknown key", "gpt2 family");
  refuse(llama, "\"n_layer\": 3", "unknown key", "llama family");
  refuse("{\n\"model_type\": \"lama\"", "", "config.json:2: model_type: unknown architecture \"lama\"", "\"llama\"");
  refuse("{\n\"n_layer\": 2", "", "model_type", "missing");
  refuse(llama, "\"architectures\": [\"LlamaForSequenceClassification\"]", "config.json:10: architectures",
         "LlamaForCausalLM");
  refuse(llama, "\"hidden_act\": \"silo\"", "unknown activation \"silo\"", "\"silu\"");
  refuse(llama, "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2, \"beta\": 1}", "beta: unknown key",
         "rope_scaling");
}

static void missing_and_impossible(void **state) {
  (void)state;
  refuse("{\n\"model_type\": \"gpt2\",\n\"vocab_size\": 10", "", "n_layer: missing", "whole number");
  refuse("{\n\"model_type\": \"gpt2\",\n\"vocab_size\": -10", "", "config.json:3: vocab_size", "found -10");
  refuse("{\n\"model_type\": \"gpt2\",\n\"vocab_size\": 10.5", "", "config.json:3: vocab_size", "found 10.5");
  refuse("{\n\"model_type\": \"gpt2\",\n\"vocab_size\": \"many\"", "", "config.json:3: vocab_size", "\"many\"");
  refuse(llama, "\"bos_token_id\": 100", "config.json:10: bos_token_id", "below the vocabulary");
  refuse(llama, "\"rms_norm_eps\": 0", "rms_norm_eps", "expected a number");
  refuse(llama, "\"torch_dtype\": \"int8\"", "torch_dtype", "float32, float16 or bfloat16");
}

static void contradictions(void **state) {
  (void)state;
  refuse(gpt2, "\"n_ctx\": 32", "config.json:8: n_ctx", "n_positions 64");
  refuse(
      "{\n\"model_type\": \"gpt2\",\n\"vocab_size\": 9,\n\"n_embd\": 48,\n\"n_layer\": 2,\n\"n_head\": "
      "5,\n\"n_positions\": 64",
      "", "config.json:6: n_head", "5 heads do not divide n_embd 48");
  refuse(
      "{\n\"model_type\": \"llama\",\n\"vocab_size\": 9,\n\"hidden_size\": 48,\n\"num_hidden_layers\": "
      "2,\n\"num_attention_heads\": 5,\n"
      "\"intermediate_size\": 9,\n\"max_position_embeddings\": 9",
      "", "config.json:6: num_attention_heads", "no head_dim");
  refuse(
      "{\n\"model_type\": \"llama\",\n\"vocab_size\": 9,\n\"hidden_size\": 48,\n\"num_hidden_layers\": "
      "2,\n\"num_attention_heads\": 6,\n"
      "\"num_key_value_heads\": 4,\n\"intermediate_size\": 9,\n\"max_position_embeddings\": 9",
      "", "config.json:7: num_key_value_heads", "4 does not divide num_attention_heads 6");
  refuse(gptj, "\"rotary_dim\": 14", "config.json:8: rotary_dim", "12 dimensions");
  refuse(gptj, "\"rotary_dim\": 7", "rotary_dim", "even number");
  refuse(llama, "\"rope_theta\": 1e4, \"rope_parameters\": {\"rope_theta\": 2e4, \"rope_type\": \"default\"}",
         "rope_theta", "contradicts rope_parameters");
  refuse(llama,
         "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, \"rope_parameters\": {\"rope_type\": \"default\"}",
         "rope_scaling", "contradicts rope_parameters");
  refuse(llama, "\"rope_scaling\": {\"type\": \"linear\", \"rope_type\": \"llama3\", \"factor\": 2}", "type",
         "contradicts rope_type");
  refuse(llama, "\"dtype\": \"float32\", \"torch_dtype\": \"bfloat16\"", "dtype", "contradicts torch_dtype");
  refuse(bert, "\"tie_word_embeddings\": false", "tie_word_embeddings", "not supported for bert");
  refuse(gpt2, "\"mup_scale_qk_dot_by_d\": true, \"scale_attn_weights\": false", "mup_scale_qk_dot_by_d",
         "contradicts");
  refuse(llama, "\"layer_types\": [\"full_attention\"]", "layer_types", "2 names");
}

static void not_supported(void **state) {
  (void)state;
  refuse(llama, "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2}", "\"yarn\" is not supported", "llama3");
  refuse(llama, "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}", "\"dynamic\" is not supported", "linear");
  refuse(llama, "\"rope_parameters\": {\"rope_type\": \"longrope\", \"factor\": 2}", "\"longrope\" is not supported",
         "default");
  refuse(llama, "\"mlp_bias\": true", "config.json:10: mlp_bias", "only false");
  refuse(gpt2, "\"scale_attn_by_inverse_layer_idx\": true", "scale_attn_by_inverse_layer_idx", "only false");
  refuse(gpt2, "\"add_cross_attention\": true", "add_cross_attention", "only false");
  refuse(llama, "\"quantization_config\": {\"bits\": 4}", "quantization_config", "only null");
  refuse(llama, "\"partial_rotary_factor\": 0.5", "partial_rotary_factor", "only 1");
  refuse(bert, "\"position_embedding_type\": \"relative_key\"", "position_embedding_type", "\"absolute\"");
  refuse(llama, "\"layer_types\": [\"full_attention\", \"sliding_attention\"]", "entry 1", "full_attention");
  refuse(llama, "\"sliding_window\": 64", "sliding_window", "not supported");
  refuse(gptj, "\"rotary\": false", "rotary", "only true");
}

static void wrong_places(void **state) {
  (void)state;
  weft_network n;
  assert_refused(weft_network_read("cerebras-gpt-12b", &n), "no network of the zoo", "\"cerebras-gpt-1");
  assert_refused(weft_network_read(WEFT_TESTS, &n), WEFT_TESTS, "no config.json");
}

// What the checker finds in networks that were filled in by hand.
static void checker(void **state) {
  (void)state;
  weft_network right, n;
  assert_ok(weft_network_read("llama3-8b", &right));
  n = right, n.layers = 0;
  assert_refused(weft_network_check(&n), "layers is 0", "1 to");
  n = right, n.kv_heads = 5;
  assert_refused(weft_network_check(&n), "32 attention heads", "5 key/value heads");
  n = right, n.rotary_dim = 64;
  assert_refused(weft_network_check(&n), "rotates whole heads", "");
  n = right, n.rope_theta = 0;
  assert_refused(weft_network_check(&n), "rope_theta 0", "");
  n = right, n.attention_scale = 0;
  assert_refused(weft_network_check(&n), "attention (0)", "");
  n = right, n.dtype = WEFT_Q4_0;
  assert_refused(weft_network_check(&n), "dtype q4_0", "");
  n = right, n.eos = n.vocabulary;
  assert_refused(weft_network_check(&n), "eos 128256", "");
  n = right, n.family = WEFT_GPT2;
  assert_refused(weft_network_check(&n), "gpt2 has", "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(right_bases),    cmocka_unit_test(unknown_keys),  cmocka_unit_test(missing_and_impossible),
      cmocka_unit_test(contradictions), cmocka_unit_test(not_supported), cmocka_unit_test(wrong_places),
      cmocka_unit_test(checker)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
