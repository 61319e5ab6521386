#include "sim/region.h"

#include <algorithm>
#include <cmath>

#include "sim/region_layout.h"

namespace weft {

static double positive(double value) { return value > 0 ? value : 1; }

layout layout_of(const weft_schedule &schedule, const weft_step &step) {
  const weft_mesh &mesh = schedule.machine->mesh;
  bool full = schedule.run.dtype == WEFT_F32;
  double columns = step.rectangle.columns ? step.rectangle.columns : mesh.columns;
  double rows = step.rectangle.rows ? step.rectangle.rows : mesh.rows;
  double tokens = std::max(static_cast<double>(step.rows), 1.0);
  double free_bytes = static_cast<double>(schedule.memory_limit) - static_cast<double>(schedule.memory_bytes);
  return {mesh,
          columns,
          rows,
          tokens,
          std::ceil(tokens / rows),
          std::max(1.0, std::floor(rows / tokens)),
          std::max(0.0, free_bytes / (full ? 4 : 2)),
          positive(full ? mesh.f32_per_cycle : mesh.mixed_per_cycle),
          positive(mesh.elementwise_f32_per_cycle),
          positive(full ? mesh.elementwise_f32_per_cycle : mesh.elementwise_f16_per_cycle)};
}

static double link_cycles(const layout &l, double words) { return words / positive(l.mesh.link_words_per_cycle); }

double reduce_cycles(const weft_mesh &mesh, double words, double cores) {
  if (cores < 2) return 0;
  double group = std::floor(std::sqrt(cores));
  double stages = (group - 1) + (cores / group - 1);
  return 2 * words + (cores - 1) * mesh.hop_cycles + (2 * mesh.ramp_cycles + 1) * stages;
}

double all_reduce_cycles(const weft_mesh &mesh, double words, double cores) {
  if (cores < 2) return 0;
  return reduce_cycles(mesh, words, cores) + words + cores * mesh.hop_cycles + 2 * mesh.ramp_cycles;
}

// `spread` features lie over the columns, `made` outputs are summed along the row.
static double product_cycles(const layout &l, double spread, double made) {
  return best_grouping(l, spread, [&](double groups, double n) {
    double outputs = std::ceil(made / groups), gathered = groups > 1 ? l.spread(spread) * n : 0;
    double vector = l.spread(spread) * outputs * l.vector_cycles(n) + outputs * n / l.add;
    return std::max({vector, link_cycles(l, outputs * n), link_cycles(l, gathered)});
  });
}

static double weight_gradient_cycles(const layout &l, double stays, double moves) {
  return best_grouping(l, stays, [&](double groups, double n) {
    double passing = std::ceil(moves / groups), dots = l.spread(stays) * passing;
    double vector = dots * (l.vector_cycles(n) + 1 / l.add);
    double along_column = dots + (groups > 1 ? l.spread(stays) * n : 0);
    return std::max({vector, link_cycles(l, passing * n), link_cycles(l, along_column)});
  });
}

static double softmax_cycles(const layout &l, const weft_step &step, double products) {
  // What the op table counts beside the products of q, k and v: 4 per score forward, 8 backward.
  double head_dim = std::max(step.attributes.head_dim, 1u), beside = products == 2 ? 4 : 8;
  double scores = step.flops / (2 * products * head_dim + beside);
  return scores * beside / (l.columns * l.rows * l.elementwise);
}

static double attention_cycles(const layout &l, const weft_step &step, double products, double sums) {
  const weft_attributes &a = step.attributes;
  double sequence = l.tokens / std::max(a.batch, 1u);
  double queries = std::min(l.n, sequence), sequences = std::ceil(l.n / sequence);
  double length = a.causal ? queries * (sequence + 1) / (2 * sequence) : queries;
  double keys = l.shared_out(sequence), features = l.spread(static_cast<double>(a.heads) * a.head_dim);
  double vector = products * sequences * keys * features * l.vector_cycles(length);
  double passing = sums * sequences * keys * length;
  return std::max(vector + passing / l.add, link_cycles(l, passing)) + softmax_cycles(l, step, products);
}

static double cached_attention_cycles(const layout &l, const weft_step &step) {
  const weft_attributes &a = step.attributes;
  double keys = std::ceil(std::max(a.context, 1u) / l.rows);
  double features = l.spread(static_cast<double>(a.heads) * a.head_dim);
  double products = 2 * l.tokens * features * l.vector_cycles(keys);
  return products + l.tokens * keys / l.add + softmax_cycles(l, step, 2) +
         reduce_cycles(l.mesh, l.tokens * features, l.rows);
}

double features_of(const weft_schedule &schedule, const layout &l, const weft_step &step) {
  if (step.op == WEFT_OP_EMBED_BACKWARD) return static_cast<double>(step.out);
  if (step.op == WEFT_OP_CROSS_ENTROPY) return static_cast<double>(step.in);
  std::uint32_t tensor = step.outputs[0];
  if (tensor == WEFT_NONE || tensor >= schedule.tensor_count) return static_cast<double>(std::max(step.in, step.out));
  const weft_tensor &output = schedule.tensors[tensor];
  double elements = 1;
  for (std::uint32_t i = 0; i < output.rank; ++i) elements *= static_cast<double>(output.shape[i]);
  if (output.residency == WEFT_CACHE) return static_cast<double>(std::max(step.in, step.out));
  return elements / l.tokens;
}

static double elementwise_cycles(const layout &l, const weft_step &step, double features) {
  double elements = std::max(l.tokens * features, 1.0), operations = std::max(1.0, std::ceil(step.flops / elements));
  double per_core = l.n * l.spread(std::max(features, 1.0));
  return operations * (l.mesh.vector_startup_cycles + per_core / l.elementwise);
}

static double norm_cycles(const layout &l, const weft_step &step, double features, double statistics,
                          double gradients) {
  double cycles = elementwise_cycles(l, step, features) + all_reduce_cycles(l.mesh, statistics * l.n, l.columns);
  if (gradients > 0) cycles += reduce_cycles(l.mesh, gradients * l.spread(features), l.rows);
  return cycles;
}

static double useful_cycles(const layout &l, const weft_step &step, double features) {
  auto in = static_cast<double>(step.in), out = static_cast<double>(step.out);
  switch (step.op) {
    case WEFT_OP_LINEAR: return product_cycles(l, in, out);
    case WEFT_OP_LINEAR_BACKWARD_INPUT: return product_cycles(l, out, in);
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT:
      return std::min(weight_gradient_cycles(l, out, in), weight_gradient_cycles(l, in, out));
    case WEFT_OP_ATTENTION: return attention_cycles(l, step, 2, 1);
    case WEFT_OP_ATTENTION_BACKWARD: return attention_cycles(l, step, 5, 2);
    case WEFT_OP_ATTENTION_CACHED: return cached_attention_cycles(l, step);
    case WEFT_OP_LAYER_NORM: return norm_cycles(l, step, features, 2, 0);
    case WEFT_OP_LAYER_NORM_BACKWARD: return norm_cycles(l, step, features, 2, 2);
    case WEFT_OP_RMS_NORM: return norm_cycles(l, step, features, 1, 0);
    case WEFT_OP_RMS_NORM_BACKWARD: return norm_cycles(l, step, features, 1, 1);
    case WEFT_OP_CROSS_ENTROPY:
      return elementwise_cycles(l, step, features) + 2 * all_reduce_cycles(l.mesh, l.n, l.columns);
    default: return elementwise_cycles(l, step, features);
  }
}

region_cycles region_step_cycles(const weft_schedule &schedule, const weft_step &step) {
  layout l = layout_of(schedule, step);
  region_cycles cycles;
  if (fitted_cycles(schedule, step, l, cycles)) return cycles;
  cycles.useful = useful_cycles(l, step, features_of(schedule, l, step));
  cycles.fill = (l.rows + l.columns) * l.mesh.hop_cycles + 2 * l.mesh.ramp_cycles;
  return cycles;
}

work region_work(const weft_schedule &schedule, const weft_step &step, portion part) {
  region_cycles cycles = region_step_cycles(schedule, step);
  double clock = schedule.machine->mesh.clock_hz;
  work cost;
  cost.useful_seconds = cycles.useful * part.share / clock;
  if (part.first) cost.overhead_seconds = cycles.fill / clock;
  return cost;
}

}  // namespace weft
