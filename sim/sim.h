// The simulator's one C door. SystemC, event-driven, region level: a step is a transaction over a rectangle of
// cores that act as one, a stream is a train of chunks. Queues for stream-in, compute, reduce, stream-out and update
// run in order and meet through dependencies, chunk hand-over and slots (back-pressure), as compiler/schedule.h
// defines.
//
// The result is a pure function of the schedule: same schedule, same trace. One simulation at a time in a process
// (SystemC's kernel is global); the function takes care of a fresh context, so it can be called again and again.
//
// Data-parallel systems do the same at the same time, so one representative system is simulated. The other N-1 appear
// in the tree that joins them (its port limits streams, its depth adds latency, gradients are summed through it) and in
// the figures that are over all systems.
#ifndef WEFT_SIM_SIM_H
#define WEFT_SIM_SIM_H

#include <stdio.h>

#include "compiler/schedule.h"
#include "traces/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

// What may hold a step back, or the whole schedule.
typedef enum weft_cause {
  WEFT_CAUSE_COMPUTE,     // the cores (or the processor) work
  WEFT_CAUSE_STREAM_IN,   // waiting for weights: wafer I/O or store bandwidth
  WEFT_CAUSE_STREAM_OUT,  // waiting for gradients to leave
  WEFT_CAUSE_REDUCE,      // the tree between systems
  WEFT_CAUSE_UPDATE,      // the optimizer at the store
  WEFT_CAUSE_OVERHEAD,    // fixed costs: layer switch, step launch, fill and drain
  WEFT_CAUSE_COUNT
} weft_cause;
const char *weft_cause_name(weft_cause cause);

typedef struct weft_sim_report {
  double step_seconds;                       // one run of the schedule: a training step, a prefill, a decoded token
  double tokens_per_second;                  // over all systems
  double flops_per_second;                   // achieved over all systems, recomputation not counted
  double utilisation;                        // flops_per_second / peak of the run's dtype
  double busy_seconds[WEFT_QUEUE_COUNT];     // per queue
  double exposed_seconds[WEFT_CAUSE_COUNT];  // they sum to step_seconds: every instant belongs to compute if it
                                             // works, else to what compute waits for
  double bound_seconds;  // may not be beaten: the greatest of FLOPs / peak, bytes in / link, bytes out / link,
                         // reduced bytes / tree port, streamed and updated bytes / store
  weft_cause bound_cause;
  uint64_t events;       // SystemC activations, for the curious
  char bottleneck[240];  // one sentence
} weft_sim_report;

// `schedule` has passed weft_schedule_check. `sink` may be NULL, and so may either of its functions; events come in
// order of their ends once the run is over, then at most 1000 samples of each counter. WEFT_INVALID: a schedule that
// deadlocks (which steps wait for which).
weft_status weft_sim_run(const weft_schedule *schedule, const weft_trace_sink *sink,
                         weft_sim_report *out_report) WEFT_CHECKED;
// Text: tables for people. JSON and CSV: one row with every number in seconds (busy_QUEUE_seconds,
// exposed_CAUSE_seconds). `tokens` is a budget for which the days are given; 0: none.
void weft_sim_report_print(const weft_schedule *schedule, const weft_sim_report *report, double tokens,
                           weft_table_form form, FILE *out);
// What the costs of compute steps rest on, one row per op: the algorithm of the machine's table (models/costs.h) with
// the errors that the table states and how far beyond its measured shapes the steps lie at most; "closed form"
// (sim/region.h) or "roofline" where there is no table. Times are of the steps alone, over all iterations.
void weft_sim_costs_print(const weft_schedule *schedule, weft_table_form form, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
