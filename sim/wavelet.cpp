// Schedules step by step, and single ops, on a mesh: operands of the schedule's tensors found or laid out, the store's
// words brought to the edge, and what every step took written down.
#include "sim/wavelet.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "base/text.h"
#include "sim/lower.h"

namespace weft {

static std::uint32_t columns_of(const weft_tensor &t) {
  return t.rank ? static_cast<std::uint32_t>(t.shape[t.rank - 1]) : 1;
}
static std::uint32_t rows_of(const weft_tensor &t) {
  return static_cast<std::uint32_t>(weft_tensor_elements(&t) / columns_of(t));
}

static void add(weft_wavelet_work &to, const weft_wavelet_work &from) {
  to.kernels += from.kernels;
  to.cycles += from.cycles;
  to.link_hops += from.link_hops;
  to.busy_cycles += from.busy_cycles;
  for (int s = 0; s < WEFT_STALLS; ++s) to.stall_cycles[s] += from.stall_cycles[s];
  to.elements += from.elements;
  to.flops += from.flops;
  to.sram_bytes = std::max(to.sram_bytes, from.sram_bytes);
  to.core_bytes = std::max(to.core_bytes, from.core_bytes);
}

class executor {
 public:
  executor(const weft_schedule &schedule, const weft_wavelet_store &store)
      : schedule_(schedule),
        store_(store),
        lower_(*schedule.machine, schedule.run.dtype),
        on_mesh_(schedule.tensor_count),
        at_edge_(schedule.tensor_count),
        work_(schedule.step_count) {}

  weft_status open(const executor *caches);
  weft_status run(const weft_wavelet_feed &feed, weft_wavelet_outcome *out_outcome);
  weft_status read(const char *name, float *out, std::uint64_t count) const;
  weft_status next(std::int32_t *out, std::uint64_t count) const;
  weft_wavelet_work work(std::uint32_t step) const { return step == WEFT_NONE ? between_ : work_[step]; }
  void set_watch(const weft_wavelet_watch &watch) { lower_.watch = watch; }

 private:
  const weft_tensor &tensor(std::uint32_t index) const { return schedule_.tensors[index]; }
  std::uint32_t root(std::uint32_t index, std::uint32_t *out_column) const;
  weft_status fetch(std::uint32_t index, sharded &copy, operand *out_operand);
  weft_status put_back(std::uint32_t index, const sharded &from);
  weft_status stored_operand(std::uint32_t index, operand *out_operand) const;
  weft_status run_step(std::uint32_t number);
  weft_status run_call(const weft_step &step);
  weft_status load(const weft_step &step);
  weft_status iterate(std::uint32_t iteration);
  weft_status check(const weft_wavelet_feed &feed) const;
  weft_status check_ids(const weft_wavelet_feed &feed) const;
  weft_status enter(std::uint32_t iteration);
  weft_status open_training();
  weft_status clip();
  weft_status choose();
  void bind(const char *name, const sharded &values);
  void find_last_uses();
  void keep(std::uint32_t number);
  void hold(sharded &copy);
  void count_kept();
  template <class Act>
  weft_status between(Act act);

  const weft_schedule &schedule_;
  weft_wavelet_store store_;
  lowering lower_;
  std::vector<sharded> on_mesh_;             // by tensor; views are in their roots
  std::vector<std::vector<float>> at_edge_;  // by tensor: weights on their way in, gradients on their way out
  std::vector<weft_wavelet_work> work_;      // by step
  weft_wavelet_work between_{};              // of no step
  const weft_wavelet_feed *feed_ = nullptr;
  weft_wavelet_scalars scalars_{};
  std::uint32_t iteration_ = 0, tokens_ = 0;
  std::uint32_t entered_ = WEFT_NONE;  // iteration whose tokens are on the mesh
  sharded targets_, next_;             // next_: what the last run chose
  bool clipped_ = false;
  std::vector<std::uint32_t> last_use_;  // by tensor: step, or WEFT_NONE: for good
};

std::uint32_t executor::root(std::uint32_t index, std::uint32_t *out_column) const {
  *out_column = 0;
  for (; tensor(index).parent != WEFT_NONE; index = tensor(index).parent)
    *out_column += static_cast<std::uint32_t>(tensor(index).column);
  return index;
}

static bool same_shape(const sharded &a, const sharded &b) {
  return a.rows == b.rows && a.columns == b.columns && a.dtype == b.dtype;
}

// Of tensors without parent; views count for theirs. What is read or continued after the run stays.
void executor::find_last_uses() {
  last_use_.assign(schedule_.tensor_count, 0);
  for (std::uint32_t s = 0; s < schedule_.step_count; ++s) {
    std::uint32_t column;
    for (std::uint32_t t : schedule_.steps[s].inputs)
      if (t != WEFT_NONE) last_use_[root(t, &column)] = s;
    for (std::uint32_t t : schedule_.steps[s].outputs)
      if (t != WEFT_NONE) last_use_[root(t, &column)] = s;
  }
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t)
    if (tensor(t).residency == WEFT_CACHE || tensor(t).residency == WEFT_OUTPUT) last_use_[t] = WEFT_NONE;
}

void executor::count_kept() {
  lower_.kept_bytes = next_.core_bytes();
  for (const sharded &m : on_mesh_)
    if (m.kept) lower_.kept_bytes += m.core_bytes();
}

// After step `number`: what it made stays as long as it is needed.
void executor::keep(std::uint32_t number) {
  std::uint32_t column;
  for (std::uint32_t t : schedule_.steps[number].outputs)
    if (t != WEFT_NONE && !on_mesh_[root(t, &column)].empty()) on_mesh_[root(t, &column)].kept = true;
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t)
    if (last_use_[t] <= number) on_mesh_[t].kept = false;
  count_kept();
}

// A view's copy, until its step has ended.
void executor::hold(sharded &copy) {
  if (copy.empty()) return;
  copy.kept = true;
  lower_.kept_bytes += copy.core_bytes();
}

weft_status executor::open(const executor *caches) {
  if (schedule_.machine->kind != WEFT_MESH)
    return weft_error(WEFT_INVALID,
                      "the machine of the schedule is not a mesh; the wavelet level executes meshes only");
  if (schedule_.run.systems > 1)
    return weft_error(WEFT_INVALID, "the schedule is for %u systems; the wavelet level executes one",
                      schedule_.run.systems);
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t) {
    if (tensor(t).residency != WEFT_CACHE || tensor(t).parent != WEFT_NONE) continue;
    on_mesh_[t] = lower_.lay(rows_of(tensor(t)), columns_of(tensor(t)), tensor(t).dtype);
    on_mesh_[t].kept = true;
    for (std::uint32_t o = 0; caches && o < caches->schedule_.tensor_count; ++o) {
      if (std::strcmp(tensor(t).name, caches->tensor(o).name) != 0 || caches->on_mesh_[o].empty()) continue;
      if (!same_shape(on_mesh_[t], caches->on_mesh_[o]))
        return weft_error(WEFT_INVALID, "the KV cache \"%s\" has another shape in the other schedule", tensor(t).name);
      on_mesh_[t].bytes = caches->on_mesh_[o].bytes;
    }
  }
  if (caches) next_ = caches->next_;
  find_last_uses();
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t)
    if (tensor(t).residency == WEFT_INPUT && std::strcmp(tensor(t).name, "ids") == 0)
      tokens_ = static_cast<std::uint32_t>(weft_tensor_elements(&tensor(t)));
  return nullptr;
}

// ---- operands

// A view's columns are taken to a layout of their own, by a kernel.
weft_status executor::fetch(std::uint32_t index, sharded &copy, operand *out_operand) {
  std::uint32_t column, owner = root(index, &column);
  if (on_mesh_[owner].empty())
    return weft_error(WEFT_INVALID, "tensor \"%s\" is read before anything wrote it", tensor(owner).name);
  out_operand->here = &on_mesh_[owner];
  if (owner == index) return nullptr;
  copy = lower_.lay(rows_of(tensor(index)), columns_of(tensor(index)), on_mesh_[owner].dtype);
  out_operand->here = &copy;
  return lower_.take_columns(on_mesh_[owner], copy, 0, column, copy.columns);
}

weft_status executor::put_back(std::uint32_t index, const sharded &from) {
  std::uint32_t column, owner = root(index, &column);
  sharded &to = on_mesh_[owner];
  if (to.empty()) to = lower_.lay(rows_of(tensor(owner)), columns_of(tensor(owner)), from.dtype);
  return lower_.take_columns(from, to, column, 0, from.columns);
}

weft_status executor::stored_operand(std::uint32_t index, operand *out_operand) const {
  const weft_tensor &t = tensor(index);
  float *values = store_.values(store_.context, t.parameter, t.residency);
  if (!values)
    return weft_error(WEFT_INVALID, "the store has nothing for tensor \"%s\" (%s)", t.name,
                      weft_residency_name(t.residency));
  out_operand->edge = {values, rows_of(t), columns_of(t)};
  return nullptr;
}

static bool at_store(weft_residency residency) {
  return residency == WEFT_STORE_PARAMETER || residency == WEFT_STORE_GRADIENT || residency == WEFT_STORE_MOMENT1 ||
         residency == WEFT_STORE_MOMENT2;
}

// ---- steps

// The weight's words are at the edge from here on; cores round them as the run's dtype has it.
weft_status executor::load(const weft_step &step) {
  for (int i = 0; i < 2; ++i) {
    if (step.inputs[i] == WEFT_NONE || step.outputs[i] == WEFT_NONE) continue;
    operand from;
    WEFT_TRY(stored_operand(step.inputs[i], &from));
    at_edge_[step.outputs[i]].assign(from.edge.values,
                                     from.edge.values + static_cast<std::size_t>(from.edge.rows) * from.edge.columns);
  }
  return nullptr;
}

weft_status executor::run_call(const weft_step &step) {
  lowered_call call = {step.op, &step.attributes, &scalars_, step.attributes.accumulate, {}, {}};
  sharded copies[WEFT_OP_MAX_INPUTS], results[WEFT_OP_MAX_OUTPUTS];
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    std::uint32_t t = step.inputs[i];
    if (t == WEFT_NONE) continue;
    if (at_store(tensor(t).residency)) {
      WEFT_TRY(stored_operand(t, &call.in[i]));
    } else if (!at_edge_[t].empty()) {
      call.in[i].edge = {at_edge_[t].data(), rows_of(tensor(t)), columns_of(tensor(t))};
    } else {
      WEFT_TRY(fetch(t, copies[i], &call.in[i]));
      hold(copies[i]);
    }
  }
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    std::uint32_t t = step.outputs[i];
    if (t == WEFT_NONE || tensor(t).residency == WEFT_STORE_SCALAR) continue;
    if (at_store(tensor(t).residency)) {
      WEFT_TRY(stored_operand(t, &call.out[i]));
      if (tensor(t).residency == WEFT_STORE_GRADIENT) call.accumulate = call.accumulate || iteration_ > 0;
    } else if (tensor(t).residency == WEFT_GRADIENT) {
      at_edge_[t].resize(weft_tensor_elements(&tensor(t)));
      call.out[i].edge = {at_edge_[t].data(), rows_of(tensor(t)), columns_of(tensor(t))};
    } else if (tensor(t).parent == WEFT_NONE) {
      call.out[i].here = &on_mesh_[t];
    } else {
      if (call.accumulate) WEFT_TRY(fetch(t, results[i], &call.out[i]));
      hold(results[i]);
      call.out[i].here = &results[i];
    }
  }
  WEFT_TRY(lower_.run(call));
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    if (step.outputs[i] != WEFT_NONE && call.out[i].here == &results[i])
      WEFT_TRY(put_back(step.outputs[i], results[i]));
  return nullptr;
}

// Before the first update; who knows the norm of all gradients can still refuse.
weft_status executor::clip() {
  clipped_ = true;
  WEFT_TRY(lower_.clip_gradients());
  float norm = lower_.scalar(WEFT_LAYER_NORM);
  if (std::isfinite(norm)) return nullptr;
  return weft_error(WEFT_FAILED, "the gradients' norm is %g, so nothing was updated; is the learning rate too high?",
                    static_cast<double>(norm));
}

weft_status executor::run_step(std::uint32_t number) {
  const weft_step &step = schedule_.steps[number];
  lower_.work = {};
  lower_.step = number;
  weft_status status = nullptr;
  bool update = step.op == WEFT_OP_ADAMW || step.op == WEFT_OP_SGD;
  if (update && !clipped_) status = clip();
  if (status) {
  } else if (step.op == WEFT_OP_LOAD) {
    status = load(step);
  } else if (step.op != WEFT_OP_ALL_REDUCE && !(update && feed_->skip_update)) {
    status = run_call(step);
    if (!status && step.op == WEFT_OP_CROSS_ENTROPY) status = lower_.sum_losses(on_mesh_[step.outputs[0]]);
  }
  add(work_[number], lower_.work);
  if (!status) return nullptr;
  char *text = weft_step_describe(&schedule_, number);
  status = weft_status_prefix(status, "step %u (%s): ", number, text);
  free(text);
  return status;
}

// ---- runs

template <class Act>
weft_status executor::between(Act act) {
  lower_.work = {};
  lower_.step = WEFT_NONE;
  weft_status status = act();
  add(between_, lower_.work);
  return status;
}

void executor::bind(const char *name, const sharded &values) {
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t)
    if (tensor(t).residency == WEFT_INPUT && tensor(t).slot != WEFT_NONE && std::strcmp(tensor(t).name, name) == 0)
      (on_mesh_[t] = values).kept = true;
}

// Ids, types and targets of an iteration come in; positions are counted on the mesh.
weft_status executor::enter(std::uint32_t iteration) {
  if (entered_ == iteration) return nullptr;
  std::size_t first = static_cast<std::size_t>(iteration) * tokens_;
  std::vector<std::int32_t> none(tokens_, 0);
  std::vector<const std::int32_t *> lists = {feed_->types ? feed_->types + first : none.data()};
  if (feed_->targets) lists.push_back(feed_->targets + first);
  if (feed_->ids) lists.push_back(feed_->ids + first);
  std::vector<sharded> entered;
  WEFT_TRY(between([&] {
    return lower_.enter_tokens(feed_->scalars.position, tokens_, tokens_ / schedule_.micro_batch, lists, entered);
  }));
  bind("types", entered[0]);
  bind("positions", lower_.positions);
  bind("ids", feed_->ids ? entered.back() : next_);
  if (feed_->targets) bind("targets", targets_ = entered[1]);
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t)
    if (tensor(t).residency == WEFT_OUTPUT) on_mesh_[t].kept = false;  // read, or of no use any more
  count_kept();
  entered_ = iteration;
  return nullptr;
}

// The loss's scale needs the targets of all iterations before the first.
weft_status executor::open_training() {
  WEFT_TRY(between([&] { return lower_.open_step(feed_->scalars, feed_->clip_norm); }));
  for (std::uint32_t i = 0; i < schedule_.iterations; ++i) {
    WEFT_TRY(enter(i));
    WEFT_TRY(between([&] { return lower_.count_targets(targets_); }));
  }
  return nullptr;
}

weft_status executor::iterate(std::uint32_t iteration) {
  iteration_ = iteration;
  WEFT_TRY(enter(iteration));
  bool last = iteration + 1 == schedule_.iterations;
  std::uint32_t end = last ? schedule_.step_count : schedule_.body;
  for (std::uint32_t s = 0; s < end; ++s) {
    WEFT_TRY(run_step(s));
    keep(s);
  }
  return nullptr;
}

weft_status executor::choose() {
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t) {
    if (std::strcmp(tensor(t).name, "logits") != 0 || on_mesh_[t].rows != schedule_.micro_batch) continue;
    return between([&] { return lower_.choose(on_mesh_[t], next_); });
  }
  return weft_error(WEFT_INVALID,
                    "no next token can be chosen: the schedule has no logits of one position per sequence");
}

weft_status executor::check_ids(const weft_wavelet_feed &feed) const {
  std::uint64_t all = static_cast<std::uint64_t>(tokens_) * schedule_.iterations;
  for (std::uint64_t i = 0; feed.ids && i < all; ++i)
    if (feed.ids[i] < 0 || static_cast<std::uint32_t>(feed.ids[i]) >= schedule_.network.vocabulary)
      return weft_error(WEFT_INVALID, "token id %d at place %llu; the vocabulary's are 0 to %u", feed.ids[i],
                        static_cast<unsigned long long>(i), schedule_.network.vocabulary - 1);
  return nullptr;
}

weft_status executor::check(const weft_wavelet_feed &feed) const {
  std::uint64_t end = feed.scalars.position + tokens_ / schedule_.micro_batch, room = schedule_.network.positions;
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t)
    if (tensor(t).residency == WEFT_CACHE)
      room = std::min<std::uint64_t>(room, rows_of(tensor(t)) / schedule_.micro_batch);
  if (end > room)
    return weft_error(WEFT_INVALID, "position %llu: there is room for tokens at 0 to %llu",
                      static_cast<unsigned long long>(end - 1), static_cast<unsigned long long>(room - 1));
  if (!feed.ids && next_.rows != tokens_)
    return weft_error(WEFT_INVALID, "no token ids, and no earlier run has chosen %u tokens", tokens_);
  if ((!feed.ids || feed.choose) && schedule_.iterations > 1)
    return weft_error(WEFT_INVALID, "tokens are chosen in schedules of one iteration; this one has %u",
                      schedule_.iterations);
  if (schedule_.run.mode == WEFT_TRAIN && !feed.targets) return weft_error(WEFT_INVALID, "training needs targets");
  return check_ids(feed);
}

weft_status executor::run(const weft_wavelet_feed &feed, weft_wavelet_outcome *out_outcome) {
  WEFT_TRY(check(feed));
  feed_ = &feed;
  scalars_ = feed.scalars;
  clipped_ = false;
  entered_ = WEFT_NONE;
  work_.assign(schedule_.step_count, {});
  between_ = lower_.tables = {};
  bool training = schedule_.run.mode == WEFT_TRAIN;
  if (training) WEFT_TRY(open_training());
  for (std::uint32_t i = 0; i < schedule_.iterations; ++i) WEFT_TRY(iterate(i));
  if (feed.choose) WEFT_TRY(choose());
  add(between_, lower_.tables);
  *out_outcome = {};
  out_outcome->work = between_;
  for (const weft_wavelet_work &w : work_) add(out_outcome->work, w);
  out_outcome->loss = training ? static_cast<double>(lower_.scalar(WEFT_LAYER_LOSS)) : 0;
  out_outcome->gradient_norm = training ? static_cast<double>(lower_.scalar(WEFT_LAYER_NORM)) : 0;
  return nullptr;
}

weft_status executor::next(std::int32_t *out, std::uint64_t count) const {
  if (next_.rows != count)
    return weft_error(WEFT_INVALID, "the last run chose %u tokens, not %llu", next_.rows,
                      static_cast<unsigned long long>(count));
  lower_.gather(next_, out);
  return nullptr;
}

weft_status executor::read(const char *name, float *out, std::uint64_t count) const {
  std::vector<const char *> names;
  for (std::uint32_t t = 0; t < schedule_.tensor_count; ++t) {
    if (on_mesh_[t].empty() || on_mesh_[t].dtype == WEFT_I32) continue;
    const sharded &m = on_mesh_[t];
    names.push_back(tensor(t).name);
    if (std::strcmp(tensor(t).name, name) != 0) continue;
    if (count != static_cast<std::uint64_t>(m.rows) * m.columns)
      return weft_error(WEFT_INVALID, "tensor \"%s\" has %u x %u values, not %llu", name, m.rows, m.columns,
                        static_cast<unsigned long long>(count));
    lower_.gather(m, out);
    return nullptr;
  }
  const char *nearest = names.empty() ? nullptr : weft_nearest(name, names.data(), names.size());
  return weft_error(WEFT_INVALID, "no tensor \"%s\" lies on the mesh; the nearest name is \"%s\"", name,
                    nearest ? nearest : "(none)");
}

// ---- one op

// Which operands are at the store; the others are on the mesh.
static bool from_edge(weft_op op, int input) {
  switch (op) {
    case WEFT_OP_EMBED: return input == 1;
    case WEFT_OP_LINEAR:
    case WEFT_OP_LAYER_NORM: return input == 1 || input == 2;
    case WEFT_OP_RMS_NORM:
    case WEFT_OP_LINEAR_BACKWARD_INPUT: return input == 1;
    case WEFT_OP_LAYER_NORM_BACKWARD:
    case WEFT_OP_RMS_NORM_BACKWARD: return input == 2;
    case WEFT_OP_STORE_GRADIENT:
    case WEFT_OP_SQUARE_SUM:
    case WEFT_OP_ADAMW:
    case WEFT_OP_SGD: return true;
    default: return false;
  }
}

static bool to_edge(weft_op op, int output) {
  switch (op) {
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT:
    case WEFT_OP_EMBED_BACKWARD:
    case WEFT_OP_STORE_GRADIENT:
    case WEFT_OP_SQUARE_SUM:
    case WEFT_OP_ADAMW:
    case WEFT_OP_SGD: return true;
    case WEFT_OP_LAYER_NORM_BACKWARD:
    case WEFT_OP_RMS_NORM_BACKWARD: return output > 0;
    default: return false;
  }
}

enum class kept { block, real_per_token, integer_per_token };

static kept layout_of(weft_op op, int input) {
  switch (op) {
    case WEFT_OP_EMBED:
    case WEFT_OP_EMBED_BACKWARD: return input == 0 ? kept::integer_per_token : kept::block;
    case WEFT_OP_ROPE:
    case WEFT_OP_ROPE_BACKWARD:
    case WEFT_OP_CROSS_ENTROPY: return input == 1 ? kept::integer_per_token : kept::block;
    case WEFT_OP_CROSS_ENTROPY_BACKWARD:
      return input == 1 ? kept::integer_per_token : input == 2 ? kept::real_per_token : kept::block;
    case WEFT_OP_LAYER_NORM_BACKWARD:
    case WEFT_OP_RMS_NORM_BACKWARD: return input == 3 ? kept::real_per_token : kept::block;
    case WEFT_OP_ATTENTION_BACKWARD: return input == 5 ? kept::real_per_token : kept::block;
    default: return kept::block;
  }
}

static stored edge_of(const weft_wavelet_matrix &m) { return {static_cast<float *>(m.data), m.rows, m.columns}; }

// What earlier kernels of a run would have left.
static weft_status prepare(lowering &lower, const weft_wavelet_scalars &scalars) {
  std::vector<sharded> none;
  WEFT_TRY(lower.enter_tokens(scalars.position, 1, 1, {}, none));
  WEFT_TRY(lower.open_step(scalars, 0));
  lower.set_scalar(WEFT_LAYER_LOSS_SCALE, scalars.loss_scale);
  lower.set_scalar(WEFT_LAYER_GRADIENT_SCALE, scalars.gradient_scale);
  lower.work = {};
  return nullptr;
}

static weft_status run_op(const weft_machine &machine, weft_dtype dtype, lowered_call call,
                          const weft_wavelet_matrix *inputs, const weft_wavelet_matrix *outputs,
                          weft_wavelet_work *out_work) {
  if (machine.kind != WEFT_MESH) return weft_error(WEFT_INVALID, "machine \"%s\" is not a mesh", machine.name);
  lowering lower(machine, dtype);
  sharded in[WEFT_OP_MAX_INPUTS], out[WEFT_OP_MAX_OUTPUTS];
  for (int i = 0; i < WEFT_OP_MAX_INPUTS; ++i) {
    const weft_wavelet_matrix &m = inputs[i];
    if (!m.data) continue;
    if (from_edge(call.op, i)) {
      call.in[i].edge = edge_of(m);
      continue;
    }
    kept how = layout_of(call.op, i);
    in[i] = how == kept::block            ? lower.lay(m.rows, m.columns, dtype)
            : how == kept::real_per_token ? lower.lay_per_token(m.rows, m.columns, WEFT_F32)
                                          : lower.lay_per_token(m.rows, m.columns, WEFT_I32);
    lower.scatter(m.data, in[i]);
    call.in[i].here = &in[i];
  }
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i) {
    const weft_wavelet_matrix &m = outputs[i];
    if (!m.data) continue;
    if (to_edge(call.op, i)) {
      call.out[i].edge = edge_of(m);
      continue;
    }
    out[i] = lower.lay(m.rows, m.columns, dtype);
    if (call.accumulate || call.op == WEFT_OP_CACHE_WRITE) lower.scatter(m.data, out[i]);
    call.out[i].here = &out[i];
  }
  WEFT_TRY(prepare(lower, *call.scalars));
  WEFT_TRY(lower.run(call));
  for (int i = 0; i < WEFT_OP_MAX_OUTPUTS; ++i)
    if (call.out[i].here) lower.gather(out[i], outputs[i].data);
  if (call.op == WEFT_OP_SQUARE_SUM) *static_cast<float *>(outputs[0].data) = lower.scalar(WEFT_LAYER_SQUARES);
  *out_work = lower.work;
  return nullptr;
}

}  // namespace weft

namespace weft {

// Exceptions (no memory left) end here: C cannot catch them.
template <class Act>
static weft_status guarded(Act act) {
  try {
    return act();
  } catch (const std::exception &error) {
    return weft_error(WEFT_FAILED, "the simulator failed: %s", error.what());
  }
}

}  // namespace weft

struct weft_wavelet {
  weft::executor executor;
};

extern "C" weft_status weft_wavelet_create(const weft_schedule *schedule, const weft_wavelet_store *store,
                                           const weft_wavelet *caches, weft_wavelet **out_wavelet) {
  return weft::guarded([&]() -> weft_status {
    std::unique_ptr<weft_wavelet> wavelet(new weft_wavelet{weft::executor(*schedule, *store)});
    WEFT_TRY(wavelet->executor.open(caches ? &caches->executor : nullptr));
    *out_wavelet = wavelet.release();
    return nullptr;
  });
}

extern "C" void weft_wavelet_destroy(weft_wavelet *wavelet) { delete wavelet; }

extern "C" weft_status weft_wavelet_run(weft_wavelet *wavelet, const weft_wavelet_feed *feed,
                                        weft_wavelet_outcome *out_outcome) {
  return weft::guarded([&] { return wavelet->executor.run(*feed, out_outcome); });
}

extern "C" weft_status weft_wavelet_read(const weft_wavelet *wavelet, const char *tensor, float *out, uint64_t count) {
  return wavelet->executor.read(tensor, out, count);
}

extern "C" weft_status weft_wavelet_next(const weft_wavelet *wavelet, int32_t *out, uint64_t count) {
  return wavelet->executor.next(out, count);
}

extern "C" weft_wavelet_work weft_wavelet_step_work(const weft_wavelet *wavelet, uint32_t step) {
  return wavelet->executor.work(step);
}

extern "C" void weft_wavelet_set_watch(weft_wavelet *wavelet, const weft_wavelet_watch *watch) {
  wavelet->executor.set_watch(*watch);
}

extern "C" weft_status weft_wavelet_op(const weft_machine *machine, weft_dtype dtype, weft_op op,
                                       const weft_attributes *attributes, const weft_wavelet_scalars *scalars,
                                       bool accumulate, const weft_wavelet_matrix inputs[WEFT_OP_MAX_INPUTS],
                                       const weft_wavelet_matrix outputs[WEFT_OP_MAX_OUTPUTS],
                                       weft_wavelet_work *out_work) {
  weft::lowered_call call = {op, attributes, scalars, accumulate, {}, {}};
  return weft::guarded([&] { return weft::run_op(*machine, dtype, call, inputs, outputs, out_work); });
}
