// Every op on simulated meshes of many shapes against backend ref: sizes that do not divide, one token, more cores than
// columns or rows.
#include "tests/lower/lower.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "models/machine.h"
#include "runtime/backend.h"
#include "sim/wavelet.h"

enum { OPERANDS = WEFT_OP_MAX_INPUTS + WEFT_OP_MAX_OUTPUTS };

// One call: operands for ref and for the mesh. Outputs begin equal.
typedef struct call {
  weft_op op;
  weft_attributes attributes;
  weft_scalars scalars;
  bool accumulate;
  weft_wavelet_matrix in[WEFT_OP_MAX_INPUTS], ours[WEFT_OP_MAX_OUTPUTS], theirs[WEFT_OP_MAX_OUTPUTS];
  bool integers[WEFT_OP_MAX_INPUTS];
  void *owned[4 * OPERANDS];
  uint32_t owned_count, seed;
} call;

typedef struct size {
  uint32_t rows, columns;
} size;

// Of the largest value of every output. f32: the promise. In 16-bit formats operands are rounded when they arrive, and
// results when they are stored; a rounding is half a unit of the last place, 2^-11 (f16) and 2^-8 (bf16). An op has up
// to three rounded operands and one result, and where terms cancel the operands' roundings are larger than the
// result's: 6 of them.
static const double rounding = 1e-5, f16_rounding = 6 * 0x1p-11, bf16_rounding = 6 * 0x1p-8;
static double worst_error[WEFT_DTYPE_COUNT];

// The large ones come last, and are for a few shapes of every op.
static const size meshes[] = {{1, 1}, {2, 1}, {1, 3}, {3, 2}, {4, 5}, {1, 5}, {5, 1}, {3, 7}, {8, 8}, {16, 12}};
enum { MESHES = sizeof meshes / sizeof *meshes, LARGE = 8 };

// Whether mesh m has case `number` of `count`: on large ones, every fourth.
static bool wanted(int m, size_t number, size_t count) { return m < LARGE || (count - 1 - number) % 4 == 0; }

static weft_machine *mesh_of(size cores) {
  char *text = weft_format("mesh:%ux%u sram:48KiB clock:850MHz", cores.columns, cores.rows);
  weft_machine *machine = NULL;
  require(weft_machine_read(text, &machine));
  free(text);
  return machine;
}

static call begin(weft_op op) {
  call c = {.op = op, .seed = (uint32_t)op * 100};
  c.attributes = (weft_attributes){.batch = 1, .scale = 1, .epsilon = 1e-5f, .causal = true, .decay = 1};
  c.scalars = (weft_scalars){.loss_scale = 0.125f,
                             .learning_rate = 1e-3f,
                             .beta1 = 0.9f,
                             .beta2 = 0.95f,
                             .epsilon = 1e-8f,
                             .decay = 0.1f,
                             .step = 3,
                             .gradient_scale = 0.75f};
  return c;
}

static void *own(call *c, size_t bytes) { return c->owned[c->owned_count++] = weft_allocate(bytes); }

static float *input(call *c, int which, uint32_t rows, uint32_t columns) {
  float *values = own(c, (size_t)rows * columns * sizeof *values);
  fill(values, (uint64_t)rows * columns, ++c->seed);
  c->in[which] = (weft_wavelet_matrix){values, rows, columns};
  return values;
}

// Whole numbers from `low` to `high`.
static int32_t *input_integers(call *c, int which, uint32_t count, int32_t low, int32_t high) {
  int32_t *values = own(c, count * sizeof *values);
  for (uint32_t i = 0; i < count; ++i) values[i] = low + (int32_t)(i * 7 + 3) % (high - low + 1);
  c->in[which] = (weft_wavelet_matrix){values, count, 1};
  c->integers[which] = true;
  return values;
}

static float *output(call *c, int which, uint32_t rows, uint32_t columns) {
  size_t bytes = (size_t)rows * columns * sizeof(float);
  float *ours = own(c, bytes), *theirs = own(c, bytes);
  fill(ours, (uint64_t)rows * columns, ++c->seed);
  memcpy(theirs, ours, bytes);
  c->ours[which] = (weft_wavelet_matrix){ours, rows, columns};
  c->theirs[which] = (weft_wavelet_matrix){theirs, rows, columns};
  return theirs;
}

static weft_view view_of(const weft_wavelet_matrix *m, bool integers) {
  if (!m->data) return (weft_view){0};
  return (weft_view){m->data, integers ? WEFT_I32 : WEFT_F32, m->rows, m->columns, m->columns};
}

static void run_ref(call *c) {
  void *device = NULL;
  const weft_backend *ref = &weft_backend_ref;
  require(ref->open(&(weft_backend_options){0}, &device));
  weft_call made = {.op = c->op, .attributes = &c->attributes, .scalars = &c->scalars, .accumulate = c->accumulate};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) made.inputs[i] = view_of(&c->in[i], c->integers[i]);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) made.outputs[i] = view_of(&c->theirs[i], false);
  double sum = 0;
  if (c->op == WEFT_OP_SQUARE_SUM) made.outputs[0] = (weft_view){&sum, WEFT_F64, 1, 1, 1};
  require(ref->compute(device, 0, &made));
  if (c->op == WEFT_OP_SQUARE_SUM) *(float *)c->theirs[0].data = (float)sum;
  ref->close(device);
}

static weft_wavelet_scalars scalars_of(const weft_scalars *s) {
  return (weft_wavelet_scalars){.position = s->position,
                                .loss_scale = s->loss_scale,
                                .learning_rate = s->learning_rate,
                                .beta1 = s->beta1,
                                .beta2 = s->beta2,
                                .epsilon = s->epsilon,
                                .decay = s->decay,
                                .step = s->step,
                                .gradient_scale = s->gradient_scale};
}

static void end(call *c) {
  for (uint32_t i = 0; i < c->owned_count; ++i) free(c->owned[i]);
}

static bool at_store(weft_op op) {
  return op == WEFT_OP_ADAMW || op == WEFT_OP_SGD || op == WEFT_OP_SQUARE_SUM || op == WEFT_OP_STORE_GRADIENT;
}

// Outputs of ours as they were, for the next dtype.
static void begin_again(const call *c, const weft_wavelet_matrix before[WEFT_OP_MAX_OUTPUTS]) {
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    if (c->ours[i].data)
      memcpy(c->ours[i].data, before[i].data, (size_t)c->ours[i].rows * c->ours[i].columns * sizeof(float));
}

static void run_ours(call *c, const weft_machine *machine, weft_dtype dtype, double tolerance) {
  weft_wavelet_scalars scalars = scalars_of(&c->scalars);
  weft_wavelet_work work = {0};
  const char *op = weft_op_name(c->op), *kind = weft_dtype_name(dtype);
  uint32_t columns = machine->mesh.columns, rows = machine->mesh.rows;
  weft_status status =
      weft_wavelet_op(machine, dtype, c->op, &c->attributes, &scalars, c->accumulate, c->in, c->ours, &work);
  if (status) fail_msg("%s in %s on %ux%u cores: %s", op, kind, columns, rows, weft_status_message(status));
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    if (!c->ours[i].data) continue;
    double error = distance(c->ours[i].data, c->theirs[i].data, (uint64_t)c->ours[i].rows * c->ours[i].columns);
    if (!(error <= tolerance))
      fail_msg("%s in %s on %ux%u cores, output %d (%u, %u): error %g, tolerance %g", op, kind, columns, rows, i,
               c->ours[i].rows, c->ours[i].columns, error, tolerance);
    if (error > worst_error[dtype]) worst_error[dtype] = error;
  }
  bool stays = c->op == WEFT_OP_STORE_GRADIENT && !c->accumulate;
  assert_true(stays || (work.kernels > 0 && work.cycles > 0));
}

// Runs both and compares all outputs: in f32, and with activations in the 16-bit formats against ref in f32. What is
// exact in f32 (tolerance 0) is rounded once there.
static void check(call *c, size cores, double tolerance) {
  weft_machine *machine = mesh_of(cores);
  weft_wavelet_matrix before[WEFT_OP_MAX_OUTPUTS] = {{0}};
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    size_t bytes = (size_t)c->ours[i].rows * c->ours[i].columns * sizeof(float);
    if (c->ours[i].data) before[i].data = memcpy(own(c, bytes), c->ours[i].data, bytes);
  }
  run_ref(c);
  run_ours(c, machine, WEFT_F32, tolerance);
  for (int narrow = 0; narrow < 2 && !at_store(c->op); ++narrow) {
    begin_again(c, before);
    run_ours(c, machine, narrow == 0 ? WEFT_F16 : WEFT_BF16, narrow == 0 ? f16_rounding : bf16_rounding);
  }
  weft_machine_destroy(machine);
  end(c);
}

// ---- products

static void test_linear(void **state) {
  (void)state;
  static const uint32_t shapes[][3] = {{1, 1, 1},  {1, 7, 5},    {6, 4, 3},   {9, 13, 11},
                                       {2, 3, 17}, {17, 16, 10}, {29, 37, 50}};
  size_t count = sizeof shapes / sizeof *shapes;
  for (int m = 0; m < MESHES; ++m)
    for (size_t s = 0; s < count; ++s)
      for (int variant = 0; variant < 4; ++variant) {
        if (!wanted(m, s, count)) continue;
        uint32_t rows = shapes[s][0], in = shapes[s][1], out = shapes[s][2];
        call c = begin(WEFT_OP_LINEAR);
        c.attributes.transposed = variant & 1;
        c.attributes.scale = variant == 3 ? 0.5f : 1;
        input(&c, 0, rows, in);
        input(&c, 1, c.attributes.transposed ? in : out, c.attributes.transposed ? out : in);
        if (variant >= 2) input(&c, 2, 1, out);
        output(&c, 0, rows, out);
        check(&c, meshes[m], rounding);
      }
}

static void test_linear_backward_input(void **state) {
  (void)state;
  static const uint32_t shapes[][3] = {{1, 7, 5}, {9, 13, 11}, {17, 6, 10}, {29, 37, 50}};
  size_t count = sizeof shapes / sizeof *shapes;
  for (int m = 0; m < MESHES; ++m)
    for (size_t s = 0; s < count; ++s)
      for (int variant = 0; variant < 4; ++variant) {
        if (!wanted(m, s, count)) continue;
        uint32_t rows = shapes[s][0], in = shapes[s][1], out = shapes[s][2];
        call c = begin(WEFT_OP_LINEAR_BACKWARD_INPUT);
        c.attributes.transposed = variant & 1;
        c.accumulate = variant >= 2;
        c.attributes.accumulate = c.accumulate;
        input(&c, 0, rows, out);
        input(&c, 1, c.attributes.transposed ? in : out, c.attributes.transposed ? out : in);
        output(&c, 0, rows, in);
        check(&c, meshes[m], rounding);
      }
}

static void test_linear_backward_weight(void **state) {
  (void)state;
  static const uint32_t shapes[][3] = {{1, 7, 5}, {9, 13, 11}, {17, 6, 10}, {29, 37, 50}};
  size_t count = sizeof shapes / sizeof *shapes;
  for (int m = 0; m < MESHES; ++m)
    for (size_t s = 0; s < count; ++s)
      for (int variant = 0; variant < 4; ++variant) {
        if (!wanted(m, s, count)) continue;
        uint32_t rows = shapes[s][0], in = shapes[s][1], out = shapes[s][2];
        call c = begin(WEFT_OP_LINEAR_BACKWARD_WEIGHT);
        c.attributes.transposed = variant & 1;
        c.attributes.scale = variant == 3 ? 0.5f : 1;
        input(&c, 0, rows, out);
        input(&c, 1, rows, in);
        output(&c, 0, c.attributes.transposed ? in : out, c.attributes.transposed ? out : in);
        if (variant >= 2) output(&c, 1, 1, out);
        check(&c, meshes[m], rounding);
      }
}

// ---- norms

static void check_norm(size cores, bool centred, uint32_t rows, uint32_t columns) {
  uint32_t per = centred ? 2 : 1;
  call c = begin(centred ? WEFT_OP_LAYER_NORM : WEFT_OP_RMS_NORM);
  input(&c, 0, rows, columns);
  input(&c, 1, 1, columns);
  if (centred) input(&c, 2, 1, columns);
  output(&c, 0, rows, columns);
  output(&c, 1, rows, per);
  check(&c, cores, rounding);

  call b = begin(centred ? WEFT_OP_LAYER_NORM_BACKWARD : WEFT_OP_RMS_NORM_BACKWARD);
  call f = begin(centred ? WEFT_OP_LAYER_NORM : WEFT_OP_RMS_NORM);  // for the statistics
  input(&b, 0, rows, columns);
  f.in[0] = (weft_wavelet_matrix){input(&b, 1, rows, columns), rows, columns};
  f.in[1] = (weft_wavelet_matrix){input(&b, 2, 1, columns), 1, columns};
  f.theirs[1] = (weft_wavelet_matrix){input(&b, 3, rows, per), rows, per};
  output(&f, 0, rows, columns);
  run_ref(&f);
  output(&b, 0, rows, columns);
  output(&b, 1, 1, columns);
  if (centred) output(&b, 2, 1, columns);
  check(&b, cores, rounding);
  end(&f);
}

static void test_norms(void **state) {
  (void)state;
  static const size shapes[] = {{1, 8}, {5, 7}, {11, 3}, {16, 12}, {31, 41}};
  size_t count = sizeof shapes / sizeof *shapes;
  for (int m = 0; m < MESHES; ++m)
    for (size_t s = 0; s < count; ++s) {
      if (!wanted(m, s, count)) continue;
      check_norm(meshes[m], true, shapes[s].rows, shapes[s].columns);
      check_norm(meshes[m], false, shapes[s].rows, shapes[s].columns);
    }
}

// ---- element by element

static void test_pointwise(void **state) {
  (void)state;
  static const weft_op ops[] = {WEFT_OP_ACTIVATION, WEFT_OP_ACTIVATION_BACKWARD, WEFT_OP_GATED, WEFT_OP_GATED_BACKWARD,
                                WEFT_OP_ADD};
  static const int inputs[] = {1, 2, 2, 3, 2};
  for (int m = 0; m < MESHES; ++m)
    for (size_t o = 0; o < sizeof ops / sizeof *ops; ++o)
      for (int kind = 0; kind < WEFT_ACTIVATION_COUNT; ++kind) {
        if (!wanted(m, (size_t)kind, WEFT_ACTIVATION_COUNT)) continue;
        call c = begin(ops[o]);
        c.attributes.activation = (weft_activation)kind;
        for (int i = 0; i < inputs[o]; ++i) {
          float *values = input(&c, i, 7, 9);
          for (int e = 0; e < 63; ++e) values[e] *= 4;
        }
        output(&c, 0, 7, 9);
        if (ops[o] == WEFT_OP_GATED_BACKWARD) output(&c, 1, 7, 9);
        check(&c, meshes[m], rounding);
      }
}

// Half of the variants: short waves as they are, long ones 8 times as long, and one in between.
static void stretch(weft_attributes *a, int variant) {
  if (variant < 8) return;
  a->rope_scaling = variant & 2 ? WEFT_ROPE_LINEAR : WEFT_ROPE_LLAMA3;
  a->rope_factor = 8;
  a->rope_low_frequency_factor = 1;
  a->rope_high_frequency_factor = 4;
  a->rope_original_positions = 256;
}

static void test_rope(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m)
    for (int variant = 0; variant < 16; ++variant) {
      if (!wanted(m, (size_t)variant, 16)) continue;
      call c = begin(variant & 1 ? WEFT_OP_ROPE_BACKWARD : WEFT_OP_ROPE);
      c.attributes.head_dim = 6;
      c.attributes.rotary_dim = variant & 2 ? 4 : 6;
      c.attributes.rope_kind = variant & 4 ? WEFT_ROPE_INTERLEAVED : WEFT_ROPE_HALF;
      c.attributes.rope_theta = 10000;
      stretch(&c.attributes, variant);
      input(&c, 0, 7, 18);
      input_integers(&c, 1, 7, 0, 30);
      output(&c, 0, 7, 18);
      check(&c, meshes[m], rounding);
    }
}

// ---- attention

static weft_attributes heads_of(uint32_t batch, uint32_t heads, uint32_t kv_heads, uint32_t dim) {
  return (weft_attributes){
      .batch = batch, .heads = heads, .kv_heads = kv_heads, .head_dim = dim, .causal = true, .scale = 0.4f};
}

static void check_attention(size cores, weft_attributes a, uint32_t tokens) {
  uint32_t rows = a.batch * tokens, q = a.heads * a.head_dim, k = a.kv_heads * a.head_dim;
  call c = begin(WEFT_OP_ATTENTION);
  c.attributes = a;
  input(&c, 0, rows, q);
  input(&c, 1, rows, k);
  input(&c, 2, rows, k);
  output(&c, 0, rows, q);
  output(&c, 1, rows, a.heads);
  check(&c, cores, rounding);

  call b = begin(WEFT_OP_ATTENTION_BACKWARD), f = begin(WEFT_OP_ATTENTION);
  b.attributes = f.attributes = a;
  input(&b, 0, rows, q);
  f.in[0] = (weft_wavelet_matrix){input(&b, 1, rows, q), rows, q};
  f.in[1] = (weft_wavelet_matrix){input(&b, 2, rows, k), rows, k};
  f.in[2] = (weft_wavelet_matrix){input(&b, 3, rows, k), rows, k};
  f.theirs[0] = (weft_wavelet_matrix){input(&b, 4, rows, q), rows, q};
  f.theirs[1] = (weft_wavelet_matrix){input(&b, 5, rows, a.heads), rows, a.heads};
  run_ref(&f);
  output(&b, 0, rows, q);
  output(&b, 1, rows, k);
  output(&b, 2, rows, k);
  check(&b, cores, rounding);
}

static void test_attention(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    check_attention(meshes[m], heads_of(3, 4, 2, 3), 4);
    check_attention(meshes[m], heads_of(1, 6, 2, 5), 13);
    if (m >= LARGE) continue;
    check_attention(meshes[m], heads_of(1, 1, 1, 4), 1);
    check_attention(meshes[m], heads_of(2, 3, 3, 2), 5);
    check_attention(meshes[m], heads_of(1, 4, 1, 5), 7);
    weft_attributes all = heads_of(2, 2, 2, 3);
    all.causal = false;
    check_attention(meshes[m], all, 4);
  }
}

static void check_cache(size cores, weft_attributes a, uint32_t tokens, uint32_t room, uint32_t position) {
  uint32_t rows = a.batch * tokens, q = a.heads * a.head_dim, k = a.kv_heads * a.head_dim;
  call w = begin(WEFT_OP_CACHE_WRITE);
  w.attributes = a;
  w.scalars.position = position;
  input(&w, 0, rows, k);
  input(&w, 1, rows, k);
  output(&w, 0, a.batch * room, k);
  output(&w, 1, a.batch * room, k);
  check(&w, cores, 0);

  call c = begin(WEFT_OP_ATTENTION_CACHED);
  c.attributes = a;
  c.scalars.position = position;
  input(&c, 0, rows, q);
  input(&c, 1, a.batch * room, k);
  input(&c, 2, a.batch * room, k);
  output(&c, 0, rows, q);
  check(&c, cores, rounding);
}

static void test_cache(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    check_cache(meshes[m], heads_of(1, 2, 2, 3), 1, 9, 5);
    check_cache(meshes[m], heads_of(2, 4, 2, 3), 1, 6, 5);
    check_cache(meshes[m], heads_of(2, 2, 1, 4), 3, 8, 0);
    check_cache(meshes[m], heads_of(1, 3, 3, 2), 2, 7, 4);
  }
}

static void test_last_row(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    call c = begin(WEFT_OP_LAST_ROW);
    c.attributes.batch = 3;
    input(&c, 0, 12, 7);
    output(&c, 0, 3, 7);
    check(&c, meshes[m], 0);
  }
}

// ---- loss

static void test_cross_entropy(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m) {
    call c = begin(WEFT_OP_CROSS_ENTROPY);
    input(&c, 0, 9, 11);
    input_integers(&c, 1, 9, -1, 10);
    output(&c, 0, 9, 1);
    output(&c, 1, 9, 1);
    check(&c, meshes[m], rounding);

    call b = begin(WEFT_OP_CROSS_ENTROPY_BACKWARD), f = begin(WEFT_OP_CROSS_ENTROPY);
    f.in[0] = (weft_wavelet_matrix){input(&b, 0, 9, 11), 9, 11};
    f.in[1] = (weft_wavelet_matrix){input_integers(&b, 1, 9, -1, 10), 9, 1};
    f.integers[1] = true;
    f.theirs[1] = (weft_wavelet_matrix){input(&b, 2, 9, 1), 9, 1};
    output(&f, 0, 9, 1);
    run_ref(&f);
    output(&b, 0, 9, 11);
    check(&b, meshes[m], rounding);
    end(&f);
  }
}

// ---- between mesh and store

static void test_embeddings(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m)
    for (int accumulate = 0; accumulate < 2; ++accumulate) {
      call c = begin(WEFT_OP_EMBED);
      c.attributes.scale = accumulate ? 3 : 1;
      input_integers(&c, 0, 13, 0, 8);
      input(&c, 1, 9, 7);
      output(&c, 0, 13, 7);
      check(&c, meshes[m], rounding);

      call b = begin(WEFT_OP_EMBED_BACKWARD);
      b.accumulate = accumulate;
      input_integers(&b, 0, 13, 0, 8);
      input(&b, 1, 13, 7);
      output(&b, 0, 9, 7);
      check(&b, meshes[m], rounding);
    }
}

static void test_updates(void **state) {
  (void)state;
  for (int m = 0; m < MESHES; ++m)
    for (uint32_t rows = 1; rows < 200; rows += 97) {
      if (m >= LARGE && rows != 98) continue;
      call c = begin(WEFT_OP_ADAMW);
      for (int i = 0; i < 4; ++i) {
        float *values = input(&c, i, rows, 7);
        for (uint32_t e = 0; i == 3 && e < rows * 7; ++e) values[e] = fabsf(values[e]);
      }
      for (int i = 0; i < 3; ++i) output(&c, i, rows, 7);
      check(&c, meshes[m], rounding);

      call s = begin(WEFT_OP_SGD);
      input(&s, 0, rows, 7);
      input(&s, 1, rows, 7);
      output(&s, 0, rows, 7);
      check(&s, meshes[m], rounding);

      call q = begin(WEFT_OP_SQUARE_SUM);
      input(&q, 0, rows, 7);
      output(&q, 0, 1, 1);
      check(&q, meshes[m], rounding);

      call g = begin(WEFT_OP_STORE_GRADIENT);
      g.accumulate = rows > 1;
      input(&g, 0, rows, 7);
      output(&g, 0, rows, 7);
      check(&g, meshes[m], rounding);
    }
}

// Bias corrections are made by doubling: betas near 1, steps from the first to where beta^step is nothing.
static void test_steps(void **state) {
  (void)state;
  static const uint64_t steps[] = {1, 2, 3, 10, 1000, 65535, 65536, 1000003, 4294967295u};
  for (size_t s = 0; s < sizeof steps / sizeof *steps; ++s) {
    call c = begin(WEFT_OP_ADAMW);
    c.scalars.step = steps[s];
    c.scalars.beta2 = 0.9999f;
    for (int i = 0; i < 4; ++i) {
      float *values = input(&c, i, 3, 7);
      for (uint32_t e = 0; i == 3 && e < 21; ++e) values[e] = fabsf(values[e]);
    }
    for (int i = 0; i < 3; ++i) output(&c, i, 3, 7);
    check(&c, (size){2, 3}, rounding);
  }
}

// ---- what cannot be done is said, with the kernel's name

static void refused(const char *where, weft_op op, const char *words) {
  weft_machine *machine = NULL;
  require(weft_machine_read(where, &machine));
  call c = begin(op);
  input(&c, 0, 64, 128);
  input(&c, 1, 128, 128);
  output(&c, 0, 64, 128);
  weft_wavelet_scalars scalars = scalars_of(&c.scalars);
  weft_wavelet_work work = {0};
  weft_status status = weft_wavelet_op(machine, WEFT_F32, op, &c.attributes, &scalars, false, c.in, c.ours, &work);
  assert_non_null(status);
  if (!strstr(weft_status_message(status), words)) fail_msg("\"%s\" is not in: %s", words, weft_status_message(status));
  weft_status_free(status);
  weft_machine_destroy(machine);
  end(&c);
}

static void test_refusals(void **state) {
  (void)state;
  refused("mesh:1x1 sram:48KiB clock:850MHz", WEFT_OP_LINEAR, "kernel product");
  refused("mesh:2x2 sram:48KiB clock:850MHz", WEFT_OP_ALL_REDUCE, "all_reduce has no kernel");
  refused("roofline:1TFLOP/s", WEFT_OP_LINEAR, "is not a mesh");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pointwise),
                                     cmocka_unit_test(test_linear),
                                     cmocka_unit_test(test_linear_backward_input),
                                     cmocka_unit_test(test_linear_backward_weight),
                                     cmocka_unit_test(test_norms),
                                     cmocka_unit_test(test_rope),
                                     cmocka_unit_test(test_attention),
                                     cmocka_unit_test(test_cache),
                                     cmocka_unit_test(test_last_row),
                                     cmocka_unit_test(test_cross_entropy),
                                     cmocka_unit_test(test_embeddings),
                                     cmocka_unit_test(test_updates),
                                     cmocka_unit_test(test_steps),
                                     cmocka_unit_test(test_refusals)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  printf("worst errors: f32 %.1e, f16 %.1e, bf16 %.1e\n", worst_error[WEFT_F32], worst_error[WEFT_F16],
         worst_error[WEFT_BF16]);
  return failed;
}
