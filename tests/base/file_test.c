#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/base/test.h"

static char folder[] = "weft-file-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder);
}

static char *at(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void written_files_are_whole(void **state) {
  (void)state;
  char *path = at("a");
  assert_ok(weft_file_write(path, "12345", 5));
  assert_ok(weft_file_write(path, "abc", 3));  // replaces, not appends
  assert_true(weft_file_exists(path));
  assert_false(weft_directory_exists(path));
  weft_mapping mapping;
  assert_ok(weft_mapping_open(path, &mapping));
  assert_int_equal(mapping.size, 3);
  assert_memory_equal(mapping.bytes, "abc", 3);
  assert_string_equal(mapping.path, path);
  weft_mapping_close(&mapping);
  weft_mapping_close(&mapping);
  unlink(path);
  assert_false(weft_file_exists(at("a.part")));
}

static void empty_file(void **state) {
  (void)state;
  char *path = at("empty");
  assert_ok(weft_file_write(path, "", 0));
  weft_mapping mapping;
  assert_ok(weft_mapping_open(path, &mapping));
  assert_int_equal(mapping.size, 0);
  assert_non_null(mapping.bytes);
  weft_mapping_close(&mapping);
  unlink(path);
}

static void what_cannot_be_opened(void **state) {
  (void)state;
  char expected[400];
  weft_mapping mapping = {.size = 99};
  snprintf(expected, sizeof expected, "%s: No such file or directory", at("none"));
  assert_failure(weft_mapping_open(at("none"), &mapping), WEFT_INVALID, expected);
  snprintf(expected, sizeof expected, "%s: not a regular file", folder);
  assert_failure(weft_mapping_open(folder, &mapping), WEFT_INVALID, expected);
  assert_int_equal(mapping.size, 99);
  snprintf(expected, sizeof expected, "%s.part: cannot write: No such file or directory", at("none/deeper"));
  assert_failure(weft_file_write(at("none/deeper"), "x", 1), WEFT_FAILED, expected);
}

static void folders_with_parents(void **state) {
  (void)state;
  assert_ok(weft_directory_make(at("x/y/z")));
  assert_ok(weft_directory_make(at("x/y/z")));
  assert_true(weft_directory_exists(at("x/y/z")));
  assert_ok(weft_file_write(at("x/file"), "", 0));
  char expected[400];
  snprintf(expected, sizeof expected, "%s: exists and is not a folder", at("x/file"));
  assert_failure(weft_directory_make(at("x/file")), WEFT_FAILED, expected);
  unlink(at("x/file"));
  assert_int_equal(rmdir(at("x/y/z")) | rmdir(at("x/y")) | rmdir(at("x")), 0);
}

static void data_is_found(void **state) {
  (void)state;
  char *path = NULL;
  unsetenv("WEFT_DATA");
  assert_ok(weft_data_path("models", &path));  // this program is in the build folder: the source tree's
  assert_true(weft_directory_exists(path));
  free(path);
  path = NULL;
  setenv("WEFT_DATA", folder, 1);
  char expected[400];
  snprintf(expected, sizeof expected, "models: not found in %s, which WEFT_DATA names as the folder of Weft's data",
           folder);
  assert_failure(weft_data_path("models", &path), WEFT_INVALID, expected);
  assert_null(path);
  assert_ok(weft_directory_make(at("models")));
  assert_ok(weft_data_path("models", &path));
  assert_string_equal(path, at("models"));
  free(path);
  rmdir(at("models"));
  unsetenv("WEFT_DATA");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written_files_are_whole), cmocka_unit_test(empty_file),
      cmocka_unit_test(what_cannot_be_opened),   cmocka_unit_test(folders_with_parents),
      cmocka_unit_test(data_is_found),
  };
  return cmocka_run_group_tests_name("base/file", tests, make_folder, remove_folder);
}
