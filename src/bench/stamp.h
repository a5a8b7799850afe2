/* What a message of `bench pubsub` carries: who sent it, its number in its stream and when, so that the receiver can
 * audit and time it. The rest of the payload is padding. Pure; any thread. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include "base/slice.h"

/* magic 4, publisher 4, number 8, sent_ns 8; the machine's byte order, as both ends are one process. */
#define STAMP_BYTES 24u

struct stamp {
	uint32_t publisher;
	uint64_t number;
	uint64_t sent_ns;
};

/* out holds STAMP_BYTES. */
void stamp_write(const struct stamp *stamp, uint8_t *out);
/* False when the payload is not one of ours. */
bool stamp_read(struct slice payload, struct stamp *out);

#endif
