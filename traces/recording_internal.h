// What the two forms of recordings share. Private to traces/.
#ifndef WEFT_TRACES_RECORDING_INTERNAL_H
#define WEFT_TRACES_RECORDING_INTERNAL_H

#include "traces/recording.h"

// Spans by core, lane and begin, the outer one first; hops by router, colour, cycle and port. WEFT_FAILED: events were
// lost.
weft_status weft_recording_sort(weft_recording *recording, const char *path) WEFT_CHECKED;

// What of a span is in the window.
uint64_t weft_span_begin(const weft_recording *recording, const weft_span *span);
uint64_t weft_span_end(const weft_recording *recording, const weft_span *span);

// The first span of another core than that of `first`, the first hop of another router.
uint64_t weft_recording_core_end(const weft_recording *recording, uint64_t first);
uint64_t weft_recording_router_end(const weft_recording *recording, uint64_t first);

const char *weft_recording_port_name(uint32_t port);

#endif
