// A step on a rectangle of cores, in the letters of region.h. Shared by the two ways of costing it: closed forms of the
// published scheme (region.cpp) and forms fitted to the wavelet level (region_fitted.cpp).
#ifndef WEFT_SIM_REGION_LAYOUT_H
#define WEFT_SIM_REGION_LAYOUT_H

#include <cmath>

#include "sim/region.h"

namespace weft {

struct layout {
  const weft_mesh &mesh;
  double columns, rows;  // C, R
  double tokens;         // N
  double n;              // tokens per core
  double groups;         // of rows, where there are fewer tokens than rows; 1 otherwise
  double room;           // elements of the run's dtype that the plan leaves free in a core
  double rate;           // multiply-accumulates per cycle
  double add;            // f32 adds per cycle
  double elementwise;    // of the run's dtype

  double spread(double features) const { return std::ceil(features / columns); }
  double shared_out(double features) const { return std::ceil(features / groups); }
  double vector_cycles(double length) const { return mesh.vector_startup_cycles + length / rate; }
};

layout layout_of(const weft_schedule &schedule, const weft_step &step);
// Features of a row of the step's widest activation; the op table's FLOPs are counted per element of it.
double features_of(const weft_schedule &schedule, const layout &l, const weft_step &step);

// The fewest cycles over all numbers of groups that there is room for; `cycles(groups, tokens per core)`.
template <typename function>
double best_grouping(const layout &l, double features, function cycles) {
  double best = cycles(l.groups, l.n);
  for (double groups = 2; groups <= l.rows; groups *= 2) {
    double n = std::ceil(l.tokens * groups / l.rows);
    if (l.spread(features) * (n - l.n) > l.room) break;
    double next = cycles(groups, n);
    if (next < best) best = next;
  }
  return best;
}

// From the machine's table; false where it has no class for the op.
bool fitted_cycles(const weft_schedule &schedule, const weft_step &step, const layout &l, region_cycles &out_cycles);

}  // namespace weft
#endif
