// What surrounds the ops: threads, disk, memory.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/measure_internal.h"

enum { ROUNDS = 2000, DISK_BLOCK = 1 << 20, DISK_BLOCKS = 64 };

typedef struct ball {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int at;  // whose turn: 0 or 1; 2: the end
} ball;

static void *return_it(void *argument) {
  ball *b = argument;
  pthread_mutex_lock(&b->lock);
  while (b->at != 2) {
    if (b->at == 1) {
      b->at = 0;
      pthread_cond_broadcast(&b->changed);
    } else {
      pthread_cond_wait(&b->changed, &b->lock);
    }
  }
  pthread_mutex_unlock(&b->lock);
  return NULL;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double weft_measure_hand_over_seconds(void) {
  ball b = {.at = 0};
  pthread_t thread;
  double times[ROUNDS];
  pthread_mutex_init(&b.lock, NULL);
  pthread_cond_init(&b.changed, NULL);
  bool started = pthread_create(&thread, NULL, return_it, &b) == 0;
  pthread_mutex_lock(&b.lock);
  for (int i = 0; started && i < ROUNDS; ++i) {
    double start = weft_clock_s();
    b.at = 1;
    pthread_cond_broadcast(&b.changed);
    while (b.at == 1) pthread_cond_wait(&b.changed, &b.lock);
    times[i] = weft_clock_s() - start;
  }
  b.at = 2;
  pthread_cond_broadcast(&b.changed);
  pthread_mutex_unlock(&b.lock);
  if (started) pthread_join(thread, NULL);
  pthread_cond_destroy(&b.changed);
  pthread_mutex_destroy(&b.lock);
  if (!started) return 0;
  qsort(times, ROUNDS, sizeof *times, by_size);
  return times[ROUNDS / 2] / 2;
}

double weft_measure_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), each = sysconf(_SC_PAGESIZE);
  return pages > 0 && each > 0 ? (double)pages * (double)each : 1e9;
}

static bool write_file(int file, const void *block) {
  for (int i = 0; i < DISK_BLOCKS; ++i)
    if (write(file, block, DISK_BLOCK) != DISK_BLOCK) return false;
  return fsync(file) == 0;
}

// Seconds to read the file from its start; negative on failure.
static double read_file(int file, void *block) {
  double start = weft_clock_s();
  if (lseek(file, 0, SEEK_SET) != 0) return -1;
  for (int i = 0; i < DISK_BLOCKS; ++i)
    if (read(file, block, DISK_BLOCK) != DISK_BLOCK) return -1;
  return weft_clock_s() - start;
}

double weft_measure_disk(char *note, size_t note_size) {
  const char *folder = getenv("TMPDIR");
  char *path = weft_format("%s/weft-calibrate-XXXXXX", folder && *folder ? folder : "/tmp");
  void *block = NULL;
  double seconds = -1;
  int file = mkstemp(path), direct = -1;
  if (posix_memalign(&block, 4096, DISK_BLOCK) != 0) block = NULL;
  if (block) memset(block, 0x5a, DISK_BLOCK);
  if (file < 0 || !block || !write_file(file, block)) {
    snprintf(note, note_size, "not measured: %s: %s", path, strerror(errno));
  } else {
    direct = open(path, O_RDONLY | O_DIRECT);
    if (direct >= 0) seconds = read_file(direct, block);
    if (seconds > 0) {
      snprintf(note, note_size, "%d MiB, O_DIRECT", DISK_BLOCKS);
    } else {
      (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
      seconds = read_file(file, block);
      snprintf(note, note_size, "%d MiB through the system's cache: O_DIRECT is refused there", DISK_BLOCKS);
    }
  }
  if (direct >= 0) close(direct);
  if (file >= 0) {
    close(file);
    unlink(path);
  }
  free(block);
  free(path);
  return seconds > 0 ? (double)DISK_BLOCKS * DISK_BLOCK / seconds : 0;
}
