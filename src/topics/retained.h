/* Retained messages [3.3.1.3]: topics to the last message that was published to them with the retain flag, shared by
 * all shards, under one lock. A tree by level, so that a subscription with wildcards visits only what it matches; its
 * walk can stop at any point and go on later, while messages come and go.
 *
 * A publisher sets before it matches against the routing index, a subscriber subscribes before it looks here: so it
 * gets the newest message at least once. Any thread; nothing blocks for longer than RETAINED_VISITS_MAX visits take. */
#ifndef TOPICS_RETAINED_H
#define TOPICS_RETAINED_H

#include "base/hash.h"
#include "topics/publication.h"

#define RETAINED_VISITS_MAX 256u

struct retained;

/* messages_max, bytes_max: of all packets together. NULL: no memory. */
struct retained *retained_new(const struct hash_key *key, uint32_t messages_max, uint64_t bytes_max);
void retained_free(struct retained *retained);

/* Sets or replaces the topic's message; an empty payload takes it away [MQTT-3.3.1-6, MQTT-3.3.1-7]. ERROR_LIMIT,
 * ERROR_NO_MEMORY: what was there before stays. *change, unless NULL: the change's number, by which changes that
 * several threads make can be put into the order in which they were made; 0: nothing has changed that is to be known
 * elsewhere, for there was no message to take away, or the topic is one of the server's own. */
enum error retained_set(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			uint32_t now_s, uint64_t *change);

struct retained_size {
	uint64_t messages;
	uint64_t bytes;
};
/* Without the lock, so nearly exact; the server's own below $SYS are not counted, nor limited. */
bool retained_is_empty(const struct retained *retained);
struct retained_size retained_size(const struct retained *retained);

/* A subscription's way through its matches. Owned by one thread, zero before the first step. */
struct retained_walk {
	uint32_t node; /* where it goes on: held in the tree until the walk ends */
};

/* Called with the lock held: it copies what it needs. False: stop here; the message comes again in the next step. */
typedef bool retained_visit(void *context, const struct publication *publication, const uint8_t *packet);

/* Visits up to *visits (at least 1) nodes of the tree, which it takes off *visits, and of them the messages that match
 * the (checked) filter and have not expired. True: the walk is over (and may be begun again). */
bool retained_walk_step(struct retained *retained, struct retained_walk *walk, struct slice filter, uint32_t now_s,
			uint32_t *visits, retained_visit *visit, void *context);
/* Ends a walk that is not over. */
void retained_walk_end(struct retained *retained, struct retained_walk *walk);

/* Called with the lock held for a message that has expired, before it goes; change: as retained_set() tells it. */
typedef void retained_expired(void *context, const struct publication *publication, const uint8_t *packet,
			      uint64_t change);

/* Takes away up to messages_max messages that have expired, and says how many; nothing else is looked at. expired NULL:
 * nobody is told which. */
uint32_t retained_expire(struct retained *retained, uint32_t now_s, uint32_t messages_max, retained_expired *expired,
			 void *context);
/* Whether there is one. Without the lock. */
bool retained_has_expired(const struct retained *retained, uint32_t now_s);

#endif
