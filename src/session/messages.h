/* Messages that wait for sessions. A message is kept once for all sessions of a shard, and counted by reference, in the
 * shard's slab. The journal is told of a message before the first event that names it, and when its last reference
 * goes. Owned by the shard's thread.
 *
 * Two forms. A message that is sent at once has its packet behind its head, in one block. One that may wait long for a
 * session that the journal knows is `apart`: its packet is a block of its own, which may leave memory once the store
 * has it safely (messages_evict()) and comes back when a client takes its messages (messages_install()). In between the
 * message is absent, and costs its head. What may be sent by way of other code than a session's queue, a will or a
 * message of a shared subscription, is never apart.
 *
 * The apart messages that are in memory and were told to the journal form a list, oldest first. Behind each comes one
 * that was told, or came back, later. So the commits in which they are safe never decrease along the list. */
#ifndef SESSION_MESSAGES_H
#define SESSION_MESSAGES_H

#include "memory/slab.h"
#include "session/journal.h"
#include "session/refs.h"
#include "topics/publication.h"

struct message {
	uint32_t references : 27;
	uint32_t journaled : 1;  /* the journal was told of it */
	uint32_t era : 1;        /* and last in the messages' era that has this number */
	uint32_t apart : 1;      /* a struct message_body follows; else the packet itself */
	uint32_t unreadable : 1; /* it is absent and the store could not give its packet back */
	uint32_t halfway : 1;    /* of packets that were read ahead: when it is sent, the next are asked for */
	struct publication publication;
};
_Static_assert(sizeof(struct message) == 16, "part of the cost of a queued message");

/* Of a message that is apart. */
struct message_body {
	uint32_t block;           /* slab reference of the packet; 0: it is absent */
	struct message_ref older; /* neighbours in the list, while the message is in it */
	struct message_ref newer;
	uint32_t commit; /* the low half of the number of the commit from which on the packet is safe */
};
_Static_assert(sizeof(struct message) + sizeof(struct message_body) == 32, "what an absent message costs");

struct messages {
	struct slab *slab;
	struct journal *journal; /* NULL where no message is journaled */
	uint32_t count;
	uint32_t absent_count;
	uint64_t bytes;        /* of packets in memory */
	uint64_t apart_bytes;  /* of these, in blocks of their own */
	uint64_t absent_bytes; /* of packets that are in the store alone */
	uint64_t evicted;      /* packets that have left memory, since the start */
	struct message_ref oldest;
	struct message_ref newest;
	uint32_t era;              /* 0 or 1 in turns, from checkpoint to checkpoint (lifecycle/stored/retell.h) */
	struct message_ref unsafe; /* the first in the list that is not known to be safe; none: all are */
};

void messages_init(struct messages *messages, struct slab *slab);
/* Notes what lies beside the slab, for the program that adopts the arena (memory/arena.h); finds it again, after
 * messages_init(). ERROR_NOT_FOUND: there is no such note. Does nothing with an arena that was not adopted, or NULL. */
enum error messages_save(const struct messages *messages, const struct arena *arena);
enum error messages_find(struct messages *messages, const struct arena *arena);

/* Copies the packet behind the head. Returns a reference that the caller owns; none: no memory. */
struct message_ref messages_new(struct messages *messages, const struct publication *publication,
				const uint8_t *packet);
/* The same, with the packet apart. */
struct message_ref messages_new_apart(struct messages *messages, const struct publication *publication,
				      const uint8_t *packet);
/* A message whose packet is in the store alone, at a restart: the journal knows it. publication->packet_bytes is the
 * packet's. Returns a reference that the caller owns; none: no memory. */
struct message_ref messages_new_absent(struct messages *messages, const struct publication *publication);
/* Adds a reference to a message that has one. */
void messages_get(struct messages *messages, struct message_ref message);
/* A checkpoint begins. Messages that the journal was told of before are told again, by messages_tell(). All of them
 * that are ever named again have been told in the era before. */
void messages_begin_era(struct messages *messages);
/* Tells the journal of the message, unless it was told in this era. expires_at_s: on the wall clock. publisher: of a
 * message at QoS 2; NULL: nobody who could send it again. */
void messages_tell(struct messages *messages, struct message_ref message, int64_t expires_at_s,
		   const struct journal_publisher *publisher);
/* Gives a reference up. The last one frees the message. */
void messages_put(struct messages *messages, struct message_ref message);

/* ---- packets that leave memory ---- */

/* Notes which messages of the list are safe: all up to the commit `safe`. Looks at no more than `most`. Must be called
 * at least once in 2^31 commits, since half of a commit's number is kept. */
void messages_note_safe(struct messages *messages, uint64_t safe, uint32_t most);
/* Takes packets out of memory, the oldest first, until apart_bytes is at most bytes_max, or the next one is not known
 * to be safe, or `most` have gone. Returns how many. */
uint32_t messages_evict(struct messages *messages, uint64_t bytes_max, uint32_t most);
/* The packet of an absent message has come back: copies it. Does nothing where the message is not absent.
 * ERROR_NO_MEMORY: it stays absent. */
enum error messages_install(struct messages *messages, struct message_ref message, const uint8_t *packet);
/* The packet of a message could not be read. Does nothing where the message is not absent. */
void messages_set_unreadable(struct messages *messages, struct message_ref message);

static inline struct message *message_at(const struct messages *messages, struct message_ref message)
{
	return slab_at(messages->slab, message.index);
}

/* Of a message that is apart. */
static inline struct message_body *message_body(const struct message *message)
{
	CHECK(message->apart);
	return (struct message_body *)(uintptr_t)(message + 1);
}

static inline bool message_is_absent(const struct message *message)
{
	return message->apart && message_body(message)->block == 0;
}

static inline bool messages_is_absent(const struct messages *messages, struct message_ref message)
{
	return message_is_absent(message_at(messages, message));
}

/* The packet of a message that is not absent. */
static inline uint8_t *message_packet(const struct messages *messages, const struct message *message)
{
	if (!message->apart)
		return (uint8_t *)(uintptr_t)(message + 1);
	return slab_at(messages->slab, message_body(message)->block);
}

#endif
