// Statements of tasks in the text form: one instruction each, loops and ifs with what they enclose.
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "compiler/kernel_text.h"

// What is known of a vector statement while it is read.
typedef struct statement {
  const weft_token *token;
  uint32_t microthread;
  weft_node *to;
  uint32_t assign;  // '=' or the sign of "+=" and its like
  weft_node *right;
} statement;

// ---- from expression to instruction ----

// The kind and operands that an expression is.
typedef struct meaning {
  weft_instruction_kind kind;
  weft_node *operands[3];
} meaning;

static const struct {
  uint32_t sign;
  weft_instruction_kind kind;
} signs[] = {{'+', WEFT_DO_ADD},
             {'-', WEFT_DO_SUBTRACT},
             {'*', WEFT_DO_MULTIPLY},
             {'/', WEFT_DO_DIVIDE},
             {'%', WEFT_DO_MODULO},
             {'&', WEFT_DO_AND},
             {'|', WEFT_DO_OR},
             {'^', WEFT_DO_XOR},
             {WEFT_SIGN2('<', '<'), WEFT_DO_SHIFT_LEFT},
             {WEFT_SIGN2('>', '>'), WEFT_DO_SHIFT_RIGHT},
             {'>', WEFT_DO_GREATER}};

static const struct {
  const char *name;
  weft_instruction_kind kind;
} functions[] = {{"max", WEFT_DO_MAXIMUM}, {"min", WEFT_DO_MINIMUM},      {"abs", WEFT_DO_ABSOLUTE},
                 {"sqrt", WEFT_DO_SQRT},   {"rsqrt", WEFT_DO_RSQRT},      {"exp", WEFT_DO_EXP},
                 {"log", WEFT_DO_LOG},     {"tanh", WEFT_DO_TANH},        {"sin", WEFT_DO_SINE},
                 {"cos", WEFT_DO_COSINE},  {"bits", WEFT_DO_BITS},        {"sum", WEFT_DO_SUM},
                 {"dot", WEFT_DO_DOT},     {"greatest", WEFT_DO_GREATEST}};

static bool is_leaf(const weft_node *n) {
  return n->kind == WEFT_NODE_WHOLE || n->kind == WEFT_NODE_REAL || n->kind == WEFT_NODE_TYPED ||
         n->kind == WEFT_NODE_OPERAND;
}

static bool is_call(const weft_node *n, const char *name) {
  return n->kind == WEFT_NODE_CALL && weft_token_is(n->token, name);
}

static bool is_product(const weft_node *n) { return n->kind == WEFT_NODE_BINARY && n->sign == '*'; }

static weft_status call_meaning(weft_parser *parser, weft_node *n, meaning *out) {
  for (size_t f = 0; f < sizeof functions / sizeof *functions; ++f)
    if (weft_token_is(n->token, functions[f].name)) {
      *out = (meaning){functions[f].kind, {n->a, n->b}};
      return NULL;
    }
  return weft_text_error(parser, n->token, "%s is for constants alone", weft_token_text(parser, n->token));
}

static weft_status binary_meaning(weft_parser *parser, weft_node *n, meaning *out) {
  if (n->sign == '+' && is_product(n->a)) {
    *out = (meaning){WEFT_DO_FMA, {n->a->a, n->a->b, n->b}};
    return NULL;
  }
  if (n->sign == '+' && is_product(n->b)) {
    *out = (meaning){WEFT_DO_FMA, {n->b->a, n->b->b, n->a}};
    return NULL;
  }
  if (n->sign == '<') {
    *out = (meaning){WEFT_DO_GREATER, {n->b, n->a}};
    return NULL;
  }
  for (size_t s = 0; s < sizeof signs / sizeof *signs; ++s)
    if (signs[s].sign == n->sign) {
      *out = (meaning){signs[s].kind, {n->a, n->b}};
      return NULL;
    }
  return weft_text_error(parser, n->token, "cores have no instruction %s; a > b gives 1 or 0",
                         weft_token_text(parser, n->token));
}

static weft_status meaning_of(weft_parser *parser, weft_node *n, meaning *out) {
  if (is_leaf(n))
    *out = (meaning){WEFT_DO_MOVE, {n}};
  else if (n->kind == WEFT_NODE_NEGATE)
    *out = (meaning){WEFT_DO_NEGATE, {n->a}};
  else if (n->kind == WEFT_NODE_CALL)
    WEFT_TRY(call_meaning(parser, n, out));
  else if (n->kind == WEFT_NODE_BINARY)
    WEFT_TRY(binary_meaning(parser, n, out));
  else
    return weft_text_error(parser, n->token, "x and y are known to registers only: i32 column = x");
  return NULL;
}

static bool same_place(const weft_node *a, const weft_node *b) {
  const weft_operand *p = &a->operand, *q = &b->operand;
  return a->kind == WEFT_NODE_OPERAND && p->kind == q->kind && p->array == q->array && p->index == q->index &&
         p->offset == q->offset && p->offset_register == q->offset_register && p->offset_scale == q->offset_scale &&
         p->dtype == q->dtype;
}

// "to = ..." and "to += ..." and so on.
static weft_status assigned_meaning(weft_parser *parser, const statement *s, meaning *out) {
  weft_node *right = s->right;
  bool sums = is_call(right, "sum") || is_call(right, "dot");
  if (s->assign == '=' && is_call(right, "max") && is_call(right->b, "greatest")) {
    if (!same_place(right->a, s->to))
      return weft_text_error(parser, right->token,
                             "the greatest is taken into its own result: m = max(m, greatest(a))");
    right = right->b;
  } else if (is_call(right, "greatest")) {
    return weft_text_error(parser, right->token, "greatest continues from what is there: m = max(m, greatest(a))");
  } else if (sums && s->assign != '+') {
    return weft_text_error(parser, right->token, "%s continues from what is there: total += %s(...)",
                           weft_token_text(parser, right->token), is_call(right, "sum") ? "sum" : "dot");
  }
  if (s->assign == '=' || sums) return meaning_of(parser, right, out);
  weft_node *combined = weft_arena_take(&parser->arena, sizeof *combined);
  *combined = (weft_node){.kind = WEFT_NODE_BINARY, .token = s->token, .sign = s->assign, .a = s->to, .b = right};
  return meaning_of(parser, combined, out);
}

static weft_status operand_of(weft_parser *parser, const weft_node *n, weft_operand *out) {
  if (!is_leaf(n))
    return weft_text_error(parser, n->token,
                           "a statement is one operation (or a * b + c): give this part a statement of its own");
  *out = n->operand;
  if (n->kind == WEFT_NODE_REAL) *out = weft_f32((float)n->real);
  if (n->kind != WEFT_NODE_WHOLE) return NULL;
  if (n->whole < INT32_MIN || n->whole > UINT32_MAX)
    return weft_text_error(parser, n->token, "%" PRId64 " does not fit 32 bits", n->whole);
  *out = weft_i32((int32_t)(uint32_t)n->whole);
  return NULL;
}

// ---- how many elements ----

static weft_status agree(weft_parser *parser, const weft_node *n, uint32_t extent, const weft_node **first,
                         uint32_t *count) {
  if (*first && *count != extent)
    return weft_text_error(parser, n->token, "%u elements here, %u in line %u, column %u", extent, *count,
                           (*first)->token->line, (*first)->token->column);
  *first = n;
  *count = extent;
  return NULL;
}

// From the views, where no `for` says it.
static weft_status count_views(weft_parser *parser, weft_node *const *nodes, uint32_t *out_count) {
  const weft_node *first = NULL;
  uint32_t count = 1;
  for (size_t n = 0; n < 4; ++n) {
    if (!nodes[n] || nodes[n]->extent_kind == WEFT_EXTENT_NONE) continue;
    if (nodes[n]->extent == WEFT_NOTHING)
      return weft_text_error(parser, nodes[n]->token,
                             "how many elements? Give the range its end, or add `for` a count");
    WEFT_TRY(agree(parser, nodes[n], nodes[n]->extent, &first, &count));
  }
  *out_count = count;
  return NULL;
}

// `for n`: of views with ends, each must have the same count.
static weft_status count_for(weft_parser *parser, weft_node *const *nodes, weft_instruction *i) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  WEFT_TRY(weft_text_sum(parser, &n));
  bool by_register = n->kind == WEFT_NODE_OPERAND && n->operand.kind == WEFT_REGISTER && n->operand.dtype == WEFT_I32;
  if (by_register)
    i->count_register = n->operand.index;
  else if (n->kind == WEFT_NODE_WHOLE && n->whole >= 0 && n->whole < WEFT_NOTHING)
    i->count = (uint32_t)n->whole;
  else
    return weft_text_error(parser, token, "expected a count: a constant or an i32 register");
  for (size_t o = 0; o < 4; ++o) {
    if (!nodes[o] || nodes[o]->extent_kind != WEFT_EXTENT_KNOWN) continue;
    if (by_register || nodes[o]->extent != i->count)
      return weft_text_error(parser, nodes[o]->token,
                             "%u elements here, and `for` says otherwise; leave the end open: [i:]", nodes[o]->extent);
  }
  return NULL;
}

// ---- statements ----

static weft_status check_target(weft_parser *parser, const weft_node *to) {
  bool place = to->kind == WEFT_NODE_OPERAND && (to->operand.kind == WEFT_MEMORY || to->operand.kind == WEFT_REGISTER);
  return place ? NULL : weft_text_error(parser, to->token, "expected an array or a register to write to");
}

static weft_status read_target(weft_parser *parser, statement *s) {
  const weft_token *token = weft_peek(parser);
  if (weft_accept_word(parser, "send")) {
    s->to = weft_arena_take(&parser->arena, sizeof *s->to);
    s->to->kind = WEFT_NODE_OPERAND;
    s->to->token = token;
    s->assign = '=';
    WEFT_TRY(weft_text_wavelets(parser, WEFT_SEND, s->to));
    return weft_expect_sign(parser, WEFT_SIGN2('<', '-'));
  }
  WEFT_TRY(weft_text_primary(parser, &s->to));
  WEFT_TRY(check_target(parser, s->to));
  const weft_token *sign = weft_peek(parser);
  static const char known[] = "+-*/";
  for (const char *c = known; *c; ++c)
    if (weft_accept_sign(parser, WEFT_SIGN2(*c, '='))) {
      s->assign = (unsigned char)*c;
      return NULL;
    }
  s->assign = '=';
  if (weft_accept_sign(parser, '=')) return NULL;
  return weft_text_error(parser, sign, "expected = or +=, found %s", weft_token_text(parser, sign));
}

static weft_status mention_task(weft_parser *parser, uint32_t instruction) {
  weft_text_mention mention = {.token = weft_peek(parser), .instruction = instruction};
  WEFT_TRY(weft_expect_name(parser, "a task's name", mention.name, sizeof mention.name));
  parser->mentions = weft_grow(parser->mentions, parser->mention_count + 1, sizeof *parser->mentions);
  parser->mentions[parser->mention_count++] = mention;
  return NULL;
}

static weft_instruction *emit(weft_parser *parser, const weft_token *token, weft_instruction_kind kind) {
  const weft_operand nothing = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};
  weft_instruction *i = weft_emit(parser->kernel, parser->program, kind, 1, nothing, nothing, nothing, nothing);
  i->line = token->line;
  return i;
}

static uint32_t last_instruction(const weft_parser *parser) {
  return parser->kernel->programs[parser->program].code_count - 1;
}

// Types that are not written: of wavelets by the rule of weft_wavelet_dtype, of whole constants by the result's.
static void settle_types(const statement *s, const meaning *m, weft_instruction *i) {
  weft_operand *operands[] = {&i->to, &i->a, &i->b, &i->c};
  weft_node *nodes[] = {s->to, m->operands[0], m->operands[1], m->operands[2]};
  weft_dtype wavelets = weft_wavelet_dtype(i);
  for (size_t o = 0; o < 4; ++o) {
    if (nodes[o] && nodes[o]->untyped) operands[o]->dtype = wavelets;
    // Of 32 bits one fills a wavelet, packed or not.
    if (operands[o]->dtype == WEFT_F32 || operands[o]->dtype == WEFT_I32) operands[o]->packed = false;
  }
  for (size_t o = 1; o < 4; ++o)
    if (nodes[o] && nodes[o]->kind == WEFT_NODE_WHOLE && i->kind != WEFT_DO_BITS && weft_dtype_is_real(i->to.dtype))
      *operands[o] = weft_f32((float)nodes[o]->whole);
}

static weft_status vector(weft_parser *parser, statement *s) {
  meaning m = {0};
  weft_instruction scratch = {.count = 1, .count_register = WEFT_NOTHING, .microthread = s->microthread};
  WEFT_TRY(weft_text_expression(parser, &s->right));
  if (is_call(s->right, "clock")) {
    weft_instruction *i = emit(parser, s->token, WEFT_DO_CLOCK);
    i->to = s->to->operand;
    return s->assign == '=' && s->microthread == WEFT_NOTHING
               ? NULL
               : weft_text_error(parser, s->token, "clock() is assigned alone: t = clock()");
  }
  WEFT_TRY(assigned_meaning(parser, s, &m));
  scratch.kind = m.kind;
  scratch.to = s->to->operand;
  weft_operand *operands[] = {&scratch.a, &scratch.b, &scratch.c};
  for (size_t o = 0; o < 3; ++o) {
    *operands[o] = (weft_operand){.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};
    if (m.operands[o]) WEFT_TRY(operand_of(parser, m.operands[o], operands[o]));
  }
  bool reduces = weft_instruction_fact_of(m.kind)->reduces;
  weft_node *const nodes[] = {reduces ? NULL : s->to, m.operands[0], m.operands[1], m.operands[2]};
  if (reduces && s->to->extent_kind != WEFT_EXTENT_NONE && s->to->extent != 1)
    return weft_text_error(parser, s->to->token, "the result is one element: a[i] or a register");
  if (weft_accept_word(parser, "for"))
    WEFT_TRY(count_for(parser, nodes, &scratch));
  else
    WEFT_TRY(count_views(parser, nodes, &scratch.count));
  settle_types(s, &m, &scratch);
  weft_instruction *i = emit(parser, s->token, m.kind);
  scratch.task = scratch.target = WEFT_NOTHING;
  scratch.line = i->line;
  *i = scratch;
  const weft_token *token = weft_peek(parser);
  if (!weft_accept_word(parser, "then")) return NULL;
  if (s->microthread == WEFT_NOTHING)
    return weft_text_error(parser, token, "`then` belongs to `async`: other operations end before the next statement");
  return mention_task(parser, last_instruction(parser));
}

static weft_status read_microthread(weft_parser *parser, uint32_t *out_microthread) {
  int64_t value;
  WEFT_TRY(weft_text_whole(parser, 0, WEFT_MICROTHREADS - 1, "a microthread", &value));
  *out_microthread = (uint32_t)value;
  return NULL;
}

// A register or a constant.
static weft_status read_scalar(weft_parser *parser, weft_operand *out) {
  weft_node *n = NULL;
  const weft_token *token = weft_peek(parser);
  WEFT_TRY(weft_text_sum(parser, &n));
  WEFT_TRY(operand_of(parser, n, out));
  if (out->kind == WEFT_REGISTER || out->kind == WEFT_CONSTANT) return NULL;
  return weft_text_error(parser, token, "expected a register or a constant");
}

static weft_status end_of(weft_parser *parser, const weft_token *begin, const char *what) {
  if (weft_accept_word(parser, "end")) return NULL;
  return weft_text_error(parser, weft_peek(parser), "expected \"end\" of the %s in line %u, found %s", what,
                         begin->line, weft_token_text(parser, weft_peek(parser)));
}

static weft_status body(weft_parser *parser, const weft_token *begin, const char *what) {
  ++parser->open;
  WEFT_TRY(weft_text_items(parser));
  --parser->open;
  const weft_token *last = weft_peek(parser);
  WEFT_TRY(end_of(parser, begin, what));
  emit(parser, last, WEFT_DO_END);
  return NULL;
}

static weft_status loop(weft_parser *parser, const weft_token *token, weft_loop_form form) {
  weft_operand first, end;
  int64_t step = 1;
  weft_node *counter = NULL;
  WEFT_TRY(weft_text_primary(parser, &counter));
  if (counter->kind != WEFT_NODE_OPERAND || counter->operand.kind != WEFT_REGISTER)
    return weft_text_error(parser, counter->token, "expected an i32 register that counts");
  WEFT_TRY(weft_expect_word(parser, "in"));
  WEFT_TRY(read_scalar(parser, &first));
  WEFT_TRY(weft_expect_sign(parser, ':'));
  WEFT_TRY(read_scalar(parser, &end));
  if (weft_accept_sign(parser, ':')) WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, "a step", &step));
  WEFT_TRY(weft_text_line_end(parser));
  weft_instruction *i = emit(parser, token, WEFT_DO_LOOP);
  i->to = counter->operand;
  i->a = first;
  i->b = end;
  i->c = weft_i32((int32_t)step);
  i->form = form;
  return body(parser, token, form == WEFT_MAP_LOOP ? "map" : "loop");
}

static weft_status comparison(weft_parser *parser, weft_relation *out) {
  static const uint32_t all[] = {WEFT_SIGN2('=', '='), WEFT_SIGN2('!', '='), '<', WEFT_SIGN2('<', '='), '>',
                                 WEFT_SIGN2('>', '=')};
  for (size_t c = 0; c < sizeof all / sizeof *all; ++c)
    if (weft_accept_sign(parser, all[c])) {
      *out = (weft_relation)c;
      return NULL;
    }
  return weft_text_error(parser, weft_peek(parser), "expected a comparison (== != < <= > >=), found %s",
                         weft_token_text(parser, weft_peek(parser)));
}

static void make_alike(weft_operand *a, const weft_operand *b) {
  if (a->kind == WEFT_CONSTANT && a->dtype == WEFT_I32 && b->dtype == WEFT_F32) *a = weft_f32((float)(int32_t)a->bits);
}

static weft_status condition(weft_parser *parser, const weft_token *token, weft_instruction_kind kind) {
  weft_operand a, b;
  weft_relation compare = WEFT_EQUAL;
  WEFT_TRY(read_scalar(parser, &a));
  WEFT_TRY(comparison(parser, &compare));
  WEFT_TRY(read_scalar(parser, &b));
  make_alike(&a, &b);
  make_alike(&b, &a);
  WEFT_TRY(weft_text_line_end(parser));
  weft_instruction *i = emit(parser, token, kind);
  i->a = a;
  i->b = b;
  i->compare = compare;
  return NULL;
}

// `else if` nests: every condition but the first is an if of its own in the else, and one `end` ends all.
static weft_status if_else(weft_parser *parser, const weft_token *token) {
  uint32_t ifs = 1;
  bool last = false;
  WEFT_TRY(condition(parser, token, WEFT_DO_IF));
  ++parser->open;
  for (;;) {
    WEFT_TRY(weft_text_items(parser));
    const weft_token *other = weft_peek(parser);
    if (last || !weft_accept_word(parser, "else")) break;
    emit(parser, other, WEFT_DO_ELSE);
    last = !weft_accept_word(parser, "if");
    if (last) {
      WEFT_TRY(weft_text_line_end(parser));
      continue;
    }
    WEFT_TRY(condition(parser, other, WEFT_DO_IF));
    ++ifs;
  }
  --parser->open;
  const weft_token *end = weft_peek(parser);
  WEFT_TRY(end_of(parser, token, "if"));
  for (; ifs > 0; --ifs) emit(parser, end, WEFT_DO_END);
  return NULL;
}

static weft_status while_holds(weft_parser *parser, const weft_token *token) {
  WEFT_TRY(condition(parser, token, WEFT_DO_WHILE));
  return body(parser, token, "while");
}

static weft_status move_switch(weft_parser *parser, const weft_token *token) {
  uint32_t colour;
  weft_operand skip = weft_i32(0), move = weft_i32(1);
  WEFT_TRY(weft_text_colour(parser, &colour));
  if (weft_accept_word(parser, "skip")) WEFT_TRY(read_scalar(parser, &skip));
  if (weft_accept_word(parser, "move")) WEFT_TRY(read_scalar(parser, &move));
  weft_instruction *i = emit(parser, token, WEFT_DO_SWITCH);
  i->to = weft_send(colour, WEFT_F32);
  i->a = skip;
  i->b = move;
  return NULL;
}

static weft_status wait_for(weft_parser *parser, const weft_token *token) {
  uint32_t microthread;
  WEFT_TRY(read_microthread(parser, &microthread));
  emit(parser, token, WEFT_DO_WAIT)->microthread = microthread;
  return NULL;
}

static weft_status with_task(weft_parser *parser, const weft_token *token, weft_instruction_kind kind) {
  emit(parser, token, kind);
  return mention_task(parser, last_instruction(parser));
}

weft_status weft_text_statement(weft_parser *parser) {
  const weft_token *token = weft_peek(parser);
  if (weft_accept_word(parser, "loop")) return loop(parser, token, WEFT_PLAIN_LOOP);
  if (weft_accept_word(parser, "map")) return loop(parser, token, WEFT_MAP_LOOP);
  if (weft_accept_word(parser, "if")) return if_else(parser, token);
  if (weft_accept_word(parser, "while")) return while_holds(parser, token);
  if (weft_accept_word(parser, "activate")) return with_task(parser, token, WEFT_DO_ACTIVATE);
  if (weft_accept_word(parser, "block")) return with_task(parser, token, WEFT_DO_BLOCK);
  if (weft_accept_word(parser, "unblock")) return with_task(parser, token, WEFT_DO_UNBLOCK);
  if (weft_accept_word(parser, "wait")) return wait_for(parser, token);
  if (weft_accept_word(parser, "switch")) return move_switch(parser, token);
  bool stops = weft_accept_word(parser, "stop");
  if (stops || weft_accept_word(parser, "break")) {
    emit(parser, token, stops ? WEFT_DO_STOP : WEFT_DO_BREAK);
    return NULL;
  }
  statement s = {.token = token, .microthread = WEFT_NOTHING};
  if (weft_accept_word(parser, "async")) WEFT_TRY(read_microthread(parser, &s.microthread));
  WEFT_TRY(read_target(parser, &s));
  return vector(parser, &s);
}
