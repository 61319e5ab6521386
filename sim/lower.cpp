// Layout of operands, kernels run with their operands and words, and moving between layouts.
#include "sim/lower.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "sim/mesh.h"

namespace weft {

static std::size_t size_of(weft_dtype dtype) { return weft_dtype_block_bytes(dtype); }

// As weft_kernel_check places arrays.
std::uint64_t sharded::core_bytes() const {
  return (static_cast<std::uint64_t>(block_rows) * width * size_of(dtype) + 15) / 16 * 16;
}

lowering::lowering(const weft_machine &machine, weft_dtype dtype)
    : machine_(machine),
      mesh_{machine.mesh.columns, machine.mesh.rows, dtype},
      sram_(machine.mesh.sram_bytes_per_core - machine.mesh.reserved_bytes_per_core) {
  scalars_ = lay_per_token(mesh_.rows, WEFT_LAYER_SCALARS, WEFT_F32);
  position_ = lay_per_token(mesh_.rows, 1, WEFT_I32);
  scalars_.kept = position_.kept = true;
}

sharded lowering::lay(std::uint32_t rows, std::uint32_t columns, weft_dtype dtype) const {
  sharded m;
  m.rows = rows;
  m.columns = columns;
  m.dtype = dtype;
  m.block_rows = weft_layer_block(rows, mesh_.rows);
  m.width = weft_layer_block(columns, mesh_.columns);
  m.bytes.assign(static_cast<std::size_t>(mesh_.columns) * mesh_.rows * m.block_rows * m.width * size_of(dtype), 0);
  return m;
}

sharded lowering::lay_per_token(std::uint32_t rows, std::uint32_t columns, weft_dtype dtype) const {
  sharded m = lay(rows, columns * mesh_.columns, dtype);
  m.columns = columns;
  m.per_token = true;
  return m;
}

// Calls each(core, place in its block, row, column) for every element; of several copies, for all or the first.
template <class Each>
static void visit(const weft_layer_mesh &mesh, const sharded &m, bool copies, Each each) {
  for (std::uint32_t row = 0; row < m.rows; ++row)
    for (std::uint32_t x = 0; x < (m.per_token && !copies ? 1 : mesh.columns); ++x)
      for (std::uint32_t i = 0; i < m.width; ++i) {
        std::uint32_t column = m.per_token ? i : x * m.width + i;
        if (column >= m.columns) continue;
        each(row / m.block_rows * mesh.columns + x, row % m.block_rows * m.width + i, row, column);
      }
}

void lowering::scatter(const void *values, sharded &to) const {
  std::size_t block = static_cast<std::size_t>(to.block_rows) * to.width;
  visit(mesh_, to, true, [&](std::uint32_t core, std::uint32_t place, std::uint32_t row, std::uint32_t column) {
    std::size_t from = static_cast<std::size_t>(row) * to.columns + column;
    std::uint8_t *at = to.bytes.data() + (core * block + place) * size_of(to.dtype);
    if (to.dtype == WEFT_I32) {
      std::memcpy(at, static_cast<const std::int32_t *>(values) + from, sizeof(std::int32_t));
    } else {
      weft_dtype_from_f32(to.dtype, static_cast<const float *>(values) + from, at, 1);
    }
  });
}

void lowering::gather(const sharded &from, void *values) const {
  std::size_t block = static_cast<std::size_t>(from.block_rows) * from.width;
  visit(mesh_, from, false, [&](std::uint32_t core, std::uint32_t place, std::uint32_t row, std::uint32_t column) {
    std::size_t to = static_cast<std::size_t>(row) * from.columns + column;
    const std::uint8_t *at = from.bytes.data() + (core * block + place) * size_of(from.dtype);
    if (from.dtype == WEFT_I32) {
      std::memcpy(static_cast<std::int32_t *>(values) + to, at, sizeof(std::int32_t));
    } else {
      weft_dtype_to_f32(from.dtype, at, static_cast<float *>(values) + to, 1);
    }
  });
}

// ---- kernels

struct open_mesh {
  weft_mesh_sim *mesh = nullptr;
  open_mesh() = default;
  open_mesh(const open_mesh &) = delete;
  open_mesh &operator=(const open_mesh &) = delete;
  ~open_mesh() { weft_mesh_close(mesh); }
};

static const weft_array *array_named(const weft_kernel &kernel, const char *name) {
  const weft_program &program = kernel.programs[0];
  for (std::uint32_t a = 0; a < program.array_count; ++a)
    if (std::strcmp(program.arrays[a].name, name) == 0) return &program.arrays[a];
  return nullptr;
}

std::uint64_t lowering::own_kept_bytes() const {
  std::uint64_t sum = scalars_.core_bytes() + position_.core_bytes();
  for (const turns &t : turns_) sum += t.partners.core_bytes() + t.frequencies.core_bytes();
  return sum;
}

// The kernel's arrays and, beside them, what stays for other kernels, in one core.
weft_status lowering::check_room(const weft_kernel &kernel, const std::vector<binding> &bindings) {
  std::uint64_t arrays = 0, beside = kept_bytes + own_kept_bytes();
  for (std::uint32_t p = 0; p < kernel.program_count; ++p)
    arrays = std::max<std::uint64_t>(arrays, kernel.programs[p].sram_bytes);
  for (const binding &b : bindings)
    if (b.matrix->kept) beside -= b.matrix->core_bytes();
  work.sram_bytes = std::max(work.sram_bytes, arrays);
  work.core_bytes = std::max(work.core_bytes, arrays + beside);
  if (arrays + beside <= sram_) return nullptr;
  return weft_error(WEFT_INFEASIBLE,
                    "a core needs %llu bytes for the kernel's arrays and %llu for what other kernels have left or will "
                    "need; it has %llu",
                    static_cast<unsigned long long>(arrays), static_cast<unsigned long long>(beside),
                    static_cast<unsigned long long>(sram_));
}

weft_status lowering::execute(weft_kernel *kernel, const std::vector<binding> &bindings, const words &in, words *out) {
  weft_status status = weft_kernel_check(kernel, sram_);
  if (!status) status = check_room(*kernel, bindings);
  if (!status) status = execute_checked(kernel, bindings, in, out);
  status = weft_status_prefix(status, "kernel %s: ", kernel->name);
  weft_kernel_destroy(kernel);
  return status;
}

weft_status lowering::execute_checked(const weft_kernel *kernel, const std::vector<binding> &bindings, const words &in,
                                      words *out) {
  weft_mesh_options options = watch.options ? *watch.options : weft_mesh_options_default();
  open_mesh opened;
  WEFT_TRY(weft_mesh_open(kernel, &machine_, &options, &opened.mesh));
  auto each_core = [&](const binding &b, auto act) -> weft_status {
    std::size_t block = static_cast<std::size_t>(b.matrix->block_rows) * b.matrix->width * size_of(b.matrix->dtype);
    for (std::uint32_t core = 0; core < mesh_.columns * mesh_.rows; ++core)
      WEFT_TRY(act(core % mesh_.columns, core / mesh_.columns, b.matrix->bytes.data() + core * block, block));
    return nullptr;
  };
  for (const binding &b : bindings) {
    if (!array_named(*kernel, b.name)->input) continue;
    WEFT_TRY(each_core(b, [&](std::uint32_t x, std::uint32_t y, std::uint8_t *bytes, std::size_t size) {
      return weft_mesh_write(opened.mesh, x, y, b.name, bytes, size);
    }));
  }
  std::uint32_t channel = 0;
  for (const std::vector<std::uint32_t> &line : in)
    WEFT_TRY(weft_mesh_feed(opened.mesh, channel++, line.data(), line.size()));
  if (out) out->assign(kernel->channel_count - channel, {});
  for (std::uint32_t c = channel; c < kernel->channel_count; ++c) {
    std::vector<std::uint32_t> &line = (*out)[c - channel];
    line.assign(kernel->channels[c].words, 0);
    WEFT_TRY(weft_mesh_drain(opened.mesh, c, line.data(), line.size()));
  }
  weft_mesh_report report;
  WEFT_TRY(weft_mesh_run(opened.mesh, &report));
  ++work.kernels;
  work.cycles += report.cycles;
  work.link_hops += report.link_hops;
  work.busy_cycles += report.core_busy_cycles;
  for (int s = 0; s < WEFT_STALLS; ++s) work.stall_cycles[s] += report.stall_cycles[s];
  work.elements += report.elements;
  work.flops += report.flops;
  if (watch.ended) WEFT_TRY(watch.ended(watch.context, step, kernel, opened.mesh, &report));
  for (const binding &b : bindings) {
    if (!array_named(*kernel, b.name)->output) continue;
    WEFT_TRY(each_core(b, [&](std::uint32_t x, std::uint32_t y, std::uint8_t *bytes, std::size_t size) {
      return weft_mesh_read(opened.mesh, x, y, b.name, bytes, size);
    }));
  }
  return nullptr;
}

// ---- moving

static weft_layer_columns columns_of(const sharded &from, const sharded &to) {
  weft_layer_columns shape = {};
  shape.tokens = from.rows;
  shape.from = from.columns;
  shape.width = to.width;
  return shape;
}

weft_status lowering::take_columns(const sharded &from, sharded &to, std::uint32_t first, std::uint32_t source,
                                   std::uint32_t count) {
  weft_layer_columns shape = columns_of(from, to);
  shape.first = first;
  shape.source = source;
  shape.count = count;
  return take(from, to, shape);
}

weft_status lowering::take(const sharded &from, sharded &to, const weft_layer_columns &shape) {
  weft_layer_mesh mesh = mesh_;
  mesh.dtype = from.dtype;
  sharded source_matrix = from;
  return execute(weft_layer_make_take_columns(&mesh, &shape), {{"from", &source_matrix}, {"to", &to}}, {}, nullptr);
}

weft_status lowering::take_rows(sharded &from, sharded &to, const weft_layer_rows &shape) {
  weft_kernel *kernel = weft_layer_make_take_rows(&mesh_, &shape);
  if (shape.cached) return execute(kernel, {{"from", &from}, {"to", &to}, {"position", &position_}}, {}, nullptr);
  return execute(kernel, {{"from", &from}, {"to", &to}}, {}, nullptr);
}

// Lane order (compiler/kernels/layers.h, attention): query dimensions to the cores that have the keys' same ones.
weft_status lowering::to_lanes(const sharded &from, const weft_attributes &a, sharded &to) {
  std::uint32_t lanes = a.heads / a.kv_heads, keys = a.kv_heads * a.head_dim;
  to = lay(from.rows, lanes * weft_layer_block(keys, mesh_.columns) * mesh_.columns, from.dtype);
  if (lanes == 1) {
    to.bytes = from.bytes;
    to.kept = from.kept;  // the same place
    return nullptr;
  }
  return take_lanes(from, a, WEFT_LAYER_TO_LANES, to);
}

weft_status lowering::from_lanes(const sharded &from, const weft_attributes &a, sharded &to) {
  to = lay(from.rows, a.heads * a.head_dim, from.dtype);
  if (a.heads == a.kv_heads) {
    to.bytes = from.bytes;
    return nullptr;
  }
  return take_lanes(from, a, WEFT_LAYER_FROM_LANES, to);
}

weft_status lowering::take_lanes(const sharded &from, const weft_attributes &a, weft_layer_order order, sharded &to) {
  weft_layer_columns shape = columns_of(from, to);
  shape.order = order;
  shape.kv_heads = a.kv_heads;
  shape.lanes = a.heads / a.kv_heads;
  shape.head_dim = a.head_dim;
  return take(from, to, shape);
}

}  // namespace weft
