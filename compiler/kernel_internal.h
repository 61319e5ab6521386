// What the files that check, print, read and pack kernels share: one row of facts per kind of instruction.
#ifndef WEFT_COMPILER_KERNEL_INTERNAL_H
#define WEFT_COMPILER_KERNEL_INTERNAL_H

#include "compiler/kernel.h"

// Between which types a vector instruction computes.
typedef enum weft_typing {
  WEFT_TYPES_ALIKE,   // all i32, or all floating
  WEFT_TYPES_WHOLE,   // all i32
  WEFT_TYPES_REAL,    // all floating
  WEFT_TYPES_FREELY,  // any to any
  WEFT_TYPES_NONE     // control
} weft_typing;

typedef struct weft_instruction_fact {
  const char *name;
  uint8_t sources;  // operands of a vector instruction, from `a` on
  weft_typing typing;
  bool reduces;  // many elements into one value
} weft_instruction_fact;

const weft_instruction_fact *weft_instruction_fact_of(weft_instruction_kind kind);
static inline bool weft_instruction_is_vector(weft_instruction_kind kind) { return kind < WEFT_DO_LOOP; }
static inline bool weft_dtype_is_real(weft_dtype dtype) { return dtype != WEFT_I32; }

// Types that cores compute in: f32, f16, bf16, i32.
bool weft_kernel_holds(weft_dtype dtype);

// Smallest and greatest element that `count` elements of a view touch, without what its offset register adds. False for
// none.
bool weft_view_extent(const weft_operand *view, uint32_t count, int64_t *out_least, int64_t *out_greatest);

// The parts of weft_kernel_check that look at the code of one program: types, views, structure; sets targets.
weft_status weft_kernel_check_code(weft_kernel *kernel, uint32_t program) WEFT_CHECKED;

// Colours that the program sends and receives whatever its ifs decide (masks of 1 << colour); after
// weft_kernel_check_code.
void weft_program_colours(const weft_program *program, uint32_t *out_sends, uint32_t *out_receives);

// Type of the wavelets of an instruction where the text names none: that of its first operand in memory or a register,
// else f32. Printing leaves out what this finds.
weft_dtype weft_wavelet_dtype(const weft_instruction *instruction);

// One instruction as a line of text, without its line end.
void weft_kernel_print_instruction(const weft_program *program, const weft_instruction *instruction, FILE *out);

// Words of the text form that cannot be names unless quoted.
extern const char *const weft_kernel_words[];
extern const uint32_t weft_kernel_word_count;

#endif
