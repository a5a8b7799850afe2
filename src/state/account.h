/* What a shard records about a client in trouble: its publishing is limited, it lost messages, publishers wait for it,
 * or it waits for a subscriber. One block in the shard's slab, at extension->account. Most clients never have one.
 * Owned by the shard's thread. */
#ifndef STATE_ACCOUNT_H
#define STATE_ACCOUNT_H

#include "memory/slab.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_AWAITED_MAX 4u
#define ACCOUNT_BUSY_MAX 4u

/* A subscriber that this client waits for: the subscriber's shard, and its place on that shard's board
 * (struct congestion_board). */
struct awaited {
	uint16_t shard;
	uint16_t place;
};

struct account {
	/* client/rate.c: when its limits have room again, in microseconds of the shard's clock. */
	uint64_t messages_until_us;
	uint64_t bytes_until_us;
	uint64_t dropped; /* messages that it missed because its queue or its output was full */
	/* deliver/congestion.c: as a subscriber that publishers wait for. */
	uint64_t since_ms; /* start of the period in which its progress is measured */
	uint32_t taken_messages;
	uint32_t taken_bytes;
	uint32_t excess_bytes;   /* in its queue, beyond its limit */
	uint32_t denied_until_s; /* stuck: publishers do not wait for it before then, nor before its queue is low */
	/* As a publisher that waits. */
	uint64_t awaits_until_ms;
	uint32_t passed_bytes; /* read from it while it is congested itself, although it should have waited */
	struct awaited awaited[ACCOUNT_AWAITED_MAX];
	/* The shared subscriptions that skip this member because messages wait for it. */
	struct subscription_ref busy[ACCOUNT_BUSY_MAX];
	uint32_t congested_at; /* its index in the list of congested clients, while it is congested */
	uint8_t awaited_count;
	uint8_t busy_count;
	bool congested; /* publishers wait for it */
	bool stuck;     /* they waited, and it did not take its messages */
};
_Static_assert(sizeof(struct account) <= 104, "part of the memory contract");
_Static_assert(ACCOUNT_AWAITED_MAX <= UINT8_MAX && ACCOUNT_BUSY_MAX <= UINT8_MAX, "they are counted in 8 bits");
DEFINE_SLAB_REF(account);

struct shard;
struct client;

/* NULL: the client has no account. */
struct account *account_of(const struct shard *shard, const struct client *client);
/* Allocates the account, and the extension, if the client has none. NULL: no memory. */
struct account *account_need(struct shard *shard, struct client *client);
/* The connection has ended: clears what belongs to the connection, and frees the block if nothing else is in it. The
 * client must not be congested any more (congestion_end()). */
void account_end_connection(struct shard *shard, struct client *client);
/* Frees the block if every field has its default. */
void account_trim(struct shard *shard, struct client *client);
/* Frees the block, if there is one. The client has an extension and is not congested. */
void account_drop(struct shard *shard, struct client *client);
/* Counts a message that the client misses because its queue or its output is full, and logs it from time to time. */
void account_lost(struct shard *shard, struct client *client);

#endif
