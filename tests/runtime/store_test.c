// The weight store: fresh weights, saving and opening again, what is refused; and scoring, which reads it.
#include <math.h>

#include "base/file.h"
#include "runtime/score.h"
#include "tests/runtime/test.h"

static void fresh_weights(void **state) {
  (void)state;
  weft_network network = test_network("tiny-llama");
  weft_store *a = NULL, *b = NULL, *c = NULL;
  assert_ok(weft_store_random(&network, 4, &a));
  assert_ok(weft_store_random(&network, 4, &b));
  assert_ok(weft_store_random(&network, 5, &c));
  for (uint32_t p = 0; p < weft_network_parameter_tensors(&network); ++p) {
    weft_parameter parameter = weft_network_parameter(&network, p);
    weft_view x = weft_store_parameter(a, p), y = weft_store_parameter(b, p), z = weft_store_parameter(c, p);
    uint64_t count = x.rows * x.columns;
    const float *values = x.data;
    assert_memory_equal(x.data, y.data, count * sizeof(float));
    if (parameter.rank == 1) {
      for (uint64_t i = 0; i < count; ++i) assert_true(values[i] == 1);  // llama: norms only
      continue;
    }
    assert_memory_not_equal(x.data, z.data, count * sizeof(float));
    double squares = 0, expected = (double)network.initializer_range;
    if (parameter.role == WEFT_O_WEIGHT || parameter.role == WEFT_DOWN_WEIGHT) expected /= sqrt(2.0 * network.layers);
    for (uint64_t i = 0; i < count; ++i) squares += (double)values[i] * (double)values[i];
    assert_true(fabs(sqrt(squares / (double)count) / expected - 1) < 0.05);
  }
  weft_store_destroy(a);
  weft_store_destroy(b);
  weft_store_destroy(c);
}

static void saved_comes_back(void **state) {
  (void)state;
  weft_network network = test_network("tiny-gpt2");
  char *folder = test_folder();
  weft_store *store = NULL, *mapped = NULL, *trained = NULL;
  assert_ok(weft_store_random(&network, 4, &store));
  assert_ok(weft_store_save(store, folder, WEFT_BF16, false));
  weft_checkpoint *checkpoint = NULL;
  weft_network read;
  assert_ok(weft_checkpoint_open(folder, &checkpoint));
  assert_ok(weft_checkpoint_network(checkpoint, &read));
  assert_int_equal(read.dtype, WEFT_BF16);
  assert_ok(weft_store_open(&read, checkpoint, false, WEFT_F32, &mapped));
  assert_ok(weft_store_open(&read, checkpoint, true, WEFT_F32, &trained));
  for (uint32_t p = 0; p < weft_network_parameter_tensors(&network); ++p) {
    weft_view full = weft_store_parameter(store, p), half = weft_store_parameter(mapped, p),
              again = weft_store_parameter(trained, p);
    assert_int_equal(half.dtype, WEFT_BF16);  // as the file maps it
    assert_int_equal(again.dtype, WEFT_F32);
    for (uint64_t i = 0; i < full.rows * full.columns; ++i) {
      uint16_t rounded = weft_f32_to_bf16(((const float *)full.data)[i]);
      assert_int_equal(((const uint16_t *)half.data)[i], rounded);
      assert_true(((const float *)again.data)[i] == weft_bf16_to_f32(rounded));
    }
  }
  weft_view view;
  assert_failure(weft_store_gradient(mapped, 0, &view), WEFT_INVALID, "opened for inference has no gradient");
  assert_failure(weft_store_save(mapped, folder, WEFT_BF16, true), WEFT_INVALID, "no state to save");
  assert_failure(weft_store_resume(mapped, folder), WEFT_INVALID, "cannot resume training");
  assert_failure(weft_store_resume(trained, "/nowhere"), WEFT_INVALID, "cannot resume: /nowhere/optimizer.safetensors");
  weft_store_destroy(trained);
  weft_store_destroy(mapped);
  weft_store_destroy(store);
  weft_checkpoint_close(checkpoint);
  test_remove(folder);
  free(folder);
}

static void other_networks_are_refused(void **state) {
  (void)state;
  weft_network network = test_network("tiny-llama"), other = test_network("tiny-llama-tied-rope3");
  char *folder = test_folder();
  weft_store *store = NULL, *wrong = NULL;
  assert_ok(weft_store_random(&network, 4, &store));
  weft_view view;
  for (uint32_t p = 0; p < weft_network_parameter_tensors(&network); ++p) {
    assert_ok(weft_store_moment(store, p, 1, &view));
    assert_ok(weft_store_moment(store, p, 2, &view));
  }
  assert_ok(weft_store_save(store, folder, WEFT_F32, true));
  assert_ok(weft_store_random(&other, 4, &wrong));
  assert_failure(weft_store_resume(wrong, folder), WEFT_INVALID,
                 "an f32 tensor with the shape of model.embed_tokens.weight is needed");
  weft_checkpoint *checkpoint = NULL;
  weft_store *opened = NULL;
  char *model = weft_format("%s/model.safetensors", folder);
  assert_ok(weft_checkpoint_open(model, &checkpoint));
  assert_failure(weft_store_open(&other, checkpoint, false, WEFT_F32, &opened), WEFT_INVALID, "embed_tokens");
  weft_checkpoint_close(checkpoint);
  free(model);
  weft_store_destroy(wrong);
  weft_store_destroy(store);
  test_remove(folder);
  free(folder);
}

// A score in windows: the first window's tokens as in one pass, every token once, any stride.
static void scores_in_windows(void **state) {
  (void)state;
  enum { WINDOW = 10, COUNT = 37 };
  weft_network network = test_network("tiny-qwen2");
  weft_store *store = NULL;
  const weft_backend *backend = NULL;
  assert_ok(weft_store_random(&network, 4, &store));
  assert_ok(weft_backend_find("ref", &backend));
  weft_run run = test_run(WEFT_PREFILL, 1, WINDOW);
  run.all_logits = true;
  weft_schedule *schedule = test_compile(&network, &run);
  weft_session *session = NULL;
  assert_ok(weft_session_create(schedule, store, backend, &(weft_backend_options){0}, NULL, &session));
  int32_t *ids = test_ids(&network, COUNT, 3);
  double first[WINDOW - 1];
  for (uint32_t stride = 1; stride < WINDOW; stride += 4) {
    weft_score score = {0};
    assert_ok(weft_score_ids(session, schedule, ids, COUNT, stride, NULL, NULL, &score));
    assert_int_equal(score.count, COUNT - 1);
    double sum = 0;
    for (uint64_t i = 0; i < score.count; ++i) sum += score.nll[i];
    assert_true(fabs(score.mean - sum / (COUNT - 1)) < 1e-12 && fabs(score.perplexity - exp(score.mean)) < 1e-9);
    if (stride == 1) memcpy(first, score.nll, sizeof first);
    assert_memory_equal(first, score.nll, sizeof first);
    assert_int_equal(score.windows, 1 + (COUNT - WINDOW + stride - 1) / stride);
    weft_score_finish(&score);
  }
  weft_score score = {0};
  assert_failure(weft_score_ids(session, schedule, ids, COUNT, WINDOW, NULL, NULL, &score), WEFT_INVALID,
                 "stride 10 must be smaller");
  assert_failure(weft_score_ids(session, schedule, ids, WINDOW - 1, 1, NULL, NULL, &score), WEFT_INVALID,
                 "fewer than one window");
  assert_true(fabs(weft_nll((float[]){0, 0, 0, 0}, 4, 2) - log(4)) < 1e-12);
  assert_true(fabs(weft_nll((float[]){1000, 0}, 2, 1) - 1000) < 1e-9);
  free(ids);
  weft_session_destroy(session);
  weft_schedule_destroy(schedule);
  weft_store_destroy(store);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fresh_weights), cmocka_unit_test(saved_comes_back),
                                     cmocka_unit_test(other_networks_are_refused), cmocka_unit_test(scores_in_windows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
