// weft tokenize: text to ids and pieces, and ids back to text.
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "models/tokenizer.h"

typedef struct tokenize_options {
  char *tokenizer, *decode;
  int json, ids_only;
} tokenize_options;

static weft_status read_stdin(char **out_text, size_t *out_bytes) {
  size_t count = 0, room = 1 << 16, got;
  char *text = weft_allocate(room);
  while ((got = fread(text + count, 1, room - count, stdin)) > 0) {
    count += got;
    if (count == room) text = weft_grow(text, room *= 2, 1);
  }
  if (ferror(stdin)) {
    free(text);
    return weft_error(WEFT_FAILED, "stdin: %s", strerror(errno));
  }
  *out_text = text;
  *out_bytes = count;
  return NULL;
}

// A piece as a line can hold it: what is not printable ASCII or part of a whole character becomes \n, \t or \xNN.
static char *spell(const char *bytes, size_t count) {
  char *spelt = weft_allocate(4 * count + 1), *to = spelt;
  for (size_t i = 0; i < count; ++i) {
    unsigned char c = (unsigned char)bytes[i];
    size_t length = c < 0xc2 || c > 0xf4 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    size_t follow = 1;
    while (follow < length && i + follow < count && ((unsigned char)bytes[i + follow] & 0xc0) == 0x80) ++follow;
    json_t *whole = length > 1 && follow == length ? json_stringn(bytes + i, length) : NULL;
    if (whole) {
      memcpy(to, bytes + i, length);
      to += length;
      i += length - 1;
      json_decref(whole);
    } else if (c == '\n' || c == '\t' || c == '\\') {
      *to++ = '\\';
      *to++ = c == '\n' ? 'n' : c == '\t' ? 't' : '\\';
    } else if (c >= 0x80 || !isprint(c)) {
      to += sprintf(to, "\\x%02x", c);
    } else {
      *to++ = (char)c;
    }
  }
  *to = 0;
  return spelt;
}

// An id is a name, so people read it without the groups that weft_table_integer makes.
static void put_id(weft_table *table, int32_t id, bool json) {
  char plain[16];
  snprintf(plain, sizeof plain, "%d", id);
  if (json)
    weft_table_integer(table, id);
  else
    weft_table_text(table, plain);
}

static void print_tokens(const weft_tokenizer *tokenizer, const int32_t *ids, size_t count, bool json) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "id", NULL);
  weft_table_column(table, "piece", NULL);
  for (size_t i = 0; i < count; ++i) {
    size_t bytes;
    const char *piece = weft_tokenizer_piece(tokenizer, ids[i], &bytes);
    char *spelt = spell(piece, bytes);
    weft_table_row(table);
    put_id(table, ids[i], json);
    weft_table_text(table, spelt);
    free(spelt);
  }
  weft_table_print(table, json ? WEFT_TABLE_JSON : WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
}

static void print_ids(const int32_t *ids, size_t count, bool json) {
  if (json) fputs("[", stdout);
  for (size_t i = 0; i < count; ++i) printf("%s%d", i == 0 ? "" : json ? ", " : " ", ids[i]);
  fputs(json ? "]\n" : "\n", stdout);
}

static weft_status encode(const weft_tokenizer *tokenizer, const tokenize_options *options, const char *argument) {
  char *text = NULL;
  size_t bytes = 0, count = 0;
  if (argument && strcmp(argument, "-") != 0) {
    text = weft_copy_text(argument);
    bytes = strlen(text);
  } else {
    WEFT_TRY(read_stdin(&text, &bytes));
  }
  int32_t *ids = NULL;
  weft_status status = weft_tokenizer_encode(tokenizer, text, bytes, &ids, &count);
  free(text);
  if (status) return status;
  if (options->ids_only)
    print_ids(ids, count, options->json);
  else
    print_tokens(tokenizer, ids, count, options->json);
  free(ids);
  return NULL;
}

static weft_status read_ids(const char *text, int32_t **out_ids, size_t *out_count) {
  int32_t *ids = weft_allocate(1);
  size_t count = 0;
  for (const char *at = text; at[strspn(at, ", \t\n[]")];) {
    at += strspn(at, ", \t\n[]");
    char *end;
    errno = 0;
    long id = strtol(at, &end, 10);
    if (end == at || errno || id < 0 || id > INT32_MAX || (*end && !strchr(", \t\n]", *end))) {
      free(ids);
      return weft_error(WEFT_INVALID, "--decode: expected ids like \"12,7,300\", found \"%.40s\"", at);
    }
    ids = weft_grow(ids, count + 1, sizeof *ids);
    ids[count++] = (int32_t)id;
    at = end;
  }
  *out_ids = ids;
  *out_count = count;
  return NULL;
}

static weft_status decode(const weft_tokenizer *tokenizer, const tokenize_options *options) {
  int32_t *ids = NULL;
  size_t count = 0, bytes = 0;
  char *text = NULL;
  WEFT_TRY(read_ids(options->decode, &ids, &count));
  weft_status status = weft_tokenizer_decode(tokenizer, ids, count, &text, &bytes);
  free(ids);
  if (status) return status;
  if (options->json) {
    char *spelt = spell(text, bytes);
    json_t *whole = json_stringn(text, bytes);
    json_t *result = whole ? json_pack("{s:o}", "text", whole) : json_pack("{s:s}", "text_escaped", spelt);
    json_dumpf(result, stdout, JSON_INDENT(2));
    json_decref(result);
    free(spelt);
    fputs("\n", stdout);
  } else {
    fwrite(text, 1, bytes, stdout);
    if (bytes == 0 || text[bytes - 1] != '\n') fputs("\n", stdout);
  }
  free(text);
  return NULL;
}

static weft_status tokenize(const tokenize_options *options, const char *argument) {
  if (!options->tokenizer)
    return weft_error(WEFT_INVALID,
                      "tokenize: --tokenizer is missing: a tokenizer.json, a .gguf file, a folder with one of them, "
                      "or the word \"bytes\"");
  if (options->decode && argument) return weft_error(WEFT_INVALID, "tokenize: --decode and a text exclude each other");
  weft_tokenizer *tokenizer;
  WEFT_TRY(weft_tokenizer_open(options->tokenizer, &tokenizer));
  weft_status status = options->decode ? decode(tokenizer, options) : encode(tokenizer, options, argument);
  weft_tokenizer_close(tokenizer);
  return status;
}

static weft_status run(int argc, const char **argv) {
  tokenize_options chosen = {0};
  struct poptOption table[] = {
      {"tokenizer", 't', POPT_ARG_STRING, &chosen.tokenizer, 0,
       "tokenizer.json, .gguf, a folder with one of them, or \"bytes\"", "FILE"},
      {"ids", 0, POPT_ARG_NONE, &chosen.ids_only, 0, "print only the ids, on one line", NULL},
      {"decode", 0, POPT_ARG_STRING, &chosen.decode, 0, "print the text of these ids instead", "IDS"},
      {"json", 0, POPT_ARG_NONE, &chosen.json, 0, "print JSON", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft tokenize --tokenizer FILE [TEXT]",
      .about =
          "Prints the ids of TEXT (of stdin where TEXT is - or absent) and the bytes that each stands for.\n"
          "No special tokens are added.",
      .examples =
          "  weft tokenize --tokenizer tokenizer.json 'Hello, world!'\n"
          "  weft tokenize --tokenizer model.gguf --ids < text.txt\n"
          "  weft tokenize --tokenizer bytes --decode 72,105\n",
      .table = table,
      .positional_min = 0,
      .positional_max = 1};
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped)
    status = tokenize(&chosen, options.positional_count > 0 ? options.positional[0] : NULL);
  weft_cli_finish(&options);
  free(chosen.tokenizer);
  free(chosen.decode);
  return status;
}

const weft_command weft_command_tokenize = {"tokenize", "text to token ids and back", run};
