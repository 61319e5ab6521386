// What saves writing in the text form of kernels: types with a name, and lines that are written once and used often.
#include <string.h>

#include "base/text.h"
#include "compiler/kernel_text.h"

enum { MOST_TOKENS = 1 << 21, MOST_FORMALS = 16 };  // of all uses together; of one definition

// ---- types ----

bool weft_accept_type(weft_parser *parser, weft_dtype *out_dtype) {
  static const weft_dtype types[] = {WEFT_F32, WEFT_F16, WEFT_BF16, WEFT_I32};
  const weft_token *token = weft_peek(parser);
  for (size_t t = 0; t < sizeof types / sizeof *types; ++t)
    if (weft_accept_word(parser, weft_dtype_name(types[t]))) {
      *out_dtype = types[t];
      return true;
    }
  const weft_text_constant *named = token->kind == WEFT_TOKEN_WORD ? weft_text_constant_find(parser, token) : NULL;
  if (!named || !named->is_type) return false;
  *out_dtype = named->dtype;
  weft_next(parser);
  return true;
}

weft_status weft_text_type(weft_parser *parser, weft_dtype *out_dtype) {
  if (weft_accept_type(parser, out_dtype)) return NULL;
  return weft_text_error(parser, weft_peek(parser), "expected a type (f32, f16, bf16, i32), found %s",
                         weft_token_text(parser, weft_peek(parser)));
}

// ---- definitions ----

static const weft_text_definition *find(const weft_parser *parser, const weft_token *name) {
  for (uint32_t d = 0; d < parser->definition_count; ++d) {
    const weft_token *known = parser->definitions[d].name;
    if (known->length == name->length && memcmp(known->begin, name->begin, name->length) == 0)
      return &parser->definitions[d];
  }
  return NULL;
}

// A name without quotes, which is no word of the language.
static weft_status read_name(weft_parser *parser, const char *what, const weft_token **out_token) {
  char name[64];
  *out_token = weft_peek(parser);
  if ((*out_token)->kind == WEFT_TOKEN_QUOTED)
    return weft_text_error(parser, *out_token, "expected %s without quotes", what);
  return weft_expect_name(parser, what, name, sizeof name);
}

// Words with a meaning in some lines only are names elsewhere; put in for, they would vanish from those lines.
static weft_status read_formal(weft_parser *parser, const weft_token **out_token) {
  static const char *const taken[] = {"again",   "at",   "blocked", "by",   "control", "east",  "every",
                                      "in",      "into", "inside",  "move", "north",   "on",    "out",
                                      "packed",  "ramp", "skew",    "skip", "south",   "start", "step",
                                      "wavelet", "west", "where",   "words"};
  WEFT_TRY(read_name(parser, "a name for what is put in", out_token));
  for (size_t t = 0; t < sizeof taken / sizeof *taken; ++t)
    if (weft_token_is(*out_token, taken[t]))
      return weft_text_error(parser, *out_token, "\"%s\" has a meaning in lines; choose another name", taken[t]);
  return NULL;
}

// "(a, b)", or nothing.
static weft_status read_formals(weft_parser *parser, weft_text_definition *d) {
  if (!weft_accept_sign(parser, '(')) return NULL;
  d->formals = weft_arena_take(&parser->arena, MOST_FORMALS * sizeof *d->formals);
  do {
    if (d->formal_count == MOST_FORMALS)
      return weft_text_error(parser, weft_peek(parser), "more than %d names", MOST_FORMALS);
    WEFT_TRY(read_formal(parser, &d->formals[d->formal_count++]));
  } while (weft_accept_sign(parser, ','));
  return weft_expect_sign(parser, ')');
}

weft_status weft_text_define(weft_parser *parser, const weft_token *begin) {
  weft_text_definition d = {0};
  WEFT_TRY(read_name(parser, "the name of these lines", &d.name));
  const weft_text_definition *known = find(parser, d.name);
  if (known && known->name != d.name)
    return weft_text_error(parser, d.name, "%s is defined in line %u already", weft_token_text(parser, d.name),
                           known->name->line);
  WEFT_TRY(read_formals(parser, &d));
  WEFT_TRY(weft_text_line_end(parser));
  d.body = weft_peek(parser);
  uint32_t first = parser->at;
  WEFT_TRY(weft_text_skip(parser, begin, false));
  d.body_count = parser->at - first;
  if (!known) {  // an `each` around it comes by again
    parser->definitions = weft_grow(parser->definitions, parser->definition_count + 1, sizeof *parser->definitions);
    parser->definitions[parser->definition_count++] = d;
  }
  return weft_expect_word(parser, "end");
}

// ---- use ----

typedef struct argument {
  const weft_token *first;
  uint32_t count;
} argument;

// Up to the comma or bracket that ends it.
static weft_status read_argument(weft_parser *parser, argument *out) {
  uint32_t depth = 0;
  *out = (argument){weft_peek(parser), 0};
  for (;; ++out->count, weft_next(parser)) {
    const weft_token *token = weft_peek(parser);
    if (token->kind == WEFT_TOKEN_END || token->kind == WEFT_TOKEN_LINE)
      return weft_text_error(parser, token, "expected \")\", found %s", weft_token_text(parser, token));
    if (token->kind != WEFT_TOKEN_SIGN) continue;
    if (token->sign == '(' || token->sign == '[') ++depth;
    if (depth == 0 && (token->sign == ',' || token->sign == ')')) break;
    if ((token->sign == ')' || token->sign == ']') && depth > 0) --depth;
  }
  return out->count > 0 ? NULL : weft_text_error(parser, out->first, "expected what is put in here");
}

static weft_status read_arguments(weft_parser *parser, const weft_token *name, const weft_text_definition *d,
                                  argument *out) {
  uint32_t count = 0;
  if (weft_accept_sign(parser, '(')) {
    do {
      argument one;
      WEFT_TRY(read_argument(parser, &one));
      if (count < MOST_FORMALS) out[count] = one;
      ++count;
    } while (weft_accept_sign(parser, ','));
    WEFT_TRY(weft_expect_sign(parser, ')'));
  }
  if (count == d->formal_count) return NULL;
  return weft_text_error(parser, name, "%s of line %u takes %u, not %u", weft_token_text(parser, name), d->name->line,
                         d->formal_count, count);
}

static const argument *put_in(const weft_text_definition *d, const argument *arguments, const weft_token *token) {
  for (uint32_t f = 0; f < d->formal_count && token->kind == WEFT_TOKEN_WORD; ++f)
    if (d->formals[f]->length == token->length && memcmp(d->formals[f]->begin, token->begin, token->length) == 0)
      return &arguments[f];
  return NULL;
}

// What stands for "{name}" of a name in quotes; NULL: name is none of the formals, or stands for more than one word.
static const char *in_name(weft_parser *parser, const weft_text_definition *d, const argument *arguments,
                           const char *name, size_t length) {
  const weft_token word = {.kind = WEFT_TOKEN_WORD, .begin = name, .length = (uint32_t)length};
  const argument *a = put_in(d, arguments, &word);
  if (!a || a->count != 1 || a->first->kind == WEFT_TOKEN_SIGN) return NULL;
  // Constants are put in later; other words are parts of names.
  bool later = a->first->kind == WEFT_TOKEN_WORD && weft_text_constant_find(parser, a->first);
  return weft_arena_format(&parser->arena, later ? "{%.*s}" : "%.*s", (int)a->first->length, a->first->begin);
}

// A name in quotes with what formals stand for in it.
static weft_token quoted(weft_parser *parser, const weft_text_definition *d, const argument *arguments,
                         weft_token token) {
  const char *at = token.begin, *end = token.begin + token.length;
  const char *text = "";
  bool changed = false;
  if (token.length > 4 * WEFT_KERNEL_NAME) return token;  // will be refused: no name is as long
  while (at < end) {
    const char *stop = *at == '{' && at + 1 < end && at[1] != '{' ? memchr(at, '}', (size_t)(end - at)) : NULL;
    const char *put = stop ? in_name(parser, d, arguments, at + 1, (size_t)(stop - at) - 1) : NULL;
    size_t piece = put ? (size_t)(stop - at) + 1 : *at == '{' && at + 1 < end && at[1] == '{' ? 2 : 1;
    text = put ? weft_arena_format(&parser->arena, "%s%s", text, put)
               : weft_arena_format(&parser->arena, "%s%.*s", text, (int)piece, at);
    changed |= put != NULL;
    at += piece;
  }
  if (!changed) return token;
  token.begin = text;
  token.length = (uint32_t)strlen(text);
  return token;
}

// The definition's lines with the arguments put in, those of several tokens in brackets. Returns how many tokens; NULL
// counts only.
static uint32_t expand(weft_parser *parser, const weft_text_definition *d, const argument *arguments, weft_token *out) {
  uint32_t count = 0;
  for (uint32_t t = 0; t < d->body_count; ++t) {
    const argument *a = put_in(d, arguments, &d->body[t]);
    if (!a) {
      if (out) out[count] = d->body[t];
      if (out && d->body[t].kind == WEFT_TOKEN_QUOTED && memchr(d->body[t].begin, '{', d->body[t].length))
        out[count] = quoted(parser, d, arguments, d->body[t]);
      ++count;
      continue;
    }
    weft_token bracket = *a->first;
    bracket.kind = WEFT_TOKEN_SIGN;
    bracket.length = 1;
    bool several = a->count > 1;
    if (out && several) {
      bracket.begin = "(";
      bracket.sign = '(';
      out[count] = bracket;
      bracket.begin = ")";
      bracket.sign = ')';
      out[count + 1 + a->count] = bracket;
    }
    if (out) memcpy(&out[count + several], a->first, a->count * sizeof *out);
    count += a->count + 2 * several;
  }
  if (out) {
    out[count] = (weft_token){.kind = WEFT_TOKEN_END, .begin = "", .line = d->name->line, .column = d->name->column};
  }
  return count + 1;
}

weft_status weft_text_use(weft_parser *parser) {
  const weft_token *name;
  argument arguments[MOST_FORMALS];
  WEFT_TRY(read_name(parser, "the name of defined lines", &name));
  const weft_text_definition *known = find(parser, name);
  if (!known) {
    const char *names[64];
    size_t count = 0;
    for (; count < parser->definition_count && count < 64; ++count)
      names[count] = weft_arena_format(&parser->arena, "%.*s", (int)parser->definitions[count].name->length,
                                       parser->definitions[count].name->begin);
    const char *word = weft_arena_format(&parser->arena, "%.*s", (int)name->length, name->begin);
    return count == 0
               ? weft_text_error(parser, name, "\"%s\" is not defined: define %s ... end comes first", word, word)
               : weft_text_error(parser, name, "\"%s\" is not defined; the nearest is \"%s\"", word,
                                 weft_nearest(word, names, count));
  }
  const weft_text_definition d = *known;  // more may be defined meanwhile
  WEFT_TRY(read_arguments(parser, name, &d, arguments));
  uint32_t count = expand(parser, &d, arguments, NULL);
  if (parser->used_tokens + count > MOST_TOKENS)
    return weft_text_error(parser, name, "uses come to more than %d words and signs", MOST_TOKENS);
  parser->used_tokens += count;
  // They stay until the end: what has been read points at them.
  weft_token *tokens = weft_arena_take(&parser->arena, count * sizeof *tokens), *before = parser->tokens;
  uint32_t at = parser->at, token_count = parser->token_count;
  (void)expand(parser, &d, arguments, tokens);
  parser->tokens = tokens;
  parser->token_count = count;
  parser->at = 0;
  weft_status status = weft_text_items(parser);
  const weft_token *last = weft_peek(parser);
  if (!status && last->kind != WEFT_TOKEN_END)
    status = weft_text_error(parser, last, "%s ends nothing here", weft_token_text(parser, last));
  parser->tokens = before;
  parser->token_count = token_count;
  parser->at = at;
  if (!status) return NULL;
  weft_status where = weft_error(weft_status_code(status), "%s (used in line %u, column %u)",
                                 weft_status_message(status), name->line, name->column);
  weft_status_free(status);
  return where;
}
