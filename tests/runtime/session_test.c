// Sessions on schedules made by hand and a backend that watches: rings, slots, failures, accumulation, clipping.
#include <math.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/runtime/test.h"

// ---- a backend that watches ----

enum { CALLS = 4096 };

typedef struct watcher {
  atomic_int count;
  struct {
    weft_op op;
    uint32_t lane;
    bool accumulate;
    void *data;
    weft_view in, out;
    uint64_t row_begin, row_end;
    float gradient_scale;
  } calls[CALLS];
  atomic_int loaded, used;  // chunks of the ring
  int ring;
  bool overrun, wrong_chunk;
  int slow_op;           // calls of it take a while; -1: none
  int fail_op, fail_at;  // the fail_at-th call of fail_op fails; -1: none
  atomic_int fail_seen;
  double square_sum;
} watcher;

static watcher w;

static weft_status watch_open(const weft_backend_options *options, void **out_device) {
  (void)options;
  *out_device = &w;
  return NULL;
}
static void watch_close(void *device) { (void)device; }
static char *watch_describe(void *device) {
  (void)device;
  return weft_copy_text("watches");
}

static void copy(const weft_view *from, const weft_view *to) {
  for (uint64_t r = 0; r < from->rows; ++r)
    memcpy((float *)to->data + r * to->stride, (const float *)from->data + r * from->stride,
           from->columns * sizeof(float));
}

static weft_view expected;  // the whole weight at the store, for LINEAR

static void watch_ring(const weft_call *call) {
  if (call->op == WEFT_OP_LOAD) {
    if (atomic_load(&w.loaded) - atomic_load(&w.used) >= w.ring) w.overrun = true;
    copy(&call->inputs[0], &call->outputs[0]);
    atomic_fetch_add(&w.loaded, 1);
  } else if (call->op == WEFT_OP_LINEAR && expected.data) {
    const float *whole = (const float *)expected.data + call->row_begin * expected.stride;
    uint64_t rows = call->row_end - call->row_begin;
    if (call->inputs[1].rows != rows ||
        memcmp(call->inputs[1].data, whole, rows * expected.columns * sizeof(float)) != 0)
      w.wrong_chunk = true;
    atomic_fetch_add(&w.used, 1);
  }
}

static weft_status watch_compute(void *device, uint32_t lane, const weft_call *call) {
  (void)device;
  int at = atomic_fetch_add(&w.count, 1);
  assert_true(at < CALLS);
  w.calls[at].op = call->op;
  w.calls[at].lane = lane;
  w.calls[at].accumulate = call->accumulate;
  w.calls[at].in = call->inputs[0];
  w.calls[at].out = call->outputs[0];
  w.calls[at].row_begin = call->row_begin;
  w.calls[at].row_end = call->row_end;
  if (call->op == WEFT_OP_ADAMW) w.calls[at].gradient_scale = call->scalars->gradient_scale;
  if ((int)call->op == w.slow_op) nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
  if ((int)call->op == w.fail_op && atomic_fetch_add(&w.fail_seen, 1) == w.fail_at)
    return weft_error(WEFT_FAILED, "broken on purpose");
  watch_ring(call);
  if (call->op == WEFT_OP_SQUARE_SUM) *(double *)call->outputs[0].data = w.square_sum;
  if (call->op == WEFT_OP_CROSS_ENTROPY)
    for (uint64_t i = 0; i < call->outputs[0].rows * call->outputs[0].columns; ++i)
      ((float *)call->outputs[0].data)[i] = 0.5f;
  if (call->op == WEFT_OP_ADD) *(float *)call->outputs[0].data = 7;
  return NULL;
}

static const weft_backend backend = {.name = "watch",
                                     .about = "",
                                     .open = watch_open,
                                     .close = watch_close,
                                     .describe = watch_describe,
                                     .compute = watch_compute};

static void watch_anew(void) {
  memset(&w, 0, sizeof w);
  w.slow_op = w.fail_op = -1;
  w.ring = 1 << 30;
  w.square_sum = 1;
  expected = (weft_view){0};
}

// ---- schedules by hand ----

static weft_schedule *empty_schedule(const weft_network *network) {
  weft_schedule *s = weft_schedule_create();
  s->network = *network;
  s->run = test_run(WEFT_PREFILL, 1, 2);
  s->micro_batch = s->iterations = 1;
  s->tensors = weft_arena_take(&s->arena, 64 * sizeof *s->tensors);
  s->slots = weft_arena_take(&s->arena, 64 * sizeof *s->slots);
  s->steps = weft_arena_take(&s->arena, 64 * sizeof *s->steps);
  s->dependencies = weft_arena_take(&s->arena, 256 * sizeof *s->dependencies);
  return s;
}

static uint32_t add_slot(weft_schedule *s, uint64_t bytes) {
  s->slots[s->slot_count] = (weft_slot){.bytes = bytes, .host_bytes = bytes};
  return s->slot_count++;
}

static uint32_t add_tensor(weft_schedule *s, const char *name, weft_residency residency, uint64_t rows,
                           uint64_t columns, uint32_t slot, uint32_t parameter) {
  s->tensors[s->tensor_count] = (weft_tensor){.name = name,
                                              .residency = residency,
                                              .dtype = WEFT_F32,
                                              .rank = 2,
                                              .shape = {rows, columns},
                                              .parent = WEFT_NONE,
                                              .slot = slot,
                                              .parameter = parameter};
  return s->tensor_count++;
}

static weft_step *add_step(weft_schedule *s, weft_op op, weft_queue queue, uint32_t input, uint32_t output) {
  weft_step *step = &s->steps[s->step_count++];
  *step = (weft_step){.op = op,
                      .queue = queue,
                      .layer = -1,
                      .partner = WEFT_NONE,
                      .chunks = 1,
                      .ring = 1,
                      .first_dependency = s->dependency_count,
                      .bytes = 10,
                      .flops = 20};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) step->inputs[i] = WEFT_NONE;
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) step->outputs[i] = WEFT_NONE;
  step->inputs[0] = input;
  step->outputs[0] = output;
  s->body = s->step_count;
  return step;
}

static void depends_on(weft_schedule *s, weft_step *last, uint32_t step) {
  s->dependencies[s->dependency_count++] = step;
  ++last->dependency_count;
}

static int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
static int32_t targets[] = {1, -1, 3, 4, 5, 6, -1, 8};

static weft_status run_schedule(weft_schedule *s, weft_store *store, const weft_trace_sink *sink, weft_outcome *outcome,
                                weft_session **out_session) {
  weft_session *session = NULL;
  WEFT_TRY(weft_session_create(s, store, &backend, &(weft_backend_options){0}, NULL, &session));
  weft_feed feed = {.ids = ids, .targets = targets, .update = weft_update_default()};
  weft_status status = weft_session_run(session, &feed, sink, outcome);
  if (out_session)
    *out_session = session;
  else
    weft_session_destroy(session);
  return status;
}

// LOAD of one whole matrix in chunks, and the LINEAR that uses it: `count` times over the same slot.
static weft_schedule *ring_schedule(const weft_network *network, uint32_t chunks, uint32_t ring, uint32_t count,
                                    uint32_t *out_parameter) {
  weft_schedule *s = empty_schedule(network);
  uint32_t p = 0;
  while (weft_network_parameter(network, p).rank != 2) ++p;
  weft_parameter parameter = weft_network_parameter(network, p);
  uint32_t chunk_rows = (uint32_t)((parameter.shape[0] + chunks - 1) / chunks);
  uint32_t slot = add_slot(s, ring * chunk_rows * parameter.shape[1] * sizeof(float)), out = add_slot(s, 64);
  uint32_t at_store = add_tensor(s, "w", WEFT_STORE_PARAMETER, parameter.shape[0], parameter.shape[1], WEFT_NONE, p);
  uint32_t here = add_tensor(s, "w here", WEFT_WEIGHT, parameter.shape[0], parameter.shape[1], slot, p);
  uint32_t y = add_tensor(s, "y", WEFT_ACTIVATION, 1, 4, out, WEFT_NONE);
  s->tensors[here].chunk_rows = chunk_rows;
  for (uint32_t i = 0; i < count; ++i) {
    weft_step *load = add_step(s, WEFT_OP_LOAD, WEFT_QUEUE_STREAM_IN, at_store, here);
    if (i > 0) depends_on(s, load, 2 * i - 1);
    weft_step *linear = add_step(s, WEFT_OP_LINEAR, WEFT_QUEUE_COMPUTE, y, y);
    linear->inputs[1] = here;
    load->partner = 2 * i + 1;
    linear->partner = 2 * i;
    load->chunks = linear->chunks = (uint32_t)((parameter.shape[0] + chunk_rows - 1) / chunk_rows);
    load->chunk_rows = linear->chunk_rows = chunk_rows;
    load->ring = linear->ring = ring;
  }
  *out_parameter = p;
  return s;
}

// ---- tests ----

static void ring_holds_back_the_stream(void **state) {
  (void)state;
  weft_network network = test_network("tiny-gpt2");
  weft_store *store = NULL;
  assert_ok(weft_store_random(&network, 3, &store));
  for (uint32_t ring = 1; ring <= 3; ++ring)
    for (int slow = 0; slow < 2; ++slow) {
      watch_anew();
      uint32_t parameter = 0;
      weft_schedule *s = ring_schedule(&network, 9, ring, 4, &parameter);
      w.ring = (int)ring;
      w.slow_op = slow ? (int)WEFT_OP_LINEAR : (int)WEFT_OP_LOAD;
      expected = weft_store_parameter(store, parameter);
      weft_outcome outcome;
      assert_ok(run_schedule(s, store, NULL, &outcome, NULL));
      assert_false(w.overrun);
      assert_false(w.wrong_chunk);
      assert_int_equal(w.used, 4 * s->steps[0].chunks);
      weft_schedule_destroy(s);
    }
  weft_store_destroy(store);
}

static void slots_are_memory(void **state) {
  (void)state;
  watch_anew();
  weft_network network = test_network("tiny-gpt2");
  weft_store *store = NULL;
  assert_ok(weft_store_random(&network, 3, &store));
  weft_schedule *s = empty_schedule(&network);
  uint32_t slot = add_slot(s, 4096);
  uint32_t first = add_tensor(s, "first", WEFT_ACTIVATION, 2, 8, slot, WEFT_NONE);
  uint32_t second = add_tensor(s, "second", WEFT_ACTIVATION, 4, 6, slot, WEFT_NONE);
  uint32_t view = add_tensor(s, "view", WEFT_ACTIVATION, 4, 2, slot, WEFT_NONE);
  s->tensors[view].parent = second;
  s->tensors[view].column = 3;
  add_step(s, WEFT_OP_ADD, WEFT_QUEUE_COMPUTE, first, first);
  add_step(s, WEFT_OP_ADD, WEFT_QUEUE_COMPUTE, first, view);
  weft_session *session = NULL;
  weft_outcome outcome;
  assert_ok(run_schedule(s, store, NULL, &outcome, &session));
  assert_ptr_equal(w.calls[0].out.data, w.calls[1].in.data);
  assert_ptr_equal((float *)w.calls[0].out.data + 3, w.calls[1].out.data);
  assert_int_equal(w.calls[1].out.stride, 6);
  assert_int_equal(w.calls[1].out.columns, 2);
  assert_int_equal(w.calls[1].out.rows, 4);
  float values[24];
  assert_failure(weft_session_read(session, "first", values, 16), WEFT_INVALID, "its memory now holds second");
  assert_failure(weft_session_read(session, "secand", values, 24), WEFT_INVALID, "the nearest name is \"second\"");
  assert_failure(weft_session_read(session, "second", values, 23), WEFT_INVALID, "has 24 values, not 23");
  assert_ok(weft_session_read(session, "second", values, 24));
  assert_true(values[3] == 7);
  weft_session_destroy(session);
  s->slots[slot].host_bytes = 95;
  assert_failure(run_schedule(s, store, NULL, &outcome, NULL), WEFT_INVALID, "needs 96 bytes of slot 0");
  weft_schedule_destroy(s);
  weft_store_destroy(store);
}

// Whoever fails, whenever: everybody stops, the first reason comes out, and the session can be used again.
static void failures_stop_all(void **state) {
  (void)state;
  weft_network network = test_network("tiny-gpt2");
  weft_store *store = NULL;
  assert_ok(weft_store_random(&network, 3, &store));
  const weft_op ops[] = {WEFT_OP_LOAD, WEFT_OP_LINEAR};
  for (int op = 0; op < 2; ++op)
    for (int at = 0; at < 20; at += 3) {
      watch_anew();
      uint32_t parameter = 0;
      weft_schedule *s = ring_schedule(&network, 9, 2, 3, &parameter);
      w.fail_op = (int)ops[op];
      w.fail_at = at;
      weft_session *session = NULL;
      weft_outcome outcome = {0};
      assert_failure(run_schedule(s, store, NULL, &outcome, &session), WEFT_FAILED, "broken on purpose");
      w.fail_op = -1;
      atomic_store(&w.count, 0);
      assert_ok(weft_session_run(session, &(weft_feed){.ids = ids}, NULL, &outcome));
      assert_int_equal(w.count, 6 * s->steps[0].chunks);
      weft_session_destroy(session);
      weft_schedule_destroy(s);
    }
  weft_store_destroy(store);
}

// EMBED_BACKWARD and STORE_GRADIENT to the store, CROSS_ENTROPY, SQUARE_SUM, ADAMW, over 4 micro-batches of one
// sequence of 2.
static weft_schedule *training_schedule(const weft_network *network) {
  weft_schedule *s = empty_schedule(network);
  weft_parameter parameter = weft_network_parameter(network, 0);
  s->run.mode = WEFT_TRAIN;
  s->run.batch = s->iterations = 4;
  uint32_t a = add_slot(s, 4096), b = add_slot(s, 1 << 20), c = add_slot(s, 64), d = add_slot(s, 64);
  uint32_t given = add_tensor(s, "ids", WEFT_INPUT, 1, 2, c, WEFT_NONE),
           wanted = add_tensor(s, "targets", WEFT_INPUT, 1, 2, d, WEFT_NONE);
  s->tensors[given].dtype = s->tensors[wanted].dtype = WEFT_I32;
  uint32_t loss = add_tensor(s, "loss", WEFT_OUTPUT, 2, 1, a, WEFT_NONE);
  uint32_t made = add_tensor(s, "dw", WEFT_GRADIENT, parameter.shape[0], parameter.shape[1], b, 0);
  uint32_t gradient =
      add_tensor(s, "gradient", WEFT_STORE_GRADIENT, parameter.shape[0], parameter.shape[1], WEFT_NONE, 0);
  uint32_t sum = add_tensor(s, "sum", WEFT_STORE_SCALAR, 1, 1, WEFT_NONE, 0);
  uint32_t weight = add_tensor(s, "w", WEFT_STORE_PARAMETER, parameter.shape[0], parameter.shape[1], WEFT_NONE, 0);
  add_step(s, WEFT_OP_CROSS_ENTROPY, WEFT_QUEUE_COMPUTE, given, loss)->inputs[1] = wanted;
  depends_on(s, add_step(s, WEFT_OP_ADD, WEFT_QUEUE_COMPUTE, given, made), 0);
  depends_on(s, add_step(s, WEFT_OP_STORE_GRADIENT, WEFT_QUEUE_STREAM_OUT, made, gradient), 1);
  weft_step *again = add_step(s, WEFT_OP_STORE_GRADIENT, WEFT_QUEUE_STREAM_OUT, made, gradient);
  again->attributes.accumulate = true;
  depends_on(s, again, 2);
  uint32_t body = s->step_count;
  // The update may begin at once as far as queues and dependencies go: only the norm holds it back.
  depends_on(s, add_step(s, WEFT_OP_SQUARE_SUM, WEFT_QUEUE_REDUCE, gradient, sum), 3);
  add_step(s, WEFT_OP_ADAMW, WEFT_QUEUE_UPDATE, gradient, weight);
  s->body = body;
  return s;
}

typedef struct events {
  uint32_t count;
  uint64_t last_iteration;
  bool wrong;
} events;

static weft_status take_event(void *context, const weft_trace_event *event) {
  events *e = context;
  e->wrong = e->wrong || event->end_ns < event->start_ns || event->busy_ns > event->end_ns - event->start_ns ||
             event->iteration < e->last_iteration;
  e->last_iteration = event->iteration;
  ++e->count;
  return NULL;
}

static weft_status take_counter(void *context, weft_counter counter, uint64_t time_ns, double value) {
  (void)time_ns;
  ((events *)context)->wrong = ((events *)context)->wrong || counter >= WEFT_COUNTER_COUNT || !(value >= 0);
  return NULL;
}

static void micro_batches_accumulate(void **state) {
  (void)state;
  watch_anew();
  weft_network network = test_network("tiny-gpt2");
  weft_store *store = NULL;
  assert_ok(weft_store_random(&network, 3, &store));
  weft_schedule *s = training_schedule(&network);
  events e = {0};
  weft_trace_sink sink = {.context = &e, .event = take_event, .counter = take_counter};
  weft_outcome outcome;
  w.square_sum = 16;
  w.slow_op = (int)WEFT_OP_ADD;
  assert_ok(run_schedule(s, store, &sink, &outcome, NULL));
  assert_int_equal(e.count, 4 * 4 + 2);
  assert_false(e.wrong);
  assert_true(fabs(outcome.loss - 4 * 2 * 0.5 / 6) < 1e-12);  // six of eight targets count
  assert_true(outcome.gradient_norm == 4);
  assert_int_equal(weft_store_steps(store), 1);
  int stores = 0, adds = 0;
  for (int i = 0; i < w.count; ++i) {
    if (w.calls[i].op == WEFT_OP_STORE_GRADIENT) assert_int_equal(w.calls[i].accumulate, stores++ != 0);
    if (w.calls[i].op == WEFT_OP_ADD && ++adds)
      assert_false(w.calls[i].accumulate);  // on the device every micro-batch begins anew
    if (w.calls[i].op == WEFT_OP_ADAMW) assert_true(fabs((double)w.calls[i].gradient_scale - 1 / (4 + 1e-6)) < 1e-7);
    bool computes = w.calls[i].op == WEFT_OP_ADD || w.calls[i].op == WEFT_OP_CROSS_ENTROPY;
    uint32_t lane = computes ? 0 : w.calls[i].op == WEFT_OP_ADAMW ? 3 : 2;
    assert_int_equal(w.calls[i].lane, lane);
  }
  assert_int_equal(stores, 8);
  assert_int_equal(adds, 4);
  weft_schedule_destroy(s);
  weft_store_destroy(store);
}

static int count_calls(weft_op op) {
  int count = 0;
  for (int i = 0; i < w.count; ++i) count += w.calls[i].op == op;
  return count;
}

static void updates_are_guarded(void **state) {
  (void)state;
  weft_network network = test_network("tiny-gpt2");
  weft_store *store = NULL;
  assert_ok(weft_store_random(&network, 3, &store));
  weft_schedule *s = training_schedule(&network);
  weft_outcome outcome = {0};
  watch_anew();
  w.square_sum = NAN;
  assert_failure(run_schedule(s, store, NULL, &outcome, NULL), WEFT_FAILED, "the gradients are not finite");
  assert_int_equal(count_calls(WEFT_OP_ADAMW), 0);
  assert_int_equal(weft_store_steps(store), 0);
  watch_anew();
  weft_session *session = NULL;
  assert_ok(weft_session_create(s, store, &backend, &(weft_backend_options){0}, NULL, &session));
  weft_feed feed = {.ids = ids, .targets = targets, .update = weft_update_default(), .skip_update = true};
  assert_ok(weft_session_run(session, &feed, NULL, &outcome));
  assert_int_equal(count_calls(WEFT_OP_ADAMW), 0);
  assert_int_equal(count_calls(WEFT_OP_SQUARE_SUM), 1);
  assert_int_equal(weft_store_steps(store), 0);
  weft_session_destroy(session);
  weft_schedule_destroy(s);
  weft_store_destroy(store);
}

static void feeds_are_checked(void **state) {
  (void)state;
  watch_anew();
  weft_network network = test_network("tiny-gpt2"), other = test_network("tiny-llama");
  weft_store *store = NULL, *wrong = NULL;
  assert_ok(weft_store_random(&network, 3, &store));
  assert_ok(weft_store_random(&other, 3, &wrong));
  weft_schedule *s = training_schedule(&network);
  weft_session *session = NULL;
  weft_outcome outcome;
  assert_failure(weft_session_create(s, wrong, &backend, &(weft_backend_options){0}, NULL, &session), WEFT_INVALID,
                 "they differ in family");
  assert_ok(weft_session_create(s, store, &backend, &(weft_backend_options){0}, NULL, &session));
  int32_t bad[8] = {0, 0, 0, 0, 0, (int32_t)network.vocabulary, 0, 0}, low[8] = {0, 0, -2, 0, 0, 0, 0, 0};
  weft_feed feed = {.ids = bad, .targets = targets};
  assert_failure(weft_session_run(session, &feed, NULL, &outcome), WEFT_INVALID,
                 "token id 5 is 269; it must be from 0 to 268");
  feed = (weft_feed){.ids = ids, .targets = low};
  assert_failure(weft_session_run(session, &feed, NULL, &outcome), WEFT_INVALID,
                 "target 2 is -2; it must be from -1 to 268");
  feed = (weft_feed){.ids = ids};
  assert_failure(weft_session_run(session, &feed, NULL, &outcome), WEFT_INVALID, "needs targets");
  assert_int_equal(w.count, 0);
  weft_session_destroy(session);
  s->run.systems = 2;
  assert_failure(weft_session_create(s, store, &backend, &(weft_backend_options){0}, NULL, &session), WEFT_INVALID,
                 "2 systems");
  weft_schedule_destroy(s);
  weft_store_destroy(store);
  weft_store_destroy(wrong);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_holds_back_the_stream), cmocka_unit_test(slots_are_memory),
      cmocka_unit_test(failures_stop_all),          cmocka_unit_test(micro_batches_accumulate),
      cmocka_unit_test(updates_are_guarded),        cmocka_unit_test(feeds_are_checked)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
