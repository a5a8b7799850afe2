/* A shard's messages on their way: those of its clients that are being routed, those that came from other shards, and
 * what goes to them. By the shard's thread. */
#ifndef STATE_ROUTING_H
#define STATE_ROUTING_H

#include "memory/list.h"
#include "reactor/mailbox.h"
#include "session/messages.h"
#include "session/pending_acks.h"
#include "topics/index.h"

/* ---- publishers that wait for subscribers (deliver/congestion.h) ---- */

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
	struct client_list congested; /* clients that are */
	struct client_list held;      /* publishers that are, or were */
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

/* ---- messages on their way ---- */

/* A batch that is being delivered, and how far. A walk over many subscribers may take several turns. */
struct mail {
	struct batch *batch;
	uint32_t offset;         /* of the record */
	uint32_t route;          /* of the record's routes, the next to walk */
	struct message_ref kept; /* the record's message, once a session needed it */
	bool walking;            /* in the middle of a route */
};

/* Of publishers, a shard has at most so many under way. */
#define ROUTINGS_MAX 1024u
#define ROUTINGS_BYTES_MAX ((uint64_t)64 << 20)
struct routing;

struct routings {
	/* Of the gateway's own, in the order in which they were published: the first one is worked on. */
	struct routing *own;
	struct routing **own_end;
	uint64_t own_bytes; /* of their packets, and what is noted beside */
	/* Of publishers, one each. They take turns. */
	struct client_ref publishers[ROUTINGS_MAX];
	struct routing *of_publishers[ROUTINGS_MAX];
	uint32_t count;
	uint32_t next;  /* whose turn it is */
	uint64_t bytes; /* of their packets */
	bool can_go_on; /* some wait for work only, not for room */
	bool has_room;  /* some batches have come back since the last run */
};

/* Whether the shard, when it sleeps while acknowledgements wait, is woken for them (client/acknowledge.h). */
struct ack_patience {
	uint64_t asked_ns;   /* when it last was about to sleep so */
	uint32_t gap_ns;     /* between two such times, on average of late */
	uint16_t woken_left; /* so many sleeps more, in which it is */
	uint8_t backoff;     /* the power of two of the next such number */
};

struct shard_routing {
	struct outbox outbox;       /* to the other shards */
	struct mail mail;           /* from them */
	struct routes routes;       /* what a match found; used within one call of route_message() */
	uint32_t *peer_routes;      /* its routes, counted by shard */
	struct batch *read_batches; /* delivered in this turn, to be returned after the flush */
	struct routings routings;
	struct pending_acks acks; /* of its clients' messages */
	struct ack_patience ack_patience;
	struct client_list acks_awaited; /* clients that are unread because the shard has too many of them */
	struct congestion congestion;
	uint32_t loss_log_next_s; /* when it may be logged again that a client loses messages */
};

#endif
