// The program `weft`: finds the subcommand and turns its status into an exit code.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/cli.h"

#define X(name) &weft_command_##name,
static const weft_command *const commands[] = {WEFT_COMMANDS(X)};
#undef X
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const weft_command *find_command(const char *name) {
  for (int i = 0; i < COMMAND_COUNT; ++i)
    if (strcmp(commands[i]->name, name) == 0) return commands[i];
  return NULL;
}

static weft_status unknown_command(const char *word) {
  const char *names[COMMAND_COUNT + 1];
  for (int i = 0; i < COMMAND_COUNT; ++i) names[i] = commands[i]->name;
  names[COMMAND_COUNT] = "help";
  return weft_error(WEFT_INVALID, "%s: unknown %s; the nearest is %s%s (weft --help lists all)", word,
                    *word == '-' ? "option" : "command", *word == '-' ? "--help, --version, --quiet or --verbose" : "",
                    *word == '-' ? "" : weft_nearest(word, names, COMMAND_COUNT + 1));
}

static void print_help(void) {
  printf(
      "weft: compiles, simulates and executes transformers on machines that stream weights.\n\n"
      "Usage: weft [--quiet|--verbose] COMMAND [OPTION...]\n"
      "       weft help COMMAND\n\n"
      "Commands:\n");
  for (int i = 0; i < COMMAND_COUNT; ++i) printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
  printf(
      "\nOptions:\n"
      "  --help       this text\n"
      "  --version    Weft's version\n"
      "  --quiet      only errors on stderr: no progress, no warnings\n"
      "  --verbose    more on stderr\n\n"
      "Results are written to stdout, log and progress to stderr.\n"
      "Exit codes: 0 ok, 1 failed, 2 usage or bad input, 3 does not fit the machine, 4 outside tolerance,\n"
      "77 not available on this computer.\n\n"
      "Environment: WEFT_DATA names the folder that holds models/ and plan/ (networks, machines, cases).\n");
}

static weft_status run_help(int argc, const char **argv) {
  if (argc < 2) {
    print_help();
    return NULL;
  }
  if (argc > 2) return weft_error(WEFT_INVALID, "help: expected one command, found \"%s\" after it", argv[2]);
  const weft_command *command = find_command(argv[1]);
  if (!command) return unknown_command(argv[1]);
  const char *arguments[] = {command->name, "--help", NULL};
  return command->run(2, arguments);
}

static weft_status run(int argc, const char **argv) {
  int at = 1;
  for (; at < argc; ++at) {
    if (strcmp(argv[at], "--quiet") == 0 || strcmp(argv[at], "-q") == 0)
      weft_log_set_level(WEFT_LOG_ERROR);
    else if (strcmp(argv[at], "--verbose") == 0 || strcmp(argv[at], "-v") == 0)
      weft_log_set_level(WEFT_LOG_DEBUG);
    else
      break;
  }
  if (at == argc) {
    print_help();
    return NULL;
  }
  const char *word = argv[at];
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    print_help();
    return NULL;
  }
  if (strcmp(word, "--version") == 0) {
    printf("weft %s\n", WEFT_VERSION);
    return NULL;
  }
  if (strcmp(word, "help") == 0) return run_help(argc - at, argv + at);
  const weft_command *command = find_command(word);
  if (!command) return unknown_command(word);
  return command->run(argc - at, argv + at);
}

// A session's three queues and OpenMP's workers share the cores. Workers that wait by spinning, as libgomp's do unless
// told otherwise, take them from the stream threads (and from other programs); libgomp reads the wish before main
// begins, so the program starts itself again with it. A policy that the user has set stands.
static void wait_without_spinning(char **argv) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv("/proc/self/exe", argv);  // on failure: slower, not wrong
}

int main(int argc, char **argv) {
  wait_without_spinning(argv);
  weft_status status = run(argc, (const char **)(void *)argv);
  if (fflush(stdout) != 0 && !status)
    status = weft_error(WEFT_FAILED, "cannot write the results to stdout: %s", strerror(errno));
  weft_code code = weft_status_code(status);
  if (status) fprintf(stderr, "weft: error: %s\n", weft_status_message(status));
  weft_status_free(status);
  return (int)code;
}
