// The compiler's door: a network, a machine and a run become a schedule.
//
// Passes, each a verb and a file, the checker after every one:
//   build (models/graph)  ops of the mode; training adds the backward graph by the table of ops
//   partition             micro-batch and recomputation; every tensor gets its dtype
//   stream                weights in ahead of their consumers, gradients out behind their producers, updates
//   place                 rectangle of cores and chunking of every step
//   plan                  slots with lifetimes; what does not fit is WEFT_INFEASIBLE with the numbers
//   order                 dependencies: data, and reuse of slots between queues
#ifndef WEFT_COMPILER_COMPILE_H
#define WEFT_COMPILER_COMPILE_H

#include "compiler/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

// `machine` is copied. Same inputs, same bytes. WEFT_INVALID: the run contradicts the network or machine;
// WEFT_INFEASIBLE: does not fit, with what is needed and what there is.
weft_status weft_compile(const weft_network *network, const weft_machine *machine, const weft_run *run,
                         weft_schedule **out_schedule) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
