/* The thread that follows the revocations in Redis (bridge/redis_message.h describes their format). It scans all of
 * them at start, subscribes to two channels for changes, and scans again at intervals to find what a channel missed:
 * keys that Redis lost or that were lifted without a message. Sign-ins never wait for it: they read access' table.
 *
 * It uses two connections, because a connection in subscribe mode cannot send other commands; in a cluster one for the
 * channels, and one to each master, all of which have keys. With Sentinels they are to the master. If one fails, or
 * Redis does not answer within some seconds, Redis counts as lost: the table stays as it is, access is told that it is
 * out of step, and the thread reconnects after pauses that grow (reactor/pause.h). The thread may block on Redis
 * and on shards that lag behind; no other thread waits for it. */
#ifndef BRIDGE_REDIS_REVOCATIONS_H
#define BRIDGE_REDIS_REVOCATIONS_H

#include "access/access.h"
#include "bridge/redis_connection.h"
#include "runtime/counters.h"

struct redis_settings {
	struct redis_target target;
	uint32_t rescan_s;
	bool private_table; /* the thread gets a descriptor table of its own */
};

struct redis_revocations;

/* Starts the thread. Copies settings; access and counters must outlive it, and it is the only writer of counters.
 * Returns NULL if memory, descriptors or threads are short. */
struct redis_revocations *redis_revocations_start(const struct redis_settings *settings, struct access *access,
						  struct counters *counters);
/* Ends the thread within REDIS_TIMEOUT_MS for each step to the server that it is just about. *redis may be NULL. */
void redis_revocations_stop(struct redis_revocations **redis);

#endif
