/* The thread that follows the revocations that are kept in Redis (bridge/redis_message.h says how they are written): it
 * reads all of them at start, follows the two channels, and reads all again now and then, as a net. What Redis lost, or
 * has lifted without saying so, is found then. Sign-ins never come here: they look into the access' table.
 *
 * Two connections, because one that follows channels may not ask. Either one's failure, or a Redis that does not answer
 * within some seconds, is a loss: the table stays as it is, the access is told that it is out of step, and the thread
 * tries again with pauses that grow up to REDIS_PAUSE_MS_MAX. It may block, on Redis and on shards that lag behind, and
 * nobody waits for it. */
#ifndef BRIDGE_REDIS_REVOCATIONS_H
#define BRIDGE_REDIS_REVOCATIONS_H

#include "access/access.h"
#include "bridge/redis_url.h"
#include "runtime/counters.h"

#define REDIS_PAUSE_MS_MAX 5000u

struct redis_settings {
	struct redis_url url;
	uint32_t rescan_s;
	bool private_table; /* a descriptor table of its own */
};

struct redis_revocations;

/* Starts the thread. settings are copied; access and counters (of which it is the only writer) outlive it. NULL: no
 * memory, descriptors or threads. */
struct redis_revocations *redis_revocations_start(const struct redis_settings *settings, struct access *access,
						  struct counters *counters);
/* Ends the thread, in not much more than REDIS_TIMEOUT_MS, and frees it. NULL is nothing. */
void redis_revocations_stop(struct redis_revocations **redis);

#endif
