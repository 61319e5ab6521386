// What the two forms of recordings share. Private to traces/.
#ifndef WEFT_TRACES_RECORDING_INTERNAL_H
#define WEFT_TRACES_RECORDING_INTERNAL_H

#include "traces/recording.h"

// Spans by core, lane and begin; hops by router, colour, cycle and port. WEFT_FAILED: events were lost.
weft_status weft_recording_sort(weft_recording *recording, const char *path) WEFT_CHECKED;

#endif
