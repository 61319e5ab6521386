// What the readers of the checkpoint formats share. Not installed; models/checkpoint.h is the door.
//
// A reader gets a checkpoint under construction and the bytes of one file, and adds tensors and metadata. It may fail
// at any point: the caller closes the checkpoint. What it adds points into the bytes or into the checkpoint's arena.
#ifndef WEFT_MODELS_CHECKPOINT_INTERNAL_H
#define WEFT_MODELS_CHECKPOINT_INTERNAL_H

#include "base/file.h"
#include "base/memory.h"
#include "models/checkpoint.h"

// Where the values of one metadata array lie. Texts have no fixed size, so their places are kept.
typedef struct checkpoint_array {
  const uint8_t *values;
  uint32_t raw_type;  // GGUF's number of the element's type
  uint64_t count;
  const uint64_t *offsets;  // of each text's length field from `values`; NULL for other elements
} checkpoint_array;

struct weft_checkpoint {
  weft_arena arena;
  char *path;    // as given to open, without a closing slash
  char *folder;  // where config.json would be; NULL when opened from bytes
  char format[24];
  bool gguf;
  weft_mapping *files;  // kept mapped until the checkpoint is closed
  uint32_t file_count;
  weft_stored_tensor *tensors;  // sorted by name once weft_checkpoint_seal has passed
  uint32_t count, capacity;
  weft_meta *meta;           // in the file's order
  checkpoint_array *arrays;  // arrays[i] belongs to meta[i]
  uint32_t meta_count;
};

weft_checkpoint *weft_checkpoint_create(const char *path);
// Sorts by name; WEFT_INVALID when two tensors have one name.
weft_status weft_checkpoint_seal(weft_checkpoint *checkpoint) WEFT_CHECKED;
// Adds a copy of *tensor.
void weft_checkpoint_add(weft_checkpoint *checkpoint, const weft_stored_tensor *tensor);

// As weft_checkpoint_open for one file whose bytes the caller keeps until the checkpoint is closed; GGUF when they
// begin with its magic (a name in .gguf needs it), safetensors otherwise. `name` is used in messages.
weft_status weft_checkpoint_open_bytes(const void *bytes, size_t size, const char *name,
                                       weft_checkpoint **out_checkpoint) WEFT_CHECKED;

// Tensor order, names and offsets of one safetensors file; `file` lives as long as the checkpoint.
weft_status weft_safetensors_read(weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size,
                                  const char *file) WEFT_CHECKED;
weft_status weft_gguf_read(weft_checkpoint *checkpoint, const uint8_t *bytes, size_t size,
                           const char *file) WEFT_CHECKED;
weft_status weft_gguf_network(const weft_checkpoint *checkpoint, weft_network *out_network) WEFT_CHECKED;
// GGUF's name of a parameter, or false where its files have none for that role.
bool weft_gguf_parameter_name(const weft_parameter *parameter, char out_name[96]);
// How many heads' rows are permuted in that parameter: 0 but for q and k of the llama architecture.
uint32_t weft_gguf_permuted_heads(const weft_checkpoint *checkpoint, const weft_parameter *parameter);

// UTF-8 without control characters: names go into messages, tables and JSON. `text` need not end with 0.
bool weft_checkpoint_name_is_printable(const char *text, size_t bytes);
// A copy for messages with everything else replaced by '?' and long text cut; in the checkpoint's arena.
const char *weft_checkpoint_quote(weft_checkpoint *checkpoint, const char *text, size_t bytes);
// "(2, 3)" into `out`.
const char *weft_checkpoint_shape_text(uint32_t rank, const uint64_t *shape, char out[96]);
// "/a/b/model.gguf" and "/a/b" give "model" and "b".
void weft_checkpoint_name_after_path(const weft_checkpoint *checkpoint, char out_name[96]);
// The tensor of that name, or NULL.
const weft_stored_tensor *weft_checkpoint_lookup(const weft_checkpoint *checkpoint, const char *name);

#endif
