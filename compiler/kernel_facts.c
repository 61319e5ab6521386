// Names and facts of instructions and ports.
#include "compiler/kernel_internal.h"

static const char *const port_names[WEFT_PORTS] = {"north", "east", "south", "west", "ramp"};

const char *weft_port_name(weft_port port) { return port < WEFT_PORTS ? port_names[port] : "?"; }

// clang-format off
static const weft_instruction_fact facts[WEFT_INSTRUCTION_KINDS] = {
    [WEFT_DO_MOVE]        = {"move", 1, WEFT_TYPES_FREELY, false},
    [WEFT_DO_ADD]         = {"add", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_SUBTRACT]    = {"subtract", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_MULTIPLY]    = {"multiply", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_FMA]         = {"fma", 3, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_DIVIDE]      = {"divide", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_MODULO]      = {"modulo", 2, WEFT_TYPES_WHOLE, false},
    [WEFT_DO_MAXIMUM]     = {"maximum", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_MINIMUM]     = {"minimum", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_AND]         = {"and", 2, WEFT_TYPES_WHOLE, false},
    [WEFT_DO_OR]          = {"or", 2, WEFT_TYPES_WHOLE, false},
    [WEFT_DO_XOR]         = {"xor", 2, WEFT_TYPES_WHOLE, false},
    [WEFT_DO_SHIFT_LEFT]  = {"shift_left", 2, WEFT_TYPES_WHOLE, false},
    [WEFT_DO_SHIFT_RIGHT] = {"shift_right", 2, WEFT_TYPES_WHOLE, false},
    [WEFT_DO_NEGATE]      = {"negate", 1, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_ABSOLUTE]    = {"absolute", 1, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_SQRT]        = {"sqrt", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_RSQRT]       = {"rsqrt", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_EXP]         = {"exp", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_LOG]         = {"log", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_TANH]        = {"tanh", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_SINE]        = {"sine", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_COSINE]      = {"cosine", 1, WEFT_TYPES_REAL, false},
    [WEFT_DO_GREATER]     = {"greater", 2, WEFT_TYPES_ALIKE, false},
    [WEFT_DO_SUM]         = {"sum", 1, WEFT_TYPES_REAL, true},
    [WEFT_DO_DOT]         = {"dot", 2, WEFT_TYPES_REAL, true},
    [WEFT_DO_GREATEST]    = {"greatest", 1, WEFT_TYPES_ALIKE, true},
    [WEFT_DO_BITS]        = {"bits", 1, WEFT_TYPES_FREELY, false},
    [WEFT_DO_LOOP]        = {"loop", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_END]         = {"end", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_IF]          = {"if", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_ELSE]        = {"else", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_ACTIVATE]    = {"activate", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_BLOCK]       = {"block", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_UNBLOCK]     = {"unblock", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_WAIT]        = {"wait", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_SWITCH]      = {"switch", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_CLOCK]       = {"clock", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_STOP]        = {"stop", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_WHILE]       = {"while", 0, WEFT_TYPES_NONE, false},
    [WEFT_DO_BREAK]       = {"break", 0, WEFT_TYPES_NONE, false},
};
// clang-format on

const weft_instruction_fact *weft_instruction_fact_of(weft_instruction_kind kind) {
  return kind < WEFT_INSTRUCTION_KINDS ? &facts[kind] : NULL;
}

const char *weft_instruction_name(weft_instruction_kind kind) {
  return kind < WEFT_INSTRUCTION_KINDS ? facts[kind].name : "?";
}

bool weft_kernel_holds(weft_dtype dtype) {
  return dtype == WEFT_F32 || dtype == WEFT_F16 || dtype == WEFT_BF16 || dtype == WEFT_I32;
}

static void widen(int64_t value, int64_t *least, int64_t *greatest) {
  if (value < *least) *least = value;
  if (value > *greatest) *greatest = value;
}

bool weft_view_extent(const weft_operand *view, uint32_t count, int64_t *out_least, int64_t *out_greatest) {
  if (count == 0) return false;
  uint32_t inner = view->inner > 0 && view->inner < count ? view->inner : count;
  int64_t last_row = (count - 1) / inner, last = (count - 1) % inner;
  int64_t least = view->offset, greatest = view->offset;
  // Corners: a row's ends in the first and the last full row, and in the last row, which may be shorter.
  widen(view->offset + (int64_t)view->stride * (inner - 1), &least, &greatest);
  if (last_row > 0) {
    int64_t full = view->offset + (last_row - 1) * (int64_t)view->outer_stride;
    widen(full, &least, &greatest);
    widen(full + (int64_t)view->stride * (inner - 1), &least, &greatest);
    widen(full + view->outer_stride, &least, &greatest);
    widen(full + view->outer_stride + view->stride * last, &least, &greatest);
  }
  *out_least = least;
  *out_greatest = greatest;
  return true;
}

void weft_program_colours(const weft_program *program, uint32_t *out_sends, uint32_t *out_receives) {
  uint32_t sends = 0, receives = 0;
  for (uint32_t i = 0; i < program->code_count; ++i) {
    const weft_instruction *instruction = &program->code[i];
    // What stands in an if may be for other cores than those that this program has here.
    if (instruction->kind == WEFT_DO_IF || instruction->kind == WEFT_DO_ELSE || instruction->kind == WEFT_DO_WHILE) {
      i = instruction->target - 1;
      continue;
    }
    if (!weft_instruction_is_vector(instruction->kind) && instruction->kind != WEFT_DO_SWITCH) continue;
    const weft_operand *sources[] = {&instruction->a, &instruction->b, &instruction->c};
    if (instruction->to.kind == WEFT_SEND) sends |= 1u << instruction->to.index;
    for (size_t s = 0; s < 3; ++s)
      if (sources[s]->kind == WEFT_RECEIVE && sources[s]->index < WEFT_COLOURS) receives |= 1u << sources[s]->index;
  }
  for (uint32_t t = 0; t < program->task_count; ++t)
    if (program->tasks[t].trigger == WEFT_BY_WAVELET || program->tasks[t].trigger == WEFT_BY_CONTROL)
      receives |= 1u << program->tasks[t].colour;
  *out_sends = sends;
  *out_receives = receives;
}

weft_dtype weft_wavelet_dtype(const weft_instruction *instruction) {
  const weft_operand *all[] = {&instruction->to, &instruction->a, &instruction->b, &instruction->c};
  for (size_t o = 0; o < 4; ++o)
    if (all[o]->kind == WEFT_MEMORY || all[o]->kind == WEFT_REGISTER) return all[o]->dtype;
  return WEFT_F32;
}
