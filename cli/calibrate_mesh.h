// weft calibrate --machine: costs of ops fitted to the wavelet level of a mesh.
#ifndef WEFT_CLI_CALIBRATE_MESH_H
#define WEFT_CLI_CALIBRATE_MESH_H

#include <stdbool.h>

#include "base/status.h"
#include "base/table.h"

typedef struct weft_calibrate_mesh {
  const char *machine, *op;  // op NULL: all
  const char *path;          // to write the table to; NULL: nowhere
  bool quick, check;         // check: execute fresh shapes and hold the machine's own table against them
  weft_table_form form;
} weft_calibrate_mesh;

// WEFT_OUTSIDE: a check found a class beyond its stated error.
weft_status weft_calibrate_mesh_run(const weft_calibrate_mesh *request) WEFT_CHECKED;

#endif
