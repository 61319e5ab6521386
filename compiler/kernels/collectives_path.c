// One stream along a path, and store and forward along a row.
#include "compiler/kernels/collectives_internal.h"

// Hops of leg `leg` (0 to turns).
static uint32_t leg_hops(uint32_t hops, uint32_t turns, uint32_t leg) {
  return hops / (turns + 1) + (leg < hops % (turns + 1));
}

weft_status weft_path_kernel(uint32_t hops, uint32_t turns, uint32_t words, weft_kernel **out_kernel) {
  if (hops <= turns)
    return weft_error(WEFT_INVALID, "%u hops with %u turns; more hops than turns are right", hops, turns);
  if (words == 0) return weft_error(WEFT_INVALID, "a path for 0 words; at least 1 is right");
  uint32_t far[2] = {0, 0};
  for (uint32_t leg = 0; leg <= turns; ++leg) far[leg % 2] += leg_hops(hops, turns, leg);
  weft_kernel *kernel = weft_kernel_create("path", far[0] + 1, far[1] + 1);
  uint32_t at[2] = {0, 0};
  weft_port from = WEFT_RAMP;
  for (uint32_t leg = 0; leg <= turns; ++leg) {
    for (uint32_t hop = leg_hops(hops, turns, leg); hop > 0; --hop) {
      (void)weft_kernel_route(kernel, weft_block_one(at[0], at[1]), 0, from, 1u << (leg % 2 ? WEFT_SOUTH : WEFT_EAST));
      ++at[leg % 2];
      from = leg % 2 ? WEFT_NORTH : WEFT_WEST;
    }
  }
  (void)weft_kernel_route(kernel, weft_block_one(at[0], at[1]), 0, from, 1u << WEFT_RAMP);
  for (uint32_t end = 0; end < 2; ++end) {
    uint32_t program = weft_kernel_program(kernel, end ? "takes" : "gives");
    weft_kernel_place(kernel, program, end ? weft_block_one(at[0], at[1]) : weft_block_one(0, 0));
    uint32_t data = weft_collective_begin(kernel, program, WEFT_F32, words);
    weft_operand all = weft_all(kernel, program, data);
    if (end)
      (void)weft_emit1(kernel, program, WEFT_DO_MOVE, words, all, weft_receive(0, WEFT_F32));
    else
      (void)weft_emit1(kernel, program, WEFT_DO_MOVE, words, weft_send(0, WEFT_F32), all);
  }
  *out_kernel = kernel;
  return NULL;
}

// Takes on the colour of the column before, gives on its own; both alternate.
static void emit_relay(weft_kernel *kernel, uint32_t x, uint32_t stages, uint32_t words) {
  uint32_t program = weft_kernel_program(kernel, x == 0 ? "first" : x == stages ? "last" : x % 2 ? "odd" : "even");
  weft_block block = weft_block_one(x, 0);
  if (x > 0 && x < stages) block = (weft_block){.x = x, .x_end = stages, .step_x = 2, .y = 0, .y_end = 1, .step_y = 1};
  weft_kernel_place(kernel, program, block);
  uint32_t data = weft_kernel_array(kernel, program, "data", WEFT_F32, words);
  weft_array *array = weft_kernel_array_at(kernel, program, data);
  array->input = x == 0;
  array->output = x == stages;
  weft_operand all = weft_all(kernel, program, data);
  if (x > 0) {
    (void)weft_kernel_task(kernel, program, "take", WEFT_AT_START);
    weft_instruction *take = weft_emit1(kernel, program, WEFT_DO_MOVE, words, all, weft_receive((x - 1) % 2, WEFT_F32));
    take->microthread = 0;
    if (x < stages) take->task = 1;
  }
  if (x < stages) {
    (void)weft_kernel_task(kernel, program, "give", x > 0 ? WEFT_BY_ACTIVATION : WEFT_AT_START);
    (void)weft_emit1(kernel, program, WEFT_DO_MOVE, words, weft_send(x % 2, WEFT_F32), all);
  }
}

weft_status weft_relay_kernel(uint32_t stages, uint32_t words, weft_kernel **out_kernel) {
  if (stages == 0 || words == 0)
    return weft_error(WEFT_INVALID, "a relay of %u words over %u stages; at least 1 each is right", words, stages);
  weft_kernel *kernel = weft_kernel_create("relay", stages + 1, 1);
  for (uint32_t x = 0; x <= stages; ++x) {
    if (x < stages) (void)weft_kernel_route(kernel, weft_block_one(x, 0), x % 2, WEFT_RAMP, 1u << WEFT_EAST);
    if (x > 0) (void)weft_kernel_route(kernel, weft_block_one(x, 0), (x - 1) % 2, WEFT_WEST, 1u << WEFT_RAMP);
  }
  // The programs of columns 1 and 2 take over all odd and even columns between the ends.
  for (uint32_t x = 0; x <= stages; ++x)
    if (x < 3 || x == stages) emit_relay(kernel, x, stages, words);
  *out_kernel = kernel;
  return NULL;
}
