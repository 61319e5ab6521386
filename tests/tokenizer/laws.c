// Laws of the byte-level kinds on random input: decoding gives the text back, ids are of the vocabulary, the pieces
// laid end to end are the text; and a long word is merged in linear-logarithmic time (a quadratic one runs into ctest's
// limit).
#include "tests/tokenizer/test.h"

#include "base/random.h"

static uint64_t bits(uint64_t round, uint64_t index) { return weft_random_bits(5, round, index); }

static size_t put_character(char *to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = length - 1; i > 0; --i, c >>= 6) to[i] = (char)(0x80 | (c & 0x3f));
  to[0] = (char)(heads[length] | c);
  return length;
}

// Random bytes in odd rounds; in even ones characters of all planes, and the ones that patterns look at.
static size_t make_text(uint64_t round, char *text) {
  static const char *const words[] = {
      "'s",   "'LL", " ", "  ",       "\r\n",          "\xc2\x85",          "\xe1\xa0\x8e", "the",
      " and", "12",  "_", "\xc5\xbf", "<|endoftext|>", "<|begin_of_text|>", "\xcc\x81",     "\xe2\x96\x81"};
  size_t used = 0, parts = bits(round, 0) % 60;
  for (size_t i = 1; i <= parts; ++i) {
    uint64_t random = bits(round, i);
    uint32_t character = (uint32_t)(random >> 8) % 0x110000;
    if (round % 2 == 1 && random % 3 != 0) {
      text[used++] = (char)(random >> 8);
    } else if (random % 3 != 0 || (character >= 0xd800 && character < 0xe000)) {
      const char *word = words[(random >> 32) % (sizeof words / sizeof *words)];
      memcpy(text + used, word, strlen(word));
      used += strlen(word);
    } else {
      used += put_character(text + used, random % 2 ? character : character % 0x3000);
    }
  }
  return used;
}

static void check_text(const weft_tokenizer *tokenizer, const char *text, size_t bytes) {
  int32_t *ids;
  size_t count, back_bytes, laid = 0;
  char *back;
  weft_status status = weft_tokenizer_encode(tokenizer, text, bytes, &ids, &count);
  if (status) fail_msg("%s", weft_status_message(status));
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || (uint32_t)ids[i] >= weft_tokenizer_vocabulary(tokenizer)) fail_msg("id %d", ids[i]);
    size_t length;
    const char *piece = weft_tokenizer_piece(tokenizer, ids[i], &length);
    if (laid + length > bytes || memcmp(piece, text + laid, length) != 0) fail_msg("piece %zu is not the text's", i);
    laid += length;
  }
  assert_int_equal(laid, bytes);
  assert_null(weft_tokenizer_decode(tokenizer, ids, count, &back, &back_bytes));
  assert_int_equal(back_bytes, bytes);
  assert_memory_equal(back, text, bytes);
  free(ids);
  free(back);
}

static void check_laws(const char *path) {
  weft_tokenizer *tokenizer = open_tokenizer(path);
  enum { ROUNDS = 1500, LONGEST = 60 * 20 };
  static char text[LONGEST];
  for (uint64_t round = 0; round < ROUNDS; ++round) check_text(tokenizer, text, make_text(round, text));
  weft_tokenizer_close(tokenizer);
}

static void bytes_round_trip(void **state) {
  (void)state;
  check_laws("bytes");
}

static void gpt2_round_trips(void **state) {
  (void)state;
  check_laws(GOLDEN("bpe-gpt2/tokenizer.json"));
}

static void llama3_round_trips(void **state) {
  (void)state;
  check_laws(GOLDEN("bpe-llama3/tokenizer.json"));
}

static void long_words_are_quick(void **state) {
  (void)state;
  enum { MEGABYTE = 1000000 };
  static const char *const paths[] = {GOLDEN("bpe-gpt2/tokenizer.json"), GOLDEN("bpe-llama3/tokenizer.json")};
  static const char fills[] = "xe <'1\xff";
  char *text = weft_allocate(MEGABYTE);
  for (int p = 0; p < 2; ++p) {
    weft_tokenizer *tokenizer = open_tokenizer(paths[p]);
    for (size_t i = 0; i < sizeof fills - 1; ++i) {
      memset(text, fills[i], MEGABYTE);
      check_text(tokenizer, text, MEGABYTE);
    }
    for (size_t i = 0; i < MEGABYTE; ++i) text[i] = "the"[i % 3];
    check_text(tokenizer, text, MEGABYTE);
    weft_tokenizer_close(tokenizer);
  }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_round_trip), cmocka_unit_test(gpt2_round_trips),
                                     cmocka_unit_test(llama3_round_trips), cmocka_unit_test(long_words_are_quick)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
