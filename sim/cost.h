// What a piece of work asks of the hardware: pure functions from a step to seconds and demands. Everything that the
// simulator knows about speed goes through here; the event-driven part (queue, sharing) only orders it in time.
//
// A step is worked on in portions. A portion is a share of the step's bytes and FLOPs (one chunk of a streamed
// weight, or the whole step); the first portion of a step also carries what is paid once per step.
//
// Two kinds of time are kept apart: `useful` (the resource works at its rate) and `overhead` (fixed costs: layer
// switch, step launch, latency, fill and drain). No portion of compute is ever quicker than its FLOPs at the device's
// peak, whatever a measured table says, so that a prediction cannot beat its bound.
//
// The formulas live with the noun that they describe: region.h (a rectangle of cores), processor.h (a roofline), link.h
// (wafer I/O and the weight store), tree.h (broadcast and reduce between systems).
#ifndef WEFT_SIM_COST_H
#define WEFT_SIM_COST_H

#include <cstdint>
#include <vector>

#include "compiler/schedule.h"

namespace weft {

using picoseconds = std::uint64_t;

// One portion running alone; demands are what it takes of shared resources while it runs at full speed.
struct work {
  double overhead_seconds = 0, useful_seconds = 0;
  double cores = 0;                   // of a processor whose queues share them; 0: the work has its own hardware
  double store_bytes_per_second = 0;  // of the weight store

  picoseconds duration() const;                          // rounded to the nearest; at least 1 ps
  picoseconds overhead_part(picoseconds elapsed) const;  // of `elapsed`, in proportion
};

struct portion {
  double share;  // of the step's bytes and FLOPs, (0, 1]
  bool first;    // carries what is paid once per step
};

// The portions of one step: they repeat in every iteration, so they are worked out once.
struct step_costs {
  std::uint32_t chunks = 1;  // 1 where the step has no partner: nothing can be seen of its chunks then
  work first, middle, last;  // chunk 0; chunks 1 .. chunks-2; chunk chunks-1 (when there is more than one)
  work once;                 // chunk 0 of the first iteration: `first` with layer_seconds, or zeros written before sums

  const work &chunk(std::uint32_t index, bool first_iteration) const {
    if (index == 0) return first_iteration ? once : first;
    return index + 1 == chunks ? last : middle;
  }
};

// Share of chunk `index` in a step of `chunks` chunks: rows of the streamed matrix, which the last chunk may have fewer
// of.
double chunk_share(const weft_schedule &schedule, const weft_step &step, std::uint32_t index);

// Costs of every step, in order of number. machine.layer_seconds is charged to the first compute step of each
// (layer, phase, recomputed) of a block, in the first iteration only: it stands for what a host does once per training
// step to set a layer up; what every iteration repeats (fill, drain, latencies) has costs of its own.
std::vector<step_costs> cost_schedule(const weft_schedule &schedule);

// One portion of one step, without layer_seconds.
work cost_portion(const weft_schedule &schedule, const weft_step &step, portion part);

// FLOP/s of one system in the run's dtype.
double peak_flops(const weft_schedule &schedule);

}  // namespace weft
#endif
