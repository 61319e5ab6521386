// GGUF: metadata of every type, the network it describes, its two re-orderings undone, and what is refused.
#include <math.h>

#include "tests/checkpoint/test.h"

static const uint64_t one[4] = {1, 1, 1, 1};

// Finishes the builder and opens what it made; `*out_file` is freed by the caller after closing.
static weft_status open_built(gguf_builder *builder, uint8_t **out_file, weft_checkpoint **out_checkpoint) {
  size_t size;
  *out_file = gguf_finish(builder, &size);
  return weft_checkpoint_open_bytes(*out_file, size, "x.gguf", out_checkpoint);
}

static void assert_built_refused(gguf_builder *builder, const char *reason) {
  uint8_t *file;
  weft_checkpoint *checkpoint = NULL;
  assert_refused(open_built(builder, &file, &checkpoint), reason);
  free(file);
}

static void metadata_of_every_type(void **state) {
  (void)state;
  gguf_builder b;
  gguf_start(&b);
  b.version = 2;
  const struct {
    const char *key;
    uint32_t type;
    uint64_t bits;
    size_t size;
    int64_t integer;
  } whole[] = {{"u8", GGUF_U8, 200, 1, 200},
               {"i8", GGUF_I8, 0xff, 1, -1},
               {"u16", GGUF_U16, 65535, 2, 65535},
               {"i16", GGUF_I16, 0x8000, 2, -32768},
               {"u32", GGUF_U32, 0xffffffff, 4, 4294967295},
               {"i32", GGUF_I32, 0xfffffffe, 4, -2},
               {"bool", GGUF_BOOL, 1, 1, 1},
               {"u64", GGUF_U64, INT64_MAX, 8, INT64_MAX},
               {"i64", GGUF_I64, UINT64_MAX, 8, -1}};
  enum { WHOLE = sizeof whole / sizeof *whole };
  for (size_t i = 0; i < WHOLE; ++i) gguf_meta(&b, whole[i].key, whole[i].type, &whole[i].bits, whole[i].size);
  const double third = 1.0 / 3;
  gguf_f32(&b, "f32", 0.1f);
  gguf_meta(&b, "f64", GGUF_F64, &third, 8);
  gguf_text(&b, "text", "gr\xc3\xbc\xc3\x9f");
  const char *const words[] = {"", "two", "three\n"};
  gguf_texts(&b, "words", words, 3);
  struct {
    uint32_t type;
    uint64_t count;
    int16_t values[3];
  } __attribute__((packed)) numbers = {GGUF_I16, 3, {-5, 0, 7}};
  gguf_meta(&b, "numbers", GGUF_ARRAY, &numbers, sizeof numbers);
  uint8_t *file;
  weft_checkpoint *checkpoint;
  assert_ok(open_built(&b, &file, &checkpoint));
  assert_string_equal(weft_checkpoint_format(checkpoint), "gguf v2");
  assert_int_equal(weft_checkpoint_meta_count(checkpoint), WHOLE + 5);
  for (uint32_t i = 0; i < WHOLE; ++i) {
    weft_meta meta = weft_checkpoint_meta(checkpoint, i);
    assert_string_equal(meta.key, whole[i].key);
    assert_int_equal(meta.type, whole[i].type == GGUF_BOOL ? WEFT_META_BOOL : WEFT_META_INTEGER);
    assert_true(meta.integer == whole[i].integer);
  }
  assert_true(weft_checkpoint_meta_find(checkpoint, "f32").number == (double)0.1f);
  assert_true(weft_checkpoint_meta_find(checkpoint, "f64").number == third);
  weft_meta text = weft_checkpoint_meta_find(checkpoint, "text"), list = weft_checkpoint_meta_find(checkpoint, "words");
  assert_int_equal(text.text_bytes, 6);
  assert_memory_equal(text.text, "gr\xc3\xbc\xc3\x9f", 6);
  assert_int_equal(list.type, WEFT_META_ARRAY);
  assert_int_equal(list.element, WEFT_META_TEXT);
  assert_int_equal(list.count, 3);
  for (uint64_t i = 0; i < 3; ++i) {
    weft_meta word = weft_checkpoint_meta_element(checkpoint, &list, i);
    assert_int_equal(word.text_bytes, strlen(words[i]));
    assert_memory_equal(word.text, words[i], word.text_bytes);
  }
  weft_meta values = weft_checkpoint_meta_find(checkpoint, "numbers");
  assert_int_equal(weft_checkpoint_meta_element(checkpoint, &values, 0).integer, -5);
  assert_int_equal(weft_checkpoint_meta_element(checkpoint, &values, 2).integer, 7);
  assert_int_equal(weft_checkpoint_meta_find(checkpoint, "absent").type, WEFT_META_NONE);
  weft_checkpoint_close(checkpoint);
  free(file);
}

static void refuses_broken_metadata(void **state) {
  (void)state;
  gguf_builder b;
  uint64_t large = UINT64_MAX;
  uint8_t two = 2;
  gguf_start(&b), gguf_u32(&b, "a", 1), gguf_u32(&b, "a", 2);
  assert_built_refused(&b, "metadata \"a\" is there twice");
  gguf_start(&b), gguf_meta(&b, "a", 13, &large, 8);
  assert_built_refused(&b, "13 is not a type of value");
  gguf_start(&b), gguf_meta(&b, "a", GGUF_U64, &large, 8);
  assert_built_refused(&b, "larger than 2^63 - 1");
  gguf_start(&b), gguf_meta(&b, "a", GGUF_BOOL, &two, 1);
  assert_built_refused(&b, "2 is not 0 or 1");
  gguf_start(&b), gguf_u32(&b, "a\nb", 1);
  assert_built_refused(&b, "not printable UTF-8");
  gguf_start(&b), gguf_u32(&b, "", 1);
  assert_built_refused(&b, "is empty");
  gguf_start(&b), gguf_u32(&b, "general.alignment", 24);
  assert_built_refused(&b, "must be a power of two");
  gguf_start(&b), gguf_u32(&b, "split.count", 3);
  assert_built_refused(&b, "one of 3 parts");
  struct {
    uint32_t type;
    uint64_t count, more;
  } __attribute__((packed)) array = {GGUF_ARRAY, 1, 0};
  gguf_start(&b), gguf_meta(&b, "a", GGUF_ARRAY, &array, sizeof array);
  assert_built_refused(&b, "an array of arrays");
  array.type = GGUF_F64, array.count = UINT64_MAX / 4;
  gguf_start(&b), gguf_meta(&b, "a", GGUF_ARRAY, &array, sizeof array);
  assert_built_refused(&b, "truncated: a has");
  array.type = 77;
  gguf_start(&b), gguf_meta(&b, "a", GGUF_ARRAY, &array, sizeof array);
  assert_built_refused(&b, "77 is not a type of value");
  gguf_start(&b), b.version = 1, gguf_u32(&b, "a", 1);
  assert_built_refused(&b, "GGUF version 1");
  gguf_start(&b), b.version = 0x03000000, gguf_u32(&b, "a", 1);
  assert_built_refused(&b, "big-endian");
  gguf_start(&b), b.meta_count = 1ull << 40;
  assert_built_refused(&b, "do not fit");
}

static void refuses_broken_tensors(void **state) {
  (void)state;
  gguf_builder b;
  const uint64_t wide[2] = {1ull << 40, 1ull << 40}, odd[1] = {33}, four[1] = {4};
  uint8_t data[256] = {0};
  gguf_start(&b), gguf_tensor(&b, "t", 2, wide, GGML_F32, data, 4);
  assert_built_refused(&b, "more than 2^64 elements");
  gguf_start(&b), gguf_tensor(&b, "t", 1, odd, GGML_Q4_0, data, 36);
  assert_built_refused(&b, "rows of 33 elements are not whole blocks of q4_0 (32)");
  gguf_start(&b), gguf_tensor(&b, "t", 1, four, GGML_Q2_K, data, 36);
  assert_built_refused(&b, "tensor \"t\" is in Q2_K; Weft reads F32");
  gguf_start(&b), gguf_tensor(&b, "t", 1, four, 99, data, 36);
  assert_built_refused(&b, "99 is not a number format");
  gguf_start(&b), gguf_tensor(&b, "t", 1, four, GGML_F32, data, 15);
  assert_built_refused(&b, "is the file complete?");
  gguf_start(&b), b.alignment = 8, gguf_tensor(&b, "s", 1, four, GGML_F32, data, 16),
                  gguf_tensor(&b, "t", 1, four, GGML_F32, data, 16);
  assert_built_refused(&b, "offset 16 is not a multiple of the alignment 32");
  gguf_start(&b), gguf_tensor(&b, "t", 1, four, GGML_F32, data, 16), gguf_tensor(&b, "t", 1, four, GGML_F32, data, 16);
  assert_built_refused(&b, "\"t\" is there twice");
  gguf_start(&b), gguf_tensor(&b, "s", 1, four, GGML_F32, data, 0), gguf_tensor(&b, "t", 1, four, GGML_F32, data, 16);
  assert_built_refused(&b, "overlap");
  uint32_t rank = 5;
  gguf_start(&b), gguf_tensor(&b, "t", 1, four, GGML_F32, data, 16), memcpy(b.tensors.bytes + 9, &rank, 4);
  assert_built_refused(&b, "has 5 dimensions");
}

static void respects_alignment(void **state) {
  (void)state;
  gguf_builder b;
  const uint64_t two[1] = {2};
  const int32_t first[2] = {1, 2}, second[2] = {3, 4};
  gguf_start(&b), b.alignment = 64;
  gguf_u32(&b, "general.alignment", 64);
  gguf_tensor(&b, "s", 1, two, GGML_I32, first, 8), gguf_tensor(&b, "t", 1, two, GGML_I32, second, 8);
  uint8_t *file;
  weft_checkpoint *checkpoint;
  assert_ok(open_built(&b, &file, &checkpoint));
  weft_stored_tensor t;
  assert_ok(weft_checkpoint_find(checkpoint, "t", &t));
  assert_int_equal(((const uint8_t *)t.data - file) % 64, 0);
  assert_memory_equal(t.data, second, 8);
  weft_checkpoint_close(checkpoint);
  free(file);
}

// A network's keys, without tensors.
static void put_network(gguf_builder *b, const char *architecture, uint32_t heads, uint32_t kv_heads, uint32_t hidden) {
  const char *const keys[] = {
      "block_count",    "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
      "context_length", "vocab_size"};
  const uint32_t values[] = {2, hidden, 96, heads, kv_heads, 40, 7};
  gguf_text(b, "general.architecture", architecture);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
    char *key = weft_format("%s.%s", architecture, keys[i]);
    gguf_u32(b, key, values[i]);
    free(key);
  }
}

static float value_of(uint32_t parameter, uint64_t index) { return (float)(parameter + 1) * 100000.0f + (float)index; }

// One parameter as llama.cpp's converter stores it: from Hugging Face's `values`, in f32. `heads`: rows permuted as its
// reshape(heads, 2, rows / heads / 2, columns).swapaxes(1, 2) does.
static void put_parameter(gguf_builder *b, const char *name, const weft_parameter *p, const float *values,
                          uint32_t heads) {
  uint64_t rows = p->shape[0], columns = p->rank == 2 ? p->shape[1] : 1, shape[2] = {p->shape[0], p->shape[1]};
  float *stored = weft_allocate_array(rows * columns, sizeof *stored);
  if (heads) {
    uint64_t pairs = rows / heads / 2, at = 0;
    for (uint64_t head = 0; head < heads; ++head)
      for (uint64_t pair = 0; pair < pairs; ++pair)
        for (uint64_t half = 0; half < 2; ++half, ++at)
          memcpy(stored + at * columns, values + ((head * 2 + half) * pairs + pair) * columns,
                 columns * sizeof *stored);
  } else if (p->transposed) {
    shape[0] = columns, shape[1] = rows;
    for (uint64_t r = 0; r < rows; ++r)
      for (uint64_t c = 0; c < columns; ++c) stored[c * rows + r] = values[r * columns + c];
  } else {
    memcpy(stored, values, rows * columns * sizeof *stored);
  }
  gguf_tensor(b, name, p->rank, shape, GGML_F32, stored, rows * columns * sizeof *stored);
  free(stored);
}

static void put_all(gguf_builder *b, const weft_network *network, bool permuted) {
  for (uint32_t i = 0; i < weft_network_parameter_tensors(network); ++i) {
    weft_parameter p = weft_network_parameter(network, i);
    char name[96];
    assert_true(weft_gguf_parameter_name(&p, name));
    uint64_t count = p.shape[0] * (p.rank == 2 ? p.shape[1] : 1);
    float *values = weft_allocate_array(count, sizeof *values);
    for (uint64_t k = 0; k < count; ++k) values[k] = value_of(i, k);
    bool q = strstr(name, "attn_q.") != NULL, k = strstr(name, "attn_k.") != NULL;
    put_parameter(b, name, &p, values, !permuted ? 0 : q ? network->heads : k ? network->kv_heads : 0);
    free(values);
  }
}

static void check_all(const weft_checkpoint *checkpoint, const weft_network *network) {
  for (uint32_t i = 0; i < weft_network_parameter_tensors(network); ++i) {
    weft_parameter p = weft_network_parameter(network, i);
    weft_stored_tensor tensor;
    uint32_t heads;
    assert_ok(weft_checkpoint_parameter(checkpoint, &p, &tensor, &heads));
    uint64_t count = p.shape[0] * (p.rank == 2 ? p.shape[1] : 1);
    float *values = weft_allocate_array(count, sizeof *values), want, narrow_want;
    uint16_t *narrow = weft_allocate_array(count, 2), want_bits;
    weft_checkpoint_convert(&tensor, heads, WEFT_F32, values);
    weft_checkpoint_convert(&tensor, heads, WEFT_BF16, narrow);
    for (uint64_t k = 0; k < count; ++k) {
      want = narrow_want = value_of(i, k);
      weft_dtype_from_f32(WEFT_BF16, &narrow_want, &want_bits, 1);
      if (values[k] != want || narrow[k] != want_bits)
        fail_msg("%s: element %lu is %g, expected %g", p.name, (unsigned long)k, (double)values[k], (double)want);
    }
    free(values);
    free(narrow);
  }
}

// Writes `network` as GGUF, reads it back, compares every number.
static void check_architecture(const char *architecture, weft_network expected, bool permuted) {
  gguf_builder b;
  gguf_start(&b);
  put_network(&b, architecture, expected.heads, expected.kv_heads, expected.hidden);
  gguf_text(&b, "general.name", "made up");
  gguf_u32(&b, "tokenizer.ggml.eos_token_id", 3);
  char *key =
      weft_format("%s.attention.layer_norm_%sepsilon", architecture, expected.family == WEFT_GPT2 ? "" : "rms_");
  gguf_f32(&b, key, 1e-6f);
  free(key);
  if (expected.family == WEFT_LLAMA) {
    key = weft_format("%s.rope.freq_base", architecture);
    gguf_f32(&b, key, 500000);
    free(key);
  }
  put_all(&b, &expected, permuted);
  uint8_t *file;
  weft_checkpoint *checkpoint;
  assert_ok(open_built(&b, &file, &checkpoint));
  weft_network network;
  assert_ok(weft_checkpoint_network(checkpoint, &network));
  assert_string_equal(network.name, "made up");
  assert_string_equal(network.model_type, architecture);
  assert_int_equal(network.family, expected.family);
  assert_int_equal(network.layers, 2);
  assert_int_equal(network.heads, expected.heads);
  assert_int_equal(network.kv_heads, expected.kv_heads);
  assert_int_equal(network.head_dim, expected.head_dim);
  assert_int_equal(network.intermediate, 96);
  assert_int_equal(network.positions, 40);
  assert_int_equal(network.vocabulary, 7);
  assert_int_equal(network.tied, expected.tied);
  assert_int_equal(network.qkv_bias, expected.qkv_bias);
  assert_int_equal(network.eos, 3);
  assert_int_equal(network.bos, -1);
  assert_true(network.norm_epsilon == 1e-6f);
  assert_true(network.attention_scale == 1 / sqrtf((float)expected.head_dim));
  if (expected.family == WEFT_LLAMA)
    assert_true(network.rope_theta == 500000 && network.rotary_dim == expected.head_dim);
  check_all(checkpoint, &network);
  weft_checkpoint_close(checkpoint);
  free(file);
}

static weft_network small_network(weft_family family) {
  weft_network n = weft_network_default();
  n.family = family;
  n.layers = 2, n.hidden = 48, n.heads = 6, n.kv_heads = 2, n.head_dim = 8, n.intermediate = 96, n.vocabulary = 7,
  n.positions = 40;
  return n;
}

static void llama_rows_are_put_back(void **state) {
  (void)state;
  weft_network n = small_network(WEFT_LLAMA);
  check_architecture("llama", n, true);
  n.tied = true, n.qkv_bias = true;
  check_architecture("llama", n, true);
}

static void qwen2_rows_are_left(void **state) {
  (void)state;
  weft_network n = small_network(WEFT_LLAMA);
  n.qkv_bias = true;
  check_architecture("qwen2", n, false);
}

static void gpt2_projections_are_turned(void **state) {
  (void)state;
  weft_network n = small_network(WEFT_GPT2);
  n.kv_heads = n.heads, n.qkv_bias = n.output_bias = n.mlp_bias = true, n.tied = true;
  check_architecture("gpt2", n, false);
  n.tied = false;
  check_architecture("gpt2", n, false);
}

// Quantised and turned: a row of 288 elements crosses the tiles at a block's end, not at a power of two.
static void quantised_projection_is_turned(void **state) {
  (void)state;
  enum { ROWS = 35, COLUMNS = 288 };
  struct {
    uint16_t scale;
    int8_t values[32];
  } __attribute__((packed)) blocks[ROWS][COLUMNS / 32];
  for (int r = 0; r < ROWS; ++r)
    for (int c = 0; c < COLUMNS; ++c)
      blocks[r][c / 32].scale = 0x3c00, blocks[r][c / 32].values[c % 32] = (int8_t)((r * 7 + c) % 255 - 127);
  weft_stored_tensor tensor = {.name = "t",
                               .dtype = WEFT_Q8_0,
                               .rank = 2,
                               .shape = {ROWS, COLUMNS},
                               .data = blocks,
                               .bytes = sizeof blocks,
                               .transpose = true};
  float *out = weft_allocate_array(ROWS * COLUMNS, sizeof *out);
  weft_checkpoint_convert(&tensor, 0, WEFT_F32, out);
  for (int r = 0; r < ROWS; ++r)
    for (int c = 0; c < COLUMNS; ++c) assert_true(out[c * ROWS + r] == (float)((r * 7 + c) % 255 - 127));
  free(out);
}

static void assert_network_refused(gguf_builder *b, const char *reason) {
  uint8_t *file;
  weft_checkpoint *checkpoint;
  weft_network network;
  assert_ok(open_built(b, &file, &checkpoint));
  assert_refused(weft_checkpoint_network(checkpoint, &network), reason);
  weft_checkpoint_close(checkpoint);
  free(file);
}

static void refuses_impossible_networks(void **state) {
  (void)state;
  gguf_builder b;
  gguf_start(&b);
  assert_network_refused(&b, "\"general.architecture\" is missing");
  gguf_start(&b), gguf_text(&b, "general.architecture", "lama");
  assert_network_refused(&b, "the nearest is \"llama\"");
  gguf_start(&b), gguf_text(&b, "general.architecture", "llama");
  assert_network_refused(&b, "metadata \"llama.block_count\" is missing");
  gguf_start(&b), put_network(&b, "llama", 0, 0, 48);
  assert_network_refused(&b, "llama.attention.head_count: expected a whole number from 1 to 1048576, found 0");
  gguf_start(&b), put_network(&b, "llama", 5, 5, 48);
  assert_network_refused(&b, "embedding_length 48 is not a multiple of attention.head_count 5");
  gguf_start(&b), put_network(&b, "llama", 6, 4, 48);
  assert_network_refused(&b, "heads");
  gguf_start(&b), put_network(&b, "llama", 6, 2, 48), gguf_u32(&b, "llama.rope.dimension_count", 4);
  assert_network_refused(&b, "rope.dimension_count 4 differs from the head's 8");
  gguf_start(&b), put_network(&b, "llama", 6, 2, 48), gguf_text(&b, "llama.rope.scaling.type", "yarn");
  assert_network_refused(&b, "Weft runs \"none\" and \"linear\"");
  gguf_start(&b), put_network(&b, "llama", 6, 2, 48), gguf_u32(&b, "llama.expert_count", 8);
  assert_network_refused(&b, "mixtures of experts");
  gguf_start(&b), put_network(&b, "llama", 6, 2, 48), gguf_u32(&b, "llama.attention.value_length", 4);
  assert_network_refused(&b, "value_length 4 differs from the key's 8");
  gguf_start(&b), put_network(&b, "llama", 6, 2, 48), gguf_text(&b, "llama.rope.freq_base", "10000");
  assert_network_refused(&b, "llama.rope.freq_base: expected a number");
}

// The stretches of transformers' "llama3" scaling, written out as its modeling_rope_utils.py has them.
static void put_stretches(gguf_builder *b, uint32_t head_dim, double base, double factor, double low, double high,
                          double original) {
  float stretches[64];
  for (uint32_t i = 0; i < head_dim / 2; ++i) {
    double frequency = pow(base, -(double)(2 * i) / head_dim), wavelength = 2 * M_PI / frequency, scaled = frequency;
    if (wavelength > original / low)
      scaled = frequency / factor;
    else if (wavelength >= original / high) {
      double smooth = (original / wavelength - low) / (high - low);
      scaled = (1 - smooth) * frequency / factor + smooth * frequency;
    }
    stretches[i] = (float)(frequency / scaled);
  }
  const uint64_t shape[1] = {head_dim / 2};
  gguf_tensor(b, "rope_freqs.weight", 1, shape, GGML_F32, stretches, head_dim / 2 * sizeof *stretches);
}

static weft_network network_with_stretches(double factor, double low, double high, double original, uint32_t said,
                                           const char *reason) {
  gguf_builder b;
  gguf_start(&b);
  put_network(&b, "llama", 2, 1, 128);
  gguf_f32(&b, "llama.rope.freq_base", 500000);
  if (said) gguf_u32(&b, "llama.rope.scaling.original_context_length", said);
  put_stretches(&b, 64, 500000, factor, low, high, original);
  weft_network network = weft_network_default();
  if (reason) {
    assert_network_refused(&b, reason);
    return network;
  }
  uint8_t *file;
  weft_checkpoint *checkpoint;
  assert_ok(open_built(&b, &file, &checkpoint));
  assert_ok(weft_checkpoint_network(checkpoint, &network));
  weft_checkpoint_close(checkpoint);
  free(file);
  return network;
}

static void llama3_scaling_from_its_tensor(void **state) {
  (void)state;
  weft_network n = network_with_stretches(32, 1, 4, 8192, 0, NULL);
  assert_int_equal(n.rope_scaling, WEFT_ROPE_LLAMA3);
  assert_true(n.rope_factor == 32 && n.rope_low_frequency_factor == 1 && n.rope_high_frequency_factor == 4);
  assert_int_equal(n.rope_original_positions, 8192);
  n = network_with_stretches(8, 1, 4, 1024, 0, NULL);
  assert_int_equal(n.rope_original_positions, 1024);
  n = network_with_stretches(8, 1, 4, 3000, 3000, NULL);
  assert_int_equal(n.rope_original_positions, 3000);
  n = network_with_stretches(1, 1, 4, 8192, 0, NULL);
  assert_int_equal(n.rope_scaling, WEFT_ROPE_UNSCALED);
  network_with_stretches(8, 1, 9, 8192, 0, "rope_freqs.weight (largest 8) is not Llama 3's scaling");
  gguf_builder b;
  gguf_start(&b), put_network(&b, "llama", 2, 1, 128), put_stretches(&b, 32, 10000, 8, 1, 4, 8192);
  assert_network_refused(&b, "rope_freqs.weight: expected (32) of f32, found (16)");
}

static void linear_scaling(void **state) {
  (void)state;
  for (int old = 0; old < 2; ++old) {
    gguf_builder b;
    gguf_start(&b), put_network(&b, "llama", 6, 2, 48);
    if (!old) gguf_text(&b, "llama.rope.scaling.type", "linear");
    gguf_f32(&b, old ? "llama.rope.scale_linear" : "llama.rope.scaling.factor", 4);
    uint8_t *file;
    weft_checkpoint *checkpoint;
    weft_network network;
    assert_ok(open_built(&b, &file, &checkpoint));
    assert_ok(weft_checkpoint_network(checkpoint, &network));
    assert_int_equal(network.rope_scaling, WEFT_ROPE_LINEAR);
    assert_true(network.rope_factor == 4);
    weft_checkpoint_close(checkpoint);
    free(file);
  }
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  gguf_builder b;
  const char *const words[] = {"a", "bc"};
  gguf_start(&b), gguf_text(&b, "general.architecture", "llama"), gguf_texts(&b, "words", words, 2);
  gguf_tensor(&b, "t", 4, one, GGML_BF16, "ab", 2);
  size_t size;
  uint8_t *file = gguf_finish(&b, &size);
  for (size_t cut = 0; cut <= size; ++cut) {
    uint8_t *exact = weft_allocate(cut);  // of exactly this size, so that a sanitizer sees one byte too many
    memcpy(exact, file, cut);
    weft_checkpoint *checkpoint = NULL;
    weft_status status = weft_checkpoint_open_bytes(exact, cut, "x", &checkpoint);
    if (cut < size)
      assert_refused(status, "x: ");
    else
      assert_ok(status);
    weft_checkpoint_close(checkpoint);
    free(exact);
  }
  free(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(metadata_of_every_type),
      cmocka_unit_test(refuses_broken_metadata),
      cmocka_unit_test(refuses_broken_tensors),
      cmocka_unit_test(respects_alignment),
      cmocka_unit_test(llama_rows_are_put_back),
      cmocka_unit_test(qwen2_rows_are_left),
      cmocka_unit_test(gpt2_projections_are_turned),
      cmocka_unit_test(quantised_projection_is_turned),
      cmocka_unit_test(refuses_impossible_networks),
      cmocka_unit_test(llama3_scaling_from_its_tensor),
      cmocka_unit_test(linear_scaling),
      cmocka_unit_test(every_truncation_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
