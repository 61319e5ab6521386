// The cycle formulas of docs/kernels.md, "Layers of a network", against what the simulator counts on wse2's constants.
#include "tests/lower/lower.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "compiler/kernels/layers.h"
#include "models/machine.h"
#include "sim/wavelet.h"

// One case: (tokens, in) and (tokens, out) on columns x rows of cores.
typedef struct layer_case {
  uint32_t columns, rows, tokens, in, out;
} layer_case;

static uint32_t block(uint32_t total, uint32_t parts) { return weft_layer_block(total, parts); }

// ---- formulas

static double product_cycles(const layer_case *c) {
  double n = block(c->tokens, c->rows) * block(c->out, c->columns);
  return c->columns * (2.03 * n * block(c->in, c->columns) + 2.66 * n + 108);
}

static double gradient_cycles(const layer_case *c) {
  double rows = block(c->tokens, c->rows), in = block(c->in, c->columns), out = block(c->out, c->columns);
  double turn = 1.98 * rows * out * in + 1.5 * out * in + 21.3 * rows + 1.92 * rows * out;
  return c->columns * turn + 16.8 * (c->columns + c->rows);
}

static double norm_cycles(const layer_case *c) {
  double rows = block(c->tokens, c->rows);
  return 7.65 * rows * block(c->in, c->columns) + 112 * rows + 9.14 * c->columns;
}

static double rope_cycles(const layer_case *c) {
  double width = block(c->in, c->columns), n = block(c->tokens, c->rows) * width;
  return 123 * n + 2.02 * c->columns * n + 46.8 * width + 4.16 * c->columns;
}

static double silu_cycles(const layer_case *c) {
  return 114.5 * block(c->tokens, c->rows) * block(c->out, c->columns) + 45;
}

static double loss_cycles(const layer_case *c) {
  double rows = block(c->tokens, c->rows);
  return 64.7 * rows * block(c->out, c->columns) + 155 * rows + 15.7 * c->columns;
}

static double adamw_cycles(const layer_case *c) {
  double each = block(c->in * c->out, c->columns * c->rows);
  return 173.8 * each + 6.98 * c->rows * each + 15.3 * c->rows;
}

enum { HEADS = 4, HEAD_DIM = 16 };

static double attention_cycles(const layer_case *c) {
  uint32_t width = block(HEADS * HEAD_DIM, c->columns), most = 0;
  for (uint32_t x = 0; x < c->columns; ++x) {
    uint32_t end = (x + 1) * width < HEADS * HEAD_DIM ? (x + 1) * width : HEADS * HEAD_DIM;
    if (x * width >= end) break;
    uint32_t heads = block(end, HEAD_DIM) - x * width / HEAD_DIM;
    most = heads > most ? heads : most;
  }
  double rows = block(c->tokens, c->rows), n = c->tokens;
  return 55.2 * rows * most * n + 8.15 * rows * HEADS * n + 243 * rows * width + 1.68 * rows * width * n +
         72 * (c->columns + c->rows);
}

// ---- against the simulator

static float values[8][32768];
static int32_t ids[256];

static weft_wavelet_matrix matrix(int which, uint32_t rows, uint32_t columns) {
  assert_true(rows * columns <= sizeof values[0] / sizeof values[0][0]);
  return (weft_wavelet_matrix){values[which], rows, columns};
}

typedef struct operands {
  weft_wavelet_matrix in[WEFT_OP_MAX_INPUTS], out[WEFT_OP_MAX_OUTPUTS];
} operands;

static operands operands_of(weft_op op, const layer_case *c) {
  uint32_t n = c->tokens, in = c->in, out = c->out, width = HEADS * HEAD_DIM;
  weft_wavelet_matrix tokens = {ids, n, 1};
  switch (op) {
    case WEFT_OP_LINEAR: return (operands){{matrix(0, n, in), matrix(1, out, in)}, {matrix(4, n, out)}};
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: return (operands){{matrix(0, n, out), matrix(1, n, in)}, {matrix(4, out, in)}};
    case WEFT_OP_RMS_NORM: return (operands){{matrix(0, n, in), matrix(1, 1, in)}, {matrix(4, n, in), matrix(5, n, 1)}};
    case WEFT_OP_ROPE: return (operands){{matrix(0, n, in), tokens}, {matrix(4, n, in)}};
    case WEFT_OP_ACTIVATION: return (operands){{matrix(0, n, out)}, {matrix(4, n, out)}};
    case WEFT_OP_CROSS_ENTROPY: return (operands){{matrix(0, n, out), tokens}, {matrix(4, n, 1), matrix(5, n, 1)}};
    case WEFT_OP_ADAMW:
      return (operands){{matrix(0, out, in), matrix(1, out, in), matrix(2, out, in), matrix(3, out, in)},
                        {matrix(4, out, in), matrix(5, out, in), matrix(6, out, in)}};
    default:
      return (operands){{matrix(0, n, width), matrix(1, n, width), matrix(2, n, width)},
                        {matrix(4, n, width), matrix(5, n, HEADS)}};
  }
}

static void check(weft_op op, const weft_machine *machine, const layer_case *c, double formula, double tolerance) {
  weft_attributes a = {.batch = 1,
                       .scale = 1,
                       .epsilon = 1e-5f,
                       .causal = true,
                       .heads = HEADS,
                       .kv_heads = HEADS,
                       .head_dim = HEAD_DIM,
                       .rotary_dim = HEAD_DIM,
                       .rope_kind = WEFT_ROPE_HALF,
                       .rope_theta = 10000,
                       .decay = 1,
                       .activation = WEFT_SILU};
  weft_wavelet_scalars s = {
      .learning_rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .step = 1, .gradient_scale = 0.5f};
  operands o = operands_of(op, c);
  weft_wavelet_work work = {0};
  require(weft_wavelet_op(machine, WEFT_F32, op, &a, &s, false, o.in, o.out, &work));
  double error = formula / (double)work.cycles - 1;
  if (!(fabs(error) <= tolerance))
    fail_msg("%s on %ux%u cores, %u tokens, %u in, %u out: %llu cycles, the formula says %.0f (%+.1f %%)",
             weft_op_name(op), c->columns, c->rows, c->tokens, c->in, c->out, (unsigned long long)work.cycles, formula,
             100 * error);
}

static void test_formulas(void **state) {
  (void)state;
  static const layer_case cases[] = {{4, 4, 69, 64, 64},   {8, 8, 69, 64, 172}, {12, 5, 30, 172, 64},
                                     {16, 12, 7, 64, 160}, {8, 8, 120, 96, 48}, {16, 12, 69, 48, 192}};
  for (int v = 0; v < 8; ++v) fill(values[v], sizeof values[v] / sizeof values[v][0], (uint32_t)v);
  for (int i = 0; i < 256; ++i) ids[i] = i % 40;
  for (size_t i = 0; i < 32768; ++i) values[3][i] = fabsf(values[3][i]);
  weft_machine *machine = NULL;
  require(weft_machine_read(WEFT_TESTS "/../models/machines/wse2.yaml", &machine));
  machine->mesh.sram_bytes_per_core = 256 << 10;  // cycles do not depend on it
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    const layer_case *c = &cases[i];
    machine->mesh.columns = c->columns;
    machine->mesh.rows = c->rows;
    check(WEFT_OP_LINEAR, machine, c, product_cycles(c), 0.05);
    check(WEFT_OP_LINEAR_BACKWARD_WEIGHT, machine, c, gradient_cycles(c), 0.01);
    check(WEFT_OP_RMS_NORM, machine, c, norm_cycles(c), 0.07);
    if (c->in % HEAD_DIM == 0) check(WEFT_OP_ROPE, machine, c, rope_cycles(c), 0.01);
    check(WEFT_OP_ACTIVATION, machine, c, silu_cycles(c), 0.01);
    check(WEFT_OP_CROSS_ENTROPY, machine, c, loss_cycles(c), 0.01);
    check(WEFT_OP_ADAMW, machine, c, adamw_cycles(c), 0.01);
    if (c->tokens >= 30 && c->tokens < 100) check(WEFT_OP_ATTENTION, machine, c, attention_cycles(c), 0.03);
  }
  weft_machine_destroy(machine);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_formulas)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
