#include "sim/counters.h"

#include <algorithm>

namespace weft {

// A tensor's slot is in use from `begin` to `end`.
struct lifetime {
  std::uint64_t begin, end;
  std::uint32_t slot;
};

static bool always_there(weft_residency residency) {
  return residency == WEFT_CACHE || residency == WEFT_INPUT || residency == WEFT_OUTPUT;
}

static std::uint32_t owner_of(const weft_schedule &schedule, std::uint32_t tensor) {
  while (schedule.tensors[tensor].parent != WEFT_NONE) tensor = schedule.tensors[tensor].parent;
  return tensor;
}

// Lifetimes of one iteration's tensors, gathered event by event.
class lifetimes {
 public:
  explicit lifetimes(const weft_schedule &of) : schedule(of), at(of.tensor_count, unused) {}

  void add(const weft_trace_event &event) {
    const weft_step &step = schedule.steps[event.step];
    for (std::uint32_t tensor : step.inputs) touch(tensor, event);
    for (std::uint32_t tensor : step.outputs) touch(tensor, event);
  }
  void next_iteration() { std::fill(at.begin(), at.end(), unused); }

  std::vector<lifetime> all;

 private:
  void touch(std::uint32_t tensor, const weft_trace_event &event) {
    if (tensor == WEFT_NONE || tensor >= schedule.tensor_count) return;
    tensor = owner_of(schedule, tensor);
    const weft_tensor &owner = schedule.tensors[tensor];
    if (owner.slot == WEFT_NONE || always_there(owner.residency)) return;
    if (at[tensor] == unused) {
      at[tensor] = all.size();
      all.push_back({event.start_ns, event.end_ns, owner.slot});
    }
    lifetime &life = all[at[tensor]];
    life.begin = std::min(life.begin, event.start_ns);
    life.end = std::max(life.end, event.end_ns);
  }

  static constexpr std::size_t unused = static_cast<std::size_t>(-1);
  const weft_schedule &schedule;
  std::vector<std::size_t> at;  // index into `all` by tensor
};

// Tensors that share a slot may touch in time: their union counts once.
static void merge(std::vector<lifetime> &lives) {
  std::sort(lives.begin(), lives.end(), [](const lifetime &a, const lifetime &b) {
    return a.slot != b.slot ? a.slot < b.slot : a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::size_t kept = 0;
  for (const lifetime &life : lives) {
    if (kept && lives[kept - 1].slot == life.slot && life.begin <= lives[kept - 1].end)
      lives[kept - 1].end = std::max(lives[kept - 1].end, life.end);
    else
      lives[kept++] = life;
  }
  lives.resize(kept);
}

static double resident_bytes(const weft_schedule &schedule) {
  std::vector<bool> slots(schedule.slot_count, false);
  for (std::uint32_t i = 0; i < schedule.tensor_count; ++i) {
    const weft_tensor &tensor = schedule.tensors[i];
    if (tensor.slot != WEFT_NONE && tensor.slot < schedule.slot_count && always_there(tensor.residency))
      slots[tensor.slot] = true;
  }
  double bytes = 0;
  for (std::uint32_t i = 0; i < schedule.slot_count; ++i)
    if (slots[i]) bytes += static_cast<double>(schedule.slots[i].bytes);
  return bytes;
}

static constexpr auto bins = static_cast<double>(counter_bins);

static std::uint64_t bin_start(std::uint64_t end_ns, std::size_t bin) {
  return static_cast<std::uint64_t>(static_cast<double>(end_ns) * static_cast<double>(bin) / bins);
}

static std::size_t bin_of(std::uint64_t end_ns, std::uint64_t time_ns) {
  auto bin = static_cast<std::size_t>(static_cast<double>(time_ns) * bins / static_cast<double>(end_ns));
  return std::min(bin, counter_bins - 1);
}

std::vector<sample> memory_samples(const weft_schedule &schedule, const std::vector<weft_trace_event> &events,
                                   std::uint64_t end_ns) {
  lifetimes found(schedule);
  for (std::size_t i = 0; i < events.size(); ++i) {
    // The tail reads what the last iteration left, so it is part of it.
    if (i && events[i].iteration != events[i - 1].iteration) found.next_iteration();
    found.add(events[i]);
  }
  merge(found.all);
  struct change {
    std::uint64_t time_ns;
    double bytes;
  };
  std::vector<change> changes;
  for (const lifetime &life : found.all) {
    auto bytes = static_cast<double>(schedule.slots[life.slot].bytes);
    changes.push_back({life.begin, bytes});
    changes.push_back({life.end, -bytes});
  }
  // Ends before beginnings of the same instant: the space is handed on.
  std::sort(changes.begin(), changes.end(), [](const change &a, const change &b) {
    return a.time_ns != b.time_ns ? a.time_ns < b.time_ns : a.bytes < b.bytes;
  });
  std::vector<sample> samples;
  double level = resident_bytes(schedule);
  std::size_t next = 0;
  for (std::size_t bin = 0; bin < counter_bins && end_ns > 0; ++bin) {
    double peak = level;
    for (; next < changes.size() && (bin_of(end_ns, changes[next].time_ns) <= bin); ++next) {
      level += changes[next].bytes;
      peak = std::max(peak, level);
    }
    samples.push_back({bin_start(end_ns, bin), peak});
  }
  return samples;
}

std::vector<sample> rate_samples(weft_queue queue, const std::vector<weft_trace_event> &events, std::uint64_t end_ns) {
  std::vector<double> bytes(counter_bins, 0.0);
  if (end_ns == 0) return {};
  double width = static_cast<double>(end_ns) / bins;
  for (const weft_trace_event &event : events) {
    if (event.queue != queue || event.bytes == 0) continue;
    auto begin = static_cast<double>(event.start_ns), end = std::max(static_cast<double>(event.end_ns), begin + 1);
    std::size_t last = bin_of(end_ns, event.end_ns);
    for (std::size_t bin = bin_of(end_ns, event.start_ns); bin <= last; ++bin) {
      double from = std::max(begin, width * static_cast<double>(bin));
      double to = bin == last ? end : std::min(end, width * static_cast<double>(bin + 1));
      bytes[bin] += static_cast<double>(event.bytes) * std::max(0.0, to - from) / (end - begin);
    }
  }
  std::vector<sample> samples;
  for (std::size_t bin = 0; bin < counter_bins; ++bin)
    samples.push_back({bin_start(end_ns, bin), bytes[bin] / width});  // bytes per ns are GB/s
  return samples;
}

}  // namespace weft
