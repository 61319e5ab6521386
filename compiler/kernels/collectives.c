// Broadcast, and what all collectives share.
#include "compiler/kernels/collectives_internal.h"

weft_collective weft_collective_default(uint32_t columns, uint32_t rows, uint32_t words) {
  return (weft_collective){
      .columns = columns, .rows = rows, .words = words, .dtype = WEFT_F32, .pattern = WEFT_REDUCE_CHAIN, .levels = 2};
}

uint32_t weft_collective_elements(const weft_collective *what) {
  return what->dtype == WEFT_F32 ? what->words : 2 * what->words;
}

weft_status weft_collective_check(const weft_collective *what) {
  if (what->columns == 0 || what->rows == 0)
    return weft_error(WEFT_INVALID, "a collective on %u x %u cores; at least 1 x 1 is right", what->columns,
                      what->rows);
  if (what->root_x >= what->columns || what->root_y >= what->rows)
    return weft_error(WEFT_INVALID, "the root (%u, %u) is not on the mesh of %u x %u cores", what->root_x, what->root_y,
                      what->columns, what->rows);
  if (what->words == 0 || what->words > UINT32_MAX / 4)
    return weft_error(WEFT_INVALID, "%u words per core; 1 to %u are right", what->words, UINT32_MAX / 4);
  if (what->dtype != WEFT_F32 && what->dtype != WEFT_F16 && what->dtype != WEFT_BF16)
    return weft_error(WEFT_INVALID, "collectives move f32, f16 and bf16, not %s", weft_dtype_name(what->dtype));
  if (what->pattern >= WEFT_REDUCE_PATTERNS)
    return weft_error(WEFT_INVALID, "pattern of reduce %u; 0 to %d are right", (unsigned)what->pattern,
                      WEFT_REDUCE_PATTERNS - 1);
  if (what->pattern == WEFT_REDUCE_K_TREE && what->levels == 0)
    return weft_error(WEFT_INVALID, "a K-tree of 0 levels; at least 1 is right");
  return NULL;
}

weft_operand weft_collective_receive(const weft_collective *what, uint32_t colour) {
  weft_operand o = weft_receive(colour, what->dtype);
  return what->dtype == WEFT_F32 ? o : weft_packed(o);
}

weft_operand weft_collective_send(const weft_collective *what, uint32_t colour) {
  weft_operand o = weft_send(colour, what->dtype);
  return what->dtype == WEFT_F32 ? o : weft_packed(o);
}

uint32_t weft_collective_begin(weft_kernel *kernel, uint32_t program, weft_dtype dtype, uint32_t elements) {
  uint32_t data = weft_kernel_array(kernel, program, "data", dtype, elements);
  weft_array *array = weft_kernel_array_at(kernel, program, data);
  array->input = array->output = true;
  (void)weft_kernel_task(kernel, program, "main", WEFT_AT_START);
  return data;
}

static uint32_t port_if(bool wanted, weft_port port) { return wanted ? 1u << port : 0; }

static void route_if(weft_kernel *kernel, bool wanted, weft_block block, uint32_t colour, weft_port from, uint32_t to) {
  if (wanted && block.x < block.x_end && block.y < block.y_end)
    (void)weft_kernel_route(kernel, block, colour, from, to);
}

void weft_broadcast_routes(weft_kernel *kernel, const weft_collective *what, uint32_t colour) {
  uint32_t x = what->root_x, y = what->root_y, columns = what->columns, rows = what->rows;
  uint32_t ramp = 1u << WEFT_RAMP;
  uint32_t up_down = port_if(y > 0, WEFT_NORTH) | port_if(y + 1 < rows, WEFT_SOUTH);
  uint32_t east = port_if(x + 1 < columns, WEFT_EAST), west = port_if(x > 0, WEFT_WEST);
  route_if(kernel, (up_down | east | west) != 0, weft_block_one(x, y), colour, WEFT_RAMP, up_down | east | west);
  // Along the root's row; the last router of each side passes nothing on.
  route_if(kernel, east, weft_block_of(x + 1, columns - 1, y, y + 1), colour, WEFT_WEST,
           up_down | ramp | 1u << WEFT_EAST);
  route_if(kernel, east, weft_block_one(columns - 1, y), colour, WEFT_WEST, up_down | ramp);
  route_if(kernel, west, weft_block_of(1, x, y, y + 1), colour, WEFT_EAST, up_down | ramp | 1u << WEFT_WEST);
  route_if(kernel, west, weft_block_one(0, y), colour, WEFT_EAST, up_down | ramp);
  // Every column, away from that row.
  route_if(kernel, y > 0, weft_block_of(0, columns, 1, y), colour, WEFT_SOUTH, ramp | 1u << WEFT_NORTH);
  route_if(kernel, y > 0, weft_block_of(0, columns, 0, 1), colour, WEFT_SOUTH, ramp);
  if (y + 1 == rows) return;
  route_if(kernel, true, weft_block_of(0, columns, y + 1, rows - 1), colour, WEFT_NORTH, ramp | 1u << WEFT_SOUTH);
  route_if(kernel, true, weft_block_of(0, columns, rows - 1, rows), colour, WEFT_NORTH, ramp);
}

weft_status weft_broadcast_kernel(const weft_collective *what, weft_kernel **out_kernel) {
  WEFT_TRY(weft_collective_check(what));
  weft_kernel *kernel = weft_kernel_create("broadcast", what->columns, what->rows);
  uint32_t elements = weft_collective_elements(what);
  bool alone = what->columns == 1 && what->rows == 1;
  weft_broadcast_routes(kernel, what, 0);
  if (!alone) {
    uint32_t others = weft_kernel_program(kernel, "takes");
    weft_kernel_place(kernel, others, weft_block_all(kernel));
    uint32_t data = weft_collective_begin(kernel, others, what->dtype, elements);
    (void)weft_emit1(kernel, others, WEFT_DO_MOVE, elements, weft_all(kernel, others, data),
                     weft_collective_receive(what, 0));
  }
  uint32_t root = weft_kernel_program(kernel, "gives");
  weft_kernel_place(kernel, root, weft_block_one(what->root_x, what->root_y));
  uint32_t data = weft_collective_begin(kernel, root, what->dtype, elements);
  if (!alone)
    (void)weft_emit1(kernel, root, WEFT_DO_MOVE, elements, weft_collective_send(what, 0), weft_all(kernel, root, data));
  *out_kernel = kernel;
  return NULL;
}
