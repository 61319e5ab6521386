// For the files that predict: the inputs of one case (inputs.c), and the table of predictors.
#ifndef WEFT_PLAN_PREDICTORS_H
#define WEFT_PLAN_PREDICTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"
#include "models/network.h"
#include "plan/validate.h"

#ifdef __cplusplus
extern "C" {
#endif

// The first failure is kept; asking for a key marks it as known. Keys are compared without case. Where a key has
// several spellings they are given as one text, "pes|cores|p": the first that the case has is meant, else the first
// one.
enum { WEFT_MOST_INPUTS = 32, WEFT_MOST_KEYS = 96 };
typedef struct weft_inputs {
  weft_arena *arena;  // for reasons
  struct weft_input {
    const char *key, *value;
    bool asked;
  } pairs[WEFT_MOST_INPUTS];
  uint32_t count;
  const char *keys[WEFT_MOST_KEYS];  // what was asked for, there or not: the nearest known ones
  uint32_t key_count;
  const char *missing;  // why there is no prediction: an input not published, a network not in the zoo
  weft_status error;    // a malformed input
  const char *subject, *quantity, *unit;  // of the case
  const char *evidence;  // likewise: how the expected value came about ("hardware", "published-model" ...)
  const weft_validation_limits *limits;
  weft_method method;         // out: how the prediction was obtained; a formula unless the predictor says otherwise
  const char *method_detail;  // out: what was executed instead, or NULL
} weft_inputs;

// "key=value;key=value"; spaces around either do not count, empty pairs are passed over.
weft_status weft_inputs_read(weft_inputs *out_inputs, weft_arena *arena, const char *text) WEFT_CHECKED;
// WEFT_INVALID: a key that nobody asked for, with the nearest of those that somebody did.
weft_status weft_inputs_check(const weft_inputs *inputs) WEFT_CHECKED;

// For inputs that need not be there; one that was not published ("-" or empty) is not there.
bool weft_input_has(weft_inputs *inputs, const char *key);

const char *weft_input_text(weft_inputs *inputs, const char *key);  // NULL where missing or after a failure
// `low` where missing or after a failure, so that arithmetic goes on. A unit "words" may stand behind the number.
double weft_input_number(weft_inputs *inputs, const char *key, double low, double high);
uint32_t weft_input_whole(weft_inputs *inputs, const char *key, uint32_t low, uint32_t high);
// Likewise, or `otherwise` where the case does not have it.
uint32_t weft_input_whole_or(weft_inputs *inputs, const char *key, uint32_t low, uint32_t high, uint32_t otherwise);
void weft_input_known(weft_inputs *inputs, const char *key);  // may be there, and is not used
// One of `names` (joined by "|"), or `otherwise` where the case has no such key: its index. Compared without case.
uint32_t weft_input_choice(weft_inputs *inputs, const char *key, const char *names, uint32_t otherwise);
// "512x256" of the input "mesh": columns and rows, 1 to 4096 each; untouched after a failure.
void weft_input_mesh(weft_inputs *inputs, const char *key, uint32_t *out_columns, uint32_t *out_rows);
// The input "dtype" in any of its usual names; untouched where it is not there and after a failure.
void weft_input_dtype(weft_inputs *inputs, const char *key, weft_dtype *out_dtype);
static inline bool weft_input_usable(const weft_inputs *inputs) { return !inputs->error && !inputs->missing; }
// Takes the status of a prediction that failed and keeps the first one: a wrong input (WEFT_INVALID) is an error,
// anything else, such as a kernel that does not fit the machine, leaves the case uncovered with the reason. Returns 0.
double weft_input_give_up(weft_inputs *inputs, weft_status status);
// Likewise for what was not published or is not predicted. Returns 0.
double weft_input_uncovered(weft_inputs *inputs, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The input "network". A network that is not in the zoo leaves the case uncovered: other tables have networks that Weft
// does not know yet.
bool weft_input_network(weft_inputs *inputs, weft_network *out_network);

// Subjects of wafers are families: "reduce" stands for "reduce/chain", "reduce/2d" and what else its predictor finds in
// the parts behind the slash; it says itself what it does not know. Quantities of families are those of predict_mesh.h.
typedef struct weft_predictor {
  const char *area, *subject;
  const char *quantity;                    // NULL: a family
  double (*predict)(weft_inputs *inputs);  // in the unit of the case
  bool trial;                              // its error is printed, and no promise yet: it does not count as covered
} weft_predictor;

const weft_predictor *weft_predictor_find(const char *area, const char *subject, const char *quantity);  // or NULL
// Letters of the subject that name the family ("all-reduce" is one of "allreduce"), 0 where it is another: "reduce/2d"
// and "reduce_2d" are of "reduce".
size_t weft_family_length(const char *subject, const char *family);
// Whether some predictor has this area.
bool weft_predictor_has_area(const char *area, size_t length);
// Why there is none: "no prediction of this subject yet; the nearest is ...".
const char *weft_predictor_absent(weft_arena *arena, const char *area, const char *subject, const char *quantity);

double weft_predict_weight_streaming(weft_inputs *inputs);
// predict_fabric.c
double weft_predict_broadcast(weft_inputs *inputs);
double weft_predict_reduce(weft_inputs *inputs);
double weft_predict_all_reduce(weft_inputs *inputs);
double weft_predict_path(weft_inputs *inputs);
double weft_predict_relay(weft_inputs *inputs);
// predict_core.c
double weft_predict_vector(weft_inputs *inputs);
// predict_products.c
double weft_predict_gemv(weft_inputs *inputs);
double weft_predict_gemm(weft_inputs *inputs);

#ifdef __cplusplus
}
#endif
#endif
