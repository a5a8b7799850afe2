/* A shard's messages on their way: those of its clients that are being routed, those that came from other shards, and
 * what goes to them. By the shard's thread. */
#ifndef STATE_ROUTING_H
#define STATE_ROUTING_H

#include "reactor/mailbox.h"
#include "session/pending_acks.h"
#include "state/congestion.h"
#include "topics/index.h"

/* A batch that is being delivered, and how far. A walk over many subscribers may take several turns. */
struct mail {
	struct batch *batch;
	uint32_t offset; /* of the record */
	uint32_t route;  /* of the record's routes, the next to walk */
	uint32_t kept;   /* the record's message in shard->mem.messages, 0: no session needed it so far */
	bool walking;    /* in the middle of a route */
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
	uint32_t publishers[ROUTINGS_MAX];
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
	struct list acks_awaited; /* clients that are unread because the shard has too many of them */
	struct congestion congestion;
	uint32_t loss_log_next_s; /* when it may be logged again that a client loses messages */
};

#endif
