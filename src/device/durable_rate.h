/* What a store with group commit can do on a device, from the device's sync times: arithmetic only.
 *
 * One commit is under way at a time, and the next begins as soon as it ends, with all that has come meanwhile. A
 * message waits for the rest of the commit under way, between nothing and all of it, and for its own. So its PUBACK
 * takes 1 to 2 commits, 1.5 on average while commits follow each other; one client that sends its next message after
 * the PUBACK never finds another commit under way, and waits for one. Pure; any thread. */
#ifndef DEVICE_DURABLE_RATE_H
#define DEVICE_DURABLE_RATE_H

#include <stdint.h>

/* What the two measured appends carry. */
#define DURABLE_RATE_SMALL_BYTES 4096u
#define DURABLE_RATE_LARGE_BYTES 65536u

/* Nanoseconds for an append and its sync. */
struct durable_sync {
	uint64_t small_p50_ns; /* 4 KiB */
	uint64_t small_p99_ns;
	uint64_t large_p50_ns; /* 64 KiB */
	uint64_t large_p99_ns;
};

/* NAN where the times do not tell. */
struct durable_rate {
	double alone_per_s;   /* one publisher with one message in flight: 1 / p50 of 4 KiB */
	double flight_per_s;  /* many publishers with `flight` messages in flight in all */
	double bytes_per_s;   /* what commits of 64 KiB carry: 64 KiB / p50 of 64 KiB */
	double device_per_s;  /* the same in messages, an upper bound however many are in flight */
	double puback_p50_us; /* while commits follow each other: 1.5 times p50 of 64 KiB */
	double puback_p99_us; /* at most: 2 times p99 of 64 KiB */
};

/* record_bytes: of one message in the log. flight: unacknowledged messages of all publishers together. */
struct durable_rate durable_rate_of(const struct durable_sync *sync, uint32_t record_bytes, uint32_t flight);

#endif
