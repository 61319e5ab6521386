// What weft_kernel_check says: nothing of a sound kernel, and the mistake in place and value of each spoilt one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernel/sample.h"

static void sound_kernels_are_placed_and_frozen(void **state) {
  (void)state;
  weft_kernel *k = sample_kernel();
  assert_null(weft_kernel_check(k, 49152));
  assert_true(k->checked);
  const weft_program *p = &k->programs[0];
  assert_int_equal(p->arrays[SUMS].address, 0);
  assert_int_equal(p->arrays[HALVES].address, 128);
  assert_int_equal(p->arrays[WHOLE].address, 160 + 8);  // after 148, aligned, skewed
  assert_int_equal(p->sram_bytes, 168 + 16);
  const weft_instruction *c = p->code;
  assert_int_equal(c[1].kind, WEFT_DO_LOOP);
  assert_int_equal(c[1].target, 3);
  assert_int_equal(c[3].target, 1);
  assert_int_equal(c[7].kind, WEFT_DO_IF);
  assert_int_equal(c[7].target, 9);
  assert_int_equal(c[9].target, 11);
  assert_int_equal(c[11].target, WEFT_NOTHING);
  assert_null(weft_kernel_check(k, 49152));  // again: the same
  assert_int_equal(p->arrays[WHOLE].address, 168);
  weft_kernel_destroy(k);
}

static void arrays_go_around_those_with_an_address(void **state) {
  (void)state;
  weft_kernel *k = sample_kernel();
  k->programs[0].arrays[HALVES].address = 48;
  assert_null(weft_kernel_check(k, 49152));
  assert_int_equal(k->programs[0].arrays[SUMS].address, 80);
  assert_int_equal(k->programs[0].arrays[WHOLE].address, 208 + 8);
  weft_kernel_destroy(k);
}

// Instructions of the sample by what they do; `code` is its first program's.
enum { SEND, LOOP, SHIFTED, IF = 7, ACTIVATE, ELSE, WAIT = 12, SWITCH, CLOCK, DOT, FMA, RECEIVE, PACKED, SHIFT };

typedef struct spoiling {
  void (*spoil)(weft_kernel *k, weft_program *p, weft_instruction *code);
  const char *message;
} spoiling;

#define SPOIL(name, ...)                                                      \
  static void name(weft_kernel *k, weft_program *p, weft_instruction *code) { \
    (void)k, (void)p, (void)code;                                             \
    __VA_ARGS__;                                                              \
  }
SPOIL(mesh, k->columns = 0)
SPOIL(block, k->routes[0].block.x_end = 9)
SPOIL(step, k->routes[0].block.step_y = 0)
SPOIL(colour, k->routes[0].colour = 24)
SPOIL(positions, k->routes[0].position_count = 5)
SPOIL(back, k->routes[1].positions[0].to |= 1u << WEFT_WEST)
SPOIL(edge, k->channel_count = 1)
SPOIL(edge_in, k->channels[0].colour = BLUE)
SPOIL(edge_hidden, k->routes[0].block.x_end = 8, k->routes[0].positions[0].to = 1u << WEFT_SOUTH)
SPOIL(wire, weft_kernel_channel(k, (weft_channel){"inner", false, 3, 0, WEFT_EAST, RED, 1, 1}))
SPOIL(wire_speed, k->channels[1].cycles_per_word = 0.5)
SPOIL(wire_name, memcpy(k->channels[1].name, "feed", 5))
SPOIL(placed, p->block_count = 0)
SPOIL(twice, memcpy(p->arrays[HALVES].name, "sums", 5))
SPOIL(both, memcpy(p->registers[RANK].name, "sums", 5))
SPOIL(quote, p->tasks[MAIN].name[1] = '"')
SPOIL(type, p->arrays[SUMS].dtype = WEFT_F64)
SPOIL(skew, p->arrays[WHOLE].skew = 2)
SPOIL(large, p->arrays[SUMS].length = 1 << 14)
SPOIL(never, p->task_count = 2, p->tasks[MAIN].trigger = WEFT_BY_ACTIVATION, p->code_count = PACKED + 1)
SPOIL(data, p->tasks[GOT].data = 4)
SPOIL(same_colour, p->tasks[GOT].trigger = WEFT_BY_CONTROL)
SPOIL(view, code[SEND].count = 33)
SPOIL(view_back, code[DOT].b.offset = 13)
SPOIL(view_fold, code[DOT].a.outer_stride = 11)
SPOIL(view_moved, code[SHIFTED].count = 33)
SPOIL(view_type, code[SEND].a.dtype = WEFT_F16)
SPOIL(which_array, code[SEND].a.array = 3)
SPOIL(which_register, code[SHIFTED].b.index = 4)
SPOIL(offset_register, code[SHIFTED].to.offset_register = SCALE)
SPOIL(mixed, code[SHIFT].b = weft_f32(1))
SPOIL(whole, code[FMA].kind = WEFT_DO_XOR, code[FMA].c.kind = WEFT_ABSENT)
SPOIL(real, code[SHIFT].kind = WEFT_DO_DIVIDE, code[SHIFT].kind = WEFT_DO_SQRT, code[SHIFT].b.kind = WEFT_ABSENT)
SPOIL(missing, code[FMA].c.kind = WEFT_ABSENT)
SPOIL(too_many, code[RECEIVE].b = weft_f32(1))
SPOIL(two_receives, code[FMA].b = code[FMA].c = weft_receive(RED, WEFT_F32))
SPOIL(reduce_sends, code[DOT].to = weft_send(RED, WEFT_F32))
SPOIL(full_wavelet, code[PACKED].to.dtype = WEFT_F32)
SPOIL(receive_advances, code[RECEIVE].a.advance = true)
SPOIL(control_advances, code[SWITCH].to.advance = true)
SPOIL(microthread, code[SEND].microthread = 8)
SPOIL(completion, code[SEND].microthread = WEFT_NOTHING)
SPOIL(task, code[ACTIVATE].task = 4)
SPOIL(counter, code[LOOP].to.index = SCALE, code[LOOP].to.dtype = WEFT_F32)
SPOIL(still, code[LOOP].c.bits = 0)
SPOIL(map_body, code[LOOP + 3].target = 0, code[LOOP].form = WEFT_MAP_LOOP, code[SHIFTED].kind = WEFT_DO_STOP)
SPOIL(open, code[WAIT - 1].kind = WEFT_DO_STOP)
SPOIL(closed, code[LOOP].kind = WEFT_DO_STOP)
SPOIL(second_else, code[ACTIVATE].kind = WEFT_DO_ELSE)
SPOIL(breaks, code[WAIT].kind = WEFT_DO_BREAK)
SPOIL(asks, code[IF].kind = WEFT_DO_WHILE, code[IF + 2].kind = WEFT_DO_STOP, code[IF].b = weft_f32(3))
SPOIL(else_of_while, code[IF].kind = WEFT_DO_WHILE)
SPOIL(compares, code[IF].b = weft_f32(3))
SPOIL(waits, code[WAIT].microthread = 9)
SPOIL(switches, code[SWITCH].b = weft_i32(0))
SPOIL(clock_to, code[CLOCK].to = code[SEND].to)
SPOIL(line, code[CLOCK].to = code[SEND].to, code[CLOCK].line = 17)
SPOIL(unrouted, code[SEND].to.index = 5)
SPOIL(unheard, p->tasks[FLIP].colour = 7)

static const spoiling spoilings[] = {
    {mesh, "a mesh of 0 x 2"},
    {block, "route 0, of colour 0: covers columns 0 to 9 (not included); expected some of 0 to 8"},
    {step, "covers rows in steps of 0"},
    {colour, "colour 24; there are 24"},
    {positions, "5 switch positions; 1 to 4"},
    {back, "sends wavelets back to where they come from, west"},
    {edge, "to east at router (7, 0) is off the mesh of 8 x 2, and no channel is there"},
    {edge_in, "from west at router (0, 0) is off the mesh"},
    {edge_hidden, "to south at router (0, 1) is off the mesh"},
    {wire, "channel 2, \"inner\": port east of router (3, 0) does not lead off the mesh"},
    {wire_speed, "0.5 cycles per word"},
    {wire_name, "another channel has the same name"},
    {placed, "program \"sender\": is placed on no core"},
    {twice, "two arrays are called \"sums\""},
    {both, "an array and a register are called \"sums\""},
    {quote, "name of a task has byte 0x22"},
    {type, "array \"sums\" is of type f64"},
    {skew, "array \"whole\": address or skew is not a multiple of its elements' 4 bytes"},
    {large, "a core has 49152; the largest is \"sums\" with 16384 elements of f32"},
    {never, "none would ever run"},
    {data, "task \"got\": a wavelet's bits go into a register; 4 is none of 4"},
    {same_colour, "tasks \"got\" and \"flip\" both run on colour 3"},
    {view, "instruction 1 of 15, add: a: the view reaches element 32 of \"sums\", which has 32 (0 to 31)"},
    {view_back, "b: the view reaches element -1"},
    {view_fold, "a: the view reaches element 34"},
    {view_moved, "a view over 33 elements does not fit \"sums\", which has 32"},
    {view_type, "array \"sums\" is f32, not f16"},
    {which_array, "array 3; the program has 3 arrays"},
    {which_register, "register 4; the program has 4 registers"},
    {offset_register, "offset register \"scale\" is f32"},
    {mixed, "b is f32 where the result is i32; only a move converts"},
    {whole, "the result is i32, not f16"},
    {real, "the result is floating (f32, f16, bf16), not i32"},
    {missing, "fma: c: expected a view, a register, a constant or to receive"},
    {too_many, "b: takes 1 operand"},
    {two_receives, "receives colour 0 twice"},
    {reduce_sends, "to: expected a view or a register"},
    {full_wavelet, "f32 fills a wavelet"},
    {receive_advances, "a receive moves no switch"},
    {control_advances, "only vector operations advance"},
    {microthread, "microthread 8; there are 8 (0 to 7)"},
    {completion, "a task to activate at the end needs a microthread"},
    {task, "task 4; the program has 4"},
    {counter, "the counter is an i32 register"},
    {still, "the step is an i32 constant other than 0"},
    {map_body, "a map's body is one vector instruction"},
    {open, "else: has no end"},
    {closed, "end: no loop or if is open here"},
    {second_else, "else: no if is open here"},
    {breaks, "no loop or while is open here to break"},
    {asks, "compares i32 with f32"},
    {else_of_while, "no if is open here"},
    {compares, "compares i32 with f32"},
    {waits, "microthread 9"},
    {switches, "moves 0 switches; expected 1 or more"},
    {clock_to, "clock: to: expected an i32 register"},
    {line, "line 17: program \"sender\", task \"main\", clock: to"},
    {unrouted, "sends colour 5, but at none of its cores does a route of that colour come from the ramp"},
    {unheard, "receives colour 7, but at none of its cores does a route of that colour lead to the ramp"},
};

static void mistakes_are_found_and_named(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof spoilings / sizeof *spoilings; ++s) {
    weft_kernel *k = sample_kernel();
    spoilings[s].spoil(k, &k->programs[0], k->programs[0].code);
    weft_status status = weft_kernel_check(k, 49152);
    if (!status || !strstr(weft_status_message(status), spoilings[s].message))
      fail_msg("%zu: expected \"%s\", found \"%s\"", s, spoilings[s].message, weft_status_message(status));
    assert_false(k->checked);
    weft_status_free(status);
    weft_kernel_destroy(k);
  }
}

static void what_does_not_fit_is_infeasible(void **state) {
  (void)state;
  weft_kernel *k = sample_kernel();
  weft_status status = weft_kernel_check(k, 183);
  assert_int_equal(weft_status_code(status), WEFT_INFEASIBLE);
  weft_status_free(status);
  assert_null(weft_kernel_check(k, 184));
  weft_kernel_destroy(k);
}

static void every_instruction_has_a_name(void **state) {
  (void)state;
  for (int i = 0; i < WEFT_INSTRUCTION_KINDS; ++i) {
    assert_string_not_equal(weft_instruction_name((weft_instruction_kind)i), "?");
    for (int j = 0; j < i; ++j)
      assert_string_not_equal(weft_instruction_name((weft_instruction_kind)i),
                              weft_instruction_name((weft_instruction_kind)j));
  }
  assert_string_equal(weft_port_name(WEFT_RAMP), "ramp");
  assert_string_equal(weft_port_name((weft_port)9), "?");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sound_kernels_are_placed_and_frozen), cmocka_unit_test(arrays_go_around_those_with_an_address),
      cmocka_unit_test(mistakes_are_found_and_named),        cmocka_unit_test(what_does_not_fit_is_infeasible),
      cmocka_unit_test(every_instruction_has_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
