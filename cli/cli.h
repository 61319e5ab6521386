// What the subcommands share. One file per subcommand, thin: read options, call the library, print through
// base/table.h. Results on stdout, everything else on stderr; the exit code is the status's code.
#ifndef WEFT_CLI_CLI_H
#define WEFT_CLI_CLI_H

#include <popt.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/table.h"

typedef struct weft_command {
  const char *name;     // "trace summary" style names are one command "trace" that looks at its first argument
  const char *summary;  // one line for `weft --help`
  weft_status (*run)(int argc, const char **argv);  // argv[0] is the subcommand's name
} weft_command;

#define WEFT_COMMANDS(X)                                                                                     \
  X(networks) X(machines) X(backends) X(compile) X(show) X(sim) X(run) X(generate) X(train) X(score) X(trace) \
  X(compare) X(calibrate) X(validate) X(checkpoint) X(tokenize) X(kernel)
#define X(name) extern const weft_command weft_command_##name;
WEFT_COMMANDS(X)
#undef X

// One subcommand's options: a popt table (end with POPT_TABLEEND; --help is added), positional arguments, help texts.
//   const char *where[2];
//   weft_cli_options options = {.usage = "weft show S.weft", .about = "...", .examples = "  weft show s.weft --json\n",
//                               .table = table, .positional_min = 1, .positional_max = 1};
//   WEFT_TRY(weft_cli_parse(&options, argc, argv));
//   if (options.helped) return NULL;
//   ... options.positional[0] ...
//   weft_cli_finish(&options);
// Unknown options (with the nearest known), an option given twice (but for POPT_ARG_ARGV), a value that is not what the
// option takes and wrong counts of arguments are WEFT_INVALID. After an error or --help nothing is left to be finished,
// but weft_cli_finish may be called all the same. The table's `val` fields are popt's business and may be 0. Values of
// POPT_ARG_STRING are the caller's to free.
typedef struct weft_cli_options {
  const char *usage, *about, *examples;  // "weft show S.weft [OPTION...]"; a sentence or two; indented lines
  struct poptOption *table;
  int positional_min, positional_max;
  const char **positional;  // out: positional_count of them, valid until weft_cli_finish
  int positional_count;
  bool helped;              // out: --help was printed
  poptContext context;      // out
  int help;                 // from here on: weft_cli_parse's own
  struct poptOption *owned_table;
  const char **owned_argv;
} weft_cli_options;

weft_status weft_cli_parse(weft_cli_options *options, int argc, const char **argv) WEFT_CHECKED;
void weft_cli_finish(weft_cli_options *options);  // takes an options that was never parsed

#endif
