// y = A x on the mesh: partial products, then a two-level tree along every row.
//
//   group 0          group 1          group 2
//   o > R < o        o > R < o        o > R < o        chains to each group's root R, both sides at once
//       R ------------>  M  <------------ R            chain over the roots to the row's root M
//   <---------------- M ---------------->              broadcast
#include <stdlib.h>
#include <string.h>

#include "compiler/kernels/products_internal.h"

// Colours: chains within groups (+ parity of the sender), over the roots (+ parity of its group), and the broadcast.
enum { GROUP_EAST, GROUP_WEST = 2, ROOTS_EAST = 4, ROOTS_WEST = 6, BROADCAST = 8, NO_COLOUR = 255 };

// A core's part in one chain: the colours that it receives from the west and from the east, and that it sends on.
typedef struct tree_link {
  uint8_t from_west, from_east, send;
  uint8_t send_east;  // else west
} tree_link;

typedef struct tree_role {
  tree_link group, roots;
  uint8_t is_root;  // of the row
} tree_role;

// Node `i` of `count` on a chain towards node `root`.
static tree_link link_of(uint32_t i, uint32_t count, uint32_t root, uint8_t east, uint8_t west) {
  tree_link l = {NO_COLOUR, NO_COLOUR, NO_COLOUR, 0};
  if (i <= root && i > 0) l.from_west = (uint8_t)(east + (i + 1) % 2);
  if (i >= root && i + 1 < count) l.from_east = (uint8_t)(west + (i + 1) % 2);
  if (i == root) return l;
  l.send_east = i < root;
  l.send = (uint8_t)((l.send_east ? east : west) + i % 2);
  return l;
}

static uint32_t group_size(const weft_product *product) {
  uint32_t columns = product->options.columns, size = product->options.group;
  if (size) return size;
  for (size = 1; (size + 1) * size < columns; ++size) continue;
  return size;
}

// The core where group `g` adds up.
static uint32_t root_of(const weft_product *product, uint32_t g) {
  uint32_t size = group_size(product), first = g * size, columns = product->options.columns;
  uint32_t end = first + size < columns ? first + size : columns;
  return first + (end - first) / 2;
}

static tree_role role_of(const weft_product *product, uint32_t x) {
  uint32_t size = group_size(product), columns = product->options.columns, groups = (columns + size - 1) / size;
  uint32_t g = x / size, first = g * size, members = first + size < columns ? size : columns - first;
  tree_role r;
  memset(&r, 0, sizeof r);
  r.group = link_of(x - first, members, root_of(product, g) - first, GROUP_EAST, GROUP_WEST);
  r.roots = (tree_link){NO_COLOUR, NO_COLOUR, NO_COLOUR, 0};
  if (x == root_of(product, g)) r.roots = link_of(g, groups, groups / 2, ROOTS_EAST, ROOTS_WEST);
  r.is_root = x == root_of(product, groups / 2);
  return r;
}

static void route(weft_kernel *kernel, uint32_t x, uint32_t colour, weft_port from, uint32_t to) {
  weft_kernel_route(kernel, weft_block_of(x, x + 1, 0, kernel->rows), colour, from, to);
}

static void route_link(weft_kernel *kernel, uint32_t x, tree_link l) {
  if (l.from_west != NO_COLOUR) route(kernel, x, l.from_west, WEFT_WEST, 1u << WEFT_RAMP);
  if (l.from_east != NO_COLOUR) route(kernel, x, l.from_east, WEFT_EAST, 1u << WEFT_RAMP);
  if (l.send != NO_COLOUR) route(kernel, x, l.send, WEFT_RAMP, 1u << (l.send_east ? WEFT_EAST : WEFT_WEST));
}

static void route_all(weft_kernel *kernel, const weft_product *product, const tree_role *roles) {
  uint32_t columns = kernel->columns, size = group_size(product), groups = (columns + size - 1) / size;
  for (uint32_t x = 0; x < columns; ++x) {
    route_link(kernel, x, roles[x].group);
    route_link(kernel, x, roles[x].roots);
  }
  for (uint32_t g = 0; g + 1 < groups; ++g) {  // the way between two roots
    bool east = g < groups / 2;
    uint32_t colour = (east ? ROOTS_EAST + g % 2 : ROOTS_WEST + (g + 1) % 2);
    for (uint32_t x = root_of(product, g) + 1; x < root_of(product, g + 1); ++x)
      route(kernel, x, colour, east ? WEFT_WEST : WEFT_EAST, 1u << (east ? WEFT_EAST : WEFT_WEST));
  }
  uint32_t root = root_of(product, groups / 2);
  for (uint32_t x = 0; x < columns && columns > 1; ++x) {
    uint32_t west = x > 0 ? 1u << WEFT_WEST : 0, east = x + 1 < columns ? 1u << WEFT_EAST : 0, core = 1u << WEFT_RAMP;
    if (x == root)
      route(kernel, x, BROADCAST, WEFT_RAMP, west | east);
    else if (x < root)
      route(kernel, x, BROADCAST, WEFT_EAST, core | west);
    else
      route(kernel, x, BROADCAST, WEFT_WEST, core | east);
  }
}

// Adds what comes and sends it on as it comes, or keeps it.
static void emit_link(const weft_product_program *p, tree_link l) {
  weft_dtype dtype = p->product->options.result;
  uint32_t count = p->product->lead, in[2], arrivals = 0;
  weft_operand c = weft_all(p->kernel, p->program, p->c);
  if (l.from_west != NO_COLOUR) in[arrivals++] = l.from_west;
  if (l.from_east != NO_COLOUR) in[arrivals++] = l.from_east;
  if (l.send == NO_COLOUR) {
    for (uint32_t i = 0; i < arrivals; ++i)
      weft_emit2(p->kernel, p->program, WEFT_DO_ADD, count, c, c, weft_wavelets_in(in[i], dtype));
  } else if (arrivals) {
    weft_emit2(p->kernel, p->program, WEFT_DO_ADD, count, weft_wavelets_out(l.send, dtype), c,
               weft_wavelets_in(in[0], dtype));
  } else {
    weft_emit_send(p, l.send, c, count);
  }
}

static void emit_program(const weft_product *product, weft_kernel *kernel, const tree_role *role,
                         const uint32_t *classes, uint32_t which) {
  weft_product_program p = weft_product_program_begin(product, kernel, "gemv");
  uint32_t *rows = weft_allocate_array(kernel->rows, sizeof *rows);  // all of class 0
  weft_place_classes(kernel, p.program, classes, which, rows, 0);
  free(rows);
  weft_kernel_task(kernel, p.program, "start", WEFT_AT_START);
  weft_emit_product(&p, 0, 0);
  emit_link(&p, role->group);
  emit_link(&p, role->roots);
  if (kernel->columns == 1) return;
  weft_operand c = weft_all(kernel, p.program, p.c);
  if (role->is_root)
    weft_emit_send(&p, BROADCAST, c, product->lead);
  else
    weft_emit_receive(&p, c, BROADCAST, product->lead);
}

weft_kernel *weft_build_gemv_mesh(const weft_product *product) {
  uint32_t columns = product->options.columns;
  weft_kernel *kernel = weft_kernel_create("gemv with a tree of two levels", columns, product->options.rows);
  tree_role *roles = weft_allocate_array(columns, sizeof *roles);
  uint32_t *classes = weft_allocate_array(columns, sizeof *classes);
  for (uint32_t x = 0; x < columns; ++x) roles[x] = role_of(product, x);
  route_all(kernel, product, roles);
  uint32_t found = 0;
  for (uint32_t x = 0; x < columns; ++x) {
    uint32_t same = 0;
    while (same < x && memcmp(&roles[same], &roles[x], sizeof *roles) != 0) ++same;
    classes[x] = same < x ? classes[same] : found++;
  }
  for (uint32_t which = 0; which < found; ++which) {
    uint32_t x = 0;
    while (classes[x] != which) ++x;
    emit_program(product, kernel, &roles[x], classes, which);
  }
  free(classes);
  free(roles);
  return kernel;
}
