#include "tests/collectives/rig.h"

static float values[65536];

void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

void must_fail(weft_status status, const char *text) {
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  if (!strstr(weft_status_message(status), text)) fail_msg("\"%s\" lacks \"%s\"", weft_status_message(status), text);
  weft_status_free(status);
}

float given(const weft_collective *what, uint32_t core, uint32_t i) {
  uint32_t mixed = core * 7 + i * 5 + core * i % 3;
  return what->dtype == WEFT_F32 ? (float)(mixed % 23) - 9 : (float)(mixed % 3) - 1;
}

float sum_of(const weft_collective *what, uint32_t first_core, uint32_t cores, uint32_t i) {
  float sum = 0;
  for (uint32_t core = first_core; core < first_core + cores; ++core) sum += given(what, core, i);
  return sum;
}

static const weft_machine *wse2(void) {
  static weft_machine *machine;
  if (!machine) must(weft_machine_read("wse2", &machine));
  return machine;
}

rig run_kernel(const weft_collective *what, uint32_t elements, weft_kernel *kernel, uint32_t threads) {
  rig r = {.what = *what, .elements = elements, .kernel = kernel};
  must(weft_kernel_check(kernel, 48 * 1024));
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = threads;
  options.most_cycles = 100000000;
  must(weft_mesh_open(kernel, wse2(), &options, &r.mesh));
  assert_true(elements <= sizeof values / sizeof *values);
  for (uint32_t core = 0; core < what->columns * what->rows; ++core) {
    for (uint32_t i = 0; i < elements; ++i) values[i] = given(what, core, i);
    must(weft_mesh_write_f32(r.mesh, core % what->columns, core / what->columns, "data", values, elements));
  }
  must(weft_mesh_run(r.mesh, &r.report));
  return r;
}

rig run_reduce(const weft_collective *what, uint32_t threads) {
  weft_kernel *kernel;
  must(weft_reduce_kernel(what, &kernel));
  return run_kernel(what, weft_collective_elements(what), kernel, threads);
}

rig run_all_reduce(const weft_collective *what, uint32_t threads) {
  weft_kernel *kernel;
  must(weft_all_reduce_kernel(what, &kernel));
  return run_kernel(what, weft_collective_elements(what), kernel, threads);
}

rig run_broadcast(const weft_collective *what, uint32_t threads) {
  weft_kernel *kernel;
  must(weft_broadcast_kernel(what, &kernel));
  return run_kernel(what, weft_collective_elements(what), kernel, threads);
}

rig run_ring(const weft_collective *what, uint32_t threads) {
  weft_kernel *kernel;
  must(weft_ring_kernel(what, &kernel));
  return run_kernel(what, weft_ring_elements(what), kernel, threads);
}

const float *data_at(rig *r, uint32_t x, uint32_t y) {
  must(weft_mesh_read_f32(r->mesh, x, y, "data", values, r->elements));
  return values;
}

void end_rig(rig *r) {
  weft_mesh_close(r->mesh);
  weft_kernel_destroy(r->kernel);
}

uint64_t cycles_of(rig r) {
  end_rig(&r);
  return r.report.cycles;
}

uint32_t colours_of(const weft_kernel *kernel) {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < kernel->route_count; ++i) seen |= 1u << kernel->routes[i].colour;
  return (uint32_t)__builtin_popcount(seen);
}
