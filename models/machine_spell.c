// One-line spellings of machines: "mesh:8x8 sram:48KiB clock:850MHz", "roofline:312TFLOP/s memory:80GB".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "models/machine_fields.h"
#include "models/machine_internal.h"

weft_status weft_rate_parse(const char *op, const char *dtype, const char *rows, const char *flops, const char *bytes,
                            const char *seconds, weft_rate *out_rate) {
  weft_rate rate = {0};
  WEFT_TRY(weft_op_parse(op, &rate.op));
  WEFT_TRY(weft_dtype_parse(dtype, &rate.dtype));
  WEFT_TRY(weft_quantity_parse(rows, WEFT_COUNT_UNIT, &rate.rows));
  WEFT_TRY(weft_quantity_parse(flops, WEFT_COUNT_UNIT, &rate.flops));
  WEFT_TRY(weft_quantity_parse(bytes, WEFT_BYTES, &rate.bytes));
  WEFT_TRY(weft_quantity_parse(seconds, WEFT_SECONDS, &rate.seconds));
  *out_rate = rate;
  return NULL;
}

// Words other than the fields'.
static const char *const extra_words[] = {"mesh", "roofline", "io", "name", "measured", "rate", "costs"};
enum { EXTRA_WORDS = sizeof extra_words / sizeof *extra_words };

static weft_status unknown_word(const char *key) {
  const char *known[WEFT_MACHINE_FIELDS + EXTRA_WORDS];
  size_t count = 0;
  for (size_t i = 0; i < WEFT_MACHINE_FIELDS; ++i) known[count++] = weft_machine_fields[i].word;
  for (size_t i = 0; i < EXTRA_WORDS; ++i) known[count++] = extra_words[i];
  return weft_error(WEFT_INVALID, "unknown key; the nearest known one is \"%s\"", weft_nearest(key, known, count));
}

static const weft_machine_field *field_of(const char *word) {
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i)
    if (strcmp(weft_machine_fields[i].word, word) == 0) return &weft_machine_fields[i];
  return NULL;
}

static weft_status set_field(weft_machine *m, const char *word, const char *value) {
  const weft_machine_field *field = field_of(word);
  if (!field) return unknown_word(word);
  if (!weft_machine_has_section(m->kind, field->section))
    return weft_error(WEFT_INVALID, "only machines with a %s have this", weft_machine_section_name(field->section));
  return weft_machine_field_set(m, field, value);
}

static weft_status set_text(char *out, size_t room, const char *value) {
  if (strlen(value) >= room) return weft_error(WEFT_INVALID, "longer than %zu letters", room - 1);
  snprintf(out, room, "%s", value);
  return NULL;
}

// rate:op,dtype,rows,flops,bytes,seconds
static weft_status add_rate(weft_machine *m, char *value) {
  char *parts[6], *rest = value;
  for (int i = 0; i < 6; ++i) {
    parts[i] = rest;
    char *comma = strchr(rest, ',');
    if ((comma != NULL) != (i < 5))
      return weft_error(WEFT_INVALID, "six parts are right: op,dtype,rows,flops,bytes,seconds");
    if (comma) *comma = 0, rest = comma + 1;
  }
  weft_rate rate;
  WEFT_TRY(weft_rate_parse(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], &rate));
  if (m->kind != WEFT_ROOFLINE || m->roofline.rate_count >= WEFT_MACHINE_MAX_RATES)
    return weft_error(WEFT_INVALID, "only machines with a roofline have rates, at most %d", WEFT_MACHINE_MAX_RATES);
  m->roofline.rates = weft_grow(m->roofline.rates, m->roofline.rate_count + 1, sizeof rate);
  m->roofline.rates[m->roofline.rate_count++] = rate;
  return NULL;
}

static weft_status first_word(weft_machine *m, const char *key, const char *value) {
  if (strcmp(key, "roofline") == 0) {
    m->kind = WEFT_ROOFLINE;
    static const char *const words[] = {"f32", "f16", "bf16"};
    for (int i = 0; i < 3; ++i) WEFT_TRY(set_field(m, words[i], value));
    return NULL;
  }
  if (strcmp(key, "mesh") != 0)
    return weft_error(
        WEFT_INVALID,
        "a spelling begins with mesh:COLUMNSxROWS or roofline:FLOP/s, as in \"mesh:8x8\" or \"roofline:312TFLOP/s\"");
  m->kind = WEFT_MESH;
  const char *cross = strchr(value, 'x');
  if (!cross) return weft_error(WEFT_INVALID, "columns x rows is right, as in \"mesh:8x8\"");
  char *columns = weft_format("%.*s", (int)(cross - value), value);
  weft_status status = set_field(m, "columns", columns);
  free(columns);
  return status ? status : set_field(m, "rows", cross + 1);
}

static weft_status next_word(weft_machine *m, const char *key, char *value) {
  if (strcmp(key, "mesh") == 0 || strcmp(key, "roofline") == 0)
    return weft_error(WEFT_INVALID, "only the first word says what the device is");
  if (strcmp(key, "io") == 0) {
    WEFT_TRY(set_field(m, "in", value));
    return set_field(m, "out", value);
  }
  if (strcmp(key, "name") == 0) return set_text(m->name, sizeof m->name, value);
  if (strcmp(key, "rate") == 0) return add_rate(m, value);
  if (strcmp(key, "costs") == 0) return weft_costs_read(value, &m->costs);
  if (strcmp(key, "measured") == 0) {
    m->measured = true;
    return set_text(m->host, sizeof m->host, value);
  }
  return set_field(m, key, value);
}

// A key may stand once; only rates repeat, and a mesh or roofline sets fields that later words may set again.
static bool seen_before(const char *spelling, const char *word, size_t key_length) {
  for (const char *at = spelling; at < word; at += strcspn(at, " "), at += strspn(at, " "))
    if (strncmp(at, word, key_length + 1) == 0) return true;
  return false;
}

static weft_status read_words(weft_machine *m, const char *spelling) {
  size_t length;
  for (const char *at = spelling + strspn(spelling, " "); *at; at += length, at += strspn(at, " ")) {
    length = strcspn(at, " ");
    char *word = weft_format("%.*s", (int)length, at), *colon = strchr(word, ':');
    weft_status status = NULL;
    if (!colon || colon == word || !colon[1]) {
      status = weft_error(WEFT_INVALID, "a word is key:value, as in \"clock:850MHz\"");
    } else {
      *colon = 0;
      if (strcmp(word, "rate") != 0 && seen_before(spelling, at, (size_t)(colon - word)))
        status = weft_error(WEFT_INVALID, "this key stands twice");
      else
        status =
            at == spelling + strspn(spelling, " ") ? first_word(m, word, colon + 1) : next_word(m, word, colon + 1);
    }
    free(word);
    if (status)
      return weft_status_prefix(status, "machine spelling, column %zu, \"%.*s\": ", (size_t)(at - spelling) + 1,
                                (int)(length > 60 ? 60 : length), at);
  }
  return NULL;
}

weft_status weft_machine_unspell(const char *spelling, weft_machine **out_machine) {
  weft_machine *m = weft_allocate(sizeof *m);
  *m = weft_machine_default();
  snprintf(m->name, sizeof m->name, "spelled");
  weft_status status = read_words(m, spelling);
  if (!status) status = weft_machine_check(m);
  if (status) {
    weft_machine_destroy(m);
    return status;
  }
  *out_machine = m;
  return NULL;
}

char *weft_machine_spell(const weft_machine *m) {
  char *text = NULL, value[48], parts[4][48];
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  if (!out) return weft_copy_text("");
  weft_machine usual = weft_machine_default();
  if (m->kind == WEFT_MESH) {
    fprintf(out, "mesh:%ux%u", m->mesh.columns, m->mesh.rows);
  } else {
    fprintf(out, "roofline:%s",
            weft_quantity_print(m->roofline.bf16_flops_per_second, WEFT_FLOPS_PER_SECOND, "", value));
    usual.roofline.f32_flops_per_second = usual.roofline.f16_flops_per_second = m->roofline.bf16_flops_per_second;
    usual.roofline.bf16_flops_per_second = m->roofline.bf16_flops_per_second;
  }
  usual.mesh.columns = m->mesh.columns;
  usual.mesh.rows = m->mesh.rows;
  for (int i = 0; i < WEFT_MACHINE_FIELDS; ++i) {
    const weft_machine_field *field = &weft_machine_fields[i];
    if (!weft_machine_has_section(m->kind, field->section)) continue;
    if (weft_machine_field_get(m, field) == weft_machine_field_get(&usual, field)) continue;
    fprintf(out, " %s:%s", field->word, weft_machine_field_print(m, field, "", value));
  }
  if (strcmp(m->name, "spelled") != 0) fprintf(out, " name:%s", m->name);
  if (m->measured) fprintf(out, " measured:%s", m->host);
  if (m->costs) fprintf(out, " costs:%s", m->costs->name);
  for (uint32_t i = 0; m->kind == WEFT_ROOFLINE && i < m->roofline.rate_count; ++i) {
    const weft_rate *r = &m->roofline.rates[i];
    fprintf(out, " rate:%s,%s,%s,%s,%s,%s", weft_op_name(r->op), weft_dtype_name(r->dtype),
            weft_quantity_print(r->rows, WEFT_COUNT_UNIT, "", parts[0]),
            weft_quantity_print(r->flops, WEFT_COUNT_UNIT, "", parts[1]),
            weft_quantity_print(r->bytes, WEFT_BYTES, "", parts[2]),
            weft_quantity_print(r->seconds, WEFT_SECONDS, "", parts[3]));
  }
  fclose(out);
  return text;
}
