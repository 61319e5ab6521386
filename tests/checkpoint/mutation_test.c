// Broken checkpoints, thousands of them, the same in every run: mutation_test SEED... where a seed is a valid .gguf or
// .safetensors file, or a folder with an index. Each seed is damaged in the ways that files are: a bit flips, the end
// is missing, a length says something else, a piece is doubled or gone. Run under the sanitizers this also proves that
// nothing is read outside the file.
#include <dirent.h>

#include "base/random.h"
#include "tests/checkpoint/exercise.h"
#include "tests/checkpoint/test.h"

enum { CASES_PER_SEED = 2500, CASES_PER_FOLDER = 400 };

typedef struct source {
  uint64_t stream, index;
} source;

static uint64_t draw(source *s, uint64_t below) { return weft_random_bits(20, s->stream, s->index++) % below; }

// Damage falls mostly on the first part of a file, where lengths, names and shapes are.
static size_t place(source *s, size_t size) {
  size_t head = size < 4096 ? size : 4096;
  return draw(s, 4) ? draw(s, head) : draw(s, size);
}

// Values that lengths, counts and offsets go wrong with.
static uint64_t hard_number(source *s, size_t size) {
  const uint64_t numbers[] = {0,
                              1,
                              7,
                              31,
                              255,
                              65535,
                              0x7fffffff,
                              0x80000000,
                              0xffffffff,
                              size,
                              size - 1,
                              size + 1,
                              size * 2,
                              INT64_MAX,
                              (uint64_t)INT64_MAX + 1,
                              UINT64_MAX,
                              UINT64_MAX / 2,
                              UINT64_MAX - 7,
                              UINT64_MAX / 4 + 1};
  return numbers[draw(s, sizeof numbers / sizeof *numbers)];
}

static void overwrite(source *s, uint8_t *bytes, size_t size) {
  uint64_t number = hard_number(s, size), width = draw(s, 2) ? 8 : 4;
  size_t at = place(s, size);
  if (size >= 8) memcpy(bytes + (at < size - 8 ? at : size - 8), &number, width);
}

static void replace_digit(source *s, uint8_t *bytes, size_t size) {
  size_t at = place(s, size);
  for (size_t i = 0; i < size; ++i) {
    uint8_t *byte = &bytes[(at + i) % size];
    if (*byte < '0' || *byte > '9') continue;
    *byte = (uint8_t) "0123456789-.e,]}\""[draw(s, 17)];
    return;
  }
}

static size_t shift_piece(source *s, uint8_t *bytes, size_t size) {
  size_t from = place(s, size), to = place(s, size), end = from > to ? from : to;
  memmove(bytes + to, bytes + from, size - end);
  return from > to ? size - (from - to) : size;
}

// Damages one to four places; returns the new size, never larger.
static size_t mutate(source *s, uint8_t *bytes, size_t size) {
  for (uint64_t times = 1 + draw(s, 4); times > 0 && size > 0; --times) {
    switch (draw(s, 6)) {
      case 0: size = place(s, size); break;
      case 1: bytes[place(s, size)] ^= (uint8_t)(1u << draw(s, 8)); break;
      case 2: bytes[place(s, size)] = (uint8_t)draw(s, 256); break;
      case 3: overwrite(s, bytes, size); break;
      case 4: replace_digit(s, bytes, size); break;
      default: size = shift_piece(s, bytes, size); break;
    }
  }
  return size;
}

static void mutate_file(const char *path, uint64_t stream) {
  weft_mapping seed;
  assert_ok(weft_mapping_open(path, &seed));
  if (!exercise_bytes(seed.bytes, seed.size)) fail_msg("%s: the seed itself is refused", path);
  source s = {.stream = stream};
  uint8_t *bytes = weft_allocate(seed.size);
  unsigned opened = 0;
  for (int i = 0; i < CASES_PER_SEED; ++i) {
    memcpy(bytes, seed.bytes, seed.size);
    size_t size = mutate(&s, bytes, seed.size);
    uint8_t *exact = weft_allocate(size);
    memcpy(exact, bytes, size);
    opened += exercise_bytes(exact, size);
    free(exact);
  }
  print_message("%s: %d cases, %u still open\n", path, CASES_PER_SEED, opened);
  assert_true(opened > 0 && opened < CASES_PER_SEED);  // else the damage is too rough, or not noticed
  free(bytes);
  weft_mapping_close(&seed);
}

static void copy_folder(const char *from, const char *to) {
  DIR *entries = opendir(from);
  assert_non_null(entries);
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (entry->d_name[0] == '.') continue;
    char *source_path = weft_format("%s/%s", from, entry->d_name), *path = weft_format("%s/%s", to, entry->d_name);
    weft_mapping file;
    assert_ok(weft_mapping_open(source_path, &file));
    assert_ok(weft_file_write(path, file.bytes, file.size));
    weft_mapping_close(&file);
    free(source_path);
    free(path);
  }
  closedir(entries);
}

// Damages one JSON file of `folder`, a copy of `from`: the index, or config.json.
static void mutate_json(const char *from, const char *folder, const char *name, uint64_t stream) {
  char *path = weft_format("%s/%s", folder, name), *original = weft_format("%s/%s", from, name);
  weft_mapping seed;
  assert_ok(weft_mapping_open(original, &seed));
  source s = {.stream = stream};
  uint8_t *bytes = weft_allocate(seed.size);
  for (int i = 0; i < CASES_PER_FOLDER; ++i) {
    memcpy(bytes, seed.bytes, seed.size);
    size_t size = mutate(&s, bytes, seed.size);
    FILE *file = fopen(path, "wb");  // not through a rename: this happens hundreds of times
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    weft_checkpoint *checkpoint = NULL;
    weft_status status = weft_checkpoint_open(folder, &checkpoint);
    if (status)
      exercise_failure(status);
    else
      exercise_checkpoint(checkpoint, NULL, 0);
    weft_checkpoint_close(checkpoint);
  }
  free(bytes);
  weft_mapping_close(&seed);
  free(path);
  free(original);
}

static void mutate_folder(const char *seed, uint64_t stream) {
  static const char *const names[] = {"model.safetensors.index.json", "config.json"};
  for (size_t i = 0; i < 2; ++i) {
    char *folder = make_folder();
    copy_folder(seed, folder);
    mutate_json(seed, folder, names[i], stream + 100 * i);
    remove_folder(folder);
  }
}

static void mutate_one(void **state) {
  const char *seed = *state;
  uint64_t stream = 0;
  for (const char *c = strrchr(seed, '/') ? strrchr(seed, '/') : seed; *c; ++c)
    stream = stream * 31 + (unsigned char)*c;
  if (weft_directory_exists(seed))
    mutate_folder(seed, stream);
  else
    mutate_file(seed, stream);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s SEED...\n", argv[0]);
    return 2;
  }
  int failed = 0;
  for (int i = 1; i < argc; ++i) {
    const struct CMUnitTest test[] = {cmocka_unit_test_prestate(mutate_one, argv[i])};
    failed += cmocka_run_group_tests_name(argv[i], test, NULL, NULL);
  }
  return failed ? 1 : 0;
}
