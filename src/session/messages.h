/* Messages that wait for sessions. A message is kept once for all sessions of a shard, and counted by reference, in the
 * shard's slab. The journal is told of a message before the first event that names it, and when its last reference
 * goes. Owned by the shard's thread. */
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

/* Copies the packet. Returns a reference that the caller owns; none: no memory. */
struct message_ref messages_new(struct messages *messages, const struct publication *publication,
				const uint8_t *packet);
/* Adds a reference to a message that has one. */
void messages_get(struct messages *messages, struct message_ref message);
/* Tells the journal of the message, unless it knows it already. expires_at_s: on the wall clock. */
void messages_tell(struct messages *messages, struct message_ref message, int64_t expires_at_s);
/* Gives a reference up. The last one frees the message. */
void messages_put(struct messages *messages, struct message_ref message);

static inline struct message *message_at(const struct messages *messages, struct message_ref message)
{
	return slab_at(messages->slab, message.index);
}

#endif
