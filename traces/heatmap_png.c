// A heat map as PNG, through libpng's simplified interface: one byte per pixel, with a palette.
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "traces/heatmap_internal.h"

typedef struct picture {
  uint8_t *pixels;
  uint32_t width, height;
} picture;

static void fill(picture *canvas, uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour) {
  for (uint32_t row = y; row < y + height && row < canvas->height; ++row)
    for (uint32_t column = x; column < x + width && column < canvas->width; ++column)
      canvas->pixels[(size_t)row * canvas->width + column] = (uint8_t)colour;
}

static void write_label(picture *canvas, const heatmap_label *label) {
  uint32_t x = label->x, scale = label->scale;
  for (const char *text = label->text; *text; ++text, x += HEATMAP_LETTER * scale) {
    const unsigned char *glyph = weft_heatmap_glyph(*text);
    for (uint32_t row = 0; row < 7; ++row)
      for (uint32_t column = 0; column < 5; ++column)
        if (glyph[row] >> (4 - column) & 1)
          fill(canvas, x + column * scale, label->y + row * scale, scale, scale, HEATMAP_INK);
  }
}

static void draw_panel(picture *canvas, const weft_heatmap *map, const weft_heatmap_layout *layout, uint32_t panel) {
  uint32_t left = layout->panel_x + panel % layout->across * layout->pitch_x;
  uint32_t top = layout->panel_y + panel / layout->across * layout->pitch_y;
  const float *values = map->panels[panel].values;
  for (uint32_t y = 0; y < map->rows; ++y)
    for (uint32_t x = 0; x < map->columns; ++x)
      fill(canvas, left + x * layout->cell, top + y * layout->cell_height, layout->cell, layout->cell_height,
           weft_heatmap_colour_of(map, values[(size_t)y * map->columns + x]));
}

static void draw(picture *canvas, const weft_heatmap *map, const weft_heatmap_layout *layout) {
  memset(canvas->pixels, HEATMAP_PAPER, (size_t)canvas->width * canvas->height);
  for (uint32_t p = 0; p < map->panel_count; ++p) draw_panel(canvas, map, layout, p);
  for (uint32_t x = 0; x < layout->bar_width; ++x)
    fill(canvas, layout->bar_x + x, layout->bar_y, 1, layout->bar_height,
         (uint32_t)((uint64_t)x * WEFT_HEATMAP_COLOURS / layout->bar_width));
  heatmap_label label;
  for (uint32_t l = 0; weft_heatmap_label(map, layout, l, &label); ++l) write_label(canvas, &label);
}

static weft_status encode(const picture *canvas, const char *path) {
  uint8_t palette[HEATMAP_PALETTE][3];
  weft_heatmap_palette(palette);
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = canvas->width,
                     .height = canvas->height,
                     .format = PNG_FORMAT_RGB_COLORMAP,
                     .colormap_entries = HEATMAP_PALETTE};
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  void *bytes = NULL;
  WEFT_TRY(weft_allocate_large(size, "a heat map's file", &bytes));
  weft_status status = NULL;
  if (png_image_write_to_memory(&image, bytes, &size, 0, canvas->pixels, (png_int_32)canvas->width, palette))
    status = weft_file_write(path, bytes, size);
  else
    status = weft_error(WEFT_FAILED, "%s: libpng: %s", path, image.message);
  png_image_free(&image);
  weft_free_large(bytes);
  return status;
}

weft_status weft_heatmap_write_png(const weft_heatmap *map, const char *path) {
  weft_heatmap_layout layout = weft_heatmap_arrange(map);
  picture canvas = {.width = layout.width, .height = layout.height};
  void *pixels = NULL;
  WEFT_TRY(weft_allocate_large((size_t)canvas.width * canvas.height, "a heat map's pixels", &pixels));
  canvas.pixels = pixels;
  draw(&canvas, map, &layout);
  weft_status status = encode(&canvas, path);
  weft_free_large(pixels);
  return status;
}
