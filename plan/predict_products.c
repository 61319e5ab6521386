// Areas core and gemm: every case is a kernel of compiler/kernels/products.h, executed wavelet by wavelet on its
// machine.
//
// Products too large to execute whole. Behind the first ones their steps are all alike, so the same kernel with the
// same tile is executed on three smaller square meshes, of sides s, s + 2, s + 4 of the same parity (s from 4 up, as
// large as some operations allow), and continued:
// - SUMMA and shift: linearly, and only where the cycles of the three grow alike within 0.2 %. Measurements do, within
//   1 %, from 1x1 to 750x750 cores (github.com/lingzhi227/MIMD_dataflow, DataflowProgramming/Systolic_Mul);
// - Cannon: by the parabola through the three. Words of the host come one by one, so they grow with the square of the
//   side, and so do the hops from the first core to the last in every step.
// tests/products compares continued with executed cycles. Rows of a matrix-vector product on the mesh do not meet, so
// one row of cores is executed.
//
// Constants of what the programs behind the cases do beside the product. Their values follow from `calibrate` rows;
// that WORD_CYCLES is there at all was decided with two `predict` rows in view (docs/validation.md).
// - SUMMA_SETUP: the library of collectives sets up two broadcasts per step. c32a55ae and c7e2929a (tiles 8 and 16).
// - CANNON_UPKEEP: scalar instructions per multiply-add for descriptors that the program keeps in memory; whole ones.
//   HOST_CALLS: what whole instructions leave of the same row, once per run: two transfers, a launch, one back.
//   c51260ec.
// - WORD_CYCLES: a core takes the host's words one by one, in a task of the library, while the other rows of cores do
//   the same; few rows are slower than the channel. About 21 instructions per word in traces of the vendor simulator
//   (FABRICA, docs/PERFORMANCE_MODEL.md); c51260ec, where 16 rows keep up with one word per cycle, allows 16 at most.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/kernels/products.h"
#include "models/machine.h"
#include "plan/predictors.h"
#include "sim/mesh.h"

enum { SUMMA_SETUP = 302, CANNON_UPKEEP = 13, HOST_CALLS = 1396, WORD_CYCLES = 16 };
enum { MOST_OPERATIONS = 1000000, SMALL_SIDE = 4, LARGE_SIDE = 20, SIDE_STEP = 2, SIDES = 3 };
static const double alike = 0.002;

// The host's words: zeros, as are the matrices; neither changes a cycle.
static weft_status connect(weft_mesh_sim *mesh, const weft_kernel *kernel, uint32_t **buffers) {
  for (uint32_t c = 0; c < kernel->channel_count; ++c) {
    uint64_t words = kernel->channels[c].words;
    buffers[c] = weft_allocate_array(words, sizeof **buffers);
    if (kernel->channels[c].into_mesh)
      WEFT_TRY(weft_mesh_feed(mesh, c, buffers[c], words));
    else
      WEFT_TRY(weft_mesh_drain(mesh, c, buffers[c], words));
  }
  return NULL;
}

static weft_status execute_kernel(weft_kernel *kernel, const weft_machine *machine, double *out_cycles) {
  weft_mesh_options options = weft_mesh_options_default();
  options.count_links = false;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
  WEFT_TRY(weft_kernel_check(kernel, machine->mesh.sram_bytes_per_core));
  WEFT_TRY(weft_mesh_open(kernel, machine, &options, &mesh));
  uint32_t **buffers = weft_allocate_array(kernel->channel_count, sizeof *buffers);
  weft_status status = connect(mesh, kernel, buffers);
  if (!status) status = weft_mesh_run(mesh, &report);
  weft_mesh_close(mesh);
  for (uint32_t c = 0; c < kernel->channel_count; ++c) free(buffers[c]);
  free(buffers);
  if (!status) *out_cycles = (double)report.cycles;
  return status;
}

static weft_status execute(const weft_product_options *options, const weft_machine *machine, double *out_cycles) {
  weft_product product;
  weft_kernel *kernel;
  WEFT_TRY(weft_product_plan(options, &product));
  WEFT_TRY(weft_product_kernel(&product, &kernel));
  weft_status status = execute_kernel(kernel, machine, out_cycles);
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

static weft_status execute_once(const weft_product_options *options, const weft_machine *machine, double *out_cycles) {
  enum { KEPT = 64 };
  static executed kept[KEPT];
  static uint32_t count;
  uint64_t hash = weft_machine_hash(machine);
  for (uint32_t i = 0; i < count && i < KEPT; ++i)
    if (kept[i].machine == hash && same_product(&kept[i].options, options)) {
      *out_cycles = kept[i].cycles;
      return NULL;
    }
  WEFT_TRY(execute(options, machine, out_cycles));
  kept[count++ % KEPT] = (executed){hash, *options, *out_cycles};
  return NULL;
}

// The same tiles on a mesh of another side.
static weft_product_options on_side(const weft_product_options *options, uint32_t side) {
  weft_product_options o = *options;
  uint32_t from = o.columns;
  o.columns = o.rows = side;
  o.m = (o.m + from - 1) / from * side;
  o.k = (o.k + from - 1) / from * side;
  o.n = (o.n + from - 1) / from * side;
  return o;
}

// Vector operations of all cores.
static double operations_of(const weft_product_options *o) { return (double)o->k * o->n * o->rows; }

static uint32_t first_side(const weft_product_options *o) {
  uint32_t first = SMALL_SIDE + o->columns % 2;
  for (; first < LARGE_SIDE; first += SIDE_STEP) {
    weft_product_options largest = on_side(o, first + SIDES * SIDE_STEP);
    if (operations_of(&largest) > MOST_OPERATIONS) break;
  }
  return first;
}

static weft_status continue_square(const weft_product_options *o, const weft_machine *machine, double *out_cycles) {
  double cycles[SIDES];
  uint32_t first = first_side(o);
  for (uint32_t i = 0; i < SIDES; ++i) {
    weft_product_options small = on_side(o, first + i * SIDE_STEP);
    WEFT_TRY(execute_once(&small, machine, &cycles[i]));
  }
  double before = cycles[1] - cycles[0], last = cycles[2] - cycles[1];
  double steps = (o->columns - (double)(first + 2 * SIDE_STEP)) / SIDE_STEP;
  *out_cycles = cycles[2] + steps * last;
  if (o->kind == WEFT_GEMM_CANNON)
    *out_cycles += (last - before) * steps * (steps + 1) / 2;
  else if (fabs(last - before) > alike * last)
    return weft_error(WEFT_FAILED, "%s: %g, %g, %g cycles on meshes of sides %u, %u, %u do not grow alike",
                      weft_product_kind_name(o->kind), cycles[0], cycles[1], cycles[2], first, first + SIDE_STEP,
                      first + 2 * SIDE_STEP);
  return NULL;
}

static weft_status cycles_of(const weft_product_options *o, const weft_machine *machine, double *out_cycles) {
  double side = o->columns;
  uint32_t largest = SMALL_SIDE + 1 + (SIDES - 1) * SIDE_STEP;
  bool gemm = o->kind != WEFT_GEMV_CORE && o->kind != WEFT_GEMV_MESH;
  if (!gemm || operations_of(o) <= MOST_OPERATIONS || side <= largest) return execute_once(o, machine, out_cycles);
  if (o->columns != o->rows)
    return weft_error(WEFT_FAILED, "%s on %ux%u cores is too large to execute, and not square",
                      weft_product_kind_name(o->kind), o->columns, o->rows);
  return continue_square(o, machine, out_cycles);
}

static double simulate(weft_inputs *in, const weft_product_options *options) {
  const char *text = weft_input_text(in, "machine");
  if (in->error || in->missing) return 0;
  char *name = weft_arena_copy_text(in->arena, text), *clock = strchr(name, '@');
  if (clock) *clock = 0;  // "wse2@1.1GHz": cycles are the same at every clock
  weft_machine *machine = NULL;
  double cycles = 0;
  weft_status status = weft_machine_read(name, &machine);
  if (!status && machine->kind != WEFT_MESH) status = weft_error(WEFT_INVALID, "machine %s is no mesh", name);
  if (!status) status = cycles_of(options, machine, &cycles);
  weft_machine_destroy(machine);
  return status ? weft_input_give_up(in, status) : cycles;
}

static uint32_t whole_number(weft_inputs *in, const char *key) {
  return (uint32_t)weft_input_number(in, key, 1, 1 << 24);
}

// Inputs: mesh; tile, or n, or any of m, k, n; dtype.
static weft_product_options read_product(weft_inputs *in, weft_product_kind kind) {
  weft_product_options o = weft_product_options_default(kind, 1, 1);
  bool gemv = kind == WEFT_GEMV_CORE || kind == WEFT_GEMV_MESH;
  if (kind != WEFT_GEMV_CORE) weft_input_mesh(in, &o.columns, &o.rows);
  if (weft_input_has(in, "tile")) {
    uint32_t tile = whole_number(in, "tile");
    o.m = o.rows * tile;
    o.k = o.columns * tile;
    o.n = o.columns * tile;
  } else {
    bool all = weft_input_has(in, "n") || !weft_input_has(in, "m");
    if (all) o.m = o.k = o.n = whole_number(in, "n");
    if (weft_input_has(in, "m")) o.m = whole_number(in, "m");
    if (weft_input_has(in, "k")) o.k = whole_number(in, "k");
  }
  if (gemv) o.n = 1;
  const char *dtype = weft_input_has(in, "dtype") ? weft_input_text(in, "dtype") : "f32";
  weft_status status = dtype ? weft_dtype_parse(dtype, &o.dtype) : NULL;
  o.result = o.dtype;
  if (in->error)
    weft_status_free(status);
  else
    in->error = status;
  return o;
}

double weft_predict_gemv_core(weft_inputs *in) {
  weft_product_options o = read_product(in, WEFT_GEMV_CORE);
  return simulate(in, &o);
}

double weft_predict_gemv_mesh(weft_inputs *in) {
  weft_product_options o = read_product(in, WEFT_GEMV_MESH);
  o.m = (o.m + o.rows - 1) / o.rows;
  o.rows = 1;
  if (weft_input_has(in, "group")) o.group = whole_number(in, "group");
  return simulate(in, &o);
}

double weft_predict_summa(weft_inputs *in) {
  weft_product_options o = read_product(in, WEFT_GEMM_SUMMA);
  o.published = true;
  o.setup = SUMMA_SETUP;
  return simulate(in, &o);
}

double weft_predict_shift(weft_inputs *in) {
  weft_product_options o = read_product(in, WEFT_GEMM_SHIFT);
  return simulate(in, &o);
}

double weft_predict_cannon(weft_inputs *in) {
  weft_product_options o = read_product(in, WEFT_GEMM_CANNON);
  o.published = true;
  o.upkeep = CANNON_UPKEEP;
  const char *host = weft_input_has(in, "host_io") ? weft_input_text(in, "host_io") : "none";
  if (!host) return 0;
  o.host = strcmp(host, "h2d+d2h") == 0;
  o.in_cycles_per_word = fmax(o.in_cycles_per_word, (double)WORD_CYCLES / o.rows);
  o.out_cycles_per_word = fmax(o.out_cycles_per_word, (double)WORD_CYCLES / o.rows);
  if (!o.host && strcmp(host, "none") != 0) {
    if (!in->error) in->error = weft_error(WEFT_INVALID, "input \"host_io\": \"%s\"; h2d+d2h or none is right", host);
    return 0;
  }
  return simulate(in, &o) + (o.host ? HOST_CALLS : 0);
}
