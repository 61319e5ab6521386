// The queues of a session: four threads that run their steps in order and meet through counters of ended chunks.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/session_internal.h"

// Which worker runs a queue.
static uint32_t worker_of(weft_queue queue) {
  switch (queue) {
    case WEFT_QUEUE_COMPUTE: return 0;
    case WEFT_QUEUE_STREAM_IN: return 1;
    case WEFT_QUEUE_UPDATE: return 3;
    default: return 2;
  }
}

// ---- what may go on; all with the lock held ----

static bool ended(const weft_session *session, uint32_t step) {
  return session->done[step] == session->schedule->steps[step].chunks;
}

// A chunk waits for its partner: the consumer for the same chunk, the producer for room in the ring.
static bool partner_allows(const weft_session *session, uint32_t number, uint32_t chunk) {
  const weft_step *step = &session->schedule->steps[number];
  if (step->partner == WEFT_NONE) return true;
  uint32_t partner = session->done[step->partner];
  return step->partner < number ? partner > chunk : chunk < partner + step->ring;
}

static bool is_update(const weft_step *step) { return step->op == WEFT_OP_ADAMW || step->op == WEFT_OP_SGD; }

static bool may_begin(const weft_session *session, uint32_t number) {
  const weft_step *step = &session->schedule->steps[number];
  const uint32_t *dependencies = session->schedule->dependencies + step->first_dependency;
  for (uint32_t d = 0; d < step->dependency_count; ++d)
    if (dependencies[d] != step->partner && !ended(session, dependencies[d])) return false;
  // The clipping factor needs the norm of all gradients.
  if (is_update(step) && session->square_sums_left > 0) return false;
  return partner_allows(session, number, 0);
}

// The lowest-numbered step of the worker's queues that may begin, WEFT_NONE when there is none yet; `*out_left` says
// whether any is left.
static uint32_t find_step(const weft_worker *worker, bool *out_left, int *out_queue) {
  const weft_session *session = worker->session;
  uint32_t found = WEFT_NONE;
  *out_left = false;
  for (int q = 0; q < WEFT_QUEUE_COUNT; ++q) {
    if (worker->next[q] == worker->counts[q] || worker->steps[q][worker->next[q]] >= session->end) continue;
    *out_left = true;
    uint32_t number = worker->steps[q][worker->next[q]];
    if (number > found || !may_begin(session, number)) continue;
    found = number;
    *out_queue = q;
  }
  return found;
}

static bool may_go_on(const weft_worker *worker) {
  const weft_session *session = worker->session;
  bool left;
  int queue;
  switch (worker->wait) {
    case WEFT_WAIT_NOTHING: return false;
    case WEFT_WAIT_ITERATION: return session->quit || session->ticket != worker->seen;
    case WEFT_WAIT_STEP: return session->failure || find_step(worker, &left, &queue) != WEFT_NONE || !left;
    case WEFT_WAIT_CHUNK: return session->failure || partner_allows(session, worker->wait_step, worker->wait_chunk);
    case WEFT_WAIT_WORKERS: return session->working == 0;
  }
  return true;
}

// ---- waiting; all with the lock held ----

static void wait_for(weft_worker *worker, weft_wait what) {
  worker->wait = what;
  if (may_go_on(worker)) worker->wait = WEFT_WAIT_NOTHING;
  while (worker->wait != WEFT_WAIT_NOTHING) pthread_cond_wait(&worker->changed, &worker->session->lock);
}

// Wakes those who may go on, and nobody else: waking a thread that goes back to sleep costs whoever wakes it some
// microseconds, and with small steps that is a good part of the time.
static void tell(weft_session *session) {
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    weft_worker *worker = &session->workers[w];
    if (!may_go_on(worker)) continue;
    worker->wait = WEFT_WAIT_NOTHING;
    pthread_cond_signal(&worker->changed);
  }
}

// WEFT_NONE after the last step or when all must stop.
static uint32_t next_step(weft_worker *worker) {
  weft_session *session = worker->session;
  uint32_t found = WEFT_NONE;
  bool left = true;
  int queue = 0;
  pthread_mutex_lock(&session->lock);
  while (!session->failure && (found = find_step(worker, &left, &queue)) == WEFT_NONE && left)
    wait_for(worker, WEFT_WAIT_STEP);
  if (found != WEFT_NONE) ++worker->next[queue];
  pthread_mutex_unlock(&session->lock);
  return found;
}

// False: somebody failed.
static bool wait_for_chunk(weft_worker *worker, uint32_t number, uint32_t chunk) {
  weft_session *session = worker->session;
  pthread_mutex_lock(&session->lock);
  worker->wait_step = number;
  worker->wait_chunk = chunk;
  wait_for(worker, WEFT_WAIT_CHUNK);
  bool go_on = !session->failure;
  pthread_mutex_unlock(&session->lock);
  return go_on;
}

// ---- steps ----

// Sums in the order of steps, so that the norm does not depend on who was faster.
double weft_session_norm(const weft_session *session) {
  const weft_schedule *schedule = session->schedule;
  if (!schedule->run.clip) return NAN;
  double sum = 0;
  for (uint32_t s = 0; s < session->end; ++s)
    if (schedule->steps[s].op == WEFT_OP_SQUARE_SUM) sum += session->square_sums[s];
  return sqrt(sum);
}

// Of PyTorch's clip_grad_norm_: the small number keeps a norm of zero from dividing.
static float clipping_factor(double norm, float clip_norm) {
  double scale = clip_norm > 0 ? (double)clip_norm / (norm + 1e-6) : 1;
  return scale < 1 ? (float)scale : 1.0f;
}

// Before the first update of a run; the norm is complete by then.
static weft_status prepare_update(weft_session *session, weft_worker *worker) {
  if (worker->scalars.gradient_scale > 0) return NULL;
  double norm = session->schedule->run.clip ? weft_session_norm(session) : 0;
  if (!isfinite(norm)) {
    return weft_error(WEFT_FAILED, "the gradients are not finite (their norm is %g); no parameter was changed", norm);
  }
  worker->scalars.gradient_scale = clipping_factor(norm, session->feed->update.clip_norm);
  return NULL;
}

static void finish_chunk(weft_session *session, uint32_t number, uint32_t chunk, weft_status status) {
  pthread_mutex_lock(&session->lock);
  if (status && !session->failure) {
    char *step = weft_step_describe(session->schedule, number);
    session->failure = weft_status_prefix(status, "step %u (%s): ", number, step);
    free(step);
  } else {
    weft_status_free(status);
  }
  session->done[number] = chunk + 1;
  if (session->schedule->steps[number].op == WEFT_OP_SQUARE_SUM && session->square_sums_left > 0)
    --session->square_sums_left;
  tell(session);
  pthread_mutex_unlock(&session->lock);
}

static double done_flops(const weft_session *session, const weft_step *step) {
  if (step->op != WEFT_OP_ATTENTION_CACHED || step->attributes.batch == 0) return step->flops;
  weft_attributes attributes = step->attributes;
  attributes.context = (uint32_t)(session->feed->position + step->rows / attributes.batch);
  return weft_op_flops(step->op, &attributes, (weft_op_size){.rows = step->rows, .in = step->in, .out = step->out});
}

static weft_status compute(weft_session *session, weft_worker *worker, const weft_step *step, const weft_call *call) {
  if (step->op == WEFT_OP_ALL_REDUCE) return NULL;  // one system: its sum is its own gradient
  if (is_update(step)) {
    if (session->feed->skip_update) return NULL;
    WEFT_TRY(prepare_update(session, worker));
  }
  return session->backend->compute(session->device, worker->lane, call);
}

// A stream steps aside for products after every piece that it copies (runtime/cpu/store.c), so that the time that
// passes says little of its work; its thread's own time does.
static uint64_t busy_clock_ns(const weft_step *step) {
  struct timespec now;
  bool stream = step->queue == WEFT_QUEUE_STREAM_IN || step->queue == WEFT_QUEUE_STREAM_OUT;
  if (!stream || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return weft_clock_ns();
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_step(weft_worker *worker, uint32_t number) {
  weft_session *session = worker->session;
  const weft_step *step = &session->schedule->steps[number];
  weft_trace_event event = {.step = number,
                            .iteration = session->iteration,
                            .queue = step->queue,
                            .lane = (uint8_t)session->lanes[number],
                            .flops = done_flops(session, step)};
  for (uint32_t chunk = 0; chunk < step->chunks; ++chunk) {
    if (chunk > 0 && !wait_for_chunk(worker, number, chunk)) return;
    weft_call call;
    event.bytes += weft_session_call(session, number, chunk, &call);
    call.scalars = &worker->scalars;
    uint64_t start = weft_clock_ns(), busy = busy_clock_ns(step);
    weft_status status = compute(session, worker, step, &call);
    busy = busy_clock_ns(step) - busy;
    uint64_t end = weft_clock_ns();
    if (chunk == 0) event.start_ns = start - session->origin_ns;
    event.end_ns = end - session->origin_ns;
    event.busy_ns += busy < end - start ? busy : end - start;  // two clocks
    bool failed = status != NULL;
    finish_chunk(session, number, chunk, status);
    if (failed) return;
  }
  worker->events[worker->event_count++] = event;
}

static void run_queues(weft_worker *worker) {
  for (uint32_t number = next_step(worker); number != WEFT_NONE; number = next_step(worker)) run_step(worker, number);
}

// ---- threads ----

static void *worker_main(void *argument) {
  weft_worker *worker = argument;
  weft_session *session = worker->session;
  pthread_mutex_lock(&session->lock);
  for (;; worker->seen = session->ticket) {
    wait_for(worker, WEFT_WAIT_ITERATION);
    if (session->quit) break;
    pthread_mutex_unlock(&session->lock);
    run_queues(worker);
    pthread_mutex_lock(&session->lock);
    --session->working;
    tell(session);
  }
  pthread_mutex_unlock(&session->lock);
  return NULL;
}

weft_status weft_session_start(weft_session *session) {
  const weft_schedule *schedule = session->schedule;
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    session->workers[w].session = session;
    session->workers[w].lane = w;
    session->workers[w].events = weft_allocate_array(schedule->step_count, sizeof(weft_trace_event));
    for (int q = 0; q < WEFT_QUEUE_COUNT; ++q) {
      if (worker_of((weft_queue)q) == w)
        session->workers[w].steps[q] = weft_allocate_array(schedule->step_count, sizeof(uint32_t));
    }
  }
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    weft_queue queue = schedule->steps[s].queue;
    weft_worker *worker = &session->workers[worker_of(queue)];
    worker->steps[queue][worker->counts[queue]++] = s;
  }
  for (uint32_t w = 1; w < WEFT_WORKERS; ++w) {
    weft_worker *worker = &session->workers[w];
    int reason = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (reason != 0) return weft_error(WEFT_FAILED, "cannot start a thread: %s", strerror(reason));
    worker->started = true;
  }
  return NULL;
}

void weft_session_stop(weft_session *session) {
  pthread_mutex_lock(&session->lock);
  session->quit = true;
  tell(session);
  pthread_mutex_unlock(&session->lock);
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    weft_worker *worker = &session->workers[w];
    if (worker->started) pthread_join(worker->thread, NULL);
    free(worker->events);
    for (int q = 0; q < WEFT_QUEUE_COUNT; ++q) free(worker->steps[q]);
  }
}

static void prepare(weft_session *session) {
  const weft_schedule *schedule = session->schedule;
  memset(session->done, 0, schedule->step_count * sizeof *session->done);
  session->square_sums_left = 0;
  for (uint32_t s = 0; s < session->end; ++s) session->square_sums_left += schedule->steps[s].op == WEFT_OP_SQUARE_SUM;
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    session->workers[w].event_count = 0;
    memset(session->workers[w].next, 0, sizeof session->workers[w].next);
  }
}

weft_status weft_session_iterate(weft_session *session) {
  pthread_mutex_lock(&session->lock);
  prepare(session);
  ++session->ticket;
  session->working = WEFT_WORKERS - 1;
  tell(session);
  pthread_mutex_unlock(&session->lock);

  run_queues(&session->workers[0]);

  pthread_mutex_lock(&session->lock);
  wait_for(&session->workers[0], WEFT_WAIT_WORKERS);
  weft_status failure = session->failure;
  session->failure = NULL;
  pthread_mutex_unlock(&session->lock);
  return failure;
}
