// The picture's layout, its texts and colours. heatmap_png.c and heatmap_svg.c draw it.
#include "traces/heatmap.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "traces/heatmap_internal.h"

enum {
  WISHED_PIXELS = 512,  // of a panel's longer side
  WISHED_SUM = 3072,    // of all panels side by side
  LEAST_PANEL = 224,
  LEAST_SIDE = 48,  // of a panel's shorter side
  LARGEST_CELL = 32,
  BAR_HEIGHT = 16,
  LEGEND_TEXTS = 3,
  TITLE_TEXTS = 2,
  MANY_PANELS = 9,
  MOST_NAME_LINES = 3
};

static uint32_t text_width(const char *text, uint32_t scale) { return (uint32_t)strlen(text) * HEATMAP_LETTER * scale; }
static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }
static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void corners_text(const weft_heatmap *map, char out[160]) {
  snprintf(out, 160, "cores x 0..%" PRIu32 ", y 0..%" PRIu32, map->columns - 1, map->rows - 1);
}

// A side of `cores` in cells of `cell`, made longer where it would be a thread.
static uint32_t stretched(uint32_t cell, uint32_t cores) {
  return larger(cell, smaller(LARGEST_CELL, LEAST_SIDE / cores));
}

static void arrange_panels(const weft_heatmap *map, weft_heatmap_layout *layout) {
  while (layout->across * layout->across < map->panel_count) ++layout->across;
  uint32_t wished = smaller(WISHED_PIXELS, larger(LEAST_PANEL, WISHED_SUM / layout->across));
  uint32_t cell = smaller(LARGEST_CELL, larger(1, wished / larger(map->columns, map->rows)));
  layout->cell = stretched(cell, map->columns);
  layout->cell_height = stretched(cell, map->rows);
  uint32_t longest = 0, width = map->columns * layout->cell;
  for (uint32_t p = 0; p < map->panel_count; ++p) longest = larger(longest, (uint32_t)strlen(map->panels[p].name));
  layout->name_scale = map->panel_count >= MANY_PANELS ? 1 : HEATMAP_TEXT_SCALE;
  uint32_t letter = HEATMAP_LETTER * layout->name_scale;
  if (longest > 0) width = larger(width, smaller(longest * letter, LEAST_PANEL));
  layout->name_letters = width / letter;
  if (longest > 0)
    layout->name_lines = smaller(MOST_NAME_LINES, (longest + layout->name_letters - 1) / layout->name_letters);
  layout->pitch_x = width + HEATMAP_MARGIN;
  layout->pitch_y =
      map->rows * layout->cell_height + layout->name_lines * HEATMAP_LINE * layout->name_scale + HEATMAP_MARGIN;
}

weft_heatmap_layout weft_heatmap_arrange(const weft_heatmap *map) {
  const uint32_t line = HEATMAP_LINE * HEATMAP_TEXT_SCALE;
  weft_heatmap_layout layout = {0};
  arrange_panels(map, &layout);
  uint32_t down = (map->panel_count + layout.across - 1) / layout.across;
  uint32_t names = layout.name_lines * HEATMAP_LINE * layout.name_scale;
  layout.panel_x = HEATMAP_MARGIN;
  layout.panel_y = HEATMAP_MARGIN + TITLE_TEXTS * line + HEATMAP_MARGIN / 2 + names;
  layout.bar_x = HEATMAP_MARGIN;
  layout.bar_y = layout.panel_y + down * layout.pitch_y - names;
  layout.bar_width =
      larger(smaller(layout.across * layout.pitch_x - HEATMAP_MARGIN, 3 * WEFT_HEATMAP_COLOURS), WEFT_HEATMAP_COLOURS);
  layout.bar_height = BAR_HEIGHT;
  char corners[160];
  corners_text(map, corners);
  uint32_t inner = layout.across * layout.pitch_x - HEATMAP_MARGIN;
  inner = larger(inner, text_width(map->title, HEATMAP_TEXT_SCALE));
  inner = larger(inner, text_width(corners, HEATMAP_TEXT_SCALE));
  inner = larger(inner, layout.bar_width + HEATMAP_MARGIN + text_width(map->unit, HEATMAP_TEXT_SCALE));
  layout.width = inner + 2 * HEATMAP_MARGIN;
  layout.height = layout.bar_y + BAR_HEIGHT + 4 + line + HEATMAP_MARGIN;
  return layout;
}

// Line `line` of a panel's name; the last one ends in dots where there is more.
static void name_label(const weft_heatmap *map, const weft_heatmap_layout *layout, uint32_t panel, uint32_t line,
                       heatmap_label *label) {
  const char *name = map->panels[panel].name;
  uint32_t first = line * layout->name_letters, length = (uint32_t)strlen(name);
  uint32_t letters = smaller(layout->name_letters, sizeof label->text - 1);
  if (first < length) snprintf(label->text, letters + 1u, "%s", name + first);
  if (line + 1 == layout->name_lines && length > first + layout->name_letters)
    memset(label->text + letters - 2, '.', 2);
  label->scale = layout->name_scale;
  label->x = layout->panel_x + panel % layout->across * layout->pitch_x;
  label->y = layout->panel_y + panel / layout->across * layout->pitch_y -
             (layout->name_lines - line) * HEATMAP_LINE * layout->name_scale;
}

// The title and its second line; the panels' names; low, middle and high of the legend; its unit.
int weft_heatmap_label(const weft_heatmap *map, const weft_heatmap_layout *layout, uint32_t index,
                       heatmap_label *out_label) {
  heatmap_label label = {.x = HEATMAP_MARGIN, .y = HEATMAP_MARGIN, .scale = HEATMAP_TEXT_SCALE};
  uint32_t names = map->panel_count * layout->name_lines;
  if (index == 0) {
    snprintf(label.text, sizeof label.text, "%s", map->title);
  } else if (index == 1) {
    corners_text(map, label.text);
    label.y += HEATMAP_LINE * HEATMAP_TEXT_SCALE;
  } else if (index < TITLE_TEXTS + names) {
    uint32_t n = index - TITLE_TEXTS;
    name_label(map, layout, n / layout->name_lines, n % layout->name_lines, &label);
  } else if (index < TITLE_TEXTS + names + LEGEND_TEXTS) {
    uint32_t place = index - TITLE_TEXTS - names;
    snprintf(label.text, sizeof label.text, "%.4g", map->low + (map->high - map->low) * place / (LEGEND_TEXTS - 1));
    uint32_t width = text_width(label.text, label.scale);
    label.x = layout->bar_x + (layout->bar_width - width) * place / (LEGEND_TEXTS - 1);
    label.y = layout->bar_y + layout->bar_height + 4;
  } else if (index == TITLE_TEXTS + names + LEGEND_TEXTS) {
    snprintf(label.text, sizeof label.text, "%s", map->unit);
    label.x = layout->bar_x + layout->bar_width + HEATMAP_MARGIN;
    label.y = layout->bar_y + 1;
  } else {
    return 0;
  }
  *out_label = label;
  return 1;
}

double weft_heatmap_nice_high(const weft_heatmap_panel *panels, uint32_t panel_count, uint64_t values_each) {
  double most = 0;
  for (uint32_t p = 0; p < panel_count; ++p)
    for (uint64_t v = 0; v < values_each; ++v)
      if ((double)panels[p].values[v] > most) most = (double)panels[p].values[v];
  if (!(most > 0) || isinf(most)) return 1;
  double power = pow(10, floor(log10(most)));
  // The values are f32: 0.1 of a cycle is a little more than 0.1, and still fits a scale up to 0.1.
  const double steps[] = {1, 2, 5, 10};
  for (int s = 0; s < 3; ++s)
    if (most <= steps[s] * power * (1 + 1e-6)) return steps[s] * power;
  return steps[3] * power;
}

// ---- colours

typedef struct oklab {
  double lightness, a, b;
} oklab;

// Lightness grows from 0.20 to 0.94, chroma from 0.08 to 0.12, hue turns from 320 to 110 degrees: all inside sRGB.
static oklab curve(double t) {
  double lightness = 0.20 + 0.74 * t, chroma = 0.08 + 0.04 * t, hue = (320 - 210 * t) * (3.14159265358979323846 / 180);
  return (oklab){lightness, chroma * cos(hue), chroma * sin(hue)};
}

static double distance(oklab from, oklab to) {
  double l = to.lightness - from.lightness, a = to.a - from.a, b = to.b - from.b;
  return sqrt(l * l + a * a + b * b);
}

static uint8_t encode(double linear) {
  double value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;  // IEC 61966-2-1
  return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : 255 * value + 0.5);
}

// The matrices are those of Ottosson's page (bottosson.github.io/posts/oklab).
static void to_srgb(oklab colour, uint8_t out_rgb[3]) {
  double l = colour.lightness + 0.3963377774 * colour.a + 0.2158037573 * colour.b;
  double m = colour.lightness - 0.1055613458 * colour.a - 0.0638541728 * colour.b;
  double s = colour.lightness - 0.0894841775 * colour.a - 1.2914855480 * colour.b;
  l = l * l * l, m = m * m * m, s = s * s * s;
  out_rgb[0] = encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  out_rgb[1] = encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  out_rgb[2] = encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);
}

void weft_heatmap_colours(uint8_t out_rgb[WEFT_HEATMAP_COLOURS][3]) {
  enum { PIECES = 4096 };
  double length = 0;
  for (int i = 0; i < PIECES; ++i) length += distance(curve((double)i / PIECES), curve((double)(i + 1) / PIECES));
  double walked = 0;
  uint32_t next = 0;
  for (int i = 0; i < PIECES && next < WEFT_HEATMAP_COLOURS - 1; ++i) {
    double piece = distance(curve((double)i / PIECES), curve((double)(i + 1) / PIECES));
    while (next < WEFT_HEATMAP_COLOURS - 1 && length * next / (WEFT_HEATMAP_COLOURS - 1) < walked + piece) {
      double rest = (length * next / (WEFT_HEATMAP_COLOURS - 1) - walked) / piece;
      to_srgb(curve((i + rest) / PIECES), out_rgb[next++]);
    }
    walked += piece;
  }
  to_srgb(curve(1), out_rgb[WEFT_HEATMAP_COLOURS - 1]);
}

uint32_t weft_heatmap_colour_of(const weft_heatmap *map, float value) {
  if (isnan(value)) return WEFT_HEATMAP_COLOURS;
  double place = ((double)value - map->low) / (map->high - map->low);
  if (!(place > 0)) return 0;
  if (place >= 1) return WEFT_HEATMAP_COLOURS - 1;
  return (uint32_t)(place * (WEFT_HEATMAP_COLOURS - 1) + 0.5);
}

void weft_heatmap_palette(uint8_t out_rgb[HEATMAP_PALETTE][3]) {
  weft_heatmap_colours(out_rgb);
  memset(out_rgb[HEATMAP_NO_VALUE], 0xb0, 3);
  memset(out_rgb[HEATMAP_PAPER], 0xff, 3);
  memset(out_rgb[HEATMAP_INK], 0x20, 3);
}

// ---- files

static bool ends_in(const char *path, const char *ending) {
  size_t length = strlen(path), tail = strlen(ending);
  return length > tail && strcmp(path + length - tail, ending) == 0;
}

weft_status weft_heatmap_check_path(const char *path) {
  if (ends_in(path, ".png") || ends_in(path, ".svg")) return NULL;
  return weft_error(WEFT_INVALID, "%s: a heat map's file is named .png or .svg", path);
}

weft_status weft_heatmap_write(const weft_heatmap *map, const char *path) {
  assert(map->columns > 0 && map->rows > 0 && map->panel_count > 0 && map->low < map->high);
  WEFT_TRY(weft_heatmap_check_path(path));
  double panels = ceil(sqrt(map->panel_count));
  if (panels * panels * map->columns * map->rows > INT32_MAX)
    return weft_error(WEFT_INVALID,
                      "%s: %" PRIu32 " panels of %" PRIu32 " x %" PRIu32 " cores are more than 2^31 pixels", path,
                      map->panel_count, map->columns, map->rows);
  return ends_in(path, ".png") ? weft_heatmap_write_png(map, path) : weft_heatmap_write_svg(map, path);
}
