#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "tests/runtime/test.h"

weft_network test_network(const char *name) {
  weft_network network;
  char *path = weft_format("%s/golden/%s/config.json", WEFT_TESTS, name);
  assert_ok(weft_network_read(path, &network));
  free(path);
  return network;
}

weft_schedule *test_compile(const weft_network *network, const weft_run *run) {
  weft_machine machine = weft_machine_default();
  machine.kind = WEFT_ROOFLINE;
  machine.roofline = (weft_roofline){.f32_flops_per_second = 1e11,
                                     .f16_flops_per_second = 1e11,
                                     .bf16_flops_per_second = 1e11,
                                     .memory_bytes = 16e9,
                                     .memory_bytes_per_second = 1e10,
                                     .cores = 1,
                                     .shared_cores = true,
                                     .copy_bytes_per_second = 5e9,
                                     .sharing_efficiency = 1,
                                     .compute_efficiency = 0.5,
                                     .memory_efficiency = 0.5};
  machine.store_bytes = 16e9;
  weft_schedule *schedule = NULL;
  assert_ok(weft_compile(network, &machine, run, &schedule));
  return schedule;
}

weft_run test_run(weft_mode mode, uint32_t batch, uint32_t sequence) {
  weft_run run = weft_run_default();
  run.mode = mode;
  run.batch = batch;
  run.sequence = sequence;
  run.dtype = WEFT_F32;
  return run;
}

int32_t *test_ids(const weft_network *network, uint64_t count, uint64_t seed) {
  int32_t *ids = weft_allocate_array(count, sizeof *ids);
  for (uint64_t i = 0; i < count; ++i) ids[i] = (int32_t)(weft_random_bits(seed, 0, i) % network->vocabulary);
  return ids;
}

char *test_folder(void) {
  const char *base = getenv("TMPDIR");
  char *path = weft_format("%s/weft-test-XXXXXX", base ? base : "/tmp");
  assert_non_null(mkdtemp(path));
  return path;
}

void test_remove(const char *folder) {
  DIR *directory = opendir(folder);
  assert_non_null(directory);
  for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
    char *path = weft_format("%s/%s", folder, entry->d_name);
    if (entry->d_name[0] != '.') unlink(path);
    free(path);
  }
  closedir(directory);
  assert_int_equal(rmdir(folder), 0);
}

char *test_read(const char *folder, const char *file, size_t *out_bytes) {
  char *path = weft_format("%s/%s", folder, file);
  weft_mapping mapping = {0};
  assert_ok(weft_mapping_open(path, &mapping));
  char *text = weft_allocate(mapping.size + 1);
  memcpy(text, mapping.bytes, mapping.size);
  if (out_bytes) *out_bytes = mapping.size;
  weft_mapping_close(&mapping);
  free(path);
  return text;
}
