// weft_costs: what the ops of a network cost on a mesh of cores, as closed forms fitted to the wavelet level. Made by
// `weft calibrate --machine NAME` (plan/calibrate.h), read from models/costs/NAME.yaml, used by the region level
// (sim/region.h), and carried by every weft_machine that names a table.
//
// A class is one way of doing one op in one precision: op, algorithm, kind, dtype. Its cycles are a sum of terms, each
// a number of cycles times some variables (models/cost_variables.def has the letters):
//
//   linear, streamed, f16:  28.1 "C i o" + 0.5 "C i o v" + ...      cycles of the whole op on a rectangle of cores
//
// Every term has a cause in the kernel that was measured; none is negative. With the terms stand the number of shapes
// that were fitted and that were held out, the form's mean error on those held out and its worst on any shape (as a
// share of the cycles that the mesh took), and for each variable the range of the measured shapes: beyond it a form is
// extrapolated, which weft_costs_beyond tells.
//
// f16 stands for both 16-bit formats, which take the same cycles. `kind` tells ops of one name apart: the activation of
// activation and gated; "grouped" where several query heads share a key head; "" otherwise.
//
// Constants. A table lists the constants of the core that it was fitted to. A machine with another value of one of them
// cannot have the table: weft_costs_check_machine says which one. Size, clock and memory are not among them.
//
// File: name, source, constants (constant, value), classes (op, algorithm, kind, dtype, fitted, held_out, mean_error,
// worst_error, terms (cycles, of, cause), ranges (of, least, most)). docs/machine.md, "Costs of ops".
//
// Reading is free for any number of threads; a table is not changed once made.
#ifndef WEFT_MODELS_COSTS_H
#define WEFT_MODELS_COSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "models/dtype.h"
#include "models/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_machine weft_machine;

typedef enum weft_cost_variable {
#define X(enumerator, letter, about) WEFT_COST_##enumerator,
#include "models/cost_variables.def"
#undef X
  WEFT_COST_VARIABLES
} weft_cost_variable;

char weft_cost_letter(weft_cost_variable variable);
const char *weft_cost_about(weft_cost_variable variable);

// Values of the variables of one call; what an op does not have is 0 and does not occur in its forms.
typedef struct weft_cost_shape {
  double of[WEFT_COST_VARIABLES];
} weft_cost_shape;

enum { WEFT_COST_TERMS = 12, WEFT_COST_FACTORS = 6, WEFT_COST_WORD = 24 };

typedef struct weft_cost_term {
  double cycles;  // per unit of the product of the factors, >= 0
  uint32_t factor_count;
  weft_cost_variable factors[WEFT_COST_FACTORS];  // a variable may occur twice; none: a constant
  char cause[96];
} weft_cost_term;

typedef struct weft_cost_class {
  weft_op op;
  char algorithm[WEFT_COST_WORD], kind[WEFT_COST_WORD];
  weft_dtype dtype;  // WEFT_F32 or WEFT_F16
  uint32_t fitted, held_out;
  double mean_error, worst_error;  // of those held out; of all; >= 0
  weft_cost_term terms[WEFT_COST_TERMS];
  uint32_t term_count;
  bool ranged[WEFT_COST_VARIABLES];  // which variables were varied
  double least[WEFT_COST_VARIABLES], most[WEFT_COST_VARIABLES];
} weft_cost_class;

typedef struct weft_cost_constant {
  char key[WEFT_COST_WORD], value[48];  // as in the machine's file
} weft_cost_constant;

typedef struct weft_costs {
  char name[64];     // of the file, without ".yaml"
  char source[192];  // "fitted to the wavelet level of wse2 by weft calibrate"
  weft_cost_constant *constants;
  uint32_t constant_count;
  weft_cost_class *classes;
  uint32_t class_count;
} weft_costs;

// A file, or a name in models/costs/. WEFT_INVALID with file:line:column, value, what is right, nearest known word.
weft_status weft_costs_read(const char *where, weft_costs **out_costs) WEFT_CHECKED;
// From YAML text; `where` is for messages.
weft_status weft_costs_unpack(const char *yaml, const char *where, weft_costs **out_costs) WEFT_CHECKED;
// YAML that unpack reads back to an equal table; same table, same bytes. Caller frees.
char *weft_costs_pack(const weft_costs *costs);
// Numbers that cannot be (negative or not finite), classes that stand twice, a table without any.
weft_status weft_costs_check(const weft_costs *costs) WEFT_CHECKED;
void weft_costs_destroy(weft_costs *costs);  // takes NULL
uint64_t weft_costs_hash(const weft_costs *costs);

// The constants of a machine's cores that decide what kernels take. Caller frees *out_constants.
void weft_costs_constants(const weft_machine *machine, weft_cost_constant **out_constants, uint32_t *out_count);
// WEFT_INVALID: the machine is not a mesh, or which constant it has another value of.
weft_status weft_costs_check_machine(const weft_costs *costs, const weft_machine *machine) WEFT_CHECKED;

// "C n i" and the like into a term's factors. WEFT_INVALID: no such letter, too many.
weft_status weft_cost_term_parse(const char *text, weft_cost_term *out_term) WEFT_CHECKED;
char *weft_cost_term_print(const weft_cost_term *term, char out[32]);

// The class, or NULL. bf16 asks for f16's.
const weft_cost_class *weft_costs_find(const weft_costs *costs, weft_op op, const char *algorithm, const char *kind,
                                       weft_dtype dtype);
double weft_cost_term_cycles(const weft_cost_term *term, const weft_cost_shape *shape);
double weft_cost_cycles(const weft_cost_class *form, const weft_cost_shape *shape);
// Of those, what is paid once however the op is cut: terms of C and R alone (start, fill, drain).
double weft_cost_once_cycles(const weft_cost_class *form, const weft_cost_shape *shape);
// How far a shape lies outside what was measured: the greatest ratio of a variable to the end of its range; 1: inside.
double weft_cost_beyond(const weft_cost_class *form, const weft_cost_shape *shape, weft_cost_variable *out_variable);

// `kind` of an op with these attributes, as above.
const char *weft_cost_kind(weft_op op, const weft_attributes *attributes);

// Three variables that take some counting. Tokens with the padding that an algorithm needs. The most query heads per
// key head whose dimensions meet one core, where `features` (heads x head_dim) lie in blocks over `columns` cores; and
// the passes in which an embedding's gradient is summed, where a core has `width` features of each row: a pass fills 8
// KiB with f32.
double weft_cost_padded(const char *algorithm, weft_dtype dtype, double tokens);
double weft_cost_near_heads(uint32_t features, uint32_t head_dim, uint32_t columns);
double weft_cost_table_passes(double rows, double width);

#ifdef __cplusplus
}
#endif
#endif
