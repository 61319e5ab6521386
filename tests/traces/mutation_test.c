// Traces that were cut or changed: weft_trace_read ends in a status or in a trace that everything else can handle; it
// never crashes, hangs or takes more memory than a small multiple of the file. Run under ASan and UBSan it also finds
// what only they see. Mutations are a pure function of their number, so a failure can be repeated.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "tests/traces/exercise.h"
#include "tests/traces/sample.h"

enum { ROUNDS = 2000 };

static size_t pick(uint64_t round, uint64_t index, size_t below) {
  return (size_t)(weft_random_bits(5, round, index) % below);
}

static void write_sample(const char *path) {
  weft_trace_header header = sample_header(WEFT_TRACE_MEASURED, "a computer");
  weft_trace_writer *writer = NULL;
  weft_status status = weft_trace_writer_open(path, sample_schedule(), &header, &writer);
  assert_null(status);
  weft_trace_sink sink = weft_trace_writer_sink(writer);
  sample_run(1, &sink);
  status = weft_trace_writer_close(writer);
  assert_null(status);
}

// Changes one to four places: a bit, a byte, a run set to 0xff (long varints), a piece copied elsewhere, the end cut
// off.
static size_t mutate(uint8_t *bytes, size_t size, uint64_t round) {
  size_t changes = 1 + pick(round, 0, 4);
  for (size_t c = 1; c <= changes; ++c) {
    size_t at = pick(round, 10 * c, size), run = 1 + pick(round, 10 * c + 1, 12);
    if (run > size - at) run = size - at;
    switch (pick(round, 10 * c + 2, 5)) {
      case 0: bytes[at] ^= (uint8_t)(1u << pick(round, 10 * c + 3, 8)); break;
      case 1: bytes[at] = (uint8_t)pick(round, 10 * c + 3, 256); break;
      case 2: memset(bytes + at, 0xff, run); break;
      case 3: memmove(bytes + at, bytes + pick(round, 10 * c + 3, size - run + 1), run); break;
      default:
        if (pick(round, 10 * c + 3, 4) == 0) size = at > 0 ? at : 1;
    }
  }
  return size;
}

static void survives(const char *whole_path, const char *path, bool packed) {
  write_sample(whole_path);
  weft_mapping whole;
  weft_status status = weft_mapping_open(whole_path, &whole);
  assert_null(status);
  uint8_t *bytes = malloc(whole.size);
  uint32_t refused = 0;
  for (uint64_t round = 0; round < ROUNDS; ++round) {
    memcpy(bytes, whole.bytes, whole.size);
    size_t size = mutate(bytes, whole.size, packed ? round + ROUNDS : round);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    refused += !exercise_trace(path);
  }
  // Many a change hits a text or a number and leaves a valid trace, but not most; a checksum guards what is packed.
  if (refused < ROUNDS / (packed ? 2 : 3)) fail_msg("only %u of %d changed files were refused", refused, ROUNDS);
  free(bytes);
  weft_mapping_close(&whole);
}

static void plain_files(void **state) {
  (void)state;
  survives("mutation.pftrace", "mutated.pftrace", false);
}

static void packed_files(void **state) {
  (void)state;
  survives("mutation.pftrace.gz", "mutated.pftrace.gz", true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(plain_files), cmocka_unit_test(packed_files)};
  return cmocka_run_group_tests_name("traces/mutation", tests, NULL, NULL);
}
