/* What each message carries: its publisher, its number in the stream and its time, so that the receiver can audit and
 * time it. The rest of the payload is padding. Pure; any thread. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include "base/slice.h"

/* magic 4, publisher 4, number 8, sent_ns 8; in the machine's byte order, because both ends are one process. */
#define STAMP_BYTES 24u
/* The same with left_ns, 8. */
#define STAMP_LEFT_BYTES 32u

struct stamp {
	uint32_t publisher;
	uint64_t number;
	uint64_t sent_ns; /* when it was due, or sent; monotonic */
	uint64_t left_ns; /* when it was handed to the kernel, CLOCK_REALTIME, as the kernel stamps arrivals; 0: unknown
			   */
};

/* out holds STAMP_BYTES, or STAMP_LEFT_BYTES where left_ns is not 0. */
void stamp_write(const struct stamp *stamp, uint8_t *out);
/* Returns false if the payload is not one of ours. */
bool stamp_read(struct slice payload, struct stamp *out);
/* Fills in left_ns if the payload carries it. */
void stamp_read_left(struct slice payload, struct stamp *out);

#endif
