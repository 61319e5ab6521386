// For the files that predict: the inputs of one case, and the table of predictors.
#ifndef WEFT_PLAN_PREDICTORS_H
#define WEFT_PLAN_PREDICTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"
#include "models/network.h"

#ifdef __cplusplus
extern "C" {
#endif

// The first failure is kept; asking for a key marks it as known.
typedef struct weft_inputs {
  weft_arena *arena;  // for reasons
  struct weft_input {
    const char *key, *value;
    bool asked;
  } pairs[32];
  uint32_t count;
  const char *missing;   // why there is no prediction: an input not published, a network not in the zoo
  weft_status error;     // a malformed input
  const char *subject;   // of the case
  const char *evidence;  // likewise: how the expected value came about ("hardware", "published-model" ...)
} weft_inputs;

bool weft_input_has(const weft_inputs *inputs, const char *key);  // for inputs that need not be there

const char *weft_input_text(weft_inputs *inputs, const char *key);  // NULL where missing or after a failure
// `low` where missing or after a failure, so that arithmetic goes on.
double weft_input_number(weft_inputs *inputs, const char *key, double low, double high);
void weft_input_known(weft_inputs *inputs, const char *key);  // may be there, and is not used
// "512x256" of the input "mesh": columns and rows, 1 to 4096 each; untouched after a failure.
void weft_input_mesh(weft_inputs *inputs, uint32_t *out_columns, uint32_t *out_rows);
// Takes the status of a prediction that failed and keeps the first one: a wrong input (WEFT_INVALID) is an error,
// anything else, such as a kernel that does not fit the machine, leaves the case uncovered with the reason. Returns 0.
double weft_input_give_up(weft_inputs *inputs, weft_status status);
// The input "network". A network that is not in the zoo leaves the case uncovered: other tables have networks that Weft
// does not know yet.
bool weft_input_network(weft_inputs *inputs, weft_network *out_network);

typedef struct weft_predictor {
  const char *area, *subject, *quantity;
  double (*predict)(weft_inputs *inputs);  // in the unit of the cases
  bool trial;                              // its error is printed, and no promise yet: it does not count as covered
} weft_predictor;

const weft_predictor *weft_predictor_find(const char *area, const char *subject, const char *quantity);  // or NULL

double weft_predict_weight_streaming(weft_inputs *inputs);
// predict_fabric.c: cycles
double weft_predict_broadcast(weft_inputs *inputs);
double weft_predict_reduce(weft_inputs *inputs);
double weft_predict_all_reduce(weft_inputs *inputs);
double weft_predict_path(weft_inputs *inputs);
double weft_predict_relay(weft_inputs *inputs);
// predict_products.c: cycles
double weft_predict_gemv_core(weft_inputs *inputs);
double weft_predict_gemv_mesh(weft_inputs *inputs);
double weft_predict_summa(weft_inputs *inputs);
double weft_predict_cannon(weft_inputs *inputs);
double weft_predict_shift(weft_inputs *inputs);

#ifdef __cplusplus
}
#endif
#endif
