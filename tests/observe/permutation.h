// Irregular traffic for the mesh: every core sends a stream to one other core, by random permutations.
//
// Routes are static and there are 24 colours, so a permutation of the whole wafer has no routes: streams whose paths
// meet in a router need different colours. So the mesh is cut into tiles of 32 x 32 cores. In a checkerboard of tiles
// the lines of one half are rows, of the other half columns; each of the 32 lines of a tile has its own random
// permutation without fixed points, drawn until its paths need no more than 24 colours (colouring intervals from left
// to right is optimal). Neighbouring links then carry up to some 15 streams at once, which take turns: queues fill and
// back-pressure is everywhere. Cores outside whole tiles do nothing. A wavelet makes about 11 hops between routers.
#ifndef WEFT_TESTS_OBSERVE_PERMUTATION_H
#define WEFT_TESTS_OBSERVE_PERMUTATION_H

#include <stdint.h>

#include "compiler/kernel.h"

// Every core of whole tiles has "out" and "in" (f32, `words` each): afterwards "in" is the sender's "out". At least 32
// columns and rows. `seed` chooses the permutations.
weft_kernel *weft_permutation_kernel(uint32_t columns, uint32_t rows, uint32_t words, uint64_t seed);
// Who sends to core (x, y) of a whole tile.
void weft_permutation_sender(uint64_t seed, uint32_t x, uint32_t y, uint32_t *out_x, uint32_t *out_y);

#endif
