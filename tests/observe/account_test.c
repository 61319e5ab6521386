// Laws of what is said of cores, on kernels of every kind: busy and stalled cycles add up to the run; what an observer
// is told equals the accounts, lies inside each other as sim/mesh.h says, and changes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "compiler/kernels/collectives.h"
#include "compiler/kernels/layers.h"
#include "compiler/kernels/products.h"
#include "sim/mesh.h"

#include <cmocka.h>

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}

// What the events of one core add up to.
typedef struct seen {
  uint64_t in_tasks, stalls[WEFT_STALLS], stall_count, hops[WEFT_PORTS];
  uint64_t instruction_end, task_end, stall_end, first_inside;  // first_inside: of what the next task must contain
} seen;
typedef struct rig {
  const char *name;
  weft_machine *machine;
  const weft_kernel *kernel;
  const weft_product *streamed;  // its weights come by channels; NULL: nothing but zeros does
  seen *cores;
  weft_mesh_observer observer;
} rig;

static seen *core_of(rig *r, uint32_t x, uint32_t y) { return &r->cores[(size_t)y * r->kernel->columns + x]; }

static void inside(seen *s, uint64_t begin, uint64_t end, uint64_t *last) {
  assert_true(begin < end && begin >= *last);
  *last = end;
  if (begin < s->first_inside) s->first_inside = begin;
}

static void take_task(void *context, const weft_task_event *e) {
  seen *s = core_of(context, e->x, e->y);
  assert_true(e->begin < e->end && e->begin >= s->task_end);
  assert_true(e->begin <= s->first_inside && s->instruction_end <= e->end && s->stall_end <= e->end);
  s->in_tasks += e->end - e->begin;
  s->task_end = e->end;
  s->first_inside = UINT64_MAX;
}

static void take_core(void *context, const weft_core_event *e) {
  seen *s = core_of(context, e->x, e->y);
  if (!e->microthread) inside(s, e->begin, e->end, &s->instruction_end);
}

static void take_stall(void *context, const weft_stall_event *e) {
  seen *s = core_of(context, e->x, e->y);
  assert_true(e->why < WEFT_STALL_IDLE);
  assert_true((e->why == WEFT_STALL_MICROTHREAD) == (e->colour == WEFT_NOTHING));
  if (e->microthread != WEFT_NOTHING) return;
  inside(s, e->begin, e->end, &s->stall_end);
  s->stalls[e->why] += e->end - e->begin;
  ++s->stall_count;
}

static void take_hop(void *context, const weft_hop_event *e) {
  assert_true(e->since <= e->cycle);
  ++core_of(context, e->x, e->y)->hops[e->port];
}

// Weights of the streamed product, all 1: f32 values in channels of their own behind those of the indices.
static void fill_stream(const weft_product *product, uint32_t channel, uint32_t *words) {
  uint32_t rows = product->options.rows, y = channel % rows;
  float *weights = weft_allocate_array((size_t)product->options.m * product->options.k, sizeof *weights);
  for (size_t w = 0; w < (size_t)product->options.m * product->options.k; ++w) weights[w] = 1;
  uint64_t count = weft_product_stream(product, weights, y, NULL, NULL);
  uint32_t *indices = weft_allocate_array(count, sizeof *indices), *values = weft_allocate_array(count, sizeof *values);
  weft_product_stream(product, weights, y, indices, values);
  memcpy(words, channel < rows ? indices : values, (count - (channel >= rows)) * sizeof *words);
  free(weights);
  free(indices);
  free(values);
}

static weft_mesh_sim *play(const rig *r, const weft_mesh_observer *observer, weft_mesh_report *report) {
  weft_mesh_options options = weft_mesh_options_default();
  options.observer = observer;
  weft_mesh_sim *mesh = NULL;
  must(weft_mesh_open(r->kernel, r->machine, &options, &mesh));
  void **words = weft_allocate_array(r->kernel->channel_count + 1, sizeof *words);
  for (uint32_t c = 0; c < r->kernel->channel_count; ++c) {
    const weft_channel *channel = &r->kernel->channels[c];
    words[c] = weft_allocate_array(channel->words, sizeof(uint32_t));
    if (r->streamed && channel->into_mesh) fill_stream(r->streamed, c, words[c]);
    must(channel->into_mesh ? weft_mesh_feed(mesh, c, words[c], channel->words)
                            : weft_mesh_drain(mesh, c, words[c], channel->words));
  }
  weft_status status = weft_mesh_run(mesh, report);
  if (status) fail_msg("%s: %s", r->name, weft_status_message(status));
  for (uint32_t c = 0; c < r->kernel->channel_count; ++c) free(words[c]);
  free(words);
  return mesh;
}

static void check_core(const rig *r, const weft_mesh_sim *mesh, uint32_t x, uint32_t y, uint64_t cycles) {
  const seen *s = core_of((rig *)(uintptr_t)r, x, y);
  weft_core_account a = weft_mesh_core(mesh, x, y);
  uint64_t all = a.busy_cycles, idle = cycles - s->in_tasks;
  for (int w = 0; w < WEFT_STALLS; ++w) all += a.stall_cycles[w];
  if (all == 0) return;  // no program
  if (all != cycles || a.stall_cycles[WEFT_STALL_IDLE] != idle)
    fail_msg("%s, core (%u, %u): %llu cycles are accounted for, %llu idle; the run took %llu, of which %llu no task",
             r->name, x, y, (unsigned long long)all, (unsigned long long)a.stall_cycles[WEFT_STALL_IDLE],
             (unsigned long long)cycles, (unsigned long long)idle);
  // Events are of whole cycles, waiting is counted in 1/256: every stall may be rounded by less than one.
  for (int w = 0; w < WEFT_STALL_IDLE; ++w) {
    uint64_t told = s->stalls[w], counted = a.stall_cycles[w], apart = told > counted ? told - counted : counted - told;
    if (apart > 0)
      fail_msg("%s, core (%u, %u): %llu cycles of stall %s, events of %llu", r->name, x, y, (unsigned long long)counted,
               weft_stall_name((weft_stall)w), (unsigned long long)told);
  }
  for (int port = 0; port < WEFT_PORTS; ++port)
    assert_int_equal(s->hops[port], weft_mesh_link(mesh, x, y, (weft_port)port));
}

static void keeps_account_with(const char *name, weft_kernel *kernel, const weft_product *streamed) {
  rig r = {.name = name, .kernel = kernel, .streamed = streamed};
  must(weft_kernel_check(kernel, 49152));
  must(weft_machine_read("wse2", &r.machine));
  size_t cores = (size_t)kernel->columns * kernel->rows;
  r.cores = weft_allocate_array(cores, sizeof *r.cores);
  for (size_t c = 0; c < cores; ++c) r.cores[c].first_inside = UINT64_MAX;
  weft_mesh_observer observer = {.context = &r,
                                 .where = weft_block_of(0, kernel->columns, 0, kernel->rows),
                                 .end = UINT64_MAX,
                                 .task = take_task,
                                 .core = take_core,
                                 .stall = take_stall,
                                 .hop = take_hop};
  weft_mesh_report alone, observed;
  weft_mesh_sim *quick = play(&r, NULL, &alone), *watched = play(&r, &observer, &observed);
  assert_true(alone.hash == observed.hash);
  for (uint32_t y = 0; y < kernel->rows; ++y)
    for (uint32_t x = 0; x < kernel->columns; ++x) {
      weft_core_account a = weft_mesh_core(quick, x, y), b = weft_mesh_core(watched, x, y);
      assert_memory_equal(&a, &b, sizeof a);
      check_core(&r, watched, x, y, observed.cycles);
    }
  weft_mesh_close(quick);
  weft_mesh_close(watched);
  weft_machine_destroy(r.machine);
  weft_kernel_destroy(kernel);
  free(r.cores);
}

static void keeps_account(const char *name, weft_kernel *kernel) { keeps_account_with(name, kernel, NULL); }

static void collectives_keep_account(void **state) {
  (void)state;
  static const uint32_t meshes[][2] = {{6, 1}, {5, 4}};
  for (size_t m = 0; m < sizeof meshes / sizeof *meshes; ++m) {
    weft_collective what = weft_collective_default(meshes[m][0], meshes[m][1], 24);
    weft_kernel *k = NULL;
    for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p) {
      what.pattern = (weft_reduce_pattern)p;
      must(weft_reduce_kernel(&what, &k));
      keeps_account(weft_reduce_pattern_name(what.pattern), k);
      must(weft_all_reduce_kernel(&what, &k));
      keeps_account(weft_reduce_pattern_name(what.pattern), k);
    }
    must(weft_broadcast_kernel(&what, &k));
    keeps_account("broadcast", k);
    must(weft_ring_kernel(&what, &k));
    keeps_account("ring", k);
  }
  weft_kernel *k = NULL;
  must(weft_path_kernel(9, 3, 16, &k));
  keeps_account("path", k);
  must(weft_relay_kernel(5, 16, &k));
  keeps_account("relay", k);
}

static void products_keep_account(void **state) {
  (void)state;
  for (int kind = 0; kind < WEFT_PRODUCT_KINDS; ++kind) {
    uint32_t side = kind == WEFT_GEMV_CORE ? 1 : 4;
    weft_product_options options = weft_product_options_default((weft_product_kind)kind, side, side);
    options.m = 14;
    options.k = 10;
    options.n = kind == WEFT_GEMV_CORE || kind == WEFT_GEMV_MESH ? 1 : 9;
    weft_product product;
    weft_kernel *k = NULL;
    must(weft_product_plan(&options, &product));
    must(weft_product_kernel(&product, &k));
    keeps_account_with(weft_product_kind_name(options.kind), k, kind == WEFT_GEMM_STREAMED ? &product : NULL);
  }
}

static void layers_keep_account(void **state) {
  (void)state;
  static const weft_dtype types[] = {WEFT_F32, WEFT_F16};
  for (size_t t = 0; t < 2; ++t) {
    const weft_layer_mesh mesh = {.columns = 3, .rows = 4, .dtype = types[t]};
    const weft_layer_product product = {.tokens = 10, .in = 7, .out = 8, .scale = 0.3f, .bias = true};
    const weft_layer_norm norm = {.tokens = 10, .columns = 7, .epsilon = 1e-5f, .centred = true, .bias = true};
    const weft_layer_attention attention = {
        .batch = 2, .tokens = 5, .room = 5, .kv_heads = 2, .lanes = 2, .head_dim = 4, .scale = 0.5f, .causal = true};
    keeps_account("product", weft_layer_make_product(&mesh, &product));
    keeps_account("norm", weft_layer_make_norm(&mesh, &norm));
    keeps_account("attention", weft_layer_make_attention(&mesh, &attention));
    keeps_account("attention backward", weft_layer_make_attention_backward(&mesh, &attention));
    keeps_account("loss", weft_layer_make_cross_entropy(&mesh, 10, 11));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(collectives_keep_account),
                                     cmocka_unit_test(products_keep_account), cmocka_unit_test(layers_keep_account)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
