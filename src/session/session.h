/* A session [4.1]: what the gateway knows of a client beyond its socket. Embedded in struct client, one for each client
 * id that is known. Owned by the shard that the client id hashes to. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "base/slice.h"
#include "memory/table.h"
#include "session/refs.h"

struct session {
	struct table_node node;               /* in the registry */
	uint32_t id;                          /* slab reference: uint16_t length, then the client id; 0: none */
	struct subscription_ref subscription; /* the first of its subscriptions */
	uint32_t subscription_count : 23;
	uint32_t is_unix : 1;     /* its connection comes through a unix socket */
	uint32_t is_keyed : 1;    /* its subscriptions are found by key (own_table.h), not by a walk over them */
	uint32_t has_shared : 1;  /* it has, or had, a shared subscription */
	uint32_t is_narrowed : 1; /* its rights may have shrunk since a message that waits came (client/review.h) */
	uint32_t is_bridge : 1; /* its connection has MQTT_LEVEL_BRIDGE: No Local and Retain As Published are implied */
	uint32_t owed : 1;      /* retained messages are still to be sent to it (route/retained_jobs.h) */
	uint32_t cleaning : 1;  /* something is left to do for it (lifecycle/cleanup.h) */
	uint32_t moved : 1;     /* and its connection came or went since that began */
	uint32_t journaled : 1; /* the journal is told of it (session/journal.h) */
};
_Static_assert(sizeof(struct session) == 20, "a session is part of the memory contract");

/* The ids of Roost's own clients, whose sessions are like any other: the rules of streams are "$roost/rule/NAME". No
 * other client may have such an id (access/handshake.h), so whoever has one is Roost's own. */
#define SESSION_INTERNAL_PREFIX "$roost/"

static inline bool session_id_is_internal(struct slice id)
{
	return id.size >= sizeof(SESSION_INTERNAL_PREFIX) - 1 &&
	       memcmp(id.data, SESSION_INTERNAL_PREFIX, sizeof(SESSION_INTERNAL_PREFIX) - 1) == 0;
}

#endif
