// Where and in what pieces: the rectangle of cores of every step, how streams are cut into chunks, and each step's
// work.
#include <stdlib.h>

#include "compiler/passes.h"

// On a processor a ring of chunks should stay in a core's own cache between the thread that brings it and the one that
// uses it: copies are then twice as quick, and what is used comes from cache. Decoding is all bandwidth, so it takes
// the small chunks; with more tokens a product needs a larger piece to be efficient, above all where chunks split its
// inner dimension. (Measured with tests/bench; docs/decisions/compiler.md.) On a mesh the weight is a stream of
// wavelets anyway, and chunks are only how finely the overlap is described.
static const uint64_t DECODE_CHUNK_BYTES = 512u << 10, PRODUCT_CHUNK_BYTES = 16u << 20,
                      MESH_CHUNK_BYTES_MIN = 256u << 10;
enum { FEW_TOKENS = 4, INNER_ROWS_MIN = 512, MESH_CHUNKS = 16, MESH_RING = 2, ROOFLINE_RING = 4 };

static weft_tensor *tensor_at(weft_schedule *schedule, uint32_t index) {
  return index == WEFT_NONE ? NULL : &schedule->tensors[index];
}

static uint64_t rows_of(const weft_tensor *t) {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < t->rank; ++d) rows *= t->shape[d];
  return t->rank == 1 ? t->shape[0] : rows;
}

static uint64_t columns_of(const weft_tensor *t) { return t->rank == 1 ? 1 : t->shape[t->rank - 1]; }

// Whether a chunk of rows of the stored weight is a part of the sums, not of the results.
static bool splits_inner(const weft_step *step) {
  if (step->op == WEFT_OP_LINEAR) return step->attributes.transposed;
  return step->op == WEFT_OP_LINEAR_BACKWARD_INPUT && !step->attributes.transposed;
}

static uint64_t choose_chunks(const weft_schedule *schedule, const weft_step *compute, const weft_tensor *weight) {
  uint64_t bytes = weft_tensor_bytes(weight), rows = weight->shape[0], target, chunks;
  if (schedule->machine->kind == WEFT_MESH) {
    target = (bytes + MESH_CHUNKS - 1) / MESH_CHUNKS;
    if (target < MESH_CHUNK_BYTES_MIN) target = MESH_CHUNK_BYTES_MIN;
    return (bytes + target - 1) / target;
  }
  bool few = rows_of(&schedule->tensors[compute->inputs[0]]) <= FEW_TOKENS;
  target = few ? DECODE_CHUNK_BYTES : PRODUCT_CHUNK_BYTES;
  chunks = (bytes + target - 1) / target;
  uint64_t most = !few && splits_inner(compute) ? rows / INNER_ROWS_MIN : rows;
  return chunks > most ? most : chunks;
}

static void chunk_pair(weft_schedule *schedule, uint32_t stream, uint32_t compute, uint32_t weight) {
  weft_tensor *t = &schedule->tensors[weight];
  if (t->rank != 2) return;
  uint64_t chunks = choose_chunks(schedule, &schedule->steps[compute], t);
  if (chunks < 2) return;
  uint64_t chunk_rows = (t->shape[0] + chunks - 1) / chunks;
  chunks = (t->shape[0] + chunk_rows - 1) / chunk_rows;
  if (chunks < 2) return;
  t->chunk_rows = (uint32_t)chunk_rows;
  for (int i = 0; i < 2; ++i) {
    weft_step *step = &schedule->steps[i ? compute : stream];
    step->partner = i ? stream : compute;
    step->chunks = (uint32_t)chunks;
    step->chunk_rows = (uint32_t)chunk_rows;
    step->ring = schedule->machine->kind == WEFT_MESH ? MESH_RING : ROOFLINE_RING;
  }
}

// A chunked pair is the stream step and the linear step next to the same weight tensor.
static void chunk_streams(weft_schedule *schedule) {
  uint32_t *stream_of = weft_allocate_array(schedule->tensor_count, sizeof *stream_of);
  for (uint32_t s = 0; s < schedule->body; ++s) {
    const weft_step *step = &schedule->steps[s];
    if (step->op == WEFT_OP_LOAD) stream_of[step->outputs[0]] = s + 1;
    if (step->op == WEFT_OP_LINEAR_BACKWARD_WEIGHT) stream_of[step->outputs[0]] = s + 1;
    if (step->op == WEFT_OP_LINEAR || step->op == WEFT_OP_LINEAR_BACKWARD_INPUT)
      chunk_pair(schedule, stream_of[step->inputs[1]] - 1, s, step->inputs[1]);
    if (step->op == WEFT_OP_STORE_GRADIENT && stream_of[step->inputs[0]])
      chunk_pair(schedule, s, stream_of[step->inputs[0]] - 1, step->inputs[0]);
  }
  free(stream_of);
}

static uint64_t payload_bytes(const weft_schedule *schedule, const weft_step *step) {
  uint64_t bytes = 0;
  weft_tensor *first = tensor_at((weft_schedule *)(uintptr_t)schedule, step->inputs[0]);
  switch (step->op) {
    case WEFT_OP_ADAMW:
      return 28 * weft_tensor_elements(first);  // reads parameter, gradient, m, v; writes all but one; f32
    case WEFT_OP_SGD: return 12 * weft_tensor_elements(first);
    case WEFT_OP_SQUARE_SUM: return 4 * weft_tensor_elements(first);
    case WEFT_OP_ALL_REDUCE: {
      uint64_t each = 0;
      (void)weft_dtype_bytes(schedule->run.dtype, weft_tensor_elements(first), &each);
      return each;
    }
    case WEFT_OP_EMBED: return weft_tensor_bytes(&schedule->tensors[step->outputs[0]]);
    case WEFT_OP_EMBED_BACKWARD: return weft_tensor_bytes(&schedule->tensors[step->inputs[1]]);
    default: break;
  }
  bool in = step->kind != WEFT_STREAM_IN, out = step->kind != WEFT_STREAM_OUT;  // streams: the link, once
  for (int i = 0; in && i < WEFT_OP_MAX_INPUTS; ++i) {
    if (step->inputs[i] == WEFT_NONE) continue;
    const weft_tensor *t = &schedule->tensors[step->inputs[i]];
    uint64_t here = weft_tensor_bytes(t);
    if (t->residency == WEFT_CACHE) here = here / t->shape[1] * step->attributes.context;
    bytes += here;
  }
  for (int i = 0; out && i < WEFT_OP_MAX_OUTPUTS; ++i) {
    if (step->outputs[i] == WEFT_NONE) continue;
    const weft_tensor *t = &schedule->tensors[step->outputs[i]];
    bytes += t->residency == WEFT_CACHE ? weft_tensor_bytes(&schedule->tensors[step->inputs[i]]) : weft_tensor_bytes(t);
  }
  return bytes;
}

static void measure_work(const weft_schedule *schedule, weft_step *step) {
  const weft_tensor *in = &schedule->tensors[step->inputs[0]];
  const weft_tensor *out = step->outputs[0] == WEFT_NONE ? in : &schedule->tensors[step->outputs[0]];
  step->rows = rows_of(in);
  step->in = columns_of(in);
  step->out = columns_of(out);
  if (step->op == WEFT_OP_LINEAR_BACKWARD_INPUT) {  // in and out as the forward op has them
    step->in = columns_of(out);
    step->out = columns_of(in);
  } else if (step->op == WEFT_OP_LINEAR_BACKWARD_WEIGHT) {
    step->out = columns_of(in);
    step->in = columns_of(&schedule->tensors[step->inputs[1]]);
  }
  uint64_t elements = weft_tensor_elements(out);
  if (step->op == WEFT_OP_STORE_GRADIENT && step->outputs[1] != WEFT_NONE)
    elements += weft_tensor_elements(&schedule->tensors[step->outputs[1]]);
  weft_op_size size = {.rows = step->rows, .in = step->in, .out = step->out, .elements = elements};
  step->flops = weft_op_flops(step->op, &step->attributes, size);
  step->bytes = payload_bytes(schedule, step);
}

void weft_place(weft_schedule *schedule) {
  chunk_streams(schedule);
  const weft_mesh *mesh = &schedule->machine->mesh;
  for (uint32_t s = 0; s < schedule->step_count; ++s) {
    weft_step *step = &schedule->steps[s];
    measure_work(schedule, step);
    if (schedule->machine->kind == WEFT_MESH && step->kind != WEFT_UPDATE)
      step->rectangle = (weft_rectangle){0, 0, mesh->columns, mesh->rows};
  }
}
