// Log and progress, on stderr only; results go to stdout and only from cli/.
#ifndef WEFT_BASE_LOG_H
#define WEFT_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weft_log_level { WEFT_LOG_ERROR, WEFT_LOG_WARNING, WEFT_LOG_INFO, WEFT_LOG_DEBUG } weft_log_level;

void weft_log_set_level(weft_log_level level);  // default WEFT_LOG_INFO; set once, before threads start
void weft_log(weft_log_level level, const char *format, ...) WEFT_PRINTF(2, 3);

// A progress line for work of more than a second: nothing is printed before one second has gone, then at most
// five times a second on a terminal (one line, rewritten) or every ten seconds elsewhere.
// One thread at a time.
typedef struct weft_progress {
  const char *what;  // "simulating", "training"
  const char *unit;  // "steps", "tokens"
  uint64_t total;    // 0: unknown
  double start_s, last_s;
  bool shown;
} weft_progress;

void weft_progress_start(weft_progress *progress, const char *what, const char *unit, uint64_t total);
void weft_progress_update(weft_progress *progress, uint64_t done, const char *note);  // note may be NULL
void weft_progress_finish(weft_progress *progress);

double weft_clock_s(void);  // monotonic seconds
uint64_t weft_clock_ns(void);

#ifdef __cplusplus
}
#endif
#endif
