// Ops lowered to kernels on one mesh: operands in blocks over the cores' SRAM or at the edge, kernels run one after
// the other. Inside of sim/wavelet.h.
#ifndef WEFT_SIM_LOWER_H
#define WEFT_SIM_LOWER_H

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

#include "compiler/kernels/layers.h"
#include "models/machine.h"
#include "sim/wavelet.h"

namespace weft {

// A matrix in the cores' SRAM (compiler/kernels/layers.h, "Layout"): blocks of whole rows' parts, or, where there is
// something per token, the same in all cores of a mesh row.
struct sharded {
  std::uint32_t rows = 0, columns = 0;
  bool per_token = false;
  weft_dtype dtype = WEFT_F32;
  std::uint32_t block_rows = 0, width = 0;  // of every core's block
  std::vector<std::uint8_t> bytes;          // core by core, row of cores by row of cores
  bool empty() const { return bytes.empty(); }
};

// A matrix at the store or on its way: f32, row-major.
struct stored {
  float *values = nullptr;
  std::uint32_t rows = 0, columns = 0;
};

// One of the two; neither: absent.
struct operand {
  sharded *here = nullptr;
  stored edge;
  bool present() const { return here != nullptr || edge.values != nullptr; }
};

struct lowered_call {
  weft_op op;
  const weft_attributes *attributes;
  const weft_wavelet_scalars *scalars;
  bool accumulate;
  operand in[WEFT_OP_MAX_INPUTS], out[WEFT_OP_MAX_OUTPUTS];
};

class lowering {
 public:
  lowering(const weft_machine &machine, weft_dtype dtype);

  sharded lay(std::uint32_t rows, std::uint32_t columns, weft_dtype dtype) const;  // zero
  sharded lay_per_token(std::uint32_t rows, std::uint32_t columns, weft_dtype dtype) const;
  void scatter(const void *values, sharded &to) const;  // f32 or, for i32, i32
  void gather(const sharded &from, void *values) const;

  // to[:, c] = from[:, source(c)] where source gives a column (>= 0).
  weft_status take_columns(const sharded &from, sharded &to, const std::function<std::int64_t(std::uint32_t)> &source);
  weft_status run(const lowered_call &call);  // outputs on the mesh are laid out anew unless they accumulate

  weft_wavelet_work work{};
  double square_sum = 0;  // of the last SQUARE_SUM
  weft_wavelet_watch watch{};
  std::uint32_t step = WEFT_NONE;  // that kernels belong to, for the watch

 private:
  struct binding {
    const char *name;
    sharded *matrix;
  };
  using words = std::vector<std::vector<std::uint32_t>>;  // by channel

  weft_status execute(weft_kernel *kernel, std::initializer_list<binding> bindings, const words &in, words *out);
  weft_status execute_checked(const weft_kernel *kernel, std::initializer_list<binding> bindings, const words &in,
                              words *out);
  weft_status take(const sharded &from, sharded &to, const std::vector<std::int64_t> &table_of_cores);
  weft_status take_rows(const sharded &from, sharded &to, const std::function<std::int64_t(std::uint32_t)> &source);
  weft_status to_lanes(const sharded &from, const weft_attributes &a, sharded &to);
  weft_status from_lanes(const sharded &from, const weft_attributes &a, sharded &to);
  words vectors(std::initializer_list<const stored *> vectors) const;

  weft_status product(const lowered_call &call);
  weft_status weight_gradient(const lowered_call &call);
  weft_status norm(const lowered_call &call);
  weft_status norm_backward(const lowered_call &call);
  weft_status pointwise(const lowered_call &call);
  weft_status rope(const lowered_call &call);
  weft_status attention(const lowered_call &call);
  weft_status attention_backward(const lowered_call &call);
  weft_status cache_write(const lowered_call &call);
  weft_status last_row(const lowered_call &call);
  weft_status loss(const lowered_call &call);
  weft_status embed(const lowered_call &call);
  weft_status embed_backward(const lowered_call &call);
  weft_status store_gradient(const lowered_call &call);
  weft_status update(const lowered_call &call);
  weft_status update_piece(weft_layer_update shape, const std::vector<const float *> &in,
                           const std::vector<float *> &out, std::uint64_t first, std::uint64_t count);

  const weft_machine &machine_;
  weft_layer_mesh mesh_;
  std::uint64_t sram_;
};

}  // namespace weft

#endif
