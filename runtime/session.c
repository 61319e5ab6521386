#include "runtime/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "runtime/session_internal.h"

weft_update weft_update_default(void) {
  return (weft_update){
      .learning_rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .decay = 0.1f, .clip_norm = 1};
}

// ---- create and destroy ----

// The first fact in which two networks compute differently, or NULL.
static const char *difference(const weft_network *a, const weft_network *b) {
  if (a->family != b->family) return "family";
  if (a->layers != b->layers) return "layers";
  if (a->hidden != b->hidden) return "hidden size";
  if (a->heads != b->heads || a->kv_heads != b->kv_heads || a->head_dim != b->head_dim) return "attention heads";
  if (a->vocabulary != b->vocabulary) return "vocabulary";
  if (a->activation != b->activation) return "activation";
  if (a->norm_epsilon != b->norm_epsilon) return "epsilon of the norms";
  if (a->rope_kind != b->rope_kind || a->rotary_dim != b->rotary_dim || a->rope_theta != b->rope_theta ||
      a->rope_scaling != b->rope_scaling || a->rope_factor != b->rope_factor ||
      a->rope_original_positions != b->rope_original_positions) {
    return "rotary embedding";
  }
  if (a->embedding_scale != b->embedding_scale || a->logit_scale != b->logit_scale ||
      a->attention_scale != b->attention_scale)
    return "scales";
  uint32_t count = weft_network_parameter_tensors(a);
  if (count != weft_network_parameter_tensors(b)) return "parameters";
  for (uint32_t i = 0; i < count; ++i) {
    weft_parameter p = weft_network_parameter(a, i), q = weft_network_parameter(b, i);
    if (p.role != q.role || p.layer != q.layer || p.shape[0] != q.shape[0] || p.shape[1] != q.shape[1])
      return "shapes of parameters";
  }
  return NULL;
}

static weft_status check_match(const weft_schedule *schedule, const weft_store *store) {
  const weft_network *network = weft_store_network(store);
  const char *what = difference(&schedule->network, network);
  if (what) {
    return weft_error(WEFT_INVALID, "the schedule is for %s and the weights are of %s: they differ in %s",
                      schedule->network.name, network->name, what);
  }
  if (schedule->run.systems > 1) {
    return weft_error(WEFT_INVALID,
                      "the schedule is for %u systems; this computer executes one (more can only be simulated)",
                      schedule->run.systems);
  }
  return NULL;
}

static weft_status open_session(weft_session *session, const weft_backend_options *options, weft_session *caches) {
  WEFT_TRY(check_match(session->schedule, session->store));
  WEFT_TRY(session->backend->open(options, &session->device));
  WEFT_TRY(weft_session_bind(session, caches));
  session->tokens = session->schedule->run.mode == WEFT_DECODE ? 1 : session->schedule->run.sequence;
  session->tokens *= session->schedule->micro_batch;
  return weft_session_start(session);
}

weft_status weft_session_create(const weft_schedule *schedule, weft_store *store, const weft_backend *backend,
                                const weft_backend_options *options, weft_session *caches, weft_session **out_session) {
  weft_session *session = weft_allocate(sizeof *session);
  session->schedule = schedule;
  session->store = store;
  session->backend = backend;
  pthread_mutex_init(&session->lock, NULL);
  for (int w = 0; w < WEFT_WORKERS; ++w) pthread_cond_init(&session->workers[w].changed, NULL);
  weft_status status = open_session(session, options, caches);
  if (status) {
    weft_session_destroy(session);
    return status;
  }
  *out_session = session;
  return NULL;
}

void weft_session_destroy(weft_session *session) {
  if (!session) return;
  weft_session_stop(session);
  if (session->device) session->backend->close(session->device);
  for (uint32_t s = 0; session->slots && s < session->schedule->slot_count; ++s)
    if (!session->borrowed[s]) weft_free_large(session->slots[s]);
  free(session->slots);
  free(session->borrowed);
  free(session->views);
  free(session->owners);
  free(session->lanes);
  free(session->square_sums);
  free(session->done);
  for (int w = 0; w < WEFT_WORKERS; ++w) pthread_cond_destroy(&session->workers[w].changed);
  pthread_mutex_destroy(&session->lock);
  free(session);
}

char *weft_session_describe(const weft_session *session) { return session->backend->describe(session->device); }

// ---- what a run reads ----

static weft_status check_range(const char *what, const int32_t *values, uint64_t count, int64_t low, int64_t high) {
  for (uint64_t i = 0; i < count; ++i) {
    if (values[i] >= low && values[i] < high) continue;
    return weft_error(WEFT_INVALID, "%s %llu is %d; it must be from %lld to %lld", what, (unsigned long long)i,
                      values[i], (long long)low, (long long)high - 1);
  }
  return NULL;
}

static weft_status check_feed(const weft_session *session, const weft_feed *feed) {
  const weft_schedule *schedule = session->schedule;
  const weft_network *network = &schedule->network;
  uint64_t count = session->tokens * schedule->iterations, per_sequence = session->tokens / schedule->micro_batch;
  if (!feed->ids) return weft_error(WEFT_INVALID, "a run needs token ids");
  WEFT_TRY(check_range("token id", feed->ids, count, 0, network->vocabulary));
  if (session->targets != WEFT_NONE) {
    if (!feed->targets) return weft_error(WEFT_INVALID, "a training run needs targets");
    WEFT_TRY(check_range("target", feed->targets, count, -1, network->vocabulary));
  }
  if (session->types != WEFT_NONE && feed->types)
    WEFT_TRY(check_range("token type", feed->types, count, 0, network->type_vocabulary));
  uint64_t room = session->cache_rows ? session->cache_rows : per_sequence;
  if (feed->position > room || per_sequence > room - feed->position) {
    return weft_error(WEFT_INVALID, "position %llu and %llu more tokens do not fit the schedule's room for %llu",
                      (unsigned long long)feed->position, (unsigned long long)per_sequence, (unsigned long long)room);
  }
  if (schedule->run.mode == WEFT_TRAIN && !schedule->run.clip && feed->update.clip_norm > 0 && !feed->skip_update) {
    return weft_error(WEFT_INVALID,
                      "the schedule was compiled without clipping; a greatest gradient norm of %g needs one with",
                      (double)feed->update.clip_norm);
  }
  return NULL;
}

static void write_inputs(weft_session *session) {
  const weft_feed *feed = session->feed;
  uint64_t first = session->iteration * session->tokens,
           per_sequence = session->tokens / session->schedule->micro_batch;
  size_t bytes = (size_t)session->tokens * sizeof(int32_t);
  if (session->ids != WEFT_NONE) memcpy(session->views[session->ids].data, feed->ids + first, bytes);
  if (session->targets != WEFT_NONE) memcpy(session->views[session->targets].data, feed->targets + first, bytes);
  if (session->types != WEFT_NONE) {
    int32_t *types = session->views[session->types].data;
    if (feed->types)
      memcpy(types, feed->types + first, bytes);
    else
      memset(types, 0, bytes);
  }
  if (session->positions == WEFT_NONE) return;
  int32_t *positions = session->views[session->positions].data;
  for (uint64_t i = 0; i < session->tokens; ++i) positions[i] = (int32_t)(feed->position + i % per_sequence);
}

static void set_scalars(weft_session *session, uint64_t targets) {
  const weft_update *update = &session->feed->update;
  for (uint32_t w = 0; w < WEFT_WORKERS; ++w) {
    session->workers[w].scalars = (weft_scalars){.position = session->feed->position,
                                                 .loss_scale = targets ? (float)(1.0 / (double)targets) : 0,
                                                 .learning_rate = update->learning_rate,
                                                 .beta1 = update->beta1,
                                                 .beta2 = update->beta2,
                                                 .epsilon = update->epsilon,
                                                 .decay = update->decay,
                                                 .step = weft_store_steps(session->store) + 1,
                                                 .gradient_scale = 0};
  }
}

static uint64_t count_targets(const weft_session *session, const weft_feed *feed) {
  uint64_t count = 0, all = session->targets == WEFT_NONE ? 0 : session->tokens * session->schedule->iterations;
  for (uint64_t i = 0; i < all; ++i) count += feed->targets[i] >= 0;
  return count;
}

static double sum_of_losses(const weft_session *session) {
  if (session->loss == WEFT_NONE) return 0;
  const weft_view *view = &session->views[session->loss];
  const float *losses = view->data;
  double sum = 0;
  for (uint64_t i = 0; i < view->rows * view->columns; ++i) sum += (double)losses[i];
  return sum;
}

// ---- run ----

static weft_status run_iterations(weft_session *session, const weft_trace_sink *sink, double *out_loss,
                                  uint64_t *out_ns) {
  const weft_schedule *schedule = session->schedule;
  session->origin_ns = weft_clock_ns();
  for (session->iteration = 0; session->iteration < schedule->iterations; ++session->iteration) {
    // The steps after the body belong to the last micro-batch's iteration: they wait for its steps, not for all of it.
    session->end = session->iteration + 1 == schedule->iterations ? schedule->step_count : schedule->body;
    write_inputs(session);
    WEFT_TRY(weft_session_iterate(session));
    uint64_t end = weft_clock_ns();
    *out_loss += sum_of_losses(session);
    *out_ns = end - session->origin_ns;
    if (!sink) continue;
    WEFT_TRY(weft_session_report(session, sink));
    session->origin_ns += weft_clock_ns() - end;  // the sink's time is nobody's
  }
  return NULL;
}

weft_status weft_session_run(weft_session *session, const weft_feed *feed, const weft_trace_sink *sink,
                             weft_outcome *out_outcome) {
  WEFT_TRY(check_feed(session, feed));
  uint64_t targets = count_targets(session, feed), ns = 0;
  double loss = 0;
  session->feed = feed;
  set_scalars(session, targets);
  weft_status status = run_iterations(session, sink, &loss, &ns);
  session->feed = NULL;
  if (status) return status;
  bool training = session->schedule->run.mode == WEFT_TRAIN;
  if (training && !feed->skip_update) weft_store_set_steps(session->store, weft_store_steps(session->store) + 1);
  *out_outcome = (weft_outcome){.loss = targets ? loss / (double)targets : 0,
                                .seconds = (double)ns * 1e-9,
                                .gradient_norm = training ? weft_session_norm(session) : 0};
  return NULL;
}

// ---- read ----

static weft_status unknown_tensor(const weft_schedule *schedule, const char *name) {
  const char **names = weft_allocate_array(schedule->tensor_count, sizeof *names);
  size_t count = 0;
  for (uint32_t t = 0; t < schedule->tensor_count; ++t)
    if (schedule->tensors[t].slot != WEFT_NONE) names[count++] = schedule->tensors[t].name;
  const char *nearest = weft_nearest(name, names, count);
  weft_status status =
      weft_error(WEFT_INVALID, "the schedule has no tensor \"%s\" on the device; the nearest name is \"%s\"", name,
                 nearest ? nearest : "(none)");
  free(names);
  return status;
}

weft_status weft_session_read(const weft_session *session, const char *name, float *out, uint64_t count) {
  const weft_schedule *schedule = session->schedule;
  uint32_t found = WEFT_NONE;
  for (uint32_t t = 0; t < schedule->tensor_count && found == WEFT_NONE; ++t)
    if (schedule->tensors[t].slot != WEFT_NONE && strcmp(schedule->tensors[t].name, name) == 0) found = t;
  if (found == WEFT_NONE) return unknown_tensor(schedule, name);
  const weft_tensor *tensor = &schedule->tensors[found];
  uint32_t owner = session->owners[tensor->slot];
  if (owner != weft_session_root(schedule, found) || tensor->chunk_rows != 0) {
    return weft_error(WEFT_INVALID, "tensor \"%s\" cannot be read: its memory now holds %s", name,
                      owner == WEFT_NONE || owner == found ? "a part of it" : schedule->tensors[owner].name);
  }
  const weft_view *view = &session->views[found];
  if (view->dtype == WEFT_I32) return weft_error(WEFT_INVALID, "tensor \"%s\" holds token numbers, not values", name);
  if (count != view->rows * view->columns) {
    return weft_error(WEFT_INVALID, "tensor \"%s\" has %llu values, not %llu", name,
                      (unsigned long long)(view->rows * view->columns), (unsigned long long)count);
  }
  size_t row_bytes = (size_t)view->stride * weft_dtype_block_bytes(view->dtype);
  for (uint64_t r = 0; r < view->rows; ++r) {
    weft_dtype_to_f32(view->dtype, (const uint8_t *)view->data + r * row_bytes, out + r * view->columns,
                      (size_t)view->columns);
  }
  return NULL;
}
