/* A connection to one of the servers where Redis is, with all that it stands upon: what the configuration says, the
 * certificates, streams of its own. One thread at a time owns it, which blocks on it for some seconds at most, and for
 * as long as the system takes to look up a name; another may take it over. The struct must not move. */
#ifndef BRIDGE_REDIS_CONNECTION_H
#define BRIDGE_REDIS_CONNECTION_H

#include "bridge/redis_link.h"
#include "bridge/redis_tls.h"
#include "redis/redis_slots.h"
#include "redis/redis_url.h"
#include "transport/stream_tls.h"

#include <stdatomic.h>

/* Where Redis is and how one gets in: a server, a cluster, or what Sentinels watch. */
struct redis_target {
	struct redis_url url;
	struct redis_tls_settings tls;
};

#define REDIS_SWITCH_CHANNEL "+switch-master"

struct redis_connection {
	const struct redis_target *target;
	struct streams streams;
	struct tls_streams tls;      /* where it comes over TLS */
	struct tls_context *context; /* while it is open; NULL: without TLS */
	struct redis_link link;      /* its fault says what went wrong */
	struct redis_place place;    /* of the server that was connected to last */
	/* NULL, or set by whoever waits for the thread: no further server is tried. */
	const _Atomic bool *given_up;
};

/* target must outlive it. false: memory is short. */
bool redis_connection_init(struct redis_connection *connection, const struct redis_target *target);
void redis_connection_fini(struct redis_connection *connection);

/* Connects to this server, and signs in. false: link.fault says why. */
bool redis_connection_open(struct redis_connection *connection, const struct redis_place *place);
/* Connects to what Redis is where there is one: the server; or the master, for which it asks one Sentinel after the
 * other, and which itself has to say that it is the master. Not to a cluster. */
bool redis_connection_open_master(struct redis_connection *connection);
/* Asks one Sentinel after the other which server the master is. Over a connection that is closed, and is again
 * afterwards. */
bool redis_connection_find_master(struct redis_connection *connection, struct redis_place *master);
/* Connects to a Sentinel, and has it tell (channel +switch-master) when another server becomes the master than the one
 * that it names now: *master. */
bool redis_connection_watch_master(struct redis_connection *connection, struct redis_place *master);
/* Whether it is open, broken or not. */
static inline bool redis_connection_is_open(const struct redis_connection *connection)
{
	return connection->link.streams != NULL;
}
void redis_connection_close(struct redis_connection *connection);

/* Reads the map of a cluster, over a connection that is closed and is closed again afterwards, from the first server
 * that tells: one of those that the map names now, beginning anywhere among them, then of those of the URL. *slots is
 * replaced then. false: none does, link.fault has what the last one said, and *slots is as it was. */
bool redis_connection_read_slots(struct redis_connection *connection, struct redis_slots *slots);

/* Connects to the server that has this key: a node of a cluster, whose map it reads for that, or
 * redis_connection_open_master(). A key that moves away afterwards is answered by MOVED or ASK. */
bool redis_connection_open_for(struct redis_connection *connection, struct slice key);

#endif
