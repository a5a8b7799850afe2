/* What the gateway notes about a client that is out of the ordinary: one whose publishing is limited, that lost
 * messages, that others have to wait for, or that waits for others. One block in the shard's slab, at
 * extension->account, which most clients never have. Owned by the shard's thread. */
#ifndef STATE_ACCOUNT_H
#define STATE_ACCOUNT_H

#include "memory/slab.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_AWAITED_MAX 4u
#define ACCOUNT_BUSY_MAX 4u

/* Where another client's queue is told to be full: its shard, and its place on that shard's board. */
struct awaited {
	uint16_t shard;
	uint16_t place;
};

struct account {
	/* rate.c: until when its limits are used up, in microseconds of the shard's clock. */
	uint64_t messages_until_us;
	uint64_t bytes_until_us;
	uint64_t dropped; /* messages that it did not get because its queue or its output was full */
	/* congestion.c: as a subscriber that publishers wait for. */
	uint64_t since_ms; /* what it takes is measured from then on */
	uint32_t taken_messages;
	uint32_t taken_bytes;
	uint32_t excess_bytes;   /* in its queue, beyond its limit */
	uint32_t denied_until_s; /* stuck: nobody waits for it until then, nor before its queue was low */
	/* As a publisher that waits. */
	uint64_t awaits_until_ms;
	uint32_t passed_bytes; /* read from it since it is congested, although it should have waited */
	struct awaited awaited[ACCOUNT_AWAITED_MAX];
	/* As a member of shared subscriptions: those that pass it over. */
	struct subscription_ref busy[ACCOUNT_BUSY_MAX];
	uint32_t congested_at; /* its place in the list of congested clients, while it is one */
	uint8_t awaited_count;
	uint8_t busy_count;
	bool congested; /* publishers wait for it */
	bool stuck;     /* they did, and it did not take its messages */
};
_Static_assert(sizeof(struct account) <= 104, "part of the memory contract");
DEFINE_SLAB_REF(account);

struct shard;
struct client;

/* NULL: it has none. */
struct account *account_of(const struct shard *shard, const struct client *client);
/* Makes it where there is none; NULL: no memory. */
struct account *account_need(struct shard *shard, struct client *client);
/* The connection is over: what belongs to it alone goes, and the block where nothing else is in it. */
void account_end_connection(struct shard *shard, struct client *client);
/* Frees the block when it says nothing. */
void account_trim(struct shard *shard, struct client *client);
void account_drop(struct shard *shard, struct client *client);
/* A message that this client does not get, because its queue or its output is full: counted, and logged once in a
 * while.
 */
void account_lost(struct shard *shard, struct client *client);

#endif
