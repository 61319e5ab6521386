// Machines: known numbers, round trips through YAML and spellings, and refusals with place and nearest key.
#include "models/machine.h"

#include <math.h>

#include "base/memory.h"
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
  assert_true(m->layer_seconds == 2.7e-3 && m->max_systems == 192 && m->swarm_fan_out == 4);
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
  weft_machine *m = NULL;
  assert_refused(weft_machine_unpack("", "m.yaml", &m), "empty", "name");
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
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_numbers), cmocka_unit_test(all_round_trip),    cmocka_unit_test(measured_round_trips),
      cmocka_unit_test(spelled),       cmocka_unit_test(spelling_refusals), cmocka_unit_test(yaml_refusals),
      cmocka_unit_test(identity)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
