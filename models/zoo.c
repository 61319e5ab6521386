// Networks by place: a file, a folder, or a name in models/networks/.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "models/checkpoint.h"
#include "models/directory.h"
#include "models/network.h"

// Other spellings in use for networks of the zoo.
static const char *const aliases[][2] = {
    {"gpt-2", "gpt2"},
    {"gpt2-small", "gpt2"},
    {"gpt-2-small", "gpt2"},
    {"gpt-2-medium", "gpt2-medium"},
    {"gpt-2-large", "gpt2-large"},
    {"gpt-2-xl", "gpt2-xl"},
    {"gpt-3-111m", "cerebras-gpt-111m"},
    {"gpt-3-256m", "cerebras-gpt-256m"},
    {"gpt-3-590m", "cerebras-gpt-590m"},
    {"gpt-3-1.3b", "cerebras-gpt-1.3b"},
    {"gpt-3-2.7b", "cerebras-gpt-2.7b"},
    {"gpt-3-6.7b", "cerebras-gpt-6.7b"},
    {"gpt-3-13b", "cerebras-gpt-13b"},
    {"gpt-3-175b", "gpt3-175b"},
    {"gptj-6b", "gpt-j-6b"},
    {"llama-30b", "llama-33b"},
    {"llama-2-7b", "llama2-7b"},
    {"llama-2-13b", "llama2-13b"},
    {"llama-2-70b", "llama2-70b"},
    {"llama-3-8b", "llama3-8b"},
    {"llama-3-70b", "llama3-70b"},
    {"bert-large-uncased", "bert-large"},
};
enum { ALIAS_COUNT = sizeof aliases / sizeof *aliases };

weft_status weft_network_names(char ***out_names, uint32_t *out_count) {
  return weft_directory_names("models/networks", ".json", out_names, out_count);
}

static weft_status read_file(const char *path, const char *name, weft_network *out_network) {
  json_t *root;
  char *text;
  WEFT_TRY(weft_json_read_file(path, &root, &text));
  weft_network network;
  weft_status status = weft_network_unpack(root, path, text, &network);
  if (!status && name) snprintf(network.name, sizeof network.name, "%s", name);
  if (!status) *out_network = network;
  json_decref(root);
  free(text);
  return status;
}

static weft_status read_gguf(const char *path, weft_network *out_network) {
  weft_checkpoint *checkpoint;
  WEFT_TRY(weft_checkpoint_open(path, &checkpoint));
  weft_status status = weft_checkpoint_network(checkpoint, out_network);
  weft_checkpoint_close(checkpoint);
  return status;
}

static weft_status read_zoo(const char *name, weft_network *out_network) {
  const char *wanted = name;
  for (size_t i = 0; i < ALIAS_COUNT; ++i)
    if (strcasecmp(name, aliases[i][0]) == 0) wanted = aliases[i][1];
  char **names, *path = NULL;
  uint32_t count;
  WEFT_TRY(weft_network_names(&names, &count));
  const char *found = NULL;
  for (uint32_t i = 0; i < count && !found; ++i)
    if (strcasecmp(wanted, names[i]) == 0) found = names[i];
  weft_status status = NULL;
  if (!found) {
    const char *nearest = weft_nearest(wanted, (const char *const *)names, count);
    status =
        weft_error(WEFT_INVALID, "%s: no such file or folder, and no network of the zoo; the nearest name is \"%s\"",
                   name, nearest ? nearest : "none: the zoo is empty");
  } else {
    char *relative = weft_format("models/networks/%s.json", found);
    status = weft_data_path(relative, &path);
    free(relative);
    if (!status) status = read_file(path, found, out_network);
  }
  free(path);
  weft_directory_names_free(names, count);
  return status;
}

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

weft_status weft_network_read(const char *where, weft_network *out_network) {
  if (weft_directory_exists(where)) {
    char *absolute = realpath(where, NULL), *path = weft_format("%s/config.json", where);
    const char *slash = absolute ? strrchr(absolute, '/') : NULL;
    weft_status status = weft_file_exists(path)
                             ? read_file(path, slash && slash[1] ? slash + 1 : NULL, out_network)
                             : weft_error(WEFT_INVALID, "%s: there is no config.json in this folder", where);
    free(path);
    free(absolute);
    return status;
  }
  if (!weft_file_exists(where)) return read_zoo(where, out_network);
  return ends_with(where, ".gguf") ? read_gguf(where, out_network) : read_file(where, NULL, out_network);
}
