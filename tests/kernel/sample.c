#include "tests/kernel/sample.h"

static const weft_operand nothing = {.kind = WEFT_ABSENT, .offset_register = WEFT_NOTHING};

static void add_control(weft_kernel *k, uint32_t p) {
  weft_begin_loop(k, p, TURN, weft_i32(0), weft_i32(4), 1);
  weft_operand turned = weft_moved(weft_view_of(k, p, SUMS, 0, 1), TURN, 8);
  weft_emit2(k, p, WEFT_DO_ADD, 8, turned, turned, weft_value(k, p, SCALE));
  weft_end(k, p);
  weft_begin_loop(k, p, TURN, weft_value(k, p, RANK), weft_i32(-1), -1)->form = WEFT_MAP_LOOP;
  weft_emit1(k, p, WEFT_DO_EXP, 4, weft_view_of(k, p, HALVES, 1, 2), weft_view_of(k, p, HALVES, 0, 2));
  weft_end(k, p);
  weft_begin_if(k, p, weft_value(k, p, RANK), WEFT_LESS, weft_i32(3));
  weft_activate(k, p, DONE);
  weft_begin_else(k, p);
  weft_emit(k, p, WEFT_DO_UNBLOCK, 1, nothing, nothing, nothing, nothing)->task = GOT;
  weft_end(k, p);
  weft_emit(k, p, WEFT_DO_WAIT, 1, nothing, nothing, nothing, nothing)->microthread = 2;
  weft_emit2(k, p, WEFT_DO_SWITCH, 1, weft_send(BLUE, WEFT_F32), weft_i32(1), weft_i32(2));
  weft_emit(k, p, WEFT_DO_CLOCK, 1, weft_value(k, p, TURN), nothing, nothing, nothing);
}

static void add_sender(weft_kernel *k) {
  uint32_t p = weft_kernel_program(k, "sender");
  weft_kernel_place(k, p, weft_block_of(0, 7, 0, 2));
  weft_kernel_array(k, p, "sums", WEFT_F32, 32);
  weft_kernel_array(k, p, "halves", WEFT_F16, 10);
  weft_array *whole = weft_kernel_array_at(k, p, weft_kernel_array(k, p, "whole", WEFT_I32, 4));
  whole->skew = 8;
  whole->input = whole->output = true;
  weft_kernel_integer(k, p, "rank", -1, 1, 8);
  weft_kernel_integer(k, p, "turn", 0, 0, 0);
  weft_kernel_real(k, p, "scale", 0.1f);
  weft_kernel_integer(k, p, "word", 0, 0, 0);
  weft_kernel_task(k, p, "main", WEFT_AT_START);
  weft_instruction *i =
      weft_emit2(k, p, WEFT_DO_ADD, 32, weft_send(RED, WEFT_F32), weft_all(k, p, SUMS), weft_f32(-0.0f));
  i->microthread = 2;
  i->task = DONE;
  add_control(k, p);
  weft_kernel_task(k, p, "done", WEFT_BY_ACTIVATION);
  weft_emit2(k, p, WEFT_DO_DOT, 8, weft_value(k, p, SCALE), weft_folded(weft_view_of(k, p, SUMS, 0, 1), 2, 8),
             weft_view_of(k, p, SUMS, 31, -2));
  weft_emit(k, p, WEFT_DO_FMA, 10, weft_all(k, p, HALVES), weft_all(k, p, HALVES), weft_value(k, p, SCALE),
            weft_f32(1e-30f));
  weft_emit1(k, p, WEFT_DO_MOVE, 1, weft_view_of(k, p, SUMS, 3, 1), weft_receive(BLUE, WEFT_I32))->count_register =
      RANK;
  weft_emit1(k, p, WEFT_DO_MOVE, 10, weft_packed(weft_send(RED, WEFT_F16)), weft_all(k, p, HALVES));
  uint32_t got = weft_kernel_task(k, p, "got", WEFT_BY_WAVELET);
  weft_task *task = weft_kernel_task_at(k, p, got);
  task->colour = BLUE;
  task->data = WORD;
  task->blocked = true;
  weft_emit2(k, p, WEFT_DO_SHIFT_LEFT, 4, weft_all(k, p, WHOLE), weft_all(k, p, WHOLE), weft_value(k, p, WORD));
  weft_kernel_task_at(k, p, weft_kernel_task(k, p, "flip", WEFT_BY_CONTROL))->colour = BLUE;
  weft_emit(k, p, WEFT_DO_STOP, 1, nothing, nothing, nothing, nothing);
}

weft_kernel *sample_kernel(void) {
  weft_kernel *k = weft_kernel_create("sample", 8, 2);
  weft_kernel_route(k, weft_block_of(0, 7, 0, 2), RED, WEFT_RAMP, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_of(1, 7, 0, 2), RED, WEFT_WEST, 1u << WEFT_EAST | 1u << WEFT_RAMP);
  weft_route *blue = weft_kernel_route(k, weft_block_all(k), BLUE, WEFT_NORTH, 1u << WEFT_SOUTH);
  *blue = (weft_route){.block = weft_block_all(k), .colour = BLUE, .ring = true};
  blue->block.step_x = 2;
  weft_route_then(blue, WEFT_RAMP, 1u << WEFT_EAST);
  weft_kernel_route(k, (weft_block){1, 8, 2, 0, 2, 1}, BLUE, WEFT_WEST, 1u << WEFT_RAMP);
  weft_kernel_route(k, weft_block_of(7, 8, 0, 2), RED, WEFT_WEST, 1u << WEFT_RAMP);
  weft_kernel_route(k, weft_block_one(0, 0), RED, WEFT_WEST, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_one(7, 0), RED, WEFT_WEST, 1u << WEFT_EAST | 1u << WEFT_RAMP);
  weft_kernel_channel(k, (weft_channel){"feed", true, 0, 0, WEFT_WEST, RED, 100, 1.5});
  weft_kernel_channel(k, (weft_channel){"drain", false, 7, 0, WEFT_EAST, RED, 100, 2});
  add_sender(k);
  uint32_t p = weft_kernel_program(k, "idle");
  weft_kernel_place(k, p, weft_block_of(7, 8, 0, 1));
  weft_kernel_place(k, p, weft_block_one(7, 1));
  return k;
}
