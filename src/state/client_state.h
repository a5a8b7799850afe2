/* The state machine of a client, its pauses, and the list of clients with more to read. By the shard's thread. */
#ifndef STATE_CLIENT_STATE_H
#define STATE_CLIENT_STATE_H

#include "access/addresses.h"
#include "session/refs.h"
#include "state/client.h"

struct shard;

/* Whether its connection is one of Roost's own (control/internal.h). Of a session without a connection its id tells
 * (session_id_is_internal()). */
static inline bool client_is_internal(const struct client *client)
{
	return client->address == ADDRESSES_INTERNAL;
}

/* The only place where a client's state changes. Checks the transition and moves the gauges. */
void client_set_state(struct shard *shard, struct client *client, enum client_state next);
/* The client is read in the next turn. Does nothing while it is paused. */
void client_mark_ready(struct shard *shard, struct client_ref ref, struct client *client);
/* Stops reading from a client that is not paused (enum client_pause says what ends the pause). Nothing else changes: a
 * paused client is graded, written to and ended like any other. The client is connected, or was until the packet that
 * is being handled. */
void client_pause(struct client *client, enum client_pause why);
/* The reason is gone: the client is read again, and its silence so far does not count against its keepalive. `why` is
 * the reason of client_pause(). Does nothing if the client is no longer connected. */
void client_resume(struct shard *shard, struct client_ref ref, enum client_pause why);

#endif
