// A kernel: what every core of a mesh does in one step, down to single vector operations and wavelets. The simulator
// executes it cycle by cycle with real data (sim/mesh.h); docs/kernels.md explains the language with examples.
//
// A kernel has
// - a mesh: columns x rows of cores; core (x, y) is column x, row y; x grows to the east, y to the south;
// - routes: per rectangle of routers and colour, from which port wavelets come and to which ports they go, in up to
// four
//   switch positions; routing is static, a wavelet carries 32 bits and no address;
// - programs: arrays in SRAM, registers and tasks. Every core runs at most one program; all cores of a program have the
//   same arrays at the same addresses and the same code, and differ by their coordinates.
//
// Time. A task runs to its end; then the runnable task with the lowest number begins. A task is runnable when it has
// been activated and is not blocked. Vector operations hold the core until they end, unless they name a microthread:
// then the core goes on at once and the operation proceeds beside it. What each takes in cycles is said by the machine
// (models/machine.h, docs/machine.md), never here.
//
// Indices, not pointers, inside; frozen once checked. One thread at a time while it is built; read-only use is free.
#ifndef WEFT_COMPILER_KERNEL_H
#define WEFT_COMPILER_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "models/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  WEFT_COLOURS = 24,           // of wavelets that programs may route
  WEFT_SWITCH_POSITIONS = 4,   // per router and colour
  WEFT_KERNEL_REGISTERS = 32,  // 32 bits each, i32 or f32 as the instruction says
  WEFT_MICROTHREADS = 8,       // operations that may proceed beside the core's own
  WEFT_KERNEL_TASKS = 32,
  WEFT_KERNEL_NAME = 32
};
#define WEFT_NOTHING UINT32_MAX  // no array, no task, no program, no register

// Ports of a router; masks are 1 << port. RAMP leads to and from the router's own core.
typedef enum weft_port { WEFT_NORTH, WEFT_EAST, WEFT_SOUTH, WEFT_WEST, WEFT_RAMP, WEFT_PORTS } weft_port;
const char *weft_port_name(weft_port port);  // "north" ..., "ramp"

// Columns x, x + step_x, ... below x_end, and rows likewise. Steps of 1 cover a whole block.
typedef struct weft_block {
  uint32_t x, x_end, step_x;
  uint32_t y, y_end, step_y;
} weft_block;

// One position: wavelets of the colour come from port `from` alone and leave through every port of `to` in the same
// cycle (multicast). A router without a route for a colour takes none of it: who sends there waits.
typedef struct weft_position {
  uint8_t from;  // weft_port
  uint8_t to;    // mask of ports
} weft_position;

// Of all routers in `block`; of two routes for one router and colour the later one holds. The switch moves on by one
// position; behind the last one it stays, or with `ring` begins again. Two things move it:
// - a control wavelet that the router passes on, after it has passed, and until then nothing enters behind it
//   (WEFT_DO_SWITCH);
// - the router's own core, by a send that says so (weft_operand.advance): no wavelet goes anywhere for it. The send's
//   last wavelet is in the router's queue from the cycle on in which it may leave. If the next position leads to the
//   same ports, the router takes from that position's port from this very cycle on, so that what waits there follows
//   without a gap; otherwise it takes nothing until that wavelet has left, and moves in the cycle after. Behind it the
//   core itself can send no more on that colour until a position takes from the ramp again.
//   After `advance_switch` of CSL's fabout_dsd (Cerebras SDK, "Data Structure Descriptors"), which spcl's
//   spatial-collectives uses for star and tree (modules/star.csl, modules/tree.csl).
typedef struct weft_route {
  weft_block block;
  uint32_t colour;
  weft_position positions[WEFT_SWITCH_POSITIONS];
  uint32_t position_count;  // 1 to 4
  bool ring;
} weft_route;

// Contiguous elements in every core of its program. dtype f32, f16, bf16 or i32.
typedef struct weft_array {
  char name[WEFT_KERNEL_NAME];
  weft_dtype dtype;
  uint32_t length;   // elements
  uint32_t address;  // bytes from the start of SRAM; weft_kernel_check places what is WEFT_NOTHING, aligned to 16 bytes
                     // plus `skew`
  uint32_t skew;     // bytes, a multiple of the element's size: to keep operands of one operation in different banks
  bool input, output;  // the host writes it before the start, reads it after the end
  float fill;          // value of every element before the host writes and the kernel starts
} weft_array;

// A register's value at the start: base + x * per_x + y * per_y of the core's coordinates (i32), or `bits` (f32).
typedef struct weft_register {
  char name[WEFT_KERNEL_NAME];
  weft_dtype dtype;  // i32 or f32
  int32_t base, per_x, per_y;
  uint32_t bits;  // f32
} weft_register;

typedef enum weft_operand_kind {
  WEFT_ABSENT,
  WEFT_MEMORY,    // a view of an array
  WEFT_REGISTER,  // one value, used for every element; as a result, the last element or the sum
  WEFT_CONSTANT,  // likewise, `bits` as dtype f32 or i32
  WEFT_RECEIVE,   // next wavelets of a colour from the ramp
  WEFT_SEND       // to the ramp as wavelets of a colour
} weft_operand_kind;

// Element e of a view lies at offset + value(offset_register) * offset_scale + (e % inner) * stride + (e / inner) *
// outer_stride, in elements; inner 0: everything is inner. f16 and bf16 travel one per wavelet in the low half, or two
// (the first one low) where `packed`.
typedef struct weft_operand {
  weft_operand_kind kind;
  weft_dtype dtype;
  uint32_t array;                        // MEMORY
  int32_t offset, stride, outer_stride;  // MEMORY
  uint32_t inner;                        // MEMORY
  uint32_t offset_register;              // MEMORY: WEFT_NOTHING or a register (i32)
  int32_t offset_scale;                  // MEMORY
  uint32_t index;                        // REGISTER: its number; RECEIVE, SEND: the colour
  uint32_t bits;                         // CONSTANT
  bool packed;                           // RECEIVE, SEND of 16-bit types
  bool advance;                          // SEND of a vector operation: behind its last wavelet the own router's switch
                                         // of this colour moves on; without any wavelet nothing moves. See weft_route
} weft_operand;

typedef enum weft_instruction_kind {
  // Vector: `count` elements, to[e] = f(a[e], b[e], c[e]) in order of e. With one element and no views they are the
  // core's
  // scalar instructions. Arithmetic is f32 (16-bit operands are widened exactly, results rounded to nearest even) or
  // i32
  // where `to` is i32; i32 and f32 convert into each other only by MOVE (towards zero).
  WEFT_DO_MOVE,      // a
  WEFT_DO_ADD,       // a + b
  WEFT_DO_SUBTRACT,  // a - b
  WEFT_DO_MULTIPLY,  // a * b
  WEFT_DO_FMA,     // a * b + c, rounded once for f32; for 16-bit results as the machine's mixed accumulate: once at the
                   // end
  WEFT_DO_DIVIDE,  // a / b; i32 towards zero, by zero gives 0
  WEFT_DO_MODULO,  // i32: a - (a / b) * b, never negative for b > 0
  WEFT_DO_MAXIMUM,  // the greater of a, b
  WEFT_DO_MINIMUM,
  WEFT_DO_AND,
  WEFT_DO_OR,
  WEFT_DO_XOR,
  WEFT_DO_SHIFT_LEFT,
  WEFT_DO_SHIFT_RIGHT,  // i32; right shift fills with zeros
  WEFT_DO_NEGATE,
  WEFT_DO_ABSOLUTE,
  WEFT_DO_SQRT,
  WEFT_DO_RSQRT,
  WEFT_DO_EXP,
  WEFT_DO_LOG,
  WEFT_DO_TANH,
  WEFT_DO_SINE,
  WEFT_DO_COSINE,    // f32 library functions, of a
  WEFT_DO_GREATER,   // a > b ? 1 : 0
  WEFT_DO_SUM,       // to (one value, REGISTER or MEMORY) = to + sum of a[e], in order of e, in f32
  WEFT_DO_DOT,       // to (one value) = to + sum of a[e] * b[e], likewise
  WEFT_DO_GREATEST,  // to (one value) = max(to, a[e] ...)
  WEFT_DO_BITS,      // to = a without conversion: the same 32 (or low 16) bits
  // Control of the core
  WEFT_DO_LOOP,  // to (register, i32) runs from a (included) to b (not included) in steps of c (constant); target: its
                 // END
  WEFT_DO_END,   // of LOOP, WHILE or IF; target: the LOOP or WHILE (WEFT_NOTHING for IF)
  WEFT_DO_IF,    // a `compare` b; target: the ELSE or END
  WEFT_DO_ELSE,  // target: the END
  WEFT_DO_ACTIVATE,  // task
  WEFT_DO_BLOCK,     // task
  WEFT_DO_UNBLOCK,   // task
  WEFT_DO_WAIT,      // until microthread `microthread` has nothing to do
  WEFT_DO_SWITCH,    // to (SEND): a control wavelet that moves switches; a: routers to skip first, b: routers to move
                     // after
                     // them (i32; the own router is the first)
  WEFT_DO_CLOCK,     // to (register, i32) = cycles since the start
  WEFT_DO_STOP,      // the core's program has ended, whatever is activated
  WEFT_DO_WHILE,     // a `compare` b, asked before each turn; target: its END
  WEFT_DO_BREAK,     // leaves the LOOP or WHILE around it; target: that
  WEFT_INSTRUCTION_KINDS
} weft_instruction_kind;
const char *weft_instruction_name(weft_instruction_kind kind);

typedef enum weft_relation {
  WEFT_EQUAL,
  WEFT_UNEQUAL,
  WEFT_LESS,
  WEFT_AT_MOST,
  WEFT_MORE,
  WEFT_AT_LEAST
} weft_relation;

// How a LOOP is written, which costs differently: a plain loop, or a map over one vector operation, which the core's
// hardware advances (the body must be one vector instruction without microthread).
typedef enum weft_loop_form { WEFT_PLAIN_LOOP, WEFT_MAP_LOOP } weft_loop_form;

typedef struct weft_instruction {
  weft_instruction_kind kind;
  weft_operand to, a, b, c;
  uint32_t count;           // vector: elements
  uint32_t count_register;  // vector: WEFT_NOTHING, or a register (i32) that holds the count instead
  uint32_t microthread;     // vector: WEFT_NOTHING, or the one that carries it out
  uint32_t task;            // vector with microthread: activated at its end, or WEFT_NOTHING; ACTIVATE, BLOCK, UNBLOCK
  uint32_t target;          // set by weft_kernel_check for LOOP, END, IF, ELSE, WHILE, BREAK
  weft_relation compare;
  weft_loop_form form;
  uint32_t line;  // of the text that it came from; 0: none
} weft_instruction;

typedef enum weft_trigger {
  WEFT_BY_ACTIVATION,  // by ACTIVATE or the end of a microthread's operation
  WEFT_AT_START,       // activated when the kernel starts
  WEFT_BY_WAVELET,     // each wavelet of `colour` runs it once, its 32 bits in register `data`
  WEFT_BY_CONTROL      // each control wavelet of `colour` that reaches the core
} weft_trigger;

typedef struct weft_task {
  char name[WEFT_KERNEL_NAME];
  weft_trigger trigger;
  uint32_t colour;        // BY_WAVELET, BY_CONTROL
  uint32_t data;          // BY_WAVELET: register
  bool blocked;           // at the start
  uint32_t first, count;  // instructions of the program
} weft_task;

typedef struct weft_program {
  char name[WEFT_KERNEL_NAME];
  weft_block *blocks;  // cores that run it; a later program or block takes over cores of an earlier one
  uint32_t block_count;
  weft_array *arrays;
  uint32_t array_count;
  weft_register *registers;
  uint32_t register_count;
  weft_task *tasks;
  uint32_t task_count;
  weft_instruction *code;
  uint32_t code_count;
  uint32_t sram_bytes;  // set by weft_kernel_check: end of the last array
} weft_program;

// A wire at the edge: `words` of a host buffer enter (or leave into it) through a router's outer port, at most one
// wavelet every `cycles_per_word` cycles.
typedef struct weft_channel {
  char name[WEFT_KERNEL_NAME];
  bool into_mesh;
  uint32_t x, y;  // router at the edge
  uint8_t port;   // weft_port that points off the mesh
  uint32_t colour;
  uint64_t words;
  double cycles_per_word;  // >= 1
} weft_channel;

typedef struct weft_kernel {
  char name[64];
  uint32_t columns, rows;
  weft_route *routes;
  uint32_t route_count;
  weft_program *programs;
  uint32_t program_count;
  weft_channel *channels;
  uint32_t channel_count;
  bool checked;
} weft_kernel;

// ---- building (kernel_build.c). Names are copied and cut to WEFT_KERNEL_NAME - 1 bytes. Programs, arrays, registers
// and tasks are named by the indices that these return. Mistakes are found by weft_kernel_check, all at once.

weft_kernel *weft_kernel_create(const char *name, uint32_t columns, uint32_t rows);
void weft_kernel_destroy(weft_kernel *kernel);  // NULL is fine

weft_block weft_block_all(const weft_kernel *kernel);
weft_block weft_block_one(uint32_t x, uint32_t y);
weft_block weft_block_of(uint32_t x, uint32_t x_end, uint32_t y, uint32_t y_end);

weft_route *weft_kernel_route(weft_kernel *kernel, weft_block block, uint32_t colour, weft_port from, uint32_t to_mask);
void weft_route_then(weft_route *route, weft_port from, uint32_t to_mask);  // one more position

uint32_t weft_kernel_program(weft_kernel *kernel, const char *name);
void weft_kernel_place(weft_kernel *kernel, uint32_t program, weft_block block);
uint32_t weft_kernel_array(weft_kernel *kernel, uint32_t program, const char *name, weft_dtype dtype, uint32_t length);
weft_array *weft_kernel_array_at(weft_kernel *kernel, uint32_t program, uint32_t array);  // to set flags, skew
uint32_t weft_kernel_integer(weft_kernel *kernel, uint32_t program, const char *name, int32_t base, int32_t per_x,
                             int32_t per_y);
uint32_t weft_kernel_real(weft_kernel *kernel, uint32_t program, const char *name, float value);
// The instructions added next belong to this task, until the next one.
uint32_t weft_kernel_task(weft_kernel *kernel, uint32_t program, const char *name, weft_trigger trigger);
weft_task *weft_kernel_task_at(weft_kernel *kernel, uint32_t program, uint32_t task);
void weft_kernel_channel(weft_kernel *kernel, weft_channel channel);

// Operands. `all` of an array has stride 1 from its start.
weft_operand weft_all(const weft_kernel *kernel, uint32_t program, uint32_t array);
weft_operand weft_view_of(const weft_kernel *kernel, uint32_t program, uint32_t array, int32_t offset, int32_t stride);
weft_operand weft_moved(weft_operand view, uint32_t offset_register, int32_t scale);  // offset + register * scale
weft_operand weft_folded(weft_operand view, uint32_t inner, int32_t outer_stride);
weft_operand weft_value(const weft_kernel *kernel, uint32_t program, uint32_t reg);
weft_operand weft_f32(float value);
weft_operand weft_i32(int32_t value);
weft_operand weft_receive(uint32_t colour, weft_dtype dtype);
weft_operand weft_send(uint32_t colour, weft_dtype dtype);
weft_operand weft_packed(weft_operand wavelets);
weft_operand weft_advancing(weft_operand send);

// Appends to the last task of the program; the pointer is good until the next call and serves to set what is left
// (count_register, microthread, task, form, compare).
weft_instruction *weft_emit(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind, uint32_t count,
                            weft_operand to, weft_operand a, weft_operand b, weft_operand c);
weft_instruction *weft_emit1(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind, uint32_t count,
                             weft_operand to, weft_operand a);
weft_instruction *weft_emit2(weft_kernel *kernel, uint32_t program, weft_instruction_kind kind, uint32_t count,
                             weft_operand to, weft_operand a, weft_operand b);
weft_instruction *weft_begin_loop(weft_kernel *kernel, uint32_t program, uint32_t counter, weft_operand first,
                                  weft_operand end, int32_t step);
weft_instruction *weft_begin_if(weft_kernel *kernel, uint32_t program, weft_operand a, weft_relation compare,
                                weft_operand b);
void weft_begin_else(weft_kernel *kernel, uint32_t program);
void weft_end(weft_kernel *kernel, uint32_t program);                      // of loop or if
void weft_activate(weft_kernel *kernel, uint32_t program, uint32_t task);  // an ACTIVATE instruction

// ---- the other verbs

// Everything that can be wrong: indices, types, views outside their arrays (as far as constants tell; the simulator
// checks the rest), two programs' SRAM over `sram_bytes` (0: no limit), ports off the mesh, positions that send back to
// where they come from, loops and ifs that do not match, colours used without routes at any core. Places arrays, finds
// targets, and freezes. The error names program, task, instruction (line of the text where known), value and what would
// be right.
weft_status weft_kernel_check(weft_kernel *kernel, uint64_t sram_bytes) WEFT_CHECKED;
// The text form; weft_kernel_read of what is printed gives the same kernel.
void weft_kernel_print(const weft_kernel *kernel, FILE *out);
weft_status weft_kernel_parse(const char *text, const char *name_in_errors, const char *const *settings,
                              uint32_t setting_count, weft_kernel **out_kernel) WEFT_CHECKED;
weft_status weft_kernel_read(const char *path, const char *const *settings, uint32_t setting_count,
                             weft_kernel **out_kernel) WEFT_CHECKED;  // text, or the protobuf of weft_kernel_write
weft_status weft_kernel_write(const weft_kernel *kernel, const char *path) WEFT_CHECKED;
void weft_kernel_pack(const weft_kernel *kernel, void **out_bytes, size_t *out_size);  // free() them
weft_status weft_kernel_unpack(const void *bytes, size_t size, weft_kernel **out_kernel) WEFT_CHECKED;
uint64_t weft_kernel_hash(const weft_kernel *kernel);  // XXH3 of the packed bytes

#ifdef __cplusplus
}
#endif
#endif
