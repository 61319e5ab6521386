// Runs one product on a simulated mesh with random data and compares it with a plain triple loop.
#ifndef WEFT_TESTS_PRODUCTS_RIG_H
#define WEFT_TESTS_PRODUCTS_RIG_H

#include "compiler/kernels/products.h"
#include "sim/mesh.h"

typedef struct rig_result {
  weft_mesh_report report;
  double worst;  // greatest difference, relative to the sum of the absolute products (TRANSPOSE: to the element)
} rig_result;

// `machine`: a name or a spelling. `zeros`: share of elements of A that are zero. Any failure fails the test.
rig_result rig_run(const weft_product_options *options, const char *machine, uint32_t threads, double zeros);
weft_product_options rig_gemm(weft_product_kind kind, uint32_t columns, uint32_t rows, uint32_t m, uint32_t k,
                              uint32_t n, weft_dtype dtype, weft_dtype result);

#endif
