// Expressions of the text form: parsed by precedence, constants folded on the way.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compiler/kernel_text.h"

enum { DEEPEST = 100 };

static bool is_constant(const weft_node *n) { return n->kind == WEFT_NODE_WHOLE || n->kind == WEFT_NODE_REAL; }
static double value_of(const weft_node *n) { return n->kind == WEFT_NODE_REAL ? n->real : (double)n->whole; }

static weft_node *make(weft_parser *parser, weft_node_kind kind, const weft_token *token) {
  weft_node *node = weft_arena_take(&parser->arena, sizeof *node);
  node->kind = kind;
  node->token = token;
  return node;
}

// ---- names ----

weft_text_constant *weft_text_constant_find(const weft_parser *parser, const weft_token *name) {
  for (uint32_t c = parser->constant_count; c-- > 0;) {
    weft_text_constant *constant = &parser->constants[c];
    if (constant->known
            ? weft_token_is(name, constant->known)
            : constant->name->length == name->length && memcmp(constant->name->begin, name->begin, name->length) == 0)
      return constant;
  }
  return NULL;
}

void weft_text_constant_push(weft_parser *parser, weft_text_constant constant) {
  parser->constants = weft_grow(parser->constants, parser->constant_count + 1, sizeof *parser->constants);
  parser->constants[parser->constant_count++] = constant;
}

static const char *const function_names[] = {"max",   "min",  "abs",   "sqrt", "rsqrt", "exp",  "log",
                                             "tanh",  "sin",  "cos",   "sum",  "dot",   "bits", "greatest",
                                             "clock", "log2", "floor", "ceil", "round"};
enum { FUNCTIONS = sizeof function_names / sizeof *function_names };

bool weft_text_is_function(const weft_token *name) {
  for (size_t f = 0; f < FUNCTIONS; ++f)
    if (weft_token_is(name, function_names[f])) return true;
  return false;
}

static weft_status unknown_name(weft_parser *parser, const weft_token *token) {
  const char *known[640];
  size_t count = 0;
  if (parser->program != WEFT_NOTHING) {
    const weft_program *p = &parser->kernel->programs[parser->program];
    for (uint32_t a = 0; a < p->array_count && count < 256; ++a) known[count++] = p->arrays[a].name;
    for (uint32_t r = 0; r < p->register_count && count < 300; ++r) known[count++] = p->registers[r].name;
  }
  for (uint32_t c = 0; c < parser->constant_count && count < 450; ++c) {
    const weft_text_constant *constant = &parser->constants[c];
    known[count++] =
        constant->known ? constant->known
                        : weft_arena_format(&parser->arena, "%.*s", (int)constant->name->length, constant->name->begin);
  }
  for (uint32_t w = 0; w < weft_kernel_word_count && count < 640; ++w) known[count++] = weft_kernel_words[w];
  const char *word =
      weft_arena_format(&parser->arena, "%.*s", token->length < 60 ? (int)token->length : 60, token->begin);
  return weft_text_error(parser, token, "\"%s\" is unknown here; the nearest known name is \"%s\"", word,
                         weft_nearest(word, known, count));
}

static bool same_name(const char *name, const char *wanted) { return strcmp(name, wanted) == 0; }

// A register or a view of an array of the current program. *out_node stays NULL for other names.
static weft_status program_name(weft_parser *parser, const weft_token *token, const char *name, weft_node **out_node) {
  if (parser->program == WEFT_NOTHING) return NULL;
  const weft_program *p = &parser->kernel->programs[parser->program];
  for (uint32_t a = 0; a < p->array_count; ++a) {
    if (!same_name(p->arrays[a].name, name)) continue;
    *out_node = make(parser, WEFT_NODE_OPERAND, token);
    return weft_text_view(parser, a, *out_node);
  }
  for (uint32_t r = 0; r < p->register_count; ++r) {
    if (!same_name(p->registers[r].name, name)) continue;
    *out_node = make(parser, WEFT_NODE_OPERAND, token);
    (*out_node)->operand = weft_value(parser->kernel, parser->program, r);
    if (!weft_accept_word(parser, "as")) return NULL;
    bool real = weft_accept_word(parser, "f32");
    if (!real) WEFT_TRY(weft_expect_word(parser, "i32"));
    (*out_node)->operand.dtype = real ? WEFT_F32 : WEFT_I32;
    return NULL;
  }
  return NULL;
}

static weft_node *constant_node(weft_parser *parser, const weft_token *token, const weft_text_constant *constant) {
  weft_node *node = make(parser, constant->is_real ? WEFT_NODE_REAL : WEFT_NODE_WHOLE, token);
  node->whole = constant->whole;
  node->real = constant->real;
  return node;
}

// ---- folding ----

static weft_status fold_whole(weft_parser *parser, weft_node *n, int64_t a, int64_t b) {
  bool fits = true;
  n->kind = WEFT_NODE_WHOLE;
  switch (n->sign) {
    case '+': fits = !__builtin_add_overflow(a, b, &n->whole); break;
    case '-': fits = !__builtin_sub_overflow(a, b, &n->whole); break;
    case '*': fits = !__builtin_mul_overflow(a, b, &n->whole); break;
    case '/':
    case '%':
      if (b == 0) return weft_text_error(parser, n->token, "divides by 0");
      if (b == -1) {
        fits = !__builtin_sub_overflow(0, a, &n->whole);
        if (n->sign == '%') n->whole = 0;
      } else {
        n->whole = n->sign == '/' ? a / b : a % b;
        if (n->sign == '%' && n->whole < 0 && b > 0) n->whole += b;
      }
      break;
    case '&': n->whole = a & b; break;
    case '|': n->whole = a | b; break;
    case '^': n->whole = a ^ b; break;
    case WEFT_SIGN2('<', '<'):
    case WEFT_SIGN2('>', '>'):
      if (b < 0 || b > 31 || a < 0) return weft_text_error(parser, n->token, "shifts %" PRId64 " by %" PRId64, a, b);
      n->whole = n->sign == WEFT_SIGN2('>', '>') ? a >> b : 0;
      if (n->sign == WEFT_SIGN2('<', '<')) fits = !__builtin_mul_overflow(a, INT64_C(1) << b, &n->whole);
      break;
    default: break;
  }
  return fits ? NULL : weft_text_error(parser, n->token, "the result does not fit 64 bits");
}

static bool is_comparison(uint32_t sign) {
  return sign == '<' || sign == '>' || sign == WEFT_SIGN2('<', '=') || sign == WEFT_SIGN2('>', '=') ||
         sign == WEFT_SIGN2('=', '=') || sign == WEFT_SIGN2('!', '=');
}

static bool compare(uint32_t sign, int order) {
  switch (sign) {
    case '<': return order < 0;
    case '>': return order > 0;
    case WEFT_SIGN2('<', '='): return order <= 0;
    case WEFT_SIGN2('>', '='): return order >= 0;
    case WEFT_SIGN2('=', '='): return order == 0;
    default: return order != 0;
  }
}

// `n` is a binary node over two constants and becomes their result.
static weft_status fold(weft_parser *parser, weft_node *n) {
  const weft_node *a = n->a, *b = n->b;
  bool whole = a->kind == WEFT_NODE_WHOLE && b->kind == WEFT_NODE_WHOLE;
  double x = value_of(a), y = value_of(b);
  if (is_comparison(n->sign)) {
    int order = whole ? (a->whole > b->whole) - (a->whole < b->whole) : (x > y) - (x < y);
    n->kind = WEFT_NODE_WHOLE;
    n->whole = compare(n->sign, order);
    return NULL;
  }
  if (whole) return fold_whole(parser, n, a->whole, b->whole);
  n->kind = WEFT_NODE_REAL;
  switch (n->sign) {
    case '+': n->real = x + y; return NULL;
    case '-': n->real = x - y; return NULL;
    case '*': n->real = x * y; return NULL;
    case '/': n->real = x / y; return NULL;
    default: return weft_text_error(parser, n->token, "%s needs whole numbers", weft_token_text(parser, n->token));
  }
}

// Functions of constants. False for those that are only instructions.
static bool fold_call(weft_node *n) {
  static const struct {
    const char *name;
    double (*function)(double);
  } real[] = {{"sqrt", sqrt}, {"exp", exp}, {"log", log}, {"tanh", tanh}, {"sin", sin}, {"cos", cos}};
  static const struct {
    const char *name;
    double (*function)(double);
  } whole[] = {{"floor", floor}, {"ceil", ceil}, {"round", round}};
  double x = value_of(n->a);
  bool both_whole = n->a->kind == WEFT_NODE_WHOLE && (!n->b || n->b->kind == WEFT_NODE_WHOLE);
  for (size_t f = 0; f < sizeof real / sizeof *real; ++f)
    if (weft_token_is(n->token, real[f].name)) return n->kind = WEFT_NODE_REAL, n->real = real[f].function(x), true;
  for (size_t f = 0; f < sizeof whole / sizeof *whole; ++f)
    if (weft_token_is(n->token, whole[f].name) && fabs(x) < 9e18)
      return n->kind = WEFT_NODE_WHOLE, n->whole = (int64_t)whole[f].function(x), true;
  if (weft_token_is(n->token, "log2") && x >= 1 && x < 9e18) {
    n->kind = WEFT_NODE_WHOLE;
    for (uint64_t rest = (uint64_t)x; rest > 1; rest >>= 1) ++n->whole;
    return true;
  }
  bool absolute = weft_token_is(n->token, "abs"), most = weft_token_is(n->token, "max");
  if (!absolute && !most && !weft_token_is(n->token, "min")) return false;
  bool first = absolute ? x >= 0 : most ? x >= value_of(n->b) : x <= value_of(n->b);
  n->kind = both_whole ? WEFT_NODE_WHOLE : WEFT_NODE_REAL;
  n->whole = first ? n->a->whole : absolute ? -(n->a->whole + (n->a->whole == INT64_MIN)) : n->b->whole;
  n->real = first ? x : absolute ? -x : value_of(n->b);
  return true;
}

// ---- parsing ----

static weft_status deeper(weft_parser *parser) {
  if (++parser->depth > DEEPEST) return weft_text_error(parser, weft_peek(parser), "nested deeper than %d", DEEPEST);
  return NULL;
}

// i32(...) and f32(...), nan(bits).
static weft_status typed(weft_parser *parser, const weft_token *token, weft_node **out_node) {
  weft_node *inner = NULL;
  bool real = !weft_token_is(token, "i32"), nan_bits = weft_token_is(token, "nan");
  WEFT_TRY(weft_expect_sign(parser, '('));
  WEFT_TRY(weft_text_sum(parser, &inner));
  WEFT_TRY(weft_expect_sign(parser, ')'));
  bool bits_wanted = nan_bits || !real;
  if (inner->kind == WEFT_NODE_TYPED && real && !nan_bits) {
    *out_node = inner;
    return NULL;
  }
  if (!is_constant(inner) ||
      (bits_wanted && (inner->kind != WEFT_NODE_WHOLE || inner->whole < INT32_MIN || inner->whole > UINT32_MAX)))
    return weft_text_error(parser, token, "%.*s(...) takes a constant%s", (int)token->length, token->begin,
                           bits_wanted ? " of 32 bits" : "");
  *out_node = make(parser, WEFT_NODE_TYPED, token);
  (*out_node)->operand = real ? weft_f32((float)value_of(inner)) : weft_i32((int32_t)(uint32_t)inner->whole);
  if (nan_bits) (*out_node)->operand.bits = (uint32_t)inner->whole;
  return NULL;
}

static weft_status call(weft_parser *parser, const weft_token *token, weft_node **out_node) {
  weft_node *n = make(parser, WEFT_NODE_CALL, token);
  bool two = weft_token_is(token, "max") || weft_token_is(token, "min") || weft_token_is(token, "dot");
  WEFT_TRY(weft_expect_sign(parser, '('));
  if (!weft_token_is(token, "clock")) {
    WEFT_TRY(weft_text_expression(parser, &n->a));
    if (two) {
      WEFT_TRY(weft_expect_sign(parser, ','));
      WEFT_TRY(weft_text_expression(parser, &n->b));
    }
  }
  WEFT_TRY(weft_expect_sign(parser, ')'));
  *out_node = n;
  if (n->a && is_constant(n->a) && (!n->b || is_constant(n->b))) fold_call(n);
  return NULL;
}

static weft_status word(weft_parser *parser, const weft_token *token, weft_node **out_node) {
  if (weft_token_is(token, "receive")) {
    *out_node = make(parser, WEFT_NODE_OPERAND, token);
    return weft_text_wavelets(parser, WEFT_RECEIVE, *out_node);
  }
  bool brackets = weft_peek(parser)->kind == WEFT_TOKEN_SIGN && weft_peek(parser)->sign == '(';
  if (brackets && (weft_token_is(token, "i32") || weft_token_is(token, "f32") || weft_token_is(token, "nan")))
    return typed(parser, token, out_node);
  if (brackets && weft_text_is_function(token)) return call(parser, token, out_node);
  char name[WEFT_KERNEL_NAME];
  snprintf(name, sizeof name, "%.*s", token->length < sizeof name ? (int)token->length : 0, token->begin);
  // Where a register begins, x and y are the coordinates even if something else of the program is called so.
  bool coordinate = weft_token_is(token, "x") || weft_token_is(token, "y");
  if (!coordinate || !parser->starting) WEFT_TRY(program_name(parser, token, name, out_node));
  if (*out_node) return NULL;
  const weft_text_constant *constant = coordinate && parser->choosing ? NULL : weft_text_constant_find(parser, token);
  if (constant && constant->is_type)
    return weft_text_error(parser, token, "\"%.*s\" is a type, of line %u", (int)token->length, token->begin,
                           constant->name->line);
  if (constant) {
    *out_node = constant_node(parser, token, constant);
    return NULL;
  }
  if (coordinate) {
    *out_node = make(parser, *token->begin == 'x' ? WEFT_NODE_X : WEFT_NODE_Y, token);
    return NULL;
  }
  return unknown_name(parser, token);
}

weft_status weft_text_primary(weft_parser *parser, weft_node **out_node) {
  const weft_token *token = weft_peek(parser);
  *out_node = NULL;
  if (token->kind == WEFT_TOKEN_WHOLE || token->kind == WEFT_TOKEN_REAL) {
    weft_next(parser);
    *out_node = make(parser, token->kind == WEFT_TOKEN_WHOLE ? WEFT_NODE_WHOLE : WEFT_NODE_REAL, token);
    (*out_node)->whole = token->whole;
    (*out_node)->real = token->real;
    return NULL;
  }
  if (weft_accept_sign(parser, '(')) {
    WEFT_TRY(weft_text_expression(parser, out_node));
    return weft_expect_sign(parser, ')');
  }
  if (token->kind == WEFT_TOKEN_QUOTED) {
    char name[WEFT_KERNEL_NAME];
    WEFT_TRY(weft_expect_name(parser, "a name", name, sizeof name));
    WEFT_TRY(program_name(parser, token, name, out_node));
    return *out_node ? NULL : unknown_name(parser, token);
  }
  if (token->kind == WEFT_TOKEN_WORD) return word(parser, weft_next(parser), out_node);
  return weft_text_error(parser, token, "expected a number, a name or an expression, found %s",
                         weft_token_text(parser, token));
}

static weft_status unary(weft_parser *parser, weft_node **out_node) {
  const weft_token *token = weft_peek(parser);
  WEFT_TRY(deeper(parser));
  if (weft_accept_sign(parser, '-')) {
    weft_node *n = make(parser, WEFT_NODE_NEGATE, token);
    WEFT_TRY(unary(parser, &n->a));
    if (is_constant(n->a)) {
      if (n->a->kind == WEFT_NODE_WHOLE && n->a->whole == INT64_MIN)
        return weft_text_error(parser, token, "the result does not fit 64 bits");
      n->kind = n->a->kind;
      n->whole = -n->a->whole;
      n->real = -n->a->real;
    }
    *out_node = n;
  } else {
    WEFT_TRY(weft_text_primary(parser, out_node));
  }
  --parser->depth;
  return NULL;
}

// Signs by how tightly they bind, the loosest first.
enum { LEVELS = 7, COMPARISONS = 0, SUMS = 1 };
static const uint32_t levels[LEVELS][6] = {
    {'<', '>', WEFT_SIGN2('<', '='), WEFT_SIGN2('>', '='), WEFT_SIGN2('=', '='), WEFT_SIGN2('!', '=')},
    {'|'},
    {'^'},
    {'&'},
    {WEFT_SIGN2('<', '<'), WEFT_SIGN2('>', '>')},
    {'+', '-'},
    {'*', '/', '%'}};

static weft_status binary(weft_parser *parser, int level, weft_node **out_node) {
  if (level == LEVELS) return unary(parser, out_node);
  WEFT_TRY(binary(parser, level + 1, out_node));
  for (uint32_t length = 0;; ++length) {
    const weft_token *token = weft_peek(parser);
    bool here = false;
    for (size_t s = 0; s < 6; ++s) here |= token->kind == WEFT_TOKEN_SIGN && levels[level][s] == token->sign;
    if (!here) return NULL;
    if (length > DEEPEST) return weft_text_error(parser, token, "more than %d terms", DEEPEST);
    weft_node *n = make(parser, WEFT_NODE_BINARY, weft_next(parser));
    n->sign = token->sign;
    n->a = *out_node;
    WEFT_TRY(binary(parser, level + 1, &n->b));
    if (is_constant(n->a) && is_constant(n->b)) WEFT_TRY(fold(parser, n));
    *out_node = n;
  }
}

weft_status weft_text_sum(weft_parser *parser, weft_node **out_node) { return binary(parser, SUMS, out_node); }

static weft_status truth(weft_parser *parser, const weft_token *token, const weft_node *n, bool *out_truth) {
  if (!is_constant(n)) return weft_text_error(parser, token, "%s needs constants", weft_token_text(parser, token));
  *out_truth = value_of(n) != 0;
  return NULL;
}

enum { AND = WEFT_SIGN2('&', '&'), OR = WEFT_SIGN2('|', '|'), NOT = '!' };  // of nodes; in texts they are words

// What `and`, `or` and `not` make of x and y is left to weft_text_at; else they are for constants alone.
static weft_status combine_truths(weft_parser *parser, const weft_token *token, uint32_t sign, weft_node *left,
                                  weft_node *right, weft_node **out_node) {
  bool a = false, b = false;
  bool later = parser->choosing && !(is_constant(left) && (!right || is_constant(right)));
  if (!later) WEFT_TRY(truth(parser, token, left, &a));
  if (!later && right) WEFT_TRY(truth(parser, token, right, &b));
  *out_node = make(parser, later ? WEFT_NODE_BINARY : WEFT_NODE_WHOLE, token);
  (*out_node)->sign = sign;
  (*out_node)->a = left;
  (*out_node)->b = right;
  (*out_node)->whole = sign == NOT ? !a : sign == OR ? a || b : a && b;
  return NULL;
}

// Comparisons bind tighter than `not`, that tighter than `and`, and `or` least.
static weft_status logic(weft_parser *parser, int level, weft_node **out_node) {
  const weft_token *token = weft_peek(parser);
  if (level == 2 && weft_accept_word(parser, "not")) {
    weft_node *inner = NULL;
    WEFT_TRY(deeper(parser));
    WEFT_TRY(logic(parser, 2, &inner));
    --parser->depth;
    return combine_truths(parser, token, NOT, inner, NULL, out_node);
  }
  if (level == 2) return binary(parser, COMPARISONS, out_node);
  WEFT_TRY(logic(parser, level + 1, out_node));
  while (token = weft_peek(parser), weft_accept_word(parser, level == 0 ? "or" : "and")) {
    weft_node *other = NULL;
    WEFT_TRY(logic(parser, level + 1, &other));
    WEFT_TRY(combine_truths(parser, token, level == 0 ? OR : AND, *out_node, other, out_node));
  }
  return NULL;
}

// ---- of x and y ----

static weft_status value_at(weft_parser *parser, const weft_node *n, int64_t x, int64_t y, weft_node *out) {
  weft_node a = {0}, b = {0};
  *out = *n;
  if (n->kind == WEFT_NODE_WHOLE || n->kind == WEFT_NODE_REAL) return NULL;
  if (n->kind == WEFT_NODE_X || n->kind == WEFT_NODE_Y) {
    out->whole = n->kind == WEFT_NODE_X ? x : y;
    out->kind = WEFT_NODE_WHOLE;
    return NULL;
  }
  if (n->kind == WEFT_NODE_TYPED || n->kind == WEFT_NODE_OPERAND)
    return weft_text_error(parser, n->token, "expected constants, x and y");
  if (n->a) WEFT_TRY(value_at(parser, n->a, x, y, &a));
  if (n->b) WEFT_TRY(value_at(parser, n->b, x, y, &b));
  if (n->kind == WEFT_NODE_NEGATE) {
    const weft_node zero = {.kind = WEFT_NODE_WHOLE, .token = n->token};
    *out = (weft_node){.token = n->token, .sign = '-', .a = (weft_node *)(uintptr_t)&zero, .b = &a};
    return fold(parser, out);
  }
  out->a = &a;
  out->b = n->b ? &b : NULL;
  if (n->kind == WEFT_NODE_CALL)
    return n->a && fold_call(out)
               ? NULL
               : weft_text_error(parser, n->token, "%s is not for constants", weft_token_text(parser, n->token));
  if (n->sign != AND && n->sign != OR && n->sign != NOT) return fold(parser, out);
  bool left = value_of(&a) != 0, right = n->b && value_of(&b) != 0;
  out->kind = WEFT_NODE_WHOLE;
  out->whole = n->sign == NOT ? !left : n->sign == OR ? left || right : left && right;
  return NULL;
}

weft_status weft_text_condition(weft_parser *parser, weft_node **out_node) {
  parser->choosing = true;
  weft_status status = weft_text_expression(parser, out_node);
  parser->choosing = false;
  return status;
}

weft_status weft_text_holds(weft_parser *parser, const weft_node *condition, uint32_t x, uint32_t y, bool *out_holds) {
  weft_node value;
  WEFT_TRY(value_at(parser, condition, x, y, &value));
  if (value.kind != WEFT_NODE_WHOLE)
    return weft_text_error(parser, condition->token, "where needs a condition of constants, x and y");
  *out_holds = value.whole != 0;
  return NULL;
}

bool weft_text_uses(const weft_node *node, weft_node_kind kind) {
  return node && (node->kind == kind || weft_text_uses(node->a, kind) || weft_text_uses(node->b, kind));
}

weft_status weft_text_expression(weft_parser *parser, weft_node **out_node) {
  WEFT_TRY(deeper(parser));
  WEFT_TRY(logic(parser, 0, out_node));
  --parser->depth;
  return NULL;
}

// ---- constants ----

weft_status weft_text_whole(weft_parser *parser, int64_t least, int64_t most, const char *what, int64_t *out_value) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  WEFT_TRY(weft_text_sum(parser, &n));
  if (n->kind != WEFT_NODE_WHOLE)
    return weft_text_error(parser, token, "%s is a whole number known here, not %s", what,
                           n->kind == WEFT_NODE_REAL ? "one with a fraction" : "one that the cores compute");
  if (n->whole < least || n->whole > most)
    return weft_text_error(parser, token, "%s is %" PRId64 "; expected %" PRId64 " to %" PRId64, what, n->whole, least,
                           most);
  *out_value = n->whole;
  return NULL;
}

weft_status weft_text_number(weft_parser *parser, const char *what, double *out_value) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  WEFT_TRY(weft_text_sum(parser, &n));
  if (!is_constant(n)) return weft_text_error(parser, token, "%s is a constant", what);
  *out_value = value_of(n);
  return NULL;
}

weft_status weft_text_f32(weft_parser *parser, const char *what, uint32_t *out_bits) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  WEFT_TRY(weft_text_sum(parser, &n));
  if (n->kind == WEFT_NODE_TYPED && n->operand.dtype == WEFT_F32) {
    *out_bits = n->operand.bits;
    return NULL;
  }
  if (!is_constant(n)) return weft_text_error(parser, token, "%s is a constant", what);
  *out_bits = weft_f32((float)value_of(n)).bits;
  return NULL;
}

weft_status weft_text_colour(weft_parser *parser, uint32_t *out_colour) {
  const weft_token *token = weft_peek(parser);
  weft_node *n = NULL;
  const weft_text_constant *constant = token->kind == WEFT_TOKEN_WORD ? weft_text_constant_find(parser, token) : NULL;
  if (constant && !constant->is_type)
    n = constant_node(parser, weft_next(parser), constant);
  else
    WEFT_TRY(weft_text_primary(parser, &n));
  if (n->kind != WEFT_NODE_WHOLE || n->whole < 0 || n->whole >= WEFT_COLOURS)
    return weft_text_error(parser, token, "%s is no colour; expected c0 to c%d or a constant of 0 to %d",
                           weft_token_text(parser, token), WEFT_COLOURS - 1, WEFT_COLOURS - 1);
  *out_colour = (uint32_t)n->whole;
  return NULL;
}

weft_status weft_text_wavelets(weft_parser *parser, weft_operand_kind kind, weft_node *out_node) {
  uint32_t colour;
  WEFT_TRY(weft_text_colour(parser, &colour));
  out_node->operand = kind == WEFT_SEND ? weft_send(colour, WEFT_F32) : weft_receive(colour, WEFT_F32);
  out_node->untyped = !weft_accept_type(parser, &out_node->operand.dtype);
  out_node->operand.packed = weft_accept_word(parser, "packed");
  out_node->operand.advance = kind == WEFT_SEND && weft_accept_word(parser, "advance");
  return NULL;
}

// ---- linear forms ----

static weft_status not_linear(weft_parser *parser, const weft_node *n) {
  return weft_text_error(parser, n->token,
                         "expected a constant plus multiples of x and y, or of one register in a view's offset");
}

static weft_status combine(weft_parser *parser, const weft_node *n, weft_linear *a, const weft_linear *b) {
  int64_t factor = n->sign == '-' ? -1 : 1;
  if (n->sign == '*') {
    bool left = a->per_x == 0 && a->per_y == 0 && a->reg == WEFT_NOTHING;
    const weft_linear rest = left ? *b : *a;
    const int64_t by = left ? a->base : b->base;
    if (!left && (b->per_x != 0 || b->per_y != 0 || b->reg != WEFT_NOTHING)) return not_linear(parser, n);
    *a = rest;
    if (__builtin_mul_overflow(rest.base, by, &a->base) || __builtin_mul_overflow(rest.per_x, by, &a->per_x) ||
        __builtin_mul_overflow(rest.per_y, by, &a->per_y) || __builtin_mul_overflow(rest.scale, by, &a->scale))
      return not_linear(parser, n);
    return NULL;
  }
  if (n->sign != '+' && n->sign != '-') return not_linear(parser, n);
  if (a->reg != WEFT_NOTHING && b->reg != WEFT_NOTHING && a->reg != b->reg) return not_linear(parser, n);
  if (a->reg == WEFT_NOTHING) a->reg = b->reg;
  int64_t sums[4] = {a->base, a->per_x, a->per_y, a->scale}, more[4] = {b->base, b->per_x, b->per_y, b->scale};
  for (size_t i = 0; i < 4; ++i)
    if (__builtin_mul_overflow(more[i], factor, &more[i]) || __builtin_add_overflow(sums[i], more[i], &sums[i]))
      return not_linear(parser, n);
  *a = (weft_linear){sums[0], sums[1], sums[2], sums[3], a->reg};
  return NULL;
}

weft_status weft_text_linear(weft_parser *parser, const weft_node *node, weft_linear *out_linear) {
  *out_linear = (weft_linear){.reg = WEFT_NOTHING};
  switch (node->kind) {
    case WEFT_NODE_WHOLE: out_linear->base = node->whole; return NULL;
    case WEFT_NODE_X: out_linear->per_x = 1; return NULL;
    case WEFT_NODE_Y: out_linear->per_y = 1; return NULL;
    case WEFT_NODE_OPERAND:
      if (node->operand.kind != WEFT_REGISTER || node->operand.dtype != WEFT_I32) return not_linear(parser, node);
      out_linear->reg = node->operand.index;
      out_linear->scale = 1;
      return NULL;
    case WEFT_NODE_NEGATE: {
      weft_node minus = {.sign = '-', .token = node->token};
      weft_linear inner;
      WEFT_TRY(weft_text_linear(parser, node->a, &inner));
      return combine(parser, &minus, out_linear, &inner);
    }
    case WEFT_NODE_BINARY: {
      weft_linear right;
      WEFT_TRY(weft_text_linear(parser, node->a, out_linear));
      WEFT_TRY(weft_text_linear(parser, node->b, &right));
      return combine(parser, node, out_linear, &right);
    }
    default: return not_linear(parser, node);
  }
}
