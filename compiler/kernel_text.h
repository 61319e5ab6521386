// Reading the text form of kernels: tokens, expressions, and the state that the parser's files share. docs/kernels.md
// has the language.
#ifndef WEFT_COMPILER_KERNEL_TEXT_H
#define WEFT_COMPILER_KERNEL_TEXT_H

#include "base/memory.h"
#include "compiler/kernel_internal.h"

typedef enum weft_token_kind {
  WEFT_TOKEN_END,
  WEFT_TOKEN_LINE,    // end of a line that ends a statement
  WEFT_TOKEN_WORD,    // a name or a word of the language
  WEFT_TOKEN_QUOTED,  // a name in quotes; begin and length are those of what is inside
  WEFT_TOKEN_WHOLE,
  WEFT_TOKEN_REAL,
  WEFT_TOKEN_SIGN
} weft_token_kind;

#define WEFT_SIGN2(first, second) ((uint32_t)(first) << 8 | (uint32_t)(second))

typedef struct weft_token {
  weft_token_kind kind;
  const char *begin;
  uint32_t length;
  uint32_t sign;  // SIGN: its character, or WEFT_SIGN2 of two
  uint32_t line, column;
  int64_t whole;
  double real;
} weft_token;

// Expressions. What is constant is folded as it is read; the rest becomes operands of one instruction.
typedef enum weft_node_kind {
  WEFT_NODE_WHOLE,
  WEFT_NODE_REAL,
  WEFT_NODE_TYPED,  // i32(...) or f32(...): a constant that is left as it is, in `operand`
  WEFT_NODE_X,      // the core's coordinates
  WEFT_NODE_Y,
  WEFT_NODE_OPERAND,  // view, register, receive
  WEFT_NODE_NEGATE,   // -a
  WEFT_NODE_BINARY,   // a `sign` b
  WEFT_NODE_CALL      // the word at `token`, of a and b
} weft_node_kind;

typedef enum weft_extent_kind {
  WEFT_EXTENT_NONE,   // one element for all, a register, wavelets: any count
  WEFT_EXTENT_KNOWN,  // `extent` elements
  WEFT_EXTENT_OPEN,   // `extent` elements unless `for` says how many (none where extent is WEFT_NOTHING)
} weft_extent_kind;

typedef struct weft_node weft_node;
struct weft_node {
  weft_node_kind kind;
  const weft_token *token;
  weft_node *a, *b;
  uint32_t sign;
  int64_t whole;
  double real;
  weft_operand operand;
  bool untyped;  // wavelets whose type is not written
  weft_extent_kind extent_kind;
  uint32_t extent;
};

typedef struct weft_text_constant {  // a parameter, a colour, or the counter of an `each`
  const weft_token *name;            // NULL: one of the language's own, called `known`
  const char *known;
  bool is_real, is_type, parameter;
  int64_t whole;
  double real;
  weft_dtype dtype;  // is_type
} weft_text_constant;

typedef struct weft_text_definition {  // define NAME(FORMAL, ...) BODY end
  const weft_token *name, *body;
  const weft_token **formals;
  uint32_t formal_count, body_count;
} weft_text_definition;

typedef struct weft_text_mention {  // of a task that may be declared later
  const weft_token *token;
  char name[WEFT_KERNEL_NAME];
  uint32_t instruction;
} weft_text_mention;

typedef struct weft_parser {
  const char *file;
  weft_arena arena;
  weft_token *tokens;
  uint32_t token_count, at;
  weft_kernel *kernel;
  bool named;             // `kernel` was read
  uint32_t program;       // WEFT_NOTHING before the first
  bool starting;          // the value that a register begins with is being read
  bool choosing;          // a condition of x and y is
  bool in_task, dropped;  // dropped: the program covers no core
  uint32_t *widths;       // of the program's arrays: columns of those with two dimensions, else 0
  weft_text_constant *constants;
  uint32_t constant_count;
  weft_text_definition *definitions;
  uint32_t definition_count, used_tokens;
  weft_text_mention *mentions;
  uint32_t mention_count;
  const char *const *settings;
  uint32_t setting_count;
  bool *setting_used;
  uint32_t depth;       // of nested items and expressions
  uint32_t open;        // loops and ifs
  uint32_t repetition;  // items read so far, again and again inside `each`
} weft_parser;

// ---- kernel_lex.c

// Tokens of a text, from the parser's arena; the last one is END.
weft_status weft_text_tokens(weft_parser *parser, const char *text) WEFT_CHECKED;
// "file:line:column: what".
weft_status weft_text_error(const weft_parser *parser, const weft_token *token, const char *format, ...)
    WEFT_PRINTF(3, 4) WEFT_CHECKED;
bool weft_token_is(const weft_token *token, const char *word);              // an unquoted word
const char *weft_token_text(weft_parser *parser, const weft_token *token);  // for messages

const weft_token *weft_peek(const weft_parser *parser);
const weft_token *weft_next(weft_parser *parser);
bool weft_accept_word(weft_parser *parser, const char *word);
bool weft_accept_sign(weft_parser *parser, uint32_t sign);
weft_status weft_expect_word(weft_parser *parser, const char *word) WEFT_CHECKED;
weft_status weft_expect_sign(weft_parser *parser, uint32_t sign) WEFT_CHECKED;
// A name: a word that is none of the language's, or one in quotes with {constants} put in. `size` bytes, 64 at most,
// with the zero.
weft_status weft_expect_name(weft_parser *parser, const char *what, char *out_name, size_t size) WEFT_CHECKED;

// ---- kernel_expression.c

weft_status weft_text_expression(weft_parser *parser, weft_node **out_node) WEFT_CHECKED;  // comparisons and all
weft_status weft_text_sum(weft_parser *parser, weft_node **out_node) WEFT_CHECKED;         // without comparisons
weft_status weft_text_primary(weft_parser *parser, weft_node **out_node) WEFT_CHECKED;     // a view, a name, a number
weft_status weft_text_whole(weft_parser *parser, int64_t least, int64_t most, const char *what,
                            int64_t *out_value) WEFT_CHECKED;  // a constant
weft_status weft_text_number(weft_parser *parser, const char *what, double *out_value) WEFT_CHECKED;
weft_status weft_text_f32(weft_parser *parser, const char *what, uint32_t *out_bits) WEFT_CHECKED;
weft_status weft_text_colour(weft_parser *parser, uint32_t *out_colour) WEFT_CHECKED;
weft_status weft_text_wavelets(weft_parser *parser, weft_operand_kind kind, weft_node *out_node) WEFT_CHECKED;
// A condition that x and y may decide, and what it says of a core. Whether it asks for x (WEFT_NODE_X) or y at all.
weft_status weft_text_condition(weft_parser *parser, weft_node **out_node) WEFT_CHECKED;
weft_status weft_text_holds(weft_parser *parser, const weft_node *condition, uint32_t x, uint32_t y,
                            bool *out_holds) WEFT_CHECKED;
bool weft_text_uses(const weft_node *node, weft_node_kind kind);
bool weft_text_is_function(const weft_token *name);  // sum, max, sqrt ...
weft_text_constant *weft_text_constant_find(const weft_parser *parser, const weft_token *name);
void weft_text_constant_push(weft_parser *parser, weft_text_constant constant);

// base + x * per_x + y * per_y + register * scale, as far as an expression is that.
typedef struct weft_linear {
  int64_t base, per_x, per_y, scale;
  uint32_t reg;  // WEFT_NOTHING: none
} weft_linear;
weft_status weft_text_linear(weft_parser *parser, const weft_node *node, weft_linear *out_linear) WEFT_CHECKED;

// ---- kernel_view.c: what stands in brackets behind an array's name.
weft_status weft_text_view(weft_parser *parser, uint32_t array, weft_node *out_node) WEFT_CHECKED;

// ---- kernel_statement.c: one statement of a task; loops and ifs read their bodies through kernel_parse.c.
weft_status weft_text_statement(weft_parser *parser) WEFT_CHECKED;

// ---- kernel_define.c

// f32, f16, bf16, i32, or the name of a `type`.
bool weft_accept_type(weft_parser *parser, weft_dtype *out_dtype);
weft_status weft_text_type(weft_parser *parser, weft_dtype *out_dtype) WEFT_CHECKED;
// What follows the words `define` (at `begin`) and `use`.
weft_status weft_text_define(weft_parser *parser, const weft_token *begin) WEFT_CHECKED;
weft_status weft_text_use(weft_parser *parser) WEFT_CHECKED;

// ---- kernel_place.c

// "at BLOCK and BLOCK where CONDITION": the blocks with cores in them; the caller frees them, also after a mistake.
weft_status weft_text_blocks(weft_parser *parser, weft_block **out_blocks, uint32_t *out_count) WEFT_CHECKED;
weft_status weft_text_route(weft_parser *parser) WEFT_CHECKED;
weft_status weft_text_channel(weft_parser *parser) WEFT_CHECKED;

// ---- kernel_parse.c: items until one of the words that end them: "end", "else", "otherwise", or the end of the text.
weft_status weft_text_items(weft_parser *parser) WEFT_CHECKED;
weft_status weft_text_line_end(weft_parser *parser) WEFT_CHECKED;
// Goes to the `end` (or `otherwise`, if wanted) of what `begin` has opened, past what is nested.
weft_status weft_text_skip(weft_parser *parser, const weft_token *begin, bool otherwise) WEFT_CHECKED;

#endif
