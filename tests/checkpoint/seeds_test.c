// GGUF files made by gguf-py (seeds/make.py): network and every parameter as Hugging Face stores them, bit by bit,
// through quantisation, permuted rows and turned projections.
#include "tests/checkpoint/test.h"

static void check_parameter(const weft_checkpoint *gguf, const weft_checkpoint *truth,
                            const weft_parameter *parameter) {
  weft_stored_tensor stored, expected;
  uint32_t heads, none;
  assert_ok(weft_checkpoint_parameter(gguf, parameter, &stored, &heads));
  assert_ok(weft_checkpoint_parameter(truth, parameter, &expected, &none));
  float *values = weft_allocate(expected.bytes);
  weft_checkpoint_convert(&stored, heads, WEFT_F32, values);
  if (memcmp(values, expected.data, expected.bytes) != 0)
    fail_msg("%s (%s, %u heads) differs", parameter->name, weft_dtype_name(stored.dtype), heads);
  free(values);
}

static void check_seed(const char *architecture, weft_family family, uint32_t kv_heads, bool biased) {
  char *gguf_path = weft_format(WEFT_TESTS "/checkpoint/seeds/%s.gguf", architecture);
  char *truth_path = weft_format(WEFT_TESTS "/checkpoint/seeds/%s.safetensors", architecture);
  weft_checkpoint *gguf, *truth;
  assert_ok(weft_checkpoint_open(gguf_path, &gguf));
  assert_ok(weft_checkpoint_open(truth_path, &truth));
  weft_network network;
  assert_ok(weft_checkpoint_network(gguf, &network));
  assert_int_equal(network.family, family);
  assert_int_equal(network.kv_heads, kv_heads);
  assert_int_equal(network.vocabulary, 40);  // the length of the list of tokens: there is no vocab_size
  assert_int_equal(network.qkv_bias, biased);
  assert_int_equal(network.tied, family == WEFT_GPT2);
  assert_int_equal(network.bos, 1);
  assert_int_equal(weft_network_parameter_tensors(&network), weft_checkpoint_count(truth));
  for (uint32_t i = 0; i < weft_network_parameter_tensors(&network); ++i) {
    weft_parameter parameter = weft_network_parameter(&network, i);
    check_parameter(gguf, truth, &parameter);
  }
  weft_checkpoint_close(gguf);
  weft_checkpoint_close(truth);
  free(gguf_path);
  free(truth_path);
}

static void llama(void **state) {
  (void)state;
  check_seed("llama", WEFT_LLAMA, 2, false);
}

static void qwen2(void **state) {
  (void)state;
  check_seed("qwen2", WEFT_LLAMA, 2, true);
}

static void gpt2(void **state) {
  (void)state;
  check_seed("gpt2", WEFT_GPT2, 4, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(llama), cmocka_unit_test(qwen2), cmocka_unit_test(gpt2)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
