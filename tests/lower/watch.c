#include "tests/lower/watch.h"

#include "sim/mesh.h"
#include "tests/lower/lower.h"

weft_status see(void *context, uint32_t step, const weft_kernel *kernel, const weft_mesh_sim *mesh,
                const weft_mesh_report *report) {
  seen *s = context;
  assert_true(kernel->checked && weft_mesh_core(mesh, 0, 0).busy_cycles > 0);
  if (step != WEFT_NONE) {
    assert_true(step < s->steps && step >= s->last_step);
    s->last_step = step;
  }
  ++s->kernels;
  s->cycles += report->cycles;
  return NULL;
}
