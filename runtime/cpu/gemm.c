// Matrix products: a fixed grid of tiles, each a single-threaded call of oneDNN.
#include <assert.h>
#include <dnnl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/cpu/cpu.h"

// A bf16 product of one tile shape.
typedef struct product_entry {
  uint64_t m, n, k, a_stride, b_stride, c_stride;
  bool a_across, b_across;
  dnnl_primitive_t primitive;
  dnnl_memory_desc_t a, b, c, scratch;
  size_t scratch_bytes;
} product_entry;

struct cpu_products {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  product_entry **entries;
  size_t count;
};

typedef struct tile_grid {
  uint64_t rows, columns;  // of one tile
  uint64_t tiles_down, tiles_across;
} tile_grid;

static uint64_t pieces(uint64_t count, uint64_t size) { return (count + size - 1) / size; }
static uint64_t even_size(uint64_t count, uint64_t most) {
  uint64_t size = pieces(count, pieces(count, most));
  return (size + 15) / 16 * 16;
}

// Sizes were measured (tests/bench/ops.c): 256 x 384 is within some percent of the best for weights as right operands;
// weight gradients have a short inner dimension, where wide tiles pack less. Tiles are
// cut further until there are two for every processing unit: a stream thread takes a core now and then, and whoever has
// another core then takes over the rest.
static tile_grid coarse_grid(const cpu_product *p, uint32_t units) {
  uint64_t rows = p->a_across ? 192 : 256, columns = p->a_across ? 768 : 128;
  tile_grid g;
  for (;;) {
    g.rows = even_size(p->m, rows);
    g.columns = even_size(p->n, columns);
    g.tiles_down = pieces(p->m, g.rows);
    g.tiles_across = pieces(p->n, g.columns);
    uint64_t tiles = g.tiles_down * g.tiles_across;
    if (tiles >= 2 * units || (tiles >= units && rows <= 128 && columns <= 192) || (rows <= 64 && columns <= 96))
      return g;
    if (columns > 96 && columns >= rows)
      columns /= 2;
    else if (rows > 64)
      rows /= 2;
    else
      columns /= 2;
  }
}

// With few tiles per unit, a number that does not divide among the units leaves some of them idle: narrower tiles then.
static tile_grid grid_of(const cpu_product *p, uint32_t units) {
  tile_grid g = coarse_grid(p, units);
  for (uint64_t across = g.tiles_across; g.tiles_down * g.tiles_across % units != 0; ++across) {
    if (g.tiles_down * across >= 4ull * units || p->n / across < 96) break;
    g.columns = even_size(p->n, pieces(p->n, across));
    g.tiles_across = pieces(p->n, g.columns);
  }
  return g;
}

bool weft_cpu_multiplies_bf16(void) { return dnnl_get_effective_cpu_isa() == dnnl_cpu_isa_avx512_core_amx; }

const char *weft_cpu_product_isa(void) {
  static const struct {
    dnnl_cpu_isa_t isa;
    const char *name;
  } names[] = {
      {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
      {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
      {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
      {dnnl_cpu_isa_avx512_core, "avx512_core"},
      {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
      {dnnl_cpu_isa_avx2, "avx2"},
      {dnnl_cpu_isa_avx, "avx"},
      {dnnl_cpu_isa_sse41, "sse41"},
  };
  dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (names[i].isa == isa) return names[i].name;
  return "generic";
}

void weft_cpu_products_destroy(cpu_products *products) {
  if (!products) return;
  for (size_t i = 0; i < products->count; ++i) {
    dnnl_primitive_destroy(products->entries[i]->primitive);
    free(products->entries[i]);
  }
  free(products->entries);
  if (products->stream) dnnl_stream_destroy(products->stream);
  if (products->engine) dnnl_engine_destroy(products->engine);
  free(products);
}

static weft_status open_products(cpu_lane *lane) {
  if (lane->products) return NULL;
  lane->products = weft_allocate(sizeof *lane->products);
  if (dnnl_engine_create(&lane->products->engine, dnnl_cpu, 0) != dnnl_success ||
      dnnl_stream_create(&lane->products->stream, lane->products->engine, dnnl_stream_default_flags) != dnnl_success)
    return weft_error(WEFT_FAILED, "oneDNN cannot open the processor");
  return NULL;
}

static dnnl_status_t describe_matrix(dnnl_memory_desc_t *md, uint64_t rows, uint64_t columns, uint64_t stride,
                                     bool across, dnnl_data_type_t type) {
  dnnl_dims_t sizes = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
  dnnl_dims_t strides = {across ? 1 : (dnnl_dim_t)stride, across ? (dnnl_dim_t)stride : 1};
  return dnnl_memory_desc_init_by_strides(md, 2, sizes, type, strides);
}

static dnnl_status_t build(product_entry *e, dnnl_engine_t engine) {
  dnnl_status_t bad = describe_matrix(&e->a, e->m, e->k, e->a_stride, e->a_across, dnnl_bf16);
  bad |= describe_matrix(&e->b, e->k, e->n, e->b_stride, e->b_across, dnnl_bf16);
  bad |= describe_matrix(&e->c, e->m, e->n, e->c_stride, false, dnnl_f32);
  dnnl_matmul_desc_t description;
  dnnl_primitive_attr_t attributes;
  dnnl_primitive_desc_t chosen;
  if (bad) return bad;
  if ((bad = dnnl_matmul_desc_init(&description, &e->a, &e->b, NULL, &e->c))) return bad;
  if ((bad = dnnl_primitive_attr_create(&attributes))) return bad;
  bad = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (!bad) bad = dnnl_primitive_desc_create(&chosen, &description, attributes, engine, NULL);
  dnnl_primitive_attr_destroy(attributes);
  if (bad) return bad;
  e->scratch = *dnnl_primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);
  e->scratch_bytes = dnnl_memory_desc_get_size(&e->scratch);
  bad = dnnl_primitive_create(&e->primitive, chosen);
  dnnl_primitive_desc_destroy(chosen);
  return bad;
}

static weft_status find_entry(cpu_products *all, const cpu_product *p, uint64_t m, uint64_t n, uint64_t c_stride,
                              const product_entry **out_entry) {
  for (size_t i = 0; i < all->count; ++i) {
    const product_entry *e = all->entries[i];
    if (e->m == m && e->n == n && e->k == p->k && e->a_stride == p->a_stride && e->b_stride == p->b_stride &&
        e->c_stride == c_stride && e->a_across == p->a_across && e->b_across == p->b_across) {
      *out_entry = e;
      return NULL;
    }
  }
  product_entry *e = weft_allocate(sizeof *e);
  *e = (product_entry){.m = m,
                       .n = n,
                       .k = p->k,
                       .a_stride = p->a_stride,
                       .b_stride = p->b_stride,
                       .c_stride = c_stride,
                       .a_across = p->a_across,
                       .b_across = p->b_across};
  dnnl_status_t bad = dnnl_success;
  // A primitive is made for the number of threads in force: one, as it will run inside a tile.
#pragma omp parallel num_threads(1)
  {
    omp_set_num_threads(1);
    bad = build(e, all->engine);
  }
  if (bad) {
    free(e);
    return weft_error(WEFT_FAILED, "oneDNN refuses a bf16 product of (%llu, %llu) and (%llu, %llu): status %d",
                      (unsigned long long)m, (unsigned long long)p->k, (unsigned long long)p->k, (unsigned long long)n,
                      (int)bad);
  }
  all->entries = weft_grow(all->entries, all->count + 1, sizeof(product_entry *));
  all->entries[all->count++] = e;
  *out_entry = e;
  return NULL;
}

static bool run_entry(const cpu_products *all, const product_entry *e, const void *a, const void *b, float *c,
                      void *scratch) {
  dnnl_memory_t memories[4] = {0};
  const dnnl_memory_desc_t *descriptions[4] = {&e->a, &e->b, &e->c, &e->scratch};
  void *data[4];
  memcpy(&data[0], &a, sizeof a);  // oneDNN takes sources without const
  memcpy(&data[1], &b, sizeof b);
  data[2] = c;
  data[3] = scratch;
  dnnl_status_t bad = dnnl_success;
  for (int i = 0; i < 4 && !bad; ++i) bad = dnnl_memory_create(&memories[i], descriptions[i], all->engine, data[i]);
  dnnl_exec_arg_t arguments[4] = {{DNNL_ARG_SRC, memories[0]},
                                  {DNNL_ARG_WEIGHTS, memories[1]},
                                  {DNNL_ARG_DST, memories[2]},
                                  {DNNL_ARG_SCRATCHPAD, memories[3]}};
  if (!bad) bad = dnnl_primitive_execute(e->primitive, all->stream, 4, arguments);
  for (int i = 0; i < 4; ++i)
    if (memories[i]) dnnl_memory_destroy(memories[i]);
  return !bad;
}

bool weft_cpu_multiply_here(const cpu_product *p) {
  dnnl_status_t bad = dnnl_sgemm(p->a_across ? 'T' : 'N', p->b_across ? 'T' : 'N', (dnnl_dim_t)p->m, (dnnl_dim_t)p->n,
                                 (dnnl_dim_t)p->k, p->scale, p->a, (dnnl_dim_t)p->a_stride, p->b,
                                 (dnnl_dim_t)p->b_stride, p->adds ? 1.0f : 0.0f, p->c.data, (dnnl_dim_t)p->c.stride);
  return bad == dnnl_success;
}

// The tile's part of the product: where it begins and how large it is.
typedef struct tile {
  uint64_t row, column, rows, columns;
  const char *a, *b;
  float *room;  // this thread's, for tiles that cannot be made in place
} tile;

static tile tile_at(const cpu_product *p, const tile_grid *g, uint64_t index, float *room) {
  uint64_t row = index % g->tiles_down * g->rows, column = index / g->tiles_down * g->columns;
  uint64_t bytes = cpu_element_bytes(p->dtype);
  return (tile){.row = row,
                .column = column,
                .rows = p->m - row < g->rows ? p->m - row : g->rows,
                .columns = p->n - column < g->columns ? p->n - column : g->columns,
                .a = (const char *)p->a + bytes * (p->a_across ? row : row * p->a_stride),
                .b = (const char *)p->b + bytes * (p->b_across ? column * p->b_stride : column),
                .room = room};
}

// Rows of the tile from thread's memory to c.
static void put_tile(const cpu_call *c, const cpu_product *p, const tile *t, uint64_t stride, float scale) {
  const float *bias = p->bias ? p->bias + t->column : NULL;
  for (uint64_t r = 0; r < t->rows; ++r) {
    float *from = t->room + r * stride, *to = cpu_room(&p->c, t->row + r, t->column, from);
    c->k->finish(to, from, bias, scale, p->adds, t->columns);
    weft_cpu_put(c->k, &p->c, t->row + r, t->column, t->columns, from);
  }
}

static bool f32_tile(const cpu_call *c, const cpu_product *p, const tile *t, uint64_t room_stride) {
  cpu_product part = *p;
  part.a = t->a;
  part.b = t->b;
  part.m = t->rows;
  part.n = t->columns;
  if (p->c.dtype == WEFT_F32) {
    part.c.data = cpu_at(&p->c, t->row, t->column);
    if (!weft_cpu_multiply_here(&part)) return false;
    for (uint64_t r = 0; p->bias && r < t->rows; ++r)
      c->k->axpy(p->scale, p->bias + t->column, cpu_at(&p->c, t->row + r, t->column), t->columns);
    return true;
  }
  part.c = (weft_view){t->room, WEFT_F32, t->rows, t->columns, room_stride};
  part.scale = 1;
  if (!weft_cpu_multiply_here(&part)) return false;
  put_tile(c, p, t, room_stride, p->scale);
  return true;
}

static weft_status multiply_f32(const cpu_call *c, const cpu_product *p, const tile_grid *g) {
  float *room;
  uint64_t stride, tiles = g->tiles_down * g->tiles_across;
  bool good = true;
  WEFT_TRY(weft_cpu_scratch(c, p->c.dtype == WEFT_F32 ? 0 : g->rows * g->columns, &room, &stride));
#pragma omp parallel num_threads(c->threads) reduction(&& : good)
  {
    omp_set_num_threads(1);  // of what a tile calls: in a team of one, OpenMP would not say that it is in parallel
#pragma omp for schedule(dynamic, 1)
    for (uint64_t i = 0; i < tiles; ++i) {
      tile t = tile_at(p, g, i, room + (uint64_t)omp_get_thread_num() * stride);
      good = f32_tile(c, p, &t, g->columns) && good;
    }
  }
  return good ? NULL : weft_error(WEFT_FAILED, "oneDNN's sgemm failed; there may be no memory left");
}

static weft_status multiply_bf16(const cpu_call *c, const cpu_product *p, const tile_grid *g) {
  WEFT_TRY(open_products(c->lane));
  bool in_place = p->c.dtype == WEFT_F32 && !p->adds && p->scale == 1;
  uint64_t c_stride = in_place ? p->c.stride : g->columns, tiles = g->tiles_down * g->tiles_across, stride;
  uint64_t last_rows = p->m - (g->tiles_down - 1) * g->rows, last_columns = p->n - (g->tiles_across - 1) * g->columns;
  const product_entry *entries[2][2];
  size_t scratch_bytes = 0;
  for (int i = 0; i < 4; ++i) {
    WEFT_TRY(find_entry(c->lane->products, p,
                        i / 2            ? last_rows
                        : g->rows < p->m ? g->rows
                                         : p->m,
                        i % 2               ? last_columns
                        : g->columns < p->n ? g->columns
                                            : p->n,
                        c_stride, &entries[i / 2][i % 2]));
    if (entries[i / 2][i % 2]->scratch_bytes > scratch_bytes) scratch_bytes = entries[i / 2][i % 2]->scratch_bytes;
  }
  uint64_t scratch_floats = (scratch_bytes + 4095) / 4096 * 1024;
  float *room;
  WEFT_TRY(weft_cpu_scratch(c, scratch_floats + g->rows * g->columns, &room, &stride));
  bool good = true;
#pragma omp parallel num_threads(c->threads) reduction(&& : good)
  {
    omp_set_num_threads(1);
    float *own = room + (uint64_t)omp_get_thread_num() * stride;
#pragma omp for schedule(dynamic, 1)
    for (uint64_t i = 0; i < tiles; ++i) {
      tile t = tile_at(p, g, i, own + scratch_floats);
      const product_entry *e = entries[t.row + g->rows >= p->m][t.column + g->columns >= p->n];
      float *to = in_place ? cpu_at(&p->c, t.row, t.column) : t.room;
      good = run_entry(c->lane->products, e, t.a, t.b, to, own) && good;
      if (!in_place) put_tile(c, p, &t, g->columns, p->scale);
      for (uint64_t r = 0; in_place && p->bias && r < t.rows; ++r)
        c->k->axpy(1, p->bias + t.column, cpu_at(&p->c, t.row + r, t.column), t.columns);
    }
  }
  return good ? NULL : weft_error(WEFT_FAILED, "oneDNN's bf16 matmul failed; there may be no memory left");
}

weft_status weft_cpu_multiply(const cpu_call *c, const cpu_product *p) {
  assert(!p->adds || p->c.dtype == WEFT_F32);
  tile_grid g = grid_of(p, c->device->units);
  return p->dtype == WEFT_BF16 ? multiply_bf16(c, p, &g) : multiply_f32(c, p, &g);
}
