// How quick the ops of backend cpu are, beside what bounds them: matrix products beside oneDNN's sgemm with its own
// threading, called by turns in the same run, and all other ops beside the memory bandwidth that a sum of large
// matrices reaches.
//
//   ops [THREADS] [ROUNDS]
//
// The sizes are those of a training step of GPT-2 124M with 256 tokens. Median and, in brackets, the quickest and
// slowest round; a computer with other work to do spreads them.
#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "runtime/backend.h"

enum { MOST_ROUNDS = 1000, TOKENS = 256, HIDDEN = 768, HEADS = 12, VOCABULARY = 50257, BATCH = 4 };

typedef struct bench {
  void *device;
  int rounds;
  char *memory;
  uint64_t used, bytes;
  double bandwidth;  // bytes/s, of the sum
} bench;

static void end_with(weft_status status) {
  if (!status) return;
  fprintf(stderr, "ops: %s\n", weft_status_message(status));
  exit((int)weft_status_code(status));
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static weft_view take(bench *b, weft_dtype dtype, uint64_t rows, uint64_t columns) {
  uint64_t bytes = (rows * columns * weft_dtype_block_bytes(dtype) + 4095) / 4096 * 4096;
  if (b->used + bytes > b->bytes) {
    fputs("ops: the operands do not fit\n", stderr);
    exit(1);
  }
  weft_view v = {b->memory + b->used, dtype, rows, columns, columns};
  b->used += bytes;
  for (uint64_t i = 0; i < rows * columns; ++i) {
    float value = (float)(i * 2654435761u % 4096) / 4096 - 0.5f;
    int32_t id = (int32_t)(i * 31 % 50000);
    if (dtype == WEFT_I32)
      ((int32_t *)v.data)[i] = id;
    else
      weft_dtype_from_f32(dtype, &value, (char *)v.data + i * weft_dtype_block_bytes(dtype), 1);
  }
  return v;
}

static const weft_scalars scalars = {.loss_scale = 1.0f / TOKENS,
                                     .learning_rate = 1e-4f,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.95f,
                                     .epsilon = 1e-8f,
                                     .decay = 0.1f,
                                     .step = 10,
                                     .gradient_scale = 1};
static const weft_attributes attributes = {.batch = BATCH,
                                           .heads = HEADS,
                                           .kv_heads = HEADS,
                                           .head_dim = 64,
                                           .rotary_dim = 64,
                                           .causal = true,
                                           .rope_kind = WEFT_ROPE_HALF,
                                           .rope_theta = 10000,
                                           .epsilon = 1e-5f,
                                           .scale = 1,
                                           .decay = 1};

static double once(const bench *b, const weft_call *call) {
  double start = weft_clock_s();
  end_with(weft_backend_cpu.compute(b->device, 0, call));
  return weft_clock_s() - start;
}

static void print_times(const char *label, double amount, const char *unit, double *times, int count) {
  qsort(times, (size_t)count, sizeof *times, by_size);
  printf("%s %7.1f %s [%.1f-%.1f]", label, amount / times[count / 2] / 1e9, unit, amount / times[0] / 1e9,
         amount / times[count - 1] / 1e9);
}

// One product as the op makes it and as oneDNN's sgemm with all threads makes it, by turns.
static void product(bench *b, const char *name, weft_op op, weft_dtype dtype, uint64_t rows, uint64_t in, uint64_t out,
                    bool transposed) {
  b->used = 0;
  weft_attributes a = attributes;
  a.transposed = transposed;
  bool forward = op == WEFT_OP_LINEAR, gradient = op == WEFT_OP_LINEAR_BACKWARD_WEIGHT;
  weft_view x = take(b, dtype, rows, in), y = take(b, dtype, rows, out),
            w = take(b, dtype, transposed ? in : out, transposed ? out : in);
  weft_call call = {.op = op,
                    .attributes = &a,
                    .scalars = &scalars,
                    .inputs = {forward ? x : y, gradient ? x : w},
                    .outputs = {forward    ? y
                                : gradient ? w
                                           : x}};
  double ours[MOST_ROUNDS], theirs[MOST_ROUNDS], flops = 2.0 * (double)rows * (double)in * (double)out;
  const weft_view *left = gradient ? (transposed ? &x : &y) : &call.inputs[0],
                  *right = gradient ? (transposed ? &y : &x) : &w;
  const weft_view *result = &call.outputs[0];
  char turn_left = gradient ? 'T' : 'N', turn_right = !gradient && forward != transposed ? 'T' : 'N';
  dnnl_dim_t m = (dnnl_dim_t)result->rows, n = (dnnl_dim_t)result->columns,
             k = (dnnl_dim_t)(gradient  ? rows
                              : forward ? in
                                        : out);
  for (int round = -1; round < b->rounds; ++round) {
    double taken = once(b, &call), start = weft_clock_s();
    if (dtype == WEFT_F32)
      (void)dnnl_sgemm(turn_left, turn_right, m, n, k, 1, left->data, (dnnl_dim_t)left->stride, right->data,
                       (dnnl_dim_t)right->stride, 0, result->data, (dnnl_dim_t)result->stride);
    if (round < 0) continue;
    ours[round] = taken;
    theirs[round] = weft_clock_s() - start;
  }
  printf("%-34s %-4s (%llu, %llu, %llu)\t", name, weft_dtype_name(dtype), (unsigned long long)rows,
         (unsigned long long)in, (unsigned long long)out);
  print_times("", flops, "GFLOP/s", ours, b->rounds);
  if (dtype == WEFT_F32) print_times("\tsgemm", flops, "GFLOP/s", theirs, b->rounds);
  if (dtype == WEFT_F32) printf("\t%.2f of it", theirs[b->rounds / 2] / ours[b->rounds / 2]);
  putchar('\n');
}

// Operands are numbered by what they are: rows of hidden width (h), of the MLP's (m), of logits (l), vectors and the
// rest.
static void pass(bench *b, const char *name, weft_call call) {
  double times[MOST_ROUNDS], bytes = 0;
  call.attributes = &attributes;
  call.scalars = &scalars;
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i)
    if (call.inputs[i].data)
      bytes += (double)(call.inputs[i].rows * call.inputs[i].columns * weft_dtype_block_bytes(call.inputs[i].dtype));
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    if (call.outputs[i].data)
      bytes += (double)(call.outputs[i].rows * call.outputs[i].columns * weft_dtype_block_bytes(call.outputs[i].dtype));
  (void)once(b, &call);
  for (int round = 0; round < b->rounds; ++round) times[round] = once(b, &call);
  printf("%-34s %-4s (%llu, %llu)\t", name, weft_dtype_name(call.inputs[0].dtype),
         (unsigned long long)call.inputs[0].rows, (unsigned long long)call.inputs[0].columns);
  print_times("", bytes, "GB/s", times, b->rounds);
  if (b->bandwidth > 0)
    printf("\t%.2f of a large sum", bytes / times[b->rounds / 2] / b->bandwidth);
  else
    b->bandwidth = bytes / times[b->rounds / 2];
  printf("\t%.3f ms\n", times[b->rounds / 2] * 1e3);
}

static void passes(bench *b, weft_dtype d) {
  b->used = 0;
  weft_view h[4], m[3], l[2], o;
  for (int i = 0; i < 4; ++i) h[i] = take(b, d, TOKENS, HIDDEN);
  for (int i = 0; i < 3; ++i) m[i] = take(b, d, TOKENS, 4 * HIDDEN);
  for (int i = 0; i < 2; ++i) l[i] = take(b, d, TOKENS, VOCABULARY);
  weft_view w = take(b, d, 1, HIDDEN), dw = take(b, d, 1, HIDDEN), db = take(b, d, 1, HIDDEN),
            stats = take(b, WEFT_F32, TOKENS, 2);
  weft_view lse = take(b, WEFT_F32, 1, TOKENS), loss = take(b, WEFT_F32, 1, TOKENS),
            heads = take(b, WEFT_F32, TOKENS, HEADS);
  weft_view ids = take(b, WEFT_I32, 1, TOKENS);
  pass(b, "layer_norm", (weft_call){.op = WEFT_OP_LAYER_NORM, .inputs = {h[0], w, w}, .outputs = {h[1], stats}});
  pass(b, "layer_norm_backward",
       (weft_call){.op = WEFT_OP_LAYER_NORM_BACKWARD, .inputs = {h[0], h[1], w, stats}, .outputs = {h[2], dw, db}});
  pass(b, "activation", (weft_call){.op = WEFT_OP_ACTIVATION, .inputs = {m[0]}, .outputs = {m[1]}});
  pass(b, "activation_backward",
       (weft_call){.op = WEFT_OP_ACTIVATION_BACKWARD, .inputs = {m[0], m[1]}, .outputs = {m[2]}});
  pass(b, "gated", (weft_call){.op = WEFT_OP_GATED, .inputs = {m[0], m[1]}, .outputs = {m[2]}});
  pass(b, "add", (weft_call){.op = WEFT_OP_ADD, .inputs = {h[0], h[1]}, .outputs = {h[2]}});
  pass(b, "rope", (weft_call){.op = WEFT_OP_ROPE, .inputs = {h[0], ids}, .outputs = {h[1]}});
  pass(b, "attention", (weft_call){.op = WEFT_OP_ATTENTION, .inputs = {h[0], h[1], h[2]}, .outputs = {h[3], heads}});
  o = h[3];
  pass(b, "attention_backward",
       (weft_call){.op = WEFT_OP_ATTENTION_BACKWARD,
                   .inputs = {h[0], h[0], h[1], h[2], o, heads},
                   .outputs = {m[0], m[1], m[2]}});
  pass(b, "cross_entropy", (weft_call){.op = WEFT_OP_CROSS_ENTROPY, .inputs = {l[0], ids}, .outputs = {loss, lse}});
  pass(b, "cross_entropy_backward",
       (weft_call){.op = WEFT_OP_CROSS_ENTROPY_BACKWARD, .inputs = {l[0], ids, lse}, .outputs = {l[1]}});
  b->used = 0;
  weft_view p = take(b, WEFT_F32, 12 * HIDDEN, 4 * HIDDEN), g = take(b, WEFT_F32, 12 * HIDDEN, 4 * HIDDEN),
            sum = take(b, WEFT_F64, 1, 1);
  weft_view first = take(b, WEFT_F32, 12 * HIDDEN, 4 * HIDDEN), second = take(b, WEFT_F32, 12 * HIDDEN, 4 * HIDDEN);
  if (d != WEFT_F32) return;
  memset(second.data, 0, second.rows * second.columns * 4);
  pass(b, "adamw", (weft_call){.op = WEFT_OP_ADAMW, .inputs = {p, g, first, second}, .outputs = {p, first, second}});
  pass(b, "square_sum", (weft_call){.op = WEFT_OP_SQUARE_SUM, .inputs = {g}, .outputs = {sum}});
  pass(b, "load", (weft_call){.op = WEFT_OP_LOAD, .inputs = {p}, .outputs = {first}});
  pass(b, "store_gradient", (weft_call){.op = WEFT_OP_STORE_GRADIENT, .inputs = {p}, .outputs = {first}});
}

static void products(bench *b, weft_dtype d) {
  static const struct { uint64_t in, out; } shapes[] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
    product(b, "linear (transposed)", WEFT_OP_LINEAR, d, TOKENS, shapes[i].in, shapes[i].out, true);
    product(b, "linear_backward_input (transposed)", WEFT_OP_LINEAR_BACKWARD_INPUT, d, TOKENS, shapes[i].in,
            shapes[i].out, true);
    product(b, "linear_backward_weight (transposed)", WEFT_OP_LINEAR_BACKWARD_WEIGHT, d, TOKENS, shapes[i].in,
            shapes[i].out, true);
  }
  product(b, "linear", WEFT_OP_LINEAR, d, TOKENS, 768, 3072, false);
  product(b, "linear", WEFT_OP_LINEAR, d, TOKENS, 768, VOCABULARY, false);
  product(b, "linear_backward_input", WEFT_OP_LINEAR_BACKWARD_INPUT, d, TOKENS, 768, VOCABULARY, false);
  product(b, "linear_backward_weight", WEFT_OP_LINEAR_BACKWARD_WEIGHT, d, TOKENS, 768, VOCABULARY, false);
  for (uint64_t rows = 1; rows <= 16; rows *= 2)
    product(b, "linear, decoding", WEFT_OP_LINEAR, d, rows, 768, 3072, false);
  product(b, "linear, decoding (transposed)", WEFT_OP_LINEAR, d, 1, 768, 3072, true);
}

int main(int argc, char **argv) {
  bench b = {.rounds = argc > 2 ? atoi(argv[2]) : 9, .bytes = 640u << 20};
  weft_backend_options options = {.threads = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0};
  if (b.rounds < 1 || b.rounds > MOST_ROUNDS) {
    fprintf(stderr, "ops: %s rounds; 1 to %d are right\n", argv[2], MOST_ROUNDS);
    return 2;
  }
  end_with(weft_backend_cpu.open(&options, &b.device));
  void *memory;
  end_with(weft_allocate_large(b.bytes, "the operands", &memory));
  b.memory = memory;
  char *text = weft_backend_cpu.describe(b.device);
  printf("%s\n", text);
  omp_set_num_threads((int)strtol(text, NULL, 10));  // for sgemm by itself
  weft_view large[3];
  for (int i = 0; i < 3; ++i) large[i] = take(&b, WEFT_F32, 4096, 4096);
  pass(&b, "add, large: the bound",
       (weft_call){.op = WEFT_OP_ADD, .inputs = {large[0], large[1]}, .outputs = {large[2]}});
  static const weft_dtype dtypes[] = {WEFT_F32, WEFT_BF16};
  for (int i = 0; i < 2; ++i) {
    products(&b, dtypes[i]);
    passes(&b, dtypes[i]);
  }
  weft_backend_cpu.close(b.device);
  weft_free_large(memory);
  free(text);
  return 0;
}
