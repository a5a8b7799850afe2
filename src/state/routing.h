/* A shard's messages in transit: its clients' messages that are being routed, batches from other shards, and batches to
 * them. By the shard's thread. */
#ifndef STATE_ROUTING_H
#define STATE_ROUTING_H

#include "memory/list.h"
#include "reactor/mailbox.h"
#include "session/commit_waits.h"
#include "session/messages.h"
#include "session/pending_acks.h"
#include "topics/index/index.h"

/* ---- publishers that wait for subscribers (deliver/congestion.h) ---- */

#define CONGESTION_PLACES 256u
/* A shard's board counts its congested clients by place. Its shard writes it, all shards read it. One more, the nodes
 * thread's, stands for the boards of other nodes. */
struct congestion_board {
	_Alignas(64) _Atomic uint16_t congested[CONGESTION_PLACES];
};
_Static_assert(CONGESTION_PLACES <= UINT16_MAX, "struct awaited keeps a place in 16 bits");

/* A publisher on any shard. */
struct publisher_name {
	uint32_t index;      /* of the client; 0: the gateway itself, which does not wait */
	uint16_t shard;      /* that the client lives on */
	uint16_t generation; /* of its connection */
};

#define CONGESTION_TOLD 64u

struct congestion {
	struct client_list congested; /* clients that publishers wait for */
	struct client_list held;      /* publishers that wait, or did since the last look */
	uint64_t looked_ms;           /* when the lists were last looked at */
	uint32_t stuck;               /* clients that became stuck since stuck_since_s */
	uint32_t stuck_since_s;
	uint64_t excess_bytes;   /* in all queues of the shard's clients, beyond their limits */
	uint32_t look_congested; /* where a look that did not fit into one turn continues */
	uint32_t look_held;
	/* Publishers that were sent a note recently. They get no further note for messages that are already in
	 * transit. */
	struct told {
		struct publisher_name publisher;
		uint32_t place;
		uint64_t at_ms;
	} told[CONGESTION_TOLD];
};

/* ---- messages in transit ---- */

/* A message that some session of the shard keeps, in either form (session/messages.h), or in both. */
struct kept_message {
	struct message_ref plain;
	struct message_ref apart;
};

/* The batch that is being delivered, and the position in it. A walk over many subscribers may take several turns. */
struct mail {
	struct batch *batch;
	uint32_t offset;          /* of the record */
	uint32_t route;           /* which of the record's routes comes next */
	struct kept_message kept; /* the record's message, once a session has kept it */
	bool walking;             /* in the middle of a route */
};

/* Limits on publishers' messages that a shard routes over several turns. */
#define ROUTINGS_MAX 1024u
#define ROUTINGS_BYTES_MAX ((uint64_t)64 << 20)
struct routing;

struct routings {
	/* The gateway's own messages (wills, presence, $SYS), in the order in which they were published. Only the first
	 * one is being routed. */
	struct routing *own;
	struct routing **own_end;
	uint64_t own_bytes;  /* of their packets and of their routing state */
	uint64_t own_queued; /* how many were queued since the start, and how many of these have left the queue */
	uint64_t own_left;
	/* Publishers' messages, at most one of each publisher. They take turns. */
	struct client_ref publishers[ROUTINGS_MAX];
	struct routing *of_publishers[ROUTINGS_MAX];
	uint32_t count;
	uint32_t next;  /* whose turn it is */
	uint64_t bytes; /* of their packets */
	bool can_go_on; /* some lack only work, not room in a mailbox */
	bool has_room;  /* batches have come back since the last run */
};

/* Whether the shard is woken for acknowledgements when it sleeps while some wait (client/acknowledge.h). */
struct ack_patience {
	uint64_t asked_ns;   /* when it last was about to sleep while some waited */
	uint32_t gap_ns;     /* moving average of the time between two such sleeps */
	uint16_t woken_left; /* for how many more sleeps it is woken */
	uint8_t backoff;     /* the next such number, as a power of two */
};

/* Of a buffer for origins this much is kept once it was needed; larger ones are freed when a smaller one will do. */
#define ORIGIN_BUFFER_KEPT_BYTES 65536u

struct origin_peer;

/* Where messages come from, for Roost's own clients (deliver/origin/origin.h). All NULL until there is such a client.
 */
struct origins {
	uint8_t *bytes; /* the origin that was made last */
	size_t capacity;
	uint8_t *packet; /* the packet with its origin that was made last */
	size_t packet_capacity;
	struct origin_peer *peers; /* addresses of publishers, as text */
};

/* Changes of retained messages by other nodes that wait for commits (route/retained_mail.h). */
struct retained_mails {
	struct node_mail *first; /* the one whose commit is safe first */
	struct node_mail *last;
};

struct shard_routing {
	struct outbox outbox; /* to the other shards */
	struct mail mail;     /* from the other shards */
	struct commit_waits commits;
	struct retained_mails retained_mails;
	struct routes routes;       /* result of a match; valid within one call of route_message() */
	uint32_t *peer_routes;      /* how many of these routes each shard has */
	struct batch *read_batches; /* delivered in this turn, returned after the flush */
	struct routings routings;
	struct pending_acks acks; /* for messages of its clients */
	struct ack_patience ack_patience;
	bool commits_last;               /* the shard drains: what waits for a commit already is the last that does */
	struct client_list acks_awaited; /* clients that are not read because too many of the shard's acks wait */
	struct congestion congestion;
	struct origins origins;
	uint32_t loss_log_next_s; /* when the next loss of a message may be logged */
};

#endif
