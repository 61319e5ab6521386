// Ops lowered to kernels on one mesh: operands in blocks over the cores' SRAM or at the edge, kernels run one after
// the other. Inside of sim/wavelet.h.
#ifndef WEFT_SIM_LOWER_H
#define WEFT_SIM_LOWER_H

#include <cstdint>
#include <initializer_list>
#include <list>
#include <string>
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
  bool kept = false;                        // stays in SRAM beside kernels that do not need it
  bool empty() const { return bytes.empty(); }
  std::uint64_t core_bytes() const;  // SRAM of its array in a core
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

  weft_status run(const lowered_call &call);  // outputs on the mesh are laid out anew unless they accumulate

  // to's columns first ... first + count - 1 become from's columns source, source + 1 ...
  weft_status take_columns(const sharded &from, sharded &to, std::uint32_t first, std::uint32_t source,
                           std::uint32_t count);

  // Kernels of the whole run (compiler/kernels/layers.h, tokens and scalars). Lists: token ids and the like, as many
  // as positions; each comes in as words and is left in `out_lists`.
  weft_status enter_tokens(std::uint64_t position, std::uint32_t tokens, std::uint32_t each,
                           const std::vector<const std::int32_t *> &lists, std::vector<sharded> &out_lists);
  weft_status open_step(const weft_wavelet_scalars &scalars, float clip_norm);
  weft_status count_targets(sharded &targets);
  weft_status sum_losses(sharded &losses);
  weft_status clip_gradients();
  weft_status choose(sharded &logits, sharded &ids);  // the greatest of each row
  float scalar(weft_layer_scalar which) const;        // read out, from the first core
  void set_scalar(weft_layer_scalar which, float value);

  weft_wavelet_work work{};
  weft_wavelet_work tables{};    // of what is made once and stays: rope's tables
  sharded positions;             // of the last enter_tokens
  std::uint64_t kept_bytes = 0;  // in every core, of matrices that are `kept`
  weft_wavelet_watch watch{};
  std::uint32_t step = WEFT_NONE;  // that kernels belong to, for the watch

 private:
  struct binding {
    const char *name;
    sharded *matrix;
  };
  using words = std::vector<std::vector<std::uint32_t>>;  // by channel
  // Rope's partners and frequencies, for one direction and number of tokens.
  struct turns {
    weft_attributes attributes;
    std::uint32_t tokens, columns;
    bool backward;
    sharded partners, frequencies;
  };

  weft_status execute(weft_kernel *kernel, const std::vector<binding> &bindings, const words &in, words *out);
  weft_status execute_checked(const weft_kernel *kernel, const std::vector<binding> &bindings, const words &in,
                              words *out);
  weft_status take(const sharded &from, sharded &to, const weft_layer_columns &shape);
  weft_status take_lanes(const sharded &from, const weft_attributes &a, weft_layer_order order, sharded &to);
  weft_status take_rows(sharded &from, sharded &to, const weft_layer_rows &shape);
  weft_status to_lanes(const sharded &from, const weft_attributes &a, sharded &to);
  weft_status from_lanes(const sharded &from, const weft_attributes &a, sharded &to);
  words vectors(std::initializer_list<const stored *> vectors) const;

  weft_status product(const lowered_call &call);
  weft_status weight_gradient(const lowered_call &call);
  weft_status norm(const lowered_call &call);
  weft_status norm_backward(const lowered_call &call);
  weft_status pointwise(const lowered_call &call);
  weft_status rope(const lowered_call &call);
  std::uint64_t own_kept_bytes() const;
  weft_status check_room(const weft_kernel &kernel, const std::vector<binding> &bindings);
  weft_status find_turns(const lowered_call &call, turns **out_turns);
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
  sharded scalars_, position_;
  std::list<turns> turns_;
};

}  // namespace weft

#endif
