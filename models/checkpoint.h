// Checkpoints: weights on disk, memory-mapped. Formats: safetensors (one file, or shards with an index) beside a
// config.json; GGUF v2 and v3 (llama and gpt2 architectures), which also brings the network and the tokenizer.
// Every length, offset, shape and count in a file is checked before it is used.
//
// Threads: an open checkpoint is read-only and may be read from many threads.
#ifndef WEFT_MODELS_CHECKPOINT_H
#define WEFT_MODELS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "models/dtype.h"
#include "models/network.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_checkpoint weft_checkpoint;

typedef struct weft_stored_tensor {
  const char *name;  // as in the file
  const char *file;
  weft_dtype dtype;
  uint32_t rank;
  uint64_t shape[4];  // row-major, outermost first (GGUF's order is turned round)
  const void *data;   // mapped; at any address: read it through weft_checkpoint_convert or weft_dtype_to_f32
  uint64_t bytes;
  bool transpose;  // set by weft_checkpoint_parameter: the file has (columns, rows) of the parameter's (rows, columns)
} weft_stored_tensor;

// A .safetensors file, a .safetensors.index.json, a .gguf file, or a folder with one of them. A network is read from
// config.json beside it or from GGUF metadata; a bare safetensors file without config.json opens, and
// weft_checkpoint_network then fails.
weft_status weft_checkpoint_open(const char *path, weft_checkpoint **out_checkpoint) WEFT_CHECKED;
void weft_checkpoint_close(weft_checkpoint *checkpoint);  // takes NULL

const char *weft_checkpoint_format(const weft_checkpoint *checkpoint);  // "safetensors", "gguf v3"
weft_status weft_checkpoint_network(const weft_checkpoint *checkpoint, weft_network *out_network) WEFT_CHECKED;
uint32_t weft_checkpoint_count(const weft_checkpoint *checkpoint);
weft_stored_tensor weft_checkpoint_tensor(const weft_checkpoint *checkpoint, uint32_t index);  // sorted by name
// WEFT_INVALID with the nearest name.
weft_status weft_checkpoint_find(const weft_checkpoint *checkpoint, const char *name,
                                 weft_stored_tensor *out_tensor) WEFT_CHECKED;

// The tensor that holds `parameter` of the network, under any of the names in use: Hugging Face's with or without the
// "transformer." or "model." prefix, GGUF's. Its shape and number format are checked. GGUF differs from Hugging Face in
// two ways (llama.cpp's convert_hf_to_gguf.py), and weft_checkpoint_convert undoes both. Of q and k of the llama
// architecture, the rows of each head are permuted for interleaved rotation: of a head of D rows, row 2 i + h of the
// file is row h D/2 + i of Hugging Face's; `out_heads` is the number of such heads, else 0. And gpt2's projections,
// (in, out) in Hugging Face's files, are (out, in): out_tensor->transpose is true then, and its shape stays the file's.
// WEFT_INVALID names the file and the parameter, and the nearest name where there is none.
weft_status weft_checkpoint_parameter(const weft_checkpoint *checkpoint, const weft_parameter *parameter,
                                      weft_stored_tensor *out_tensor, uint32_t *out_heads) WEFT_CHECKED;
// Converts all of it to f32, f16 or bf16 at `out` (elements * size of dtype bytes), rows and shape as Hugging Face's.
// Allocates nothing. A tensor with no `transpose`, 0 heads and the same dtype is copied.
void weft_checkpoint_convert(const weft_stored_tensor *tensor, uint32_t heads, weft_dtype dtype, void *out);

// Writes a safetensors file; tensors in the given order, the first one's data 8-byte aligned (header padded with
// spaces), the others without holes as the format demands: give wide formats first where alignment matters. Metadata:
// pairs of key and value, may be NULL. The data is streamed to PATH.part, which is renamed: the file appears whole or
// not at all. WEFT_INVALID: a name given twice, a block format, an impossible shape; WEFT_FAILED: the disk.
typedef struct weft_saved_tensor {
  const char *name;
  weft_dtype dtype;
  uint32_t rank;
  uint64_t shape[4];
  const void *data;
} weft_saved_tensor;
weft_status weft_safetensors_write(const char *path, const weft_saved_tensor *tensors, uint32_t count,
                                   const char *const *metadata, uint32_t metadata_pairs) WEFT_CHECKED;

// Raw GGUF metadata, for the tokenizer and for `weft checkpoint show`. Integers of all widths arrive as int64_t (larger
// ones are refused when the file is opened), booleans as integer 0 or 1, floats as double. Texts point into the file
// and are any bytes. weft_checkpoint_meta_element takes constant time; index < array->count.
typedef enum weft_meta_type {
  WEFT_META_NONE,
  WEFT_META_INTEGER,
  WEFT_META_NUMBER,
  WEFT_META_BOOL,
  WEFT_META_TEXT,
  WEFT_META_ARRAY
} weft_meta_type;
typedef struct weft_meta {
  const char *key;
  weft_meta_type type;      // of the value, or WEFT_META_ARRAY
  weft_meta_type element;   // of an array
  uint32_t number_in_file;  // its place among the metadata, as for weft_checkpoint_meta
  int64_t integer;
  double number;
  const char *text;
  uint64_t text_bytes;  // text is not terminated by 0: use text_bytes
  uint64_t count;       // of an array
} weft_meta;
uint32_t weft_checkpoint_meta_count(const weft_checkpoint *checkpoint);  // 0 for safetensors
weft_meta weft_checkpoint_meta(const weft_checkpoint *checkpoint, uint32_t index);
weft_meta weft_checkpoint_meta_find(const weft_checkpoint *checkpoint,
                                    const char *key);  // type WEFT_META_NONE when absent
weft_meta weft_checkpoint_meta_element(const weft_checkpoint *checkpoint, const weft_meta *array, uint64_t index);

#ifdef __cplusplus
}
#endif
#endif
