/* How long a device takes to make an append durable: write and fdatasync on a file of the probe's own, which is removed
 * at once. Blocks; any thread. */
#ifndef DEVICE_SYNC_PROBE_H
#define DEVICE_SYNC_PROBE_H

#include "base/error.h"

#include <stdint.h>

#define SYNC_PROBE_MAX 512u

/* Of one size of append. In nanoseconds. */
struct sync_times {
	uint64_t ns[SYNC_PROBE_MAX]; /* sorted, once sync_times_sort() has been called */
	uint32_t count;
};

/* Appends `bytes` (at most 1 MiB) and syncs, `count` times at most and for limit_ns at most, but once at least; adds
 * to *times as far as there is room. The file's blocks are not allocated ahead, so a sync also writes the file's new
 * size, as that of a log which grows. ERROR_SYSTEM: see errno. */
enum error sync_probe_run(const char *directory, uint32_t bytes, uint32_t count, uint64_t limit_ns,
			  struct sync_times *times);

void sync_times_sort(struct sync_times *times);
/* The time that `percent` (0..100) of them do not exceed; 0 where there are none. Sorted times only. */
uint64_t sync_times_percentile(const struct sync_times *times, double percent);

#endif
