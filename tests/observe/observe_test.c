// What shows a simulated mesh, read back: pictures with libpng, waves with a small parser of VCD, traces with zlib's
// and protobuf's own, tables as text, all against the events and accounts of the run that they show.
#include <jansson.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "compiler/kernels/collectives.h"
#include "sim/mesh.h"
#include "traces/activity.h"
#include "traces/heatmap.h"
#include "traces/recording.h"
#include "traces/trace.h"

#include <cmocka.h>

enum { COLUMNS = 5, ROWS = 4, WORDS = 7 };

static void must(weft_status status) {
  if (status) fail_msg("%s", weft_status_message(status));
}
static void refused(weft_status status, weft_code code, const char *because) {
  assert_int_equal(weft_status_code(status), code);
  if (!strstr(weft_status_message(status), because))
    fail_msg("\"%s\" does not say \"%s\"", weft_status_message(status), because);
  weft_status_free(status);
}

static char *scratch(const char *name) {
  const char *folder = getenv("TMPDIR");
  return weft_format("%s/weft-observe-%d-%s", folder ? folder : "/tmp", (int)getpid(), name);
}

// ---- colours and pictures

static void linear_light(const uint8_t rgb[3], double lab[3]) {
  double v[3];
  for (int c = 0; c < 3; ++c) {
    double s = rgb[c] / 255.0;
    v[c] = s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
  }
  double l = cbrt(0.4122214708 * v[0] + 0.5363325363 * v[1] + 0.0514459929 * v[2]);
  double m = cbrt(0.2119034982 * v[0] + 0.6806995451 * v[1] + 0.1073969566 * v[2]);
  double s = cbrt(0.0883024619 * v[0] + 0.2817188376 * v[1] + 0.6299787005 * v[2]);
  lab[0] = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
  lab[1] = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s;
  lab[2] = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s;
}

// Steps of 8 colours are equally long in Oklab, within what 8 bits per channel leave of them (16 %), and always
// lighter.
static void colours_are_even(void **state) {
  (void)state;
  uint8_t rgb[WEFT_HEATMAP_COLOURS][3];
  weft_heatmap_colours(rgb);
  double least = 1, most = 0;
  for (int c = 8; c < WEFT_HEATMAP_COLOURS; c += 8) {
    double a[3], b[3];
    linear_light(rgb[c - 8], a);
    linear_light(rgb[c], b);
    double step = sqrt((b[0] - a[0]) * (b[0] - a[0]) + (b[1] - a[1]) * (b[1] - a[1]) + (b[2] - a[2]) * (b[2] - a[2]));
    assert_true(b[0] > a[0]);
    least = step < least ? step : least;
    most = step > most ? step : most;
  }
  if (!(most / least < 1.2)) fail_msg("steps of colour from %g to %g", least, most);
}

static void expect_pixel(const uint8_t *pixels, uint32_t width, uint32_t x, uint32_t y, const uint8_t rgb[3]) {
  assert_memory_equal(pixels + ((size_t)y * width + x) * 3, rgb, 3);
}

static void png_has_the_values(void **state) {
  (void)state;
  enum { W = 6, H = 3 };
  float first[W * H], second[W * H];
  for (int i = 0; i < W * H; ++i) {
    first[i] = (float)i;
    second[i] = i == 4 ? NAN : (float)(2 * i);
  }
  const weft_heatmap_panel panels[] = {{"one", first}, {"two", second}};
  weft_heatmap map = {"a title", "words", W, H, 0, 20, panels, 2};
  assert_true(weft_heatmap_nice_high(panels, 2, W * H) == 50);
  char *path = scratch("map.png");
  must(weft_heatmap_write(&map, path));
  png_image image = {.version = PNG_IMAGE_VERSION};
  assert_true(png_image_begin_read_from_file(&image, path));
  image.format = PNG_FORMAT_RGB;
  uint8_t *pixels = weft_allocate(PNG_IMAGE_SIZE(image));
  assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
  weft_heatmap_layout layout = weft_heatmap_arrange(&map);
  assert_int_equal(image.width, layout.width);
  assert_int_equal(image.height, layout.height);
  assert_int_equal(layout.cell, 32);
  uint8_t rgb[WEFT_HEATMAP_COLOURS][3];
  const uint8_t grey[3] = {0xb0, 0xb0, 0xb0}, white[3] = {255, 255, 255};
  weft_heatmap_colours(rgb);
  for (uint32_t p = 0; p < 2; ++p) {
    for (uint32_t c = 0; c < W * H; ++c) {
      uint32_t x = layout.panel_x + p * layout.pitch_x + c % W * layout.cell, y = layout.panel_y + c / W * layout.cell;
      double share = (double)panels[p].values[c] / 20;
      const uint8_t *wanted = isnan(share) ? grey : rgb[(int)(share >= 1 ? 239 : share * 239 + 0.5)];
      expect_pixel(pixels, image.width, x, y, wanted);
      expect_pixel(pixels, image.width, x + layout.cell - 1, y + layout.cell - 1, wanted);
    }
  }
  expect_pixel(pixels, image.width, 0, 0, white);
  expect_pixel(pixels, image.width, layout.bar_x, layout.bar_y, rgb[0]);
  expect_pixel(pixels, image.width, layout.bar_x + layout.bar_width - 1, layout.bar_y, rgb[239]);
  free(pixels);
  unlink(path);
  free(path);
}

// One pixel per core of a wafer; a line of cores is no thread; a step's hundred panels are one picture that can be
// looked at, each name in its own room.
static void layouts_are_legible(void **state) {
  (void)state;
  enum { PANELS = 144 };
  float value = 0;
  weft_heatmap_panel panels[PANELS];
  for (int p = 0; p < PANELS; ++p)
    panels[p] = (weft_heatmap_panel){"step 168 optimize adamw model.layers.1.mlp.gate_proj.weight", &value};
  weft_heatmap map = {"t", "u", 750, 994, 0, 1, panels, 1};
  weft_heatmap_layout wafer = weft_heatmap_arrange(&map);
  assert_true(wafer.cell == 1 && wafer.cell_height == 1);
  map.columns = 900;
  map.rows = 1;
  weft_heatmap_layout line = weft_heatmap_arrange(&map);
  assert_true(line.cell == 1 && line.cell_height == 32);
  map.columns = 16;
  map.rows = 12;
  map.panel_count = PANELS;
  weft_heatmap_layout many = weft_heatmap_arrange(&map);
  assert_true(many.width <= 4096 && many.height <= 4096 && many.across == 12);
  assert_true(many.name_lines * many.name_letters >= strlen(panels[0].name));
  assert_true(many.name_letters * 6 * many.name_scale <= many.pitch_x && 16 * many.cell <= many.pitch_x);
  assert_true(many.pitch_y >= 12 * many.cell_height + many.name_lines * 9 * many.name_scale);
}

// Every element is closed by its own end, attributes are quoted: a stack of names is enough for what we write.
static int check_xml(const char *text, const char *counted) {
  char stack[32][32];
  int depth = 0, count = 0;
  const char *at = strstr(text, "?>") + 2;
  while ((at = strchr(at, '<'))) {
    bool end = at[1] == '/';
    size_t length = strcspn(at + 1 + end, " >/");
    assert_true(length > 0 && length < 32);
    char name[32] = "";
    memcpy(name, at + 1 + end, length);
    const char *close = strchr(at, '>');
    assert_non_null(close);
    if (end) {
      assert_true(depth > 0);
      assert_string_equal(stack[--depth], name);
    } else {
      count += strncmp(at, counted, strlen(counted)) == 0;
      int quotes = 0;
      for (const char *c = at; c < close; ++c) quotes += *c == '"';
      assert_int_equal(quotes % 2, 0);
      if (close[-1] != '/') snprintf(stack[depth++], 32, "%s", name);
    }
    at = close;
  }
  assert_int_equal(depth, 0);
  return count;
}

static void svg_is_well_formed(void **state) {
  (void)state;
  float *values = weft_allocate_array(70 * 70, sizeof *values);
  for (int i = 0; i < 70 * 70; ++i) values[i] = (float)(i % 70 / 10);
  weft_heatmap_panel panel = {"a < b & c", values};
  char *path = scratch("map.svg");
  weft_heatmap map = {"<title>", "%", 70, 50, 0, 10, &panel, 1};
  must(weft_heatmap_write(&map, path));
  weft_mapping file = {0};
  must(weft_mapping_open(path, &file));
  char *text = weft_format("%.*s", (int)file.size, (const char *)file.bytes);
  assert_int_equal(check_xml(text, "<rect class=\"core\""), 70 * 50);
  assert_non_null(strstr(text, "a &lt; b &amp; c"));
  free(text);
  weft_mapping_close(&file);
  map.rows = 70;  // more than 4096 cores: runs of colour, one path for each of the seven
  must(weft_heatmap_write(&map, path));
  must(weft_mapping_open(path, &file));
  text = weft_format("%.*s", (int)file.size, (const char *)file.bytes);
  assert_int_equal(check_xml(text, "<path"), 7);
  assert_non_null(strstr(text, "M10 3h10v1H10z"));
  free(text);
  weft_mapping_close(&file);
  unlink(path);
  free(path);
  free(values);
  refused(weft_heatmap_write(&map, "map.jpg"), WEFT_INVALID, ".png or .svg");
}

// ---- a run, with its events

typedef struct rig {
  weft_machine *machine;
  weft_kernel *kernel;
  weft_mesh_sim *mesh;
  weft_mesh_report report;
  weft_recording *recording;
  uint64_t hops_seen;
} rig;

static void take_task(void *context, const weft_task_event *e) {
  rig *r = context;
  weft_span span = {.kind = WEFT_SPAN_TASK, .x = e->x, .y = e->y, .task = e->task, .begin = e->begin, .end = e->end};
  weft_recording_span(r->recording, &span);
}
static void take_core(void *context, const weft_core_event *e) {
  rig *r = context;
  weft_span span = {.kind = WEFT_SPAN_INSTRUCTION,
                    .x = e->x,
                    .y = e->y,
                    .lane = e->microthread,
                    .task = e->task,
                    .instruction = e->instruction,
                    .begin = e->begin,
                    .end = e->end};
  weft_recording_span(r->recording, &span);
}
static void take_stall(void *context, const weft_stall_event *e) {
  rig *r = context;
  weft_span span = {.kind = WEFT_SPAN_STALL,
                    .x = e->x,
                    .y = e->y,
                    .lane = e->microthread != WEFT_NOTHING,
                    .state = e->why == WEFT_STALL_RECEIVE ? WEFT_CORE_RECEIVE
                             : e->why == WEFT_STALL_SEND  ? WEFT_CORE_SEND
                                                          : WEFT_CORE_MICROTHREAD,
                    .colour = (int32_t)e->colour,
                    .begin = e->begin,
                    .end = e->end};
  weft_recording_span(r->recording, &span);
}
static void take_hop(void *context, const weft_hop_event *e) {
  rig *r = context;
  ++r->hops_seen;
  weft_hop hop = {.x = e->x,
                  .y = e->y,
                  .colour = e->colour,
                  .port = e->port,
                  .control = e->control,
                  .since = e->since,
                  .cycle = e->cycle,
                  .bits = e->bits};
  weft_recording_hop(r->recording, &hop);
}

static void run_rig(rig *r, weft_kernel *kernel, bool observed, uint64_t window_begin, uint64_t window_end) {
  *r = (rig){.kernel = kernel};
  must(weft_machine_read("wse2", &r->machine));
  must(weft_kernel_check(r->kernel, 0));
  r->recording = weft_recording_create(kernel->name, r->machine->mesh.clock_hz);
  r->recording->window_begin = window_begin;
  r->recording->window_end = window_end;
  weft_recording_label(r->recording, "main: move");
  weft_mesh_observer observer = {.context = r,
                                 .where = weft_block_of(0, 3, 0, 2),
                                 .begin = window_begin,
                                 .end = window_end,
                                 .task = take_task,
                                 .core = take_core,
                                 .stall = take_stall,
                                 .hop = take_hop};
  weft_mesh_options options = weft_mesh_options_default();
  if (observed) options.observer = &observer;
  must(weft_mesh_open(r->kernel, r->machine, &options, &r->mesh));
  must(weft_mesh_run(r->mesh, &r->report));
}

static void open_rig(rig *r, bool observed) {
  weft_collective what = weft_collective_default(COLUMNS, ROWS, WORDS);
  weft_kernel *kernel = NULL;
  must(weft_broadcast_kernel(&what, &kernel));
  run_rig(r, kernel, observed, 0, UINT64_MAX);
}

static void close_rig(rig *r) {
  weft_mesh_close(r->mesh);
  weft_kernel_destroy(r->kernel);
  weft_machine_destroy(r->machine);
  weft_recording_destroy(r->recording);
}

static weft_activity *activity_of(const rig *r) {
  weft_activity *a = weft_activity_create("broadcast", COLUMNS, ROWS, r->report.cycles);
  for (uint32_t c = 0; c < COLUMNS * ROWS; ++c) {
    weft_core_account account = weft_mesh_core(r->mesh, c % COLUMNS, c / COLUMNS);
    a->cores[c] = (weft_core_activity){account.busy_cycles,
                                       account.stall_cycles[WEFT_STALL_RECEIVE],
                                       account.stall_cycles[WEFT_STALL_SEND],
                                       account.stall_cycles[WEFT_STALL_MICROTHREAD],
                                       account.stall_cycles[WEFT_STALL_IDLE],
                                       account.end_cycle};
    for (int p = 0; p < WEFT_ACTIVITY_LINKS; ++p)
      a->links[c][p] = weft_mesh_link(r->mesh, c % COLUMNS, c / COLUMNS, (weft_port)p);
  }
  return a;
}

// A broadcast from (0, 0) crosses COLUMNS x ROWS - 1 links, each with all words, none to the west or north.
static void top_links(void **state) {
  (void)state;
  rig r;
  open_rig(&r, false);
  weft_activity *activity = activity_of(&r);
  const weft_activity *phases[] = {activity, activity};
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  weft_activity_print_links(phases, 2, 1000, WEFT_TABLE_JSON, out);
  fclose(out);
  json_t *rows = json_loads(text, 0, NULL);
  assert_int_equal(json_array_size(rows), COLUMNS * ROWS - 1);
  for (size_t i = 0; i < json_array_size(rows); ++i) {
    json_t *row = json_array_get(rows, i);
    const char *port = json_string_value(json_object_get(row, "port"));
    assert_true(strcmp(port, "east") == 0 || strcmp(port, "south") == 0);
    assert_int_equal(json_integer_value(json_object_get(row, "wavelets")), 2 * WORDS);
    double share = json_real_value(json_object_get(row, "share_pct"));
    assert_true(fabs(share - 100.0 * WORDS / (double)r.report.cycles) < 1e-9);
  }
  json_decref(rows);
  free(text);
  float values[COLUMNS * ROWS];
  weft_activity_values(activity, WEFT_METRIC_LINKS, values);
  double sum = 0;
  for (int c = 0; c < COLUMNS * ROWS; ++c) sum += (double)values[c];
  assert_true(fabs(sum * (double)r.report.cycles - (COLUMNS * ROWS - 1) * WORDS) < 1e-3);
  weft_activity_values(activity, WEFT_METRIC_NORTH, values);
  assert_true(isnan(values[0]) && values[COLUMNS] == 0);
  activity->cores[7].busy = 1000000;
  out = open_memstream(&text, &bytes);
  weft_activity_print_cores(phases, 1, 1, WEFT_TABLE_CSV, out);
  fclose(out);
  assert_non_null(strstr(text, "\n2,1,1000000,"));
  free(text);
  weft_activity_metric metric;
  refused(weft_metric_parse("esat", &metric), WEFT_INVALID, "nearest is east");
  must(weft_metric_parse("west", &metric));
  assert_int_equal(metric, WEFT_METRIC_WEST);
  // Two phases are three panels: core (2, 1) was busy for as great a part of both together as of each.
  char *path = scratch("phases.svg");
  must(weft_activity_draw(phases, 2, "t", WEFT_METRIC_BUSY, 0, path));
  weft_mapping file = {0};
  must(weft_mapping_open(path, &file));
  text = weft_format("%.*s", (int)file.size, (const char *)file.bytes);
  assert_int_equal(check_xml(text, "<g class=\"panel\""), 3);
  assert_non_null(strstr(text, ">all phases<"));
  char *tooltip = weft_format("(2, 1): %.6g %%", (double)(float)(100.0 * 1000000 / (double)activity->cycles));
  const char *at = text;
  for (int panel = 0; panel < 3; ++panel) {
    at = strstr(at, tooltip);
    assert_non_null(at);
    ++at;
  }
  free(tooltip);
  free(text);
  weft_mapping_close(&file);
  unlink(path);
  free(path);
  weft_activity *other = weft_activity_create("small", 2, 2, 9);
  phases[1] = other;
  refused(weft_activity_draw(phases, 2, "t", WEFT_METRIC_BUSY, 0, "/nowhere/a.png"), WEFT_INVALID, "2 x 2");
  weft_activity_destroy(other);
  weft_activity_destroy(activity);
  close_rig(&r);
}

// ---- VCD

enum { MOST_SIGNALS = 512 };
typedef struct wave {
  char id[8], scope[64], name[40];
  unsigned long long value;
  bool none;
} wave;
typedef struct waves {
  wave list[MOST_SIGNALS];
  int count;
} waves;

static wave *find_wave(waves *w, const char *id) {
  for (int i = 0; i < w->count; ++i)
    if (strcmp(w->list[i].id, id) == 0) return &w->list[i];
  fail_msg("signal %s is not declared", id);
  return NULL;
}

static void change_wave(waves *w, const char *line) {
  bool vector = *line == 'b';
  const char *id = vector ? strchr(line, ' ') + 1 : line + 1;
  wave *s = find_wave(w, id);
  s->none = line[vector] == 'z';
  s->value = 0;
  for (const char *bit = line + vector; !s->none && (*bit == '0' || *bit == '1') && bit < id; ++bit)
    s->value = s->value * 2 + (unsigned)(*bit - '0');
}

static unsigned long long value_in(waves *w, const char *scope, const char *name) {
  for (int i = 0; i < w->count; ++i)
    if (strcmp(w->list[i].scope, scope) == 0 && strcmp(w->list[i].name, name) == 0) return w->list[i].value;
  fail_msg("%s has no %s", scope, name);
  return 0;
}

static bool is_hop(const weft_recording *r, unsigned x, unsigned y, unsigned colour, unsigned port, uint64_t cycle,
                   uint32_t bits) {
  for (uint64_t h = 0; h < r->hop_count; ++h) {
    const weft_hop *hop = &r->hops[h];
    if (hop->x == x && hop->y == y && hop->colour == colour && hop->port == port && hop->cycle == cycle)
      return hop->bits == bits;
  }
  return false;
}

// What the spans say of a core or microthread in one cycle.
static weft_core_state state_in(const weft_recording *r, unsigned x, unsigned y, unsigned lane, uint64_t cycle) {
  weft_core_state state = WEFT_CORE_IDLE;
  for (uint64_t s = 0; s < r->span_count; ++s) {
    const weft_span *span = &r->spans[s];
    if (span->x != x || span->y != y || span->lane != lane || cycle < span->begin || cycle >= span->end) continue;
    if (span->kind == WEFT_SPAN_STALL) return span->state;
    state = WEFT_CORE_BUSY;
  }
  return state;
}

// Wavelets that could have left before this cycle or in it, and leave later.
static unsigned held_in(const weft_recording *r, unsigned x, unsigned y, unsigned colour, uint64_t cycle) {
  unsigned held = 0;
  for (uint64_t h = 0; h < r->hop_count; ++h) {
    const weft_hop *hop = &r->hops[h];
    bool again = h > 0 && hop[-1].cycle == hop->cycle && hop[-1].colour == colour && hop[-1].x == x && hop[-1].y == y;
    held += hop->x == x && hop->y == y && hop->colour == colour && hop->since <= cycle && cycle < hop->cycle && !again;
  }
  return held;
}

typedef struct counts {
  uint64_t hops, link_hops, states[WEFT_CORE_STATES], held;
} counts;

// Counts what the waves show in one cycle; all of it must be in the recording.
static void check_cycle(waves *w, const rig *r, uint64_t cycle, counts *sum) {
  for (int i = 0; i < w->count; ++i) {
    const wave *s = &w->list[i];
    unsigned x, y, colour, lane = 0;
    if (sscanf(s->scope, "core_%u_%u", &x, &y) == 2) {
      if (sscanf(s->name, "microthread_%u_state", &lane) == 1) ++lane;
      if (!strstr(s->name, "state")) continue;
      assert_int_equal(s->value, state_in(r->recording, x, y, lane, cycle));
      ++sum->states[s->value];
    } else if (sscanf(s->scope, "router_%u_%u_colour_%u", &x, &y, &colour) == 3) {
      if (strcmp(s->name, "held") == 0) {
        assert_int_equal(s->value, held_in(r->recording, x, y, colour, cycle));
        sum->held += s->value;
      }
      if (strcmp(s->name, "valid") != 0 || s->value != 1) continue;
      unsigned long long ports = value_in(w, s->scope, "ports"), data = value_in(w, s->scope, "data");
      for (unsigned port = 0; port < 5; ++port) {
        if (!(ports >> port & 1)) continue;
        ++sum->hops;
        assert_true(is_hop(r->recording, x, y, colour, port, cycle, (uint32_t)data));
      }
    } else if (sscanf(s->scope, "router_%u_%u", &x, &y) == 2 && !s->none) {
      char other[80];
      snprintf(other, sizeof other, "%s_colour_%llu", s->scope, s->value);
      static const char *const ports[] = {"north", "east", "south", "west", "ramp"};
      unsigned port = 0;
      while (strcmp(ports[port], s->name) != 0) ++port;
      assert_true(value_in(w, other, "valid") == 1 && (value_in(w, other, "ports") >> port & 1));
      ++sum->link_hops;
    }
  }
}

static uint64_t cycle_at(const char *line, double clock) {
  return (uint64_t)llround((double)strtoull(line + 1, NULL, 10) * clock / 1e12);
}

// Plays the waves; what holds after a change does so in every cycle until the next one.
static counts play_waves(const char *path, const rig *r, waves *w, uint64_t *out_first, uint64_t *out_last) {
  FILE *file = fopen(path, "r");
  char line[256], scope[64] = "";
  bool header = true, began = false;
  counts sum = {0};
  uint64_t cycle = 0;
  double clock = r->machine->mesh.clock_hz;
  *w = (waves){0};
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    unsigned bits;
    if (header) {
      sscanf(line, "$scope module %63s", scope);
      wave *s = &w->list[w->count];
      assert_true(w->count < MOST_SIGNALS);
      if (sscanf(line, "$var wire %u %7s %39s", &bits, s->id, s->name) == 3) {
        memcpy(s->scope, scope, sizeof scope);
        ++w->count;
      }
      if (strcmp(line, "$enddefinitions $end") == 0) header = false;
    } else if (*line == '#') {
      uint64_t next = cycle_at(line, clock);
      if (!began) *out_first = cycle = next;
      for (began = true; cycle < next; ++cycle) check_cycle(w, r, cycle, &sum);
    } else if (*line != '$') {
      assert_true(began);
      change_wave(w, line);
      if (*line == 'b') assert_int_equal(value_in(w, "mesh", "cycle"), cycle);
    }
  }
  fclose(file);
  *out_last = cycle;
  return sum;
}

static void check_waves(const rig *r, counts *out_sum, uint64_t *out_first, uint64_t *out_last) {
  static waves w;
  char *path = scratch("waves.vcd");
  must(weft_recording_write_vcd(r->recording, path));
  *out_sum = play_waves(path, r, &w, out_first, out_last);
  assert_int_equal(out_sum->hops, r->hops_seen);
  assert_int_equal(out_sum->link_hops, r->hops_seen);
  for (uint64_t s = 0; s < r->recording->span_count; ++s) {
    char name[64];
    snprintf(name, sizeof name, "core_%u_%u", r->recording->spans[s].x, r->recording->spans[s].y);
    bool found = false;
    for (int i = 0; i < w.count; ++i) found = found || strcmp(w.list[i].scope, name) == 0;
    assert_true(found);
  }
  for (int i = 0; i < w.count && r->recording->window_end == UINT64_MAX; ++i)  // at the end nobody does anything
    assert_true(strcmp(w.list[i].name, "instruction") != 0 || w.list[i].none);
  unlink(path);
  free(path);
}

static void vcd_equals_the_events(void **state) {
  (void)state;
  rig r;
  counts sum;
  uint64_t first, last, busy = 0, receive = 0;
  open_rig(&r, true);
  assert_true(r.hops_seen > 3 * WORDS && r.recording->span_count > 0);
  check_waves(&r, &sum, &first, &last);
  for (uint32_t x = 0; x < 3; ++x)
    for (uint32_t y = 0; y < 2; ++y) {
      weft_core_account account = weft_mesh_core(r.mesh, x, y);
      busy += account.busy_cycles;
      receive += account.stall_cycles[WEFT_STALL_RECEIVE];
    }
  assert_int_equal(first, 0);
  assert_int_equal(sum.states[WEFT_CORE_BUSY], busy);
  assert_int_equal(sum.states[WEFT_CORE_RECEIVE], receive);
  assert_true(receive > 0);
  close_rig(&r);
}

// Core (0, 0) sends by a microthread and waits for it; core (1, 0) does other things first, so the queues fill.
static weft_kernel *slow_reader(void) {
  enum { MANY = 64, COLOUR = 2 };
  weft_kernel *k = weft_kernel_create("slow reader", COLUMNS, ROWS);
  uint32_t sender = weft_kernel_program(k, "sender"), reader = weft_kernel_program(k, "reader");
  for (uint32_t p = sender; p <= reader; ++p) {
    (void)weft_kernel_array(k, p, "data", WEFT_F32, MANY);
    weft_kernel_place(k, p, weft_block_one(p == reader, 0));
    (void)weft_kernel_task(k, p, "main", WEFT_AT_START);
  }
  weft_kernel_route(k, weft_block_one(0, 0), COLOUR, WEFT_RAMP, 1u << WEFT_EAST);
  weft_kernel_route(k, weft_block_one(1, 0), COLOUR, WEFT_WEST, 1u << WEFT_RAMP);
  weft_emit1(k, sender, WEFT_DO_MOVE, MANY, weft_send(COLOUR, WEFT_F32), weft_all(k, sender, 0))->microthread = 0;
  const weft_operand absent = {0};
  weft_emit(k, sender, WEFT_DO_WAIT, 1, absent, absent, absent, absent)->microthread = 0;
  weft_operand own = weft_all(k, reader, 0);
  weft_emit2(k, reader, WEFT_DO_ADD, MANY, own, own, own);
  weft_emit1(k, reader, WEFT_DO_MOVE, MANY, own, weft_receive(COLOUR, WEFT_F32));
  return k;
}

// All-reduces have microthreads, control wavelets, and queues that hold wavelets up; nothing of them leaves the window.
static void vcd_keeps_to_its_window(void **state) {
  (void)state;
  weft_collective what = weft_collective_default(COLUMNS, ROWS, 24);
  counts all = {0}, sum;
  for (int pattern = 0; pattern <= WEFT_REDUCE_PATTERNS + 1; ++pattern) {
    weft_kernel *kernel = NULL;
    what.pattern = (weft_reduce_pattern)(pattern % WEFT_REDUCE_PATTERNS);
    if (pattern < WEFT_REDUCE_PATTERNS)
      must(weft_all_reduce_kernel(&what, &kernel));
    else if (pattern == WEFT_REDUCE_PATTERNS)
      must(weft_ring_kernel(&what, &kernel));
    else
      kernel = slow_reader();
    rig r;
    uint64_t first, last;
    run_rig(&r, kernel, true, 40, 160);
    check_waves(&r, &sum, &first, &last);
    assert_true(first >= 40 && last <= 160);
    for (int s = 0; s < WEFT_CORE_STATES; ++s) all.states[s] += sum.states[s];
    all.held += sum.held;
    close_rig(&r);
  }
  for (int s = 0; s < WEFT_CORE_STATES; ++s)
    if (all.states[s] == 0) fail_msg("no core ever %s", weft_core_state_name((weft_core_state)s));
  assert_true(all.held > 0);
}

static void trace_is_not_of_a_schedule(void **state) {
  (void)state;
  rig r;
  open_rig(&r, true);
  char *path = scratch("cores.pftrace");
  must(weft_recording_write_trace(r.recording, path));
  weft_mapping file = {0};
  must(weft_mapping_open(path, &file));
  // Packets follow each other to the end of the file: two for every span, one for each track and process, the names,
  // and more for links.
  size_t at = 0, packets = 0, tracks = 0;
  while (at < file.size) {
    assert_int_equal(file.bytes[at++], 0x0a);
    size_t length = 0;
    for (int shift = 0;; shift += 7) {
      length |= (size_t)(file.bytes[at] & 0x7f) << shift;
      if (!(file.bytes[at++] & 0x80)) break;
    }
    assert_true(length <= file.size - at);
    at += length;
    ++packets;
  }
  const weft_span *spans = r.recording->spans;
  for (uint64_t s = 0; s < r.recording->span_count; ++s)
    tracks +=
        s == 0 || spans[s].x != spans[s - 1].x || spans[s].y != spans[s - 1].y || spans[s].lane != spans[s - 1].lane;
  assert_true(packets > 3 + tracks + 2 * r.recording->span_count);
  weft_mapping_close(&file);
  weft_trace *trace = NULL;
  refused(weft_trace_read(path, &trace), WEFT_INVALID, "no queue of Weft's");
  unlink(path);
  free(path);
  refused(weft_recording_write_trace(r.recording, "/nowhere/a.pftrace"), WEFT_FAILED, "cannot write");
  refused(weft_recording_write_vcd(r.recording, "/nowhere/a.vcd"), WEFT_FAILED, "cannot write");
  r.recording->lost = 1;
  refused(weft_recording_write_vcd(r.recording, "/nowhere/a.vcd"), WEFT_FAILED, "smaller rectangle");
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(colours_are_even),
                                     cmocka_unit_test(png_has_the_values),
                                     cmocka_unit_test(layouts_are_legible),
                                     cmocka_unit_test(svg_is_well_formed),
                                     cmocka_unit_test(top_links),
                                     cmocka_unit_test(vcd_equals_the_events),
                                     cmocka_unit_test(vcd_keeps_to_its_window),
                                     cmocka_unit_test(trace_is_not_of_a_schedule)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
