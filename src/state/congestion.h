/* What a shard knows of clients whose queues are long, and of publishers that wait for them. What it means, and what is
 * done with it, is in route/congestion.h. By the shard's thread, but the board, which all read. */
#ifndef STATE_CONGESTION_H
#define STATE_CONGESTION_H

#include "memory/list.h"

#include <stdbool.h>
#include <stdint.h>

#define CONGESTION_PLACES 256u
/* A shard's board: written by it, read by all. */
struct congestion_board {
	_Alignas(64) _Atomic uint16_t congested[CONGESTION_PLACES];
};

/* A publisher, from anywhere. */
struct publisher_name {
	uint32_t index;      /* 0: the gateway itself, which does not wait */
	uint16_t shard;      /* where it lives */
	uint16_t generation; /* of its connection */
};

#define CONGESTION_TOLD 64u

/* A shard's side of it. */
struct congestion {
	struct list congested; /* clients that are */
	struct list held;      /* publishers that are, or were */
	uint64_t looked_ms;
	uint32_t stuck; /* clients that were, since then */
	uint32_t stuck_since_s;
	uint64_t excess_bytes;   /* of all its clients' queues beyond their limits */
	uint32_t look_congested; /* where a look goes on that was too long for one turn */
	uint32_t look_held;
	/* Who was sent a note of late: he is not sent another one for each message that is on its way. */
	struct told {
		struct publisher_name publisher;
		uint32_t place;
		uint64_t at_ms;
	} told[CONGESTION_TOLD];
};

#endif
