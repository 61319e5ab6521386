// Areas core and gemm: every case is a kernel of compiler/kernels/products.h, executed wavelet by wavelet on its
// machine.
//
// Products too large to execute whole (weft_validation_limits). Behind the first ones their steps are all alike, so the
// same kernel with the same tile is executed on three smaller meshes of the same form (s x s, s + 2, s + 4 of the same
// parity, s from 4 up, as large as some operations allow), and continued:
// - SUMMA and shift: linearly, and only where the cycles of the three grow alike within 0.2 %. Measurements do, within
//   1 %, from 1x1 to 750x750 cores (github.com/lingzhi227/MIMD_dataflow, DataflowProgramming/Systolic_Mul);
// - Cannon: by the parabola through the three. Words of the host come one by one, so they grow with the square of the
//   side, and so do the hops from the first core to the last in every step.
// tests/products compares continued with executed cycles. Rows of a matrix-vector product on the mesh do not meet, so
// one row of cores is executed.
//
// Constants of what the programs behind the cases do beside the product; `calibrate` rows set them:
// - SUMMA_SETUP: the library of collectives sets up two broadcasts per step. c32a55ae and c7e2929a (tiles 8 and 16).
// - CANNON_UPKEEP: scalar instructions per multiply-add for descriptors that the program keeps in memory; whole ones.
//   HOST_CALLS: what whole instructions leave of the same row, once per run: two transfers, a launch, one back.
//   c51260ec.
// Rates of the host's channels are the machine's: host_in, host_out, and host_word, which a core takes for each of its
// words. The rows of cores work at the same time, so with few of them they are what is slow.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compiler/kernels/products.h"
#include "plan/predict_mesh.h"

enum { SUMMA_SETUP = 302, CANNON_UPKEEP = 3, HOST_CALLS = 1415, OPERATION_HOPS = 8 };
enum { SMALL_OPERATIONS = 1000000, SMALL_SIDE = 4, LARGE_SIDE = 20, SIDE_STEP = 2, SIDES = 3 };

// Weights all alike and none of them zero; the words of the streams hold an index each, and the last one the end.
typedef struct streams {
  const weft_product *product;
  float *weights;
} streams;

static void fill_stream(const void *context, const weft_kernel *kernel, uint32_t channel, uint32_t *words) {
  const streams *s = context;
  uint32_t rows = s->product->options.rows;
  uint64_t count = kernel->channels[channel % rows].words;
  uint32_t *others = weft_allocate_array(count, sizeof *others);
  (void)weft_product_stream(s->product, s->weights, channel % rows, channel < rows ? words : others,
                            channel < rows ? others : words);
  free(others);
}

static weft_status execute(weft_inputs *in, const weft_product_options *options, const weft_machine *machine,
                           double *out_cycles) {
  weft_product product;
  weft_kernel *kernel;
  WEFT_TRY(weft_product_plan(options, &product));
  WEFT_TRY(weft_product_kernel(&product, &kernel));
  streams s = {.product = &product};
  if (options->kind == WEFT_GEMM_STREAMED) {
    uint64_t count = (uint64_t)options->m * options->k;
    s.weights = weft_allocate_array(count, sizeof *s.weights);
    for (uint64_t i = 0; i < count; ++i) s.weights[i] = 1;
  }
  weft_status status =
      weft_mesh_execute(in, kernel, machine, s.weights ? fill_stream : NULL, s.weights ? &s : NULL, out_cycles);
  free(s.weights);
  weft_kernel_destroy(kernel);
  return status;
}

// Many cases differ in the side of their mesh alone: what was executed once is kept. One thread at a time.
typedef struct executed {
  uint64_t machine;
  weft_product_options options;
  double cycles;
} executed;

static bool same_product(const weft_product_options *a, const weft_product_options *b) {
  return a->kind == b->kind && a->columns == b->columns && a->rows == b->rows && a->m == b->m && a->k == b->k &&
         a->n == b->n && a->dtype == b->dtype && a->result == b->result && a->published == b->published &&
         a->upkeep == b->upkeep && a->setup == b->setup && a->host == b->host && a->group == b->group &&
         !(a->in_cycles_per_word < b->in_cycles_per_word) && !(a->in_cycles_per_word > b->in_cycles_per_word) &&
         !(a->out_cycles_per_word < b->out_cycles_per_word) && !(a->out_cycles_per_word > b->out_cycles_per_word);
}

static weft_status execute_once(weft_inputs *in, const weft_product_options *options, const weft_machine *machine,
                                double *out_cycles) {
  enum { KEPT = 64 };
  static executed kept[KEPT];
  static uint32_t count;
  uint64_t hash = weft_machine_hash(machine);
  for (uint32_t i = 0; i < count && i < KEPT; ++i)
    if (kept[i].machine == hash && same_product(&kept[i].options, options)) {
      *out_cycles = kept[i].cycles;
      return NULL;
    }
  WEFT_TRY(execute(in, options, machine, out_cycles));
  kept[count++ % KEPT] = (executed){hash, *options, *out_cycles};
  return NULL;
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b) { return b ? greatest_common_divisor(b, a % b) : a; }
static uint32_t parts(uint32_t whole, uint32_t count) { return (whole + count - 1) / count; }

// The same tiles on a mesh of the same form, `side` times its smallest.
static weft_product_options on_side(const weft_product_options *options, uint32_t side) {
  weft_product_options o = *options;
  uint32_t from = greatest_common_divisor(o.columns, o.rows), a = o.columns / from, b = o.rows / from;
  uint32_t panels = o.kind == WEFT_GEMM_STREAMED ? b : a * b;
  o.columns = a * side;
  o.rows = b * side;
  o.m = parts(o.m, options->rows) * o.rows;
  o.k = parts(o.k, panels * from) * panels * side;
  o.n = parts(o.n, options->columns) * o.columns;
  return o;
}

// Vector operations of all cores: one per column of A and element of B's row, or per weight and column of cores.
static double operations_of(const weft_product_options *o) {
  if (o->kind == WEFT_TRANSPOSE) return (double)o->m * o->n;
  if (o->kind == WEFT_GEMM_STREAMED) return (double)o->m * o->k * o->columns;
  if (o->kind == WEFT_GEMV_CORE || o->kind == WEFT_GEMV_MESH) return (double)o->k * o->rows;
  return (double)o->k * o->n * o->rows;
}

// And their words: panels or tiles through all cores, words of the host through half of the mesh each way.
static double hops_of(const weft_product_options *o) {
  double hops = OPERATION_HOPS * operations_of(o), side = o->columns, rows = o->rows;
  if (o->kind == WEFT_TRANSPOSE) return hops + (double)o->m * o->n * side;
  if (o->kind == WEFT_GEMV_CORE || o->kind == WEFT_GEMV_MESH) return hops + 4.0 * o->m * side;
  hops += 3 * ((double)o->m * o->k * side + (double)o->k * o->n * rows);
  if (o->host) hops += 3 * (side + rows) / 2 * ((double)o->m * o->k + (double)o->k * o->n + (double)o->m * o->n);
  return hops;
}

static uint32_t first_side(const weft_product_options *o) {
  uint32_t first = SMALL_SIDE + greatest_common_divisor(o->columns, o->rows) % 2;
  for (; first < LARGE_SIDE; first += SIDE_STEP) {
    weft_product_options largest = on_side(o, first + SIDES * SIDE_STEP);
    if (operations_of(&largest) > SMALL_OPERATIONS) break;
  }
  return first;
}

static weft_status continue_sides(weft_inputs *in, const weft_product_options *o, const weft_machine *machine,
                                  double *out_cycles) {
  double sizes[SIDES], cycles[SIDES];
  weft_product_options less[SIDES];
  uint32_t first = first_side(o);
  for (uint32_t i = 0; i < SIDES; ++i) {
    less[i] = on_side(o, first + i * SIDE_STEP);
    if (hops_of(&less[i]) > in->limits->most_hops)
      return weft_error(WEFT_INFEASIBLE, "%s on %ux%u cores is too large to execute, and so is %ux%u",
                        weft_product_kind_name(o->kind), o->columns, o->rows, less[i].columns, less[i].rows);
    sizes[i] = less[i].columns;
    WEFT_TRY(execute_once(in, &less[i], machine, &cycles[i]));
  }
  in->method = WEFT_BY_CONTINUATION;
  in->method_detail = weft_arena_format(in->arena, "from %ux%u, %ux%u and %ux%u cores", less[0].columns, less[0].rows,
                                        less[1].columns, less[1].rows, less[2].columns, less[2].rows);
  weft_continuation form = o->kind == WEFT_GEMM_CANNON ? WEFT_PARABOLIC : WEFT_LINEAR;
  return weft_mesh_continue(form, sizes, cycles, o->columns, out_cycles);
}

// What cannot be is said for the whole product, before anything smaller is executed in its place.
static weft_status judge(const weft_product_options *o, const weft_machine *machine) {
  weft_product product;
  WEFT_TRY(weft_product_plan(o, &product));
  double bytes = 0;
  for (int matrix = WEFT_PRODUCT_A; matrix <= WEFT_PRODUCT_C; ++matrix)
    bytes +=
        (double)product.lengths[matrix] * ((matrix == WEFT_PRODUCT_C ? o->result : o->dtype) == WEFT_F32 ? 4.0 : 2.0);
  if (bytes <= (double)machine->mesh.sram_bytes_per_core) return NULL;
  return weft_error(WEFT_INFEASIBLE, "tiles of %.0f bytes; a core of %s has %llu", bytes, machine->name,
                    (unsigned long long)machine->mesh.sram_bytes_per_core);
}

static weft_status cycles_of(weft_inputs *in, const weft_product_options *o, const weft_machine *machine,
                             double *out_cycles) {
  uint32_t form = greatest_common_divisor(o->columns, o->rows);
  bool gemm = o->kind == WEFT_GEMM_SUMMA || o->kind == WEFT_GEMM_CANNON || o->kind == WEFT_GEMM_SHIFT;
  WEFT_TRY(judge(o, machine));
  in->method = WEFT_BY_EXECUTION;
  if (hops_of(o) <= in->limits->most_hops) return execute_once(in, o, machine, out_cycles);
  if (gemm && form > SMALL_SIDE + 1 + (SIDES - 1) * SIDE_STEP) return continue_sides(in, o, machine, out_cycles);
  return weft_error(WEFT_INFEASIBLE,
                    "%s on %ux%u cores: %.3g hops are too many to execute, and there is nothing "
                    "smaller of the same form",
                    weft_product_kind_name(o->kind), o->columns, o->rows, hops_of(o));
}

// ---- what is asked for

// "tile": of every core, by its columns. "n" alone: all sides. A matrix-vector product needs no n where m and k stand.
static void read_sizes(weft_inputs *in, weft_product_options *o, bool gemv) {
  enum { MOST = 1 << 20 };
  if (weft_input_has(in, "tile|t")) {
    uint32_t tile = weft_input_whole(in, "tile|t", 1, MOST / 4096);
    o->m = o->rows * tile;
    o->k = o->columns * tile;
    o->n = o->columns * tile;
    return;
  }
  bool needed = !gemv || !weft_input_has(in, "m") || !weft_input_has(in, "k");
  if (needed) o->m = o->k = o->n = weft_input_whole(in, "n|size", 1, MOST);
  o->m = weft_input_whole_or(in, "m", 1, MOST, o->m);
  o->k = weft_input_whole_or(in, "k", 1, MOST, o->k);
}

static weft_product_options read_product(weft_inputs *in, weft_product_kind kind) {
  weft_product_options o = weft_product_options_default(kind, 1, 1);
  bool gemv = kind == WEFT_GEMV_CORE || kind == WEFT_GEMV_MESH;
  if (kind != WEFT_GEMV_CORE) {
    if (weft_input_has(in, "mesh|grid") || !weft_input_has(in, "p|side"))
      weft_input_mesh(in, "mesh|grid", &o.columns, &o.rows);
    else
      o.columns = o.rows = weft_input_whole(in, "p|side", 1, 4096);
  }
  read_sizes(in, &o, gemv);
  if (gemv) o.n = 1;
  weft_input_dtype(in, "dtype|type|precision", &o.dtype);
  o.result = o.dtype;
  weft_input_dtype(in, "result|accumulate", &o.result);
  return o;
}

static void read_host(weft_inputs *in, weft_product_options *o, const weft_machine *machine) {
  const weft_core_times *times = &machine->mesh.times;
  o->host = weft_input_choice(in, "host_io|host", "none|no|h2d+d2h|yes", 0) >= 2;
  o->in_cycles_per_word = fmax(times->host_in_cycles, times->host_word_cycles / o->rows);
  o->out_cycles_per_word = fmax(times->host_out_cycles, times->host_word_cycles / o->rows);
}

static double predict(weft_inputs *in, weft_product_kind kind) {
  weft_product_options o = read_product(in, kind);
  weft_machine *machine = weft_mesh_machine(in);
  if (!machine) return 0;
  weft_work work = {.flops = kind == WEFT_TRANSPOSE ? 0 : 2.0 * o.m * o.k * o.n};
  if (kind == WEFT_GEMM_SUMMA || kind == WEFT_GEMM_CANNON) o.published = true;
  if (kind == WEFT_GEMM_SUMMA) o.setup = SUMMA_SETUP;
  if (kind == WEFT_GEMM_CANNON) {
    o.upkeep = CANNON_UPKEEP;
    read_host(in, &o, machine);
  }
  weft_status status = weft_mesh_fits(machine, o.columns, o.rows);
  if (kind == WEFT_GEMV_MESH) {
    o.m = parts(o.m, o.rows);
    o.rows = 1;
    o.group = weft_input_whole_or(in, "group", 1, 4096, 0);
  }
  double cycles = 0, result = 0;
  if (!weft_input_usable(in)) {
    weft_status_free(status);
  } else {
    if (!status) status = cycles_of(in, &o, machine, &cycles);
    if (o.host) cycles += HOST_CALLS;
    result = status ? weft_input_give_up(in, status) : weft_mesh_result(in, machine, cycles, work);
  }
  weft_machine_destroy(machine);
  return result;
}

// The last part of a subject names the product: "summa", "gemm/summa", "gemv/one_pe".
static const char *last_part(const char *subject) {
  const char *slash = strrchr(subject, '/');
  return slash ? slash + 1 : subject;
}

double weft_predict_gemm(weft_inputs *in) {
  static const struct {
    const char *name;
    weft_product_kind kind;
  } known[] = {{"summa", WEFT_GEMM_SUMMA},    {"cannon", WEFT_GEMM_CANNON},     {"shift", WEFT_GEMM_SHIFT},
               {"meshgemm", WEFT_GEMM_SHIFT}, {"interleaved", WEFT_GEMM_SHIFT}, {"streamed", WEFT_GEMM_STREAMED},
               {"transpose", WEFT_TRANSPOSE}};
  enum { KNOWN = sizeof known / sizeof *known };
  const char *names[KNOWN], *algorithm = last_part(in->subject);
  if (strcmp(algorithm, "gemm") == 0) algorithm = weft_input_text(in, "algorithm");
  if (!algorithm) return 0;
  for (size_t i = 0; i < KNOWN; ++i) {
    names[i] = known[i].name;
    if (strcmp(algorithm, names[i]) == 0) return predict(in, known[i].kind);
  }
  return weft_input_uncovered(in, "no prediction of gemm/%s yet; the nearest that is predicted is \"%s\"", algorithm,
                              weft_nearest(algorithm, names, KNOWN));
}

double weft_predict_gemv(weft_inputs *in) {
  const char *form = last_part(in->subject);
  bool mesh = weft_input_has(in, "mesh|grid") || weft_input_has(in, "p|side");
  if (strcmp(form, "one_pe") == 0 || strcmp(form, "core") == 0 || (strcmp(form, "gemv") == 0 && !mesh))
    return predict(in, WEFT_GEMV_CORE);
  if (strcmp(form, "mesh") == 0 || strcmp(form, "meshgemv") == 0 || strcmp(form, "gemv") == 0)
    return predict(in, WEFT_GEMV_MESH);
  return weft_input_uncovered(in, "no prediction of gemv/%s yet; one_pe and mesh are predicted", form);
}
