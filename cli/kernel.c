// weft kernel: kernels as text or protobuf: judged, printed, executed on a simulated mesh.
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/kernel_data.h"
#include "cli/observe.h"
#include "compiler/kernel.h"
#include "models/directory.h"
#include "models/machine.h"
#include "sim/mesh.h"

enum { MOST_SETTINGS = 64 };

// ---- reading ----

// A path, or the name of a kernel that Weft brings along.
static weft_status find_kernel(const char *where, char **out_path) {
  if (weft_file_exists(where) || strchr(where, '/') || strchr(where, '.')) {
    *out_path = weft_copy_text(where);
    return NULL;
  }
  char **names = NULL;
  uint32_t count = 0;
  weft_status status = weft_directory_names("models/kernels", ".kernel", &names, &count);
  bool known = false;
  for (uint32_t n = 0; n < count && !status; ++n) known |= strcmp(names[n], where) == 0;
  if (!status && known) {
    char *relative = weft_format("models/kernels/%s.kernel", where);
    status = weft_data_path(relative, out_path);
    free(relative);
  } else if (!status) {
    status = weft_error(WEFT_INVALID, "%s: no such file, and no kernel of that name; the nearest name is \"%s\"", where,
                        weft_nearest(where, (const char *const *)names, count));
  }
  weft_directory_names_free(names, count);
  return status;
}

// positional: the kernel, then settings.
static weft_status read_kernel(const weft_cli_options *options, uint64_t sram_bytes, weft_kernel **out_kernel) {
  char *path = NULL;
  weft_kernel *kernel = NULL;
  WEFT_TRY(find_kernel(options->positional[0], &path));
  weft_status status =
      weft_kernel_read(path, options->positional + 1, (uint32_t)options->positional_count - 1, &kernel);
  if (!status) status = weft_status_prefix(weft_kernel_check(kernel, sram_bytes), "%s: ", path);
  free(path);
  if (status) {
    weft_kernel_destroy(kernel);
    return status;
  }
  *out_kernel = kernel;
  return NULL;
}

static weft_status read_mesh(const char *where, weft_machine **out_machine) {
  WEFT_TRY(weft_machine_read(where ? where : "wse2", out_machine));
  if ((*out_machine)->kind == WEFT_MESH) return NULL;
  weft_status status =
      weft_error(WEFT_INVALID, "machine %s is not a mesh of cores: kernels run on meshes", (*out_machine)->name);
  weft_machine_destroy(*out_machine);
  *out_machine = NULL;
  return status;
}

// ---- check and print ----

static void print_summary(const weft_kernel *kernel, weft_table_form form) {
  weft_table *table = weft_table_create();
  static const char *const columns[] = {"program",   "blocks", "arrays",      "sram_bytes",
                                        "registers", "tasks",  "instructions"};
  for (size_t c = 0; c < sizeof columns / sizeof *columns; ++c) weft_table_column(table, columns[c], NULL);
  for (uint32_t p = 0; p < kernel->program_count; ++p) {
    const weft_program *program = &kernel->programs[p];
    weft_table_row(table);
    weft_table_text(table, program->name);
    weft_table_integer(table, program->block_count);
    weft_table_integer(table, program->array_count);
    weft_table_integer(table, program->sram_bytes);
    weft_table_integer(table, program->register_count);
    weft_table_integer(table, program->task_count);
    weft_table_integer(table, program->code_count);
  }
  if (form == WEFT_TABLE_TEXT)
    printf("%s: %u x %u cores, %u routes, %u channels, hash %016" PRIx64 "\n", kernel->name, kernel->columns,
           kernel->rows, kernel->route_count, kernel->channel_count, weft_kernel_hash(kernel));
  weft_table_print(table, form, stdout);
  weft_table_destroy(table);
}

static weft_status run_check(int argc, const char **argv) {
  char *where = NULL;
  int json = 0;
  struct poptOption table[] = {
      {"machine", 'm', POPT_ARG_STRING, &where, 0, "whose SRAM it must fit (default wse2)", "M"},
      {"json", 'j', POPT_ARG_NONE, &json, 0, "for programs", NULL},
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft kernel check FILE [NAME=VALUE...]",
      .about =
          "Reads a kernel, judges everything that can be judged without executing it, and lists its programs. FILE "
          "may be the name of a kernel that Weft brings along; NAME=VALUE sets a parameter.",
      .examples = "  weft kernel check heat size=32\n  weft kernel check bicgstab columns=600 rows=595 --machine cs1\n",
      .table = table,
      .positional_min = 1,
      .positional_max = MOST_SETTINGS};
  weft_machine *machine = NULL;
  weft_kernel *kernel = NULL;
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = read_mesh(where, &machine);
  if (machine) status = read_kernel(&options, machine->mesh.sram_bytes_per_core, &kernel);
  if (kernel) print_summary(kernel, json ? WEFT_TABLE_JSON : WEFT_TABLE_TEXT);
  weft_kernel_destroy(kernel);
  weft_machine_destroy(machine);
  weft_cli_finish(&options);
  free(where);
  return status;
}

static weft_status run_print(int argc, const char **argv) {
  char *out = NULL;
  struct poptOption table[] = {
      {"output", 'o', POPT_ARG_STRING, &out, 0, "write it as protobuf instead of printing it", "K.pb"}, POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft kernel print FILE [NAME=VALUE...]",
      .about = "Prints a kernel with its parameters put in, its repetitions written out and its arrays placed.",
      .examples = "  weft kernel print line_sum cores=4\n  weft kernel print line_sum cores=512 -o line_sum.pb\n",
      .table = table,
      .positional_min = 1,
      .positional_max = MOST_SETTINGS};
  weft_kernel *kernel = NULL;
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = read_kernel(&options, 0, &kernel);
  if (kernel && out) status = weft_kernel_write(kernel, out);
  if (kernel && !out) weft_kernel_print(kernel, stdout);
  weft_kernel_destroy(kernel);
  weft_cli_finish(&options);
  free(out);
  return status;
}

// ---- run: what is printed ----

static void print_numbers(const double *values, uint64_t count, bool whole) {
  for (uint64_t i = 0; i < count; ++i) printf(whole ? " %.0f" : " %.9g", values[i]);
  printf("\n");
}

static void print_values(const weft_execution *e, const char *name, const weft_execution_values *v) {
  if (v->channel) {
    printf("%s:", name);
    print_numbers(v->values, v->count, v->whole);
    return;
  }
  const double *at = v->values;
  for (size_t c = 0; c < (size_t)e->kernel->columns * e->kernel->rows; ++c) {
    uint32_t length = weft_execution_length(e, c, name);
    if (length == 0) continue;
    printf("%s (%zu, %zu):", name, c % e->kernel->columns, c / e->kernel->columns);
    print_numbers(at, length, v->whole);
    at += length;
  }
}

static const char *const stall_labels[WEFT_STALLS] = {"waiting to receive", "waiting to send",
                                                      "waiting for a microthread", "idle"};
static const char *const stall_keys[WEFT_STALLS] = {"stall_receive_percent", "stall_send_percent",
                                                    "stall_microthread_percent", "stall_idle_percent"};

// Percent of all cycles of all cores that have a program.
static double share(const weft_execution *e, const weft_mesh_report *r, uint64_t cycles) {
  double all = (double)r->cycles * e->cores;
  return all > 0 ? 100 * (double)cycles / all : 0;
}

static void add_row(weft_table *table, const char *quantity, double value, int digits, const char *unit) {
  weft_table_row(table);
  weft_table_text(table, quantity);
  if (digits == 0)
    weft_table_integer(table, (int64_t)value);
  else
    weft_table_number(table, value, digits);
  weft_table_text(table, unit);
}

static void print_report(const weft_execution *e, const weft_mesh_report *r) {
  double seconds = (double)r->cycles / e->machine->mesh.clock_hz;
  printf("%s on %u x %u cores of %s\n", e->kernel->name, e->kernel->columns, e->kernel->rows, e->machine->name);
  weft_table *table = weft_table_create();
  weft_table_column(table, "quantity", NULL);
  weft_table_column(table, "value", NULL);
  weft_table_column(table, "unit", NULL);
  add_row(table, "time", (double)r->cycles, 0, "cycles");
  add_row(table, "", seconds * 1e6, 4, "us");
  add_row(table, "hops between routers", (double)r->link_hops, 0, "wavelets");
  add_row(table, "through ramps", (double)r->ramp_hops, 0, "wavelets");
  if (r->control_hops) add_row(table, "control", (double)r->control_hops, 0, "hops");
  add_row(table, "instructions", (double)r->instructions, 0, NULL);
  add_row(table, "elements", (double)r->elements, 0, NULL);
  add_row(table, "arithmetic", r->flops, 0, "FLOP");
  add_row(table, "", r->cycles ? r->flops / seconds / 1e9 : 0, 4, "GFLOP/s");
  add_row(table, "cores busy", share(e, r, r->core_busy_cycles), 4, "%");
  for (int s = 0; s < WEFT_STALLS; ++s) add_row(table, stall_labels[s], share(e, r, r->stall_cycles[s]), 4, "%");
  weft_table_print(table, WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
}

static json_t *report_json(const weft_execution *e, const weft_mesh_report *r) {
  char hash[17];
  snprintf(hash, sizeof hash, "%016" PRIx64, r->hash);
  double seconds = (double)r->cycles / e->machine->mesh.clock_hz;
  json_t *root = json_pack("{s:s, s:s, s:i, s:i, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:s, s:f, s:I}",
                           "kernel", e->kernel->name, "machine", e->machine->name, "columns", (int)e->kernel->columns,
                           "rows", (int)e->kernel->rows, "cycles", (json_int_t)r->cycles, "seconds", seconds,
                           "link_hops", (json_int_t)r->link_hops, "ramp_hops", (json_int_t)r->ramp_hops, "control_hops",
                           (json_int_t)r->control_hops, "instructions", (json_int_t)r->instructions, "elements",
                           (json_int_t)r->elements, "flops", r->flops, "flops_per_second",
                           r->cycles ? r->flops / seconds : 0.0, "busy_percent", share(e, r, r->core_busy_cycles),
                           "hash", hash, "wall_seconds", r->wall_seconds, "memory_bytes", (json_int_t)r->memory_bytes);
  for (int s = 0; s < WEFT_STALLS; ++s)
    json_object_set_new(root, stall_keys[s], json_real(share(e, r, r->stall_cycles[s])));
  return root;
}

static weft_status print_arrays(const weft_execution *e, const char *const *names, json_t *arrays) {
  for (; names && *names; ++names) {
    weft_execution_values v;
    WEFT_TRY(weft_execution_fetch(e, "print", *names, &v));
    if (arrays) {
      json_t *list = json_array();
      for (uint64_t i = 0; i < v.count; ++i)
        json_array_append_new(list, v.whole                 ? json_integer((json_int_t)v.values[i])
                                    : isfinite(v.values[i]) ? json_real(v.values[i])
                                                            : json_null());
      json_object_set_new(arrays, *names, list);
    } else {
      print_values(e, *names, &v);
    }
    free(v.values);
  }
  return NULL;
}

static weft_status print_results(const weft_execution *e, const weft_mesh_report *r, const char *const *names,
                                 bool json, weft_cli_observe *observe) {
  weft_log(WEFT_LOG_DEBUG, "simulated in %.3f s, %.1f million hops/s", r->wall_seconds,
           r->wall_seconds > 0 ? (double)(r->link_hops + r->ramp_hops) / r->wall_seconds / 1e6 : 0);
  if (observe->csv) return weft_cli_observe_end(observe, stdout);
  if (!json) {
    print_report(e, r);
    WEFT_TRY(print_arrays(e, names, NULL));
    return weft_cli_observe_end(observe, stdout);
  }
  json_t *root = report_json(e, r), *arrays = json_object();
  weft_status status = print_arrays(e, names, arrays);
  json_object_set_new(root, "arrays", arrays);
  if (!status) status = weft_cli_observe_end_json(observe, root);
  if (!status) {
    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    printf("\n");
  }
  json_decref(root);
  return status;
}

// ---- run ----

typedef struct run_options {
  char *machine;
  int threads, json;
  long long most_cycles;
  const char **inputs, **outputs, **prints;
  weft_cli_observe observe;
} run_options;

static weft_status open_channels(weft_execution *e) {
  const weft_kernel *k = e->kernel;
  e->words = weft_allocate_array(k->channel_count, sizeof *e->words);
  for (uint32_t c = 0; c < k->channel_count; ++c) {
    void *words = NULL;
    WEFT_TRY(weft_allocate_large(k->channels[c].words * sizeof(uint32_t), k->channels[c].name, &words));
    e->words[c] = words;
    WEFT_TRY(k->channels[c].into_mesh ? weft_mesh_feed(e->mesh, c, words, k->channels[c].words)
                                      : weft_mesh_drain(e->mesh, c, words, k->channels[c].words));
  }
  return NULL;
}

// What is asked for after the run must be there: told before a long one.
static weft_status check_names(const weft_execution *e, const run_options *o) {
  weft_status status = NULL;
  for (const char *const *name = o->prints; name && *name && !status; ++name)
    status = weft_execution_check(e, "print", *name);
  for (const char *const *output = o->outputs; output && *output && !status; ++output)
    status = weft_execution_check_output(e, *output);
  return status;
}

static weft_status execute(weft_execution *e, run_options *o) {
  weft_mesh_options options = weft_mesh_options_default();
  options.threads = (uint32_t)o->threads;
  options.most_cycles = (uint64_t)o->most_cycles;
  WEFT_TRY(weft_cli_observe_begin(&o->observe, e->kernel->name, e->machine));
  WEFT_TRY(weft_cli_observe_open(&o->observe, e->kernel->columns, e->kernel->rows, &options));
  options.count_links = true;  // the report says how busy cores are
  weft_execution_find_programs(e);
  WEFT_TRY(check_names(e, o));
  WEFT_TRY(weft_mesh_open(e->kernel, e->machine, &options, &e->mesh));
  WEFT_TRY(open_channels(e));
  for (const char *const *input = o->inputs; input && *input; ++input) WEFT_TRY(weft_execution_input(e, *input));
  weft_mesh_report report;
  weft_status status = weft_status_prefix(weft_mesh_run(e->mesh, &report), "kernel %s: ", e->kernel->name);
  if (status) return weft_cli_observe_give_up(&o->observe, e->kernel, status);
  for (const char *const *output = o->outputs; output && *output; ++output) WEFT_TRY(weft_execution_output(e, *output));
  weft_cli_observe_take(&o->observe, "", e->kernel, e->mesh, &report);
  return print_results(e, &report, o->prints, o->json != 0, &o->observe);
}

static weft_status execute_file(const weft_cli_options *options, run_options *o) {
  weft_machine *machine = NULL;
  weft_kernel *kernel = NULL;
  if (o->threads < 1 || o->threads > 2) return weft_error(WEFT_INVALID, "--threads %d: expected 1 or 2", o->threads);
  if (o->most_cycles < 0) return weft_error(WEFT_INVALID, "--most-cycles %lld: expected 0 or more", o->most_cycles);
  WEFT_TRY(read_mesh(o->machine, &machine));
  weft_status status = read_kernel(options, machine->mesh.sram_bytes_per_core, &kernel);
  if (!status) {
    weft_execution e = {.kernel = kernel, .machine = machine};
    status = execute(&e, o);
    weft_mesh_close(e.mesh);
    for (uint32_t c = 0; e.words && c < kernel->channel_count; ++c) weft_free_large(e.words[c]);
    free(e.words);
    free(e.programs);
  }
  weft_kernel_destroy(kernel);
  weft_machine_destroy(machine);
  return status;
}

static void free_list(const char **list) {
  for (const char **item = list; item && *item; ++item) free((char *)(uintptr_t)*item);
  free(list);
}

static weft_status run_run(int argc, const char **argv) {
  run_options o = {.threads = 1};
  struct poptOption table[] = {
      {"machine", 'm', POPT_ARG_STRING, &o.machine, 0, "mesh that executes it (default wse2)", "M"},
      {"input", 'i', POPT_ARG_ARGV, &o.inputs, 0,
       "write before the start: iota, ones, random:SEED, a file of f32 or FILE.npy", "ARRAY=WHAT"},
      {"output", 'o', POPT_ARG_ARGV, &o.outputs, 0,
       "write an array or register to a file of f32 or to FILE.npy after the end", "ARRAY=FILE"},
      {"print", 'p', POPT_ARG_ARGV, &o.prints, 0, "print an array or a register after the end", "ARRAY"},
      {"threads", 't', POPT_ARG_INT, &o.threads, 0, "1 or 2, with the same result (default 1)", "N"},
      {"most-cycles", 0, POPT_ARG_LONGLONG, &o.most_cycles, 0, "give up after so many cycles (default 0: never)", "N"},
      {"json", 'j', POPT_ARG_NONE, &o.json, 0, "for programs", NULL},
      WEFT_CLI_OBSERVE_OPTIONS(o.observe),
      WEFT_CLI_OBSERVE_TRACE(o.observe),
      POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft kernel run FILE [NAME=VALUE...] [OPTION...]",
      .about =
          "Executes a kernel cycle by cycle, with real data, and prints what it took. An array is that of all cores "
          "one after the other, row by row; a channel may stand for an array. What gets no input keeps the values "
          "that the kernel says, 0 where it says none.",
      .examples =
          "  weft kernel run line_sum cores=16 words=64 --input part=random:1 --print total\n"
          "  weft kernel run heat --input u=plate.npy --output u=later.npy --json\n"
          "  weft kernel run fft size=16 --input u=random:1 --print cycles\n",
      .table = table,
      .positional_min = 1,
      .positional_max = MOST_SETTINGS};
  weft_status status = weft_cli_parse(&options, argc, argv);
  if (!status && !options.helped) status = execute_file(&options, &o);
  weft_cli_finish(&options);
  free(o.machine);
  free_list(o.inputs);
  free_list(o.outputs);
  free_list(o.prints);
  weft_cli_observe_finish(&o.observe);
  return status;
}

// ---- weft kernel ----

static const struct {
  const char *word, *full, *about;
  weft_status (*run)(int argc, const char **argv);
} parts[] = {{"check", "kernel check", "judge a kernel, list its programs", run_check},
             {"print", "kernel print", "print a kernel with its parameters put in, or write it as protobuf", run_print},
             {"run", "kernel run", "execute a kernel on a simulated mesh", run_run}};
enum { PARTS = sizeof parts / sizeof *parts };

static weft_status run(int argc, const char **argv) {
  const char *names[PARTS];
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    printf("Kernels: programs of the cores of a mesh, as text (docs/kernels.md) or protobuf.\n\n");
    for (size_t p = 0; p < PARTS; ++p) printf("  weft %-14s %s\n", parts[p].full, parts[p].about);
    printf("\nweft kernel check --help and so on tell more.\n");
    return argc < 2 ? weft_error(WEFT_INVALID, "kernel: expected check, print or run") : NULL;
  }
  for (size_t p = 0; p < PARTS; ++p) {
    names[p] = parts[p].word;
    if (strcmp(argv[1], parts[p].word) != 0) continue;
    argv[1] = parts[p].full;
    return parts[p].run(argc - 1, argv + 1);
  }
  return weft_error(WEFT_INVALID, "kernel: \"%s\" is not check, print or run; the nearest is %s", argv[1],
                    weft_nearest(argv[1], names, PARTS));
}

const weft_command weft_command_kernel = {"kernel", "check, print or execute a kernel for a mesh of cores", run};
