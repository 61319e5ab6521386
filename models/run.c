#include "models/run.h"

#include <string.h>

#include "base/text.h"

static const char *const modes[] = {"train", "prefill", "decode"};
static const char *const optimizers[] = {"adamw", "sgd"};
static const char *const recomputes[] = {"auto", "none", "block"};

weft_run weft_run_default(void) {
  return (weft_run){.mode = WEFT_TRAIN, .batch = 1, .systems = 1, .dtype = WEFT_BF16, .optimizer = WEFT_ADAMW,
                    .recompute = WEFT_RECOMPUTE_AUTO, .clip = true, .seed = 1};
}

static weft_status parse(const char *what, const char *name, const char *const *names, unsigned count,
                         unsigned *out_value) {
  for (unsigned i = 0; i < count; ++i) {
    if (strcmp(name, names[i]) != 0) continue;
    *out_value = i;
    return NULL;
  }
  return weft_error(WEFT_INVALID, "unknown %s \"%s\"; the nearest known one is \"%s\"", what, name,
                    weft_nearest(name, names, count));
}

const char *weft_mode_name(weft_mode mode) { return (unsigned)mode < WEFT_MODE_COUNT ? modes[mode] : "?"; }

weft_status weft_mode_parse(const char *name, weft_mode *out_mode) {
  unsigned value = 0;
  WEFT_TRY(parse("mode", name, modes, WEFT_MODE_COUNT, &value));
  *out_mode = (weft_mode)value;
  return NULL;
}

const char *weft_optimizer_name(weft_optimizer optimizer) {
  return (unsigned)optimizer < WEFT_OPTIMIZER_COUNT ? optimizers[optimizer] : "?";
}

weft_status weft_optimizer_parse(const char *name, weft_optimizer *out_optimizer) {
  unsigned value = 0;
  WEFT_TRY(parse("optimizer", name, optimizers, WEFT_OPTIMIZER_COUNT, &value));
  *out_optimizer = (weft_optimizer)value;
  return NULL;
}

const char *weft_recompute_name(weft_recompute recompute) {
  return (unsigned)recompute < WEFT_RECOMPUTE_COUNT ? recomputes[recompute] : "?";
}

weft_status weft_recompute_parse(const char *name, weft_recompute *out_recompute) {
  unsigned value = 0;
  WEFT_TRY(parse("recompute", name, recomputes, WEFT_RECOMPUTE_COUNT, &value));
  *out_recompute = (weft_recompute)value;
  return NULL;
}

static weft_status check_sequence(const weft_run *run, const weft_network *network) {
  if (run->sequence > network->positions)
    return weft_error(WEFT_INVALID, "run: sequence %u is longer than the %u positions of network %s", run->sequence,
                      network->positions, network->name);
  if (run->context > network->positions)
    return weft_error(WEFT_INVALID, "run: context %u is longer than the %u positions of network %s", run->context,
                      network->positions, network->name);
  if (run->mode == WEFT_PREFILL && run->context != 0 && run->context < run->sequence)
    return weft_error(WEFT_INVALID, "run: context %u has no room for a prompt of %u tokens", run->context,
                      run->sequence);
  if (run->mode == WEFT_DECODE && run->context != 0 && run->sequence != 0 && run->context != run->sequence)
    return weft_error(WEFT_INVALID, "run: when decoding, context %u and sequence %u mean the same and must agree",
                      run->context, run->sequence);
  if (run->mode == WEFT_TRAIN && run->context != 0)
    return weft_error(WEFT_INVALID, "run: context %u: training has no KV cache", run->context);
  return NULL;
}

static weft_status check_batch(const weft_run *run) {
  if (run->batch == 0 || run->batch > 1u << 24)
    return weft_error(WEFT_INVALID, "run: batch %u: 1 to %u is right", run->batch, 1u << 24);
  if (run->systems == 0 || run->systems > 1u << 16)
    return weft_error(WEFT_INVALID, "run: systems %u: 1 to %u is right", run->systems, 1u << 16);
  if (run->batch % run->systems != 0)
    return weft_error(WEFT_INVALID, "run: batch %u does not divide over %u systems; %u would", run->batch, run->systems,
                      (run->batch / run->systems + 1) * run->systems);
  uint32_t each = run->batch / run->systems;
  if (run->micro_batch != 0 && (run->micro_batch > each || each % run->micro_batch != 0))
    return weft_error(WEFT_INVALID, "run: micro-batch %u does not divide the %u sequences of each system",
                      run->micro_batch, each);
  return NULL;
}

weft_status weft_run_check(const weft_run *run, const weft_network *network) {
  if ((unsigned)run->mode >= WEFT_MODE_COUNT || (unsigned)run->optimizer >= WEFT_OPTIMIZER_COUNT ||
      (unsigned)run->recompute >= WEFT_RECOMPUTE_COUNT)
    return weft_error(WEFT_INVALID, "run: mode %d, optimizer %d or recompute %d is none that Weft knows",
                      (int)run->mode, (int)run->optimizer, (int)run->recompute);
  WEFT_TRY(check_batch(run));
  if (network) WEFT_TRY(check_sequence(run, network));
  if (!weft_dtype_computes(run->dtype))
    return weft_error(WEFT_INVALID, "run: dtype %s: f32, f16 or bf16 is right", weft_dtype_name(run->dtype));
  if (run->mode == WEFT_DECODE && network && network->family == WEFT_BERT)
    return weft_error(WEFT_INVALID, "run: %s is bidirectional and cannot decode", network->name);
  if (run->mode != WEFT_TRAIN && run->systems != 1)
    return weft_error(WEFT_INVALID, "run: %u systems: only training uses more than one", run->systems);
  if (run->all_logits && run->mode != WEFT_PREFILL)
    return weft_error(WEFT_INVALID, "run: logits of every position are for mode prefill, not %s",
                      weft_mode_name(run->mode));
  return NULL;
}

void weft_run_print(const weft_run *run, FILE *out) {
  fprintf(out, "run: %s, dtype %s, seed %llu\n", weft_mode_name(run->mode), weft_dtype_name(run->dtype),
          (unsigned long long)run->seed);
  fprintf(out, "  %-16s %10u  sequences\n", "batch", run->batch);
  if (run->sequence) fprintf(out, "  %-16s %10u  tokens\n", "sequence", run->sequence);
  else fprintf(out, "  %-16s %10s  (all positions)\n", "sequence", "network's");
  if (run->context) fprintf(out, "  %-16s %10u  tokens of KV cache\n", "context", run->context);
  fprintf(out, "  %-16s %10u  systems\n", "systems", run->systems);
  if (run->micro_batch) fprintf(out, "  %-16s %10u  sequences per system and pass\n", "micro-batch", run->micro_batch);
  if (run->mode == WEFT_TRAIN) {
    fprintf(out, "  %-16s %10s\n", "optimizer", weft_optimizer_name(run->optimizer));
    fprintf(out, "  %-16s %10s\n", "recompute", weft_recompute_name(run->recompute));
    if (!run->clip) fprintf(out, "  %-16s %10s\n", "clipping", "none");
  }
  if (run->all_logits) fprintf(out, "  %-16s %10s\n", "logits", "all rows");
}
