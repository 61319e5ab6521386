// What holds for every machine: defaults, checker, printing, hashing, and finding one by name.
#include "models/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "models/directory.h"
#include "models/machine_fields.h"
#include "models/machine_internal.h"

weft_machine weft_machine_default(void) {
  return (weft_machine){.name = "unnamed",
                        .kind = WEFT_MESH,
                        .mesh = {.columns = 8,
                                 .rows = 8,
                                 .clock_hz = 850e6,
                                 .sram_bytes_per_core = 49152,
                                 .reserved_bytes_per_core = 8192,
                                 .banks = 8,
                                 .f32_per_cycle = 1,
                                 .f16_per_cycle = 4,
                                 .mixed_per_cycle = 2,
                                 .elementwise_f32_per_cycle = 2,
                                 .elementwise_f16_per_cycle = 4,
                                 .vector_startup_cycles = 6,
                                 .router_ports = 5,
                                 .colours = 24,
                                 .hop_cycles = 1,
                                 .ramp_cycles = 2,
                                 .link_words_per_cycle = 1,
                                 .times = {.start_cycles = 0,
                                           .scalar_cycles = 1,
                                           .branch_cycles = 5,
                                           .loop_cycles = 14,
                                           .map_cycles = 1,
                                           .map_startup_cycles = 41,
                                           .task_cycles = 3,
                                           .end_cycles = 0,
                                           .microthread_cycles = 1,
                                           .fabric_startup_cycles = 1,
                                           .fabric_latency_cycles = 1,
                                           .f32_multiply = 1,
                                           .f16_multiply = 4,
                                           .f32_move = 2,
                                           .f16_move = 4,
                                           .other_per_cycle = 1,
                                           .divide_cycles = 50,
                                           .function_cycles = 60,
                                           .host_in_cycles = 1,
                                           .host_out_cycles = 2,
                                           .host_word_cycles = 21,
                                           .sum_cycles = 2,
                                           .conflict_factor = 2,
                                           .half_conflict_factor = 2.86,
                                           .router_queue_words = 4,
                                           .receive_queue_words = 6,
                                           .send_queue_words = 3,
                                           .turn_cycles = 0}},
                        .roofline = {.f32_flops_per_second = 1e12,
                                     .f16_flops_per_second = 1e12,
                                     .bf16_flops_per_second = 1e12,
                                     .memory_bytes = 16e9,
                                     .memory_bytes_per_second = 100e9,
                                     .step_seconds = 5e-6,
                                     .cores = 1,
                                     .copy_bytes_per_second = 10e9,
                                     .sharing_efficiency = 1,
                                     .compute_efficiency = 0.7,
                                     .memory_efficiency = 0.8},
                        .io_in_bytes_per_second = 150e9,
                        .io_out_bytes_per_second = 150e9,
                        .io_latency_seconds = 5e-6,
                        .store_bytes = 12e12,
                        .store_bytes_per_second = 2.4e12,
                        .max_systems = 192,
                        .swarm_fan_out = 4,
                        .swarm_bytes_per_second = 150e9,
                        .swarm_latency_seconds = 5e-6};
}

void weft_machine_destroy(weft_machine *machine) {
  if (!machine) return;
  free(machine->roofline.rates);
  weft_costs_destroy(machine->costs);
  free(machine);
}

static weft_status check_rates(const weft_machine *m) {
  const weft_roofline *r = &m->roofline;
  if (r->rate_count > WEFT_MACHINE_MAX_RATES || (r->rate_count && !r->rates))
    return weft_error(WEFT_INVALID, "machine %s: %u rates; at most %d are right", m->name, r->rate_count,
                      WEFT_MACHINE_MAX_RATES);
  for (uint32_t i = 0; i < r->rate_count; ++i) {
    const weft_rate *rate = &r->rates[i];
    bool possible = (unsigned)rate->op < WEFT_OP_COUNT && weft_dtype_computes(rate->dtype) && rate->rows >= 1 &&
                    rate->flops >= 0 && rate->bytes >= 0 && rate->seconds > 0 &&
                    isfinite(rate->rows + rate->flops + rate->bytes + rate->seconds);
    if (!possible)
      return weft_error(WEFT_INVALID, "machine %s: rate %u is impossible: rows %g, flops %g, bytes %g, seconds %g",
                        m->name, i, rate->rows, rate->flops, rate->bytes, rate->seconds);
  }
  return NULL;
}

// The host's identity and the name are words: they stand in one-line spellings.
static bool is_word(const char *text) {
  for (; *text; ++text)
    if (*text <= ' ' || *text == 127 || strchr("\"'\\{}[],#", *text)) return false;
  return true;
}

weft_status weft_machine_check(const weft_machine *m) {
  if (!m->name[0] || !is_word(m->name))
    return weft_error(WEFT_INVALID, "machine \"%s\": a name is one word without quotes, commas or brackets", m->name);
  if (m->kind != WEFT_MESH && m->kind != WEFT_ROOFLINE)
    return weft_error(WEFT_INVALID, "machine %s: unknown kind of device", m->name);
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    double value = weft_machine_field_get(m, field);
    if (!weft_machine_has_section(m->kind, field->section) || (value >= field->low && value <= field->high)) continue;
    return weft_error(WEFT_INVALID, "machine %s: %s.%s is %g; %g to %g is right", m->name,
                      weft_machine_section_name(field->section), field->key, value, field->low, field->high);
  }
  if (m->kind == WEFT_MESH && m->mesh.reserved_bytes_per_core >= m->mesh.sram_bytes_per_core)
    return weft_error(WEFT_INVALID, "machine %s: %llu bytes of %llu per core are reserved: nothing is left for tensors",
                      m->name, (unsigned long long)m->mesh.reserved_bytes_per_core,
                      (unsigned long long)m->mesh.sram_bytes_per_core);
  if (m->measured != (m->host[0] != 0) || !is_word(m->host))
    return weft_error(WEFT_INVALID,
                      "machine %s: a measured machine, and no other, names its host in one word, not \"%s\"", m->name,
                      m->host);
  if (m->costs) {
    weft_status status = weft_costs_check(m->costs);
    if (!status) status = weft_costs_check_machine(m->costs, m);
    if (status) return weft_status_prefix(status, "machine %s: costs: ", m->name);
  }
  return m->kind == WEFT_ROOFLINE ? check_rates(m) : NULL;
}

double weft_machine_peak_flops(const weft_machine *m, weft_dtype dtype) {
  if (m->kind == WEFT_MESH) {
    // bf16 has no unit of its own on a mesh: 16-bit inputs with f32 accumulation.
    double each = dtype == WEFT_F16    ? m->mesh.f16_per_cycle
                  : dtype == WEFT_BF16 ? m->mesh.mixed_per_cycle
                                       : m->mesh.f32_per_cycle;
    return 2 * each * m->mesh.clock_hz * m->mesh.columns * m->mesh.rows;
  }
  const weft_roofline *r = &m->roofline;
  return dtype == WEFT_F16    ? r->f16_flops_per_second
         : dtype == WEFT_BF16 ? r->bf16_flops_per_second
                              : r->f32_flops_per_second;
}

double weft_machine_memory_bytes(const weft_machine *m) {
  if (m->kind == WEFT_ROOFLINE) return m->roofline.memory_bytes;
  return (double)(m->mesh.sram_bytes_per_core - m->mesh.reserved_bytes_per_core) * m->mesh.columns * m->mesh.rows;
}

// Tables of one name may differ, and those of one content have different names.
static char *with_costs(const weft_machine *machine, const char *spelling) {
  if (!machine->costs) return weft_copy_text(spelling);
  return weft_format("%s costs %016llx", spelling, (unsigned long long)weft_costs_hash(machine->costs));
}

uint64_t weft_machine_hash(const weft_machine *machine) {
  weft_machine plain = *machine;
  snprintf(plain.name, sizeof plain.name, "x");  // what it is, not what it is called
  plain.costs = NULL;
  char *spelling = weft_machine_spell(&plain);
  char *whole = with_costs(machine, spelling);
  uint64_t hash = weft_hash_bytes(whole, strlen(whole));
  free(spelling);
  free(whole);
  return hash;
}

double weft_machine_first_word_cycles(const weft_mesh *mesh) {
  const weft_core_times *t = &mesh->times;
  return t->start_cycles + t->fabric_startup_cycles + 2 * mesh->ramp_cycles + mesh->hop_cycles +
         t->fabric_latency_cycles;
}

double weft_machine_chain_stage_cycles(const weft_mesh *mesh) {
  return 2 * mesh->ramp_cycles + mesh->times.fabric_latency_cycles + mesh->hop_cycles;
}

static void print_cycles(FILE *out, const char *what, double cycles, const char *about) {
  char text[48];
  fprintf(out, "  %-21s %17s  %s\n", what, weft_quantity_print(cycles, WEFT_CYCLES, " ", text), about);
}

void weft_machine_print(const weft_machine *m, FILE *out) {
  char text[48];
  fprintf(out, "%s: %s, hash %016llx\n", m->name, m->about[0] ? m->about : "(no description)",
          (unsigned long long)weft_machine_hash(m));
  weft_machine_section last = WEFT_SECTION_COUNT;
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    if (!weft_machine_has_section(m->kind, field->section)) continue;
    if (field->section != last) fprintf(out, "%s\n", weft_machine_section_name(field->section));
    last = field->section;
    fprintf(out, "  %-21s %17s  %s\n", field->key, weft_machine_field_print(m, field, " ", text), field->about);
  }
  fprintf(out, "derived\n");
  static const weft_dtype dtypes[] = {WEFT_F32, WEFT_F16, WEFT_BF16};
  for (size_t i = 0; i < 3; ++i) {
    char what[32], si[32];
    snprintf(what, sizeof what, "peak %s", weft_dtype_name(dtypes[i]));
    fprintf(out, "  %-21s %17s  multiply-accumulate counts 2\n", what,
            weft_text_si(weft_machine_peak_flops(m, dtypes[i]), "FLOP/s", si));
  }
  if (m->kind == WEFT_MESH) {
    print_cycles(out, "first word", weft_machine_first_word_cycles(&m->mesh), "start to result at the next core");
    print_cycles(out, "chain stage", weft_machine_chain_stage_cycles(&m->mesh), "receive, add, send on: one core more");
  }
  char bytes[32];
  fprintf(out, "  %-21s %17s  of one device\n", "memory for tensors",
          weft_text_bytes(weft_machine_memory_bytes(m), bytes));
  if (m->kind == WEFT_ROOFLINE && m->roofline.rate_count)
    fprintf(out, "  %-21s %17u  points of the efficiency curve\n", "measured rates", m->roofline.rate_count);
  if (m->costs)
    fprintf(out, "  %-21s %17s  %u classes of ops, %s\n", "costs", m->costs->name, m->costs->class_count,
            m->costs->source);
  if (m->measured) fprintf(out, "  measured on %s\n", m->host);
}

weft_status weft_machine_names(char ***out_names, uint32_t *out_count) {
  return weft_directory_names("models/machines", ".yaml", out_names, out_count);
}

static weft_status read_file(const char *path, weft_machine **out_machine) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status = NULL;
  if (memchr(file.bytes, 0, file.size)) {
    status = weft_error(WEFT_INVALID, "%s: not a text file", path);
  } else {
    char *text = weft_allocate(file.size + 1);
    memcpy(text, file.bytes, file.size);
    status = weft_machine_unpack(text, path, out_machine);
    free(text);
  }
  weft_mapping_close(&file);
  return status;
}

static weft_status read_by_name(const char *name, weft_machine **out_machine) {
  char **names, *path = NULL;
  uint32_t count;
  WEFT_TRY(weft_machine_names(&names, &count));
  const char *found = NULL;
  for (uint32_t i = 0; i < count && !found; ++i)
    if (strcasecmp(name, names[i]) == 0) found = names[i];
  weft_status status;
  if (!found) {
    const char *nearest = weft_nearest(name, (const char *const *)names, count);
    status = weft_error(WEFT_INVALID,
                        "%s: no such file, no machine of that name, and no spelling like \"mesh:8x8 sram:48KiB\"; "
                        "the nearest name is \"%s\"",
                        name, nearest ? nearest : "none: there are no machines");
  } else {
    char *relative = weft_format("models/machines/%s.yaml", found);
    status = weft_data_path(relative, &path);
    free(relative);
    if (!status) status = read_file(path, out_machine);
  }
  free(path);
  weft_directory_names_free(names, count);
  return status;
}

weft_status weft_machine_read(const char *where, weft_machine **out_machine) {
  if (weft_file_exists(where)) return read_file(where, out_machine);
  size_t first = strcspn(where, " ");
  if (memchr(where, ':', first)) return weft_machine_unspell(where, out_machine);
  return read_by_name(where, out_machine);
}

// The first "model name" line of /proc/cpuinfo; other architectures name it elsewhere or not at all.
static void processor_model(char out_model[160]) {
  snprintf(out_model, 160, "processor");
  FILE *file = fopen("/proc/cpuinfo", "r");
  if (!file) return;
  char line[256];
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, "model name", 10) != 0) continue;
    const char *value = strchr(line, ':');
    if (value) snprintf(out_model, 160, "%.150s", value + 1 + strspn(value + 1, " "));
    break;
  }
  fclose(file);
}

void weft_machine_host_identity(char out_identity[64]) {
  char model[160], facts[256], words[40];
  processor_model(model);
  long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  double memory_gib = (double)pages * (double)page / 0x1p30;
  snprintf(facts, sizeof facts, "%s %ld %.1f", model, cores, memory_gib);
  size_t used = 0;
  for (const char *c = model; *c && used + 1 < sizeof words - 8; ++c) {
    bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.';
    if (plain)
      words[used++] = *c;
    else if (used && words[used - 1] != '-')
      words[used++] = '-';
  }
  while (used && words[used - 1] == '-') --used;
  words[used] = 0;
  snprintf(out_identity, 64, "%.31s-%ldc-%.0fGiB-%08x", words, cores, memory_gib,
           (unsigned)weft_hash_bytes(facts, strlen(facts)));
}
