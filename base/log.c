#include "base/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static weft_log_level log_level = WEFT_LOG_INFO;

void weft_log_set_level(weft_log_level level) { log_level = level; }

void weft_log(weft_log_level level, const char *format, ...) {
  static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
  if (level > log_level) return;
  va_list arguments;
  va_start(arguments, format);
  char line[2048];
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  fprintf(stderr, "weft: %s%s\n", names[level], line);
}

uint64_t weft_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double weft_clock_s(void) { return (double)weft_clock_ns() * 1e-9; }

void weft_progress_start(weft_progress *progress, const char *what, const char *unit, uint64_t total) {
  double now = weft_clock_s();
  *progress = (weft_progress){.what = what, .unit = unit, .total = total, .start_s = now, .last_s = now};
}

void weft_progress_update(weft_progress *progress, uint64_t done, const char *note) {
  if (log_level < WEFT_LOG_INFO) return;
  bool terminal = isatty(STDERR_FILENO) == 1;
  double now = weft_clock_s(), wait = progress->shown ? (terminal ? 0.2 : 10) : 1;
  if (now - progress->last_s < wait) return;
  progress->last_s = now;
  progress->shown = true;
  char total[32] = "", left[48] = "";
  if (progress->total > 0) {
    snprintf(total, sizeof total, "/%llu", (unsigned long long)progress->total);
    if (done > 0) {
      double rest = (now - progress->start_s) / (double)done * (double)(progress->total - done);
      snprintf(left, sizeof left, ", %.0f s left", rest);
    }
  }
  fprintf(stderr, "%sweft: %s %llu%s %s%s%s%s%s", terminal ? "\r\033[K" : "", progress->what, (unsigned long long)done,
          total, progress->unit, left, note ? ", " : "", note ? note : "", terminal ? "" : "\n");
}

void weft_progress_finish(weft_progress *progress) {
  if (progress->shown && isatty(STDERR_FILENO) == 1) fprintf(stderr, "\r\033[K");
  progress->shown = false;
}
