#include "tests/kernel/round.h"

#include <stdlib.h>
#include <string.h>

char *printed_kernel(const weft_kernel *kernel) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) abort();
  weft_kernel_print(kernel, out);
  fclose(out);
  return text;
}

static void differ(const char *how, const char *printed, const char *again) {
  size_t line = 1;
  for (; *printed && *printed == *again; ++printed, ++again) line += *printed == '\n';
  fprintf(stderr, "%s: line %zu: \"%.60s\" became \"%.60s\"\n", how, line, printed, again);
  abort();
}

static void same(const char *how, const weft_kernel *kernel, const weft_kernel *other) {
  void *bytes, *others;
  size_t size, other_size;
  weft_kernel_pack(kernel, &bytes, &size);
  weft_kernel_pack(other, &others, &other_size);
  if (size != other_size || memcmp(bytes, others, size) != 0)
    differ(how, printed_kernel(kernel), printed_kernel(other));
  if (weft_kernel_hash(kernel) != weft_kernel_hash(other)) differ(how, "hash", "another");
  free(bytes);
  free(others);
}

static void refused(const char *how, weft_status status) {
  if (!status) return;
  fprintf(stderr, "%s: %s\n", how, weft_status_message(status));
  abort();
}

void assert_goes_round(const weft_kernel *kernel) {
  weft_kernel *other = NULL;
  char *text = printed_kernel(kernel);
  refused("read", weft_kernel_parse(text, "printed", NULL, 0, &other));
  same("printed and read", kernel, other);
  weft_kernel_destroy(other);
  void *bytes;
  size_t size;
  weft_kernel_pack(kernel, &bytes, &size);
  refused("unpack", weft_kernel_unpack(bytes, size, &other));
  same("packed and unpacked", kernel, other);
  if (kernel->checked) refused("check", weft_kernel_check(other, 0));
  char *again = printed_kernel(other);
  if (strcmp(text, again) != 0) differ("printed again", text, again);
  weft_kernel_destroy(other);
  free(again);
  free(text);
  free(bytes);
}
