// Costs of a step from the machine's table, fitted to the wavelet level. sim/region.h says what is laid out how.
#include <algorithm>
#include <cmath>

#include "sim/region_layout.h"

namespace weft {

// The cheapest way so far, and what it rests on.
struct choice {
  region_cycles cycles;
  bool any = false;

  double total() const { return cycles.useful + cycles.fill; }
  void consider(const region_cycles &other) {
    if (any && other.useful + other.fill >= total()) return;
    cycles = other;
    any = true;
  }
};

struct table {
  const weft_costs &costs;
  weft_dtype dtype;

  const weft_cost_class *find(weft_op op, const char *algorithm, const char *kind = "") const {
    return weft_costs_find(&costs, op, algorithm, kind, dtype);
  }
};

static weft_cost_shape shape_of(double columns, double rows, double n, double i, double o = 0) {
  weft_cost_shape s = {};
  s.of[WEFT_COST_COLUMNS] = columns;
  s.of[WEFT_COST_ROWS] = rows;
  s.of[WEFT_COST_TOKENS] = n;
  s.of[WEFT_COST_PADDED] = n;
  s.of[WEFT_COST_INNER] = i;
  s.of[WEFT_COST_MADE] = o;
  return s;
}

// `times` such calls one after the other; what is paid once is paid once.
static region_cycles evaluate(const weft_cost_class *form, const weft_cost_shape &shape, double times = 1) {
  region_cycles cycles;
  cycles.form = form;
  cycles.fill = weft_cost_once_cycles(form, &shape);
  cycles.useful = times * (weft_cost_cycles(form, &shape) - cycles.fill);
  cycles.beyond = weft_cost_beyond(form, &shape, &cycles.beyond_in);
  return cycles;
}

// ---- products

// The blocks of `groups` neighbouring rows brought together, n tokens of i features each.
static double gather_cycles(const table &t, const layout &l, double groups, double i) {
  const weft_cost_class *form = t.find(WEFT_OP_LAST_ROW, "lowered");
  if (groups <= 1 || !form) return 0;
  weft_cost_shape shape = shape_of(l.columns, groups, l.n, i);
  return weft_cost_cycles(form, &shape);
}

static void consider_grouped(const table &t, const layout &l, const weft_cost_class *form, double inner, double made,
                             double gathered, choice &best) {
  if (!form) return;
  best_grouping(l, gathered, [&](double groups, double n) {
    double outputs = std::ceil(made / groups), i = l.spread(inner);
    weft_cost_shape shape = shape_of(l.columns, l.rows, n, i, l.spread(outputs));
    shape.of[WEFT_COST_MADE_IN_ALL] = outputs;
    shape.of[WEFT_COST_PADDED] = weft_cost_padded(form->algorithm, t.dtype, n);
    region_cycles cycles = evaluate(form, shape);
    cycles.useful += gather_cycles(t, l, groups, l.spread(gathered));
    best.consider(cycles);
    return cycles.useful + cycles.fill;
  });
}

static choice product(const table &t, const layout &l, double inner, double made) {
  choice best;
  for (const char *algorithm : {"streamed", "panels", "lowered"})
    consider_grouped(t, l, t.find(WEFT_OP_LINEAR, algorithm), inner, made, inner, best);
  return best;
}

static choice weight_gradient(const table &t, const layout &l, double in, double out) {
  choice best;
  const weft_cost_class *form = t.find(WEFT_OP_LINEAR_BACKWARD_WEIGHT, "lowered");
  consider_grouped(t, l, form, in, out, in, best);
  consider_grouped(t, l, form, out, in, out, best);
  return best;
}

// ---- heads: rectangles of whole heads' columns and whole sequences' rows

struct rectangle_of_heads {
  double columns, kv_heads, lanes;
};

template <typename function>
static void each_group_of_heads(const layout &l, std::uint32_t kv_heads, double lanes, double head_dim, function act) {
  for (std::uint32_t groups = 1; groups <= kv_heads && groups <= l.columns; ++groups) {
    if (kv_heads % groups != 0) continue;
    double heads = kv_heads / groups, columns = std::min(std::floor(l.columns / groups), heads * head_dim);
    act(rectangle_of_heads{columns, heads, lanes});
  }
}

// Bytes of what attention keeps of all queries: scores (backward: and slopes), gathered queries, summed outputs.
static double attention_bytes(const weft_cost_shape &s, bool backward, double element) {
  double scores = 4 * s.of[WEFT_COST_KEYS] * s.of[WEFT_COST_HEADS] * s.of[WEFT_COST_QUERIES];
  double gathered = s.of[WEFT_COST_QUERIES] * s.of[WEFT_COST_QUERY_FEATURES] * (element + 4);
  return backward ? 2 * (scores + gathered) : scores + gathered;
}

// Queries, keys, values and outputs (their gradients too) of a rectangle whose columns are used as so many fewer and
// its rows as so many more: a line of cores folded, so neighbours stay neighbours. What a core's part is then, it picks
// from its gathered row; keys that lie in a cache are laid there as they come and do not move.
static double fold_cycles(const table &t, weft_op op, double fold, double columns, double tokens, double rows,
                          double features) {
  const weft_cost_class *form = t.find(WEFT_OP_LAST_ROW, "lowered");
  if (fold <= 1 || !form) return 0;
  double matrices = op == WEFT_OP_ATTENTION_BACKWARD ? 4 : op == WEFT_OP_ATTENTION ? 2 : 1;  // of queries and of keys
  weft_cost_shape shape = shape_of(1, columns, std::ceil(tokens / rows), std::ceil(features / columns));
  return matrices * weft_cost_cycles(form, &shape);
}

static choice attention(const table &t, const layout &l, const weft_step &step) {
  const weft_attributes &a = step.attributes;
  choice best;
  const weft_cost_class *form = t.find(step.op, "lowered", weft_cost_kind(step.op, &a));
  if (!form || a.kv_heads == 0 || a.head_dim == 0) return best;
  double sequences = std::max(a.batch, 1u), element = t.dtype == WEFT_F32 ? 4 : 2;
  double tokens = std::ceil(l.tokens / sequences);
  double keys = step.op == WEFT_OP_ATTENTION_CACHED ? std::max(a.context, 1u) : tokens;
  double rows = std::min(std::max(std::floor(l.rows / sequences), 1.0), keys);
  double turns = std::ceil(sequences / l.rows), room = std::max(l.room * element, 4096.0);
  double lanes = std::max(1.0, std::floor(static_cast<double>(a.heads) / a.kv_heads));
  each_group_of_heads(l, a.kv_heads, lanes, a.head_dim, [&](const rectangle_of_heads &r) {
    auto features = static_cast<std::uint32_t>(r.kv_heads * a.head_dim);
    for (double fold = 1; fold <= r.columns; fold *= 2) {
      double columns = std::floor(r.columns / fold), lines = std::min(rows * fold, keys);
      weft_cost_shape s = shape_of(columns, lines, std::ceil(tokens / lines), 0);
      s.of[WEFT_COST_KEYS] = std::ceil(keys / lines);
      s.of[WEFT_COST_QUERIES] = s.of[WEFT_COST_TOKENS] * lines;
      s.of[WEFT_COST_SEEN] = tokens;
      s.of[WEFT_COST_HEADS] = r.kv_heads * lanes;
      s.of[WEFT_COST_NEAR_HEADS] =
          weft_cost_near_heads(features, a.head_dim, static_cast<std::uint32_t>(columns)) * lanes;
      s.of[WEFT_COST_QUERY_FEATURES] = std::ceil(features / columns) * lanes;
      double bytes = attention_bytes(s, step.op == WEFT_OP_ATTENTION_BACKWARD, element);
      double parts = std::min(std::max(1.0, std::ceil(bytes / room)), tokens);
      for (weft_cost_variable v : {WEFT_COST_TOKENS, WEFT_COST_QUERIES, WEFT_COST_SEEN}) s.of[v] /= parts;
      region_cycles cycles = evaluate(form, s, turns * parts);
      cycles.useful += turns * fold_cycles(t, step.op, fold, r.columns, tokens, rows, features * (1 + lanes));
      best.consider(cycles);
    }
  });
  return best;
}

static choice rope(const table &t, const layout &l, double features, const weft_attributes &a) {
  choice best;
  const weft_cost_class *form = t.find(WEFT_OP_ROPE, "lowered");
  if (!form || a.head_dim == 0) return best;
  auto heads = static_cast<std::uint32_t>(std::max(1.0, std::ceil(features / a.head_dim)));
  each_group_of_heads(l, heads, 1, a.head_dim, [&](const rectangle_of_heads &r) {
    double width = std::ceil(r.kv_heads * a.head_dim / r.columns);
    best.consider(evaluate(form, shape_of(r.columns, l.rows, l.n, width)));
  });
  return best;
}

// ---- the rest

// Rows of a sequence are in its own rows of cores.
static choice rows_moved(const table &t, const layout &l, const weft_step &step, double features) {
  choice best;
  const weft_cost_class *form = t.find(step.op, "lowered");
  if (!form) return best;
  double sequences = std::max(step.attributes.batch, 1u), tokens = std::ceil(l.tokens / sequences);
  double room = step.op == WEFT_OP_CACHE_WRITE ? std::max<double>(step.attributes.context, tokens) : 1;
  double rows = std::min(std::max(std::floor(l.rows / sequences), 1.0), std::max(tokens, room));
  weft_cost_shape s = shape_of(l.columns, rows, std::ceil(tokens / rows), l.spread(features));
  s.of[WEFT_COST_KEYS] = std::ceil(room / rows);
  best.consider(evaluate(form, s, std::ceil(sequences / l.rows)));
  return best;
}

static double table_rows(const weft_schedule &schedule, const weft_step &step) {
  std::uint32_t tensor = step.op == WEFT_OP_EMBED ? step.inputs[1] : step.outputs[0];
  if (tensor == WEFT_NONE || tensor >= schedule.tensor_count || schedule.tensors[tensor].rank == 0) return 1;
  return static_cast<double>(schedule.tensors[tensor].shape[0]);
}

static choice by_width(const table &t, const layout &l, const weft_schedule &schedule, const weft_step &step,
                       double features) {
  choice best;
  const weft_cost_class *form = t.find(step.op, "lowered", weft_cost_kind(step.op, &step.attributes));
  if (!form) return best;
  weft_cost_shape s = shape_of(l.columns, l.rows, l.n, l.spread(std::max(features, 1.0)));
  if (step.op == WEFT_OP_EMBED || step.op == WEFT_OP_EMBED_BACKWARD) {
    s.of[WEFT_COST_TABLE_ROWS] = table_rows(schedule, step);
    s.of[WEFT_COST_PASSES] = weft_cost_table_passes(s.of[WEFT_COST_TABLE_ROWS], s.of[WEFT_COST_INNER]);
  }
  best.consider(evaluate(form, s));
  return best;
}

static choice choose(const table &t, const layout &l, const weft_schedule &schedule, const weft_step &step) {
  auto in = static_cast<double>(step.in), out = static_cast<double>(step.out);
  double features = features_of(schedule, l, step);
  switch (step.op) {
    case WEFT_OP_LINEAR: return product(t, l, in, out);
    case WEFT_OP_LINEAR_BACKWARD_INPUT: return product(t, l, out, in);
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: return weight_gradient(t, l, in, out);
    case WEFT_OP_ATTENTION:
    case WEFT_OP_ATTENTION_BACKWARD:
    case WEFT_OP_ATTENTION_CACHED: return attention(t, l, step);
    case WEFT_OP_ROPE:
    case WEFT_OP_ROPE_BACKWARD: return rope(t, l, features, step.attributes);
    case WEFT_OP_CACHE_WRITE:
    case WEFT_OP_LAST_ROW: return rows_moved(t, l, step, std::max(in, out));
    default: return by_width(t, l, schedule, step, features);
  }
}

bool fitted_cycles(const weft_schedule &schedule, const weft_step &step, const layout &l, region_cycles &out_cycles) {
  if (!schedule.machine->costs) return false;
  weft_dtype dtype = schedule.run.dtype == WEFT_F32 ? WEFT_F32 : WEFT_F16;
  choice best = choose({*schedule.machine->costs, dtype}, l, schedule, step);
  if (best.any) out_cycles = best.cycles;
  return best.any;
}

}  // namespace weft
