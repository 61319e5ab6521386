#include "runtime/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/measure_internal.h"

weft_measure_options weft_measure_options_default(void) { return (weft_measure_options){.seconds = 20}; }

void weft_measure_report_finish(weft_measure_report *report) {
  free(report->device);
  report->device = NULL;
}

typedef struct measurement {
  const weft_backend *backend;
  void *device;
  measure_pool pool;
  weft_measure_report report;
  weft_rate *rates;
  uint32_t rate_count;
} measurement;

static bool is_product(weft_op op) {
  return op == WEFT_OP_LINEAR || op == WEFT_OP_LINEAR_BACKWARD_INPUT || op == WEFT_OP_LINEAR_BACKWARD_WEIGHT;
}

// The store's bandwidth bounds streams and updates in sim, so no measured one may exceed it.
static void raise_bandwidth(measurement *m, const measured *result) {
  double bandwidth = result->rate.bytes / result->quickest;
  if (bandwidth > m->report.memory_bytes_per_second) m->report.memory_bytes_per_second = bandwidth;
}

static weft_status measure_bandwidths(measurement *m) {
  uint64_t columns = 4096, rows = m->pool.bytes / 8 / 4 / columns;
  measure_point add = {.op = WEFT_OP_ADD, .dtype = WEFT_F32, .rows = rows, .in = columns};
  measure_point load = {.op = WEFT_OP_LOAD, .dtype = WEFT_F32, .rows = rows, .in = columns, .out = rows};
  measured result;
  WEFT_TRY(weft_measure_run(m->backend, m->device, &m->pool, &add, 0.3, &result));
  raise_bandwidth(m, &result);
  WEFT_TRY(weft_measure_run(m->backend, m->device, &m->pool, &load, 0.3, &result));
  m->report.copy_bytes_per_second = result.rate.bytes / result.rate.seconds;
  return NULL;
}

// A computer that others use as well has slow minutes. Every point is visited in several rounds over the whole grid, so
// that a slow minute falls on one round of many points and not on all rounds of few.
enum { ROUNDS = 3 };

typedef struct visits {
  measured of[ROUNDS];
  bool left_out;  // too large for the pool on this computer; its neighbours serve
} visits;

static weft_status visit(measurement *m, const measure_point *point, double seconds, int round, visits *v) {
  if (v->left_out) return NULL;
  weft_status status = weft_measure_run(m->backend, m->device, &m->pool, point, seconds, &v->of[round]);
  if (weft_status_code(status) == WEFT_INFEASIBLE) {
    weft_status_free(status);
    v->left_out = true;
    return NULL;
  }
  if (!status) return NULL;
  return weft_status_prefix(status, "%s %s, %llu rows: ", weft_op_name(point->op), weft_dtype_name(point->dtype),
                            (unsigned long long)point->rows);
}

static int by_seconds(const void *a, const void *b) {
  double x = ((const measured *)a)->rate.seconds, y = ((const measured *)b)->rate.seconds;
  return (x > y) - (x < y);
}

static void keep(measurement *m, const measure_point *point, visits *v) {
  measured quickest = v->of[0];
  for (int round = 1; round < ROUNDS; ++round)
    if (v->of[round].quickest < quickest.quickest) quickest = v->of[round];
  qsort(v->of, ROUNDS, sizeof *v->of, by_seconds);
  m->rates[m->rate_count++] = v->of[ROUNDS / 2].rate;
  double *peak = &m->report.peak[point->dtype], rate = quickest.rate.flops / quickest.quickest;
  if (is_product(point->op) && rate > *peak) *peak = rate;
  if (point->op >= WEFT_OP_LOAD) raise_bandwidth(m, &quickest);
}

static weft_status measure_points(measurement *m, double seconds, weft_progress *progress) {
  uint32_t count;
  measure_point *points = weft_measure_grid(&count);
  visits *all = weft_allocate_array(count, sizeof *all);
  m->rates = weft_allocate_array(count, sizeof *m->rates);
  if (progress) weft_progress_start(progress, "calibrating", "points", (uint64_t)ROUNDS * count);
  weft_status status = NULL;
  for (uint32_t i = 0; i < ROUNDS * count && !status; ++i) {
    const measure_point *point = &points[i % count];
    status = visit(m, point, seconds / (ROUNDS * count), (int)(i / count), &all[i % count]);
    if (progress) weft_progress_update(progress, i + 1, weft_op_name(point->op));
  }
  if (progress) weft_progress_finish(progress);
  for (uint32_t i = 0; i < count && !status; ++i)
    if (!all[i].left_out) keep(m, &points[i], &all[i]);
  free(all);
  free(points);
  return status;
}

static weft_machine *make_machine(measurement *m) {
  weft_machine *machine = weft_allocate(sizeof *machine);
  const weft_measure_report *r = &m->report;
  char disk[32];
  *machine = weft_machine_default();
  snprintf(machine->name, sizeof machine->name, "host");
  weft_machine_host_identity(machine->host);
  snprintf(machine->about, sizeof machine->about, "this computer, backend %s; disk reads %s (%.60s)", m->backend->name,
           r->disk_bytes_per_second > 0 ? weft_text_si(r->disk_bytes_per_second, "B/s", disk) : "unknown",
           r->disk_note);
  machine->kind = WEFT_ROOFLINE;
  machine->measured = true;
  weft_roofline *roofline = &machine->roofline;
  *roofline = (weft_roofline){.f32_flops_per_second = r->peak[WEFT_F32],
                              .bf16_flops_per_second = r->peak[WEFT_BF16],
                              .f16_flops_per_second = r->peak[WEFT_F32],  // converted to f32 by the backends there are
                              .memory_bytes = weft_measure_memory_bytes(),
                              .memory_bytes_per_second = r->memory_bytes_per_second,
                              .step_seconds = r->step_seconds,
                              .cores = r->threads,
                              .shared_cores = true,
                              .copy_bytes_per_second = r->copy_bytes_per_second,
                              .sharing_efficiency = r->sharing_efficiency,
                              .compute_efficiency = 1,
                              .memory_efficiency = 1,
                              .rates = m->rates,
                              .rate_count = m->rate_count};
  m->rates = NULL;
  // Store and device are one memory.
  machine->io_in_bytes_per_second = machine->io_out_bytes_per_second = r->memory_bytes_per_second;
  machine->io_latency_seconds = 0;
  machine->store_bytes = roofline->memory_bytes;
  machine->store_bytes_per_second = r->memory_bytes_per_second;
  machine->max_systems = 1;
  machine->layer_seconds = 0;
  machine->power_watts = machine->price_usd = 0;
  return machine;
}

static weft_status measure_all(measurement *m, const weft_measure_options *options, weft_progress *progress) {
  uint64_t bytes = options->pool_bytes;
  if (!bytes) {
    double eighth = weft_measure_memory_bytes() / 8;
    bytes = eighth < 256.0 * (1 << 20) ? (uint64_t)eighth : 256u << 20;
  }
  void *memory;
  WEFT_TRY(weft_allocate_large(bytes, "the operands of measurements", &memory));
  weft_measure_pool_open(&m->pool, memory, bytes);
  m->report.device = m->backend->describe(m->device);
  m->report.threads = (uint32_t)strtoul(m->report.device, NULL, 10);  // "2 threads, ..."
  if (!m->report.threads) m->report.threads = 1;
  m->report.step_seconds = weft_measure_hand_over_seconds();
  m->report.disk_bytes_per_second = weft_measure_disk(m->report.disk_note, sizeof m->report.disk_note);
  WEFT_TRY(measure_bandwidths(m));
  WEFT_TRY(weft_measure_sharing(m->backend, m->device, &m->pool, m->report.threads, &m->report.sharing_efficiency));
  return measure_points(m, options->seconds, progress);
}

weft_status weft_measure_host(const weft_backend *backend, const weft_measure_options *options, weft_progress *progress,
                              weft_machine **out_machine, weft_measure_report *out_report) {
  if (!(options->seconds > 0 && options->seconds <= 86400))
    return weft_error(WEFT_INVALID, "%g seconds to measure in; more than 0 and at most 86400 is right",
                      options->seconds);
  measurement m = {.backend = backend};
  WEFT_TRY(backend->open(&options->backend, &m.device));
  weft_status status = measure_all(&m, options, progress);
  weft_machine *machine = status ? NULL : make_machine(&m);
  if (machine) status = weft_machine_check(machine);
  weft_free_large(m.pool.memory);
  free(m.rates);
  backend->close(m.device);
  if (status) {
    weft_machine_destroy(machine);
    weft_measure_report_finish(&m.report);
    return weft_status_prefix(status, "measuring backend %s: ", backend->name);
  }
  *out_machine = machine;
  *out_report = m.report;
  return NULL;
}
