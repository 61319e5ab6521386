// Every generator's kernels are accepted by the checker, and go round through text and protobuf before and after it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/kernels/collectives.h"
#include "compiler/kernels/layers.h"
#include "compiler/kernels/products.h"
#include "tests/kernel/round.h"

static void goes_round(const char *name, weft_kernel *k) {
  assert_goes_round(k);
  weft_status status = weft_kernel_check(k, 49152);
  if (status) fail_msg("%s: %s", name, weft_status_message(status));
  assert_goes_round(k);
  weft_kernel_destroy(k);
}

static void planned(const char *name, weft_status status) {
  if (status) fail_msg("%s: %s", name, weft_status_message(status));
}

static void made(const char *name, weft_status status, weft_kernel **k) {
  planned(name, status);
  goes_round(name, *k);
}

static void collectives_go_round(void **state) {
  (void)state;
  static const uint32_t meshes[][2] = {{2, 1}, {5, 1}, {4, 4}, {7, 3}};
  for (size_t m = 0; m < sizeof meshes / sizeof *meshes; ++m) {
    weft_collective what = weft_collective_default(meshes[m][0], meshes[m][1], 24);
    weft_kernel *k = NULL;
    for (int p = 0; p < WEFT_REDUCE_PATTERNS; ++p) {
      what.pattern = (weft_reduce_pattern)p;
      made(weft_reduce_pattern_name(what.pattern), weft_reduce_kernel(&what, &k), &k);
      made(weft_reduce_pattern_name(what.pattern), weft_all_reduce_kernel(&what, &k), &k);
    }
    what.pattern = WEFT_REDUCE_CHAIN;
    what.snake = true;
    made("snake", weft_reduce_kernel(&what, &k), &k);
    what.snake = false;
    made("broadcast", weft_broadcast_kernel(&what, &k), &k);
    what.dtype = WEFT_F16;
    made("f16 broadcast", weft_broadcast_kernel(&what, &k), &k);
    made("f16 reduce", weft_reduce_kernel(&what, &k), &k);
    made("ring", weft_ring_kernel(&what, &k), &k);
  }
  weft_kernel *k = NULL;
  made("path", weft_path_kernel(9, 3, 16, &k), &k);
  made("relay", weft_relay_kernel(5, 16, &k), &k);
}

static void products_go_round(void **state) {
  (void)state;
  for (int kind = 0; kind < WEFT_PRODUCT_KINDS; ++kind) {
    uint32_t side = kind == WEFT_GEMV_CORE ? 1 : 4;
    weft_product_options options = weft_product_options_default((weft_product_kind)kind, side, side);
    options.m = 14;
    options.k = 10;
    options.n = kind == WEFT_GEMV_CORE || kind == WEFT_GEMV_MESH ? 1 : 9;
    weft_product product;
    weft_kernel *k = NULL;
    const char *name = weft_product_kind_name(options.kind);
    planned(name, weft_product_plan(&options, &product));
    made(name, weft_product_kernel(&product, &k), &k);
    if (kind != WEFT_GEMM_SUMMA && kind != WEFT_GEMM_CANNON) continue;
    options.published = true;
    options.host = kind == WEFT_GEMM_CANNON;
    options.m = options.k = options.n = 16;
    planned(name, weft_product_plan(&options, &product));
    made(name, weft_product_kernel(&product, &k), &k);
  }
}

static void layers_go_round(void **state) {
  (void)state;
  static const weft_dtype types[] = {WEFT_F32, WEFT_F16, WEFT_BF16};
  for (size_t t = 0; t < 3; ++t) {
    const weft_layer_mesh mesh = {.columns = 3, .rows = 4, .dtype = types[t]};
    const weft_layer_product product = {.tokens = 10, .in = 7, .out = 8, .scale = 0.3f, .bias = true};
    const weft_layer_norm norm = {.tokens = 10, .columns = 7, .epsilon = 1e-5f, .centred = true, .bias = true};
    const weft_layer_attention attention = {
        .batch = 2, .tokens = 5, .room = 5, .kv_heads = 2, .lanes = 2, .head_dim = 4, .scale = 0.5f, .causal = true};
    const weft_layer_update update = {.op = WEFT_OP_ADAMW, .each = 20, .decay = 1};
    const weft_layer_columns columns = {
        .tokens = 10, .from = 16, .width = 6, .order = WEFT_LAYER_TO_LANES, .kv_heads = 2, .lanes = 2, .head_dim = 4};
    const weft_layer_rows rows = {.batch = 2, .tokens = 5, .room = 7, .columns = 7, .cached = true};
    const weft_layer_embed embed = {.tokens = 10, .columns = 7, .vocabulary = 13, .chunk = 4, .scale = 2};
    const weft_attributes turned = {.head_dim = 4, .rotary_dim = 4, .rope_theta = 10000, .rope_kind = WEFT_ROPE_HALF};
    goes_round("product", weft_layer_make_product(&mesh, &product));
    goes_round("weight gradient", weft_layer_make_weight_gradient(&mesh, &product));
    goes_round("norm", weft_layer_make_norm(&mesh, &norm));
    goes_round("norm backward", weft_layer_make_norm_backward(&mesh, &norm));
    goes_round("rope table", weft_layer_make_rope_table(&mesh, 10, 8, &turned, true));
    goes_round("transpose", weft_layer_make_transpose(&mesh, 10, 7));
    goes_round("tokens", weft_layer_make_tokens(&mesh, 10, 5, 2));
    goes_round("greatest", weft_layer_make_greatest(&mesh, 10, 11));
    goes_round("opening", weft_layer_make_opening(&mesh));
    goes_round("target count", weft_layer_make_target_count(&mesh, 10));
    goes_round("loss sum", weft_layer_make_loss_sum(&mesh, 10));
    goes_round("clipping", weft_layer_make_clipping(&mesh));
    goes_round("rope", weft_layer_make_rope(&mesh, 10, 8));
    goes_round("attention", weft_layer_make_attention(&mesh, &attention));
    goes_round("attention backward", weft_layer_make_attention_backward(&mesh, &attention));
    goes_round("loss", weft_layer_make_cross_entropy(&mesh, 10, 11));
    goes_round("loss backward", weft_layer_make_cross_entropy_backward(&mesh, 10, 11));
    goes_round("take columns", weft_layer_make_take_columns(&mesh, &columns));
    goes_round("take rows", weft_layer_make_take_rows(&mesh, &rows));
    goes_round("embed", weft_layer_make_embed(&mesh, &embed));
    goes_round("embed backward", weft_layer_make_embed_backward(&mesh, &embed));
    goes_round("update", weft_layer_make_update(&mesh, &update));
    goes_round("gelu", weft_layer_make_pointwise(&mesh, WEFT_OP_ACTIVATION, WEFT_GELU_TANH, 10, 7));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(collectives_go_round), cmocka_unit_test(products_go_round),
                                     cmocka_unit_test(layers_go_round)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
