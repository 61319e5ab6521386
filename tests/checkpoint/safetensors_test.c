// Safetensors: what is read, what is refused, what is written, indexes and folders.
#include <unistd.h>

#include "tests/checkpoint/test.h"

// A file in memory from a header and `data_bytes` of data 0, 1, 2, ...
static uint8_t *make_file(const char *header, size_t data_bytes, size_t *out_size) {
  uint64_t length = strlen(header);
  *out_size = 8 + length + data_bytes;
  uint8_t *file = weft_allocate(*out_size);
  memcpy(file, &length, 8);
  memcpy(file + 8, header, length);
  for (size_t i = 0; i < data_bytes; ++i) file[8 + length + i] = (uint8_t)i;
  return file;
}

static weft_status open_header(const char *header, size_t data_bytes) {
  size_t size;
  uint8_t *file = make_file(header, data_bytes, &size);
  weft_checkpoint *checkpoint = NULL;
  weft_status status = weft_checkpoint_open_bytes(file, size, "x.safetensors", &checkpoint);
  weft_checkpoint_close(checkpoint);
  free(file);
  return status;
}

static void reads_what_is_there(void **state) {
  (void)state;
  size_t size;
  uint8_t *file = make_file(
      "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[2,10]},"
      "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
      "\"none\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[2,2]}}   ",
      10, &size);
  weft_checkpoint *checkpoint;
  assert_ok(weft_checkpoint_open_bytes(file, size, "x.safetensors", &checkpoint));
  assert_string_equal(weft_checkpoint_format(checkpoint), "safetensors");
  assert_int_equal(weft_checkpoint_count(checkpoint), 3);
  assert_int_equal(weft_checkpoint_meta_count(checkpoint), 0);
  weft_stored_tensor a = weft_checkpoint_tensor(checkpoint, 0), b = weft_checkpoint_tensor(checkpoint, 1), none;
  assert_string_equal(a.name, "a");
  assert_int_equal(a.dtype, WEFT_BF16);
  assert_int_equal(a.rank, 0);
  assert_int_equal(a.bytes, 2);
  assert_ptr_equal(a.data, file + size - 10);
  assert_string_equal(b.name, "b");
  assert_int_equal(b.shape[0], 2);
  assert_int_equal(b.shape[1], 1);
  assert_ptr_equal(b.data, file + size - 8);
  assert_ok(weft_checkpoint_find(checkpoint, "none", &none));
  assert_int_equal(none.bytes, 0);
  assert_failure(weft_checkpoint_find(checkpoint, "nine", &none), WEFT_INVALID,
                 "x.safetensors: no tensor \"nine\"; the nearest of its 3 is \"none\"");
  weft_network network;
  assert_refused(weft_checkpoint_network(checkpoint, &network), "no config.json beside it");
  weft_checkpoint_close(checkpoint);
  free(file);
}

static void no_tensors_are_a_checkpoint_too(void **state) {
  (void)state;
  assert_ok(open_header("{}", 0));
  assert_ok(open_header("{\"__metadata__\":{}}", 0));
  assert_refused(open_header("{}", 1), "end at data byte 0, the file at 1");
}

static void refuses_broken_headers(void **state) {
  (void)state;
  static const struct {
    const char *header, *reason;
    size_t data;
  } cases[] = {
      {"[]", "must begin with '{'", 0},
      {" {}", "must begin with '{'", 0},
      {"{\"a\":", "header, line 1", 0},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
       "offsets\":[0,1]}}",
       "duplicate", 1},
      {"{\"a\":3}", "expected {\"dtype\"", 0},
      {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}",
       "dtype \"F8_E4M3\" is not one that Weft reads", 1},
      {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", "dtype: expected", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", "shape: expected a list", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", "dimension 0 is not a whole number", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", "dimension 0 is not a whole number", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,1]}}", "5 dimensions", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", "2^64 elements", 0},
      {"{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", "2^64 bytes", 0},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", "data_offsets: expected [begin, end]", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", "data_offsets: expected [begin, end]", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "outside the file's 1 bytes", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", "outside the file's", 1},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "4 bytes, but shape (2) of f32 needs 8", 4},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"data_ofsets\":0}}",
       "nearest known one is \"data_offsets\"", 1},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
       "offsets\":[1,3]}}",
       "\"a\" and \"b\" overlap at data byte 1", 3},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
       "offsets\":[2,3]}}",
       "data bytes 1 to 2 before \"b\" belong to no tensor", 3},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", "data bytes 0 to 1", 2},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "end at data byte 1, the file at 2", 2},
      {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "is empty or holds control characters", 1},
      {"{\"a\\u001b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "holds control characters", 1},
      {"{\"__metadata__\":{\"a\":1}}", "\"a\" is not a text", 0},
      {"{\"__metadata__\":[]}", "expected an object of texts", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
    assert_refused(open_header(cases[i].header, cases[i].data), cases[i].reason);
}

static void refuses_what_is_no_safetensors(void **state) {
  (void)state;
  weft_checkpoint *checkpoint;
  assert_refused(weft_checkpoint_open_bytes("abc", 3, "x", &checkpoint), "3 bytes is too short");
  assert_refused(weft_checkpoint_open_bytes("PK\003\004aaaaaaaa", 12, "x", &checkpoint), "convert it to safetensors");
  assert_refused(weft_checkpoint_open_bytes("\377\377\377\377\377\377\377\377{}", 10, "x", &checkpoint),
                 "not safetensors");
  assert_refused(weft_checkpoint_open_bytes("\003\0\0\0\0\0\0\0{}", 10, "x", &checkpoint),
                 "truncated: the header needs 3 bytes");
  assert_refused(weft_checkpoint_open("/nonexistent.safetensors", &checkpoint), "No such file");
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  size_t size;
  uint8_t *file = make_file("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3, &size);
  for (size_t cut = 0; cut < size; ++cut) {
    weft_checkpoint *checkpoint;
    weft_status status = weft_checkpoint_open_bytes(file, cut, "x", &checkpoint);
    assert_refused(status, "x: ");
  }
  free(file);
}

static void round_trip(void **state) {
  (void)state;
  char *folder = make_folder(), *path = weft_format("%s/w.safetensors", folder), *part = weft_format("%s.part", path);
  const float wide[6] = {1, -2, 3.5f, 0, 1e-40f, -1e30f};
  const uint16_t narrow[2] = {0x3f80, 0x8000};
  const int64_t step = -7;
  const weft_saved_tensor tensors[] = {{"z.weight", WEFT_F32, 2, {2, 3}, wide},
                                       {"a \"quoted\" \xc3\xa9", WEFT_BF16, 1, {2}, narrow},
                                       {"step", WEFT_I64, 0, {0}, &step},
                                       {"empty", WEFT_F16, 1, {0}, NULL}};
  const char *const metadata[] = {"format", "pt", "made by", "a test"};
  assert_ok(weft_safetensors_write(path, tensors, 4, metadata, 2));
  assert_false(weft_file_exists(part));
  weft_mapping bytes;
  assert_ok(weft_mapping_open(path, &bytes));
  assert_int_equal(bytes.bytes[0] % 8, 0);
  weft_mapping_close(&bytes);
  weft_checkpoint *checkpoint;
  assert_ok(weft_checkpoint_open(path, &checkpoint));
  assert_int_equal(weft_checkpoint_count(checkpoint), 4);
  for (size_t i = 0; i < 4; ++i) {
    weft_stored_tensor found;
    assert_ok(weft_checkpoint_find(checkpoint, tensors[i].name, &found));
    assert_int_equal(found.dtype, tensors[i].dtype);
    assert_int_equal(found.rank, tensors[i].rank);
    for (uint32_t d = 0; d < found.rank; ++d) assert_int_equal(found.shape[d], tensors[i].shape[d]);
    if (found.bytes) assert_memory_equal(found.data, tensors[i].data, found.bytes);
  }
  weft_stored_tensor first;
  assert_ok(weft_checkpoint_find(checkpoint, "z.weight", &first));
  assert_int_equal((uintptr_t)first.data % 8, 0);
  weft_checkpoint_close(checkpoint);
  free(part);
  free(path);
  remove_folder(folder);
}

static void writer_refuses(void **state) {
  (void)state;
  const uint8_t data[64] = {0};
  const weft_saved_tensor twice[] = {{"a", WEFT_U8, 1, {1}, data}, {"a", WEFT_U8, 1, {1}, data}};
  const weft_saved_tensor block = {"q", WEFT_Q4_0, 1, {32}, data}, reserved = {"__metadata__", WEFT_U8, 1, {1}, data};
  const weft_saved_tensor huge = {"h", WEFT_F64, 2, {UINT64_MAX / 2, 8}, data}, good = {"g", WEFT_U8, 1, {64}, data};
  assert_refused(weft_safetensors_write("never", twice, 2, NULL, 0), "tensor \"a\": given twice");
  assert_refused(weft_safetensors_write("never", &block, 1, NULL, 0), "has no name for q4_0");
  assert_refused(weft_safetensors_write("never", &reserved, 1, NULL, 0), "not a name for a tensor");
  assert_refused(weft_safetensors_write("never", &huge, 1, NULL, 0), "too large");
  assert_false(weft_file_exists("never"));
  weft_status status = weft_safetensors_write("/nonexistent/folder/w.safetensors", &good, 1, NULL, 0);
  assert_int_equal(weft_status_code(status), WEFT_FAILED);
  weft_status_free(status);
  // A full disk: the file that was there stays, and nothing half-written is left. Where /dev/full is.
  if (access("/dev/full", W_OK) != 0) return;
  char *folder = make_folder(), *path = weft_format("%s/w", folder), *part = weft_format("%s/w.part", folder);
  write_text(folder, "w", "old");
  assert_int_equal(symlink("/dev/full", part), 0);
  status = weft_safetensors_write(path, &good, 1, NULL, 0);
  assert_int_equal(weft_status_code(status), WEFT_FAILED);
  weft_status_free(status);
  assert_int_not_equal(access(part, F_OK), 0);
  weft_mapping old;
  assert_ok(weft_mapping_open(path, &old));
  assert_memory_equal(old.bytes, "old", 3);
  weft_mapping_close(&old);
  free(path);
  free(part);
  remove_folder(folder);
}

static void write_shard(const char *folder, const char *name, const char *tensor) {
  char *path = weft_format("%s/%s", folder, name);
  const weft_saved_tensor saved = {tensor, WEFT_U8, 1, {3}, "abc"};
  assert_ok(weft_safetensors_write(path, &saved, 1, NULL, 0));
  free(path);
}

static void refused_index(const char *folder, const char *index, const char *reason) {
  weft_checkpoint *checkpoint;
  write_text(folder, "model.safetensors.index.json", index);
  assert_refused(weft_checkpoint_open(folder, &checkpoint), reason);
}

static void indexes(void **state) {
  (void)state;
  char *folder = make_folder();
  weft_checkpoint *checkpoint;
  assert_refused(weft_checkpoint_open(folder, &checkpoint), "no checkpoint in this folder");
  write_shard(folder, "s1.safetensors", "a");
  write_shard(folder, "s2.safetensors", "b");
  assert_refused(weft_checkpoint_open(folder, &checkpoint), "several .safetensors files");
  write_text(folder, "model.safetensors.index.json",
             "{\"metadata\":{},\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}");
  assert_ok(weft_checkpoint_open(folder, &checkpoint));
  assert_int_equal(weft_checkpoint_count(checkpoint), 2);
  weft_checkpoint_close(checkpoint);
  refused_index(folder, "{}", "expected \"weight_map\"");
  refused_index(folder, "{\"weight_map\":", ".json:1:");
  refused_index(folder, "{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", "in the same folder");
  refused_index(folder, "{\"weight_map\":{\"a\":7}}", "found no text");
  refused_index(folder, "{\"weight_map\":{\"a\":\"s3.safetensors\"}}", "No such file");
  refused_index(folder, "{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s2.safetensors\"}}",
                "tensor \"a\" should be in s2.safetensors");
  refused_index(folder, "{\"weight_map\":{\"a\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}",
                "tensor \"c\" should be in s2");
  write_shard(folder, "s2.safetensors", "a");
  refused_index(folder, "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}", "is there twice");
  remove_folder(folder);
}

static void golden_shards(void **state) {
  (void)state;
  static const char folder[] = WEFT_TESTS "/golden/tiny-llama-sharded-bf16";
  weft_checkpoint *checkpoint;
  assert_ok(weft_checkpoint_open(folder, &checkpoint));
  weft_network network;
  assert_ok(weft_checkpoint_network(checkpoint, &network));
  assert_int_equal(network.vocabulary, 277);
  assert_int_equal(weft_network_parameter_tensors(&network), weft_checkpoint_count(checkpoint));
  assert_int_equal(weft_network_parameters(&network), 126400);
  for (uint32_t i = 0; i < weft_network_parameter_tensors(&network); ++i) {
    weft_parameter parameter = weft_network_parameter(&network, i);
    weft_stored_tensor tensor;
    uint32_t heads = 9;
    assert_ok(weft_checkpoint_parameter(checkpoint, &parameter, &tensor, &heads));
    assert_int_equal(heads, 0);
    assert_int_equal(tensor.dtype, WEFT_BF16);
    assert_false(tensor.transpose);
  }
  weft_parameter parameter = weft_network_parameter(&network, 0);
  weft_stored_tensor tensor;
  uint32_t heads;
  ++parameter.shape[0];
  assert_refused(weft_checkpoint_parameter(checkpoint, &parameter, &tensor, &heads), "needs (278, 64)");
  snprintf(parameter.name, sizeof parameter.name, "model.embed_token.weight");
  assert_refused(weft_checkpoint_parameter(checkpoint, &parameter, &tensor, &heads),
                 "the nearest of its 21 is \"model.embed_tokens.weight\"");
  weft_checkpoint_close(checkpoint);
}

static void names_with_and_without_prefix(void **state) {
  (void)state;
  char *folder = make_folder(), *path = weft_format("%s/model.safetensors", folder);
  const float data[2] = {1, 2};
  const int32_t whole[2] = {1, 2};
  const weft_saved_tensor saved[] = {{"wte.weight", WEFT_F32, 2, {1, 2}, data},
                                     {"model.norm.weight", WEFT_F32, 1, {2}, data},
                                     {"h.0.ln_1.bias", WEFT_I32, 1, {2}, whole}};
  assert_ok(weft_safetensors_write(path, saved, 3, NULL, 0));
  weft_checkpoint *checkpoint;
  assert_ok(weft_checkpoint_open(folder, &checkpoint));
  weft_stored_tensor tensor;
  uint32_t heads;
  weft_parameter bare = {
      .name = "transformer.wte.weight", .role = WEFT_TOKEN_EMBEDDING, .layer = -1, .rank = 2, .shape = {1, 2}};
  assert_ok(weft_checkpoint_parameter(checkpoint, &bare, &tensor, &heads));
  assert_string_equal(tensor.name, "wte.weight");
  weft_parameter prefixed = {
      .name = "norm.weight", .role = WEFT_FINAL_NORM_WEIGHT, .layer = -1, .rank = 1, .shape = {2}};
  assert_ok(weft_checkpoint_parameter(checkpoint, &prefixed, &tensor, &heads));
  assert_string_equal(tensor.name, "model.norm.weight");
  weft_parameter integers = {
      .name = "transformer.h.0.ln_1.bias", .role = WEFT_NORM1_BIAS, .layer = 0, .rank = 1, .shape = {2}};
  assert_refused(weft_checkpoint_parameter(checkpoint, &integers, &tensor, &heads),
                 "holds i32, which is not a format of weights");
  weft_checkpoint_close(checkpoint);
  free(path);
  remove_folder(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_is_there),
      cmocka_unit_test(no_tensors_are_a_checkpoint_too),
      cmocka_unit_test(refuses_broken_headers),
      cmocka_unit_test(refuses_what_is_no_safetensors),
      cmocka_unit_test(every_truncation_is_refused),
      cmocka_unit_test(round_trip),
      cmocka_unit_test(writer_refuses),
      cmocka_unit_test(indexes),
      cmocka_unit_test(golden_shards),
      cmocka_unit_test(names_with_and_without_prefix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
