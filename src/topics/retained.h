/* Retained messages [3.3.1.3]: for each topic the last message that was published to it with the retain flag. All
 * shards share them, under one lock. They are in a tree by level, so that a subscription with wildcards visits only the
 * levels that it matches. Its walk can stop at any node and go on later, while messages come and go.
 *
 * A publisher sets its message here before it matches it against the routing index. A subscriber enters the index
 * before it walks here. So it gets the newest message at least once, by one way or the other. Any thread; no call holds
 * the lock for longer than RETAINED_VISITS_MAX visits take. */
#ifndef TOPICS_RETAINED_H
#define TOPICS_RETAINED_H

#include "base/error.h"
#include "base/hash.h"
#include "cluster/common/stamp.h"
#include "topics/publication.h"

struct arena;

#define RETAINED_VISITS_MAX 256u

struct retained;

/* bytes_max: of all packets together. arena: where its memory is, or NULL (memory/arena.h). In one that was adopted the
 * limits are no lower than what is there. NULL: no memory; or what is there is damaged. */
struct retained *retained_new(const struct hash_key *key, uint32_t messages_max, uint64_t bytes_max,
			      struct arena *arena);
/* Notes what lies beside its memory, for the program that adopts the arena. No other thread uses it. */
enum error retained_save(const struct retained *retained, const struct arena *arena);
void retained_free(struct retained *retained);

/* Sets or replaces the topic's message; an empty payload takes it away [MQTT-3.3.1-6, MQTT-3.3.1-7]. ERROR_LIMIT,
 * ERROR_NO_MEMORY: what was there before stays. *change, unless NULL: the change's number. Numbers give the order of
 * changes that several threads made. 0: nothing changed that must be known elsewhere, because there was no message to
 * remove, or the topic is one of the server's own. In a cluster only for the server's own topics: the others have
 * stamps (topics/retained_changes.h). */
enum error retained_set(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			uint32_t now_s, uint64_t *change);

/* The next change gets a higher number than this one. At a restart, before the first change. */
void retained_number_from(struct retained *retained, uint64_t number);

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

/* Called with the lock held. change: a number of its own, as if the message had been set again. stamp: of the message,
 * in a cluster (topics/retained_changes.h). False: stops the step. */
typedef bool retained_told(void *context, const struct publication *publication, const uint8_t *packet, uint64_t change,
			   struct stamp stamp);

/* A step of a walk through all messages but the server's own, whatever their topics: visits up to *visits nodes
 * (1..RETAINED_VISITS_MAX). What is set or taken away meanwhile may be passed or not. True: the walk is over. */
bool retained_tell_step(struct retained *retained, struct retained_walk *walk, uint32_t now_s, uint32_t *visits,
			retained_told *told, void *context);

/* Called with the lock held for a message that has expired, before it is removed. change: as from retained_set().
 * stamp: of the message, in a cluster. */
typedef void retained_expired(void *context, const struct publication *publication, const uint8_t *packet,
			      uint64_t change, struct stamp stamp);

/* Removes up to messages_max messages that have expired, and returns how many. Looks at no others. expired may be NULL.
 */
uint32_t retained_expire(struct retained *retained, uint32_t now_s, uint32_t messages_max, retained_expired *expired,
			 void *context);
/* Whether a message has expired. Without the lock. */
bool retained_has_expired(const struct retained *retained, uint32_t now_s);

#endif
