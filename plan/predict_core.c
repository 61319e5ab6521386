// Area core: a vector operation on one core, as a kernel in text (docs/kernels.md), executed on its machine.
//
// Subject "vector/OPERATION"; inputs: machine, n (elements), dtype, and where they are not the default
//   form    wide: one operation over all elements; map, loop: over `tile` elements at a time (16)
//   offset  bytes between the places of the two sources, modulo all banks; 4 where not said, which is free of conflicts
// Two sources are an array each; of "fma" the second one is y of y += a x, and x an element kept in a register, as in
// the programs that were measured (axpy).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plan/predict_mesh.h"

typedef struct operation {
  const char *name, *statement;  // with %V for the view's brackets
  double flops;                  // per element
} operation;

static const operation operations[] = {
    {"move", "y%V = a%V", 0},           {"fill", "y%V = 0.0", 0},
    {"add", "y%V = a%V + b%V", 1},      {"subtract", "y%V = a%V - b%V", 1},
    {"multiply", "y%V = a%V * b%V", 1}, {"fma", "b%V += a%V * x", 2},
    {"divide", "y%V = a%V / b%V", 1},   {"maximum", "y%V = max(a%V, b%V)", 1},
    {"sum", "x += sum(a%V)", 1},        {"dot", "x += dot(a%V, b%V)", 2},
    {"exp", "y%V = exp(a%V)", 1},       {"sqrt", "y%V = sqrt(a%V)", 1},
    {"tanh", "y%V = tanh(a%V)", 1},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static const operation *find_operation(weft_inputs *in) {
  static const char *const also[][2] = {{"copy", "move"},   {"axpy", "fma"},     {"fmac", "fma"},
                                        {"mac", "fma"},     {"mul", "multiply"}, {"sub", "subtract"},
                                        {"max", "maximum"}, {"reduce", "sum"}};
  const char *slash = strchr(in->subject, '/'), *name = slash ? slash + 1 : weft_input_text(in, "operation|op");
  if (!name) return NULL;
  const char *names[OPERATIONS], *asked = name;
  for (size_t i = 0; i < sizeof also / sizeof *also; ++i)
    if (strcmp(name, also[i][0]) == 0) name = also[i][1];
  for (int i = 0; i < OPERATIONS; ++i) {
    names[i] = operations[i].name;
    if (strcmp(name, names[i]) == 0) return &operations[i];
  }
  weft_input_uncovered(in, "no prediction of vector/%s yet; the nearest that is predicted is \"%s\"", asked,
                       weft_nearest(asked, names, OPERATIONS));
  return NULL;
}

typedef struct vector {
  const operation *what;
  uint32_t n, form, tile, offset;  // form: 0 wide, 1 map, 2 loop
  weft_dtype dtype, result;
} vector;

static void write_statement(FILE *out, const vector *v) {
  fputs(v->form ? "      " : "    ", out);
  for (const char *at = v->what->statement; *at; ++at) {
    if (at[0] == '%' && at[1] == 'V') {
      if (v->form) fprintf(out, "[%u * i : +%u]", v->tile, v->tile);
      ++at;
    } else {
      fputc(*at, out);
    }
  }
  if (strcmp(v->what->name, "fill") == 0 && !v->form) fprintf(out, " for %u", v->n);
  fputc('\n', out);
}

static char *text_of(const vector *v) {
  char *text = NULL;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  const char *from = weft_dtype_name(v->dtype), *to = weft_dtype_name(v->result);
  bool second = strstr(v->what->statement, "b%V") != NULL, third = strstr(v->what->statement, "y%V") != NULL;
  bool into_second = strcmp(v->what->name, "fma") == 0;
  fprintf(out, "kernel vector\nmesh 1 by 1\nprogram core at all\n  %s a[%u] = 1\n", from, v->n);
  if (second) fprintf(out, "  %s b[%u] skew %u = 1\n", into_second ? to : from, v->n, v->offset);
  if (third) fprintf(out, "  %s y[%u]\n", to, v->n);
  fputs("  f32 x = 1.0\n  i32 i\n  task main on start\n", out);
  if (v->form) fprintf(out, "    %s i in 0:%u\n", v->form == 1 ? "map" : "loop", v->n / v->tile);
  write_statement(out, v);
  if (v->form) fputs("    end\n", out);
  fclose(out);
  return text;
}

static weft_status execute(weft_inputs *in, const vector *v, const weft_machine *machine, double *out_cycles) {
  char *text = text_of(v);
  weft_kernel *kernel;
  weft_status status = weft_kernel_parse(text, "vector", NULL, 0, &kernel);
  free(text);
  if (status) return status;
  in->method = WEFT_BY_EXECUTION;
  status = weft_mesh_execute(in, kernel, machine, NULL, NULL, out_cycles);
  weft_kernel_destroy(kernel);
  return status;
}

double weft_predict_vector(weft_inputs *in) {
  vector v = {.what = find_operation(in), .dtype = WEFT_F32, .offset = 4};
  v.n = weft_input_whole(in, "n|elements|length", 1, 1 << 20);
  weft_input_dtype(in, "dtype|type|precision", &v.dtype);
  v.result = v.dtype;
  weft_input_dtype(in, "result|accumulate", &v.result);
  v.form = weft_input_choice(in, "form", "wide|map|loop|while", 0);
  if (v.form > 2) v.form = 2;
  v.tile = weft_input_whole_or(in, "tile", 1, 1 << 20, 16);
  v.offset = weft_input_whole_or(in, "offset", 0, 65535, v.offset);
  weft_machine *machine = weft_mesh_machine(in);
  if (!machine) return 0;
  double cycles = 0, result = 0;
  if (weft_input_usable(in)) {
    weft_status status = NULL;
    if (v.form && v.n % v.tile)
      status = weft_error(WEFT_INVALID, "input \"tile\": %u elements are no multiple of %u", v.n, v.tile);
    if (!status) status = execute(in, &v, machine, &cycles);
    weft_work work = {.flops = v.what->flops * v.n, .elements = v.n};
    result = status ? weft_input_give_up(in, status) : weft_mesh_result(in, machine, cycles, work);
  }
  weft_machine_destroy(machine);
  return result;
}
