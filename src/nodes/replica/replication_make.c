#include "base/log.h"
#include "nodes/replica/replication.h"
#include "nodes/thread/nodes_thread.h"
#include "store/format/identity.h"
#include "store/store.h"

#include <string.h>

static bool is_connected(const void *context)
{
	const struct nodes_thread *thread = context;
	return thread->bus != NULL && bus_is_connected(thread->bus);
}

struct replication *replication_make(struct nodes_thread *thread)
{
	struct store *store = thread->parts.store;
	struct replication_settings settings = {.node = thread->node,
						.directory = gateway_settings(thread->gateway)->store.directory,
						.trail = store != NULL ? store_trail(store) : NULL,
						.timeout_ms = thread->settings->timeout_ms,
						.takeover_s = thread->settings->takeover_s,
						.peers = thread->peers,
						.is_connected = is_connected,
						.context = thread,
						.port = thread->parts.nodes,
						.key = thread->parts.key,
						.store = store};
	if (store != NULL) {
		settings.identity = *store_identity(store);
		store_recovered(store, &settings.recovered_epoch, &settings.recovered_commit);
	}
	if (store == NULL && thread->settings->replicas != 0)
		log_write(LOG_WARNING,
			  "cluster-replicas: there is nothing to replicate without a store (option store)");
	struct replication *replication = replication_new(&settings);
	explicit_bzero(&settings.identity, sizeof(settings.identity));
	return replication;
}
