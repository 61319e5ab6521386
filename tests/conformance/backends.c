// Every op on every backend against ref: all dtypes, strided operands, chunks; the same bytes for any number of
// threads; NaN and infinity where ref has them.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "suite.h"

static const weft_dtype dtypes[] = {WEFT_F32, WEFT_BF16, WEFT_F16};

// Backends under test: all but ref that this computer has. None: the test is skipped, not passed.
static size_t others(const weft_backend *out[8]) {
  uint32_t count;
  size_t found = 0;
  const weft_backend *const *all = weft_backends(&count);
  for (uint32_t i = 0; i < count; ++i) {
    if (all[i] == &weft_backend_ref) continue;
    void *device = suite_open(all[i], 1);
    if (!device) continue;
    all[i]->close(device);
    out[found++] = all[i];
  }
  if (!found) skip();
  return found;
}

static void compare(const weft_backend *backend, void *device, void *truth, const suite_case *t, weft_dtype activation,
                    weft_dtype weight, uint64_t pad) {
  suite_data expected, got;
  suite_data_create(t, activation, weight, pad, 7, &expected);
  suite_data_create(t, activation, weight, pad, 7, &got);
  suite_run(&weft_backend_ref, truth, &expected);
  suite_run(backend, device, &got);
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    double distance = suite_distance(&got, &expected, i);
    if (distance > 1)
      fail_msg("%s, %s, activations %s, weights %s, output %d: %g times what is allowed from ref", backend->name,
               t->name, weft_dtype_name(activation), weft_dtype_name(weight), i, distance);
  }
  suite_data_destroy(&expected);
  suite_data_destroy(&got);
}

static void every_op_agrees_with_ref(void **state) {
  (void)state;
  const weft_backend *backends[8];
  size_t count, found = others(backends);
  const suite_case *cases = suite_cases(&count);
  void *truth = suite_open(&weft_backend_ref, 1);
  for (size_t b = 0; b < found; ++b) {
    void *device = suite_open(backends[b], 2);
    for (size_t i = 0; i < count; ++i)
      for (int a = 0; a < 3; ++a)
        for (int w = 0; w < 3; ++w)
          compare(backends[b], device, truth, &cases[i], dtypes[a], dtypes[w], (uint64_t)(a == w ? 5 : 0));
    backends[b]->close(device);
  }
  weft_backend_ref.close(truth);
}

static void bytes_do_not_depend_on_threads(void **state) {
  (void)state;
  const weft_backend *backends[8];
  size_t count, found = others(backends);
  const suite_case *cases = suite_cases(&count);
  for (size_t b = 0; b < found; ++b) {
    void *devices[4];
    for (uint32_t threads = 1; threads <= 4; ++threads) devices[threads - 1] = suite_open(backends[b], threads);
    for (size_t i = 0; i < count; ++i)
      for (int d = 0; d < 3; ++d) {
        suite_data one, more;
        suite_data_create(&cases[i], dtypes[d], dtypes[d], 0, 11, &one);
        suite_data_create(&cases[i], dtypes[d], dtypes[d], 0, 11, &more);
        suite_run(backends[b], devices[0], &one);
        for (int threads = 2; threads <= 4; ++threads) {
          suite_run(backends[b], devices[threads - 1], &more);
          if (!suite_same_bytes(&one, &more))
            fail_msg("%s, %s, %s: %d threads give other bytes than one", backends[b]->name, cases[i].name,
                     weft_dtype_name(dtypes[d]), threads);
        }
        suite_data_destroy(&one);
        suite_data_destroy(&more);
      }
    for (int i = 0; i < 4; ++i) backends[b]->close(devices[i]);
  }
}

// Attention multiplies keys that a query may not see with weights of zero, and zero times NaN is NaN: there a backend
// may spoil more than ref, never less.
static bool may_spoil_more(weft_op op) {
  return op == WEFT_OP_ATTENTION || op == WEFT_OP_ATTENTION_BACKWARD || op == WEFT_OP_ATTENTION_CACHED;
}

// One bad number in the first input of numbers: ref and the backend must spoil the same results in the same way.
static void bad_numbers_stay_visible(void **state) {
  (void)state;
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  const weft_backend *backends[8];
  size_t count, found = others(backends);
  const suite_case *cases = suite_cases(&count);
  void *truth = suite_open(&weft_backend_ref, 1);
  int spoiled = 0;
  for (size_t b = 0; b < found; ++b) {
    void *device = suite_open(backends[b], 2);
    for (size_t i = 0; i < count; ++i)
      for (int k = 0; k < 3; ++k) {
        suite_data expected, got;
        suite_data_create(&cases[i], WEFT_F32, WEFT_F32, 0, 13, &expected);
        suite_data_create(&cases[i], WEFT_F32, WEFT_F32, 0, 13, &got);
        int input = expected.inputs[0].kind == SUITE_INDEX ? 1 : 0;
        suite_set(&expected.inputs[input], 0, 3 % expected.inputs[input].columns, bad[k]);
        suite_set(&got.inputs[input], 0, 3 % got.inputs[input].columns, bad[k]);
        memcpy(expected.inputs[input].initial, expected.inputs[input].memory, expected.inputs[input].bytes);
        memcpy(got.inputs[input].initial, got.inputs[input].memory, got.inputs[input].bytes);
        suite_run(&weft_backend_ref, truth, &expected);
        suite_run(backends[b], device, &got);
        for (int o = 0; o < WEFT_OP_MAX_OUTPUTS; ++o) {
          const suite_operand *x = &got.outputs[o], *y = &expected.outputs[o];
          for (uint64_t e = 0; y->kind && y->kind != SUITE_F64 && e < y->rows * y->columns; ++e) {
            float seen = suite_value(x, e / y->columns, e % y->columns),
                  wanted = suite_value(y, e / y->columns, e % y->columns);
            spoiled += !isfinite(wanted);
            if (may_spoil_more(cases[i].op) && !isfinite(seen)) continue;
            if (isnan(seen) != isnan(wanted) || isinf(seen) != isinf(wanted))
              fail_msg("%s, %s with %g: output %d element %llu is %g, ref has %g", backends[b]->name, cases[i].name,
                       (double)bad[k], o, (unsigned long long)e, (double)seen, (double)wanted);
          }
        }
        suite_data_destroy(&expected);
        suite_data_destroy(&got);
      }
    backends[b]->close(device);
  }
  assert_true(spoiled > 1000);
  weft_backend_ref.close(truth);
}

static void every_op_has_a_case(void **state) {
  (void)state;
  size_t count;
  const suite_case *cases = suite_cases(&count);
  for (int op = 0; op < WEFT_OP_COUNT; ++op) {
    bool found = false;
    for (size_t i = 0; i < count; ++i) found = found || cases[i].op == (weft_op)op;
    if (!found) fail_msg("no case for %s", weft_op_name((weft_op)op));
  }
}

static void devices_describe_themselves(void **state) {
  (void)state;
  uint32_t count;
  const weft_backend *const *all = weft_backends(&count);
  for (uint32_t i = 0; i < count; ++i) {
    void *device = suite_open(all[i], 3);
    if (!device) continue;
    char *text = all[i]->describe(device);
    assert_non_null(strstr(text, "thread"));
    assert_non_null(strstr(text, "bf16"));
    free(text);
    all[i]->close(device);
  }
}

static void too_many_threads_are_refused(void **state) {
  (void)state;
  void *device = NULL;
  weft_status status = weft_backend_cpu.open(&(weft_backend_options){.threads = 100000}, &device);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  assert_non_null(strstr(weft_status_message(status), "100000"));
  weft_status_free(status);
}

static void backends_are_found_by_name(void **state) {
  (void)state;
  const weft_backend *backend = NULL;
  assert_null(weft_backend_find("cpu", &backend));
  assert_ptr_equal(backend, &weft_backend_cpu);
  weft_status status = weft_backend_find("cqu", &backend);
  assert_int_equal(weft_status_code(status), WEFT_INVALID);
  assert_non_null(strstr(weft_status_message(status), "\"cpu\""));
  weft_status_free(status);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_op_has_a_case),
      cmocka_unit_test(every_op_agrees_with_ref),
      cmocka_unit_test(bytes_do_not_depend_on_threads),
      cmocka_unit_test(bad_numbers_stay_visible),
      cmocka_unit_test(devices_describe_themselves),
      cmocka_unit_test(too_many_threads_are_refused),
      cmocka_unit_test(backends_are_found_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
