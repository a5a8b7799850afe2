/* Messages that wait for sessions: kept once for all the sessions of a shard that wait for it, counted by reference. In
 * the shard's slab, named by its references; owned by the shard's thread. The
 * journal is told of a message before the first of its events that names it, and when the last reference to it goes. */
#ifndef SESSION_MESSAGES_H
#define SESSION_MESSAGES_H

#include "memory/slab.h"
#include "session/journal.h"
#include "session/refs.h"
#include "topics/publication.h"

struct message {
	uint32_t references : 31;
	uint32_t journaled : 1; /* the journal was told of it */
	struct publication publication;
	uint8_t packet[];
};
_Static_assert(sizeof(struct message) == 16, "part of the cost of a queued message");

struct messages {
	struct slab *slab;
	struct journal *journal; /* NULL where no message is journaled */
	uint32_t count;
	uint64_t bytes; /* of their packets */
};

void messages_init(struct messages *messages, struct slab *slab);

/* Copies the packet. The caller has the one reference; none: no memory. */
struct message_ref messages_new(struct messages *messages, const struct publication *publication,
				const uint8_t *packet);
void messages_get(struct messages *messages, struct message_ref message);
/* Tells the journal of the message, unless it was told before. expires_at_s: on the wall clock. */
void messages_tell(struct messages *messages, struct message_ref message, int64_t expires_at_s);
/* The last reference frees it. */
void messages_put(struct messages *messages, struct message_ref message);

static inline struct message *message_at(const struct messages *messages, struct message_ref message)
{
	return slab_at(messages->slab, message.index);
}

#endif
