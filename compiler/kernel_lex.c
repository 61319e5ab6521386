// The text form of kernels as tokens, and the small steps of its parser.
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compiler/kernel_text.h"

weft_status weft_text_error(const weft_parser *parser, const weft_token *token, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *what = weft_format_list(format, arguments);
  va_end(arguments);
  weft_status status = weft_error(WEFT_INVALID, "%s:%u:%u: %s", parser->file, token->line, token->column, what);
  free(what);
  return status;
}

bool weft_token_is(const weft_token *token, const char *word) {
  return token->kind == WEFT_TOKEN_WORD && strlen(word) == token->length &&
         memcmp(token->begin, word, token->length) == 0;
}

const char *weft_token_text(weft_parser *parser, const weft_token *token) {
  if (token->kind == WEFT_TOKEN_END) return "the end of the text";
  if (token->kind == WEFT_TOKEN_LINE) return "the end of the line";
  return weft_arena_format(&parser->arena, "\"%.*s\"", token->length < 60 ? (int)token->length : 60, token->begin);
}

// ---- tokens ----

typedef struct lexer {
  weft_parser *parser;
  const char *at, *line_begin;
  uint32_t line, nesting, room;
} lexer;

static weft_token *add(lexer *l, weft_token_kind kind, const char *begin, size_t length) {
  weft_parser *p = l->parser;
  if (p->token_count == l->room) {
    // Tokens are pointed at while they are read, so the list must not move afterwards; here it still may.
    l->room = l->room ? 2 * l->room : 1024;
    p->tokens = weft_grow(p->tokens, l->room, sizeof *p->tokens);
  }
  weft_token *token = &p->tokens[p->token_count++];
  *token = (weft_token){.kind = kind,
                        .begin = begin,
                        .length = (uint32_t)length,
                        .line = l->line,
                        .column = (uint32_t)(begin - l->line_begin) + 1};
  return token;
}

// A line ends a statement unless something is open, the last sign asks for more, or `then` follows.
static bool line_goes_on(const lexer *l) {
  const weft_parser *p = l->parser;
  if (l->nesting > 0 || p->token_count == 0) return true;
  const weft_token *last = &p->tokens[p->token_count - 1];
  return last->kind == WEFT_TOKEN_LINE || (last->kind == WEFT_TOKEN_SIGN && last->sign != ')' && last->sign != ']');
}

static weft_status number(lexer *l) {
  const char *begin = l->at;
  char *end;
  errno = 0;
  bool hexadecimal = begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X');
  int64_t whole = strtoll(begin, &end, hexadecimal ? 16 : 10);
  bool saturated = errno == ERANGE;
  bool real = !hexadecimal && ((*end == '.' && end[1] != '.') || *end == 'e' || *end == 'E');
  double value = 0;
  if (real) value = strtod(begin, &end);
  weft_token *token = add(l, real ? WEFT_TOKEN_REAL : WEFT_TOKEN_WHOLE, begin, (size_t)(end - begin));
  token->whole = whole;
  token->real = value;
  l->at = end;
  if ((!real && saturated) || (real && !isfinite(value)))
    return weft_text_error(l->parser, token, "%s is too large", weft_token_text(l->parser, token));
  if (isalnum((unsigned char)*end) || *end == '_')
    return weft_text_error(l->parser, token, "\"%.*s\" is not a number", (int)(end - begin) + 1, begin);
  return NULL;
}

static weft_status quoted(lexer *l) {
  const char *begin = ++l->at, *end = begin + strcspn(begin, "\"\n");
  weft_token *token = add(l, WEFT_TOKEN_QUOTED, begin, (size_t)(end - begin));
  if (*end != '"') return weft_text_error(l->parser, token, "a name in quotes does not end on its line");
  l->at = end + 1;
  return NULL;
}

static weft_status sign(lexer *l) {
  static const char *const pairs[] = {"->", "<-", "<<", ">>", "==", "!=", "<=", ">=", "..", "+=", "-=", "*=", "/="};
  for (size_t s = 0; s < sizeof pairs / sizeof *pairs; ++s) {
    if (l->at[0] != pairs[s][0] || l->at[1] != pairs[s][1]) continue;
    add(l, WEFT_TOKEN_SIGN, l->at, 2)->sign = WEFT_SIGN2(pairs[s][0], pairs[s][1]);
    l->at += 2;
    return NULL;
  }
  weft_token *token = add(l, WEFT_TOKEN_SIGN, l->at, 1);
  char c = *l->at++;
  token->sign = (unsigned char)c;
  if (c == '(' || c == '[') ++l->nesting;
  if ((c == ')' || c == ']') && l->nesting > 0) --l->nesting;
  if (strchr("()[]+-*/%&|^<>=:;,", c)) return NULL;
  return isprint((unsigned char)c)
             ? weft_text_error(l->parser, token, "\"%c\" has no meaning here", c)
             : weft_text_error(l->parser, token, "byte 0x%02x has no meaning here", (unsigned char)c);
}

static weft_status token(lexer *l) {
  char c = *l->at;
  if (c == '#') {
    l->at += strcspn(l->at, "\n");
  } else if (c == '\n') {
    if (!line_goes_on(l)) add(l, WEFT_TOKEN_LINE, l->at, 1);
    l->line_begin = ++l->at;
    ++l->line;
  } else if (c == ' ' || c == '\t' || c == '\r') {
    ++l->at;
  } else if (isdigit((unsigned char)c)) {
    return number(l);
  } else if (c == '"') {
    return quoted(l);
  } else if (isalpha((unsigned char)c) || c == '_') {
    size_t length = 0;
    while (isalnum((unsigned char)l->at[length]) || l->at[length] == '_') ++length;
    weft_parser *p = l->parser;
    if (length == 4 && memcmp(l->at, "then", 4) == 0 && p->token_count > 0 &&
        p->tokens[p->token_count - 1].kind == WEFT_TOKEN_LINE)
      --p->token_count;
    add(l, WEFT_TOKEN_WORD, l->at, length);
    l->at += length;
  } else {
    return sign(l);
  }
  return NULL;
}

weft_status weft_text_tokens(weft_parser *parser, const char *text) {
  lexer l = {.parser = parser, .at = text, .line_begin = text, .line = 1};
  while (*l.at) WEFT_TRY(token(&l));
  l.nesting = 0;
  if (!line_goes_on(&l)) add(&l, WEFT_TOKEN_LINE, l.at, 0);
  add(&l, WEFT_TOKEN_END, l.at, 0);
  return NULL;
}

// ---- steps ----

const weft_token *weft_peek(const weft_parser *parser) { return &parser->tokens[parser->at]; }

const weft_token *weft_next(weft_parser *parser) {
  const weft_token *token = weft_peek(parser);
  if (token->kind != WEFT_TOKEN_END) ++parser->at;
  return token;
}

bool weft_accept_word(weft_parser *parser, const char *word) {
  if (!weft_token_is(weft_peek(parser), word)) return false;
  ++parser->at;
  return true;
}

bool weft_accept_sign(weft_parser *parser, uint32_t sign) {
  const weft_token *token = weft_peek(parser);
  if (token->kind != WEFT_TOKEN_SIGN || token->sign != sign) return false;
  ++parser->at;
  return true;
}

weft_status weft_expect_word(weft_parser *parser, const char *word) {
  if (weft_accept_word(parser, word)) return NULL;
  return weft_text_error(parser, weft_peek(parser), "expected \"%s\", found %s", word,
                         weft_token_text(parser, weft_peek(parser)));
}

weft_status weft_expect_sign(weft_parser *parser, uint32_t sign) {
  if (weft_accept_sign(parser, sign)) return NULL;
  const char text[] = {(char)(sign > 255 ? sign >> 8 : sign), (char)(sign > 255 ? sign & 255 : 0), 0};
  return weft_text_error(parser, weft_peek(parser), "expected \"%s\", found %s", text,
                         weft_token_text(parser, weft_peek(parser)));
}

// ---- names ----

// The expression between braces, read as a text of its own. False: none of constants that is a whole number.
static bool evaluate(weft_parser *parser, const char *expression, int64_t *out_value) {
  weft_parser own = *parser;
  weft_node *n = NULL;
  own.tokens = NULL;
  own.token_count = own.at = 0;
  weft_status status = weft_text_tokens(&own, expression);
  if (!status) status = weft_text_expression(&own, &n);
  bool whole = !status && n->kind == WEFT_NODE_WHOLE && weft_peek(&own)->kind <= WEFT_TOKEN_LINE;
  if (whole) *out_value = n->whole;
  weft_status_free(status);
  parser->arena = own.arena;
  free(own.tokens);
  return whole;
}

// "{constants}" in quotes is their value, "{{" a brace.
static weft_status put_in(weft_parser *parser, const weft_token *quoted_name, const char **at, const char *end,
                          char *text, size_t size) {
  const char *begin = *at + 1, *stop = memchr(begin, '}', (size_t)(end - begin));
  int64_t value = 0;
  if (!stop)
    return weft_text_error(parser, quoted_name, "{ without } in a name; expected {constant}, or {{ for a brace");
  weft_token word = {.kind = WEFT_TOKEN_WORD, .begin = begin, .length = (uint32_t)(stop - begin)};
  const weft_text_constant *constant = weft_text_constant_find(parser, &word);
  *at = stop + 1;
  if (constant && constant->is_type) {
    snprintf(text, size, "%s", weft_dtype_name(constant->dtype));
    return NULL;
  }
  if (!evaluate(parser, weft_arena_format(&parser->arena, "%.*s", (int)word.length, begin), &value))
    return weft_text_error(parser, quoted_name, "{%.*s} in a name: expected a constant that is a whole number",
                           (int)word.length, begin);
  snprintf(text, size, "%" PRId64, value);
  return NULL;
}

static weft_status unquote(weft_parser *parser, const weft_token *token, char *out_name, size_t size) {
  const char *end = token->begin + token->length;
  size_t length = 0;
  char name[64] = {0};
  assert(size <= sizeof name);
  for (const char *c = token->begin; c < end;) {
    char piece[24] = {*c, 0};
    if (*c != '{') {
      ++c;
    } else if (c + 1 < end && c[1] == '{') {
      c += 2;
    } else {
      WEFT_TRY(put_in(parser, token, &c, end, piece, sizeof piece));
    }
    size_t more = strlen(piece);
    if (length + more >= size) return weft_text_error(parser, token, "a name has at most %zu bytes here", size - 1);
    memcpy(name + length, piece, more);
    length += more;
  }
  if (length == 0) return weft_text_error(parser, token, "a name is empty");
  memcpy(out_name, name, size);
  return NULL;
}

weft_status weft_expect_name(weft_parser *parser, const char *what, char *out_name, size_t size) {
  const weft_token *token = weft_peek(parser);
  if (token->kind == WEFT_TOKEN_QUOTED) {
    weft_next(parser);
    return unquote(parser, token, out_name, size);
  }
  if (token->kind != WEFT_TOKEN_WORD)
    return weft_text_error(parser, token, "expected %s, found %s", what, weft_token_text(parser, token));
  // Functions are called with a bracket, so their words may be names too.
  for (uint32_t w = 0; w < weft_kernel_word_count && !weft_text_is_function(token); ++w)
    if (weft_token_is(token, weft_kernel_words[w]))
      return weft_text_error(parser, token, "expected %s, found the language's word %s; in quotes it is a name", what,
                             weft_token_text(parser, token));
  if (token->length >= size) return weft_text_error(parser, token, "a name has at most %zu bytes here", size - 1);
  memset(out_name, 0, size);
  memcpy(out_name, token->begin, token->length);
  weft_next(parser);
  return NULL;
}
