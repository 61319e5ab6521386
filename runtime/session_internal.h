// Inside of a session: what session.c (the door), session_bind.c (memory and views), session_queue.c (threads and
// steps) and session_trace.c (events) share. Nobody else includes this.
#ifndef WEFT_RUNTIME_SESSION_INTERNAL_H
#define WEFT_RUNTIME_SESSION_INTERNAL_H

#include <pthread.h>

#include "runtime/session.h"

enum { WEFT_WORKERS = WEFT_LANES, WEFT_NO_OPERAND = -1 };

// What a worker sleeps for; NOTHING while it works.
typedef enum weft_wait {
  WEFT_WAIT_NOTHING,
  WEFT_WAIT_ITERATION,  // the next one, or the end of the session
  WEFT_WAIT_STEP,       // one of its queues' that may begin
  WEFT_WAIT_CHUNK,      // its partner
  WEFT_WAIT_WORKERS     // the end of the iteration: only the caller's thread
} weft_wait;

// One thread: the compute queue (worker 0, on the caller's thread), stream-in (1), reduce and stream-out (2), or update
// (3). Its index is the backend's lane.
typedef struct weft_worker {
  weft_session *session;
  uint32_t lane;
  pthread_t thread;
  bool started;
  uint32_t *steps[WEFT_QUEUE_COUNT];  // numbers of this worker's steps by queue, rising; NULL for others' queues
  uint32_t counts[WEFT_QUEUE_COUNT];
  uint32_t next[WEFT_QUEUE_COUNT];  // first one not yet begun in this iteration
  weft_scalars scalars;             // own copy: gradient_scale (0: not known yet) is set while others read theirs
  weft_trace_event *events;         // of this iteration, in the order in which they ended
  uint32_t event_count;
  // Guarded by the session's lock; `changed` is signalled when what is waited for has happened.
  pthread_cond_t changed;
  weft_wait wait;
  uint64_t seen;                   // WAIT_ITERATION: the last ticket
  uint32_t wait_step, wait_chunk;  // WAIT_CHUNK
} weft_worker;

struct weft_session {
  const weft_schedule *schedule;
  weft_store *store;
  const weft_backend *backend;
  void *device;
  void **slots;         // memory of every slot
  bool *borrowed;       // the slot belongs to the session that shares its caches
  weft_view *views;     // of every tensor; of a ring: of its first chunk
  uint32_t *owners;     // per slot: root of the tensor that the slot holds when an iteration has ended
  uint32_t *lanes;      // per step: 0 or 1, which half of a double-buffered stream
  double *square_sums;  // per step: what a SQUARE_SUM step found
  uint32_t ids, positions, targets, types, loss;  // tensors, WEFT_NONE where the schedule has none
  uint64_t tokens;                                // ids of one iteration
  uint64_t cache_rows;                            // room per sequence in the KV cache; 0: no cache

  weft_worker workers[WEFT_WORKERS];

  // Guarded by `lock`.
  pthread_mutex_t lock;
  uint32_t *done;    // per step: chunks ended in this iteration
  uint64_t ticket;   // rises when an iteration may begin
  uint32_t working;  // started workers that have not ended it yet
  uint32_t square_sums_left;
  bool quit;
  weft_status failure;  // the first one; everybody stops

  // Of the run; written by the caller's thread between iterations.
  const weft_feed *feed;
  uint32_t iteration, end;  // steps [0, end) run in this iteration
  uint64_t origin_ns;       // the clock's zero: start of the run, later by what the sink took
};

// session_bind.c
weft_status weft_session_bind(weft_session *session, weft_session *caches) WEFT_CHECKED;
// Fills in all but the scalars of the call that runs chunk `chunk` of `step`; returns the bytes that it moves or
// touches.
uint64_t weft_session_call(weft_session *session, uint32_t step, uint32_t chunk, weft_call *out_call);
uint32_t weft_session_root(const weft_schedule *schedule, uint32_t tensor);  // the tensor that is no view

// session_queue.c
weft_status weft_session_start(weft_session *session) WEFT_CHECKED;  // starts the threads
void weft_session_stop(weft_session *session);
// Runs steps [0, session->end) once, on all queues; returns when all have ended.
weft_status weft_session_iterate(weft_session *session) WEFT_CHECKED;
double weft_session_norm(const weft_session *session);  // of the gradients of the last iteration that had all of them

// session_trace.c
weft_status weft_session_report(weft_session *session, const weft_trace_sink *sink) WEFT_CHECKED;

#endif
