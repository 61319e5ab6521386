#include "traces/takes.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct sample {
  weft_counter counter;
  uint64_t time_ns;
  double value;
} sample;

typedef struct take {
  weft_trace_event *events;
  sample *samples;
  size_t event_count, event_room, sample_count, sample_room;
  double seconds;
} take;

struct weft_trace_takes {
  take *ring;  // take number t is ring[t % most]
  uint32_t most;
  uint64_t ended;  // the take being recorded has this number
};

weft_trace_takes *weft_trace_takes_create(uint32_t most) {
  weft_trace_takes *takes = weft_allocate(sizeof *takes);
  takes->most = most > 0 ? most : 1;
  takes->ring = weft_allocate_array((size_t)takes->most + 1, sizeof *takes->ring);
  return takes;
}

void weft_trace_takes_destroy(weft_trace_takes *takes) {
  if (!takes) return;
  for (uint32_t i = 0; i <= takes->most; ++i) {
    free(takes->ring[i].events);
    free(takes->ring[i].samples);
  }
  free(takes->ring);
  free(takes);
}

// One place more than takes are kept, so that the one being recorded does not overwrite any of them.
static take *at(const weft_trace_takes *takes, uint64_t number) { return &takes->ring[number % (takes->most + 1)]; }

static weft_status keep_event(void *context, const weft_trace_event *event) {
  weft_trace_takes *takes = context;
  take *now = at(takes, takes->ended);
  if (now->event_count == now->event_room) {
    now->event_room = now->event_room ? 2 * now->event_room : 256;
    now->events = weft_grow(now->events, now->event_room, sizeof *now->events);
  }
  now->events[now->event_count++] = *event;
  return NULL;
}

static weft_status keep_sample(void *context, weft_counter counter, uint64_t time_ns, double value) {
  weft_trace_takes *takes = context;
  take *now = at(takes, takes->ended);
  if (now->sample_count == now->sample_room) {
    now->sample_room = now->sample_room ? 2 * now->sample_room : 256;
    now->samples = weft_grow(now->samples, now->sample_room, sizeof *now->samples);
  }
  now->samples[now->sample_count++] = (sample){counter, time_ns, value};
  return NULL;
}

weft_trace_sink weft_trace_takes_sink(weft_trace_takes *takes) {
  return (weft_trace_sink){.context = takes, .event = keep_event, .counter = keep_sample};
}

void weft_trace_takes_end(weft_trace_takes *takes, double seconds) {
  at(takes, takes->ended++)->seconds = seconds;
  take *next = at(takes, takes->ended);
  next->event_count = next->sample_count = 0;
}

static uint64_t median_of(const weft_trace_takes *takes) {
  uint64_t first = takes->ended > takes->most ? takes->ended - takes->most : 0, count = takes->ended - first;
  for (uint64_t t = first; t < takes->ended; ++t) {
    uint64_t before = 0;  // takes that were quicker; equal ones in order of number
    for (uint64_t u = first; u < takes->ended; ++u) {
      double a = at(takes, u)->seconds, b = at(takes, t)->seconds;
      before += a < b || (!(b < a) && u < t);
    }
    if (before == (count - 1) / 2) return t;
  }
  return first;
}

weft_status weft_trace_takes_replay(const weft_trace_takes *takes, const weft_trace_sink *into, uint64_t *out_take,
                                    double *out_seconds) {
  if (takes->ended == 0) return weft_error(WEFT_FAILED, "no run has ended, so there is nothing to trace");
  uint64_t number = median_of(takes);
  const take *chosen = at(takes, number);
  for (size_t i = 0; i < chosen->event_count; ++i) WEFT_TRY(into->event(into->context, &chosen->events[i]));
  for (size_t i = 0; i < chosen->sample_count; ++i) {
    const sample *s = &chosen->samples[i];
    WEFT_TRY(into->counter(into->context, s->counter, s->time_ns, s->value));
  }
  if (out_take) *out_take = number;
  if (out_seconds) *out_seconds = chosen->seconds;
  return NULL;
}
