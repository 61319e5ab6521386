#include "cli/kernel_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/npy.h"

void weft_execution_find_programs(weft_execution *e) {
  const weft_kernel *k = e->kernel;
  size_t cores = (size_t)k->columns * k->rows;
  e->programs = weft_allocate_array(cores, sizeof *e->programs);
  memset(e->programs, 0xff, cores * sizeof *e->programs);
  for (uint32_t p = 0; p < k->program_count; ++p)
    for (uint32_t b = 0; b < k->programs[p].block_count; ++b) {
      const weft_block *block = &k->programs[p].blocks[b];
      for (uint64_t y = block->y; y < block->y_end; y += block->step_y)
        for (uint64_t x = block->x; x < block->x_end; x += block->step_x) e->programs[y * k->columns + x] = p;
    }
  for (size_t c = 0; c < cores; ++c) e->cores += e->programs[c] != WEFT_NOTHING;
}

static const weft_program *program_at(const weft_execution *e, size_t core) {
  return e->programs[core] == WEFT_NOTHING ? NULL : &e->kernel->programs[e->programs[core]];
}

static const weft_array *array_of(const weft_program *p, const char *name) {
  for (uint32_t a = 0; p && a < p->array_count; ++a)
    if (strcmp(p->arrays[a].name, name) == 0) return &p->arrays[a];
  return NULL;
}

static const weft_register *register_of(const weft_program *p, const char *name) {
  for (uint32_t r = 0; p && r < p->register_count; ++r)
    if (strcmp(p->registers[r].name, name) == 0) return &p->registers[r];
  return NULL;
}

static size_t cores_of(const weft_execution *e) { return (size_t)e->kernel->columns * e->kernel->rows; }

uint32_t weft_execution_length(const weft_execution *e, size_t core, const char *name) {
  const weft_program *p = program_at(e, core);
  const weft_array *array = array_of(p, name);
  return array ? array->length : register_of(p, name) ? 1 : 0;
}

static uint32_t find_channel(const weft_execution *e, const char *name, bool into_mesh) {
  for (uint32_t c = 0; c < e->kernel->channel_count; ++c)
    if (e->kernel->channels[c].into_mesh == into_mesh && strcmp(e->kernel->channels[c].name, name) == 0) return c;
  return WEFT_NOTHING;
}

static weft_status unknown(const weft_execution *e, const char *option, const char *name) {
  const char *known[1024];
  size_t count = 0;
  bool input = strcmp(option, "input") == 0;
  for (uint32_t p = 0; p < e->kernel->program_count; ++p) {
    const weft_program *program = &e->kernel->programs[p];
    for (uint32_t a = 0; a < program->array_count && count < 512; ++a) known[count++] = program->arrays[a].name;
    for (uint32_t r = 0; !input && r < program->register_count && count < 800; ++r)
      known[count++] = program->registers[r].name;
    if (input && register_of(program, name))
      return weft_error(WEFT_INVALID, "--input: \"%s\" is a register; make it an array, or a parameter", name);
  }
  for (uint32_t c = 0; c < e->kernel->channel_count && count < 1024; ++c) known[count++] = e->kernel->channels[c].name;
  const char *nearest = weft_nearest(name, known, count);
  return weft_error(WEFT_INVALID, "--%s: kernel %s has no %s or channel \"%s\"%s%s%s", option, e->kernel->name,
                    input ? "array" : "array, register", name, nearest ? "; the nearest is \"" : "",
                    nearest ? nearest : "", nearest ? "\"" : "");
}

weft_status weft_execution_check(const weft_execution *e, const char *option, const char *name) {
  if (find_channel(e, name, false) != WEFT_NOTHING) return NULL;
  for (size_t c = 0; c < cores_of(e); ++c)
    if (weft_execution_length(e, c, name) > 0) return NULL;
  return unknown(e, option, name);
}

// "NAME=REST" into its parts; caller frees the name.
static weft_status split(const char *option, const char *argument, const char *wanted, char **out_name,
                         const char **out_rest) {
  const char *equals = strchr(argument, '=');
  if (!equals || equals == argument || !equals[1])
    return weft_error(WEFT_INVALID, "--%s: expected %s, found \"%s\"", option, wanted, argument);
  *out_name = weft_format("%.*s", (int)(equals - argument), argument);
  *out_rest = equals + 1;
  return NULL;
}

weft_status weft_execution_check_output(const weft_execution *e, const char *argument) {
  char *name = NULL;
  const char *path = NULL;
  WEFT_TRY(split("output", argument, "ARRAY=FILE", &name, &path));
  weft_status status = weft_execution_check(e, "output", name);
  free(name);
  return status;
}

// ---- input ----

static weft_status read_f32(const char *path, uint64_t count, double *values) {
  weft_mapping file;
  WEFT_TRY(weft_mapping_open(path, &file));
  weft_status status = NULL;
  if (file.size != count * sizeof(float))
    status = weft_error(WEFT_INVALID, "%s: %zu bytes; %" PRIu64 " elements of f32 are %" PRIu64, path, file.size, count,
                        count * (uint64_t)sizeof(float));
  for (uint64_t i = 0; i < count && !status; ++i) {
    float value;
    memcpy(&value, file.bytes + i * sizeof value, sizeof value);
    values[i] = (double)value;
  }
  weft_mapping_close(&file);
  return status;
}

// Numbers with a shape say more than how many: their first sides must be the mesh's, or there is only one.
static weft_status read_npy(const weft_execution *e, const char *path, uint64_t count, bool channel, double *values) {
  const weft_kernel *k = e->kernel;
  weft_npy npy;
  WEFT_TRY(weft_npy_read(path, &npy));
  weft_status status = NULL;
  bool by_core = npy.dimensions >= 2 && npy.shape[0] == k->rows && npy.shape[1] == k->columns;
  if (npy.count != count)
    status = weft_error(WEFT_INVALID, "%s: %" PRIu64 " numbers; expected %" PRIu64, path, npy.count, count);
  else if (npy.dimensions > 1 && !by_core && !channel)
    status = weft_error(WEFT_INVALID,
                        "%s: a shape of %" PRIu64 " x %" PRIu64
                        "...; the first sides must be the mesh's rows and "
                        "columns, %u x %u (a plate cut into tiles: numpy's a.reshape(%u, tile_rows, %u, "
                        "tile_columns).swapaxes(1, 2)), or there must be one side",
                        path, npy.shape[0], npy.shape[1], k->rows, k->columns, k->rows, k->columns);
  else
    memcpy(values, npy.values, count * sizeof *values);
  weft_npy_finish(&npy);
  return status;
}

// "iota", "ones", "random:SEED" or a file.
static weft_status make_values(const weft_execution *e, const char *what, uint64_t count, bool channel,
                               double *values) {
  if (strcmp(what, "iota") == 0) {
    for (uint64_t i = 0; i < count; ++i) values[i] = (double)i;
  } else if (strcmp(what, "ones") == 0) {
    for (uint64_t i = 0; i < count; ++i) values[i] = 1;
  } else if (strncmp(what, "random:", 7) == 0) {
    char *end;
    uint64_t seed = strtoull(what + 7, &end, 10);
    if (end == what + 7 || *end || what[7] == '-')
      return weft_error(WEFT_INVALID, "\"%s\": expected random:SEED with a whole number", what);
    for (uint64_t i = 0; i < count; ++i) values[i] = (double)(float)(2 * weft_random_uniform(seed, 0, i) - 1);
  } else if (weft_npy_named(what)) {
    return read_npy(e, what, count, channel, values);
  } else {
    return read_f32(what, count, values);
  }
  return NULL;
}

static int32_t whole_of(double value) {
  if (isnan(value)) return 0;
  return value >= INT32_MAX ? INT32_MAX : value <= INT32_MIN ? INT32_MIN : (int32_t)value;
}

static weft_status write_core(const weft_execution *e, size_t core, const char *name, const double *values) {
  const weft_array *array = array_of(program_at(e, core), name);
  uint32_t x = (uint32_t)(core % e->kernel->columns), y = (uint32_t)(core / e->kernel->columns);
  bool whole = array->dtype == WEFT_I32;
  int32_t *integers = weft_allocate_array(array->length, sizeof *integers);
  float *reals = weft_allocate_array(array->length, sizeof *reals);
  for (uint32_t i = 0; i < array->length; ++i) {
    if (whole)
      integers[i] = whole_of(values[i]);
    else
      reals[i] = (float)values[i];
  }
  weft_status status = whole ? weft_mesh_write(e->mesh, x, y, name, integers, array->length * sizeof *integers)
                             : weft_mesh_write_f32(e->mesh, x, y, name, reals, array->length);
  free(integers);
  free(reals);
  return status;
}

weft_status weft_execution_input(weft_execution *e, const char *argument) {
  char *name = NULL;
  const char *what = NULL;
  void *memory = NULL;
  WEFT_TRY(split("input", argument, "ARRAY=iota, ARRAY=ones, ARRAY=random:SEED or ARRAY=FILE", &name, &what));
  uint32_t channel = find_channel(e, name, true);
  bool is_channel = channel != WEFT_NOTHING;
  uint64_t count = is_channel ? e->kernel->channels[channel].words : 0;
  for (size_t c = 0; c < cores_of(e) && !is_channel; ++c) {
    const weft_array *array = array_of(program_at(e, c), name);
    count += array ? array->length : 0;
  }
  weft_status status = !is_channel && count == 0 ? unknown(e, "input", name) : NULL;
  if (!status) status = weft_allocate_large(count * sizeof(double), name, &memory);
  double *values = memory;
  if (!status) status = weft_status_prefix(make_values(e, what, count, is_channel, values), "--input %s: ", name);
  for (uint64_t i = 0; is_channel && i < count && !status; ++i) {
    float value = (float)values[i];
    memcpy(&e->words[channel][i], &value, sizeof value);
  }
  for (size_t c = 0; !is_channel && c < cores_of(e) && !status; ++c) {
    const weft_array *array = array_of(program_at(e, c), name);
    if (!array) continue;
    status = write_core(e, c, name, values);
    values += array->length;
  }
  weft_free_large(memory);
  free(name);
  return status;
}

// ---- output ----

static weft_status read_core(const weft_execution *e, size_t core, const char *name, uint32_t length, double *values,
                             bool *out_whole) {
  const weft_program *p = program_at(e, core);
  const weft_array *array = array_of(p, name);
  uint32_t x = (uint32_t)(core % e->kernel->columns), y = (uint32_t)(core / e->kernel->columns);
  weft_dtype dtype = array ? array->dtype : register_of(p, name)->dtype;
  uint32_t *bits = weft_allocate_array(length, sizeof *bits);
  weft_status status = NULL;
  if (!array)
    status = weft_mesh_register(e->mesh, x, y, name, bits);
  else if (dtype == WEFT_I32)
    status = weft_mesh_read(e->mesh, x, y, name, bits, length * sizeof *bits);
  else
    status = weft_mesh_read_f32(e->mesh, x, y, name, (float *)(void *)bits, length);
  for (uint32_t i = 0; i < length && !status; ++i) {
    float real;
    memcpy(&real, &bits[i], sizeof real);
    values[i] = dtype == WEFT_I32 ? (double)(int32_t)bits[i] : (double)real;
  }
  free(bits);
  *out_whole = dtype == WEFT_I32;
  return status;
}

weft_status weft_execution_fetch(const weft_execution *e, const char *option, const char *name,
                                 weft_execution_values *out_values) {
  uint32_t channel = find_channel(e, name, false);
  weft_execution_values v = {.channel = channel != WEFT_NOTHING, .whole = channel == WEFT_NOTHING};
  if (v.channel) v.count = e->kernel->channels[channel].words;
  for (size_t c = 0; c < cores_of(e) && !v.channel; ++c) v.count += weft_execution_length(e, c, name);
  if (!v.channel && v.count == 0) return unknown(e, option, name);
  v.values = weft_allocate_array(v.count, sizeof *v.values);
  for (uint64_t i = 0; v.channel && i < v.count; ++i) {
    float value;
    memcpy(&value, &e->words[channel][i], sizeof value);
    v.values[i] = (double)value;
  }
  weft_status status = NULL;
  double *at = v.values;
  for (size_t c = 0; !v.channel && c < cores_of(e) && !status; ++c) {
    uint32_t length = weft_execution_length(e, c, name);
    bool whole = true;
    if (length > 0) status = read_core(e, c, name, length, at, &whole);
    v.whole &= whole;
    at += length;
  }
  if (status)
    free(v.values);
  else
    *out_values = v;
  return status;
}

// (rows, columns, elements) where all cores have equally many, else one after the other.
static void find_shape(const weft_execution *e, const char *name, const weft_execution_values *v, weft_npy *npy) {
  uint32_t each = weft_execution_length(e, 0, name);
  bool everywhere = !v->channel;
  for (size_t c = 0; c < cores_of(e) && everywhere; ++c) everywhere = weft_execution_length(e, c, name) == each;
  *npy = (weft_npy){.shape = {v->count}, .dimensions = 1, .count = v->count, .values = v->values};
  if (!everywhere) return;
  npy->shape[0] = e->kernel->rows;
  npy->shape[1] = e->kernel->columns;
  npy->shape[2] = each;
  npy->dimensions = 3;
}

weft_status weft_execution_output(const weft_execution *e, const char *argument) {
  char *name = NULL;
  const char *path = NULL;
  weft_execution_values v = {0};
  WEFT_TRY(split("output", argument, "ARRAY=FILE", &name, &path));
  weft_status status = weft_execution_fetch(e, "output", name, &v);
  if (!status && weft_npy_named(path)) {
    weft_npy npy;
    find_shape(e, name, &v, &npy);
    status = weft_npy_write(path, &npy, v.whole);
  } else if (!status) {
    float *reals = weft_allocate_array(v.count, sizeof *reals);
    for (uint64_t i = 0; i < v.count; ++i) reals[i] = (float)v.values[i];
    status = weft_file_write(path, reals, v.count * sizeof *reals);
    free(reals);
  }
  free(v.values);
  free(name);
  return status;
}
