#include "device/sync_probe.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPEND_BYTES_MAX (1024u * 1024u)
#define FILL 0x5A

/* Writes all of it. Returns 0 or an errno. */
static int append(int file, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t done = write(file, bytes, size);
		if (done < 0 && errno != EINTR)
			return errno;
		bytes += done > 0 ? done : 0;
		size -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

static int measure(int file, const uint8_t *bytes, uint32_t size, uint32_t count, uint64_t limit_ns,
		   struct sync_times *times)
{
	uint64_t began_ns = clock_now_ns();
	for (uint32_t i = 0; i < count && times->count < SYNC_PROBE_MAX; i++) {
		uint64_t from_ns = clock_now_ns();
		int failure = append(file, bytes, size);
		if (failure == 0 && fdatasync(file) != 0)
			failure = errno;
		if (failure != 0)
			return failure;
		uint64_t to_ns = clock_now_ns();
		times->ns[times->count++] = to_ns - from_ns;
		if (to_ns - began_ns > limit_ns)
			break;
	}
	return 0;
}

enum error sync_probe_run(const char *directory, uint32_t bytes, uint32_t count, uint64_t limit_ns,
			  struct sync_times *times)
{
	CHECK(bytes > 0 && bytes <= APPEND_BYTES_MAX);
	char path[4096];
	int size = snprintf(path, sizeof(path), "%s/.roost-sync-XXXXXX", directory);
	if (size < 0 || (size_t)size >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return ERROR_SYSTEM;
	}
	int file = mkstemp(path);
	if (file < 0)
		return ERROR_SYSTEM;
	unlink(path);
	uint8_t *filled = malloc(bytes);
	int failure = ENOMEM;
	if (filled != NULL) {
		memset(filled, FILL, bytes);
		failure = measure(file, filled, bytes, count, limit_ns, times);
	}
	free(filled);
	close(file);
	errno = failure;
	return failure == 0 ? ERROR_OK : ERROR_SYSTEM;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

void sync_times_sort(struct sync_times *times)
{
	qsort(times->ns, times->count, sizeof(times->ns[0]), compare_times);
}

uint64_t sync_times_percentile(const struct sync_times *times, double percent)
{
	CHECK(percent >= 0 && percent <= 100);
	if (times->count == 0)
		return 0;
	uint32_t rank = (uint32_t)ceil(percent / 100 * times->count);
	return times->ns[rank > 0 ? rank - 1 : 0];
}
