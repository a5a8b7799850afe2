/* Counts lost, duplicated and reordered messages of streams. A stream must stay in order: it is one publisher's
 * messages to one subscriber, numbered from 0. Pure; owned by one thread. */
#ifndef BENCH_AUDIT_H
#define BENCH_AUDIT_H

#include <stdint.h>

struct audit_stream {
	uint64_t next;   /* one above the highest number seen */
	uint64_t recent; /* bit k: number next - 1 - k was seen; distinguishes late from duplicated */
};

/* Sums over all streams of a load. */
struct audit {
	uint64_t received; /* without duplicates */
	uint64_t missing;  /* skipped, and not arrived late so far */
	uint64_t reordered;
	uint64_t doubled;
};

/* Counts one message. Returns how many messages are accounted for by it, so that a closed loop can go on after a loss:
 * 1 for the next in order, 1 + n if n were skipped (they count as missing), 0 for a late or duplicated one. */
uint64_t audit_receive(struct audit *audit, struct audit_stream *stream, uint64_t number);

/* Counts as missing what was sent after the last message that arrived. Call it once for each stream. */
void audit_end(struct audit *audit, const struct audit_stream *stream, uint64_t sent);

#endif
