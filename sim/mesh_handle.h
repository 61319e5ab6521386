// What the door's opaque handle is.
#ifndef WEFT_SIM_MESH_HANDLE_H
#define WEFT_SIM_MESH_HANDLE_H

#include "sim/mesh_state.h"

struct weft_mesh_sim {
  weft::mesh_state state;
};

#endif
