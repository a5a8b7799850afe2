/* Replication: what this node stores is held by another node before it is acknowledged, and what others store is held
 * here (docs/decisions/0035-replicas.md). A service of the nodes thread, which does no I/O:
 * nodes/replica/replica_worker.h does.
 *
 * The promise. While the replica is in step, nothing is acknowledged that is not on the device of both: what was
 * acknowledged survives the loss of one machine. At all other times the node acknowledges by its own store alone, as
 * without a replica, and says so: in the log, the status and the metrics.
 *
 * Which node. Of the peers that can be one, that which rendezvous hashing of both names chooses. One that is silent
 * stays the replica for `takeover_s`, since it has nearly all; then another one is chosen. One that refuses is passed
 * over for REPLICATION_REFUSED_MS.
 *
 * Taking over. When a node of which there is a copy has been away for `takeover_s`, and this node is not the one that
 * is cut off, the copy is closed for that node: whatever it offers of that store is refused, so that it knows. Others
 * are asked first whether they have more of it. Then its sessions are brought here (nodes/replica/replica_takeover.h).
 *
 * Coming back. A node that begins with a store asks each peer that joins whether it has taken that over. If so, and if
 * it took all that the log had when this process began, the sessions that were restored are stale: those that no client
 * has come for yet end here, and come back as their clients do, like any session of another node. If the log went on
 * behind what was taken, nothing is dropped: what both have is merged, the later connection first.
 *
 * By the nodes thread. */
#ifndef NODES_REPLICATION_H
#define NODES_REPLICATION_H

#include "nodes/thread/service.h"
#include "runtime/settings/cluster_settings.h"
#include "store/format/identity.h"

#include <stdbool.h>
#include <stdint.h>

struct node_port;
struct nodes_thread;
struct hash_key;
struct replication;
struct store;
struct trail;
struct waker;

/* A peer that refused is not asked again before this. */
#define REPLICATION_REFUSED_MS 15000u
/* A replica that has answered an offer with nothing at all: it may have a large copy to look through. */
#define REPLICATION_OFFER_MS 120000u
/* So near, it may be waited for. */
#define REPLICATION_NEAR_BYTES ((uint64_t)1 << 20)
/* Peers are asked for better copies, and have so long to answer. */
#define REPLICATION_ASK_MS 2000u

struct replication_settings {
	const char *node;
	const char *directory; /* of the store; "": there is none, and nothing is kept for others */
	struct trail *trail;   /* of the store; NULL: no replica is wanted */
	struct store_identity identity;
	uint64_t recovered_epoch; /* of the log with which this process began, and its last commit; 0: none */
	uint64_t recovered_commit;
	uint32_t timeout_ms; /* a replica that confirms nothing for so long is not waited for */
	uint32_t takeover_s;
	struct node_peer *const *peers; /* by slot; NULL: none */
	/* Whether this node hears the others at all. */
	bool (*is_connected)(const void *context);
	const void *context;
	struct node_port *port;     /* to the shards */
	const struct hash_key *key; /* of client ids */
	struct store *store;
};

extern const struct node_service REPLICATION_SERVICE;

/* Copies the settings, but for what they point to. NULL: no memory, or no thread. */
struct replication *replication_new(const struct replication_settings *settings);
/* The nodes thread's own, before that begins (nodes/replica/replication_make.c). */
struct replication *replication_make(struct nodes_thread *thread);
/* The last thing: nobody is waited for any more. replication may be NULL. */
void replication_free(struct replication *replication);

#endif
