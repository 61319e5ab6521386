// Validation: the table that Weft brings along, tables made here, and tables that are wrong.
#include "plan/validate.h"

#include <jansson.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/models/test.h"

static void own_table(void **state) {
  (void)state;
  char *path;
  assert_ok(weft_data_path("plan/cases.csv", &path));
  weft_validation v;
  assert_ok(weft_validation_run(path, "plan", &v));
  uint32_t exact = 0;
  for (uint32_t i = 0; i < v.count; ++i) {
    const weft_case *c = &v.cases[i];
    if (c->verdict == WEFT_BEYOND)
      fail_msg("%s %s %s: %.10g, expected %.10g", c->id, c->subject, c->inputs, c->predicted, c->expected);
    if (strcmp(c->subject, "params") != 0) continue;
    ++exact;
    assert_true(c->predicted == c->expected);
  }
  assert_int_equal(exact, 8);
  assert_true(v.within >= 47);
  assert_int_equal(v.within + v.beyond + v.on_trial + v.not_covered, v.count);
  weft_validation_finish(&v);
  free(path);
}

static const char header[] = "id,area,subject,inputs,quantity,expected,unit,tolerance_pct,role,evidence,source\n";

// Runs a table of these rows from a file of its own.
static weft_status run_rows(const char *rows, const char *areas, weft_validation *out) {
  char path[] = "/tmp/weft-cases-XXXXXX", text[3000];
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  int length = snprintf(text, sizeof text, "%s%s", header, rows);
  assert_ok(weft_file_write(path, text, (size_t)length));
  weft_status status = weft_validation_run(path, areas, out);
  unlink(path);
  return status;
}

static void verdicts(void **state) {
  (void)state;
  weft_validation v;
  assert_ok(
      run_rows("a,plan,energy,gpu_hours=1000;gpu_watts=100;pue=1,energy,0.11,MWh,10,predict,published,x\n"
               "b,plan,energy,gpu_hours=1000;gpu_watts=100;pue=1,energy,0.2,MWh,10,predict,published,x\n"
               "c,plan,params,network=nobody-knows,parameters,5,1,0,predict,exact,x\n"
               "d,plan,energy,gpu_hours=-;gpu_watts=100;pue=1,energy,0.2,MWh,10,predict,published,x\n"
               "e,moon,landing,when=1969,year,1969,1,0,calibrate,exact,\"x, y\"\n"
               "f,plan,energy,gpu_hours=1;gpu_watts=100;pue=1,energy,,MWh,10,predict,published,x\n",
               NULL, &v));
  static const weft_verdict expected[] = {WEFT_WITHIN,      WEFT_BEYOND,      WEFT_NOT_COVERED,
                                          WEFT_NOT_COVERED, WEFT_NOT_COVERED, WEFT_NOT_COVERED};
  static const char *const reasons[] = {NULL,      NULL, "nobody-knows", "gpu_hours was not published", "no prediction",
                                        "no value"};
  assert_int_equal(v.count, 6);
  for (uint32_t i = 0; i < 6; ++i) {
    assert_int_equal(v.cases[i].verdict, expected[i]);
    if (reasons[i]) assert_non_null(strstr(v.cases[i].reason, reasons[i]));
    assert_int_equal(v.cases[i].line, i + 2);
  }
  assert_true(fabs(v.cases[1].error_percent + 50) < 1e-9);
  assert_true(v.within == 1 && v.beyond == 1 && v.not_covered == 4);
  char *text = NULL;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  weft_validation_print(&v, WEFT_TABLE_JSON, out);
  fclose(out);
  json_t *root = json_loads(text, 0, NULL);
  assert_int_equal(json_array_size(json_object_get(root, "cases")), 6);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "summary"), "outside")), 1);
  json_decref(root);
  free(text);
  weft_validation_finish(&v);
}

static void areas(void **state) {
  (void)state;
  static const char rows[] =
      "a,plan,x,,q,1,1,0,predict,e,s\nb,moon,x,,q,1,1,0,predict,e,s\nc,mars,x,,q,1,1,0,predict,e,s\n";
  weft_validation v;
  assert_ok(run_rows(rows, "moon,mars", &v));
  assert_int_equal(v.count, 2);
  weft_validation_finish(&v);
  assert_refused(run_rows(rows, "mooon", &v), "no area \"mooon\"", "\"moon\"");
}

static void subjects(void **state) {
  (void)state;
  static const char rows[] =
      "a,moon,rock/old,,q,1,1,0,predict,e,s\nb,moon,rock/"
      "new,,q,1,1,0,predict,e,s\nc,moon,rocket,,q,1,1,0,predict,e,s\n";
  weft_validation v;
  assert_ok(run_rows(rows, "moon/rock", &v));
  assert_int_equal(v.count, 2);
  weft_validation_finish(&v);
  assert_ok(run_rows(rows, "moon/rock/new,moon/rocket", &v));
  assert_int_equal(v.count, 2);
  weft_validation_finish(&v);
  assert_refused(run_rows(rows, "moon/roket", &v), "no area \"moon/roket\"", "\"moon/rocket\"");
}

// On trial: predicted and printed, and neither a success nor a failure.
static void trials(void **state) {
  (void)state;
  weft_validation v;
  assert_ok(run_rows(
      "a,train,weight_streaming,machine=cs2;systems=1;network=gpt2;batch=8;sequence=512;release=1,throughput,1e9,"
      "sequence/s,1,predict,hardware,x\n"
      "b,train,weight_streaming,machine=cs2;systems=1;network=gpt2;batch=-;sequence=512;release=,throughput,1,"
      "sequence/s,1,predict,hardware,x\n"
      "c,train,weight_streaming,machine=cs9;systems=1;network=gpt2;batch=1;sequence=512;release=,throughput,1,"
      "sequence/s,1,predict,hardware,x\n",
      NULL, &v));
  assert_true(v.on_trial == 1 && v.not_covered == 2 && v.beyond == 0 && v.within == 0);
  assert_int_equal(v.cases[0].verdict, WEFT_ON_TRIAL);
  assert_true(v.cases[0].predicted > 1 && v.cases[0].error_percent < -90);
  assert_non_null(strstr(v.cases[1].reason, "batch was not published"));
  assert_non_null(strstr(v.cases[2].reason, "cs9"));
  weft_validation_finish(&v);
}

// A row that is not understood says why with its line, and the row behind it is run.
static void refuse(const char *row, const char *first, const char *second) {
  char rows[1000];
  (void)snprintf(rows, sizeof rows, "%sz,plan,energy,gpu_hours=1000;gpu_watts=100;pue=1,energy,0.1,MWh,1,predict,e,s\n",
                 row);
  weft_validation v;
  assert_ok(run_rows(rows, NULL, &v));
  assert_int_equal(v.count, 2);
  assert_int_equal(v.not_understood, 1);
  assert_int_equal(v.within, 1);
  assert_int_equal(v.cases[0].verdict, WEFT_NOT_UNDERSTOOD);
  const char *reason = v.cases[0].reason;
  if (!strstr(reason, ":2: ") || !strstr(reason, first) || !strstr(reason, second))
    fail_msg("\"%s\" lacks \":2: \", \"%s\" or \"%s\"", reason, first, second);
  weft_validation_finish(&v);
}

static void not_understood(void **state) {
  (void)state;
  refuse("a,plan,energy,gpu_hours=1;gpu_wats=1;pue=1,energy,1,MWh,1,predict,e,s\n",
         "the input \"gpu_watts\" is missing", "\"gpu_wats\"");
  refuse("a,plan,energy,gpu_hours=1;gpu_watts=1;pue=1;moon=2,energy,1,MWh,1,predict,e,s\n", "unknown input \"moon\"",
         "nearest");
  refuse("a,plan,energy,gpu_hours=1;GPU_hours=1,energy,1,MWh,1,predict,e,s\n", "stands twice", "GPU_hours");
  refuse("a,plan,energy,gpu_hours,energy,1,MWh,1,predict,e,s\n", "not key=value", "gpu_hours");
  refuse("a,plan,energy,=1,energy,1,MWh,1,predict,e,s\n", "not key=value", "");
  refuse("a,plan,energy,gpu_hours=ten;gpu_watts=1;pue=1,energy,1,MWh,1,predict,e,s\n", "input \"gpu_hours\"",
         "\"ten\"");
  refuse("a,plan,energy,gpu_hours=1;gpu_watts=1;pue=0.5,energy,1,MWh,1,predict,e,s\n", "input \"pue\"", "1 to 100");
  refuse("a,plan,energy,,energy,many,MWh,1,predict,e,s\n", "expected", "\"many\"");
  refuse("a,plan,energy,,energy,nan,MWh,1,predict,e,s\n", "expected", "\"nan\"");
  refuse("a,plan,energy,,energy,1,MWh,-1,predict,e,s\n", "tolerance_pct", "negative");
  refuse("a,plan,energy,,energy,1,MWh,1,guess,e,s\n", "role \"guess\"", "predict");
  refuse("a,plan,energy\n", "3 fields", "has 11");
  refuse("a,plan,energy,\"x,energy,1,MWh,1,predict,e,s\n", "no closing quote", "");
  refuse("a,plan,energy,\"x\"y,energy,1,MWh,1,predict,e,s\n", "after a closing quote", "'y'");
  refuse("a,plan,ene\"rgy,x,energy,1,MWh,1,predict,e,s\n", "a quote inside a field", "");
  refuse("a,plan,energy,,energy,1,MWh,1,predict,e,s,t\n", "12 fields", "has 11");
  refuse(",plan,energy,,energy,1,MWh,1,predict,e,s\n", "id, area, subject and quantity", "");
  refuse("a,plan,energy,,energy,1,MWh,1,predict,e,\xff\n", "source", "UTF-8");
  refuse("a,plan,optimizer_bytes,optimizer=adm,bytes_per_parameter,1,byte,0,predict,e,s\n", "\"adm\"", "nearest");
  refuse("a,fabric,reduce/chain,machine=wse2;pes=4.5;words=1,cycles,1,cycle,0,predict,e,s\n", "\"pes\"", "not whole");
  refuse("a,fabric,reduce/chain,machine=wse2;pes=4;words=1,cycles,1,us,0,predict,e,s\n", "cycles in \"us\"", "cycle");
  refuse("a,fabric,reduce/chain,machine=wse2;pes=4;words=1;bandwidt=1,cycles,1,cycle,0,predict,e,s\n",
         "unknown input \"bandwidt\"", "\"width\"");
  refuse("a,gemm,cannon,machine=wse2;mesh=2x2;n=4;host_io=both,cycles,1,cycle,0,predict,e,s\n", "\"both\"", "nearest");
}

// What people and their sheets make of a table.
static void other_forms(void **state) {
  (void)state;
  weft_validation v;
  assert_ok(run_rows(
      "\r\n\"a\",\"plan\",energy,\"gpu_hours=1000;gpu_watts=100;pue=1\",energy,0.1,MWh,1,predict,e,\"x\"\"y\r\nz\"\r\n"
      "b , plan, energy , pue = 1 ;; gpu_hours = 1000 ; gpu_watts= 100; ,energy ,0.1 ,MWh, 1 ,predict ,e,\r\n"
      "b,plan,energy,gpu_watts=100;PUE=1;gpu_hours=1000,energy,0.1,MWh,1,predict,e,s",
      "plan,fabric", &v));
  assert_int_equal(v.count, 3);
  for (uint32_t i = 0; i < v.count; ++i)
    if (v.cases[i].verdict != WEFT_WITHIN) fail_msg("row %u: %s", i, v.cases[i].reason);
  weft_validation_finish(&v);
  assert_refused(run_rows("", NULL, &v), "no cases", "");
  assert_refused(run_rows("a,moon,x,,q,1,1,0,predict,e,s\n", "fabric", &v), "no area \"fabric\"", "moon");
}

static void methods(void **state) {
  (void)state;
  static const char rows[] =
      "a,plan,energy,gpu_hours=1000;gpu_watts=100;pue=1,energy,0.1,MWh,1,predict,e,s\n"
      "b,fabric,reduce/chain,machine=wse2;pes=16;words=4096,cycles,4186,cycle,0,predict,e,s\n"
      "c,fabric,reduce/chain,machine=wse2;pes=16;words=4096,time,4.9247,us,0.01,predict,e,s\n"
      "d,fabric,reduce/chain,machine=wse2@1.1GHz;pes=16;words=4096,time,3.80545,us,0.01,predict,e,s\n"
      "e,fabric,reduce/star,machine=wse2;pes=4;words=20000,cycles,1,cycle,0,predict,e,s\n"
      "f,fabric,reduce/teleport,machine=wse2;pes=4;words=2,cycles,1,cycle,0,predict,e,s\n"
      "g,fabric,reduce/chain,machine=wse1;pes=4;words=2,cycles,1,cycle,0,predict,e,s\n"
      "h,fabric,reduce/chain,machine=wse2;pes=995;words=2,cycles,1,cycle,0,predict,e,s\n";
  weft_validation_limits limits = weft_validation_limits_default();
  static const double hops[] = {1e9, 2e4};  // all of it; a part
  for (uint32_t round = 0; round < 2; ++round) {
    char path[] = "/tmp/weft-cases-XXXXXX", text[3000];
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    int length = snprintf(text, sizeof text, "%s%s", header, rows);
    assert_ok(weft_file_write(path, text, (size_t)length));
    limits.most_hops = hops[round];
    weft_validation v;
    assert_ok(weft_validation_run_within(path, NULL, &limits, &v));
    unlink(path);
    assert_int_equal(v.within, 4);
    assert_int_equal(v.not_covered, 4);
    assert_int_equal(v.cases[0].method, WEFT_BY_FORMULA);
    for (uint32_t i = 1; i < 4; ++i) {
      assert_int_equal(v.cases[i].method, round ? WEFT_BY_CONTINUATION : WEFT_BY_EXECUTION);
      assert_int_equal(v.cases[i].method_detail != NULL, round);
    }
    assert_non_null(strstr(v.cases[4].reason, "SRAM"));
    assert_non_null(strstr(v.cases[5].reason, "teleport"));
    assert_non_null(strstr(v.cases[6].reason, "wse2"));
    assert_non_null(strstr(v.cases[7].reason, "995x1 cores; wse2 has 750x994"));
    weft_validation_finish(&v);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(own_table),   cmocka_unit_test(verdicts),
                                     cmocka_unit_test(areas),       cmocka_unit_test(subjects),
                                     cmocka_unit_test(trials),      cmocka_unit_test(not_understood),
                                     cmocka_unit_test(other_forms), cmocka_unit_test(methods)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
