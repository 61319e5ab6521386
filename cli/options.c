// Options of the subcommands over popt.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "cli/cli.h"

static bool is_last(const struct poptOption *option) { return !option->longName && !option->shortName && !option->arg; }

static int option_count(const struct poptOption *table) {
  int count = 0;
  while (table && !is_last(&table[count])) ++count;
  return count;
}

static unsigned kind_of(const struct poptOption *option) { return option->argInfo & POPT_ARG_MASK; }

// popt's copy of the caller's table: --help added, and each option's `val` its place + 1, by which poptGetNextOpt tells
// which one it met (but for POPT_ARG_VAL, where val is the value to be stored).
static struct poptOption *complete_table(const struct poptOption *table, int count, int *help) {
  struct poptOption *all = weft_allocate_array((size_t)count + 2, sizeof *all);
  for (int i = 0; i < count; ++i) {
    all[i] = table[i];
    if (kind_of(&all[i]) != POPT_ARG_VAL) all[i].val = i + 1;
  }
  all[count] = (struct poptOption){
      .longName = "help", .shortName = 'h', .argInfo = POPT_ARG_NONE, .arg = help, .descrip = "print this text"};
  return all;
}

static const char *value_kind(const struct poptOption *option) {
  switch (kind_of(option)) {
    case POPT_ARG_SHORT:
    case POPT_ARG_INT:
    case POPT_ARG_LONG:
    case POPT_ARG_LONGLONG: return "a whole number";
    case POPT_ARG_FLOAT:
    case POPT_ARG_DOUBLE: return "a number";
    default: return "a value";
  }
}

static const struct poptOption *find_option(const weft_cli_options *options, const char *word) {
  const char *name = word + strspn(word, "-");
  size_t length = strcspn(name, "=");
  for (const struct poptOption *o = options->owned_table; !is_last(o); ++o) {
    if (o->longName && strlen(o->longName) == length && strncmp(o->longName, name, length) == 0) return o;
    if (length == 1 && o->shortName == *name) return o;
  }
  return NULL;
}

static weft_status unknown_option(const weft_cli_options *options, const char *command, const char *word) {
  const char *names[128];
  size_t count = 0;
  for (const struct poptOption *o = options->owned_table; !is_last(o) && count < 128; ++o)
    if (o->longName) names[count++] = o->longName;
  char *bare = weft_copy_text(word + strspn(word, "-"));
  bare[strcspn(bare, "=")] = 0;
  weft_status status = weft_error(
      WEFT_INVALID, "%s: unknown option %s; the nearest is --%s (\"--\" before a text that begins with \"-\")", command,
      word, weft_nearest(bare, names, count));
  free(bare);
  return status;
}

static weft_status bad_number(const weft_cli_options *options, const char *command, const char *word) {
  // popt names the option in "--tokens=x", but the value in "--tokens x": the option is then the word before.
  const struct poptOption *option = find_option(options, word);
  const char *value = strchr(word, '=');
  if (value) ++value;
  for (const char **a = options->owned_argv; *a && !option; ++a) {
    if (a[1] != word) continue;
    option = find_option(options, *a);
    value = word;
  }
  if (!option || !option->longName) return weft_error(WEFT_INVALID, "%s: \"%s\" is not a number", command, word);
  return weft_error(WEFT_INVALID, "%s: --%s: expected %s, found \"%s\"", command, option->longName, value_kind(option),
                    value ? value : word);
}

static weft_status explain(const weft_cli_options *options, const char *command, int reason) {
  const char *word = poptBadOption(options->context, POPT_BADOPTION_NOALIAS);
  if (!word) word = "?";
  const struct poptOption *option = find_option(options, word);
  if (reason == POPT_ERROR_BADOPT) return unknown_option(options, command, word);
  if (reason == POPT_ERROR_NOARG && option)
    return weft_error(WEFT_INVALID, "%s: %s needs %s after it", command, word, value_kind(option));
  if (reason == POPT_ERROR_BADNUMBER || reason == POPT_ERROR_OVERFLOW) return bad_number(options, command, word);
  return weft_error(WEFT_INVALID, "%s: %s: %s", command, word, poptStrerror(reason));
}

// popt reads whole numbers with strtoll, which saturates without a word.
static bool is_saturated(const struct poptOption *option) {
  if (!option->arg) return false;
  if (kind_of(option) == POPT_ARG_LONG) return *(long *)option->arg == LONG_MAX || *(long *)option->arg == LONG_MIN;
  if (kind_of(option) == POPT_ARG_LONGLONG)
    return *(long long *)option->arg == LLONG_MAX || *(long long *)option->arg == LLONG_MIN;
  return false;
}

static weft_status read_options(weft_cli_options *options, const char *command, int count) {
  bool *seen = weft_allocate_array((size_t)count + 1, sizeof *seen);
  weft_status status = NULL;
  int met;
  while (!status && (met = poptGetNextOpt(options->context)) != -1) {
    if (met < -1) {
      status = explain(options, command, met);
    } else if (met > 0 && met <= count) {
      const struct poptOption *option = &options->owned_table[met - 1];
      // The first value would be lost without a word.
      if (seen[met - 1] && kind_of(option) != POPT_ARG_ARGV)
        status = weft_error(WEFT_INVALID, "%s: --%s is given twice", command, option->longName);
      else if (is_saturated(option))
        status = weft_error(WEFT_INVALID, "%s: --%s: the number does not fit 64 bits", command, option->longName);
      seen[met - 1] = true;
    }
  }
  free(seen);
  return status;
}

// Prints a paragraph in lines of up to 79 columns, as wide as popt's; its own line ends count as spaces.
static void print_paragraph(const char *text) {
  int column = 0;
  for (size_t length; *(text += strspn(text, " \n")); text += length) {
    length = strcspn(text, " \n");
    if (column > 0 && column + 1 + (int)length > 79) {
      putchar('\n');
      column = 0;
    }
    column += printf("%s%.*s", column > 0 ? " " : "", (int)length, text);
  }
  printf("\n\n");
}

static void print_help(const weft_cli_options *options) {
  if (options->about) print_paragraph(options->about);
  poptPrintHelp(options->context, stdout, 0);
  if (options->examples) printf("\nExamples:\n%s", options->examples);
}

static weft_status read_positional(weft_cli_options *options, const char *command) {
  options->positional = poptGetArgs(options->context);
  options->positional_count = 0;
  while (options->positional && options->positional[options->positional_count]) ++options->positional_count;
  if (options->positional_count < options->positional_min)
    return weft_error(WEFT_INVALID, "%s: %s is missing; usage: %s", command,
                      options->positional_count == 0 ? "an argument" : "a further argument", options->usage);
  if (options->positional_count > options->positional_max)
    return weft_error(WEFT_INVALID, "%s: \"%s\" is one argument too many; usage: %s", command,
                      options->positional[options->positional_max], options->usage);
  return NULL;
}

weft_status weft_cli_parse(weft_cli_options *options, int argc, const char **argv) {
  int count = option_count(options->table);
  options->owned_table = complete_table(options->table, count, &options->help);
  options->owned_argv = weft_allocate_array((size_t)argc + 1, sizeof *options->owned_argv);
  for (int i = 0; i < argc; ++i) options->owned_argv[i] = argv[i];
  options->owned_argv[0] = "weft";  // popt's help begins with it
  options->context = poptGetContext("weft", argc, options->owned_argv, options->owned_table, 0);
  const char *usage = strncmp(options->usage, "weft ", 5) == 0 ? options->usage + 5 : options->usage;
  poptSetOtherOptionHelp(options->context, usage);
  weft_status status = read_options(options, argv[0], count);
  if (!status && options->help) {
    print_help(options);
    options->helped = true;
  } else if (!status) {
    status = read_positional(options, argv[0]);
  }
  if (status || options->helped) weft_cli_finish(options);
  return status;
}

void weft_cli_finish(weft_cli_options *options) {
  if (options->context) poptFreeContext(options->context);
  free(options->owned_argv);
  free(options->owned_table);
  options->context = NULL;
  options->owned_argv = NULL;
  options->owned_table = NULL;
  options->positional = NULL;
  options->positional_count = 0;
}
