// weft sim --level wavelet: a schedule's steps executed core by core, with random weights (normal, deviation 0.02) and
// token ids drawn evenly: times do not depend on values. A decode schedule goes on from a prefill: that of the same
// network, machine and run is compiled and executed first, its KV cache stays in the cores, and every next token is the
// one that the mesh itself has chosen.
#ifndef WEFT_CLI_SIM_WAVELET_H
#define WEFT_CLI_SIM_WAVELET_H

#include "cli/observe.h"
#include "compiler/schedule.h"

typedef struct weft_cli_sim_wavelet_options {
  long long decode;  // tokens decoded; below 0: 1
  long long prompt;  // tokens in the KV cache before; below 0: what leaves room for `decode` at the cache's end
  uint32_t threads;  // 1 or 2; the same bytes. One where options of observing look at every cycle
  bool json;
} weft_cli_sim_wavelet_options;

// Prints tokens (decode), steps of the last run and totals to stdout. WEFT_INVALID: no mesh, more than one system, an
// op without kernel; options of decode for another schedule, or more tokens than the cache has room for.
weft_status weft_cli_sim_wavelet(const weft_schedule *schedule, weft_cli_observe *observe,
                                 const weft_cli_sim_wavelet_options *options) WEFT_CHECKED;

#endif
