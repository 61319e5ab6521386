// Tables of costs: finding classes, adding up their terms, and what must hold for them.
#include "models/costs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/memory.h"
#include "models/machine_fields.h"

static const struct {
  char letter;
  const char *about;
} variables[WEFT_COST_VARIABLES] = {
#define X(enumerator, letter, about) {letter, about},
#include "models/cost_variables.def"
#undef X
};

char weft_cost_letter(weft_cost_variable variable) { return variables[variable].letter; }
const char *weft_cost_about(weft_cost_variable variable) { return variables[variable].about; }

void weft_costs_destroy(weft_costs *costs) {
  if (!costs) return;
  free(costs->constants);
  free(costs->classes);
  free(costs);
}

uint64_t weft_costs_hash(const weft_costs *costs) {
  char *text = weft_costs_pack(costs);
  uint64_t hash = weft_hash_bytes(text, strlen(text));
  free(text);
  return hash;
}

// ---- terms

static bool variable_of(char letter, weft_cost_variable *out_variable) {
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v)
    if (variables[v].letter == letter) {
      *out_variable = (weft_cost_variable)v;
      return true;
    }
  return false;
}

weft_status weft_cost_term_parse(const char *text, weft_cost_term *out_term) {
  weft_cost_term term = *out_term;
  term.factor_count = 0;
  char letters[2 * WEFT_COST_VARIABLES + 1];
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v) {
    letters[2 * v] = variables[v].letter;
    letters[2 * v + 1] = v + 1 < WEFT_COST_VARIABLES ? ' ' : 0;
  }
  bool constant = strcmp(text, "1") == 0;
  for (const char *at = text; *at && !constant; ++at) {
    if (*at == ' ') continue;
    if (term.factor_count == WEFT_COST_FACTORS)
      return weft_error(WEFT_INVALID, "\"%s\" has more than %d factors", text, WEFT_COST_FACTORS);
    if (!variable_of(*at, &term.factors[term.factor_count++]) || (at[1] && at[1] != ' '))
      return weft_error(WEFT_INVALID, "\"%s\": a term is \"1\" or letters with blanks between them, of: %s", text,
                        letters);
  }
  if (!constant && term.factor_count == 0)
    return weft_error(WEFT_INVALID, "\"%s\" names no variable: \"1\" stands for a constant", text);
  *out_term = term;
  return NULL;
}

char *weft_cost_term_print(const weft_cost_term *term, char out[32]) {
  char *at = out;
  for (uint32_t f = 0; f < term->factor_count; ++f) {
    if (f) *at++ = ' ';
    *at++ = variables[term->factors[f]].letter;
  }
  if (term->factor_count == 0) *at++ = '1';
  *at = 0;
  return out;
}

double weft_cost_term_cycles(const weft_cost_term *term, const weft_cost_shape *shape) {
  double cycles = term->cycles;
  for (uint32_t f = 0; f < term->factor_count; ++f) cycles *= shape->of[term->factors[f]];
  return cycles;
}

double weft_cost_cycles(const weft_cost_class *form, const weft_cost_shape *shape) {
  double cycles = 0;
  for (uint32_t t = 0; t < form->term_count; ++t) cycles += weft_cost_term_cycles(&form->terms[t], shape);
  return cycles;
}

double weft_cost_once_cycles(const weft_cost_class *form, const weft_cost_shape *shape) {
  double cycles = 0;
  for (uint32_t t = 0; t < form->term_count; ++t) {
    const weft_cost_term *term = &form->terms[t];
    bool once = true;
    for (uint32_t f = 0; f < term->factor_count; ++f)
      once = once && (term->factors[f] == WEFT_COST_COLUMNS || term->factors[f] == WEFT_COST_ROWS);
    if (once) cycles += weft_cost_term_cycles(term, shape);
  }
  return cycles;
}

double weft_cost_beyond(const weft_cost_class *form, const weft_cost_shape *shape, weft_cost_variable *out_variable) {
  double worst = 1;
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v) {
    double value = shape->of[v];
    if (!form->ranged[v] || value <= 0) continue;
    double ratio = value > form->most[v] ? value / form->most[v] : value < form->least[v] ? form->least[v] / value : 1;
    if (ratio <= worst) continue;
    worst = ratio;
    *out_variable = (weft_cost_variable)v;
  }
  return worst;
}

const char *weft_cost_kind(weft_op op, const weft_attributes *attributes) {
  static const char *const activations[WEFT_ACTIVATION_COUNT] = {
      [WEFT_GELU_TANH] = "gelu_tanh", [WEFT_GELU_ERF] = "gelu_erf", [WEFT_SILU] = "silu", [WEFT_RELU] = "relu"};
  switch (op) {
    case WEFT_OP_ACTIVATION:
    case WEFT_OP_ACTIVATION_BACKWARD:
    case WEFT_OP_GATED:
    case WEFT_OP_GATED_BACKWARD: return activations[attributes->activation];
    case WEFT_OP_ATTENTION:
    case WEFT_OP_ATTENTION_BACKWARD:
    case WEFT_OP_ATTENTION_CACHED: return attributes->heads > attributes->kv_heads ? "grouped" : "";
    default: return "";
  }
}

double weft_cost_padded(const char *algorithm, weft_dtype dtype, double tokens) {
  double whole = dtype != WEFT_F32 ? 8 : strcmp(algorithm, "panels") == 0 ? 4 : 1;
  return ceil(tokens / whole) * whole;
}

double weft_cost_near_heads(uint32_t features, uint32_t head_dim, uint32_t columns) {
  uint32_t width = (features + columns - 1) / columns, most = 1;
  // Blocks meet heads in the same way every head_dim columns.
  for (uint32_t x = 0; x < columns && x < head_dim && x * width < features; ++x) {
    uint32_t end = (x + 1) * width < features ? (x + 1) * width : features;
    uint32_t heads = (end + head_dim - 1) / head_dim - x * width / head_dim;
    if (heads > most) most = heads;
  }
  return most;
}

double weft_cost_table_passes(double rows, double width) {
  double room = fmax(floor(8192 / (4 * width)), 1), chunk = fmin(rows, room);
  return ceil(rows / chunk);
}

// ---- tables

const weft_cost_class *weft_costs_find(const weft_costs *costs, weft_op op, const char *algorithm, const char *kind,
                                       weft_dtype dtype) {
  if (dtype == WEFT_BF16) dtype = WEFT_F16;
  for (uint32_t c = 0; c < costs->class_count; ++c) {
    const weft_cost_class *form = &costs->classes[c];
    if (form->op == op && form->dtype == dtype && strcmp(form->algorithm, algorithm) == 0 &&
        strcmp(form->kind, kind) == 0)
      return form;
  }
  return NULL;
}

static weft_status check_class(const weft_cost_class *form) {
  if ((unsigned)form->op >= WEFT_OP_COUNT || (form->dtype != WEFT_F32 && form->dtype != WEFT_F16))
    return weft_error(WEFT_INVALID, "a class is of an op, in f32 or f16 (which stands for bf16 too)");
  if (form->term_count == 0 || form->term_count > WEFT_COST_TERMS)
    return weft_error(WEFT_INVALID, "%u terms; 1 to %d are right", form->term_count, WEFT_COST_TERMS);
  for (uint32_t t = 0; t < form->term_count; ++t)
    if (!isfinite(form->terms[t].cycles) || form->terms[t].cycles < 0)
      return weft_error(WEFT_INVALID, "term %u takes %g cycles; 0 or more is right", t, form->terms[t].cycles);
  if (!(form->mean_error >= 0) || !(form->worst_error >= form->mean_error) || !isfinite(form->worst_error))
    return weft_error(WEFT_INVALID, "mean error %g, worst %g: 0 <= mean <= worst is right", form->mean_error,
                      form->worst_error);
  for (int v = 0; v < WEFT_COST_VARIABLES; ++v)
    if (form->ranged[v] && !(form->least[v] > 0 && form->most[v] >= form->least[v] && isfinite(form->most[v])))
      return weft_error(WEFT_INVALID, "range of %c is %g to %g: 0 < least <= most is right", variables[v].letter,
                        form->least[v], form->most[v]);
  return NULL;
}

weft_status weft_costs_check(const weft_costs *costs) {
  if (costs->class_count == 0) return weft_error(WEFT_INVALID, "costs %s: no class", costs->name);
  for (uint32_t c = 0; c < costs->class_count; ++c) {
    const weft_cost_class *form = &costs->classes[c];
    weft_status status = check_class(form);
    if (!status && weft_costs_find(costs, form->op, form->algorithm, form->kind, form->dtype) != form)
      status = weft_error(WEFT_INVALID, "the class stands twice");
    if (status)
      return weft_status_prefix(status, "costs %s: class %u (%s%s%s): ", costs->name, c,
                                (unsigned)form->op < WEFT_OP_COUNT ? weft_op_name(form->op) : "no op",
                                form->algorithm[0] ? ", " : "", form->algorithm);
  }
  return NULL;
}

// ---- constants

// Size, clock, memory and what only says whether a kernel fits do not change its cycles.
static bool decides(const weft_machine_field *field) {
  static const char *const others[] = {"columns",           "rows",         "clock",  "sram_per_core",
                                       "reserved_per_core", "router_ports", "colours"};
  if (field->section != WEFT_SECTION_MESH && field->section != WEFT_SECTION_CORE) return false;
  for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
    if (strcmp(field->key, others[i]) == 0) return false;
  return true;
}

void weft_costs_constants(const weft_machine *machine, weft_cost_constant **out_constants, uint32_t *out_count) {
  weft_cost_constant *constants = weft_allocate_array(WEFT_MACHINE_FIELDS, sizeof *constants);
  uint32_t count = 0;
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    if (!decides(&weft_machine_fields[i])) continue;
    weft_cost_constant *constant = &constants[count++];
    snprintf(constant->key, sizeof constant->key, "%s", weft_machine_fields[i].key);
    weft_machine_field_print(machine, &weft_machine_fields[i], " ", constant->value);
  }
  *out_constants = constants;
  *out_count = count;
}

weft_status weft_costs_check_machine(const weft_costs *costs, const weft_machine *machine) {
  if (machine->kind != WEFT_MESH)
    return weft_error(WEFT_INVALID, "only a mesh takes its costs from a table fitted to the wavelet level");
  for (uint32_t c = 0; c < costs->constant_count; ++c) {
    const weft_cost_constant *constant = &costs->constants[c];
    for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
      const weft_machine_field *field = &weft_machine_fields[i];
      char has[48];
      if (!decides(field) || strcmp(field->key, constant->key) != 0) continue;
      if (strcmp(weft_machine_field_print(machine, field, " ", has), constant->value) == 0) continue;
      return weft_error(WEFT_INVALID,
                        "table %s was fitted to cores with %s %s, and this machine has %s: name no table, or fit one "
                        "with weft calibrate --machine",
                        costs->name, constant->key, constant->value, has);
    }
  }
  return NULL;
}
