// Views of arrays in the text form:
//   a                 all of it                    a[i]             one element for all
//   a[i:j]  a[i:j:s]  i included, j not            a[i:]  a[i:+n]   to the end (or `for`), n elements
//   a[i; n by s]      n elements, s apart          a[i; m by t; n by s]   m times n of them, t apart
//   a[r, c]           of an array with two dimensions: each an element or a range
// Offsets may hold one register times a constant.
#include <stdlib.h>

#include "compiler/kernel_text.h"

// One index: from `at`, `extent` elements `step` apart, or one alone.
typedef struct slice {
  weft_linear at;
  bool ranged, open;
  int64_t extent, step;
  const weft_token *token;
} slice;

static weft_status read_linear(weft_parser *parser, weft_linear *out_linear) {
  weft_node *n = NULL;
  WEFT_TRY(weft_text_sum(parser, &n));
  WEFT_TRY(weft_text_linear(parser, n, out_linear));
  if (out_linear->per_x == 0 && out_linear->per_y == 0) return NULL;
  return weft_text_error(parser, n->token,
                         "x and y are known to registers only (i32 column = x); take one as the offset");
}

static weft_status measure(weft_parser *parser, slice *s, const weft_linear *end) {
  if (end->reg != s->at.reg || end->scale != s->at.scale)
    return weft_text_error(parser, s->token, "the range's length is not a constant; [first : +length] says it");
  int64_t span = end->base - s->at.base;
  if ((span < 0) != (s->step < 0) && span != 0)
    return weft_text_error(parser, s->token, "the range ends %lld elements %s where it begins", (long long)llabs(span),
                           span < 0 ? "before" : "behind");
  int64_t step = llabs(s->step);
  s->extent = (llabs(span) + step - 1) / step;
  return NULL;
}

static bool at_sign(const weft_parser *parser, uint32_t sign) {
  return weft_peek(parser)->kind == WEFT_TOKEN_SIGN && weft_peek(parser)->sign == sign;
}

static weft_status read_slice(weft_parser *parser, slice *out) {
  weft_linear end = {.reg = WEFT_NOTHING};
  *out = (slice){.step = 1, .at.reg = WEFT_NOTHING, .token = weft_peek(parser)};
  if (!at_sign(parser, ':')) WEFT_TRY(read_linear(parser, &out->at));
  if (!weft_accept_sign(parser, ':')) return NULL;
  out->ranged = true;
  bool measured = weft_accept_sign(parser, '+');
  out->open = !measured && (at_sign(parser, ']') || at_sign(parser, ',') || at_sign(parser, ':'));
  if (measured)
    WEFT_TRY(weft_text_whole(parser, 0, UINT32_MAX - 1, "a length", &out->extent));
  else if (!out->open)
    WEFT_TRY(read_linear(parser, &end));
  if (weft_accept_sign(parser, ':')) {
    const weft_token *token = weft_peek(parser);
    WEFT_TRY(weft_text_whole(parser, INT32_MIN, INT32_MAX, "a step", &out->step));
    if (out->step == 0)
      return weft_text_error(parser, token, "a step of 0; a[i] without a range is one element for all");
  }
  if (measured || out->open) return NULL;
  // Far beyond any array; keeps the arithmetic below from overflowing.
  if (out->at.base > INT32_MAX || out->at.base < INT32_MIN || end.base > INT32_MAX || end.base < INT32_MIN)
    return weft_text_error(parser, out->token, "an index does not fit 32 bits");
  return measure(parser, out, &end);
}

static weft_status set_offset(weft_parser *parser, const weft_token *token, const weft_linear *at, weft_operand *out) {
  if (at->base < INT32_MIN || at->base > INT32_MAX || at->scale < INT32_MIN || at->scale > INT32_MAX)
    return weft_text_error(parser, token, "an index does not fit 32 bits");
  out->offset = (int32_t)at->base;
  out->offset_register = at->reg;
  out->offset_scale = (int32_t)at->scale;
  return NULL;
}

static void set_extent(weft_node *node, weft_extent_kind kind, int64_t extent) {
  node->extent_kind = kind;
  node->extent = extent < WEFT_NOTHING ? (uint32_t)extent : WEFT_NOTHING;
}

// What is left of an array of `length` from the slice's begin on, where that is known.
static int64_t rest(const slice *s, int64_t length) {
  if (s->at.reg != WEFT_NOTHING || s->at.base < 0 || s->at.base > length) return WEFT_NOTHING;
  int64_t step = llabs(s->step), span = s->step > 0 ? length - s->at.base : s->at.base + 1;
  return (span + step - 1) / step;
}

static weft_status view_1d(weft_parser *parser, const slice *s, uint32_t length, weft_node *node) {
  WEFT_TRY(set_offset(parser, s->token, &s->at, &node->operand));
  node->operand.stride = s->ranged ? (int32_t)s->step : 0;
  if (s->open)
    set_extent(node, WEFT_EXTENT_OPEN, rest(s, length));
  else if (s->ranged)
    set_extent(node, WEFT_EXTENT_KNOWN, s->extent);
  return NULL;
}

static weft_status close_slice(weft_parser *parser, slice *s, uint32_t length) {
  if (!s->open) return NULL;
  s->extent = rest(s, length);
  return s->extent == WEFT_NOTHING ? weft_text_error(parser, s->token, "the range's end is not known here") : NULL;
}

static weft_status view_2d(weft_parser *parser, slice *row, slice *column, uint32_t width, uint32_t length,
                           weft_node *node) {
  weft_operand *o = &node->operand;
  WEFT_TRY(close_slice(parser, row, length / width));
  WEFT_TRY(close_slice(parser, column, width));
  weft_linear at = column->at;
  if (at.reg != WEFT_NOTHING && row->at.reg != WEFT_NOTHING && at.reg != row->at.reg)
    return weft_text_error(parser, row->token, "a view's offset has one register; compute the offset into one");
  if (at.reg == WEFT_NOTHING) at.reg = row->at.reg;
  int64_t base, scale;
  if (__builtin_mul_overflow(row->at.base, (int64_t)width, &base) || __builtin_add_overflow(at.base, base, &at.base) ||
      __builtin_mul_overflow(row->at.scale, (int64_t)width, &scale) ||
      __builtin_add_overflow(at.scale, scale, &at.scale))
    return weft_text_error(parser, row->token, "an index does not fit 32 bits");
  WEFT_TRY(set_offset(parser, row->token, &at, o));
  int64_t outer = row->step * width;
  if (outer < INT32_MIN || outer > INT32_MAX)
    return weft_text_error(parser, row->token, "a stride does not fit 32 bits");
  o->stride = column->ranged ? (int32_t)column->step : row->ranged ? (int32_t)outer : 0;
  if (!row->ranged && !column->ranged) return NULL;
  bool folds = row->ranged && column->ranged && row->extent != 1 && outer != column->extent * column->step;
  if (folds) {
    o->inner = (uint32_t)column->extent;
    o->outer_stride = (int32_t)outer;
  }
  set_extent(node, WEFT_EXTENT_KNOWN, (row->ranged ? row->extent : 1) * (column->ranged ? column->extent : 1));
  return NULL;
}

// "; n by s" or "; by s"; *out_open tells which.
static weft_status read_by(weft_parser *parser, bool *out_open, int64_t *out_count, int64_t *out_stride) {
  *out_open = weft_accept_word(parser, "by");
  if (!*out_open) {
    WEFT_TRY(weft_text_whole(parser, 0, UINT32_MAX - 1, "a count", out_count));
    WEFT_TRY(weft_expect_word(parser, "by"));
  }
  return weft_text_whole(parser, INT32_MIN, INT32_MAX, "a stride", out_stride);
}

static weft_status view_by(weft_parser *parser, const slice *s, weft_node *node) {
  bool open, inner_open = false;
  int64_t count = 0, stride = 0;
  WEFT_TRY(set_offset(parser, s->token, &s->at, &node->operand));
  WEFT_TRY(read_by(parser, &open, &count, &stride));
  node->operand.stride = (int32_t)stride;
  if (weft_accept_sign(parser, ';')) {
    int64_t inner = 0, inner_stride = 0;
    const weft_token *token = weft_peek(parser);
    WEFT_TRY(read_by(parser, &inner_open, &inner, &inner_stride));
    if (inner_open || inner == 0) return weft_text_error(parser, token, "expected how many elements are in a row");
    node->operand.inner = (uint32_t)inner;
    node->operand.outer_stride = (int32_t)stride;
    node->operand.stride = (int32_t)inner_stride;
    count *= inner;
  }
  set_extent(node, open ? WEFT_EXTENT_OPEN : WEFT_EXTENT_KNOWN, open ? WEFT_NOTHING : count);
  return NULL;
}

weft_status weft_text_view(weft_parser *parser, uint32_t array, weft_node *out_node) {
  const weft_array *a = &parser->kernel->programs[parser->program].arrays[array];
  uint32_t length = a->length, width = parser->widths[array];
  out_node->operand = weft_all(parser->kernel, parser->program, array);
  if (!weft_accept_sign(parser, '[')) {
    set_extent(out_node, WEFT_EXTENT_OPEN, length);
    return NULL;
  }
  slice first, second;
  WEFT_TRY(read_slice(parser, &first));
  if (!first.ranged && weft_accept_sign(parser, ';')) {
    WEFT_TRY(view_by(parser, &first, out_node));
  } else if (weft_accept_sign(parser, ',')) {
    if (width == 0) return weft_text_error(parser, first.token, "\"%s\" has one dimension", a->name);
    WEFT_TRY(read_slice(parser, &second));
    WEFT_TRY(view_2d(parser, &first, &second, width, length, out_node));
  } else {
    WEFT_TRY(view_1d(parser, &first, length, out_node));
  }
  return weft_expect_sign(parser, ']');
}
