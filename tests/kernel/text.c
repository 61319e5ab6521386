// The text form: what is printed reads back as the same kernel, the language means what docs/kernels.md says, and each
// mistake is named with its place.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernel/round.h"
#include "tests/kernel/sample.h"

static weft_kernel *parse(const char *text) {
  weft_kernel *k = NULL;
  weft_status status = weft_kernel_parse(text, "test", NULL, 0, &k);
  if (status) fail_msg("%s", weft_status_message(status));
  status = weft_kernel_check(k, 49152);
  if (status) fail_msg("%s", weft_status_message(status));
  return k;
}

static void the_sample_goes_round(void **state) {
  (void)state;
  weft_kernel *k = sample_kernel();
  assert_goes_round(k);
  assert_null(weft_kernel_check(k, 0));
  assert_goes_round(k);
  weft_kernel_destroy(k);
}

#define HEAD                                                                                                     \
  "kernel test\nmesh 4 by 2\nroute c1 at 0..2, all: ramp -> east\nroute c1 at 1..3, all: west -> ramp\n"         \
  "program every at all\n  f32 a[16]\n  f32 b[4, 4]\n  i32 k[4]\n  i32 n = 2\n  f32 s\n  f16 h[8]\n  task t on " \
  "start\n"

// A statement, and how the same is printed.
static const char *const readings[][2] = {
    {"a = 0", "a = 0.0"},
    {"a[3] = 1", "a[3] = 1.0"},
    {"a[2:6] = 2 * 3 + s", "a[2:6] = 6.0 + s"},
    {"a[0:16:4] = a[1:17:4] * s + a[15:-1:-4]", "a[0; 4 by 4] = a[1; 4 by 4] * s + a[15; 4 by -4]"},
    {"a += 1", "a = a + 1.0"},
    {"a += s * a", "a = s * a + a"},
    {"a = s + a * 2", "a = a * 2.0 + s"},
    {"s += dot(a[0:4], a[4 : +4])", "s += dot(a[0:4], a[4:8])"},
    {"s = max(s, greatest(a))", "s = max(s, greatest(a))"},
    {"s = max(s, 2)", "s = max(s, 2.0)"},
    {"a[n * 2 + 1 : +3] = -a[n + n : +3]", "a[n * 2 + 1 : +3] = -a[n * 2 : +3]"},
    {"a[n:] = s for 3", "a[n : +3] = s"},
    {"a[1:] = s", "a[1:16] = s"},
    {"a[0:] = h for n", "a = h for n"},
    {"b[1, 0:4] = s", "b[4:8] = s"},
    {"b[1:3, 2] = s", "b[6; 2 by 4] = s"},
    {"b[1:3, 1:3] = b[0:2, 1:3]", "b[5; 2 by 4; 2 by 1] = b[1; 2 by 4; 2 by 1]"},
    {"b[1:3, 0:4] = s", "b[4:12] = s"},
    {"b[n, n] = s", "b[n * 5] = s"},
    {"b[n, 1] = s", "b[n * 4 + 1] = s"},
    {"a = abs(a - 1)", NULL},
    {"s = a[3] > 0", "s = a[3] > 0.0"},
    {"s = a[3] < 0", "s = 0.0 > a[3]"},
    {"n = bits(s)", "n = bits(s)"},
    {"n = s as i32 + 1", "n = s as i32 + 1"},
    {"n = n % 3", "n = n % 3"},
    {"n = 0xff & n << 2", NULL},
    {"n = 7 % 4 << 3 | 1", "n = 25"},
    {"n = clock()", "n = clock()"},
    {"s = sqrt(4.0) + pi * 0", "s = 2.0"},
    {"a[0:8] = h + 1", "a[0:8] = h + 1.0"},
    {"h = f32(2)", "h = 2.0"},
    {"s = i32(7)", "s = i32(7)"},
    {"send c1 <- a", "send c1 <- a"},
    {"send c1 <- 1", "send c1 <- 1.0"},
    {"send c1 <- n", "send c1 <- n"},
    {"send c1 i32 <- 1", "send c1 i32 <- 1"},
    {"send c1 packed <- h", "send c1 packed <- h"},
    {"send c1 advance <- a", "send c1 advance <- a"},
    {"send c1 f16 packed advance <- h", "send c1 packed advance <- h"},
    {"async 1 send c1 advance <- receive c1 for 5", "async 1 send c1 advance <- receive c1 for 5"},
    {"send c1 f32 <- h", "send c1 f32 <- h"},
    {"async 3 a = receive c1 then t", "async 3 a = receive c1 then t"},
    {"async 1 send c1 <- receive c1 for 5\n then t", "async 1 send c1 <- receive c1 for 5 then t"},
    {"wait 3", "wait 3"},
    {"switch c1 skip n", "switch c1 skip n"},
    {"switch c1 move 2", "switch c1 move 2"},
    {"stop", "stop"},
    {"each i in 0..2\n a[i] = i\n end", "a[0] = 0.0\n    a[1] = 1.0\n    a[2] = 2.0"},
    {"each i in 2:0:-1\n k[i] = i\n end", "k[2] = 2\n    k[1] = 1"},
    {"each i in 0:0\n nonsense here\n if\n end\n end\n stop", "stop"},
    {"when 1 < 2 and not 3 == 4\n stop\n otherwise\n wait 1\n end", "stop"},
    {"when 1 > 2 or 1.5 > 2\n stop\n otherwise\n wait 1\n end", "wait 1"},
    {"if s < 2\n stop\n end", "if s < 2.0\n      stop\n    end"},
    {"if n == 1\n stop\n else if n >= 2\n wait 1\n else\n wait 2\n end",
     "if n == 1\n      stop\n    else\n      if n >= 2\n        wait 1\n      else\n        wait 2\n      end\n    "
     "end"},
    {"loop n in 0:4\n k[n] = n\n end", "loop n in 0:4\n      k[n] = n\n    end"},
    {"map n in 4:0:-2\n k = k + n\n end", "map n in 4:0:-2\n      k = k + n\n    end"},
    {"while s < 3\n s += 1\n if n == 2\n break\n end\n end",
     "while s < 3.0\n      s = s + 1.0\n      if n == 2\n        break\n      end\n    end"},
    {"loop n in 0:4\n while n > 2\n break\n end\n break\n end",
     "loop n in 0:4\n      while n > 2\n        break\n      end\n      break\n    end"},
    {"send c1 f32 packed <- a", "send c1 <- a"},
    {"f32 sum[2]\n i32 max = 3\n sum[0] += sum(a)\n max = max(max, n)",
     "\"sum\"[0] += sum(a)\n    \"max\" = max(\"max\", n)"},
    {"define twice(v, by2)\n v = v + v\n a = v * by2\n end\n use twice(s, 3 + n % 1 * 0)", NULL},
    {"define twice(v, k2)\n v = v + v\n a = v * k2\n end\n use twice(s, 3 + 4)", "s = s + s\n    a = s * 7.0"},
    {"define d\n stop\n end\n define e(q)\n when q > 0\n use d\n otherwise\n wait 1\n end\n end\n use e(1)\n use e(0)",
     "stop\n    wait 1"},
    {"define part(v, r, i)\n v[r, 0:2] = \"{v}\"[i, 2:4]\n end\n each i in 0..0\n use part(b, 1, i + 2)\n end",
     "b[4:6] = b[10:12]"},
    {"each i in 3..3\n i32 \"m{i + 1}_{2 * i}\"\n \"m4_6\" = 1\n end", "m4_6 = 1"},
};

static void statements_mean_what_is_printed(void **state) {
  (void)state;
  for (size_t r = 0; r < sizeof readings / sizeof *readings; ++r) {
    char text[1024], want[512];
    snprintf(text, sizeof text, "%s    %s\n", HEAD, readings[r][0]);
    weft_kernel *k = NULL;
    weft_status status = weft_kernel_parse(text, "test", NULL, 0, &k);
    if (!readings[r][1]) {
      assert_non_null(status);
      weft_status_free(status);
      continue;
    }
    if (!status) status = weft_kernel_check(k, 49152);
    if (status) fail_msg("%s: %s", readings[r][0], weft_status_message(status));
    char *printed = printed_kernel(k);
    snprintf(want, sizeof want, "task t on start\n    %s\n", readings[r][1]);
    if (!strstr(printed, want)) fail_msg("%s: expected %s, found %s", readings[r][0], want, printed);
    free(printed);
    assert_goes_round(k);
    weft_kernel_destroy(k);
  }
}

// Lines behind HEAD, and what is said of them.
static const char *const mistakes[][2] = {
    {"    a = b + c", "test:13:13: \"c\" is unknown here; the nearest known name is \"a\""},
    {"    a = sqr(a)", "test:13:9: \"sqr\" is unknown here; the nearest known name is \"sqrt\""},
    {"    a = a * a * a", "a statement is one operation"},
    {"    a[0:3] = a[0:4]", "test:13:14: 4 elements here, 3 in line 13, column 5"},
    {"    a[0:n] = s", "the range's length is not a constant"},
    {"    a[5:2] = s", "ends 3 elements before"},
    {"    a[0,1] = s", "\"a\" has one dimension"},
    {"    a[x] = s", "x and y are known to registers only"},
    {"    a[n*n] = s", "expected a constant plus multiples"},
    {"    3 = a", "expected an array or a register"},
    {"    a a", "expected = or +=, found \"a\""},
    {"    a = a >= s", "cores have no instruction \">=\""},
    {"    a = a $ s", "test:13:11: \"$\" has no meaning here"},
    {"    a = 1 / 0", "divides by 0"},
    {"    a = 99999999999999999999", "is too large"},
    {"    n = 99999999999", "does not fit 32 bits"},
    {"    a = 8x1", "is not a number"},
    {"    \"a = 1", "does not end on its line"},
    {"    s = sum(a)", "\"sum\" continues from what is there: total += sum(...)"},
    {"    s = greatest(a)", "m = max(m, greatest(a))"},
    {"    b = max(s, greatest(a))", "taken into its own result"},
    {"    a = s for 3 then t", "`then` belongs to `async`"},
    {"    async 1 a = s then u", "test:13:24: program \"every\" has no task \"u\"; the nearest is \"t\""},
    {"    async 8 a = s", "a microthread is 8; expected 0 to 7"},
    {"    a[0:3] = s for n", "leave the end open"},
    {"    a = receive red", "\"red\" is unknown here"},
    {"    a = receive c24", "\"c24\" is unknown here; the nearest known name is \"c2\""},
    {"    a = receive 24", "is no colour; expected c0 to c23"},
    {"    loop s in 0:4", "expected \"end\" of the loop in line 13, found the end of the text"},
    {"    loop n in 0:4\n  task u\n", "a task inside a loop or if"},
    {"    if n = 3", "expected a comparison"},
    {"    end", "\"end\" ends nothing here"},
    {"    each i in 0..3\n stop", "expected \"end\""},
    {"    when n > 1\n end", "when needs constants"},
    {"    stop stop", "test:13:10: expected the end of the line, found \"stop\""},
    {"  f16 r", "a register holds i32 or f32"},
    {"  f32 loop[3]", "found the language's word \"loop\"; in quotes it is a name"},
    {"  f32 max[3]\n  task u\n  max[0] = max(max[1], mx)", "\"mx\" is unknown here; the nearest known name is \"max\""},
    {"  f32 z[0]", "a length is 0"},
    {"  f32 a_name_of_more_than_31_bytes_is_cut[2]", "a name has at most 31 bytes here"},
    {"  i32 q = x * y", "expected a constant plus multiples"},
    {"  task u on strat", "expected start, wavelet or control, found \"strat\""},
    {"route c0 at 0, 0: ramp -> eats",
     "expected a port (north, east, south, west, ramp), found \"eats\"; the nearest is \"east\""},
    {"route c0 at 0..4, 0: ramp -> east", "test:13:13: columns 0 to 4; the mesh has 0 to 3"},
    {"route c0 at 3..1, 0: ramp -> east", "columns 3 to 1; the mesh has 0 to 3"},
    {"channel c in at 0, 0 west on c0 word 3", "expected \"words\", found \"word\""},
    {"mesh 2 by 2", "the mesh has its size already"},
    {"require rows == 3", "test:13:9: requires rows == 3"},
    {"colour red = 24", "a colour is 24; expected 0 to 23"},
    {"    while n\n    end", "expected a comparison"},
    {"    while n > 0\n    stop", "expected \"end\" of the while in line 13"},
    {"    use sums(a)", "test:13:9: \"sums\" is not defined: define sums ... end comes first"},
    {"define one\nend\ndefine one\nend", "test:15:8: \"one\" is defined in line 13 already"},
    {"define one(a)\n stop\nend\n use on", "test:16:6: \"on\" is not defined; the nearest is \"one\""},
    {"define one(a)\n stop\nend\n use one", "test:16:6: \"one\" of line 13 takes 1, not 0"},
    {"define one(at)\n stop\nend", "\"at\" has a meaning in lines; choose another name"},
    {"define one(a)\n stop", "expected \"end\" of \"define\" in line 13"},
    {"define one(q)\n q = zz\nend\n use one(s)",
     "test:14:6: \"zz\" is unknown here; the nearest known name is \"a\" (used"},
    {"define one\n use one\nend\n use one", "nested deeper than 40"},
    {"define one(q)\n s = q\nend\n use one(s, )", "expected what is put in here"},
    {"define one(q)\n s = q\nend\n use one(s", "expected \")\", found the end of the"},
    {"type real = f64", "expected a type (f32, f16, bf16, i32), found \"f64\""},
    {"type real = f16\n\n  f32 a2[4] = real", "test:15:15: \"real\" is a type, of line 13"},
    {"type real = f16\ntype real = f32", "\"real\" is already known"},
    {"route c2 at all where x > y: north -> south; then west -> east inside",
     "nothing of position 1 is inside the mesh; give these routers a route of their own"},
    {"route c2 at all where x / 2.0: ramp -> east inside", "where needs a condition of constants, x and y"},
    {"program p at all where x = 0\n", "expected the end of the line, found \"=\""},
    {"    s = \"a{1 +}\"", "{1 +} in a name: expected a constant that is a whole number"},
    {"program p at 0, 0\n  tsk t",
     "test:14:3: \"tsk\" does not begin a line of a program before its first task; the nearest word "
     "that does is \"task\""},
};

static void mistakes_are_named_with_their_place(void **state) {
  (void)state;
  for (size_t m = 0; m < sizeof mistakes / sizeof *mistakes; ++m) {
    char text[1024];
    snprintf(text, sizeof text, "%s%s\n", HEAD, mistakes[m][0]);
    weft_kernel *k = NULL;
    weft_status status = weft_kernel_parse(text, "test", NULL, 0, &k);
    if (!status || weft_status_code(status) != WEFT_INVALID || strncmp(weft_status_message(status), "test:", 5) != 0 ||
        !strstr(weft_status_message(status), mistakes[m][1]))
      fail_msg("%s: expected \"%s\", found \"%s\"", mistakes[m][0], mistakes[m][1], weft_status_message(status));
    assert_null(k);
    weft_status_free(status);
  }
}

static const char with_parameters[] =
    "kernel p\nparameter cores = 4\nparameter words = 2 * cores\nparameter eps = 0.5\nrequire cores >= 2 and cores < "
    "9\n"
    "mesh cores by 1\ncolour red = 5\neach i in 0..cores - 2\n  route (red + i % 2) at i, 0 : ramp -> east\nend\n"
    "program first at 0, 0\n  f32 a[words] = eps\n  task \"t{words}\" on start\n    a = a\n"
    "program middle at 1..cores - 2, 0\n  task t on start\n";

static void settings_change_parameters(void **state) {
  (void)state;
  const char *const none[] = {"cores=2", "eps = 1.5"};
  (void)none;
  const char *const settings[] = {"cores=2", "eps=1"};
  weft_kernel *k;
  assert_null(weft_kernel_parse(with_parameters, "test", NULL, 0, &k));
  assert_int_equal(k->columns, 4);
  assert_int_equal(k->route_count, 3);
  assert_int_equal(k->routes[1].colour, 6);
  assert_int_equal(k->program_count, 2);
  assert_int_equal(k->programs[0].arrays[0].length, 8);
  assert_true(k->programs[0].arrays[0].fill == 0.5f);
  assert_string_equal(k->programs[0].tasks[0].name, "t8");
  weft_kernel_destroy(k);
  assert_null(weft_kernel_parse(with_parameters, "test", settings, 2, &k));
  assert_int_equal(k->columns, 2);
  assert_int_equal(k->program_count, 1);  // the middle is empty
  assert_true(k->programs[0].arrays[0].fill == 1.0f);
  weft_kernel_destroy(k);
}

static const char *const bad_settings[][2] = {
    {"core=2", "setting core=2: test has no parameter \"core\"; the nearest is \"cores\""},
    {"cores", "setting \"cores\": expected name=value"},
    {"cores=", "setting cores:1:1: expected a number, a name or an expression"},
    {"cores=2.5", "expected a whole number, as in line 2"},
    {"cores=2 3", "setting cores:1:3: expected the end of the line"},
    {"cores=1", "test:5:9: requires cores >= 2 and cores < 9 (cores = 1, words = 2, eps = 0.5)"},
};

static void settings_are_judged(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof bad_settings / sizeof *bad_settings; ++s) {
    weft_kernel *k = NULL;
    weft_status status = weft_kernel_parse(with_parameters, "test", &bad_settings[s][0], 1, &k);
    if (!status || !strstr(weft_status_message(status), bad_settings[s][1]))
      fail_msg("%s: expected \"%s\", found \"%s\"", bad_settings[s][0], bad_settings[s][1],
               weft_status_message(status));
    weft_status_free(status);
  }
  const char *const twice[] = {"cores=2", "cores=3"};
  weft_kernel *k = NULL;
  weft_status status = weft_kernel_parse(with_parameters, "test", twice, 2, &k);
  assert_non_null(strstr(weft_status_message(status), "set twice"));
  weft_status_free(status);
}

// Who has the colour, row by row: a letter per target, small for ports and R for the ramp; '.' for no route.
static void draw(const weft_kernel *k, uint32_t colour, char *out) {
  static const char letters[] = "neswR";
  for (uint32_t y = 0; y < k->rows; ++y) {
    for (uint32_t x = 0; x < k->columns; ++x) {
      const weft_route *found = NULL;
      for (uint32_t r = 0; r < k->route_count; ++r) {
        const weft_block *b = &k->routes[r].block;
        bool in = k->routes[r].colour == colour && x >= b->x && x < b->x_end && (x - b->x) % b->step_x == 0 &&
                  y >= b->y && y < b->y_end && (y - b->y) % b->step_y == 0;
        if (in && found) fail_msg("two routes at (%u, %u)", x, y);
        if (in) found = &k->routes[r];
      }
      for (uint32_t p = 0; p < WEFT_PORTS; ++p)
        if (found && found->positions[0].to & 1u << p) *out++ = letters[p];
      *out++ = found ? ' ' : '.';
      if (!found) *out++ = ' ';
    }
    out[-1] = '\n';
  }
  *out = 0;
}

static void conditions_choose_cores(void **state) {
  (void)state;
  static const char *const drawn[][2] = {
      {"where (x + 2 * y) % 5 == 1 : ramp -> north east south west inside", ". esw . . .\n. . . . nsw\n. . new . .\n"},
      {"where x == y or x + y == 4 : ramp -> north inside", ". . . . .\n. n . n .\n. . n . .\n"},
      {"where x > 0 and not y == 1 : west -> ramp east inside", ". eR eR eR R\n. . . . .\n. eR eR eR R\n"},
      {"where 1 : west -> east ramp inside", ". eR eR eR R\n. eR eR eR R\n. eR eR eR R\n"},
      {"where (x * x + y) % 3 == 2 and x < 7 : north -> south inside", ". . . . .\n. s s . s\n. . . . .\n"},
      {"where 0 : ramp -> east", ". . . . .\n. . . . .\n. . . . .\n"},
      {"and 0, 0 where x + y < 1 : ramp -> east south", NULL},
  };
  for (size_t d = 0; d < sizeof drawn / sizeof *drawn && drawn[d][1]; ++d) {
    char text[256], picture[256];
    snprintf(text, sizeof text, "kernel k\nmesh 5 by 3\nroute c3 at all %s\n", drawn[d][0]);
    weft_kernel *k = parse(text);
    draw(k, 3, picture);
    if (strcmp(picture, drawn[d][1]) != 0) fail_msg("%s:\n%s", drawn[d][0], picture);
    weft_kernel_destroy(k);
  }
  weft_kernel *k = parse("kernel k\nmesh 1 by 4\nroute c0 at all : ramp -> north east south west inside\n");
  char picture[64];
  draw(k, 0, picture);
  assert_string_equal(picture, "s\nns\nns\nn\n");
  weft_kernel_destroy(k);
  k = parse("kernel k\nmesh 64 by 50\nprogram a at all where (x + 2 * y) % 5 == 3\n i32 i\n task t on start\n i = 1\n");
  assert_int_equal(k->programs[0].block_count, 5);  // not one per core
  weft_kernel_destroy(k);
  k = parse("kernel k\nmesh 65536 by 65536\nroute c0 at all where y % 3 == 1 : west -> east inside\n");
  assert_int_equal(k->route_count, 1);  // all rows but the edges' alike, and asked once per row
  weft_kernel_destroy(k);
  weft_status status = weft_kernel_parse("kernel k\nmesh 65536 by 65536\nroute c0 at all where x < y : ramp -> east\n",
                                         "test", NULL, 0, &k);
  assert_string_equal(weft_status_message(status),
                      "test:3:25: 4294967296 cores are too many for a condition; at most 4194304");
  weft_status_free(status);
}

static void types_have_names(void **state) {
  (void)state;
  static const char text[] =
      "kernel k\ntype real = f32\nmesh 2 by 1\nroute c0 at 0, 0 : ramp -> east\nroute c0 at 1, 0 : west -> ramp\n"
      "program \"of_{real}\" at 0, 0\n real a[8]\n task t on start\n send c0 real packed <- a\n"
      "program q at 1, 0\n input real b[8]\n task t on start\n b = receive c0 packed\n";
  const char *const settings[] = {"real=bf16"}, *const wrong[] = {"real=f64"};
  weft_kernel *k;
  assert_null(weft_kernel_parse(text, "test", NULL, 0, &k));
  assert_string_equal(k->programs[0].name, "of_f32");
  assert_false(k->programs[0].code[0].to.packed);
  weft_kernel_destroy(k);
  assert_null(weft_kernel_parse(text, "test", settings, 1, &k));
  assert_null(weft_kernel_check(k, 0));
  assert_string_equal(k->programs[0].name, "of_bf16");
  assert_int_equal(k->programs[1].arrays[0].dtype, WEFT_BF16);
  assert_true(k->programs[0].code[0].to.packed && k->programs[1].code[0].a.packed);
  assert_int_equal(k->programs[1].code[0].a.dtype, WEFT_BF16);
  weft_kernel_destroy(k);
  weft_status status = weft_kernel_parse(text, "test", wrong, 1, &k);
  assert_string_equal(weft_status_message(status),
                      "test: setting real: expected a type (f32, f16, bf16, i32), found \"f64\"");
  weft_status_free(status);
}

static void routes_channels_and_names(void **state) {
  (void)state;
  weft_kernel *k = parse(
      "kernel \"a kernel {{ with\"\nmesh 3 by 3\n"
      "# a comment\n"
      "route c4 at 0, 0 and 2, 0 : west -> ramp; then ramp -> east\n  then north -> south, ramp; then again\n"
      "route c4 at 0, 0 : west -> ramp east\nroute c4 at 2, 0 : west -> ramp\n"
      "channel \"in\" in at 0, 0 west on c4 words 10\n"
      "program \"task\" at 0, 0 and 1..2 step 2, 2\n  output i32 \"x y\"[3]\n  i32 \"sum\" = 2 - x * 3 + 2 * y\n"
      "  f32 \"nan\" = nan(0xffc00001)\n  i32 y = x - y\n"
      "  task \"loop\" on wavelet c4 into \"sum\" blocked\n    \"x y\" = \"sum\"\n    activate \"loop\"\n");
  assert_string_equal(k->name, "a kernel { with");
  assert_int_equal(k->routes[1].position_count, 3);
  assert_true(k->routes[1].ring);
  assert_int_equal(k->routes[0].positions[2].to, 1u << WEFT_SOUTH | 1u << WEFT_RAMP);
  assert_int_equal(k->programs[0].registers[0].per_x, -3);
  assert_int_equal(k->programs[0].registers[1].bits, 0xffc00001);
  assert_goes_round(k);
  weft_kernel_destroy(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_sample_goes_round),
      cmocka_unit_test(statements_mean_what_is_printed),
      cmocka_unit_test(mistakes_are_named_with_their_place),
      cmocka_unit_test(settings_change_parameters),
      cmocka_unit_test(settings_are_judged),
      cmocka_unit_test(conditions_choose_cores),
      cmocka_unit_test(types_have_names),
      cmocka_unit_test(routes_channels_and_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
