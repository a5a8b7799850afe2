/* Retained messages [3.3.1.3]: for each topic the last message that was published to it with the retain flag. All
 * shards share them, under one lock. They are in a tree by level, so that a subscription with wildcards visits only the
 * levels that it matches. Its walk can stop at any node and go on later, while messages come and go.
 *
 * A publisher sets its message here before it matches it against the routing index. A subscriber enters the index
 * before it walks here. So it gets the newest message at least once, by one way or the other. Any thread; no call holds
 * the lock for longer than RETAINED_VISITS_MAX visits take. */
#ifndef TOPICS_RETAINED_H
#define TOPICS_RETAINED_H

#include "base/hash.h"
#include "topics/publication.h"

#define RETAINED_VISITS_MAX 256u

struct retained;

/* bytes_max: of all packets together. NULL: no memory. */
struct retained *retained_new(const struct hash_key *key, uint32_t messages_max, uint64_t bytes_max);
void retained_free(struct retained *retained);

/* Sets or replaces the topic's message; an empty payload takes it away [MQTT-3.3.1-6, MQTT-3.3.1-7]. ERROR_LIMIT,
 * ERROR_NO_MEMORY: what was there before stays. *change, unless NULL: the change's number. Numbers give the order of
 * changes that several threads made. 0: nothing changed that must be known elsewhere, because there was no message to
 * remove, or the topic is one of the server's own. */
enum error retained_set(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			uint32_t now_s, uint64_t *change);

struct retained_size {
	uint64_t messages;
	uint64_t bytes;
};
/* Without the lock, so only nearly exact. The server's own messages, below $SYS, are neither counted nor limited. */
bool retained_is_empty(const struct retained *retained);
struct retained_size retained_size(const struct retained *retained);

/* A subscription's walk through the messages that match it. Owned by one thread, zero before the first step. */
struct retained_walk {
	uint32_t node; /* the next to visit; it is held, so it stays in the tree; 0: the walk has not begun, or is over
			*/
};

/* Called with the lock held; copies what it needs. False: stops the step; the next one passes this message again. */
typedef bool retained_visit(void *context, const struct publication *publication, const uint8_t *packet);

/* Visits up to *visits nodes of the tree (1..RETAINED_VISITS_MAX), and counts *visits down. Calls `visit` for messages
 * that match the valid filter and have not expired. True: the walk is over, and may be begun again. */
bool retained_walk_step(struct retained *retained, struct retained_walk *walk, struct slice filter, uint32_t now_s,
			uint32_t *visits, retained_visit *visit, void *context);
/* Ends a walk early. Does nothing if it is over. */
void retained_walk_end(struct retained *retained, struct retained_walk *walk);

/* Called with the lock held for a message that has expired, before it is removed. change: as from retained_set(). */
typedef void retained_expired(void *context, const struct publication *publication, const uint8_t *packet,
			      uint64_t change);

/* Removes up to messages_max messages that have expired, and returns how many. Looks at no others. expired may be NULL.
 */
uint32_t retained_expire(struct retained *retained, uint32_t now_s, uint32_t messages_max, retained_expired *expired,
			 void *context);
/* Whether a message has expired. Without the lock. */
bool retained_has_expired(const struct retained *retained, uint32_t now_s);

#endif
