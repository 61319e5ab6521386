// Layout of operands, kernels run with their operands and words, and moving between layouts.
#include "sim/lower.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "sim/mesh.h"

namespace weft {

static std::size_t size_of(weft_dtype dtype) { return weft_dtype_block_bytes(dtype); }

lowering::lowering(const weft_machine &machine, weft_dtype dtype)
    : machine_(machine),
      mesh_{machine.mesh.columns, machine.mesh.rows, dtype},
      sram_(machine.mesh.sram_bytes_per_core - machine.mesh.reserved_bytes_per_core) {}

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

weft_status lowering::execute(weft_kernel *kernel, std::initializer_list<binding> bindings, const words &in,
                              words *out) {
  weft_status status = weft_kernel_check(kernel, sram_);
  if (!status) status = execute_checked(kernel, bindings, in, out);
  status = weft_status_prefix(status, "kernel %s: ", kernel->name);
  for (std::uint32_t p = 0; p < kernel->program_count; ++p)
    work.sram_bytes = std::max<std::uint64_t>(work.sram_bytes, kernel->programs[p].sram_bytes);
  weft_kernel_destroy(kernel);
  return status;
}

weft_status lowering::execute_checked(const weft_kernel *kernel, std::initializer_list<binding> bindings,
                                      const words &in, words *out) {
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

weft_status lowering::take_columns(const sharded &from, sharded &to,
                                   const std::function<std::int64_t(std::uint32_t)> &source) {
  words tables(mesh_.columns);
  for (std::uint32_t x = 0; x < mesh_.columns; ++x)
    for (std::uint32_t i = 0; i < to.width; ++i) {
      std::int64_t column = source(x * to.width + i), place = -1;
      if (column >= 0) place = column / from.width * from.block_rows * from.width + column % from.width;
      tables[x].push_back(static_cast<std::uint32_t>(place));
    }
  weft_layer_mesh mesh = mesh_;
  mesh.dtype = from.dtype;
  sharded source_matrix = from;
  return execute(weft_layer_make_take_columns(&mesh, from.rows, from.columns, to.width),
                 {{"from", &source_matrix}, {"to", &to}}, tables, nullptr);
}

weft_status lowering::take_rows(const sharded &from, sharded &to,
                                const std::function<std::int64_t(std::uint32_t)> &source) {
  words tables(mesh_.rows);
  for (std::uint32_t y = 0; y < mesh_.rows; ++y)
    for (std::uint32_t r = 0; r < to.block_rows; ++r) {
      std::uint32_t row = y * to.block_rows + r;
      tables[y].push_back(static_cast<std::uint32_t>(row < to.rows ? source(row) : -1));
    }
  sharded source_matrix = from;
  return execute(weft_layer_make_take_rows(&mesh_, from.rows, to.rows, from.columns),
                 {{"from", &source_matrix}, {"to", &to}}, tables, nullptr);
}

// Lane order (compiler/kernels/layers.h, attention): query dimensions to the cores that have the keys' same ones.
weft_status lowering::to_lanes(const sharded &from, const weft_attributes &a, sharded &to) {
  std::uint32_t lanes = a.heads / a.kv_heads, keys = a.kv_heads * a.head_dim;
  std::uint32_t block = weft_layer_block(keys, mesh_.columns);
  to = lay(from.rows, lanes * block * mesh_.columns, from.dtype);
  if (lanes == 1) {
    to.bytes = from.bytes;
    return nullptr;
  }
  return take_columns(from, to, [&](std::uint32_t column) -> std::int64_t {
    std::uint32_t local = column % to.width, f = column / to.width * block + local % block, lane = local / block;
    return f < keys ? (f / a.head_dim * lanes + lane) * a.head_dim + f % a.head_dim : -1;
  });
}

weft_status lowering::from_lanes(const sharded &from, const weft_attributes &a, sharded &to) {
  std::uint32_t lanes = a.heads / a.kv_heads, keys = a.kv_heads * a.head_dim;
  std::uint32_t block = weft_layer_block(keys, mesh_.columns);
  to = lay(from.rows, a.heads * a.head_dim, from.dtype);
  if (lanes == 1) {
    to.bytes = from.bytes;
    return nullptr;
  }
  return take_columns(from, to, [&](std::uint32_t column) -> std::int64_t {
    if (column >= to.columns) return -1;
    std::uint32_t head = column / a.head_dim, f = head / lanes * a.head_dim + column % a.head_dim;
    return static_cast<std::int64_t>(f / block) * from.width + head % lanes * block + f % block;
  });
}

}  // namespace weft
