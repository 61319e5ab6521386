// y = A x on one core: a map loop over the columns of A.
#include "compiler/kernels/products_internal.h"

weft_kernel *weft_build_gemv_core(const weft_product *product) {
  weft_kernel *kernel = weft_kernel_create("gemv on one core", 1, 1);
  weft_product_program p = weft_product_program_begin(product, kernel, "gemv");
  weft_kernel_place(kernel, p.program, weft_block_one(0, 0));
  weft_kernel_task(kernel, p.program, "start", WEFT_AT_START);
  weft_emit_product(&p, 0, 0);
  return kernel;
}
