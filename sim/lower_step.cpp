// Kernels of a whole run, beside those of its ops: tokens in, scalars of a training step, the next token.
#include <cstring>

#include "sim/lower.h"

namespace weft {

// Every mesh row's words: the position, then its rows of every list.
weft_status lowering::enter_tokens(std::uint64_t position, std::uint32_t tokens, std::uint32_t each,
                                   const std::vector<const std::int32_t *> &lists, std::vector<sharded> &out_lists) {
  positions = lay_per_token(tokens, 1, WEFT_I32);
  words lines(mesh_.rows);
  for (std::uint32_t y = 0; y < mesh_.rows; ++y) {
    lines[y].push_back(static_cast<std::uint32_t>(position));
    for (const std::int32_t *list : lists)
      for (std::uint32_t row = y * positions.block_rows; row < (y + 1) * positions.block_rows; ++row)
        lines[y].push_back(row < tokens ? static_cast<std::uint32_t>(list[row]) : 0);
  }
  out_lists.assign(lists.size(), positions);
  std::vector<std::string> names;
  std::vector<binding> bindings = {{"position", &position_}, {"positions", &positions}};
  for (std::size_t l = 0; l < lists.size(); ++l) names.push_back("list_" + std::to_string(l));
  for (std::size_t l = 0; l < lists.size(); ++l) bindings.push_back({names[l].c_str(), &out_lists[l]});
  return execute(weft_layer_make_tokens(&mesh_, tokens, each, static_cast<std::uint32_t>(lists.size())), bindings,
                 lines, nullptr);
}

weft_status lowering::open_step(const weft_wavelet_scalars &s, float clip_norm) {
  const float entering[WEFT_LAYER_ENTERING] = {s.learning_rate, s.beta1, s.beta2, s.epsilon, s.decay, clip_norm};
  std::vector<std::uint32_t> line(WEFT_LAYER_ENTERING + 1, static_cast<std::uint32_t>(s.step));
  std::memcpy(line.data(), entering, sizeof entering);
  return execute(weft_layer_make_opening(&mesh_), {{"scalars", &scalars_}}, words(mesh_.columns, line), nullptr);
}

weft_status lowering::count_targets(sharded &targets) {
  return execute(weft_layer_make_target_count(&mesh_, targets.rows), {{"targets", &targets}, {"scalars", &scalars_}},
                 {}, nullptr);
}

weft_status lowering::sum_losses(sharded &losses) {
  return execute(weft_layer_make_loss_sum(&mesh_, losses.rows), {{"loss", &losses}, {"scalars", &scalars_}}, {},
                 nullptr);
}

weft_status lowering::clip_gradients() {
  return execute(weft_layer_make_clipping(&mesh_), {{"scalars", &scalars_}}, {}, nullptr);
}

weft_status lowering::choose(sharded &logits, sharded &ids) {
  ids = lay_per_token(logits.rows, 1, WEFT_I32);
  return execute(weft_layer_make_greatest(&mesh_, logits.rows, logits.columns), {{"logits", &logits}, {"ids", &ids}},
                 {}, nullptr);
}

float lowering::scalar(weft_layer_scalar which) const {
  float value;
  std::memcpy(&value, scalars_.bytes.data() + which * sizeof value, sizeof value);
  return value;
}

void lowering::set_scalar(weft_layer_scalar which, float value) {
  std::vector<float> all(static_cast<std::size_t>(mesh_.rows) * WEFT_LAYER_SCALARS);
  gather(scalars_, all.data());
  for (std::size_t row = 0; row < mesh_.rows; ++row) all[row * WEFT_LAYER_SCALARS + which] = value;
  scatter(all.data(), scalars_);
}

}  // namespace weft
