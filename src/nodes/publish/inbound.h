/* Messages that other nodes send: from the link to subscribers on this node.
 *
 * A message is matched against this node's own filters, without shared subscriptions but for those that it names, and
 * without Roost's own clients, which hear what is published on their node. Each shard that has subscribers gets a
 * record, by an outbox of the nodes thread. A message that a shard has no room for waits, and the peer's later ones
 * behind it; the peer's own room ends then, for it counts what is not safe.
 *
 * What waits at QoS 0 is bounded: beyond that it is dropped, for its sender does not count it. At QoS 1 and 2 nothing
 * is dropped: a message that cannot be kept is never said to be safe, nothing of the link counts from there on, and a
 * new link is asked for, on which its sender sends it again.
 *
 * Each peer's messages have numbers. One is safe when the batches with its records have come back, the commits of these
 * shards are safe, and, where it is retained, the tree's change is. The peer is told up to which number all are safe.
 *
 * What a peer says is checked: a message that is none is counted as one, and goes nowhere. By the nodes thread. */
#ifndef NODES_INBOUND_H
#define NODES_INBOUND_H

#include "base/slice.h"
#include "cluster/common/stamp.h"
#include "cluster/wire/message.h"
#include "control/gateway.h"
#include "nodes/publish/far_waits.h"
#include "reactor/mailbox.h"
#include "topics/index/index.h"
#include "topics/publication.h"

#include <stdbool.h>

struct interest;

/* Messages of a peer that are not safe yet. Its shards' outboxes have no room for as many. */
#define INBOUND_MAX (1u << 22)
/* Bytes of those that wait for room: with so many at QoS 1 and 2 the peer does not keep to what it may. */
#define INBOUND_WAITING_BYTES_MAX ((uint64_t)512 << 20)
/* With so many no message at QoS 0 waits. */
#define INBOUND_WAITING_QOS_0_BYTES_MAX ((uint64_t)8 << 20)

/* Sets the topic's retained message, unless a newer change is here. True: inbound_release() is to be
 * called with the ticket when the change is safe. */
typedef bool inbound_retain(void *context, const struct publication *publication, const uint8_t *packet,
			    struct stamp stamp, uint64_t ticket);

struct waiting_arrival;

/* Of one peer. Numbers go on from one link to the next; what the peer calls 1 is link_base + 1. */
struct inbound_peer {
	uint64_t received;
	uint64_t safe;      /* up to this number all are */
	uint64_t told;      /* and so far the peer knows */
	uint64_t link_base; /* what was received before this link */
	/* Which runs of this node and of the peer the link is between, and the link before it. */
	uint64_t own_run;
	uint64_t run;
	uint64_t own_run_before;
	uint64_t run_before;
	uint64_t base_before;
	bool is_deaf;                  /* a message could not be kept: nothing of this link counts any more */
	bool owes;                     /* since it was told there was one whose publisher waits */
	uint32_t *holders;             /* of the messages from safe + 1 on: a ring */
	uint32_t ring_mask;            /* holders NULL: there is none yet */
	struct waiting_arrival *first; /* for room */
	struct waiting_arrival *last;
	uint64_t waiting_bytes;
	uint64_t messages;
	uint64_t bytes;
};

/* Tickets with this bit are not of messages that came, but of records that nodes/publish/publishing.h has written. */
#define INBOUND_TICKET_OF_OTHERS (1u << 31)

/* What waits for a shard's commits, first in, first out. */
struct inbound_commits {
	struct arrival_commit {
		uint64_t commit;
		uint32_t ticket;
	} * items; /* a ring of `capacity`, a power of two */
	uint32_t first;
	uint32_t count;
	uint32_t capacity;
};

struct inbound_figures {
	uint64_t unwanted; /* no subscriber here: what is sent for nothing */
	uint64_t unsound;
	uint64_t dropped; /* at QoS 0, for want of room */
	uint64_t refused; /* at QoS 1 and 2, for want of room or memory: their senders send them again */
	uint64_t copies;
};

struct inbound {
	struct gateway_parts parts;
	const struct interest *interest;
	struct outbox outbox; /* of the nodes thread, to shards and, by itself, to peers */
	struct far_waits waits;
	struct routes routes;
	uint32_t *counts; /* of routes by number, within one step */
	struct inbound_peer peers[NODES_MAX];
	struct inbound_commits *commits;                       /* by shard */
	uint32_t committing;                                   /* in all of these */
	void (*release_other)(void *context, uint32_t ticket); /* INBOUND_TICKET_OF_OTHERS */
	void *other_context;
	inbound_retain *retain; /* NULL: retained messages are not kept */
	void *retain_context;
	struct inbound_figures figures;
	bool wants_new_links; /* a peer's link is of no use any more; whoever sees to it sets it back */
	uint32_t now_s;
};

/* ERROR_NO_MEMORY. */
enum error inbound_init(struct inbound *inbound, const struct gateway_parts *parts, const struct interest *interest);
void inbound_fini(struct inbound *inbound);

/* The link with this peer is a new one, between these runs of this node and of the peer. */
void inbound_begin(struct inbound *inbound, uint32_t slot, uint64_t own_run, uint64_t run);
/* A message on it. False: it is none. */
bool inbound_receive(struct inbound *inbound, uint32_t slot, struct slice body);
/* Another holder of a message has it safe. */
void inbound_release(struct inbound *inbound, uint32_t ticket);

/* Once a turn: takes what has come back, and goes on with what waits. now_s: the gateway's clock. */
void inbound_run(struct inbound *inbound, uint32_t now_s);
/* At its end: hands over what was written. */
void inbound_send(struct inbound *inbound);
/* Whether something waits for commits, which nobody wakes this thread for. */
static inline bool inbound_await_commits(const struct inbound *inbound)
{
	return inbound->committing != 0;
}
/* Whether the peer is to be told how far its messages are safe: sets *number. */
bool inbound_owe(const struct inbound *inbound, uint32_t slot, uint64_t *number);
void inbound_have_told(struct inbound *inbound, uint32_t slot, uint64_t number);
/* Whether all that peers sent is safe. */
bool inbound_are_done(const struct inbound *inbound);

#endif
