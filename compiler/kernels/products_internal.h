// Shared by the generators of products.
#ifndef WEFT_COMPILER_KERNELS_PRODUCTS_INTERNAL_H
#define WEFT_COMPILER_KERNELS_PRODUCTS_INTERNAL_H

#include "compiler/kernels/products.h"

static inline uint32_t weft_round_up(uint32_t value, uint32_t to) { return (value + to - 1) / to * to; }
static inline bool weft_is_16_bit(weft_dtype dtype) { return dtype == WEFT_F16 || dtype == WEFT_BF16; }

// Elements of one panel of A and of B, as they travel.
uint32_t weft_product_panel_a(const weft_product *product);
uint32_t weft_product_panel_b(const weft_product *product);
// Where a core stands in the ring along its row or column (CANNON: where it is; SHIFT: interleaved).
uint32_t weft_ring_logical(const weft_product *product, uint32_t at);

// A program of a product being written: its arrays, and registers that every form needs.
typedef struct weft_product_program {
  const weft_product *product;
  weft_kernel *kernel;
  uint32_t program;
  uint32_t a, b, c;         // arrays
  uint32_t scratch;         // i32, one element: where work that stands for other work leaves its result
  uint32_t counter, inner;  // registers for loops
  uint32_t a_at, b_at;      // registers: where the panels of A and B begin
  uint32_t at, value;       // registers: the element of B, and it as f32
} weft_product_program;

// Starts a program with arrays "A", "B", "C" of the product's lengths.
weft_product_program weft_product_program_begin(const weft_product *product, weft_kernel *kernel, const char *name);

// C += A B of one panel, map loops; panels begin at constant elements of their arrays.
void weft_emit_product(const weft_product_program *p, uint32_t a_start, uint32_t b_start);
// The same with plain loops, as published; panels begin where the registers a_at and b_at say, which it moves.
void weft_emit_plain_product(const weft_product_program *p);
// Stands for `instructions` scalar instructions that a source's program executes beside its product.
void weft_emit_upkeep(const weft_product_program *p, uint32_t instructions);

// `count` elements between an array and the ramp; 16-bit elements packed. Returns the instruction, to say who does it.
weft_instruction *weft_emit_send(const weft_product_program *p, uint32_t colour, weft_operand from, uint32_t count);
weft_instruction *weft_emit_receive(const weft_product_program *p, weft_operand to, uint32_t colour, uint32_t count);
weft_operand weft_wavelets_in(uint32_t colour, weft_dtype dtype);  // packed where 16 bits
weft_operand weft_wavelets_out(uint32_t colour, weft_dtype dtype);

// An instruction without operands.
weft_instruction *weft_emit_control(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind);
// Adds to an i32 register.
void weft_add_integer(weft_kernel *kernel, uint32_t program, uint32_t reg, weft_operand by);

// Blocks of the coordinates 0 .. count-1 whose class is `which`, as few as greedy progressions give: calls
// place(context, first, end, step).
void weft_each_progression(const uint32_t *classes, uint32_t count, uint32_t which,
                           void (*place)(void *context, uint32_t first, uint32_t end, uint32_t step), void *context);
// Places the program at all cores of class (class_x, class_y).
void weft_place_classes(weft_kernel *kernel, uint32_t program, const uint32_t *classes_x, uint32_t class_x,
                        const uint32_t *classes_y, uint32_t class_y);

weft_kernel *weft_build_gemv_core(const weft_product *product);
weft_kernel *weft_build_gemv_mesh(const weft_product *product);
weft_kernel *weft_build_summa(const weft_product *product);
weft_kernel *weft_build_ring(const weft_product *product);
weft_kernel *weft_build_streamed(const weft_product *product);
weft_kernel *weft_build_transpose(const weft_product *product);
weft_kernel *weft_build_transpose_oblong(const weft_product *product);  // layers_transpose.c

// CANNON with `host`: routes, channels, and how a program begins and ends whose cores are like (x, y). Colours 8 up.
void weft_host_routes(const weft_product *product, weft_kernel *kernel);
void weft_emit_host_in(const weft_product_program *p, uint32_t x, uint32_t y);
void weft_emit_host_out(const weft_product_program *p, uint32_t x, uint32_t y);

#endif
