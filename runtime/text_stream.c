#include <stdbool.h>
#include <string.h>

#include "runtime/generate.h"

static const char replacement[] = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the character that `first` begins; 0: none begins so. (RFC 3629)
static uint32_t length_of(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) return 3;
  if (first >= 0xf0 && first <= 0xf4) return 4;
  return 0;
}

// Whether `next` may follow the `count` bytes that are kept; overlong forms, surrogates and values beyond U+10FFFF may
// not.
static bool continues(const char *kept, uint32_t count, unsigned char next) {
  unsigned char first = (unsigned char)kept[0], low = 0x80, high = 0xbf;
  if (count == 1 && first == 0xe0) low = 0xa0;
  if (count == 1 && first == 0xed) high = 0x9f;
  if (count == 1 && first == 0xf0) low = 0x90;
  if (count == 1 && first == 0xf4) high = 0x8f;
  return next >= low && next <= high;
}

static weft_status add_byte(weft_text_stream *stream, char byte) {
  unsigned char value = (unsigned char)byte;
  if (stream->kept_count > 0 && !continues(stream->kept, stream->kept_count, value))
    WEFT_TRY(weft_text_stream_end(stream));
  if (stream->kept_count == 0 && length_of(value) == 0) return stream->emit(stream->context, replacement, 3);
  stream->kept[stream->kept_count++] = byte;
  if (stream->kept_count < length_of((unsigned char)stream->kept[0])) return NULL;
  uint32_t count = stream->kept_count;
  stream->kept_count = 0;
  return stream->emit(stream->context, stream->kept, count);
}

weft_status weft_text_stream_add(weft_text_stream *stream, const char *bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) WEFT_TRY(add_byte(stream, bytes[i]));
  return NULL;
}

weft_status weft_text_stream_end(weft_text_stream *stream) {
  if (stream->kept_count == 0) return NULL;
  stream->kept_count = 0;
  return stream->emit(stream->context, replacement, 3);
}
