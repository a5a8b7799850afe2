/* What publishers may send again after a restart: messages at QoS 2 that some receivers had safely when the gateway
 * crashed, while the publisher had no PUBREC. Such a claim names the publisher's session, its packet identifier, and
 * the receivers that have the message: sessions, or groups of shared subscriptions, any member of which may be picked
 * the next time. When the publisher sends the message again, with DUP, it goes to the others alone.
 *
 * Claims are made once, when the shards are restored, and shared by all shards. Receivers never change. Whether a claim
 * is open is its publisher's shard's to know, which marks what it passes on (struct publication, `resumed`): for other
 * messages nobody looks here. Without a claim a test of a pointer is the whole cost.
 *
 * Receivers are named by client id or filter. A later session with the same client id counts as the one that had the
 * message: it subscribed after that was published, so it is not owed.
 *
 * A skip leaves the claim as it is, for the gateway may crash again before `received` is safe. It ends when `received`
 * or `completed` is told, and with the publisher's session. If the publisher uses the identifier for a new message,
 * which has no DUP, `completed` is told, and the message has to wait until that is safe: after one more crash it would
 * come with DUP, and would be taken for the old one.
 *
 * Memory: 64 bytes and a text a receiver, of what was on its way at the crash, until the gateway stops. By the shard's
 * thread unless it is said otherwise. */
#ifndef DELIVER_RESUMED_H
#define DELIVER_RESUMED_H

#include "base/error.h"
#include "base/slice.h"
#include "session/refs.h"
#include "subscriptions/subscription.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct delivery;
struct model_claim;
struct publisher_name;
struct shard;

/* ---- making; any thread ---- */

/* One receiver of one claim. */
struct resumed_item {
	uint64_t key;
	struct slice receiver; /* on the heap */
	bool is_group;
};

/* All zeros at first. */
struct resumed_list {
	struct resumed_item *items;
	uint32_t count;
	uint32_t capacity;
};

/* Copies the claims of a publisher, whose session is `session` of that shard now. ERROR_NO_MEMORY. */
enum error resumed_list_add(struct resumed_list *list, uint16_t shard, struct client_ref session,
			    const struct model_claim *claims);
/* *lists becomes NULL. */
void resumed_lists_free(struct resumed_list **lists, uint16_t shard_count);
/* Takes over what is in the lists, one a shard, and gives all shards the claims. Nothing where the lists are empty.
 * ERROR_NO_MEMORY. */
enum error resumed_make(struct resumed_list *lists, struct shard *shards, uint16_t shard_count);
/* By the main thread, while no shard has one: notes claims that have not ended, for resumed_adopt() of the next
 * program. arena: of what shards share. ERROR_NOT_FOUND: there is no such note, or it contradicts itself;
 * ERROR_NO_MEMORY. */
enum error resumed_save(const struct shard *shards, const struct arena *arena);
enum error resumed_adopt(struct shard *shards, uint16_t shard_count, const struct arena *arena);
/* The shard is being closed. The last one frees them. */
void resumed_close(struct shard *shard);

/* ---- on the publisher's shard ---- */

enum resumed_answer {
	RESUMED_NOT,   /* a message like any other */
	RESUMED_AGAIN, /* some may have it: it has to be marked */
	RESUMED_WAIT,  /* it cannot be taken yet; it comes again later */
};

/* A message at QoS 2 that is no duplicate. */
enum resumed_answer resumed_publish(struct shard *shard, struct client_ref session, uint16_t packet_id, bool dup);
/* `received` or `completed` was told. */
void resumed_end(struct shard *shard, struct client_ref session, uint16_t packet_id);
/* A message at QoS 2 was refused, or given up by its publisher, although some may have it: tells `completed` where the
 * session is journaled. */
void resumed_give_up(struct shard *shard, struct client_ref session, uint16_t packet_id);
/* The session has ended. */
void resumed_end_session(struct shard *shard, struct client_ref session);
/* Tells the journal of the session's open claims. generation: of its connection, as it was just told. */
void resumed_tell(struct shard *shard, struct client_ref session, uint16_t generation);

/* ---- on a receiver's shard ---- */

/* Whether the subscription's session, or its group, has this message, which is marked. */
bool resumed_is_taken(const struct shard *shard, const struct delivery *delivery,
		      const struct subscription *subscription);
/* The message was queued for a group. While a checkpoint may not have told the subscription yet, tells which. */
void resumed_tell_group(struct shard *shard, const struct publisher_name *publisher, struct message_ref message,
			struct subscription_ref subscription);

#endif
