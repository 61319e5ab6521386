// Broken texts, thousands of them, the same in every run: config.json, machine YAML and spellings with characters
// changed, pieces cut, doubled or moved. Each is either refused with a reason, or read as something that passes its
// checker and survives a round trip. Under the sanitizers this also proves that nothing is read outside the text and
// nothing leaks.
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "models/machine.h"
#include "models/network.h"
#include "tests/models/test.h"

typedef struct source {
  uint64_t stream, index;
} source;

static uint64_t draw(source *s, uint64_t below) { return weft_random_bits(31, s->stream, s->index++) % below; }

// One to three damages; the text stays in its memory of 2 * size + 64 bytes.
static void mutate(source *s, char *text) {
  static const char characters[] = "0123456789-.e{}[]\":, \n#abcxyzKMGTB/%&*!|>'\\\t\x01\xc3\xff";
  for (uint64_t times = 1 + draw(s, 3); times > 0; --times) {
    size_t length = strlen(text);
    if (length == 0) return;
    size_t at = draw(s, length), piece = draw(s, 12) + 1;
    if (piece > length - at) piece = length - at;
    switch (draw(s, 6)) {
      case 0: text[at] = characters[draw(s, sizeof characters - 1)]; break;
      case 1: text[at] = (char)(1 + draw(s, 255)); break;
      case 2: memmove(text + at, text + at + piece, length - at - piece + 1); break;
      case 3: memmove(text + at + piece, text + at, length - at + 1); break;
      case 4: text[at] = 0; break;
      default:
        for (size_t i = at; i < length; ++i)
          if (text[i] >= '0' && text[i] <= '9') {
            text[i] = (char)('0' + draw(s, 10));
            break;
          }
    }
  }
}

// A copy of `text` with room for mutate.
static char *roomy(const char *text) {
  char *copy = weft_allocate(2 * strlen(text) + 256);
  return strcpy(copy, text);
}

static void refused_well(weft_status status) {
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  assert_true(strlen(weft_status_message(status)) > 10);
  weft_status_free(status);
}

static uint32_t try_network(const char *text) {
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  if (!root) return 0;
  weft_network n, again;
  weft_status status = weft_network_unpack(root, "config.json", text, &n);
  json_decref(root);
  if (status) {
    refused_well(status);
    return 0;
  }
  assert_ok(weft_network_check(&n));
  json_t *packed = weft_network_pack(&n);
  assert_non_null(packed);
  assert_ok(weft_network_unpack(packed, "again", NULL, &again));
  assert_true(weft_network_hash(&n) == weft_network_hash(&again));
  json_decref(packed);
  return 1;
}

static void networks(void **state) {
  (void)state;
  static const char *const seeds[] = {"gpt2",      "cerebras-gpt-111m-mup", "llama3-8b", "qwen2-72b", "gpt-j-6b",
                                      "bert-large"};
  weft_log_set_level(WEFT_LOG_WARNING);
  uint32_t accepted = 0;
  for (uint64_t i = 0; i < sizeof seeds / sizeof *seeds; ++i) {
    weft_network n;
    assert_ok(weft_network_read(seeds[i], &n));
    json_t *packed = weft_network_pack(&n);
    char *right = json_dumps(packed, JSON_INDENT(1));
    json_decref(packed);
    source s = {.stream = i};
    for (int k = 0; k < 2000; ++k) {
      char *text = roomy(right);
      mutate(&s, text);
      accepted += try_network(text);
      free(text);
    }
    free(right);
  }
  assert_true(accepted > 100);  // otherwise nothing but the parser of JSON was tried
}

static uint32_t accept(weft_status status, weft_machine *m) {
  if (status) {
    refused_well(status);
    return 0;
  }
  assert_ok(weft_machine_check(m));
  char *yaml = weft_machine_pack(m), *spelling = weft_machine_spell(m);
  weft_machine *from_yaml = NULL, *from_spelling = NULL;
  assert_ok(weft_machine_unpack(yaml, "again.yaml", &from_yaml));
  assert_true(weft_machine_hash(m) == weft_machine_hash(from_yaml));
  if (!m->costs) {  // a spelling names its table, and a mutated one is not under that name
    assert_ok(weft_machine_read(spelling, &from_spelling));
    assert_true(weft_machine_hash(m) == weft_machine_hash(from_spelling));
  }
  weft_machine_destroy(from_yaml);
  weft_machine_destroy(from_spelling);
  weft_machine_destroy(m);
  free(yaml);
  free(spelling);
  return 1;
}

static const char curve[] =
    "roofline:1TFLOP/s memory:8GB shared:true name:host measured:here rate:linear,f32,64,1e9,1MB,2ms "
    "rate:add,bf16,1,10,20B,1us";

static void machine_files(void **state) {
  (void)state;
  static const char *const seeds[] = {"cs2", "a100-80gb", curve};
  uint32_t accepted = 0;
  for (uint64_t i = 0; i < sizeof seeds / sizeof *seeds; ++i) {
    weft_machine *right;
    assert_ok(weft_machine_read(seeds[i], &right));
    char *yaml = weft_machine_pack(right);
    weft_machine_destroy(right);
    source s = {.stream = 100 + i};
    for (int k = 0; k < 1200; ++k) {
      char *text = roomy(yaml);
      mutate(&s, text);
      weft_machine *m = NULL;
      weft_status status = weft_machine_unpack(text, "m.yaml", &m);
      accepted += accept(status, m);
      free(text);
    }
    free(yaml);
  }
  assert_true(accepted > 100);
}

static void spellings(void **state) {
  (void)state;
  static const char *const seeds[] = {"mesh:8x8 sram:48KiB clock:850MHz io:150GB/s layer:2.7ms name:small", curve};
  uint32_t accepted = 0;
  for (uint64_t i = 0; i < sizeof seeds / sizeof *seeds; ++i) {
    source s = {.stream = 200 + i};
    for (int k = 0; k < 5000; ++k) {
      char *text = roomy(seeds[i]);
      mutate(&s, text);
      weft_machine *m = NULL;
      weft_status status = weft_machine_read(text, &m);
      accepted += accept(status, m);
      free(text);
    }
  }
  assert_true(accepted > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(networks), cmocka_unit_test(machine_files),
                                     cmocka_unit_test(spellings)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
