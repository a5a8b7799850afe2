/* What waits for commits of the store (struct journal_safety): acknowledgements, and clients whose output is held. One
 * queue for each shard whose commits are waited for, first in, first out: a shard's commits become safe one after the
 * other, so only the front of a queue is ever looked at.
 *
 * Whoever takes an entry out checks whether its client is still there: a connection that ends leaves its entries
 * behind.
 *
 * Without safety nothing ever waits, and commit_waits_are_on() is the whole cost. Memory: 16 bytes an entry. Of tickets
 * and acknowledgements session/pending_acks.h bounds the number; of clients there is one entry for each commit that is
 * not safe. Owned by the shard's thread. */
#ifndef SESSION_COMMIT_WAITS_H
#define SESSION_COMMIT_WAITS_H

#include "base/error.h"
#include "session/journal.h"
#include "session/refs.h"

#include <stdbool.h>

enum commit_wait_kind {
	COMMIT_WAIT_TICKET, /* a holder of a ticket (session/pending_acks.h) */
	COMMIT_WAIT_ACK,    /* PUBREC, PUBREL or PUBCOMP of a journaled session */
	COMMIT_WAIT_OUTPUT, /* a client's output is held (net/io.h) */
	COMMIT_WAIT_MAIL,   /* the first of the retained messages that other nodes have set (route/retained_mail.h) */
};

struct commit_wait {
	uint32_t commit; /* the low half of its number; set by commit_waits_push() */
	union {
		uint32_t ticket;
		struct client_ref client;
	};
	uint16_t generation; /* of the client's connection */
	uint16_t packet_id;
	uint8_t kind; /* enum commit_wait_kind */
	uint8_t type; /* of the acknowledgement, MQTT's packet type */
	uint8_t reason;
};
_Static_assert(sizeof(struct commit_wait) == 16, "part of the cost of an acknowledgement that waits for a commit");

struct commit_queue {
	struct commit_wait *items; /* a ring of `capacity`, a power of two; NULL: nothing has waited yet */
	uint32_t first;
	uint32_t count;
	uint32_t capacity;
	uint32_t last; /* commit of the last entry */
};

struct commit_waits {
	const struct journal_safety *safety; /* NULL: all is safe as soon as it is told */
	void *context;                       /* the journal's */
	struct commit_queue *queues;         /* by shard */
	uint32_t waiting;                    /* entries in all queues */
	uint16_t shards;
	uint16_t self;
	uint16_t next; /* queue that is looked at next */
	bool awaits;   /* the journal was told to wake this shard */
};

/* journal: of shard `self`, one of `shards`. ERROR_NO_MEMORY. */
enum error commit_waits_open(struct commit_waits *waits, const struct journal *journal, uint16_t shards, uint16_t self);
void commit_waits_close(struct commit_waits *waits);

static inline bool commit_waits_are_on(const struct commit_waits *waits)
{
	return waits->safety != NULL;
}
static inline bool commit_waits_any(const struct commit_waits *waits)
{
	return waits->waiting != 0;
}

/* The commit after which all that this shard has told is safe; 0: it is safe already. Always 0 without safety. */
uint64_t commit_waits_unsafe(const struct commit_waits *waits);
/* The same for what leaves in order: also while something that this shard told of earlier still waits. */
uint64_t commit_waits_behind(const struct commit_waits *waits);
/* Whether that shard's commit is safe. */
bool commit_waits_is_safe(const struct commit_waits *waits, uint16_t shard, uint64_t commit);

/* The entry waits for that shard's commit, and for what waits for the shard already. ERROR_NO_MEMORY: it does not wait,
 * and the caller has to see to it that nothing is promised. */
enum error commit_waits_push(struct commit_waits *waits, uint16_t shard, uint64_t commit,
			     const struct commit_wait *wait);
/* Takes the next entry whose commit is safe. The shards take turns. False: there is none. */
bool commit_waits_next(struct commit_waits *waits, struct commit_wait *wait);
/* Whether commit_waits_next() would find one. */
bool commit_waits_are_ready(const struct commit_waits *waits);
/* Before a sleep: has the journal wake this shard if and only if something waits. What has become safe before that
 * brings no wake-up: look at commit_waits_are_ready() once more. */
void commit_waits_announce(struct commit_waits *waits);

#endif
