#include "models/machine_fields.h"

#include <math.h>
#include <string.h>

#define U32 WEFT_STORED_U32,
#define U64 WEFT_STORED_U64,
#define REAL WEFT_STORED_DOUBLE,
#define FLAG WEFT_STORED_BOOL,
#define M(member) offsetof(weft_machine, member)

const weft_machine_field weft_machine_fields[WEFT_MACHINE_FIELDS] = {
    {WEFT_SECTION_MESH, "columns", "columns", WEFT_COUNT_UNIT, U32 M(mesh.columns), 1, 16384, "columns of cores"},
    {WEFT_SECTION_MESH, "rows", "rows", WEFT_COUNT_UNIT, U32 M(mesh.rows), 1, 16384, "rows of cores"},
    {WEFT_SECTION_MESH, "clock", "clock", WEFT_FREQUENCY, REAL M(mesh.clock_hz), 1e3, 1e11, "clock"},
    {WEFT_SECTION_MESH, "sram_per_core", "sram", WEFT_BYTES, U64 M(mesh.sram_bytes_per_core), 256, 1e12,
     "SRAM per core"},
    {WEFT_SECTION_MESH, "reserved_per_core", "reserved", WEFT_BYTES, U64 M(mesh.reserved_bytes_per_core), 0, 1e12,
     "of it not for tensors"},
    {WEFT_SECTION_MESH, "banks", "banks", WEFT_COUNT_UNIT, U32 M(mesh.banks), 1, 1024, "SRAM banks"},
    {WEFT_SECTION_MESH, "f32_fma", "f32fma", WEFT_PER_CYCLE, REAL M(mesh.f32_per_cycle), 1e-3, 1e6,
     "f32 multiply-accumulates"},
    {WEFT_SECTION_MESH, "f16_fma", "f16fma", WEFT_PER_CYCLE, REAL M(mesh.f16_per_cycle), 1e-3, 1e6,
     "f16 multiply-accumulates"},
    {WEFT_SECTION_MESH, "mixed_fma", "mixedfma", WEFT_PER_CYCLE, REAL M(mesh.mixed_per_cycle), 1e-3, 1e6,
     "16-bit into f32 accumulates"},
    {WEFT_SECTION_MESH, "f32_elementwise", "f32add", WEFT_PER_CYCLE, REAL M(mesh.elementwise_f32_per_cycle), 1e-3, 1e6,
     "f32 elementwise operations"},
    {WEFT_SECTION_MESH, "f16_elementwise", "f16add", WEFT_PER_CYCLE, REAL M(mesh.elementwise_f16_per_cycle), 1e-3, 1e6,
     "f16 elementwise operations"},
    {WEFT_SECTION_MESH, "vector_startup", "startup", WEFT_CYCLES, REAL M(mesh.vector_startup_cycles), 0, 1e6,
     "start-up of a vector operation"},
    {WEFT_SECTION_MESH, "router_ports", "ports", WEFT_COUNT_UNIT, U32 M(mesh.router_ports), 2, 64, "router ports"},
    {WEFT_SECTION_MESH, "colours", "colours", WEFT_COUNT_UNIT, U32 M(mesh.colours), 1, 65536, "routable colours"},
    {WEFT_SECTION_MESH, "hop", "hop", WEFT_CYCLES, REAL M(mesh.hop_cycles), 0, 1e6, "one hop"},
    {WEFT_SECTION_MESH, "ramp", "ramp", WEFT_CYCLES, REAL M(mesh.ramp_cycles), 0, 1e6, "core to router, each way"},
    {WEFT_SECTION_MESH, "link_words", "link", WEFT_PER_CYCLE, REAL M(mesh.link_words_per_cycle), 1e-3, 1e6,
     "32-bit words per link and direction"},

    {WEFT_SECTION_CORE, "start", "start", WEFT_CYCLES, REAL M(mesh.times.start_cycles), 0, 1e6,
     "kernel's start to first instruction"},
    {WEFT_SECTION_CORE, "scalar", "scalar", WEFT_CYCLES, REAL M(mesh.times.scalar_cycles), 0, 1e6,
     "one scalar instruction"},
    {WEFT_SECTION_CORE, "branch", "branch", WEFT_CYCLES, REAL M(mesh.times.branch_cycles), 0, 1e6, "IF, either way"},
    {WEFT_SECTION_CORE, "loop", "loop", WEFT_CYCLES, REAL M(mesh.times.loop_cycles), 0, 1e6,
     "one turn of a plain loop"},
    {WEFT_SECTION_CORE, "map", "map", WEFT_CYCLES, REAL M(mesh.times.map_cycles), 0, 1e6,
     "one turn of a map loop, for the start-up"},
    {WEFT_SECTION_CORE, "map_startup", "mapstart", WEFT_CYCLES, REAL M(mesh.times.map_startup_cycles), 0, 1e6,
     "a map loop as a whole"},
    {WEFT_SECTION_CORE, "task", "task", WEFT_CYCLES, REAL M(mesh.times.task_cycles), 0, 1e6,
     "to a task's first instruction"},
    {WEFT_SECTION_CORE, "end", "end", WEFT_CYCLES, REAL M(mesh.times.end_cycles), 0, 1e6,
     "microthread's end to the activation"},
    {WEFT_SECTION_CORE, "microthread", "microthread", WEFT_CYCLES, REAL M(mesh.times.microthread_cycles), 0, 1e6,
     "handing over an operation"},
    {WEFT_SECTION_CORE, "fabric_startup", "fabricstart", WEFT_CYCLES, REAL M(mesh.times.fabric_startup_cycles), 0, 1e6,
     "start-up of an operation with wavelets"},
    {WEFT_SECTION_CORE, "fabric_latency", "fabriclatency", WEFT_CYCLES, REAL M(mesh.times.fabric_latency_cycles), 0,
     1e6, "wavelet's arrival to its result"},
    {WEFT_SECTION_CORE, "f32_multiply", "f32mul", WEFT_PER_CYCLE, REAL M(mesh.times.f32_multiply), 1e-3, 1e6,
     "f32 multiplications"},
    {WEFT_SECTION_CORE, "f16_multiply", "f16mul", WEFT_PER_CYCLE, REAL M(mesh.times.f16_multiply), 1e-3, 1e6,
     "16-bit multiplications"},
    {WEFT_SECTION_CORE, "f32_move", "f32move", WEFT_PER_CYCLE, REAL M(mesh.times.f32_move), 1e-3, 1e6, "32-bit moves"},
    {WEFT_SECTION_CORE, "f16_move", "f16move", WEFT_PER_CYCLE, REAL M(mesh.times.f16_move), 1e-3, 1e6, "16-bit moves"},
    {WEFT_SECTION_CORE, "other", "other", WEFT_PER_CYCLE, REAL M(mesh.times.other_per_cycle), 1e-3, 1e6,
     "maximum, comparison, conversion, integers"},
    {WEFT_SECTION_CORE, "divide", "divide", WEFT_CYCLES, REAL M(mesh.times.divide_cycles), 0, 1e6, "one division"},
    {WEFT_SECTION_CORE, "function", "function", WEFT_CYCLES, REAL M(mesh.times.function_cycles), 0, 1e6,
     "one square root, exp, log, tanh, sine"},
    {WEFT_SECTION_CORE, "sum", "sum", WEFT_CYCLES, REAL M(mesh.times.sum_cycles), 0, 1e6,
     "per element summed into one value"},
    {WEFT_SECTION_CORE, "conflict_factor", "conflict", WEFT_COUNT_UNIT, REAL M(mesh.times.conflict_factor), 1, 1000,
     "longer when sources begin in one bank"},
    {WEFT_SECTION_CORE, "half_conflict_factor", "halfconflict", WEFT_COUNT_UNIT,
     REAL M(mesh.times.half_conflict_factor), 1, 1000, "longer when half the banks apart"},
    {WEFT_SECTION_CORE, "router_queue", "routerqueue", WEFT_WORDS, REAL M(mesh.times.router_queue_words), 1, 65536,
     "per router and colour"},
    {WEFT_SECTION_CORE, "receive_queue", "receivequeue", WEFT_WORDS, REAL M(mesh.times.receive_queue_words), 1, 65536,
     "router to core, per colour"},
    {WEFT_SECTION_CORE, "send_queue", "sendqueue", WEFT_WORDS, REAL M(mesh.times.send_queue_words), 1, 65536,
     "core to router, per colour"},
    {WEFT_SECTION_CORE, "turn", "turn", WEFT_CYCLES, REAL M(mesh.times.turn_cycles), 0, 1e6,
     "more for a hop that turns"},
    {WEFT_SECTION_CORE, "host_in", "hostin", WEFT_CYCLES, REAL M(mesh.times.host_in_cycles), 1, 1e6,
     "a word of one host channel into the mesh"},
    {WEFT_SECTION_CORE, "host_out", "hostout", WEFT_CYCLES, REAL M(mesh.times.host_out_cycles), 1, 1e6,
     "a word of one host channel out of the mesh"},
    {WEFT_SECTION_CORE, "host_word", "hostword", WEFT_CYCLES, REAL M(mesh.times.host_word_cycles), 0, 1e6,
     "a core's time for one of its words from or to the host"},

    {WEFT_SECTION_ROOFLINE, "f32_peak", "f32", WEFT_FLOPS_PER_SECOND, REAL M(roofline.f32_flops_per_second), 1e3, 1e21,
     "f32 peak"},
    {WEFT_SECTION_ROOFLINE, "f16_peak", "f16", WEFT_FLOPS_PER_SECOND, REAL M(roofline.f16_flops_per_second), 1e3, 1e21,
     "f16 peak"},
    {WEFT_SECTION_ROOFLINE, "bf16_peak", "bf16", WEFT_FLOPS_PER_SECOND, REAL M(roofline.bf16_flops_per_second), 1e3,
     1e21, "bf16 peak"},
    {WEFT_SECTION_ROOFLINE, "memory", "memory", WEFT_BYTES, REAL M(roofline.memory_bytes), 1, 1e18, "memory"},
    {WEFT_SECTION_ROOFLINE, "memory_bandwidth", "membw", WEFT_BYTES_PER_SECOND,
     REAL M(roofline.memory_bytes_per_second), 1, 1e18, "memory bandwidth"},
    {WEFT_SECTION_ROOFLINE, "step_overhead", "step", WEFT_SECONDS, REAL M(roofline.step_seconds), 0, 10,
     "fixed cost of one step"},
    {WEFT_SECTION_ROOFLINE, "cores", "cores", WEFT_COUNT_UNIT, U32 M(roofline.cores), 1, 1 << 24, "cores for one step"},
    {WEFT_SECTION_ROOFLINE, "shared_cores", "shared", WEFT_COUNT_UNIT, FLAG M(roofline.shared_cores), 0, 1,
     "streams run on the same cores"},
    {WEFT_SECTION_ROOFLINE, "copy_bandwidth", "copy", WEFT_BYTES_PER_SECOND, REAL M(roofline.copy_bytes_per_second), 1,
     1e18, "one thread copying store to slot"},
    {WEFT_SECTION_ROOFLINE, "sharing_efficiency", "sharing", WEFT_FRACTION, REAL M(roofline.sharing_efficiency), 1e-2,
     1, "of the cores' work, when queues share them"},
    {WEFT_SECTION_ROOFLINE, "compute_efficiency", "computeeff", WEFT_FRACTION, REAL M(roofline.compute_efficiency),
     1e-3, 1, "of peak, without measured rates"},
    {WEFT_SECTION_ROOFLINE, "memory_efficiency", "memoryeff", WEFT_FRACTION, REAL M(roofline.memory_efficiency), 1e-3,
     1, "of bandwidth, without measured rates"},

    {WEFT_SECTION_IO, "in", "in", WEFT_BYTES_PER_SECOND, REAL M(io_in_bytes_per_second), 1, 1e18, "store to system"},
    {WEFT_SECTION_IO, "out", "out", WEFT_BYTES_PER_SECOND, REAL M(io_out_bytes_per_second), 1, 1e18, "system to store"},
    {WEFT_SECTION_IO, "latency", "iolatency", WEFT_SECONDS, REAL M(io_latency_seconds), 0, 10, "one way"},

    {WEFT_SECTION_STORE, "capacity", "store", WEFT_BYTES, REAL M(store_bytes), 1, 1e21,
     "weights, gradients, optimizer state"},
    {WEFT_SECTION_STORE, "bandwidth", "storebw", WEFT_BYTES_PER_SECOND, REAL M(store_bytes_per_second), 1, 1e18,
     "memory of the optimizer update"},

    {WEFT_SECTION_SWARM, "max_systems", "maxsystems", WEFT_COUNT_UNIT, U32 M(max_systems), 1, 65536, "most systems"},
    {WEFT_SECTION_SWARM, "fan_out", "fanout", WEFT_COUNT_UNIT, U32 M(swarm_fan_out), 2, 65536, "children of a node"},
    {WEFT_SECTION_SWARM, "bandwidth", "swarmbw", WEFT_BYTES_PER_SECOND, REAL M(swarm_bytes_per_second), 1, 1e18,
     "between a system and its node, all ports"},
    {WEFT_SECTION_SWARM, "latency", "swarmlatency", WEFT_SECONDS, REAL M(swarm_latency_seconds), 0, 10,
     "per level of the tree"},

    {WEFT_SECTION_SYSTEM, "layer_overhead", "layer", WEFT_SECONDS, REAL M(layer_seconds), 0, 10,
     "fixed cost per layer and pass"},
    {WEFT_SECTION_SYSTEM, "power", "power", WEFT_WATTS, REAL M(power_watts), 0, 1e9, "one system, 0: unknown"},
    {WEFT_SECTION_SYSTEM, "price", "price", WEFT_USD, REAL M(price_usd), 0, 1e12, "one system, 0: unknown"},
};

const char *weft_machine_section_name(weft_machine_section section) {
  static const char *const names[WEFT_SECTION_COUNT] = {"mesh", "core", "roofline", "io", "store", "swarm", "system"};
  return names[section];
}

bool weft_machine_has_section(weft_device_kind kind, weft_machine_section section) {
  if (section == WEFT_SECTION_MESH || section == WEFT_SECTION_CORE) return kind == WEFT_MESH;
  return section != WEFT_SECTION_ROOFLINE || kind == WEFT_ROOFLINE;
}

double weft_machine_field_get(const weft_machine *machine, const weft_machine_field *field) {
  const char *place = (const char *)machine + field->offset;
  uint32_t small;
  uint64_t large;
  double real;
  bool flag;
  switch (field->storage) {
    case WEFT_STORED_U32: memcpy(&small, place, sizeof small); return small;
    case WEFT_STORED_U64: memcpy(&large, place, sizeof large); return (double)large;
    case WEFT_STORED_BOOL: memcpy(&flag, place, sizeof flag); return flag;
    default: memcpy(&real, place, sizeof real); return real;
  }
}

weft_status weft_machine_field_set(weft_machine *machine, const weft_machine_field *field, const char *text) {
  char *place = (char *)machine + field->offset;
  if (field->storage == WEFT_STORED_BOOL) {
    bool flag = strcmp(text, "true") == 0;
    if (!flag && strcmp(text, "false") != 0) return weft_error(WEFT_INVALID, "\"%s\": true or false is right", text);
    memcpy(place, &flag, sizeof flag);
    return NULL;
  }
  double value;
  WEFT_TRY(weft_quantity_parse(text, field->dimension, &value));
  bool whole = field->storage != WEFT_STORED_DOUBLE;
  if (!(value >= field->low && value <= field->high) || (whole && value != floor(value))) {
    char low[48], high[48];
    weft_quantity_print(field->low, field->dimension, " ", low);
    weft_quantity_print(field->high, field->dimension, " ", high);
    return weft_error(WEFT_INVALID, "\"%s\": %s from %s to %s is right", text, whole ? "a whole number" : "a value",
                      low, high);
  }
  uint32_t small = field->storage == WEFT_STORED_U32 ? (uint32_t)value : 0;
  uint64_t large = field->storage == WEFT_STORED_U64 ? (uint64_t)value : 0;
  if (field->storage == WEFT_STORED_U32)
    memcpy(place, &small, sizeof small);
  else if (field->storage == WEFT_STORED_U64)
    memcpy(place, &large, sizeof large);
  else
    memcpy(place, &value, sizeof value);
  return NULL;
}

char *weft_machine_field_print(const weft_machine *machine, const weft_machine_field *field, const char *space,
                               char out[48]) {
  double value = weft_machine_field_get(machine, field);
  if (field->storage == WEFT_STORED_BOOL) return strcpy(out, value != 0 ? "true" : "false");
  return weft_quantity_print(value, field->dimension, space, out);
}
