// weft checkpoint show: what a checkpoint holds, without loading it.
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "cli/cli.h"
#include "models/checkpoint.h"

enum { SHOWN_BYTES = 72, SHOWN_ELEMENTS = 8 };

// A text as JSON, cut to `limit` bytes at a character's end; bytes that are no UTF-8 are only counted.
static json_t *text_value(const weft_meta *meta, uint64_t limit) {
  uint64_t shown = meta->text_bytes < limit ? meta->text_bytes : limit;
  for (int back = 0; back < 4 && shown > 0; ++back, --shown) {
    json_t *text = json_stringn(meta->text, shown);
    if (!text) continue;
    if (shown == meta->text_bytes) return text;
    json_t *cut = json_sprintf("%s...", json_string_value(text));
    json_decref(text);
    return cut;
  }
  return meta->text_bytes == 0 ? json_string("") : json_sprintf("(%" PRIu64 " bytes, not UTF-8)", meta->text_bytes);
}

static json_t *scalar_value(const weft_meta *meta, uint64_t limit) {
  switch (meta->type) {
    case WEFT_META_INTEGER: return json_integer(meta->integer);
    case WEFT_META_NUMBER: return isfinite(meta->number) ? json_real(meta->number) : json_null();
    case WEFT_META_BOOL: return json_boolean(meta->integer != 0);
    case WEFT_META_TEXT: return text_value(meta, limit);
    default: return json_null();
  }
}

static json_t *first_elements(const weft_checkpoint *checkpoint, const weft_meta *array, uint64_t limit) {
  json_t *first = json_array();
  for (uint64_t i = 0; i < array->count && i < SHOWN_ELEMENTS; ++i) {
    weft_meta element = weft_checkpoint_meta_element(checkpoint, array, i);
    json_array_append_new(first, scalar_value(&element, limit));
  }
  return first;
}

// For programs: texts whole, arrays as their length and first elements.
static json_t *meta_object(const weft_checkpoint *checkpoint) {
  json_t *object = json_object();
  for (uint32_t i = 0; i < weft_checkpoint_meta_count(checkpoint); ++i) {
    weft_meta meta = weft_checkpoint_meta(checkpoint, i);
    json_t *value = meta.type == WEFT_META_ARRAY ? json_pack("{s:I, s:o}", "count", (json_int_t)meta.count, "first",
                                                             first_elements(checkpoint, &meta, UINT64_MAX))
                                                 : scalar_value(&meta, UINT64_MAX);
    json_object_set_new(object, meta.key, value);
  }
  return object;
}

static json_t *tensor_object(const weft_stored_tensor *tensor) {
  json_t *shape = json_array();
  for (uint32_t d = 0; d < tensor->rank; ++d) json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
  return json_pack("{s:s, s:s, s:o, s:I, s:s}", "name", tensor->name, "dtype", weft_dtype_name(tensor->dtype), "shape",
                   shape, "bytes", (json_int_t)tensor->bytes, "file", tensor->file);
}

static uint64_t total_bytes(const weft_checkpoint *checkpoint) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < weft_checkpoint_count(checkpoint); ++i) bytes += weft_checkpoint_tensor(checkpoint, i).bytes;
  return bytes;
}

// `network` is NULL where the file does not say; `reason` then tells why.
static void print_json(const weft_checkpoint *checkpoint, const char *path, const weft_network *network,
                       const char *reason) {
  json_t *tensors = json_array();
  for (uint32_t i = 0; i < weft_checkpoint_count(checkpoint); ++i) {
    weft_stored_tensor tensor = weft_checkpoint_tensor(checkpoint, i);
    json_array_append_new(tensors, tensor_object(&tensor));
  }
  json_t *root =
      json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "path", path, "format", weft_checkpoint_format(checkpoint),
                "bytes", (json_int_t)total_bytes(checkpoint), "network",
                network ? weft_network_pack(network) : json_null(), "network_unknown_because",
                network ? json_null() : json_string(reason), "metadata", meta_object(checkpoint), "tensors", tensors);
  if (network) json_object_set_new(root, "parameters", json_integer((json_int_t)weft_network_parameters(network)));
  json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  fputc('\n', stdout);
  json_decref(root);
}

// For people: one line each, quoted as in JSON so that no control character reaches the terminal.
static char *meta_line(const weft_checkpoint *checkpoint, const weft_meta *meta) {
  json_t *value =
      meta->type == WEFT_META_ARRAY ? first_elements(checkpoint, meta, 24) : scalar_value(meta, SHOWN_BYTES);
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
  json_decref(value);
  if (!text) return weft_copy_text("?");
  if (meta->type != WEFT_META_ARRAY) return text;
  size_t end = strlen(text) - 1;
  char *line = weft_format("%" PRIu64 " elements %.*s%s]", meta->count, (int)end, text,
                           meta->count > SHOWN_ELEMENTS ? ", ..." : "");
  free(text);
  return line;
}

static void print_metadata(const weft_checkpoint *checkpoint) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "metadata", NULL);
  weft_table_column(table, "value", NULL);
  for (uint32_t i = 0; i < weft_checkpoint_meta_count(checkpoint); ++i) {
    weft_meta meta = weft_checkpoint_meta(checkpoint, i);
    char *line = meta_line(checkpoint, &meta);
    weft_table_row(table);
    weft_table_text(table, meta.key);
    weft_table_text(table, line);
    free(line);
  }
  weft_table_print(table, WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
  putchar('\n');
}

static void print_tensors(const weft_checkpoint *checkpoint) {
  weft_table *table = weft_table_create();
  weft_table_column(table, "tensor", NULL);
  weft_table_column(table, "dtype", NULL);
  weft_table_column(table, "shape", NULL);
  weft_table_column(table, "bytes", NULL);
  for (uint32_t i = 0; i < weft_checkpoint_count(checkpoint); ++i) {
    weft_stored_tensor tensor = weft_checkpoint_tensor(checkpoint, i);
    char shape[96] = "";
    for (uint32_t d = 0, at = 0; d < tensor.rank; ++d)
      at += (uint32_t)snprintf(shape + at, sizeof shape - at, "%s%" PRIu64, d ? " x " : "", tensor.shape[d]);
    weft_table_row(table);
    weft_table_text(table, tensor.name);
    weft_table_text(table, weft_dtype_name(tensor.dtype));
    weft_table_text(table, shape);
    weft_table_integer(table, (int64_t)tensor.bytes);
  }
  weft_table_print(table, WEFT_TABLE_TEXT, stdout);
  weft_table_destroy(table);
}

static void print_text(const weft_checkpoint *checkpoint, const char *path, const weft_network *network,
                       const char *reason) {
  char size[32];
  printf("%s: %s, %" PRIu32 " tensors, %s\n\n", path, weft_checkpoint_format(checkpoint),
         weft_checkpoint_count(checkpoint), weft_text_bytes((double)total_bytes(checkpoint), size));
  if (network)
    weft_network_print(network, stdout);
  else
    printf("network: not known (%s)\n", reason);
  putchar('\n');
  if (weft_checkpoint_meta_count(checkpoint)) print_metadata(checkpoint);
  print_tensors(checkpoint);
}

static weft_status show(const char *path, bool json) {
  weft_checkpoint *checkpoint = NULL;
  WEFT_TRY(weft_checkpoint_open(path, &checkpoint));
  weft_network network;
  // A file without a network can be looked at all the same; what it lacks is said in its place.
  weft_status unknown = weft_checkpoint_network(checkpoint, &network);
  (json ? print_json : print_text)(checkpoint, path, unknown ? NULL : &network, weft_status_message(unknown));
  weft_status_free(unknown);
  weft_checkpoint_close(checkpoint);
  return NULL;
}

static weft_status run(int argc, const char **argv) {
  int json = 0;
  struct poptOption table[] = {
      {"json", 0, POPT_ARG_NONE, &json, 0, "print one JSON object", NULL},
      POPT_TABLEEND,
  };
  weft_cli_options options = {
      .usage = "weft checkpoint show FILE|DIR [OPTION...]",
      .about =
          "Shows the format, network, metadata and tensors of a checkpoint: safetensors (one file, or shards with an "
          "index) or GGUF.",
      .examples = "  weft checkpoint show models/tiny\n  weft checkpoint show model.gguf --json\n",
      .table = table,
      .positional_min = 2,
      .positional_max = 2,
  };
  WEFT_TRY(weft_cli_parse(&options, argc, argv));
  if (options.helped) return NULL;
  weft_status status =
      strcmp(options.positional[0], "show") == 0
          ? show(options.positional[1], json != 0)
          : weft_error(WEFT_INVALID, "checkpoint: unknown action \"%s\"; the nearest known one is \"show\"",
                       options.positional[0]);
  weft_cli_finish(&options);
  return status;
}

const weft_command weft_command_checkpoint = {"checkpoint", "show what a checkpoint holds", run};
