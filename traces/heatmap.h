// Heat maps: one value per core of a mesh, drawn as PNG or SVG. Takes plain arrays, so that whatever has a value per
// core can be drawn.
//
// A picture holds one panel per phase (a step, a kernel, a stretch of time), all with one scale: below `low` and above
// `high` the ends of the colours hold, not-a-number is grey ("no value here"). Around them: the title with the
// coordinates of the corners, the name of each panel, and the legend: colours, three values, unit. x grows to the
// right, y downwards, as in compiler/kernel.h.
//
// Colours. Dark purple (low) through blue and green to light yellow (high), 240 of them. They lie on a curve through
// Oklab, a perceptually uniform colour space (Björn Ottosson, "A perceptual color space for image processing", 2020),
// and are spaced evenly along it: equal steps of the value are equal steps of colour, and lightness always grows, so
// prints in grey can be read too.
//
// A core is a rectangle of cell x cell_height pixels: a square, 1 x 1 on large meshes, but longer than wide (or wider)
// on meshes of few rows (or columns), which would else be a thread. Many panels are drawn smaller, with smaller names.
//
// PNG: 8 bits per pixel with a palette.
// SVG: meshes of up to 4096 cores have one rectangle per core, whose tooltip says its coordinates and value; larger
// ones have one path per colour, made of the runs of equal colour in the rows.
#ifndef WEFT_TRACES_HEATMAP_H
#define WEFT_TRACES_HEATMAP_H

#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WEFT_HEATMAP_COLOURS = 240 };

typedef struct weft_heatmap_panel {
  const char *name;     // "step 12 forward linear"; "" draws none
  const float *values;  // rows x columns, row by row; borrowed
} weft_heatmap_panel;

typedef struct weft_heatmap {
  const char *title, *unit;  // "chain-reduce: busy", "% of cycles"
  uint32_t columns, rows;    // of every panel, at least 1
  double low, high;          // of the scale; low < high
  const weft_heatmap_panel *panels;
  uint32_t panel_count;  // at least 1
} weft_heatmap;

// Where things are, in pixels (PNG) or user units (SVG). Core (x, y) of panel p begins at
// panel_x + (p % across) * pitch_x + x * cell, panel_y + (p / across) * pitch_y + y * cell_height. Its name stands
// above in up to name_lines lines of name_letters letters.
typedef struct weft_heatmap_layout {
  uint32_t width, height, cell, cell_height, across, panel_x, panel_y, pitch_x, pitch_y;
  uint32_t bar_x, bar_y, bar_width, bar_height;
  uint32_t name_scale, name_lines, name_letters;
} weft_heatmap_layout;
weft_heatmap_layout weft_heatmap_arrange(const weft_heatmap *map);

// The next of 1, 2, 5 x 10^n at or above every value of all panels; 1 when none is above 0.
double weft_heatmap_nice_high(const weft_heatmap_panel *panels, uint32_t panel_count, uint64_t values_each);

// Red, green, blue in sRGB of colour 0 .. WEFT_HEATMAP_COLOURS - 1.
void weft_heatmap_colours(uint8_t out_rgb[WEFT_HEATMAP_COLOURS][3]);
// The colour of a value of this map; WEFT_HEATMAP_COLOURS for not-a-number.
uint32_t weft_heatmap_colour_of(const weft_heatmap *map, float value);

// Writes PATH, whose name ends in .png or .svg, complete or not at all. WEFT_INVALID: another ending (before anything
// is drawn), or a picture of more than 2^31 pixels; WEFT_FAILED: it cannot be written.
weft_status weft_heatmap_check_path(const char *path) WEFT_CHECKED;
weft_status weft_heatmap_write(const weft_heatmap *map, const char *path) WEFT_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
