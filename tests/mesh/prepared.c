// Vector operations as the mesh prepares them against the plain reference, on programs drawn at random: all kinds and
// dtypes, views that are strided, folded, moved by registers and overlapping, maps and loops, results in place. The
// same cycles, counts and bytes; or the same complaint about a view that leaves its array.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "sim/mesh.h"

#include <cmocka.h>

enum { ARRAYS = 6, INTEGERS = 4, REALS = 2, PROGRAMS = 2000, COUNTER = 0 };
static const weft_dtype dtypes[ARRAYS] = {WEFT_F32, WEFT_F32, WEFT_F16, WEFT_BF16, WEFT_I32, WEFT_F32};
static const uint32_t lengths[ARRAYS] = {64, 700, 300, 40, 50, 9};

typedef struct dice {
  uint64_t seed, at;
} dice;

static uint32_t roll(dice *d, uint32_t sides) { return (uint32_t)(weft_random_bits(d->seed, 0, d->at++) % sides); }
static int32_t between(dice *d, int32_t low, int32_t high) {
  return low + (int32_t)roll(d, (uint32_t)(high - low + 1));
}

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

typedef struct draft {
  dice d;
  weft_kernel *kernel;
  uint32_t program, integers, reals;  // first registers
  bool looped;                        // COUNTER runs from 0 to 5
} draft;

static uint32_t array_of(draft *f, bool real, bool narrow_too) {
  for (;;) {
    uint32_t a = roll(&f->d, ARRAYS);
    bool is_real = dtypes[a] != WEFT_I32;
    if (is_real == real && (narrow_too || dtypes[a] == WEFT_F32 || !real)) return a;
  }
}

// `count` elements that lie inside the array, most of the time even where a register moves them.
static weft_operand view(draft *f, uint32_t a, uint32_t count, bool single) {
  int32_t length = (int32_t)lengths[a], n = (int32_t)count;
  weft_operand o = weft_all(f->kernel, f->program, a);
  bool moves = roll(&f->d, 3) == 0;
  int32_t scale = moves ? between(&f->d, 0, 3) : 0, room = moves && roll(&f->d, 12) > 0 ? 5 * scale : 0;
  if (moves) o = weft_moved(o, f->integers + (f->looped && roll(&f->d, 2) ? COUNTER : roll(&f->d, INTEGERS)), scale);
  o.stride = single ? 0 : between(&f->d, -2, 3);
  if (roll(&f->d, 3) == 0 && !single) o.stride = 1;
  int32_t span = o.stride * (n - 1);
  if (!single && n > 3 && roll(&f->d, 5) == 0) {
    o.inner = 1 + roll(&f->d, count - 1);
    o.outer_stride = between(&f->d, 0, 5);
    o.stride = between(&f->d, 0, 2);
    span = o.stride * (int32_t)(o.inner - 1) + o.outer_stride * ((n - 1) / (int32_t)o.inner);
  }
  int32_t low = span < 0 ? -span : 0, high = length - 1 - room - (span > 0 ? span : 0);
  if (high < low) {
    o.inner = 0;
    o.stride = 0;
    o.offset = 0;
    return o;
  }
  o.offset = between(&f->d, low, high);
  return o;
}

static weft_operand source(draft *f, bool real, uint32_t count) {
  switch (roll(&f->d, 6)) {
    case 0: return real ? weft_f32((float)between(&f->d, -8, 8) / 4) : weft_i32(between(&f->d, -9, 9));
    case 1:
      return weft_value(f->kernel, f->program,
                        real ? f->reals + roll(&f->d, REALS) : f->integers + roll(&f->d, INTEGERS));
    case 2: return view(f, array_of(f, real, true), count, true);
    default: return view(f, array_of(f, real, true), count, false);
  }
}

static uint32_t sources_of(weft_instruction_kind kind) {
  switch (kind) {
    case WEFT_DO_FMA: return 3;
    case WEFT_DO_ADD:
    case WEFT_DO_SUBTRACT:
    case WEFT_DO_MULTIPLY:
    case WEFT_DO_DIVIDE:
    case WEFT_DO_MODULO:
    case WEFT_DO_MAXIMUM:
    case WEFT_DO_MINIMUM:
    case WEFT_DO_AND:
    case WEFT_DO_OR:
    case WEFT_DO_XOR:
    case WEFT_DO_SHIFT_LEFT:
    case WEFT_DO_SHIFT_RIGHT:
    case WEFT_DO_GREATER:
    case WEFT_DO_DOT: return 2;
    default: return 1;
  }
}

static bool whole_only(weft_instruction_kind kind) {
  return kind == WEFT_DO_MODULO || (kind >= WEFT_DO_AND && kind <= WEFT_DO_SHIFT_RIGHT);
}
static bool real_only(weft_instruction_kind kind) { return kind >= WEFT_DO_SQRT && kind <= WEFT_DO_COSINE; }
static bool reduces(weft_instruction_kind kind) { return kind >= WEFT_DO_SUM && kind <= WEFT_DO_GREATEST; }

static void add_vector(draft *f) {
  static const uint32_t counts[] = {1, 1, 2, 4, 5, 16, 17, 33, 300};
  static const weft_instruction_kind often[] = {WEFT_DO_FMA, WEFT_DO_FMA, WEFT_DO_ADD, WEFT_DO_MOVE, WEFT_DO_DOT};
  weft_instruction_kind kind =
      roll(&f->d, 2) ? often[roll(&f->d, 5)] : (weft_instruction_kind)roll(&f->d, WEFT_DO_GREATEST + 1);
  bool real = whole_only(kind) ? false : real_only(kind) ? true : roll(&f->d, 5) > 0;
  uint32_t count = counts[roll(&f->d, 9)], a = array_of(f, real, true);
  bool reg = roll(&f->d, 4) == 0;
  weft_operand none = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING}, in[3] = {none, none, none}, to;
  // A register that moves views keeps a small value: results go to one that does not, but for what follows.
  if (reg)
    to = weft_value(f->kernel, f->program, real ? f->reals + roll(&f->d, REALS) : f->integers + INTEGERS);
  else
    to = view(f, a, reduces(kind) ? 1 : count, reduces(kind));
  for (uint32_t s = 0; s < sources_of(kind); ++s) {
    bool like = kind != WEFT_DO_MOVE ? real : roll(&f->d, 4) ? real : !real;
    in[s] = source(f, like, count);
    if (reg && like == real && roll(&f->d, 4) == 0) in[s] = to;
    if (!reg && !reduces(kind) && like == real && roll(&f->d, 3) == 0) in[s] = to;
  }
  weft_instruction *i = weft_emit(f->kernel, f->program, kind, count, to, in[0], in[1], in[2]);
  if (roll(&f->d, 12) == 0) i->count_register = f->integers + roll(&f->d, INTEGERS);
}

// A map that adds rows of one array, times values of another or a register, to sums that stay: a product of tiles.
static void add_product(draft *f) {
  static const uint32_t counts[] = {1, 3, 4, 8, 14, 33, 40};
  uint32_t count = counts[roll(&f->d, 7)], counter = f->integers + COUNTER;
  uint32_t sums = roll(&f->d, 6) ? 0 : array_of(f, true, true), rows = roll(&f->d, 6) ? 1 : array_of(f, true, true);
  weft_operand to = weft_view_of(f->kernel, f->program, sums, between(&f->d, 0, 6), 1);
  weft_operand row = weft_view_of(f->kernel, f->program, rows, between(&f->d, 0, 9), 1), value = weft_f32(0.5f);
  if (roll(&f->d, 8)) row = weft_moved(row, counter, between(&f->d, 1, 60));
  if (roll(&f->d, 4)) value = weft_moved(weft_view_of(f->kernel, f->program, 5, 0, 0), counter, 1);
  bool swapped = roll(&f->d, 2);
  weft_begin_loop(f->kernel, f->program, counter, weft_i32(0), weft_i32(between(&f->d, 1, 8)), 1)->form = WEFT_MAP_LOOP;
  weft_emit(f->kernel, f->program, WEFT_DO_FMA, count, to, swapped ? value : row, swapped ? row : value, to);
  weft_end(f->kernel, f->program);
}

static void add_statement(draft *f) {
  uint32_t what = roll(&f->d, 7), moved = f->integers + 1 + roll(&f->d, INTEGERS - 1);
  weft_operand counter = weft_value(f->kernel, f->program, moved);
  if (what == 0) {
    weft_emit1(f->kernel, f->program, WEFT_DO_MOVE, 1, counter, weft_i32(between(&f->d, -1, 5)));
  } else if (what < 4) {
    bool map = roll(&f->d, 3) > 0;
    int32_t step = roll(&f->d, 4) ? 1 : roll(&f->d, 2) ? 2 : -1;
    int32_t first = step < 0 ? 5 : 0, end = step < 0 ? -1 : between(&f->d, 0, 6);
    weft_begin_loop(f->kernel, f->program, f->integers + COUNTER, weft_i32(first), weft_i32(end), step)->form =
        map ? WEFT_MAP_LOOP : WEFT_PLAIN_LOOP;
    f->looped = true;
    for (uint32_t n = map ? 1 : 1 + roll(&f->d, 3); n > 0; --n) add_vector(f);
    f->looped = false;
    weft_end(f->kernel, f->program);
  } else if (what == 4) {
    add_product(f);
  } else {
    add_vector(f);
  }
}

static weft_kernel *drawn(uint64_t seed) {
  draft f = {.d = {seed, 0}, .kernel = weft_kernel_create("drawn", 1, 1)};
  f.program = weft_kernel_program(f.kernel, "drawn");
  weft_kernel_place(f.kernel, f.program, weft_block_one(0, 0));
  for (uint32_t a = 0; a < ARRAYS; ++a) {
    char name[2] = {(char)('a' + a), 0};
    (void)weft_kernel_array(f.kernel, f.program, name, dtypes[a], lengths[a]);
    weft_kernel_array_at(f.kernel, f.program, a)->skew = 4 * roll(&f.d, 4);
  }
  static const char *const integers[] = {"i", "j", "k", "l", "m"}, *const reals[] = {"x", "y"};
  for (uint32_t r = 0; r <= INTEGERS; ++r) {
    uint32_t reg = weft_kernel_integer(f.kernel, f.program, integers[r], between(&f.d, 0, 5), 0, 0);
    if (r == 0) f.integers = reg;
  }
  for (uint32_t r = 0; r < REALS; ++r) {
    uint32_t reg = weft_kernel_real(f.kernel, f.program, reals[r], (float)between(&f.d, -8, 8) / 2);
    if (r == 0) f.reals = reg;
  }
  (void)weft_kernel_task(f.kernel, f.program, "main", WEFT_AT_START);
  for (uint32_t n = 2 + roll(&f.d, 12); n > 0; --n) add_statement(&f);
  return f.kernel;
}

typedef struct result {
  weft_mesh_report report;
  char complaint[512];
  uint8_t bytes[ARRAYS][4 * 700];
} result;

static size_t bytes_of(uint32_t a) { return lengths[a] * (dtypes[a] == WEFT_F16 || dtypes[a] == WEFT_BF16 ? 2u : 4u); }

static void play(const weft_kernel *kernel, const weft_machine *machine, uint64_t seed, bool plain, result *out) {
  weft_mesh_options options = weft_mesh_options_default();
  options.plain = plain;
  weft_mesh_sim *mesh = NULL;
  must(weft_mesh_open(kernel, machine, &options, &mesh));
  for (uint32_t a = 0; a < ARRAYS; ++a) {
    float values[700];
    for (uint32_t e = 0; e < lengths[a]; ++e) {
      uint64_t bits = weft_random_bits(seed, a + 1, e);
      values[e] = bits % 50 == 0 ? 0 : (float)((int64_t)(bits >> 40) - (1 << 23)) / (float)(1u << (bits % 23));
    }
    must(weft_mesh_write_f32(mesh, 0, 0, kernel->programs[0].arrays[a].name, values, lengths[a]));
  }
  weft_status status = weft_mesh_run(mesh, &out->report);
  if (status) {
    snprintf(out->complaint, sizeof out->complaint, "%s", weft_status_message(status));
    weft_status_free(status);
  }
  for (uint32_t a = 0; a < ARRAYS; ++a)
    must(weft_mesh_read(mesh, 0, 0, kernel->programs[0].arrays[a].name, out->bytes[a], bytes_of(a)));
  weft_mesh_close(mesh);
}

static bool not_a_number(weft_dtype dtype, const uint8_t *bytes) {
  float value;
  if (dtype == WEFT_I32) return false;
  weft_dtype_to_f32(dtype, bytes, &value, 1);
  return value != value;
}

// Which of two NaNs an operation passes on is the compiler's choice.
static void assert_same_bytes(uint64_t seed, uint32_t a, const uint8_t *plain, const uint8_t *prepared) {
  size_t size = bytes_of(a) / lengths[a];
  for (size_t e = 0; e < lengths[a]; ++e) {
    const uint8_t *x = plain + e * size, *y = prepared + e * size;
    if (memcmp(x, y, size) == 0 || (not_a_number(dtypes[a], x) && not_a_number(dtypes[a], y))) continue;
    fail_msg("program %llu: element %zu of %s array %u differs", (unsigned long long)seed, e,
             weft_dtype_name(dtypes[a]), a);
  }
}

static void prepared_is_plain(void **state) {
  (void)state;
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  uint32_t checked = 0, complained = 0;
  for (uint64_t seed = 1; seed <= PROGRAMS; ++seed) {
    weft_kernel *kernel = drawn(seed);
    weft_status status = weft_kernel_check(kernel, 0);
    if (!status) {
      static result plain, prepared;
      memset(&plain, 0, sizeof plain);
      memset(&prepared, 0, sizeof prepared);
      play(kernel, machine, seed, true, &plain);
      play(kernel, machine, seed, false, &prepared);
      if (strcmp(plain.complaint, prepared.complaint) != 0)
        fail_msg("program %llu: \"%s\" is now \"%s\"", (unsigned long long)seed, plain.complaint, prepared.complaint);
      for (uint32_t a = 0; a < ARRAYS; ++a) assert_same_bytes(seed, a, plain.bytes[a], prepared.bytes[a]);
      if (plain.report.cycles != prepared.report.cycles)
        fail_msg("program %llu: %llu cycles are now %llu", (unsigned long long)seed,
                 (unsigned long long)plain.report.cycles, (unsigned long long)prepared.report.cycles);
      assert_int_equal(plain.report.instructions, prepared.report.instructions);
      assert_int_equal(plain.report.elements, prepared.report.elements);
      assert_true(plain.report.flops == prepared.report.flops);
      assert_int_equal(plain.report.core_busy_cycles, prepared.report.core_busy_cycles);
      ++checked;
      complained += plain.complaint[0] != 0;
    }
    weft_status_free(status);
    weft_kernel_destroy(kernel);
  }
  // The dice are worth something: most programs are programs, and some of them do wrong.
  assert_true(checked > PROGRAMS / 2);
  assert_true(complained > 0 && complained < checked / 2);
  weft_machine_destroy(machine);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(prepared_is_plain)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
