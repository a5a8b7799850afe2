/* What the gateway knows of a client beyond its socket. Embedded in the client, one a client id that is known; owned by
 * the shard that the client id hashes to. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "memory/table.h"
#include "session/refs.h"

struct session {
	struct table_node node;               /* of the registry */
	uint32_t id;                          /* slab reference: uint16_t length, then the client id; 0: none */
	struct subscription_ref subscription; /* first of its subscriptions */
	uint32_t subscription_count : 24;
	uint32_t is_keyed : 1;    /* its subscriptions are looked up by key (own_table.h), not by a walk over them */
	uint32_t has_shared : 1;  /* one of them is, or was, a shared subscription */
	uint32_t is_narrowed : 1; /* it may do less than when some of what waits for it came (client/review.h) */
	uint32_t is_bridge : 1; /* of its connection, MQTT_LEVEL_BRIDGE: subscriptions are No Local, Retain As Published
				 */
	uint32_t owed : 1;      /* retained messages (route/retained_jobs.h) */
	uint32_t cleaning : 1;  /* something is left to do for it (lifecycle/cleanup.h) */
	uint32_t moved : 1;     /* and its connection came or went since that began */
	uint32_t journaled : 1; /* the journal is told of it (session/journal.h) */
};

#endif
