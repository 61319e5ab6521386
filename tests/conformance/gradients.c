// Backend ref against the definitions: results of forward ops, and every backward op against central differences (in
// f64) of the definition of its forward op, for all inputs.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "suite.h"

// Operands as dense f64.
typedef struct numbers {
  double *in[WEFT_OP_MAX_INPUTS], *out[WEFT_OP_MAX_OUTPUTS];
} numbers;

static double *dense(const suite_operand *o) {
  if (!o->kind) return NULL;
  double *values = calloc(o->rows * o->columns, sizeof *values);
  for (uint64_t i = 0; o->kind != SUITE_INDEX && i < o->rows * o->columns; ++i)
    values[i] = (double)suite_value(o, i / o->columns, i % o->columns);
  return values;
}

static numbers numbers_of(const suite_data *d) {
  numbers n = {0};
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) n.in[i] = dense(&d->inputs[i]);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) n.out[i] = dense(&d->outputs[i]);
  return n;
}

static void release(numbers *n) {
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) free(n->in[i]);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) free(n->out[i]);
}

static double largest(const double *values, uint64_t count) {
  double most = 1e-30;
  for (uint64_t i = 0; i < count; ++i) most = fmax(most, fabs(values[i]));
  return most;
}

static void forward_ops_follow_their_definitions(void **state) {
  (void)state;
  size_t count, checked = 0;
  const suite_case *cases = suite_cases(&count);
  void *device = suite_open(&weft_backend_ref, 1);
  for (size_t c = 0; c < count; ++c) {
    suite_data d;
    suite_data_create(&cases[c], WEFT_F32, WEFT_F32, 3, 21, &d);
    numbers expected = numbers_of(&d);
    if (suite_define(&cases[c], &d, expected.in, expected.out)) {
      ++checked;
      suite_run(&weft_backend_ref, device, &d);
      const suite_operand *y = &d.outputs[0];
      double most = largest(expected.out[0], y->rows * y->columns);
      for (uint64_t i = 0; i < y->rows * y->columns; ++i) {
        double got = (double)suite_value(y, i / y->columns, i % y->columns);
        if (!(fabs(got - expected.out[0][i]) <= 1e-6 * most))
          fail_msg("%s: element %llu is %.9g, by definition %.9g", cases[c].name, (unsigned long long)i, got,
                   expected.out[0][i]);
      }
    }
    release(&expected);
    suite_data_destroy(&d);
  }
  assert_true(checked >= 30);
  weft_backend_ref.close(device);
}

// A backward op: its forward op, and for each input of that one where its value is among the backward op's inputs and
// where its gradient is among the outputs (-1: it has none, or is not given).
typedef struct rule {
  weft_op backward, forward;
  int upstream;  // input of the backward op that is dy; -1: cross entropy, whose upstream is loss_scale
  int values[3], gradients[3];
} rule;

static const rule rules[] = {
    {WEFT_OP_EMBED_BACKWARD, WEFT_OP_EMBED, 1, {0, -1, -1}, {-1, 0, -1}},
    {WEFT_OP_LINEAR_BACKWARD_INPUT, WEFT_OP_LINEAR, 0, {-1, 1, -1}, {0, -1, -1}},
    {WEFT_OP_LINEAR_BACKWARD_WEIGHT, WEFT_OP_LINEAR, 0, {1, -1, -1}, {-1, 0, 1}},
    {WEFT_OP_LAYER_NORM_BACKWARD, WEFT_OP_LAYER_NORM, 0, {1, 2, -1}, {0, 1, 2}},
    {WEFT_OP_RMS_NORM_BACKWARD, WEFT_OP_RMS_NORM, 0, {1, 2, -1}, {0, 1, -1}},
    {WEFT_OP_ROPE_BACKWARD, WEFT_OP_ROPE, 0, {-1, 1, -1}, {0, -1, -1}},
    {WEFT_OP_ATTENTION_BACKWARD, WEFT_OP_ATTENTION, 0, {1, 2, 3}, {0, 1, 2}},
    {WEFT_OP_ACTIVATION_BACKWARD, WEFT_OP_ACTIVATION, 0, {1, -1, -1}, {0, -1, -1}},
    {WEFT_OP_GATED_BACKWARD, WEFT_OP_GATED, 0, {1, 2, -1}, {0, 1, -1}},
    {WEFT_OP_CROSS_ENTROPY_BACKWARD, WEFT_OP_CROSS_ENTROPY, -1, {0, 1, -1}, {0, -1, -1}},
};

// What the differences are taken of: sum of upstream * forward(inputs).
typedef struct probe {
  suite_case forward_case;
  suite_data forward;  // shapes and indices of the forward op
  numbers n;
  const double *upstream;
  double upstream_scale;
} probe;

static double objective(probe *p) {
  assert_true(suite_define(&p->forward_case, &p->forward, p->n.in, p->n.out));
  const suite_operand *y = &p->forward.outputs[0];
  double sum = 0;
  for (uint64_t i = 0; i < y->rows * y->columns; ++i)
    sum += (p->upstream ? p->upstream[i] : p->upstream_scale) * p->n.out[0][i];
  return sum;
}

static void open_probe(const suite_case *backward, const rule *r, const suite_data *d, const numbers *given, probe *p) {
  p->forward_case = *backward;
  p->forward_case.op = r->forward;
  p->forward_case.chunk_rows = 0;
  suite_data_create(&p->forward_case, WEFT_F32, WEFT_F32, 0, 5, &p->forward);
  p->n = numbers_of(&p->forward);
  for (int i = 0; i < 3; ++i) {
    if (r->values[i] < 0) continue;
    const suite_operand *from = &d->inputs[r->values[i]];
    if (from->kind == SUITE_INDEX)
      memcpy(p->forward.inputs[i].memory, from->memory, from->bytes);
    else
      memcpy(p->n.in[i], given->in[r->values[i]], from->rows * from->columns * sizeof(double));
  }
  p->upstream = r->upstream < 0 ? NULL : given->in[r->upstream];
  p->upstream_scale = (double)d->scalars.loss_scale;
}

// `got` less what was there before, where the op adds.
static void check_gradient(const suite_case *t, probe *p, int input, const suite_operand *gradient,
                           const double *before) {
  uint64_t count = gradient->rows * gradient->columns;
  double *expected = calloc(count, sizeof *expected);
  for (uint64_t i = 0; i < count; ++i) {
    double *x = &p->n.in[input][i], kept = *x, step = 1e-5;
    *x = kept + step;
    double above = objective(p);
    *x = kept - step;
    expected[i] = (above - objective(p)) / (2 * step) + (t->accumulate ? before[i] : 0);
    *x = kept;
  }
  double most = largest(expected, count);
  for (uint64_t i = 0; i < count; ++i) {
    double got = (double)suite_value(gradient, i / gradient->columns, i % gradient->columns);
    if (!(fabs(got - expected[i]) <= 2e-6 * most))
      fail_msg("%s: gradient of input %d, element %llu is %.9g, by differences %.9g", t->name, input,
               (unsigned long long)i, got, expected[i]);
  }
  free(expected);
}

static const rule *rule_of(weft_op op) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; ++i)
    if (rules[i].backward == op) return &rules[i];
  return NULL;
}

// Differences evaluate the forward op twice per element: the cases are made smaller, keeping what is odd about them.
static suite_case smaller(suite_case t) {
  uint64_t tokens = t.a.batch ? t.rows / t.a.batch : t.rows;
  if (t.op == WEFT_OP_ATTENTION_BACKWARD)
    t.rows = (uint64_t)t.a.batch * (tokens > 9 ? 9 : tokens);
  else if (t.rows > 11)
    t.rows = 11;
  if (t.in > 21) t.in = 21;
  if (t.out > 27) t.out = 27;
  if (t.chunk_rows) t.chunk_rows = 8;
  return t;
}

static void backward_ops_match_finite_differences(void **state) {
  (void)state;
  size_t count;
  bool seen[WEFT_OP_COUNT] = {false};
  const suite_case *cases = suite_cases(&count);
  void *device = suite_open(&weft_backend_ref, 1);
  for (size_t c = 0; c < count; ++c) {
    const rule *r = rule_of(cases[c].op);
    if (!r) continue;
    suite_case t = smaller(cases[c]);
    suite_data d;
    probe p = {0};
    seen[t.op] = true;
    suite_data_create(&t, WEFT_F32, WEFT_F32, 3, 21, &d);
    numbers given = numbers_of(&d);
    open_probe(&t, r, &d, &given, &p);
    suite_run(&weft_backend_ref, device, &d);
    for (int i = 0; i < 3; ++i)
      if (r->gradients[i] >= 0 && d.outputs[r->gradients[i]].kind)
        check_gradient(&t, &p, i, &d.outputs[r->gradients[i]], given.out[r->gradients[i]]);
    release(&given);
    release(&p.n);
    suite_data_destroy(&p.forward);
    suite_data_destroy(&d);
  }
  for (size_t i = 0; i < sizeof rules / sizeof *rules; ++i) assert_true(seen[rules[i].backward]);
  for (int op = 0; op < WEFT_OP_COUNT; ++op)  // a new backward op needs a rule here
    if (strstr(weft_op_name((weft_op)op), "_backward") && !seen[op])
      fail_msg("no differences for %s", weft_op_name((weft_op)op));
  weft_backend_ref.close(device);
}

// Three steps by hand, after the formulas of Loshchilov and Hutter (arXiv:1711.05101), algorithm 2.
static void adamw_takes_the_published_steps(void **state) {
  (void)state;
  float parameter = 0.5f, gradient = 0, m = 0, v = 0;
  double p = 0.5, first = 0, second = 0;
  weft_attributes a = {.decay = 1};
  void *device = suite_open(&weft_backend_ref, 1);
  for (uint64_t step = 1; step <= 3; ++step) {
    gradient = 0.3f * (float)step - 0.4f;
    weft_scalars s = {.learning_rate = 0.01f,
                      .beta1 = 0.9f,
                      .beta2 = 0.95f,
                      .epsilon = 1e-8f,
                      .decay = 0.1f,
                      .step = step,
                      .gradient_scale = 0.5f};
    weft_view views[] = {{&parameter, WEFT_F32, 1, 1, 1},
                         {&gradient, WEFT_F32, 1, 1, 1},
                         {&m, WEFT_F32, 1, 1, 1},
                         {&v, WEFT_F32, 1, 1, 1}};
    weft_call call = {.op = WEFT_OP_ADAMW,
                      .attributes = &a,
                      .scalars = &s,
                      .inputs = {views[0], views[1], views[2], views[3]},
                      .outputs = {views[0], views[2], views[3]}};
    assert_null(weft_backend_ref.compute(device, 2, &call));
    double g = (double)gradient / 2;
    first = 0.9 * first + 0.1 * g;
    second = 0.95 * second + 0.05 * g * g;
    p -=
        0.01 * (first / (1 - pow(0.9, (double)step)) / (sqrt(second / (1 - pow(0.95, (double)step))) + 1e-8) + 0.1 * p);
    assert_true(fabs((double)parameter - p) < 2e-7);
    assert_true(fabs((double)m - first) < 1e-7 && fabs((double)v - second) < 1e-7);
  }
  weft_backend_ref.close(device);
}

// Cached attention, row by row, is attention over the whole sequence.
static void decoding_repeats_attention(void **state) {
  (void)state;
  suite_case whole = {.name = "whole",
                      .op = WEFT_OP_ATTENTION,
                      .rows = 9,
                      .a = {.batch = 1, .heads = 4, .kv_heads = 2, .head_dim = 6, .causal = true, .scale = 0.4f}};
  suite_data d;
  void *device = suite_open(&weft_backend_ref, 1);
  suite_data_create(&whole, WEFT_F32, WEFT_F32, 0, 3, &d);
  suite_run(&weft_backend_ref, device, &d);
  float k[9 * 12], v[9 * 12], o[24];
  for (uint64_t t = 0; t < 9; ++t) {
    weft_scalars s = {.position = t};
    weft_view row_k = d.inputs[1].view, row_v = d.inputs[2].view, row_q = d.inputs[0].view;
    row_k.data = (float *)row_k.data + t * 12;
    row_v.data = (float *)row_v.data + t * 12;
    row_q.data = (float *)row_q.data + t * 24;
    row_k.rows = row_v.rows = row_q.rows = 1;
    weft_view caches[] = {{k, WEFT_F32, 9, 12, 12}, {v, WEFT_F32, 9, 12, 12}}, out = {o, WEFT_F32, 1, 24, 24};
    weft_call write = {.op = WEFT_OP_CACHE_WRITE,
                       .attributes = &whole.a,
                       .scalars = &s,
                       .inputs = {row_k, row_v},
                       .outputs = {caches[0], caches[1]}};
    weft_call read = {.op = WEFT_OP_ATTENTION_CACHED,
                      .attributes = &whole.a,
                      .scalars = &s,
                      .inputs = {row_q, caches[0], caches[1]},
                      .outputs = {out}};
    assert_null(weft_backend_ref.compute(device, 0, &write));
    assert_null(weft_backend_ref.compute(device, 0, &read));
    for (uint64_t i = 0; i < 24; ++i) assert_true(fabsf(o[i] - suite_value(&d.outputs[0], t, i)) < 1e-6f);
  }
  suite_data_destroy(&d);
  weft_backend_ref.close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forward_ops_follow_their_definitions),
      cmocka_unit_test(backward_ops_match_finite_differences),
      cmocka_unit_test(adamw_takes_the_published_steps),
      cmocka_unit_test(decoding_repeats_attention),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
