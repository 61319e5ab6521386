// Kernels from hostile hands: whatever the bytes or the text, a status or a kernel; what the checker accepts can be
// printed and goes round. Mutations are a pure function of the seed (first argument; default 1).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "tests/kernel/exercise.h"
#include "tests/kernel/round.h"
#include "tests/kernel/sample.h"
#include "tests/mutate_bytes.h"

static uint64_t seed = 1;

static void mutated_bytes_are_refused_or_sound(void **state) {
  (void)state;
  weft_kernel *k = sample_kernel();
  void *bytes;
  size_t size;
  weft_kernel_pack(k, &bytes, &size);
  uint8_t *copy = malloc(size);
  uint32_t refused = 0, accepted = 0, rounds = 30000;
  for (uint32_t round = 0; round < rounds; ++round) {
    size_t length = size;
    memcpy(copy, bytes, size);
    mutate_bytes(seed, round, copy, &length);
    if (exercise_packed(copy, length))
      ++accepted;
    else
      ++refused;
  }
  assert_true(refused > rounds / 4);
  assert_true(accepted > rounds / 50);
  free(copy);
  free(bytes);
  weft_kernel_destroy(k);
}

static char *read_file(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/../models/kernels/%s.kernel", WEFT_TESTS, name);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  char *text = calloc(1, 1 << 16);
  assert_true(fread(text, 1, (1 << 16) - 1, file) > 100);
  fclose(file);
  return text;
}

// Words and signs that say something, so that more of the mutated texts get far.
static const char *const pieces[] = {"0",
                                     "1",
                                     "-1",
                                     "7",
                                     "4096",
                                     "2147483648",
                                     "x",
                                     "y",
                                     "c0",
                                     "all",
                                     "..",
                                     ":",
                                     "; ",
                                     "then",
                                     "for 3 ",
                                     "[0:",
                                     "]",
                                     "(",
                                     ")",
                                     "\n",
                                     "end\n",
                                     "each i in 0..1\n",
                                     "when 1\n",
                                     "if ",
                                     "else\n",
                                     "loop",
                                     "while n < 3\n",
                                     "break\n",
                                     "define d(a, b)\n",
                                     "use d(a, 1)\n",
                                     "use multiply(p, v, k)\n",
                                     " where (x + y) % 2 == 0",
                                     " inside",
                                     "type real = f16\n",
                                     "map",
                                     "send",
                                     "receive ",
                                     "async 1 ",
                                     "as f32",
                                     "f16 ",
                                     "by ",
                                     "step ",
                                     "sum(",
                                     "max(",
                                     "+=",
                                     "<<",
                                     "*",
                                     "/",
                                     "%",
                                     "nan(3)",
                                     "inf",
                                     "1e30",
                                     "\"a{i}\"",
                                     "route ",
                                     "task t on start\n",
                                     "program p at all\n",
                                     "mesh 3 by 3\n",
                                     "parameter q = 1\n",
                                     "#"};

static void mutate_text(char *text, size_t room, uint64_t round) {
  uint64_t edits = 1 + weft_random_bits(seed, round, 100) % 3;
  for (uint64_t e = 0; e < edits; ++e) {
    size_t length = strlen(text);
    if (length == 0) return;
    size_t at = weft_random_bits(seed, round, 101 + 4 * e) % length;
    size_t cut = weft_random_bits(seed, round, 102 + 4 * e) % 12;
    const char *piece = pieces[weft_random_bits(seed, round, 103 + 4 * e) % (sizeof pieces / sizeof *pieces)];
    uint64_t kind = weft_random_bits(seed, round, 104 + 4 * e) % 4;
    size_t more = kind == 0 ? 0 : strlen(piece);
    if (kind == 1) cut = 0;
    if (cut > length - at) cut = length - at;
    if (length - cut + more + 1 > room) return;
    memmove(text + at + more, text + at + cut, length - at - cut + 1);
    memcpy(text + at, piece, more);
    if (kind == 3 && at + more < strlen(text)) text[at] = (char)(1 + piece[0] % 126);
  }
}

static void mutated_texts_are_refused_or_sound(void **state) {
  (void)state;
  weft_kernel *k = sample_kernel();
  char *texts[] = {read_file("line_sum"), read_file("heat"), read_file("lu"), printed_kernel(k)};
  char *long_texts[] = {read_file("bicgstab"), read_file("seismic"), read_file("fft")};
  char *copy = malloc(1 << 16);
  uint32_t refused = 0, accepted = 0, rounds = 12000;
  for (uint32_t round = 0; round < rounds; ++round) {
    strcpy(copy, round % 16 == 15 ? long_texts[round / 16 % 3] : texts[round % 4]);
    mutate_text(copy, 1 << 16, round);
    if (exercise_text(copy))
      ++accepted;
    else
      ++refused;
  }
  assert_true(refused > rounds / 4);
  assert_true(accepted > rounds / 50);
  for (int t = 0; t < 4; ++t) free(texts[t]);
  for (int t = 0; t < 3; ++t) free(long_texts[t]);
  free(copy);
  weft_kernel_destroy(k);
}

int main(int argc, char **argv) {
  if (argc > 1) seed = strtoull(argv[1], NULL, 10);
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_bytes_are_refused_or_sound),
                                     cmocka_unit_test(mutated_texts_are_refused_or_sound)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
