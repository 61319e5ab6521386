#include "base/status.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

struct weft_status_record {
  weft_code code;
  char *message;
};

weft_status weft_error(weft_code code, const char *format, ...) {
  assert(code != WEFT_OK);
  va_list arguments;
  va_start(arguments, format);
  weft_status status = weft_allocate(sizeof *status);
  status->code = code;
  status->message = weft_format_list(format, arguments);
  va_end(arguments);
  return status;
}

weft_status weft_status_prefix(weft_status status, const char *format, ...) {
  if (!status) return NULL;
  va_list arguments;
  va_start(arguments, format);
  char *prefix = weft_format_list(format, arguments);
  va_end(arguments);
  char *joined = weft_format("%s%s", prefix, status->message);
  free(prefix);
  free(status->message);
  status->message = joined;
  return status;
}

weft_code weft_status_code(weft_status status) { return status ? status->code : WEFT_OK; }

const char *weft_status_message(weft_status status) { return status ? status->message : ""; }

void weft_status_free(weft_status status) {
  if (!status) return;
  free(status->message);
  free(status);
}
