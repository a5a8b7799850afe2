/* Restores a gateway from what its store holds (store/model/model.h): sessions, their subscriptions, queues and wills,
 * and retained messages. Called once, by the main thread, between shard_open() and shard_start(); each shard is filled
 * by a thread of its own.
 *
 * A restored session has no connection. One that was connected at the end of the log lost its connection then: its
 * expiry and its will's delay have run since (store/deadline.h). Whatever is due already, such as an end or a will,
 * is carried out by the shards' first turns in the ordinary way. Nothing is told to the journal: it hears of everything
 * in the first checkpoint (lifecycle/stored/retell.h). */
#ifndef LIFECYCLE_RESTORE_H
#define LIFECYCLE_RESTORE_H

#include "base/error.h"
#include "session/refs.h"
#include "store/model/model.h"

#include <stdint.h>

struct hash_key;
struct shard;

/* Where bodies come from: a store, or a test. Called by several threads at a time. */
struct restore_bodies {
	/* *packet is malloc()ed, of publication->packet_bytes. ERROR_NOT_FOUND: it is lost, and the message with it.
	 * Any other error is restore_shards()'s, and was logged. */
	enum error (*read)(void *context, struct store_place place, const struct publication *publication,
			   uint8_t **packet);
	/* The shard's message was restored without its body, which lies at this place. ERROR_NO_MEMORY. */
	enum error (*place)(void *context, uint16_t shard, struct message_ref message, struct store_place place);
	void *context;
};

/* What was restored, and what was not. */
struct restore_report {
	uint64_t sessions;
	uint64_t subscriptions;
	uint64_t messages; /* in queues */
	uint64_t retained;
	uint64_t promised;
	uint64_t lost; /* messages whose body could not be read */
};

/* shards: all of the gateway's, by number, opened and not started. key: of client ids, by which they find their shard.
 * model: finished, and not needed any more afterwards. ERROR_LIMIT: the configuration has fewer places
 * than the store has sessions or retained messages; ERROR_NO_MEMORY. Both are logged in a sentence that says what and
 * how many; or an error of `read`; the shards must then be closed without having run. */
enum error restore_shards(struct shard *shards, const struct hash_key *key, const struct model *model,
			  const struct restore_bodies *bodies, struct restore_report *report);

#endif
