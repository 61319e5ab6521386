// A heat map as SVG 1.1.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "traces/heatmap_internal.h"

enum { MOST_RECTANGLES = 4096 };

typedef struct svg_file {
  FILE *out;
  const weft_heatmap *map;
  weft_heatmap_layout layout;
  uint8_t palette[HEATMAP_PALETTE][3];
} svg_file;

static void write_escaped(FILE *out, const char *text) {
  for (; *text; ++text) {
    switch (*text) {
      case '<': fputs("&lt;", out); break;
      case '>': fputs("&gt;", out); break;
      case '&': fputs("&amp;", out); break;
      case '"': fputs("&quot;", out); break;
      default: fputc((unsigned char)*text < ' ' ? '?' : *text, out);
    }
  }
}

static void write_fill(const svg_file *file, uint32_t colour) {
  const uint8_t *rgb = file->palette[colour];
  fprintf(file->out, "fill=\"#%02x%02x%02x\"", rgb[0], rgb[1], rgb[2]);
}

static void write_cores(const svg_file *file, const float *values) {
  const weft_heatmap *map = file->map;
  for (uint32_t y = 0; y < map->rows; ++y) {
    for (uint32_t x = 0; x < map->columns; ++x) {
      float value = values[(size_t)y * map->columns + x];
      fprintf(file->out, "<rect class=\"core\" x=\"%" PRIu32 "\" y=\"%" PRIu32 "\" width=\"1\" height=\"1\" ", x, y);
      write_fill(file, weft_heatmap_colour_of(map, value));
      fprintf(file->out, "><title>(%" PRIu32 ", %" PRIu32 "): %.6g ", x, y, (double)value);
      write_escaped(file->out, map->unit);
      fputs("</title></rect>\n", file->out);
    }
  }
}

// Runs of one colour, as closed paths; the rows are coloured once and looked through once per colour that occurs.
static void write_runs(const svg_file *file, const float *values) {
  const weft_heatmap *map = file->map;
  size_t cores = (size_t)map->columns * map->rows;
  uint8_t *colours = weft_allocate(cores);
  bool used[HEATMAP_PALETTE] = {false};
  for (size_t c = 0; c < cores; ++c) {
    colours[c] = (uint8_t)weft_heatmap_colour_of(map, values[c]);
    used[colours[c]] = true;
  }
  for (uint32_t colour = 0; colour < HEATMAP_PALETTE; ++colour) {
    if (!used[colour]) continue;
    fputs("<path ", file->out);
    write_fill(file, colour);
    fputs(" d=\"", file->out);
    for (uint32_t y = 0; y < map->rows; ++y) {
      const uint8_t *row = colours + (size_t)y * map->columns;
      for (uint32_t x = 0, end; x < map->columns; x = end) {
        for (end = x + 1; end < map->columns && row[end] == row[x];) ++end;
        if (row[x] == colour)
          fprintf(file->out, "M%" PRIu32 " %" PRIu32 "h%" PRIu32 "v1H%" PRIu32 "z", x, y, end - x, x);
      }
    }
    fputs("\"/>\n", file->out);
  }
  free(colours);
}

static void write_legend(const svg_file *file) {
  const weft_heatmap_layout *layout = &file->layout;
  double width = (double)layout->bar_width / WEFT_HEATMAP_COLOURS;
  for (uint32_t c = 0; c < WEFT_HEATMAP_COLOURS; ++c) {
    fprintf(file->out, "<rect x=\"%.3f\" y=\"%" PRIu32 "\" width=\"%.3f\" height=\"%" PRIu32 "\" ",
            layout->bar_x + c * width, layout->bar_y, width, layout->bar_height);
    write_fill(file, c);
    fputs("/>\n", file->out);
  }
  fputs("<g font-family=\"monospace\" ", file->out);
  write_fill(file, HEATMAP_INK);
  fputs(">\n", file->out);
  heatmap_label label;
  for (uint32_t l = 0; weft_heatmap_label(file->map, layout, l, &label); ++l) {
    // A letter of a monospaced face is about 0.6 em wide, so the size makes it as wide as the layout thinks.
    fprintf(file->out, "<text x=\"%" PRIu32 "\" y=\"%" PRIu32 "\" font-size=\"%" PRIu32 "\">", label.x,
            label.y + 7 * label.scale, HEATMAP_LETTER * label.scale * 10 / 6);
    write_escaped(file->out, label.text);
    fputs("</text>\n", file->out);
  }
  fputs("</g>\n", file->out);
}

static void draw(const svg_file *file) {
  const weft_heatmap *map = file->map;
  const weft_heatmap_layout *layout = &file->layout;
  fprintf(file->out,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" "
          "width=\"%" PRIu32 "\" height=\"%" PRIu32 "\" viewBox=\"0 0 %" PRIu32 " %" PRIu32 "\">\n<title>",
          layout->width, layout->height, layout->width, layout->height);
  write_escaped(file->out, map->title);
  fputs("</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", file->out);
  for (uint32_t p = 0; p < map->panel_count; ++p) {
    fprintf(file->out,
            "<g class=\"panel\" transform=\"translate(%" PRIu32 " %" PRIu32 ") scale(%" PRIu32 " %" PRIu32
            ")\" shape-rendering=\"crispEdges\">\n",
            layout->panel_x + p % layout->across * layout->pitch_x,
            layout->panel_y + p / layout->across * layout->pitch_y, layout->cell, layout->cell_height);
    if ((uint64_t)map->columns * map->rows <= MOST_RECTANGLES)
      write_cores(file, map->panels[p].values);
    else
      write_runs(file, map->panels[p].values);
    fputs("</g>\n", file->out);
  }
  write_legend(file);
  fputs("</svg>\n", file->out);
}

weft_status weft_heatmap_write_svg(const weft_heatmap *map, const char *path) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  if (!memory) return weft_error(WEFT_FAILED, "%s: no memory to draw in", path);
  svg_file file = {.out = memory, .map = map, .layout = weft_heatmap_arrange(map)};
  weft_heatmap_palette(file.palette);
  draw(&file);
  weft_status status = NULL;
  bool failed = ferror(memory) != 0;
  if (fclose(memory) != 0 || failed)
    status = weft_error(WEFT_FAILED, "%s: no memory to draw in", path);
  else
    status = weft_file_write(path, text, bytes);
  free(text);
  return status;
}
