// What must not depend on how a schedule is executed: threads, chunks, where a prompt is cut; and that what a
// session reports as work is what the schedule says.
#include <math.h>

#include "base/file.h"
#include "tests/runtime/test.h"

static const weft_backend *backends[2];
static uint32_t backend_count;

static int find_backends(void **state) {
  (void)state;
  const char *names[] = {"ref", "cpu"};
  for (int i = 0; i < 2; ++i) {
    const weft_backend *backend = NULL;
    void *device = NULL;
    assert_ok(weft_backend_find(names[i], &backend));
    weft_status status = backend->open(&(weft_backend_options){.threads = 1}, &device);
    if (weft_status_code(status) == WEFT_UNAVAILABLE) {
      weft_status_free(status);
      continue;
    }
    assert_ok(status);
    backend->close(device);
    backends[backend_count++] = backend;
  }
  return 0;
}

// ---- training ----

// Weights after `steps` updates, all parameters one after the other; caller frees.
static float *train(const weft_schedule *schedule, const weft_backend *backend, uint32_t threads, int steps,
                    uint64_t *out_count, double *out_loss) {
  const weft_network *network = &schedule->network;
  uint64_t rows = (uint64_t)schedule->run.batch * schedule->run.sequence;
  weft_store *store = NULL;
  weft_session *session = NULL;
  assert_ok(weft_store_random(network, 5, &store));
  assert_ok(weft_session_create(schedule, store, backend, &(weft_backend_options){.threads = threads}, NULL, &session));
  for (int step = 0; step < steps; ++step) {
    int32_t *ids = test_ids(network, rows, 10 + (uint64_t)step),
            *targets = test_ids(network, rows, 100 + (uint64_t)step);
    weft_outcome outcome;
    assert_ok(weft_session_run(session, &(weft_feed){.ids = ids, .targets = targets, .update = weft_update_default()},
                               NULL, &outcome));
    *out_loss = outcome.loss;
    free(targets);
    free(ids);
  }
  uint64_t count = weft_network_parameters(network), at = 0;
  float *weights = weft_allocate_array(count, sizeof *weights);
  for (uint32_t p = 0; p < weft_network_parameter_tensors(network); ++p) {
    weft_view view = weft_store_parameter(store, p);
    memcpy(weights + at, view.data, view.rows * view.columns * sizeof(float));
    at += view.rows * view.columns;
  }
  assert_true(at == count);
  weft_session_destroy(session);
  weft_store_destroy(store);
  *out_count = count;
  return weights;
}

static void any_number_of_threads_same_bytes(void **state) {
  (void)state;
  const char *names[] = {"tiny-gpt2", "tiny-llama"};
  for (int n = 0; n < 2; ++n) {
    weft_network network = test_network(names[n]);
    weft_run run = test_run(WEFT_TRAIN, 4, 17);
    weft_schedule *schedule = test_compile(&network, &run);
    for (uint32_t b = 0; b < backend_count; ++b) {
      uint64_t count = 0;
      double loss = 0, again_loss = 0;
      float *one = train(schedule, backends[b], 1, 3, &count, &loss);
      for (uint32_t threads = 1; threads <= 5; threads += 2) {
        float *more = train(schedule, backends[b], threads, 3, &count, &again_loss);
        assert_memory_equal(one, more, count * sizeof(float));
        assert_true(loss == again_loss);
        free(more);
      }
      free(one);
    }
    weft_schedule_destroy(schedule);
  }
}

// Cuts every streamed matrix of a compiled schedule into chunks of `rows`, in rings of `ring`.
static int cut_into_chunks(weft_schedule *s, uint32_t rows, uint32_t ring) {
  int pairs = 0;
  uint32_t *maker = weft_allocate_array(s->tensor_count, sizeof *maker);
  for (uint32_t i = 0; i < s->step_count; ++i) {
    weft_step *step = &s->steps[i];
    uint32_t weight = WEFT_NONE;
    if (step->op == WEFT_OP_LOAD || step->op == WEFT_OP_LINEAR_BACKWARD_WEIGHT) maker[step->outputs[0]] = i + 1;
    if (step->op == WEFT_OP_LINEAR || step->op == WEFT_OP_LINEAR_BACKWARD_INPUT) weight = step->inputs[1];
    if (step->op == WEFT_OP_STORE_GRADIENT) weight = step->inputs[0];
    if (weight == WEFT_NONE || maker[weight] == 0 || s->tensors[weight].rank != 2 ||
        s->tensors[weight].shape[0] <= (uint64_t)rows * ring)
      continue;
    if (step->op == WEFT_OP_STORE_GRADIENT && s->steps[maker[weight] - 1].op != WEFT_OP_LINEAR_BACKWARD_WEIGHT)
      continue;
    weft_step *other = &s->steps[maker[weight] - 1];
    step->partner = maker[weight] - 1;
    other->partner = i;
    step->chunks = other->chunks = (uint32_t)((s->tensors[weight].shape[0] + rows - 1) / rows);
    step->chunk_rows = other->chunk_rows = s->tensors[weight].chunk_rows = rows;
    step->ring = other->ring = ring;
    ++pairs;
  }
  free(maker);
  return pairs;
}

static void chunks_change_nothing(void **state) {
  (void)state;
  const char *names[] = {"tiny-gpt2", "tiny-llama", "tiny-gptj"};  // stored (in, out), (out, in), with a biased head
  for (int n = 0; n < 3; ++n) {
    weft_network network = test_network(names[n]);
    weft_run run = test_run(WEFT_TRAIN, 2, 9);
    run.micro_batch = 1;
    for (uint32_t b = 0; b < backend_count; ++b) {
      weft_schedule *schedule = test_compile(&network, &run);
      uint64_t count = 0;
      double loss = 0, cut_loss = 0, worst = 0;
      float *whole = train(schedule, backends[b], 2, 1, &count, &loss);
      for (uint32_t rows = 5; rows <= 16; rows += 11) {
        weft_schedule_destroy(schedule);
        schedule = test_compile(&network, &run);
        assert_true(cut_into_chunks(schedule, rows, 2) >= 6);
        float *cut = train(schedule, backends[b], 2, 1, &count, &cut_loss);
        for (uint64_t i = 0; i < count; ++i) worst = fmax(worst, fabs((double)whole[i] - (double)cut[i]));
        free(cut);
        assert_true(fabs(loss - cut_loss) < 1e-5);
      }
      // One step of AdamW moves a weight by at most the learning rate, so a wrong gradient shows as about 1e-3; a
      // gradient that is 0 but for rounding may go either way, which is why the biases of keys are not here.
      if (n > 0) assert_true(worst < 1e-5);
      free(whole);
      weft_schedule_destroy(schedule);
    }
  }
}

// ---- inference ----

static float *logits_after(const weft_network *network, weft_store *store, const weft_backend *backend,
                           const int32_t *ids, uint32_t prompt, uint32_t total) {
  weft_run run = test_run(WEFT_PREFILL, 1, prompt);
  run.context = total;
  weft_schedule *prefill = test_compile(network, &run), *decode = NULL;
  weft_session *first = NULL, *next = NULL;
  float *logits = weft_allocate_array(network->vocabulary, sizeof *logits);
  weft_outcome outcome;
  assert_ok(weft_session_create(prefill, store, backend, &(weft_backend_options){0}, NULL, &first));
  assert_ok(weft_session_run(first, &(weft_feed){.ids = ids}, NULL, &outcome));
  run = test_run(WEFT_DECODE, 1, total);
  decode = test_compile(network, &run);
  assert_ok(weft_session_create(decode, store, backend, &(weft_backend_options){0}, first, &next));
  for (uint32_t at = prompt; at < total; ++at)
    assert_ok(weft_session_run(next, &(weft_feed){.ids = ids + at, .position = at}, NULL, &outcome));
  assert_ok(weft_session_read(prompt == total ? first : next, "logits", logits, network->vocabulary));
  assert_failure(weft_session_run(next, &(weft_feed){.ids = ids, .position = total}, NULL, &outcome), WEFT_INVALID,
                 "do not fit");
  weft_session_destroy(next);
  weft_session_destroy(first);
  weft_schedule_destroy(decode);
  weft_schedule_destroy(prefill);
  return logits;
}

static void prompt_may_be_cut_anywhere(void **state) {
  (void)state;
  const char *names[] = {"tiny-gpt2", "tiny-llama-tied-rope3", "tiny-gptj"};
  for (int n = 0; n < 3; ++n) {
    weft_network network = test_network(names[n]);
    weft_store *store = NULL;
    assert_ok(weft_store_random(&network, 2, &store));
    int32_t *ids = test_ids(&network, 12, 4);
    for (uint32_t b = 0; b < backend_count; ++b) {
      float *whole = logits_after(&network, store, backends[b], ids, 12, 12);
      for (uint32_t prompt = 1; prompt < 12; prompt += 5) {
        float *cut = logits_after(&network, store, backends[b], ids, prompt, 12);
        for (uint32_t v = 0; v < network.vocabulary; ++v) assert_true(fabs((double)whole[v] - (double)cut[v]) < 1e-5);
        free(cut);
      }
      free(whole);
    }
    free(ids);
    weft_store_destroy(store);
  }
}

static void caches_must_agree(void **state) {
  (void)state;
  weft_network network = test_network("tiny-llama");
  weft_store *store = NULL;
  assert_ok(weft_store_random(&network, 2, &store));
  weft_run run = test_run(WEFT_PREFILL, 1, 4);
  run.context = 20;
  weft_schedule *prefill = test_compile(&network, &run);
  run = test_run(WEFT_DECODE, 1, 21);
  weft_schedule *decode = test_compile(&network, &run);
  weft_session *first = NULL, *next = NULL;
  assert_ok(weft_session_create(prefill, store, backends[0], &(weft_backend_options){0}, NULL, &first));
  assert_failure(weft_session_create(decode, store, backends[0], &(weft_backend_options){0}, first, &next),
                 WEFT_INVALID, "cannot be shared");
  weft_session_destroy(first);
  weft_schedule_destroy(decode);
  weft_schedule_destroy(prefill);
  weft_store_destroy(store);
}

// ---- work ----

typedef struct work {
  const weft_schedule *schedule;
  uint32_t *runs;
} work;

static weft_status count_event(void *context, const weft_trace_event *event) {
  work *w = context;
  const weft_step *step = &w->schedule->steps[event->step];
  ++w->runs[event->step];
  if (event->bytes == step->bytes && event->flops == step->flops && event->queue == step->queue) return NULL;
  return weft_error(WEFT_OUTSIDE, "step %u (%s): %llu bytes and %g FLOPs done, %llu and %g scheduled", event->step,
                    weft_op_name(step->op), (unsigned long long)event->bytes, event->flops,
                    (unsigned long long)step->bytes, step->flops);
}

static void check_work(const weft_network *network, weft_run run, uint64_t position) {
  weft_schedule *schedule = test_compile(network, &run);
  weft_store *store = NULL;
  weft_session *session = NULL;
  assert_ok(weft_store_random(network, 2, &store));
  assert_ok(weft_session_create(schedule, store, backends[0], &(weft_backend_options){0}, NULL, &session));
  int32_t *ids = test_ids(network, (uint64_t)run.batch * run.sequence, 4);
  work w = {.schedule = schedule, .runs = weft_allocate_array(schedule->step_count, sizeof *w.runs)};
  weft_trace_sink sink = {.context = &w, .event = count_event};
  weft_feed feed = {.ids = ids, .targets = ids, .position = position, .update = weft_update_default()};
  weft_outcome outcome;
  assert_ok(weft_session_run(session, &feed, &sink, &outcome));
  for (uint32_t s = 0; s < schedule->step_count; ++s) assert_int_equal(w.runs[s], weft_step_runs(schedule, s));
  free(w.runs);
  free(ids);
  weft_session_destroy(session);
  weft_store_destroy(store);
  weft_schedule_destroy(schedule);
}

static void work_done_is_work_scheduled(void **state) {
  (void)state;
  const char *names[] = {"tiny-gpt2", "tiny-llama", "tiny-gptj", "tiny-qwen2"};
  for (int n = 0; n < 4; ++n) {
    weft_network network = test_network(names[n]);
    weft_run training = test_run(WEFT_TRAIN, 4, 8);
    training.micro_batch = 2;
    check_work(&network, training, 0);
    training.recompute = WEFT_RECOMPUTE_BLOCK;
    check_work(&network, training, 0);
    training.dtype = WEFT_BF16;
    check_work(&network, training, 0);
    check_work(&network, test_run(WEFT_PREFILL, 2, 8), 0);
    check_work(&network, test_run(WEFT_DECODE, 2, 16), 15);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_threads_same_bytes),
                                     cmocka_unit_test(chunks_change_nothing),
                                     cmocka_unit_test(prompt_may_be_cut_anywhere), cmocka_unit_test(caches_must_agree),
                                     cmocka_unit_test(work_done_is_work_scheduled)};
  return cmocka_run_group_tests(tests, find_backends, NULL);
}
