#include "base/log.h"

#include <unistd.h>

#include "tests/base/test.h"

static int kept_stderr = -1;
static FILE *caught;

static void catch_stderr(void) {
  fflush(stderr);
  caught = tmpfile();
  assert_non_null(caught);
  kept_stderr = dup(STDERR_FILENO);
  assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
}

static char *release_stderr(void) {
  fflush(stderr);
  assert_true(dup2(kept_stderr, STDERR_FILENO) >= 0);
  close(kept_stderr);
  fseek(caught, 0, SEEK_END);
  char *text = read_back(caught);
  fclose(caught);
  return text;
}

static void levels(void **state) {
  (void)state;
  catch_stderr();
  weft_log(WEFT_LOG_INFO, "%d systems", 16);
  weft_log(WEFT_LOG_DEBUG, "not shown");
  weft_log_set_level(WEFT_LOG_DEBUG);
  weft_log(WEFT_LOG_DEBUG, "shown");
  weft_log_set_level(WEFT_LOG_ERROR);
  weft_log(WEFT_LOG_WARNING, "not shown");
  weft_log(WEFT_LOG_ERROR, "shown");
  weft_log_set_level(WEFT_LOG_INFO);
  char *text = release_stderr();
  assert_string_equal(text, "weft: 16 systems\nweft: debug: shown\nweft: error: shown\n");
  free(text);
}

static void progress(void **state) {
  (void)state;
  weft_progress p;
  weft_progress_start(&p, "simulating", "steps", 10);
  catch_stderr();
  weft_progress_update(&p, 1, NULL);  // within the first second
  p.start_s -= 4;
  p.last_s -= 4;
  weft_progress_update(&p, 5, "loss 2.5");
  weft_progress_update(&p, 6, NULL);  // within ten seconds of the line before: this is no terminal
  p.start_s -= 11;
  p.last_s -= 11;
  p.total = 0;
  weft_progress_update(&p, 7, NULL);
  weft_progress_finish(&p);
  char *text = release_stderr();
  assert_string_equal(text, "weft: simulating 5/10 steps, 4 s left, loss 2.5\nweft: simulating 7 steps\n");
  free(text);
}

static void clock_runs_forward(void **state) {
  (void)state;
  uint64_t before = weft_clock_ns();
  usleep(2000);
  uint64_t after = weft_clock_ns();
  assert_true(after - before >= 2000000 && after - before < 60000000000u);
  double seconds = weft_clock_s();
  assert_true(seconds >= (double)after * 1e-9 && seconds < (double)after * 1e-9 + 60);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels),
      cmocka_unit_test(progress),
      cmocka_unit_test(clock_runs_forward),
  };
  return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
