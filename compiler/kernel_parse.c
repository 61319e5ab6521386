// The text form of kernels, read: what stands outside of tasks, and `each` and `when`, which repeat and choose lines.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compiler/kernel_text.h"

enum { DEEPEST = 40, MOST_ITEMS = 1 << 22 };

weft_status weft_text_line_end(weft_parser *parser) {
  const weft_token *token = weft_peek(parser);
  if (token->kind == WEFT_TOKEN_END) return NULL;
  if (token->kind == WEFT_TOKEN_LINE) {
    weft_next(parser);
    return NULL;
  }
  return weft_text_error(parser, token, "expected the end of the line, found %s", weft_token_text(parser, token));
}

// ---- each and when ----

static bool opens(const weft_token *token) {
  static const char *const words[] = {"each", "when", "loop", "map", "if", "while", "define"};
  for (size_t w = 0; w < sizeof words / sizeof *words; ++w)
    if (weft_token_is(token, words[w])) return true;
  return false;
}

weft_status weft_text_skip(weft_parser *parser, const weft_token *begin, bool otherwise) {
  uint32_t depth = 0;
  for (bool line_begins = true;; line_begins = parser->tokens[parser->at - 1].kind == WEFT_TOKEN_LINE) {
    const weft_token *token = weft_peek(parser);
    if (token->kind == WEFT_TOKEN_END)
      return weft_text_error(parser, token, "expected \"end\" of %s in line %u", weft_token_text(parser, begin),
                             begin->line);
    if (line_begins && depth == 0 && (weft_token_is(token, "end") || (otherwise && weft_token_is(token, "otherwise"))))
      return NULL;
    if (line_begins && opens(token)) ++depth;
    if (line_begins && weft_token_is(token, "end")) --depth;
    weft_next(parser);
  }
}

static weft_status when(weft_parser *parser, const weft_token *begin) {
  weft_node *condition = NULL;
  WEFT_TRY(weft_text_expression(parser, &condition));
  if (condition->kind != WEFT_NODE_WHOLE)
    return weft_text_error(parser, begin, "when needs constants; what cores compute is for if");
  WEFT_TRY(weft_text_line_end(parser));
  bool holds = condition->whole != 0;
  WEFT_TRY(holds ? weft_text_items(parser) : weft_text_skip(parser, begin, true));
  if (weft_accept_word(parser, "otherwise")) {
    WEFT_TRY(weft_text_line_end(parser));
    WEFT_TRY(holds ? weft_text_skip(parser, begin, false) : weft_text_items(parser));
  }
  return weft_expect_word(parser, "end");
}

// "i in 0..3", "i in 0:4", both with a step.
static weft_status read_each(weft_parser *parser, weft_text_constant *out, int64_t *out_end, int64_t *out_step) {
  const weft_token *token = weft_peek(parser);
  char name[WEFT_KERNEL_NAME];
  *out_step = 1;
  if (token->kind != WEFT_TOKEN_WORD) return weft_text_error(parser, token, "expected a name without quotes");
  WEFT_TRY(weft_expect_name(parser, "a name that counts", name, sizeof name));
  *out = (weft_text_constant){.name = token};
  WEFT_TRY(weft_expect_word(parser, "in"));
  WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, "the first", &out->whole));
  bool included = weft_accept_sign(parser, WEFT_SIGN2('.', '.'));
  if (!included) WEFT_TRY(weft_expect_sign(parser, ':'));
  WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, "the end", out_end));
  token = weft_peek(parser);
  if (weft_accept_word(parser, "step") || weft_accept_sign(parser, ':'))
    WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, "a step", out_step));
  if (*out_step == 0) return weft_text_error(parser, token, "a step of 0");
  if (included) *out_end += *out_step > 0 ? 1 : -1;
  return NULL;
}

static weft_status each(weft_parser *parser, const weft_token *begin) {
  weft_text_constant counter;
  int64_t end = 0, step = 0;
  WEFT_TRY(read_each(parser, &counter, &end, &step));
  WEFT_TRY(weft_text_line_end(parser));
  uint32_t body = parser->at, known = parser->constant_count;
  bool any = false;
  for (; step > 0 ? counter.whole < end : counter.whole > end; counter.whole += step) {
    any = true;
    parser->at = body;
    weft_text_constant_push(parser, counter);
    WEFT_TRY(weft_text_items(parser));
    parser->constant_count = known;  // what was declared inside ends here too
    if (!weft_token_is(weft_peek(parser), "end")) break;
  }
  if (!any) WEFT_TRY(weft_text_skip(parser, begin, false));
  return weft_expect_word(parser, "end");
}

// ---- parameters, colours, mesh ----

static weft_status new_constant(weft_parser *parser, weft_text_constant *out) {
  char name[WEFT_KERNEL_NAME];
  const weft_token *token = weft_peek(parser);
  if (token->kind != WEFT_TOKEN_WORD)
    return weft_text_error(parser, token, "expected a name, found %s", weft_token_text(parser, token));
  WEFT_TRY(weft_expect_name(parser, "a name", name, sizeof name));
  if (weft_text_constant_find(parser, token))
    return weft_text_error(parser, token, "%s is already known", weft_token_text(parser, token));
  *out = (weft_text_constant){.name = token};
  return NULL;
}

static weft_status read_constant(weft_parser *parser, weft_text_constant *constant) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  WEFT_TRY(weft_text_expression(parser, &n));
  if (n->kind != WEFT_NODE_WHOLE && n->kind != WEFT_NODE_REAL)
    return weft_text_error(parser, token, "expected a constant");
  constant->is_real = n->kind == WEFT_NODE_REAL;
  constant->whole = n->whole;
  constant->real = n->real;
  return NULL;
}

// The value of a setting "name=value", read as an expression of its own.
static weft_status apply_setting(weft_parser *parser, const char *value, weft_text_constant *constant) {
  weft_parser own = *parser;
  own.file = weft_arena_format(&parser->arena, "setting %.*s", (int)constant->name->length, constant->name->begin);
  own.tokens = NULL;
  own.token_count = own.at = 0;
  bool real = constant->is_real;
  weft_status status = weft_text_tokens(&own, value);
  if (!status) status = read_constant(&own, constant);
  if (!status) status = weft_text_line_end(&own);
  if (!status && weft_peek(&own)->kind != WEFT_TOKEN_END)
    status = weft_text_error(&own, weft_peek(&own), "expected one value");
  if (!status && constant->is_real && !real)
    status = weft_text_error(&own, own.tokens, "expected a whole number, as in line %u", constant->name->line);
  if (!status && real && !constant->is_real) {
    constant->is_real = true;
    constant->real = (double)constant->whole;
  }
  parser->arena = own.arena;
  free(own.tokens);
  return status;
}

// What a setting says of the name; *out_value stays NULL where none does.
static weft_status find_setting(weft_parser *parser, const weft_token *name, const char **out_value) {
  for (uint32_t s = 0; s < parser->setting_count; ++s) {
    const char *setting = parser->settings[s], *equals = strchr(setting, '=');
    if (!equals || (size_t)(equals - setting) != name->length || memcmp(setting, name->begin, name->length) != 0)
      continue;
    if (*out_value)
      return weft_error(WEFT_INVALID, "%s: setting %s: the parameter is set twice", parser->file, setting);
    parser->setting_used[s] = true;
    *out_value = equals + 1;
  }
  return NULL;
}

static weft_status parameter(weft_parser *parser) {
  weft_text_constant constant;
  const char *setting = NULL;
  WEFT_TRY(new_constant(parser, &constant));
  WEFT_TRY(weft_expect_sign(parser, '='));
  WEFT_TRY(read_constant(parser, &constant));
  constant.parameter = true;
  WEFT_TRY(find_setting(parser, constant.name, &setting));
  if (setting) WEFT_TRY(apply_setting(parser, setting, &constant));
  weft_text_constant_push(parser, constant);
  return NULL;
}

// "type NAME = f32"; a setting may say another.
static weft_status type(weft_parser *parser) {
  weft_text_constant constant;
  const char *setting = NULL;
  WEFT_TRY(new_constant(parser, &constant));
  WEFT_TRY(weft_expect_sign(parser, '='));
  WEFT_TRY(weft_text_type(parser, &constant.dtype));
  constant.is_type = constant.parameter = true;
  WEFT_TRY(find_setting(parser, constant.name, &setting));
  if (setting) {
    weft_token value = {.kind = WEFT_TOKEN_WORD, .begin = setting, .length = (uint32_t)strlen(setting)};
    const weft_dtype types[] = {WEFT_F32, WEFT_F16, WEFT_BF16, WEFT_I32};
    bool known = false;
    for (size_t t = 0; t < sizeof types / sizeof *types; ++t)
      if (weft_token_is(&value, weft_dtype_name(types[t]))) constant.dtype = types[t], known = true;
    if (!known)
      return weft_error(WEFT_INVALID, "%s: setting %.*s: expected a type (f32, f16, bf16, i32), found \"%s\"",
                        parser->file, (int)constant.name->length, constant.name->begin, setting);
  }
  weft_text_constant_push(parser, constant);
  return NULL;
}

static weft_status colour(weft_parser *parser) {
  weft_text_constant constant;
  WEFT_TRY(new_constant(parser, &constant));
  WEFT_TRY(weft_expect_sign(parser, '='));
  WEFT_TRY(weft_text_whole(parser, 0, WEFT_COLOURS - 1, "a colour", &constant.whole));
  weft_text_constant_push(parser, constant);
  return NULL;
}

static weft_status require(weft_parser *parser) {
  const weft_token *begin = weft_peek(parser);
  weft_node *n = NULL;
  WEFT_TRY(weft_text_expression(parser, &n));
  if (n->kind != WEFT_NODE_WHOLE) return weft_text_error(parser, begin, "require needs constants");
  if (n->whole != 0) return NULL;
  const weft_token *last = &parser->tokens[parser->at - 1];
  const char *values = "";
  for (uint32_t c = 0; c < parser->constant_count; ++c) {
    const weft_text_constant *p = &parser->constants[c];
    if (!p->parameter || p->is_type) continue;
    values = p->is_real ? weft_arena_format(&parser->arena, "%s%s%.*s = %g", values, *values ? ", " : "",
                                            (int)p->name->length, p->name->begin, p->real)
                        : weft_arena_format(&parser->arena, "%s%s%.*s = %" PRId64, values, *values ? ", " : "",
                                            (int)p->name->length, p->name->begin, p->whole);
  }
  return weft_text_error(parser, begin, "requires %.*s (%s)", (int)(last->begin + last->length - begin->begin),
                         begin->begin, values);
}

static weft_status kernel_name(weft_parser *parser) {
  const weft_token *token = weft_peek(parser);
  if (parser->named) return weft_text_error(parser, token, "the kernel has its name already");
  parser->named = true;
  return weft_expect_name(parser, "the kernel's name", parser->kernel->name, sizeof parser->kernel->name);
}

static weft_status mesh(weft_parser *parser) {
  const weft_token *token = weft_peek(parser);
  int64_t columns, rows;
  if (parser->kernel->columns > 0) return weft_text_error(parser, token, "the mesh has its size already");
  WEFT_TRY(weft_text_whole(parser, 1, 1 << 16, "columns", &columns));
  WEFT_TRY(weft_expect_word(parser, "by"));
  WEFT_TRY(weft_text_whole(parser, 1, 1 << 16, "rows", &rows));
  parser->kernel->columns = (uint32_t)columns;
  parser->kernel->rows = (uint32_t)rows;
  const weft_token names[] = {{.kind = WEFT_TOKEN_WORD, .begin = "columns", .length = 7},
                              {.kind = WEFT_TOKEN_WORD, .begin = "rows", .length = 4}};
  if (!weft_text_constant_find(parser, &names[0]))
    weft_text_constant_push(parser, (weft_text_constant){.known = "columns", .whole = columns});
  if (!weft_text_constant_find(parser, &names[1]))
    weft_text_constant_push(parser, (weft_text_constant){.known = "rows", .whole = rows});
  return NULL;
}

// ---- programs ----

static weft_status find_task(weft_parser *parser, const weft_program *p, const weft_text_mention *m, uint32_t *out) {
  const char *names[WEFT_KERNEL_TASKS];
  for (uint32_t t = 0; t < p->task_count; ++t) {
    if (strcmp(p->tasks[t].name, m->name) == 0) {
      *out = t;
      return NULL;
    }
    if (t < WEFT_KERNEL_TASKS) names[t] = p->tasks[t].name;
  }
  uint32_t count = p->task_count < WEFT_KERNEL_TASKS ? p->task_count : WEFT_KERNEL_TASKS;
  return weft_text_error(parser, m->token, "program \"%s\" has no task \"%s\"; the nearest is \"%s\"", p->name, m->name,
                         weft_nearest(m->name, names, count));
}

// Tasks that were mentioned before they were known get their numbers; a program for no core goes.
static weft_status end_program(weft_parser *parser) {
  if (parser->program == WEFT_NOTHING) return NULL;
  weft_kernel *k = parser->kernel;
  weft_program *p = &k->programs[parser->program];
  for (uint32_t m = 0; m < parser->mention_count; ++m)
    WEFT_TRY(find_task(parser, p, &parser->mentions[m], &p->code[parser->mentions[m].instruction].task));
  parser->mention_count = 0;
  if (parser->dropped) {
    free(p->arrays);
    free(p->registers);
    free(p->tasks);
    free(p->code);
    --k->program_count;
  }
  parser->program = WEFT_NOTHING;
  parser->in_task = false;
  return NULL;
}

static weft_status program(weft_parser *parser) {
  char name[WEFT_KERNEL_NAME];
  weft_block *blocks;
  uint32_t count;
  WEFT_TRY(end_program(parser));
  WEFT_TRY(weft_expect_name(parser, "the program's name", name, sizeof name));
  weft_status status = weft_text_blocks(parser, &blocks, &count);
  if (!status) {
    parser->program = weft_kernel_program(parser->kernel, name);
    parser->dropped = count == 0;
    for (uint32_t b = 0; b < count; ++b) weft_kernel_place(parser->kernel, parser->program, blocks[b]);
  }
  free(blocks);
  return status;
}

static weft_status task(weft_parser *parser) {
  char name[WEFT_KERNEL_NAME];
  uint32_t task_colour = WEFT_NOTHING, data = WEFT_NOTHING;
  weft_trigger trigger = WEFT_BY_ACTIVATION;
  WEFT_TRY(weft_expect_name(parser, "the task's name", name, sizeof name));
  if (weft_accept_word(parser, "on")) {
    if (weft_accept_word(parser, "start")) {
      trigger = WEFT_AT_START;
    } else if (weft_accept_word(parser, "control")) {
      trigger = WEFT_BY_CONTROL;
      WEFT_TRY(weft_text_colour(parser, &task_colour));
    } else if (weft_accept_word(parser, "wavelet")) {
      weft_node *n = NULL;
      trigger = WEFT_BY_WAVELET;
      WEFT_TRY(weft_text_colour(parser, &task_colour));
      WEFT_TRY(weft_expect_word(parser, "into"));
      WEFT_TRY(weft_text_primary(parser, &n));
      if (n->kind != WEFT_NODE_OPERAND || n->operand.kind != WEFT_REGISTER)
        return weft_text_error(parser, n->token, "expected a register for the wavelet's bits");
      data = n->operand.index;
    } else {
      return weft_text_error(parser, weft_peek(parser), "expected start, wavelet or control, found %s",
                             weft_token_text(parser, weft_peek(parser)));
    }
  }
  weft_task *added = weft_kernel_task_at(parser->kernel, parser->program,
                                         weft_kernel_task(parser->kernel, parser->program, name, trigger));
  added->colour = task_colour;
  added->data = data;
  added->blocked = weft_accept_word(parser, "blocked");
  parser->in_task = true;
  return NULL;
}

static weft_status array(weft_parser *parser, const char *name, weft_dtype dtype, bool input, bool output) {
  int64_t rows, columns = 0, skew = 0, address = WEFT_NOTHING;
  const weft_token *token = weft_peek(parser);
  uint32_t fill = 0;
  WEFT_TRY(weft_text_whole(parser, 1, INT32_MAX, "a length", &rows));
  if (weft_accept_sign(parser, ',')) WEFT_TRY(weft_text_whole(parser, 1, INT32_MAX, "a length", &columns));
  WEFT_TRY(weft_expect_sign(parser, ']'));
  if (columns > 0 && rows * columns > INT32_MAX)
    return weft_text_error(parser, token, "%" PRId64 " x %" PRId64 " elements are too many", rows, columns);
  if (weft_accept_word(parser, "skew")) WEFT_TRY(weft_text_whole(parser, 0, INT32_MAX, "skew", &skew));
  if (weft_accept_word(parser, "at")) WEFT_TRY(weft_text_whole(parser, 0, INT32_MAX, "an address", &address));
  if (weft_accept_sign(parser, '=')) WEFT_TRY(weft_text_f32(parser, "what fills an array", &fill));
  weft_kernel *k = parser->kernel;
  uint32_t length = (uint32_t)(columns > 0 ? rows * columns : rows);
  uint32_t index = weft_kernel_array(k, parser->program, name, dtype, length);
  weft_array *a = weft_kernel_array_at(k, parser->program, index);
  a->input = input;
  a->output = output;
  a->skew = (uint32_t)skew;
  a->address = (uint32_t)address;
  memcpy(&a->fill, &fill, sizeof fill);
  parser->widths = weft_grow(parser->widths, index + 1, sizeof *parser->widths);
  parser->widths[index] = (uint32_t)columns;
  return NULL;
}

static weft_status int32_of(weft_parser *parser, const weft_token *token, int64_t value, int32_t *out) {
  if (value < INT32_MIN || value > UINT32_MAX)
    return weft_text_error(parser, token, "%" PRId64 " does not fit 32 bits", value);
  *out = (int32_t)(uint32_t)value;
  return NULL;
}

static weft_status register_value(weft_parser *parser, weft_register *r) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  weft_linear linear;
  parser->starting = true;
  WEFT_TRY(weft_text_sum(parser, &n));
  parser->starting = false;
  WEFT_TRY(weft_text_linear(parser, n, &linear));
  if (linear.reg != WEFT_NOTHING)
    return weft_text_error(parser, token, "a register begins as a constant plus multiples of x and y");
  WEFT_TRY(int32_of(parser, token, linear.base, &r->base));
  WEFT_TRY(int32_of(parser, token, linear.per_x, &r->per_x));
  return int32_of(parser, token, linear.per_y, &r->per_y);
}

static weft_status declaration(weft_parser *parser, weft_dtype dtype, bool input, bool output) {
  char name[WEFT_KERNEL_NAME];
  const weft_token *token = weft_peek(parser);
  WEFT_TRY(weft_expect_name(parser, "a name", name, sizeof name));
  const weft_text_constant *known = token->kind == WEFT_TOKEN_WORD ? weft_text_constant_find(parser, token) : NULL;
  if (known && known->name)
    return weft_text_error(parser, token, "\"%s\" is a constant of line %u already", name, known->name->line);
  if (weft_accept_sign(parser, '[')) return array(parser, name, dtype, input, output);
  if (input || output) return weft_text_error(parser, token, "input and output are for arrays: %s[length]", name);
  if (dtype != WEFT_I32 && dtype != WEFT_F32)
    return weft_text_error(parser, token, "a register holds i32 or f32; an array has a length: %s[length]", name);
  weft_kernel *k = parser->kernel;
  uint32_t index = dtype == WEFT_I32 ? weft_kernel_integer(k, parser->program, name, 0, 0, 0)
                                     : weft_kernel_real(k, parser->program, name, 0);
  if (!weft_accept_sign(parser, '=')) return NULL;
  weft_register value = k->programs[parser->program].registers[index];
  WEFT_TRY(dtype == WEFT_I32 ? register_value(parser, &value)
                             : weft_text_f32(parser, "what a register begins with", &value.bits));
  k->programs[parser->program].registers[index] = value;
  return NULL;
}

// ---- items ----

static weft_status top_item(weft_parser *parser, const weft_token *token, bool *out_done) {
  static const struct {
    const char *word;
    weft_status (*read)(weft_parser *parser);
  } items[] = {{"parameter", parameter},  {"type", type}, {"colour", colour},   {"require", require},
               {"kernel", kernel_name},   {"mesh", mesh}, {"program", program}, {"channel", weft_text_channel},
               {"route", weft_text_route}};
  for (size_t i = 0; i < sizeof items / sizeof *items; ++i) {
    if (!weft_token_is(token, items[i].word)) continue;
    *out_done = true;
    weft_next(parser);
    if (parser->open > 0)
      return weft_text_error(parser, token, "%s inside a loop or if; is an \"end\" missing?",
                             weft_token_text(parser, token));
    if (i >= 6) WEFT_TRY(end_program(parser));
    return items[i].read(parser);
  }
  return NULL;
}

static weft_status program_item(weft_parser *parser, const weft_token *token, bool *out_done) {
  weft_dtype dtype = WEFT_F32;
  bool input = weft_accept_word(parser, "input"), output = weft_accept_word(parser, "output");
  if (input || output) WEFT_TRY(weft_text_type(parser, &dtype));
  if (input || output || weft_accept_type(parser, &dtype)) {
    *out_done = true;
    return declaration(parser, dtype, input, output);
  }
  if (!weft_accept_word(parser, "task")) return NULL;
  *out_done = true;
  if (parser->open > 0) return weft_text_error(parser, token, "a task inside a loop or if; is an \"end\" missing?");
  return task(parser);
}

static weft_status nothing_known(weft_parser *parser, const weft_token *token) {
  static const char *const known[] = {"parameter", "colour", "require", "kernel", "mesh", "program", "channel",
                                      "route",     "each",   "when",    "task",   "f32",  "f16",     "bf16",
                                      "i32",       "input",  "output",  "end",    "type", "define",  "use"};
  const char *word =
      weft_arena_format(&parser->arena, "%.*s", token->length < 60 ? (int)token->length : 60, token->begin);
  return weft_text_error(parser, token, "%s does not begin a line %s; the nearest word that does is \"%s\"",
                         weft_token_text(parser, token),
                         parser->program == WEFT_NOTHING ? "outside of programs" : "of a program before its first task",
                         weft_nearest(word, known, sizeof known / sizeof *known));
}

static weft_status item(weft_parser *parser) {
  const weft_token *token = weft_peek(parser);
  bool done = false;
  if (++parser->repetition > MOST_ITEMS)
    return weft_text_error(parser, token, "the text comes to more than %d lines after repetition", MOST_ITEMS);
  if (weft_accept_word(parser, "each")) return each(parser, token);
  if (weft_accept_word(parser, "when")) return when(parser, token);
  if (weft_accept_word(parser, "define")) return weft_text_define(parser, token);
  if (weft_accept_word(parser, "use")) return weft_text_use(parser);
  WEFT_TRY(top_item(parser, token, &done));
  if (!done && parser->program != WEFT_NOTHING) WEFT_TRY(program_item(parser, token, &done));
  if (done) return NULL;
  if (parser->in_task) return weft_text_statement(parser);
  return nothing_known(parser, token);
}

weft_status weft_text_items(weft_parser *parser) {
  if (++parser->depth > DEEPEST) return weft_text_error(parser, weft_peek(parser), "nested deeper than %d", DEEPEST);
  for (;;) {
    const weft_token *token = weft_peek(parser);
    if (token->kind == WEFT_TOKEN_LINE) {
      weft_next(parser);
      continue;
    }
    if (token->kind == WEFT_TOKEN_END || weft_token_is(token, "end") || weft_token_is(token, "else") ||
        weft_token_is(token, "otherwise"))
      break;
    WEFT_TRY(item(parser));
    WEFT_TRY(weft_text_line_end(parser));
  }
  --parser->depth;
  return NULL;
}

// ---- the whole text ----

static weft_status check_settings(weft_parser *parser) {
  const char *known[256];
  size_t count = 0;
  for (uint32_t c = 0; c < parser->constant_count && count < 256; ++c)
    if (parser->constants[c].parameter)
      known[count++] = weft_arena_format(&parser->arena, "%.*s", (int)parser->constants[c].name->length,
                                         parser->constants[c].name->begin);
  for (uint32_t s = 0; s < parser->setting_count; ++s) {
    if (parser->setting_used[s]) continue;
    if (!strchr(parser->settings[s], '='))
      return weft_error(WEFT_INVALID, "setting \"%s\": expected name=value", parser->settings[s]);
    char *name = weft_arena_copy_text(&parser->arena, parser->settings[s]);
    name[strcspn(name, "=")] = 0;
    return count == 0 ? weft_error(WEFT_INVALID, "setting %s: %s has no parameters", parser->settings[s], parser->file)
                      : weft_error(WEFT_INVALID, "setting %s: %s has no parameter \"%s\"; the nearest is \"%s\"",
                                   parser->settings[s], parser->file, name, weft_nearest(name, known, count));
  }
  return NULL;
}

static void push_known(weft_parser *parser) {
  static const char *const colours[WEFT_COLOURS] = {"c0",  "c1",  "c2",  "c3",  "c4",  "c5",  "c6",  "c7",
                                                    "c8",  "c9",  "c10", "c11", "c12", "c13", "c14", "c15",
                                                    "c16", "c17", "c18", "c19", "c20", "c21", "c22", "c23"};
  for (int c = 0; c < WEFT_COLOURS; ++c)
    weft_text_constant_push(parser, (weft_text_constant){.known = colours[c], .whole = c});
  const weft_text_constant real[] = {{.known = "pi", .is_real = true, .real = 3.14159265358979323846},
                                     {.known = "inf", .is_real = true, .real = __builtin_inf()},
                                     {.known = "nan", .is_real = true, .real = __builtin_nan("")}};
  for (size_t r = 0; r < sizeof real / sizeof *real; ++r) weft_text_constant_push(parser, real[r]);
}

static weft_status parse(weft_parser *parser, const char *text) {
  WEFT_TRY(weft_text_tokens(parser, text));
  push_known(parser);
  WEFT_TRY(weft_text_items(parser));
  const weft_token *token = weft_peek(parser);
  if (token->kind != WEFT_TOKEN_END)
    return weft_text_error(parser, token, "%s ends nothing here", weft_token_text(parser, token));
  WEFT_TRY(end_program(parser));
  if (!parser->named) return weft_text_error(parser, token, "the kernel has no name: kernel NAME");
  if (parser->kernel->columns == 0) return weft_text_error(parser, token, "there is no mesh: mesh COLUMNS by ROWS");
  return check_settings(parser);
}

weft_status weft_kernel_parse(const char *text, const char *name_in_errors, const char *const *settings,
                              uint32_t setting_count, weft_kernel **out_kernel) {
  weft_parser parser = {.file = name_in_errors,
                        .kernel = weft_kernel_create("", 0, 0),
                        .program = WEFT_NOTHING,
                        .settings = settings,
                        .setting_count = setting_count,
                        .setting_used = weft_allocate_array(setting_count, sizeof(bool))};
  weft_arena_init(&parser.arena);
  weft_status status = parse(&parser, text);
  weft_arena_finish(&parser.arena);
  free(parser.tokens);
  free(parser.widths);
  free(parser.constants);
  free(parser.definitions);
  free(parser.mentions);
  free(parser.setting_used);
  if (status) {
    weft_kernel_destroy(parser.kernel);
    return status;
  }
  *out_kernel = parser.kernel;
  return NULL;
}
