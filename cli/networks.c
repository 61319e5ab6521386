// weft networks: what is in the zoo, and what a network is made of.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "models/network.h"

static weft_status list(weft_table_form form) {
  char **names;
  uint32_t count;
  WEFT_TRY(weft_network_names(&names, &count));
  weft_table *table = weft_table_create();
  static const char *const columns[] = {"name",  "type",     "parameters",   "layers",     "hidden",
                                        "heads", "kv_heads", "intermediate", "vocabulary", "positions"};
  for (size_t c = 0; c < sizeof columns / sizeof *columns; ++c) weft_table_column(table, columns[c], NULL);
  weft_status status = NULL;
  for (uint32_t i = 0; i < count; ++i) {
    weft_network n;
    if (!status) status = weft_network_read(names[i], &n);
    if (!status) {
      weft_table_row(table);
      weft_table_text(table, n.name);
      weft_table_text(table, n.model_type);
      weft_table_integer(table, (int64_t)weft_network_parameters(&n));
      const uint32_t sizes[] = {n.layers, n.hidden, n.heads, n.kv_heads, n.intermediate, n.vocabulary, n.positions};
      for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) weft_table_integer(table, sizes[s]);
    }
    free(names[i]);
  }
  free(names);
  if (!status) weft_table_print(table, form, stdout);
  weft_table_destroy(table);
  return status;
}

static void show_json(const weft_network *n) {
  char hash[20];
  snprintf(hash, sizeof hash, "%016" PRIx64, weft_network_hash(n));
  json_t *tensors = json_array();
  for (uint32_t i = 0; i < weft_network_parameter_tensors(n); ++i) {
    weft_parameter p = weft_network_parameter(n, i);
    json_t *shape = json_pack("[I]", (json_int_t)p.shape[0]);
    if (p.rank == 2) json_array_append_new(shape, json_integer((json_int_t)p.shape[1]));
    json_array_append_new(tensors, json_pack("{s:s, s:o}", "name", p.name, "shape", shape));
  }
  json_t *root =
      json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "name", n->name, "hash", hash, "parameters",
                (json_int_t)weft_network_parameters(n), "embedding_parameters",
                (json_int_t)weft_network_embedding_parameters(n), "config", weft_network_pack(n), "tensors", tensors);
  json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  putchar('\n');
  json_decref(root);
}

static void show_tensors(const weft_network *n) {
  weft_table *table = weft_table_create();
  static const char *const columns[] = {"parameter", "rows", "columns", "elements"};
  for (size_t c = 0; c < sizeof columns / sizeof *columns; ++c) weft_table_column(table, columns[c], NULL);
  for (uint32_t i = 0; i < weft_network_parameter_tensors(n); ++i) {
    weft_parameter p = weft_network_parameter(n, i);
    weft_table_row(table);
    weft_table_text(table, p.name);
    weft_table_integer(table, (int64_t)p.shape[0]);
    weft_table_integer(table, (int64_t)p.shape[1]);
    weft_table_integer(table, (int64_t)(p.shape[0] * p.shape[1]));
  }
  weft_table_print(table, WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
}

static weft_status show(const char *where, bool json, bool tensors) {
  weft_network n;
  WEFT_TRY(weft_network_read(where, &n));
  if (json) {
    show_json(&n);
    return NULL;
  }
  weft_network_print(&n, stdout);
  if (tensors) show_tensors(&n);
  return NULL;
}

static weft_status run(int argc, const char **argv) {
  int json = 0, csv = 0, tensors = 0;
  struct poptOption table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
                               {"csv", 0, POPT_ARG_NONE, &csv, 0, "the list as CSV", NULL},
                               {"tensors", 0, POPT_ARG_NONE, &tensors, 0, "with show: every parameter tensor", NULL},
                               POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft networks [show NAME|FILE|FOLDER] [OPTION...]",
      .about =
          "Lists the networks that Weft brings along, or shows one: from the zoo, a config.json, a folder "
          "with one, or a GGUF file.",
      .examples = "  weft networks\n  weft networks show cerebras-gpt-13b\n  weft networks show ./my-model --tensors\n",
      .table = table,
      .positional_min = 0,
      .positional_max = 2};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (options.helped) {
  } else if (options.positional_count == 0) {
    status = list(json ? WEFT_TABLE_JSON : csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT);
  } else if (strcmp(options.positional[0], "show") != 0 || options.positional_count != 2) {
    status = weft_error(WEFT_INVALID, "networks %s: \"weft networks\" or \"weft networks show NAME\" is right",
                        options.positional[0]);
  } else {
    status = show(options.positional[1], json, tensors);
  }
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_networks = {"networks", "list the networks of the zoo, or show one", run};
