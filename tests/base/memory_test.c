#include "base/memory.h"

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/base/test.h"

// The address sanitizer ends the program at a request that no computer can serve; here it is to fail as malloc does.
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

static bool all_zero(const void *memory, size_t bytes) {
  const unsigned char *byte = memory;
  for (size_t i = 0; i < bytes; ++i)
    if (byte[i]) return false;
  return true;
}

static void small_memory_is_zeroed(void **state) {
  (void)state;
  char *memory = weft_allocate(1000);
  assert_true(all_zero(memory, 1000));
  memset(memory, 7, 1000);
  memory = weft_grow(memory, 4000, 2);
  assert_int_equal(memory[999], 7);
  free(memory);
  free(weft_allocate(0));
  uint64_t *array = weft_allocate_array(17, sizeof *array);
  assert_true(all_zero(array, 17 * sizeof *array));
  free(array);
  free(weft_allocate_array(0, 8));
}

// Runs `body` in a process of its own and tells whether it ended the process with an error.
static bool ends_the_program(void (*body)(void)) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(0);
    body();
    _exit(0);
  }
  int outcome = 0;
  assert_int_equal(waitpid(child, &outcome, 0), child);
  return WIFSIGNALED(outcome) || WEXITSTATUS(outcome) != 0;
}

static volatile size_t huge = SIZE_MAX / 2;  // volatile: the compiler would complain of the constant
static void ask_for_too_much(void) { free(weft_allocate(huge)); }
static void overflow_the_product(void) { free(weft_allocate_array(huge, 4)); }
static void grow_too_far(void) { free(weft_grow(NULL, huge, 4)); }
static void succeed(void) { free(weft_allocate(1)); }

static void no_small_memory_ends_the_program(void **state) {
  (void)state;
  assert_false(ends_the_program(succeed));
  assert_true(ends_the_program(ask_for_too_much));
  assert_true(ends_the_program(overflow_the_product));
  assert_true(ends_the_program(grow_too_far));
}

static void large_memory_is_aligned_and_may_fail(void **state) {
  (void)state;
  const size_t sizes[] = {0, 1, 64, 65, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    void *memory = NULL;
    assert_ok(weft_allocate_large(sizes[i], "a test", &memory));
    assert_int_equal((uintptr_t)memory % 64, 0);
    assert_true(all_zero(memory, sizes[i]));
    weft_free_large(memory);
  }
  char mark = 0;
  void *untouched = &mark;
  assert_failure(weft_allocate_large(SIZE_MAX, "the moon", &untouched), WEFT_FAILED,
                 "no memory for the moon: 18446744073709551615 bytes");
  assert_failure(weft_allocate_large(SIZE_MAX / 2, "the moon", &untouched), WEFT_FAILED,
                 "no memory for the moon: 9223372036854775807 bytes");
  assert_ptr_equal(untouched, &mark);
  weft_free_large(NULL);
}

static void texts_are_copied(void **state) {
  (void)state;
  assert_null(weft_copy_text(NULL));
  char *copy = weft_copy_text("weft");
  assert_string_equal(copy, "weft");
  char *text = weft_format("%s %05d", copy, 42);
  assert_string_equal(text, "weft 00042");
  free(text);
  free(copy);
}

static void arena_keeps_everything(void **state) {
  (void)state;
  weft_arena arena;
  weft_arena_init(&arena);
  uint64_t *numbers[500];
  for (uint64_t i = 0; i < 500; ++i) {
    size_t count = 1 + (size_t)i % 97;
    numbers[i] = weft_arena_take(&arena, count * sizeof(uint64_t));
    assert_int_equal((uintptr_t)numbers[i] % 16, 0);
    assert_true(all_zero(numbers[i], count * sizeof(uint64_t)));
    for (size_t j = 0; j < count; ++j) numbers[i][j] = i;
  }
  char *large = weft_arena_take(&arena, 1 << 20);
  memset(large, 1, 1 << 20);
  for (uint64_t i = 0; i < 500; ++i)
    for (size_t j = 0; j < 1 + (size_t)i % 97; ++j) assert_int_equal(numbers[i][j], i);
  assert_string_equal(weft_arena_copy_text(&arena, "kept"), "kept");
  assert_null(weft_arena_copy_text(&arena, NULL));
  assert_string_equal(weft_arena_format(&arena, "%d%%", 25), "25%");
  weft_arena_finish(&arena);
  assert_null(arena.last);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_memory_is_zeroed),
      cmocka_unit_test(no_small_memory_ends_the_program),
      cmocka_unit_test(large_memory_is_aligned_and_may_fail),
      cmocka_unit_test(texts_are_copied),
      cmocka_unit_test(arena_keeps_everything),
  };
  return cmocka_run_group_tests_name("base/memory", tests, NULL, NULL);
}
