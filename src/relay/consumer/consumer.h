/* A consumer: which Redis stream the gateway reads, as a member of which consumer group. The daemon reads consumers
 * from the configuration's list `consumers`; from then on they do not change. Pure; any thread. */
#ifndef RELAY_CONSUMER_CONSUMER_H
#define RELAY_CONSUMER_CONSUMER_H

#include "relay/item/item.h"

#define CONSUMERS_MAX 16u
#define CONSUMER_STREAM_BYTES_MAX 256u /* with the null character, here and below */
#define CONSUMER_GROUP_BYTES_MAX 128u

/* The client id under which its messages are published is this and the consumer's name. */
#define CONSUMER_CLIENT_PREFIX "$roost/consumer/"
_Static_assert(sizeof(CONSUMER_CLIENT_PREFIX) <= ITEM_PREFIX_BYTES_MAX, "a client id has room for it");

struct consumer {
	char name[ITEM_NAME_BYTES_MAX]; /* unique */
	char stream[CONSUMER_STREAM_BYTES_MAX];
	char group[CONSUMER_GROUP_BYTES_MAX];
	char dead[CONSUMER_STREAM_BYTES_MAX]; /* the stream for entries that cannot be carried out */
	uint32_t batch;                       /* entries that are read at a time, at most */
	uint32_t claim_after_s; /* entries that another member has held for so long are taken over; 0: none */
	uint32_t line;          /* of the configuration file */
	bool from_new;          /* a group that is made begins with what is added afterwards */
	bool deletes;           /* entries are deleted when they are done */
};

struct consumers {
	struct consumer items[CONSUMERS_MAX];
	uint32_t count;
};

/* A consumer in which nothing is set yet. */
void consumer_init(struct consumer *consumer);
/* How to set what stands behind a key of a consumer. NULL: it has no such key. */
const struct item_key *consumer_key(const char *name);
/* Completes a consumer of which all was set. False: fault says what is missing. */
bool consumer_complete(struct consumer *consumer, char fault[ITEM_FAULT_BYTES_MAX]);
/* Whether both say the same; the lines where they stand do not count. */
bool consumer_equal(const struct consumer *one, const struct consumer *other);

#endif
