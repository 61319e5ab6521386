// How kernels of layers are written down: programs by place, counts, lines of cores. For layers_*.c alone.
#ifndef WEFT_COMPILER_KERNELS_LAYERS_INTERNAL_H
#define WEFT_COMPILER_KERNELS_LAYERS_INTERNAL_H

#include "compiler/kernels/layers.h"

// Symbols of the library carry its prefix; generators are easier to read without it.
#define layers_emit weft_layers_emit
#define operand_of weft_layers_operand_of
#define scalars_operand weft_layers_scalars_operand
#define step_scalar weft_layers_step_scalar
#define vector3 weft_layers_vector3
#define vector2 weft_layers_vector2
#define vector1 weft_layers_vector1
#define scalar weft_layers_scalar
#define set weft_layers_set
#define loop weft_layers_loop
#define map weft_layers_map
#define when weft_layers_when
#define share weft_layers_share
#define times weft_layers_times
#define chain_open weft_layers_chain_open
#define chain_in weft_layers_chain_in
#define chain_out weft_layers_chain_out
#define chain_has_in weft_layers_chain_has_in
#define chain_has_out weft_layers_chain_has_out
#define chain_add weft_layers_chain_add
#define chain_enters weft_layers_chain_enters
#define chain_leaves weft_layers_chain_leaves
#define reduce_open weft_layers_reduce_open
#define reduce_all weft_layers_reduce_all
#define gather_open weft_layers_gather_open
#define gather_all weft_layers_gather_all
#define gather_each weft_layers_gather_each
#define stream_open weft_layers_stream_open

typedef enum axis { ALONG_ROW, ALONG_COLUMN } axis;  // to the east or south is forward

// A core's place on one axis. Cores of equal places in both axes share a program, so that no place is asked for at
// run time; neighbours have different parity and use different colours to hand over.
typedef struct core_place {
  uint32_t begin, end, step;
  uint32_t parity;
  bool first, last;
} core_place;

typedef struct core {
  weft_kernel *kernel;
  uint32_t program;
  core_place at[2];  // by axis
  uint32_t me[2];    // registers: x, y
  uint32_t count;    // register of the lines' own
  weft_dtype dtype;  // of activations
} core;

// Writes the program of all cores of one place; `what` is the generator's own.
typedef void emit_function(core *c, const void *what);
void layers_emit(weft_kernel *kernel, weft_dtype dtype, emit_function *emit, const void *what);

// ---- operands and instructions

typedef struct extent {
  uint32_t count, by;  // by: a register, or WEFT_NOTHING
} extent;
static inline extent fixed(uint32_t count) { return (extent){count, WEFT_NOTHING}; }
static inline extent by(uint32_t reg) { return (extent){1, reg}; }

static inline uint32_t array_of(const core *c, const char *name, weft_dtype dtype, uint32_t length) {
  return weft_kernel_array(c->kernel, c->program, name, dtype, length);
}
uint32_t operand_of(const core *c, const char *name, weft_dtype dtype, uint32_t length, bool input, bool output);
// Array "scalars" (weft_layer_scalar), and one of them in a new register; the array is an input unless declared before.
uint32_t scalars_operand(const core *c, bool input, bool output);
weft_operand step_scalar(const core *c, const char *name, weft_layer_scalar which);
static inline uint32_t integer(const core *c, const char *name) {
  return weft_kernel_integer(c->kernel, c->program, name, 0, 0, 0);
}
static inline weft_operand reg(const core *c, uint32_t number) { return weft_value(c->kernel, c->program, number); }
static inline weft_operand view(const core *c, uint32_t array, int32_t offset, int32_t stride) {
  return weft_view_of(c->kernel, c->program, array, offset, stride);
}
static inline weft_operand whole(const core *c, uint32_t array) { return view(c, array, 0, 1); }
// Contiguous from `scale` * register.
static inline weft_operand row_of(const core *c, uint32_t array, uint32_t number, uint32_t scale) {
  return weft_moved(whole(c, array), number, (int32_t)scale);
}
// Element [register], for every element of the operation.
static inline weft_operand one_of(const core *c, uint32_t array, uint32_t number) {
  return weft_moved(view(c, array, 0, 0), number, 1);
}
static inline weft_operand constant(int32_t value) { return weft_i32(value); }

void vector3(const core *c, weft_instruction_kind kind, extent n, weft_operand to, weft_operand a, weft_operand b,
             weft_operand add);
void vector2(const core *c, weft_instruction_kind kind, extent n, weft_operand to, weft_operand a, weft_operand b);
void vector1(const core *c, weft_instruction_kind kind, extent n, weft_operand to, weft_operand a);
static inline void clear(const core *c, uint32_t array, uint32_t length) {
  vector1(c, WEFT_DO_MOVE, fixed(length), whole(c, array), weft_f32(0));
}
// register = a `kind` b, integers
void scalar(const core *c, weft_instruction_kind kind, uint32_t to, weft_operand a, weft_operand b);
void set(const core *c, uint32_t to, weft_operand from);
void loop(const core *c, uint32_t counter, weft_operand end);
void map(const core *c, uint32_t counter, int32_t first, weft_operand end);  // around one vector operation
static inline void end(const core *c) { weft_end(c->kernel, c->program); }
void when(const core *c, weft_operand a, weft_relation compare, weft_operand b);

// A register: how many of `total` rows or columns in blocks of `block` this core has, 0 to block.
uint32_t share(const core *c, const char *name, axis along, uint32_t total, uint32_t block);
// A register: number * factor.
uint32_t times(const core *c, const char *name, uint32_t number, uint32_t factor);

// ---- lines. Colours are taken in the kernel before the programs are written.

typedef struct colours {
  uint32_t next;
} colours;

// From each core to its neighbour: link i -> i + 1 (forward) has colour [i % 2].
typedef struct chain {
  axis along;
  bool back;
  uint32_t colour[2];
} chain;
chain chain_open(weft_kernel *kernel, colours *taken, axis along, bool back);
weft_operand chain_in(const core *c, const chain *link);   // from the neighbour before
weft_operand chain_out(const core *c, const chain *link);  // to the next one
bool chain_has_in(const core *c, const chain *link);
bool chain_has_out(const core *c, const chain *link);
// What came from the cores before plus `part` goes to the next one, or out of the mesh.
void chain_add(const core *c, const chain *link, extent n, uint32_t part);
// Channels at a column chain's ends: into the first row from the north, out of the last row to the south.
void chain_enters(weft_kernel *kernel, const chain *link, uint64_t words);
void chain_leaves(weft_kernel *kernel, const chain *link, uint64_t words);

typedef struct reduce {
  chain forward;
  uint32_t back;  // colour of the broadcast
} reduce;
reduce reduce_open(weft_kernel *kernel, colours *taken, axis along);
// values = sum (ADD) or greatest (MAXIMUM) over the line, in every core. values: contiguous f32.
void reduce_all(const core *c, const reduce *line, weft_instruction_kind kind, extent n, weft_operand values);

typedef struct gather {
  axis along;
  uint32_t forward, back, length;  // length: cores of the line
} gather;
gather gather_open(weft_kernel *kernel, colours *taken, axis along);
// all[i * block ...] = block of core i of the line, in every core.
void gather_all(const core *c, const gather *line, uint32_t block, uint32_t own, uint32_t all);
// The same block by block, without room for all: `take` writes what is done with the one of core number `source` (a
// register), which lies in array `own`, or comes as wavelets (own WEFT_NOTHING) and has to be taken wholly.
typedef void take_function(const core *c, const void *what, uint32_t source, uint32_t own, weft_operand incoming);
void gather_each(const core *c, const gather *line, uint32_t block, uint32_t own, take_function *take,
                 const void *what);

// From the north edge to all cores of a column (ALONG_COLUMN), or from the west edge to all of a row; one channel each.
uint32_t stream_open(weft_kernel *kernel, colours *taken, axis along, uint64_t words);

#endif
