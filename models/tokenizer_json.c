// Hugging Face's tokenizer.json: what byte-level BPE needs of it. Parts that Weft has not are errors that name the
// part.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "models/tokenizer_internal.h"

typedef struct json_reading {
  const char *where, *text;  // file name and content
  weft_tokenizer *tokenizer;
} json_reading;

static weft_status unsupported(const char *part, const char *type, const char *const *known, size_t count) {
  return weft_error(WEFT_INVALID, "%s: type \"%s\" is not supported; the nearest that is: %s", part, type,
                    weft_nearest(type, known, count));
}
#define UNSUPPORTED(part, type, ...) \
  unsupported(part, type, (const char *const[]){__VA_ARGS__}, sizeof(const char *[]){__VA_ARGS__} / sizeof(char *))

static void begin(weft_json_object *r, const json_reading *reading, json_t *object, const char *part) {
  weft_json_begin(r, object, part, reading->text);
}

// ---- pre_tokenizer ----

static weft_status read_byte_level(json_reading *reading, weft_json_object *r, const char *part) {
  bool prefix = true, pattern = true, ignored = true;  // the library's own defaults
  weft_json_optional_bool(r, "add_prefix_space", &prefix);
  weft_json_optional_bool(r, "use_regex", &pattern);
  weft_json_optional_bool(r, "trim_offsets", &ignored);
  WEFT_TRY(weft_json_finish(r));
  if (prefix) WEFT_TRY(weft_bpe_add_space_step(reading->tokenizer, part));
  return pattern ? weft_bpe_add_pattern(reading->tokenizer, WEFT_PATTERN_GPT2, false, true, true, part) : NULL;
}

static weft_status read_split(json_reading *reading, weft_json_object *r, const char *part) {
  json_t *pattern = weft_json_optional_any(r, "pattern");
  const char *behavior = weft_json_text(r, "behavior");
  bool invert = false;
  weft_json_optional_bool(r, "invert", &invert);
  WEFT_TRY(weft_json_finish(r));
  bool isolated = strcmp(behavior, "Isolated") == 0;
  if (!isolated && strcmp(behavior, "Removed") != 0) {
    static const char *const known[] = {"Isolated", "Removed"};
    return weft_error(WEFT_INVALID, "%s: behavior \"%s\" is not supported; the nearest that is: %s", part, behavior,
                      weft_nearest(behavior, known, 2));
  }
  const char *expression = json_string_value(json_object_get(pattern, "Regex"));
  const char *literal = json_string_value(json_object_get(pattern, "String"));
  if (json_object_size(pattern) != 1 || (!expression && !literal))
    return weft_error(WEFT_INVALID, "%s: pattern: expected {\"Regex\": \"...\"} or {\"String\": \"...\"}", part);
  return weft_bpe_add_pattern(reading->tokenizer, expression ? expression : literal, !expression, isolated || invert,
                              isolated || !invert, part);
}

static weft_status read_digits(json_reading *reading, weft_json_object *r, const char *part) {
  bool individual = false;
  weft_json_optional_bool(r, "individual_digits", &individual);
  WEFT_TRY(weft_json_finish(r));
  return weft_bpe_add_pattern(reading->tokenizer, individual ? "\\p{N}" : "\\p{N}+", false, true, true, part);
}

static weft_status read_pre_tokenizer(json_reading *reading, json_t *object, const char *part, bool *byte_level);

static weft_status read_pre_sequence(json_reading *reading, weft_json_object *r, const char *part, bool *byte_level) {
  json_t *steps = weft_json_optional_any(r, "pretokenizers");
  WEFT_TRY(weft_json_finish(r));
  if (!json_is_array(steps)) return weft_error(WEFT_INVALID, "%s: pretokenizers: expected an array", part);
  for (size_t i = 0; i < json_array_size(steps); ++i) {
    char *inner = weft_format("%s[%zu]", part, i);
    weft_status status = strlen(inner) > 400 ? weft_error(WEFT_INVALID, "%s: nested too deeply", part)
                                             : read_pre_tokenizer(reading, json_array_get(steps, i), inner, byte_level);
    free(inner);
    WEFT_TRY(status);
  }
  return NULL;
}

static weft_status read_pre_tokenizer(json_reading *reading, json_t *object, const char *part, bool *byte_level) {
  weft_json_object r;
  begin(&r, reading, object, part);
  const char *type = weft_json_text(&r, "type");
  if (!type) return weft_json_finish(&r);
  if (*byte_level) {
    weft_json_fail(&r, "type", "\"%s\" after ByteLevel is not supported: ByteLevel must be the last step", type);
    return weft_json_finish(&r);
  }
  if (strcmp(type, "Sequence") == 0) return read_pre_sequence(reading, &r, part, byte_level);
  if (strcmp(type, "Split") == 0) return read_split(reading, &r, part);
  if (strcmp(type, "Digits") == 0) return read_digits(reading, &r, part);
  if (strcmp(type, "ByteLevel") == 0) {
    *byte_level = true;
    return read_byte_level(reading, &r, part);
  }
  weft_status_free(r.error);
  return UNSUPPORTED(part, type, "ByteLevel", "Split", "Digits", "Sequence");
}

// ---- model ----

static weft_status check_model(json_reading *reading, json_t *model, json_t **out_vocabulary, json_t **out_merges,
                               const char **out_unknown) {
  weft_json_object r;
  begin(&r, reading, model, reading->where);
  const char *type = weft_json_optional_text(&r, "type");
  if (type && strcmp(type, "BPE") != 0) {
    weft_status_free(r.error);
    return UNSUPPORTED("model", type, "BPE");
  }
  double dropout = 0;
  bool byte_fallback = false;
  weft_json_optional_number(&r, "dropout", 0, 1, &dropout);
  if (dropout > 0) weft_json_fail(&r, "dropout", "%g is not supported: encoding must not depend on chance", dropout);
  *out_unknown = weft_json_optional_text(&r, "unk_token");
  static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
  for (int i = 0; i < 2; ++i) {
    const char *affix = weft_json_optional_text(&r, affixes[i]);
    if (affix && *affix) weft_json_fail(&r, affixes[i], "\"%s\" is not supported: byte-level BPE has none", affix);
  }
  weft_json_optional_bool(&r, "fuse_unk", &reading->tokenizer->fuse_unknown);
  weft_json_optional_bool(&r, "ignore_merges", &reading->tokenizer->ignore_merges);
  weft_json_optional_bool(&r, "byte_fallback", &byte_fallback);
  if (byte_fallback) weft_json_fail(&r, "byte_fallback", "true is not supported: byte-level BPE needs none");
  *out_vocabulary = weft_json_optional_any(&r, "vocab");
  *out_merges = weft_json_optional_any(&r, "merges");
  if (!json_is_object(*out_vocabulary)) weft_json_fail(&r, "vocab", "expected an object {\"token\": id, ...}");
  if (!json_is_array(*out_merges)) weft_json_fail(&r, "merges", "expected an array");
  return weft_json_finish(&r);
}

static weft_status count_tokens(json_t *vocabulary, json_t *added, uint32_t *out_count) {
  int64_t largest = -1;
  const char *token;
  json_t *value;
  json_object_foreach(vocabulary, token, value) {
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= WEFT_TOKENS_MAX)
      return weft_error(WEFT_INVALID, "model.vocab: \"%.60s\": expected an id from 0 to %d", token,
                        WEFT_TOKENS_MAX - 1);
    if (json_integer_value(value) > largest) largest = json_integer_value(value);
  }
  for (size_t i = 0; i < json_array_size(added); ++i) {
    json_t *id = json_object_get(json_array_get(added, i), "id");
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= WEFT_TOKENS_MAX)
      return weft_error(WEFT_INVALID, "added_tokens[%zu]: id: expected a whole number from 0 to %d", i,
                        WEFT_TOKENS_MAX - 1);
    if (json_integer_value(id) > largest) largest = json_integer_value(id);
  }
  if (largest < 0) return weft_error(WEFT_INVALID, "model.vocab: no tokens");
  *out_count = (uint32_t)(largest + 1);
  return NULL;
}

static weft_status read_merges(json_reading *reading, json_t *merges) {
  if (json_array_size(merges) > WEFT_TOKENS_MAX)
    return weft_error(WEFT_INVALID, "model.merges: more than %d", WEFT_TOKENS_MAX);
  for (size_t i = 0; i < json_array_size(merges); ++i) {
    json_t *merge = json_array_get(merges, i);
    json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    weft_status status;
    if (json_is_string(merge))
      status = weft_bpe_add_written_merge(reading->tokenizer, json_string_value(merge), json_string_length(merge),
                                          (uint32_t)i);
    else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right))
      status = weft_bpe_add_merge(reading->tokenizer, json_string_value(left), json_string_length(left),
                                  json_string_value(right), json_string_length(right), (uint32_t)i);
    else
      status = weft_error(WEFT_INVALID, "expected \"a b\" or [\"a\", \"b\"]");
    WEFT_TRY(weft_status_prefix(status, "model.merges[%zu]: ", i));
  }
  return NULL;
}

static weft_status read_model(json_reading *reading, json_t *vocabulary, json_t *merges, const char *unknown) {
  const char *token;
  json_t *id;
  json_object_foreach(vocabulary, token, id) WEFT_TRY(weft_status_prefix(
      weft_bpe_add_token(reading->tokenizer, json_integer_value(id), token, strlen(token)), "model.vocab: "));
  WEFT_TRY(read_merges(reading, merges));
  if (!unknown) return NULL;
  json_t *unknown_id = json_object_get(vocabulary, unknown);
  if (!unknown_id) return weft_error(WEFT_INVALID, "model.unk_token: \"%.60s\" is not in the vocabulary", unknown);
  reading->tokenizer->unknown = (int32_t)json_integer_value(unknown_id);
  return NULL;
}

// ---- added_tokens ----

static weft_status read_added_token(json_reading *reading, json_t *object, const char *part, json_t *vocabulary) {
  weft_tokenizer *tokenizer = reading->tokenizer;
  weft_json_object r;
  begin(&r, reading, object, part);
  int64_t id = 0;
  bool single_word = false, left = false, right = false, special = false, normalized = false;
  weft_json_integer(&r, "id", 0, WEFT_TOKENS_MAX - 1, &id);
  const char *content = weft_json_text(&r, "content");
  weft_json_optional_bool(&r, "single_word", &single_word);
  weft_json_optional_bool(&r, "lstrip", &left);
  weft_json_optional_bool(&r, "rstrip", &right);
  weft_json_optional_bool(&r, "special", &special);
  // The library's default for tokens that do not say: special ones are not normalized.
  if (!weft_json_optional_bool(&r, "normalized", &normalized)) normalized = !special;
  if (single_word) weft_json_fail(&r, "single_word", "true is not supported");
  WEFT_TRY(weft_json_finish(&r));
  json_t *model_id = json_object_get(vocabulary, content);
  if (model_id && json_integer_value(model_id) != id)
    return weft_error(WEFT_INVALID, "%s: \"%.60s\" has id %lld here and %lld in model.vocab", part, content,
                      (long long)id, (long long)json_integer_value(model_id));
  if (!model_id && tokenizer->pieces[id].bytes)
    return weft_error(WEFT_INVALID, "%s: \"%.60s\": id %lld is another token's", part, content, (long long)id);
  tokenizer->pieces[id] = weft_tokenizer_keep(tokenizer, content, strlen(content));
  weft_literals_add(
      &tokenizer->literals[normalized],
      (weft_literal){.piece = tokenizer->pieces[id], .id = (int32_t)id, .strip_left = left, .strip_right = right});
  return NULL;
}

static weft_status read_added_tokens(json_reading *reading, json_t *added, json_t *vocabulary) {
  for (size_t i = 0; i < json_array_size(added); ++i) {
    char part[48];
    snprintf(part, sizeof part, "added_tokens[%zu]", i);
    WEFT_TRY(read_added_token(reading, json_array_get(added, i), part, vocabulary));
  }
  return NULL;
}

// ---- post_processor, decoder ----

// Only whether a prompt begins with a special token is of interest here.
static weft_status read_template(json_reading *reading, json_t *object, const char *part) {
  json_t *first = json_array_get(json_object_get(object, "single"), 0);
  const char *name = json_string_value(json_object_get(json_object_get(first, "SpecialToken"), "id"));
  if (!name) return NULL;
  json_t *token = json_object_get(json_object_get(object, "special_tokens"), name);
  json_t *id = json_array_get(json_object_get(token, "ids"), 0);
  if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= reading->tokenizer->count)
    return weft_error(WEFT_INVALID, "%s: special_tokens: \"%.60s\" has no id of the vocabulary", part, name);
  reading->tokenizer->bos = json_integer_value(id);
  reading->tokenizer->adds_bos = true;
  return NULL;
}

static weft_status read_post_processor(json_reading *reading, json_t *object, const char *part, int depth) {
  if (!object) return NULL;
  const char *type = json_string_value(json_object_get(object, "type"));
  if (!type) return weft_error(WEFT_INVALID, "%s: type: missing: a text is needed", part);
  if (strcmp(type, "ByteLevel") == 0) return NULL;
  if (strcmp(type, "TemplateProcessing") == 0) return read_template(reading, object, part);
  if (strcmp(type, "Sequence") != 0 || depth > 4)
    return UNSUPPORTED(part, type, "ByteLevel", "TemplateProcessing", "Sequence");
  json_t *steps = json_object_get(object, "processors");
  for (size_t i = 0; i < json_array_size(steps); ++i)
    WEFT_TRY(read_post_processor(reading, json_array_get(steps, i), part, depth + 1));
  return NULL;
}

static weft_status check_decoder(json_t *decoder) {
  const char *type = json_string_value(json_object_get(decoder, "type"));
  if (!type) return weft_error(WEFT_INVALID, "decoder: missing: {\"type\": \"ByteLevel\"} is needed");
  return strcmp(type, "ByteLevel") == 0 ? NULL : UNSUPPORTED("decoder", type, "ByteLevel");
}

// ---- tokenizer_config.json ----

static const char *token_text(json_t *token) {
  return json_is_object(token) ? json_string_value(json_object_get(token, "content")) : json_string_value(token);
}

static int64_t id_of_text(const weft_tokenizer *tokenizer, const char *text) {
  if (!text) return -1;
  size_t length = strlen(text);
  for (int pass = 0; pass < 2; ++pass) {
    const weft_literal *literal = weft_literals_match(&tokenizer->literals[pass], text, length);
    if (literal && literal->piece.length == length) return literal->id;
  }
  return weft_token_table_find(&tokenizer->table, text, length);
}

// Which tokens begin and end a text stands in another file, which is free-form and may be missing.
static weft_status read_config_beside(json_reading *reading) {
  const char *slash = strrchr(reading->where, '/');
  char *path = weft_format("%.*stokenizer_config.json", slash ? (int)(slash - reading->where + 1) : 0, reading->where);
  json_t *root = NULL;
  weft_status status = weft_file_exists(path) ? weft_json_read_file(path, &root, NULL) : NULL;
  free(path);
  if (status || !root) return status;
  weft_tokenizer *tokenizer = reading->tokenizer;
  int64_t bos = id_of_text(tokenizer, token_text(json_object_get(root, "bos_token")));
  int64_t eos = id_of_text(tokenizer, token_text(json_object_get(root, "eos_token")));
  json_t *adds = json_object_get(root, "add_bos_token");
  if (bos >= 0) tokenizer->bos = bos;
  if (eos >= 0) tokenizer->eos = eos;
  if (json_is_boolean(adds)) tokenizer->adds_bos = json_is_true(adds) && tokenizer->bos >= 0;
  json_decref(root);
  return NULL;
}

// ---- the file ----

typedef struct json_parts {
  json_t *added, *pre_tokenizer, *post_processor, *decoder, *model;
} json_parts;

static weft_status read_parts(const json_reading *reading, json_t *root, json_parts *parts) {
  weft_json_object r;
  begin(&r, reading, root, reading->where);
  weft_json_ignore(&r, "version");
  weft_json_ignore(&r, "truncation");  // how callers cut and pad batches
  weft_json_ignore(&r, "padding");
  parts->added = weft_json_optional_any(&r, "added_tokens");
  json_t *normalizer = weft_json_optional_any(&r, "normalizer");
  parts->pre_tokenizer = weft_json_optional_any(&r, "pre_tokenizer");
  parts->post_processor = weft_json_optional_any(&r, "post_processor");
  parts->decoder = weft_json_optional_any(&r, "decoder");
  parts->model = weft_json_optional_any(&r, "model");
  const char *type = json_string_value(json_object_get(normalizer, "type"));
  if (normalizer) weft_json_fail(&r, "normalizer", "type \"%s\" is not supported: only null is", type ? type : "?");
  if (parts->added && !json_is_array(parts->added)) weft_json_fail(&r, "added_tokens", "expected an array");
  if (!parts->model) weft_json_fail(&r, "model", "missing: an object with type \"BPE\" is needed");
  return weft_json_finish(&r);
}

static weft_status read_all(json_reading *reading, json_t *root) {
  json_parts parts;
  WEFT_TRY(read_parts(reading, root, &parts));
  json_t *vocabulary, *merges;
  const char *unknown;
  weft_tokenizer *tokenizer = reading->tokenizer;
  WEFT_TRY(check_model(reading, parts.model, &vocabulary, &merges, &unknown));
  WEFT_TRY(count_tokens(vocabulary, parts.added, &tokenizer->count));
  free(tokenizer->pieces);
  tokenizer->pieces = weft_allocate_array(tokenizer->count, sizeof *tokenizer->pieces);
  bool byte_level = false;
  if (parts.pre_tokenizer) WEFT_TRY(read_pre_tokenizer(reading, parts.pre_tokenizer, "pre_tokenizer", &byte_level));
  if (!byte_level)
    return weft_error(WEFT_INVALID,
                      "pre_tokenizer: no ByteLevel step: of BPE models only byte-level ones are supported");
  WEFT_TRY(check_decoder(parts.decoder));
  WEFT_TRY(read_model(reading, vocabulary, merges, unknown));
  WEFT_TRY(read_added_tokens(reading, parts.added, vocabulary));
  WEFT_TRY(read_post_processor(reading, parts.post_processor, "post_processor", 0));
  weft_bpe_finish_building(tokenizer);
  return read_config_beside(reading);
}

weft_status weft_tokenizer_from_json(json_t *root, const char *where, const char *text,
                                     weft_tokenizer **out_tokenizer) {
  json_reading reading = {.where = where, .text = text, .tokenizer = weft_tokenizer_create(WEFT_TOKENIZER_BPE, 0)};
  weft_status status = read_all(&reading, root);
  if (status) {
    weft_tokenizer_close(reading.tokenizer);
    bool placed = strncmp(weft_status_message(status), where, strlen(where)) == 0;
    return placed ? status : weft_status_prefix(status, "%s: ", where);
  }
  *out_tokenizer = reading.tokenizer;
  return NULL;
}
