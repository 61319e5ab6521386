// The picture's layout, its texts and colours. heatmap_png.c and heatmap_svg.c draw it.
#include "traces/heatmap.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "traces/heatmap_internal.h"

enum { WISHED_PIXELS = 512, LARGEST_CELL = 32, BAR_HEIGHT = 16, LEGEND_TEXTS = 3 };

static uint32_t text_width(const char *text) { return (uint32_t)strlen(text) * HEATMAP_ADVANCE; }
static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

static void panel_text(const weft_heatmap *map, uint32_t panel, char out[160]) {
  const char *name = map->panels[panel].name;
  snprintf(out, 160, "%.100s%sx 0..%" PRIu32 ", y 0..%" PRIu32, name, *name ? ", " : "", map->columns - 1,
           map->rows - 1);
}

weft_heatmap_layout weft_heatmap_arrange(const weft_heatmap *map) {
  uint32_t longest = larger(map->columns, map->rows);
  weft_heatmap_layout layout = {.cell = WISHED_PIXELS / longest};
  layout.cell = layout.cell < 1 ? 1 : layout.cell > LARGEST_CELL ? LARGEST_CELL : layout.cell;
  while (layout.across * layout.across < map->panel_count) ++layout.across;
  uint32_t down = (map->panel_count + layout.across - 1) / layout.across;
  uint32_t widest = map->columns * layout.cell;
  char text[160];
  for (uint32_t p = 0; p < map->panel_count; ++p) {
    panel_text(map, p, text);
    widest = larger(widest, text_width(text));
  }
  layout.pitch_x = widest + HEATMAP_MARGIN;
  layout.pitch_y = map->rows * layout.cell + HEATMAP_LINE + HEATMAP_MARGIN;
  layout.panel_x = HEATMAP_MARGIN;
  layout.panel_y = HEATMAP_MARGIN + 2 * HEATMAP_LINE;
  layout.bar_x = HEATMAP_MARGIN;
  layout.bar_y = layout.panel_y + down * layout.pitch_y - HEATMAP_LINE;
  layout.bar_width = larger(layout.pitch_x - HEATMAP_MARGIN, WEFT_HEATMAP_COLOURS);
  layout.bar_height = BAR_HEIGHT;
  uint32_t inner = larger(layout.across * layout.pitch_x - HEATMAP_MARGIN, text_width(map->title));
  inner = larger(inner, layout.bar_width + HEATMAP_MARGIN + text_width(map->unit));
  layout.width = inner + 2 * HEATMAP_MARGIN;
  layout.height = layout.bar_y + BAR_HEIGHT + 4 + HEATMAP_LINE + HEATMAP_MARGIN;
  return layout;
}

// 0: the title; the panels; low, middle and high of the legend; its unit.
int weft_heatmap_label(const weft_heatmap *map, const weft_heatmap_layout *layout, uint32_t index,
                       heatmap_label *out_label) {
  heatmap_label label = {.x = HEATMAP_MARGIN, .y = HEATMAP_MARGIN};
  uint32_t bottom = layout->bar_y + layout->bar_height + 4;
  if (index == 0) {
    snprintf(label.text, sizeof label.text, "%s", map->title);
  } else if (index <= map->panel_count) {
    uint32_t p = index - 1;
    panel_text(map, p, label.text);
    label.x = layout->panel_x + p % layout->across * layout->pitch_x;
    label.y = layout->panel_y + p / layout->across * layout->pitch_y - HEATMAP_LINE;
  } else if (index <= map->panel_count + LEGEND_TEXTS) {
    uint32_t place = index - map->panel_count - 1;
    snprintf(label.text, sizeof label.text, "%.4g", map->low + (map->high - map->low) * place / (LEGEND_TEXTS - 1));
    uint32_t width = text_width(label.text);
    label.x = layout->bar_x + (layout->bar_width - width) * place / (LEGEND_TEXTS - 1);
    label.y = bottom;
  } else if (index == map->panel_count + LEGEND_TEXTS + 1) {
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
