// Machines: known numbers, round trips through YAML and spellings, and refusals with place and nearest key.
#include "models/machine.h"

#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "models/machine_fields.h"
#include "tests/models/test.h"

static weft_machine *read_machine(const char *where) {
  weft_machine *m = NULL;
  assert_ok(weft_machine_read(where, &m));
  return m;
}

static void known_numbers(void **state) {
  (void)state;
  weft_machine *m = read_machine("cs2");
  assert_int_equal(m->mesh.columns, 750);
  assert_int_equal(m->mesh.rows, 994);
  assert_true(m->mesh.clock_hz == 850e6 && m->mesh.sram_bytes_per_core == 49152 && m->io_in_bytes_per_second == 150e9);
  assert_true(m->layer_seconds == 0 && m->max_systems == 192 && m->swarm_fan_out == 4);
  assert_true(fabs(weft_machine_peak_flops(m, WEFT_F16) - 745500.0 * 8 * 850e6) < 1);
  assert_true(weft_machine_peak_flops(m, WEFT_BF16) == weft_machine_peak_flops(m, WEFT_F16) / 2);
  assert_true(weft_machine_memory_bytes(m) == 745500.0 * (49152 - 8192));
  weft_machine_destroy(m);
  m = read_machine("CS3");
  assert_true(m->mesh.columns == 755 && m->mesh.rows == 1170 && m->mesh.clock_hz == 875e6 && m->max_systems == 2048);
  weft_machine_destroy(m);
  m = read_machine("a100-80gb");
  assert_true(m->kind == WEFT_ROOFLINE && weft_machine_peak_flops(m, WEFT_BF16) == 312e12 &&
              weft_machine_peak_flops(m, WEFT_F32) == 19.5e12);
  assert_true(weft_machine_memory_bytes(m) == 80e9);
  weft_machine_destroy(m);
}

// What instructions take: known numbers, and that the wafers differ in data only.
static void core_times(void **state) {
  (void)state;
  weft_machine *m = read_machine("wse2");
  const weft_core_times *t = &m->mesh.times;
  assert_true(t->map_cycles == 1 && t->map_startup_cycles == 41 && t->fabric_startup_cycles == 1);
  assert_true(weft_machine_chain_stage_cycles(&m->mesh) == 6 && weft_machine_first_word_cycles(&m->mesh) == 7);
  assert_true(t->conflict_factor == 2 && t->half_conflict_factor == 2.86 && t->send_queue_words == 3);
  weft_machine_destroy(m);
  m = read_machine("wse3");
  t = &m->mesh.times;
  assert_true(weft_machine_first_word_cycles(&m->mesh) == 42);  // measured, as 40 + 2 h for h hops
  assert_true(m->mesh.hop_cycles == 2 && t->turn_cycles == 20 && t->conflict_factor == 1.94 &&
              t->send_queue_words == 8 && m->mesh.f16_per_cycle == 2.92 && 1 / m->mesh.link_words_per_cycle == 1.125);
  weft_machine_destroy(m);
  m = read_machine("wse3-vendor-sim");
  t = &m->mesh.times;
  // Store and forward of B words takes B + 16 per stage, the last word B - 1 cycles after the first.
  assert_true(t->fabric_startup_cycles + 2 * m->mesh.ramp_cycles + t->fabric_latency_cycles + m->mesh.hop_cycles == 17);
  assert_true(t->start_cycles == 16 && t->conflict_factor == 1 && t->turn_cycles == 33 && t->f16_move == 8);
  weft_machine_destroy(m);
}

static bool of_mesh(const weft_machine_field *field) {
  return field->section == WEFT_SECTION_MESH || field->section == WEFT_SECTION_CORE;
}

// Fields of mesh and core in which two machines differ, but for columns and rows.
static uint32_t differences(const char *one, const char *other, bool core_only) {
  weft_machine *a = read_machine(one), *b = read_machine(other);
  uint32_t count = 0;
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    if (!of_mesh(field) || (core_only && field->section != WEFT_SECTION_CORE)) continue;
    count += weft_machine_field_get(a, field) != weft_machine_field_get(b, field);
  }
  weft_machine_destroy(a);
  weft_machine_destroy(b);
  return count;
}

static void wafers_agree(void **state) {
  (void)state;
  assert_int_equal(differences("cs2", "wse2", false), 0);
  assert_int_equal(differences("cs3", "wse3", true), 0);
  static const char *const small[] = {"mesh-4x4", "mesh-8x8", "mesh-16x12", "cs1", "mesh:8x8"};
  for (size_t i = 0; i < sizeof small / sizeof *small; ++i) assert_int_equal(differences("wse2", small[i], true), 0);
  assert_int_equal(differences("wse2", "mesh:750x994", false), 0);
  assert_true(differences("wse3", "wse3-vendor-sim", false) >= 10);
}

// Of the machines that Weft brings, every mesh says every number of mesh and core itself, with a source.
static void meshes_are_complete(void **state) {
  (void)state;
  char **names;
  uint32_t count, meshes = 0;
  assert_ok(weft_machine_names(&names, &count));
  for (uint32_t n = 0; n < count; ++n) {
    char *relative = weft_format("models/machines/%s.yaml", names[n]), *path;
    assert_ok(weft_data_path(relative, &path));
    weft_mapping file;
    assert_ok(weft_mapping_open(path, &file));
    char *text = weft_format("%.*s", (int)file.size, (const char *)file.bytes);
    weft_mapping_close(&file);
    bool mesh = strstr(text, "device: mesh") != NULL;
    meshes += mesh;
    for (int i = 0; mesh && i < WEFT_MACHINE_FIELDS; ++i) {
      if (!of_mesh(&weft_machine_fields[i])) continue;
      char *key = weft_format("\n  %s: {value: ", weft_machine_fields[i].key);
      const char *found = strstr(text, key), *source = found ? strstr(found, ", source: ") : NULL;
      if (!source || memchr(found + 1, '\n', (size_t)(source - found - 1)))
        fail_msg("%s: no %s with a source", relative, weft_machine_fields[i].key);
      free(key);
    }
    free(text);
    free(path);
    free(relative);
    free(names[n]);
  }
  free(names);
  assert_true(meshes >= 9);
}

// Equal in every number: same hash, same YAML.
static void same(const weft_machine *a, const weft_machine *b) {
  assert_true(weft_machine_hash(a) == weft_machine_hash(b));
  char *x = weft_machine_spell(a), *y = weft_machine_spell(b);
  assert_string_equal(x, y);
  free(x);
  free(y);
}

static void round_trips(const weft_machine *m) {
  char *yaml = weft_machine_pack(m), *spelling = weft_machine_spell(m);
  weft_machine *from_yaml = NULL, *from_spelling = NULL;
  assert_ok(weft_machine_unpack(yaml, "packed.yaml", &from_yaml));
  assert_ok(weft_machine_read(spelling, &from_spelling));
  same(m, from_yaml);
  same(m, from_spelling);
  assert_string_equal(from_yaml->about, m->about);
  char *again = weft_machine_pack(from_yaml);
  assert_string_equal(again, yaml);
  free(again);
  free(yaml);
  free(spelling);
  weft_machine_destroy(from_yaml);
  weft_machine_destroy(from_spelling);
}

static void all_round_trip(void **state) {
  (void)state;
  char **names;
  uint32_t count;
  assert_ok(weft_machine_names(&names, &count));
  assert_true(count >= 10);
  for (uint32_t i = 0; i < count; ++i) {
    weft_machine *m = read_machine(names[i]);
    assert_string_equal(m->name, names[i]);
    round_trips(m);
    weft_machine_destroy(m);
    free(names[i]);
  }
  free(names);
}

// As `weft calibrate` makes them: odd numbers, a host, a curve.
static void measured_round_trips(void **state) {
  (void)state;
  weft_machine *m = weft_allocate(sizeof *m);
  *m = weft_machine_default();
  snprintf(m->name, sizeof m->name, "host");
  snprintf(m->about, sizeof m->about, "this \"computer\", measured: \\o/ #1");
  m->kind = WEFT_ROOFLINE;
  m->measured = true;
  weft_machine_host_identity(m->host);
  m->roofline.f32_flops_per_second = 123456789012.34567;
  m->roofline.step_seconds = 1.0 / 3 * 1e-6;
  m->roofline.shared_cores = true;
  m->roofline.rates = weft_allocate_array(200, sizeof *m->roofline.rates);
  m->roofline.rate_count = 200;
  for (uint32_t i = 0; i < 200; ++i)
    m->roofline.rates[i] = (weft_rate){.op = (weft_op)(i % WEFT_OP_COUNT),
                                       .dtype = i % 2 ? WEFT_BF16 : WEFT_F32,
                                       .rows = 1 + i,
                                       .flops = 2.0 * i * i * 1e7 / 3,
                                       .bytes = 1e6 * i + 0.0,
                                       .seconds = 1e-7 * (i + 1) / 7};
  assert_ok(weft_machine_check(m));
  round_trips(m);
  weft_machine_destroy(m);
}

static void spelled(void **state) {
  (void)state;
  weft_machine *m = read_machine("mesh:16x12 sram:1MiB clock:1GHz io:10GB/s layer:1ms");
  assert_true(m->mesh.columns == 16 && m->mesh.rows == 12 && m->mesh.sram_bytes_per_core == 1 << 20 &&
              m->mesh.clock_hz == 1e9);
  assert_true(m->io_in_bytes_per_second == 10e9 && m->io_out_bytes_per_second == 10e9 && m->layer_seconds == 1e-3);
  assert_true(m->mesh.f16_per_cycle == 4 && m->mesh.reserved_bytes_per_core == 8192);
  weft_machine_destroy(m);
  m = read_machine(
      "mesh:4x3 start:12cycles scalar:2cycles branch:7cycles loop:9cycles map:3cycles mapstart:17cycles task:5cycles "
      "end:1cycle microthread:4cycles fabricstart:10cycles fabriclatency:6cycles f32mul:0.5/cycle f16mul:2.92/cycle "
      "f32move:4/cycle f16move:8/cycle other:3/cycle divide:51cycles function:61cycles sum:2.5cycles conflict:1.94 "
      "halfconflict:3 routerqueue:16words receivequeue:24words sendqueue:1word turn:20cycles hostin:1.5cycles "
      "hostout:2.5cycles hostword:22cycles");
  const weft_core_times *t = &m->mesh.times;
  const double said[] = {t->start_cycles,
                         t->scalar_cycles,
                         t->branch_cycles,
                         t->loop_cycles,
                         t->map_cycles,
                         t->map_startup_cycles,
                         t->task_cycles,
                         t->end_cycles,
                         t->microthread_cycles,
                         t->fabric_startup_cycles,
                         t->fabric_latency_cycles,
                         t->f32_multiply,
                         t->f16_multiply,
                         t->f32_move,
                         t->f16_move,
                         t->other_per_cycle,
                         t->divide_cycles,
                         t->function_cycles,
                         t->sum_cycles,
                         t->conflict_factor,
                         t->half_conflict_factor,
                         t->router_queue_words,
                         t->receive_queue_words,
                         t->send_queue_words,
                         t->turn_cycles,
                         t->host_in_cycles,
                         t->host_out_cycles,
                         t->host_word_cycles};
  const double meant[] = {12, 2, 7,  9,  3,   17,   5, 1,  4,  10, 6,  0.5, 2.92, 4,
                          8,  3, 51, 61, 2.5, 1.94, 3, 16, 24, 1,  20, 1.5, 2.5,  22};
  assert_int_equal(sizeof said, sizeof meant);
  assert_int_equal(sizeof said, sizeof *t);  // every constant has a word
  for (size_t i = 0; i < sizeof said / sizeof *said; ++i) assert_true(said[i] == meant[i]);
  round_trips(m);
  weft_machine_destroy(m);
  m = read_machine("roofline:1TFLOP/s f32:500GFLOP/s memory:16GiB shared:true rate:linear,f32,64,1e9,1MB,2ms");
  assert_true(m->roofline.bf16_flops_per_second == 1e12 && m->roofline.f32_flops_per_second == 5e11 &&
              m->roofline.shared_cores);
  assert_true(m->roofline.rate_count == 1 && m->roofline.rates[0].seconds == 2e-3 &&
              m->roofline.rates[0].op == WEFT_OP_LINEAR);
  weft_machine_destroy(m);
}

static void refuse(const char *where, const char *first, const char *second) {
  weft_machine *m = NULL;
  assert_refused(weft_machine_read(where, &m), first, second);
  assert_null(m);
}

static void spelling_refusals(void **state) {
  (void)state;
  refuse("cs4", "nearest name is \"cs", "mesh:8x8");
  refuse("mesh:8x8 srm:48KiB", "column 10, \"srm:48KiB\"", "\"sram\"");
  refuse("mesh:8x8 clock:850", "no unit", "850 MHz");
  refuse("mesh:8x8 clock:850MB", "a size in bytes", "a frequency is needed");
  refuse("mesh:8", "columns x rows", "");
  refuse("mesh:0x8", "\"0\"", "from 1 to 16384");
  refuse("mesh:8x8.5", "\"8.5\"", "whole number");
  refuse("mesh:8x8 mesh:4x4", "stands twice", "");
  refuse("mesh:8x8 clock:1GHz clock:2GHz", "stands twice", "column 21");
  refuse("mesh:8x8 roofline:1TFLOP/s", "only the first word", "");
  refuse("mesh:8x8 memory:8GB", "only machines with a roofline", "");
  refuse("mesh:8x8 reserved:48KiB", "nothing is left for tensors", "");
  refuse("grid:8x8", "begins with mesh:", "roofline:");
  refuse("mesh:8x8 clock", "key:value", "");
  refuse("roofline:1TFLOP/s rate:linear,f32,1", "six parts", "");
  refuse("roofline:1TFLOP/s rate:linea,f32,1,1,1B,1s", "unknown op \"linea\"", "linear");
  refuse("roofline:1TFLOP/s rate:linear,f32,1,1,1B,0s", "rate 0 is impossible", "");
  refuse("mesh:8x8 name:a,b", "one word", "");
  refuse("mesh:8x8 sendqueue:3", "no unit", "8 words");
  refuse("mesh:8x8 sendqueue:3cycles", "a number of cycles", "a number of 32-bit words is needed");
  refuse("mesh:8x8 sendqueue:0words", "1 word to", "");
  refuse("mesh:8x8 loop:16", "no unit", "7 cycles");
  refuse("mesh:8x8 f32mul:2cycles", "a number of cycles", "a rate per cycle is needed");
  refuse("mesh:8x8 conflict:2x", "something after the number", "");
  refuse("mesh:8x8 conflict:0.5", "from 1 to 1000", "");
  refuse("mesh:8x8 fabricstartup:1cycle", "\"fabricstart\"", "");
  refuse("roofline:1TFLOP/s loop:3cycles", "only machines with a core", "");
}

// A right file with `from` replaced by `to` is refused with both words.
static void refuse_yaml(const char *from, const char *to, const char *first, const char *second) {
  weft_machine *right = read_machine("mesh-4x4"), *m = NULL;
  char *yaml = weft_machine_pack(right), *found = strstr(yaml, from);
  if (!found) fail_msg("\"%s\" is not in the file", from);
  char *broken = weft_format("%.*s%s%s", (int)(found - yaml), yaml, to, found + strlen(from));
  assert_refused(weft_machine_unpack(broken, "m.yaml", &m), first, second);
  assert_null(m);
  free(broken);
  free(yaml);
  weft_machine_destroy(right);
}

static void yaml_refusals(void **state) {
  (void)state;
  refuse_yaml("clock:", "clok:", "m.yaml:7:3: unknown key \"clok\"", "\"clock\"");
  refuse_yaml("store:", "stor:", "unknown key \"stor\"", "\"store\"");
  refuse_yaml("{value: 850 MHz", "{valu: 850 MHz", "m.yaml:7:11: unknown key \"valu\"", "\"value\"");
  refuse_yaml("850 MHz", "850 MB", "m.yaml:7:11: mesh.clock", "a frequency is needed");
  refuse_yaml("850 MHz", "850 GHz", "m.yaml:7:11: mesh.clock", "1 kHz to 100 GHz");
  refuse_yaml("device: mesh", "device: mush", "\"mush\" is no kind of device", "m.yaml:3:1");
  refuse_yaml("device: mesh", "device: roofline", "has no such section", "mesh.columns");
  refuse_yaml("{value: 850 MHz, source: \"see mesh-4x4.yaml\"}", "{value: 850 MHz}", "\"source\" is missing",
              "estimate");
  refuse_yaml("{value: 850 MHz, source: \"see mesh-4x4.yaml\"}", "850 MHz", "m.yaml:7:10", "MAPPING");
  refuse_yaml("name:", "nam:", "unknown key \"nam\"", "\"name\"");
  refuse_yaml("  banks: {value: 8, source: \"see mesh-4x4.yaml\"}\n", "", "banks: missing", "mesh");
  refuse_yaml("  rows:", "  columns:", "already seen", "columns");
  refuse_yaml("mesh:\n", "mesh: [\n", "m.yaml:", "");
  refuse_yaml("value: 14 cycles", "value: 14", "core.loop", "no unit");
  refuse_yaml("value: 3 words", "value: 3 cycles", "m.yaml:46:16: core.send_queue",
              "a number of 32-bit words is needed");
  refuse_yaml("value: 41 cycles", "value: 41 /cycle", "core.map_startup", "a number of cycles is needed");
  refuse_yaml("  map_startup:", "  map_start:", "unknown key \"map_start\"", "\"map_startup\"");
  refuse_yaml("  turn: {value: 0 cycles, source: \"see mesh-4x4.yaml\"}", "  turn: {value: 0 cycles}",
              "\"source\" is missing", "estimate");
  weft_machine *m = NULL;
  assert_refused(weft_machine_unpack("", "m.yaml", &m), "empty", "name");
}

// A section that need not stand has the default's values.
static void core_may_be_left_out(void **state) {
  (void)state;
  weft_machine *whole = read_machine("mesh-4x4"), *m = NULL;
  char *yaml = weft_machine_pack(whole), *core = strstr(yaml, "core:\n"), *end = strstr(yaml, "io:\n");
  assert_non_null(core);
  assert_non_null(end);
  memmove(core, end, strlen(end) + 1);
  assert_ok(weft_machine_unpack(yaml, "m.yaml", &m));
  assert_true(weft_machine_hash(m) == weft_machine_hash(whole));
  free(yaml);
  weft_machine_destroy(whole);
  weft_machine_destroy(m);
}

static void printed_with_core(void **state) {
  (void)state;
  weft_machine *m = read_machine("wse3");
  char *text = NULL;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  weft_machine_print(m, out);
  fclose(out);
  static const char *const lines[] = {"\ncore\n",  " fabric_startup ", "10 cycles",
                                      " 8 words ", "2.92 /cycle",      " half_conflict_factor "};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; ++i)
    if (!strstr(text, lines[i])) fail_msg("\"%s\" is not in\n%s", lines[i], text);
  free(text);
  weft_machine_destroy(m);
}

static void identity(void **state) {
  (void)state;
  char a[64], b[64];
  weft_machine_host_identity(a);
  weft_machine_host_identity(b);
  assert_string_equal(a, b);
  assert_true(strlen(a) > 8 && !strpbrk(a, " :,"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_numbers),
                                     cmocka_unit_test(all_round_trip),
                                     cmocka_unit_test(measured_round_trips),
                                     cmocka_unit_test(spelled),
                                     cmocka_unit_test(spelling_refusals),
                                     cmocka_unit_test(yaml_refusals),
                                     cmocka_unit_test(identity),
                                     cmocka_unit_test(core_times),
                                     cmocka_unit_test(wafers_agree),
                                     cmocka_unit_test(meshes_are_complete),
                                     cmocka_unit_test(core_may_be_left_out),
                                     cmocka_unit_test(printed_with_core)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
