// Where threads and memory go. The one file that knows hwloc.
//
// With one NUMA node the operating system places threads: pinning would only hinder it when other programs run. With
// several, workers are bound to cores spread over the nodes (the caller's own thread never is, for its binding would be
// inherited by whatever threads it makes later), and memory that the opening thread allocates from then on is
// interleaved over the nodes until the device is closed.
#include <hwloc.h>
#include <limits.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/cpu/cpu.h"

enum { MOST_THREADS = 1024 };

struct cpu_place {
  hwloc_topology_t topology;
  hwloc_cpuset_t allowed;
  int threads, cores, nodes;
  uint32_t units;
  bool interleaved;
};

static int at_least_one(int count) { return count > 0 ? count : 1; }

static void look_around(cpu_place *p) {
  p->allowed = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(p->topology));
  hwloc_bitmap_t bound = hwloc_bitmap_alloc();
  if (hwloc_get_cpubind(p->topology, bound, HWLOC_CPUBIND_PROCESS) == 0 && !hwloc_bitmap_iszero(bound))
    hwloc_bitmap_and(p->allowed, p->allowed, bound);
  hwloc_bitmap_free(bound);
  p->cores = at_least_one(hwloc_get_nbobjs_inside_cpuset_by_type(p->topology, p->allowed, HWLOC_OBJ_CORE));
  p->nodes = at_least_one(hwloc_get_nbobjs_inside_cpuset_by_type(p->topology, p->allowed, HWLOC_OBJ_NUMANODE));
  p->units = (uint32_t)at_least_one(hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_PU));
}

weft_status weft_cpu_place_open(uint32_t threads, cpu_place **out_place) {
  if (threads > MOST_THREADS)
    return weft_error(WEFT_INVALID, "%u threads asked for; 1 to %d are possible, 0 means one per core", threads,
                      MOST_THREADS);
  cpu_place *p = weft_allocate(sizeof *p);
  if (hwloc_topology_init(&p->topology) != 0) {
    free(p);
    return weft_error(WEFT_FAILED, "hwloc cannot start");
  }
  if (hwloc_topology_load(p->topology) != 0) {
    hwloc_topology_destroy(p->topology);
    free(p);
    return weft_error(WEFT_FAILED, "hwloc cannot read this computer's topology");
  }
  look_around(p);
  p->threads = threads ? (int)threads : p->cores;
  if (p->nodes > 1) {
    hwloc_const_nodeset_t nodes = hwloc_topology_get_allowed_nodeset(p->topology);
    p->interleaved = hwloc_set_membind(p->topology, nodes, HWLOC_MEMBIND_INTERLEAVE,
                                       HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0;
  }
  *out_place = p;
  return NULL;
}

void weft_cpu_place_close(cpu_place *p) {
  if (!p) return;
  if (p->interleaved) {
    hwloc_const_nodeset_t nodes = hwloc_topology_get_allowed_nodeset(p->topology);
    (void)hwloc_set_membind(p->topology, nodes, HWLOC_MEMBIND_DEFAULT, HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET);
  }
  hwloc_bitmap_free(p->allowed);
  hwloc_topology_destroy(p->topology);
  free(p);
}

int weft_cpu_place_threads(const cpu_place *p) { return p->threads; }
uint32_t weft_cpu_place_units(const cpu_place *p) { return p->units; }

char *weft_cpu_place_describe(const cpu_place *p) {
  return weft_format("%d core%s, %d memory node%s%s", p->cores, p->cores == 1 ? "" : "s", p->nodes,
                     p->nodes == 1 ? "" : "s", p->interleaved ? " (interleaved)" : "");
}

void weft_cpu_place_bind_worker(const cpu_place *p, int worker) {
  if (p->nodes < 2 || p->threads > p->cores) return;
  hwloc_bitmap_t *sets = weft_allocate_array((size_t)p->threads, sizeof *sets);
  hwloc_obj_t root = hwloc_get_root_obj(p->topology);
  if (hwloc_distrib(p->topology, &root, 1, sets, (unsigned)p->threads, INT_MAX, 0) == 0) {
    hwloc_bitmap_and(sets[worker], sets[worker], p->allowed);
    // A refusal leaves the thread where the system puts it, which is only slower.
    if (!hwloc_bitmap_iszero(sets[worker])) (void)hwloc_set_cpubind(p->topology, sets[worker], HWLOC_CPUBIND_THREAD);
    for (int i = 0; i < p->threads; ++i) hwloc_bitmap_free(sets[i]);
  }
  free(sets);
}
