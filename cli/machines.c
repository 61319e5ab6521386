// weft machines: which are known, and what one can do.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "models/machine.h"
#include "models/machine_fields.h"

static void row(weft_table *table, const weft_machine *m) {
  weft_table_row(table);
  weft_table_text(table, m->name);
  weft_table_text(table, m->kind == WEFT_MESH ? "mesh" : "roofline");
  if (m->kind == WEFT_MESH)
    weft_table_integer(table, (int64_t)m->mesh.columns * m->mesh.rows);
  else
    weft_table_integer(table, m->roofline.cores);
  weft_table_number(table, weft_machine_peak_flops(m, WEFT_F32) / 1e12, 4);
  weft_table_number(table, weft_machine_peak_flops(m, WEFT_F16) / 1e12, 4);
  weft_table_number(table, weft_machine_memory_bytes(m) / 1e9, 4);
  weft_table_number(table, m->io_in_bytes_per_second / 1e9, 4);
  weft_table_number(table, m->store_bytes / 1e12, 4);
  weft_table_integer(table, m->max_systems);
  weft_table_text(table, m->about);
}

static weft_status list(weft_table_form form) {
  char **names;
  uint32_t count;
  WEFT_TRY(weft_machine_names(&names, &count));
  weft_table *table = weft_table_create();
  static const char *const columns[][2] = {
      {"name", NULL},   {"device", NULL}, {"cores", NULL}, {"f32_peak", "TFLOP/s"}, {"f16_peak", "TFLOP/s"},
      {"memory", "GB"}, {"io", "GB/s"},   {"store", "TB"}, {"max_systems", NULL},   {"about", NULL}};
  for (size_t c = 0; c < sizeof columns / sizeof *columns; ++c) weft_table_column(table, columns[c][0], columns[c][1]);
  weft_status status = NULL;
  for (uint32_t i = 0; i < count; ++i) {
    weft_machine *m = NULL;
    if (!status) status = weft_machine_read(names[i], &m);
    if (m) row(table, m);
    weft_machine_destroy(m);
    free(names[i]);
  }
  free(names);
  if (!status) weft_table_print(table, form, stdout);
  weft_table_destroy(table);
  return status;
}

static void show_json(const weft_machine *m) {
  char hash[20], text[48];
  snprintf(hash, sizeof hash, "%016" PRIx64, weft_machine_hash(m));
  char *spelling = weft_machine_spell(m);
  json_t *root =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "name", m->name, "about", m->about, "hash", hash, "device",
                m->kind == WEFT_MESH ? "mesh" : "roofline", "spelling", spelling, "measured", (int)m->measured);
  free(spelling);
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    if (!weft_machine_has_section(m->kind, field->section)) continue;
    const char *name = weft_machine_section_name(field->section);
    if (!json_object_get(root, name)) json_object_set_new(root, name, json_object());
    weft_machine_field_print(m, field, " ", text);
    json_object_set_new(json_object_get(root, name), field->key,
                        json_pack("{s:f, s:s}", "value", weft_machine_field_get(m, field), "text", text));
  }
  static const weft_dtype dtypes[] = {WEFT_F32, WEFT_F16, WEFT_BF16};
  json_t *peak = json_object();
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; ++i)
    json_object_set_new(peak, weft_dtype_name(dtypes[i]), json_real(weft_machine_peak_flops(m, dtypes[i])));
  json_object_set_new(root, "peak_flops_per_second", peak);
  json_object_set_new(root, "memory_bytes", json_real(weft_machine_memory_bytes(m)));
  if (m->kind == WEFT_MESH)
    json_object_set_new(root, "fabric",
                        json_pack("{s:f, s:f}", "first_word_cycles", weft_machine_first_word_cycles(&m->mesh),
                                  "chain_stage_cycles", weft_machine_chain_stage_cycles(&m->mesh)));
  if (m->measured) json_object_set_new(root, "host", json_string(m->host));
  json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  putchar('\n');
  json_decref(root);
}

static weft_status show(const char *where, bool json) {
  weft_machine *m;
  WEFT_TRY(weft_machine_read(where, &m));
  if (json) {
    show_json(m);
  } else {
    weft_machine_print(m, stdout);
    char *spelling = weft_machine_spell(m);
    printf("spelling\n  %s\n", spelling);
    free(spelling);
  }
  weft_machine_destroy(m);
  return NULL;
}

static weft_status run(int argc, const char **argv) {
  int json = 0, csv = 0;
  struct poptOption table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
                               {"csv", 0, POPT_ARG_NONE, &csv, 0, "the list as CSV", NULL},
                               POPT_TABLEEND};
  weft_cli_options options = {
      .usage = "weft machines [show NAME|FILE|SPELLING] [OPTION...]",
      .about =
          "Lists the machines that Weft knows, or shows one: by name, from a YAML file, or from a one-line "
          "spelling.",
      .examples = "  weft machines\n  weft machines show wse2\n  weft machines show \"mesh:8x8 sram:1MiB io:10GB/s\"\n",
      .table = table,
      .positional_min = 0,
      .positional_max = 2};
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  weft_status status = NULL;
  if (options.helped) {
  } else if (options.positional_count == 0) {
    status = list(json ? WEFT_TABLE_JSON : csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT);
  } else if (strcmp(options.positional[0], "show") != 0 || options.positional_count != 2) {
    status = weft_error(WEFT_INVALID, "machines %s: \"weft machines\" or \"weft machines show NAME\" is right",
                        options.positional[0]);
  } else {
    status = show(options.positional[1], json);
  }
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_machines = {"machines", "list the machines, or show one", run};
