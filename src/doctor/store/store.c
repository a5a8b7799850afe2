#include "doctor/store/store.h"

#include "base/check.h"
#include "device/sync_probe.h"

#include <errno.h>
#include <string.h>

#define APPENDS 200u
/* Of each size. A disk that turns makes some 100 in this time. */
#define APPENDS_NS_MAX 1000000000u
#define PERCENT_MEDIAN 50
#define PERCENT_TAIL 99
/* A log that is compacted needs room for itself once more. */
#define FREE_BYTES_LEAST (UINT64_C(1) << 30)
#define FREE_PERCENT_LEAST 5u
/* Virtual disks say that they turn: only one that is as slow as such a disk is believed. */
#define TURN_NS_LEAST 2000000u
/* The example of the verdict: a message of 200 bytes with its head, 500 publishers with 32 messages in flight each. */
#define RECORD_BYTES 250u
#define FLIGHT 16000u

static bool probe(const char *directory, uint32_t bytes, uint32_t *count, uint64_t *p50_ns, uint64_t *p99_ns)
{
	struct sync_times times = {.count = 0};
	if (sync_probe_run(directory, bytes, APPENDS, APPENDS_NS_MAX, &times) != ERROR_OK) {
		fprintf(stderr, "roost doctor: %s: %s\n", directory, strerror(errno));
		return false;
	}
	sync_times_sort(&times);
	CHECK(times.count > 0);
	*count = times.count;
	*p50_ns = sync_times_percentile(&times, PERCENT_MEDIAN);
	*p99_ns = sync_times_percentile(&times, PERCENT_TAIL);
	return true;
}

bool store_measure(struct store_verdict *verdict, const char *directory)
{
	*verdict = (struct store_verdict){.directory = directory};
	if (device_of(directory, &verdict->device) != ERROR_OK) {
		fprintf(stderr, "roost doctor: %s: %s\n", directory, strerror(errno));
		return false;
	}
	struct durable_sync *sync = &verdict->sync;
	if (!probe(directory, DURABLE_RATE_SMALL_BYTES, &verdict->small_count, &sync->small_p50_ns,
		   &sync->small_p99_ns) ||
	    !probe(directory, DURABLE_RATE_LARGE_BYTES, &verdict->large_count, &sync->large_p50_ns,
		   &sync->large_p99_ns))
		return false;
	store_judge(verdict);
	return true;
}

static void warn(struct store_verdict *verdict, const char *sentence)
{
	CHECK(verdict->warning_count < STORE_WARNINGS_MAX);
	verdict->warnings[verdict->warning_count++] = sentence;
}

void store_judge(struct store_verdict *verdict)
{
	static const char *const kinds[DEVICE_KINDS] = {
		[DEVICE_MEMORY] = "The file system is memory: nothing in it survives a power cut or a reboot. Put the "
				  "store on a disk.",
		[DEVICE_OVERLAY] =
			"The directory is in a container's own layer, which goes with the container. Mount a "
			"volume for the store.",
		[DEVICE_NETWORK] =
			"The file system is on another machine, or in user space: what a sync promises is up "
			"to that, and a lost connection stops the store.",
	};
	const struct device *device = &verdict->device;
	CHECK(device->kind < DEVICE_KINDS);
	verdict->rate = durable_rate_of(&verdict->sync, RECORD_BYTES, FLIGHT);
	verdict->warning_count = 0;
	if (kinds[device->kind] != NULL)
		warn(verdict, kinds[device->kind]);
	if (device->rotates && verdict->sync.small_p50_ns >= TURN_NS_LEAST)
		warn(verdict, "The disk turns: a sync takes a turn or two. A solid-state disk takes a tenth of that.");
	if (device->free_bytes < FREE_BYTES_LEAST || device->free_bytes / FREE_PERCENT_LEAST < device->size_bytes / 100)
		warn(verdict, "The file system is nearly full: less than 1 GiB or 5 % is free. Durable messages are "
			      "refused when it is.");
}
