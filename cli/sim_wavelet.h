// weft sim --level wavelet: a schedule's steps executed core by core, with random weights (normal, deviation 0.02) and
// token ids drawn evenly: times do not depend on values.
#ifndef WEFT_CLI_SIM_WAVELET_H
#define WEFT_CLI_SIM_WAVELET_H

#include "cli/observe.h"
#include "compiler/schedule.h"

// Prints steps and totals to stdout. WEFT_INVALID: no mesh, more than one system, an op without kernel.
weft_status weft_cli_sim_wavelet(const weft_schedule *schedule, weft_cli_observe *observe, bool json) WEFT_CHECKED;

#endif
