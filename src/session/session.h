/* What the gateway knows of a client beyond its socket. Embedded in the client, one a live client id; owned by the
 * shard that the client id hashes to. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdint.h>

struct session {
	uint32_t id; /* slab reference: uint16_t length, then the client id; 0: none */
	uint32_t id_hash;
	uint32_t id_next;      /* next of its bucket in the registry */
	uint32_t subscription; /* first of its subscriptions, 0: none */
	uint32_t subscription_count;
};

#endif
