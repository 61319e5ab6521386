// The broadcast/reduce tree between systems (SwarmX). Weights are broadcast down it, gradients are summed on their way
// up "in floating point at line rate" (the vendor's documents on weight streaming).
//
// Data-parallel systems run the same steps on as many sequences at the same time, so one representative system is
// simulated, and the tree stands for the others: its depth adds latency, its port limits the rate. With one
// system there is no tree.
#ifndef WEFT_SIM_TREE_H
#define WEFT_SIM_TREE_H

#include "sim/cost.h"

namespace weft {

// Levels between the store and `systems` systems: ceil(log_fan_out(systems)); 0 for one system.
std::uint32_t tree_depth(const weft_machine &machine, std::uint32_t systems);
// Seconds for the first byte to pass all levels, one way.
double tree_latency(const weft_machine &machine, std::uint32_t systems);
// `rate` limited by a system's port of the tree.
double tree_limit(const weft_machine &machine, std::uint32_t systems, double rate);
// ALL_REDUCE: depth x latency + bytes / port. The sum is cut through, so levels do not multiply the bytes; it goes
// up only: what comes down again are the next pass's weights, which the stream-in steps pay for. Nothing with
// one system (a picosecond).
work reduce_work(const weft_schedule &schedule, const weft_step &step);

}  // namespace weft
#endif
