// Planning products, and where their elements lie.
#include "compiler/kernels/products.h"

#include <string.h>

#include "compiler/kernels/products_internal.h"

static const char *const kind_names[WEFT_PRODUCT_KINDS] = {"gemv/core",  "gemv/mesh",     "gemm/summa", "gemm/cannon",
                                                           "gemm/shift", "gemm/streamed", "transpose"};

const char *weft_product_kind_name(weft_product_kind kind) {
  return kind < WEFT_PRODUCT_KINDS ? kind_names[kind] : "?";
}

weft_product_options weft_product_options_default(weft_product_kind kind, uint32_t columns, uint32_t rows) {
  return (weft_product_options){.kind = kind,
                                .columns = columns,
                                .rows = rows,
                                .m = 1,
                                .k = 1,
                                .n = 1,
                                .dtype = WEFT_F32,
                                .result = WEFT_F32,
                                .in_cycles_per_word = 1,
                                .out_cycles_per_word = 1};
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b) { return b ? greatest_common_divisor(b, a % b) : a; }
static uint32_t parts(uint32_t whole, uint32_t count) { return (whole + count - 1) / count; }
static bool is_ring(weft_product_kind kind) { return kind == WEFT_GEMM_CANNON || kind == WEFT_GEMM_SHIFT; }
static bool is_gemv(weft_product_kind kind) { return kind == WEFT_GEMV_CORE || kind == WEFT_GEMV_MESH; }

static weft_status check_options(const weft_product_options *o) {
  const char *name = weft_product_kind_name(o->kind);
  if (o->kind >= WEFT_PRODUCT_KINDS) return weft_error(WEFT_INVALID, "product %u: 0 to %d", o->kind, WEFT_TRANSPOSE);
  if (!o->columns || !o->rows || o->columns > 4096 || o->rows > 4096)
    return weft_error(WEFT_INVALID, "%s on %ux%u cores: 1 to 4096 columns and rows are right", name, o->columns,
                      o->rows);
  if (!o->m || !o->k || !o->n)
    return weft_error(WEFT_INVALID, "%s of m %u, k %u, n %u: each is at least 1", name, o->m, o->k, o->n);
  if (o->kind == WEFT_GEMV_CORE && (o->columns != 1 || o->rows != 1))
    return weft_error(WEFT_INVALID, "%s on %ux%u cores: it is for one core", name, o->columns, o->rows);
  if (is_gemv(o->kind) && o->n != 1) return weft_error(WEFT_INVALID, "%s with n %u: B is a vector, n is 1", name, o->n);
  if (is_ring(o->kind) && o->columns != o->rows)
    return weft_error(WEFT_INVALID, "%s on %ux%u cores: the mesh must be square", name, o->columns, o->rows);
  bool same = o->result == o->dtype;
  if (!weft_dtype_computes(o->dtype) || !(same || o->result == WEFT_F32))
    return weft_error(WEFT_INVALID, "%s of %s into %s: f32, f16 or bf16 into the same, or into f32", name,
                      weft_dtype_name(o->dtype), weft_dtype_name(o->result));
  if (o->kind == WEFT_TRANSPOSE && !same)
    return weft_error(WEFT_INVALID, "%s of %s into %s: the types must be equal", name, weft_dtype_name(o->dtype),
                      weft_dtype_name(o->result));
  if (o->host && o->kind != WEFT_GEMM_CANNON) return weft_error(WEFT_INVALID, "%s has no host channels", name);
  if (o->host && o->dtype != WEFT_F32)
    return weft_error(WEFT_INVALID, "%s with host channels in %s: f32 is right", name, weft_dtype_name(o->dtype));
  if (o->published && o->kind != WEFT_GEMM_SUMMA && o->kind != WEFT_GEMM_CANNON)
    return weft_error(WEFT_INVALID, "%s has one form only", name);
  if (o->in_cycles_per_word < 1 || o->out_cycles_per_word < 1)
    return weft_error(WEFT_INVALID, "a channel of %g and %g cycles per word: at least 1", o->in_cycles_per_word,
                      o->out_cycles_per_word);
  if (o->group > o->columns) return weft_error(WEFT_INVALID, "groups of %u cores in rows of %u", o->group, o->columns);
  return NULL;
}

uint32_t weft_product_panel_a(const weft_product *p) { return p->tile_k * p->lead; }
uint32_t weft_product_panel_b(const weft_product *p) {
  return weft_round_up(p->tile_k * p->tile_n, 2 - (p->options.dtype == WEFT_F32));
}

static void plan_gemm(weft_product *p) {
  const weft_product_options *o = &p->options;
  uint32_t buffers = o->published ? 1 : 2;
  if (o->kind == WEFT_GEMM_SUMMA) {
    p->panels = o->columns / greatest_common_divisor(o->columns, o->rows) * o->rows;
    p->tile_k = parts(o->k, p->panels);
    p->lengths[WEFT_PRODUCT_A] = (p->panels / o->columns + buffers) * weft_product_panel_a(p);
    p->lengths[WEFT_PRODUCT_B] = (p->panels / o->rows + buffers) * weft_product_panel_b(p);
  } else {
    p->lengths[WEFT_PRODUCT_A] = 2 * weft_product_panel_a(p);
    p->lengths[WEFT_PRODUCT_B] = 2 * weft_product_panel_b(p);
  }
  p->lengths[WEFT_PRODUCT_C] = p->lead * p->tile_n;
}

static weft_status plan_streamed(weft_product *p) {
  const weft_product_options *o = &p->options;
  p->lead = o->dtype == WEFT_F32 ? p->tile_n : weft_round_up(p->tile_n, 8);
  while (1u << p->index_bits < p->tile_k) ++p->index_bits;
  uint64_t indices = (uint64_t)p->tile_m * o->rows << p->index_bits, most = o->dtype == WEFT_F32 ? UINT32_MAX : 0xffff;
  if (indices > most)
    return weft_error(WEFT_INVALID, "%s: %llu indices of weights, at most %llu for %s; use more rows or a smaller m",
                      weft_product_kind_name(o->kind), (unsigned long long)indices, (unsigned long long)most,
                      weft_dtype_name(o->dtype));
  p->lengths[WEFT_PRODUCT_A] = 0;
  p->lengths[WEFT_PRODUCT_B] = p->tile_k * p->lead;
  p->lengths[WEFT_PRODUCT_C] = p->tile_m * o->rows * p->lead;
  return NULL;
}

weft_status weft_product_plan(const weft_product_options *options, weft_product *out_product) {
  WEFT_TRY(check_options(options));
  weft_product p = {.options = *options};
  const weft_product_options *o = &p.options;
  p.tile_m = parts(o->m, o->rows);
  p.tile_n = is_gemv(o->kind) ? 1 : parts(o->n, o->columns);
  p.tile_k = parts(o->k, o->kind == WEFT_GEMM_STREAMED ? o->rows : o->columns);
  p.panels = o->columns;
  bool plain = o->published && o->dtype == WEFT_F32;
  p.lead = plain ? p.tile_m : weft_round_up(p.tile_m, o->dtype == WEFT_F32 ? 4 : 8);
  weft_status status = NULL;
  if (is_gemv(o->kind)) {
    p.lengths[WEFT_PRODUCT_A] = p.tile_k * p.lead;
    p.lengths[WEFT_PRODUCT_B] = p.tile_k;
    p.lengths[WEFT_PRODUCT_C] = p.lead;
  } else if (o->kind == WEFT_TRANSPOSE) {
    p.lengths[WEFT_PRODUCT_A] = p.tile_m * p.tile_n;
    p.lengths[WEFT_PRODUCT_C] = parts(o->n, o->rows) * parts(o->m, o->columns);
  } else if (o->kind == WEFT_GEMM_STREAMED) {
    status = plan_streamed(&p);
  } else {
    plan_gemm(&p);
  }
  if (!status) *out_product = p;
  return status;
}

weft_status weft_product_kernel(const weft_product *product, weft_kernel **out_kernel) {
  static weft_kernel *(*const builders[WEFT_PRODUCT_KINDS])(const weft_product *) = {
      [WEFT_GEMV_CORE] = weft_build_gemv_core, [WEFT_GEMV_MESH] = weft_build_gemv_mesh,
      [WEFT_GEMM_SUMMA] = weft_build_summa,    [WEFT_GEMM_CANNON] = weft_build_ring,
      [WEFT_GEMM_SHIFT] = weft_build_ring,     [WEFT_GEMM_STREAMED] = weft_build_streamed,
      [WEFT_TRANSPOSE] = weft_build_transpose,
  };
  weft_kernel *kernel = builders[product->options.kind](product);
  *out_kernel = kernel;
  return NULL;
}

// ---- placement ----

uint32_t weft_ring_logical(const weft_product *p, uint32_t at) {
  if (p->options.kind == WEFT_GEMM_CANNON) return at;
  return at % 2 == 0 ? at / 2 : p->options.columns - (at + 1) / 2;
}

// Element e of a panel of A of tile_m rows, column by column; `panel` counts along K.
static bool in_a(const weft_product *p, uint32_t tile_row, uint32_t panel, uint32_t e, uint32_t *row,
                 uint32_t *column) {
  uint32_t r = e % p->lead;
  *row = tile_row * p->tile_m + r;
  *column = panel * p->tile_k + e / p->lead;
  return r < p->tile_m;
}

static bool in_b(const weft_product *p, uint32_t panel, uint32_t tile_column, uint32_t e, uint32_t *row,
                 uint32_t *column) {
  *row = panel * p->tile_k + e % p->tile_k;
  *column = tile_column * p->tile_n + e / p->tile_k;
  return e < p->tile_k * p->tile_n;
}

static bool in_c(const weft_product *p, uint32_t tile_row, uint32_t tile_column, uint32_t e, uint32_t *row,
                 uint32_t *column) {
  *row = tile_row * p->tile_m + e % p->lead;
  *column = tile_column * p->tile_n + e / p->lead;
  return e % p->lead < p->tile_m;
}

static bool summa_element(const weft_product *p, weft_product_matrix which, uint32_t x, uint32_t y, uint32_t e,
                          uint32_t *row, uint32_t *column) {
  if (which == WEFT_PRODUCT_C) return in_c(p, y, x, e, row, column);
  bool a = which == WEFT_PRODUCT_A;
  uint32_t size = a ? weft_product_panel_a(p) : weft_product_panel_b(p);
  uint32_t own = p->panels / (a ? p->options.columns : p->options.rows), slot = e / size;
  if (slot >= own) return false;
  return a ? in_a(p, y, x * own + slot, e % size, row, column) : in_b(p, y * own + slot, x, e % size, row, column);
}

static bool ring_element(const weft_product *p, weft_product_matrix which, uint32_t x, uint32_t y, uint32_t e,
                         uint32_t *row, uint32_t *column) {
  uint32_t i = weft_ring_logical(p, y), j = weft_ring_logical(p, x), l = (i + j) % p->options.columns;
  if (which == WEFT_PRODUCT_A) return e < weft_product_panel_a(p) && in_a(p, i, l, e, row, column);
  if (which == WEFT_PRODUCT_B) return e < weft_product_panel_b(p) && in_b(p, l, j, e, row, column);
  return in_c(p, i, j, e, row, column);
}

static bool streamed_element(const weft_product *p, weft_product_matrix which, uint32_t x, uint32_t y, uint32_t e,
                             uint32_t *row, uint32_t *column) {
  uint32_t i = e / p->lead, t = e % p->lead;
  *row = which == WEFT_PRODUCT_B ? y * p->tile_k + i : i;
  *column = x * p->tile_n + t;
  return t < p->tile_n && (which == WEFT_PRODUCT_B || i / p->tile_m == y);
}

static bool transpose_element(const weft_product *p, weft_product_matrix which, uint32_t x, uint32_t y, uint32_t e,
                              uint32_t *row, uint32_t *column) {
  const weft_product_options *o = &p->options;
  uint32_t wide = which == WEFT_PRODUCT_A ? p->tile_n : parts(o->m, o->columns),
           high = which == WEFT_PRODUCT_A ? p->tile_m : parts(o->n, o->rows);
  *row = y * high + e / wide;
  *column = x * wide + e % wide;
  return true;
}

// Rows and columns of a matrix of the host.
static void shape_of(const weft_product *p, weft_product_matrix which, uint32_t *rows, uint32_t *columns) {
  const weft_product_options *o = &p->options;
  bool transpose = o->kind == WEFT_TRANSPOSE;
  *rows = which == WEFT_PRODUCT_B ? o->k : transpose && which == WEFT_PRODUCT_C ? o->n : o->m;
  *columns = which == WEFT_PRODUCT_A ? (transpose ? o->n : o->k) : transpose ? o->m : o->n;
}

bool weft_product_element(const weft_product *p, weft_product_matrix which, uint32_t x, uint32_t y, uint32_t e,
                          uint32_t *out_row, uint32_t *out_column) {
  if (e >= p->lengths[which]) return false;
  uint32_t row = 0, column = 0, rows, columns;
  bool there;
  switch (p->options.kind) {
    case WEFT_GEMM_SUMMA: there = summa_element(p, which, x, y, e, &row, &column); break;
    case WEFT_GEMM_CANNON:
    case WEFT_GEMM_SHIFT: there = ring_element(p, which, x, y, e, &row, &column); break;
    case WEFT_GEMM_STREAMED: there = streamed_element(p, which, x, y, e, &row, &column); break;
    case WEFT_TRANSPOSE: there = transpose_element(p, which, x, y, e, &row, &column); break;
    default:  // GEMV: x is cut along the columns, y along the rows of cores
      there = which == WEFT_PRODUCT_A   ? in_a(p, y, x, e, &row, &column)
              : which == WEFT_PRODUCT_B ? in_b(p, x, 0, e, &row, &column)
                                        : in_c(p, y, 0, e, &row, &column);
  }
  shape_of(p, which, &rows, &columns);
  if (!there || row >= rows || column >= columns) return false;
  *out_row = row;
  *out_column = column;
  return true;
}

void weft_product_scatter(const weft_product *p, weft_product_matrix which, const float *matrix, uint32_t x, uint32_t y,
                          float *elements) {
  uint32_t rows, columns, row, column;
  shape_of(p, which, &rows, &columns);
  for (uint32_t e = 0; e < p->lengths[which]; ++e)
    elements[e] = weft_product_element(p, which, x, y, e, &row, &column) ? matrix[(size_t)row * columns + column] : 0;
}

void weft_product_gather(const weft_product *p, const float *elements, uint32_t x, uint32_t y, float *matrix) {
  uint32_t rows, columns, row, column;
  shape_of(p, WEFT_PRODUCT_C, &rows, &columns);
  for (uint32_t e = 0; e < p->lengths[WEFT_PRODUCT_C]; ++e)
    if (weft_product_element(p, WEFT_PRODUCT_C, x, y, e, &row, &column))
      matrix[(size_t)row * columns + column] = elements[e];
}

uint64_t weft_product_host_words(const weft_product *p, weft_product_matrix which) {
  uint64_t cores = (uint64_t)p->options.columns * p->options.rows;
  if (which == WEFT_PRODUCT_A) return cores * weft_product_panel_a(p);
  return cores * (which == WEFT_PRODUCT_B ? weft_product_panel_b(p) : p->lengths[WEFT_PRODUCT_C]);
}

void weft_product_host_in(const weft_product *p, const float *a, const float *b, uint32_t *words) {
  for (int which = WEFT_PRODUCT_A; which <= WEFT_PRODUCT_B; ++which) {
    const float *matrix = which == WEFT_PRODUCT_A ? a : b;
    uint32_t size = which == WEFT_PRODUCT_A ? weft_product_panel_a(p) : weft_product_panel_b(p), rows, columns;
    shape_of(p, (weft_product_matrix)which, &rows, &columns);
    for (uint32_t y = 0; y < p->options.rows; ++y)
      for (uint32_t x = 0; x < p->options.columns; ++x)
        for (uint32_t e = 0; e < size; ++e, ++words) {
          uint32_t row, column;
          bool there = weft_product_element(p, (weft_product_matrix)which, x, y, e, &row, &column);
          float value = there ? matrix[(size_t)row * columns + column] : 0;
          memcpy(words, &value, sizeof value);
        }
  }
  *words = 1;
}

void weft_product_host_out(const weft_product *p, const uint32_t *words, float *c) {
  for (uint32_t y = 0; y < p->options.rows; ++y)
    for (uint32_t x = 0; x < p->options.columns; ++x)
      for (uint32_t e = 0; e < p->lengths[WEFT_PRODUCT_C]; ++e, ++words) {
        uint32_t row, column;
        if (weft_product_element(p, WEFT_PRODUCT_C, x, y, e, &row, &column))
          memcpy(&c[(size_t)row * p->options.n + column], words, sizeof *c);
      }
}

// ---- streams of weights ----

static uint32_t bits_of(weft_dtype dtype, float value) {
  uint32_t bits = 0;
  weft_dtype_from_f32(dtype, &value, &bits, 1);
  return bits;
}

uint64_t weft_product_stream(const weft_product *p, const float *weights, uint32_t y, uint32_t *words,
                             uint32_t *values) {
  const weft_product_options *o = &p->options;
  uint64_t count = 0;
  bool narrow = o->dtype != WEFT_F32;
  for (uint32_t i = 0; i < o->m; ++i)
    for (uint32_t f = 0; f < p->tile_k; ++f) {
      uint32_t feature = y * p->tile_k + f;
      if (feature >= o->k) break;
      // A weight that rounds to zero in the stream's type is a zero too; both zeros are.
      uint32_t bits = bits_of(o->dtype, weights ? weights[(size_t)i * o->k + feature] : 1);
      if ((bits << (narrow ? 17 : 1)) == 0) continue;
      uint32_t index = i << p->index_bits | f;
      if (words) words[count] = narrow ? index << 16 | bits : index;
      if (values && !narrow) values[count] = bits;
      ++count;
    }
  if (words) words[count] = UINT32_MAX;
  return count + 1;
}
