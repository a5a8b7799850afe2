/* Counts what a stream of numbered messages lost, doubled or reordered. A stream is what must stay in order: one
 * publisher's messages to one subscriber, numbered from 0. Pure; owned by one thread. */
#ifndef BENCH_AUDIT_H
#define BENCH_AUDIT_H

#include <stdint.h>

struct audit_stream {
	uint64_t next;   /* one above the highest number seen */
	uint64_t recent; /* bit k: number next - 1 - k was seen; tells late from doubled */
};

/* Sums over all streams of a load. */
struct audit {
	uint64_t received; /* without doubles */
	uint64_t missing;  /* skipped and, so far, not come late */
	uint64_t reordered;
	uint64_t doubled;
};

/* Takes note of one message. Returns how many messages this settles, so that a closed loop can go on after a loss:
 * 1 for the next in order, 1 + n where n were skipped (they count as missing), 0 for a late or doubled one. */
uint64_t audit_receive(struct audit *audit, struct audit_stream *stream, uint64_t number);

/* Counts as missing what was sent and never came after the last one that did. Call it once for each stream. */
void audit_end(struct audit *audit, const struct audit_stream *stream, uint64_t sent);

#endif
