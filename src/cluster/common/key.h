/* Keys of hashes that all nodes of a cluster compute alike: of topics, filters, client ids, names. They come from the
 * cluster's name, which is no secret: whoever knows it can find two topics of one hash, which costs him that they are
 * not kept in step between nodes, and nobody else anything. Pure; any thread. */
#ifndef CLUSTER_KEY_H
#define CLUSTER_KEY_H

#include "base/hash.h"

/* What is hashed: each has a key of its own. Numbers stay as they are. */
enum cluster_key_use {
	CLUSTER_KEY_NODE = 1,
	CLUSTER_KEY_RETAINED = 2,
	CLUSTER_KEY_REVOCATION = 3,
	CLUSTER_KEY_AGREEMENT = 4,
	CLUSTER_KEY_SESSION = 5,
};

struct hash_key cluster_key(struct slice cluster, enum cluster_key_use use);
/* Of a node's name, for stamps (cluster/common/stamp.h). */
uint64_t cluster_node_hash(struct slice cluster, struct slice node);

#endif
