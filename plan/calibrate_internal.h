// Shared by the files of the calibration; not for others.
#ifndef WEFT_PLAN_CALIBRATE_INTERNAL_H
#define WEFT_PLAN_CALIBRATE_INTERNAL_H

#include "models/costs.h"
#include "models/machine.h"

// How a class's shapes are drawn and which of the sizes below mean something.
typedef enum weft_calibration_family {
  WEFT_CALIBRATE_PRODUCT,    // tokens, in, out
  WEFT_CALIBRATE_STREAMED,   // the same; features over columns, tokens over rows, as everywhere
  WEFT_CALIBRATE_PANELS,     // the same, on meshes of which the columns are a multiple of the rows
  WEFT_CALIBRATE_WIDTH,      // tokens, in
  WEFT_CALIBRATE_HEADS,      // tokens, in = heads x head_dim
  WEFT_CALIBRATE_ATTENTION,  // one sequence
  WEFT_CALIBRATE_CACHED,     // tokens queries, room keys
  WEFT_CALIBRATE_ROWS,       // tokens, of which `room` rows are written or taken
  WEFT_CALIBRATE_TABLE,      // tokens, in, table
  WEFT_CALIBRATE_UPDATE      // a parameter of table x in
} weft_calibration_family;

// One shape, on columns x rows cores.
typedef struct weft_calibration_call {
  uint32_t columns, rows, tokens, in, out, kv_heads, lanes, head_dim, room, table;
} weft_calibration_call;

typedef struct weft_calibration_class {
  weft_op op;
  const char *algorithm, *kind;
  weft_activation activation;
  weft_calibration_family family;
  bool narrow_too;  // f16 beside f32
  struct {
    const char *of, *cause;
  } terms[WEFT_COST_TERMS];
} weft_calibration_class;

extern const weft_calibration_class weft_calibration_classes[];
extern const uint32_t weft_calibration_class_count;

// The shape numbered `index` of a class; quick: on small meshes.
weft_calibration_call weft_calibration_draw(const weft_calibration_class *what, weft_dtype dtype, uint64_t seed,
                                            uint32_t index, bool quick);
weft_cost_shape weft_calibration_shape(const weft_calibration_class *what, weft_dtype dtype,
                                       const weft_calibration_call *call);
// Executed wavelet by wavelet.
weft_status weft_calibration_measure(const weft_machine *machine, const weft_calibration_class *what, weft_dtype dtype,
                                     const weft_calibration_call *call, double *out_cycles) WEFT_CHECKED;

// Cycles of the form's terms from `count` points, `held` of which (every fourth) only make the errors; ranges too.
weft_status weft_calibration_fit(const weft_cost_shape *shapes, const double *cycles, uint32_t count,
                                 weft_cost_class *form) WEFT_CHECKED;

#endif
