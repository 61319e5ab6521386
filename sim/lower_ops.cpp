// Every op of models/ops.h as kernels: which one, what its channels carry, where its results go.
#include <algorithm>
#include <cstring>

#include "sim/lower.h"

namespace weft {

static std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float value_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

static std::uint32_t elements(const stored &m) { return m.rows * m.columns; }

// The vectors' blocks, one after the other, for every column of cores.
lowering::words lowering::vectors(std::initializer_list<const stored *> vectors) const {
  words lines(mesh_.columns);
  for (const stored *v : vectors) {
    std::uint32_t width = weft_layer_block(elements(*v), mesh_.columns);
    for (std::uint32_t i = 0; i < width * mesh_.columns; ++i)
      lines[i / width].push_back(i < elements(*v) ? bits_of(v->values[i]) : 0);
  }
  return lines;
}

// The other way round: what came out for each column of cores from word `first` on.
static void take_vector(const std::vector<std::vector<std::uint32_t>> &lines, std::uint32_t first, const stored &to) {
  if (!to.values) return;
  std::uint32_t width = weft_layer_block(elements(to), static_cast<std::uint32_t>(lines.size()));
  for (std::uint32_t i = 0; i < elements(to); ++i) to.values[i] = value_of(lines[i / width][first + i % width]);
}

// ---- products

weft_status lowering::product(const lowered_call &call) {
  const weft_attributes &a = *call.attributes;
  bool backward = call.op == WEFT_OP_LINEAR_BACKWARD_INPUT, bias = !backward && call.in[2].present();
  const sharded &x = *call.in[0].here;
  const stored &w = call.in[1].edge, &b = call.in[2].edge;
  bool in_rows = a.transposed != backward;  // whether the weight's rows are the product's inner dimension
  std::uint32_t in = x.columns, out = in_rows ? w.columns : w.rows;
  weft_layer_product shape = {x.rows, in, out, a.scale, bias, call.accumulate};
  std::uint32_t in_block = weft_layer_block(in, mesh_.columns), out_block = weft_layer_block(out, mesh_.columns);
  words lines(mesh_.columns);
  if (bias) lines = vectors({&b});
  for (std::uint32_t column = 0; column < mesh_.columns; ++column)
    for (std::uint32_t m = 0; m < mesh_.columns * out_block; ++m)
      for (std::uint32_t k = column * in_block; k < (column + 1) * in_block; ++k) {
        std::size_t at = in_rows ? static_cast<std::size_t>(k) * out + m : static_cast<std::size_t>(m) * in + k;
        lines[column].push_back(m < out && k < in ? bits_of(w.values[at]) : 0);
      }
  sharded &y = *call.out[0].here;
  if (!call.accumulate) y = lay(x.rows, out, mesh_.dtype);
  return execute(weft_layer_make_product(&mesh_, &shape), {{"x", call.in[0].here}, {"y", &y}}, lines, nullptr);
}

weft_status lowering::weight_gradient(const lowered_call &call) {
  const sharded &dy = *call.in[0].here, &x = *call.in[1].here;
  const stored &dw = call.out[0].edge, &db = call.out[1].edge;
  weft_layer_product shape = {x.rows, x.columns, dy.columns, call.attributes->scale, call.out[1].present(), false};
  words lines;
  WEFT_TRY(execute(weft_layer_make_weight_gradient(&mesh_, &shape), {{"dy", call.in[0].here}, {"x", call.in[1].here}},
                   {}, &lines));
  for (std::uint32_t m = 0; m < dy.columns && dw.values; ++m)
    for (std::uint32_t k = 0; k < x.columns; ++k) {
      std::size_t at = call.attributes->transposed ? static_cast<std::size_t>(k) * dy.columns + m
                                                   : static_cast<std::size_t>(m) * x.columns + k;
      dw.values[at] = value_of(lines[k / x.width][m * x.width + k % x.width]);
    }
  take_vector(lines, mesh_.columns * dy.width * x.width, db);
  return nullptr;
}

// ---- norms

weft_status lowering::norm(const lowered_call &call) {
  const sharded &x = *call.in[0].here;
  bool centred = call.op == WEFT_OP_LAYER_NORM, bias = call.in[2].present();
  weft_layer_norm shape = {x.rows, x.columns, call.attributes->epsilon, centred, bias};
  *call.out[0].here = lay(x.rows, x.columns, mesh_.dtype);
  sharded stats = lay_per_token(x.rows, centred ? 2 : 1, WEFT_F32);
  words lines = bias ? vectors({&call.in[1].edge, &call.in[2].edge}) : vectors({&call.in[1].edge});
  WEFT_TRY(execute(weft_layer_make_norm(&mesh_, &shape),
                   {{"x", call.in[0].here}, {"y", call.out[0].here}, {"stats", &stats}}, lines, nullptr));
  if (call.out[1].here) *call.out[1].here = std::move(stats);
  return nullptr;
}

weft_status lowering::norm_backward(const lowered_call &call) {
  const sharded &x = *call.in[1].here;
  bool centred = call.op == WEFT_OP_LAYER_NORM_BACKWARD, bias = call.out[2].present();
  weft_layer_norm shape = {x.rows, x.columns, call.attributes->epsilon, centred, bias};
  sharded dx = lay(x.rows, x.columns, mesh_.dtype);
  words lines;
  WEFT_TRY(execute(weft_layer_make_norm_backward(&mesh_, &shape),
                   {{"dy", call.in[0].here}, {"x", call.in[1].here}, {"stats", call.in[3].here}, {"dx", &dx}},
                   vectors({&call.in[2].edge}), &lines));
  take_vector(lines, 0, call.out[1].edge);
  take_vector(lines, x.width, call.out[2].edge);
  if (call.out[0].here) *call.out[0].here = std::move(dx);
  return nullptr;
}

// ---- element by element

weft_status lowering::pointwise(const lowered_call &call) {
  const sharded &x = *call.in[0].here;
  sharded y = lay(x.rows, x.columns, mesh_.dtype), other = y;
  weft_kernel *kernel = weft_layer_make_pointwise(&mesh_, call.op, call.attributes->activation, x.rows, x.columns);
  sharded *a = call.in[0].here, *b = call.in[1].here, *c = call.in[2].here;
  weft_status status = nullptr;
  switch (call.op) {
    case WEFT_OP_ADD: status = execute(kernel, {{"a", a}, {"b", b}, {"y", &y}}, {}, nullptr); break;
    case WEFT_OP_ACTIVATION: status = execute(kernel, {{"x", a}, {"y", &y}}, {}, nullptr); break;
    case WEFT_OP_ACTIVATION_BACKWARD: status = execute(kernel, {{"dy", a}, {"x", b}, {"dx", &y}}, {}, nullptr); break;
    case WEFT_OP_GATED: status = execute(kernel, {{"gate", a}, {"up", b}, {"y", &y}}, {}, nullptr); break;
    default:
      status = execute(kernel, {{"dy", a}, {"gate", b}, {"up", c}, {"dgate", &y}, {"dup", &other}}, {}, nullptr);
      if (!status && call.out[1].here) *call.out[1].here = std::move(other);
      break;
  }
  WEFT_TRY(status);
  if (call.out[0].here) *call.out[0].here = std::move(y);
  return nullptr;
}

static bool same_turns(const weft_attributes &a, const weft_attributes &b) {
  auto same = [](double x, double y) { return !(x < y) && !(y < x); };
  return a.head_dim == b.head_dim && a.rotary_dim == b.rotary_dim && a.rope_kind == b.rope_kind &&
         a.rope_scaling == b.rope_scaling && a.rope_original_positions == b.rope_original_positions &&
         same(a.rope_theta, b.rope_theta) && same(a.rope_factor, b.rope_factor) &&
         same(a.rope_low_frequency_factor, b.rope_low_frequency_factor) &&
         same(a.rope_high_frequency_factor, b.rope_high_frequency_factor);
}

// Made once, by a kernel that is accounted for apart.
weft_status lowering::find_turns(const lowered_call &call, turns **out_turns) {
  const sharded &x = *call.in[0].here;
  bool backward = call.op == WEFT_OP_ROPE_BACKWARD;
  for (turns &t : turns_)
    if (t.tokens == x.rows && t.columns == x.columns && t.backward == backward &&
        same_turns(t.attributes, *call.attributes)) {
      *out_turns = &t;
      return nullptr;
    }
  turns made = {*call.attributes,
                x.rows,
                x.columns,
                backward,
                lay(mesh_.rows, x.columns, WEFT_I32),
                lay(mesh_.rows, x.columns, WEFT_F32)};
  std::swap(work, tables);
  weft_status status = execute(weft_layer_make_rope_table(&mesh_, x.rows, x.columns, call.attributes, backward),
                               {{"partners", &made.partners}, {"frequencies", &made.frequencies}}, {}, nullptr);
  std::swap(work, tables);
  WEFT_TRY(status);
  made.partners.kept = made.frequencies.kept = true;
  turns_.push_back(std::move(made));
  *out_turns = &turns_.back();
  return nullptr;
}

weft_status lowering::rope(const lowered_call &call) {
  const sharded &x = *call.in[0].here;
  sharded y = lay(x.rows, x.columns, mesh_.dtype);
  turns *t = nullptr;
  WEFT_TRY(find_turns(call, &t));
  WEFT_TRY(execute(weft_layer_make_rope(&mesh_, x.rows, x.columns),
                   {{"x", call.in[0].here},
                    {"positions", call.in[1].here},
                    {"partners", &t->partners},
                    {"frequencies", &t->frequencies},
                    {"y", &y}},
                   {}, nullptr));
  *call.out[0].here = std::move(y);
  return nullptr;
}

// ---- attention

static weft_layer_attention attention_of(const lowered_call &call, const sharded &q, const sharded &k) {
  const weft_attributes &a = *call.attributes;
  bool cached = call.op == WEFT_OP_ATTENTION_CACHED;
  return {a.batch,    q.rows / a.batch, k.rows / a.batch,   a.kv_heads, a.heads / a.kv_heads,
          a.head_dim, a.scale,          a.causal || cached, cached};
}

weft_status lowering::attention(const lowered_call &call) {
  const weft_attributes &a = *call.attributes;
  sharded *k = call.in[1].here, *v = call.in[2].here, q;
  weft_layer_attention shape = attention_of(call, *call.in[0].here, *k);
  WEFT_TRY(to_lanes(*call.in[0].here, a, q));
  sharded o = lay(q.rows, q.columns, mesh_.dtype), lse = lay_per_token(q.rows, a.heads, WEFT_F32);
  weft_kernel *kernel = weft_layer_make_attention(&mesh_, &shape);
  if (shape.cached) {
    WEFT_TRY(execute(kernel, {{"q", &q}, {"k", k}, {"v", v}, {"position", &position_}, {"o", &o}}, {}, nullptr));
  } else {
    WEFT_TRY(execute(kernel, {{"q", &q}, {"k", k}, {"v", v}, {"o", &o}, {"lse", &lse}}, {}, nullptr));
  }
  if (!shape.cached && call.out[1].here) *call.out[1].here = std::move(lse);
  return from_lanes(o, a, *call.out[0].here);
}

weft_status lowering::attention_backward(const lowered_call &call) {
  const weft_attributes &a = *call.attributes;
  sharded *k = call.in[2].here, *v = call.in[3].here, q, d_o;
  weft_layer_attention shape = attention_of(call, *call.in[1].here, *k);
  WEFT_TRY(to_lanes(*call.in[0].here, a, d_o));
  bool held = !d_o.kept;
  if (held) kept_bytes += d_o.core_bytes();
  d_o.kept = true;
  WEFT_TRY(to_lanes(*call.in[1].here, a, q));
  sharded dq = lay(q.rows, q.columns, mesh_.dtype), dk = lay(k->rows, k->columns, mesh_.dtype), dv = dk;
  WEFT_TRY(execute(
      weft_layer_make_attention_backward(&mesh_, &shape),
      {{"do", &d_o}, {"q", &q}, {"k", k}, {"v", v}, {"lse", call.in[5].here}, {"dq", &dq}, {"dk", &dk}, {"dv", &dv}},
      {}, nullptr));
  if (call.out[1].here) *call.out[1].here = std::move(dk);
  if (call.out[2].here) *call.out[2].here = std::move(dv);
  return call.out[0].here ? from_lanes(dq, a, *call.out[0].here) : nullptr;
}

weft_status lowering::cache_write(const lowered_call &call) {
  for (int which = 0; which < 2; ++which) {
    sharded &from = *call.in[which].here, &to = *call.out[which].here;
    std::uint32_t batch = call.attributes->batch;
    WEFT_TRY(take_rows(from, to, {batch, from.rows / batch, to.rows / batch, from.columns, true}));
  }
  return nullptr;
}

weft_status lowering::last_row(const lowered_call &call) {
  sharded &x = *call.in[0].here;
  std::uint32_t batch = call.attributes->batch;
  sharded y = lay(batch, x.columns, x.dtype);
  WEFT_TRY(take_rows(x, y, {batch, x.rows / batch, 1, x.columns, false}));
  *call.out[0].here = std::move(y);
  return nullptr;
}

// ---- loss

weft_status lowering::loss(const lowered_call &call) {
  sharded *logits = call.in[0].here, *targets = call.in[1].here;
  if (call.op == WEFT_OP_CROSS_ENTROPY) {
    sharded losses = lay_per_token(logits->rows, 1, WEFT_F32), lse = losses;
    WEFT_TRY(execute(weft_layer_make_cross_entropy(&mesh_, logits->rows, logits->columns),
                     {{"logits", logits}, {"targets", targets}, {"loss", &losses}, {"lse", &lse}}, {}, nullptr));
    *call.out[0].here = std::move(losses);
    if (call.out[1].here) *call.out[1].here = std::move(lse);
    return nullptr;
  }
  sharded d = lay(logits->rows, logits->columns, mesh_.dtype);
  WEFT_TRY(execute(
      weft_layer_make_cross_entropy_backward(&mesh_, logits->rows, logits->columns),
      {{"logits", logits}, {"targets", targets}, {"lse", call.in[2].here}, {"scalars", &scalars_}, {"dlogits", &d}}, {},
      nullptr));
  *call.out[0].here = std::move(d);
  return nullptr;
}

// ---- between mesh and store

static weft_layer_embed embed_of(const lowered_call &call, std::uint32_t tokens, const stored &table,
                                 std::uint32_t columns) {
  std::uint32_t room = 8192 / (4 * weft_layer_block(table.columns, columns));  // 8 KiB of SRAM
  return {tokens, table.columns, table.rows, std::min(table.rows, std::max(room, 1u)), call.attributes->scale};
}

// The whole table, row by row.
weft_status lowering::embed(const lowered_call &call) {
  const stored &table = call.in[1].edge;
  sharded y = lay(call.in[0].here->rows, table.columns, mesh_.dtype);
  weft_layer_embed shape = embed_of(call, y.rows, table, mesh_.columns);
  words lines(mesh_.columns);
  for (std::uint32_t row = 0; row < weft_layer_block(table.rows, shape.chunk) * shape.chunk; ++row)
    for (std::uint32_t column = 0; column < y.width * mesh_.columns; ++column) {
      bool inside = row < table.rows && column < table.columns;
      std::size_t at = static_cast<std::size_t>(row) * table.columns + column;
      lines[column / y.width].push_back(inside ? bits_of(table.values[at]) : 0);
    }
  WEFT_TRY(execute(weft_layer_make_embed(&mesh_, &shape), {{"ids", call.in[0].here}, {"y", &y}}, lines, nullptr));
  *call.out[0].here = std::move(y);
  return nullptr;
}

weft_status lowering::embed_backward(const lowered_call &call) {
  const stored &table = call.out[0].edge;
  const sharded &dy = *call.in[1].here;
  weft_layer_embed shape = embed_of(call, dy.rows, table, mesh_.columns);
  words lines;
  WEFT_TRY(execute(weft_layer_make_embed_backward(&mesh_, &shape), {{"ids", call.in[0].here}, {"dy", call.in[1].here}},
                   {}, &lines));
  std::vector<float> values(elements(table));
  for (std::uint32_t row = 0; row < table.rows; ++row)
    for (std::uint32_t column = 0; column < table.columns; ++column)
      values[static_cast<std::size_t>(row) * table.columns + column] =
          value_of(lines[column / dy.width][row * dy.width + column % dy.width]);
  stored made = {values.data(), table.rows, table.columns};
  lowered_call store = {WEFT_OP_STORE_GRADIENT, call.attributes, call.scalars, call.accumulate, {}, {}};
  store.in[0].edge = made;
  store.out[0].edge = table;
  return store_gradient(store);
}

weft_status lowering::store_gradient(const lowered_call &call) {
  for (int which = 0; which < 2; ++which) {
    const stored &from = call.in[which].edge, &to = call.out[which].edge;
    if (!from.values || !to.values) continue;
    if (call.accumulate) {
      weft_layer_update shape = {};
      shape.op = WEFT_OP_ADD;
      WEFT_TRY(update_piece(shape, {to.values, from.values}, {to.values}, 0, elements(to)));
    } else if (from.values != to.values) {
      std::copy_n(from.values, elements(to), to.values);
    }
  }
  return nullptr;
}

// Elements [first, first + count) of all operands, cut among the cores; in pieces where a core's part is too large.
weft_status lowering::update_piece(weft_layer_update shape, const std::vector<const float *> &in,
                                   const std::vector<float *> &out, std::uint64_t first, std::uint64_t count) {
  constexpr std::uint64_t most_each = 512;
  std::uint64_t cores = static_cast<std::uint64_t>(mesh_.columns) * mesh_.rows;
  if (count > cores * most_each) {
    WEFT_TRY(update_piece(shape, in, out, first, cores * most_each));
    return update_piece(shape, in, out, first + cores * most_each, count - cores * most_each);
  }
  shape.each = static_cast<std::uint32_t>((count + cores - 1) / cores);
  words lines(mesh_.columns), results;
  auto visit = [&](std::size_t operands, auto act) {
    for (std::uint32_t x = 0; x < mesh_.columns; ++x)
      for (std::uint32_t y = 0; y < mesh_.rows; ++y)
        for (std::size_t o = 0; o < operands; ++o)
          for (std::uint32_t i = 0; i < shape.each; ++i)
            act(x, (y * operands + o) * shape.each + i, o,
                (static_cast<std::uint64_t>(x) * mesh_.rows + y) * shape.each + i);
  };
  visit(in.size(), [&](std::uint32_t x, std::size_t, std::size_t o, std::uint64_t element) {
    lines[x].push_back(element < count ? bits_of(in[o][first + element]) : 0);
  });
  weft_kernel *kernel = weft_layer_make_update(&mesh_, &shape);
  if (shape.op == WEFT_OP_ADD) {
    WEFT_TRY(execute(kernel, {}, lines, &results));
  } else {
    WEFT_TRY(execute(kernel, {{"scalars", &scalars_}}, lines, &results));
  }
  visit(out.size(), [&](std::uint32_t x, std::size_t at, std::size_t o, std::uint64_t element) {
    if (element < count) out[o][first + element] = value_of(results[x][at]);
  });
  return nullptr;
}

weft_status lowering::update(const lowered_call &call) {
  weft_layer_update shape = {};
  shape.op = call.op;
  shape.decay = static_cast<double>(call.attributes->decay);
  std::vector<const float *> in;
  std::vector<float *> out;
  std::size_t inputs = call.op == WEFT_OP_ADAMW ? 4 : call.op == WEFT_OP_SGD ? 2 : 1;
  std::size_t outputs = call.op == WEFT_OP_ADAMW ? 3 : call.op == WEFT_OP_SGD ? 1 : 0;
  for (std::size_t i = 0; i < inputs; ++i) in.push_back(call.in[i].edge.values);
  for (std::size_t i = 0; i < outputs; ++i) out.push_back(call.out[i].edge.values);
  return update_piece(shape, in, out, 0, elements(call.in[0].edge));
}

weft_status lowering::run(const lowered_call &call) {
  switch (call.op) {
    case WEFT_OP_LINEAR:
    case WEFT_OP_LINEAR_BACKWARD_INPUT: return product(call);
    case WEFT_OP_LINEAR_BACKWARD_WEIGHT: return weight_gradient(call);
    case WEFT_OP_LAYER_NORM:
    case WEFT_OP_RMS_NORM: return norm(call);
    case WEFT_OP_LAYER_NORM_BACKWARD:
    case WEFT_OP_RMS_NORM_BACKWARD: return norm_backward(call);
    case WEFT_OP_ROPE:
    case WEFT_OP_ROPE_BACKWARD: return rope(call);
    case WEFT_OP_ATTENTION:
    case WEFT_OP_ATTENTION_CACHED: return attention(call);
    case WEFT_OP_ATTENTION_BACKWARD: return attention_backward(call);
    case WEFT_OP_CACHE_WRITE: return cache_write(call);
    case WEFT_OP_ACTIVATION:
    case WEFT_OP_ACTIVATION_BACKWARD:
    case WEFT_OP_GATED:
    case WEFT_OP_GATED_BACKWARD:
    case WEFT_OP_ADD: return pointwise(call);
    case WEFT_OP_LAST_ROW: return last_row(call);
    case WEFT_OP_CROSS_ENTROPY:
    case WEFT_OP_CROSS_ENTROPY_BACKWARD: return loss(call);
    case WEFT_OP_EMBED: return embed(call);
    case WEFT_OP_EMBED_BACKWARD: return embed_backward(call);
    case WEFT_OP_STORE_GRADIENT: return store_gradient(call);
    case WEFT_OP_SQUARE_SUM:
    case WEFT_OP_ADAMW:
    case WEFT_OP_SGD: return update(call);
    default: return weft_error(WEFT_INVALID, "op %s has no kernel", weft_op_name(call.op));
  }
}

}  // namespace weft
