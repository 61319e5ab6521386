// weft_status: what every function returns that can fail because of the world (a file, a key, a machine
// that is too small). What can only be our own mistake is an assert.
//
// Success is NULL and costs nothing. A failure is one heap record with a code and a message written for the
// person who typed the command: where (file:line:column), what was found, what would be right. Whoever
// receives a failure passes it on (WEFT_TRY), adds to it (weft_status_prefix) or frees it.
//
// Threads: a status belongs to one thread at a time; it may be handed to another.
#ifndef WEFT_BASE_STATUS_H
#define WEFT_BASE_STATUS_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

// The values are the program's exit codes.
typedef enum weft_code {
  WEFT_OK = 0,
  WEFT_FAILED = 1,       // the world refused: no memory, a write failed, a thread could not start
  WEFT_INVALID = 2,      // bad input or usage: a malformed file, an unknown key, an impossible value
  WEFT_INFEASIBLE = 3,   // well-formed, but does not fit the machine
  WEFT_OUTSIDE = 4,      // a compared value lies outside its tolerance
  WEFT_UNAVAILABLE = 77  // not on this computer (no GPU, no AMX): a skip, never a pass
} weft_code;

typedef struct weft_status_record *weft_status;

#define WEFT_CHECKED __attribute__((warn_unused_result))
#define WEFT_PRINTF(text, first) __attribute__((format(printf, text, first)))

// A new failure. `code` is not WEFT_OK. The message has no trailing newline.
weft_status weft_error(weft_code code, const char *format, ...) WEFT_PRINTF(2, 3) WEFT_CHECKED;

// Puts text before the message of `status` (a file name, "line 3: ") and returns it; NULL stays NULL.
weft_status weft_status_prefix(weft_status status, const char *format, ...) WEFT_PRINTF(2, 3) WEFT_CHECKED;

weft_code weft_status_code(weft_status status);       // WEFT_OK for NULL
const char *weft_status_message(weft_status status);  // "" for NULL; lives as long as the status
void weft_status_free(weft_status status);            // takes NULL

// Returns from the calling function when `expression` failed.
#define WEFT_TRY(expression)                       \
  do {                                             \
    weft_status weft_try_status_ = (expression);   \
    if (weft_try_status_) return weft_try_status_; \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
