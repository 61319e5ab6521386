// golden --dir DIR: runs every check that it finds data for in a folder (see tests/golden/README.md for the layout).
#include <dirent.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "tests/golden_program/golden.h"

void golden_check(golden *g, const char *check, const char *unit, double worst, double tolerance, const char *note) {
  bool passed = worst <= tolerance;
  weft_table_row(g->table);
  weft_table_text(g->table, g->folder);
  weft_table_text(g->table, check);
  weft_table_text(g->table, unit);
  weft_table_number(g->table, worst, 3);
  weft_table_number(g->table, tolerance, 3);
  weft_table_text(g->table, passed ? "ok" : "FAILED");
  weft_table_text(g->table, note);
  if (passed)
    ++g->passed;
  else
    ++g->failed;
}

void golden_skip(golden *g, const char *check, const char *why) {
  weft_table_row(g->table);
  weft_table_text(g->table, g->folder);
  weft_table_text(g->table, check);
  for (int i = 0; i < 3; ++i) weft_table_text(g->table, NULL);
  weft_table_text(g->table, "skipped");
  weft_table_text(g->table, why);
  ++g->skipped;
}

// A folder that cannot be read or run is a failed check, not the end of all others.
static void note_failure(golden *g, const char *check, weft_status status) {
  if (!status) return;
  weft_table_row(g->table);
  weft_table_text(g->table, g->folder);
  weft_table_text(g->table, check);
  for (int i = 0; i < 3; ++i) weft_table_text(g->table, NULL);
  weft_table_text(g->table, "FAILED");
  weft_table_text(g->table, weft_status_message(status));
  weft_status_free(status);
  ++g->failed;
}

// ---- what there is ----

static bool has(const char *folder, const char *name) {
  char *path = weft_format("%s/%s", folder, name);
  bool found = weft_file_exists(path);
  free(path);
  return found;
}

static bool ends_in(const char *name, const char *ending) {
  size_t length = strlen(name), end = strlen(ending);
  return length > end && strcmp(name + length - end, ending) == 0;
}

static void check_ggufs(golden *g, const char *path, struct dirent **entries, int count) {
  for (int i = 0; i < count; ++i) {
    if (!ends_in(entries[i]->d_name, ".gguf")) continue;
    char *gguf = weft_format("%s/%s", path, entries[i]->d_name);
    char *values = weft_format("%.*s.safetensors", (int)(strlen(gguf) - 5), gguf);
    if (weft_file_exists(values)) note_failure(g, "gguf", golden_gguf(g, gguf, values));
    free(values);
    free(gguf);
  }
}

static void check_folder(golden *g, const char *path, struct dirent **entries, int count) {
  if (has(path, "config.json") && has(path, "golden.safetensors"))
    note_failure(g, "network", golden_network(g, path));
  else if (has(path, "config.json") && has(path, "model.safetensors.index.json"))
    note_failure(g, "shards", golden_sharded(g, path));
  bool tokenizer = has(path, "tokenizer.json") || has(path, "tokenizer.gguf");
  if (has(path, "cases.jsonl")) {
    if (tokenizer)
      note_failure(g, "tokenizer", golden_tokenizer(g, path));
    else
      note_failure(g, "cases", golden_cases(g, path));
  }
  check_ggufs(g, path, entries, count);
}

static weft_status walk(golden *g, const char *path, int depth) {
  struct dirent **entries = NULL;
  int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) return weft_error(WEFT_INVALID, "%s: not a folder that can be read", path);
  g->folder = depth == 0 ? "." : path + strlen(g->directory) + 1;
  check_folder(g, path, entries, count);
  weft_status status = NULL;
  for (int i = 0; i < count; ++i) {
    char *below = weft_format("%s/%s", path, entries[i]->d_name);
    if (!status && entries[i]->d_name[0] != '.' && depth < 3 && weft_directory_exists(below))
      status = walk(g, below, depth + 1);
    free(below);
    free(entries[i]);
  }
  free(entries);
  return status;
}

// ---- the program ----

// The computer that runs this, as far as compiling needs it: enough memory for the networks here; times are not asked.
static weft_machine plain_machine(void) {
  weft_machine machine = weft_machine_default();
  snprintf(machine.name, sizeof machine.name, "golden");
  machine.kind = WEFT_ROOFLINE;
  machine.roofline = (weft_roofline){.f32_flops_per_second = 1e11,
                                     .f16_flops_per_second = 1e11,
                                     .bf16_flops_per_second = 1e11,
                                     .memory_bytes = 64e9,
                                     .memory_bytes_per_second = 1e10,
                                     .cores = 1,
                                     .shared_cores = true,
                                     .copy_bytes_per_second = 5e9,
                                     .sharing_efficiency = 1,
                                     .compute_efficiency = 0.5,
                                     .memory_efficiency = 0.5};
  machine.store_bytes = 64e9;
  return machine;
}

typedef struct request {
  char *directory, *backend, *dtype, *machine, *smollm2, *threads;
  bool json, help;
} request;

static const char usage[] =
    "golden --dir DIR [--backend ref|cpu] [--dtype f32|bf16|f16] [--threads N] [--machine M] [--smollm2 FILE] "
    "[--json]\n"
    "  --dir      the folder with the golden data, read to a depth of three\n"
    "  --backend  ref (default) or cpu\n"
    "  --dtype    f32 (default): everything; bf16 or f16: logits and hidden states within 2e-2 of their norm\n"
    "  --threads  of the backend (default: all cores)\n"
    "  --machine  compile for this machine: a name, file or spelling (default: a plain processor)\n"
    "  --smollm2  the GGUF file of the pre-trained network that folders with prompts are about\n"
    "  --json     the table as JSON\n"
    "Exit code 0: all passed; 1: a check failed; 2: usage, or a folder that cannot be read or holds no golden data.\n";

static weft_status read_request(int argc, char **argv, request *r) {
  const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                   {"backend", required_argument, NULL, 'b'},
                                   {"dtype", required_argument, NULL, 'y'},
                                   {"threads", required_argument, NULL, 't'},
                                   {"machine", required_argument, NULL, 'm'},
                                   {"smollm2", required_argument, NULL, 's'},
                                   {"json", no_argument, NULL, 'j'},
                                   {"help", no_argument, NULL, 'h'},
                                   {NULL, 0, NULL, 0}};
  for (int met = getopt_long(argc, argv, "", options, NULL); met != -1;
       met = getopt_long(argc, argv, "", options, NULL)) {
    switch (met) {
      case 'd': r->directory = optarg; break;
      case 'b': r->backend = optarg; break;
      case 'y': r->dtype = optarg; break;
      case 't': r->threads = optarg; break;
      case 'm': r->machine = optarg; break;
      case 's': r->smollm2 = optarg; break;
      case 'j': r->json = true; break;
      case 'h': r->help = true; break;
      default: return weft_error(WEFT_INVALID, "usage: %s", usage);
    }
  }
  if (optind == argc) return NULL;
  return weft_error(WEFT_INVALID, "unexpected word \"%s\"; the folder comes after --dir", argv[optind]);
}

static weft_status read_threads(const char *text, uint32_t *out_threads) {
  char *end = NULL;
  long threads = text ? strtol(text, &end, 10) : 0;
  if (text && (end == text || *end || threads < 0 || threads > 4096)) {
    return weft_error(WEFT_INVALID, "--threads %s: expected a whole number from 0 (all) to 4096", text);
  }
  *out_threads = (uint32_t)threads;
  return NULL;
}

static weft_status run_all(const request *r, golden *g) {
  WEFT_TRY(weft_backend_find(r->backend ? r->backend : "ref", &g->backend));
  WEFT_TRY(weft_dtype_parse(r->dtype ? r->dtype : "f32", &g->dtype));
  if (!weft_dtype_computes(g->dtype))
    return weft_error(WEFT_INVALID, "--dtype %s: expected f32, bf16 or f16", r->dtype);
  if (!r->directory) return weft_error(WEFT_INVALID, "--dir is missing: the folder with the golden data");
  WEFT_TRY(read_threads(r->threads, &g->device.threads));
  size_t length = strlen(r->directory);
  while (length > 1 && r->directory[length - 1] == '/') r->directory[--length] = 0;
  g->directory = r->directory;
  g->smollm2 = r->smollm2;
  weft_machine plain = plain_machine(), *named = NULL;
  if (r->machine) WEFT_TRY(weft_machine_read(r->machine, &named));
  g->machine = named ? named : &plain;
  weft_status status = walk(g, r->directory, 0);
  weft_machine_destroy(named);
  if (!status && g->passed + g->failed + g->skipped == 0) {
    status = weft_error(
        WEFT_INVALID, "%s: no golden data here (a folder with golden.safetensors, cases.jsonl or .gguf)", r->directory);
  }
  return status;
}

static weft_table *make_table(void) {
  weft_table *table = weft_table_create();
  const char *columns[] = {"folder", "check", "unit", "worst", "tolerance", "result", "note"};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; ++i) weft_table_column(table, columns[i], NULL);
  return table;
}

static int finish(weft_status status, golden *g, const request *r) {
  weft_code code = weft_status_code(status);
  if (status) {
    weft_log(WEFT_LOG_ERROR, "%s", weft_status_message(status));
  } else {
    weft_table_print(g->table, r->json ? WEFT_TABLE_JSON : WEFT_TABLE_TEXT, stdout);
    weft_log(WEFT_LOG_INFO, "%s, %s: %u checks passed, %u failed, %u skipped", g->backend->name,
             weft_dtype_name(g->dtype), g->passed, g->failed, g->skipped);
  }
  weft_status_free(status);
  weft_table_destroy(g->table);
  return code ? (int)code : g->failed ? 1 : 0;
}

int main(int argc, char **argv) {
  request r = {0};
  weft_status status = read_request(argc, argv, &r);
  if (!status && r.help) {
    fputs(usage, stdout);
    return 0;
  }
  golden g = {.table = make_table()};
  if (!status) status = run_all(&r, &g);
  return finish(status, &g, &r);
}
