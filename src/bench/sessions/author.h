/* A publisher of a durable run. It outlives its connections: what was not acknowledged when one broke is sent again on
 * the next with the same identifiers and DUP, and a PUBREL that was not answered is sent again [MQTT-4.4.0-1]. Owned by
 * the engine's thread. */
#ifndef BENCH_AUTHOR_H
#define BENCH_AUTHOR_H

#include "bench/client/pool.h"
#include "bench/measure/inflight.h"
#include "bench/sessions/cast.h"

struct author {
	struct inflight inflight; /* above QoS 0 */
	uint64_t *sent_ns;        /* of each message in flight, when it was sent first */
	uint64_t sent_at_qos_0;
	uint64_t sent; /* since messages began to flow */
	bool is_due;   /* may have room for messages, and shall look */
};

/* What all of them share. */
struct authors {
	const struct cast *cast;
	struct client_pool *pool;
	struct author *list;
	uint8_t *packets; /* room for a whole window */
	uint8_t *padding;
	uint32_t *due; /* numbers of those that shall look */
	uint32_t due_count;
	uint32_t size; /* of a payload */
	uint32_t window;
};

/* Returns false without memory. */
bool authors_open(struct authors *authors, const struct cast *cast, struct client_pool *pool, uint32_t size,
		  uint32_t window);
void authors_close(struct authors *authors);

/* Sends at most `most` new messages, as far as window and socket allow, in one write. */
void author_publish(struct authors *authors, uint32_t index, uint64_t most, uint64_t now_ns);
/* Sends again what the last connection left open. */
void author_resume(struct authors *authors, uint32_t index);

/* It shall look for room at the end of the turn. */
void author_note_due(struct authors *authors, uint32_t index);

/* Messages whose handshakes have not ended, of all. */
uint64_t authors_unacknowledged(const struct authors *authors);
/* Messages that it has sent in its life; the last one has this number less one. */
uint64_t author_count(const struct authors *authors, uint32_t index);

#endif
