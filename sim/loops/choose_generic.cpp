// Chosen by CMake where the compiler's own target is all there is.
#include "sim/loops/loops.h"

namespace weft {

extern const vector_loops vector_loops_generic;

const vector_loops &chosen_loops() { return vector_loops_generic; }

}  // namespace weft
