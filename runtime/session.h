// A session executes a schedule on a backend: queues as four threads (stream-in; compute; stream-out with
// reduce; update), slots as planned, weights streamed chunk by chunk from the store, every step timed.
//
// Threads: a session belongs to one thread at a time; it starts its own.
#ifndef WEFT_RUNTIME_SESSION_H
#define WEFT_RUNTIME_SESSION_H

#include "base/status.h"
#include "compiler/schedule.h"
#include "runtime/backend.h"
#include "runtime/store.h"
#include "traces/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_session weft_session;

// The schedule and store must outlive the session. `caches` (may be NULL) is a session of another schedule of the
// same network whose KV caches are used (prefill, then decode). WEFT_INVALID: schedule and store differ in network;
// more than one system (only simulated). WEFT_UNAVAILABLE: the backend is not on this computer.
weft_status weft_session_create(const weft_schedule *schedule, weft_store *store, const weft_backend *backend,
                                const weft_backend_options *options, weft_session *caches,
                                weft_session **out_session) WEFT_CHECKED;
void weft_session_destroy(weft_session *session);  // takes NULL
// The backend's own line about its device: "2 threads, avx512_core, ...". Caller frees.
char *weft_session_describe(const weft_session *session);

typedef struct weft_update {
  float learning_rate, beta1, beta2, epsilon, decay;
  float clip_norm;  // 0: no clipping
} weft_update;
weft_update weft_update_default(void);  // 1e-3, 0.9, 0.95, 1e-8, 0.1, clip 1

// What one run of the schedule reads. ids: iterations * micro_batch * tokens, where tokens = sequence (train,
// prefill) or 1 (decode); targets likewise (train), -1 where there is none. Ids outside the vocabulary: WEFT_INVALID.
typedef struct weft_feed {
  const int32_t *ids, *targets;
  const int32_t *types;  // bert; NULL: 0
  uint64_t position;     // prefill, decode: rows already in the cache
  weft_update update;    // train
  bool skip_update;      // train: gradients only (adamw and sgd steps end without touching anything)
} weft_feed;

typedef struct weft_outcome {
  double loss;           // train: mean over targets that count, nats
  double gradient_norm;  // before clipping; an infinite or undefined one fails the run before any update. NaN if the
                         // schedule was compiled without clipping: nobody made it then
  double seconds;
} weft_outcome;

// Runs the whole schedule once. `sink` may be NULL; its calls come from the caller's thread at the end of each
// iteration, times from the start of this run. The clock covers everything that the schedule names and nothing else.
weft_status weft_session_run(weft_session *session, const weft_feed *feed, const weft_trace_sink *sink,
                             weft_outcome *out_outcome) WEFT_CHECKED;

// Output of the last iteration: f32 copy of a tensor with residency WEFT_OUTPUT ("logits") or, for tests, of any
// activation whose slot nobody has reused since ("hidden.0" .. "hidden.L" with run.keep_hidden).
// `out` has room for `count` values. WEFT_INVALID: no such tensor, with the nearest name.
weft_status weft_session_read(const weft_session *session, const char *tensor, float *out, uint64_t count) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
