/* Messages that wait for sessions. A message is kept once for all sessions of a shard, and counted by reference. In
 * the shard's slab, named by its references; owned by the shard's thread. Here is where a durable store hooks in: a
 * message is written when it is first kept, and forgotten with its last reference. */
#ifndef FLOW_MESSAGES_H
#define FLOW_MESSAGES_H

#include "flow/refs.h"
#include "memory/slab.h"
#include "topics/publication.h"

struct message {
	uint32_t references;
	struct publication publication;
	uint8_t packet[];
};
_Static_assert(sizeof(struct message) == 16, "part of the cost of a queued message");

struct messages {
	struct slab *slab;
	uint32_t count;
	uint64_t bytes; /* of their packets */
};

void messages_init(struct messages *messages, struct slab *slab);

/* Copies the packet. Returns a reference that the caller owns; none: no memory. */
struct message_ref messages_new(struct messages *messages, const struct publication *publication,
				const uint8_t *packet);
/* Adds a reference to a message that has one. */
void messages_get(struct messages *messages, struct message_ref message);
/* Gives a reference up. The last one frees the message. */
void messages_put(struct messages *messages, struct message_ref message);

static inline struct message *message_at(const struct messages *messages, struct message_ref message)
{
	return slab_at(messages->slab, message.index);
}

#endif
