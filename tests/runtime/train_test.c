// Training: a run that is stopped and resumed ends with the same bytes; learning rates; datasets; what goes wrong is
// said.
#include <math.h>

#include "base/file.h"
#include "runtime/train.h"
#include "tests/runtime/test.h"

enum { STEPS = 8, STOP = 5, SAVE_EVERY = 2, TEXT = 5000 };

typedef struct fixture {
  weft_network network;
  weft_schedule *schedule, *validation;
  weft_dataset dataset;
  const weft_backend *backend;
} fixture;

static weft_dataset make_dataset(const weft_network *network) {
  return (weft_dataset){.ids = test_ids(network, TEXT, 77), .count = TEXT, .train_count = TEXT - 500};
}

static int set_up(void **state) {
  fixture *f = weft_allocate(sizeof *f);
  f->network = test_network("tiny-llama");
  weft_run run = test_run(WEFT_TRAIN, 4, 12);
  run.micro_batch = 2;
  f->schedule = test_compile(&f->network, &run);
  run = test_run(WEFT_PREFILL, 2, 12);
  run.all_logits = true;
  f->validation = test_compile(&f->network, &run);
  f->dataset = make_dataset(&f->network);
  assert_ok(weft_backend_find("ref", &f->backend));
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  weft_dataset_finish(&f->dataset);
  weft_schedule_destroy(f->schedule);
  weft_schedule_destroy(f->validation);
  free(f);
  return 0;
}

static weft_train_options options_of(const fixture *f, const char *folder) {
  return (weft_train_options){
      .schedule = f->schedule,
      .validation = f->validation,
      .backend = f->backend,
      .dataset = &f->dataset,
      .rate = {.kind = WEFT_DECAY_COSINE, .peak = 3e-3, .floor = 1e-4, .warmup = 2, .steps = STEPS},
      .update = weft_update_default(),
      .seed = 9,
      .save_every = SAVE_EVERY,
      .validate_every = 3,
      .validation_windows = 2,
      .directory = folder,
      .saved_dtype = WEFT_BF16};
}

static weft_status stop_at(void *context, const weft_train_record *record) {
  (void)context;
  return record->step == STOP ? weft_error(WEFT_FAILED, "the power went out") : NULL;
}

static void same_file(const char *a, const char *b, const char *name) {
  size_t a_bytes = 0, b_bytes = 0;
  char *a_text = test_read(a, name, &a_bytes), *b_text = test_read(b, name, &b_bytes);
  assert_int_equal(a_bytes, b_bytes);
  assert_memory_equal(a_text, b_text, a_bytes);
  free(a_text);
  free(b_text);
}

// Cuts the last column (seconds) off every row.
static void strip_seconds(char *text) {
  char *to = text;
  for (char *line = text; *line;) {
    char *end = strchr(line, '\n'), *comma = end;
    assert_non_null(end);
    while (*comma != ',') --comma;
    memmove(to, line, (size_t)(comma - line));
    to += comma - line;
    *to++ = '\n';
    line = end + 1;
  }
  *to = 0;
}

static void resumed_is_uninterrupted(void **state) {
  fixture *f = *state;
  char *whole = test_folder(), *cut = test_folder();
  weft_store *store = NULL;
  weft_train_options options = options_of(f, whole);
  assert_ok(weft_store_random(&f->network, 4, &store));
  assert_ok(weft_train(store, &options));
  weft_store_destroy(store);

  options = options_of(f, cut);
  options.record = stop_at;
  assert_ok(weft_store_random(&f->network, 4, &store));
  assert_failure(weft_train(store, &options), WEFT_FAILED, "the power went out");
  weft_store_destroy(store);

  assert_ok(weft_store_random(&f->network, 12345, &store));  // other weights: all must come from the state
  assert_ok(weft_store_resume(store, cut));
  assert_int_equal(weft_store_steps(store), STOP - STOP % SAVE_EVERY);
  options.record = NULL;
  assert_ok(weft_train(store, &options));
  weft_store_destroy(store);

  same_file(whole, cut, "model.safetensors");
  same_file(whole, cut, "optimizer.safetensors");
  same_file(whole, cut, "config.json");
  char *log = test_read(whole, "loss.csv", NULL), *cut_log = test_read(cut, "loss.csv", NULL);
  strip_seconds(log);
  strip_seconds(cut_log);
  assert_string_equal(log, cut_log);
  size_t lines = 0;
  for (const char *c = log; *c; ++c) lines += *c == '\n';
  assert_int_equal(lines, STEPS + 1);
  free(log);
  free(cut_log);
  test_remove(whole);
  test_remove(cut);
  free(whole);
  free(cut);
}

static void training_learns(void **state) {
  fixture *f = *state;
  char *folder = test_folder();
  weft_dataset dataset = f->dataset;
  dataset.ids = weft_allocate_array(TEXT, sizeof *dataset.ids);
  for (int i = 0; i < TEXT; ++i) dataset.ids[i] = i * 7 % 11;  // one pattern
  weft_train_options options = options_of(f, folder);
  options.dataset = &dataset;
  options.rate.steps = 40;
  options.validate_every = 0;
  options.save_every = 0;
  weft_store *store = NULL;
  assert_ok(weft_store_random(&f->network, 4, &store));
  assert_ok(weft_train(store, &options));
  char *log = test_read(folder, "loss.csv", NULL), *last = strrchr(log, '\n');
  *last = 0;
  last = strrchr(log, '\n') + 1;
  double loss = 0, validation = 0;
  assert_int_equal(sscanf(last, "40,%lf,%lf", &loss, &validation), 2);
  assert_true(loss < 1.2 &&
              fabs(loss - validation) < 0.2);  // from log(277) = 5.6; the pattern ends at log(11) = 2.4 if only counted
  free(log);
  free(dataset.ids);
  weft_store_destroy(store);
  test_remove(folder);
  free(folder);
}

static weft_status keep_loss(void *context, const weft_train_record *record) {
  ((double *)context)[record->step - 1] = record->loss;
  return NULL;
}

// With a learning rate of next to nothing, losses differ only because the texts do.
static void every_step_reads_other_text(void **state) {
  fixture *f = *state;
  char *folder = test_folder();
  double losses[3] = {0};
  weft_train_options options = options_of(f, folder);
  options.rate = (weft_learning_rate){.kind = WEFT_DECAY_CONSTANT, .peak = 1e-12, .steps = 3};
  options.record = keep_loss;
  options.context = losses;
  weft_store *store = NULL;
  assert_ok(weft_store_random(&f->network, 4, &store));
  assert_ok(weft_train(store, &options));
  assert_true(fabs(losses[0] - losses[1]) > 1e-5 && fabs(losses[1] - losses[2]) > 1e-5 &&
              fabs(losses[0] - losses[2]) > 1e-5);
  weft_store_destroy(store);
  test_remove(folder);
  free(folder);
}

static void explosions_are_said(void **state) {
  fixture *f = *state;
  char *folder = test_folder();
  weft_train_options options = options_of(f, folder);
  options.rate = (weft_learning_rate){.kind = WEFT_DECAY_CONSTANT, .peak = 1, .steps = STEPS};
  weft_store *store = NULL;
  assert_ok(weft_store_random(&f->network, 4, &store));
  weft_view view = weft_store_parameter(store, 0);
  ((float *)view.data)[0] = NAN;
  for (uint64_t i = 0; i < view.rows * view.columns; ++i) ((float *)view.data)[i] = NAN;
  assert_failure(weft_train(store, &options), WEFT_FAILED,
                 "training step 1 (learning rate 1; nothing was saved before it): ");
  char *model = weft_format("%s/model.safetensors", folder);
  assert_false(weft_file_exists(model));
  free(model);
  weft_store_destroy(store);
  test_remove(folder);
  free(folder);
}

static void learning_rates(void **state) {
  (void)state;
  weft_learning_rate r = {.kind = WEFT_DECAY_COSINE, .peak = 1, .floor = 0.1, .warmup = 10, .steps = 111};
  assert_true(fabs(weft_learning_rate_at(&r, 0) - 0.1) < 1e-12);
  assert_true(fabs(weft_learning_rate_at(&r, 9) - 1) < 1e-12);
  assert_true(fabs(weft_learning_rate_at(&r, 10) - 1) < 1e-12);
  assert_true(fabs(weft_learning_rate_at(&r, 60) - 0.55) < 1e-12);
  assert_true(fabs(weft_learning_rate_at(&r, 110) - 0.1) < 1e-12);
  assert_true(fabs(weft_learning_rate_at(&r, 5000) - 0.1) < 1e-12);
  r.kind = WEFT_DECAY_LINEAR;
  assert_true(fabs(weft_learning_rate_at(&r, 35) - 0.775) < 1e-12);
  r.kind = WEFT_DECAY_CONSTANT;
  assert_true(weft_learning_rate_at(&r, 110) == 1);
  r.warmup = 112;
  assert_failure(weft_learning_rate_check(&r), WEFT_INVALID, "a warm-up of 112 steps is longer than the 111 steps");
  r.warmup = 0;
  r.floor = 2;
  assert_failure(weft_learning_rate_check(&r), WEFT_INVALID, "must be from 0 to the greatest");
  weft_decay_kind kind;
  assert_failure(weft_decay_kind_parse("cosin", &kind), WEFT_INVALID, "\"cosine\"");
}

// Every window lies in its part, targets are the ids one further, windows differ, and the last one is reached.
static void windows(void **state) {
  fixture *f = *state;
  weft_dataset d = f->dataset;
  for (int i = 0; i < TEXT; ++i) d.ids[i] = i;
  enum { T = 12 };
  int32_t ids[T], targets[T], largest = 0, smallest = TEXT;
  for (uint64_t w = 0; w < 40000; ++w) {
    weft_dataset_train(&d, 3, w, T, ids, targets);
    for (int t = 0; t < T; ++t) assert_true(ids[t] == ids[0] + t && targets[t] == ids[t] + 1);
    assert_true(targets[T - 1] < (int32_t)d.train_count);
    if (targets[T - 1] > largest) largest = targets[T - 1];
    if (ids[0] < smallest) smallest = ids[0];
  }
  assert_int_equal(smallest, 0);
  assert_int_equal(largest, d.train_count - 1);
  weft_dataset_validate(&d, 0, 9, T, ids, targets);
  assert_int_equal(ids[0], d.train_count);
  weft_dataset_validate(&d, 8, 9, T, ids, targets);
  assert_int_equal(targets[T - 1], d.count - 1);
  assert_failure(weft_dataset_check(&d, 500), WEFT_INVALID,
                 "the validation part of the data has 500 tokens; a sequence of 500 needs at least 501");
  assert_ok(weft_dataset_check(&d, 499));
}

static void datasets_are_read(void **state) {
  (void)state;
  char *folder = test_folder(), *path = weft_format("%s/text", folder);
  weft_tokenizer *tokenizer = NULL;
  weft_dataset d = {0};
  assert_ok(weft_tokenizer_open("bytes", &tokenizer));
  assert_ok(weft_file_write(path, "", 0));
  assert_failure(weft_dataset_read(path, tokenizer, 256, 0, &d), WEFT_INVALID, "the file is empty");
  assert_ok(weft_file_write(path,
                            "abc\xff"
                            "efghij",
                            10));
  assert_failure(weft_dataset_read(path, tokenizer, 128, 0, &d), WEFT_INVALID,
                 "token 3 is 255, but the network's vocabulary has only 128");
  assert_failure(weft_dataset_read(path, tokenizer, 256, 0.7, &d), WEFT_INVALID, "must be from 0 to 0.5");
  assert_ok(weft_dataset_read(path, tokenizer, 256, 0.2, &d));
  assert_int_equal(d.count, 10);
  assert_int_equal(d.train_count, 8);
  assert_int_equal(d.ids[9], 'j');
  weft_dataset_finish(&d);
  weft_tokenizer_close(tokenizer);
  test_remove(folder);
  free(path);
  free(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(resumed_is_uninterrupted, set_up, tear_down),
                                     cmocka_unit_test_setup_teardown(training_learns, set_up, tear_down),
                                     cmocka_unit_test_setup_teardown(every_step_reads_other_text, set_up, tear_down),
                                     cmocka_unit_test_setup_teardown(explosions_are_said, set_up, tear_down),
                                     cmocka_unit_test(learning_rates),
                                     cmocka_unit_test_setup_teardown(windows, set_up, tear_down),
                                     cmocka_unit_test(datasets_are_read)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
