#include "cluster/common/key.h"

struct hash_key cluster_key(struct slice cluster, enum cluster_key_use use)
{
	struct hash_key key = {{'r', 'o', 'o', 's', 't', (uint8_t)use}}, made;
	for (size_t half = 0; half < sizeof(made.bytes); half += sizeof(uint64_t)) {
		key.bytes[sizeof(key.bytes) - 1] = (uint8_t)half;
		uint64_t hash = hash_slice(&key, cluster);
		for (size_t i = 0; i < sizeof(hash); i++) /* the same on every machine */
			made.bytes[half + i] = (uint8_t)(hash >> 8 * i);
	}
	return made;
}

uint64_t cluster_node_hash(struct slice cluster, struct slice node)
{
	struct hash_key key = cluster_key(cluster, CLUSTER_KEY_NODE);
	return hash_slice(&key, node);
}
