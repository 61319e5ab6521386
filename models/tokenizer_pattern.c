#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer_internal.h"

struct weft_pattern {
  pcre2_code *code;
};

// Hugging Face runs patterns with Oniguruma. What means the same in PCRE2 passes; \s, which PCRE2 lets match U+180E, is
// written as the Unicode property; what means something else is refused rather than cut otherwise.
// Oniguruma: doc/RE, doc/UNICODE_PROPERTIES. PCRE2: pcre2pattern(3), White_Space since 10.40.
typedef struct rewriting {
  const char *from, *where;
  char *to;
  size_t length;
} rewriting;

static void write_text(rewriting *r, const char *text, size_t bytes) {
  memcpy(r->to + r->length, text, bytes);
  r->length += bytes;
}

static weft_status rewrite_escape(rewriting *r, const char *at) {
  static const char same_in_both[] = "pPrntdDxfvae";
  char letter = at[1];
  if (letter == 's')
    write_text(r, "\\p{White_Space}", 15);
  else if (letter == 'S')
    write_text(r, "\\P{White_Space}", 15);
  else if (letter == 0)
    return weft_error(WEFT_INVALID, "%s: \"%s\" ends in a lone backslash", r->where, r->from);
  else if ((unsigned char)letter < 0x80 &&
           (strchr(same_in_both, letter) || strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", letter)))
    write_text(r, at, 2);
  else
    return weft_error(WEFT_INVALID,
                      "%s: \\%c at character %td of \"%s\" is not supported: Oniguruma and PCRE2 differ in it "
                      "(\\s \\S \\d \\D \\p{..} \\P{..} \\r \\n \\t \\x.. and punctuation are known)",
                      r->where, letter, at - r->from, r->from);
  return NULL;
}

static weft_status rewrite(rewriting *r) {
  bool in_class = false;
  const char *class_start = NULL;
  for (const char *at = r->from; *at; ++at) {
    if (*at == '\\') {
      WEFT_TRY(rewrite_escape(r, at));
      ++at;
      continue;
    }
    if (!in_class && *at == '[') {
      in_class = true;
      class_start = at + 1 + (at[1] == '^');
    } else if (in_class && *at == ']' && at > class_start) {
      in_class = false;
    } else if (in_class && (*at == '[' || (at[0] == '&' && at[1] == '&'))) {
      return weft_error(WEFT_INVALID,
                        "%s: \"%.2s\" within a character class (character %td of \"%s\") is not supported", r->where,
                        at, at - r->from, r->from);
    }
    write_text(r, at, 1);
  }
  return NULL;
}

static weft_status compile(const char *text, size_t bytes, bool literal, const char *where, pcre2_code **out_code) {
  // In Oniguruma's syntax ^ and $ look at lines, and only \n ends one.
  uint32_t options = PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE);
  pcre2_compile_context *context = pcre2_compile_context_create(NULL);
  if (!context) return weft_error(WEFT_FAILED, "%s: no memory for a pattern", where);
  (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  (void)pcre2_set_parens_nest_limit(context, 100);
  int error;
  PCRE2_SIZE place;
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, bytes, options, &error, &place, context);
  pcre2_compile_context_free(context);
  if (!code) {
    char reason[160];
    (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
    return weft_error(WEFT_INVALID, "%s: pattern \"%.*s\": character %zu: %s", where, (int)(bytes > 300 ? 300 : bytes),
                      text, (size_t)place, reason);
  }
  // A PCRE2 without a compiler for this processor matches all the same, only slower.
  (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  *out_code = code;
  return NULL;
}

weft_status weft_pattern_compile(const char *text, bool literal, const char *where, weft_pattern **out_pattern) {
  if (*text == 0) return weft_error(WEFT_INVALID, "%s: the pattern is empty", where);
  enum { LONGEST = 1 << 16 };
  if (strlen(text) > LONGEST) return weft_error(WEFT_INVALID, "%s: a pattern of more than %d bytes", where, LONGEST);
  rewriting r = {.from = text, .where = where, .to = weft_allocate(8 * strlen(text) + 16)};
  if (literal) write_text(&r, text, strlen(text));
  weft_status status = literal ? NULL : rewrite(&r);
  pcre2_code *code = NULL;
  if (!status) status = compile(r.to, r.length, literal, where, &code);
  free(r.to);
  if (status) return status;
  weft_pattern *pattern = weft_allocate(sizeof *pattern);
  pattern->code = code;
  *out_pattern = pattern;
  return NULL;
}

void weft_pattern_destroy(weft_pattern *pattern) {
  if (!pattern) return;
  pcre2_code_free(pattern->code);
  free(pattern);
}

void *weft_pattern_scratch(void) { return pcre2_match_data_create(1, NULL); }

void weft_pattern_scratch_free(void *scratch) { pcre2_match_data_free(scratch); }

static weft_status match(const weft_pattern *pattern, pcre2_match_data *data, const char *text, size_t bytes,
                         size_t from, bool *out_found) {
  int count = pcre2_match(pattern->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK, data, NULL);
  // Compiled code has a small stack; the interpreter takes its memory from the heap.
  if (count == PCRE2_ERROR_JIT_STACKLIMIT)
    count = pcre2_match(pattern->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, NULL);
  *out_found = count >= 0;
  if (count >= 0 || count == PCRE2_ERROR_NOMATCH) return NULL;
  char reason[160];
  (void)pcre2_get_error_message(count, (PCRE2_UCHAR *)reason, sizeof reason);
  return weft_error(WEFT_FAILED, "the tokenizer's pattern failed at byte %zu of %zu: %s", from, bytes, reason);
}

// `text` is UTF-8. An empty match cuts without taking anything.
static weft_status split_valid(const weft_pattern *pattern, pcre2_match_data *data, const char *text, size_t bytes,
                               weft_span_taker take, void *context) {
  size_t taken = 0, from = 0;
  while (from < bytes) {
    bool found;
    WEFT_TRY(match(pattern, data, text, bytes, from, &found));
    if (!found) break;
    const PCRE2_SIZE *place = pcre2_get_ovector_pointer(data);
    size_t start = place[0], end = place[1];
    // \K within a lookahead can turn the two round.
    if (start < from || end < start) return weft_error(WEFT_FAILED, "the tokenizer's pattern matches backwards");
    if (start > taken) WEFT_TRY(take(context, text + taken, start - taken, false));
    if (end > start) WEFT_TRY(take(context, text + start, end - start, true));
    taken = from = end;
    uint32_t character;
    if (end == start) from += end < bytes ? weft_utf8_read(text + end, bytes - end, &character) : 1;
  }
  return taken < bytes ? take(context, text + taken, bytes - taken, false) : NULL;
}

weft_status weft_pattern_split(const weft_pattern *pattern, void *scratch, const char *text, size_t bytes,
                               weft_span_taker take, void *context) {
  uint32_t character;
  for (size_t at = 0; at < bytes;) {
    size_t end = at, length;
    while (end < bytes && (length = weft_utf8_read(text + end, bytes - end, &character)) > 0) end += length;
    if (end > at) WEFT_TRY(split_valid(pattern, scratch, text + at, end - at, take, context));
    at = end;
    while (end < bytes && weft_utf8_read(text + end, bytes - end, &character) == 0) ++end;
    if (end > at) WEFT_TRY(take(context, text + at, end - at, false));
    at = end;
  }
  return NULL;
}
