// The same cycles, counts and bytes on every computer, with one thread and with two: hashes of whole results, written
// down. Whoever changes what the mesh computes or how long it takes changes these numbers, and should know why.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "compiler/kernels/collectives.h"
#include "compiler/kernels/products.h"
#include "sim/mesh.h"
#include "tests/observe/permutation.h"

#include <cmocka.h>

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

// Every input array of every core gets small numbers, exact in all dtypes and sums.
static void write_inputs(const weft_kernel *kernel, weft_mesh_sim *mesh) {
  for (uint32_t p = 0; p < kernel->program_count; ++p) {
    const weft_program *program = &kernel->programs[p];
    for (uint32_t b = 0; b < program->block_count; ++b) {
      const weft_block *block = &program->blocks[b];
      for (uint32_t y = block->y; y < block->y_end; y += block->step_y) {
        for (uint32_t x = block->x; x < block->x_end; x += block->step_x) {
          for (uint32_t a = 0; a < program->array_count; ++a) {
            const weft_array *array = &program->arrays[a];
            if (!array->input) continue;
            float *values = weft_allocate_array(array->length, sizeof *values);
            for (uint32_t e = 0; e < array->length; ++e)
              values[e] = (float)(int)(weft_random_bits(a, (uint64_t)y << 32 | x, e) % 15) - 7;
            weft_status status = weft_mesh_write_f32(mesh, x, y, array->name, values, array->length);
            weft_status_free(status);  // the core belongs to a later program's block
            free(values);
          }
        }
      }
    }
  }
}

static weft_mesh_report play(weft_kernel *kernel, uint32_t threads) {
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.most_cycles = 10000000;
  weft_mesh_sim *mesh = NULL;
  must(weft_mesh_open(kernel, machine, &options, &mesh));
  write_inputs(kernel, mesh);
  weft_mesh_report report;
  must(weft_mesh_run(mesh, &report));
  weft_mesh_close(mesh);
  weft_machine_destroy(machine);
  return report;
}

static void expect(weft_kernel *kernel, uint64_t hash) {
  must(weft_kernel_check(kernel, 0));
  weft_mesh_report one = play(kernel, 1), two = play(kernel, 2);
  assert_true(one.link_hops > 0);
  assert_int_equal(one.cycles, two.cycles);
  assert_int_equal(one.link_hops, two.link_hops);
  assert_true(one.hash == two.hash);
  if (one.hash != hash)
    fail_msg("%s: 0x%016llx in %llu cycles, written down is 0x%016llx", kernel->name, (unsigned long long)one.hash,
             (unsigned long long)one.cycles, (unsigned long long)hash);
  weft_kernel_destroy(kernel);
}

static void broadcast(void **state) {
  (void)state;
  weft_collective what = weft_collective_default(40, 50, 100);
  weft_kernel *kernel = NULL;
  must(weft_broadcast_kernel(&what, &kernel));
  expect(kernel, UINT64_C(0xfb44c0b9d43def6f));
}

static void all_reduce(void **state) {
  (void)state;
  weft_collective what = weft_collective_default(33, 64, 50);
  weft_kernel *kernel = NULL;
  must(weft_all_reduce_kernel(&what, &kernel));
  expect(kernel, UINT64_C(0x4b5110e737f6a8b5));
}

static void permutation(void **state) {
  (void)state;
  expect(weft_permutation_kernel(70, 100, 60, 1), UINT64_C(0xb37477efd17cc931));
}

static void summa(void **state) {
  (void)state;
  weft_product_options options = weft_product_options_default(WEFT_GEMM_SUMMA, 32, 32);
  options.m = options.k = options.n = 96;
  weft_product product;
  must(weft_product_plan(&options, &product));
  weft_kernel *kernel = NULL;
  must(weft_product_kernel(&product, &kernel));
  expect(kernel, UINT64_C(0x4f21075a6920501f));
}

// The traffic that the benchmark calls a permutation is one: everyone has the words of its sender.
static void permutation_arrives(void **state) {
  (void)state;
  enum { COLUMNS = 64, ROWS = 70, WORDS = 5, SEED = 9 };
  weft_kernel *kernel = weft_permutation_kernel(COLUMNS, ROWS, WORDS, SEED);
  must(weft_kernel_check(kernel, 0));
  weft_machine *machine = NULL;
  must(weft_machine_read("wse2", &machine));
  weft_mesh_options options = weft_mesh_options_default();
  weft_mesh_sim *mesh = NULL;
  must(weft_mesh_open(kernel, machine, &options, &mesh));
  for (uint32_t y = 0; y < 64; ++y)
    for (uint32_t x = 0; x < COLUMNS; ++x)
      must(weft_mesh_write_f32(mesh, x, y, "out", (float[WORDS]){(float)x, (float)y, 1, 2, (float)(x * y)}, WORDS));
  weft_mesh_report report;
  must(weft_mesh_run(mesh, &report));
  for (uint32_t y = 0; y < 64; ++y) {
    for (uint32_t x = 0; x < COLUMNS; ++x) {
      uint32_t from_x = 0, from_y = 0;
      weft_permutation_sender(SEED, x, y, &from_x, &from_y);
      float in[WORDS];
      must(weft_mesh_read_f32(mesh, x, y, "in", in, WORDS));
      assert_true(in[0] == (float)from_x && in[1] == (float)from_y && in[4] == (float)(from_x * from_y));
      assert_true(from_x != x || from_y != y);
    }
  }
  weft_mesh_close(mesh);
  weft_kernel_destroy(kernel);
  weft_machine_destroy(machine);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(broadcast), cmocka_unit_test(all_reduce),
                                     cmocka_unit_test(permutation), cmocka_unit_test(summa),
                                     cmocka_unit_test(permutation_arrives)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
