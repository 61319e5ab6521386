// Judging the code of a program: structure (loops and ifs find their ends), operands, types, views.
#include <stdlib.h>

#include "base/text.h"
#include "compiler/kernel_internal.h"

// Where the checker is, for its messages.
typedef struct judge {
  const weft_program *program;
  uint32_t task, at;  // at: index in the program's code
} judge;

static weft_status wrong(const judge *j, const char *format, ...) WEFT_PRINTF(2, 3) WEFT_CHECKED;
static weft_status wrong(const judge *j, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *what = weft_format_list(format, arguments);
  va_end(arguments);
  const weft_instruction *instruction = &j->program->code[j->at];
  const weft_task *task = &j->program->tasks[j->task];
  const char *name = weft_instruction_name(instruction->kind);
  weft_status status = instruction->line
                           ? weft_error(WEFT_INVALID, "line %u: program \"%s\", task \"%s\", %s: %s", instruction->line,
                                        j->program->name, task->name, name, what)
                           : weft_error(WEFT_INVALID, "program \"%s\", task \"%s\", instruction %u of %u, %s: %s",
                                        j->program->name, task->name, j->at - task->first + 1, task->count, name, what);
  free(what);
  return status;
}

static bool is_register(const judge *j, const weft_operand *o, weft_dtype dtype) {
  return o->kind == WEFT_REGISTER && o->index < j->program->register_count && o->dtype == dtype;
}

// ---- operands ----

static weft_status check_view(const judge *j, const char *which, const weft_operand *o, uint32_t count, bool known) {
  const weft_program *p = j->program;
  if (o->array >= p->array_count)
    return wrong(j, "%s: array %u; the program has %u arrays", which, o->array, p->array_count);
  const weft_array *array = &p->arrays[o->array];
  if (o->dtype != array->dtype)
    return wrong(j, "%s: array \"%s\" is %s, not %s", which, array->name, weft_dtype_name(array->dtype),
                 weft_dtype_name(o->dtype));
  bool moves = o->offset_register != WEFT_NOTHING;
  if (moves && o->offset_register >= p->register_count)
    return wrong(j, "%s: offset register %u; the program has %u registers", which, o->offset_register,
                 p->register_count);
  if (moves && p->registers[o->offset_register].dtype != WEFT_I32)
    return wrong(j, "%s: offset register \"%s\" is f32; an offset is i32", which,
                 p->registers[o->offset_register].name);
  int64_t least, greatest;
  if (!known || !weft_view_extent(o, count, &least, &greatest)) return NULL;
  if (moves && greatest - least >= array->length)
    return wrong(j, "%s: a view over %lld elements does not fit \"%s\", which has %u", which,
                 (long long)(greatest - least + 1), array->name, array->length);
  if (!moves && (least < 0 || greatest >= array->length))
    return wrong(j, "%s: the view reaches element %lld of \"%s\", which has %u (0 to %u)", which,
                 (long long)(least < 0 ? least : greatest), array->name, array->length, array->length - 1);
  return NULL;
}

// `count` elements are looked at where it is known.
static weft_status check_operand(const judge *j, const char *which, const weft_operand *o, uint32_t count, bool known) {
  const weft_program *p = j->program;
  if (!weft_kernel_holds(o->dtype))
    return wrong(j, "%s: type %s; cores hold f32, f16, bf16 and i32", which,
                 o->dtype < WEFT_DTYPE_COUNT ? weft_dtype_name(o->dtype) : "?");
  bool whole_word = o->dtype == WEFT_F32 || o->dtype == WEFT_I32;
  switch (o->kind) {
    case WEFT_MEMORY: return check_view(j, which, o, count, known);
    case WEFT_REGISTER:
      if (o->index >= p->register_count)
        return wrong(j, "%s: register %u; the program has %u registers", which, o->index, p->register_count);
      if (!whole_word) return wrong(j, "%s: a register holds f32 or i32, not %s", which, weft_dtype_name(o->dtype));
      return NULL;
    case WEFT_CONSTANT:
      if (!whole_word) return wrong(j, "%s: a constant is f32 or i32, not %s", which, weft_dtype_name(o->dtype));
      return NULL;
    case WEFT_RECEIVE:
    case WEFT_SEND:
      if (o->index >= WEFT_COLOURS)
        return wrong(j, "%s: colour %u; there are %d (0 to %d)", which, o->index, WEFT_COLOURS, WEFT_COLOURS - 1);
      if (o->packed && whole_word)
        return wrong(j, "%s: %s fills a wavelet; only f16 and bf16 are packed", which, weft_dtype_name(o->dtype));
      if (o->advance && o->kind != WEFT_SEND)
        return wrong(j, "%s: a receive moves no switch; only a send advances its router's", which);
      return NULL;
    default: return wrong(j, "%s: kind of operand %u is unknown", which, (unsigned)o->kind);
  }
}

static weft_status check_types(const judge *j, const weft_instruction *i, const weft_instruction_fact *fact) {
  const weft_operand *operands[] = {&i->to, &i->a, &i->b, &i->c};
  static const char *const which[] = {"to", "a", "b", "c"};
  if (fact->typing == WEFT_TYPES_FREELY) return NULL;
  bool real = weft_dtype_is_real(i->to.dtype);
  if (fact->typing == WEFT_TYPES_WHOLE && real)
    return wrong(j, "to: the result is i32, not %s", weft_dtype_name(i->to.dtype));
  if (fact->typing == WEFT_TYPES_REAL && !real) return wrong(j, "to: the result is floating (f32, f16, bf16), not i32");
  for (uint32_t o = 1; o <= fact->sources; ++o)
    if (weft_dtype_is_real(operands[o]->dtype) != real)
      return wrong(j, "%s is %s where the result is %s; only a move converts between i32 and floating", which[o],
                   weft_dtype_name(operands[o]->dtype), weft_dtype_name(i->to.dtype));
  return NULL;
}

static weft_status check_receives(const judge *j, const weft_instruction *i) {
  const weft_operand *sources[] = {&i->a, &i->b, &i->c};
  uint32_t seen = 0;
  for (size_t s = 0; s < 3; ++s) {
    if (sources[s]->kind != WEFT_RECEIVE) continue;
    if (seen & 1u << sources[s]->index)
      return wrong(j, "receives colour %u twice: which wavelet goes where is not defined", sources[s]->index);
    seen |= 1u << sources[s]->index;
  }
  return NULL;
}

static weft_status check_vector(const judge *j, const weft_instruction *i) {
  const weft_program *p = j->program;
  const weft_instruction_fact *fact = weft_instruction_fact_of(i->kind);
  const weft_operand *sources[] = {&i->a, &i->b, &i->c};
  static const char *const which[] = {"a", "b", "c"};
  bool known = i->count_register == WEFT_NOTHING;
  if (!known && (i->count_register >= p->register_count || p->registers[i->count_register].dtype != WEFT_I32))
    return wrong(j, "count register %u: expected an i32 register below %u", i->count_register, p->register_count);
  if (i->to.kind != WEFT_MEMORY && i->to.kind != WEFT_REGISTER && (i->to.kind != WEFT_SEND || fact->reduces))
    return wrong(j, "to: expected a view or a register%s", fact->reduces ? "" : ", or to send");
  if (fact->reduces && i->to.kind == WEFT_MEMORY && (i->to.inner != 0 || i->to.stride < 0 || i->to.stride > 1))
    return wrong(j, "to: one element, not a view with strides");
  WEFT_TRY(check_operand(j, "to", &i->to, fact->reduces ? 1 : i->count, known || fact->reduces));
  for (uint32_t s = 0; s < 3; ++s) {
    if (s >= fact->sources && sources[s]->kind != WEFT_ABSENT)
      return wrong(j, "%s: takes %u operand%s", which[s], fact->sources, fact->sources == 1 ? "" : "s");
    if (s >= fact->sources) continue;
    if (sources[s]->kind == WEFT_ABSENT || sources[s]->kind == WEFT_SEND)
      return wrong(j, "%s: expected a view, a register, a constant or to receive", which[s]);
    WEFT_TRY(check_operand(j, which[s], sources[s], i->count, known));
  }
  WEFT_TRY(check_types(j, i, fact));
  WEFT_TRY(check_receives(j, i));
  if (i->microthread != WEFT_NOTHING && i->microthread >= WEFT_MICROTHREADS)
    return wrong(j, "microthread %u; there are %d (0 to %d)", i->microthread, WEFT_MICROTHREADS, WEFT_MICROTHREADS - 1);
  if (i->task != WEFT_NOTHING && i->microthread == WEFT_NOTHING)
    return wrong(j, "a task to activate at the end needs a microthread");
  if (i->task != WEFT_NOTHING && i->task >= p->task_count)
    return wrong(j, "task %u; the program has %u", i->task, p->task_count);
  return NULL;
}

// ---- control ----

static weft_status check_scalar(const judge *j, const char *which, const weft_operand *o) {
  if (o->kind != WEFT_REGISTER && o->kind != WEFT_CONSTANT)
    return wrong(j, "%s: expected a register or a constant", which);
  return check_operand(j, which, o, 1, true);
}

static weft_status check_whole(const judge *j, const char *which, const weft_operand *o) {
  WEFT_TRY(check_scalar(j, which, o));
  return o->dtype == WEFT_I32 ? NULL : wrong(j, "%s: expected i32, found %s", which, weft_dtype_name(o->dtype));
}

static weft_status check_counts(const judge *j, const weft_instruction *i) {
  WEFT_TRY(check_operand(j, "to", &i->to, 1, true));
  WEFT_TRY(check_whole(j, "a", &i->a));
  WEFT_TRY(check_whole(j, "b", &i->b));
  enum { MOST = 0xffff };  // both travel in one wavelet
  if (i->a.kind == WEFT_CONSTANT && ((int32_t)i->a.bits < 0 || i->a.bits > MOST))
    return wrong(j, "skips %d routers; expected 0 or more, and at most %d", (int32_t)i->a.bits, MOST);
  if (i->b.kind == WEFT_CONSTANT && ((int32_t)i->b.bits < 1 || i->b.bits > MOST))
    return wrong(j, "moves %d switches; expected 1 or more, and at most %d", (int32_t)i->b.bits, MOST);
  return NULL;
}

static weft_status check_control(const judge *j, const weft_instruction *i) {
  switch (i->kind) {
    case WEFT_DO_LOOP:
      if (!is_register(j, &i->to, WEFT_I32)) return wrong(j, "the counter is an i32 register");
      WEFT_TRY(check_whole(j, "first", &i->a));
      WEFT_TRY(check_whole(j, "end", &i->b));
      if (i->c.kind != WEFT_CONSTANT || i->c.dtype != WEFT_I32 || i->c.bits == 0)
        return wrong(j, "the step is an i32 constant other than 0");
      if (i->form != WEFT_PLAIN_LOOP && i->form != WEFT_MAP_LOOP)
        return wrong(j, "form %u of loop is unknown", (unsigned)i->form);
      return NULL;
    case WEFT_DO_IF:
    case WEFT_DO_WHILE:
      WEFT_TRY(check_scalar(j, "a", &i->a));
      WEFT_TRY(check_scalar(j, "b", &i->b));
      if (i->a.dtype != i->b.dtype)
        return wrong(j, "compares %s with %s", weft_dtype_name(i->a.dtype), weft_dtype_name(i->b.dtype));
      if (i->compare > WEFT_AT_LEAST) return wrong(j, "comparison %u is unknown", (unsigned)i->compare);
      return NULL;
    case WEFT_DO_ACTIVATE:
    case WEFT_DO_BLOCK:
    case WEFT_DO_UNBLOCK:
      if (i->task >= j->program->task_count)
        return wrong(j, "task %u; the program has %u", i->task, j->program->task_count);
      return NULL;
    case WEFT_DO_WAIT:
      if (i->microthread >= WEFT_MICROTHREADS)
        return wrong(j, "microthread %u; there are %d (0 to %d)", i->microthread, WEFT_MICROTHREADS,
                     WEFT_MICROTHREADS - 1);
      return NULL;
    case WEFT_DO_SWITCH:
      if (i->to.kind != WEFT_SEND) return wrong(j, "to: expected a colour to send");
      if (i->to.advance)
        return wrong(j, "a control wavelet moves the own router as the first: skip 0; only vector operations advance");
      return check_counts(j, i);
    case WEFT_DO_CLOCK: return is_register(j, &i->to, WEFT_I32) ? NULL : wrong(j, "to: expected an i32 register");
    default: return NULL;
  }
}

static weft_status check_map(const judge *j, const weft_instruction *body, uint32_t count) {
  if (count != 1 || !weft_instruction_is_vector(body->kind))
    return wrong(j, "a map's body is one vector instruction; found %u instruction%s", count, count == 1 ? "" : "s");
  return body->microthread == WEFT_NOTHING ? NULL : wrong(j, "a map's instruction has no microthread");
}

static bool repeats(weft_instruction_kind kind) { return kind == WEFT_DO_LOOP || kind == WEFT_DO_WHILE; }

static weft_status match_break(const judge *j, weft_instruction *code, const uint32_t *open, uint32_t depth) {
  while (depth > 0 && !repeats(code[open[depth - 1]].kind)) --depth;
  if (depth == 0) return wrong(j, "no loop or while is open here to break");
  code[j->at].target = open[depth - 1];
  return NULL;
}

// Matches the instruction at j->at with those that are open: `open` holds `*depth` indices of LOOP, WHILE, IF and ELSE.
static weft_status match(const judge *j, weft_instruction *code, uint32_t *open, uint32_t *depth) {
  weft_instruction *i = &code[j->at];
  if (i->kind == WEFT_DO_BREAK) return match_break(j, code, open, *depth);
  if (repeats(i->kind) || i->kind == WEFT_DO_IF) open[(*depth)++] = j->at;
  if (i->kind != WEFT_DO_ELSE && i->kind != WEFT_DO_END) return NULL;
  if (*depth == 0) return wrong(j, "no %s is open here", i->kind == WEFT_DO_ELSE ? "if" : "loop or if");
  uint32_t begun = open[--*depth];
  if (i->kind == WEFT_DO_ELSE && code[begun].kind != WEFT_DO_IF) return wrong(j, "no if is open here");
  code[begun].target = j->at;
  if (i->kind == WEFT_DO_ELSE) {
    open[(*depth)++] = j->at;
    return NULL;
  }
  i->target = repeats(code[begun].kind) ? begun : WEFT_NOTHING;
  if (code[begun].kind == WEFT_DO_LOOP && code[begun].form == WEFT_MAP_LOOP)
    return check_map(j, &code[begun + 1], j->at - begun - 1);
  return NULL;
}

static weft_status check_task_code(judge *j, weft_instruction *code, uint32_t *open) {
  const weft_task *task = &j->program->tasks[j->task];
  uint32_t depth = 0;
  for (uint32_t n = 0; n < task->count; ++n) {
    j->at = task->first + n;
    weft_instruction *i = &code[j->at];
    if (i->kind >= WEFT_INSTRUCTION_KINDS) return wrong(j, "kind of instruction %u is unknown", (unsigned)i->kind);
    WEFT_TRY(weft_instruction_is_vector(i->kind) ? check_vector(j, i) : check_control(j, i));
    WEFT_TRY(match(j, code, open, &depth));
  }
  if (depth == 0) return NULL;
  j->at = open[depth - 1];
  return wrong(j, "has no end");
}

weft_status weft_kernel_check_code(weft_kernel *kernel, uint32_t program) {
  weft_program *p = &kernel->programs[program];
  uint32_t *open = weft_allocate_array(p->code_count, sizeof *open);
  weft_status status = NULL;
  for (uint32_t t = 0; t < p->task_count && !status; ++t)
    status = check_task_code(&(judge){.program = p, .task = t}, p->code, open);
  free(open);
  return status;
}
