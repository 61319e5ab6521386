// The text form of kernels, written. Whatever is left out here is what kernel_parse*.c assume where nothing is said.
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "compiler/kernel_internal.h"

// clang-format off
const char *const weft_kernel_words[] = {
    "abs", "activate", "all", "and", "as", "async", "bf16", "bits", "block", "break", "ceil", "channel", "clock",
    "colour", "cos", "define", "dot", "each", "else", "end", "exp", "f16", "f32", "floor", "for", "greatest", "i32",
    "if", "input", "kernel", "log", "log2", "loop", "map", "max", "mesh", "min", "not", "or", "otherwise", "output",
    "parameter", "program", "receive", "require", "round", "route", "rsqrt", "send", "sin", "sqrt", "stop", "sum",
    "switch", "tanh", "task", "then", "type", "unblock", "use", "wait", "when", "while"};
// clang-format on
const uint32_t weft_kernel_word_count = sizeof weft_kernel_words / sizeof *weft_kernel_words;

static void print_name(const char *name, FILE *out) {
  bool plain = isalpha((unsigned char)*name) || *name == '_';
  for (const char *c = name; *c; ++c)
    if (!isalnum((unsigned char)*c) && *c != '_') plain = false;
  for (uint32_t w = 0; w < weft_kernel_word_count && plain; ++w)
    if (strcmp(name, weft_kernel_words[w]) == 0) plain = false;
  if (plain) {
    fputs(name, out);
    return;
  }
  fputc('"', out);
  for (const char *c = name; *c; ++c) fprintf(out, *c == '{' ? "{{" : "%c", *c);
  fputc('"', out);
}

static void print_range(uint32_t first, uint32_t end, uint32_t step, FILE *out) {
  fprintf(out, "%u", first);
  if (end == first + 1 && step == 1) return;
  fprintf(out, "..%" PRId64, (int64_t)end - 1);
  if (step != 1) fprintf(out, " step %u", step);
}

static void print_block(const weft_block *block, FILE *out) {
  print_range(block->x, block->x_end, block->step_x, out);
  fputs(", ", out);
  print_range(block->y, block->y_end, block->step_y, out);
}

static void print_f32(uint32_t bits, FILE *out) {
  float value;
  memcpy(&value, &bits, sizeof value);
  if (isnan(value)) {
    fprintf(out, "nan(0x%08x)", bits);
  } else if (isinf(value)) {
    fputs(value < 0 ? "-inf" : "inf", out);
  } else {
    char text[32];
    snprintf(text, sizeof text, "%.9g", (double)value);
    for (int digits = 1; digits < 9; ++digits) {  // the shortest that reads back
      char shorter[32];
      snprintf(shorter, sizeof shorter, "%.*g", digits, (double)value);
      float again = 0;
      sscanf(shorter, "%f", &again);
      if (memcmp(&again, &value, sizeof value) != 0) continue;
      memcpy(text, shorter, sizeof text);
      break;
    }
    fprintf(out, strpbrk(text, ".e") ? "%s" : "%s.0", text);
  }
}

// ---- routes and channels ----

static void print_route(const weft_route *route, FILE *out) {
  fprintf(out, "route c%u at ", route->colour);
  print_block(&route->block, out);
  fputs(" : ", out);
  for (uint32_t p = 0; p < route->position_count && p < WEFT_SWITCH_POSITIONS; ++p) {
    if (p > 0) fputs("; then ", out);
    fprintf(out, "%s ->", weft_port_name((weft_port)route->positions[p].from));
    for (uint32_t port = 0; port < WEFT_PORTS; ++port)
      if (route->positions[p].to & 1u << port) fprintf(out, " %s", weft_port_name((weft_port)port));
  }
  fputs(route->ring ? "; then again\n" : "\n", out);
}

static void print_channel(const weft_channel *channel, FILE *out) {
  fputs("channel ", out);
  print_name(channel->name, out);
  fprintf(out, " %s at %u, %u %s on c%u words %" PRIu64, channel->into_mesh ? "in" : "out", channel->x, channel->y,
          weft_port_name((weft_port)channel->port), channel->colour, channel->words);
  if (channel->cycles_per_word != 1) fprintf(out, " every %.17g", channel->cycles_per_word);
  fputc('\n', out);
}

// ---- operands ----

typedef struct printer {
  const weft_program *program;
  const weft_instruction *instruction;
  bool open;  // views have no ends: the count stands behind `for`
  FILE *out;
} printer;

static void print_register_name(const printer *p, uint32_t reg) {
  if (reg < p->program->register_count)
    print_name(p->program->registers[reg].name, p->out);
  else
    fputc('?', p->out);
}

static void print_task_name(const printer *p, uint32_t task) {
  if (task < p->program->task_count)
    print_name(p->program->tasks[task].name, p->out);
  else
    fputc('?', p->out);
}

static void print_offset(const printer *p, const weft_operand *o) {
  bool moves = o->offset_register != WEFT_NOTHING;
  if (moves) {
    print_register_name(p, o->offset_register);
    if (o->offset_scale != 1) fprintf(p->out, " * %d", o->offset_scale);
    if (o->offset > 0) fprintf(p->out, " + %d", o->offset);
    if (o->offset < 0) fprintf(p->out, " - %" PRId64, -(int64_t)o->offset);
  } else {
    fprintf(p->out, "%d", o->offset);
  }
}

static void print_view(const printer *p, const weft_operand *o, uint32_t count, bool open) {
  if (o->array >= p->program->array_count) {
    fputc('?', p->out);
    return;
  }
  const weft_array *array = &p->program->arrays[o->array];
  print_name(array->name, p->out);
  bool moves = o->offset_register != WEFT_NOTHING, flat = o->inner == 0;
  if (flat && o->stride == 1 && o->offset == 0 && !moves && (open || count == array->length)) return;
  fputc('[', p->out);
  print_offset(p, o);
  if (flat && o->stride == 1) {
    if (open)
      fputs(" :", p->out);
    else if (moves)
      fprintf(p->out, " : +%u", count);
    else
      fprintf(p->out, ":%" PRId64, o->offset + (int64_t)count);
  } else if (flat && o->stride != 0) {
    fputs(open ? "; by " : "; ", p->out);
    if (!open) fprintf(p->out, "%u by ", count);
    fprintf(p->out, "%d", o->stride);
  } else if (!flat) {
    fputs(open ? "; by " : "; ", p->out);
    if (!open) fprintf(p->out, "%u by ", count / o->inner);
    fprintf(p->out, "%d; %u by %d", o->outer_stride, o->inner, o->stride);
  }
  fputc(']', p->out);
}

static void print_constant(const printer *p, const weft_operand *o) {
  const weft_instruction *i = p->instruction;
  const weft_instruction_fact *fact = weft_instruction_fact_of(i->kind);
  int constants = (i->a.kind == WEFT_CONSTANT) + (i->b.kind == WEFT_CONSTANT) + (i->c.kind == WEFT_CONSTANT);
  bool vector = weft_instruction_is_vector(i->kind), copies = i->kind == WEFT_DO_MOVE || i->kind == WEFT_DO_BITS;
  // A type in front keeps a constant from being folded with others, or from becoming f32.
  bool alone = vector && !copies && (fact->sources == 1 || constants > 1);
  bool whole = o->dtype == WEFT_I32,
       typed = alone || (whole && vector && i->kind != WEFT_DO_BITS && i->to.dtype != WEFT_I32);
  if (typed) fputs(whole ? "i32(" : "f32(", p->out);
  if (whole)
    fprintf(p->out, "%d", (int32_t)o->bits);
  else
    print_f32(o->bits, p->out);
  if (typed) fputc(')', p->out);
}

static void print_wavelets(const printer *p, const weft_operand *o) {
  fprintf(p->out, "%s c%u", o->kind == WEFT_SEND ? "send" : "receive", o->index);
  if (o->dtype != weft_wavelet_dtype(p->instruction)) fprintf(p->out, " %s", weft_dtype_name(o->dtype));
  if (o->packed) fputs(" packed", p->out);
  if (o->advance) fputs(" advance", p->out);
}

static void print_operand(const printer *p, const weft_operand *o) {
  bool one = o == &p->instruction->to && weft_instruction_is_vector(p->instruction->kind) &&
             weft_instruction_fact_of(p->instruction->kind)->reduces;
  switch (o->kind) {
    case WEFT_MEMORY: print_view(p, o, one ? 1 : p->instruction->count, p->open && !one); break;
    case WEFT_REGISTER:
      print_register_name(p, o->index);
      if (o->index < p->program->register_count && o->dtype != p->program->registers[o->index].dtype)
        fprintf(p->out, " as %s", weft_dtype_name(o->dtype));
      break;
    case WEFT_CONSTANT: print_constant(p, o); break;
    case WEFT_RECEIVE:
    case WEFT_SEND: print_wavelets(p, o); break;
    default: fputc('?', p->out); break;
  }
}

// ---- instructions ----

// What stands between the operands of a binary instruction, or the function of one or two.
static const char *const between[WEFT_INSTRUCTION_KINDS] = {
    [WEFT_DO_ADD] = "+",         [WEFT_DO_SUBTRACT] = "-",     [WEFT_DO_MULTIPLY] = "*", [WEFT_DO_DIVIDE] = "/",
    [WEFT_DO_MODULO] = "%",      [WEFT_DO_AND] = "&",          [WEFT_DO_OR] = "|",       [WEFT_DO_XOR] = "^",
    [WEFT_DO_SHIFT_LEFT] = "<<", [WEFT_DO_SHIFT_RIGHT] = ">>", [WEFT_DO_GREATER] = ">"};
static const char *const functions[WEFT_INSTRUCTION_KINDS] = {
    [WEFT_DO_MAXIMUM] = "max", [WEFT_DO_MINIMUM] = "min",      [WEFT_DO_ABSOLUTE] = "abs", [WEFT_DO_SQRT] = "sqrt",
    [WEFT_DO_RSQRT] = "rsqrt", [WEFT_DO_EXP] = "exp",          [WEFT_DO_LOG] = "log",      [WEFT_DO_TANH] = "tanh",
    [WEFT_DO_SINE] = "sin",    [WEFT_DO_COSINE] = "cos",       [WEFT_DO_BITS] = "bits",    [WEFT_DO_SUM] = "sum",
    [WEFT_DO_DOT] = "dot",     [WEFT_DO_GREATEST] = "greatest"};

static void print_call(const printer *p, const weft_instruction *i, bool two) {
  fprintf(p->out, "%s(", functions[i->kind]);
  print_operand(p, &i->a);
  if (two) {
    fputs(", ", p->out);
    print_operand(p, &i->b);
  }
  fputc(')', p->out);
}

static void print_right_side(const printer *p, const weft_instruction *i) {
  if (functions[i->kind]) {
    print_call(p, i, weft_instruction_fact_of(i->kind)->sources == 2);
    return;
  }
  if (i->kind == WEFT_DO_NEGATE) fputc('-', p->out);
  print_operand(p, &i->a);
  if (between[i->kind]) {
    fprintf(p->out, " %s ", between[i->kind]);
    print_operand(p, &i->b);
  } else if (i->kind == WEFT_DO_FMA) {
    fputs(" * ", p->out);
    print_operand(p, &i->b);
    fputs(" + ", p->out);
    print_operand(p, &i->c);
  }
}

// Whether a view's ends tell the count: false where it tells nothing, *out_open set where it cannot be told so.
static bool tells_count(const weft_operand *o, uint32_t count, bool *out_open) {
  if (o->kind != WEFT_MEMORY || (o->inner == 0 && o->stride == 0)) return false;
  if (o->inner > 0 && count % o->inner != 0) *out_open = true;
  return true;
}

static void print_vector(printer *p, const weft_instruction *i) {
  bool reduces = weft_instruction_fact_of(i->kind)->reduces, by_register = i->count_register != WEFT_NOTHING;
  bool open = by_register;
  bool told = !reduces && tells_count(&i->to, i->count, &open);
  told |= tells_count(&i->a, i->count, &open);
  told |= tells_count(&i->b, i->count, &open);
  told |= tells_count(&i->c, i->count, &open);
  if (!told && i->count != 1) open = true;
  p->open = open;
  if (i->microthread != WEFT_NOTHING) fprintf(p->out, "async %u ", i->microthread);
  print_operand(p, &i->to);
  if (i->kind == WEFT_DO_GREATEST) {
    fputs(" = max(", p->out);
    print_operand(p, &i->to);
    fputs(", ", p->out);
  } else {
    fputs(i->to.kind == WEFT_SEND ? " <- " : reduces ? " += " : " = ", p->out);
  }
  print_right_side(p, i);
  if (i->kind == WEFT_DO_GREATEST) fputc(')', p->out);
  if (open) {
    fputs(" for ", p->out);
    if (by_register)
      print_register_name(p, i->count_register);
    else
      fprintf(p->out, "%u", i->count);
  }
  if (i->task != WEFT_NOTHING) {
    fputs(" then ", p->out);
    print_task_name(p, i->task);
  }
}

static void print_loop(const printer *p, const weft_instruction *i) {
  fprintf(p->out, "%s ", i->form == WEFT_MAP_LOOP ? "map" : "loop");
  print_operand(p, &i->to);
  fputs(" in ", p->out);
  print_operand(p, &i->a);
  fputc(':', p->out);
  print_operand(p, &i->b);
  if (i->c.bits != 1) fprintf(p->out, ":%d", (int32_t)i->c.bits);
}

static void print_if(const printer *p, const weft_instruction *i) {
  static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
  fprintf(p->out, "%s ", weft_instruction_name(i->kind));
  print_operand(p, &i->a);
  fprintf(p->out, " %s ", i->compare <= WEFT_AT_LEAST ? signs[i->compare] : "?");
  print_operand(p, &i->b);
}

static void print_switch(const printer *p, const weft_instruction *i) {
  fprintf(p->out, "switch c%u", i->to.index);
  if (i->a.kind != WEFT_CONSTANT || i->a.bits != 0) {
    fputs(" skip ", p->out);
    print_operand(p, &i->a);
  }
  if (i->b.kind != WEFT_CONSTANT || i->b.bits != 1) {
    fputs(" move ", p->out);
    print_operand(p, &i->b);
  }
}

static void print_control(const printer *p, const weft_instruction *i) {
  switch (i->kind) {
    case WEFT_DO_LOOP: print_loop(p, i); break;
    case WEFT_DO_IF:
    case WEFT_DO_WHILE: print_if(p, i); break;
    case WEFT_DO_ACTIVATE:
    case WEFT_DO_BLOCK:
    case WEFT_DO_UNBLOCK:
      fprintf(p->out, "%s ", weft_instruction_name(i->kind));
      print_task_name(p, i->task);
      break;
    case WEFT_DO_WAIT: fprintf(p->out, "wait %u", i->microthread); break;
    case WEFT_DO_SWITCH: print_switch(p, i); break;
    case WEFT_DO_CLOCK:
      print_operand(p, &i->to);
      fputs(" = clock()", p->out);
      break;
    default: fputs(weft_instruction_name(i->kind), p->out); break;
  }
}

void weft_kernel_print_instruction(const weft_program *program, const weft_instruction *instruction, FILE *out) {
  printer p = {.program = program, .instruction = instruction, .out = out};
  if (instruction->kind >= WEFT_INSTRUCTION_KINDS)
    fputc('?', out);
  else if (weft_instruction_is_vector(instruction->kind))
    print_vector(&p, instruction);
  else
    print_control(&p, instruction);
}

// ---- programs ----

static void print_array(const weft_array *array, FILE *out) {
  fprintf(out, "  %s%s%s ", array->input ? "input " : "", array->output ? "output " : "",
          weft_dtype_name(array->dtype));
  print_name(array->name, out);
  fprintf(out, "[%u]", array->length);
  if (array->skew != 0) fprintf(out, " skew %u", array->skew);
  if (array->address != WEFT_NOTHING) fprintf(out, " at %u", array->address);
  uint32_t bits;
  memcpy(&bits, &array->fill, sizeof bits);
  if (bits != 0) {
    fputs(" = ", out);
    print_f32(bits, out);
  }
  fputc('\n', out);
}

static void print_slope(int32_t slope, const char *coordinate, bool first, FILE *out) {
  if (slope == 0) return;
  int64_t size = slope < 0 ? -(int64_t)slope : slope;
  fputs(first ? (slope < 0 ? "-" : "") : (slope < 0 ? " - " : " + "), out);
  if (size != 1) fprintf(out, "%" PRId64 " * ", size);
  fputs(coordinate, out);
}

static void print_register(const weft_register *reg, FILE *out) {
  fprintf(out, "  %s ", weft_dtype_name(reg->dtype));
  print_name(reg->name, out);
  if (reg->dtype == WEFT_F32 && reg->bits != 0) {
    fputs(" = ", out);
    print_f32(reg->bits, out);
  } else if (reg->dtype == WEFT_I32 && (reg->base != 0 || reg->per_x != 0 || reg->per_y != 0)) {
    fputs(" = ", out);
    bool sloped = reg->per_x != 0 || reg->per_y != 0;
    print_slope(reg->per_x, "x", true, out);
    print_slope(reg->per_y, "y", reg->per_x == 0, out);
    if (!sloped)
      fprintf(out, "%d", reg->base);
    else if (reg->base != 0)
      fprintf(out, " %c %" PRId64, reg->base < 0 ? '-' : '+', reg->base < 0 ? -(int64_t)reg->base : reg->base);
  }
  fputc('\n', out);
}

static void print_task(const weft_program *program, const weft_task *task, FILE *out) {
  printer p = {.program = program, .out = out};
  fputs("  task ", out);
  print_name(task->name, out);
  if (task->trigger == WEFT_AT_START) fputs(" on start", out);
  if (task->trigger == WEFT_BY_CONTROL) fprintf(out, " on control c%u", task->colour);
  if (task->trigger == WEFT_BY_WAVELET) {
    fprintf(out, " on wavelet c%u into ", task->colour);
    print_register_name(&p, task->data);
  }
  fputs(task->blocked ? " blocked\n" : "\n", out);
  int depth = 0;
  for (uint32_t i = task->first; i < task->first + task->count && i < program->code_count; ++i) {
    weft_instruction_kind kind = program->code[i].kind;
    if ((kind == WEFT_DO_END || kind == WEFT_DO_ELSE) && depth > 0) --depth;
    fprintf(out, "%*s", 4 + 2 * depth, "");
    weft_kernel_print_instruction(program, &program->code[i], out);
    fputc('\n', out);
    if (kind == WEFT_DO_LOOP || kind == WEFT_DO_IF || kind == WEFT_DO_ELSE || kind == WEFT_DO_WHILE) ++depth;
  }
}

static void print_program(const weft_program *program, FILE *out) {
  fputs("\nprogram ", out);
  print_name(program->name, out);
  for (uint32_t b = 0; b < program->block_count; ++b) {
    fputs(b == 0 ? " at " : " and ", out);
    print_block(&program->blocks[b], out);
  }
  fputc('\n', out);
  for (uint32_t a = 0; a < program->array_count; ++a) print_array(&program->arrays[a], out);
  for (uint32_t r = 0; r < program->register_count; ++r) print_register(&program->registers[r], out);
  for (uint32_t t = 0; t < program->task_count; ++t) print_task(program, &program->tasks[t], out);
}

void weft_kernel_print(const weft_kernel *kernel, FILE *out) {
  fputs("kernel ", out);
  print_name(kernel->name, out);
  fprintf(out, "\nmesh %u by %u\n\n", kernel->columns, kernel->rows);
  for (uint32_t r = 0; r < kernel->route_count; ++r) print_route(&kernel->routes[r], out);
  for (uint32_t c = 0; c < kernel->channel_count; ++c) print_channel(&kernel->channels[c], out);
  for (uint32_t p = 0; p < kernel->program_count; ++p) print_program(&kernel->programs[p], out);
}
