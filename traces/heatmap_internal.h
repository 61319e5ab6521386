// What the two forms of heat maps share. Private to traces/.
#ifndef WEFT_TRACES_HEATMAP_INTERNAL_H
#define WEFT_TRACES_HEATMAP_INTERNAL_H

#include "traces/heatmap.h"

// Text is set in cells of 6 x 9 with glyphs of 5 x 7, doubled but for the names of many panels.
enum {
  HEATMAP_TEXT_SCALE = 2,
  HEATMAP_LETTER = 6,
  HEATMAP_LINE = 9,
  HEATMAP_MARGIN = 16,
  HEATMAP_NO_VALUE = WEFT_HEATMAP_COLOURS,  // palette: the colours, then these
  HEATMAP_PAPER,
  HEATMAP_INK,
  HEATMAP_PALETTE
};

// Rows of a glyph, top first, the leftmost of five columns in bit 4. Bytes outside ASCII draw as '?'.
const unsigned char *weft_heatmap_glyph(char letter);

void weft_heatmap_palette(uint8_t out_rgb[HEATMAP_PALETTE][3]);

// The texts of a map with their places (left end, top) and size, as both forms set them: call with `index` from 0 until
// false. A text may be empty.
typedef struct heatmap_label {
  char text[160];
  uint32_t x, y, scale;
} heatmap_label;
int weft_heatmap_label(const weft_heatmap *map, const weft_heatmap_layout *layout, uint32_t index,
                       heatmap_label *out_label);

weft_status weft_heatmap_write_png(const weft_heatmap *map, const char *path) WEFT_CHECKED;
weft_status weft_heatmap_write_svg(const weft_heatmap *map, const char *path) WEFT_CHECKED;

#endif
