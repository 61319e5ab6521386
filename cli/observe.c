#include "cli/observe.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "traces/heatmap.h"

static bool records(const weft_cli_observe *observe) { return observe->vcd || observe->trace; }
static bool counts(const weft_cli_observe *observe) {
  return observe->heatmap || observe->links > 0 || observe->cores > 0;
}

bool weft_cli_observe_wanted(const weft_cli_observe *observe) {
  return counts(observe) || observe->vcd || observe->metric_name || observe->rectangle || observe->window ||
         observe->links_text || observe->cores_text || observe->scale != 0 || observe->csv;
}

// "A..B" or "A", both included; *text moves behind it.
static bool read_range(const char **text, uint64_t *out_first, uint64_t *out_last) {
  char *end = NULL;
  if (!isdigit((unsigned char)**text)) return false;
  errno = 0;
  *out_first = *out_last = strtoull(*text, &end, 10);
  if (strncmp(end, "..", 2) == 0) {
    if (!isdigit((unsigned char)end[2])) return false;
    *out_last = strtoull(end + 2, &end, 10);
  }
  *text = end;
  return errno == 0 && *out_first <= *out_last;
}

static weft_status read_rectangle(weft_cli_observe *observe) {
  const char *text = observe->rectangle;
  uint64_t x = 0, x_last = 0, y = 0, y_last = 0;
  bool good = read_range(&text, &x, &x_last) && *text == ',';
  if (good) {
    ++text;
    good = read_range(&text, &y, &y_last) && *text == 0 && x_last < UINT32_MAX && y_last < UINT32_MAX;
  }
  if (!good)
    return weft_error(WEFT_INVALID, "--rectangle %s: expected columns and rows, first and last, such as 0..7,0..7",
                      observe->rectangle);
  observe->where = weft_block_of((uint32_t)x, (uint32_t)x_last + 1, (uint32_t)y, (uint32_t)y_last + 1);
  observe->somewhere = true;
  return NULL;
}

static weft_status read_window(weft_cli_observe *observe) {
  const char *text = observe->window;
  uint64_t last = 0;
  if (!read_range(&text, &observe->begin, &last) || *text || last == UINT64_MAX)
    return weft_error(WEFT_INVALID, "--window %s: expected cycles, first and last, such as 1000..2000",
                      observe->window);
  observe->end = last + 1;
  return NULL;
}

static weft_status read_rows(const char *option, const char *text, uint32_t *out_rows) {
  uint64_t rows = 0, last = 0;
  const char *end = text;
  if (!text) return NULL;
  if (!read_range(&end, &rows, &last) || *end || rows != last || rows < 1 || rows > INT32_MAX)
    return weft_error(WEFT_INVALID, "--%s %s: expected a whole number of at least 1", option, text);
  *out_rows = (uint32_t)rows;
  return NULL;
}

// That a file cannot be written is better told before a long run. Tries with the name that it has until it is complete.
static weft_status check_writable(const char *option, const char *path) {
  if (!path) return NULL;
  char *part = weft_format("%s.part", path);
  FILE *file = fopen(part, "wb");
  weft_status status = file ? NULL : weft_error(WEFT_FAILED, "--%s %s: cannot write: %m", option, path);
  if (file) {
    fclose(file);
    unlink(part);
  }
  free(part);
  return status;
}

weft_status weft_cli_observe_begin(weft_cli_observe *observe, const char *name, const weft_machine *machine) {
  snprintf(observe->name, sizeof observe->name, "%s", name);
  observe->clock_hz = machine->mesh.clock_hz;
  observe->end = UINT64_MAX;
  WEFT_TRY(read_rows("links", observe->links_text, &observe->links));
  WEFT_TRY(read_rows("cores", observe->cores_text, &observe->cores));
  if (!(observe->scale >= 0)) return weft_error(WEFT_INVALID, "--scale %g: expected more than 0", observe->scale);
  if (observe->csv && (observe->links > 0) == (observe->cores > 0))
    return weft_error(WEFT_INVALID, "--csv prints one table: choose one of --links N and --cores N");
  if (!observe->heatmap && (observe->metric_name || observe->scale > 0))
    return weft_error(WEFT_INVALID, "--%s is for --heatmap, which is not given",
                      observe->metric_name ? "metric" : "scale");
  if (!records(observe) && (observe->rectangle || observe->window))
    return weft_error(WEFT_INVALID, "--%s is for --vcd or --trace, neither of which is given",
                      observe->rectangle ? "rectangle" : "window");
  if (observe->heatmap) WEFT_TRY(weft_status_prefix(weft_heatmap_check_path(observe->heatmap), "--heatmap "));
  if (observe->metric_name)
    WEFT_TRY(weft_status_prefix(weft_metric_parse(observe->metric_name, &observe->metric), "--metric "));
  if (observe->rectangle) WEFT_TRY(read_rectangle(observe));
  if (observe->window) WEFT_TRY(read_window(observe));
  WEFT_TRY(check_writable("heatmap", observe->heatmap));
  WEFT_TRY(check_writable("vcd", observe->vcd));
  WEFT_TRY(check_writable("trace", observe->trace));
  if (!records(observe)) return NULL;
  observe->recording = weft_recording_create(name, observe->clock_hz);
  observe->recording->window_begin = observe->begin;
  observe->recording->window_end = observe->end;
  return NULL;
}

// ---- events

// The program that core (x, y) runs: the last one with a block that holds it.
static uint32_t program_at(const weft_kernel *kernel, uint32_t x, uint32_t y) {
  for (uint32_t p = kernel->program_count; p-- > 0;) {
    const weft_program *program = &kernel->programs[p];
    for (uint32_t b = 0; b < program->block_count; ++b) {
      const weft_block *block = &program->blocks[b];
      if (x >= block->x && x < block->x_end && y >= block->y && y < block->y_end &&
          (x - block->x) % block->step_x == 0 && (y - block->y) % block->step_y == 0)
        return p;
    }
  }
  return WEFT_NOTHING;
}

static char *text_of(const weft_program *p, const weft_span *span) {
  const char *task = span->task < p->task_count ? p->tasks[span->task].name : "?";
  if (span->kind == WEFT_SPAN_TASK) return weft_copy_text(task);
  const weft_instruction *i = &p->code[span->instruction];
  if (i->line == 0) return weft_format("%s: %s", task, weft_instruction_name(i->kind));
  return weft_format("%s: %s (line %" PRIu32 ")", task, weft_instruction_name(i->kind), i->line);
}

// Labels of a program: of its instructions, then of its tasks.
static uint32_t label_of(weft_cli_observe *observe, const weft_kernel *kernel, uint32_t program,
                         const weft_span *span) {
  const weft_program *p = &kernel->programs[program];
  uint32_t *label =
      &observe->labels[program][span->kind == WEFT_SPAN_TASK ? p->code_count + span->task : span->instruction];
  if (*label == 0) {
    char *text = text_of(p, span);
    *label = weft_recording_label(observe->recording, text) + 1;
    free(text);
  }
  return *label - 1;
}

static void take_task(void *context, const weft_task_event *event) {
  weft_cli_observe *observe = context;
  weft_span span = {.kind = WEFT_SPAN_TASK,
                    .x = event->x,
                    .y = event->y,
                    .task = event->task,
                    .begin = observe->elapsed + event->begin,
                    .end = observe->elapsed + event->end};
  weft_recording_span(observe->recording, &span);
}

static void take_core(void *context, const weft_core_event *event) {
  weft_cli_observe *observe = context;
  weft_span span = {.kind = WEFT_SPAN_INSTRUCTION,
                    .x = event->x,
                    .y = event->y,
                    .lane = event->microthread,  // which one: name_spans
                    .task = event->task,
                    .instruction = event->instruction,
                    .begin = observe->elapsed + event->begin,
                    .end = observe->elapsed + event->end};
  weft_recording_span(observe->recording, &span);
}

static void take_stall(void *context, const weft_stall_event *event) {
  static const weft_core_state states[WEFT_STALLS] = {[WEFT_STALL_RECEIVE] = WEFT_CORE_RECEIVE,
                                                      [WEFT_STALL_SEND] = WEFT_CORE_SEND,
                                                      [WEFT_STALL_MICROTHREAD] = WEFT_CORE_MICROTHREAD,
                                                      [WEFT_STALL_IDLE] = WEFT_CORE_IDLE};
  weft_cli_observe *observe = context;
  weft_span span = {.kind = WEFT_SPAN_STALL,
                    .x = event->x,
                    .y = event->y,
                    .lane = event->microthread == WEFT_NOTHING ? 0 : 1 + event->microthread,
                    .state = states[event->why],
                    .colour = event->colour == WEFT_NOTHING ? WEFT_NO_COLOUR : (int32_t)event->colour,
                    .begin = observe->elapsed + event->begin,
                    .end = observe->elapsed + event->end};
  weft_recording_span(observe->recording, &span);
}

static void take_hop(void *context, const weft_hop_event *event) {
  weft_cli_observe *observe = context;
  weft_hop hop = {.x = event->x,
                  .y = event->y,
                  .colour = event->colour,
                  .port = event->port,
                  .control = event->control,
                  .since = observe->elapsed + event->since,
                  .cycle = observe->elapsed + event->cycle,
                  .bits = event->bits};
  weft_recording_hop(observe->recording, &hop);
}

// The kernel tells what the instructions of the spans recorded since `observe->named` are.
static void name_spans(weft_cli_observe *observe, const weft_kernel *kernel) {
  observe->labels = weft_allocate_array(kernel->program_count, sizeof(uint32_t *));
  for (uint32_t p = 0; p < kernel->program_count; ++p)
    observe->labels[p] =
        weft_allocate_array(kernel->programs[p].code_count + kernel->programs[p].task_count + 1, sizeof(uint32_t));
  for (uint64_t s = observe->named; s < observe->recording->span_count; ++s) {
    weft_span *span = &observe->recording->spans[s];
    uint32_t program = program_at(kernel, span->x, span->y);
    if (program == WEFT_NOTHING || span->kind == WEFT_SPAN_STALL) continue;
    span->label = label_of(observe, kernel, program, span);
    if (span->lane > 0) span->lane = 1 + kernel->programs[program].code[span->instruction].microthread;
  }
  observe->named = observe->recording->span_count;
  for (uint32_t p = 0; p < kernel->program_count; ++p) free(observe->labels[p]);
  free(observe->labels);
  observe->labels = NULL;
}

static void move_window(weft_cli_observe *observe) {
  uint64_t now = observe->elapsed;
  observe->observer.begin = observe->begin > now ? observe->begin - now : 0;
  observe->observer.end = observe->end > now ? observe->end - now : 0;
}

weft_status weft_cli_observe_open(weft_cli_observe *observe, uint32_t columns, uint32_t rows,
                                  weft_mesh_options *options) {
  options->count_links = counts(observe);
  if (!records(observe)) return NULL;
  weft_block where = observe->somewhere ? observe->where : weft_block_of(0, columns, 0, rows);
  if (where.x_end > columns || where.y_end > rows)
    return weft_error(WEFT_INVALID, "--rectangle %s: the mesh has columns 0..%" PRIu32 " and rows 0..%" PRIu32,
                      observe->rectangle, columns - 1, rows - 1);
  observe->observer = (weft_mesh_observer){
      .context = observe, .where = where, .task = take_task, .core = take_core, .stall = take_stall, .hop = take_hop};
  move_window(observe);
  options->observer = &observe->observer;
  return NULL;
}

static void count(weft_cli_observe *observe, const char *phase, const weft_kernel *kernel, const weft_mesh_sim *mesh,
                  uint64_t cycles) {
  weft_activity *activity = observe->phase_count > 0 ? observe->phases[observe->phase_count - 1] : NULL;
  if (!activity || strncmp(activity->name, phase, sizeof activity->name - 1) != 0 ||
      activity->columns != kernel->columns || activity->rows != kernel->rows) {
    activity = weft_activity_create(phase, kernel->columns, kernel->rows, 0);
    observe->phases = weft_grow(observe->phases, observe->phase_count + 1, sizeof(weft_activity *));
    observe->phases[observe->phase_count++] = activity;
  }
  activity->cycles += cycles;
  for (uint32_t y = 0; y < kernel->rows; ++y) {
    for (uint32_t x = 0; x < kernel->columns; ++x) {
      size_t c = (size_t)y * kernel->columns + x;
      weft_core_account account = weft_mesh_core(mesh, x, y);
      weft_core_activity *core = &activity->cores[c];
      core->busy += account.busy_cycles;
      core->receive += account.stall_cycles[WEFT_STALL_RECEIVE];
      core->send += account.stall_cycles[WEFT_STALL_SEND];
      core->microthread += account.stall_cycles[WEFT_STALL_MICROTHREAD];
      core->idle += account.stall_cycles[WEFT_STALL_IDLE];
      core->end = account.end_cycle;
      for (int port = 0; port < WEFT_ACTIVITY_LINKS; ++port)
        activity->links[c][port] += weft_mesh_link(mesh, x, y, (weft_port)port);
    }
  }
}

void weft_cli_observe_take(weft_cli_observe *observe, const char *phase, const weft_kernel *kernel,
                           const weft_mesh_sim *mesh, const weft_mesh_report *report) {
  if (counts(observe)) count(observe, phase, kernel, mesh, report->cycles);
  if (records(observe)) name_spans(observe, kernel);
  observe->elapsed += report->cycles;
  move_window(observe);
}

typedef void (*print_table)(const weft_activity *const *phases, uint32_t phase_count, uint32_t count,
                            weft_table_form form, FILE *out);

static const weft_activity *const *phases_of(const weft_cli_observe *observe) {
  return (const weft_activity *const *)observe->phases;
}

static weft_status write_recording(weft_cli_observe *observe) {
  if (observe->vcd) WEFT_TRY(weft_recording_write_vcd(observe->recording, observe->vcd));
  return observe->trace ? weft_recording_write_trace(observe->recording, observe->trace) : NULL;
}

static weft_status write_files(weft_cli_observe *observe) {
  if (observe->heatmap && observe->phase_count > 0)
    WEFT_TRY(weft_activity_draw(phases_of(observe), observe->phase_count, observe->name, observe->metric,
                                observe->scale, observe->heatmap));
  if (records(observe) && observe->begin >= observe->elapsed)
    return weft_error(WEFT_INVALID, "--window %s: the run has cycles 0..%" PRIu64, observe->window,
                      observe->elapsed > 0 ? observe->elapsed - 1 : 0);
  return write_recording(observe);
}

weft_status weft_cli_observe_give_up(weft_cli_observe *observe, const weft_kernel *kernel, weft_status status) {
  if (!records(observe)) return status;
  name_spans(observe, kernel);
  weft_status written = write_recording(observe);
  if (written)
    weft_log(WEFT_LOG_WARNING, "%s", weft_status_message(written));
  else
    weft_log(WEFT_LOG_INFO, "wrote what happened until then: %s%s%s", observe->vcd ? observe->vcd : "",
             observe->vcd && observe->trace ? ", " : "", observe->trace ? observe->trace : "");
  weft_status_free(written);
  return status;
}

weft_status weft_cli_observe_end(weft_cli_observe *observe, FILE *out) {
  weft_table_form form = observe->csv ? WEFT_TABLE_CSV : WEFT_TABLE_TEXT;
  for (int which = 0; which < 2 && observe->phase_count > 0; ++which) {
    uint32_t count = which == 0 ? observe->links : observe->cores;
    if (count == 0) continue;
    print_table print = which == 0 ? weft_activity_print_links : weft_activity_print_cores;
    if (!observe->csv) fprintf(out, which == 0 ? "\nlinks with most wavelets\n" : "\nbusiest cores\n");
    print(phases_of(observe), observe->phase_count, count, form, out);
  }
  return write_files(observe);
}

static json_t *table_json(const weft_cli_observe *observe, print_table print, uint32_t count) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  if (!memory) return json_null();
  print(phases_of(observe), observe->phase_count, count, WEFT_TABLE_JSON, memory);
  fclose(memory);
  json_t *rows = json_loadb(text, bytes, 0, NULL);
  free(text);
  return rows ? rows : json_null();
}

weft_status weft_cli_observe_end_json(weft_cli_observe *observe, json_t *root) {
  if (observe->links > 0 && observe->phase_count > 0)
    json_object_set_new(root, "links", table_json(observe, weft_activity_print_links, observe->links));
  if (observe->cores > 0 && observe->phase_count > 0)
    json_object_set_new(root, "cores", table_json(observe, weft_activity_print_cores, observe->cores));
  return write_files(observe);
}

void weft_cli_observe_finish(weft_cli_observe *observe) {
  weft_recording_destroy(observe->recording);
  for (uint32_t p = 0; p < observe->phase_count; ++p) weft_activity_destroy(observe->phases[p]);
  free(observe->phases);
  free(observe->heatmap);
  free(observe->metric_name);
  free(observe->vcd);
  free(observe->trace);
  free(observe->rectangle);
  free(observe->window);
  free(observe->links_text);
  free(observe->cores_text);
  *observe = (weft_cli_observe){0};
}
